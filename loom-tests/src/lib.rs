//! Models of the lock-free core, explored by loom: see `tests/`, run by `ci/loom.sh`.
//!
//! `tests/x.rs` holds the models of `src/lockfree/x.rs`, `tests/x_y.rs` more of them. Without
//! `--cfg evenkeel_loom` all of this is empty, so that an ordinary `cargo test --workspace` passes
//! it by.
//!
//! The same servers run under shuttle, with `--cfg evenkeel_shuttle` on top: see `shuttle/`, run by
//! `ci/shuttle.sh`.
//!
//! Three things to know about loom when writing a model:
//! - It starts with the main thread running as far as it can. Of the accesses to a word it
//!   remembers the last one only, and turns the order round where two depend on each other. So a
//!   thread that loads a word and then swaps it hides, behind its own load, that the main thread
//!   loaded the word before: the other order is never tried. Let the main thread do the writing,
//!   and a spawned one do the plain loads. (`model` fails if nothing at all was tried.)
//! - `block_on` sleeps until it is woken, so a lost wake-up is a deadlock, and fails.
//! - Memory that loom does not know of is not checked: put it into `Plain`.

#[cfg(all(feature = "must-be-loom", not(evenkeel_loom)))]
compile_error!("build the models with RUSTFLAGS=\"--cfg evenkeel_loom --cfg crossbeam_loom\"");

#[cfg(evenkeel_loom)]
pub mod fleet;
#[cfg(all(evenkeel_loom, not(evenkeel_shuttle)))]
pub mod set;
#[cfg(all(evenkeel_loom, not(evenkeel_shuttle)))]
mod support;
#[cfg(evenkeel_shuttle)]
#[path = "support/shuttle.rs"]
mod support;

#[cfg(evenkeel_loom)]
pub use support::*;
