//! Models of `lockfree/segments.rs`: a segment is published once, whole, and dropped once.
#![cfg(evenkeel_loom)]

use evenkeel::lockfree::segments::Segments;
use loom::sync::Arc;
use loom::thread;
use loom_tests::{Plain, models};

models! {
    /// Each makes one; one of them stays, and nothing of the other.
    fn two_make_the_same_segment(3) {
        let array = Arc::new(Segments::<Arc<Plain<usize>>, 1>::new());
        let other = thread::spawn({
            let array = Arc::clone(&array);
            move || Arc::clone(array.get_or_make(1, |index| Arc::new(Plain::new(index))))
        });
        let mine = Arc::clone(array.get_or_make(2, |index| Arc::new(Plain::new(index))));
        assert_eq!(mine.get(), 2);
        let theirs = other.join().unwrap();
        assert!(Arc::ptr_eq(&mine, array.get(2).unwrap()));
        assert!(Arc::ptr_eq(&theirs, array.get(1).unwrap()));
        assert_eq!(array.iter().count(), 2);
        // Loom fails the execution if anything is left.
    }

    fn what_is_found_is_seen_as_it_was_made(3) {
        let array = Arc::new(Segments::<Plain<usize>, 2>::new());
        let reader = thread::spawn({
            let array = Arc::clone(&array);
            move || {
                if let Some(element) = array.get(1) {
                    assert_eq!(element.get(), 1);
                }
            }
        });
        array.get_or_make(0, Plain::new);
        reader.join().unwrap();
    }

    /// Who loses sees what the winner has made.
    fn the_second_sees_what_the_first_has_made(3) {
        let array = Arc::new(Segments::<Plain<usize>, 1>::new());
        let other = thread::spawn({
            let array = Arc::clone(&array);
            move || assert_eq!(array.get_or_make(0, |_| Plain::new(7)).get(), 7)
        });
        assert_eq!(array.get_or_make(0, |_| Plain::new(7)).get(), 7);
        other.join().unwrap();
    }
}
