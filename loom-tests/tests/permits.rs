//! Models of `lockfree/permits.rs`.
#![cfg(evenkeel_loom)]

use evenkeel::lockfree::permits::{Ledger, Refused};
use loom::sync::Arc;
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
        let ledger = Arc::new(Ledger::new(evenkeel::lockfree::permits::Limits {
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
}
