//! What is drawn by lot.

use std::collections::HashSet;

use super::*;
use crate::balance::alias::Alias;

#[test]
fn random_draws_in_proportion_to_the_weights() {
    for weights in [&[1, 1, 1, 1][..], &[1, 2, 3, 4], &[1, 1000], &[7, 7, 1, 85]] {
        let bench = Bench::new(Strategy::Random, weights);
        let counts = bench.counts(1_000_000, &Fake::idle(weights.len()));
        assert_in_proportion(&counts, weights);
    }
}

#[test]
fn every_draw_of_two_choices_is_in_proportion_to_the_weights_at_rest() {
    for weights in [&[1, 1, 1][..], &[1, 2, 3, 4], &[1, 10_000]] {
        let bench = Bench::new(Strategy::PowerOfTwoChoices, weights);
        let counts = bench.counts(1_000_000, &Fake::idle(weights.len()));
        assert_in_proportion(&counts, weights);
    }
}

#[test]
fn equals_are_drawn_evenly_wherever_they_stand() {
    // Where a scan begins at a server whose turn it is, the first of two equals that stand far
    // apart gets the turns of all between them.
    let view = Fake::with(&[0, 5, 5, 5, 0, 0]);
    let bench = Bench::new(Strategy::LeastConnections, &[1; 6]);
    let counts = bench.counts(300_000, &view);
    assert_eq!(counts[1..4], [0, 0, 0]);
    assert_in_proportion(&[counts[0], counts[4], counts[5]], &[1, 1, 1]);
    let bench = Bench::new(Strategy::LeastConnections, &[4, 1, 1, 1, 2, 1]);
    let counts = bench.counts(300_000, &view);
    assert_in_proportion(&[counts[0], counts[4], counts[5]], &[4, 2, 1]);
}

#[test]
fn draws_are_even_under_threads() {
    let bench = Bench::new(Strategy::Random, &[1, 2, 3]);
    let view = Fake::idle(3);
    let counts = std::thread::scope(|scope| {
        let workers: Vec<_> =
            (0..4).map(|_| scope.spawn(|| bench.counts(100_000, &view))).collect();
        let mut sums = [0; 3];
        for worker in workers {
            sums.iter_mut().zip(worker.join().unwrap()).for_each(|(sum, count)| *sum += count);
        }
        sums
    });
    assert_eq!(counts.iter().sum::<u64>(), 400_000);
    assert_in_proportion(&counts, &[1, 2, 3]);
}

#[test]
fn the_alias_table_shares_its_area_by_weight() {
    let weights = [3, 1, 4, 1, 5, 9, 2, 6, 5, 3, 5, 1_000_000, 1];
    let alias = Alias::new(&weights);
    let shares = alias.shares(weights.len());
    let sum = f64::from(weights.iter().sum::<u32>());
    for (share, weight) in shares.iter().zip(weights) {
        assert!((share - f64::from(weight) / sum).abs() < 1e-9, "{weight}: {share}");
    }
}

#[test]
fn the_same_seed_gives_the_same_throws() {
    let words = |seed| {
        let dice = Dice::seeded(seed);
        let throw = |_| dice.throw(None).word();
        (0..5).map(throw).collect::<Vec<u64>>()
    };
    assert_eq!(words(7), words(7));
    assert_ne!(words(7), words(8));
}

#[test]
fn throws_do_not_repeat_each_other() {
    // Two words of each throw: were they steps of one sequence, a throw's second word would be the
    // next throw's first.
    let dice = Dice::seeded(1);
    let words = (0..10_000).flat_map(|_| {
        let mut throw = dice.throw(None);
        [throw.word(), throw.word()]
    });
    assert_eq!(words.collect::<HashSet<u64>>().len(), 20_000);
}

#[test]
fn a_number_below_a_limit_is_even() {
    let dice = Dice::seeded(3);
    let mut counts = [[0; 7]; 2];
    for _ in 0..200_000 {
        let mut throw = dice.throw(None);
        counts[0][throw.below(7)] += 1;
        counts[1][throw.below_wide(7) as usize] += 1;
    }
    for counts in counts {
        assert_in_proportion(&counts, &[1; 7]);
    }
    assert_eq!(dice.throw(None).below(1), 0);
    assert!(dice.throw(None).below_wide(u64::MAX) < u64::MAX);
}
