//! The recent peak of a duration, in one word: up at once, down with time.
//!
//! The word holds an estimate and the time of its last change, so that both change together:
//!
//! ```text
//! bits 63..32   the estimate in nanoseconds, as an f32: finite, not negative
//! bits 31..0    when it was written, in ticks of 64 µs, modulo 2^32
//! ```
//!
//! A read takes the time since into account: the estimate halves every τ · ln 2 of silence. It
//! writes nothing. So a server that was slow once is asked again in the end, though nobody has
//! measured it since; and readers, of which there are many, leave the line shared.
//!
//! A sample above what a reader would see at its time, a *peak*, replaces the estimate. Any other
//! one moves it: `e·d + r·(1 − d)`, with `d = exp(−Δt / τ)`. This is the estimate of Finagle and of
//! linkerd.
//!
//! # Two who record at a time
//!
//! Each computes the next word from the one it saw, and swaps it in if that is still there; else it
//! computes anew. A peak tries until it is in, or has become none beside a higher one: to lose it
//! would send more callers to a server that has just become slow. Each try that fails is another
//! sample that got in, so that somebody always gets on. Other samples are dropped after [`TRIES`]
//! lost races, as in `ewma`: those who won have told the same story.
//!
//! # The clock
//!
//! The caller brings it. Two threads' readings may be recorded in the other order: then the later
//! one stays, and the time since is zero. A reading up to 2^24 ticks (18 min) older than the word
//! is taken for such a late-comer; all others for later ones. So after 76 h without a sample the
//! estimate shows once more as if it were new, and falls off again.

use crate::sync::{AtomicU64, Ordering::Relaxed};

/// How often a sample that is no peak is tried before it is dropped.
pub const TRIES: u32 = 4;

/// Nanoseconds in a tick.
pub const TICK: u64 = 64_000;

/// How far behind the word a clock may be.
const LATE: u32 = 1 << 24;

/// No sample yet: its estimate would be no number.
const EMPTY: u64 = u64::MAX;

/// The recent peak of a duration.
#[derive(Debug)]
pub struct PeakEwma {
    word: AtomicU64,
    /// 1/τ, in 1/ticks.
    rate: f32,
}

impl PeakEwma {
    /// Without a sample yet. A peak falls to 1/e in `decay` ticks.
    pub fn new(decay: u32) -> Self {
        #[expect(clippy::cast_precision_loss, reason = "a rate of decay needs no nine digits")]
        let rate = 1.0 / decay.max(1) as f32;
        Self { word: AtomicU64::new(EMPTY), rate }
    }

    /// Takes a sample in that ended at `now`. False if it was no peak, and was dropped because
    /// others came in its way.
    pub fn record(&self, now: u32, nanos: u64) -> bool {
        self.change(now, nanos, true)
    }

    /// Takes in that something has lasted this long at `now` without having ended: it may be a
    /// peak, but never brings the estimate down.
    pub fn record_at_least(&self, now: u32, nanos: u64) {
        self.change(now, nanos, false);
    }

    /// Forgets all samples.
    pub fn forget(&self) {
        // Ordering: Relaxed. The word is all there is, and has an order of its own.
        self.word.store(EMPTY, Relaxed);
    }

    fn change(&self, now: u32, nanos: u64, lowers: bool) -> bool {
        #[expect(clippy::cast_precision_loss, reason = "an estimate needs no nine digits")]
        let sample = nanos as f32;
        // Ordering: Relaxed here and below. The word is all there is: it guards no other memory,
        // and the order of samples is the order of swaps on this one word.
        let mut seen = self.word.load(Relaxed);
        let mut lost = 0;
        loop {
            let (next, is_peak) = match Estimate::of(seen) {
                None => (Estimate { nanos: sample, at: now }, true),
                Some(estimate) => {
                    let kept = self.kept(estimate.at, now);
                    let at = if is_late(estimate.at, now) { estimate.at } else { now };
                    let is_peak = sample >= estimate.nanos * kept;
                    let mixed = estimate.nanos * kept + sample * (1.0 - kept);
                    (Estimate { nanos: if is_peak { sample } else { mixed }, at }, is_peak)
                }
            };
            if !is_peak && (!lowers || lost == TRIES) {
                return !lowers;
            }
            // Ordering: Relaxed, as above. Weak: a spurious failure costs one of the tries.
            match self.word.compare_exchange_weak(seen, next.word(), Relaxed, Relaxed) {
                Ok(_) => return true,
                Err(newer) => seen = newer,
            }
            lost += 1;
        }
    }

    /// The estimate at `now` in nanoseconds, or `None` before the first sample.
    #[inline]
    pub fn value(&self, now: u32) -> Option<f32> {
        // Ordering: Relaxed. One word, read whole.
        let estimate = Estimate::of(self.word.load(Relaxed))?;
        Some(estimate.nanos * self.kept(estimate.at, now))
    }

