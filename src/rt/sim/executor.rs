//! One thread, tasks in the order in which they became ready.

#![expect(
    clippy::disallowed_types,
    reason = "a test tool on one thread: its locks are never contended"
)]

use std::collections::{BTreeMap, VecDeque};
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::{Arc, Mutex, Weak};
use std::task::{Context, Poll, Wake, Waker};

use super::clock::Clock;
use super::lock;
use crate::rt::BoxFuture;

/// The number of the future given to `block_on`. Spawned tasks count from one.
const MAIN: u64 = 0;

pub(super) struct Executor {
    state: Arc<Mutex<State>>,
}

struct State {
    /// The tasks that have not ended, and the main one, which is always here.
    tasks: BTreeMap<u64, Task>,
    ready: VecDeque<u64>,
    next: u64,
    running: bool,
    /// How often nobody was ready.
    lulls: u64,
    /// Who waits for the next lull.
    settling: Vec<Waker>,
}

#[derive(Default)]
struct Task {
    /// Absent while it is polled, and for the main task.
    future: Option<BoxFuture<'static, ()>>,
    /// It is in `ready`, and need not be put there again.
    queued: bool,
}

impl State {
    fn enqueue(&mut self, number: u64) {
        if let Some(task) = self.tasks.get_mut(&number) {
            if !task.queued {
                task.queued = true;
                self.ready.push_back(number);
            }
        }
    }

    /// The next one to poll, and its future if it is not the main one.
    fn dequeue(&mut self) -> Option<(u64, Option<BoxFuture<'static, ()>>)> {
        while let Some(number) = self.ready.pop_front() {
            if let Some(task) = self.tasks.get_mut(&number) {
                task.queued = false;
                return Some((number, task.future.take()));
            }
        }
        None
    }
}

/// Puts one task into the queue. The reference is weak because wakers lie in streams and timers
/// that tasks own.
struct Waking {
    task: u64,
    state: Weak<Mutex<State>>,
}

impl Wake for Waking {
    fn wake(self: Arc<Self>) {
        if let Some(state) = self.state.upgrade() {
            lock(&state).enqueue(self.task);
        }
    }
}

/// Marks the executor as idle again, also when a task panics.
struct Running<'a>(&'a Executor);

impl Drop for Running<'_> {
    fn drop(&mut self) {
        lock(&self.0.state).running = false;
    }
}

impl Executor {
    pub(super) fn new() -> Self {
        let state = State {
            tasks: BTreeMap::from([(MAIN, Task::default())]),
            ready: VecDeque::new(),
            next: MAIN + 1,
            running: false,
            lulls: 0,
            settling: Vec::new(),
        };
        Self { state: Arc::new(Mutex::new(state)) }
    }

    pub(super) fn spawn(&self, future: BoxFuture<'static, ()>) {
        let mut state = lock(&self.state);
        let number = state.next;
        state.next += 1;
        state.tasks.insert(number, Task { future: Some(future), queued: false });
        state.enqueue(number);
    }

    pub(super) fn tasks(&self) -> usize {
        lock(&self.state).tasks.len() - 1
    }

    pub(super) fn block_on<F: Future>(&self, clock: &Clock, future: F) -> F::Output {
        let _running = self.start();
        let mut future = pin!(future);
        let waker = self.waker(MAIN);
        loop {
            let next = lock(&self.state).dequeue();
            match next {
                Some((MAIN, _)) => {
                    let poll = future.as_mut().poll(&mut Context::from_waker(&waker));
                    if let Poll::Ready(output) = poll {
                        return output;
                    }
                }
                Some((number, Some(task))) => self.poll_task(number, task),
                Some((_, None)) => {}
                None => self.wait(clock),
            }
        }
    }

    fn start(&self) -> Running<'_> {
        let mut state = lock(&self.state);
        let nested = std::mem::replace(&mut state.running, true);
        state.enqueue(MAIN);
        drop(state);
        assert!(!nested, "block_on was called inside of block_on");
        Running(self)
    }

    fn poll_task(&self, number: u64, mut future: BoxFuture<'static, ()>) {
        // A task that panics is dropped while the panic passes. Its entry stays: it has not ended
        // as a task should.
        let waker = self.waker(number);
        let poll = future.as_mut().poll(&mut Context::from_waker(&waker));
        let mut state = lock(&self.state);
        if poll.is_ready() {
            state.tasks.remove(&number);
            // The future itself is dropped on return, without the lock: it may wake others.
        } else if let Some(task) = state.tasks.get_mut(&number) {
            task.future = Some(future);
        }
    }

    /// Nobody is ready: something has to happen.
    fn wait(&self, clock: &Clock) {
        let mut state = lock(&self.state);
        state.lulls += 1;
        let settling = std::mem::take(&mut state.settling);
        drop(state);
        if settling.is_empty() && !clock.advance_to_next() {
            panic!(
                "nothing can make progress: the main future and {} tasks wait, and no timer is \
                 set ({:?} after the start)",
                self.tasks(),
                clock.elapsed(),
            );
        }
        settling.into_iter().for_each(Waker::wake);
    }

    /// Waits for the next moment at which nobody is ready.
    pub(super) async fn settle(&self) {
        let lulls = lock(&self.state).lulls;
        poll_fn(|cx| {
            let mut state = lock(&self.state);
            if state.lulls > lulls {
                return Poll::Ready(());
            }
            state.settling.push(cx.waker().clone());
            Poll::Pending
        })
        .await;
    }

    fn waker(&self, task: u64) -> Waker {
        Waker::from(Arc::new(Waking { task, state: Arc::downgrade(&self.state) }))
    }
}
