//! [`Tries`]: what a request has been through, and whether and when it is sent again.

use std::future::poll_fn;
use std::task::Poll;
use std::time::{Duration, Instant, SystemTime};

use http::header::EXPECT;
use http::request::Parts;
use http::{HeaderMap, Response};

use super::exchange::{self, Nth, Plan};
use crate::config::FOREVER;
use crate::conn::{ExchangeError, ExchangeErrorKind};
use crate::error::{Error, ErrorKind};
use crate::event::{Event, FailureCause, RetryReason};
use crate::lockfree::lifecycle::State;
use crate::policy::backoff;
use crate::policy::retry::{self, Attempt, Ended};
use crate::server::ServerId;
use crate::upstream::{Backend, Count, Directory, Hub, Lease, Trust, Wish};

/// A server that asks for more time than this is not waited for.
const LONGEST_PAUSE: Duration = Duration::from_secs(300);

/// How often connections that had gone stale are made up for. Of the first one's server only a new
/// connection will do; after the second only a new one at all, and that cannot be stale.
const MAX_STALE: u32 = 2;

/// The attempts at a request.
#[derive(Default)]
pub(super) struct Tries {
    /// Servers that are passed over: those that could not be connected to, and `Past::failed`.
    tried: Vec<ServerId>,
    /// In a box, since most requests have none.
    past: Option<Box<Past>>,
}

/// What became of the attempts before this one.
#[derive(Default)]
struct Past {
    /// How many there were, but those of stale connections.
    sent: u32,
    stale: u32,
    /// The server of the last connection that was stale.
    stale_at: Option<ServerId>,
    /// Whether a server may have acted on one of them.
    seen: bool,
    /// Servers that were asked in vain, and are passed over as long as there are others.
    failed: Vec<ServerId>,
    /// How often it has come back to servers that it had been to.
    returns: u32,
    /// None of them wants to be asked again before.
    until: Option<Instant>,
    /// The request's fields, if they are not to be sent as they are.
    headers: Option<HeaderMap>,
}

/// An attempt that may not have been the last.
pub(super) struct Last<'a> {
    pub(super) parts: &'a Parts,
    pub(super) result: &'a Result<Response<()>, ExchangeError>,
    pub(super) lease: &'a Lease,
    /// All of the body can be sent.
    pub(super) replayable: bool,
}

/// How a request goes on.
pub(super) struct Again {
    pub(super) reason: RetryReason,
    pub(super) pause: Duration,
}

