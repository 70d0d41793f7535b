//! Models of `lockfree/waiters.rs`: a node is granted or cancelled, and what it was given stays in
//! one hand.
#![cfg(evenkeel_loom)]

use std::sync::Arc;
use std::task::Poll;

use evenkeel::lockfree::settle::{Site, shut};
use evenkeel::lockfree::ticket::Granted;
use loom_tests::fleet::{assert_at_rest, dial, look, reclaim, servers, stall};
use loom_tests::{CountWakes, models};

models! {
    fn a_waiter_leaves_as_it_is_given_a_connection(3) {
        let [server] = servers::<1>(1, 1);
        let held = server.lease();
        let ticket = server.enter();
        let leaver = server.spawn(move |_| drop(ticket));
        server.check_in(held);
        leaver.join().unwrap();
        assert_eq!(server.parked(), 1);
        assert_at_rest(&[server]);
    }

    fn a_waiter_leaves_as_it_is_given_a_permit(3) {
        let [server] = servers::<1>(1, 1);
        let held = server.lease();
        let ticket = server.enter();
        let leaver = server.spawn(move |_| drop(ticket));
        server.close(held);
        leaver.join().unwrap();
        assert_eq!(server.total().in_use(), 0);
        assert_at_rest(&[server]);
    }

    fn a_waiter_leaves_as_its_server_is_shut(3) {
        let [server] = servers::<1>(1, 1);
        let held = server.lease();
        let ticket = server.enter();
        let leaver = server.spawn(move |_| drop(ticket));
        shut(&server);
        leaver.join().unwrap();
        server.check_in(held);
        assert_at_rest(&[server]);
    }

    fn one_leaves_before_another_as_their_server_is_shut(2) {
        let [server] = servers::<1>(1, 1);
        let held = server.lease();
        let gone = server.enter();
        let mut stays = server.enter();
        let leaver = server.spawn(move |_| drop(gone));
        shut(&server);
        assert!(server.wait(&mut stays).is_none());
        leaver.join().unwrap();
        server.check_in(held);
        assert_at_rest(&[server]);
    }

    /// One look, which comes before the grant, between, or after it.
    fn a_waiter_looks_as_it_is_given_a_connection(3) {
        let [server] = servers::<1>(1, 1);
        let held = server.lease();
        let mut ticket = server.enter();
        let looker = server.spawn(move |server| {
            if let Some(Granted::Connection(parked)) = look(&mut ticket) {
                server.check_in(parked);
            }
        });
        server.check_in(held);
        looker.join().unwrap();
        assert_at_rest(&[server]);
    }

    /// The task is registered before the state is read, or it sleeps for ever.
    fn a_waiter_sleeps_as_it_is_given_a_connection(3) {
        let [server] = servers::<1>(1, 1);
        let held = server.lease();
        let mut ticket = server.enter();
        let giver = server.spawn(move |server| server.check_in(held));
        let lease = server.wait(&mut ticket).unwrap();
        server.check_in(lease);
        giver.join().unwrap();
        assert_at_rest(&[server]);
    }

    fn a_waiter_moves_to_another_task_as_it_is_given_a_connection(3) {
        let [server] = servers::<1>(1, 1);
        let held = server.lease();
        let mut ticket = server.enter();
        let (first, waker) = CountWakes::new();
        assert!(ticket.poll(&waker).is_pending());
        let (second, waker) = CountWakes::new();
        let giver = server.spawn(move |server| server.check_in(held));
        let ready = ticket.poll(&waker);
        giver.join().unwrap();
        match ready {
            Poll::Ready(Granted::Connection(parked)) => server.check_in(parked),
            Poll::Ready(_) => panic!("a connection came back"),
            Poll::Pending => assert_eq!(second.get(), 1, "asleep in the second task"),
        }
        assert!(first.get() + second.get() <= 1, "one wake for one grant");
        drop(ticket);
        assert_at_rest(&[server]);
    }

    /// One who has gone stands between two who wait.
    fn a_waiter_that_leaves_is_passed_over(2) {
        let [server] = servers::<1>(1, 1);
        let held = server.lease();
        let mut first = server.enter();
        let gone = server.enter();
        let mut last = server.enter();
        let leaver = server.spawn(move |_| drop(gone));
        server.check_in(held);
        let lease = server.wait(&mut first).unwrap();
        server.check_in(lease);
        let lease = server.wait(&mut last).unwrap();
        server.check_in(lease);
        leaver.join().unwrap();
        assert_at_rest(&[server]);
    }

    /// Sweeping is done by whoever owns the line, and takes nobody out who waits.
    fn a_sweep_keeps_those_who_wait(2) {
        let [server] = servers::<1>(1, 1);
        let held = server.lease();
        let mut stays = server.enter();
        let gone = [server.enter(), server.enter(), server.enter()];
        let leaver = server.spawn(move |_| drop(gone));
        server.check_in(held);
        let lease = server.wait(&mut stays).unwrap();
        server.check_in(lease);
        leaver.join().unwrap();
        assert_at_rest(&[server]);
    }

    /// The node may stand in line for long; its waker must not, since it may hold a whole task.
    fn a_waiter_that_leaves_takes_its_waker_along(2) {
        let [server] = servers::<1>(1, 1);
        let held = server.lease();
        let mut stays = server.enter();
        let mut gone = server.enter();
        let (count, waker) = CountWakes::new();
        assert!(gone.poll(&waker).is_pending());
        drop(waker);
        let looker = server.spawn(move |_| {
            assert!(look(&mut stays).is_none());
            stays
        });
        drop(gone);
        let stays = looker.join().unwrap();
        assert_eq!(Arc::strong_count(&count), 1);
        drop(stays);
        server.check_in(held);
        assert_at_rest(&[server]);
    }

    /// The node may stand in the list of grants for long; the waker of the last look must not.
    fn one_who_was_served_takes_its_waker_along(2) {
        let [server] = servers::<1>(1, 1);
        let held = server.lease();
        let mut ticket = server.enter();
        let (count, waker) = CountWakes::new();
        let giver = server.spawn(move |server| server.check_in(held));
        let ready = ticket.poll(&waker);
        drop(waker);
        giver.join().unwrap();
        if let Poll::Ready(Granted::Connection(parked)) = ready {
            assert_eq!(Arc::strong_count(&count), 1);
            server.check_in(parked);
        }
        drop(ticket);
        assert_at_rest(&[server]);
    }

    /// sqlx#622: a waiter that was woken, and went without a look, kept the wake for itself.
    fn sqlx_622_a_waiter_that_was_woken_goes_without_a_look(2) {
        let [server] = servers::<1>(1, 1);
        let held = server.lease();
        let woken = server.enter();
        let mut next = server.enter();
        let giver = server.spawn(move |server| {
            server.check_in(held);
            drop(woken);
        });
        let lease = server.wait(&mut next).unwrap();
        server.check_in(lease);
        giver.join().unwrap();
        assert_at_rest(&[server]);
    }

    /// The same, if what it was given was the right to dial.
    fn sqlx_622_with_a_permit(2) {
        let [server] = servers::<1>(1, 1);
        let held = server.lease();
        let woken = server.enter();
        let mut next = server.enter();
        let giver = server.spawn(move |server| {
            server.close(held);
            drop(woken);
        });
        let lease = server.wait(&mut next).unwrap();
        server.check_in(lease);
        giver.join().unwrap();
        assert_at_rest(&[server]);
    }

    /// What one waiter did to the connection is seen by the next, who gets it from hand to hand.
    fn a_connection_passes_through_the_line(2) {
        let [server] = servers::<1>(1, 1);
        let held = server.lease();
        let mut other = server.enter();
        let user = server.spawn(move |server| {
            let lease = server.wait(&mut other).unwrap();
            server.check_in(lease);
        });
        let mut ticket = server.enter();
        server.check_in(held);
        let lease = server.wait(&mut ticket).unwrap();
        lease.value.touch();
        server.check_in(lease);
        user.join().unwrap();
        assert_at_rest(&[server]);
    }

    fn a_permit_that_was_looked_at_is_dialled_with(3) {
        let [server] = servers::<1>(1, 1);
        let held = server.lease();
        let mut ticket = server.enter();
        let looker = server.spawn(move |server| {
            if let Some(Granted::Permit(permit)) = look(&mut ticket) {
                let lease = dial(permit);
                server.check_in(lease);
            }
        });
        server.close(held);
        looker.join().unwrap();
        assert_at_rest(&[server]);
    }

    /// One look, as the grant is taken back: one of the two has the connection.
    fn a_waiter_looks_as_its_grant_is_taken_back(3) {
        let [server] = servers::<1>(1, 1);
        let (mut stalled, mut next) = stall(&server);
        let looker = server.spawn(move |server| {
            if let Some(Granted::Connection(parked)) = look(&mut stalled) {
                server.check_in(parked);
            }
            stalled
        });
        reclaim(&server);
        let lease = server.wait(&mut next).unwrap();
        server.check_in(lease);
        drop(looker.join().unwrap());
        assert_at_rest(&[server]);
    }

    fn a_waiter_leaves_as_its_grant_is_taken_back(3) {
        let [server] = servers::<1>(1, 1);
        let (stalled, mut next) = stall(&server);
        let leaver = server.spawn(move |_| drop(stalled));
        reclaim(&server);
        let lease = server.wait(&mut next).unwrap();
        leaver.join().unwrap();
        assert_eq!(server.gate().ledger.counts().waiting, 0);
        server.check_in(lease);
        assert_at_rest(&[server]);
    }

    fn one_who_lost_a_grant_leaves_as_it_is_given_another(3) {
        let [server] = servers::<1>(1, 1);
        let (stalled, mut next) = stall(&server);
        reclaim(&server);
        let lease = server.wait(&mut next).unwrap();
        let leaver = server.spawn(move |_| drop(stalled));
        server.check_in(lease);
        leaver.join().unwrap();
        assert_eq!((server.parked(), server.reclaimed()), (1, 1));
        assert_at_rest(&[server]);
    }

    /// It has been woken once, for what it lost; if it has looked since, it is woken again.
    fn one_who_lost_a_grant_sleeps_as_it_is_given_another(3) {
        let [server] = servers::<1>(1, 1);
        let (mut stalled, mut next) = stall(&server);
        reclaim(&server);
        let lease = server.wait(&mut next).unwrap();
        let giver = server.spawn(move |server| server.check_in(lease));
        let lease = server.wait(&mut stalled).unwrap();
        server.check_in(lease);
        giver.join().unwrap();
        assert_at_rest(&[server]);
    }

    /// The victim looks, sleeps, and is woken, whatever of it comes first.
    fn a_waiter_sleeps_as_its_grant_is_taken_back(2) {
        let [server] = servers::<1>(1, 1);
        let (mut stalled, mut next) = stall(&server);
        let sleeper = server.spawn(move |server| {
            let lease = server.wait(&mut stalled).unwrap();
            server.check_in(lease);
        });
        reclaim(&server);
        let lease = server.wait(&mut next).unwrap();
        server.check_in(lease);
        sleeper.join().unwrap();
        assert_at_rest(&[server]);
    }
}
