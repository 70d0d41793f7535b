//! The load that every runtime must carry: many small requests over three servers, with a limit
//! that makes callers wait.

#![allow(dead_code, reason = "each test binary that includes this file uses a part of it")]

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use evenkeel::{BoxFuture, Builder, HealthCheck, Pool};

use super::books::{assert_balanced, at_rest};
use super::server::Server;

/// How many requests.
pub(crate) const REQUESTS: usize = 20_000;
/// How many callers at a time.
pub(crate) const CALLERS: usize = 64;
/// How many connections a server may see at a time.
pub(crate) const LIMIT: usize = 16;

/// Three servers, a pool of them, and what came of the requests.
pub(crate) struct Load {
    servers: Vec<Server>,
    pub(crate) pool: Pool,
    wrong: Arc<AtomicU64>,
}

impl Load {
    /// Starts the servers and builds the pool; `builder` brings the runtime.
    pub(crate) fn new(builder: Builder) -> Self {
        // Checks have sockets of their own, which no limit counts.
        let builder = builder.health_check(HealthCheck::off());
        let servers: Vec<Server> = (0..3).map(|_| Server::start()).collect();
        let builder = servers.iter().fold(builder, |builder, server| {
            builder.server(evenkeel::Server::new(server.url("")).expect("a valid URL"))
        });
        let pool = builder
            .max_connections_per_server(LIMIT)
            // Time is not what this load is about, and the machine may be busy.
            .request_timeout(Some(Duration::from_secs(100)))
            .build()
            .expect("a valid pool");
        Self { servers, pool, wrong: Arc::default() }
    }

    /// What a caller does with its number: one request, whose answer must be its own.
    pub(crate) fn job(
        &self,
    ) -> impl Fn(usize) -> BoxFuture<'static, ()> + Clone + Send + Sync + 'static {
        let (pool, wrong) = (self.pool.clone(), self.wrong.clone());
        move |number| {
            let (pool, wrong) = (pool.clone(), wrong.clone());
            Box::pin(async move {
                if let Err(complaint) = exchange(&pool, number).await {
                    eprintln!("request {number}: {complaint}");
                    wrong.fetch_add(1, Ordering::Relaxed);
                }
            })
        }
    }

    /// Checks what the servers saw and what the pool counted, once all requests are done.
    pub(crate) async fn verify(&self) {
        assert_eq!(self.wrong.load(Ordering::Relaxed), 0, "requests failed");
        let metrics = at_rest(&self.pool).await;
        assert_balanced(&metrics);
        assert_eq!(metrics.total_requests, REQUESTS as u64);
        assert_eq!(metrics.successful_requests, REQUESTS as u64);
        assert_eq!(metrics.failed_requests, 0);
        let mut accepted = 0;
        for (server, stats) in self.servers.iter().zip(self.pool.server_stats()) {
            // A connection that was opened and not needed is accepted a little later.
            server.until(|counts| counts.accepted >= stats.connections_created).await;
            let counts = server.counts();
            assert!(counts.max_open <= LIMIT, "{} saw {counts:?}", stats.url);
            assert_eq!(counts.requests, stats.total_requests, "{}: {counts:?}", stats.url);
            assert_eq!(counts.accepted, stats.connections_created, "{}: {counts:?}", stats.url);
            assert!(counts.requests > 0, "{} was left out", stats.url);
            accepted += counts.accepted;
        }
        assert_eq!(metrics.connections_created, accepted);
        // Nothing here closes connections but the cap on idle ones: reuse must be the rule.
        assert!(metrics.connections_reused > REQUESTS as u64 / 2, "{metrics:?}");
    }
}

async fn exchange(pool: &Pool, number: usize) -> Result<(), String> {
    let path = format!("/load?n={number}");
    let response = pool.get(&path).await.map_err(|error| format!("{error:?}"))?;
    let status = response.status();
    let text = response.into_body().text().await.map_err(|error| format!("{error:?}"))?;
    if status == 200 && text == format!("GET {path}\n") {
        return Ok(());
    }
    Err(format!("{status} and {text:?}"))
}
