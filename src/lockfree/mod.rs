//! The lock-free core: no HTTP, no I/O, no `dyn`, no clock.
//!
//! | file | what it is |
//! |---|---|
//! | [`idle`] | the set of parked connections: words of flags over a slab |
//! | [`permits`] | who may open a socket: per server, and in total |
//! | [`waiters`] | those in line, and what they are given |
//! | [`gate`] | one server: its idle set, permits and line, and the function that pairs them |
//! | [`settle`] | several servers and one total: who is served when something comes free |
//! | [`ticket`] | what a caller holds, given back when dropped |

pub mod gate;
pub mod idle;
pub mod permits;
pub mod settle;
pub mod ticket;
pub mod waiters;
