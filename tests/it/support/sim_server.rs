//! An HTTP/1.1 server in a simulated network. What is asked for decides the answer.
//!
//! | path | what happens |
//! |---|---|
//! | `/after/MS` | answers after so many milliseconds |
//! | `/never` | reads the request and never answers |
//! | `/deaf` | never reads the request's body, and never answers |
//! | `/deaf/MS` | begins to read the request's body after so long, then answers |
//! | `/leave/MS` | lets a body that waits for leave come after so long; says if it came without |
//! | `/flood/N` | a body of N bytes, before any of the request's own body is read |
//! | `/refuse` | answers 417 to a request that asks for leave, and well to others |
//! | `/b/N` | a body of N bytes |
//! | `/trickle/N/MS` | N bytes, each so many milliseconds after the one before |
//! | `/stall/N` | half of N bytes, and nothing more |
//! | `/close` | answers, says that it closes, and does |
//! | `/more/N` | answers, and says that it takes N requests more |
//! | `/last` | answers, and closes without having said so |
//! | `/fin/MS` | answers, and closes after so long without having said so |
//! | `/late/MS` | answers, and sends bytes that nobody asked for after so long |
//! | `/extra` | answers, with bytes left over behind the body |
//! | `/drop` | reads the request and closes without an answer |
//! | `/drop-next` | answers, and treats the next request of the connection as `/drop` |
//! | `/status/S` | answers with this status |
//! | `/late-next` | answers, and the next request of the connection with 408 and a close |
//! | `/fails/N/S/B` | its first N requests: 503, `Retry-After: S` if S is not 0, a body of B bytes |
//! | all else | answers with the method and the path |

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use evenkeel::rt::sim::{Sim, SimCounts, SimListener, SimStream};
use futures_lite::{AsyncReadExt, AsyncWriteExt};

/// A server at one address, until it is dropped or stopped.
pub(crate) struct SimServer {
    sim: Sim,
    addr: &'static str,
    seen: Arc<Seen>,
    stop: Option<smol::channel::Sender<()>>,
}

#[derive(Default)]
struct Seen {
    requests: AtomicUsize,
    tasks: AtomicUsize,
}

impl SimServer {
    /// Listens at `addr`, an IP address and port.
    pub(crate) fn start(sim: &Sim, addr: &'static str) -> Self {
        let mut server = Self { sim: sim.clone(), addr, seen: Arc::default(), stop: None };
        server.restart();
        server
    }

    /// Listens again after a stop.
    pub(crate) fn restart(&mut self) {
        let (stop, stopped) = smol::channel::bounded(1);
        self.stop = Some(stop);
        let listener = self.sim.net().listen(self.addr);
        let (sim, seen) = (self.sim.clone(), self.seen.clone());
        spawn_counted(&self.sim, &self.seen, async move {
            let closed = async {
                stopped.recv().await.expect_err("nothing is ever sent");
            };
            futures_lite::future::or(closed, accept_all(sim, seen, listener)).await;
        });
    }

    /// Refuses connections from now on; those that are open go on.
    pub(crate) async fn stop(&mut self) {
        self.stop = None;
        self.sim.settle().await;
    }

    /// The base URL.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.addr)
    }

    /// The address, for what the network can be told to do.
    pub(crate) fn addr(&self) -> &'static str {
        self.addr
    }

    /// The client's sockets to this server.
    pub(crate) fn counts(&self) -> SimCounts {
        self.sim.net().counts(self.addr)
    }

    /// How many request heads have come.
    pub(crate) fn requests(&self) -> usize {
        self.seen.requests.load(Ordering::Relaxed)
    }

    /// How many of the world's tasks are this server's.
    pub(crate) fn tasks(&self) -> usize {
        self.seen.tasks.load(Ordering::Relaxed)
    }
}

fn spawn_counted(sim: &Sim, seen: &Arc<Seen>, task: impl Future<Output = ()> + Send + 'static) {
    seen.tasks.fetch_add(1, Ordering::Relaxed);
    let seen = seen.clone();
    sim.spawn(async move {
        task.await;
        seen.tasks.fetch_sub(1, Ordering::Relaxed);
    });
}

