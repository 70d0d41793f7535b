//! What one thread sees.

use super::*;

const SECOND: u64 = 1000;

/// After connections were closed at these ages, each parked well after the one before was closed.
fn taught(ages: &[u64]) -> (Learned, u64) {
    let learned = Learned::new();
    let now = teach(&learned, SECOND, ages);
    (learned, now)
}

fn teach(learned: &Learned, mut now: u64, ages: &[u64]) -> u64 {
    for age in ages {
        let since = now + 2 * SECOND;
        now = since + age;
        learned.closed(since, now, true);
    }
    now
}

#[test]
fn three_closings_that_agree_make_a_limit_and_two_do_not() {
    let (learned, now) = taught(&[5000, 5000]);
    assert_eq!(learned.limit(now), None);
    let now = teach(&learned, now, &[5100]);
    assert_eq!(learned.limit(now), Some(5000));
}

#[test]
fn the_lowest_of_the_ages_that_agree_is_the_limit_and_it_goes_down_with_the_next() {
    let (learned, now) = taught(&[5000, 4400, 5200]);
    assert_eq!(learned.limit(now), Some(4400));
    let now = teach(&learned, now, &[4000]);
    assert_eq!(learned.limit(now), Some(4000));
}

#[test]
fn ages_agree_from_three_to_five_quarters_and_not_beyond() {
    for (ages, limit) in [
        ([8000, 10_000, 8000], Some(8000)),
        ([8000, 10_004, 8000], None),
        ([8000, 6000, 6000], Some(6000)),
        ([8000, 5996, 5996], None),
    ] {
        let (learned, now) = taught(&ages);
        assert_eq!(learned.limit(now), limit, "{ages:?}");
    }
}

#[test]
fn of_a_batch_one_closing_counts() {
    let learned = Learned::new();
    let now = 20 * SECOND;
    for since in [10 * SECOND, 11 * SECOND, 12 * SECOND, 13 * SECOND] {
        learned.closed(since, now, true);
        learned.closed(since, now + 3, true);
    }
    assert_eq!(State::of(learned.word.load(Relaxed)).closings, 1);
    // Nor does one that was parked before, however much later it is closed.
    learned.closed(now - (1 << TIME_SHIFT), now + 9 * SECOND, true);
    assert_eq!(State::of(learned.word.load(Relaxed)).closings, 1);
    learned.closed(now, now + 10 * SECOND, true);
    assert_eq!(State::of(learned.word.load(Relaxed)).closings, 2);
}

#[test]
fn a_connection_that_is_good_at_the_suspected_age_refutes_it() {
    let (learned, now) = taught(&[5000, 5000]);
    learned.survived(4999);
    let kept = teach(&learned, now, &[5000]);
    assert_eq!(learned.limit(kept), Some(5000));

    let (learned, now) = taught(&[5000, 5000]);
    learned.survived(5000);
    assert_eq!(learned.word.load(Relaxed), NOTHING);
    assert_eq!(learned.limit(teach(&learned, now, &[5000])), None);
}

#[test]
fn what_is_refuted_leaves_a_limit_that_was_known() {
    let (learned, now) = taught(&[60_000, 60_000, 60_000, 2000, 2000]);
    learned.survived(30_000);
    assert_eq!(learned.limit(now), Some(60_000));
    let now = teach(&learned, now, &[2000]);
    assert_eq!(learned.limit(now), Some(60_000), "it begins anew");
}

#[test]
fn a_server_that_shortens_its_limit_is_believed_after_three() {
    let (learned, now) = taught(&[60_000, 60_000, 60_000, 2000, 2000, 2000]);
    assert_eq!(learned.limit(now), Some(2000));
}

#[test]
fn everything_is_forgotten_after_ten_minutes_without_a_closing() {
    let (learned, now) = taught(&[5000, 5000, 5000]);
    let memory = MEMORY - MEMORY % (1 << TIME_SHIFT);
    assert_eq!(learned.limit(now + memory), Some(5000));
    assert_eq!(learned.limit(now + memory + (1 << TIME_SHIFT)), None);
    assert_eq!(learned.word.load(Relaxed), NOTHING);

    let (learned, now) = taught(&[5000, 5000]);
    let now = teach(&learned, now + MEMORY, &[5000]);
    assert_eq!(learned.limit(now), None, "the two before are too old");
}

#[test]
fn an_age_of_half_a_second_is_a_sign_and_one_below_is_none() {
    let (learned, now) = taught(&[500, 500, 500]);
    assert_eq!(learned.limit(now), Some(500));
    let (learned, _) = taught(&[499, 499, 499, 499]);
    assert_eq!(learned.word.load(Relaxed), NOTHING);
}

#[test]
fn an_age_of_seventy_minutes_or_more_is_not_learned() {
    let longest = NO_AGE * UNIT - 1;
    let learned = Learned::new();
    learned.closed(1, 1 + longest, true);
    assert_ne!(learned.word.load(Relaxed), NOTHING);
    let learned = Learned::new();
    learned.closed(0, longest + 1, true);
    learned.closed(0, u64::MAX, true);
    assert_eq!(learned.word.load(Relaxed), NOTHING);
}

#[test]
fn an_upper_bound_above_the_suspicion_says_nothing() {
    let (learned, now) = taught(&[5000]);
    let later = now + 100 * SECOND;
    learned.closed(now + 2 * SECOND, later, false);
    assert_eq!(State::of(learned.word.load(Relaxed)).closings, 1);
    let now = teach(&learned, later, &[5000, 5000]);
    assert_eq!(learned.limit(now), Some(5000));
    // Below, it does.
    learned.closed(now + 2 * SECOND, now + 6500, false);
    assert_eq!(learned.limit(now + 6500), Some(4500));
}

#[test]
fn one_whose_clock_is_behind_forgets_nothing() {
    let (learned, now) = taught(&[5000, 5000, 5000]);
    assert_eq!(learned.limit(now - ((LATE - 1) << TIME_SHIFT)), Some(5000));
}

#[test]
fn the_clock_may_go_round() {
    let learned = Learned::new();
    let round = (TIME + 1) << TIME_SHIFT;
    let now = teach(&learned, round - 9 * SECOND, &[5000, 5000, 5000]);
    assert!(now > round);
    assert_eq!(learned.limit(now), Some(5000));
}
