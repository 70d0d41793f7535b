//! [`Backend`]: the live record of one server.

use std::fmt;
use std::sync::{Arc, OnceLock, Weak};
use std::time::{Duration, Instant};

use super::back_off::{BackOff, Failure, Pause};
use super::dialling::fault;
use super::directory::Directory;
use super::held::Held;
use super::hub::Hub;
use super::lease;
use super::outcome::Outcome;
use super::tally::{Count, Tally};
use super::vitals::Vitals;
use crate::balance::{Latency, Load};
use crate::config;
use crate::conn::{DialError, Signal, Tls};
use crate::event::{CloseReason, Event};
use crate::lockfree::ewma::Ewma;
use crate::lockfree::gate::Gate;
use crate::lockfree::idle::{Candidate, Slot};
use crate::lockfree::learned::Learned;
use crate::lockfree::peak_ewma::{PeakEwma, TICK};
use crate::lockfree::permits::Limits;
use crate::lockfree::segments::Segments;
use crate::lockfree::settle::{Dispose, Site};
use crate::lockfree::total::Total;
use crate::server::{Server, ServerId};
use crate::sync::{AtomicUsize, Ordering};

/// A new sample's weight in the average response time: 1/2^3.
const EWMA_SHIFT: u32 = 3;

/// One server: its gate, its counters, and the way to what all servers share.
pub(crate) struct Backend {
    pub(crate) id: ServerId,
    pub(crate) server: Server,
    /// How TLS is spoken with it, if it is.
    pub(crate) tls: Option<Tls>,
    pub(crate) gate: Gate<Box<Held>>,
    pub(crate) hub: Arc<Hub>,
    pub(crate) tally: Tally,
    /// From the call to the head of the response.
    pub(crate) response_time: Ewma,
    /// The recent peak of the same, failures included; kept for the strategy that asks for it.
    pub(super) response_peak: PeakEwma,
    /// The recent peak of the time to connect.
    pub(super) connect_peak: PeakEwma,
    /// How long it keeps idle connections.
    pub(super) learned: Learned,
    /// Whether it can be connected to, and if not, when it is tried again.
    back_off: BackOff,
    /// How many of its idle connections are about to be retired. The driver's note to itself.
    ending: AtomicUsize,
    /// How many are on loan for the last time, if there are floors.
    retiring: AtomicUsize,
    pub(crate) vitals: Vitals,
    /// One for each cell, made with its first connection: by them connections are cut.
    signals: Segments<OnceLock<Arc<Signal>>, 64>,
    directory: Weak<Directory>,
    me: Weak<Self>,
}

impl Backend {
    pub(super) fn new(
        id: ServerId,
        server: Server,
        tls: Option<Tls>,
        directory: &Arc<Directory>,
    ) -> Arc<Self> {
        let hub = directory.hub.clone();
        let gate = Gate::new(limits_of(&server, &hub.limits()), directory.words(), hub.grace);
        // An hour is 56 million ticks.
        let decay = hub.config.ewma_decay.as_nanos() / u128::from(TICK);
        let decay = u32::try_from(decay).unwrap_or(u32::MAX);
        Arc::new_cyclic(|me| Self {
            id,
            server,
            tls,
            gate,
            tally: Tally::new(),
            response_time: Ewma::new(EWMA_SHIFT),
            response_peak: PeakEwma::new(decay),
            connect_peak: PeakEwma::new(decay),
            learned: Learned::new(),
            back_off: BackOff::new(),
            ending: AtomicUsize::new(0),
            retiring: AtomicUsize::new(0),
            vitals: Vitals::new(),
            signals: Segments::new(),
            directory: Arc::downgrade(directory),
            me: me.clone(),
            hub,
        })
    }

    /// Takes over the limits of the pool. The caller then calls `shrink::resize`.
    pub(super) fn keep_up(&self) {
        self.hub.keep_up(|limits| self.gate.ledger.set_limits(limits_of(&self.server, limits)));
    }

