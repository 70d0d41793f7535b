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
//! # When to look
//!
//! What has been granted and is not taken may be taken back after a while (see `round`), but a gate
//! has no clock. It keeps the time at which somebody should look, and says so when that comes to be
//! earlier than it was. Whoever looks resets it first and pairs then: the round that answers sets
//! it anew, if a grant is out and somebody waits. So it is never later than it should be, and a
//! busy line tells once each time it is looked at, not with every grant.
//!
//! # What is not promised
//!
//! Hits and check-ins do not touch any of this, and stay lock-free while somebody waits elsewhere.
//! But a thread that stalls *inside* `pair` holds up those who wait for this one server, and an
//! owner may serve others for as long as they keep coming.

#![expect(unsafe_code, reason = "the line's owner is decided by a counter")]

use std::fmt;

use super::idle::Idle;
use super::line::Line;
use super::permits::{Counts, Ledger, Limits};
use super::round::Round;
use super::total::Need;
use super::waiters::{Grant, Node, Wants, Woken};
use crate::sync::{
    Arc, AtomicBool, AtomicU32, AtomicU64, CachePadded, Ordering, Queue, UnsafeCell,
};

/// What a round of pairing leaves to the caller, who does not own the line any more.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Left {
    /// Somebody waits, there is room at this server, and only a permit of the total is missing.
    pub lacks_total: bool,
    /// Permits of the total that nobody here wants: to be given back.
    pub surplus: u32,
    /// The line was let go: what is parked can be taken, and seen from elsewhere, again.
    pub reopened: bool,
    /// Callers without a place wait for a permit of the total. If there is none, the line's owner
    /// is to [`decide`](Gate::decide).
    pub undecided: bool,
    /// How many grants were taken back.
    pub reclaimed: u32,
    /// [`Gate::look_at`], if it is earlier than it was.
    pub look_at: Option<u64>,
}

/// The time to look at nothing.
const NEVER: u64 = u64::MAX;

/// One server's connections, permits and waiters.
pub struct Gate<T> {
    /// The parked connections.
    pub idle: Idle<T>,
    /// The counts.
    pub ledger: Ledger,
    pub(super) inbox: Queue<Arc<Node<T>>>,
    line: UnsafeCell<Line<T>>,
    /// How long a grant may be out, in the clock's ticks, before it is taken back.
    pub(super) grace: u64,
    pub(super) slow: CachePadded<Slow>,
}

/// The words that only waiting touches, away from those of the hit path.
pub(super) struct Slow {
    /// Calls of `pair` that have not been answered. Whoever finds 0 owns the line.
    pairing: AtomicU32,
    /// Permits of the total that were brought for this server, to be spent by the line's owner.
    pub(super) credits: AtomicU32,
    /// Permits, ever, whose holders did not stand in line for a connection at first: they had not
    /// entered yet, or only a new connection would do.
    entering: AtomicU32,
    /// Those of them who stand in line now, or whose dial has ended.
    entered: AtomicU32,
    /// Whether this server stands in the total's queues: those for its first permit, for more.
    marked: [AtomicBool; 2],
    /// Callers who are about to leave the line, and may be gone from it and still be counted.
    pub(super) leaving: AtomicU32,
    /// No permit of the total is to be had for those who have no place in line.
    pub(super) decide: AtomicBool,
    /// Everybody in line is to be woken.
    pub(super) rouse: AtomicBool,
    /// When to look for a grant that is to be taken back: not later than there is one.
    pub(super) look_at: AtomicU64,
}

// SAFETY: the line is touched only by the thread that moved `pairing` away from 0, until it moves
// it back; all else is Sync by itself.
unsafe impl<T: Send> Send for Gate<T> {}
// SAFETY: as above.
unsafe impl<T: Send> Sync for Gate<T> {}

impl<T> Gate<T> {
    /// A gate without connections, with its cells in at least `words` words. A grant that has been
    /// out for `grace` ticks is taken back.
    pub fn new(limits: Limits, words: usize, grace: u64) -> Self {
        Self {
            idle: Idle::new(words),
            ledger: Ledger::new(limits),
            inbox: Queue::new(),
            line: UnsafeCell::new(Line::new()),
            grace,
            slow: CachePadded::new(Slow {
                pairing: AtomicU32::new(0),
                credits: AtomicU32::new(0),
                entering: AtomicU32::new(0),
                entered: AtomicU32::new(0),
                marked: [AtomicBool::new(false), AtomicBool::new(false)],
                leaving: AtomicU32::new(0),
                decide: AtomicBool::new(false),
                rouse: AtomicBool::new(false),
                look_at: AtomicU64::new(NEVER),
            }),
        }
    }

