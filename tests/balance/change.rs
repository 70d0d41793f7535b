//! Goal: servers crash, flap, come back slowly or all at once, and are added by the dozen, and the
//! requests notice as little as can be. Method: every strategy through each of it, in virtual time.

use std::time::Duration;

use crate::contenders::ALL;
use crate::outcome::Outcome;
use crate::secs;
use crate::station::{Fault, Plan};
use crate::world::World;
use evenkeel::Strategy;

/// Ten servers can do 4,000 requests a second.
const RATE: f64 = 1600.0;

/// What 99 of 100 requests take at this rate while nothing happens: some 47 ms, whichever server
/// they go to, since it is the time of the work itself.
const CALM: f64 = 50.0;

/// One pool with this strategy over ten such servers, for so long.
fn run(strategy: Strategy, plans: &[Plan; 10], length: u64) -> World {
    let world = World::new(7, plans, (1, 10), strategy);
    world.sim.block_on(async {
        world.load(RATE, secs(length)).await;
        world.finish().await;
    });
    world
}

/// Ten servers of which the first is as told.
fn first(plan: Plan) -> [Plan; 10] {
    let mut plans = [const { Plan::plain() }; 10];
    plans[0] = plan;
    plans
}

/// How those went that were due in these seconds.
fn told(what: &str, strategy: Strategy, world: &World, from: u64, to: u64) -> Outcome {
    let outcome = world.outcome(secs(from), secs(to));
    println!("{what:20} {strategy:18} {outcome:?}");
    outcome
}

#[test]
fn a_crash_costs_no_request() {
    for strategy in ALL {
        let world = run(strategy, &first(Plan::plain().fault(Fault::Down, 2, 4)), 6);
        let outcome = told("crash", strategy, &world, 1, 6);
        // What was cut is sent again, what is refused goes elsewhere.
        assert_eq!(outcome.ok_percent(), 100.0);
        assert!(outcome.p99() <= 1.25 * CALM, "{outcome:?}");
        assert_eq!(world.stations[0].came(3, 4), 0);
    }
}

#[test]
fn flapping_costs_next_to_no_request() {
    for strategy in ALL {
        let flapping = (1..5).map(|n| 2 * n - 1);
        let plan = flapping.fold(Plan::plain(), |plan, at| plan.fault(Fault::Down, at, at + 1));
        let world = run(strategy, &first(plan), 10);
        let outcome = told("flapping", strategy, &world, 1, 10);
        // A request that is cut on a connection of its own is not sent again: for all the client
        // knows, it is what made the server close.
        assert!(outcome.ok_percent() >= 99.95, "{outcome:?}");
        assert!(outcome.p99() <= 1.25 * CALM, "{outcome:?}");
    }
}

#[test]
fn a_server_that_comes_back_slowly_is_spared_by_who_looks_at_load() {
    for strategy in ALL {
        let plan = Plan::plain().fault(Fault::Down, 2, 3).fault(Fault::Slow(10.0), 3, 6);
        let world = run(strategy, &first(plan), 10);
        let outcome = told("slow recovery", strategy, &world, 3, 6);
        println!("{:.2} {:.2}", world.share(0, 3, 6), world.share(0, 8, 10));
    }
}

#[test]
fn all_servers_come_back_at_once_and_none_is_overrun() {
    for strategy in ALL {
        let plans = [const { Plan::plain() }; 10].map(|plan| plan.fault(Fault::Hung, 2, 4));
        let world = run(strategy, &plans, 10);
        told("thundering recovery", strategy, &world, 4, 5);
        let outcome = told("thereafter", strategy, &world, 6, 10);
        assert_eq!(outcome.ok_percent(), 100.0);
        assert!(outcome.p99() <= 1.25 * CALM, "{outcome:?}");
    }
}

#[test]
fn one_server_becomes_128_and_each_gets_its_share() {
    for strategy in ALL {
        let plan = Plan { workers: 1, ..Plan::plain() };
        let world = World::new(7, &vec![plan; 128], (1, 1), strategy);
        world.sim.block_on(async {
            world.load(50.0, secs(1)).await;
            // One server more every 20 ms, and as much more to do.
            for (number, station) in world.stations.iter().enumerate().skip(1) {
                world.pools[0].add_server(station.server()).expect("the pool is open");
                let time = secs(1) + Duration::from_millis(20) * number as u32;
                world.load(50.0 * (number + 1) as f64, time).await;
            }
            world.load(50.0 * 128.0, secs(6)).await;
            world.finish().await;
        });
        told("1 to 128, ramp", strategy, &world, 1, 4);
        let outcome = told("1 to 128, after", strategy, &world, 4, 6);
        let shares: Vec<f64> = (0..128).map(|n| world.share(n, 4, 6) / 100.0 * 128.0).collect();
        let least = shares.iter().copied().fold(f64::INFINITY, f64::min);
        let most = shares.iter().copied().fold(0.0, f64::max);
        println!("{least} {most}");
        assert_eq!(outcome.ok_percent(), 100.0);
    }
}
