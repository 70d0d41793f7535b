//! The sixteen parameters of the original: each is here under its name in snake case, with its
//! default, and with a test that shows its effect; or it says what it waits for.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use evenkeel::{BoxFuture, Config, Connector, Runtime, Target, Transport};

use crate::support::{Server, assert_balanced, block_on, builder_of, get_text, parse};

/// Where a parameter is.
enum Place {
    /// A field of [`Config`], as its value is written, and the test that shows its effect.
    Field(fn(&Config) -> String, &'static str),
    /// Not here yet; the part that brings it.
    Waits(&'static str),
}

use Place::{Field, Waits};

/// Name, default, place.
const PARAMETERS: [(&str, &str, Place); 16] = [
    (
        "max_connections_per_server",
        "100",
        Field(
            |c| c.max_connections_per_server.to_string(),
            "twenty_thousand_requests_keep_the_limit_under_block_on",
        ),
    ),
    (
        "max_total_connections",
        "1000",
        Field(
            |c| c.max_total_connections.to_string(),
            "a_total_limit_below_what_the_servers_want_is_kept_and_starves_nobody",
        ),
    ),
    (
        "max_idle_connections",
        "50",
        Field(|c| c.max_idle_connections.to_string(), "idle_connections_above_the_cap_are_closed"),
    ),
    (
        "max_idle_time",
        "300s",
        Field(
            |c| format!("{:?}", c.max_idle_time),
            "max_idle_time_ends_the_floor_and_idle_conn_timeout_the_rest",
        ),
    ),
    (
        "connect_timeout",
        "10s",
        Field(
            |c| format!("{:?}", c.connect_timeout),
            "a_dial_that_hangs_ends_at_the_connect_timeout",
        ),
    ),
    (
        "request_timeout",
        "Some(30s)",
        Field(
            |c| format!("{:?}", c.request_timeout),
            "a_server_that_never_answers_ends_at_the_request_timeout",
        ),
    ),
    (
        "keep_alive_timeout",
        "Some(30s)",
        Field(|c| format!("{:?}", c.keep_alive_timeout), "keep_alive_timeout_reaches_every_dial"),
    ),
    (
        "idle_conn_timeout",
        "90s",
        Field(
            |c| format!("{:?}", c.idle_conn_timeout),
            "idle_conn_timeout_ends_an_idle_connection_without_any_background",
        ),
    ),
    ("health_check_interval", "30s", Waits("health checks")),
    ("health_check_timeout", "5s", Waits("health checks")),
    ("health_check_path", "/health", Waits("health checks")),
    ("unhealthy_threshold", "3", Waits("health checks")),
    ("healthy_threshold", "2", Waits("health checks")),
    ("load_balance_strategy", "RoundRobin", Waits("a choice of balancing strategies")),
    (
        "cleanup_interval",
        "60s",
        Field(
            |c| format!("{:?}", c.cleanup_interval),
            "cleanup_interval_closes_expired_connections_without_any_request",
        ),
    ),
    ("metrics_interval", "10s", Waits("metrics that are sent at intervals")),
];

/// The suites in which the tests of the table must be found.
const SUITES: [&str; 4] = [
    include_str!("bad_input.rs"),
    include_str!("limits.rs"),
    include_str!("parameters.rs"),
    include_str!("pooling.rs"),
];

#[test]
fn every_parameter_has_its_default_and_a_test_of_its_effect() {
    let config = Config::default();
    let fields = format!("{config:?}");
    for (name, default, place) in &PARAMETERS {
        let is_field = fields.contains(&format!(" {name}:"));
        match place {
            Field(value, test) => {
                assert!(is_field, "{name} is no field");
                assert_eq!(value(&config), *default, "{name}");
                let found = SUITES.iter().any(|suite| suite.contains(&format!("fn {test}()")));
                assert!(found, "{name}: there is no test {test}");
            }
            Waits(part) => {
                assert!(!is_field, "{name} is a field: it no longer waits for {part}");
            }
        }
    }
}

#[test]
fn no_parameter_is_listed_twice() {
    let mut names: Vec<_> = PARAMETERS.iter().map(|(name, ..)| name).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), 16);
}

