//! An HTTP/1.1 client connection pool over a set of servers.
//!
//! A [`Pool`] opens, limits, reuses and closes real sockets, picks a server for each request, and
//! tells what it did. It runs under any async runtime, or under a bare `block_on`.
//!
//! *In scope:* names, dials and proxies, TLS, connections and their limits, waiting in line, time
//! limits, retries, picking a server and knowing which are well, the HTTP/1.1 exchange, streaming
//! bodies, upgrades and tunnels, live figures, an orderly end. *Not here, and not planned:*
//! redirects, cookies, caching, compression, a server. *Not here yet:* HTTP/2.
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
//! ([`Config::max_connections_per_server`]) and in total ([`Config::max_total_connections`]).
//! It is never exceeded, not even for a moment, unless it is lowered while more are in use;
//! while the addresses of a name are raced, the sockets of one race count as one, and those of
//! health checks do not count: one for each server at most. Who finds no room waits in line,
//! first come first served within a [priority](Select::priority), up to its deadline and up to
//! [`Config::max_waiters`]; in a full line a caller of a higher priority takes the place of the
//! last of the lowest. [`Config`] lists every setting with its default. A server may have a
//! limit [of its own](Server::max_connections), and [`Pool::set_limits`] changes them at any
//! time.
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
//! # Getting connected
//!
//! [`Config::connect_timeout`] is over all of it: the look-up, the race of the addresses
//! (RFC 8305), and a proxy's tunnel. [`Dialling`] has its settings: how addresses are tried, how
//! long they are kept, when a server that cannot be reached is left in peace. [`SocketOptions`] are
//! set on each socket. A server may listen on a Unix-domain socket (`unix:/run/app.sock`,
//! [`Server::unix_socket`]) or be reached by a [`Proxy`].
//!
//! # Runtimes
//!
//! A [`Runtime`] is given to the builder, never detected; without one it is
//! `Runtime::async_io()`, which works under every executor. `Runtime::smol`, `Runtime::tokio` and
//! [`Runtime::custom`] are the others; the traits behind them are in [`rt`]. The caller's own
//! future drives its request: there is no task for each connection.
//!
//! # TLS
//!
//! With the feature `rustls`, servers may be `https`, beside others that are not. `TlsConfig` says
//! whom to trust and who we are, for the pool (`Builder::tls`) or for one server (`Server::tls`);
//! by default the roots of Mozilla are trusted, and TLS 1.2 and 1.3 are spoken. Without the
//! feature such a server is an error when the pool is built, which names the feature. Setting TLS
//! up is part of connecting ([`Phase::Tls`]); what fails in it is [`ErrorKind::Tls`]. A body that
//! only the close ends is whole only if the close was announced as TLS has it.
//!
//! # Errors and retries
//!
//! [`Error`] is one opaque type: what went wrong ([`Error::kind`]), in which step
//! ([`Error::phase`]), at which server, and whether to send the request again is safe
//! ([`Error::is_retry_safe`]). A status of 400 or more is a response. A server that cannot be
//! connected to is passed over for another. A request is sent again by the pool only if its
//! connection broke without an answer, and either nothing of it had been sent, or the connection
//! had been used before and the request may be repeated. [`Retry`] asks for more: for another
//! server's answer instead of a 503, say. Retries other than those of idle connections that had
//! gone stale come out of a [`RetryBudget`]: a fifth of the requests of the last ten seconds, and
//! ten for each of the seconds. If nothing was sent, the error gives the request back
//! ([`Error::into_request`]). Errors show no user info and no query of a URL.
//!
//! # Watching a pool
//!
//! [`Pool::metrics`] and [`Pool::server_stats`] are snapshots that are right without any background
//! work, [`Pool::distributions`] has quantiles, [`Metrics::since`] rates. An [`Observer`] is told
//! of each [`Event`]. [`prometheus::encode`] writes all figures as text. No path, query or user
//! info is in any figure; an event has the path of its request.
//!
//! # Cancel safety
//!
//! Every future may be dropped at any time. What it held goes back: its place in line to nobody, a
//! grant to the next in line, a permit to its server; a connection in the middle of an exchange is
//! closed. Each async function says so in a section of its own.
//!
//! # Background work
//!
//! It checks servers; closes expired connections early, and idle ones as soon as their server does
//! ([`Config::watch_interval`]); keeps connections open ahead of need ([`Config::min_idle`]);
//! finishes dials whose callers have gone, and passes on what a caller does not come for
//! ([`Config::handoff_grace`]). It begins with the first server that is checked, or else with the
//! first connection: as a task of the runtime, on a thread named `evenkeel`, or as the [`Driver`]
//! of [`Builder::build_with_driver`]. Without any, servers are not checked, and a `min_idle` is
//! refused; but all else holds: only are sockets freed later, a dial ends with its caller, and
//! those who wait look by themselves for what is not taken.
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
//! | `rustls` | `https`, by rustls with the cryptography of ring and the roots of webpki-roots |
//! | `aws-lc-rs` | the same with the cryptography of aws-lc-rs, or both: `TlsConfig::crypto` |
//! | `native-certs` | the root certificates of the system, for `TlsConfig::native_roots` |
//! | `rustls-no-provider` | rustls without cryptography, for a configuration with its own |
//! | `json` | `Body::json` and `Body::from_json` |
//! | `tower` | `Pool` is a `tower_service::Service`: the pool as a service, below tower's layers |
//! | `metrics` | `facade::publish`: the figures of a pool for recorders of the `metrics` crate |
//! | `serde` | `Serialize` and `Deserialize` for [`Metrics`] and [`ServerStats`] |
//! | `tracing` | a span for each attempt, with OpenTelemetry's names, and events |
//! | `test-util` | `rt::sim`: a virtual clock, a network in memory, an executor, for tests |
//!
//! They are additive: none changes what another does. Without any, bring a [`Runtime::custom`].
//!
//! # Stability
//!
//! Versions follow semantic versioning; before 1.0 a minor release may break. `http`, `http-body`,
//! `bytes` and `futures-io` are part of the interface; with the features that bring them tokio,
//! async-executor (`smol`), serde (`serde`, `json`) and tower-service (`tower`), too; rustls only
//! by `TlsConfig::rustls_0_23`, which goes with that version. Texts of errors and figures of
//! `Debug` are not. The oldest supported Rust is `rust-version` in `Cargo.toml`, raised in minor
//! releases only.

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
#[cfg(not(evenkeel_loom))]
mod export;
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
#[cfg(all(feature = "tower", not(evenkeel_loom)))]
#[cfg_attr(docsrs, doc(cfg(feature = "tower")))]
pub mod tower;
#[cfg(not(evenkeel_loom))]
mod trace;
#[cfg(not(evenkeel_loom))]
mod upstream;

