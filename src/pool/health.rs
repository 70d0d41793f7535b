//! Deciding about a server by hand, and waiting for one that may be picked.

use std::future::poll_fn;

use super::Pool;
use crate::error::Error;
use crate::lockfree::lifecycle::State;
use crate::server::{ServerId, ServerState};

impl Pool {
    /// Decides about a server, whatever its health: puts it out of service, or keeps it in. It
    /// stays so until something else is decided, whatever becomes of its health, its weight and
    /// the other servers.
    ///
    /// ```
    /// use evenkeel::{Pool, Server, ServerState};
    ///
    /// let pool = Pool::builder().build()?;
    /// let id = pool.add_server(Server::new("http://10.0.0.1")?)?;
    /// pool.set_state(id, ServerState::Draining)?;
    /// // ... it is being updated ...
    /// pool.set_state(id, ServerState::Active)?;
    /// # Ok::<(), evenkeel::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`](crate::ErrorKind::NotFound) if it is not, or no longer, in the pool.
    pub fn set_state(&self, id: ServerId, state: ServerState) -> Result<(), Error> {
        self.inner.directory.set_state(id, state)
    }

    /// Waits until a server may be picked: one is in service, and its health allows it. With
    /// [`start_unknown`](crate::Config::start_unknown) switched off, that is when the first health
    /// check has succeeded.
    ///
    /// It sets no time limit: race it against a timer of your own.
    ///
    /// # Errors
    /// [`ErrorKind::Closed`](crate::ErrorKind::Closed) if the pool is closed, or closes meanwhile.
    ///
    /// # Cancel safety
    /// Dropping the future has no effect.
    pub async fn wait_ready(&self) -> Result<(), Error> {
        let directory = &self.inner.directory;
        let mut watcher = directory.hub.lifecycle.watch();
        poll_fn(|cx| watcher.poll_until(cx, |state| state != State::Open || directory.is_ready()))
            .await;
        if directory.hub.lifecycle.is_open() {
            return Ok(());
        }
        Err(crate::upstream::closed())
    }
}
