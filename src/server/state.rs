//! [`Health`] and [`ServerState`]: how a server is, and what was decided about it.

use std::fmt;

/// How a server is, as far as checks and requests have shown.
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Health {
    /// Nothing is known yet. It takes requests, unless
    /// [`start_unknown`](crate::Config::start_unknown) says otherwise.
    #[default]
    Unknown,
    /// It is well.
    Up,
    /// Its health checks fail. It gets no request until enough of them succeed again.
    Down,
    /// Requests to it failed. It gets none for a while.
    Ejected,
    /// It was ejected, and that time is over: it gets one request at a time, until enough of them
    /// have succeeded.
    Trial,
}

/// What was decided about a server: see [`Pool::set_state`](crate::Pool::set_state).
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ServerState {
    /// In service, as its health allows.
    #[default]
    Active,
    /// It gets no new requests, but for those that [name it](crate::Select::server). What is under
    /// way and in line ends as usual.
    Draining,
    /// It gets no requests at all, and is not checked. Who stands in line there goes elsewhere, and
    /// idle connections are closed. What is under way ends as usual.
    Disabled,
    /// In service, whatever its health. It is still checked.
    ForcedUp,
}

/// Why a server is as it is.
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum HealthReason {
    /// It has just been added, or background work has ended: nothing is known.
    #[default]
    New,
    /// Enough health checks in a row have succeeded.
    ChecksPassed,
    /// Too many health checks in a row have failed; the last one like this.
    ChecksFailed(CheckFailure),
    /// Too many requests in a row have failed; the last one like this.
    Failures(Fault),
    /// Too large a share of the requests has failed.
    SuccessRate,
    /// Enough requests on trial have succeeded.
    TrialPassed,
    /// A request on trial has failed, like this.
    TrialFailed(Fault),
}

/// How a health check failed.
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum CheckFailure {
    /// No connection could be made.
    Connect,
    /// TLS failed, in its handshake or after.
    Tls,
    /// It took too long.
    Timeout,
    /// The connection broke before the end of the answer.
    Reset,
    /// The answer is not acceptable HTTP/1.1.
    Protocol,
    /// The answer has another status than is expected.
    Status(u16),
    /// The answer's body does not have what is expected, in as much of it as is read.
    Body,
    /// The function that judges the answer said no.
    Refused,
}

/// How a request failed, as far as that is the server's fault.
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Fault {
    /// No connection could be made.
    Connect,
    /// No answer came in time.
    Timeout,
    /// A new connection broke before the answer.
    Reset,
    /// The answer is not acceptable HTTP/1.1.
    Protocol,
    /// A status of 500 or more.
    ServerError,
    /// The status 503.
    Unavailable,
    /// The status 429. It counts for the share of failures, and not for those in a row.
    TooManyRequests,
}

impl fmt::Display for Health {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Unknown => "unknown",
            Self::Up => "up",
            Self::Down => "down",
            Self::Ejected => "ejected",
            Self::Trial => "on trial",
        })
    }
}

impl fmt::Display for ServerState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Active => "active",
            Self::Draining => "draining",
            Self::Disabled => "disabled",
            Self::ForcedUp => "forced up",
        })
    }
}

impl fmt::Display for HealthReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::New => f.write_str("nothing is known of it yet"),
            Self::ChecksPassed => f.write_str("its health checks succeed"),
            Self::ChecksFailed(how) => write!(f, "its health checks fail: {how}"),
            Self::Failures(how) => write!(f, "requests in a row failed: {how}"),
            Self::SuccessRate => f.write_str("too many of its requests failed"),
            Self::TrialPassed => f.write_str("requests on trial succeeded"),
            Self::TrialFailed(how) => write!(f, "a request on trial failed: {how}"),
        }
    }
}

impl fmt::Display for CheckFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Connect => "no connection could be made",
            Self::Tls => "TLS failed",
            Self::Timeout => "no answer in time",
            Self::Reset => "the connection broke",
            Self::Protocol => "the answer is not HTTP/1.1",
            Self::Status(status) => return write!(f, "status {status}"),
            Self::Body => "the body does not have what is expected",
            Self::Refused => "the answer was refused",
        })
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Connect => "no connection could be made",
            Self::Timeout => "no answer in time",
            Self::Reset => "the connection broke",
            Self::Protocol => "the answer is not HTTP/1.1",
            Self::ServerError => "a status of 500 or more",
            Self::Unavailable => "status 503",
            Self::TooManyRequests => "status 429",
        })
    }
}
