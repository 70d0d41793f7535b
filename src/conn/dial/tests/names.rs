//! Goal: names are looked up as seldom as may be, one look-up at a time, and no answer is used
//! beyond its time. Method: a resolver in virtual time that counts.

use super::*;
use crate::rt::{Resolve, Resolved};

/// What the dials of a pool share.
struct World {
    sim: Sim,
    runtime: Runtime,
    names: Names,
    dialling: Dialling,
}

impl World {
    fn new(dialling: Dialling) -> Self {
        let sim = world(1);
        Self { runtime: sim.runtime(), sim, names: Names::new(Overrides::new()), dialling }
    }

    async fn resolve(&self, host: &str) -> Result<Vec<String>, String> {
        let found = self.names.resolve(&self.runtime, &self.dialling, host, 80).await;
        let found = found.map_err(|error| error.to_string())?;
        Ok(found.addrs.iter().map(|addr| addr.ip().to_string()).collect())
    }

    /// Resolves `api.test`, which has the address 10.0.0.1 at first.
    fn look(&self) -> Result<Vec<String>, String> {
        self.sim.block_on(self.resolve("api.test"))
    }

    fn lookups(&self) -> usize {
        self.sim.net().lookups("api.test")
    }
}

const MS: Duration = Duration::from_millis(1);
const SEC: Duration = Duration::from_secs(1);

#[test]
fn an_answer_is_used_until_its_time_is_up() {
    let terms = Dialling::new().min_ttl(5 * SEC).max_ttl(60 * SEC);
    let ttls = [(None, 5), (Some(SEC), 5), (Some(20 * SEC), 20), (Some(61 * SEC), 60)];
    for (ttl, lives) in ttls {
        let world = World::new(terms.clone());
        world.sim.net().name_ttl("api.test", ttl);
        assert_eq!(world.look().unwrap(), ["10.0.0.1"]);
        world.sim.net().name("api.test", &["10.0.0.2"]);
        world.sim.advance(lives * SEC - MS);
        assert_eq!((world.look().unwrap()[0].as_str(), world.lookups()), ("10.0.0.1", 1));
        world.sim.advance(MS);
        assert_eq!((world.look().unwrap()[0].as_str(), world.lookups()), ("10.0.0.2", 2));
    }
}

#[test]
fn without_a_ttl_each_dial_looks_up() {
    let world = World::new(Dialling::new().min_ttl(Duration::ZERO));
    for lookups in 1..4 {
        world.look().unwrap();
        assert_eq!(world.lookups(), lookups);
    }
}

#[test]
fn a_failure_is_the_answer_for_a_while() {
    let world = World::new(Dialling::new().negative_ttl(SEC));
    world.sim.net().forget("api.test");
    assert!(world.look().unwrap_err().contains("no such name"));
    world.sim.net().name("api.test", &["10.0.0.1"]);
    world.sim.advance(SEC - MS);
    assert!(world.look().unwrap_err().contains("no such name"));
    assert_eq!(world.lookups(), 1);
    world.sim.advance(MS);
    assert_eq!(world.look().unwrap(), ["10.0.0.1"]);
}

#[test]
fn old_addresses_are_used_if_the_name_cannot_be_looked_up() {
    let world = World::new(Dialling::new().min_ttl(5 * SEC).stale_ttl(10 * SEC));
    world.look().unwrap();
    for empty in [false, true] {
        if empty {
            world.sim.net().name("api.test", &[]);
        } else {
            world.sim.net().forget("api.test");
        }
        world.sim.advance(5 * SEC);
        assert_eq!(world.look().unwrap(), ["10.0.0.1"], "{empty}");
    }
    world.sim.advance(5 * SEC - MS);
    assert_eq!(world.look().unwrap(), ["10.0.0.1"]);
    world.sim.advance(MS);
    assert!(world.look().is_err(), "they are too old");
    world.sim.net().name("api.test", &["10.0.0.2"]);
    world.sim.advance(SEC);
    assert_eq!(world.look().unwrap(), ["10.0.0.2"]);
}

#[test]
fn many_who_ask_at_once_make_one_look_up() {
    for terms in [Dialling::new(), Dialling::new().min_ttl(Duration::ZERO)] {
        let world = World::new(terms);
        world.sim.net().lookup_delay("api.test", SEC);
        world.sim.block_on(async {
            let mut asking: Vec<_> = (0..10).map(|_| Box::pin(world.resolve("api.test"))).collect();
            for one in &mut asking {
                assert!(poll_once(one).await.is_none());
            }
            // The one who began it goes, and others with it.
            drop(asking.drain(..5));
            for one in asking {
                assert_eq!(one.await.unwrap(), ["10.0.0.1"]);
            }
        });
        assert_eq!(world.lookups(), 1);
    }
}

#[test]
fn all_who_asked_at_once_are_told_of_a_failure() {
    let world = World::new(Dialling::new().negative_ttl(Duration::ZERO));
    world.sim.net().lookup_delay("api.test", SEC);
    world.sim.net().forget("api.test");
    world.sim.block_on(async {
        let asking: Vec<_> = (0..3).map(|_| Box::pin(world.resolve("api.test"))).collect();
        let mut asking = asking;
        for one in &mut asking {
            assert!(poll_once(one).await.is_none());
        }
        for one in asking {
            assert!(one.await.unwrap_err().contains("no such name"));
        }
    });
    assert_eq!(world.lookups(), 1);
}

