//! The cheaper of two that are drawn, by what a response has cost of late.

use super::dice::Throw;
use super::p2c::other_than;
use super::{Latency, Load, Rank, Set, View};

pub(super) fn pick(set: &Set, view: &impl View, throw: &mut Throw) -> usize {
    let count = set.members.len();
    let first = throw.below(count);
    if count == 1 {
        return first;
    }
    let other = other_than(first, count, throw);
    let order = price(set, view, first).partial_cmp(&price(set, view, other));
    // No price is a NaN.
    if order.is_none_or(std::cmp::Ordering::is_le) { first } else { other }
}

/// What is compared, the first first: servers of the same rank by their cost, those of the same
/// cost by their load.
fn price(set: &Set, view: &impl View, at: usize) -> (Rank, f64, f64) {
    let (rank, load) = set.rank(view, at);
    let latency = view.latency(set.members[at].at as usize);
    let weight = set.weight(at);
    (rank, cost(load, latency, weight), f64::from(load.in_flight) / f64::from(weight))
}

/// What one more request is expected to cost, in nanoseconds over the weight.
///
/// A server that has not answered yet costs nothing as long as nobody asks it, so that it is asked;
/// and more than any other once somebody does, so that one request finds out, and not a crowd.
pub(crate) fn cost(load: Load, latency: Latency, weight: u32) -> f64 {
    let connect = if load.is_warm { 0.0 } else { f64::from(latency.connect) };
    match latency.response {
        Some(response) => {
            (f64::from(response) * (f64::from(load.in_flight) + 1.0) + connect) / f64::from(weight)
        }
        None if load.in_flight == 0 => 0.0,
        None => f64::INFINITY,
    }
}
