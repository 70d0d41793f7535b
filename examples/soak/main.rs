//! A pool for minutes or hours under everything that can go wrong, with every answer checked.

mod args;
mod load;
mod network;
mod origin;
mod shared;
mod turmoil;
mod vitals;

use std::error::Error;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use fastrand::Rng;
use smol::{Executor, Timer, future};

use self::args::{Args, HELP};
use self::load::{Stage, Tally};
use self::network::Site;
use self::origin::Posts;
use self::shared::Shared;
use self::turmoil::now;

const SITES: u64 = 8;

fn main() -> ExitCode {
    let args = match Args::parse(std::env::args().skip(1)) {
        Ok(Some(args)) => args,
        Ok(None) => {
            print!("{HELP}");
            return ExitCode::SUCCESS;
        }
        Err(complaint) => {
            eprintln!("soak: {complaint}\nTry --help.");
            return ExitCode::from(2);
        }
    };
    match soak(&args) {
        Ok(complaints) if complaints.is_empty() => ExitCode::SUCCESS,
        Ok(complaints) => {
            complaints.iter().for_each(|complaint| eprintln!("soak: {complaint}"));
            ExitCode::FAILURE
        }
        Err(error) => {
            eprintln!("soak: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Two threads for the callers and the pool, one for the world around them.
fn soak(args: &Args) -> Result<Vec<String>, Box<dyn Error>> {
    let (callers, world) = (Arc::new(Executor::new()), Arc::new(Executor::new()));
    let (stop, stopped) = smol::channel::bounded::<()>(1);
    std::thread::scope(|threads| {
        for executor in [&world, &callers] {
            let (executor, stopped) = (executor.clone(), stopped.clone());
            threads.spawn(move || {
                // Until the sender is dropped.
                future::block_on(executor.run(stopped.recv())).ok();
            });
        }
        let outcome = future::block_on(callers.run(run(args, &callers, &world)));
        drop(stop);
        outcome
    })
}

async fn run(
    args: &Args,
    executor: &Arc<Executor<'static>>,
    world: &Arc<Executor<'static>>,
) -> Result<Vec<String>, Box<dyn Error>> {
    let mut rng = Rng::with_seed(args.seed);
    let posts = Arc::new(Posts::new());
    let mut sites = Vec::new();
    for _ in 0..SITES {
        sites.push(Site::start(world, rng.u64(..), posts.clone()).await?);
    }
    let at_first = vitals::descriptors();
    let (pool, ids) = turmoil::build(executor, &sites, &mut rng)?;
    let stage = Arc::new(Stage {
        pool: Shared::new(pool),
        over: false.into(),
        next: 0.into(),
        tally: Tally::default(),
    });
    let (begun, end) = (now(), now() + args.length);
    let callers: Vec<_> = (0..args.workers)
        .map(|_| executor.spawn(load::caller(stage.clone(), rng.fork())))
        .collect();
    let stirring = turmoil::stir(executor.clone(), stage.clone(), sites.clone(), ids, rng, end);
    let stirring = executor.spawn(stirring);
    Timer::after(args.length / 4).await;
    let warm = vitals::memory();
    let pools = stirring.await?;
    for caller in callers {
        caller.await;
    }
    let memory = vitals::memory();

    let tally = &stage.tally;
    if let (Some(warm), Some(memory)) = (warm, memory) {
        println!("memory: {warm} KiB when warm, {memory} KiB at the end");
        if memory > warm + warm / 4 + 16 * 1024 {
            tally.complain("memory has grown".to_owned());
        }
    }
    if let Some(at_first) = at_first {
        let left = leftover(at_first).await;
        println!("descriptors: {at_first} at first, {} at the end", at_first + left);
        if left > 0 {
            tally.complain(format!("{left} descriptors were not closed"));
        }
    }
    let doubled = posts.doubled();
    if doubled > 0 {
        tally.complain(format!("{doubled} POSTs came more than once"));
    }
    let [ok, failed, given_up] =
        [&tally.ok, &tally.failed, &tally.given_up].map(|count| count.load(Ordering::Relaxed));
    let connections: u64 = sites.iter().map(|s| s.connections.load(Ordering::Relaxed)).sum();
    println!(
        "seed {}: {ok} ok, {failed} failed, {given_up} given up in {:.1} s; {pools} pools, \
         {connections} connections, {} POSTs",
        args.seed,
        begun.elapsed().as_secs_f64(),
        posts.seen(),
    );
    for (kind, count) in tally.kinds.with(|kinds| kinds.clone()) {
        println!("  {count:>8}  {kind}");
    }
    if ok == 0 {
        tally.complain("no request succeeded".to_owned());
    }
    Ok(tally.complaints.with(std::mem::take))
}

/// How many more descriptors than at first stay open.
async fn leftover(at_first: usize) -> usize {
    let deadline = now() + Duration::from_secs(10);
    loop {
        let left = vitals::descriptors().unwrap_or(at_first).saturating_sub(at_first);
        if left == 0 || now() > deadline {
            return left;
        }
        Timer::after(Duration::from_millis(20)).await;
    }
}
