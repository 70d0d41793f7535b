//! Goal: behind a proxy everything is as without one, what goes wrong there is told as such, and
//! its credentials go nowhere else. Method: a proxy in a simulated network.

use std::time::Duration;

use evenkeel::rt::sim::{Sim, SimStream};
use evenkeel::{Builder, Dialling, Error, ErrorKind, Phase, Pool, Proxy, Select};
use futures_lite::future::{or, poll_once};
use futures_lite::{AsyncReadExt, AsyncWriteExt};

use crate::support::sim::{
    BACKGROUNDS, MS, ONE, PAST_DIAL_GRACE, SECOND, TWO, builder, get, hold, request,
};
use crate::support::{SimServer, assert_balanced, parse};

const PROXY: &str = "10.9.9.9:3128";
const PROXY_URL: &str = "http://10.9.9.9:3128";

/// What the proxy does with a request for a tunnel.
#[derive(Clone, Copy, Debug)]
enum Manner {
    /// Opens it, after so long.
    Tunnel(Duration),
    /// Says this, and opens it all the same.
    Says(&'static str),
    /// Says this, and closes.
    Ends(&'static str),
    /// Says nothing.
    Silent,
}

const TUNNEL: Manner = Manner::Tunnel(Duration::ZERO);

/// Listens as a proxy. What it is asked for goes to the channel, as whole heads.
fn start(sim: &Sim, manner: Manner) -> smol::channel::Receiver<String> {
    let listener = sim.net().listen(PROXY);
    let (heard, heads) = smol::channel::unbounded();
    let world = sim.clone();
    sim.spawn(async move {
        loop {
            let client = listener.accept().await;
            world.spawn(serve(world.clone(), client, manner, heard.clone()));
        }
    });
    heads
}

async fn serve(
    sim: Sim,
    mut client: SimStream,
    manner: Manner,
    heard: smol::channel::Sender<String>,
) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        // One that goes away before it has asked is no fault of the proxy's.
        if client.read_exact(&mut byte).await.is_err() {
            return;
        }
        head.push(byte[0]);
    }
    let head = String::from_utf8(head).expect("text");
    let to = head.strip_prefix("CONNECT ").and_then(|rest| rest.split(' ').next());
    let to = to.expect("a tunnel is asked for").to_owned();
    // Not every test listens.
    heard.send(head).await.ok();
    let answer = match manner {
        Manner::Tunnel(after) => {
            sim.sleep(after).await;
            "HTTP/1.1 200 Connection established\r\n\r\n"
        }
        Manner::Says(text) => text,
        Manner::Ends(text) => {
            client.write_all(text.as_bytes()).await.ok();
            return;
        }
        Manner::Silent => {
            client.read(&mut [0]).await.ok();
            return;
        }
    };
    let to = to.replace("api.test", "10.0.0.1");
    let server = sim.net().connect(&to).await.expect("the server listens");
    if client.write_all(answer.as_bytes()).await.is_err() {
        return;
    }
    let (from_client, to_client) = futures_lite::io::split(client);
    let (from_server, to_server) = futures_lite::io::split(server);
    let there = futures_lite::io::copy(from_client, to_server);
    let back = futures_lite::io::copy(from_server, to_client);
    // An error is the end as well.
    or(there, back).await.ok();
}

fn proxy() -> Proxy {
    Proxy::http(PROXY_URL).expect("a valid URL")
}

/// A pool of the server `api.test`, which only the proxy can resolve.
fn behind(sim: &Sim, proxy: Proxy) -> Builder {
    builder(sim, &[]).server(parse("http://api.test:8080")).proxy(proxy)
}

fn fail(sim: &Sim, pool: &Pool) -> Error {
    sim.block_on(get(pool, "/")).expect_err("there is no tunnel")
}

#[test]
fn a_server_is_reached_by_a_tunnel_that_is_used_again() {
    let sim = Sim::new();
    let server = SimServer::start(&sim, ONE);
    let heads = start(&sim, TUNNEL);
    let pool = behind(&sim, proxy()).build().unwrap();
    sim.block_on(async {
        for round in 0..3 {
            assert_eq!(get(&pool, "/b/100000").await.unwrap(), round > 0);
        }
    });
    let expected = "CONNECT api.test:8080 HTTP/1.1\r\nHost: api.test:8080\r\n\r\n";
    assert_eq!(heads.try_recv().unwrap(), expected);
    assert!(heads.try_recv().is_err(), "one tunnel is enough");
    assert_eq!((server.counts().opened, server.requests()), (1, 3));
    assert_eq!(sim.net().counts(PROXY).open, 1);
    assert_balanced(&pool.metrics());
}

