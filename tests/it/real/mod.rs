//! Servers as they are found in the field, each a process of its own on a loopback port. They cut
//! connections by their own rules, and no request may fail or be carried out twice for that.
//!
//! A test skips itself, and says so, where its server is not installed.

mod files;
mod haproxy;
mod load;
mod nginx;
mod node;

use std::net::SocketAddr;
use std::time::Duration;

use evenkeel::{Metrics, Pool};

use crate::support::process::Real;
use crate::support::{Env, parse};

/// The size of the file `large`.
const LARGE: usize = 200_000;
/// How many connections a pool may open to the server.
const LIMIT: usize = 16;

impl Real {
    /// One that serves the files `small` and `large`.
    fn with_files(
        program: &str,
        name: &str,
        args: &[&str],
        configure: impl FnOnce(SocketAddr) -> String,
    ) -> Option<Self> {
        let files = [("small", "small"), ("large", &"x".repeat(LARGE))];
        Self::start(program, name, args, &files, configure)
    }

    fn url(&self) -> String {
        format!("http://{}", self.addr)
    }

    fn pool(&self, env: &Env) -> Pool {
        let builder = env.builder().server(parse(&self.url())).max_connections_per_server(LIMIT);
        // Time is not what these tests are about, and the machine may be busy.
        builder.request_timeout(Some(Duration::from_secs(100))).build().expect("a valid pool")
    }
}

/// The pool's books after its end: until then a dial may go on whose caller was served otherwise.
async fn books_after_the_end(pool: &Pool) -> Metrics {
    pool.shutdown(Duration::from_secs(100)).await;
    pool.metrics()
}
