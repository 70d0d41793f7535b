//! The time of each step, and bodies that wait for leave.

use std::pin::pin;
use std::task::Poll;

use bytes::Bytes;
use http::HeaderValue;

use super::double::{Piece, Read, Script, World, Write, empty, get, now, poll, post};
use super::*;
use crate::config::Config;
use crate::error::Phase;

const OK: &str = "HTTP/1.1 204 No Content\r\n\r\n";
const LEAVE: &str = "HTTP/1.1 100 Continue\r\n\r\n";

/// Half a second for each step; a quarter for a leave.
fn steps() -> Option<Box<Steps>> {
    let half = Some(Duration::from_millis(500));
    let expect = Duration::from_millis(250);
    Some(Box::new(Steps { write: half, head: half, body: half, expect }))
}

fn expecting() -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert("expect", HeaderValue::from_static("100-continue"));
    headers
}

#[test]
fn a_request_that_need_not_wait_is_not_timed() {
    let mut world = World::new();
    world.wire.answers("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi");
    let headers = HeaderMap::new();
    now(world.conn.request(&get(&headers), empty().as_mut(), None, steps())).unwrap();
    assert_eq!(world.read_body().unwrap(), b"hi");
    assert_eq!(world.clock.asked(), (0, 0, 0));
}

#[test]
fn the_wait_for_a_head_ends_at_its_time_and_an_interim_one_does_not_prolong_it() {
    for (interim, turn) in [(false, 499), (true, 499)] {
        let mut world = World::new();
        let headers = HeaderMap::new();
        let (head, mut body) = (get(&headers), empty());
        let (clock, wire) = (world.clock.clone(), world.wire.clone());
        let deadline = world.at(9000);
        let mut request = pin!(world.conn.request(&head, body.as_mut(), deadline, steps()));
        assert!(poll(request.as_mut()).is_pending());
        clock.turn(turn);
        if interim {
            wire.answers("HTTP/1.1 102 Processing\r\n\r\n");
        }
        assert!(poll(request.as_mut()).is_pending());
        clock.turn(turn + 1);
        let error = now(request).unwrap_err();
        assert!(matches!(error.kind, ExchangeErrorKind::Stall), "{error:?}");
        assert_eq!((error.phase, error.sent), (Phase::Response, true));
        assert_eq!(error.message(), "no response came within the time for its head");
    }
}

#[test]
fn what_has_come_by_the_end_of_a_step_is_in_time_however_late_it_is_looked_at() {
    let mut world = World::new();
    let headers = HeaderMap::new();
    let (head, mut body) = (get(&headers), empty());
    {
        let mut request = pin!(world.conn.request(&head, body.as_mut(), None, steps()));
        assert!(poll(request.as_mut()).is_pending());
        world.wire.answers("HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\n");
        world.clock.turn(5000);
        assert!(matches!(poll(request.as_mut()), Poll::Ready(Ok(_))));
    }
    assert!(world.poll_frame().is_pending());
    world.wire.answers("hi");
    world.clock.turn(50_000);
    assert!(matches!(world.poll_frame(), Poll::Ready(Some(Ok(_)))));
    assert!(world.poll_frame().is_pending());
    world.clock.turn(50_499);
    assert!(world.poll_frame().is_pending());
    world.clock.turn(50_500);
    let Poll::Ready(Some(Err(error))) = world.poll_frame() else { panic!() };
    assert!(matches!(error.kind, ExchangeErrorKind::Stall));
    assert_eq!(error.message(), "no more of the response's body came in time");
    assert!(!world.conn.is_reusable());
}

#[test]
fn a_write_that_gets_on_has_all_its_time_again() {
    let mut world = World::new();
    for _ in 0..3 {
        world.wire.writes(Write::Take(4));
        world.wire.writes(Write::Pending);
    }
    let headers = HeaderMap::new();
    let (head, mut body) = (get(&headers), empty());
    let (clock, wire) = (world.clock.clone(), world.wire.clone());
    let mut request = pin!(world.conn.request(&head, body.as_mut(), None, steps()));
    for at in [0, 499, 998] {
        clock.turn(at);
        assert!(poll(request.as_mut()).is_pending(), "{at}");
    }
    wire.writes(Write::Pending);
    clock.turn(1498);
    let error = now(request).unwrap_err();
    assert!(matches!(error.kind, ExchangeErrorKind::Stall));
    assert_eq!((error.phase, error.sent), (Phase::Write, true));
    assert_eq!(error.message(), "the server took no more of the request in time");
}

#[test]
fn a_connection_that_was_spared_by_one_request_has_all_its_time_for_the_next() {
    let mut world = World::new();
    let headers = HeaderMap::new();
    for end in [500, 1000] {
        world.wire.writes(Write::Pending);
        let (head, mut body) = (get(&headers), empty());
        let (clock, wire) = (world.clock.clone(), world.wire.clone());
        let mut request = pin!(world.conn.request(&head, body.as_mut(), None, steps()));
        assert!(poll(request.as_mut()).is_pending());
        wire.writes(Write::Pending);
        clock.turn(end - 1);
        assert!(poll(request.as_mut()).is_pending(), "{end}");
        wire.writes(Write::Pending);
        clock.turn(end);
        let error = now(request).unwrap_err();
        assert!(matches!(error.kind, ExchangeErrorKind::Stall) && !error.sent);
    }
    assert!(world.conn.is_reusable());
}

