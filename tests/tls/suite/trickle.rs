//! A peer that is always ready, and says a byte at a time.

use std::future::poll_fn;
use std::io::{self, Read, Write};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};

use evenkeel::{
    BoxFuture, Connector, Liveness, Pool, Runtime, Target, TlsConfig, Transport, TransportInfo,
};
use futures_lite::{AsyncRead, AsyncWrite};
use rustls::version::TLS13;
use rustls::{ServerConfig, ServerConnection};
use tls_tests::Authority;

use crate::setup::server_config_of;
use crate::support::block_on;
use crate::support::parse;

/// What is answered to whatever is asked.
const BODY: usize = 10_000;

/// A server at the other end of a call. It counts how often it is asked for a byte.
struct Trickle {
    tls: ServerConnection,
    reads: Arc<AtomicUsize>,
}

impl AsyncRead for Trickle {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buf: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        match self.try_read(buf) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Poll::Pending,
            read => Poll::Ready(read),
        }
    }
}

impl AsyncWrite for Trickle {
    fn poll_write(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let taken = self.tls.read_tls(&mut &*buf);
        self.tls.process_new_packets().expect("TLS");
        if self.tls.reader().read(&mut [0; 1 << 14]).is_ok_and(|n| n > 0) {
            let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {BODY}\r\n\r\n");
            let answer = [head.as_bytes(), &[b'x'; BODY]].concat();
            self.tls.writer().write_all(&answer).expect("it takes that");
        }
        Poll::Ready(taken)
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

impl Transport for Trickle {
    fn try_read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.reads.fetch_add(1, Ordering::Relaxed);
        if !self.tls.wants_write() {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        self.tls.write_tls(&mut &mut buf[..1])
    }

    fn try_peek(&mut self) -> Liveness {
        Liveness::Unknown
    }

    fn info(&self) -> TransportInfo {
        TransportInfo::default()
    }

    fn abort(&mut self) {}
}

struct ToTrickle(Arc<ServerConfig>, Arc<AtomicUsize>);

impl Connector for ToTrickle {
    fn connect<'a>(&'a self, _: &'a Target) -> BoxFuture<'a, io::Result<Box<dyn Transport>>> {
        Box::pin(async {
            let tls = ServerConnection::new(self.0.clone()).expect("a valid configuration");
            Ok(Box::new(Trickle { tls, reads: self.1.clone() }) as Box<dyn Transport>)
        })
    }
}

#[test]
fn a_peer_that_is_always_ready_leaves_the_others_of_the_executor_their_turns() {
    block_on(|| async {
        let authority = Authority::new("ours");
        let config = server_config_of(&authority.server(&["127.0.0.1"]), &[&TLS13]);
        let reads = Arc::new(AtomicUsize::new(0));
        let pool = Pool::builder()
            .runtime(Runtime::async_io().connector(ToTrickle(config, reads.clone())))
            .server(parse("https://127.0.0.1"))
            .tls(TlsConfig::new().root_certificate(authority.pem()))
            .build()
            .expect("a valid pool");
        let mut get = Box::pin(async { pool.get("/").await?.into_body().bytes().await });
        let (mut most, mut last) = (0, 0);
        let body = poll_fn(|cx| {
            let polled = get.as_mut().poll(cx);
            let now = reads.load(Ordering::Relaxed);
            most = most.max(now - last);
            last = now;
            polled
        })
        .await
        .expect("an answer");
        assert_eq!(body.len(), BODY);
        assert!(last > BODY, "each byte is read by itself: {last}");
        // The handshake, and a read of the exchange.
        assert!(most <= 2 * 64, "{most} reads in one poll");
    });
}
