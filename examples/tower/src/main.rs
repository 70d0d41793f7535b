//! A reverse proxy: hyper's server above, tower's layers between, the pool below.

#[path = "../../support/server.rs"]
mod server;

use std::error::Error;
use std::net::SocketAddr;
use std::time::Duration;

use evenkeel::{Body, Pool, Runtime, Server};
use http::header::{self, HeaderMap, HeaderName};
use http::{Request, Response};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpListener;
use tower::{BoxError, Service, ServiceBuilder, ServiceExt};

/// A request as it goes on to a server, and its response as it goes back: without what is only
/// about the connection that it came over (RFC 9110 §7.6.1).
fn forward(headers: &mut HeaderMap) {
    let named: Vec<HeaderName> = headers
        .get_all(header::CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|name| name.trim().parse().ok())
        .collect();
    let always =
        ["connection", "keep-alive", "proxy-connection", "te", "transfer-encoding", "upgrade"];
    for name in named.iter().map(HeaderName::as_str).chain(always) {
        headers.remove(name);
    }
}

/// What stands between the listener and the pool. An error becomes a 502.
fn stack(
    pool: Pool,
) -> impl Service<Request<Incoming>, Response = Response<Body>, Error = BoxError, Future: Send>
+ Clone
+ Send
+ 'static {
    let inner = ServiceBuilder::new()
        .timeout(Duration::from_secs(10))
        .map_request(|mut request: Request<Incoming>| {
            // The server that is picked gets a `Host` of its own.
            request.headers_mut().remove(header::HOST);
            forward(request.headers_mut());
            request
        })
        .map_response(|mut response: Response<Body>| {
            forward(response.headers_mut());
            response
        })
        .service(pool);
    inner.map_result(|result: Result<Response<Body>, BoxError>| {
        Ok(result.unwrap_or_else(|error| {
            let mut response = Response::new(Body::from(format!("{error}\n")));
            *response.status_mut() = http::StatusCode::BAD_GATEWAY;
            response
        }))
    })
}

/// Starts the proxy on a free loopback port.
async fn proxy(pool: Pool) -> Result<SocketAddr, Box<dyn Error>> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    tokio::spawn(async move {
        while let Ok((socket, _)) = listener.accept().await {
            let service = TowerToHyperService::new(stack(pool.clone()));
            tokio::spawn(async move {
                let served = http1::Builder::new().serve_connection(TokioIo::new(socket), service);
                if let Err(error) = served.await {
                    eprintln!("a client's connection: {error}");
                }
            });
        }
    });
    Ok(address)
}

fn main() -> Result<(), Box<dyn Error>> {
    let servers = [server::MiniServer::start()?, server::MiniServer::start()?];
    let tokio = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let runtime = || Runtime::tokio(tokio.handle().clone());
    let below =
        servers.iter().map(|server| Server::new(server.url())).collect::<Result<Vec<_>, _>>()?;
    let pool = Pool::builder().runtime(runtime()).servers(below).build()?;
    tokio.block_on(async {
        let proxy = proxy(pool.clone()).await?;
        let client = Pool::builder()
            .runtime(runtime())
            .server(Server::new(format!("http://{proxy}"))?)
            .build()?;
        for number in 1..=100 {
            let response = client.get(format!("/item/{number}")).await?;
            let status = response.status();
            let text = response.into_body().text().await?;
            if number % 25 == 0 {
                println!("{status}: {}", text.trim_end());
            }
        }
        for server in pool.server_stats() {
            println!("{}: {} requests", server.url, server.total_requests);
        }
        Ok(())
    })
}
