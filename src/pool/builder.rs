//! [`Builder`]: settings first, then everything is checked at once.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use super::Pool;
use crate::balance::Balancer;
#[cfg(feature = "rustls-no-provider")]
use crate::config::TlsConfig;
use crate::config::{Config, Dialling, Ejection, HealthCheck, Retry, RetryBudget, SocketOptions};
use crate::conn::{Buffers, ConnShared, HeadLimits, Names, Overrides};
use crate::error::{Error, ErrorKind};
use crate::event::Observer;
use crate::rt::{Resolve, Runtime};
use crate::server::{Proxy, Server};
use crate::strategy::Strategy;
use crate::tasks::{self, Driver};
use crate::upstream::{Directory, Hub};

/// How many buffers of 16 KiB are kept for the next requests.
const KEPT_BUFFERS: usize = 64;

/// Settings of a pool that is to be built. See [`Config`] for the defaults and ranges.
#[derive(Clone, Default)]
#[must_use = "nothing is built before `build`"]
pub struct Builder {
    config: Config,
    runtime: Option<Runtime>,
    servers: Vec<Server>,
    balancer: Option<Arc<dyn Balancer>>,
    observer: Option<Arc<dyn Observer>>,
    resolver: Option<Arc<dyn Resolve>>,
    proxy: Option<Proxy>,
    overrides: Overrides,
}

