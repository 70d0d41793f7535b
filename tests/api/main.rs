//! What the crate promises to those who build on it: the types' bounds and sizes, their errors,
//! and documents that are true.

mod bounds;
mod documents;
mod redaction;
mod runtimes;
mod servers;
