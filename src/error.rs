//! [`Error`]: what went wrong, in which phase, at which server, and whether a retry is safe.

use std::borrow::Cow;
use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use http::Request;
use http::request::Parts;

/// A boxed error of another crate.
pub(crate) type BoxError = Box<dyn StdError + Send + Sync>;

/// Why an operation of the pool failed.
///
/// `Display` prints one level; [`source`](StdError::source) leads to the cause. What a program may
/// rely on are the predicates and accessors, not the text.
pub struct Error {
    // One word in every `Result`: errors are rare, futures that carry them are not.
    repr: Box<Repr>,
}

struct Repr {
    kind: ErrorKind,
    phase: Option<Phase>,
    server: Option<Arc<str>>,
    attempts: u32,
    retry_safe: bool,
    reused: bool,
    retry_after: Option<Duration>,
    request: Option<Parts>,
    message: Cow<'static, str>,
    source: Option<BoxError>,
}

/// The kinds of [`Error`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The caller's request body ended with an error, or was not of its declared length; or a
    /// response that was to be text is not UTF-8.
    Body,
    /// The pool is draining or closed.
    Closed,
    /// A setting is out of range or contradicts another; the message names it.
    Config,
    /// No connection could be made.
    Connect,
    /// Something is asked for that needs background work, and the runtime has no place for it.
    NoBackground,
    /// There are servers for this request, and none of them is well.
    NoHealthyServers,
    /// The pool has no servers, or none that this request may have: each has weight 0, is drained
    /// or disabled, lacks the tag that is asked for, or is excluded.
    NoServers,
    /// The server with this id is not, or no longer, in the pool.
    NotFound,
    /// The peer did not speak HTTP/1.1 as it should.
    Protocol,
    /// Too many callers wait for this server already, or one of a higher priority has taken this
    /// one's place.
    QueueFull,
    /// The request cannot be sent as it is: a malformed path, a foreign origin, or contradictory
    /// framing fields.
    Request,
    /// The connection ended while it was in use.
    Reset,
    /// The server's name could not be resolved.
    Resolve,
    /// A deadline passed; [`Error::phase`] says in which step.
    Timeout,
    /// TLS with the server failed: in the handshake, which no server sees a request before, or
    /// later, where it refused the client's certificate.
    Tls,
    /// A server's URL is not usable.
    Url,
}

/// The steps of a request, in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Phase {
    /// Waiting for a connection to come free.
    Queue,
    /// Looking the server's name up.
    Resolve,
    /// Opening the connection.
    Connect,
    /// Setting TLS up over it.
    Tls,
    /// Sending the request.
    Write,
    /// Waiting for the head of the response.
    Response,
    /// Reading the body of the response.
    Body,
}

impl Error {
    #[cold]
    pub(crate) fn new(kind: ErrorKind, message: impl Into<Cow<'static, str>>) -> Self {
        Self {
            repr: Box::new(Repr {
                kind,
                phase: None,
                server: None,
                attempts: 0,
                retry_safe: false,
                reused: false,
                retry_after: None,
                request: None,
                message: message.into(),
                source: None,
            }),
        }
    }

    pub(crate) fn with_source(mut self, source: impl Into<BoxError>) -> Self {
        self.repr.source = Some(source.into());
        self
    }

    pub(crate) fn at(mut self, phase: Phase) -> Self {
        self.repr.phase = Some(phase);
        self
    }

    pub(crate) fn of_server(mut self, server: &Arc<str>) -> Self {
        self.repr.server = Some(server.clone());
        self
    }

    pub(crate) fn after_attempts(mut self, attempts: u32) -> Self {
        self.repr.attempts = attempts;
        self
    }

    pub(crate) fn retry_safe(mut self, safe: bool) -> Self {
        self.repr.retry_safe = safe;
        self
    }

    pub(crate) fn on_reused(mut self, reused: bool) -> Self {
        self.repr.reused = reused;
        self
    }

    /// The pool does not try before then.
    pub(crate) fn with_retry_after(mut self, time: Duration) -> Self {
        self.repr.retry_after = Some(time);
        self
    }

    /// Gives the request back, if it may be sent again.
    pub(crate) fn with_request(mut self, parts: Parts) -> Self {
        if self.repr.retry_safe {
            self.repr.request = Some(parts);
        }
        self
    }

