//! What is written while requests are under way: a table in place on a terminal, lines elsewhere.

use std::env;
use std::io::{IsTerminal, Write, stdout};
use std::time::Duration;

use smol::Timer;

use crate::figures::Figures;
use crate::load::Load;

/// How and where.
#[derive(Clone, Copy)]
pub(crate) enum Screen {
    /// Nothing before the end.
    Silent,
    Lines,
    Table {
        colours: bool,
    },
}

impl Screen {
    pub(crate) fn new(json: bool) -> Self {
        let set = |name: &str| env::var_os(name).is_some_and(|value| !value.is_empty());
        if json {
            Self::Silent
        } else if stdout().is_terminal() && env::var_os("TERM").is_none_or(|term| term != "dumb") {
            Self::Table { colours: !set("NO_COLOR") }
        } else {
            Self::Lines
        }
    }

    /// Shows how it goes, until it is dropped.
    pub(crate) async fn follow(self, load: &Load) {
        let pause = match self {
            Self::Silent => return std::future::pending().await,
            Self::Lines => Duration::from_secs(1),
            Self::Table { .. } => Duration::from_millis(250),
        };
        loop {
            Timer::after(pause).await;
            let figures = Figures::now(load);
            match self {
                Self::Table { colours } => {
                    let table = figures.table(colours);
                    // A line that is too long is cut, not wrapped; and then back to the first.
                    let up = table.lines().count();
                    write(&format!("\x1b[?7l\x1b[J{table}\x1b[?7h\x1b[{up}A\r"));
                }
                _ => write(&(figures.line() + "\n")),
            }
        }
    }

    /// Shows how it went.
    pub(crate) fn finish(self, figures: &Figures) {
        let (clear, colours) = match self {
            Self::Silent => return,
            Self::Lines => ("", false),
            Self::Table { colours } => ("\x1b[J", colours),
        };
        write(&format!("{clear}{}{}", figures.table(colours), figures.histogram()));
    }
}

/// That nobody reads it any more is no reason to stop.
fn write(text: &str) {
    let mut out = stdout().lock();
    out.write_all(text.as_bytes()).and_then(|()| out.flush()).ok();
}
