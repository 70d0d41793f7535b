//! [`Window`]: how much has passed of late, without anything that ticks.
//!
//! Time is cut into slots, ten in a window. Whoever counts something first in a slot takes a sample
//! of the counters before that. So the counts at the beginning of each slot in which anything
//! happened are known, and those at the beginning of another one are the same as at the next that
//! is. With ten samples it is known what has passed since the beginning of each of the last ten
//! slots, whenever somebody asks, and however long nobody has.
//!
//! Two threads may count at the same time as a slot begins; what the one counts while the other
//! takes the sample may then be told as of the slot before.

use super::tally::{Count, Tally};
use crate::lockfree::snapshot::{Change, Snapshot};
use crate::sync::{AtomicU64, Ordering};

/// In how many slots the window slides.
const SLOTS: u64 = 10;

/// What has passed since the start, or in the course of a window.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Passed {
    /// Requests that have ended, however.
    pub(super) requests: u64,
    pub(super) bytes_in: u64,
    pub(super) bytes_out: u64,
}

impl Passed {
    /// So far.
    fn so_far(tally: &Tally) -> Self {
        let counted = tally.read();
        Self {
            requests: counted.ended(),
            bytes_in: counted.of(Count::BytesIn),
            bytes_out: counted.of(Count::BytesOut),
        }
    }

    fn since(self, earlier: Self) -> Self {
        // Never below zero, though one sample may be taken late.
        Self {
            requests: self.requests.saturating_sub(earlier.requests),
            bytes_in: self.bytes_in.saturating_sub(earlier.bytes_in),
            bytes_out: self.bytes_out.saturating_sub(earlier.bytes_out),
        }
    }
}

/// What had passed when a slot began.
#[derive(Clone, Copy, Debug)]
struct Sample {
    slot: u64,
    passed: Passed,
}

/// A sliding window over the counters of a pool. Times are ticks.
#[derive(Debug)]
pub(super) struct Window {
    /// How long a slot is.
    slot: u64,
    /// When the next slot begins. Apart from what is written often.
    next: AtomicU64,
    /// In the order of their slots: those of the last ten, at most.
    samples: Snapshot<Vec<Sample>>,
}

impl Window {
    pub(super) fn new(length: u64) -> Self {
        let slot = (length / SLOTS).max(1);
        Self { slot, next: AtomicU64::new(slot), samples: Snapshot::new(Vec::new()) }
    }

    /// Something is about to be counted.
    #[inline]
    pub(super) fn note(&self, now: u64, tally: &Tally) {
        // Ordering: Relaxed. It only grows, and an older value leads to a second look at it.
        if now >= self.next.load(Ordering::Relaxed) {
            self.begin_slot(now, tally);
        }
    }

    #[cold]
    fn begin_slot(&self, now: u64, tally: &Tally) {
        let slot = now / self.slot;
        // Ordering: Relaxed. Whoever raises it takes the sample; it guards nothing.
        if self.next.fetch_max((slot + 1) * self.slot, Ordering::Relaxed) > now {
            return;
        }
        let sample = Sample { slot, passed: Passed::so_far(tally) };
        self.samples.update(|samples| {
            let recent = samples.iter().filter(|known| known.slot + SLOTS > slot);
            let mut next: Vec<Sample> = recent.copied().collect();
            // One who was held up may come after the slot that follows.
            let at = next.partition_point(|known| known.slot < slot);
            next.insert(at, sample);
            Change::Replace(next, ())
        });
    }

    /// What has passed in the last nine to ten slots, and in how many ticks.
    pub(super) fn passed(&self, now: u64, tally: &Tally) -> (Passed, u64) {
        // The first slot that began within the window; before the start nothing has passed.
        let first = now.saturating_sub(self.slot * SLOTS).div_ceil(self.slot);
        let before = self.samples.with(|samples| {
            samples.iter().find(|known| known.slot >= first).map(|known| known.passed)
        });
        let before = if first == 0 { Some(Passed::default()) } else { before };
        let now_passed = Passed::so_far(tally);
        // Nothing was counted since.
        let passed = before.map_or_else(Passed::default, |before| now_passed.since(before));
        (passed, now - first * self.slot)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Ten slots of 100.
    struct World {
        window: Window,
        tally: Tally,
    }

    impl World {
        fn new() -> Self {
            Self { window: Window::new(1000), tally: Tally::new() }
        }

        fn end_at(&self, now: u64, requests: u64) {
            self.window.note(now, &self.tally);
            self.tally.add(Count::Succeeded, requests);
        }

        fn at(&self, now: u64) -> (u64, u64) {
            let (passed, time) = self.window.passed(now, &self.tally);
            (passed.requests, time)
        }
    }

    #[test]
    fn before_a_window_has_passed_all_that_there_was_counts() {
        let world = World::new();
        assert_eq!(world.at(0), (0, 0));
        world.end_at(0, 3);
        world.end_at(450, 4);
        assert_eq!([world.at(450), world.at(1000)], [(7, 450), (7, 1000)]);
    }

    #[test]
    fn a_slot_leaves_the_window_as_a_whole() {
        let world = World::new();
        world.end_at(50, 1);
        world.end_at(150, 10);
        world.end_at(999, 100);
        assert_eq!([world.at(1000), world.at(1001)], [(111, 1000), (110, 901)]);
        assert_eq!([world.at(1100), world.at(1101)], [(110, 1000), (100, 901)]);
        assert_eq!(
            [world.at(1900), world.at(1901), world.at(9999)],
            [(100, 1000), (0, 901), (0, 999)]
        );
    }

    #[test]
    fn it_is_right_however_long_nobody_asked_or_counted() {
        let world = World::new();
        for second in 0..1000 {
            world.end_at(second * 1000 + 7, 1);
        }
        assert_eq!([world.at(999_007), world.at(999_010)], [(1, 907), (1, 910)]);
        world.end_at(5_000_050, 5);
        assert_eq!(world.at(5_000_060), (5, 960));
        assert!(world.window.samples.with(|samples| samples.len() == 1));
    }

    #[test]
    fn samples_are_no_more_than_slots() {
        let world = World::new();
        for now in 0..5000 {
            world.end_at(now, 1);
            assert!(world.window.samples.with(Vec::len) as u64 <= SLOTS);
        }
        assert_eq!(world.at(5000), (1000, 1000));
    }

    #[test]
    fn threads_that_count_at_once_lose_nothing() {
        let world = World::new();
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| (0..20_000).for_each(|turn| world.end_at(turn / 10, 1)));
            }
        });
        assert_eq!(world.tally.read().ended(), 80_000);
        let (passed, time) = world.at(2000);
        assert_eq!(time, 1000);
        assert!(passed <= 80_000, "{passed}");
    }
}
