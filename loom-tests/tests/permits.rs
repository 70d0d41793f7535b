//! Models of `lockfree/permits.rs`.
#![cfg(evenkeel_loom)]

use evenkeel::lockfree::permits::{Joined, Ledger, Limits, Refused};
use loom::sync::Arc;
use loom::sync::atomic::{AtomicU32, Ordering};
use loom::thread::{self, JoinHandle};
use loom_tests::{Plain, fleet::limits, models};

fn spawn<T: 'static, R: 'static>(
    shared: &Arc<T>,
    f: impl FnOnce(&T) -> R + 'static,
) -> JoinHandle<R> {
    let shared = Arc::clone(shared);
    thread::spawn(move || f(&shared))
}

models! {
    fn a_waiter_joins_while_the_server_is_closed(3) {
        let ledger = Arc::new(Ledger::new(limits(1)));
        let waiter = spawn(&ledger, |ledger| ledger.join(0));
        ledger.close();
        let seen = ledger.counts().waiting;
        match waiter.join().unwrap() {
            Ok(_) => assert_eq!(seen, 1, "it came before, and is seen"),
            Err(refused) => assert_eq!(refused, Refused::Closed),
        }
    }

    fn what_was_done_before_the_close_is_seen_by_the_refused(3) {
        let ledger = Arc::new(Ledger::new(limits(1)));
        let reason = Arc::new(Plain::new(0));
        let waiter = spawn(&ledger, {
            let reason = Arc::clone(&reason);
            move |ledger| {
                if ledger.join(0).is_err() {
                    assert_eq!(reason.get(), 1);
                }
            }
        });
        reason.set(1);
        ledger.close();
        waiter.join().unwrap();
    }

    fn no_more_wait_than_may(3) {
        // Without room for a connection: it lets some more in.
        let ledger = Arc::new(Ledger::new(Limits {
            open: 0,
            connecting: 0,
            waiting: 1,
        }));
        let other = spawn(&ledger, |ledger| ledger.join(0));
        let mine = ledger.join(0);
        let theirs = other.join().unwrap();
        assert!(mine.is_ok() != theirs.is_ok());
        assert_eq!(ledger.counts().waiting, 1);
    }

    /// The limits wanted are kept elsewhere. Whoever stores what it has read there looks whether
    /// that is still wanted: then what was wanted last is stored last.
    fn of_two_who_set_limits_the_last_wins(3) {
        let ledger = Arc::new(Ledger::new(limits(1)));
        let wanted = Arc::new(AtomicU32::new(1));
        let set = |wanted: &AtomicU32, ledger: &Ledger, open: u32| {
            wanted.swap(open, Ordering::Relaxed);
            loop {
                let open = wanted.load(Ordering::Relaxed);
                ledger.set_limits(limits(open));
                if wanted.load(Ordering::Relaxed) == open {
                    break;
                }
            }
        };
        let other = spawn(&ledger, {
            let wanted = Arc::clone(&wanted);
            move |ledger| set(&wanted, ledger, 2)
        });
        set(&wanted, &ledger, 3);
        other.join().unwrap();
        assert_eq!(ledger.limits().open, wanted.load(Ordering::Relaxed));
    }

    /// Those who wait may be more than guests may; who comes in a higher class is let in.
    fn a_line_that_has_shrunk_keeps_no_higher_class_out(3) {
        let line = |waiting| Limits { open: 0, connecting: 0, waiting };
        let ledger = Arc::new(Ledger::new(line(70)));
        (0..70).for_each(|_| assert!(ledger.join(0).is_ok()));
        let leaver = spawn(&ledger, |ledger| {
            ledger.leave();
            ledger.join(0).is_ok()
        });
        ledger.set_limits(line(0));
        assert_eq!(ledger.join(7), Ok(Joined::Guest));
        let came_back = leaver.join().unwrap();
        assert_eq!(ledger.counts().waiting, if came_back { 71 } else { 70 });
    }

    /// Who reads the new edition sees the new limits, and what was done before.
    fn counts_of_an_edition_come_with_its_limits(3) {
        let ledger = Arc::new(Ledger::new(limits(1)));
        let setter = spawn(&ledger, |ledger| {
            ledger.set_limits(limits(2));
            let _ = ledger.join(0);
        });
        if ledger.counts().waiting == 1 {
            assert_eq!(ledger.limits(), limits(2));
        }
        setter.join().unwrap();
    }
}
