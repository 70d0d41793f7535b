//! Decisions, sans I/O: facts and the time are arguments.

pub(crate) mod pause;
pub(crate) mod retry;
pub(crate) mod reuse;
