//! Peers that do not speak TLS, or not in time: the end is by the deadline, and says what it is.

#![expect(clippy::disallowed_methods, reason = "the strangers are threads apart from the pool")]

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::time::Duration;

use evenkeel::rt::sim::{Sim, SimStream};
use evenkeel::{Error, ErrorKind, Phase, Pool, Select};
use futures_lite::future::or;
use futures_lite::{AsyncReadExt, AsyncWriteExt};

use crate::setup::World;
use crate::support::run::under_block_on;
use crate::support::{assert_balanced, for_each_runtime, get_text, parse};

const ADDR: &str = "10.0.0.1:443";
const SECOND: Duration = Duration::from_secs(1);

/// What a stranger says, and what is said of it.
const ROWS: [(&[u8], &str); 6] = [
    (b"HTTP/1.1 400 Bad Request\r\n\r\n", "write http://"),
    (b"SSH-2.0-OpenSSH_9.2p1\r\n", "does not speak TLS on this port"),
    (b"\0\0\0\0\0\0\0\0", "does not speak TLS on this port"),
    (b"", "when the TLS handshake began"),
    (&[21, 3, 3, 0, 2, 2, 70], "min_version"),
    (&[22, 3, 3, 0, 4, 99, 0, 0, 0], "does not speak TLS as it should"),
];

/// A pool of one such server in a world, and what its first request comes to, after how long.
fn get_from<F>(peer: impl Fn(SimStream, Sim) -> F) -> (Error, Duration)
where
    F: Future<Output = ()> + Send + 'static,
{
    let sim = Sim::new();
    let listener = sim.net().listen(ADDR);
    let pool = Pool::builder()
        .runtime(sim.runtime_without_background())
        .server(parse("https://10.0.0.1"))
        .connect_timeout(10 * SECOND)
        .build()
        .expect("a valid pool");
    let begun = sim.now();
    let error = sim.block_on(async {
        let serve = async {
            let stream = listener.accept().await;
            peer(stream, sim.clone()).await;
            std::future::pending().await
        };
        or(async { pool.get("/").await.expect_err("no TLS") }, serve).await
    });
    assert_balanced(&pool.metrics());
    assert_eq!(sim.net().counts(ADDR).open, 0, "the socket is closed");
    (error, sim.now() - begun)
}

#[track_caller]
fn assert_late((error, took): (Error, Duration)) {
    assert_eq!((error.kind(), error.phase()), (ErrorKind::Timeout, Some(Phase::Tls)), "{error:?}");
    assert!(error.is_tls() && error.is_timeout() && error.is_connect(), "{error:?}");
    assert_eq!(took, 10 * SECOND);
}

#[test]
fn a_peer_that_says_nothing_is_waited_for_up_to_the_deadline() {
    assert_late(get_from(|stream, _| async move {
        std::future::pending::<()>().await;
        drop(stream);
    }));
}

#[test]
fn a_peer_that_says_a_byte_now_and_then_gets_no_more_time() {
    assert_late(get_from(|mut stream, sim| async move {
        // The head of a record of 16 KiB, and then that record.
        stream.write_all(&[22, 3, 3, 64, 0]).await.expect("it listens");
        while stream.write_all(&[2]).await.is_ok() {
            sim.sleep(SECOND).await;
        }
    }));
}

#[test]
fn connecting_and_tls_share_one_deadline() {
    let sim = Sim::new();
    let listener = sim.net().listen(ADDR);
    sim.net().connect_delay(ADDR, 7 * SECOND);
    let builder = Pool::builder().runtime(sim.runtime_without_background());
    let builder = builder.server(parse("https://10.0.0.1")).connect_timeout(10 * SECOND);
    let pool = builder.build().expect("a valid pool");
    let begun = sim.now();
    let error = sim.block_on(or(async { pool.get("/").await.expect_err("no TLS") }, async {
        let _stream = listener.accept().await;
        std::future::pending().await
    }));
    assert_late((error, sim.now() - begun));
}

#[test]
fn a_peer_that_speaks_something_else_is_found_out_at_once() {
    for (says, word) in ROWS {
        let (error, took) = get_from(move |mut stream, _| async move {
            let mut hello = [0; 16];
            stream.read_exact(&mut hello).await.expect("a greeting");
            stream.write_all(says).await.expect("it listens");
            stream.close().await.expect("it listens");
        });
        assert_eq!((error.kind(), error.phase()), (ErrorKind::Tls, Some(Phase::Tls)), "{error:?}");
        assert!(error.to_string().contains(word), "{word:?} is not in {error}");
        assert_eq!(took, Duration::ZERO);
    }
}

