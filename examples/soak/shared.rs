//! A value that several threads change. The example plays the outside world as well, and it need
//! not be lock-free.

#![expect(clippy::disallowed_types, reason = "this is the world around the pool, not the pool")]

use std::sync::{Mutex, PoisonError};

#[derive(Debug, Default)]
pub(crate) struct Shared<T>(Mutex<T>);

impl<T> Shared<T> {
    pub(crate) fn new(value: T) -> Self {
        Self(Mutex::new(value))
    }

    pub(crate) fn with<R>(&self, use_it: impl FnOnce(&mut T) -> R) -> R {
        use_it(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
