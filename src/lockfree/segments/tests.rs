//! What one thread can see of it; what several see is in `loom-tests`.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use super::*;

#[test]
fn an_index_has_one_place_and_every_place_an_index() {
    let mut next = 0;
    for segment in 0..SEGMENTS {
        let indices = indices::<2>(segment);
        assert_eq!((indices.start, indices.len()), (next, 2 << segment));
        next = indices.end;
        for (offset, index) in indices.enumerate() {
            assert_eq!(locate::<2>(index), (segment, offset));
        }
    }
}

#[test]
fn what_is_not_made_is_not_there() {
    let array = Segments::<usize, 1>::new();
    assert_eq!(array.get(0), None);
    assert_eq!(array.get_or_make(2, |index| 10 * index), &20);
    // Its neighbour in the segment comes with it, the segment before does not.
    assert_eq!(
        [0, 1, 2, 3].map(|index| array.get(index).copied()),
        [None, Some(10), Some(20), None]
    );
    assert_eq!(array.iter().copied().collect::<Vec<_>>(), [10, 20]);
}

#[test]
fn an_element_is_made_once_and_stays_where_it_is() {
    let array = Segments::<usize, 2>::new();
    let calls = Cell::new(0);
    let make = |index| {
        calls.set(calls.get() + 1);
        index
    };
    let first: *const usize = array.get_or_make(1, make);
    for index in 0..1_000 {
        array.get_or_make(index, make);
    }
    assert_eq!(array.get(1).map(ptr::from_ref), Some(first));
    // Up to the end of the segment that holds the last.
    assert_eq!(calls.get(), 1_022);
}

#[test]
fn the_last_index_has_a_place_and_the_next_has_none() {
    let array = Segments::<u8, 1>::new();
    assert_eq!(array.get_or_make(4_094, |_| 7), &7);
    assert_eq!(array.get(4_095), None);
    assert!(catch_unwind(AssertUnwindSafe(|| array.get_or_make(4_095, |_| 7))).is_err());
}

#[test]
fn what_was_made_is_dropped_with_the_array() {
    let kept = Arc::new(());
    let array = Segments::<Arc<()>, 2>::new();
    array.get_or_make(5, |_| kept.clone());
    assert_eq!(Arc::strong_count(&kept), 5);
    drop(array);
    assert_eq!(Arc::strong_count(&kept), 1);
}

#[test]
fn a_panic_while_making_leaves_nothing_behind() {
    let kept = Arc::new(());
    let array = Segments::<Arc<()>, 4>::new();
    let made = catch_unwind(AssertUnwindSafe(|| {
        array.get_or_make(0, |index| if index < 2 { kept.clone() } else { panic!("no more") });
    }));
    assert!(made.is_err() && array.get(0).is_none());
    assert_eq!(Arc::strong_count(&kept), 1);
}
