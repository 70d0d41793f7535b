//! A simulated server: so many workers, one line in front of them, and faults by schedule.

#![expect(
    clippy::disallowed_types,
    reason = "a world runs on one thread: its locks are never contended"
)]

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use evenkeel::Server;
use evenkeel::rt::sim::{Sim, SimStream};
use fastrand::Rng;
use futures_lite::future::or;
use futures_lite::{AsyncReadExt, AsyncWriteExt};

use crate::draw::exponential;

const OK: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
const UNAVAILABLE: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\ncontent-length: 2\r\n\r\nno";

/// What a server is like, and what becomes of it.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    /// What the pools are told.
    pub(crate) weight: u32,
    pub(crate) workers: usize,
    /// The mean of the exponential service times.
    pub(crate) service: Duration,
    pub(crate) spells: Vec<Spell>,
}

impl Plan {
    /// Four workers with a mean service time of 10 ms: at most 400 requests a second.
    pub(crate) const fn plain() -> Self {
        Self { weight: 1, workers: 4, service: Duration::from_millis(10), spells: Vec::new() }
    }

    /// Takes so many times as long for everything.
    pub(crate) fn slower(self, times: f64) -> Self {
        Self { service: self.service.mul_f64(times), ..self }
    }

    /// With a fault from one second to another.
    pub(crate) fn fault(mut self, fault: Fault, from: u64, to: u64) -> Self {
        let (from, to) = (Duration::from_secs(from), Duration::from_secs(to));
        self.spells.push(Spell { from, to, fault });
        self
    }
}

/// A time in which a server misbehaves, counted from the start of the world.
#[derive(Clone, Debug)]
pub(crate) struct Spell {
    pub(crate) from: Duration,
    pub(crate) to: Duration,
    pub(crate) fault: Fault,
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Fault {
    /// Work takes so many times as long.
    Slow(f64),
    /// Each request is answered with a 503 after so long, by nobody's work.
    Unavailable(Duration),
    /// Requests are read and never answered.
    Hung,
    /// Open connections are reset, new ones refused.
    Down,
}

/// A server of a world.
pub(crate) struct Station {
    sim: Sim,
    began: Instant,
    addr: String,
    plan: Plan,
    state: Mutex<State>,
}

struct State {
    rng: Rng,
    /// When each worker is done with the work that is taken on already.
    free: BinaryHeap<Reverse<Instant>>,
    /// Requests that came, by the second.
    came: BTreeMap<u64, u64>,
}

enum Answer {
    At(Instant, &'static [u8]),
    Never,
}

impl Station {
    /// Starts to serve at the address of this number.
    pub(crate) fn start(sim: &Sim, number: usize, plan: Plan, seed: u64) -> Arc<Self> {
        let began = sim.now();
        let state = State {
            rng: Rng::with_seed(seed),
            free: (0..plan.workers).map(|_| Reverse(began)).collect(),
            came: BTreeMap::new(),
        };
        let addr = format!("10.0.{}.{}:80", number / 250, number % 250 + 1);
        let state = Mutex::new(state);
        let station = Arc::new(Self { sim: sim.clone(), began, addr, plan, state });
        sim.spawn(station.clone().keep());
        station
    }

    /// What a pool knows of it.
    pub(crate) fn server(&self) -> Server {
        let server = Server::new(format!("http://{}", self.addr)).expect("a valid URL");
        server.weight(self.plan.weight)
    }

    /// Makes each attempt to connect take this long.
    pub(crate) fn connect_delay(&self, delay: Duration) {
        self.sim.net().connect_delay(&self.addr, delay);
    }

    /// How many requests came in these seconds of the world, health checks left out.
    pub(crate) fn came(&self, from: u64, to: u64) -> u64 {
        self.lock().came.range(from..to).map(|(_, count)| count).sum()
    }

    /// Listens, but for the spells in which it is down.
    async fn keep(self: Arc<Self>) {
        let downs: Vec<Spell> = self.plan.spells.clone();
        for spell in downs.iter().filter(|spell| matches!(spell.fault, Fault::Down)) {
            or(self.clone().accept(true), self.until(self.began + spell.from)).await;
            self.until(self.began + spell.to).await;
        }
        self.accept(false).await;
    }

    /// Serves whoever connects. When it is dropped, so are the connections if they are `mortal`.
    async fn accept(self: Arc<Self>, mortal: bool) {
        let listener = self.sim.net().listen(&self.addr);
        let (_alive, dead) = smol::channel::bounded::<()>(1);
        loop {
            let stream = listener.accept().await;
            let serve = self.clone().serve(stream);
            if mortal {
                let dead = dead.clone();
                self.sim.spawn(or(serve, async move {
                    dead.recv().await.expect_err("nothing is ever sent");
                }));
            } else {
                self.sim.spawn(serve);
            }
        }
    }

    async fn serve(self: Arc<Self>, mut stream: SimStream) {
        let mut head = [0; 1024];
        let mut length = 0;
        loop {
            match stream.read(&mut head[length..]).await {
                Ok(count) if count > 0 => length += count,
                _ => return,
            }
            if !head[..length].ends_with(b"\r\n\r\n") {
                continue;
            }
            let is_check = head.starts_with(b"GET /health ");
            length = 0;
            // Until then the client may go away; its work is done all the same.
            let taken = if is_check { self.check() } else { self.take_on() };
            let Answer::At(time, answer) = taken else { continue };
            self.until(time).await;
            if stream.write_all(answer).await.is_err() {
                return;
            }
        }
    }

    /// A health check has come. It is no work, and does not wait for any.
    fn check(&self) -> Answer {
        let now = self.sim.now();
        match self.fault(now) {
            Some(Fault::Hung) => Answer::Never,
            Some(Fault::Unavailable(after)) => Answer::At(now + after, UNAVAILABLE),
            _ => Answer::At(now, OK),
        }
    }

    /// A request has come: what it will get, and when.
    fn take_on(&self) -> Answer {
        let now = self.sim.now();
        let mut state = self.lock();
        *state.came.entry((now - self.began).as_secs()).or_default() += 1;
        match self.fault(now) {
            Some(Fault::Hung) => return Answer::Never,
            Some(Fault::Unavailable(after)) => return Answer::At(now + after, UNAVAILABLE),
            _ => {}
        }
        let Reverse(free) = state.free.pop().expect("a server has a worker");
        let start = free.max(now);
        let slow = match self.fault(start) {
            Some(Fault::Slow(times)) => times,
            _ => 1.0,
        };
        let done = start + exponential(&mut state.rng, self.plan.service.mul_f64(slow));
        state.free.push(Reverse(done));
        Answer::At(done, OK)
    }

    fn fault(&self, at: Instant) -> Option<Fault> {
        let at = at - self.began;
        let spell = self.plan.spells.iter().find(|spell| spell.from <= at && at < spell.to);
        spell.map(|spell| spell.fault)
    }

    async fn until(&self, time: Instant) {
        self.sim.sleep(time.saturating_duration_since(self.sim.now())).await;
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
