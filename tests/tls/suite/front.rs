//! TLS before a server of the tests: what comes is decrypted and passed on, and the other way
//! round, by two threads for each connection.

#![expect(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "a server of blocking threads, apart from the pool, is what makes these tests real"
)]

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread::{self, JoinHandle};

use rustls::{HandshakeKind, ServerConfig, ServerConnection};

/// What the front has seen so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Seen {
    /// Connections accepted.
    pub(crate) accepted: usize,
    /// Handshakes that made a new session.
    pub(crate) full: usize,
    /// Handshakes that resumed one.
    pub(crate) resumed: usize,
    /// Handshakes that failed.
    pub(crate) failed: usize,
    /// Connections that the client ended with the alert that says so.
    pub(crate) goodbyes: usize,
    /// Connections that have ended.
    pub(crate) ended: usize,
}

/// How the end of what the server says is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Farewell {
    /// As it should be: by an alert, and then the end of the stream.
    Alert,
    /// By the end of the stream alone.
    Missing,
}

/// How a front treats its connections.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Manner {
    pub(crate) farewell: Farewell,
    /// The tickets of TLS 1.3 are not sent with the end of the handshake, but with what is sent
    /// next.
    pub(crate) holds_tickets: bool,
}

/// A running front; it stops when dropped.
pub(crate) struct Front {
    shared: Arc<Shared>,
    addr: SocketAddr,
    acceptor: Option<JoinHandle<()>>,
}

struct Shared {
    config: Arc<ServerConfig>,
    backend: SocketAddr,
    manner: Manner,
    state: Mutex<State>,
    changed: Condvar,
    stopping: AtomicBool,
}

#[derive(Default)]
struct State {
    seen: Seen,
    lines: Vec<Arc<Line>>,
}

/// One connection.
pub(crate) struct Line {
    client: TcpStream,
    backend: TcpStream,
    tls: Mutex<ServerConnection>,
}

impl Front {
    /// TLS by `config` before the server at `backend`.
    pub(crate) fn start(config: Arc<ServerConfig>, backend: SocketAddr) -> Self {
        let manner = Manner { farewell: Farewell::Alert, holds_tickets: false };
        Self::with(config, backend, manner)
    }

    pub(crate) fn with(config: Arc<ServerConfig>, backend: SocketAddr, manner: Manner) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        let addr = listener.local_addr().expect("a bound socket has an address");
        let shared = Arc::new(Shared {
            config,
            backend,
            manner,
            state: Mutex::default(),
            changed: Condvar::new(),
            stopping: AtomicBool::new(false),
        });
        let acceptor = {
            let shared = shared.clone();
            thread::spawn(move || accept(&listener, &shared))
        };
        Self { shared, addr, acceptor: Some(acceptor) }
    }

    pub(crate) fn port(&self) -> u16 {
        self.addr.port()
    }

    pub(crate) fn url(&self) -> String {
        format!("https://localhost:{}", self.port())
    }

    pub(crate) fn seen(&self) -> Seen {
        self.shared.lock().seen
    }

    /// Waits, as a thread, until what was seen fits.
    pub(crate) fn until(&self, fits: impl Fn(&Seen) -> bool) -> Seen {
        let state = self.shared.lock();
        let state = self
            .shared
            .changed
            .wait_while(state, |state| !fits(&state.seen))
            .expect("no thread panics while it counts");
        state.seen
    }

    /// The connections that are open.
    pub(crate) fn lines(&self) -> Vec<Arc<Line>> {
        self.shared.lock().lines.clone()
    }
}

