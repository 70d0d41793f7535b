//! Weights, tiers, tags and wishes; servers that come and go; what `explain` says of it all.

use evenkeel::rt::sim::Sim;
use evenkeel::{
    Balancer, Builder, Candidates, Dialling, Ejection, ErrorKind, Exclusion, Pool, Select,
    ServerId, Strategy, Verdict,
};

use crate::support::sim::{ONE, SECOND, TWO, get, hold, id_at, whole, wished};
use crate::support::{SimServer, assert_balanced, parse};

const THREE: &str = "10.0.0.3:8080";

struct World {
    sim: Sim,
    servers: [SimServer; 3],
}

impl World {
    fn new() -> Self {
        let sim = Sim::new();
        let servers = [ONE, TWO, THREE].map(|address| SimServer::start(&sim, address));
        Self { sim, servers }
    }

    fn builder(&self) -> Builder {
        let builder = Pool::builder().runtime(self.sim.runtime_without_background()).seed(3);
        builder.ejection(Ejection::off())
    }

    /// The server as it is added.
    fn at(&self, index: usize) -> evenkeel::Server {
        parse(&self.servers[index].url())
    }

    fn requests(&self) -> [usize; 3] {
        [0, 1, 2].map(|index| self.servers[index].requests())
    }

    fn id(&self, pool: &Pool, index: usize) -> ServerId {
        id_at(pool, &self.servers[index])
    }
}

async fn gets(pool: &Pool, count: usize, select: &Select) {
    for _ in 0..count {
        let response = pool.send(wished("/", select.clone())).await.expect("an answer");
        whole(response).await.expect("all of it");
    }
}

#[test]
fn a_backup_is_used_when_no_other_server_may_be_picked() {
    for &strategy in Strategy::ALL {
        let mut world = World::new();
        let sim = world.sim.clone();
        sim.block_on(async {
            let builder = world.builder().strategy(strategy).server(world.at(0));
            let builder = builder.server(world.at(1)).server(world.at(2).backup());
            // Servers that come back are to be seen at once.
            let builder = builder.dialling(Dialling::new().failures_before_back_off(0));
            let pool = builder.build().unwrap();
            gets(&pool, 20, &Select::new()).await;
            assert_eq!(world.requests()[2], 0, "{strategy}");
            // Both fail this very request.
            world.servers[0].stop().await;
            world.servers[1].stop().await;
            pool.close_idle();
            gets(&pool, 5, &Select::new()).await;
            assert_eq!(world.requests()[2], 5, "{strategy}");
            world.servers[0].restart();
            world.servers[1].restart();
            for index in [0, 1] {
                pool.set_weight(world.id(&pool, index), 0).unwrap();
            }
            gets(&pool, 5, &Select::new()).await;
            assert_eq!(world.requests()[2], 10, "{strategy}");
            pool.set_weight(world.id(&pool, 0), 1).unwrap();
            gets(&pool, 5, &Select::new()).await;
            assert_eq!(world.requests()[2], 10, "{strategy}");
            assert_balanced(&pool.metrics());
        });
    }
}

#[test]
fn a_full_tier_is_waited_for() {
    let world = World::new();
    world.sim.block_on(async {
        let builder = world.builder().max_connections_per_server(1);
        let builder = builder.server(world.at(0)).server(world.at(1).priority_tier(9));
        let pool = builder.build().unwrap();
        let held = hold(&pool, 1).await;
        let waits = Verdict::Wait(world.id(&pool, 0));
        assert_eq!(pool.explain(&Select::new()).verdict, waits);
        let late = pool.checkout(Select::new().timeout(SECOND)).await.expect_err("it is full");
        assert!(late.is_timeout());
        drop(held);
    });
}

