//! [`Config`]: limits and timeouts as plain data, validated once, at `build()`.

use std::time::Duration;

use crate::error::{Error, ErrorKind};
use crate::strategy::Strategy;

/// The limits and timeouts of a pool.
///
/// The builder has a setter for each field, under the same name. Durations of zero are refused;
/// where a timeout can be switched off, it is an `Option`.
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
    /// How long resolving a name and connecting may take, together. Default: 10 s.
    pub connect_timeout: Duration,
    /// How long a request may take, from the call to the end of the response's body, waiting and
    /// connecting included. Default: 30 s. `None`: no limit.
    pub request_timeout: Option<Duration>,
    /// TCP keep-alive: probe a silent connection after this long, and then as often.
    /// Default: 30 s. `None`: off.
    pub keep_alive_timeout: Option<Duration>,
    /// How often at least the background work looks for expired connections. Expiry itself does
    /// not depend on it: an expired connection is never handed out. Default: 1 min.
    pub cleanup_interval: Duration,
    /// The most callers that may wait for one server. Default: 1024.
    pub max_waiters: usize,
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
    /// Where the dice of the strategies begin. Default: `None`, elsewhere in each pool. With a
    /// seed, the same calls in the same order make the same picks.
    pub seed: Option<u64>,
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
            connect_timeout: Duration::from_secs(10),
            request_timeout: Some(Duration::from_secs(30)),
            keep_alive_timeout: Some(Duration::from_secs(30)),
            cleanup_interval: Duration::from_secs(60),
            max_waiters: 1024,
            max_connecting: 16,
            load_balance_strategy: Strategy::RoundRobin,
            ewma_decay: Duration::from_secs(10),
            hash_balance_factor: 125,
            seed: None,
        }
    }
}

/// The longest duration a setting may have: far beyond use, and safe to add to any instant.
const FOREVER: Duration = Duration::from_secs(60 * 60 * 24 * 365 * 10);

const HOUR: Duration = Duration::from_secs(60 * 60);

impl Config {
    /// Checks every field, and the fields against each other.
    ///
    /// # Errors
    /// [`ErrorKind::Config`]; the message names the field, the value and what is allowed.
    pub fn validate(&self) -> Result<(), Error> {
        in_range("max_connections_per_server", self.max_connections_per_server, 1, 65_535)?;
        in_range("max_total_connections", self.max_total_connections, 1, 1 << 30)?;
        in_range("max_waiters", self.max_waiters, 0, 1 << 20)?;
        in_range("max_connecting", self.max_connecting, 1, 65_535)?;
        if self.min_idle > self.max_connections_per_server {
            return Err(refuse(format!(
                "min_idle ({}) is above max_connections_per_server ({})",
                self.min_idle, self.max_connections_per_server
            )));
        }
        if self.min_idle > self.max_idle_connections {
            return Err(refuse(format!(
                "min_idle ({}) is above max_idle_connections ({})",
                self.min_idle, self.max_idle_connections
            )));
        }
        positive("max_idle_time", self.max_idle_time)?;
        positive("idle_conn_timeout", self.idle_conn_timeout)?;
        positive("connect_timeout", self.connect_timeout)?;
        positive("cleanup_interval", self.cleanup_interval)?;
        if !(Duration::from_millis(1)..=HOUR).contains(&self.ewma_decay) {
            let decay = self.ewma_decay;
            return Err(refuse(format!(
                "ewma_decay is {decay:?}, and must be between 1 ms and 1 h"
            )));
        }
        in_range("hash_balance_factor", self.hash_balance_factor as usize, 101, 1000)?;
        if let Some(timeout) = self.request_timeout {
            positive("request_timeout", timeout)?;
        }
        if let Some(timeout) = self.keep_alive_timeout {
            positive("keep_alive_timeout", timeout)?;
        }
        Ok(())
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
        let checks: [(&str, Change); 16] = [
            ("max_connections_per_server", |c, _| c.max_connections_per_server = 0),
            ("max_connections_per_server", |c, _| c.max_connections_per_server = 65_536),
            ("max_total_connections", |c, _| c.max_total_connections = 0),
            ("max_connecting", |c, _| c.max_connecting = 0),
            ("max_waiters", |c, _| c.max_waiters = usize::MAX),
            ("max_idle_time", |c, z| c.max_idle_time = z),
            ("idle_conn_timeout", |c, z| c.idle_conn_timeout = z),
            ("connect_timeout", |c, z| c.connect_timeout = z),
            ("cleanup_interval", |c, z| c.cleanup_interval = z),
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
    }
}
