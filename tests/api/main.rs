//! What the public types promise without a network: their errors, their bounds, their sizes.

mod redaction;
mod runtimes;
mod servers;
