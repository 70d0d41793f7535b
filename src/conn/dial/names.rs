//! The addresses of names, shared by all dials of a pool: one look-up at a time for each name, and
//! its answer kept for a while.
//!
//! A look-up belongs to the name, not to the dial that began it: see [`Flight`]. One that all have
//! left stays, and the next dial goes on with it, so a caller that gives up again and again fills
//! no threads with look-ups. If it turns out to have ended long ago it is made anew.

use std::collections::BTreeMap;
use std::fmt;
use std::future::Future;
use std::io;
use std::mem::take;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use super::answers::Answers;
use crate::config::Dialling;
use crate::lockfree::flight::{Flight, Progress};
use crate::lockfree::lifecycle::Watcher;
use crate::lockfree::snapshot::{Change, Snapshot};
use crate::rt::{BoxFuture, Resolved, Runtime};
use crate::sync::{AtomicUsize, Ordering};

/// How many names are kept. Beyond, the one with the oldest answer is forgotten.
const MOST_NAMES: usize = 1024;

/// Addresses that were set by the user; a port of zero stands for the server's.
pub(crate) type Overrides = BTreeMap<String, Vec<SocketAddr>>;

/// The names of a pool.
pub(crate) struct Names {
    overrides: Overrides,
    /// Sorted by host and port.
    known: Snapshot<Vec<Arc<Name>>>,
    most: usize,
}

/// One name, and the one look-up of it.
struct Name {
    host: String,
    port: u16,
    answers: Snapshot<Answers>,
    /// Which address is the first in the next dial.
    turn: AtomicUsize,
    /// How many wait for an answer.
    waiting: AtomicUsize,
    flight: Flight<LookUp>,
}

/// A look-up, and when it began.
struct LookUp {
    future: BoxFuture<'static, io::Result<Resolved>>,
    began: Instant,
}

impl Future for LookUp {
    type Output = (io::Result<Resolved>, Instant);

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let began = self.began;
        self.future.as_mut().poll(cx).map(|found| (found, began))
    }
}

/// The addresses of a name, and whose turn it is to be the first.
pub(super) struct Found {
    pub(super) addrs: Arc<[SocketAddr]>,
    pub(super) turn: usize,
}

impl Names {
    pub(crate) fn new(overrides: Overrides) -> Self {
        Self::with_room(overrides, MOST_NAMES)
    }

    /// With room for so many names.
    pub(super) fn with_room(overrides: Overrides, most: usize) -> Self {
        Self { overrides, known: Snapshot::new(Vec::new()), most }
    }

    /// The addresses of `host`, at least one.
    ///
    /// # Cancel safety
    /// Safe: the look-up goes on with the next who waits, or waits for the next who comes.
    pub(super) async fn resolve(
        &self,
        runtime: &Runtime,
        dialling: &Dialling,
        host: &str,
        port: u16,
    ) -> io::Result<Found> {
        if let Ok(ip) = host.parse::<IpAddr>() {
            return Ok(Found { addrs: [SocketAddr::new(ip, port)].into(), turn: 0 });
        }
        let name = self.name(host, port);
        // Ordering: Relaxed. A counter; it orders nothing.
        let turn = if dialling.spread { name.turn.fetch_add(1, Ordering::Relaxed) } else { 0 };
        if let Some(addrs) = self.overrides.get(host) {
            let with_port = |addr: &SocketAddr| match addr.port() {
                0 => SocketAddr::new(addr.ip(), port),
                _ => *addr,
            };
            return Ok(Found { addrs: addrs.iter().map(with_port).collect(), turn });
        }
        let now = runtime.timer().now();
        let (answer, seen) = name.answers.with(|known| (known.fresh(now), known.edition()));
        let addrs = match answer {
            Some(answer) => answer,
            None => Waiting::new(&name, runtime, dialling, seen).await,
        }?;
        Ok(Found { addrs, turn })
    }

    /// Drops all look-ups. Whoever waits for one begins anew.
    pub(crate) fn abandon(&self) {
        let names = self.known.with(Clone::clone);
        for name in names {
            drop(name.flight.abandon());
        }
    }

    fn name(&self, host: &str, port: u16) -> Arc<Name> {
        let key = |name: &Arc<Name>| (name.host.as_str(), name.port).cmp(&(host, port));
        let found =
            self.known.with(|known| known.binary_search_by(key).ok().map(|at| known[at].clone()));
        if let Some(name) = found {
            return name;
        }
        let new = Arc::new(Name::new(host, port));
        self.known.update(|known| match known.binary_search_by(key) {
            Ok(at) => Change::Keep(known[at].clone()),
            Err(at) => {
                let mut next = known.clone();
                next.insert(at, new.clone());
                if next.len() > self.most {
                    forget_oldest(&mut next, &new);
                }
                Change::Replace(next, new.clone())
            }
        })
    }
}

