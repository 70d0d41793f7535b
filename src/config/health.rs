//! [`HealthCheck`]: how servers are checked.

use std::fmt;
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};

use super::check::{in_range, positive, refuse};
use crate::error::Error;
use crate::server::CheckAt;

/// How servers are checked, and how often.
///
/// Checks are on wherever there is background work. Without a word about them, each server is
/// asked for `/health`, and any answer below 500 says that it is alive: a server without that path
/// must not be taken for dead. A check that is asked for, by [`get`](Self::get),
/// [`head`](Self::head) or [`tcp`](Self::tcp), is stricter: it wants a status of 2xx, and follows
/// no redirect.
///
/// A server that is well is checked every [`interval`], a tenth more or less by chance, and the
/// first time within a second. When a check or a request has failed, it is checked every
/// [`fast_interval`], until it is known to be up or down; while it is down, at intervals that
/// double up to [`down_interval`]; while it gets no requests, every [`idle_interval`]. There is
/// never more than one check of a server at a time, nor more than [`max_concurrent`] of all. Each
/// has a connection of its own, which is no part of the pool's limits, and is closed behind it.
///
/// [`interval`]: Self#structfield.interval
/// [`fast_interval`]: Self#structfield.fast_interval
/// [`down_interval`]: Self#structfield.down_interval
/// [`idle_interval`]: Self#structfield.idle_interval
/// [`max_concurrent`]: Self#structfield.max_concurrent
///
/// ```
/// use std::time::Duration;
/// use evenkeel::{HealthCheck, Pool};
///
/// let check = HealthCheck::get("/healthz").interval(Duration::from_secs(10)).expect_body("ready");
/// let pool = Pool::builder().health_check(check).build()?;
/// # Ok::<(), evenkeel::Error>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct HealthCheck {
    pub(crate) kind: CheckKind,
    /// What is asked for, by a GET or HEAD. Default: `/health`.
    pub path: String,
    pub(crate) host: Option<String>,
    pub(crate) headers: Vec<(String, String)>,
    /// Instead of what the kind wants.
    pub(crate) statuses: Vec<RangeInclusive<u16>>,
    pub(crate) body: Option<String>,
    pub(crate) judge: Option<Judge>,
    /// How often a server is checked. Default: 30 s.
    pub interval: Duration,
    /// How long a check may take, connecting included. Default: 5 s. Not above the interval.
    pub timeout: Duration,
    /// How many checks in a row must fail for a server to be down. Default: 3. At least 1.
    pub unhealthy_threshold: u32,
    /// How many checks in a row must succeed for a server that is down to be up. One that has
    /// just been added is up after the first. Default: 2. At least 1.
    pub healthy_threshold: u32,
    /// How often a server is checked while it is in doubt. Default: 1 s, or the interval if that
    /// is less.
    pub fast_interval: Duration,
    /// How often a server that is down is checked, at the least. Default: 3 s, or the interval if
    /// that is less.
    pub down_interval: Duration,
    /// How often a server is checked that has had no request since the last check. Default: 60 s,
    /// or the interval if that is more.
    pub idle_interval: Duration,
    /// How many checks of all servers run at a time. Default: 32. At least 1.
    pub max_concurrent: usize,
}

/// What a check does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CheckKind {
    Off,
    /// A GET that nobody has asked for.
    Implicit,
    Get,
    Head,
    /// Connects, and no more.
    Tcp,
}

/// What a server answered to a health check, for a function that judges it.
#[derive(Debug)]
#[non_exhaustive]
pub struct CheckResponse<'a> {
    /// The status.
    pub status: StatusCode,
    /// The fields of the head.
    pub headers: &'a HeaderMap,
    /// The body, up to its first 64 KiB.
    pub body: &'a [u8],
}