const HOUR: Duration = Duration::from_secs(3600);
const MOMENT: Duration = Duration::from_millis(1);

/// Lets so much time pass that whatever lasts a [`MOMENT`] is over.
async fn a_moment_passes() {
    smol::Timer::after(MOMENT * 10).await;
}

#[test]
fn idle_conn_timeout_ends_an_idle_connection_without_any_background() {
    block_on(|| async {
        for (timeout, connections) in [(MOMENT, 2), (HOUR, 1)] {
            let server = Server::start();
            let builder = builder_of(&[&server]).idle_conn_timeout(timeout);
            // Without its driver the pool has no background.
            let (pool, _driver) = builder.build_with_driver().unwrap();
            get_text(&pool, "/").await.unwrap();
            a_moment_passes().await;
            get_text(&pool, "/").await.unwrap();
            assert_eq!(server.counts().accepted, connections, "{timeout:?}");
            assert_balanced(&pool.metrics());
        }
    });
}

#[test]
fn max_idle_time_ends_the_floor_and_idle_conn_timeout_the_rest() {
    block_on(|| async {
        // min_idle, idle_conn_timeout, max_idle_time: connections used by two requests.
        let rows = [
            (0, HOUR, MOMENT, 2),
            (0, HOUR, HOUR, 1),
            (1, MOMENT, HOUR, 1),
            (1, HOUR, MOMENT, 2),
            (0, MOMENT, HOUR, 2),
        ];
        for (floor, rest, longest, connections) in rows {
            let server = Server::start();
            let builder = builder_of(&[&server]).min_idle(floor).idle_conn_timeout(rest);
            let (pool, _driver) = builder.max_idle_time(longest).build_with_driver().unwrap();
            get_text(&pool, "/").await.unwrap();
            a_moment_passes().await;
            get_text(&pool, "/").await.unwrap();
            let row = (floor, rest, longest);
            assert_eq!(server.counts().accepted, connections, "{row:?}");
        }
    });
}

#[test]
fn cleanup_interval_closes_expired_connections_without_any_request() {
    block_on(|| async {
        let server = Server::start();
        let builder = builder_of(&[&server]).idle_conn_timeout(MOMENT);
        let pool = builder.cleanup_interval(MOMENT * 5).build().unwrap();
        get_text(&pool, "/").await.unwrap();
        server.until(|counts| counts.open == 0).await;
        assert_eq!(pool.metrics().idle_connections, 0);
        assert_balanced(&pool.metrics());
    });
}

/// Refuses every dial, and remembers the keep-alive it was asked for, in seconds and one more.
struct Asked(Arc<AtomicU64>);

impl Connector for Asked {
    fn connect<'a>(&'a self, target: &'a Target) -> BoxFuture<'a, io::Result<Box<dyn Transport>>> {
        let asked = target.keep_alive.map_or(0, |interval| interval.as_secs() + 1);
        self.0.store(asked, Ordering::Relaxed);
        Box::pin(std::future::ready(Err(io::ErrorKind::ConnectionRefused.into())))
    }
}

#[test]
fn keep_alive_timeout_reaches_every_dial() {
    block_on(|| async {
        for (setting, expected) in
            [(Some(Duration::from_secs(30)), 31), (Some(HOUR), 3601), (None, 0)]
        {
            let asked = Arc::new(AtomicU64::new(u64::MAX));
            let runtime = Runtime::async_io().connector(Asked(asked.clone()));
            let builder = evenkeel::Pool::builder().runtime(runtime);
            let builder = builder.server(parse("http://127.0.0.1:1"));
            let pool = builder.keep_alive_timeout(setting).build().unwrap();
            assert!(get_text(&pool, "/").await.expect_err("refused").is_connect());
            assert_eq!(asked.load(Ordering::Relaxed), expected);
        }
    });
}
