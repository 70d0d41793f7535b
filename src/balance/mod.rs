//! Which server is asked first. Pure: what is known of the servers comes through [`View`].
//!
//! What is rare (a server that comes or goes, a weight) is worked out when the set of servers is
//! rebuilt, into a [`Set`]: who is in it, and the tables of the strategy. So a pick filters
//! nothing, allocates nothing and takes no lock. What changes with each pick, turns and dice, is in
//! the [`Chooser`], which outlives the sets: a new set begins nothing anew.

mod alias;
mod bounded_hash;
mod custom;
mod dice;
mod hash;
mod ip_hash;
mod least_connections;
mod maglev;
mod p2c;
mod peak_ewma;
mod round_robin;
mod weighted;

use std::fmt;
use std::sync::Arc;

pub(crate) use self::custom::Lineup;
pub use self::custom::{Balancer, Candidate, Candidates};
use self::dice::{Dice, Throw};
pub(crate) use self::hash::hash;
use self::ip_hash::Owners;
pub(crate) use self::peak_ewma::cost;
pub(crate) use self::round_robin::Ahead;
use self::round_robin::Turns;
use crate::strategy::Strategy;

/// What one server is doing at the moment of a pick.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Load {
    /// Requests under way and callers in line.
    pub(crate) in_flight: u32,
    /// It has an idle connection.
    pub(crate) is_warm: bool,
    /// It has neither an idle connection nor room for a new one.
    pub(crate) is_full: bool,
}

/// What one server has been doing of late, in nanoseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Latency {
    /// The recent peak of the time to a response; `None` before the first.
    pub(crate) response: Option<f32>,
    /// The recent peak of the time to connect; 0 before the first.
    pub(crate) connect: f32,
}

/// The servers as they are now, by their places in the roster.
pub(crate) trait View {
    /// What the server is doing.
    fn load(&self, at: usize) -> Load;
    /// What it has been doing.
    fn latency(&self, at: usize) -> Latency;
    /// Whether this caller will not have it.
    fn is_barred(&self, at: usize) -> bool;
}

/// A server that may be picked.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Member {
    /// Its place in the roster.
    pub(crate) at: u32,
    /// Above 0.
    pub(crate) weight: u32,
    /// The hash of its URL.
    pub(crate) id: u64,
}

/// Those that may be picked from, and what their strategy needs to know of them.
#[derive(Debug)]
pub(crate) struct Set {
    members: Box<[Member]>,
    tables: Tables,
}

#[derive(Debug)]
enum Tables {
    /// For round robin: nothing.
    Turns,
    /// For the cheaper of two: nothing.
    Two,
    Schedule(weighted::Schedule),
    Alias(alias::Alias),
    Owners(Owners),
}

impl Set {
    /// The servers' places in the roster.
    pub(crate) fn members(&self) -> &[Member] {
        &self.members
    }

    fn weight(&self, at: usize) -> u32 {
        self.members[at].weight
    }

    /// Better servers first: those that will do before those that will not, those with something
    /// to give before the full ones.
    fn rank(&self, view: &impl View, at: usize) -> (Rank, Load) {
        let place = self.members[at].at as usize;
        let load = view.load(place);
        let rank = if view.is_barred(place) {
            Rank::Barred
        } else if load.is_full {
            Rank::Full
        } else {
            Rank::Free
        };
        (rank, load)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Rank {
    Free,
    Full,
    Barred,
}

/// Which member was picked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Choice {
    /// Its number in the set.
    pub(crate) at: usize,
    /// It is to be waited at even if another one has something to give.
    pub(crate) is_sticky: bool,
    /// Where to look on if it has nothing to give; `None` leaves that to the next turn.
    next: Option<usize>,
}

/// A strategy, and what it keeps from one pick to the next.
pub(crate) struct Chooser {
    strategy: Strategy,
    custom: Option<Arc<dyn Balancer>>,
    turns: Turns,
    dice: Dice,
    /// What a server may have of the load under `BoundedLoadHash`, in percent of its fair share.
    balance: u32,
}

impl Chooser {
    /// A strategy, or a balancer of the user's own in its place.
    pub(crate) fn new(
        strategy: Strategy,
        custom: Option<Arc<dyn Balancer>>,
        balance: u32,
        seed: Option<u64>,
    ) -> Self {
        let dice = seed.map_or_else(Dice::new, Dice::seeded);
        // Far from the end, so that no turn is given out twice.
        let first = dice.throw(None).word() >> 2;
        Self { strategy, custom, turns: Turns::new(first), dice, balance }
    }

    pub(crate) fn custom(&self) -> Option<&Arc<dyn Balancer>> {
        self.custom.as_ref()
    }

