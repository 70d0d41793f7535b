//! Goal: whatever callers, servers and the network do at the same time, every call ends in time,
//! no limit is passed, and nothing is lost. Method: seeded turmoil in virtual time.

use std::env;
use std::future::poll_fn;
use std::ops::Range;
use std::task::Poll;
use std::time::Duration;

use evenkeel::rt::sim::Sim;
use evenkeel::{
    Body, Error, ErrorKind, Metrics, Pool, Retry, RetryBudget, Select, Server, Strategy,
};
use fastrand::Rng;
use http::{Method, Request};

use crate::support::join::{Job, join_all};
use crate::support::sim::{
    BACKGROUNDS, Background, MS, ONE, PAST_DIAL_GRACE, SECOND, TWO, builder, id_at, request, wished,
};
use crate::support::{SimServer, assert_balanced, parse};

/// Which seeds are tried, unless `SIM_SEEDS` says otherwise, as in `SIM_SEEDS=1000..11000`.
const SEEDS: Range<u64> = 0..100;
const CALLERS: usize = 12;
const CALLS: usize = 30;
const PER_SERVER: usize = 4;
const TOTAL: usize = 6;
const WAITERS: usize = 6;
/// Urgent calls at once.
const STORM: usize = 10;
/// The highest that the limits are set to meanwhile.
const MOST_PER_SERVER: usize = 7;
const MOST_IN_TOTAL: usize = 9;

/// The paths of well-behaved and ill-behaved answers.
const PATHS: [&str; 16] = [
    "/",
    "/",
    "/",
    "/b/20000",
    "/b/200000",
    "/after/3",
    "/after/300",
    "/trickle/3/7",
    "/close",
    "/last",
    "/fin/2",
    "/extra",
    "/drop",
    "/drop-next",
    "/late-next",
    "/status/503",
];

/// One call, of a random kind. An error is an honest end too.
async fn call(pool: &Pool, rng: &mut Rng) -> Result<(), Error> {
    let path = PATHS[rng.usize(..PATHS.len())];
    let mut select = Select::new().priority(rng.u8(..8));
    if rng.bool() {
        select = select.client_id(format!("client {}", rng.u8(..5)));
    }
    match rng.u8(..8) {
        0 => drop(pool.get(path).await?),
        1 => {
            let body = Body::from(vec![b'x'; rng.usize(..100_000)]);
            let post = Request::post("/deaf/5").body(body).expect("a valid request");
            pool.send(post).await?.into_body().bytes().await?;
        }
        2 => {
            let hurried = wished(path, select.timeout(MS * rng.u32(1..400)));
            let whole = async { pool.send(hurried).await?.into_body().bytes().await };
            match whole.await {
                Err(error) if error.is_timeout() => {}
                ended => drop(ended?),
            }
        }
        3 => {
            let mut checkout = pool.checkout(select).await?;
            for _ in 0..rng.u8(..3) {
                let response = checkout.send(request(Method::GET, path)).await?;
                response.into_body().bytes().await?;
            }
            if rng.bool() {
                checkout.discard();
            }
        }
        4 => drop(pool.try_checkout(&select)),
        _ => {
            pool.send(wished(path, select)).await?.into_body().bytes().await?;
        }
    }
    Ok(())
}

/// Polls the call at most so often, and then drops it.
async fn at_most(polls: usize, call: impl Future<Output = Result<(), Error>>) -> Result<(), Error> {
    let mut call = Box::pin(call);
    let mut pending = 0;
    poll_fn(|cx| match call.as_mut().poll(cx) {
        Poll::Pending if pending < polls => {
            pending += 1;
            Poll::Pending
        }
        Poll::Pending => Poll::Ready(Ok(())),
        ended => ended,
    })
    .await
}

/// Polls the call so often, then not at all for a while, whoever wakes it, and then to its end.
async fn stalling(
    sim: &Sim,
    polls: usize,
    pause: Duration,
    call: impl Future<Output = Result<(), Error>>,
) -> Result<(), Error> {
    let mut call = Box::pin(call);
    let mut left = polls;
    let ended = poll_fn(|cx| match call.as_mut().poll(cx) {
        Poll::Pending if left > 0 => {
            left -= 1;
            Poll::Pending
        }
        Poll::Pending => Poll::Ready(None),
        Poll::Ready(ended) => Poll::Ready(Some(ended)),
    })
    .await;
    if let Some(ended) = ended {
        return ended;
    }
    sim.sleep(pause).await;
    call.await
}

