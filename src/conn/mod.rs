//! One live connection: I/O glue only, no policy.
//!
//! A [`Conn`] carries one exchange at a time, and it is driven by the future of whoever holds it:
//! there is no task behind it. What it owns while idle is small: the transport, two wakers, and
//! perhaps a sleep; buffers are lent for the time of an exchange.

mod alarm;
mod body;
mod buffers;
mod clock;
mod dial;
mod error;
mod h1;
mod io;
mod probe;
mod signal;
#[cfg(feature = "rustls-no-provider")]
mod tls;
#[cfg(not(feature = "rustls-no-provider"))]
#[path = "tls/absent.rs"]
mod tls;
mod tunnel;
mod turn;
mod upload;
mod watch;

use std::sync::Arc;
use std::time::{Duration, Instant};

use http::HeaderMap;
use http_body::SizeHint;
use sync_wrapper::SyncWrapper;

use self::alarm::Alarm;
pub(crate) use self::buffers::Buffers;
use self::clock::Pace;
pub(crate) use self::dial::{DialError, DialErrorKind, Names, Overrides, Setting, dial};
pub(crate) use self::error::{ExchangeError, ExchangeErrorKind};
pub(crate) use self::probe::probe;
use self::signal::Wakers;
pub(crate) use self::signal::{Signal, Watched};
pub(crate) use self::tls::{Profiles, Tls};
use self::turn::Turn;
pub(crate) use self::upload::Upload;
use crate::config::Steps;
pub(crate) use crate::proto::h1::{BUFFER, Form, HeadLimits, RequestHead};
use crate::proto::h1::{Buffer, Exchange};
use crate::rt::{Liveness, Runtime, TlsInfo, Transport};
use crate::server::Proxy;

/// What all connections of a pool have in common.
#[derive(Debug)]
pub(crate) struct ConnShared {
    pub(crate) runtime: Runtime,
    pub(crate) names: Names,
    /// That of the servers which have none of their own.
    pub(crate) proxy: Option<Proxy>,
    pub(crate) buffers: Buffers,
    pub(crate) limits: HeadLimits,
    pub(crate) steps: Steps,
}

/// A connection and the exchange on it.
#[derive(Debug)]
pub(crate) struct Conn {
    shared: Arc<ConnShared>,
    // A transport and a sleep are only ever used through `&mut`: the wrapper makes the connection,
    // and with it the public types that hold one, `Sync`.
    transport: SyncWrapper<Box<dyn Transport>>,
    wakers: Wakers,
    alarm: Alarm,
    exchange: Exchange,
    /// Request bytes on their way out; without memory unless an exchange is going on.
    out: Buffer,
    /// Response bytes not used yet; likewise.
    input: Buffer,
    /// Trailers that came with the last data, until the caller asks for them.
    trailers: Option<HeaderMap>,
    /// What was agreed on, if TLS is spoken.
    tls: Option<Box<TlsInfo>>,
    /// Of the whole exchange, the response's body included.
    deadline: Option<Instant>,
    pace: Pace,
    progress: Progress,
    turn: Turn,
    /// It has failed, or was aborted: no byte of it may be used again.
    dead: bool,
    born: Instant,
    uses: u32,
    bytes_in: u64,
    bytes_out: u64,
    /// How many of them have been told.
    told: Traffic,
}

/// Bytes read from a connection, and written to it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Traffic {
    pub(crate) read: u64,
    pub(crate) written: u64,
}

impl Traffic {
    pub(crate) fn total(self) -> u64 {
        self.read + self.written
    }
}

/// What has happened in the current exchange that cannot be undone.
#[derive(Clone, Copy, Debug, Default)]
struct Progress {
    /// The kernel took a byte of the request.
    sent: bool,
    /// A byte of the response came.
    received: bool,
}

/// How much of an unwanted body is read to save the connection.
const MAX_DRAIN: u64 = 64 * 1024;

impl Conn {
    /// A connection on which nothing has been sent. By its signal, which no other connection has
    /// now, it can be cut.
    pub(crate) fn new(
        transport: Box<dyn Transport>,
        shared: Arc<ConnShared>,
        signal: Arc<Signal>,
        now: Instant,
    ) -> Self {
        Self {
            shared,
            transport: SyncWrapper::new(transport),
            wakers: Wakers::new(signal),
            alarm: Alarm::default(),
            exchange: Exchange::default(),
            out: Buffer::default(),
            input: Buffer::default(),
            trailers: None,
            tls: None,
            deadline: None,
            pace: Pace::default(),
            progress: Progress::default(),
            turn: Turn::default(),
            dead: false,
            born: now,
            uses: 0,
            bytes_in: 0,
            bytes_out: 0,
            told: Traffic::default(),
        }
    }

    /// Asks the transport once, since it takes a system call, what was agreed on by TLS.
    pub(crate) fn note_tls(&mut self) {
        self.tls = self.transport.get_mut().info().tls.map(Box::new);
    }

