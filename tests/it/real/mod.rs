//! Servers as they are found in the field, each a process of its own on a loopback port. They cut
//! connections by their own rules, and no request may fail or be carried out twice for that.
//!
//! A test skips itself, and says so, where its server is not installed.

#![expect(
    clippy::disallowed_methods,
    reason = "how long another process may take to start is measured by the real clock"
)]

mod files;
mod haproxy;
mod load;
mod nginx;
mod node;

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use evenkeel::{Metrics, Pool};
use socket2::Socket;

use crate::support::server::hold_port;
use crate::support::{Env, parse};

/// The size of the file `large`.
const LARGE: usize = 200_000;
/// How many connections a pool may open to the server.
const LIMIT: usize = 16;

/// A running server with a directory of its own; it ends when dropped.
struct Real {
    process: Child,
    directory: PathBuf,
    addr: SocketAddr,
    _port: Socket,
}

impl Real {
    /// Starts `program` in its directory, with what `configure` says in `server.conf`.
    ///
    /// It must stay in the foreground and be one process, so that killing it ends all of it.
    fn start(
        program: &str,
        name: &str,
        args: &[&str],
        configure: impl FnOnce(SocketAddr) -> String,
    ) -> Option<Self> {
        let mut probe = Command::new(program);
        if probe.arg("-v").stdout(Stdio::null()).stderr(Stdio::null()).status().is_err() {
            eprintln!("skipped: {program} is not installed");
            return None;
        }
        let (port, addr) = hold_port();
        let name = format!("evenkeel-{program}-{}-{name}", std::process::id()).replace(' ', "-");
        let directory = std::env::temp_dir().join(name);
        fs::create_dir_all(&directory).expect("a directory for the server");
        fs::write(directory.join("small"), "small").expect("a file to serve");
        fs::write(directory.join("large"), "x".repeat(LARGE)).expect("a file to serve");
        fs::write(directory.join("server.conf"), configure(addr)).expect("a configuration");
        let process = Command::new(program)
            .args(args)
            .current_dir(&directory)
            .env("PWD", &directory)
            .stdout(Stdio::null())
            .stderr(fs::File::create(directory.join("stderr")).expect("a file for complaints"))
            .spawn()
            .expect("the server starts");
        let mut server = Self { process, directory, addr, _port: port };
        server.wait_until_it_listens();
        Some(server)
    }

    fn wait_until_it_listens(&mut self) {
        let deadline = Instant::now() + Duration::from_secs(30);
        while TcpStream::connect(self.addr).is_err() {
            let ended = self.process.try_wait().expect("a child process");
            assert!(ended.is_none(), "it ended with {ended:?}: {}", self.complaint());
            assert!(Instant::now() < deadline, "it does not listen: {}", self.complaint());
            std::thread::yield_now();
        }
    }

    fn complaint(&self) -> String {
        let mut text = String::new();
        if let Ok(mut file) = fs::File::open(self.directory.join("stderr")) {
            file.read_to_string(&mut text).ok();
        }
        text
    }

    /// Waits until the server has given up a connection on which this was said and no more. Then it
    /// has given up each that was idle before, too. Returns its last words.
    fn outlast(&self, said: &str) -> String {
        let mut stream = TcpStream::connect(self.addr).expect("it listens");
        stream.write_all(said.as_bytes()).expect("it reads");
        let mut last = String::new();
        stream.read_to_string(&mut last).expect("text, and then the end");
        last
    }

    /// Asks the server to end, waits until it has, and reads a file that it has written.
    fn end_and_read(&mut self, file: &str) -> String {
        // The standard library can only kill it, and then it writes nothing more.
        let kill = format!("kill -TERM {}", self.process.id());
        let killed = Command::new("sh").args(["-c", &kill]).status().expect("a shell");
        assert!(killed.success(), "it runs no more: {}", self.complaint());
        self.process.wait().expect("a child process");
        fs::read_to_string(self.directory.join(file)).expect("a file of the server's")
    }

    fn url(&self) -> String {
        format!("http://{}", self.addr)
    }

    fn pool(&self, env: &Env) -> Pool {
        let builder = env.builder().server(parse(&self.url())).max_connections_per_server(LIMIT);
        // Time is not what these tests are about, and the machine may be busy.
        builder.request_timeout(Some(Duration::from_secs(100))).build().expect("a valid pool")
    }
}

impl Drop for Real {
    fn drop(&mut self) {
        // It may have ended by itself, and the directory is only a temporary one.
        self.process.kill().ok();
        self.process.wait().ok();
        fs::remove_dir_all(&self.directory).ok();
    }
}

/// The pool's books after its end: until then a dial may go on whose caller was served otherwise.
async fn books_after_the_end(pool: &Pool) -> Metrics {
    pool.shutdown(Duration::from_secs(100)).await;
    pool.metrics()
}