#[test]
fn a_required_tag_is_kept_and_a_preferred_one_if_it_can_be() {
    for &strategy in Strategy::ALL {
        let world = World::new();
        world.sim.block_on(async {
            let builder = world.builder().strategy(strategy).max_connections_per_server(2);
            let builder = builder.server(world.at(0)).server(world.at(1).tag("a").tag("b"));
            let pool = builder.server(world.at(2).tag("b")).build().unwrap();
            gets(&pool, 4, &Select::new().tag("a")).await;
            gets(&pool, 4, &Select::new().prefer_tag("a")).await;
            assert_eq!(world.requests(), [0, 8, 0], "{strategy}");
            gets(&pool, 10, &Select::new().tag("b")).await;
            assert_eq!(world.requests()[0], 0, "{strategy}");
            let a = || Select::new().tag("a").timeout(SECOND);
            let held = [pool.checkout(a()).await.unwrap(), pool.checkout(a()).await.unwrap()];
            assert!(pool.checkout(a()).await.expect_err("both are taken").is_timeout());
            let other = pool.checkout(Select::new().prefer_tag("a")).await.unwrap();
            assert_ne!(other.server_id(), world.id(&pool, 1), "{strategy}");
            drop((held, other));
            let error = pool.checkout(Select::new().tag("c")).await.expect_err("nobody has it");
            assert_eq!(error.kind(), ErrorKind::NoServers);
            assert!(error.to_string().contains("\"c\"") && error.is_retry_safe(), "{error}");
            get(&pool, "/").await.unwrap();
            assert_balanced(&pool.metrics());
        });
    }
}

#[test]
fn a_preferred_server_is_taken_if_it_has_something_and_an_excluded_one_never() {
    for &strategy in Strategy::ALL {
        let world = World::new();
        world.sim.block_on(async {
            let builder = world.builder().strategy(strategy).max_connections_per_server(1);
            let builder = builder.server(world.at(0)).server(world.at(1)).server(world.at(2));
            let pool = builder.build().unwrap();
            let [one, two, three] = [0, 1, 2].map(|index| world.id(&pool, index));
            gets(&pool, 5, &Select::new().prefer(two)).await;
            assert_eq!(world.requests(), [0, 5, 0], "{strategy}");
            let _held = pool.checkout(Select::new().prefer(two)).await.unwrap();
            gets(&pool, 5, &Select::new().prefer(two)).await;
            assert_eq!(world.requests()[1], 5, "{strategy}");
            gets(&pool, 5, &Select::new().exclude(one).exclude(two).client_id("x")).await;
            assert!(world.requests()[2] >= 5, "{strategy}");
            let none = Select::new().exclude(one).exclude(two).exclude(three);
            let error = pool.checkout(none).await.expect_err("nobody is left");
            assert_eq!(error.kind(), ErrorKind::NoServers);
            // A tag that is required is required of the preferred one, too.
            pool.add_server(world.at(0).tag("a")).unwrap();
            let tagged = pool.checkout(Select::new().prefer(three).tag("a")).await.unwrap();
            assert_eq!(tagged.server_id(), one);
            let both = Select::new().server(two).exclude(two);
            let error = pool.checkout(both).await.expect_err("a contradiction");
            assert_eq!(error.kind(), ErrorKind::NoServers);
        });
    }
}

#[test]
fn a_weight_of_zero_drains_and_a_new_weight_counts_at_once() {
    let world = World::new();
    world.sim.block_on(async {
        let builder = world.builder().strategy(Strategy::WeightedRoundRobin);
        let pool = builder.server(world.at(0)).server(world.at(1)).build().unwrap();
        let [one, two] = [0, 1].map(|index| world.id(&pool, index));
        gets(&pool, 4, &Select::new()).await;
        assert_eq!(world.requests(), [2, 2, 0]);
        let held = pool.checkout(Select::new().server(one)).await.unwrap();
        pool.set_weight(one, 0).unwrap();
        gets(&pool, 4, &Select::new()).await;
        assert_eq!(world.requests(), [2, 6, 0]);
        assert!(held.is_usable(), "what is on loan goes on");
        drop(held);
        // Who names it gets it.
        gets(&pool, 1, &Select::new().server(one)).await;
        assert_eq!(world.requests(), [3, 6, 0]);
        pool.set_weight(one, 3).unwrap();
        gets(&pool, 40, &Select::new()).await;
        assert_eq!(world.requests(), [33, 16, 0]);
        pool.set_weight(one, 0).unwrap();
        pool.set_weight(two, 0).unwrap();
        let error = get(&pool, "/").await.expect_err("nobody takes requests");
        assert_eq!(error.kind(), ErrorKind::NoServers);
        assert!(error.to_string().contains("weight 0"), "{error}");
        pool.remove_server(two).unwrap();
        assert_eq!(pool.set_weight(two, 1).expect_err("it is gone").kind(), ErrorKind::NotFound);
        assert_balanced(&pool.metrics());
    });
}

