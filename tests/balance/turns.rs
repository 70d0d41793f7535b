//! Goal: when one of n servers leaves or returns, the turns of the others stay even: no server gets
//! more than one turn that it would not have got. Method: requests one after another, in every
//! moment of a round, and threads that check out while servers come and go.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};

use evenkeel::{Builder, Pool, Select, Server, ServerId, Strategy};
use futures_lite::future::block_on;

use crate::memory;
use crate::secs;
use crate::station::{Fault, Plan};
use crate::world::{World, config, request};

/// What each server should have got, and what it has.
struct Turns<'a> {
    world: &'a World,
    ideal: Vec<f64>,
    changes: u32,
}

impl<'a> Turns<'a> {
    fn new(world: &'a World) -> Self {
        Self { world, ideal: vec![0.0; world.stations.len()], changes: 0 }
    }

    /// Sends so many requests, which those servers share who are there.
    async fn send(&mut self, count: usize, there: impl Fn(usize) -> bool) {
        let present: Vec<usize> = (0..self.ideal.len()).filter(|n| there(*n)).collect();
        for n in &present {
            self.ideal[*n] += count as f64 / present.len() as f64;
        }
        for _ in 0..count {
            assert!(request(&self.world.pools[0], None).await.expect("an answer"));
        }
        self.check();
    }

    /// A round that is not over yet makes a difference of less than one turn, and so may each
    /// round that a change has cut short.
    fn check(&self) {
        for (n, (station, ideal)) in self.world.stations.iter().zip(&self.ideal).enumerate() {
            let got = station.came(0, u64::MAX) as f64;
            let allowed = f64::from(1 + self.changes);
            let message = || format!("server {n} got {got} instead of {ideal:.2}");
            assert!((got - ideal).abs() < allowed, "{} after {} changes", message(), self.changes);
        }
    }
}

/// Every number of servers, every one that leaves, every moment of a round.
fn each_case(test: impl Fn(usize, usize, usize)) {
    for n in 2..=6 {
        for leaver in 0..n {
            for offset in 0..n {
                test(n, leaver, offset);
            }
        }
    }
}

#[test]
fn a_server_that_is_removed_and_added_again_skews_no_turn() {
    each_case(|n, leaver, offset| {
        let world = World::new(1, &vec![Plan::plain(); n], (1, n), config(Strategy::RoundRobin));
        let (pool, mut turns) = (&world.pools[0], Turns::new(&world));
        let id = pool.server_stats()[leaver].id;
        world.sim.block_on(async {
            turns.send(2 * n + offset, |_| true).await;
            pool.remove_server(id).expect("it is there");
            turns.changes += 1;
            turns.send(5 * n + offset, |n| n != leaver).await;
            pool.add_server(world.stations[leaver].server()).expect("the pool is open");
            turns.changes += 1;
            turns.send(7 * n, |_| true).await;
        });
    });
}

#[test]
fn a_server_that_refuses_for_a_while_skews_no_turn() {
    each_case(|n, leaver, offset| {
        let mut plans = vec![Plan::plain(); n];
        plans[leaver] = Plan::plain().fault(Fault::Down, 10, 20);
        let world = World::new(1, &plans, (1, n), config(Strategy::RoundRobin));
        let mut turns = Turns::new(&world);
        world.sim.block_on(async {
            turns.send(2 * n + offset, |_| true).await;
            world.until(secs(10)).await;
            turns.changes += 1;
            turns.send(5 * n + offset, |n| n != leaver).await;
            world.until(secs(20)).await;
            turns.changes += 1;
            turns.send(7 * n, |_| true).await;
        });
    });
}

#[test]
fn a_server_that_is_slow_to_connect_to_skews_no_other() {
    let world = World::new(1, &vec![Plan::plain(); 5], (1, 4), config(Strategy::RoundRobin));
    world.sim.block_on(async {
        world.load(1000.0, secs(1)).await;
        world.stations[4].connect_delay(secs(1));
        world.pools[0].add_server(world.stations[4].server()).expect("the pool is open");
        let before: Vec<u64> = came(&world);
        world.load(1000.0, secs(2)).await;
        let during: Vec<u64> = came(&world).iter().zip(before).map(|(a, b)| a - b).collect();
        let (least, most) = (during[..4].iter().min(), during[..4].iter().max());
        assert!(most.expect("four") - least.expect("four") <= 2, "{during:?}");
    });
}