#[test]
fn credentials_go_to_the_proxy_alone() {
    let sim = Sim::new();
    let _server = SimServer::start(&sim, ONE);
    let heads = start(&sim, TUNNEL);
    let pool = behind(&sim, proxy().basic_auth("me", "secret")).build().unwrap();
    sim.block_on(get(&pool, "/")).unwrap();
    let head = heads.try_recv().unwrap();
    assert!(head.contains("\r\nProxy-Authorization: Basic bWU6c2VjcmV0\r\n"), "{head}");
    assert!(!format!("{pool:?}").contains("secret"));
}

#[test]
fn a_server_has_a_proxy_of_its_own_or_none() {
    let sim = Sim::new();
    let (one, two) = (SimServer::start(&sim, ONE), SimServer::start(&sim, TWO));
    let heads = start(&sim, TUNNEL);
    let pool = builder(&sim, &[])
        .server(parse(&one.url()).direct())
        .server(parse(&two.url()).proxy(proxy()))
        .proxy(Proxy::http("http://10.9.9.8:1").unwrap())
        .build()
        .unwrap();
    sim.block_on(async {
        get(&pool, "/").await.unwrap();
        get(&pool, "/").await.unwrap();
    });
    assert!(heads.try_recv().unwrap().starts_with("CONNECT 10.0.0.2:8080 "));
    assert!(heads.try_recv().is_err());
    assert_eq!((one.requests(), two.requests()), (1, 1));
}

#[test]
fn a_refusal_names_the_proxy_and_the_status() {
    let refusals = [
        ("HTTP/1.1 407 No\r\n\r\n", "407 Proxy Authentication Required; it asks for credentials"),
        ("HTTP/1.1 502 No\r\ncontent-length: 3\r\n\r\nbad", "502 Bad Gateway"),
        ("HTTP/1.0 403 No\r\n\r\n", "403 Forbidden"),
        ("HTTP/1.1 301 No\r\nlocation: http://x/\r\n\r\n", "301 Moved Permanently"),
    ];
    for (answer, reason) in refusals {
        let sim = Sim::new();
        start(&sim, Manner::Ends(answer));
        let pool = behind(&sim, proxy()).build().unwrap();
        let error = fail(&sim, &pool);
        assert_eq!((error.kind(), error.phase()), (ErrorKind::Connect, Some(Phase::Connect)));
        assert!(error.is_retry_safe() && error.is_connect());
        let text = error.to_string();
        assert!(text.contains(PROXY_URL) && text.contains(reason), "{text}");
        assert!(text.contains("api.test:8080"), "{text}");
        assert_eq!(sim.net().counts(PROXY).open, 0);
        assert_balanced(&pool.metrics());
    }
}

#[test]
fn credentials_that_are_refused_are_not_shown() {
    let sim = Sim::new();
    start(&sim, Manner::Ends("HTTP/1.1 407 No\r\n\r\n"));
    let pool = behind(&sim, proxy().basic_auth("me", "secret")).build().unwrap();
    let text = format!("{:?}", fail(&sim, &pool));
    assert!(text.contains("does not take the credentials"), "{text}");
    assert!(!text.contains("secret") && !text.contains("bWU6"), "{text}");
}

#[test]
fn a_proxy_that_does_not_speak_as_it_should_is_an_error() {
    let faults = [
        ("", "closed the connection without an answer"),
        ("HTTP/1.1 200", "closed the connection without an answer"),
        ("SSH-2.0-OpenSSH\r\n", "HTTP/1"),
        ("HTTP/1.1 2x0 OK\r\n\r\n", "no tunnel"),
    ];
    for (answer, reason) in faults {
        let sim = Sim::new();
        start(&sim, Manner::Ends(answer));
        let pool = behind(&sim, proxy()).build().unwrap();
        let error = fail(&sim, &pool);
        assert_eq!(error.kind(), ErrorKind::Connect, "{error:?}");
        assert!(error.to_string().contains(reason), "{answer}: {error}");
        assert_balanced(&pool.metrics());
    }
}

