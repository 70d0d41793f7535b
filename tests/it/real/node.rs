//! node, which counts what it is given and closes connections without having said so.

use std::sync::mpsc::channel;
use std::time::Duration;

use evenkeel::Body;
use http::Request;

use super::{Real, books_after_the_end};
use crate::support::run::{under_smol, under_tokio_multi_thread};
use crate::support::{Env, assert_balanced, get_text};

const POSTS: usize = 3000;

/// `POST /` counts the id in its body; `GET /ids` tells them, once for each time it came. After
/// seven answers a connection is closed unannounced, and after 200 ms of silence.
const SCRIPT: &str = r"
const ids = [];
const server = require('http').createServer((request, response) => {
    let body = '';
    request.on('data', (data) => body += data);
    request.on('end', () => {
        if (request.method === 'POST') ids.push(body);
        const socket = request.socket;
        socket.answers = (socket.answers || 0) + 1;
        if (socket.answers === 7) response.on('finish', () => socket.end());
        // Said like this, node does not add how long it keeps the connection: nobody is warned.
        response.setHeader('connection', 'keep-alive');
        response.end(request.url === '/ids' ? ids.join(' ') : 'small');
    });
});
server.keepAliveTimeout = 200;
";

fn start(env: &Env, name: &str) -> Option<Real> {
    let name = format!("{name}-{}", env.name);
    Real::with_files("node", &name, &["server.conf"], |addr| {
        format!("{SCRIPT}server.listen({}, '{}');", addr.port(), addr.ip())
    })
}

/// As many GETs as POSTs, and some more about the moment at which the server gives an idle
/// connection up.
async fn get_under_cuts(env: Env) {
    let Some(server) = start(&env, "get") else {
        return;
    };
    let pool = server.pool(&env);
    let job = {
        let pool = pool.clone();
        move |_| {
            let pool = pool.clone();
            async move { assert_eq!(get_text(&pool, "/").await.expect("an answer"), "small") }
        }
    };
    env.run_concurrently(32, POSTS, job.clone()).await;
    for wait in [196, 199, 201, 204] {
        // Only real time moves the server's clock.
        smol::Timer::after(Duration::from_millis(wait)).await;
        env.run_concurrently(8, 16, job.clone()).await;
    }
    let metrics = books_after_the_end(&pool).await;
    assert_eq!(metrics.failed_requests, 0);
    assert!(metrics.connections_created >= POSTS as u64 / 7, "{metrics:?}");
    assert!(metrics.connections_reused > POSTS as u64 / 2, "{metrics:?}");
    assert_balanced(&metrics);
}

async fn post_under_cuts(env: Env) {
    let Some(server) = start(&env, "post") else {
        return;
    };
    let pool = server.pool(&env);
    // For each POST, whether it was answered, and if not whether it is called safe to repeat.
    let (report, reports) = channel();
    let job = {
        let pool = pool.clone();
        move |number: usize| {
            let (pool, report) = (pool.clone(), report.clone());
            async move {
                let body = Body::from(number.to_string());
                let post = Request::post("/").body(body).expect("a valid request");
                let outcome = match pool.send(post).await {
                    Ok(response) => {
                        response.into_body().bytes().await.expect("a body");
                        Ok(())
                    }
                    Err(error) => Err(error.is_retry_safe()),
                };
                report.send((number, outcome)).expect("the test waits for it");
            }
        }
    };
    env.run_concurrently(32, POSTS, job).await;
    let text = get_text(&pool, "/ids").await.expect("an answer");
    let mut seen = vec![0; POSTS];
    for id in text.split(' ') {
        seen[id.parse::<usize>().expect("a number")] += 1;
    }
    let outcomes: Vec<_> = reports.into_iter().collect();
    assert_eq!(outcomes.len(), POSTS);
    for &(number, outcome) in &outcomes {
        let times = seen[number];
        assert!(times <= 1, "POST {number} was carried out {times} times");
        match outcome {
            Ok(()) => assert_eq!(times, 1, "POST {number} was answered"),
            Err(safe) => assert!(!safe || times == 0, "POST {number} was called safe to repeat"),
        }
    }
    let failed = outcomes.iter().filter(|(_, outcome)| outcome.is_err()).count();
    let metrics = books_after_the_end(&pool).await;
    assert_balanced(&metrics);
    assert_eq!(metrics.failed_requests, failed as u64);
    assert!(metrics.connections_reused > POSTS as u64 / 2, "{metrics:?}");
    eprintln!("POST, {}: {failed} failed, {}", env.name, metrics.connections_created);
}

#[test]
fn node_is_given_no_post_twice() {
    under_tokio_multi_thread(post_under_cuts);
    under_smol(post_under_cuts);
}

#[test]
fn node_answers_every_get_though_it_closes_unannounced() {
    under_tokio_multi_thread(get_under_cuts);
    under_smol(get_under_cuts);
}
