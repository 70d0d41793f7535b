//! The pool as a `tower` service, for the feature `tower`.
//!
//! [`Pool`] and `&Pool` are a `Service<http::Request<B>>`, so tower's layers go around them: a
//! timeout, a limit of concurrency, retries, a buffer; and a pool can be the transport below
//! anything that takes a service, say a reverse proxy (`examples/tower` in the repository).
//!
//! The service is always ready: a server is picked, and a caller put in line, when a request is
//! there, and not before. What would be back-pressure elsewhere is an error of the call here:
//! [`ErrorKind::QueueFull`](crate::ErrorKind::QueueFull), once
//! [`max_waiters`](crate::Config::max_waiters) stand in line. A pool bounds by itself, and so
//! cheaper, what `ConcurrencyLimit` and `LoadShed` do.
//!
//! ```
//! # fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use evenkeel::{Body, Pool, Server};
//! use http::Request;
//! use tower_service::Service;
//!
//! let mut pool = Pool::builder().server(Server::new("http://10.0.0.1:8080")?).build()?;
//! let request = Request::get("/users").body(Body::empty())?;
//! let response = Service::call(&mut pool, request); // a future
//! # drop(response);
//! # Ok(())
//! # }
//! # example().unwrap();
//! ```

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use http::{Request, Response};
use tower_service::Service;

use crate::error::{BoxError, Error};
use crate::pool::{Body, Pool};
use crate::rt::BoxFuture;

/// The response to come of a [`Pool`] that is used as a service: [`Pool::send`], in a box.
///
/// # Cancel safety
/// As [`Pool::send`].
#[must_use = "nothing is sent before it is polled"]
pub struct ResponseFuture<'a>(BoxFuture<'a, Result<Response<Body>, Error>>);

impl Future for ResponseFuture<'_> {
    type Output = Result<Response<Body>, Error>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.0.as_mut().poll(cx)
    }
}

impl fmt::Debug for ResponseFuture<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ResponseFuture")
    }
}

/// Each call holds a handle of the pool until it has its response.
impl<B> Service<Request<B>> for Pool
where
    B: http_body::Body<Data: Send, Error: Into<BoxError>> + Send + 'static,
{
    type Response = Response<Body>;
    type Error = Error;
    type Future = ResponseFuture<'static>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let pool = self.clone();
        ResponseFuture(Box::pin(async move { pool.send(request).await }))
    }
}

impl<'a, B> Service<Request<B>> for &'a Pool
where
    B: http_body::Body<Data: Send, Error: Into<BoxError>> + Send + 'a,
{
    type Response = Response<Body>;
    type Error = Error;
    type Future = ResponseFuture<'a>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        ResponseFuture(Box::pin(Pool::send(self, request)))
    }
}
