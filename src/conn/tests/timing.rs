//! Deadlines, cuts and wakers: who is asked for what, and how often.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};

use super::double::{Script, World, empty, get, poll};
use super::*;
use crate::error::Phase;
use crate::sync::{AtomicUsize, Ordering};

const OK: &str = "HTTP/1.1 204 No Content\r\n\r\n";

#[derive(Default)]
pub(super) struct Count(AtomicUsize);

impl Wake for Count {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

impl Count {
    pub(super) fn new() -> (Arc<Self>, Waker) {
        let count = Arc::new(Self::default());
        (count.clone(), Waker::from(count))
    }

    pub(super) fn seen(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

pub(super) fn poll_with<F: Future>(future: Pin<&mut F>, waker: &Waker) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(waker))
}

/// A GET that waits once and is then answered.
fn get_with_a_wait(world: &mut World, deadline: Option<Instant>) {
    let headers = HeaderMap::new();
    let (head, mut body) = (get(&headers), empty());
    let wire = world.wire.clone();
    let mut request = std::pin::pin!(world.conn.request(&head, body.as_mut(), deadline, None));
    assert!(poll(request.as_mut()).is_pending());
    wire.answers(OK);
    assert!(matches!(poll(request.as_mut()), Poll::Ready(Ok(_))));
}

#[test]
fn a_request_that_need_not_wait_touches_no_timer() {
    let mut world = World::new();
    world.wire.answers(OK);
    let headers = HeaderMap::new();
    let deadline = world.at(1000);
    double::now(world.conn.request(&get(&headers), empty().as_mut(), deadline, None)).unwrap();
    assert_eq!(world.clock.asked(), (0, 0, 0));
    get_with_a_wait(&mut world, None);
    assert_eq!(world.clock.asked(), (0, 0, 0));
}

#[test]
fn later_deadlines_leave_the_sleep_alone_and_an_earlier_one_sets_it() {
    let mut world = World::new();
    for millis in [1000, 1000, 1001, 5000] {
        let deadline = world.at(millis);
        get_with_a_wait(&mut world, deadline);
        assert_eq!(world.clock.asked(), (1, 0, 1), "{millis}");
    }
    let deadline = world.at(999);
    get_with_a_wait(&mut world, deadline);
    assert_eq!(world.clock.asked(), (1, 1, 2));
}

#[test]
fn the_deadline_ends_a_wait_for_the_head() {
    let mut world = World::new();
    let headers = HeaderMap::new();
    let (head, mut body, deadline) = (get(&headers), empty(), world.at(1000));
    let (count, waker) = Count::new();
    let error = {
        let mut request = std::pin::pin!(world.conn.request(&head, body.as_mut(), deadline, None));
        assert!(poll_with(request.as_mut(), &waker).is_pending());
        world.clock.turn(999);
        assert!(poll_with(request.as_mut(), &waker).is_pending());
        world.clock.turn(1000);
        assert_eq!(count.seen(), 2);
        match poll_with(request.as_mut(), &waker) {
            Poll::Ready(Err(error)) => error,
            other => panic!("{other:?}"),
        }
    };
    assert!(matches!(error.kind, ExchangeErrorKind::Timeout));
    assert_eq!((error.phase, error.sent), (Phase::Response, true));
    assert!(!world.conn.is_reusable());
}

#[test]
fn a_sleep_set_for_an_earlier_request_fires_early_once_and_is_set_again() {
    let mut world = World::new();
    let (first, second) = (world.at(1000), world.at(3000));
    get_with_a_wait(&mut world, first);
    let headers = HeaderMap::new();
    let (head, mut body) = (get(&headers), empty());
    let (count, waker) = Count::new();
    let mut request = std::pin::pin!(world.conn.request(&head, body.as_mut(), second, None));
    assert!(poll_with(request.as_mut(), &waker).is_pending());
    assert_eq!(world.clock.asked(), (1, 0, 1));
    world.clock.turn(1000);
    assert_eq!(count.seen(), 1);
    assert!(poll_with(request.as_mut(), &waker).is_pending());
    assert_eq!(world.clock.asked(), (1, 1, 3));
    world.clock.turn(3000);
    assert_eq!(count.seen(), 2);
    assert!(matches!(poll_with(request.as_mut(), &waker), Poll::Ready(Err(_))));
}

#[test]
fn a_deadline_that_has_passed_already_ends_the_first_wait() {
    let mut world = World::new();
    world.clock.turn(50);
    let headers = HeaderMap::new();
    let deadline = world.at(10);
    let result = double::now(world.conn.request(&get(&headers), empty().as_mut(), deadline, None));
    assert!(matches!(result.unwrap_err().kind, ExchangeErrorKind::Timeout));
}

#[test]
fn the_deadline_holds_while_the_body_is_read_even_if_data_never_ends() {
    for endless in [false, true] {
        let mut world = World::new();
        let headers = HeaderMap::new();
        let deadline = world.at(1000);
        world.wire.answers("HTTP/1.1 200 OK\r\n\r\n");
        double::now(world.conn.request(&get(&headers), empty().as_mut(), deadline, None)).unwrap();
        assert!(world.poll_frame().is_pending());
        assert_eq!(world.clock.asked(), (1, 0, 1));
        if endless {
            for _ in 0..10 {
                world.wire.answers("more");
            }
            assert!(matches!(world.poll_frame(), Poll::Ready(Some(Ok(_)))));
        }
        world.clock.turn(1000);
        let Poll::Ready(Some(Err(error))) = world.poll_frame() else { panic!() };
        assert!(matches!(error.kind, ExchangeErrorKind::Timeout));
        assert_eq!(error.phase, Phase::Body);
        assert!(matches!(world.poll_frame(), Poll::Ready(Some(Err(_)))));
    }
}

#[test]
fn a_deadline_that_passes_before_anything_is_sent_does_no_harm() {
    let mut world = World::new();
    world.wire.writes(double::Write::Pending);
    let headers = HeaderMap::new();
    let (head, deadline) = (double::post(&headers), world.at(1000));
    let mut body = Box::pin(Script::known(b"x"));
    {
        let mut request = std::pin::pin!(world.conn.request(&head, body.as_mut(), deadline, None));
        assert!(poll(request.as_mut()).is_pending());
        world.wire.writes(double::Write::Pending);
        world.clock.turn(1000);
        let Poll::Ready(Err(error)) = poll(request.as_mut()) else { panic!() };
        assert_eq!((error.phase, error.sent), (Phase::Write, false));
    }
    assert!(world.conn.is_reusable());
}

#[test]
fn a_cut_from_outside_wakes_the_task_and_ends_the_exchange() {
    let mut world = World::new();
    let headers = HeaderMap::new();
    let (head, mut body) = (get(&headers), empty());
    let signal = world.signal.clone();
    let (count, waker) = Count::new();
    {
        let mut request = std::pin::pin!(world.conn.request(&head, body.as_mut(), None, None));
        assert!(poll_with(request.as_mut(), &waker).is_pending());
        signal.cut();
        assert_eq!(count.seen(), 1);
        let Poll::Ready(Err(error)) = poll_with(request.as_mut(), &waker) else { panic!() };
        assert!(matches!(error.kind, ExchangeErrorKind::Cut) && error.sent);
    }
    assert!(!world.conn.is_reusable());

    let mut world = World::new();
    world.wire.answers("HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n");
    world.get().unwrap();
    assert!(world.poll_frame().is_pending());
    world.signal.cut();
    world.wire.answers("hello");
    let Poll::Ready(Some(Err(error))) = world.poll_frame() else { panic!() };
    assert!(matches!(error.kind, ExchangeErrorKind::Cut));
}

#[test]
fn a_cut_holds_for_data_that_is_here_already() {
    let mut world = World::new();
    let chunks = "1\r\na\r\n1\r\nb\r\n0\r\n\r\n";
    world.wire.answers(format!("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n{chunks}"));
    world.get().unwrap();
    assert!(matches!(world.poll_frame(), Poll::Ready(Some(Ok(_)))));
    world.signal.cut();
    let Poll::Ready(Some(Err(error))) = world.poll_frame() else { panic!() };
    assert!(matches!(error.kind, ExchangeErrorKind::Cut));
}

#[test]
fn an_idle_connection_that_was_cut_is_not_reusable() {
    let mut world = World::new();
    world.signal.cut();
    assert!(!world.conn.is_reusable());
    assert_eq!(world.conn.liveness(), Liveness::Closed);
    let error = world.get().unwrap_err();
    assert!(matches!(error.kind, ExchangeErrorKind::Cut) && !error.sent);
}

#[test]
fn the_socket_sees_one_waker_whichever_task_drives() {
    let mut world = World::new();
    let headers = HeaderMap::new();
    let (head, mut body) = (get(&headers), empty());
    let (first, first_waker) = Count::new();
    let (second, second_waker) = Count::new();
    let mut request = std::pin::pin!(world.conn.request(&head, body.as_mut(), None, None));
    assert!(poll_with(request.as_mut(), &first_waker).is_pending());
    let seen = world.wire.reader();
    assert!(poll_with(request.as_mut(), &second_waker).is_pending());
    assert!(seen.will_wake(&world.wire.reader()));
    seen.wake();
    assert_eq!((first.seen(), second.seen()), (0, 1));
}

#[test]
fn a_connection_that_was_given_up_keeps_no_task_alive() {
    for ended_by in ["dropping the request", "an error", "dropping the body"] {
        let mut world = World::new();
        let headers = HeaderMap::new();
        let (head, mut body) = (get(&headers), empty());
        let (count, waker) = Count::new();
        {
            let mut request = std::pin::pin!(world.conn.request(&head, body.as_mut(), None, None));
            assert!(poll_with(request.as_mut(), &waker).is_pending());
            assert_eq!(Arc::strong_count(&count), 3, "the connection has to wake it");
            match ended_by {
                "an error" => world.wire.reads(double::Read::Eof),
                _ => world.wire.answers("HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n"),
            }
            if ended_by != "dropping the request" {
                assert!(poll_with(request.as_mut(), &waker).is_ready());
            }
        }
        if ended_by == "dropping the body" {
            let cx = Context::from_waker(&waker);
            assert!(world.conn.poll_frame(&cx).is_pending());
            assert!(!world.conn.drain());
        }
        drop(waker);
        assert_eq!(Arc::strong_count(&count), 1, "{ended_by}");
    }
}

#[test]
fn an_idle_connection_keeps_no_task_alive() {
    let mut world = World::new();
    let headers = HeaderMap::new();
    let (head, mut body) = (get(&headers), empty());
    let (count, waker) = Count::new();
    {
        let mut request = std::pin::pin!(world.conn.request(&head, body.as_mut(), None, None));
        assert!(poll_with(request.as_mut(), &waker).is_pending());
        world.wire.answers(OK);
        assert!(poll_with(request.as_mut(), &waker).is_ready());
    }
    drop(waker);
    assert_eq!(Arc::strong_count(&count), 1);
}
