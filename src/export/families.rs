//! The families: what they are called, what they mean, and where their values come from.

use std::fmt;

use super::Kind::{Counter, Gauge};
use super::{Label, Report, Sink};
use crate::metrics::{Metrics, ServerStats};

/// A family with one value for each pool.
type Plain<T> = (&'static str, &'static str, fn(&Metrics) -> T);

/// A family with one value for each server.
type OfServer = (&'static str, &'static str, fn(&ServerStats) -> u64);

const REQUESTS: [Plain<u64>; 5] = [
    ("evenkeel_pool_requests_total", "Requests begun.", |m| m.total_requests),
    ("evenkeel_pool_requests_succeeded_total", "Requests answered with a status below 500.", |m| {
        m.successful_requests
    }),
    ("evenkeel_pool_requests_cancelled_total", "Requests that their callers gave up.", |m| {
        m.cancelled_requests
    }),
    ("evenkeel_pool_received_bytes_total", "Bytes read from connections.", |m| m.bytes_in),
    ("evenkeel_pool_sent_bytes_total", "Bytes written to connections.", |m| m.bytes_out),
];

const CONNECTIONS: [Plain<u64>; 8] = [
    ("evenkeel_pool_connections_created_total", "Connections made.", |m| m.connections_created),
    (
        "evenkeel_pool_connections_reused_total",
        "Loans of a connection that was open already.",
        |m| m.connections_reused,
    ),
    ("evenkeel_pool_connects_total", "Connects begun.", |m| m.connects),
    ("evenkeel_pool_connect_errors_total", "Connects that failed.", |m| m.connect_errors),
    ("evenkeel_pool_connects_cancelled_total", "Connects that nobody wanted any more.", |m| {
        m.connects_cancelled
    }),
    ("evenkeel_pool_queue_full_total", "Callers turned away because too many waited.", |m| {
        m.queue_full
    }),
    ("evenkeel_pool_shed_total", "Callers turned away for one of a higher priority.", |m| m.shed),
    (
        "evenkeel_pool_grants_reclaimed_total",
        "Grants taken back from callers who did not come.",
        |m| m.grants_reclaimed,
    ),
];

const LEVELS: [Plain<u64>; 6] = [
    ("evenkeel_pool_connections_max", "The limit on open connections.", |m| {
        m.max_total_connections
    }),
    ("evenkeel_pool_pending_requests", "Callers waiting for a connection.", |m| m.waiting),
    ("evenkeel_pool_active_requests", "Requests under way.", |m| m.in_flight),
    ("evenkeel_pool_servers", "Servers in the pool.", |m| m.servers as u64),
    ("evenkeel_pool_background_tasks", "Background tasks that are running.", |m| {
        m.background_tasks as u64
    }),
    ("evenkeel_pool_memory_bytes", "About how much memory the pool takes.", |m| m.memory_bytes),
];

const OF_SERVER: [OfServer; 8] = [
    (
        "evenkeel_server_requests_total",
        "Requests sent to the server, repeated ones included.",
        |s| s.total_requests,
    ),
    (
        "evenkeel_server_requests_succeeded_total",
        "Requests that the server answered with a status below 500.",
        |s| s.successful_requests,
    ),
    (
        "evenkeel_server_requests_cancelled_total",
        "Requests to the server that their callers gave up.",
        |s| s.cancelled_requests,
    ),
    ("evenkeel_server_received_bytes_total", "Bytes read from the server.", |s| s.bytes_in),
    ("evenkeel_server_sent_bytes_total", "Bytes written to the server.", |s| s.bytes_out),
    ("evenkeel_server_connections_created_total", "Connections made to the server.", |s| {
        s.connections_created
    }),
    (
        "evenkeel_server_connections_reused_total",
        "Loans of a connection to the server that was open already.",
        |s| s.connections_reused,
    ),
    ("evenkeel_server_connect_errors_total", "Connects to the server that failed.", |s| {
        s.connect_errors
    }),
];

const LEVELS_OF_SERVER: [OfServer; 4] = [
    ("http_client_active_requests", "Requests under way at the server.", |s| s.in_flight),
    ("evenkeel_server_connections_max", "The limit on open connections to the server.", |s| {
        s.max_connections
    }),
    ("evenkeel_server_pending_requests", "Callers waiting for a connection to the server.", |s| {
        s.waiting
    }),
    ("evenkeel_server_weight", "The weight of the server.", |s| u64::from(s.weight)),
];

