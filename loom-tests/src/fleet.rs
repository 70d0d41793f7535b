use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::task::{Poll, Waker};

use crate::Plain;
use crate::threads::{self, JoinHandle, block_on, spawn};
use evenkeel::lockfree::gate::Gate;
use evenkeel::lockfree::idle::{Candidate, PER_WORD, Parked, Slot, Take};
use evenkeel::lockfree::permits::Limits;
use evenkeel::lockfree::settle::{self, Dispose, Site, check_in, close};
use evenkeel::lockfree::shrink::resize;
use evenkeel::lockfree::ticket::{Granted, Permit, Ticket};
use evenkeel::lockfree::total::Total;

/// A connection: memory that is written at each use, so that loom sees two users at once, and one
/// who was not shown what the last did.
#[derive(Debug)]
pub struct Conn(Plain<u32>);

impl Conn {
    /// A new one.
    #[track_caller]
    pub fn new() -> Self {
        Self(Plain::new(0))
    }

    /// Uses it.
    #[track_caller]
    pub fn touch(&self) {
        self.0.set(self.0.get() + 1);
    }
}

impl Default for Conn {
    fn default() -> Self {
        Self::new()
    }
}

/// Servers without sockets that share a total.
#[derive(Debug)]
struct Fleet {
    /// No part of the model: it is moved by hand.
    clock: AtomicU64,
    /// How many grants were taken back.
    reclaimed: AtomicU64,
    total: Total<Box<Server>>,
    gates: Vec<Gate<Conn>>,
    /// Loom fails an execution in which this is not dropped: so nobody keeps the fleet for ever.
    _whole: threads::Arc<()>,
}

/// One of them.
#[derive(Clone, Debug)]
pub struct Server {
    /// Not loom's: it would try all orders in which handles are dropped, and they say nothing.
    fleet: Arc<Fleet>,
    at: usize,
}

/// How long a grant may be out.
const GRACE: u64 = 5;

/// Limits of `open` connections, all of which may be connecting at once.
pub fn limits(open: u32) -> Limits {
    Limits { open, connecting: open, waiting: 8 }
}

/// `N` servers, each with `open` connections at most, and `total` in all.
pub fn servers<const N: usize>(open: u32, total: u32) -> [Server; N] {
    fleet(limits(open), total, 1)
}

/// `N` servers with cells in at least `words` words.
pub fn fleet<const N: usize>(limits: Limits, total: u32, words: usize) -> [Server; N] {
    let gates = (0..N).map(|_| Gate::new(limits, words, GRACE)).collect();
    let fleet = Arc::new(Fleet {
        clock: AtomicU64::new(0),
        reclaimed: AtomicU64::new(0),
        total: Total::new(total),
        gates,
        _whole: threads::Arc::new(()),
    });
    std::array::from_fn(|at| Server { fleet: Arc::clone(&fleet), at })
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
        self.others().for_each(|(_, gate)| gate.idle.fence());
    }

    fn tick(&self) -> u64 {
        self.fleet.clock.load(Relaxed)
    }

    fn look_at(&self, _: u64) {}

    fn reclaimed(&self, grants: u32) {
        self.fleet.reclaimed.fetch_add(u64::from(grants), Relaxed);
    }

    fn dispose(&self, conn: Conn, _: Dispose) {
        conn.touch();
    }
}

impl Server {
    fn others(&self) -> impl Iterator<Item = (usize, &Gate<Conn>)> {
        self.fleet.gates.iter().enumerate().filter(|(at, _)| *at != self.at)
    }

    fn idle(&self, of: impl Fn(usize) -> bool) -> impl Iterator<Item = (Box<Self>, Candidate)> {
        let gates = self.fleet.gates.iter().enumerate().filter(move |(at, _)| of(*at));
        let seen = gates.flat_map(|(at, gate)| gate.idle.parked().map(move |seen| (at, seen)));
        seen.map(|(at, seen)| (Box::new(Self { fleet: Arc::clone(&self.fleet), at }), seen))
    }

