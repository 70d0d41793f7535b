//! Goal: servers crash, flap, come back slowly or all at once, and are added by the dozen, and the
//! requests notice as little as can be. Method: every strategy through each of it.

use std::time::Duration;

use evenkeel::Strategy;

use crate::contenders::ALL;
use crate::outcome::Outcome;
use crate::secs;
use crate::station::{Fault, Plan};
use crate::world::{World, config};

/// A quarter of what ten servers can do.
const RATE: f64 = 1000.0;

/// What 99 of 100 requests take at this rate while nothing happens, in milliseconds. It is the time
/// of the work itself: there is next to no line at any server.
const CALM: f64 = 47.0;

/// One pool over ten such servers, for so long.
fn run(strategy: Strategy, plans: &[Plan; 10], length: u64) -> World {
    let world = World::new(7, plans, (1, 10), config(strategy));
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

/// How those went that were due in these seconds. It is shown for a test that fails.
fn told(what: &str, strategy: Strategy, world: &World, from: u64, to: u64) -> Outcome {
    let outcome = world.outcome(secs(from), secs(to));
    println!("{what:18} {strategy:18} {outcome:?}");
    outcome
}

#[test]
fn a_crash_costs_no_request() {
    for strategy in ALL {
        let world = run(strategy, &first(Plan::plain().fault(Fault::Down, 1, 3)), 5);
        let outcome = told("crash", strategy, &world, 0, 5);
        // What was cut is sent again, what is refused goes elsewhere.
        assert_eq!(outcome.ok_percent(), 100.0, "{strategy}");
        assert!(outcome.p99() <= 1.25 * CALM, "{strategy}: {outcome:?}");
    }
}

#[test]
fn flapping_costs_next_to_no_request() {
    for strategy in ALL {
        let flapping = (1..3).map(|n| 2 * n - 1);
        let plan = flapping.fold(Plan::plain(), |plan, at| plan.fault(Fault::Down, at, at + 1));
        let world = run(strategy, &first(plan), 5);
        let outcome = told("flapping", strategy, &world, 0, 5);
        // A request that is cut on a connection of its own is not sent again: for all the client
        // knows, it is what made the server close.
        assert!(outcome.ok_percent() >= 99.95, "{strategy}: {outcome:?}");
        assert!(outcome.p99() <= 1.25 * CALM, "{strategy}: {outcome:?}");
    }
}

#[test]
fn a_server_that_comes_back_slowly_is_spared_by_those_who_look_at_its_load() {
    for strategy in ALL {
        // It could do 20 requests a second, and its share would be 100.
        let plan = Plan::plain().fault(Fault::Down, 1, 2).fault(Fault::Slow(20.0), 2, 5);
        let world = run(strategy, &first(plan), 5);
        let outcome = told("slow recovery", strategy, &world, 2, 5);
        let (share, ok) = (world.share(0, 2, 5), outcome.ok_percent());
        match strategy {
            Strategy::LeastConnections
            | Strategy::PowerOfTwoChoices
            | Strategy::PeakEwma
            | Strategy::BoundedLoadHash => {
                assert!(share <= 5.0 && ok >= 99.9, "{strategy}: {share:.1} %, {outcome:?}");
            }
            // The others are blind to it: so the test would notice if nobody had looked.
            _ => assert!(share > 9.0 && ok < 99.0, "{strategy}: {share:.1} %, {outcome:?}"),
        }
    }
}

#[test]
fn all_servers_come_back_at_once_and_none_is_overrun() {
    for strategy in ALL {
        let plans = [const { Plan::plain() }; 10].map(|plan| plan.fault(Fault::Hung, 1, 3));
        let world = run(strategy, &plans, 6);
        let at_once = told("all come back", strategy, &world, 3, 4);
        let later = told("thereafter", strategy, &world, 4, 6);
        for outcome in [at_once, later] {
            assert_eq!(outcome.ok_percent(), 100.0, "{strategy}");
            assert!(outcome.p99() <= 1.25 * CALM, "{strategy}: {outcome:?}");
        }
        for server in 0..10 {
            let share = world.share(server, 4, 6);
            assert!((5.0..17.0).contains(&share), "{strategy}: server {server} has {share:.1} %");
        }
    }
}

/// What a server of one worker gets while servers are added: a quarter of what it can do.
const EACH: f64 = 25.0;

/// What 99 of 100 requests take then if they come to each server by chance, in milliseconds: the
/// times of M/M/1 are exponential, with the mean 1 / (100 − 25).
const ALONE: f64 = 4.605 * 1000.0 / 75.0;

#[test]
fn one_server_becomes_128_and_each_gets_its_share() {
    let plan = Plan { workers: 1, ..Plan::plain() };
    for strategy in ALL {
        let world = World::new(7, &vec![plan.clone(); 128], (1, 1), config(strategy));
        world.sim.block_on(async {
            world.load(EACH, secs(1)).await;
            // One server more every 15 ms, and as much more to do.
            for (number, station) in (1..).zip(&world.stations[1..]) {
                world.pools[0].add_server(station.server()).expect("the pool is open");
                let time = secs(1) + Duration::from_millis(15) * number;
                world.load(EACH * f64::from(number + 1), time).await;
            }
            world.load(EACH * 128.0, secs(6)).await;
            world.finish().await;
        });
        let ramp = told("1 to 128 servers", strategy, &world, 1, 3);
        let after = told("thereafter", strategy, &world, 3, 6);
        let shares = || (0..128).map(|n| world.share(n, 3, 6) * 1.28);
        let least = shares().fold(f64::INFINITY, f64::min);
        let most = shares().fold(0.0, f64::max);
        println!("{strategy}: {least:.2} to {most:.2} of its share");
        for outcome in [&ramp, &after] {
            assert_eq!(outcome.ok_percent(), 100.0, "{strategy}: {outcome:?}");
            assert!(outcome.p99() <= 1.25 * ALONE, "{strategy}: {outcome:?}");
        }
        // Peak-EWMA avoids for a while whoever had a hard piece of work to do.
        let fair = if strategy == Strategy::PeakEwma { 0.05 } else { 0.5 };
        assert!(least >= fair && most <= 2.0, "{strategy}: {least:.2} to {most:.2}");
    }
}
