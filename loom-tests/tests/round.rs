//! Models of `lockfree/round.rs`: what is taken back goes to one other, and who has no place goes.
#![cfg(evenkeel_loom)]

use std::future::poll_fn;
use std::task::Poll;

use evenkeel::lockfree::permits::Limits;
use evenkeel::lockfree::settle::{self, Site, shut};
use evenkeel::lockfree::ticket::{Granted, Ticket};
use loom::sync::atomic::{AtomicBool, Ordering};
use loom_tests::fleet::{
    Server, assert_at_rest, dial, fleet, limits, look, reclaim, servers, stall,
};
use loom_tests::models;
use loom_tests::threads::{Arc, block_on};

/// As `stall`, with the right to dial.
fn stall_with_permit(server: &Server) -> (Ticket<Server>, Ticket<Server>) {
    let held = server.lease();
    let tickets = (server.enter(), server.enter());
    server.close(held);
    tickets
}

/// A caller at a server without places: a connection, or nothing.
fn try_once(server: &Server) -> bool {
    let Ok(mut ticket) = Ticket::enter(server, 0) else {
        return false;
    };
    let lease = server.wait(&mut ticket);
    let served = lease.is_some();
    lease.into_iter().for_each(|lease| server.check_in(lease));
    served
}

models! {
    fn a_permit_is_taken_up_as_it_is_taken_back(3) {
        let [server] = servers::<1>(1, 1);
        let (mut stalled, mut next) = stall_with_permit(&server);
        let dialler = server.spawn(move |server| {
            match look(&mut stalled) {
                Some(Granted::Permit(permit)) => {
                    let lease = dial(permit);
                    server.check_in(lease);
                }
                // It looked late: the other has dialled, and is done with the connection.
                Some(Granted::Connection(parked)) => server.check_in(parked),
                Some(_) => panic!("nobody sends it away"),
                None => {}
            }
        });
        reclaim(&server);
        let lease = server.wait(&mut next).unwrap();
        assert_eq!(server.gate().ledger.counts().open, 1);
        server.check_in(lease);
        dialler.join().unwrap();
        assert_at_rest(&[server]);
    }

    fn a_waiter_leaves_as_its_permit_is_taken_back(3) {
        let [server] = servers::<1>(1, 1);
        let (stalled, mut next) = stall_with_permit(&server);
        let leaver = server.spawn(move |_| drop(stalled));
        reclaim(&server);
        let lease = server.wait(&mut next).unwrap();
        leaver.join().unwrap();
        assert_eq!(server.total().in_use(), 1);
        server.check_in(lease);
        assert_at_rest(&[server]);
    }

    /// The only other one leaves: what was taken back goes to the victim again, or to the idle set.
    fn the_next_leaves_as_a_grant_is_taken_back(3) {
        let [server] = servers::<1>(1, 1);
        let (mut stalled, next) = stall(&server);
        let leaver = server.spawn(move |_| drop(next));
        reclaim(&server);
        leaver.join().unwrap();
        let lease = server.wait(&mut stalled).unwrap();
        server.check_in(lease);
        assert_at_rest(&[server]);
    }

    fn everybody_leaves_as_a_grant_is_taken_back(2) {
        let [server] = servers::<1>(1, 1);
        let (stalled, next) = stall(&server);
        let leaver = server.spawn(move |_| {
            drop(next);
            drop(stalled);
        });
        reclaim(&server);
        leaver.join().unwrap();
        assert_eq!(server.parked(), 1);
        assert_at_rest(&[server]);
    }

    fn everybody_leaves_as_a_permit_is_taken_back(2) {
        let [server] = servers::<1>(1, 1);
        let (stalled, next) = stall_with_permit(&server);
        let leaver = server.spawn(move |_| {
            drop(next);
            drop(stalled);
        });
        reclaim(&server);
        leaver.join().unwrap();
        assert_eq!(server.total().in_use(), 0);
        assert_at_rest(&[server]);
    }

    fn a_second_grant_stands(3) {
        let [server] = servers::<1>(1, 1);
        let (mut stalled, mut next) = stall(&server);
        reclaim(&server);
        let lease = server.wait(&mut next).unwrap();
        let mut third = server.enter();
        server.check_in(lease);
        let looker = server.spawn(reclaim);
        reclaim(&server);
        looker.join().unwrap();
        assert!(look(&mut third).is_none());
        assert_eq!(server.reclaimed(), 1);
        let lease = server.wait(&mut stalled).unwrap();
        server.check_in(lease);
        let lease = server.wait(&mut third).unwrap();
        server.check_in(lease);
        assert_at_rest(&[server]);
    }

    /// Two look at once: it is taken back once, and two wait then, not one and not three.
    fn two_take_the_same_grant_back(2) {
        let [server] = servers::<1>(1, 1);
        let (mut stalled, mut next) = stall(&server);
        let last = server.enter();
        let looker = server.spawn(settle::look);
        reclaim(&server);
        looker.join().unwrap();
        assert_eq!((server.reclaimed(), server.gate().ledger.counts().waiting), (1, 2));
        let lease = server.wait(&mut next).unwrap();
        drop(last);
        server.check_in(lease);
        let lease = server.wait(&mut stalled).unwrap();
        server.check_in(lease);
        assert_at_rest(&[server]);
    }

    fn a_server_is_shut_as_a_grant_is_taken_back(2) {
        let [server] = servers::<1>(1, 1);
        let (mut stalled, mut next) = stall(&server);
        let shutter = server.spawn(shut);
        reclaim(&server);
        for ticket in [&mut stalled, &mut next] {
            if let Some(lease) = server.wait(ticket) {
                server.check_in(lease);
            }
        }
        shutter.join().unwrap();
        assert_eq!((server.parked(), server.total().in_use()), (0, 0));
        assert_at_rest(&[server]);
    }

    /// The look resets the time, and the round that answers it sets it again.
    fn a_grant_is_given_as_somebody_looks(3) {
        let [server] = servers::<1>(1, 1);
        let held = server.lease();
        let tickets = [server.enter(), server.enter()];
        let looker = server.spawn(settle::look);
        server.check_in(held);
        looker.join().unwrap();
        assert!(server.gate().look_at().is_some(), "nobody would look again");
        drop(tickets);
        assert_at_rest(&[server]);
    }

    fn a_caller_waits_for_a_grant_as_somebody_looks(3) {
        let [server] = servers::<1>(1, 1);
        let held = server.lease();
        let stalled = server.enter();
        server.check_in(held);
        let looker = server.spawn(settle::look);
        let next = server.enter();
        looker.join().unwrap();
        assert!(server.gate().look_at().is_some(), "nobody would look again");
        drop((stalled, next));
        assert_at_rest(&[server]);
    }

    /// Whoever enters is woken, or sees what has changed when it looks.
    fn a_caller_comes_as_those_in_line_are_roused(3) {
        let [server] = servers::<1>(1, 1);
        let held = server.lease();
        let changed = Arc::new(AtomicBool::new(false));
        let waiter = server.spawn({
            let changed = changed.clone();
            move |server| {
                let mut ticket = server.enter();
                block_on(poll_fn(|cx| {
                    assert!(ticket.poll(cx.waker()).is_pending());
                    let seen = changed.fetch_or(false, Ordering::AcqRel);
                    if seen { Poll::Ready(()) } else { Poll::Pending }
                }));
            }
        });
        changed.swap(true, Ordering::AcqRel);
        server.gate().rouse();
        settle::settle(&server);
        waiter.join().unwrap();
        server.check_in(held);
        assert_at_rest(&[server]);
    }

    /// A caller without a place is served or refused, and never left in line.
    fn two_come_without_a_place_and_there_is_room_for_one(2) {
        let [server] = fleet::<1>(Limits { waiting: 0, ..limits(1) }, 1, 1);
        let other = server.spawn(try_once);
        let mine = try_once(&server);
        assert!(other.join().unwrap() | mine);
        assert_at_rest(&[server]);
    }

    /// There is room at the server; whether a permit of the total is found is known a little later.
    fn a_caller_without_a_place_comes_as_a_permit_of_the_total_comes_free(3) {
        let servers = fleet::<2>(Limits { waiting: 0, ..limits(1) }, 1, 1);
        let held = servers[0].lease();
        let closer = servers[0].spawn(move |server| server.close(held));
        try_once(&servers[1]);
        closer.join().unwrap();
        let lease = servers[1].acquire().expect("it has come free by now");
        servers[1].check_in(lease);
        assert_at_rest(&servers);
    }

    fn two_come_without_a_place_and_the_total_is_used_up(2) {
        let servers = fleet::<2>(Limits { waiting: 0, ..limits(2) }, 1, 1);
        let held = servers[0].lease();
        let other = servers[1].spawn(try_once);
        assert!(!try_once(&servers[1]));
        assert!(!other.join().unwrap());
        assert_eq!(servers[1].gate().ledger.counts().waiting, 0);
        servers[0].check_in(held);
        assert_at_rest(&servers);
    }

    /// The word is born with the flag of a line, and nobody may come into the line after that.
    fn a_word_that_a_dial_has_made_is_opened(2) {
        let [server] = servers::<1>(3, 3);
        let [one, two] = [server.lease(), server.lease()];
        let other = server.spawn(Server::use_once);
        server.check_in(one);
        other.join().unwrap();
        server.check_in(two);
        assert_at_rest(&[server]);
    }
}
