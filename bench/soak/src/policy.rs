//! The configuration of the proxy under test, and its changes.

use std::io;
use std::time::Duration;

use cetusguard_testkit::{Certs, TempDir};

/// Two policies that differ in one endpoint each, so that a client can tell which is in force.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Version {
    Networks,
    Volumes,
}

/// The connections that one client may have at a time.
pub(crate) const SHARE: usize = 256;

const RULES: &str = "\
GET,HEAD,POST %API_PREFIX_CONTAINERS%(/.*)?
GET %API_PREFIX_CONTAINERS%/%CONTAINER_ID_OR_NAME%/export
PUT %API_PREFIX_CONTAINERS%/%CONTAINER_ID_OR_NAME%/archive
POST %API_PREFIX_EXEC%/.+
GET %API_PREFIX_IMAGES%/%IMAGE_ID_OR_REFERENCE%/get
POST %API_PREFIX_IMAGES%/load
POST %API_PREFIX_BUILD%
GET %API_PREFIX_EVENTS%
";

impl Version {
    /// The version that is not this one.
    pub(crate) fn other(self) -> Self {
        match self {
            Self::Networks => Self::Volumes,
            Self::Volumes => Self::Networks,
        }
    }

    /// The path that this version alone allows.
    pub(crate) fn path(self) -> &'static str {
        match self {
            Self::Networks => "/networks",
            Self::Volumes => "/volumes",
        }
    }

    fn rules(self) -> String {
        format!("{RULES}GET %API_PREFIX%{}\n", self.path())
    }
}

/// The files of the configuration.
#[derive(Debug)]
pub(crate) struct Files {
    folder: TempDir,
}

impl Files {
    /// Writes a configuration with three frontends, three profiles and a file of rules.
    pub(crate) fn write(engine: &str, certs: &Certs, patience: Duration) -> Self {
        let files = Self {
            folder: TempDir::new(),
        };
        let rules = files.folder.write("soak.rules", &Version::Networks.rules());
        let [cert, key, ca] = ["server.pem", "server.key", "ca.pem"].map(|name| certs.file(name));
        let (head, progress, long) = (
            patience.as_secs() / 4,
            patience.as_secs() / 2,
            patience.as_secs() * 2,
        );
        let text = format!(
            "\
log-level: 7
log-format: json
backend-addr: unix://{engine}
max-connections: 2048
max-connections-per-client: {SHARE}
head-timeout: {head}s
progress-timeout: {progress}s
connect-timeout: {progress}s
answer-timeout: {long}s
idle-timeout: {long}s
drain-timeout: {progress}s
rules-file: {rules}
frontends:
  - addr: tcp://127.0.0.1:0
  - addr: tcp://127.0.0.2:0
    tls-cert: {cert}
    tls-key: {key}
    tls-cacert: {ca}
  - addr: unix://{socket}
    profile: local
profiles:
  local:
    rules-file: {rules}
  certified:
    clients:
      - cert-cn: client
    rules-file: {rules}
",
            socket = files.socket()
        );
        files.folder.write("soak.yaml", &text);
        files
    }

    /// The path of the configuration file.
    pub(crate) fn config(&self) -> String {
        self.folder.file("soak.yaml")
    }

    /// The path of the proxy's Unix socket.
    pub(crate) fn socket(&self) -> String {
        self.folder.file("proxy.sock")
    }

    /// Replaces the rules, as editors do it: by a rename, so that half a file is never read.
    pub(crate) fn replace(&self, version: Version) -> io::Result<()> {
        self.rename(&version.rules())
    }

    /// Replaces the rules by some that cannot be read.
    pub(crate) fn spoil(&self, version: Version) -> io::Result<()> {
        self.rename(&format!("{}GET %NO_SUCH_VARIABLE%/x\n", version.rules()))
    }

    fn rename(&self, text: &str) -> io::Result<()> {
        std::fs::rename(
            self.folder.write("soak.rules.new", text),
            self.folder.file("soak.rules"),
        )
    }
}
