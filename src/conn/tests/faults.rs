//! Peers that lie, stop, or talk out of turn.

use std::io;

use super::double::{Read, Script, World, Write};
use super::*;
use crate::error::Phase;
use crate::proto::h1::ProtocolError;

#[test]
fn a_peer_that_closes_without_a_byte_is_told_apart() {
    let mut world = World::new();
    world.wire.reads(Read::Eof);
    let error = world.get().unwrap_err();
    assert!(matches!(error.kind, ExchangeErrorKind::Eof));
    assert_eq!((error.sent, error.received, error.phase), (true, false, Phase::Response));
    assert!(!world.conn.is_reusable());
}

#[test]
fn a_head_cut_short_is_an_error() {
    let mut world = World::new();
    world.wire.answers("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n");
    world.wire.reads(Read::Eof);
    let error = world.get().unwrap_err();
    assert!(matches!(error.kind, ExchangeErrorKind::Eof));
    assert_eq!((error.sent, error.received, error.phase), (true, true, Phase::Response));
}

#[test]
fn a_reset_is_an_error_with_its_cause() {
    let mut world = World::new();
    world.wire.reads(Read::Fail(io::ErrorKind::ConnectionReset));
    let error = world.get().unwrap_err();
    assert!(error.sent && !error.received && !world.conn.is_reusable());
    let source = error.into_source().unwrap().downcast::<io::Error>();
    assert_eq!(source.unwrap().kind(), io::ErrorKind::ConnectionReset);
}

#[test]
fn an_interrupted_call_is_made_again() {
    let mut world = World::new();
    world.wire.writes(Write::Fail(io::ErrorKind::Interrupted));
    world.wire.reads(Read::Fail(io::ErrorKind::Interrupted));
    world.wire.answers("HTTP/1.1 204 No Content\r\n\r\n");
    assert_eq!(world.get().unwrap().status(), 204);
}

#[test]
fn a_body_cut_short_is_an_error_by_whichever_end() {
    let heads = [
        "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhell",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\nhell\r\n0\r\n",
    ];
    for head in heads {
        for reset in [false, true] {
            let mut world = World::new();
            world.wire.answers(head);
            world.wire.reads(match reset {
                true => Read::Fail(io::ErrorKind::ConnectionReset),
                false => Read::Eof,
            });
            world.get().unwrap();
            let error = world.read_body().unwrap_err();
            assert_eq!((error.sent, error.received, error.phase), (true, true, Phase::Body));
            assert_eq!(matches!(error.kind, ExchangeErrorKind::Eof), !reset);
            assert!(!world.conn.is_reusable());
            let again = world.poll_frame();
            assert!(matches!(again, std::task::Poll::Ready(Some(Err(_)))), "it has no end");
        }
    }
}

#[test]
fn a_connection_that_was_aborted_ends_no_body_and_leaves_a_whole_one_whole() {
    for (body, whole) in [("hell", false), ("hello", true)] {
        let mut world = World::new();
        world.wire.answers("HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n");
        world.wire.answers(body);
        world.get().unwrap();
        let std::task::Poll::Ready(Some(Ok(_))) = world.poll_frame() else { panic!() };
        world.conn.abort();
        for _ in 0..2 {
            match world.poll_frame() {
                std::task::Poll::Ready(None) => assert!(whole),
                std::task::Poll::Ready(Some(Err(error))) => {
                    assert!(!whole && error.phase == Phase::Body && error.received);
                }
                other => panic!("{other:?}"),
            }
        }
        assert!(!world.conn.is_reusable());
    }
}

#[test]
fn a_body_until_close_ends_with_the_stream_but_not_with_a_reset() {
    let mut world = World::new();
    world.wire.answers("HTTP/1.1 200 OK\r\n\r\nabc");
    world.wire.answers("def");
    world.wire.reads(Read::Eof);
    world.get().unwrap();
    assert_eq!(world.read_body().unwrap(), b"abcdef");
    assert!(world.conn.is_body_complete() && !world.conn.is_reusable());

    let mut world = World::new();
    world.wire.answers("HTTP/1.1 200 OK\r\n\r\nabc");
    world.wire.reads(Read::Fail(io::ErrorKind::ConnectionReset));
    world.get().unwrap();
    assert!(matches!(world.read_body().unwrap_err().kind, ExchangeErrorKind::Io(_)));
}

