//! Models of `lockfree/lifecycle.rs`. A wake-up that is lost shows as a deadlock.
#![cfg(evenkeel_loom)]

use std::pin::pin;

use evenkeel::lockfree::lifecycle::{Lifecycle, State};
use loom::future::block_on;
use loom::sync::Arc;
use loom::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use loom::thread::{self, JoinHandle};
use loom_tests::{CountWakes, Plain, models, poll_once, poll_with};

fn spawn<R: 'static>(
    lifecycle: &Arc<Lifecycle>,
    f: impl FnOnce(&Lifecycle) -> R + 'static,
) -> JoinHandle<R> {
    let lifecycle = Arc::clone(lifecycle);
    thread::spawn(move || f(&lifecycle))
}

/// The owner of one of the sockets that a watcher wants gone. The count is no part of the
/// lifecycle, and is written and read without an ordering of its own.
fn spawn_owner(lifecycle: &Arc<Lifecycle>, sockets: &Arc<AtomicUsize>) -> JoinHandle<()> {
    let sockets = Arc::clone(sockets);
    spawn(lifecycle, move |lifecycle| {
        sockets.fetch_sub(1, Relaxed);
        lifecycle.notify();
    })
}

fn draining(state: State) -> bool {
    state >= State::Draining
}

/// Waiting as a future.
trait WaitUntil {
    fn wait_until(&self, done: impl FnMut(State) -> bool) -> impl Future<Output = ()>;
}

impl WaitUntil for Lifecycle {
    async fn wait_until(&self, mut done: impl FnMut(State) -> bool) {
        let mut watcher = self.watch();
        std::future::poll_fn(|cx| watcher.poll_until(cx, &mut done)).await;
    }
}