impl Tries {
    /// What is asked of the servers now.
    #[inline]
    pub(super) fn wish<'w>(&'w mut self, plan: &'w Plan<'_>, hub: &Hub) -> Wish<'w> {
        if self.past.is_none() {
            return plan.wish(&mut self.tried);
        }
        self.wish_again(plan, hub)
    }

    #[cold]
    fn wish_again<'w>(&'w mut self, plan: &'w Plan<'_>, hub: &Hub) -> Wish<'w> {
        let Some(past) = &self.past else {
            return plan.wish(&mut self.tried);
        };
        let trust = match past.stale_at {
            None => Trust::All,
            Some(_) if past.stale == MAX_STALE => Trust::New,
            Some(server) => Trust::AllBut(server),
        };
        Wish { trust, ..plan.wish_now(hub, &mut self.tried) }
    }

    /// The attempt that begins with this connection.
    #[inline]
    pub(super) fn nth<'h>(&'h self, lease: &Lease, parts: &'h Parts) -> Nth<'h> {
        let own = self.past.as_ref().and_then(|past| past.headers.as_ref());
        let headers = own.unwrap_or(&parts.headers);
        Nth { number: self.count() + 1, reused: lease.is_reused(), headers }
    }

    /// How many connections have been tried: those that came to nothing, and those that never came
    /// about.
    #[inline]
    pub(super) fn count(&self) -> u32 {
        let tried = u32::try_from(self.tried.len()).unwrap_or(u32::MAX);
        self.past.as_ref().map_or(tried, |past| {
            let failed = u32::try_from(past.failed.len()).unwrap_or(u32::MAX);
            past.sent + past.stale + tried.saturating_sub(failed)
        })
    }

    /// Whether a server may have acted on an attempt before this one.
    fn were_seen(&self) -> bool {
        self.past.as_ref().is_some_and(|past| past.seen)
    }

    /// What the caller is told when no connection could be had.
    pub(super) fn no_connection(&self, error: Error) -> Error {
        let safe = error.is_retry_safe() && !self.were_seen();
        error.after_attempts(self.count()).retry_safe(safe)
    }

    /// What the caller is told when the last attempt, which had this number, has failed.
    pub(super) fn failed(&self, lease: &mut Lease, error: ExchangeError, number: u32) -> Error {
        if error.is_broken() {
            lease.mark_broken();
        }
        let unseen = !error.sent && !self.were_seen();
        exchange::failed(lease, error, unseen).after_attempts(number)
    }

    /// Whether to make another attempt after the last, and when.
    #[cold]
    pub(super) fn again(
        &mut self,
        directory: &Directory,
        plan: &Plan<'_>,
        last: &Last<'_>,
    ) -> Option<Again> {
        let hub = &*directory.hub;
        let policy = plan.retry(hub);
        if last.result.as_ref().is_ok_and(|head| !retry::concerns(policy, head.status())) {
            return None;
        }
        let attempt = last.attempt(plan, self.headers(last.parts));
        let reason = attempt.reason(policy).filter(|_| policy.max_attempts > 1)?;
        let now = hub.now();
        let pause = self.pause(directory, plan, last, reason, now)?;
        now.checked_add(pause).filter(|then| plan.lasts_until(*then))?;
        let past = self.past.get_or_insert_default();
        if retry::is_free(reason) {
            past.stale += 1;
            past.stale_at = Some(last.lease.backend().id);
            hub.tally.incr(Count::StaleRetries);
        } else if hub.budget.withdraw(hub.tick()) {
            past.sent += 1;
            hub.tally.incr(Count::Retries);
        } else {
            hub.tally.incr(Count::RetriesRefused);
            return None;
        }
        past.seen |= attempt.sent;
        Some(Again { reason, pause })
    }

    /// How long to wait before the next attempt; `None` if there have been enough, or it would be
    /// too long. From here on it is known where that attempt may go.
    fn pause(
        &mut self,
        directory: &Directory,
        plan: &Plan<'_>,
        last: &Last<'_>,
        reason: RetryReason,
        now: Instant,
    ) -> Option<Duration> {
        let most = plan.retry(&directory.hub).max_attempts;
        let past = self.past.get_or_insert_default();
        if retry::is_free(reason) {
            return (past.stale < MAX_STALE).then_some(Duration::ZERO);
        }
        if past.sent + 1 >= most {
            return None;
        }
        if reason == RetryReason::Expectation {
            let mut headers = last.parts.headers.clone();
            headers.remove(EXPECT);
            past.headers = Some(headers);
            return Some(Duration::ZERO);
        }
        if let Some(asked) = last.asked() {
            past.until = past.until.max(Some(now + asked.min(FOREVER)));
        }
        let server = last.lease.backend().id;
        past.failed.push(server);
        self.tried.push(server);
        if directory.has_another(&plan.wish(&mut self.tried)) {
            return Some(Duration::ZERO);
        }
        self.turn_back(&directory.hub, plan, now)
    }

    /// There is no other server: those that were asked in vain may be asked again, after a pause.
    fn turn_back(&mut self, hub: &Hub, plan: &Plan<'_>, now: Instant) -> Option<Duration> {
        let past = self.past.as_mut()?;
        self.tried.retain(|id| !past.failed.contains(id));
        past.failed.clear();
        let own = backoff::pause(plan.retry(hub), past.returns, hub.throw());
        past.returns += 1;
        let asked = past.until.map_or(Duration::ZERO, |until| until.saturating_duration_since(now));
        Some(own.max(asked)).filter(|pause| *pause <= LONGEST_PAUSE.max(own))
    }

    /// No connection could be had where else the request was to go. How long to wait before it
    /// goes back to the servers that it had been to, if there are any.
    #[cold]
    pub(super) fn back(&mut self, hub: &Hub, plan: &Plan<'_>, error: &Error) -> Option<Duration> {
        let elsewhere = error.is_connect() || error.kind() == ErrorKind::NoServers;
        if !elsewhere || self.past.as_ref().is_none_or(|past| past.failed.is_empty()) {
            return None;
        }
        let now = hub.now();
        let pause = self.turn_back(hub, plan, now)?;
        now.checked_add(pause).filter(|then| plan.lasts_until(*then)).map(|_| pause)
    }

    fn headers<'h>(&'h self, parts: &'h Parts) -> &'h HeaderMap {
        self.past.as_ref().and_then(|past| past.headers.as_ref()).unwrap_or(&parts.headers)
    }
}

