//! Models of `lockfree/gate.rs`: the one function that pairs, called by many.
#![cfg(evenkeel_loom)]

use std::sync::{Arc, Mutex};
use std::task::{Wake, Waker};

use evenkeel::lockfree::idle::Take;
use evenkeel::lockfree::permits::Limits;
use evenkeel::lockfree::settle::{Site, shut};
use evenkeel::lockfree::ticket::{Granted, Ticket};
use loom_tests::fleet::{Server, assert_at_rest, dial, fleet, limits, look, servers};
use loom_tests::{Plain, models};

/// Leaves the line as it is called: a waker may come back into the gate.
struct Leaves(Mutex<Option<Ticket<Server>>>);

impl Wake for Leaves {
    fn wake(self: Arc<Self>) {
        let ticket = self.0.lock().unwrap().take();
        drop(ticket);
    }
}

models! {
    fn a_check_in_races_a_waiter(3) {
        let [server] = servers::<1>(1, 1);
        let held = server.lease();
        let parker = server.spawn(move |server| server.check_in(held));
        server.use_once();
        parker.join().unwrap();
        assert_at_rest(&[server]);
    }

    fn a_permit_that_comes_free_races_a_waiter(3) {
        let [server] = servers::<1>(1, 1);
        let held = server.lease();
        let closer = server.spawn(move |server| server.close(held));
        server.use_once();
        closer.join().unwrap();
        assert_at_rest(&[server]);
    }

    fn a_dial_that_is_given_up_races_a_waiter(3) {
        let [server] = servers::<1>(1, 1);
        let Some(Granted::Permit(permit)) = look(&mut server.enter()) else {
            panic!("there is room");
        };
        let dialler = server.spawn(move |_| drop(permit));
        server.use_once();
        dialler.join().unwrap();
        assert_at_rest(&[server]);
    }

    /// Whoever finds the line owned goes on; the owner sees that the counter has moved.
    fn two_waiters_enter_and_there_is_room_for_both(2) {
        let [server] = servers::<1>(2, 2);
        let other = server.spawn(Server::use_once);
        server.use_once();
        other.join().unwrap();
        assert!(server.gate().ledger.counts().open <= 2);
        assert_at_rest(&[server]);
    }

    /// The calls of two may be answered by one round: it must serve both.
    fn two_waiters_come_while_the_line_has_an_owner(2) {
        let [server] = servers::<1>(3, 3);
        let held = [server.lease(), server.lease(), server.lease()];
        held.into_iter().for_each(|lease| server.check_in(lease));
        let other = server.spawn(Server::enter);
        let [mut first, mut second] = [server.enter(), server.enter()];
        let mut third = other.join().unwrap();
        let leases = [&mut first, &mut second, &mut third].map(|ticket| match look(ticket) {
            Some(Granted::Connection(parked)) => parked,
            _ => panic!("there is one for each of the three"),
        });
        leases.into_iter().for_each(|lease| server.check_in(lease));
        assert_at_rest(&[server]);
    }

    fn two_waiters_enter_and_there_is_room_for_one(2) {
        let [server] = servers::<1>(1, 1);
        let other = server.spawn(Server::use_once);
        server.use_once();
        other.join().unwrap();
        assert_at_rest(&[server]);
    }

    fn two_connections_come_back_for_two_waiters(2) {
        let [server] = servers::<1>(2, 2);
        let held = [server.lease(), server.lease()];
        let mut tickets = [server.enter(), server.enter()];
        let [first, second] = held;
        let parker = server.spawn(move |server| server.check_in(first));
        server.check_in(second);
        for ticket in &mut tickets {
            let lease = server.wait(ticket).unwrap();
            server.check_in(lease);
        }
        parker.join().unwrap();
        assert_at_rest(&[server]);
    }

    /// The second is not served before the first, whichever of them looks.
    fn two_waiters_are_served_in_order(3) {
        let [server] = servers::<1>(1, 1);
        let held = server.lease();
        let mut first = server.enter();
        let mut second = server.enter();
        let parker = server.spawn(move |server| server.check_in(held));
        assert!(look(&mut second).is_none());
        let lease = server.wait(&mut first).unwrap();
        assert!(look(&mut second).is_none());
        server.check_in(lease);
        let lease = server.wait(&mut second).unwrap();
        server.check_in(lease);
        parker.join().unwrap();
        assert_at_rest(&[server]);
    }

    /// The first is woken, and its waker takes the second out of the line.
    fn a_waker_comes_back_into_the_gate(2) {
        let [server] = servers::<1>(1, 1);
        let held = server.lease();
        let mut first = server.enter();
        let second = server.enter();
        let mut third = server.enter();
        let waker = Waker::from(Arc::new(Leaves(Mutex::new(Some(second)))));
        assert!(first.poll(&waker).is_pending());
        let user = server.spawn(move |server| {
            let lease = server.wait(&mut third).unwrap();
            server.check_in(lease);
        });
        server.check_in(held);
        drop(first);
        user.join().unwrap();
        drop(waker);
        assert_at_rest(&[server]);
    }

    /// Takes are refused while somebody waits, and not for longer.
    fn the_last_waiter_leaves_as_a_connection_comes_back(2) {
        let [server] = servers::<1>(1, 1);
        let held = server.lease();
        let ticket = server.enter();
        let leaver = server.spawn(move |_| drop(ticket));
        let parker = server.spawn(move |server| server.check_in(held));
        leaver.join().unwrap();
        parker.join().unwrap();
        let Take::Got(parked) = server.gate().idle.take(0) else {
            panic!("nobody waits any more");
        };
        server.check_in(parked);
        assert_at_rest(&[server]);
    }

    fn no_more_connect_at_once_than_may(2) {
        let [server] = fleet::<1>(Limits { connecting: 1, ..limits(2) }, 2, 1);
        let dialler = |server: &Server| {
            let mut ticket = server.enter();
            match loom::future::block_on(std::future::poll_fn(|cx| ticket.poll(cx.waker()))) {
                Granted::Permit(permit) => {
                    let counts = server.gate().ledger.counts();
                    assert_eq!((counts.connecting, counts.open - counts.connecting < 2), (1, true));
                    let lease = dial(permit);
                    server.check_in(lease);
                }
                Granted::Connection(parked) => server.check_in(parked),
                _ => panic!("nobody sends it away"),
            }
        };
        let other = server.spawn(dialler);
        dialler(&server);
        other.join().unwrap();
        assert_at_rest(&[server]);
    }

    fn no_more_are_open_than_may(2) {
        let [server] = servers::<1>(1, 2);
        let other = server.spawn(Server::use_once);
        server.use_once();
        other.join().unwrap();
        assert_eq!(server.open(), 1);
        assert_at_rest(&[server]);
    }

    /// There is a permit of the total in any case: it is the server's own that comes free.
    fn a_socket_is_closed_before_its_permit_is_used(3) {
        let [server] = servers::<1>(1, 2);
        let held = server.lease();
        let socket = Arc::new(Plain::new(true));
        let closer = server.spawn({
            let socket = Arc::clone(&socket);
            move |server| {
                socket.set(false);
                server.close(held);
            }
        });
        let mut ticket = server.enter();
        if let Some(Granted::Permit(permit)) = look(&mut ticket) {
            assert!(!socket.get());
            drop(permit);
        }
        closer.join().unwrap();
        drop(ticket);
        assert_at_rest(&[server]);
    }

    fn all_who_wait_are_sent_away_as_a_server_is_shut(2) {
        let [server] = servers::<1>(1, 1);
        let held = server.lease();
        let mut tickets = [server.enter(), server.enter()];
        let shutter = server.spawn(shut);
        for ticket in &mut tickets {
            assert!(server.wait(ticket).is_none());
        }
        shutter.join().unwrap();
        server.check_in(held);
        assert_at_rest(&[server]);
    }

    fn a_server_is_shut_as_a_waiter_enters(3) {
        let [server] = servers::<1>(1, 1);
        let held = server.lease();
        let shutter = server.spawn(shut);
        assert!(server.acquire().is_none());
        shutter.join().unwrap();
        server.check_in(held);
        assert_eq!(server.total().in_use(), 0);
        assert_at_rest(&[server]);
    }

    fn a_server_is_shut_as_a_connection_comes_back(3) {
        let [server] = servers::<1>(1, 1);
        let held = server.lease();
        let parker = server.spawn(move |server| server.check_in(held));
        shut(&server);
        parker.join().unwrap();
        assert_eq!((server.parked(), server.total().in_use()), (0, 0));
        assert_at_rest(&[server]);
    }

    fn a_server_is_shut_as_a_connection_is_given(2) {
        let [server] = servers::<1>(1, 1);
        let held = server.lease();
        let mut ticket = server.enter();
        let parker = server.spawn(move |server| server.check_in(held));
        shut(&server);
        if let Some(lease) = server.wait(&mut ticket) {
            server.check_in(lease);
        }
        parker.join().unwrap();
        assert_eq!((server.parked(), server.total().in_use()), (0, 0));
        assert_at_rest(&[server]);
    }

    fn a_server_is_shut_as_a_dial_ends(3) {
        let [server] = servers::<1>(1, 1);
        let Some(Granted::Permit(permit)) = look(&mut server.enter()) else {
            panic!("there is room");
        };
        let dialler = server.spawn(move |server| {
            let lease = dial(permit);
            server.check_in(lease);
        });
        shut(&server);
        dialler.join().unwrap();
        assert_eq!((server.parked(), server.total().in_use()), (0, 0));
        assert_at_rest(&[server]);
    }

    /// fasthttp#2391: the look for a connection and the place in line were two steps, and one that
    /// came back between them was seen by neither.
    fn fasthttp_2391_a_connection_comes_back_between_look_and_wait(3) {
        let [server] = servers::<1>(1, 1);
        let held = server.lease();
        let parker = server.spawn(move |server| server.check_in(held));
        let found = server.gate().idle.take(0);
        let lease = match found {
            Take::Got(parked) => parked,
            Take::Empty | Take::Refused => {
                let mut ticket = server.enter();
                server.wait(&mut ticket).unwrap()
            }
        };
        server.check_in(lease);
        parker.join().unwrap();
        assert_at_rest(&[server]);
    }

    /// bb8#122: the same with a permit, from a connection that is found broken.
    fn bb8_122_a_connection_breaks_between_look_and_wait(3) {
        let [server] = servers::<1>(1, 1);
        let held = server.lease();
        let closer = server.spawn(move |server| server.close(held));
        assert!(matches!(server.gate().idle.take(0), Take::Empty));
        let mut ticket = server.enter();
        let lease = server.wait(&mut ticket).unwrap();
        server.check_in(lease);
        closer.join().unwrap();
        assert_at_rest(&[server]);
    }

    /// corefx#32472: the one who returns a connection sees no waiter, and the one who waits sees no
    /// connection: each has looked before the other's write could be seen.
    fn corefx_32472_a_park_and_a_wait_pass_each_other(2) {
        let [server] = fleet::<1>(limits(2), 2, 2);
        let held = [server.lease(), server.lease()];
        let mut ticket = server.enter();
        let parker = server.spawn(move |server| held.map(|lease| server.check_in(lease)));
        let mut other = server.enter();
        let leases = [server.wait(&mut ticket).unwrap(), server.wait(&mut other).unwrap()];
        for lease in leases {
            server.check_in(lease);
        }
        parker.join().unwrap();
        assert_at_rest(&[server]);
    }

    /// Neither has begun to dial when the other is looked at; each is given a permit all the same.
    fn a_permit_that_is_not_taken_up_yet_keeps_nobody_waiting(2) {
        let [server] = servers::<1>(2, 2);
        let other = server.spawn(Server::enter);
        let mine = server.enter();
        for mut ticket in [mine, other.join().unwrap()] {
            assert!(matches!(look(&mut ticket), Some(Granted::Permit(_))));
        }
        assert_at_rest(&[server]);
    }

    /// A word more is needed, and made, while another thread waits for what is parked there. The
    /// way to it is open afterwards.
    fn a_dial_that_makes_a_word_races_a_waiter(2) {
        let servers = servers::<1>(3, 3);
        let first = [servers[0].lease(), servers[0].lease()];
        let other = servers[0].spawn(Server::use_once);
        servers[0].use_once();
        other.join().unwrap();
        first.into_iter().for_each(|parked| servers[0].check_in(parked));
        assert_at_rest(&servers);
    }
}
