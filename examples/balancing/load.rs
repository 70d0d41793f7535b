//! An open-loop load: each request is sent when it is due, whatever becomes of the others.
//!
//! Its time is counted from the moment at which it was due, so that a client that falls behind
//! cannot hide the waits that it causes.

#![expect(clippy::disallowed_methods, reason = "the example's own stopwatch")]

use std::time::{Duration, Instant};

use evenkeel::{Body, Error, Pool, Select};
use http::Request;
use smol::{LocalExecutor, Timer};

/// How many clients the requests come from. Some strategies send each client's to one server.
const CLIENTS: u32 = 10_000;

/// What became of the requests.
pub(crate) struct Outcome {
    /// How long each took, in order.
    took: Vec<Duration>,
    ok: usize,
}

/// Sends about `rate` requests a second, for so long. Those of the time that is skipped, and which
/// comes first, do not count.
pub(crate) fn run(pool: &Pool, rate: f64, skip: Duration, length: Duration) -> Outcome {
    let executor = LocalExecutor::new();
    let ended: Vec<(Duration, bool)> = smol::block_on(executor.run(async {
        let began = Instant::now();
        let mut due = Duration::ZERO;
        let mut tasks = Vec::new();
        while due < skip + length {
            // The times between arrivals are those of a Poisson process.
            due += Duration::from_secs_f64(-(1.0 - fastrand::f64()).ln() / rate);
            Timer::at(began + due).await;
            let (pool, client) = (pool.clone(), fastrand::u32(..CLIENTS));
            tasks.push(executor.spawn(async move {
                let ok = request(&pool, client).await.unwrap_or(false);
                (due, began.elapsed() - due, ok)
            }));
        }
        let mut ended = Vec::with_capacity(tasks.len());
        for task in tasks {
            let (due, took, ok) = task.await;
            if due >= skip {
                ended.push((took, ok));
            }
        }
        ended
    }));
    let mut took: Vec<Duration> = ended.iter().map(|(took, _)| *took).collect();
    took.sort_unstable();
    Outcome { took, ok: ended.iter().filter(|(_, ok)| *ok).count() }
}

/// A request of some client. Whether it was answered, and not by a server's error.
async fn request(pool: &Pool, client: u32) -> Result<bool, Error> {
    let mut request = Request::new(Body::empty());
    request.extensions_mut().insert(Select::new().hash_key(client.to_le_bytes()));
    let response = pool.send(request).await?;
    let ok = !response.status().is_server_error();
    response.into_body().bytes().await?;
    Ok(ok)
}

impl Outcome {
    pub(crate) fn ok_percent(&self) -> f64 {
        self.ok as f64 / self.took.len() as f64 * 100.0
    }

    /// The time, in milliseconds, within which so many of a thousand requests ended.
    pub(crate) fn within(&self, per_mille: usize) -> f64 {
        let rank = self.took.len() * per_mille / 1000;
        self.took[rank.min(self.took.len() - 1)].as_secs_f64() * 1000.0
    }
}
