//! What one thread can see of it; what several see is in `loom-tests`.

use std::task::Waker;

use super::*;

/// A line with a waiter in each of the classes, in this order.
fn line(classes: &[u8]) -> (Line<u32>, Vec<Arc<Node<u32>>>) {
    let mut line = Line::new();
    let nodes: Vec<_> =
        classes.iter().map(|&class| Arc::new(Node::new(Wants::Anything { class }))).collect();
    for node in &nodes {
        line.push(node.clone());
    }
    (line, nodes)
}

fn give(line: &mut Line<u32>, grant: Grant<u32>, now: u64) -> Result<Wants, Grant<u32>> {
    line.grant(grant, &mut Time::new(|| now), &mut Woken::default())
}

/// Grants `count` permits; the positions of those who got one, in order.
fn grant(line: &mut Line<u32>, nodes: &[Arc<Node<u32>>], count: usize) -> Vec<usize> {
    let mut served: Vec<usize> = Vec::new();
    for _ in 0..count {
        if give(line, Grant::Permit, 0).is_err() {
            break;
        }
        let now = (0..nodes.len())
            .find(|&at| !served.contains(&at) && nodes[at].poll(Waker::noop()).is_some());
        served.push(now.expect("somebody was served"));
    }
    served
}

#[test]
fn a_higher_class_is_served_before_a_lower_one() {
    let (mut line, nodes) = line(&[0, 3, 7, 3]);
    assert_eq!(grant(&mut line, &nodes, 9), [2, 1, 3, 0]);
}

#[test]
fn a_class_that_does_not_exist_is_the_highest() {
    let (mut line, nodes) = line(&[7, 200, 6]);
    assert_eq!(grant(&mut line, &nodes, 9), [0, 1, 2]);
}

#[test]
fn within_a_class_the_first_is_served_first() {
    let (mut line, nodes) = line(&[2; 5]);
    assert_eq!(grant(&mut line, &nodes, 9), [0, 1, 2, 3, 4]);
}

#[test]
fn every_sixteenth_grant_goes_to_the_lowest_class() {
    let classes: Vec<u8> = std::iter::once(1).chain([7; 40]).chain([0]).collect();
    let (mut line, nodes) = line(&classes);
    let served = grant(&mut line, &nodes, 32);
    assert_eq!((served[15], served[31]), (41, 0));
    assert_eq!(served[..15], (1..16).collect::<Vec<_>>());
}

#[test]
fn what_diallers_are_given_does_not_use_the_guard_up() {
    let classes: Vec<u8> = std::iter::once(0).chain([7; 40]).collect();
    let (mut line, nodes) = line(&classes);
    assert_eq!(grant(&mut line, &nodes, 15).len(), 15);
    line.push(Arc::new(Node::new(Wants::Connection)));
    let given = give(&mut line, Grant::Closed, 0);
    assert_eq!(given.ok(), Some(Wants::Connection));
    assert_eq!(grant(&mut line, &nodes[..1], 1), [0]);
}

#[test]
fn a_dialler_is_given_no_permit() {
    let mut line = Line::<u32>::new();
    line.push(Arc::new(Node::new(Wants::Connection)));
    assert!(line.wants_connection() && !line.wants_permit());
    assert!(give(&mut line, Grant::Permit, 0).is_err());
    assert!(give(&mut line, Grant::Closed, 0).is_ok());
}

#[test]
fn those_who_have_gone_are_passed_over() {
    let (mut line, nodes) = line(&[0, 0, 0]);
    for gone in [0, 2] {
        assert!(nodes[gone].cancel().is_ok());
    }
    assert_eq!(grant(&mut line, &nodes, 9), [1]);
    assert_eq!(line.len(), 0);
}

#[test]
fn grants_that_were_not_taken_are_listed_the_oldest_first() {
    let (mut line, nodes) = line(&[0, 0, 0, 0]);
    for now in [3, 5, 9] {
        assert!(give(&mut line, Grant::Permit, now).is_ok());
    }
    assert!(nodes[0].poll(Waker::noop()).is_some());
    assert_eq!(line.oldest_out(), Some(5));
    assert!(line.pop_out_if(|given| given < 5).is_none(), "it has not been out for so long");
    let overdue = line.pop_out_if(|given| given == 5).expect("the second");
    assert!(Arc::ptr_eq(&overdue, &nodes[1]));
    assert_eq!(line.oldest_out(), Some(9));
}

