//! Goal: servers are checked as often as they should be, by what they answer, and taken out and
//! back by as many checks as it should take. Method: servers in a simulated world that can be told
//! how to answer.

use std::time::Duration;

use evenkeel::rt::sim::Sim;
use evenkeel::{
    Builder, CheckFailure, ErrorKind, Exclusion, Health, HealthCheck, HealthReason, Pool, Select,
    ServerStats,
};

use crate::support::patient::{AFTER, HANGS, Patient};
use crate::support::sim::{MS, ONE, SECOND, TWO, get, whole, wished};
use crate::support::{assert_balanced, parse};

const FAST: Duration = Duration::from_millis(100);

pub(super) fn builder(sim: &Sim, patients: &[&Patient]) -> Builder {
    let builder = Pool::builder().runtime(sim.runtime()).seed(1);
    patients.iter().fold(builder, |builder, patient| builder.server(patient.server()))
}

/// What the pool knows of its first server.
pub(super) fn first(pool: &Pool) -> ServerStats {
    pool.server_stats().swap_remove(0)
}

/// Waits until the first server has had so many checks.
pub(super) async fn checked(sim: &Sim, pool: &Pool, count: u64) {
    while { first(pool).health_checks_success + first(pool).health_checks_failed } < count {
        sim.sleep(MS * 10).await;
    }
}

#[test]
fn a_server_is_down_after_three_failed_checks_and_up_after_two_good_ones() {
    let sim = Sim::new();
    let (one, two) = (Patient::start(&sim, ONE), Patient::start(&sim, TWO));
    sim.block_on(async {
        let pool = builder(&sim, &[&one, &two]).slow_start(None).build().unwrap();
        assert_eq!(first(&pool).health, Health::Unknown);
        checked(&sim, &pool, 1).await;
        assert_eq!(first(&pool).health, Health::Up);
        one.checks_get(503);
        for failed in 1..=2 {
            checked(&sim, &pool, 1 + failed).await;
            assert_eq!(first(&pool).health, Health::Up, "after {failed}");
            assert_eq!(first(&pool).failure_count, u32::try_from(failed).unwrap());
        }
        checked(&sim, &pool, 4).await;
        let stats = first(&pool);
        assert_eq!((stats.health, stats.is_healthy), (Health::Down, false));
        let why = HealthReason::ChecksFailed(CheckFailure::Status(503));
        assert_eq!(stats.health_reason, why);
        let before = one.requests();
        for _ in 0..10 {
            get(&pool, "/").await.unwrap();
        }
        assert_eq!((one.requests(), two.requests()), (before, 10));
        let report = pool.explain(&Select::new());
        assert_eq!(report.servers[0].exclusion, Some(Exclusion::Down));
        one.checks_get(200);
        checked(&sim, &pool, first(&pool).health_checks_failed + 2).await;
        assert_eq!(first(&pool).health, Health::Down, "one good check is not enough");
        checked(&sim, &pool, first(&pool).health_checks_failed + 3).await;
        assert_eq!(first(&pool).health, Health::Up);
        for _ in 0..10 {
            get(&pool, "/").await.unwrap();
        }
        assert_eq!((one.requests(), two.requests()), (before + 5, 15));
        assert_balanced(&pool.metrics());
    });
}

/// A pool over one server with these checks, which has been looked at once.
pub(super) async fn looked_at(sim: &Sim, patient: &Patient, check: HealthCheck) -> Pool {
    let pool = builder(sim, &[patient]).health_check(check).build().expect("valid");
    checked(sim, &pool, 1).await;
    pool
}

#[test]
fn a_server_that_is_well_is_checked_once_in_each_interval() {
    let sim = Sim::new();
    let one = Patient::start(&sim, ONE);
    sim.block_on(async {
        let check = HealthCheck::default().idle_interval(SECOND);
        let pool = builder(&sim, &[&one]).health_check(check).health_check_interval(SECOND * 10);
        let pool = pool.build().unwrap();
        let began = sim.now();
        sim.sleep(SECOND * 1000).await;
        let times: Vec<_> = one.heads().into_iter().map(|(time, _)| time).collect();
        assert!(times[0] - began <= SECOND, "the first comes soon");
        let gaps: Vec<_> = times.windows(2).map(|pair| pair[1] - pair[0]).collect();
        assert!(gaps.iter().all(|gap| (SECOND * 9..=SECOND * 11).contains(gap)), "{gaps:?}");
        let (least, most) = (gaps.iter().min().unwrap(), gaps.iter().max().unwrap());
        assert!(*most - *least > SECOND, "they drift apart: {gaps:?}");
        assert!((95..=106).contains(&times.len()), "{}", times.len());
        let metrics = pool.metrics();
        assert_eq!(metrics.health_checks_success, times.len() as u64);
        assert_eq!((metrics.total_requests, metrics.connections_created), (0, 0));
        assert_eq!(one.sockets(), 0, "each closes its connection");
    });
}

