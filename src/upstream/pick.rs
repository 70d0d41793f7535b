//! The first look at the servers for each request.

use std::cell::OnceCell;
use std::cmp::Ordering;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::acquire::Wish;
use super::backend::Backend;
use super::directory::Directory;
use super::lease::Lease;
use super::roster::{Entry, Roster, Tiers};
use super::trial::Trial;
use crate::balance::{
    Ahead, Balancer, Candidate, Candidates, Choice, Latency, Lineup, Load, Set, View,
};
use crate::lockfree::hint::thread_hint;
use crate::lockfree::idle::Take;
use crate::server::{ServerId, ServerState};

/// How many other servers a caller looks at when the one that was picked has nothing to give.
const LOOKS: usize = 16;

/// What the first look found.
pub(crate) enum Pick {
    /// An idle connection, not looked at yet.
    Idle(Lease),
    /// A server to wait at, or to dial.
    Wait(Arc<Backend>),
    /// A server on trial, to wait at or to dial.
    Trial(Trial),
    /// No server will do.
    None(Nobody),
}

/// Why no server will do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Nobody {
    /// There are no servers.
    Empty,
    /// All have weight 0, are drained or disabled.
    Drained,
    /// There are servers, and none of them is well.
    Unhealthy,
    /// The one that is asked for is disabled.
    Disabled,
    /// The one that is asked for is not here.
    NotFound,
    /// None has the tag that is asked for, and is in service.
    Untagged,
    /// Each has been tried, or is excluded.
    Exhausted,
}

/// Where a look ended.
pub(super) enum Found<'r> {
    /// At a server that gave something.
    Given,
    /// At one to wait at.
    Wait(&'r Arc<Backend>),
}

impl Directory {
    /// A server as the strategy says, and an idle connection if it has one. If it has nothing to
    /// give, others are looked at, and if none of those has, the one that promises a connection
    /// first is to be waited at.
    ///
    /// This is the hit path: no lock, no allocation, no shared count but that of the turns.
    pub(super) fn pick(&self, wish: &Wish<'_>) -> Pick {
        // Outside of the pin: it may take its time, come back into the pool, or panic.
        let advice = self.chooser.custom().and_then(|balancer| self.ask(&**balancer, wish));
        self.roster.with(|roster| {
            let search =
                Search { directory: self, roster, wish, advice, ahead: None, now: OnceCell::new() };
            if roster.is_restless() {
                if let Some(trial) = search.try_out() {
                    return Pick::Trial(trial);
                }
            }
            // What a server gives is put here at once, and not handed up step by step.
            let mut given = Pick::None(Nobody::Exhausted);
            match search.run(|backend| take(backend, wish, &mut given)) {
                Ok(Found::Given) => given,
                Ok(Found::Wait(backend)) => Pick::Wait(backend.clone()),
                Err(nobody) => Pick::None(nobody),
            }
        })
    }

    /// The choice of the user's own balancer.
    pub(super) fn ask(&self, balancer: &dyn Balancer, wish: &Wish<'_>) -> Option<ServerId> {
        if wish.server.is_some() {
            return None;
        }
        let lineup = self.roster.with(|roster| {
            let search = Search {
                directory: self,
                roster,
                wish,
                advice: None,
                ahead: None,
                now: OnceCell::new(),
            };
            let tiers = search.tiers().ok()?;
            let fits = |set: &Set| -> Vec<usize> {
                let places = set.members().iter().map(|member| member.at as usize);
                places.filter(|&at| !search.is_barred(at)).collect()
            };
            let places = tiers.0.iter().map(fits).find(|places| !places.is_empty())?;
            Some(Owned { entries: roster.entries().clone(), places })
        })?;
        let at = balancer.pick(&Candidates::new(&lineup), wish.select)?;
        lineup.places.get(at).map(|&at| lineup.entries[at].id())
    }
}

/// One look at the servers.
pub(super) struct Search<'a> {
    pub(super) directory: &'a Directory,
    pub(super) roster: &'a Roster,
    pub(super) wish: &'a Wish<'a>,
    /// What the user's own balancer says.
    pub(super) advice: Option<ServerId>,
    /// If this is a look ahead: turns and dice stay as they are.
    pub(super) ahead: Option<Ahead>,
    /// The time, once it has been asked for.
    pub(super) now: OnceCell<Instant>,
}

