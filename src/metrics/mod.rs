//! [`Metrics`] and [`ServerStats`]: what the pool has done and is doing, as owned snapshots.

mod causes;
mod explain;
mod rates;

use std::time::Duration;

pub use self::causes::{Destroyed, Failures};
pub use self::explain::{Exclusion, Explanation, ServerReport, Verdict};
pub use self::rates::Rates;

use crate::server::{CheckFailure, Health, HealthReason, ServerId, ServerState};

/// A snapshot of a pool.
///
/// Every value is current when it is read, and none waits for a tick of anything. The counters are
/// read one after another while the pool goes on, so sums balance exactly only when it is at rest:
///
/// - `connections_created` = `total_connections` − `connecting` + `connections_destroyed`
/// - `total_connections` = `active_connections` + `idle_connections` + `connecting`
/// - `total_requests` = `successful_requests` + `failed_requests` + `cancelled_requests` +
///   `in_flight`
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Metrics {
    /// Sockets in use: being opened, idle and on loan. Not above `max_total_connections`, unless
    /// that has been lowered and some have not come back since.
    pub total_connections: u64,
    /// Connections on loan.
    pub active_connections: u64,
    /// Connections that wait for the next request.
    pub idle_connections: u64,
    /// Connections being opened.
    pub connecting: u64,
    /// The limit on `total_connections` now.
    pub max_total_connections: u64,
    /// Connections made since the start.
    pub connections_created: u64,
    /// Connections closed since the start, for whatever reason.
    pub connections_destroyed: u64,
    /// Why they were closed.
    pub destroyed: Destroyed,
    /// Loans of a connection that was open already, and not made for the loan.
    pub connections_reused: u64,
    /// Connects begun: made, failed, given up or under way.
    pub connects: u64,
    /// Connects that failed.
    pub connect_errors: u64,
    /// Connects that nobody wanted any more.
    pub connects_cancelled: u64,
    /// Requests begun.
    pub total_requests: u64,
    /// Requests answered with a status below 500.
    pub successful_requests: u64,
    /// Requests that ended with an error, or with a status of 500 or more.
    pub failed_requests: u64,
    /// What they failed of.
    pub failures: Failures,
    /// Requests that their callers gave up.
    pub cancelled_requests: u64,
    /// Requests that ran into a deadline; they are among the failed.
    pub timeouts: u64,
    /// Requests sent again within the [`RetryBudget`](crate::RetryBudget).
    pub retries: u64,
    /// Requests that would have been sent again, if the budget had allowed it.
    pub retries_refused: u64,
    /// Requests sent again since a connection that had been open before had gone: not drawn on the
    /// budget.
    pub stale_retries: u64,
    /// Requests under way, until the end of the response's body.
    pub in_flight: u64,
    /// Bytes read from connections, heads included: counted when an exchange ends, and every 64 KiB
    /// of a long one.
    pub bytes_in: u64,
    /// Bytes written to connections, likewise.
    pub bytes_out: u64,
    /// Callers waiting for a connection.
    pub waiting: u64,
    /// Callers turned away because too many waited: those refused at once, and those `shed`.
    pub queue_full: u64,
    /// Callers that had waited, and were turned away for one of a higher priority.
    pub shed: u64,
    /// Connections, and rights to open one, that were taken back from callers who had been woken
    /// for them and did not come within `handoff_grace`.
    pub grants_reclaimed: u64,
    /// Requests that ended in a second, however they ended, over the last
    /// [`metrics_interval`](crate::Config::metrics_interval): since the first tenth of it that
    /// began within it. Over other times, see [`since`](Self::since).
    pub requests_per_second: f64,
    /// Bytes read in a second, likewise.
    pub bytes_in_per_second: f64,
    /// Bytes written in a second, likewise.
    pub bytes_out_per_second: f64,
    /// The share of `max_total_connections` that is on loan or being opened, 0 to 1. It stays at 1
    /// while more are, because the limit has been lowered.
    pub pool_utilization: f64,
    /// The average time to the head of a response, of late, over all servers.
    pub average_response_time: Duration,
    /// The average time that callers waited for a connection to come free, of those who waited.
    pub average_wait_time: Duration,
    /// The longest such wait.
    pub max_wait_time: Duration,
    /// Servers in the pool.
    pub servers: usize,
    /// Those of them that may be picked, as far as their health goes.
    pub healthy_servers: usize,
    /// Those that may not: down, ejected, or not checked yet where that matters. Those that are
    /// drained or disabled are neither.
    pub unhealthy_servers: usize,
    /// Health checks begun. Their sockets are their own, and not among the connections.
    pub health_checks: u64,
    /// Health checks that succeeded.
    pub health_checks_success: u64,
    /// Health checks that failed.
    pub health_checks_failed: u64,
    /// Health checks under way, each with a socket.
    pub health_checks_running: u64,
    /// How often a server was taken out since its requests failed.
    pub ejections: u64,
    /// Whether background work is running.
    pub background: bool,
    /// Background tasks that are running: the driver, and the dials that were left to it.
    pub background_tasks: usize,
    /// About how many bytes of memory the pool takes: buffers that are lent or kept, connections,
    /// places for them, counters and histograms. What transports and the kernel take is not in it.
    pub memory_bytes: u64,
    /// How long ago the pool was built.
    pub uptime: Duration,
}

