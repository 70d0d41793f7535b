//! Which of several threads closes a connection when there are too many.
//!
//! A limit has shrunk, and `n` connections too many are open. Every thread that has one to close
//! could close it; exactly `n` of them are to. A thread claims one of the surplus *before* it
//! closes anything, counts the permit down when the socket is closed, and *then* ends its claim.
//! It may claim as long as there are fewer claims than there is surplus.
//!
//! One word holds the claims and how many have ended so far. A claim is a compare-and-swap, which
//! fails if a claim was made or ended since the surplus was looked at. So if it succeeds, the
//! surplus that it saw was that of connections which nobody was closing.
//!
//! *Nobody relies on a claim that has ended.* One who is refused leaves an idle connection where it
//! is, because others are about to close as many as there are too many. But they may find nothing
//! to close. So one who is refused does a read-modify-write too, *after* having parked what is
//! idle; and one who ends a claim looks for idle connections again *afterwards*. If the refusal
//! comes first, that look sees what was parked; if it comes second, it sees that the claim has
//! ended, and looks at the surplus again. One whose claim has closed a connection looks too: from
//! when that is counted down until the claim ends, the claim stands beside a surplus that it is no
//! longer to close, and one who is refused in between relies on it in vain.

use crate::sync::{AtomicU64, Ordering};

/// bits 32..63: ended, wraps; bits 0..31: claims.
const ENDED: u64 = 1 << 32;
const CLAIMED: u64 = ENDED - 1;

/// The claims on one surplus.
#[derive(Debug)]
pub struct Claims {
    word: AtomicU64,
}

impl Claims {
    /// No claims.
    pub fn new() -> Self {
        Self { word: AtomicU64::new(0) }
    }

    /// Claims one connection of the surplus, unless all of it is claimed. Whoever is refused has
    /// parked what it leaves idle; whoever is not calls [`end`](Self::end).
    pub fn claim(&self, surplus: impl Fn() -> u32) -> bool {
        // Ordering: Acquire pairs with `end`: what was closed is counted down in the surplus.
        let mut seen = self.word.load(Ordering::Acquire);
        loop {
            let surplus = u64::from(surplus());
            if surplus == 0 {
                return false;
            }
            let claims = u64::from(surplus > seen & CLAIMED);
            // The load has acquired all that there is: if others have been here since, and the
            // value is the same, they were refused, and have closed nothing.
            // Ordering: Release: what was parked before a refusal is seen by one who ends a claim
            // later. On failure Acquire, as above.
            let swapped = self.word.compare_exchange_weak(
                seen,
                seen + claims,
                Ordering::Release,
                Ordering::Acquire,
            );
            match swapped {
                Ok(_) => return claims != 0,
                Err(newer) => seen = newer,
            }
        }
    }

    /// Ends a claim: the connection is closed and counted down, or there was none. The caller then
    /// looks once more whether anything is idle.
    pub fn end(&self) {
        // One claim less, and one more that has ended.
        // Ordering: Release: the surplus was counted down before. Acquire: what those who were
        // refused had parked is seen by the look that follows.
        self.word.fetch_add(ENDED - 1, Ordering::AcqRel);
    }
}
