//! The lock-free core: no HTTP, no I/O, no `dyn`, no clock.
//!
//! | file | what it is |
//! |---|---|
//! | [`idle`] | the set of parked connections: words of flags, made as they are needed |
//! | [`segments`] | an array that grows, and is read without a lock |
//! | [`permits`] | who may open a socket: the counts of one server |
//! | [`total`] | the permits of all servers together, and the servers that lack one |
//! | [`waiters`] | those in line, and what they are given |
//! | [`line`](mod@line) | the order in which they are served, and what may be taken back |
//! | [`gate`] | one server: its idle set, permits and line, and who may pair them |
//! | [`round`] | the pairing: who is given what, what is taken back, who must go |
//! | [`settle`] | several servers and one total: who is served when something comes free |
//! | [`shrink`], [`claims`] | limits that change, and what is open above them |
//! | [`ticket`] | what a caller holds, given back when dropped |
//! | [`snapshot`] | the set of servers: read by all, replaced as a whole |
//! | [`lifecycle`] | open, draining, closed, and those who watch it |
//! | [`budget`] | how many requests may be sent again |
//! | [`counter`], [`ewma`], [`peak_ewma`], [`histogram`] | counts, averages, peaks and quantiles |
//! | [`hint`] | a small number for each thread |
//!
//! Every file here has a file of the same name in `loom-tests/tests/`, whose models are to fail
//! when an ordering or a recheck of the file is taken away. `ci/mutants.sh` takes them away, one by
//! one; where no model notices, its table says why.
#![cfg_attr(
    not(evenkeel_loom),
    allow(
        unreachable_pub,
        reason = "the models are a crate of their own: there all this is public"
    )
)]

pub mod budget;
pub mod claims;
pub mod counter;
pub mod ewma;
pub mod flight;
pub mod gate;
pub mod hint;
pub mod histogram;
pub mod idle;
pub mod learned;
pub mod lifecycle;
pub mod line;
pub mod peak_ewma;
pub mod permits;
pub mod round;
pub mod segments;
pub mod settle;
pub mod shrink;
pub mod snapshot;
pub mod spare;
pub mod ticket;
pub mod total;
pub mod waiters;
