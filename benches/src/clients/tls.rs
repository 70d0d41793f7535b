//! The clients over TLS.

use std::io;

use bytes::Bytes;
use evenkeel::{Builder, Pool, Runtime, Server, TlsConfig};
use http::Uri;
use http_body_util::{BodyExt, Empty};
use hyper_rustls::HttpsConnectorBuilder;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;

use super::{Threads, on_tokio, ours};
use crate::options::Options;
use crate::tls;

/// A builder with the server, by TLS.
pub(crate) fn builder(options: &Options, tls: TlsConfig) -> Builder {
    let tls = tls.root_certificate(tls::CA).only_own_roots().server_name("localhost");
    let server = Server::new(options.base().replace("http:", "https:")).expect("a URL");
    Pool::builder().server(server).tls(tls)
}

fn localhost(options: &Options) -> String {
    format!("https://localhost:{}{}", options.addr.port(), options.path)
}

/// This pool, on tokio.
///
/// # Errors
/// Those of starting the runtime.
pub(crate) fn tokio(options: &Options) -> io::Result<()> {
    let uri: Uri = options.path.parse().expect("a path");
    let runtime = Threads::One.tokio()?;
    let builder = builder(options, TlsConfig::new());
    let pool = ours::limited(builder.runtime(Runtime::tokio(runtime.handle().clone())));
    runtime.block_on(on_tokio(options, |worker| ours::call(pool.clone(), uri.clone(), worker)));
    Ok(())
}

/// This pool, over the async-io reactor.
///
/// # Errors
/// None.
pub(crate) fn async_io(options: &Options) -> io::Result<()> {
    let builder = builder(options, TlsConfig::new());
    ours::on_async_io(options, &ours::limited(builder.runtime(Runtime::async_io())))
}

/// hyper-util's pooled client with hyper-rustls.
///
/// # Errors
/// Those of starting the runtime.
pub(crate) fn hyper(options: &Options) -> io::Result<()> {
    let uri: Uri = localhost(options).parse().expect("a URL");
    Threads::One.tokio()?.block_on(async {
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        connector.enforce_http(false);
        let connector = HttpsConnectorBuilder::new()
            .with_tls_config(tls::client())
            .https_only()
            .enable_http1()
            .wrap_connector(connector);
        let client: Client<_, Empty<Bytes>> =
            Client::builder(TokioExecutor::new()).build(connector);
        on_tokio(options, |mut worker| {
            let (client, uri) = (client.clone(), uri.clone());
            async move {
                while worker.goes_on() {
                    let response = client.get(uri.clone()).await.expect("a response");
                    let body = response.into_body().collect().await.expect("a body");
                    worker.answered(body.to_bytes().len());
                }
            }
        })
        .await;
    });
    Ok(())
}

/// reqwest with rustls.
///
/// # Errors
/// Those of starting the runtime.
pub(crate) fn reqwest(options: &Options) -> io::Result<()> {
    let url: reqwest::Url = localhost(options).parse().expect("a URL");
    Threads::One.tokio()?.block_on(async {
        let client = reqwest::Client::builder()
            .no_proxy()
            .tcp_nodelay(true)
            .resolve("localhost", options.addr)
            .tls_backend_preconfigured(tls::client())
            .build()
            .expect("valid settings");
        on_tokio(options, |mut worker| {
            let (client, url) = (client.clone(), url.clone());
            async move {
                while worker.goes_on() {
                    let response = client.get(url.clone()).send().await.expect("a response");
                    worker.answered(response.bytes().await.expect("a body").len());
                }
            }
        })
        .await;
    });
    Ok(())
}
