//! Closing idle connections by hand.

use std::sync::Arc;
use std::time::Duration;

use super::Pool;
use crate::server::ServerId;
use crate::upstream::CloseReason;

/// Facts about an idle connection: see [`Pool::close_idle_where`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct IdleInfo {
    /// The server that it leads to.
    pub server: ServerId,
    /// Its base URL.
    pub url: Arc<str>,
    /// How long it has been idle, in whole milliseconds.
    pub idle: Duration,
    /// How long ago it was made.
    pub age: Duration,
    /// How many requests were begun on it.
    pub uses: u32,
}

impl Pool {
    /// Closes every connection that is idle now.
    pub fn close_idle(&self) {
        self.close_idle_where(|_| true);
    }

    /// Closes each connection that is idle now and for which `wanted` says true; how many those
    /// were. One that is taken on loan meanwhile stays.
    ///
    /// While its facts are read, a connection is in nobody's reach; `wanted` itself is called when
    /// it is idle again, and may do as it likes.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// let pool = evenkeel::Pool::builder().build()?;
    /// let closed = pool.close_idle_where(|conn| conn.age > Duration::from_secs(300));
    /// assert_eq!(closed, 0);
    /// # Ok::<(), evenkeel::Error>(())
    /// ```
    ///
    /// # Panics
    /// If `wanted` does. No connection is lost by that.
    pub fn close_idle_where(&self, mut wanted: impl FnMut(&IdleInfo) -> bool) -> usize {
        let directory = &self.inner.directory;
        let (tick, now) = (directory.hub.tick(), directory.hub.now());
        let mut closed = 0;
        for backend in directory.servers() {
            for seen in backend.gate.idle.parked() {
                let Some((born, uses)) = backend.facts_of_idle(seen) else {
                    continue;
                };
                let info = IdleInfo {
                    server: backend.id,
                    url: backend.server.shared_url().clone(),
                    idle: Duration::from_millis(tick.saturating_sub(seen.since)),
                    age: now.saturating_duration_since(born),
                    uses,
                };
                if wanted(&info) && backend.close_idle_if(seen, CloseReason::Discarded) {
                    closed += 1;
                }
            }
        }
        closed
    }
}
