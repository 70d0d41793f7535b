//! Opening a connection, in steps, under one deadline: a name becomes addresses ([`names`]), one of
//! them is connected to ([`race`]); and if that is a proxy's, it is asked for a tunnel ([`proxy`]).

mod answers;
mod error;
mod limit;
mod names;
mod order;
mod proxy;
mod race;
#[cfg(test)]
mod tests;

use std::path::Path;
use std::time::{Duration, Instant};

use self::error::Failures;
pub(crate) use self::error::{DialError, DialErrorKind};
use self::limit::Limit;
pub(crate) use self::names::{Names, Overrides};
use super::ConnShared;
use crate::config::{Config, Dialling, SocketOptions};
use crate::error::Phase;
use crate::rt::{Address, Runtime, Target, Transport};
use crate::server::{Proxy, Server, Way};

/// What dials of a pool have in common.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Setting<'a> {
    runtime: &'a Runtime,
    names: &'a Names,
    proxy: Option<&'a Proxy>,
    dialling: &'a Dialling,
    options: &'a SocketOptions,
    keep_alive: Option<Duration>,
}

impl<'a> Setting<'a> {
    pub(crate) fn new(conns: &'a ConnShared, config: &'a Config) -> Self {
        Self {
            runtime: &conns.runtime,
            names: &conns.names,
            proxy: conns.proxy.as_ref(),
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
    let limit = &mut limit;
    let proxy = match server.way() {
        Way::Unix(path) => return connect_unix(&setting, path, server.host(), limit).await,
        Way::Direct => None,
        Way::Proxy(proxy) => Some(&**proxy),
        Way::OfPool => setting.proxy,
    };
    match proxy {
        None => connect(&setting, server.host(), server.port(), limit).await,
        Some(proxy) => {
            let transport = connect(&setting, proxy.host(), proxy.port(), limit).await;
            let transport = transport.map_err(|error| error.of_proxy(proxy))?;
            proxy::tunnel(transport, proxy, server, limit).await
        }
    }
}

/// Connects to a socket in the file system.
async fn connect_unix(
    setting: &Setting<'_>,
    path: &Path,
    host: &str,
    limit: &mut Limit<'_>,
) -> Result<Box<dyn Transport>, DialError> {
    let target = setting.target(Address::Unix(path.to_owned()), host);
    let mut failures = Failures::default();
    match limit.before(setting.runtime.dialler().connect(&target)).await {
        Some(Ok(transport)) => Ok(transport),
        Some(Err(error)) => {
            failures.note(&target.addr, error);
            Err(failures.refused(host))
        }
        None => {
            failures.late(&target);
            Err(failures.too_late(host))
        }
    }
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
