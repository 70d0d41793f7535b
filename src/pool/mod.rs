//! [`Pool`]: the handle.

mod account;
mod body;
mod builder;
mod checkout;
mod exchange;
mod health;
mod idle;
mod read;
mod send;
mod shutdown;
mod tries;
mod upgraded;
mod verdict;
mod warm;

use std::borrow::Borrow;
use std::fmt;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use http::{Request, Response};

pub use self::body::{Body, LeasedBody};
pub use self::builder::Builder;
pub use self::checkout::{Checkout, ConnectionInfo};
pub use self::exchange::{ResponseInfo, Timings};
pub use self::idle::IdleInfo;
pub use self::shutdown::ShutdownReport;
pub use self::upgraded::Upgraded;
use crate::config::Limits;
use crate::error::{BoxError, Error, ErrorKind};
use crate::lockfree::histogram::Distribution;
use crate::metrics::{Explanation, Metrics, ServerStats};
use crate::select::Select;
use crate::server::{Server, ServerId, redact};
use crate::upstream::{Directory, Distributions};

/// A pool of connections to a set of servers. Cloning it is cheap, and shares it.
///
/// ```no_run
/// # async fn example() -> Result<(), evenkeel::Error> {
/// use evenkeel::{Pool, Server};
///
/// let pool = Pool::builder()
///     .server(Server::new("http://10.0.0.1:8080")?)
///     .server(Server::new("http://10.0.0.2:8080")?)
///     .build()?;
/// let text = pool.get("/hello").await?.into_body().text().await?;
/// # Ok(())
/// # }
/// ```
///
/// When the last handle is dropped the pool closes: idle connections at once, and those on loan
/// when they come back. Nothing is lost if [`shutdown`](Self::shutdown) is never called.
#[derive(Clone)]
pub struct Pool {
    inner: Arc<Inner>,
}

struct Inner {
    directory: Arc<Directory>,
    /// The report of the shutdown, once it is done.
    report: OnceLock<ShutdownReport>,
    /// What was there when draining began.
    draining: OnceLock<shutdown::Begun>,
}

impl Pool {
    /// Begins a new pool.
    pub fn builder() -> Builder {
        Builder::default()
    }

    fn new(directory: Arc<Directory>) -> Self {
        let inner = Inner { directory, report: OnceLock::new(), draining: OnceLock::new() };
        Self { inner: Arc::new(inner) }
    }

    /// Sends a GET for `path`, which is put behind the base path of the server that is picked.
    ///
    /// # Errors
    /// [`ErrorKind::Request`] if `path` is no path; otherwise as [`send`](Self::send).
    ///
    /// # Cancel safety
    /// As [`send`](Self::send).
    pub async fn get(&self, path: impl AsRef<str>) -> Result<Response<Body>, Error> {
        let path = path.as_ref();
        let request = Request::get(path).body(Body::empty()).map_err(|source| {
            Error::new(ErrorKind::Request, format!("{} is not a path", redact(path)))
                .retry_safe(true)
                .with_source(source)
        })?;
        self.send(request).await
    }

    /// Sends a request to a server of the pool, and returns the response once its head is here.
    /// Its body streams; when it has been read to the end, or dropped, the connection goes back.
    ///
    /// The URI is a path, which is put behind the server's base path, or an absolute URL, whose
    /// origin must be one of the pool's servers. Path and query go out as they are given: dot
    /// segments (`/../x`) are not removed, so a path from an untrusted source can lead a server out
    /// of the base path. Wishes travel as a [`Select`] in the request's
    /// extensions. A [`ResponseInfo`] is in the response's.
    ///
    /// A server that cannot be connected to is passed over for another. A request is sent again by
    /// itself only if the connection broke without any answer, and either nothing of the request
    /// had been sent, or the connection had been open before and the request may be repeated; or
    /// where [`Retry`](crate::Retry) asks for more. That page also says which requests and which
    /// bodies may be sent again. A body that says it is empty, as [`Body::empty`] does, is never
    /// asked. Any other is asked before the first byte is sent, since head and body go out
    /// together. Its first piece is kept until the head of the response is here. If in the end the
    /// error is the caller's, [`Error::is_retry_safe`] tells whether a new request with a new body
    /// is without risk.
    ///
    /// A body sent with `Expect: 100-continue` waits until the server asks for it, or for the
    /// [`expect_timeout`](crate::Config::expect_timeout). A response that comes before the request
    /// has been sent ends the sending, and the connection is closed once it is read. How to switch
    /// protocols, or to open a tunnel, is told at [`Upgraded`].
    ///
    /// # Errors
    /// [`Error::kind`] tells what went wrong, [`Error::phase`] in which step, and
    /// [`Error::is_retry_safe`] whether the request can be sent again without the risk that it is
    /// carried out twice. A status of 400 or more is a response, not an error.
    ///
    /// # Cancel safety
    /// Dropping the future gives everything back: the place in line, the permit, the connection,
    /// which is closed if the request had been begun.
    pub async fn send<B>(&self, request: Request<B>) -> Result<Response<Body>, Error>
    where
        B: http_body::Body,
        B::Error: Into<BoxError>,
    {
        send::send(&self.inner.directory, request).await
    }

