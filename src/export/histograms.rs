//! The histograms: their bounds, and where their values come from.

use std::fmt;

use super::{Bound, Kind, Report, Sink};
use crate::lockfree::histogram::Distribution;
use crate::upstream::Distributions;

/// Nanoseconds in a second, which is what is written.
const NANOS: f64 = 1e9;
/// Milliseconds in a second.
const MILLIS: f64 = 1e3;

/// Of requests and their steps: OpenTelemetry's advice for `http.client.request.duration`, with
/// three more below.
const STEPS: [Bound; 17] = [
    ("0.0005", 500_000),
    ("0.001", 1_000_000),
    ("0.0025", 2_500_000),
    ("0.005", 5_000_000),
    ("0.01", 10_000_000),
    ("0.025", 25_000_000),
    ("0.05", 50_000_000),
    ("0.075", 75_000_000),
    ("0.1", 100_000_000),
    ("0.25", 250_000_000),
    ("0.5", 500_000_000),
    ("0.75", 750_000_000),
    ("1", 1_000_000_000),
    ("2.5", 2_500_000_000),
    ("5", 5_000_000_000),
    ("7.5", 7_500_000_000),
    ("10", 10_000_000_000),
];

/// Of connections: OpenTelemetry's advice for `http.client.connection.duration`.
const AGES: [Bound; 14] = [
    ("0.01", 10),
    ("0.02", 20),
    ("0.05", 50),
    ("0.1", 100),
    ("0.2", 200),
    ("0.5", 500),
    ("1", 1000),
    ("2", 2000),
    ("5", 5000),
    ("10", 10_000),
    ("30", 30_000),
    ("60", 60_000),
    ("120", 120_000),
    ("300", 300_000),
];

/// Of requests on a connection.
const USES: [Bound; 11] = [
    ("0", 0),
    ("1", 1),
    ("2", 2),
    ("5", 5),
    ("10", 10),
    ("25", 25),
    ("100", 100),
    ("250", 250),
    ("1000", 1000),
    ("10000", 10_000),
    ("100000", 100_000),
];

/// A histogram: name, help, bounds, unit, values.
type Family =
    (&'static str, &'static str, &'static [Bound], f64, fn(&Distributions) -> &Distribution);

const FAMILIES: [Family; 6] = [
    (
        "http_client_request_duration_seconds",
        "From the call to the end of the response or to the error.",
        &STEPS,
        NANOS,
        |d| &d.request,
    ),
    (
        "http_client_request_time_in_queue_seconds",
        "Waiting for a connection to come free, of the callers who waited.",
        &STEPS,
        NANOS,
        |d| &d.queue_wait,
    ),
    (
        "evenkeel_pool_response_head_duration_seconds",
        "From the first byte of a request to the head of its response.",
        &STEPS,
        NANOS,
        |d| &d.response_head,
    ),
    (
        "evenkeel_pool_connect_duration_seconds",
        "Resolving and connecting, where a connection came of it.",
        &STEPS,
        NANOS,
        |d| &d.connect,
    ),
    (
        "http_client_connection_duration_seconds",
        "The age of connections when they were closed.",
        &AGES,
        MILLIS,
        |d| &d.connection_age,
    ),
    (
        "evenkeel_pool_connection_requests",
        "The requests that connections had carried when they were closed.",
        &USES,
        1.0,
        |d| &d.connection_uses,
    ),
];

pub(super) fn histograms(sink: &mut dyn Sink, reports: &[Report<'_>]) -> fmt::Result {
    for (name, help, bounds, unit, values) in FAMILIES {
        sink.family(name, Kind::Histogram, help)?;
        for report in reports {
            sink.histogram(report.name, bounds, values(&report.distributions), unit)?;
        }
    }
    Ok(())
}
