//! Models of `lockfree/idle/`: sets that grow, and have many words. Under the model a word has two
//! cells, two words are narrow, and groups have three words, the last of which begins a segment.
#![cfg(evenkeel_loom)]

use evenkeel::lockfree::idle::{AfterPark, Idle, NARROW_WORDS, PER_WORD, Parked, Slot, Take};
use loom::sync::Arc;
use loom::sync::atomic::{AtomicBool, Ordering::Relaxed};
use loom_tests::set::{park, spawn, take};
use loom_tests::{fleet::Conn, models};

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

models! {
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

    /// What the owner of the line has not seen it does not take for seen.
    fn a_word_is_made_as_the_flags_go(3) {
        let idle = full(1);
        let owner = spawn(&idle, Idle::unflag_waiters);
        park(&idle, 0);
        owner.join().unwrap();
        assert!(idle.has_grown() == take(&idle).is_none());
    }

    /// The flag is in the head too: one who has passed the narrow words before it was set there
    /// does not get what comes back after that.
    fn nobody_overtakes_the_line_in_a_wide_word(3) {
        let idle = narrow_is_full(NARROW_WORDS + 1);
        let taker = spawn(&idle, take);
        idle.flag_waiters();
        assert_eq!(park(&idle, 0), AfterPark::Waiters);
        assert!(idle.claim().is_some());
        assert!(taker.join().unwrap().is_none());
    }

    fn nobody_takes_from_a_wide_word_after_the_close(3) {
        let idle = narrow_is_full(NARROW_WORDS + 1);
        let taker = spawn(&idle, take);
        idle.close();
        assert_eq!(park(&idle, 0), AfterPark::Closed);
        assert!(idle.claim().is_some());
        assert!(taker.join().unwrap().is_none());
    }

    fn a_taker_sees_a_new_wide_word_through_the_head(3) {
        made_in_a_group_that_is_known(|idle| usize::from(take(idle).is_some()));
    }

    fn a_claimer_sees_a_new_wide_word_through_the_head(3) {
        made_in_a_group_that_is_known(|idle| usize::from(idle.claim().is_some()));
    }

    fn a_look_at_the_ages_sees_a_new_wide_word_through_the_head(3) {
        made_in_a_group_that_is_known(|idle| {
            assert!(idle.parked().all(|seen| seen.since == 7));
            0
        });
    }

    fn a_count_sees_a_new_wide_word_through_the_head(3) {
        made_in_a_group_that_is_known(|idle| {
            assert!(idle.len() <= 1);
            0
        });
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
        let idle = full(1);
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

    /// One makes a word, and takes the flag off it; another parks in it and is told nothing.
    fn a_fence_orders_a_look_against_a_quiet_park_in_a_new_word(2) {
        let idle = full(1);
        let mark = Arc::new(AtomicBool::new(false));
        let parker = spawn(&idle, {
            let mark = Arc::clone(&mark);
            move |idle| park(idle, 0) == AfterPark::Quiet && !mark.load(Relaxed)
        });
        let owner = spawn(&idle, {
            let mark = Arc::clone(&mark);
            move |idle| {
                idle.reserve(0);
                idle.unflag_waiters();
                mark.load(Relaxed) && !idle.is_empty()
            }
        });
        mark.store(true, Relaxed);
        idle.fence();
        let found = idle.parked().next().is_some();
        let missed = parker.join().unwrap();
        let shown = owner.join().unwrap();
        assert!(!missed || found || shown);
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

/// A word is made that begins a segment, in the middle of a group: one who knows the group, and
/// not how many words there are now, finds it through the head. `look` says how many it took.
fn made_in_a_group_that_is_known(look: fn(&Idle<Conn>) -> usize) {
    let idle = full(NARROW_WORDS + 2);
    idle.unflag_waiters();
    let looker = spawn(&idle, look);
    assert_eq!(park(&idle, 7), AfterPark::Quiet);
    assert_eq!(looker.join().unwrap() + idle.len(), 1);
}

fn made_as_the_line_is_flagged(words: usize) {
    let idle = full(words);
    let owner = spawn(&idle, |idle| {
        idle.flag_waiters();
        idle.claim().or_else(|| {
            idle.unflag_waiters();
            idle.flag_waiters();
            idle.claim()
        })
    });
    let after = park(&idle, 0);
    let claimed = owner.join().unwrap().is_some();
    assert!(claimed || after == AfterPark::Waiters);
    assert!(matches!(idle.take(0), Take::Refused));
    // The parker pairs, at the latest because it has made a word.
    idle.unflag_waiters();
    assert!(!idle.has_grown());
    assert_eq!(take(&idle).is_none(), claimed);
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
