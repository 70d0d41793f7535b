//! One request over one connection: what sending and checking out have in common.

use std::sync::Arc;
use std::time::{Duration, Instant};

use http::request::Parts;
use http::uri::Authority;
use http::{HeaderMap, Method, Response, Uri};

use super::account::Sending;
use super::verdict;
use crate::config::{Retry, Steps};
use crate::conn::{ExchangeError, ExchangeErrorKind, Form, RequestHead, Upload};
use crate::error::{BoxError, Error, ErrorKind};
use crate::event::FailureCause;
use crate::proto::h1::ProtocolError;
use crate::select::{self, Select};
use crate::server::{Server, ServerId, redact};
use crate::trace;
use crate::upstream::{Backend, Directory, Hub, Lease, Trust, Wish, nanos};

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
    /// How long it took.
    pub timings: Timings,
}

/// How long each step took until the head of the response was there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Timings {
    /// Waiting for a connection, earlier attempts included; zero if one was idle.
    pub queue: Duration,
    /// Resolving and connecting; zero if the connection was not made for this request.
    pub connect: Duration,
    /// From the request's first byte to the response's head.
    pub head: Duration,
}

/// Where a request goes, and until when.
pub(super) struct Plan<'a> {
    pub(super) server: Option<ServerId>,
    select: &'a Select,
    /// When it began, by the clock and in ticks.
    pub(super) now: Instant,
    pub(super) tick: u64,
    timeout: Option<Duration>,
    deadline: Option<Instant>,
    /// The times of the exchange's steps, if they are not the pool's.
    steps: Option<Box<Steps>>,
    form: Form,
    /// The path is to be sent as it is, without the server's base path.
    verbatim: bool,
}

impl<'a> Plan<'a> {
    /// Reads a request's wishes and its URI.
    pub(super) fn new(directory: &Directory, parts: &'a Parts) -> Result<Self, Error> {
        let select = parts.extensions.get::<Select>().unwrap_or(&select::ANY);
        let hub = &directory.hub;
        let (now, timeout) = (hub.now(), timeout(hub, select));
        let mut plan = Self {
            server: select.server,
            select,
            now,
            tick: hub.tick(),
            timeout,
            // A timeout beyond the clock's end is none.
            deadline: timeout.and_then(|timeout| now.checked_add(timeout)),
            steps: None,
            form: Form::Origin,
            verbatim: false,
        };
        if !select.is_plain() {
            select.own_retry().map_or(Ok(()), Retry::validate)?;
            plan.steps = select.steps(&hub.config);
        }
        if parts.method == Method::CONNECT {
            // Its URI names the end of the tunnel, and any server is a way there.
            plan.form = Form::Authority;
            return Ok(plan);
        }
        if select.is_absolute() {
            plan.form = Form::Absolute { https: false };
            plan.verbatim = parts.uri.authority().is_some();
            absolute(&parts.uri)?;
            return Ok(plan);
        }
        if let Some(server) = origin(directory, &parts.uri)? {
            if plan.server.is_some_and(|wanted| wanted != server) {
                return Err(refuse("the URL leads to another server than the one selected"));
            }
            plan.server = Some(server);
            plan.verbatim = true;
        }
        Ok(plan)
    }

    /// When the request is sent again.
    pub(super) fn retry<'h>(&'h self, hub: &'h Hub) -> &'h Retry {
        self.select.own_retry().unwrap_or(&hub.config.retry)
    }

    /// What the caller says about repeating the request.
    pub(super) fn says_idempotent(&self) -> Option<bool> {
        self.select.says_idempotent()
    }

    /// Whether the request may still be going on then.
    pub(super) fn lasts_until(&self, then: Instant) -> bool {
        self.deadline.is_none_or(|deadline| then < deadline)
    }

    /// What is asked of the servers; those in `tried` are passed over.
    pub(super) fn wish<'w>(&'w self, tried: &'w mut Vec<ServerId>) -> Wish<'w> {
        Wish {
            server: self.server,
            select: self.select,
            timeout: self.timeout,
            began: Some(self.now),
            tick: self.tick,
            tried,
            trust: Trust::All,
            may_dial: true,
        }
    }

