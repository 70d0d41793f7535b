//! Counts allocations, with the feature `count-allocations`; all zero without it.

use std::ops::Sub;

#[cfg(feature = "count-allocations")]
#[global_allocator]
static COUNTING: &stats_alloc::StatsAlloc<std::alloc::System> = &stats_alloc::INSTRUMENTED_SYSTEM;

/// Allocations and reallocations, and their bytes.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Count {
    pub(crate) calls: u64,
    pub(crate) bytes: u64,
}

impl Sub for Count {
    type Output = Self;

    fn sub(self, before: Self) -> Self {
        Self { calls: self.calls - before.calls, bytes: self.bytes - before.bytes }
    }
}

/// Whether allocations are counted at all.
pub(crate) const COUNTED: bool = cfg!(feature = "count-allocations");

/// What has been allocated since the start.
#[cfg(feature = "count-allocations")]
pub(crate) fn so_far() -> Count {
    let stats = COUNTING.stats();
    Count {
        calls: (stats.allocations + stats.reallocations) as u64,
        bytes: stats.bytes_allocated as u64,
    }
}

/// Bytes allocated and not freed yet.
#[cfg(feature = "count-allocations")]
pub(crate) fn in_use() -> u64 {
    let stats = COUNTING.stats();
    (stats.bytes_allocated - stats.bytes_deallocated) as u64
}

#[cfg(not(feature = "count-allocations"))]
pub(crate) fn so_far() -> Count {
    Count::default()
}

#[cfg(not(feature = "count-allocations"))]
pub(crate) fn in_use() -> u64 {
    0
}
