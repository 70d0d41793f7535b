//! Other limits while the pool is in use.

use std::sync::Arc;

use super::backend::Backend;
use super::directory::{Directory, closed};
use super::lease::CloseReason;
use crate::config::Limits;
use crate::error::Error;
use crate::lockfree::shrink;
use crate::lockfree::snapshot::Change;

impl Directory {
    /// Sets the limits as a whole: of several calls the last one wins, everywhere.
    pub(crate) fn set_limits(&self, limits: Limits) -> Result<(), Error> {
        limits.validate(self.hub.config.min_idle)?;
        if !self.hub.lifecycle.is_open() {
            return Err(closed());
        }
        self.hub.limits.update(|_| Change::Replace(limits, ()));
        // Replaced by its like, after the limits: a server that is added later finds the limits
        // set when it looks after entering, one that was added before is among these.
        let now = self.hub.tick();
        let servers: Vec<Arc<Backend>> = self.roster.update(|roster| {
            let same = self.roster_of(roster.entries().to_vec(), now);
            Change::Replace(same, roster.backends().cloned().collect())
        });
        self.hub.keep_up_shared();
        for backend in &servers {
            backend.keep_up();
        }
        shrink::resize::<Backend>(&servers, &self.hub.total);
        // Behind the fence in there: who parks later sees the cap.
        let cap = self.hub.idle_cap() as u64;
        while self.parked() > cap {
            let mut idle = self.idle();
            if idle.is_empty() {
                break;
            }
            // One look for as many as are too many, as in `shrink`.
            idle.sort_by_key(|(_, seen)| seen.since);
            for (backend, seen) in idle {
                if self.parked() <= cap {
                    break;
                }
                backend.close_idle_if(seen, CloseReason::IdleCap);
            }
        }
        self.hub.after_close();
        self.hub.keep_floor();
        Ok(())
    }

    /// Has a server that has just entered keep limits that were set while it did.
    pub(super) fn take_up(&self, backend: &Arc<Backend>) {
        let before = backend.gate.ledger.limits();
        backend.keep_up();
        if backend.gate.ledger.limits() != before {
            shrink::resize::<Backend>(std::slice::from_ref(backend), &self.hub.total);
        }
    }
}