/// A snapshot of one server.
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ServerStats {
    /// The server.
    pub id: ServerId,
    /// Its base URL.
    pub url: String,
    /// The name or address in it.
    pub host: String,
    /// The port in it, or that of the scheme.
    pub port: u16,
    /// Its weight.
    pub weight: u32,
    /// Its tier.
    pub tier: u8,
    /// Its tags, sorted.
    pub tags: Vec<String>,
    /// Requests sent to it, repeated ones included.
    pub total_requests: u64,
    /// Requests that it answered with a status below 500.
    pub successful_requests: u64,
    /// Requests that ended with an error, or with a status of 500 or more.
    pub failed_requests: u64,
    /// What they failed of. Failures before a server was picked are those of the pool alone.
    pub failures: Failures,
    /// Requests to it that their callers gave up.
    pub cancelled_requests: u64,
    /// Bytes read from its connections: see [`Metrics::bytes_in`].
    pub bytes_in: u64,
    /// Bytes written to its connections.
    pub bytes_out: u64,
    /// Connections made to it.
    pub connections_created: u64,
    /// Connections to it that were closed.
    pub connections_destroyed: u64,
    /// Why they were closed.
    pub destroyed: Destroyed,
    /// Loans of a connection that was open already.
    pub connections_reused: u64,
    /// Connects that failed.
    pub connect_errors: u64,
    /// Requests under way.
    pub in_flight: u64,
    /// Sockets: being opened, idle and on loan. Not above `max_connections`, unless that has been
    /// lowered and some have not come back since.
    pub open: u64,
    /// The limit on them now: the server's own, or `max_connections_per_server`.
    pub max_connections: u64,
    /// Connections that wait for the next request.
    pub idle: u64,
    /// Connections being opened.
    pub connecting: u64,
    /// Callers waiting for a connection to it.
    pub waiting: u64,
    /// How long a connection to it may be idle, by what was learned from those that it has closed,
    /// a margin taken off; `None` if that is not known. See `Config::learn_idle_limit`.
    pub learned_idle_limit: Option<Duration>,
    /// The average time to the head of a response, of late; zero before the first.
    pub response_time: Duration,
    /// What was decided about it.
    pub state: ServerState,
    /// How it is.
    pub health: Health,
    /// For how long it has been so.
    pub health_age: Duration,
    /// Why it is so.
    pub health_reason: HealthReason,
    /// Whether it takes requests, as far as state, health and weight go.
    pub is_healthy: bool,
    /// Health checks in a row that have failed.
    pub failure_count: u32,
    /// Requests in a row that have failed.
    pub failed_in_a_row: u32,
    /// The last health check; `None` before the first.
    pub last_check: Option<CheckReport>,
    /// When the next one is due; `None` if none is planned, or one is under way.
    pub next_check: Option<Duration>,
    /// Health checks that succeeded.
    pub health_checks_success: u64,
    /// Health checks that failed.
    pub health_checks_failed: u64,
    /// How often it was taken out since its requests failed.
    pub ejections: u64,
}

/// How a health check went.
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct CheckReport {
    /// How long ago it ended.
    pub age: Duration,
    /// How long it took.
    pub took: Duration,
    /// What was wrong; `None` if it succeeded.
    pub failure: Option<CheckFailure>,
}

/// What [`Pool::warm`](crate::Pool::warm) did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Warmed {
    /// Connections opened.
    pub opened: usize,
    /// Connections that could not be opened. After the first failure no more of that server are
    /// begun.
    pub failed: usize,
    /// How many are missing all the same: of failures, or for want of room.
    pub missing: usize,
}
