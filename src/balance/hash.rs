//! The hash of keys and servers. It is part of the interface: clients of several processes,
//! versions and languages must send a key to the same server. It depends on no library, and the
//! vectors in the tests never change.
//!
//! ```text
//! mix(z)   = scramble(z + 0x9E3779B97F4A7C15)          a step of splitmix64
//! hash(b)  = fold h = mix(h ^ w) over the words w of b, from h = mix(length of b)
//! ```
//!
//! where the words of `b` are its bytes, eight at a time, the first the lowest, the last word
//! filled up with zeros. A server's id is the hash of its normalised URL, `http://host:port/base`;
//! its score for a key is `mix(hash(key) ^ id)`.

use super::dice::scramble;

#[inline]
pub(super) fn mix(word: u64) -> u64 {
    scramble(word.wrapping_add(0x9E37_79B9_7F4A_7C15))
}

/// The hash of a key, or of a server's URL.
pub(crate) fn hash(bytes: &[u8]) -> u64 {
    bytes.chunks(8).fold(mix(bytes.len() as u64), |hash, chunk| {
        let mut word = [0; 8];
        word[..chunk.len()].copy_from_slice(chunk);
        mix(hash ^ u64::from_le_bytes(word))
    })
}

/// −ln((x + 1) / 2^64), for a score that is to be weighed. Not the platform's logarithm, whose last
/// bit differs from one to the next: this is sums, products and a quotient, which do not.
pub(super) fn neg_ln(x: u64) -> f64 {
    const LN_2: f64 = std::f64::consts::LN_2;
    const SQRT_2: f64 = std::f64::consts::SQRT_2;
    // Exact: the upper 53 bits, in (0, 1].
    let u = ((x >> 11) + 1) as f64 / (1_u64 << 53) as f64;
    // u = m · 2^e, with m in [√½, √2).
    let bits = u.to_bits();
    let mut exponent = ((bits >> 52) as i32) - 1023;
    let mut m = f64::from_bits((bits & ((1 << 52) - 1)) | (1023 << 52));
    if m >= SQRT_2 {
        m /= 2.0;
        exponent += 1;
    }
    // ln m = 2 · artanh s, whose series has converged after ten terms, for |s| < 0.172.
    let s = (m - 1.0) / (m + 1.0);
    let square = s * s;
    let mut sum = 0.0;
    for odd in [19.0, 17.0, 15.0, 13.0, 11.0, 9.0, 7.0, 5.0, 3.0, 1.0] {
        sum = sum * square + 1.0 / odd;
    }
    -(f64::from(exponent) * LN_2 + 2.0 * s * sum)
}
