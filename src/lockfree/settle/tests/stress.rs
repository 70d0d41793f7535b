//! Real threads, real queues, no sockets.

use std::future::poll_fn;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use futures_lite::future::block_on;

use super::*;

const THREADS: u64 = 4;
const OPERATIONS: usize = if cfg!(miri) { 20 } else { 20_000 };
/// Nothing here waits for a clock: whoever takes longer sleeps for ever.
const STUCK: Duration = Duration::from_secs(if cfg!(miri) { 3_600 } else { 60 });

/// A connection, dialled if need be; `None` if the server is shut.
fn acquire(server: &Server, class: u8, random: &mut fastrand::Rng) -> Option<Parked<Conn>> {
    if let Take::Got(parked) = server.gate().idle.take(random.usize(..2)) {
        return Some(parked);
    }
    let mut ticket = Ticket::enter(server, class).ok()?;
    match block_on(poll_fn(|cx| ticket.poll(cx.waker()))) {
        Granted::Connection(parked) => Some(parked),
        Granted::Closed | Granted::Refused | Granted::Shed => None,
        Granted::Permit(mut permit) => {
            let mut dialling = Ticket::enter_dialling(&mut permit);
            match (random.u8(..4), dialling.poll(Waker::noop())) {
                // A connection came back while it was dialling: the dial is given up.
                (_, Poll::Ready(Granted::Connection(parked))) => Some(parked),
                (0, _) => None,
                _ => Some(Parked {
                    slot: permit.connected(random.usize(..2)),
                    value: Box::new(Cell::new(0)),
                    since: 0,
                }),
            }
        }
    }
}

fn step(server: &Server, now: u64, random: &mut fastrand::Rng) {
    match random.u8(..10) {
        0..=5 => {
            let class = random.u8(..8);
            if let Some(parked) = acquire(server, class, random) {
                touch(&parked.value);
                if random.u8(..8) == 0 {
                    drop(parked.value);
                    close(server, parked.slot);
                } else {
                    check_in(server, Parked { since: now, ..parked });
                }
            }
        }
        // Into the line, perhaps a look, and away again with whatever was given.
        6 | 7 => {
            if let Ok(mut ticket) = Ticket::enter(server, random.u8(..8)) {
                if random.bool() {
                    if let Poll::Ready(Granted::Connection(parked)) = ticket.poll(Waker::noop()) {
                        check_in(server, parked);
                    }
                }
            }
        }
        // The reaper.
        _ => {
            if let Some(seen) = server.gate().idle.parked().next() {
                if let Some(parked) = claim(server, seen) {
                    touch(&parked.value);
                    drop(parked.value);
                    close(server, parked.slot);
                }
            }
        }
    }
}

fn run(servers: &[Server; 3], me: u64, seed: u64) {
    let mut random = fastrand::Rng::with_seed(seed + me);
    for now in 0..OPERATIONS {
        // One server is shut half-way.
        if me == 0 && now == OPERATIONS / 2 {
            shut(&servers[2]);
        }
        step(&servers[random.usize(..3)], now as u64, &mut random);
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
    assert_conserved(servers);
}