    /// What share of an estimate is left after the time from `then` to `now`.
    #[inline]
    fn kept(&self, then: u32, now: u32) -> f32 {
        if is_late(then, now) {
            return 1.0;
        }
        #[expect(clippy::cast_precision_loss, reason = "as above")]
        let since = now.wrapping_sub(then) as f32;
        (-since * self.rate).exp()
    }
}

/// Whether `now` is the reading of a clock that is behind `then`.
#[inline]
fn is_late(then: u32, now: u32) -> bool {
    then.wrapping_sub(now).wrapping_sub(1) < LATE
}

#[derive(Clone, Copy)]
struct Estimate {
    nanos: f32,
    at: u32,
}

impl Estimate {
    #[inline]
    fn of(word: u64) -> Option<Self> {
        let at = (word & 0xFFFF_FFFF) as u32;
        (word != EMPTY).then(|| Self { nanos: f32::from_bits((word >> 32) as u32), at })
    }

    fn word(self) -> u64 {
        u64::from(self.nanos.to_bits()) << 32 | u64::from(self.at)
    }
}

#[cfg(all(test, not(evenkeel_loom)))]
mod tests {
    use super::*;

    /// τ of the tests.
    const DECAY: u32 = 1_000;

    fn near(value: Option<f32>, expected: f32) -> bool {
        value.is_some_and(|value| (value - expected).abs() <= expected * 1e-5)
    }

    #[test]
    fn it_is_empty_until_the_first_sample_sets_it() {
        let peak = PeakEwma::new(DECAY);
        assert_eq!(peak.value(0), None);
        peak.record(7, 0);
        assert_eq!(peak.value(7), Some(0.0));
        let peak = PeakEwma::new(DECAY);
        peak.record(7, 800);
        assert_eq!(peak.value(7), Some(800.0));
    }

    #[test]
    fn it_is_empty_again_once_it_forgets() {
        let peak = PeakEwma::new(DECAY);
        peak.record(7, 800);
        peak.forget();
        assert_eq!(peak.value(7), None);
        peak.record(8, 3);
        assert_eq!(peak.value(8), Some(3.0));
    }

    #[test]
    fn it_falls_to_an_eth_in_the_time_it_was_made_for() {
        let peak = PeakEwma::new(DECAY);
        peak.record(5, 1_000);
        assert!(near(peak.value(5 + DECAY), 1_000.0 / std::f32::consts::E));
        assert_eq!(peak.value(5), Some(1_000.0), "a look changes nothing");
    }

    #[test]
    fn a_peak_sets_it_and_what_is_lower_draws_it_down_with_time() {
        let peak = PeakEwma::new(DECAY);
        peak.record(0, 1_000);
        peak.record(0, 2_000);
        assert_eq!(peak.value(0), Some(2_000.0));
        peak.record(0, 10);
        assert_eq!(peak.value(0), Some(2_000.0), "no time has passed");
        peak.record(100, 10);
        let kept = (-0.1_f32).exp();
        assert!(near(peak.value(100), 2_000.0 * kept + 10.0 * (1.0 - kept)));
        // Higher than what is left of it by then: a peak.
        peak.record(100 + 3 * DECAY, 500);
        assert_eq!(peak.value(100 + 3 * DECAY), Some(500.0));
    }

    #[test]
    fn what_has_not_ended_yet_only_raises_it() {
        let peak = PeakEwma::new(DECAY);
        peak.record(0, 1_000);
        peak.record_at_least(500, 10);
        assert!(near(peak.value(500), 1_000.0 * (-0.5_f32).exp()));
        peak.record_at_least(500, 3_000);
        assert_eq!(peak.value(500), Some(3_000.0));
    }

    #[test]
    fn a_clock_that_is_behind_counts_as_no_time() {
        for start in [5_000_u32, 3] {
            let peak = PeakEwma::new(DECAY);
            peak.record(start, 1_000);
            let behind = start.wrapping_sub(400);
            assert_eq!(peak.value(behind), Some(1_000.0));
            peak.record(behind, 2_000);
            assert_eq!(peak.value(start), Some(2_000.0), "the later time stays");
            assert_eq!(peak.value(start.wrapping_sub(LATE)), Some(2_000.0));
            assert_eq!(peak.value(start.wrapping_sub(LATE + 1)), Some(0.0), "76 h later");
        }
    }

    #[test]
    fn time_goes_round() {
        let peak = PeakEwma::new(DECAY);
        peak.record(u32::MAX - 10, 1_000);
        assert!(near(peak.value(DECAY - 11), 1_000.0 / std::f32::consts::E));
    }

    #[test]
    fn no_sample_makes_it_negative_or_no_number() {
        let peak = PeakEwma::new(0);
        for (now, nanos) in [(0, u64::MAX), (1, 0), (u32::MAX, u64::MAX), (9, 1), (8, 0)] {
            peak.record(now, nanos);
            peak.record_at_least(now, nanos);
            let value = peak.value(now.wrapping_add(1)).unwrap();
            assert!(value.is_finite() && value >= 0.0, "{value}");
        }
    }
}
