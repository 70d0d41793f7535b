//! Four to six threads that do all there is to do with two servers and a total, under schedules
//! that shuttle chooses. Loom explores every order of fewer threads and fewer steps; here are more
//! of both, and the real queue and waker. A lost wake-up shows as a deadlock.
#![cfg(evenkeel_shuttle)]

use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

use evenkeel::lockfree::budget::{Budget, Terms};
use evenkeel::lockfree::idle::{Parked, Take};
use evenkeel::lockfree::permits::Limits;
use evenkeel::lockfree::settle::{Site, claim, shut};
use evenkeel::lockfree::ticket::{Granted, Ticket};
use loom_tests::fleet::{Conn, Server, assert_at_rest, dial, fleet, limits, look, servers};
use loom_tests::scenario;
use shuttle::future::block_on;
use shuttle::thread;

/// A caller that takes a connection and gives it back or closes it.
fn use_or_close(server: &Server, closes: bool) {
    if let Some(lease) = server.acquire() {
        if closes {
            server.close(lease);
        } else {
            server.check_in(lease);
        }
    }
}

/// A caller that enters the line, may look once, and goes with whatever it was given.
fn come_and_go(server: &Server, looks: bool) {
    let Ok(mut ticket) = Ticket::enter(server, 0) else { return };
    if looks {
        match look(&mut ticket) {
            Some(Granted::Connection(parked)) => server.check_in(parked),
            Some(Granted::Permit(permit)) => server.check_in(dial(permit)),
            _ => {}
        }
    }
}

/// A caller that dials, stays in line meanwhile, and takes what comes first.
fn dial_in_line(server: &Server) {
    let Ok(mut ticket) = Ticket::enter(server, 0) else { return };
    match look(&mut ticket) {
        Some(Granted::Permit(mut permit)) => {
            let mut dialling = Ticket::enter_dialling(&mut permit);
            match look(&mut dialling) {
                Some(Granted::Connection(parked)) => server.check_in(parked),
                _ => server.check_in(dial(permit)),
            }
        }
        Some(Granted::Connection(parked)) => server.check_in(parked),
        _ => {}
    }
}

/// A request whose caller may dial, stays in line meanwhile, and takes what comes first. A dial
/// that it leaves goes on without it.
fn request(server: &Server, opened: &Arc<AtomicU32>) {
    if let Take::Got(parked) = server.gate().idle.take(0) {
        return server.check_in(parked);
    }
    let mut ticket = server.enter();
    let mut permit = match block_on(poll_fn(|cx| ticket.poll(cx.waker()))) {
        Granted::Connection(parked) => return server.check_in(parked),
        Granted::Permit(permit) => permit,
        _ => panic!("the server is open, and there is room in line"),
    };
    opened.fetch_add(1, Relaxed);
    let mut dialling = Ticket::enter_dialling(&mut permit);
    thread::yield_now();
    if let Some(Granted::Connection(parked)) = look(&mut dialling) {
        let driver = server.spawn(move |server| {
            let slot = permit.connected(0);
            server.check_in(Parked { slot, value: Conn::new(), since: 0 });
            drop(permit);
        });
        server.check_in(parked);
        driver.join().unwrap();
    } else {
        server.check_in(dial(permit));
    }
}

/// The reaper closes what it finds.
fn reap(server: &Server) {
    if let Some(seen) = server.gate().idle.parked().next() {
        if let Some(parked) = claim(server, seen) {
            server.close(parked);
        }
    }
}

#[test]
fn six_callers_of_two_servers_share_two_connections() {
    scenario("six_callers_of_two_servers_share_two_connections", 6_000, || {
        let servers = servers::<2>(2, 2);
        let callers: Vec<_> = (0..6)
            .map(|i| servers[i % 2].spawn(move |server| use_or_close(server, i == 3)))
            .collect();
        callers.into_iter().for_each(|caller| caller.join().unwrap());
        assert!(servers[0].total().in_use() <= 2);
        assert_at_rest(&servers);
    });
}

#[test]
fn callers_come_and_go_while_others_wait() {
    scenario("callers_come_and_go_while_others_wait", 6_000, || {
        let servers = servers::<2>(1, 1);
        let held = servers[0].lease();
        let threads = [
            servers[0].spawn(|server| use_or_close(server, false)),
            servers[1].spawn(|server| use_or_close(server, false)),
            servers[0].spawn(|server| come_and_go(server, false)),
            servers[1].spawn(|server| come_and_go(server, true)),
            servers[1].spawn(|server| use_or_close(server, true)),
        ];
        servers[0].check_in(held);
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        assert_at_rest(&servers);
    });
}

