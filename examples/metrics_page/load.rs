//! Requests that come at a rate which rises and falls, whatever becomes of those before.

#![expect(clippy::disallowed_methods, reason = "the example's own stopwatch")]

use std::cell::RefCell;
use std::collections::HashMap;
use std::mem;
use std::rc::Rc;
use std::time::{Duration, Instant};

use evenkeel::{Error, Pool, ResponseInfo, ServerId};
use smol::{LocalExecutor, Timer};

use crate::latency::Latency;

/// Requests a second, at the least and at the most, and how long it is from one most to the next.
const LEAST: f64 = 150.0;
const MOST: f64 = 600.0;
const SWELL: f64 = 24.0;

/// How long the answers of each server took, since they were taken away last.
#[derive(Clone, Default)]
pub(crate) struct Took(Rc<RefCell<HashMap<ServerId, Latency>>>);

impl Took {
    pub(crate) fn take(&self) -> HashMap<ServerId, Latency> {
        mem::take(&mut self.0.borrow_mut())
    }

    fn note(&self, server: ServerId, took: Duration) {
        self.0.borrow_mut().entry(server).or_default().record(took);
    }
}

/// Sends requests until it is dropped. No more are under way than the pool has connections and
/// places in line: it turns the others away at once.
pub(crate) async fn run(executor: &LocalExecutor<'_>, pool: &Pool, took: &Took) {
    let began = Instant::now();
    let mut due = Duration::ZERO;
    loop {
        let turn = (due.as_secs_f64() / SWELL).fract() * std::f64::consts::TAU;
        let rate = LEAST + (MOST - LEAST) * (0.5 - 0.5 * turn.cos());
        // The times between arrivals are those of a Poisson process.
        due += Duration::from_secs_f64(-(1.0 - fastrand::f64()).ln() / rate);
        Timer::at(began + due).await;
        let (pool, took) = (pool.clone(), took.clone());
        executor
            .spawn(async move {
                // What fails is in the pool's figures and events.
                request(&pool, &took).await.ok();
            })
            .detach();
    }
}

async fn request(pool: &Pool, took: &Took) -> Result<(), Error> {
    let began = Instant::now();
    let response = pool.get(format!("/item/{}", fastrand::u16(..))).await?;
    let server = response.extensions().get::<ResponseInfo>().map(|info| info.server);
    response.into_body().bytes().await?;
    if let Some(server) = server {
        took.note(server, began.elapsed());
    }
    Ok(())
}
