//! Goal: new connections follow the addresses of a name, and old ones end in their own time.
//! Method: names that change, in virtual time.

use std::net::SocketAddr;
use std::time::Duration;

use evenkeel::rt::sim::Sim;
use evenkeel::{BoxFuture, Builder, Dialling, Error, ErrorKind, Pool, Resolve, Resolved};
use futures_lite::future::poll_once;

use crate::support::join::{Job, join_all};
use crate::support::sim::{BACKGROUNDS, MS, ONE, SECOND, TWO, builder, get, hold};
use crate::support::{SimServer, assert_balanced, parse};

const URL: &str = "http://api.test:8080";

fn of_name(sim: &Sim) -> Builder {
    builder(sim, &[]).server(parse(URL))
}

#[test]
fn new_dials_follow_a_name_and_old_connections_end_with_their_lifetime() {
    let sim = Sim::new();
    let (one, two) = (SimServer::start(&sim, ONE), SimServer::start(&sim, TWO));
    sim.net().name("api.test", &["10.0.0.1"]);
    let pool = of_name(&sim).max_lifetime(SECOND * 60).build().unwrap();
    sim.block_on(async {
        drop(hold(&pool, 2).await);
        sim.net().name("api.test", &["10.0.0.2"]);
        sim.sleep(SECOND * 6).await;
        // What is open goes on, and what is new follows.
        let held = hold(&pool, 3).await;
        assert_eq!((one.counts().open, two.counts().open), (2, 1));
        drop(held);
        // The old ones are at their end, and the new one is not yet.
        sim.sleep(SECOND * 54).await;
        drop(hold(&pool, 3).await);
        assert_eq!(one.counts().open, 0);
        assert_eq!(one.counts().opened, 2);
    });
    assert_balanced(&pool.metrics());
}

#[test]
fn connections_spread_over_the_addresses_of_a_name() {
    let sim = Sim::new();
    let (one, two) = (SimServer::start(&sim, ONE), SimServer::start(&sim, TWO));
    sim.net().name("api.test", &["10.0.0.1", "10.0.0.2"]);
    let pool = of_name(&sim).build().unwrap();
    let held = sim.block_on(hold(&pool, 10));
    assert_eq!((one.counts().open, two.counts().open), (5, 5));
    assert_eq!(sim.net().lookups("api.test"), 1);
    drop(held);
    assert_balanced(&pool.metrics());
}

#[test]
fn callers_who_come_at_once_make_one_look_up_whoever_goes() {
    for background in BACKGROUNDS {
        let sim = Sim::new();
        let server = SimServer::start(&sim, ONE);
        sim.net().name("api.test", &["10.0.0.1"]);
        sim.net().lookup_delay("api.test", SECOND);
        let dialling = Dialling::new().min_ttl(Duration::ZERO);
        let pool = background.build(&sim, of_name(&sim).dialling(dialling));
        sim.block_on(async {
            let mut first = Box::pin(get(&pool, "/"));
            assert!(poll_once(&mut first).await.is_none());
            let others: Vec<Job<Result<bool, Error>>> = (0..8)
                .map(|_| {
                    let pool = pool.clone();
                    Box::pin(async move { get(&pool, "/after/50").await }) as Job<_>
                })
                .collect();
            let others = join_all(others);
            let drop_first = async {
                sim.sleep(MS * 500).await;
                drop(first);
            };
            let (outcomes, ()) = futures_lite::future::zip(others, drop_first).await;
            assert!(outcomes.iter().all(Result::is_ok), "{outcomes:?}");
        });
        assert_eq!(sim.net().lookups("api.test"), 1, "{background:?}");
        assert_eq!(server.requests(), 8);
        assert_balanced(&pool.metrics());
    }
}

#[test]
fn a_family_that_leads_nowhere_delays_a_request_by_the_attempt_delay() {
    let sim = Sim::new();
    let _server = SimServer::start(&sim, ONE);
    sim.net().name("api.test", &["fd00::1", "10.0.0.1"]);
    sim.net().black_hole("[fd00::1]:8080");
    sim.net().latency(MS * 5);
    let pool = of_name(&sim).build().unwrap();
    let start = sim.now();
    sim.block_on(get(&pool, "/")).unwrap();
    // A round trip to connect, and one for the request.
    assert_eq!(sim.now() - start, MS * (250 + 10 + 10));
    assert_eq!(sim.net().counts("[fd00::1]:8080").connecting, 0);
    let metrics = pool.metrics();
    assert_eq!((metrics.connects, metrics.connections_created), (1, 1), "it is one dial");
    assert_balanced(&metrics);
}

#[test]
fn a_resolver_and_addresses_of_ones_own_are_used_by_every_server() {
    struct Fixed;
    impl Resolve for Fixed {
        fn resolve<'a>(
            &'a self,
            host: &'a str,
            port: u16,
        ) -> BoxFuture<'a, std::io::Result<Resolved>> {
            assert_eq!(host, "api.test", "the other one was set");
            Box::pin(
                async move { Ok([SocketAddr::from(([10, 0, 0, 1], port))].into_iter().collect()) },
            )
        }
    }
    let sim = Sim::new();
    let (one, two) = (SimServer::start(&sim, ONE), SimServer::start(&sim, TWO));
    let pool = of_name(&sim)
        .server(parse("http://OTHER.test"))
        .resolver(Fixed)
        .resolve("Other.TEST", [TWO.parse().unwrap()])
        .build()
        .unwrap();
    sim.block_on(async {
        get(&pool, "/").await.unwrap();
        get(&pool, "/").await.unwrap();
    });
    assert_eq!((one.requests(), two.requests()), (1, 1));
    let refused = |host: &str| Pool::builder().resolve(host, []).build().unwrap_err();
    for host in ["", "api.test"] {
        let error = refused(host);
        assert_eq!(error.kind(), ErrorKind::Config);
        assert!(error.to_string().contains("at least one address"), "{error}");
    }
}

#[test]
fn a_shutdown_ends_a_look_up_that_nobody_waits_for() {
    let sim = Sim::new();
    let (held, gone) = smol::channel::bounded::<()>(1);
    struct Never(smol::channel::Sender<()>);
    impl Resolve for Never {
        fn resolve<'a>(&'a self, _: &'a str, _: u16) -> BoxFuture<'a, std::io::Result<Resolved>> {
            let held = self.0.clone();
            Box::pin(async move {
                let _held = held;
                std::future::pending().await
            })
        }
    }
    let resolver = Never(held);
    let pool = of_name(&sim).resolver(resolver).build().unwrap();
    sim.block_on(async {
        assert!(poll_once(Box::pin(get(&pool, "/"))).await.is_none());
        assert_eq!(gone.sender_count(), 2, "the look-up waits for the next who comes");
        pool.shutdown(SECOND).await;
        assert_eq!(gone.sender_count(), 1);
    });
    assert_balanced(&pool.metrics());
}
