//! [`Checkout`]: a connection on loan to the caller.

use std::fmt;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use http::request::Parts;
use http::{Request, Response};

use super::account::Running;
use super::body::{Body, LeasedBody};
use super::exchange::{self, Nth, Plan};
use super::upgraded::Upgraded;
use crate::conn::Upload;
use crate::error::{BoxError, Error, ErrorKind, Phase};
use crate::lockfree::lifecycle::State;
use crate::rt::TlsInfo;
use crate::select::Select;
use crate::server::{Server, ServerId};
use crate::upstream::{
    CloseReason, Directory, Lease, Look, Trust, Wish, acquire_from, first_look, try_acquire,
};

/// A connection on loan. Dropping it gives it back; [`discard`](Self::discard) closes it.
pub struct Checkout {
    lease: Lease,
}

/// Facts about a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ConnectionInfo {
    /// How many requests were begun on it.
    pub uses: u32,
    /// How long ago it was made.
    pub age: Duration,
    /// Bytes read from it. Over TLS, as they were before they were encrypted.
    pub bytes_in: u64,
    /// Bytes written to it, likewise.
    pub bytes_out: u64,
    /// What was agreed on, if TLS is spoken over it.
    pub tls: Option<TlsInfo>,
}

pub(super) async fn checkout(directory: &Directory, select: &Select) -> Result<Checkout, Error> {
    // The look is no part of the future: what is looked for need not be moved with it.
    let mut nobody = Vec::new();
    let wanted = wish(directory, select, &mut nobody);
    let pick = match first_look(directory, &wanted)? {
        Look::Hit(lease) => return Ok(Checkout { lease: lease.held_since(wanted.tick) }),
        Look::Miss(pick) => pick,
    };
    let on = async move {
        let mut tried = Vec::new();
        acquire_from(directory, wish(directory, select, &mut tried), pick).await
    };
    let lease = Box::pin(on).await?;
    let tick = directory.hub.tick();
    Ok(Checkout { lease: lease.held_since(tick) })
}

pub(super) fn try_checkout(directory: &Directory, select: &Select) -> Option<Checkout> {
    let mut tried = Vec::new();
    let wish = Wish { may_dial: false, ..wish(directory, select, &mut tried) };
    try_acquire(directory, &wish).map(|lease| Checkout { lease: lease.held_since(wish.tick) })
}

pub(super) fn wish<'a>(
    directory: &Directory,
    select: &'a Select,
    tried: &'a mut Vec<ServerId>,
) -> Wish<'a> {
    Wish {
        server: select.server,
        select,
        timeout: exchange::timeout(&directory.hub, select),
        began: None,
        tick: directory.hub.tick(),
        tried,
        trust: Trust::All,
        may_dial: true,
    }
}

impl Checkout {
    /// The server that the connection leads to.
    pub fn server(&self) -> &Server {
        &self.lease.backend().server
    }

    /// The server's id.
    pub fn server_id(&self) -> ServerId {
        self.lease.backend().id
    }

    /// Facts about the connection.
    pub fn info(&self) -> ConnectionInfo {
        let conn = self.lease.conn_ref();
        ConnectionInfo {
            uses: conn.uses(),
            age: self.lease.backend().hub.now().saturating_duration_since(conn.born()),
            bytes_in: conn.bytes_in(),
            bytes_out: conn.bytes_out(),
            tls: conn.tls().cloned(),
        }
    }

    /// Whether the next request can be sent: the last response has been read to its end, both
    /// sides keep the connection open, and it has not carried
    /// [`max_requests_per_connection`](crate::Config::max_requests_per_connection) yet.
    pub fn is_usable(&self) -> bool {
        self.lease.is_usable()
    }

    /// Sends a request over this connection. The response's body borrows the checkout: read it to
    /// its end, or drop it, before the next request ([`into_send`](Self::into_send) gives one that
    /// borrows nothing). There is no second try: a connection that broke is an error.
    ///
    /// The request's path is put behind the server's base path. The time limit is the pool's
    /// `request_timeout`, or that of a [`Select`] in the request's extensions.
    ///
    /// # Errors
    /// [`ErrorKind::Request`] if the connection is of no further use, or the URL leads elsewhere;
    /// otherwise as [`Pool::send`](crate::Pool::send).
    ///
    /// # Cancel safety
    /// If the future is dropped after the request was begun, the connection is of no further use.
    pub async fn send<B>(&mut self, request: Request<B>) -> Result<Response<LeasedBody<'_>>, Error>
    where
        B: http_body::Body,
        B::Error: Into<BoxError>,
    {
        let head = self.exchange(request).await?;
        let ok = !head.status().is_server_error();
        Ok(head.map(|()| LeasedBody::new(&mut self.lease, ok)))
    }

