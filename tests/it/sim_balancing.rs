//! Every strategy through the public API, in simulated time.

use evenkeel::rt::sim::Sim;
use evenkeel::{Builder, Pool, Select, Strategy, Verdict};

use crate::support::sim::{MS, SECOND, get, hold, id_at, info, whole, wished};
use crate::support::{SimServer, assert_balanced, parse};

const ADDRESSES: [&str; 4] = ["10.0.0.1:8080", "10.0.0.2:8080", "10.0.0.3:8080", "10.0.0.4:8080"];

/// Servers of these weights, and a builder of a pool of them whose dice fall the same each time.
fn fleet(sim: &Sim, weights: &[u32]) -> (Vec<SimServer>, Builder) {
    let servers: Vec<SimServer> =
        ADDRESSES.iter().zip(weights).map(|(address, _)| SimServer::start(sim, address)).collect();
    let builder = Pool::builder().runtime(sim.runtime_without_background()).seed(7);
    let with_server = |builder: Builder, (server, weight): (&SimServer, &u32)| {
        builder.server(parse(&server.url()).weight(*weight))
    };
    let builder = servers.iter().zip(weights).fold(builder, with_server);
    (servers, builder)
}

/// How many requests each has had.
fn requests(servers: &[SimServer]) -> Vec<usize> {
    servers.iter().map(SimServer::requests).collect()
}

async fn gets(pool: &Pool, count: usize) {
    for _ in 0..count {
        get(pool, "/").await.expect("an answer");
    }
}

/// The index of the server that a request with these wishes went to.
async fn served_by(pool: &Pool, servers: &[SimServer], path: &str, select: Select) -> usize {
    let response = pool.send(wished(path, select)).await.expect("an answer");
    let url = info(&response).url.clone();
    whole(response).await.expect("all of it");
    servers.iter().position(|server| server.url() == *url).expect("one of these")
}

#[test]
fn every_strategy_serves_all_and_balances_its_books() {
    for &strategy in Strategy::ALL {
        let sim = Sim::new();
        sim.block_on(async {
            let (servers, builder) = fleet(&sim, &[1, 2, 3, 0]);
            let pool = builder.strategy(strategy).build().unwrap();
            for client in 0..120 {
                let select = Select::new().client_id(format!("client-{client}"));
                served_by(&pool, &servers, "/", select).await;
            }
            let had = requests(&servers);
            assert_eq!(had.iter().sum::<usize>(), 120, "{strategy}");
            assert_eq!(had[3], 0, "{strategy}: weight 0 gets nothing");
            assert!(had[..3].iter().all(|&had| had > 0), "{strategy}: {had:?}");
            assert_balanced(&pool.metrics());
        });
    }
}

#[test]
fn weighted_round_robin_is_exact_in_each_period() {
    let sim = Sim::new();
    sim.block_on(async {
        let (servers, builder) = fleet(&sim, &[3, 1, 2]);
        let pool = builder.strategy(Strategy::WeightedRoundRobin).build().unwrap();
        gets(&pool, 60).await;
        assert_eq!(requests(&servers), [30, 10, 20]);
        assert_balanced(&pool.metrics());
    });
}

#[test]
fn least_connections_goes_where_the_fewest_are_on_loan() {
    let sim = Sim::new();
    sim.block_on(async {
        let (servers, builder) = fleet(&sim, &[1, 1, 1]);
        let pool = builder.strategy(Strategy::LeastConnections).build().unwrap();
        let mut held = hold(&pool, 9).await;
        let counts: Vec<u64> = pool.server_stats().iter().map(|stats| stats.open).collect();
        assert_eq!(counts, [3, 3, 3]);
        let quiet = id_at(&pool, &servers[1]);
        held.retain(|checkout| checkout.server_id() != quiet);
        for _ in 0..3 {
            let checkout = pool.checkout(Select::new()).await.unwrap();
            assert_eq!(checkout.server_id(), quiet);
            held.push(checkout);
        }
        drop(held);
        assert_balanced(&pool.metrics());
    });
}

