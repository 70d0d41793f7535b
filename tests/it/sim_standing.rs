//! Goal: what is decided about servers holds; they come back step by step; and when few are well,
//! the pool does what it was told to. Method: servers in a simulated world.

use std::sync::mpsc;

use evenkeel::rt::sim::Sim;
use evenkeel::{
    Builder, ErrorKind, Event, Exclusion, Health, HealthCheck, Pool, Select, ServerId, ServerState,
    Strategy,
};
use futures_lite::future::{poll_once, zip};

use super::sim_checks;
use crate::support::assert_balanced;
use crate::support::patient::{AFTER, Patient};
use crate::support::sim::{MS, ONE, SECOND, TWO, get, wished};

fn builder(sim: &Sim, patients: &[&Patient]) -> Builder {
    let builder = Pool::builder().runtime(sim.runtime()).seed(1);
    patients.iter().fold(builder, |builder, patient| builder.server(patient.server()))
}

fn id(pool: &Pool, at: usize) -> ServerId {
    pool.server_stats()[at].id
}

fn health(pool: &Pool, at: usize) -> Health {
    pool.server_stats()[at].health
}

async fn until(sim: &Sim, pool: &Pool, at: usize, wanted: Health) {
    while health(pool, at) != wanted {
        sim.sleep(MS * 10).await;
    }
}

/// A pool over both, and the first of them is down.
async fn one_down(sim: &Sim, one: &Patient, two: &Patient, builder: Builder) -> Pool {
    one.checks_get(500);
    two.checks_get(200);
    let pool = builder.build().expect("valid");
    until(sim, &pool, 0, Health::Down).await;
    until(sim, &pool, 1, Health::Up).await;
    pool
}

#[test]
fn a_server_that_comes_back_gets_its_share_step_by_step() {
    for &strategy in Strategy::ALL {
        let is_keyed = matches!(strategy, Strategy::IpHash | Strategy::BoundedLoadHash);
        let by_load = matches!(strategy, Strategy::LeastConnections | Strategy::PeakEwma);
        let sim = Sim::new();
        let (one, two) = (Patient::start(&sim, ONE), Patient::start(&sim, TWO));
        sim.block_on(async {
            let builder = builder(&sim, &[&one, &two]).strategy(strategy).slow_start(SECOND * 10);
            let pool = one_down(&sim, &one, &two, builder).await;
            [&one, &two].iter().for_each(|patient| patient.requests_get(AFTER + 1));
            let began = sim.now();
            one.checks_get(200);
            until(&sim, &pool, 0, Health::Up).await;
            assert!(sim.now() - began < SECOND * 10);
            let mut shares = Vec::new();
            for second in 0..12_u32 {
                let before = one.requests();
                for number in 0..400_u32 {
                    let key = (second * 400 + number).to_le_bytes();
                    let select = Select::new();
                    let select = if is_keyed { select.hash_key(key) } else { select };
                    let response = pool.send(wished("/", select)).await.unwrap();
                    response.into_body().bytes().await.unwrap();
                }
                shares.push(one.requests() - before);
                sim.sleep(SECOND).await;
            }
            println!("{strategy}: {shares:?}");
            // Of 400, it gets 1 in 11 at first, and half in the end.
            assert!(shares[0] <= 80, "{strategy}: {shares:?}");
            assert!(shares[11] >= 150, "{strategy}: {shares:?}");
            if !by_load {
                assert!(shares[0] >= 10, "{strategy}: {shares:?}");
                assert!((80..190).contains(&shares[5]), "{strategy}: {shares:?}");
            }
            if strategy == Strategy::RoundRobin {
                assert_eq!(shares[11], 200);
            }
        });
    }
}

#[test]
fn the_others_changes_neither_restart_nor_end_a_slow_start() {
    let sim = Sim::new();
    let (one, two) = (Patient::start(&sim, ONE), Patient::start(&sim, TWO));
    sim.block_on(async {
        let builder = builder(&sim, &[&one, &two]).slow_start(SECOND * 10);
        let pool = one_down(&sim, &one, &two, builder).await;
        one.checks_get(200);
        until(&sim, &pool, 0, Health::Up).await;
        let mut shares = Vec::new();
        for second in 0..12 {
            pool.set_weight(id(&pool, 1), second % 2 + 1).unwrap();
            let before = one.requests();
            for _ in 0..110 {
                get(&pool, "/").await.unwrap();
            }
            shares.push(one.requests() - before);
            sim.sleep(SECOND).await;
        }
        assert!(shares.windows(2).all(|pair| pair[0] <= pair[1] + 1), "{shares:?}");
        assert_eq!((shares[0], shares[11]), (10, 55), "{shares:?}");
    });
}

