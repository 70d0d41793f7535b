//! The callers. Each asks for one thing after the other, and checks what it gets.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use evenkeel::{Body, Error, ErrorKind, Pool, Select};
use fastrand::Rng;
use futures_lite::FutureExt;
use http::{Request, Response};
use smol::Timer;

use crate::origin::Order;
use crate::shared::Shared;

/// No request takes longer than its limit, and not much longer than that.
pub(crate) const LIMIT: Duration = Duration::from_secs(2);
const STUCK: Duration = Duration::from_secs(10);

/// What came of it all.
#[derive(Default)]
pub(crate) struct Tally {
    pub(crate) ok: AtomicU64,
    pub(crate) failed: AtomicU64,
    pub(crate) given_up: AtomicU64,
    /// Failures by kind, for the report.
    pub(crate) kinds: Shared<std::collections::BTreeMap<String, u64>>,
    /// What must not be.
    pub(crate) complaints: Shared<Vec<String>>,
}

impl Tally {
    pub(crate) fn complain(&self, what: String) {
        self.complaints.with(|all| {
            if all.len() < 20 {
                all.push(what);
            }
        });
    }
}

/// What the callers share.
pub(crate) struct Stage {
    /// The pool of the moment: it is shut down and replaced.
    pub(crate) pool: Shared<Pool>,
    pub(crate) over: AtomicBool,
    pub(crate) next: AtomicU64,
    pub(crate) tally: Tally,
}

/// Asks until it is over.
pub(crate) async fn caller(stage: Arc<Stage>, mut rng: Rng) {
    while !stage.over.load(Ordering::Relaxed) {
        let pool = stage.pool.with(|pool| pool.clone());
        let number = stage.next.fetch_add(1, Ordering::Relaxed);
        let length = if rng.u8(..) < 200 { rng.usize(..200) } else { rng.usize(..60_000) };
        let order = Order { number, length, chunked: rng.bool() };
        let work = once(&stage, &pool, order, &mut rng);
        let outcome = work
            .or(async {
                Timer::after(STUCK).await;
                stage.tally.complain(format!("request {number} is stuck"));
                Ok(false)
            })
            .await;
        match outcome {
            Ok(true) => stage.tally.ok.fetch_add(1, Ordering::Relaxed),
            Ok(false) => stage.tally.given_up.fetch_add(1, Ordering::Relaxed),
            Err(error) => {
                note(&stage.tally, &error);
                if error.kind() == ErrorKind::QueueFull {
                    // Or a full line would be all that there is.
                    Timer::after(Duration::from_millis(rng.u64(1..50))).await;
                }
                stage.tally.failed.fetch_add(1, Ordering::Relaxed)
            }
        };
    }
}

/// One request, of one kind or another. Whether it was seen to its end.
async fn once(stage: &Stage, pool: &Pool, order: Order, rng: &mut Rng) -> Result<bool, Error> {
    let select = Select::new().priority(rng.u8(..3));
    match rng.u32(..20) {
        // One that is given up at some time.
        0 => {
            let patience = Duration::from_micros(rng.u64(..20_000));
            let gives_up = async {
                Timer::after(patience).await;
                Ok(false)
            };
            get(stage, pool, order, select).or(gives_up).await
        }
        // One whose body is not read.
        1 => pool.send(request(order, select)).await.map(|_| false),
        // Two over one connection.
        2 => {
            let mut held = pool.checkout(select.clone()).await?;
            for _ in 0..2 {
                let response = match held.send(request(order, select.clone())).await {
                    // The connection has carried all that it may, or its server closes it.
                    Err(error) if error.kind() == ErrorKind::Request => return Ok(false),
                    other => other?,
                };
                let (head, body) = response.into_parts();
                let response = Response::from_parts(head, body.bytes().await?);
                check(stage, order, b"", &response);
            }
            Ok(true)
        }
        3..6 => {
            let body: Vec<u8> = std::iter::repeat_with(|| rng.u8(..)).take(order.length).collect();
            let mut request = Request::post(order.path()).body(Body::from(body.clone()));
            if let Ok(request) = &mut request {
                request.extensions_mut().insert(select);
            }
            let response = pool.send(request.expect("a path is a path")).await?;
            check(stage, order, &body, &whole(response).await?);
            Ok(true)
        }
        _ => get(stage, pool, order, select).await,
    }
}

async fn get(stage: &Stage, pool: &Pool, order: Order, select: Select) -> Result<bool, Error> {
    let response = pool.send(request(order, select)).await?;
    check(stage, order, b"", &whole(response).await?);
    Ok(true)
}

fn request(order: Order, select: Select) -> Request<Body> {
    let mut request = Request::new(Body::empty());
    *request.uri_mut() = order.path().parse().expect("a path is a path");
    request.extensions_mut().insert(select);
    request
}

async fn whole(response: Response<Body>) -> Result<Response<bytes::Bytes>, Error> {
    let (head, body) = response.into_parts();
    Ok(Response::from_parts(head, body.bytes().await?))
}

fn check(stage: &Stage, order: Order, sent: &[u8], response: &Response<bytes::Bytes>) {
    if response.status() != 200 || response.body() != &order.answer(sent) {
        let (status, length) = (response.status(), response.body().len());
        stage.tally.complain(format!("{order:?}: a wrong answer, {status} with {length} bytes"));
    }
}

/// Errors are to be expected here, but not of every kind.
fn note(tally: &Tally, error: &Error) {
    let kind = error.kind();
    let phase = error.phase().map_or_else(String::new, |phase| format!(" in {phase:?}"));
    tally.kinds.with(|kinds| *kinds.entry(format!("{kind:?}{phase}")).or_default() += 1);
    use ErrorKind as E;
    let expected = [E::Timeout, E::Reset, E::Protocol, E::Connect, E::QueueFull, E::Closed];
    if !expected.contains(&kind) {
        tally.complain(format!("an error that should not be: {error:?}"));
    }
}
