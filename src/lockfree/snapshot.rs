//! One value, read by everybody all the time and replaced once in a while.
//!
//! Read-copy-update: readers follow a pointer; a writer builds a new value beside the old one,
//! swings the pointer, and leaves the old value to `crossbeam_epoch`, which frees it when nobody
//! who could have seen it is still looking. A read is wait-free, writes no shared line and takes
//! no reference count.
//!
//! *Reader against writer.* A reader pins the epoch, and only then loads the pointer. If the
//! writer swings it before the load, the reader has the new value; if after, the reader has the
//! old one, and its pin, taken before the old value was retired, holds the value back. Without the
//! pin, `snapshot.rs::a_reader_holds_the_old_value` in `loom-tests` finds the value freed under
//! the reader's eyes.
//!
//! *Writer against writer.* There is no writers' lock. Each builds its value from the one it saw,
//! and swings the pointer only if it is still the same; the loser asks again, from the winner's
//! value. So two updates never undo each other. The pin makes the comparison of addresses sound:
//! a value that a writer has seen cannot be freed, and so its address cannot come back with other
//! contents, while that writer is pinned.
//!
//! What is *not* promised:
//! - When an old value is dropped. It may be at the next write, or at the next few hundred pins of
//!   any thread, or never, when no thread pins again; and it may happen on any thread that pins,
//!   inside somebody else's read. So nothing of consequence may wait for the drop of a `T`, and
//!   the drop must not block. Close what must be closed when it is taken *out* of the value.
//! - That a reader is recent. It has a value that was the current one at some time during its
//!   read, and it may go on reading it after a replacement.
//! - A bound on garbage under a reader that stays in [`with`](Snapshot::with): as long as it is
//!   there, nothing retired since is freed. Reads must be short and must not wait. The pin is
//!   confined to a closure so that it cannot be kept across an `.await`.
#![expect(unsafe_code, reason = "epoch reclamation hands out raw shared pointers")]

use std::fmt;
use std::mem;

use crossbeam_epoch::{Atomic, Owned, pin};

use crate::sync::Ordering::{Acquire, Relaxed, Release};

/// What an update does with the value it was shown.
#[derive(Debug)]
pub enum Change<T, R> {
    /// Puts the new value in the old one's place.
    Replace(T, R),
    /// Leaves everything as it is.
    Keep(R),
}

/// A cell of one value: see the module.
///
/// `T` is dropped on whatever thread the garbage falls to and read on all of them, hence `Send +
/// Sync`; and later than anybody can tell, hence `'static`.
pub struct Snapshot<T: Send + Sync + 'static> {
    /// Never null, except in the middle of `drop`. Whoever is pinned may follow it.
    current: Atomic<T>,
}

impl<T: Send + Sync + 'static> Snapshot<T> {
    /// A cell that holds `value`.
    pub fn new(value: T) -> Self {
        Self { current: Atomic::new(value) }
    }

    /// Shows the current value to `read`.
    ///
    /// `read` runs under an epoch pin: it must be short, and must not wait for anything. Calls may
    /// be nested; inner and outer may see different values.
    #[inline]
    pub fn with<R>(&self, read: impl FnOnce(&T) -> R) -> R {
        let guard = pin();
        // Ordering: Acquire pairs with the Release in `update`: with the pointer come the
        // contents.
        let current = self.current.load(Acquire, &guard);
        // SAFETY: [1] `current` is not null: `new` and `update` store values only, and `drop` has
        //         the cell to itself; [2] its contents are visible by the Acquire above; [3] it
        //         was loaded under `guard`, and a value is retired only after the pointer has been
        //         swung away from it, so it is not freed before `guard` goes; [4] values are never
        //         written once they are published.
        let value = unsafe { current.deref() };
        read(value)
    }

    /// Replaces the value with what `change` makes of it, or leaves it.
    ///
    /// `change` is called again, with the newer value, whenever another update came between; only
    /// its last answer takes effect, and the values of the others are dropped. It runs under an
    /// epoch pin, as in [`with`](Self::with). It must not update the same cell, for that update
    /// would come between every time.
    pub fn update<R>(&self, mut change: impl FnMut(&T) -> Change<T, R>) -> R {
        loop {
            let guard = pin();
            // Ordering: Acquire pairs with the Release below, as in `with`.
            let seen = self.current.load(Acquire, &guard);
            // SAFETY: as in `with`, [1] to [4].
            let value = unsafe { seen.deref() };
            let (next, answer) = match change(value) {
                Change::Replace(next, answer) => (Owned::new(next), answer),
                Change::Keep(answer) => return answer,
            };
            // Ordering: Release on success publishes the contents of `next`. Relaxed on failure:
            // the pointer found is not followed, the loop loads it again.
            let swung = self.current.compare_exchange(seen, next, Release, Relaxed, &guard);
            if swung.is_ok() {
                // SAFETY: [1] our exchange, and only ours, took `seen` out of the cell, so it is
                //         retired once; [2] whoever still looks at it pinned before this line; [3]
                //         `T` is `Send` and `'static`, so any thread may drop it at any time.
                unsafe { guard.defer_destroy(seen) };
                // Else it would wait in this thread's bag until many more values join it.
                guard.flush();
                drop(guard);
                collect();
                return answer;
            }
        }
    }
}

