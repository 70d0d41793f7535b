//! An HTTP/1.1 client connection pool over a set of servers.
//!
//! A [`Pool`] opens, limits, reuses and closes real sockets, picks a server for each request, and
//! tells what it did. It runs under any async runtime, or under a bare `block_on`.
//!
//! *In scope:* connections and their limits, waiting in line, time limits, picking a server and
//! knowing which are well, the HTTP/1.1 exchange, streaming bodies, upgrades and tunnels,
//! live figures, an orderly end. *Not here, and not planned:* redirects, cookies, caching,
//! compression, a server. *Not here yet:* TLS, HTTP/2; `https` is refused.
//!
//! # Quick start
//!
//! ```no_run
//! use evenkeel::{Body, Pool, Select, Server};
//! use http::Request;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let pool = Pool::builder()
//!     .server(Server::new("http://10.0.0.1:8080")?)
//!     .server(Server::new("http://10.0.0.2:8080/base")?)
//!     .max_connections_per_server(16)
//!     .build()?;
//!
//! futures_lite::future::block_on(async {
//!     // A path goes behind the base path of the server whose turn it is.
//!     let text = pool.get("/users").await?.into_body().text().await?;
//!     let request = Request::post("/jobs").body(Body::from("{}"))?;
//!     let status = pool.send(request).await?.status();
//!
//!     // A connection of one's own, for several requests in a row.
//!     let mut checkout = pool.checkout(Select::new().priority(1)).await?;
//!     let request = Request::get("/users/1").body(Body::empty())?;
//!     let user = checkout.send(request).await?.into_body().bytes().await?;
//!     # drop((text, status, user));
//!     Ok(())
//! })
//! # }
//! ```
//!
//! # Limits
//!
//! A limit counts sockets, those being opened and idle ones included: per server
//! ([`Config::max_connections_per_server`]) and in total ([`Config::max_total_connections`]). It is
//! never exceeded, not even for a moment, unless it is lowered while more are in use. Who finds no
//! room waits in line, first come first served within a [priority](Select::priority), up to its
//! deadline and up to [`Config::max_waiters`]; in a full line a caller of a higher priority takes
//! the place of the last of the lowest. [`Config`] lists every setting with its default. A server
//! may have a limit [of its own](Server::max_connections), and [`Pool::set_limits`] changes them at
//! any time.
//!
//! # Picking a server
//!
//! A [`Strategy`] says where a request goes, or a [`Balancer`] of your own; its page says which to
//! choose. Servers have [weights](Server::weight), [tags](Server::tag) and
//! [tiers](Server::priority_tier), requests have wishes: [`Select`]. [`Pool::explain`] tells where
//! the next request would go, and why.
//!
//! # Health
//!
//! Servers are checked wherever there is background work ([`HealthCheck`]), and one whose requests
//! fail is left alone for a while ([`Ejection`]). One that comes back gets its share in steps
//! ([`Config::slow_start`]). If none is well, requests fail at once
//! ([`ErrorKind::NoHealthyServers`]), or all servers are used ([`Config::panic_threshold`]).
//! [`Pool::set_state`] decides by hand, and [`Pool::wait_ready`] waits for a server that may be
//! picked. [`Pool::server_stats`] tells how each is and why, and an [`Observer`] when that changes.
//!
//! # Time limits
//!
//! A request has one deadline, from the call to the end of the response's body
//! ([`Config::request_timeout`]); connecting has a limit of its own ([`Config::connect_timeout`]).
//! The other steps can have one: [`Config::queue_timeout`], [`Config::write_timeout`],
//! [`Config::response_head_timeout`], [`Config::body_read_timeout`]. [`Select`] replaces them for
//! one request. An error says by its [`Phase`] which step it was.
//!
//! # Runtimes
//!
//! A [`Runtime`] is given to the builder, never detected; without one it is
//! `Runtime::async_io()`, which works under every executor. `Runtime::smol`, `Runtime::tokio` and
//! [`Runtime::custom`] are the others; the traits behind them are in [`rt`]. The caller's own
//! future drives its request: there is no task for each connection.
//!
//! # Errors and retries
//!
//! [`Error`] is one opaque type: what went wrong ([`Error::kind`]), in which step
//! ([`Error::phase`]), at which server, and whether to send the request again is safe
//! ([`Error::is_retry_safe`]). A status of 400 or more is a response. A server that cannot be
//! connected to is passed over for another. A request is sent again by the pool only if its
//! connection broke without an answer, and either nothing of it had been sent, or the connection
//! had been used before and the method is idempotent. Retries other than those of idle
//! connections that had gone stale come out of a budget: a fifth of the requests of the last ten
//! seconds, and ten for each of the seconds. If nothing was sent, the error gives the request back
//! ([`Error::into_request`]). Errors show no user info and no query of a URL.
//!
//! # Cancel safety
//!
//! Every future may be dropped at any time. What it held goes back: its place in line to nobody, a
//! grant to the next in line, a permit to its server; a connection in the middle of an exchange is
//! closed. Each async function says so in a section of its own.
//!
//! # Background work
//!
//! It closes expired connections early, finishes dials whose callers have gone, and passes on what
//! a caller does not come for ([`Config::handoff_grace`]). And it checks servers. It begins with
//! the first server that is checked, or else with the first connection: as a task of the runtime,
//! on a thread named `evenkeel`, or as the [`Driver`] of [`Builder::build_with_driver`]. Without
//! any, servers are not checked; but all else holds: only are sockets freed later, a dial ends with
//! its caller, and those who wait look by themselves for what is not taken.
//!
//! # Safety and correctness
//!
//! `unsafe` is in five files of the lock-free core, and nowhere else. Every file of that core has
//! models that [loom](https://docs.rs/loom) runs under each interleaving up to two or three
//! preemptions (one in the largest), and seeded bugs that the models must find. The pool as a
//! whole is tested in virtual time, with requests dropped at every await, and over real sockets;
//! the parsers are fuzzed.
//!
//! What that does not show: models have two or three threads, and loom does not know every
//! behaviour that the memory model allows; `crossbeam_queue` is modelled by what it promises, not
//! by its code; nobody has proved anything.
//!
//! # Features
//!
//! | feature | brings |
//! |---|---|
//! | `async-io` (default) | `Runtime::async_io`: sockets and timers for any executor, or none |
//! | `smol` | `Runtime::smol`: the same, with background work on a smol executor |
//! | `tokio` | `Runtime::tokio`: sockets, timers and tasks of tokio |
//! | `test-util` | `rt::sim`: a virtual clock, a network in memory, an executor, for tests |
//!
//! They are additive: none changes what another does. Without any, bring a [`Runtime::custom`].
//!
//! # Stability
//!
//! Versions follow semantic versioning; before 1.0 a minor release may break. `http`, `http-body`,
//! `bytes` and `futures-io` are part of the interface. Texts of errors and figures of `Debug` are
//! not. The oldest supported Rust is `rust-version` in `Cargo.toml`, raised in minor releases only.

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