#[test]
fn a_pool_begins_without_a_slow_start() {
    let sim = Sim::new();
    let (one, two) = (Patient::start(&sim, ONE), Patient::start(&sim, TWO));
    sim.block_on(async {
        let pool = builder(&sim, &[&one, &two]).start_unknown(false).build().unwrap();
        pool.wait_ready().await.unwrap();
        until(&sim, &pool, 0, Health::Up).await;
        until(&sim, &pool, 1, Health::Up).await;
        for _ in 0..20 {
            get(&pool, "/").await.unwrap();
        }
        assert_eq!((one.requests(), two.requests()), (10, 10));
    });
}

#[test]
fn below_the_panic_threshold_health_is_ignored() {
    for (threshold, panics) in [(0, false), (50, false), (51, true)] {
        let sim = Sim::new();
        let (one, two) = (Patient::start(&sim, ONE), Patient::start(&sim, TWO));
        let (tell, told) = mpsc::channel();
        sim.block_on(async {
            let builder = builder(&sim, &[&one, &two]).panic_threshold(threshold).slow_start(None);
            let builder = builder.observer(move |event: &Event<'_>| {
                if matches!(event, Event::PanicBegan | Event::PanicEnded) {
                    tell.send(format!("{event:?}")).unwrap();
                }
            });
            let pool = one_down(&sim, &one, &two, builder).await;
            for _ in 0..10 {
                get(&pool, "/").await.unwrap();
            }
            assert_eq!(one.requests(), if panics { 5 } else { 0 }, "{threshold}");
            one.checks_get(200);
            until(&sim, &pool, 0, Health::Up).await;
            let expected: &[&str] = if panics { &["PanicBegan", "PanicEnded"] } else { &[] };
            assert_eq!(told.try_iter().collect::<Vec<_>>(), expected);
            two.checks_get(500);
            one.checks_get(500);
            until(&sim, &pool, 0, Health::Down).await;
            until(&sim, &pool, 1, Health::Down).await;
            assert_eq!(get(&pool, "/").await.is_ok(), threshold > 0);
        });
    }
    let error = Pool::builder().panic_threshold(101).build().expect_err("no percentage");
    assert_eq!(error.kind(), ErrorKind::Config);
}

#[test]
fn no_servers_and_no_healthy_servers_are_told_apart() {
    let sim = Sim::new();
    let one = Patient::start(&sim, ONE);
    one.checks_get(500);
    sim.block_on(async {
        let pool = builder(&sim, &[]).build().unwrap();
        let kind = async |pool: &Pool, select: Select| {
            pool.checkout(select.timeout(SECOND)).await.map(drop).map_err(|error| error.kind())
        };
        assert_eq!(kind(&pool, Select::new()).await, Err(ErrorKind::NoServers));
        let id = pool.add_server(one.server().tag("a")).unwrap();
        until(&sim, &pool, 0, Health::Down).await;
        assert_eq!(kind(&pool, Select::new()).await, Err(ErrorKind::NoHealthyServers));
        assert_eq!(kind(&pool, Select::new().tag("a")).await, Err(ErrorKind::NoHealthyServers));
        assert_eq!(kind(&pool, Select::new().tag("b")).await, Err(ErrorKind::NoServers));
        assert_eq!(kind(&pool, Select::new().server(id)).await, Ok(()), "who names it gets it");
        pool.set_weight(id, 0).unwrap();
        assert_eq!(kind(&pool, Select::new()).await, Err(ErrorKind::NoServers));
        pool.set_weight(id, 1).unwrap();
        pool.set_state(id, ServerState::Draining).unwrap();
        assert_eq!(kind(&pool, Select::new()).await, Err(ErrorKind::NoServers));
        assert_eq!(kind(&pool, Select::new().server(id)).await, Ok(()));
        pool.set_state(id, ServerState::Disabled).unwrap();
        assert_eq!(kind(&pool, Select::new().server(id)).await, Err(ErrorKind::NoServers));
        assert_balanced(&pool.metrics());
    });
}

