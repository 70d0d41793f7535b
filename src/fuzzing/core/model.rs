//! What the core is to do, in the words of its documents, on plain lists.

use std::collections::{BTreeMap, VecDeque};

use crate::lockfree::waiters::CLASSES;

/// Every so many grants to the classes one goes to the lowest that has somebody.
const GUARD: u32 = 16;

/// How many slots a word of the idle set has.
const PER_WORD: usize = 62;

/// A parked connection.
#[derive(Clone, Copy)]
pub(super) struct Parked {
    pub(super) conn: u64,
    pub(super) since: u64,
}

/// One server: who stands in line, and what is parked.
#[derive(Default)]
pub(super) struct Model {
    pub(super) diallers: VecDeque<u64>,
    classes: [VecDeque<u64>; CLASSES],
    served: u32,
    pub(super) closed: bool,
    /// By slot.
    pub(super) idle: BTreeMap<usize, Parked>,
    /// Connections that have been given and not taken yet: the slot and the age of each.
    pub(super) given: BTreeMap<u64, (usize, u64)>,
}

impl Model {
    /// Callers in line, diallers not among them.
    pub(super) fn waiting(&self) -> usize {
        self.classes.iter().map(VecDeque::len).sum()
    }

    pub(super) fn has_line(&self) -> bool {
        self.waiting() > 0 || !self.diallers.is_empty()
    }

    pub(super) fn enter(&mut self, class: u8, id: u64) {
        self.classes[usize::from(class).min(CLASSES - 1)].push_back(id);
    }

    pub(super) fn leave(&mut self, id: u64) {
        self.diallers.retain(|other| *other != id);
        self.classes.iter_mut().for_each(|class| class.retain(|other| *other != id));
    }

    /// Whose turn it is if a connection comes: those who dial first.
    pub(super) fn next_for_connection(&mut self) -> Option<u64> {
        self.diallers.pop_front().or_else(|| self.next_for_permit())
    }

    /// Whose turn it is if a permit comes: the highest class, at times the lowest, in order.
    pub(super) fn next_for_permit(&mut self) -> Option<u64> {
        let lowest = self.served % GUARD == GUARD - 1;
        let mut filled = self.classes.iter_mut().filter(|class| !class.is_empty());
        let class = if lowest { filled.next() } else { filled.next_back() };
        let next = class?.pop_front();
        self.served = self.served.wrapping_add(1);
        next
    }

    /// Who has to go if there are more than may wait: the youngest of the lowest class.
    pub(super) fn shed(&mut self) -> Option<u64> {
        self.classes.iter_mut().find(|class| !class.is_empty())?.pop_back()
    }

    /// The slot that a take finds: the lowest, from the word on that the hint names.
    pub(super) fn lowest(&self, hint: usize, words: usize) -> Option<usize> {
        (0..words).find_map(|step| {
            let first = (hint + step) % words * PER_WORD;
            self.idle.range(first..first + PER_WORD).next().map(|(slot, _)| *slot)
        })
    }
}