/// Many urgent calls at once: each is answered, or turned away.
async fn storm(pool: &Pool) {
    let urgent = |_| {
        let pool = pool.clone();
        Box::pin(async move {
            match pool.send(wished("/", Select::new().priority(7))).await {
                Ok(response) => response.into_body().bytes().await.map(drop),
                Err(error) => Err(error),
            }
        }) as Job<Result<(), Error>>
    };
    for ended in join_all((0..STORM).map(urgent).collect()).await {
        ended.unwrap_or_else(|error| assert_honest(&error));
    }
}

fn assert_honest(error: &Error) {
    assert_ne!(error.kind(), ErrorKind::Closed, "{error:?}");
    assert_ne!(error.kind(), ErrorKind::Protocol, "{error:?}");
    // Each answer comes soon: one who waits for 30 s has been forgotten.
    assert!(!error.is_timeout() || error.is_connect(), "{error:?}");
}

async fn caller(sim: Sim, pool: Pool, seed: u64) {
    let mut rng = Rng::with_seed(seed);
    for _ in 0..CALLS {
        let polls = if rng.u8(..4) == 0 { rng.usize(..12) } else { usize::MAX };
        let start = sim.now();
        let stall = (rng.u8(..4) == 0).then(|| (rng.usize(..6), MS * rng.u32(1..400)));
        let one = at_most(polls, call(&pool, &mut rng));
        let ended = match stall {
            Some((polls, pause)) => stalling(&sim, polls, pause, one).await,
            None => one.await,
        };
        ended.unwrap_or_else(|error| assert_honest(&error));
        if rng.u8(..20) == 0 {
            storm(&pool).await;
        }
        assert!(sim.now() - start <= SECOND * 30, "a call takes too long");
        let metrics = pool.metrics();
        assert!(metrics.total_connections <= MOST_IN_TOTAL as u64, "{metrics:?}");
        assert!(metrics.waiting <= (2 * (WAITERS + MOST_PER_SERVER)) as u64, "{metrics:?}");
        if rng.u8(..3) == 0 {
            sim.sleep(MS * rng.u32(..50)).await;
        }
    }
}

/// Makes servers and the network misbehave for a while, and heals them in the end.
async fn turmoil(sim: &Sim, pool: &Pool, one: &mut SimServer, two: &SimServer, seed: u64) {
    let mut rng = Rng::with_seed(seed);
    for _ in 0..50 {
        sim.sleep(MS * rng.u32(1..300)).await;
        match rng.u8(..8) {
            0 => pool.close_idle(),
            1 => {
                sim.net().black_hole(TWO);
                sim.sleep(MS * rng.u32(1..200)).await;
                sim.net().heal(TWO);
            }
            2 => {
                one.stop().await;
                sim.sleep(MS * rng.u32(1..200)).await;
                one.restart();
            }
            3 => {
                pool.remove_server(id_at(pool, two)).expect("it is there");
                sim.sleep(MS * rng.u32(1..100)).await;
                pool.add_server(some_terms(parse(&two.url()), &mut rng)).expect("it is open");
            }
            4 => sim.net().connect_delay(ONE, MS * rng.u32(..30)),
            7 => {
                pool.set_weight(id_at(pool, one), rng.u32(1..5)).expect("it is there");
                pool.explain(&Select::new().client_id("client 1"));
            }
            5 | 6 => {
                let mut limits = pool.limits();
                limits.max_connections_per_server = rng.usize(1..=MOST_PER_SERVER);
                limits.max_total_connections = rng.usize(1..=MOST_IN_TOTAL);
                limits.max_idle_connections = rng.usize(..6).max(floor(seed));
                limits.max_connecting = rng.usize(1..4);
                limits.max_waiters = rng.usize(..=WAITERS);
                pool.set_limits(limits).expect("they are valid");
            }
            _ => {}
        }
    }
    sim.net().heal(ONE);
    let mut limits = pool.limits();
    limits.max_connections_per_server = PER_SERVER;
    limits.max_total_connections = TOTAL;
    limits.max_idle_connections = TOTAL;
    limits.max_waiters = WAITERS;
    pool.set_limits(limits).expect("they are valid");
}

