//! [`TlsConfig`]: how `https` servers are spoken to, as plain data.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use rustls::ClientConfig;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use super::check::refuse;
use crate::error::Error;

/// A version of TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum TlsVersion {
    /// TLS 1.2, RFC 5246.
    Tls12,
    /// TLS 1.3, RFC 8446.
    Tls13,
}

/// Whose cryptography is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum TlsCrypto {
    /// That of ring, with the feature `rustls`.
    Ring,
    /// That of aws-lc-rs, with the feature `aws-lc-rs`.
    AwsLcRs,
}

/// How `https` servers are spoken to: whom to trust, and who we are.
///
/// For all servers of a pool by [`Builder::tls`](crate::Builder::tls), or for one by
/// [`Server::tls`](crate::Server::tls). The default trusts the roots of Mozilla, as the crate
/// webpki-roots has them, and speaks TLS 1.2 and 1.3. Everything is checked when the pool is built
/// or the server is added, and sessions are resumed with the server that they were made with, never
/// with another.
///
/// Certificates and keys may be given as PEM or as DER.
///
/// ```
/// use evenkeel::{Pool, Server, TlsConfig, TlsVersion};
///
/// # fn example(ca: &[u8]) -> Result<(), evenkeel::Error> {
/// let inside = TlsConfig::new().root_certificate(ca).only_own_roots();
/// let pool = Pool::builder()
///     .tls(TlsConfig::new().min_version(TlsVersion::Tls13))
///     .server(Server::new("https://example.com")?)
///     .server(Server::new("https://10.0.0.1:8443")?.tls(inside))
///     .build()?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, PartialEq, Eq, Hash)]
#[must_use = "give it to Builder::tls or to Server::tls"]
pub struct TlsConfig {
    roots: Vec<Vec<u8>>,
    pub(crate) common_roots: bool,
    #[cfg(feature = "native-certs")]
    pub(crate) native_roots: bool,
    /// Chain and key.
    identity: Option<(Vec<u8>, Vec<u8>)>,
    pub(crate) server_name: Option<String>,
    pub(crate) min_version: TlsVersion,
    pub(crate) alpn: bool,
    pub(crate) key_log: bool,
    pub(crate) accept_invalid: bool,
    pub(crate) resume: bool,
    pub(crate) crypto: Option<TlsCrypto>,
    pub(crate) ready_made: Option<ReadyMade>,
}

impl Default for TlsConfig {
    fn default() -> Self {
        Self {
            roots: Vec::new(),
            common_roots: true,
            #[cfg(feature = "native-certs")]
            native_roots: false,
            identity: None,
            server_name: None,
            min_version: TlsVersion::Tls12,
            alpn: true,
            key_log: false,
            accept_invalid: false,
            resume: true,
            crypto: None,
            ready_made: None,
        }
    }
}

impl TlsConfig {
    /// The defaults.
    pub fn new() -> Self {
        Self::default()
    }

    /// Trusts this root certificate, too: one as DER, or any number as PEM. A server's self-signed
    /// certificate is its own root, if it does not say that it is a CA's.
    pub fn root_certificate(mut self, certificate: impl AsRef<[u8]>) -> Self {
        self.roots.push(certificate.as_ref().to_vec());
        self
    }

    /// Trusts the roots of [`root_certificate`](Self::root_certificate) and nobody else.
    pub fn only_own_roots(mut self) -> Self {
        self.common_roots = false;
        #[cfg(feature = "native-certs")]
        {
            self.native_roots = false;
        }
        self
    }

    /// Trusts the root certificates of the system instead of those of webpki-roots. They are read
    /// when the first server needs them; if there are none, that is an error.
    #[cfg(feature = "native-certs")]
    #[cfg_attr(docsrs, doc(cfg(feature = "native-certs")))]
    pub fn native_roots(mut self) -> Self {
        self.common_roots = false;
        self.native_roots = true;
        self
    }

    /// Shows this certificate to a server that asks for one, and the key that goes with it. `chain`
    /// is the certificate, and behind it those that lead to a root that the server knows, as PEM;
    /// or the one certificate as DER. `key` is the private key as PEM, or as DER (PKCS #8, PKCS #1
    /// or SEC1). Both may be the same file, if it holds both.
    pub fn client_certificate(mut self, chain: impl AsRef<[u8]>, key: impl AsRef<[u8]>) -> Self {
        self.identity = Some((chain.as_ref().to_vec(), key.as_ref().to_vec()));
        self
    }

    /// The name that is asked for (SNI), and that the certificate must be for, instead of the host
    /// of the server's URL.
    pub fn server_name(mut self, name: impl Into<String>) -> Self {
        self.server_name = Some(name.into());
        self
    }

    /// The lowest version that is spoken. Default: TLS 1.2.
    pub fn min_version(mut self, version: TlsVersion) -> Self {
        self.min_version = version;
        self
    }

    /// Whether to tell the server, by ALPN (RFC 7301), that `http/1.1` will be spoken.
    /// Default: true.
    pub fn alpn(mut self, alpn: bool) -> Self {
        self.alpn = alpn;
        self
    }

    /// Whether to write the keys of each connection to the file that the environment variable
    /// `SSLKEYLOGFILE` names, for tools such as Wireshark. Who has that file can read all traffic.
    /// Default: false, whatever the environment says.
    pub fn key_log(mut self, key_log: bool) -> Self {
        self.key_log = key_log;
        self
    }

    /// Whether to resume the session of an earlier connection to the same server, which saves most
    /// of the work of a handshake. Default: true.
    pub fn resumption(mut self, resume: bool) -> Self {
        self.resume = resume;
        self
    }

