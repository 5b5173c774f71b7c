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
    let wrong = |why: Unreadable| {
        let fix = format!("{}; or give - and pipe the text in", why.advice());
        Mistake::new(format!("{path} cannot be read: {why}"), fix)
    };
    read.map_err(|why| Mistakes(vec![wrong(why.into())]))
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
    /// A file stands where the path has a folder.
    InFile,
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
            std::io::ErrorKind::IsADirectory => Self::Folder,
            std::io::ErrorKind::NotADirectory => Self::InFile,
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
            Self::InFile => f.write_str(IN_FILE),
            Self::NotRegular => f.write_str("it is not a regular file"),
            Self::TooLarge => f.write_str("it is larger than 4 MiB"),
            Self::NotText => f.write_str("it is not text in UTF-8"),
            Self::Other(error) => f.write_str(&plain_error(error)),
        }
    }
}

impl std::error::Error for Unreadable {}

/// Both reading and writing fail for this reason.
const IN_FILE: &str = "a part of its path is a file, where a folder should be";

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
            Self::InFile => "correct the path".to_owned(),
            Self::NotText => {
                "name another file, or convert this one to UTF-8 (iconv -t UTF-8)".to_owned()
            }
            Self::NotRegular | Self::TooLarge | Self::Other(_) => "name another file".to_owned(),
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

/// The reason why a file cannot be made or written.
#[derive(Debug)]
pub enum Unwritable {
    /// There is no such folder.
    MissingFolder,
    /// This user may not make or write it.
    Forbidden,
    /// The path is a folder.
    Folder,
    /// A file stands where the path has a folder.
    InFile,
    /// The file system takes no writes.
    ReadOnly,
    /// The path is a symbolic link, and none is followed there.
    Link,
    /// Another error.
    Other(std::io::Error),
}

impl From<std::io::Error> for Unwritable {
    fn from(error: std::io::Error) -> Self {
        match error.kind() {
            std::io::ErrorKind::NotFound => Self::MissingFolder,
            std::io::ErrorKind::PermissionDenied => Self::Forbidden,
            std::io::ErrorKind::IsADirectory => Self::Folder,
            std::io::ErrorKind::NotADirectory => Self::InFile,
            std::io::ErrorKind::ReadOnlyFilesystem => Self::ReadOnly,
            _ if error.raw_os_error() == Some(rustix::io::Errno::LOOP.raw_os_error()) => Self::Link,
            _ => Self::Other(error),
        }
    }
}

impl fmt::Display for Unwritable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::MissingFolder => f.write_str("its folder is missing"),
            Self::Forbidden => f.write_str("this user may not write there"),
            Self::Folder => f.write_str("it is a folder"),
            Self::InFile => f.write_str(IN_FILE),
            Self::ReadOnly => f.write_str("the file system there is read-only"),
            Self::Link => f.write_str("it is a symbolic link"),
            Self::Other(error) => f.write_str(&plain_error(error)),
        }
    }
}

impl std::error::Error for Unwritable {}

impl Unwritable {
    /// Returns the next step for this path.
    pub fn advice(&self, path: &str) -> String {
        match self {
            Self::MissingFolder => "make its folder first; in a container, mount one there".into(),
            Self::Forbidden => {
                let user = rustix::process::geteuid().as_raw();
                format!("choose a path where user {user} may make and write files")
            }
            Self::Folder => {
                let folder = path.trim_end_matches('/');
                format!("name a file in it: {folder}/NAME")
            }
            Self::InFile => "correct the path".into(),
            Self::ReadOnly => "mount a folder for writing there".into(),
            Self::Link => "name the file itself, not a symbolic link to it".into(),
            Self::Other(_) => "choose another path".into(),
        }
    }
}

/// Writes an error of the operating system without its number, which helps no reader.
pub fn plain_error(error: &std::io::Error) -> String {
    let text = error.to_string();
    match text.rfind(" (os error ") {
        Some(end) => text[..end].to_owned(),
        None => text,
    }
}
