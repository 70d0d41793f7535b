//! What the pool knows about the other side: the servers, their connections, and who has them.

mod acquire;
mod back_off;
mod backend;
mod dialling;
mod directory;
mod distributions;
mod explain;
mod held;
mod hub;
mod lease;
mod limit;
mod others;
mod outcome;
mod parked;
mod pick;
mod resize;
mod roster;
mod stats;
mod tally;
mod traffic;
mod warm;
mod watch;
mod window;

pub(crate) use self::acquire::{Look, Trust, Wish, acquire, acquire_from, first_look, try_acquire};
pub(crate) use self::backend::Backend;
pub(crate) use self::directory::Directory;
pub use self::distributions::Distributions;
pub(crate) use self::distributions::nanos;
pub(crate) use self::hub::Hub;
pub(crate) use self::lease::{CloseReason, Lease};
pub(crate) use self::outcome::Outcome;
pub(crate) use self::tally::Count;
pub(crate) use self::traffic::Facts;
pub(crate) use self::warm::{SpareDial, warm};
