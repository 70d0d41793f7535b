//! What one thread can see of it; what several see is in `loom-tests`.

use std::sync::Arc;
use std::task::Wake;

use super::*;

fn node() -> Node<u32> {
    Node::new(Wants::Anything { class: 0 })
}

#[test]
fn a_grant_comes_back_from_one_who_leaves_with_it() {
    let node = node();
    assert!(node.give(Grant::Permit).is_ok_and(|given| !given.again));
    assert!(matches!(node.cancel(), Err(Some(Grant::Permit))));
    assert!(matches!(node.cancel(), Err(None)), "once");
}

#[test]
fn a_grant_is_taken_back_unless_it_has_been_taken() {
    let node = node();
    assert!(node.reclaim().is_none(), "nothing has been given");
    assert!(node.give(Grant::Permit).is_ok());
    assert!(node.poll(Waker::noop()).is_some());
    assert!(node.reclaim().is_none(), "it has been taken");
}

#[test]
fn one_who_lost_a_grant_waits_and_the_next_is_its_own() {
    let node = node();
    assert!(node.give(Grant::Permit).is_ok());
    assert!(matches!(node.reclaim(), Some(Grant::Permit)));
    assert!(node.poll(Waker::noop()).is_none());
    assert!(node.give(Grant::Closed).is_ok_and(|given| given.again));
    assert!(matches!(node.poll(Waker::noop()), Some(Grant::Closed)));
}

#[test]
fn one_who_lost_a_grant_may_leave() {
    let node = node();
    assert!(node.give(Grant::Permit).is_ok());
    assert!(node.reclaim().is_some());
    assert!(node.cancel().is_ok());
    assert!(matches!(node.give(Grant::Permit), Err(Grant::Permit)));
}

/// A node may stay in the list of grants after it has been served; its waker must not.
#[test]
fn a_waker_goes_with_the_one_who_was_served() {
    let node = node();
    assert!(node.give(Grant::Permit).is_ok());
    let task = Arc::new(Sleeper);
    assert!(node.poll(&task.clone().into()).is_some());
    assert_eq!(Arc::strong_count(&task), 1);
}

struct Sleeper;

impl Wake for Sleeper {
    fn wake(self: Arc<Self>) {}
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
