//! Whom the tests trust, and servers to be trusted.

use std::sync::Arc;

use evenkeel::{Builder, TlsConfig};
use rustls::{ServerConfig, SupportedProtocolVersion};
use tls_tests::{Authority, Pair, provider};

use crate::front::{Farewell, Front, Manner};
use crate::support::{Env, Server, parse};

/// An authority, and a server that it vouches for.
pub(crate) struct World {
    pub(crate) authority: Authority,
    pub(crate) origin: Server,
    pub(crate) front: Front,
}

impl World {
    /// A server that answers, as `localhost` and its address.
    pub(crate) fn start() -> Self {
        Self::before(Server::start())
    }

    /// TLS before this server.
    pub(crate) fn before(origin: Server) -> Self {
        Self::by(origin, rustls::ALL_VERSIONS, Farewell::Alert)
    }

    /// The same, with these versions of TLS and this way to end it.
    pub(crate) fn by(
        origin: Server,
        versions: &[&'static SupportedProtocolVersion],
        farewell: Farewell,
    ) -> Self {
        Self::with(origin, versions, Manner { farewell, holds_tickets: false })
    }

    pub(crate) fn with(
        origin: Server,
        versions: &[&'static SupportedProtocolVersion],
        manner: Manner,
    ) -> Self {
        let authority = Authority::new("the tests' own");
        let pair = authority.server(&["localhost", "127.0.0.1"]);
        let front = Front::with(server_config_of(&pair, versions), origin.addr(), manner);
        Self { authority, origin, front }
    }

    /// What trusts it.
    pub(crate) fn tls(&self) -> TlsConfig {
        TlsConfig::new().root_certificate(self.authority.pem()).only_own_roots()
    }

    /// A builder with the server, and trust in it.
    pub(crate) fn builder(&self, env: &Env) -> Builder {
        env.builder().server(parse(&self.front.url())).tls(self.tls())
    }
}

/// A server's configuration with this certificate.
pub(crate) fn server_config(pair: &Pair) -> Arc<ServerConfig> {
    server_config_of(pair, rustls::ALL_VERSIONS)
}

/// The same, with these versions of TLS.
pub(crate) fn server_config_of(
    pair: &Pair,
    versions: &[&'static SupportedProtocolVersion],
) -> Arc<ServerConfig> {
    let builder = ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(versions)
        .expect("versions that fit")
        .with_no_client_auth();
    let config = builder.with_single_cert(pair.certificates(), pair.private_key());
    Arc::new(config.expect("a pair that fits"))
}
