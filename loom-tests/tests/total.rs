//! Models of `lockfree/total.rs`.
#![cfg(evenkeel_loom)]

use evenkeel::lockfree::total::{Need, Total};
use loom::sync::Arc;
use loom::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use loom::thread::{self, JoinHandle};
use loom_tests::{Plain, models};

fn spawn<T: 'static, R: 'static>(
    shared: &Arc<T>,
    f: impl FnOnce(&T) -> R + 'static,
) -> JoinHandle<R> {
    let shared = Arc::clone(shared);
    thread::spawn(move || f(&shared))
}

models! {
    fn one_of_two_takes_the_last_permit(3) {
        let total = Arc::new(Total::<u32>::new(1));
        let other = spawn(&total, Total::take);
        let mine = total.take();
        assert!(mine != other.join().unwrap());
        assert_eq!(total.in_use(), 1);
    }

    /// The socket that the permit stood for is closed when somebody else takes the permit.
    fn a_taker_sees_the_socket_closed(3) {
        let total = Arc::new(Total::<u32>::new(1));
        let socket = Arc::new(Plain::new(true));
        assert!(total.take());
        let other = spawn(&total, {
            let socket = Arc::clone(&socket);
            move |total| {
                if total.take() {
                    assert!(!socket.get());
                }
            }
        });
        socket.set(false);
        total.put(1);
        other.join().unwrap();
    }

    /// The count is what it was before somebody else had the permit: only the swap tells.
    fn a_taker_sees_the_socket_closed_that_came_and_went(3) {
        let total = Arc::new(Total::<u32>::new(1));
        let socket = Arc::new(Plain::new(false));
        let other = spawn(&total, {
            let socket = Arc::clone(&socket);
            move |total| {
                if total.take() {
                    assert!(!socket.get());
                }
            }
        });
        if total.take() {
            socket.set(true);
            socket.set(false);
            total.put(1);
        }
        other.join().unwrap();
    }

    fn the_last_permit_to_come_back_shows_all_sockets_closed(3) {
        let total = Arc::new(Total::<u32>::new(2));
        assert!(total.take() && total.take());
        let sockets = Arc::new([Plain::new(true), Plain::new(true)]);
        let closers = [0, 1].map(|at| {
            let sockets = Arc::clone(&sockets);
            spawn(&total, move |total| {
                sockets[at].set(false);
                total.put(1);
            })
        });
        if total.in_use() == 0 {
            assert!(!sockets[0].get() && !sockets[1].get());
        }
        for closer in closers {
            closer.join().unwrap();
        }
    }

    /// A server that found nothing, and a permit that comes free: one of them sees the other.
    fn a_mark_races_a_permit(3) {
        let total = Arc::new(Total::new(1));
        assert!(total.take());
        let marker = spawn(&total, |total| total.mark(Some(7), Need::More));
        total.put(1);
        let served = total.next();
        assert!(marker.join().unwrap() || served == Some((7, Need::More)));
    }

    /// The flag must not be down, even for a moment, while a server stands in the queue.
    fn a_mark_races_the_end_of_the_queue(3) {
        let total = Arc::new(Total::new(1));
        assert!(total.take());
        total.mark(Some(1), Need::More);
        let marker = spawn(&total, |total| {
            total.mark(Some(2), Need::More);
            total.is_starved()
        });
        assert_eq!(total.pop(), Some((1, Need::More)));
        let popped = total.pop().is_some();
        assert!(marker.join().unwrap() || popped, "the flag was down, and nobody knows of it");
        assert_eq!(total.pop().is_some(), !popped);
        assert!(!total.is_starved());
    }

    fn two_empty_the_queue_while_a_third_is_marked(2) {
        let total = Arc::new(Total::new(1));
        assert!(total.take());
        total.mark(Some(1), Need::First);
        let marker = spawn(&total, |total| total.mark(Some(2), Need::More));
        let other = spawn(&total, |total| total.pop().is_some());
        total.put(1);
        let served = total.next();
        let retried = marker.join().unwrap();
        let theirs = other.join().unwrap();
        // Somebody has got the first; the second goes on by itself, or is still to be found.
        let found = usize::from(served.is_some()) + usize::from(theirs);
        assert!(found == 2 || retried || total.next().is_some());
        while total.pop().is_some() {}
        assert!(!total.is_starved());
    }

    fn one_check_in_yields_for_one_server(3) {
        let total = Arc::new(Total::new(0));
        total.mark(Some(1), Need::First);
        let other = spawn(&total, Total::yields);
        let mine = total.yields();
        assert!(mine != other.join().unwrap());
    }

    fn a_desperate_server_is_left_to_the_next_check_in(3) {
        let total = Arc::new(Total::new(0));
        total.mark(Some(1), Need::First);
        total.mark(Some(2), Need::First);
        assert!(total.yields());
        let other = spawn(&total, Total::yields);
        assert_eq!(total.pop(), Some((1, Need::First)));
        let mine = total.yields();
        assert!(mine != other.join().unwrap(), "one yields for the second server");
    }

    /// What a server did before it was marked is seen by whoever serves it.
    fn a_mark_publishes(3) {
        let total = Arc::new(Total::new(1));
        let wish = Arc::new(Plain::new(0));
        let server = spawn(&total, {
            let wish = Arc::clone(&wish);
            move |total| {
                if total.next().is_some() {
                    assert_eq!(wish.get(), 1);
                }
            }
        });
        wish.set(1);
        total.mark(Some(7), Need::First);
        server.join().unwrap();
    }

    /// Once the limit is announced, no permit is given by the one before. It is not the first one
    /// to be announced: the mark alone is new.
    fn a_permit_is_taken_by_the_limit_that_was_announced(3) {
        let total = Arc::new(Total::<u32>::new(2));
        total.announce();
        assert!(total.take());
        let taker = spawn(&total, Total::take);
        total.set_limit(1);
        total.announce();
        let seen = total.in_use();
        taker.join().unwrap();
        assert_eq!(total.in_use(), seen, "none was given after the change");
    }

    /// Who sees a permit that was given by the new limit sees that limit: nothing is closed for it.
    fn a_permit_comes_into_sight_with_the_limit_by_which_it_was_given(3) {
        let total = Arc::new(Total::<u32>::new(1));
        assert!(total.take());
        let looker = spawn(&total, Total::surplus);
        total.set_limit(2);
        total.announce();
        assert!(total.take());
        assert_eq!(looker.join().unwrap(), 0);
    }

    /// A server that found nothing, and a total that grows: one of them sees the other.
    fn a_mark_races_the_growth_of_the_total(3) {
        let total = Arc::new(Total::new(1));
        assert!(total.take());
        let marker = spawn(&total, |total| total.mark(Some(7), Need::More));
        total.set_limit(2);
        total.announce();
        let served = total.next();
        assert!(marker.join().unwrap() || served == Some((7, Need::More)));
    }

    /// The same, where no permit is free by the new limit either, but one may pass on.
    fn a_mark_races_the_growth_of_the_total_to_what_is_in_use(3) {
        let total = Arc::new(Total::new(0));
        let marker = spawn(&total, |total| {
            total.mark(Some(7), Need::More);
            total.limit()
        });
        total.set_limit(1);
        total.announce();
        let served = total.pop();
        assert!(marker.join().unwrap() == 1 || served == Some((7, Need::More)));
    }

    /// The permit that comes back is free by the new limit only, and neither side alone knows.
    fn a_permit_comes_back_while_the_total_grows(2) {
        let total = Arc::new(Total::new(1));
        assert!(total.take());
        total.set_limit(2);
        total.announce();
        assert!(total.take());
        total.set_limit(0);
        total.announce();
        assert!(!total.mark(Some(7), Need::More));
        let putter = spawn(&total, |total| {
            total.put(1);
            total.next().is_some()
        });
        total.set_limit(2);
        total.announce();
        let found = total.next().is_some();
        assert!(putter.join().unwrap() || found);
    }

    /// Nobody takes the flag down without having seen the limits for which it was set.
    fn a_calm_races_a_change(3) {
        let total = Arc::new(Total::<u32>::new(2));
        assert!(total.take());
        total.announce();
        let calmer = spawn(&total, |total| total.calm(|| false));
        total.set_limit(0);
        total.announce();
        calmer.join().unwrap();
        assert!(total.wants_check_ins(), "one is too many");
    }

    /// The same, where a server's limit has changed.
    fn a_calm_sees_the_servers_as_they_were_changed(3) {
        let total = Arc::new(Total::<u32>::new(2));
        let above = Arc::new(AtomicBool::new(false));
        let calmer = spawn(&total, {
            let above = Arc::clone(&above);
            move |total| total.calm(|| above.load(Ordering::Relaxed))
        });
        above.store(true, Ordering::Relaxed);
        total.announce();
        calmer.join().unwrap();
        assert!(total.wants_check_ins());
    }

    /// Of two who set the total, the last one to store it has seen what the other was told.
    fn of_two_who_set_the_total_the_last_wins(3) {
        let total = Arc::new(Total::<u32>::new(1));
        let wanted = Arc::new(AtomicU32::new(1));
        let set = |wanted: &AtomicU32, total: &Total<u32>, limit: u32| {
            wanted.swap(limit, Ordering::Relaxed);
            loop {
                let limit = wanted.load(Ordering::Relaxed);
                total.set_limit(limit);
                if wanted.load(Ordering::Relaxed) == limit {
                    break;
                }
            }
        };
        let other = spawn(&total, {
            let wanted = Arc::clone(&wanted);
            move |total| set(&wanted, total, 2)
        });
        set(&wanted, &total, 3);
        other.join().unwrap();
        assert_eq!(total.limit(), wanted.load(Ordering::Relaxed));
    }
}
