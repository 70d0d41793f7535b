//! What the suites share: a server to talk to, runtimes to run under, books to balance.

#![allow(
    dead_code,
    unused_imports,
    reason = "each test binary that includes this module uses a part of it"
)]

pub(crate) mod answers;
pub(crate) mod books;
pub(crate) mod fd;
#[path = "../../../examples/support/join.rs"]
pub(crate) mod join;
pub(crate) mod load;
pub(crate) mod patient;
pub(crate) mod process;
pub(crate) mod run;
pub(crate) mod server;
pub(crate) mod sim;
pub(crate) mod sim_server;

pub(crate) use self::books::{assert_balanced, at_rest};
pub(crate) use self::run::{Env, block_on, for_each_runtime};
pub(crate) use self::server::{Manner, Server};
pub(crate) use self::sim_server::SimServer;

use evenkeel::{Builder, Pool, ServerId};

/// A pool of these servers with the defaults otherwise.
pub(crate) fn pool_of(servers: &[&Server]) -> Pool {
    builder_of(servers).build().expect("a valid pool")
}

/// A builder with these servers and the runtime that works everywhere. Servers are not checked, so
/// that nobody counts requests that are not its own.
pub(crate) fn builder_of(servers: &[&Server]) -> Builder {
    let builder = Pool::builder().runtime(evenkeel::Runtime::async_io());
    let builder = builder.health_check(evenkeel::HealthCheck::off());
    servers.iter().fold(builder, |builder, server| builder.server(parse(&server.url(""))))
}

/// A server's URL as the pool wants it.
pub(crate) fn parse(url: &str) -> evenkeel::Server {
    evenkeel::Server::new(url).expect("a valid URL")
}

/// The id that the pool gave this server.
pub(crate) fn id_of(pool: &Pool, server: &Server) -> ServerId {
    let url = server.url("");
    let stats = pool.server_stats();
    stats.iter().find(|stats| stats.url == url).expect("the server is in the pool").id
}

/// Gets `path` and reads the body to its end.
pub(crate) async fn get_text(pool: &Pool, path: &str) -> Result<String, evenkeel::Error> {
    pool.get(path).await?.into_body().text().await
}
