//! Eight servers, and what is wrong with some of them.

#![expect(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "the servers play other machines: they share nothing with the pool but sockets"
)]

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::Duration;

use crate::server::{MiniServer, ok};

/// How many servers there are.
pub(crate) const SERVERS: usize = 8;

/// The mean time that an answer takes.
const SERVICE: Duration = Duration::from_millis(5);

/// What a server is like.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Kind {
    /// So many workers, each with one request at a time.
    Works(u32),
    /// Four workers, and 50 ms until anybody hears of what they did.
    Far,
    /// Reads a request and resets the connection.
    Resets,
    /// Answers with a 503 after 0.2 ms.
    Unavailable,
    /// Reads requests and never answers.
    Hung,
    /// Nobody listens.
    Refuses,
}

/// What is tried.
pub(crate) struct Scenario {
    pub(crate) name: &'static str,
    /// What the first servers are like; the others are of the last kind.
    pub(crate) kinds: &'static [Kind],
    /// Whether the pool is told how many workers each server has.
    pub(crate) weighted: bool,
}

const WELL: Kind = Kind::Works(4);

/// In each but the first and the last two, the first server of eight misbehaves.
pub(crate) const SCENARIOS: &[Scenario] = &[
    Scenario { name: "all equal", kinds: &[WELL], weighted: false },
    Scenario { name: "one is 50 ms away", kinds: &[Kind::Far, WELL], weighted: false },
    Scenario { name: "one resets", kinds: &[Kind::Resets, WELL], weighted: false },
    Scenario { name: "one says 503 in 0.2 ms", kinds: &[Kind::Unavailable, WELL], weighted: false },
    Scenario { name: "one hangs", kinds: &[Kind::Hung, WELL], weighted: false },
    Scenario { name: "one refuses", kinds: &[Kind::Refuses, WELL], weighted: false },
    Scenario { name: "capacities 1:2:4", kinds: CAPACITIES, weighted: false },
    Scenario { name: "capacities 1:2:4, told as weights", kinds: CAPACITIES, weighted: true },
];

const CAPACITIES: &[Kind] = &[
    Kind::Works(1),
    Kind::Works(2),
    Kind::Works(4),
    Kind::Works(1),
    Kind::Works(2),
    Kind::Works(4),
    Kind::Works(1),
    Kind::Works(2),
];

impl Scenario {
    pub(crate) fn kinds(&self) -> impl Iterator<Item = Kind> {
        let last = self.kinds.last().copied();
        self.kinds.iter().copied().chain(last.into_iter().cycle()).take(SERVERS)
    }

    /// What the pool is told of each server.
    pub(crate) fn weights(&self) -> impl Iterator<Item = u32> {
        self.kinds().map(|kind| match kind {
            Kind::Works(workers) if self.weighted => workers,
            _ => 1,
        })
    }
}

/// The servers of a scenario.
pub(crate) struct Fleet {
    servers: Vec<(MiniServer, Arc<AtomicU64>)>,
}

impl Fleet {
    pub(crate) fn start(scenario: &Scenario) -> io::Result<Self> {
        let servers = scenario.kinds().map(start).collect::<io::Result<_>>()?;
        Ok(Self { servers })
    }

    pub(crate) fn urls(&self) -> impl Iterator<Item = String> {
        self.servers.iter().map(|(server, _)| server.url())
    }

    /// How many requests each server has got.
    pub(crate) fn came(&self) -> Vec<u64> {
        self.servers.iter().map(|(_, came)| came.load(Ordering::Relaxed)).collect()
    }
}

fn start(kind: Kind) -> io::Result<(MiniServer, Arc<AtomicU64>)> {
    let workers = Workers::new(match kind {
        Kind::Works(count) => count,
        _ => 4,
    });
    let came = Arc::new(AtomicU64::new(0));
    let counted = came.clone();
    let mut server = MiniServer::answering(move |stream, path| {
        // Health checks are no requests.
        if path != "/health" {
            counted.fetch_add(1, Ordering::Relaxed);
        }
        answer(kind, &workers, stream)
    })?;
    if matches!(kind, Kind::Refuses) {
        server.stop();
    }
    Ok((server, came))
}

fn answer(kind: Kind, workers: &Workers, mut stream: &TcpStream) -> io::Result<()> {
    match kind {
        Kind::Works(_) => workers.work(),
        Kind::Far => {
            workers.work();
            thread::sleep(Duration::from_millis(50));
        }
        Kind::Resets => {
            socket2::SockRef::from(stream).set_linger(Some(Duration::ZERO))?;
            return Err(io::ErrorKind::ConnectionReset.into());
        }
        Kind::Unavailable => {
            thread::sleep(Duration::from_micros(200));
            return stream.write_all(b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n");
        }
        Kind::Hung | Kind::Refuses => {
            while stream.read(&mut [0; 1024])? > 0 {}
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
    ok(stream, "done\n")
}

/// A server does so much at a time; what is more waits in line.
struct Workers {
    free: Mutex<u32>,
    freed: Condvar,
}

impl Workers {
    fn new(count: u32) -> Self {
        Self { free: Mutex::new(count), freed: Condvar::new() }
    }

    /// Works for a time that is drawn from an exponential distribution.
    fn work(&self) {
        let free = self.free.lock().expect("no thread panics while it holds the lock");
        let free = self.freed.wait_while(free, |free| *free == 0);
        *free.expect("no thread panics while it holds the lock") -= 1;
        // In (0, 1], so that the logarithm is finite.
        let chance = 1.0 - fastrand::f64();
        thread::sleep(SERVICE.mul_f64(-chance.ln()));
        *self.free.lock().expect("no thread panics while it holds the lock") += 1;
        self.freed.notify_one();
    }
}