/// Requests of the pool, and how they ended.
pub(super) fn requests(sink: &mut dyn Sink, reports: &[Report<'_>]) -> fmt::Result {
    for (name, help, value) in REQUESTS {
        sink.family(name, Counter, help)?;
        for report in reports {
            sink.sample(report.name, &[], value(&report.metrics).into())?;
        }
    }
    let help = "Requests that failed, by what they failed of.";
    sink.family("evenkeel_pool_requests_failed_total", Counter, help)?;
    for report in reports {
        for (cause, count) in report.metrics.failures.iter() {
            sink.sample(report.name, &[("error_type", cause.as_str())], count.into())?;
        }
    }
    Ok(())
}

/// Connections of the pool, and how they ended.
pub(super) fn connections(sink: &mut dyn Sink, reports: &[Report<'_>]) -> fmt::Result {
    for (name, help, value) in CONNECTIONS {
        sink.family(name, Counter, help)?;
        for report in reports {
            sink.sample(report.name, &[], value(&report.metrics).into())?;
        }
    }
    let help = "Connections closed, by the reason.";
    sink.family("evenkeel_pool_connections_closed_total", Counter, help)?;
    for report in reports {
        for (reason, count) in report.metrics.destroyed.iter() {
            sink.sample(report.name, &[("reason", reason.as_str())], count.into())?;
        }
    }
    Ok(())
}

/// What goes up and down.
pub(super) fn levels(sink: &mut dyn Sink, reports: &[Report<'_>]) -> fmt::Result {
    sink.family("evenkeel_pool_connections", Gauge, "Connections by state.")?;
    for report in reports {
        let m = &report.metrics;
        let states = [
            ("active", m.active_connections),
            ("idle", m.idle_connections),
            ("connecting", m.connecting),
        ];
        for (state, count) in states {
            sink.sample(report.name, &[("state", state)], count.into())?;
        }
    }
    for (name, help, value) in LEVELS {
        sink.family(name, Gauge, help)?;
        for report in reports {
            sink.sample(report.name, &[], value(&report.metrics).into())?;
        }
    }
    let help = "The share of the limit on connections that is on loan or being opened.";
    sink.family("evenkeel_pool_utilization_ratio", Gauge, help)?;
    for report in reports {
        sink.sample(report.name, &[], report.metrics.pool_utilization.into())?;
    }
    sink.family("evenkeel_pool_uptime_seconds", Gauge, "How long ago the pool was built.")?;
    for report in reports {
        sink.sample(report.name, &[], report.metrics.uptime.as_secs_f64().into())?;
    }
    Ok(())
}

/// Each server.
pub(super) fn servers(sink: &mut dyn Sink, reports: &[Report<'_>]) -> fmt::Result {
    let tables = [(Counter, &OF_SERVER[..]), (Gauge, &LEVELS_OF_SERVER[..])];
    for (kind, table) in tables {
        for (name, help, value) in table {
            sink.family(name, kind, help)?;
            each_server(reports, |pool, labels, server| {
                sink.sample(pool, labels, value(server).into())
            })?;
        }
    }
    let help = "Requests to the server that failed, by what they failed of.";
    sink.family("evenkeel_server_requests_failed_total", Counter, help)?;
    each_server(reports, |pool, [address, port, url], server| {
        // Those before it was sent are the pool's.
        let at_server = server.failures.iter().filter(|(cause, _)| cause.is_at_server());
        at_server.into_iter().try_for_each(|(cause, count)| {
            let cause = ("error_type", cause.as_str());
            sink.sample(pool, &[*address, *port, *url, cause], count.into())
        })
    })?;
    let help = "Connections to the server that were closed, by the reason.";
    sink.family("evenkeel_server_connections_closed_total", Counter, help)?;
    each_server(reports, |pool, [address, port, url], server| {
        server.destroyed.iter().try_for_each(|(reason, count)| {
            let reason = ("reason", reason.as_str());
            sink.sample(pool, &[*address, *port, *url, reason], count.into())
        })
    })?;
    sink.family("http_client_open_connections", Gauge, "Connections to the server by state.")?;
    each_server(reports, |pool, [address, port, url], server| {
        let busy = server.open.saturating_sub(server.idle).saturating_sub(server.connecting);
        let states = [("active", busy), ("idle", server.idle), ("connecting", server.connecting)];
        states.into_iter().try_for_each(|(state, count)| {
            let state = ("http_connection_state", state);
            sink.sample(pool, &[*address, *port, *url, state], count.into())
        })
    })?;
    let help = "The average time to the head of a response of the server, of late.";
    sink.family("evenkeel_server_response_time_seconds", Gauge, help)?;
    each_server(reports, |pool, labels, server| {
        sink.sample(pool, labels, server.response_time.as_secs_f64().into())
    })
}

/// Calls `write` for each server, with the labels that name it.
fn each_server(
    reports: &[Report<'_>],
    mut write: impl FnMut(&str, &[Label<'_>; 3], &ServerStats) -> fmt::Result,
) -> fmt::Result {
    for report in reports {
        for server in &report.servers {
            let port = server.port.to_string();
            let labels = [
                ("server_address", server.host.as_str()),
                ("server_port", port.as_str()),
                ("server_url", server.url.as_str()),
            ];
            write(report.name, &labels, server)?;
        }
    }
    Ok(())
}