/// A function of the user's own that judges an answer.
#[derive(Clone)]
pub(crate) struct Judge(pub(crate) Arc<dyn Fn(&CheckResponse<'_>) -> bool + Send + Sync>);

impl PartialEq for Judge {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for Judge {}

impl fmt::Debug for HealthCheck {
    /// Without what may be a secret: the values of the fields, and the query of the path.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = self.headers.iter().map(|(name, _)| name.as_str()).collect();
        f.debug_struct("HealthCheck")
            .field("kind", &self.kind)
            .field("path", &self.path.split('?').next().unwrap_or_default())
            .field("host", &self.host)
            .field("headers", &names)
            .field("statuses", &self.statuses)
            .field("body", &self.body.is_some())
            .field("judge", &self.judge.is_some())
            .field("interval", &self.interval)
            .field("timeout", &self.timeout)
            .field("unhealthy_threshold", &self.unhealthy_threshold)
            .field("healthy_threshold", &self.healthy_threshold)
            .field("fast_interval", &self.fast_interval)
            .field("down_interval", &self.down_interval)
            .field("idle_interval", &self.idle_interval)
            .field("max_concurrent", &self.max_concurrent)
            .finish()
    }
}

impl Default for HealthCheck {
    fn default() -> Self {
        Self {
            kind: CheckKind::Implicit,
            path: "/health".to_owned(),
            host: None,
            headers: Vec::new(),
            statuses: Vec::new(),
            body: None,
            judge: None,
            interval: Duration::from_secs(30),
            timeout: Duration::from_secs(5),
            unhealthy_threshold: 3,
            healthy_threshold: 2,
            fast_interval: Duration::from_secs(1),
            down_interval: Duration::from_secs(3),
            idle_interval: Duration::from_secs(60),
            max_concurrent: 32,
        }
    }
}

impl HealthCheck {
    /// A GET of this path, which is not put behind the server's base path.
    #[must_use]
    pub fn get(path: impl Into<String>) -> Self {
        Self { kind: CheckKind::Get, path: path.into(), ..Self::default() }
    }

    /// A HEAD of this path.
    #[must_use]
    pub fn head(path: impl Into<String>) -> Self {
        Self { kind: CheckKind::Head, path: path.into(), ..Self::default() }
    }

    /// A connection that is made, and closed again.
    #[must_use]
    pub fn tcp() -> Self {
        Self { kind: CheckKind::Tcp, ..Self::default() }
    }

    /// No checks.
    #[must_use]
    pub fn off() -> Self {
        Self { kind: CheckKind::Off, ..Self::default() }
    }

    /// See the [field](Self#structfield.interval).
    #[must_use]
    pub fn interval(mut self, interval: Duration) -> Self {
        self.interval = interval;
        self
    }

    /// See the [field](Self#structfield.timeout).
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// See the [field](Self#structfield.unhealthy_threshold).
    #[must_use]
    pub fn unhealthy_threshold(mut self, count: u32) -> Self {
        self.unhealthy_threshold = count;
        self
    }

    /// See the [field](Self#structfield.healthy_threshold).
    #[must_use]
    pub fn healthy_threshold(mut self, count: u32) -> Self {
        self.healthy_threshold = count;
        self
    }

    /// See the [field](Self#structfield.fast_interval).
    #[must_use]
    pub fn fast_interval(mut self, interval: Duration) -> Self {
        self.fast_interval = interval;
        self
    }

    /// See the [field](Self#structfield.down_interval).
    #[must_use]
    pub fn down_interval(mut self, interval: Duration) -> Self {
        self.down_interval = interval;
        self
    }

    /// See the [field](Self#structfield.idle_interval).
    #[must_use]
    pub fn idle_interval(mut self, interval: Duration) -> Self {
        self.idle_interval = interval;
        self
    }

    /// See the [field](Self#structfield.max_concurrent).
    #[must_use]
    pub fn max_concurrent(mut self, count: usize) -> Self {
        self.max_concurrent = count;
        self
    }

    /// A field of the check's head. May be called for several. [`host`](Self::host) sets `Host`.
    #[must_use]
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// What the check says as `Host`. Default: the server's own.
    #[must_use]
    pub fn host(mut self, host: impl Into<String>) -> Self {
        self.host = Some(host.into());
        self
    }

    /// Statuses that say that the server is well, in the place of 2xx. May be called for several.
    #[must_use]
    pub fn expect_status(mut self, statuses: RangeInclusive<u16>) -> Self {
        self.statuses.push(statuses);
        self
    }

    /// A text that must be in the first 64 KiB of the body.
    #[must_use]
    pub fn expect_body(mut self, text: impl Into<String>) -> Self {
        self.body = Some(text.into());
        self
    }

    /// A function that judges the answer, after status and body have been found to be as expected.
    /// It must not block. If it panics, the check has failed.
    #[must_use]
    pub fn judge(
        mut self,
        judge: impl Fn(&CheckResponse<'_>) -> bool + Send + Sync + 'static,
    ) -> Self {
        self.judge = Some(Judge(Arc::new(judge)));
        self
    }

    /// Whether there are checks at all.
    pub(crate) fn is_on(&self) -> bool {
        self.kind != CheckKind::Off
    }

    /// Whether somebody asked for them.
    pub(crate) fn is_explicit(&self) -> bool {
        !matches!(self.kind, CheckKind::Off | CheckKind::Implicit)
    }

    pub(crate) fn wants(&self, status: u16) -> bool {
        if !self.statuses.is_empty() {
            return self.statuses.iter().any(|range| range.contains(&status));
        }
        match self.kind {
            CheckKind::Implicit => status < 500,
            _ => (200..300).contains(&status),
        }
    }

    /// The fields of the head, which have been validated.
    pub(crate) fn header_map(&self) -> HeaderMap {
        let field = |(name, value): &(String, String)| {
            Some((HeaderName::try_from(name).ok()?, HeaderValue::try_from(value).ok()?))
        };
        self.headers.iter().filter_map(field).collect()
    }

    pub(super) fn validate(&self) -> Result<(), Error> {
        positive("health_check.interval", self.interval)?;
        positive("health_check.timeout", self.timeout)?;
        positive("health_check.fast_interval", self.fast_interval)?;
        positive("health_check.down_interval", self.down_interval)?;
        positive("health_check.idle_interval", self.idle_interval)?;
        let threshold = |name, count: u32| in_range(name, count as usize, 1, 1 << 20);
        threshold("health_check.unhealthy_threshold", self.unhealthy_threshold)?;
        threshold("health_check.healthy_threshold", self.healthy_threshold)?;
        in_range("health_check.max_concurrent", self.max_concurrent, 1, 1 << 16)?;
        if self.timeout > self.interval {
            return Err(refuse(format!(
                "health_check.timeout ({:?}) is above health_check.interval ({:?})",
                self.timeout, self.interval
            )));
        }
        validate_path("health_check.path", &self.path)?;
        for (name, value) in &self.headers {
            let known = HeaderName::try_from(name).ok().filter(|name| *name != header::HOST);
            let Some(name) = known else {
                let why = "is not a field's name, or is Host, which has a setter of its own";
                return Err(refuse(format!("health_check.header {name:?} {why}")));
            };
            // The value may be a secret.
            if HeaderValue::try_from(value).is_err() {
                return Err(refuse(format!("the value of health_check.header {name} is none")));
            }
        }
        self.host.as_deref().map_or(Ok(()), |host| validate_host("health_check.host", host))
    }
}

/// Whether it can be sent as `Host`.
fn validate_host(name: &str, host: &str) -> Result<(), Error> {
    match host.parse::<http::uri::Authority>() {
        Ok(_) if !host.contains('@') => Ok(()),
        _ => Err(refuse(format!("{name} is not a host, or a host and a port"))),
    }
}

/// Checks where a server is to be checked.
pub(crate) fn validate_check_at(at: &CheckAt) -> Result<(), Error> {
    if at.host.as_deref().is_some_and(|host| host.is_empty() || host.contains(['/', '@', ' '])) {
        return Err(refuse("health_check_host of a server is not a host".to_owned()));
    }
    if at.port == Some(0) {
        return Err(refuse("health_check_port of a server is zero".to_owned()));
    }
    at.path.as_deref().map_or(Ok(()), |path| validate_path("health_check_path of a server", path))
}

/// Whether it can be asked for. What is behind a `?` may be a secret.
fn validate_path(name: &str, path: &str) -> Result<(), Error> {
    if path.starts_with('/') && path.parse::<PathAndQuery>().is_ok() {
        return Ok(());
    }
    Err(refuse(format!("{name} is not a path that begins with a slash")))
}
