//! Goal: so many connections as are wanted are open to each server, whatever ends some of them, and
//! in nobody's way. Method: virtual time, with background work.

use std::time::Duration;

use evenkeel::rt::sim::Sim;
use evenkeel::{Builder, Ejection, ErrorKind, Pool, Select};
use futures_lite::future::poll_once;
use http::Method;

use crate::support::sim::{
    BACKGROUNDS, Background, MS, ONE, SECOND, TWO, builder, get, hold, id_at, request, whole,
    wished,
};
use crate::support::{SimServer, assert_balanced, parse};

struct World {
    sim: Sim,
    servers: [SimServer; 2],
    pool: Pool,
}

fn world(background: Background, set: impl FnOnce(Builder) -> Builder) -> World {
    let sim = Sim::new();
    let servers = [SimServer::start(&sim, ONE), SimServer::start(&sim, TWO)];
    let pool = background.build(&sim, set(builder(&sim, &[&servers[0], &servers[1]])));
    World { sim, servers, pool }
}

impl World {
    /// How many sockets are open to each once so much time has passed and all has come to rest.
    async fn open_after(&self, time: Duration) -> [usize; 2] {
        self.sim.sleep(time).await;
        self.sim.settle().await;
        [self.servers[0].counts().open, self.servers[1].counts().open]
    }
}

#[test]
fn a_floor_is_filled_before_the_first_request_and_again_after_each_loss() {
    for background in [Background::Spawned, Background::Driven] {
        let world = world(background, |builder| builder.min_idle(3));
        let sim = world.sim.clone();
        sim.block_on(async {
            assert_eq!(world.open_after(Duration::ZERO).await, [3, 3], "{background:?}");
            world.pool.close_idle();
            assert_eq!(world.open_after(Duration::ZERO).await, [3, 3]);
            let held = hold(&world.pool, 4).await;
            assert_eq!(world.open_after(SECOND * 5).await, [3, 3], "those in use count");
            held.into_iter().for_each(evenkeel::Checkout::discard);
            assert_eq!(world.open_after(Duration::ZERO).await, [3, 3]);
        });
        assert_balanced(&world.pool.metrics());
    }
}

#[test]
fn a_connection_that_its_server_closes_is_made_up_for() {
    let world = world(Background::Driven, |builder| builder.min_idle(2));
    let sim = world.sim.clone();
    sim.block_on(async {
        get(&world.pool, "/fin/5000").await.unwrap();
        assert_eq!(world.open_after(SECOND * 5).await, [2, 2]);
    });
    let metrics = world.pool.metrics();
    assert_eq!((metrics.destroyed.by_peer, metrics.connections_created), (1, 5));
}

#[test]
fn a_floor_that_expires_is_replaced_before_it_ends() {
    for lifetime in [None, Some(SECOND * 60)] {
        let world =
            world(Background::Driven, |builder| builder.min_idle(2).max_lifetime(lifetime).seed(1));
        let sim = world.sim.clone();
        sim.block_on(async {
            let (mut least, mut most) = (4, 0);
            for _ in 0..4000 {
                let open: usize = world.open_after(MS * 100).await.iter().sum();
                (least, most) = (least.min(open), most.max(open));
            }
            assert_eq!(least, 4, "{lifetime:?}");
            assert!((5..=8).contains(&most), "{lifetime:?}: {most}");
        });
        let metrics = world.pool.metrics();
        let ended = metrics.destroyed.lifetime + metrics.destroyed.idle;
        assert_eq!(metrics.connections_destroyed, ended);
        assert!(metrics.connections_created <= 36, "{lifetime:?}: {metrics:?}");
        assert_eq!(metrics.destroyed.lifetime > 0, lifetime.is_some());
    }
}

#[test]
fn what_stays_for_the_floor_is_what_was_used_last() {
    let world = world(Background::Driven, |builder| builder.min_idle(1));
    let sim = world.sim.clone();
    sim.block_on(async {
        let one = Select::new().server(id_at(&world.pool, &world.servers[0]));
        let first = world.pool.checkout(one.clone()).await.unwrap();
        let second = world.pool.checkout(one).await.unwrap();
        drop(first);
        world.sim.sleep(MS * 500).await;
        drop(second);
        assert_eq!(world.open_after(MS * 89_500 - MS).await[0], 2);
        assert_eq!(world.open_after(MS).await[0], 1);
        let server = id_at(&world.pool, &world.servers[0]);
        let old = |info: &evenkeel::IdleInfo| info.server == server && info.idle > MS * 89_500;
        assert_eq!(world.pool.close_idle_where(old), 0, "the wrong one was closed");
    });
}

