//! What a request and a checkout cost, beside the floor and beside other clients.
//!
//! ```text
//! evenkeel-bench table      [--rounds 5] [--concurrency 16,64] [--body 13] [--clients a,b]
//! evenkeel-bench run CLIENT [--port P] [--concurrency 64] [--body 13] [--requests N]
//! evenkeel-bench serve      [--port P] [--core N]
//! evenkeel-bench checkout   [--threads 1,2] [--think 0] [--rounds 5] [--operations 1000000]
//! evenkeel-bench pick       [--servers 10,100,1000,10000] [--operations 1000000] [--only STRATEGY]
//! evenkeel-bench handshakes [--rounds 5] [--connections 500]     with the feature `tls`
//! evenkeel-bench snapshot   [--servers 1,10,100]
//! evenkeel-bench list
//! ```
//!
//! See the README for what the figures mean, and `instructions.sh`, `pick.sh` and `syscalls.sh`
//! for those that hardly vary.

mod allocations;
mod checkout;
mod clients;
#[cfg(feature = "tls")]
mod handshakes;
mod measure;
mod options;
mod pick;
mod server;
mod snapshot;
mod table;
#[cfg(feature = "tls")]
mod tls;
mod wire;

use std::io;
use std::process::ExitCode;

use nix::sched::{CpuSet, sched_setaffinity};
use nix::unistd::Pid;

use crate::clients::ALL;
use crate::options::{Arguments, Options};

fn main() -> ExitCode {
    let mut words = std::env::args().skip(1);
    let command = words.next().unwrap_or_default();
    let result = match command.as_str() {
        "table" => table::table(&Arguments::new(words)),
        "run" => {
            let name = words.next().unwrap_or_default();
            run(&name, &Arguments::new(words))
        }
        "serve" => {
            let arguments = Arguments::new(words);
            pin(&arguments);
            server::serve(arguments.value("--port", 9001))
        }
        "checkout" => checkout::compare(&Arguments::new(words)),
        "pick" => pick::compare(&Arguments::new(words)),
        #[cfg(feature = "tls")]
        "handshakes" => handshakes::compare(&Arguments::new(words)),
        "snapshot" => snapshot::compare(&Arguments::new(words)),
        "list" => {
            ALL.iter().for_each(|client| println!("{}", client.name));
            Ok(())
        }
        _ => Err(io::Error::other(
            "say what to do: table, run, serve, checkout, pick, snapshot or list",
        )),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{command}: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(name: &str, arguments: &Arguments) -> io::Result<()> {
    let client = ALL.iter().find(|client| client.name == name);
    let client = client.ok_or_else(|| io::Error::other(format!("no client {name:?}; see list")))?;
    pin(arguments);
    (client.run)(&Options::new(arguments))
}

/// Keeps the process on one core, if one is named: client and server on a core each.
fn pin(arguments: &Arguments) {
    if arguments.text("--core").is_none() {
        return;
    }
    if let Err(error) = pin_thread(arguments.value("--core", 0)) {
        eprintln!("not pinned to its core: {error}");
    }
}

/// Keeps the calling thread, and those that it starts, on one core.
fn pin_thread(core: usize) -> nix::Result<()> {
    let mut set = CpuSet::new();
    set.set(core)?;
    sched_setaffinity(Pid::from_raw(0), &set)
}
