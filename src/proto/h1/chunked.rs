//! The chunked transfer coding, both ways.

use http::HeaderMap;

use super::buffer::Buffer;
use super::decode;
use super::error::ProtocolError;

/// Digits of a chunk's size: as many as fit into 64 bits, so that it cannot overflow.
const MAX_SIZE_DIGITS: u8 = 16;

/// What chunk extensions may cost beyond the data they come with.
const FREE_EXTENSION_BYTES: u64 = 16 * 1024;

/// The longest trailer section.
const MAX_TRAILER_BYTES: usize = 16 * 1024;

/// What the next bytes are.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// More input is needed to tell.
    More,
    /// This many bytes of data. They stay "next" until [`ChunkedDecoder::took`] says otherwise.
    Data(usize),
    /// The end of the body. Its trailers stay apart from the fields of the head.
    //= https://www.rfc-editor.org/rfc/rfc9110#section-6.5.1
    //# A recipient MUST NOT merge a received trailer field into the header section unless its
    //# corresponding header field definition explicitly permits and instructs how the trailer
    //# field value can be safely merged.
    End(Option<HeaderMap>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// In the size; so many digits were seen.
    Size {
        digits: u8,
    },
    /// Blanks after the size: an extension, or the end of the line.
    Blank,
    /// In an extension, which nobody reads.
    Extension,
    /// After the CR of a size line.
    SizeLf,
    /// In the data; `left` bytes of it.
    Data,
    /// After the data.
    DataCr,
    DataLf,
    /// At the start of a trailer line.
    TrailerStart,
    /// Within a trailer line.
    Trailer,
    /// After the CR of a trailer line.
    TrailerLf,
    /// After the CR of the empty line that ends everything.
    LastLf,
    Done,
}

/// Decodes a chunked body. All it remembers is bounded: one number, and the trailer section.
#[derive(Debug)]
pub(crate) struct ChunkedDecoder {
    state: State,
    /// The size being read, then the data left of the chunk.
    left: u64,
    /// What extensions may still cost. Data adds to it, so a long stream with a signature on each
    /// chunk passes, and a stream of nothing but extensions does not.
    allowance: u64,
    trailers: Vec<u8>,
    max_fields: usize,
}

impl ChunkedDecoder {
    pub(crate) fn new(max_fields: usize) -> Self {
        Self {
            state: State::Size { digits: 0 },
            left: 0,
            allowance: FREE_EXTENSION_BYTES,
            trailers: Vec::new(),
            max_fields,
        }
    }

    /// Reads metadata up to the next data, or the end. Returns how many bytes of `input` it read;
    /// data begins behind them.
    //= https://www.rfc-editor.org/rfc/rfc9112#section-7.1
    //# A recipient MUST be able to parse and decode the chunked transfer coding.
    pub(crate) fn step(&mut self, input: &[u8]) -> Result<(usize, Step), ProtocolError> {
        for (at, &byte) in input.iter().enumerate() {
            if self.state == State::Data {
                let data = usize::try_from(self.left).unwrap_or(usize::MAX);
                return Ok((at, Step::Data(data.min(input.len() - at))));
            }
            self.state = self.next(byte)?;
            if self.state == State::Done {
                return self.finish().map(|trailers| (at + 1, Step::End(trailers)));
            }
        }
        Ok((input.len(), Step::More))
    }

    /// The caller has consumed `n` bytes of data.
    pub(crate) fn took(&mut self, n: usize) {
        self.left = self.left.saturating_sub(n as u64);
        self.allowance = self.allowance.saturating_add(n as u64);
        if self.left == 0 {
            self.state = State::DataCr;
        }
    }

