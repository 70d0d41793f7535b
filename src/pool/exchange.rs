//! One request over one connection: what sending and checking out have in common.

use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use http::header::RETRY_AFTER;
use http::request::Parts;
use http::{Response, StatusCode, Uri};

use crate::conn::{ExchangeError, ExchangeErrorKind, RequestHead};
use crate::error::{BoxError, Error, ErrorKind};
use crate::policy::retry::Attempt;
use crate::select::{self, Select};
use crate::server::{Server, ServerId, redact};
use crate::upstream::{Backend, Count, Directory, Hub, Lease, Outcome, Wish};

/// How a response came about: found in the extensions of each response of the pool.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ResponseInfo {
    /// The server that answered.
    pub server: ServerId,
    /// Its base URL.
    pub url: Arc<str>,
    /// How often the request was sent, or a connection for it tried.
    pub attempts: u32,
    /// Whether the connection was open already, and not made for this request.
    pub reused: bool,
}

/// Where a request goes, and until when.
pub(super) struct Plan<'a> {
    pub(super) server: Option<ServerId>,
    select: &'a Select,
    pub(super) now: Instant,
    pub(super) deadline: Option<Instant>,
    /// The path is to be sent as it is, without the server's base path.
    verbatim: bool,
}

impl<'a> Plan<'a> {
    /// Reads a request's wishes and its URI.
    pub(super) fn new(directory: &Directory, parts: &'a Parts) -> Result<Self, Error> {
        let select = parts.extensions.get::<Select>().unwrap_or(&select::ANY);
        let mut plan = Self::of(&directory.hub, select);
        if let Some(server) = origin(directory, &parts.uri)? {
            if plan.server.is_some_and(|wanted| wanted != server) {
                return Err(refuse("the URL leads to another server than the one selected"));
            }
            plan.server = Some(server);
            plan.verbatim = true;
        }
        Ok(plan)
    }

    pub(super) fn of(hub: &Hub, select: &'a Select) -> Self {
        let now = hub.now();
        let timeout = select.timeout.or(hub.config.request_timeout);
        Self {
            server: select.server,
            select,
            // A timeout beyond the clock's end is none.
            deadline: timeout.and_then(|timeout| now.checked_add(timeout)),
            now,
            verbatim: false,
        }
    }
}

impl Plan<'_> {
    /// What is asked of the servers; those in `tried` are passed over.
    pub(super) fn wish<'w>(&'w self, tried: &'w mut Vec<ServerId>) -> Wish<'w> {
        Wish {
            server: self.server,
            select: self.select,
            deadline: self.deadline,
            now: self.now,
            tried,
            fresh: false,
            may_dial: true,
        }
    }
}

/// The server that an absolute URL names; `None` for a path.
fn origin(directory: &Directory, uri: &Uri) -> Result<Option<ServerId>, Error> {
    let Some(authority) = uri.authority() else {
        return match uri.path() {
            path if path.starts_with('/') || path == "*" => Ok(None),
            _ => Err(refuse("the request has no path")),
        };
    };
    let Some(scheme) = uri.scheme_str() else {
        return Err(refuse("write a path that begins with /, or an absolute URL"));
    };
    // Not the whole authority: it may hold a password.
    let foreign = || {
        let host = redact(authority.host());
        refuse(format!(
            "{host} is not a server of this pool; add it with add_server, or send a path"
        ))
    };
    let named = Server::new(format!("{scheme}://{authority}"))
        .map_err(|source| foreign().with_source(source))?;
    directory.by_origin(named.origin(), uri.path()).map(Some).ok_or_else(foreign)
}

fn refuse(message: impl Into<std::borrow::Cow<'static, str>>) -> Error {
    Error::new(ErrorKind::Request, message).retry_safe(true)
}

/// Sends the request over the connection, and reads the response's head.
///
/// If this future is dropped, the server's count of requests balances, and the connection is
/// closed by its lease.
pub(super) async fn exchange<B>(
    lease: &mut Lease,
    parts: &Parts,
    plan: &Plan<'_>,
    body: Pin<&mut B>,
) -> Result<Response<()>, ExchangeError>
where
    B: http_body::Body,
    B::Error: Into<BoxError>,
{
    let since = if lease.is_direct() { plan.now } else { lease.backend().hub.now() };
    let (conn, backend) = lease.split();
    let path = parts.uri.path_and_query().map_or("/", |path| path.as_str());
    let head = RequestHead {
        method: &parts.method,
        base_path: if plan.verbatim { "" } else { backend.server.base_path() },
        path,
        authority: backend.server.authority(),
        headers: &parts.headers,
    };
    let reused = conn.uses() > 0;
    let mut sending = Sending { backend, since, ended: None };
    backend.tally.incr(Count::Requests);
    let result = conn.request(&head, body, plan.deadline).await;
    let now = backend.hub.now();
    let took = now.saturating_duration_since(since);
    sending.ended = Some(result.is_ok());
    match &result {
        Ok(head) => {
            backend.response_time.record(u64::try_from(took.as_nanos()).unwrap_or(u64::MAX));
            backend.note(now, took, answer(head));
        }
        Err(error) => {
            if let Some(outcome) = failure(error, reused) {
                backend.note(now, took, outcome);
            }
        }
    }
    result
}

