//! ureq, which blocks: one thread for each caller, and one agent for all.

use std::io;
use std::thread;

use http::Uri;
use ureq::Agent;

use crate::options::Options;

/// More than any run has callers.
const LIMIT: usize = 4096;

/// Runs it.
///
/// # Errors
/// Those of starting a thread.
pub(crate) fn run(options: &Options) -> io::Result<()> {
    let agent: Agent = Agent::config_builder()
        .max_idle_connections(LIMIT)
        .max_idle_connections_per_host(LIMIT)
        .proxy(None)
        .build()
        .new_agent();
    let uri: Uri = options.url().parse().expect("a URL");
    for mut phase in options.phases() {
        let workers = phase.workers();
        thread::scope(|scope| {
            for mut worker in workers {
                let (agent, uri) = (&agent, &uri);
                let builder = thread::Builder::new().stack_size(512 * 1024);
                builder.spawn_scoped(scope, move || {
                    while worker.goes_on() {
                        let mut response = agent.get(uri.clone()).call().expect("a response");
                        let body = response.body_mut().read_to_vec().expect("a body");
                        worker.answered(body.len());
                    }
                })?;
            }
            io::Result::Ok(())
        })?;
        phase.finish();
    }
    Ok(())
}
