//! Goal: what a user builds on the types keeps compiling, and stays small. Method: the compiler's
//! own checks, which need no test to run; and the sizes, against bounds with some room to grow.

use std::cell::Cell;
use std::convert::Infallible;
use std::marker::PhantomData;
use std::mem::{size_of, size_of_val};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use evenkeel::rt::sim::Sim;
use evenkeel::{
    Address, Balancer, Body, Builder, CheckFailure, CheckReport, Checkout, CloseReason, Config,
    ConnectionInfo, Dialling, Distribution, Distributions, Driver, Ejection, Error, Event,
    Explanation, FailureCause, Failures, Fault, Health, HealthCheck, HealthReason, IdleInfo,
    LeasedBody, Limits, Metrics, Observer, Pool, Proxy, Rates, RequestOutcome, Resolve, Resolved,
    ResponseInfo, Retry, RetryBudget, RetryReason, Runtime, Select, Server, ServerId, ServerState,
    ServerStats, ShutdownReport, SocketOptions, Strategy, Target, Timings, TlsInfo, TransportInfo,
    Upgraded, Warmed,
};
use http::Request;
use http_body::Frame;

fn send<T: Send>(_: &T) {}

const _: fn() = || {
    fn shared<T: Send + Sync + Unpin>() {}
    fn owned<T: Send + Unpin + 'static>() {}

    shared::<Pool>();
    shared::<Builder>();
    shared::<Runtime>();
    shared::<Server>();
    shared::<ServerId>();
    shared::<Select>();
    shared::<Config>();
    shared::<Checkout>();
    shared::<Body>();
    shared::<LeasedBody<'_>>();
    shared::<Error>();
    shared::<Metrics>();
    shared::<ServerStats>();
    shared::<ResponseInfo>();
    shared::<ConnectionInfo>();
    shared::<ShutdownReport>();
    shared::<Strategy>();
    shared::<Explanation>();
    shared::<IdleInfo>();
    shared::<Warmed>();
    shared::<Box<dyn Balancer>>();
    shared::<Timings>();
    shared::<HealthCheck>();
    shared::<Ejection>();
    shared::<Health>();
    shared::<ServerState>();
    shared::<HealthReason>();
    shared::<CheckReport>();
    shared::<CheckFailure>();
    shared::<Fault>();
    shared::<Limits>();
    shared::<Retry>();
    shared::<RetryBudget>();
    shared::<Dialling>();
    shared::<SocketOptions>();
    shared::<Proxy>();
    shared::<Address>();
    shared::<Target>();
    shared::<Resolved>();
    shared::<TransportInfo>();
    shared::<TlsInfo>();
    shared::<Event<'_>>();
    shared::<RetryReason>();
    shared::<RequestOutcome>();
    shared::<FailureCause>();
    shared::<CloseReason>();
    shared::<Failures>();
    shared::<Rates>();
    shared::<Distribution>();
    shared::<Distributions>();
    shared::<Box<dyn Observer>>();
    shared::<Box<dyn Resolve>>();
    shared::<Upgraded>();

    owned::<Pool>();
    owned::<Checkout>();
    owned::<Body>();
    owned::<Upgraded>();
    owned::<Error>();
    owned::<Driver>();
};

/// A request's body that can be sent to another thread, and not shared between two.
#[derive(Default)]
struct Unshared(PhantomData<Cell<u8>>);

impl http_body::Body for Unshared {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(None)
    }
}

const _: fn(&Pool, Checkout, Body, LeasedBody<'_>) = |pool, mut checkout, body, leased| {
    let request = || Request::new(Body::empty());
    send(&pool.get("/"));
    send(&pool.get(String::new()));
    send(&pool.send(request()));
    send(&pool.send(Request::new(Unshared::default())));
    send(&pool.checkout(Select::new()));
    send(&pool.shutdown(Duration::ZERO));
    send(&pool.warm(1));
    send(&pool.wait_ready());
    send(&checkout.send(request()));
    send(&checkout.into_send(request()));
    send(&body.bytes());
    send(&leased.text());
};

#[test]
fn results_and_handles_are_as_small_as_a_pointer() {
    assert_eq!(size_of::<Pool>(), size_of::<usize>());
    assert_eq!(size_of::<Result<(), Error>>(), size_of::<usize>());
}

#[test]
fn loans_bodies_and_futures_are_small() {
    let sim = Sim::new();
    let pool = Pool::builder().runtime(sim.runtime()).build().unwrap();
    let sizes = [
        ("Checkout", size_of::<Checkout>(), 32),
        ("Body", size_of::<Body>(), 64),
        ("Upgraded", size_of::<Upgraded>(), 32),
        ("LeasedBody", size_of::<LeasedBody<'_>>(), 32),
        ("get", size_of_val(&pool.get("/")), 2048),
        ("send", size_of_val(&pool.send(Request::new(Body::empty()))), 2048),
        ("checkout", size_of_val(&pool.checkout(Select::new())), 1280),
        ("shutdown", size_of_val(&pool.shutdown(Duration::ZERO)), 512),
        ("warm", size_of_val(&pool.warm(1)), 256),
        ("wait_ready", size_of_val(&pool.wait_ready()), 128),
        ("Server", size_of::<Server>(), 192),
        ("Retry", size_of::<Retry>(), 96),
        ("Event", size_of::<Event<'_>>(), 128),
    ];
    for (name, size, bound) in sizes {
        println!("{name}: {size} of {bound} bytes");
        assert!(size <= bound, "{name} has {size} bytes, more than {bound}");
    }
}
