//! The figures of pools in Prometheus' text format, without a registry.
//!
//! ```
//! # use evenkeel::{Pool, Server};
//! let pool = Pool::builder().server(Server::new("http://10.0.0.1:8080")?).build()?;
//! let text = evenkeel::prometheus::encode(&pool);
//! assert!(text.contains("\nevenkeel_pool_servers 1\n"));
//! # Ok::<(), evenkeel::Error>(())
//! ```
//!
//! Answer a scrape with the text and [`CONTENT_TYPE`]. Names that begin with `http_client_` are
//! those of OpenTelemetry's conventions, in the form that Prometheus gives them; the others are our
//! own. Times are in seconds, sizes in bytes. How many series there are depends on the number of
//! servers alone: a server has some fifty, a pool some two hundred. No label has a path, a query,
//! or anything else of a request.

use super::text::Text;
use super::{Report, tell};
use crate::pool::Pool;

/// The media type of what [`encode`] gives, for the response's `Content-Type`.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// The figures of one pool.
#[must_use]
pub fn encode(pool: &Pool) -> String {
    text_of(&[Report::of("", pool)])
}

/// The figures of several pools in one text, each with its name in a label `pool`.
///
/// ```
/// # use evenkeel::Pool;
/// let (users, jobs) = (Pool::builder().build()?, Pool::builder().build()?);
/// let text = evenkeel::prometheus::encode_named(&[("users", &users), ("jobs", &jobs)]);
/// assert!(text.contains("\nevenkeel_pool_servers{pool=\"jobs\"} 0\n"));
/// # Ok::<(), evenkeel::Error>(())
/// ```
#[must_use]
pub fn encode_named(pools: &[(&str, &Pool)]) -> String {
    let reports: Vec<Report<'_>> =
        pools.iter().map(|(name, pool)| Report::of(name, pool)).collect();
    text_of(&reports)
}

fn text_of(reports: &[Report<'_>]) -> String {
    let mut out = String::new();
    let written = tell(&mut Text::new(&mut out), reports);
    debug_assert!(written.is_ok(), "a string takes whatever it is given");
    out
}
