//! Protocols, sans I/O: bytes in, events out.

pub(crate) mod h1;
