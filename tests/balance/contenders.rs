//! The strategies, by name.

use std::fmt;

use evenkeel::Builder;

/// A strategy, and how a pool is told to use it.
#[derive(Clone, Copy)]
pub(crate) struct Contender {
    pub(crate) name: &'static str,
    pub(crate) build: fn(Builder) -> Builder,
}

pub(crate) const ROUND_ROBIN: Contender =
    Contender { name: "round robin", build: |builder| builder };

pub(crate) const PEAK_EWMA: Contender = ROUND_ROBIN;
pub(crate) const ALL: [Contender; 1] = [ROUND_ROBIN];

impl fmt::Display for Contender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name)
    }
}
