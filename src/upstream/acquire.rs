//! From a wish to a connection: the first look, the line, the dial.

use std::future::poll_fn;
use std::sync::Arc;
use std::task::Poll;
use std::time::{Duration, Instant};

use super::backend::Backend;
use super::dialling::{Dialling, dial_failed, fault};
use super::directory::{Directory, closed};
use super::distributions::nanos;
use super::lease::Lease;
use super::limit::Limit;
use super::missed::{Missed, paused, queue_timeout, refusal};
use super::outcome::Outcome;
use super::pick::Pick;
use super::tally::Count;
use crate::error::{Error, ErrorKind, Phase};
use crate::lockfree::permits::Refused;
use crate::lockfree::ticket::{Granted, Ticket};
use crate::select::Select;
use crate::server::ServerId;

/// What a caller wants, and what it has tried.
#[derive(Debug)]
pub(crate) struct Wish<'a> {
    /// Only this server will do.
    pub(crate) server: Option<ServerId>,
    /// What else the caller asks for.
    pub(crate) select: &'a Select,
    /// How long the whole request may take.
    pub(crate) timeout: Option<Duration>,
    /// When the request began. A hit needs no precise time: without one, the clock is read when
    /// that is first asked for.
    pub(crate) began: Option<Instant>,
    /// When it began, in ticks.
    pub(crate) tick: u64,
    /// Servers that could not be connected to.
    pub(crate) tried: &'a mut Vec<ServerId>,
    /// Which connections will do.
    pub(crate) trust: Trust,
    /// Whether the caller would wait for a connection to be opened.
    pub(crate) may_dial: bool,
}

/// Which connections a caller trusts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Trust {
    All,
    /// All but those of this server that have been used before: one of them has failed.
    AllBut(ServerId),
    /// None that has been used before: two have failed.
    New,
}

impl Wish<'_> {
    /// The end of the request's time, once it is known when that began. A timeout beyond the
    /// clock's end is none.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.began?.checked_add(self.timeout?)
    }

    fn is_late(&self, now: Instant) -> bool {
        self.deadline().is_some_and(|deadline| deadline <= now)
    }

    /// Whether this connection will not do. However late it came back: its server may cut it as it
    /// did the others.
    fn distrusts(&self, lease: &Lease) -> bool {
        self.trust != Trust::All && lease.is_reused() && self.wants_new(lease.backend().id)
    }

    /// Whether only a new connection to this server will do.
    pub(super) fn wants_new(&self, server: ServerId) -> bool {
        match self.trust {
            Trust::All => false,
            Trust::AllBut(stale) => stale == server,
            Trust::New => true,
        }
    }

    /// Until when to wait in line; `timeout` is what the pool allows for that.
    fn end_of_wait(&self, timeout: Option<Duration>) -> Option<Instant> {
        let until = self.select.queue().or(timeout).and_then(|time| self.began?.checked_add(time));
        match (self.deadline(), until) {
            (Some(deadline), Some(until)) => Some(deadline.min(until)),
            (deadline, until) => deadline.or(until),
        }
    }

    /// Whether it may go elsewhere if the server is taken out of rotation.
    pub(super) fn may_move(&self) -> bool {
        self.server.is_none()
    }

    /// How many servers have been tried.
    fn tries(&self) -> u32 {
        u32::try_from(self.tried.len()).unwrap_or(u32::MAX)
    }
}

/// A connection for the request: an idle one, or the first that comes free, or a new one. If a
/// server cannot be connected to, the next is tried, as long as there is time.
///
/// # Cancel safety
/// Dropping the future leaves the line; what had been granted goes to the next. A dial goes on
/// without its caller if there is a driver, for the benefit of those who come after, and is given
/// up otherwise.
pub(crate) async fn acquire(directory: &Directory, wish: Wish<'_>) -> Result<Lease, Error> {
    match first_look(directory, &wish)? {
        Look::Hit(lease) => Ok(lease),
        // In a box of its own: a miss can bear an allocation, and a hit the bytes that its future
        // is moved about with cannot.
        Look::Miss(pick) => Box::pin(acquire_from(directory, wish, pick)).await,
    }
}

/// What there is at once.
#[inline]
pub(crate) fn first_look(directory: &Directory, wish: &Wish<'_>) -> Result<Look, Error> {
    if wish.timeout.is_some_and(|timeout| timeout.is_zero()) {
        let message = "the request had no time left when it began";
        return Err(Error::new(ErrorKind::Timeout, message).at(Phase::Queue).retry_safe(true));
    }
    look(directory, wish).map(Look::direct).ok_or_else(closed)
}

/// An idle connection, now. Never waits, and opens none.
pub(crate) fn try_acquire(directory: &Directory, wish: &Wish<'_>) -> Option<Lease> {
    match look(directory, wish)? {
        Look::Hit(lease) => Some(lease),
        Look::Miss(_) => None,
    }
}

/// What the first look found.
pub(crate) enum Look {
    /// A connection.
    Hit(Lease),
    /// None, or none that will do: where to go on.
    Miss(Pick),
}

impl Look {
    #[inline]
    fn direct(self) -> Self {
        match self {
            Self::Hit(lease) => Self::Hit(lease.direct()),
            miss @ Self::Miss(_) => miss,
        }
    }
}

/// The hit path: no precise time, no count that threads share. `None` if the pool is closed.
#[inline]
fn look(directory: &Directory, wish: &Wish<'_>) -> Option<Look> {
    while directory.hub.lifecycle.is_open() {
        match directory.pick(wish) {
            Pick::Idle(lease) if !wish.distrusts(&lease) => {
                if let Some(lease) = checked(lease, wish.tick) {
                    return Some(Look::Hit(lease));
                }
            }
            pick => return Some(Look::Miss(pick)),
        }
    }
    None
}

