//! Requests that go well, and what a connection is worth after them.

use std::task::Poll;

use http::{HeaderValue, StatusCode, Version};

use super::double::{World, empty, get, now, poll};
use super::*;

#[test]
fn a_get_is_one_write_and_leaves_the_connection_reusable() {
    let mut world = World::new();
    world.wire.answers("HTTP/1.1 200 OK\r\ncontent-length: 5\r\nx-a: b\r\n\r\nhello");
    let response = world.get().unwrap();
    assert_eq!((response.status(), response.version()), (StatusCode::OK, Version::HTTP_11));
    assert_eq!(response.headers()["x-a"], "b");
    assert_eq!(world.wire.written(), [b"GET / HTTP/1.1\r\nhost: test\r\n\r\n"]);
    assert_eq!(world.conn.size_hint().exact(), Some(5));
    assert!(!world.conn.is_reusable() && !world.conn.is_body_complete());
    assert_eq!(world.read_body().unwrap(), b"hello");
    assert!(world.conn.is_reusable() && world.conn.is_body_complete());
    assert_eq!((world.conn.uses(), world.conn.bytes_out()), (1, 30));
    assert_eq!(world.conn.bytes_in(), 51);
}

#[test]
fn one_buffer_serves_a_small_exchange_and_comes_back() {
    let mut world = World::new();
    for _ in 0..3 {
        world.wire.answers("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi");
        assert_eq!(world.get().unwrap().status(), 200);
        assert!(world.conn.input.has_memory() && !world.conn.out.has_memory());
        assert_eq!(world.read_body().unwrap(), b"hi");
        assert!(!world.conn.input.has_memory());
        assert_eq!(world.shared.buffers.kept(), 1);
    }
    assert_eq!(world.conn.uses(), 3);
}

#[test]
fn a_response_without_a_body_frees_the_connection_with_its_head() {
    for status in ["204 No Content", "304 Not Modified", "200 OK\r\ncontent-length: 0"] {
        let mut world = World::new();
        world.wire.answers(format!("HTTP/1.1 {status}\r\n\r\n"));
        world.get().unwrap();
        assert!(world.conn.is_reusable() && world.conn.is_body_complete());
        assert_eq!(world.shared.buffers.kept(), 1);
        assert!(world.read_body().unwrap().is_empty());
    }
}

#[test]
fn a_response_in_single_bytes_with_waits_between_is_the_same() {
    let mut world = World::new();
    let bytes = b"HTTP/1.1 100 C\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi";
    for byte in bytes {
        world.wire.reads(double::Read::Pending);
        world.wire.answers([*byte]);
    }
    let headers = HeaderMap::new();
    let (head, mut body) = (get(&headers), empty());
    {
        let mut request = std::pin::pin!(world.conn.request(&head, body.as_mut(), None, None));
        let mut polls = 0;
        let response = loop {
            polls += 1;
            if let Poll::Ready(response) = poll(request.as_mut()) {
                break response.unwrap();
            }
        };
        assert_eq!((response.status().as_u16(), polls), (200, bytes.len() - 1));
    }
    let mut data = Vec::new();
    while !world.conn.is_body_complete() {
        if let Poll::Ready(frame) = world.poll_frame() {
            data.extend(frame.unwrap().unwrap().into_data().unwrap());
        }
    }
    assert_eq!(data, b"hi");
    assert!(world.conn.is_reusable());
}

#[test]
fn a_head_larger_than_a_buffer_is_read_and_its_giant_buffer_let_go() {
    let mut world = World::new();
    let value = "v".repeat(40_000);
    world.wire.answers(format!("HTTP/1.1 204 No Content\r\nx: {value}\r\n\r\n"));
    assert_eq!(world.get().unwrap().headers()["x"], value);
    assert!(world.conn.is_reusable());
    assert_eq!(world.shared.buffers.kept(), 0);
}

#[test]
fn whoever_says_close_gets_it() {
    let mut world = World::new();
    world.wire.answers("HTTP/1.1 204 No Content\r\nConnection: x, CLOSE\r\n\r\n");
    world.get().unwrap();
    assert!(world.conn.is_body_complete() && !world.conn.is_reusable());

    let mut world = World::new();
    world.wire.answers("HTTP/1.1 204 No Content\r\n\r\n");
    let mut headers = HeaderMap::new();
    headers.insert("connection", HeaderValue::from_static("close"));
    now(world.conn.request(&get(&headers), empty().as_mut(), None, None)).unwrap();
    assert!(world.conn.is_body_complete() && !world.conn.is_reusable());
}

#[test]
fn the_peers_keep_alive_is_kept_for_the_pool() {
    let mut world = World::new();
    world.wire.answers("HTTP/1.1 204 No Content\r\nkeep-alive: timeout=5, max=9\r\n\r\n");
    world.get().unwrap();
    assert_eq!(world.conn.peer_keep_alive(), Some(Duration::from_secs(5)));
}

#[test]
fn a_second_response_glued_to_the_first_makes_the_connection_worthless() {
    let mut world = World::new();
    let one = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi";
    world.wire.answers(one.repeat(2));
    world.get().unwrap();
    assert_eq!(world.read_body().unwrap(), b"hi");
    assert!(world.conn.is_body_complete() && !world.conn.is_reusable());
    assert_eq!(world.conn.liveness(), Liveness::Unexpected);
}

#[test]
fn stray_bytes_behind_a_bodiless_response_make_the_connection_worthless() {
    let mut world = World::new();
    world.wire.answers("HTTP/1.1 204 No Content\r\n\r\n\r\n");
    world.get().unwrap();
    assert!(world.conn.is_body_complete() && !world.conn.is_reusable());
}

#[test]
fn a_request_that_cannot_be_sent_leaves_the_connection_as_it_was() {
    let mut world = World::new();
    let mut headers = HeaderMap::new();
    headers.insert("transfer-encoding", HeaderValue::from_static("chunked"));
    let error = now(world.conn.request(&get(&headers), empty().as_mut(), None, None)).unwrap_err();
    assert!(matches!(error.kind, ExchangeErrorKind::Request(_)) && !error.sent);
    assert!(world.conn.is_reusable());
    assert_eq!(world.shared.buffers.kept(), 1);
    world.wire.answers("HTTP/1.1 204 No Content\r\n\r\n");
    assert_eq!(world.get().unwrap().status(), 204);
    assert_eq!(world.wire.text(), "GET / HTTP/1.1\r\nhost: test\r\n\r\n");
}

#[test]
fn a_request_dropped_at_any_poll_is_not_reusable_unless_nothing_was_sent() {
    for polls in 0..4 {
        let mut world = World::new();
        world.wire.writes(double::Write::Pending);
        world.wire.writes(double::Write::Take(3));
        world.wire.writes(double::Write::Pending);
        let headers = HeaderMap::new();
        let (head, mut body) = (get(&headers), empty());
        {
            let mut request = std::pin::pin!(world.conn.request(&head, body.as_mut(), None, None));
            for _ in 0..polls {
                assert!(poll(request.as_mut()).is_pending());
            }
        }
        let untouched = polls < 2;
        assert_eq!(world.conn.is_reusable(), untouched, "dropped after {polls} polls");
        let held = world.conn.out.has_memory() || world.conn.input.has_memory();
        assert_eq!(held, !untouched);
        drop(world.conn);
        assert!(world.shared.buffers.kept() >= polls.min(1), "its buffers come back");
    }
}
