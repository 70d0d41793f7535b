//! Whom a pool believes, and what it says when it does not.

use evenkeel::{Error, ErrorKind, Phase, Pool, Server, TlsConfig, TlsVersion};
use rustls::server::WebPkiClientVerifier;
use rustls::version::{TLS12, TLS13};
use rustls::{RootCertStore, ServerConfig, SupportedProtocolVersion};
use std::sync::Arc;
use tls_tests::{Authority, Pair, provider, self_signed};

use crate::front::Front;
use crate::setup::{server_config, server_config_of};
use crate::support::{Env, assert_balanced, for_each_runtime, get_text, parse};
use crate::support::{run::under_block_on, server};

const NAMES: &[&str] = &["localhost", "127.0.0.1"];

/// What a GET from a server with this configuration comes to.
async fn get(env: &Env, config: Arc<ServerConfig>, tls: TlsConfig) -> Result<String, Error> {
    let origin = server::Server::start();
    let front = Front::start(config, origin.addr());
    let pool = env.builder().server(parse(&front.url())).tls(tls).build().expect("a valid pool");
    let outcome = get_text(&pool, "/").await;
    assert_balanced(&pool.metrics());
    outcome
}

#[track_caller]
fn assert_refused(outcome: Result<String, Error>, words: &[&str]) {
    let error = outcome.expect_err("it is not to be trusted");
    assert_eq!((error.kind(), error.phase()), (ErrorKind::Tls, Some(Phase::Tls)), "{error:?}");
    assert!(error.is_tls() && error.is_connect() && !error.is_timeout(), "{error:?}");
    assert!(error.is_retry_safe(), "{error:?}");
    let text = error.to_string();
    for word in words {
        assert!(text.contains(word), "{word:?} is not in {text:?}");
    }
}

fn trust(authority: &Authority) -> TlsConfig {
    TlsConfig::new().root_certificate(authority.pem()).only_own_roots()
}

#[test]
fn a_certificate_that_is_not_good_is_refused_with_the_reason_and_a_remedy() {
    for_each_runtime(|env| async move {
        let authority = Authority::new("ours");
        let rows: [(Pair, &[&str]); 5] = [
            (authority.expired(NAMES), &["has expired", "renewed"]),
            (authority.not_yet_valid(NAMES), &["not valid yet", "clock"]),
            (
                authority.server(&["other.example"]),
                &["not for localhost", "other.example", "server_name"],
            ),
            (
                Authority::new("theirs").server(NAMES),
                &["nobody that is trusted", "root_certificate"],
            ),
            (self_signed(NAMES, false), &["nobody that is trusted", "root_certificate"]),
        ];
        for (pair, words) in rows {
            let outcome = get(&env, server_config(&pair), trust(&authority)).await;
            assert_refused(outcome, words);
        }
    });
}

#[test]
fn a_certificate_of_a_known_authority_is_taken_as_pem_and_as_der() {
    under_block_on(|env| async move {
        let authority = Authority::new("ours");
        let pair = authority.server(NAMES);
        let der = TlsConfig::new().root_certificate(authority.der()).only_own_roots();
        // Beside those that everybody trusts, and beside another in one file.
        let two = Authority::new("another").pem() + &authority.pem();
        for tls in [trust(&authority), der, TlsConfig::new().root_certificate(two)] {
            assert_eq!(get(&env, server_config(&pair), tls).await.expect("an answer"), "GET /\n");
        }
        let outcome = get(&env, server_config(&pair), TlsConfig::new()).await;
        assert_refused(outcome, &["nobody that is trusted"]);
        let outcome = get(&env, server_config(&pair), TlsConfig::new().native_roots()).await;
        match outcome {
            // A machine without any roots says so as the pool is built.
            Err(error) => assert!(error.is_tls(), "{error:?}"),
            Ok(text) => panic!("the system trusts the tests: {text}"),
        }
    });
}

#[test]
fn a_self_signed_certificate_is_its_own_root_unless_it_is_a_ca_s() {
    under_block_on(|env| async move {
        let pinned = |pair: &Pair| TlsConfig::new().root_certificate(&pair.chain).only_own_roots();
        let pair = self_signed(NAMES, false);
        let text = get(&env, server_config(&pair), pinned(&pair)).await.expect("an answer");
        assert_eq!(text, "GET /\n");
        let ca = self_signed(NAMES, true);
        assert_refused(get(&env, server_config(&ca), pinned(&ca)).await, &["CA:FALSE"]);
    });
}

#[test]
fn the_name_is_that_of_the_url_unless_another_is_set() {
    under_block_on(|env| async move {
        let authority = Authority::new("ours");
        let pair = authority.server(&["inner.example"]);
        let named = trust(&authority).server_name("inner.example");
        for tls in [named, trust(&authority).server_name("inner.example.")] {
            assert_eq!(get(&env, server_config(&pair), tls).await.expect("an answer"), "GET /\n");
        }
        let other = trust(&authority).server_name("outer.example");
        assert_refused(get(&env, server_config(&pair), other).await, &["not for outer.example"]);
        // An address is checked as one.
        let origin = server::Server::start();
        let front = Front::start(server_config(&authority.server(NAMES)), origin.addr());
        let by_address = parse(&format!("https://127.0.0.1:{}", front.port()));
        let pool = env.builder().server(by_address).tls(trust(&authority)).build().unwrap();
        assert_eq!(get_text(&pool, "/").await.expect("an answer"), "GET /\n");
    });
}

