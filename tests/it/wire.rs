//! What is on the wire, over real sockets: answers as bytes, under every runtime, and targets.

use evenkeel::{Body, Builder, ErrorKind, Phase, Pool};
use http::{Method, Request};

use crate::support::answers::Comes::{self, Broken, Refused};
use crate::support::answers::{assert_answers, assert_answers_to_head, exchange};
use crate::support::run::Env;
use crate::support::{Manner, Server, block_on, builder_of, for_each_runtime, parse};

/// The way in the clear.
fn plain(env: &Env, server: Server) -> (Builder, Server) {
    (env.builder().server(parse(&server.url(""))), server)
}

#[test]
fn each_answer_comes_to_what_it_must_and_keeps_its_connection_only_if_it_may() {
    for_each_runtime(|env| async move { assert_answers(&env, plain).await });
}

#[test]
fn an_answer_to_head_has_no_body_whatever_its_fields_say() {
    for_each_runtime(|env| async move { assert_answers_to_head(&env, plain).await });
}

/// A head of so many fields, and of so many bytes.
fn head(fields: usize, bytes: usize) -> &'static [u8] {
    let mut text = "HTTP/1.1 204 No Content\r\n".to_owned();
    for number in 1..fields {
        text += &format!("x-{number}: y\r\n");
    }
    text += "x-last: ";
    let filler = bytes.saturating_sub(text.len() + 4);
    text += &"z".repeat(filler);
    text += "\r\n\r\n";
    text.leak().as_bytes()
}

#[test]
fn a_head_at_the_limits_is_accepted_and_one_over_refused() {
    block_on(|| async {
        for (fields, bytes, accepted) in [(150, 5000, true), (151, 5000, false), (150, 5001, false)]
        {
            let server = Server::with(Manner::Says(head(fields, bytes)));
            let builder = builder_of(&[&server]).max_head_size(5000).max_headers(150);
            let pool = builder.build().unwrap();
            match pool.get("/").await {
                Ok(response) => assert_eq!((response.headers().len(), accepted), (fields, true)),
                Err(error) => {
                    assert_eq!((error.kind(), accepted), (ErrorKind::Protocol, false), "{error}");
                }
            }
        }
    });
}