    /// Sends one last request over this connection. The response's body owns it, and gives it back
    /// at its end.
    ///
    /// # Errors
    /// As [`send`](Self::send).
    ///
    /// # Cancel safety
    /// Dropping the future gives the connection back, or closes it if the request was begun.
    pub async fn into_send<B>(mut self, request: Request<B>) -> Result<Response<Body>, Error>
    where
        B: http_body::Body,
        B::Error: Into<BoxError>,
    {
        let head = self.exchange(request).await?;
        let ok = !head.status().is_server_error();
        Ok(head.map(|()| Body::incoming(self.lease, ok, 1)))
    }

    /// The connection as a plain byte stream, if the last response to [`send`](Self::send) has
    /// turned it into one: see [`Upgraded`].
    ///
    /// # Errors
    /// The checkout itself, if the connection still speaks HTTP.
    pub fn into_upgraded(self) -> Result<Upgraded, Self> {
        if self.lease.conn_ref().is_tunnel() {
            return Ok(Upgraded::new(self.lease));
        }
        Err(self)
    }

    /// Closes the connection instead of giving it back.
    pub fn discard(self) {
        self.lease.close(CloseReason::Discarded);
    }

    /// Looks at the connection before each request: since the last one it may have been closed, or
    /// have brought bytes that would be taken for the next response.
    fn check(&mut self) -> Result<(), Error> {
        let (kind, message) = if self.lease.conn_ref().is_cut() {
            (ErrorKind::Closed, "the pool is closed")
        } else if !self.is_usable() {
            return Ok(());
        } else {
            match self.lease.look() {
                None => return Ok(()),
                Some(CloseReason::Poisoned) => {
                    (ErrorKind::Protocol, "the server sent bytes that nobody had asked for")
                }
                Some(_) => (ErrorKind::Reset, "the server has closed the connection"),
            }
        };
        let error = Error::new(kind, message).at(Phase::Write).retry_safe(true);
        Err(error.of_server(self.lease.backend().server.shared_url()))
    }

    /// What is to be done for the request, if the connection is fit for it. If not, nothing of it
    /// has been sent.
    fn plan<'p>(&mut self, parts: &'p Parts) -> Result<(Arc<Directory>, Plan<'p>), Error> {
        let in_service = |pool: &Arc<Directory>| pool.hub.lifecycle.state() < State::Closed;
        let Some(directory) = self.lease.backend().directory().filter(in_service) else {
            return Err(Error::new(ErrorKind::Closed, "the pool is closed").retry_safe(true));
        };
        self.check()?;
        if !self.is_usable() {
            let message = "the connection cannot be used any more: the last response was not read \
                           to its end, one side closes, or it has carried all its requests";
            return Err(Error::new(ErrorKind::Request, message).retry_safe(true));
        }
        let plan = Plan::new(&directory, parts)?;
        if plan.server.is_some_and(|server| server != self.server_id()) {
            let message = "the request leads to another server than this connection";
            return Err(Error::new(ErrorKind::Request, message).retry_safe(true));
        }
        Ok((directory, plan))
    }

    async fn exchange<B>(&mut self, request: Request<B>) -> Result<Response<()>, Error>
    where
        B: http_body::Body,
        B::Error: Into<BoxError>,
    {
        let (parts, body) = request.into_parts();
        let body = pin!(body);
        let mut upload = Upload::new(body);
        let (directory, plan) = match self.plan(&parts) {
            Ok(planned) => planned,
            Err(error) => return Err(error.with_request(parts)),
        };
        let reused = self.lease.conn_ref().uses() > 0;
        let mut running = Running::begin(&directory.hub, &parts, plan.now);
        let nth = Nth { number: 1, reused, headers: &parts.headers };
        running.tries(&self.lease, nth);
        let (result, took) =
            exchange::exchange(&mut self.lease, &parts, &plan, &mut upload, nth).await;
        match result {
            Ok(head) => {
                running.goes_on(&mut self.lease, took, head.status());
                Ok(head)
            }
            Err(error) => {
                if error.is_broken() {
                    self.lease.mark_broken();
                }
                running.failed(exchange::cause(&error, reused), 1);
                let unseen = !error.sent;
                let error = exchange::failed(&self.lease, error, unseen).after_attempts(1);
                Err(if upload.is_taken() { error } else { error.with_request(parts) })
            }
        }
    }
}

impl fmt::Debug for Checkout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Checkout")
            .field("server", &self.server().url())
            .field("info", &self.info())
            .finish()
    }
}
