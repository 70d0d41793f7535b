//! The lock-free core: no HTTP, no I/O, no `dyn`, no clock.
