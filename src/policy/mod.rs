//! Decisions, sans I/O: facts and the time are arguments.

pub(crate) mod reuse;
pub(crate) mod retry;
