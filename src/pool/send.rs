//! The way of a request: a connection, an exchange, and whether to try again.

use std::pin::pin;

use http::{Request, Response};

use super::account::Running;
use super::body::Body;
use super::exchange::{self, Nth, Plan};
use crate::error::{BoxError, Error};
use crate::event::FailureCause;
use crate::policy::retry::is_idempotent;
use crate::server::ServerId;
use crate::trace;
use crate::upstream::{Directory, Wish, acquire};

/// A connection that was idle when the request began is trusted once more after one has failed;
/// after that only a new one will do.
const TRUSTED: u32 = 1;

/// Sends a request: see [`Pool::send`](crate::Pool::send).
pub(super) async fn send<B>(
    directory: &Directory,
    request: Request<B>,
) -> Result<Response<Body>, Error>
where
    B: http_body::Body,
    B::Error: Into<BoxError>,
{
    let (parts, body) = request.into_parts();
    let mut body = pin!(body);
    let plan = match Plan::new(directory, &parts) {
        Ok(plan) => plan,
        Err(error) => return Err(error.with_request(parts)),
    };
    let hub = &*directory.hub;
    hub.budget.deposit(plan.tick);
    let mut running = Running::begin(hub, &parts, plan.now);
    let mut tried = Vec::new();
    let mut broken = 0;
    // Whether a server may have acted on an attempt before the last.
    let mut seen = false;
    loop {
        let wish = Wish { fresh: broken > TRUSTED, ..plan.wish(&mut tried) };
        let mut lease = match acquire(directory, wish).await {
            Ok(lease) => lease,
            Err(error) => {
                let safe = error.is_retry_safe() && !seen;
                let attempts = attempts(broken, &tried);
                let cause = FailureCause::of(&error);
                running.failed(cause, attempts);
                trace::unsent(&parts, cause);
                let error = error.after_attempts(attempts).retry_safe(safe);
                return Err(error.with_request(parts));
            }
        };
        let attempts = attempts(broken, &tried) + 1;
        let reused = lease.is_reused();
        let nth = Nth { number: attempts, reused };
        running.tries(&lease, nth);
        match exchange::exchange(&mut lease, &parts, &plan, body.as_mut(), nth).await {
            Ok((head, took)) => {
                running.goes_on(&mut lease, took, head.status());
                let ok = !head.status().is_server_error();
                return Ok(head.map(|()| Body::incoming(lease, ok, attempts)));
            }
            Err(error) => {
                let attempt = exchange::attempt(&error, reused, is_idempotent(&parts.method));
                if attempt.broken {
                    lease.mark_broken();
                }
                let may_retry = attempt.may_retry() && broken <= TRUSTED;
                if may_retry && (attempt.is_stale() || hub.budget.withdraw(hub.tick())) {
                    broken += 1;
                    seen |= !attempt.is_unseen();
                    continue;
                }
                let unseen = attempt.is_unseen() && !seen;
                running.failed(exchange::cause(&error, reused), attempts);
                let error = exchange::failed(&lease, error, unseen).after_attempts(attempts);
                return Err(if attempt.body_whole { error.with_request(parts) } else { error });
            }
        }
    }
}

/// How many connections have been tried: those that broke, and those that never came about.
fn attempts(broken: u32, tried: &[ServerId]) -> u32 {
    broken + u32::try_from(tried.len()).unwrap_or(u32::MAX)
}