    /// Runs `f` on a thread.
    pub fn spawn<R: Send + 'static>(
        &self,
        f: impl FnOnce(&Self) -> R + Send + 'static,
    ) -> JoinHandle<R> {
        let me = self.clone();
        spawn(move || f(&me))
    }

    /// A place in line.
    pub fn enter(&self) -> Ticket<Self> {
        self.enter_as(0)
    }

    /// A place in line, of this class.
    pub fn enter_as(&self, class: u8) -> Ticket<Self> {
        Ticket::enter(self, class).expect("open, and room in line")
    }

    /// What a place in line ends with.
    pub fn wait(&self, ticket: &mut Ticket<Self>) -> Option<Parked<Conn>> {
        match block_on(std::future::poll_fn(|cx| ticket.poll(cx.waker()))) {
            Granted::Connection(parked) => {
                parked.value.touch();
                Some(parked)
            }
            Granted::Permit(permit) => Some(dial(permit)),
            Granted::Closed | Granted::Refused | Granted::Shed => None,
        }
    }

    /// Time passes: what is out now may be taken back.
    pub fn pass_time(&self) {
        self.fleet.clock.fetch_add(GRACE, Relaxed);
    }

    /// How many grants were taken back.
    pub fn reclaimed(&self) -> u64 {
        self.fleet.reclaimed.load(Relaxed)
    }

    /// A connection: an idle one, or what the line gives; `None` if the server is closed.
    pub fn acquire(&self) -> Option<Parked<Conn>> {
        if let Take::Got(parked) = self.gate().idle.take(0) {
            parked.value.touch();
            return Some(parked);
        }
        let mut ticket = Ticket::enter(self, 0).ok()?;
        self.wait(&mut ticket)
    }

    /// A connection, of a server that is not closed.
    pub fn lease(&self) -> Parked<Conn> {
        self.acquire().expect("the server is open")
    }

    /// Gives a connection back.
    pub fn check_in(&self, parked: Parked<Conn>) {
        parked.value.touch();
        check_in(self, parked);
    }

    /// Gives a connection back that was parked at `since`.
    pub fn check_in_at(&self, parked: Parked<Conn>, since: u64) {
        self.check_in(Parked { since, ..parked });
    }

    /// Closes a connection.
    pub fn close(&self, parked: Parked<Conn>) {
        parked.value.touch();
        let slot: Slot = parked.slot;
        close(self, slot);
    }

    /// Takes a connection and gives it back.
    pub fn use_once(&self) {
        let parked = self.lease();
        self.check_in(parked);
    }

    /// Sets the limits of this server.
    pub fn set_limits(&self, limits: Limits) {
        self.gate().ledger.set_limits(limits);
        self.resize();
    }

    /// Sets the total.
    pub fn set_total(&self, limit: u32) {
        self.total().set_limit(limit);
        self.resize();
    }

    fn resize(&self) {
        let one = |at| Box::new(Self { fleet: Arc::clone(&self.fleet), at });
        let all: Vec<_> = (0..self.fleet.gates.len()).map(one).collect();
        resize::<Self>(&all, self.total());
    }

    /// Permits in use, of this server.
    pub fn open(&self) -> u32 {
        self.gate().ledger.counts().open
    }

    /// How many connections are parked.
    pub fn parked(&self) -> usize {
        self.gate().idle.len()
    }
}

/// Opens the connection that the permit is for.
pub fn dial(mut permit: Permit<Server>) -> Parked<Conn> {
    let slot = permit.connected(0);
    Parked { slot, value: Conn::new(), since: 0 }
}

/// Polls a place in line once, with a waker that does nothing.
pub fn look(ticket: &mut Ticket<Server>) -> Option<Granted<Server>> {
    match ticket.poll(Waker::noop()) {
        Poll::Ready(granted) => Some(granted),
        Poll::Pending => None,
    }
}

/// What must hold once all threads have ended and nothing is leased: nobody waits, and every
/// permit belongs to a connection that is parked, and can be taken without the line; and no cell is
/// taken by anything else.
#[track_caller]
pub fn assert_at_rest<const N: usize>(servers: &[Server; N]) {
    let mut open = 0;
    for (at, server) in servers.iter().enumerate() {
        let counts = server.gate().ledger.counts();
        assert_eq!((counts.waiting, counts.connecting), (0, 0), "server {at}");
        assert_eq!(counts.open as usize, server.parked(), "server {at}");
        open += u64::from(counts.open);
    }
    assert_eq!(servers[0].total().in_use(), open);
    for (at, server) in servers.iter().enumerate() {
        let counts = server.gate().ledger.counts();
        for _ in 0..counts.open {
            let Take::Got(parked) = server.gate().idle.take(0) else {
                panic!("server {at}: the way to what is parked is not open again");
            };
            parked.value.touch();
            close(server, parked.slot);
        }
        if !counts.closed {
            assert!(matches!(server.gate().idle.take(0), Take::Empty), "server {at}: still shut");
            let cells = [(); PER_WORD].map(|()| server.gate().idle.reserve(0));
            assert!(cells.iter().map(Slot::index).eq(0..PER_WORD), "server {at}: a cell is lost");
            cells.into_iter().for_each(|cell| server.gate().idle.vacate(cell));
        }
    }
    assert_eq!(servers[0].total().in_use(), 0);
    // Marks that were not needed any more hold their server, which holds the queue they stand in.
    while servers[0].total().pop().is_some() {}
}

/// Two servers with one connection each; the first has it parked, the second leased.
pub fn one_each() -> ([Server; 2], Parked<Conn>) {
    let servers = servers::<2>(2, 2);
    servers[0].use_once();
    let held = servers[1].lease();
    (servers, held)
}

/// Closes a connection, whose socket is a variable that is written before.
pub fn close_socket(
    held: Parked<Conn>,
    socket: &Arc<Plain<bool>>,
) -> impl FnOnce(&Server) + 'static {
    let socket = Arc::clone(socket);
    move |server| {
        socket.set(false);
        server.close(held);
    }
}

/// One in line who has been given the server's only connection and has not come for it, and the
/// next.
pub fn stall(server: &Server) -> (Ticket<Server>, Ticket<Server>) {
    let held = server.lease();
    let tickets = (server.enter(), server.enter());
    server.check_in(held);
    tickets
}

/// Takes back what is out, if it has not been taken and somebody else waits.
pub fn reclaim(server: &Server) {
    server.pass_time();
    settle::look(server);
}
