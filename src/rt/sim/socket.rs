//! How many sockets the clients hold, for exact leak checks.

use std::net::SocketAddr;

use super::net::SimNet;

/// The clients' sockets to one address.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct SimCounts {
    /// Sockets that are being connected now.
    pub connecting: usize,
    /// Sockets that are connected now, and not yet dropped by the client.
    pub open: usize,
    /// The most sockets, connecting or open, that there ever were at one time.
    pub peak: usize,
    /// Attempts to connect, so far.
    pub attempts: usize,
    /// Connections made, so far.
    pub opened: usize,
}

/// A client's socket, counted for as long as it exists.
pub(super) struct Socket {
    net: SimNet,
    addr: SocketAddr,
    open: bool,
}

impl Socket {
    pub(super) fn new(net: &SimNet, addr: SocketAddr) -> Self {
        net.count(addr, |counts| {
            counts.attempts += 1;
            counts.connecting += 1;
            counts.peak = counts.peak.max(counts.connecting + counts.open);
        });
        Self { net: net.clone(), addr, open: false }
    }

    pub(super) fn connected(&mut self) {
        self.open = true;
        self.net.count(self.addr, |counts| {
            counts.connecting -= 1;
            counts.open += 1;
            counts.opened += 1;
        });
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        self.net.count(self.addr, |counts| match self.open {
            true => counts.open -= 1,
            false => counts.connecting -= 1,
        });
    }
}
