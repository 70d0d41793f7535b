//! Over real sockets, under each runtime: a server that dies is noticed, left alone, and back at
//! its share once it is well; and threads that fail at the same time do not eject too many.

use std::time::Duration;

use evenkeel::{Builder, Health, HealthCheck, Pool, ServerStats};
use futures_lite::future::yield_now;

use crate::support::{Server, assert_balanced, for_each_runtime, get_text, parse};

/// Checks that come quickly.
fn often(builder: Builder, servers: &[Server]) -> Pool {
    let moment = Duration::from_millis(10);
    let check = HealthCheck::get("/health").fast_interval(moment).down_interval(moment);
    let builder = builder.health_check(check).slow_start(None);
    let builder =
        servers.iter().fold(builder, |builder, server| builder.server(parse(&server.url(""))));
    // Time is not what this is about, and the machine may be busy.
    builder.request_timeout(Duration::from_secs(100)).build().expect("valid")
}

fn first(pool: &Pool) -> ServerStats {
    pool.server_stats().swap_remove(0)
}

#[test]
fn a_server_that_dies_is_left_alone_and_back_at_its_share_when_it_is_well() {
    for_each_runtime(|env| async move {
        let mut servers = [Server::start(), Server::start(), Server::start()];
        let pool = often(env.builder(), &servers);
        pool.wait_ready().await.unwrap();
        for _ in 0..9 {
            get_text(&pool, "/").await.unwrap();
        }
        servers[0].stop();
        while first(&pool).health != Health::Down {
            // What is cut in the middle may fail.
            drop(get_text(&pool, "/").await);
            yield_now().await;
        }
        let before = first(&pool);
        for _ in 0..30 {
            get_text(&pool, "/").await.unwrap();
        }
        let after = first(&pool);
        assert_eq!(after.total_requests, before.total_requests, "{}", env.name);
        assert_eq!(after.connect_errors, before.connect_errors, "{}", env.name);
        servers[0].restart();
        while first(&pool).health != Health::Up {
            yield_now().await;
        }
        let before = first(&pool).total_requests;
        for _ in 0..30 {
            get_text(&pool, "/").await.unwrap();
        }
        assert_eq!(first(&pool).total_requests - before, 10, "{}", env.name);
        pool.shutdown(Duration::from_secs(100)).await;
        let metrics = pool.metrics();
        assert_balanced(&metrics);
        assert_eq!(metrics.health_checks_running, 0, "{}", env.name);
        drop(servers);
    });
}

#[test]
fn callers_that_fail_at_the_same_time_do_not_eject_more_than_half() {
    for_each_runtime(|env| async move {
        let servers: Vec<Server> = (0..6).map(|_| Server::start()).collect();
        let urls = servers.iter().map(|server| parse(&server.url("")));
        let pool = urls.fold(env.builder(), Builder::server).build().unwrap();
        let job = {
            let pool = pool.clone();
            move |number: usize| {
                let pool = pool.clone();
                async move {
                    // Now and then one that succeeds, so that trials do, too.
                    let path = if number % 50 < 20 { "/" } else { "/status/500" };
                    get_text(&pool, path).await.unwrap();
                    assert!(pool.metrics().healthy_servers >= 3);
                }
            }
        };
        env.run_concurrently(24, 3000, job).await;
        assert!(pool.metrics().ejections > 0, "{}", env.name);
        pool.shutdown(Duration::from_secs(100)).await;
        assert_balanced(&pool.metrics());
    });
}
