//! Models of `lockfree/peak_ewma.rs`.
#![cfg(evenkeel_loom)]

use evenkeel::lockfree::peak_ewma::{PeakEwma, TRIES};
use loom::sync::Arc;
use loom::thread;
use loom_tests::models;

const DECAY: u32 = 1_000;

/// A tick, and nanoseconds.
type Sample = (u32, u64);

fn peak(samples: &[Sample]) -> PeakEwma {
    let peak = PeakEwma::new(DECAY);
    for &(now, nanos) in samples {
        assert!(peak.record(now, nanos));
    }
    peak
}

/// What is seen after `samples`, one after the other.
fn in_order(samples: &[Sample], now: u32) -> Option<f32> {
    peak(samples).value(now)
}

models! {
    /// Of two peaks the higher one is there in the end, whoever came first.
    fn two_first_samples_race(3) {
        let peak = Arc::new(peak(&[]));
        let thread = thread::spawn({
            let peak = Arc::clone(&peak);
            move || peak.record(10, 1_000)
        });
        assert!(peak.record(10, 3_000));
        assert_eq!(peak.value(10), Some(3_000.0));
        assert!(thread.join().unwrap());
        assert_eq!(peak.value(10), Some(3_000.0));
    }

    /// A peak is never lost beside samples that are lower, however many of them come in its way.
    fn a_peak_races_lower_samples(3) {
        let peak = Arc::new(peak(&[(0, 1_000)]));
        let thread = thread::spawn({
            let peak = Arc::clone(&peak);
            move || {
                for step in 1..=TRIES {
                    peak.record(10 * step, 10);
                }
            }
        });
        assert!(peak.record(90, 5_000));
        assert_eq!(peak.value(90), Some(5_000.0));
        thread.join().unwrap();
        assert_eq!(peak.value(90), Some(5_000.0));
    }

    /// Two samples that are no peaks both count, in some order.
    fn racing_samples_all_count(3) {
        let samples = [(100, 400), (100, 200)];
        let peak = Arc::new(peak(&[(0, 8_000)]));
        let threads = samples.map(|(now, nanos)| {
            let peak = Arc::clone(&peak);
            thread::spawn(move || peak.record(now, nanos))
        });
        for thread in threads {
            assert!(thread.join().unwrap());
        }
        let [a, b] = samples;
        let orders = [in_order(&[(0, 8_000), a, b], 200), in_order(&[(0, 8_000), b, a], 200)];
        assert!(orders.contains(&peak.value(200)), "{peak:?}");
    }

    /// A reader sees an estimate and the time that belongs to it: together they are one of those
    /// that were written, and never an older one than before.
    fn a_reader_sees_whole_pairs_in_order(3) {
        let samples = [(0, 1_000), (500, 64_000), (1_000, 10)];
        let now = 1_500;
        let written: Vec<_> = (0..=3).map(|count| in_order(&samples[..count], now)).collect();
        let peak = Arc::new(peak(&[]));
        let reader = thread::spawn({
            let peak = Arc::clone(&peak);
            move || [peak.value(now), peak.value(now)]
        });
        for (tick, nanos) in samples {
            peak.record(tick, nanos);
        }
        let seen = reader.join().unwrap();
        let at = seen.map(|value| written.iter().position(|one| *one == value).unwrap());
        assert!(at[0] <= at[1], "{seen:?}");
        assert_eq!(peak.value(now), written[3]);
    }

    /// Of two clocks the later reading stays, whichever is recorded first.
    fn a_clock_that_is_behind_races_one_that_is_not(3) {
        let peak = Arc::new(peak(&[(0, 1_000)]));
        let thread = thread::spawn({
            let peak = Arc::clone(&peak);
            move || peak.record(100, 9_000)
        });
        assert!(peak.record(60, 9_000));
        assert!(thread.join().unwrap());
        assert_eq!(peak.value(100), Some(9_000.0));
    }

    /// What has not ended yet raises the estimate, beside what comes at the same time.
    fn what_has_not_ended_is_a_peak_if_it_is_high(3) {
        let peak = Arc::new(peak(&[(0, 1_000)]));
        let thread = thread::spawn({
            let peak = Arc::clone(&peak);
            move || peak.record_at_least(50, 7_000)
        });
        assert!(peak.record(50, 2_000));
        assert!(peak.value(50) >= Some(2_000.0));
        thread.join().unwrap();
        assert_eq!(peak.value(50), Some(7_000.0));
    }

    /// And it never lowers it: where it is no peak, it is as if it had not been.
    fn what_has_not_ended_lowers_nothing(3) {
        let samples = [(0, 1_000), (50, 2_000)];
        let peak = Arc::new(peak(&samples[..1]));
        let thread = thread::spawn({
            let peak = Arc::clone(&peak);
            move || peak.record_at_least(100, 1)
        });
        assert!(peak.record(50, 2_000));
        thread.join().unwrap();
        assert_eq!(peak.value(100), in_order(&samples, 100));
    }
}
