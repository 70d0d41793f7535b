//! The second step of a dial: several addresses are tried, and the first that answers wins.
//!
//! Happy Eyeballs, RFC 8305 §5: an address that has not answered after a short while is not given
//! up, but the next one is tried beside it, and at once if one fails. All attempts belong to one
//! dial, and so to one permit: the losers are closed before the winner is handed on.

use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::task::{Context, Poll};
use std::time::Instant;

use super::error::{DialError, Failures};
use super::{Limit, Setting};
use crate::rt::{BoxFuture, Target, Transport};

/// Connects to the first of `addrs` that takes it. They are tried in their order.
pub(super) async fn connect(
    setting: &Setting<'_>,
    host: &str,
    addrs: &[SocketAddr],
    limit: &mut Limit<'_>,
) -> Result<Box<dyn Transport>, DialError> {
    let targets: Vec<Target> = addrs.iter().map(|addr| setting.target(*addr, host)).collect();
    let mut race = Race {
        setting,
        waiting: targets.iter(),
        running: Vec::with_capacity(setting.dialling.attempts_at_once),
        next_at: limit.now(),
        failures: Failures::default(),
    };
    match poll_fn(|cx| race.poll(limit, cx)).await {
        Outcome::Connected(transport) => Ok(transport),
        Outcome::Failed => Err(race.failures.refused(host)),
        Outcome::TooLate => {
            for attempt in &race.running {
                race.failures.late(attempt.target);
            }
            Err(race.failures.too_late(host))
        }
    }
}

struct Race<'a, 'b> {
    setting: &'b Setting<'a>,
    /// What has not been tried yet.
    waiting: std::slice::Iter<'b, Target>,
    /// The oldest first.
    running: Vec<Attempt<'b>>,
    /// When the next one is tried, if there is room for it.
    next_at: Instant,
    failures: Failures,
}

struct Attempt<'b> {
    target: &'b Target,
    connect: BoxFuture<'b, io::Result<Box<dyn Transport>>>,
    /// When it must make room for another, if there is none otherwise.
    share_ends: Instant,
}

enum Outcome {
    Connected(Box<dyn Transport>),
    Failed,
    TooLate,
}

impl Race<'_, '_> {
    fn poll(&mut self, limit: &mut Limit<'_>, cx: &mut Context<'_>) -> Poll<Outcome> {
        loop {
            // The work goes first: what is done is not too late.
            if let Some(transport) = self.poll_attempts(cx) {
                return Poll::Ready(Outcome::Connected(transport));
            }
            let now = limit.now();
            // However late it is, one address is tried.
            let is_first = self.running.is_empty() && self.failures.is_empty();
            if !is_first && now >= limit.deadline() {
                return Poll::Ready(Outcome::TooLate);
            }
            if self.waiting.as_slice().is_empty() && self.running.is_empty() {
                return Poll::Ready(Outcome::Failed);
            }
            if self.start_due(now, limit.deadline()) {
                continue;
            }
            let deadline = limit.deadline();
            let wake = self.next_event().map_or(deadline, |at| at.min(deadline));
            if limit.poll_at(wake, cx).is_pending() {
                return Poll::Pending;
            }
        }
    }

    /// The first connection, if one is there. Attempts that fail are noted and forgotten.
    fn poll_attempts(&mut self, cx: &mut Context<'_>) -> Option<Box<dyn Transport>> {
        let mut at = 0;
        while let Some(attempt) = self.running.get_mut(at) {
            match attempt.connect.as_mut().poll(cx) {
                Poll::Pending => at += 1,
                Poll::Ready(Ok(transport)) => return Some(transport),
                Poll::Ready(Err(error)) => {
                    let failed = self.running.remove(at);
                    self.failures.note(&failed.target.addr, error);
                    // The next is tried at once.
                    self.next_at = self.next_at.min(self.setting.runtime.timer().now());
                }
            }
        }
        None
    }

    /// Tries the next address, if it is time for that; whether it was.
    fn start_due(&mut self, now: Instant, deadline: Instant) -> bool {
        if self.next_event().is_none_or(|at| at > now) {
            return false;
        }
        let most = self.setting.dialling.attempts_at_once;
        if self.running.len() >= most {
            let oldest = self.running.remove(0);
            self.failures.late(oldest.target);
        }
        let Some(target) = self.waiting.next() else {
            return false;
        };
        let left = self.waiting.len() + self.running.len() + 1;
        let share_ends = share_end(now, deadline, left.div_ceil(most));
        let connect = self.setting.runtime.dialler().connect(target);
        self.running.push(Attempt { target, connect, share_ends });
        self.next_at = now + self.setting.dialling.attempt_delay;
        true
    }

    /// When the next address is to be tried; `None` if there is none.
    fn next_event(&self) -> Option<Instant> {
        if self.waiting.as_slice().is_empty() {
            return None;
        }
        let is_full = self.running.len() >= self.setting.dialling.attempts_at_once;
        let room_at = self.running.first().filter(|_| is_full).map(|oldest| oldest.share_ends);
        Some(room_at.map_or(self.next_at, |at| at.max(self.next_at)))
    }
}

/// When an attempt must make room, if as many `rounds` of attempts are still to come, its own
/// included.
fn share_end(now: Instant, deadline: Instant, rounds: usize) -> Instant {
    let rounds = u32::try_from(rounds).unwrap_or(u32::MAX);
    match deadline.checked_duration_since(now) {
        // The last share is set to the deadline itself: no rounding may cut it short.
        Some(remaining) if rounds > 1 => now + remaining / rounds,
        _ => deadline,
    }
}
