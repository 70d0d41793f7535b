//! What the examples share, tested where tests run.

#[path = "../../examples/support/latency.rs"]
mod latency;
#[path = "../../examples/support/options.rs"]
mod options;

use std::time::Duration;

use self::latency::Latency;
use self::options::Options;

/// The quantile, in microseconds.
fn within(took: &Latency, share: f64) -> Option<u128> {
    took.quantile(share).map(|time| time.as_micros())
}

#[test]
fn quantiles_are_told_to_within_a_sixteenth_and_the_longest_exactly() {
    let mut took = Latency::default();
    assert_eq!(within(&took, 0.5), None);
    for micros in 1..=1000 {
        took.record(Duration::from_micros(micros));
    }
    for (share, exact) in [(0.0, 1), (0.01, 10), (0.5, 500), (0.9, 900), (0.999, 999)] {
        let told = within(&took, share).unwrap();
        assert!((exact..=exact + exact / 16).contains(&told), "{share}: {told}, not {exact}");
    }
    assert_eq!((within(&took, 1.0), took.count()), (Some(1000), 1000));
}

#[test]
fn merged_times_count_as_if_recorded_in_one_place() {
    let (mut one, mut other, mut both) = <(Latency, Latency, Latency)>::default();
    for micros in (0..100_000).step_by(37) {
        let half = if micros % 2 == 0 { &mut one } else { &mut other };
        half.record(Duration::from_micros(micros));
        both.record(Duration::from_micros(micros));
    }
    one.merge(&other);
    for share in [0.0, 0.3, 0.5, 0.99, 1.0] {
        assert_eq!(within(&one, share), within(&both, share));
    }
    assert_eq!(one.doublings(), both.doublings());
}

#[test]
fn a_doubling_has_what_is_below_its_end_and_not_what_is_at_it() {
    let mut took = Latency::default();
    for micros in [15, 16, 31, 32] {
        took.record(Duration::from_micros(micros));
    }
    took.record(Duration::MAX);
    let counts: Vec<u64> = took.doublings().iter().map(|(_, count)| *count).collect();
    assert_eq!(counts[..4], [1, 2, 1, 0]);
    assert_eq!((took.doublings()[1].0, counts.last()), (Duration::from_micros(32), Some(&1)));
    assert_eq!(took.quantile(1.0), Some(Duration::MAX));
}

fn options(words: &'static [&str]) -> Options<impl Iterator<Item = String>> {
    Options::new(words.iter().map(|word| (*word).to_owned()))
}

#[test]
fn a_value_stands_behind_the_option_or_behind_its_equals_sign() {
    let mut given = options(&["--a", "1", "--b=2", "--c", "http://x/?d=4", "--e"]);
    assert_eq!((given.next().as_deref(), given.number(1..=9)), (Some("--a"), Ok(1)));
    assert_eq!((given.next().as_deref(), given.number(1..=9)), (Some("--b"), Ok(2)));
    assert_eq!((given.next().as_deref(), given.flag()), (Some("--c"), Ok(true)));
    assert_eq!(given.next().as_deref(), Some("http://x/?d=4"));
    assert_eq!(given.operand().as_deref(), Ok("http://x/?d=4"));
    assert_eq!(given.next().as_deref(), Some("--e"));
    assert_eq!(given.value(), Err("--e needs a value behind it".into()));
    assert_eq!(given.operand(), Err("unknown option --e".into()));
    assert_eq!(given.next(), None);
}

#[test]
fn a_number_is_taken_up_to_its_bounds_and_no_further() {
    let mut given = options(&["--n=1", "--n=9", "--n=0", "--n=10", "--n=x", "--n"]);
    let told: Vec<Result<u8, String>> =
        std::iter::from_fn(|| given.next().map(|_| given.number(1..=9))).collect();
    assert_eq!(told[..2], [Ok(1), Ok(9)]);
    assert_eq!(told[2], Err("--n needs a number from 1 to 9, not \"0\"".into()));
    assert!(told[3..].iter().all(Result::is_err) && told.len() == 6);
}

#[test]
fn a_flag_takes_no_value() {
    let mut given = options(&["--json=yes"]);
    assert_eq!(given.next().as_deref(), Some("--json"));
    assert_eq!(given.flag(), Err("--json takes no value".into()));
}
