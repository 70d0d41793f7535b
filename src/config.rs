//! [`Config`]: limits and timeouts as plain data, validated once, at `build()`.

use std::time::Duration;

use crate::error::{Error, ErrorKind};
use crate::strategy::Strategy;

/// The limits and timeouts of a pool.
///
/// The builder has a setter for each field, under the same name, but
/// [`strategy`](crate::Builder::strategy) for `load_balance_strategy`. Durations of zero are
/// refused; where a timeout can be switched off, it is an `Option`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Config {
    /// The most sockets open to one server at a time, dialling and idle ones included.
    /// Default: 100. Range: 1 to 65,535.
    pub max_connections_per_server: usize,
    /// The most sockets open at a time over all servers, dialling and idle ones included.
    /// Default: 1000. At least 1.
    pub max_total_connections: usize,
    /// The most idle connections kept over all servers; above it the longest idle is closed.
    /// Default: 50. Zero closes every connection after use, unless a caller waits for it.
    pub max_idle_connections: usize,
    /// How many idle connections a server keeps beyond `idle_conn_timeout`, until
    /// `max_idle_time`. Default: 0. At most `max_connections_per_server`.
    pub min_idle: usize,
    /// How long the `min_idle` last idle connections of a server are kept. With a `min_idle` of
    /// zero the smaller of this and `idle_conn_timeout` holds. Default: 5 min.
    pub max_idle_time: Duration,
    /// How long idle connections above `min_idle` are kept. Default: 90 s.
    pub idle_conn_timeout: Duration,
    /// How long a connection may live. One that is older is closed when it comes back, or where it
    /// is idle; in use it is never cut. Each ends up to a tenth earlier, by chance, so that those
    /// made together do not end together. Default: `None`, no limit.
    pub max_lifetime: Option<Duration>,
    /// How many requests a connection may carry. At least 1. Default: `None`, no limit.
    pub max_requests_per_connection: Option<u32>,
    /// How long resolving a name and connecting may take, together. Default: 10 s.
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
    /// The longest head of a response, in bytes. Interim responses to one request may have as many
    /// again, all together. Default: 64 KiB. Range: 256 to 16 MiB.
    pub max_head_size: usize,
    /// The most fields in the head of a response, and in its trailers. Default: 512.
    /// Range: 1 to 24,576, which is what `http` has room for.
    pub max_headers: usize,
}

/// The limits that can be changed while a pool is in use: see [`Pool::set_limits`].
///
/// They are fields of [`Config`] too, where each is explained.
///
/// [`Pool::set_limits`]: crate::Pool::set_limits
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// See [`Config::max_connections_per_server`]. Default: 100. Range: 1 to 65,535.
    pub max_connections_per_server: usize,
    /// See [`Config::max_total_connections`]. Default: 1000. At least 1.
    pub max_total_connections: usize,
    /// See [`Config::max_idle_connections`]. Default: 50.
    pub max_idle_connections: usize,
    /// See [`Config::max_waiters`]. Default: 1024.
    pub max_waiters: usize,
    /// See [`Config::max_connecting`]. Default: 16. At least 1.
    pub max_connecting: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self::of(&Config::default())
    }
}

impl Limits {
    pub(crate) fn of(config: &Config) -> Self {
        Self {
            max_connections_per_server: config.max_connections_per_server,
            max_total_connections: config.max_total_connections,
            max_idle_connections: config.max_idle_connections,
            max_waiters: config.max_waiters,
            max_connecting: config.max_connecting,
        }
    }

    /// Checks every field, and those that the floor of idle connections must fit in.
    pub(crate) fn validate(&self, min_idle: usize) -> Result<(), Error> {
        in_range("max_connections_per_server", self.max_connections_per_server, 1, MOST_OF_SERVER)?;
        in_range("max_total_connections", self.max_total_connections, 1, 1 << 30)?;
        in_range("max_waiters", self.max_waiters, 0, 1 << 20)?;
        in_range("max_connecting", self.max_connecting, 1, MOST_OF_SERVER)?;
        if min_idle > self.max_connections_per_server {
            return Err(refuse(format!(
                "min_idle ({min_idle}) is above max_connections_per_server ({})",
                self.max_connections_per_server
            )));
        }
        if min_idle > self.max_idle_connections {
            return Err(refuse(format!(
                "min_idle ({min_idle}) is above max_idle_connections ({})",
                self.max_idle_connections
            )));
        }
        Ok(())
    }
}

/// Checks the limit that a server has for itself.
pub(crate) fn validate_max_connections(limit: usize) -> Result<(), Error> {
    in_range("max_connections of a server", limit, 1, MOST_OF_SERVER)
}

/// The most connections that a server can have.
const MOST_OF_SERVER: usize = 65_535;

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
            max_waiters: 1024,
            handoff_grace: Duration::from_millis(50),
            max_connecting: 16,
            load_balance_strategy: Strategy::RoundRobin,
            ewma_decay: Duration::from_secs(10),
            hash_balance_factor: 125,
            seed: None,
            max_head_size: 64 * 1024,
            max_headers: 512,
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

/// The longest duration a setting may have: far beyond use, and safe to add to any instant.
pub(crate) const FOREVER: Duration = Duration::from_secs(60 * 60 * 24 * 365 * 10);

const HOUR: Duration = Duration::from_secs(60 * 60);