#[test]
fn what_is_decided_about_a_server_holds_and_is_told() {
    let sim = Sim::new();
    let (one, two) = (Patient::start(&sim, ONE), Patient::start(&sim, TWO));
    let (tell, told) = mpsc::channel();
    sim.block_on(async {
        let builder = builder(&sim, &[&one, &two]).slow_start(None);
        let builder = builder.observer(move |event: &Event<'_>| {
            if let Event::StateChanged { state, .. } = event {
                tell.send(*state).unwrap();
            }
        });
        let pool = one_down(&sim, &one, &two, builder).await;
        let first = id(&pool, 0);
        let ask = async || {
            let before = one.requests();
            for _ in 0..10 {
                get(&pool, "/").await.unwrap();
            }
            one.requests() - before
        };
        pool.set_state(first, ServerState::ForcedUp).unwrap();
        assert_eq!(ask().await, 5);
        assert_eq!((health(&pool, 0), pool.server_stats()[0].is_healthy), (Health::Down, true));
        // It stays so, whatever happens to weights and to the other server.
        pool.set_weight(first, 7).unwrap();
        pool.remove_server(id(&pool, 1)).unwrap();
        pool.add_server(two.server()).unwrap();
        pool.add_server(one.server().weight(1)).unwrap();
        assert_eq!(pool.server_stats()[0].state, ServerState::ForcedUp);
        assert_eq!(ask().await, 5);
        one.checks_get(200);
        until(&sim, &pool, 0, Health::Up).await;
        for (state, why, idle) in [
            (ServerState::Draining, Exclusion::Draining, 1),
            (ServerState::Disabled, Exclusion::Disabled, 0),
        ] {
            pool.set_state(first, state).unwrap();
            assert_eq!(pool.explain(&Select::new()).servers[0].exclusion, Some(why));
            assert_eq!((ask().await, one.sockets()), (0, idle), "{state}");
        }
        let before = one.checks();
        sim.sleep(SECOND * 200).await;
        assert_eq!(one.checks(), before, "one that is disabled is not checked");
        pool.set_state(first, ServerState::Active).unwrap();
        pool.set_state(first, ServerState::Active).unwrap();
        assert_eq!(ask().await, 5);
        sim.sleep(SECOND * 2).await;
        assert!(one.checks() > before);
        let expected = [
            ServerState::ForcedUp,
            ServerState::Draining,
            ServerState::Disabled,
            ServerState::Active,
        ];
        assert_eq!(told.try_iter().collect::<Vec<_>>(), expected);
        pool.remove_server(first).unwrap();
        let error = pool.set_state(first, ServerState::Active).expect_err("it is gone");
        assert_eq!(error.kind(), ErrorKind::NotFound);
    });
}

#[test]
fn those_in_line_at_a_disabled_server_go_elsewhere_and_those_at_a_draining_one_stay() {
    for state in [ServerState::Draining, ServerState::Disabled] {
        let sim = Sim::new();
        let (one, two) = (Patient::start(&sim, ONE), Patient::start(&sim, TWO));
        sim.block_on(async {
            let builder = builder(&sim, &[&one]).health_check(HealthCheck::off());
            let pool = builder.max_connections_per_server(1).build().unwrap();
            let held = pool.checkout(Select::new()).await.unwrap();
            let mut waiting = Box::pin(pool.checkout(Select::new()));
            assert!(poll_once(&mut waiting).await.is_none());
            pool.add_server(two.server()).unwrap();
            pool.set_state(id(&pool, 0), state).unwrap();
            let (served, ()) = zip(waiting, async {
                sim.settle().await;
                drop(held);
            })
            .await;
            let stays = state == ServerState::Draining;
            let expected = if stays { one.url() } else { two.url() };
            assert_eq!(served.unwrap().server().url(), expected, "{state}");
            assert_eq!(one.sockets(), usize::from(stays), "{state}");
        });
    }
}

