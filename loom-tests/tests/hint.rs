//! Models of `lockfree/hint.rs`.
#![cfg(evenkeel_loom)]

use evenkeel::lockfree::hint::{Numbers, OWNED};
use loom::sync::Arc;
use loom::sync::atomic::{AtomicU64, Ordering::Relaxed};
use loom::thread;
use loom_tests::models;

models! {
    fn two_threads_get_different_numbers(3) {
        let numbers = Arc::new(Numbers::new());
        let thread = thread::spawn({
            let numbers = Arc::clone(&numbers);
            move || numbers.take()
        });
        let mine = numbers.take();
        let mut both = [mine, thread.join().unwrap()];
        both.sort_unstable();
        assert_eq!(both, [0, 1]);
    }

    fn two_threads_get_different_shared_numbers(3) {
        let numbers = Arc::new(Numbers::new());
        let thread = thread::spawn({
            let numbers = Arc::clone(&numbers);
            move || numbers.shared()
        });
        let mine = numbers.shared();
        let mut both = [mine, thread.join().unwrap()];
        both.sort_unstable();
        assert_eq!(both, [OWNED, OWNED + 1]);
    }

    /// Each writes to the words of its number without a read-modify-write.
    fn a_number_is_handed_over_with_what_was_written_under_it(3) {
        let numbers = Arc::new(Numbers::new());
        let words = Arc::new([AtomicU64::new(0), AtomicU64::new(0), AtomicU64::new(0)]);
        let visit = |numbers: &Numbers, words: &[AtomicU64; 3]| {
            let number = numbers.take();
            words[number].store(words[number].load(Relaxed) + 1, Relaxed);
            numbers.give_back(number);
        };
        let threads = [(); 2].map(|()| {
            let (numbers, words) = (Arc::clone(&numbers), Arc::clone(&words));
            thread::spawn(move || visit(&numbers, &words))
        });
        visit(&numbers, &words);
        for thread in threads {
            thread.join().unwrap();
        }
        assert_eq!(words.iter().map(|word| word.load(Relaxed)).sum::<u64>(), 3);
        assert_eq!(numbers.take(), 0);
    }
}
