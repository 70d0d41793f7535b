//! [`Event`]: what happens in a pool, told as it happens to an [`Observer`].

mod reason;

pub use self::reason::{CloseReason, FailureCause};
use std::time::Duration;

use http::StatusCode;

use crate::server::ServerId;

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
        server: ServerId,
        /// Its base URL.
        url: &'a str,
        /// Which attempt it was; the first is 1. Servers that could not be connected to count.
        attempt: u32,
        /// What it came to.
        reason: RetryReason,
        /// How long it will be before the next.
        pause: Duration,
    },
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
