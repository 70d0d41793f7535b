//! What lies between the two ends of a connection, without the ends: bytes under way, and how
//! each direction ended.

use std::collections::VecDeque;
use std::task::Waker;
use std::time::{Duration, Instant};

/// Both directions: `pipes[side]` carries what `side` writes.
pub(super) struct Wire {
    pipes: [Pipe; 2],
}

#[derive(Default)]
pub(super) struct Pipe {
    chunks: VecDeque<Chunk>,
    /// Bytes in `chunks`.
    held: usize,
    capacity: usize,
    /// What follows the last chunk, and when it arrives.
    pub(super) end: Option<(Instant, End)>,
    pub(super) reader: Reader,
    /// Wakes the reader.
    pub(super) reading: Option<Waker>,
    /// Wakes the writer.
    pub(super) writing: Option<Waker>,
}

struct Chunk {
    arrival: Instant,
    bytes: Vec<u8>,
    taken: usize,
}

#[derive(Clone, Copy)]
pub(super) enum End {
    Fin,
    Reset,
}

#[derive(Clone, Copy, Default)]
pub(super) enum Reader {
    #[default]
    There,
    /// Closed, which the writer will learn by writing.
    Gone,
    /// Closed, and the writer knows.
    Refusing,
}

/// What a reader finds.
pub(super) enum Found {
    Bytes,
    Nothing { until: Option<Instant> },
    End(End),
}

impl Pipe {
    /// How many bytes may be pushed.
    pub(super) fn room(&self) -> usize {
        self.capacity - self.held
    }

    pub(super) fn look(&self, now: Instant) -> Found {
        let arrival = match (self.chunks.front(), self.end) {
            (Some(chunk), _) if chunk.arrival <= now => return Found::Bytes,
            (None, Some((arrival, end))) if arrival <= now => return Found::End(end),
            (Some(chunk), _) => Some(chunk.arrival),
            (None, end) => end.map(|(arrival, _)| arrival),
        };
        Found::Nothing { until: arrival }
    }

    pub(super) fn take(&mut self, mut buf: &mut [u8], now: Instant) -> usize {
        let before = self.held;
        while let Some(chunk) = self.chunks.front_mut().filter(|chunk| chunk.arrival <= now) {
            let rest = &chunk.bytes[chunk.taken..];
            let count = rest.len().min(buf.len());
            buf[..count].copy_from_slice(&rest[..count]);
            chunk.taken += count;
            self.held -= count;
            if count < rest.len() {
                break;
            }
            self.chunks.pop_front();
            buf = &mut buf[count..];
        }
        before - self.held
    }

    pub(super) fn push(&mut self, bytes: &[u8], arrival: Instant) {
        self.held += bytes.len();
        self.chunks.push_back(Chunk { arrival, bytes: bytes.to_vec(), taken: 0 });
    }

    fn keep_chunks(&mut self, keep: impl Fn(&Chunk) -> bool) {
        self.chunks.retain(keep);
        self.held = self.chunks.iter().map(|chunk| chunk.bytes.len() - chunk.taken).sum();
    }
}

impl Wire {
    pub(super) fn new(capacity: usize) -> Self {
        let pipe = || Pipe { capacity, ..Pipe::default() };
        Self { pipes: [pipe(), pipe()] }
    }

    /// The pipes that `side` reads from and writes to.
    pub(super) fn split(&mut self, side: usize) -> (&mut Pipe, &mut Pipe) {
        let [first, second] = &mut self.pipes;
        if side == 0 { (second, first) } else { (first, second) }
    }

    /// Sends an end of stream, unless one was sent before. Returns whom to wake.
    pub(super) fn finish(&mut self, side: usize, arrival: Instant) -> Option<Waker> {
        let (_, output) = self.split(side);
        output.end.get_or_insert((arrival, End::Fin));
        output.reading.take()
    }

    /// `side` wants to hear no more, and tears down both directions. Returns whom to wake.
    pub(super) fn reset(
        &mut self,
        side: usize,
        now: Instant,
        latency: Duration,
    ) -> [Option<Waker>; 2] {
        let (input, output) = self.split(side);
        // What has arrived can still be read; what was under way is lost, and no end of stream may
        // pretend that it was all.
        output.keep_chunks(|chunk| chunk.arrival <= now);
        if output.end.is_none_or(|(arrival, _)| arrival > now) {
            output.end = Some((now + latency, End::Reset));
        }
        input.keep_chunks(|_| false);
        input.end = Some((now, End::Fin));
        input.reader = Reader::Refusing;
        [output.reading.take(), input.writing.take()]
    }

    /// `side` is dropped. Returns whom to wake.
    pub(super) fn close(
        &mut self,
        side: usize,
        now: Instant,
        latency: Duration,
    ) -> [Option<Waker>; 2] {
        let (input, _) = self.split(side);
        if !input.chunks.is_empty() {
            return self.reset(side, now, latency);
        }
        if matches!(input.reader, Reader::There) {
            input.reader = Reader::Gone;
        }
        let writer = input.writing.take();
        [self.finish(side, now + latency), writer]
    }
}

pub(super) fn wake(wakers: impl IntoIterator<Item = Option<Waker>>) {
    wakers.into_iter().flatten().for_each(Waker::wake);
}
