//! Every strategy through the public API, in simulated time.

use std::time::Duration;

use evenkeel::rt::sim::Sim;
use evenkeel::{Builder, Config, Pool, Select, ServerId, Strategy};

use crate::support::sim::{MS, get, hold, id_at, info, whole, wished};
use crate::support::{SimServer, assert_balanced, parse};

const ADDRESSES: [&str; 4] = ["10.0.0.1:80", "10.0.0.2:80", "10.0.0.3:80", "10.0.0.4:80"];

/// Servers of these weights, and a builder of a pool of them with dice that fall the same each time.
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
        get(pool, "/").await.unwrap();
    }
}

#[test]
fn weighted_round_robin_is_exact_in_each_period() {
    let sim = Sim::new(1);
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
    let sim = Sim::new(1);
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
