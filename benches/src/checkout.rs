//! Checkout and check-in of one idle connection, without I/O, beside other pools and structures.
//!
//! For this pool it is the real path: balancer, limits, counters, the look at the connection (whose
//! transport answers without a system call here), two readings of the clock. The bare structures
//! do less: no limit, no count, no look. They show what the hand-over alone can cost.
//!
//! Each holds [`CONNECTIONS`] of them, so nobody ever waits. The figure is CPU time per cycle: on
//! two threads it says directly how much dearer a cycle is than on one. Whoever sleeps on a lock
//! uses no CPU meanwhile, so that for structures with a lock it is the least it can be.

mod others;
mod pool;

use std::io;
use std::sync::Barrier;
use std::thread::{available_parallelism, scope};

use crate::allocations;
use crate::measure::cpu_time;
use crate::options::Arguments;
use crate::pin_thread;

pub(crate) use self::pool::{Clock, builder};

/// How many connections each pool holds.
const CONNECTIONS: usize = 64;

/// Something to take from and give back to.
trait Cycle: Sync {
    /// Takes a connection, touches it, and gives it back.
    fn cycle(&self);
}

/// What is compared, and how one is made.
type Entry = (&'static str, fn() -> io::Result<Box<dyn Cycle>>);

const ALL: &[Entry] = &[
    ("nothing: the loop itself", || Ok(Box::new(others::Nothing))),
    ("evenkeel, `checkout`", || Ok(Box::new(pool::Evenkeel::new(Clock::Coarse, 1)?))),
    ("evenkeel, `try_checkout`", || {
        Ok(Box::new(pool::Try(pool::Evenkeel::new(Clock::Coarse, 1)?)))
    }),
    ("evenkeel, `checkout`, four servers", || Ok(Box::new(pool::Evenkeel::new(Clock::Coarse, 4)?))),
    ("evenkeel, `checkout`, a timer without a coarse clock", || {
        Ok(Box::new(pool::Evenkeel::new(Clock::Precise, 1)?))
    }),
    ("evenkeel, `checkout`, a clock that costs nothing", || {
        Ok(Box::new(pool::Evenkeel::new(Clock::Still, 1)?))
    }),
    ("crossbeam `ArrayQueue`", || Ok(Box::new(others::Bounded::new()))),
    ("crossbeam `SegQueue`", || Ok(Box::new(others::Unbounded::new()))),
    ("std `Mutex<Vec>`", || Ok(Box::new(others::Stack::new()))),
    ("tokio `Semaphore` + std `Mutex<VecDeque>`", || Ok(Box::new(others::Limited::new()))),
    #[cfg(feature = "pools")]
    ("deadpool, unmanaged", || Ok(Box::new(others::Deadpool::new()))),
    #[cfg(feature = "pools")]
    ("bb8", || Ok(Box::new(others::Bb8::new()?))),
];

/// Runs the comparison and prints it.
///
/// # Errors
/// Those of building a pool.
pub(crate) fn compare(arguments: &Arguments) -> io::Result<()> {
    let threads: Vec<usize> = arguments.list("--threads", "1,2");
    let rounds: usize = arguments.value("--rounds", 5);
    let operations: u64 = arguments.value("--operations", 1_000_000);
    let thinks: Vec<u64> = arguments.list("--think", "0,280");
    let only = arguments.text("--only").unwrap_or_default();
    let entries: Vec<&Entry> = ALL.iter().filter(|(name, _)| name.contains(only)).collect();
    let columns: Vec<(u64, usize)> =
        thinks.iter().flat_map(|think| threads.iter().map(|count| (*think, *count))).collect();
    let mut results = vec![vec![Vec::new(); columns.len()]; entries.len()];
    for _ in 0..rounds {
        for ((_, make), results) in entries.iter().zip(&mut results) {
            for ((think, count), results) in columns.iter().zip(results) {
                results.push(run(&*make()?, *count, operations, *think)?);
            }
        }
    }
    print!("| CPU ns per cycle |");
    for (think, group) in thinks.iter().zip(columns.chunks(threads.len())) {
        group.iter().for_each(|(_, count)| print!(" threads: {count}, steps: {think} |"));
        print!(" ratio |");
    }
    println!("{}", if allocations::COUNTED { " allocations |" } else { "" });
    let width = thinks.len() * (threads.len() + 1) + usize::from(allocations::COUNTED);
    println!("|---|{}", "---|".repeat(width));
    for ((name, _), results) in entries.iter().zip(&mut results) {
        print!("| {name} |");
        let costs: Vec<Cost> = results.iter_mut().map(|results| median(results)).collect();
        for group in costs.chunks(threads.len()) {
            group.iter().for_each(|cost| print!(" {:.1} |", cost.nanos));
            print!(" {:.2} |", group[group.len() - 1].nanos / group[0].nanos);
        }
        let most = costs.iter().map(|cost| cost.allocations).fold(0.0, f64::max);
        println!("{}", if allocations::COUNTED { format!(" {most:.3} |") } else { String::new() });
    }
    Ok(())
}

fn median(results: &mut [Cost]) -> Cost {
    results.sort_by(|a, b| a.nanos.total_cmp(&b.nanos));
    results[results.len() / 2]
}

#[derive(Clone, Copy)]
struct Cost {
    nanos: f64,
    allocations: f64,
}

fn run(pool: &dyn Cycle, threads: usize, operations: u64, think: u64) -> io::Result<Cost> {
    let cores = available_parallelism()?.get();
    let each = operations / threads as u64;
    let (ready, go) = (Barrier::new(threads + 1), Barrier::new(threads + 1));
    let (cpu, allocated) = scope(|scope| {
        for thread in 0..threads {
            let (ready, go) = (&ready, &go);
            scope.spawn(move || {
                if let Err(error) = pin_thread(thread % cores) {
                    eprintln!("not pinned to its core: {error}");
                }
                (0..1000).for_each(|_| pool.cycle());
                ready.wait();
                go.wait();
                let mut state = thread as u64 | 1;
                for _ in 0..each {
                    pool.cycle();
                    for _ in 0..think {
                        state = std::hint::black_box(state).wrapping_mul(6_364_136_223_846_793_005);
                    }
                }
            });
        }
        ready.wait();
        let before = (cpu_time(), allocations::so_far());
        go.wait();
        before
    });
    let cycles = (each * threads as u64) as f64;
    let cpu = cpu_time() - cpu;
    let allocated = allocations::so_far() - allocated;
    Ok(Cost { nanos: cpu.as_nanos() as f64 / cycles, allocations: allocated.calls as f64 / cycles })
}
