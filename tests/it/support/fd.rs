//! The process's open descriptors.
//!
//! Tests of one binary run side by side in one process, so this count means something only in a
//! binary with a single test. The others ask the server how many connections it has open.

/// How many descriptors this process has open; `None` where the system does not tell.
pub(crate) fn open_descriptors() -> Option<usize> {
    let entries = std::fs::read_dir("/proc/self/fd").ok()?;
    // One entry is the directory itself, open for this very count.
    Some(entries.count() - 1)
}