#[test]
fn a_server_that_is_not_checked_yet_waits_if_it_should() {
    let sim = Sim::new();
    let one = Patient::start(&sim, ONE);
    sim.block_on(async {
        let pool = builder(&sim, &[&one]).build().unwrap();
        pool.wait_ready().await.unwrap();
        get(&pool, "/").await.unwrap();
        let pool = builder(&sim, &[&one]).start_unknown(false).build().unwrap();
        let error = get(&pool, "/").await.expect_err("it is not known to be well");
        assert_eq!(error.kind(), ErrorKind::NoHealthyServers);
        let report = pool.explain(&Select::new());
        assert_eq!(report.servers[0].exclusion, Some(Exclusion::Unknown));
        assert_eq!(pool.metrics().unhealthy_servers, 1);
        pool.wait_ready().await.unwrap();
        assert_eq!(health(&pool, 0), Health::Up);
        get(&pool, "/").await.unwrap();
    });
}

#[test]
fn who_waits_for_a_ready_pool_goes_on_when_a_server_comes_and_when_the_pool_closes() {
    let sim = Sim::new();
    let one = Patient::start(&sim, ONE);
    sim.block_on(async {
        let pool = builder(&sim, &[]).build().unwrap();
        // One who gives up leaves nothing behind.
        assert!(poll_once(Box::pin(pool.wait_ready())).await.is_none());
        let (ready, added) = zip(pool.wait_ready(), async {
            sim.sleep(SECOND).await;
            pool.add_server(one.server())
        })
        .await;
        ready.unwrap();
        let first = added.unwrap();
        pool.set_state(first, ServerState::Disabled).unwrap();
        let (ready, ()) = zip(pool.wait_ready(), async {
            sim.sleep(SECOND).await;
            pool.set_state(first, ServerState::Active).unwrap();
        })
        .await;
        ready.unwrap();
        pool.set_weight(first, 0).unwrap();
        let (ready, ()) = zip(pool.wait_ready(), async {
            sim.sleep(SECOND).await;
            pool.set_weight(first, 1).unwrap();
        })
        .await;
        ready.unwrap();
        pool.remove_server(first).unwrap();
        let (ready, _) = zip(pool.wait_ready(), async {
            sim.sleep(SECOND).await;
            pool.shutdown(SECOND).await
        })
        .await;
        assert!(ready.expect_err("it is closed").is_closed());
    });
}

#[test]
fn the_observer_is_told_what_became_of_a_server_and_why() {
    let sim = Sim::new();
    let one = Patient::start(&sim, ONE);
    let (tell, told) = mpsc::channel();
    sim.block_on(async {
        let observer = move |event: &Event<'_>| {
            if let Event::HealthChanged { url, from, to, why, .. } = event {
                tell.send(format!("{url}: {from} to {to}, {why}")).unwrap();
            }
        };
        let pool = builder(&sim, &[&one]).observer(observer).build().unwrap();
        sim_checks::checked(&sim, &pool, 1).await;
        one.checks_get(500);
        sim_checks::checked(&sim, &pool, 9).await;
        one.checks_get(200);
        sim_checks::checked(&sim, &pool, 12).await;
        let expected = [
            format!("http://{ONE}: unknown to up, its health checks succeed"),
            format!("http://{ONE}: up to down, its health checks fail: status 500"),
            format!("http://{ONE}: down to up, its health checks succeed"),
        ];
        assert_eq!(told.try_iter().collect::<Vec<_>>(), expected);
    });
}

/// In the original 82 % of the clients of other servers moved.
#[test]
fn when_a_server_goes_down_only_its_clients_move_and_come_back_with_it() {
    let sim = Sim::new();
    let addresses = (1..=10).map(|n| format!("10.0.0.{n}:80"));
    let patients: Vec<Patient> = addresses.map(|addr| Patient::start(&sim, addr)).collect();
    sim.block_on(async {
        let all: Vec<&Patient> = patients.iter().collect();
        let builder = builder(&sim, &all).strategy(Strategy::IpHash).slow_start(None);
        let pool = builder.build().unwrap();
        let owner = |client: u32| {
            let select = Select::new().hash_key(client.to_le_bytes());
            pool.explain(&select).choice().unwrap()
        };
        let before: Vec<ServerId> = (0..1000).map(owner).collect();
        let first = id(&pool, 0);
        patients[0].checks_get(500);
        until(&sim, &pool, 0, Health::Down).await;
        for (client, before) in (0..).zip(&before) {
            let moved = owner(client) != *before;
            assert_eq!(moved, *before == first, "client {client}");
        }
        patients[0].checks_get(200);
        until(&sim, &pool, 0, Health::Up).await;
        assert_eq!((0..1000).map(owner).collect::<Vec<_>>(), before);
    });
}
