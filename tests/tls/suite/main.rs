//! The suites over TLS, against servers with certificates made for the occasion.

#![allow(clippy::unwrap_used, reason = "tests")]

mod front;
mod setup;
#[path = "../../it/support/mod.rs"]
mod support;

mod basics;
mod bodies;
mod certificates;
mod idle;
mod narrow;
mod real;
mod refusal;
mod sessions;
mod strangers;
mod trickle;
mod tunnel;
mod wire;
