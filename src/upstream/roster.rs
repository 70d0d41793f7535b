//! [`Roster`]: the servers at one moment, and who of them may be picked.
//!
//! A roster never changes. What is rare is worked out when the next one is made: which servers may
//! be picked at all ([`Entry::is_eligible`]), into which tiers they fall, what share those get that
//! have just come back, and what the strategy needs to know of them. A pick reads that.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use super::backend::Backend;
use crate::balance::{Chooser, Member, Set, hash};
use crate::config::Config;
use crate::health::{Census, Mode, Ramp, Standing, TENTHS, Vote, ramp};
use crate::server::{ServerId, ServerState, Terms};

/// A server, on what terms it is in the pool, and how it is.
#[derive(Clone)]
pub(crate) struct Entry {
    pub(crate) backend: Arc<Backend>,
    pub(crate) terms: Terms,
    pub(crate) standing: Standing,
    is_eligible: bool,
    /// What it gets of its share, in tenths.
    tenths: u32,
}

impl Entry {
    pub(super) fn new(backend: Arc<Backend>, now: u64) -> Self {
        let terms = backend.server.terms().clone();
        let standing = Standing::new(now);
        Self { backend, terms, standing, is_eligible: false, tenths: TENTHS }
    }

    /// Whether requests that do not name the server may go there.
    pub(super) fn is_eligible(&self) -> bool {
        self.is_eligible
    }

    /// Whether they may if it is well.
    pub(super) fn is_in_service(&self) -> bool {
        self.terms.weight > 0 && self.standing.vote(true) != Vote::OutOfService
    }

    /// Whether it is disabled, or is not picked from because of its health alone.
    pub(super) fn is_out(&self) -> bool {
        let is_disabled = self.standing.state == ServerState::Disabled;
        is_disabled || (self.is_in_service() && !self.is_eligible)
    }

    pub(super) fn id(&self) -> ServerId {
        self.backend.id
    }
}

/// Servers that may be picked, by tiers, the best first. No tier is empty.
#[derive(Default)]
pub(super) struct Tiers(pub(super) Vec<Set>);

/// What of the settings a roster depends on.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rules {
    /// In ticks; zero for none.
    slow_start: u64,
    panic_threshold: u32,
    start_unknown: bool,
}

impl Rules {
    /// `has_checks`: without any, a server that nothing is known of takes requests in any case.
    pub(super) fn new(config: &Config, has_checks: bool) -> Self {
        let slow_start = config.slow_start.map_or(0, |time| time.as_millis());
        Self {
            slow_start: u64::try_from(slow_start).unwrap_or(u64::MAX),
            panic_threshold: config.panic_threshold,
            start_unknown: config.start_unknown || !has_checks,
        }
    }
}

/// The servers of a pool.
#[derive(Default)]
pub(crate) struct Roster {
    /// In the order in which they were added, and so of their ids.
    entries: Arc<[Entry]>,
    all: Tiers,
    /// The same for those with a tag, by tag.
    tagged: BTreeMap<Arc<str>, Tiers>,
    /// Those that wait for their trial: when it may begin, and their places.
    trials: Box<[(u64, u32)]>,
    is_restless: bool,
    /// When it is out of date, since a server that comes back is to get more.
    pub(super) due: u64,
    pub(super) census: Census,
    pub(super) mode: Mode,
}

impl Roster {
    pub(super) fn empty() -> Self {
        Self { due: u64::MAX, ..Self::default() }
    }

    pub(super) fn new(mut entries: Vec<Entry>, chooser: &Chooser, rules: Rules, now: u64) -> Self {
        let mut census = Census::default();
        for entry in &entries {
            census.add(entry.standing.vote(rules.start_unknown), entry.terms.weight);
        }
        let mode = census.mode(rules.panic_threshold);
        let (mut due, mut trials) = (u64::MAX, Vec::new());
        for (at, entry) in (0..).zip(&mut entries) {
            let vote = entry.standing.vote(rules.start_unknown);
            entry.is_eligible = entry.terms.weight > 0 && mode.takes(vote);
            let back_at = entry.standing.back_at.filter(|_| entry.is_eligible);
            let whole = Ramp { tenths: TENTHS, next: u64::MAX };
            let ramp = back_at.map_or(whole, |since| ramp(now, since, rules.slow_start));
            entry.tenths = ramp.tenths;
            due = due.min(ramp.next);
            let trial_at = entry.standing.trial_at().filter(|_| entry.terms.weight > 0);
            trials.extend(trial_at.map(|time| (time, at)));
        }
        let mut tags: Vec<&Arc<str>> = entries.iter().flat_map(|entry| &entry.terms.tags).collect();
        tags.sort_unstable();
        tags.dedup();
        let tagged = tags.into_iter().map(|tag| {
            (tag.clone(), tiers(&entries, chooser, |entry| entry.terms.tags.contains(tag)))
        });
        let tagged = tagged.collect();
        let all = tiers(&entries, chooser, |_| true);
        let is_restless = !trials.is_empty() || due != u64::MAX;
        let trials = trials.into();
        Self { all, tagged, entries: entries.into(), trials, is_restless, due, census, mode }
    }

    pub(super) fn entries(&self) -> &Arc<[Entry]> {
        &self.entries
    }

    pub(super) fn backends(&self) -> impl Iterator<Item = &Arc<Backend>> {
        self.entries.iter().map(|entry| &entry.backend)
    }

    /// All that may be picked.
    pub(super) fn all(&self) -> &Tiers {
        &self.all
    }

    /// Those with the tag; `None` if no server has it.
    pub(super) fn tagged(&self, tag: &str) -> Option<&Tiers> {
        self.tagged.get(tag)
    }

    /// Whether a server waits for its trial, or is on its way back.
    #[inline]
    pub(super) fn is_restless(&self) -> bool {
        self.is_restless
    }

    /// Those that wait for their trial: when it may begin, and their places.
    pub(super) fn trials(&self) -> &[(u64, u32)] {
        &self.trials
    }

    pub(super) fn position(&self, id: ServerId) -> Option<usize> {
        self.entries.binary_search_by_key(&id, Entry::id).ok()
    }

    /// The places of all servers, by their URLs.
    pub(super) fn places(&self) -> HashMap<&str, usize> {
        self.backends().enumerate().map(|(at, known)| (known.server.url(), at)).collect()
    }
}

fn tiers(entries: &[Entry], chooser: &Chooser, wanted: impl Fn(&Entry) -> bool) -> Tiers {
    let mut tiers: BTreeMap<u8, (Vec<Member>, Vec<u32>)> = BTreeMap::new();
    // Those of other tags are none of ours: what is made for a tag, and whom a key belongs to among
    // its servers, must not depend on them.
    let mut servers = 0;
    for (at, entry) in (0..).zip(entries).filter(|(_, entry)| wanted(entry)) {
        servers += 1;
        if entry.is_eligible() {
            let id = hash(entry.backend.server.url().as_bytes());
            let member = Member { at, weight: entry.terms.weight, id };
            let (members, tenths) = tiers.entry(entry.terms.tier).or_default();
            members.push(member);
            tenths.push(entry.tenths);
        }
    }
    let sets = tiers.into_values().map(|(members, tenths)| {
        if tenths.iter().all(|&tenths| tenths == TENTHS) {
            return chooser.set(members, servers);
        }
        chooser.set_of_shares(members, servers, &tenths)
    });
    Tiers(sets.collect())
}
