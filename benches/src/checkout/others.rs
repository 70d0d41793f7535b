//! The structures and pools to compare with.
#![expect(clippy::disallowed_types, reason = "locks are among what is compared")]

use std::cell::Cell;
use std::collections::VecDeque;
use std::future::Future;
#[cfg(feature = "pools")]
use std::io;
use std::pin::pin;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use crossbeam_queue::{ArrayQueue, SegQueue};
use tokio::sync::Semaphore;

use super::{CONNECTIONS, Cycle};

/// Stands for a connection.
struct Stand {
    uses: u64,
    _rest: [u64; 15],
}

type Boxed = Box<Stand>;

fn stand() -> Boxed {
    Box::new(Stand { uses: 0, _rest: [0; 15] })
}

fn all() -> impl Iterator<Item = Boxed> {
    (0..CONNECTIONS).map(|_| stand())
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The future's value. There is always something to take, so it is ready.
pub(super) fn at_once<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => value,
        Poll::Pending => panic!("there was nothing to take"),
    }
}

/// No pool: a connection of the thread's own.
pub(super) struct Nothing;

impl Cycle for Nothing {
    fn cycle(&self) {
        thread_local!(static OWN: Cell<Option<Boxed>> = Cell::new(Some(stand())));
        OWN.with(|own| {
            let mut taken = own.take().expect("it is there");
            taken.uses += 1;
            own.set(Some(taken));
        });
    }
}

pub(super) struct Bounded(ArrayQueue<Boxed>);

impl Bounded {
    pub(super) fn new() -> Self {
        let queue = ArrayQueue::new(CONNECTIONS);
        all().for_each(|stand| drop(queue.push(stand)));
        Self(queue)
    }
}

impl Cycle for Bounded {
    fn cycle(&self) {
        let mut taken = self.0.pop().expect("one is there");
        taken.uses += 1;
        drop(self.0.push(taken));
    }
}

pub(super) struct Unbounded(SegQueue<Boxed>);

impl Unbounded {
    pub(super) fn new() -> Self {
        let queue = SegQueue::new();
        all().for_each(|stand| queue.push(stand));
        Self(queue)
    }
}

impl Cycle for Unbounded {
    fn cycle(&self) {
        let mut taken = self.0.pop().expect("one is there");
        taken.uses += 1;
        self.0.push(taken);
    }
}

pub(super) struct Stack(Mutex<Vec<Boxed>>);

impl Stack {
    pub(super) fn new() -> Self {
        Self(Mutex::new(all().collect()))
    }
}

impl Cycle for Stack {
    fn cycle(&self) {
        let mut taken = lock(&self.0).pop().expect("one is there");
        taken.uses += 1;
        lock(&self.0).push(taken);
    }
}

/// The usual hand-made pool with a limit that callers can wait at.
pub(super) struct Limited {
    permits: Semaphore,
    idle: Mutex<VecDeque<Boxed>>,
}

impl Limited {
    pub(super) fn new() -> Self {
        Self { permits: Semaphore::new(CONNECTIONS), idle: Mutex::new(all().collect()) }
    }
}

impl Cycle for Limited {
    fn cycle(&self) {
        let permit = at_once(self.permits.acquire());
        let mut taken = lock(&self.idle).pop_front().expect("one is there");
        taken.uses += 1;
        lock(&self.idle).push_back(taken);
        drop(permit);
    }
}

#[cfg(feature = "pools")]
pub(super) struct Deadpool(deadpool::unmanaged::Pool<Boxed>);

#[cfg(feature = "pools")]
impl Deadpool {
    pub(super) fn new() -> Self {
        Self(deadpool::unmanaged::Pool::from(all().collect::<Vec<_>>()))
    }
}

#[cfg(feature = "pools")]
impl Cycle for Deadpool {
    fn cycle(&self) {
        let mut taken = at_once(self.0.get()).expect("one is there");
        taken.uses += 1;
    }
}

#[cfg(feature = "pools")]
pub(super) struct Bb8 {
    pool: bb8::Pool<Stands>,
    runtime: tokio::runtime::Runtime,
}

#[cfg(feature = "pools")]
impl Bb8 {
    pub(super) fn new() -> io::Result<Self> {
        let builder = || tokio::runtime::Builder::new_current_thread();
        let runtime = builder().enable_all().build()?;
        let pool = bb8::Pool::builder()
            .max_size(CONNECTIONS as u32)
            .min_idle(CONNECTIONS as u32)
            .test_on_check_out(false);
        let pool = runtime.block_on(pool.build(Stands)).unwrap_or_else(|never| match never {});
        Ok(Self { pool, runtime })
    }
}

#[cfg(feature = "pools")]
impl Cycle for Bb8 {
    fn cycle(&self) {
        // Its time limit needs the runtime's clock.
        let _context = self.runtime.enter();
        let mut taken = at_once(self.pool.get()).expect("one is there");
        taken.uses += 1;
    }
}

#[cfg(feature = "pools")]
struct Stands;

#[cfg(feature = "pools")]
impl bb8::ManageConnection for Stands {
    type Connection = Boxed;
    type Error = std::convert::Infallible;

    async fn connect(&self) -> Result<Boxed, Self::Error> {
        Ok(stand())
    }

    async fn is_valid(&self, _: &mut Boxed) -> Result<(), Self::Error> {
        Ok(())
    }

    fn has_broken(&self, _: &mut Boxed) -> bool {
        false
    }
}
