//! Every strategy over real sockets, on several threads, while servers come, go and change.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use evenkeel::{BoxFuture, Pool, Select, ServerId, Strategy};
use http::Request;

use crate::support::run::under_tokio_multi_thread;
use crate::support::{Env, Server, assert_balanced, block_on, builder_of, get_text, id_of, parse};

const REQUESTS: usize = 2000;
const CALLERS: usize = 24;

/// A GET on behalf of one of 40 clients; the server that answered.
async fn ask(pool: &Pool, number: usize) -> ServerId {
    let mut request = Request::get("/").body(evenkeel::Body::empty()).expect("a valid request");
    let client = Select::new().client_id(format!("client-{}", number % 40));
    request.extensions_mut().insert(client);
    let response = pool.send(request).await.expect("an answer");
    let info: &evenkeel::ResponseInfo = response.extensions().get().expect("always there");
    let server = info.server;
    response.into_body().bytes().await.expect("all of it");
    server
}

/// One request; each tenth caller first changes something.
fn job(pool: &Pool, urls: &[String; 3], done: &Arc<AtomicUsize>) -> impl Job {
    let (pool, urls, done) = (pool.clone(), urls.clone(), done.clone());
    move |number| {
        let (pool, urls, done) = (pool.clone(), urls.clone(), done.clone());
        Box::pin(async move {
            let id = |url: &str| {
                pool.server_stats().into_iter().find(|stats| stats.url == url).map(|stats| stats.id)
            };
            let weight = u32::try_from(number / 10 % 4).expect("below four");
            // The first server stays as it is, so that there always is one. Another caller may have
            // been faster with the others.
            match (number % 10, number / 10 % 3) {
                (0, 0) => {
                    pool.add_server(parse(&urls[2]).weight(1 + weight).tag("new")).expect("open");
                }
                (0, 1) => drop(id(&urls[2]).map(|id| pool.remove_server(id))),
                (0, _) => drop(id(&urls[1]).map(|id| pool.set_weight(id, weight))),
                _ => {}
            }
            ask(&pool, number).await;
            done.fetch_add(1, Ordering::Relaxed);
        })
    }
}

trait Job: Fn(usize) -> BoxFuture<'static, ()> + Clone + Send + Sync + 'static {}
impl<F: Fn(usize) -> BoxFuture<'static, ()> + Clone + Send + Sync + 'static> Job for F {}

async fn no_request_is_lost_under(env: &Env, strategy: Strategy) {
    let servers = [Server::start(), Server::start(), Server::start()];
    let urls = [0, 1, 2].map(|index| servers[index].url(""));
    let builder = urls.iter().fold(env.builder(), |builder, url| builder.server(parse(url)));
    let builder = builder.strategy(strategy).max_connections_per_server(6);
    // Time is not what this is about, and the machine may be busy.
    let pool = builder.request_timeout(std::time::Duration::from_secs(100)).build().expect("valid");
    let done = Arc::default();
    env.run_concurrently(CALLERS, REQUESTS, job(&pool, &urls, &done)).await;
    assert_eq!(done.load(Ordering::Relaxed), REQUESTS, "{strategy}");
    let metrics = pool.metrics();
    assert_balanced(&metrics);
    assert_eq!((metrics.failed_requests, metrics.successful_requests), (0, REQUESTS as u64));
    let seen: u64 = servers.iter().map(|server| server.counts().requests).sum();
    assert_eq!(seen, REQUESTS as u64, "{strategy}");
    assert!(servers[0].counts().max_open <= 6);
    // A weight that has been set counts for whatever begins afterwards.
    let first = pool.server_stats()[0].id;
    pool.add_server(parse(&urls[1]).weight(2)).expect("an open pool");
    pool.set_weight(first, 0).expect("an open pool");
    for number in 0..40 {
        assert_ne!(ask(&pool, number).await, first, "{strategy}");
    }
    pool.set_weight(first, 5).expect("an open pool");
    while !reaches(&pool, first).await {}
}

/// Whether one of 40 clients reaches this server.
async fn reaches(pool: &Pool, server: ServerId) -> bool {
    let mut reached = false;
    for number in 0..40 {
        reached |= ask(pool, number).await == server;
    }
    reached
}

#[test]
fn no_request_is_lost_while_servers_come_and_go_and_change() {
    under_tokio_multi_thread(|env| async move {
        for &strategy in Strategy::ALL {
            no_request_is_lost_under(&env, strategy).await;
        }
    });
}

#[test]
fn a_fresh_pool_uses_all_its_servers_under_every_strategy() {
    block_on(|| async {
        for &strategy in Strategy::ALL {
            let servers = [Server::start(), Server::start()];
            let builder = builder_of(&[&servers[0], &servers[1]]).strategy(strategy);
            let pool = builder.build().unwrap();
            for index in [0, 1] {
                let id = id_of(&pool, &servers[index]);
                while !reaches(&pool, id).await {}
            }
            get_text(&pool, "/").await.unwrap();
            assert_balanced(&pool.metrics());
        }
    });
}