#[test]
fn a_server_without_traffic_is_checked_at_the_idle_interval() {
    let sim = Sim::new();
    let (one, two) = (Patient::start(&sim, ONE), Patient::start(&sim, TWO));
    sim.block_on(async {
        let pool = builder(&sim, &[&one, &two]).build().unwrap();
        let id = first(&pool).id;
        for _ in 0..600 {
            sim.sleep(SECOND).await;
            let request = wished("/", Select::new().server(id));
            whole(pool.send(request).await.unwrap()).await.unwrap();
        }
        assert!((18..=24).contains(&one.checks()), "{}", one.checks());
        assert!((9..=12).contains(&two.checks()), "{}", two.checks());
    });
}

#[test]
fn a_check_without_an_answer_fails_at_its_timeout() {
    let sim = Sim::new();
    let one = Patient::start(&sim, ONE);
    for (after, expected) in [(1999, None), (2000, Some(CheckFailure::Timeout))] {
        one.checks_get(AFTER + after);
        sim.block_on(async {
            let pool = builder(&sim, &[&one]).health_check_timeout(SECOND * 2).build().unwrap();
            checked(&sim, &pool, 1).await;
            let last = first(&pool).last_check.unwrap();
            assert_eq!((last.took, last.failure), (MS * u32::try_from(after).unwrap(), expected));
        });
    }
    // Connecting is part of it.
    sim.net().black_hole(ONE);
    sim.block_on(async {
        let pool = looked_at(&sim, &one, HealthCheck::default()).await;
        let last = first(&pool).last_check.unwrap();
        assert_eq!((last.took, last.failure), (SECOND * 5, Some(CheckFailure::Timeout)));
        assert_eq!(one.sockets(), 0);
    });
}

#[test]
fn a_check_asks_for_the_path_it_is_given() {
    let sim = Sim::new();
    let one = Patient::start(&sim, ONE);
    sim.block_on(async {
        let base = parse(&format!("{}/base", one.url()));
        let builder = Pool::builder().runtime(sim.runtime()).server(base);
        let pool = builder.health_check_path("/healthz?full=1").build().unwrap();
        checked(&sim, &pool, 1).await;
        let expected = format!("get /healthz?full=1 http/1.1\r\nhost: {ONE}\r\n\r\n");
        assert_eq!(one.heads()[0].1, expected, "no base path, and no more fields than needed");
    });
    let bad = Pool::builder().runtime(sim.runtime()).health_check_path("health");
    let error = bad.build().expect_err("it does not begin with a slash");
    assert_eq!(error.kind(), ErrorKind::Config);
    assert!(error.to_string().contains("health_check.path"), "{error}");
}

#[test]
fn as_many_checks_must_fail_as_the_threshold_says() {
    let sim = Sim::new();
    let one = Patient::start(&sim, ONE);
    one.checks_get(500);
    for threshold in [1, 2, 5] {
        sim.block_on(async {
            let pool = builder(&sim, &[&one]).unhealthy_threshold(threshold).build().unwrap();
            if threshold > 1 {
                checked(&sim, &pool, u64::from(threshold) - 1).await;
                assert_eq!(first(&pool).health, Health::Unknown, "{threshold}");
                get(&pool, "/").await.unwrap();
            }
            checked(&sim, &pool, u64::from(threshold)).await;
            assert_eq!(first(&pool).health, Health::Down, "{threshold}");
            let error = get(&pool, "/").await.expect_err("it is down");
            assert_eq!(error.kind(), ErrorKind::NoHealthyServers);
            assert!(error.is_retry_safe() && error.server().is_none(), "{error:?}");
        });
    }
}

