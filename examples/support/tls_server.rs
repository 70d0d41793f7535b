//! A small server that speaks TLS, on std threads, and wants to see a certificate.

#![expect(clippy::disallowed_methods, reason = "the server plays another machine")]

use std::error::Error;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig, ServerConnection, StreamOwned};

/// Starts the server with this certificate and key, for clients of this authority; its port. It
/// ends with the process.
pub(crate) fn start(pair: &str, authority: &str) -> Result<u16, Box<dyn Error>> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(authority.as_bytes())?)?;
    let clients = WebPkiClientVerifier::builder_with_provider(roots.into(), provider.clone());
    let certificate = CertificateDer::from_pem_slice(pair.as_bytes())?;
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_client_cert_verifier(clients.build()?)
        .with_single_cert(vec![certificate], PrivateKeyDer::from_pem_slice(pair.as_bytes())?)?;
    let config = Arc::new(config);
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let port = listener.local_addr()?.port();
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let config = config.clone();
            thread::spawn(move || serve(stream, config));
        }
    });
    Ok(port)
}

/// Answers each request; that a client goes away is no fault.
fn serve(stream: TcpStream, config: Arc<ServerConfig>) -> Option<()> {
    let socket = stream.try_clone().ok()?;
    let tls = ServerConnection::new(config).ok()?;
    let mut stream = BufReader::new(StreamOwned::new(tls, stream));
    while let Some(path) = read_path(&mut stream) {
        let body = format!("You asked for {path}, under a name that I know.\n");
        let length = body.len();
        let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n{body}");
        stream.get_mut().write_all(answer.as_bytes()).ok()?;
    }
    // The alert that says why is to arrive: a close with something unread would overtake it.
    socket.shutdown(Shutdown::Write).ok()?;
    (&socket).read_to_end(&mut Vec::new()).ok().map(drop)
}

/// The path of a GET, once its head is read.
fn read_path(stream: &mut impl BufRead) -> Option<String> {
    let mut start = String::new();
    stream.read_line(&mut start).ok()?;
    let path = start.split(' ').nth(1)?.to_owned();
    let mut line = String::new();
    while stream.read_line(&mut line).ok()? > 2 {
        line.clear();
    }
    Some(path)
}