#[test]
fn a_server_that_is_added_again_keeps_its_id_and_takes_the_new_terms() {
    let world = World::new();
    world.sim.block_on(async {
        let pool = world.builder().server(world.at(0)).server(world.at(0)).build().unwrap();
        let id = world.id(&pool, 0);
        gets(&pool, 1, &Select::new()).await;
        let again = world.at(0).weight(5).tag("x").tag("a").tag("x").priority_tier(2);
        assert_eq!(pool.add_server(again).unwrap(), id);
        let upper = parse(&world.servers[0].url().replace("http", "HTTP")).weight(7).tag("y");
        assert_eq!(pool.add_server(upper).unwrap(), id);
        let stats = pool.server_stats();
        assert_eq!(stats.len(), 1);
        assert_eq!((stats[0].weight, stats[0].tier, stats[0].idle), (7, 0, 1));
        assert_eq!(stats[0].tags, ["y"]);
        let base = parse(&format!("{}/base", world.servers[0].url()));
        assert_ne!(pool.add_server(base).unwrap(), id, "another base path is another server");
    });
}

#[test]
fn a_server_that_comes_back_while_it_is_drained_is_a_new_one() {
    let world = World::new();
    world.sim.block_on(async {
        let pool = world.builder().server(world.at(0)).build().unwrap();
        let old = world.id(&pool, 0);
        let held = hold(&pool, 1).await;
        pool.remove_server(old).unwrap();
        let new = pool.add_server(world.at(0)).unwrap();
        assert_ne!(new, old);
        gets(&pool, 1, &Select::new()).await;
        assert_eq!(pool.checkout(Select::new()).await.unwrap().server_id(), new);
        let error = pool.checkout(Select::new().server(old)).await.expect_err("it is gone");
        assert_eq!(error.kind(), ErrorKind::NotFound);
        let stats = pool.metrics();
        assert_eq!((stats.total_connections, stats.active_connections), (2, 1));
        drop(held);
        let stats = pool.metrics();
        assert_eq!((stats.total_connections, stats.destroyed.shutdown), (1, 1));
        assert_balanced(&stats);
    });
}

#[test]
fn who_waits_for_a_server_that_is_removed_is_sent_to_another() {
    for &strategy in Strategy::ALL {
        let world = World::new();
        world.sim.block_on(async {
            let builder = world.builder().strategy(strategy).max_connections_per_server(1);
            let pool = builder.server(world.at(0)).build().unwrap();
            let _held = hold(&pool, 1).await;
            let first = world.id(&pool, 0);
            let waits = pool.checkout(Select::new().client_id("x"));
            let leaves = async {
                while pool.metrics().waiting == 0 {
                    futures_lite::future::yield_now().await;
                }
                let second = pool.add_server(world.at(1)).unwrap();
                pool.remove_server(first).unwrap();
                second
            };
            let (checkout, second) = futures_lite::future::zip(waits, leaves).await;
            assert_eq!(checkout.unwrap().server_id(), second, "{strategy}");
        });
    }
}

