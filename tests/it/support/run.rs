//! The same scenario under every runtime.
//!
//! Each run has a thread of its own and a watchdog: a scenario that hangs is a failed test, not a
//! test run without an end.

#![expect(clippy::disallowed_methods, reason = "the watchdog needs a thread that it can outlive")]

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread;
use std::time::Duration;

use evenkeel::{Builder, Pool, Runtime};

use super::join::{Job, join_all};

/// Far longer than any scenario takes, even in a debug build on a busy machine.
const TOO_LONG: Duration = Duration::from_secs(120);

/// Where a scenario runs: the pool's runtime, and the executor that polls the scenario.
#[derive(Clone)]
pub(crate) struct Env {
    pub(crate) name: &'static str,
    runtime: Runtime,
    executor: Executor,
}

#[derive(Clone)]
enum Executor {
    BlockOn,
    Smol(Arc<smol::Executor<'static>>),
    Tokio(tokio::runtime::Handle),
}

impl Env {
    /// This environment's runtime.
    pub(crate) fn runtime(&self) -> Runtime {
        self.runtime.clone()
    }

    /// A builder with this environment's runtime.
    pub(crate) fn builder(&self) -> Builder {
        // What the servers count is the requests of the test.
        let off = evenkeel::HealthCheck::off();
        Pool::builder().runtime(self.runtime.clone()).health_check(off)
    }

    /// Runs all jobs at once, as tasks of the executor where it has tasks, and waits for them.
    pub(crate) async fn join_all<T: Send + 'static>(&self, jobs: Vec<Job<T>>) -> Vec<T> {
        match &self.executor {
            Executor::BlockOn => join_all(jobs).await,
            Executor::Smol(executor) => {
                let tasks: Vec<_> = jobs.into_iter().map(|job| executor.spawn(job)).collect();
                let mut outputs = Vec::with_capacity(tasks.len());
                for task in tasks {
                    outputs.push(task.await);
                }
                outputs
            }
            Executor::Tokio(handle) => {
                let tasks: Vec<_> = jobs.into_iter().map(|job| handle.spawn(job)).collect();
                let mut outputs = Vec::with_capacity(tasks.len());
                for task in tasks {
                    outputs.push(task.await.expect("a task must not panic"));
                }
                outputs
            }
        }
    }

    /// Runs `job` for each number below `total`, by `workers` that each do one after another.
    pub(crate) async fn run_concurrently<J, F>(&self, workers: usize, total: usize, job: J)
    where
        J: Fn(usize) -> F + Clone + Send + Sync + 'static,
        F: Future<Output = ()> + Send + 'static,
    {
        self.join_all(workers_of(workers, total, job)).await;
    }
}

/// Workers that share the numbers below `total` among themselves.
pub(crate) fn workers_of<J, F>(workers: usize, total: usize, job: J) -> Vec<Job<()>>
where
    J: Fn(usize) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = ()> + Send + 'static,
{
    let next = Arc::new(AtomicUsize::new(0));
    let worker = |_| {
        let (next, job) = (next.clone(), job.clone());
        Box::pin(async move {
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if number >= total {
                    return;
                }
                job(number).await;
            }
        }) as Job<()>
    };
    (0..workers).map(worker).collect()
}

/// Runs the scenario under async-io with a bare `block_on`.
#[track_caller]
pub(crate) fn block_on<F>(scenario: impl FnOnce() -> F + Send + 'static)
where
    F: Future<Output = ()>,
{
    guarded("block_on", || futures_lite::future::block_on(scenario()));
}

/// Runs the scenario once under each runtime, one after another.
#[track_caller]
pub(crate) fn for_each_runtime<S, F>(scenario: S)
where
    S: Fn(Env) -> F + Clone + Send + 'static,
    F: Future<Output = ()> + Send + 'static,
{
    under_block_on(scenario.clone());
    under_smol(scenario.clone());
    under_tokio_current_thread(scenario.clone());
    under_tokio_multi_thread(scenario);
}

/// Runs the scenario under async-io with a bare `block_on`.
#[track_caller]
pub(crate) fn under_block_on<F>(scenario: impl FnOnce(Env) -> F + Send + 'static)
where
    F: Future<Output = ()>,
{
    let env = Env { name: "block_on", runtime: Runtime::async_io(), executor: Executor::BlockOn };
    guarded(env.name, || futures_lite::future::block_on(scenario(env)));
}

/// Runs the scenario under a smol executor of two threads.
#[track_caller]
pub(crate) fn under_smol<F>(scenario: impl FnOnce(Env) -> F + Send + 'static)
where
    F: Future<Output = ()> + Send + 'static,
{
    let executor = Arc::new(smol::Executor::new());
    let env = Env {
        name: "smol",
        runtime: Runtime::smol(executor.clone()),
        executor: Executor::Smol(executor.clone()),
    };
    guarded(env.name, move || {
        let (stop, stopped) = smol::channel::bounded::<()>(1);
        let helper = {
            let executor = executor.clone();
            thread::spawn(move || smol::block_on(executor.run(stopped.recv())))
        };
        smol::block_on(executor.run(executor.spawn(scenario(env))));
        drop(stop);
        helper.join().expect("the helper must not panic").expect_err("nothing is ever sent");
    });
}

/// Runs the scenario under tokio on a single thread.
#[track_caller]
pub(crate) fn under_tokio_current_thread<F>(scenario: impl FnOnce(Env) -> F + Send + 'static)
where
    F: Future<Output = ()> + Send + 'static,
{
    let tokio = tokio::runtime::Builder::new_current_thread().enable_all().build();
    under_tokio("tokio current-thread", tokio.expect("a tokio runtime"), scenario);
}

/// Runs the scenario under tokio on two threads.
#[track_caller]
pub(crate) fn under_tokio_multi_thread<F>(scenario: impl FnOnce(Env) -> F + Send + 'static)
where
    F: Future<Output = ()> + Send + 'static,
{
    let mut tokio = tokio::runtime::Builder::new_multi_thread();
    let tokio = tokio.worker_threads(2).enable_all().build();
    under_tokio("tokio multi-thread", tokio.expect("a tokio runtime"), scenario);
}

#[track_caller]
fn under_tokio<F>(
    name: &'static str,
    tokio: tokio::runtime::Runtime,
    scenario: impl FnOnce(Env) -> F + Send + 'static,
) where
    F: Future<Output = ()> + Send + 'static,
{
    let handle = tokio.handle().clone();
    let env =
        Env { name, runtime: Runtime::tokio(handle.clone()), executor: Executor::Tokio(handle) };
    guarded(name, move || {
        let task = tokio.spawn(scenario(env));
        tokio.block_on(task).expect("the scenario must not panic");
    });
}

/// Runs `body` on a thread of its own, and fails if it panics or does not end in time.
#[track_caller]
fn guarded(name: &str, body: impl FnOnce() + Send + 'static) {
    let (done, ended) = channel::<()>();
    let thread = thread::spawn(move || {
        // Dropped at the end of the body, or when it unwinds.
        let _done = done;
        body();
    });
    match ended.recv_timeout(TOO_LONG) {
        Err(RecvTimeoutError::Timeout) => panic!("under {name}: no end after {TOO_LONG:?}"),
        _ => {
            if let Err(panic) = thread.join() {
                eprintln!("failed under {name}");
                std::panic::resume_unwind(panic);
            }
        }
    }
}