/// The server, perhaps with a limit of its own, and with some weight.
fn some_terms(server: Server, rng: &mut Rng) -> Server {
    let server = server.weight(rng.u32(1..5));
    if rng.bool() { server.max_connections(rng.usize(1..=3)) } else { server }
}

/// How many connections are kept open to each server.
fn floor(seed: u64) -> usize {
    (seed % 3) as usize / 2
}

/// What has happened by the end.
fn soak(seed: u64, background: Background) -> Metrics {
    fastrand::seed(seed);
    let sim = Sim::new();
    let (mut one, two) = (SimServer::start(&sim, ONE), SimServer::start(&sim, TWO));
    sim.net().latency(MS * (seed % 3) as u32);
    let builder = builder(&sim, &[&one, &two]).max_connections_per_server(PER_SERVER);
    let builder = builder.max_total_connections(TOTAL).max_connecting(2).max_idle_connections(4);
    let retry = Retry::new().on_status([503]).on_no_answer(true).max_attempts(5);
    let budget = RetryBudget::new().percent(5).per_second(1);
    let builder = builder.retry(retry).retry_budget(budget);
    let nth = usize::try_from(seed).expect("a small number");
    let strategy = Strategy::ALL[nth % Strategy::ALL.len()];
    let builder = builder.max_waiters(WAITERS).strategy(strategy).seed(seed);
    let builder = builder.connect_timeout(SECOND).idle_conn_timeout(MS * 200);
    let floor = if background.is_there() { floor(seed) } else { 0 };
    let pool = background.build(&sim, builder.min_idle(floor));
    let job = |n| Box::pin(caller(sim.clone(), pool.clone(), seed * 1000 + n as u64)) as Job<()>;
    let callers = join_all((0..CALLERS).map(job).collect());
    sim.block_on(async {
        let trouble = turmoil(&sim, &pool, &mut one, &two, seed);
        futures_lite::future::zip(callers, trouble).await;
        sim.sleep(PAST_DIAL_GRACE).await;
        sim.settle().await;
    });
    let metrics = pool.metrics();
    assert_balanced(&metrics);
    let ended = metrics.connections_created + metrics.connect_errors + metrics.connects_cancelled;
    assert_eq!(metrics.connects, ended, "{metrics:?}");
    assert_eq!((one.counts().open + two.counts().open) as u64, metrics.idle_connections);
    assert!(metrics.total_connections <= TOTAL as u64, "{metrics:?}");
    for server in pool.server_stats() {
        assert!(server.open <= PER_SERVER as u64, "{server:?}");
    }
    assert!(one.counts().peak <= MOST_PER_SERVER, "{:?}", one.counts());
    let report = sim.block_on(async {
        let start = sim.now();
        let report = pool.shutdown(SECOND).await;
        assert_eq!(sim.now(), start, "something holds it up: {:?}", pool.metrics());
        sim.settle().await;
        report
    });
    assert_eq!((report.completed, report.cut, report.waiters_failed), (0, 0, 0));
    assert_eq!(one.counts().open + two.counts().open, 0);
    assert_eq!(sim.tasks(), one.tasks() + two.tasks());
    metrics
}

fn seeds() -> Range<u64> {
    let Ok(given) = env::var("SIM_SEEDS") else {
        return SEEDS;
    };
    let parsed = given.split_once("..").and_then(|(from, to)| {
        Some(from.parse().ok()?..to.parse().ok()?).filter(|seeds| !seeds.is_empty())
    });
    parsed.unwrap_or_else(|| panic!("SIM_SEEDS is a range as in 1000..11000, not {given:?}"))
}

#[test]
fn every_call_ends_and_nothing_is_lost_in_any_turmoil() {
    let (mut in_line, mut again) = ((0, 0), (0, 0, 0));
    for seed in seeds() {
        for background in BACKGROUNDS {
            // Told only if it fails; then `SIM_SEEDS` brings it about again.
            println!("seed {seed}, {background:?}");
            let seen = soak(seed, background);
            in_line = (in_line.0 + seen.grants_reclaimed, in_line.1 + seen.shed);
            let (refused, stale) = (seen.retries_refused, seen.stale_retries);
            again = (again.0 + seen.retries, again.1 + refused, again.2 + stale);
        }
    }
    assert!(in_line.0 > 0 && in_line.1 > 0, "no turmoil in the line: {in_line:?}");
    assert!(again.0 > 0 && again.1 > 0 && again.2 > 0, "no turmoil of retries: {again:?}");
}
