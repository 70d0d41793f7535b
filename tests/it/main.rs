//! The suites that drive a whole pool: one binary, one module per worry. `sim_*` and `cancellation`
//! run in a simulated world, the others over real sockets.

mod bad_input;
mod balancing;
mod cancellation;
mod checkout;
mod limits;
mod membership;
mod observer;
mod parameters;
mod pooling;
mod real;
mod regression;
mod shutdown;
mod sim_background;
mod sim_balancing;
mod sim_budget;
mod sim_dial;
mod sim_expiry;
mod sim_handoff;
mod sim_limits;
mod sim_membership;
mod sim_own_limits;
mod sim_queue;
mod sim_retire;
mod sim_shed;
mod sim_shutdown;
mod sim_soak;
mod sim_stale;
mod sim_steps;
mod sim_timeouts;
mod sim_trust;
mod sim_waits;
mod support;
mod support_itself;
mod upgrade;
mod wire;
