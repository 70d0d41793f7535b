//! Goal: what is told of the last seconds, of times by quantiles, and of memory and tasks is right,
//! with and without background work. Method: known loads in virtual time.

use std::time::Duration;

use evenkeel::rt::sim::Sim;
use evenkeel::{Builder, Distribution, Pool, Select};
use futures_lite::future::poll_once;

use crate::support::sim::{BACKGROUNDS, MS, ONE, SECOND, builder, get, hold, wished};
use crate::support::{SimServer, assert_balanced};

fn world(settings: impl FnOnce(Builder) -> Builder) -> (Sim, SimServer, Pool) {
    let sim = Sim::new();
    let server = SimServer::start(&sim, ONE);
    let pool = settings(builder(&sim, &[&server])).build().expect("a valid pool");
    (sim, server, pool)
}

#[test]
fn metrics_interval_is_over_how_much_time_rates_are_told() {
    for background in BACKGROUNDS {
        for interval in [10, 20] {
            let sim = Sim::new();
            let server = SimServer::start(&sim, ONE);
            let builder = builder(&sim, &[&server]).metrics_interval(SECOND * interval);
            let pool = background.build(&sim, builder);
            sim.block_on(async {
                // Five a second for a minute, and nobody asks meanwhile.
                for _ in 0..300 {
                    get(&pool, "/b/1000").await.unwrap();
                    sim.sleep(MS * 200).await;
                }
                let busy = pool.metrics();
                assert!((busy.requests_per_second - 5.0).abs() < 0.1, "{busy:?}");
                assert!(busy.bytes_in_per_second > 5000.0 && busy.bytes_out_per_second > 5.0);
                // As long as it was busy within the interval, it shows; and no longer.
                sim.sleep(SECOND * interval / 2).await;
                let half = pool.metrics().requests_per_second;
                assert!((half - 2.5).abs() < 0.3, "{half} of {interval} s");
                sim.sleep(SECOND * interval / 2 + MS).await;
                let quiet = pool.metrics();
                let rates = (quiet.requests_per_second, quiet.bytes_in_per_second);
                assert_eq!(rates, (0.0, 0.0), "{interval} s");
                // From one look to the next, however far apart.
                let since = quiet.since(&busy);
                assert_eq!((since.requests, since.elapsed), (0.0, SECOND * interval + MS));
                assert_eq!(quiet.total_requests, 300);
            });
        }
    }
}

#[test]
fn a_request_counts_among_the_last_ones_when_it_ends() {
    let (sim, _server, pool) = world(|builder| builder);
    sim.block_on(async {
        sim.sleep(SECOND * 100).await;
        let long = get(&pool, "/after/60000");
        let long = async {
            long.await.expect_err("its time is up after 30 s");
        };
        let mut long = Box::pin(long);
        assert!(poll_once(&mut long).await.is_none());
        assert_eq!(pool.metrics().requests_per_second, 0.0, "it is under way");
        long.await;
        let rate = pool.metrics().requests_per_second;
        assert!(rate > 0.0, "{rate}");
        sim.sleep(SECOND * 11).await;
        assert_eq!(pool.metrics().requests_per_second, 0.0);
    });
}

/// One value, about this one.
#[track_caller]
fn assert_one(values: &Distribution, expected: u64) {
    assert_eq!((values.count(), values.max()), (1, values.quantile(0.5)), "{values:?}");
    let value = values.max().expect("there is one");
    assert!(value >= expected && value <= expected + expected / 16, "{value} for {expected}");
}