#[test]
fn least_connections_shares_loans_by_weight() {
    let sim = Sim::new();
    sim.block_on(async {
        let (_servers, builder) = fleet(&sim, &[4, 1, 1]);
        let pool = builder.strategy(Strategy::LeastConnections).build().unwrap();
        let _held = hold(&pool, 12).await;
        let counts: Vec<u64> = pool.server_stats().iter().map(|stats| stats.open).collect();
        assert_eq!(counts, [8, 2, 2]);
    });
}

#[test]
fn a_client_stays_at_its_server_while_others_come_and_go() {
    let sim = Sim::new();
    sim.block_on(async {
        let (servers, builder) = fleet(&sim, &[1, 1, 1]);
        let pool = builder.strategy(Strategy::IpHash).build().unwrap();
        let client = |client| Select::new().client_id(format!("10.1.2.{client}"));
        let mut homes = Vec::new();
        for one in 0..40 {
            homes.push(served_by(&pool, &servers, "/", client(one)).await);
        }
        assert!((0..3).all(|server| homes.contains(&server)));
        let last = id_at(&pool, &servers[2]);
        pool.remove_server(last).unwrap();
        for (one, &home) in homes.iter().enumerate() {
            let now = served_by(&pool, &servers, "/", client(one)).await;
            assert!(now == home || home == 2, "client {one} moved from {home} to {now}");
        }
        pool.add_server(parse(&servers[2].url())).unwrap();
        for (one, &home) in homes.iter().enumerate() {
            assert_eq!(served_by(&pool, &servers, "/", client(one)).await, home);
        }
    });
}

#[test]
fn a_client_s_server_among_those_of_a_tag_does_not_depend_on_the_others() {
    let sim = Sim::new();
    let tagged = |port: u16| parse(&format!("http://10.0.0.1:{port}")).tag("cache");
    let pool = |others: std::ops::Range<u16>| {
        let servers = (1..4).map(tagged);
        let others = others.map(|port| parse(&format!("http://10.0.0.2:{port}")));
        let builder = Pool::builder().runtime(sim.runtime_without_background());
        let builder = servers.chain(others).fold(builder, Builder::server);
        builder.strategy(Strategy::IpHash).build().unwrap()
    };
    let (few, many) = (pool(1..1), pool(1..200));
    for client in 0..100 {
        let wanted = Select::new().tag("cache").client_id(format!("10.1.2.{client}"));
        // Both number those with the tag from 1 to 3.
        let [home, among_many] = [&few, &many].map(|pool| pool.explain(&wanted).choice());
        assert!(home.is_some() && home == among_many, "client {client}");
    }
}

#[test]
fn a_client_waits_for_its_own_server_though_another_is_free() {
    let sim = Sim::new();
    sim.block_on(async {
        let (_servers, builder) = fleet(&sim, &[1, 1]);
        let builder = builder.strategy(Strategy::IpHash).max_connections_per_server(1);
        let pool = builder.build().unwrap();
        let client = Select::new().client_id("user-123");
        let held = pool.checkout(client.clone()).await.unwrap();
        let home = held.server_id();
        assert_eq!(pool.explain(&client).verdict, Verdict::Wait(home));
        let error = pool.checkout(client.clone().timeout(SECOND)).await.expect_err("it is taken");
        assert!(error.is_timeout());
        drop(held);
        assert_eq!(pool.checkout(client).await.unwrap().server_id(), home);
    });
}

