//! Round robin, with weights and without.

use std::thread;

use super::*;
use crate::balance::weighted::Schedule;

/// Counts picks of several threads.
fn counts_of_threads(bench: &Bench, threads: usize, picks: usize) -> Vec<u64> {
    let view = Fake::idle(bench.set.members().len());
    thread::scope(|scope| {
        let workers: Vec<_> =
            (0..threads).map(|_| scope.spawn(|| bench.counts(picks, &view))).collect();
        let mut sums = vec![0; bench.set.members().len()];
        for worker in workers {
            sums.iter_mut().zip(worker.join().unwrap()).for_each(|(sum, count)| *sum += count);
        }
        sums
    })
}

/// The greatest lag of any server behind or before its share, and the longest run of one server.
fn lag(bench: &Bench, weights: &[u32], picks: u32) -> (f64, u32) {
    let view = Fake::idle(weights.len());
    let sum: f64 = weights.iter().map(|&weight| f64::from(weight)).sum();
    let mut counts = vec![0.0; weights.len()];
    let (mut worst, mut run, mut longest, mut last) = (0.0_f64, 0, 0, usize::MAX);
    for turn in 1..=picks {
        let at = bench.pick(&view);
        counts[at] += 1.0;
        run = if at == last { run + 1 } else { 1 };
        (last, longest) = (at, longest.max(run));
        for (count, &weight) in counts.iter().zip(weights) {
            let share = f64::from(turn) * f64::from(weight) / sum;
            worst = worst.max((count - share).abs());
        }
    }
    (worst, longest)
}

/// The bench with its turns at the start of a period.
fn from_the_start(weights: &[u32]) -> Bench {
    let mut bench = Bench::new(Strategy::WeightedRoundRobin, weights);
    bench.chooser.turns = Turns::new(0);
    bench
}

#[test]
fn round_robin_gives_each_server_exactly_its_turns_whichever_threads_take_them() {
    let bench = Bench::new(Strategy::RoundRobin, &[1, 9, 4]);
    assert_eq!(counts_of_threads(&bench, 3, 1000), [1000; 3]);
}

#[test]
fn a_server_that_leaves_or_returns_shifts_the_turns_of_the_others_by_one_at_most() {
    let chooser = chooser(Strategy::RoundRobin);
    let view = Fake::idle(5);
    let all = members(&[1; 5]);
    let four: Vec<Member> = all.iter().copied().filter(|member| member.at != 2).collect();
    let mut counts = [0_i32; 5];
    for phase in 0..6 {
        let set = chooser.set(if phase % 2 == 0 { all.clone() } else { four.clone() }, 5);
        let before = counts;
        // Not a whole number of rounds.
        for _ in 0..37 {
            let choice = chooser.pick(&set, None, &view, None);
            counts[set.members()[choice.at].at as usize] += 1;
        }
        let had: Vec<i32> = (0..5).map(|at| counts[at] - before[at]).collect();
        let there = |at: &usize| phase % 2 == 0 || *at != 2;
        let most = (0..5).filter(there).map(|at| had[at]).max().unwrap();
        let least = (0..5).filter(there).map(|at| had[at]).min().unwrap();
        assert!(most - least <= 1, "phase {phase}: {had:?}");
        assert!(there(&2) || had[2] == 0);
    }
}

#[test]
fn the_smooth_schedule_is_that_of_nginx() {
    // The example in nginx's change of 2012 that brought it in.
    let Schedule::Smooth(period) = Schedule::new(&[5, 1, 1]) else {
        panic!("seven turns are few");
    };
    assert_eq!(*period, [0, 0, 1, 0, 2, 0, 0]);
    let Schedule::Smooth(period) = Schedule::new(&[300, 100]) else {
        panic!("four turns are few");
    };
    assert_eq!(*period, [0, 0, 1, 0]);
}

#[test]
fn weighted_round_robin_gives_exact_counts_in_each_period_under_threads() {
    let weights = [7, 13, 29, 51];
    let bench = Bench::new(Strategy::WeightedRoundRobin, &weights);
    assert_eq!(counts_of_threads(&bench, 4, 2500), [700, 1300, 2900, 5100]);
    let one = bench.counts(100, &Fake::idle(4));
    assert_eq!(one, [7, 13, 29, 51]);
}