    /// The set of these servers, of which there is at least one, with all that the strategy needs.
    /// `servers` is how many there are in all tiers, those included that may not be picked now; if
    /// the set is that of a tag, only those with the tag.
    pub(crate) fn set(&self, members: Vec<Member>, servers: usize) -> Set {
        let weights: Vec<u32> = members.iter().map(|member| member.weight).collect();
        let tables = match self.strategy {
            _ if self.custom.is_some() => Tables::Turns,
            Strategy::WeightedRoundRobin => Tables::Schedule(weighted::Schedule::new(&weights)),
            Strategy::Random | Strategy::PowerOfTwoChoices | Strategy::LeastConnections => {
                Tables::Alias(alias::Alias::new(&weights))
            }
            Strategy::IpHash | Strategy::BoundedLoadHash => {
                Tables::Owners(Owners::new(&members, servers))
            }
            Strategy::RoundRobin => Tables::Turns,
            Strategy::PeakEwma => Tables::Two,
        };
        Set { members: members.into(), tables }
    }

    /// The same while some get only so many tenths of their shares.
    pub(crate) fn set_of_shares(
        &self,
        mut members: Vec<Member>,
        servers: usize,
        tenths: &[u32],
    ) -> Set {
        let takes_turns = self.strategy == Strategy::RoundRobin && self.custom.is_none();
        for (member, &tenths) in members.iter_mut().zip(tenths) {
            let weight = if takes_turns { 1 } else { member.weight };
            member.weight = weight.saturating_mul(tenths);
        }
        let mut set = self.set(members, servers);
        if takes_turns {
            let weights: Vec<u32> = set.members.iter().map(|member| member.weight).collect();
            set.tables = Tables::Schedule(weighted::Schedule::new(&weights));
        }
        set
    }

    /// The member to ask first. In a look ahead the turns and dice stay as they are, so that the
    /// next pick is the same.
    #[inline]
    pub(crate) fn pick(
        &self,
        set: &Set,
        key: Option<&[u8]>,
        view: &impl View,
        ahead: Option<&Ahead>,
    ) -> Choice {
        if let Tables::Turns = set.tables {
            return self.round_robin(set, ahead);
        }
        self.pick_by_tables(set, key, view, ahead)
    }

    fn pick_by_tables(
        &self,
        set: &Set,
        key: Option<&[u8]>,
        view: &impl View,
        ahead: Option<&Ahead>,
    ) -> Choice {
        match &set.tables {
            Tables::Turns => self.round_robin(set, ahead),
            Tables::Schedule(schedule) => in_turn(schedule.pick(&self.turns, ahead)),
            Tables::Alias(alias) => {
                let mut throw = self.dice.throw(ahead);
                let at = match self.strategy {
                    Strategy::LeastConnections => {
                        least_connections::pick(set, alias, view, &mut throw)
                    }
                    Strategy::PowerOfTwoChoices => p2c::pick(set, alias, view, &mut throw),
                    _ => alias.draw(&mut throw),
                };
                drawn(set, at, &mut throw)
            }
            Tables::Two => {
                let mut throw = self.dice.throw(ahead);
                let at = peak_ewma::pick(set, view, &mut throw);
                drawn(set, at, &mut throw)
            }
            Tables::Owners(owners) => {
                let Some(key) = key.filter(|key| !key.is_empty()).map(hash) else {
                    return self.round_robin(set, ahead);
                };
                let at = match self.strategy {
                    Strategy::BoundedLoadHash => {
                        let mut throw = self.dice.throw(ahead);
                        bounded_hash::pick(set, owners, key, view, self.balance, &mut throw)
                    }
                    _ => ip_hash::pick(set, owners, key, view),
                };
                Choice { at, is_sticky: true, next: Some(at) }
            }
        }
    }

    #[inline]
    fn round_robin(&self, set: &Set, ahead: Option<&Ahead>) -> Choice {
        let count = set.members.len();
        // A single server needs no turns, and no word that all threads write to.
        if count == 1 {
            return in_turn(0);
        }
        let turn = self.turns.next(ahead);
        #[expect(clippy::cast_possible_truncation, reason = "it is below their number")]
        in_turn((turn % count as u64) as usize)
    }

    /// Where to look on, the choice having nothing to give. What goes in turns takes another turn:
    /// were it the server after this one, without being its turn, that one would get this one's
    /// share on top of its own for as long as it takes.
    pub(crate) fn look_on(&self, set: &Set, choice: Choice, ahead: Option<&Ahead>) -> usize {
        choice.next.unwrap_or_else(|| match &set.tables {
            Tables::Schedule(schedule) => schedule.pick(&self.turns, ahead),
            _ => self.round_robin(set, ahead).at,
        })
    }
}

#[inline]
fn in_turn(at: usize) -> Choice {
    Choice { at, is_sticky: false, next: None }
}

/// If it has nothing to give, any other is asked.
#[inline]
fn drawn(set: &Set, at: usize, throw: &mut Throw) -> Choice {
    Choice { at, is_sticky: false, next: Some(throw.below(set.members.len())) }
}

impl fmt::Debug for Chooser {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Chooser")
            .field("strategy", &self.strategy)
            .field("custom", &self.custom.is_some())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
