//! The test server and the other helpers must do what they say, or the suites prove nothing. The
//! client here is a bare socket.

use std::future::poll_fn;
use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Poll;

use atomic_waker::AtomicWaker;

use crate::support::join::{Job, join_all};
use crate::support::run;
use crate::support::server::Counts;
use crate::support::{Manner, Server};
use futures_lite::future::block_on;

fn connect(server: &Server) -> TcpStream {
    TcpStream::connect(server.addr()).expect("the server listens")
}

/// Sends `head` with the fields every request needs, and reads to the end of the connection.
fn ask(server: &Server, method: &str, path: &str) -> String {
    let mut stream = connect(server);
    write!(stream, "{method} {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        .expect("the server reads");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("the server answers and closes");
    answer
}

fn wait_until(server: &Server, fits: impl Fn(&Counts) -> bool) {
    block_on(server.until(fits));
}

#[test]
fn each_path_answers_as_documented() {
    let server = Server::start();
    let ok = "HTTP/1.1 200 OK\r\n";
    let rows = [
        ("/b/3", format!("{ok}Content-Length: 3\r\n\r\nabc")),
        (
            "/c/5",
            format!(
                "{ok}Transfer-Encoding: chunked\r\n\r\n1\r\na\r\n3\r\nbcd\r\n1\r\ne\r\n0\r\n\r\n"
            ),
        ),
        ("/t/1", format!("{ok}Transfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\nx-sum: 1\r\n\r\n")),
        ("/eof/2", format!("{ok}\r\nab")),
        ("/close/1", format!("{ok}Connection: close\r\nContent-Length: 1\r\n\r\na")),
        ("/http10/1", "HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\na".to_owned()),
        ("/status/204", "HTTP/1.1 204 No Content\r\n\r\n".to_owned()),
        ("/cut/4", format!("{ok}Content-Length: 4\r\n\r\nab")),
        ("/drop", String::new()),
        ("/any", format!("{ok}X-Host: a\r\nContent-Length: 9\r\n\r\nGET /any\n")),
    ];
    for (path, answer) in rows {
        assert_eq!(ask(&server, "GET", path), answer, "{path}");
    }
    assert!(ask(&server, "GET", "/interim").contains("\r\n\r\nHTTP/1.1 200 OK"));
    assert!(ask(&server, "GET", "/stray").ends_with("HTTP/1.1 200 OK\r\n\r\n"));
}

#[test]
fn an_answer_to_head_has_no_body() {
    let server = Server::start();
    for path in ["/b/3", "/c/3", "/echo", "/status/500"] {
        let answer = ask(&server, "HEAD", path);
        assert!(answer.ends_with("\r\n\r\n"), "{path}: {answer}");
        assert_eq!(answer.matches("\r\n\r\n").count(), 1, "{path}: {answer}");
    }
}

#[test]
fn it_counts_connections_and_closes_them_on_stop_and_listens_on_the_same_port_again() {
    let mut server = Server::start();
    let mut streams = [connect(&server), connect(&server)];
    wait_until(&server, |counts| counts.open == 2);
    server.stop();
    assert_eq!(server.counts().open, 0);
    for stream in &mut streams {
        assert_eq!(stream.read(&mut [0]).unwrap_or(0), 0, "the connection is closed");
    }
    let refused = TcpStream::connect(server.addr()).expect_err("nobody listens");
    assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
    server.restart();
    assert!(ask(&server, "GET", "/b/1").ends_with("\r\n\r\na"));
    let counts = server.counts();
    assert_eq!((counts.max_open, counts.accepted, counts.requests), (2, 3, 1));
}

#[test]
fn a_closed_connection_is_not_counted_beside_the_next_one() {
    let server = Server::start();
    for _ in 0..200 {
        drop(connect(&server));
    }
    wait_until(&server, |counts| counts.accepted == 200 && counts.open == 0);
    // None, where each had been closed before it was accepted.
    assert!(server.counts().max_open <= 1);
}

#[test]
fn a_census_counts_the_connections_of_all_servers_of_its_group() {
    let (servers, census) = Server::group(2);
    let first = connect(&servers[0]);
    wait_until(&servers[0], |counts| counts.open == 1);
    let second = connect(&servers[1]);
    wait_until(&servers[1], |counts| counts.open == 1);
    drop((first, second));
    assert_eq!(census.max_open(), 2);
    assert_eq!(servers[0].counts().max_open, 1);
}

/// Whether a scenario that panics is a failed test, and not one that passed or hangs.
fn reports_a_panic(run: impl FnOnce()) -> bool {
    std::panic::catch_unwind(std::panic::AssertUnwindSafe(run)).is_err()
}

#[test]
fn a_scenario_that_panics_fails_under_every_runtime() {
    assert!(reports_a_panic(|| run::block_on(|| async { panic!("as it should") })));
    assert!(reports_a_panic(|| run::under_smol(|_| async { panic!("as it should") })));
    assert!(reports_a_panic(|| {
        run::under_tokio_current_thread(|_| async { panic!("as it should") });
    }));
    assert!(reports_a_panic(|| {
        run::under_tokio_multi_thread(|_| async { panic!("as it should") });
    }));
}

#[test]
fn the_gate_holds_requests_until_it_is_opened() {
    let server = Server::start();
    let mut stream = connect(&server);
    stream.write_all(b"GET /gate HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").unwrap();
    wait_until(&server, |counts| counts.waiting == 1);
    stream.set_nonblocking(true).unwrap();
    assert_eq!(stream.read(&mut [0]).unwrap_err().kind(), ErrorKind::WouldBlock);
    stream.set_nonblocking(false).unwrap();
    server.open_gate();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.ends_with("GET /gate\n"), "{answer}");
}

