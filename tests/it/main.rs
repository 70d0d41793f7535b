//! The suites that drive a whole pool over real sockets: one binary, one module per worry.

mod bad_input;
mod checkout;
mod limits;
mod membership;
mod nginx;
mod parameters;
mod pooling;
mod regression;
mod shutdown;
mod support;
mod support_itself;
