//! Models of `lockfree/idle.rs`: each bit has one owner, who sees the cell as it was left.
#![cfg(evenkeel_loom)]

use evenkeel::lockfree::idle::{AfterPark, Idle, NARROW_WORDS, PER_WORD, Parked, Slot, Take};
use loom::sync::Arc;
use loom::sync::atomic::{AtomicBool, Ordering::Relaxed};
use loom::thread::{self, JoinHandle};
use loom_tests::{Plain, fleet::Conn, models};

fn spawn<R: 'static>(
    idle: &Arc<Idle<Conn>>,
    f: impl FnOnce(&Idle<Conn>) -> R + 'static,
) -> JoinHandle<R> {
    let idle = Arc::clone(idle);
    thread::spawn(move || f(&idle))
}

fn park(idle: &Idle<Conn>, since: u64) -> AfterPark {
    let slot = idle.reserve(0);
    idle.park(Parked { slot, value: Conn::new(), since })
}

/// Into the second word, if there are two.
fn park_far(idle: &Idle<Conn>) -> AfterPark {
    let slot = idle.reserve(1);
    idle.park(Parked { slot, value: Conn::new(), since: 0 })
}

/// A set whose narrow words have no free cell, so that the next one is in a wide word: in the
/// first of a group that is there already, or in one that is to be made.
fn narrow_is_full(words: usize) -> Arc<Idle<Conn>> {
    let idle = Idle::new(words);
    for _ in 0..NARROW_WORDS * PER_WORD {
        idle.reserve(0);
    }
    Arc::new(idle)
}

fn park_at(idle: &Idle<Conn>, slot: Slot) -> AfterPark {
    idle.park(Parked { slot, value: Conn::new(), since: 0 })
}

/// A wide word that is empty, and whose bit in the head has been left behind by a take.
fn emptied() -> (Arc<Idle<Conn>>, Parked<Conn>) {
    let idle = narrow_is_full(NARROW_WORDS + 1);
    park(&idle, 0);
    let out = take(&idle).unwrap();
    (idle, out)
}

