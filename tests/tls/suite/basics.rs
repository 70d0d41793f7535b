//! Requests over TLS, through the public interface.

use crate::setup::World;
use crate::support::{assert_balanced, for_each_runtime, get_text};

#[test]
fn a_get_over_https_is_answered_and_its_connection_used_again() {
    for_each_runtime(|env| async move {
        let world = World::start();
        let pool = world.builder(&env).build().unwrap();
        for _ in 0..3 {
            assert_eq!(get_text(&pool, "/hello").await.unwrap(), "GET /hello\n");
        }
        let metrics = pool.metrics();
        assert_balanced(&metrics);
        assert_eq!((metrics.connections_created, metrics.successful_requests), (1, 3));
        assert_eq!(world.front.seen().full, 1);
        assert_eq!(world.origin.counts().requests, 3);
    });
}
