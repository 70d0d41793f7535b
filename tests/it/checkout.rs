//! Connections on loan: given back when dropped, closed when discarded.

use evenkeel::{Body, Select};
use http::Request;

use crate::support::{Server, assert_balanced, block_on, pool_of};

#[test]
fn a_checkout_is_parked_when_dropped_and_closed_when_discarded() {
    block_on(|| async {
        let server = Server::start();
        let pool = pool_of(&[&server]);
        let mut first = pool.checkout(Select::new()).await.unwrap();
        assert_eq!(first.server().url(), server.url(""));
        assert_eq!(first.info().uses, 0);
        let request = Request::get("/a").body(Body::empty()).unwrap();
        let response = first.send(request).await.unwrap();
        assert_eq!(response.into_body().text().await.unwrap(), "GET /a\n");
        drop(first);
        assert_eq!(pool.metrics().idle_connections, 1);
        let second = pool.checkout(Select::new()).await.unwrap();
        assert_eq!(second.info().uses, 1);
        second.discard();
        server.until(|counts| counts.open == 0).await;
        let metrics = pool.metrics();
        assert_balanced(&metrics);
        assert_eq!((metrics.connections_created, metrics.connections_destroyed), (1, 1));
    });
}

#[test]
fn try_checkout_takes_an_idle_connection_and_never_dials() {
    block_on(|| async {
        let server = Server::start();
        let pool = pool_of(&[&server]);
        assert!(pool.try_checkout(&Select::new()).is_none());
        drop(pool.checkout(Select::new()).await.unwrap());
        let taken = pool.try_checkout(&Select::new()).expect("one is idle");
        assert!(pool.try_checkout(&Select::new()).is_none());
        drop(taken);
        assert!(pool.try_checkout(&Select::new()).is_some());
        assert_eq!(pool.metrics().connections_created, 1);
    });
}
