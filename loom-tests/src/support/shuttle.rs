use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::time::Instant;

use shuttle::scheduler::{PctScheduler, RandomScheduler};
use shuttle::{Config, Runner};

/// Threads, for what is used under loom too.
pub mod threads {
    pub use std::sync::Arc;

    pub use shuttle::future::block_on;
    pub use shuttle::thread::{JoinHandle, spawn};
}

/// How many preemptions the second scheduler spends, at the places where they hurt most.
const DEPTH: usize = 3;

/// Runs `f` under random schedules and then under those of the PCT algorithm, half of `runs` each,
/// or of as many as `SHUTTLE_ITERATIONS` says. Always the same ones, unless `SHUTTLE_SEED` is set.
/// A schedule that fails is printed; `SHUTTLE_SCHEDULE` runs it again.
///
/// # Panics
/// If `f` does, or if its threads wait for each other for ever.
#[expect(clippy::disallowed_methods, reason = "how long a scenario takes is no part of it")]
pub fn scenario(name: &str, runs: usize, f: impl Fn() + Send + Sync + 'static) {
    let set = |name| std::env::var(name).ok();
    if let Some(schedule) = set("SHUTTLE_SCHEDULE") {
        return shuttle::replay(f, &schedule);
    }
    let number = |name| set(name).map(|text: String| text.parse().expect("a number"));
    let runs = number("SHUTTLE_ITERATIONS").unwrap_or(runs) / 2;
    let seed = number("SHUTTLE_SEED").unwrap_or(0) as u64;
    let start = Instant::now();
    let f = std::sync::Arc::new(f);
    let run = |random: bool| {
        let f = std::sync::Arc::clone(&f);
        let done = if random {
            Runner::new(RandomScheduler::new_from_seed(seed, runs), Config::new()).run(move || f())
        } else {
            let scheduler = PctScheduler::new_from_seed(seed, DEPTH, runs);
            Runner::new(scheduler, Config::new()).run(move || f())
        };
        assert_eq!(done, runs, "{name}: fewer schedules than asked for");
    };
    for random in [true, false] {
        let how = if random { "random" } else { "PCT" };
        if let Err(panic) = catch_unwind(AssertUnwindSafe(|| run(random))) {
            eprintln!("{name}: failed under a {how} schedule; SHUTTLE_SCHEDULE=... runs it again");
            resume_unwind(panic);
        }
    }
    println!("SHUTTLE {name}: {runs} random and {runs} PCT schedules in {:.2?}", start.elapsed());
}

/// A plain variable that only one thread may be using: shuttle sees no unordered accesses, but it
/// can switch in the middle of one.
#[derive(Debug)]
pub struct Plain<T: Copy> {
    value: Cell<T>,
    in_use: Cell<bool>,
}

// SAFETY: this is not sound in general. Under shuttle all threads run on one, and switch only at
// its own operations.
unsafe impl<T: Copy + Send> Sync for Plain<T> {}

impl<T: Copy> Plain<T> {
    /// A variable with a value.
    pub fn new(value: T) -> Self {
        Self { value: Cell::new(value), in_use: Cell::new(false) }
    }

    /// Reads it.
    #[track_caller]
    pub fn get(&self) -> T {
        self.alone();
        self.value.get()
    }

    /// Writes it.
    #[track_caller]
    pub fn set(&self, value: T) {
        self.alone();
        self.value.set(value);
    }

    #[track_caller]
    fn alone(&self) {
        assert!(!self.in_use.replace(true), "two users at a time");
        shuttle::thread::yield_now();
        self.in_use.set(false);
    }
}