impl Last<'_> {
    /// For how long the server asks to be left alone.
    fn asked(&self) -> Option<Duration> {
        let head = self.result.as_ref().ok()?;
        backoff::retry_after(head.headers(), SystemTime::now)
    }

    fn attempt(&self, plan: &Plan<'_>, headers: &HeaderMap) -> Attempt {
        let (ended, sent, received) = match self.result {
            Ok(head) => (Ended::Answered(head.status(), retry::closes(head.headers())), true, true),
            Err(error) => (ended(error), error.sent, error.received),
        };
        Attempt {
            ended,
            reused: self.lease.is_reused(),
            sent,
            received,
            replayable: self.replayable,
            repeatable: retry::is_repeatable(
                &self.parts.method,
                &self.parts.headers,
                plan.says_idempotent(),
            ),
            expects: retry::expects_continue(headers),
        }
    }
}

fn ended(error: &ExchangeError) -> Ended {
    match error.kind {
        _ if error.is_broken() => Ended::Broken,
        ExchangeErrorKind::Stall => Ended::Stalled,
        _ => Ended::Fault,
    }
}

/// Gives up an attempt that was not the last. An answer that the caller does not get is read as far
/// as it is here; the connection goes back, or is closed.
pub(super) fn let_go(mut lease: Lease, result: &Result<Response<()>, ExchangeError>) {
    match result {
        Ok(head) => {
            // For the server it is over. For the pool the request goes on.
            let bad = head.status().is_server_error();
            let outcome = if bad { Count::Failed(FailureCause::Status) } else { Count::Succeeded };
            lease.backend().tally.incr(outcome);
            lease.conn().drain();
        }
        Err(error) if error.is_broken() => lease.mark_broken(),
        Err(_) => {}
    }
}

/// Tells of the next attempt.
pub(super) fn tell(backend: &Backend, attempt: u32, again: &Again) {
    backend.hub.tell(|| Event::Retry {
        id: backend.id,
        url: backend.server.url(),
        attempt,
        reason: again.reason,
        pause: again.pause,
    });
}

/// Waits until it is time for the next attempt, or the pool closes. Nothing is held meanwhile.
pub(super) async fn wait(hub: &Hub, pause: Duration) {
    let Some(until) = hub.now().checked_add(pause).filter(|_| !pause.is_zero()) else {
        return;
    };
    let mut sleep = hub.runtime().timer().sleep_until(until);
    let mut watcher = hub.lifecycle.watch();
    poll_fn(|cx| {
        if watcher.poll_until(cx, |state| state != State::Open).is_ready() {
            return Poll::Ready(());
        }
        sleep.as_mut().poll(cx)
    })
    .await;
}
