//! Peers and bodies that never make us wait: others have their turn, and deadlines hold.

use std::pin::pin;
use std::task::{Context, Poll};

use bytes::Bytes;

use super::double::{Piece, Read, Script, World, Write, empty, get, poll, post};
use super::timing::{Count, poll_with};
use super::*;
use crate::error::Phase;

/// More than any turn may take, in single bytes.
const MANY: usize = 100_000;

/// Polls a future that wakes its own task each time it is pending. What comes of it, and how often
/// it was pending.
pub(super) fn drive<F: Future>(future: F) -> (F::Output, usize) {
    let (count, waker) = Count::new();
    let mut future = pin!(future);
    for polls in 0..1_000_000 {
        assert_eq!(count.seen(), polls, "pending without a wake-up, or the other way round");
        if let Poll::Ready(output) = poll_with(future.as_mut(), &waker) {
            return (output, polls);
        }
    }
    panic!("it never ends");
}

/// A response whose body comes in single bytes, without a wait between them.
fn endless_body(world: &World, one_read: bool) {
    let chunk = "1\r\nx\r\n";
    world.wire.answers("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n");
    match one_read {
        true => world.wire.answers(chunk.repeat(MANY)),
        false => (0..MANY).for_each(|_| world.wire.answers(chunk)),
    }
}

#[test]
fn a_body_that_is_always_ready_lets_others_have_their_turn() {
    for one_read in [false, true] {
        let mut world = World::new();
        endless_body(&world, one_read);
        world.wire.answers("0\r\n\r\n");
        world.get().unwrap();
        let (mut bytes, mut pauses) = (0, 0);
        while !world.conn.is_body_complete() {
            let frame = std::future::poll_fn(|cx| world.conn.poll_frame(cx));
            let (frame, pending) = drive(frame);
            bytes += frame.map_or(0, |frame| frame.unwrap().into_data().unwrap().len());
            pauses += pending;
        }
        assert_eq!(bytes, MANY, "nothing is lost");
        assert!((MANY / 1000..MANY / 50).contains(&pauses), "{one_read}: {pauses}");
        assert!(world.conn.is_reusable());
    }
}

#[test]
fn the_deadline_holds_for_a_body_that_is_always_ready() {
    for one_read in [false, true] {
        let mut world = World::new();
        let (headers, deadline) = (HeaderMap::new(), world.at(1000));
        endless_body(&world, one_read);
        double::now(world.conn.request(&get(&headers), empty().as_mut(), deadline, None)).unwrap();
        assert!(matches!(world.poll_frame(), Poll::Ready(Some(Ok(_)))));
        world.clock.turn(1000);
        let late = (0..MANY / 50).find_map(|_| match world.poll_frame() {
            Poll::Ready(Some(Ok(_))) => None,
            other => Some(other),
        });
        let Some(Poll::Ready(Some(Err(error)))) = late else { panic!("{late:?}") };
        assert!(matches!(error.kind, ExchangeErrorKind::Timeout) && error.phase == Phase::Body);
        assert_eq!(world.clock.asked(), (0, 0, 0), "no alarm was set: nothing ever waited");
    }
}

