//! What has happened in the pool of late: an [`Observer`] that keeps the last few events.

#![expect(clippy::disallowed_methods, reason = "the example's own stopwatch")]
#![expect(clippy::disallowed_types, reason = "few events are kept, so few callers take it")]

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard};
use std::time::Instant;

use evenkeel::{CloseReason, Event, FailureCause, Observer, RequestOutcome};
use serde_json::{Value, json};

use crate::state;

/// How many events are kept.
const KEPT: usize = 60;

/// One that comes again within so many seconds is counted, not told again.
const SAME: f64 = 5.0;

/// The last events.
pub(crate) struct Events {
    began: Instant,
    ring: Mutex<Ring>,
}

#[derive(Default)]
struct Ring {
    told: u64,
    entries: VecDeque<Entry>,
}

struct Entry {
    number: u64,
    /// Seconds since the start.
    at: f64,
    server: String,
    text: String,
    level: Level,
    times: u64,
}

/// How an event is shown: the name is that of a class of the page.
#[derive(Clone, Copy)]
enum Level {
    Plain,
    Good,
    Warn,
    Bad,
}

impl Events {
    pub(crate) fn new() -> Self {
        Self { began: Instant::now(), ring: Mutex::default() }
    }

    /// All that are kept, the oldest first.
    pub(crate) fn json(&self) -> Vec<Value> {
        let entry = |entry: &Entry| {
            json!({
                "number": entry.number, "at": entry.at, "server": entry.server,
                "text": entry.text, "level": entry.level.class(), "times": entry.times,
            })
        };
        self.ring().entries.iter().map(entry).collect()
    }

    fn note(&self, server: &str, text: String, level: Level) {
        let at = self.began.elapsed().as_secs_f64();
        let mut ring = self.ring();
        let mut recent = ring.entries.iter_mut().rev().take_while(|entry| at - entry.at < SAME);
        let server = server.trim_start_matches("http://");
        if let Some(same) = recent.find(|entry| entry.server == server && entry.text == text) {
            same.times += 1;
            return;
        }
        ring.told += 1;
        let number = ring.told;
        if ring.entries.len() == KEPT {
            ring.entries.pop_front();
        }
        ring.entries.push_back(Entry { number, at, server: server.into(), text, level, times: 1 });
    }

    fn ring(&self) -> MutexGuard<'_, Ring> {
        self.ring.lock().expect("no thread panics while it holds the lock")
    }
}

impl Level {
    fn class(self) -> &'static str {
        match self {
            Self::Plain => "",
            Self::Good => "good",
            Self::Warn => "warn",
            Self::Bad => "bad",
        }
    }
}

impl Observer for Events {
    fn observe(&self, event: &Event<'_>) {
        match event {
            Event::ServerAdded { url, .. } => self.note(url, "added".into(), Level::Plain),
            Event::ServerRemoved { url, .. } => self.note(url, "removed".into(), Level::Plain),
            Event::HealthChanged { url, to, why, .. } => {
                let level = match state::level(*to) {
                    "up" => Level::Good,
                    "down" => Level::Bad,
                    _ => Level::Warn,
                };
                self.note(url, format!("{to}: {why}"), level);
            }
            Event::StateChanged { url, state, .. } => {
                self.note(url, format!("is to be {state}"), Level::Plain);
            }
            Event::PanicBegan => {
                self.note("", "too few servers are well: all are used".into(), Level::Bad);
            }
            Event::PanicEnded => {
                self.note("", "enough servers are well again".into(), Level::Good);
            }
            Event::DialsPaused { url, .. } => {
                self.note(url, "connects failed: paused for a while".into(), Level::Warn);
            }
            Event::QueueFull { url, .. } => {
                self.note(url, "turned away: too many in line".into(), Level::Warn);
            }
            Event::ConnectionClosed {
                url,
                reason: reason @ (CloseReason::Peer | CloseReason::Broken | CloseReason::Poisoned),
                ..
            } => {
                let text = format!("connection closed: {}", reason.as_str());
                self.note(url, text, Level::Plain);
            }
            // The line says so itself.
            Event::RequestDone {
                outcome: RequestOutcome::Failed(FailureCause::QueueFull), ..
            } => {}
            Event::RequestDone { url, outcome: RequestOutcome::Failed(cause), .. } => {
                let text = format!("request failed: {}", cause.as_str());
                self.note(url.unwrap_or_default(), text, Level::Bad);
            }
            Event::CheckoutHeld { url, held, .. } => {
                self.note(url, format!("checkout held for {held:?}"), Level::Warn);
            }
            Event::DrainBegun { on_loan, .. } => {
                self.note("", format!("shutting down, {on_loan} on loan"), Level::Warn);
            }
            _ => {}
        }
    }
}
