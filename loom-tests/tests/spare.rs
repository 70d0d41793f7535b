//! Models of `lockfree/spare.rs`: connections that nobody asked for, beside callers who ask.
#![cfg(evenkeel_loom)]

use evenkeel::lockfree::permits::Limits;
use evenkeel::lockfree::spare::spare;
use evenkeel::lockfree::ticket::Permit;
use loom_tests::fleet::{Server, assert_at_rest, dial, limits, servers};
use loom_tests::models;

/// Opens the connection that the permit is for, if there is one, and parks it.
fn open(server: &Server, permit: Option<Permit<Server>>) -> bool {
    let opened = permit.map(|permit| server.check_in(dial(permit)));
    opened.is_some()
}

models! {
    /// Whoever takes the only permit, the caller gets a connection.
    fn a_spare_dial_races_a_caller(2) {
        let [server] = servers::<1>(1, 1);
        let caller = server.spawn(Server::use_once);
        let permit = spare(&server, 1);
        open(&server, permit);
        caller.join().unwrap();
        assert_at_rest(&[server]);
    }

    /// A spare dial that comes to nothing leaves its permit to the caller.
    fn a_spare_dial_that_fails_races_a_caller(2) {
        let [server] = servers::<1>(1, 1);
        let caller = server.spawn(Server::use_once);
        drop(spare(&server, 1));
        caller.join().unwrap();
        assert_at_rest(&[server]);
    }

    /// The caller is at another server, and the total is short.
    fn a_spare_dial_races_a_caller_elsewhere(2) {
        let servers = servers::<2>(1, 1);
        let caller = servers[1].spawn(Server::use_once);
        let permit = spare(&servers[0], 1);
        open(&servers[0], permit);
        caller.join().unwrap();
        assert_at_rest(&servers);
    }

    /// Together they open no more than each of them wants to be there.
    fn two_spare_dials_race(2) {
        let [server] = servers::<1>(3, 3);
        let other = server.spawn(|server| open(server, spare(server, 1)));
        let permit = spare(&server, 1);
        let opened = [open(&server, permit), other.join().unwrap()];
        assert!(opened[0] || opened[1]);
        assert_eq!(server.open(), 1);
        assert_at_rest(&[server]);
    }

    /// The limit that shrinks meanwhile is kept.
    fn a_spare_dial_meets_a_server_that_shrinks(2) {
        let [server] = servers::<1>(2, 2);
        server.use_once();
        let other = server.spawn(|server| spare(server, 2));
        server.set_limits(limits(1));
        let seen = server.open();
        let permit = other.join().unwrap();
        assert_eq!(server.open(), seen, "given after the limit was set");
        open(&server, permit);
        assert!(server.open() <= 1);
        assert_at_rest(&[server]);
    }

    /// Those in line do not rely on it: with room, they open one of their own.
    fn a_caller_does_not_wait_for_a_spare_dial(2) {
        let [server] = servers::<1>(2, 2);
        server.set_limits(Limits { connecting: 2, ..limits(2) });
        let caller = server.spawn(|server| {
            let lease = server.lease();
            server.close(lease);
        });
        let permit = spare(&server, 1);
        // The spare dial does not end before the caller has been served.
        caller.join().unwrap();
        open(&server, permit);
        assert_at_rest(&[server]);
    }
}
