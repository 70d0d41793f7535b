//! [`TlsFault`]: what a failure of TLS means, and what to do about it.

use std::error::Error as StdError;
use std::fmt;
use std::io;

use rustls::{AlertDescription as Alert, CertificateError as Cert, Error as Tls};

/// What a name, a certificate or a message may have of room in an error.
const MOST_SHOWN: usize = 200;

/// Why TLS with a server failed. What rustls says is its source.
#[derive(Debug)]
pub(super) struct TlsFault {
    message: String,
    source: Option<Tls>,
}

/// What is known of the other side as it fails.
#[derive(Clone, Copy, Debug)]
pub(super) struct Scene<'a> {
    /// The name that was asked for.
    pub(super) name: &'a str,
    /// We have a certificate to show.
    pub(super) has_identity: bool,
    /// The first bytes that came.
    pub(super) first: &'a [u8],
    pub(super) handshaking: bool,
}

impl TlsFault {
    #[cold]
    pub(super) fn new(source: Tls, scene: &Scene<'_>) -> Self {
        Self { message: explain(&source, scene), source: Some(source) }
    }

    /// The connection ended within the handshake.
    #[cold]
    pub(super) fn ended(scene: &Scene<'_>) -> Self {
        let message = match foreign(scene) {
            Some(message) => message,
            None if scene.first.is_empty() => format!(
                "{} closed the connection when the TLS handshake began; does it speak TLS on this \
                 port?",
                scene.name
            ),
            None => format!("{} closed the connection within the TLS handshake", scene.name),
        };
        Self { message, source: None }
    }
}

fn explain(error: &Tls, scene: &Scene<'_>) -> String {
    let name = scene.name;
    match error {
        Tls::InvalidCertificate(why) => certificate(why, name),
        Tls::AlertReceived(alert) => refusal(*alert, scene),
        Tls::PeerIncompatible(why) => format!(
            "{name} has no version or method of TLS in common with us ({why:?}); see \
             TlsConfig::min_version"
        ),
        Tls::InvalidMessage(_)
        | Tls::InappropriateMessage { .. }
        | Tls::InappropriateHandshakeMessage { .. }
        | Tls::PeerMisbehaved(_)
            if scene.handshaking =>
        {
            foreign(scene).unwrap_or_else(|| format!("{name} does not speak TLS as it should"))
        }
        _ => format!("TLS with {name} failed: {error}"),
    }
}

/// The peer is no TLS server at all.
fn foreign(scene: &Scene<'_>) -> Option<String> {
    let name = scene.name;
    if scene.first.starts_with(b"HTTP/") {
        return Some(format!(
            "{name} answers in plain HTTP and not in TLS; write http:// for this server, or use \
             the port of its TLS"
        ));
    }
    // A handshake, or an alert, in a record of any version 3.
    match scene.first {
        [] | [21 | 22] | [21 | 22, 3, ..] => None,
        _ => Some(format!("{name} does not speak TLS on this port")),
    }
}

fn certificate(why: &Cert, name: &str) -> String {
    match why {
        Cert::Expired | Cert::ExpiredContext { .. } => format!(
            "the certificate of {name} has expired; it must be renewed, if this machine's clock is \
             right"
        ),
        Cert::NotValidYet | Cert::NotValidYetContext { .. } => {
            format!("the certificate of {name} is not valid yet; is this machine's clock right?")
        }
        Cert::NotValidForName => format!(
            "the certificate is not for {name}; use the name that it is for in the server's URL, \
             or in TlsConfig::server_name"
        ),
        Cert::NotValidForNameContext { presented, .. } => format!(
            "the certificate is not for {name} but for {}; use such a name in the server's URL, or \
             in TlsConfig::server_name",
            shown(&presented.join(", "))
        ),
        Cert::UnknownIssuer => format!(
            "the certificate of {name} comes from nobody that is trusted; if it should be, add the \
             certificate of its CA with TlsConfig::root_certificate"
        ),
        Cert::Revoked => format!("the certificate of {name} has been revoked"),
        // It has no variant of its own.
        Cert::Other(_) if why.to_string().contains("CaUsedAsEndEntity") => format!(
            "the certificate of {name} is a CA's; the server's own must say CA:FALSE, even if it \
             is self-signed"
        ),
        _ => format!("the certificate of {name} is not acceptable: {}", shown(&why.to_string())),
    }
}

fn refusal(alert: Alert, scene: &Scene<'_>) -> String {
    let Scene { name, has_identity, .. } = *scene;
    match alert {
        Alert::CertificateRequired | Alert::NoCertificate => {
            format!(
                "{name} requires a client certificate; set one with TlsConfig::client_certificate"
            )
        }
        Alert::BadCertificate
        | Alert::UnsupportedCertificate
        | Alert::CertificateRevoked
        | Alert::CertificateExpired
        | Alert::CertificateUnknown
        | Alert::UnknownCA
        | Alert::AccessDenied
        | Alert::DecryptError
            if has_identity =>
        {
            format!(
                "{name} refused the client certificate ({alert:?}); is it the right one for it?"
            )
        }
        Alert::HandshakeFailure if !has_identity => format!(
            "{name} refused the handshake; it has no method of TLS in common with us, or requires \
             a client certificate (TlsConfig::client_certificate)"
        ),
        Alert::ProtocolVersion => {
            format!("{name} speaks no version of TLS that is allowed; see TlsConfig::min_version")
        }
        Alert::UnrecognisedName => {
            format!("{name} is no name that this server knows; see TlsConfig::server_name")
        }
        Alert::NoApplicationProtocol => {
            format!("{name} does not take http/1.1 as ALPN names it; try TlsConfig::alpn(false)")
        }
        _ => format!("{name} ended TLS with an alert: {alert:?}"),
    }
}

/// Text from the peer, at no great length and without control characters.
fn shown(text: &str) -> String {
    text.escape_debug().take(MOST_SHOWN).collect()
}

impl fmt::Display for TlsFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl StdError for TlsFault {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.source.as_ref().map(|source| source as &(dyn StdError + 'static))
    }
}

impl From<TlsFault> for io::Error {
    fn from(fault: TlsFault) -> Self {
        Self::new(io::ErrorKind::InvalidData, fault)
    }
}

/// Whether an error of the transport is one of TLS.
pub(in crate::conn) fn is_tls_fault(error: &io::Error) -> bool {
    error.get_ref().is_some_and(|inner| inner.is::<TlsFault>())
}

/// The end of the stream came without the alert that announces it.
pub(super) fn truncated() -> io::Error {
    io::Error::new(
        io::ErrorKind::UnexpectedEof,
        "the server closed the connection without the alert that ends TLS, so what came may have \
         been cut short",
    )
}
