//! The observer is told what happens, may call the pool, and harms nobody by a panic.

use std::sync::{Arc, OnceLock, mpsc};

use evenkeel::rt::sim::Sim;
use evenkeel::{Event, Pool, Retry, RetryReason};

use crate::support::sim::{ONE, builder, get};
use crate::support::{SimServer, assert_balanced, parse};

#[test]
fn the_observer_is_told_of_servers_that_come_and_go() {
    let (tell, told) = mpsc::channel();
    let pool = Pool::builder()
        .runtime(Sim::new().runtime())
        .server(parse("http://10.0.0.1:80/"))
        .observer(move |event: &Event<'_>| tell.send(format!("{event:?}")).unwrap())
        .build()
        .unwrap();
    let id = pool.add_server(parse("http://10.0.0.2/")).unwrap();
    // It is here already: nothing has happened.
    assert_eq!(pool.add_server(parse("http://10.0.0.2/")).unwrap(), id);
    pool.remove_server(id).unwrap();
    pool.remove_server(id).unwrap_err();
    let expected = [
        "ServerAdded { id: ServerId(1), url: \"http://10.0.0.1\" }",
        "ServerAdded { id: ServerId(2), url: \"http://10.0.0.2\" }",
        "ServerRemoved { id: ServerId(2), url: \"http://10.0.0.2\" }",
    ];
    assert_eq!(told.try_iter().collect::<Vec<_>>(), expected);
}

#[test]
fn the_observer_may_call_the_pool_when_it_is_told_of_a_retry() {
    let sim = Sim::new();
    let server = SimServer::start(&sim, ONE);
    let known: Arc<OnceLock<Pool>> = Arc::default();
    let (tell, told) = mpsc::channel();
    let seen = known.clone();
    let observer = move |event: &Event<'_>| {
        if let Event::Retry { id, reason, .. } = event {
            // Nothing is held: the connection that brought the answer is idle, and can be closed.
            let pool = seen.get().expect("the pool is built");
            assert_eq!(pool.metrics().idle_connections, 1);
            pool.close_idle();
            tell.send((*id, *reason)).expect("the test listens");
        }
    };
    let builder = builder(&sim, &[&server]).observer(observer);
    let pool = builder.retry(Retry::new().on_status([503])).build().unwrap();
    known.set(pool.clone()).expect("the first time");
    sim.block_on(get(&pool, "/fails/1")).unwrap();
    let reason = RetryReason::Status(http::StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(told.try_iter().collect::<Vec<_>>(), [(pool.server_stats()[0].id, reason)]);
    assert_eq!(server.counts().opened, 2);
    assert_balanced(&pool.metrics());
}

#[test]
fn an_observer_may_call_the_pool_and_a_panic_in_it_is_caught() {
    let known: Arc<OnceLock<Pool>> = Arc::default();
    let seen = known.clone();
    let builder = Pool::builder().runtime(Sim::new().runtime());
    let pool = builder
        .observer(move |event: &Event<'_>| {
            let Event::ServerAdded { id, .. } = event else {
                panic!("one that cannot bear it");
            };
            seen.get().expect("the pool is built").remove_server(*id).expect("it is there");
        })
        .build()
        .unwrap();
    known.set(pool.clone()).expect("the first time");
    pool.add_server(parse("http://10.0.0.2/")).unwrap();
    assert_eq!(pool.metrics().servers, 0);
}