models! {
    fn a_step_races_a_watcher(3) {
        let lifecycle = Arc::new(Lifecycle::new());
        let closer = spawn(&lifecycle, |lifecycle| assert!(lifecycle.drain()));
        block_on(lifecycle.wait_until(draining));
        closer.join().unwrap();
    }

    fn a_notification_races_a_watcher(3) {
        let lifecycle = Arc::new(Lifecycle::new());
        let sockets = Arc::new(AtomicUsize::new(1));
        let owner = spawn_owner(&lifecycle, &sockets);
        block_on(lifecycle.wait_until(|_| sockets.load(Relaxed) == 0));
        owner.join().unwrap();
    }

    /// The second finds the flag down, and the watcher in the hand of the first.
    fn two_notifications_race_a_watcher(2) {
        let lifecycle = Arc::new(Lifecycle::new());
        let sockets = Arc::new(AtomicUsize::new(2));
        let owners = [(); 2].map(|()| spawn_owner(&lifecycle, &sockets));
        block_on(lifecycle.wait_until(|_| sockets.load(Relaxed) == 0));
        for owner in owners {
            owner.join().unwrap();
        }
    }

    fn one_step_wakes_two_watchers(2) {
        let lifecycle = Arc::new(Lifecycle::new());
        let other = spawn(&lifecycle, |lifecycle| block_on(lifecycle.wait_until(draining)));
        let closer = spawn(&lifecycle, |lifecycle| assert!(lifecycle.drain()));
        block_on(lifecycle.wait_until(draining));
        other.join().unwrap();
        closer.join().unwrap();
    }

    /// Each waits for the step of the other.
    fn two_steps_are_both_waited_for(3) {
        let lifecycle = Arc::new(Lifecycle::new());
        let closer = spawn(&lifecycle, |lifecycle| {
            block_on(lifecycle.wait_until(draining));
            assert!(lifecycle.close());
        });
        assert!(lifecycle.drain());
        block_on(lifecycle.wait_until(|state| state == State::Closed));
        closer.join().unwrap();
    }

    fn one_of_two_callers_makes_the_step(3) {
        let lifecycle = Arc::new(Lifecycle::new());
        let other = spawn(&lifecycle, Lifecycle::close);
        let mine = lifecycle.close();
        assert!(mine != other.join().unwrap());
    }

    /// Draining after closing is no step, though its bit is new.
    fn a_drain_races_a_close(3) {
        let lifecycle = Arc::new(Lifecycle::new());
        let drainer = spawn(&lifecycle, |lifecycle| {
            let before = lifecycle.state();
            let drained = lifecycle.drain();
            assert!(before == State::Open || !drained);
            assert!(drained || lifecycle.state() == State::Closed);
        });
        assert!(lifecycle.close());
        drainer.join().unwrap();
        assert_eq!(lifecycle.state(), State::Closed);
    }

    fn a_step_shows_what_was_done_before_it(3) {
        let lifecycle = Arc::new(Lifecycle::new());
        let reason = Arc::new(Plain::new(0));
        let closer = spawn(&lifecycle, {
            let reason = Arc::clone(&reason);
            move |lifecycle| {
                reason.set(7);
                assert!(lifecycle.close());
            }
        });
        if !lifecycle.is_open() {
            assert_eq!(reason.get(), 7);
        }
        closer.join().unwrap();
    }

    /// Whoever comes too late to make the step sees what its maker did before.
    fn a_late_caller_sees_what_the_first_did(3) {
        let close = |me: usize, reasons: Arc<[Plain<u32>; 2]>| {
            move |lifecycle: &Lifecycle| {
                reasons[me].set(7);
                if !lifecycle.close() {
                    assert_eq!(reasons[1 - me].get(), 7);
                }
            }
        };
        let lifecycle = Arc::new(Lifecycle::new());
        let reasons = Arc::new([Plain::new(0), Plain::new(0)]);
        let other = spawn(&lifecycle, close(0, Arc::clone(&reasons)));
        close(1, reasons)(&lifecycle);
        other.join().unwrap();
    }

    /// A watcher moves to another task while a notifier may hold its node.
    fn a_new_waker_races_a_notification(3) {
        let lifecycle = Arc::new(Lifecycle::new());
        let (count, waker) = CountWakes::new();
        let mut wait = pin!(lifecycle.wait_until(draining));
        assert!(poll_once(wait.as_mut()).is_none());
        let closer = spawn(&lifecycle, |lifecycle| assert!(lifecycle.drain()));
        let ready = poll_with(wait.as_mut(), &waker).is_some();
        closer.join().unwrap();
        assert!(ready || count.get() > 0, "asleep with the new waker, and nobody woke it");
    }

    /// Woken for nothing by the first, and registering again while the second is at work.
    fn a_watcher_that_was_woken_registers_again(2) {
        let lifecycle = Arc::new(Lifecycle::new());
        let sockets = Arc::new(AtomicUsize::new(1));
        let early = spawn(&lifecycle, Lifecycle::notify);
        let owner = spawn_owner(&lifecycle, &sockets);
        block_on(lifecycle.wait_until(|_| sockets.load(Relaxed) == 0));
        early.join().unwrap();
        owner.join().unwrap();
    }

    /// The first notifier is there for another watcher, and finds the new node as it is pushed.
    fn a_node_is_popped_while_its_watcher_registers(2) {
        let lifecycle = Arc::new(Lifecycle::new());
        let mut other = pin!(lifecycle.wait_until(draining));
        assert!(poll_once(other.as_mut()).is_none());
        let early = spawn(&lifecycle, Lifecycle::notify);
        let closer = spawn(&lifecycle, |lifecycle| assert!(lifecycle.drain()));
        block_on(lifecycle.wait_until(draining));
        early.join().unwrap();
        closer.join().unwrap();
    }

    /// The node left behind may be in the queue, in the notifier's hand, or out of both.
    fn a_dropped_watcher_leaves_its_node_to_the_next(2) {
        let lifecycle = Arc::new(Lifecycle::new());
        {
            let mut gone = pin!(lifecycle.wait_until(draining));
            assert!(poll_once(gone.as_mut()).is_none());
        }
        let early = spawn(&lifecycle, Lifecycle::notify);
        let closer = spawn(&lifecycle, |lifecycle| assert!(lifecycle.drain()));
        block_on(lifecycle.wait_until(draining));
        early.join().unwrap();
        closer.join().unwrap();
    }

    /// A node goes from one thread's watcher to another's.
    fn a_watcher_dropped_during_the_round_stops_nobody(2) {
        let lifecycle = Arc::new(Lifecycle::new());
        let other = spawn(&lifecycle, |lifecycle| {
            let mut gone = pin!(lifecycle.wait_until(draining));
            poll_once(gone.as_mut())
        });
        let closer = spawn(&lifecycle, |lifecycle| assert!(lifecycle.drain()));
        block_on(lifecycle.wait_until(draining));
        other.join().unwrap();
        closer.join().unwrap();
    }
}