/// Picks as it is told.
struct Told(fn(&Candidates<'_>, &Select) -> Option<usize>);

impl Balancer for Told {
    fn pick(&self, candidates: &Candidates<'_>, select: &Select) -> Option<usize> {
        (self.0)(candidates, select)
    }
}

#[test]
fn a_balancer_of_ones_own_picks_and_is_heard_as_far_as_can_be() {
    let world = World::new();
    world.sim.block_on(async {
        let with = |told| {
            let builder = world.builder().balancer(Told(told)).max_connections_per_server(1);
            let builder = builder.server(world.at(0)).server(world.at(1).tag("a"));
            builder.server(world.at(2).weight(0)).build().unwrap()
        };
        let pool = with(|candidates, _| {
            assert_eq!((candidates.len(), candidates.is_empty()), (2, false));
            assert!(candidates.get(2).is_none());
            candidates.iter().position(|one| one.url().contains("10.0.0.2"))
        });
        gets(&pool, 4, &Select::new()).await;
        assert_eq!(world.requests(), [0, 4, 0]);
        let held = pool.checkout(Select::new()).await.unwrap();
        gets(&pool, 4, &Select::new()).await;
        assert_eq!(world.requests(), [4, 4, 0], "the one it wants is taken");
        drop(held);
        // No index, and one that is none: round robin.
        for told in
            [|_: &Candidates<'_>, _: &Select| None, |_: &Candidates<'_>, _: &Select| Some(9)]
        {
            let before = world.requests();
            gets(&with(told), 4, &Select::new()).await;
            assert_eq!(world.requests(), [before[0] + 2, before[1] + 2, 0]);
        }
        // What has been asked for is kept from it.
        let pool = with(|candidates, _| {
            assert_eq!(candidates.iter().map(|one| one.weight()).collect::<Vec<_>>(), [1]);
            Some(0)
        });
        let before = world.requests();
        gets(&pool, 2, &Select::new().tag("a")).await;
        gets(&pool, 2, &Select::new().exclude(world.id(&pool, 1))).await;
        assert_eq!(world.requests(), [before[0] + 2, before[1] + 2, 0]);
    });
}

#[test]
fn a_balancer_that_panics_holds_up_nobody_else() {
    use futures_lite::FutureExt;
    let world = World::new();
    world.sim.block_on(async {
        let told = |_: &Candidates<'_>, select: &Select| {
            assert!(*select == Select::new(), "wishes are too much for it");
            Some(0)
        };
        let pool = world.builder().balancer(Told(told)).server(world.at(0)).build().unwrap();
        let asks = pool.checkout(Select::new().priority(1));
        let panicked = std::panic::AssertUnwindSafe(asks).catch_unwind().await;
        assert!(panicked.is_err());
        gets(&pool, 3, &Select::new()).await;
        let id = world.id(&pool, 0);
        pool.set_weight(id, 2).unwrap();
        pool.remove_server(id).unwrap();
        assert_balanced(&pool.metrics());
    });
}

#[test]
fn explain_says_where_the_next_request_goes_and_changes_nothing() {
    for &strategy in Strategy::ALL {
        let world = World::new();
        world.sim.block_on(async {
            let builder = world.builder().strategy(strategy).max_connections_per_server(2);
            let builder = builder.server(world.at(0).weight(3).tag("a")).server(world.at(1));
            let pool = builder.server(world.at(2).weight(2).tag("a")).build().unwrap();
            let mut held = Vec::new();
            for step in 0..60_u32 {
                let select = match step % 4 {
                    0 => Select::new(),
                    1 => Select::new().client_id(format!("client-{step}")),
                    2 => Select::new().tag("a"),
                    _ => Select::new().prefer_tag("a").exclude(world.id(&pool, 0)),
                };
                let said = pool.explain(&select);
                assert_eq!(said, pool.explain(&select), "{strategy}: it changes nothing");
                let wanted = match said.verdict {
                    Verdict::Take(id) | Verdict::Connect(id) => id,
                    Verdict::Wait(_) => {
                        held.clear();
                        continue;
                    }
                    ref other => panic!("{strategy}: {other}"),
                };
                let reused = matches!(said.verdict, Verdict::Take(_));
                let checkout = pool.checkout(select).await.unwrap();
                assert_eq!(checkout.server_id(), wanted, "{strategy}, step {step}: {said}");
                assert_eq!(checkout.info().age > std::time::Duration::ZERO, reused);
                if step % 3 > 0 {
                    held.push(checkout);
                }
                world.sim.sleep(SECOND / 10).await;
            }
        });
    }
}

#[test]
fn explain_says_why_a_server_is_not_picked_from() {
    let world = World::new();
    world.sim.block_on(async {
        let pool = world.builder().strategy(Strategy::LeastConnections);
        let builder = pool.server(world.at(0)).server(world.at(1).weight(0).tag("a"));
        let pool = builder.server(world.at(2).backup()).build().unwrap();
        let [one, two, three] = [0, 1, 2].map(|index| world.id(&pool, index));
        let reasons = |select: Select| {
            let said = pool.explain(&select);
            [0, 1, 2].map(|index| said.servers[index].exclusion)
        };
        use Exclusion::{Drained, Excluded, NotNamed, Tier, Untagged};
        assert_eq!(reasons(Select::new()), [None, Some(Drained), Some(Tier)]);
        assert_eq!(reasons(Select::new().exclude(one)), [Some(Excluded), Some(Drained), None]);
        assert_eq!(reasons(Select::new().server(two)), [Some(NotNamed), None, Some(NotNamed)]);
        let tagged = [Some(Untagged), Some(Drained), Some(Untagged)];
        assert_eq!(reasons(Select::new().tag("a")), tagged);
        let said = pool.explain(&Select::new().tag("a"));
        assert!(said.choice().is_none() && said.to_string().contains("nowhere"), "{said}");
        let said = pool.explain(&Select::new().exclude(one)).to_string();
        for part in ["LeastConnections", "on a new connection", "weight 0", "excluded by"] {
            assert!(said.contains(part), "{part}: {said}");
        }
        let marked = said.lines().find(|line| line.starts_with('>')).unwrap();
        assert!(marked.contains(&three.to_string()) && marked.contains(&world.servers[2].url()));
    });
}
