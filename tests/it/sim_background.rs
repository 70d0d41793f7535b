//! Goal: background work begins with the pool's first connection, ends with the pool, and is
//! missed by nobody when it is not there. Method: the world's count of tasks and sockets.

use evenkeel::rt::sim::Sim;
use evenkeel::{ErrorKind, Pool, Select};
use futures_lite::future::{poll_once, zip};
use http::Method;

use crate::support::sim::{
    BACKGROUNDS, Background, MS, ONE, SECOND, TWO, builder, get, hold, id_at, request,
};
use crate::support::{SimServer, assert_balanced};

/// How many tasks the pool has in this world.
fn pool_tasks(sim: &Sim, server: &SimServer) -> usize {
    sim.tasks() - server.tasks()
}

#[test]
fn background_work_begins_with_the_first_connection_and_ends_with_the_pool() {
    for background in BACKGROUNDS {
        let sim = Sim::new();
        let server = SimServer::start(&sim, ONE);
        let pool = background.build(&sim, builder(&sim, &[&server]));
        assert_eq!(pool_tasks(&sim, &server), usize::from(background == Background::Driven));
        assert!(!pool.metrics().background);
        sim.block_on(async {
            get(&pool, "/").await.unwrap();
            sim.settle().await;
            let there = background.is_there();
            assert_eq!(pool.metrics().background, there, "{background:?}");
            assert_eq!(pool_tasks(&sim, &server), usize::from(there), "{background:?}");
            // One is enough for all servers and all times.
            for _ in 0..5 {
                pool.close_idle();
                get(&pool, "/").await.unwrap();
                sim.settle().await;
            }
            assert_eq!(pool_tasks(&sim, &server), usize::from(there), "{background:?}");
            let twin = pool.clone();
            drop(pool);
            sim.settle().await;
            assert_eq!(pool_tasks(&sim, &server), usize::from(there), "{background:?}");
            drop(twin);
            sim.settle().await;
        });
        assert_eq!(pool_tasks(&sim, &server), 0, "{background:?}");
        assert_eq!(server.counts().open, 0);
    }
}

#[test]
fn a_pool_without_a_connection_lets_its_driver_go_all_the_same() {
    let sim = Sim::new();
    let pool = Background::Driven.build(&sim, builder(&sim, &[]));
    sim.block_on(async {
        sim.sleep(SECOND * 1000).await;
        assert_eq!(sim.tasks(), 1);
        drop(pool);
        sim.settle().await;
    });
    assert_eq!(sim.tasks(), 0);
}

#[test]
fn a_driver_that_is_dropped_takes_the_dials_that_were_left_to_it_along() {
    let sim = Sim::new();
    let server = SimServer::start(&sim, ONE);
    let (pool, driver) = builder(&sim, &[&server]).build_with_driver().unwrap();
    sim.block_on(async {
        let mut driver = Box::pin(driver);
        assert!(poll_once(&mut driver).await.is_none());
        assert!(pool.metrics().background);
        sim.net().black_hole(ONE);
        let mut callers = [Box::pin(get(&pool, "/")), Box::pin(get(&pool, "/"))];
        for caller in &mut callers {
            assert!(poll_once(caller).await.is_none());
        }
        let [taken_over, not_yet] = callers;
        drop(taken_over);
        assert!(poll_once(&mut driver).await.is_none());
        drop(not_yet);
        assert_eq!((server.counts().connecting, pool.metrics().connecting), (2, 2));
        drop(driver);
        assert_eq!((server.counts().connecting, pool.metrics().connecting), (0, 0));
        assert!(!pool.metrics().background);

        // From now on a dial dies with its caller, and expiry is the callers' business.
        let mut caller = Box::pin(get(&pool, "/"));
        assert!(poll_once(&mut caller).await.is_none());
        drop(caller);
        assert_eq!(server.counts().connecting, 0);
        sim.net().heal(ONE);
        get(&pool, "/").await.unwrap();
        sim.sleep(SECOND * 91).await;
        assert!(!get(&pool, "/").await.unwrap());
    });
    assert_eq!(pool.metrics().connects_cancelled, 3);
    assert_balanced(&pool.metrics());
}

#[test]
fn a_driver_that_is_not_polled_is_not_waited_for() {
    let sim = Sim::new();
    let server = SimServer::start(&sim, ONE);
    let (pool, driver) = builder(&sim, &[&server]).build_with_driver().unwrap();
    sim.block_on(async {
        let mut driver = Box::pin(driver);
        assert!(poll_once(&mut driver).await.is_none());
        get(&pool, "/").await.unwrap();
        let start = sim.now();
        let report = pool.shutdown(SECOND * 30).await;
        assert_eq!((sim.now(), report.idle_closed), (start, 1));
        driver.await;
    });
    assert_eq!(server.counts().open, 0);
}

