//! How the set is divided: its sizes, the bits of its words, and where each word has its flags.

/// How many connections one word stands for.
#[cfg(not(evenkeel_loom))]
pub const PER_WORD: usize = 62;
/// How many words hold their flags themselves.
#[cfg(not(evenkeel_loom))]
pub const NARROW: usize = 16;
/// How many words share a head.
#[cfg(not(evenkeel_loom))]
pub(super) const GROUP: usize = 32;
/// How many words there can be: enough for the 65,535 connections that a server may have.
#[cfg(not(evenkeel_loom))]
pub(super) const MOST_WORDS: usize = 1_058;
/// How many words stand in the set itself.
#[cfg(not(evenkeel_loom))]
pub(super) const FIRST: usize = 2;

// So small in the models that they come to the second group, and to a segment of words that begins
// in the middle of a group, as some do.
#[cfg(evenkeel_loom)]
pub const PER_WORD: usize = 2;
#[cfg(evenkeel_loom)]
pub const NARROW: usize = 2;
#[cfg(evenkeel_loom)]
pub(super) const GROUP: usize = 3;
#[cfg(evenkeel_loom)]
pub(super) const MOST_WORDS: usize = 6;
#[cfg(evenkeel_loom)]
pub(super) const FIRST: usize = 1;

pub(super) const WAITERS: u64 = 1 << 62;
pub(super) const CLOSED: u64 = 1 << 63;
pub(super) const PARKED: u64 = WAITERS - 1;

/// The numbers of the bits that are set.
pub(super) fn highest_first(mut bits: u64) -> impl Iterator<Item = u32> {
    std::iter::from_fn(move || {
        let bit = 63_u32.checked_sub(bits.leading_zeros())?;
        bits &= !(1 << bit);
        Some(bit)
    })
}

/// How many groups of wide words there are among so many words.
#[inline]
pub(super) const fn groups(count: usize) -> usize {
    count.saturating_sub(NARROW).div_ceil(GROUP)
}

/// In how many places so many words have their flags.
pub(super) const fn places(count: usize) -> usize {
    if count < NARROW { count } else { NARROW + groups(count) }
}

/// The word that a thread begins with. Most sets have one word or two, and most threads a number
/// below that of the words if there are more: for them there is a branch that is foreseen, in place
/// of a division that everything else would wait for.
#[inline]
pub(super) const fn nth(hint: usize, words: usize) -> usize {
    match words {
        1 => 0,
        2 => hint % 2,
        _ if hint < words => hint,
        _ => hint % words,
    }
}

/// The words of a group whose bits are set in its head.
pub(super) fn lowest_first(group: usize, head: u64) -> impl Iterator<Item = usize> {
    let mut bits = head & PARKED;
    std::iter::from_fn(move || {
        let bit = bits.trailing_zeros() as usize;
        // Nothing is left of none.
        bits &= bits.checked_sub(1)?;
        Some(NARROW + group * GROUP + bit)
    })
}
