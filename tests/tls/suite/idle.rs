//! What happens to a connection while nobody uses it, and what the next request makes of it.

use std::io::Write;
use std::time::Duration;

use evenkeel::rt::sim::Sim;
use evenkeel::{HealthCheck, Pool, Select, TlsConfig};
use futures_lite::future::or;
use rustls::ServerConnection;
use tls_tests::Authority;

use crate::front::{Farewell, Line, Manner};
use crate::refusal::serve;
use crate::setup::{World, server_config};
use crate::support::{Env, Server, assert_balanced, for_each_runtime, get_text, parse};

/// What a server may do with an idle connection, and what is to come of it.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Comes {
    /// It is used again.
    Reused,
    /// It is found closed.
    Closed,
    /// It is found to be poisoned.
    Poisoned,
}

/// A name, what happens, and what comes of it.
type Row = (&'static str, fn(&Line), Comes);

const ROWS: [Row; 9] = [
    ("nothing", |_| {}, Comes::Reused),
    ("new keys", |line| line.with_tls(|tls| tls.refresh_traffic_keys().unwrap()), Comes::Reused),
    ("new keys, in part", half_a_record, Comes::Poisoned),
    ("a clean end", |line| line.with_tls(|tls| tls.send_close_notify()), Comes::Closed),
    ("an end of the stream", Line::fin, Comes::Closed),
    ("a clean end behind new keys", keys_and_end, Comes::Closed),
    ("an answer to nobody", stray, Comes::Poisoned),
    ("an answer to nobody behind new keys", keys_and_stray, Comes::Poisoned),
    // An alert that is not encrypted is no part of this stream.
    ("an alert in the clear", |line| line.send_raw(&[21, 3, 3, 0, 2, 2, 80]), Comes::Closed),
];

fn half_a_record(line: &Line) {
    let record = line.records_of(|tls| tls.refresh_traffic_keys().unwrap());
    line.send_raw(&record[..record.len() - 1]);
}

fn stray(line: &Line) {
    line.with_tls(speak);
}

fn speak(tls: &mut ServerConnection) {
    tls.writer().write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nwrong").unwrap();
}

fn keys_and_end(line: &Line) {
    line.with_tls(|tls| {
        tls.refresh_traffic_keys().unwrap();
        tls.send_close_notify();
    });
}

fn keys_and_stray(line: &Line) {
    line.with_tls(|tls| {
        tls.refresh_traffic_keys().unwrap();
        speak(tls);
    });
}

#[test]
fn an_idle_connection_is_used_again_only_if_nothing_came_that_a_request_could_meet() {
    for_each_runtime(|env| async move {
        for (name, act, expected) in ROWS {
            let world = World::by(Server::start(), &[&rustls::version::TLS13], Farewell::Alert);
            let pool = world.builder(&env).build().unwrap();
            assert_eq!(get_text(&pool, "/first").await.unwrap(), "GET /first\n");
            let lines = world.front.lines();
            assert_eq!(lines.len(), 1);
            act(&lines[0]);
            let context = format!("{name}, under {}", env.name);
            let text = get_text(&pool, "/second").await;
            assert_eq!(text.expect(&context), "GET /second\n", "{context}");
            let metrics = pool.metrics();
            assert_balanced(&metrics);
            let destroyed = metrics.destroyed;
            let seen = (metrics.connections_created, destroyed.by_peer, destroyed.poisoned);
            let right = match expected {
                Comes::Reused => (1, 0, 0),
                Comes::Closed => (2, 1, 0),
                Comes::Poisoned => (2, 0, 1),
            };
            assert_eq!(seen, right, "{context}");
            assert_eq!((metrics.failed_requests, metrics.successful_requests), (0, 2), "{context}");
        }
    });
}

#[test]
fn an_idle_connection_that_its_server_closes_is_closed_at_once() {
    const ADDR: &str = "10.0.0.1:443";
    let millis = Duration::from_millis;
    let authority = Authority::new("ours");
    let sim = Sim::new();
    let listener = sim.net().listen(ADDR);
    let config = server_config(&authority.server(&["10.0.0.1"]));
    let world = sim.clone();
    sim.spawn(async move {
        let served = serve(listener.accept().await, config);
        // Between two of the looks that there are once a second.
        or(served, world.sleep(millis(5500))).await;
    });
    let pool = Pool::builder()
        .runtime(sim.runtime())
        .health_check(HealthCheck::off())
        .server(parse("https://10.0.0.1"))
        .tls(TlsConfig::new().root_certificate(authority.pem()).only_own_roots())
        .build()
        .expect("a valid pool");
    sim.block_on(async {
        drop(pool.checkout(Select::new()).await.expect("it is there"));
        for (time, open) in [(millis(5499), 1), (millis(1), 0)] {
            sim.sleep(time).await;
            sim.settle().await;
            assert_eq!(sim.net().counts(ADDR).open, open, "after {time:?}");
        }
    });
    assert_eq!(pool.metrics().destroyed.by_peer, 1);
    assert_balanced(&pool.metrics());
}

/// A pool, and a connection in it that is idle and whose tickets are still to come.
async fn before_the_tickets(env: &Env) -> (World, Pool) {
    let manner = Manner { farewell: Farewell::Alert, holds_tickets: true };
    let world = World::with(Server::start(), &[&rustls::version::TLS13], manner);
    let pool = world.builder(env).build().unwrap();
    drop(pool.checkout(Select::new()).await.unwrap());
    world.front.until(|seen| seen.full == 1);
    (world, pool)
}

#[test]
fn session_tickets_that_come_late_are_kept_and_the_connection_too() {
    for_each_runtime(|env| async move {
        let (world, pool) = before_the_tickets(&env).await;
        while world.front.lines().is_empty() {
            std::thread::yield_now();
        }
        world.front.lines()[0].with_tls(|_| {});
        let checkout = pool.checkout(Select::new()).await.unwrap();
        assert_eq!(pool.metrics().connections_created, 1, "under {}", env.name);
        checkout.discard();
        // And they are good for the next one.
        let checkout = pool.checkout(Select::new()).await.unwrap();
        assert!(checkout.info().tls.expect("it is TLS").resumed, "under {}", env.name);
    });
}

#[test]
fn a_connection_that_is_given_up_in_order_ends_with_the_alert_that_says_so() {
    for_each_runtime(|env| async move {
        let world = World::start();
        let pool = world.builder(&env).build().unwrap();
        for close in [Pool::close_idle, |pool: &Pool| drop(pool.clone())] {
            get_text(&pool, "/").await.unwrap();
            close(&pool);
        }
        pool.shutdown(Duration::from_secs(1)).await;
        let seen = world.front.until(|seen| seen.ended == 2);
        assert_eq!(seen.goodbyes, 2, "under {}", env.name);
        // One that is cut in the middle of a request has no such end.
        let pool = world.builder(&env).build().unwrap();
        let hung = pool.get("/hang");
        let came = world.origin.until(|counts| counts.waiting == 1);
        or(
            async {
                hung.await.map(drop).expect_err("nothing comes");
            },
            came,
        )
        .await;
        let seen = world.front.until(|seen| seen.ended == 3);
        assert_eq!(seen.goodbyes, 2, "under {}", env.name);
    });
}
