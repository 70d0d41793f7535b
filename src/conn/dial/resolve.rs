//! The first step of a dial: a name becomes addresses.

use std::net::SocketAddr;
use std::pin::Pin;

use super::before;
use super::error::{DialError, DialErrorKind};
use crate::error::Phase;
use crate::rt::{Runtime, Sleep};

/// The addresses of `host`: at least one.
pub(super) async fn look_up(
    runtime: &Runtime,
    host: &str,
    port: u16,
    deadline: Pin<&mut dyn Sleep>,
) -> Result<Vec<SocketAddr>, DialError> {
    let (kind, message, source) = match before(deadline, runtime.lookup().resolve(host, port)).await
    {
        Some(Ok(addrs)) if !addrs.is_empty() => return Ok(addrs),
        Some(Ok(_)) => (DialErrorKind::Resolve, format!("{host} has no address"), None),
        Some(Err(error)) => {
            (DialErrorKind::Resolve, format!("could not resolve {host}: {error}"), Some(error))
        }
        None => {
            let kind = DialErrorKind::Timeout(Phase::Resolve);
            (kind, format!("resolving {host} took too long"), None)
        }
    };
    Err(DialError::new(kind, message, source))
}
