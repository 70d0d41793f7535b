//! Three servers of our own, one of which is stopped midway.

#![expect(
    clippy::disallowed_types,
    reason = "taken twice in a run, to stop a server and to bring it back"
)]

use std::io;
use std::sync::Mutex;

use crate::server::MiniServer;

/// The three servers.
pub(crate) struct Fleet {
    servers: [MiniServer; 2],
    stopped: Mutex<MiniServer>,
}

impl Fleet {
    pub(crate) fn start() -> io::Result<Self> {
        Ok(Self {
            servers: [MiniServer::start()?, MiniServer::start()?],
            stopped: Mutex::new(MiniServer::start()?),
        })
    }

    /// Their URLs; the last one is that of the server that will be stopped.
    pub(crate) fn urls(&self) -> Vec<String> {
        let lasting = self.servers.iter().map(MiniServer::url);
        lasting.chain([self.one().url()]).collect()
    }

    /// Stops one server: its port refuses connections from now on.
    pub(crate) fn stop_one(&self) {
        self.one().stop();
    }

    /// Brings it back on the same port.
    pub(crate) fn bring_back(&self) -> io::Result<()> {
        self.one().restart()
    }

    fn one(&self) -> std::sync::MutexGuard<'_, MiniServer> {
        self.stopped.lock().expect("stopping a server does not panic")
    }
}
