//! The closed loop that every client runs, and what it costs.
//!
//! A client runs in phases: a warm-up, then what is measured. In each phase it drives all of its
//! workers to their end, in tasks or in threads, and then [finishes](Phase::finish) the phase:
//!
//! ```text
//! while worker.goes_on() { one request; worker.answered(length of the body); }
//! ```

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike;

use crate::allocations;
use crate::options::{Length, Options};

static ANSWERED: AtomicU64 = AtomicU64::new(0);
static WRONG: AtomicU64 = AtomicU64::new(0);

/// The system's clock: these programs measure real time, and nothing else would do.
#[expect(clippy::disallowed_methods, reason = "a measurement of real time")]
pub(crate) fn now() -> Instant {
    Instant::now()
}

/// CPU time of this process so far, in user and in kernel mode.
///
/// # Panics
/// If the system does not tell.
pub(crate) fn cpu_time() -> Duration {
    let usage = getrusage(UsageWho::RUSAGE_SELF).expect("the system tells what a process used");
    let micros = (usage.user_time() + usage.system_time()).num_microseconds();
    Duration::from_micros(micros.unsigned_abs())
}

/// One caller: at most one request in flight.
pub(crate) struct Worker {
    left: u64,
    end: Option<Instant>,
    body: usize,
    answered: u64,
    wrong: u64,
}

impl Worker {
    /// Whether to send another request.
    pub(crate) fn goes_on(&mut self) -> bool {
        if self.left == 0 || self.end.is_some_and(|end| end <= now()) {
            return false;
        }
        self.left -= 1;
        true
    }

    /// A response came, with a body of `body` bytes.
    pub(crate) fn answered(&mut self, body: usize) {
        self.answered += 1;
        self.wrong += u64::from(body != self.body);
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        ANSWERED.fetch_add(self.answered, Relaxed);
        WRONG.fetch_add(self.wrong, Relaxed);
    }
}

/// The warm-up, or what is measured.
pub(crate) struct Phase<'a> {
    options: &'a Options,
    measured: bool,
    began: Instant,
    cpu: Duration,
    allocated: allocations::Count,
}

impl Options {
    /// The phases of a run, in their order.
    pub(crate) fn phases(&self) -> impl Iterator<Item = Phase<'_>> {
        [false, true].into_iter().map(|measured| Phase {
            options: self,
            measured,
            began: now(),
            cpu: Duration::ZERO,
            allocated: allocations::Count::default(),
        })
    }
}

impl Phase<'_> {
    /// The workers of this phase. The measurement begins.
    pub(crate) fn workers(&mut self) -> Vec<Worker> {
        ANSWERED.store(0, Relaxed);
        WRONG.store(0, Relaxed);
        self.allocated = allocations::so_far();
        self.cpu = cpu_time();
        self.began = now();
        let concurrency = self.options.concurrency;
        let (left, seconds) = match (self.options.length, self.measured) {
            // A warm-up of fixed length: two runs of different lengths differ in nothing else.
            (Length::Requests(_), false) => (10, None),
            (Length::Requests(n), true) => (n / concurrency as u64, None),
            (Length::Seconds { warm, .. }, false) => (u64::MAX, Some(warm)),
            (Length::Seconds { measured, .. }, true) => (u64::MAX, Some(measured)),
        };
        let end = seconds.map(|seconds| self.began + Duration::from_secs_f64(seconds));
        (0..concurrency)
            .map(|_| Worker { left, end, body: self.options.body, answered: 0, wrong: 0 })
            .collect()
    }

    /// All workers have been dropped: prints what was measured.
    pub(crate) fn finish(self) {
        if !self.measured {
            return;
        }
        let (cpu, wall) = (cpu_time() - self.cpu, self.began.elapsed());
        let allocated = allocations::so_far() - self.allocated;
        let requests = ANSWERED.load(Relaxed);
        let per_request = requests.max(1) as f64;
        let outcome = Outcome {
            requests,
            wrong: WRONG.load(Relaxed),
            cpu_us: cpu.as_secs_f64() * 1e6 / per_request,
            per_second: requests as f64 / wall.as_secs_f64(),
            allocations: allocated.calls as f64 / per_request,
            allocated_bytes: allocated.bytes as f64 / per_request,
            in_use: allocations::in_use(),
        };
        println!("{outcome}");
    }
}

/// What a run measured. It is printed as a line, and read back from it by the table.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Outcome {
    pub(crate) requests: u64,
    /// Responses whose body had another length than it should.
    pub(crate) wrong: u64,
    pub(crate) cpu_us: f64,
    pub(crate) per_second: f64,
    pub(crate) allocations: f64,
    pub(crate) allocated_bytes: f64,
    /// Heap in use at the end, with all connections idle.
    pub(crate) in_use: u64,
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { requests, wrong, cpu_us, per_second, allocations, allocated_bytes, in_use } =
            self;
        write!(
            f,
            "requests={requests} wrong={wrong} cpu_us={cpu_us:.3} per_second={per_second:.0} \
             allocations={allocations:.2} allocated_bytes={allocated_bytes:.0} in_use={in_use}"
        )
    }
}

impl Outcome {
    /// Reads the last line of a run. `None` if it is none.
    pub(crate) fn read(output: &str) -> Option<Self> {
        let line = output.lines().last()?;
        let mut outcome = Self::default();
        for word in line.split_whitespace() {
            let (name, value) = word.split_once('=')?;
            match name {
                "requests" => outcome.requests = value.parse().ok()?,
                "wrong" => outcome.wrong = value.parse().ok()?,
                "cpu_us" => outcome.cpu_us = value.parse().ok()?,
                "per_second" => outcome.per_second = value.parse().ok()?,
                "allocations" => outcome.allocations = value.parse().ok()?,
                "allocated_bytes" => outcome.allocated_bytes = value.parse().ok()?,
                "in_use" => outcome.in_use = value.parse().ok()?,
                _ => return None,
            }
        }
        Some(outcome)
    }
}
