//! Whether a request that failed on its connection may be sent again.
//!
//! The danger is that a request is carried out twice. It is not there if the server cannot have
//! seen any of it; it does not matter if the method is idempotent.

use http::Method;

/// What is known of a failed attempt.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Attempt {
    /// The connection failed or was closed: not a timeout, not the protocol, not the caller.
    pub(crate) broken: bool,
    /// The connection was open already, and not made for this request.
    pub(crate) reused: bool,
    /// The kernel took a byte of the request.
    pub(crate) sent: bool,
    /// A byte of the response came.
    pub(crate) received: bool,
    /// The whole of the caller's body can still be sent.
    pub(crate) body_whole: bool,
    /// Carrying the request out twice is the same as once.
    pub(crate) idempotent: bool,
}

impl Attempt {
    /// Whether the server cannot have acted on the request.
    pub(crate) fn is_unseen(&self) -> bool {
        !self.sent && !self.received
    }

    /// Whether another try is the price of keeping connections, which is the pool's, and not that
    /// of a server in trouble, which the budget of retries is for.
    pub(crate) fn is_stale(&self) -> bool {
        self.reused
    }

    /// Whether to send the request again, on another connection.
    ///
    //= https://www.rfc-editor.org/rfc/rfc9112#section-9.3.1
    //# When an inbound connection is closed prematurely, a client MAY open a
    //# new connection and automatically retransmit an aborted sequence of
    //# requests if all of those requests have idempotent methods
    pub(crate) fn may_retry(&self) -> bool {
        if !self.broken || self.received || !self.body_whole {
            return false;
        }
        // On a new connection, closing without an answer *is* the server's answer.
        !self.sent || (self.reused && self.idempotent)
    }
}

/// Whether carrying a request out several times has the effect of doing it once.
///
//= https://www.rfc-editor.org/rfc/rfc9110#section-9.2.2
//# Of the request methods defined by this specification, PUT, DELETE, and
//# safe request methods are idempotent.
pub(crate) fn is_idempotent(method: &Method) -> bool {
    [Method::GET, Method::HEAD, Method::OPTIONS, Method::TRACE, Method::PUT, Method::DELETE]
        .contains(method)
}

#[cfg(test)]
mod tests {
    use super::*;

    const STALE: Attempt = Attempt {
        broken: true,
        reused: true,
        sent: true,
        received: false,
        body_whole: true,
        idempotent: true,
    };

    #[test]
    fn a_stale_connection_is_retried_for_idempotent_methods_only() {
        assert!(STALE.may_retry());
        assert!(!Attempt { idempotent: false, ..STALE }.may_retry());
    }

    #[test]
    fn a_request_of_which_nothing_was_sent_is_retried_whatever_its_method() {
        let unsent = Attempt { sent: false, idempotent: false, ..STALE };
        assert!(unsent.may_retry() && unsent.is_unseen());
        assert!(Attempt { reused: false, ..unsent }.may_retry());
    }

    #[test]
    fn nothing_is_retried_after_a_byte_of_the_response() {
        assert!(!Attempt { received: true, ..STALE }.may_retry());
    }

    #[test]
    fn a_new_connection_that_is_closed_is_an_answer() {
        assert!(!Attempt { reused: false, ..STALE }.may_retry());
    }

    #[test]
    fn a_body_that_was_begun_is_not_sent_again() {
        assert!(!Attempt { body_whole: false, ..STALE }.may_retry());
    }

    #[test]
    fn timeouts_and_protocol_errors_are_not_retried() {
        assert!(!Attempt { broken: false, ..STALE }.may_retry());
    }

    #[test]
    fn post_and_patch_are_not_idempotent() {
        assert!(is_idempotent(&Method::GET) && is_idempotent(&Method::DELETE));
        assert!(!is_idempotent(&Method::POST) && !is_idempotent(&Method::PATCH));
        assert!(!is_idempotent(&Method::from_bytes(b"BREW").unwrap()));
    }
}