macro_rules! setters {
    ($($(#[$doc:meta])* $name:ident: $type:ty,)*) => {$(
        $(#[$doc])*
        pub fn $name(mut self, $name: $type) -> Self {
            self.config.$name = $name;
            self
        }
    )*};
}

macro_rules! optional_setters {
    ($($(#[$doc:meta])* $name:ident,)*) => {$(
        $(#[$doc])*
        pub fn $name(mut self, timeout: impl Into<Option<Duration>>) -> Self {
            self.config.$name = timeout.into();
            self
        }
    )*};
}

impl Builder {
    /// Where sockets, time and background work come from. Default: `Runtime::async_io()`, if the
    /// feature `async-io` is on.
    pub fn runtime(mut self, runtime: Runtime) -> Self {
        self.runtime = Some(runtime);
        self
    }

    /// Adds a server. A pool may be built without any.
    pub fn server(mut self, server: Server) -> Self {
        self.servers.push(server);
        self
    }

    /// Adds several servers.
    pub fn servers(mut self, servers: impl IntoIterator<Item = Server>) -> Self {
        self.servers.extend(servers);
        self
    }

    /// How a server is picked for each request. Default: [`Strategy::RoundRobin`];
    /// [`Strategy`] says which one to choose.
    pub fn strategy(mut self, strategy: Strategy) -> Self {
        self.config.load_balance_strategy = strategy;
        self
    }

    /// How `https` servers are spoken to, but those with settings [of their own](Server::tls).
    #[cfg(feature = "rustls-no-provider")]
    #[cfg_attr(docsrs, doc(cfg(feature = "rustls")))]
    pub fn tls(mut self, tls: TlsConfig) -> Self {
        self.config.tls = tls;
        self
    }

    /// A strategy of your own, in the place of [`strategy`](Self::strategy).
    pub fn balancer(mut self, balancer: impl Balancer) -> Self {
        self.balancer = Some(Arc::new(balancer));
        self
    }

    /// Who is told what happens. Default: nobody.
    pub fn observer(mut self, observer: impl Observer) -> Self {
        self.observer = Some(Arc::new(observer));
        self
    }

    /// Looks names up through `resolver`, in the place of the runtime's. What it answers is kept
    /// for a while, and it is not asked for literal addresses: see [`Dialling`].
    pub fn resolver(mut self, resolver: impl Resolve) -> Self {
        self.resolver = Some(Arc::new(resolver));
        self
    }

    /// Reaches all servers by `proxy`, but for those that have [one of their own](Server::proxy),
    /// are to be reached [directly](Server::direct), or listen on a Unix-domain socket. Default:
    /// none; the environment is not asked.
    pub fn proxy(mut self, proxy: impl Into<Option<Proxy>>) -> Self {
        self.proxy = proxy.into();
        self
    }

    /// Gives `host` these addresses, without a look-up, and no others. A port of zero stands for
    /// that of the server.
    ///
    /// ```
    /// use std::net::SocketAddr;
    /// use evenkeel::{Pool, Server};
    ///
    /// let addrs = [SocketAddr::from(([10, 0, 0, 1], 0)), SocketAddr::from(([10, 0, 0, 2], 0))];
    /// let pool = Pool::builder()
    ///     .server(Server::new("http://api.example.com")?)
    ///     .resolve("api.example.com", addrs)
    ///     .build()?;
    /// # Ok::<(), evenkeel::Error>(())
    /// ```
    pub fn resolve(
        mut self,
        host: impl AsRef<str>,
        addrs: impl IntoIterator<Item = SocketAddr>,
    ) -> Self {
        let host = host.as_ref().to_ascii_lowercase();
        self.overrides.insert(host, addrs.into_iter().collect());
        self
    }

    /// See [`Config::max_requests_per_connection`]. Default: none. At least 1.
    pub fn max_requests_per_connection(mut self, most: impl Into<Option<u32>>) -> Self {
        self.config.max_requests_per_connection = most.into();
        self
    }

    /// See [`HealthCheck::interval()`]. Default: 30 s.
    pub fn health_check_interval(mut self, interval: Duration) -> Self {
        self.config.health_check.interval = interval;
        self
    }

    /// See [`HealthCheck::timeout()`]. Default: 5 s.
    pub fn health_check_timeout(mut self, timeout: Duration) -> Self {
        self.config.health_check.timeout = timeout;
        self
    }

    /// What health checks ask for. It does not make them [stricter](HealthCheck::get). Default:
    /// `/health`.
    pub fn health_check_path(mut self, path: impl Into<String>) -> Self {
        self.config.health_check.path = path.into();
        self
    }

    /// See [`HealthCheck::unhealthy_threshold()`]. Default: 3.
    pub fn unhealthy_threshold(mut self, count: u32) -> Self {
        self.config.health_check.unhealthy_threshold = count;
        self
    }

    /// See [`HealthCheck::healthy_threshold()`]. Default: 2.
    pub fn healthy_threshold(mut self, count: u32) -> Self {
        self.config.health_check.healthy_threshold = count;
        self
    }

    /// See [`Config::seed`]. Default: `None`.
    pub fn seed(mut self, seed: impl Into<Option<u64>>) -> Self {
        self.config.seed = seed.into();
        self
    }

    /// Replaces all settings but the servers, the runtime, the balancer, the observer, the
    /// resolver, the proxy, and what is set with [`resolve`](Self::resolve).
    pub fn config(mut self, config: Config) -> Self {
        self.config = config;
        self
    }

    setters! {
        /// See [`Config::max_connections_per_server`]. Default: 100.
        max_connections_per_server: usize,
        /// See [`Config::max_total_connections`]. Default: 1000.
        max_total_connections: usize,
        /// See [`Config::max_idle_connections`]. Default: 50.
        max_idle_connections: usize,
        /// See [`Config::min_idle`]. Default: 0.
        min_idle: usize,
        /// See [`Config::max_idle_time`]. Default: 5 min.
        max_idle_time: Duration,
        /// See [`Config::idle_conn_timeout`]. Default: 90 s.
        idle_conn_timeout: Duration,
        /// See [`Config::connect_timeout`]. Default: 10 s.
        connect_timeout: Duration,
        /// See [`Config::cleanup_interval`]. Default: 1 min.
        cleanup_interval: Duration,
        /// See [`Config::learn_idle_limit`]. Default: true.
        learn_idle_limit: bool,
        /// See [`Config::metrics_interval`]. Default: 10 s.
        metrics_interval: Duration,
        /// See [`Config::max_waiters`]. Default: 1024.
        max_waiters: usize,
        /// See [`Config::handoff_grace`]. Default: 50 ms.
        handoff_grace: Duration,
        /// See [`Config::max_connecting`]. Default: 16.
        max_connecting: usize,
        /// See [`Config::ewma_decay`]. Default: 10 s.
        ewma_decay: Duration,
        /// See [`Config::hash_balance_factor`]. Default: 125.
        hash_balance_factor: u32,
        /// See [`Config::health_check`]. Default: [`HealthCheck::default`].
        health_check: HealthCheck,
        /// See [`Config::ejection`]. Default: [`Ejection::default`].
        ejection: Ejection,
        /// See [`Config::panic_threshold`]. Default: 0.
        panic_threshold: u32,
        /// See [`Config::start_unknown`]. Default: true.
        start_unknown: bool,
        /// See [`Config::expect_timeout`]. Default: 1 s.
        expect_timeout: Duration,
        /// See [`Config::max_head_size`]. Default: 64 KiB.
        max_head_size: usize,
        /// See [`Config::max_headers`]. Default: 512.
        max_headers: usize,
        /// See [`Config::retry`]. Default: see [`Retry`].
        retry: Retry,
        /// See [`Config::retry_budget`]. Default: 20 %, and 10 a second, over 10 s.
        retry_budget: RetryBudget,
        /// How connections are opened: see [`Dialling`].
        dialling: Dialling,
        /// What is set on each socket: see [`SocketOptions`].
        socket_options: SocketOptions,
    }

    optional_setters! {
        /// See [`Config::slow_start`]. Default: 5 s; `None` switches it off.
        slow_start,
        /// See [`Config::max_lifetime`]. Default: none.
        max_lifetime,
        /// See [`Config::watch_interval`]. Default: 1 s; `None` switches it off.
        watch_interval,
        /// See [`Config::hold_warning`]. Default: none.
        hold_warning,
        /// See [`Config::queue_timeout`]. Default: none.
        queue_timeout,
        /// See [`Config::write_timeout`]. Default: none.
        write_timeout,
        /// See [`Config::response_head_timeout`]. Default: none.
        response_head_timeout,
        /// See [`Config::body_read_timeout`]. Default: none.
        body_read_timeout,
        /// See [`Config::request_timeout`]. Default: 30 s; `None` for no limit.
        request_timeout,
        /// See [`Config::keep_alive_timeout`]. Default: 30 s; `None` switches it off.
        keep_alive_timeout,
    }

    /// Builds the pool. Background work runs where the [`Runtime`] says.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] if a setting is out of range or contradicts another, if there is no
    /// runtime, or if the runtime is a tokio one without timers. [`ErrorKind::NoBackground`] if
    /// something is asked for that needs background work, and the runtime has no place for it.
    pub fn build(self) -> Result<Pool, Error> {
        let directory = self.assemble(false)?;
        tasks::arm(&directory);
        Ok(Pool::new(directory))
    }

    /// Builds the pool, and its background work as a future that the caller polls. Nothing is
    /// spawned, and no thread is started.
    ///
    /// ```
    /// # fn example() -> Result<(), evenkeel::Error> {
    /// use futures_lite::{FutureExt, future};
    ///
    /// let (pool, driver) = evenkeel::Pool::builder().build_with_driver()?;
    /// let work = async move { pool.metrics().servers };
    /// let servers = future::block_on(work.or(async { driver.await; 0 }));
    /// assert_eq!(servers, 0);
    /// # Ok(())
    /// # }
    /// # example().unwrap();
    /// ```
    ///
    /// # Errors
    /// As [`build`](Self::build), but for `NoBackground`.
    ///
    /// # Cancel safety
    /// The driver may be dropped at any time: the pool then goes on without background work.
    pub fn build_with_driver(self) -> Result<(Pool, Driver), Error> {
        let directory = self.assemble(true)?;
        let driver = tasks::driver(&directory);
        Ok((Pool::new(directory), driver))
    }

    /// Refuses what is asked for and needs background work, there being no place for it.
    fn check_background(config: &Config) -> Result<(), Error> {
        let asked = [
            ("min_idle", config.min_idle > 0),
            ("health_check", config.health_check.is_explicit()),
        ];
        let Some((name, _)) = asked.into_iter().find(|(_, is_asked)| *is_asked) else {
            return Ok(());
        };
        let message = format!(
            "{name} is set, and the runtime has no background work: call Runtime::spawner, or \
             Builder::build_with_driver"
        );
        Err(Error::new(ErrorKind::NoBackground, message))
    }

    fn assemble(mut self, driven: bool) -> Result<Arc<Directory>, Error> {
        self.config.validate()?;
        let mut runtime = self.runtime.map_or_else(default_runtime, Ok)?;
        runtime.check()?;
        if let Some(resolver) = self.resolver {
            runtime = runtime.with_resolver(resolver);
        }
        if driven {
            runtime = runtime.without_background();
        } else if !runtime.has_background() {
            Self::check_background(&self.config)?;
            self.config.health_check = HealthCheck::off();
        }
        let buffers = Buffers::new(KEPT_BUFFERS);
        let limits = HeadLimits {
            max_bytes: self.config.max_head_size,
            max_fields: self.config.max_headers,
        };
        check_overrides(&self.overrides)?;
        let names = Names::new(self.overrides);
        self.proxy.as_ref().map_or(Ok(()), Proxy::validate)?;
        let proxy = self.proxy;
        let conns =
            ConnShared { proxy, runtime, names, buffers, limits, steps: self.config.steps() };
        let directory = Directory::new(Hub::new(self.config, conns, self.observer)?, self.balancer);
        directory.add_all(self.servers)?;
        Ok(directory)
    }
}

fn check_overrides(overrides: &Overrides) -> Result<(), Error> {
    for (host, addrs) in overrides {
        if host.is_empty() || addrs.is_empty() {
            let message = format!("resolve({host:?}, ..) needs a host and at least one address");
            return Err(Error::new(ErrorKind::Config, message));
        }
    }
    Ok(())
}

impl fmt::Debug for Builder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Builder")
            .field("config", &self.config)
            .field("runtime", &self.runtime)
            .field("servers", &self.servers)
            .field("balancer", &self.balancer.is_some())
            .field("observer", &self.observer.is_some())
            .field("resolver", &self.resolver.is_some())
            .field("resolve", &self.overrides)
            .field("proxy", &self.proxy)
            .finish()
    }
}

#[cfg(feature = "async-io")]
#[expect(clippy::unnecessary_wraps, reason = "without the feature there is no default")]
fn default_runtime() -> Result<Runtime, Error> {
    Ok(Runtime::async_io())
}

#[cfg(not(feature = "async-io"))]
fn default_runtime() -> Result<Runtime, Error> {
    let message = "no runtime: call Builder::runtime, or switch the feature `async-io` on";
    Err(Error::new(ErrorKind::Config, message))
}
