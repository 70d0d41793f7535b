//! Keeps `min_idle` connections open to each server, and replaces those that are about to end.

use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use crate::policy::backoff::dial_pause;
use crate::server::ServerId;
use crate::upstream::{Backend, Directory, SpareDial};

/// How soon to look again where there was no room.
const AGAIN: Duration = Duration::from_secs(1);
/// How long to leave a server alone that could not be connected to: at first, and at most.
const SHORTEST: Duration = Duration::from_millis(500);
const LONGEST: Duration = Duration::from_secs(60);

/// What the driver knows of the floors.
#[derive(Default)]
pub(super) struct Keeper {
    dials: Vec<(ServerId, SpareDial)>,
    /// Servers that could not be connected to. One that has left is forgotten.
    pauses: Vec<Pause>,
    /// When to look again, if nothing happens before.
    again: Option<Instant>,
}

struct Pause {
    server: ServerId,
    failures: u32,
    until: Instant,
}

impl Keeper {
    /// When to call [`keep`](Self::keep) again at the latest.
    pub(super) fn again(&self) -> Option<Instant> {
        self.again
    }

    /// Drives the dials that are under way.
    pub(super) fn poll(&mut self, directory: &Directory, cx: &mut Context<'_>) {
        let Self { dials, pauses, .. } = self;
        dials.retain_mut(|(server, dial)| match dial.as_mut().poll(cx) {
            Poll::Pending => true,
            Poll::Ready(Ok(())) => {
                pauses.retain(|pause| pause.server != *server);
                false
            }
            Poll::Ready(Err(_)) => {
                note_failure(pauses, *server, directory);
                false
            }
        });
    }

    /// Begins the dials that are lacking, and drives them once. Whether there was one.
    pub(super) fn keep(&mut self, directory: &Directory, cx: &mut Context<'_>) -> bool {
        let now = directory.hub.now();
        let servers = directory.eligible();
        self.pauses.retain(|pause| servers.iter().any(|known| known.id == pause.server));
        let floor = floor(directory, servers.len());
        self.again = None;
        let before = self.dials.len();
        for backend in &servers {
            // Those that are about to end do not count; there may be as many more.
            let most = floor + backend.ending().min(floor);
            if backend.open() < most {
                let again = self.fill(directory, backend, most, now);
                self.again = Some(self.again.map_or(again, |at| at.min(again)));
            }
        }
        let has_begun = self.dials.len() > before;
        self.poll(directory, cx);
        has_begun
    }

    /// Begins dials to one server; when to look again if they do not end before.
    fn fill(
        &mut self,
        directory: &Directory,
        backend: &Arc<Backend>,
        most: usize,
        now: Instant,
    ) -> Instant {
        let pause = self.pauses.iter().find(|pause| pause.server == backend.id);
        if let Some(pause) = pause.filter(|pause| pause.until > now) {
            return pause.until;
        }
        // One is enough to see whether a server is back.
        let is_trial = pause.is_some();
        if is_trial && self.dials.iter().any(|(server, _)| *server == backend.id) {
            return now + AGAIN;
        }
        while directory.spare_idle() > self.dials.len() {
            let Some(dial) = backend.spare(most) else {
                break;
            };
            self.dials.push((backend.id, dial));
            if is_trial {
                break;
            }
        }
        now + AGAIN
    }
}

/// How many connections are kept open to each server. Not more than may be idle in all, or floors
/// would be filled only to be cut again.
fn floor(directory: &Directory, servers: usize) -> usize {
    let hub = &directory.hub;
    hub.config.min_idle.min(hub.limits().max_idle_connections / servers.max(1))
}

fn note_failure(pauses: &mut Vec<Pause>, server: ServerId, directory: &Directory) {
    let now = directory.hub.now();
    let at = pauses.iter().position(|pause| pause.server == server).unwrap_or_else(|| {
        pauses.push(Pause { server, failures: 0, until: now });
        pauses.len() - 1
    });
    let failed = &mut pauses[at];
    // Those that were begun together fail together, and count once.
    if failed.until <= now {
        failed.failures = failed.failures.saturating_add(1);
        failed.until =
            now + dial_pause(failed.failures - 1, SHORTEST, LONGEST, directory.hub.throw());
    }
}
