//! What has been taken from a request's body is kept, as far as that costs nothing, and can be sent
//! again.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::{Buf, Bytes};
use http::HeaderValue;
use http_body::Frame;

use super::double::{Piece, Read, Script, World, now, post};
use super::*;
use crate::proto::h1::BUFFER;

const OK: &str = "HTTP/1.1 204 No Content\r\n\r\n";

fn data(bytes: impl Into<Bytes>) -> Piece {
    Piece::Data(bytes.into())
}

/// Sends the upload over a new connection that gives no answer, or a good one; what was written.
fn send<B>(upload: &mut Upload<'_, B>, answer: Read) -> (Result<u16, ExchangeError>, Vec<u8>)
where
    B: http_body::Body,
    B::Error: Into<crate::error::BoxError>,
{
    let (mut world, headers) = (World::new(), HeaderMap::new());
    world.wire.reads(answer);
    let result = now(world.conn.exchange(&post(&headers), upload, None, None));
    (result.map(|head| head.status().as_u16()), world.wire.written().concat())
}

fn answer() -> Read {
    Read::Bytes(OK.into())
}

#[test]
fn a_body_of_one_piece_is_sent_again_as_it_was() {
    let large = vec![b'x'; 3 * BUFFER];
    let bodies = [
        ("empty", Script::new(None, [])),
        ("ends later", Script::new(None, [Piece::End])),
        ("nothing, then its end", Script::new(None, [data("")])),
        ("small", Script::known(b"hello")),
        ("small and chunked", Script::new(None, [data("hello")])),
        ("large", Script::new(Some(large.len() as u64), [data(large.clone())])),
        ("large and chunked", Script::new(None, [data(large)])),
    ];
    for (name, body) in bodies {
        let mut body = Box::pin(body);
        let mut upload = Upload::new(body.as_mut());
        let (failed, first) = send(&mut upload, Read::Eof);
        assert!(failed.unwrap_err().sent, "{name}");
        for _ in 0..2 {
            assert!(upload.is_replayable(), "{name}");
            upload.rewind();
            let (answered, again) = send(&mut upload, answer());
            assert_eq!(answered.unwrap(), 204, "{name}");
            assert_eq!(again, first, "{name}");
        }
    }
}

#[test]
fn a_body_that_has_more_goes_on_behind_its_first_piece() {
    let mut body = Box::pin(Script::new(Some(6), [data("one"), Piece::Pending, data("two")]));
    let mut upload = Upload::new(body.as_mut());
    // It fails while the second piece is still to come.
    let (failed, _) = send(&mut upload, Read::Eof);
    assert!(failed.is_err() && upload.is_replayable());
    upload.rewind();
    let (answered, written) = send(&mut upload, answer());
    assert_eq!(answered.unwrap(), 204);
    assert!(written.ends_with(b"\r\n\r\nonetwo"), "{written:?}");
    assert!(!upload.is_replayable(), "two pieces have been taken now");
}

#[test]
fn what_is_gone_cannot_be_sent_again() {
    let mut trailers = HeaderMap::new();
    trailers.insert("x-sum", HeaderValue::from_static("9"));
    let bodies = [
        ("two pieces", Script::new(None, [data("a"), data("b")])),
        ("trailers", Script::new(None, [data("a"), Piece::Trailers(trailers)])),
        ("an error", Script::new(None, [data("a"), Piece::Fail])),
    ];
    for (name, body) in bodies {
        let mut body = Box::pin(body);
        let mut upload = Upload::new(body.as_mut());
        assert!(upload.is_replayable(), "{name}: nothing has been taken");
        assert!(send(&mut upload, Read::Eof).0.is_err(), "{name}");
        assert!(!upload.is_replayable(), "{name}");
    }
}

/// A piece that lies in several places in memory.
struct Scattered(VecDeque<Bytes>);

impl Buf for Scattered {
    fn remaining(&self) -> usize {
        self.0.iter().map(Bytes::len).sum()
    }

    fn chunk(&self) -> &[u8] {
        self.0.front().map_or(&[], |first| first)
    }

    fn advance(&mut self, mut n: usize) {
        while n > 0 {
            let first = self.0.front_mut().expect("no more than there is");
            let step = n.min(first.len());
            first.advance(step);
            n -= step;
            if first.is_empty() {
                self.0.pop_front();
            }
        }
    }
}

struct Once(Option<Scattered>);

impl http_body::Body for Once {
    type Data = Scattered;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Scattered>, Infallible>>> {
        Poll::Ready(self.0.take().map(|piece| Ok(Frame::data(piece))))
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.0.as_ref().map_or(0, Buf::remaining) as u64)
    }
}

#[test]
fn a_scattered_piece_is_sent_whole_and_once() {
    for length in [5, BUFFER] {
        let parts = [vec![b'a'; length], vec![b'b'; length], vec![b'c'; 1]];
        let piece = Scattered(parts.iter().cloned().map(Bytes::from).collect());
        let mut body = std::pin::pin!(Once(Some(piece)));
        let mut upload = Upload::new(body.as_mut());
        let (answered, written) = send(&mut upload, answer());
        assert_eq!(answered.unwrap(), 204);
        assert!(written.ends_with(&[b"\r\n\r\n", &*parts.concat()].concat()));
        assert!(!upload.is_replayable());
    }
}
