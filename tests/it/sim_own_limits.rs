//! Goal: limits that are refused change nothing, a server's own one stays, and a pool that ends
//! takes none. Method: virtual time, and the figures of each server.

use evenkeel::rt::sim::Sim;
use evenkeel::{ErrorKind, Limits, Select, Server};
use futures_lite::future::{poll_once, zip};

use crate::sim_limits::{hold_at, one, per_server, total};
use crate::support::sim::{MS, ONE, PAST_DIAL_GRACE, SECOND, TWO, builder, hold, id_at};
use crate::support::{SimServer, assert_balanced, parse};

#[test]
fn a_limit_of_one_s_own_is_left_alone() {
    let sim = Sim::new();
    let (one, two) = (SimServer::start(&sim, ONE), SimServer::start(&sim, TWO));
    let small = parse(&one.url()).max_connections(2);
    let builder = builder(&sim, &[]).server(small).server(parse(&two.url()));
    let pool = builder.max_connections_per_server(3).build().unwrap();
    sim.block_on(async {
        for (limit, at_two) in [(3, 3), (1, 1), (5, 5)] {
            per_server(&pool, limit);
            let (first, second) =
                (hold_at(&pool, &one, 2).await, hold_at(&pool, &two, at_two).await);
            for server in [&one, &two] {
                let select = Select::new().server(id_at(&pool, server));
                let mut more = Box::pin(pool.checkout(select));
                assert!(poll_once(&mut more).await.is_none(), "one over {limit}");
            }
            drop((first, second));
        }
        sim.settle().await;
    });
    let limits: Vec<_> = pool.server_stats().iter().map(|stats| stats.max_connections).collect();
    assert_eq!(limits, [2, 5]);
    assert_balanced(&pool.metrics());
}

#[test]
fn a_server_s_own_limit_is_checked_and_makes_no_second_server() {
    let sim = Sim::new();
    let (server, builder) = one(&sim);
    let pool = builder.build().unwrap();
    let again = pool.add_server(parse(&server.url()).max_connections(7)).expect("it is here");
    assert_eq!(again, id_at(&pool, &server));
    assert_eq!(pool.server_stats()[0].max_connections, 100, "it is as it was");
    for limit in [0, 65_536] {
        let error = pool.add_server(Server::new("http://10.0.0.9").unwrap().max_connections(limit));
        let error = error.expect_err("out of range");
        assert_eq!(error.kind(), ErrorKind::Config);
        assert!(error.to_string().contains("max_connections of a server"), "{error}");
    }
    assert_eq!(pool.server_stats().len(), 1);
}

#[test]
fn limits_that_contradict_each_other_change_nothing() {
    let sim = Sim::new();
    let (_server, builder) = one(&sim);
    let (pool, _driver) = builder.min_idle(3).build_with_driver().unwrap();
    let before = pool.limits();
    type Change = fn(&mut Limits);
    let rows: [(&str, Change); 7] = [
        ("max_connections_per_server", |l| l.max_connections_per_server = 0),
        ("max_connections_per_server", |l| l.max_connections_per_server = 65_536),
        ("max_total_connections", |l| l.max_total_connections = 0),
        ("max_connecting", |l| l.max_connecting = 0),
        ("max_waiters", |l| l.max_waiters = usize::MAX),
        ("min_idle (3) is above max_connections_per_server", |l| l.max_connections_per_server = 2),
        ("min_idle (3) is above max_idle_connections", |l| l.max_idle_connections = 2),
    ];
    for (name, change) in rows {
        let mut limits = before;
        limits.max_connecting = 5;
        change(&mut limits);
        let error = pool.set_limits(limits).expect_err(name);
        assert_eq!(error.kind(), ErrorKind::Config);
        assert!(error.to_string().contains(name), "{name}: {error}");
        assert_eq!(pool.limits(), before);
    }
}

#[test]
fn a_server_that_is_added_later_has_the_limits_of_now() {
    let sim = Sim::new();
    let two = SimServer::start(&sim, TWO);
    let (_server, builder) = one(&sim);
    let pool = builder.build().unwrap();
    per_server(&pool, 7);
    pool.add_server(parse(&two.url())).expect("the pool is open");
    let limits: Vec<_> = pool.server_stats().iter().map(|stats| stats.max_connections).collect();
    assert_eq!(limits, [7, 7]);
}

#[test]
fn a_pool_above_its_limit_shuts_down_and_takes_no_limits_afterwards() {
    let sim = Sim::new();
    let (server, builder) = one(&sim);
    let pool = builder.build().unwrap();
    sim.block_on(async {
        let mut held = hold(&pool, 4).await;
        held.truncate(3);
        total(&pool, 1);
        assert!(pool.metrics().pool_utilization <= 1.0);
        let end = zip(pool.shutdown(SECOND * 30), async {
            sim.sleep(MS).await;
            let error = pool.set_limits(pool.limits()).expect_err("it is closed");
            assert_eq!(error.kind(), ErrorKind::Closed);
            drop(held);
        });
        let (report, ()) = end.await;
        assert_eq!((report.completed, report.cut, report.idle_closed), (3, 0, 0));
        sim.sleep(PAST_DIAL_GRACE).await;
        assert_eq!(server.counts().open, 0);
    });
    assert_balanced(&pool.metrics());
}
