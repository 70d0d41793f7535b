//! Goal: the worlds of this suite are what they are meant to be. Method: queueing theory, which
//! knows what must come out, and the same run twice.

use std::time::Duration;

use crate::secs;
use crate::station::{Fault, Plan};
use crate::world::{World, config};
use evenkeel::Strategy;

/// With one worker, Poisson arrivals and exponential service, the times that requests take are
/// exponential too, with the mean 1 / (what it can do − what comes): that is M/M/1.
#[test]
fn a_server_with_one_worker_is_as_slow_as_theory_says() {
    let plan = Plan { workers: 1, ..Plan::plain() };
    let world = World::new(3, &[plan], (1, 1), config(Strategy::RoundRobin));
    world.sim.block_on(async {
        world.load(50.0, secs(400)).await;
        world.finish().await;
    });
    let outcome = world.outcome(secs(0), secs(400));
    let mean = 1000.0 / (100.0 - 50.0);
    for per_mille in [500, 900, 990_u16] {
        let expected = -(1.0 - f64::from(per_mille) / 1000.0).ln() * mean;
        let error = outcome.within(per_mille.into()) / expected - 1.0;
        assert!(error.abs() < 0.05, "{per_mille}: {error:+.3} off {expected:.1} ms: {outcome:?}");
    }
}

#[test]
fn the_same_seed_makes_the_same_world_on_any_thread() {
    let run = |seed| {
        let mut plans = vec![Plan::plain(); 5];
        plans[0] = Plan::plain().fault(Fault::Down, 1, 2);
        plans[1] = Plan::plain().fault(Fault::Unavailable(Duration::from_millis(1)), 2, 3);
        let world = World::new(seed, &plans, (3, 5), config(Strategy::PeakEwma));
        world.sim.block_on(async {
            world.load(500.0, secs(3)).await;
            world.finish().await;
        });
        world.outcome(secs(0), secs(3))
    };
    let elsewhere = |seed| std::thread::scope(|scope| scope.spawn(|| run(seed)).join());
    let first = run(1);
    assert_eq!(first, elsewhere(1).expect("no panic"));
    assert_ne!(first, elsewhere(2).expect("no panic"));
}
