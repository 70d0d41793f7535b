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
#[cfg(evenkeel_loom)]
pub mod lockfree;
#[cfg(evenkeel_loom)]
pub mod sync;

macro_rules! unless_modelled {
    ($($item:item)*) => {$(
        #[cfg(not(evenkeel_loom))]
        $item
    )*};
}

/// The programs in the README compile.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

unless_modelled! {
    mod balance;
    mod config;
    mod conn;
    mod error;
    #[cfg(any(fuzzing, test))]
    #[doc(hidden)]
    pub mod fuzzing;
    mod lockfree;
    mod metrics;
    mod policy;
    mod pool;
    mod proto;
    pub mod rt;
    mod select;
    mod server;
    mod sync;
    mod tasks;
    mod upstream;

    pub use config::Config;
    pub use error::{Error, ErrorKind, Phase};
    pub use metrics::{Destroyed, Metrics, ServerStats};
    pub use pool::{
        Body, Builder, Checkout, ConnectionInfo, LeasedBody, Pool, ResponseInfo, ShutdownReport,
    };
    pub use rt::{
        BoxFuture, Connector, Liveness, Resolve, Runtime, Sleep, Spawner, Target, Timer, Transport,
        TransportInfo,
    };
    pub use select::Select;
    pub use server::{Server, ServerId};
    pub use tasks::Driver;
}
