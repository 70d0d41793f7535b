//! One live connection: I/O glue only, no policy.

mod dial;

pub(crate) use self::dial::{DialError, DialErrorKind, dial};
