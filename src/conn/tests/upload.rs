//! Request bodies: one write when small, back-pressure when large, and reading all the while.

use std::io;

use bytes::Bytes;
use http::HeaderValue;

use super::double::{Piece, Read, Script, World, Write, now, poll, post};
use super::*;
use crate::proto::h1::BUFFER;

const OK: &str = "HTTP/1.1 204 No Content\r\n\r\n";
const HEAD: &str = "POST / HTTP/1.1\r\nhost: test\r\n";

fn data(bytes: &'static str) -> Piece {
    Piece::Data(Bytes::from_static(bytes.as_bytes()))
}

#[test]
fn head_and_small_body_are_one_write() {
    let mut world = World::new();
    world.wire.answers(OK);
    world.post(Script::known(b"hello")).unwrap();
    let written = world.wire.written();
    assert_eq!(written, [format!("{HEAD}content-length: 5\r\n\r\nhello").as_bytes()]);
    assert!(world.conn.is_reusable());
}

#[test]
fn pieces_that_are_ready_at_once_are_one_write_with_the_end_of_the_chunks() {
    let mut world = World::new();
    world.wire.answers(OK);
    world.post(Script::new(None, [data("hello"), data(""), data(", world")])).unwrap();
    let chunks = "5\r\nhello\r\n7\r\n, world\r\n0\r\n\r\n";
    let expected = format!("{HEAD}transfer-encoding: chunked\r\n\r\n{chunks}");
    assert_eq!(world.wire.written(), [expected.as_bytes()]);
    assert!(world.conn.is_reusable());
}

#[test]
fn trailers_of_the_body_are_sent_behind_its_chunks() {
    let mut world = World::new();
    world.wire.answers(OK);
    let mut trailers = HeaderMap::new();
    trailers.insert("x-sum", HeaderValue::from_static("9"));
    world.post(Script::new(None, [data("a"), Piece::Trailers(trailers)])).unwrap();
    assert!(world.wire.text().ends_with("\r\n\r\n1\r\na\r\n0\r\nx-sum: 9\r\n\r\n"));
    assert!(world.conn.is_reusable());
}

#[test]
fn what_is_ready_is_sent_before_the_body_is_waited_for() {
    let mut world = World::new();
    let pieces = [data("a"), Piece::Pending, data("b"), Piece::Pending];
    let mut body = Box::pin(Script::new(None, pieces));
    let headers = HeaderMap::new();
    let head = post(&headers);
    let wire = world.wire.clone();
    let mut request = std::pin::pin!(world.conn.request(&head, body.as_mut(), None, None));
    assert!(poll(request.as_mut()).is_pending());
    assert!(wire.text().ends_with("\r\n\r\n1\r\na\r\n"));
    assert!(poll(request.as_mut()).is_pending());
    assert_eq!(wire.text(), "1\r\nb\r\n");
    wire.answers(OK);
    assert!(poll(request.as_mut()).is_ready());
    assert_eq!(wire.text(), "0\r\n\r\n");
}

/// Any bytes, but no two places alike.
fn large(len: usize) -> Vec<u8> {
    (0..len).map(|at| (at.wrapping_mul(31) >> 3).to_le_bytes()[0]).collect()
}

fn decode_chunks(mut bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    loop {
        let line = bytes.windows(2).position(|pair| pair == b"\r\n").unwrap();
        let len = usize::from_str_radix(std::str::from_utf8(&bytes[..line]).unwrap(), 16).unwrap();
        let data = &bytes[line + 2..];
        assert_eq!(&data[len..len + 2], b"\r\n");
        out.extend_from_slice(&data[..len]);
        bytes = &data[len + 2..];
        if len == 0 {
            assert!(bytes.is_empty());
            return out;
        }
    }
}

#[test]
fn a_large_body_arrives_whole_whatever_each_write_takes() {
    for length in [None, Some(5 * BUFFER as u64 + 3)] {
        let whole = large(5 * BUFFER + 3);
        let mut world = World::new();
        let bytes = Bytes::from(whole.clone());
        let cuts = [0, 10, BUFFER, 2 * BUFFER + 1, 5 * BUFFER + 3];
        let mut pieces: Vec<_> =
            cuts.windows(2).map(|pair| Piece::Data(bytes.slice(pair[0]..pair[1]))).collect();
        pieces.insert(2, Piece::Pending);
        for n in 1..200 {
            world.wire.writes(Write::Take(n * 7));
            if n % 5 == 0 {
                world.wire.writes(Write::Pending);
            }
        }
        let mut body = Box::pin(Script::new(length, pieces));
        let headers = HeaderMap::new();
        let head = post(&headers);
        let wire = world.wire.clone();
        {
            let mut request = std::pin::pin!(world.conn.request(&head, body.as_mut(), None, None));
            for _ in 0..39 + 1 {
                assert!(poll(request.as_mut()).is_pending());
            }
            wire.answers(OK);
            assert!(poll(request.as_mut()).is_ready());
        }
        let written = wire.written().concat();
        let head = written.windows(4).position(|four| four == b"\r\n\r\n").unwrap() + 4;
        let sent = &written[head..];
        let sent = if length.is_none() { decode_chunks(sent) } else { sent.to_vec() };
        assert!(sent == whole, "length {length:?}");
        assert!(world.conn.is_reusable());
    }
}

