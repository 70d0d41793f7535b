//! Goal: a connection comes about if any server can be reached in time, no more are opened at once
//! than may be, and a dial never outlives those who want it. Method: a network with holes in it.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use evenkeel::rt::sim::{Sim, SimNet};
use evenkeel::{
    BoxFuture, Connector, Dialling, Error, ErrorKind, Phase, Pool, Runtime, Select, Target,
    Transport,
};
use futures_lite::future::{poll_once, zip};

use crate::support::join::{Job, join_all};
use crate::support::sim::{
    BACKGROUNDS, Background, MS, ONE, SECOND, TWO, builder, get, hold, id_at, info,
};
use crate::support::{SimServer, assert_balanced, parse};

/// What is wrong with a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    Refused,
    Unresolvable,
    BlackHole,
}

const FAULTS: [Fault; 3] = [Fault::Refused, Fault::Unresolvable, Fault::BlackHole];

impl Fault {
    /// The URL of a server at host number `n` that has this fault.
    fn url(self, sim: &Sim, n: u8) -> String {
        match self {
            Self::Refused => format!("http://10.0.1.{n}:8080"),
            Self::Unresolvable => format!("http://nowhere-{n}.test:8080"),
            Self::BlackHole => {
                sim.net().black_hole(&format!("10.0.2.{n}:8080"));
                format!("http://10.0.2.{n}:8080")
            }
        }
    }

    fn kind(self) -> (ErrorKind, Phase) {
        match self {
            Self::Refused => (ErrorKind::Connect, Phase::Connect),
            Self::Unresolvable => (ErrorKind::Resolve, Phase::Resolve),
            Self::BlackHole => (ErrorKind::Timeout, Phase::Connect),
        }
    }

    /// How long it takes to find it out.
    fn takes(self) -> Duration {
        if self == Self::BlackHole { SECOND * 10 } else { Duration::ZERO }
    }
}

#[test]
fn a_server_that_cannot_be_reached_is_passed_over_for_another() {
    for fault in FAULTS {
        let sim = Sim::new();
        let server = SimServer::start(&sim, ONE);
        let faulty = parse(&fault.url(&sim, 1));
        let pool = builder(&sim, &[&server]).server(faulty).build().unwrap();
        sim.block_on(async {
            let mut passed_over = 0;
            // In two turns the faulty one is the first once, or twice if it is passed over first.
            for _ in 0..2 {
                let start = sim.now();
                let response = pool.get("/").await.unwrap();
                let info = info(&response);
                assert_eq!(&*info.url, server.url());
                let took = sim.now() - start;
                match info.attempts {
                    1 => assert_eq!(took, Duration::ZERO),
                    2 => {
                        passed_over += 1;
                        assert_eq!(took, fault.takes(), "{fault:?}");
                    }
                    more => panic!("{more} attempts with two servers"),
                }
            }
            assert!(passed_over > 0, "{fault:?}");
        });
        assert_eq!(pool.metrics().failed_requests, 0);
        assert_balanced(&pool.metrics());
    }
}

#[test]
fn when_no_server_can_be_reached_the_error_says_how_many_were_tried() {
    for fault in FAULTS {
        let sim = Sim::new();
        let urls: Vec<_> = (1..=3).map(|n| fault.url(&sim, n)).collect();
        let builder = builder(&sim, &[]).request_timeout(SECOND * 40);
        let pool = urls.iter().fold(builder, |b, url| b.server(parse(url))).build().unwrap();
        let start = sim.now();
        let error = sim.block_on(get(&pool, "/")).expect_err("none can be reached");
        assert_eq!((error.kind(), error.phase()), (fault.kind().0, Some(fault.kind().1)));
        assert_eq!(error.attempts(), 3);
        assert!(error.is_retry_safe() && error.is_connect());
        assert!(urls.iter().any(|url| Some(url.as_str()) == error.server()), "{error:?}");
        assert_eq!(sim.now() - start, fault.takes() * 3);
        let metrics = pool.metrics();
        assert_eq!((metrics.connects, metrics.connect_errors), (3, 3));
        assert_balanced(&metrics);
    }
}

#[test]
fn no_further_server_is_tried_after_the_deadline() {
    let sim = Sim::new();
    let urls: Vec<_> = (1..=3).map(|n| Fault::BlackHole.url(&sim, n)).collect();
    let builder = builder(&sim, &[]).request_timeout(SECOND * 15);
    let pool = urls.iter().fold(builder, |b, url| b.server(parse(url))).build().unwrap();
    let start = sim.now();
    let error = sim.block_on(get(&pool, "/")).expect_err("none can be reached");
    assert_eq!(sim.now() - start, SECOND * 15);
    assert_eq!((error.kind(), error.attempts()), (ErrorKind::Timeout, 2));
    assert_balanced(&pool.metrics());
}

