//! [`Event`]: what happens in a pool, told as it happens to an [`Observer`].

mod reason;

use std::time::Duration;

use http::{Method, StatusCode};

pub use self::reason::{CloseReason, FailureCause};
use crate::server::{Health, HealthReason, ServerId, ServerState};

/// Something that has happened in a pool.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Event<'a> {
    /// A server has joined the pool.
    #[non_exhaustive]
    ServerAdded {
        /// The server.
        id: ServerId,
        /// Its base URL.
        url: &'a str,
    },
    /// Dials of a server have failed so often in a row that it is left in peace for a while.
    #[non_exhaustive]
    DialsPaused {
        /// The server.
        id: ServerId,
        /// Its base URL.
        url: &'a str,
        /// How many have failed since the last that made a connection.
        failures: u32,
        /// For how long no further one is begun.
        pause: Duration,
    },
    /// A server has left the pool. What is on loan may end.
    #[non_exhaustive]
    ServerRemoved {
        /// The server.
        id: ServerId,
        /// Its base URL.
        url: &'a str,
    },
    /// A request is about to be sent again. It is told before the pause, if there is one.
    #[non_exhaustive]
    Retry {
        /// The server at which the attempt came to nothing.
        id: ServerId,
        /// Its base URL.
        url: &'a str,
        /// Which attempt it was; the first is 1. Servers that could not be connected to count.
        attempt: u32,
        /// What it came to.
        reason: RetryReason,
        /// How long it will be before the next.
        pause: Duration,
    },
    /// A server's health has changed. That an ejected one is [on trial](Health::Trial) is not told:
    /// it becomes so with time alone.
    #[non_exhaustive]
    HealthChanged {
        /// The server.
        id: ServerId,
        /// Its base URL.
        url: &'a str,
        /// What it was.
        from: Health,
        /// What it is.
        to: Health,
        /// Why.
        why: HealthReason,
    },
    /// Something else was decided about a server.
    #[non_exhaustive]
    StateChanged {
        /// The server.
        id: ServerId,
        /// Its base URL.
        url: &'a str,
        /// What was decided.
        state: ServerState,
    },
    /// Too few servers are well: from now on their health is ignored.
    PanicBegan,
    /// Enough servers are well again.
    PanicEnded,
    /// A connection has been made.
    #[non_exhaustive]
    ConnectionOpened {
        /// The server.
        id: ServerId,
        /// Its base URL.
        url: &'a str,
        /// How long resolving and connecting took.
        took: Duration,
    },
    /// A connection has been closed. Each that was opened is, once.
    #[non_exhaustive]
    ConnectionClosed {
        /// The server.
        id: ServerId,
        /// Its base URL.
        url: &'a str,
        /// Why.
        reason: CloseReason,
        /// How long ago it was made.
        age: Duration,
        /// How many requests were begun on it.
        uses: u32,
        /// Bytes read from it.
        bytes_in: u64,
        /// Bytes written to it.
        bytes_out: u64,
    },
    /// A request has ended: with the end of the response's body, with an error, or since its caller
    /// has given it up. Each that was begun is told, once, however often it was sent.
    #[non_exhaustive]
    RequestDone {
        /// The method.
        method: &'a Method,
        /// The path, without the query.
        path: &'a str,
        /// The status of the response, if there was one.
        status: Option<StatusCode>,
        /// How it ended.
        outcome: RequestOutcome,
        /// The server that it was sent to last, if it was sent to any.
        server: Option<ServerId>,
        /// The base URL of that.
        url: Option<&'a str>,
        /// How often it was sent, or a connection for it tried.
        attempts: u32,
        /// Whether the last connection was open already.
        reused: bool,
        /// How long it took, from the call on.
        duration: Duration,
    },
    /// A caller was turned away because too many waited.
    #[non_exhaustive]
    QueueFull {
        /// The server at which it wanted to wait.
        id: ServerId,
        /// Its base URL.
        url: &'a str,
        /// Whether it had waited, and was turned away for one of a higher priority.
        shed: bool,
    },
    /// A checkout has come back that was out for longer than
    /// [`hold_warning`](crate::Config::hold_warning).
    #[non_exhaustive]
    CheckoutHeld {
        /// The server.
        id: ServerId,
        /// Its base URL.
        url: &'a str,
        /// How long it was out, in whole milliseconds.
        held: Duration,
    },
    /// A [shutdown](crate::Pool::shutdown) has begun: nobody is let in any more.
    #[non_exhaustive]
    DrainBegun {
        /// Connections that are on loan.
        on_loan: u64,
        /// Callers in line who were sent away.
        waiters_failed: u64,
    },
    /// What was on loan has come back, or its time is up, and it is about to be cut.
    #[non_exhaustive]
    DrainEnded {
        /// Connections that came back.
        completed: u64,
        /// Connections that did not.
        cut: u64,
    },
    /// The pool is closed: shut down, or dropped with its last handle.
    Closed,
}

/// Why a request is sent again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RetryReason {
    /// A connection that had been open before was closed by the server, or had gone.
    Stale,
    /// A new connection broke before it took a byte of the request.
    Unsent,
    /// The request was sent on a new connection, and no byte of an answer came.
    NoAnswer,
    /// The answer has a status for which the caller wants another.
    Status(StatusCode),
    /// The server does not go along with `Expect: 100-continue`: the request is repeated without
    /// it.
    Expectation,
}

/// How a request ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RequestOutcome {
    /// With a status below 500 and its whole body.
    Succeeded,
    /// With an error, or a status of 500 or more.
    Failed(FailureCause),
    /// Its caller gave it up.
    Cancelled,
}

/// Is told what happens in a pool.
///
/// It is called in the midst of things, by whoever did them: by a request in its caller's task, or
/// by background work. So it must be quick, and must not block. It may call the pool. If it panics,
/// the panic is caught, and the pool goes on. Any `Fn(&Event<'_>)` is an observer:
///
/// ```
/// use evenkeel::{Event, Pool, Server};
///
/// let pool = Pool::builder()
///     .server(Server::new("http://10.0.0.1:8080")?)
///     .observer(|event: &Event<'_>| println!("{event:?}"))
///     .build()?;
/// # Ok::<(), evenkeel::Error>(())
/// ```
pub trait Observer: Send + Sync + 'static {
    /// Takes note of one event.
    fn observe(&self, event: &Event<'_>);
}

impl<F> Observer for F
where
    F: Fn(&Event<'_>) + Send + Sync + 'static,
{
    fn observe(&self, event: &Event<'_>) {
        self(event);
    }
}
