//! [`Directory`]: the servers of a pool, and the first look at them for each request.

use std::fmt;
use std::sync::{Arc, Weak};

use super::acquire::Wish;
use super::backend::Backend;
use super::hub::Hub;
use super::lease::Lease;
use crate::balance::RoundRobin;
use crate::config::validate_max_connections;
use crate::error::{Error, ErrorKind};
use crate::lockfree::hint::thread_hint;
use crate::lockfree::idle::{Candidate, Take};
use crate::lockfree::settle;
use crate::lockfree::snapshot::{Change, Snapshot};
use crate::server::{Server, ServerId};
use crate::sync::{AtomicU64, Ordering};

/// How many other servers a caller looks at when the one whose turn it is has nothing to give.
const LOOKS: usize = 16;

/// The servers in the order in which they were added, and so of their ids.
pub(crate) type Roster = Vec<Arc<Backend>>;

/// The servers of a pool.
pub(crate) struct Directory {
    pub(crate) hub: Arc<Hub>,
    pub(super) roster: Snapshot<Roster>,
    /// Servers that were removed, as long as anybody holds a connection to them. Those that have
    /// gone since are forgotten with the next removal.
    removed: Snapshot<Vec<Weak<Backend>>>,
    turn: RoundRobin,
    next_id: AtomicU64,
    /// Into how many words each server's idle set is spread at least.
    words: usize,
}

/// What the first look found.
pub(super) enum Pick {
    /// An idle connection, not looked at yet.
    Idle(Lease),
    /// A server to wait at, or to dial.
    Wait(Arc<Backend>),
    /// Every server has been tried.
    Exhausted,
    /// There are no servers.
    Empty,
    /// The one server that would do is not here.
    NotFound,
}

impl Directory {
    pub(crate) fn new(hub: Hub) -> Arc<Self> {
        let words = std::thread::available_parallelism().map_or(1, |cores| cores.get().min(2));
        Arc::new(Self {
            hub: Arc::new(hub),
            roster: Snapshot::new(Vec::new()),
            removed: Snapshot::new(Vec::new()),
            turn: RoundRobin::new(fastrand::usize(..) >> 1),
            next_id: AtomicU64::new(1),
            words,
        })
    }

    pub(super) fn words(&self) -> usize {
        self.words
    }

    /// The servers now.
    pub(crate) fn servers(&self) -> Roster {
        self.roster.with(Vec::clone)
    }

    /// The servers now, and the removed ones to which connections are still open.
    pub(crate) fn with_removed(&self) -> Roster {
        // In this order: a server is noted as removed before it leaves the roster.
        let mut all = self.servers();
        let removed: Roster =
            self.removed.with(|removed| removed.iter().filter_map(Weak::upgrade).collect());
        for backend in removed {
            if all.iter().all(|known| known.id != backend.id) {
                all.push(backend);
            }
        }
        all
    }

    /// Adds a server, unless it is here already; its id.
    pub(crate) fn add(self: &Arc<Self>, server: Server) -> Result<ServerId, Error> {
        if !self.hub.lifecycle.is_open() {
            return Err(closed());
        }
        if let Some(limit) = server.own_limit() {
            validate_max_connections(limit)?;
        }
        // A server's record is large: cells, signals, counters. One that is here already gets none;
        // the update below settles a race between two who bring the same one.
        if let Some(id) = self.roster.with(|roster| id_of(roster, &server)) {
            return Ok(id);
        }
        // Ordering: Relaxed. The id is all that is taken; gaps do not matter.
        let id = ServerId(self.next_id.fetch_add(1, Ordering::Relaxed));
        let backend = Backend::new(id, server, self);
        let (id, entered) = self.roster.update(|roster| {
            if let Some(known) = id_of(roster, &backend.server) {
                return Change::Keep((known, false));
            }
            let mut next = roster.clone();
            // Two callers may get here in another order than they got their ids.
            let at = next.partition_point(|known| known.id < id);
            next.insert(at, backend.clone());
            Change::Replace(next, (id, true))
        });
        // Whoever closes the pool shuts the servers it finds, after it has closed the lifecycle:
        // it found this one, or we see that it has.
        if entered && !self.hub.lifecycle.is_open() {
            settle::shut(&*backend);
            return Err(closed());
        }
        if entered {
            self.take_up(&backend);
        }
        Ok(id)
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
        let removed = self.roster.update(|roster| {
            let Ok(at) = roster.binary_search_by_key(&id, |known| known.id) else {
                return Change::Keep(None);
            };
            let mut next = roster.clone();
            let removed = next.remove(at);
            Change::Replace(next, Some(removed))
        });
        let Some(backend) = removed else {
            return Err(Error::new(ErrorKind::NotFound, format!("there is no server {id}")));
        };
        settle::shut(&*backend);
        Ok(())
    }

