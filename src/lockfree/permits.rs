//! Permits: the right to one socket, counted per server. (For all servers together: `total`.)
//!
//! One word holds the counts and the end of the server's life:
//!
//! ```text
//! bits 57..63  edition      counts the changes of the limits, and wraps
//! bit  56      CLOSED
//! bits 34..55  waiting      callers in line, diallers not among them
//! bits 17..33  connecting   sockets being opened; they are among the open ones
//! bits  0..16  open         permits in use: connecting, parked and leased
//! ```
//!
//! `open` goes *up* by the owner of the server's line, and for a connection that nobody asked for,
//! while nobody waits; `connecting` with it, and where a connection that is not trusted is closed
//! and a new one opened on its permits; `waiting` by the waiter itself, before it enters the line.
//! Everybody may take them down, and the read-modify-write that does so also says whether somebody
//! waits: a permit that comes free and a waiter that comes in meet on one word, so that one of the
//! two sees the other.
//!
//! # Limits that change
//!
//! The three limits are one word too, in the same fields, so that nobody sees half a change. A
//! change is stored, *then* the edition in the first word goes up. A permit is taken by a
//! compare-and-swap on the first word, which fails if the edition has changed since that word was
//! read, and the limits are read after it. So once [`Ledger::set_limits`] has returned, no permit
//! is given by the limits before; one that was given earlier is honoured. (The edition wraps after
//! 128 changes: as many would have to fall between one thread's look and its swap.)
//!
//! If a limit has grown, the caller pairs: a waiter that found no room has entered the line before
//! that call, and is served by it, or enters later, and pairs itself. If it has shrunk, `open` may
//! be above it. From then on `open` only goes down until it is not: what becomes of the surplus is
//! told in `shrink`.
//!
//! Those who wait stay, though the line is to be shorter. There may be thousands of them; so they
//! are not taken for guests, of whom only a few are let in at once: callers of higher classes still
//! displace them, one for one.

use super::claims::Claims;
use crate::sync::{AtomicU32, AtomicU64, Ordering};

const COUNT: u64 = (1 << 17) - 1;
const OPEN: u64 = 1;
const CONNECTING: u64 = 1 << 17;
const WAITING: u64 = 1 << 34;
const WAITING_COUNT: u64 = (1 << 22) - 1;
const CLOSED: u64 = 1 << 56;
const EDITION: u64 = 1 << 57;
/// How many callers of higher classes may be in a full line at once, until it is decided who must
/// go.
const GUESTS: u32 = 64;

/// The limits of one server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Sockets: connecting, parked and leased.
    pub open: u32,
    /// Sockets being opened.
    pub connecting: u32,
    /// Callers in line.
    pub waiting: u32,
}

impl Limits {
    fn word(self) -> u64 {
        u64::from(self.open) * OPEN
            + u64::from(self.connecting) * CONNECTING
            + u64::from(self.waiting) * WAITING
    }

    fn of(word: u64) -> Self {
        let Counts { open, connecting, waiting, .. } = Counts::of(word);
        Self { open, connecting, waiting }
    }

    fn room(&self, now: &Counts) -> u32 {
        let open = self.open.saturating_sub(now.open);
        open.min(self.connecting.saturating_sub(now.connecting))
    }
}

/// What a ledger holds at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counts {
    /// Permits in use.
    pub open: u32,
    /// Those of them that are being opened.
    pub connecting: u32,
    /// Callers in line, those who dial not among them.
    pub waiting: u32,
    /// No permit is given any more.
    pub closed: bool,
}

impl Counts {
    fn of(word: u64) -> Self {
        Self {
            open: (word & COUNT) as u32,
            connecting: ((word / CONNECTING) & COUNT) as u32,
            waiting: ((word / WAITING) & WAITING_COUNT) as u32,
            closed: word & CLOSED != 0,
        }
    }
}

/// Why a caller cannot enter the line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// The server is closed.
    Closed,
    /// As many wait as may.
    Full,
}