async fn accept_all(sim: Sim, seen: Arc<Seen>, listener: SimListener) {
    loop {
        let stream = listener.accept().await;
        let client = Client {
            sim: sim.clone(),
            seen: seen.clone(),
            stream,
            input: Vec::new(),
            expects: false,
        };
        spawn_counted(&sim, &seen, client.serve());
    }
}

/// What happens to the connection behind an answer.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Then {
    Keep,
    Close,
    /// The next request is not answered.
    DropNext,
    /// The next request is answered as too late.
    LateNext,
}

struct Client {
    sim: Sim,
    seen: Arc<Seen>,
    stream: SimStream,
    input: Vec<u8>,
    /// The request under way asks for leave to send its body.
    expects: bool,
}

impl Client {
    async fn serve(mut self) {
        let (mut drop_next, mut late_next) = (false, false);
        while let Some((head, length)) = self.read_head().await {
            self.seen.requests.fetch_add(1, Ordering::Relaxed);
            if drop_next {
                return;
            }
            if late_next {
                self.say(408, b"late", "connection: close\r\n").await;
                return;
            }
            match self.answer(&head, length).await {
                Some(Then::Keep) => {}
                Some(Then::DropNext) => drop_next = true,
                Some(Then::LateNext) => late_next = true,
                Some(Then::Close) | None => return,
            }
        }
    }

    /// The request's line without its version, and the length of the body.
    async fn read_head(&mut self) -> Option<(String, usize)> {
        loop {
            if let Some(end) = self.input.windows(4).position(|bytes| bytes == b"\r\n\r\n") {
                let head: Vec<u8> = self.input.drain(..end + 4).collect();
                let head = String::from_utf8(head).expect("heads are text").to_ascii_lowercase();
                let line = head.lines().next().expect("a request line").to_owned();
                self.expects = head.contains("\r\nexpect: 100-continue\r\n");
                let field = head.lines().find_map(|line| line.strip_prefix("content-length: "));
                let length = field.map_or(0, |length| length.parse().expect("a length"));
                return Some((line.trim_end_matches(" http/1.1").to_owned(), length));
            }
            self.read_more().await?;
        }
    }

    async fn read_more(&mut self) -> Option<()> {
        let mut buf = [0; 4096];
        match self.stream.read(&mut buf).await {
            Ok(0) | Err(_) => None,
            Ok(n) => {
                self.input.extend_from_slice(&buf[..n]);
                Some(())
            }
        }
    }

    /// Reads nothing for so long, or for ever.
    async fn deaf<T>(&self, ms: Option<u64>) -> Option<T> {
        match ms {
            Some(ms) => self.pause(ms).await,
            None => std::future::pending().await,
        }
        None
    }

