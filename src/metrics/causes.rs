//! [`Destroyed`] and [`Failures`]: counts by reason and by cause.

use crate::event::{CloseReason, FailureCause};

/// A struct of counts with a field for each variant of an enum.
macro_rules! counts_by {
    (
        $(#[$doc:meta])* $name:ident by $by:ident;
        $($(#[$field_doc:meta])* $field:ident: $variant:ident,)*
    ) => {
        $(#[$doc])*
        #[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        #[non_exhaustive]
        pub struct $name {
            $($(#[$field_doc])* pub $field: u64,)*
        }

        impl $name {
            /// The counts that `count` gives.
            pub(crate) fn new(count: impl Fn($by) -> u64) -> Self {
                Self { $($field: count($by::$variant),)* }
            }

            /// One of the counts.
            #[must_use]
            pub fn of(&self, what: $by) -> u64 {
                match what {
                    $($by::$variant => self.$field,)*
                }
            }

            /// All of the counts, each beside what it counts.
            pub fn iter(&self) -> impl Iterator<Item = ($by, u64)> + '_ {
                $by::ALL.into_iter().map(|what| (what, self.of(what)))
            }

            /// Their sum.
            #[must_use]
            pub fn total(&self) -> u64 {
                self.iter().map(|(_, count)| count).sum()
            }
        }
    };
}

counts_by! {
    /// Closed connections by reason.
    Destroyed by CloseReason;
    /// Idle for too long: by the settings, or by what their server said or had shown.
    idle: Idle,
    /// Closed by the peer while they were idle: found so by background work, or when they were to
    /// be used again.
    by_peer: Peer,
    /// The peer had sent bytes that nobody asked for.
    poisoned: Poisoned,
    /// One side wanted it closed after the exchange, or the exchange was left unfinished.
    not_reusable: NotReusable,
    /// They failed in use.
    broken: Broken,
    /// More than `max_idle_connections` were idle.
    idle_cap: IdleCap,
    /// Their place was needed for another server.
    evicted: Evicted,
    /// Their server was removed, or the pool closed.
    shutdown: Shutdown,
    /// Discarded by their holders.
    discarded: Discarded,
    /// More were open than may be, since a limit had been lowered.
    limit: Limit,
    /// Older than `max_lifetime`.
    lifetime: Lifetime,
    /// They had carried `max_requests_per_connection` requests.
    max_requests: MaxRequests,
    /// Their server was taken out of rotation.
    unhealthy: Unhealthy,
}

counts_by! {
    /// Failed requests by cause: [`FailureCause`] tells what each means.
    Failures by FailureCause;
    /// There was no server that they could go to.
    no_servers: NoServers,
    /// Too many callers waited for a connection already.
    queue_full: QueueFull,
    /// No connection came free in time.
    queue_timeout: QueueTimeout,
    /// The server's name could not be resolved.
    resolve: Resolve,
    /// No connection could be made.
    connect: Connect,
    /// TLS failed: its handshake, or, as with a client's certificate that is refused, after that.
    tls: Tls,
    /// Resolving, connecting and the TLS handshake took too long.
    connect_timeout: ConnectTimeout,
    /// The server took no more of the request in time.
    write_timeout: WriteTimeout,
    /// The head of the response did not come in time.
    response_timeout: ResponseTimeout,
    /// The body of the response did not come in time.
    body_timeout: BodyTimeout,
    /// The connection broke.
    reset: Reset,
    /// A connection that had been idle broke, and the request could not be sent again.
    stale: Stale,
    /// The peer did not speak HTTP/1.1 as it should.
    protocol: Protocol,
    /// The peer had sent bytes that nobody asked for.
    poisoned: Poisoned,
    /// The caller's body failed.
    body: Body,
    /// The request could not be sent as it is.
    request: Request,
    /// The pool was closed.
    closed: Closed,
    /// The response's status was 500 or more.
    status: Status,
}

impl Failures {
    /// Those that ran into a deadline, in whatever step.
    #[must_use]
    pub fn timeouts(&self) -> u64 {
        self.iter().filter(|(cause, _)| cause.is_timeout()).map(|(_, count)| count).sum()
    }
}
