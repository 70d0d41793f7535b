//! reqwest.

use std::io;

use reqwest::{Client, Url};

use super::{Threads, on_tokio};
use crate::options::Options;

/// Runs it.
///
/// # Errors
/// Those of starting the runtime.
pub(crate) fn run(options: &Options, threads: Threads) -> io::Result<()> {
    let url: Url = options.url().parse().expect("a URL");
    threads.tokio()?.block_on(async {
        let builder = Client::builder().no_proxy().tcp_nodelay(true);
        // Compiled with TLS it wants to know how, even where it speaks none.
        #[cfg(feature = "tls")]
        let builder = builder.tls_backend_preconfigured(crate::tls::client());
        let client = builder.build().expect("valid settings");
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
