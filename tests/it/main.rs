//! The suites that drive a whole pool over real sockets: one binary, one module per worry.

mod server_itself;
mod support;