#[test]
fn a_usual_response_is_read_without_a_pause() {
    let mut world = World::new();
    let body = "x".repeat(256 * 1024);
    let length = body.len();
    world.wire.answers(format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n{body}"));
    world.get().unwrap();
    assert_eq!(world.read_body().unwrap().len(), length);
}

#[test]
fn a_pause_comes_only_after_a_whole_turn_without_a_wait() {
    let mut world = World::new();
    world.wire.answers("HTTP/1.1 200 OK\r\n\r\n");
    for _ in 0..MANY {
        world.wire.answers("x");
        world.wire.reads(Read::Pending);
    }
    world.get().unwrap();
    let (count, waker) = Count::new();
    for _ in 0..MANY {
        let cx = Context::from_waker(&waker);
        assert!(matches!(world.conn.poll_frame(&cx), Poll::Ready(Some(Ok(_)))));
        assert!(world.conn.poll_frame(&cx).is_pending());
    }
    assert_eq!(count.seen(), 0, "waiting is pause enough");
}

#[test]
fn a_head_that_trickles_without_a_wait_lets_others_have_their_turn() {
    let heads = [
        format!("HTTP/1.1 204 No Content\r\nx: {}\r\n\r\n", "v".repeat(20_000)),
        "HTTP/1.1 103 Early Hints\r\n\r\n".repeat(16) + "HTTP/1.1 204 No Content\r\n\r\n",
    ];
    for answer in heads {
        let mut world = World::new();
        answer.bytes().for_each(|byte| world.wire.answers([byte]));
        let headers = HeaderMap::new();
        let (head, mut body) = (get(&headers), empty());
        let (result, pauses) = drive(world.conn.request(&head, body.as_mut(), None, None));
        assert_eq!(result.unwrap().status(), 204);
        assert!(pauses >= answer.len() / 1000, "{pauses} for {} bytes", answer.len());
        assert!(world.conn.is_reusable());
    }
}

#[test]
fn the_deadline_holds_for_a_head_that_trickles_without_a_wait() {
    let mut world = World::new();
    world.wire.answers("HTTP/1.1 200 OK\r\nx: ");
    (0..20_000).for_each(|_| world.wire.answers("v"));
    let (headers, deadline) = (HeaderMap::new(), world.at(1000));
    world.clock.turn(1000);
    let result = double::now(world.conn.request(&get(&headers), empty().as_mut(), deadline, None));
    assert!(matches!(result.unwrap_err().kind, ExchangeErrorKind::Timeout));
    assert!(world.conn.bytes_in() < 1000);
}

#[test]
fn one_huge_piece_that_the_peer_takes_at_once_lets_others_have_their_turn() {
    const LENGTH: usize = 16 << 20;
    for answered in [false, true] {
        let mut world = World::new();
        for _ in 0..LENGTH / 10_000 {
            world.wire.writes(Write::Take(10_000));
        }
        if answered {
            world.wire.answers("HTTP/1.1 413 Too Large\r\ncontent-length: 0\r\n\r\n");
        }
        let piece = Piece::Data(Bytes::from(vec![b'x'; LENGTH]));
        let mut body = Box::pin(Script::new(Some(LENGTH as u64), [piece]));
        let headers = HeaderMap::new();
        let (head, deadline, clock) = (post(&headers), world.at(1000), world.clock.clone());
        let mut request = pin!(world.conn.request(&head, body.as_mut(), deadline, None));
        let (count, waker) = Count::new();
        let polled = poll_with(request.as_mut(), &waker);
        let sent = world.wire.written().concat().len();
        assert!(sent > LENGTH / 100 && sent < LENGTH / 4, "{sent} in one turn");
        if answered {
            let Poll::Ready(Ok(response)) = polled else { panic!("the answer is not seen") };
            assert_eq!(response.status(), 413);
            continue;
        }
        assert!(polled.is_pending() && count.seen() == 1);
        assert!(poll(request.as_mut()).is_pending());
        clock.turn(1000);
        let Poll::Ready(Err(error)) = poll(request.as_mut()) else { panic!("it goes on") };
        assert!(matches!(error.kind, ExchangeErrorKind::Timeout));
        assert_eq!((error.phase, error.sent), (Phase::Write, true));
    }
}

#[test]
fn a_body_of_empty_pieces_without_end_lets_others_have_their_turn_and_ends_with_the_deadline() {
    let mut world = World::new();
    let pieces = (0..MANY).map(|_| Piece::Data(Bytes::new()));
    let mut body = Box::pin(Script::new(None, pieces));
    let headers = HeaderMap::new();
    let (head, deadline, clock) = (post(&headers), world.at(1000), world.clock.clone());
    let mut request = pin!(world.conn.request(&head, body.as_mut(), deadline, None));
    let (count, waker) = Count::new();
    assert!(poll_with(request.as_mut(), &waker).is_pending());
    assert_eq!(count.seen(), 1, "it has not waited for anybody");
    clock.turn(1000);
    let Poll::Ready(Err(error)) = poll(request.as_mut()) else { panic!("it goes on") };
    assert!(matches!(error.kind, ExchangeErrorKind::Timeout));
}
