//! [`Vitals`]: what is known of one server that changes too often for the roster.

use std::time::Duration;

use crate::health::{Counts, Window};
use crate::lockfree::snapshot::Snapshot;
use crate::server::CheckFailure;
use crate::sync::{AtomicBool, AtomicU32, Ordering};

/// What the last health check says about a server that waits for its trial.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub(crate) enum Trust {
    /// It is not checked: a request must find out.
    Unchecked,
    Passed,
    Failed,
    /// There was none since it was ejected.
    Awaited,
}

/// What health checks have found.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Checked {
    pub(crate) counts: Counts,
    /// When the last one ended, how, and how long it took.
    pub(crate) last: Option<(u64, Result<(), CheckFailure>, Duration)>,
    /// When the next one is due.
    pub(crate) next: Option<u64>,
}

pub(crate) struct Vitals {
    /// Failures of requests in a row. A success looks at this word, and writes it only if it has
    /// to.
    failures: AtomicU32,
    window: Snapshot<Window>,
    pub(super) checked: Snapshot<Checked>,
    trust: AtomicU32,
    /// A request on trial is under way.
    on_trial: AtomicBool,
    /// It has been asked for a check ahead of time.
    is_hurried: AtomicBool,
    /// It is out of rotation for its health, or disabled: its connections are not kept.
    is_out: AtomicBool,
    /// How often those who stood in line were sent to other servers.
    departures: AtomicU32,
}

impl Vitals {
    pub(super) fn new() -> Self {
        Self {
            failures: AtomicU32::new(0),
            window: Snapshot::new(Window::default()),
            checked: Snapshot::new(Checked::default()),
            trust: AtomicU32::new(Trust::Unchecked as u32),
            on_trial: AtomicBool::new(false),
            is_hurried: AtomicBool::new(false),
            is_out: AtomicBool::new(false),
            departures: AtomicU32::new(0),
        }
    }

    // Ordering: Relaxed, unless it says otherwise. Each is looked at by itself, and what it
    // leads to is decided by the roster.

    /// A request has succeeded.
    #[inline]
    pub(super) fn succeeded(&self) {
        if self.failures.load(Ordering::Relaxed) != 0 {
            self.failures.store(0, Ordering::Relaxed);
        }
    }

    /// A request has failed; how many have in a row.
    pub(super) fn failed(&self) -> u32 {
        self.failures.fetch_add(1, Ordering::Relaxed).saturating_add(1)
    }

    /// Failures of requests in a row.
    pub(super) fn failures(&self) -> u32 {
        self.failures.load(Ordering::Relaxed)
    }

    pub(super) fn window(&self) -> &Snapshot<Window> {
        &self.window
    }

    /// Begins to count anew.
    pub(super) fn forget_failures(&self) {
        use crate::lockfree::snapshot::Change;
        self.failures.store(0, Ordering::Relaxed);
        self.window.update(|_| Change::Replace(Window::default(), ()));
    }

    pub(crate) fn checked(&self) -> Checked {
        self.checked.with(|checked| *checked)
    }

    pub(super) fn trust(&self, trust: Trust) {
        self.trust.store(trust as u32, Ordering::Relaxed);
    }

    /// It has been ejected: if it is checked, the next check decides.
    pub(super) fn await_check(&self) {
        let awaited = |trust| (trust != Trust::Unchecked as u32).then_some(Trust::Awaited as u32);
        // An error says that nothing was to be changed.
        let (Ok(_) | Err(_)) =
            self.trust.fetch_update(Ordering::Relaxed, Ordering::Relaxed, awaited);
    }

    /// Whether a request may be risked, as far as checks can tell.
    pub(super) fn is_trusted(&self) -> bool {
        let trust = self.trust.load(Ordering::Relaxed);
        trust == Trust::Unchecked as u32 || trust == Trust::Passed as u32
    }

    /// Whether a check ahead of time has not been asked for before.
    pub(super) fn hurry(&self) -> bool {
        !self.is_hurried.swap(true, Ordering::Relaxed)
    }

    /// A check will be made.
    pub(super) fn hurried(&self) {
        self.is_hurried.store(false, Ordering::Relaxed);
    }

    pub(super) fn is_on_trial(&self) -> bool {
        self.on_trial.load(Ordering::Relaxed)
    }

    /// Whether it was not on trial.
    pub(super) fn begin_trial(&self) -> bool {
        !self.on_trial.swap(true, Ordering::Relaxed)
    }

    pub(super) fn end_trial(&self) {
        self.on_trial.store(false, Ordering::Relaxed);
    }

    /// Whether its connections are closed when they come back.
    #[inline]
    pub(super) fn is_out(&self) -> bool {
        self.is_out.load(Ordering::Relaxed)
    }

    /// The caller looks at the roster again afterwards, and calls once more if that has changed:
    /// so the word agrees with it in the end, whoever comes last.
    pub(super) fn set_out(&self, is_out: bool) {
        // Ordering: AcqRel, and a read-modify-write, so that the look comes after it.
        self.is_out.swap(is_out, Ordering::AcqRel);
    }

    /// How often those in line were sent away. For one who is in line already: either the
    /// departure comes after this, and finds his task; or it comes before, and he sees it.
    pub(super) fn departures(&self) -> u32 {
        // Ordering: AcqRel, and a read-modify-write, so that it has a place in the word's order.
        self.departures.fetch_add(0, Ordering::AcqRel)
    }

    /// Those in line are to go. The caller then rouses them.
    pub(super) fn depart(&self) {
        // Ordering: AcqRel, as above.
        self.departures.fetch_add(1, Ordering::AcqRel);
    }
}
