//! The clients: the floor, the reference, this pool, and its peers.

mod floor;
#[cfg(feature = "hyper-util")]
mod hyper;
mod ours;
#[cfg(feature = "pingora")]
mod pingora;
mod reference;
#[cfg(feature = "reqwest")]
mod reqwest;
#[cfg(feature = "tls")]
pub(crate) mod tls;
#[cfg(feature = "trillium")]
mod trillium;
#[cfg(feature = "ureq")]
mod ureq;

use std::future::Future;
use std::io;

use tokio::runtime;

use crate::measure::Worker;
use crate::options::Options;

/// A client by its name.
pub(crate) struct Client {
    pub(crate) name: &'static str,
    pub(crate) run: fn(&Options) -> io::Result<()>,
}

/// All clients that were compiled, the floor first.
pub(crate) const ALL: &[Client] = &[
    Client { name: "floor", run: floor::run },
    Client { name: "reference-tokio", run: reference::tokio },
    Client { name: "reference-async-io", run: reference::async_io },
    Client { name: "evenkeel-tokio", run: |options| ours::tokio(options, Threads::One) },
    Client { name: "evenkeel-tokio-2", run: |options| ours::tokio(options, Threads::Two) },
    Client { name: "evenkeel-async-io", run: ours::async_io },
    #[cfg(feature = "hyper-util")]
    Client { name: "hyper-util", run: |options| hyper::run(options, Threads::One) },
    #[cfg(feature = "hyper-util")]
    Client { name: "hyper-util-2", run: |options| hyper::run(options, Threads::Two) },
    #[cfg(feature = "reqwest")]
    Client { name: "reqwest", run: |options| reqwest::run(options, Threads::One) },
    #[cfg(feature = "reqwest")]
    Client { name: "reqwest-2", run: |options| reqwest::run(options, Threads::Two) },
    #[cfg(feature = "pingora")]
    Client { name: "pingora", run: |options| pingora::run(options, Threads::One) },
    #[cfg(feature = "ureq")]
    Client { name: "ureq", run: ureq::run },
    #[cfg(feature = "trillium")]
    Client { name: "trillium", run: trillium::run },
    #[cfg(feature = "tls")]
    Client { name: "evenkeel-tokio-tls", run: tls::tokio },
    #[cfg(feature = "tls")]
    Client { name: "evenkeel-async-io-tls", run: tls::async_io },
    #[cfg(feature = "tls")]
    Client { name: "hyper-util-tls", run: tls::hyper },
    #[cfg(feature = "tls")]
    Client { name: "reqwest-tls", run: tls::reqwest },
];

/// How many threads drive a client's tasks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Threads {
    /// The scheduler of one thread.
    One,
    /// The scheduler of many threads, with two.
    Two,
}

impl Threads {
    fn tokio(self) -> io::Result<runtime::Runtime> {
        match self {
            Self::One => runtime::Builder::new_current_thread().enable_all().build(),
            Self::Two => {
                runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()
            }
        }
    }
}

/// Drives one tokio task for each worker, through all phases.
async fn on_tokio<F>(options: &Options, work: impl Fn(Worker) -> F)
where
    F: Future<Output = ()> + Send + 'static,
{
    for mut phase in options.phases() {
        let tasks: Vec<_> =
            phase.workers().into_iter().map(|worker| tokio::spawn(work(worker))).collect();
        for task in tasks {
            task.await.expect("no worker panics");
        }
        phase.finish();
    }
}