#[test]
fn a_look_up_that_all_have_left_serves_the_next_who_asks() {
    let world = World::new(Dialling::new());
    world.sim.net().lookup_delay("api.test", 8 * SEC);
    let start = world.sim.now();
    world.sim.block_on(async {
        assert!(poll_once(Box::pin(world.resolve("api.test"))).await.is_none());
        world.sim.sleep(6 * SEC).await;
        assert_eq!(world.resolve("api.test").await.unwrap(), ["10.0.0.1"]);
    });
    assert_eq!((world.lookups(), world.sim.now() - start), (1, 8 * SEC));
}

#[test]
fn a_look_up_that_ended_unheard_is_used_within_the_ttl_and_made_anew_after_it() {
    for (later, lookups) in [(5 * SEC, 1), (5 * SEC + MS, 2)] {
        let world = World::new(Dialling::new().min_ttl(5 * SEC));
        world.sim.net().lookup_delay("api.test", SEC);
        world.sim.block_on(async {
            assert!(poll_once(Box::pin(world.resolve("api.test"))).await.is_none());
            world.sim.sleep(later).await;
            assert_eq!(world.resolve("api.test").await.unwrap(), ["10.0.0.1"]);
        });
        assert_eq!(world.lookups(), lookups);
    }
}

#[test]
fn a_resolver_that_panics_holds_up_nobody() {
    struct Panics(Sim, std::sync::atomic::AtomicBool);
    impl Resolve for Panics {
        fn resolve<'a>(&'a self, host: &'a str, port: u16) -> BoxFuture<'a, io::Result<Resolved>> {
            Box::pin(async move {
                let first = !self.1.swap(true, std::sync::atomic::Ordering::Relaxed);
                assert!(!first, "the resolver is broken");
                Resolve::resolve(self.0.net(), host, port).await
            })
        }
    }
    let mut world = World::new(Dialling::new());
    let resolver = Panics(world.sim.clone(), false.into());
    world.runtime = world.sim.runtime().resolver(resolver);
    let unwound = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| world.look()));
    unwound.unwrap_err();
    assert_eq!(world.look().unwrap(), ["10.0.0.1"]);
}

#[test]
fn as_many_names_are_kept_as_may_be_and_one_more_forgets_the_oldest() {
    let mut world = World::new(Dialling::new().min_ttl(60 * SEC));
    world.names = Names::with_room(Overrides::new(), 3);
    let hosts = ["a.test", "b.test", "c.test", "d.test"];
    let ask = |host: &str| {
        world.sim.net().name(host, &["10.0.0.1"]);
        world.sim.block_on(world.resolve(host)).unwrap();
        world.sim.advance(SEC);
    };
    let lookups = || hosts.map(|host| world.sim.net().lookups(host));
    hosts[..3].iter().chain(&hosts[..3]).for_each(|host| ask(host));
    assert_eq!(lookups(), [1, 1, 1, 0]);
    ask("d.test");
    ask("b.test");
    ask("c.test");
    assert_eq!(lookups(), [1, 1, 1, 1]);
    ask("a.test");
    assert_eq!(lookups(), [2, 1, 1, 1], "it was the oldest");
}

#[test]
fn one_host_at_two_ports_is_two_names() {
    let world = World::new(Dialling::new());
    world.sim.block_on(async {
        for port in [80, 81] {
            let found = world.names.resolve(&world.runtime, &world.dialling, "api.test", port);
            assert_eq!(found.await.unwrap().addrs[0].port(), port);
        }
    });
}

#[test]
fn addresses_that_were_set_are_never_looked_up() {
    let mut world = World::new(Dialling::new());
    let addrs = ["10.0.0.7:0", "10.0.0.8:8080"].map(|addr| addr.parse().unwrap());
    world.names = Names::new([("api.test".to_owned(), addrs.to_vec())].into());
    world.sim.block_on(async {
        let found = world.names.resolve(&world.runtime, &world.dialling, "api.test", 80).await;
        let found: Vec<_> = found.unwrap().addrs.iter().map(ToString::to_string).collect();
        assert_eq!(found, ["10.0.0.7:80", "10.0.0.8:8080"]);
    });
    assert_eq!(world.lookups(), 0);
}

#[test]
fn dials_begin_at_each_address_in_turn_unless_told_otherwise() {
    for spread in [true, false] {
        let sim = world(3);
        let listeners = [FIRST, SECOND, THIRD].map(|addr| sim.net().listen(addr));
        let config = config_of(Dialling::new().spread(spread));
        let shared = shared(sim.runtime());
        let server = Server::new("http://api.test").unwrap();
        for _ in 0..6 {
            let setting = Setting::new(&shared, &config);
            let deadline = sim.now() + SEC;
            sim.block_on(dial(setting, &server, deadline)).unwrap();
        }
        let attempts =
            listeners.each_ref().map(|at| sim.net().counts(&at.addr().to_string()).attempts);
        assert_eq!(attempts, if spread { [2, 2, 2] } else { [6, 0, 0] });
    }
}
