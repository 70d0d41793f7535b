//! Goal: a request that is dropped, at whichever of its awaits, leaves nothing behind. Method: each
//! scenario is run again and again in virtual time, and dropped one poll later each time, until it
//! comes to its end; after each run the whole pool is looked at.

use std::future::poll_fn;
use std::task::Poll;
use std::time::Duration;

use evenkeel::rt::sim::Sim;
use evenkeel::{Body, Dialling, Error, Pool, Retry, Select};
use http::{Method, Request};

use crate::support::sim::{
    BACKGROUNDS, Background, MS, ONE, PAST_DIAL_GRACE, SECOND, TWO, builder, get, hold, info,
    open_traps, request,
};
use crate::support::{SimServer, assert_balanced, parse};

/// Connections per server.
const LIMIT: usize = 2;

/// Addresses that lead nowhere.
const HOLES: [&str; 2] = ["[fd00::1]:8080", "[fd00::2]:8080"];

/// More polls than any scenario takes.
const ENDLESS: usize = 500;

/// What the request is held up by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Resolve,
    Connect,
    /// Two of three addresses lead nowhere.
    Race,
    /// Another server takes the request, once the first turns out to be a black hole.
    Failover,
    /// A connection comes back while another is being opened.
    Handover,
    /// Both connections are on loan, and are given back.
    Queue,
    /// Both connections are on loan, and are closed.
    QueueForPermit,
    /// A body that is larger than what the server reads.
    Write,
    /// A body that waits for leave.
    Leave,
    Head,
    Body,
    /// Two connections that were idle give no answer.
    Retry,
    /// The only server answers badly, and is asked again after a pause.
    Pause,
}

const STAGES: &[Stage] = &[
    Stage::Resolve,
    Stage::Connect,
    Stage::Race,
    Stage::Failover,
    Stage::Handover,
    Stage::Queue,
    Stage::QueueForPermit,
    Stage::Write,
    Stage::Leave,
    Stage::Head,
    Stage::Body,
    Stage::Retry,
    Stage::Pause,
];

/// How the request is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    Send,
    Checkout,
}

/// When the future is dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Moment {
    /// As soon as it has been pending once more.
    Pending,
    /// When it has been woken, and would be polled once more.
    Woken,
}

struct World {
    sim: Sim,
    one: SimServer,
    two: SimServer,
    pool: Pool,
}

impl World {
    fn new(stage: Stage, background: Background) -> Self {
        let sim = Sim::new();
        let (one, two) = (SimServer::start(&sim, ONE), SimServer::start(&sim, TWO));
        sim.net().name("api.test", &["10.0.0.1"]);
        sim.net().latency(MS);
        // Small enough that writing and reading take many polls.
        sim.net().capacity(4000);
        let second: &[&SimServer] = if stage == Stage::Failover { &[&two] } else { &[] };
        let builder = builder(&sim, second).server(parse("http://api.test:8080"));
        let builder = builder.max_connections_per_server(LIMIT).connect_timeout(SECOND * 4);
        // Each dial looks the name up.
        let builder = builder.dialling(Dialling::new().min_ttl(Duration::ZERO));
        let builder = builder.retry(Retry::new().on_status([503]).backoff(SECOND, SECOND));
        let pool = background.build(&sim, builder);
        Self { sim, one, two, pool }
    }

    /// Sees to it that the next request is held up.
    async fn prepare(&self, stage: Stage) {
        let net = self.sim.net();
        match stage {
            Stage::Resolve => {
                self.pool.close_idle();
                net.lookup_delay("api.test", SECOND);
            }
            Stage::Connect => {
                self.pool.close_idle();
                net.connect_delay(ONE, SECOND);
            }
            Stage::Race => {
                self.pool.close_idle();
                net.name("api.test", &["fd00::1", "10.0.0.1", "fd00::2"]);
                HOLES.iter().for_each(|hole| net.black_hole(hole));
                net.connect_delay(ONE, SECOND);
            }
            Stage::Failover => {
                // After a turn of the first it is the second's.
                while info(&self.pool.get("/").await.expect("it answers")).url.ends_with(TWO) {}
                self.pool.close_idle();
                net.connect_delay(ONE, SECOND);
                net.black_hole(TWO);
            }
            Stage::Handover => {
                self.pool.close_idle();
                self.give_back_later(1, false).await;
                net.connect_delay(ONE, SECOND * 3);
            }
            Stage::Queue => self.give_back_later(LIMIT, false).await,
            Stage::QueueForPermit => {
                self.give_back_later(LIMIT, true).await;
                net.connect_delay(ONE, SECOND);
            }
            Stage::Retry => {
                self.pool.close_idle();
                open_traps(&self.pool, LIMIT).await;
            }
            Stage::Write | Stage::Leave | Stage::Head | Stage::Body | Stage::Pause => {}
        }
    }

