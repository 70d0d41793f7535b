//! A fast HTTP/1.1 server on loopback: one thread, one read and one write for each request.
//!
//! With the feature `tls` it speaks TLS to whoever begins with that.
//!
//! Its answers are made once and sent as they are, so that the client is what takes the time.
//!
//! | path | answer |
//! |---|---|
//! | `/b/N` | a body of N bytes, with four fields in the head |
//! | `/stats` | connections accepted and requests answered since the last such request |

use std::collections::HashMap;
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::os::fd::AsRawFd;
use std::rc::Rc;

use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use socket2::{Domain, Socket, Type};

use crate::wire::end_of_head;

/// As many callers as are to connect at once find room.
const BACKLOG: i32 = 4096;
const READ: usize = 256 * 1024;

struct Conn {
    stream: TcpStream,
    #[cfg(feature = "tls")]
    tls: Option<Box<crate::tls::Session>>,
    /// A request that has not come whole.
    input: Vec<u8>,
    /// What the kernel has not taken yet.
    output: Vec<u8>,
    /// Whether it is room to write that is waited for, and not requests.
    blocked: bool,
}

struct Server {
    epoll: Epoll,
    listener: TcpListener,
    /// By the socket's number, which the kernel keeps small.
    conns: Vec<Option<Conn>>,
    answers: HashMap<Vec<u8>, Rc<[u8]>>,
    /// The answer that was asked for last, since it nearly always is asked for again.
    last: (Vec<u8>, Rc<[u8]>),
    accepted: u64,
    requests: u64,
}

/// Serves on `port`, or on a free one, for ever. Prints the port once it listens.
///
/// # Errors
/// Those of the listening socket.
pub(crate) fn serve(port: u16) -> io::Result<()> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
    socket.set_reuse_address(true)?;
    socket.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, port)).into())?;
    socket.listen(BACKLOG)?;
    socket.set_nonblocking(true)?;
    let listener = TcpListener::from(socket);
    println!("{}", listener.local_addr()?.port());
    let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
    epoll.add(&listener, EpollEvent::new(EpollFlags::EPOLLIN, number(&listener)))?;
    let mut server = Server {
        epoll,
        listener,
        conns: Vec::new(),
        answers: HashMap::new(),
        last: (Vec::new(), Rc::default()),
        accepted: 0,
        requests: 0,
    };
    let mut buffer = vec![0; READ];
    let mut events = vec![EpollEvent::empty(); 1024];
    loop {
        let ready = match server.epoll.wait(&mut events, EpollTimeout::NONE) {
            Ok(ready) => ready,
            Err(nix::errno::Errno::EINTR) => continue,
            Err(error) => return Err(error.into()),
        };
        for event in &events[..ready] {
            if event.data() == number(&server.listener) {
                server.accept();
            } else {
                server.turn(event, &mut buffer);
            }
        }
    }
}

fn number(socket: &impl AsRawFd) -> u64 {
    u64::from(socket.as_raw_fd().unsigned_abs())
}

impl Server {
    fn accept(&mut self) {
        while let Ok((stream, _)) = self.listener.accept() {
            // A socket that its peer has closed already is found out by the first read.
            if stream.set_nonblocking(true).and(stream.set_nodelay(true)).is_err() {
                continue;
            }
            let at = number(&stream);
            if self.epoll.add(&stream, EpollEvent::new(EpollFlags::EPOLLIN, at)).is_err() {
                continue;
            }
            let at = at as usize;
            if self.conns.len() <= at {
                self.conns.resize_with(at + 1, || None);
            }
            let (input, output) = (Vec::new(), Vec::new());
            self.conns[at] = Some(Conn {
                stream,
                #[cfg(feature = "tls")]
                tls: None,
                input,
                output,
                blocked: false,
            });
            self.accepted += 1;
        }
    }

    /// A connection has something for us. Dropping it closes it.
    fn turn(&mut self, event: &EpollEvent, buffer: &mut [u8]) {
        let at = event.data() as usize;
        let Some(mut conn) = self.conns.get_mut(at).and_then(Option::take) else {
            return;
        };
        let mut alive = true;
        if event.events().contains(EpollFlags::EPOLLOUT) {
            let output = std::mem::take(&mut conn.output);
            alive = self.put(&mut conn, &output).is_ok();
        }
        if alive && !conn.blocked {
            alive = self.read(&mut conn, buffer).is_ok();
        }
        if alive {
            self.conns[at] = Some(conn);
        }
    }

