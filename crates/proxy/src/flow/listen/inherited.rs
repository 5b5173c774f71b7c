//! The sockets that systemd passes: `fd://`, and `fd://NAME` for those of one name
//! (sd_listen_fds(3)).

use std::io;
use std::path::Path;

use cetusguard_config::address::Address;
use listenfd::ListenFd;

use super::sockets::Bound;

/// The listening sockets that systemd has passed to the process.
pub(crate) struct InheritedSockets {
    sockets: ListenFd,
    /// The name of each, as `FileDescriptorName=` of its unit gives it.
    names: Vec<String>,
    /// The places of those that were taken.
    taken: Vec<usize>,
    /// The names that an address asks for. The others belong to `fd://`.
    wanted: Vec<String>,
}

impl InheritedSockets {
    /// Finds the sockets for these addresses. To be called once: a descriptor has one owner.
    pub(crate) fn find<'a>(addresses: impl Iterator<Item = &'a Address>) -> Self {
        let sockets = ListenFd::from_env();
        let names = std::env::var("LISTEN_FDNAMES").unwrap_or_default();
        let mut names: Vec<String> = names.split(':').map(str::to_owned).collect();
        names.resize(sockets.len(), String::new());
        let wanted = addresses.filter_map(|address| match address {
            Address::Inherited(name) => name.clone(),
            Address::Tcp { .. } | Address::Unix(_) => None,
        });
        Self {
            sockets,
            names,
            taken: Vec::new(),
            wanted: wanted.collect(),
        }
    }

    /// Takes the sockets of a name, or without one those whose names no address asks for.
    pub(super) fn take(&mut self, name: Option<&str>) -> io::Result<Vec<Bound>> {
        let mut bound = Vec::new();
        for place in 0..self.sockets.len() {
            let own = self.names[place].as_str();
            let is_meant = match name {
                Some(name) => own == name,
                None => !self.wanted.iter().any(|wanted| wanted == own),
            };
            if is_meant && let Some(one) = self.take_at(place)? {
                self.taken.push(place);
                bound.push(one);
            }
        }
        match (bound.is_empty(), name) {
            (false, _) => Ok(bound),
            (true, None) => Err(io::Error::other(
                "systemd passed no listening socket (LISTEN_FDS)",
            )),
            (true, Some(_)) => Err(io::Error::other(format!(
                "systemd passed no listening socket of this name (LISTEN_FDNAMES has {:?}); set \
                FileDescriptorName= in its .socket unit",
                self.names.join(":")
            ))),
        }
    }

    fn take_at(&mut self, place: usize) -> io::Result<Option<Bound>> {
        // The crate puts a descriptor back where it is not of the kind asked for.
        if let Ok(Some(listener)) = self.sockets.take_unix_listener(place) {
            let path = listener
                .local_addr()
                .ok()
                .and_then(|address| address.as_pathname().map(Path::to_owned));
            let name = format!("unix://{}", path.unwrap_or_default().display());
            return Bound::unix(listener, name, None).map(Some);
        }
        let listener = self.sockets.take_tcp_listener(place)?;
        listener.map(Bound::tcp).transpose()
    }

    /// Refuses sockets that no address has taken: their clients would wait for ever.
    ///
    /// # Errors
    /// Returns a message that names them.
    pub(crate) fn refuse_left_over(&self) -> Result<(), String> {
        let mut left = (0..self.sockets.len()).filter(|place| !self.taken.contains(place));
        match left.next() {
            Some(place) => Err(format!(
                "systemd passed a socket named {:?} that no frontend uses, so that its clients \
                would wait for ever; add fd://{} to the frontends, or take the socket out of the \
                .socket unit",
                self.names[place], self.names[place]
            )),
            None => Ok(()),
        }
    }
}
