//! A refusal that comes after the client's side of the handshake has ended.

use std::sync::Arc;
use std::time::Duration;

use evenkeel::rt::sim::{Sim, SimStream};
use evenkeel::{Body, CheckFailure, ErrorKind, Pool, TlsConfig};
use futures_lite::{AsyncReadExt, AsyncWriteExt};
use http::Request;
use rustls::version::TLS13;
use rustls::{ServerConfig, ServerConnection};
use tls_tests::Authority;

use crate::certificates::mutual;
use crate::support::server::filler;
use crate::support::{assert_balanced, parse};

const ADDR: &str = "10.0.0.1:443";

/// Speaks TLS up to the first fault of the client's, tells it, and goes.
pub(crate) async fn serve(mut stream: SimStream, config: Arc<ServerConfig>) {
    let mut tls = ServerConnection::new(config).expect("a valid configuration");
    let mut buf = [0; 1000];
    loop {
        let n = stream.read(&mut buf).await.expect("the client is there");
        let mut bytes = &buf[..n];
        let mut good = true;
        while good && !bytes.is_empty() {
            tls.read_tls(&mut bytes).expect("room for it");
            good = tls.process_new_packets().is_ok();
        }
        let mut out = Vec::new();
        while tls.wants_write() {
            tls.write_tls(&mut out).expect("memory takes all");
        }
        stream.write_all(&out).await.expect("the client is there");
        if !good {
            return;
        }
    }
}

#[test]
fn a_refusal_is_told_even_if_the_request_can_no_longer_be_sent() {
    let (authority, clients) = (Authority::new("ours"), Authority::new("of clients"));
    let sim = Sim::new();
    sim.net().capacity(3000);
    let listener = sim.net().listen(ADDR);
    let config = mutual(&authority.server(&["10.0.0.1"]), &clients, &[&TLS13]);
    sim.spawn(async move { serve(listener.accept().await, config).await });
    let pool = Pool::builder()
        .runtime(sim.runtime_without_background())
        .server(parse("https://10.0.0.1"))
        .tls(TlsConfig::new().root_certificate(authority.pem()).only_own_roots())
        .build()
        .expect("a valid pool");
    sim.block_on(async {
        // Much more than fits: the server refuses, and goes, while it is being sent.
        let request = Request::post("/").body(Body::from(filler(200_000))).unwrap();
        let error = pool.send(request).await.map(drop).expect_err("it is refused");
        assert_eq!(error.kind(), ErrorKind::Tls, "{error:?}");
        assert!(error.to_string().contains("TlsConfig::client_certificate"), "{error}");
        assert!(!error.is_connect(), "{error:?}");
    });
    let metrics = pool.metrics();
    assert_eq!((metrics.failures.tls, metrics.failed_requests), (1, 1), "{metrics:?}");
    assert_eq!(pool.server_stats()[0].failures.tls, 1);
    assert_balanced(&metrics);
}

#[test]
fn a_check_that_is_refused_for_want_of_a_certificate_says_that_it_was_tls() {
    let (authority, clients) = (Authority::new("ours"), Authority::new("of clients"));
    let sim = Sim::new();
    let listener = sim.net().listen(ADDR);
    let config = mutual(&authority.server(&["10.0.0.1"]), &clients, &[&TLS13]);
    sim.spawn(async move {
        loop {
            serve(listener.accept().await, config.clone()).await;
        }
    });
    let pool = Pool::builder()
        .runtime(sim.runtime())
        .server(parse("https://10.0.0.1"))
        .tls(TlsConfig::new().root_certificate(authority.pem()).only_own_roots())
        .build()
        .expect("a valid pool");
    sim.block_on(async {
        while pool.metrics().health_checks_failed == 0 {
            sim.sleep(Duration::from_millis(100)).await;
        }
    });
    let check = pool.server_stats().swap_remove(0).last_check.expect("there was one");
    assert_eq!(check.failure, Some(CheckFailure::Tls));
}
