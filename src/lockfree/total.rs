//! Permits in total, for all servers of a pool together.
//!
//! One word holds the permits in use in the whole pool and three flags; the servers that wanted a
//! permit and found none stand in two queues, each server at most once in each:
//!
//! ```text
//! bit  63      STARVED      one of the queues holds somebody
//! bit  62      DESPERATE    a server without any connection of its own is among them
//! bit  61      SHRINKING    some limit, this one or a server's, may be passed
//! bits 31..60  marks        counts up with every mark and every change of a limit, and wraps
//! bits  0..30  in use
//! ```
//!
//! A server enters a queue, *then* sets the flag, and the same operation tells it whether a permit
//! has come free meanwhile. A permit is put back, *then* the flag is looked at in the same word.
//! One sees the other. For that a flag must never be down while a server that has set it stands in
//! its queue, not even for a moment. So it is taken down by a compare-and-swap, which fails if
//! anybody was marked since the queues were found empty, for then the count of marks has changed.
//! (It wraps after 2^30 marks: as many would have to fall between one thread's look and its swap.)
//!
//! A server with connections of its own goes on by itself, slowly; one without any depends on the
//! others. So the desperate are served first, and for each of them one check-in elsewhere gives
//! its connection up although it might have been used again: see `settle`.
//!
//! # A limit that changes
//!
//! The limit stands beside the word. A change is stored, *then* [`Total::announce`] counts a mark
//! in the word. A permit is taken by a compare-and-swap on the word, which fails if a mark was
//! counted since it was read, and the limit is read after it: so once the change is announced, no
//! permit is given by the limit before. To pass one on by value changes nothing in the word, so a
//! look must do ([`Total::surplus`]): it sees the limit if it sees the mark, or anything else that
//! was done after the change. If it has grown: a server marks itself in the word and *then* looks
//! at the limit; whoever has set that announces it in the word and learns whether somebody is
//! marked. One sees the other. If it has shrunk, more permits may be in use than there are, and
//! their number only goes down until they are not: see `shrink`.

use super::claims::Claims;
use crate::sync::{AtomicU32, AtomicU64, Ordering, Queue};

const STARVED: u64 = 1 << 63;
const DESPERATE: u64 = 1 << 62;
const SHRINKING: u64 = 1 << 61;
const IN_USE: u64 = (1 << 31) - 1;
const MARK: u64 = 1 << 31;
const MARKS: u64 = SHRINKING - MARK;

/// The pool's permits, and the servers that wait for one.
#[derive(Debug)]
pub struct Total<S> {
    word: AtomicU64,
    limit: AtomicU32,
    /// Who closes a connection because more permits are in use than there are.
    claims: Claims,
    /// Servers without a connection of their own.
    desperate: Queue<S>,
    /// Servers that have some, and want more.
    starved: Queue<S>,
}

impl<S> Total<S> {
    /// `limit` permits, none in use.
    pub fn new(limit: u32) -> Self {
        Self {
            word: AtomicU64::new(0),
            limit: AtomicU32::new(limit),
            claims: Claims::new(),
            desperate: Queue::new(),
            starved: Queue::new(),
        }
    }

    /// How many permits there are.
    pub fn limit(&self) -> u32 {
        // Ordering: Relaxed. Whoever must see a change has acquired its mark in the word before.
        self.limit.load(Ordering::Relaxed)
    }

    /// Sets another number of permits. The caller then calls [`announce`](Self::announce).
    pub fn set_limit(&self, limit: u32) {
        // Ordering: AcqRel. Of two who set it at the same time the later one sees what the earlier
        // one did before, and so can tell whether its own is out of date.
        self.limit.swap(limit, Ordering::AcqRel);
    }

    /// Limits have changed: from now on none is given by those before, and check-ins look whether
    /// one is passed, until [`calm`](Self::calm) finds that none is.
    pub fn announce(&self) {
        // Ordering: Relaxed. A guess; the compare-and-swap confirms it.
        let mut seen = self.word.load(Ordering::Relaxed);
        loop {
            // Ordering: Release: who sees this mark, or a later one, sees the limits. Acquire pairs
            // with `mark`: who was marked before is in its queue. On failure a new guess.
            let swapped = self.word.compare_exchange_weak(
                seen,
                next_mark(seen) | SHRINKING,
                Ordering::AcqRel,
                Ordering::Relaxed,
            );
            match swapped {
                Ok(_) => return,
                Err(now) => seen = now,
            }
        }
    }