/// Gives retired values a chance to be freed now. An epoch ends once nobody is pinned in it, and a
/// value goes two epochs after it was retired: so a few turns free it, unless another thread is in
/// the middle of a look.
fn collect() {
    for _ in 0..TURNS {
        pin().flush();
    }
}

/// Two epochs, and one for the bag that is being filled.
const TURNS: usize = if cfg!(evenkeel_loom) { 0 } else { 3 };

impl<T: Send + Sync + 'static> Drop for Snapshot<T> {
    fn drop(&mut self) {
        let current = mem::take(&mut self.current);
        // SAFETY: [1] `&mut self`: no reader and no writer is inside, and none will come; [2] the
        //         value was never retired, because it is still current; [3] it is not null, as in
        //         `with`.
        drop(unsafe { current.into_owned() });
    }
}

impl<T: Send + Sync + fmt::Debug + 'static> fmt::Debug for Snapshot<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.with(|value| f.debug_tuple("Snapshot").field(value).finish())
    }
}

#[cfg(all(test, not(evenkeel_loom)))]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[test]
    fn a_reader_sees_the_value() {
        let cell = Snapshot::new(vec![1, 2, 3]);
        assert_eq!(cell.with(Vec::len), 3);
        assert_eq!(format!("{cell:?}"), "Snapshot([1, 2, 3])");
    }

    #[test]
    fn an_update_replaces_the_value_and_answers() {
        let cell = Snapshot::new(vec![1]);
        let added = cell.update(|old| {
            let mut new = old.clone();
            new.push(2);
            Change::Replace(new, "added")
        });
        assert_eq!((added, cell.with(Clone::clone)), ("added", vec![1, 2]));
    }

    #[test]
    fn an_update_may_change_nothing() {
        let cell = Snapshot::new(String::from("as it was"));
        let before = cell.with(|value| value.as_ptr());
        assert_eq!(cell.update(|value| Change::Keep(value.len())), 9);
        assert_eq!(cell.with(|value| value.as_ptr()), before);
    }

    #[test]
    fn concurrent_updates_are_all_kept() {
        let cell = Snapshot::new(0_u32);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..500 {
                        cell.update(|value| Change::Replace(value + 1, ()));
                        assert!(cell.with(|value| *value) > 0);
                    }
                });
            }
        });
        assert_eq!(cell.with(|value| *value), 2_000);
    }

    #[test]
    fn a_read_may_go_on_through_a_replacement() {
        let cell = Snapshot::new(String::from("old"));
        cell.with(|old| {
            cell.update(|_| Change::Replace(String::from("new"), ()));
            assert_eq!((old.as_str(), cell.with(Clone::clone).as_str()), ("old", "new"));
        });
    }

    #[test]
    fn dropping_the_cell_drops_the_current_value_at_once() {
        let value = Arc::new(());
        let cell = Snapshot::new(Arc::clone(&value));
        drop(cell);
        assert_eq!(Arc::strong_count(&value), 1);
    }

    #[test]
    fn a_panic_in_an_update_leaves_the_value() {
        let cell = Snapshot::new(7);
        let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            cell.update(|_| -> Change<i32, ()> { panic!("no") });
        }));
        assert!(panicked.is_err());
        assert_eq!(cell.with(|value| *value), 7);
        assert!(!crossbeam_epoch::is_pinned());
    }

    #[test]
    fn replaced_values_are_dropped_in_the_end() {
        let value = Arc::new(());
        let cell = Snapshot::new(Arc::clone(&value));
        cell.update(|_| Change::Replace(Arc::new(()), ()));
        // The garbage goes when the epoch has moved on twice; every pin may move it, and the pins
        // of tests on other threads only hold it back for a while.
        let freed = (0..10_000_000).any(|_| {
            pin().flush();
            Arc::strong_count(&value) == 1
        });
        assert!(freed);
    }
}
