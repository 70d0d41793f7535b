//! Goal: peak-EWMA finds out what each server can do, and keeps the tail short. Method: equal
//! servers (S1), one ten times as slow (S2), three speeds (S3), under a steady load, sent by one
//! pool that sees all of it and by twenty that share the servers and see a twentieth each.

use evenkeel::Strategy;

use crate::outcome::Outcome;
use crate::secs;
use crate::station::Plan;
use crate::world::{World, config};

/// How many pools share the load.
const CLIENTS: [usize; 2] = [1, 20];

/// The seconds that count. Before them the lines have to form, and nothing is known of the servers.
const FROM: u64 = 2;
const TO: u64 = 11;

fn steady(what: &str, strategy: Strategy, plans: &[Plan], clients: usize, rate: f64) -> World {
    let world = World::new(11, plans, (clients, plans.len()), config(strategy));
    world.sim.block_on(async {
        world.load(rate, secs(TO)).await;
        world.finish().await;
    });
    println!("{what} {clients:2} {strategy:18} {:?}", outcome(&world));
    world
}

fn outcome(world: &World) -> Outcome {
    world.outcome(secs(FROM), secs(TO))
}

/// S1: ten equal servers at 70 % of what they can do.
fn equal(strategy: Strategy, clients: usize) -> f64 {
    let plans = [const { Plan::plain() }; 10];
    outcome(&steady("S1", strategy, &plans, clients, 2800.0)).p99()
}

#[test]
fn peak_ewma_is_as_good_with_equal_servers_and_hardly_worse_if_one_is_ten_times_as_slow() {
    let mut plans = [const { Plan::plain() }; 10];
    plans[0] = Plan::plain().slower(10.0);
    for clients in CLIENTS {
        let least = equal(Strategy::LeastConnections, clients);
        let calm = equal(Strategy::PeakEwma, clients);
        assert!(calm <= 1.05 * least, "{clients} clients: {calm:.1} ms against {least:.1} ms");

        let world = steady("S2", Strategy::PeakEwma, &plans, clients, 2400.0);
        let (p99, share) = (outcome(&world).p99(), world.share(0, FROM, TO));
        println!("S2 {clients:2} the slow server has {share:.2} %");
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
        let known = steady("S3", Strategy::WeightedRoundRobin, &told, clients, 1500.0);
        let found = steady("S3", Strategy::PeakEwma, &plain, clients, 1500.0);
        let (known, found) = (outcome(&known).p99(), outcome(&found).p99());
        assert!(found <= 1.1 * known, "{clients} clients: {found:.1} ms against {known:.1} ms");
    }
}