#[test]
fn the_callers_own_body_has_all_the_time_of_the_whole() {
    let mut world = World::new();
    let pieces = [Piece::Data(Bytes::from_static(b"a")), Piece::Pending, Piece::Pending];
    let mut body = Box::pin(Script::new(None, pieces));
    let headers = HeaderMap::new();
    let head = post(&headers);
    let (clock, wire) = (world.clock.clone(), world.wire.clone());
    let deadline = world.at(9000);
    let mut request = pin!(world.conn.request(&head, body.as_mut(), deadline, steps()));
    assert!(poll(request.as_mut()).is_pending());
    clock.turn(8999);
    assert!(poll(request.as_mut()).is_pending());
    wire.answers(OK);
    assert!(matches!(poll(request.as_mut()), Poll::Ready(Ok(_))));
}

#[test]
fn the_deadline_of_the_whole_is_told_from_that_of_a_step() {
    for (deadline, whole) in [(499, true), (500, true), (501, false)] {
        let mut world = World::new();
        let headers = HeaderMap::new();
        let (head, mut body) = (get(&headers), empty());
        let (clock, deadline) = (world.clock.clone(), world.at(deadline));
        let mut request = pin!(world.conn.request(&head, body.as_mut(), deadline, steps()));
        assert!(poll(request.as_mut()).is_pending());
        clock.turn(500);
        let error = now(request).unwrap_err();
        assert_eq!(matches!(error.kind, ExchangeErrorKind::Timeout), whole, "{error:?}");
    }
}

#[test]
fn the_pools_own_times_hold_where_the_request_has_none() {
    let mut world = World::new();
    world.clock.turn(7);
    let headers = HeaderMap::new();
    let (head, mut body) = (get(&headers), empty());
    let mut request = pin!(world.conn.request(&head, body.as_mut(), None, None));
    assert!(poll(request.as_mut()).is_pending());
    assert_eq!(world.clock.asked(), (0, 0, 0), "the defaults time no step");
    assert_eq!(Config::default().steps().expect, Duration::from_secs(1));
}

#[test]
fn a_body_that_waits_for_leave_goes_out_with_it() {
    let mut world = World::new();
    let mut body = Box::pin(Script::known(b"hello"));
    let headers = expecting();
    let head = post(&headers);
    let (wire, clock) = (world.wire.clone(), world.clock.clone());
    {
        let mut request = pin!(world.conn.request(&head, body.as_mut(), None, steps()));
        assert!(poll(request.as_mut()).is_pending());
        let text = "POST / HTTP/1.1\r\nhost: test\r\nexpect: 100-continue\r\n\
                    content-length: 5\r\n\r\n";
        assert_eq!(wire.text(), text);
        clock.turn(249);
        assert!(poll(request.as_mut()).is_pending());
        assert_eq!(wire.text(), "", "not before it may");
        wire.answers(LEAVE);
        assert!(poll(request.as_mut()).is_pending());
        assert_eq!(wire.text(), "hello");
        wire.answers(OK);
        assert!(matches!(poll(request.as_mut()), Poll::Ready(Ok(_))));
    }
    assert!(world.conn.is_reusable());
}

#[test]
fn a_leave_that_does_not_come_is_done_without() {
    let mut world = World::new();
    let mut body = Box::pin(Script::known(b"hello"));
    let headers = expecting();
    let head = post(&headers);
    let (wire, clock) = (world.wire.clone(), world.clock.clone());
    {
        let mut request = pin!(world.conn.request(&head, body.as_mut(), None, steps()));
        assert!(poll(request.as_mut()).is_pending());
        wire.written();
        clock.turn(250);
        assert!(poll(request.as_mut()).is_pending());
        assert_eq!(wire.text(), "hello");
        // One that comes late does no harm.
        wire.answers(LEAVE);
        wire.reads(Read::Pending);
        wire.answers(OK);
        assert!(poll(request.as_mut()).is_pending());
        assert!(matches!(poll(request.as_mut()), Poll::Ready(Ok(_))));
    }
    assert!(world.conn.is_reusable());
}

#[test]
fn a_body_that_is_refused_is_never_asked_for() {
    let mut world = World::new();
    world.wire.answers("HTTP/1.1 417 Expectation Failed\r\ncontent-length: 0\r\n\r\n");
    let headers = expecting();
    let mut body = Box::pin(Script::known(b"hello"));
    let response = now(world.conn.request(&post(&headers), body.as_mut(), None, steps())).unwrap();
    assert_eq!((response.status().as_u16(), body.pieces.len()), (417, 1));
    assert!(!world.wire.text().contains("hello"));
    assert!(world.conn.is_body_complete() && !world.conn.is_reusable());
}

#[test]
fn the_deadline_of_the_whole_ends_the_wait_for_a_leave() {
    let mut world = World::new();
    let headers = expecting();
    let mut body = Box::pin(Script::known(b"hello"));
    let (head, clock, deadline) = (post(&headers), world.clock.clone(), world.at(100));
    let mut upload = Upload::new(body.as_mut());
    let error = {
        let mut request = pin!(world.conn.exchange(&head, &mut upload, deadline, steps()));
        assert!(poll(request.as_mut()).is_pending());
        clock.turn(100);
        now(request).unwrap_err()
    };
    assert!(matches!(error.kind, ExchangeErrorKind::Timeout) && !upload.is_taken());
    assert_eq!(error.phase, Phase::Write);
}
