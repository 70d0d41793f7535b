//! Goal: a runtime that a pool cannot use is refused when the pool is built, not by a panic in a
//! caller's poll; and one that it can use can be taken apart and put together in another way.
//! Method: take away what tokio can do without; put something between the pool and its network.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use evenkeel::rt::sim::Sim;
use evenkeel::{BoxFuture, Connector, ErrorKind, Pool, Runtime, Select, Server, Target, Transport};
use tokio::runtime::Builder;

#[test]
fn a_tokio_runtime_without_timers_is_no_runtime_for_a_pool() {
    for flavor in [Builder::new_current_thread, Builder::new_multi_thread] {
        let tokio = flavor().enable_io().build().unwrap();
        let builder = || Pool::builder().runtime(Runtime::tokio(tokio.handle().clone()));
        for error in [builder().build().err(), builder().build_with_driver().err()] {
            let error = error.expect("it has no timers");
            assert_eq!(error.kind(), ErrorKind::Config);
            assert!(error.is_usage());
            assert!(error.to_string().contains("enable_all"), "{error}");
        }

        let tokio = flavor().enable_all().build().unwrap();
        Pool::builder().runtime(Runtime::tokio(tokio.handle().clone())).build().unwrap();
    }
}

/// Counts what passes through it.
struct Counted {
    inner: Arc<dyn Connector>,
    seen: Arc<AtomicU64>,
}

impl Connector for Counted {
    fn connect<'a>(&'a self, target: &'a Target) -> BoxFuture<'a, io::Result<Box<dyn Transport>>> {
        self.seen.fetch_add(1, Ordering::Relaxed);
        self.inner.connect(target)
    }
}

#[test]
fn a_wrapped_connector_still_connects() {
    let sim = Sim::new();
    let _listener = sim.net().listen("10.0.0.1:80");
    let seen = Arc::new(AtomicU64::new(0));
    let count = |inner| Counted { inner, seen: seen.clone() };
    // Twice: what wraps can be wrapped.
    let runtime = sim.runtime().wrap_connector(count).wrap_connector(count);
    let server = Server::new("http://10.0.0.1").unwrap();
    let pool = Pool::builder().runtime(runtime).server(server).build().unwrap();
    sim.block_on(async {
        let checkout = pool.checkout(Select::new()).await.unwrap();
        assert_eq!(checkout.server().port(), 80);
    });
    assert_eq!(sim.net().counts("10.0.0.1:80").attempts, 1);
    assert_eq!(seen.load(Ordering::Relaxed), 2);
}
