//! The lock-free core: no HTTP, no I/O, no `dyn`, no clock.
//!
//! Every file here has a file of the same name in `loom-tests/tests/`, whose models fail when an
//! ordering or a recheck of the file is taken away (`ci/mutants.sh` takes them away, one by one).
#![cfg_attr(
    not(evenkeel_loom),
    allow(unreachable_pub, reason = "the models are a crate of their own: there all this is public")
)]

pub mod counter;
pub mod ewma;
pub mod hint;
pub mod lifecycle;
pub mod snapshot;