    /// Check-ins need not look any more, if no limit is passed. `above` tells it of the servers.
    pub fn calm(&self, above: impl Fn() -> bool) {
        // Ordering: Acquire pairs with `announce`: the limits are seen as they were changed.
        let mut seen = self.word.load(Ordering::Acquire);
        while seen & SHRINKING != 0 {
            if self.above(seen) > 0 || above() {
                return;
            }
            let marks = seen & MARKS;
            // No permit is given above a limit: what was found stays so, until the next change.
            while seen & SHRINKING != 0 && seen & MARKS == marks {
                // Ordering: Relaxed on success: it publishes nothing. On failure Acquire, as above.
                let swapped = self.word.compare_exchange_weak(
                    seen,
                    seen & !SHRINKING,
                    Ordering::Relaxed,
                    Ordering::Acquire,
                );
                match swapped {
                    Ok(_) => return,
                    Err(now) => seen = now,
                }
            }
        }
    }

    /// How many permits of a word are in use beyond the limit, which is to be read after the word.
    fn above(&self, word: u64) -> u32 {
        in_use(word).saturating_sub(self.limit())
    }

    /// How many permits are in use beyond the limit. If none is, one that is in use may pass on to
    /// another socket: put back and taken at once.
    pub fn surplus(&self) -> u32 {
        // Ordering: Acquire: with a mark the limit is seen for which it was counted.
        self.above(self.word.load(Ordering::Acquire))
    }

    /// Whether the caller is to close one of the surplus connections: see [`Claims`].
    pub(super) fn claim_surplus(&self) -> bool {
        self.claims.claim(|| self.surplus())
    }

    /// The connection is closed and its permit put back, or there was none to close.
    pub(super) fn end_claim(&self) {
        self.claims.end();
    }

    /// Whether a permit is free now.
    pub fn has_free(&self) -> bool {
        // Ordering: Relaxed. A hint: whoever acts on it takes the permit by `take`.
        self.is_free(self.word.load(Ordering::Relaxed))
    }

    fn is_free(&self, word: u64) -> bool {
        in_use(word) < self.limit()
    }

    /// How many permits are in use.
    pub fn in_use(&self) -> u64 {
        // Ordering: Acquire: whoever sees the last permit come back sees its socket closed.
        u64::from(in_use(self.word.load(Ordering::Acquire)))
    }

    /// Takes a permit, if one is free.
    pub fn take(&self) -> bool {
        // Ordering: Acquire: with a mark the limit is seen for which it was counted. If the mark is
        // out of date, the compare-and-swap fails.
        let mut seen = self.word.load(Ordering::Acquire);
        while self.is_free(seen) {
            // Ordering: Acquire pairs with the Release in `put`: the socket that the permit stood
            // for is closed. On failure Acquire, as above.
            let swapped = self.word.compare_exchange_weak(
                seen,
                seen + 1,
                Ordering::Acquire,
                Ordering::Acquire,
            );
            match swapped {
                Ok(_) => return true,
                Err(now) => seen = now,
            }
        }
        false
    }

    /// Gives permits back. The caller then serves whoever [`next`](Self::next) names. True: a limit
    /// may have been passed until now; if it is not any more, the caller serves any server that is
    /// marked, for none was closed for it in the meantime; and it calls [`calm`](Self::calm).
    pub fn put(&self, permits: u32) -> bool {
        if permits == 0 {
            return false;
        }
        // Ordering: Release: the sockets are closed. A server that marked itself before is seen by
        // the look at this word that follows. Acquire pairs with `announce`: if that was before,
        // the limit is seen in that look; if it is after, it sees what is free.
        self.word.fetch_sub(u64::from(permits), Ordering::AcqRel) & SHRINKING != 0
    }

    /// A server that found no permit marks itself. `site` is given if it does not stand in that
    /// queue yet. True: a permit has come free meanwhile, so it must try again.
    pub fn mark(&self, site: Option<S>, need: Need) -> bool {
        if let Some(site) = site {
            self.queue(need).push(site);
        }
        // Ordering: Relaxed. A guess; the compare-and-swap confirms it.
        let mut seen = self.word.load(Ordering::Relaxed);
        loop {
            let marked = next_mark(seen) | need.flags();
            // Ordering: Release: the push is visible to whoever sees the flag, and nobody takes the
            // flag down who has not seen it. That a permit put back before is seen here, follows
            // from the order of the operations on this word; `take` acquires it. Acquire pairs with
            // `announce`: a limit that had grown before is seen below. On failure only the guess is
            // renewed.
            let swapped =
                self.word.compare_exchange_weak(seen, marked, Ordering::AcqRel, Ordering::Relaxed);
            match swapped {
                Ok(_) => return self.is_free(seen),
                Err(now) => seen = now,
            }
        }
    }

