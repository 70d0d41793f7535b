//! [`Answers`]: what is known of a name, and until when. No clock, no resolver.

use std::error::Error as StdError;
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::config::Dialling;

/// What the last look-ups of a name came to.
#[derive(Clone, Default)]
pub(super) struct Answers {
    /// How many look-ups have ended.
    edition: u64,
    /// Of the last look-up that found any.
    addrs: Arc<[SocketAddr]>,
    /// Until when they may be used if the name cannot be looked up.
    stale_until: Option<Instant>,
    /// Why the last look-up failed, if it did.
    failure: Option<Arc<io::Error>>,
    /// Until when the last answer, good or bad, stands.
    until: Option<Instant>,
}

/// What a look-up came to: addresses with their TTL, or why there are none.
pub(super) type Answer = Result<(Arc<[SocketAddr]>, Option<Duration>), Arc<io::Error>>;

impl Answers {
    pub(super) fn edition(&self) -> u64 {
        self.edition
    }

    pub(super) fn until(&self) -> Option<Instant> {
        self.until
    }

    /// The answer, if it stands at `now`.
    pub(super) fn fresh(&self, now: Instant) -> Option<io::Result<Arc<[SocketAddr]>>> {
        self.until.is_some_and(|until| now < until).then(|| self.answer(now))
    }

    /// The answer, if it is of a later edition than `seen`.
    pub(super) fn newer(&self, seen: u64, now: Instant) -> Option<io::Result<Arc<[SocketAddr]>>> {
        (self.edition > seen).then(|| self.answer(now))
    }

    fn answer(&self, now: Instant) -> io::Result<Arc<[SocketAddr]>> {
        match &self.failure {
            Some(_) if self.stale_until.is_some_and(|until| now < until) => Ok(self.addrs.clone()),
            Some(failure) => Err(io::Error::new(failure.kind(), Shared(failure.clone()))),
            None => Ok(self.addrs.clone()),
        }
    }

    /// What is known after one more look-up, which ended at `now`.
    pub(super) fn after(&self, answer: &Answer, now: Instant, terms: &Dialling) -> Self {
        let edition = self.edition + 1;
        match answer {
            Ok((addrs, ttl)) => {
                let ttl = ttl.unwrap_or(terms.min_ttl).clamp(terms.min_ttl, terms.max_ttl);
                Self {
                    edition,
                    addrs: addrs.clone(),
                    stale_until: Some(now + ttl + terms.stale_ttl),
                    failure: None,
                    until: Some(now + ttl),
                }
            }
            Err(failure) => Self {
                edition,
                failure: Some(failure.clone()),
                until: Some(now + terms.negative_ttl),
                ..self.clone()
            },
        }
    }
}

/// One error, for each of those who asked.
#[derive(Debug)]
struct Shared(Arc<io::Error>);

impl fmt::Display for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl StdError for Shared {}
