//! [`Server`]: what the user adds to a pool.

mod check;
mod proxy;
mod redact;
mod state;
mod unix;

use std::fmt;
use std::net::Ipv6Addr;
use std::path::Path;
use std::sync::Arc;

pub(crate) use self::check::CheckAt;
pub use self::proxy::Proxy;
pub(crate) use self::redact::redact;
pub use self::state::{CheckFailure, Fault, Health, HealthReason, ServerState};
#[cfg(feature = "rustls-no-provider")]
use crate::config::TlsConfig;
use crate::error::{Error, ErrorKind};

const ASCII_HINT: &str = "; write an international name in its ASCII form (xn--…)";

/// Names one server of one pool. Ids are never used twice.
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ServerId(pub(crate) u64);

impl fmt::Debug for ServerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ServerId({})", self.0)
    }
}

impl fmt::Display for ServerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

/// A server, as a base URL.
///
/// ```
/// use evenkeel::Server;
///
/// let server = Server::new("http://Example.com:80/api/")?;
/// assert_eq!(server.url(), "http://example.com/api");
/// assert!(Server::new("ftp://example.com").is_err());
/// # Ok::<(), evenkeel::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Server {
    /// Normalised: lower-case scheme and host, no default port, no trailing slash.
    url: Arc<str>,
    /// The part of `url` before the path: scheme and authority.
    origin_len: usize,
    /// Name or literal address, without brackets.
    host: String,
    port: u16,
    is_https: bool,
    /// The value of the `Host` field: the authority without a default port.
    authority: String,
    way: Way,
    /// A limit of its own.
    max_connections: Option<usize>,
    /// How TLS is spoken, if not as with the others.
    #[cfg(feature = "rustls-no-provider")]
    tls: Option<Arc<TlsConfig>>,
    /// Where it is checked, if not where requests go.
    check_at: Option<Box<CheckAt>>,
    /// What the user may change while the server is in a pool.
    terms: Terms,
}

/// How a server is reached.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) enum Way {
    /// By the pool's proxy, if it has one.
    #[default]
    OfPool,
    Direct,
    Proxy(Arc<Proxy>),
    Unix(Arc<Path>),
}

/// On what terms a server takes part in balancing.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Terms {
    pub(crate) weight: u32,
    pub(crate) tier: u8,
    /// Sorted, each once.
    pub(crate) tags: Vec<Arc<str>>,
}

impl Default for Terms {
    fn default() -> Self {
        Self { weight: 1, tier: 0, tags: Vec::new() }
    }
}

impl Server {
    /// Parses a server's base URL: scheme `http` or `https`, a host, and optionally a port and a
    /// base path, which is put before the path of every request. The port is 80, or 443 with
    /// `https`, if none is given. A pool refuses a server with `https` if the crate was built
    /// without the feature `rustls`.
    ///
    /// Or that of a Unix-domain socket: `unix:/path/of/the.sock`, with a base path behind another
    /// colon, as in `unix:/run/docker.sock:/v1.43`. The path is taken as it is written, and
    /// `unix:///path` is the same. The `Host` field is `localhost`;
    /// [`unix_socket`](Self::unix_socket) is for another.
    ///
    /// # Errors
    /// [`ErrorKind::Url`] if the URL is empty or malformed, has another scheme or no host, or
    /// carries user info, a query or a fragment.
    pub fn new(url: impl AsRef<str>) -> Result<Self, Error> {
        let given = url.as_ref();
        let fail = |why: &str| {
            Error::new(ErrorKind::Url, format!("invalid server URL {}: {why}", redact(given)))
        };
        if given.trim().is_empty() {
            return Err(Error::new(ErrorKind::Url, "invalid server URL: it is empty"));
        }
        if let Some(rest) = unix::rest(given) {
            return unix::parse(rest);
        }
        // `http::Uri` drops a fragment silently, so it must be looked for first.
        if given.contains('#') {
            return Err(fail("a server has no fragment"));
        }
        // `http::Uri` calls this malformed, which does not say what is missing.
        let after_scheme = given.split_once("://").map(|(_, rest)| rest);
        if after_scheme.is_some_and(|rest| rest.is_empty() || rest.starts_with(['/', '?'])) {
            return Err(fail("it has no host"));
        }
        let uri: http::Uri = given.parse().map_err(|source: http::uri::InvalidUri| {
            let hint = if given.is_ascii() { "" } else { ASCII_HINT };
            fail(&format!("{source}{hint}")).with_source(source)
        })?;
        let (scheme, usual_port) = match uri.scheme_str() {
            Some(scheme) if scheme.eq_ignore_ascii_case("http") => ("http", 80),
            Some(scheme) if scheme.eq_ignore_ascii_case("https") => ("https", 443),
            Some(scheme) => return Err(fail(&format!("scheme {scheme} is not http or https"))),
            None => return Err(fail("it has no scheme; write http://host")),
        };
        let authority = uri.authority().ok_or_else(|| fail("it has no host"))?;
        if authority.as_str().contains('@') {
            return Err(fail("user info does not belong in a server's URL"));
        }
        if uri.query().is_some() {
            return Err(fail("a server has no query"));
        }
        let (host, port) = host_and_port(authority.as_str()).map_err(fail)?;
        let port = port.unwrap_or(usual_port);
        let authority = if port == usual_port { host.clone() } else { format!("{host}:{port}") };
        let path = uri.path().trim_end_matches('/');
        let origin = format!("{scheme}://{authority}");
        Ok(Self {
            origin_len: origin.len(),
            url: format!("{origin}{path}").into(),
            host: host.trim_start_matches('[').trim_end_matches(']').to_owned(),
            port,
            is_https: usual_port == 443,
            authority,
            way: Way::default(),
            max_connections: None,
            #[cfg(feature = "rustls-no-provider")]
            tls: None,
            check_at: None,
            terms: Terms::default(),
        })
    }

