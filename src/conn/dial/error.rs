//! [`DialError`]: why no connection came about, with the addresses that failed.

use std::error::Error as StdError;
use std::fmt;
use std::io;
use std::net::SocketAddr;

use crate::error::{BoxError, Phase};

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
    /// The deadline passed in this phase: `Resolve` or `Connect`.
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
            DialErrorKind::Timeout(phase) => phase,
        }
    }

    /// The message, and the last error of the resolver or of a socket, if there was one.
    pub(crate) fn into_parts(self) -> (String, Option<BoxError>) {
        (self.message, self.source)
    }

    pub(super) fn new(kind: DialErrorKind, message: String, source: Option<io::Error>) -> Self {
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

/// The addresses that failed, for the message.
#[derive(Default)]
pub(super) struct Failures {
    named: String,
    count: usize,
}

impl Failures {
    pub(super) fn note(&mut self, addr: SocketAddr, error: &dyn fmt::Display) {
        if self.count < MOST_NAMED {
            let separator = if self.count == 0 { "" } else { "; " };
            self.named.push_str(&format!("{separator}{addr}: {error}"));
        }
        self.count += 1;
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