    /// What went wrong.
    pub fn kind(&self) -> ErrorKind {
        self.repr.kind
    }

    /// The step in which it went wrong, where there is one.
    pub fn phase(&self) -> Option<Phase> {
        self.repr.phase
    }

    /// The URL of the server it happened at, where one had been picked.
    pub fn server(&self) -> Option<&str> {
        self.repr.server.as_deref()
    }

    /// How many connections were tried for this request, those included that could not be made.
    pub fn attempts(&self) -> u32 {
        self.repr.attempts
    }

    /// Whether the request can be sent again without the risk that it is carried out twice: the
    /// server cannot have acted on it.
    pub fn is_retry_safe(&self) -> bool {
        self.repr.retry_safe
    }

    /// Whether the connection that failed had carried a request before.
    pub fn reused(&self) -> bool {
        self.repr.reused
    }

    /// How long it was until the pool would try again, where it did not try: the server has failed
    /// to be connected to so often that it is left in peace for a while
    /// ([`Dialling`](crate::Dialling)).
    pub fn retry_after(&self) -> Option<Duration> {
        self.repr.retry_after
    }

    /// The request without its body, where [`is_retry_safe`](Self::is_retry_safe) says that it can
    /// be sent again and nothing has been taken from its body, in any attempt; `None` otherwise,
    /// and where there was no request.
    ///
    /// To have the body as well, lend it: `&mut B` is a body, too, and still yours afterwards.
    ///
    /// ```no_run
    /// # async fn example(pool: evenkeel::Pool) -> Result<(), evenkeel::Error> {
    /// use evenkeel::Body;
    /// use http::Request;
    ///
    /// let mut body = Body::from("{}");
    /// let request = Request::post("/jobs").body(&mut body).expect("a valid request");
    /// let response = match pool.send(request).await {
    ///     Ok(response) => response,
    ///     Err(error) => match error.into_request() {
    ///         Some(again) => pool.send(again.map(|()| body)).await?,
    ///         None => return Ok(()),
    ///     },
    /// };
    /// # drop(response);
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn into_request(self) -> Option<Request<()>> {
        self.repr.request.map(|parts| Request::from_parts(parts, ()))
    }

    /// A deadline passed.
    pub fn is_timeout(&self) -> bool {
        self.repr.kind == ErrorKind::Timeout
    }

    /// No connection could be made: the name did not resolve, the server refused, TLS did not come
    /// about, or it took too long.
    pub fn is_connect(&self) -> bool {
        match self.repr.kind {
            ErrorKind::Connect | ErrorKind::Resolve => true,
            ErrorKind::Tls => self.repr.phase == Some(Phase::Tls),
            ErrorKind::Timeout => {
                matches!(self.repr.phase, Some(Phase::Resolve | Phase::Connect | Phase::Tls))
            }
            _ => false,
        }
    }

    /// TLS is at fault: a certificate, a version, a refusal, or a handshake that took too long.
    pub fn is_tls(&self) -> bool {
        self.repr.kind == ErrorKind::Tls
            || (self.is_timeout() && self.repr.phase == Some(Phase::Tls))
    }

    /// The pool is draining or closed.
    pub fn is_closed(&self) -> bool {
        self.repr.kind == ErrorKind::Closed
    }

    /// The pool, its settings or the request are at fault: trying again will not help.
    pub fn is_usage(&self) -> bool {
        use ErrorKind::{Config, NoBackground, Request, Url};
        matches!(self.repr.kind, Config | NoBackground | Request | Url)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.repr.message)?;
        if let Some(server) = &self.repr.server {
            write!(f, " ({server}")?;
            if self.repr.attempts > 1 {
                write!(f, ", attempt {}", self.repr.attempts)?;
            }
            f.write_str(")")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = f.debug_struct("Error");
        out.field("kind", &self.repr.kind).field("message", &self.repr.message);
        if let Some(phase) = &self.repr.phase {
            out.field("phase", phase);
        }
        if let Some(server) = &self.repr.server {
            out.field("server", server).field("attempts", &self.repr.attempts);
        }
        if let Some(source) = &self.repr.source {
            out.field("source", source);
        }
        out.finish()
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.repr.source.as_ref().map(|source| &**source as &(dyn StdError + 'static))
    }
}