impl<'a> Search<'a> {
    /// Goes through the servers until one of them makes an offer.
    #[inline]
    pub(super) fn run(
        &self,
        mut offer: impl FnMut(&'a Arc<Backend>) -> bool,
    ) -> Result<Found<'a>, Nobody> {
        let wish = self.wish;
        // Nearly every request's case.
        if wish.server.is_none() && self.advice.is_none() && wish.select.is_plain() {
            return self.run_in(self.tiers()?, &mut offer);
        }
        self.run_wished(&mut offer)
    }

    /// The same for one who has wishes.
    fn run_wished(
        &self,
        offer: &mut impl FnMut(&'a Arc<Backend>) -> bool,
    ) -> Result<Found<'a>, Nobody> {
        let (roster, wish) = (self.roster, self.wish);
        if let Some(id) = wish.server {
            let at = roster.position(id).ok_or(Nobody::NotFound)?;
            if self.is_barred(at) {
                return Err(Nobody::Exhausted);
            }
            let Entry { backend, standing, .. } = &roster.entries()[at];
            if standing.state == ServerState::Disabled {
                return Err(Nobody::Disabled);
            }
            return Ok(if offer(backend) { Found::Given } else { Found::Wait(backend) });
        }
        for id in [wish.select.preferred(), self.advice].into_iter().flatten() {
            let wanted = roster.position(id).filter(|&at| !self.is_barred(at));
            let wanted = wanted.map(|at| &roster.entries()[at]).filter(|entry| self.allows(entry));
            if wanted.is_some_and(|entry| offer(&entry.backend)) {
                return Ok(Found::Given);
            }
        }
        if let Some(tag) = wish.select.wanted_tag().filter(|tag| !tag.is_required) {
            if let Some(preferred) = roster.tagged(&tag.name) {
                if let Ok(Found::Given) = self.run_in(preferred, offer) {
                    return Ok(Found::Given);
                }
            }
        }
        self.run_in(self.tiers()?, offer)
    }

    /// Those that this caller may get.
    pub(super) fn tiers(&self) -> Result<&'a Tiers, Nobody> {
        let required = self.wish.select.wanted_tag().filter(|tag| tag.is_required);
        let (tiers, nobody) = match required {
            Some(tag) => (self.roster.tagged(&tag.name), Nobody::Untagged),
            None => (Some(self.roster.all()), Nobody::Drained),
        };
        if self.roster.entries().is_empty() {
            return Err(Nobody::Empty);
        }
        let tiers = tiers.filter(|tiers| !tiers.0.is_empty());
        tiers.ok_or_else(|| if self.is_any_ill() { Nobody::Unhealthy } else { nobody })
    }

    /// Whether there is a server that this caller would get if it were well.
    #[cold]
    fn is_any_ill(&self) -> bool {
        self.roster.entries().iter().any(|entry| entry.is_in_service() && self.has_tag(entry))
    }

    /// Whether the server may be picked at all, and has the tag if one is required.
    pub(super) fn allows(&self, entry: &Entry) -> bool {
        entry.is_eligible() && self.has_tag(entry)
    }

    /// Whether it has the tag if one is required.
    pub(super) fn has_tag(&self, entry: &Entry) -> bool {
        let required = self.wish.select.wanted_tag().filter(|tag| tag.is_required);
        required.is_none_or(|tag| entry.terms.tags.contains(&tag.name))
    }

    #[inline]
    fn run_in(
        &self,
        tiers: &'a Tiers,
        offer: &mut impl FnMut(&'a Arc<Backend>) -> bool,
    ) -> Result<Found<'a>, Nobody> {
        for set in &tiers.0 {
            if let Some(found) = self.run_tier(set, offer) {
                return Ok(found);
            }
        }
        Err(Nobody::Exhausted)
    }

    /// `None` if this caller will have none of the tier's servers.
    #[inline]
    fn run_tier(
        &self,
        set: &'a Set,
        offer: &mut impl FnMut(&'a Arc<Backend>) -> bool,
    ) -> Option<Found<'a>> {
        let key = self.wish.select.key.as_deref();
        let choice = self.directory.chooser.pick(set, key, self, self.ahead.as_ref());
        let first = self.entry(set, choice.at);
        if let Some(first) = first {
            if offer(&first.backend) {
                return Some(Found::Given);
            }
            if choice.is_sticky {
                return Some(Found::Wait(&first.backend));
            }
        }
        self.look_on(set, choice, first, offer)
    }

    /// The one that was picked has nothing to give: looks at others, and if none of them has, names
    /// the one that promises a connection first.
    #[cold]
    fn look_on(
        &self,
        set: &'a Set,
        choice: Choice,
        first: Option<&'a Entry>,
        offer: &mut impl FnMut(&'a Arc<Backend>) -> bool,
    ) -> Option<Found<'a>> {
        let count = set.members().len();
        let next = self.directory.chooser.look_on(set, choice, self.ahead.as_ref());
        let others = (next..count).chain(0..next).filter(|&at| at != choice.at);
        // Who will not wait wants to know of every idle connection.
        let looks = if self.wish.may_dial { LOOKS } else { count };
        let mut soonest = first.map(|first| (Promise::of(&first.backend), &first.backend));
        for entry in others.filter_map(|at| self.entry(set, at)).take(looks) {
            if offer(&entry.backend) {
                return Some(Found::Given);
            }
            let promise = Promise::of(&entry.backend);
            if soonest.as_ref().is_none_or(|(least, _)| promise.is_sooner_than(least)) {
                soonest = Some((promise, &entry.backend));
            }
        }
        soonest.map(|(_, backend)| Found::Wait(backend))
    }

    /// The set's member, unless this caller will not have it.
    #[inline]
    fn entry(&self, set: &Set, at: usize) -> Option<&'a Entry> {
        let at = set.members()[at].at as usize;
        (!self.is_barred(at)).then(|| &self.roster.entries()[at])
    }
}

