//! The load that the crate's own tests run under every other runtime, under async-std.

#[path = "../../../tests/it/support/books.rs"]
mod books;
#[path = "../../../tests/it/support/load.rs"]
mod load;
#[path = "../../../tests/it/support/server/mod.rs"]
mod server;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_std::task;
use evenkeel::{BoxFuture, Pool, Runtime};

use load::{CALLERS, Load, REQUESTS};

#[test]
fn twenty_thousand_requests_keep_the_limit_under_async_std() {
    let runtime = Runtime::async_io().spawner(|background: BoxFuture<'static, ()>| {
        drop(task::spawn(background));
    });
    let load = Load::new(Pool::builder().runtime(runtime));
    task::block_on(async {
        let next = Arc::new(AtomicUsize::new(0));
        let callers: Vec<_> = (0..CALLERS)
            .map(|_| {
                let (next, job) = (next.clone(), load.job());
                task::spawn(async move {
                    loop {
                        let number = next.fetch_add(1, Ordering::Relaxed);
                        if number >= REQUESTS {
                            return;
                        }
                        job(number).await;
                    }
                })
            })
            .collect();
        for caller in callers {
            caller.await;
        }
        load.verify().await;
    });
}
