//! The state machine, by hand and by chance.

use fastrand::Rng;

use super::*;
use crate::server::CheckFailure;

fn check(standing: &Standing, now: u64, counts: &mut Counts, ok: bool) -> Option<Standing> {
    *counts = counts.and(ok);
    let how = if ok { Ok(()) } else { Err(why()) };
    standing.checked(now, counts, how, &HealthCheck::default())
}

fn why() -> HealthReason {
    HealthReason::ChecksFailed(CheckFailure::Connect)
}

const RESET: HealthReason = HealthReason::Failures(Fault::Reset);

#[test]
fn the_first_good_check_is_enough_and_three_bad_ones_are_needed() {
    let new = Standing::new(0);
    let up = check(&new, 5, &mut Counts::default(), true).unwrap();
    assert_eq!((up.health(5), up.since, up.back_at), (Health::Up, 5, None));
    for standing in [new, up] {
        let mut counts = Counts::default();
        assert_eq!(check(&standing, 6, &mut counts, false), None);
        assert_eq!(check(&standing, 7, &mut counts, false), None);
        let down = check(&standing, 8, &mut counts, false).unwrap();
        assert_eq!((down.health(8), down.since, down.why), (Health::Down, 8, why()));
        assert_eq!(check(&down, 9, &mut counts, true), None);
        assert_eq!(check(&down, 10, &mut counts, false), None, "a bad one begins it anew");
        assert_eq!(check(&down, 11, &mut counts, true), None);
        let back = check(&down, 12, &mut counts, true).unwrap();
        assert_eq!((back.health(12), back.back_at), (Health::Up, Some(12)));
    }
}

#[test]
fn an_ejected_server_is_tried_when_its_time_is_over_and_not_before() {
    let rules = Ejection::default();
    let out = Standing::new(0).ejected(100, RESET, &rules, 1 << 63).unwrap();
    assert_eq!((out.health(1099), out.health(1100)), (Health::Ejected, Health::Trial));
    assert_eq!(out.tried(1099, Ok(()), &rules, 0), None);
    let once = out.tried(1100, Ok(()), &rules, 0).unwrap();
    assert_eq!(once.health(1100), Health::Trial);
    let back = once.tried(1200, Ok(()), &rules, 0).unwrap();
    assert_eq!((back.health(1200), back.back_at), (Health::Up, Some(1200)));
    // The next time it is left alone for twice as long, until it has been well for a minute.
    let again = back.ejected(1300, RESET, &rules, 1 << 63).unwrap();
    assert_eq!(again.trial_at(), Some(3300));
    let later = back.ejected(61_199, RESET, &rules, 1 << 63).unwrap();
    assert_eq!(later.trial_at(), Some(63_199));
    let forgotten = back.ejected(61_200, RESET, &rules, 1 << 63).unwrap();
    assert_eq!(forgotten.trial_at(), Some(62_200));
    let failed = once.tried(1200, Err(Fault::Timeout), &rules, 1 << 63).unwrap();
    assert_eq!((failed.health(1200), failed.trial_at()), (Health::Ejected, Some(3200)));
    assert_eq!(failed.why, HealthReason::TrialFailed(Fault::Timeout));
}

#[test]
fn a_good_check_does_not_bring_an_ejected_server_back_but_bad_ones_take_it_down() {
    let out = Standing::new(0).ejected(0, RESET, &Ejection::default(), 0).unwrap();
    let mut counts = Counts::default();
    for now in 0..10 {
        assert_eq!(check(&out, now, &mut counts, true), None);
    }
    assert_eq!(check(&out, 10, &mut counts, false), None);
    assert_eq!(check(&out, 11, &mut counts, false), None);
    let down = check(&out, 12, &mut counts, false).unwrap();
    assert_eq!((down.health(12), down.trial_at()), (Health::Down, None));
    assert_eq!(down.tried(5000, Ok(()), &Ejection::default(), 0), None);
}