#[test]
fn a_head_as_long_as_may_be_is_accepted_and_one_longer_refused() {
    for (padding, accepted) in [(16 * 1024, true), (16 * 1024 + 1, false)] {
        let (begin, end) = ("HTTP/1.1 200 OK\r\nx: ", "\r\n\r\n");
        let head = format!("{begin}{}{end}", "x".repeat(padding - begin.len() - end.len()));
        let sim = Sim::new();
        let _server = SimServer::start(&sim, ONE);
        start(&sim, Manner::Says(Box::leak(head.into_boxed_str())));
        let pool = behind(&sim, proxy()).build().unwrap();
        assert_eq!(sim.block_on(get(&pool, "/")).is_ok(), accepted);
        assert_balanced(&pool.metrics());
    }
}

#[test]
fn as_many_interim_responses_as_may_be_are_passed_over_and_one_more_refused() {
    for (count, accepted) in [(16, true), (17, false)] {
        let interim = "HTTP/1.1 102 Processing\r\n\r\n".repeat(count);
        let answer = format!("{interim}HTTP/1.1 204 Fine\r\n\r\n");
        let sim = Sim::new();
        let _server = SimServer::start(&sim, ONE);
        start(&sim, Manner::Says(Box::leak(answer.into_boxed_str())));
        let pool = behind(&sim, proxy()).build().unwrap();
        assert_eq!(sim.block_on(get(&pool, "/")).is_ok(), accepted);
    }
}

#[test]
fn what_comes_right_behind_the_head_is_kept() {
    // Whatever the tunnel brings before the request is taken for its answer, as it is without a
    // proxy; the length of a CONNECT's answer means nothing.
    let sim = Sim::new();
    let _server = SimServer::start(&sim, ONE);
    let answer = "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nHTTP/1.1 200 OK\r\n\
                  content-length: 5\r\nconnection: close\r\n\r\nearly";
    start(&sim, Manner::Says(answer));
    let pool = behind(&sim, proxy()).build().unwrap();
    let text = sim.block_on(async { pool.get("/").await.unwrap().into_body().text().await });
    assert_eq!(text.unwrap(), "early");
    assert_balanced(&pool.metrics());
}

#[test]
fn one_deadline_is_over_the_proxy_and_its_tunnel() {
    for (tunnel, in_time) in [(999, true), (1001, false)] {
        let sim = Sim::new();
        let _server = SimServer::start(&sim, ONE);
        start(&sim, Manner::Tunnel(tunnel * MS));
        sim.net().connect_delay(PROXY, SECOND * 4);
        let pool = behind(&sim, proxy()).connect_timeout(SECOND * 5).build().unwrap();
        let start = sim.now();
        match sim.block_on(get(&pool, "/")) {
            Ok(_) => assert!(in_time),
            Err(error) => {
                assert!(!in_time, "{error:?}");
                assert_eq!(
                    (error.kind(), error.phase()),
                    (ErrorKind::Timeout, Some(Phase::Connect))
                );
                assert!(error.to_string().contains(PROXY_URL), "{error}");
            }
        }
        assert_eq!(sim.now() - start, if in_time { 4999 * MS } else { SECOND * 5 });
        assert_balanced(&pool.metrics());
    }
}

#[test]
fn a_proxy_that_says_nothing_is_given_up_at_the_deadline() {
    let sim = Sim::new();
    start(&sim, Manner::Silent);
    let pool = behind(&sim, proxy()).build().unwrap();
    let began = sim.now();
    let error = fail(&sim, &pool);
    assert!(error.is_timeout() && error.to_string().contains("took too long"), "{error}");
    assert_eq!(sim.now() - began, SECOND * 10);
    assert_eq!(sim.net().counts(PROXY).open, 0);
    assert_balanced(&pool.metrics());
}

