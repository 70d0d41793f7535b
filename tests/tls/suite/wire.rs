//! What is on the wire inside TLS is judged as it is without.

use evenkeel::{Body, Builder, Dialling, Select};
use futures_lite::{AsyncReadExt, AsyncWriteExt};
use http::{Method, Request, StatusCode};

use crate::setup::World;
use crate::support::answers::{assert_answers, assert_answers_to_head};
use crate::support::run::under_block_on;
use crate::support::{
    Env, Manner, Server, assert_balanced, for_each_runtime, get_text, id_of, parse,
};

fn secure(env: &Env, server: Server) -> (Builder, World) {
    let world = World::before(server);
    (world.builder(env), world)
}

#[test]
fn each_answer_comes_to_what_it_must_and_keeps_its_connection_only_if_it_may() {
    for_each_runtime(|env| async move { assert_answers(&env, secure).await });
}

#[test]
fn an_answer_to_head_has_no_body_whatever_its_fields_say() {
    for_each_runtime(|env| async move { assert_answers_to_head(&env, secure).await });
}

#[test]
fn a_stream_that_has_been_upgraded_is_that_within_tls() {
    for_each_runtime(|env| async move {
        let world = World::start();
        let pool = world.builder(&env).build().unwrap();
        let request = Request::get("/upgrade").header("connection", "upgrade");
        let request = request.header("upgrade", "echo").body(Body::empty()).unwrap();
        let response = pool.send(request).await.unwrap();
        assert_eq!(response.status(), StatusCode::SWITCHING_PROTOCOLS);
        let mut stream = response.into_body().into_upgraded().expect("a stream");
        let mut ahead = [0; 5];
        stream.read_exact(&mut ahead).await.unwrap();
        assert_eq!(&ahead, b"ahead");
        for _ in 0..3 {
            stream.write_all(&[b'x'; 30_000]).await.unwrap();
            stream.flush().await.unwrap();
            let mut back = vec![0; 30_000];
            stream.read_exact(&mut back).await.unwrap();
            assert!(back.iter().all(|byte| *byte == b'x'));
        }
        // Its end is told by TLS, and answered by an end that is clean.
        stream.close().await.unwrap();
        assert_eq!(stream.read(&mut ahead).await.unwrap(), 0);
        drop(stream);
        assert_eq!(world.front.until(|seen| seen.ended == 1).goodbyes, 1);
        assert_balanced(&pool.metrics());
    });
}

#[test]
fn the_host_field_and_a_url_as_a_target_are_those_of_https() {
    under_block_on(|env| async move {
        let world = World::start();
        let pool = world.builder(&env).build().unwrap();
        let authority = format!("localhost:{}", world.front.port());
        let url = format!("https://{authority}/by/url");
        let response = pool.get(&url).await.expect("it is one of the servers");
        assert_eq!(response.headers()["x-host"], *authority);
        assert_eq!(response.into_body().text().await.unwrap(), "GET /by/url\n");
        let plain = url.replace("https", "http");
        let error = pool.get(&plain).await.expect_err("it is none of the servers");
        assert!(error.is_usage(), "{error:?}");
        // Only where the server is itself what the URL leads to.
        for (path, target) in [
            ("/own", format!("https://{authority}/own")),
            ("http://far/", "http://far/".to_owned()),
        ] {
            let mut request = Request::get(path).body(Body::empty()).unwrap();
            request.extensions_mut().insert(Select::new().absolute_form());
            let response = pool.send(request).await.unwrap();
            let text = response.into_body().text().await.unwrap();
            assert_eq!(text, format!("GET {target}\n"));
        }
    });
}

#[test]
fn servers_with_and_without_tls_serve_one_pool() {
    for_each_runtime(|env| async move {
        let world = World::start();
        let plain = Server::start();
        let pool = world.builder(&env).server(parse(&plain.url(""))).build().unwrap();
        for number in 0..100 {
            let path = format!("/{number}");
            assert_eq!(get_text(&pool, &path).await.unwrap(), format!("GET {path}\n"));
        }
        assert_eq!((world.origin.counts().requests, plain.counts().requests), (50, 50));
        // What leads to one of them does not lead to the other.
        let checkout = pool.checkout(Select::new().server(id_of(&pool, &plain))).await.unwrap();
        assert_eq!(checkout.info().tls, None);
        drop(checkout);
        let metrics = pool.metrics();
        assert_balanced(&metrics);
        assert_eq!((metrics.connections_created, metrics.failed_requests), (2, 0));
    });
}

#[test]
fn a_server_whose_tls_fails_is_passed_over_for_another() {
    for_each_runtime(|env| async move {
        let (world, other) = (World::start(), World::start());
        let server = parse(&other.front.url());
        // It is dialled whenever it is its turn, and not left in peace after three failures.
        let dialling = Dialling::new().failures_before_back_off(0);
        let pool = world.builder(&env).server(server).dialling(dialling).build().unwrap();
        for _ in 0..10 {
            assert_eq!(get_text(&pool, "/").await.unwrap(), "GET /\n");
        }
        assert_eq!((world.origin.counts().requests, other.origin.counts().requests), (10, 0));
        let errors = pool.metrics().connect_errors;
        assert!((5..=10).contains(&errors), "{errors}");
        other.front.until(|seen| seen.failed as u64 == errors);
        assert_balanced(&pool.metrics());
    });
}

#[test]
fn a_stale_connection_is_replaced_for_an_idempotent_request() {
    for_each_runtime(|env| async move {
        // It closes behind each answer, in the middle of what the client may already send.
        let world = World::before(Server::with(Manner::CloseAfter(1)));
        let pool = world.builder(&env).build().unwrap();
        for number in 0..200 {
            let method = if number % 2 == 0 { Method::GET } else { Method::PUT };
            let request = Request::builder().method(method).uri("/").body(Body::empty());
            let response = pool.send(request.unwrap()).await.expect("an answer");
            response.into_body().bytes().await.expect("a body");
        }
        let metrics = pool.metrics();
        assert_balanced(&metrics);
        assert_eq!((metrics.successful_requests, metrics.failed_requests), (200, 0));
    });
}
