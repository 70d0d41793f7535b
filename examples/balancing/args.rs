//! The command line.

use crate::options::Options;

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
    pub(crate) fn parse(given: impl Iterator<Item = String>) -> Result<Option<Self>, String> {
        let (scenario, strategy) = (String::new(), String::new());
        let mut args =
            Self { seconds: 1.0, skip: 0.0, plain: false, rate: 2000.0, scenario, strategy };
        let mut options = Options::new(given);
        while let Some(name) = options.next() {
            match name.as_str() {
                "--help" | "-h" => return Ok(None),
                "--seconds" => args.seconds = options.number(0.1..=600.0)?,
                "--skip" => args.skip = options.number(0.0..=600.0)?,
                "--plain" => args.plain = options.flag()?,
                "--rate" => args.rate = options.number(1.0..=100_000.0)?,
                "--scenario" => args.scenario = options.value()?,
                "--strategy" => args.strategy = options.value()?,
                _ => return Err(options.unknown()),
            }
        }
        Ok(Some(args))
    }
}
