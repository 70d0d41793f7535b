//! What the owner of a line does: it gives those who wait what is there, takes grants back that
//! were not taken, and sends away who is one too many.
//!
//! # What is given
//!
//! A parked connection goes before a permit, and a permit is given only where no dial that others
//! have left will bring a connection anyway.
//!
//! # What is taken back
//!
//! When nothing is left to give and somebody waits, a grant that has been out for `grace` ticks is
//! taken back and passed on. Its waiter stands in line again, at the end of its class, and is
//! counted as waiting *before* the grant is taken back: from then on it may leave at any time, and
//! counts itself off. If it takes the grant in that moment after all, the count is undone.
//!
//! A permit is passed on as it is: counted as open, connecting and entering, whoever has it.
//!
//! # Who must go
//!
//! Then, if callers have come who have no place and more wait than may, the youngest of the lowest
//! class goes, for each of them. That is done once it is certain that there is nothing for them:
//! not while a dial that others have left will serve them, and not while a permit of the total may
//! still be found: until the one who looks for it has told that there is none ([`Gate::decide`]).

use super::gate::{Gate, Left};
use super::idle::AfterPark;
use super::line::{Line, SWEEP, Shed, Time};
use super::waiters::{Grant, Wants, Woken};
use crate::sync::Ordering;

/// What those in line lack.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Lack {
    /// Nothing: they all dial.
    Nothing,
    /// Nothing but time: dials that others have left are for them.
    Patience,
    /// Room at this server.
    Room,
    /// A permit of the total.
    Total,
}

/// One round of pairing, by the owner of the line.
pub(super) struct Round<'a, T, F> {
    gate: &'a Gate<T>,
    line: &'a mut Line<T>,
    time: Time<F>,
    left: &'a mut Left,
    woken: &'a mut Woken,
}

impl<'a, T, F: Fn() -> u64> Round<'a, T, F> {
    pub(super) fn new(
        gate: &'a Gate<T>,
        line: &'a mut Line<T>,
        clock: F,
        left: &'a mut Left,
        woken: &'a mut Woken,
    ) -> Self {
        Self { gate, line, time: Time::new(clock), left, woken }
    }

    pub(super) fn run(mut self) {
        let gate = self.gate;
        while let Some(node) = gate.inbox.pop() {
            self.line.enter(node);
        }
        let counts = gate.ledger.counts();
        if self.line.len() > 2 * (counts.waiting + counts.connecting) as usize + SWEEP {
            self.line.sweep();
        }
        self.left.lacks_total = false;
        self.left.undecided = false;
        if counts.closed {
            while self.grant(Grant::Closed).is_ok() {}
            self.line.forget();
        } else {
            self.serve();
        }
        if (self.line.flagged || gate.idle.has_grown()) && !self.line.wants_connection() {
            gate.idle.unflag_waiters();
            self.line.flagged = false;
            self.left.reopened = true;
        }
        if !self.left.lacks_total {
            // Ordering: Relaxed. They go back to the total, by whose word the next acquires what
            // belongs to them.
            self.left.surplus += gate.slow.credits.swap(0, Ordering::Relaxed);
        }
        self.say_when_to_look();
        // Ordering: Acquire pairs with `Gate::rouse`.
        if gate.slow.rouse.swap(false, Ordering::Acquire) {
            self.line.rouse(self.woken);
        }
    }

    fn serve(&mut self) {
        let decide = self.is_decided();
        while self.line.wants_connection() {
            if !self.line.flagged {
                self.gate.idle.flag_waiters();
                self.line.flagged = true;
            }
            if let Some(parked) = self.gate.idle.claim() {
                self.hand(Grant::Connection(parked));
                continue;
            }
            let lack = match self.permit() {
                Ok(()) => {
                    self.hand(Grant::Permit);
                    continue;
                }
                Err(lack) => lack,
            };
            if self.reclaim() {
                continue;
            }
            if lack == Lack::Room || (lack == Lack::Total && decide) {
                self.shed();
            }
            self.left.lacks_total = lack == Lack::Total && self.line.wants_permit();
            self.left.undecided = self.left.lacks_total && self.line.guests() > 0;
            return;
        }
    }

    /// Whether there is no permit of the total for those without a place.
    fn is_decided(&self) -> bool {
        let decide = &self.gate.slow.decide;
        // Ordering: Relaxed, also below. `pair` has carried it here. If one that comes just now is
        // overwritten, the next round leaves the guests undecided, and it is said again.
        let decided = decide.load(Ordering::Relaxed);
        if decided {
            // Ordering: as above.
            decide.store(false, Ordering::Relaxed);
        }
        decided
    }

