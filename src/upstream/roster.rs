//! [`Roster`]: the servers at one moment, and who of them may be picked.
//!
//! A roster never changes. What is rare is worked out when the next one is made: which servers may
//! be picked at all ([`Entry::is_eligible`]), into which tiers they fall, and what the strategy
//! needs to know of them. A pick reads that.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use super::backend::Backend;
use crate::balance::{Chooser, Member, Set, hash};
use crate::server::{ServerId, Terms};

/// A server, and on what terms it is in the pool.
#[derive(Clone)]
pub(crate) struct Entry {
    pub(crate) backend: Arc<Backend>,
    pub(crate) terms: Terms,
}

impl Entry {
    pub(super) fn new(backend: Arc<Backend>) -> Self {
        let terms = backend.server.terms().clone();
        Self { backend, terms }
    }

    /// Whether requests that do not name the server may go there.
    pub(super) fn is_eligible(&self) -> bool {
        self.terms.weight > 0
    }

    pub(super) fn id(&self) -> ServerId {
        self.backend.id
    }
}

/// Servers that may be picked, by tiers, the best first. No tier is empty.
#[derive(Default)]
pub(super) struct Tiers(pub(super) Vec<Set>);

/// The servers of a pool.
#[derive(Default)]
pub(crate) struct Roster {
    /// In the order in which they were added, and so of their ids.
    entries: Arc<[Entry]>,
    all: Tiers,
    /// The same for those with a tag, by tag.
    tagged: BTreeMap<Arc<str>, Tiers>,
}

impl Roster {
    pub(super) fn new(entries: Vec<Entry>, chooser: &Chooser) -> Self {
        let mut tags: Vec<&Arc<str>> = entries.iter().flat_map(|entry| &entry.terms.tags).collect();
        tags.sort_unstable();
        tags.dedup();
        let tagged = tags.into_iter().map(|tag| {
            (tag.clone(), tiers(&entries, chooser, |entry| entry.terms.tags.contains(tag)))
        });
        let tagged = tagged.collect();
        Self { all: tiers(&entries, chooser, |_| true), tagged, entries: entries.into() }
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

    pub(super) fn position(&self, id: ServerId) -> Option<usize> {
        self.entries.binary_search_by_key(&id, Entry::id).ok()
    }

    /// The places of all servers, by their URLs.
    pub(super) fn places(&self) -> HashMap<&str, usize> {
        self.backends().enumerate().map(|(at, known)| (known.server.url(), at)).collect()
    }
}

fn tiers(entries: &[Entry], chooser: &Chooser, wanted: impl Fn(&Entry) -> bool) -> Tiers {
    let mut tiers: BTreeMap<u8, Vec<Member>> = BTreeMap::new();
    // Those of other tags are none of ours: what is made for a tag, and whom a key belongs to among
    // its servers, must not depend on them.
    let mut servers = 0;
    for (at, entry) in (0..).zip(entries).filter(|(_, entry)| wanted(entry)) {
        servers += 1;
        if entry.is_eligible() {
            let id = hash(entry.backend.server.url().as_bytes());
            let member = Member { at, weight: entry.terms.weight, id };
            tiers.entry(entry.terms.tier).or_default().push(member);
        }
    }
    Tiers(tiers.into_values().map(|members| chooser.set(members, servers)).collect())
}
