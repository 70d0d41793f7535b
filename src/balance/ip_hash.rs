//! The same server for the same key: weighted rendezvous hashing, or a Maglev table.
#![expect(clippy::cast_possible_truncation, reason = "what is below a number of members fits")]

use super::hash::{mix, neg_ln};
use super::maglev::Maglev;
use super::{Member, Set, View};

/// Up to so many servers each is asked for its score; more have a table.
const SCANNED: usize = 64;

/// Whom a key belongs to.
#[derive(Debug)]
pub(super) enum Owners {
    /// To the server with the highest score for it.
    Scan {
        /// The weights differ.
        weighted: bool,
    },
    Table(Maglev),
}

/// How many other places of the table a key is looked up at, before the servers are gone through.
const PROBES: usize = 32;

impl Owners {
    /// By the number of all servers, those included that may not be picked now: one that is drained
    /// and comes back must not change the way in which keys are shared out.
    pub(super) fn new(members: &[Member], servers: usize) -> Self {
        if servers > SCANNED {
            return Self::Table(Maglev::new(members));
        }
        Self::Scan { weighted: members.iter().any(|member| member.weight != members[0].weight) }
    }

    /// The first in the key's own order of servers that will do.
    pub(super) fn first(
        &self,
        set: &Set,
        key: u64,
        mut will_do: impl FnMut(usize) -> bool,
    ) -> Option<usize> {
        match self {
            Self::Scan { weighted } => {
                let score = |at: usize| score(key, &set.members[at], *weighted);
                let fit = (0..set.members.len()).filter(|&at| will_do(at));
                fit.max_by_key(|&at| score(at))
            }
            Self::Table(table) => {
                // Each look-up has its own key, so what one server cannot take goes to all others.
                let found = (0..PROBES)
                    .scan(key, |key, _| Some(std::mem::replace(key, mix(*key))))
                    .map(|key| table.owner(key))
                    .find(|&at| will_do(at));
                let count = set.members.len();
                let next = (key % count as u64) as usize;
                found.or_else(|| (next..count).chain(0..next).find(|&at| will_do(at)))
            }
        }
    }
}

/// A server's score for a key: each key has its own order of servers, in which each is the first
/// in proportion to its weight. That a server leaves changes nothing in the order of the others.
fn score(key: u64, member: &Member, weighted: bool) -> u64 {
    let hash = mix(key ^ member.id);
    if !weighted {
        return hash;
    }
    // w / −ln u, u uniform in (0, 1]: exponential draws, of which the least has the key. Positive
    // floats are in the order of their bits.
    (f64::from(member.weight) / neg_ln(hash)).to_bits()
}

pub(super) fn pick(set: &Set, owners: &Owners, key: u64, view: &impl View) -> usize {
    let will_do = |at: usize| !view.is_barred(set.members[at].at as usize);
    owners.first(set, key, will_do).unwrap_or(0)
}