    /// The id of the server with this origin; with several, of the one whose base path is the
    /// longest that leads to `path`, if one does.
    pub(crate) fn by_origin(&self, origin: &str, path: &str) -> Option<ServerId> {
        self.roster.with(|roster| {
            let of_origin = || roster.iter().filter(|known| known.server.origin() == origin);
            of_origin()
                .filter(|known| is_below(path, known.server.base_path()))
                .max_by_key(|known| known.server.base_path().len())
                .or_else(|| of_origin().next())
                .map(|known| known.id)
        })
    }

    /// The server whose turn it is, and an idle connection if it has one. If it has nothing to
    /// give, the next ones are looked at, and if none of those has, the one with the shortest line
    /// is to be waited at.
    ///
    /// This is the hit path: no lock, no allocation, no shared count.
    #[inline]
    pub(super) fn pick(&self, wish: &Wish<'_>) -> Pick {
        self.roster.with(|roster| {
            if roster.is_empty() {
                return Pick::Empty;
            }
            if let Some(id) = wish.server {
                return match roster.binary_search_by_key(&id, |known| known.id) {
                    Ok(_) if wish.tried.contains(&id) => Pick::Exhausted,
                    Ok(at) => {
                        offer(&roster[at], wish).unwrap_or_else(|| Pick::Wait(roster[at].clone()))
                    }
                    Err(_) => Pick::NotFound,
                };
            }
            let first = self.turn.pick(roster.len());
            let in_turn = roster[first..].iter().chain(&roster[..first]);
            let untried = in_turn.filter(|known| !wish.tried.contains(&known.id));
            // Who will not wait wants to know of every idle connection.
            let looks = if wish.may_dial { 1 + LOOKS } else { roster.len() };
            let mut shortest: Option<(u32, &Arc<Backend>)> = None;
            for backend in untried.take(looks) {
                if let Some(pick) = offer(backend, wish) {
                    return pick;
                }
                let waiting = backend.gate.ledger.counts().waiting;
                if shortest.is_none_or(|(least, _)| waiting < least) {
                    shortest = Some((waiting, backend));
                }
            }
            shortest.map_or(Pick::Exhausted, |(_, backend)| Pick::Wait(backend.clone()))
        })
    }

    /// The longest idle connection of all servers but one.
    pub(super) fn longest_idle(&self, but: Option<ServerId>) -> Option<(Arc<Backend>, Candidate)> {
        self.roster.with(|roster| {
            roster
                .iter()
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
                .iter()
                .flat_map(|known| known.gate.idle.parked().map(move |seen| (known.clone(), seen)))
                .collect()
        })
    }

    /// How many connections are parked now, those on their way to a waiter not among them.
    pub(super) fn parked(&self) -> u64 {
        self.roster.with(|roster| roster.iter().map(|known| known.gate.idle.len() as u64).sum())
    }

    /// Whether any server has more connections open than it may.
    pub(super) fn is_any_above(&self) -> bool {
        self.roster.with(|roster| roster.iter().any(|known| known.gate.ledger.surplus() > 0))
    }

    /// See `Idle::fence`.
    pub(super) fn fence(&self, but: ServerId) {
        self.roster.with(|roster| {
            roster.iter().filter(|known| known.id != but).for_each(|known| known.gate.idle.fence());
        });
    }
}

/// What this server can give at once: an idle connection, or room for a new one.
#[inline]
fn offer(backend: &Arc<Backend>, wish: &Wish<'_>) -> Option<Pick> {
    if let Take::Got(parked) = backend.gate.idle.take(thread_hint()) {
        return Some(Pick::Idle(Lease::of(parked)));
    }
    let spare = backend.hub.total.has_free();
    (wish.may_dial && spare && backend.has_room()).then(|| Pick::Wait(backend.clone()))
}

fn id_of(roster: &[Arc<Backend>], server: &Server) -> Option<ServerId> {
    roster.iter().find(|known| known.server.url() == server.url()).map(|known| known.id)
}

/// Whether the base path, which has no slash at its end, leads to the path: by whole segments.
fn is_below(path: &str, base: &str) -> bool {
    path.strip_prefix(base).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

pub(super) fn closed() -> Error {
    Error::new(ErrorKind::Closed, "the pool is closed").retry_safe(true)
}

impl Backend {
    pub(super) fn longest_idle(&self) -> Option<(Arc<Self>, Candidate)> {
        self.directory()?.longest_idle(None)
    }
}

impl fmt::Debug for Directory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.roster.with(|roster| f.debug_list().entries(roster).finish())
    }
}
