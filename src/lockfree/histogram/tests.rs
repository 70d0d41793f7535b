use super::*;

fn of(values: &[u64]) -> Distribution {
    let histogram = Histogram::with_stripes(1);
    values.iter().for_each(|value| histogram.record(*value));
    histogram.snapshot()
}

/// Both ends of every bucket, hence every place where the bucket changes.
fn edges() -> impl Iterator<Item = u64> {
    (0..BEYOND).flat_map(|bucket| {
        let least = if bucket == 0 { 0 } else { value_of(bucket - 1) + 1 };
        [least, value_of(bucket)]
    })
}

#[test]
fn the_buckets_cover_the_whole_range_without_a_gap() {
    for (at, edge) in edges().enumerate() {
        assert_eq!(bucket(edge), at / 2, "{edge}");
    }
    assert_eq!(value_of(BEYOND - 1), (1 << RANGE) - 1, "the range ends with its last bucket");
}

#[test]
fn a_value_is_told_less_than_a_sixteenth_too_high_over_the_whole_range() {
    // Within a bucket the least value is the one that is furthest from what stands for it, also
    // as a share of itself; and the buckets have no gap. So the edges speak for all.
    let mut worst = 0.0_f64;
    for value in edges() {
        let told = value_of(bucket(value));
        assert!(told >= value && (told - value) * 16 < value.max(1), "{value} as {told}");
        worst = worst.max((told - value) as f64 / value.max(1) as f64);
    }
    assert!(worst > 0.0624, "the bound is not a loose one: {worst}");
}

#[test]
fn values_below_32_are_exact() {
    for value in 0..32 {
        assert_eq!(of(&[value]).max(), Some(value));
    }
    assert_eq!(of(&[32]).max(), Some(33));
}

#[test]
fn the_greatest_value_of_the_range_is_within_it() {
    let distribution = of(&[(1 << 40) - 1]);
    assert_eq!((distribution.beyond(), distribution.max()), (0, Some((1 << 40) - 1)));
}

#[test]
fn a_value_over_the_range_is_told_as_its_end_and_counted_as_beyond() {
    for value in [1 << 40, u64::MAX] {
        let distribution = of(&[7, value]);
        assert_eq!((distribution.beyond(), distribution.max()), (1, Some(1 << 40)), "{value}");
        assert_eq!(distribution.quantile(0.5), Some(7));
    }
}

#[test]
fn there_is_no_quantile_of_nothing() {
    let nothing = of(&[]);
    assert_eq!((nothing.count(), nothing.quantile(0.5), nothing.max()), (0, None, None));
}

#[test]
fn quantiles_of_few_values_are_values() {
    let distribution = of(&[30, 10, 20]);
    let told = [-1.0, 0.0, 0.33, 0.34, 0.66, 0.67, 1.0, 2.0].map(|q| distribution.quantile(q));
    assert_eq!(told, [10, 10, 10, 20, 20, 30, 30, 30].map(Some));
    assert_eq!(distribution.quantile(f64::NAN), Some(10));
}

#[test]
fn quantiles_agree_with_a_sorted_list_within_the_bound() {
    for seed in 0..200 {
        let mut random = fastrand::Rng::with_seed(seed);
        let bits = random.u32(1..RANGE);
        let mut values: Vec<u64> = (0..random.usize(1..400))
            .map(|_| random.u64(..) >> random.u32(64 - bits..64))
            .collect();
        let distribution = of(&values);
        values.sort_unstable();
        assert_eq!(distribution.count(), values.len() as u64);
        for q in [0.0, 0.01, 0.25, 0.5, 0.9, 0.99, 1.0, random.f64()] {
            let enough = |at: &usize| (at + 1) as f64 >= q * values.len() as f64;
            let value = values[(0..values.len()).find(enough).expect("q is at most 1")];
            let told = distribution.quantile(q).expect("values");
            assert!(told >= value, "seed {seed}, q {q}: {told} for {value}");
            assert!((told - value) * 16 < value.max(1), "seed {seed}, q {q}: {told} for {value}");
        }
        assert_eq!(distribution.max(), distribution.quantile(1.0));
    }
}

#[test]
fn what_came_since_is_the_difference() {
    let histogram = Histogram::with_stripes(1);
    histogram.record(9);
    let earlier = histogram.snapshot();
    histogram.record(3);
    histogram.record(u64::MAX);
    let since = histogram.snapshot().since(&earlier);
    assert_eq!(since, of(&[3, u64::MAX]));
    assert_eq!(earlier.since(&histogram.snapshot()).count(), 0);
}

#[test]
fn a_stripe_has_the_size_that_the_module_states() {
    let stripe = size_of::<crossbeam_utils::CachePadded<[u64; BUCKETS]>>();
    assert_eq!((BUCKETS, stripe.next_multiple_of(128)), (593, 4_864));
}

#[test]
fn it_is_shown_by_its_quantiles() {
    let shown = format!("{:?}", of(&[1, 2, 3]));
    let expected = "Distribution { count: 3, median: Some(2), p99: Some(3), max: Some(3), .. }";
    assert_eq!(shown, expected);
}

#[test]
fn no_value_above_a_bound_is_counted_as_at_most_it() {
    let values = [0, 7, 31, 32, 33, 1000, 1 << 39, 1 << 40, u64::MAX];
    let distribution = of(&values);
    for bound in values.into_iter().chain([6, 34, 999, 1001, 1 << 41]) {
        let exact = values.iter().filter(|value| **value <= bound).count() as u64;
        let told = distribution.at_most(bound);
        let surely = |value: &&u64| **value < 1 << 40 && **value + **value / 16 <= bound;
        let least = values.iter().filter(surely).count() as u64;
        assert!(told <= exact && told >= least, "{told} for {exact} up to {bound}");
    }
    assert_eq!([distribution.at_most(31), distribution.at_most(33)], [3, 5]);
    assert_eq!(distribution.at_most(u64::MAX), 7, "those beyond the range are above any bound");
}

#[test]
fn the_sum_is_off_by_less_than_four_percent_of_each_value() {
    assert_eq!(of(&[]).sum(), 0.0);
    assert_eq!(of(&[0, 1, 2, 31]).sum(), 34.0, "small values are exact");
    for edge in edges().filter(|edge| *edge > 0) {
        let sum = of(&[edge, edge]).sum();
        let off = (sum - 2.0 * edge as f64).abs() / (2.0 * edge as f64);
        assert!(off < 0.0323, "{sum} for two of {edge}");
    }
}

#[test]
fn an_owned_stripe_counts_as_a_shared_one_does() {
    let histogram = Histogram::with_owned(16, 1);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| (0..1000).for_each(|value| histogram.record(value)));
        }
    });
    let all = histogram.snapshot();
    assert_eq!((all.count(), all.at_most(31)), (4000, 128));
    assert!(histogram.bytes() >= 17 * 593 * 8, "{}", histogram.bytes());
}
