//! What one thread can see of it; what several see is in `loom-tests`.

use super::*;

fn ledger(waiting: u32) -> Ledger {
    Ledger::new(Limits { open: 3, connecting: 2, waiting })
}

#[test]
fn as_many_wait_as_may_and_not_one_more() {
    let ledger = Ledger::new(Limits { open: 0, connecting: 0, waiting: 2 });
    assert_eq!([ledger.join(), ledger.join()], [Ok(Joined::Place), Ok(Joined::Place)]);
    assert_eq!(ledger.join(), Err(Refused::Full));
    assert_eq!(ledger.counts().waiting, 2);
    ledger.leave();
    assert_eq!(ledger.join(), Ok(Joined::Place));
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
    assert_eq!([ledger.join(), ledger.join()], [Ok(Joined::Room), Ok(Joined::Room)]);
    assert_eq!(ledger.join(), Err(Refused::Full));
    ledger.leave();
    ledger.open();
    assert_eq!(ledger.join(), Err(Refused::Full), "one place for two who connect");
}

#[test]
fn nobody_joins_a_closed_server() {
    let ledger = ledger(2);
    assert_eq!(ledger.join(), Ok(Joined::Place));
    ledger.close();
    assert_eq!(ledger.join(), Err(Refused::Closed));
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
    ledger.join().expect("there is room in line");
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
fn a_total_is_exact() {
    let total = Total::<u32>::new(2);
    assert_eq!([total.take(), total.take(), total.take()], [true, true, false]);
    assert_eq!(total.in_use(), 2);
    total.put(2);
    total.put(0);
    assert_eq!(total.in_use(), 0);
}

#[test]
fn the_desperate_come_first_and_each_queue_is_in_order() {
    let total = Total::new(0);
    for (site, need) in [(1, Need::More), (2, Need::First), (3, Need::More), (4, Need::First)] {
        assert!(!total.mark(Some(site), need));
    }
    assert_eq!(total.next(), None, "there is no permit");
    total.put(1);
    assert_eq!(total.next(), Some((2, Need::First)));
    let rest: Vec<_> = std::iter::from_fn(|| total.pop()).map(|(site, _)| site).collect();
    assert_eq!(rest, [4, 1, 3]);
    assert!(!total.is_starved());
}

#[test]
fn a_mark_tells_of_a_permit_that_is_free() {
    let total = Total::new(1);
    assert!(total.mark(Some(1), Need::More));
    assert!(total.take());
    assert!(!total.mark(None, Need::More));
}

#[test]
fn one_check_in_yields_for_each_of_the_desperate() {
    let total = Total::new(0);
    assert!(!total.yields());
    total.mark(Some(1), Need::More);
    assert!(!total.yields());
    total.mark(Some(2), Need::First);
    total.mark(Some(3), Need::First);
    assert!(total.yields());
    assert!(!total.yields(), "the first is being served");
    assert_eq!(total.pop(), Some((2, Need::First)));
    assert!(total.yields());
    assert!(!total.yields());
    total.refresh();
    assert!(total.yields(), "it still stands there");
}

#[test]
fn the_count_of_marks_wraps_and_touches_nothing_else() {
    let total = Total::<u32>::new(3);
    // Ordering: Relaxed. One thread.
    total.word.store(MARKS | 3, Ordering::Relaxed);
    assert!(total.mark(None, Need::More));
    // Ordering: Relaxed. One thread.
    assert_eq!(total.word.load(Ordering::Relaxed), STARVED | 3);
}
