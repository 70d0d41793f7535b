//! Models of `lockfree/claims.rs`.
#![cfg(evenkeel_loom)]

use evenkeel::lockfree::claims::Claims;
use loom::sync::Arc;
use loom::sync::atomic::{AtomicU32, Ordering};
use loom::thread;
use loom_tests::models;

/// So many connections open, of which one may be; and, each in a flag of its own, those parked.
struct Set {
    claims: Claims,
    open: AtomicU32,
    parked: [AtomicU32; 2],
}

impl Set {
    fn new(open: u32) -> Arc<Self> {
        Arc::new(Self {
            claims: Claims::new(),
            open: AtomicU32::new(open),
            parked: [AtomicU32::new(0), AtomicU32::new(0)],
        })
    }

    fn surplus(&self) -> u32 {
        self.open.load(Ordering::Relaxed).saturating_sub(1)
    }

    /// Closes what is parked above the limit.
    fn trim(&self) {
        while self.claims.claim(|| self.surplus()) {
            let claimed = |flag: &&AtomicU32| flag.swap(0, Ordering::Relaxed) == 1;
            let closed = self.parked.iter().find(claimed).is_some();
            if closed {
                self.open.fetch_sub(1, Ordering::Relaxed);
            }
            self.claims.end();
            if !closed && self.parked.iter().all(|flag| flag.load(Ordering::Relaxed) == 0) {
                return;
            }
        }
    }

    /// Closes the connection if there are too many, else parks it; then looks again.
    fn check_in(&self, at: usize) {
        if self.claims.claim(|| self.surplus()) {
            self.open.fetch_sub(1, Ordering::Relaxed);
            self.claims.end();
        } else {
            self.parked[at].swap(1, Ordering::Relaxed);
        }
        self.trim();
    }
}

models! {
    /// Two come back at once, and one is too many.
    fn as_many_are_closed_as_are_too_many(3) {
        let set = Set::new(2);
        let other = thread::spawn({
            let set = Arc::clone(&set);
            move || set.check_in(0)
        });
        set.check_in(1);
        other.join().unwrap();
        assert_eq!(set.open.load(Ordering::Relaxed), 1);
    }

    /// One claims before there is anything to close, and the other relies on that.
    fn nobody_relies_on_a_claim_without_a_connection(3) {
        let set = Set::new(2);
        let other = thread::spawn({
            let set = Arc::clone(&set);
            move || set.trim()
        });
        set.parked[1].swap(1, Ordering::Relaxed);
        set.trim();
        other.join().unwrap();
        assert_eq!(set.open.load(Ordering::Relaxed), 1);
    }

    /// A claim that was made and ended, between the look at the surplus and the claim.
    fn three_come_back_and_two_are_too_many(2) {
        let set = Set::new(3);
        let others = [0, 1].map(|at| {
            let set = Arc::clone(&set);
            thread::spawn(move || if at == 0 { set.check_in(0) } else { set.trim() })
        });
        set.check_in(1);
        for other in others {
            other.join().unwrap();
        }
        assert_eq!(set.open.load(Ordering::Relaxed), 1);
    }
}
