//! The comparison: clients in turn, several rounds, one table.
//!
//! Each run is a process of its own, so that its CPU time is its own too. The rounds are
//! interleaved: whatever else the machine does meanwhile falls on all clients alike. What is
//! printed are medians, and ratios to the floor of the same rounds.

use std::collections::BTreeMap;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, Command, Stdio};
use std::thread::available_parallelism;

use crate::allocations;
use crate::clients::ALL;
use crate::measure::Outcome;
use crate::options::Arguments;

/// What one run of one client came to.
struct Run {
    outcome: Outcome,
    /// Connections that the server accepted.
    opened: u64,
}

/// Runs the comparison and prints it.
///
/// # Errors
/// Those of starting the processes.
pub(crate) fn table(arguments: &Arguments) -> io::Result<()> {
    let every: Vec<&str> = ALL.iter().map(|client| client.name).collect();
    let clients: Vec<String> = arguments.list("--clients", &every.join(","));
    let rounds: usize = arguments.value("--rounds", 5);
    let server = Served::start()?;
    for body in arguments.list::<usize>("--body", "13") {
        for concurrency in arguments.list::<usize>("--concurrency", "16,64") {
            let mut runs: BTreeMap<&str, Vec<Run>> = BTreeMap::new();
            for round in 1..=rounds {
                for client in &clients {
                    eprintln!("round {round} of {rounds}: {client}, {concurrency} callers");
                    let run = one(arguments, &server, client, concurrency, body)?;
                    runs.entry(client).or_default().push(run);
                }
            }
            print_table(&clients, &runs, concurrency, body);
        }
    }
    Ok(())
}

fn one(
    arguments: &Arguments,
    server: &Served,
    client: &str,
    concurrency: usize,
    body: usize,
) -> io::Result<Run> {
    server.stats()?;
    let mut command = Command::new(std::env::current_exe()?);
    command
        .args(["run", client, "--core", "0"])
        .args(["--port", &server.addr.port().to_string()])
        .args(["--concurrency", &concurrency.to_string()])
        .args(["--body", &body.to_string()])
        // Read by trillium's executor, which would start a thread for each core.
        .env("SMOL_THREADS", "1");
    for name in ["--seconds", "--warm", "--requests"] {
        if let Some(value) = arguments.text(name) {
            command.args([name, value]);
        }
    }
    let output = command.stderr(Stdio::inherit()).output()?;
    let text = String::from_utf8_lossy(&output.stdout);
    let outcome = Outcome::read(&text).filter(|outcome| outcome.wrong == 0);
    let outcome = outcome.ok_or_else(|| io::Error::other(format!("{client} said {text:?}")))?;
    Ok(Run { outcome, opened: server.stats()? })
}

fn print_table(
    clients: &[String],
    runs: &BTreeMap<&str, Vec<Run>>,
    concurrency: usize,
    body: usize,
) {
    let median = |client: &str, figure: &dyn Fn(&Run) -> f64| {
        let mut figures: Vec<f64> = runs.get(client).into_iter().flatten().map(figure).collect();
        figures.sort_by(f64::total_cmp);
        figures.get(figures.len() / 2).copied().unwrap_or(f64::NAN)
    };
    let cpu = |run: &Run| run.outcome.cpu_us;
    println!("\n{concurrency} callers, bodies of {body} bytes:\n");
    print!("| client | CPU µs/request | least | × floor | requests/s | connections |");
    println!("{}", if allocations::COUNTED { " allocations | bytes | heap at rest |" } else { "" });
    println!("|---|---|---|---|---|---|{}", if allocations::COUNTED { "---|---|---|" } else { "" });
    for client in clients {
        let least = runs[client.as_str()].iter().map(cpu).fold(f64::INFINITY, f64::min);
        print!(
            "| {client} | {:.2} | {least:.2} | {:.2} | {:.0} | {:.0} |",
            median(client, &cpu),
            median(client, &cpu) / median("floor", &cpu),
            median(client, &|run| run.outcome.per_second),
            median(client, &|run| run.opened as f64),
        );
        if allocations::COUNTED {
            print!(
                " {:.2} | {:.0} | {:.0} |",
                median(client, &|run| run.outcome.allocations),
                median(client, &|run| run.outcome.allocated_bytes),
                median(client, &|run| run.outcome.in_use as f64),
            );
        }
        println!();
    }
}

/// The server, in a process of its own and on the last core. It ends with this value.
pub(crate) struct Served {
    process: Child,
    addr: SocketAddr,
}

impl Served {
    pub(crate) fn start() -> io::Result<Self> {
        let core = available_parallelism()?.get() - 1;
        let mut process = Command::new(std::env::current_exe()?)
            .args(["serve", "--port", "0", "--core", &core.to_string()])
            .stdout(Stdio::piped())
            .spawn()?;
        let mut line = String::new();
        if let Some(output) = process.stdout.take() {
            BufReader::new(output).read_line(&mut line)?;
        }
        let port: u16 = line.trim().parse().map_err(io::Error::other)?;
        Ok(Self { process, addr: SocketAddr::from(([127, 0, 0, 1], port)) })
    }

    #[cfg(feature = "tls")]
    pub(crate) fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// How many connections were accepted since the last call.
    fn stats(&self) -> io::Result<u64> {
        let mut stream = TcpStream::connect(self.addr)?;
        stream.write_all(b"GET /stats HTTP/1.1\r\n\r\n")?;
        let mut answer = [0; 1024];
        let n = stream.read(&mut answer)?;
        let text = String::from_utf8_lossy(&answer[..n]);
        let accepted = text.split_once("accepted=").and_then(|(_, rest)| rest.split(' ').next());
        let accepted = accepted.and_then(|digits| digits.parse().ok());
        accepted.ok_or_else(|| io::Error::other(format!("the server said {text:?}")))
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        // It serves for ever; if it has ended by itself, there is nothing to end.
        drop(self.process.kill());
        drop(self.process.wait());
    }
}
