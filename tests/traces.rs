//! Goal: each attempt has one span with OpenTelemetry's names, and no secret is in any. Method: a
//! subscriber that keeps what it is told, in virtual time.
//!
//! These tests are alone in their binary: `tracing` remembers for the whole process whether anybody
//! wants a span, and may forget us when a thread without a subscriber comes by first.

#![cfg(feature = "tracing")]

#[path = "it/support/mod.rs"]
mod support;

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};

use evenkeel::rt::sim::Sim;
use evenkeel::{Builder, Pool, Select};
use futures_lite::future::poll_once;
use http::Method;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

use support::sim::{ONE, builder, get, request};
use support::{SimServer, assert_balanced};

/// What a subscriber was told.
#[derive(Debug)]
enum Told {
    Fields(u64, BTreeMap<&'static str, String>),
    Closed(u64),
    Event(BTreeMap<&'static str, String>),
}

struct Notes {
    next: AtomicU64,
    /// Of all spans; a test that asks has only one.
    handles: AtomicU64,
    told: Sender<Told>,
}

#[derive(Default)]
struct Fields(BTreeMap<&'static str, String>);

impl Visit for Fields {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.0.insert(field.name(), value.to_owned());
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.0.insert(field.name(), format!("{value:?}"));
    }
}

impl Subscriber for Notes {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target() == "evenkeel"
    }

    fn new_span(&self, span: &Attributes<'_>) -> Id {
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        self.handles.fetch_add(1, Ordering::Relaxed);
        let mut fields = Fields::default();
        span.record(&mut fields);
        drop(self.told.send(Told::Fields(id, fields.0)));
        Id::from_u64(id)
    }

    fn record(&self, span: &Id, values: &Record<'_>) {
        let mut fields = Fields::default();
        values.record(&mut fields);
        drop(self.told.send(Told::Fields(span.into_u64(), fields.0)));
    }

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut fields = Fields::default();
        event.record(&mut fields);
        drop(self.told.send(Told::Event(fields.0)));
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}

    fn clone_span(&self, id: &Id) -> Id {
        self.handles.fetch_add(1, Ordering::Relaxed);
        id.clone()
    }

    fn try_close(&self, id: Id) -> bool {
        let is_last = self.handles.fetch_sub(1, Ordering::Relaxed) == 1;
        if is_last {
            drop(self.told.send(Told::Closed(id.into_u64())));
        }
        is_last
    }
}

impl Notes {
    fn new() -> (Self, Receiver<Told>) {
        let (tell, told) = channel();
        (Self { next: AtomicU64::new(1), handles: AtomicU64::new(0), told: tell }, told)
    }
}

/// The spans that were told, in their order, and the events.
fn sorted(told: &Receiver<Told>) -> (Vec<BTreeMap<&'static str, String>>, Vec<String>) {
    let (mut spans, mut events) = (BTreeMap::<u64, BTreeMap<_, _>>::new(), Vec::new());
    for told in told.try_iter() {
        match told {
            Told::Fields(id, fields) => spans.entry(id).or_default().extend(fields),
            Told::Closed(_) => {}
            Told::Event(fields) => events.push(format!("{fields:?}")),
        }
    }
    (spans.into_values().collect(), events)
}

/// Runs `scene` under a subscriber, in a world of one server and one connection.
fn traced(
    settings: impl FnOnce(Builder) -> Builder,
    scene: impl AsyncFnOnce(&Pool),
) -> (Vec<BTreeMap<&'static str, String>>, Vec<String>) {
    let sim = Sim::new();
    let server = SimServer::start(&sim, ONE);
    let builder = builder(&sim, &[&server]).max_connections_per_server(1);
    let pool = settings(builder).build().expect("a valid pool");
    let (notes, told) = Notes::new();
    tracing::subscriber::with_default(notes, || sim.block_on(scene(&pool)));
    assert_balanced(&pool.metrics());
    sorted(&told)
}

#[test]
fn an_attempt_is_a_span_with_the_names_of_opentelemetry() {
    let (spans, events) = traced(
        |builder| builder,
        async |pool| {
            get(pool, "/status/404").await.unwrap();
            get(pool, "/a?token=1").await.unwrap();
        },
    );
    let [span, other] = &spans[..] else { panic!("two spans: {spans:?}") };
    assert_eq!(other["url.full"], "http://10.0.0.1:8080/a?REDACTED");
    assert!(!other.contains_key("error.type"), "{other:?}");
    let expected = [
        ("error.type", "404"),
        ("http.request.method", "GET"),
        ("http.response.status_code", "404"),
        ("network.protocol.version", "1.1"),
        ("otel.kind", "client"),
        ("otel.name", "GET"),
        ("otel.status_code", "ERROR"),
        ("server.address", "10.0.0.1"),
        ("server.port", "8080"),
        ("url.full", "http://10.0.0.1:8080/status/404"),
    ];
    let seen: Vec<_> = span.iter().map(|(name, value)| (*name, value.as_str())).collect();
    assert_eq!(seen, expected);
    assert!(events.len() == 1 && events[0].contains("connection opened"), "{events:?}");
}

#[test]
fn each_attempt_has_a_span_of_its_own_and_tells_what_it_failed_of() {
    let (spans, events) = traced(
        |builder| builder,
        async |pool| {
            get(pool, "/drop-next").await.unwrap();
            get(pool, "/").await.unwrap();
        },
    );
    let of = |name: &str| -> Vec<Option<&str>> {
        spans.iter().map(|span| span.get(name).map(String::as_str)).collect()
    };
    assert_eq!(of("error.type"), [None, Some("stale"), None]);
    assert_eq!(of("http.response.status_code"), [Some("200"), None, Some("200")]);
    assert_eq!(of("http.request.resend_count"), [None, None, Some("1")]);
    assert_eq!(events.len(), 4, "opened, closed, again, opened: {events:?}");
    assert!(events[1].contains("\"reason\": \"broken\""), "{events:?}");
    assert!(events[2].contains("\"reason\": \"Stale\""), "{events:?}");
}

#[test]
fn a_request_that_is_never_sent_has_a_span_that_says_why() {
    let (spans, events) = traced(
        |builder| builder.max_waiters(0),
        async |pool| {
            let held = pool.checkout(Select::new()).await.unwrap();
            pool.send(request(Method::PUT, "/a?token=1")).await.map(drop).unwrap_err();
            drop(held);
        },
    );
    let [span] = &spans[..] else { panic!("one span: {spans:?}") };
    assert_eq!((&*span["error.type"], &*span["url.full"]), ("queue_full", "/a?REDACTED"));
    assert!(events.iter().any(|event| event.contains("caller turned away")), "{events:?}");
}

#[test]
fn the_span_of_an_attempt_that_is_given_up_is_closed() {
    let sim = Sim::new();
    let server = SimServer::start(&sim, ONE);
    let pool = builder(&sim, &[&server]).build().unwrap();
    let (notes, told) = Notes::new();
    tracing::subscriber::with_default(notes, || {
        sim.block_on(async {
            let mut given_up = Box::pin(get(&pool, "/never"));
            assert!(poll_once(&mut given_up).await.is_none());
            drop(given_up);
        });
    });
    let closed = told.try_iter().filter(|told| matches!(told, Told::Closed(1))).count();
    assert_eq!(closed, 1);
}