impl Drop for Front {
    fn drop(&mut self) {
        self.shared.stopping.store(true, Ordering::SeqCst);
        for line in self.lines() {
            line.shut();
        }
        drop(TcpStream::connect(self.addr));
        if let Some(acceptor) = self.acceptor.take() {
            acceptor.join().expect("the accepting thread must not panic");
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no thread panics while it counts")
    }

    fn count(&self, count: impl FnOnce(&mut Seen)) {
        count(&mut self.lock().seen);
        self.changed.notify_all();
    }
}

fn accept(listener: &TcpListener, shared: &Arc<Shared>) {
    let mut threads: Vec<JoinHandle<()>> = Vec::new();
    loop {
        let Ok((client, _)) = listener.accept() else {
            continue;
        };
        if shared.stopping.load(Ordering::SeqCst) {
            break;
        }
        shared.count(|seen| seen.accepted += 1);
        let shared = shared.clone();
        threads.retain(|thread| !thread.is_finished());
        threads.push(thread::spawn(move || serve(client, &shared)));
    }
    for thread in threads {
        thread.join().expect("a connection's thread must not panic");
    }
}

fn serve(client: TcpStream, shared: &Arc<Shared>) {
    client.set_nodelay(true).ok();
    let mut tls = ServerConnection::new(shared.config.clone()).expect("a valid configuration");
    let mut socket = &client;
    while tls.is_handshaking() {
        if step(&mut tls, socket).is_err() {
            // The alert that says why.
            while tls.wants_write() && tls.write_tls(&mut socket).is_ok() {}
            client.shutdown(Shutdown::Write).ok();
            // A reset would take the alert from a client that still writes.
            io::copy(&mut socket, &mut io::sink()).ok();
            shared.count(|seen| {
                seen.failed += 1;
                seen.ended += 1;
            });
            return;
        }
    }
    if !shared.manner.holds_tickets {
        while tls.wants_write() && tls.write_tls(&mut socket).is_ok() {}
    }
    let resumed = tls.handshake_kind() == Some(HandshakeKind::Resumed);
    shared.count(|seen| if resumed { seen.resumed += 1 } else { seen.full += 1 });
    let Ok(backend) = TcpStream::connect(shared.backend) else {
        shared.count(|seen| seen.ended += 1);
        return;
    };
    backend.set_nodelay(true).ok();
    let line = Arc::new(Line { client, backend, tls: Mutex::new(tls) });
    shared.lock().lines.push(line.clone());
    if shared.stopping.load(Ordering::SeqCst) {
        line.shut();
    }
    let out = {
        let (line, farewell) = (line.clone(), shared.manner.farewell);
        thread::spawn(move || line.outwards(farewell))
    };
    if line.inwards() {
        shared.count(|seen| seen.goodbyes += 1);
    }
    out.join().expect("a connection's thread must not panic");
    shared.lock().lines.retain(|known| !Arc::ptr_eq(known, &line));
    shared.count(|seen| seen.ended += 1);
}

/// A step of the handshake: all that is to be sent, and one read.
fn step(tls: &mut ServerConnection, mut socket: &TcpStream) -> io::Result<()> {
    while tls.wants_write() {
        tls.write_tls(&mut socket)?;
    }
    if tls.read_tls(&mut socket)? == 0 {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    tls.process_new_packets().map(drop).map_err(io::Error::other)
}

impl Line {
    fn tls(&self) -> MutexGuard<'_, ServerConnection> {
        self.tls.lock().expect("no thread panics with it")
    }

    fn shut(&self) {
        self.client.shutdown(Shutdown::Both).ok();
        self.backend.shutdown(Shutdown::Both).ok();
    }

    /// Does something with the server's side of TLS, and sends what comes of it.
    pub(crate) fn with_tls(&self, act: impl FnOnce(&mut ServerConnection)) {
        let mut tls = self.tls();
        act(&mut tls);
        while tls.wants_write() && tls.write_tls(&mut &self.client).is_ok() {}
    }

    /// What `act` makes of TLS, as bytes that were not sent yet.
    pub(crate) fn records_of(&self, act: impl FnOnce(&mut ServerConnection)) -> Vec<u8> {
        let mut tls = self.tls();
        act(&mut tls);
        let mut bytes = Vec::new();
        while tls.wants_write() {
            tls.write_tls(&mut bytes).expect("memory takes all");
        }
        bytes
    }

    /// Sends bytes past TLS.
    pub(crate) fn send_raw(&self, mut bytes: &[u8]) {
        io::copy(&mut bytes, &mut &self.client).expect("the client is there");
    }

    /// Ends the stream to the client, without a word.
    pub(crate) fn fin(&self) {
        self.client.shutdown(Shutdown::Write).expect("the client is there");
    }

    /// From the client to the server; whether the client has said that this was all.
    fn inwards(&self) -> bool {
        let mut buf = [0; 16 * 1024];
        let mut goodbye = false;
        // The first request may have come with the end of the handshake.
        let mut n = 0;
        loop {
            let (mut bytes, mut plain) = (&buf[..n], Vec::new());
            let mut tls = self.tls();
            loop {
                let Ok(state) = tls.process_new_packets() else {
                    break;
                };
                goodbye |= state.peer_has_closed();
                let mut some = vec![0; state.plaintext_bytes_to_read()];
                tls.reader().read_exact(&mut some).expect("as much as it said");
                plain.extend(some);
                if bytes.is_empty() || !tls.read_tls(&mut bytes).is_ok_and(|n| n > 0) {
                    break;
                }
            }
            while n > 0 && tls.wants_write() && tls.write_tls(&mut &self.client).is_ok() {}
            drop(tls);
            if (&self.backend).write_all(&plain).is_err() || goodbye {
                break;
            }
            match (&self.client).read(&mut buf) {
                Ok(read @ 1..) => n = read,
                _ => break,
            }
        }
        self.backend.shutdown(Shutdown::Write).ok();
        goodbye
    }

    /// From the server to the client.
    fn outwards(&self, farewell: Farewell) {
        let mut buf = [0; 16 * 1024];
        while let Ok(n @ 1..) = (&self.backend).read(&mut buf) {
            let mut sent = true;
            let mut tls = self.tls();
            tls.writer().write_all(&buf[..n]).expect("it takes that much");
            while tls.wants_write() && sent {
                sent = tls.write_tls(&mut &self.client).is_ok();
            }
            if !sent {
                break;
            }
        }
        if farewell == Farewell::Alert {
            self.with_tls(|tls| tls.send_close_notify());
        }
        self.client.shutdown(Shutdown::Write).ok();
    }
}
