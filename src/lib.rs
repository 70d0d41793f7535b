//! An HTTP client connection pool over a set of servers.

#![cfg_attr(docsrs, feature(doc_cfg))]

pub mod rt;

mod config;
mod conn;
mod error;
#[cfg(any(fuzzing, test))]
#[doc(hidden)]
pub mod fuzzing;
#[cfg(not(evenkeel_loom))]
mod lockfree;
#[cfg(evenkeel_loom)]
pub mod lockfree;
mod proto;
mod select;
mod server;
#[cfg(not(evenkeel_loom))]
mod sync;
#[cfg(evenkeel_loom)]
pub mod sync;

pub use config::Config;
pub use error::{Error, ErrorKind, Phase};
pub use rt::{
    BoxFuture, Connector, Liveness, Resolve, Runtime, Sleep, Spawner, Target, Timer, Transport,
    TransportInfo,
};
pub use select::Select;
pub use server::{Server, ServerId};
