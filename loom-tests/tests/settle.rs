//! Models of `lockfree/settle.rs`: several servers, one total. A lost wake-up shows as a deadlock,
//! and a futile round that never ends as an execution with too many branches.
#![cfg(evenkeel_loom)]

use std::sync::Arc;

use evenkeel::lockfree::idle::Take;
use evenkeel::lockfree::permits::Limits;
use evenkeel::lockfree::settle::{Site, check_in, claim, shut};
use evenkeel::lockfree::ticket::{Granted, Ticket};
use loom_tests::fleet::{
    Server, assert_at_rest, close_socket, dial, fleet, limits, look, one_each, servers,
};
use loom_tests::{Plain, models};

models! {
    /// Halves that pass alone can wake each other for ever: the server has room, the total none.
    fn two_servers_pass_one_permit_to_and_fro(2) {
        let servers = servers::<2>(1, 1);
        let other = servers[1].spawn(Server::use_once);
        servers[0].use_once();
        other.join().unwrap();
        assert!(servers[0].total().in_use() <= 1);
        assert_at_rest(&servers);
    }

    fn a_closed_connection_frees_its_permit_for_another_server(3) {
        let servers = servers::<2>(1, 1);
        let held = servers[0].lease();
        let closer = servers[0].spawn(move |server| server.close(held));
        servers[1].use_once();
        closer.join().unwrap();
        assert_at_rest(&servers);
    }

    fn a_check_in_meets_a_server_without_any_connection(3) {
        let servers = servers::<2>(1, 1);
        let held = servers[0].lease();
        let parker = servers[0].spawn(move |server| server.check_in(held));
        servers[1].use_once();
        parker.join().unwrap();
        assert_at_rest(&servers);
    }

    /// It has a connection of its own, so nobody gives one up for it: only the crossing of park and
    /// mark helps.
    fn a_check_in_meets_a_server_that_wants_more(3) {
        let servers = servers::<2>(2, 2);
        let held = [servers[0].lease(), servers[1].lease()];
        let [theirs, ours] = held;
        let parker = servers[0].spawn(move |server| server.check_in(theirs));
        let more = servers[1].lease();
        parker.join().unwrap();
        servers[1].check_in(more);
        servers[1].check_in(ours);
        assert_at_rest(&servers);
    }

    fn the_longest_idle_connection_elsewhere_is_closed(2) {
        let (servers, held) = one_each();
        let user = servers[0].spawn(Server::use_once);
        let more = servers[1].lease();
        servers[1].check_in(held);
        servers[1].check_in(more);
        user.join().unwrap();
        assert_at_rest(&servers);
    }

    /// Its mark has been taken off with the first permit, or it could not be set again.
    fn a_server_is_starved_again(2) {
        let servers = servers::<2>(1, 1);
        let held = servers[0].lease();
        let mut ticket = servers[1].enter();
        servers[0].close(held);
        let lease = servers[1].wait(&mut ticket).unwrap();
        servers[1].close(lease);
        let held = servers[0].lease();
        let closer = servers[0].spawn(move |server| server.close(held));
        let mut ticket = servers[1].enter();
        let lease = servers[1].wait(&mut ticket).unwrap();
        servers[1].close(lease);
        closer.join().unwrap();
        assert_at_rest(&servers);
    }

    /// Its caller finds neither the connection nor room, until the eviction has freed that.
    fn an_eviction_races_a_caller_of_that_server(2) {
        let servers = servers::<2>(1, 1);
        servers[0].use_once();
        let user = servers[0].spawn(Server::use_once);
        let lease = servers[1].lease();
        servers[1].close(lease);
        user.join().unwrap();
        assert_at_rest(&servers);
    }

    /// Both wait for the one connection; the server that had it comes second.
    fn the_server_of_a_closed_connection_comes_after_the_starved(2) {
        let servers = servers::<2>(1, 1);
        let held = servers[0].lease();
        let mut second = servers[0].enter();
        let mut first = servers[1].enter();
        let closer = servers[0].spawn(move |server| server.close(held));
        let lease = servers[1].wait(&mut first).unwrap();
        servers[1].close(lease);
        let lease = servers[0].wait(&mut second).unwrap();
        servers[0].check_in(lease);
        closer.join().unwrap();
        assert_at_rest(&servers);
    }

    /// The connection that was seen has been used and parked again when it is claimed.
    fn an_eviction_of_a_connection_in_use_looks_again(2) {
        let (servers, held) = one_each();
        let user = servers[0].spawn(|server| {
            if let Take::Got(parked) = server.gate().idle.take(0) {
                server.check_in_at(parked, 5);
            }
        });
        let more = servers[1].lease();
        user.join().unwrap();
        servers[1].check_in(held);
        servers[1].check_in(more);
        assert_at_rest(&servers);
    }

    /// The connection is out of the set, in the hand of one who looked for something to close,
    /// while its own server's next caller comes.
    fn what_an_eviction_puts_back_finds_its_waiter(3) {
        let servers = servers::<2>(1, 1);
        servers[0].use_once();
        let user = servers[0].spawn(|server| {
            if let Take::Got(parked) = server.gate().idle.take(0) {
                server.check_in_at(parked, 5);
                server.use_once();
            }
        });
        servers[1].use_once();
        user.join().unwrap();
        assert_at_rest(&servers);
    }

    /// The first server has a waiter for each connection that comes back, and never parks one.
    fn a_busy_server_gives_a_connection_up_for_one_without_any(2) {
        let servers = servers::<2>(1, 1);
        let held = servers[0].lease();
        let other = servers[1].spawn(Server::use_once);
        let mut ticket = servers[0].enter();
        servers[0].check_in(held);
        let again = servers[0].wait(&mut ticket).unwrap();
        servers[0].check_in(again);
        other.join().unwrap();
        assert_at_rest(&servers);
    }

    /// The line of the first server hides what is parked there from those who look for something to
    /// close, until its last waiter has left.
    fn a_line_that_empties_shows_what_is_parked(1) {
        let servers = servers::<2>(1, 1);
        let held = servers[0].lease();
        let gone = servers[0].enter();
        let parker = servers[0].spawn(move |server| server.check_in(held));
        let leaver = servers[0].spawn(move |_| drop(gone));
        servers[1].use_once();
        parker.join().unwrap();
        leaver.join().unwrap();
        assert_at_rest(&servers);
    }

    /// The first has been served meanwhile: its mark stands before that of the second.
    fn a_mark_that_is_not_needed_any_more_hides_nobody(2) {
        let servers = servers::<2>(2, 2);
        let held = [servers[0].lease(), servers[1].lease()];
        let [first, second] = held;
        let mut ticket = servers[0].enter();
        let mut other = servers[1].enter();
        servers[0].check_in(first);
        let again = servers[0].wait(&mut ticket).unwrap();
        let parker = servers[0].spawn(move |server| server.check_in(again));
        let more = servers[1].wait(&mut other).unwrap();
        parker.join().unwrap();
        servers[1].check_in(more);
        servers[1].check_in(second);
        assert_at_rest(&servers);
    }

    /// Two servers without any connection, and a third that is too busy ever to park one.
    fn each_of_two_servers_without_any_is_given_one(2) {
        let servers = servers::<3>(2, 2);
        let held = [servers[0].lease(), servers[0].lease()];
        let mut starved = [servers[1].enter(), servers[2].enter()];
        // As many wait at the busy server as it has connections.
        let mut line = [servers[0].enter(), servers[0].enter()];
        let parker = servers[0].spawn(move |server| held.map(|lease| server.check_in(lease)));
        let leases = [1, 2].map(|at| servers[at].wait(&mut starved[at - 1]).unwrap());
        parker.join().unwrap();
        for (server, lease) in servers[1..].iter().zip(leases) {
            server.close(lease);
        }
        for ticket in &mut line {
            let lease = servers[0].wait(ticket).unwrap();
            servers[0].check_in(lease);
        }
        assert_at_rest(&servers);
    }

    fn a_waiter_leaves_while_its_server_is_given_a_permit(2) {
        let servers = servers::<2>(1, 1);
        let held = servers[0].lease();
        let gone = servers[1].enter();
        let leaver = servers[1].spawn(move |_| drop(gone));
        servers[0].close(held);
        leaver.join().unwrap();
        assert_eq!(servers[0].total().in_use(), 0, "the permit came back");
        assert_at_rest(&servers);
    }

    /// One permit comes free for two starved servers, and the waiter of one is leaving.
    fn a_permit_that_nobody_takes_goes_to_the_next_server(2) {
        let servers = servers::<3>(1, 1);
        let held = servers[0].lease();
        let gone = servers[1].enter();
        let mut stays = servers[2].enter();
        let leaver = servers[1].spawn(move |_| drop(gone));
        servers[0].close(held);
        let lease = servers[2].wait(&mut stays).unwrap();
        servers[2].check_in(lease);
        leaver.join().unwrap();
        assert_at_rest(&servers);
    }

    /// One thread brings the permit of a connection that it gives up, another may already spend it
    /// for one who has just come.
    fn a_socket_is_closed_before_another_server_uses_its_permit(2) {
        let servers = servers::<2>(2, 1);
        let held = servers[0].lease();
        let socket = Arc::new(Plain::new(true));
        let other = servers[1].enter();
        let urgent = servers[1].spawn({
            let socket = Arc::clone(&socket);
            move |server| {
                let mut ticket = Ticket::enter(server, 7).unwrap();
                if let Some(Granted::Permit(permit)) = look(&mut ticket) {
                    assert!(!socket.get());
                    drop(permit);
                }
            }
        });
        // It is closed by the check-in, since the other server has none.
        socket.set(false);
        servers[0].check_in(held);
        urgent.join().unwrap();
        drop(other);
        assert_at_rest(&servers);
    }

    /// The permit was brought for a waiter that has gone, and goes on to another server.
    fn a_socket_is_closed_before_its_permit_goes_on(2) {
        let servers = servers::<3>(1, 1);
        let held = servers[0].lease();
        let gone = servers[1].enter();
        let mut stays = servers[2].enter();
        let socket = Arc::new(Plain::new(true));
        let closer = servers[0].spawn(close_socket(held, &socket));
        drop(gone);
        if let Some(Granted::Permit(permit)) = look(&mut stays) {
            assert!(!socket.get());
            drop(permit);
        }
        closer.join().unwrap();
        drop(stays);
        assert_at_rest(&servers);
    }

    /// Two waiters of one server: the second relies on the mark that the first has set. The one
    /// who closes is the first of them: as a third thread it makes the model forty times as
    /// large.
    fn two_waiters_of_a_starved_server_are_both_served(1) {
        let servers = servers::<2>(2, 1);
        let held = servers[0].lease();
        let other = servers[1].spawn(Server::use_once);
        let mut ticket = servers[1].enter();
        servers[0].close(held);
        let lease = servers[1].wait(&mut ticket).unwrap();
        servers[1].check_in(lease);
        other.join().unwrap();
        assert_at_rest(&servers);
    }

    fn a_server_that_is_shut_frees_its_permits_for_another(2) {
        let servers = servers::<2>(1, 1);
        servers[0].use_once();
        let shutter = servers[0].spawn(shut);
        servers[1].use_once();
        shutter.join().unwrap();
        assert_at_rest(&servers);
    }

    fn a_shut_server_meets_its_waiter_and_its_check_in(2) {
        let [server] = servers::<1>(1, 1);
        let held = server.lease();
        let shutter = server.spawn(shut);
        let parker = server.spawn(move |server| server.check_in(held));
        if let Some(lease) = server.acquire() {
            server.check_in(lease);
        }
        shutter.join().unwrap();
        parker.join().unwrap();
        assert_eq!(server.total().in_use(), 0);
        assert_at_rest(&[server]);
    }

    /// The reaper takes a connection that has been used since it looked, while a caller comes.
    fn what_the_reaper_puts_back_finds_its_waiter(2) {
        let [server] = servers::<1>(1, 1);
        server.use_once();
        let seen = server.gate().idle.parked().next().unwrap();
        let lease = server.lease();
        server.check_in_at(lease, 5);
        let reaper = server.spawn(move |server| assert!(claim(server, seen).is_none()));
        server.use_once();
        reaper.join().unwrap();
        assert_at_rest(&[server]);
    }

    fn what_the_reaper_puts_back_finds_a_starved_server(2) {
        let servers = servers::<2>(1, 1);
        servers[0].use_once();
        let seen = servers[0].gate().idle.parked().next().unwrap();
        let lease = servers[0].lease();
        servers[0].check_in_at(lease, 5);
        let reaper = servers[0].spawn(move |server| assert!(claim(server, seen).is_none()));
        servers[1].use_once();
        reaper.join().unwrap();
        assert_at_rest(&servers);
    }

    /// As the reaper, one who looked for something to close: the connection is out of the set while
    /// a third server looks there, and it is another that is closed in the end. Three threads of
    /// such length have too many orders for a second preemption.
    fn what_an_eviction_puts_back_finds_a_starved_server(1) {
        let servers = servers::<3>(2, 3);
        servers[0].use_once();
        let busy = [servers[0].lease(), servers[1].lease(), servers[2].lease()];
        let [parked, one, two] = busy;
        servers[0].check_in_at(parked, 1);
        let user = servers[0].spawn(|server| {
            if let Take::Got(parked) = server.gate().idle.take(0) {
                server.check_in_at(parked, 5);
            }
        });
        let other = servers[1].spawn(move |server| {
            let mut ticket = server.enter();
            let granted = look(&mut ticket);
            match granted {
                Some(Granted::Permit(permit)) => server.close(dial(permit)),
                Some(_) => panic!("it has nothing parked"),
                None => drop(ticket),
            }
            server.close(one);
        });
        let more = servers[2].lease();
        user.join().unwrap();
        other.join().unwrap();
        servers[2].check_in(more);
        servers[2].check_in(two);
        assert_at_rest(&servers);
    }

    /// What is put back into one of two words may be seen by those who look at the other.
    fn two_words_of_one_server_serve_one_line(2) {
        let [server] = fleet::<1>(limits(2), 2, 2);
        let held = [server.lease(), server.lease()];
        let [first, second] = held;
        let parker = server.spawn(move |server| server.check_in(second));
        server.use_once();
        server.check_in(first);
        parker.join().unwrap();
        assert_eq!(server.gate().ledger.counts().open, 2);
        assert_at_rest(&[server]);
    }

    fn a_starved_server_finds_what_is_parked_in_either_word(2) {
        let servers = fleet::<2>(Limits { open: 2, connecting: 2, waiting: 8 }, 2, 2);
        let held = [servers[0].lease(), servers[0].lease()];
        let [first, second] = held;
        let parker = servers[0].spawn(move |server| check_in(server, second));
        servers[1].use_once();
        parker.join().unwrap();
        servers[0].check_in(first);
        assert_at_rest(&servers);
    }
}