/// The original took one success for enough, whatever was set.
#[test]
fn as_many_checks_must_succeed_as_the_threshold_says() {
    let sim = Sim::new();
    let one = Patient::start(&sim, ONE);
    for threshold in [1, 2, 5] {
        one.checks_get(500);
        sim.block_on(async {
            let pool = builder(&sim, &[&one]).healthy_threshold(threshold).build().unwrap();
            while first(&pool).health != Health::Down {
                sim.sleep(MS * 10).await;
            }
            one.checks_get(200);
            let before = first(&pool).health_checks_failed;
            if threshold > 1 {
                checked(&sim, &pool, before + u64::from(threshold) - 1).await;
                assert_eq!(first(&pool).health, Health::Down, "{threshold}");
            }
            checked(&sim, &pool, before + u64::from(threshold)).await;
            assert_eq!(first(&pool).health, Health::Up, "{threshold}");
        });
    }
}

#[test]
fn a_server_that_flaps_from_check_to_check_stays_as_it_is() {
    let sim = Sim::new();
    let one = Patient::start(&sim, ONE);
    sim.block_on(async {
        let pool = looked_at(&sim, &one, HealthCheck::default()).await;
        for round in 2..40 {
            one.checks_get(if round % 3 == 0 { 200 } else { 500 });
            checked(&sim, &pool, round).await;
            assert_eq!(first(&pool).health, Health::Up, "after {round}");
        }
        one.checks_get(500);
        while first(&pool).health != Health::Down {
            sim.sleep(MS * 10).await;
        }
        let done = first(&pool).health_checks_success + first(&pool).health_checks_failed;
        for round in 1..40 {
            one.checks_get(if round % 2 == 0 { 200 } else { 500 });
            checked(&sim, &pool, done + round).await;
            assert_eq!(first(&pool).health, Health::Down, "after {round}");
        }
    });
}

/// The original took a server without the path for dead.
#[test]
fn a_thousand_servers_are_checked_by_few_checks_at_a_time_and_spread() {
    let sim = Sim::new();
    let addresses = (0..1000).map(|n| format!("10.1.{}.{}:80", n / 250, n % 250 + 1));
    let patients: Vec<Patient> = addresses.map(|addr| Patient::start(&sim, addr)).collect();
    patients.iter().for_each(|patient| patient.checks_get(AFTER + 20));
    sim.block_on(async {
        let all: Vec<&Patient> = patients.iter().collect();
        let check = HealthCheck::default().max_concurrent(25).idle_interval(SECOND);
        let pool = builder(&sim, &all).health_check(check).build().unwrap();
        let began = sim.now();
        let mut most = 0;
        while sim.now() - began < SECOND * 2 {
            sim.sleep(MS * 10).await;
            most = most.max(pool.metrics().health_checks_running);
        }
        assert_eq!(most, 25, "the bound is used, and kept");
        sim.sleep(SECOND * 33).await;
        assert!(patients.iter().all(|patient| patient.most_checks() == 1), "never two of a server");
        let times = patients.iter().flat_map(|patient| patient.heads());
        let mut seconds = [0; 36];
        times
            .for_each(|(time, _)| seconds[usize::try_from((time - began).as_secs()).unwrap()] += 1);
        assert_eq!(pool.metrics().unhealthy_servers, 0);
        // The second round is spread over the jitter, a fifth of the interval.
        let busiest = seconds[3..].iter().max().unwrap();
        assert!(*busiest <= 300, "{seconds:?}");
        assert!(seconds[26..].iter().sum::<i32>() >= 900, "{seconds:?}");
    });
}

#[test]
fn a_check_is_never_begun_while_the_last_one_goes_on() {
    let sim = Sim::new();
    let one = Patient::start(&sim, ONE);
    one.checks_get(HANGS);
    sim.block_on(async {
        let check = HealthCheck::default().fast_interval(FAST).down_interval(FAST);
        let pool = builder(&sim, &[&one]).health_check(check).build().unwrap();
        sim.sleep(SECOND * 60).await;
        assert_eq!(one.most_checks(), 1);
        assert!((11..=12).contains(&one.checks()), "one after another: {}", one.checks());
        assert_eq!(pool.metrics().health_checks_running, 1);
        assert_eq!(first(&pool).next_check, None);
    });
}

