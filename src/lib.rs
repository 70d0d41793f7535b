//! An HTTP client connection pool over a set of servers.

#![cfg_attr(docsrs, feature(doc_cfg))]
#![cfg_attr(
    evenkeel_loom,
    allow(
        missing_docs,
        clippy::exhaustive_enums,
        clippy::missing_panics_doc,
        reason = "public to our own models only, which read the sources"
    )
)]

// Under the model only the core exists: it is all that loom explores, and nothing above it could
// be built on loom's types.
#[cfg(not(evenkeel_loom))]
mod config;
#[cfg(not(evenkeel_loom))]
mod conn;
#[cfg(not(evenkeel_loom))]
mod error;
#[cfg(not(evenkeel_loom))]
mod lockfree;
#[cfg(evenkeel_loom)]
pub mod lockfree;
#[cfg(not(evenkeel_loom))]
mod proto;
#[cfg(not(evenkeel_loom))]
pub mod rt;
#[cfg(not(evenkeel_loom))]
mod select;
#[cfg(not(evenkeel_loom))]
mod server;
#[cfg(not(evenkeel_loom))]
mod sync;
#[cfg(evenkeel_loom)]
pub mod sync;

#[cfg(not(evenkeel_loom))]
pub use self::{
    config::Config,
    error::{Error, ErrorKind, Phase},
    rt::{
        BoxFuture, Connector, Liveness, Resolve, Runtime, Sleep, Spawner, Target, Timer, Transport,
        TransportInfo,
    },
    select::Select,
    server::{Server, ServerId},
};
