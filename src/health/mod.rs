//! Whether a server is well. Pure: what happens and when are arguments, in milliseconds on the
//! pool's clock, and what is new comes back as a value.
//!
//! ```text
//!            checks fail                 checks fail
//! Unknown ───────────────► Down ◄──────────────────────┐
//!    │ a check succeeds     │ enough checks succeed    │
//!    └────────► Up ◄────────┘                          │
//!               │ ▲   enough trials succeed            │
//!               │ └──────────────────── Trial ─────────┤
//!               │ requests fail         ▲  │ one fails  │
//!               └───────────► Ejected ──┘  │            │
//!                     ▲  time is over      │            │
//!                     └────────────────────┴────────────┘
//! ```
//!
//! One of which nothing is known yet may be ejected like one that is up.
//!
//! [`Standing`] is what is known of one server, and never changes: it lies in the roster, which is
//! replaced as a whole. So what depends on several servers, who may be ejected and whether the pool
//! panics, is decided by one comparison of that whole, and not by a word here and a word there.

mod check;
mod mode;
mod outlier;
mod slow_start;
#[cfg(test)]
mod tests;

pub(crate) use self::check::{Counts, jittered, next_in};
pub(crate) use self::mode::{Census, Mode, Vote};
use self::outlier::leave_alone;
pub(crate) use self::outlier::{Share, Window};
pub(crate) use self::slow_start::{Ramp, TENTHS, ramp};
use crate::config::{Ejection, HealthCheck};
use crate::server::{Fault, Health, HealthReason, ServerState};

/// For how long a server must be well for one of its ejections to be forgotten.
const FORGET: u64 = 60_000;

/// What is known of a server, and what was decided about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Standing {
    /// Never `Trial`: that is what an ejection becomes by itself.
    health: Health,
    pub(crate) state: ServerState,
    /// Since when it has this health.
    pub(crate) since: u64,
    pub(crate) why: HealthReason,
    /// If it is ejected: until when.
    until: u64,
    /// How many requests on trial have succeeded.
    tried: u32,
    /// How often it has been ejected, less what was forgotten.
    ejections: u32,
    /// When it came back last.
    pub(crate) back_at: Option<u64>,
}

impl Standing {
    pub(crate) fn new(now: u64) -> Self {
        Self {
            health: Health::Unknown,
            state: ServerState::Active,
            since: now,
            why: HealthReason::New,
            until: 0,
            tried: 0,
            ejections: 0,
            back_at: None,
        }
    }

    /// Its health at this time.
    pub(crate) fn health(&self, now: u64) -> Health {
        match self.health {
            Health::Ejected if now >= self.until => Health::Trial,
            health => health,
        }
    }

    /// Whether it was taken out since its requests failed, and when its trial may begin.
    pub(crate) fn trial_at(&self) -> Option<u64> {
        let is_out = self.health == Health::Ejected && self.state == ServerState::Active;
        is_out.then_some(self.until)
    }

    /// What it counts as when it is worked out who may be picked.
    pub(crate) fn vote(&self, start_unknown: bool) -> Vote {
        match (self.state, self.health) {
            (ServerState::Draining | ServerState::Disabled, _) => Vote::OutOfService,
            (ServerState::ForcedUp, _) | (_, Health::Up) => Vote::Well,
            (_, Health::Unknown) if start_unknown => Vote::Well,
            (_, Health::Ejected) => Vote::Ejected,
            _ => Vote::Ill,
        }
    }

    /// After a health check, with the counts that include it.
    pub(crate) fn checked(
        &self,
        now: u64,
        counts: &Counts,
        how: Result<(), HealthReason>,
        check: &HealthCheck,
    ) -> Option<Self> {
        match (self.health, how) {
            (Health::Unknown, Ok(())) => {
                Some(self.turn(Health::Up, HealthReason::ChecksPassed, now))
            }
            (Health::Down, Ok(())) if counts.ok >= check.healthy_threshold => {
                let back_at = Some(now);
                Some(Self { back_at, ..self.turn(Health::Up, HealthReason::ChecksPassed, now) })
            }
            (Health::Unknown | Health::Up | Health::Ejected, Err(why))
                if counts.failed >= check.unhealthy_threshold =>
            {
                Some(self.turn(Health::Down, why, now))
            }
            _ => None,
        }
    }

    /// After requests have failed. Whether it may be ejected is for the roster to say.
    pub(crate) fn ejected(
        &self,
        now: u64,
        why: HealthReason,
        rules: &Ejection,
        dice: u64,
    ) -> Option<Self> {
        let may_be = matches!(self.health, Health::Unknown | Health::Up);
        if !may_be || self.state != ServerState::Active {
            return None;
        }
        let well = u32::try_from(now.saturating_sub(self.since) / FORGET).unwrap_or(u32::MAX);
        let before = self.ejections.saturating_sub(well);
        Some(self.eject(now, why, before, rules, dice))
    }

    fn eject(&self, now: u64, why: HealthReason, before: u32, rules: &Ejection, dice: u64) -> Self {
        let until = now.saturating_add(leave_alone(rules, before, dice));
        let ejections = before.saturating_add(1);
        Self { until, ejections, tried: 0, ..self.turn(Health::Ejected, why, now) }
    }

    /// After a request on trial.
    pub(crate) fn tried(
        &self,
        now: u64,
        how: Result<(), Fault>,
        rules: &Ejection,
        dice: u64,
    ) -> Option<Self> {
        if self.health(now) != Health::Trial {
            return None;
        }
        if let Err(fault) = how {
            let why = HealthReason::TrialFailed(fault);
            return Some(self.eject(now, why, self.ejections, rules, dice));
        }
        let tried = self.tried + 1;
        if tried < rules.trials {
            return Some(Self { tried, ..self.clone() });
        }
        let back_at = Some(now);
        Some(Self { back_at, ..self.turn(Health::Up, HealthReason::TrialPassed, now) })
    }

    /// Nobody checks it any more: what checks have found holds no longer.
    pub(crate) fn unchecked(&self, now: u64) -> Option<Self> {
        let is_down = self.health == Health::Down;
        is_down.then(|| self.turn(Health::Unknown, HealthReason::New, now))
    }

    /// After a decision about it.
    pub(crate) fn decided(&self, state: ServerState) -> Option<Self> {
        (self.state != state).then(|| Self { state, ..self.clone() })
    }

    fn turn(&self, health: Health, why: HealthReason, now: u64) -> Self {
        Self { health, why, since: now, ..self.clone() }
    }
}
