//! Models of `lockfree/flight.rs`. A wake-up that is lost shows as a deadlock.
#![cfg(evenkeel_loom)]

use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll};

use evenkeel::lockfree::flight::{Flight, Progress};
use loom::future::{AtomicWaker, block_on};
use loom::sync::Arc;
use loom::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use loom::thread;
use loom_tests::{Plain, models, poll_once};

/// What the future waits for. It is written and read without an ordering of its own, but for that
/// of the waker, which is registered before the look, and woken after the change.
struct Source {
    done: AtomicUsize,
    waker: AtomicWaker,
}

impl Source {
    fn new() -> Arc<Self> {
        Arc::new(Self { done: AtomicUsize::new(0), waker: AtomicWaker::new() })
    }

    fn finish(&self) {
        self.done.store(1, Relaxed);
        self.waker.wake();
    }
}

struct Work(Arc<Source>);

impl Future for Work {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.0.waker.register_by_ref(cx.waker());
        if self.0.done.load(Relaxed) == 1 { Poll::Ready(()) } else { Poll::Pending }
    }
}

/// The flight, the answer that it came to, and how many futures were begun.
struct World {
    flight: Flight<Work>,
    source: Arc<Source>,
    answered: AtomicUsize,
    answer: Plain<u32>,
    begun: AtomicUsize,
}

impl World {
    fn new(source: Arc<Source>) -> Arc<Self> {
        Arc::new(Self {
            flight: Flight::new(),
            source,
            answered: AtomicUsize::new(0),
            answer: Plain::new(0),
            begun: AtomicUsize::new(0),
        })
    }

    /// Looks for the answer, and goes on with the work.
    fn look(&self) -> bool {
        loop {
            if self.answered.load(loom::sync::atomic::Ordering::Acquire) == 1 {
                assert_eq!(self.answer.get(), 7);
                return true;
            }
            match self.flight.poll() {
                Progress::Pending => return false,
                Progress::Ended((), ended) => {
                    self.answer.set(7);
                    self.answered.store(1, loom::sync::atomic::Ordering::Release);
                    drop(ended);
                }
                Progress::Absent => {
                    let begun = self.flight.begin(|| {
                        if self.answered.load(Relaxed) == 1 {
                            return None;
                        }
                        self.begun.fetch_add(1, Relaxed);
                        Some(Work(self.source.clone()))
                    });
                    if !begun && self.answered.load(Relaxed) == 0 {
                        return false;
                    }
                }
            }
        }
    }

    async fn wait(&self) {
        let mut watcher = self.flight.watch();
        poll_fn(|cx| watcher.poll_until(cx, |_| self.look())).await;
    }
}

models! {
    fn a_wake_races_one_who_waits(3) {
        let world = World::new(Source::new());
        let source = world.source.clone();
        let other = thread::spawn(move || source.finish());
        block_on(world.wait());
        other.join().unwrap();
        assert_eq!(world.begun.load(Relaxed), 1);
    }

    fn a_wake_comes_while_another_polls(1) {
        let world = World::new(Source::new());
        let waits = {
            let world = world.clone();
            thread::spawn(move || block_on(world.wait()))
        };
        let source = world.source.clone();
        let other = thread::spawn(move || source.finish());
        block_on(world.wait());
        waits.join().unwrap();
        other.join().unwrap();
        assert_eq!(world.begun.load(Relaxed), 1);
    }

    fn one_who_polls_goes_as_the_wake_comes(2) {
        let world = World::new(Source::new());
        let waits = {
            let world = world.clone();
            thread::spawn(move || block_on(world.wait()))
        };
        let source = world.source.clone();
        let other = thread::spawn(move || source.finish());
        // It looks once or twice and is dropped.
        let _: Option<()> = poll_once(Box::pin(world.wait()).as_mut());
        waits.join().unwrap();
        other.join().unwrap();
        assert_eq!(world.begun.load(Relaxed), 1);
    }

    fn what_was_published_is_seen_by_who_begins_the_next(3) {
        let source = Source::new();
        source.finish();
        let world = World::new(source);
        let other = {
            let world = world.clone();
            thread::spawn(move || block_on(world.wait()))
        };
        block_on(world.wait());
        other.join().unwrap();
        assert_eq!(world.begun.load(Relaxed), 1, "the second sees the answer of the first");
    }

    fn the_work_is_abandoned_as_one_waits_for_it(2) {
        let world = World::new(Source::new());
        let waits = {
            let world = world.clone();
            thread::spawn(move || block_on(world.wait()))
        };
        drop(world.flight.abandon());
        world.source.finish();
        waits.join().unwrap();
    }
}
