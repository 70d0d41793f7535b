//! Models of `lockfree/shrink.rs`: whose permit may pass on to another socket while the total is
//! passed.
#![cfg(evenkeel_loom)]

use evenkeel::lockfree::settle::{Site, renew};
use evenkeel::lockfree::ticket::Granted;
use loom_tests::fleet::{Server, assert_at_rest, look, one_each, servers};
use loom_tests::models;

models! {
    /// The permit of a connection that is closed for another server does not pass on above the
    /// limit.
    fn an_eviction_meets_a_total_that_shrinks(2) {
        let (servers, held) = one_each();
        let other = servers[1].spawn(Server::enter);
        servers[0].set_total(1);
        let seen = servers[0].total().in_use();
        assert!(seen <= 2);
        let mut ticket = other.join().unwrap();
        if seen == 1 {
            assert!(!matches!(look(&mut ticket), Some(Granted::Permit(_))), "above the limit");
        }
        servers[1].check_in(held);
        drop(ticket);
        assert!(servers[0].total().in_use() <= 1);
        assert_at_rest(&servers);
    }

    /// The connection that is closed was still parked after the change: so who closes it knows of
    /// the change, whatever it saw before, and passes nothing on.
    fn an_eviction_that_knows_of_the_change_passes_nothing_on(2) {
        let (servers, held) = one_each();
        let other = servers[1].spawn(Server::enter);
        let (gate, total) = (servers[0].gate(), servers[0].total());
        total.set_limit(1);
        total.announce();
        gate.idle.fence();
        let was_parked = servers[0].parked() == 1;
        let mut ticket = other.join().unwrap();
        let granted = look(&mut ticket);
        assert!(!(was_parked && granted.is_some()), "passed on above the limit");
        drop((granted, ticket));
        servers[1].check_in(held);
        servers[0].set_total(1);
        assert_eq!(total.in_use(), 1);
        assert_at_rest(&servers);
    }

    /// One of two who check in closes what is too much. The other would give its connection up for
    /// a server without any: but not as long as the first is still open.
    fn nothing_is_yielded_above_the_limit(2) {
        let servers = servers::<2>(2, 2);
        let [first, second] = [servers[0].lease(), servers[0].lease()];
        let mut starved = servers[1].enter();
        servers[0].total().set_limit(1);
        servers[0].total().announce();
        let parker = servers[0].spawn(move |server| server.check_in(first));
        servers[0].check_in(second);
        let granted = look(&mut starved);
        if let Some(Granted::Permit(_)) = granted {
            assert_eq!(servers[0].total().surplus(), 0);
        }
        parker.join().unwrap();
        drop((granted, starved));
        assert!(servers[0].total().in_use() <= 1);
        assert_at_rest(&servers);
    }

    fn a_connection_is_not_renewed_above_the_total(3) {
        let [server] = servers::<1>(2, 2);
        let [first, second] = [server.lease(), server.lease()];
        let slot = first.slot;
        let renewer = server.spawn(move |server| {
            let told = server.total().wants_check_ins();
            (told, renew(server, slot))
        });
        server.set_total(1);
        let (told, renewed) = renewer.join().unwrap();
        assert!(!(told && renewed.is_some()), "renewed after the limit was set");
        drop(renewed);
        server.check_in(second);
        assert_eq!(server.open(), 1);
        assert_at_rest(&[server]);
    }

    /// It has one of its own, so nobody yields. While what is too much is being closed, nothing is
    /// evicted for it; so it is served again once the total is kept.
    fn a_server_that_wants_more_is_served_when_the_total_is_kept_again(2) {
        let servers = servers::<2>(2, 3);
        let [first, second] = [servers[0].lease(), servers[0].lease()];
        let held = servers[1].lease();
        let mut starved = servers[1].enter();
        servers[0].set_total(2);
        let parker = servers[0].spawn(move |server| server.check_in(first));
        servers[0].check_in(second);
        parker.join().unwrap();
        let Some(Granted::Permit(permit)) = look(&mut starved) else {
            panic!("one of the first is closed for the second");
        };
        drop(permit);
        servers[1].check_in(held);
        assert_at_rest(&servers);
    }
}
