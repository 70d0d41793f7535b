//! Goal: an idle connection lives as long as the settings say, to the millisecond. Method: virtual
//! time, with and without background work.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use evenkeel::rt::sim::Sim;
use evenkeel::{Pool, Runtime, Select, Sleep, Timer};
use futures_lite::future::poll_once;

use crate::support::sim::{Background, MS, ONE, SECOND, TWO, builder, get, hold, id_at};
use crate::support::{SimServer, assert_balanced};

const HOUR: Duration = Duration::from_secs(3600);

/// How many sockets are open once so much time has passed and everything has come to rest.
async fn open_after(time: Duration, sim: &Sim, server: &SimServer) -> usize {
    sim.sleep(time).await;
    sim.settle().await;
    server.counts().open
}

#[test]
fn an_idle_connection_is_used_one_millisecond_before_its_limit_and_closed_at_it() {
    // min_idle, idle_conn_timeout, max_idle_time: the one that holds.
    let rows = [(0, 90, 300, 90), (1, 90, 300, 300), (0, 300, 90, 90), (1, 300, 90, 90)];
    for (floor, rest, longest, limit) in rows {
        let row = (floor, rest, longest);
        let sim = Sim::new();
        let server = SimServer::start(&sim, ONE);
        let builder = builder(&sim, &[&server]).min_idle(floor);
        let builder = builder.idle_conn_timeout(SECOND * rest).max_idle_time(SECOND * longest);
        // Nobody polls the driver.
        let (pool, _driver) = builder.build_with_driver().unwrap();
        sim.block_on(async {
            get(&pool, "/").await.unwrap();
            sim.sleep(SECOND * limit - MS).await;
            assert!(get(&pool, "/").await.unwrap(), "{row:?}: closed too early");
            sim.sleep(SECOND * limit).await;
            assert!(!get(&pool, "/").await.unwrap(), "{row:?}: used too late");
        });
        let metrics = pool.metrics();
        assert_eq!((server.counts().opened, server.counts().open), (2, 1), "{row:?}");
        assert_eq!(metrics.destroyed.idle, 1, "{row:?}");
        assert_balanced(&metrics);
    }
}

/// A timer with a coarse clock, which stands still unless the test moves it.
struct Coarse(Sim, Arc<AtomicU64>);

impl Timer for Coarse {
    fn sleep_until(&self, deadline: Instant) -> Pin<Box<dyn Sleep>> {
        self.0.sleep_until(deadline)
    }

    fn now(&self) -> Instant {
        self.0.now()
    }

    fn coarse_millis(&self) -> Option<u64> {
        Some(self.1.load(Ordering::Relaxed))
    }
}

#[test]
fn idle_time_is_measured_by_the_coarse_clock_if_there_is_one() {
    let sim = Sim::new();
    let server = SimServer::start(&sim, ONE);
    let millis = Arc::new(AtomicU64::new(1_000_000));
    let timer = Coarse(sim.clone(), millis.clone());
    let runtime = Runtime::custom(timer, sim.net().clone(), sim.net().clone());
    let (pool, driver) = builder(&sim, &[&server]).runtime(runtime).build_with_driver().unwrap();
    sim.spawn(driver);
    sim.block_on(async {
        get(&pool, "/").await.unwrap();
        // More than enough by the precise clock, a millisecond too little by the other.
        millis.fetch_add(89_999, Ordering::Relaxed);
        assert_eq!(open_after(SECOND * 100, &sim, &server).await, 1);
        assert!(get(&pool, "/").await.unwrap());
        millis.fetch_add(90_000, Ordering::Relaxed);
        assert!(!get(&pool, "/").await.unwrap(), "used too late");
        millis.fetch_add(90_000, Ordering::Relaxed);
        assert_eq!(open_after(SECOND * 90, &sim, &server).await, 0, "nobody looks in between");
    });
    assert_eq!(pool.metrics().destroyed.idle, 2);
}

