//! An HTTP server in a simulated network that can be told how to be, for checks and for requests
//! apart, and that counts both.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use evenkeel::rt::sim::{Sim, SimStream};
use futures_lite::{AsyncReadExt, AsyncWriteExt};

/// Like the numbers below 1000: they are statuses. Never answers.
pub(crate) const HANGS: u64 = 1000;
/// Closes without an answer.
pub(crate) const CUTS: u64 = 1001;
/// Answers with a body that is all but endless, and has the word `ready` behind 70,000 bytes.
pub(crate) const HUGE: u64 = 1002;
/// Is no HTTP.
pub(crate) const BABBLES: u64 = 1003;
/// From here on: answers 200 after so many milliseconds more.
pub(crate) const AFTER: u64 = 10_000;

/// A server at one address.
pub(crate) struct Patient {
    sim: Sim,
    addr: String,
    seen: Arc<Seen>,
    stop: Option<smol::channel::Sender<()>>,
    heads: smol::channel::Receiver<(Instant, String)>,
    tell: smol::channel::Sender<(Instant, String)>,
}

#[derive(Default)]
struct Seen {
    /// How it answers checks, and requests.
    manners: [AtomicU64; 2],
    counts: [AtomicUsize; 2],
    /// Checks under way, and the most there were at one time.
    running: AtomicUsize,
    most: AtomicUsize,
}

impl Patient {
    /// Listens at `addr`, and is well.
    pub(crate) fn start(sim: &Sim, addr: impl Into<String>) -> Self {
        let (tell, heads) = smol::channel::unbounded();
        let seen = Arc::<Seen>::default();
        seen.manners.iter().for_each(|manner| manner.store(200, Ordering::Relaxed));
        let mut patient =
            Self { sim: sim.clone(), addr: addr.into(), seen, stop: None, heads, tell };
        patient.restart();
        patient
    }

    /// Listens again after a stop.
    pub(crate) fn restart(&mut self) {
        let (stop, stopped) = smol::channel::bounded::<()>(1);
        self.stop = Some(stop);
        let listener = self.sim.net().listen(&self.addr);
        let (sim, seen, tell) = (self.sim.clone(), self.seen.clone(), self.tell.clone());
        let dead = stopped.clone();
        self.sim.spawn(async move {
            let closed = async {
                stopped.recv().await.expect_err("nothing is ever sent");
            };
            let accept = async {
                loop {
                    let stream = listener.accept().await;
                    let dead = dead.clone();
                    let serve = serve(sim.clone(), seen.clone(), tell.clone(), stream);
                    sim.spawn(futures_lite::future::or(serve, async move {
                        dead.recv().await.expect_err("nothing is ever sent");
                    }));
                }
            };
            futures_lite::future::or(closed, accept).await;
        });
    }

    /// Cuts its connections, and refuses new ones from now on.
    pub(crate) async fn kill(&mut self) {
        self.stop = None;
        self.sim.settle().await;
    }

    /// How it answers checks from now on.
    pub(crate) fn checks_get(&self, manner: u64) {
        self.seen.manners[0].store(manner, Ordering::Relaxed);
    }

    /// How it answers requests from now on.
    pub(crate) fn requests_get(&self, manner: u64) {
        self.seen.manners[1].store(manner, Ordering::Relaxed);
    }

    /// How it answers anything.
    pub(crate) fn gives(&self, manner: u64) {
        self.checks_get(manner);
        self.requests_get(manner);
    }

    /// How many checks have come: requests whose path begins with `/health`.
    pub(crate) fn checks(&self) -> usize {
        self.seen.counts[0].load(Ordering::Relaxed)
    }

    /// How many other requests have come.
    pub(crate) fn requests(&self) -> usize {
        self.seen.counts[1].load(Ordering::Relaxed)
    }

    /// The most checks that were under way here at one time.
    pub(crate) fn most_checks(&self) -> usize {
        self.seen.most.load(Ordering::Relaxed)
    }

    /// The heads that have come since the last call, in lower case, and when.
    pub(crate) fn heads(&self) -> Vec<(Instant, String)> {
        std::iter::from_fn(|| self.heads.try_recv().ok()).collect()
    }

    pub(crate) fn addr(&self) -> &str {
        &self.addr
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.addr)
    }

    pub(crate) fn server(&self) -> evenkeel::Server {
        super::parse(&self.url())
    }

    /// The client's sockets here that are open or being opened.
    pub(crate) fn sockets(&self) -> usize {
        let counts = self.sim.net().counts(&self.addr);
        counts.open + counts.connecting
    }
}

async fn serve(
    sim: Sim,
    seen: Arc<Seen>,
    tell: smol::channel::Sender<(Instant, String)>,
    mut stream: SimStream,
) {
    let (mut head, mut buf) = (Vec::new(), [0; 1024]);
    loop {
        while !head.ends_with(b"\r\n\r\n") {
            match stream.read(&mut buf).await {
                Ok(count) if count > 0 => head.extend_from_slice(&buf[..count]),
                _ => return,
            }
        }
        let text = String::from_utf8(std::mem::take(&mut head)).expect("heads are text");
        let text = text.to_ascii_lowercase();
        let is_check = text.split(' ').nth(1).is_some_and(|path| path.starts_with("/health"));
        let kind = usize::from(!is_check);
        seen.counts[kind].fetch_add(1, Ordering::Relaxed);
        let has_body = !text.starts_with("head ");
        tell.send((sim.now(), text)).await.expect("the other end is in the server");
        let running = is_check.then(|| Running::begin(&seen));
        let manner = seen.manners[kind].load(Ordering::Relaxed);
        if answer(&sim, &mut stream, manner, has_body).await.is_none() {
            return;
        }
        drop(running);
    }
}

/// Counts a check under way.
struct Running<'a>(&'a Seen);

impl<'a> Running<'a> {
    fn begin(seen: &'a Seen) -> Self {
        let now = seen.running.fetch_add(1, Ordering::Relaxed) + 1;
        seen.most.fetch_max(now, Ordering::Relaxed);
        Self(seen)
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.0.running.fetch_sub(1, Ordering::Relaxed);
    }
}

/// `None` if the connection is to be closed.
async fn answer(sim: &Sim, stream: &mut SimStream, manner: u64, has_body: bool) -> Option<()> {
    let text = match manner {
        HANGS => {
            while stream.read(&mut [0; 64]).await.is_ok_and(|count| count > 0) {}
            return None;
        }
        CUTS => return None,
        BABBLES => "220 mail.example ready\r\n\r\n".to_owned(),
        HUGE => {
            let head = "HTTP/1.1 200 Fine\r\ncontent-length: 1000000000000\r\n\r\n";
            stream.write_all(head.as_bytes()).await.ok()?;
            stream.write_all(&[b'x'; 70_000]).await.ok()?;
            loop {
                stream.write_all(b"ready").await.ok()?;
            }
        }
        AFTER.. => {
            sim.sleep(Duration::from_millis(manner - AFTER)).await;
            response(200, has_body)
        }
        status => response(status, has_body),
    };
    stream.write_all(text.as_bytes()).await.ok()
}

fn response(status: u64, has_body: bool) -> String {
    let location = if status / 100 == 3 { "location: /other\r\n" } else { "" };
    let body = if has_body { "ready to serve" } else { "" };
    format!("HTTP/1.1 {status} Said\r\ncontent-length: 14\r\n{location}\r\n{body}")
}