fn gets(pool: &Pool, path: &'static str, count: usize) -> Vec<Job<Result<bool, Error>>> {
    let job = |_| {
        let pool = pool.clone();
        Box::pin(async move { get(&pool, path).await }) as Job<_>
    };
    (0..count).map(job).collect()
}

#[test]
fn as_many_dials_run_at_once_as_may_and_never_one_more() {
    for most in [1, 3, 10] {
        let sim = Sim::new();
        let server = SimServer::start(&sim, ONE);
        sim.net().black_hole(ONE);
        let builder = builder(&sim, &[&server]).max_connecting(most);
        let builder = builder.dialling(Dialling::new().failures_before_back_off(0));
        let pool = builder.request_timeout(SECOND * 1000).build().unwrap();
        for outcome in sim.block_on(join_all(gets(&pool, "/", 10))) {
            assert!(outcome.expect_err("nobody answers").is_connect());
        }
        assert_eq!((server.counts().peak, server.counts().attempts), (most, 10));
        assert_balanced(&pool.metrics());
    }
}

#[test]
fn no_more_connections_are_opened_than_callers_want() {
    for connect in [0, 500] {
        let sim = Sim::new();
        let server = SimServer::start(&sim, ONE);
        sim.net().connect_delay(ONE, MS * connect);
        let pool = Background::Spawned.build(&sim, builder(&sim, &[&server]));
        for _ in 0..3 {
            for outcome in sim.block_on(join_all(gets(&pool, "/after/100", 7))) {
                outcome.unwrap();
            }
        }
        assert_eq!((server.counts().opened, server.counts().open), (7, 7), "{connect}");
        assert_balanced(&pool.metrics());
    }
}

#[test]
fn a_failed_dial_leaves_its_turn_to_the_next_in_line() {
    let sim = Sim::new();
    let server = SimServer::start(&sim, ONE);
    sim.net().black_hole(ONE);
    let builder = builder(&sim, &[&server]).max_connections_per_server(1);
    let pool = builder.connect_timeout(SECOND).build().unwrap();
    sim.block_on(async {
        let mut first = Box::pin(get(&pool, "/"));
        assert!(poll_once(&mut first).await.is_none());
        sim.net().heal(ONE);
        let start = sim.now();
        let (first, second) = zip(first, get(&pool, "/")).await;
        assert!(first.expect_err("it dialled into the hole").is_connect());
        second.unwrap();
        assert_eq!(sim.now() - start, SECOND);
    });
    assert_balanced(&pool.metrics());
}

#[test]
fn a_caller_that_dials_takes_a_connection_that_comes_back_first() {
    for background in BACKGROUNDS {
        let sim = Sim::new();
        let server = SimServer::start(&sim, ONE);
        let builder = builder(&sim, &[&server]).max_connections_per_server(2);
        let pool = background.build(&sim, builder);
        sim.block_on(async {
            let held = hold(&pool, 1).await;
            sim.net().connect_delay(ONE, SECOND * 4);
            let start = sim.now();
            let give_back = async {
                sim.sleep(SECOND).await;
                drop(held);
            };
            let (taken, ()) = zip(pool.checkout(Select::new()), give_back).await;
            let taken = taken.unwrap();
            assert_eq!(sim.now() - start, SECOND);
            assert_eq!(taken.info().age, SECOND, "it is the one that came back");

            let goes_on = u64::from(background.is_there());
            sim.settle().await;
            let metrics = pool.metrics();
            assert_eq!(metrics.connecting, goes_on, "{background:?}");
            assert_eq!(server.counts().connecting as u64, goes_on, "{background:?}");
            assert_eq!(metrics.connects_cancelled, 1 - goes_on);

            sim.sleep(SECOND * 3).await;
            sim.settle().await;
            assert_eq!(pool.metrics().idle_connections, goes_on, "{background:?}");
            // With it one more can be served at once, without it the place is free for a dial.
            sim.net().heal(ONE);
            drop((taken, pool.checkout(Select::new()).await.unwrap()));
        });
        assert_eq!(server.counts().opened, 2);
        assert_balanced(&pool.metrics());
    }
}

