//! The pool under tower's layers: each does its work, and nothing is lost.

#[path = "../../support/server.rs"]
mod server;

use std::future::{Ready, ready};
use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use evenkeel::{Body, Error, Pool, Runtime, Server};
use http::{Request, Response, StatusCode};
use tokio::runtime::Handle;
use tower::retry::Policy;
use tower::{BoxError, Service, ServiceBuilder, ServiceExt};

use self::server::MiniServer;

fn block_on<T>(future: impl Future<Output = T>) -> T {
    let tokio = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    tokio.block_on(future)
}

fn pool_of(server: &MiniServer) -> Pool {
    let runtime = Runtime::tokio(Handle::current());
    Pool::builder().runtime(runtime).server(Server::new(server.url()).unwrap()).build().unwrap()
}

fn get(path: &str) -> Request<Body> {
    Request::get(path).body(Body::empty()).unwrap()
}

fn answer(mut stream: &TcpStream, status: &str) -> std::io::Result<()> {
    write!(stream, "HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n")
}

#[test]
fn a_timeout_above_the_pool_drops_the_request_and_all_that_it_held() {
    let server = MiniServer::answering(|mut stream, path| {
        if path == "/slow" {
            // Until the client hangs up.
            assert_eq!(stream.read(&mut [0]).unwrap(), 0, "nothing more is sent");
            return Err(ErrorKind::ConnectionAborted.into());
        }
        answer(stream, "200 OK")
    });
    let server = server.unwrap();
    block_on(async {
        let pool = pool_of(&server);
        let mut service =
            ServiceBuilder::new().timeout(Duration::from_millis(50)).service(pool.clone());
        let ready = ServiceExt::<Request<Body>>::ready(&mut service).await.unwrap();
        let error = ready.call(get("/slow")).await.unwrap_err();
        assert!(error.is::<tower::timeout::error::Elapsed>(), "{error:?}");
        let metrics = pool.metrics();
        assert_eq!((metrics.cancelled_requests, metrics.active_connections), (1, 0));
        let response = service.call(get("/quick")).await.unwrap();
        assert_eq!(response.status(), StatusCode::OK);
    });
}

/// Sends again what a server answered with a 503, and what the pool says is safe.
#[derive(Clone)]
struct Twice(usize);

impl Policy<Request<String>, Response<Body>, Error> for Twice {
    type Future = Ready<()>;

    fn retry(
        &mut self,
        _: &mut Request<String>,
        result: &mut Result<Response<Body>, Error>,
    ) -> Option<Ready<()>> {
        let again = match result {
            Ok(response) => response.status() == StatusCode::SERVICE_UNAVAILABLE,
            Err(error) => error.is_retry_safe(),
        };
        self.0 = self.0.checked_sub(usize::from(again))?;
        again.then(|| ready(()))
    }

    fn clone_request(&mut self, request: &Request<String>) -> Option<Request<String>> {
        Some(request.clone())
    }
}

#[test]
fn a_retry_above_the_pool_sends_a_request_again() {
    let asked = Arc::new(AtomicUsize::new(0));
    let count = asked.clone();
    let server = MiniServer::answering(move |stream, _| {
        let nth = count.fetch_add(1, Ordering::Relaxed);
        answer(stream, if nth < 2 { "503 Service Unavailable" } else { "200 OK" })
    });
    let server = server.unwrap();
    block_on(async {
        let pool = pool_of(&server);
        let service = ServiceBuilder::new().retry(Twice(2)).service(pool.clone());
        let request = Request::get("/").body(String::new()).unwrap();
        let response = service.oneshot(request).await.unwrap();
        assert_eq!(response.status(), StatusCode::OK);
        assert_eq!(asked.load(Ordering::Relaxed), 3);
        assert_eq!(pool.metrics().connections_created, 1, "they went over one connection");
    });
}

#[test]
fn a_buffer_and_a_limit_of_concurrency_go_around_the_pool() {
    let server = MiniServer::start().unwrap();
    block_on(async {
        let pool = pool_of(&server);
        let service = ServiceBuilder::new().buffer(16).concurrency_limit(2).service(pool.clone());
        let calls: Vec<_> = (0..50)
            .map(|number| tokio::spawn(service.clone().oneshot(get(&format!("/{number}")))))
            .collect();
        for call in calls {
            let response: Response<Body> = call.await.unwrap().map_err(|e: BoxError| e).unwrap();
            response.into_body().bytes().await.unwrap();
        }
        let metrics = pool.metrics();
        assert_eq!(metrics.successful_requests, 50);
        // A response's body may still be under way when its slot is free again.
        assert!(metrics.connections_created <= 50, "{metrics:?}");
    });
}

#[test]
fn a_borrowed_pool_is_a_service_and_is_always_ready() {
    let server = MiniServer::start().unwrap();
    block_on(async {
        let pool = pool_of(&server);
        let mut borrowed = &pool;
        let ready = ServiceExt::<Request<Body>>::ready(&mut borrowed).await.unwrap();
        let text = ready.call(get("/me")).await.unwrap().into_body().text().await.unwrap();
        assert!(text.contains("/me"), "{text}");
    });
}

#[test]
fn a_full_line_is_an_error_of_the_call() {
    let server = MiniServer::start().unwrap();
    block_on(async {
        let runtime = Runtime::tokio(Handle::current());
        let pool = Pool::builder()
            .runtime(runtime)
            .server(Server::new(server.url()).unwrap())
            .max_connections_per_server(1)
            .max_waiters(0)
            .build()
            .unwrap();
        let held = pool.checkout(evenkeel::Select::new()).await.unwrap();
        let error = pool.clone().oneshot(get("/")).await.unwrap_err();
        assert_eq!(error.kind(), evenkeel::ErrorKind::QueueFull);
        drop(held);
        pool.clone().oneshot(get("/")).await.unwrap();
    });
}