#[test]
fn each_manner_treats_connections_as_documented() {
    let closes = Server::with(Manner::CloseOnAccept);
    assert_eq!(connect(&closes).read(&mut [0]).unwrap_or(0), 0);

    let garbage = Server::with(Manner::Garbage);
    assert!(!ask(&garbage, "GET", "/").starts_with("HTTP"));

    let two = Server::with(Manner::CloseAfter(2));
    let mut stream = connect(&two);
    stream
        .write_all(b"GET /b/0 HTTP/1.1\r\nHost: a\r\n\r\nGET /b/0 HTTP/1.1\r\nHost: a\r\n\r\n")
        .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert_eq!(answer.matches("HTTP/1.1 200 OK").count(), 2);

    let silent = Server::with(Manner::Silent);
    let mut stream = connect(&silent);
    stream.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
    wait_until(&silent, |counts| counts.waiting == 1);
    drop(stream);
    wait_until(&silent, |counts| counts.open == 0);
}

#[test]
fn joined_futures_are_polled_only_when_they_are_woken() {
    let polls: [Arc<AtomicUsize>; 3] = Default::default();
    let wakers: Arc<[AtomicWaker; 3]> = Arc::default();
    let jobs = (0..3_usize).map(|index| {
        let (polls, wakers) = (polls[index].clone(), wakers.clone());
        Box::pin(poll_fn(move |cx| {
            // Each ends at its second poll; the last one first, and wakes the one before it.
            if polls.fetch_add(1, Ordering::Relaxed) == 1 {
                if index > 0 {
                    wakers[index - 1].wake();
                }
                return Poll::Ready(index * 10);
            }
            wakers[index].register(cx.waker());
            if index == 2 {
                cx.waker().wake_by_ref();
            }
            Poll::Pending
        })) as Job<usize>
    });
    assert_eq!(block_on(join_all(jobs.collect())), [0, 10, 20]);
    assert_eq!(polls.each_ref().map(|polls| polls.load(Ordering::Relaxed)), [2, 2, 2]);
}
