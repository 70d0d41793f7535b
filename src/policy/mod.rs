//! Decisions, sans I/O: facts and the time are arguments.

pub(crate) mod back_off;
pub(crate) mod retry;
pub(crate) mod reuse;