fn take(idle: &Idle<Conn>) -> Option<Parked<Conn>> {
    match idle.take(0) {
        Take::Got(parked) => {
            parked.value.touch();
            Some(parked)
        }
        Take::Empty | Take::Refused => None,
    }
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

    fn a_park_in_a_wide_word_races_the_flag(3) {
        let idle = narrow_is_full(NARROW_WORDS + 1);
        let parker = spawn(&idle, |idle| park(idle, 0));
        idle.flag_waiters();
        let claimed = idle.claim();
        let after = parker.join().unwrap();
        assert!(claimed.is_some() || after == AfterPark::Waiters);
        drop(claimed.or_else(|| idle.claim()).unwrap());
    }

    fn a_park_in_a_wide_word_races_the_close(3) {
        let idle = narrow_is_full(NARROW_WORDS + 1);
        let parker = spawn(&idle, |idle| park(idle, 0));
        idle.close();
        let claimed = idle.claim();
        let after = parker.join().unwrap();
        assert!(claimed.is_some() || after == AfterPark::Closed);
        assert!(matches!(idle.take(0), Take::Refused));
    }

    /// The bit in the head is there already, and the owner of the line takes it off.
    fn a_park_races_the_one_who_takes_the_bit_off(3) {
        let (idle, out) = emptied();
        let parker = spawn(&idle, |idle| idle.park(out));
        idle.flag_waiters();
        let claimed = idle.claim();
        let after = parker.join().unwrap();
        match &claimed {
            Some(parked) => parked.value.touch(),
            None => {
                assert_eq!(after, AfterPark::Waiters);
                assert_eq!((idle.len(), idle.parked().count()), (1, 0));
            }
        }
        idle.unflag_waiters();
        assert_eq!(take(&idle).is_some(), claimed.is_none(), "it is in sight");
    }

    /// What is parked beside a connection that is claimed stays in sight.
    fn a_claim_leaves_the_rest_of_a_wide_word_in_sight(3) {
        let (idle, out) = emptied();
        let other = idle.reserve(0);
        let parker = spawn(&idle, |idle| {
            idle.park(out);
            park_at(idle, other)
        });
        idle.flag_waiters();
        let first = idle.claim();
        parker.join().unwrap();
        idle.unflag_waiters();
        assert_eq!(idle.parked().count(), 2 - usize::from(first.is_some()));
        assert!(take(&idle).is_some());
        assert!(take(&idle).is_some() == first.is_none());
    }

    fn a_take_and_a_claim_in_a_wide_word_get_one_each(3) {
        let idle = narrow_is_full(NARROW_WORDS + 2);
        park(&idle, 0);
        let taker = spawn(&idle, take);
        idle.flag_waiters();
        let claimed = idle.claim();
        claimed.iter().for_each(|parked| parked.value.touch());
        assert!(claimed.is_some() != taker.join().unwrap().is_some());
        assert_eq!(idle.len(), 0);
    }

    fn nobody_overtakes_the_line_in_a_wide_word(3) {
        let idle = narrow_is_full(NARROW_WORDS + 1);
        idle.flag_waiters();
        let taker = spawn(&idle, take);
        park(&idle, 0);
        assert!(idle.claim().is_some());
        assert!(taker.join().unwrap().is_none());
    }

    /// A taker finds the word that another thread has just made in a group that it knows.
    fn a_taker_sees_a_new_wide_word_through_the_head(3) {
        let idle = narrow_is_full(NARROW_WORDS + 1);
        for _ in 0..PER_WORD {
            idle.reserve(0);
        }
        let parker = spawn(&idle, |idle| park(idle, 0));
        let taken = take(&idle);
        let claimed = idle.claim();
        assert!(idle.parked().count() <= 1);
        assert_eq!(parker.join().unwrap(), AfterPark::Quiet);
        assert_eq!(usize::from(taken.is_some()) + usize::from(claimed.is_some()) + idle.len(), 1);
    }

    /// Two lines, one after the other, and a word that is made in the middle of it: once the flag
    /// has been taken off it, the owner of the second line knows it.
    fn a_narrow_word_is_made_as_the_line_is_flagged(3) {
        made_as_the_line_is_flagged(1);
    }

    fn a_group_is_made_as_the_line_is_flagged(3) {
        made_as_the_line_is_flagged(NARROW_WORDS);
    }

    fn a_narrow_word_is_made_as_the_set_is_closed(3) {
        made_as_the_set_is_closed(1);
    }

    fn a_group_is_made_as_the_set_is_closed(3) {
        made_as_the_set_is_closed(NARROW_WORDS);
    }

    fn a_wide_word_is_made_as_the_set_is_closed(3) {
        made_as_the_set_is_closed(NARROW_WORDS + 1);
    }

    fn two_who_need_a_word_at_once_get_a_cell_each(3) {
        let idle = Arc::new(Idle::<Conn>::new(1));
        for _ in 1..PER_WORD {
            idle.reserve(0);
        }
        let other = spawn(&idle, |idle| (idle.reserve(0), idle.reserve(0)));
        let mine = (idle.reserve(0), idle.reserve(0));
        let theirs = other.join().unwrap();
        let slots = [&mine.0, &mine.1, &theirs.0, &theirs.1];
        assert!((0..4).all(|a| (0..a).all(|b| slots[a] != slots[b])));
        // One was free, a word has two, so it takes two words more, and no third.
        assert!(slots.iter().all(|slot| slot.index() < 3 * 64));
    }

    /// The hint at where cells are free goes up while one comes free below.
    fn a_cell_that_comes_free_below_is_found(3) {
        let idle = Arc::new(Idle::<Conn>::new(2));
        let low = idle.reserve(0);
        for _ in 1..PER_WORD {
            idle.reserve(0);
        }
        let closer = spawn(&idle, move |idle| idle.vacate(low));
        let mut slots = vec![idle.reserve(0)];
        closer.join().unwrap();
        slots.extend((0..PER_WORD).map(|_| idle.reserve(1)));
        // Three cells were free, all of them in the two words.
        assert!(slots.iter().all(|slot| slot.index() < 2 * 64));
    }

    fn a_fence_orders_a_look_against_a_park_in_a_wide_word(3) {
        let idle = narrow_is_full(NARROW_WORDS + 1);
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

    /// The word is hidden until the owner of the line has seen it, who looks at the mark then.
    fn a_fence_orders_a_look_against_a_park_in_a_new_word(3) {
        let idle = Arc::new(Idle::new(1));
        for _ in 0..PER_WORD {
            idle.reserve(0);
        }
        let mark = Arc::new(AtomicBool::new(false));
        let parker = spawn(&idle, {
            let mark = Arc::clone(&mark);
            move |idle| {
                assert_eq!(park(idle, 0), AfterPark::Waiters);
                assert!(idle.has_grown());
                idle.unflag_waiters();
                mark.load(Relaxed)
            }
        });
        mark.store(true, Relaxed);
        idle.fence();
        let found = idle.parked().next().is_some();
        assert!(parker.join().unwrap() || found);
    }

    fn what_is_parked_in_a_wide_word_is_dropped_with_the_set(2) {
        let (idle, out) = emptied();
        let parker = spawn(&idle, |idle| idle.park(out));
        assert!(idle.claim().is_none_or(|parked| {
            idle.park(parked);
            true
        }));
        parker.join().unwrap();
        assert_eq!(idle.len(), 1);
    }
}

/// All cells of `words` words are taken, and one thread needs one more.
fn full(words: usize) -> Arc<Idle<Conn>> {
    let idle = Idle::new(words);
    for _ in 0..words * PER_WORD {
        idle.reserve(0);
    }
    Arc::new(idle)
}

fn made_as_the_line_is_flagged(words: usize) {
    let idle = full(words);
    let parker = spawn(&idle, |idle| park(idle, 0));
    idle.flag_waiters();
    let mut claimed = idle.claim();
    if claimed.is_none() {
        idle.unflag_waiters();
        idle.flag_waiters();
        claimed = idle.claim();
    }
    let after = parker.join().unwrap();
    assert!(claimed.is_some() || after == AfterPark::Waiters);
    // The parker pairs, at the latest because it has made a word.
    idle.unflag_waiters();
    assert!(!idle.has_grown());
    assert_eq!(take(&idle).is_none(), claimed.is_some());
}

fn made_as_the_set_is_closed(words: usize) {
    let idle = full(words);
    let parker = spawn(&idle, |idle| {
        let slot = idle.reserve(0);
        // As if somebody else had paired meanwhile.
        idle.unflag_waiters();
        park_at(idle, slot)
    });
    idle.close();
    let claimed = idle.claim();
    let after = parker.join().unwrap();
    assert!(claimed.is_some() || after == AfterPark::Closed);
    assert!(matches!(idle.take(0), Take::Refused));
}
