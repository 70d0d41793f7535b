//! [`Profiles`]: configurations of rustls, made once for each profile of ours.

use std::sync::{Arc, OnceLock};

use rustls::client::Resumption;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, InconsistentKeys, KeyLogFile, RootCertStore};

use super::Tls;
use super::verify::TrustAll;
use crate::config::{Config, TlsConfig, TlsCrypto, TlsVersion};
use crate::error::{Error, ErrorKind};
use crate::server::Server;

/// How many tickets of TLS 1.3 rustls keeps for a name. A server of ours has one name.
const TICKETS: usize = 8;

/// The profile of the pool. Servers may have their own.
#[derive(Debug)]
pub(crate) struct Profiles {
    pool: OnceLock<Profile>,
}

/// What the servers of a profile have in common.
#[derive(Clone, Debug)]
struct Profile {
    config: Arc<ClientConfig>,
    /// Each server has sessions of its own.
    sessions: Sessions,
    server_name: Option<String>,
    has_identity: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sessions {
    Kept,
    /// None are kept, or the configuration is the user's, and says itself.
    AsConfigured,
}

impl Profiles {
    /// Checks the pool's profile. The default is made only once it is needed: it is right anyway.
    pub(crate) fn new(config: &Config) -> Result<Self, Error> {
        let profiles = Self { pool: OnceLock::new() };
        if config.tls != TlsConfig::default() {
            profiles.pool(config)?;
        }
        Ok(profiles)
    }

    fn pool(&self, config: &Config) -> Result<Profile, Error> {
        if let Some(profile) = self.pool.get() {
            return Ok(profile.clone());
        }
        // Two threads may both make it; one is kept.
        let made = Profile::new(&config.tls)?;
        Ok(self.pool.get_or_init(|| made).clone())
    }

    /// What is needed to speak to the server; `None` if it is spoken to in the clear.
    pub(crate) fn of_server(&self, server: &Server, config: &Config) -> Result<Option<Tls>, Error> {
        let profile = match server.own_tls() {
            // Wrong settings are an error even where they are of no use.
            Some(own) => Profile::new(own)?,
            None if server.is_https() => self.pool(config)?,
            None => return Ok(None),
        };
        if !server.is_https() {
            let message = format!("{} has settings of TLS; write https://", server.url());
            return Err(Error::new(ErrorKind::Config, message));
        }
        profile.for_server(server).map(Some)
    }
}

impl Profile {
    fn new(tls: &TlsConfig) -> Result<Self, Error> {
        let config = match &tls.ready_made {
            Some(ready_made) => ready_made.0.clone(),
            None => Arc::new(make(tls)?),
        };
        let kept = tls.resume && tls.ready_made.is_none();
        Ok(Self {
            config,
            sessions: if kept { Sessions::Kept } else { Sessions::AsConfigured },
            server_name: tls.server_name.clone(),
            has_identity: tls.identity()?.is_some(),
        })
    }