    /// Whose cryptography to use. Default: ring, if the feature `rustls` is on, else aws-lc-rs.
    pub fn crypto(mut self, crypto: TlsCrypto) -> Self {
        self.crypto = Some(crypto);
        self
    }

    /// Takes any certificate for good: expired, self-signed, or of another host. Then nobody knows
    /// who answers, and anyone on the way can read and change everything. For tests alone; to trust
    /// a self-signed server, give its certificate to
    /// [`root_certificate`](Self::root_certificate). Default: false.
    pub fn danger_accept_invalid_certs(mut self, accept: bool) -> Self {
        self.accept_invalid = accept;
        self
    }

    /// A configuration of rustls 0.23, used as it is. Of the other settings here only
    /// [`server_name`](Self::server_name) has any effect beside it. What it stores of sessions is
    /// shared by whoever else uses it. This method goes when the crate goes to another rustls.
    pub fn rustls_0_23(mut self, config: Arc<ClientConfig>) -> Self {
        self.ready_made = Some(ReadyMade(config));
        self
    }

    /// Checks every setting.
    pub(crate) fn validate(&self) -> Result<(), Error> {
        self.own_roots()?;
        self.identity()?;
        if self.trusts_nobody() {
            return Err(refuse(
                "tls.only_own_roots: there is no root certificate to trust; add one with \
                 root_certificate"
                    .to_owned(),
            ));
        }
        Ok(())
    }

    fn trusts_nobody(&self) -> bool {
        #[cfg(feature = "native-certs")]
        let native = self.native_roots;
        #[cfg(not(feature = "native-certs"))]
        let native = false;
        let others = self.common_roots || native || self.accept_invalid;
        self.roots.is_empty() && !others && self.ready_made.is_none()
    }

    /// The roots that were added.
    pub(crate) fn own_roots(&self) -> Result<Vec<CertificateDer<'static>>, Error> {
        let mut roots = Vec::new();
        for given in &self.roots {
            roots.extend(certificates("tls.root_certificate", given)?);
        }
        Ok(roots)
    }

    /// The client's certificates and key.
    pub(crate) fn identity(&self) -> Result<Option<Identity>, Error> {
        let Some((chain, key)) = &self.identity else {
            return Ok(None);
        };
        let chain = certificates("tls.client_certificate", chain)?;
        Ok(Some((chain, private_key(key)?)))
    }
}

/// A chain of certificates, and the key to its first.
pub(crate) type Identity = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>);

fn is_pem(bytes: &[u8]) -> bool {
    bytes.windows(11).any(|window| window == b"-----BEGIN ")
}

fn certificates(field: &str, given: &[u8]) -> Result<Vec<CertificateDer<'static>>, Error> {
    // A certificate is a SEQUENCE; what is none is found out when it is used.
    if !is_pem(given) {
        return match given.first() {
            Some(0x30) => Ok(vec![CertificateDer::from(given.to_vec())]),
            _ => Err(refuse(format!("{field} is neither PEM nor DER"))),
        };
    }
    let found: Result<Vec<_>, pem::Error> = CertificateDer::pem_slice_iter(given).collect();
    let found = found.map_err(|error| refuse(format!("{field} is not valid PEM: {error}")))?;
    if found.is_empty() {
        let what = "there is no BEGIN CERTIFICATE in it";
        return Err(refuse(format!("{field} holds no certificate: {what}")));
    }
    Ok(found)
}

fn private_key(given: &[u8]) -> Result<PrivateKeyDer<'static>, Error> {
    let field = "the key of tls.client_certificate";
    if !is_pem(given) {
        return PrivateKeyDer::try_from(given.to_vec())
            .map_err(|why| refuse(format!("{field} is neither PEM nor DER: {why}")));
    }
    // The error of the parser is not shown: it may quote what it has read.
    PrivateKeyDer::from_pem_slice(given).map_err(|error| match error {
        _ if is_encrypted(given) => refuse(format!("{field} is encrypted; decrypt it first")),
        pem::Error::NoItemsFound => refuse(format!("{field} holds no private key")),
        _ => refuse(format!("{field} is not valid PEM")),
    })
}

/// Both forms say it in plain text.
fn is_encrypted(pem: &[u8]) -> bool {
    pem.windows(9).any(|window| window == b"ENCRYPTED")
}

/// A configuration that the user has made. It is the same as another if it is that very one.
#[derive(Clone)]
pub(crate) struct ReadyMade(pub(crate) Arc<ClientConfig>);

impl PartialEq for ReadyMade {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for ReadyMade {}

impl Hash for ReadyMade {
    fn hash<H: Hasher>(&self, state: &mut H) {
        Arc::as_ptr(&self.0).hash(state);
    }
}

/// Shows no key, and of certificates how many there are.
impl fmt::Debug for TlsConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = f.debug_struct("TlsConfig");
        out.field("root_certificates", &self.roots.len()).field("common_roots", &self.common_roots);
        #[cfg(feature = "native-certs")]
        out.field("native_roots", &self.native_roots);
        out.field("client_certificate", &self.identity.is_some())
            .field("server_name", &self.server_name)
            .field("min_version", &self.min_version)
            .field("alpn", &self.alpn)
            .field("key_log", &self.key_log)
            .field("danger_accept_invalid_certs", &self.accept_invalid)
            .field("resumption", &self.resume)
            .field("crypto", &self.crypto)
            .field("rustls_0_23", &self.ready_made.is_some())
            .finish()
    }
}
