//! What came of a run.

use std::fmt;
use std::time::Duration;

/// One request.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sample {
    /// When it was due, counted from the start of the world.
    pub(crate) due: Duration,
    /// From then to the last byte of the answer, or to the error; `None` as long as it goes on.
    pub(crate) took: Option<Duration>,
    pub(crate) ok: bool,
}

/// The requests of a time.
#[derive(PartialEq)]
pub(crate) struct Outcome {
    /// In order.
    took: Vec<Duration>,
    ok: usize,
}

impl Outcome {
    #[track_caller]
    pub(crate) fn new(samples: &[Sample], from: Duration, to: Duration) -> Self {
        let counted = samples.iter().filter(|sample| from <= sample.due && sample.due < to);
        let took = counted.clone().map(|sample| sample.took.expect("every request has ended"));
        let mut took: Vec<Duration> = took.collect();
        assert!(!took.is_empty(), "nothing was measured");
        took.sort_unstable();
        Self { took, ok: counted.filter(|sample| sample.ok).count() }
    }

    pub(crate) fn ok_percent(&self) -> f64 {
        self.ok as f64 / self.took.len() as f64 * 100.0
    }

    pub(crate) fn p99(&self) -> f64 {
        self.within(990)
    }

    pub(crate) fn p999(&self) -> f64 {
        self.within(999)
    }

    /// The time, in milliseconds, within which so many of a thousand requests ended.
    pub(crate) fn within(&self, per_mille: usize) -> f64 {
        let rank = self.took.len() * per_mille / 1000;
        self.took[rank.min(self.took.len() - 1)].as_secs_f64() * 1000.0
    }
}

impl fmt::Debug for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} requests, {:.3} % ok, p50 {:.1} p99 {:.1} p99.9 {:.1} ms",
            self.took.len(),
            self.ok_percent(),
            self.within(500),
            self.p99(),
            self.p999()
        )
    }
}
