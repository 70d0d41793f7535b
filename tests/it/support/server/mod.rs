//! A loopback HTTP/1.1 server on std threads, one per connection, that does as a test tells it and
//! counts what it sees.
//!
//! What is asked for decides the answer (see `answer.rs` for the paths); a [`Manner`] decides how
//! the server treats whole connections. Tests wait for what the server has seen with
//! [`Server::until`], never for a while.

#![expect(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "a server of blocking threads, apart from the pool, is what makes these tests real"
)]
#![allow(
    dead_code,
    unused_imports,
    reason = "each test binary that includes this file uses a part of it"
)]

mod answer;
mod census;
mod script;
mod wire;

use std::future::poll_fn;
use std::io::{BufReader, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::task::{Poll, Waker};
use std::thread::{self, JoinHandle};

use socket2::{Domain, Socket, Type};

pub(crate) use self::answer::filler;
use self::census::Census;
pub(crate) use self::script::Act;

/// How the server treats a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Manner {
    /// Answers every request, and keeps the connection as long as the client does.
    Answer,
    /// Closes each connection as soon as it is accepted.
    CloseOnAccept,
    /// Answers this many requests, then closes without having said so.
    CloseAfter(u64),
    /// Answers each request with bytes that are not HTTP.
    Garbage,
    /// Reads requests and never answers.
    Silent,
    /// Answers each request with these bytes, whatever they are.
    Says(&'static [u8]),
    /// The same, and closes.
    SaysAndCloses(&'static [u8]),
    /// Does this on the first connection, and answers on all others.
    Plays(&'static [Act]),
}

/// What the server has seen so far.
#[derive(Clone, Debug, Default)]
pub(crate) struct Counts {
    /// Connections open now, as far as this side has noticed.
    pub(crate) open: usize,
    /// The most connections that the client has held open at the same time.
    pub(crate) max_open: usize,
    /// Connections accepted since the start.
    pub(crate) accepted: u64,
    /// Requests read since the start.
    pub(crate) requests: u64,
    /// Requests that wait at the gate now, or for ever if the server is silent.
    pub(crate) waiting: usize,
    /// Steps played to their end, see [`Act`].
    pub(crate) acts: usize,
}

/// A running server; it stops when dropped.
pub(crate) struct Server {
    shared: Arc<Shared>,
    addr: SocketAddr,
    acceptor: Option<JoinHandle<()>>,
    /// Bound and never listening: while the server is stopped the port refuses connections, and
    /// nobody else in the process or on the machine is given it.
    _port: Socket,
}

struct Shared {
    state: Mutex<State>,
    /// Signalled when the gate opens and when the server stops.
    gate: Condvar,
    manner: Manner,
    /// This server's connections, and those of all servers of its group.
    own: Census,
    group: Arc<Census>,
}

#[derive(Default)]
struct State {
    counts: Counts,
    /// The target of each POST.
    posts: Vec<String>,
    gate_open: bool,
    stopping: bool,
    wakers: Vec<Waker>,
}

impl Server {
    /// A server that answers.
    pub(crate) fn start() -> Self {
        Self::with(Manner::Answer)
    }

    /// A server with this manner.
    pub(crate) fn with(manner: Manner) -> Self {
        Self::in_group(manner, Arc::default())
    }

    /// Servers that answer, and the census of the connections that they have open together.
    pub(crate) fn group(count: usize) -> (Vec<Self>, Arc<Census>) {
        let group = Arc::<Census>::default();
        let servers = (0..count).map(|_| Self::in_group(Manner::Answer, group.clone()));
        (servers.collect(), group)
    }

    fn in_group(manner: Manner, group: Arc<Census>) -> Self {
        let (port, addr) = hold_port();
        let state = Mutex::default();
        let shared = Shared { state, gate: Condvar::new(), manner, own: Census::default(), group };
        let mut server = Self { shared: Arc::new(shared), addr, acceptor: None, _port: port };
        server.restart();
        server
    }

    /// Accepts connections again, on the same port, after [`Server::stop`].
    pub(crate) fn restart(&mut self) {
        assert!(self.acceptor.is_none(), "the server runs already");
        self.shared.lock().stopping = false;
        let listener = TcpListener::bind(self.addr).expect("the port is held for this server");
        let shared = self.shared.clone();
        self.acceptor = Some(thread::spawn(move || accept(&listener, &shared)));
    }

    /// Closes every connection and the port, and waits until all threads have ended.
    pub(crate) fn stop(&mut self) {
        let Some(acceptor) = self.acceptor.take() else {
            return;
        };
        self.shared.change(|state| state.stopping = true);
        self.shared.own.shut_down();
        self.shared.gate.notify_all();
        // `accept` cannot be interrupted, so it is given something to accept.
        drop(TcpStream::connect(self.addr));
        acceptor.join().expect("the accepting thread must not panic");
    }

    pub(crate) fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// The server's URL, with a path or without.
    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.addr)
    }

    pub(crate) fn counts(&self) -> Counts {
        let mut counts = self.shared.lock().counts.clone();
        counts.max_open = self.shared.own.max_open();
        counts
    }

    /// The targets of the POSTs that were read, in the order in which they came.
    pub(crate) fn posts(&self) -> Vec<String> {
        self.shared.lock().posts.clone()
    }

    /// Lets requests pass that wait at `/gate`, and all that come.
    pub(crate) fn open_gate(&self) {
        self.shared.change(|state| state.gate_open = true);
        self.shared.gate.notify_all();
    }

    pub(crate) fn close_gate(&self) {
        self.shared.change(|state| state.gate_open = false);
    }

    /// Waits until what the server has seen fits.
    pub(crate) async fn until(&self, fits: impl Fn(&Counts) -> bool) {
        poll_fn(|cx| {
            let mut state = self.shared.lock();
            if fits(&state.counts) {
                return Poll::Ready(());
            }
            state.wakers.push(cx.waker().clone());
            Poll::Pending
        })
        .await;
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop();
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no thread panics while it counts")
    }

    /// Changes the state and tells everyone who waits for a change.
    fn change<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let (value, wakers) = {
            let mut state = self.lock();
            (change(&mut state), std::mem::take(&mut state.wakers))
        };
        for waker in wakers {
            waker.wake();
        }
        value
    }

    /// Waits for the gate; says whether it opened (and not: the server stops).
    fn wait_at_gate(&self) -> bool {
        self.change(|state| state.counts.waiting += 1);
        let state = self.lock();
        let state = self
            .gate
            .wait_while(state, |state| !state.gate_open && !state.stopping)
            .expect("no thread panics while it counts");
        let opened = !state.stopping;
        drop(state);
        self.change(|state| state.counts.waiting -= 1);
        opened
    }
}

