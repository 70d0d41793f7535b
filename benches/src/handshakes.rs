//! What a connection over TLS costs to make: with a whole handshake, and with one that resumes.

use std::io;

use evenkeel::{Body, Pool, Select, TlsConfig, TlsVersion};
use futures_lite::future::block_on;
use http::Request;

use crate::clients::tls::builder;
use crate::measure::{cpu_time, now};
use crate::options::{Arguments, Options};
use crate::table::Served;

/// What one kind of connection has cost in a round.
struct Cost {
    cpu_us: f64,
    wall_us: f64,
}

/// A connection for each request, of each kind, in interleaved rounds; prints the medians.
///
/// # Errors
/// Those of starting the server.
pub(crate) fn compare(arguments: &Arguments) -> io::Result<()> {
    let rounds: usize = arguments.value("--rounds", 5);
    let count: usize = arguments.value("--connections", 500);
    let served = Served::start()?;
    let mut options = Options::new(arguments);
    options.addr = served.addr();
    let kinds = [
        ("TLS 1.3, whole", TlsVersion::Tls13, false),
        ("TLS 1.3, resumed", TlsVersion::Tls13, true),
    ];
    let plain = || {
        let server = evenkeel::Server::new(options.base()).expect("a URL");
        Pool::builder().server(server).build().expect("a pool")
    };
    let mut costs: Vec<Vec<Cost>> = vec![Vec::new(), Vec::new(), Vec::new()];
    for _ in 0..rounds {
        costs[0].push(measure(&plain(), count, None));
        for (kind, (_, version, resumed)) in kinds.iter().enumerate() {
            let tls = TlsConfig::new().min_version(*version).resumption(*resumed);
            let pool = builder(&options, tls).build().expect("a pool");
            costs[kind + 1].push(measure(&pool, count, Some(*resumed)));
        }
    }
    println!("| connection and one GET | CPU µs | µs |");
    println!("|---|---|---|");
    let names = ["in the clear"].into_iter().chain(kinds.iter().map(|kind| kind.0));
    for (name, costs) in names.zip(&costs) {
        let median = |figure: &dyn Fn(&Cost) -> f64| {
            let mut figures: Vec<f64> = costs.iter().map(figure).collect();
            figures.sort_by(f64::total_cmp);
            figures[figures.len() / 2]
        };
        println!("| {name} | {:.0} | {:.0} |", median(&|c| c.cpu_us), median(&|c| c.wall_us));
    }
    Ok(())
}

fn measure(pool: &Pool, count: usize, resumed: Option<bool>) -> Cost {
    block_on(async {
        // The first has nothing to resume.
        once(pool).await;
        let (cpu, wall) = (cpu_time(), now());
        for _ in 0..count {
            assert_eq!(once(pool).await, resumed, "the kind that is measured");
        }
        let per = |time: std::time::Duration| time.as_secs_f64() * 1e6 / count as f64;
        Cost { cpu_us: per(cpu_time() - cpu), wall_us: per(wall.elapsed()) }
    })
}

/// Whether the connection resumed a session, if it has one.
async fn once(pool: &Pool) -> Option<bool> {
    let mut checkout = pool.checkout(Select::new()).await.expect("a connection");
    let request = Request::get("/b/13").body(Body::empty()).expect("a request");
    let response = checkout.send(request).await.expect("a response");
    response.into_body().bytes().await.expect("a body");
    let resumed = checkout.info().tls.map(|tls| tls.resumed);
    checkout.discard();
    resumed
}
