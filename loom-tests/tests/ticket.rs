//! Models of `lockfree/ticket.rs`: what a caller holds is given back, whenever it is dropped.
#![cfg(evenkeel_loom)]

use evenkeel::lockfree::idle::{Parked, Take};
use evenkeel::lockfree::permits::{Limits, Refused};
use evenkeel::lockfree::settle::{Site, renew, shut};
use evenkeel::lockfree::ticket::{Granted, Permit, Ticket};
use loom::future::block_on;
use loom_tests::fleet::{
    Conn, Server, assert_at_rest, dial, fleet, limits, look, reclaim, servers,
};
use loom_tests::models;

/// The right to dial, from a server with room.
fn permit(server: &Server) -> Permit<Server> {
    match look(&mut server.enter()) {
        Some(Granted::Permit(permit)) => permit,
        _ => panic!("there is room, and nothing is parked"),
    }
}

models! {
    /// In line, in line with a connection or a permit granted, or not in line any more.
    fn a_ticket_is_dropped_at_any_time(2) {
        let [server] = servers::<1>(2, 2);
        let held = [server.lease(), server.lease()];
        let tickets = [server.enter(), server.enter()];
        let leaver = server.spawn(move |_| drop(tickets));
        let [first, second] = held;
        server.check_in(first);
        server.close(second);
        leaver.join().unwrap();
        assert!(server.total().in_use() <= 1);
        assert_at_rest(&[server]);
    }

    fn a_ticket_is_dropped_beside_another(2) {
        let [server] = servers::<1>(1, 1);
        let held = server.lease();
        let gone = server.enter();
        let mut stays = server.enter();
        let leaver = server.spawn(move |_| drop(gone));
        server.check_in(held);
        let lease = server.wait(&mut stays).unwrap();
        server.check_in(lease);
        leaver.join().unwrap();
        assert_at_rest(&[server]);
    }

    fn a_place_that_is_given_up_is_free_for_the_next(3) {
        let [server] = fleet::<1>(Limits { waiting: 1, ..limits(1) }, 1, 1);
        let held = server.lease();
        let first = server.enter();
        let leaver = server.spawn(move |_| drop(first));
        match Ticket::enter(&server, 0) {
            Ok(ticket) => drop(ticket),
            Err(refused) => assert_eq!(refused, Refused::Full),
        }
        leaver.join().unwrap();
        assert!(matches!(server.gate().idle.take(0), Take::Empty), "nobody waits any more");
        drop(server.enter());
        server.check_in(held);
        assert_at_rest(&[server]);
    }

    /// hyper#3199: the one who had begun to connect was dropped, and those who waited for the same
    /// connection were dropped with it.
    fn hyper_3199_a_dial_is_dropped_and_the_next_goes_on(3) {
        let [server] = servers::<1>(1, 1);
        let permit = permit(&server);
        let mut next = server.enter();
        let dialler = server.spawn(move |_| drop(permit));
        let lease = server.wait(&mut next).unwrap();
        server.check_in(lease);
        dialler.join().unwrap();
        assert_at_rest(&[server]);
    }

    /// A dialler stays in line: a connection that comes back is its own, and its permit another's.
    fn a_dialler_takes_what_comes_back(2) {
        let [server] = servers::<1>(2, 2);
        let held = server.lease();
        let mut permit = permit(&server);
        let mut dialling = Ticket::enter_dialling(&mut permit);
        let parker = server.spawn(move |server| server.check_in(held));
        let Granted::Connection(lease) =
            block_on(std::future::poll_fn(|cx| dialling.poll(cx.waker())))
        else {
            panic!("it has a permit already");
        };
        lease.value.touch();
        drop(permit);
        server.check_in(lease);
        parker.join().unwrap();
        assert_eq!(server.gate().ledger.counts().open, 1);
        assert_at_rest(&[server]);
    }

    /// The dial ends as a connection comes back: the dialler may end with two, and keeps one.
    fn a_dial_ends_as_the_dialler_is_given_a_connection(2) {
        let [server] = servers::<1>(2, 2);
        let held = server.lease();
        let mut permit = permit(&server);
        let dialling = Ticket::enter_dialling(&mut permit);
        let parker = server.spawn(move |server| server.check_in(held));
        let lease = dial(permit);
        drop(dialling);
        server.check_in(lease);
        parker.join().unwrap();
        assert_eq!(server.parked(), 2);
        assert_at_rest(&[server]);
    }

    /// The result of one dial serves the other, who has no second permit to hope for.
    fn a_finished_dial_serves_another_dialler(2) {
        let [server] = servers::<1>(2, 2);
        let permits = [permit(&server), permit(&server)];
        let [mut mine, theirs] = permits;
        let mut dialling = Ticket::enter_dialling(&mut mine);
        let other = server.spawn(move |server| {
            let lease = dial(theirs);
            server.check_in(lease);
        });
        let Granted::Connection(lease) =
            block_on(std::future::poll_fn(|cx| dialling.poll(cx.waker())))
        else {
            panic!("it has a permit already");
        };
        drop(mine);
        server.check_in(lease);
        other.join().unwrap();
        assert_at_rest(&[server]);
    }

    fn a_dialler_stands_before_one_who_waits(3) {
        let [server] = servers::<1>(2, 2);
        let held = server.lease();
        let mut permit = permit(&server);
        let mut waiting = server.enter();
        let mut dialling = Ticket::enter_dialling(&mut permit);
        let parker = server.spawn(move |server| server.check_in(held));
        assert!(look(&mut waiting).is_none());
        let lease = server.wait(&mut dialling).unwrap();
        server.check_in(lease);
        let lease = server.wait(&mut waiting).unwrap();
        server.check_in(lease);
        drop(permit);
        parker.join().unwrap();
        assert_at_rest(&[server]);
    }

    fn a_permit_goes_past_the_diallers(2) {
        let [server] = servers::<1>(2, 2);
        let held = server.lease();
        let mut permit = permit(&server);
        let mut dialling = Ticket::enter_dialling(&mut permit);
        let mut waiting = server.enter();
        let closer = server.spawn(move |server| server.close(held));
        let lease = server.wait(&mut waiting).unwrap();
        assert!(look(&mut dialling).is_none());
        closer.join().unwrap();
        drop(dialling);
        drop(permit);
        server.check_in(lease);
        assert_at_rest(&[server]);
    }

    /// The last dialler leaves; a connection that comes back then must not be kept for it.
    fn a_dialler_leaves_as_a_connection_comes_back(2) {
        let [server] = servers::<1>(2, 2);
        let held = server.lease();
        let mut permit = permit(&server);
        let dialling = Ticket::enter_dialling(&mut permit);
        let leaver = server.spawn(move |_| {
            drop(dialling);
            drop(permit);
        });
        server.check_in(held);
        leaver.join().unwrap();
        let Take::Got(parked) = server.gate().idle.take(0) else {
            panic!("nobody waits any more");
        };
        server.check_in(parked);
        assert_at_rest(&[server]);
    }

    fn a_dialler_is_sent_away_as_its_server_is_shut(3) {
        let [server] = servers::<1>(1, 1);
        let mut permit = permit(&server);
        let mut dialling = Ticket::enter_dialling(&mut permit);
        let shutter = server.spawn(shut);
        assert!(server.wait(&mut dialling).is_none());
        drop(permit);
        shutter.join().unwrap();
        assert_at_rest(&[server]);
    }

    /// One may connect at a time. The end of one dial is the beginning of the next.
    fn the_end_of_a_dial_lets_the_next_begin(2) {
        let [server] = fleet::<1>(Limits { connecting: 1, ..limits(2) }, 2, 1);
        let first = permit(&server);
        let mut next = server.enter();
        let dialler = server.spawn(move |_| dial(first));
        let lease = server.wait(&mut next).unwrap();
        let other = dialler.join().unwrap();
        server.check_in(lease);
        server.check_in(other);
        assert_eq!(server.parked(), 2);
        assert_at_rest(&[server]);
    }

    /// A dial whose caller was served otherwise is for the next in line, who must not be given a
    /// permit too: two callers open two connections, not three.
    fn a_dial_that_was_left_is_waited_for(2) {
        let [server] = servers::<1>(3, 3);
        let held = server.lease();
        let mut permit = permit(&server);
        let mut dialling = Ticket::enter_dialling(&mut permit);
        server.check_in(held);
        let lease = server.wait(&mut dialling).unwrap();
        drop(dialling);
        let driver = server.spawn(move |server| {
            let slot = permit.connected(0);
            server.check_in(Parked { slot, value: Conn::new(), since: 0 });
            drop(permit);
        });
        let mut next = server.enter();
        let second = server.wait(&mut next).unwrap();
        assert_eq!(server.gate().ledger.counts().open, 2);
        server.check_in(second);
        server.check_in(lease);
        driver.join().unwrap();
        assert_at_rest(&[server]);
    }

    /// The dial ends as its caller has been given a connection, too: that is for the next in line,
    /// who must not be given a permit. Two callers open two connections, not three.
    fn a_connection_that_comes_with_the_end_of_a_dial_is_waited_for(2) {
        let [server] = servers::<1>(3, 3);
        let held = server.lease();
        let mut permit = permit(&server);
        let dialling = Ticket::enter_dialling(&mut permit);
        server.check_in(held);
        let dialler = server.spawn(move |_| {
            let lease = dial(permit);
            drop(dialling);
            lease
        });
        let mut next = server.enter();
        let second = server.wait(&mut next).unwrap();
        assert_eq!(server.gate().ledger.counts().open, 2);
        server.check_in(second);
        server.check_in(dialler.join().unwrap());
        assert_at_rest(&[server]);
    }

    /// One who dials enters the line beside a dial that was left. It is counted once, so that the
    /// other dial is still seen to be for the next in line.
    fn a_dial_that_was_left_is_seen_as_another_dialler_enters(2) {
        let [server] = servers::<1>(4, 4);
        let held = server.lease();
        let [mut left, mut other] = [permit(&server), permit(&server)];
        let mut dialling = Ticket::enter_dialling(&mut left);
        server.check_in(held);
        let lease = server.wait(&mut dialling).unwrap();
        drop(dialling);
        let dialler = server.spawn(move |_| {
            let dialling = Ticket::enter_dialling(&mut other);
            (dialling, other)
        });
        let mut next = server.enter();
        let (dialling, other) = dialler.join().unwrap();
        assert!(look(&mut next).is_none(), "there is a dial for it");
        assert_eq!(server.gate().ledger.counts().open, 3);
        drop(dialling);
        let slot = left.connected(0);
        server.check_in(Parked { slot, value: Conn::new(), since: 0 });
        drop(left);
        let second = server.wait(&mut next).unwrap();
        [lease, second, dial(other)].into_iter().for_each(|lease| server.check_in(lease));
        assert_at_rest(&[server]);
    }

    /// Connections are renewed beside a dial that was left: that is still seen to be for the next.
    /// Two, since the owner of the line looks once before it has a permit of the total, and once
    /// after.
    fn a_dial_that_was_left_is_seen_as_connections_are_renewed(4) {
        let [server] = servers::<1>(5, 5);
        let [held, first, second] = [(); 3].map(|()| server.lease());
        let mut left = permit(&server);
        let mut dialling = Ticket::enter_dialling(&mut left);
        server.check_in(held);
        let lease = server.wait(&mut dialling).unwrap();
        drop(dialling);
        let renewer = server.spawn(move |server| {
            [first, second].map(|worn| renew(server, worn.slot).expect("there is room for a dial"))
        });
        let mut next = server.enter();
        let renewed = renewer.join().unwrap();
        assert!(look(&mut next).is_none(), "there is a dial for it");
        assert_eq!(server.gate().ledger.counts().open, 4);
        let slot = left.connected(0);
        server.check_in(Parked { slot, value: Conn::new(), since: 0 });
        drop(left);
        let given = server.wait(&mut next).unwrap();
        let leases = [lease, given].into_iter().chain(renewed.into_iter().map(dial));
        leases.for_each(|lease| server.check_in(lease));
        assert_eq!(server.parked(), 4);
    }

    /// Nobody waits for a connection that is renewed for another: with room, one is opened.
    fn a_caller_does_not_wait_for_a_connection_that_is_renewed(3) {
        let [server] = servers::<1>(2, 2);
        let worn = server.lease();
        let caller = server.spawn(|server| {
            let lease = server.lease();
            server.close(lease);
        });
        let renewed = renew(&server, worn.slot).expect("there is room for a dial");
        // Its dial does not end before the caller has been served.
        caller.join().unwrap();
        server.check_in(dial(renewed));
        assert_at_rest(&[server]);
    }

    /// The dial that the next in line waits for comes to nothing: it may dial itself.
    fn a_dial_that_was_left_fails(2) {
        let [server] = servers::<1>(3, 3);
        let held = server.lease();
        let mut permit = permit(&server);
        let mut dialling = Ticket::enter_dialling(&mut permit);
        server.check_in(held);
        let lease = server.wait(&mut dialling).unwrap();
        drop(dialling);
        let driver = server.spawn(move |_| drop(permit));
        let mut next = server.enter();
        let second = server.wait(&mut next).unwrap();
        server.check_in(second);
        server.check_in(lease);
        driver.join().unwrap();
        assert_at_rest(&[server]);
    }

    /// One who dials does not come for the connection that it was given in place of its own. That
    /// goes to one who waits, as the dial ends.
    fn a_dial_ends_as_the_connection_of_its_dialler_is_taken_back(2) {
        let [server] = servers::<1>(2, 2);
        let held = server.lease();
        let mut permit = permit(&server);
        let dialling = Ticket::enter_dialling(&mut permit);
        server.check_in(held);
        let mut next = server.enter();
        let dialler = server.spawn(move |server| {
            let lease = dial(permit);
            drop(dialling);
            server.check_in(lease);
        });
        reclaim(&server);
        let lease = server.wait(&mut next).unwrap();
        server.check_in(lease);
        dialler.join().unwrap();
        assert_eq!(server.parked(), 2);
        assert_at_rest(&[server]);
    }

    /// It is not counted among those who wait, before it loses its grant or after.
    fn one_who_dials_loses_a_grant_and_leaves(3) {
        let [server] = servers::<1>(2, 2);
        let held = server.lease();
        let mut permit = permit(&server);
        let dialling = Ticket::enter_dialling(&mut permit);
        server.check_in(held);
        let mut next = server.enter();
        let leaver = server.spawn(move |_| drop(dialling));
        reclaim(&server);
        leaver.join().unwrap();
        let lease = server.wait(&mut next).unwrap();
        assert_eq!(server.gate().ledger.counts().waiting, 0);
        drop(permit);
        server.check_in(lease);
        assert_at_rest(&[server]);
    }
}
