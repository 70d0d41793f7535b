//! Models of `lockfree/shrink.rs`: limits that change under everybody's eyes.
#![cfg(evenkeel_loom)]

use evenkeel::lockfree::settle::{Site, claim, renew};
use evenkeel::lockfree::ticket::{Granted, Ticket};
use loom_tests::fleet::{Server, assert_at_rest, fleet, limits, look, one_each, servers};
use loom_tests::models;

/// A place in line, and the connection that it ends with, given back.
fn use_at(server: &Server, mut ticket: Ticket<Server>) {
    let lease = server.wait(&mut ticket).unwrap();
    server.check_in(lease);
}

models! {
    fn a_server_that_grows_meets_its_next_waiter(2) {
        let [server] = servers::<1>(1, 2);
        let held = server.lease();
        let other = server.spawn(Server::lease);
        server.set_limits(limits(2));
        let more = other.join().unwrap();
        assert_eq!(server.open(), 2);
        server.check_in(held);
        server.check_in(more);
        assert_at_rest(&[server]);
    }

    fn a_total_that_grows_meets_a_server_that_marks_itself(2) {
        let servers = servers::<2>(1, 1);
        let held = servers[0].lease();
        let other = servers[1].spawn(Server::lease);
        servers[0].set_total(2);
        let more = other.join().unwrap();
        assert_eq!(servers[0].total().in_use(), 2);
        servers[0].check_in(held);
        servers[1].check_in(more);
        assert_at_rest(&servers);
    }

    /// Growth of the server comes with growth of the total, and is given in either order.
    fn more_may_dial_at_once(2) {
        let [server] = servers::<1>(2, 2);
        server.set_limits(evenkeel::lockfree::permits::Limits { connecting: 1, ..limits(2) });
        let mut first = server.enter();
        let Some(Granted::Permit(permit)) = look(&mut first) else {
            panic!("there is room");
        };
        let other = server.spawn(Server::use_once);
        server.set_limits(limits(2));
        other.join().unwrap();
        drop(permit);
        assert_at_rest(&[server]);
    }

    /// Once the limit is set, no permit is given by the one before.
    fn a_server_that_shrinks_gives_no_permit_more(2) {
        let [server] = servers::<1>(2, 2);
        let held = server.lease();
        let waiter = server.spawn(Server::enter);
        server.set_limits(limits(1));
        let seen = server.open();
        let ticket = waiter.join().unwrap();
        assert_eq!(server.open(), seen, "given after the limit was set");
        server.check_in(held);
        assert!(server.open() <= 1);
        drop(ticket);
        assert_at_rest(&[server]);
    }

    /// The total shrinks beneath what two servers have, and grows again at once. Whoever marked
    /// itself in between is served, and the connection that came back is closed or kept. With two
    /// preemptions it has not ended after 36 s of processor time.
    fn a_total_of_two_servers_shrinks_and_grows(1) {
        let servers = servers::<2>(1, 2);
        let [first, second] = [servers[0].lease(), servers[1].lease()];
        let changer = servers[0].spawn(|server| {
            server.set_total(1);
            server.set_total(2);
        });
        servers[0].check_in(first);
        servers[0].use_once();
        changer.join().unwrap();
        servers[1].check_in(second);
        assert!(!servers[0].total().wants_check_ins(), "no limit is passed");
        assert_at_rest(&servers);
    }

    fn a_total_that_shrinks_gives_no_permit_more(2) {
        let servers = servers::<2>(1, 2);
        let held = servers[0].lease();
        let waiter = servers[1].spawn(Server::enter);
        servers[0].set_total(1);
        let seen = servers[0].total().in_use();
        let ticket = waiter.join().unwrap();
        assert_eq!(servers[0].total().in_use(), seen, "given after the limit was set");
        servers[0].check_in(held);
        drop(ticket);
        assert!(servers[0].total().in_use() <= 1);
        assert_at_rest(&servers);
    }

    /// It parks by the old limit, or is closed by the new one; but it does not stay.
    fn a_check_in_meets_a_server_that_shrinks(2) {
        let [server] = servers::<1>(2, 2);
        let [first, second] = [server.lease(), server.lease()];
        let parker = server.spawn(move |server| server.check_in(first));
        server.set_limits(limits(1));
        parker.join().unwrap();
        assert_eq!((server.open(), server.parked()), (1, 0));
        server.check_in(second);
        assert_at_rest(&[server]);
    }

    /// Else each check-in would look for the limits from then on.
    fn all_is_calm_when_no_limit_is_passed_any_more(2) {
        let [server] = servers::<1>(2, 2);
        server.set_limits(limits(2));
        assert!(!server.total().wants_check_ins(), "nothing was ever passed");
        let [first, second] = [server.lease(), server.lease()];
        let closer = server.spawn(move |server| server.close(first));
        server.set_limits(limits(1));
        closer.join().unwrap();
        assert!(!server.total().wants_check_ins());
        server.check_in(second);
        assert_at_rest(&[server]);
    }

    /// One too many, and two that come back: one of them stays.
    fn two_check_ins_meet_at_a_server_that_has_shrunk(2) {
        let [server] = servers::<1>(2, 2);
        let [first, second] = [server.lease(), server.lease()];
        server.set_limits(limits(1));
        let parker = server.spawn(move |server| server.check_in(first));
        server.check_in(second);
        parker.join().unwrap();
        assert_eq!((server.open(), server.parked()), (1, 1));
        assert_at_rest(&[server]);
    }

    /// Two too many, and two that come back: none stays. One may be refused because of the claim
    /// that the other still has, and has closed its own by already.
    fn two_check_ins_meet_at_a_server_that_has_two_too_many(2) {
        let [server] = servers::<1>(3, 3);
        let [first, second, third] = [server.lease(), server.lease(), server.lease()];
        server.set_limits(limits(1));
        let parker = server.spawn(move |server| server.check_in(first));
        server.check_in(second);
        parker.join().unwrap();
        assert_eq!((server.open(), server.parked()), (1, 0));
        server.check_in(third);
        assert_at_rest(&[server]);
    }

    fn check_ins_of_two_servers_meet_a_total_that_shrinks(2) {
        let servers = servers::<2>(1, 2);
        let [first, second] = [servers[0].lease(), servers[1].lease()];
        let parker = servers[0].spawn(move |server| server.check_in(first));
        servers[0].set_total(1);
        servers[1].check_in(second);
        parker.join().unwrap();
        assert_eq!(servers[0].total().in_use(), 1);
        assert_eq!(servers[0].parked() + servers[1].parked(), 1);
        assert_at_rest(&servers);
    }

    /// The connection is closed although somebody waits for it, who gets the one that remains.
    fn a_line_waits_for_what_remains(2) {
        let [server] = servers::<1>(2, 2);
        let [first, second] = [server.lease(), server.lease()];
        let ticket = server.enter();
        server.set_limits(limits(1));
        let parker = server.spawn(move |server| server.check_in(first));
        server.check_in(second);
        parker.join().unwrap();
        assert_eq!(server.open(), 1);
        use_at(&server, ticket);
        assert_at_rest(&[server]);
    }

    /// What the line hides from those who look for something to close is shown when it is let go.
    /// With two preemptions there are 1,475,245 executions, which passed in 84 s of processor time:
    /// too long to be run each time.
    fn a_line_that_is_let_go_shows_what_is_too_much(1) {
        let [server] = servers::<1>(2, 2);
        let [first, second] = [server.lease(), server.lease()];
        let gone = server.enter();
        let parker = server.spawn(move |server| server.check_in(first));
        let leaver = server.spawn(move |_| drop(gone));
        server.set_limits(limits(1));
        parker.join().unwrap();
        leaver.join().unwrap();
        assert_eq!((server.open(), server.parked()), (1, 0));
        server.check_in(second);
        assert_at_rest(&[server]);
    }

    /// Nobody takes an idle connection of the first, which is too much, for the second; and when
    /// the total is kept again the second must be served by what is idle.
    fn a_server_that_is_starved_while_the_total_is_passed_is_served_in_the_end(2) {
        let servers = servers::<2>(2, 2);
        let [first, second] = [servers[0].lease(), servers[0].lease()];
        servers[0].set_total(1);
        let other = servers[1].spawn(Server::lease);
        servers[0].check_in(first);
        servers[0].check_in(second);
        let lease = other.join().unwrap();
        assert_eq!(servers[0].total().in_use(), 1);
        servers[1].check_in(lease);
        assert_at_rest(&servers);
    }

    /// As before, but a connection that fails is what brings the total back under its limit.
    fn a_connection_that_fails_ends_the_surplus(2) {
        let servers = servers::<2>(2, 2);
        let [first, second] = [servers[0].lease(), servers[0].lease()];
        servers[0].set_total(1);
        let closer = servers[0].spawn(move |server| server.close(first));
        let other = servers[1].spawn(Server::lease);
        servers[0].check_in(second);
        closer.join().unwrap();
        let lease = other.join().unwrap();
        servers[1].check_in(lease);
        assert_at_rest(&servers);
    }

    /// The total grows just up to what is in use: no permit is free, but one may pass on.
    fn a_total_that_grows_lets_permits_pass_on(1) {
        let servers = servers::<2>(2, 2);
        let [first, second] = [servers[0].lease(), servers[0].lease()];
        servers[0].set_total(1);
        let mut starved = servers[1].enter();
        let parker = servers[0].spawn(move |server| server.check_in(first));
        servers[0].set_total(2);
        let lease = servers[1].wait(&mut starved).unwrap();
        parker.join().unwrap();
        servers[0].check_in(second);
        servers[1].check_in(lease);
        assert_at_rest(&servers);
    }

    fn a_connection_is_not_renewed_above_a_limit(3) {
        let [server] = servers::<1>(2, 2);
        let [first, second] = [server.lease(), server.lease()];
        let slot = first.slot;
        let renewer = server.spawn(move |server| renew(server, slot));
        server.set_limits(limits(1));
        let seen = server.gate().ledger.counts().connecting;
        let renewed = renewer.join().unwrap();
        let now = server.gate().ledger.counts().connecting;
        assert_eq!(now, seen, "renewed after the limit was set");
        drop(renewed);
        server.check_in(second);
        assert_eq!(server.open(), 1);
        assert_at_rest(&[server]);
    }

    /// It is closed by the limit of before, or parked by that of now; nobody sleeps beside it.
    fn a_check_in_meets_a_server_that_grows_again(2) {
        let [server] = servers::<1>(2, 2);
        let [first, second] = [server.lease(), server.lease()];
        server.set_limits(limits(1));
        let ticket = server.enter();
        let grower = server.spawn(|server| server.set_limits(limits(2)));
        server.check_in(first);
        grower.join().unwrap();
        use_at(&server, ticket);
        server.check_in(second);
        assert_eq!(server.open(), 2);
        assert_at_rest(&[server]);
    }

    /// The reaper has claimed what is to be closed, and puts it back: then it is closed after all.
    fn what_the_reaper_puts_back_is_closed_if_it_is_too_much(2) {
        let [server] = servers::<1>(2, 2);
        let [first, second] = [server.lease(), server.lease()];
        server.check_in(first);
        let seen = server.gate().idle.parked().next().unwrap();
        let lease = server.lease();
        server.check_in_at(lease, 5);
        let reaper = server.spawn(move |server| assert!(claim(server, seen).is_none()));
        server.set_limits(limits(1));
        reaper.join().unwrap();
        assert_eq!((server.open(), server.parked()), (1, 0));
        server.check_in(second);
        assert_at_rest(&[server]);
    }

    /// The longest idle goes first, from whichever server.
    fn what_is_idle_longest_is_closed_first(2) {
        let servers = fleet::<2>(limits(2), 3, 1);
        let [old, young] = [servers[0].lease(), servers[1].lease()];
        servers[1].check_in_at(young, 2);
        servers[0].check_in_at(old, 1);
        let looker = servers[0].spawn(|server| server.parked());
        servers[1].set_total(1);
        looker.join().unwrap();
        assert_eq!([servers[0].parked(), servers[1].parked()], [0, 1]);
        assert_at_rest(&servers);
    }
}