fn came(world: &World) -> Vec<u64> {
    world.stations.iter().map(|station| station.came(0, u64::MAX)).collect()
}

/// How many threads check out at the same time.
const THREADS: usize = 4;

/// Threads that check out and give back, so often together; how often each server was given.
/// `change` is called before each turn, with its number.
fn check_out(
    pool: &Pool,
    turns: usize,
    change: impl Fn(usize) + Sync,
) -> BTreeMap<ServerId, usize> {
    let next = AtomicUsize::new(0);
    let worker = || {
        let mut given: BTreeMap<ServerId, usize> = BTreeMap::new();
        loop {
            let turn = next.fetch_add(1, Ordering::Relaxed);
            if turn >= turns {
                return given;
            }
            change(turn);
            let loan = block_on(pool.checkout(Select::new())).expect("a connection");
            *given.entry(loan.server_id()).or_default() += 1;
        }
    };
    let mut all: BTreeMap<ServerId, usize> = BTreeMap::new();
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..THREADS).map(|_| scope.spawn(worker)).collect();
        for worker in workers {
            for (id, count) in worker.join().expect("no panic") {
                *all.entry(id).or_default() += count;
            }
        }
    });
    all
}

/// Five servers of these weights.
fn servers(weights: [u32; 5]) -> impl Iterator<Item = Server> {
    let server = |(port, weight)| {
        Server::new(format!("http://127.0.0.1:{port}")).expect("a valid URL").weight(weight)
    };
    (1..).zip(weights).map(server)
}

/// A pool of them. A turn is passed on while another thread dials the server, which can be for long
/// if that thread is not running; so all dials are made before: each server has as many idle
/// connections as there are threads.
fn pool(strategy: Strategy, weights: [u32; 5]) -> Pool {
    let builder = Pool::builder().runtime(memory::runtime()).strategy(strategy);
    let pool = servers(weights).fold(builder, Builder::server).build().expect("a valid pool");
    let ids: Vec<ServerId> = pool.server_stats().iter().map(|stats| stats.id).collect();
    let dial =
        |id: &ServerId| block_on(pool.checkout(Select::new().server(*id))).expect("there is room");
    drop((0..THREADS).flat_map(|_| ids.iter().map(dial)).collect::<Vec<_>>());
    pool
}

#[test]
fn threads_take_each_server_exactly_as_often_as_is_its_due() {
    let rounds = 700;
    for (strategy, weights) in [
        (Strategy::RoundRobin, [1; 5]),
        (Strategy::WeightedRoundRobin, [1; 5]),
        (Strategy::WeightedRoundRobin, [3, 1, 5, 2, 4]),
    ] {
        let pool = pool(strategy, weights);
        let turns = weights.iter().sum::<u32>() as usize * rounds;
        let given: Vec<usize> = check_out(&pool, turns, |_| {}).into_values().collect();
        assert_eq!(given, weights.map(|weight| weight as usize * rounds), "{strategy}");
    }
}

#[test]
fn threads_are_skewed_by_a_change_by_no_more_than_a_turn_each() {
    const CHANGES: usize = 8;
    let pool = pool(Strategy::RoundRobin, [1; 5]);
    let fifth = servers([1; 5]).last().expect("there are five");
    let given = check_out(&pool, 10_000, |turn| {
        // It leaves and returns at odd moments of a round.
        if turn % 1117 == 1 && turn < CHANGES * 1117 {
            let stats = pool.server_stats();
            match stats.iter().find(|stats| fifth.url() == stats.url) {
                // Another thread, one change late, may have been faster.
                Some(there) => drop(pool.remove_server(there.id)),
                None => drop(pool.add_server(fifth.clone()).expect("the pool is open")),
            }
        }
    });
    // The four that were there all the time. At a change each thread may be in the middle of a turn
    // of the old set, which falls out of the round of the new one.
    let lasting: Vec<usize> = given.into_values().take(4).collect();
    let (least, most) = (lasting.iter().min(), lasting.iter().max());
    let spread = most.expect("four") - least.expect("four");
    assert!(spread <= 1 + CHANGES * THREADS, "{lasting:?}");
}
