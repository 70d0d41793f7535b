//! hyper-util's pooled client.

use std::io;

use bytes::Bytes;
use http::Uri;
use http_body_util::{BodyExt, Empty};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;

use super::{Threads, on_tokio};
use crate::options::Options;

/// Runs it.
///
/// # Errors
/// Those of starting the runtime.
pub(crate) fn run(options: &Options, threads: Threads) -> io::Result<()> {
    let uri: Uri = options.url().parse().expect("a URL");
    threads.tokio()?.block_on(async {
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
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
