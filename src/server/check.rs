//! Where a server is checked, if not where requests go.

use std::borrow::Cow;
use std::fmt;

use super::{Server, Way};

/// What of a health check is another than the pool's, or the server's own.
#[derive(Clone, Default, PartialEq, Eq, Hash)]
pub(crate) struct CheckAt {
    pub(crate) host: Option<String>,
    pub(crate) port: Option<u16>,
    pub(crate) path: Option<String>,
}

impl fmt::Debug for CheckAt {
    /// Without the query of the path, which may be a secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self.path.as_deref().map(|path| path.split('?').next());
        f.debug_tuple("CheckAt").field(&self.host).field(&self.port).field(&path).finish()
    }
}

impl Server {
    /// Has the server checked at another host, a name or an address without brackets. What it
    /// is told as `Host` stays the same. Default: the URL's.
    #[must_use]
    pub fn health_check_host(mut self, host: impl Into<String>) -> Self {
        self.check_at.get_or_insert_default().host = Some(host.into());
        self
    }

    /// Has the server checked at another port. Default: the URL's.
    ///
    /// ```
    /// use evenkeel::{HealthCheck, Pool, Server};
    ///
    /// let server = Server::new("http://10.0.0.1:8080")?.health_check_port(9090);
    /// let pool = Pool::builder().server(server).health_check(HealthCheck::get("/healthz"));
    /// # Ok::<(), evenkeel::Error>(())
    /// ```
    #[must_use]
    pub fn health_check_port(mut self, port: u16) -> Self {
        self.check_at.get_or_insert_default().port = Some(port);
        self
    }

    /// Has the server asked for another path. Default: that of the pool's
    /// [`HealthCheck`](crate::HealthCheck).
    #[must_use]
    pub fn health_check_path(mut self, path: impl Into<String>) -> Self {
        self.check_at.get_or_insert_default().path = Some(path.into());
        self
    }

    /// Where the server is checked, if not where requests go.
    pub(crate) fn check_at(&self) -> Option<&CheckAt> {
        self.check_at.as_deref()
    }

    /// Whether checks do not go where requests go.
    pub(crate) fn is_checked_elsewhere(&self) -> bool {
        self.check_at().is_some_and(|at| at.host.is_some() || at.port.is_some())
    }

    /// The server as it is dialled for a check.
    pub(crate) fn as_checked(&self) -> Cow<'_, Self> {
        let Some(at) = self.check_at().filter(|_| self.is_checked_elsewhere()) else {
            return Cow::Borrowed(self);
        };
        let mut server = self.clone();
        if let Some(host) = &at.host {
            server.host.clone_from(host);
        }
        server.port = at.port.unwrap_or(server.port);
        if matches!(server.way, Way::Unix(_)) {
            // A host or a port is none of a socket in the file system.
            server.way = Way::Direct;
        }
        Cow::Owned(server)
    }
}