#[test]
fn a_connection_is_replaced_while_it_carries_its_last_request() {
    let world = world(Background::Driven, |builder| {
        builder.min_idle(1).max_requests_per_connection(3).max_lifetime(SECOND * 60)
    });
    let sim = world.sim.clone();
    let one = Select::new().server(id_at(&world.pool, &world.servers[0]));
    sim.block_on(async {
        for (turn, open) in [1, 1, 2, 1, 1, 2].into_iter().enumerate() {
            let request = wished("/after/50", one.clone());
            let mut call = Box::pin(world.pool.send(request));
            assert!(poll_once(&mut call).await.is_none());
            assert_eq!(world.open_after(MS).await[0], open, "{turn}");
            whole(call.await.unwrap()).await.unwrap();
            assert_eq!(world.open_after(MS).await[0], 1, "{turn}");
        }
        // So it is when its time is nearly up.
        let mut held = world.pool.checkout(one).await.unwrap();
        world.sim.sleep(SECOND * 60).await;
        let response = held.send(request(Method::GET, "/")).await.unwrap();
        response.into_body().bytes().await.unwrap();
        assert_eq!(world.open_after(MS).await[0], 2);
        drop(held);
        assert_eq!(world.open_after(MS).await[0], 1);
    });
    assert_balanced(&world.pool.metrics());
}

#[test]
fn a_learned_limit_ends_no_floor_before_it_is_replaced() {
    let world = world(Background::Driven, |builder| builder.min_idle(1));
    let sim = world.sim.clone();
    sim.block_on(async {
        for _ in 0..3 {
            get(&world.pool, "/fin/5000").await.unwrap();
            get(&world.pool, "/fin/5000").await.unwrap();
            // The new ones are used at once.
            world.sim.sleep(SECOND * 5 + MS).await;
        }
        let learned = |at: usize| world.pool.server_stats()[at].learned_idle_limit;
        assert_eq!([learned(0), learned(1)], [Some(SECOND * 4); 2]);
        for _ in 0..200 {
            let open = world.open_after(MS * 100).await;
            assert!(open.iter().all(|open| (1..=2).contains(open)), "{open:?}");
        }
    });
    assert_balanced(&world.pool.metrics());
}

#[test]
fn a_server_that_cannot_be_reached_is_asked_again_after_longer_and_longer_pauses() {
    let mut world = world(Background::Driven, |builder| {
        // A server that is ejected has no floor until a request has tried it.
        builder.min_idle(2).seed(3).ejection(Ejection::off())
    });
    let sim = world.sim.clone();
    sim.block_on(async {
        world.servers[0].stop().await;
        world.pool.close_idle();
        assert_eq!(world.open_after(SECOND * 30).await, [0, 2]);
        let errors = world.pool.metrics().connect_errors;
        assert!((5..=9).contains(&errors), "{errors}");
        world.servers[0].restart();
        assert_eq!(world.open_after(SECOND * 61).await, [2, 2]);
    });
    assert_balanced(&world.pool.metrics());
}

#[test]
fn servers_that_join_get_a_floor_and_those_that_are_drained_have_none() {
    let world = world(Background::Spawned, |builder| builder.min_idle(2));
    let two = id_at(&world.pool, &world.servers[1]);
    let sim = world.sim.clone();
    sim.block_on(async {
        world.pool.remove_server(two).unwrap();
        assert_eq!(world.open_after(Duration::ZERO).await, [2, 0]);
        let two = world.pool.add_server(parse(&world.servers[1].url()).weight(0)).unwrap();
        assert_eq!(world.open_after(SECOND * 9).await, [2, 0]);
        world.pool.set_weight(two, 1).unwrap();
        assert_eq!(world.open_after(Duration::ZERO).await, [2, 2]);
    });
    assert_balanced(&world.pool.metrics());
}

#[test]
fn a_floor_passes_no_limit_and_takes_nothing_from_others() {
    let world = world(Background::Driven, |builder| {
        builder.min_idle(3).max_total_connections(4).max_connecting(1)
    });
    let sim = world.sim.clone();
    sim.block_on(async {
        assert_eq!(world.open_after(SECOND).await.iter().sum::<usize>(), 4);
        // All for one server: the floor of the other makes room, and does not come back for it.
        let at_one = || Select::new().server(id_at(&world.pool, &world.servers[0]));
        let mut held = Vec::new();
        for _ in 0..4 {
            held.push(world.pool.checkout(at_one()).await.unwrap());
        }
        assert_eq!(world.open_after(SECOND * 5).await, [4, 0]);
        let waiting = world.pool.checkout(at_one());
        let mut waiting = Box::pin(waiting);
        assert!(poll_once(&mut waiting).await.is_none());
        held.pop().unwrap().discard();
        drop(waiting.await.unwrap());
        drop(held);
        assert_eq!(world.open_after(SECOND * 5).await.iter().sum::<usize>(), 4);
    });
    assert!(world.servers[0].counts().peak <= 4);
    assert_balanced(&world.pool.metrics());
}

