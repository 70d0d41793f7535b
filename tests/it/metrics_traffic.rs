//! Goal: every byte of a connection is counted, once, at the pool and at its server. Method:
//! answers of known length, in virtual time.

use evenkeel::rt::sim::Sim;
use evenkeel::{Body, Pool, Select};
use futures_lite::future::poll_once;
use futures_lite::{AsyncReadExt, AsyncWriteExt};
use http::{Method, Request};

use crate::support::sim::{ONE, builder, get, request};
use crate::support::{SimServer, assert_balanced};

fn world() -> (Sim, SimServer, Pool) {
    let sim = Sim::new();
    let server = SimServer::start(&sim, ONE);
    let pool = builder(&sim, &[&server]).build().expect("a valid pool");
    (sim, server, pool)
}

/// Bytes read and written so far, which must be the same at the pool and at its only server.
#[track_caller]
fn traffic(pool: &Pool) -> (u64, u64) {
    let (metrics, servers) = (pool.metrics(), pool.server_stats());
    let of_servers = servers.iter().fold((0, 0), |(bytes_in, bytes_out), server| {
        (bytes_in + server.bytes_in, bytes_out + server.bytes_out)
    });
    assert_eq!((metrics.bytes_in, metrics.bytes_out), of_servers);
    of_servers
}

#[test]
fn the_bytes_of_a_checkout_are_those_of_the_pool() {
    let (sim, _server, pool) = world();
    sim.block_on(async {
        let mut checkout = pool.checkout(Select::new()).await.unwrap();
        assert_eq!(traffic(&pool), (0, 0), "connecting is no traffic");
        for _ in 0..2 {
            let answer = checkout.send(request(Method::GET, "/b/1000")).await.unwrap();
            assert_eq!(answer.into_body().bytes().await.unwrap().len(), 1000);
            let info = checkout.info();
            assert!(info.bytes_in > 1000 && info.bytes_out > 0, "{info:?}");
            assert_eq!(traffic(&pool), (info.bytes_in, info.bytes_out), "with its end");
        }
        let info = checkout.info();
        drop(checkout);
        assert_eq!(traffic(&pool), (info.bytes_in, info.bytes_out), "and not again");
    });
    assert_balanced(&pool.metrics());
}

#[test]
fn what_came_of_an_exchange_that_failed_or_was_given_up_is_counted() {
    let (sim, _server, pool) = world();
    sim.block_on(async {
        let before = traffic(&pool);
        get(&pool, "/drop").await.unwrap_err();
        let failed = traffic(&pool);
        assert!(failed.1 > before.1 && failed.0 == before.0, "{failed:?}");
        let response = pool.get("/stall/1000").await.unwrap();
        assert_eq!(traffic(&pool), failed, "it goes on");
        drop(response);
        let given_up = traffic(&pool);
        assert!(given_up.0 >= failed.0 + 500 && given_up.1 > failed.1, "{given_up:?}");
    });
    assert_balanced(&pool.metrics());
}

#[test]
fn a_long_body_is_counted_while_it_comes_and_a_short_one_at_its_end() {
    let (sim, _server, pool) = world();
    let read = |length: usize| {
        let pool = pool.clone();
        async move {
            let before = traffic(&pool).0;
            let mut body = pool.get(format!("/b/{length}")).await.unwrap().into_body();
            let mut seen = Vec::new();
            while let Some(frame) = std::future::poll_fn(|cx| {
                http_body::Body::poll_frame(std::pin::Pin::new(&mut body), cx)
            })
            .await
            {
                drop(frame.unwrap());
                seen.push(traffic(&pool).0 - before);
            }
            seen
        }
    };
    let (long, short) = sim.block_on(async { (read(1 << 20).await, read(60_000).await) });
    let (last, rest) = long.split_last().unwrap();
    assert!(rest.iter().any(|seen| (1..*last).contains(seen)), "{long:?}");
    assert!(*last > 1 << 20, "{long:?}");
    let (last, rest) = short.split_last().unwrap();
    assert!(rest.iter().all(|seen| *seen == 0) && *last > 60_000, "{short:?}");
}

#[test]
fn the_bytes_of_a_tunnel_are_counted() {
    let sim = Sim::new();
    let listener = sim.net().listen(ONE);
    const SWITCH: &[u8] = b"HTTP/1.1 200 OK\r\n\r\n";
    sim.spawn(async move {
        let mut stream = listener.accept().await;
        let mut head = [0; 256];
        let read = stream.read(&mut head).await.expect("a request");
        assert!(head[..read].starts_with(b"CONNECT"));
        stream.write_all(SWITCH).await.expect("it is read");
        let mut echo = vec![0; 200_000];
        stream.read_exact(&mut echo).await.expect("all of it");
        stream.write_all(b"thanks").await.expect("it is read");
    });
    let pool = Pool::builder().runtime(sim.runtime_without_background());
    let pool = pool.server(crate::support::parse(&format!("http://{ONE}"))).build().unwrap();
    sim.block_on(async {
        let connect = Request::connect("a.b:443").body(Body::empty()).unwrap();
        let response = pool.send(connect).await.unwrap();
        let head = traffic(&pool);
        assert_eq!(head.0, SWITCH.len() as u64, "the request has ended with its head");
        let mut tunnel = response.into_body().into_upgraded().unwrap();
        tunnel.write_all(&vec![b'x'; 200_000]).await.unwrap();
        assert!(traffic(&pool).1 - head.1 >= 200_000 - 64 * 1024, "while it is open");
        let mut thanks = [0; 6];
        tunnel.read_exact(&mut thanks).await.unwrap();
        drop(tunnel);
        let all = traffic(&pool);
        assert_eq!((all.0 - head.0, all.1 - head.1), (6, 200_000));
    });
    assert_balanced(&pool.metrics());
}

#[test]
fn what_carries_no_request_changes_no_count_of_requests_or_bytes() {
    let (sim, _server, pool) = world();
    sim.block_on(async {
        get(&pool, "/").await.unwrap();
        let before = pool.metrics();
        drop(pool.checkout(Select::new()).await.unwrap());
        drop(pool.try_checkout(&Select::new()).expect("it is idle"));
        drop(pool.explain(&Select::new()));
        assert!(poll_once(pool.checkout(Select::new())).await.is_some());
        let mut after = pool.metrics();
        assert_eq!(after.connections_reused, before.connections_reused + 3);
        after.connections_reused = before.connections_reused;
        assert_eq!(after, before);
    });
}
