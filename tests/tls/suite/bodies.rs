//! Bodies come whole or not at all.

use evenkeel::{Body, ErrorKind, Phase};
use http::Request;
use ring::digest::{SHA256, digest};
use rustls::version::{TLS12, TLS13};

use crate::front::Farewell;
use crate::setup::World;
use crate::support::server::filler;
use crate::support::{Server, assert_balanced, for_each_runtime};

#[test]
fn a_body_that_only_the_close_ends_is_whole_only_behind_the_alert_that_ends_tls() {
    for_each_runtime(|env| async move {
        for (versions, farewell, whole) in [
            ([&TLS12], Farewell::Alert, true),
            ([&TLS13], Farewell::Alert, true),
            ([&TLS12], Farewell::Missing, false),
            ([&TLS13], Farewell::Missing, false),
        ] {
            let world = World::by(Server::start(), &versions, farewell);
            let pool = world.builder(&env).build().unwrap();
            let response = pool.get("/eof/100000").await.unwrap();
            match (response.into_body().text().await, whole) {
                (Ok(text), true) => assert_eq!(text, filler(100_000)),
                (Err(error), false) => {
                    let seen = (error.kind(), error.phase());
                    assert_eq!(seen, (ErrorKind::Reset, Some(Phase::Body)), "{error:?}");
                    assert!(format!("{error:?}").contains("cut short"), "{error:?}");
                }
                (outcome, _) => panic!("{farewell:?}: {outcome:?}"),
            }
            // Where the length is known, the alert does not matter.
            for path in ["/close/1000", "/http10/1000"] {
                let response = pool.get(path).await.unwrap();
                let text = response.into_body().text().await.expect("all of it");
                assert_eq!(text, filler(1000), "{path}");
            }
            let error = pool.get("/cut/1000").await.unwrap().into_body().text().await;
            assert_eq!(error.expect_err("half of it").kind(), ErrorKind::Reset);
            assert_balanced(&pool.metrics());
        }
    });
}

#[test]
fn bodies_up_to_ten_mebibytes_come_and_go_unharmed() {
    for_each_runtime(|env| async move {
        for versions in [[&TLS12], [&TLS13]] {
            let world = World::by(Server::start(), &versions, Farewell::Alert);
            let pool = world.builder(&env).build().unwrap();
            let sizes = [0, 1, 16_383, 16_384, 16_385, 65_536, 65_537, 1 << 20, 10 << 20];
            for size in sizes {
                let sent = filler(size);
                let hash = digest(&SHA256, sent.as_bytes());
                for path in [format!("/b/{size}"), format!("/c/{size}")] {
                    let body = pool.get(&path).await.unwrap().into_body().bytes().await.unwrap();
                    assert_eq!(digest(&SHA256, &body).as_ref(), hash.as_ref(), "{path}");
                }
                let request = Request::post("/echo").body(Body::from(sent)).unwrap();
                let body = pool.send(request).await.unwrap().into_body().bytes().await.unwrap();
                let echoed = body.strip_prefix(b"POST /echo\n".as_slice()).expect("the echo");
                assert_eq!(digest(&SHA256, echoed).as_ref(), hash.as_ref(), "{size} bytes");
            }
            let metrics = pool.metrics();
            assert_balanced(&metrics);
            assert_eq!((metrics.failed_requests, metrics.connections_created), (0, 1));
        }
    });
}
