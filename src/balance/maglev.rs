//! A table of keys' owners, for many servers.
#![expect(clippy::cast_possible_truncation, reason = "entries are below 2^17, members below 2^32")]

use super::Member;
use super::hash::mix;

/// Entries: a prime. A key has one of them.
const SIZE: usize = 65_537;

/// Maglev hashing: the servers take turns at choosing an entry, each in its own order of them,
/// until all are taken. So the shares are even, to an entry, and a change of servers moves little
/// more than it must.
#[derive(Debug)]
pub(super) struct Maglev(Box<[u32]>);

const FREE: u32 = u32::MAX;

impl Maglev {
    pub(super) fn new(members: &[Member]) -> Self {
        let heaviest = members.iter().map(|member| u64::from(member.weight)).max().unwrap_or(1);
        let mut choosers: Vec<Turn> = members.iter().map(Turn::new).collect();
        let mut table = vec![FREE; SIZE].into_boxed_slice();
        let mut free = SIZE;
        loop {
            for (at, turn) in choosers.iter_mut().enumerate() {
                // A turn for each whole weight of the heaviest: the heaviest has one each round.
                // In the first round all have one, or a light one might be left without.
                if !turn.is_due(heaviest) {
                    continue;
                }
                if free == 0 {
                    return Self(table);
                }
                let mut entry = turn.next();
                while table[entry] != FREE {
                    entry = turn.next();
                }
                table[entry] = at as u32;
                free -= 1;
            }
        }
    }

    #[inline]
    pub(super) fn owner(&self, key: u64) -> usize {
        // A part of the word that is even over the entries, whatever their number.
        self.0[((u128::from(mix(key)) * SIZE as u128) >> 64) as usize] as usize
    }
}

/// A server's own order of entries, and how far it is.
struct Turn {
    entry: usize,
    step: usize,
    weight: u64,
    credit: u64,
}

impl Turn {
    fn new(member: &Member) -> Self {
        Self {
            entry: (mix(member.id ^ 1) % SIZE as u64) as usize,
            step: (mix(member.id ^ 2) % (SIZE as u64 - 1)) as usize + 1,
            weight: u64::from(member.weight),
            credit: u64::MAX,
        }
    }

    fn is_due(&mut self, heaviest: u64) -> bool {
        if self.credit == u64::MAX {
            self.credit = 0;
            return true;
        }
        self.credit += self.weight;
        let is_due = self.credit >= heaviest;
        if is_due {
            self.credit -= heaviest;
        }
        is_due
    }

    fn next(&mut self) -> usize {
        let entry = self.entry;
        self.entry = (entry + self.step) % SIZE;
        entry
    }
}
