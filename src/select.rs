//! [`Select`]: what a caller wishes for one request.

use std::time::Duration;

use crate::config::{Config, Steps};
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
    pub(crate) absolute_form: bool,
    /// Boxed, since few requests have any, and each future of a checkout holds a `Select`.
    times: Option<Box<Times>>,
}

/// The times of single steps.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Times {
    queue: Option<Duration>,
    connect: Option<Duration>,
    write: Option<Duration>,
    head: Option<Duration>,
    body: Option<Duration>,
    expect: Option<Duration>,
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

    /// How long to wait in line, instead of the pool's `queue_timeout`.
    #[must_use]
    pub fn queue_timeout(mut self, timeout: Duration) -> Self {
        self.times().queue = Some(timeout);
        self
    }

    /// How long a connection that is opened for this request may take, resolving the name included,
    /// instead of the pool's `connect_timeout`.
    #[must_use]
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.times().connect = Some(timeout);
        self
    }

    /// How long the server may take nothing of the request, instead of the pool's `write_timeout`.
    #[must_use]
    pub fn write_timeout(mut self, timeout: Duration) -> Self {
        self.times().write = Some(timeout);
        self
    }

    /// How long to wait for the response's head once the request is sent, instead of the pool's
    /// `response_head_timeout`.
    #[must_use]
    pub fn response_head_timeout(mut self, timeout: Duration) -> Self {
        self.times().head = Some(timeout);
        self
    }

    /// How long to wait for more of the response's body, instead of the pool's
    /// `body_read_timeout`.
    #[must_use]
    pub fn body_read_timeout(mut self, timeout: Duration) -> Self {
        self.times().body = Some(timeout);
        self
    }

    /// How long a body waits for a `100 Continue` that was asked for, instead of the pool's
    /// `expect_timeout`.
    #[must_use]
    pub fn expect_timeout(mut self, timeout: Duration) -> Self {
        self.times().expect = Some(timeout);
        self
    }

    /// The server is a proxy: the request's target is sent as a whole URL. A URL may then lead
    /// anywhere, and its authority is the `Host`; a path leads to the server itself. The scheme
    /// must be `http`.
    #[must_use]
    pub fn absolute_form(mut self) -> Self {
        self.absolute_form = true;
        self
    }

    /// The times of an exchange's steps, if one of them is not the pool's.
    pub(crate) fn steps(&self, config: &Config) -> Option<Box<Steps>> {
        let times = self.times.as_ref()?;
        let own = [times.write, times.head, times.body, times.expect];
        let steps = || Steps {
            write: times.write.or(config.write_timeout),
            head: times.head.or(config.response_head_timeout),
            body: times.body.or(config.body_read_timeout),
            expect: times.expect.unwrap_or(config.expect_timeout),
        };
        own.iter().any(Option::is_some).then(|| Box::new(steps()))
    }

    /// How long to wait in line, if not as long as the pool says.
    pub(crate) fn queue(&self) -> Option<Duration> {
        self.times.as_ref()?.queue
    }

    /// How long connecting may take, if not as long as the pool says.
    pub(crate) fn connect(&self) -> Option<Duration> {
        self.times.as_ref()?.connect
    }

    fn times(&mut self) -> &mut Times {
        self.times.get_or_insert_default()
    }
}
