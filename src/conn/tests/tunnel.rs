//! Connections that turn into byte streams.

use std::io::{self, IoSlice};
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use http::{HeaderValue, Method};

use super::double::{Piece, Read, Script, World, Write, empty, now, poll};
use super::timing::Count;
use super::*;
use crate::proto::h1::ProtocolError;

const SWITCH: &str = "HTTP/1.1 101 Switching Protocols\r\nupgrade: chat\r\n\r\n";

fn upgrade() -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert("upgrade", HeaderValue::from_static("chat"));
    headers.insert("connection", HeaderValue::from_static("upgrade"));
    headers
}

/// A connection that has switched, and what came right behind the head.
fn switched(behind: &str) -> World {
    let mut world = World::new();
    world.wire.answers(format!("{SWITCH}{behind}"));
    let headers = upgrade();
    let response = now(world.conn.request(&double::get(&headers), empty().as_mut(), None, None));
    assert_eq!(response.unwrap().status(), 101);
    assert!(world.conn.is_tunnel() && world.conn.is_body_complete());
    assert!(!world.conn.is_reusable() && !world.conn.is_unfinished());
    world
}

fn read(world: &mut World, room: usize) -> Poll<io::Result<Vec<u8>>> {
    let mut buf = vec![0; room];
    let mut cx = Context::from_waker(Waker::noop());
    let read = world.conn.poll_tunnel_read(&mut cx, &mut buf);
    read.map_ok(|n| buf[..n].to_vec())
}

#[test]
fn what_came_with_the_head_is_read_first_and_the_rest_from_the_wire() {
    let mut world = switched("hello");
    world.wire.answers(", world");
    let mut seen = Vec::new();
    for expected in ["he", "ll", "o", ", ", "wo"] {
        let Poll::Ready(Ok(bytes)) = read(&mut world, 2) else { panic!("{seen:?}") };
        assert_eq!(bytes, expected.as_bytes());
        seen.extend(bytes);
    }
    assert_eq!(world.shared.buffers.kept(), 1, "the buffer went back when it was empty");
    assert!(matches!(read(&mut world, 9), Poll::Ready(Ok(bytes)) if bytes == b"rld"));
    assert!(read(&mut world, 9).is_pending());
    world.wire.reads(Read::Eof);
    assert!(matches!(read(&mut world, 9), Poll::Ready(Ok(bytes)) if bytes.is_empty()));
    assert_eq!(world.conn.bytes_in(), (SWITCH.len() + "hello, world".len()) as u64);
}

#[test]
fn writes_go_to_the_wire_as_they_are() {
    let mut world = switched("");
    world.wire.written();
    world.wire.writes(Write::Take(3));
    let mut cx = Context::from_waker(Waker::noop());
    let pieces = [IoSlice::new(b"ab"), IoSlice::new(b"cd")];
    let written = world.conn.poll_tunnel_write(&mut cx, &pieces);
    assert!(matches!(written, Poll::Ready(Ok(3))));
    assert_eq!(world.wire.text(), "abc");
    assert!(matches!(world.conn.poll_tunnel_flush(&mut cx), Poll::Ready(Ok(()))));
    assert!(matches!(world.conn.poll_tunnel_close(&mut cx), Poll::Ready(Ok(()))));
}

#[test]
fn the_deadline_of_the_request_does_not_hold_for_what_follows() {
    let mut world = World::new();
    let headers = upgrade();
    let (head, mut body, deadline) = (double::get(&headers), empty(), world.at(1000));
    {
        let mut request = pin!(world.conn.request(&head, body.as_mut(), deadline, None));
        assert!(poll(request.as_mut()).is_pending());
        world.wire.answers(SWITCH);
        assert!(poll(request.as_mut()).is_ready());
    }
    world.clock.turn(5000);
    assert!(read(&mut world, 9).is_pending());
}

#[test]
fn a_cut_wakes_whoever_came_last_and_ends_the_stream() {
    for ahead in ["", "hello"] {
        let mut world = switched(ahead);
        let (count, waker) = Count::new();
        let mut cx = Context::from_waker(&waker);
        world.wire.writes(Write::Pending);
        assert!(world.conn.poll_tunnel_write(&mut cx, &[IoSlice::new(b"x")]).is_pending());
        world.signal.cut();
        assert_eq!(count.seen(), 1);
        let Poll::Ready(Err(error)) = read(&mut world, 9) else { panic!("{ahead:?}") };
        assert_eq!(error.kind(), io::ErrorKind::ConnectionAborted);
        assert!(world.wire.aborted());
        drop((world, waker));
        assert_eq!(Arc::strong_count(&count), 1);
    }
}

#[test]
fn a_switch_before_the_kernel_has_the_whole_request_is_refused() {
    for (taken, early) in [(10, true), (10_000, false)] {
        let mut world = World::new();
        world.wire.writes(Write::Take(taken));
        if early {
            world.wire.writes(Write::Pending);
        }
        world.wire.answers(SWITCH);
        let mut body = Box::pin(Script::new(Some(5), [Piece::Data(Bytes::from_static(b"hello"))]));
        let headers = upgrade();
        let result = now(world.conn.request(&double::post(&headers), body.as_mut(), None, None));
        assert_eq!(result.is_err(), early);
        if let Err(error) = result {
            assert!(matches!(error.kind, ExchangeErrorKind::Protocol(ProtocolError::EarlyUpgrade)));
        }
    }
}

#[test]
fn a_connect_that_is_granted_is_a_tunnel_and_one_that_is_not_a_response() {
    let connect = |answer: &str| {
        let mut world = World::new();
        world.wire.answers(answer);
        let headers = HeaderMap::new();
        let head = RequestHead {
            method: &Method::CONNECT,
            form: Form::Authority,
            base_path: "/base",
            path: "/",
            authority: "far:443",
            headers: &headers,
        };
        now(world.conn.request(&head, empty().as_mut(), None, None)).unwrap();
        assert_eq!(world.wire.text(), "CONNECT far:443 HTTP/1.1\r\nhost: far:443\r\n\r\n");
        world
    };
    let mut world = connect("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nraw");
    assert!(world.conn.is_tunnel());
    assert!(matches!(read(&mut world, 9), Poll::Ready(Ok(bytes)) if bytes == b"raw"));
    let mut world = connect("HTTP/1.1 407 No\r\ncontent-length: 3\r\n\r\nwho");
    assert!(!world.conn.is_tunnel());
    assert_eq!(world.read_body().unwrap(), b"who");
    assert!(world.conn.is_reusable());
}
