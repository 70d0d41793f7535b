//! [`Directory`]: the servers of a pool, and the first look at them for each request.

use std::fmt;
use std::sync::{Arc, Weak};

use super::backend::Backend;
use super::health::Shifts;
use super::hub::Hub;
use super::roster::{Entry, Roster, Rules};
use crate::balance::{Balancer, Chooser};
use crate::config::{validate_check_at, validate_max_connections};
use crate::conn::Tls;
use crate::error::{Error, ErrorKind};
use crate::event::Event;
use crate::lockfree::idle::Candidate;
use crate::lockfree::settle;
use crate::lockfree::snapshot::{Change, Snapshot};
use crate::server::{Server, ServerId};
use crate::sync::{AtomicU64, Ordering};

/// The servers of a pool.
pub(crate) struct Directory {
    pub(crate) hub: Arc<Hub>,
    pub(super) roster: Snapshot<Roster>,
    /// Servers that were removed, as long as anybody holds a connection to them. Those that have
    /// gone since are forgotten with the next removal.
    removed: Snapshot<Vec<Weak<Backend>>>,
    pub(super) chooser: Chooser,
    rules: Rules,
    next_id: AtomicU64,
    /// Into how many words each server's idle set is spread at least.
    words: usize,
}

impl Directory {
    pub(crate) fn new(hub: Hub, balancer: Option<Arc<dyn Balancer>>) -> Arc<Self> {
        let config = &hub.config;
        let chooser = Chooser::new(
            config.load_balance_strategy,
            balancer,
            config.hash_balance_factor,
            config.seed,
        );
        let words = std::thread::available_parallelism().map_or(1, |cores| cores.get().min(2));
        Arc::new(Self {
            rules: Rules::new(config, hub.has_checks()),
            hub: Arc::new(hub),
            roster: Snapshot::new(Roster::empty()),
            removed: Snapshot::new(Vec::new()),
            chooser,
            next_id: AtomicU64::new(1),
            words,
        })
    }

    /// The roster of these servers, at `now` in ticks.
    pub(super) fn roster_of(&self, entries: Vec<Entry>, now: u64) -> Roster {
        Roster::new(entries, &self.chooser, self.rules, now)
    }

    pub(super) fn words(&self) -> usize {
        self.words
    }

    /// The servers now, in the order in which they were added.
    pub(crate) fn servers(&self) -> Vec<Arc<Backend>> {
        self.roster.with(|roster| roster.backends().cloned().collect())
    }

    pub(crate) fn has_servers(&self) -> bool {
        self.roster.with(|roster| !roster.entries().is_empty())
    }

    /// The servers now, and the removed ones to which connections are still open.
    pub(crate) fn with_removed(&self) -> Vec<Arc<Backend>> {
        // In this order: a server is noted as removed before it leaves the roster.
        let mut all = self.servers();
        let removed: Vec<Arc<Backend>> =
            self.removed.with(|removed| removed.iter().filter_map(Weak::upgrade).collect());
        for backend in removed {
            if all.iter().all(|known| known.id != backend.id) {
                all.push(backend);
            }
        }
        all
    }

    /// Adds a server; its id. If it is here already, it stays, on the new terms.
    pub(crate) fn add(self: &Arc<Self>, server: Server) -> Result<ServerId, Error> {
        let mut ids = self.add_all(vec![server])?;
        ids.pop().ok_or_else(closed)
    }

    /// Adds several at once, so that what the strategy needs to know is worked out once.
    pub(crate) fn add_all(self: &Arc<Self>, servers: Vec<Server>) -> Result<Vec<ServerId>, Error> {
        if !self.hub.lifecycle.is_open() {
            return Err(closed());
        }
        for limit in servers.iter().filter_map(Server::own_limit) {
            validate_max_connections(limit)?;
        }
        servers.iter().filter_map(Server::check_at).try_for_each(validate_check_at)?;
        servers.iter().try_for_each(Server::validate)?;
        let tls: Vec<Option<Tls>> = servers
            .iter()
            .map(|server| self.hub.tls.of_server(server, &self.hub.config))
            .collect::<Result<_, _>>()?;
        // A server's record is large: cells, signals, counters. One that is here already gets none;
        // the update below settles a race between two who bring the same one.
        let known: Vec<bool> = self.roster.with(|roster| {
            let places = roster.places();
            servers.iter().map(|server| places.contains_key(server.url())).collect()
        });
        let make = |at: usize| self.make(&servers[at], tls[at].clone());
        let made: Vec<Option<Arc<Backend>>> =
            known.iter().enumerate().map(|(at, known)| (!known).then(|| make(at))).collect();
        let now = self.hub.tick();
        let (ids, entered, shifts) = self.roster.update(|roster| {
            let (mut next, mut places) = (roster.entries().to_vec(), roster.places());
            let (mut ids, mut entered, mut is_changed) = (Vec::new(), Vec::new(), false);
            for (at, server) in servers.iter().enumerate() {
                if let Some(&place) = places.get(server.url()) {
                    let known = &mut next[place];
                    is_changed |= known.terms != *server.terms();
                    known.terms = server.terms().clone();
                    ids.push(known.id());
                    continue;
                }
                // It was here, and has been removed meanwhile.
                let backend = made[at].clone().unwrap_or_else(|| make(at));
                ids.push(backend.id);
                places.insert(server.url(), next.len());
                next.push(Entry::new(backend.clone(), now));
                entered.push(backend);
            }
            // Two callers may get here in another order than they got their ids.
            next.sort_by_key(Entry::id);
            if entered.is_empty() && !is_changed {
                return Change::Keep((ids, entered, None));
            }
            let next = self.roster_of(next, now);
            let shifts = Shifts::between(roster, &next, now);
            Change::Replace(next, (ids, entered, Some(shifts)))
        });
        // Whoever closes the pool shuts the servers it finds, after it has closed the lifecycle:
        // it found these, or we see that it has.
        if !self.hub.lifecycle.is_open() {
            entered.iter().for_each(|backend| settle::shut(&**backend));
            return Err(closed());
        }
        for backend in &entered {
            self.take_up(backend);
            self.hub.tell(|| Event::ServerAdded { id: backend.id, url: backend.server.url() });
        }
        self.changed(shifts.as_ref());
        if !entered.is_empty() && self.hub.has_checks() {
            self.hub.begin();
        }
        self.hub.keep_floor();
        Ok(ids)
    }