    /// Borrows so many connections, and gives them back, or closes them, after a second.
    async fn give_back_later(&self, count: usize, discard: bool) {
        let held = hold(&self.pool, count).await;
        let sim = self.sim.clone();
        self.sim.spawn(async move {
            sim.sleep(SECOND).await;
            for checkout in held {
                if discard {
                    checkout.discard();
                }
            }
        });
    }

    /// Whether the request is where it is meant to be dropped.
    fn is_at(&self, stage: Stage, moment: Moment) -> bool {
        let metrics = self.pool.metrics();
        let sending: u64 = self.pool.server_stats().iter().map(|stats| stats.in_flight).sum();
        match stage {
            Stage::Resolve => metrics.connecting == 1 && self.one.counts().connecting == 0,
            Stage::Connect => self.one.counts().connecting == 1,
            Stage::Race => {
                let raced = HOLES.map(|hole| self.sim.net().counts(hole).connecting);
                raced == [1, 1] && self.one.counts().connecting == 1
            }
            Stage::Failover => self.two.counts().connecting == 1,
            Stage::Handover => metrics.connecting == 1 && metrics.active_connections == 1,
            Stage::Queue | Stage::QueueForPermit => match moment {
                Moment::Pending => metrics.waiting == 1,
                // It has been granted what it waits for, and does not know.
                Moment::Woken => metrics.active_connections == 1 && sending == 0,
            },
            Stage::Write | Stage::Leave | Stage::Head | Stage::Body => sending == 1,
            Stage::Retry => metrics.destroyed.broken > 0,
            Stage::Pause => metrics.retries > 0 && metrics.active_connections == 0,
        }
    }

    /// As if nothing had happened: no socket, no permit, no place, no task is missing or left.
    async fn assert_whole(&self, what: &str) {
        let (sim, pool, net) = (&self.sim, &self.pool, self.sim.net());
        // A dial that is left to the driver may go on for its grace.
        sim.sleep(PAST_DIAL_GRACE).await;
        sim.settle().await;
        net.heal(ONE);
        net.heal(TWO);
        net.lookup_delay("api.test", Duration::ZERO);
        net.name("api.test", &["10.0.0.1"]);
        for hole in HOLES {
            assert_eq!(net.counts(hole).connecting, 0, "{what}: a loser is left");
        }
        self.assert_books(what);
        let permits = pool.metrics().total_connections;
        assert!(permits <= 2 * LIMIT as u64, "{what}: {permits}");
        let only = pool.server_stats().into_iter().find(|stats| stats.url.contains("api.test"));
        let only = Select::new().server(only.expect("it is in the pool").id);
        let mut held = Vec::new();
        for _ in 0..LIMIT {
            let start = sim.now();
            held.push(pool.checkout(only.clone()).await.expect("a permit is lost"));
            assert!(sim.now() - start <= MS * 2, "{what}: somebody had it");
        }
        drop(held);
        get(pool, "/").await.unwrap_or_else(|error| panic!("{what}: {error:?}"));
        sim.settle().await;
        self.assert_books(what);
    }

    fn assert_books(&self, what: &str) {
        let metrics = self.pool.metrics();
        assert_balanced(&metrics);
        let ended = metrics.connections_created + metrics.connect_errors;
        assert_eq!(metrics.connects, ended + metrics.connects_cancelled, "{what}: {metrics:?}");
        let counts = [self.one.counts(), self.two.counts()];
        let open: usize = counts.iter().map(|counts| counts.open).sum();
        assert_eq!(open as u64, metrics.idle_connections, "{what}: a socket leaks");
        assert!(counts.iter().all(|counts| counts.connecting == 0), "{what}: a dial is left");
        assert!(counts.iter().all(|counts| counts.peak <= LIMIT), "{what}: {counts:?}");
        let tasks = self.sim.tasks() - self.one.tasks() - self.two.tasks();
        assert_eq!(tasks, usize::from(metrics.background), "{what}: a task is left");
        for stats in self.pool.server_stats() {
            assert_eq!((stats.in_flight, stats.waiting, stats.connecting), (0, 0, 0), "{what}");
            let ended = stats.successful_requests + stats.failed_requests;
            assert_eq!(stats.total_requests, ended + stats.cancelled_requests, "{what}");
            assert_eq!(stats.open, stats.idle, "{what}: {stats:?}");
            let closed = stats.connections_destroyed;
            assert_eq!(stats.connections_created, stats.open + closed, "{what}: {stats:?}");
        }
    }
}

