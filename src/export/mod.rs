//! What pools tell to systems that collect figures: one list of families, and where they go.

#[cfg(feature = "metrics")]
pub mod facade;
mod families;
mod histograms;
pub mod prometheus;
mod text;

use std::fmt;

use crate::lockfree::histogram::Distribution;
use crate::metrics::{Metrics, ServerStats};
use crate::pool::Pool;
use crate::upstream::Distributions;

/// What a family's values are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// It only grows.
    Counter,
    /// It goes up and down.
    Gauge,
    /// Buckets, a sum and a count.
    Histogram,
}

/// A name and its value.
type Label<'a> = (&'a str, &'a str);

/// The bound of a bucket: as it is written, and as it was recorded.
type Bound = (&'static str, u64);

/// A value.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Value {
    Count(u64),
    Number(f64),
}

impl From<u64> for Value {
    fn from(count: u64) -> Self {
        Self::Count(count)
    }
}

impl From<f64> for Value {
    fn from(number: f64) -> Self {
        Self::Number(number)
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Count(count) => count.fmt(f),
            Self::Number(number) => number.fmt(f),
        }
    }
}

/// Takes families one after another.
trait Sink {
    /// Begins a family: all of its samples follow, before the next one begins.
    fn family(&mut self, name: &'static str, kind: Kind, help: &'static str) -> fmt::Result;

    /// A sample of the family, of the pool of this name.
    fn sample(&mut self, pool: &str, labels: &[Label<'_>], value: Value) -> fmt::Result;

    /// A histogram of the family. So many of what was recorded make one of the unit.
    fn histogram(
        &mut self,
        pool: &str,
        bounds: &[Bound],
        values: &Distribution,
        unit: f64,
    ) -> fmt::Result;
}

/// What there is to tell of one pool.
struct Report<'a> {
    /// Empty if there is only one.
    name: &'a str,
    metrics: Metrics,
    servers: Vec<ServerStats>,
    distributions: Distributions,
}

impl<'a> Report<'a> {
    fn of(name: &'a str, pool: &Pool) -> Self {
        // Ends before beginnings, so that no sum is ahead of its parts.
        let distributions = pool.distributions();
        Self { name, metrics: pool.metrics(), servers: pool.server_stats(), distributions }
    }
}

/// Tells all there is.
fn tell(sink: &mut dyn Sink, reports: &[Report<'_>]) -> fmt::Result {
    families::requests(sink, reports)?;
    families::connections(sink, reports)?;
    families::levels(sink, reports)?;
    histograms::histograms(sink, reports)?;
    families::servers(sink, reports)
}
