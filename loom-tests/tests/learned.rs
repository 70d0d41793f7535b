//! Models of `lockfree/learned.rs`.
#![cfg(evenkeel_loom)]

use evenkeel::lockfree::learned::{Learned, MEMORY};
use loom::sync::Arc;
use loom::thread;
use loom_tests::models;

/// When a connection was parked, and when it was found closed.
type Closing = (u64, u64);

/// Closings at the age of ten seconds, each of a connection that was parked after the last.
const CLOSINGS: [Closing; 3] = [(2_000, 12_000), (20_000, 30_000), (40_000, 50_000)];

fn learned(closings: &[Closing]) -> Arc<Learned> {
    let learned = Learned::new();
    closings.iter().for_each(|&(since, now)| learned.closed(since, now, true));
    Arc::new(learned)
}

fn close(learned: &Arc<Learned>, (since, now): Closing) -> thread::JoinHandle<()> {
    let learned = Arc::clone(learned);
    thread::spawn(move || learned.closed(since, now, true))
}

models! {
    /// Two of a batch are noticed at once: one of them counts, and so two are not three.
    fn two_of_a_batch_race(3) {
        let learned = learned(&CLOSINGS[..1]);
        let other = close(&learned, CLOSINGS[1]);
        learned.closed(CLOSINGS[1].0, CLOSINGS[1].1, true);
        other.join().unwrap();
        assert_eq!(learned.limit(CLOSINGS[1].1), None);
        learned.closed(CLOSINGS[2].0, CLOSINGS[2].1, true);
        assert_eq!(learned.limit(CLOSINGS[2].1), Some(10_000));
    }

    /// Neither is lost beside the other: the closing comes first and makes a limit, or the refuted
    /// suspicion takes it along.
    fn a_closing_races_a_connection_that_is_good(3) {
        let learned = learned(&CLOSINGS[..2]);
        let other = close(&learned, CLOSINGS[2]);
        learned.survived(10_000);
        other.join().unwrap();
        let now = CLOSINGS[2].1;
        let limit = learned.limit(now);
        assert!(matches!(limit, None | Some(10_000)), "{limit:?}");
        let two_more = [(now + 2_000, now + 12_000), (now + 20_000, now + 30_000)];
        learned.closed(two_more[0].0, two_more[0].1, true);
        learned.closed(two_more[1].0, two_more[1].1, true);
        assert_eq!(learned.limit(two_more[1].1), Some(10_000));
    }

    /// A reader for whom all of it is too old does not take along what has just been learned.
    fn what_is_forgotten_races_a_closing(3) {
        let learned = learned(&CLOSINGS);
        let now = CLOSINGS[2].1 + MEMORY + 20_000;
        let other = close(&learned, (now - 10_000, now));
        assert_eq!(learned.limit(now), None);
        other.join().unwrap();
        for begin in [now + 2_000, now + 20_000] {
            learned.closed(begin, begin + 10_000, true);
        }
        assert_eq!(learned.limit(now + 30_000), Some(10_000), "the first of three was lost");
    }
}