/// On what a caller has entered the line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Joined {
    /// It has one of the line's places.
    Place,
    /// All places are taken. The owner of the line serves it, or decides who must go.
    Guest,
}

/// The counts of one server.
#[derive(Debug)]
pub struct Ledger {
    word: AtomicU64,
    limits: AtomicU64,
    /// How many more waited than may when the limits were last set.
    let_in_before: AtomicU32,
    /// Who closes a connection because more are open than may.
    claims: Claims,
}

impl Ledger {
    /// A ledger without entries.
    pub fn new(limits: Limits) -> Self {
        Self {
            word: AtomicU64::new(0),
            limits: AtomicU64::new(limits.word()),
            let_in_before: AtomicU32::new(0),
            claims: Claims::new(),
        }
    }

    /// The limits now.
    pub fn limits(&self) -> Limits {
        // Ordering: Relaxed. Whoever must see a change has read its edition before, by Acquire.
        Limits::of(self.limits.load(Ordering::Relaxed))
    }

    /// Sets other limits. The caller then pairs, and closes what is idle and too much.
    pub fn set_limits(&self, limits: Limits) {
        // Ordering: AcqRel. Of two who set limits at the same time the later one sees what the
        // earlier one did before, and so can tell whether its own are out of date.
        self.limits.swap(limits.word(), Ordering::AcqRel);
        // Ordering: Release: who reads the new edition sees the new limits.
        let before = Counts::of(self.word.fetch_add(EDITION, Ordering::Release));
        let excess = before.waiting.saturating_sub(limits.waiting);
        // Ordering: Relaxed. A bound on guests, who may find the one before it until this returns.
        self.let_in_before.store(excess, Ordering::Relaxed);
    }

    /// The counts now.
    pub fn counts(&self) -> Counts {
        // Ordering: Acquire: with an edition its limits are seen. And for the line's owner: whoever
        // came before the value it reads has published what belongs to it.
        Counts::of(self.word.load(Ordering::Acquire))
    }

    /// Whether a permit could be given. Nearly exact for the owner of the line: only a spare or a
    /// renewed connection may be faster.
    pub fn has_room(&self) -> bool {
        let now = self.counts();
        !now.closed && self.limits().room(&now) > 0
    }

    /// How many connections are open above the limit: never too few, for one who has seen the
    /// limits change before, since no permit is given while there are any.
    pub fn surplus(&self) -> u32 {
        let now = self.counts();
        now.open.saturating_sub(self.limits().open)
    }

    /// Whether the caller is to close one of the surplus connections: see [`Claims`].
    pub(super) fn claim_surplus(&self) -> bool {
        self.claims.claim(|| self.surplus())
    }

    /// The connection is closed and counted down, or there was none to close.
    pub(super) fn end_claim(&self) {
        self.claims.end();
    }

    /// A caller is about to enter the line. Where all its places are taken, as many more are let
    /// in as there is room for, and some of higher classes, who may displace others. They are told
    /// so, and those of the lowest class are refused at once.
    pub fn join(&self, class: u8) -> Result<Joined, Refused> {
        // Ordering: Acquire: one who is refused sees what was done before the close. Whether the
        // one who frees a permit sees us, or we see the permit, is decided by the order of the
        // read-modify-writes on this word alone; what belongs to the permit `counts` acquires.
        let before = Counts::of(self.word.fetch_add(WAITING, Ordering::Acquire));
        let limits = self.limits();
        if !before.closed && before.waiting < limits.waiting {
            return Ok(Joined::Place);
        }
        let room = limits.room(&before);
        let guests = if class == 0 { room } else { room.max(GUESTS) };
        // Ordering: Relaxed, see `set_limits`.
        let old = if class == 0 { 0 } else { self.let_in_before.load(Ordering::Relaxed) };
        if !before.closed && before.waiting - limits.waiting < guests + old {
            return Ok(Joined::Guest);
        }
        self.leave();
        Err(if before.closed { Refused::Closed } else { Refused::Full })
    }

