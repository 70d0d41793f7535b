//! What a server is to those who serve several.

use std::ops::Deref;

use crate::lockfree::gate::Gate;
use crate::lockfree::idle::Candidate;
use crate::lockfree::total::Total;

/// A server, as seen from here.
pub trait Site: Sized {
    /// Its connections.
    type Conn;

    /// A shared pointer to it, made only off the hit path.
    type Handle: Deref<Target = Self>;

    /// A pointer to this server.
    fn handle(&self) -> Self::Handle;

    /// Its gate.
    fn gate(&self) -> &Gate<Self::Conn>;

    /// The total that it shares with others.
    fn total(&self) -> &Total<Self::Handle>;

    /// The longest idle connection of the other servers.
    fn longest_idle_elsewhere(&self) -> Option<(Self::Handle, Candidate)>;

    /// The idle connections of all servers.
    fn idle_anywhere(&self) -> Vec<(Self::Handle, Candidate)>;

    /// Calls [`Idle::fence`](crate::lockfree::idle::Idle::fence) on every other server.
    fn fence_elsewhere(&self);

    /// Whether any server has more connections open than it may.
    fn is_any_above(&self) -> bool;

    /// The time, in ticks. Asked only when somebody in line is given something.
    fn tick(&self) -> u64;

    /// Somebody waits while a grant is out: at this tick somebody is to call [`look`](super::look).
    fn look_at(&self, tick: u64);

    /// So many grants were taken back.
    fn reclaimed(&self, grants: u32);

    /// Closes a connection that was idle or has just come back.
    fn dispose(&self, conn: Self::Conn, why: Dispose);
}

/// Why a good connection is closed here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dispose {
    /// Its permit goes to another server.
    Evicted,
    /// More are open than may be, since a limit has shrunk.
    Surplus,
    /// Its server or the pool has been closed.
    Shut,
}
