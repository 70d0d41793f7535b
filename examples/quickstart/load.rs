//! Workers that share a number of requests among themselves.

#![expect(clippy::disallowed_methods, reason = "the example's own stopwatch")]
#![expect(clippy::disallowed_types, reason = "an example's figures are no hot path")]

use std::collections::BTreeMap;
use std::io::{IsTerminal, Write, stderr};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use evenkeel::{Error, Pool, ResponseInfo, ServerId};

use crate::fleet::Fleet;
use crate::join::{Job, join_all};

/// A number of requests, and what became of them.
pub(crate) struct Load {
    pool: Pool,
    fleet: Option<Fleet>,
    total: usize,
    next: AtomicUsize,
    progress: Progress,
    pub(crate) all: Tally,
    /// The time that each server's answers took, from the call to the last byte, and their number.
    took: Mutex<BTreeMap<ServerId, (Duration, u32)>>,
    /// Those that began while one server was down.
    pub(crate) gap: Tally,
}

/// What became of some of the requests.
#[derive(Default)]
pub(crate) struct Tally {
    pub(crate) ok: AtomicU64,
    pub(crate) failed: AtomicU64,
    /// Answered, but not by the server that was tried first.
    pub(crate) retried: AtomicU64,
}

impl Load {
    pub(crate) fn new(pool: Pool, fleet: Option<Fleet>, total: usize) -> Self {
        Self {
            pool,
            fleet,
            total,
            next: AtomicUsize::new(0),
            progress: Progress::start(total),
            all: Tally::default(),
            took: Mutex::default(),
            gap: Tally::default(),
        }
    }

    /// Whether one server is stopped midway.
    pub(crate) fn has_gap(&self) -> bool {
        self.fleet.is_some()
    }

    /// Sends all requests, `concurrency` at a time; returns how long it took.
    pub(crate) async fn run(self: &Arc<Self>, concurrency: usize) -> Duration {
        let workers = concurrency.min(self.total);
        let worker = |_| Box::pin(self.clone().work()) as Job<()>;
        join_all((0..workers).map(worker).collect()).await;
        self.progress.finish()
    }

    async fn work(self: Arc<Self>) {
        loop {
            let number = self.next.fetch_add(1, Ordering::Relaxed);
            if number >= self.total {
                return;
            }
            self.operate(number);
            let in_gap = self.has_gap() && (self.gap_start()..self.gap_end()).contains(&number);
            let outcome = self.request(number).await;
            self.all.count(&outcome);
            if in_gap {
                self.gap.count(&outcome);
            }
            self.progress.step();
        }
    }

    /// Stops one server after a third of the requests and brings it back after two.
    fn operate(&self, number: usize) {
        let Some(fleet) = &self.fleet else { return };
        if number == self.gap_start() {
            fleet.stop_one();
        } else if number == self.gap_end() {
            if let Err(error) = fleet.bring_back() {
                eprintln!("the stopped server does not come back: {error}");
            }
        }
    }

    fn note(&self, server: ServerId, took: Duration) {
        let mut all = self.took.lock().expect("no thread panics while it holds the lock");
        let (sum, count) = all.entry(server).or_default();
        *sum += took;
        *count += 1;
    }

    /// The average time that this server's answers took.
    pub(crate) fn latency(&self, server: ServerId) -> Duration {
        let all = self.took.lock().expect("no thread panics while it holds the lock");
        all.get(&server).and_then(|(sum, count)| sum.checked_div(*count)).unwrap_or_default()
    }

    fn gap_start(&self) -> usize {
        self.total / 3
    }

    fn gap_end(&self) -> usize {
        self.total * 2 / 3
    }

    /// One request; returns how many connections it took.
    async fn request(&self, number: usize) -> Result<u32, String> {
        let ask = async {
            // A server of the user's need not know any path but its own.
            let path = if self.has_gap() { format!("/item/{number}") } else { "/".to_owned() };
            let started = Instant::now();
            let response = self.pool.get(path).await?;
            let status = response.status();
            let info = response.extensions().get::<ResponseInfo>().cloned();
            response.into_body().bytes().await?;
            if let Some(info) = &info {
                self.note(info.server, started.elapsed());
            }
            Ok::<_, Error>((status, info.map_or(1, |info| info.attempts)))
        };
        match ask.await {
            Ok((status, attempts)) if !status.is_server_error() => Ok(attempts),
            Ok((status, _)) => Err(format!("the server answered {status}")),
            Err(error) => Err(error.to_string()),
        }
    }
}

impl Tally {
    fn count(&self, outcome: &Result<u32, String>) {
        match outcome {
            Ok(attempts) => {
                self.ok.fetch_add(1, Ordering::Relaxed);
                self.retried.fetch_add(u64::from(*attempts > 1), Ordering::Relaxed);
            }
            // The first few say what is wrong; thousands would say no more.
            Err(complaint) => {
                if self.failed.fetch_add(1, Ordering::Relaxed) < 3 {
                    eprintln!("a request failed: {complaint}");
                }
            }
        }
    }
}

/// A line that counts up, on a terminal, once the run takes longer than a second.
struct Progress {
    total: usize,
    done: AtomicUsize,
    started: Instant,
    /// Milliseconds after the start at which the line is due to be written again.
    due: AtomicU64,
    visible: bool,
}

impl Progress {
    fn start(total: usize) -> Self {
        let visible = stderr().is_terminal();
        let due = AtomicU64::new(1000);
        Self { total, done: AtomicUsize::new(0), started: Instant::now(), due, visible }
    }

    fn step(&self) {
        let done = self.done.fetch_add(1, Ordering::Relaxed) + 1;
        if !self.visible {
            return;
        }
        let now = u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX);
        if now >= self.due.load(Ordering::Relaxed) {
            self.due.store(now + 200, Ordering::Relaxed);
            let line = format!("\r{done} of {} requests", self.total);
            // A terminal that has gone away is no reason to stop.
            stderr().write_all(line.as_bytes()).ok();
        }
    }

    /// Clears the line and returns the time since the start.
    fn finish(&self) -> Duration {
        let elapsed = self.started.elapsed();
        if self.visible && elapsed >= Duration::from_secs(1) {
            stderr().write_all(b"\r\x1b[K").ok();
        }
        elapsed
    }
}
