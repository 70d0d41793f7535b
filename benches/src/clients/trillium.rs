//! trillium's client over the async-io reactor, on one thread.

use std::io;

use async_executor::LocalExecutor;
use trillium_client::Client;
use trillium_smol::ClientConfig;

use crate::options::Options;

/// Runs it.
///
/// # Errors
/// None.
pub(crate) fn run(options: &Options) -> io::Result<()> {
    let executor = LocalExecutor::new();
    let url = options.url();
    async_io::block_on(executor.run(async {
        let client = Client::new(ClientConfig::new().with_nodelay(true));
        for mut phase in options.phases() {
            let callers = phase.workers().into_iter();
            let tasks: Vec<_> = callers
                .map(|mut worker| {
                    let (client, url) = (client.clone(), url.clone());
                    executor.spawn(async move {
                        while worker.goes_on() {
                            let mut conn = client.get(url.as_str()).await.expect("a response");
                            let body = conn.response_body().read_bytes().await.expect("a body");
                            worker.answered(body.len());
                            conn.recycle().await;
                        }
                    })
                })
                .collect();
            for task in tasks {
                task.await;
            }
            phase.finish();
        }
    }));
    Ok(())
}
