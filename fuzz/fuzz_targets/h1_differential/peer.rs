//! hyper's client on bytes in memory, polled by hand.

use std::convert::Infallible;
use std::error::Error;
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};

use http::{HeaderMap, Method, Request, StatusCode};
use http_body::{Body, Frame};
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper::rt::{Read, ReadBufCursor, Write};

/// How hyper read an answer.
#[derive(Debug, Default)]
pub(crate) struct Theirs {
    pub(crate) status: Option<StatusCode>,
    pub(crate) headers: HeaderMap,
    pub(crate) data: Vec<u8>,
    pub(crate) trailers: HeaderMap,
    pub(crate) complete: bool,
    /// Another request could be sent.
    pub(crate) alive: bool,
    pub(crate) error: Option<String>,
}

/// The answer comes once something has been asked; the end of the stream when the test says so.
#[derive(Default)]
struct State {
    answer: Vec<u8>,
    at: usize,
    asked: bool,
    ended: bool,
}

#[derive(Clone, Default)]
struct Wire(Arc<Mutex<State>>);

impl Read for Wire {
    fn poll_read(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        mut buf: ReadBufCursor<'_>,
    ) -> Poll<std::io::Result<()>> {
        let mut state = self.0.lock().expect("one thread");
        if !state.asked {
            return Poll::Pending;
        }
        let left = &state.answer[state.at..];
        if left.is_empty() {
            return if state.ended { Poll::Ready(Ok(())) } else { Poll::Pending };
        }
        let n = left.len().min(buf.remaining());
        buf.put_slice(&left[..n]);
        state.at += n;
        Poll::Ready(Ok(()))
    }
}

impl Write for Wire {
    fn poll_write(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<std::io::Result<usize>> {
        self.0.lock().expect("one thread").asked = true;
        Poll::Ready(Ok(buf.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
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
}

/// Rounds without any progress after which there will be none.
const QUIET: usize = 3;

pub(crate) fn read(method: &Method, answer: &[u8]) -> Theirs {
    let wire = Wire::default();
    wire.0.lock().expect("one thread").answer = answer.to_vec();
    let mut cx = Context::from_waker(Waker::noop());
    let Poll::Ready(Ok((mut sender, conn))) =
        pin!(http1::handshake::<_, Nothing>(wire.clone())).poll(&mut cx)
    else {
        panic!("a handshake says nothing");
    };
    let request = Request::builder().method(method).uri("/").header("host", "far");
    let mut response = Some(Box::pin(sender.send_request(request.body(Nothing).expect("valid"))));
    let mut conn = Some(Box::pin(conn));
    let (mut theirs, mut body, mut quiet, mut ended) = (Theirs::default(), None, 0, false);
    while quiet < QUIET || !ended {
        if quiet == QUIET {
            (ended, quiet) = (true, 0);
            wire.0.lock().expect("one thread").ended = true;
        }
        quiet += 1;
        if conn.as_mut().is_some_and(|conn| conn.as_mut().poll(&mut cx).is_ready()) {
            conn = None;
        }
        if let Some(head) = &mut response
            && let Poll::Ready(result) = head.as_mut().poll(&mut cx)
        {
            (response, quiet) = (None, 0);
            match result {
                Ok(whole) => {
                    theirs.status = Some(whole.status());
                    theirs.headers = whole.headers().clone();
                    body = Some(whole.into_body());
                }
                Err(error) => return failed(theirs, &error),
            }
        }
        while let Some(incoming) = &mut body {
            match Pin::new(incoming).poll_frame(&mut cx) {
                Poll::Pending => break,
                Poll::Ready(None) => {
                    theirs.complete = true;
                    body = None;
                }
                Poll::Ready(Some(Err(error))) => return failed(theirs, &error),
                Poll::Ready(Some(Ok(frame))) => match frame.into_data() {
                    Ok(data) => theirs.data.extend_from_slice(&data),
                    Err(frame) => theirs.trailers = frame.into_trailers().expect("or data"),
                },
            }
            quiet = 0;
        }
        if theirs.complete && quiet == QUIET && !ended {
            theirs.alive = conn.is_some() && sender.is_ready();
            return theirs;
        }
    }
    theirs
}

fn failed(mut theirs: Theirs, error: &hyper::Error) -> Theirs {
    let cause = error.source().map(|cause| format!(": {cause}")).unwrap_or_default();
    theirs.error = Some(format!("{error}{cause}"));
    theirs
}
