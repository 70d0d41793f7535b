//! The better of two that are drawn.

use super::alias::Alias;
use super::dice::Throw;
use super::least_connections::is_better;
use super::{Set, View};

/// How often a draw is repeated that names the same server again. One with nearly all the weight
/// would be drawn for ever.
const DRAWS: usize = 8;

/// Both are drawn in proportion to the weights, and compared by load over weight. At rest the first
/// one has it, so that the shares are those of the weights then, too.
pub(super) fn pick(set: &Set, alias: &Alias, view: &impl View, throw: &mut Throw) -> usize {
    if set.members.len() == 1 {
        return 0;
    }
    let first = alias.draw(throw);
    let other = (0..DRAWS).map(|_| alias.draw(throw)).find(|&other| other != first);
    let other = other.unwrap_or_else(|| other_than(first, set.members.len(), throw));
    if is_better(set, view, first, other) { first } else { other }
}

/// Any of `count` but this one.
pub(super) fn other_than(first: usize, count: usize, throw: &mut Throw) -> usize {
    let other = throw.below(count - 1);
    if other < first { other } else { other + 1 }
}
