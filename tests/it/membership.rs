//! Which server a request goes to, while servers come, go, stop and return.

use evenkeel::Body;
use http::Request;

use crate::support::{Server, assert_balanced, block_on, builder_of, get_text, parse, pool_of};

#[test]
fn a_stopped_server_is_passed_over_and_used_again_when_it_is_back() {
    block_on(|| async {
        let (mut gone, stays) = (Server::start(), Server::start());
        let pool = pool_of(&[&gone, &stays]);
        for _ in 0..4 {
            get_text(&pool, "/").await.unwrap();
        }
        gone.stop();
        for _ in 0..6 {
            get_text(&pool, "/").await.unwrap();
        }
        assert_eq!(gone.counts().requests, 2);
        assert_eq!(stays.counts().requests, 8);
        gone.restart();
        // How soon it is tried again is the pool's business; that it is, is the promise. If it is
        // not, the watchdog ends this loop.
        while gone.counts().requests == 2 {
            get_text(&pool, "/").await.unwrap();
        }
        assert_eq!(pool.metrics().failed_requests, 0);
        assert_balanced(&pool.metrics());
    });
}

#[test]
fn servers_join_and_leave_while_the_pool_runs() {
    block_on(|| async {
        let (first, second) = (Server::start(), Server::start());
        let pool = builder_of(&[]).build().unwrap();
        let first_id = pool.add_server(parse(&first.url(""))).unwrap();
        get_text(&pool, "/").await.unwrap();
        let second_id = pool.add_server(parse(&second.url(""))).unwrap();
        assert_ne!(first_id, second_id);
        pool.remove_server(first_id).unwrap();
        first.until(|counts| counts.open == 0).await;
        for _ in 0..4 {
            get_text(&pool, "/").await.unwrap();
        }
        assert_eq!((first.counts().requests, second.counts().requests), (1, 4));
        let error = pool.remove_server(first_id).expect_err("it is gone");
        assert_eq!(error.kind(), evenkeel::ErrorKind::NotFound);
    });
}

#[test]
fn round_robin_is_exact_over_three_servers() {
    block_on(|| async {
        let servers = [Server::start(), Server::start(), Server::start()];
        let pool = pool_of(&[&servers[0], &servers[1], &servers[2]]);
        for _ in 0..30 {
            get_text(&pool, "/").await.unwrap();
        }
        let seen = servers.each_ref().map(|server| server.counts().requests);
        assert_eq!(seen, [10, 10, 10]);
    });
}

#[test]
fn an_absolute_url_of_one_of_the_servers_goes_to_that_server() {
    block_on(|| async {
        let servers = [Server::start(), Server::start()];
        let pool = pool_of(&[&servers[0], &servers[1]]);
        for _ in 0..5 {
            let there = Request::get(servers[1].url("/there")).body(Body::empty()).unwrap();
            let response = pool.send(there).await.unwrap();
            assert_eq!(
                response.into_body().text().await.unwrap(),
                "GET /there
"
            );
        }
        assert_eq!(servers[0].counts().requests, 0);
        assert_eq!(servers[1].counts().requests, 5);
    });
}
