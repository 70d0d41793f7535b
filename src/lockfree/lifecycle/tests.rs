//! What one thread can see of it; what several see is in `loom-tests`.

use std::cell::{Cell, RefCell};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::task::{Wake, Waker};

use super::*;

#[derive(Default)]
struct Count(AtomicUsize);

impl Wake for Count {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Relaxed);
    }
}

struct Bomb;

impl Wake for Bomb {
    fn wake(self: Arc<Self>) {
        panic!("a waker that panics");
    }
}

fn poll(watcher: &mut Watcher<'_>, waker: &Waker, done: bool) -> bool {
    watcher.poll_until(&Context::from_waker(waker), |_| done).is_ready()
}

fn nodes(lifecycle: &Lifecycle) -> (usize, usize) {
    (lifecycle.watching.len(), lifecycle.vacant.len())
}

#[test]
fn each_step_is_reported_once() {
    let lifecycle = Lifecycle::new();
    assert!(lifecycle.is_open());
    assert_eq!((lifecycle.drain(), lifecycle.drain()), (true, false));
    assert_eq!((lifecycle.state(), lifecycle.is_open()), (State::Draining, false));
    assert_eq!((lifecycle.close(), lifecycle.close()), (true, false));
    assert_eq!(lifecycle.state(), State::Closed);
}

#[test]
fn a_closed_one_does_not_drain() {
    let lifecycle = Lifecycle::new();
    assert!(lifecycle.close());
    assert!(!lifecycle.drain());
    assert_eq!(lifecycle.state(), State::Closed);
}

#[test]
fn a_notification_wakes_every_watcher_once() {
    let lifecycle = Lifecycle::new();
    let count = Arc::new(Count::default());
    let waker = Waker::from(Arc::clone(&count));
    let mut watchers = [lifecycle.watch(), lifecycle.watch(), lifecycle.watch()];
    for watcher in &mut watchers {
        assert!(!poll(watcher, &waker, false));
    }
    lifecycle.notify();
    lifecycle.notify();
    assert_eq!(count.0.load(Relaxed), 3);
}

#[test]
fn the_waker_of_the_last_poll_is_woken() {
    let lifecycle = Lifecycle::new();
    let (old, new) = (Arc::new(Count::default()), Arc::new(Count::default()));
    let mut watcher = lifecycle.watch();
    assert!(!poll(&mut watcher, &Waker::from(Arc::clone(&old)), false));
    assert!(!poll(&mut watcher, &Waker::from(Arc::clone(&new)), false));
    assert!(lifecycle.drain());
    assert_eq!((old.0.load(Relaxed), new.0.load(Relaxed)), (0, 1));
    assert_eq!(nodes(&lifecycle), (0, 0));
}

#[test]
fn dropped_watchers_leave_one_node_for_each_alive_at_a_time() {
    let lifecycle = Lifecycle::new();
    for _ in 0..1_000 {
        let mut watchers = [lifecycle.watch(), lifecycle.watch(), lifecycle.watch()];
        for watcher in &mut watchers {
            assert!(!poll(watcher, Waker::noop(), false));
        }
    }
    assert_eq!(nodes(&lifecycle), (3, 3));
    lifecycle.notify();
    assert_eq!(nodes(&lifecycle), (0, 3));
}

#[test]
fn a_dropped_watcher_lets_go_of_its_waker() {
    let lifecycle = Lifecycle::new();
    let count = Arc::new(Count::default());
    let mut watcher = lifecycle.watch();
    assert!(!poll(&mut watcher, &Waker::from(Arc::clone(&count)), false));
    drop(watcher);
    assert_eq!(Arc::strong_count(&count), 1);
}

#[test]
fn a_watcher_in_a_used_node_is_woken() {
    let lifecycle = Lifecycle::new();
    let mut first = lifecycle.watch();
    assert!(!poll(&mut first, Waker::noop(), false));
    drop(first);
    let count = Arc::new(Count::default());
    let mut second = lifecycle.watch();
    assert!(!poll(&mut second, &Waker::from(Arc::clone(&count)), false));
    assert!(lifecycle.close());
    assert_eq!(count.0.load(Relaxed), 1);
}

#[test]
fn a_waker_that_panics_costs_nobody_else_the_wake_up() {
    let lifecycle = Lifecycle::new();
    let count = Arc::new(Count::default());
    let wakers = [
        Waker::from(Arc::clone(&count)),
        Waker::from(Arc::new(Bomb)),
        Waker::from(Arc::clone(&count)),
    ];
    let mut watchers = wakers.each_ref().map(|_| lifecycle.watch());
    for (watcher, waker) in watchers.iter_mut().zip(&wakers) {
        assert!(!poll(watcher, waker, false));
    }
    let panicked = catch_unwind(AssertUnwindSafe(|| lifecycle.drain()));
    assert!(panicked.is_err());
    assert_eq!(count.0.load(Relaxed), 2);
    assert_eq!(lifecycle.state(), State::Draining);
}

#[test]
fn a_waker_that_registers_again_at_once_does_not_keep_the_notifier() {
    static LIFECYCLE: LazyLock<Lifecycle> = LazyLock::new(Lifecycle::new);
    thread_local!(static WATCHERS: RefCell<Vec<Watcher<'static>>> = RefCell::default());
    struct Again(AtomicUsize);
    impl Wake for Again {
        fn wake(self: Arc<Self>) {
            let woken = self.0.fetch_add(1, Relaxed);
            assert!(woken < 100, "the notifier runs after its own wakers");
            let mut watcher = LIFECYCLE.watch();
            assert!(!poll(&mut watcher, &Waker::from(Arc::clone(&self)), false));
            // It stays, as that of a task that is polled inline does.
            WATCHERS.with_borrow_mut(|watchers| watchers.push(watcher));
        }
    }
    let again = Arc::new(Again(AtomicUsize::new(0)));
    Arc::clone(&again).wake();
    LIFECYCLE.notify();
    assert_eq!(again.0.load(Relaxed), 2);
    WATCHERS.take();
}

#[test]
fn a_wait_ends_when_its_condition_holds() {
    let lifecycle = Lifecycle::new();
    let sockets = Cell::new(1);
    let count = Arc::new(Count::default());
    let waker = Waker::from(Arc::clone(&count));
    let cx = Context::from_waker(&waker);
    let mut watcher = lifecycle.watch();
    let done = |_| sockets.get() == 0;
    assert!(watcher.poll_until(&cx, done).is_pending());
    assert!(lifecycle.drain());
    assert!(watcher.poll_until(&cx, done).is_pending());
    sockets.set(0);
    lifecycle.notify();
    assert_eq!(count.0.load(Relaxed), 2);
    assert!(watcher.poll_until(&cx, done).is_ready());
}