#[test]
fn a_piece_larger_than_the_buffer_goes_out_with_the_head_uncopied() {
    let mut world = World::new();
    world.wire.answers(OK);
    let piece = Bytes::from(large(3 * BUFFER));
    world.post(Script::new(Some(3 * BUFFER as u64), [Piece::Data(piece)])).unwrap();
    let written = world.wire.written();
    assert_eq!(written.len(), 1);
    assert!(written[0].len() > 3 * BUFFER);
    assert_eq!(world.shared.buffers.kept(), 1, "the buffer has not grown");
}

#[test]
fn pieces_that_fill_the_buffer_to_its_end_do_not_make_it_grow() {
    for len in BUFFER - 200..=BUFFER {
        let mut world = World::new();
        world.wire.answers(OK);
        let piece = Piece::Data(Bytes::from(vec![b'y'; len]));
        world.post(Script::new(None, [piece])).unwrap();
        assert_eq!(world.wire.text().matches('y').count(), len);
        assert!(world.shared.buffers.kept() > 0, "{len}: one that has grown is not kept");
    }
}

#[test]
fn a_body_that_nobody_holds_up_is_sent_in_one_poll() {
    let mut world = World::new();
    let piece = Bytes::from(large(BUFFER));
    for _ in 0..5 {
        world.wire.reads(Read::Pending);
    }
    world.wire.answers(OK);
    let pieces = (0..5).map(|_| Piece::Data(piece.clone()));
    world.post(Script::new(Some(5 * BUFFER as u64), pieces)).unwrap();
    assert!(world.wire.written().concat().len() > 5 * BUFFER);
    assert!(world.conn.is_reusable());
}

#[test]
fn an_answer_while_the_last_announced_piece_is_under_way_ends_the_connection() {
    for taken in [100, 1000, 2 * BUFFER - 1] {
        let mut world = World::new();
        world.wire.writes(Write::Take(taken));
        world.wire.writes(Write::Pending);
        world.wire.answers("HTTP/1.1 413 Too Large\r\ncontent-length: 0\r\n\r\n");
        let piece = Piece::Data(Bytes::from(large(2 * BUFFER)));
        world.post(Script::new(Some(2 * BUFFER as u64), [piece])).unwrap();
        assert!(world.conn.is_body_complete() && !world.conn.is_reusable(), "{taken}");
    }
}

#[test]
fn a_body_without_end_lets_others_have_their_turn_and_ends_with_the_deadline() {
    let mut world = World::new();
    let piece = Bytes::from(large(BUFFER));
    let mut body = Box::pin(Script::new(None, (0..1000).map(|_| Piece::Data(piece.clone()))));
    let headers = HeaderMap::new();
    let (head, deadline, clock) = (post(&headers), world.at(1000), world.clock.clone());
    let wire = world.wire.clone();
    let mut request = std::pin::pin!(world.conn.request(&head, body.as_mut(), deadline, None));
    assert!(poll(request.as_mut()).is_pending());
    let first = wire.written().len();
    assert!(poll(request.as_mut()).is_pending());
    assert!(first > 0 && !wire.written().is_empty(), "each turn gets on with it");
    clock.turn(1000);
    assert!(matches!(now(request).unwrap_err().kind, ExchangeErrorKind::Timeout));
}

#[test]
fn an_answer_before_the_end_of_the_body_stops_the_sending() {
    for blocked_by in ["the peer", "the body"] {
        let mut world = World::new();
        world.wire.answers("HTTP/1.1 413 Too Large\r\ncontent-length: 3\r\n\r\nno!");
        let first = Piece::Data(Bytes::from(large(2 * BUFFER)));
        let mut pieces = vec![first, data("never sent")];
        if blocked_by == "the body" {
            pieces.insert(1, Piece::Pending);
        } else {
            world.wire.writes(Write::Take(100));
            world.wire.writes(Write::Pending);
        }
        let response = world.post(Script::new(None, pieces)).unwrap();
        assert_eq!(response.status(), 413);
        assert!(!world.wire.written().concat().ends_with(b"never sent\r\n0\r\n\r\n"));
        assert_eq!(world.read_body().unwrap(), b"no!");
        assert!(world.conn.is_body_complete() && !world.conn.is_reusable(), "{blocked_by}");
    }
}