    /// Limits the sockets open to this server to `limit`, in the place of
    /// [`Config::max_connections_per_server`](crate::Config::max_connections_per_server): 1 to
    /// 65,535, checked when the server is added. [`Pool::set_limits`](crate::Pool::set_limits)
    /// leaves it alone. Default: none of its own.
    ///
    /// ```
    /// use evenkeel::{Pool, Server};
    ///
    /// let small = Server::new("http://10.0.0.1:8080")?.max_connections(4);
    /// let pool = Pool::builder().server(small).build()?;
    /// # Ok::<(), evenkeel::Error>(())
    /// ```
    #[must_use]
    pub fn max_connections(mut self, limit: usize) -> Self {
        self.max_connections = Some(limit);
        self
    }

    /// The limit that this server has for itself.
    pub(crate) fn own_limit(&self) -> Option<usize> {
        self.max_connections
    }

    /// How TLS is spoken with this server, in the place of [`Builder::tls`](crate::Builder::tls).
    /// The server's URL must begin with `https`. A server that is in the pool already keeps what it
    /// was first added with. Default: as with the pool's others.
    #[cfg(feature = "rustls-no-provider")]
    #[cfg_attr(docsrs, doc(cfg(feature = "rustls")))]
    #[must_use]
    pub fn tls(mut self, tls: TlsConfig) -> Self {
        self.tls = Some(Arc::new(tls));
        self
    }

    /// Its own way to speak TLS.
    #[cfg(feature = "rustls-no-provider")]
    pub(crate) fn own_tls(&self) -> Option<&TlsConfig> {
        self.tls.as_deref()
    }

    /// Whether it is spoken to by TLS.
    pub(crate) fn is_https(&self) -> bool {
        self.is_https
    }

    /// Reaches this server by `proxy`, in the place of the [pool's](crate::Builder::proxy). A
    /// server behind a Unix-domain socket is reached directly all the same, and one that is in a
    /// pool already and is added again keeps the way it has.
    #[must_use]
    pub fn proxy(mut self, proxy: Proxy) -> Self {
        if !matches!(self.way, Way::Unix(_)) {
            self.way = Way::Proxy(Arc::new(proxy));
        }
        self
    }

    /// Reaches this server without a proxy, though the pool has one.
    #[must_use]
    pub fn direct(mut self) -> Self {
        if !matches!(self.way, Way::Unix(_)) {
            self.way = Way::Direct;
        }
        self
    }

    pub(crate) fn way(&self) -> &Way {
        &self.way
    }

