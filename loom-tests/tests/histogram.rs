//! Models of `lockfree/histogram.rs`.
#![cfg(evenkeel_loom)]

use evenkeel::lockfree::hint::set_thread_hint;
use evenkeel::lockfree::histogram::Histogram;
use loom::sync::Arc;
use loom::thread;
use loom_tests::models;

models! {
    /// Threads that share a stripe, and record into the same bucket and into others.
    fn values_of_two_threads_are_all_counted(3) {
        let histogram = Arc::new(Histogram::with_stripes(1));
        let thread = thread::spawn({
            let histogram = Arc::clone(&histogram);
            move || [1, 5].iter().for_each(|value| histogram.record(*value))
        });
        [1, 100].iter().for_each(|value| histogram.record(*value));
        thread.join().unwrap();
        let seen = histogram.snapshot();
        assert_eq!((seen.count(), seen.beyond()), (4, 1));
        assert_eq!([0.5, 0.75, 1.0].map(|q| seen.quantile(q)), [1, 5, 8].map(Some));
    }

    fn stripes_are_merged_exactly_after_the_join(3) {
        let histogram = Arc::new(Histogram::with_stripes(2));
        let thread = thread::spawn({
            let histogram = Arc::clone(&histogram);
            move || {
                set_thread_hint(1);
                histogram.record(3);
            }
        });
        histogram.record(3);
        let seen = histogram.snapshot();
        assert!(seen.count() >= 1, "a thread sees what it recorded");
        thread.join().unwrap();
        let last = histogram.snapshot();
        assert_eq!((last.count(), last.max()), (2, Some(3)));
        assert_eq!(last.since(&seen).count(), 2 - seen.count());
    }

    fn a_reader_never_sees_the_count_shrink(3) {
        let histogram = Arc::new(Histogram::with_stripes(2));
        let threads = [0, 1].map(|hint| {
            let histogram = Arc::clone(&histogram);
            thread::spawn(move || {
                set_thread_hint(hint);
                histogram.record(2);
            })
        });
        let first = histogram.snapshot();
        let second = histogram.snapshot();
        assert!(first.count() <= second.count() && second.count() <= 2);
        assert_eq!(second.since(&first).count(), second.count() - first.count());
        for thread in threads {
            thread.join().unwrap();
        }
        assert_eq!(histogram.snapshot().count(), 2);
    }
}
