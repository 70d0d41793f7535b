//! The line of one server: nodes in the order in which they are to be served, and the grants that
//! may be taken back.
//!
//! Plain data: it has one owner at a time (see `gate`). Diallers, who hold a permit and are opening
//! a connection, stand before the others and want only a connection; the others stand in eight
//! classes, first come first served in each, a higher class before a lower one. Every sixteenth
//! grant goes to the lowest class that has somebody, so that none starves.
//!
//! # Places
//!
//! A caller that finds all places taken enters as a *guest*, if there is room for one more
//! connection, or if its class is above the lowest. Guests that are not served displace the
//! youngest of the lowest class, who may be the guest itself.
//!
//! # Grants out
//!
//! What was given stays in a list until it has been taken, oldest first, with the time at which it
//! was given. One that has been out for long is taken back if somebody else waits, but only once
//! for each waiter: a second grant does not enter the list. Those who dial are given what is taken
//! back, as they come first, but nothing is taken back for them alone: their own dial will end.
//!
//! # Bounds
//!
//! A cancelled node stays in line until somebody comes past. Once more than `SWEEP` nodes have
//! been cancelled, and more than are alive, the next owner of the line sweeps them out: the line
//! never holds more than twice the living plus `SWEEP`, and each cancel pays for one removal. The
//! list of grants is swept in the same way of those that have been taken; those that have not hold
//! a permit each.

use std::collections::VecDeque;

use super::waiters::{CLASSES, Grant, Node, Wants, Woken};
use crate::sync::Arc;

/// Every so many grants one goes to the lowest class.
const GUARD: u32 = 16;
/// How many cancelled nodes a short line may hold.
pub const SWEEP: usize = if cfg!(evenkeel_loom) { 1 } else { 32 };

/// The time, read at most once, and only if it is asked for.
pub(super) struct Time<F> {
    clock: F,
    read: Option<u64>,
}

impl<F: Fn() -> u64> Time<F> {
    pub(super) fn new(clock: F) -> Self {
        Self { clock, read: None }
    }

    pub(super) fn now(&mut self) -> u64 {
        *self.read.get_or_insert_with(&self.clock)
    }
}

/// What came of sending one away.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Shed {
    /// One was sent away.
    One,
    /// One had gone by itself; it is in line no more.
    Gone,
    /// There is nobody.
    Nobody,
}

/// The line.
pub(super) struct Line<T> {
    diallers: VecDeque<Arc<Node<T>>>,
    classes: [VecDeque<Arc<Node<T>>>; CLASSES],
    /// Those who entered without a place, until it is decided who must go.
    guests: Vec<Arc<Node<T>>>,
    out: Out<T>,
    /// Grants to the classes so far, for the guard against starvation.
    served: u32,
    /// Whether the idle words carry the WAITERS flag.
    pub(super) flagged: bool,
}

impl<T> Line<T> {
    pub(super) fn new() -> Self {
        Self {
            diallers: VecDeque::new(),
            classes: std::array::from_fn(|_| VecDeque::new()),
            guests: Vec::new(),
            out: Out { given: VecDeque::new(), sweep_at: SWEEP },
            served: 0,
            flagged: false,
        }
    }

    /// A node comes into the line.
    pub(super) fn enter(&mut self, node: Arc<Node<T>>) {
        if node.guest {
            // Those who have been served since are forgotten, or the list would grow.
            self.guests();
            self.guests.push(node.clone());
        }
        self.push(node);
    }

    /// Puts a node at the end of its class.
    pub(super) fn push(&mut self, node: Arc<Node<T>>) {
        match node.wants() {
            Wants::Connection => self.diallers.push_back(node),
            Wants::Anything { class } => {
                self.classes[usize::from(class).min(CLASSES - 1)].push_back(node);
            }
        }
    }

    /// Whether anybody wants a connection. Nodes at the front that have gone are let go.
    pub(super) fn wants_connection(&mut self) -> bool {
        prune(&mut self.diallers) || self.wants_permit()
    }

    /// Whether anybody wants a permit.
    pub(super) fn wants_permit(&mut self) -> bool {
        // No short cut: each class is to be pruned.
        self.classes.iter_mut().fold(false, |any, class| prune(class) | any)
    }

    /// How many stand in line who dial.
    pub(super) fn diallers(&self) -> u32 {
        let live = self.diallers.iter().filter(|node| !node.is_gone()).count();
        u32::try_from(live).unwrap_or(u32::MAX)
    }

