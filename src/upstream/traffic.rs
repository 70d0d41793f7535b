//! Counts the bytes of connections, when an exchange ends and in the course of a long one.

use super::lease::Lease;
use super::tally::Count;

/// After so many bytes those of a long body or tunnel are counted, though it has not ended.
const LONG: u64 = 64 * 1024;

impl Lease {
    /// The request has ended: counts that, and its bytes.
    pub(crate) fn end_request(&mut self, outcome: Count) {
        let backend = self.backend();
        backend.hub.count(backend, outcome);
        self.count_bytes();
    }

    /// Counts the bytes so far, if they are worth it.
    #[inline]
    pub(crate) fn count_bytes_of_long_exchange(&mut self) {
        if self.conn_ref().untold_traffic().total() >= LONG {
            self.count_bytes();
        }
    }

    /// Counts the bytes that have not been counted.
    #[inline]
    pub(super) fn count_bytes(&mut self) {
        let (conn, backend) = self.split();
        let traffic = conn.tell_traffic();
        if traffic.total() == 0 {
            return;
        }
        for tally in [&backend.hub.tally, &backend.tally] {
            tally.add(Count::BytesIn, traffic.read);
            tally.add(Count::BytesOut, traffic.written);
        }
    }
}