#[test]
fn a_hot_key_spills_over_when_its_server_has_more_than_its_share() {
    for (factor, most) in [(150, 6), (101, 5), (1000, 12)] {
        let sim = Sim::new();
        sim.block_on(async {
            let (_servers, builder) = fleet(&sim, &[1, 1, 1]);
            let builder = builder.strategy(Strategy::BoundedLoadHash).hash_balance_factor(factor);
            let pool = builder.build().unwrap();
            let mut held = Vec::new();
            for _ in 0..12 {
                held.push(pool.checkout(Select::new().client_id("hot")).await.unwrap());
            }
            let loans = pool.server_stats().iter().map(|stats| stats.open).max().unwrap();
            // 12 over 3 servers: 4 each, times the factor, rounded up.
            assert_eq!(loans, most, "{factor}");
        });
    }
}

#[test]
fn a_full_server_is_passed_over_while_another_has_room() {
    for &strategy in Strategy::ALL.iter().filter(|strategy| **strategy != Strategy::IpHash) {
        let sim = Sim::new();
        sim.block_on(async {
            let (_servers, builder) = fleet(&sim, &[100, 1, 1]);
            let pool = builder.strategy(strategy).max_connections_per_server(2).build().unwrap();
            let wishes = || Select::new().client_id("user").timeout(SECOND);
            let mut held = Vec::new();
            for _ in 0..6 {
                held.push(pool.checkout(wishes()).await.unwrap());
            }
            let error = pool.checkout(wishes()).await.expect_err("all six are taken");
            assert!(error.is_timeout(), "{strategy}: {error}");
            assert!(matches!(pool.explain(&wishes()).verdict, Verdict::Wait(_)), "{strategy}");
            drop(held);
            assert_balanced(&pool.metrics());
        });
    }
}

#[test]
fn the_line_that_promises_a_connection_first_is_joined_though_it_is_longer() {
    let sim = Sim::new();
    sim.block_on(async {
        let (servers, builder) = fleet(&sim, &[1, 1]);
        let pool = builder.max_connections_per_server(1).build().unwrap();
        let at = |index: usize| Select::new().server(id_at(&pool, &servers[index]));
        served_by(&pool, &servers, "/after/1000", at(0)).await;
        served_by(&pool, &servers, "/after/100", at(1)).await;
        let _held = [pool.checkout(at(0)).await.unwrap(), pool.checkout(at(1)).await.unwrap()];
        let mut line = Vec::new();
        // Each turn at the second one takes a tenth of a turn at the first.
        for waiting in 0..12 {
            let quick = Verdict::Wait(id_at(&pool, &servers[usize::from(waiting < 9)]));
            if waiting != 9 {
                assert_eq!(pool.explain(&Select::new()).verdict, quick, "{waiting} in line");
            }
            let mut next = Box::pin(pool.checkout(at(1)));
            assert!(futures_lite::future::poll_once(&mut next).await.is_none());
            line.push(next);
        }
    });
}

#[test]
fn peak_ewma_leaves_a_slow_server_alone() {
    let sim = Sim::new();
    sim.block_on(async {
        let (servers, builder) = fleet(&sim, &[1, 1]);
        let pool = builder.strategy(Strategy::PeakEwma).build().unwrap();
        let slow = Select::new().server(id_at(&pool, &servers[0]));
        served_by(&pool, &servers, "/after/800", slow).await;
        let quick = Select::new().server(id_at(&pool, &servers[1]));
        served_by(&pool, &servers, "/after/5", quick).await;
        gets(&pool, 50).await;
        assert_eq!(requests(&servers), [1, 51]);
    });
}

#[test]
fn a_server_that_has_recovered_is_asked_again_as_the_peak_falls_off() {
    for decay in [1, 10] {
        let sim = Sim::new();
        sim.block_on(async {
            let (servers, builder) = fleet(&sim, &[1, 1]);
            let pool =
                builder.strategy(Strategy::PeakEwma).ewma_decay(SECOND * decay).build().unwrap();
            let slow = Select::new().server(id_at(&pool, &servers[0]));
            served_by(&pool, &servers, "/after/800", slow).await;
            // The other one takes 20 ms, all the time; it costs as much when 800 ms have fallen
            // off to that: after τ · ln 40, which is 3.7 τ.
            let began = sim.now();
            let mut asked = 0;
            while asked == 0 {
                asked =
                    usize::from(served_by(&pool, &servers, "/after/20", Select::new()).await == 0);
            }
            let took = (sim.now() - began).as_secs_f64() / f64::from(decay);
            assert!((3.0..4.5).contains(&took), "{took} τ");
        });
    }
}