/// What a response says about its server.
fn answer(head: &Response<()>) -> Outcome {
    let status = head.status();
    if !status.is_server_error() && status != StatusCode::TOO_MANY_REQUESTS {
        return Outcome::Answered;
    }
    // A date is not understood: it would need a calendar, and clocks that agree.
    let asked = head.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse().ok());
    asked.map_or(Outcome::Failed, |seconds| Outcome::FailedFor(Duration::from_secs(seconds)))
}

/// What an error says about the server: nothing, if the caller or the pool is at fault, or if a
/// connection broke that had been idle.
fn failure(error: &ExchangeError, reused: bool) -> Option<Outcome> {
    match &error.kind {
        ExchangeErrorKind::Timeout | ExchangeErrorKind::Protocol(_) => Some(Outcome::Failed),
        ExchangeErrorKind::Io(_) | ExchangeErrorKind::Eof if !reused => Some(Outcome::Failed),
        _ => None,
    }
}

/// Counts a request of the pool, from its beginning to its end.
pub(super) struct Running<'a> {
    hub: &'a Hub,
    /// `None`: it goes on, with the response's body.
    outcome: Option<Count>,
}

impl<'a> Running<'a> {
    pub(super) fn begin(hub: &'a Hub) -> Self {
        hub.tally.incr(Count::Requests);
        Self { hub, outcome: Some(Count::Cancelled) }
    }

    pub(super) fn failed(&mut self, error: Error) -> Error {
        self.outcome = Some(Count::Failed);
        count_timeout(self.hub, &error);
        error
    }

    pub(super) fn goes_on(&mut self) {
        self.outcome = None;
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        if let Some(outcome) = self.outcome {
            self.hub.tally.incr(outcome);
        }
    }
}

/// Counts a request that ran into a deadline, whichever step that was.
pub(super) fn count_timeout(hub: &Hub, error: &Error) {
    if error.is_timeout() {
        hub.tally.add(Count::Timeouts, 1);
    }
}

/// Counts the end of a request at its server.
struct Sending<'a> {
    backend: &'a Backend,
    since: Instant,
    /// Whether there is a response. If so, it goes on, with that one's body.
    ended: Option<bool>,
}

impl Drop for Sending<'_> {
    fn drop(&mut self) {
        match self.ended {
            Some(true) => {}
            Some(false) => self.backend.tally.incr(Count::Failed),
            None => {
                self.backend.tally.incr(Count::Cancelled);
                self.backend.note_abandoned(self.since);
            }
        }
    }
}

/// What a failed exchange means for another try.
pub(super) fn attempt(error: &ExchangeError, reused: bool, idempotent: bool) -> Attempt {
    Attempt {
        broken: matches!(error.kind, ExchangeErrorKind::Io(_) | ExchangeErrorKind::Eof),
        reused,
        sent: error.sent,
        received: error.received,
        body_whole: !error.body_taken,
        idempotent,
    }
}

/// The error as the caller sees it.
pub(super) fn failed(backend: &Backend, error: ExchangeError, unseen: bool) -> Error {
    let kind = match &error.kind {
        ExchangeErrorKind::Timeout => ErrorKind::Timeout,
        ExchangeErrorKind::Cut => ErrorKind::Closed,
        ExchangeErrorKind::Io(_) | ExchangeErrorKind::Eof => ErrorKind::Reset,
        ExchangeErrorKind::Protocol(_) => ErrorKind::Protocol,
        ExchangeErrorKind::Body(_) => ErrorKind::Body,
        ExchangeErrorKind::Request(_) => ErrorKind::Request,
    };
    let seen = Error::new(kind, error.message())
        .at(error.phase)
        .of_server(backend.server.shared_url())
        .retry_safe(unseen);
    match error.into_source() {
        Some(source) => seen.with_source(source),
        None => seen,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_tells_whether_its_server_can_serve_and_for_how_long_not() {
        let after = |seconds| Outcome::FailedFor(Duration::from_secs(seconds));
        let rows = [
            (200, None, Outcome::Answered),
            (404, None, Outcome::Answered),
            (301, Some("30"), Outcome::Answered),
            (429, None, Outcome::Failed),
            (429, Some("30"), after(30)),
            (500, None, Outcome::Failed),
            (503, Some("0"), after(0)),
            (503, Some("-1"), Outcome::Failed),
            (503, Some("Fri, 31 Dec 1999 23:59:59 GMT"), Outcome::Failed),
        ];
        for (status, asked, outcome) in rows {
            let head = Response::builder().status(status);
            let head = asked.into_iter().fold(head, |head, asked| head.header(RETRY_AFTER, asked));
            assert_eq!(answer(&head.body(()).unwrap()), outcome, "{status}, {asked:?}");
        }
    }
}
