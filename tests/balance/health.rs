//! Goal: with health checks, ejection and slow start on, as they are by default, a server that
//! fails, hangs or was slow costs next to no request with any strategy, and has its share back
//! soon. Method: the scenarios of `faults`, S4 to S6, again.

use evenkeel::{Config, Ejection, HealthCheck, Strategy};

use crate::contenders::ALL;
use crate::faults::{CLIENTS, FAILS_FAST, back, decay, faulty};
use crate::secs;
use crate::station::Fault;
use crate::world::config;

/// With health as it is by default.
fn watched(mut config: Config) -> Config {
    config.health_check = HealthCheck::default();
    config.ejection = Ejection::default();
    config
}

#[test]
fn a_server_that_fails_fast_is_left_alone_by_every_strategy() {
    // Each pool has to lose a few to know it: five of 1,500 where there are twenty pools.
    let many = [(Strategy::PeakEwma, 20, 99.9), (Strategy::RoundRobin, 20, 99.5)];
    let one = ALL.into_iter().map(|strategy| (strategy, 1, 99.9));
    for (strategy, clients, least) in one.chain(many) {
        let config = watched(config(strategy));
        let world = faulty(clients, config, FAILS_FAST, (3, 33), (1000.0, 33));
        let outcome = world.outcome(secs(3), secs(33));
        println!("S4 {strategy:18} {clients:2} {outcome:?}");
        assert!(outcome.ok_percent() >= least, "{strategy}, {clients} clients: {outcome:?}");
    }
}

#[test]
fn a_hung_server_holds_up_less_than_one_of_a_thousand() {
    for clients in CLIENTS {
        let world = faulty(clients, watched(decay(10)), Fault::Hung, (3, 43), (1500.0, 43));
        let outcome = world.outcome(secs(3), secs(43));
        println!("S5 {clients:2} {outcome:?}");
        assert!(outcome.p999() <= 100.0, "{clients} clients: {outcome:?}");
    }
}

#[test]
fn a_server_that_was_slow_has_its_share_back_within_two_time_constants() {
    for clients in CLIENTS {
        let world = faulty(clients, watched(decay(5)), Fault::Slow(10.0), (4, 10), (1000.0, 22));
        let (during, back) = (world.share(0, 5, 10), back(&world, 10, 22));
        println!("S6 {clients:2}, τ 5 s: {during:.2} % while slow, back after {back:?} s");
        assert!(during <= 2.0, "{clients} clients: {during:.2} %");
        assert!(back.is_some_and(|back| back <= 10), "{clients} clients");
    }
}

/// Without ejection it takes six to eight time constants: a minute and more. That a server has
/// recovered is known here, and what it did before is forgotten.
#[test]
fn a_server_that_failed_has_its_share_back_within_ten_seconds() {
    for strategy in [Strategy::PeakEwma, Strategy::RoundRobin, Strategy::LeastConnections] {
        for clients in CLIENTS {
            for fault in [FAILS_FAST, Fault::Hung, Fault::Down] {
                let config = watched(config(strategy));
                let world = faulty(clients, config, fault, (3, 13), (1000.0, 28));
                let (during, back) = (world.share(0, 6, 13), back(&world, 13, 28));
                println!("{strategy:18} {clients:2} {fault:?}: {during:.2} %, back {back:?} s");
                assert!(during <= 1.0, "{strategy}, {clients} clients, {fault:?}: {during:.2} %");
                assert!(back.is_some_and(|back| back <= 10), "{strategy}, {clients}, {fault:?}");
            }
        }
    }
}
