//! Two servers without sockets that share a total, on one thread.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::task::{Wake, Waker};

use crate::lockfree::gate::Gate;
use crate::lockfree::idle::Candidate;
use crate::lockfree::permits::Limits;
use crate::lockfree::settle::{Dispose, Site};
use crate::lockfree::total::Total;
use crate::sync::{Arc, AtomicUsize, Ordering::Relaxed};

/// How many servers there are. With two, "elsewhere" is one place, and so the model can tell which
/// connection has to make room.
pub(super) const SERVERS: usize = 2;

/// A connection is its number.
#[derive(Debug)]
pub(super) struct Conn(pub(super) u64);

pub(super) struct Fleet {
    total: Total<Box<Server>>,
    gates: [Gate<Conn>; SERVERS],
    /// Connections that the core closed, with their server.
    pub(super) disposed: RefCell<Vec<(usize, Conn, Dispose)>>,
    pub(super) clock: Cell<u64>,
    /// Grants that were taken back.
    pub(super) reclaimed: Cell<u32>,
}

#[derive(Clone)]
pub(super) struct Server {
    pub(super) fleet: Rc<Fleet>,
    pub(super) at: usize,
}

/// How long a grant may be out, in ticks.
pub(super) const GRACE: u64 = 8;

pub(super) fn servers(limits: Limits, total: u32, words: usize) -> [Server; SERVERS] {
    let fleet = Rc::new(Fleet {
        total: Total::new(total),
        gates: [(); SERVERS].map(|()| Gate::new(limits, words, GRACE)),
        disposed: RefCell::new(Vec::new()),
        clock: Cell::new(0),
        reclaimed: Cell::new(0),
    });
    std::array::from_fn(|at| Server { fleet: fleet.clone(), at })
}

impl Site for Server {
    type Conn = Conn;
    type Handle = Box<Self>;

    fn handle(&self) -> Box<Self> {
        Box::new(self.clone())
    }

    fn gate(&self) -> &Gate<Conn> {
        &self.fleet.gates[self.at]
    }

    fn total(&self) -> &Total<Box<Self>> {
        &self.fleet.total
    }

    fn tick(&self) -> u64 {
        self.fleet.clock.get()
    }

    fn look_at(&self, _: u64) {}

    fn reclaimed(&self, grants: u32) {
        self.fleet.reclaimed.set(self.fleet.reclaimed.get() + grants);
    }

    fn longest_idle_elsewhere(&self) -> Option<(Box<Self>, Candidate)> {
        self.longest_idle(1 - self.at)
    }

    fn idle_anywhere(&self) -> Vec<(Box<Self>, Candidate)> {
        let idle = |at| {
            let server = Self { fleet: self.fleet.clone(), at };
            let seen: Vec<Candidate> = server.gate().idle.parked().collect();
            seen.into_iter().map(move |seen| (Box::new(server.clone()), seen))
        };
        (0..SERVERS).flat_map(idle).collect()
    }

    fn is_any_above(&self) -> bool {
        self.fleet.gates.iter().any(|gate| gate.ledger.surplus() > 0)
    }

    fn fence_elsewhere(&self) {
        self.fleet.gates[1 - self.at].idle.fence();
    }

    fn dispose(&self, conn: Conn, why: Dispose) {
        self.fleet.disposed.borrow_mut().push((self.at, conn, why));
    }
}

impl Server {
    fn longest_idle(&self, at: usize) -> Option<(Box<Self>, Candidate)> {
        let server = Self { fleet: self.fleet.clone(), at };
        let seen = server.gate().idle.parked().min_by_key(|seen| seen.since)?;
        Some((Box::new(server), seen))
    }
}

/// A waker that counts.
#[derive(Default)]
pub(super) struct Wakes(AtomicUsize);

impl Wakes {
    pub(super) fn new() -> (Arc<Self>, Waker) {
        let wakes = Arc::new(Self::default());
        (wakes.clone(), Waker::from(wakes))
    }

    pub(super) fn count(&self) -> usize {
        self.0.load(Relaxed)
    }
}

impl Wake for Wakes {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Relaxed);
    }
}