#[test]
fn what_was_decided_stays_and_health_goes_on_beneath() {
    let rules = Ejection::default();
    for state in [ServerState::Draining, ServerState::Disabled, ServerState::ForcedUp] {
        let decided = Standing::new(0).decided(state).unwrap();
        assert_eq!(decided.decided(state), None);
        assert_eq!(decided.ejected(1, RESET, &rules, 0), None);
        let mut counts = Counts { ok: 0, failed: 2 };
        let down = check(&decided, 1, &mut counts, false).unwrap();
        assert_eq!((down.state, down.health(1)), (state, Health::Down));
        let expected = if state == ServerState::ForcedUp { Vote::Well } else { Vote::OutOfService };
        assert_eq!(down.vote(true), expected);
        let active = down.decided(ServerState::Active).unwrap();
        assert_eq!(active.vote(true), Vote::Ill);
    }
    assert_eq!(Standing::new(0).vote(true), Vote::Well);
    assert_eq!(Standing::new(0).vote(false), Vote::Ill);
}

/// A pool of some servers, to which anything may happen.
struct Ward {
    rng: Rng,
    now: u64,
    beds: Vec<(Standing, Counts)>,
}

impl Ward {
    fn new(seed: u64) -> Self {
        let mut rng = Rng::with_seed(seed);
        let beds = (0..rng.usize(1..6)).map(|_| (Standing::new(0), Counts::default())).collect();
        Self { rng, now: 0, beds }
    }

    fn census(&self) -> Census {
        let mut census = Census::default();
        self.beds.iter().for_each(|(standing, _)| census.add(standing.vote(true), 1));
        census
    }

    /// What has happened to a server: how it was, and how it is.
    fn step(&mut self) -> (Standing, Standing, Counts, bool) {
        self.now += self.rng.u64(..2000);
        let at = self.rng.usize(..self.beds.len());
        let (before, mut counts) = self.beds[at].clone();
        let (now, dice) = (self.now, self.rng.u64(..));
        let rules = Ejection::default();
        let mut was_checked = false;
        let after = match self.rng.u32(..10) {
            0..5 => {
                was_checked = true;
                let ok = self.rng.bool();
                check(&before, now, &mut counts, ok)
            }
            5..7 if self.census().may_eject(50) => before.ejected(now, RESET, &rules, dice),
            7 => before.tried(now, Ok(()), &rules, dice),
            8 => before.tried(now, Err(Fault::Reset), &rules, dice),
            _ => None,
        };
        let after = after.unwrap_or_else(|| before.clone());
        self.beds[at] = (after.clone(), counts);
        (before, after, counts, was_checked)
    }
}

#[test]
fn by_chance_no_server_comes_up_without_its_checks_and_not_all_are_ejected() {
    for seed in 0..300 {
        let mut ward = Ward::new(seed);
        for step in 0..400 {
            let was_well = ward.census();
            let (before, after, counts, was_checked) = ward.step();
            let now = ward.now;
            let told = || format!("seed {seed}, step {step}: {before:?} to {after:?}");
            if before.health(now) == Health::Down && after.health(now) != Health::Down {
                assert_eq!(after.health(now), Health::Up, "{}", told());
                assert!(was_checked && counts.ok >= 2, "{}", told());
            }
            if after.health(now) == Health::Down && before.health(now) != Health::Down {
                assert!(was_checked && counts.failed >= 3, "{}", told());
            }
            let is_ejected = |standing: &Standing| standing.trial_at().is_some();
            if is_ejected(&after) && !is_ejected(&before) {
                let ejected = ward.beds.iter().filter(|(standing, _)| is_ejected(standing)).count();
                assert!(ejected * 2 <= ward.beds.len(), "{}", told());
                assert_eq!(ward.census().mode(0), Mode::Normal, "{}", told());
            }
            if is_ejected(&before) && after.health(now) == Health::Up {
                assert!(now >= before.trial_at().unwrap(), "{}", told());
            }
            // Whatever has happened: if any is well or merely ejected, one may be picked.
            let mode = ward.census().mode(0);
            let is_open = |(standing, _): &(Standing, Counts)| mode.takes(standing.vote(true));
            let all_down = ward.beds.iter().all(|(standing, _)| standing.vote(true) == Vote::Ill);
            assert_eq!(ward.beds.iter().any(is_open), !all_down, "{}", told());
            assert!(was_well != Census::default());
        }
    }
}