    /// Gives `grant` to the first in line who wants it. Handed back if there is nobody.
    pub(super) fn grant(
        &mut self,
        mut grant: Grant<T>,
        time: &mut Time<impl Fn() -> u64>,
        woken: &mut Woken,
    ) -> Result<Wants, Grant<T>> {
        let returns = matches!(grant, Grant::Connection(_) | Grant::Permit);
        loop {
            let Some(node) = self.next(&grant) else {
                return Err(grant);
            };
            match node.give(grant) {
                Ok(given) => {
                    woken.push(given.waker);
                    let wants = node.wants();
                    if let Wants::Anything { .. } = wants {
                        self.served = self.served.wrapping_add(1);
                    }
                    if returns && !given.again {
                        self.out.push(node, time.now());
                    }
                    return Ok(wants);
                }
                Err(back) => grant = back,
            }
        }
    }

    fn next(&mut self, grant: &Grant<T>) -> Option<Arc<Node<T>>> {
        if !matches!(grant, Grant::Permit) {
            if let Some(dialler) = self.diallers.pop_front() {
                return Some(dialler);
            }
        }
        let mut classes = self.classes.iter_mut();
        if self.served % GUARD == GUARD - 1 {
            classes.find_map(VecDeque::pop_front)
        } else {
            classes.rev().find_map(VecDeque::pop_front)
        }
    }

    /// When the oldest grant that has not been taken was given.
    pub(super) fn oldest_out(&mut self) -> Option<u64> {
        self.out.oldest()
    }

    /// Takes the oldest grant that has not been taken out of the list, if it was given at a time of
    /// which `overdue` is true; whose it is.
    pub(super) fn pop_out_if(&mut self, overdue: impl FnOnce(u64) -> bool) -> Option<Arc<Node<T>>> {
        let given = self.out.oldest()?;
        let (node, _) = if overdue(given) { self.out.given.pop_front() } else { None }?;
        Some(node)
    }

    /// Nothing is taken back any more, and nobody has a place.
    pub(super) fn forget(&mut self) {
        self.out.given.clear();
        self.guests.clear();
    }

    /// How many guests still wait for a place.
    pub(super) fn guests(&mut self) -> usize {
        self.guests.retain(|node| node.is_waiting());
        self.guests.len()
    }

    /// Those who are still here have a place now.
    pub(super) fn seat_guests(&mut self) {
        self.guests.clear();
    }

    /// Sends the youngest of the lowest class away.
    pub(super) fn shed(&mut self, woken: &mut Woken) -> Shed {
        let Some(node) = self.classes.iter_mut().find_map(VecDeque::pop_back) else {
            return Shed::Nobody;
        };
        let is_guest = self.guests.iter().any(|guest| Arc::ptr_eq(guest, &node));
        match node.give(if is_guest { Grant::Refused } else { Grant::Shed }) {
            Ok(given) => {
                woken.push(given.waker);
                Shed::One
            }
            Err(_) => Shed::Gone,
        }
    }

    /// Has those woken who stand in the classes.
    pub(super) fn rouse(&self, woken: &mut Woken) {
        for node in self.classes.iter().flatten() {
            woken.push(node.rouse());
        }
    }

    /// How many stand in the classes and have not gone.
    pub(super) fn live(&self) -> usize {
        self.classes.iter().flatten().filter(|node| !node.is_gone()).count()
    }

    /// Removes every node that has gone.
    pub(super) fn sweep(&mut self) {
        self.diallers.retain(|node| !node.is_gone());
        for class in &mut self.classes {
            class.retain(|node| !node.is_gone());
        }
    }

    pub(super) fn len(&self) -> usize {
        self.diallers.len() + self.classes.iter().map(VecDeque::len).sum::<usize>()
    }
}

/// Lets those at the front go who have gone; whether anybody is left.
fn prune<T>(queue: &mut VecDeque<Arc<Node<T>>>) -> bool {
    while queue.front().is_some_and(|node| node.is_gone()) {
        queue.pop_front();
    }
    !queue.is_empty()
}

/// Grants that may be taken back, the oldest first, and when they were given.
struct Out<T> {
    given: VecDeque<(Arc<Node<T>>, u64)>,
    /// How long the list may become before those that have been taken are swept out.
    sweep_at: usize,
}

impl<T> Out<T> {
    fn push(&mut self, node: Arc<Node<T>>, now: u64) {
        if self.given.len() >= self.sweep_at {
            self.given.retain(|(node, _)| node.is_granted());
            self.sweep_at = 2 * self.given.len() + SWEEP;
        }
        self.given.push_back((node, now));
    }

    fn oldest(&mut self) -> Option<u64> {
        while self.given.front().is_some_and(|(node, _)| !node.is_granted()) {
            self.given.pop_front();
        }
        self.given.front().map(|(_, given)| *given)
    }
}

#[cfg(all(test, not(evenkeel_loom)))]
mod tests;
