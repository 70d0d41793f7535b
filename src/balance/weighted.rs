//! Weighted round robin: each in turn, as often as its weight says, and interleaved.
#![expect(
    clippy::cast_possible_truncation,
    reason = "what is below a number of members or turns fits"
)]

use super::round_robin::{Ahead, Turns};

/// The longest period that is laid out turn by turn.
const LONGEST: u64 = 4096;

/// The greatest weight of a stride, and its offset from one server to the next: those of gRPC's
/// static stride scheduler.
const MOST: u64 = 65_535;
const OFFSET: u64 = MOST / 2;

/// Whose turn is whose.
#[derive(Debug)]
pub(super) enum Schedule {
    /// One period of nginx's smooth weighted round robin.
    Smooth(Box<[u16]>),
    /// Weights, scaled to at most [`MOST`]. Each turn belongs to a server, which lets it pass if
    /// it has had its share.
    Stride(Box<[u16]>),
}

impl Schedule {
    /// For these weights, which are all above 0.
    pub(super) fn new(weights: &[u32]) -> Self {
        let divisor = weights.iter().copied().fold(0, gcd).max(1);
        let period: u64 = weights.iter().map(|&weight| u64::from(weight / divisor)).sum();
        if period <= LONGEST {
            Self::Smooth(smooth(weights.iter().map(|&weight| i64::from(weight / divisor))))
        } else {
            Self::Stride(stride(weights))
        }
    }

    /// Whose the next turn is.
    #[inline]
    pub(super) fn pick(&self, turns: &Turns, ahead: Option<&Ahead>) -> usize {
        match self {
            Self::Smooth(period) => {
                usize::from(period[(turns.next(ahead) % period.len() as u64) as usize])
            }
            Self::Stride(weights) => loop {
                let turn = turns.next(ahead);
                let (at, round) = (turn % weights.len() as u64, turn / weights.len() as u64);
                let weight = u64::from(weights[at as usize]);
                // It moves by its weight each round, and has a turn whenever it passes the end. The
                // heaviest passes it every time, so that this ends within a round.
                if (weight * (round % MOST) + at * OFFSET) % MOST >= MOST - weight {
                    return at as usize;
                }
            },
        }
    }
}

fn gcd(a: u32, b: u32) -> u32 {
    if b == 0 { a } else { gcd(b, a % b) }
}

/// Each step all gain their weight, and the richest, the first among equals, has the turn and pays
/// the sum of all weights.
fn smooth(weights: impl Iterator<Item = i64>) -> Box<[u16]> {
    let weights: Vec<i64> = weights.collect();
    let sum: i64 = weights.iter().sum();
    let mut purses = vec![0; weights.len()];
    let mut turn = || {
        purses.iter_mut().zip(&weights).for_each(|(purse, weight)| *purse += weight);
        let mut richest = 0;
        for at in 1..purses.len() {
            if purses[at] > purses[richest] {
                richest = at;
            }
        }
        purses[richest] -= sum;
        // There are at most as many as turns in the period.
        richest as u16
    };
    (0..sum).map(|_| turn()).collect()
}

fn stride(weights: &[u32]) -> Box<[u16]> {
    let most = u64::from(weights.iter().copied().max().unwrap_or(1));
    // The lightest have a turn now and then, even if that is more than their due.
    let scaled = |&weight: &u32| ((u64::from(weight) * MOST + most / 2) / most).max(1) as u16;
    weights.iter().map(scaled).collect()
}
