//! An open-loop load: each request is sent when it is due, whatever becomes of the others.
//!
//! Its time is counted from the moment at which it was due, so that a client that falls behind
//! cannot hide the waits that it causes.

#![expect(clippy::disallowed_methods, reason = "the example's own stopwatch")]

use std::time::{Duration, Instant};

use evenkeel::{Error, Pool};
use smol::{LocalExecutor, Timer};

/// What became of the requests.
pub(crate) struct Outcome {
    /// How long each took, in order.
    took: Vec<Duration>,
    ok: usize,
}

/// Sends about `rate` requests a second, for so long.
pub(crate) fn run(pool: &Pool, rate: f64, length: Duration) -> Outcome {
    let executor = LocalExecutor::new();
    let ended: Vec<(Duration, bool)> = smol::block_on(executor.run(async {
        let began = Instant::now();
        let mut due = Duration::ZERO;
        let mut tasks = Vec::new();
        while due < length {
            // The times between arrivals are those of a Poisson process.
            due += Duration::from_secs_f64(-(1.0 - fastrand::f64()).ln() / rate);
            Timer::at(began + due).await;
            let pool = pool.clone();
            tasks.push(executor.spawn(async move {
                let ok = request(&pool).await.unwrap_or(false);
                (began.elapsed() - due, ok)
            }));
        }
        let mut ended = Vec::with_capacity(tasks.len());
        for task in tasks {
            ended.push(task.await);
        }
        ended
    }));
    let mut took: Vec<Duration> = ended.iter().map(|(took, _)| *took).collect();
    took.sort_unstable();
    Outcome { took, ok: ended.iter().filter(|(_, ok)| *ok).count() }
}

/// Whether it was answered, and not by a server's error.
async fn request(pool: &Pool) -> Result<bool, Error> {
    let response = pool.get("/").await?;
    let ok = !response.status().is_server_error();
    response.into_body().bytes().await?;
    Ok(ok)
}

impl Outcome {
    pub(crate) fn requests(&self) -> usize {
        self.took.len()
    }

    pub(crate) fn ok_percent(&self) -> f64 {
        self.ok as f64 / self.took.len() as f64 * 100.0
    }

    /// The time, in milliseconds, within which so great a share of the requests ended.
    pub(crate) fn quantile(&self, share: f64) -> f64 {
        let rank = (self.took.len() as f64 * share) as usize;
        self.took[rank.min(self.took.len() - 1)].as_secs_f64() * 1000.0
    }
}
