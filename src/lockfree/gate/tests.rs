//! What one thread can see of it; what several see is in `loom-tests`.

use super::*;
use crate::lockfree::line::SWEEP;
use crate::lockfree::waiters::{Grant, Wants};

fn gate() -> Gate<u32> {
    Gate::new(Limits { open: 1, connecting: 1, waiting: 1_000 }, 1, 50)
}

fn enter(gate: &Gate<u32>) -> Arc<Node<u32>> {
    let node = Arc::new(Node::new(Wants::Anything { class: 0 }));
    gate.ledger.join(0).expect("there is room in line");
    gate.push(node.clone());
    gate.pair(|| 0, &mut Woken::default());
    node
}

fn leave(gate: &Gate<u32>, node: &Node<u32>) {
    assert!(node.cancel().is_ok());
    gate.ledger.leave();
    gate.pair(|| 0, &mut Woken::default());
}

#[test]
fn those_who_have_gone_are_bounded_by_those_who_wait() {
    let gate = gate();
    let live: Vec<_> = (0..5).map(|_| enter(&gate)).collect();
    for _ in 0..1_000 {
        leave(&gate, &enter(&gate));
        assert!(gate.queued() <= 2 * live.len() + SWEEP);
    }
    assert_eq!(gate.ledger.counts().waiting, 5);
    for node in &live {
        leave(&gate, node);
    }
    assert_eq!(gate.queued(), 0, "nobody waits, so nobody is kept");
}

#[test]
fn a_permit_of_the_total_is_asked_for_spent_and_given_back() {
    let gate = gate();
    let node = enter(&gate);
    assert!(gate.pair(|| 0, &mut Woken::default()).lacks_total);
    gate.credit();
    gate.credit();
    let left = gate.pair(|| 0, &mut Woken::default());
    assert_eq!(left, Left { surplus: 1, reopened: true, ..Left::default() });
    assert!(matches!(node.cancel(), Err(Some(Grant::Permit))));
    assert_eq!(gate.ledger.counts().open, 1);
}

#[test]
fn a_server_that_is_full_asks_for_nothing() {
    let gate = gate();
    gate.ledger.open();
    let _waits: Arc<Node<u32>> = enter(&gate);
    gate.credit();
    let left = gate.pair(|| 0, &mut Woken::default());
    assert_eq!(left, Left { surplus: 1, ..Left::default() });
}
