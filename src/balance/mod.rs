//! Which server is asked first.

mod round_robin;

pub(crate) use self::round_robin::RoundRobin;