/// The request that is dropped.
async fn operation(pool: &Pool, stage: Stage, way: Way) -> Result<(), Error> {
    let request = match stage {
        Stage::Write => {
            let body = Body::from(vec![b'x'; 100_000]);
            Request::put("/deaf/1000").body(body).expect("a valid request")
        }
        Stage::Leave => {
            let request = Request::put("/leave/500").header("expect", "100-continue");
            request.body(Body::from(vec![b'x'; 10_000])).expect("a valid request")
        }
        Stage::Head => request(Method::GET, "/after/1000"),
        Stage::Body => request(Method::GET, "/trickle/5/200"),
        Stage::Pause => request(Method::GET, "/status/503"),
        _ => request(Method::GET, "/b/10000"),
    };
    match way {
        Way::Send => pool.send(request).await?.into_body().bytes().await.map(drop),
        Way::Checkout => {
            let mut checkout = pool.checkout(Select::new()).await?;
            checkout.send(request).await?.into_body().bytes().await.map(drop)
        }
    }
}

/// Polls `operation` and drops it at the given moment, after a last look. Whether it had come to
/// its end before.
async fn drop_at(
    polls: usize,
    moment: Moment,
    operation: impl Future<Output = Result<(), Error>>,
    look: impl FnOnce(),
) -> bool {
    let mut operation = Box::pin(operation);
    let mut pending = 0;
    let ended = poll_fn(|cx| {
        if moment == Moment::Woken && pending == polls {
            return Poll::Ready(false);
        }
        if let Poll::Ready(outcome) = operation.as_mut().poll(cx) {
            outcome.expect("nothing fails but by being dropped");
            return Poll::Ready(true);
        }
        pending += 1;
        if moment == Moment::Pending && pending > polls {
            return Poll::Ready(false);
        }
        Poll::Pending
    })
    .await;
    if !ended {
        look();
    }
    ended
}

/// Drops the scenario's request at each of its polls, in a world of its own each time or in one
/// that has gone through all the drops before.
fn drop_everywhere(stage: Stage, way: Way, background: Background, moment: Moment, again: bool) {
    let mut kept = None;
    let mut there = 0;
    for polls in 0..ENDLESS {
        let what = format!("{stage:?} {way:?} {background:?} {moment:?} {polls} {again}");
        let world = kept.take().unwrap_or_else(|| World::new(stage, background));
        let ended = world.sim.block_on(async {
            world.prepare(stage).await;
            let operation = operation(&world.pool, stage, way);
            let look = || there += usize::from(world.is_at(stage, moment));
            let ended = drop_at(polls, moment, operation, look).await;
            world.assert_whole(&what).await;
            ended
        });
        if ended {
            assert!(there > 0, "{what}: it was never dropped where it was meant to be");
            return;
        }
        kept = again.then_some(world);
    }
    panic!("{stage:?} never ends");
}

fn for_all(way: Way, moment: Moment) {
    for &stage in STAGES {
        // A checkout leaves the retry to its holder.
        if matches!(stage, Stage::Retry | Stage::Pause) && way == Way::Checkout {
            continue;
        }
        for background in BACKGROUNDS {
            for again in [false, true] {
                drop_everywhere(stage, way, background, moment, again);
            }
        }
    }
}

#[test]
fn a_request_dropped_while_it_waits_leaves_nothing_behind() {
    for_all(Way::Send, Moment::Pending);
}

#[test]
fn a_request_dropped_when_it_has_been_woken_leaves_nothing_behind() {
    for_all(Way::Send, Moment::Woken);
}

#[test]
fn a_checkout_dropped_while_it_waits_leaves_nothing_behind() {
    for_all(Way::Checkout, Moment::Pending);
}

#[test]
fn a_checkout_dropped_when_it_has_been_woken_leaves_nothing_behind() {
    for_all(Way::Checkout, Moment::Woken);
}
