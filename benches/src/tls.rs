//! What both sides of a comparison over TLS need: certificates, and the server's side of a session.

use std::io::{self, Read, Write};
use std::sync::{Arc, OnceLock};

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore, ServerConfig, ServerConnection};

/// Those of the example, for `localhost`.
pub(crate) const CA: &str = include_str!("../../examples/support/tls/ca.pem");
const SERVER: &str = include_str!("../../examples/support/tls/server.pem");

/// Whether these are the first bytes of a handshake.
pub(crate) fn begins(bytes: &[u8]) -> bool {
    bytes.first() == Some(&22)
}

/// The server's side of a connection.
pub(crate) struct Session(ServerConnection);

impl Session {
    pub(crate) fn boxed() -> Box<Self> {
        static CONFIG: OnceLock<Arc<ServerConfig>> = OnceLock::new();
        let config = CONFIG.get_or_init(|| Arc::new(config())).clone();
        Box::new(Self(ServerConnection::new(config).expect("a valid configuration")))
    }

    /// What these bytes are, decrypted.
    pub(crate) fn read(&mut self, mut bytes: &[u8]) -> io::Result<Vec<u8>> {
        let mut plain = Vec::new();
        while !bytes.is_empty() && self.0.read_tls(&mut bytes)? > 0 {
            let state = self.0.process_new_packets().map_err(io::Error::other)?;
            let at = plain.len();
            plain.resize(at + state.plaintext_bytes_to_read(), 0);
            self.0.reader().read_exact(&mut plain[at..])?;
        }
        Ok(plain)
    }

    /// These bytes, encrypted, behind what else is to be sent.
    pub(crate) fn seal(&mut self, bytes: &[u8]) -> io::Result<Vec<u8>> {
        self.0.set_buffer_limit(None);
        self.0.writer().write_all(bytes)?;
        self.pending()
    }

    /// What is to be sent.
    pub(crate) fn pending(&mut self) -> io::Result<Vec<u8>> {
        let mut out = Vec::new();
        while self.0.wants_write() {
            self.0.write_tls(&mut out)?;
        }
        Ok(out)
    }
}

fn config() -> ServerConfig {
    let mut config = ServerConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_no_client_auth()
        .with_single_cert(
            vec![CertificateDer::from_pem_slice(SERVER.as_bytes()).expect("PEM")],
            PrivateKeyDer::from_pem_slice(SERVER.as_bytes()).expect("PEM"),
        )
        .expect("a pair");
    // Resumption by ticket takes no memory of the server.
    config.ticketer = rustls::crypto::ring::Ticketer::new().expect("a ticketer");
    config
}

fn provider() -> Arc<rustls::crypto::CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

/// What a peer is configured with, which is what this pool makes of its own settings.
pub(crate) fn client() -> ClientConfig {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(CA.as_bytes()).expect("PEM")).expect("a root");
    let builder = ClientConfig::builder_with_provider(provider());
    let builder = builder.with_safe_default_protocol_versions().expect("versions");
    builder.with_root_certificates(roots).with_no_client_auth()
}