#[cfg(not(evenkeel_loom))]
pub use balance::{Balancer, Candidate, Candidates};
#[cfg(not(evenkeel_loom))]
pub use config::{
    CheckResponse, Config, Dialling, Ejection, HealthCheck, Limits, Retry, RetryBudget,
    SocketOptions,
};
#[cfg(all(feature = "rustls-no-provider", not(evenkeel_loom)))]
#[cfg_attr(docsrs, doc(cfg(feature = "rustls")))]
pub use config::{TlsConfig, TlsCrypto, TlsVersion};
#[cfg(not(evenkeel_loom))]
pub use error::{Error, ErrorKind, Phase};
#[cfg(not(evenkeel_loom))]
pub use event::{CloseReason, Event, FailureCause, Observer, RequestOutcome, RetryReason};
#[cfg(all(feature = "metrics", not(evenkeel_loom)))]
pub use export::facade;
#[cfg(not(evenkeel_loom))]
pub use export::prometheus;
#[cfg(not(evenkeel_loom))]
pub use lockfree::histogram::Distribution;
#[cfg(not(evenkeel_loom))]
pub use metrics::{
    CheckReport, Destroyed, Exclusion, Explanation, Failures, Metrics, Rates, ServerReport,
    ServerStats, Verdict, Warmed,
};
#[cfg(not(evenkeel_loom))]
pub use pool::{
    Body, Builder, Checkout, ConnectionInfo, IdleInfo, LeasedBody, Pool, ResponseInfo,
    ShutdownReport, Timings, Upgraded,
};
#[cfg(not(evenkeel_loom))]
pub use rt::{
    Address, BoxFuture, Connector, Liveness, Resolve, Resolved, Runtime, Sleep, Spawner, Target,
    Timer, TlsInfo, Transport, TransportInfo,
};
#[cfg(not(evenkeel_loom))]
pub use select::Select;
#[cfg(not(evenkeel_loom))]
pub use server::{CheckFailure, Fault, Health, HealthReason, Proxy, Server, ServerId, ServerState};
#[cfg(not(evenkeel_loom))]
pub use strategy::Strategy;
#[cfg(not(evenkeel_loom))]
pub use tasks::Driver;
#[cfg(not(evenkeel_loom))]
pub use upstream::Distributions;