    /// Takes a connection on loan, to send several requests over the same one. Dropping the
    /// checkout gives it back. The wishes can be handed over, or lent: who asks often for the same
    /// keeps a [`Select`].
    ///
    /// # Errors
    /// As [`send`](Self::send), as far as getting a connection goes.
    ///
    /// # Cancel safety
    /// Dropping the future leaves the line; a connection that had been granted goes to the next.
    pub async fn checkout(&self, select: impl Borrow<Select>) -> Result<Checkout, Error> {
        checkout::checkout(&self.inner.directory, select.borrow()).await
    }

    /// Takes an idle connection on loan, if there is one now. Never waits, and opens none.
    pub fn try_checkout(&self, select: &Select) -> Option<Checkout> {
        checkout::try_checkout(&self.inner.directory, select)
    }

    /// Adds a server. If one with the same URL is in the pool already, it stays, with the weight,
    /// tags and tier of the new one, and its id is returned.
    ///
    /// One that was [removed](Self::remove_server), and whose last requests are still under way,
    /// comes back as a new server, with a new id and connections of its own.
    ///
    /// # Errors
    /// [`ErrorKind::Closed`] if the pool is closed, [`ErrorKind::Config`] if the server's own limit
    /// is out of range.
    pub fn add_server(&self, server: Server) -> Result<ServerId, Error> {
        self.inner.directory.add(server)
    }

    /// Adds several servers at once, as [`add_server`](Self::add_server) does one by one; their
    /// ids, in the same order. What a strategy needs to know of all servers is worked out once, and
    /// not for each: that matters from hundreds of servers on. All are added, or none.
    ///
    /// ```
    /// # use evenkeel::{Error, Pool, Server};
    /// let pool = Pool::builder().build()?;
    /// let servers: Result<Vec<_>, Error> =
    ///     (1..=100).map(|n| Server::new(format!("http://10.0.0.{n}:8080"))).collect();
    /// assert_eq!(pool.add_servers(servers?)?.len(), 100);
    /// # Ok::<(), Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`add_server`](Self::add_server).
    pub fn add_servers(
        &self,
        servers: impl IntoIterator<Item = Server>,
    ) -> Result<Vec<ServerId>, Error> {
        self.inner.directory.add_all(servers.into_iter().collect())
    }

    /// Takes a server out of the pool. It gets no request from now on; its idle connections are
    /// closed, those on loan when they come back, and those who wait for it are sent to others.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] if it is not, or no longer, in the pool.
    pub fn remove_server(&self, id: ServerId) -> Result<(), Error> {
        self.inner.directory.remove(id)
    }

    /// Changes a server's [weight](Server::weight), for the picks that follow. With 0 it is
    /// drained: what is under way and in line ends as usual, and its idle connections expire.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] if it is not, or no longer, in the pool.
    pub fn set_weight(&self, id: ServerId, weight: u32) -> Result<(), Error> {
        self.inner.directory.set_weight(id, weight)
    }

    /// The limits now.
    pub fn limits(&self) -> Limits {
        self.inner.directory.hub.limits()
    }

