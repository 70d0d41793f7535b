//! Connections that stop speaking HTTP: handed over with all that came, counted until they are
//! dropped, and never used for a request again.

use std::time::Duration;

use evenkeel::{Body, Builder, ErrorKind, Pool, Select};
use futures_lite::{AsyncReadExt, AsyncWriteExt};
use http::{Request, StatusCode};

use crate::support::{
    Manner, Server, assert_balanced, block_on, builder_of, for_each_runtime, get_text, parse,
};

fn upgrade(path: &str) -> Request<Body> {
    let request = Request::get(path).header("connection", "Upgrade").header("upgrade", "echo");
    request.body(Body::empty()).expect("a valid request")
}

fn connect() -> Request<Body> {
    Request::connect("far.example:443").body(Body::empty()).expect("a valid request")
}

fn one(builder: Builder, server: &Server) -> Pool {
    let builder = builder.server(parse(&server.url(""))).max_connections_per_server(1);
    builder.request_timeout(Duration::from_secs(20)).build().expect("a valid pool")
}

#[test]
fn a_switch_and_a_tunnel_hand_the_stream_over_with_what_came_ahead() {
    for_each_runtime(|env| async move {
        let server = Server::start();
        let pool = one(env.builder(), &server);
        for (request, status) in [(upgrade("/upgrade"), 101), (connect(), 200)] {
            let response = pool.send(request).await.unwrap();
            assert_eq!(response.status(), status);
            let mut stream = response.into_body().into_upgraded().expect("a stream");
            assert_eq!(stream.server_id(), pool.server_stats()[0].id);
            let metrics = pool.metrics();
            assert_eq!((metrics.in_flight, metrics.active_connections), (0, 1), "{}", env.name);
            let mut ahead = [0; 5];
            stream.read_exact(&mut ahead).await.unwrap();
            assert_eq!(&ahead, b"ahead");
            let (mut reader, mut writer) = futures_lite::io::split(stream);
            for length in [1, 3000, 1_000_000] {
                let sent = vec![b'y'; length];
                let mut back = vec![0; length];
                let write = async { writer.write_all(&sent).await.unwrap() };
                let read = async { reader.read_exact(&mut back).await.unwrap() };
                futures_lite::future::zip(write, read).await;
                assert!(back == sent, "{}", env.name);
            }
            drop((reader, writer));
            server.until(|counts| counts.open == 0).await;
        }
        assert_eq!(get_text(&pool, "/x").await.unwrap(), "GET /x\n");
        let metrics = pool.metrics();
        assert_eq!((metrics.successful_requests, metrics.connections_created), (3, 3));
        assert_balanced(&metrics);
    });
}

#[test]
fn a_stream_holds_its_permit_until_it_is_dropped() {
    block_on(|| async {
        let server = Server::start();
        let pool = one(builder_of(&[]), &server);
        let stream = pool.send(connect()).await.unwrap().into_body().into_upgraded().unwrap();
        let select = Select::new().queue_timeout(Duration::from_millis(20));
        assert!(pool.checkout(select).await.is_err(), "there is no room");
        let (waits, _) =
            futures_lite::future::zip(get_text(&pool, "/"), async { drop(stream) }).await;
        assert_eq!(waits.unwrap(), "GET /\n");
        assert_eq!(server.counts().max_open, 1);
        assert_balanced(&pool.metrics());
    });
}

#[test]
fn an_answer_that_is_no_switch_is_a_response() {
    block_on(|| async {
        let server = Server::start();
        let pool = one(builder_of(&[]), &server);
        let response = pool.send(upgrade("/plain")).await.unwrap();
        assert_eq!(response.status(), StatusCode::OK);
        let body = response.into_body().into_upgraded().expect_err("it is a body");
        assert_eq!(body.text().await.unwrap(), "GET /plain\n");
        assert_eq!(pool.metrics().idle_connections, 1);
    });
}

#[test]
fn a_checkout_becomes_the_stream_that_its_response_made_of_it() {
    block_on(|| async {
        let server = Server::start();
        let pool = one(builder_of(&[]), &server);
        let mut checkout = pool.checkout(Select::new()).await.unwrap();
        checkout.send(connect()).await.unwrap().into_body().bytes().await.unwrap();
        assert!(!checkout.is_usable());
        let error =
            checkout.send(upgrade("/")).await.map(drop).expect_err("it speaks HTTP no more");
        assert_eq!(error.kind(), ErrorKind::Request);
        let mut stream = checkout.into_upgraded().expect("a stream");
        stream.write_all(b"!").await.unwrap();
        let mut back = [0; 6];
        stream.read_exact(&mut back).await.unwrap();
        assert_eq!(&back, b"ahead!");
        drop(stream);
        let checkout = pool.checkout(Select::new()).await.unwrap();
        assert!(checkout.into_upgraded().is_err(), "it still speaks HTTP");
        assert_balanced(&pool.metrics());
    });
}

#[test]
fn a_switch_that_nobody_takes_up_is_closed() {
    block_on(|| async {
        let server = Server::start();
        let pool = one(builder_of(&[]), &server);
        let response = pool.send(connect()).await.unwrap();
        drop(response);
        server.until(|counts| counts.open == 0).await;
        assert_eq!(pool.metrics().destroyed.not_reusable, 1);
        assert_balanced(&pool.metrics());
    });
}

#[test]
fn a_shutdown_cuts_a_stream_in_the_middle_of_a_read() {
    for_each_runtime(|env| async move {
        let server = Server::start();
        let pool = one(env.builder(), &server);
        let mut stream = pool.send(connect()).await.unwrap().into_body().into_upgraded().unwrap();
        let mut buf = [0; 64];
        assert_eq!(stream.read(&mut buf).await.unwrap(), 5);
        let cut = async { pool.shutdown(Duration::from_millis(10)).await };
        let read = async { stream.read(&mut buf).await.expect_err("it is cut") };
        let (report, error) = futures_lite::future::zip(cut, read).await;
        assert_eq!((report.cut, error.kind()), (1, std::io::ErrorKind::ConnectionAborted));
        drop(stream);
        server.until(|counts| counts.open == 0).await;
        assert_balanced(&pool.metrics());
    });
}

#[test]
fn a_switch_that_was_not_offered_is_an_error() {
    block_on(|| async {
        let switch = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: other\r\n\r\n";
        let server = Server::with(Manner::Says(switch));
        let pool = one(builder_of(&[]), &server);
        for request in [upgrade("/"), Request::get("/").body(Body::empty()).unwrap()] {
            let error = pool.send(request).await.expect_err("nobody asked for it");
            assert_eq!(error.kind(), ErrorKind::Protocol);
            server.until(|counts| counts.open == 0).await;
        }
    });
}
