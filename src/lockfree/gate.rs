//! One server's gate: its idle set, its ledger, its line, and the one function that pairs them.
//!
//! # One owner of the line
//!
//! Waiters push their node into an inbox, which is a lock-free queue; connections are parked in
//! the idle set and permits come free in the ledger, both lock-free too. Bringing the two sides
//! together is the work of [`Gate::pair`], and one thread at a time does it. Nobody waits for it:
//! whoever calls while it is being done adds one to a counter and goes on, and the one who does it
//! sees on leaving that the counter has moved, and goes round again.
//!
//! So the line itself is plain data, exact in its order, and `open` has one writer upwards.
//!
//! # No lost wake-up
//!
//! Whoever brings a waiter, or something a waiter may want, *first* publishes it and *then* calls
//! `pair`:
//!
//! - a waiter pushes its node, then always calls;
//! - a check-in parks, then calls if the idle word carries WAITERS, which the owner of the line
//!   sets before it looks at the idle set (see `idle` for that race);
//! - a permit that comes free is counted down, and the call is made if that same operation showed
//!   somebody waiting: a waiter counts itself before it pushes its node.
//!
//! The call is a read-modify-write on `pairing`. Either it finds 0, and the caller does the work
//! itself; or it makes the owner's leaving fail, and the owner's next round sees what was
//! published. Hence at rest: nobody waits, or nothing is parked and there is no room (or no permit
//! in total, in which case the server has been marked there).
//!
//! # What is not promised
//!
//! Hits and check-ins do not touch any of this, and stay lock-free while somebody waits elsewhere.
//! But a thread that stalls *inside* `pair` holds up those who wait for this one server, and an
//! owner may serve others for as long as they keep coming.

#![expect(unsafe_code, reason = "the line's owner is decided by a counter")]

use std::fmt;

use super::idle::{AfterPark, Idle};
use super::permits::{Ledger, Limits};
use super::total::Need;
use super::waiters::{Grant, Line, Node, SWEEP, Wants, Woken};
use crate::sync::{Arc, AtomicBool, AtomicU32, CachePadded, Ordering, Queue, UnsafeCell};

/// What a round of pairing leaves to the caller, who does not own the line any more.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Left {
    /// Somebody waits, there is room at this server, and only a permit of the total is missing.
    pub lacks_total: bool,
    /// Permits of the total that nobody here wants: to be given back.
    pub surplus: u32,
    /// The line was let go: what is parked can be taken, and seen from elsewhere, again.
    pub reopened: bool,
}

/// One server's connections, permits and waiters.
pub struct Gate<T> {
    /// The parked connections.
    pub idle: Idle<T>,
    /// The counts.
    pub ledger: Ledger,
    inbox: Queue<Arc<Node<T>>>,
    line: UnsafeCell<Line<T>>,
    slow: CachePadded<Slow>,
}

/// The words that only waiting touches, away from those of the hit path.
struct Slow {
    /// Calls of `pair` that have not been answered. Whoever finds 0 owns the line.
    pairing: AtomicU32,
    /// Permits of the total that were brought for this server, to be spent by the line's owner.
    credits: AtomicU32,
    /// Permits whose holders do not stand in line for a connection: they have not entered yet, or
    /// only a new connection will do.
    entering: AtomicU32,
    /// Whether this server stands in the total's queues: those for its first permit, for more.
    marked: [AtomicBool; 2],
}

// SAFETY: the line is touched only by the thread that moved `pairing` away from 0, until it moves
// it back; all else is Sync by itself.
unsafe impl<T: Send> Send for Gate<T> {}
// SAFETY: as above.
unsafe impl<T: Send> Sync for Gate<T> {}

impl<T> Gate<T> {
    /// A gate without connections, whose idle set begins with so many words.
    pub fn new(limits: Limits, words: usize) -> Self {
        Self {
            idle: Idle::new(words),
            ledger: Ledger::new(limits),
            inbox: Queue::new(),
            line: UnsafeCell::new(Line::new()),
            slow: CachePadded::new(Slow {
                pairing: AtomicU32::new(0),
                credits: AtomicU32::new(0),
                entering: AtomicU32::new(0),
                marked: [AtomicBool::new(false), AtomicBool::new(false)],
            }),
        }
    }

    /// Puts a node into the inbox. The caller then pairs.
    pub(super) fn push(&self, node: Arc<Node<T>>) {
        self.inbox.push(node);
    }

    /// Brings a permit of the total for this server. The caller then pairs.
    pub(super) fn credit(&self) {
        // Ordering: Release: the permit was taken before; `pair` carries it to the owner.
        self.slow.credits.fetch_add(1, Ordering::Release);
    }

    /// Notes that this server is about to enter a queue of the total; true if it was not there.
    pub(super) fn mark(&self, need: Need) -> bool {
        // Ordering: Relaxed. If we find the mark set, then whoever takes it off does so later in
        // this flag's order, and pairs after that. Since we have paired before, the chain of
        // `pairing` has that call behind ours: it sees what we have published.
        !self.slow.marked[need as usize].swap(true, Ordering::Relaxed)
    }

    /// Notes that this server has been taken out of a queue. The caller then pairs.
    pub(super) fn unmark(&self, need: Need) {
        // Ordering: Relaxed, as in `mark`.
        self.slow.marked[need as usize].swap(false, Ordering::Relaxed);
    }

    /// No permits and no connections from now on. The caller then settles, which sends everybody
    /// in line away and closes what is parked.
    pub(super) fn close(&self) {
        self.ledger.close();
        self.idle.close();
    }

