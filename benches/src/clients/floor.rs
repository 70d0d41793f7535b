//! The floor: what the kernel charges for a request, with no HTTP at all.
//!
//! One thread and one epoll set; the same bytes are written for each request, and those of the
//! response are counted.

use std::io::{self, Read, Write};
use std::net::TcpStream;

use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};

use crate::measure::Worker;
use crate::options::Options;
use crate::wire::{request_bytes, response_length};

struct Caller {
    stream: TcpStream,
    worker: Option<Worker>,
    received: usize,
}

/// Runs it.
///
/// # Errors
/// Those of the sockets.
pub(crate) fn run(options: &Options) -> io::Result<()> {
    let request = request_bytes(options);
    let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
    let mut callers = Vec::new();
    for at in 0..options.concurrency {
        let stream = TcpStream::connect(options.addr)?;
        stream.set_nodelay(true)?;
        stream.set_nonblocking(true)?;
        let event = EpollEvent::new(EpollFlags::EPOLLIN | EpollFlags::EPOLLET, at as u64);
        epoll.add(&stream, event)?;
        callers.push(Caller { stream, worker: None, received: 0 });
    }
    let mut buffer = vec![0; options.buffer()];
    let mut events = vec![EpollEvent::empty(); 1024];
    // Learnt from the first response.
    let mut whole = 0;
    for mut phase in options.phases() {
        let mut busy = 0;
        for (caller, mut worker) in callers.iter_mut().zip(phase.workers()) {
            busy += usize::from(worker.goes_on());
            caller.worker = Some(worker);
            caller.stream.write_all(&request)?;
        }
        while busy > 0 {
            let ready = epoll.wait(&mut events, EpollTimeout::NONE)?;
            for event in &events[..ready] {
                let caller = &mut callers[event.data() as usize];
                if caller.turn(&request, &mut buffer, &mut whole, options.body)? {
                    busy -= 1;
                }
            }
        }
        for caller in &mut callers {
            caller.worker = None;
        }
        phase.finish();
    }
    Ok(())
}

impl Caller {
    /// Counts what has come, and asks again. True if the worker is done.
    fn turn(
        &mut self,
        request: &[u8],
        buffer: &mut [u8],
        whole: &mut usize,
        body: usize,
    ) -> io::Result<bool> {
        loop {
            let n = match self.stream.read(buffer) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(n) => n,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
                Err(error) => return Err(error),
            };
            self.received += n;
            if *whole == 0 {
                *whole = response_length(&buffer[..n]).ok_or(io::ErrorKind::InvalidData)?;
            }
            if self.received >= *whole {
                break;
            }
            if n < buffer.len() {
                // The kernel has no more now: the next arrival is a new edge.
                return Ok(false);
            }
        }
        let received = std::mem::take(&mut self.received);
        let Some(worker) = &mut self.worker else {
            return Ok(false);
        };
        worker.answered(received - (*whole - body));
        if !worker.goes_on() {
            return Ok(true);
        }
        self.stream.write_all(request)?;
        Ok(false)
    }
}
