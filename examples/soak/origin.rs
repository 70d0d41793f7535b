//! The servers. Each answer shows what was asked, and each POST that arrives is noted.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use futures_lite::{AsyncReadExt, AsyncWriteExt};
use smol::net::TcpStream;

/// The POSTs that have come, by the numbers in their paths. It remembers the last million numbers,
/// which is far longer than any request lasts.
pub(crate) struct Posts {
    last: Vec<AtomicU64>,
    seen: AtomicU64,
    doubled: AtomicU64,
}

impl Posts {
    pub(crate) fn new() -> Self {
        let last = std::iter::repeat_with(|| AtomicU64::new(u64::MAX)).take(1 << 20).collect();
        Self { last, seen: AtomicU64::new(0), doubled: AtomicU64::new(0) }
    }

    fn note(&self, number: u64) {
        let at = usize::try_from(number % self.last.len() as u64).unwrap_or(0);
        let place = &self.last[at];
        self.seen.fetch_add(1, Ordering::Relaxed);
        if place.swap(number, Ordering::Relaxed) == number {
            self.doubled.fetch_add(1, Ordering::Relaxed);
        }
    }

    pub(crate) fn seen(&self) -> u64 {
        self.seen.load(Ordering::Relaxed)
    }

    pub(crate) fn doubled(&self) -> u64 {
        self.doubled.load(Ordering::Relaxed)
    }
}

/// What a request asks for: its path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Order {
    /// Each has its own.
    pub(crate) number: u64,
    /// How long the answer is to be.
    pub(crate) length: usize,
    /// In chunks, or with its length.
    pub(crate) chunked: bool,
}

impl Order {
    pub(crate) fn path(self) -> String {
        let how = if self.chunked { "chunked" } else { "sized" };
        format!("/{how}/{}/{}", self.length, self.number)
    }

    fn parse(path: &str) -> Option<Self> {
        let mut parts = path.split('/').skip(1);
        let chunked = parts.next()? == "chunked";
        let length = parts.next()?.parse().ok()?;
        Some(Self { number: parts.next()?.parse().ok()?, length, chunked })
    }

    /// The answer to a request with this body: no two are alike.
    pub(crate) fn answer(self, body: &[u8]) -> Vec<u8> {
        let mut rng = fastrand::Rng::with_seed(self.number ^ fnv(body));
        let mut answer = vec![0; self.length];
        rng.fill(&mut answer);
        answer
    }
}

/// FNV-1a, 64 bits: <http://www.isthe.com/chongo/tech/comp/fnv/>.
pub(crate) fn fnv(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

/// Serves one connection to its end.
pub(crate) async fn serve(mut stream: TcpStream, posts: Arc<Posts>) -> io::Result<()> {
    let mut buffer = Vec::new();
    loop {
        let Some(head) = read_head(&mut stream, &mut buffer).await? else {
            return Ok(());
        };
        let (order, is_post, length) = parse(&head).ok_or(io::ErrorKind::InvalidData)?;
        if is_post {
            posts.note(order.number);
        }
        while buffer.len() < length {
            fill(&mut stream, &mut buffer).await?;
        }
        let answer = order.answer(&buffer[..length]);
        buffer.drain(..length);
        if order.chunked {
            stream.write_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n").await?;
            for piece in answer.chunks(1 + order.length / 3) {
                stream.write_all(format!("{:x}\r\n", piece.len()).as_bytes()).await?;
                stream.write_all(piece).await?;
                stream.write_all(b"\r\n").await?;
            }
            stream.write_all(b"0\r\n\r\n").await?;
        } else {
            let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", answer.len());
            stream.write_all(&[head.as_bytes(), &answer].concat()).await?;
        }
    }
}

async fn read_head(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> io::Result<Option<Vec<u8>>> {
    loop {
        if let Some(end) = buffer.windows(4).position(|four| four == b"\r\n\r\n") {
            return Ok(Some(buffer.drain(..end + 4).collect()));
        }
        match fill(stream, buffer).await {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
            other => other?,
        }
    }
}

async fn fill(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> io::Result<()> {
    let mut piece = [0; 4096];
    let count = stream.read(&mut piece).await?;
    if count == 0 {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    buffer.extend_from_slice(&piece[..count]);
    Ok(())
}

/// What is asked for, whether by POST, and the length of the request's body.
fn parse(head: &[u8]) -> Option<(Order, bool, usize)> {
    let mut fields = [httparse::EMPTY_HEADER; 16];
    let mut request = httparse::Request::new(&mut fields);
    request.parse(head).ok()?;
    let order = Order::parse(request.path?)?;
    let is_post = request.method? == "POST";
    let length = request.headers.iter().find(|h| h.name.eq_ignore_ascii_case("content-length"));
    let length = match length {
        Some(field) => std::str::from_utf8(field.value).ok()?.parse().ok()?,
        None => 0,
    };
    Some((order, is_post, length))
}
