//! Permits in total, for all servers of a pool together.
//!
//! One word holds the free permits of the whole pool and two flags; the servers that wanted a
//! permit and found none stand in two queues, each server at most once in each:
//!
//! ```text
//! bit  63      STARVED      one of the queues holds somebody
//! bit  62      DESPERATE    a server without any connection of its own is among them
//! bits 32..61  marks        counts up with every mark, and wraps
//! bits  0..31  free
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

use crate::sync::{AtomicU64, Ordering, Queue};

const STARVED: u64 = 1 << 63;
const DESPERATE: u64 = 1 << 62;
const FREE: u64 = (1 << 32) - 1;
const MARK: u64 = 1 << 32;
const MARKS: u64 = DESPERATE - MARK;

/// The pool's permits, and the servers that wait for one.
#[derive(Debug)]
pub struct Total<S> {
    word: AtomicU64,
    limit: u64,
    /// Servers without a connection of their own.
    desperate: Queue<S>,
    /// Servers that have some, and want more.
    starved: Queue<S>,
}

impl<S> Total<S> {
    /// `limit` free permits.
    pub fn new(limit: u32) -> Self {
        Self {
            word: AtomicU64::new(u64::from(limit)),
            limit: u64::from(limit),
            desperate: Queue::new(),
            starved: Queue::new(),
        }
    }

    /// How many permits are in use.
    pub fn in_use(&self) -> u64 {
        // Ordering: Acquire: whoever sees the last permit come back sees its socket closed.
        self.limit - (self.word.load(Ordering::Acquire) & FREE).min(self.limit)
    }

    /// Takes a permit, if one is free.
    pub fn take(&self) -> bool {
        // Ordering: Relaxed. A guess; the compare-and-swap confirms it.
        let mut seen = self.word.load(Ordering::Relaxed);
        while seen & FREE != 0 {
            // Ordering: Acquire pairs with the Release in `put`: the socket that the permit stood
            // for is closed. On failure only the guess is renewed.
            let swapped = self.word.compare_exchange_weak(
                seen,
                seen - 1,
                Ordering::Acquire,
                Ordering::Relaxed,
            );
            match swapped {
                Ok(_) => return true,
                Err(now) => seen = now,
            }
        }
        false
    }

    /// Gives permits back. The caller then serves whoever [`next`](Self::next) names.
    pub fn put(&self, permits: u32) {
        if permits > 0 {
            // Ordering: Release: the sockets are closed. A server that marked itself before is seen
            // by the look at this word that follows.
            self.word.fetch_add(u64::from(permits), Ordering::Release);
        }
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
            let marks = seen.wrapping_add(MARK) & MARKS;
            let marked = (seen & !MARKS) | marks | need.flags();
            // Ordering: Release: the push is visible to whoever sees the flag, and nobody takes the
            // flag down who has not seen it. That a permit put back before is seen here, follows
            // from the order of the operations on this word; `take` acquires it. On failure only
            // the guess is renewed.
            let swapped =
                self.word.compare_exchange_weak(seen, marked, Ordering::Release, Ordering::Relaxed);
            match swapped {
                Ok(_) => return seen & FREE != 0,
                Err(now) => seen = now,
            }
        }
    }

    /// Whether any server waits for a permit. One load, for the hit path.
    #[inline]
    pub fn is_starved(&self) -> bool {
        // Ordering: Relaxed. Whoever parked before this load did an acquiring read-modify-write
        // on its idle word, which orders it behind the mark of one who looked there (see
        // `Idle::fence`).
        self.word.load(Ordering::Relaxed) & STARVED != 0
    }

    /// Whether this check-in is the one to give its connection up for a desperate server: true
    /// once for each time the flag is set.
    #[inline]
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
            if seen & STARVED == 0 || seen & FREE == 0 {
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
