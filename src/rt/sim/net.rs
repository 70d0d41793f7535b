//! Listeners, names, and the faults that can be set on an address.

#![expect(
    clippy::disallowed_types,
    reason = "a test tool on one thread: its locks are never contended"
)]

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::future::{pending, poll_fn};
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::task::{Poll, Waker};
use std::time::Duration;

use super::clock::Clock;
use super::lock;
use super::socket::{SimCounts, Socket};
use super::stream::{Link, SimStream};
use crate::rt::{Address, BoxFuture, Connector, Resolve, Resolved, Target, Transport};

/// Where clients connect from: an address that is reserved for documentation.
const CLIENT: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));

/// The network of a [`Sim`](super::Sim). It is both a [`Connector`] and a [`Resolve`]r.
///
/// Nobody answers at an address until [`listen`](Self::listen) is called: connections to it are
/// refused. Clones are handles to the same network.
///
/// ```
/// use std::io::ErrorKind;
/// use std::time::Duration;
/// use evenkeel::rt::sim::Sim;
///
/// let sim = Sim::new();
/// let net = sim.net();
/// let refused = sim.block_on(net.connect("10.0.0.1:80")).unwrap_err();
/// assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
///
/// let listener = net.listen("10.0.0.1:80");
/// net.connect_delay("10.0.0.1:80", Duration::from_secs(3));
/// let start = sim.now();
/// let client = sim.block_on(net.connect("10.0.0.1:80")).unwrap();
/// assert_eq!(sim.now() - start, Duration::from_secs(3));
///
/// let server = sim.block_on(listener.accept());
/// assert_eq!(server.peer_addr(), client.local_addr());
/// assert_eq!(net.counts("10.0.0.1:80").open, 1);
/// ```
#[derive(Clone)]
pub struct SimNet {
    shared: Arc<Shared>,
}

struct Shared {
    clock: Arc<Clock>,
    state: Mutex<State>,
}

struct State {
    sites: BTreeMap<SocketAddr, Site>,
    names: BTreeMap<String, Name>,
    latency: Duration,
    capacity: usize,
    next_port: u16,
}

/// What is known of one address.
#[derive(Default)]
struct Site {
    /// Connections that nobody has accepted yet, if there is a listener.
    backlog: Option<VecDeque<SimStream>>,
    accepting: Vec<Waker>,
    black_hole: bool,
    delay: Duration,
    counts: SimCounts,
}

#[derive(Default)]
struct Name {
    /// `None`: there is no such name.
    addrs: Option<Vec<IpAddr>>,
    ttl: Option<Duration>,
    delay: Duration,
    lookups: usize,
}

impl SimNet {
    pub(super) fn new(clock: Arc<Clock>) -> Self {
        let state = State {
            sites: BTreeMap::new(),
            names: BTreeMap::new(),
            latency: Duration::ZERO,
            capacity: 64 * 1024,
            next_port: 49_152,
        };
        Self { shared: Arc::new(Shared { clock, state: Mutex::new(state) }) }
    }

    /// Listens at `addr`, an IP address and port, until the listener is dropped.
    ///
    /// # Panics
    /// If `addr` is no such thing, or somebody listens there already.
    pub fn listen(&self, addr: &str) -> SimListener {
        let addr = socket_addr(addr);
        let free = self.site(addr, |site| {
            let free = site.backlog.is_none();
            site.backlog.get_or_insert_default();
            free
        });
        assert!(free, "somebody listens at {addr} already");
        SimListener { net: self.clone(), addr }
    }

    /// Connects to `addr` as a client.
    ///
    /// # Errors
    /// [`io::ErrorKind::ConnectionRefused`] if nobody listens there.
    ///
    /// # Panics
    /// If `addr` is not an IP address and port.
    ///
    /// # Cancel safety
    /// Safe: dropping the future closes the half-open socket.
    pub async fn connect(&self, addr: &str) -> io::Result<SimStream> {
        self.open(socket_addr(addr)).await
    }

