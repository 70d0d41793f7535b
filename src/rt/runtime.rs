//! [`Runtime`]: the four traits in one value, and the ready-made bundles.

use std::fmt;
use std::sync::Arc;

#[cfg(any(feature = "smol", feature = "tokio"))]
use super::BoxFuture;
use super::{Connector, Resolve, Spawner, Timer};
use crate::error::{Error, ErrorKind};

/// How a pool's background work runs.
#[derive(Clone)]
pub(crate) enum Background {
    /// Handed to a spawner as one task.
    Spawned(Arc<dyn Spawner>),
    /// On one thread of its own, named `evenkeel`.
    #[cfg_attr(
        not(feature = "async-io"),
        expect(dead_code, reason = "only async-io's timers work on a thread without an executor")
    )]
    Thread,
    /// Not at all, unless the caller polls the driver.
    None,
}

/// What a pool needs of the outside world: a clock, sockets, names, and a place for background
/// work.
///
/// It is injected, never detected. Cloning is cheap.
///
/// | constructor | sockets and timers | background work |
/// |---|---|---|
/// | [`async_io`](Self::async_io) | async-io's reactor, from any executor or none | one thread named `evenkeel` |
/// | [`smol`](Self::smol) | the same | a task on the given executor |
/// | [`tokio`](Self::tokio) | tokio's own | a task on the given runtime |
/// | [`custom`](Self::custom) | yours | none, unless [`spawner`](Self::spawner) is set |
#[derive(Clone)]
pub struct Runtime {
    timer: Arc<dyn Timer>,
    connector: Arc<dyn Connector>,
    resolver: Arc<dyn Resolve>,
    background: Background,
    /// Why no pool can be built on it, if that was found out.
    fault: Option<&'static str>,
}

impl Runtime {
    /// A runtime of your own parts. Without a [`spawner`](Self::spawner) there is no background
    /// work, and everything else still holds.
    pub fn custom(timer: impl Timer, connector: impl Connector, resolver: impl Resolve) -> Self {
        Self {
            timer: Arc::new(timer),
            connector: Arc::new(connector),
            resolver: Arc::new(resolver),
            background: Background::None,
            fault: None,
        }
    }

    /// Runs background work through `spawner` instead.
    #[must_use]
    pub fn spawner(mut self, spawner: impl Spawner) -> Self {
        self.background = Background::Spawned(Arc::new(spawner));
        self
    }

    /// Opens connections through `connector` instead.
    #[must_use]
    pub fn connector(mut self, connector: impl Connector) -> Self {
        self.connector = Arc::new(connector);
        self
    }

    /// Opens connections through what `wrap` makes of the connector so far: to log or to count
    /// them, to limit them, or to lead some of them elsewhere.
    ///
    /// ```
    /// use std::io;
    /// use std::sync::Arc;
    /// use evenkeel::{BoxFuture, Connector, Runtime, Target, Transport};
    ///
    /// struct Logged(Arc<dyn Connector>);
    ///
    /// impl Connector for Logged {
    ///     fn connect<'a>(
    ///         &'a self,
    ///         target: &'a Target,
    ///     ) -> BoxFuture<'a, io::Result<Box<dyn Transport>>> {
    ///         println!("connecting to {} at {}", target.host, target.addr);
    ///         self.0.connect(target)
    ///     }
    /// }
    ///
    /// # fn example(runtime: Runtime) -> Runtime {
    /// let runtime = runtime.wrap_connector(Logged);
    /// # runtime
    /// # }
    /// ```
    #[must_use]
    pub fn wrap_connector<C: Connector>(
        mut self,
        wrap: impl FnOnce(Arc<dyn Connector>) -> C,
    ) -> Self {
        self.connector = Arc::new(wrap(self.connector));
        self
    }

    /// Looks names up through `resolver` instead.
    #[must_use]
    pub fn resolver(mut self, resolver: impl Resolve) -> Self {
        self.resolver = Arc::new(resolver);
        self
    }

