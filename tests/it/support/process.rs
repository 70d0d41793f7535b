//! A server as it is found in the field: a process of its own on a loopback port.

#![expect(
    clippy::disallowed_methods,
    reason = "how long another process may take to start is measured by the real clock"
)]

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use socket2::Socket;

use super::server::hold_port;

/// A running server with a directory of its own; it ends when dropped.
pub(crate) struct Real {
    process: Child,
    pub(crate) directory: PathBuf,
    pub(crate) addr: SocketAddr,
    _port: Socket,
}

impl Real {
    /// Starts `program` in its directory, with these files, and what `configure` says in
    /// `server.conf`.
    ///
    /// It must stay in the foreground and be one process, so that killing it ends all of it.
    pub(crate) fn start(
        program: &str,
        name: &str,
        args: &[&str],
        files: &[(&str, &str)],
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
        for (name, text) in files {
            fs::write(directory.join(name), text).expect("a file for the server");
        }
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

    /// Waits until the server has given up a connection on which this was said and no more. Then it
    /// has given up each that was idle before, too. Returns its last words.
    pub(crate) fn outlast(&self, said: &str) -> String {
        let mut stream = TcpStream::connect(self.addr).expect("it listens");
        stream.write_all(said.as_bytes()).expect("it reads");
        let mut last = String::new();
        stream.read_to_string(&mut last).expect("text, and then the end");
        last
    }

    /// Asks the server to end, waits until it has, and reads a file that it has written.
    pub(crate) fn end_and_read(&mut self, file: &str) -> String {
        // The standard library can only kill it, and then it writes nothing more.
        let kill = format!("kill -TERM {}", self.process.id());
        let killed = Command::new("sh").args(["-c", &kill]).status().expect("a shell");
        assert!(killed.success(), "it runs no more: {}", self.complaint());
        self.process.wait().expect("a child process");
        fs::read_to_string(self.directory.join(file)).expect("a file of the server's")
    }

    fn complaint(&self) -> String {
        let mut text = String::new();
        if let Ok(mut file) = fs::File::open(self.directory.join("stderr")) {
            file.read_to_string(&mut text).ok();
        }
        text
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
