//! [`Config`]: limits and timeouts as plain data, validated once, at `build()`.

mod check;
mod dialling;
mod ejection;
mod health;
mod limits;
mod retry;
mod socket;
#[cfg(feature = "rustls-no-provider")]
mod tls;

use std::time::Duration;

pub(crate) use self::check::FOREVER;
use self::check::{in_range, positive, refuse};
pub use self::dialling::Dialling;
pub use self::ejection::Ejection;
pub(crate) use self::health::{CheckKind, validate_check_at};
pub use self::health::{CheckResponse, HealthCheck};
pub use self::limits::Limits;
pub(crate) use self::limits::validate_max_connections;
pub use self::retry::{Retry, RetryBudget};
pub use self::socket::SocketOptions;
#[cfg(feature = "rustls-no-provider")]
pub use self::tls::{TlsConfig, TlsCrypto, TlsVersion};
use crate::error::Error;
use crate::strategy::Strategy;

/// The limits and timeouts of a pool.
///
/// The builder has a setter for each field, under the same name, but
/// [`strategy`](crate::Builder::strategy) for `load_balance_strategy`. Durations of zero are
/// refused; where a timeout can be switched off, it is an `Option`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Config {
    /// The most sockets open to one server at a time, dialling and idle ones included. A health
    /// check has one of its own. Default: 100. Range: 1 to 65,535.
    pub max_connections_per_server: usize,
    /// The most sockets open at a time over all servers, dialling and idle ones included.
    /// Default: 1000. At least 1.
    pub max_total_connections: usize,
    /// The most idle connections kept over all servers; above it the longest idle is closed.
    /// Default: 50. Zero closes every connection after use, unless a caller waits for it.
    pub max_idle_connections: usize,
    /// How many connections background work keeps open to each server that may be picked, those in
    /// use included: none to one that is down, ejected or disabled, or has weight 0. It opens what
    /// is lacking, from the start on, and replaces one that is about to end a second before. It
    /// gives way to requests: no limit is passed, nothing taken that a caller waits for, and no
    /// other connection closed for it. After a failure it pauses, 0.5 s at first and 60 s at most.
    /// So many idle ones outlive `idle_conn_timeout`. If there are so many servers that the floors
    /// do not fit in `max_idle_connections`, they share it evenly. Default: 0. At most
    /// `max_connections_per_server` and `max_idle_connections`. A runtime without background work
    /// is refused when the pool is built.
    pub min_idle: usize,
    /// How long the `min_idle` last idle connections of a server are kept, unused. With a
    /// `min_idle` of zero the smaller of this and `idle_conn_timeout` holds. Default: 5 min.
    pub max_idle_time: Duration,
    /// How long idle connections above `min_idle` are kept. Where their server keeps them for a
    /// shorter time, as it says (`Keep-Alive: timeout`) or has shown (`learn_idle_limit`), that
    /// holds for all of them, less a fifth, a second at most. Default: 90 s.
    pub idle_conn_timeout: Duration,
    /// How long a connection may live. One that is older is closed when it comes back, or where it
    /// is idle; in use it is never cut. Each ends up to a tenth earlier, by chance, so that those
    /// made together do not end together. Default: `None`, no limit.
    pub max_lifetime: Option<Duration>,
    /// How many requests a connection may carry. At least 1. Default: `None`, no limit.
    pub max_requests_per_connection: Option<u32>,
    /// How long resolving a name, connecting, a proxy's tunnel and TLS may take, all together.
    /// Default: 10 s.
    pub connect_timeout: Duration,
    /// How long a caller may wait in line for a connection. Default: `None`, which leaves it to
    /// `request_timeout`.
    pub queue_timeout: Option<Duration>,
    /// How long the server may take nothing of a request while some of it waits to be sent.
    /// Default: `None`, which leaves it to `request_timeout`.
    pub write_timeout: Option<Duration>,
    /// How long the head of the response may be awaited once the request is sent.
    /// Default: `None`, which leaves it to `request_timeout`.
    pub response_head_timeout: Option<Duration>,
    /// How long a reader of the response's body may wait for more of it. The time in which nobody
    /// reads does not count. Default: `None`, which leaves it to `request_timeout`.
    pub body_read_timeout: Option<Duration>,
    /// How long a request with `Expect: 100-continue` holds its body back if the server says
    /// nothing. Then the body is sent. Default: 1 s.
    pub expect_timeout: Duration,
    /// How long a request may take, from the call to the end of the response's body, waiting and
    /// connecting included. Default: 30 s. `None`: no limit.
    pub request_timeout: Option<Duration>,
    /// TCP keep-alive: probe a silent connection after this long, and then as often.
    /// Default: 30 s. `None`: off.
    pub keep_alive_timeout: Option<Duration>,
    /// How often at least the background work looks for expired connections. Expiry itself does
    /// not depend on it: an expired connection is never handed out. Default: 1 min.
    pub cleanup_interval: Duration,
    /// How often background work looks for idle connections that it does not watch yet. One that
    /// has been idle for so long is watched from the next look on: when its server closes it, or
    /// sends what nobody asked for, it is closed at once. (A [`Transport`](crate::Transport) of
    /// your own that has no `poll_peek` is looked at in each interval instead.) Default: 1 s.
    /// `None`: a close is found out when the connection is to be used, or expires.
    pub watch_interval: Option<Duration>,
    /// Whether to learn how long a server keeps idle connections from those that it has closed, and
    /// to close them a moment before it does: a request that crosses its close may fail. Three
    /// closings that agree make a limit, and ten minutes without one make it forgotten. Background
    /// work learns the age at which they come; without, the age at which they are found closed.
    /// Default: true.
    pub learn_idle_limit: bool,
    /// Over how much time `requests_per_second` and the like are told: see
    /// [`Metrics::requests_per_second`](crate::Metrics::requests_per_second). Default: 10 s.
    /// Range: 10 ms to 1 h.
    pub metrics_interval: Duration,
    /// How long a checkout may be out before an observer is told of it, once it comes back. In
    /// whole milliseconds, rounded up. Default: `None`, never.
    pub hold_warning: Option<Duration>,
    /// The most callers that may wait for one server. Beyond it a caller is refused, or, if its
    /// priority is above that of somebody who waits, takes the place of the last of the lowest.
    /// Default: 1024.
    pub max_waiters: usize,
    /// How long a caller that has been given a connection, or the right to open one, may take to
    /// come for it while others wait; then it goes to the next, and the caller waits again. It
    /// keeps what it is given next. In whole milliseconds, rounded up. Default: 50 ms.
    pub handoff_grace: Duration,
    /// The most connections being opened to one server at a time. Default: 16. At least 1.
    pub max_connecting: usize,
    /// How a server is picked for each request. Default: [`Strategy::RoundRobin`].
    pub load_balance_strategy: Strategy,
    /// How fast [`Strategy::PeakEwma`] forgets a slow response: the time in which it falls to 1/e.
    /// Shorter finds a server that has recovered sooner, longer keeps off one that is slow now and
    /// then. Default: 10 s. Range: 1 ms to 1 h.
    pub ewma_decay: Duration,
    /// What a server may have of the load under [`Strategy::BoundedLoadHash`], in percent of its
    /// fair share. Default: 125. Range: 101 to 1000.
    pub hash_balance_factor: u32,
    /// Where the dice of the strategies and the lifetimes begin. Default: `None`, elsewhere in each
    /// pool. With a seed, the same calls in the same order make the same picks.
    pub seed: Option<u64>,
    /// How servers are checked. The seconds, the path and the thresholds have setters of their own
    /// on the builder. Default: [`HealthCheck::default`].
    pub health_check: HealthCheck,
    /// When requests that fail take a server out of rotation. Default: [`Ejection::default`].
    pub ejection: Ejection,
    /// Over what time a server that has been down or ejected gets back its share of the requests:
    /// at first a tenth of it. Default: 5 s. `None`: it has all of it at once.
    pub slow_start: Option<Duration>,
    /// If the servers that are well have less than this share of all the weight, in percent, their
    /// health is ignored, and all that are in service are used: too few would break down under the
    /// load. Default: 0, never. At most 100.
    pub panic_threshold: u32,
    /// Whether a server takes requests before its first health check has succeeded. Where there are
    /// no checks it does in any case. Default: true.
    pub start_unknown: bool,
    /// The longest head of a response, in bytes. Interim responses to one request may have as many
    /// again, all together. Default: 64 KiB. Range: 256 to 16 MiB.
    pub max_head_size: usize,
    /// The most fields in the head of a response, and in its trailers. Default: 512.
    /// Range: 1 to 24,576, which is what `http` has room for.
    pub max_headers: usize,
    /// When a request is sent again, and how soon. Default: [`Retry::default`].
    pub retry: Retry,
    /// How many retries there are at most. Default: 20 %, and 10 a second, over 10 s.
    pub retry_budget: RetryBudget,
    /// How `https` servers are spoken to. Default: [`TlsConfig::default`].
    #[cfg(feature = "rustls-no-provider")]
    #[cfg_attr(docsrs, doc(cfg(feature = "rustls")))]
    pub tls: TlsConfig,
    /// How connections are opened: the order of addresses, names, pauses after failures. Default:
    /// [`Dialling::default`].
    pub dialling: Dialling,
    /// What is set on each socket. Default: [`SocketOptions::default`].
    pub socket_options: SocketOptions,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            max_connections_per_server: 100,
            max_total_connections: 1000,
            max_idle_connections: 50,
            min_idle: 0,
            max_idle_time: Duration::from_secs(5 * 60),
            idle_conn_timeout: Duration::from_secs(90),
            max_lifetime: None,
            max_requests_per_connection: None,
            connect_timeout: Duration::from_secs(10),
            queue_timeout: None,
            write_timeout: None,
            response_head_timeout: None,
            body_read_timeout: None,
            expect_timeout: Duration::from_secs(1),
            request_timeout: Some(Duration::from_secs(30)),
            keep_alive_timeout: Some(Duration::from_secs(30)),
            cleanup_interval: Duration::from_secs(60),
            watch_interval: Some(Duration::from_secs(1)),
            learn_idle_limit: true,
            metrics_interval: Duration::from_secs(10),
            hold_warning: None,
            max_waiters: 1024,
            handoff_grace: Duration::from_millis(50),
            max_connecting: 16,
            load_balance_strategy: Strategy::RoundRobin,
            ewma_decay: Duration::from_secs(10),
            hash_balance_factor: 125,
            seed: None,
            health_check: HealthCheck::default(),
            ejection: Ejection::default(),
            slow_start: Some(Duration::from_secs(5)),
            panic_threshold: 0,
            start_unknown: true,
            max_head_size: 64 * 1024,
            max_headers: 512,
            dialling: Dialling::default(),
            socket_options: SocketOptions::default(),
            retry: Retry::default(),
            retry_budget: RetryBudget::default(),
            #[cfg(feature = "rustls-no-provider")]
            tls: TlsConfig::default(),
        }
    }
}