    /// The same for a later try.
    pub(super) fn wish_now<'w>(&'w self, hub: &Hub, tried: &'w mut Vec<ServerId>) -> Wish<'w> {
        let now = hub.now();
        let left = self.deadline.map(|deadline| deadline.saturating_duration_since(now));
        Wish { began: Some(now), timeout: left, tick: hub.tick(), ..self.wish(tried) }
    }
}

/// How long a request may take.
pub(super) fn timeout(hub: &Hub, select: &Select) -> Option<Duration> {
    select.timeout.or(hub.config.request_timeout)
}

/// Checks a target that is to be sent as a URL.
fn absolute(uri: &Uri) -> Result<(), Error> {
    let Some(authority) = uri.authority() else {
        return is_path(uri);
    };
    //= https://www.rfc-editor.org/rfc/rfc9110#section-4.2.4
    //# A sender MUST NOT generate the userinfo subcomponent (and its "@" delimiter) when an "http"
    //# or "https" URI reference is generated within a message as a target URI or field value.
    if authority.as_str().contains('@') {
        return Err(refuse("user info does not belong in a request's URL"));
    }
    match uri.scheme_str() {
        Some("http") => Ok(()),
        _ => Err(refuse("only an http URL can be sent to a proxy as it is")),
    }
}

fn named(uri: &Uri) -> Option<&str> {
    uri.authority().map(Authority::as_str)
}

fn is_path(uri: &Uri) -> Result<(), Error> {
    match uri.path() {
        path if path.starts_with('/') || path == "*" => Ok(()),
        _ => Err(refuse("the request has no path")),
    }
}

/// The server that an absolute URL names; `None` for a path.
fn origin(directory: &Directory, uri: &Uri) -> Result<Option<ServerId>, Error> {
    let Some(authority) = uri.authority() else {
        return is_path(uri).map(|()| None);
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

/// Which try of a request it is.
#[derive(Clone, Copy)]
pub(super) struct Nth<'a> {
    /// The first is 1.
    pub(super) number: u32,
    /// The connection was open already.
    pub(super) reused: bool,
    /// The request's fields.
    pub(super) headers: &'a HeaderMap,
}

/// Sends the request over the connection, and reads the response's head: it, and how many
/// nanoseconds after the call it came.
///
/// If this future is dropped, the server's count of requests balances, and the connection is
/// closed by its lease.
pub(super) async fn exchange<B>(
    lease: &mut Lease,
    parts: &Parts,
    plan: &Plan<'_>,
    upload: &mut Upload<'_, B>,
    attempt: Nth<'_>,
) -> (Result<Response<()>, ExchangeError>, u64)
where
    B: http_body::Body,
    B::Error: Into<BoxError>,
{
    lease.note_request(plan.tick);
    // The clock was read when the request began, and has not moved much; but for a later try.
    let direct = lease.is_direct() && attempt.number == 1;
    let is_trial = lease.is_trial();
    let since = if direct { plan.now } else { lease.backend().hub.now() };
    let connect = lease.connect_time();
    let (conn, backend) = lease.split();
    let mut is_noted = false;
    let head = head_of(parts, plan, backend, attempt.headers);
    let mut sending = Sending::begin(backend, since);
    let span = trace::Attempt::new(parts, &backend.server, attempt.number);
    let request = conn.exchange(&head, upload, plan.deadline, plan.steps.clone());
    let mut result = span.around(request).await;
    let now = backend.hub.now();
    let took = now.saturating_duration_since(since);
    let mut whole = took;
    match &mut result {
        Ok(response) => {
            sending.goes_on();
            span.answered(response.status().as_u16());
            backend.response_time.record(nanos(took));
            backend.hub.histograms.heads.record(nanos(took));
            whole = if direct { took } else { now.saturating_duration_since(plan.now) };
            verdict::note(backend, now, took, verdict::of_answer(response), is_trial);
            is_noted = true;
            let queue = match direct {
                true => Duration::ZERO,
                false => since.saturating_duration_since(plan.now).saturating_sub(connect),
            };
            let info = ResponseInfo {
                server: backend.id,
                url: backend.server.shared_url().clone(),
                attempts: attempt.number,
                reused: attempt.reused,
                timings: Timings { queue, connect, head: took },
            };
            drop(response.extensions_mut().insert(info));
        }
        Err(error) => {
            let cause = cause(error, attempt.reused);
            sending.failed(cause);
            span.failed(cause);
            if let Some(outcome) = verdict::of_error(error, attempt.reused) {
                verdict::note(backend, now, took, outcome, is_trial);
                is_noted = true;
            }
        }
    }
    drop((sending, span));
    if is_trial && is_noted {
        lease.end_trial();
    }
    (result, nanos(whole))
}

/// What is sent ahead of the body.
fn head_of<'h>(
    parts: &'h Parts,
    plan: &Plan<'_>,
    backend: &'h Backend,
    headers: &'h HeaderMap,
) -> RequestHead<'h> {
    let path = parts.uri.path_and_query().map_or("/", |path| path.as_str());
    //= https://www.rfc-editor.org/rfc/rfc9112#section-3.2
    //# If the target URI includes an authority component, then a client MUST send a field value
    //# for Host that is identical to that authority component, excluding any userinfo
    //# subcomponent and its "@" delimiter
    let (form, authority) = match (plan.form, named(&parts.uri)) {
        (form @ Form::Authority, named) => (form, named.unwrap_or_default()),
        (form @ Form::Absolute { .. }, Some(named)) => (form, named),
        (Form::Absolute { .. }, None) => {
            (Form::Absolute { https: backend.server.is_https() }, backend.server.authority())
        }
        // Either the URI has none, or it is that of the server.
        (form @ Form::Origin, _) => (form, backend.server.authority()),
    };
    RequestHead {
        method: &parts.method,
        form,
        base_path: if plan.verbatim { "" } else { backend.server.base_path() },
        path,
        authority,
        headers,
    }
}

