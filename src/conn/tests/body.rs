//! Response bodies: frames, trailers, and bodies that nobody wants.

use std::task::Poll;

use super::double::{Read, World};
use super::*;

fn respond(world: &mut World, response: &str) {
    world.wire.answers(response);
    world.get().unwrap();
}

const CHUNKED: &str = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";

#[test]
fn the_connection_is_free_with_the_last_data_not_one_poll_later() {
    for response in [
        "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello",
        &format!("{CHUNKED}5\r\nhello\r\n0\r\n\r\n"),
    ] {
        let mut world = World::new();
        respond(&mut world, response);
        let Poll::Ready(Some(Ok(frame))) = world.poll_frame() else { panic!() };
        assert_eq!(frame.into_data().unwrap(), "hello");
        assert!(world.conn.is_body_complete() && world.conn.is_reusable(), "{response}");
        assert_eq!(world.shared.buffers.kept(), 1);
        assert!(matches!(world.poll_frame(), Poll::Ready(None)));
    }
}

#[test]
fn trailers_come_after_the_data_and_are_waited_for() {
    for split in [false, true] {
        let mut world = World::new();
        let end = "0\r\nx-sum: 7\r\n\r\n";
        if split {
            respond(&mut world, &format!("{CHUNKED}5\r\nhello\r\n"));
            world.wire.answers(end);
        } else {
            respond(&mut world, &format!("{CHUNKED}5\r\nhello\r\n{end}"));
        }
        let Poll::Ready(Some(Ok(frame))) = world.poll_frame() else { panic!() };
        assert_eq!(frame.into_data().unwrap(), "hello");
        assert!(!world.conn.is_body_complete() && !world.conn.is_reusable());
        let Poll::Ready(Some(Ok(frame))) = world.poll_frame() else { panic!() };
        assert_eq!(frame.into_trailers().unwrap()["x-sum"], "7");
        assert!(world.conn.is_body_complete() && world.conn.is_reusable());
        assert!(matches!(world.poll_frame(), Poll::Ready(None)));
    }
}

#[test]
fn a_body_larger_than_the_buffer_comes_in_frames() {
    let mut world = World::new();
    let body = "0123456789abcdef".repeat(8 * 1024);
    respond(
        &mut world,
        &format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}", body.len()),
    );
    assert_eq!(world.conn.size_hint().exact(), Some(body.len() as u64));
    assert!(world.read_body().unwrap() == body.as_bytes());
    assert!(world.conn.is_reusable());
}

#[test]
fn a_body_waits_for_data_and_goes_on() {
    let mut world = World::new();
    respond(&mut world, "HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nab");
    assert!(world.poll_frame().is_ready());
    assert!(world.poll_frame().is_pending());
    assert_eq!(world.conn.size_hint().exact(), Some(2));
    world.wire.answers("cd");
    assert_eq!(world.read_body().unwrap(), b"cd");
    assert!(world.conn.is_reusable());
}

#[test]
fn an_unwanted_body_that_is_here_is_drained() {
    let mut world = World::new();
    respond(&mut world, "HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf,");
    world.wire.answers("half.");
    assert!(world.conn.drain() && world.conn.is_reusable());
    assert_eq!(world.shared.buffers.kept(), 1);

    let mut world = World::new();
    respond(&mut world, &format!("{CHUNKED}5\r\nhello\r\n"));
    world.wire.answers("0\r\nx: trailers too\r\n\r\n");
    assert!(world.conn.drain() && world.conn.is_reusable());

    let mut world = World::new();
    respond(&mut world, &format!("{CHUNKED}1\r\na\r\n0\r\nx: y\r\n\r\n"));
    assert!(world.poll_frame().is_ready());
    assert!(!world.conn.is_reusable(), "its trailers were not asked for yet");
    assert!(world.conn.drain() && world.conn.is_reusable());
}

#[test]
fn an_unwanted_body_that_is_not_here_is_not_waited_for() {
    let mut world = World::new();
    respond(&mut world, "HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf,");
    assert!(!world.conn.drain() && !world.conn.is_reusable());
    let mut world = World::new();
    respond(&mut world, "HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf,");
    world.wire.reads(Read::Eof);
    assert!(!world.conn.drain() && !world.conn.is_reusable());
    let mut world = World::new();
    respond(&mut world, &format!("{CHUNKED}zz\r\n"));
    assert!(!world.conn.drain() && !world.conn.is_reusable());
}

#[test]
fn an_unwanted_body_at_the_bound_is_drained_and_one_over_is_not_even_read() {
    for (over, drained) in [(0, true), (1, false)] {
        let mut world = World::new();
        let len = MAX_DRAIN + over;
        respond(&mut world, &format!("HTTP/1.1 200 OK\r\ncontent-length: {len}\r\n\r\n"));
        let before = world.conn.bytes_in();
        let body = "x".repeat(usize::try_from(len).unwrap());
        world.wire.answers(body);
        assert_eq!(world.conn.drain(), drained);
        assert_eq!(world.conn.is_reusable(), drained);
        assert_eq!(world.conn.bytes_in() - before, if drained { len } else { 0 });
    }
    // Without a stated length it is read up to the bound.
    let mut world = World::new();
    respond(&mut world, &format!("{CHUNKED}fffffff\r\n"));
    world.wire.answers("x".repeat(1 << 20));
    assert!(!world.conn.drain());
    assert!(world.conn.bytes_in() < MAX_DRAIN + 2 * 16 * 1024);
}

#[test]
fn there_is_nothing_to_drain_before_the_head() {
    let mut world = World::new();
    {
        let headers = HeaderMap::new();
        let (head, mut body) = (double::get(&headers), double::empty());
        let mut request = std::pin::pin!(world.conn.request(&head, body.as_mut(), None, None));
        assert!(double::poll(request.as_mut()).is_pending());
    }
    world.wire.answers("HTTP/1.1 204 No Content\r\n\r\n");
    assert!(!world.conn.drain() && !world.conn.is_reusable());
    assert_eq!(world.conn.bytes_in(), 0);
}

#[test]
fn draining_finds_a_stray_response_behind_the_body() {
    let mut world = World::new();
    respond(&mut world, "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n");
    world.wire.answers("helloHTTP/1.1 200 OK\r\n\r\n");
    assert!(world.conn.drain() && !world.conn.is_reusable());
}

#[test]
fn a_reader_that_does_not_read_lets_the_peer_wait() {
    let mut world = World::new();
    world.wire.answers("HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n");
    for _ in 0..10 {
        world.wire.answers([b'x'; 10]);
    }
    world.get().unwrap();
    for left in (0..10).rev() {
        assert_eq!(world.wire.unread(), left + 1, "nothing is read ahead");
        assert!(matches!(world.poll_frame(), Poll::Ready(Some(Ok(_)))));
    }
    assert!(world.conn.is_reusable());
}
