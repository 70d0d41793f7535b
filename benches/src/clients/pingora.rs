//! pingora's upstream side: its pooling connector and its HTTP/1 session.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use http::HeaderValue;
use http::header::HOST;
use pingora_core::connectors::ConnectorOptions;
use pingora_core::connectors::http::v1::Connector;
use pingora_core::upstreams::peer::HttpPeer;
use pingora_http::RequestHeader;

use super::{Threads, on_tokio};
use crate::options::Options;

/// More than any run has callers.
const LIMIT: usize = 4096;

/// Runs it.
///
/// # Errors
/// Those of starting the runtime.
pub(crate) fn run(options: &Options, threads: Threads) -> io::Result<()> {
    let host: HeaderValue = options.addr.to_string().parse().expect("a host");
    threads.tokio()?.block_on(async {
        let connector = Arc::new(Connector::new(Some(ConnectorOptions::new(LIMIT))));
        on_tokio(options, |mut worker| {
            let (connector, host) = (connector.clone(), host.clone());
            let (path, addr) = (options.path.clone(), options.addr);
            async move {
                let peer = HttpPeer::new(addr, false, String::new());
                while worker.goes_on() {
                    let body = call(&connector, &peer, &path, &host).await;
                    worker.answered(body.expect("a response"));
                }
            }
        })
        .await;
    });
    Ok(())
}

/// One request; the length of the response's body.
async fn call(
    connector: &Connector,
    peer: &HttpPeer,
    path: &str,
    host: &HeaderValue,
) -> pingora_core::Result<usize> {
    let (mut session, _) = connector.get_http_session(peer).await?;
    let mut request = Box::new(RequestHeader::build("GET", path.as_bytes(), Some(2))?);
    request.insert_header(HOST, host.clone())?;
    session.write_request_header(request).await?;
    session.finish_body().await?;
    session.read_response().await?;
    let mut body = 0;
    while let Some(piece) = session.read_body_ref().await? {
        body += piece.len();
    }
    connector.release_http_session(session, peer, Some(Duration::from_secs(60))).await;
    Ok(body)
}
