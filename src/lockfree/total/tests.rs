//! What one thread can see of it; what several see is in `loom-tests`.

use super::*;

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
    let total = Total::new(1);
    assert!(total.take());
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
    total.word.store(MARKS | 1, Ordering::Relaxed);
    assert!(total.mark(None, Need::More));
    // Ordering: Relaxed. One thread.
    assert_eq!(total.word.load(Ordering::Relaxed), STARVED | 1);
}

#[test]
fn a_total_that_shrinks_gives_none_and_passes_none_on_until_it_is_kept() {
    let total = Total::<u32>::new(3);
    assert!(total.take() && total.take() && total.take());
    total.set_limit(2);
    total.announce();
    assert_eq!((total.surplus(), total.limit(), total.in_use()), (1, 2, 3));
    assert!(!total.take() && !total.has_free());
    assert!(total.put(1), "the limit had shrunk");
    assert!(total.surplus() == 0 && !total.take(), "it is full, and one may pass on");
    assert!(total.put(1), "nobody has looked whether it is kept");
    assert!(total.take() && !total.take());
}

#[test]
fn check_ins_look_until_no_limit_is_passed() {
    let total = Total::<u32>::new(2);
    assert!(total.take() && total.take());
    total.set_limit(1);
    total.announce();
    total.calm(|| false);
    assert!(total.wants_check_ins() && total.wants_parked(), "one is too many");
    total.put(1);
    total.calm(|| true);
    assert!(total.wants_check_ins(), "a server has too many");
    total.calm(|| false);
    assert!(!total.wants_check_ins() && !total.wants_parked() && !total.put(1));
}

#[test]
fn a_total_that_grows_is_given_to_those_who_were_marked() {
    let total = Total::new(1);
    assert!(total.take());
    assert!(!total.mark(Some(1), Need::More));
    total.set_limit(2);
    total.announce();
    assert_eq!(total.next(), Some((1, Need::More)));
    assert!(total.take() && !total.take());
}
