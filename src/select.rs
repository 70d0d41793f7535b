//! [`Select`]: what a caller wishes for one request.

use std::time::Duration;

use crate::server::ServerId;

/// A caller's wishes for one request: which server, how urgent, how long.
///
/// Given to [`Pool::checkout`](crate::Pool::checkout), or put into the extensions of an
/// [`http::Request`] for [`Pool::send`](crate::Pool::send).
///
/// ```
/// use std::time::Duration;
/// use evenkeel::Select;
///
/// let urgent = Select::new().priority(1).timeout(Duration::from_secs(2));
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Select {
    pub(crate) server: Option<ServerId>,
    pub(crate) priority: u8,
    pub(crate) timeout: Option<Duration>,
}

/// How many priority classes waiting callers are sorted into.
pub(crate) const CLASSES: u8 = 8;

impl Select {
    /// No wishes: any server, priority 0, the pool's own timeout.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Only this server will do.
    #[must_use]
    pub fn server(mut self, id: ServerId) -> Self {
        self.server = Some(id);
        self
    }

    /// When callers wait for a connection, a higher priority is served sooner; callers of equal
    /// priority are served in order. There are eight classes, 0 to 7; higher values count as 7.
    /// Default: 0.
    #[must_use]
    pub fn priority(mut self, priority: u8) -> Self {
        self.priority = priority.min(CLASSES - 1);
        self
    }

    /// How long the whole request may take, instead of the pool's `request_timeout`.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }
}
