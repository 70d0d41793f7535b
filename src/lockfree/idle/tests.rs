//! What one thread can see of it; what several see is in `loom-tests`.

use std::collections::HashSet;
use std::thread;

use super::shape::PER_WORD;
use super::*;

/// As many connections as a server may have.
const MOST: usize = 65_535;

fn park(idle: &Idle<u32>, slot: Slot, since: u64) -> AfterPark {
    idle.park(Parked { slot, value: 0, since })
}

/// A set with so many connections, all of them parked, the cell's index as its age.
fn full(connections: usize, words: usize) -> Idle<u32> {
    let idle = Idle::new(words);
    for _ in 0..connections {
        let slot = idle.reserve(0);
        let since = slot.index() as u64;
        park(&idle, slot, since);
    }
    idle.unflag_waiters();
    idle
}

/// A set of two words, with two connections in each.
fn two_and_two() -> Idle<u32> {
    let idle = Idle::new(2);
    for hint in [0, 0, 1, 1] {
        let slot = idle.reserve(hint);
        let since = slot.index() as u64;
        park(&idle, slot, since);
    }
    idle
}

fn take(idle: &Idle<u32>, hint: usize) -> usize {
    taken(idle, hint).expect("something is parked").slot.index()
}

fn taken(idle: &Idle<u32>, hint: usize) -> Option<Parked<u32>> {
    idle.take(hint).got()
}

#[test]
fn the_lowest_is_taken_first() {
    let idle = full(4, 1);
    assert_eq!([0; 4].map(|hint| take(&idle, hint)), [0, 1, 2, 3]);
    assert!(matches!(idle.take(0), Take::Empty));
}

#[test]
fn the_highest_is_seen_first_by_the_reaper() {
    let seen: Vec<_> = two_and_two().parked().map(|seen| (seen.index, seen.since)).collect();
    assert_eq!(seen, [(65, 65), (64, 64), (1, 1), (0, 0)]);
}

#[test]
fn threads_begin_with_each_word_in_turn() {
    for words in 1..=NARROW {
        assert!((0..200).all(|hint| nth(hint, words) == hint % words), "{words} words");
    }
}

#[test]
fn a_hint_names_the_first_word_and_the_others_follow() {
    let idle = two_and_two();
    assert_eq!([1, 1, 1, 1].map(|hint| take(&idle, hint)), [64, 65, 0, 1]);
    let idle = two_and_two();
    assert_eq!([7, 2].map(|hint| take(&idle, hint)), [64, 0]);
}

#[test]
fn a_word_is_made_when_all_cells_are_taken() {
    let idle = Idle::<u32>::new(2);
    let slots: Vec<_> = (0..2 * PER_WORD).map(|_| idle.reserve(1)).collect();
    assert_eq!((idle.count(), slots[0].word(), slots[PER_WORD].word()), (2, 1, 0));
    assert_eq!((idle.reserve(1).word(), idle.count()), (2, 3));
    // The lowest that is free comes before those of the new one.
    slots.into_iter().take(1).for_each(|slot| idle.vacate(slot));
    assert_eq!([idle.reserve(0).word(), idle.reserve(0).word()], [1, 2]);
}

#[test]
fn words_are_made_for_connections_and_not_for_a_limit() {
    for (connections, words) in [(0, 2), (1, 2), (124, 2), (125, 3), (1_000, 17), (MOST, 1_058)] {
        let idle = full(connections, 2);
        assert_eq!(idle.count(), words, "{connections} connections");
        // A segment is as long as all before it, and as the first.
        assert!(idle.words.iter().count() <= 2 * words - FIRST);
        assert!(idle.heads.iter().count() <= 2 * groups(words) + 2);
    }
}

#[test]
fn as_many_as_a_server_may_have_are_parked_and_taken() {
    let idle = full(MOST, 2);
    assert_eq!((idle.len(), idle.parked().count()), (MOST, MOST));
    let ages: Vec<_> = idle.parked().map(|seen| seen.since).collect();
    assert!(ages.is_sorted_by(|a, b| a > b), "the highest first");
    // The lowest first, whichever way they go.
    let ways = [|idle: &Idle<u32>| taken(idle, 0), Idle::claim];
    let taken: Vec<_> =
        (1..MOST).map(|turn| ways[turn % 2](&idle).expect("there are more").slot.index()).collect();
    assert!(taken.is_sorted_by(|a, b| a < b));
    assert!(idle.claim().is_some() && idle.claim().is_none());
    assert!(idle.is_empty() && matches!(idle.take(5), Take::Empty));
}

#[test]
fn a_miss_tidies_up_what_takes_have_emptied() {
    let idle = full(5_000, 2);
    let mut out: Vec<_> = std::iter::from_fn(|| taken(&idle, 0)).collect();
    assert_eq!(idle.occupied().count(), 81);
    idle.flag_waiters();
    assert!(idle.claim().is_none());
    assert_eq!(idle.occupied().count(), NARROW);
    idle.unflag_waiters();
    let last = out.pop().expect("all are out");
    let index = last.slot.index();
    assert_eq!(idle.park(last), AfterPark::Quiet);
    assert_eq!((idle.occupied().count(), take(&idle, 3)), (NARROW + 1, index));
}

