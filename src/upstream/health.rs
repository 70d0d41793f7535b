//! What becomes of the roster when a server's health or state changes.

use std::sync::Arc;
use std::time::Duration;

use super::backend::Backend;
use super::directory::{Directory, not_found};
use super::lease::CloseReason;
use super::outcome::Outcome;
use super::roster::{Entry, Roster};
use super::tally::Count;
use super::vitals::{Checked, Trust};
use crate::error::Error;
use crate::event::Event;
use crate::health::{Mode, Standing};
use crate::lockfree::settle;
use crate::lockfree::snapshot::Change;
use crate::server::{CheckFailure, Fault, Health, HealthReason, ServerId, ServerState};

/// How a health check ended.
#[derive(Debug)]
pub(crate) struct CheckResult {
    pub(crate) id: ServerId,
    pub(crate) how: Result<(), CheckFailure>,
    pub(crate) took: Duration,
}

/// What has changed for one server.
struct Shift {
    entry: Entry,
    from: Health,
    to: Health,
    state_was: ServerState,
    was_eligible: bool,
}

/// What a change of the roster has brought.
pub(super) struct Shifts {
    servers: Vec<Shift>,
    modes: (Mode, Mode),
}

impl Directory {
    /// Changes what is known of some servers. `change` is asked by the roster as it is, and again
    /// if that changes meanwhile.
    fn restand(&self, ids: &[ServerId], change: impl Fn(&Roster, &Entry) -> Option<Standing>) {
        let now = self.hub.tick();
        let shifts = self.roster.update(|roster| {
            let mut next: Option<Vec<Entry>> = None;
            for at in ids.iter().filter_map(|&id| roster.position(id)) {
                if let Some(standing) = change(roster, &roster.entries()[at]) {
                    let next = next.get_or_insert_with(|| roster.entries().to_vec());
                    next[at].standing = standing;
                }
            }
            let Some(next) = next else {
                return Change::Keep(None);
            };
            let next = self.roster_of(next, now);
            let shifts = Shifts::between(roster, &next, now);
            Change::Replace(next, Some(shifts))
        });
        if let Some(shifts) = shifts {
            self.follow(&shifts);
        }
    }

    /// Does what a change asks for. Not under a pin: sockets are closed here, and wakers and the
    /// observer called.
    pub(super) fn follow(&self, shifts: &Shifts) {
        let hub = &self.hub;
        for shift in &shifts.servers {
            let Entry { backend, standing, .. } = &shift.entry;
            let (id, url) = (backend.id, backend.server.url());
            if shift.from != shift.to {
                match shift.to {
                    Health::Up => backend.forget_failures(),
                    Health::Ejected => {
                        hub.count(backend, Count::Ejections);
                        backend.vitals.await_check();
                        backend.hurry_check();
                    }
                    _ => {}
                }
            }
            self.keep_up_out(backend);
            if shift.must_go() {
                backend.send_away();
            }
            if shift.from != shift.to {
                let (from, to, why) = (shift.from, shift.to, standing.why);
                hub.tell(|| Event::HealthChanged { id, url, from, to, why });
            }
            if shift.state_was != standing.state {
                hub.tell(|| Event::StateChanged { id, url, state: standing.state });
            }
        }
        match shifts.modes {
            (Mode::Panic, Mode::Panic) => {}
            (_, Mode::Panic) => hub.tell(|| Event::PanicBegan),
            (Mode::Panic, _) => hub.tell(|| Event::PanicEnded),
            _ => {}
        }
        if shifts.servers.iter().any(Shift::may_come) {
            hub.keep_floor();
        }
        // For those who wait for a server that may be picked.
        hub.lifecycle.notify();
    }

    /// Has the server's connections kept or not, as the roster has it.
    fn keep_up_out(&self, backend: &Backend) {
        let is_out = || self.entry(backend.id).is_some_and(|entry| entry.is_out());
        let mut seen = is_out();
        loop {
            backend.vitals.set_out(seen);
            let now = is_out();
            if now == seen {
                return;
            }
            seen = now;
        }
    }

