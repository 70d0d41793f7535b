//! What is done to the pool meanwhile: servers leave and return, weights and limits change, and the
//! whole is shut down and built anew.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use evenkeel::{Error, Metrics, Pool, Runtime, Server, ServerId, Strategy};
use fastrand::Rng;
use smol::{Executor, Timer};

use crate::load::{LIMIT, Stage};
use crate::network::Site;

/// How long a pool lives before it is shut down and replaced.
const LIFE: Duration = Duration::from_secs(5);

/// A pool of all sites, as the dice would have it.
pub(crate) fn build(
    executor: &Arc<Executor<'static>>,
    sites: &[Arc<Site>],
    rng: &mut Rng,
) -> Result<(Pool, Vec<Option<ServerId>>), Error> {
    let strategy = rng.choice(Strategy::ALL).copied().unwrap_or_default();
    let pool = Pool::builder()
        .runtime(Runtime::smol(executor.clone()))
        .strategy(strategy)
        .max_connections_per_server(rng.usize(4..40))
        .max_total_connections(rng.usize(60..200))
        .max_idle_connections(rng.usize(20..200))
        .max_waiters(rng.usize(32..400))
        .idle_conn_timeout(Duration::from_millis(rng.u64(20..2_000)))
        .max_lifetime(Duration::from_millis(rng.u64(200..5_000)))
        .max_requests_per_connection(rng.u32(10..2_000))
        .connect_timeout(Duration::from_secs(1))
        .request_timeout(LIMIT)
        .seed(rng.u64(..))
        .build()?;
    let servers = sites.iter().map(|site| server(site, rng)).collect::<Result<Vec<_>, _>>()?;
    let ids = pool.add_servers(servers)?.into_iter().map(Some).collect();
    Ok((pool, ids))
}

fn server(site: &Site, rng: &mut Rng) -> Result<Server, Error> {
    Ok(Server::new(format!("http://{}", site.addr))?.weight(rng.u32(1..5)))
}

/// Stirs until it is over. The last pool is shut down, too.
pub(crate) async fn stir(
    executor: Arc<Executor<'static>>,
    stage: Arc<Stage>,
    sites: Vec<Arc<Site>>,
    mut ids: Vec<Option<ServerId>>,
    mut rng: Rng,
    end: Instant,
) -> Result<u32, Error> {
    let mut pools = 1;
    let mut born = now();
    while now() < end {
        Timer::after(Duration::from_millis(rng.u64(20..200))).await;
        let pool = stage.pool.with(|pool| pool.clone());
        if now() - born > LIFE {
            let (next, next_ids) = build(&executor, &sites, &mut rng)?;
            stage.pool.with(|pool| *pool = next);
            (ids, born, pools) = (next_ids, now(), pools + 1);
            bury(&stage, pool, Duration::from_millis(rng.u64(..500))).await;
            continue;
        }
        disturb(&pool, &sites, &mut ids, &mut rng).await?;
    }
    stage.over.store(true, Ordering::Relaxed);
    sites.iter().for_each(|site| site.set_down(false));
    let pool = stage.pool.with(|pool| pool.clone());
    bury(&stage, pool, LIMIT).await;
    Ok(pools)
}

async fn disturb(
    pool: &Pool,
    sites: &[Arc<Site>],
    ids: &mut [Option<ServerId>],
    rng: &mut Rng,
) -> Result<(), Error> {
    let at = rng.usize(..sites.len());
    match (rng.u32(..10), ids[at]) {
        (0..2, _) => {
            sites[at].set_down(true);
            Timer::after(Duration::from_millis(rng.u64(..300))).await;
            sites[at].set_down(false);
        }
        (2..4, Some(id)) if ids.iter().flatten().count() > 4 => {
            pool.remove_server(id)?;
            ids[at] = None;
        }
        (2..6, None) => ids[at] = Some(pool.add_server(server(&sites[at], rng)?)?),
        (4..6, Some(id)) => pool.set_weight(id, rng.u32(1..5))?,
        (6..9, _) => {
            let mut limits = pool.limits();
            limits.max_connections_per_server = rng.usize(2..40);
            limits.max_total_connections = rng.usize(20..200);
            limits.max_idle_connections = rng.usize(..200);
            limits.max_waiters = rng.usize(32..400);
            pool.set_limits(limits)?;
        }
        _ => {
            pool.close_idle_where(|_| rng.bool());
        }
    }
    Ok(())
}

/// Shuts a pool down, and looks at its books once the last caller has gone.
async fn bury(stage: &Stage, pool: Pool, grace: Duration) {
    let report = pool.shutdown(grace).await;
    let deadline = now() + LIMIT * 2;
    while pool.metrics().in_flight > 0 && now() < deadline {
        Timer::after(Duration::from_millis(5)).await;
    }
    let m = pool.metrics();
    if !is_balanced(&m) {
        stage.tally.complain(format!("the books do not balance after {report:?}: {m:?}"));
    }
}

fn is_balanced(m: &Metrics) -> bool {
    let rest = m.in_flight + m.waiting + m.connecting + m.active_connections + m.idle_connections;
    rest == 0
        && m.total_connections == 0
        && m.total_requests == m.successful_requests + m.failed_requests + m.cancelled_requests
        && m.connections_created == m.connections_destroyed
        && m.connects == m.connections_created + m.connect_errors + m.connects_cancelled
}

#[expect(clippy::disallowed_methods, reason = "the world around the pool has a clock of its own")]
pub(crate) fn now() -> Instant {
    Instant::now()
}