/// A bound socket that does not listen, and its address.
pub(crate) fn hold_port() -> (Socket, SocketAddr) {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
    socket.set_reuse_address(true).expect("a socket option");
    socket.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into()).expect("a free port");
    let addr = socket.local_addr().expect("a bound socket has an address");
    let addr = addr.as_socket().expect("an internet address");
    (socket, addr)
}

fn accept(listener: &TcpListener, shared: &Arc<Shared>) {
    let mut threads: Vec<JoinHandle<()>> = Vec::new();
    loop {
        let Ok((stream, _)) = listener.accept() else {
            continue;
        };
        // After the look at `stopping`, `stop` would tell it to close; before, nobody would.
        let own = shared.own.admit(&stream);
        if shared.lock().stopping {
            shared.own.dismiss(own);
            break;
        }
        let group = shared.group.admit(&stream);
        shared.change(|state| {
            state.counts.accepted += 1;
            state.counts.open += 1;
        });
        let shared = shared.clone();
        let first = shared.lock().counts.accepted == 1;
        threads.retain(|thread| !thread.is_finished());
        threads.push(thread::spawn(move || {
            serve(&stream, &shared, first);
            // A connection is closed when the last handle to it is, and then counted as closed.
            shared.own.dismiss(own);
            shared.group.dismiss(group);
            drop(stream);
            shared.change(|state| state.counts.open -= 1);
        }));
    }
    for thread in threads {
        thread.join().expect("a connection's thread must not panic");
    }
}

fn serve(stream: &TcpStream, shared: &Shared, first: bool) {
    if shared.manner == Manner::CloseOnAccept {
        return;
    }
    stream.set_nodelay(true).ok();
    if let (Manner::Plays(acts), true) = (shared.manner, first) {
        return script::play(acts, stream, shared);
    }
    let mut reader = BufReader::new(stream);
    let mut served = 0;
    // A client that goes away in the middle is no fault of the server's.
    while let Ok(Some(request)) = wire::read_request(&mut reader) {
        shared.change(|state| {
            state.counts.requests += 1;
            if request.method == "POST" {
                state.posts.push(request.target.clone());
            }
        });
        let keep = match shared.manner {
            Manner::Garbage => {
                (&mut &*stream).write_all(b"\x16\x03\x01 this is not HTTP\r\n\r\n").ok();
                false
            }
            Manner::Silent => hold(stream, shared),
            Manner::Says(bytes) => (&mut &*stream).write_all(bytes).is_ok(),
            Manner::SaysAndCloses(bytes) => {
                (&mut &*stream).write_all(bytes).ok();
                false
            }
            _ => answer::answer(&request, stream, shared).unwrap_or(false),
        };
        served += 1;
        if !keep || shared.manner == Manner::CloseAfter(served) {
            break;
        }
    }
    stream.shutdown(Shutdown::Both).ok();
}

/// Says nothing until the client, or the test, closes the connection.
fn hold(stream: &TcpStream, shared: &Shared) -> bool {
    shared.change(|state| state.counts.waiting += 1);
    let mut byte = [0];
    // Whatever it returns, there is nothing more to do with this connection.
    stream.peek(&mut byte).ok();
    shared.change(|state| state.counts.waiting -= 1);
    false
}
