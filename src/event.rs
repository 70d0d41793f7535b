//! [`Event`]: what happens in a pool, told as it happens to an [`Observer`].

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
    /// A server has left the pool. What is on loan may end.
    #[non_exhaustive]
    ServerRemoved {
        /// The server.
        id: ServerId,
        /// Its base URL.
        url: &'a str,
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