    /// Lets the body come after so long; says whether it was held back until then.
    async fn leave(&mut self, ms: u64) -> Option<&'static [u8]> {
        self.pause(ms).await;
        let held = self.input.is_empty() && !self.has_more().await;
        self.write(b"HTTP/1.1 100 Continue\r\n\r\n").await?;
        Some(if held { b"held" } else { b"sent" })
    }

    /// Whether there is something to read now.
    async fn has_more(&mut self) -> bool {
        let before = self.input.len();
        let now = std::future::ready(None);
        futures_lite::future::or(self.read_more(), now).await;
        self.input.len() > before
    }

    async fn read_body(&mut self, length: usize) -> Option<()> {
        while self.input.len() < length {
            self.read_more().await?;
        }
        self.input.drain(..length);
        Some(())
    }

    async fn answer(&mut self, line: &str, length: usize) -> Option<Then> {
        let (method, path) = line.split_once(' ')?;
        let mut parts = path.split('/').skip(1);
        let name = parts.next()?;
        let mut number = || {
            let part = parts.next().filter(|part| !part.is_empty());
            part.map(|part| part.parse().expect("a number"))
        };
        let (first, second, third) = (number(), number().unwrap_or(0), number().unwrap_or(0));
        let leave = match name {
            "deaf" => self.deaf(first).await,
            "leave" => Some(self.leave(first.unwrap_or(0)).await?),
            "flood" => {
                self.say(200, &vec![b'x'; size(first.unwrap_or(0))], "").await?;
                return self.until_closed().await;
            }
            "refuse" if self.expects => {
                self.say(417, b"no", "").await?;
                return self.until_closed().await;
            }
            _ => None,
        };
        self.read_body(length).await?;
        let first = first.unwrap_or(0);
        let text = format!("{} {path}", method.to_ascii_uppercase());
        match name {
            "after" => {
                self.pause(first).await;
                self.say(200, text.as_bytes(), "").await?;
            }
            "leave" => self.say(200, leave.unwrap_or_default(), "").await?,
            "never" => return self.until_closed().await,
            "b" => self.say(200, &vec![b'x'; size(first)], "").await?,
            "trickle" => self.trickle(size(first), second).await?,
            "stall" => {
                self.begin(200, size(first), "").await?;
                self.write(&vec![b'x'; size(first) / 2]).await?;
                return self.until_closed().await;
            }
            "close" => {
                self.say(200, text.as_bytes(), "connection: close\r\n").await?;
                return Some(Then::Close);
            }
            "more" => self.say(200, text.as_bytes(), &takes_more(first)).await?,
            "fin" => {
                self.say(200, text.as_bytes(), "").await?;
                self.pause(first).await;
                return Some(Then::Close);
            }
            "late" => {
                self.say(200, text.as_bytes(), "").await?;
                self.pause(first).await;
                self.write(b"HTTP/1.1 408 Request Timeout\r\n\r\n").await?;
            }
            "extra" => {
                self.write((response(200, text.len(), "") + &text + "extra").as_bytes()).await?
            }
            "drop" => return None,
            "fails" if self.is_within(first) => self.fail(second, size(third)).await?,
            "status" => self.say(first, text.as_bytes(), "").await?,
            _ => self.say(200, text.as_bytes(), "").await?,
        }
        Some(match name {
            "last" => Then::Close,
            "drop-next" => Then::DropNext,
            "late-next" => Then::LateNext,
            _ => Then::Keep,
        })
    }

    /// Whether no more requests than that have come to the server.
    fn is_within(&self, requests: u64) -> bool {
        self.seen.requests.load(Ordering::Relaxed) <= size(requests)
    }

    /// Answers that it cannot serve, and for how long not, if that is any time.
    async fn fail(&mut self, seconds: u64, length: usize) -> Option<()> {
        let asks = format!("retry-after: {seconds}\r\n");
        let body = vec![b'x'; length];
        self.say(503, &body, if seconds > 0 { &asks } else { "" }).await
    }

    async fn trickle(&mut self, count: usize, ms: u64) -> Option<()> {
        self.begin(200, count, "").await?;
        for _ in 0..count {
            self.pause(ms).await;
            self.write(b"x").await?;
        }
        Some(())
    }

    async fn say(&mut self, status: u64, body: &[u8], fields: &str) -> Option<()> {
        let mut answer = response(status, body.len(), fields).into_bytes();
        answer.extend_from_slice(body);
        self.write(&answer).await
    }

    async fn begin(&mut self, status: u64, length: usize, fields: &str) -> Option<()> {
        self.write(response(status, length, fields).as_bytes()).await
    }

    async fn write(&mut self, bytes: &[u8]) -> Option<()> {
        self.stream.write_all(bytes).await.ok()
    }

    async fn pause(&self, ms: u64) {
        self.sim.sleep(Duration::from_millis(ms)).await;
    }

    /// Does nothing until the client closes.
    async fn until_closed(&mut self) -> Option<Then> {
        while self.read_more().await.is_some() {}
        None
    }
}

fn size(number: u64) -> usize {
    usize::try_from(number).expect("a size")
}

fn response(status: u64, length: usize, fields: &str) -> String {
    format!("HTTP/1.1 {status} Said\r\ncontent-length: {length}\r\n{fields}\r\n")
}

/// The field by which a server says how many requests more it takes.
fn takes_more(requests: u64) -> String {
    format!("keep-alive: timeout=60, max={requests}\r\n")
}
