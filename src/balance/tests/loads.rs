//! Least connections and two choices.

use super::*;

#[test]
fn least_connections_picks_one_of_the_least_loaded() {
    // Weights, loads, those that are full, those that will not do; the answers allowed.
    type Row<'a> = (&'a [u32], &'a [u32], &'a [usize], &'a [usize], &'a [usize]);
    let rows: [Row<'_>; 14] = [
        (&[1, 1, 1], &[0, 0, 0], &[], &[], &[0, 1, 2]),
        (&[1, 1, 1], &[2, 1, 3], &[], &[], &[1]),
        (&[1, 1, 1], &[1, 1, 3], &[], &[], &[0, 1]),
        // Caddy keeps those it found before a smaller one in its list of the best.
        (&[1, 1, 1, 1], &[3, 2, 1, 1], &[], &[], &[2, 3]),
        (&[1, 1, 1, 1], &[3, 3, 0, 3], &[], &[], &[2]),
        // By weight: 2/4 against 1/1; 4/4 equals 1/1.
        (&[4, 1], &[2, 1], &[], &[], &[0]),
        (&[4, 1], &[4, 1], &[], &[], &[0, 1]),
        (&[4, 1], &[5, 1], &[], &[], &[1]),
        // A quotient of integers would call 10/3 and 11/3 equal.
        (&[3, 3], &[11, 10], &[], &[], &[1]),
        (&[u32::MAX, 1], &[u32::MAX, 2], &[], &[], &[0]),
        // One that is full comes after all that are not, one that will not do after all.
        (&[1, 1, 1], &[0, 7, 9], &[0], &[], &[1]),
        (&[1, 1, 1], &[1, 7, 9], &[0, 1, 2], &[], &[0]),
        (&[1, 1, 1], &[0, 7, 9], &[1], &[0], &[2]),
        (&[1, 1, 1], &[0, 7, 9], &[1, 2], &[0], &[1]),
    ];
    for (weights, loads, full, barred, allowed) in rows {
        let bench = Bench::new(Strategy::LeastConnections, weights);
        let view = Fake { full: full.into(), barred: barred.into(), ..Fake::with(loads) };
        let counts = bench.counts(200, &view);
        let picked: Vec<usize> = (0..loads.len()).filter(|&at| counts[at] > 0).collect();
        assert_eq!(picked, allowed, "{weights:?}, {loads:?}, full {full:?}, barred {barred:?}");
    }
}

#[test]
fn up_to_128_servers_are_all_looked_at_and_of_more_16() {
    let looked_at = |count: usize| {
        let bench = Bench::new(Strategy::LeastConnections, &vec![1; count]);
        let mut loads = vec![9; count];
        loads[count / 2] = 1;
        let view = Fake::with(&loads);
        let found = (0..1000).filter(|_| bench.pick(&view) == count / 2).count();
        found as f64 / 1000.0
    };
    assert_eq!(looked_at(128), 1.0);
    // 1 − (128/129)^16 = 0.117
    let share = looked_at(129);
    assert!((0.08..0.16).contains(&share), "{share}");
}

#[test]
fn the_sample_of_many_servers_goes_by_weight() {
    let mut weights = vec![1; 200];
    weights[150] = 200;
    let bench = Bench::new(Strategy::LeastConnections, &weights);
    // Half of the weight is its own; with a load in proportion it is as good as any.
    let mut view = Fake::with(&[1; 200]);
    view.in_flight[150] = AtomicU32::new(199);
    let found = (0..1000).filter(|_| bench.pick(&view) == 150).count();
    assert!(found > 990, "{found}");
}

#[test]
fn sequential_requests_do_not_all_go_to_the_first_server() {
    for strategy in [Strategy::LeastConnections, Strategy::PowerOfTwoChoices] {
        let bench = Bench::new(strategy, &[1; 4]);
        assert_in_proportion(&bench.counts(100_000, &Fake::idle(4)), &[1; 4]);
    }
}

#[test]
fn two_choices_never_pick_the_busier_of_two() {
    // Envoy and gRPC may draw the same one twice, and then pick the busier one in a quarter of all
    // cases.
    let bench = Bench::new(Strategy::PowerOfTwoChoices, &[1, 1]);
    assert_eq!(bench.counts(10_000, &Fake::with(&[4, 3])), [0, 10_000]);
    let bench = Bench::new(Strategy::PowerOfTwoChoices, &[1000, 1]);
    assert_eq!(bench.counts(10_000, &Fake::with(&[1001, 1])), [0, 10_000]);
    assert_eq!(bench.counts(10_000, &Fake::with(&[999, 1])), [10_000, 0]);
}

#[test]
fn two_choices_prefer_what_is_not_full_and_never_take_what_will_not_do() {
    let bench = Bench::new(Strategy::PowerOfTwoChoices, &[1, 1]);
    let view = Fake { full: vec![0], ..Fake::with(&[0, 9]) };
    assert_eq!(bench.counts(100, &view), [0, 100]);
    let view = Fake { full: vec![1], barred: vec![0], ..Fake::with(&[0, 9]) };
    assert_eq!(bench.counts(100, &view), [0, 100]);
}

/// 1000 balls into 1000 bins; the fullest bin of each of 200 runs.
fn fullest_bins(strategy: Strategy) -> Vec<u32> {
    let bench = Bench::new(strategy, &[1; 1000]);
    let fullest = |_| {
        let view = Fake::idle(1000);
        (0..1000).map(|_| view.begin(bench.pick(&view))).max().unwrap()
    };
    (0..200).map(fullest).collect()
}

#[test]
fn the_fullest_bin_of_two_choices_is_low() {
    let fullest = fullest_bins(Strategy::PowerOfTwoChoices);
    let mean = f64::from(fullest.iter().sum::<u32>()) / 200.0;
    assert!(*fullest.iter().max().unwrap() <= 4 && mean <= 3.2, "mean {mean}");
    // What it is measured against.
    let random = fullest_bins(Strategy::Random);
    assert!(f64::from(random.iter().sum::<u32>()) / 200.0 > 5.0);
}

#[test]
fn least_connections_under_threads_loses_and_invents_no_load() {
    let bench = Bench::new(Strategy::LeastConnections, &[1, 2, 1, 4]);
    let view = Fake::idle(4);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..20_000 {
                    let at = bench.pick(&view);
                    // Each thread has one request at a time, and so at most three others are seen.
                    assert!(view.begin(at) <= 4);
                    view.end(at);
                }
            });
        }
    });
    assert_eq!(view.loads(), [0; 4]);
}
