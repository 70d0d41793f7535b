//! Models of `lockfree/ewma.rs`.
#![cfg(evenkeel_loom)]

use evenkeel::lockfree::ewma::Ewma;
use loom::sync::Arc;
use loom::thread;
use loom_tests::models;

/// The average after `samples`, one after the other.
fn in_order(samples: &[u64]) -> Option<u64> {
    let ewma = Ewma::new(1);
    for &sample in samples {
        assert!(ewma.record(sample));
    }
    ewma.value()
}

models! {
    fn two_first_samples_race(3) {
        let ewma = Arc::new(Ewma::new(1));
        let thread = thread::spawn({
            let ewma = Arc::clone(&ewma);
            move || ewma.record(1_000)
        });
        assert!(ewma.record(3_000));
        let seen = ewma.value();
        assert!(thread.join().unwrap());
        let orders = [in_order(&[1_000, 3_000]), in_order(&[3_000, 1_000])];
        assert!(seen == Some(3_000) || orders.contains(&seen), "{seen:?}");
        assert!(orders.contains(&ewma.value()), "{ewma:?}");
    }

    fn racing_samples_all_count(3) {
        let ewma = Arc::new(Ewma::new(1));
        assert!(ewma.record(800));
        let threads = [400, 1_600].map(|sample| {
            let ewma = Arc::clone(&ewma);
            thread::spawn(move || ewma.record(sample))
        });
        for thread in threads {
            assert!(thread.join().unwrap());
        }
        let orders = [in_order(&[800, 400, 1_600]), in_order(&[800, 1_600, 400])];
        assert!(orders.contains(&ewma.value()), "{ewma:?}");
    }

    /// What is read is one of the values that were written, and never an older one than before.
    fn a_reader_sees_whole_values_in_order(3) {
        let written = [None, Some(1 << 40), in_order(&[1 << 40, 1 << 8])];
        let ewma = Arc::new(Ewma::new(1));
        let reader = thread::spawn({
            let ewma = Arc::clone(&ewma);
            move || [ewma.value(), ewma.value()]
        });
        ewma.record(1 << 40);
        ewma.record(1 << 8);
        let seen = reader.join().unwrap();
        let at = seen.map(|value| written.iter().position(|one| *one == value).unwrap());
        assert!(at[0] <= at[1], "{seen:?}");
        assert_eq!(ewma.value(), written[2]);
    }
}