/// How long each step of an exchange may take, beside the deadline of the whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Steps {
    pub(crate) write: Option<Duration>,
    pub(crate) head: Option<Duration>,
    pub(crate) body: Option<Duration>,
    pub(crate) expect: Duration,
}

const HOUR: Duration = Duration::from_secs(60 * 60);

impl Config {
    /// Checks every field, and the fields against each other.
    ///
    /// # Errors
    /// [`ErrorKind::Config`](crate::ErrorKind::Config); the message names the field, the value and
    /// what is allowed.
    pub fn validate(&self) -> Result<(), Error> {
        Limits::of(self).validate(self.min_idle)?;
        self.retry.validate()?;
        self.retry_budget.validate()?;
        self.dialling.validate()?;
        self.socket_options.validate()?;
        in_range("max_head_size", self.max_head_size, 256, 16 << 20)?;
        in_range("max_headers", self.max_headers, 1, 24_576)?;
        positive("max_idle_time", self.max_idle_time)?;
        positive("idle_conn_timeout", self.idle_conn_timeout)?;
        positive("connect_timeout", self.connect_timeout)?;
        positive("cleanup_interval", self.cleanup_interval)?;
        positive("handoff_grace", self.handoff_grace)?;
        if !(Duration::from_millis(1)..=HOUR).contains(&self.ewma_decay) {
            let decay = self.ewma_decay;
            return Err(refuse(format!(
                "ewma_decay is {decay:?}, and must be between 1 ms and 1 h"
            )));
        }
        if !(Duration::from_millis(10)..=HOUR).contains(&self.metrics_interval) {
            let interval = self.metrics_interval;
            return Err(refuse(format!(
                "metrics_interval is {interval:?}, and must be between 10 ms and 1 h"
            )));
        }
        in_range("hash_balance_factor", self.hash_balance_factor as usize, 101, 1000)?;
        positive("expect_timeout", self.expect_timeout)?;
        self.health_check.validate()?;
        self.ejection.validate()?;
        in_range("panic_threshold", self.panic_threshold as usize, 0, 100)?;
        if self.max_requests_per_connection == Some(0) {
            return Err(refuse("max_requests_per_connection is zero".to_owned()));
        }
        let optional = [
            ("max_lifetime", self.max_lifetime),
            ("watch_interval", self.watch_interval),
            ("hold_warning", self.hold_warning),
            ("slow_start", self.slow_start),
            ("queue_timeout", self.queue_timeout),
            ("write_timeout", self.write_timeout),
            ("response_head_timeout", self.response_head_timeout),
            ("body_read_timeout", self.body_read_timeout),
            ("request_timeout", self.request_timeout),
            ("keep_alive_timeout", self.keep_alive_timeout),
        ];
        for (name, timeout) in optional {
            timeout.map_or(Ok(()), |timeout| positive(name, timeout))?;
        }
        #[cfg(feature = "rustls-no-provider")]
        self.tls.validate()?;
        Ok(())
    }

    /// How long each step of an exchange may take.
    pub(crate) fn steps(&self) -> Steps {
        Steps {
            write: self.write_timeout,
            head: self.response_head_timeout,
            body: self.body_read_timeout,
            expect: self.expect_timeout,
        }
    }
}

#[cfg(test)]
mod tests;
