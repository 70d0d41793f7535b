//! Why a connection was closed, and what a request failed of.

use crate::error::{Error, ErrorKind, Phase};

/// Why a connection was closed.
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum CloseReason {
    /// It had been idle for too long.
    Idle,
    /// The peer had closed it while it was idle.
    Peer,
    /// The peer sent bytes that nobody had asked for.
    Poisoned,
    /// One side wanted it closed after the exchange, or the exchange was left unfinished.
    NotReusable,
    /// It failed in use.
    Broken,
    /// More connections were idle than may be.
    IdleCap,
    /// Its permit was needed for another server.
    Evicted,
    /// Its server was removed, or the pool closed.
    Shutdown,
    /// Its holder discarded it.
    Discarded,
    /// More were open than may be, since a limit had been lowered.
    Limit,
    /// It was too old.
    Lifetime,
    /// It had carried as many requests as it may.
    MaxRequests,
    /// Its server was taken out of rotation.
    Unhealthy,
}

impl CloseReason {
    /// All of them, in the order in which they are counted.
    pub(crate) const ALL: [Self; 13] = [
        Self::Idle,
        Self::Peer,
        Self::Poisoned,
        Self::NotReusable,
        Self::Broken,
        Self::IdleCap,
        Self::Evicted,
        Self::Shutdown,
        Self::Discarded,
        Self::Limit,
        Self::Lifetime,
        Self::MaxRequests,
        Self::Unhealthy,
    ];

    /// Its name in snake case, as metrics and traces show it. Names stay as they are.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Idle => "idle",
            Self::Peer => "by_peer",
            Self::Poisoned => "poisoned",
            Self::NotReusable => "not_reusable",
            Self::Broken => "broken",
            Self::IdleCap => "idle_cap",
            Self::Evicted => "evicted",
            Self::Shutdown => "shutdown",
            Self::Discarded => "discarded",
            Self::Limit => "limit",
            Self::Lifetime => "lifetime",
            Self::MaxRequests => "max_requests",
            Self::Unhealthy => "unhealthy",
        }
    }
}

/// What a request failed of. Each failed request has one cause.
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum FailureCause {
    /// There was no server that it could go to.
    NoServers,
    /// Too many callers waited for a connection already.
    QueueFull,
    /// No connection came free in time.
    QueueTimeout,
    /// The server's name could not be resolved.
    Resolve,
    /// No connection could be made.
    Connect,
    /// TLS failed: its handshake, or, as with a client's certificate that is refused, after that.
    Tls,
    /// Resolving, connecting and the TLS handshake took too long.
    ConnectTimeout,
    /// The server took no more of the request in time.
    WriteTimeout,
    /// The head of the response did not come in time.
    ResponseTimeout,
    /// The body of the response did not come in time.
    BodyTimeout,
    /// The connection broke.
    Reset,
    /// The connection had been idle, broke without an answer, and the request could not be sent
    /// again.
    Stale,
    /// The peer did not speak HTTP/1.1 as it should.
    Protocol,
    /// The peer had sent bytes that nobody asked for before it was sent the request.
    Poisoned,
    /// The caller's body failed, or was not of its stated length.
    Body,
    /// The request could not be sent as it is.
    Request,
    /// The pool was closed.
    Closed,
    /// The response's status was 500 or more.
    Status,
}

impl FailureCause {
    /// All of them, in the order in which they are counted.
    pub(crate) const ALL: [Self; 18] = [
        Self::NoServers,
        Self::QueueFull,
        Self::QueueTimeout,
        Self::Resolve,
        Self::Connect,
        Self::Tls,
        Self::ConnectTimeout,
        Self::WriteTimeout,
        Self::ResponseTimeout,
        Self::BodyTimeout,
        Self::Reset,
        Self::Stale,
        Self::Protocol,
        Self::Poisoned,
        Self::Body,
        Self::Request,
        Self::Closed,
        Self::Status,
    ];

    /// Its name in snake case, as metrics and traces show it. Names stay as they are.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NoServers => "no_servers",
            Self::QueueFull => "queue_full",
            Self::QueueTimeout => "queue_timeout",
            Self::Resolve => "resolve",
            Self::Connect => "connect",
            Self::Tls => "tls",
            Self::ConnectTimeout => "connect_timeout",
            Self::WriteTimeout => "write_timeout",
            Self::ResponseTimeout => "response_timeout",
            Self::BodyTimeout => "body_timeout",
            Self::Reset => "reset",
            Self::Stale => "stale",
            Self::Protocol => "protocol",
            Self::Poisoned => "poisoned",
            Self::Body => "body",
            Self::Request => "request",
            Self::Closed => "closed",
            Self::Status => "status",
        }
    }

    /// What an error comes to. [`Stale`](Self::Stale) and [`Poisoned`](Self::Poisoned) are known
    /// only to the one who had the connection.
    pub(crate) fn of(error: &Error) -> Self {
        match error.kind() {
            ErrorKind::Body => Self::Body,
            ErrorKind::Closed => Self::Closed,
            ErrorKind::Connect => Self::Connect,
            ErrorKind::Config
            | ErrorKind::NoBackground
            | ErrorKind::NoHealthyServers
            | ErrorKind::NoServers
            | ErrorKind::NotFound
            | ErrorKind::Url => Self::NoServers,
            ErrorKind::Protocol => Self::Protocol,
            ErrorKind::QueueFull => Self::QueueFull,
            ErrorKind::Request => Self::Request,
            ErrorKind::Reset => Self::Reset,
            ErrorKind::Resolve => Self::Resolve,
            ErrorKind::Tls => Self::Tls,
            ErrorKind::Timeout => Self::timeout_in(error.phase()),
        }
    }

    /// A time that was up in this step.
    pub(crate) fn timeout_in(phase: Option<Phase>) -> Self {
        match phase {
            None | Some(Phase::Queue) => Self::QueueTimeout,
            Some(Phase::Resolve | Phase::Connect | Phase::Tls) => Self::ConnectTimeout,
            Some(Phase::Write) => Self::WriteTimeout,
            Some(Phase::Response) => Self::ResponseTimeout,
            Some(Phase::Body) => Self::BodyTimeout,
        }
    }

    /// Whether a server that the request was sent to can have to do with it.
    pub(crate) fn is_at_server(self) -> bool {
        !matches!(
            self,
            Self::NoServers
                | Self::QueueFull
                | Self::QueueTimeout
                | Self::Resolve
                | Self::Connect
                | Self::ConnectTimeout
        )
    }

    /// A time was up.
    #[must_use]
    pub fn is_timeout(self) -> bool {
        matches!(
            self,
            Self::QueueTimeout
                | Self::ConnectTimeout
                | Self::WriteTimeout
                | Self::ResponseTimeout
                | Self::BodyTimeout
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_reason_and_cause_stands_at_its_own_place_and_has_a_name_of_its_own() {
        for (place, reason) in CloseReason::ALL.into_iter().enumerate() {
            assert_eq!(reason as usize, place, "{reason:?}");
        }
        for (place, cause) in FailureCause::ALL.into_iter().enumerate() {
            assert_eq!(cause as usize, place, "{cause:?}");
        }
        let names = CloseReason::ALL.map(CloseReason::as_str);
        let causes = FailureCause::ALL.map(FailureCause::as_str);
        for (place, name) in names.iter().enumerate() {
            assert!(!names[..place].contains(name), "{name} twice");
        }
        for (place, name) in causes.iter().enumerate() {
            assert!(!causes[..place].contains(name), "{name} twice");
        }
    }
}
