//! What an attempt says about its server.

use std::time::{Duration, Instant, SystemTime};

use http::{Response, StatusCode};

use crate::conn::{ExchangeError, ExchangeErrorKind};
use crate::policy::backoff::retry_after;
use crate::server::Fault;
use crate::upstream::{Backend, Outcome};

/// Tells the server's record how an attempt ended.
#[inline]
pub(super) fn note(
    backend: &Backend,
    now: Instant,
    took: Duration,
    outcome: Outcome,
    is_trial: bool,
) {
    backend.note(now, took, outcome);
    if is_trial {
        backend.note_trial(outcome);
    }
}

/// What a response says about its server.
pub(super) fn of_answer(head: &Response<()>) -> Outcome {
    let fault = match head.status() {
        StatusCode::TOO_MANY_REQUESTS => Fault::TooManyRequests,
        StatusCode::SERVICE_UNAVAILABLE => Fault::Unavailable,
        status if status.is_server_error() => Fault::ServerError,
        _ => return Outcome::Answered,
    };
    match retry_after(head.headers(), SystemTime::now) {
        Some(asked) => Outcome::FailedFor(fault, asked),
        None => Outcome::Failed(fault),
    }
}

/// What an error says about the server: nothing, if the caller or the pool is at fault, if a
/// connection broke that had been idle, or if the time was up before anything was sent.
pub(super) fn of_error(error: &ExchangeError, reused: bool) -> Option<Outcome> {
    let fault = match &error.kind {
        ExchangeErrorKind::Timeout | ExchangeErrorKind::Stall if error.sent => Fault::Timeout,
        ExchangeErrorKind::Protocol(_) => Fault::Protocol,
        ExchangeErrorKind::Io(_) | ExchangeErrorKind::Eof if !reused => Fault::Reset,
        _ => return None,
    };
    Some(Outcome::Failed(fault))
}

#[cfg(test)]
mod tests {
    use http::header::RETRY_AFTER;

    use super::*;

    #[test]
    fn an_answer_tells_whether_its_server_can_serve_and_for_how_long_not() {
        use Fault::{ServerError, TooManyRequests, Unavailable};
        let after = |fault, seconds| Outcome::FailedFor(fault, Duration::from_secs(seconds));
        let rows = [
            (200, None, Outcome::Answered),
            (404, None, Outcome::Answered),
            (301, Some("30"), Outcome::Answered),
            (429, None, Outcome::Failed(TooManyRequests)),
            (429, Some("30"), after(TooManyRequests, 30)),
            (500, None, Outcome::Failed(ServerError)),
            (503, Some("0"), after(Unavailable, 0)),
            (503, Some("-1"), Outcome::Failed(Unavailable)),
            (503, Some("Fri, 31 Dec 1999 23:59:59 GMT"), after(Unavailable, 0)),
        ];
        for (status, asked, outcome) in rows {
            let head = Response::builder().status(status);
            let head = asked.into_iter().fold(head, |head, asked| head.header(RETRY_AFTER, asked));
            assert_eq!(of_answer(&head.body(()).unwrap()), outcome, "{status}, {asked:?}");
        }
    }
}