#[test]
fn junk_is_a_protocol_error_and_the_end_of_the_connection() {
    for (junk, expected) in [
        ("SSH-2.0-OpenSSH\r\n", ProtocolError::NotHttp1),
        ("HTTP/1.1 200 OK\r\ncontent-length: 5, 6\r\n\r\n", ProtocolError::ContentLength),
        ("HTTP/1.1 200 OK\r\ntransfer-encoding: gzip\r\n\r\n", ProtocolError::TransferEncoding),
        ("HTTP/1.1 101 Switching\r\nupgrade: h2c\r\n\r\n", ProtocolError::Upgrade),
        ("HTTP/1.1 200 OK\r\na: b\r\n c\r\n\r\n", ProtocolError::Folded),
    ] {
        let mut world = World::new();
        world.wire.answers(junk);
        let error = world.get().unwrap_err();
        assert!(matches!(error.kind, ExchangeErrorKind::Protocol(found) if found == expected));
        assert!(error.received && !world.conn.is_reusable(), "{junk}");
    }
}

#[test]
fn a_flood_of_interim_responses_ends() {
    let mut world = World::new();
    world.wire.answers("HTTP/1.1 103 Early Hints\r\n\r\n".repeat(1000));
    let error = world.get().unwrap_err();
    let expected = ProtocolError::TooManyInterim;
    assert!(matches!(error.kind, ExchangeErrorKind::Protocol(found) if found == expected));
}

#[test]
fn a_head_without_end_ends_at_the_limit() {
    let mut world = World::new();
    world.wire.answers("HTTP/1.1 200 OK\r\n");
    for _ in 0..10_000 {
        world.wire.answers("x-filler: 0123456789\r\n");
    }
    let headers = HeaderMap::new();
    let (head, mut body) = (double::get(&headers), double::empty());
    let (result, _) = turn::drive(world.conn.request(&head, body.as_mut(), None, None));
    let error = result.unwrap_err();
    let expected = ProtocolError::HeadTooLarge;
    assert!(matches!(error.kind, ExchangeErrorKind::Protocol(found) if found == expected));
    assert!(world.conn.bytes_in() < 70_000);
}

#[test]
fn bad_chunks_are_reported_behind_the_data_that_was_good() {
    let mut world = World::new();
    let chunks = "5\r\nhello\r\nzz\r\n";
    world.wire.answers(format!("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n{chunks}"));
    world.get().unwrap();
    let std::task::Poll::Ready(Some(Ok(frame))) = world.poll_frame() else { panic!() };
    assert_eq!(frame.into_data().unwrap(), "hello");
    let std::task::Poll::Ready(Some(Err(error))) = world.poll_frame() else { panic!() };
    let expected = ProtocolError::Chunk;
    assert!(matches!(error.kind, ExchangeErrorKind::Protocol(found) if found == expected));
    assert!(!world.conn.is_reusable());
}

#[test]
fn an_answer_to_nothing_is_never_taken_for_ours() {
    let mut world = World::new();
    world.wire.writes(Write::Pending);
    world.wire.answers("HTTP/1.1 408 Request Timeout\r\ncontent-length: 0\r\n\r\n");
    let error = world.post(Script::known(b"hello")).unwrap_err();
    let expected = ProtocolError::Unsolicited;
    assert!(matches!(error.kind, ExchangeErrorKind::Protocol(found) if found == expected));
    assert!(!error.sent && !world.conn.is_reusable());
    assert!(error.is_broken(), "as good as closed: nothing of ours was sent");

    let mut world = World::new();
    world.wire.writes(Write::Fail(io::ErrorKind::BrokenPipe));
    world.wire.answers("HTTP/1.1 408 Request Timeout\r\ncontent-length: 0\r\n\r\n");
    let error = world.get().unwrap_err();
    assert!(matches!(error.kind, ExchangeErrorKind::Io(_)) && !error.sent);
}
