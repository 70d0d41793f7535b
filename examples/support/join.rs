//! Many futures at once on one thread, with nothing but the standard library's task types.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::task::{Context, Poll, Wake, Waker};

use atomic_waker::AtomicWaker;

/// A boxed future that can be sent between threads.
pub(crate) type Job<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// Drives all futures to their ends; the outputs come in the order of the futures.
///
/// Each future has a waker of its own, so that one wake-up polls one future, not all of them.
pub(crate) async fn join_all<T>(jobs: Vec<Job<T>>) -> Vec<T> {
    let mut jobs: Vec<Option<Job<T>>> = jobs.into_iter().map(Some).collect();
    let mut outputs: Vec<Option<T>> = jobs.iter().map(|_| None).collect();
    let mut left = jobs.len();
    let (tasks, woken, parent) = tasks(jobs.len());
    poll_fn(move |cx| {
        // Registered before the queue is looked at: a wake-up in between wakes this task again.
        parent.register(cx.waker());
        while let Ok(index) = woken.try_recv() {
            let task: &Arc<Task> = &tasks[index];
            // Cleared before the poll: a wake-up during the poll queues the future once more.
            task.queued.swap(false, Ordering::AcqRel);
            let Some(job) = &mut jobs[index] else {
                continue;
            };
            let waker = Waker::from(task.clone());
            if let Poll::Ready(output) = job.as_mut().poll(&mut Context::from_waker(&waker)) {
                outputs[index] = Some(output);
                jobs[index] = None;
                left -= 1;
            }
        }
        if left > 0 {
            return Poll::Pending;
        }
        Poll::Ready(outputs.drain(..).flatten().collect())
    })
    .await
}

/// One future's place in the queue of those to poll.
struct Task {
    index: usize,
    /// Set while the index is in the queue, which so holds each future once at most.
    queued: AtomicBool,
    woken: Sender<usize>,
    parent: Arc<AtomicWaker>,
}

impl Wake for Task {
    fn wake(self: Arc<Self>) {
        if self.queued.swap(true, Ordering::AcqRel) {
            return;
        }
        // Nobody receives once `join_all` has ended or was dropped, and then nobody need wake.
        if self.woken.send(self.index).is_ok() {
            self.parent.wake();
        }
    }
}

/// Tasks that are all queued once, the queue's other end, and the waker behind them.
fn tasks(count: usize) -> (Vec<Arc<Task>>, Receiver<usize>, Arc<AtomicWaker>) {
    let (sender, receiver) = channel();
    let parent = Arc::new(AtomicWaker::new());
    let tasks: Vec<Arc<Task>> = (0..count)
        .map(|index| Task {
            index,
            queued: AtomicBool::new(false),
            woken: sender.clone(),
            parent: parent.clone(),
        })
        .map(Arc::new)
        .collect();
    for task in &tasks {
        task.clone().wake();
    }
    (tasks, receiver, parent)
}
