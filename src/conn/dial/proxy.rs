//! The step of a dial behind a proxy: a tunnel to the server, by CONNECT (RFC 9110 §9.3.6).

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::{Buf, Bytes};
use futures_io::{AsyncRead, AsyncWrite};
use futures_lite::{AsyncReadExt, AsyncWriteExt};
use http::StatusCode;

use super::Limit;
use super::error::{DialError, DialErrorKind};
use crate::error::Phase;
use crate::proto::h1::{Decoded, HeadDecoder, HeadLimits};
use crate::rt::{Liveness, Transport, TransportInfo};
use crate::server::{Proxy, Server};

/// How much of a head is accepted from a proxy.
const HEAD: HeadLimits = HeadLimits { max_bytes: 16 * 1024, max_fields: 128 };

/// How many interim responses are passed over.
const MOST_INTERIM: usize = 16;

/// Asks the proxy at the other end of `transport` for a tunnel to `server`.
pub(super) async fn tunnel(
    mut transport: Box<dyn Transport>,
    proxy: &Proxy,
    server: &Server,
    limit: &mut Limit<'_>,
) -> Result<Box<dyn Transport>, DialError> {
    let to = destination(server);
    let answer = limit.before(ask(&mut *transport, &head(proxy, &to))).await;
    let (url, kind) = (proxy.url(), DialErrorKind::Connect);
    let (why, source) = match answer {
        Some(Ok((status, ahead))) if status.is_success() => {
            return Ok(if ahead.is_empty() {
                transport
            } else {
                Box::new(Rewound { ahead, transport })
            });
        }
        Some(Ok((status, _))) => {
            let hint = match status {
                StatusCode::PROXY_AUTHENTICATION_REQUIRED if proxy.authorization().is_none() => {
                    "; it asks for credentials: see Proxy::basic_auth"
                }
                StatusCode::PROXY_AUTHENTICATION_REQUIRED => "; it does not take the credentials",
                _ => "",
            };
            (format!("proxy {url} refused a tunnel to {to}: {status}{hint}"), None)
        }
        Some(Err(error)) => (format!("proxy {url} gave no tunnel to {to}: {error}"), Some(error)),
        None => {
            let message = format!("proxy {url} took too long to open a tunnel to {to}");
            return Err(DialError::new(DialErrorKind::Timeout(Phase::Connect), message, None));
        }
    };
    Err(DialError::new(kind, why, source))
}

/// The server's host and port: the latter is always written.
fn destination(server: &Server) -> String {
    let (host, port) = (server.host(), server.port());
    if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
}

fn head(proxy: &Proxy, to: &str) -> String {
    let mut head = format!("CONNECT {to} HTTP/1.1\r\nHost: {to}\r\n");
    if let Some(value) = proxy.authorization() {
        head.push_str(&format!("Proxy-Authorization: {value}\r\n"));
    }
    head.push_str("\r\n");
    head
}

/// Sends the request; the final status, and what came right behind its head.
async fn ask(transport: &mut dyn Transport, request: &str) -> io::Result<(StatusCode, Bytes)> {
    transport.write_all(request.as_bytes()).await?;
    transport.flush().await?;
    let mut input = Vec::new();
    let mut chunk = [0; 4096];
    let mut decoder = HeadDecoder::default();
    let mut interim = 0;
    loop {
        match decoder.decode(&input, &HEAD).map_err(io::Error::other)? {
            Decoded::Final { len, head, .. } => {
                return Ok((head.status, Bytes::from(input).split_off(len)));
            }
            Decoded::Interim { .. } if interim == MOST_INTERIM => {
                return Err(io::Error::other("it sends interim responses without end"));
            }
            Decoded::Interim { len, .. } => {
                interim += 1;
                input.drain(..len);
                decoder = HeadDecoder::default();
            }
            Decoded::Partial => {
                let count = transport.read(&mut chunk).await?;
                if count == 0 {
                    let message = "it closed the connection without an answer";
                    return Err(io::Error::new(io::ErrorKind::UnexpectedEof, message));
                }
                input.extend_from_slice(&chunk[..count]);
            }
        }
    }
}

/// A transport with bytes that were read already.
struct Rewound {
    ahead: Bytes,
    transport: Box<dyn Transport>,
}

impl Rewound {
    fn take_ahead(&mut self, buf: &mut [u8]) -> Option<usize> {
        if self.ahead.is_empty() {
            return None;
        }
        let count = self.ahead.len().min(buf.len());
        self.ahead.copy_to_slice(&mut buf[..count]);
        Some(count)
    }
}

impl AsyncRead for Rewound {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        match self.take_ahead(buf) {
            Some(count) => Poll::Ready(Ok(count)),
            None => Pin::new(&mut *self.transport).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Rewound {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut *self.transport).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut *self.transport).poll_write_vectored(cx, bufs)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.transport).poll_flush(cx)
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.transport).poll_close(cx)
    }
}

impl Transport for Rewound {
    fn try_read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.take_ahead(buf).map_or_else(|| self.transport.try_read(buf), Ok)
    }

    fn try_peek(&mut self) -> Liveness {
        if self.ahead.is_empty() { self.transport.try_peek() } else { Liveness::Unexpected }
    }

    fn info(&self) -> TransportInfo {
        self.transport.info()
    }

    fn abort(&mut self) {
        self.transport.abort();
    }
}
