//! A world of servers and pools under an open-loop load.

#![expect(
    clippy::disallowed_types,
    reason = "a world runs on one thread: its locks are never contended"
)]

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use evenkeel::rt::sim::Sim;
use evenkeel::{Builder, Error, Pool, Server};
use fastrand::Rng;

use crate::draw::exponential;
use crate::outcome::{Outcome, Sample};
use crate::station::{Plan, Station};

/// What is run.
#[derive(Clone, Debug)]
pub(crate) struct Scenario {
    pub(crate) servers: Vec<Plan>,
    /// Requests a second, which come whatever becomes of the others.
    pub(crate) rate: f64,
    /// How many pools share them, none of which sees what the others do.
    pub(crate) clients: usize,
    pub(crate) length: Duration,
    pub(crate) seed: u64,
}

pub(crate) struct World {
    pub(crate) sim: Sim,
    pub(crate) stations: Vec<Arc<Station>>,
    pub(crate) pools: Vec<Pool>,
    samples: Arc<Mutex<Vec<Sample>>>,
}

impl World {
    /// Runs the scenario to its end.
    pub(crate) fn run(scenario: &Scenario, build: impl Fn(Builder) -> Builder) -> Self {
        fastrand::seed(scenario.seed);
        let mut rng = Rng::with_seed(scenario.seed);
        let sim = Sim::new();
        let plans = scenario.servers.iter().cloned().enumerate();
        let stations: Vec<_> =
            plans.map(|(number, plan)| Station::start(&sim, number, plan, rng.u64(..))).collect();
        let pool = |_| {
            let builder = Pool::builder().runtime(sim.runtime()).max_connections_per_server(1000);
            let servers = stations.iter().map(|station| Server::new(station.url()));
            let builder = servers.fold(builder, |b, server| b.server(server.expect("a URL")));
            build(builder).build().expect("a valid pool")
        };
        let pools = (0..scenario.clients).map(pool).collect();
        let world = Self { sim, stations, pools, samples: Arc::default() };
        world.sim.block_on(world.load(scenario, rng));
        world
    }

    /// Sends the requests, each when it is due, and waits for the last one to end.
    async fn load(&self, scenario: &Scenario, mut rng: Rng) {
        let began = self.sim.now();
        let interval = Duration::from_secs_f64(1.0 / scenario.rate);
        let mut due = Duration::ZERO;
        let mut sent = 0;
        loop {
            due += exponential(&mut rng, interval);
            if due >= scenario.length {
                break;
            }
            self.sim.sleep((began + due).saturating_duration_since(self.sim.now())).await;
            let pool = self.pools[rng.usize(..self.pools.len())].clone();
            let (sim, samples) = (self.sim.clone(), self.samples.clone());
            self.sim.spawn(async move {
                let ok = request(&pool).await.unwrap_or(false);
                let took = sim.now() - began - due;
                let sample = Sample { due, took, ok };
                samples.lock().unwrap_or_else(PoisonError::into_inner).push(sample);
            });
            sent += 1;
        }
        while self.samples.lock().unwrap_or_else(PoisonError::into_inner).len() < sent {
            self.sim.sleep(Duration::from_millis(100)).await;
        }
    }

    /// The requests that were due in this time.
    pub(crate) fn outcome(&self, from: Duration, to: Duration) -> Outcome {
        let samples = self.samples.lock().unwrap_or_else(PoisonError::into_inner);
        Outcome::new(&samples, from, to)
    }

    /// The percentage of the requests in these seconds that came to this server.
    pub(crate) fn share(&self, server: usize, from: usize, to: usize) -> f64 {
        let came = |station: &Arc<Station>| station.came(from, to);
        let all: u64 = self.stations.iter().map(came).sum();
        came(&self.stations[server]) as f64 / all as f64 * 100.0
    }
}

/// Whether it was answered, and not by a server's error.
async fn request(pool: &Pool) -> Result<bool, Error> {
    let response = pool.get("/").await?;
    let ok = !response.status().is_server_error();
    response.into_body().bytes().await?;
    Ok(ok)
}