/// The programs in the README compile.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

#[cfg(not(evenkeel_loom))]
mod balance;
#[cfg(not(evenkeel_loom))]
mod config;
#[cfg(not(evenkeel_loom))]
mod conn;
#[cfg(not(evenkeel_loom))]
mod error;
#[cfg(not(evenkeel_loom))]
mod event;
#[cfg(any(fuzzing, test))]
#[doc(hidden)]
#[cfg(not(evenkeel_loom))]
pub mod fuzzing;
#[cfg(not(evenkeel_loom))]
mod health;
#[cfg(not(evenkeel_loom))]
mod lockfree;
#[cfg(not(evenkeel_loom))]
mod metrics;
#[cfg(not(evenkeel_loom))]
mod policy;
#[cfg(not(evenkeel_loom))]
mod pool;
#[cfg(not(evenkeel_loom))]
mod proto;
#[cfg(not(evenkeel_loom))]
pub mod rt;
#[cfg(not(evenkeel_loom))]
mod select;
#[cfg(not(evenkeel_loom))]
mod server;
#[cfg(not(evenkeel_loom))]
mod strategy;
#[cfg(not(evenkeel_loom))]
mod sync;
#[cfg(not(evenkeel_loom))]
mod tasks;
#[cfg(not(evenkeel_loom))]
mod upstream;

#[cfg(not(evenkeel_loom))]
pub use balance::{Balancer, Candidate, Candidates};
#[cfg(not(evenkeel_loom))]
pub use config::{CheckResponse, Config, Ejection, HealthCheck, Limits};
#[cfg(not(evenkeel_loom))]
pub use error::{Error, ErrorKind, Phase};
#[cfg(not(evenkeel_loom))]
pub use event::{Event, Observer};
#[cfg(not(evenkeel_loom))]
pub use lockfree::histogram::Distribution;
#[cfg(not(evenkeel_loom))]
pub use metrics::{
    CheckReport, Destroyed, Exclusion, Explanation, Metrics, ServerReport, ServerStats, Verdict,
};
#[cfg(not(evenkeel_loom))]
pub use pool::{
    Body, Builder, Checkout, ConnectionInfo, IdleInfo, LeasedBody, Pool, ResponseInfo,
    ShutdownReport, Timings, Upgraded,
};
#[cfg(not(evenkeel_loom))]
pub use rt::{
    BoxFuture, Connector, Liveness, Resolve, Runtime, Sleep, Spawner, Target, Timer, Transport,
    TransportInfo,
};
#[cfg(not(evenkeel_loom))]
pub use select::Select;
#[cfg(not(evenkeel_loom))]
pub use server::{CheckFailure, Fault, Health, HealthReason, Server, ServerId, ServerState};
#[cfg(not(evenkeel_loom))]
pub use strategy::Strategy;
#[cfg(not(evenkeel_loom))]
pub use tasks::Driver;