    /// One byte of metadata. Every line ends with CRLF: a bare LF or CR is refused, because hops
    /// that disagree about it can be played off against each other.
    fn next(&mut self, byte: u8) -> Result<State, ProtocolError> {
        let bad = Err(ProtocolError::Chunk);
        match (self.state, byte) {
            (State::Size { digits }, _) if byte.is_ascii_hexdigit() => self.digit(digits, byte),
            (State::Size { digits: 0 }, _) => bad,
            (State::Size { .. } | State::Blank | State::Extension, b'\r') => Ok(State::SizeLf),
            (State::Size { .. } | State::Blank, b';') => self.extension(State::Extension),
            (State::Size { .. } | State::Blank, b' ' | b'\t') => self.extension(State::Blank),
            //= https://www.rfc-editor.org/rfc/rfc9112#section-7.1.1
            //# A recipient MUST ignore unrecognized chunk extensions.
            (State::Extension, _) if is_text(byte) => self.extension(State::Extension),
            (State::SizeLf, b'\n') if self.left == 0 => Ok(State::TrailerStart),
            (State::SizeLf, b'\n') => Ok(State::Data),
            (State::DataCr, b'\r') => Ok(State::DataLf),
            (State::DataLf, b'\n') => Ok(State::Size { digits: 0 }),
            (State::TrailerStart, b'\r') => Ok(State::LastLf),
            (State::TrailerStart | State::Trailer, _) if is_text(byte) => {
                self.trailer(byte, State::Trailer)
            }
            (State::Trailer, b'\r') => self.trailer(byte, State::TrailerLf),
            (State::TrailerLf, b'\n') => self.trailer(byte, State::TrailerStart),
            (State::LastLf, b'\n') => Ok(State::Done),
            (State::TrailerStart | State::Trailer | State::TrailerLf | State::LastLf, _) => {
                Err(ProtocolError::Trailers)
            }
            _ => bad,
        }
    }

    //= https://www.rfc-editor.org/rfc/rfc9112#section-7.1
    //# Therefore, recipients MUST anticipate potentially large hexadecimal numerals and prevent
    //# parsing errors due to integer conversion overflows or precision loss due to integer
    //# representation.
    fn digit(&mut self, digits: u8, byte: u8) -> Result<State, ProtocolError> {
        if digits == MAX_SIZE_DIGITS {
            return Err(ProtocolError::Chunk);
        }
        let value = match byte {
            b'0'..=b'9' => byte - b'0',
            _ => (byte | 0x20) - b'a' + 10,
        };
        self.left = (self.left << 4) | u64::from(value);
        Ok(State::Size { digits: digits + 1 })
    }

    //= https://www.rfc-editor.org/rfc/rfc9112#section-7.1.1
    //# A server ought to limit the total length of chunk extensions received in a request to an
    //# amount reasonable for the services provided, in the same way that it applies length
    //# limitations and timeouts for other parts of a message
    // So ought a client.
    fn extension(&mut self, then: State) -> Result<State, ProtocolError> {
        self.allowance = self.allowance.checked_sub(1).ok_or(ProtocolError::ChunkExtensions)?;
        Ok(then)
    }

    fn trailer(&mut self, byte: u8, then: State) -> Result<State, ProtocolError> {
        if self.trailers.len() == MAX_TRAILER_BYTES {
            return Err(ProtocolError::TrailersTooLarge);
        }
        self.trailers.push(byte);
        Ok(then)
    }

    fn finish(&mut self) -> Result<Option<HeaderMap>, ProtocolError> {
        if self.trailers.is_empty() {
            return Ok(None);
        }
        let mut section = std::mem::take(&mut self.trailers);
        section.extend_from_slice(b"\r\n");
        let lines = section.iter().filter(|byte| **byte == b'\n').count() - 1;
        if lines > self.max_fields {
            return Err(ProtocolError::TooManyFields);
        }
        let mut table = vec![httparse::EMPTY_HEADER; lines];
        match httparse::parse_headers(&section, &mut table) {
            Ok(httparse::Status::Complete((len, parsed))) if len == section.len() => {
                decode::fields(parsed, &section).map(Some).ok_or(ProtocolError::Trailers)
            }
            _ => Err(ProtocolError::Trailers),
        }
    }
}

/// What may stand in an extension or a trailer line: VCHAR, blanks and obs-text. Not NUL, not a
/// bare CR or LF, nor another control character.
fn is_text(byte: u8) -> bool {
    matches!(byte, b'\t' | b' '..=b'~' | 0x80..)
}

/// Begins a chunk of `len` bytes. Zero would end the body, and is the caller's to keep out.
pub(super) fn put_size(out: &mut Buffer, len: u64) {
    let mut digits = [0; 16];
    let mut at = digits.len();
    let mut rest = len;
    while rest > 0 {
        at -= 1;
        digits[at] = b"0123456789abcdef"[(rest & 0xf) as usize];
        rest >>= 4;
    }
    out.put(&digits[at..]);
    out.put(b"\r\n");
}

/// Ends the body.
pub(super) fn put_end(out: &mut Buffer, trailers: Option<&HeaderMap>) {
    out.put(b"0\r\n");
    for (name, value) in trailers.into_iter().flatten() {
        out.put(name.as_str().as_bytes());
        out.put(b": ");
        out.put(value.as_bytes());
        out.put(b"\r\n");
    }
    out.put(b"\r\n");
}

#[cfg(test)]
mod tests;