#[test]
fn a_caller_that_leaves_within_the_handshake_leaves_no_socket() {
    let sim = Sim::new();
    let listener = sim.net().listen(ADDR);
    let builder = Pool::builder().runtime(sim.runtime_without_background());
    let pool = builder.server(parse("https://10.0.0.1")).build().expect("a valid pool");
    sim.block_on(async {
        let mut checkout = Box::pin(pool.checkout(Select::new()));
        let leave = async {
            let mut stream = listener.accept().await;
            let mut hello = [0; 16];
            stream.read_exact(&mut hello).await.expect("a greeting");
            stream
        };
        let stream = or(
            async {
                drop(checkout.as_mut().await);
                unreachable!("there is no TLS");
            },
            leave,
        )
        .await;
        assert_eq!(sim.net().counts(ADDR).open, 1);
        drop(checkout);
        assert_eq!(sim.net().counts(ADDR).open, 0);
        drop(stream);
    });
    assert_balanced(&pool.metrics());
    assert_eq!(pool.metrics().connecting, 0);
}

/// Answers each connection so, over a socket.
fn stranger(says: &'static [u8]) -> (std::thread::JoinHandle<()>, u16) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    let port = listener.local_addr().expect("an address").port();
    let serve = move || {
        let (mut stream, _) = listener.accept().expect("a connection");
        let mut hello = [0; 16];
        stream.read_exact(&mut hello).expect("a greeting");
        stream.write_all(says).expect("it listens");
        stream.shutdown(std::net::Shutdown::Write).expect("it listens");
        // Until the other side has closed, too.
        std::io::copy(&mut stream, &mut std::io::sink()).ok();
    };
    (std::thread::spawn(serve), port)
}

#[test]
fn over_sockets_a_stranger_is_told_as_such_under_every_runtime() {
    for_each_runtime(|env| async move {
        for (says, word) in ROWS {
            let (thread, port) = stranger(says);
            let server = parse(&format!("https://127.0.0.1:{port}"));
            let pool = env.builder().server(server).build().unwrap();
            let error = pool.get("/").await.expect_err("no TLS");
            assert_eq!((error.kind(), error.phase()), (ErrorKind::Tls, Some(Phase::Tls)));
            assert!(error.to_string().contains(word), "{word:?} is not in {error}");
            thread.join().expect("its connection was closed");
            assert_balanced(&pool.metrics());
        }
    });
}

#[test]
fn over_sockets_a_silent_peer_ends_by_the_deadline_under_every_runtime() {
    for_each_runtime(|env| async move {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        let port = listener.local_addr().expect("an address").port();
        let server = parse(&format!("https://127.0.0.1:{port}"));
        let builder = env.builder().server(server).connect_timeout(Duration::from_millis(100));
        let pool = builder.build().unwrap();
        let error = pool.get("/").await.expect_err("no TLS");
        let seen = (error.kind(), error.phase());
        assert_eq!(seen, (ErrorKind::Timeout, Some(Phase::Tls)), "under {}", env.name);
        // Closed: the other end is at its end once the greeting is read.
        let (mut stream, _): (TcpStream, _) = listener.accept().expect("a connection");
        let mut greeting = Vec::new();
        stream.read_to_end(&mut greeting).expect("an end");
        assert_eq!(greeting[..2], [22, 3]);
        assert_balanced(&pool.metrics());
    });
}

#[test]
fn http_to_a_port_of_tls_and_tls_to_a_port_of_http_both_fail() {
    under_block_on(|env| async move {
        let world = World::start();
        let plain = parse(&world.front.url().replace("https", "http"));
        let pool = env.builder().server(plain).build().unwrap();
        let error = get_text(&pool, "/").await.expect_err("not in the clear");
        assert!(!error.is_tls(), "{error:?}");
        let secure = parse(&world.origin.url("").replace("http", "https"));
        let pool = env.builder().server(secure).tls(world.tls()).build().unwrap();
        let error = get_text(&pool, "/").await.expect_err("no TLS there");
        assert!(error.is_tls(), "{error:?}");
    });
}
