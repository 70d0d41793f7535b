//! Whether a setting is within its bounds, and the error that says so.

use std::time::Duration;

use crate::error::{Error, ErrorKind};

/// The longest duration a setting may have: far beyond use, and safe to add to any instant.
pub(crate) const FOREVER: Duration = Duration::from_secs(60 * 60 * 24 * 365 * 10);

pub(super) fn in_range(name: &str, value: usize, least: usize, most: usize) -> Result<(), Error> {
    if (least..=most).contains(&value) {
        return Ok(());
    }
    Err(refuse(format!("{name} is {value}, and must be between {least} and {most}")))
}

pub(super) fn positive(name: &str, value: Duration) -> Result<(), Error> {
    if value.is_zero() {
        return Err(refuse(format!("{name} is zero")));
    }
    if value > FOREVER {
        return Err(refuse(format!("{name} is {value:?}, more than ten years")));
    }
    Ok(())
}

pub(super) fn refuse(message: String) -> Error {
    Error::new(ErrorKind::Config, message)
}