    /// The servers have changed: tells those who check them, and those who wait for one, and does
    /// what that asks for with those that stay.
    pub(super) fn changed(&self, shifts: Option<&Shifts>) {
        self.hub.new_edition();
        if let Some(shifts) = shifts {
            self.follow(shifts);
        }
        self.hub.lifecycle.notify();
    }

    /// Takes note of health checks that have ended.
    pub(crate) fn checked(&self, results: &[CheckResult]) {
        let hub = &self.hub;
        let now = hub.tick();
        let found = |id: ServerId| self.backend(id);
        let mut ids = Vec::with_capacity(results.len());
        for result in results {
            let Some(backend) = found(result.id) else {
                continue;
            };
            let ok = result.how.is_ok();
            backend.vitals.trust(if ok { Trust::Passed } else { Trust::Failed });
            let failed_before = backend.vitals.checked.update(|before| {
                let last = Some((now, result.how, result.took));
                let counts = before.counts.and(ok);
                Change::Replace(Checked { counts, last, next: None }, before.counts.failed > 0)
            });
            if ok {
                backend.check_succeeded();
            }
            if ok && failed_before {
                // It answers again. What it did before that would keep requests away for long.
                backend.forget_peaks();
            }
            ids.push(result.id);
        }
        let check = &hub.config.health_check;
        self.restand(&ids, |_, entry| {
            let checked = entry.backend.vitals.checked();
            let (_, how, _) = checked.last?;
            let how = how.map_err(HealthReason::ChecksFailed);
            entry.standing.checked(now, &checked.counts, how, check)
        });
    }

    /// Takes a server out whose requests fail, if that leaves enough.
    pub(super) fn eject(&self, id: ServerId, why: HealthReason) {
        let (now, dice) = (self.hub.tick(), self.hub.throw());
        let rules = &self.hub.config.ejection;
        self.restand(&[id], |roster, entry| {
            // One that is not picked from is none of those that are counted there.
            let may_be = entry.is_eligible() && roster.census.may_eject(rules.max_share);
            may_be.then(|| entry.standing.ejected(now, why, rules, dice)).flatten()
        });
    }

    /// Takes note of a request on trial.
    fn tried(&self, id: ServerId, how: Result<(), Fault>) {
        let (now, dice) = (self.hub.tick(), self.hub.throw());
        let rules = &self.hub.config.ejection;
        self.restand(&[id], |_, entry| entry.standing.tried(now, how, rules, dice));
    }

    /// Decides about a server.
    pub(crate) fn set_state(&self, id: ServerId, state: ServerState) -> Result<(), Error> {
        if self.backend(id).is_none() {
            return Err(not_found(id));
        }
        self.restand(&[id], |_, entry| entry.standing.decided(state));
        self.hub.new_edition();
        Ok(())
    }

    /// Works out anew what servers get that come back, if the time has come.
    #[cold]
    pub(super) fn step(&self) {
        let now = self.hub.tick();
        self.roster.update(|roster| {
            if now < roster.due {
                return Change::Keep(());
            }
            Change::Replace(self.roster_of(roster.entries().to_vec(), now), ())
        });
    }

    /// Whether a server may be picked.
    pub(crate) fn is_ready(&self) -> bool {
        self.roster.with(|roster| roster.entries().iter().any(Entry::is_eligible))
    }

    /// Nobody checks the servers any more: what checks have found holds no longer.
    pub(crate) fn unchecked(&self) {
        let now = self.hub.tick();
        let mut ids = Vec::new();
        for backend in self.servers() {
            backend.vitals.trust(Trust::Unchecked);
            backend.vitals.checked.update(|_| Change::Replace(Checked::default(), ()));
            ids.push(backend.id);
        }
        self.restand(&ids, |_, entry| entry.standing.unchecked(now));
    }

