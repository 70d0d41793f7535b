//! What one thread can see of it; what several see is in `loom-tests`.

use std::collections::HashSet;
use std::sync::Mutex;
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
    // The hint's word is the new one now and then, and the lowest free cell is next.
    for slot in slots.into_iter().take(1) {
        idle.vacate(slot);
    }
    assert_eq!([idle.reserve(0).word(), idle.reserve(0).word()], [1, 2]);
}

#[test]
fn words_are_made_for_connections_and_not_for_a_limit() {
    for (connections, words) in [(0, 2), (1, 2), (124, 2), (125, 3), (1_000, 17), (MOST, 1_058)] {
        let idle = full(connections, 2);
        assert_eq!(idle.count(), words, "{connections} connections");
        // A segment is as long as all before it, and two elements more.
        assert!(idle.words.iter().count() <= 2 * words + 2);
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
    for half in [true, false] {
        let mut last = None;
        for _ in 0..MOST / 2 {
            let parked = if half { taken(&idle, 0) } else { idle.claim() };
            let index = parked.map(|parked| parked.slot.index());
            assert!(index > last);
            last = index;
        }
    }
    assert!(idle.claim().is_some() && idle.claim().is_none());
    assert!(idle.is_empty() && matches!(idle.take(5), Take::Empty));
}

#[test]
fn a_set_that_is_all_leased_is_looked_through_by_its_heads() {
    let idle = full(MOST, 2);
    let mut out: Vec<_> = std::iter::from_fn(|| taken(&idle, 0)).collect();
    // What takes have emptied is in sight still.
    assert_eq!(idle.occupied().count(), 1_058);
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
    for connections in [2, MOST] {
        let idle = full(connections, 1);
        let slot = idle.claim().expect("all are parked").slot;
        let words = idle.count();
        idle.vacate(slot);
        let slot = idle.reserve(7);
        // One that was full all the time is filled up only once it has come free.
        let spare = connections.is_multiple_of(PER_WORD);
        assert!(slot.index() == 0 || !spare);
        assert_eq!(park(&idle, slot, 9), AfterPark::Quiet);
        assert_eq!((idle.count(), idle.len()), (words, connections));
        assert!(idle.parked().any(|seen| seen.since == 9));
    }
}

#[test]
fn a_line_refuses_takes_and_hears_of_parks() {
    for connections in [3, 1_000, 3_000, MOST] {
        let idle = full(connections, 2);
        let mut out: Vec<_> = std::iter::from_fn(|| taken(&idle, 0)).collect();
        idle.flag_waiters();
        for _ in 0..connections {
            assert_eq!(idle.park(out.pop().expect("all are out")), AfterPark::Waiters);
            assert!(matches!(idle.take(0), Take::Refused));
            assert_eq!(idle.parked().count(), 0, "they are promised to the line");
            out.insert(0, idle.claim().expect("one is parked"));
            if out.len() > 70 {
                out.truncate(70);
            }
            if connections == MOST {
                break;
            }
        }
        idle.unflag_waiters();
        assert_eq!(idle.park(out.pop().expect("all are out")), AfterPark::Quiet);
        assert!(taken(&idle, 0).is_some());
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
fn connections_are_conserved_by_threads_that_take_park_open_and_close_thousands() {
    const EACH: usize = 5_000;
    let idle = Idle::<u32>::new(2);
    let cells = Mutex::new(HashSet::new());
    thread::scope(|scope| {
        for thread in 0..4 {
            let (idle, cells) = (&idle, &cells);
            scope.spawn(move || {
                let mut mine: Vec<_> = (0..EACH).map(|_| idle.reserve(thread)).collect();
                let mut taken_cells = cells.lock().expect("no panic");
                for slot in &mine {
                    assert!(taken_cells.insert(slot.index()), "a cell has one owner");
                }
                drop(taken_cells);
                for slot in mine.drain(..) {
                    park(idle, slot, 0);
                }
                let mut out = Vec::new();
                for turn in 0..EACH {
                    out.extend(idle.claim());
                    if turn % 3 != 0 {
                        out.drain(..).for_each(|parked| drop(idle.park(parked)));
                    }
                }
                out.drain(..).for_each(|parked| drop(idle.park(parked)));
            });
        }
    });
    idle.unflag_waiters();
    assert_eq!((idle.len(), idle.parked().count()), (4 * EACH, 4 * EACH));
    let left: HashSet<_> =
        std::iter::from_fn(|| idle.claim()).map(|parked| parked.slot.index()).collect();
    assert_eq!(left, cells.into_inner().expect("no panic"));
}
