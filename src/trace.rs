//! Spans and events of the `tracing` crate. Without the feature, nothing.
//!
//! There is a span for each attempt, of the target `evenkeel`, at level INFO. Its fields are those
//! of OpenTelemetry's conventions for HTTP clients: `http.request.method`, `server.address`,
//! `server.port`, `url.full`, `network.protocol.version`, `http.request.resend_count` from the
//! second attempt on, then `http.response.status_code`, or `error.type`, which is one of the names
//! of `FailureCause`, or a status of 400 or more. It lasts until the head of the response is here.
//! A request that is never sent has a span without a server. What an `Observer` is told of
//! connections and of the pool is an event, at level DEBUG. No user info and no query is in any.

#[cfg(feature = "tracing")]
pub(crate) use self::on::{Attempt, event, is_on, unsent};

#[cfg(not(feature = "tracing"))]
pub(crate) use self::off::{Attempt, event, is_on, unsent};

#[cfg(feature = "tracing")]
mod on {
    use std::fmt;

    use http::Uri;
    use http::request::Parts;
    use tracing::field::{Empty, display};
    use tracing::instrument::{Instrument, Instrumented};
    use tracing::{Level, Span};

    use crate::event::{Event, FailureCause};
    use crate::server::Server;

    /// The span of one attempt.
    pub(crate) struct Attempt(Span);

    impl Attempt {
        /// An attempt, the first of which has the number 1.
        pub(crate) fn new(parts: &Parts, server: &Server, number: u32) -> Self {
            let span = tracing::info_span!(
                target: "evenkeel",
                "HTTP",
                "otel.name" = %parts.method,
                "otel.kind" = "client",
                "otel.status_code" = Empty,
                "http.request.method" = %parts.method,
                "server.address" = server.host(),
                "server.port" = server.port(),
                "url.full" = %Redacted(Some(server), &parts.uri),
                "network.protocol.version" = "1.1",
                "http.request.resend_count" = Empty,
                "http.response.status_code" = Empty,
                "error.type" = Empty,
            );
            if number > 1 {
                span.record("http.request.resend_count", number - 1);
            }
            Self(span)
        }

        /// The future that makes the attempt, within the span.
        pub(crate) fn around<F>(&self, exchange: F) -> Instrumented<F> {
            exchange.instrument(self.0.clone())
        }

        pub(crate) fn answered(&self, status: u16) {
            self.0.record("http.response.status_code", status);
            if status >= 400 {
                self.0.record("error.type", display(status));
                self.0.record("otel.status_code", "ERROR");
            }
        }

        pub(crate) fn failed(&self, cause: FailureCause) {
            self.0.record("error.type", cause.as_str());
            self.0.record("otel.status_code", "ERROR");
        }
    }

    /// A request has failed before there was a connection to send it over.
    pub(crate) fn unsent(parts: &Parts, cause: FailureCause) {
        drop(tracing::info_span!(
            target: "evenkeel",
            "HTTP",
            "otel.name" = %parts.method,
            "otel.kind" = "client",
            "otel.status_code" = "ERROR",
            "http.request.method" = %parts.method,
            "url.full" = %Redacted(None, &parts.uri),
            "error.type" = cause.as_str(),
        ));
    }

    /// Whether anybody listens to events.
    pub(crate) fn is_on() -> bool {
        tracing::enabled!(target: "evenkeel", Level::DEBUG)
    }

    /// Tells an event.
    pub(crate) fn event(event: &Event<'_>) {
        macro_rules! tell {
            ($($field:tt)*) => { tracing::debug!(target: "evenkeel", $($field)*) };
        }
        match event {
            Event::ServerAdded { url, .. } => tell!(url, "server added"),
            Event::ServerRemoved { url, .. } => tell!(url, "server removed"),
            Event::HealthChanged { url, from, to, why, .. } => {
                tell!(url, ?from, ?to, ?why, "health changed");
            }
            Event::StateChanged { url, state, .. } => tell!(url, ?state, "state changed"),
            Event::PanicBegan => tell!("panic began"),
            Event::PanicEnded => tell!("panic ended"),
            Event::DialsPaused { url, failures, pause, .. } => {
                tell!(url, failures, ?pause, "dials paused");
            }
            Event::Retry { url, attempt, reason, pause, .. } => {
                tell!(url, attempt, ?reason, ?pause, "request about to be sent again");
            }
            Event::ConnectionOpened { url, took, .. } => tell!(url, ?took, "connection opened"),
            Event::ConnectionClosed { url, reason, age, uses, bytes_in, bytes_out, .. } => {
                let reason = reason.as_str();
                tell!(url, reason, ?age, uses, bytes_in, bytes_out, "connection closed");
            }
            // Its attempts have spans.
            Event::RequestDone { .. } => {}
            Event::QueueFull { url, shed, .. } => tell!(url, shed, "caller turned away"),
            Event::CheckoutHeld { url, held, .. } => tell!(url, ?held, "checkout held for long"),
            Event::DrainBegun { on_loan, waiters_failed } => {
                tell!(on_loan, waiters_failed, "drain begun");
            }
            Event::DrainEnded { completed, cut } => tell!(completed, cut, "drain ended"),
            Event::Closed => tell!("pool closed"),
        }
    }

    /// Where a request goes, without its user info and query.
    struct Redacted<'a>(Option<&'a Server>, &'a Uri);

    impl fmt::Display for Redacted<'_> {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            let Self(server, uri) = self;
            match (uri.authority(), server) {
                (Some(authority), _) => {
                    write!(f, "{}://", uri.scheme_str().unwrap_or("http"))?;
                    f.write_str(authority.as_str().rsplit('@').next().unwrap_or_default())?;
                }
                (None, Some(server)) => f.write_str(server.url())?,
                (None, None) => {}
            }
            f.write_str(uri.path())?;
            if uri.query().is_some() {
                f.write_str("?REDACTED")?;
            }
            Ok(())
        }
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        #[test]
        fn a_url_shows_no_user_info_and_no_query() {
            let server = Server::new("http://10.0.0.1:8080/base").unwrap();
            let rows = [
                ("/a/b?token=1", "http://10.0.0.1:8080/base/a/b?REDACTED"),
                ("/a", "http://10.0.0.1:8080/base/a"),
                ("http://user:word@host:1/a?b", "http://host:1/a?REDACTED"),
                ("http://host/", "http://host/"),
            ];
            for (uri, shown) in rows {
                let uri: Uri = uri.parse().unwrap();
                assert_eq!(Redacted(Some(&server), &uri).to_string(), shown);
            }
            let uri: Uri = "/a?token=1".parse().unwrap();
            assert_eq!(Redacted(None, &uri).to_string(), "/a?REDACTED");
        }
    }
}

#[cfg(not(feature = "tracing"))]
mod off {
    use http::request::Parts;

    use crate::event::{Event, FailureCause};
    use crate::server::Server;

    pub(crate) struct Attempt;

    impl Attempt {
        #[inline]
        pub(crate) fn new(_: &Parts, _: &Server, _: u32) -> Self {
            Self
        }

        #[inline]
        pub(crate) fn around<F>(&self, exchange: F) -> F {
            exchange
        }

        #[inline]
        pub(crate) fn answered(&self, _: u16) {}

        #[inline]
        pub(crate) fn failed(&self, _: FailureCause) {}
    }

    #[inline]
    pub(crate) fn unsent(_: &Parts, _: FailureCause) {}

    #[inline]
    pub(crate) fn is_on() -> bool {
        false
    }

    #[inline]
    pub(crate) fn event(_: &Event<'_>) {}
}
