//! Servers behind Unix-domain sockets.

use std::path::Path;

use super::{Server, Way, redact};
use crate::error::{Error, ErrorKind};

/// What a URL of such a server begins with.
const SCHEME: &str = "unix:";

/// What follows the scheme, if this is such a URL.
pub(super) fn rest(url: &str) -> Option<&str> {
    let scheme = url.get(..SCHEME.len())?;
    scheme.eq_ignore_ascii_case(SCHEME).then(|| &url[SCHEME.len()..])
}

/// Parses what follows the scheme: `/path`, `/path:/base`, or the same behind two slashes.
pub(super) fn parse(rest: &str) -> Result<Server, Error> {
    let fail = |why: &str| {
        Error::new(ErrorKind::Url, format!("invalid server URL {}: {why}", redact(rest)))
    };
    if rest.contains('#') {
        return Err(fail("a server has no fragment"));
    }
    if rest.contains('?') {
        return Err(fail("a server has no query"));
    }
    // As in `unix:///path`: an authority that is empty.
    let path = rest.strip_prefix("//").unwrap_or(rest);
    if !path.starts_with('/') {
        return Err(fail("write unix:/path/of/the.sock; the path is absolute"));
    }
    let (path, base) = match path.find(":/") {
        Some(at) => (&path[..at], &path[at + 1..]),
        None => (path, ""),
    };
    Server::new(format!("http://localhost{base}"))?.unix_socket(path)
}

impl Server {
    /// Reaches the server by a Unix-domain socket. The host and port of its URL are looked up
    /// nowhere, and stand in the `Host` field alone; its path goes before that of every request, as
    /// ever. Its [`url`](Self::url) becomes that of the socket; requests name it by path, since no
    /// absolute URL does.
    ///
    /// A proxy has no part in it.
    ///
    /// ```
    /// # #[cfg(unix)] {
    /// use evenkeel::Server;
    ///
    /// let server = Server::new("http://docker/v1.43")?.unix_socket("/run/docker.sock")?;
    /// assert_eq!(server.url(), "unix:/run/docker.sock:/v1.43");
    /// // The same, but for the `Host` field, which is `localhost`.
    /// assert_eq!(server.url(), Server::new("unix:/run/docker.sock:/v1.43")?.url());
    /// # }
    /// # Ok::<(), evenkeel::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`ErrorKind::Url`] if the path is not absolute, is not UTF-8 or holds a zero byte, if it is
    /// longer than an address may be (107 bytes on Linux), and on platforms without these sockets.
    pub fn unix_socket(mut self, path: impl AsRef<Path>) -> Result<Self, Error> {
        let path = path.as_ref();
        let text = path.to_str().filter(|text| text.starts_with('/')).ok_or_else(|| {
            let shown = redact(&path.display().to_string());
            Error::new(ErrorKind::Url, format!("{shown} is no absolute path in UTF-8"))
        })?;
        check(path, text)?;
        let base = self.base_path();
        let origin = format!("{SCHEME}{text}{}", if base.is_empty() { "" } else { ":" });
        self.url = format!("{origin}{base}").into();
        self.origin_len = origin.len();
        self.way = Way::Unix(path.into());
        Ok(self)
    }
}

#[cfg(unix)]
fn check(path: &Path, text: &str) -> Result<(), Error> {
    std::os::unix::net::SocketAddr::from_pathname(path).map(drop).map_err(|source| {
        Error::new(ErrorKind::Url, format!("{} is no path of a socket: {source}", redact(text)))
    })
}

#[cfg(not(unix))]
fn check(_: &Path, text: &str) -> Result<(), Error> {
    let message = format!("{}: this platform has no Unix-domain sockets", redact(text));
    Err(Error::new(ErrorKind::Url, message))
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn a_url_names_a_socket_and_a_base_path() {
        let forms = [
            ("unix:/run/a.sock", "unix:/run/a.sock", ""),
            ("UNIX:/run/a.sock", "unix:/run/a.sock", ""),
            ("unix:///run/a.sock", "unix:/run/a.sock", ""),
            ("unix:/run/a.sock:/", "unix:/run/a.sock", ""),
            ("unix:/run/a.sock:/v1/", "unix:/run/a.sock:/v1", "/v1"),
            ("unix:///run/a:b.sock:/v1/x", "unix:/run/a:b.sock:/v1/x", "/v1/x"),
        ];
        for (given, url, base) in forms {
            let server = Server::new(given).unwrap();
            assert_eq!((server.url(), server.base_path()), (url, base), "{given}");
            assert_eq!(server.authority(), "localhost");
            assert!(
                matches!(server.way(), Way::Unix(path) if path.to_str().unwrap().ends_with("sock"))
            );
        }
    }

    #[test]
    fn host_and_base_path_can_be_those_of_a_url() {
        let server = Server::new("http://api.test:81/v1").unwrap().unix_socket("/a.sock").unwrap();
        assert_eq!((server.authority(), server.host()), ("api.test:81", "api.test"));
        assert_eq!((server.url(), server.base_path()), ("unix:/a.sock:/v1", "/v1"));
        let other = Server::new("http://api.test:81/v1").unwrap().unix_socket("/b.sock").unwrap();
        assert_ne!(server.url(), other.url());
    }

    #[test]
    fn a_path_as_long_as_may_be_is_accepted_and_one_longer_refused() {
        // 108 bytes with the terminating zero on Linux, 104 elsewhere.
        let most = if cfg!(target_os = "linux") { 107 } else { 103 };
        let path = |len: usize| format!("/{}", "x".repeat(len - 1));
        Server::new("http://h").unwrap().unix_socket(path(most)).unwrap();
        let error = Server::new("http://h").unwrap().unix_socket(path(most + 1)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Url);
        assert!(error.to_string().contains("no path of a socket"), "{error}");
    }

    #[test]
    fn what_is_no_socket_is_refused_with_a_reason() {
        let junk = [
            ("unix:", "absolute"),
            ("unix:run/a.sock", "absolute"),
            ("unix://run/a.sock", "absolute"),
            ("unix:/a.sock?x=secret", "query"),
            ("unix:/a.sock#secret", "fragment"),
            ("unix:/a.sock:/a b", "invalid"),
            ("unix:/a\0b", "no path of a socket"),
        ];
        for (url, reason) in junk {
            let error = Server::new(url).expect_err(url);
            assert_eq!(error.kind(), ErrorKind::Url, "{url}");
            assert!(error.to_string().contains(reason), "{url}: {error}");
            assert!(!error.to_string().contains("secret"), "{error}");
        }
        for path in ["", "a.sock", "./a.sock"] {
            Server::new("http://h").unwrap().unix_socket(path).unwrap_err();
        }
    }
}
