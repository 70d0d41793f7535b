//! What a server does on a connection, step by step, where an answer alone would not be wrong
//! enough.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::thread;
use std::time::Duration;

use socket2::SockRef;

use super::{Shared, wire};

/// One step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Act {
    /// Reads a request, with its body.
    Read,
    /// Reads the head of a request, and as much of its body as came with it.
    ReadHead,
    /// Sends these bytes in one piece.
    Send(&'static [u8]),
    /// Sends each of these bytes by itself.
    Trickle(&'static [u8]),
    /// Sends these bytes again and again, until the client closes.
    Repeat(&'static [u8]),
    /// Sends so many bytes.
    Fill(usize),
    /// Does nothing for so many milliseconds.
    Pause(u64),
    /// Waits until the test opens the gate.
    Gate,
    /// Sends no more, and reads on.
    HalfClose,
    /// Reads until the client closes, and answers nothing.
    Listen,
    /// Ends the connection with a reset.
    Reset,
}

/// Plays the steps in turn, up to one that fails: its client has gone. Then the connection is
/// closed.
pub(super) fn play(acts: &[Act], stream: &TcpStream, shared: &Shared) {
    let mut reader = BufReader::new(stream);
    for act in acts {
        if !act.play(stream, &mut reader, shared).unwrap_or(false) {
            return;
        }
        shared.change(|state| state.counts.acts += 1);
    }
}

impl Act {
    /// Whether to go on.
    fn play(
        self,
        mut stream: &TcpStream,
        reader: &mut BufReader<&TcpStream>,
        shared: &Shared,
    ) -> io::Result<bool> {
        match self {
            Self::Read => {
                let request = wire::read_request(reader)?;
                shared.change(|state| state.counts.requests += 1);
                return Ok(request.is_some());
            }
            Self::ReadHead => {
                let mut line = String::new();
                while line != "\r\n" {
                    line.clear();
                    reader.read_line(&mut line)?;
                }
                shared.change(|state| state.counts.requests += 1);
            }
            Self::Send(bytes) => stream.write_all(bytes)?,
            Self::Trickle(bytes) => {
                for byte in bytes.chunks(1) {
                    stream.write_all(byte)?;
                    // So that the client has looked before the next one is there, more often
                    // than not; the test holds either way.
                    thread::yield_now();
                }
            }
            Self::Repeat(bytes) => loop {
                stream.write_all(bytes)?;
            },
            Self::Fill(length) => {
                io::copy(&mut io::repeat(b'x').take(length as u64), &mut stream).map(drop)?
            }
            Self::Pause(ms) => thread::sleep(Duration::from_millis(ms)),
            Self::Gate => return Ok(shared.wait_at_gate()),
            Self::HalfClose => stream.shutdown(Shutdown::Write)?,
            Self::Listen => io::copy(reader, &mut io::sink()).map(drop)?,
            Self::Reset => {
                SockRef::from(stream).set_linger(Some(Duration::ZERO))?;
                return Ok(false);
            }
        }
        Ok(true)
    }
}
