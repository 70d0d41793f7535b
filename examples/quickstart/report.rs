//! What is printed at the end.

use std::fmt::{self, Display, Formatter};
use std::sync::atomic::Ordering;
use std::time::Duration;

use evenkeel::{Metrics, Pool, ServerStats};

use crate::load::{Load, Tally};

/// The figures of one run.
pub(crate) struct Report {
    elapsed: Duration,
    ok: u64,
    failed: u64,
    gap: Option<[u64; 3]>,
    metrics: Metrics,
    /// Each server, and the average time that its answers took.
    servers: Vec<(ServerStats, Duration)>,
}

impl Report {
    pub(crate) fn new(pool: &Pool, load: &Load, elapsed: Duration) -> Self {
        let [ok, _, failed] = figures(&load.all);
        Self {
            elapsed,
            ok,
            failed,
            gap: load.has_gap().then(|| figures(&load.gap)),
            metrics: pool.metrics(),
            servers: pool
                .server_stats()
                .into_iter()
                .map(|server| {
                    let latency = load.latency(server.id);
                    (server, latency)
                })
                .collect(),
        }
    }

    pub(crate) fn failed(&self) -> u64 {
        self.failed
    }

    /// The figures as one JSON object.
    pub(crate) fn json(&self) -> String {
        let servers: Vec<String> =
            self.servers.iter().map(|(server, _)| server_json(server)).collect();
        let figures = format!(
            "\"requests\":{},\"ok\":{},\"failed\":{},\"opened\":{},\"reused\":{}",
            self.ok + self.failed,
            self.ok,
            self.failed,
            self.metrics.connections_created,
            self.metrics.connections_reused
        );
        format!("{{{figures},\"servers\":[{}]}}", servers.join(","))
    }
}

/// Answered, answered at a second try, failed.
fn figures(tally: &Tally) -> [u64; 3] {
    [&tally.ok, &tally.retried, &tally.failed].map(|count| count.load(Ordering::Relaxed))
}

fn server_json(server: &ServerStats) -> String {
    // A URL holds no control characters; what else JSON escapes, Rust escapes alike.
    format!(
        "{{\"url\":{:?},\"requests\":{},\"ok\":{},\"failed\":{},\"opened\":{}}}",
        server.url,
        server.total_requests,
        server.successful_requests,
        server.failed_requests,
        server.connections_created
    )
}

impl Display for Report {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let width =
            self.servers.iter().map(|(server, _)| server.url.len()).max().unwrap_or(0).max(6);
        writeln!(
            f,
            "{:width$}  {:>8}  {:>8}  {:>6}  {:>6}  {:>6}  {:>6}  {:>10}",
            "server", "requests", "ok", "failed", "down", "opened", "reused", "latency"
        )?;
        for (server, latency) in &self.servers {
            writeln!(
                f,
                "{:width$}  {:>8}  {:>8}  {:>6}  {:>6}  {:>6}  {:>6}  {:>7} µs",
                server.url,
                server.total_requests,
                server.successful_requests,
                server.failed_requests,
                server.connect_errors,
                server.connections_created,
                percent(server.connections_reused, server.connections_created),
                latency.as_micros()
            )?;
        }
        // A request that finds its server down goes to another, and so is no failed one.
        if self.metrics.connect_errors > 0 {
            writeln!(f, "down: how often no connection to the server could be made")?;
        }
        self.write_totals(f)
    }
}

impl Report {
    fn write_totals(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let (requests, metrics) = (self.ok + self.failed, &self.metrics);
        let seconds = self.elapsed.as_secs_f64();
        let rate = requests as f64 / seconds.max(f64::MIN_POSITIVE);
        writeln!(f)?;
        writeln!(
            f,
            "{requests} requests in {seconds:.2} s ({rate:.0}/s): {} ok, {} failed",
            self.ok, self.failed
        )?;
        writeln!(
            f,
            "{} connections opened, used again {} times ({})",
            metrics.connections_created,
            metrics.connections_reused,
            percent(metrics.connections_reused, metrics.connections_created)
        )?;
        let Some([ok, retried, failed]) = self.gap else {
            return Ok(());
        };
        writeln!(
            f,
            "While the last server was down: {} requests, {ok} answered ({retried} of them after \
             a first try elsewhere), {failed} failed",
            ok + failed
        )
    }
}

/// The share of uses of a connection that were not its first.
fn percent(reused: u64, created: u64) -> String {
    match (reused * 100).checked_div(reused + created) {
        Some(percent) => format!("{percent} %"),
        None => "-".to_owned(),
    }
}