    fn make(self: &Arc<Self>, server: &Server, tls: Option<Tls>) -> Arc<Backend> {
        // Ordering: Relaxed. The id is all that is taken; gaps do not matter.
        let id = ServerId(self.next_id.fetch_add(1, Ordering::Relaxed));
        Backend::new(id, server.clone(), tls, self)
    }

    /// Changes a server's weight.
    pub(crate) fn set_weight(&self, id: ServerId, weight: u32) -> Result<(), Error> {
        let now = self.hub.tick();
        let shifts = self.roster.update(|roster| {
            let Some(at) = roster.position(id) else {
                return Change::Keep(Err(not_found(id)));
            };
            if roster.entries()[at].terms.weight == weight {
                return Change::Keep(Ok(None));
            }
            let mut next = roster.entries().to_vec();
            next[at].terms.weight = weight;
            let next = self.roster_of(next, now);
            let shifts = Shifts::between(roster, &next, now);
            Change::Replace(next, Ok(Some(shifts)))
        })?;
        self.changed(shifts.as_ref());
        self.hub.keep_floor();
        Ok(())
    }

    /// Takes a server out, and shuts it.
    pub(crate) fn remove(&self, id: ServerId) -> Result<(), Error> {
        if let Some(backend) = self.servers().iter().find(|known| known.id == id) {
            let leaving = Arc::downgrade(backend);
            self.removed.update(|removed| {
                let there = removed.iter().filter(|known| known.strong_count() > 0);
                Change::Replace(there.chain([&leaving]).cloned().collect(), ())
            });
        }
        let now = self.hub.tick();
        let removed = self.roster.update(|roster| {
            let Some(at) = roster.position(id) else {
                return Change::Keep(None);
            };
            let mut next = roster.entries().to_vec();
            let removed = next.remove(at);
            let next = self.roster_of(next, now);
            let shifts = Shifts::between(roster, &next, now);
            Change::Replace(next, Some((removed, shifts)))
        });
        let Some((Entry { backend, .. }, shifts)) = removed else {
            return Err(not_found(id));
        };
        settle::shut(&*backend);
        self.hub.tell(|| Event::ServerRemoved { id, url: backend.server.url() });
        self.changed(Some(&shifts));
        Ok(())
    }

    /// The id of the server with this origin; with several, of the one whose base path is the
    /// longest that leads to `path`, if one does.
    pub(crate) fn by_origin(&self, origin: &str, path: &str) -> Option<ServerId> {
        self.roster.with(|roster| {
            let of_origin = || roster.backends().filter(|known| known.server.origin() == origin);
            of_origin()
                .filter(|known| is_below(path, known.server.base_path()))
                .max_by_key(|known| known.server.base_path().len())
                .or_else(|| of_origin().next())
                .map(|known| known.id)
        })
    }

    /// The longest idle connection of all servers but one.
    pub(super) fn longest_idle(&self, but: Option<ServerId>) -> Option<(Arc<Backend>, Candidate)> {
        self.roster.with(|roster| {
            roster
                .backends()
                .filter(|known| Some(known.id) != but)
                .flat_map(|known| known.gate.idle.parked().map(move |seen| (known, seen)))
                .min_by_key(|(_, seen)| seen.since)
                .map(|(known, seen)| (known.clone(), seen))
        })
    }

    /// The idle connections of all servers.
    pub(super) fn idle(&self) -> Vec<(Arc<Backend>, Candidate)> {
        self.roster.with(|roster| {
            roster
                .backends()
                .flat_map(|known| known.gate.idle.parked().map(move |seen| (known.clone(), seen)))
                .collect()
        })
    }

    /// How many connections are parked now, those on their way to a waiter not among them.
    pub(super) fn parked(&self) -> u64 {
        self.roster.with(|roster| roster.backends().map(|known| known.gate.idle.len() as u64).sum())
    }

    /// Whether any server has more connections open than it may.
    pub(super) fn is_any_above(&self) -> bool {
        self.roster.with(|roster| roster.backends().any(|known| known.gate.ledger.surplus() > 0))
    }

    /// See `Idle::fence`.
    pub(super) fn fence(&self, but: ServerId) {
        self.roster.with(|roster| {
            let others = roster.backends().filter(|known| known.id != but);
            others.for_each(|known| known.gate.idle.fence());
        });
    }
}

/// Whether the base path, which has no slash at its end, leads to the path: by whole segments.
fn is_below(path: &str, base: &str) -> bool {
    path.strip_prefix(base).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

pub(super) fn not_found(id: ServerId) -> Error {
    Error::new(ErrorKind::NotFound, format!("there is no server {id}"))
}

pub(crate) fn closed() -> Error {
    Error::new(ErrorKind::Closed, "the pool is closed").retry_safe(true)
}

impl Backend {
    pub(super) fn longest_idle(&self) -> Option<(Arc<Self>, Candidate)> {
        self.directory()?.longest_idle(None)
    }
}

impl fmt::Debug for Directory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.roster.with(|roster| f.debug_list().entries(roster.backends()).finish())
    }
}