/// A bounded part of an answer: its name, where it is refused, and an answer in which it has this
/// size.
type Bounded = (&'static str, usize, Comes, fn(usize) -> String);

const MAX_HEAD: usize = 5000;

/// What is bounded beside the head of the answer, and by how much.
const BOUNDED: [Bounded; 5] = [
    ("interim responses", 16, Refused, |count| {
        "HTTP/1.1 102 P\r\n\r\n".repeat(count) + "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
    }),
    ("bytes of interim responses", MAX_HEAD, Refused, |bytes| {
        let mut text = "HTTP/1.1 103 E\r\nA: b\r\n\r\nHTTP/1.1 103 E\r\nA: ".to_owned();
        text += &"b".repeat(bytes - text.len() - 4);
        text + "\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
    }),
    // The data of the chunk has not come when its extension does, and does not pay for it.
    ("bytes of a chunk extension", 16 * 1024, Broken, |bytes| {
        chunked(&format!("1;{}\r\nx\r\n0\r\n\r\n", "e".repeat(bytes - 1)))
    }),
    ("bytes of trailers", 16 * 1024, Broken, |bytes| {
        chunked(&format!("0\r\na: {}\r\n\r\n", "b".repeat(bytes - 5)))
    }),
    ("fields of trailers", 150, Broken, |count| {
        chunked(&format!("0\r\n{}\r\n", "a: b\r\n".repeat(count)))
    }),
];

fn chunked(body: &str) -> String {
    format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{body}")
}

#[test]
fn an_answer_at_each_bound_is_accepted_and_one_over_refused() {
    block_on(|| async {
        for (name, bound, over, answer) in BOUNDED {
            for size in [bound, bound + 1] {
                let server = Server::with(Manner::Says(answer(size).leak().as_bytes()));
                let builder = builder_of(&[&server]).max_head_size(MAX_HEAD).max_headers(150);
                let pool = builder.build().unwrap();
                let phase = if over == Refused { Phase::Response } else { Phase::Body };
                match exchange(&pool, &Method::GET).await {
                    Ok((status, _)) => assert_eq!((status, size), (200, bound), "{name}"),
                    Err(error) => {
                        let seen = (error.kind(), error.phase(), size);
                        let expected = (ErrorKind::Protocol, Some(phase), bound + 1);
                        assert_eq!(seen, expected, "{name}: {error}");
                    }
                }
                assert_eq!(pool.metrics().idle_connections, u64::from(size == bound), "{name}");
            }
        }
    });
}

#[test]
fn a_target_is_sent_as_a_url_to_a_proxy_and_leads_anywhere() {
    block_on(|| async {
        let server = Server::start();
        let pool = builder_of(&[&server]).build().unwrap();
        let to = |url: &str| {
            let mut request = Request::get(url).body(Body::empty()).unwrap();
            request.extensions_mut().insert(evenkeel::Select::new().absolute_form());
            request
        };
        for (url, target, host) in [
            ("http://far.example:81/x?y=z", "http://far.example:81/x?y=z", "far.example:81"),
            ("http://far.example", "http://far.example/", "far.example"),
            ("/own", &format!("http://{}/own", server.addr()), &server.addr().to_string()),
        ] {
            let response = pool.send(to(url)).await.unwrap();
            assert_eq!(response.headers()["x-host"], host);
            let text = response.into_body().text().await.unwrap();
            assert_eq!(text, format!("GET {target}\n"));
        }
        for bad in ["https://far.example/", "http://me:secret@far.example/", "far.example"] {
            let error = pool.send(to(bad)).await.expect_err(bad);
            assert_eq!(error.kind(), ErrorKind::Request, "{bad}: {error}");
            assert!(!error.to_string().contains("secret"));
            assert_eq!(error.into_request().expect("nothing was sent").uri(), bad);
        }
        assert_eq!(server.counts().requests, 3);
    });
}

#[test]
fn a_request_that_could_not_be_sent_comes_back() {
    block_on(|| async {
        let (held, addr) = crate::support::server::hold_port();
        let pool = Pool::builder()
            .health_check(evenkeel::HealthCheck::off())
            .server(parse(&format!("http://{addr}")))
            .build()
            .unwrap();
        let mut body = Body::from("hello");
        let request = Request::post("/jobs").header("x-a", "b").body(&mut body).unwrap();
        let error = pool.send(request).await.expect_err("nobody listens");
        assert!(error.is_connect() && !error.reused());
        let again = error.into_request().expect("nothing was sent");
        assert_eq!(
            (again.method(), &again.headers()["x-a"]),
            (&Method::POST, &"b".parse().unwrap())
        );
        drop(held);

        let server = Server::start();
        let id = pool.add_server(parse(&server.url(""))).unwrap();
        let mut again = again.map(|()| body);
        again.extensions_mut().insert(evenkeel::Select::new().server(id));
        let text = pool.send(again).await.unwrap().into_body().text().await.unwrap();
        assert_eq!(text, "POST /jobs\nhello");
    });
}

#[test]
fn a_checkout_that_cannot_send_gives_the_request_back() {
    block_on(|| async {
        let server = Server::start();
        let pool = builder_of(&[&server]).build().unwrap();
        let mut checkout = pool.checkout(evenkeel::Select::new()).await.unwrap();
        let request = |path: &str| Request::get(path).body(Body::empty()).unwrap();
        checkout.send(request("/close/1")).await.unwrap().into_body().bytes().await.unwrap();
        let error = checkout.send(request("/next")).await.map(drop).expect_err("it is closed");
        assert_eq!(error.into_request().expect("nothing was sent").uri(), "/next");
        let mut fresh = pool.checkout(evenkeel::Select::new()).await.unwrap();
        let error = fresh.send(request("http://far/")).await.map(drop).expect_err("a stranger");
        assert_eq!(error.into_request().expect("nothing was sent").uri(), "http://far/");
        let error = fresh.send(request("/drop")).await.map(drop).expect_err("it drops it");
        assert!(error.into_request().is_none(), "it may have been acted on");
    });
}
