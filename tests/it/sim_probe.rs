//! Goal: a check asks what it should, where it should, and takes the answer as it should. Method:
//! servers in a simulated world that can be told how to answer.

use std::time::Duration;

use evenkeel::rt::sim::Sim;
use evenkeel::{CheckFailure, CheckResponse, ErrorKind, Health, HealthCheck, Pool};

use super::sim_checks::{builder, checked, first, looked_at};
use crate::support::patient::{BABBLES, CUTS, HANGS, HUGE, Patient};
use crate::support::sim::{ONE, SECOND, TWO, get};

#[test]
fn only_an_explicit_check_wants_a_status_of_2xx() {
    let sim = Sim::new();
    let one = Patient::start(&sim, ONE);
    let explicit = || HealthCheck::get("/health");
    let rows = [(200, true, true), (299, true, true), (302, true, false), (404, true, false)];
    let rows =
        rows.into_iter().chain([(499, true, false), (500, false, false), (503, false, false)]);
    sim.block_on(async {
        for (status, implicit, strict) in rows {
            one.checks_get(status);
            for (check, ok) in [(HealthCheck::default(), implicit), (explicit(), strict)] {
                let pool = looked_at(&sim, &one, check).await;
                let failure = first(&pool).last_check.unwrap().failure;
                let expected = CheckFailure::Status(u16::try_from(status).unwrap());
                assert_eq!(failure, (!ok).then_some(expected), "{status}");
            }
        }
        // A redirect leads nowhere.
        assert!(one.heads().iter().all(|(_, head)| head.starts_with("get /health ")));
        one.checks_get(418);
        let teapot = explicit().expect_status(200..=204).expect_status(418..=418);
        let pool = looked_at(&sim, &one, teapot).await;
        assert_eq!(first(&pool).last_check.unwrap().failure, None);
    });
}

#[test]
fn a_server_without_the_path_stays_in_rotation_by_default() {
    let sim = Sim::new();
    let one = Patient::start(&sim, ONE);
    one.checks_get(404);
    sim.block_on(async {
        let pool = builder(&sim, &[&one]).build().unwrap();
        checked(&sim, &pool, 5).await;
        assert_eq!(first(&pool).health, Health::Up);
        get(&pool, "/").await.unwrap();
    });
}

#[test]
fn each_kind_of_failure_is_told_apart() {
    let sim = Sim::new();
    let mut one = Patient::start(&sim, ONE);
    let get = || HealthCheck::get("/health");
    sim.block_on(async {
        let rows = [
            (CUTS, get(), CheckFailure::Reset),
            (BABBLES, get(), CheckFailure::Protocol),
            (HANGS, get(), CheckFailure::Timeout),
            (HUGE, get().expect_body("ready"), CheckFailure::Body),
            (200, get().expect_body("steady"), CheckFailure::Body),
            (200, get().judge(|_| false), CheckFailure::Refused),
            (200, get().judge(|_| panic!("it may")), CheckFailure::Refused),
        ];
        for (manner, check, expected) in rows {
            one.checks_get(manner);
            let pool = looked_at(&sim, &one, check).await;
            assert_eq!(first(&pool).last_check.unwrap().failure, Some(expected));
            assert_eq!(one.sockets(), 0, "{expected:?}");
        }
        one.kill().await;
        let pool = looked_at(&sim, &one, get()).await;
        assert_eq!(first(&pool).last_check.unwrap().failure, Some(CheckFailure::Connect));
    });
}

#[test]
fn what_is_expected_and_there_is_found() {
    let sim = Sim::new();
    let one = Patient::start(&sim, ONE);
    sim.block_on(async {
        let get = || HealthCheck::get("/health");
        let judge = |response: &CheckResponse<'_>| {
            response.headers.contains_key("content-length")
                && response.body == b"ready to serve"
                && response.status == 200
        };
        let rows = [
            (200, get().expect_body("to serve")),
            (200, get().expect_body("")),
            (200, get().judge(judge)),
            (HUGE, get().expect_body("xxx")),
            (HUGE, get()),
            (200, HealthCheck::head("/health")),
            (500, HealthCheck::tcp()),
        ];
        for (manner, check) in rows {
            one.checks_get(manner);
            let pool = looked_at(&sim, &one, check).await;
            assert_eq!(first(&pool).last_check.unwrap().failure, None);
            assert_eq!(one.sockets(), 0);
        }
        assert_eq!(one.checks(), 6, "a connection is no request");
        assert!(one.heads().last().unwrap().1.starts_with("head /health http/1.1\r\n"));
    });
}

#[test]
fn a_check_carries_its_own_fields_and_host() {
    let sim = Sim::new();
    let one = Patient::start(&sim, ONE);
    let get = || HealthCheck::get("/health");
    sim.block_on(async {
        let check = get().header("X-Probe", "1").header("authorization", "s").host("inner:81");
        let _pool = looked_at(&sim, &one, check).await;
        let head = one.heads().remove(0).1;
        for field in ["host: inner:81\r\n", "x-probe: 1\r\n", "authorization: s\r\n"] {
            assert!(head.contains(field), "{head}");
        }
    });
    for (check, named) in [
        (get().header("a b", "1"), "a b"),
        (get().header("host", "1"), "host"),
        (get().header("x", "sec\nret"), "health_check.header x"),
        (get().host("a b"), "health_check.host"),
        (get().interval(SECOND), "health_check.timeout (5s)"),
        (get().unhealthy_threshold(0), "health_check.unhealthy_threshold"),
        (get().healthy_threshold(0), "health_check.healthy_threshold"),
        (get().max_concurrent(0), "health_check.max_concurrent"),
        (get().fast_interval(Duration::ZERO), "health_check.fast_interval"),
    ] {
        let built = Pool::builder().runtime(sim.runtime()).health_check(check).build();
        let error = built.expect_err("it is refused");
        assert_eq!(error.kind(), ErrorKind::Config);
        let text = error.to_string();
        assert!(text.contains(named) && !text.contains("sec"), "{named}: {text}");
    }
}

#[test]
fn a_server_is_checked_where_it_says() {
    let sim = Sim::new();
    let (one, two) = (Patient::start(&sim, ONE), Patient::start(&sim, TWO));
    one.checks_get(500);
    sim.block_on(async {
        let elsewhere = || one.server().health_check_host("10.0.0.2");
        let server = elsewhere().health_check_path("/healthz").health_check_port(8080);
        let pool = Pool::builder().runtime(sim.runtime()).server(server).build().unwrap();
        checked(&sim, &pool, 1).await;
        assert_eq!((one.checks(), two.checks()), (0, 1));
        let head = &two.heads()[0].1;
        assert!(head.starts_with(&format!("get /healthz http/1.1\r\nhost: {ONE}\r\n")), "{head}");
        get(&pool, "/").await.unwrap();
        assert_eq!((one.requests(), two.requests()), (1, 0));
        for bad in [elsewhere().health_check_path("x"), one.server().health_check_host("")] {
            pool.remove_server(first(&pool).id).unwrap();
            assert_eq!(pool.add_server(bad).expect_err("refused").kind(), ErrorKind::Config);
            pool.add_server(one.server()).unwrap();
        }
    });
}
