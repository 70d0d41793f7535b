//! Goal: a server whose requests fail is left alone, tried again by one request at a time, and not
//! for what is not its fault; and never the last one. Method: servers in a simulated world that are
//! well by their checks, or are not checked.

use std::time::Duration;

use evenkeel::rt::sim::Sim;
use evenkeel::{
    Builder, Ejection, Fault, Health, HealthCheck, HealthReason, Pool, Select, ServerStats, Verdict,
};
use futures_lite::future::poll_once;

use crate::support::assert_balanced;
use crate::support::join::{Job, join_all};
use crate::support::patient::{CUTS, HANGS, Patient};
use crate::support::sim::{MS, ONE, SECOND, TWO, get, wished};

/// Servers that are not checked.
fn builder(sim: &Sim, patients: &[&Patient]) -> Builder {
    let builder = Pool::builder().runtime(sim.runtime()).seed(1).slow_start(None);
    let builder = builder.health_check(HealthCheck::off());
    patients.iter().fold(builder, |builder, patient| builder.server(patient.server()))
}

fn first(pool: &Pool) -> ServerStats {
    pool.server_stats().swap_remove(0)
}

/// So many requests to the first server.
async fn ask(pool: &Pool, count: usize) {
    let id = first(pool).id;
    for _ in 0..count {
        if let Ok(response) = pool.send(wished("/", Select::new().server(id))).await {
            drop(response.into_body().bytes().await);
        }
    }
}

#[test]
fn five_failures_in_a_row_eject_a_server_and_four_do_not() {
    let sim = Sim::new();
    let (one, two) = (Patient::start(&sim, ONE), Patient::start(&sim, TWO));
    sim.block_on(async {
        let pool = builder(&sim, &[&one, &two]).build().unwrap();
        one.requests_get(500);
        ask(&pool, 4).await;
        one.requests_get(200);
        ask(&pool, 1).await;
        one.requests_get(500);
        ask(&pool, 4).await;
        assert_eq!((first(&pool).health, first(&pool).failed_in_a_row), (Health::Unknown, 4));
        ask(&pool, 1).await;
        let stats = first(&pool);
        assert_eq!((stats.health, stats.ejections, stats.is_healthy), (Health::Ejected, 1, false));
        assert_eq!(stats.health_reason, HealthReason::Failures(Fault::ServerError));
        assert_eq!((one.sockets(), pool.metrics().destroyed.unhealthy), (0, 1));
        let before = one.requests();
        for _ in 0..10 {
            get(&pool, "/").await.unwrap();
        }
        assert_eq!(one.requests(), before);
        assert_balanced(&pool.metrics());
    });
}

/// Fails so many requests in a row, so that the first server is ejected.
async fn eject(pool: &Pool, one: &Patient) {
    one.requests_get(500);
    ask(pool, 5).await;
    assert_eq!(first(pool).health, Health::Ejected);
}

#[test]
fn each_kind_of_fault_counts_and_what_is_not_the_server_s_does_not() {
    let sim = Sim::new();
    let (mut one, two) = (Patient::start(&sim, ONE), Patient::start(&sim, TWO));
    let failures = |pool: &Pool| first(pool).failed_in_a_row;
    sim.block_on(async {
        let builder = builder(&sim, &[&one, &two]).ejection(Ejection::off());
        let pool = builder.request_timeout(SECOND).max_connections_per_server(1).build().unwrap();
        let mut count = 0;
        for (manner, counts) in
            [(500, 1), (503, 1), (404, 0), (501, 1), (429, 0), (CUTS, 1), (HANGS, 1), (302, 0)]
        {
            one.requests_get(manner);
            pool.close_idle();
            ask(&pool, 1).await;
            // An answer that is one begins it anew; a 429 does neither.
            let is_answer = matches!(manner, 404 | 302);
            count = if is_answer { 0 } else { count + counts };
            assert_eq!(failures(&pool), count, "{manner}");
        }
        one.requests_get(500);
        ask(&pool, 1).await;
        // A caller who gives up, a full line, and a request that cannot be sent.
        one.requests_get(HANGS);
        let id = first(&pool).id;
        let named = || Select::new().server(id);
        let mut slow = Box::pin(pool.send(wished("/", named())));
        assert!(poll_once(&mut slow).await.is_none());
        sim.settle().await;
        let late = pool.send(wished("/", named().queue_timeout(MS))).await;
        assert!(late.expect_err("the only connection is in use").is_timeout());
        drop(slow);
        assert!(pool.send(wished("http://elsewhere/", named())).await.is_err());
        assert!(pool.send(wished("/", named().timeout(Duration::ZERO))).await.is_err());
        assert_eq!(failures(&pool), 1);
        one.kill().await;
        ask(&pool, 1).await;
        assert_eq!((failures(&pool), first(&pool).connect_errors), (2, 1));
        assert_balanced(&pool.metrics());
    });
}

