//! What one thread can see of it; what several see is in `loom-tests`.

use super::*;

fn ledger(waiting: u32) -> Ledger {
    Ledger::new(Limits { open: 3, connecting: 2, waiting })
}

#[test]
fn as_many_wait_as_may_and_not_one_more() {
    let ledger = Ledger::new(Limits { open: 0, connecting: 0, waiting: 2 });
    assert_eq!([ledger.join(0), ledger.join(0)], [Ok(Joined::Place), Ok(Joined::Place)]);
    assert_eq!(ledger.join(0), Err(Refused::Full));
    assert_eq!(ledger.counts().waiting, 2);
    ledger.leave();
    assert_eq!(ledger.join(0), Ok(Joined::Place));
}

#[test]
fn a_permit_is_used_again_while_one_more_may_dial() {
    let ledger = ledger(0);
    assert!(ledger.open() && !ledger.connected(), "a connection");
    assert!(ledger.open() && ledger.reopen(), "two are connecting");
    assert!(!ledger.reopen(), "and no more may");
    assert_eq!((ledger.counts().open, ledger.counts().connecting), (2, 2));
    ledger.close();
    ledger.abandoned();
    assert!(!ledger.reopen(), "nor after the end");
}

#[test]
fn past_a_full_line_as_many_come_as_there_is_room_for() {
    let ledger = ledger(0);
    assert_eq!([ledger.join(0), ledger.join(0)], [Ok(Joined::Guest), Ok(Joined::Guest)]);
    assert_eq!(ledger.join(0), Err(Refused::Full));
    ledger.leave();
    ledger.open();
    assert_eq!(ledger.join(0), Err(Refused::Full), "one place for two who connect");
}

#[test]
fn those_who_wait_as_the_line_shrinks_keep_no_higher_class_out() {
    let limits = |waiting| Limits { open: 0, connecting: 0, waiting };
    let ledger = Ledger::new(limits(200));
    for _ in 0..200 {
        assert_eq!(ledger.join(0), Ok(Joined::Place));
    }
    ledger.set_limits(limits(2));
    assert_eq!(ledger.join(0), Err(Refused::Full));
    for _ in 0..GUESTS {
        assert_eq!(ledger.join(1), Ok(Joined::Guest));
    }
    assert_eq!(ledger.join(7), Err(Refused::Full), "it is to be decided first who must go");
    ledger.set_limits(limits(300));
    assert_eq!(ledger.join(0), Ok(Joined::Place));
}

#[test]
fn nobody_joins_a_closed_server() {
    let ledger = ledger(2);
    assert_eq!(ledger.join(0), Ok(Joined::Place));
    ledger.close();
    assert_eq!(ledger.join(0), Err(Refused::Closed));
    let counts = ledger.counts();
    assert_eq!((counts.waiting, counts.closed, ledger.has_room()), (1, true, false));
}

#[test]
fn room_ends_with_either_limit() {
    let ledger = ledger(2);
    ledger.open();
    ledger.open();
    assert!(!ledger.has_room(), "two are connecting");
    assert!(!ledger.connected(), "nobody waits");
    assert!(ledger.has_room());
    ledger.open();
    ledger.join(0).expect("there is room in line");
    assert!(ledger.connected() && ledger.connected(), "somebody waits");
    assert!(!ledger.has_room(), "three are open");
    assert!(ledger.closed());
    assert!(ledger.has_room());
    ledger.open();
    assert!(ledger.abandoned());
    let counts = ledger.counts();
    assert_eq!((counts.open, counts.connecting, counts.waiting), (2, 0, 1));
}

#[test]
fn limits_that_change_hold_from_then_on() {
    let ledger = ledger(0);
    assert!(ledger.open() && !ledger.connected() && ledger.open());
    ledger.set_limits(Limits { open: 1, connecting: 1, waiting: 7 });
    assert_eq!(ledger.limits(), Limits { open: 1, connecting: 1, waiting: 7 });
    assert_eq!((ledger.surplus(), ledger.has_room(), ledger.open()), (1, false, false));
    assert!(!ledger.reopen(), "one too many");
    assert!(!ledger.connected() && !ledger.reopen() && !ledger.closed());
    assert!(ledger.reopen(), "it is the one that may be");
    ledger.set_limits(Limits { open: 2, connecting: 2, waiting: 0 });
    assert!(ledger.open() && !ledger.open());
}

#[test]
fn the_edition_wraps_and_touches_nothing_else() {
    let most = Limits { open: 65_535, connecting: 65_535, waiting: 1 << 20 };
    let ledger = Ledger::new(most);
    ledger.join(0).expect("there is room in line");
    ledger.open();
    for _ in 0..1_000 {
        ledger.set_limits(most);
    }
    let counts = Counts { open: 1, connecting: 1, waiting: 1, closed: false };
    assert_eq!((ledger.counts(), ledger.limits()), (counts, most));
}
