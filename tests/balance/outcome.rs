//! What came of a run.

use std::time::Duration;

/// One request.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sample {
    /// When it was due, counted from the start of the world.
    pub(crate) due: Duration,
    /// From then to the last byte of the answer, or to the error.
    pub(crate) took: Duration,
    pub(crate) ok: bool,
}

/// The requests of a run that count.
pub(crate) struct Outcome {
    took: Vec<Duration>,
    ok: usize,
}

impl Outcome {
    /// Of those requests that were due in this time.
    pub(crate) fn new(samples: &[Sample], from: Duration, to: Duration) -> Self {
        let counted = samples.iter().filter(|sample| from <= sample.due && sample.due < to);
        let mut took: Vec<Duration> = counted.clone().map(|sample| sample.took).collect();
        assert!(!took.is_empty(), "nothing was measured");
        took.sort_unstable();
        Self { took, ok: counted.filter(|sample| sample.ok).count() }
    }

    pub(crate) fn count(&self) -> usize {
        self.took.len()
    }

    pub(crate) fn ok_percent(&self) -> f64 {
        self.ok as f64 / self.took.len() as f64 * 100.0
    }

    /// The time, in milliseconds, within which so great a share of the requests ended.
    pub(crate) fn quantile(&self, share: f64) -> f64 {
        let rank = (self.took.len() as f64 * share) as usize;
        self.took[rank.min(self.took.len() - 1)].as_secs_f64() * 1000.0
    }
}