#[test]
fn a_share_of_failures_ejects_a_server_that_fails_none_in_a_row() {
    for (failing, expected) in [(10, Health::Unknown), (11, Health::Ejected)] {
        let sim = Sim::new();
        let (one, two) = (Patient::start(&sim, ONE), Patient::start(&sim, TWO));
        sim.block_on(async {
            let rules = Ejection::new().failures_in_a_row(None);
            let pool = builder(&sim, &[&one, &two]).ejection(rules).build().unwrap();
            // A 429 counts here.
            one.requests_get(429);
            ask(&pool, 1).await;
            one.requests_get(200);
            ask(&pool, 20 - failing).await;
            one.requests_get(500);
            ask(&pool, failing - 1).await;
            let stats = first(&pool);
            assert_eq!(stats.health, expected, "{failing} of 20");
            if expected == Health::Ejected {
                assert_eq!(stats.health_reason, HealthReason::SuccessRate);
            }
        });
    }
}

#[test]
fn failures_long_ago_do_not_count() {
    let sim = Sim::new();
    let (one, two) = (Patient::start(&sim, ONE), Patient::start(&sim, TWO));
    sim.block_on(async {
        let rules = Ejection::new().failures_in_a_row(None);
        let pool = builder(&sim, &[&one, &two]).ejection(rules).build().unwrap();
        one.requests_get(500);
        ask(&pool, 19).await;
        sim.sleep(SECOND * 11).await;
        ask(&pool, 1).await;
        assert_eq!(first(&pool).health, Health::Unknown);
    });
}

#[test]
fn an_ejected_server_is_tried_by_one_request_at_a_time_until_two_have_succeeded() {
    let sim = Sim::new();
    let (one, two) = (Patient::start(&sim, ONE), Patient::start(&sim, TWO));
    sim.block_on(async {
        let pool = builder(&sim, &[&one, &two]).build().unwrap();
        eject(&pool, &one).await;
        let before = one.requests();
        one.requests_get(HANGS);
        // A second, and a fifth of it more at the most.
        sim.sleep(MS * 1201).await;
        assert_eq!(first(&pool).health, Health::Trial);
        let on_trial = pool.explain(&Select::new());
        assert_eq!(on_trial.verdict, Verdict::Connect(first(&pool).id));
        let mut trial = Box::pin(get(&pool, "/"));
        assert!(poll_once(&mut trial).await.is_none());
        for _ in 0..20 {
            get(&pool, "/").await.unwrap();
        }
        assert_eq!(one.requests() - before, 1, "one at a time");
        // Its caller gives up: that says nothing.
        drop(trial);
        assert_eq!(first(&pool).health, Health::Trial);
        one.requests_get(200);
        get(&pool, "/").await.unwrap();
        assert_eq!((first(&pool).health, one.requests() - before), (Health::Trial, 2));
        get(&pool, "/").await.unwrap();
        let stats = first(&pool);
        assert_eq!((stats.health, one.requests() - before), (Health::Up, 3));
        assert_eq!(stats.health_reason, HealthReason::TrialPassed);
        for _ in 0..10 {
            get(&pool, "/").await.unwrap();
        }
        assert_eq!(one.requests() - before, 8);
        assert_balanced(&pool.metrics());
    });
}