#[test]
fn a_server_that_fails_fast_attracts_nobody() {
    for path in ["/status/503", "/status/429", "/drop"] {
        let sim = Sim::new();
        sim.block_on(async {
            let (servers, builder) = fleet(&sim, &[1, 1]);
            let pool = builder.strategy(Strategy::PeakEwma).build().unwrap();
            let failing = Select::new().server(id_at(&pool, &servers[0]));
            if let Ok(response) = pool.send(wished(path, failing)).await {
                whole(response).await.unwrap();
            }
            let before = servers[0].requests();
            for _ in 0..30 {
                served_by(&pool, &servers, "/after/20", Select::new()).await;
            }
            assert_eq!(servers[0].requests(), before, "{path}");
            let report = pool.explain(&Select::new()).servers.swap_remove(0);
            assert!(report.response_peak.unwrap() > SECOND * 4, "{path}: {report:?}");
        });
    }
}

#[test]
fn a_server_that_refuses_connections_is_left_alone_until_the_peak_falls_off() {
    let sim = Sim::new();
    sim.block_on(async {
        let (mut servers, builder) = fleet(&sim, &[1, 1]);
        let pool = builder.strategy(Strategy::PeakEwma).build().unwrap();
        servers[0].stop().await;
        for _ in 0..30 {
            assert_eq!(served_by(&pool, &servers, "/after/20", Select::new()).await, 1);
        }
        assert!(pool.metrics().connect_errors <= 1);
        servers[0].restart();
        while served_by(&pool, &servers, "/after/20", Select::new()).await == 1 {}
        assert_balanced(&pool.metrics());
    });
}

#[test]
fn a_request_that_is_given_up_counts_for_as_long_as_it_lasted() {
    let sim = Sim::new();
    sim.block_on(async {
        let (servers, builder) = fleet(&sim, &[1, 1]);
        let pool = builder.strategy(Strategy::PeakEwma).build().unwrap();
        let first = || Select::new().server(id_at(&pool, &servers[0]));
        served_by(&pool, &servers, "/after/10", first()).await;
        let never = pool.send(wished("/never", first()));
        let gave_up = futures_lite::future::or(async { never.await.map(drop).is_ok() }, async {
            sim.sleep(SECOND * 2).await;
            false
        });
        assert!(!gave_up.await);
        let peak = pool.explain(&Select::new()).servers[0].response_peak.unwrap();
        assert!(peak >= SECOND * 2 && peak < SECOND * 2 + MS, "{peak:?}");
    });
}

#[test]
fn with_a_seed_the_same_calls_make_the_same_picks() {
    let picks = |strategy, seed: Option<u64>| {
        let sim = Sim::new();
        sim.block_on(async {
            let (servers, builder) = fleet(&sim, &[1, 1, 1, 1]);
            let pool = builder.strategy(strategy).seed(seed).build().unwrap();
            let mut picks = Vec::new();
            for _ in 0..40 {
                picks.push(served_by(&pool, &servers, "/", Select::new()).await);
            }
            picks
        })
    };
    for strategy in [Strategy::Random, Strategy::LeastConnections, Strategy::PowerOfTwoChoices] {
        assert_eq!(picks(strategy, Some(1)), picks(strategy, Some(1)), "{strategy}");
        assert_ne!(picks(strategy, Some(1)), picks(strategy, Some(2)), "{strategy}");
        assert_ne!(picks(strategy, None), picks(strategy, None), "{strategy}");
    }
}
