//! What the process uses: memory and descriptors. Both must be flat once it is warm.

use std::fs;

/// Resident memory, in KiB; `None` where the system does not tell.
pub(crate) fn memory() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmRSS:"))?;
    line.split_whitespace().nth(1)?.parse().ok()
}

/// Open descriptors; `None` where the system does not tell.
pub(crate) fn descriptors() -> Option<usize> {
    Some(fs::read_dir("/proc/self/fd").ok()?.count())
}
