//! Seeded chance.

use std::time::Duration;

use fastrand::Rng;

/// A draw from the exponential distribution with this mean: the time between the arrivals of a
/// Poisson process, and a service time that varies as real ones do.
pub(crate) fn exponential(rng: &mut Rng, mean: Duration) -> Duration {
    // In (0, 1], so that the logarithm is finite.
    let chance = 1.0 - rng.f64();
    mean.mul_f64(-chance.ln())
}