#[test]
fn what_is_given_for_good_is_not_listed() {
    let (mut line, nodes) = line(&[0, 0]);
    assert!(give(&mut line, Grant::Permit, 0).is_ok());
    assert!(line.pop_out_if(|_| true).expect("it is out").reclaim().is_some());
    line.push(nodes[0].clone());
    assert!(give(&mut line, Grant::Closed, 0).is_ok(), "the second is sent away");
    assert!(give(&mut line, Grant::Permit, 0).is_ok(), "the first has its second grant");
    assert_eq!(line.oldest_out(), None);
    assert!(nodes[0].poll(Waker::noop()).is_some());
}

/// One that stays out is in front of all the others, and keeps none of them in the list.
#[test]
fn grants_that_were_taken_are_bounded_by_those_that_were_not() {
    let (mut line, mut nodes) = line(&[0]);
    assert!(give(&mut line, Grant::Permit, 0).is_ok());
    for now in 1..1_000 {
        let node = Arc::new(Node::new(Wants::Anything { class: 0 }));
        line.push(node.clone());
        assert!(give(&mut line, Grant::Permit, now).is_ok());
        assert!(node.poll(Waker::noop()).is_some());
        assert!(line.out.given.len() <= 2 + SWEEP);
    }
    assert!(nodes.remove(0).poll(Waker::noop()).is_some());
    assert_eq!(line.oldest_out(), None);
}

/// Sends one away; which it was, and with what.
fn shed(line: &mut Line<u32>, nodes: &[Arc<Node<u32>>]) -> Option<(usize, Grant<u32>)> {
    let sent = loop {
        match line.shed(&mut Woken::default()) {
            Shed::One => break true,
            Shed::Gone => {}
            Shed::Nobody => break false,
        }
    };
    let mut polled = nodes.iter().map(|node| node.poll(Waker::noop())).enumerate();
    let found = polled.find_map(|(at, grant)| Some((at, grant?)));
    assert_eq!(sent, found.is_some());
    found
}

#[test]
fn the_youngest_of_the_lowest_class_is_sent_away_first() {
    let (mut line, nodes) = line(&[7, 2, 2, 5, 2]);
    assert!(nodes[2].cancel().is_ok());
    for expected in [4, 1, 3, 0] {
        assert!(matches!(shed(&mut line, &nodes), Some((at, Grant::Shed)) if at == expected));
    }
    assert!(shed(&mut line, &nodes).is_none());
}

#[test]
fn a_guest_is_refused_and_one_who_is_seated_is_sent_away() {
    let (mut line, mut nodes) = line(&[5]);
    for _ in 0..2 {
        let guest = Arc::new(Node::guest(Wants::Anything { class: 3 }));
        nodes.push(guest.clone());
        line.enter(guest);
    }
    assert_eq!(line.guests(), 2);
    assert!(matches!(shed(&mut line, &nodes), Some((2, Grant::Refused))));
    assert_eq!(line.guests(), 1);
    line.seat_guests();
    assert!(matches!(shed(&mut line, &nodes), Some((1, Grant::Shed))));
}

#[test]
fn a_dialler_is_not_sent_away() {
    let mut line = Line::<u32>::new();
    line.push(Arc::new(Node::new(Wants::Connection)));
    assert_eq!(line.shed(&mut Woken::default()), Shed::Nobody);
    assert_eq!(line.diallers(), 1);
}

#[test]
fn guests_who_are_served_are_not_kept() {
    let mut line = Line::<u32>::new();
    for _ in 0..1_000 {
        line.enter(Arc::new(Node::guest(Wants::Anything { class: 0 })));
        assert!(give(&mut line, Grant::Permit, 0).is_ok());
        assert!(line.guests.len() <= 1);
    }
    assert_eq!(line.guests(), 0);
}
