//! What the suites on simulated time share: pools in a world, and whether all of it is whole.

use std::time::Duration;

use evenkeel::rt::sim::Sim;
use evenkeel::{Body, Builder, Checkout, Error, HealthCheck, Pool, ResponseInfo, Select, ServerId};
use http::{Method, Request, Response};

use super::parse;
use super::sim_server::SimServer;

/// Two addresses of servers.
pub(crate) const ONE: &str = "10.0.0.1:8080";
pub(crate) const TWO: &str = "10.0.0.2:8080";

pub(crate) const MS: Duration = Duration::from_millis(1);
pub(crate) const SECOND: Duration = Duration::from_secs(1);

/// Longer than a dial without a caller may go on.
pub(crate) const PAST_DIAL_GRACE: Duration = Duration::from_secs(6);

/// Where a pool's background work runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Background {
    /// The pool spawns it.
    Spawned,
    /// The test spawns the driver.
    Driven,
    /// There is none.
    Absent,
}

pub(crate) const BACKGROUNDS: [Background; 3] =
    [Background::Spawned, Background::Driven, Background::Absent];

impl Background {
    /// Builds the pool.
    #[track_caller]
    pub(crate) fn build(self, sim: &Sim, builder: Builder) -> Pool {
        match self {
            Self::Spawned => builder.runtime(sim.runtime()).build().expect("a valid pool"),
            Self::Absent => {
                let builder = builder.runtime(sim.runtime_without_background());
                builder.build().expect("a valid pool")
            }
            Self::Driven => {
                let builder = builder.runtime(sim.runtime_without_background());
                let (pool, driver) = builder.build_with_driver().expect("a valid pool");
                sim.spawn(driver);
                pool
            }
        }
    }

    /// Whether work is done in the background at all.
    pub(crate) fn is_there(self) -> bool {
        self != Self::Absent
    }
}

/// A builder with these servers, which are not checked, and no background work.
pub(crate) fn builder(sim: &Sim, servers: &[&SimServer]) -> Builder {
    let builder = Pool::builder().runtime(sim.runtime_without_background());
    let builder = builder.health_check(HealthCheck::off());
    servers.iter().fold(builder, |builder, server| builder.server(parse(&server.url())))
}

/// The id that the pool gave this server.
pub(crate) fn id_at(pool: &Pool, server: &SimServer) -> ServerId {
    let url = server.url();
    pool.server_stats().iter().find(|stats| stats.url == url).expect("the server is there").id
}

/// A request without a body.
pub(crate) fn request(method: Method, path: &str) -> Request<Body> {
    Request::builder().method(method).uri(path).body(Body::empty()).expect("a valid request")
}

/// A GET with wishes.
pub(crate) fn wished(path: &str, select: Select) -> Request<Body> {
    let mut request = request(Method::GET, path);
    request.extensions_mut().insert(select);
    request
}

/// A GET of `path`, its body read to the end; whether its connection was open before.
pub(crate) async fn get(pool: &Pool, path: &str) -> Result<bool, Error> {
    whole(pool.get(path).await?).await
}

/// Reads a body to its end; whether its connection was open before.
pub(crate) async fn whole(response: Response<Body>) -> Result<bool, Error> {
    let reused = info(&response).reused;
    response.into_body().bytes().await?;
    Ok(reused)
}

/// How the response came about.
pub(crate) fn info(response: &Response<Body>) -> &ResponseInfo {
    response.extensions().get().expect("every response has it")
}

/// So many connections at once, which are then on loan.
pub(crate) async fn hold(pool: &Pool, count: usize) -> Vec<Checkout> {
    let mut held = Vec::new();
    for _ in 0..count {
        held.push(pool.checkout(Select::new()).await.expect("there is room"));
    }
    held
}

/// Opens so many connections that are idle, and whose next request gets no answer.
pub(crate) async fn open_traps(pool: &Pool, count: usize) {
    for checkout in &mut hold(pool, count).await {
        let response = checkout.send(request(Method::GET, "/drop-next")).await;
        let body = response.expect("it answers this one").into_body();
        body.bytes().await.expect("all of it");
    }
}
