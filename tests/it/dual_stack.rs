//! Goal: a family that leads nowhere costs the attempt delay, over real sockets and under every
//! runtime. Method: a port of `::1` whose backlog is full, which on Linux drops what comes; and the
//! same port of 127.0.0.1, where a server answers.

#![cfg(target_os = "linux")]

use std::net::{Ipv6Addr, SocketAddr, TcpStream};
use std::time::Duration;

use evenkeel::{Dialling, Pool};
use socket2::{Domain, Socket, Type};

use crate::support::{Server, assert_balanced, for_each_runtime, get_text, parse};

/// A port of `::1` on which nothing is accepted, and what fills it; `None` without IPv6.
fn black_hole(port: u16) -> Option<(Socket, Vec<TcpStream>)> {
    let socket = Socket::new(Domain::IPV6, Type::STREAM, None).ok()?;
    socket.set_only_v6(true).ok()?;
    let addr = SocketAddr::from((Ipv6Addr::LOCALHOST, port));
    socket.bind(&addr.into()).ok()?;
    socket.listen(0).ok()?;
    // Until one gets no answer.
    let mut filling = Vec::new();
    while let Ok(stream) = TcpStream::connect_timeout(&addr, Duration::from_millis(100)) {
        filling.push(stream);
    }
    Some((socket, filling))
}

#[test]
fn a_request_reaches_the_family_that_answers() {
    for_each_runtime(|env| async move {
        let server = Server::start();
        let port = server.addr().port();
        let Some(_hole) = black_hole(port) else {
            eprintln!("skipped: no IPv6 here");
            return;
        };
        let addrs = [SocketAddr::from((Ipv6Addr::LOCALHOST, port)), server.addr()];
        let pool: Pool = env
            .builder()
            .server(parse(&format!("http://dual.test:{port}")))
            .resolve("dual.test", addrs)
            // A half of it is more than the watchdog allows: it is the race that ends it.
            .connect_timeout(Duration::from_secs(600))
            .dialling(Dialling::new().attempt_delay(Duration::from_millis(50)))
            .build()
            .unwrap();
        // One connection for each turn of the addresses: both begin with `::1`.
        for _ in 0..2 {
            assert_eq!(get_text(&pool, "/b/3").await.unwrap(), "abc", "{}", env.name);
            pool.close_idle();
        }
        let metrics = pool.metrics();
        assert_eq!((metrics.connects, metrics.connect_errors), (2, 0), "{}", env.name);
        pool.shutdown(Duration::from_secs(10)).await;
        assert_balanced(&pool.metrics());
    });
}

#[test]
fn a_family_that_leads_nowhere_alone_is_named_at_the_deadline() {
    for_each_runtime(|env| async move {
        let server = Server::start();
        let port = server.addr().port();
        let Some(_hole) = black_hole(port) else {
            eprintln!("skipped: no IPv6 here");
            return;
        };
        let pool = env
            .builder()
            .server(parse(&format!("http://[::1]:{port}")))
            .connect_timeout(Duration::from_millis(200))
            .build()
            .unwrap();
        let error = get_text(&pool, "/").await.expect_err("nobody answers");
        assert!(error.is_timeout() && error.is_connect(), "{error:?}");
        assert!(error.to_string().contains(&format!("[::1]:{port}: no answer in time")), "{error}");
        assert_balanced(&pool.metrics());
    });
}
