//! Goal: the first address that answers wins, soon, and nothing is left of the others.

use std::pin::Pin;
use std::task::{Context, Poll};

use super::*;
use crate::rt::{Sleep, Timer};

const V6: &str = "[fd00::1]:80";
const V4: &str = "10.0.0.1:80";

/// A world in which `api.test` has an address of each family, with 20 ms of latency, one way.
fn dual_stack() -> Sim {
    let sim = Sim::new();
    sim.net().name("api.test", &["fd00::1", "10.0.0.1"]);
    sim.net().latency(Duration::from_millis(20));
    sim
}

#[test]
fn a_family_that_is_black_holed_costs_the_delay_and_no_more() {
    for (hole, open) in [(V6, V4), (V4, V6)] {
        let sim = dual_stack();
        sim.net().black_hole(hole);
        let _listener = sim.net().listen(open);
        let (result, millis) = dial_in(&sim);
        let delay = if hole == V6 { 250 } else { 0 };
        assert_eq!((peer(result.unwrap()).as_str(), millis), (open, delay + 40));
        assert_eq!(sim.net().counts(hole).connecting, 0, "the loser is closed");
    }
}

#[test]
fn an_answer_just_before_the_delay_is_waited_for_and_just_after_it_is_raced() {
    for (delay, attempts) in [(209, 0), (211, 1)] {
        let sim = dual_stack();
        let _listeners = (sim.net().listen(V6), sim.net().listen(V4));
        sim.net().connect_delay(V6, Duration::from_millis(delay));
        let (result, _) = dial_in(&sim);
        // It is still the first to answer, since the other takes a round trip.
        assert_eq!(peer(result.unwrap()), V6);
        assert_eq!(sim.net().counts(V4).attempts, attempts);
        assert_eq!(sim.net().counts(V4).connecting, 0);
    }
}

#[test]
fn the_next_is_tried_at_once_when_one_fails() {
    let sim = dual_stack();
    let _listener = sim.net().listen(V4);
    let (result, millis) = dial_in(&sim);
    // A refusal takes a round trip, and so does the connection.
    assert_eq!((peer(result.unwrap()).as_str(), millis), (V4, 80));
}

#[test]
fn the_delay_can_be_set() {
    let sim = dual_stack();
    sim.net().black_hole(V6);
    let _listener = sim.net().listen(V4);
    let config = config_of(Dialling::new().attempt_delay(Duration::from_millis(10)));
    assert_eq!(dial_in_by(&sim, &config).1, 50);
}

#[test]
fn all_that_hang_are_named_and_closed_at_the_deadline() {
    let sim = dual_stack();
    sim.net().black_hole(V6);
    sim.net().black_hole(V4);
    let (result, millis) = dial_in(&sim);
    let error = result.unwrap_err();
    assert_eq!((error.kind(), millis), (DialErrorKind::Timeout(Phase::Connect), 10_000));
    let text = error.to_string();
    assert!(text.contains("[fd00::1]:80: no answer in time; 10.0.0.1:80: no answer"), "{text}");
    assert_eq!(sim.net().counts(V6).connecting + sim.net().counts(V4).connecting, 0);
}

/// A world in which `api.test` has so many addresses, none of which answers.
fn holes(count: usize) -> (Sim, Vec<String>) {
    let sim = Sim::new();
    let addrs: Vec<String> = (1..=count).map(|n| format!("10.0.1.{n}")).collect();
    sim.net().name("api.test", &addrs.iter().map(String::as_str).collect::<Vec<_>>());
    let sockets: Vec<String> = addrs.iter().map(|addr| format!("{addr}:80")).collect();
    sockets.iter().for_each(|addr| sim.net().black_hole(addr));
    (sim, sockets)
}

fn connecting(sim: &Sim, addrs: &[String]) -> usize {
    addrs.iter().map(|addr| sim.net().counts(addr).connecting).sum()
}

