//! What the page shows: samples of the pool's figures, and the last minute of each server.

#![expect(clippy::disallowed_types, reason = "taken twice a second, and by each page as often")]

use std::borrow::Borrow;
use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use evenkeel::{Metrics, Pool, ServerId, ServerStats};
use serde_json::{Value, json};
use smol::Timer;

use crate::STRATEGY;
use crate::events::Events;
use crate::latency::Latency;
use crate::load::Took;
use crate::state;

/// How often a sample is taken.
pub(crate) const TICK: Duration = Duration::from_millis(500);

/// Samples of which the quantiles and shares are made: ten seconds.
const WINDOW: usize = 20;

/// Samples that the small charts show: a minute.
const CHART: usize = 120;

/// The newest sample, as JSON: for the threads that serve pages.
#[derive(Clone)]
pub(crate) struct Board(Arc<Mutex<Arc<str>>>);

impl Board {
    pub(crate) fn new() -> Self {
        Self(Arc::new(Mutex::new("null".into())))
    }

    pub(crate) fn newest(&self) -> Arc<str> {
        self.0.lock().expect("no thread panics while it holds the lock").clone()
    }

    fn set(&self, frame: &Value) {
        let text = frame.to_string().into();
        *self.0.lock().expect("no thread panics while it holds the lock") = text;
    }
}

/// Takes samples until it is dropped.
pub(crate) async fn keep(board: &Board, pool: &Pool, took: &Took, events: &Events) {
    let mut past = Past::default();
    loop {
        let stats = pool.server_stats();
        past.add(&stats, took.take());
        let metrics = pool.metrics();
        board.set(&json!({
            "uptime": metrics.uptime.as_secs_f64(),
            "strategy": STRATEGY.to_string(),
            "totals": totals(&metrics, &past, pool),
            "servers": past.servers(&stats),
            "events": events.json(),
        }));
        Timer::after(TICK).await;
    }
}

/// The samples of the last minute.
#[derive(Default)]
struct Past(HashMap<ServerId, ServerPast>);

/// Those of one server.
#[derive(Default)]
struct ServerPast {
    /// How long answers took, at most [`WINDOW`] samples.
    ticks: VecDeque<Latency>,
    /// The quantiles of each, at most [`CHART`]; `None` where there was no answer.
    p50: VecDeque<Option<f64>>,
    p99: VecDeque<Option<f64>>,
}

impl Past {
    fn add(&mut self, stats: &[ServerStats], mut took: HashMap<ServerId, Latency>) {
        self.0.retain(|id, _| stats.iter().any(|server| server.id == *id));
        for server in stats {
            let tick = took.remove(&server.id).unwrap_or_default();
            let past = self.0.entry(server.id).or_default();
            push(&mut past.p50, millis(&tick, 0.5), CHART);
            push(&mut past.p99, millis(&tick, 0.99), CHART);
            push(&mut past.ticks, tick, WINDOW);
        }
    }

    /// How long the answers of all took, in the last ten seconds.
    fn all(&self) -> Latency {
        sum(self.0.values().flat_map(|past| &past.ticks))
    }

    fn servers(&self, stats: &[ServerStats]) -> Vec<Value> {
        let all = self.all().count().max(1) as f64;
        let server = |server: &ServerStats| {
            let past = self.0.get(&server.id)?;
            let recent = sum(past.ticks.iter());
            let state = state::of(server);
            Some(json!({
                "id": server.id.to_string(),
                "url": server.url,
                "level": state.level,
                "state": state.name,
                "reason": state.reason,
                "age": server.health_age.as_secs_f64(),
                "in_flight": server.in_flight,
                "idle": server.idle,
                "open": server.open,
                "max_open": server.max_connections,
                "waiting": server.waiting,
                "requests": server.total_requests,
                "share": recent.count() as f64 / all,
                "p50": millis(&recent, 0.5),
                "p99": millis(&recent, 0.99),
                "recent_p50": past.p50,
                "recent_p99": past.p99,
            }))
        };
        stats.iter().filter_map(server).collect()
    }
}

fn totals(metrics: &Metrics, past: &Past, pool: &Pool) -> Value {
    let all = past.all();
    let loans = metrics.connections_reused + metrics.connections_created;
    json!({
        "per_second": metrics.requests_per_second,
        "requests": metrics.total_requests,
        "failed": metrics.failed_requests,
        "retries": metrics.retries + metrics.stale_retries,
        "in_flight": metrics.in_flight,
        "well": metrics.healthy_servers,
        "servers": metrics.servers,
        "p50": millis(&all, 0.5),
        "p99": millis(&all, 0.99),
        "reused": metrics.connections_reused as f64 / loans.max(1) as f64,
        "open": metrics.total_connections,
        "busy": metrics.active_connections + metrics.connecting,
        "max_open": metrics.max_total_connections,
        "waiting": metrics.waiting,
        "max_waiting": pool.limits().max_waiters,
    })
}

fn push<T>(past: &mut VecDeque<T>, newest: T, most: usize) {
    if past.len() == most {
        past.pop_front();
    }
    past.push_back(newest);
}

fn sum<T: Borrow<Latency>>(ticks: impl Iterator<Item = T>) -> Latency {
    let mut sum = Latency::default();
    for tick in ticks {
        sum.merge(tick.borrow());
    }
    sum
}

/// A quantile in milliseconds, with two places behind the point.
fn millis(latency: &Latency, share: f64) -> Option<f64> {
    let micros = latency.quantile(share)?.as_micros();
    Some((micros / 10) as f64 / 100.0)
}
