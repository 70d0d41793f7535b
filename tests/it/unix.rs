//! Goal: a server behind a Unix-domain socket is a server like any other. Method: real sockets,
//! under every runtime.

#![cfg(unix)]

use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use evenkeel::{ErrorKind, Phase, Proxy, Server};

use crate::support::{assert_balanced, block_on, for_each_runtime, get_text, parse};

/// A folder of its own, removed at the end.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("evenkeel-{}-{number}", std::process::id());
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir(&path).expect("a new folder");
        Self(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        std::fs::remove_dir_all(&self.0).ok();
    }
}

/// Listens at a socket in `folder`, and answers each request with its line and its host; until the
/// process ends. Its path.
fn start(folder: &Folder) -> String {
    let path = folder.0.join("api.sock");
    let listener = UnixListener::bind(&path).expect("a free path");
    #[expect(clippy::disallowed_methods, reason = "the peer is a plain thread")]
    thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            thread::spawn(move || serve(&stream));
        }
    });
    path.to_str().expect("text").to_owned()
}

fn serve(stream: &UnixStream) {
    let mut lines = BufReader::new(stream).lines().map_while(Result::ok);
    while let Some(line) = lines.next() {
        let head: Vec<String> = lines.by_ref().take_while(|line| !line.is_empty()).collect();
        let host = head.iter().find_map(|field| field.strip_prefix("host: ")).unwrap_or("none");
        let body = format!("{line} at {host}");
        let answer = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}", body.len());
        if (&mut &*stream).write_all(answer.as_bytes()).is_err() {
            return;
        }
    }
}

#[test]
fn a_server_behind_a_socket_answers_under_every_runtime() {
    for_each_runtime(|env| async move {
        let folder = Folder::new();
        let path = start(&folder);
        // A proxy has no part in it.
        let nowhere = Proxy::http("http://127.0.0.1:1").unwrap();
        let url = format!("unix:{path}:/v1/");
        let pool = env.builder().server(parse(&url)).proxy(nowhere).build().unwrap();
        for _ in 0..3 {
            assert_eq!(get_text(&pool, "/x").await.unwrap(), "GET /v1/x HTTP/1.1 at localhost");
        }
        assert_eq!(pool.metrics().connections_created, 1);
        // Big bodies go through, and a connection that is closed by the server is noticed.
        let stats = pool.server_stats();
        assert_eq!(stats[0].url, format!("unix:{path}:/v1"));
        pool.shutdown(std::time::Duration::from_secs(10)).await;
        assert_balanced(&pool.metrics());
    });
}

#[test]
fn the_host_can_be_named() {
    block_on(|| async {
        let folder = Folder::new();
        let path = start(&folder);
        let server = Server::new("http://api.test:81/v2").unwrap().unix_socket(&path).unwrap();
        let pool = evenkeel::Pool::builder().server(server).build().unwrap();
        let text = get_text(&pool, "/x").await.unwrap();
        assert_eq!(text, "GET /v2/x HTTP/1.1 at api.test:81");
    });
}

#[test]
fn a_socket_that_is_not_there_or_that_nobody_listens_on_is_a_connect_error() {
    for_each_runtime(|env| async move {
        let folder = Folder::new();
        let gone = folder.0.join("gone.sock");
        let dead = folder.0.join("dead.sock");
        drop(UnixListener::bind(&dead).unwrap());
        for (path, why) in [(gone, "No such file"), (dead, "refused")] {
            let url = format!("unix:{}", path.display());
            let pool = env.builder().server(parse(&url)).build().unwrap();
            let error = get_text(&pool, "/").await.expect_err("nobody is there");
            assert_eq!((error.kind(), error.phase()), (ErrorKind::Connect, Some(Phase::Connect)));
            let text = error.to_string();
            assert!(text.contains(&url) && text.contains(why), "{text}");
            assert_balanced(&pool.metrics());
        }
    });
}

#[test]
fn a_socket_with_a_full_backlog_is_an_error_and_no_hang() {
    for_each_runtime(|env| async move {
        let folder = Folder::new();
        let path = folder.0.join("full.sock");
        let socket = socket2::Socket::new(socket2::Domain::UNIX, socket2::Type::STREAM, None);
        let socket = socket.unwrap();
        socket.bind(&socket2::SockAddr::unix(&path).unwrap()).unwrap();
        socket.listen(0).unwrap();
        let _first = UnixStream::connect(&path).unwrap();
        let url = format!("unix:{}", path.display());
        let pool = env.builder().server(parse(&url)).build().unwrap();
        let error = get_text(&pool, "/").await.expect_err("nobody accepts");
        assert_eq!(error.kind(), ErrorKind::Connect, "{error:?}");
        assert!(error.to_string().contains("wait to be accepted"), "{error}");
        assert_balanced(&pool.metrics());
    });
}

#[test]
fn a_server_that_closes_between_two_requests_costs_none() {
    for_each_runtime(|env| async move {
        let folder = Folder::new();
        let path = folder.0.join("once.sock");
        let listener = UnixListener::bind(&path).unwrap();
        #[expect(clippy::disallowed_methods, reason = "the peer is a plain thread")]
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let mut lines = BufReader::new(&stream).lines().map_while(Result::ok);
                lines.by_ref().take_while(|line| !line.is_empty()).for_each(drop);
                let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
                (&mut &stream).write_all(answer).ok();
            }
        });
        let url = format!("unix:{}", path.display());
        let pool = env.builder().server(parse(&url)).build().unwrap();
        for _ in 0..20 {
            assert_eq!(get_text(&pool, "/").await.unwrap(), "ok");
        }
        assert_eq!(pool.metrics().failed_requests, 0);
        assert_balanced(&pool.metrics());
    });
}
