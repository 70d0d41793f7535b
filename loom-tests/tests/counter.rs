//! Models of `lockfree/counter.rs`.
#![cfg(evenkeel_loom)]

use evenkeel::lockfree::counter::{Max, Striped};
use evenkeel::lockfree::hint::{Numbers, OWNED, set_thread_hint};
use loom::sync::Arc;
use loom::thread;
use loom_tests::models;

models! {
    /// Threads that share a stripe.
    fn additions_to_one_stripe_are_all_counted(3) {
        let counters = Arc::new(Striped::<2>::with_stripes(0, 1));
        let threads = [(); 2].map(|()| {
            let counters = Arc::clone(&counters);
            thread::spawn(move || {
                counters.incr(0);
                counters.add(1, 5);
            })
        });
        counters.incr(0);
        for thread in threads {
            thread.join().unwrap();
        }
        assert_eq!(counters.sums(), [3, 10]);
    }

    fn stripes_are_merged_exactly_after_the_join(3) {
        let counters = Arc::new(Striped::<1>::with_stripes(2, 1));
        let thread = thread::spawn({
            let counters = Arc::clone(&counters);
            move || {
                set_thread_hint(1);
                counters.add(0, 2);
                let seen = counters.sum(0);
                assert!(seen == 2 || seen == 3, "a thread sees what it added");
            }
        });
        set_thread_hint(0);
        counters.add(0, 1);
        thread.join().unwrap();
        assert_eq!(counters.sum(0), 3);
    }

    /// A thread with a stripe of its own beside one that has none.
    fn owned_and_shared_stripes_are_merged(3) {
        let counters = Arc::new(Striped::<1>::with_stripes(1, 1));
        let threads = [0, OWNED].map(|hint| {
            let counters = Arc::clone(&counters);
            thread::spawn(move || {
                set_thread_hint(hint);
                counters.incr(0);
                counters.incr(0);
            })
        });
        counters.incr(0);
        for thread in threads {
            thread.join().unwrap();
        }
        assert_eq!(counters.sum(0), 5);
    }

    fn a_stripe_passes_to_the_next_holder_of_its_number(3) {
        let numbers = Arc::new(Numbers::new());
        let counters = Arc::new(Striped::<1>::with_stripes(2, 1));
        let threads = [(); 2].map(|()| {
            let (numbers, counters) = (Arc::clone(&numbers), Arc::clone(&counters));
            thread::spawn(move || {
                let number = numbers.take();
                set_thread_hint(number);
                counters.incr(0);
                numbers.give_back(number);
            })
        });
        for thread in threads {
            thread.join().unwrap();
        }
        assert_eq!(counters.sum(0), 2);
    }

    fn a_reader_never_sees_a_counter_shrink(3) {
        let counters = Arc::new(Striped::<1>::with_stripes(2, 1));
        let threads = [0, 1].map(|hint| {
            let counters = Arc::clone(&counters);
            thread::spawn(move || {
                set_thread_hint(hint);
                counters.add(0, 1);
            })
        });
        let first = counters.sum(0);
        let second = counters.sum(0);
        assert!(first <= second && second <= 2);
        for thread in threads {
            thread.join().unwrap();
        }
    }

    /// Up on one thread and, after it, down on another: a reader may see only the step down.
    fn a_gauge_is_never_a_wrapped_number(3) {
        let counters = Arc::new(Striped::<2>::with_stripes(2, 1));
        let up = thread::spawn({
            let counters = Arc::clone(&counters);
            move || {
                set_thread_hint(1);
                counters.incr(0);
                thread::spawn(move || counters.incr(1)).join().unwrap();
            }
        });
        assert!(counters.gauge(0, 1) <= 1);
        up.join().unwrap();
        assert_eq!(counters.gauge(0, 1), 0);
    }

    fn max_keeps_the_greatest_of_two_threads(3) {
        let max = Arc::new(Max::new());
        let thread = thread::spawn({
            let max = Arc::clone(&max);
            move || max.record(9)
        });
        max.record(4);
        let seen = max.get();
        assert!(seen == 4 || seen == 9);
        thread.join().unwrap();
        assert_eq!(max.get(), 9);
    }
}