#[test]
fn dials_end_as_connections_come_back() {
    scenario("dials_end_as_connections_come_back", 6_000, || {
        let servers = servers::<2>(3, 4);
        let held = servers[0].lease();
        let threads = [
            servers[0].spawn(dial_in_line),
            servers[0].spawn(dial_in_line),
            servers[1].spawn(dial_in_line),
            servers[0].spawn(|server| use_or_close(server, true)),
        ];
        servers[0].check_in(held);
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        assert_at_rest(&servers);
    });
}

/// Invariant 17: nothing but need opens a connection, whichever way the callers' paths cross.
#[test]
fn three_callers_open_no_more_connections_than_they_are() {
    scenario("three_callers_open_no_more_connections_than_they_are", 20_000, || {
        let servers = servers::<1>(8, 8);
        let opened = Arc::new(AtomicU32::new(0));
        let callers = [(); 3].map(|()| {
            let opened = opened.clone();
            servers[0].spawn(move |server| (0..3).for_each(|_| request(server, &opened)))
        });
        callers.into_iter().for_each(|caller| caller.join().unwrap());
        assert!(opened.load(Relaxed) <= 3, "{} connections", opened.load(Relaxed));
    });
}

#[test]
fn the_reaper_takes_what_callers_want() {
    scenario("the_reaper_takes_what_callers_want", 6_000, || {
        let servers = servers::<2>(2, 3);
        servers[0].use_once();
        servers[1].use_once();
        let threads = [
            servers[0].spawn(reap),
            servers[1].spawn(reap),
            servers[0].spawn(|server| use_or_close(server, false)),
            servers[1].spawn(|server| use_or_close(server, false)),
            servers[1].spawn(|server| come_and_go(server, true)),
        ];
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        assert_at_rest(&servers);
    });
}

/// Limits change amid the callers. At rest they are kept, and nobody was left waiting.
#[test]
fn limits_shrink_and_grow_amid_callers() {
    scenario("limits_shrink_and_grow_amid_callers", 6_000, || {
        let servers = servers::<2>(2, 3);
        let held = [servers[0].lease(), servers[0].lease()];
        let threads = [
            servers[0].spawn(|server| server.set_limits(limits(1))),
            servers[1].spawn(|server| {
                server.set_total(1);
                server.set_total(2);
            }),
            servers[0].spawn(|server| use_or_close(server, false)),
            servers[1].spawn(|server| use_or_close(server, false)),
            servers[1].spawn(|server| come_and_go(server, true)),
        ];
        held.into_iter().for_each(|lease| servers[0].check_in(lease));
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        assert!(servers[0].open() <= 1 && servers[0].total().in_use() <= 2);
        assert_at_rest(&servers);
    });
}

/// The other server's callers are served in the end, from the permits that come free.
#[test]
fn a_server_is_shut_amid_its_callers() {
    scenario("a_server_is_shut_amid_its_callers", 6_000, || {
        let servers = servers::<2>(1, 1);
        let held = servers[0].lease();
        let threads = [
            servers[0].spawn(shut),
            servers[0].spawn(|server| use_or_close(server, false)),
            servers[0].spawn(|server| come_and_go(server, false)),
            servers[1].spawn(|server| use_or_close(server, false)),
            servers[1].spawn(|server| use_or_close(server, true)),
        ];
        servers[0].check_in(held);
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        let counts = servers[0].gate().ledger.counts();
        assert_eq!((counts.open, counts.closed), (0, true));
        assert_at_rest(&servers);
    });
}

#[test]
fn a_full_line_refuses_some_and_serves_the_others() {
    scenario("a_full_line_refuses_some_and_serves_the_others", 4_000, || {
        let servers = fleet::<2>(Limits { waiting: 1, ..limits(1) }, 2, 1);
        let callers: Vec<_> = (0..5)
            .map(|i| servers[i % 2].spawn(move |server| use_or_close(server, i == 0)))
            .collect();
        callers.into_iter().for_each(|caller| caller.join().unwrap());
        assert_at_rest(&servers);
    });
}

#[test]
fn five_draw_on_one_budget_as_its_slot_ends() {
    scenario("five_draw_on_one_budget_as_its_slot_ends", 6_000, || {
        let terms = Terms { per_mille: 500, per_second: 2, window: 1_000 };
        let budget = Arc::new(Budget::with_stripes(terms, 2));
        let taken = Arc::new(AtomicU32::new(0));
        let threads: Vec<_> = (0..5)
            .map(|i| {
                let (budget, taken) = (budget.clone(), taken.clone());
                shuttle::thread::spawn(move || {
                    let now = if i < 3 { 0 } else { 500 };
                    budget.deposit(now);
                    taken.fetch_add(u32::from(budget.withdraw(now)), Relaxed);
                })
            })
            .collect();
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        while budget.withdraw(500) {
            taken.fetch_add(1, Relaxed);
        }
        // Two are there from the beginning, and five requests pay for two and a half.
        assert_eq!(taken.load(Relaxed), 4);
    });
}
