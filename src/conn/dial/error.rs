//! [`DialError`]: why no connection came about, with the addresses that failed.

use std::error::Error as StdError;
use std::fmt;
use std::io;

use crate::error::{BoxError, Phase};
use crate::rt::{Address, Target};
use crate::server::Proxy;

/// Why no connection came about. `Display` says it in full, with the first addresses that were
/// tried.
#[derive(Debug)]
pub(crate) struct DialError {
    kind: DialErrorKind,
    message: String,
    source: Option<BoxError>,
}

/// What a dial failed at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum DialErrorKind {
    /// The name has no address, or could not be looked up.
    Resolve,
    /// No address took the connection.
    Connect,
    /// The server took the connection, and TLS over it failed.
    #[cfg_attr(not(feature = "rustls-no-provider"), expect(dead_code, reason = "there is none"))]
    Tls,
    /// The deadline passed in this phase: `Resolve`, `Connect` or `Tls`.
    Timeout(Phase),
}

impl DialError {
    pub(crate) fn kind(&self) -> DialErrorKind {
        self.kind
    }

    /// The phase in which it failed, or in which the deadline passed.
    pub(crate) fn phase(&self) -> Phase {
        match self.kind {
            DialErrorKind::Resolve => Phase::Resolve,
            DialErrorKind::Connect => Phase::Connect,
            DialErrorKind::Tls => Phase::Tls,
            DialErrorKind::Timeout(phase) => phase,
        }
    }

    /// The message, and the last error of the resolver or of a socket, if there was one.
    pub(crate) fn into_parts(self) -> (String, Option<BoxError>) {
        (self.message, self.source)
    }

    /// It was a proxy that could not be connected to.
    pub(super) fn of_proxy(mut self, proxy: &Proxy) -> Self {
        self.message = format!("proxy {}: {}", proxy.url(), self.message);
        self
    }

    pub(in crate::conn) fn new(
        kind: DialErrorKind,
        message: String,
        source: Option<io::Error>,
    ) -> Self {
        Self { kind, message, source: source.map(BoxError::from) }
    }
}

impl fmt::Display for DialError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl StdError for DialError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.source.as_ref().map(|source| &**source as &(dyn StdError + 'static))
    }
}

/// How many addresses that failed are named. A name may have hundreds.
const MOST_NAMED: usize = 8;

/// The addresses that failed, for the message, and the last of the errors.
#[derive(Default)]
pub(super) struct Failures {
    named: String,
    count: usize,
    last: Option<io::Error>,
}

impl Failures {
    pub(super) fn is_empty(&self) -> bool {
        self.count == 0
    }

    pub(super) fn note(&mut self, addr: &Address, error: io::Error) {
        self.name(addr, &error);
        self.last = Some(error);
    }

    /// There was no answer in time.
    pub(super) fn late(&mut self, target: &Target) {
        self.name(&target.addr, &"no answer in time");
    }

    fn name(&mut self, addr: &Address, why: &dyn fmt::Display) {
        if self.count < MOST_NAMED {
            let separator = if self.count == 0 { "" } else { "; " };
            self.named.push_str(&format!("{separator}{addr}: {why}"));
        }
        self.count += 1;
    }

    /// No address took the connection.
    pub(super) fn refused(self, host: &str) -> DialError {
        let message = format!("could not connect to {host}: {self}");
        DialError::new(DialErrorKind::Connect, message, self.last)
    }

    /// The deadline has passed.
    pub(super) fn too_late(self, host: &str) -> DialError {
        let message = format!("connecting to {host} took too long: {self}");
        DialError::new(DialErrorKind::Timeout(Phase::Connect), message, self.last)
    }
}

impl fmt::Display for Failures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.named)?;
        match self.count.saturating_sub(MOST_NAMED) {
            0 => Ok(()),
            more => write!(f, "; and {more} more"),
        }
    }
}
