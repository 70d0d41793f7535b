//! Reads the counters and gates into snapshots.

use std::time::Duration;

use super::backend::Backend;
use super::directory::Directory;
use super::roster::Entry;
use super::tally::{Count, Counted};
use crate::metrics::{CheckReport, Destroyed, Metrics, ServerStats};
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
        Metrics {
            total_connections: total,
            active_connections: active,
            idle_connections: idle,
            connecting,
            connections_created: counted.of(Count::Created),
            connections_destroyed: counted.closed(),
            destroyed: destroyed(&counted),
            connections_reused: counted.of(Count::Reused),
            connects: counted.of(Count::Dials),
            connect_errors: counted.of(Count::DialErrors),
            connects_cancelled: counted.of(Count::DialsCancelled),
            total_requests: counted.of(Count::Requests),
            successful_requests: counted.of(Count::Succeeded),
            failed_requests: counted.of(Count::Failed),
            cancelled_requests: counted.of(Count::Cancelled),
            timeouts: counted.of(Count::Timeouts),
            in_flight: in_flight(&counted),
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
            health_checks: counted.of(Count::Checks),
            health_checks_success: counted.of(Count::ChecksOk),
            health_checks_failed: counted.of(Count::ChecksFailed),
            health_checks_running: counted
                .of(Count::Checks)
                .saturating_sub(counted.of(Count::ChecksOk))
                .saturating_sub(counted.of(Count::ChecksFailed))
                .saturating_sub(counted.of(Count::ChecksCancelled)),
            ejections: counted.of(Count::Ejections),
            // Ordering: Acquire, as the driver's callers do; here it is only told.
            background: hub.driven.load(Ordering::Acquire),
        }
    }

    pub(crate) fn server_stats(&self) -> Vec<ServerStats> {
        let entries = self.roster.with(|roster| roster.entries().clone());
        let now = self.hub.tick();
        entries.iter().map(|entry| stats(entry, now)).collect()
    }
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
        weight: terms.weight,
        tier: terms.tier,
        tags: terms.tags.iter().map(|tag| (**tag).to_owned()).collect(),
        total_requests: counted.of(Count::Requests),
        successful_requests: counted.of(Count::Succeeded),
        failed_requests: counted.of(Count::Failed),
        cancelled_requests: counted.of(Count::Cancelled),
        connections_created: counted.of(Count::Created),
        connections_destroyed: counted.closed(),
        connections_reused: counted.of(Count::Reused),
        connect_errors: counted.of(Count::DialErrors),
        in_flight: in_flight(&counted),
        open: u64::from(counts.open),
        max_connections: u64::from(server.gate.ledger.limits().open),
        idle: server.gate.idle.len() as u64,
        connecting: u64::from(counts.connecting),
        waiting: u64::from(counts.waiting),
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
    let ended = [Count::Succeeded, Count::Failed, Count::Cancelled];
    let ended = ended.into_iter().map(|end| counted.of(end)).sum();
    counted.of(Count::Requests).saturating_sub(ended)
}

fn destroyed(counted: &Counted) -> Destroyed {
    Destroyed {
        idle: counted.of(Count::ClosedIdle),
        by_peer: counted.of(Count::ClosedByPeer),
        poisoned: counted.of(Count::ClosedPoisoned),
        not_reusable: counted.of(Count::ClosedNotReusable),
        broken: counted.of(Count::ClosedBroken),
        idle_cap: counted.of(Count::ClosedIdleCap),
        evicted: counted.of(Count::ClosedEvicted),
        shutdown: counted.of(Count::ClosedShutdown),
        discarded: counted.of(Count::ClosedDiscarded),
        limit: counted.of(Count::ClosedLimit),
        lifetime: counted.of(Count::ClosedLifetime),
        max_requests: counted.of(Count::ClosedMaxRequests),
        unhealthy: counted.of(Count::ClosedUnhealthy),
    }
}

/// The servers' averages, each as heavy as its share of the requests.
fn average(servers: &[std::sync::Arc<Backend>]) -> Duration {
    let (mut nanos, mut weight) = (0_u128, 0_u128);
    for server in servers {
        if let Some(average) = server.response_time.value() {
            let requests = u128::from(server.tally.read().of(Count::Requests).max(1));
            nanos += u128::from(average) * requests;
            weight += requests;
        }
    }
    let average = nanos.checked_div(weight).unwrap_or(0);
    Duration::from_nanos(u64::try_from(average).unwrap_or(u64::MAX))
}
