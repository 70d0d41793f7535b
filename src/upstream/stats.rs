//! Reads the counters and gates into snapshots.

use std::sync::Arc;
use std::time::Duration;

use super::backend::Backend;
use super::directory::Directory;
use super::held::Held;
use super::hub::Hub;
use super::roster::Entry;
use super::tally::{Count, Counted};
use crate::conn::BUFFER;
use crate::metrics::{CheckReport, Destroyed, Failures, Metrics, ServerStats};
use crate::sync::Ordering;

impl Directory {
    pub(crate) fn metrics(&self) -> Metrics {
        let hub = &self.hub;
        let counted = hub.tally.read();
        let (servers, fit, unfit) = self.roster.with(|roster| {
            let entries = roster.entries();
            let fit = entries.iter().filter(|entry| entry.is_eligible()).count();
            let in_service = entries.iter().filter(|entry| entry.is_in_service()).count();
            (roster.backends().cloned().collect::<Vec<_>>(), fit, in_service - fit)
        });
        let total = hub.total.in_use();
        let connecting = counted
            .of(Count::Dials)
            .saturating_sub(counted.of(Count::Created))
            .saturating_sub(counted.of(Count::DialErrors))
            .saturating_sub(counted.of(Count::DialsCancelled));
        let idle: u64 = servers.iter().map(|server| server.gate.idle.len() as u64).sum();
        let active = total.saturating_sub(idle).saturating_sub(connecting);
        #[expect(clippy::cast_precision_loss, reason = "both are far below 2^52")]
        let utilization = ((active + connecting) as f64 / f64::from(hub.total.limit())).min(1.0);
        let failures = failures(&counted);
        let now = hub.now();
        // Ordering: Acquire, as the driver's callers do; here it is only told. Relaxed: so is this.
        let background = hub.driven.load(Ordering::Acquire);
        let left = hub.left.load(Ordering::Relaxed);
        Metrics {
            total_connections: total,
            active_connections: active,
            idle_connections: idle,
            connecting,
            max_total_connections: u64::from(hub.total.limit()),
            connections_created: counted.of(Count::Created),
            connections_destroyed: counted.closed(),
            destroyed: destroyed(&counted),
            connections_reused: counted.of(Count::Reused),
            connects: counted.of(Count::Dials),
            connect_errors: counted.of(Count::DialErrors),
            connects_cancelled: counted.of(Count::DialsCancelled),
            total_requests: counted.of(Count::Requests),
            successful_requests: counted.of(Count::Succeeded),
            failed_requests: counted.failed(),
            failures,
            cancelled_requests: counted.of(Count::Cancelled),
            timeouts: failures.timeouts(),
            retries: counted.of(Count::Retries),
            retries_refused: counted.of(Count::RetriesRefused),
            stale_retries: counted.of(Count::StaleRetries),
            in_flight: in_flight(&counted),
            bytes_in: counted.of(Count::BytesIn),
            bytes_out: counted.of(Count::BytesOut),
            waiting: servers.iter().map(|s| u64::from(s.gate.ledger.counts().waiting)).sum(),
            queue_full: counted.of(Count::QueueFull),
            shed: counted.of(Count::Shed),
            grants_reclaimed: counted.of(Count::Reclaimed),
            pool_utilization: utilization,
            average_response_time: average(&servers),
            average_wait_time: Duration::from_nanos(
                counted.of(Count::WaitNanos).checked_div(counted.of(Count::Waits)).unwrap_or(0),
            ),
            max_wait_time: Duration::from_nanos(hub.longest_wait.get()),
            servers: servers.len(),
            healthy_servers: fit,
            unhealthy_servers: unfit,
            ejections: counted.of(Count::Ejections),
            background,
            background_tasks: usize::from(background) + left,
            memory_bytes: memory(hub, &servers, total, in_flight(&counted)) as u64,
            uptime: hub.uptime(now),
            ..self.checks_and_rates(&counted)
        }
    }

    /// What of the figures is about health checks, and what about the time that has just passed.
    fn checks_and_rates(&self, counted: &Counted) -> Metrics {
        let (passed, millis) = self.hub.passed();
        #[expect(clippy::cast_precision_loss, reason = "a share of 2^52 is none")]
        let per_second = |passed: u64| passed as f64 * 1e3 / millis.max(1) as f64;
        let (begun, ok) = (counted.of(Count::Checks), counted.of(Count::ChecksOk));
        let (failed, given_up) =
            (counted.of(Count::ChecksFailed), counted.of(Count::ChecksCancelled));
        Metrics {
            health_checks: begun,
            health_checks_success: ok,
            health_checks_failed: failed,
            health_checks_running: begun.saturating_sub(ok + failed + given_up),
            requests_per_second: per_second(passed.requests),
            bytes_in_per_second: per_second(passed.bytes_in),
            bytes_out_per_second: per_second(passed.bytes_out),
            ..Metrics::default()
        }
    }

