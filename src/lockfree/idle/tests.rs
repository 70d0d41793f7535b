//! What one thread can see of it; what several see is in `loom-tests`.

use super::*;

fn park(idle: &Idle<u32>, slot: Slot, since: u64) -> AfterPark {
    idle.park(Parked { slot, value: 0, since })
}

/// A set with everything parked, the cell's index as its age.
fn full(limit: usize, words: usize) -> Idle<u32> {
    let idle = Idle::new(limit, words);
    for _ in 0..limit {
        let slot = idle.reserve(0);
        let since = slot.index() as u64;
        park(&idle, slot, since);
    }
    idle
}

fn take(idle: &Idle<u32>, hint: usize) -> usize {
    match idle.take(hint) {
        Take::Got(parked) => parked.slot.index(),
        Take::Empty | Take::Refused => panic!("nothing to take"),
    }
}

#[test]
fn the_lowest_is_taken_first() {
    let idle = full(4, 1);
    assert_eq!([0; 4].map(|hint| take(&idle, hint)), [0, 1, 2, 3]);
    assert!(matches!(idle.take(0), Take::Empty));
}

#[test]
fn the_highest_is_seen_first_by_the_reaper() {
    let idle = full(4, 2);
    let seen: Vec<_> = idle.parked().map(|seen| (seen.index, seen.since)).collect();
    assert_eq!(seen, [(63, 63), (62, 62), (1, 1), (0, 0)]);
}

#[test]
fn a_hint_names_the_first_word_and_the_others_follow() {
    let idle = full(4, 2);
    assert_eq!([1, 1, 1, 1].map(|hint| take(&idle, hint)), [62, 63, 0, 1]);
    let idle = full(4, 2);
    assert_eq!([7, 2].map(|hint| take(&idle, hint)), [62, 0]);
}

#[test]
fn cells_are_dealt_out_evenly() {
    let idle = full(63, 1);
    let low = idle.parked().filter(|seen| (seen.index as usize) < PER_WORD).count();
    assert_eq!((idle.words.len(), low, idle.len()), (2, 32, 63));
    assert_eq!(Idle::<u32>::new(1, 8).words.len(), 1);
    assert_eq!(Idle::<u32>::new(62, 1).words.len(), 1);
}

#[test]
fn as_many_as_a_server_may_have_find_a_cell() {
    let idle = full(65_535, 1);
    assert_eq!(idle.len(), 65_535);
}

#[test]
fn a_vacated_cell_is_used_again() {
    let idle = full(2, 1);
    let Take::Got(parked) = idle.take(0) else {
        panic!("two are parked");
    };
    idle.vacate(parked.slot);
    let slot = idle.reserve(0);
    assert_eq!(slot.index(), 0);
    assert_eq!(park(&idle, slot, 9), AfterPark::Quiet);
    assert_eq!(idle.parked().last().map(|seen| seen.since), Some(9));
}

#[test]
fn a_line_refuses_takes_and_hears_of_parks() {
    let idle = full(3, 3);
    let Some(out) = idle.claim() else {
        panic!("three are parked");
    };
    idle.flag_waiters();
    assert!(matches!(idle.take(0), Take::Refused));
    assert_eq!(idle.parked().count(), 0, "they are promised to the line");
    assert_eq!(park(&idle, out.slot, 0), AfterPark::Waiters);
    assert!(idle.claim().is_some());
    idle.unflag_waiters();
    assert!(matches!(idle.take(0), Take::Got(_)));
}

#[test]
fn a_closed_set_says_so() {
    let idle = full(2, 2);
    let Some(out) = idle.claim() else {
        panic!("two are parked");
    };
    idle.close();
    assert!(matches!(idle.take(0), Take::Refused));
    assert_eq!(park(&idle, out.slot, 0), AfterPark::Closed);
    assert!(idle.claim().is_some() && idle.claim().is_some() && idle.claim().is_none());
}

#[test]
fn a_claim_tells_the_age_of_what_it_found() {
    let idle = full(1, 1);
    let Some(seen) = idle.parked().next() else {
        panic!("one is parked");
    };
    let Take::Got(parked) = idle.take(0) else {
        panic!("one is parked");
    };
    assert!(idle.claim_at(seen).is_none());
    park(&idle, parked.slot, 5);
    assert_eq!(idle.claim_at(seen).map(|parked| parked.since), Some(5));
}
