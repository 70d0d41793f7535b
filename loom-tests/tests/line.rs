//! Models of `lockfree/line.rs`: who stands in a full line, and who must go.
#![cfg(evenkeel_loom)]

use evenkeel::lockfree::permits::Limits;
use evenkeel::lockfree::settle::Site;
use evenkeel::lockfree::ticket::{Granted, Ticket};
use loom_tests::fleet::{Server, assert_at_rest, fleet, limits, look, reclaim};
use loom_tests::models;

/// A server with one connection and so many places in line.
fn places(waiting: u32) -> Server {
    let [server] = fleet::<1>(Limits { waiting, ..limits(1) }, 1, 1);
    server
}

fn is_sent_away(ticket: &mut Ticket<Server>) -> bool {
    match look(ticket) {
        Some(Granted::Refused | Granted::Shed) => true,
        Some(_) => panic!("there is nothing to give"),
        None => false,
    }
}

fn waiting(server: &Server) -> u32 {
    server.gate().ledger.counts().waiting
}

models! {
    /// Whichever comes first: the highest class has the place.
    fn two_come_into_a_full_line_at_once(2) {
        let server = places(1);
        let held = server.lease();
        let mut low = server.enter();
        let other = server.spawn(|server| server.enter_as(1));
        let mut high = server.enter_as(2);
        let mut middle = other.join().unwrap();
        assert_eq!(waiting(&server), 1);
        assert!(is_sent_away(&mut low) && is_sent_away(&mut middle));
        server.check_in(held);
        let lease = server.wait(&mut high).unwrap();
        server.check_in(lease);
        assert_at_rest(&[server]);
    }

    /// One of the places has come free in that moment, or a lower one is sent away: it is let in.
    fn the_lowest_leaves_as_it_is_sent_away(3) {
        let server = places(1);
        let held = server.lease();
        let low = server.enter();
        let leaver = server.spawn(move |_| drop(low));
        let mut high = server.enter_as(1);
        leaver.join().unwrap();
        assert!(!is_sent_away(&mut high));
        assert_eq!(waiting(&server), 1);
        server.check_in(held);
        let lease = server.wait(&mut high).unwrap();
        server.check_in(lease);
        assert_at_rest(&[server]);
    }

    /// The youngest leaves; the one who came before it keeps its place.
    fn the_youngest_leaves_as_it_is_sent_away(2) {
        let server = places(2);
        let held = server.lease();
        let mut old = server.enter();
        let young = server.enter();
        let leaver = server.spawn(move |_| drop(young));
        let high = server.enter_as(1);
        leaver.join().unwrap();
        assert!(!is_sent_away(&mut old));
        assert_eq!(waiting(&server), 2);
        drop(high);
        server.check_in(held);
        let lease = server.wait(&mut old).unwrap();
        server.check_in(lease);
        assert_at_rest(&[server]);
    }

    /// The one who is to go looks, sleeps, and is told.
    fn one_sleeps_as_it_is_sent_away(3) {
        let server = places(1);
        let held = server.lease();
        let mut low = server.enter();
        let sleeper = server.spawn(move |server| server.wait(&mut low).is_none());
        let high = server.enter_as(1);
        assert!(sleeper.join().unwrap());
        drop(high);
        server.check_in(held);
        assert_at_rest(&[server]);
    }

    /// A connection comes back: the newcomer has it, and the other its place; or the other has it.
    fn a_connection_comes_back_as_one_is_sent_away(2) {
        let server = places(1);
        let held = server.lease();
        let low = server.enter();
        let giver = server.spawn(move |server| server.check_in(held));
        let mut high = server.enter_as(1);
        giver.join().unwrap();
        let mut low = low;
        assert!(waiting(&server) <= 1);
        let mut served = 0;
        for ticket in [&mut high, &mut low] {
            if let Some(Granted::Connection(parked)) = look(ticket) {
                server.check_in(parked);
                served += 1;
            }
        }
        assert!(served >= 1);
        drop((high, low));
        assert_at_rest(&[server]);
    }

    /// The owner of the line may be another thread: the count is right when both have left it.
    fn one_comes_into_a_full_line_as_another_leaves_it(2) {
        let server = places(2);
        let held = server.lease();
        let (old, young) = (server.enter(), server.enter());
        let leaver = server.spawn(move |_| drop(old));
        let high = [server.enter_as(3), server.enter_as(3)];
        leaver.join().unwrap();
        assert_eq!(waiting(&server), 2);
        drop((high, young));
        assert_eq!(waiting(&server), 0);
        server.check_in(held);
        assert_at_rest(&[server]);
    }

    /// What was taken back goes to the guest, and the one who lost it waits without a place: one
    /// more than may; or it is sent away as others are.
    fn one_loses_its_grant_as_another_comes_into_a_full_line(2) {
        let server = places(1);
        let held = server.lease();
        let mut low = server.enter();
        server.check_in(held);
        let mut next = server.enter();
        let other = server.spawn(|server| server.enter_as(1));
        reclaim(&server);
        let mut high = other.join().unwrap();
        assert!((1..=2).contains(&waiting(&server)));
        for ticket in [&mut next, &mut high, &mut low] {
            if let Some(Granted::Connection(parked)) = look(ticket) {
                server.check_in(parked);
            }
        }
        drop((low, next, high));
        assert_at_rest(&[server]);
    }
}