    /// What was agreed on, if TLS is spoken.
    pub(crate) fn tls(&self) -> Option<&TlsInfo> {
        self.tls.as_deref()
    }

    /// When the connection was made.
    pub(crate) fn born(&self) -> Instant {
        self.born
    }

    /// How many requests were begun on it.
    pub(crate) fn uses(&self) -> u32 {
        self.uses
    }

    /// Bytes read from the transport.
    pub(crate) fn bytes_in(&self) -> u64 {
        self.bytes_in
    }

    /// Bytes written to the transport.
    pub(crate) fn bytes_out(&self) -> u64 {
        self.bytes_out
    }

    /// What has come and gone since [`tell_traffic`](Self::tell_traffic) was called.
    #[inline]
    pub(crate) fn untold_traffic(&self) -> Traffic {
        let Traffic { read, written } = self.told;
        Traffic { read: self.bytes_in - read, written: self.bytes_out - written }
    }

    /// The same, which is then told.
    #[inline]
    pub(crate) fn tell_traffic(&mut self) -> Traffic {
        let untold = self.untold_traffic();
        self.told = Traffic { read: self.bytes_in, written: self.bytes_out };
        untold
    }

    /// How long the peer said, in its last response, that it keeps an idle connection.
    pub(crate) fn peer_keep_alive(&self) -> Option<Duration> {
        self.exchange.keep_alive()
    }

    /// The caller has everything of the response that there is.
    pub(crate) fn is_body_complete(&self) -> bool {
        self.trailers.is_none() && self.exchange.response_done()
    }

    /// Whether the connection is a plain byte stream now.
    pub(crate) fn is_tunnel(&self) -> bool {
        self.exchange.is_tunnel()
    }

    /// What is known of the length of the response's body, as far as it is not read yet.
    pub(crate) fn size_hint(&self) -> SizeHint {
        self.exchange.size_hint()
    }

    /// Whether another request may follow: the exchange is complete both ways, neither side wants
    /// the connection closed, and no byte is left over.
    //= https://www.rfc-editor.org/rfc/rfc9112#section-6.3
    //# A client MUST NOT process, cache, or forward such extra data as a separate response, since
    //# such behavior would be vulnerable to cache poisoning.
    pub(crate) fn is_reusable(&self) -> bool {
        !self.dead
            && self.input.is_empty()
            && self.out.is_empty()
            && self.trailers.is_none()
            && !self.wakers.signal.is_cut()
            && self.exchange.reusable()
    }

    /// Whether it has been cut by its [`Signal`].
    pub(crate) fn is_cut(&self) -> bool {
        self.wakers.signal.is_cut()
    }

    /// Looks, without waiting, whether an idle connection is still good.
    //= https://www.rfc-editor.org/rfc/rfc9112#section-9.2
    //# If a client receives data on a connection that doesn't have outstanding requests, the client
    //# MUST NOT consider that data to be a valid response; the client SHOULD close the connection
    pub(crate) fn liveness(&mut self) -> Liveness {
        if self.dead || self.wakers.signal.is_cut() {
            return Liveness::Closed;
        }
        if !self.input.is_empty() {
            return Liveness::Unexpected;
        }
        self.transport.get_mut().try_peek()
    }

    /// The body is not wanted any more: reads the rest of it, as far as it is here already and
    /// not too long. Never waits. Whether the response is complete now; whether the connection
    /// can be used again is for [`is_reusable`](Self::is_reusable) to say.
    pub(crate) fn drain(&mut self) -> bool {
        self.trailers = None;
        self.wakers.signal.forget_task();
        let complete = !self.dead && self.drain_ready(MAX_DRAIN);
        if complete {
            self.settle();
        }
        complete
    }

    /// Closes at once, whatever is under way.
    pub(crate) fn abort(&mut self) {
        self.dead = true;
        self.transport.get_mut().abort();
    }

    /// Whether a request was begun and its exchange has not come to its end.
    pub(crate) fn is_unfinished(&self) -> bool {
        self.progress.sent && !(self.exchange.request_done() && self.exchange.response_done())
    }

    /// The exchange is over: gives the memory back and lets go of the caller's task.
    fn settle(&mut self) {
        self.wakers.signal.forget_task();
        self.give_buffers_back();
    }

    fn give_buffers_back(&mut self) {
        for buffer in [&mut self.out, &mut self.input] {
            // Bytes that are left over must be seen by `is_reusable`.
            if buffer.is_empty() && buffer.has_memory() {
                self.shared.buffers.give_back(std::mem::take(buffer));
            }
        }
    }
}

impl Drop for Conn {
    fn drop(&mut self) {
        for buffer in [&mut self.out, &mut self.input] {
            if buffer.has_memory() {
                self.shared.buffers.give_back(std::mem::take(buffer));
            }
        }
    }
}

#[cfg(test)]
mod tests;
