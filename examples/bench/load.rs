//! The requests: in a closed loop, or at a rate.

#![expect(clippy::disallowed_methods, reason = "the example's own stopwatch")]
#![expect(clippy::disallowed_types, reason = "taken once for each request, for a few additions")]

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use bytes::Bytes;
use evenkeel::{Body, Error, Pool, ResponseInfo, ServerId};
use http::{Method, Request};
use smol::channel::{Sender, bounded};
use smol::{Executor, Timer};

use crate::args::{Args, Length, Pace};
use crate::latency::Latency;

/// Requests, and how long they took.
pub(crate) struct Load {
    pub(crate) pool: Pool,
    method: Method,
    path: String,
    body: Bytes,
    pace: Pace,
    length: Length,
    began: Instant,
    begun: AtomicU64,
    books: Mutex<Books>,
}

/// What has ended so far.
#[derive(Clone, Default)]
pub(crate) struct Books {
    /// From the moment at which the request was to be sent, to the end of the answer.
    pub(crate) all: Latency,
    pub(crate) servers: HashMap<ServerId, Latency>,
    pub(crate) failed: u64,
    /// What the first that failed says about it.
    pub(crate) complaint: Option<String>,
}

impl Load {
    pub(crate) fn new(pool: Pool, args: &Args) -> Self {
        Self {
            pool,
            method: if args.body.is_some() { Method::POST } else { Method::GET },
            path: args.path.clone(),
            body: vec![b'x'; args.body.unwrap_or(0)].into(),
            pace: args.pace,
            length: args.length,
            began: Instant::now(),
            begun: AtomicU64::new(0),
            books: Mutex::default(),
        }
    }

    /// The time since the start.
    pub(crate) fn elapsed(&self) -> Duration {
        self.began.elapsed()
    }

    pub(crate) fn books(&self) -> Books {
        self.lock().clone()
    }

    /// Sends all requests, and waits for their ends.
    pub(crate) async fn run(self: &Arc<Self>, executor: &Executor<'static>) {
        // Each task holds a sender: when the last is gone, there is nothing to receive.
        let (alive, ended) = bounded(1);
        match self.pace {
            Pace::Concurrency(count) => {
                for _ in 0..count {
                    executor.spawn(self.clone().closed(alive.clone())).detach();
                }
            }
            Pace::Rate(rate) => self.open(executor, rate, &alive).await,
        }
        drop(alive);
        // It is an error, since nobody sends.
        ended.recv().await.ok();
    }

    /// One after another.
    async fn closed(self: Arc<Self>, alive: Sender<()>) {
        while self.goes_on(self.elapsed()) {
            self.request(self.began.elapsed()).await;
        }
        drop(alive);
    }

    /// Each when it is due. If this task falls behind, so do the requests, and their times tell it.
    async fn open(self: &Arc<Self>, executor: &Executor<'static>, rate: f64, alive: &Sender<()>) {
        for number in 0_u64.. {
            let due = Duration::from_secs_f64(number as f64 / rate);
            if !self.goes_on(due) {
                return;
            }
            if due > self.elapsed() {
                Timer::at(self.began + due).await;
            } else {
                smol::future::yield_now().await;
            }
            let (load, alive) = (self.clone(), alive.clone());
            executor
                .spawn(async move {
                    load.request(due).await;
                    drop(alive);
                })
                .detach();
        }
    }

    /// Whether another request is to begin at this time. If so, it is counted.
    fn goes_on(&self, at: Duration) -> bool {
        match self.length {
            Length::Duration(length) => at < length,
            Length::Requests(count) => self.begun.fetch_add(1, Ordering::Relaxed) < count,
        }
    }

    /// One request, whose time counts from `due` on.
    async fn request(&self, due: Duration) {
        let outcome = self.exchange().await;
        let took = self.elapsed().saturating_sub(due);
        let mut books = self.lock();
        books.all.record(took);
        match outcome {
            Ok((server, complaint)) => {
                books.servers.entry(server).or_default().record(took);
                if let Some(complaint) = complaint {
                    books.fail(complaint);
                }
            }
            Err(error) => books.fail(error.to_string()),
        }
    }

    /// The server that answered, and what is wrong with the answer.
    async fn exchange(&self) -> Result<(ServerId, Option<String>), Error> {
        let mut request = Request::new(Body::from(self.body.clone()));
        *request.method_mut() = self.method.clone();
        *request.uri_mut() = self.path.parse().expect("the path was looked at before");
        let response = self.pool.send(request).await?;
        let (status, info) = (response.status(), response.extensions().get::<ResponseInfo>());
        let server = info.expect("the pool puts it into each response").server;
        response.into_body().copy_to(smol::io::sink()).await?;
        let complaint = status.is_server_error().then(|| format!("the answer is {status}"));
        Ok((server, complaint))
    }

    fn lock(&self) -> MutexGuard<'_, Books> {
        self.books.lock().expect("no thread panics while it holds the lock")
    }
}

impl Books {
    fn fail(&mut self, complaint: String) {
        self.failed += 1;
        self.complaint.get_or_insert(complaint);
    }
}
