//! Four servers of our own: two are as they should be, one is slow, one comes and goes.

#![expect(clippy::disallowed_methods, reason = "the servers play other machines: they take time")]

use std::io;
use std::thread;
use std::time::Duration;

use smol::{Timer, unblock};

use crate::server::{MiniServer, ok};

/// How long an answer takes on average.
const WELL: Duration = Duration::from_millis(10);
const SLOW: Duration = Duration::from_millis(40);

/// The servers.
pub(crate) struct Fleet {
    /// They stop when dropped.
    lasting: Vec<MiniServer>,
    stopped: MiniServer,
}

/// How long the last server is there, and how long it is not.
#[derive(Clone, Copy)]
pub(crate) struct Turns {
    pub(crate) there: Duration,
    pub(crate) gone: Duration,
}

impl Turns {
    /// For those who watch.
    pub(crate) fn long() -> Self {
        Self { there: Duration::from_secs(20), gone: Duration::from_secs(10) }
    }

    /// For the check.
    pub(crate) fn short() -> Self {
        Self { there: Duration::from_secs(2), gone: Duration::from_secs(3) }
    }
}

impl Fleet {
    pub(crate) fn start() -> io::Result<Self> {
        let lasting = [WELL, WELL, SLOW].map(start).into_iter().collect::<io::Result<_>>()?;
        Ok(Self { lasting, stopped: start(WELL)? })
    }

    /// Their URLs; the last one is that of the server that is stopped.
    pub(crate) fn urls(&self) -> Vec<String> {
        self.lasting.iter().chain([&self.stopped]).map(MiniServer::url).collect()
    }

    /// Stops the last server and brings it back, again and again; the others run as long.
    pub(crate) async fn come_and_go(mut self, turns: Turns) -> io::Error {
        loop {
            Timer::after(turns.there).await;
            self = unblock(move || {
                self.stopped.stop();
                self
            })
            .await;
            Timer::after(turns.gone).await;
            if let Err(error) = self.stopped.restart() {
                return error;
            }
        }
    }
}

fn start(mean: Duration) -> io::Result<MiniServer> {
    MiniServer::answering(move |stream, path| {
        // A health check is answered at once. Other times are spread as those of a busy server.
        if path != "/health" {
            let chance = 1.0 - fastrand::f64();
            thread::sleep(mean.mul_f64((0.5 - 0.5 * chance.ln()).min(5.0)));
        }
        ok(stream, &format!("You asked for {path}.\n"))
    })
}
