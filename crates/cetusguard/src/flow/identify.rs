//! Step 2: who is calling, and what the caller's rights are.

use std::sync::Arc;

use cetusguard_policy::Profile;

use super::Proxy;
use super::listen::Conn;

/// The one who holds a connection.
#[derive(Debug)]
pub(super) struct Client {
    /// The address, or the credentials of a Unix peer: for the log.
    pub(super) name: String,
    /// The rights.
    pub(super) profile: Arc<Profile>,
}

/// Finds the profile of who is calling.
pub(super) fn identify(conn: &Conn, proxy: &Proxy) -> Client {
    Client { name: conn.peer().to_owned(), profile: Arc::clone(proxy.profiles.of(conn.principal())) }
}
