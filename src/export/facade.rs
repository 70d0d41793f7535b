//! The figures of pools in the recorder of the `metrics` facade.
//!
//! [`publish`] sets the values once; whoever wants them to be current calls it now and then, say
//! every ten seconds, or before each scrape. Names are those of [`prometheus`](super::prometheus).
//! The facade has no way to hand over a histogram; there is a gauge for each of its quantiles 0.5,
//! 0.9, 0.99 and 1 instead, told apart by a label `quantile`, and a counter of its values, whose
//! name ends with `_count`.
//!
//! ```
//! # use evenkeel::Pool;
//! let pool = Pool::builder().build()?;
//! evenkeel::facade::publish("users", &pool);
//! # Ok::<(), evenkeel::Error>(())
//! ```

use std::fmt;

use ::metrics::{counter, describe_counter, describe_gauge, gauge};

use super::{Bound, Kind, Label, Report, Sink, Value, tell};
use crate::lockfree::histogram::Distribution;
use crate::pool::Pool;

/// Sets the figures of a pool in the current recorder, with its name in a label `pool`; without
/// the label, if the name is empty.
pub fn publish(name: &str, pool: &Pool) {
    let told = tell(&mut Recorder::default(), &[Report::of(name, pool)]);
    debug_assert!(told.is_ok(), "nothing is written");
}

/// The recorder, and the family whose samples come.
#[derive(Default)]
struct Recorder {
    family: &'static str,
    kind: Option<Kind>,
}

/// Of histograms, as they are written and as they are asked for.
const QUANTILES: [(&str, f64); 4] = [("0.5", 0.5), ("0.9", 0.9), ("0.99", 0.99), ("1", 1.0)];

fn owned(pool: &str, labels: &[Label<'_>]) -> Vec<::metrics::Label> {
    let pool = (!pool.is_empty()).then_some(("pool", pool));
    let all = pool.iter().chain(labels);
    all.map(|(name, value)| ::metrics::Label::new((*name).to_owned(), (*value).to_owned()))
        .collect()
}

#[expect(clippy::cast_precision_loss, reason = "a level is below 2^52")]
fn number(value: Value) -> f64 {
    match value {
        Value::Count(count) => count as f64,
        Value::Number(number) => number,
    }
}

impl Sink for Recorder {
    fn family(&mut self, name: &'static str, kind: Kind, help: &'static str) -> fmt::Result {
        (self.family, self.kind) = (name, Some(kind));
        match kind {
            Kind::Counter => describe_counter!(name, help),
            Kind::Gauge | Kind::Histogram => describe_gauge!(name, help),
        }
        Ok(())
    }

    fn sample(&mut self, pool: &str, labels: &[Label<'_>], value: Value) -> fmt::Result {
        let labels = owned(pool, labels);
        match (self.kind, value) {
            (Some(Kind::Counter), Value::Count(count)) => {
                counter!(self.family, labels).absolute(count);
            }
            _ => gauge!(self.family, labels).set(number(value)),
        }
        Ok(())
    }

    fn histogram(
        &mut self,
        pool: &str,
        _: &[Bound],
        values: &Distribution,
        unit: f64,
    ) -> fmt::Result {
        for (written, share) in QUANTILES {
            let value = values.quantile(share).unwrap_or(0);
            let labels = owned(pool, &[("quantile", written)]);
            gauge!(self.family, labels).set(number(Value::Count(value)) / unit);
        }
        counter!(format!("{}_count", self.family), owned(pool, &[])).absolute(values.count());
        Ok(())
    }
}