#[test]
fn the_end_of_the_pool_ends_a_check_under_way() {
    for shuts_down in [false, true] {
        let sim = Sim::new();
        let one = Patient::start(&sim, ONE);
        one.checks_get(HANGS);
        sim.block_on(async {
            let pool = builder(&sim, &[&one]).build().unwrap();
            sim.sleep(SECOND * 2).await;
            assert_eq!((one.sockets(), pool.metrics().health_checks_running), (1, 1));
            let before = sim.now();
            if shuts_down {
                pool.shutdown(SECOND * 30).await;
                let metrics = pool.metrics();
                assert_eq!((metrics.health_checks_running, metrics.health_checks), (0, 1));
                assert!(!metrics.background);
            } else {
                drop(pool);
                sim.settle().await;
            }
            assert_eq!((one.sockets(), sim.now() - before), (0, Duration::ZERO));
        });
    }
}

#[test]
fn a_server_that_leaves_takes_its_check_along_and_one_that_joins_is_checked() {
    let sim = Sim::new();
    let (one, two) = (Patient::start(&sim, ONE), Patient::start(&sim, TWO));
    one.checks_get(HANGS);
    sim.block_on(async {
        let pool = builder(&sim, &[]).build().unwrap();
        sim.sleep(SECOND * 5).await;
        assert!(!pool.metrics().background, "there is nothing to check");
        let id = pool.add_server(one.server()).unwrap();
        sim.sleep(SECOND * 2).await;
        assert_eq!(one.sockets(), 1);
        pool.remove_server(id).unwrap();
        pool.add_server(two.server()).unwrap();
        sim.settle().await;
        assert_eq!(one.sockets(), 0);
        sim.sleep(SECOND).await;
        assert_eq!((two.checks(), pool.metrics().health_checks_running), (1, 0));
        assert_eq!(pool.metrics().health_checks, 2);
    });
}

#[test]
fn without_background_an_explicit_check_is_refused_and_the_implicit_one_is_off() {
    let sim = Sim::new();
    let one = Patient::start(&sim, ONE);
    let builder = || Pool::builder().runtime(sim.runtime_without_background()).server(one.server());
    for check in [HealthCheck::get("/"), HealthCheck::head("/"), HealthCheck::tcp()] {
        let error = builder().health_check(check.clone()).build().expect_err("nobody checks");
        assert_eq!(error.kind(), ErrorKind::NoBackground);
        assert!(error.is_usage() && error.to_string().contains("spawner"), "{error}");
        drop(builder().health_check(check).build_with_driver().unwrap());
    }
    sim.block_on(async {
        let pool = builder().start_unknown(false).build().unwrap();
        get(&pool, "/").await.unwrap();
        sim.sleep(SECOND * 100).await;
        assert_eq!((one.checks(), pool.metrics().background), (0, false));
    });
}

#[test]
fn a_driver_that_ends_leaves_no_verdict_behind() {
    let sim = Sim::new();
    let one = Patient::start(&sim, ONE);
    one.checks_get(500);
    sim.block_on(async {
        let (pool, driver) = builder(&sim, &[&one]).build_with_driver().unwrap();
        let end = async {
            while first(&pool).health != Health::Down {
                sim.sleep(MS * 10).await;
            }
        };
        futures_lite::future::or(driver, end).await;
        let stats = first(&pool);
        assert_eq!((stats.health, stats.health_reason), (Health::Unknown, HealthReason::New));
        assert_eq!((stats.last_check, stats.next_check), (None, None));
        get(&pool, "/").await.unwrap();
    });
}

#[test]
fn a_failed_request_brings_the_next_check_forward() {
    let sim = Sim::new();
    let one = Patient::start(&sim, ONE);
    sim.block_on(async {
        let pool = looked_at(&sim, &one, HealthCheck::default()).await;
        let next = first(&pool).next_check.unwrap();
        assert!(next > SECOND * 26, "{next:?}");
        sim.sleep(SECOND * 3).await;
        one.gives(500);
        get(&pool, "/").await.unwrap();
        sim.settle().await;
        assert_eq!(one.checks(), 2);
        // Not with each request: a second after the last check at the soonest.
        for _ in 0..50 {
            get(&pool, "/").await.unwrap();
            sim.sleep(MS * 10).await;
        }
        assert_eq!(one.checks(), 2);
    });
}
