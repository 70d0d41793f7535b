//! The suites that drive a whole pool over real sockets: one binary, one module per worry.

mod bad_input;
mod limits;
mod pooling;
mod server_itself;
mod shutdown;
mod support;
