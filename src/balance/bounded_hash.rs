//! The same server for the same key, unless it has more than its share.

use super::dice::Throw;
use super::ip_hash::Owners;
use super::least_connections::{EXACT, least};
use super::{Rank, Set, View};

/// So much a server may always have: where there is little load, nobody is far above an average.
const FLOOR: u64 = 2;

pub(super) fn pick(
    set: &Set,
    owners: &Owners,
    key: u64,
    view: &impl View,
    balance: u32,
    throw: &mut Throw,
) -> usize {
    let sums = Sums::of(set, view, throw);
    let has_room = |at: usize| {
        let (rank, load) = set.rank(view, at);
        rank == Rank::Free && u64::from(load.in_flight) < sums.cap(set.weight(at), balance)
    };
    let found = owners.first(set, key, has_room);
    found.unwrap_or_else(|| least(set, 0..set.members.len(), view, throw))
}

/// The load of all members, and their weight.
struct Sums {
    load: u64,
    weight: u64,
}

impl Sums {
    /// Of all members up to 128; of more, so many as follow one that is drawn, which stand for all.
    fn of(set: &Set, view: &impl View, throw: &mut Throw) -> Self {
        let count = set.members.len();
        let first = if count <= EXACT { 0 } else { throw.below(count) };
        let looked_at = set.members[first..].iter().chain(&set.members[..first]).take(EXACT);
        let mut sums = Self { load: 0, weight: 0 };
        for member in looked_at {
            sums.load += u64::from(view.load(member.at as usize).in_flight);
            sums.weight += u64::from(member.weight);
        }
        sums
    }

    /// What a server of this weight may have, once one more request has come.
    fn cap(&self, weight: u32, balance: u32) -> u64 {
        // c · (M + 1) · w / W, rounded up.
        let share = u128::from(balance) * u128::from(self.load + 1) * u128::from(weight);
        let cap = share.div_ceil(100 * u128::from(self.weight));
        u64::try_from(cap).unwrap_or(u64::MAX).max(FLOOR)
    }
}
