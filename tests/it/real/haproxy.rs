//! haproxy before the tests' own server, in each of its ways to keep connections.

use std::net::SocketAddr;

use super::{Real, books_after_the_end};
use crate::support::run::{under_smol, under_tokio_multi_thread};
use crate::support::{Env, Server, assert_balanced, get_text};

const REQUESTS: usize = 2000;

fn start(env: &Env, mode: &str, backend: &str) -> Option<Real> {
    let configure = |addr: SocketAddr| {
        format!(
            "defaults\n mode http\n option {mode}\n timeout connect 30s\n timeout client 100s\n \
             timeout server 100s\n timeout http-keep-alive 1s\n\
             frontend it\n bind {addr}\n default_backend origin\n\
             backend origin\n server one {backend}\n"
        )
    };
    let name = format!("{mode}-{}", env.name);
    Real::with_files("haproxy", &name, &["-db", "-f", "server.conf"], configure)
}

async fn pass_through(env: Env) {
    for mode in ["http-keep-alive", "http-server-close", "httpclose"] {
        let origin = Server::start();
        let backend = origin.url("").replace("http://", "");
        let Some(proxy) = start(&env, mode, &backend) else {
            return;
        };
        let pool = proxy.pool(&env);
        let job = {
            let pool = pool.clone();
            move |number: usize| {
                let pool = pool.clone();
                async move {
                    let path = format!("/through?n={number}");
                    let text = get_text(&pool, &path).await.expect("an answer");
                    assert_eq!(text, format!("GET {path}\n"));
                }
            }
        };
        env.run_concurrently(32, REQUESTS, job).await;
        assert_eq!(origin.counts().requests, REQUESTS as u64, "{mode}: each came once");
        let metrics = books_after_the_end(&pool).await;
        assert_balanced(&metrics);
        assert_eq!(metrics.successful_requests, REQUESTS as u64, "{mode}");
        let closes = mode == "httpclose";
        assert_eq!(metrics.connections_created >= REQUESTS as u64, closes, "{mode}: {metrics:?}");
        eprintln!("{mode}, {}: {} connections", env.name, metrics.connections_created);
    }
}

#[test]
fn haproxy_passes_every_get_through_once_in_each_of_its_modes() {
    under_tokio_multi_thread(pass_through);
    under_smol(pass_through);
}

#[test]
fn haproxy_whose_backend_is_down_answers_503() {
    under_smol(|env| async move {
        // Nobody listens on a port that is held.
        let (_port, nobody) = crate::support::server::hold_port();
        let Some(proxy) = start(&env, "http-keep-alive", &nobody.to_string()) else {
            return;
        };
        let pool = proxy.pool(&env);
        let response = pool.get("/").await.expect("an answer");
        assert_eq!(response.status(), 503);
        response.into_body().bytes().await.expect("a body");
        assert_balanced(&books_after_the_end(&pool).await);
    });
}