    /// Checks what the setters could not refuse.
    pub(crate) fn validate(&self) -> Result<(), Error> {
        match &self.way {
            Way::Proxy(proxy) => proxy.validate(),
            _ => Ok(()),
        }
    }

    /// How much of the traffic this server is to have, beside the others. Every
    /// [`Strategy`](crate::Strategy) but `RoundRobin` honours it. 0 drains it: it gets no new
    /// requests, but for those that [name it](crate::Select::server). Default: 1.
    #[must_use]
    pub fn weight(mut self, weight: u32) -> Self {
        self.terms.weight = weight;
        self
    }

    /// Gives the server a tag, say the zone that it is in, for requests to
    /// [ask for](crate::Select::tag). It may have several.
    #[must_use]
    pub fn tag(mut self, tag: impl AsRef<str>) -> Self {
        let tag = tag.as_ref();
        if let Err(at) = self.terms.tags.binary_search_by(|known| (**known).cmp(tag)) {
            self.terms.tags.insert(at, tag.into());
        }
        self
    }

    /// Puts the server into a tier. Requests go to the lowest tier that has a server that may be
    /// picked; a higher one is used only if there is none, or if all of the lower ones have failed
    /// this request. A tier whose servers are merely full is waited for. Default: 0.
    #[must_use]
    pub fn priority_tier(mut self, tier: u8) -> Self {
        self.terms.tier = tier;
        self
    }

    /// A backup server: in [tier](Self::priority_tier) 1.
    #[must_use]
    pub fn backup(self) -> Self {
        self.priority_tier(1)
    }

    /// The base URL, normalised: lower-case scheme and host, no default port, no trailing slash.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The host, without brackets. Of a `unix:` URL: `localhost`.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port. Of a `unix:` URL: 80, which stands for nothing.
    pub fn port(&self) -> u16 {
        self.port
    }

    pub(crate) fn terms(&self) -> &Terms {
        &self.terms
    }

    pub(crate) fn shared_url(&self) -> &Arc<str> {
        &self.url
    }

    /// Scheme and authority.
    pub(crate) fn origin(&self) -> &str {
        &self.url[..self.origin_len]
    }

    /// What goes before the path of each request: empty, or a path without a trailing slash.
    pub(crate) fn base_path(&self) -> &str {
        &self.url[self.origin_len..]
    }

    /// The value of the `Host` field.
    pub(crate) fn authority(&self) -> &str {
        &self.authority
    }
}

/// The host in its normal form, with its brackets if it has any, and the port, if it has one.
///
/// `http::Uri` is more generous than a server can be: it takes whatever is in brackets, anything
/// behind them, and any characters for a port.
fn host_and_port(authority: &str) -> Result<(String, Option<u16>), &'static str> {
    let (host, rest) = match authority.strip_prefix('[') {
        Some(inner) => {
            let (inside, rest) = inner.split_once(']').ok_or("a bracket is not closed")?;
            let address: Ipv6Addr =
                inside.parse().map_err(|_| "what is in brackets is not an IPv6 address")?;
            // One address can be written in many ways; printed, it is always the same.
            (format!("[{address}]"), rest)
        }
        None => {
            let (host, rest) = authority.split_at(authority.find(':').unwrap_or(authority.len()));
            (host.to_ascii_lowercase(), rest)
        }
    };
    if host.is_empty() {
        return Err("it has no host");
    }
    let port = match rest.strip_prefix(':') {
        None if rest.is_empty() => None,
        // RFC 3986 section 3.2.3 allows a colon without a port.
        Some("") => None,
        // A number's own parser would take a sign, too.
        Some(digits) if digits.bytes().all(|byte| byte.is_ascii_digit()) => {
            match digits.parse::<u16>() {
                Ok(port) if port != 0 => Some(port),
                _ => return Err("the port is not between 1 and 65535"),
            }
        }
        _ => return Err("what follows the host is not a colon and a port"),
    };
    Ok((host, port))
}

impl TryFrom<&str> for Server {
    type Error = Error;
    fn try_from(url: &str) -> Result<Self, Error> {
        Self::new(url)
    }
}

impl TryFrom<String> for Server {
    type Error = Error;
    fn try_from(url: String) -> Result<Self, Error> {
        Self::new(url)
    }
}

#[cfg(test)]
mod tests;
