//! The socket adapters against real loopback sockets. Goal: each keeps the promises of
//! [`Transport`], [`Timer`](super::Timer) and [`Resolve`](super::Resolve), whoever polls it.
//! Method: one test body, run under every adapter and executor; the peer is a plain std socket.

use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv6Addr, SocketAddr, TcpListener, TcpStream};
use std::time::{Duration, Instant};

use futures_lite::future::{block_on, poll_once};
use futures_lite::{AsyncReadExt, AsyncWriteExt};
use socket2::SockRef;
use tokio::runtime::Builder;

use super::{Address, BoxFuture, Liveness, Runtime, Target, Transport};
use crate::config::SocketOptions;

/// Runs `test` under each adapter and executor.
pub(crate) fn everywhere(test: impl Fn(Runtime) -> BoxFuture<'static, ()>) {
    block_on(test(Runtime::async_io()));

    let tokio = Builder::new_current_thread().enable_all().build().unwrap();
    tokio.block_on(test(Runtime::tokio(tokio.handle().clone())));

    let tokio = Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    tokio.block_on(tokio.spawn(test(Runtime::tokio(tokio.handle().clone())))).unwrap();
    // From a thread that tokio does not know.
    block_on(test(Runtime::tokio(tokio.handle().clone())));
}

/// More than the longest tick of any kernel, and a rounding.
const LAG: Duration = Duration::from_millis(11);

#[test]
fn the_coarse_clock_goes_as_the_precise_one_does() {
    everywhere(|runtime| {
        Box::pin(async move {
            let timer = runtime.timer();
            let before = timer.now();
            let Some(coarse) = timer.coarse_millis() else {
                assert_ne!(std::env::consts::OS, "linux");
                return;
            };
            let began = timer.now();
            timer.sleep_until(began + 5 * LAG).await;
            let ended = timer.now();
            let passed = timer.coarse_millis().unwrap().checked_sub(coarse).unwrap();
            let passed = Duration::from_millis(passed);
            assert!(passed + LAG >= ended - began, "it is behind by more than its tick");
            assert!(passed <= timer.now() - before + LAG, "it is ahead");
        })
    });
}