#[test]
fn a_checkout_without_background_closes_the_surplus_and_takes_the_floor() {
    let sim = Sim::new();
    let server = SimServer::start(&sim, ONE);
    // Nobody polls the driver.
    let (pool, _driver) = builder(&sim, &[&server]).min_idle(1).build_with_driver().unwrap();
    sim.block_on(async {
        drop(hold(&pool, 3).await);
        sim.sleep(SECOND * 90).await;
        assert_eq!(server.counts().open, 3, "nobody looks without background");
        assert!(get(&pool, "/").await.unwrap(), "one of them is the floor");
        assert_eq!(server.counts().open, 1);
        sim.sleep(SECOND * 300).await;
        assert!(pool.try_checkout(&Select::new()).is_none(), "the floor has its end too");
        sim.settle().await;
        assert_eq!(server.counts().open, 0);
    });
    assert_eq!(pool.metrics().destroyed.idle, 3);
    assert_balanced(&pool.metrics());
}

#[test]
fn background_work_closes_each_connection_at_its_instant() {
    for background in [Background::Spawned, Background::Driven] {
        for cleanup in [SECOND, SECOND * 7, SECOND * 60] {
            let sim = Sim::new();
            let server = SimServer::start(&sim, ONE);
            let builder = builder(&sim, &[&server]).cleanup_interval(cleanup);
            let pool = background.build(&sim, builder);
            sim.block_on(async {
                let mut held = hold(&pool, 2).await;
                drop(held.pop());
                sim.sleep(SECOND * 10).await;
                drop(held);
                assert_eq!(open_after(SECOND * 80 - MS, &sim, &server).await, 2, "{cleanup:?}");
                assert_eq!(open_after(MS, &sim, &server).await, 1, "{cleanup:?}");
                assert_eq!(open_after(SECOND * 10 - MS, &sim, &server).await, 1, "{cleanup:?}");
                assert_eq!(open_after(MS, &sim, &server).await, 0, "{cleanup:?}");
            });
            assert_eq!(pool.metrics().destroyed.idle, 2);
            assert_balanced(&pool.metrics());
        }
    }
}

#[test]
fn background_work_closes_the_surplus_first_and_the_floor_at_its_own_limit() {
    let sim = Sim::new();
    let server = SimServer::start(&sim, ONE);
    let pool = Background::Spawned.build(&sim, builder(&sim, &[&server]).min_idle(2));
    sim.block_on(async {
        drop(hold(&pool, 5).await);
        assert_eq!(open_after(SECOND * 90 - MS, &sim, &server).await, 5);
        assert_eq!(open_after(MS, &sim, &server).await, 2);
        assert_eq!(open_after(SECOND * 209 - MS, &sim, &server).await, 2);
        // A second before its end the floor is replaced.
        assert_eq!(open_after(MS, &sim, &server).await, 4);
        assert_eq!(open_after(SECOND - MS, &sim, &server).await, 4);
        assert_eq!(open_after(MS, &sim, &server).await, 2);
    });
    assert_eq!(pool.metrics().connections_created, 7);
    assert_balanced(&pool.metrics());
}

#[test]
fn an_expired_connection_is_closed_within_one_cleanup_interval() {
    let sim = Sim::new();
    let server = SimServer::start(&sim, ONE);
    let builder = builder(&sim, &[&server]).cleanup_interval(HOUR);
    let pool = Background::Spawned.build(&sim, builder);
    sim.block_on(async {
        get(&pool, "/").await.unwrap();
        assert_eq!(open_after(HOUR - MS, &sim, &server).await, 1, "the background sleeps");
        assert_eq!(open_after(MS, &sim, &server).await, 0);
        // What it has not closed yet is not used all the same.
        get(&pool, "/").await.unwrap();
        sim.sleep(SECOND * 90).await;
        assert!(!get(&pool, "/").await.unwrap());
    });
    assert_eq!(pool.metrics().destroyed.idle, 2);
}

