//! One of many, in proportion to their weights, in one step.
#![expect(
    clippy::cast_possible_truncation,
    reason = "members are fewer than 2^32, and a draw is cut into two words"
)]

use super::dice::{Throw, scale};

/// Vose's form of Walker's alias table: `n` columns of equal width, each shared by at most two. A
/// draw names a column and a height in it, and so one of the two.
#[derive(Debug)]
pub(super) struct Alias(Box<[Column]>);

#[derive(Clone, Copy, Debug)]
struct Column {
    /// Below this height, of 2^32, the column is its own.
    own: u32,
    /// Whose the rest is.
    other: u32,
}

impl Alias {
    /// A table for these weights, which are all above 0.
    pub(super) fn new(weights: &[u32]) -> Self {
        const FULL: f64 = 4_294_967_296.0;
        let sum: f64 = weights.iter().map(|&weight| f64::from(weight)).sum();
        let scale = weights.len() as f64 / sum;
        let mut height: Vec<f64> =
            weights.iter().map(|&weight| f64::from(weight) * scale).collect();
        let (mut low, mut high): (Vec<usize>, Vec<usize>) =
            (0..weights.len()).partition(|&at| height[at] < 1.0);
        // What is left over in the end is as high as a column but for rounding: all its own.
        let whole = |at: usize| Column { own: u32::MAX, other: at as u32 };
        let mut columns: Box<[Column]> = (0..weights.len()).map(whole).collect();
        while let (Some(short), Some(&tall)) = (low.pop(), high.last()) {
            columns[short] = Column { own: (height[short] * FULL) as u32, other: tall as u32 };
            height[tall] -= 1.0 - height[short];
            if height[tall] < 1.0 {
                low.extend(high.pop());
            }
        }
        Self(columns)
    }

    /// A draw.
    #[inline]
    pub(super) fn draw(&self, throw: &mut Throw) -> usize {
        let word = throw.word();
        let at = scale((word >> 32) as u32, self.0.len());
        let column = self.0[at];
        // A whole column is its own other, so the last of its 2^32 steps needs no care.
        if (word as u32) < column.own { at } else { column.other as usize }
    }
}

#[cfg(test)]
impl Alias {
    /// What share of all draws each has.
    pub(super) fn shares(&self, count: usize) -> Vec<f64> {
        let mut shares = vec![0.0; count];
        for (at, column) in self.0.iter().enumerate() {
            let own = f64::from(column.own) / 4_294_967_296.0;
            shares[at] += own / count as f64;
            shares[column.other as usize] += (1.0 - own) / count as f64;
        }
        shares
    }
}