#[test]
fn an_interim_response_does_not_stop_the_sending() {
    let mut world = World::new();
    world.wire.answers("HTTP/1.1 100 Continue\r\n\r\n");
    world.wire.reads(Read::Pending);
    world.wire.answers(OK);
    let pieces = [data("a"), Piece::Pending, data("b")];
    let mut body = Box::pin(Script::new(None, pieces));
    let headers = HeaderMap::new();
    let head = post(&headers);
    {
        let mut request = std::pin::pin!(world.conn.request(&head, body.as_mut(), None, None));
        assert!(poll(request.as_mut()).is_pending());
        assert!(poll(request.as_mut()).is_ready());
    }
    assert!(world.wire.text().ends_with("1\r\nb\r\n0\r\n\r\n"));
    assert!(world.conn.is_reusable());
}

#[test]
fn an_answer_behind_a_broken_pipe_is_found() {
    let mut world = World::new();
    world.wire.writes(Write::Take(50));
    world.wire.writes(Write::Fail(io::ErrorKind::BrokenPipe));
    // The socket's own readiness may lag: what the kernel has is asked for without waiting.
    world.wire.answers("HTTP/1.1 413 Too Large\r\ncontent-le");
    world.wire.answers("ngth: 3\r\n\r\nno!");
    world.wire.reads(Read::Fail(io::ErrorKind::ConnectionReset));
    let response = world.post(Script::known(b"hello")).unwrap();
    assert_eq!(response.status(), 413);
    assert_eq!(world.read_body().unwrap(), b"no!");
    assert!(!world.conn.is_reusable());
}

#[test]
fn a_broken_pipe_without_an_answer_is_reported_with_how_far_it_came() {
    for (taken, sent) in [(0, false), (50, true)] {
        let mut world = World::new();
        if taken > 0 {
            world.wire.writes(Write::Take(taken));
        }
        world.wire.writes(Write::Fail(io::ErrorKind::BrokenPipe));
        world.wire.reads(Read::Fail(io::ErrorKind::ConnectionReset));
        let (result, taken) = world.post_and_tell(Script::known(b"hello"));
        let error = result.unwrap_err();
        assert!(matches!(&error.kind, ExchangeErrorKind::Io(error)
            if error.kind() == io::ErrorKind::BrokenPipe));
        assert_eq!((error.sent, error.received, taken), (sent, false, true));
        assert_eq!(error.phase, crate::error::Phase::Write);
        assert!(!world.conn.is_reusable());
    }
}

#[test]
fn a_body_that_has_told_its_end_counts_as_taken_and_one_that_is_known_to_be_empty_does_not() {
    for (pieces, taken) in [(vec![Piece::End], true), (vec![data("")], true), (vec![], false)] {
        let mut world = World::new();
        world.wire.reads(Read::Eof);
        let (result, told) = world.post_and_tell(Script::new(None, pieces));
        assert_eq!((result.unwrap_err().sent, told), (true, taken));
    }
}

#[test]
fn a_body_that_breaks_its_word_kills_the_connection_once_sent() {
    let short = || Script::new(Some(9), [data("hello")]);
    let long = || Script::new(Some(3), [data("hello")]);
    let late = || Script::new(Some(5), [data("hello"), data("!")]);
    let fails = || Script::new(None, [data("hello"), Piece::Fail]);
    for (name, body) in [("short", short()), ("long", long()), ("late", late()), ("fails", fails())]
    {
        let mut world = World::new();
        world.wire.answers(OK);
        let (result, taken) = world.post_and_tell(body);
        let error = result.unwrap_err();
        assert!(matches!(error.kind, ExchangeErrorKind::Body(_)), "{name}: {error:?}");
        assert!(!error.sent && taken, "{name}");
        assert_eq!(world.wire.text(), "", "{name}: none of it is sent");
        assert!(world.conn.is_reusable(), "{name}: so no harm is done");
    }
    for last in [None, Some(Piece::Fail)] {
        let mut world = World::new();
        let pieces = [data("hello"), Piece::Pending].into_iter().chain(last);
        let mut body = Box::pin(Script::new(Some(9), pieces));
        let headers = HeaderMap::new();
        let head = post(&headers);
        let error = {
            let mut request = std::pin::pin!(world.conn.request(&head, body.as_mut(), None, None));
            assert!(poll(request.as_mut()).is_pending());
            now(request).unwrap_err()
        };
        assert!(matches!(error.kind, ExchangeErrorKind::Body(_)) && error.sent);
        assert!(!world.conn.is_reusable());
    }
}