    /// Whether any server waits for a permit.
    pub fn is_starved(&self) -> bool {
        // Ordering: Relaxed. Whoever parked before this load did an acquiring read-modify-write
        // on its idle word, which orders it behind the mark of one who looked there (see
        // `Idle::fence`).
        self.word.load(Ordering::Relaxed) & STARVED != 0
    }

    /// Whether a limit may be passed.
    pub(super) fn may_be_passed(&self) -> bool {
        // Ordering: Relaxed, as in `wants_parked`.
        self.word.load(Ordering::Relaxed) & SHRINKING != 0
    }

    /// Whether anybody wants to know of a connection that has been parked. One load, for the hit
    /// path.
    #[inline]
    pub fn wants_parked(&self) -> bool {
        // Ordering: Relaxed, as in `is_starved`; one who changed the limits used the same fence.
        self.word.load(Ordering::Relaxed) & (STARVED | SHRINKING) != 0
    }

    /// Whether a connection that has come back may be wanted for another end than to be parked.
    /// One load, for the hit path.
    #[inline]
    pub fn wants_check_ins(&self) -> bool {
        // Ordering: Relaxed. If it is missed, the look after the park sees it, or the next
        // check-in does.
        self.word.load(Ordering::Relaxed) & (DESPERATE | SHRINKING) != 0
    }

    /// Whether this check-in is the one to give its connection up for a desperate server: true
    /// once for each time the flag is set.
    pub fn yields(&self) -> bool {
        // Ordering: Relaxed. If it is missed, the next check-in yields.
        if self.word.load(Ordering::Relaxed) & DESPERATE == 0 {
            return false;
        }
        // Ordering: Relaxed. The winner is the one who saw the flag go.
        self.word.fetch_and(!DESPERATE, Ordering::Relaxed) & DESPERATE != 0
    }

    /// The next server to serve, if there is a permit for it, the desperate first.
    pub fn next(&self) -> Option<(S, Need)> {
        loop {
            // Ordering: Relaxed. A missed push is found in the next round: `pop` has brought
            // the flags in line with the queues, and acquires for that.
            let seen = self.word.load(Ordering::Relaxed);
            if seen & STARVED == 0 || !self.is_free(seen) {
                return None;
            }
            // Nobody there after all: `pop` has put the flags right, so this ends.
            if let Some(next) = self.pop() {
                return Some(next);
            }
        }
    }

    /// The next of the servers that have no connection at all.
    pub fn pop_first(&self) -> Option<S> {
        let first = self.desperate.pop();
        self.refresh();
        first
    }

    /// The next server to serve, whether or not there is a permit for it.
    pub fn pop(&self) -> Option<(S, Need)> {
        let next = match self.desperate.pop() {
            Some(site) => Some((site, Need::First)),
            None => self.starved.pop().map(|site| (site, Need::More)),
        };
        self.refresh();
        next
    }

    /// Brings the flags in line with the queues: down if there is nobody, and DESPERATE up again
    /// for the next one, after a check-in has yielded for the one before.
    pub fn refresh(&self) {
        // Ordering: Acquire pairs with `mark`: all who were marked by then are seen in the queues,
        // unless they have been taken out.
        let mut seen = self.word.load(Ordering::Acquire);
        loop {
            let flags = self.flags();
            if seen & (STARVED | DESPERATE) == flags {
                return;
            }
            // Ordering: Relaxed on success: what was read had been acquired, and what others have
            // published by this word stays published. On failure Acquire, as above.
            let swapped = self.word.compare_exchange_weak(
                seen,
                (seen & !(STARVED | DESPERATE)) | flags,
                Ordering::Relaxed,
                Ordering::Acquire,
            );
            match swapped {
                Ok(_) => return,
                Err(now) => seen = now,
            }
        }
    }

    fn queue(&self, need: Need) -> &Queue<S> {
        match need {
            Need::First => &self.desperate,
            Need::More => &self.starved,
        }
    }

    /// The flags as the queues would have them.
    fn flags(&self) -> u64 {
        if !self.desperate.is_empty() {
            STARVED | DESPERATE
        } else if !self.starved.is_empty() {
            STARVED
        } else {
            0
        }
    }
}

fn in_use(word: u64) -> u32 {
    (word & IN_USE) as u32
}

/// The word with one mark more.
fn next_mark(word: u64) -> u64 {
    (word & !MARKS) | (word.wrapping_add(MARK) & MARKS)
}

/// How badly a server needs a permit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// It has no connection at all.
    First,
    /// It has some.
    More,
}

impl Need {
    fn flags(self) -> u64 {
        match self {
            Self::First => STARVED | DESPERATE,
            Self::More => STARVED,
        }
    }
}

#[cfg(all(test, not(evenkeel_loom)))]
mod tests;
