//! A health check: a connection of its own, a request, a look at the answer.

use std::convert::Infallible;
use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use bytes::Bytes;
use http::{HeaderMap, Method};
use http_body::{Body, Frame, SizeHint};

use super::{
    Conn, ConnShared, DialErrorKind, ExchangeError, ExchangeErrorKind, Form, Setting, Tls, Upload,
    dial,
};
use crate::config::{CheckKind, CheckResponse, Config};
use crate::proto::h1::RequestHead;
use crate::server::{CheckFailure, Server};

/// How much of an answer's body is read.
const MOST: usize = 64 * 1024;

/// Checks a server once. The fields are those of the check's head.
///
/// # Errors
/// How it failed.
///
/// # Cancel safety
/// Dropping the future closes the connection.
pub(crate) async fn probe(
    shared: &Arc<ConnShared>,
    config: &Config,
    headers: &HeaderMap,
    server: &Server,
    tls: Option<&Tls>,
    deadline: Instant,
) -> Result<(), CheckFailure> {
    let check = &config.health_check;
    let path = server.check_at().and_then(|at| at.path.as_deref()).unwrap_or(&check.path);
    let dialled = dial(Setting::new(shared, config), &server.as_checked(), deadline).await;
    let dialled = match (tls, dialled) {
        (Some(tls), Ok(transport)) => tls.handshake(transport, shared, deadline).await,
        (_, dialled) => dialled,
    };
    let transport = dialled.map_err(|error| match error.kind() {
        DialErrorKind::Timeout(_) => CheckFailure::Timeout,
        DialErrorKind::Resolve | DialErrorKind::Connect => CheckFailure::Connect,
        DialErrorKind::Tls => CheckFailure::Tls,
    })?;
    let method = match check.kind {
        CheckKind::Tcp | CheckKind::Off => return Ok(()),
        CheckKind::Head => Method::HEAD,
        CheckKind::Implicit | CheckKind::Get => Method::GET,
    };
    let head = RequestHead {
        method: &method,
        form: Form::Origin,
        base_path: "",
        path,
        authority: check.host.as_deref().unwrap_or_else(|| server.authority()),
        headers,
    };
    let now = shared.runtime.timer().now();
    let mut conn = Conn::new(transport, shared.clone(), Arc::default(), now);
    let body = pin!(Nothing);
    let mut upload = Upload::new(body);
    let sent = conn.exchange(&head, &mut upload, Some(deadline), None).await;
    let answer = sent.map_err(|error| failure(&error))?;
    let status = answer.status();
    if !check.wants(status.as_u16()) {
        return Err(CheckFailure::Status(status.as_u16()));
    }
    if check.body.is_none() && check.judge.is_none() {
        // A server is spared the reset that closing on unread bytes would send.
        conn.drain();
        return Ok(());
    }
    let body = read(&mut conn).await.map_err(|error| failure(&error))?;
    if check.body.as_ref().is_some_and(|text| !contains(&body, text.as_bytes())) {
        return Err(CheckFailure::Body);
    }
    let response = CheckResponse { status, headers: answer.headers(), body: &body };
    let accepts = check.judge.as_ref().is_none_or(|judge| {
        // A panic is no reason to stop checking.
        catch_unwind(AssertUnwindSafe(|| (judge.0)(&response))).unwrap_or(false)
    });
    if accepts { Ok(()) } else { Err(CheckFailure::Refused) }
}

/// The body, or as much of it as is read.
async fn read(conn: &mut Conn) -> Result<Vec<u8>, ExchangeError> {
    let mut body = Vec::new();
    while body.len() < MOST {
        let Some(frame) = poll_fn(|cx| conn.poll_frame(cx)).await else {
            break;
        };
        if let Ok(data) = frame?.into_data() {
            body.extend_from_slice(&data[..data.len().min(MOST - body.len())]);
        }
    }
    Ok(body)
}

fn contains(text: &[u8], wanted: &[u8]) -> bool {
    wanted.is_empty() || text.windows(wanted.len()).any(|part| part == wanted)
}

fn failure(error: &ExchangeError) -> CheckFailure {
    match &error.kind {
        // As with a client's certificate that is refused.
        kind if kind.is_tls() => CheckFailure::Tls,
        ExchangeErrorKind::Timeout | ExchangeErrorKind::Stall => CheckFailure::Timeout,
        ExchangeErrorKind::Io(_) | ExchangeErrorKind::Eof | ExchangeErrorKind::Cut => {
            CheckFailure::Reset
        }
        ExchangeErrorKind::Protocol(_)
        | ExchangeErrorKind::Body(_)
        | ExchangeErrorKind::Request(_) => CheckFailure::Protocol,
    }
}

/// The body of a request that has none.
struct Nothing;

impl Body for Nothing {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(None)
    }

    fn is_end_stream(&self) -> bool {
        true
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(0)
    }
}
