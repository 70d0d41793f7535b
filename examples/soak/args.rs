//! The command line.

use std::time::Duration;

/// What `--help` prints.
pub(crate) const HELP: &str = "\
Puts a pool under load for a while, over servers and a network that misbehave,
while it is changed, shut down and built anew. Every answer is checked, and at
the end the books are. Fails if anything was lost, doubled or mixed up.

Usage: soak [OPTIONS]

Options:
  --minutes N   how long it takes, in minutes            [default: 1]
  --seconds N   the same, in seconds
  --seed N      which faults happen, and what is changed [default: 1]
  --workers N   how many requests are under way          [default: 256]
  --help        print this text
";

/// What the user asked for.
#[derive(Debug)]
pub(crate) struct Args {
    pub(crate) length: Duration,
    pub(crate) seed: u64,
    pub(crate) workers: usize,
}

impl Args {
    /// `None` if the user asked for help; an error in plain words if something is wrong.
    pub(crate) fn parse(mut given: impl Iterator<Item = String>) -> Result<Option<Self>, String> {
        let mut args = Self { length: Duration::from_secs(60), seed: 1, workers: 256 };
        while let Some(word) = given.next() {
            let (name, value) = match word.split_once('=') {
                Some((name, value)) => (name, Some(value.to_owned())),
                None => (word.as_str(), None),
            };
            let mut number = |most: u64| {
                let value = value.clone().or_else(|| given.next()).unwrap_or_default();
                let number = value.parse().ok().filter(|number| (1..=most).contains(number));
                number.ok_or_else(|| format!("{name} needs a number from 1 to {most}"))
            };
            match name {
                "--help" | "-h" => return Ok(None),
                "--minutes" => args.length = Duration::from_secs(60 * number(60 * 24)?),
                "--seconds" => args.length = Duration::from_secs(number(60 * 60 * 24)?),
                "--seed" => args.seed = number(u64::MAX)?,
                "--workers" => args.workers = usize::try_from(number(10_000)?).unwrap_or(1),
                _ => return Err(format!("unknown option {word}")),
            }
        }
        Ok(Some(args))
    }
}