#[test]
fn a_trial_that_fails_costs_one_request_and_doubles_the_time() {
    let sim = Sim::new();
    let (one, two) = (Patient::start(&sim, ONE), Patient::start(&sim, TWO));
    sim.block_on(async {
        let pool = builder(&sim, &[&one, &two]).build().unwrap();
        eject(&pool, &one).await;
        let mut time = SECOND;
        for round in 1..8 {
            let before = (sim.now(), one.requests());
            while one.requests() == before.1 {
                get(&pool, "/").await.unwrap();
                sim.sleep(MS * 10).await;
            }
            let waited = sim.now() - before.0;
            assert!(waited >= time.mul_f64(0.79), "round {round}: {waited:?}");
            assert!(waited <= time.mul_f64(1.21) + MS * 20, "round {round}: {waited:?}");
            let stats = first(&pool);
            assert_eq!((stats.health, stats.ejections), (Health::Ejected, round + 1));
            let why = HealthReason::TrialFailed(Fault::ServerError);
            assert_eq!(stats.health_reason, why);
            time = (time * 2).min(SECOND * 60);
        }
    });
}

#[test]
fn a_trial_that_cannot_connect_costs_no_request() {
    let sim = Sim::new();
    let (mut one, two) = (Patient::start(&sim, ONE), Patient::start(&sim, TWO));
    sim.block_on(async {
        let pool = builder(&sim, &[&one, &two]).build().unwrap();
        eject(&pool, &one).await;
        one.kill().await;
        for _ in 0..500 {
            get(&pool, "/").await.unwrap();
            sim.sleep(MS * 10).await;
        }
        let stats = first(&pool);
        assert_eq!(stats.health_reason, HealthReason::TrialFailed(Fault::Connect));
        assert_eq!((stats.ejections, stats.connect_errors), (3, 2));
        assert_eq!(pool.metrics().failed_requests, 5);
        assert_balanced(&pool.metrics());
    });
}

#[test]
fn neither_the_last_server_is_ejected_nor_more_than_half_of_all() {
    for count in 1..=5 {
        let sim = Sim::new();
        let addresses = (1..=count).map(|n| format!("10.0.0.{n}:80"));
        let patients: Vec<Patient> = addresses.map(|addr| Patient::start(&sim, addr)).collect();
        sim.block_on(async {
            let pool = builder(&sim, &patients.iter().collect::<Vec<_>>()).build().unwrap();
            patients.iter().for_each(|patient| patient.requests_get(500));
            for _ in 0..200 {
                get(&pool, "/").await.unwrap();
                let stats = pool.server_stats();
                let out = stats.iter().filter(|stats| !stats.is_healthy).count();
                assert!(out <= count / 2, "{out} of {count}");
            }
            assert_eq!(pool.metrics().unhealthy_servers, count / 2, "{count}");
        });
    }
}

#[test]
fn the_last_server_is_not_ejected_while_the_others_are_down() {
    let sim = Sim::new();
    let (one, two) = (Patient::start(&sim, ONE), Patient::start(&sim, TWO));
    two.checks_get(500);
    sim.block_on(async {
        let builder = builder(&sim, &[&one, &two]).health_check(HealthCheck::default());
        let pool = builder.build().unwrap();
        while pool.server_stats()[1].health != Health::Down {
            sim.sleep(MS * 100).await;
        }
        one.requests_get(500);
        ask(&pool, 20).await;
        assert_eq!((first(&pool).health, first(&pool).failed_in_a_row), (Health::Up, 20));
        // As soon as it is not the last one any more, it is.
        two.checks_get(200);
        while pool.server_stats()[1].health != Health::Up {
            sim.sleep(MS * 100).await;
        }
        ask(&pool, 1).await;
        assert_eq!(first(&pool).health, Health::Ejected);
    });
}

#[test]
fn when_the_others_go_down_the_ejected_ones_are_used_again() {
    let sim = Sim::new();
    let (one, two) = (Patient::start(&sim, ONE), Patient::start(&sim, TWO));
    sim.block_on(async {
        let pool = builder(&sim, &[&one, &two]).health_check(HealthCheck::default());
        let pool = pool.build().unwrap();
        sim.sleep(SECOND * 2).await;
        eject(&pool, &one).await;
        two.checks_get(500);
        while pool.server_stats()[1].health != Health::Down {
            get(&pool, "/").await.unwrap();
            sim.sleep(SECOND).await;
            one.requests_get(500);
        }
        let before = one.requests();
        get(&pool, "/").await.unwrap();
        assert_eq!(one.requests(), before + 1);
        two.checks_get(200);
        while pool.server_stats()[1].health != Health::Up {
            sim.sleep(MS * 100).await;
        }
        assert!(!first(&pool).is_healthy);
    });
}