    fn for_server(&self, server: &Server) -> Result<Tls, Error> {
        let name = self.server_name.as_deref().unwrap_or_else(|| server.host());
        // A dot at its end is no part of what is asked for: rustls sees to that.
        let name = name.to_owned();
        let server_name = ServerName::try_from(name.clone()).map_err(|source| {
            let name = crate::server::redact(&name);
            refuse(format!(
                "{name} is no name that a certificate can be for; set tls.server_name to one"
            ))
            .with_source(source)
        })?;
        let mut config = self.config.clone();
        if self.sessions == Sessions::Kept {
            let mut own = ClientConfig::clone(&config);
            own.resumption = Resumption::in_memory_sessions(TICKETS);
            config = Arc::new(own);
        }
        Ok(Tls { config, server_name, name: name.into(), has_identity: self.has_identity })
    }
}

fn refuse(message: String) -> Error {
    Error::new(ErrorKind::Config, message)
}

fn make(tls: &TlsConfig) -> Result<ClientConfig, Error> {
    tls.validate()?;
    let provider = provider(tls.crypto)?;
    let versions: &[_] = match tls.min_version {
        TlsVersion::Tls12 => &[&rustls::version::TLS12, &rustls::version::TLS13],
        TlsVersion::Tls13 => &[&rustls::version::TLS13],
    };
    let wrong = |source: rustls::Error| refuse(format!("tls: {source}")).with_source(source);
    let builder = ClientConfig::builder_with_provider(provider.clone())
        .with_protocol_versions(versions)
        .map_err(wrong)?;
    let builder = if tls.accept_invalid {
        let trust = Arc::new(TrustAll { algorithms: provider.signature_verification_algorithms });
        builder.dangerous().with_custom_certificate_verifier(trust)
    } else {
        builder.with_root_certificates(roots(tls)?)
    };
    let mut config = match tls.identity()? {
        None => builder.with_no_client_auth(),
        Some((chain, key)) => builder.with_client_auth_cert(chain, key).map_err(|source| {
            let why = match &source {
                rustls::Error::InconsistentKeys(InconsistentKeys::KeyMismatch) => {
                    "the key does not belong to the certificate; the chain begins with the \
                     client's own"
                        .to_owned()
                }
                source => source.to_string(),
            };
            refuse(format!("tls.client_certificate: {why}")).with_source(source)
        })?,
    };
    if tls.alpn {
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
    }
    if tls.key_log {
        config.key_log = Arc::new(KeyLogFile::new());
    }
    config.resumption = Resumption::disabled();
    Ok(config)
}

fn roots(tls: &TlsConfig) -> Result<RootCertStore, Error> {
    let mut roots = RootCertStore::empty();
    if tls.common_roots {
        roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
    }
    for root in tls.own_roots()? {
        roots.add(root).map_err(|source| {
            refuse(format!("tls.root_certificate: {source}")).with_source(source)
        })?;
    }
    #[cfg(feature = "native-certs")]
    if tls.native_roots {
        add_native(&mut roots)?;
    }
    Ok(roots)
}

/// Some systems have a few roots that cannot be read; none at all is an error.
#[cfg(feature = "native-certs")]
fn add_native(roots: &mut RootCertStore) -> Result<(), Error> {
    let mut found = rustls_native_certs::load_native_certs();
    let (added, _) = roots.add_parsable_certificates(found.certs);
    if added > 0 {
        return Ok(());
    }
    let message = "tls.native_roots: the system has no root certificates; add them with \
                   root_certificate, or leave native_roots out"
        .to_owned();
    match found.errors.pop() {
        Some(source) => Err(refuse(message).with_source(source)),
        None => Err(refuse(message)),
    }
}

/// Always named: what a process has installed as its default is not ours to guess.
fn provider(wanted: Option<TlsCrypto>) -> Result<Arc<CryptoProvider>, Error> {
    let (ring, aws) = (ring(), aws());
    let (found, feature) = match wanted {
        None => (ring.or(aws), "rustls"),
        Some(TlsCrypto::Ring) => (ring, "rustls"),
        Some(TlsCrypto::AwsLcRs) => (aws, "aws-lc-rs"),
    };
    found.map(Arc::new).ok_or_else(|| {
        refuse(format!(
            "tls.crypto: there is none in this build: switch the feature `{feature}` of evenkeel on"
        ))
    })
}

#[cfg(feature = "rustls")]
#[expect(clippy::unnecessary_wraps, reason = "without the feature there is none")]
fn ring() -> Option<CryptoProvider> {
    Some(rustls::crypto::ring::default_provider())
}

#[cfg(not(feature = "rustls"))]
fn ring() -> Option<CryptoProvider> {
    None
}

#[cfg(feature = "aws-lc-rs")]
#[expect(clippy::unnecessary_wraps, reason = "without the feature there is none")]
fn aws() -> Option<CryptoProvider> {
    Some(rustls::crypto::aws_lc_rs::default_provider())
}

#[cfg(not(feature = "aws-lc-rs"))]
fn aws() -> Option<CryptoProvider> {
    None
}
