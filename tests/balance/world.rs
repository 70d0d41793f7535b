//! A world of servers and pools under an open-loop load.

#![expect(
    clippy::disallowed_types,
    reason = "a world runs on one thread: its locks are never contended"
)]

use std::cell::RefCell;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use evenkeel::rt::sim::Sim;
use evenkeel::{Body, Builder, Config, Ejection, Error, HealthCheck, Pool, Select, Strategy};
use fastrand::Rng;
use http::Request;

use crate::draw::exponential;
use crate::outcome::{Outcome, Sample};
use crate::secs;
use crate::station::{Plan, Station};

/// How many clients the requests come from. Some strategies send each client's to one server.
const CLIENTS: u32 = 100_000;

/// A pool's configuration with this strategy. Lines are to form at the servers, not in the pool,
/// and nothing is to take a server out of it.
pub(crate) fn config(strategy: Strategy) -> Config {
    let mut config = Config::default();
    config.load_balance_strategy = strategy;
    config.max_connections_per_server = 1000;
    config.max_total_connections = 10_000;
    config.max_idle_connections = 10_000;
    config.request_timeout = Some(secs(1));
    config.health_check = HealthCheck::off();
    config.ejection = Ejection::off();
    config
}

/// Servers and pools on a clock of their own.
pub(crate) struct World {
    pub(crate) sim: Sim,
    pub(crate) began: Instant,
    pub(crate) stations: Vec<Arc<Station>>,
    /// None of them sees what the others do.
    pub(crate) pools: Vec<Pool>,
    /// The strategy asks which client a request comes from.
    asks: bool,
    rng: RefCell<Rng>,
    samples: Arc<Mutex<Vec<Sample>>>,
}

impl World {
    /// Servers, and so many pools that share the first `known` of them.
    pub(crate) fn new(
        seed: u64,
        plans: &[Plan],
        (clients, known): (usize, usize),
        config: Config,
    ) -> Self {
        fastrand::seed(seed);
        let mut rng = Rng::with_seed(seed);
        let sim = Sim::new();
        let began = sim.now();
        let plans = plans.iter().cloned().enumerate();
        let stations: Vec<_> =
            plans.map(|(number, plan)| Station::start(&sim, number, plan, rng.u64(..))).collect();
        let pool = |_| {
            let builder = Pool::builder().config(config.clone()).seed(fastrand::u64(..));
            let servers = stations[..known].iter().map(|station| station.server());
            let builder = servers.fold(builder.runtime(sim.runtime()), Builder::server);
            builder.build().expect("a valid pool")
        };
        let pools = (0..clients).map(pool).collect();
        let strategy = config.load_balance_strategy;
        let asks = matches!(strategy, Strategy::IpHash | Strategy::BoundedLoadHash);
        let (rng, samples) = (RefCell::new(rng), Arc::default());
        Self { sim, began, stations, pools, asks, rng, samples }
    }

    /// Sends `rate` requests a second, each when it is due, until so long after the beginning.
    /// Some have not ended then.
    pub(crate) async fn load(&self, rate: f64, until: Duration) {
        let interval = Duration::from_secs_f64(1.0 / rate);
        let mut due = self.elapsed();
        loop {
            due += exponential(&mut self.rng.borrow_mut(), interval);
            if due >= until {
                self.until(until).await;
                return;
            }
            self.until(due).await;
            let (pool, client) = {
                let mut rng = self.rng.borrow_mut();
                (rng.usize(..self.pools.len()), rng.u32(..CLIENTS))
            };
            self.send(self.pools[pool].clone(), self.asks.then_some(client), due);
        }
    }

    fn send(&self, pool: Pool, client: Option<u32>, due: Duration) {
        let number = {
            let mut samples = self.lock();
            samples.push(Sample { due, took: None, ok: false });
            samples.len() - 1
        };
        let (sim, began, samples) = (self.sim.clone(), self.began, self.samples.clone());
        self.sim.spawn(async move {
            let ok = request(&pool, client).await.unwrap_or(false);
            let took = Some(sim.now() - began - due);
            lock(&samples)[number] = Sample { due, took, ok };
        });
    }

    /// Waits until every request has ended.
    pub(crate) async fn finish(&self) {
        while self.lock().iter().any(|sample| sample.took.is_none()) {
            self.sim.sleep(Duration::from_millis(100)).await;
        }
    }

    /// The requests that were due in this time. All of them have ended.
    #[track_caller]
    pub(crate) fn outcome(&self, from: Duration, to: Duration) -> Outcome {
        Outcome::new(&self.lock(), from, to)
    }

    /// The percentage of the requests in these seconds that came to this server.
    pub(crate) fn share(&self, server: usize, from: u64, to: u64) -> f64 {
        let came = |station: &Arc<Station>| station.came(from, to);
        let all: u64 = self.stations.iter().map(came).sum();
        came(&self.stations[server]) as f64 / all as f64 * 100.0
    }

    fn elapsed(&self) -> Duration {
        self.sim.now() - self.began
    }

    pub(crate) async fn until(&self, time: Duration) {
        self.sim.sleep(time.saturating_sub(self.elapsed())).await;
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Sample>> {
        lock(&self.samples)
    }
}

fn lock(samples: &Mutex<Vec<Sample>>) -> MutexGuard<'_, Vec<Sample>> {
    samples.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A request, of this client if it matters. Whether it was answered, and not by a server's error.
pub(crate) async fn request(pool: &Pool, client: Option<u32>) -> Result<bool, Error> {
    let mut request = Request::new(Body::empty());
    if let Some(client) = client {
        request.extensions_mut().insert(Select::new().hash_key(client.to_le_bytes()));
    }
    let response = pool.send(request).await?;
    let ok = !response.status().is_server_error();
    response.into_body().bytes().await?;
    Ok(ok)
}
