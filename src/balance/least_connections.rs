//! The least load for its weight.

use std::cmp::Ordering;

use super::alias::Alias;
use super::dice::Throw;
use super::{Rank, Set, View};

/// Up to so many servers are all looked at.
pub(super) const EXACT: usize = 128;

/// Of more, the best of so many that are drawn.
const DRAWN: usize = 16;

pub(super) fn pick(set: &Set, alias: &Alias, view: &impl View, throw: &mut Throw) -> usize {
    let count = set.members.len();
    if count <= EXACT {
        return least(set, 0..count, view, throw);
    }
    let mut draws = throw.clone();
    throw.word();
    // In proportion to the weights; what is drawn twice is looked at twice.
    least(set, (0..DRAWN).map(|_| alias.draw(&mut draws)), view, throw)
}

/// The least loaded of these. Loads are compared by cross-multiplying, which is exact. Among
/// equals each is picked in proportion to its weight: each next one takes the place of those before
/// it with the chance that it should have beside them.
pub(super) fn least(
    set: &Set,
    members: impl Iterator<Item = usize>,
    view: &impl View,
    throw: &mut Throw,
) -> usize {
    let mut best: Option<(usize, Rank, u64, u64)> = None;
    let mut tied = 0;
    for at in members {
        let (rank, load) = set.rank(view, at);
        let (load, weight) = (u64::from(load.in_flight), u64::from(set.weight(at)));
        let order = best.map_or(Ordering::Less, |(_, best_rank, best_load, best_weight)| {
            rank.cmp(&best_rank).then((load * best_weight).cmp(&(best_load * weight)))
        });
        tied = match order {
            Ordering::Less => weight,
            Ordering::Equal => tied + weight,
            Ordering::Greater => continue,
        };
        if tied == weight || throw.below_wide(tied) < weight {
            best = Some((at, rank, load, weight));
        }
    }
    best.map_or(0, |(at, ..)| at)
}

/// Whether `a` is the better one, or as good.
pub(super) fn is_better(set: &Set, view: &impl View, a: usize, b: usize) -> bool {
    let ((rank_a, load_a), (rank_b, load_b)) = (set.rank(view, a), set.rank(view, b));
    let scaled = |load: u32, other: usize| u64::from(load) * u64::from(set.weight(other));
    let order = (rank_a, scaled(load_a.in_flight, b)).cmp(&(rank_b, scaled(load_b.in_flight, a)));
    order.is_le() && rank_a != Rank::Barred
}