#[test]
fn each_step_is_recorded_by_its_time() {
    let (sim, _server, pool) = world(|builder| builder.max_connections_per_server(1));
    let ms = 1_000_000;
    let nanos = |time: Duration| u64::try_from(time.as_nanos()).unwrap();
    sim.net().connect_delay(ONE, MS * 70);
    sim.block_on(async {
        let start = sim.now();
        get(&pool, "/trickle/4/100").await.unwrap();
        let took = nanos(sim.now() - start);
        let seen = pool.distributions();
        assert_one(&seen.connect, 70 * ms);
        assert_one(&seen.request, took);
        assert_eq!(seen.response_head.count(), 1);
        assert!(seen.response_head.max().unwrap() < 10 * ms, "the head came at once");
        assert!(took >= 370 * ms, "and the body later: {took}");
        let none = [&seen.queue_wait, &seen.connection_age, &seen.connection_uses];
        assert!(none.iter().all(|values| values.count() == 0), "{seen:?}");

        // A reused connection is not made, and an answer that takes its time is.
        get(&pool, "/after/500").await.unwrap();
        let lately = pool.distributions().since(&seen);
        assert_eq!(lately.connect.count(), 0);
        assert_one(&lately.response_head, 500 * ms);
        assert_one(&lately.request, 500 * ms);

        // An error takes time, too; one who gives up does not tell how long it would have taken.
        let before = pool.distributions();
        let hurried = wished("/never", Select::new().timeout(SECOND * 2));
        pool.send(hurried).await.map(drop).unwrap_err();
        let lately = pool.distributions().since(&before);
        assert_one(&lately.request, 2000 * ms);
        assert_eq!(lately.response_head.count(), 0);
        assert_one(&lately.connection_uses, 3);
        assert_one(&lately.connection_age, nanos(sim.now() - start) / ms - 70);
        let before = pool.distributions();
        let mut given_up = Box::pin(get(&pool, "/never"));
        assert!(poll_once(&mut given_up).await.is_none());
        sim.sleep(SECOND).await;
        drop(given_up);
        assert_eq!(pool.distributions().since(&before).request.count(), 0);

        // And who waits.
        let held = hold(&pool, 1).await;
        let before = pool.distributions();
        let mut waits = Box::pin(get(&pool, "/"));
        assert!(poll_once(&mut waits).await.is_none());
        sim.sleep(SECOND * 3).await;
        drop(held);
        waits.await.unwrap();
        let lately = pool.distributions().since(&before);
        assert_one(&lately.queue_wait, 3000 * ms);
        assert_one(&lately.request, 3000 * ms);
    });
    assert_balanced(&pool.metrics());
}

#[test]
fn memory_grows_with_what_is_open_and_lent_and_shrinks_with_it() {
    let (sim, _server, pool) = world(|builder| builder.max_connections_per_server(200));
    let memory = || pool.metrics().memory_bytes;
    let empty = memory();
    assert!((1000..1 << 20).contains(&empty), "{empty}");
    sim.block_on(async {
        let held = hold(&pool, 40).await;
        let open = memory();
        assert!(open > empty + 40 * 100 && open < empty + 40 * 4096, "{open} from {empty}");
        drop(held);
        let mut under_way = Box::pin(pool.get("/never"));
        assert!(poll_once(&mut under_way).await.is_none());
        let lent = memory();
        assert!(lent >= open + 16 * 1024, "a request has a buffer: {lent} from {open}");
        drop(under_way);
        pool.close_idle();
        assert!(memory() < lent);
    });
    let places = memory();
    sim.block_on(async { drop(hold(&pool, 199).await) });
    sim.block_on(async { pool.close_idle() });
    assert!(memory() > places, "places are made, and stay");
}

#[test]
fn background_tasks_are_the_driver_and_the_dials_left_to_it() {
    for background in BACKGROUNDS {
        let sim = Sim::new();
        let server = SimServer::start(&sim, ONE);
        let pool = background.build(&sim, builder(&sim, &[&server]));
        let tasks = || pool.metrics().background_tasks;
        let driver = usize::from(background.is_there());
        sim.block_on(async {
            get(&pool, "/").await.unwrap();
            sim.settle().await;
            assert_eq!(tasks(), driver, "{background:?}");
            pool.close_idle();
            sim.net().connect_delay(ONE, SECOND);
            let mut given_up = Box::pin(get(&pool, "/"));
            assert!(poll_once(&mut given_up).await.is_none());
            drop(given_up);
            sim.settle().await;
            assert_eq!(tasks(), 2 * driver, "{background:?}: its dial goes on");
            sim.sleep(SECOND * 2).await;
            assert_eq!(tasks(), driver, "{background:?}: it has come to its end");
            pool.shutdown(SECOND).await;
            sim.settle().await;
            assert_eq!(tasks(), 0, "{background:?}");
        });
    }
}