    fn read(&mut self, conn: &mut Conn, buffer: &mut [u8]) -> io::Result<()> {
        let n = match conn.stream.read(buffer) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(n) => n,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
            Err(error) => return Err(error),
        };
        #[cfg(feature = "tls")]
        if conn.tls.is_some() || crate::tls::begins(&buffer[..n]) {
            let session = conn.tls.get_or_insert_with(crate::tls::Session::boxed);
            let plain = session.read(&buffer[..n])?;
            let pending = session.pending()?;
            self.put(conn, &pending)?;
            return self.take(conn, &plain);
        }
        self.take(conn, &buffer[..n])
    }

    /// These bytes have come.
    fn take(&mut self, conn: &mut Conn, bytes: &[u8]) -> io::Result<()> {
        if conn.input.is_empty() {
            let used = self.answer_all(conn, bytes)?;
            conn.input.extend_from_slice(&bytes[used..]);
        } else {
            let mut input = std::mem::take(&mut conn.input);
            input.extend_from_slice(bytes);
            let used = self.answer_all(conn, &input)?;
            input.drain(..used);
            conn.input = input;
        }
        Ok(())
    }

    /// Answers the requests that are whole; how many bytes they had.
    fn answer_all(&mut self, conn: &mut Conn, input: &[u8]) -> io::Result<usize> {
        let mut used = 0;
        while let Some(len) = end_of_head(&input[used..]) {
            let head = &input[used..used + len];
            let path = head.split(|byte| *byte == b' ').nth(1).unwrap_or_default();
            used += len;
            if path == b"/stats" {
                let text = format!("accepted={} requests={}", self.accepted - 1, self.requests);
                (self.accepted, self.requests) = (0, 0);
                self.send(conn, &response(text.as_bytes()))?;
            } else {
                self.requests += 1;
                let answer = self.answer(path);
                self.send(conn, &answer)?;
            }
        }
        Ok(used)
    }

    fn answer(&mut self, path: &[u8]) -> Rc<[u8]> {
        if self.last.0 != path {
            let answer = self.answers.entry(path.to_vec()).or_insert_with(|| {
                let size = std::str::from_utf8(path).ok().and_then(|path| path.strip_prefix("/b/"));
                let size: usize = size.and_then(|digits| digits.parse().ok()).unwrap_or(0);
                response(&vec![b'x'; size]).into()
            });
            self.last = (path.to_vec(), answer.clone());
        }
        self.last.1.clone()
    }

    fn send(&mut self, conn: &mut Conn, bytes: &[u8]) -> io::Result<()> {
        #[cfg(feature = "tls")]
        if let Some(session) = &mut conn.tls {
            let sealed = session.seal(bytes)?;
            return self.put(conn, &sealed);
        }
        self.put(conn, bytes)
    }

    /// Sends bytes as they are.
    fn put(&mut self, conn: &mut Conn, bytes: &[u8]) -> io::Result<()> {
        let sent = match conn.output.is_empty() {
            true => match conn.stream.write(bytes) {
                Ok(n) => n,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => 0,
                Err(error) => return Err(error),
            },
            false => 0,
        };
        conn.output.extend_from_slice(&bytes[sent..]);
        let blocked = !conn.output.is_empty();
        if blocked != conn.blocked {
            conn.blocked = blocked;
            let wanted = if blocked { EpollFlags::EPOLLOUT } else { EpollFlags::EPOLLIN };
            let mut event = EpollEvent::new(wanted, number(&conn.stream));
            self.epoll.modify(&conn.stream, &mut event)?;
        }
        Ok(())
    }
}

/// A response with this body, in the bytes of the wire.
fn response(body: &[u8]) -> Vec<u8> {
    let mut bytes = format!(
        "HTTP/1.1 200 OK\r\nserver: bench\r\ndate: Tue, 15 Nov 1994 08:12:31 GMT\r\n\
         content-type: text/plain\r\ncontent-length: {}\r\n\r\n",
        body.len()
    )
    .into_bytes();
    bytes.extend_from_slice(body);
    bytes
}
