//! The command line.

use crate::options::Options;

/// What `--help` prints.
pub(crate) const HELP: &str = "\
Shows a pool at work on a page on loopback. The pool sends requests to four
servers of its own: one is slow, one is stopped again and again.

Usage: metrics_page [OPTIONS]

Options:
  --port N      the page's port on 127.0.0.1            [default: a free one]
  --seconds N   ends after so long                      [default: goes on]
  --check       looks at the page by itself, and ends
  --help        print this text
";

/// What the user asked for.
#[derive(Debug, Default)]
pub(crate) struct Args {
    /// 0 for a free one.
    pub(crate) port: u16,
    pub(crate) seconds: Option<f64>,
    pub(crate) check: bool,
}

impl Args {
    /// `None` if the user asked for help; an error in plain words if something is wrong.
    pub(crate) fn parse(given: impl Iterator<Item = String>) -> Result<Option<Self>, String> {
        let (mut args, mut options) = (Self::default(), Options::new(given));
        while let Some(name) = options.next() {
            match name.as_str() {
                "--help" | "-h" => return Ok(None),
                "--port" => args.port = options.number(1..=u16::MAX)?,
                "--seconds" => args.seconds = Some(options.number(0.1..=1e6)?),
                "--check" => args.check = options.flag()?,
                _ => return Err(options.unknown()),
            }
        }
        Ok(Some(args))
    }
}