#[test]
fn a_dial_without_its_caller_goes_on_for_five_seconds_at_most() {
    for background in BACKGROUNDS {
        for (connect, lives) in [(4999, true), (5001, false)] {
            let sim = Sim::new();
            let server = SimServer::start(&sim, ONE);
            sim.net().connect_delay(ONE, MS * connect);
            let pool = background.build(&sim, builder(&sim, &[&server]));
            sim.block_on(async {
                let mut caller = Box::pin(get(&pool, "/"));
                assert!(poll_once(&mut caller).await.is_none());
                sim.settle().await;
                drop(caller);
                sim.settle().await;
                let connecting = usize::from(background.is_there());
                assert_eq!(server.counts().connecting, connecting, "{background:?}");
                sim.sleep(SECOND * 5 - MS).await;
                sim.settle().await;
                let idle = u64::from(background.is_there() && lives);
                assert_eq!(pool.metrics().idle_connections, idle, "{background:?} {connect}");
                sim.sleep(MS).await;
                sim.settle().await;
                assert_eq!(server.counts().connecting, 0, "{background:?} {connect}");
                let metrics = pool.metrics();
                assert_eq!(metrics.connects_cancelled, 1 - idle);
                assert_eq!(metrics.cancelled_requests, 1);
                assert_balanced(&metrics);
                assert_eq!(get(&pool, "/").await.unwrap(), idle == 1, "{background:?}");
            });
        }
    }
}

#[test]
fn a_dial_that_was_left_serves_the_next_caller() {
    let sim = Sim::new();
    let server = SimServer::start(&sim, ONE);
    sim.net().connect_delay(ONE, SECOND * 3);
    let builder = builder(&sim, &[&server]).max_connections_per_server(1);
    let pool = Background::Spawned.build(&sim, builder);
    sim.block_on(async {
        let start = sim.now();
        let mut first = Box::pin(get(&pool, "/"));
        assert!(poll_once(&mut first).await.is_none());
        sim.sleep(SECOND).await;
        drop(first);
        get(&pool, "/").await.unwrap();
        assert_eq!(sim.now() - start, SECOND * 3, "it waits for the dial that runs already");
    });
    assert_eq!(server.counts().attempts, 1);
    assert_balanced(&pool.metrics());
}

/// Connects, and remembers the keep-alive it was asked for, in milliseconds.
struct Asked(SimNet, Arc<AtomicU64>);

impl Connector for Asked {
    fn connect<'a>(&'a self, target: &'a Target) -> BoxFuture<'a, io::Result<Box<dyn Transport>>> {
        let asked = target.keep_alive.map_or(0, |interval| interval.as_millis());
        self.1.store(u64::try_from(asked).expect("a short time"), Ordering::Relaxed);
        Connector::connect(&self.0, target)
    }
}

#[test]
fn keep_alive_timeout_reaches_the_connector() {
    let default = Some(Duration::from_secs(30));
    for (setting, expected) in [(default, 30_000), (Some(SECOND + MS), 1001), (None, 0)] {
        let sim = Sim::new();
        let server = SimServer::start(&sim, ONE);
        let asked = Arc::new(AtomicU64::new(u64::MAX));
        let connector = Asked(sim.net().clone(), asked.clone());
        let runtime: Runtime = sim.runtime_without_background().connector(connector);
        let builder = builder(&sim, &[&server]).runtime(runtime);
        let builder =
            if setting == default { builder } else { builder.keep_alive_timeout(setting) };
        let pool = builder.build().unwrap();
        sim.block_on(get(&pool, "/")).unwrap();
        assert_eq!(asked.load(Ordering::Relaxed), expected);
    }
}

#[test]
fn a_server_that_is_removed_while_it_is_dialled_is_left_at_once() {
    for background in BACKGROUNDS {
        let sim = Sim::new();
        let (one, two) = (SimServer::start(&sim, ONE), SimServer::start(&sim, TWO));
        sim.net().black_hole(ONE);
        let pool = background.build(&sim, builder(&sim, &[&one]));
        sim.block_on(async {
            let mut caller = Box::pin(get(&pool, "/"));
            assert!(poll_once(&mut caller).await.is_none());
            pool.add_server(parse(&two.url())).unwrap();
            pool.remove_server(id_at(&pool, &one)).unwrap();
            let start = sim.now();
            caller.await.unwrap();
            assert_eq!(sim.now(), start);
            assert_eq!(one.counts().connecting, 0, "{background:?}");
        });
        assert_eq!(pool.metrics().connects_cancelled, 1);
        assert_balanced(&pool.metrics());
    }
}
