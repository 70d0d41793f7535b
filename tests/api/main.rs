//! What the public types promise without a network: their errors, their bounds, their sizes.

mod bounds;
mod redaction;
mod runtimes;
mod servers;