#[test]
fn a_body_outlives_the_last_handle_and_its_socket_closes_behind_it() {
    for background in BACKGROUNDS {
        for read in [true, false] {
            let sim = Sim::new();
            let server = SimServer::start(&sim, ONE);
            let pool = background.build(&sim, builder(&sim, &[&server]));
            sim.block_on(async {
                drop(hold(&pool, 3).await);
                let body = pool.get("/trickle/5/100").await.unwrap().into_body();
                drop(pool);
                sim.settle().await;
                assert_eq!(server.counts().open, 1, "what is idle goes at once");
                assert_eq!(pool_tasks(&sim, &server), 0, "{background:?}");
                if read {
                    assert_eq!(body.bytes().await.unwrap().len(), 5);
                } else {
                    drop(body);
                }
                assert_eq!(server.counts().open, 0, "{background:?}");
            });
        }
    }
}

#[test]
fn a_checkout_outlives_the_last_handle_without_further_use() {
    let sim = Sim::new();
    let server = SimServer::start(&sim, ONE);
    let pool = Background::Spawned.build(&sim, builder(&sim, &[&server]));
    sim.block_on(async {
        let mut held = hold(&pool, 2).await;
        drop(pool);
        let error = held[0].send(request(Method::GET, "/")).await.map(drop);
        assert!(error.expect_err("there is no pool any more").is_closed());
        assert_eq!(server.counts().open, 2);
        drop(held);
        assert_eq!(server.counts().open, 0);
        sim.settle().await;
    });
    assert_eq!(pool_tasks(&sim, &server), 0);
}

#[test]
fn a_pool_that_is_dropped_while_callers_stand_in_line_leaves_nothing_behind() {
    for background in BACKGROUNDS {
        let sim = Sim::new();
        let (one, two) = (SimServer::start(&sim, ONE), SimServer::start(&sim, TWO));
        let builder = builder(&sim, &[&one, &two]).max_total_connections(1);
        let pool = background.build(&sim, builder);
        sim.block_on(async {
            let held = pool.checkout(Select::new().server(id_at(&pool, &one))).await.unwrap();
            for server in [&one, &two, &two] {
                let at = Select::new().server(id_at(&pool, server));
                assert!(poll_once(pool.checkout(at)).await.is_none());
            }
            drop(pool);
            drop(held);
            sim.settle().await;
        });
        assert_eq!((one.counts().open, two.counts().open), (0, 0));
        assert_eq!(sim.tasks() - one.tasks() - two.tasks(), 0, "{background:?}");
    }
}

#[test]
fn a_dial_left_to_the_driver_ends_with_the_pool() {
    let sim = Sim::new();
    let server = SimServer::start(&sim, ONE);
    sim.net().black_hole(ONE);
    let pool = Background::Driven.build(&sim, builder(&sim, &[&server]));
    sim.block_on(async {
        sim.settle().await;
        let mut caller = Box::pin(get(&pool, "/"));
        assert!(poll_once(&mut caller).await.is_none());
        drop(caller);
        sim.settle().await;
        assert_eq!(server.counts().connecting, 1);
        drop(pool);
        sim.settle().await;
    });
    assert_eq!(server.counts().connecting, 0);
    assert_eq!(pool_tasks(&sim, &server), 0);
}

#[test]
fn a_pool_whose_tasks_are_all_dropped_by_the_executor_goes_on_without() {
    let sim = Sim::new();
    let server = SimServer::start(&sim, ONE);
    let forgetful = sim.runtime().spawner(drop);
    let pool: Pool = builder(&sim, &[&server]).runtime(forgetful).build().unwrap();
    sim.block_on(async {
        get(&pool, "/").await.unwrap();
        assert!(!pool.metrics().background);
        sim.sleep(SECOND * 90).await;
        assert!(!get(&pool, "/").await.unwrap());
        let start = sim.now();
        let slow = async {
            sim.sleep(MS).await;
            pool.shutdown(SECOND * 30).await
        };
        let (outcome, report) = zip(get(&pool, "/after/100"), slow).await;
        outcome.unwrap();
        assert_eq!((report.completed, report.cut), (1, 0));
        assert_eq!(sim.now() - start, MS * 100);
        let error = get(&pool, "/").await.expect_err("it is closed");
        assert_eq!(error.kind(), ErrorKind::Closed);
    });
    assert_balanced(&pool.metrics());
}
