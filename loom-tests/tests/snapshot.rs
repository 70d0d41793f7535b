//! Models of `lockfree/snapshot.rs`, with crossbeam-epoch under its own loom cfg.
#![cfg(evenkeel_loom)]

use evenkeel::lockfree::snapshot::{Change, Snapshot};
use loom::sync::Arc;
use loom::thread;
use loom_tests::{Plain, models};

/// A value that shows when it is dropped while it is read: the drop writes to it, and loom checks
/// that against every read. A value that is never dropped shows too, since loom fails a model that
/// leaks one of its `Arc`s.
#[derive(Debug)]
struct Value {
    number: Plain<u32>,
    alive: Arc<()>,
}

impl Value {
    fn new(number: u32, alive: &Arc<()>) -> Self {
        Self { number: Plain::new(number), alive: Arc::clone(alive) }
    }

    fn after(&self) -> Self {
        Self::new(self.number.get() + 1, &self.alive)
    }
}

impl Drop for Value {
    fn drop(&mut self) {
        self.number.set(u32::MAX);
    }
}

fn cell() -> Arc<Snapshot<Value>> {
    Arc::new(Snapshot::new(Value::new(0, &Arc::new(()))))
}

/// Counts up by one, and says from where.
fn count_up(cell: &Snapshot<Value>) -> u32 {
    cell.update(|value| Change::Replace(value.after(), value.number.get()))
}

models! {
    fn a_reader_holds_the_old_value(2) {
        let cell = cell();
        let reader = thread::spawn({
            let cell = Arc::clone(&cell);
            move || cell.with(|value| [value.number.get(), value.number.get()])
        });
        // Garbage is freed two epochs later, and each update may move the epoch by one.
        assert_eq!((count_up(&cell), count_up(&cell)), (0, 1));
        let seen = reader.join().unwrap();
        assert!(seen[0] == seen[1] && seen[0] <= 2, "{seen:?}");
        assert_eq!(cell.with(|value| value.number.get()), 2);
    }

    /// The value that one writer has seen is retired by the other, and would be freed, and its
    /// address come back, but for the pin of the first.
    fn updates_do_not_undo_each_other(2) {
        let cell = cell();
        let other = thread::spawn({
            let cell = Arc::clone(&cell);
            move || count_up(&cell)
        });
        let mut from = vec![count_up(&cell), count_up(&cell), other.join().unwrap()];
        from.sort_unstable();
        assert_eq!(from, [0, 1, 2], "two started from the same value");
        assert_eq!(cell.with(|value| value.number.get()), 3);
    }

    /// Were it decided once, on what was seen at first, both would claim it.
    fn an_update_decides_again_after_a_lost_race(2) {
        let claim = |cell: &Snapshot<Value>| {
            cell.update(|value| match value.number.get() {
                0 => Change::Replace(value.after(), true),
                _ => Change::Keep(false),
            })
        };
        let cell = cell();
        let other = thread::spawn({
            let cell = Arc::clone(&cell);
            move || claim(&cell)
        });
        let mine = claim(&cell);
        let theirs = other.join().unwrap();
        assert!(mine != theirs, "exactly one claims it");
        assert_eq!(cell.with(|value| value.number.get()), 1);
    }

    /// The last owner may be another thread than the one that wrote the value.
    fn the_last_owner_drops_the_value(2) {
        let cell = cell();
        let reader = thread::spawn({
            let cell = Arc::clone(&cell);
            move || cell.with(|value| value.number.get())
        });
        count_up(&cell);
        drop(cell);
        assert!(reader.join().unwrap() <= 1);
    }
}