    /// Gives `host` these IP addresses. An empty list resolves to an empty answer; a host that
    /// was never named does not resolve.
    ///
    /// # Panics
    /// If one of `addrs` is not an IP address.
    pub fn name(&self, host: &str, addrs: &[&str]) {
        let parse = |addr: &&str| match addr.parse() {
            Ok(addr) => addr,
            Err(error) => panic!("{addr:?} is not an IP address: {error}"),
        };
        let addrs = addrs.iter().map(parse).collect();
        self.edit(host, |name| name.addrs = Some(addrs));
    }

    /// Makes each look-up of `host` take this long. The default is no time.
    pub fn lookup_delay(&self, host: &str, delay: Duration) {
        self.edit(host, |name| name.delay = delay);
    }

    /// Takes a host's name away: from now on it does not resolve.
    pub fn forget(&self, host: &str) {
        self.edit(host, |name| name.addrs = None);
    }

    /// How long an answer for `host` may be used. The default is `None`: its resolver does not say.
    pub fn name_ttl(&self, host: &str, ttl: impl Into<Option<Duration>>) {
        let ttl = ttl.into();
        self.edit(host, |name| name.ttl = ttl);
    }

    /// How often `host` was looked up, so far.
    pub fn lookups(&self, host: &str) -> usize {
        self.edit(host, |name| name.lookups)
    }

    fn edit<T>(&self, host: &str, edit: impl FnOnce(&mut Name) -> T) -> T {
        edit(lock(&self.shared.state).names.entry(host.to_owned()).or_default())
    }

    /// From now on, attempts to connect to `addr` never end: they are neither taken nor refused.
    ///
    /// # Panics
    /// If `addr` is not an IP address and port.
    pub fn black_hole(&self, addr: &str) {
        self.site(socket_addr(addr), |site| site.black_hole = true);
    }

    /// Makes each attempt to connect to `addr` take this long, whatever its outcome, beyond the
    /// latency. The default is no time.
    ///
    /// # Panics
    /// If `addr` is not an IP address and port.
    pub fn connect_delay(&self, addr: &str, delay: Duration) {
        self.site(socket_addr(addr), |site| site.delay = delay);
    }

    /// Ends what [`black_hole`](Self::black_hole) and [`connect_delay`](Self::connect_delay) set.
    /// Attempts that already hang go on hanging.
    ///
    /// # Panics
    /// If `addr` is not an IP address and port.
    pub fn heal(&self, addr: &str) {
        self.site(socket_addr(addr), |site| {
            site.black_hole = false;
            site.delay = Duration::ZERO;
        });
    }

    /// The time from one end to the other, for connections that are opened from now on. The
    /// default is none. Connecting takes twice as long.
    pub fn latency(&self, one_way: Duration) {
        lock(&self.shared.state).latency = one_way;
    }

    /// How many unread bytes a connection holds in each direction before its writer must wait,
    /// for connections that are opened from now on. The default is 64 KiB.
    ///
    /// # Panics
    /// If `bytes` is zero.
    pub fn capacity(&self, bytes: usize) {
        assert!(bytes > 0, "a connection must hold at least one byte");
        lock(&self.shared.state).capacity = bytes;
    }

    /// The clients' sockets to `addr`. The counts outlive the listener.
    ///
    /// # Panics
    /// If `addr` is not an IP address and port.
    pub fn counts(&self, addr: &str) -> SimCounts {
        self.site(socket_addr(addr), |site| site.counts)
    }

    /// Changes the counts of `addr`.
    pub(super) fn count(&self, addr: SocketAddr, change: impl FnOnce(&mut SimCounts)) {
        self.site(addr, |site| change(&mut site.counts));
    }

    fn site<T>(&self, addr: SocketAddr, visit: impl FnOnce(&mut Site) -> T) -> T {
        visit(lock(&self.shared.state).sites.entry(addr).or_default())
    }

