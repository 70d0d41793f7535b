//! Models of `lockfree/hint.rs`.
#![cfg(evenkeel_loom)]

use evenkeel::lockfree::hint::Ids;
use loom::sync::Arc;
use loom::thread;
use loom_tests::models;

models! {
    fn two_threads_get_different_numbers(3) {
        let ids = Arc::new(Ids::new());
        let thread = thread::spawn({
            let ids = Arc::clone(&ids);
            move || ids.next()
        });
        let mine = ids.next();
        let mut both = [mine, thread.join().unwrap()];
        both.sort_unstable();
        assert_eq!(both, [0, 1]);
    }
}
