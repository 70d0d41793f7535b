//! The command line.

use std::time::Duration;

use evenkeel::Strategy;

use crate::options::Options;

/// What `--help` prints.
pub(crate) const HELP: &str = "\
Sends requests through a pool, and tells how long they took.

Usage: bench [OPTIONS] [URL]...

Without URLs it starts three servers of its own on loopback.

How much, one of these:
  --concurrency N    so many at a time, each when the one before it has ended  [default: 32]
  --rate N           so many a second, each when it is due; its time counts from then
How long, one of these:
  --duration S       seconds                                                   [default: 5]
  --requests N
Options:
  --strategy NAME    how servers are picked                           [default: RoundRobin]
  --connections N    how many connections a server may have                   [default: 64]
  --body BYTES       POSTs a body of so many bytes, instead of a GET
  --path PATH        what is asked for, behind the URL's path                  [default: /]
  --timeout S        how long a request may take, in seconds                  [default: 10]
  --threads N        threads that send                                         [default: 2]
  --json             prints nothing but one JSON object, at the end
  --help             prints this text

On a terminal a table of the servers is kept up to date. NO_COLOR=1 leaves colours out.
";

/// What the user asked for.
#[derive(Debug)]
pub(crate) struct Args {
    pub(crate) urls: Vec<String>,
    pub(crate) pace: Pace,
    pub(crate) length: Length,
    pub(crate) strategy: Strategy,
    pub(crate) connections: usize,
    pub(crate) body: Option<usize>,
    pub(crate) path: String,
    pub(crate) timeout: Duration,
    pub(crate) threads: usize,
    pub(crate) json: bool,
}

/// When requests are sent.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Pace {
    /// So many are under way at any time: a closed loop.
    Concurrency(usize),
    /// So many a second, whatever becomes of those before: an open loop.
    Rate(f64),
}

/// When it ends.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Length {
    Duration(Duration),
    Requests(u64),
}

impl Args {
    /// `None` if the user asked for help; an error in plain words if something is wrong.
    pub(crate) fn parse(given: impl Iterator<Item = String>) -> Result<Option<Self>, String> {
        let (mut pace, mut length) = (None, None);
        let mut args = Self {
            urls: Vec::new(),
            pace: Pace::Concurrency(32),
            length: Length::Duration(Duration::from_secs(5)),
            strategy: Strategy::default(),
            connections: 64,
            body: None,
            path: "/".into(),
            timeout: Duration::from_secs(10),
            threads: 2,
            json: false,
        };
        let mut options = Options::new(given);
        while let Some(name) = options.next() {
            match name.as_str() {
                "--help" | "-h" => return Ok(None),
                "--concurrency" => {
                    let count = options.number(1..=100_000)?;
                    once(&mut pace, Pace::Concurrency(count), "--concurrency or --rate")?;
                }
                "--rate" => {
                    let rate = options.number(0.1..=1e6)?;
                    once(&mut pace, Pace::Rate(rate), "--concurrency or --rate")?;
                }
                "--duration" => {
                    let time = Duration::from_secs_f64(options.number(0.1..=86_400.0)?);
                    once(&mut length, Length::Duration(time), "--duration or --requests")?;
                }
                "--requests" => {
                    let count = options.number(1..=1_000_000_000_000)?;
                    once(&mut length, Length::Requests(count), "--duration or --requests")?;
                }
                "--strategy" => {
                    args.strategy = options.value()?.parse().map_err(said)?;
                }
                "--connections" => args.connections = options.number(1..=10_000)?,
                "--body" => args.body = Some(options.number(0..=1 << 30)?),
                "--path" => args.path = path(options.value()?)?,
                "--timeout" => {
                    args.timeout = Duration::from_secs_f64(options.number(0.001..=3600.0)?);
                }
                "--threads" => args.threads = options.number(1..=64)?,
                "--json" => args.json = options.flag()?,
                _ => args.urls.push(options.operand()?),
            }
        }
        args.pace = pace.unwrap_or(args.pace);
        args.length = length.unwrap_or(args.length);
        Ok(Some(args))
    }
}

/// Sets what may be set once.
fn once<T>(place: &mut Option<T>, value: T, names: &str) -> Result<(), String> {
    match place.replace(value) {
        None => Ok(()),
        Some(_) => Err(format!("{names} may be given once, and not both")),
    }
}

fn path(path: String) -> Result<String, String> {
    match http::uri::PathAndQuery::try_from(&path) {
        Ok(_) if path.starts_with('/') => Ok(path),
        _ => Err(format!("--path needs a path that begins with /, not {path:?}")),
    }
}

fn said(error: evenkeel::Error) -> String {
    format!("--strategy: {error}")
}