/// From what the first look found, if that was no hit.
pub(crate) async fn acquire_from(
    directory: &Directory,
    mut wish: Wish<'_>,
    mut pick: Pick,
) -> Result<Lease, Error> {
    let hub = &*directory.hub;
    wish.began.get_or_insert_with(|| hub.now());
    let mut failed = None;
    loop {
        let (backend, lease, mut trial) = match pick {
            Pick::Trial(trial) => (trial.backend().clone(), None, Some(trial)),
            Pick::Idle(lease) => (lease.backend().clone(), Some(lease), None),
            Pick::Wait(backend) => (backend, None, None),
            Pick::None(nobody) => {
                return Err(failed.unwrap_or_else(|| refusal(nobody, &wish)));
            }
        };
        let mut found = match lease {
            Some(lease) => Ok(lease),
            None => wait_at(&backend, &wish).await,
        };
        while found.as_ref().is_ok_and(|lease| wish.distrusts(lease)) {
            found = renew(found, &backend, &wish).await;
        }
        let now = hub.now();
        match found {
            // It may have come too late, or its caller may have been polled too late.
            Ok(_) if wish.is_late(now) => {
                return Err(queue_timeout(&backend).after_attempts(wish.tries()));
            }
            Ok(lease) => {
                if let Some(lease) = checked(lease, hub.tick()) {
                    return Ok(match trial {
                        Some(trial) => lease.on_trial(trial),
                        None => lease,
                    });
                }
            }
            Err(Missed::Dial(error)) => {
                if trial.take().is_some() {
                    backend.note_trial(Outcome::Failed(fault(&error)));
                }
                wish.tried.push(backend.id);
                let error = dial_failed(&backend, error).after_attempts(wish.tries());
                if wish.is_late(now) {
                    return Err(error);
                }
                failed = Some(error);
            }
            Err(Missed::Paused(pause)) => {
                wish.tried.push(backend.id);
                failed = Some(paused(&backend, &pause).after_attempts(wish.tries()));
            }
            // The server was removed, or the pool closed, which the next round tells.
            Err(Missed::Closed) => {}
            // The server was taken out of rotation.
            Err(Missed::Moved) => {}
            Err(missed) => return Err(missed.into_error(&backend).after_attempts(wish.tries())),
        }
        drop(trial);
        if !hub.lifecycle.is_open() {
            return Err(closed());
        }
        pick = directory.pick(&wish);
    }
}

/// The connection, if it is still good at `now`; otherwise it is closed.
#[inline]
fn checked(mut lease: Lease, now: u64) -> Option<Lease> {
    lease.check(now).ok()?;
    Some(lease.noted())
}

/// Opens a new connection in the place of one that is not trusted.
async fn renew(
    found: Result<Lease, Missed>,
    backend: &Arc<Backend>,
    wish: &Wish<'_>,
) -> Result<Lease, Missed> {
    match found?.renew() {
        Some(permit) => Dialling::begin(backend, permit, wish).await,
        // As many are being opened as may: its place has been given up.
        None => wait_at(backend, wish).await,
    }
}

/// Stands in line at one server, and dials if that is what it is given.
async fn wait_at(backend: &Arc<Backend>, wish: &Wish<'_>) -> Result<Lease, Missed> {
    // Dropped last: by then all that had been granted here has been given back.
    let _told = Told(backend.clone());
    if let Some(pause) = backend.pause() {
        return Err(Missed::Paused(pause));
    }
    let before = wish.may_move().then(|| backend.vitals.departures());
    let mut ticket =
        Ticket::enter(&**backend, wish.select.priority).map_err(|refused| match refused {
            Refused::Closed => Missed::Closed,
            Refused::Full => Missed::Full,
        })?;
    let mut limit = Limit::new(backend, wish.end_of_wait(backend.hub.config.queue_timeout));
    let mut since = None;
    let granted = poll_fn(|cx| {
        if let Poll::Ready(granted) = ticket.poll(cx.waker()) {
            return Poll::Ready(Ok(granted));
        }
        // After the task was registered in the line: whoever goes on from here is woken.
        if before.is_some_and(|before| before != backend.vitals.departures()) {
            return Poll::Ready(Err(Missed::Moved));
        }
        // Whoever begins one rouses those in line.
        if let Some(pause) = backend.pause() {
            return Poll::Ready(Err(Missed::Paused(pause)));
        }
        let since = *since.get_or_insert_with(|| backend.hub.now());
        limit.poll(since, cx).map(|()| Err(Missed::Timeout))
    })
    .await;
    drop(ticket);
    if let Some(since) = since {
        record_wait(backend, since);
    }
    match granted? {
        Granted::Closed => Err(Missed::Closed),
        Granted::Refused => Err(Missed::Full),
        Granted::Shed => Err(Missed::Shed),
        Granted::Connection(parked) => Ok(Lease::of(parked)),
        Granted::Permit(permit) => match backend.pause() {
            Some(pause) => Err(Missed::Paused(pause)),
            None => Dialling::begin(backend, permit, wish).await,
        },
    }
}

/// Tells a shutdown, when dropped, that a permit may have come back without having been used.
pub(super) struct Told(pub(super) Arc<Backend>);

impl Drop for Told {
    fn drop(&mut self) {
        self.0.hub.after_close();
    }
}

fn record_wait(backend: &Backend, since: Instant) {
    let hub = &backend.hub;
    let waited = hub.now().saturating_duration_since(since);
    let nanos = nanos(waited);
    hub.count(backend, Count::Waits);
    hub.tally.add(Count::WaitNanos, nanos);
    hub.longest_wait.record(nanos);
    hub.histograms.waits.record(nanos);
}
