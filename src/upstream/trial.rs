//! [`Trial`]: the one request that a server is tried with which had been ejected.

use std::sync::Arc;

use super::backend::Backend;
use super::pick::Search;
use super::roster::Entry;
use crate::balance::View;

/// The right to send one request to a server on trial. Dropped, it goes to the next.
pub(crate) struct Trial(Arc<Backend>);

impl Trial {
    /// `None` if another request has it.
    pub(super) fn begin(backend: &Arc<Backend>) -> Option<Self> {
        backend.vitals.begin_trial().then(|| Self(backend.clone()))
    }

    pub(super) fn backend(&self) -> &Arc<Backend> {
        &self.0
    }
}

impl Drop for Trial {
    fn drop(&mut self) {
        self.0.vitals.end_trial();
    }
}

impl<'a> Search<'a> {
    /// Where a server waits for its trial, or comes back: the right to try it with this request, if
    /// it is its turn. What those get that come back is worked out anew if the time has come.
    #[cold]
    pub(super) fn try_out(&self) -> Option<Trial> {
        if self.wish.tick >= self.roster.due {
            self.directory.step();
        }
        self.trial().and_then(Trial::begin)
    }

    /// A server that is to be tried with this request.
    pub(super) fn trial(&self) -> Option<&'a Arc<Backend>> {
        let wish = self.wish;
        if wish.server.is_some() || !wish.may_dial || wish.select.preferred().is_some() {
            return None;
        }
        let entries = self.roster.entries();
        // One of a worse tier is tried when it is needed.
        let best = entries.iter().filter(|entry| self.allows(entry)).map(|entry| entry.terms.tier);
        let best = best.min().unwrap_or(u8::MAX);
        let due = self.roster.trials().iter().filter(|(time, _)| *time <= wish.tick);
        let places = due.map(|&(_, at)| at as usize).filter(|&at| !self.is_barred(at));
        let fits = |entry: &&Entry| {
            let vitals = &entry.backend.vitals;
            let is_free = !vitals.is_on_trial() && vitals.is_trusted();
            is_free
                && entry.backend.can_be_tried()
                && entry.terms.tier <= best
                && self.has_tag(entry)
        };
        places.map(|at| &entries[at]).find(fits).map(|entry| &entry.backend)
    }
}
