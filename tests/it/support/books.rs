//! The sums that must hold whenever a pool is at rest.

use std::future::poll_fn;
use std::task::Poll;

use evenkeel::{Metrics, Pool};

/// Waits until the last dial has ended that a caller has left behind, having been served otherwise.
pub(crate) async fn at_rest(pool: &Pool) -> Metrics {
    loop {
        let metrics = pool.metrics();
        if metrics.connecting == 0 && metrics.active_connections == 0 {
            return metrics;
        }
        let mut yielded = false;
        poll_fn(|cx| {
            if yielded {
                return Poll::Ready(());
            }
            yielded = true;
            cx.waker().wake_by_ref();
            Poll::Pending
        })
        .await;
    }
}

/// Checks every sum of the pool's accounting, with nothing in flight.
///
/// Counters are read one by one, so the sums are exact only while nothing changes them: at rest.
#[track_caller]
pub(crate) fn assert_balanced(metrics: &Metrics) {
    let m = metrics;
    assert_eq!(m.in_flight, 0, "requests are still in flight: {m:?}");
    assert_eq!(m.waiting, 0, "callers still wait: {m:?}");
    assert_eq!(m.connecting, 0, "dials are still under way: {m:?}");
    assert_eq!(m.active_connections, 0, "connections are still leased: {m:?}");
    assert_eq!(
        m.total_requests,
        m.successful_requests + m.failed_requests + m.cancelled_requests,
        "requests = ok + failed + cancelled: {m:?}"
    );
    assert_eq!(m.failed_requests, m.failures.total(), "failed = Σ by cause: {m:?}");
    assert_eq!(m.timeouts, m.failures.timeouts(), "timeouts = Σ of the steps: {m:?}");
    assert_eq!(m.connections_destroyed, m.destroyed.total(), "closed = Σ by reason: {m:?}");
    assert_eq!(
        m.total_connections,
        m.active_connections + m.idle_connections,
        "open = leased + idle: {m:?}"
    );
    assert_eq!(
        m.connections_created,
        m.total_connections + m.connections_destroyed,
        "created = open + closed: {m:?}"
    );
}