#[test]
fn a_proxy_that_cannot_be_reached_is_named() {
    let sim = Sim::new();
    let pool = behind(&sim, proxy()).build().unwrap();
    let error = fail(&sim, &pool);
    assert_eq!(error.kind(), ErrorKind::Connect);
    assert!(error.to_string().starts_with(&format!("proxy {PROXY_URL}: ")), "{error}");

    let nowhere = Proxy::http("http://nowhere.test:3128").unwrap();
    let error = fail(&sim, &behind(&sim, nowhere).build().unwrap());
    assert_eq!((error.kind(), error.phase()), (ErrorKind::Resolve, Some(Phase::Resolve)));
    assert!(error.to_string().contains("nowhere.test"), "{error}");
}

#[test]
fn a_user_with_a_colon_is_refused_when_the_pool_is_built_or_the_server_added() {
    let sim = Sim::new();
    let ambiguous = || proxy().basic_auth("me:you", "secret");
    let error = behind(&sim, ambiguous()).build().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
    let pool = behind(&sim, proxy()).build().unwrap();
    pool.add_server(parse("http://other.test").proxy(ambiguous())).unwrap_err();
}

#[test]
fn a_request_dropped_at_any_await_behind_a_proxy_leaves_nothing_behind() {
    for background in BACKGROUNDS {
        let mut ended = false;
        let mut in_tunnel = 0;
        for polls in 0..100 {
            let sim = Sim::new();
            let server = SimServer::start(&sim, ONE);
            // Two addresses, the first of which leads nowhere.
            sim.net().name("proxy.test", &["fd00::1", "10.9.9.9"]);
            sim.net().black_hole("[fd00::1]:3128");
            sim.net().lookup_delay("proxy.test", SECOND);
            sim.net().latency(MS);
            let _heads = start(&sim, Manner::Tunnel(SECOND));
            let proxy = Proxy::http("http://proxy.test:3128").unwrap();
            let builder = behind(&sim, proxy).max_connections_per_server(1);
            let pool = background.build(&sim, builder.dialling(Dialling::new().min_ttl(MS)));
            sim.block_on(async {
                let mut operation = Box::pin(get(&pool, "/"));
                let mut pending = 0;
                ended = std::future::poll_fn(|cx| {
                    if operation.as_mut().poll(cx).is_ready() {
                        return std::task::Poll::Ready(true);
                    }
                    pending += 1;
                    let is_over = pending > polls;
                    if is_over { std::task::Poll::Ready(false) } else { std::task::Poll::Pending }
                })
                .await;
                let counts = sim.net().counts(PROXY);
                in_tunnel += usize::from(counts.open == 1 && server.requests() == 0);
                drop(operation);
                sim.sleep(PAST_DIAL_GRACE).await;
                sim.settle().await;
                let metrics = pool.metrics();
                assert_eq!(metrics.total_connections, metrics.idle_connections, "{polls}");
                assert_balanced(&metrics);
                assert_eq!(sim.net().counts("[fd00::1]:3128").connecting, 0, "{polls}");
                assert_eq!(sim.net().counts(PROXY).connecting, 0, "{polls}");
                // The one permit is there.
                drop(hold(&pool, 1).await);
                let mut checkout = pool.checkout(Select::new()).await.unwrap();
                let answer = checkout.send(request(http::Method::GET, "/")).await.unwrap();
                answer.into_body().bytes().await.unwrap();
            });
            if ended {
                break;
            }
        }
        assert!(ended && in_tunnel > 0, "{background:?}: {in_tunnel}");
    }
}

#[test]
fn a_shutdown_during_a_dial_ends_it() {
    for background in BACKGROUNDS {
        let sim = Sim::new();
        start(&sim, Manner::Silent);
        let pool = background.build(&sim, behind(&sim, proxy()));
        sim.block_on(async {
            let mut operation = Box::pin(get(&pool, "/"));
            for _ in 0..5 {
                assert!(poll_once(&mut operation).await.is_none());
                sim.settle().await;
            }
            assert_eq!(sim.net().counts(PROXY).open, 1);
            let began = sim.now();
            let (error, _) = futures_lite::future::zip(operation, pool.shutdown(SECOND * 3)).await;
            assert!(error.unwrap_err().is_closed(), "{background:?}");
            assert_eq!(sim.now(), began);
            assert_eq!(sim.net().counts(PROXY).open, 0);
        });
        assert_balanced(&pool.metrics());
    }
}