    async fn open(&self, addr: SocketAddr) -> io::Result<SimStream> {
        let mut socket = Socket::new(self, addr);
        let (black_hole, delay) = self.site(addr, |site| (site.black_hole, site.delay));
        if black_hole {
            pending::<()>().await;
        }
        let (link, client) = self.link();
        let clock = &self.shared.clock;
        clock.sleep(clock.now() + delay + 2 * link.latency).await;
        if !self.site(addr, |site| site.backlog.is_some()) {
            return Err(io::ErrorKind::ConnectionRefused.into());
        }
        socket.connected();
        let (client, server) = SimStream::pair(&link, client, addr, socket);
        let accepting = self.site(addr, |site| {
            site.backlog.get_or_insert_default().push_back(server);
            std::mem::take(&mut site.accepting)
        });
        accepting.into_iter().for_each(Waker::wake);
        Ok(client)
    }

    /// The properties of a new connection, and the client's address.
    fn link(&self) -> (Link, SocketAddr) {
        let mut state = lock(&self.shared.state);
        let client = SocketAddr::new(CLIENT, state.next_port);
        state.next_port = state.next_port.checked_add(1).unwrap_or(49_152);
        let clock = self.shared.clock.clone();
        (Link { clock, latency: state.latency, capacity: state.capacity }, client)
    }
}

fn socket_addr(addr: &str) -> SocketAddr {
    match addr.parse() {
        Ok(addr) => addr,
        Err(error) => panic!("{addr:?} is not an IP address and port: {error}"),
    }
}

impl Connector for SimNet {
    fn connect<'a>(&'a self, target: &'a Target) -> BoxFuture<'a, io::Result<Box<dyn Transport>>> {
        Box::pin(async move {
            let Address::Ip(addr) = target.addr else {
                let message = "the simulated network has no Unix-domain sockets";
                return Err(io::Error::new(io::ErrorKind::Unsupported, message));
            };
            let stream = self.open(addr).await?;
            Ok(Box::new(stream) as Box<dyn Transport>)
        })
    }
}

impl Resolve for SimNet {
    fn resolve<'a>(&'a self, host: &'a str, port: u16) -> BoxFuture<'a, io::Result<Resolved>> {
        Box::pin(async move {
            if let Ok(ip) = host.parse::<IpAddr>() {
                return Ok(vec![SocketAddr::new(ip, port)].into());
            }
            let (delay, ttl) = {
                let mut state = lock(&self.shared.state);
                let name = state.names.entry(host.to_owned()).or_default();
                name.lookups += 1;
                (name.delay, name.ttl)
            };
            let clock = &self.shared.clock;
            clock.sleep(clock.now() + delay).await;
            // As they are when the answer comes.
            let addrs =
                lock(&self.shared.state).names.get(host).and_then(|name| name.addrs.clone());
            let Some(addrs) = addrs else {
                return Err(io::Error::new(io::ErrorKind::NotFound, "no such name"));
            };
            let addrs = addrs.into_iter().map(|ip| SocketAddr::new(ip, port)).collect();
            Ok(Resolved::new(addrs, ttl))
        })
    }
}

impl fmt::Debug for SimNet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SimNet").finish_non_exhaustive()
    }
}

/// Accepts the connections to one address. Dropping it refuses new ones, and resets those that
/// were not accepted.
pub struct SimListener {
    net: SimNet,
    addr: SocketAddr,
}

impl SimListener {
    /// Where it listens.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// The next connection.
    ///
    /// # Cancel safety
    /// Safe: a connection that was not returned is kept for the next call.
    pub async fn accept(&self) -> SimStream {
        poll_fn(|cx| {
            self.net.site(self.addr, |site| {
                if let Some(stream) = site.backlog.as_mut().and_then(VecDeque::pop_front) {
                    return Poll::Ready(stream);
                }
                if !site.accepting.iter().any(|waker| waker.will_wake(cx.waker())) {
                    site.accepting.push(cx.waker().clone());
                }
                Poll::Pending
            })
        })
        .await
    }
}

impl Drop for SimListener {
    fn drop(&mut self) {
        let backlog = self.net.site(self.addr, |site| site.backlog.take());
        backlog.into_iter().flatten().for_each(SimStream::reset);
    }
}

impl fmt::Debug for SimListener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SimListener").field("addr", &self.addr).finish_non_exhaustive()
    }
}
