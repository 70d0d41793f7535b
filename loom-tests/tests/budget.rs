//! Models of `lockfree/budget.rs`. A window has two slots here: a slot is half a second.
#![cfg(evenkeel_loom)]

use evenkeel::lockfree::budget::{Budget, Terms};
use evenkeel::lockfree::hint::set_thread_hint;
use loom::sync::Arc;
use loom::thread::{self, JoinHandle};
use loom_tests::models;

/// The first milliseconds of the first three slots. The third shares its words with the first.
const SLOTS: [u64; 3] = [0, 500, 1_000];

/// One retry for each request, and `floor` without any.
fn budget(floor: u32, stripes: usize) -> Arc<Budget> {
    let terms = Terms { per_mille: 1_000, per_second: floor, window: 1_000 };
    Arc::new(Budget::with_stripes(terms, stripes))
}

fn withdraw(budget: &Arc<Budget>, now: u64) -> JoinHandle<bool> {
    let budget = Arc::clone(budget);
    thread::spawn(move || budget.withdraw(now))
}

fn deposit(budget: &Arc<Budget>, now: u64, hint: usize) -> JoinHandle<()> {
    let budget = Arc::clone(budget);
    thread::spawn(move || {
        set_thread_hint(hint);
        budget.deposit(now);
    })
}

models! {
    fn two_take_the_last_retry_and_one_gets_it(3) {
        let budget = budget(1, 1);
        let other = withdraw(&budget, SLOTS[0]);
        let ours = budget.withdraw(SLOTS[0]);
        assert!(ours != other.join().unwrap());
    }

    /// One takes it in the slot that ends, the other in the one that begins.
    fn two_take_the_last_retry_as_the_slot_ends(3) {
        let budget = budget(1, 1);
        let other = withdraw(&budget, SLOTS[0]);
        let ours = budget.withdraw(SLOTS[1]);
        assert!(ours != other.join().unwrap());
    }

    /// Two move on, and one still takes in the slot before.
    fn a_retry_is_taken_while_two_move_on(2) {
        let budget = budget(2, 1);
        let others = [withdraw(&budget, SLOTS[1]), withdraw(&budget, SLOTS[0])];
        let ours = budget.withdraw(SLOTS[1]);
        let taken = others.map(|other| other.join().unwrap());
        assert_eq!(taken.into_iter().filter(|taken| *taken).count() + usize::from(ours), 2);
    }

    /// What one who moves on has noted of the slot that still goes on is not counted twice there.
    fn a_retry_is_taken_as_another_moves_on(3) {
        let budget = budget(4, 1);
        let taken = [(); 2].map(|()| budget.withdraw(SLOTS[0]));
        assert_eq!(taken, [true, true]);
        let other = withdraw(&budget, SLOTS[1]);
        assert!(budget.withdraw(SLOTS[0]));
        assert!(other.join().unwrap());
        assert!(!budget.withdraw(SLOTS[1]));
    }

    /// The one who moved on is another than the one who counts afterwards.
    fn what_was_taken_before_is_seen_after_another_has_moved_on(3) {
        let budget = budget(1, 1);
        assert!(budget.withdraw(SLOTS[0]));
        let other = withdraw(&budget, SLOTS[1]);
        assert!(!budget.withdraw(SLOTS[1]));
        assert!(!other.join().unwrap());
    }

    /// The words of the first slot are taken over by the third, and what they said is forgotten.
    fn two_move_on_by_a_whole_window(3) {
        let budget = budget(1, 1);
        assert!(budget.withdraw(SLOTS[0]));
        let other = withdraw(&budget, SLOTS[2]);
        let ours = budget.withdraw(SLOTS[2]);
        assert!(ours != other.join().unwrap());
    }

    /// Each has paid for one: neither may be refused because it saw what the other took, and not
    /// what the other paid.
    fn two_pay_and_take_at_once(2) {
        let budget = budget(0, 2);
        let other = thread::spawn({
            let budget = Arc::clone(&budget);
            move || {
                set_thread_hint(1);
                budget.deposit(SLOTS[0]);
                budget.withdraw(SLOTS[0])
            }
        });
        budget.deposit(SLOTS[0]);
        assert!(budget.withdraw(SLOTS[0]));
        assert!(other.join().unwrap());
        assert!(!budget.withdraw(SLOTS[0]));
    }

    /// Both find the word of a slot that is over; one begins it anew, and the other adds to that.
    fn two_requests_begin_a_slot(3) {
        let budget = budget(0, 1);
        budget.deposit(SLOTS[0]);
        let other = deposit(&budget, SLOTS[2], 0);
        budget.deposit(SLOTS[2]);
        other.join().unwrap();
        let taken = [(); 3].map(|()| budget.withdraw(SLOTS[2]));
        assert_eq!(taken, [true, true, false]);
    }

    /// It counts in its own slot or not at all: never in the one that has its word now.
    fn a_request_is_late_by_a_whole_window(3) {
        let budget = budget(0, 1);
        let late = deposit(&budget, SLOTS[0], 0);
        budget.deposit(SLOTS[2]);
        late.join().unwrap();
        let taken = [(); 2].map(|()| budget.withdraw(SLOTS[2]));
        assert_eq!(taken, [true, false]);
    }

    /// A retry is let through by a request that comes in the same moment, or it is not; it is never
    /// let through twice.
    fn a_request_races_two_retries(2) {
        let budget = budget(0, 1);
        let request = deposit(&budget, SLOTS[0], 0);
        let other = withdraw(&budget, SLOTS[0]);
        let ours = budget.withdraw(SLOTS[0]);
        request.join().unwrap();
        let others = other.join().unwrap();
        assert!(!(ours && others));
        assert_eq!(budget.withdraw(SLOTS[0]), !ours && !others);
    }
}
