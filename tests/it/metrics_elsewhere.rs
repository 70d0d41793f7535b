//! Goal: snapshots and figures arrive whole where others collect them. Method: JSON there and back,
//! and a recorder of the `metrics` facade that keeps what it is told.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::mpsc::{Sender, channel};

use evenkeel::rt::sim::Sim;
use evenkeel::{Metrics, Pool, ServerStats, facade, prometheus};
use metrics::{
    Counter, CounterFn, Gauge, GaugeFn, Histogram, Key, KeyName, Metadata, Recorder, SharedString,
    Unit,
};

use crate::support::SimServer;
use crate::support::sim::{ONE, builder, get};

/// A pool that has seen one request of each kind.
fn seen_pool() -> (Sim, SimServer, Pool) {
    let sim = Sim::new();
    let server = SimServer::start(&sim, ONE);
    let pool = builder(&sim, &[&server]).build().expect("a valid pool");
    sim.block_on(async {
        get(&pool, "/status/500").await.expect("it answers");
        get(&pool, "/b/1000").await.expect("it answers");
    });
    (sim, server, pool)
}

#[test]
fn snapshots_come_back_from_json_as_they_were() {
    let (_sim, _server, pool) = seen_pool();
    let metrics = pool.metrics();
    let json = serde_json::to_string(&metrics).unwrap();
    assert!(json.contains("\"successful_requests\":1") && json.contains("\"status\":1"), "{json}");
    assert_eq!(serde_json::from_str::<Metrics>(&json).unwrap(), metrics);
    let servers = pool.server_stats();
    let json = serde_json::to_string(&servers).unwrap();
    assert_eq!(serde_json::from_str::<Vec<ServerStats>>(&json).unwrap(), servers);
}

/// Keeps what it is told.
struct Notes(Sender<(String, f64)>);

struct Note(String, Sender<(String, f64)>);

impl CounterFn for Note {
    fn increment(&self, _: u64) {
        panic!("values are set");
    }

    fn absolute(&self, value: u64) {
        drop(self.1.send((self.0.clone(), value as f64)));
    }
}

impl GaugeFn for Note {
    fn increment(&self, _: f64) {
        panic!("values are set");
    }

    fn decrement(&self, _: f64) {
        panic!("values are set");
    }

    fn set(&self, value: f64) {
        drop(self.1.send((self.0.clone(), value)));
    }
}

impl Notes {
    fn note(&self, key: &Key) -> Arc<Note> {
        let labels = key.labels().map(|label| format!("{}={:?}", label.key(), label.value()));
        let labels = labels.collect::<Vec<_>>().join(",");
        let name = key.name();
        let series =
            if labels.is_empty() { name.to_owned() } else { format!("{name}{{{labels}}}") };
        Arc::new(Note(series, self.0.clone()))
    }
}

impl Recorder for Notes {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        Counter::from_arc(self.note(key))
    }

    fn register_gauge(&self, key: &Key, _: &Metadata<'_>) -> Gauge {
        Gauge::from_arc(self.note(key))
    }

    fn register_histogram(&self, _: &Key, _: &Metadata<'_>) -> Histogram {
        panic!("there are quantiles instead");
    }
}

#[test]
fn the_facade_is_told_the_same_as_prometheus_but_for_quantiles() {
    let (_sim, _server, pool) = seen_pool();
    let (tell, told) = channel();
    metrics::with_local_recorder(&Notes(tell), || facade::publish("", &pool));
    let told: BTreeMap<String, f64> = told.try_iter().collect();
    let text = prometheus::encode(&pool);
    let mut same = 0;
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let (series, value) = line.rsplit_once(' ').unwrap();
        if ["_bucket{", "_sum"].iter().any(|part| series.contains(part)) {
            continue;
        }
        assert_eq!(told.get(series), Some(&value.parse().unwrap()), "{series}");
        same += 1;
    }
    let quantiles = told.keys().filter(|series| series.contains("{quantile=")).count();
    assert_eq!((told.len() - same, quantiles), (24, 24), "six histograms, four of each");
    let (tell, told) = channel();
    metrics::with_local_recorder(&Notes(tell), || facade::publish("jobs", &pool));
    assert!(told.try_iter().all(|(series, _)| series.contains("pool=\"jobs\"")));
}
