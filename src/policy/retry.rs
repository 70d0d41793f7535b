//! Whether a request whose attempt came to nothing may be sent again.
//!
//! The danger is that a request is carried out twice. It is not there if the server cannot have
//! seen any of it; it does not matter if the request may be repeated.

use http::header::{CONNECTION, EXPECT, HeaderName};
use http::{HeaderMap, Method, StatusCode};

use crate::config::Retry;
use crate::event::RetryReason;

/// How an attempt ended that did not come to a good answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ended {
    /// The connection failed or was closed; or bytes lay on it that nobody had asked for.
    Broken,
    /// The time of a step was up, and not that of the whole.
    Stalled,
    /// In any other error: the protocol's, the caller's, or the deadline of the whole.
    Fault,
    /// With this answer; and the server said that it closes the connection.
    Answered(StatusCode, bool),
}

/// What is known of an attempt that has ended.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Attempt {
    pub(crate) ended: Ended,
    /// The connection was open already, and not made for this request.
    pub(crate) reused: bool,
    /// The kernel took a byte of the request.
    pub(crate) sent: bool,
    /// A byte of the response came.
    pub(crate) received: bool,
    /// The whole of the caller's body can be sent.
    pub(crate) replayable: bool,
    /// Carrying the request out twice is the same as once.
    pub(crate) repeatable: bool,
    /// It was sent with `Expect: 100-continue`.
    pub(crate) expects: bool,
}

impl Attempt {
    /// Why to send the request again; `None` if it must not be.
    ///
    //= https://www.rfc-editor.org/rfc/rfc9112#section-9.3.1
    //# When an inbound connection is closed prematurely, a client MAY open a
    //# new connection and automatically retransmit an aborted sequence of
    //# requests if all of those requests have idempotent methods
    pub(crate) fn reason(&self, retry: &Retry) -> Option<RetryReason> {
        if !self.replayable {
            return None;
        }
        match self.ended {
            Ended::Fault => None,
            Ended::Answered(status, closes) => self.reason_of_answer(retry, status, closes),
            // Whatever came was no answer to a request of which nothing was sent.
            Ended::Broken if !self.sent && self.reused => Some(RetryReason::Stale),
            Ended::Broken if !self.sent => Some(RetryReason::Unsent),
            _ if self.received || !self.repeatable => None,
            Ended::Broken if self.reused => Some(RetryReason::Stale),
            // On a new connection, closing without an answer *is* the server's answer; unless the
            // caller says otherwise.
            Ended::Broken | Ended::Stalled => retry.on_no_answer.then_some(RetryReason::NoAnswer),
        }
    }

    fn reason_of_answer(
        &self,
        retry: &Retry,
        status: StatusCode,
        closes: bool,
    ) -> Option<RetryReason> {
        //= https://www.rfc-editor.org/rfc/rfc9110#section-10.1.1
        //# A client that receives a 417 (Expectation Failed) status code in response to a request
        //# containing a 100-continue expectation SHOULD repeat that request without a 100-continue
        //# expectation
        if status == StatusCode::EXPECTATION_FAILED && self.expects {
            return Some(RetryReason::Expectation);
        }
        if !self.repeatable {
            return None;
        }
        //= https://www.rfc-editor.org/rfc/rfc9110#section-15.5.9
        //# If the client has an outstanding request in transit, it MAY repeat that request. If the
        //# current connection is not usable (e.g., as it would be in HTTP/1.1 because request
        //# delimitation is lost), a new connection will be used.
        if status == StatusCode::REQUEST_TIMEOUT && closes && self.reused {
            return Some(RetryReason::Stale);
        }
        retry.statuses.contains(&status.as_u16()).then_some(RetryReason::Status(status))
    }
}

/// Whether there is anything to think about with this answer: nearly always there is not.
pub(crate) fn concerns(retry: &Retry, status: StatusCode) -> bool {
    [StatusCode::REQUEST_TIMEOUT, StatusCode::EXPECTATION_FAILED].contains(&status)
        || retry.statuses.contains(&status.as_u16())
}

/// Whether another try is the price of keeping connections, which is the pool's, and not that of a
/// server in trouble, which the budget of retries is for.
pub(crate) fn is_free(reason: RetryReason) -> bool {
    reason == RetryReason::Stale
}

/// Whether carrying a request out several times has the effect of doing it once. What the caller
/// says of it counts before all else.
pub(crate) fn is_repeatable(method: &Method, headers: &HeaderMap, says: Option<bool>) -> bool {
    let keys = [
        const { HeaderName::from_static("idempotency-key") },
        const { HeaderName::from_static("x-idempotency-key") },
    ];
    let derived = || is_idempotent(method) || keys.iter().any(|key| headers.contains_key(key));
    says.unwrap_or_else(derived)
}

//= https://www.rfc-editor.org/rfc/rfc9110#section-9.2.2
//# Of the request methods defined by this specification, PUT, DELETE, and
//# safe request methods are idempotent.
fn is_idempotent(method: &Method) -> bool {
    [Method::GET, Method::HEAD, Method::OPTIONS, Method::TRACE, Method::PUT, Method::DELETE]
        .contains(method)
}

/// Whether the server says that it closes the connection.
pub(crate) fn closes(headers: &HeaderMap) -> bool {
    has_token(headers, &CONNECTION, "close")
}

/// Whether the request asks for leave to send its body.
pub(crate) fn expects_continue(headers: &HeaderMap) -> bool {
    has_token(headers, &EXPECT, "100-continue")
}

fn has_token(headers: &HeaderMap, name: &HeaderName, token: &str) -> bool {
    let lines = headers.get_all(name).into_iter();
    let mut members = lines.flat_map(|line| line.as_bytes().split(|byte| *byte == b','));
    members.any(|member| member.trim_ascii().eq_ignore_ascii_case(token.as_bytes()))
}

#[cfg(test)]
mod tests;
