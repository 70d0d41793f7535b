//! Goal: background work does over the system's sockets what it does in virtual time, under every
//! runtime: it is woken when a server closes an idle connection, and keeps floors. Method: a
//! connector that tells when a connection is watched; a server that counts.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use evenkeel::{BoxFuture, Connector, Liveness, Target, Transport};
use futures_lite::future::yield_now;
use futures_lite::{AsyncRead, AsyncWrite};

use crate::support::server::Server;
use crate::support::{for_each_runtime, get_text, parse};

/// How many connections are watched, and how often one was looked at.
#[derive(Default)]
struct Seen {
    watched: AtomicUsize,
    looks: AtomicUsize,
}

struct Telling(Arc<dyn Connector>, Arc<Seen>);

impl Connector for Telling {
    fn connect<'a>(&'a self, to: &'a Target) -> BoxFuture<'a, io::Result<Box<dyn Transport>>> {
        Box::pin(async {
            let told = Told(self.0.connect(to).await?, self.1.clone());
            Ok(Box::new(told) as Box<dyn Transport>)
        })
    }
}

struct Told(Box<dyn Transport>, Arc<Seen>);

impl AsyncRead for Told {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut *self.0).poll_read(cx, buf)
    }
}

impl AsyncWrite for Told {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut *self.0).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.0).poll_flush(cx)
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.0).poll_close(cx)
    }
}

impl Transport for Told {
    fn try_read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.0.try_read(buf)
    }

    fn try_peek(&mut self) -> Liveness {
        self.0.try_peek()
    }

    fn poll_peek(&mut self, cx: &mut Context<'_>) -> Poll<Liveness> {
        let looked = self.0.poll_peek(cx);
        self.1.looks.fetch_add(1, Ordering::SeqCst);
        self.1.watched.fetch_add(usize::from(looked.is_pending()), Ordering::SeqCst);
        looked
    }

    fn abort(&mut self) {
        self.0.abort();
    }
}

#[test]
fn a_server_s_close_wakes_background_work_that_closes_the_connection() {
    for_each_runtime(|env| async move {
        let mut server = Server::start();
        let seen = Arc::new(Seen::default());
        let (told, runtime) = (seen.clone(), env.runtime());
        let runtime = runtime.wrap_connector(|inner| Telling(inner, told));
        let builder = env.builder().runtime(runtime).server(parse(&server.url("")));
        let pool = builder.watch_interval(Duration::from_millis(1)).build().unwrap();
        for turn in 1..=3 {
            get_text(&pool, "/x").await.unwrap();
            while seen.watched.load(Ordering::SeqCst) < turn {
                yield_now().await;
            }
            // A connection that is watched is good for the next request.
            assert_eq!(pool.metrics().connections_created, 1, "{}", env.name);
        }
        let looks = seen.looks.load(Ordering::SeqCst);
        server.stop();
        while pool.metrics().destroyed.by_peer == 0 {
            yield_now().await;
        }
        assert_eq!(seen.looks.load(Ordering::SeqCst), looks + 1, "it was told, {}", env.name);
        assert_eq!(pool.metrics().total_connections, 0);
    });
}

#[test]
fn a_floor_is_filled_before_any_request_and_again_after_the_server_has_closed_it() {
    for_each_runtime(|env| async move {
        let mut server = Server::start();
        let builder = env.builder().server(parse(&server.url(""))).min_idle(2);
        let pool = builder.watch_interval(Duration::from_millis(1)).build().unwrap();
        server.until(|counts| counts.open == 2).await;
        server.stop();
        server.restart();
        server.until(|counts| counts.accepted >= 4 && counts.open == 2).await;
        pool.shutdown(Duration::from_secs(9)).await;
        assert_eq!(pool.metrics().total_connections, 0, "{}", env.name);
    });
}

#[test]
fn warm_opens_connections_that_the_next_requests_use() {
    for_each_runtime(|env| async move {
        let server = Server::start();
        let pool = env.builder().server(parse(&server.url(""))).build().unwrap();
        let warmed = pool.warm(3).await.unwrap();
        assert_eq!((warmed.opened, warmed.failed, warmed.missing), (3, 0, 0), "{}", env.name);
        get_text(&pool, "/x").await.unwrap();
        assert_eq!(pool.metrics().connections_reused, 1);
        server.until(|counts| counts.accepted == 3).await;
    });
}