    /// Brings those who wait and what they wait for together. The caller then calls the wakers.
    pub(super) fn pair(&self, woken: &mut Woken) -> Left {
        let pairing = &self.slow.pairing;
        // Ordering: AcqRel. Release: what we published before the call is seen by the owner, who
        // reads this value or a later one of the chain when it leaves. Acquire: if we are the
        // owner, we see the line as the last one left it.
        if pairing.fetch_add(1, Ordering::AcqRel) != 0 {
            return Left::default();
        }
        let mut answered = 1;
        let mut left = Left::default();
        loop {
            self.line.with_mut(|line| {
                // SAFETY: [1] we moved `pairing` from 0, so we are the only owner; [2] the
                // reference ends with this closure, before we let go.
                let line = unsafe { &mut *line };
                self.round(line, &mut left, woken);
            });
            // Ordering: Release on success: the line is seen by the next owner; what we read then
            // we had read before. Acquire on failure: what the callers in between published is
            // seen by the next round.
            let let_go =
                pairing.compare_exchange(answered, 0, Ordering::Release, Ordering::Acquire);
            match let_go {
                Ok(_) => break,
                Err(calls) => answered = calls,
            }
        }
        left
    }

    fn round(&self, line: &mut Line<T>, left: &mut Left, woken: &mut Woken) {
        while let Some(node) = self.inbox.pop() {
            line.push(node);
        }
        let counts = self.ledger.counts();
        if line.len() > 2 * (counts.waiting + counts.connecting) as usize + SWEEP {
            line.sweep();
        }
        left.lacks_total = false;
        if counts.closed {
            while self.grant(line, Grant::Closed, woken).is_ok() {}
        } else {
            self.serve(line, left, woken);
        }
        if (line.flagged || self.idle.has_grown()) && !line.wants_connection() {
            self.idle.unflag_waiters();
            line.flagged = false;
            left.reopened = true;
        }
        if !left.lacks_total {
            // Ordering: Relaxed. They go back to the total, by whose word the next acquires what
            // belongs to them.
            left.surplus += self.slow.credits.swap(0, Ordering::Relaxed);
        }
    }

    fn serve(&self, line: &mut Line<T>, left: &mut Left, woken: &mut Woken) {
        while line.wants_connection() {
            if !line.flagged {
                self.idle.flag_waiters();
                line.flagged = true;
            }
            if let Some(parked) = self.idle.claim() {
                if let Err(Grant::Connection(parked)) =
                    self.grant(line, Grant::Connection(parked), woken)
                {
                    // Everybody left meanwhile. The flag is ours, so `Waiters` says nothing new;
                    // whoever closes the gate has us drain it again.
                    let _: AfterPark = self.idle.park(parked);
                }
                continue;
            }
            if !line.wants_permit() || !self.ledger.has_room() || self.is_provided(line) {
                return;
            }
            if !self.spend() {
                left.lacks_total = true;
                return;
            }
            if !self.ledger.open() {
                // A connection that is being renewed has taken the room to dial.
                self.credit();
                return;
            }
            self.entering();
            if self.grant(line, Grant::Permit, woken).is_err() {
                self.entered();
                self.ledger.abandoned();
                self.credit();
            }
        }
    }

    /// Whether dials whose callers have been served otherwise, or have gone, will bring a
    /// connection for everyone who waits. One more would then be one too many: C callers are to
    /// open no more than C. A dial has its caller as long as that stands in line, or before it has
    /// entered.
    fn is_provided(&self, line: &Line<T>) -> bool {
        let counts = self.ledger.counts();
        // Ordering: Relaxed. Whoever takes one away settles afterwards: this is looked at again.
        let entering = self.slow.entering.load(Ordering::Relaxed);
        let orphans = counts.connecting.saturating_sub(line.diallers()).saturating_sub(entering);
        orphans > 0 && orphans >= counts.waiting
    }

    /// A permit is about to be held by somebody who does not stand in line for a connection (yet).
    pub(super) fn entering(&self) {
        // Ordering: Relaxed. A count, carried to the line's owner by `pair`.
        self.slow.entering.fetch_add(1, Ordering::Relaxed);
    }

    /// It stands in line now, or its dial has ended. The caller then settles.
    pub(super) fn entered(&self) {
        // Ordering: Relaxed, as in `entering`.
        self.slow.entering.fetch_sub(1, Ordering::Relaxed);
    }

    fn grant(
        &self,
        line: &mut Line<T>,
        grant: Grant<T>,
        woken: &mut Woken,
    ) -> Result<(), Grant<T>> {
        if let Wants::Anything { .. } = line.grant(grant, woken)? {
            self.ledger.leave();
        }
        Ok(())
    }

    fn spend(&self) -> bool {
        let credits = &self.slow.credits;
        // Ordering: Acquire pairs with `credit`. Only the owner of the line takes away, so what is
        // seen stays.
        if credits.load(Ordering::Acquire) == 0 {
            return false;
        }
        // Ordering: Relaxed. The count is all it carries, and the owner saw it above.
        credits.fetch_sub(1, Ordering::Relaxed);
        true
    }
}

#[cfg(all(test, not(evenkeel_loom)))]
impl<T> Gate<T> {
    /// How many nodes stand in line, those who have gone among them. Only on one thread.
    fn queued(&self) -> usize {
        // SAFETY: the test that calls this has no other thread.
        self.line.with_mut(|line| unsafe { (*line).len() })
    }
}

impl<T> fmt::Debug for Gate<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gate")
            .field("idle", &self.idle)
            .field("counts", &self.ledger.counts())
            .finish_non_exhaustive()
    }
}

#[cfg(all(test, not(evenkeel_loom)))]
mod tests;