    /// A caller that had been served is about to stand in line again.
    pub(super) fn rejoin(&self) {
        // Ordering: Relaxed. Only the count changes; the caller owns the line.
        self.word.fetch_add(WAITING, Ordering::Relaxed);
    }

    /// How many may wait.
    pub(super) fn places(&self) -> u32 {
        self.limits().waiting
    }

    /// A caller is no longer in line.
    pub fn leave(&self) {
        // Ordering: Relaxed. It publishes nothing, and as a read-modify-write it leaves in place
        // what those before it have published.
        self.word.fetch_sub(WAITING, Ordering::Relaxed);
    }

    /// Takes a permit to dial with, if there is room. Only for the owner of the line.
    pub(super) fn open(&self) -> bool {
        self.take_up(OPEN + CONNECTING, |now, limits| limits.room(now) > 0)
    }

    /// Takes a permit to dial with for a connection that nobody asked for, if that is allowed.
    pub(super) fn open_spare(&self, most: u32) -> bool {
        self.take_up(OPEN + CONNECTING, |now, limits| Self::spares(now, limits, most))
    }

    /// Whether [`open_spare`](Self::open_spare) might take one now.
    pub(super) fn has_spare(&self, most: u32) -> bool {
        let now = self.counts();
        !now.closed && Self::spares(&now, &self.limits(), most)
    }

    fn spares(now: &Counts, limits: &Limits, most: u32) -> bool {
        now.waiting == 0 && now.open < most && limits.room(now) > 0
    }

    /// Takes the permit of a connection that has just been closed to dial with, if one more may be
    /// opened at a time, and there are not too many open.
    pub(super) fn reopen(&self) -> bool {
        self.take_up(CONNECTING, |now, limits| {
            now.connecting < limits.connecting && now.open <= limits.open
        })
    }

    fn take_up(&self, amount: u64, allowed: impl Fn(&Counts, &Limits) -> bool) -> bool {
        // Ordering: Acquire pairs with `set_limits`: with an edition its limits are seen. If the
        // edition is out of date, the compare-and-swap fails.
        let mut seen = self.word.load(Ordering::Acquire);
        loop {
            let now = Counts::of(seen);
            if now.closed || !allowed(&now, &self.limits()) {
                return false;
            }
            let next = seen + amount;
            // Ordering: Relaxed. What the permit needs was acquired above or in `has_room`, or
            // belongs to who renews a connection; that it is counted is published with
            // `Gate::entering`. On failure Acquire, as above.
            let swapped =
                self.word.compare_exchange_weak(seen, next, Ordering::Relaxed, Ordering::Acquire);
            match swapped {
                Ok(_) => return true,
                Err(newer) => seen = newer,
            }
        }
    }

    /// A dial has made its connection. Returns whether somebody waits.
    pub fn connected(&self) -> bool {
        self.take_down(CONNECTING)
    }

    /// A dial has failed or was given up; its socket is closed. Returns whether somebody waits.
    pub fn abandoned(&self) -> bool {
        self.take_down(OPEN + CONNECTING)
    }

    /// A connection is closed. Returns whether somebody waits.
    pub fn closed(&self) -> bool {
        self.take_down(OPEN)
    }

    fn take_down(&self, amount: u64) -> bool {
        // Ordering: Release: our use of the cell and the socket is over before anybody counts on
        // the room. A waiter that joined before has pushed its node, or will call `pair` later.
        Counts::of(self.word.fetch_sub(amount, Ordering::Release)).waiting > 0
    }

    /// Ends the server's life.
    pub fn close(&self) {
        // Ordering: Release: one who is refused sees what was done before. A caller that joined
        // before has pushed its node, or will call `pair` later.
        self.word.fetch_or(CLOSED, Ordering::Release);
    }
}

#[cfg(all(test, not(evenkeel_loom)))]
mod tests;