#[test]
fn a_vacated_cell_is_used_again() {
    for words in [1, 16, 17, 300] {
        let idle = full(words * PER_WORD, 1);
        let lowest = idle.claim().expect("all are parked").slot;
        idle.vacate(lowest);
        let slot = idle.reserve(7);
        assert_eq!((slot.index(), idle.count()), (0, words));
        assert_eq!(park(&idle, slot, 9), AfterPark::Quiet);
        assert_eq!(idle.parked().last().map(|seen| seen.since), Some(9));
    }
}

#[test]
fn a_line_refuses_takes_and_hears_of_parks() {
    for connections in [3, 1_000, 3_000, MOST] {
        let idle = full(connections, 2);
        // Of all words, narrow and wide.
        let mut out: Vec<_> = std::iter::from_fn(|| idle.claim()).step_by(61).collect();
        idle.flag_waiters();
        assert!(matches!(idle.take(0), Take::Refused));
        for parked in out.drain(..) {
            let index = parked.slot.index();
            assert_eq!(idle.park(parked), AfterPark::Waiters);
            assert!(idle.parked().next().is_none(), "it is promised to the line");
            assert_eq!(idle.claim().map(|parked| parked.slot.index()), Some(index));
        }
        idle.unflag_waiters();
        assert!(matches!(idle.take(0), Take::Empty));
    }
}

#[test]
fn a_new_word_says_that_somebody_waits_until_the_owner_of_the_line_has_seen_it() {
    for words in [1, 16, 48] {
        let idle = full(words * PER_WORD, words);
        while taken(&idle, 0).is_some() {}
        assert!(!idle.has_grown());
        let slot = idle.reserve(0);
        assert_eq!(idle.count(), words + 1);
        assert!(idle.has_grown());
        assert_eq!(park(&idle, slot, 0), AfterPark::Waiters);
        assert!(matches!(idle.take(0), Take::Refused));
        assert_eq!(idle.parked().count(), 0);
        idle.unflag_waiters();
        assert!(!idle.has_grown());
        assert!(taken(&idle, 0).is_some());
    }
    // A word of a group that is known says what the group says.
    let idle = full(17 * PER_WORD, 2);
    assert_eq!(park(&idle, idle.reserve(0), 0), AfterPark::Quiet);
    assert!(!idle.has_grown());
}

#[test]
fn a_closed_set_says_so() {
    for connections in [2, 1_000, MOST] {
        let idle = full(connections, 2);
        let out = idle.claim().expect("all are parked");
        idle.close();
        assert!(matches!(idle.take(0), Take::Refused));
        assert_eq!(idle.park(out), AfterPark::Closed);
        assert_eq!(std::iter::from_fn(|| idle.claim()).count(), connections);
    }
}

#[test]
fn a_word_that_is_made_after_the_close_is_closed() {
    for words in [1, 16, 17, 48] {
        let idle = full(words * PER_WORD, words);
        idle.close();
        let slot = idle.reserve(0);
        assert_eq!(idle.count(), words + 1);
        idle.unflag_waiters();
        assert_eq!(park(&idle, slot, 0), AfterPark::Closed);
    }
}

#[test]
fn a_claim_tells_the_age_of_what_it_found() {
    for connections in [1, 5_000] {
        let idle = full(connections, 1);
        let seen = idle.parked().next().expect("one is parked");
        let parked = idle.claim_at(seen).expect("it is still there");
        assert_eq!(parked.since, seen.since);
        assert!(idle.claim_at(seen).is_none());
        let since = seen.since + 1;
        park(&idle, parked.slot, since);
        assert_eq!(idle.claim_at(seen).map(|parked| parked.since), Some(since));
    }
}

#[test]
fn connections_are_conserved_by_threads_that_open_park_and_take_thousands() {
    const EACH: usize = 5_000;
    let idle = Idle::<u32>::new(2);
    let quiet = |parked| {
        let _: AfterPark = idle.park(parked);
    };
    let work = |thread| {
        let slots: Vec<_> = (0..EACH).map(|_| idle.reserve(thread)).collect();
        let cells: Vec<_> = slots.iter().map(Slot::index).collect();
        slots.into_iter().for_each(|slot| quiet(Parked { slot, value: 0, since: 0 }));
        let mut out = Vec::new();
        for turn in 0..EACH {
            out.extend(idle.claim());
            if turn % 3 == 0 {
                out.drain(..).for_each(quiet);
            }
        }
        out.into_iter().for_each(quiet);
        cells
    };
    let cells: Vec<_> = thread::scope(|scope| {
        let threads: Vec<_> = (0..4).map(|thread| scope.spawn(move || work(thread))).collect();
        threads.into_iter().flat_map(|thread| thread.join().expect("no panic")).collect()
    });
    idle.unflag_waiters();
    assert_eq!((idle.len(), idle.parked().count()), (4 * EACH, 4 * EACH));
    let cells: HashSet<_> = cells.into_iter().collect();
    assert_eq!(cells.len(), 4 * EACH, "a cell has one owner");
    let left = std::iter::from_fn(|| idle.claim()).map(|parked| parked.slot.index());
    assert_eq!(left.collect::<HashSet<_>>(), cells);
}