impl View for Search<'_> {
    #[inline]
    fn load(&self, at: usize) -> Load {
        if let Some(ahead) = &self.ahead {
            ahead.compare(at);
        }
        self.roster.entries()[at].backend.load()
    }

    #[inline]
    fn latency(&self, at: usize) -> Latency {
        let backend = &self.roster.entries()[at].backend;
        let hub = &self.directory.hub;
        // Those strategies that ask for it need the precise time, which a hit need not have read.
        let now = *self.now.get_or_init(|| self.wish.began.unwrap_or_else(|| hub.now()));
        backend.latency(hub.fine_tick(now))
    }

    #[inline]
    fn is_barred(&self, at: usize) -> bool {
        let (tried, excluded) = (&*self.wish.tried, self.wish.select.excluded());
        // Nearly every request's case, without a look at the server.
        if tried.is_empty() && excluded.is_empty() {
            return false;
        }
        let id = self.roster.entries()[at].id();
        tried.contains(&id) || excluded.contains(&id)
    }
}

/// What this server can give at once: an idle connection, or room for a new one.
#[inline]
fn take(backend: &Arc<Backend>, wish: &Wish<'_>, given: &mut Pick) -> bool {
    *given = if let Take::Got(parked) = backend.gate.idle.take(thread_hint()) {
        Pick::Idle(Lease::of(parked))
    } else if wish.may_dial && backend.has_room() {
        Pick::Wait(backend.clone())
    } else {
        return false;
    };
    true
}

/// How soon the last in line at a server will have a connection.
struct Promise {
    waiting: u32,
    /// In nanoseconds, if it has answered before: each of its connections comes free once in the
    /// time of a response.
    wait: Option<f64>,
}

impl Promise {
    fn of(backend: &Backend) -> Self {
        let waiting = backend.gate.ledger.counts().waiting;
        let limit = backend.gate.ledger.limits().open;
        let response = backend.response_time.value();
        #[expect(clippy::cast_precision_loss, reason = "a guess needs no sixteen digits")]
        let wait = response.map(|time| time as f64 * f64::from(waiting + 1) / f64::from(limit));
        Self { waiting, wait }
    }

    fn is_sooner_than(&self, other: &Self) -> bool {
        let by_time = self.wait.zip(other.wait).and_then(|(own, other)| own.partial_cmp(&other));
        by_time.unwrap_or_else(|| self.waiting.cmp(&other.waiting)) == Ordering::Less
    }
}

/// What a balancer of the user's own sees.
struct Owned {
    entries: Arc<[Entry]>,
    places: Vec<usize>,
}

impl Lineup for Owned {
    fn len(&self) -> usize {
        self.places.len()
    }

    fn get(&self, index: usize) -> Candidate<'_> {
        let Entry { backend, terms, .. } = &self.entries[self.places[index]];
        let load = backend.load();
        Candidate {
            id: backend.id,
            url: backend.server.url(),
            weight: terms.weight,
            in_flight: load.in_flight,
            waiting: backend.gate.ledger.counts().waiting,
            idle: u32::try_from(backend.gate.idle.len()).unwrap_or(u32::MAX),
            is_full: load.is_full,
            response_time: backend.response_time.value().map(Duration::from_nanos),
        }
    }
}