    pub(crate) fn with_resolver(mut self, resolver: Arc<dyn Resolve>) -> Self {
        self.resolver = resolver;
        self
    }

    /// Sockets and timers of async-io, which brings its own reactor thread and so works under any
    /// executor, or under a bare `block_on`. Background work runs on one thread named `evenkeel`,
    /// which is started with the first server that is checked, or else with the first connection
    /// (at once with a `min_idle`), and ends with the pool.
    #[cfg(feature = "async-io")]
    pub fn async_io() -> Self {
        use super::async_io::{AsyncIo, UnblockedLookup};
        let mut runtime = Self::custom(AsyncIo, AsyncIo, UnblockedLookup);
        runtime.background = Background::Thread;
        runtime
    }

    /// Like [`async_io`](Self::async_io), with background work on a smol executor.
    #[cfg(feature = "smol")]
    #[cfg_attr(docsrs, doc(cfg(feature = "smol")))]
    pub fn smol(executor: Arc<async_executor::Executor<'static>>) -> Self {
        Self::async_io().spawner(move |task: BoxFuture<'static, ()>| executor.spawn(task).detach())
    }

    /// Sockets, timers and background work of the tokio runtime behind `handle`. The pool may be
    /// used from any thread, inside that runtime or outside of it.
    ///
    /// The runtime must have been built with `enable_all`. Without timers [`Builder::build`] is an
    /// error; without sockets every connect is. Both are found out from a panic of tokio's, which
    /// is caught; the panic hook may print it.
    ///
    /// The runtime must run while the pool is used. One with worker threads does. A
    /// `current_thread` runtime has only the thread that is inside its `block_on`: as long as
    /// there is none, a pool that is used from outside waits, and even its timeouts do.
    ///
    /// [`Builder::build`]: crate::Builder::build
    #[cfg(feature = "tokio")]
    #[cfg_attr(docsrs, doc(cfg(feature = "tokio")))]
    pub fn tokio(handle: ::tokio::runtime::Handle) -> Self {
        use super::tokio::Tokio;
        let tokio = Tokio::new(handle.clone());
        let fault = tokio.fault();
        let spawner = move |task: BoxFuture<'static, ()>| drop(handle.spawn(task));
        let runtime = Self::custom(tokio.clone(), tokio.clone(), tokio).spawner(spawner);
        Self { fault, ..runtime }
    }

    /// Whether a pool can be built on it.
    ///
    /// # Errors
    /// [`ErrorKind::Config`], if it lacks something that no pool can do without.
    pub(crate) fn check(&self) -> Result<(), Error> {
        match self.fault {
            None => Ok(()),
            Some(fault) => Err(Error::new(ErrorKind::Config, fault)),
        }
    }

    pub(crate) fn timer(&self) -> &dyn Timer {
        &*self.timer
    }

    pub(crate) fn dialler(&self) -> &dyn Connector {
        &*self.connector
    }

    #[cfg(test)]
    pub(crate) fn lookup(&self) -> &dyn Resolve {
        &*self.resolver
    }

    /// The resolver, for a look-up that outlives its caller.
    pub(crate) fn shared_lookup(&self) -> Arc<dyn Resolve> {
        self.resolver.clone()
    }

    pub(crate) fn background(&self) -> &Background {
        &self.background
    }

    /// Whether there is a place for background work.
    pub(crate) fn has_background(&self) -> bool {
        !matches!(self.background, Background::None)
    }

    pub(crate) fn without_background(mut self) -> Self {
        self.background = Background::None;
        self
    }
}

impl fmt::Debug for Runtime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let background = match self.background {
            Background::Spawned(_) => "spawned",
            Background::Thread => "thread",
            Background::None => "none",
        };
        f.debug_struct("Runtime").field("background", &background).finish_non_exhaustive()
    }
}