/// Takes out the name with the oldest answer, which is not `new`. Dials that are at it have it
/// still.
fn forget_oldest(names: &mut Vec<Arc<Name>>, new: &Arc<Name>) {
    // One without an answer is new.
    let age =
        |name: &Arc<Name>| name.answers.with(|known| (known.until().is_none(), known.until()));
    let others = names.iter().enumerate().filter(|(_, name)| !Arc::ptr_eq(name, new));
    if let Some((at, _)) = others.min_by_key(|(_, name)| age(name)) {
        names.remove(at);
    }
}

impl Name {
    fn new(host: &str, port: u16) -> Self {
        Self {
            host: host.to_owned(),
            port,
            answers: Snapshot::new(Answers::default()),
            turn: AtomicUsize::new(0),
            waiting: AtomicUsize::new(0),
            flight: Flight::new(),
        }
    }

    fn look_up(&self, runtime: &Runtime, began: Instant) -> LookUp {
        let (resolver, host, port) = (runtime.shared_lookup(), self.host.clone(), self.port);
        let future = Box::pin(async move { resolver.resolve(&host, port).await });
        LookUp { future, began }
    }
}

/// One who waits for an answer.
struct Waiting<'a> {
    name: &'a Name,
    runtime: &'a Runtime,
    dialling: &'a Dialling,
    /// Answers of a later edition will do, however short they are good for.
    seen: u64,
    watcher: Watcher<'a>,
    /// The look-up that is there, if any, was left by all who waited for it.
    may_be_old: bool,
}

impl<'a> Waiting<'a> {
    fn new(name: &'a Name, runtime: &'a Runtime, dialling: &'a Dialling, seen: u64) -> Self {
        // Ordering: Relaxed. Where two come and go at once it may be off, and then an old answer
        // is taken for a new one, or the other way round.
        let may_be_old = name.waiting.fetch_add(1, Ordering::Relaxed) == 0;
        Self { name, runtime, dialling, seen, watcher: name.flight.watch(), may_be_old }
    }

    /// The answer, if it has come.
    fn look(&mut self) -> Option<io::Result<Arc<[SocketAddr]>>> {
        let name = self.name;
        loop {
            let now = self.runtime.timer().now();
            let newer = || name.answers.with(|known| known.newer(self.seen, now));
            if let Some(answer) = newer() {
                return Some(answer);
            }
            match name.flight.poll() {
                Progress::Pending => {
                    self.may_be_old = false;
                    return None;
                }
                Progress::Ended((answer, began), ended) => {
                    let age = now.saturating_duration_since(began);
                    if !(take(&mut self.may_be_old) && age > self.dialling.min_ttl) {
                        self.publish(answer, now);
                    }
                    drop(ended);
                }
                Progress::Absent => {
                    let begun = name.flight.begin(|| {
                        // Another may have ended since we looked.
                        newer().is_none().then(|| name.look_up(self.runtime, now))
                    });
                    if begun {
                        self.may_be_old = false;
                    } else if newer().is_none() {
                        return None;
                    }
                }
            }
        }
    }

    fn publish(&self, answer: io::Result<Resolved>, now: Instant) {
        let answer = match answer {
            Ok(found) if found.addrs.is_empty() => {
                Err(Arc::new(io::Error::new(io::ErrorKind::NotFound, "it has no address")))
            }
            Ok(found) => Ok((found.addrs.into(), found.ttl)),
            Err(error) => Err(Arc::new(error)),
        };
        self.name
            .answers
            .update(|known| Change::Replace(known.after(&answer, now, self.dialling), ()));
    }
}

impl Future for Waiting<'_> {
    type Output = io::Result<Arc<[SocketAddr]>>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let idle = self.name.flight.watch();
        let mut watcher = std::mem::replace(&mut self.watcher, idle);
        let mut answer = None;
        let done = watcher.poll_until(cx, |_| {
            answer = self.look();
            answer.is_some()
        });
        self.watcher = watcher;
        match (done, answer) {
            (Poll::Ready(()), Some(answer)) => Poll::Ready(answer),
            _ => Poll::Pending,
        }
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        // Ordering: Relaxed, as in `new`.
        self.name.waiting.fetch_sub(1, Ordering::Relaxed);
    }
}

impl fmt::Debug for Names {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let known = self.known.with(Vec::len);
        f.debug_struct("Names").field("known", &known).finish_non_exhaustive()
    }
}
