//! The same server for the same key, up to a bound.

use std::collections::VecDeque;

use super::*;

/// The bound of a server of weight `weight` of `sum`, with so much load at all.
fn cap(load: u32, weight: u32, sum: u32) -> u32 {
    (1.25 * f64::from(load) * f64::from(weight) / f64::from(sum)).ceil().max(2.0) as u32
}

/// Picks for these keys, at most `open` of them under way at a time; calls `seen` after each.
fn run(
    bench: &Bench,
    open: usize,
    keys: impl Iterator<Item = String>,
    mut seen: impl FnMut(&str, usize, &Fake),
) -> Fake {
    let view = Fake::idle(bench.set.members().len());
    let mut running = VecDeque::new();
    for key in keys {
        let at = bench.pick_for(&key, &view);
        view.begin(at);
        running.push_back(at);
        seen(&key, at, &view);
        if running.len() >= open {
            view.end(running.pop_front().unwrap());
        }
    }
    view
}

/// One key in so many is the same.
fn skewed(keys: usize, hot: usize) -> impl Iterator<Item = String> {
    (0..keys).map(move |at| if at % hot == 0 { "hot".to_owned() } else { format!("cold-{at}") })
}

#[test]
fn no_server_is_ever_above_its_bound() {
    for weights in [vec![1; 10], vec![1, 2, 3, 4], vec![1; 100]] {
        let bench = Bench::new(Strategy::BoundedLoadHash, &weights);
        let sum: u32 = weights.iter().sum();
        run(&bench, 60, skewed(3000, 2), |_, at, view| {
            let loads = view.loads();
            let most = cap(loads.iter().sum(), weights[at], sum);
            assert!(loads[at] <= most, "{} above {most}: {loads:?}", loads[at]);
        });
    }
}

/// The highest load of any server, and what share of the other keys did not stay home, with a key
/// that is one in `hot` of all.
fn under_a_hot_key(hot: usize) -> (u32, f64) {
    let bench = Bench::new(Strategy::BoundedLoadHash, &[1; 10]);
    let home = Bench::new(Strategy::IpHash, &[1; 10]);
    let (mut cold, mut spilled, mut most) = (0.0, 0.0, 0);
    run(&bench, 1000, skewed(8000, hot), |key, at, view| {
        if key != "hot" {
            cold += 1.0;
            spilled += f64::from(u8::from(home.pick_for(key, &Fake::idle(10)) != at));
        }
        most = most.max(view.loads()[at]);
    });
    (most, spilled / cold)
}

#[test]
fn a_hot_key_is_spread_and_the_others_stay_home() {
    // 1000 are under way over 10 servers: none has more than a quarter above 100.
    let (most, spilled) = under_a_hot_key(50);
    assert!(most <= 125 && spilled < 0.05, "{most}, {spilled}");
    // Half of all fills four homes in ten to the brim, and those who live there have to move.
    let (most, spilled) = under_a_hot_key(2);
    assert!(most <= 125 && spilled < 0.4, "{most}, {spilled}");
}

#[test]
fn a_key_comes_home_when_the_load_falls() {
    let bench = Bench::new(Strategy::BoundedLoadHash, &[1; 10]);
    let mut view = Fake::idle(10);
    let home = bench.pick_for("user", &view);
    view.in_flight[home] = AtomicU32::new(30);
    let away = bench.pick_for("user", &view);
    assert_ne!(away, home);
    view.in_flight[home] = AtomicU32::new(1);
    assert_eq!(bench.pick_for("user", &view), home);
}

#[test]
fn with_little_load_a_key_stays_though_its_server_has_all_of_it() {
    let bench = Bench::new(Strategy::BoundedLoadHash, &[1; 10]);
    let view = Fake::idle(10);
    let home = bench.pick_for("user", &view);
    view.begin(home);
    assert_eq!(bench.pick_for("user", &view), home, "one, and one more");
    view.begin(home);
    assert_ne!(bench.pick_for("user", &view), home, "two, which is its bound");
}

#[test]
fn a_full_server_is_passed_over_below_its_bound_too() {
    let bench = Bench::new(Strategy::BoundedLoadHash, &[1; 10]);
    let mut view = Fake::idle(10);
    let home = bench.pick_for("user", &view);
    view.full.push(home);
    assert_ne!(bench.pick_for("user", &view), home);
}

#[test]
fn when_all_are_full_the_least_loaded_is_waited_at() {
    let bench = Bench::new(Strategy::BoundedLoadHash, &[1; 4]);
    let view = Fake { full: vec![0, 1, 2, 3], ..Fake::with(&[9, 8, 7, 8]) };
    for key in 0..50 {
        assert_eq!(bench.pick_for(&format!("key-{key}"), &view), 2);
    }
}

#[test]
fn the_bound_is_kept_by_a_sample_of_many_servers() {
    let count = 300;
    let bench = Bench::new(Strategy::BoundedLoadHash, &vec![1; count]);
    let view = Fake::with(&vec![10; count]);
    let home = bench.pick_for("user", &view);
    // 1.25 times ten is 12.5, rounded up, and one more request to come.
    view.in_flight[home].store(12, Ordering::Relaxed);
    assert_eq!(bench.pick_for("user", &view), home);
    view.in_flight[home].store(13, Ordering::Relaxed);
    assert_ne!(bench.pick_for("user", &view), home);
}
