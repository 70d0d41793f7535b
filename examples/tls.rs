//! `https` with an authority of one's own, and a certificate that the client shows (mTLS).
//!
//! ```sh
//! cargo run --example tls --features rustls
//! ```
//!
//! The certificates in `support/tls` are for this example alone: everybody has their keys.

#[path = "support/tls_server.rs"]
mod tls_server;

use std::error::Error;

use evenkeel::{Pool, Select, Server, TlsConfig, TlsVersion};

const CA: &str = include_str!("support/tls/ca.pem");
/// A certificate, and behind it its key.
const CLIENT: &str = include_str!("support/tls/client.pem");
const SERVER: &str = include_str!("support/tls/server.pem");

fn main() -> Result<(), Box<dyn Error>> {
    let port = tls_server::start(SERVER, CA)?;
    let url = format!("https://localhost:{port}");

    // Trust our own authority and nobody else, and show who we are.
    let tls = TlsConfig::new()
        .root_certificate(CA)
        .only_own_roots()
        .client_certificate(CLIENT, CLIENT)
        .min_version(TlsVersion::Tls13);
    let pool = Pool::builder().server(Server::new(&url)?).tls(tls).build()?;

    futures_lite::future::block_on(async {
        for round in 1..=2 {
            let response = pool.get(format!("/round/{round}")).await?;
            print!("{}: {}", response.status(), response.into_body().text().await?);
            let connection = pool.checkout(Select::new()).await?;
            println!("the connection: {:?}", connection.info().tls);
            // The next one resumes its session.
            connection.discard();
        }

        // Who is not known there, and does not know the server, is told what is missing.
        let anybody = Pool::builder().server(Server::new(&url)?).build()?;
        if let Err(error) = anybody.get("/").await {
            println!("without trust: {error}");
        }
        let tls = TlsConfig::new().root_certificate(CA).only_own_roots();
        let nobody = Pool::builder().server(Server::new(&url)?).tls(tls).build()?;
        if let Err(error) = nobody.get("/").await {
            println!("without a certificate: {error}");
        }
        Ok(())
    })
}
