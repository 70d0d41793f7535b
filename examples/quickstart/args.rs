//! The command line.

use crate::options::Options;

/// What `--help` prints.
pub(crate) const HELP: &str = "\
Sends requests through an evenkeel pool and shows where they went.

Usage: quickstart [OPTIONS] [URL]...

With URLs it works on those servers (http only). Without, it starts three of
its own on loopback, stops one midway and brings it back.

Options:
  --requests N      how many requests to send           [default: 6000]
  --concurrency N   how many are under way at a time    [default: 32]
  --json            print the figures as one JSON object on the last line
  --help            print this text
";

/// What the user asked for.
#[derive(Debug)]
pub(crate) struct Args {
    pub(crate) urls: Vec<String>,
    pub(crate) requests: usize,
    pub(crate) concurrency: usize,
    pub(crate) json: bool,
}

impl Args {
    /// `None` if the user asked for help; an error in plain words if something is wrong.
    pub(crate) fn parse(given: impl Iterator<Item = String>) -> Result<Option<Self>, String> {
        let mut args = Self { urls: Vec::new(), requests: 6000, concurrency: 32, json: false };
        let mut options = Options::new(given);
        while let Some(name) = options.next() {
            match name.as_str() {
                "--help" | "-h" => return Ok(None),
                "--json" => args.json = options.flag()?,
                "--requests" => args.requests = options.number(1..=1_000_000_000)?,
                "--concurrency" => args.concurrency = options.number(1..=1_000_000_000)?,
                _ => args.urls.push(options.operand()?),
            }
        }
        Ok(Some(args))
    }
}
