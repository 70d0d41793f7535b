//! What the pool knows about the other side: the servers, their connections, and who has them.

mod acquire;
mod backend;
mod dialling;
mod directory;
mod explain;
mod health;
mod hub;
mod lease;
mod limit;
mod outcome;
mod pick;
mod resize;
mod roster;
mod stats;
mod tally;
mod trial;
mod vitals;

pub(crate) use self::acquire::{Look, Wish, acquire, acquire_from, first_look, try_acquire};
pub(crate) use self::backend::Backend;
pub(crate) use self::directory::{Directory, closed};
pub(crate) use self::health::CheckResult;
pub(crate) use self::hub::Hub;
pub(crate) use self::lease::{CloseReason, Lease};
pub(crate) use self::outcome::Outcome;
pub(crate) use self::tally::Count;
