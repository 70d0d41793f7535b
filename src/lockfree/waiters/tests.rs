//! What one thread can see of it; what several see is in `loom-tests`.

use std::task::Wake;

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

/// Grants `count` permits; the positions of those who got one, in order.
fn grant(line: &mut Line<u32>, nodes: &[Arc<Node<u32>>], count: usize) -> Vec<usize> {
    let mut served: Vec<usize> = Vec::new();
    for _ in 0..count {
        if line.grant(Grant::Permit, &mut Woken::default()).is_err() {
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
    let given = line.grant(Grant::Closed, &mut Woken::default());
    assert_eq!(given.ok(), Some(Wants::Connection));
    assert_eq!(grant(&mut line, &nodes[..1], 1), [0]);
}

#[test]
fn a_dialler_is_given_no_permit() {
    let mut line = Line::<u32>::new();
    line.push(Arc::new(Node::new(Wants::Connection)));
    assert!(line.wants_connection() && !line.wants_permit());
    assert!(line.grant(Grant::Permit, &mut Woken::default()).is_err());
    assert!(line.grant(Grant::Closed, &mut Woken::default()).is_ok());
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
fn a_grant_comes_back_from_one_who_leaves_with_it() {
    let (mut line, nodes) = line(&[0]);
    assert!(line.grant(Grant::Permit, &mut Woken::default()).is_ok());
    assert!(matches!(nodes[0].cancel(), Err(Some(Grant::Permit))));
}

struct Bomb;

impl Wake for Bomb {
    fn wake(self: Arc<Self>) {
        panic!("a waker that panics");
    }
}

struct Bell(std::sync::mpsc::SyncSender<()>);

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.0.try_send(()).expect("woken once");
    }
}

#[test]
fn a_waker_that_panics_does_not_keep_the_others_asleep() {
    let (bell, rings) = std::sync::mpsc::sync_channel(1);
    let mut woken = Woken::default();
    woken.push(Some(Arc::new(Bomb).into()));
    woken.push(Some(Arc::new(Bell(bell)).into()));
    assert!(woken.wake().is_err());
    assert_eq!(rings.try_recv(), Ok(()));
}
