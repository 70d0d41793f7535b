//! What one run is asked to do, from the command line.

use std::net::SocketAddr;
use std::str::FromStr;

/// The first port of the server, unless another is asked for.
const PORT: u16 = 9001;

/// `--name value` pairs behind a command.
pub(crate) struct Arguments(Vec<String>);

impl Arguments {
    pub(crate) fn new(words: impl Iterator<Item = String>) -> Self {
        Self(words.collect())
    }

    /// The value behind `--name`.
    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        let at = self.0.iter().position(|word| word == name)?;
        self.0.get(at + 1).map(String::as_str)
    }

    /// The value behind `--name`, or `default` if it is not given.
    ///
    /// # Panics
    /// If it is given and cannot be read: a wrong number must not be measured as another one.
    pub(crate) fn value<T: FromStr>(&self, name: &str, default: T) -> T {
        self.text(name).map_or(default, |text| read(name, text))
    }

    /// Values with commas between them.
    ///
    /// # Panics
    /// As [`value`](Self::value).
    pub(crate) fn list<T: FromStr>(&self, name: &str, default: &str) -> Vec<T> {
        let text = self.text(name).unwrap_or(default);
        text.split(',').map(|part| read(name, part)).collect()
    }
}

fn read<T: FromStr>(name: &str, text: &str) -> T {
    text.parse().unwrap_or_else(|_| panic!("{name} cannot be {text:?}"))
}

/// How long a run goes on.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Length {
    /// So many requests, for counting.
    Requests(u64),
    /// So many seconds, after a warm-up, for timing.
    Seconds {
        /// What is measured.
        measured: f64,
        /// What is not.
        warm: f64,
    },
}

/// One run of one client.
#[derive(Clone, Debug)]
pub(crate) struct Options {
    pub(crate) addr: SocketAddr,
    /// The request's path, `/b/N` for a body of N bytes.
    pub(crate) path: String,
    /// The N of the path.
    pub(crate) body: usize,
    /// Requests in flight at a time.
    pub(crate) concurrency: usize,
    pub(crate) length: Length,
}

impl Options {
    pub(crate) fn new(arguments: &Arguments) -> Self {
        let body = arguments.value("--body", 13);
        let requests = arguments.value("--requests", 0);
        let length = match requests {
            0 => Length::Seconds {
                measured: arguments.value("--seconds", 0.6),
                warm: arguments.value("--warm", 0.2),
            },
            n => Length::Requests(n),
        };
        Self {
            addr: SocketAddr::from(([127, 0, 0, 1], arguments.value("--port", PORT))),
            path: format!("/b/{body}"),
            body,
            concurrency: arguments.value("--concurrency", 64),
            length,
        }
    }

    pub(crate) fn base(&self) -> String {
        format!("http://{}", self.addr)
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}{}", self.addr, self.path)
    }

    /// Room for a response in one read, as a rule.
    pub(crate) fn buffer(&self) -> usize {
        (self.body + 4096).clamp(8192, 128 * 1024)
    }
}
