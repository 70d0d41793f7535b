//! Goal: peak-EWMA keeps away from a server that fails fast (S4) or hangs (S5), and comes back to
//! one that was slow for a while (S6), with nothing that takes servers out of the pool. Method:
//! one of ten servers goes wrong in the middle of a run.

use std::time::Duration;

use crate::secs;
use crate::station::{Fault, Plan};
use crate::world::World;
use evenkeel::Strategy;

/// How many pools share the load.
const CLIENTS: [usize; 2] = [1, 20];

/// A run in which the first of ten servers has this fault from one second to another.
fn faulty(clients: usize, fault: Fault, (from, to): (u64, u64), rate: f64, end: u64) -> World {
    let mut plans = [const { Plan::plain() }; 10];
    plans[0] = Plan::plain().fault(fault, from, to);
    let world = World::new(13, &plans, (clients, 10), Strategy::PeakEwma);
    world.sim.block_on(async {
        world.load(rate, secs(end)).await;
        world.finish().await;
    });
    world
}

#[test]
fn a_server_that_fails_fast_attracts_nobody() {
    for clients in CLIENTS {
        let fault = Fault::Unavailable(Duration::from_micros(500));
        let world = faulty(clients, fault, (5, 45), 1000.0, 45);
        let outcome = world.outcome(secs(5), secs(45));
        println!("S4 {clients:2} {outcome:?}, share {:.2} %", world.share(0, 5, 45));
        assert!(outcome.ok_percent() >= 99.9, "{clients} clients: {outcome:?}");
    }
}

#[test]
fn a_hung_server_holds_up_less_than_one_of_a_thousand() {
    for clients in CLIENTS {
        let world = faulty(clients, Fault::Hung, (5, 45), 1000.0, 45);
        let outcome = world.outcome(secs(5), secs(45));
        println!("S5 {clients:2} {outcome:?}, share {:.2} %", world.share(0, 5, 45));
        assert!(outcome.p999() <= 100.0, "{clients} clients: {outcome:?}");
    }
}

#[test]
fn a_server_that_was_slow_has_its_share_back_within_two_time_constants() {
    for clients in CLIENTS {
        let world = faulty(clients, Fault::Slow(10.0), (5, 15), 1200.0, 36);
        let share = world.share(0, 33, 36);
        let outcome = world.outcome(secs(5), secs(36));
        println!("S6 {clients:2} {outcome:?}, share {:.2} % in it", world.share(0, 6, 15));
        for at in 15..36 {
            print!(" {:.1}", world.share(0, at, at + 1));
        }
        println!();
        assert!(share >= 8.0, "{clients} clients: {share:.2} %");
    }
}
