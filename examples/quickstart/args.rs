//! The command line.

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
        let mut given = given;
        while let Some(word) = given.next() {
            let (name, value) = match word.split_once('=') {
                Some((name, value)) if name.starts_with("--") => (name, Some(value.to_owned())),
                _ => (word.as_str(), None),
            };
            let number = |given: &mut dyn Iterator<Item = String>| {
                let value = value.clone().or_else(|| given.next());
                count(name, value.as_deref())
            };
            match name {
                "--help" | "-h" => return Ok(None),
                "--json" if value.is_none() => args.json = true,
                "--requests" => args.requests = number(&mut given)?,
                "--concurrency" => args.concurrency = number(&mut given)?,
                _ if name.starts_with('-') => return Err(format!("unknown option {word}")),
                _ => args.urls.push(word),
            }
        }
        Ok(Some(args))
    }
}

fn count(name: &str, value: Option<&str>) -> Result<usize, String> {
    let value = value.ok_or_else(|| format!("{name} needs a number"))?;
    match value.parse() {
        Ok(number @ 1..=1_000_000_000) => Ok(number),
        _ => Err(format!("{name} needs a number from 1 to 1000000000, not {value:?}")),
    }
}
