use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use super::*;

/// A window of ten seconds: a slot is a second.
fn terms(per_mille: u32, per_second: u32) -> Terms {
    Terms { per_mille, per_second, window: 10_000 }
}

fn budget(per_mille: u32, per_second: u32) -> Budget {
    Budget::with_stripes(terms(per_mille, per_second), 1)
}

/// Takes all that is left at `now`, and says how many that were.
fn drain(budget: &Budget, now: u64) -> u64 {
    (0..).take_while(|_| budget.withdraw(now)).count() as u64
}

#[test]
fn the_floor_is_there_from_the_beginning_and_not_one_more() {
    let budget = Budget::new(Terms::default());
    for _ in 0..100 {
        assert!(budget.withdraw(0));
    }
    assert!(!budget.withdraw(0));
}

#[test]
fn five_requests_pay_for_a_retry_and_four_do_not() {
    let budget = budget(200, 0);
    (0..4).for_each(|_| budget.deposit(0));
    assert!(!budget.withdraw(0));
    budget.deposit(0);
    assert!(budget.withdraw(0));
    assert!(!budget.withdraw(0));
}

#[test]
fn a_request_counts_to_the_last_millisecond_of_its_window() {
    let paid = || {
        let budget = budget(1_000, 0);
        budget.deposit(0);
        budget
    };
    assert!(paid().withdraw(9_999));
    assert!(!paid().withdraw(10_000));
}

#[test]
fn a_retry_counts_to_the_last_millisecond_of_its_window() {
    let budget = Budget::with_stripes(Terms { per_second: 1, window: 1_000, per_mille: 0 }, 1);
    assert!(budget.withdraw(0));
    assert!(!budget.withdraw(999));
    assert!(budget.withdraw(1_000));
}

#[test]
fn a_retry_of_a_slot_long_over_is_forgotten() {
    let budget = budget(0, 1);
    assert_eq!(drain(&budget, 3_000), 10);
    assert_eq!(drain(&budget, 12_999), 0);
    assert_eq!(drain(&budget, 13_000), 10);
    assert_eq!(drain(&budget, 1_000_000), 10);
}

#[test]
fn a_clock_that_is_behind_is_taken_for_the_one_in_front() {
    let budget = budget(1_000, 0);
    budget.deposit(20_000);
    assert!(budget.withdraw(20_000));
    // The same word as that of 20 s; it is over.
    budget.deposit(10_000);
    assert!(!budget.withdraw(10_000));
    budget.deposit(19_000);
    assert!(budget.withdraw(0));
}

#[test]
fn a_request_in_a_slot_to_come_does_not_count_yet() {
    let budget = budget(1_000, 0);
    budget.deposit(5_000);
    assert!(!budget.withdraw(4_999));
    assert!(budget.withdraw(5_000));
}

#[test]
fn numbers_without_bound_do_not_wrap() {
    let budget = budget(u32::MAX, u32::MAX);
    budget.deposit(u64::MAX);
    assert!(budget.withdraw(u64::MAX));
}

#[test]
fn a_window_of_a_second_or_a_minute_is_allowed() {
    for window in [1_000, 60_000] {
        assert!(Budget::new(Terms { window, ..Terms::default() }).withdraw(0));
    }
}

#[test]
#[should_panic(expected = "one second to one minute")]
fn a_window_over_a_minute_is_refused() {
    let _refused = Budget::new(Terms { window: 60_001, ..Terms::default() });
}

#[test]
#[should_panic(expected = "one second to one minute")]
fn a_window_below_a_second_is_refused() {
    let _refused = Budget::new(Terms { window: 999, ..Terms::default() });
}

/// The bound as the module states it, on two lists.
struct Model {
    terms: Terms,
    requests: BTreeMap<u64, u64>,
    retries: BTreeMap<u64, u64>,
}

impl Model {
    fn withdraw(&mut self, now: u64) -> bool {
        let slot = now * 10 / self.terms.window;
        let within = |list: &BTreeMap<u64, u64>| -> u64 {
            list.range(slot.saturating_sub(9)..=slot).map(|(_, count)| count).sum()
        };
        let floor = u64::from(self.terms.per_second) * self.terms.window;
        let allowed = floor + within(&self.requests) * u64::from(self.terms.per_mille);
        let may = (within(&self.retries) + 1) * 1_000 <= allowed;
        if may {
            *self.retries.entry(slot).or_default() += 1;
        }
        may
    }
}

#[test]
fn it_agrees_with_a_list_of_all_requests_and_retries() {
    for seed in 0..300 {
        let mut random = fastrand::Rng::with_seed(seed);
        let terms = Terms {
            per_mille: random.u32(0..1_500),
            per_second: random.u32(0..3),
            window: random.u64(1_000..=60_000),
        };
        let budget = Budget::with_stripes(terms, 1);
        let mut model = Model { terms, requests: BTreeMap::new(), retries: BTreeMap::new() };
        let mut now = 0;
        for step in 0..500 {
            if random.u8(..4) == 0 {
                now += random.u64(..terms.window / 4);
            }
            if random.u8(..40) == 0 {
                now += random.u64(..terms.window * 3);
            }
            if random.bool() {
                budget.deposit(now);
                *model.requests.entry(now * 10 / terms.window).or_default() += 1;
            } else {
                assert_eq!(budget.withdraw(now), model.withdraw(now), "seed {seed}, step {step}");
            }
        }
    }
}

#[test]
fn threads_never_take_more_than_the_bound_and_leave_nothing() {
    let steps = if cfg!(miri) { 50 } else { 20_000 };
    let budget = Budget::with_stripes(terms(200, 1), 4);
    let taken = AtomicU64::new(0);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for step in 0..steps {
                    // All of it within one window, so that the bound is one number.
                    let now = step * 10_000 / steps;
                    budget.deposit(now);
                    if budget.withdraw(now) {
                        taken.fetch_add(1, Relaxed);
                    }
                }
            });
        }
    });
    let taken = taken.into_inner() + drain(&budget, 9_999);
    assert_eq!(taken, 10 + 4 * steps / 5);
}