    /// The servers that are to be checked.
    pub(crate) fn to_be_checked(&self) -> Vec<ServerId> {
        let wanted = |entry: &&Entry| entry.standing.state != ServerState::Disabled;
        self.roster.with(|roster| roster.entries().iter().filter(wanted).map(Entry::id).collect())
    }

    /// A server, and its health.
    pub(crate) fn patient(&self, id: ServerId) -> Option<(Arc<Backend>, Health)> {
        let entry = self.entry(id)?;
        let health = entry.standing.health(self.hub.tick());
        Some((entry.backend, health))
    }

    fn entry(&self, id: ServerId) -> Option<Entry> {
        self.roster.with(|roster| roster.position(id).map(|at| roster.entries()[at].clone()))
    }

    fn backend(&self, id: ServerId) -> Option<Arc<Backend>> {
        self.entry(id).map(|entry| entry.backend)
    }
}

impl Shifts {
    /// Of the servers that are in both. One that comes or goes may make a difference for others.
    pub(super) fn between(before: &Roster, after: &Roster, now: u64) -> Self {
        let pairs = after.entries().iter().filter_map(|entry| {
            let at = before.position(entry.id())?;
            Some((&before.entries()[at], entry))
        });
        let changed = pairs.filter(|(before, after)| {
            before.standing != after.standing
                || before.is_eligible() != after.is_eligible()
                || before.is_out() != after.is_out()
        });
        let servers = changed.map(|(before, after)| Shift {
            from: before.standing.health(now),
            to: after.standing.health(now),
            state_was: before.standing.state,
            was_eligible: before.is_eligible(),
            entry: after.clone(),
        });
        Self { servers: servers.collect(), modes: (before.mode, after.mode) }
    }
}

impl Shift {
    /// Whether it may be picked, and could not be before.
    fn may_come(&self) -> bool {
        !self.was_eligible && self.entry.is_eligible()
    }

    /// Whether those in line there are to go elsewhere.
    fn must_go(&self) -> bool {
        let state = self.entry.standing.state;
        match state {
            ServerState::Disabled => self.state_was != state,
            _ => self.was_eligible && self.entry.is_out(),
        }
    }
}

impl Backend {
    /// The server has been taken out: those in line go elsewhere, and what is idle is closed.
    fn send_away(&self) {
        self.vitals.depart();
        self.gate.rouse();
        settle::settle(self);
        self.close_all_idle();
    }

    fn close_all_idle(&self) {
        for seen in self.gate.idle.parked() {
            self.close_idle_if(seen, CloseReason::Unhealthy);
        }
    }

    /// Takes note of how a request on trial ended.
    #[cold]
    pub(crate) fn note_trial(&self, outcome: Outcome) {
        let how = match outcome {
            Outcome::Answered => Ok(()),
            Outcome::Failed(fault) | Outcome::FailedFor(fault, _) => Err(fault),
        };
        if let Some(directory) = self.directory() {
            directory.tried(self.id, how);
        }
    }

    /// Asks for a check ahead of time.
    pub(super) fn hurry_check(&self) {
        let hub = &self.hub;
        if hub.has_checks() && self.vitals.hurry() {
            hub.hurried.push(self.id);
            hub.driver.wake();
        }
    }

    /// The check that was asked for is about to be planned.
    pub(crate) fn hurried(&self) {
        self.vitals.hurried();
    }

    /// Its next check is due in so long; `None` if one begins now.
    pub(crate) fn check_planned(&self, ahead: Option<Duration>) {
        let millis = ahead.map(|ahead| u64::try_from(ahead.as_millis()).unwrap_or(u64::MAX));
        let next = millis.map(|millis| self.hub.tick().saturating_add(millis));
        self.vitals.checked.update(|before| Change::Replace(Checked { next, ..*before }, ()));
    }

    /// It has come back: it is judged anew.
    fn forget_failures(&self) {
        self.vitals.forget_failures();
        self.forget_peaks();
    }

    fn forget_peaks(&self) {
        self.response_peak.forget();
        self.connect_peak.forget();
    }
}
