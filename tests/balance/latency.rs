//! Goal: peak-EWMA finds out what each server can do, and keeps the tail short. Method: equal
//! servers (S1), one ten times as slow (S2), three speeds (S3), under a steady load, seen by one
//! pool that sends everything and by twenty that share the servers and see a twentieth each.

use std::time::Duration;

use crate::outcome::Outcome;
use crate::secs;
use crate::station::Plan;
use crate::world::World;
use evenkeel::Strategy;

/// How many pools share the load.
const CLIENTS: [usize; 2] = [1, 20];

/// What comes before is not counted: the servers are idle, and nothing is known of them.
const WARM: u64 = 3;

fn steady(what: &str, strategy: Strategy, plans: &[Plan], clients: usize, rate: f64) -> World {
    let world = World::new(11, plans, (clients, plans.len()), strategy);
    world.sim.block_on(async {
        world.load(rate, secs(END)).await;
        world.finish().await;
    });
    println!("{what} {clients:2} {strategy:18} {:?}", outcome(&world));
    world
}

const END: u64 = 18;

fn outcome(world: &World) -> Outcome {
    world.outcome(secs(WARM), secs(END))
}

/// Ten equal servers at 70 % of what they can do.
fn equal(strategy: Strategy, clients: usize) -> World {
    steady("S1", strategy, &[const { Plan::plain() }; 10], clients, 2800.0)
}

#[test]
fn with_equal_servers_peak_ewma_is_no_worse_than_least_connections() {
    for clients in CLIENTS {
        let least = outcome(&equal(Strategy::LeastConnections, clients)).p99();
        let ewma = outcome(&equal(Strategy::PeakEwma, clients)).p99();
        assert!(ewma <= 1.05 * least, "{clients} clients: {ewma:.1} ms against {least:.1} ms");
    }
}

#[test]
fn a_server_ten_times_as_slow_gets_next_to_nothing_from_peak_ewma() {
    let mut plans = [const { Plan::plain() }; 10];
    plans[0] = Plan::plain().slower(10.0);
    for clients in CLIENTS {
        let calm = outcome(&equal(Strategy::PeakEwma, clients)).p99();
        let world = steady("S2", Strategy::PeakEwma, &plans, clients, 2400.0);
        let (p99, share) = (outcome(&world).p99(), world.share(0, 3, 18));
        println!("share {share}");
        assert!(p99 <= 1.25 * calm, "{clients} clients: {p99:.1} ms against {calm:.1} ms");
        assert!(share <= 1.0, "{clients} clients: {share:.2} %");
    }
}

#[test]
fn peak_ewma_finds_the_speeds_that_a_weighted_round_robin_is_told() {
    let speed = |n: usize| [1, 2, 4][n % 3];
    let plan = |n| Plan::plain().slower(4.0 / f64::from(speed(n)));
    let plain: Vec<Plan> = (0..10).map(plan).collect();
    let told: Vec<Plan> = (0..10).map(|n| Plan { weight: speed(n), ..plan(n) }).collect();
    for clients in CLIENTS {
        let known =
            outcome(&steady("S3", Strategy::WeightedRoundRobin, &told, clients, 1500.0)).p99();
        let found = outcome(&steady("S3", Strategy::PeakEwma, &plain, clients, 1500.0)).p99();
        assert!(found <= 1.1 * known, "{clients} clients: {found:.1} ms against {known:.1} ms");
    }
}
