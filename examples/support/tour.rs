//! What every example of a runtime does with its pool. It is the same code under each of them.

use std::time::Duration;

use evenkeel::{Builder, Error, Pool, Select, Server};
use http::Request;

/// Sends a few requests to the server at `url` and prints what happened.
pub(crate) async fn tour(builder: Builder, url: &str) -> Result<(), Error> {
    let pool: Pool = builder.server(Server::new(url)?).build()?;

    for number in 1..=3 {
        let response = pool.get(format!("/item/{number}")).await?;
        let status = response.status();
        let text = response.into_body().text().await?;
        println!("{status}: {}", text.trim_end());
    }

    // The same on a connection of one's own: it goes back to the pool when dropped.
    let mut connection = pool.checkout(Select::new()).await?;
    let request = Request::get("/item/4").body(evenkeel::Body::empty());
    let request = request.expect("a valid request");
    let text = connection.send(request).await?.into_body().text().await?;
    println!("on a connection used {} times: {}", connection.info().uses, text.trim_end());
    drop(connection);

    let metrics = pool.metrics();
    println!(
        "{} requests over {} connection(s), {} idle now",
        metrics.total_requests, metrics.connections_created, metrics.idle_connections
    );
    let report = pool.shutdown(Duration::from_secs(1)).await;
    println!("shut down: {} idle closed, {} cut", report.idle_closed, report.cut);
    Ok(())
}
