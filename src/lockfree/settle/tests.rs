//! Several servers on one thread, and on many. All interleavings of a few steps are explored in
//! `loom-tests`; here it is many steps, and the real queue.
#![expect(clippy::disallowed_methods, reason = "threads that may hang cannot be scoped")]

mod stress;

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Poll, Wake, Waker};

use super::*;
use crate::lockfree::gate::Gate;
use crate::lockfree::idle::Take;
use crate::lockfree::permits::Limits;
use crate::lockfree::ticket::{Granted, Ticket};

/// Servers without sockets that share a total.
struct Fleet {
    /// Moves by a tick with each look at it.
    clock: AtomicU64,
    /// How many grants were taken back.
    reclaimed: AtomicU64,
    total: Total<Box<Server>>,
    gates: Vec<Gate<Conn>>,
}

/// Plain memory, boxed so that Miri and ThreadSanitizer see each connection by itself.
type Conn = Box<Cell<u64>>;

#[derive(Clone)]
struct Server {
    fleet: Arc<Fleet>,
    at: usize,
}

fn servers<const N: usize>(open: u32, total: u32) -> [Server; N] {
    let limits = Limits { open, connecting: open, waiting: 2 };
    let gates = (0..N).map(|_| Gate::new(limits, 2, GRACE)).collect();
    let fleet = Arc::new(Fleet {
        clock: AtomicU64::new(0),
        reclaimed: AtomicU64::new(0),
        total: Total::new(total),
        gates,
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

    fn longest_idle_elsewhere(&self) -> Option<(Box<Self>, Candidate)> {
        self.idle(|at| at != self.at).min_by_key(|(_, seen)| seen.since)
    }

    fn idle_anywhere(&self) -> Vec<(Box<Self>, Candidate)> {
        self.idle(|_| true).collect()
    }

    fn is_any_above(&self) -> bool {
        self.fleet.gates.iter().any(|gate| gate.ledger.surplus() > 0)
    }

    fn fence_elsewhere(&self) {
        let others = self.fleet.gates.iter().enumerate().filter(|(at, _)| *at != self.at);
        others.for_each(|(_, gate)| gate.idle.fence());
    }

    fn tick(&self) -> u64 {
        self.fleet.clock.fetch_add(1, Ordering::Relaxed)
    }

    fn look_at(&self, _: u64) {}

    fn reclaimed(&self, grants: u32) {
        self.fleet.reclaimed.fetch_add(grants.into(), Ordering::Relaxed);
    }

    fn dispose(&self, conn: Conn, _: Dispose) {
        touch(&conn);
        assert!(conn.get() < BROKEN, "a socket that panics");
    }
}

/// In looks at the clock: long enough for those who come at once.
const GRACE: u64 = 40;

const BROKEN: u64 = 1 << 60;

fn touch(conn: &Conn) {
    conn.set(conn.get() + 1);
}

impl Server {
    fn idle(&self, of: impl Fn(usize) -> bool) -> impl Iterator<Item = (Box<Self>, Candidate)> {
        (0..self.fleet.gates.len())
            .filter(move |at| of(*at))
            .flat_map(|at| self.fleet.gates[at].idle.parked().map(move |seen| (at, seen)))
            .map(|(at, seen)| (Box::new(Self { fleet: self.fleet.clone(), at }), seen))
    }

    fn lease(&self) -> Parked<Conn> {
        match self.gate().idle.take(0) {
            Take::Got(parked) => parked,
            Take::Empty | Take::Refused => granted(&mut self.enter()),
        }
    }

    fn enter(&self) -> Ticket<Self> {
        Ticket::enter(self, 0).expect("open, and room in line")
    }
}

/// What the ticket has been given; there must be something.
fn granted(ticket: &mut Ticket<Server>) -> Parked<Conn> {
    match ticket.poll(Waker::noop()) {
        Poll::Ready(Granted::Connection(parked)) => parked,
        Poll::Ready(Granted::Permit(mut permit)) => {
            Parked { slot: permit.connected(0), value: Box::new(Cell::new(0)), since: 0 }
        }
        Poll::Ready(_) => panic!("sent away"),
        Poll::Pending => panic!("asleep, although there is something for it"),
    }
}

/// Closes what is parked and empties the queues; then all must be back.
fn assert_conserved<const N: usize>(servers: [Server; N]) {
    let total = servers[0].total();
    for server in &servers {
        let counts = server.gate().ledger.counts();
        assert_eq!((counts.waiting, counts.connecting), (0, 0));
        assert_eq!(counts.open as usize, server.gate().idle.len());
        while let Some(parked) = server.gate().idle.claim() {
            close(server, parked.slot);
        }
    }
    assert_eq!(total.in_use(), 0);
    while total.pop().is_some() {}
    let fleet = servers[0].fleet.clone();
    drop(servers);
    assert_eq!(Arc::strong_count(&fleet), 1, "somebody still holds a server");
}

#[test]
fn a_mark_out_of_date_does_not_hide_the_next() {
    let servers = servers::<2>(2, 2);
    let [first, second] = [servers[0].lease(), servers[1].lease()];
    let (mut one, mut two) = (servers[0].enter(), servers[1].enter());
    check_in(&servers[0], first);
    check_in(&servers[0], granted(&mut one));
    check_in(&servers[1], granted(&mut two));
    check_in(&servers[1], second);
    drop((one, two));
    assert_conserved(servers);
}

#[test]
fn an_idle_connection_is_closed_for_another_server_the_oldest_first() {
    let servers = servers::<3>(2, 2);
    let [old, young] = [servers[0].lease(), servers[1].lease()];
    check_in(&servers[1], Parked { since: 2, ..young });
    check_in(&servers[0], Parked { since: 1, ..old });
    let lease = servers[2].lease();
    assert_eq!([servers[0].gate().idle.len(), servers[1].gate().idle.len()], [0, 1]);
    check_in(&servers[2], lease);
    assert_conserved(servers);
}

/// The limit was lowered, and nothing idle found, while the connection was out of its set.
#[test]
fn what_an_eviction_puts_back_is_closed_if_it_is_too_much() {
    let [one, two] = servers::<2>(2, 3);
    let [parked, used] = [one.lease(), one.lease()];
    check_in(&one, parked);
    let seen = one.gate().idle.parked().next().expect("it is parked");
    let again = one.lease();
    check_in(&one, Parked { since: seen.since + 1, ..again });
    one.gate().ledger.set_limits(Limits { open: 1, connecting: 1, waiting: 2 });
    one.total().announce();
    let mut finds = [(one.handle(), seen)].into_iter();
    let mut rounds = Rounds::new();
    assert!(!rounds.evict(&two, || finds.next(), Dispose::Evicted));
    assert_eq!(one.gate().idle.len(), 1, "it was put back");
    rounds.run(&two);
    assert_eq!((one.gate().idle.len(), one.gate().ledger.counts().open), (0, 1));
    assert!(!one.total().wants_check_ins(), "no limit is passed any more");
    check_in(&one, used);
    assert_conserved([one, two]);
}

#[test]
fn each_server_without_any_is_given_one_by_a_busy_one() {
    let servers = servers::<3>(2, 2);
    let [first, second] = [servers[0].lease(), servers[0].lease()];
    let mut starved = [servers[1].enter(), servers[2].enter()];
    let mut line = [servers[0].enter(), servers[0].enter()];
    check_in(&servers[0], first);
    check_in(&servers[0], second);
    for (ticket, at) in starved.iter_mut().zip(1..) {
        close(&servers[at], granted(ticket).slot);
    }
    for ticket in &mut line {
        check_in(&servers[0], granted(ticket));
    }
    drop((starved, line));
    assert_conserved(servers);
}

struct Bomb;

impl Wake for Bomb {
    fn wake(self: Arc<Self>) {
        panic!("a waker that panics");
    }
}

#[test]
fn a_waker_that_panics_loses_no_permit() {
    let servers = servers::<2>(2, 2);
    let held = [servers[0].lease(), servers[0].lease()];
    let mut bomb = servers[0].enter();
    let mut starved = servers[1].enter();
    assert!(bomb.poll(&Arc::new(Bomb).into()).is_pending());
    // The first goes to the desperate server, the second to the waiter whose waker panics.
    let [first, second] = held;
    check_in(&servers[0], first);
    let panicked = catch_unwind(AssertUnwindSafe(|| close(&servers[0], second.slot)));
    assert!(panicked.is_err());
    check_in(&servers[0], granted(&mut bomb));
    check_in(&servers[1], granted(&mut starved));
    drop((bomb, starved));
    assert_conserved(servers);
}

#[test]
fn a_socket_that_panics_loses_no_permit() {
    let servers = servers::<2>(1, 1);
    let lease = servers[0].lease();
    lease.value.set(BROKEN);
    check_in(&servers[0], lease);
    let panicked = catch_unwind(AssertUnwindSafe(|| servers[1].enter()));
    assert!(panicked.is_err());
    assert_eq!(servers[0].total().in_use(), 0);
    let lease = servers[1].lease();
    check_in(&servers[1], lease);
    assert_conserved(servers);
}
