//! Connections that nobody asked for: opened ahead of need.

use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Context, Poll};

use super::backend::Backend;
use super::dialling::open;
use super::directory::{Directory, closed};
use super::roster::Entry;
use crate::conn::DialError;
use crate::error::Error;
use crate::lockfree::spare;
use crate::metrics::Warmed;
use crate::rt::BoxFuture;

/// A dial that is nobody's. Dropping it gives the permit back.
pub(crate) type SpareDial = BoxFuture<'static, Result<(), DialError>>;

impl Backend {
    /// A dial, if fewer than `most` connections are open, there is room, and nobody wants it more.
    /// The connection is then parked, or given to the first in line.
    pub(crate) fn spare(&self, most: usize) -> Option<SpareDial> {
        let hub = &self.hub;
        if !hub.lifecycle.is_open() {
            return None;
        }
        let permit = spare::spare(self, u32::try_from(most).unwrap_or(u32::MAX))?;
        Some(Box::pin(async move { open(permit, None, None).await.map(drop) }))
    }

    /// How many connections are open or being opened.
    pub(crate) fn open(&self) -> usize {
        self.gate.ledger.counts().open as usize
    }
}

impl Directory {
    /// The servers that may be picked.
    pub(crate) fn eligible(&self) -> Vec<Arc<Backend>> {
        self.roster.with(|roster| {
            let eligible = roster.entries().iter().filter(|entry| entry.is_eligible());
            eligible.map(|Entry { backend, .. }| backend.clone()).collect()
        })
    }

    /// How many idle connections may be added before the longest idle ones are closed for them.
    pub(crate) fn spare_idle(&self) -> usize {
        let idle = usize::try_from(self.hub.tally.idle()).unwrap_or(usize::MAX);
        self.hub.idle_cap().saturating_sub(idle)
    }
}

/// Opens connections until each server that may be picked has `count`, or has no room for them.
///
/// # Cancel safety
/// Dropping the future gives up the dials that are under way; what has been opened stays.
pub(crate) async fn warm(directory: &Directory, count: usize) -> Result<Warmed, Error> {
    let places = directory.eligible().into_iter().map(|backend| Place { backend, left: count });
    let mut warming = Warming {
        directory,
        count,
        places: places.collect(),
        dials: Vec::new(),
        done: Warmed::default(),
    };
    poll_fn(|cx| warming.poll(cx)).await
}

/// A server, and how many dials to it may still be begun.
struct Place {
    backend: Arc<Backend>,
    left: usize,
}

struct Warming<'a> {
    directory: &'a Directory,
    count: usize,
    places: Vec<Place>,
    /// Each with the place that it is for.
    dials: Vec<(usize, SpareDial)>,
    done: Warmed,
}

impl Warming<'_> {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<Warmed, Error>> {
        loop {
            if !self.directory.hub.lifecycle.is_open() {
                return Poll::Ready(Err(closed()));
            }
            let before = self.dials.len();
            self.poll_dials(cx);
            let has_begun = self.begin();
            if self.dials.is_empty() {
                let open = self.places.iter().map(|place| place.backend.open());
                self.done.missing = open.map(|open| self.count.saturating_sub(open)).sum();
                return Poll::Ready(Ok(self.done));
            }
            // What was begun is to be polled, and where a dial has ended there may be room.
            if !has_begun && self.dials.len() == before {
                return Poll::Pending;
            }
        }
    }

    fn poll_dials(&mut self, cx: &mut Context<'_>) {
        let Self { places, dials, done, .. } = self;
        dials.retain_mut(|(at, dial)| match dial.as_mut().poll(cx) {
            Poll::Pending => true,
            Poll::Ready(Ok(())) => {
                done.opened += 1;
                false
            }
            Poll::Ready(Err(_)) => {
                done.failed += 1;
                // What this one could not do, the next one cannot.
                places[*at].left = 0;
                false
            }
        });
    }

    /// Begins as many dials as there is room for. Whether there was one.
    fn begin(&mut self) -> bool {
        let mut has_begun = false;
        for (at, place) in self.places.iter_mut().enumerate() {
            while place.left > 0 && self.directory.spare_idle() > self.dials.len() {
                let Some(dial) = place.backend.spare(self.count) else {
                    break;
                };
                place.left -= 1;
                self.dials.push((at, dial));
                has_begun = true;
            }
        }
        has_begun
    }
}
