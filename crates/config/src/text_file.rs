//! The one reader of text files and of the input of commands.

use std::fmt;
use std::io::Read as _;
use std::os::unix::fs::OpenOptionsExt as _;

use super::{Mistake, Mistakes};

/// Reads the input of a command: a text file or a log, of any size, or standard input for `-`.
#[expect(
    clippy::disallowed_methods,
    reason = "the user names the file, and waits for it"
)]
pub fn read_input(path: &str) -> Result<String, Mistakes> {
    let read = match path {
        "-" => std::io::read_to_string(std::io::stdin().lock()),
        path => std::fs::read_to_string(path),
    };
    let wrong = |why| {
        Mistake::new(
            format!("{path} cannot be read: {why}"),
            "name a text file that is there, or - and pipe it in",
        )
    };
    read.map_err(|why| Mistakes(vec![wrong(why)]))
}

/// More is no list of rules and no certificate.
const FILE_LIMIT: u64 = 4 << 20;

/// The reason why a text file cannot be read.
#[derive(Debug)]
pub enum Unreadable {
    /// There is no such file.
    Missing,
    /// This user may not read it.
    Forbidden,
    /// The path is a folder.
    Folder,
    /// The path is a device, a pipe or a socket.
    NotRegular,
    /// The file is larger than any file that is read here.
    TooLarge,
    /// The file is not UTF-8.
    NotText,
    /// Another error.
    Other(std::io::Error),
}

impl From<std::io::Error> for Unreadable {
    fn from(error: std::io::Error) -> Self {
        match error.kind() {
            std::io::ErrorKind::NotFound => Self::Missing,
            std::io::ErrorKind::PermissionDenied => Self::Forbidden,
            std::io::ErrorKind::InvalidData => Self::NotText,
            _ => Self::Other(error),
        }
    }
}

impl fmt::Display for Unreadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing => f.write_str("there is no such file"),
            Self::Forbidden => f.write_str("this user may not read it"),
            Self::Folder => f.write_str("it is a folder"),
            Self::NotRegular => f.write_str("it is not a regular file"),
            Self::TooLarge => f.write_str("it is larger than 4 MiB"),
            Self::NotText => f.write_str("it is not text in UTF-8"),
            Self::Other(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for Unreadable {}

impl Unreadable {
    /// Returns the next step.
    pub fn advice(&self) -> String {
        match self {
            Self::Missing => {
                "name a file that is there; in a container, mount the folder that holds it"
                    .to_owned()
            }
            Self::Forbidden => {
                let user = rustix::process::geteuid().as_raw();
                format!(
                    "let user {user} read the file and enter its folder (chmod, chown), or add \
                    that user to its group (group_add)"
                )
            }
            Self::Folder => {
                "name a file; Docker makes a folder where a file that is to be mounted is missing"
                    .to_owned()
            }
            Self::NotRegular | Self::TooLarge | Self::NotText | Self::Other(_) => {
                "name another file".to_owned()
            }
        }
    }
}

/// Reads a small text file.
pub fn read_text(path: &str) -> Result<String, Unreadable> {
    let check = |meta: std::io::Result<std::fs::Metadata>| match meta {
        Ok(meta) if meta.is_file() => Ok(()),
        Ok(meta) if meta.is_dir() => Err(Unreadable::Folder),
        Ok(_) => Err(Unreadable::NotRegular),
        Err(error) => Err(error.into()),
    };
    // Opening a device may have effects, and opening a FIFO waits for its writer, also for one that
    // was put there since the look.
    check(std::fs::metadata(path))?;
    let not_waiting = rustix::fs::OFlags::NONBLOCK.bits().cast_signed();
    let file = std::fs::OpenOptions::new()
        .read(true)
        .custom_flags(not_waiting)
        .open(path)?;
    check(file.metadata())?;
    let mut text = String::new();
    let read = file.take(FILE_LIMIT + 1).read_to_string(&mut text)?;
    if read as u64 > FILE_LIMIT {
        Err(Unreadable::TooLarge)
    } else {
        Ok(text)
    }
}
