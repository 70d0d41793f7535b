//! A small HTTP/1.1 server on std threads: one thread per connection. It forgets what it is sent.

#![expect(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "the server plays another machine: it shares nothing with the pool but sockets"
)]
#![allow(dead_code, reason = "each example that includes this file uses a part of it")]

use std::collections::HashMap;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread::{self, JoinHandle};

use socket2::{Domain, Socket, Type};

/// Answers a request for this path. If it fails, the connection ends.
pub(crate) type Answer = dyn Fn(&TcpStream, &str) -> io::Result<()> + Send + Sync;

/// A server on a loopback port; it stops when dropped.
pub(crate) struct MiniServer {
    addr: SocketAddr,
    answer: Arc<Answer>,
    shared: Arc<Mutex<State>>,
    acceptor: Option<JoinHandle<()>>,
    /// Bound and never listening: a stopped server's port is given to nobody else.
    _port: Socket,
}

#[derive(Default)]
struct State {
    stopping: bool,
    accepted: u64,
    sockets: HashMap<u64, TcpStream>,
}

impl MiniServer {
    /// Starts a server on a free port that says what it was asked for.
    pub(crate) fn start() -> io::Result<Self> {
        Self::answering(|stream, path| ok(stream, &format!("You asked for {path}.\n")))
    }

    /// Starts a server on a free port that answers as told.
    pub(crate) fn answering(
        answer: impl Fn(&TcpStream, &str) -> io::Result<()> + Send + Sync + 'static,
    ) -> io::Result<Self> {
        Self::on(0, answer)
    }

    /// Starts a server on this port, or on a free one for 0, that answers as told.
    pub(crate) fn on(
        number: u16,
        answer: impl Fn(&TcpStream, &str) -> io::Result<()> + Send + Sync + 'static,
    ) -> io::Result<Self> {
        let port = Socket::new(Domain::IPV4, Type::STREAM, None)?;
        port.set_reuse_address(true)?;
        port.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, number)).into())?;
        let addr = port.local_addr()?.as_socket().ok_or(io::ErrorKind::AddrNotAvailable)?;
        let (answer, shared) = (Arc::new(answer), Arc::default());
        let mut server = Self { addr, answer, shared, acceptor: None, _port: port };
        server.restart()?;
        Ok(server)
    }

    /// The server's base URL.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.addr)
    }

    /// Closes the port and every connection. A request that is being answered is answered first.
    pub(crate) fn stop(&mut self) {
        let Some(acceptor) = self.acceptor.take() else {
            return;
        };
        {
            let mut state = lock(&self.shared);
            state.stopping = true;
            for socket in state.sockets.values() {
                // Ends the wait for the next request; it fails only if the client was faster.
                socket.shutdown(Shutdown::Read).ok();
            }
        }
        // `accept` cannot be interrupted, so it is given something to accept.
        drop(TcpStream::connect(self.addr));
        if acceptor.join().is_err() {
            eprintln!("the server on {} has panicked", self.addr);
        }
    }

    /// Listens on the same port again.
    pub(crate) fn restart(&mut self) -> io::Result<()> {
        if self.acceptor.is_none() {
            let listener = TcpListener::bind(self.addr)?;
            lock(&self.shared).stopping = false;
            let (answer, shared) = (self.answer.clone(), self.shared.clone());
            self.acceptor = Some(thread::spawn(move || accept(&listener, &answer, &shared)));
        }
        Ok(())
    }
}

impl Drop for MiniServer {
    fn drop(&mut self) {
        self.stop();
    }
}

fn lock(shared: &Mutex<State>) -> MutexGuard<'_, State> {
    shared.lock().expect("no thread panics while it holds the lock")
}

fn accept(listener: &TcpListener, answer: &Arc<Answer>, shared: &Arc<Mutex<State>>) {
    let mut threads: Vec<JoinHandle<()>> = Vec::new();
    while let Some((id, stream)) = next(listener, shared) {
        // Those that have ended are not kept: a thread that nobody has joined keeps its stack.
        let (ended, running) = threads.into_iter().partition(JoinHandle::is_finished);
        join(ended);
        threads = running;
        let (answer, shared) = (answer.clone(), shared.clone());
        threads.push(thread::spawn(move || {
            // A client that goes away is no fault of the server's.
            serve(&stream, &*answer).ok();
            lock(&shared).sockets.remove(&id);
        }));
    }
    join(threads);
}

fn join(threads: Vec<JoinHandle<()>>) {
    for thread in threads {
        thread.join().expect("a connection's thread must not panic");
    }
}

/// The next connection, unless the server stops.
fn next(listener: &TcpListener, shared: &Mutex<State>) -> Option<(u64, TcpStream)> {
    loop {
        let accepted = listener.accept();
        let mut state = lock(shared);
        if state.stopping {
            return None;
        }
        let Ok((stream, _)) = accepted else { continue };
        let Ok(twin) = stream.try_clone() else {
            continue;
        };
        state.accepted += 1;
        let id = state.accepted;
        state.sockets.insert(id, twin);
        return Some((id, stream));
    }
}

fn serve(stream: &TcpStream, answer: &Answer) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    while reader.read_line(&mut line)? > 0 {
        let path = line.split(' ').nth(1).unwrap_or_default().to_owned();
        let mut length = 0;
        // Of the fields this server needs the length; an empty line ends them.
        while line != "\r\n" {
            line.clear();
            if reader.read_line(&mut line)? == 0 {
                return Ok(());
            }
            length = content_length(&line)?.unwrap_or(length);
        }
        line.clear();
        io::copy(&mut reader.by_ref().take(length), &mut io::sink())?;
        answer(stream, &path)?;
    }
    Ok(())
}

/// The length of the body, if it is this field that tells it.
fn content_length(field: &str) -> io::Result<Option<u64>> {
    match field.split_once(':') {
        Some((name, value)) if name.eq_ignore_ascii_case("content-length") => {
            value.trim().parse().map(Some).map_err(|_| io::ErrorKind::InvalidData.into())
        }
        _ => Ok(None),
    }
}

/// Answers with this text.
pub(crate) fn ok(stream: &TcpStream, body: &str) -> io::Result<()> {
    respond(stream, "200 OK", "Content-Type: text/plain", body)
}

/// Answers with this status, these fields and this body.
pub(crate) fn respond(
    mut stream: &TcpStream,
    status: &str,
    fields: &str,
    body: &str,
) -> io::Result<()> {
    let length = body.len();
    let head = format!("HTTP/1.1 {status}\r\n{fields}\r\nContent-Length: {length}");
    stream.write_all(format!("{head}\r\n\r\n{body}").as_bytes())
}
