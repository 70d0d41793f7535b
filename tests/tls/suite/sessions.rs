//! Sessions are resumed with the server that they were made with, and with no other.

use evenkeel::{Pool, Select, Server, TlsConfig, TlsCrypto, TlsInfo};
use rustls::version::{TLS12, TLS13};

use crate::front::{Farewell, Front};
use crate::setup::World;
use crate::support::run::under_block_on;
use crate::support::{self, for_each_runtime, parse};

/// Opens one connection more; what was agreed on.
async fn connect(pool: &Pool, select: Select) -> TlsInfo {
    let mut checkout = pool.checkout(select).await.expect("a connection");
    let request = http::Request::get("/").body(evenkeel::Body::empty()).expect("a request");
    // The tickets come with the answer at the latest.
    let response = checkout.send(request).await.expect("an answer");
    response.into_body().bytes().await.expect("a body");
    let info = checkout.info().tls.expect("it is TLS");
    checkout.discard();
    info
}

#[test]
fn the_second_handshake_with_a_server_resumes_the_first() {
    for_each_runtime(|env| async move {
        for (versions, is_1_3) in [([&TLS12], false), ([&TLS13], true)] {
            let world = World::by(support::Server::start(), &versions, Farewell::Alert);
            let pool = world.builder(&env).build().unwrap();
            for resumed in [false, true, true] {
                let info = connect(&pool, Select::new()).await;
                assert_eq!((info.is_1_3, info.resumed), (is_1_3, resumed), "under {}", env.name);
            }
            let seen = world.front.seen();
            assert_eq!((seen.full, seen.resumed), (1, 2));
        }
    });
}

#[test]
fn no_session_is_shared_between_servers_pools_or_ways_to_speak_tls() {
    under_block_on(|env| async move {
        for versions in [[&TLS12], [&TLS13]] {
            let world = World::by(support::Server::start(), &versions, Farewell::Alert);
            // Two names of one server, of which the second has a way of its own.
            let by_address = format!("https://127.0.0.1:{}", world.front.port());
            let client = world.authority.client("me");
            let own = world.tls().client_certificate(client.chain, client.key);
            let pool = world.builder(&env).build().unwrap();
            let first = pool.server_stats()[0].id;
            let second = pool.add_server(parse(&by_address).tls(own.clone())).unwrap();
            let another = world.builder(&env).build().unwrap();
            for (nth, resumed) in [(1, false), (2, true)] {
                for id in [first, second] {
                    let info = connect(&pool, Select::new().server(id)).await;
                    assert_eq!(info.resumed, resumed, "server {id}, {nth}");
                }
                assert_eq!(connect(&another, Select::new()).await.resumed, resumed, "{nth}");
            }
            // A server that joins again joins without its sessions.
            pool.remove_server(second).unwrap();
            let again = pool.add_server(parse(&by_address).tls(own)).unwrap();
            assert!(!connect(&pool, Select::new().server(again)).await.resumed);
            let seen = world.front.seen();
            assert_eq!((seen.full, seen.resumed), (4, 3));
        }
    });
}

#[test]
fn two_servers_of_one_name_and_one_profile_have_sessions_of_their_own() {
    under_block_on(|env| async move {
        // The second would take a session of the first: they share all that they know.
        let world = World::start();
        let pair = world.authority.server(&["localhost"]);
        let config = crate::setup::server_config(&pair);
        let fronts = [(); 2].map(|()| Front::start(config.clone(), world.origin.addr()));
        let pool = env.builder().tls(world.tls()).build().unwrap();
        let ids = [0, 1].map(|at: usize| pool.add_server(parse(&fronts[at].url())).unwrap());
        for (nth, resumed) in [(1, false), (2, true)] {
            for id in ids {
                let info = connect(&pool, Select::new().server(id)).await;
                assert_eq!(info.resumed, resumed, "server {id}, {nth}");
            }
        }
    });
}

#[test]
fn nothing_is_resumed_where_that_is_not_wanted() {
    under_block_on(|env| async move {
        let world = World::start();
        let pool = world.builder(&env).tls(world.tls().resumption(false)).build().unwrap();
        for _ in 0..3 {
            assert!(!connect(&pool, Select::new()).await.resumed);
        }
    });
}

#[test]
fn http_1_1_is_offered_by_alpn_unless_that_is_switched_off() {
    under_block_on(|env| async move {
        let authority = tls_tests::Authority::new("ours");
        let pair = authority.server(&["localhost"]);
        let mut config = rustls::ServerConfig::clone(&crate::setup::server_config(&pair));
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        let origin = support::Server::start();
        let front = Front::start(config.into(), origin.addr());
        for (alpn, expected) in [(true, Some("http/1.1")), (false, None)] {
            let tls = TlsConfig::new().root_certificate(authority.pem()).alpn(alpn);
            let server = Server::new(front.url()).unwrap().tls(tls);
            let pool = env.builder().server(server).build().unwrap();
            let info = connect(&pool, Select::new()).await;
            assert_eq!(info.alpn.as_deref(), expected);
        }
    });
}

#[test]
fn a_configuration_of_rustls_is_used_as_it_is() {
    under_block_on(|env| async move {
        let world = World::start();
        let mut roots = rustls::RootCertStore::empty();
        roots.add(world.authority.der().into()).unwrap();
        let builder = rustls::ClientConfig::builder_with_provider(tls_tests::provider());
        let builder = builder.with_protocol_versions(&[&TLS12]).unwrap();
        let config = builder.with_root_certificates(roots).with_no_client_auth();
        let tls = TlsConfig::new().rustls_0_23(config.into()).server_name("localhost");
        let by_address = format!("https://127.0.0.1:{}", world.front.port());
        let pool = env.builder().server(parse(&by_address)).tls(tls).build().unwrap();
        let info = connect(&pool, Select::new()).await;
        assert_eq!((info.is_1_3, info.alpn), (false, None));
    });
}

#[test]
fn the_cryptography_that_is_asked_for_is_used_or_its_feature_named() {
    under_block_on(|env| async move {
        let world = World::start();
        let with = |crypto| world.builder(&env).tls(world.tls().crypto(crypto)).build();
        let ring = with(TlsCrypto::Ring).expect("it is always there");
        assert!(connect(&ring, Select::new()).await.is_1_3);
        match (with(TlsCrypto::AwsLcRs), cfg!(feature = "aws-lc-rs")) {
            (Ok(pool), true) => assert!(connect(&pool, Select::new()).await.is_1_3),
            (Err(error), false) => assert!(error.to_string().contains("`aws-lc-rs`"), "{error}"),
            (outcome, built) => panic!("built with it: {built}, {outcome:?}"),
        }
    });
}