#[test]
fn any_certificate_is_taken_from_who_says_that_he_wants_it() {
    under_block_on(|env| async move {
        let tls = || TlsConfig::new().danger_accept_invalid_certs(true);
        let authority = Authority::new("nobody knows");
        for pair in [self_signed(&["else"], true), authority.expired(NAMES)] {
            for versions in [&[&TLS12], &[&TLS13]] {
                let config = server_config_of(&pair, versions);
                assert_eq!(get(&env, config, tls()).await.expect("an answer"), "GET /\n");
            }
        }
    });
}

#[test]
fn a_version_below_the_lowest_is_not_spoken() {
    under_block_on(|env| async move {
        let authority = Authority::new("ours");
        let pair = authority.server(NAMES);
        let old = || server_config_of(&pair, &[&TLS12]);
        let modern = trust(&authority).min_version(TlsVersion::Tls13);
        assert_refused(get(&env, old(), modern.clone()).await, &["version", "min_version"]);
        assert!(get(&env, old(), trust(&authority)).await.is_ok());
        assert!(get(&env, server_config_of(&pair, &[&TLS13]), modern).await.is_ok());
    });
}

/// A server that wants a certificate of a client, signed by `authority`.
pub(crate) fn mutual(
    pair: &Pair,
    authority: &Authority,
    versions: &[&'static SupportedProtocolVersion],
) -> Arc<ServerConfig> {
    let mut roots = RootCertStore::empty();
    roots.add(authority.der().into()).expect("a root");
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider());
    let builder = ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(versions)
        .expect("versions that fit")
        .with_client_cert_verifier(verifier.build().expect("a verifier"));
    let config = builder.with_single_cert(pair.certificates(), pair.private_key());
    Arc::new(config.expect("a pair that fits"))
}

#[test]
fn a_client_certificate_is_shown_and_its_lack_or_refusal_is_told() {
    for_each_runtime(|env| async move {
        let (authority, clients) = (Authority::new("ours"), Authority::new("of clients"));
        let pair = authority.server(NAMES);
        let with = |pair: Pair| trust(&authority).client_certificate(pair.chain, pair.key);
        for versions in [&[&TLS12], &[&TLS13]] {
            let config = || mutual(&pair, &clients, versions);
            let text = get(&env, config(), with(clients.client("me"))).await.expect("an answer");
            assert_eq!(text, "GET /\n");
            // Of TLS 1.3 the client's side ends before the server has seen a certificate: then the
            // refusal comes in the place of an answer.
            let stranger = Authority::new("of strangers").client("me");
            for (tls, word) in [
                (trust(&authority), "TlsConfig::client_certificate"),
                (with(stranger), "refused the client certificate"),
            ] {
                let error = get(&env, config(), tls).await.expect_err("it is refused");
                assert!(error.is_tls(), "{}: {error:?}", env.name);
                assert!(error.to_string().contains(word), "{}: {error:?}", env.name);
            }
        }
    });
}

#[test]
fn settings_that_cannot_work_are_refused_as_the_pool_is_built() {
    let authority = Authority::new("ours");
    let pair = authority.client("me");
    let other = authority.client("another");
    let encrypted =
        "-----BEGIN ENCRYPTED PRIVATE KEY-----\nMA==\n-----END ENCRYPTED PRIVATE KEY-----";
    let own = || TlsConfig::new().root_certificate(authority.pem());
    let rows = [
        (TlsConfig::new().only_own_roots(), "tls.only_own_roots"),
        (TlsConfig::new().root_certificate("no certificate"), "tls.root_certificate"),
        (TlsConfig::new().root_certificate(&pair.key), "holds no certificate"),
        (TlsConfig::new().root_certificate([0x30, 1, 2]), "tls.root_certificate"),
        (own().client_certificate(&pair.chain, &other.key), "does not belong"),
        (own().client_certificate(&pair.chain, &pair.chain), "holds no private key"),
        (own().client_certificate(&pair.key, &pair.key), "holds no certificate"),
        (own().client_certificate(&pair.chain, "junk"), "neither PEM nor DER"),
        (own().client_certificate(&pair.chain, encrypted), "encrypted"),
    ];
    for (tls, word) in rows {
        // For the pool, even if no server needs it yet; and for one server.
        let of_pool = Pool::builder().tls(tls.clone()).build().expect_err(word);
        let server = Server::new("https://localhost").unwrap().tls(tls);
        let of_server = Pool::builder().server(server).build().expect_err(word);
        for error in [of_pool, of_server] {
            assert_eq!(error.kind(), ErrorKind::Config, "{error:?}");
            assert!(error.to_string().contains(word), "{word:?} is not in {error}");
        }
    }
    let plain = Server::new("http://localhost").unwrap().tls(TlsConfig::new());
    let error = Pool::builder().server(plain).build().expect_err("TLS without https");
    assert!(error.to_string().contains("https://"), "{error}");
    let odd = Server::new("https://a_b-.example").unwrap();
    let error = Pool::builder().server(odd).build().expect_err("a name of no certificate");
    assert!(error.to_string().contains("tls.server_name"), "{error}");
}

#[test]
fn a_key_is_not_shown() {
    let pair = Authority::new("ours").client("me");
    let tls = TlsConfig::new().client_certificate(&pair.chain, &pair.key);
    let server = Server::new("https://localhost").unwrap().tls(tls.clone());
    let pool = Pool::builder().server(server.clone()).tls(tls.clone());
    let inside: String = pair.key.lines().nth(1).unwrap().chars().take(20).collect();
    for text in [format!("{tls:?}"), format!("{server:?}"), format!("{pool:?}")] {
        assert!(text.contains("client_certificate: true"), "{text}");
        assert!(!text.contains("PRIVATE") && !text.contains(&inside), "{text}");
    }
}
