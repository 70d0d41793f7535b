//! [`Limits`]: the settings that can change while a pool is in use.

use super::Config;
use super::check::{in_range, refuse};
use crate::error::Error;

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
