//! [`Missed`]: why a caller gets no connection of a server, and what it is told.

use super::acquire::Wish;
use super::back_off::Pause;
use super::backend::Backend;
use super::dialling::dial_failed;
use super::directory::closed;
use super::pick::Nobody;
use super::tally::Count;
use crate::conn::DialError;
use crate::error::{Error, ErrorKind, Phase};

/// Why a wait ended without a connection.
pub(super) enum Missed {
    Closed,
    /// The server was taken out of rotation.
    Moved,
    Full,
    Shed,
    Timeout,
    /// The server is left in peace for a while.
    Paused(Pause),
    Dial(DialError),
}

impl Missed {
    pub(super) fn into_error(self, backend: &Backend) -> Error {
        match self {
            Self::Closed | Self::Moved => closed(),
            Self::Full => {
                backend.hub.count(backend, Count::QueueFull);
                backend.tell_full(false);
                queue_full(backend)
            }
            Self::Shed => {
                backend.hub.count(backend, Count::QueueFull);
                backend.hub.count(backend, Count::Shed);
                backend.tell_full(true);
                shed(backend)
            }
            Self::Timeout => queue_timeout(backend),
            Self::Paused(pause) => paused(backend, &pause),
            Self::Dial(error) => dial_failed(backend, error),
        }
    }
}

pub(super) fn refusal(nobody: Nobody, wish: &Wish<'_>) -> Error {
    let kind = match nobody {
        Nobody::NotFound => ErrorKind::NotFound,
        Nobody::Unhealthy => ErrorKind::NoHealthyServers,
        Nobody::Exhausted if !wish.tried.is_empty() => ErrorKind::Connect,
        _ => ErrorKind::NoServers,
    };
    Error::new(kind, nobody.message(wish)).retry_safe(true)
}

fn queue_full(backend: &Backend) -> Error {
    let waiting = backend.gate.ledger.limits().waiting;
    Error::new(ErrorKind::QueueFull, format!("{waiting} callers wait for a connection already"))
        .at(Phase::Queue)
        .of_server(backend.server.shared_url())
        .retry_safe(true)
}

fn shed(backend: &Backend) -> Error {
    let message = "a caller of higher priority has taken this one's place in a full line";
    Error::new(ErrorKind::QueueFull, message)
        .at(Phase::Queue)
        .of_server(backend.server.shared_url())
        .retry_safe(true)
}

pub(super) fn paused(backend: &Backend, pause: &Pause) -> Error {
    let Pause { left, failures, last } = pause;
    let message =
        format!("{failures} dials have failed in a row, the next is made in {left:.0?}; {last}");
    Error::new(ErrorKind::Connect, message)
        .at(Phase::Connect)
        .of_server(backend.server.shared_url())
        .retry_safe(true)
        .with_retry_after(*left)
}

pub(super) fn queue_timeout(backend: &Backend) -> Error {
    let counts = backend.gate.ledger.counts();
    let message = format!(
        "no connection came free in time ({} open, {} connecting, {} waiting)",
        counts.open, counts.connecting, counts.waiting
    );
    Error::new(ErrorKind::Timeout, message)
        .at(Phase::Queue)
        .of_server(backend.server.shared_url())
        .retry_safe(true)
}
