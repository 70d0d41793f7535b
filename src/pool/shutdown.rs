//! The end of a pool: drained, then cut.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use super::Inner;
use crate::event::Event;
use crate::lockfree::lifecycle::State;
use crate::lockfree::settle;
use crate::rt::{Background, Sleep};
use crate::sync::Ordering;
use crate::upstream::{Backend, CloseReason, Count, Directory};

/// How long background work that has nothing to do any more is waited for: its executor may not be
/// running.
const PATIENCE: Duration = Duration::from_secs(1);

/// What a shutdown did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ShutdownReport {
    /// Connections on loan when it began, and given back within the time.
    pub completed: u64,
    /// Connections that were still on loan at the end of the time, and cut.
    pub cut: u64,
    /// Idle connections closed.
    pub idle_closed: u64,
    /// Callers in line who were sent away.
    pub waiters_failed: u64,
}

/// What was there when draining began.
#[derive(Debug)]
pub(super) struct Begun {
    on_loan: u64,
    idle_closed: u64,
    waiters_failed: u64,
}

impl Inner {
    pub(super) async fn shutdown(&self, grace: Duration) -> ShutdownReport {
        let hub = &self.directory.hub;
        let deadline = hub.now().checked_add(grace);
        // Told outside of the cell: the observer may come back here.
        let mut begins = false;
        let begun = self.draining.get_or_init(|| {
            begins = true;
            begin(&self.directory)
        });
        if begins {
            let Begun { on_loan, waiters_failed, .. } = *begun;
            hub.tell(|| Event::DrainBegun { on_loan, waiters_failed });
        }

        let timer = hub.runtime().timer();
        let mut sleep = deadline.map(|deadline| timer.sleep_until(deadline));
        // Set once nothing is open any more.
        let mut patience: Option<Pin<Box<dyn Sleep>>> = None;
        let mut watcher = hub.lifecycle.watch();
        let at_rest = || hub.total.in_use() == 0 && !self.is_driven();
        poll_fn(|cx| {
            let done = |state| state == State::Closed || at_rest();
            if watcher.poll_until(cx, done).is_ready() {
                return Poll::Ready(());
            }
            if hub.total.in_use() == 0 {
                let until = hub.now() + PATIENCE;
                let patience = patience.get_or_insert_with(|| timer.sleep_until(until));
                if patience.as_mut().poll(cx).is_ready() {
                    return Poll::Ready(());
                }
            }
            match &mut sleep {
                Some(sleep) => sleep.as_mut().poll(cx),
                None => Poll::Pending,
            }
        })
        .await;
        let mut ends = false;
        let report = self.report.get_or_init(|| {
            ends = true;
            self.report()
        });
        if ends {
            let ShutdownReport { completed, cut, .. } = *report;
            hub.tell(|| Event::DrainEnded { completed, cut });
        }
        let report = report.clone();
        cut(&self.directory);
        report
    }

    /// Whether background work that the pool itself started is still running.
    fn is_driven(&self) -> bool {
        let hub = &self.directory.hub;
        // Ordering: Acquire pairs with the driver's end.
        !matches!(hub.runtime().background(), Background::None)
            && hub.driven.load(Ordering::Acquire)
    }

    fn report(&self) -> ShutdownReport {
        let begun = self.draining.get_or_init(|| begin(&self.directory));
        let cut = on_loan(&self.directory);
        ShutdownReport {
            completed: begun.on_loan.saturating_sub(cut),
            cut,
            idle_closed: begun.idle_closed,
            waiters_failed: begun.waiters_failed,
        }
    }
}

/// How many connections are on loan, once those that are idle have been closed. One that is being
/// opened is on loan to nobody.
fn on_loan(directory: &Directory) -> u64 {
    let counts = |backend: &Arc<Backend>| backend.gate.ledger.counts();
    let all = directory.with_removed();
    all.iter().map(counts).map(|now| u64::from(now.open - now.connecting.min(now.open))).sum()
}

/// Closes the pool to new calls, sends those in line away, and closes what is idle.
fn begin(directory: &Directory) -> Begun {
    let hub = &directory.hub;
    let closed_before = hub.tally.one(Count::Closed(CloseReason::Shutdown));
    hub.lifecycle.drain();
    hub.driver.wake();
    let mut waiters_failed = 0;
    let servers = directory.servers();
    for backend in &servers {
        waiters_failed += u64::from(backend.gate.ledger.counts().waiting);
        settle::shut(&**backend);
    }
    let begun = Begun {
        on_loan: on_loan(directory),
        idle_closed: hub.tally.one(Count::Closed(CloseReason::Shutdown)) - closed_before,
        waiters_failed,
    };
    hub.after_close();
    begun
}

/// Closes the pool at once, and cuts what is on loan.
fn cut(directory: &Directory) {
    close(directory);
    for backend in directory.with_removed() {
        backend.cut();
    }
}

/// Closes the pool at once. What is on loan ends by itself, as long as its time lasts.
pub(super) fn close(directory: &Directory) {
    let hub = &directory.hub;
    let closes = hub.lifecycle.close();
    hub.driver.wake();
    hub.conns.names.abandon();
    for backend in directory.servers() {
        settle::shut(&*backend);
    }
    // Servers that stand in line for a permit would keep themselves, and us, alive.
    while let Some((backend, need)) = hub.total.pop() {
        drop((backend, need));
    }
    if closes {
        hub.tell(|| Event::Closed);
    }
}
