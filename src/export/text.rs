//! The text format: families, samples, and what must be escaped.

use std::fmt::{self, Write};

use super::{Bound, Kind, Label, Sink, Value};
use crate::lockfree::histogram::Distribution;

/// Writes families one after another.
pub(super) struct Text<'a> {
    out: &'a mut String,
    /// The name of the family that is being written.
    family: &'static str,
}

impl<'a> Text<'a> {
    pub(super) fn new(out: &'a mut String) -> Self {
        Self { out, family: "" }
    }

    fn line(
        &mut self,
        suffix: &str,
        pool: &str,
        labels: &[Label<'_>],
        value: Value,
    ) -> fmt::Result {
        write!(self.out, "{}{suffix}", self.family)?;
        let pool = (!pool.is_empty()).then_some(("pool", pool));
        let mut before = '{';
        for (name, value) in pool.iter().chain(labels) {
            write!(self.out, "{before}{name}=\"{}\"", Escaped(value))?;
            before = ',';
        }
        if before == ',' {
            self.out.push('}');
        }
        writeln!(self.out, " {value}")
    }
}

impl Sink for Text<'_> {
    fn family(&mut self, name: &'static str, kind: Kind, help: &'static str) -> fmt::Result {
        self.family = name;
        let kind = match kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram => "histogram",
        };
        writeln!(self.out, "# HELP {name} {help}\n# TYPE {name} {kind}")
    }

    fn sample(&mut self, pool: &str, labels: &[Label<'_>], value: Value) -> fmt::Result {
        self.line("", pool, labels, value)
    }

    fn histogram(
        &mut self,
        pool: &str,
        bounds: &[Bound],
        values: &Distribution,
        unit: f64,
    ) -> fmt::Result {
        let count = values.count();
        for (written, recorded) in bounds {
            self.line("_bucket", pool, &[("le", written)], values.at_most(*recorded).into())?;
        }
        self.line("_bucket", pool, &[("le", "+Inf")], count.into())?;
        self.line("_sum", pool, &[], (values.sum() / unit).into())?;
        self.line("_count", pool, &[], count.into())
    }
}

/// A label's value as it stands between quotes.
struct Escaped<'a>(&'a str);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for c in self.0.chars() {
            match c {
                '\\' => f.write_str("\\\\")?,
                '"' => f.write_str("\\\"")?,
                '\n' => f.write_str("\\n")?,
                other => f.write_char(other)?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_escaped_and_left_out_where_there_are_none() {
        let mut out = String::new();
        let mut text = Text::new(&mut out);
        text.family("a_total", Kind::Counter, "What it is.").unwrap();
        text.sample("", &[], 1_u64.into()).unwrap();
        text.sample("p\"\\\n{}é", &[("b", "c")], 0.5.into()).unwrap();
        let expected = "# HELP a_total What it is.\n# TYPE a_total counter\na_total 1\n\
                        a_total{pool=\"p\\\"\\\\\\n{}é\",b=\"c\"} 0.5\n";
        assert_eq!(out, expected);
    }
}