    /// Puts a node into the inbox. The caller then pairs.
    pub(super) fn push(&self, node: Arc<Node<T>>) {
        self.inbox.push(node);
    }

    /// A caller leaves the line, and is counted off, unless it has been given something: that comes
    /// back. The caller of this pairs then.
    pub(super) fn leave(&self, node: &Node<T>) -> Result<(), Option<Grant<T>>> {
        let leaving = &self.slow.leaving;
        // Ordering: Relaxed. Whoever sees the node gone acquires this with it.
        leaving.fetch_add(1, Ordering::Relaxed);
        let gone = node.cancel();
        if let (Ok(()), Wants::Anything { .. }) = (&gone, node.wants()) {
            self.ledger.leave();
        }
        // Ordering: Release: whoever sees that nobody leaves any more sees us counted off.
        leaving.fetch_sub(1, Ordering::Release);
        gone
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

    /// There is no permit of the total for those without a place. The caller then pairs.
    pub(super) fn decide(&self) {
        // Ordering: Relaxed. `pair` carries it to the owner.
        self.slow.decide.store(true, Ordering::Relaxed);
    }

    /// Has everybody in line woken, to see what has changed beside the line. The caller then
    /// settles.
    pub fn rouse(&self) {
        // Ordering: Release: the owner finds the tasks that were registered before the change.
        // `pair` alone does not see to that, since the owner may see this before it is called.
        self.slow.rouse.store(true, Ordering::Release);
    }

    /// When somebody should look whether a grant is to be taken back.
    pub fn look_at(&self) -> Option<u64> {
        // Ordering: Relaxed. A hint: the look itself is done by the line's owner.
        Some(self.slow.look_at.load(Ordering::Relaxed)).filter(|at| *at != NEVER)
    }

    /// Somebody looks. The caller then pairs.
    pub(super) fn looked(&self) {
        // Ordering: Relaxed. A round that has ended by then has its time read and put away here;
        // `pair` has another round come after this, which sets it anew.
        self.slow.look_at.swap(NEVER, Ordering::Relaxed);
    }

    /// Brings those who wait and what they wait for together. The caller then calls the wakers.
    pub(super) fn pair(&self, clock: impl Fn() -> u64, woken: &mut Woken) -> Left {
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
                Round::new(self, line, &clock, &mut left, woken).run();
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

    /// A permit, counted as being opened already, is held by somebody who does not stand in line
    /// for a connection (yet). Until now it could be taken for a dial that others have left: who is
    /// not the owner of the line settles then.
    pub(super) fn entering(&self) {
        // Ordering: Release: who sees it counted here sees it counted as being opened.
        self.slow.entering.fetch_add(1, Ordering::Release);
    }

    /// It is about to stand in line, or to be counted off, since its dial has ended. The caller
    /// then settles.
    pub(super) fn entered(&self) {
        // Ordering: Relaxed. Published by what the caller does next: whoever finds it in line, or
        // no longer counted as being opened, sees this.
        self.slow.entered.fetch_add(1, Ordering::Relaxed);
    }

    /// How many dials there are, and how many of them are made by somebody who does not stand in
    /// line: at most those. For the owner of the line, who is not to overlook one that was left.
    pub(super) fn dials(&self) -> (Counts, u32) {
        // Ordering: Acquire pairs with `entering`. Who has begun is counted before, and who has
        // ended after the dials are, so that each one counted here is one of them.
        let entering = self.slow.entering.load(Ordering::Acquire);
        let counts = self.ledger.counts();
        // Ordering: Relaxed. Not above the counts, which acquire.
        let outside = entering.wrapping_sub(self.slow.entered.load(Ordering::Relaxed));
        // Below zero if one has begun and ended since.
        (counts, if outside > u32::MAX / 2 { 0 } else { outside })
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
