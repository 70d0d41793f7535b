//! Real threads, real queues, no sockets.

use std::sync::mpsc;
use std::thread::{self, Thread};
use std::time::Duration;

use super::*;
use crate::lockfree::shrink::resize as set;
use crate::sync::{AtomicU32, Ordering::Relaxed};

const THREADS: u64 = 4;
const OPERATIONS: usize = if cfg!(miri) { 20 } else { 20_000 };
/// Nothing here waits for a clock: whoever takes longer sleeps for ever.
const STUCK: Duration = Duration::from_secs(if cfg!(miri) { 3_600 } else { 60 });

/// Tickets that were woken twice, and those that were woken and found nothing.
static WOKEN_IN_VAIN: AtomicU32 = AtomicU32::new(0);

/// The waker of one ticket.
struct Sleeper {
    thread: Thread,
    wakes: AtomicU32,
}

impl Sleeper {
    fn new() -> Arc<Self> {
        Arc::new(Self { thread: thread::current(), wakes: AtomicU32::new(0) })
    }
}

impl Wake for Sleeper {
    fn wake(self: Arc<Self>) {
        self.wakes.fetch_add(1, Relaxed);
        self.thread.unpark();
    }
}

impl Drop for Sleeper {
    fn drop(&mut self) {
        // Whoever serves lets go of the waker after it has woken: only now have all been counted.
        if self.wakes.load(Relaxed) > 1 {
            WOKEN_IN_VAIN.fetch_add(1, Relaxed);
        }
    }
}

/// Sleeps until the ticket is granted something.
fn wait(ticket: &mut Ticket<Server>) -> Granted<Server> {
    let sleeper = Sleeper::new();
    let waker = Waker::from(sleeper.clone());
    loop {
        // Before the look: a wake in between is no wake in vain.
        let woken = sleeper.wakes.load(Relaxed) > 0;
        match ticket.poll(&waker) {
            Poll::Ready(granted) => return granted,
            Poll::Pending if woken => {
                WOKEN_IN_VAIN.fetch_add(1, Relaxed);
                return wait(ticket);
            }
            Poll::Pending => {}
        }
        while sleeper.wakes.load(Relaxed) == 0 {
            thread::park();
        }
    }
}

/// A connection, dialled if need be; `None` if the server is shut.
fn acquire(server: &Server, class: u8, random: &mut fastrand::Rng) -> Option<Parked<Conn>> {
    if let Take::Got(parked) = server.gate().idle.take(random.usize(..2)) {
        return Some(parked);
    }
    let mut ticket = Ticket::enter(server, class).ok()?;
    match wait(&mut ticket) {
        Granted::Connection(parked) => Some(parked),
        Granted::Closed | Granted::Refused | Granted::Shed => None,
        Granted::Permit(mut permit) => {
            let mut dialling = Ticket::enter_dialling(&mut permit);
            match (random.u8(..4), dialling.poll(Waker::noop())) {
                // A connection came back while it was dialling: the dial is given up.
                (_, Poll::Ready(Granted::Connection(parked))) => Some(parked),
                (0, _) => None,
                _ => Some(dial(permit, random)),
            }
        }
    }
}

fn dial(mut permit: Permit<Server>, random: &mut fastrand::Rng) -> Parked<Conn> {
    Parked { slot: permit.connected(random.usize(..2)), value: Box::new(Cell::new(0)), since: 0 }
}

/// Takes a connection, uses it, and gives it back, closes it or opens another in its place.
fn use_one(server: &Server, now: u64, random: &mut fastrand::Rng) {
    let class = random.u8(..8);
    let Some(parked) = acquire(server, class, random) else { return };
    touch(&parked.value);
    match random.u8(..16) {
        0 => {
            drop(parked.value);
            close(server, parked.slot);
        }
        1 => {
            drop(parked.value);
            if let Some(permit) = renew(server, parked.slot) {
                let again = dial(permit, random);
                check_in(server, Parked { since: now, ..again });
            }
        }
        _ => check_in(server, Parked { since: now, ..parked }),
    }
}

/// Into the line, perhaps a look, and away again with whatever was given.
fn come_and_go(server: &Server, random: &mut fastrand::Rng) {
    let Ok(mut ticket) = Ticket::enter(server, random.u8(..8)) else { return };
    if random.bool() {
        if let Poll::Ready(Granted::Connection(parked)) = ticket.poll(Waker::noop()) {
            check_in(server, parked);
        }
    }
}

/// Closes what has been idle.
fn reap(server: &Server) {
    let Some(seen) = server.gate().idle.parked().next() else { return };
    if let Some(parked) = claim(server, seen) {
        touch(&parked.value);
        drop(parked.value);
        close(server, parked.slot);
    }
}

/// Other limits: from one connection to three, of one server or in total.
fn resize(servers: &[Server; 3], random: &mut fastrand::Rng) {
    let server = &servers[random.usize(..3)];
    let limit = random.u32(1..=3);
    if random.bool() {
        let limits = Limits { open: limit, connecting: random.u32(1..=limit), waiting: 100 };
        server.gate().ledger.set_limits(limits);
    } else {
        server.total().set_limit(limit + 1);
    }
    let all: Vec<_> = servers.iter().map(Site::handle).collect();
    set::<Server>(&all, server.total());
}

fn run(servers: &[Server; 3], me: u64, seed: u64) {
    let mut random = fastrand::Rng::with_seed(seed + me);
    for now in 0..OPERATIONS {
        // One server is shut half-way, and another later.
        if me == 0 && now == OPERATIONS / 2 {
            shut(&servers[2]);
        }
        if me == 1 && now == OPERATIONS * 3 / 4 {
            shut(&servers[1]);
        }
        let server = &servers[random.usize(..3)];
        match random.u8(..32) {
            0..=18 => use_one(server, now as u64, &mut random),
            19..=24 => come_and_go(server, &mut random),
            25..=30 => reap(server),
            _ => resize(servers, &mut random),
        }
    }
}

#[test]
fn nobody_sleeps_for_ever_and_nothing_is_lost() {
    // Fewer in total than the servers may have together, and fewer than there are threads.
    let servers = servers::<3>(2, 3);
    let seed = if cfg!(miri) { 0 } else { fastrand::u64(..) };
    println!("seed {seed}");
    let (done, finished) = mpsc::channel();
    let threads: Vec<_> = (0..THREADS)
        .map(|me| {
            let (servers, done) = (servers.clone(), done.clone());
            thread::spawn(move || {
                run(&servers, me, seed);
                drop(servers);
                done.send(me).expect("the test waits");
            })
        })
        .collect();
    drop(done);
    for _ in 0..THREADS {
        let end = finished.recv_timeout(STUCK);
        if end.is_err() {
            let gates: Vec<_> = servers.iter().map(|server| server.gate()).collect();
            panic!("a thread is stuck or has panicked: {gates:?} {}", servers[0].total().in_use());
        }
    }
    for thread in threads {
        thread.join().expect("it has finished");
    }
    // One whose grant was taken back was woken for that grant, and may find nothing.
    let reclaimed = servers[0].fleet.reclaimed.load(Relaxed);
    assert!(u64::from(WOKEN_IN_VAIN.load(Relaxed)) <= reclaimed, "woken in vain");
    assert_conserved(servers);
}