/// Connects twice through `connect`, and checks the options of the socket that it shows.
pub(super) fn assert_options(connect: impl Fn(&Target, &dyn Fn(SockRef<'_>))) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut target = Target::new(listener.local_addr().unwrap(), "localhost");
    connect(&target, &|socket| {
        assert!(socket.tcp_nodelay().unwrap());
        assert!(!socket.keepalive().unwrap());
    });
    target.options.no_delay = false;
    connect(&target, &|socket| assert!(!socket.tcp_nodelay().unwrap()));
    target.options.no_delay = true;
    for (asked, set) in [(45, 45), (0, 1), (40_000, 32_767)] {
        target.keep_alive = Some(Duration::from_secs(asked));
        connect(&target, &|socket| {
            assert!(socket.tcp_nodelay().unwrap());
            assert!(socket.keepalive().unwrap());
            assert_eq!(socket.tcp_keepalive_time().unwrap(), Duration::from_secs(set));
            assert_eq!(socket.tcp_keepalive_interval().unwrap(), Duration::from_secs(set));
        });
    }
}

/// Connects through `connect` with each option set, and looks at the socket that it shows, and at
/// what the listener sees of it.
pub(super) fn assert_more_options(connect: impl Fn(&Target, &dyn Fn(SockRef<'_>))) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut target = Target::new(listener.local_addr().unwrap(), "localhost");
    target.keep_alive = Some(Duration::from_secs(45));
    target.options = SocketOptions::new()
        .keep_alive_interval(Duration::from_secs(7))
        .keep_alive_count(4)
        .send_buffer(20_000)
        .receive_buffer(30_000)
        .local_v4("127.0.0.77".parse().unwrap());
    connect(&target, &|socket| {
        assert_eq!(socket.tcp_keepalive_time().unwrap(), Duration::from_secs(45));
        assert_eq!(socket.tcp_keepalive_interval().unwrap(), Duration::from_secs(7));
        assert_eq!(socket.tcp_keepalive_retries().unwrap(), 4);
        // Linux doubles what it is asked for.
        let (sent, received) = (socket.send_buffer_size(), socket.recv_buffer_size());
        assert!((20_000..=40_000).contains(&sent.unwrap()));
        assert!((30_000..=60_000).contains(&received.unwrap()));
    });
    assert_eq!(listener.accept().unwrap().1.ip().to_string(), "127.0.0.77");

    #[cfg(target_os = "linux")]
    {
        target.options = SocketOptions::new().user_timeout(Duration::from_millis(12_345));
        connect(&target, &|socket| {
            let timeout = Some(Duration::from_millis(12_345));
            assert_eq!(socket.tcp_user_timeout().unwrap(), timeout);
        });
        target.options = SocketOptions::new().interface("lo");
        connect(&target, &|socket| {
            assert_eq!(socket.device().unwrap().unwrap(), b"lo");
        });
    }

    let Ok(listener) = TcpListener::bind("[::1]:0") else {
        eprintln!("skipped: no IPv6 here");
        return;
    };
    let mut target = Target::new(listener.local_addr().unwrap(), "localhost");
    target.options = SocketOptions::new().local_v6(Ipv6Addr::LOCALHOST);
    connect(&target, &|socket| {
        let local = socket.local_addr().unwrap().as_socket().unwrap();
        assert!(local.ip() == Ipv6Addr::LOCALHOST && local.port() != 0);
    });
}

#[test]
fn an_option_that_cannot_be_set_is_an_error_that_names_it() {
    everywhere(|runtime| {
        Box::pin(async move {
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            let mut target = Target::new(listener.local_addr().unwrap(), "localhost");
            // An address of a network reserved for documentation is not this machine's.
            target.options = SocketOptions::new().local_v4("192.0.2.77".parse().unwrap());
            let error = runtime.dialler().connect(&target).await.unwrap_err();
            assert!(error.to_string().starts_with("binding to 192.0.2.77: "), "{error}");
            target.options = SocketOptions::new().interface("no-such-if");
            let error = runtime.dialler().connect(&target).await.unwrap_err();
            assert!(error.to_string().starts_with("interface no-such-if: "), "{error}");
        })
    });
}

/// A connection and its peer.
pub(super) async fn pair(runtime: &Runtime) -> (Box<dyn Transport>, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let target = Target::new(listener.local_addr().unwrap(), "localhost");
    let transport = runtime.dialler().connect(&target).await.unwrap();
    let (peer, from) = listener.accept().unwrap();
    assert_eq!(transport.info().local, Some(from));
    assert_eq!(Some(target.addr), transport.info().peer.map(Address::Ip));
    (transport, peer)
}

/// Looks until there is something to see. Loopback delivers at once, or nearly so; the kernel
/// alone does it, thus no reactor needs to run.
#[expect(clippy::disallowed_methods, reason = "bounds a wait for the kernel, in real time")]
fn look(transport: &mut dyn Transport) -> Liveness {
    let limit = Instant::now() + Duration::from_secs(10);
    loop {
        let seen = transport.try_peek();
        if seen != Liveness::Alive || Instant::now() > limit {
            return seen;
        }
        std::thread::yield_now();
    }
}

#[expect(clippy::disallowed_methods, reason = "these adapters live in real time")]
pub(super) fn now() -> Instant {
    Instant::now()
}

#[test]
fn a_quiet_connection_is_alive() {
    everywhere(|runtime| {
        Box::pin(async move {
            let (mut transport, peer) = pair(&runtime).await;
            assert_eq!(transport.try_peek(), Liveness::Alive);
            let error = transport.try_read(&mut [0; 8]).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::WouldBlock);
            drop(peer);
        })
    });
}

#[test]
fn an_end_of_stream_is_seen_before_the_reactor_runs() {
    everywhere(|runtime| {
        Box::pin(async move {
            let (mut transport, mut peer) = pair(&runtime).await;
            // A short read, after which tokio believes the socket to be drained.
            peer.write_all(b"answer").unwrap();
            let mut buf = [0; 64];
            assert_eq!(transport.read(&mut buf).await.unwrap(), 6);
            drop(peer);
            assert_eq!(look(&mut *transport), Liveness::Closed);
            assert_eq!(transport.try_read(&mut buf).unwrap(), 0);
        })
    });
}

#[test]
fn a_stray_byte_is_unexpected_and_stays_unread() {
    everywhere(|runtime| {
        Box::pin(async move {
            let (mut transport, mut peer) = pair(&runtime).await;
            peer.write_all(b"!").unwrap();
            drop(peer);
            assert_eq!(look(&mut *transport), Liveness::Unexpected);
            assert_eq!(look(&mut *transport), Liveness::Unexpected);
            let mut text = String::new();
            transport.read_to_string(&mut text).await.unwrap();
            assert_eq!(text, "!");
        })
    });
}

#[test]
fn a_reset_connection_is_closed() {
    everywhere(|runtime| {
        Box::pin(async move {
            let (mut transport, peer) = pair(&runtime).await;
            SockRef::from(&peer).set_linger(Some(Duration::ZERO)).unwrap();
            drop(peer);
            assert_eq!(look(&mut *transport), Liveness::Closed);
        })
    });
}

#[test]
fn raw_reads_do_not_disturb_the_waiting_ones() {
    everywhere(|runtime| {
        Box::pin(async move {
            let (mut transport, mut peer) = pair(&runtime).await;
            let mut buf = [0; 8];
            for _ in 0..100 {
                // A read that waits, a raw miss, a raw hit, and another read that waits.
                assert!(poll_once(transport.read(&mut buf)).await.is_none());
                assert!(transport.try_read(&mut buf).is_err());
                peer.write_all(b"raw").unwrap();
                assert_eq!(look(&mut *transport), Liveness::Unexpected);
                assert_eq!(transport.try_read(&mut buf).unwrap(), 3);
                peer.write_all(b"waited").unwrap();
                assert_eq!(transport.read(&mut buf).await.unwrap(), 6);
                assert_eq!(&buf[..6], b"waited");
            }
        })
    });
}

#[test]
fn closing_ends_one_direction_only() {
    everywhere(|runtime| {
        Box::pin(async move {
            let (mut transport, mut peer) = pair(&runtime).await;
            transport.write_all(b"question").await.unwrap();
            transport.flush().await.unwrap();
            transport.close().await.unwrap();
            let mut text = String::new();
            peer.read_to_string(&mut text).unwrap();
            assert_eq!(text, "question");
            peer.write_all(b"answer").unwrap();
            drop(peer);
            text.clear();
            transport.read_to_string(&mut text).await.unwrap();
            assert_eq!(text, "answer");
        })
    });
}

#[test]
fn vectored_writes_arrive_in_order() {
    everywhere(|runtime| {
        Box::pin(async move {
            let (mut transport, mut peer) = pair(&runtime).await;
            let bufs = [&b"one "[..], b"", b"two"].map(std::io::IoSlice::new);
            assert_eq!(transport.write_vectored(&bufs).await.unwrap(), 7);
            let mut got = [0; 7];
            peer.read_exact(&mut got).unwrap();
            assert_eq!(&got, b"one two");
        })
    });
}

/// Writes until the socket is full.
async fn fill(transport: &mut dyn Transport) -> usize {
    let chunk: &[u8] = &[7; 64 * 1024];
    let mut sent = 0;
    while let Some(result) = poll_once(transport.write(chunk)).await {
        sent += result.unwrap();
    }
    sent
}

#[test]
fn a_full_socket_is_written_on_once_the_peer_reads() {
    everywhere(|runtime| {
        Box::pin(async move {
            let (mut transport, mut peer) = pair(&runtime).await;
            let sent = fill(&mut *transport).await;
            #[expect(clippy::disallowed_methods, reason = "the peer must read while this writes")]
            let reader = std::thread::spawn(move || {
                let mut all = Vec::new();
                peer.read_to_end(&mut all).map(|_| all.len()).unwrap()
            });
            transport.write_all(b"the rest").await.unwrap();
            transport.close().await.unwrap();
            assert_eq!(reader.join().unwrap(), sent + 8);
        })
    });
}

#[test]
fn abort_throws_away_what_is_unsent() {
    everywhere(|runtime| {
        Box::pin(async move {
            let (mut transport, mut peer) = pair(&runtime).await;
            fill(&mut *transport).await;
            transport.abort();
            assert_ne!(transport.try_peek(), Liveness::Alive);
            drop(transport);
            let error = peer.read_to_end(&mut Vec::new()).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::ConnectionReset);
        })
    });
}

#[test]
fn sleeps_end_no_sooner_than_asked_and_can_be_reset() {
    everywhere(|runtime| {
        Box::pin(async move {
            let timer = runtime.timer();
            let deadline = timer.now() + Duration::from_millis(5);
            let mut sleep = timer.sleep_until(deadline);
            assert!(poll_once(sleep.as_mut()).await.is_none());
            sleep.as_mut().await;
            assert!(timer.now() >= deadline);

            // Again after its end, then far off, then near.
            let deadline = timer.now() + Duration::from_millis(5);
            sleep.as_mut().reset(now() + Duration::from_secs(3600));
            assert!(poll_once(sleep.as_mut()).await.is_none());
            sleep.as_mut().reset(deadline);
            sleep.as_mut().await;
            assert!(timer.now() >= deadline);

            timer.sleep_until(now()).await;
        })
    });
}

#[test]
fn literal_addresses_resolve_at_once() {
    everywhere(|runtime| {
        Box::pin(async move {
            let found = poll_once(runtime.lookup().resolve("10.1.2.3", 80)).await;
            assert_eq!(found.unwrap().unwrap().addrs, ["10.1.2.3:80".parse().unwrap()]);
            let found = poll_once(runtime.lookup().resolve("::1", 81)).await;
            let expected = [SocketAddr::from((Ipv6Addr::LOCALHOST, 81))];
            assert_eq!(found.unwrap().unwrap().addrs, expected);
        })
    });
}

#[test]
fn names_resolve_on_another_thread() {
    everywhere(|runtime| {
        Box::pin(async move {
            let found = runtime.lookup().resolve("localhost", 80).await.unwrap().addrs;
            assert!(!found.is_empty());
            assert!(found.iter().all(|addr| addr.ip().is_loopback() && addr.port() == 80));
        })
    });
}
