//! [`Proxy`]: the way to a server by an HTTP proxy.

use std::fmt;
use std::sync::Arc;

use super::Server;
use crate::error::{Error, ErrorKind};

/// An HTTP proxy, by which servers are reached: each connection begins with a CONNECT request to
/// the proxy, and is a tunnel to the server after that (RFC 9110 §9.3.6).
///
/// It is used where it is set, for [all servers](crate::Builder::proxy) or for
/// [one](Server::proxy), and never taken from the environment. The server's name is looked up by
/// the proxy. Every server is reached by a tunnel, `http` ones too: a proxy that allows CONNECT to
/// port 443 only must be told to allow the others. [`Select::absolute_form`] is there for proxies
/// that are servers of the pool themselves.
///
/// ```
/// use evenkeel::{Pool, Proxy, Server};
///
/// let proxy = Proxy::http("http://10.0.0.9:3128")?.basic_auth("user", "password");
/// let pool = Pool::builder()
///     .proxy(proxy)
///     .server(Server::new("http://api.example.com")?)
///     .server(Server::new("http://10.0.0.1:8080")?.direct())
///     .build()?;
/// # Ok::<(), evenkeel::Error>(())
/// ```
///
/// [`Select::absolute_form`]: crate::Select::absolute_form
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Proxy {
    url: Arc<str>,
    host: Arc<str>,
    port: u16,
    /// The user and the password, with a colon between.
    credentials: Option<Arc<str>>,
    /// The user's name has a colon of its own.
    is_ambiguous: bool,
}

impl Proxy {
    /// A proxy that is spoken to in plain HTTP/1.1, by its URL: scheme `http`, a host, and a port
    /// if it is not 80.
    ///
    /// # Errors
    /// [`ErrorKind::Url`] if the URL is malformed, or has another scheme, user info, a path, a
    /// query or a fragment. Credentials are for [`basic_auth`](Self::basic_auth).
    pub fn http(url: impl AsRef<str>) -> Result<Self, Error> {
        let given = url.as_ref();
        let is_http = given.get(..7).is_some_and(|scheme| scheme.eq_ignore_ascii_case("http://"));
        if !is_http {
            let message = "invalid proxy URL: it must begin with http://";
            return Err(Error::new(ErrorKind::Url, message));
        }
        let server = Server::new(given).map_err(|source| {
            Error::new(ErrorKind::Url, "invalid proxy URL").with_source(source)
        })?;
        if !server.base_path().is_empty() {
            return Err(Error::new(ErrorKind::Url, "invalid proxy URL: a proxy has no path"));
        }
        Ok(Self {
            url: server.shared_url().clone(),
            host: server.host().into(),
            port: server.port(),
            credentials: None,
            is_ambiguous: false,
        })
    }

    /// The credentials with which it is asked, by the scheme `Basic` (RFC 7617). They go to the
    /// proxy and nowhere else; no error and no `Debug` shows them. A user's name with a colon is
    /// refused when the pool is built, or the server added.
    #[must_use]
    pub fn basic_auth(mut self, user: impl AsRef<str>, password: impl AsRef<str>) -> Self {
        let (user, password) = (user.as_ref(), password.as_ref());
        self.is_ambiguous = user.contains(':');
        self.credentials = Some(format!("{user}:{password}").into());
        self
    }

    /// Its URL, without credentials.
    pub fn url(&self) -> &str {
        &self.url
    }

    pub(crate) fn host(&self) -> &str {
        &self.host
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// The value of the `Proxy-Authorization` field.
    pub(crate) fn authorization(&self) -> Option<String> {
        let credentials = self.credentials.as_ref()?;
        Some(format!("Basic {}", base64(credentials.as_bytes())))
    }

    /// Checks what the setters could not refuse.
    pub(crate) fn validate(&self) -> Result<(), Error> {
        if self.is_ambiguous {
            let message = "the user of Proxy::basic_auth has a colon, which ends it (RFC 7617)";
            return Err(Error::new(ErrorKind::Config, message));
        }
        Ok(())
    }
}

impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let credentials = self.credentials.as_ref().map(|_| "…");
        f.debug_struct("Proxy").field("url", &self.url).field("credentials", &credentials).finish()
    }
}

/// RFC 4648 section 4.
fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let at = |index: usize| u32::from(chunk.get(index).copied().unwrap_or(0));
        let word = at(0) << 16 | at(1) << 8 | at(2);
        for place in 0..4 {
            let sextet = (word >> (18 - 6 * place)) & 63;
            let is_there = place <= chunk.len();
            text.push(if is_there { char::from(ALPHABET[sextet as usize]) } else { '=' });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_is_that_of_the_rfc() {
        let vectors = [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foob", "Zm9vYg=="),
            ("fooba", "Zm9vYmE="),
            ("foobar", "Zm9vYmFy"),
            ("Aladdin:open sesame", "QWxhZGRpbjpvcGVuIHNlc2FtZQ=="),
            ("\u{fb}\u{ff}", "w7vDvw=="),
        ];
        for (plain, encoded) in vectors {
            assert_eq!(base64(plain.as_bytes()), encoded, "{plain}");
        }
    }

    #[test]
    fn credentials_are_for_the_proxy_alone() {
        let proxy = Proxy::http("http://proxy.test:3128").unwrap().basic_auth("me", "secret");
        assert_eq!(proxy.authorization().unwrap(), "Basic bWU6c2VjcmV0");
        let shown = format!("{proxy:?}");
        assert!(!shown.contains("secret") && !shown.contains("bWU6"), "{shown}");
        assert_eq!(
            (proxy.url(), proxy.host(), proxy.port()),
            ("http://proxy.test:3128", "proxy.test", 3128)
        );
        proxy.validate().unwrap();
        let error = proxy.basic_auth("me:you", "secret").validate().unwrap_err();
        assert!(error.to_string().contains("colon"), "{error}");
        assert!(Proxy::http("http://[::1]").unwrap().authorization().is_none());
    }

    #[test]
    fn what_is_no_proxy_is_refused_with_a_reason() {
        let junk = [
            ("proxy:3128", "http://"),
            ("https://proxy", "http://"),
            ("socks5://proxy", "http://"),
            ("unix:/proxy.sock", "http://"),
            ("http://me:secret@proxy", "user info"),
            ("http://proxy/path", "no path"),
            ("http://proxy?secret", "query"),
            ("http://", "no host"),
        ];
        for (url, reason) in junk {
            let error = Proxy::http(url).expect_err(url);
            assert_eq!(error.kind(), ErrorKind::Url, "{url}");
            let text = format!("{error:?}");
            assert!(text.contains(reason) && !text.contains("secret"), "{url}: {text}");
        }
    }
}
