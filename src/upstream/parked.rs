//! A look at idle connections, one by one: for those who retire them.

use std::time::Instant;

use super::backend::Backend;
use super::held::Held;
use super::lease::{CloseReason, dispose_parked};
use crate::conn::Watched;
use crate::lockfree::idle::Candidate;
use crate::lockfree::settle;

impl Backend {
    /// Looks at the idle connection that was seen, if it has not been used since. It is out of the
    /// set for that moment, and comes back as it was.
    fn inspect<R>(&self, seen: Candidate, look: impl FnOnce(&Held) -> R) -> Option<R> {
        let parked = settle::claim(self, seen)?;
        let found = look(&parked.value);
        settle::check_in(self, parked);
        Some(found)
    }

    /// By what the idle connection that was seen is retired, as far as is known.
    pub(crate) fn terms_of_idle(&self, seen: Candidate) -> Watched {
        let unknown = Watched { keep: u64::MAX, ends_at: u64::MAX };
        self.watched(seen).unwrap_or_else(|| match self.hub.config.max_lifetime {
            Some(_) => {
                let ends_at = self.inspect(seen, |held| held.ends_at).unwrap_or(u64::MAX);
                Watched { ends_at, ..unknown }
            }
            None => unknown,
        })
    }

    /// When the idle connection that was seen was made, and how many requests it has carried.
    pub(crate) fn facts_of_idle(&self, seen: Candidate) -> Option<(Instant, u32)> {
        self.inspect(seen, |held| (held.conn.born(), held.conn.uses()))
    }

    /// Closes the idle connection that was seen, if it has not been used since.
    pub(crate) fn close_idle_if(&self, seen: Candidate, reason: CloseReason) -> bool {
        let Some(parked) = settle::claim(self, seen) else {
            return false;
        };
        dispose_parked(self, parked.value, reason);
        settle::close(self, parked.slot);
        self.hub.after_close();
        true
    }
}