    pub(crate) fn server_stats(&self) -> Vec<ServerStats> {
        let entries = self.roster.with(|roster| roster.entries().clone());
        let now = self.hub.tick();
        entries.iter().map(|entry| stats(entry, now)).collect()
    }
}

/// About how much memory there is in all of it.
fn memory(hub: &Hub, servers: &[Arc<Backend>], open: u64, in_flight: u64) -> usize {
    /// Cells and a server's record, as ARCHITECTURE.md has them.
    const CELL: usize = 1_120 / 62 + 16;
    const SERVER: usize = 2048;
    let count = |count: u64| usize::try_from(count).unwrap_or(usize::MAX);
    let buffers = hub.conns.buffers.kept().saturating_add(count(in_flight));
    let of_server =
        |server: &Arc<Backend>| SERVER + server.tally.bytes() + server.gate.idle.cells() * CELL;
    buffers * BUFFER
        + count(open) * size_of::<Held>()
        + servers.iter().map(of_server).sum::<usize>()
        + hub.tally.bytes()
        + hub.histograms.bytes()
}

fn stats(entry: &Entry, now: u64) -> ServerStats {
    let Entry { backend: server, terms, standing, .. } = entry;
    let checked = server.vitals.checked();
    let since = |tick: u64| Duration::from_millis(now.saturating_sub(tick));
    let counted = server.tally.read();
    let counts = server.gate.ledger.counts();
    ServerStats {
        id: server.id,
        url: server.server.url().to_owned(),
        host: server.server.host().to_owned(),
        port: server.server.port(),
        weight: terms.weight,
        tier: terms.tier,
        tags: terms.tags.iter().map(|tag| (**tag).to_owned()).collect(),
        total_requests: counted.of(Count::Requests),
        successful_requests: counted.of(Count::Succeeded),
        failed_requests: counted.failed(),
        failures: failures(&counted),
        cancelled_requests: counted.of(Count::Cancelled),
        bytes_in: counted.of(Count::BytesIn),
        bytes_out: counted.of(Count::BytesOut),
        connections_created: counted.of(Count::Created),
        connections_destroyed: counted.closed(),
        destroyed: destroyed(&counted),
        connections_reused: counted.of(Count::Reused),
        connect_errors: counted.of(Count::DialErrors),
        in_flight: in_flight(&counted),
        open: u64::from(counts.open),
        max_connections: u64::from(server.gate.ledger.limits().open),
        idle: server.gate.idle.len() as u64,
        connecting: u64::from(counts.connecting),
        waiting: u64::from(counts.waiting),
        learned_idle_limit: server.learned_limit(server.hub.tick()).map(Duration::from_millis),
        response_time: server.average_response_time(),
        state: standing.state,
        health: standing.health(now),
        health_age: since(standing.since),
        health_reason: standing.why,
        is_healthy: entry.is_eligible(),
        failure_count: checked.counts.failed,
        failed_in_a_row: server.vitals.failures(),
        last_check: checked.last.map(|(ended, how, took)| CheckReport {
            age: since(ended),
            took,
            failure: how.err(),
        }),
        next_check: checked.next.map(|due| Duration::from_millis(due.saturating_sub(now))),
        health_checks_success: counted.of(Count::ChecksOk),
        health_checks_failed: counted.of(Count::ChecksFailed),
        ejections: counted.of(Count::Ejections),
    }
}

fn in_flight(counted: &Counted) -> u64 {
    let ended = counted.of(Count::Succeeded) + counted.failed() + counted.of(Count::Cancelled);
    counted.of(Count::Requests).saturating_sub(ended)
}

fn destroyed(counted: &Counted) -> Destroyed {
    Destroyed::new(|reason| counted.of(Count::Closed(reason)))
}

fn failures(counted: &Counted) -> Failures {
    Failures::new(|cause| counted.of(Count::Failed(cause)))
}

/// The servers' averages, each as heavy as its share of the requests.
fn average(servers: &[Arc<Backend>]) -> Duration {
    let (mut nanos, mut weight) = (0_u128, 0_u128);
    for server in servers {
        if let Some(average) = server.response_time.value() {
            let requests = u128::from(server.tally.one(Count::Requests).max(1));
            nanos += u128::from(average) * requests;
            weight += requests;
        }
    }
    let average = nanos.checked_div(weight).unwrap_or(0);
    Duration::from_nanos(u64::try_from(average).unwrap_or(u64::MAX))
}