    /// Changes the limits of a pool that is in use, for all servers but those with a limit
    /// [of their own](Server::max_connections).
    ///
    /// ```
    /// let pool = evenkeel::Pool::builder().max_total_connections(10).build()?;
    /// let mut limits = pool.limits();
    /// limits.max_total_connections = 200;
    /// limits.max_connections_per_server = 20;
    /// pool.set_limits(limits)?;
    /// assert_eq!(pool.limits().max_total_connections, 200);
    /// # Ok::<(), evenkeel::Error>(())
    /// ```
    ///
    /// When it returns, no connection is begun by the limits before. Where a limit has grown, those
    /// in line who fit have been served. Where one has shrunk, as many idle connections have been
    /// closed as are too many, the longest idle first. What is on loan or being opened is never
    /// cut: while there are still too many, each connection that comes back is closed, even if
    /// somebody waits for one. Callers in line stay there when `max_waiters` shrinks.
    ///
    /// Limits are set as a whole. If several threads set them at the same time, the last one wins,
    /// for every server and in total.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] if a limit is out of range or below `min_idle`; the message names it,
    /// and nothing is changed. [`ErrorKind::Closed`] if the pool is closed.
    pub fn set_limits(&self, limits: Limits) -> Result<(), Error> {
        self.inner.directory.set_limits(limits)
    }

    /// Tells where the next request with these wishes would go, and why: the servers, what each
    /// would cost, and why some are not picked from. It changes nothing: neither does a turn pass,
    /// nor do the dice fall. Other requests may come between it and the next pick. A
    /// [`Balancer`](crate::Balancer) of your own is asked.
    ///
    /// ```
    /// use evenkeel::{Pool, Select, Server, Verdict};
    ///
    /// let server = Server::new("http://10.0.0.1")?;
    /// let pool = Pool::builder().server(server.clone().weight(0)).build()?;
    /// println!("{}", pool.explain(&Select::new()));
    /// assert!(matches!(pool.explain(&Select::new()).verdict, Verdict::Nowhere(_)));
    /// let id = pool.add_server(server)?;
    /// assert_eq!(pool.explain(&Select::new()).verdict, Verdict::Connect(id));
    /// # Ok::<(), evenkeel::Error>(())
    /// ```
    pub fn explain(&self, select: &Select) -> Explanation {
        let directory = &*self.inner.directory;
        directory.explain(&checkout::wish(directory, select, &mut Vec::new()))
    }

    /// What the pool has done and is doing.
    pub fn metrics(&self) -> Metrics {
        self.inner.directory.metrics()
    }

    /// How long callers waited for a connection to come free, those who waited, in nanoseconds.
    ///
    /// ```
    /// # use evenkeel::{Pool, Server};
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let pool = Pool::builder().server(Server::new("http://127.0.0.1:8001")?).build()?;
    /// let before = pool.wait_times();
    /// // ... some minutes later:
    /// let waits = pool.wait_times().since(&before);
    /// if let (Some(p99), Some(max)) = (waits.quantile(0.99), waits.max()) {
    ///     println!("{} waits, p99 {p99} ns, longest {max} ns", waits.count());
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn wait_times(&self) -> Distribution {
        self.inner.directory.hub.histograms.waits.snapshot()
    }

    /// How long the steps of requests took, and what became of connections, by quantiles: since the
    /// start, or since [an earlier look](Distributions::since).
    ///
    /// ```
    /// # use evenkeel::Pool;
    /// # let pool = Pool::builder().build()?;
    /// let before = pool.distributions();
    /// // ... some minutes later:
    /// let lately = pool.distributions().since(&before);
    /// let requests = lately.request;
    /// if let (Some(p50), Some(p99)) = (requests.quantile(0.5), requests.quantile(0.99)) {
    ///     println!("{} requests, median {p50} ns, p99 {p99} ns", requests.count());
    /// }
    /// # Ok::<(), evenkeel::Error>(())
    /// ```
    pub fn distributions(&self) -> Distributions {
        self.inner.directory.hub.histograms.snapshot()
    }

    /// What each server has done and is doing, in the order in which they were added.
    pub fn server_stats(&self) -> Vec<ServerStats> {
        self.inner.directory.server_stats()
    }

    /// Shuts the pool down. New calls and callers in line get [`ErrorKind::Closed`] at once; idle
    /// connections are closed; what is on loan may end within `grace`, and is then cut: whoever
    /// waits on it is woken and gets an error, and a socket whose holder does nothing with it is
    /// closed when it is next used or dropped. Returns when that is done and background work has
    /// ended, for which it waits a second at the most. Every caller gets the same report.
    ///
    /// # Cancel safety
    /// Dropping the future does not undo it: the pool stays closed to new calls, and what is on
    /// loan ends by itself.
    pub async fn shutdown(&self, grace: Duration) -> ShutdownReport {
        self.inner.shutdown(grace).await
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        shutdown::close(&self.directory);
    }
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool").field("servers", &self.inner.directory).finish_non_exhaustive()
    }
}
