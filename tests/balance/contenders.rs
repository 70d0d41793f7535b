//! The strategies that are tried.

use evenkeel::Strategy;

pub(crate) const ALL: [Strategy; 8] = [
    Strategy::RoundRobin,
    Strategy::WeightedRoundRobin,
    Strategy::Random,
    Strategy::LeastConnections,
    Strategy::PowerOfTwoChoices,
    Strategy::PeakEwma,
    Strategy::IpHash,
    Strategy::BoundedLoadHash,
];
