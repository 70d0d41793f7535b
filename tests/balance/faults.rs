//! Goal: peak-EWMA keeps away from a server that fails fast (S4) or hangs (S5), and comes back to
//! one that was slow (S6) or failed, by what it has measured alone: nothing takes servers out of
//! the pool here. Method: one of ten servers goes wrong in the middle of a run.

use std::time::Duration;

use evenkeel::{Config, Strategy};

use crate::secs;
use crate::station::{Fault, Plan};
use crate::world::{World, config};

/// How many pools share the load.
pub(crate) const CLIENTS: [usize; 2] = [1, 20];

/// A run in which the first of ten servers has this fault from one second to another.
pub(crate) fn faulty(
    clients: usize,
    config: Config,
    fault: Fault,
    (from, to): (u64, u64),
    (rate, end): (f64, u64),
) -> World {
    let mut plans = [const { Plan::plain() }; 10];
    plans[0] = Plan::plain().fault(fault, from, to);
    let world = World::new(13, &plans, (clients, 10), config);
    world.sim.block_on(async {
        world.load(rate, secs(end)).await;
        world.finish().await;
    });
    world
}

/// Peak-EWMA that forgets in so many seconds.
pub(crate) fn decay(seconds: u64) -> Config {
    let mut config = config(Strategy::PeakEwma);
    config.ewma_decay = secs(seconds);
    config
}

pub(crate) const FAILS_FAST: Fault = Fault::Unavailable(Duration::from_micros(500));

#[test]
fn a_server_that_fails_fast_attracts_nobody() {
    for clients in CLIENTS {
        let world = faulty(clients, decay(10), FAILS_FAST, (3, 33), (1000.0, 33));
        let outcome = world.outcome(secs(3), secs(33));
        println!("S4 {clients:2} {outcome:?}");
        assert!(outcome.ok_percent() >= 99.9, "{clients} clients: {outcome:?}");
    }
    // What would happen to who looks at load alone: it is always idle, and gets the most.
    let blind = config(Strategy::LeastConnections);
    let world = faulty(1, blind, FAILS_FAST, (2, 6), (1000.0, 6));
    let outcome = world.outcome(secs(2), secs(6));
    assert!(outcome.ok_percent() < 80.0, "{outcome:?}");
}

/// Each pool loses the requests that are on their way as the server falls silent, and a few that
/// follow until the first of them has timed out: no client can know earlier. That is one or two for
/// each pool, some 30 of the 50,000 here.
#[test]
fn a_hung_server_holds_up_less_than_one_of_a_thousand() {
    for clients in CLIENTS {
        let world = faulty(clients, decay(10), Fault::Hung, (3, 43), (1500.0, 43));
        let outcome = world.outcome(secs(3), secs(43));
        println!("S5 {clients:2} {outcome:?}");
        assert!(outcome.p999() <= 100.0, "{clients} clients: {outcome:?}");
    }
}

#[test]
fn a_new_server_that_hangs_is_tried_by_one_request_and_not_by_a_crowd() {
    let mut plans = vec![Plan::plain(); 11];
    plans[10] = Plan::plain().fault(Fault::Hung, 0, 10);
    let world = World::new(13, &plans, (1, 10), decay(10));
    world.sim.block_on(async {
        world.load(1000.0, secs(1)).await;
        world.pools[0].add_server(world.stations[10].server()).expect("the pool is open");
        world.load(1000.0, secs(4)).await;
        world.finish().await;
    });
    assert_eq!(world.stations[10].came(1, 4), 1);
}

/// After how many seconds the first server has 8 % of the requests again, two seconds taken
/// together. They would be 10 % if it had always been well.
pub(crate) fn back(world: &World, healed: u64, end: u64) -> Option<u64> {
    (healed..end - 1).find(|&at| world.share(0, at, at + 2) >= 8.0).map(|at| at - healed)
}

#[test]
fn a_server_that_was_slow_has_its_share_back_within_two_time_constants() {
    for clients in CLIENTS {
        for tau in [5, 10] {
            let (slow, end) = ((4, 10), 10 + 2 * tau + 2);
            let world = faulty(clients, decay(tau), Fault::Slow(10.0), slow, (1000.0, end));
            let (during, back) = (world.share(0, 5, 10), back(&world, 10, end));
            println!(
                "S6 {clients:2}, τ {tau:2} s: {during:.2} % while slow, back after {back:?} s"
            );
            assert!(during <= 2.0, "{clients} clients, τ {tau} s: {during:.2} %");
            assert!(back.is_some_and(|back| back <= 2 * tau), "{clients} clients, τ {tau} s");
        }
    }
}

/// A failure counts as 5 s, some 500 times what an answer takes. That falls off in τ · ln 500,
/// which is about 6 τ: a minute with the default.
#[test]
fn a_server_that_failed_has_its_share_back_within_eight_time_constants() {
    for clients in CLIENTS {
        let world = faulty(clients, decay(2), FAILS_FAST, (3, 5), (1000.0, 23));
        let (before, back) = (world.share(0, 5, 11), back(&world, 5, 23));
        println!("failed {clients:2}, τ 2 s: {before:.2} % for 3 τ, back after {back:?} s");
        assert!(before <= 1.0, "{clients} clients: {before:.2} %");
        assert!(back.is_some_and(|back| back <= 16), "{clients} clients");
    }
}