#[test]
fn floors_that_do_not_fit_share_what_may_be_idle() {
    let world = world(Background::Driven, |builder| builder.min_idle(5).max_idle_connections(7));
    let sim = world.sim.clone();
    sim.block_on(async {
        assert_eq!(world.open_after(SECOND * 20).await, [3, 3]);
    });
    let metrics = world.pool.metrics();
    assert_eq!((metrics.connections_created, metrics.connections_destroyed), (6, 0));
}

#[test]
fn a_floor_without_background_work_is_refused_unless_somebody_drives_it() {
    let sim = Sim::new();
    let server = SimServer::start(&sim, ONE);
    let error = builder(&sim, &[&server]).min_idle(1).build().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NoBackground);
    assert!(error.to_string().contains("min_idle"), "{error}");
    builder(&sim, &[&server]).min_idle(0).build().unwrap();
    drop(builder(&sim, &[&server]).min_idle(1).build_with_driver().unwrap());
    builder(&sim, &[&server]).min_idle(1).runtime(sim.runtime()).build().unwrap();
}

#[test]
fn a_floor_that_is_being_filled_ends_with_the_pool() {
    for shut in [true, false] {
        let sim = Sim::new();
        let server = SimServer::start(&sim, ONE);
        sim.net().black_hole(ONE);
        let pool = Background::Driven.build(&sim, builder(&sim, &[&server]).min_idle(2));
        sim.block_on(async {
            sim.settle().await;
            assert_eq!(server.counts().connecting, 2);
            if shut {
                let start = sim.now();
                pool.shutdown(SECOND * 9).await;
                assert_eq!(sim.now(), start);
            }
            drop(pool);
            sim.settle().await;
        });
        assert_eq!((server.counts().connecting, server.counts().open), (0, 0));
        assert_eq!(sim.tasks(), server.tasks());
    }
}

#[test]
fn warm_opens_what_is_lacking_at_each_server_and_says_how_many() {
    for background in BACKGROUNDS {
        let world = world(background, |builder| builder.max_connecting(2));
        let sim = world.sim.clone();
        sim.block_on(async {
            world.sim.net().connect_delay(ONE, MS * 10);
            let held = hold(&world.pool, 2).await;
            let warmed = world.pool.warm(5).await.unwrap();
            assert_eq!((warmed.opened, warmed.failed, warmed.missing), (8, 0, 0));
            assert_eq!(world.open_after(Duration::ZERO).await, [5, 5], "{background:?}");
            let warmed = world.pool.warm(5).await.unwrap();
            assert_eq!((warmed.opened, warmed.missing), (0, 0));
            drop(held);
            assert!(get(&world.pool, "/").await.unwrap());
        });
        assert_balanced(&world.pool.metrics());
    }
}

#[test]
fn warm_tells_what_is_missing_for_failures_and_for_want_of_room() {
    let mut world = world(Background::Absent, |builder| {
        builder.max_connections_per_server(4).max_idle_connections(5)
    });
    let sim = world.sim.clone();
    sim.block_on(async {
        world.servers[0].stop().await;
        let warmed = world.pool.warm(3).await.unwrap();
        assert_eq!((warmed.opened, warmed.missing), (3, 3));
        assert!((1..=3).contains(&warmed.failed));
        world.servers[0].restart();
        // No more than may be idle.
        let warmed = world.pool.warm(9).await.unwrap();
        assert_eq!((warmed.opened, warmed.failed, warmed.missing), (2, 0, 13));
        world.pool.shutdown(SECOND).await;
        let error = world.pool.warm(1).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Closed);
    });
    assert_balanced(&world.pool.metrics());
}

#[test]
fn warm_may_be_dropped_at_any_time_and_keeps_nobody_waiting() {
    for polls in 1..4 {
        let world = world(Background::Absent, |builder| builder.max_connections_per_server(2));
        let sim = world.sim.clone();
        sim.block_on(async {
            world.sim.net().connect_delay(ONE, MS * 10);
            world.sim.net().connect_delay(TWO, MS * 20);
            let mut warming = Box::pin(world.pool.warm(1));
            for _ in 0..polls {
                assert!(poll_once(&mut warming).await.is_none());
                world.sim.sleep(MS * 4).await;
            }
            // Not polled any more, it holds up no caller.
            get(&world.pool, "/").await.unwrap();
            get(&world.pool, "/").await.unwrap();
            drop(warming);
            assert_eq!(world.servers[0].counts().connecting, 0);
            assert_eq!(world.servers[1].counts().connecting, 0);
        });
        assert_balanced(&world.pool.metrics());
    }
}