impl Config {
    /// Checks every field, and the fields against each other.
    ///
    /// # Errors
    /// [`ErrorKind::Config`]; the message names the field, the value and what is allowed.
    pub fn validate(&self) -> Result<(), Error> {
        Limits::of(self).validate(self.min_idle)?;
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
        in_range("hash_balance_factor", self.hash_balance_factor as usize, 101, 1000)?;
        positive("expect_timeout", self.expect_timeout)?;
        if self.max_requests_per_connection == Some(0) {
            return Err(refuse("max_requests_per_connection is zero".to_owned()));
        }
        let optional = [
            ("max_lifetime", self.max_lifetime),
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

fn in_range(name: &str, value: usize, least: usize, most: usize) -> Result<(), Error> {
    if (least..=most).contains(&value) {
        return Ok(());
    }
    Err(refuse(format!("{name} is {value}, and must be between {least} and {most}")))
}

fn positive(name: &str, value: Duration) -> Result<(), Error> {
    if value.is_zero() {
        return Err(refuse(format!("{name} is zero")));
    }
    if value > FOREVER {
        return Err(refuse(format!("{name} is {value:?}, more than ten years")));
    }
    Ok(())
}

fn refuse(message: String) -> Error {
    Error::new(ErrorKind::Config, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(change: impl FnOnce(&mut Config)) -> String {
        let mut config = Config::default();
        change(&mut config);
        let error = config.validate().expect_err("must be refused");
        assert_eq!(error.kind(), ErrorKind::Config);
        error.to_string()
    }

    #[test]
    fn the_defaults_are_valid() {
        Config::default().validate().unwrap();
    }

    #[test]
    fn each_field_is_refused_by_name_out_of_its_range() {
        let zero = Duration::ZERO;
        type Change = fn(&mut Config, Duration);
        let checks: [(&str, Change); 30] = [
            ("max_connections_per_server", |c, _| c.max_connections_per_server = 0),
            ("max_connections_per_server", |c, _| c.max_connections_per_server = 65_536),
            ("max_total_connections", |c, _| c.max_total_connections = 0),
            ("max_connecting", |c, _| c.max_connecting = 0),
            ("max_waiters", |c, _| c.max_waiters = usize::MAX),
            ("max_idle_time", |c, z| c.max_idle_time = z),
            ("idle_conn_timeout", |c, z| c.idle_conn_timeout = z),
            ("max_lifetime", |c, z| c.max_lifetime = Some(z)),
            ("max_lifetime", |c, _| c.max_lifetime = Some(Duration::MAX)),
            ("max_requests_per_connection", |c, _| c.max_requests_per_connection = Some(0)),
            ("connect_timeout", |c, z| c.connect_timeout = z),
            ("cleanup_interval", |c, z| c.cleanup_interval = z),
            ("handoff_grace", |c, z| c.handoff_grace = z),
            ("queue_timeout", |c, z| c.queue_timeout = Some(z)),
            ("write_timeout", |c, z| c.write_timeout = Some(z)),
            ("response_head_timeout", |c, z| c.response_head_timeout = Some(z)),
            ("body_read_timeout", |c, z| c.body_read_timeout = Some(z)),
            ("body_read_timeout", |c, _| c.body_read_timeout = Some(Duration::MAX)),
            ("expect_timeout", |c, z| c.expect_timeout = z),
            ("max_head_size", |c, _| c.max_head_size = 255),
            ("max_head_size", |c, _| c.max_head_size = (16 << 20) + 1),
            ("max_headers", |c, _| c.max_headers = 0),
            ("max_headers", |c, _| c.max_headers = 24_577),
            ("request_timeout", |c, z| c.request_timeout = Some(z)),
            ("keep_alive_timeout", |c, z| c.keep_alive_timeout = Some(z)),
            ("connect_timeout", |c, _| c.connect_timeout = Duration::MAX),
            ("ewma_decay", |c, _| c.ewma_decay = Duration::from_micros(999)),
            ("ewma_decay", |c, _| c.ewma_decay = HOUR + Duration::from_nanos(1)),
            ("hash_balance_factor", |c, _| c.hash_balance_factor = 100),
            ("hash_balance_factor", |c, _| c.hash_balance_factor = 1001),
        ];
        for (name, change) in checks {
            let text = refused(|c| change(c, zero));
            assert!(text.contains(name), "{name}: {text}");
        }
    }

    #[test]
    fn contradictory_limits_are_refused() {
        assert!(refused(|c| c.min_idle = 101).contains("max_connections_per_server (100)"));
        assert!(refused(|c| c.min_idle = 51).contains("max_idle_connections (50)"));
    }

    #[test]
    fn the_ends_of_each_range_are_accepted() {
        let mut config = Config { max_connections_per_server: 65_535, ..Config::default() };
        config.validate().unwrap();
        config.max_connections_per_server = 1;
        config.max_total_connections = 1;
        config.max_idle_connections = 0;
        config.max_waiters = 0;
        config.max_connecting = 1;
        (config.ewma_decay, config.hash_balance_factor) = (Duration::from_millis(1), 101);
        config.validate().unwrap();
        (config.ewma_decay, config.hash_balance_factor) = (HOUR, 1000);
        config.validate().unwrap();
        (config.max_head_size, config.max_headers) = (256, 1);
        config.validate().unwrap();
        (config.max_head_size, config.max_headers) = (16 << 20, 24_576);
        config.validate().unwrap();
    }
}
