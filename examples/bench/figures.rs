//! The figures at one moment, as text and as JSON.

use std::fmt::Write;
use std::time::Duration;

use evenkeel::{Metrics, ServerStats};
use serde_json::{Value, json};

use crate::args::{Args, Pace};
use crate::latency::Latency;
use crate::load::{Books, Load};
use crate::state;

/// What is known at one moment.
pub(crate) struct Figures {
    elapsed: Duration,
    books: Books,
    metrics: Metrics,
    servers: Vec<ServerStats>,
}

/// How wide the histogram's longest bar is.
const WIDEST: u64 = 40;

impl Figures {
    pub(crate) fn now(load: &Load) -> Self {
        Self {
            elapsed: load.elapsed(),
            books: load.books(),
            metrics: load.pool.metrics(),
            servers: load.pool.server_stats(),
        }
    }

    pub(crate) fn ok(&self) -> u64 {
        self.books.all.count() - self.books.failed
    }

    /// What the first failure says.
    pub(crate) fn complaint(&self) -> Option<&str> {
        self.books.complaint.as_deref()
    }

    /// One line.
    pub(crate) fn line(&self) -> String {
        let all = &self.books.all;
        format!(
            "{:6.1} s  {:>9} requests  {:>8.0}/s  {:>4} in flight  {:>6} failed  \
             p50 {} ms  p99 {} ms",
            self.elapsed.as_secs_f64(),
            all.count(),
            self.rate(),
            self.metrics.in_flight,
            self.books.failed,
            cell(all, 0.5),
            cell(all, 0.99),
        )
    }

    /// A table of the servers, and a line of their sums.
    pub(crate) fn table(&self, colours: bool) -> String {
        let width = self.servers.iter().map(|server| server.url.len()).max().unwrap_or(0).max(6);
        let mut text = format!(
            "{:width$}  {:9}  {:>9}  {:>5}  {:>5}  {:>9}  {:>7}  {:>8}  {:>8}\n",
            "server",
            "state",
            "in flight",
            "idle",
            "open",
            "requests",
            "failed",
            "p50 ms",
            "p99 ms"
        );
        let none = Latency::default();
        for server in &self.servers {
            let took = self.books.servers.get(&server.id).unwrap_or(&none);
            let state = state::of(server);
            let name = format!("{:9}", state.name);
            let name = if colours { coloured(&name, state.level) } else { name };
            // Writing to a string does not fail.
            _ = writeln!(
                text,
                "{:width$}  {name}  {:>9}  {:>5}  {:>5}  {:>9}  {:>7}  {:>8}  {:>8}",
                server.url,
                server.in_flight,
                server.idle,
                server.open,
                server.total_requests,
                server.failed_requests,
                cell(took, 0.5),
                cell(took, 0.99),
            );
        }
        text + &self.line() + "\n"
    }

    /// How many requests took how long.
    pub(crate) fn histogram(&self) -> String {
        let all = &self.books.all;
        let mut text = String::from("\n  took less than   requests\n");
        let rows = all.doublings();
        let first = rows.iter().position(|(_, count)| *count > 0).unwrap_or(0);
        let last = rows.iter().rposition(|(_, count)| *count > 0).unwrap_or(0);
        let most = rows.iter().map(|(_, count)| *count).max().unwrap_or(0).max(1);
        for (end, count) in &rows[first..=last] {
            let wide = (count * WIDEST).div_ceil(most);
            let bar: String = (0..wide).map(|_| '█').collect();
            _ = writeln!(text, "  {:>11.3} ms  {count:>9}  {bar}", millis(*end));
        }
        let quantiles = [0.5, 0.9, 0.99, 0.999, 1.0].map(|share| cell(all, share));
        let [p50, p90, p99, p999, max] = quantiles;
        _ = writeln!(text, "\n  p50 {p50}  p90 {p90}  p99 {p99}  p99.9 {p999}  max {max} ms");
        let counts = self.metrics.failures.iter().filter(|(_, count)| *count > 0);
        for (cause, count) in counts {
            _ = writeln!(text, "  failed: {} {count}", cause.as_str());
        }
        text
    }

    /// Everything, as one object.
    pub(crate) fn json(&self, args: &Args) -> Value {
        let (concurrency, rate) = match args.pace {
            Pace::Concurrency(count) => (Some(count), None),
            Pace::Rate(rate) => (None, Some(rate)),
        };
        let counts = self.metrics.failures.iter().filter(|(_, count)| *count > 0);
        let failures = counts.map(|(cause, count)| (cause.as_str().to_owned(), count.into()));
        json!({
            "seconds": self.elapsed.as_secs_f64(),
            "strategy": args.strategy.to_string(),
            "concurrency": concurrency,
            "rate": rate,
            "requests": self.books.all.count(),
            "ok": self.ok(),
            "failed": self.books.failed,
            "failures": Value::Object(failures.collect()),
            "requests_per_second": self.rate(),
            "latency_ms": quantiles(&self.books.all),
            "opened": self.metrics.connections_created,
            "reused": self.metrics.connections_reused,
            "bytes_in": self.metrics.bytes_in,
            "bytes_out": self.metrics.bytes_out,
            "servers": self.servers.iter().map(|server| self.server(server)).collect::<Vec<_>>(),
        })
    }

    fn server(&self, server: &ServerStats) -> Value {
        let (state, none) = (state::of(server), Latency::default());
        json!({
            "url": server.url,
            "state": state.name,
            "reason": state.reason,
            "requests": server.total_requests,
            "ok": server.successful_requests,
            "failed": server.failed_requests,
            "opened": server.connections_created,
            "latency_ms": quantiles(self.books.servers.get(&server.id).unwrap_or(&none)),
        })
    }

    /// Requests that have ended in a second, on average.
    fn rate(&self) -> f64 {
        self.books.all.count() as f64 / self.elapsed.as_secs_f64().max(1e-3)
    }
}

fn quantiles(took: &Latency) -> Value {
    let of = |share| took.quantile(share).map(millis);
    json!({ "p50": of(0.5), "p90": of(0.9), "p99": of(0.99), "p999": of(0.999), "max": of(1.0) })
}

/// Milliseconds, to the microsecond.
fn millis(time: Duration) -> f64 {
    time.as_micros() as f64 / 1000.0
}

fn cell(took: &Latency, share: f64) -> String {
    took.quantile(share).map_or_else(|| "-".into(), |time| format!("{:.2}", millis(time)))
}

fn coloured(text: &str, level: &str) -> String {
    let colour = match level {
        "up" => 32,
        "down" => 31,
        _ => 33,
    };
    format!("\x1b[{colour}m{text}\x1b[0m")
}
