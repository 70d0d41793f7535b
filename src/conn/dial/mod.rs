//! Opening a connection, in steps, under one deadline: a name becomes addresses ([`names`]), one of
//! them is connected to ([`race`]).

mod answers;
mod error;
mod limit;
mod names;
mod order;
mod race;
#[cfg(test)]
mod tests;

use std::time::{Duration, Instant};

pub(crate) use self::error::{DialError, DialErrorKind};
use self::limit::Limit;
pub(crate) use self::names::{Names, Overrides};
use crate::config::{Config, Dialling, SocketOptions};
use crate::error::Phase;
use crate::rt::{Address, Runtime, Target, Transport};
use crate::server::Server;

/// What dials of a pool have in common.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Setting<'a> {
    pub(crate) runtime: &'a Runtime,
    pub(crate) names: &'a Names,
    dialling: &'a Dialling,
    options: &'a SocketOptions,
    keep_alive: Option<Duration>,
}

impl<'a> Setting<'a> {
    pub(crate) fn new(runtime: &'a Runtime, names: &'a Names, config: &'a Config) -> Self {
        Self {
            runtime,
            names,
            dialling: &config.dialling,
            options: &config.socket_options,
            keep_alive: config.keep_alive_timeout,
        }
    }

    fn target(&self, addr: impl Into<Address>, host: &str) -> Target {
        let mut target = Target::new(addr, host);
        target.keep_alive = self.keep_alive;
        target.options = self.options.clone();
        target
    }
}

/// Connects to `server`. One `deadline` covers all steps.
///
/// # Errors
/// See [`DialErrorKind`]. It is a timeout if the deadline has passed, even if some of the
/// addresses failed for other reasons.
///
/// # Cancel safety
/// Dropping the future closes the half-open sockets. A look-up goes on for the next dial.
pub(crate) async fn dial(
    setting: Setting<'_>,
    server: &Server,
    deadline: Instant,
) -> Result<Box<dyn Transport>, DialError> {
    let mut limit = Limit::new(setting.runtime.timer(), deadline);
    connect(&setting, server.host(), server.port(), &mut limit).await
}

/// Connects to one of the addresses of `host`.
async fn connect(
    setting: &Setting<'_>,
    host: &str,
    port: u16,
    limit: &mut Limit<'_>,
) -> Result<Box<dyn Transport>, DialError> {
    let look_up = setting.names.resolve(setting.runtime, setting.dialling, host, port);
    let found = match limit.before(look_up).await {
        Some(Ok(found)) => found,
        Some(Err(error)) => {
            let message = format!("could not resolve {host}: {error}");
            return Err(DialError::new(DialErrorKind::Resolve, message, Some(error)));
        }
        None => {
            let kind = DialErrorKind::Timeout(Phase::Resolve);
            return Err(DialError::new(kind, format!("resolving {host} took too long"), None));
        }
    };
    let addrs = order::order(&found.addrs, found.turn, setting.dialling.max_addresses);
    race::connect(setting, host, &addrs, limit).await
}