    /// The signal of the cell's connections.
    pub(super) fn signal(&self, slot: &Slot) -> Arc<Signal> {
        let signal = self.signals.get_or_make(slot.index(), |_| OnceLock::new());
        signal.get_or_init(Arc::default).clone()
    }

    /// The signal of the cell with this index, if it ever had a connection.
    pub(super) fn signal_at(&self, index: usize) -> Option<&Arc<Signal>> {
        self.signals.get(index)?.get()
    }

    /// The pause in which it is not dialled, if there is one now.
    pub(super) fn pause(&self) -> Option<Pause> {
        // A connection ends a pause. One that comes about as another dial fails is seen here.
        self.back_off.pause(|| self.hub.now()).filter(|_| !self.is_live())
    }

    /// Whether there is a connection to it, idle or on loan.
    fn is_live(&self) -> bool {
        let counts = self.gate.ledger.counts();
        counts.open > counts.connecting
    }

    /// A dial that began then has made a connection.
    pub(super) fn dial_succeeded(&self, began: Instant) {
        self.note_connected(began);
        self.back_off.succeeded();
    }

    /// A health check has succeeded: over a connection like those of requests, unless it goes to
    /// another place.
    pub(super) fn check_succeeded(&self) {
        if !self.server.is_checked_elsewhere() {
            self.back_off.succeeded();
        }
    }

    /// A dial that began then has failed, and holds its permit still. If a pause begins, those who
    /// wait are told, by whoever pairs next.
    pub(super) fn dial_failed(&self, began: Instant, error: &DialError) {
        let ended = self.hub.now();
        self.note(ended, ended.saturating_duration_since(began), Outcome::Failed(fault(error)));
        let what = error.to_string();
        let (is_live, dice) = (self.is_live(), self.hub.throw());
        let failure = Failure { began, ended, what: &what, is_live, dice };
        if let Some(pause) = self.back_off.failed(&failure, &self.hub.config.dialling) {
            self.gate.rouse();
            let (id, url) = (self.id, self.server.url());
            let (failures, pause) = (pause.failures, pause.left);
            self.hub.tell(|| Event::DialsPaused { id, url, failures, pause });
        }
    }

    /// How many of its connections are about to be retired.
    pub(crate) fn ending(&self) -> usize {
        // Ordering: Relaxed, also below. Counts that guard nothing.
        self.ending.load(Ordering::Relaxed) + self.retiring.load(Ordering::Relaxed)
    }

    /// One more is on loan for the last time.
    pub(super) fn begin_last(&self) {
        // Ordering: as above.
        self.retiring.fetch_add(1, Ordering::Relaxed);
    }

    /// That loan is over.
    pub(super) fn end_last(&self) {
        // Ordering: as above.
        self.retiring.fetch_sub(1, Ordering::Relaxed);
    }

    pub(crate) fn note_ending(&self, count: usize) {
        // Ordering: as above.
        self.ending.store(count, Ordering::Relaxed);
    }

    /// Tells of a caller who was turned away.
    pub(super) fn tell_full(&self, shed: bool) {
        self.hub.tell(|| Event::QueueFull { id: self.id, url: self.server.url(), shed });
    }

    /// Tells of a checkout that was out for so long.
    #[cold]
    pub(super) fn tell_held(&self, held: Duration) {
        self.hub.tell(|| Event::CheckoutHeld { id: self.id, url: self.server.url(), held });
    }

    /// The servers beside this one; `None` once the pool has gone.
    pub(crate) fn directory(&self) -> Option<Arc<Directory>> {
        self.directory.upgrade()
    }

    /// Cuts every connection: whoever uses one is woken, and gets an error.
    pub(crate) fn cut(&self) {
        for signal in self.signals.iter().filter_map(OnceLock::get) {
            signal.cut();
        }
    }

    /// Whether a caller that finds nothing parked would be given permits at once. Not inlined: what
    /// is asked of each server in a scan is its load, and this of few.
    #[inline(never)]
    pub(super) fn has_room(&self) -> bool {
        let spare = self.hub.total.has_free();
        spare && self.gate.ledger.counts().waiting == 0 && self.gate.ledger.has_room()
    }

