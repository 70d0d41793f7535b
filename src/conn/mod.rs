//! One live connection: I/O glue only, no policy.