/// What an exchange failed of; `reused` if its connection had been idle before.
pub(super) fn cause(error: &ExchangeError, reused: bool) -> FailureCause {
    match &error.kind {
        kind if kind.is_tls() => FailureCause::Tls,
        ExchangeErrorKind::Timeout | ExchangeErrorKind::Stall => {
            FailureCause::timeout_in(Some(error.phase))
        }
        ExchangeErrorKind::Cut => FailureCause::Closed,
        ExchangeErrorKind::Io(_) | ExchangeErrorKind::Eof if reused && !error.received => {
            FailureCause::Stale
        }
        ExchangeErrorKind::Io(_) | ExchangeErrorKind::Eof => FailureCause::Reset,
        ExchangeErrorKind::Protocol(ProtocolError::Unsolicited) => FailureCause::Poisoned,
        ExchangeErrorKind::Protocol(_) => FailureCause::Protocol,
        ExchangeErrorKind::Body(_) => FailureCause::Body,
        ExchangeErrorKind::Request(_) => FailureCause::Request,
    }
}

/// The error as the caller sees it.
pub(super) fn failed(lease: &Lease, error: ExchangeError, unseen: bool) -> Error {
    let kind = match &error.kind {
        ExchangeErrorKind::Timeout | ExchangeErrorKind::Stall => ErrorKind::Timeout,
        ExchangeErrorKind::Cut => ErrorKind::Closed,
        kind if kind.is_tls() => ErrorKind::Tls,
        ExchangeErrorKind::Io(_) | ExchangeErrorKind::Eof => ErrorKind::Reset,
        ExchangeErrorKind::Protocol(_) => ErrorKind::Protocol,
        ExchangeErrorKind::Body(_) => ErrorKind::Body,
        ExchangeErrorKind::Request(_) => ErrorKind::Request,
    };
    let seen = Error::new(kind, error.message())
        .at(error.phase)
        .of_server(lease.backend().server.shared_url())
        .on_reused(lease.conn_ref().uses() > 1)
        .retry_safe(unseen);
    match error.into_source() {
        Some(source) => seen.with_source(source),
        None => seen,
    }
}
