//! Models of `lockfree/idle.rs`: each bit has one owner, who sees the cell as it was left. Those of
//! sets that grow, and have many words, are in `idle_words`.
#![cfg(evenkeel_loom)]

use evenkeel::lockfree::idle::{AfterPark, Idle, Parked, Take};
use loom::sync::Arc;
use loom::sync::atomic::{AtomicBool, Ordering::Relaxed};
use loom::thread;
use loom_tests::set::{park, spawn, take};
use loom_tests::{Plain, fleet::Conn, models};

/// Into the second word, if there are two.
fn park_far(idle: &Idle<Conn>) -> AfterPark {
    let slot = idle.reserve(1);
    idle.park(Parked { slot, value: Conn::new(), since: 0 })
}

models! {
    fn a_parked_connection_has_one_taker(3) {
        let idle = Arc::new(Idle::new(1));
        park(&idle, 0);
        let other = spawn(&idle, take);
        let mine = take(&idle);
        let theirs = other.join().unwrap();
        assert!(mine.is_some() != theirs.is_some());
        assert_eq!(idle.len(), 0);
    }

    fn two_takers_take_two(3) {
        let idle = Arc::new(Idle::new(1));
        let slot = idle.reserve(0);
        park(&idle, 0);
        idle.park(Parked { slot, value: Conn::new(), since: 0 });
        let other = spawn(&idle, take);
        let mine = take(&idle).unwrap();
        let theirs = other.join().unwrap().unwrap();
        assert!(mine.slot != theirs.slot);
    }

    fn a_taker_sees_what_the_last_user_did(3) {
        let idle = Arc::new(Idle::new(1));
        let user = spawn(&idle, |idle| drop(take(idle)));
        assert_eq!(park(&idle, 7), AfterPark::Quiet);
        if let Some(parked) = take(&idle) {
            assert_eq!(parked.since, 7);
        }
        user.join().unwrap();
    }

    /// Back and forth between two users, with a bit that is set, cleared, and set again.
    fn a_connection_goes_round(3) {
        let idle = Arc::new(Idle::new(1));
        park(&idle, 0);
        let user = spawn(&idle, |idle| take(idle).map(|parked| idle.park(parked)));
        if let Some(parked) = take(&idle) {
            idle.park(parked);
        }
        user.join().unwrap();
        assert!(take(&idle).is_some());
    }

    fn a_free_cell_has_one_owner(3) {
        let idle = Arc::new(Idle::<Conn>::new(1));
        let other = spawn(&idle, |idle| idle.reserve(0));
        let mine = idle.reserve(0);
        assert!(mine != other.join().unwrap());
    }

    /// The cell's last owner reads it, the next one writes it.
    fn a_cell_that_is_vacated_is_written_by_the_next_owner(3) {
        let idle = Arc::new(Idle::new(1));
        park(&idle, 0);
        let closer = spawn(&idle, |idle| {
            let parked = take(idle).unwrap();
            drop(parked.value);
            idle.vacate(parked.slot);
        });
        assert_eq!(park(&idle, 0), AfterPark::Quiet);
        closer.join().unwrap();
        assert_eq!(idle.len(), 1);
    }

    /// What the reaper saw may have been used and parked again: the claim shows it.
    fn a_claim_races_a_use(3) {
        let idle = Arc::new(Idle::new(1));
        park(&idle, 1);
        let seen = idle.parked().next().unwrap();
        let user = spawn(&idle, |idle| {
            take(idle).map(|parked| idle.park(Parked { since: 2, ..parked }))
        });
        let claimed = idle.claim_at(seen);
        let fresh = user.join().unwrap().is_some();
        match &claimed {
            Some(parked) => {
                parked.value.touch();
                assert_eq!(parked.since == seen.since, !fresh);
                assert_eq!(idle.len(), 0);
            }
            None => assert_eq!(idle.len(), 1),
        }
    }

    fn an_age_is_not_older_than_its_bit(3) {
        let idle = Arc::new(Idle::new(1));
        let looker = spawn(&idle, |idle| {
            assert!(idle.parked().all(|seen| seen.since == 7));
        });
        park(&idle, 7);
        looker.join().unwrap();
    }

    /// Either the flag's owner finds the connection, or whoever parks it hears of the line.
    fn a_park_races_the_flag(3) {
        let idle = Arc::new(Idle::new(2));
        let parker = spawn(&idle, park_far);
        idle.flag_waiters();
        let claimed = idle.claim();
        let after = parker.join().unwrap();
        assert!(claimed.is_some() || after == AfterPark::Waiters);
    }

    fn nobody_overtakes_the_line(3) {
        let idle = Arc::new(Idle::new(1));
        idle.flag_waiters();
        let taker = spawn(&idle, take);
        park(&idle, 0);
        assert!(idle.parked().next().is_none(), "nor sees what is for those in it");
        assert!(idle.claim().is_some());
        assert!(taker.join().unwrap().is_none());
        idle.unflag_waiters();
        assert!(matches!(idle.take(0), Take::Empty));
    }

    fn a_park_races_the_close(3) {
        let idle = Arc::new(Idle::new(2));
        let parker = spawn(&idle, park_far);
        idle.close();
        let claimed = idle.claim();
        let after = parker.join().unwrap();
        assert!(claimed.is_some() || after == AfterPark::Closed);
        assert!(matches!(idle.take(0), Take::Refused));
    }

    /// As a server that marks itself in the total and looks here, and a check-in that looks there:
    /// one of them sees the other.
    fn a_fence_orders_a_look_against_a_park(3) {
        let idle = Arc::new(Idle::new(2));
        let mark = Arc::new(AtomicBool::new(false));
        let parker = spawn(&idle, {
            let mark = Arc::clone(&mark);
            move |idle| {
                park(idle, 0);
                mark.load(Relaxed)
            }
        });
        mark.store(true, Relaxed);
        idle.fence();
        let found = idle.parked().next().is_some();
        assert!(parker.join().unwrap() || found);
    }

    /// The same for the line that is let go, which until then has hidden what is parked.
    fn a_fence_orders_a_look_against_the_end_of_the_line(3) {
        let idle = Arc::new(Idle::new(1));
        let mark = Arc::new(AtomicBool::new(false));
        park(&idle, 0);
        idle.flag_waiters();
        let owner = spawn(&idle, {
            let mark = Arc::clone(&mark);
            move |idle| {
                idle.unflag_waiters();
                mark.load(Relaxed)
            }
        });
        mark.store(true, Relaxed);
        idle.fence();
        let found = idle.parked().next().is_some();
        assert!(owner.join().unwrap() || found);
    }

    /// A look through the fence sees the parked cell's age as it is, and what its user did.
    fn a_park_before_the_fence_is_seen_with_its_past(3) {
        let idle = Arc::new(Idle::new(1));
        let past = Arc::new(Plain::new(0));
        let parker = spawn(&idle, {
            let past = Arc::clone(&past);
            move |idle| {
                past.set(1);
                park(idle, 0);
            }
        });
        idle.fence();
        if idle.parked().next().is_some() {
            assert_eq!(past.get(), 1);
        }
        parker.join().unwrap();
    }

    fn what_is_parked_is_dropped_with_the_set(2) {
        let idle = Arc::new(Idle::new(2));
        let kept = Arc::new(());
        let parker = thread::spawn({
            let (idle, kept) = (Arc::clone(&idle), Arc::clone(&kept));
            move || {
                let slot = idle.reserve(1);
                idle.park(Parked { slot, value: kept, since: 0 });
            }
        });
        let slot = idle.reserve(1);
        idle.park(Parked { slot, value: kept, since: 0 });
        parker.join().unwrap();
        // Loom fails the execution if anything is left.
        drop(idle);
    }
}