#[test]
fn no_server_runs_ahead_of_its_share_by_more_than_a_turn_of_the_smooth_schedule() {
    for weights in [&[5, 1, 1][..], &[4, 3, 2, 1], &[100, 1], &[1, 1, 1, 1, 6], &[7, 13, 29, 51]] {
        let (worst, longest) = lag(&from_the_start(weights), weights, 20_000);
        assert!(worst <= 1.0, "{weights:?}: {worst}");
        // Blocks, one server after the other, have runs as long as the weights.
        let most = weights.iter().max().unwrap();
        let others = weights.iter().sum::<u32>() - most;
        assert!(longest <= 2 * most.div_ceil(others).max(1), "{weights:?}: {longest}");
    }
}

#[test]
fn no_server_runs_ahead_of_its_share_by_more_than_two_turns_of_the_stride() {
    for weights in [&[4096, 1][..], &[65_535, 40_000, 257], &[7001, 13_007, 29_009, 51_001]] {
        let bench = from_the_start(weights);
        assert!(matches!(bench.set.tables, Tables::Schedule(Schedule::Stride(_))));
        let (worst, _) = lag(&bench, weights, 100_000);
        assert!(worst <= 2.0, "{weights:?}: {worst}");
    }
}

#[test]
fn the_stride_shares_by_weight_under_threads() {
    let weights = [60_000, 30_000, 10_007];
    let bench = Bench::new(Strategy::WeightedRoundRobin, &weights);
    let counts = counts_of_threads(&bench, 3, 100_000);
    let sum: u32 = weights.iter().sum();
    for (&count, weight) in counts.iter().zip(weights) {
        let share = 300_000.0 * f64::from(weight) / f64::from(sum);
        assert!((count as f64 - share).abs() <= 10.0, "{counts:?}");
    }
}

#[test]
fn the_stride_passes_over_few() {
    // A pick takes as many turns as servers were passed over, and one.
    for weights in [vec![65_535, 1, 1, 1], (1..=200).map(|at| at * 300).collect()] {
        let bench = from_the_start(&weights);
        let picks = 20_000;
        bench.counts(picks, &Fake::idle(weights.len()));
        let turns = bench.chooser.turns.next(None) as f64 / picks as f64;
        let mean =
            weights.iter().map(|&weight| f64::from(weight)).sum::<f64>() / weights.len() as f64;
        let most = f64::from(*weights.iter().max().unwrap());
        assert!(turns <= 1.01 * most / mean, "{turns} turns a pick");
    }
}

#[test]
fn equal_weights_degrade_to_round_robin() {
    for weights in [vec![9; 5], vec![u32::MAX; 5000]] {
        let bench = from_the_start(&weights);
        let view = Fake::idle(weights.len());
        let picked: Vec<usize> = (0..weights.len()).map(|_| bench.pick(&view)).collect();
        assert!(picked.iter().copied().eq(0..weights.len()), "{} servers", weights.len());
    }
}

/// grpc-java began each new schedule anew, so that where addresses changed often, a server of
/// little weight never had a turn.
#[test]
fn sets_that_are_made_anew_all_the_time_leave_the_shares_as_they_are() {
    let chooser = chooser(Strategy::WeightedRoundRobin);
    let mut counts = [0; 3];
    for _ in 0..160 {
        let set = chooser.set(members(&[10, 1, 5]), 3);
        counts[chooser.pick(&set, None, &Fake::idle(3), None).at] += 1;
    }
    assert_eq!(counts, [100, 10, 50]);
}

/// Caddy reckons the turn over the weights of all servers and then counts through those that are
/// there, so that one that is away shifts the shares of the others.
#[test]
fn a_server_that_is_away_leaves_the_shares_of_the_others_as_they_are() {
    let chooser = chooser(Strategy::WeightedRoundRobin);
    let mut there = members(&[3, 5, 1, 2]);
    there.remove(1);
    let set = chooser.set(there, 4);
    let mut counts = [0; 3];
    for _ in 0..60 {
        counts[chooser.pick(&set, None, &Fake::idle(4), None).at] += 1;
    }
    assert_eq!(counts, [30, 10, 20]);
}
