//! What is written while requests are under way: a table in place on a terminal, lines elsewhere.

use std::cell::Cell;
use std::env;
use std::io::{IsTerminal, Write, stdout};
use std::time::Duration;

use smol::Timer;

use crate::figures::Figures;
use crate::load::Load;

/// How and where.
pub(crate) struct Screen {
    kind: Kind,
    /// How many lines of a table are above the cursor. There they stay if the program is stopped.
    drawn: Cell<usize>,
}

#[derive(Clone, Copy)]
enum Kind {
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
        let kind = if json {
            Kind::Silent
        } else if stdout().is_terminal() && env::var_os("TERM").is_none_or(|term| term != "dumb") {
            Kind::Table { colours: !set("NO_COLOR") }
        } else {
            Kind::Lines
        };
        Self { kind, drawn: Cell::new(0) }
    }

    /// Shows how it goes, until it is dropped.
    pub(crate) async fn follow(&self, load: &Load) {
        let pause = match self.kind {
            Kind::Silent => return std::future::pending().await,
            Kind::Lines => Duration::from_secs(1),
            Kind::Table { .. } => Duration::from_millis(250),
        };
        loop {
            Timer::after(pause).await;
            let figures = Figures::now(load);
            match self.kind {
                Kind::Table { colours } => self.draw(&figures.table(colours)),
                _ => write(&(figures.line() + "\n")),
            }
        }
    }

    /// Shows how it went.
    pub(crate) fn finish(&self, figures: &Figures) {
        match self.kind {
            Kind::Silent => return,
            Kind::Lines => write(&figures.table(false)),
            Kind::Table { colours } => self.draw(&figures.table(colours)),
        }
        write(&figures.histogram());
    }

    /// Writes a table in the place of the last one.
    fn draw(&self, table: &str) {
        let up = match self.drawn.replace(table.lines().count()) {
            0 => String::new(),
            lines => format!("\x1b[{lines}A\x1b[J"),
        };
        // A line that is too long is cut, not wrapped: or there would be more lines than counted.
        write(&format!("{up}\x1b[?7l{table}\x1b[?7h"));
    }
}

/// That nobody reads it any more is no reason to stop.
fn write(text: &str) {
    let mut out = stdout().lock();
    out.write_all(text.as_bytes()).and_then(|()| out.flush()).ok();
}