#[test]
fn above_the_cap_the_longest_idle_of_all_servers_is_closed() {
    let sim = Sim::new();
    let (one, two) = (SimServer::start(&sim, ONE), SimServer::start(&sim, TWO));
    let pool = builder(&sim, &[&one, &two]).max_idle_connections(2).build().unwrap();
    sim.block_on(async {
        let at = |server| pool.checkout(Select::new().server(id_at(&pool, server)));
        let first = at(&one).await.unwrap();
        sim.sleep(SECOND).await;
        let second = at(&one).await.unwrap();
        let other = at(&two).await.unwrap();
        // The one that is made last comes back first, and so is idle the longest.
        drop(second);
        sim.sleep(SECOND).await;
        drop(first);
        assert_eq!((one.counts().open, two.counts().open), (2, 1), "at the cap");
        sim.sleep(SECOND).await;
        drop(other);
        assert_eq!((one.counts().open, two.counts().open), (1, 1), "one over");
        assert_eq!(at(&one).await.unwrap().info().age, SECOND * 3, "the wrong one was closed");
    });
    assert_eq!(pool.metrics().destroyed.idle_cap, 1);
    assert_balanced(&pool.metrics());
}

#[test]
fn with_a_cap_of_zero_only_a_caller_in_line_gets_a_used_connection() {
    let sim = Sim::new();
    let server = SimServer::start(&sim, ONE);
    let builder = builder(&sim, &[&server]).max_idle_connections(0);
    let pool = builder.max_connections_per_server(1).build().unwrap();
    sim.block_on(async {
        let held = pool.checkout(Select::new()).await.unwrap();
        let mut waiter = Box::pin(pool.checkout(Select::new()));
        assert!(poll_once(&mut waiter).await.is_none());
        drop(held);
        let held = waiter.await.unwrap();
        assert_eq!((server.counts().opened, server.counts().open), (1, 1));
        drop(held);
        assert_eq!(server.counts().open, 0);
        assert!(!get(&pool, "/").await.unwrap());
        assert_eq!(server.counts().open, 0);
    });
    assert_eq!(pool.metrics().destroyed.idle_cap, 2);
    assert_balanced(&pool.metrics());
}

#[test]
fn a_connection_that_is_handed_over_does_not_count_as_idle() {
    let sim = Sim::new();
    let (one, two) = (SimServer::start(&sim, ONE), SimServer::start(&sim, TWO));
    let builder = builder(&sim, &[&one, &two]).max_idle_connections(1);
    let pool = builder.max_connections_per_server(1).build().unwrap();
    sim.block_on(async {
        let at = |server| pool.checkout(Select::new().server(id_at(&pool, server)));
        drop(at(&two).await.unwrap());
        let held = at(&one).await.unwrap();
        let mut waiter = Box::pin(at(&one));
        assert!(poll_once(&mut waiter).await.is_none());
        drop(held);
        assert_eq!(two.counts().open, 1, "only this one is idle");
        let held = waiter.await.unwrap();
        sim.sleep(SECOND).await;
        drop(held);
    });
    assert_eq!((one.counts().open, two.counts().open), (1, 0));
    assert_balanced(&pool.metrics());
}

#[test]
fn close_idle_closes_what_is_idle_everywhere_and_nothing_else() {
    let sim = Sim::new();
    let (one, two) = (SimServer::start(&sim, ONE), SimServer::start(&sim, TWO));
    let pool: Pool = builder(&sim, &[&one, &two]).build().unwrap();
    sim.block_on(async {
        let mut held = hold(&pool, 6).await;
        drop(held.split_off(2));
        assert_eq!((one.counts().open, two.counts().open), (3, 3));
        pool.close_idle();
        assert_eq!((one.counts().open, two.counts().open), (1, 1));
        assert_eq!(pool.metrics().destroyed.discarded, 4);
        drop(held);
        assert!(get(&pool, "/").await.unwrap());
    });
    assert_balanced(&pool.metrics());
}
