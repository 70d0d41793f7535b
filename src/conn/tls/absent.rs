//! What stands in the place of TLS without its features: nothing, and an error that says so.

use std::sync::Arc;
use std::time::Instant;

use super::{ConnShared, DialError};
use crate::config::Config;
use crate::error::{Error, ErrorKind};
use crate::rt::Transport;
use crate::server::Server;

/// There is none.
#[derive(Clone, Debug)]
pub(crate) enum Tls {}

impl Tls {
    pub(crate) async fn handshake(
        &self,
        _: Box<dyn Transport>,
        _: &Arc<ConnShared>,
        _: Instant,
    ) -> Result<Box<dyn Transport>, DialError> {
        match *self {}
    }
}

/// There are none.
#[derive(Debug)]
pub(crate) struct Profiles;

impl Profiles {
    #[expect(clippy::unnecessary_wraps, reason = "with TLS there is more that can be wrong")]
    pub(crate) fn new(_: &Config) -> Result<Self, Error> {
        Ok(Self)
    }

    pub(crate) fn of_server(&self, server: &Server, _: &Config) -> Result<Option<Tls>, Error> {
        if !server.is_https() {
            return Ok(None);
        }
        let message = format!(
            "{} needs TLS, which this build is without: switch the feature `rustls` of evenkeel on",
            server.url()
        );
        Err(Error::new(ErrorKind::Config, message))
    }
}

/// Without TLS it never is.
pub(super) fn is_tls_fault(_: &std::io::Error) -> bool {
    false
}
