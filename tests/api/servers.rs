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