#[test]
fn no_more_attempts_run_at_once_than_may() {
    for most in [1, 2, 4, 16] {
        let (sim, addrs) = holes(20);
        let config = config_of(Dialling::new().attempts_at_once(most).max_addresses(20));
        let runtime = sim.runtime();
        let deadline = sim.now() + Duration::from_secs(10);
        let mut dialling = Box::pin(dial_by(&runtime, &config, "http://api.test", deadline));
        let mut peak = 0;
        sim.block_on(async {
            for _ in 0..9_999 {
                assert!(poll_once(dialling.as_mut()).await.is_none());
                peak = peak.max(connecting(&sim, &addrs));
                sim.sleep(Duration::from_millis(1)).await;
            }
            let error = dialling.await.unwrap_err();
            assert!(error.to_string().ends_with("and 12 more"), "{error}");
        });
        assert_eq!(peak, most);
        assert!(addrs.iter().all(|addr| sim.net().counts(addr).attempts == 1), "{most}");
        assert_eq!(connecting(&sim, &addrs), 0);
    }
}

#[test]
fn beyond_the_attempts_at_once_the_oldest_gives_way_after_its_share() {
    // Four at once, and five addresses: two rounds, so that the first has half of the time.
    let (sim, _) = holes(4);
    sim.net().name("api.test", &["10.0.1.1", "10.0.1.2", "10.0.1.3", "10.0.1.4", "10.0.0.1"]);
    let _listener = sim.net().listen(FIRST);
    let (result, millis) = dial_in(&sim);
    assert_eq!((peer(result.unwrap()).as_str(), millis), (FIRST, 5_000));
    // As many as there is room for need not wait.
    let (sim, _) = holes(3);
    sim.net().name("api.test", &["10.0.1.1", "10.0.1.2", "10.0.1.3", "10.0.0.1"]);
    let _listener = sim.net().listen(FIRST);
    assert_eq!(dial_in(&sim).1, 750);
}

#[test]
fn no_more_addresses_are_tried_than_may() {
    for most in [1, 3, 4] {
        let sim = Sim::new();
        sim.net().name("api.test", &["10.0.0.1", "10.0.0.2", "10.0.0.3", "10.0.0.4"]);
        let config = config_of(Dialling::new().max_addresses(most));
        dial_in_by(&sim, &config).0.unwrap_err();
        let attempts =
            [FIRST, SECOND, THIRD, "10.0.0.4:80"].map(|addr| sim.net().counts(addr).attempts);
        assert_eq!(attempts, [1, 2, 3, 4].map(|n| usize::from(n <= most)));
    }
}

#[test]
fn a_dropped_dial_closes_all_its_half_open_sockets() {
    let (sim, addrs) = holes(3);
    let runtime = sim.runtime();
    let deadline = sim.now() + Duration::from_secs(10);
    let mut dialling = Box::pin(dial_to(&runtime, "http://api.test", deadline));
    sim.block_on(async {
        for _ in 0..1_000 {
            assert!(poll_once(dialling.as_mut()).await.is_none());
            sim.sleep(Duration::from_millis(1)).await;
        }
    });
    assert_eq!(connecting(&sim, &addrs), 3);
    drop(dialling);
    assert_eq!(connecting(&sim, &addrs), 0);
}

#[test]
fn a_runtime_that_has_ended_ends_the_dial() {
    // Its sleeps end at once, again and again.
    struct Over;
    impl Future for Over {
        type Output = ();
        fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<()> {
            Poll::Ready(())
        }
    }
    impl Sleep for Over {
        fn reset(self: Pin<&mut Self>, _: Instant) {}
    }
    struct Ended(Sim);
    impl Timer for Ended {
        fn sleep_until(&self, _: Instant) -> Pin<Box<dyn Sleep>> {
            Box::pin(Over)
        }
        fn now(&self) -> Instant {
            self.0.now()
        }
    }
    let (sim, _) = holes(1);
    let runtime = Runtime::custom(Ended(sim.clone()), sim.net().clone(), sim.net().clone());
    let deadline = sim.now() + Duration::from_secs(10);
    let error = sim.block_on(dial_to(&runtime, "http://10.0.1.1", deadline)).unwrap_err();
    assert_eq!(error.kind(), DialErrorKind::Timeout(Phase::Connect));
}
