//! The way of a request: a connection, an exchange, and whether to try again.

use std::pin::pin;

use http::request::Parts;
use http::{Request, Response};

use super::account::Running;
use super::body::Body;
use super::exchange::{self, Plan};
use super::tries::{self, Last, Tries};
use crate::conn::Upload;
use crate::error::{BoxError, Error};
use crate::event::FailureCause;
use crate::trace;
use crate::upstream::{Directory, acquire};

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
    let body = pin!(body);
    let plan = match Plan::new(directory, &parts) {
        Ok(plan) => plan,
        Err(error) => return Err(error.with_request(parts)),
    };
    let hub = &*directory.hub;
    hub.budget.deposit(plan.tick);
    let mut upload = Upload::new(body);
    let mut running = Running::begin(hub, &parts, plan.now);
    let mut tries = Tries::default();
    loop {
        let mut lease = match acquire(directory, tries.wish(&plan, hub)).await {
            Ok(lease) => lease,
            Err(error) => {
                if let Some(pause) = tries.back(hub, &plan, &error) {
                    tries::wait(hub, pause).await;
                    continue;
                }
                let error = unsent(&mut running, &tries, &parts, error);
                return Err(if upload.is_taken() { error } else { error.with_request(parts) });
            }
        };
        let nth = tries.nth(&lease, &parts);
        let (number, reused) = (nth.number, nth.reused);
        running.tries(&lease, nth);
        let (result, took) = exchange::exchange(&mut lease, &parts, &plan, &mut upload, nth).await;
        let result = match result {
            // Nearly always, and nobody would wish for another.
            Ok(head) if head.status().as_u16() < 400 => {
                running.goes_on(&mut lease, took, head.status());
                return Ok(head.map(|()| Body::incoming(lease, true, number)));
            }
            result => result,
        };
        let replayable = upload.is_replayable();
        let last = Last { parts: &parts, result: &result, lease: &lease, replayable };
        if let Some(again) = tries.again(directory, &plan, &last) {
            let backend = lease.backend().clone();
            tries::let_go(lease, &result);
            upload.rewind();
            tries::tell(&backend, number, &again);
            tries::wait(hub, again.pause).await;
            continue;
        }
        return match result {
            Ok(head) => {
                running.goes_on(&mut lease, took, head.status());
                let ok = !head.status().is_server_error();
                Ok(head.map(|()| Body::incoming(lease, ok, number)))
            }
            Err(error) => {
                running.failed(exchange::cause(&error, reused), number);
                let error = tries.failed(&mut lease, error, number);
                Err(if upload.is_taken() { error } else { error.with_request(parts) })
            }
        };
    }
}

/// No connection came about: counts that, and tells it.
#[cold]
fn unsent(running: &mut Running<'_>, tries: &Tries, parts: &Parts, error: Error) -> Error {
    let cause = FailureCause::of(&error);
    running.failed(cause, tries.count());
    trace::unsent(parts, cause);
    tries.no_connection(error)
}
