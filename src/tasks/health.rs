//! The prober: checks each server when it is due, each by itself, and not too many at a time.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use fastrand::Rng;
use http::HeaderMap;

use crate::conn::probe;
use crate::health::{jittered, next_in};
use crate::rt::BoxFuture;
use crate::server::{CheckFailure, Health, ServerId};
use crate::upstream::{Backend, CheckResult, Count, Directory, Hub};

/// Within what time after it was added a server is checked for the first time.
const SOON: Duration = Duration::from_secs(1);

pub(super) struct Prober {
    headers: Arc<HeaderMap>,
    rng: Rng,
    /// Of the servers that are known; `None` before the first look.
    edition: Option<u64>,
    patients: BTreeMap<ServerId, Patient>,
    /// Those that are not being checked, by the time at which they are to be.
    due: BTreeSet<(Instant, ServerId)>,
    running: Vec<Check>,
}

struct Patient {
    /// When it is to be checked; `None` while it is.
    due: Option<Instant>,
    /// When the last check began.
    began: Option<Instant>,
    /// How many requests it had had by then.
    requests: u64,
}

/// A check under way. Dropped, it closes its connection.
struct Check {
    id: ServerId,
    began: Instant,
    future: BoxFuture<'static, Result<(), CheckFailure>>,
}

/// Counts how a check has ended, also of a server that has left meanwhile.
struct Counted {
    backend: Arc<Backend>,
    end: Count,
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.backend.hub.count(&self.backend, self.end);
    }
}

impl Prober {
    pub(super) fn new(hub: &Hub) -> Self {
        Self {
            headers: Arc::new(hub.config.health_check.header_map()),
            rng: Rng::with_seed(hub.seed()),
            edition: None,
            patients: BTreeMap::new(),
            due: BTreeSet::new(),
            running: Vec::new(),
        }
    }

    /// When it is to be polled next, if nothing happens before.
    pub(super) fn next(&self, hub: &Hub) -> Option<Instant> {
        if self.running.len() >= hub.config.health_check.max_concurrent {
            return None;
        }
        self.due.first().map(|(time, _)| *time)
    }

    /// Begins what is due, and goes on with what is under way.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>, hub: &Hub, directory: &Directory) {
        let edition = hub.edition();
        if self.edition != Some(edition) {
            self.edition = Some(edition);
            self.meet(hub, directory);
        }
        self.hurry(hub, directory);
        loop {
            let ended = self.go_on(cx, hub);
            if !ended.is_empty() {
                directory.checked(&ended);
                ended.iter().for_each(|result| self.plan(hub, directory, result.id));
            }
            if !self.begin(hub, directory) {
                return;
            }
        }
    }

    /// Takes in who is to be checked now.
    fn meet(&mut self, hub: &Hub, directory: &Directory) {
        let wanted: BTreeSet<ServerId> = directory.to_be_checked().into_iter().collect();
        self.running.retain(|check| wanted.contains(&check.id));
        self.due.retain(|(_, id)| wanted.contains(id));
        self.patients.retain(|id, _| wanted.contains(id));
        let now = hub.now();
        let within = SOON.min(hub.config.health_check.interval);
        for id in wanted {
            if !self.patients.contains_key(&id) {
                // Not all at once: neither those of this pool, nor those of pools that are built
                // together.
                let due = now + within.mul_f64(self.rng.f64());
                self.patients.insert(id, Patient { due: None, began: None, requests: 0 });
                self.schedule(hub, directory, id, due);
            }
        }
    }

    /// Brings those forward whose requests have failed.
    fn hurry(&mut self, hub: &Hub, directory: &Directory) {
        while let Some(id) = hub.hurried.pop() {
            if let Some((backend, _)) = directory.patient(id) {
                backend.hurried();
            }
            let Some(Patient { due: Some(due), began, .. }) = self.patients.get(&id) else {
                continue;
            };
            let check = &hub.config.health_check;
            let fast = check.fast_interval.min(check.interval);
            let now = hub.now();
            let soonest = began.map_or(now, |began| now.max(began + fast));
            if soonest < *due {
                self.schedule(hub, directory, id, soonest);
            }
        }
    }

    fn schedule(&mut self, hub: &Hub, directory: &Directory, id: ServerId, due: Instant) {
        let Some(patient) = self.patients.get_mut(&id) else {
            return;
        };
        if let Some(before) = patient.due.replace(due) {
            self.due.remove(&(before, id));
        }
        self.due.insert((due, id));
        if let Some((backend, _)) = directory.patient(id) {
            let ahead = due.saturating_duration_since(hub.now());
            backend.check_planned(Some(ahead));
        }
    }

    /// Polls what is under way; what has ended.
    fn go_on(&mut self, cx: &mut Context<'_>, hub: &Hub) -> Vec<CheckResult> {
        let mut ended = Vec::new();
        self.running.retain_mut(|check| match check.future.as_mut().poll(cx) {
            Poll::Pending => true,
            Poll::Ready(how) => {
                let took = hub.now().saturating_duration_since(check.began);
                ended.push(CheckResult { id: check.id, how, took });
                false
            }
        });
        ended
    }

    /// Plans the next check of a server whose last one has just ended.
    fn plan(&mut self, hub: &Hub, directory: &Directory, id: ServerId) {
        let (Some((backend, health)), Some(patient)) =
            (directory.patient(id), self.patients.get_mut(&id))
        else {
            return;
        };
        let requests = backend.tally.read().of(Count::Requests);
        let is_idle = requests == patient.requests && health == Health::Up;
        patient.requests = requests;
        let counts = backend.vitals.checked().counts;
        let next = next_in(&hub.config.health_check, health, counts, is_idle);
        let next = jittered(next, self.rng.f64());
        let (now, check) = (hub.now(), &hub.config.health_check);
        let due = patient.began.and_then(|began| began.checked_add(next)).filter(|due| *due > now);
        // One that took longer than that is followed by a pause all the same.
        let due = due.unwrap_or_else(|| now + check.fast_interval.min(check.interval));
        self.schedule(hub, directory, id, due);
    }

    /// Begins what is due; whether that was any.
    fn begin(&mut self, hub: &Hub, directory: &Directory) -> bool {
        let now = hub.now();
        let mut any = false;
        while self.running.len() < hub.config.health_check.max_concurrent {
            let Some(&(time, id)) = self.due.first().filter(|(time, _)| *time <= now) else {
                break;
            };
            self.due.remove(&(time, id));
            let (Some((backend, _)), Some(patient)) =
                (directory.patient(id), self.patients.get_mut(&id))
            else {
                continue;
            };
            (patient.due, patient.began) = (None, Some(now));
            backend.check_planned(None);
            let future = check(backend, self.headers.clone(), now);
            self.running.push(Check { id, began: now, future });
            any = true;
        }
        any
    }
}

fn check(
    backend: Arc<Backend>,
    headers: Arc<HeaderMap>,
    now: Instant,
) -> BoxFuture<'static, Result<(), CheckFailure>> {
    backend.hub.count(&backend, Count::Checks);
    let counted = Counted { backend, end: Count::ChecksCancelled };
    Box::pin(async move {
        let mut counted = counted;
        let backend = &counted.backend;
        let (conns, config) = (&backend.hub.conns, &backend.hub.config);
        let until = now + config.health_check.timeout;
        let tls = backend.tls.as_ref();
        let how = probe(conns, config, &headers, &backend.server, tls, until).await;
        counted.end = if how.is_ok() { Count::ChecksOk } else { Count::ChecksFailed };
        how
    })
}
