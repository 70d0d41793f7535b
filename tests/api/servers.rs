//! Goal: a server is who its URL says, and nobody twice. Method: a network in which no connection
//! can be made, so that an error tells which server was meant.

use evenkeel::rt::sim::Sim;
use evenkeel::{Builder, ErrorKind, Pool, Server};

fn server(url: &str) -> Server {
    Server::new(url).expect("a valid URL")
}

fn nowhere(sim: &Sim) -> Builder {
    Pool::builder().runtime(sim.runtime_without_background())
}

/// Which server an absolute URL led to.
#[track_caller]
fn picked(sim: &Sim, pool: &Pool, url: &str) -> String {
    let error = sim.block_on(pool.get(url)).expect_err("nobody listens");
    assert_eq!(error.kind(), ErrorKind::Connect, "{error:?}");
    error.server().expect("a server was picked").to_owned()
}

#[test]
fn an_absolute_url_goes_to_the_server_whose_base_path_is_made_of_its_first_segments() {
    let sim = Sim::new();
    let (root, api) = ("http://10.0.0.1:80", "http://10.0.0.1/api");
    let (v1, v10) = ("http://10.0.0.1/api/v1", "http://10.0.0.1/api/v10");
    let rows = [
        ("/", "http://10.0.0.1"),
        ("/apiary", "http://10.0.0.1"),
        ("/apiary/v1", "http://10.0.0.1"),
        ("/API", "http://10.0.0.1"),
        ("/x/api", "http://10.0.0.1"),
        ("/api", api),
        ("/api?x=/v1", api),
        ("/api/", api),
        ("/api/v", api),
        ("/api/v11", api),
        ("/api/v1", v1),
        ("/api/v1/users", v1),
        ("/api/v10", v10),
    ];
    for order in [[root, api, v1, v10], [v10, v1, api, root]] {
        let add = |builder: Builder, url: &str| builder.server(server(url));
        let pool = order.into_iter().fold(nowhere(&sim), add).build().unwrap();
        for (path, expected) in rows {
            assert_eq!(picked(&sim, &pool, &format!("http://10.0.0.1{path}")), expected, "{path}");
        }
    }
}

#[test]
fn an_absolute_url_outside_of_every_base_path_goes_to_a_server_of_its_origin_all_the_same() {
    let sim = Sim::new();
    let pool = nowhere(&sim).server(server("http://10.0.0.1/api")).build().unwrap();
    assert_eq!(picked(&sim, &pool, "http://10.0.0.1/apiary"), "http://10.0.0.1/api");
}

#[test]
fn servers_that_are_added_together_get_their_ids_in_order_and_those_here_keep_theirs() {
    let sim = Sim::new();
    let pool = nowhere(&sim).server(server("http://10.0.0.2/")).build().unwrap();
    let [a, b, c] = ["http://10.0.0.1/", "http://10.0.0.2/", "http://10.0.0.3/"].map(server);
    let ids = pool.add_servers([a.clone(), b.weight(5), c, a]).unwrap();
    let seen: Vec<_> = pool.server_stats().into_iter().map(|s| (s.id, s.url, s.weight)).collect();
    let expected = [
        (ids[1], "http://10.0.0.2".to_owned(), 5),
        (ids[0], "http://10.0.0.1".to_owned(), 1),
        (ids[2], "http://10.0.0.3".to_owned(), 1),
    ];
    assert_eq!(seen, expected);
    assert_eq!(ids[3], ids[0], "twice in one call is once");
    // All, or none.
    let bad = server("http://10.0.0.4/").max_connections(0);
    pool.add_servers([server("http://10.0.0.5/"), bad]).unwrap_err();
    assert_eq!(pool.metrics().servers, 3);
}

#[test]
fn a_server_that_is_here_already_is_not_made_again() {
    let sim = Sim::new();
    let pool = nowhere(&sim).server(server("http://[::1]")).build().unwrap();
    let first = pool.server_stats()[0].id;
    for url in ["http://[::1]", "http://[0:0::1]:80/", "HTTP://[::1]:"] {
        assert_eq!(pool.add_server(server(url)).unwrap(), first, "{url}");
    }
    assert_eq!(pool.server_stats().len(), 1);
    // Each record that is made takes an id, so the next number shows that none was.
    let second = pool.add_server(server("http://[::2]")).unwrap();
    assert_eq!((first.to_string().as_str(), second.to_string().as_str()), ("1", "2"));
}

#[test]
fn those_who_add_the_same_server_at_once_all_get_its_one_id() {
    let sim = Sim::new();
    let pool = nowhere(&sim).build().unwrap();
    let add = || pool.add_server(server("http://10.0.0.1")).unwrap();
    let ids = std::thread::scope(|scope| {
        let threads = [(); 4].map(|()| scope.spawn(add));
        threads.map(|thread| thread.join().unwrap())
    });
    assert_eq!(pool.server_stats().len(), 1);
    assert_eq!(ids, [pool.server_stats()[0].id; 4]);
}