    /// Whether a request on trial would get a connection as soon as the pool has room for one: it
    /// is not to wait for what others have here, nor to be told that the server is not dialled.
    #[cold]
    pub(super) fn can_be_tried(&self) -> bool {
        let ledger = &self.gate.ledger;
        ledger.counts().waiting == 0 && ledger.has_room() && self.pause().is_none()
    }

    /// What it is doing now. Its load is what is on loan or being opened, and who waits: nothing is
    /// counted for it, so it cannot go wrong. The words are read one after another, so it is off by
    /// as many as come and go meanwhile.
    #[inline]
    pub(super) fn load(&self) -> Load {
        let counts = self.gate.ledger.counts();
        let idle = u32::try_from(self.gate.idle.len()).unwrap_or(u32::MAX);
        let is_warm = idle > 0 && counts.waiting == 0;
        Load {
            in_flight: counts.open.saturating_sub(idle) + counts.waiting,
            is_warm,
            is_full: !is_warm && !self.has_room(),
        }
    }

    /// What it has been doing, as of `now` on the clock of the peaks.
    #[inline]
    pub(super) fn latency(&self, now: u32) -> Latency {
        let connect = self.connect_peak.value(now).unwrap_or(0.0);
        Latency { response: self.response_peak.value(now), connect }
    }

    /// The average time to the head of a response, zero before the first.
    pub(crate) fn average_response_time(&self) -> Duration {
        Duration::from_nanos(self.response_time.value().unwrap_or(0))
    }
}

impl Site for Backend {
    type Conn = Box<Held>;
    type Handle = Arc<Self>;

    fn handle(&self) -> Arc<Self> {
        // A backend is only ever made inside its `Arc`, and a `&self` keeps it alive.
        self.me.upgrade().unwrap_or_else(|| unreachable!("a backend lives in its Arc"))
    }

    fn gate(&self) -> &Gate<Box<Held>> {
        &self.gate
    }

    fn total(&self) -> &Total<Arc<Self>> {
        &self.hub.total
    }

    fn longest_idle_elsewhere(&self) -> Option<(Arc<Self>, Candidate)> {
        self.directory()?.longest_idle(Some(self.id))
    }

    fn idle_anywhere(&self) -> Vec<(Arc<Self>, Candidate)> {
        self.directory().map_or_else(Vec::new, |directory| directory.idle())
    }

    fn fence_elsewhere(&self) {
        if let Some(directory) = self.directory() {
            directory.fence(self.id);
        }
    }

    fn is_any_above(&self) -> bool {
        self.directory().is_some_and(|directory| directory.is_any_above())
    }

    fn tick(&self) -> u64 {
        self.hub.tick()
    }

    fn look_at(&self, tick: u64) {
        if self.hub.note_look(tick) {
            self.hub.driver.wake();
        }
    }

    fn reclaimed(&self, grants: u32) {
        self.hub.tally.add(Count::Reclaimed, u64::from(grants));
    }

    fn dispose(&self, held: Box<Held>, why: Dispose) {
        let reason = match why {
            Dispose::Evicted => CloseReason::Evicted,
            Dispose::Surplus => CloseReason::Limit,
            Dispose::Shut => CloseReason::Shutdown,
        };
        lease::dispose_parked(self, held, reason);
    }
}

/// The limits of one server, which may have one of its own.
#[expect(clippy::cast_possible_truncation, reason = "validated to be at most 2^20")]
fn limits_of(server: &Server, limits: &config::Limits) -> Limits {
    Limits {
        open: server.own_limit().unwrap_or(limits.max_connections_per_server) as u32,
        connecting: limits.max_connecting as u32,
        waiting: limits.max_waiters as u32,
    }
}

impl fmt::Debug for Backend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Backend")
            .field("id", &self.id)
            .field("url", &self.server.url())
            .field("gate", &self.gate)
            .finish_non_exhaustive()
    }
}
