//! How many connections a client holds open at a time, as its servers can tell.

use std::collections::HashMap;
use std::mem::MaybeUninit;
use std::net::{Shutdown, TcpStream};
use std::sync::{Mutex, MutexGuard};

use socket2::SockRef;

/// The open connections of one server, or of several together.
///
/// A client that closes one connection and then opens another holds one, even while the thread of
/// the first has not read its end yet. So each count looks into the sockets themselves.
#[derive(Default)]
pub(crate) struct Census {
    people: Mutex<People>,
}

#[derive(Default)]
struct People {
    sockets: HashMap<u64, TcpStream>,
    admitted: u64,
    max_open: usize,
}

impl Census {
    /// The most connections that the client has held open at the same time.
    pub(crate) fn max_open(&self) -> usize {
        self.lock().max_open
    }

    /// Counts one more, and returns what [`Census::dismiss`] wants.
    pub(super) fn admit(&self, stream: &TcpStream) -> u64 {
        let mut people = self.lock();
        people.admitted += 1;
        let id = people.admitted;
        let twin = stream.try_clone().expect("a second handle to the socket");
        people.sockets.insert(id, twin);
        // The new one too is looked at: its client may have given it up before it was accepted.
        let held = people.sockets.values().filter(|socket| !ended(socket)).count();
        people.max_open = people.max_open.max(held);
        id
    }

    /// Forgets a connection, and closes the census' handle to it.
    pub(super) fn dismiss(&self, id: u64) {
        self.lock().sockets.remove(&id);
    }

    /// Ends every connection.
    pub(super) fn shut_down(&self) {
        for socket in self.lock().sockets.values() {
            // It fails only if the client was faster.
            socket.shutdown(Shutdown::Both).ok();
        }
    }

    fn lock(&self) -> MutexGuard<'_, People> {
        self.people.lock().expect("no thread panics while it counts")
    }
}

/// Whether the client has closed its side and everything it sent has been read.
fn ended(socket: &TcpStream) -> bool {
    // Values of the system's headers: look without taking, and without waiting.
    const PEEK: i32 = 2;
    const DONT_WAIT: i32 = if cfg!(target_os = "linux") { 0x40 } else { 0x80 };
    let mut byte = [MaybeUninit::uninit()];
    match SockRef::from(socket).recv_with_flags(&mut byte, PEEK | DONT_WAIT) {
        Ok(count) => count == 0,
        Err(error) => error.kind() != std::io::ErrorKind::WouldBlock,
    }
}