#[test]
fn a_server_that_is_checked_is_tried_only_after_a_good_check() {
    let sim = Sim::new();
    let (one, two) = (Patient::start(&sim, ONE), Patient::start(&sim, TWO));
    sim.block_on(async {
        let check = HealthCheck::default().unhealthy_threshold(1000);
        let pool = builder(&sim, &[&one, &two]).health_check(check).build().unwrap();
        sim.sleep(SECOND * 2).await;
        one.checks_get(500);
        eject(&pool, &one).await;
        one.requests_get(200);
        let before = one.requests();
        for _ in 0..100 {
            get(&pool, "/").await.unwrap();
            sim.sleep(MS * 100).await;
        }
        assert_eq!((one.requests(), first(&pool).health), (before, Health::Trial));
        one.checks_get(200);
        for _ in 0..12 {
            get(&pool, "/").await.unwrap();
            sim.sleep(MS * 100).await;
        }
        assert_eq!(first(&pool).health, Health::Up);
    });
}

#[test]
fn those_who_wait_for_a_server_that_is_taken_out_go_elsewhere() {
    let sim = Sim::new();
    let (one, two) = (Patient::start(&sim, ONE), Patient::start(&sim, TWO));
    sim.block_on(async {
        let pool = builder(&sim, &[&one, &two]).max_connections_per_server(1).build().unwrap();
        let [at_one, at_two] = [0, 1].map(|at| Select::new().server(pool.server_stats()[at].id));
        one.requests_get(500);
        ask(&pool, 4).await;
        let held = [
            pool.checkout(at_one.clone()).await.unwrap(),
            pool.checkout(at_two.clone()).await.unwrap(),
        ];
        // All connections are in use: these stand in line, some here and some there.
        let jobs = (0..6).map(|_| {
            let pool = pool.clone();
            Box::pin(async move {
                let checkout = pool.checkout(Select::new().timeout(SECOND)).await.unwrap();
                checkout.server().url().to_owned()
            }) as Job<String>
        });
        let mut waiting = Box::pin(join_all(jobs.collect()));
        assert!(poll_once(&mut waiting).await.is_none());
        let mut named = Box::pin(pool.checkout(at_one.timeout(SECOND)));
        assert!(poll_once(&mut named).await.is_none());
        let waits = || pool.server_stats().iter().map(|stats| stats.waiting).collect::<Vec<_>>();
        assert!(waits()[0] > 1 && waits().iter().sum::<u64>() == 7, "{:?}", waits());
        let [mut bad, good] = held;
        let response = bad.send(wished("/", Select::new())).await.unwrap();
        drop(response);
        assert_eq!(first(&pool).health, Health::Ejected);
        assert!(poll_once(&mut waiting).await.is_none());
        assert_eq!(waits(), [1, 6], "who names it stays");
        drop((bad, good));
        assert_eq!(waiting.await, vec![two.url(); 6]);
        assert_eq!(named.await.unwrap().server().url(), one.url());
    });
}

#[test]
fn a_caller_that_dials_a_server_that_is_taken_out_goes_elsewhere() {
    let sim = Sim::new();
    let (one, two) = (Patient::start(&sim, ONE), Patient::start(&sim, TWO));
    sim.block_on(async {
        let pool = builder(&sim, &[&one, &two]).build().unwrap();
        one.requests_get(500);
        ask(&pool, 4).await;
        let id = first(&pool).id;
        let mut bad = pool.checkout(Select::new().server(id)).await.unwrap();
        sim.net().black_hole(ONE);
        let mut dialling: Vec<_> = (0..4).map(|_| Box::pin(get(&pool, "/"))).collect();
        for caller in &mut dialling {
            assert!(poll_once(caller).await.is_none());
        }
        let before = sim.now();
        drop(bad.send(wished("/", Select::new())).await.unwrap());
        for caller in dialling {
            caller.await.unwrap();
        }
        assert_eq!((sim.now(), two.requests()), (before, 4));
    });
}
