//! This pool, with its balancer, limits, deadlines and counters on, as they are by default.

use std::io;

use async_executor::LocalExecutor;
use evenkeel::{Body, Builder, HealthCheck, Pool, Runtime, Server};
use http::{Request, Uri};

use super::{Threads, on_tokio};
use crate::measure::Worker;
use crate::options::Options;

/// More than any run has callers.
const LIMIT: usize = 4096;

fn pool(options: &Options, runtime: Runtime) -> Pool {
    let server = Server::new(options.base()).expect("a URL");
    limited(Pool::builder().runtime(runtime).server(server))
}

/// With limits that no run reaches.
pub(super) fn limited(builder: Builder) -> Pool {
    builder
        .max_connections_per_server(LIMIT)
        .max_total_connections(LIMIT)
        .max_idle_connections(LIMIT)
        // Nothing but the requests is to be measured, as with the others.
        .health_check(HealthCheck::off())
        .build()
        .expect("the settings are valid")
}

pub(super) async fn call(pool: Pool, uri: Uri, mut worker: Worker) {
    while worker.goes_on() {
        let mut request = Request::new(Body::empty());
        *request.uri_mut() = uri.clone();
        let response = pool.send(request).await.expect("a response");
        let body = response.into_body().bytes().await.expect("a body");
        worker.answered(body.len());
    }
}

/// On tokio.
///
/// # Errors
/// Those of starting the runtime.
pub(crate) fn tokio(options: &Options, threads: Threads) -> io::Result<()> {
    let uri: Uri = options.path.parse().expect("a path");
    let runtime = threads.tokio()?;
    let pool = pool(options, Runtime::tokio(runtime.handle().clone()));
    runtime.block_on(on_tokio(options, |worker| call(pool.clone(), uri.clone(), worker)));
    Ok(())
}

/// Over the async-io reactor, with all callers on one thread.
///
/// # Errors
/// None.
pub(crate) fn async_io(options: &Options) -> io::Result<()> {
    on_async_io(options, &pool(options, Runtime::async_io()))
}

/// The same with a pool of any kind.
pub(super) fn on_async_io(options: &Options, pool: &Pool) -> io::Result<()> {
    let uri: Uri = options.path.parse().expect("a path");
    let executor = LocalExecutor::new();
    async_io::block_on(executor.run(async {
        for mut phase in options.phases() {
            let callers = phase.workers().into_iter();
            let tasks: Vec<_> = callers
                .map(|worker| executor.spawn(call(pool.clone(), uri.clone(), worker)))
                .collect();
            for task in tasks {
                task.await;
            }
            phase.finish();
        }
    }));
    Ok(())
}
