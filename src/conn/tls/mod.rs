//! TLS over a connected transport: a transport itself.
//!
//! Everything is driven by the reads and writes of the transport below, so its rules of waiting
//! hold here, too, and a byte is looked at only in the caller's own poll.

mod engine;
mod fault;
mod profile;
mod records;
mod stream;
mod verify;

use std::future::poll_fn;
use std::io;
use std::sync::Arc;
use std::task::Poll;
use std::time::Instant;

use rustls::ClientConfig;
use rustls::pki_types::ServerName;

use self::engine::TlsStream;
pub(super) use self::fault::is_tls_fault;
pub(crate) use self::profile::Profiles;
use super::{ConnShared, DialError, DialErrorKind};
use crate::error::Phase;
use crate::rt::Transport;

/// What is needed to speak TLS with one server, its sessions among it.
#[derive(Clone, Debug)]
pub(crate) struct Tls {
    config: Arc<ClientConfig>,
    server_name: ServerName<'static>,
    /// The same, for messages.
    name: Arc<str>,
    has_identity: bool,
}

impl Tls {
    /// Speaks TLS over a transport that is connected, until it is up.
    ///
    /// # Errors
    /// It is a timeout if the deadline passes first. The transport is closed then, as with any
    /// other error.
    ///
    /// # Cancel safety
    /// Dropping the future closes the transport.
    pub(crate) async fn handshake(
        &self,
        transport: Box<dyn Transport>,
        shared: &Arc<ConnShared>,
        deadline: Instant,
    ) -> Result<Box<dyn Transport>, DialError> {
        let mut stream = TlsStream::new(self, transport, shared.clone())?;
        let mut sleep = shared.runtime.timer().sleep_until(deadline);
        poll_fn(|cx| {
            // The work goes first: what is done is not too late.
            if let Poll::Ready(done) = stream.poll_handshake(cx) {
                return Poll::Ready(done.map_err(|error| DialError::of_tls(&self.name, error)));
            }
            sleep.as_mut().poll(cx).map(|()| Err(DialError::late_tls(&self.name)))
        })
        .await?;
        Ok(Box::new(stream))
    }
}

impl DialError {
    /// An error of the transport within the handshake, or of TLS.
    #[cold]
    fn of_tls(name: &str, error: io::Error) -> Self {
        let kind = DialErrorKind::Tls;
        if is_tls_fault(&error) {
            return Self::new(kind, error.to_string(), Some(error));
        }
        let message = format!("the connection to {name} failed within the TLS handshake: {error}");
        Self::new(kind, message, Some(error))
    }

    #[cold]
    fn late_tls(name: &str) -> Self {
        let message = format!("the TLS handshake with {name} took too long");
        Self::new(DialErrorKind::Timeout(Phase::Tls), message, None)
    }
}
