//! Opening connections ahead of need.

use super::Pool;
use crate::error::Error;
use crate::metrics::Warmed;
use crate::upstream;
#[cfg(doc)]
use crate::{config::Config, error::ErrorKind};

impl Pool {
    /// Opens connections until each server has `count` of them: idle, in use, or being opened by
    /// others. Servers of weight 0 are left out. It is for the time before the first requests; to
    /// keep connections open, see [`Config::min_idle`]. It needs no background work.
    ///
    /// It gives way to requests: it keeps all limits, takes nothing that a caller waits for, closes
    /// no connection of another server, and opens no more than may be idle. What it could not open
    /// is `missing` in the answer, and no error.
    ///
    /// ```
    /// use evenkeel::{Pool, Server};
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let pool = Pool::builder().server(Server::new("http://127.0.0.1:1")?).build()?;
    /// let warmed = futures_lite::future::block_on(pool.warm(2))?;
    /// // Nobody listens there.
    /// assert_eq!((warmed.opened, warmed.missing), (0, 2));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`ErrorKind::Closed`] if the pool is closed, before or meanwhile.
    ///
    /// # Cancel safety
    /// Dropping the future gives up what is being opened. What has been opened stays.
    pub async fn warm(&self, count: usize) -> Result<Warmed, Error> {
        upstream::warm(&self.inner.directory, count).await
    }
}
