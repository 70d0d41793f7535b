//! Background work: one future for all of it, and where it runs.

mod driver;
mod health;
mod reaper;
mod reclaim;
mod warm;
mod watch;

pub use self::driver::Driver;
pub(crate) use self::driver::{arm, driver};
