//! The cheaper of two, by what a response has cost.

use super::*;
use crate::balance::peak_ewma::cost;

const MS: f32 = 1e6;

fn answering(millis: &[Option<f32>]) -> Vec<Latency> {
    let latency = |time: &Option<f32>| Latency { response: time.map(|t| t * MS), connect: 0.0 };
    millis.iter().map(latency).collect()
}

/// A bench of two servers of equal weight, and how often the first one is picked of a thousand.
fn firsts(view: &Fake, weights: &[u32; 2]) -> u64 {
    Bench::new(Strategy::PeakEwma, weights).counts(1000, view)[0]
}

#[test]
fn the_cost_is_the_peak_times_the_load_to_be_over_the_weight() {
    let load = |in_flight, is_warm| Load { in_flight, is_warm, is_full: false };
    let latency = |response: Option<f32>, connect| Latency { response, connect };
    assert_eq!(cost(load(0, true), latency(Some(10.0), 7.0), 1), 10.0);
    assert_eq!(cost(load(3, true), latency(Some(10.0), 7.0), 1), 40.0);
    assert_eq!(cost(load(3, true), latency(Some(10.0), 7.0), 4), 10.0);
    // Where nothing is idle, it costs a connection too.
    assert_eq!(cost(load(3, false), latency(Some(10.0), 7.0), 1), 47.0);
    assert_eq!(cost(load(0, false), latency(None, 7.0), 1), 0.0);
    assert_eq!(cost(load(1, true), latency(None, 7.0), 1), f64::INFINITY);
}

#[test]
fn the_faster_one_is_picked_until_its_load_outweighs_that() {
    let view =
        |loads: &[u32]| Fake { latency: answering(&[Some(10.0), Some(35.0)]), ..Fake::with(loads) };
    assert_eq!(firsts(&view(&[0, 0]), &[1, 1]), 1000);
    assert_eq!(firsts(&view(&[2, 0]), &[1, 1]), 1000);
    assert_eq!(firsts(&view(&[3, 0]), &[1, 1]), 0);
    assert_eq!(firsts(&view(&[0, 0]), &[1, 4]), 0);
}

#[test]
fn a_server_that_has_not_answered_yet_is_asked_by_one_at_a_time() {
    let latency = answering(&[None, Some(1000.0)]);
    let view = Fake { latency: latency.clone(), ..Fake::with(&[0, 50]) };
    assert_eq!(firsts(&view, &[1, 1]), 1000);
    let view = Fake { latency, ..Fake::with(&[1, 50]) };
    assert_eq!(firsts(&view, &[1, 1]), 0);
    // Where none has, the loads decide.
    let view = Fake { latency: answering(&[None, None]), ..Fake::with(&[2, 1]) };
    assert_eq!(firsts(&view, &[1, 1]), 0);
    let view = Fake { latency: answering(&[None, None]), ..Fake::with(&[2, 1]) };
    assert_eq!(firsts(&view, &[4, 1]), 1000);
}

#[test]
fn an_idle_connection_is_worth_what_it_costs_to_connect() {
    let mut view = Fake { cold: vec![0], ..Fake::with(&[0, 1]) };
    view.latency = answering(&[Some(10.0), Some(10.0)]);
    view.latency[0].connect = 9.0 * MS;
    assert_eq!(firsts(&view, &[1, 1]), 1000, "10 + 9 against 20");
    view.latency[0].connect = 11.0 * MS;
    assert_eq!(firsts(&view, &[1, 1]), 0, "10 + 11 against 20");
}

#[test]
fn what_is_full_or_will_not_do_is_not_picked_however_fast() {
    let latency = answering(&[Some(1.0), Some(1000.0)]);
    let view = Fake { latency: latency.clone(), full: vec![0], ..Fake::with(&[0, 9]) };
    assert_eq!(firsts(&view, &[1, 1]), 0);
    let view = Fake { latency, barred: vec![0], full: vec![1], ..Fake::with(&[0, 9]) };
    assert_eq!(firsts(&view, &[1, 1]), 0);
}

#[test]
fn equals_are_picked_evenly() {
    let latency = answering(&[Some(10.0); 4]);
    let view = Fake { latency, ..Fake::idle(4) };
    let bench = Bench::new(Strategy::PeakEwma, &[1; 4]);
    assert_in_proportion(&bench.counts(100_000, &view), &[1; 4]);
}