    /// The right to open a connection, if there is somebody to use it.
    fn permit(&mut self) -> Result<(), Lack> {
        let gate = self.gate;
        if !self.line.wants_permit() {
            return Err(Lack::Nothing);
        }
        if !gate.ledger.has_room() {
            return Err(Lack::Room);
        }
        if self.is_provided() {
            return Err(Lack::Patience);
        }
        if !self.spend() {
            return Err(Lack::Total);
        }
        if !gate.ledger.open() {
            // A connection that is being renewed has taken the room to dial.
            gate.credit();
            return Err(Lack::Room);
        }
        gate.entering();
        Ok(())
    }

    /// Whether dials whose callers have been served otherwise, or have gone, will bring a
    /// connection for everyone who waits. One more would then be one too many: C callers are to
    /// open no more than C. A dial has its caller as long as that stands in line, or before it has
    /// entered.
    fn is_provided(&self) -> bool {
        // What changes meanwhile may let a dial be taken for one that was left, never one that was
        // left be overlooked; and whoever changes it settles afterwards: this is looked at again.
        let (counts, entering) = self.gate.dials();
        let diallers = self.line.diallers();
        let orphans = counts.connecting.saturating_sub(diallers).saturating_sub(entering);
        orphans > 0 && orphans >= counts.waiting
    }

    /// Spends a permit of the total that was brought for this server.
    fn spend(&self) -> bool {
        let credits = &self.gate.slow.credits;
        // Ordering: Acquire pairs with `credit`. Only the owner of the line takes away, so what is
        // seen stays.
        if credits.load(Ordering::Acquire) == 0 {
            return false;
        }
        // Ordering: Relaxed. The count is all it carries, and the owner saw it above.
        credits.fetch_sub(1, Ordering::Relaxed);
        true
    }

    /// Gives it to the first in line who wants it. Handed back if there is nobody.
    fn grant(&mut self, grant: Grant<T>) -> Result<(), Grant<T>> {
        if let Wants::Anything { .. } = self.line.grant(grant, &mut self.time, self.woken)? {
            self.gate.ledger.leave();
        }
        Ok(())
    }

    /// Gives it to the first in line, or, if everybody has left meanwhile, back to where it came
    /// from.
    fn hand(&mut self, grant: Grant<T>) {
        let gate = self.gate;
        match self.grant(grant) {
            Err(Grant::Connection(parked)) => {
                // The flag is ours, so `Waiters` says nothing new; whoever closes the gate has us
                // drain it again.
                let _: AfterPark = gate.idle.park(parked);
            }
            Err(Grant::Permit) => {
                gate.entered();
                gate.ledger.abandoned();
                gate.credit();
            }
            Ok(()) | Err(_) => {}
        }
    }

    /// Passes the oldest grant that has been out for too long on to the first in line, if anybody
    /// stands there who does not dial. Whether there was one.
    fn reclaim(&mut self) -> bool {
        while self.line.wants_permit() {
            let overdue = |given: u64| given.saturating_add(self.gate.grace) <= self.time.now();
            let Some(victim) = self.line.pop_out_if(overdue) else {
                return false;
            };
            let counted = matches!(victim.wants(), Wants::Anything { .. });
            if counted {
                self.gate.ledger.rejoin();
            }
            if let Some(grant) = victim.reclaim() {
                // First the others: the victim may be of a higher class than they are.
                let passed_on = self.grant(grant);
                self.line.push(victim);
                if let Err(grant) = passed_on {
                    self.hand(grant);
                }
                self.left.reclaimed += 1;
                return true;
            }
            // It has taken it in this moment.
            if counted {
                self.gate.ledger.leave();
            }
        }
        false
    }

    /// Sends as many away as have come without a place, and are too many.
    fn shed(&mut self) {
        let ledger = &self.gate.ledger;
        let places = ledger.places();
        let mut guests = self.line.guests();
        while guests > 0 {
            // Ordering: Acquire pairs with the Release in `Gate::leave`, so that the count below is
            // right if nobody leaves.
            let leaving = self.gate.slow.leaving.load(Ordering::Acquire) > 0;
            if ledger.counts().waiting <= places {
                break;
            }
            if leaving && self.line.live() <= places as usize {
                break;
            }
            match self.line.shed(self.woken) {
                Shed::One => {
                    ledger.leave();
                    guests -= 1;
                }
                Shed::Gone => {}
                Shed::Nobody => break,
            }
        }
        self.line.seat_guests();
    }

    fn say_when_to_look(&mut self) {
        if !self.line.wants_permit() {
            return;
        }
        if let Some(given) = self.line.oldest_out() {
            let at = given.saturating_add(self.gate.grace);
            // Ordering: Relaxed. See `Gate::looked`.
            if self.gate.slow.look_at.fetch_min(at, Ordering::Relaxed) > at {
                self.left.look_at = Some(at);
            }
        }
    }
}
