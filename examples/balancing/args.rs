//! The command line.

use std::str::FromStr;

/// What `--help` prints.
pub(crate) const HELP: &str = "\
Tries each strategy over eight loopback servers, some of which misbehave, under
a load that does not wait for answers. Prints a table for each scenario.

Usage: balancing [OPTIONS]

Options:
  --seconds S       how long each strategy is tried in each scenario  [default: 1]
  --skip S          leave out the first S seconds of each row         [default: 0]
  --plain           without health checks and ejection
  --rate N          requests a second                                 [default: 2000]
  --scenario WORD   only scenarios with this word in their name
  --strategy WORD   only strategies with this word in their name
  --help            print this text
";

/// What the user asked for.
#[derive(Debug)]
pub(crate) struct Args {
    pub(crate) seconds: f64,
    pub(crate) skip: f64,
    pub(crate) plain: bool,
    pub(crate) rate: f64,
    pub(crate) scenario: String,
    pub(crate) strategy: String,
}

impl Args {
    /// `None` if the user asked for help; an error in plain words if something is wrong.
    pub(crate) fn parse(mut given: impl Iterator<Item = String>) -> Result<Option<Self>, String> {
        let (scenario, strategy) = (String::new(), String::new());
        let mut args =
            Self { seconds: 1.0, skip: 0.0, plain: false, rate: 2000.0, scenario, strategy };
        while let Some(word) = given.next() {
            let (name, value) = match word.split_once('=') {
                Some((name, value)) => (name, Some(value.to_owned())),
                None => (word.as_str(), None),
            };
            let mut value = || value.clone().or_else(|| given.next());
            match name {
                "--help" | "-h" => return Ok(None),
                "--seconds" => args.seconds = within(name, value(), 0.1..=600.0)?,
                "--skip" => args.skip = within(name, value(), 0.0..=600.0)?,
                "--plain" => args.plain = true,
                "--rate" => args.rate = within(name, value(), 1.0..=100_000.0)?,
                "--scenario" => args.scenario = value().unwrap_or_default(),
                "--strategy" => args.strategy = value().unwrap_or_default(),
                _ => return Err(format!("unknown option {word}")),
            }
        }
        Ok(Some(args))
    }
}

fn within(
    name: &str,
    value: Option<String>,
    range: std::ops::RangeInclusive<f64>,
) -> Result<f64, String> {
    let value = value.unwrap_or_default();
    match f64::from_str(&value) {
        Ok(number) if range.contains(&number) => Ok(number),
        _ => Err(format!(
            "{name} needs a number from {} to {}, not {value:?}",
            range.start(),
            range.end()
        )),
    }
}
