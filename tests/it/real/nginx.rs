//! nginx, which closes connections after a hundred requests or a second of silence.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use evenkeel::Pool;

use super::{LARGE, Real, books_after_the_end};
use crate::support::run::under_block_on;
use crate::support::{assert_balanced, for_each_runtime, get_text, parse};

fn start(name: &str) -> Option<Real> {
    let args = ["-p", ".", "-c", "server.conf", "-e", "error.log"];
    Real::start("nginx", name, &args, configuration)
}

fn configuration(addr: SocketAddr) -> String {
    format!(
        "daemon off; master_process off; pid nginx.pid; error_log error.log;
        events {{ worker_connections 1024; }}
        http {{
            access_log off;
            client_body_temp_path body; proxy_temp_path proxy; fastcgi_temp_path fastcgi;
            uwsgi_temp_path uwsgi; scgi_temp_path scgi;
            keepalive_requests 100; keepalive_timeout 1s;
            server {{
                listen {addr}; root .;
                location = /nth {{ return 200 $connection_requests; }}
            }}
        }}"
    )
}

/// One request, and whether the answer is right.
async fn exchange(pool: &Pool, number: usize) -> Result<(), String> {
    if number % 50 == 0 {
        let text = get_text(pool, "/large").await.map_err(|error| format!("{error:?}"))?;
        return if text.len() == LARGE { Ok(()) } else { Err(format!("{} bytes", text.len())) };
    }
    let text = get_text(pool, "/nth").await.map_err(|error| format!("{error:?}"))?;
    match text.parse::<u32>() {
        Ok(1..=100) => Ok(()),
        _ => Err(format!("request {text} of its connection")),
    }
}

#[test]
fn nginx_answers_twenty_thousand_requests_under_every_runtime() {
    for_each_runtime(|env| async move {
        let Some(nginx) = start(&env.name.replace(' ', "-")) else {
            return;
        };
        let builder = env.builder().server(parse(&nginx.url())).max_connections_per_server(16);
        let pool = builder.request_timeout(Some(Duration::from_secs(100))).build().unwrap();
        let wrong = Arc::new(AtomicU64::new(0));
        let job = {
            let (pool, wrong) = (pool.clone(), wrong.clone());
            move |number| {
                let (pool, wrong) = (pool.clone(), wrong.clone());
                async move {
                    if let Err(complaint) = exchange(&pool, number).await {
                        eprintln!("request {number}: {complaint}");
                        wrong.fetch_add(1, Ordering::Relaxed);
                    }
                }
            }
        };
        env.run_concurrently(64, 20_000, job).await;
        assert_eq!(wrong.load(Ordering::Relaxed), 0, "under {}", env.name);
        let metrics = books_after_the_end(&pool).await;
        assert_balanced(&metrics);
        assert_eq!(metrics.successful_requests, 20_000);
        // A hundred requests and no more ran on each.
        assert!(metrics.connections_created >= 200, "{metrics:?}");
    });
}

#[test]
fn a_request_after_nginx_has_closed_the_idle_connection_is_answered() {
    under_block_on(|env| async move {
        let Some(nginx) = start("idle") else {
            return;
        };
        let pool = env.builder().server(parse(&nginx.url())).build().unwrap();
        assert_eq!(get_text(&pool, "/nth").await.unwrap(), "1");
        assert_eq!(get_text(&pool, "/nth").await.unwrap(), "2");
        // The clock that closes the connection is nginx's own, and only real time moves it.
        smol::Timer::after(Duration::from_millis(1500)).await;
        assert_eq!(get_text(&pool, "/nth").await.unwrap(), "1");
        assert_eq!(pool.metrics().failed_requests, 0);
        assert_balanced(&pool.metrics());
    });
}

#[test]
fn the_silence_that_nginx_bears_is_learned_and_it_has_nothing_to_close_any_more() {
    under_block_on(|env| async move {
        let Some(nginx) = start("silence") else {
            return;
        };
        let builder = env.builder().server(parse(&nginx.url()));
        let pool = builder.watch_interval(Duration::from_millis(50)).build().unwrap();
        let learned = || pool.server_stats()[0].learned_idle_limit;
        let closed = async || {
            let before = pool.metrics().connections_destroyed;
            exchange(&pool, 1).await.unwrap();
            while pool.metrics().connections_destroyed == before {
                // The silence itself is what is waited for, and nginx knows no virtual time.
                smol::Timer::after(Duration::from_millis(5)).await;
            }
        };
        // More than are needed, in case that the machine is slow, and the ages do not agree.
        for _ in 0..9 {
            if learned().is_none() {
                closed().await;
            }
        }
        let limit = learned().expect("it closes after a second each time");
        assert!(limit > Duration::from_millis(400), "{limit:?}");
        assert!(pool.metrics().destroyed.by_peer >= 3);
        for _ in 0..9 {
            if pool.metrics().destroyed.idle == 0 {
                closed().await;
            }
        }
        assert!(pool.metrics().destroyed.idle > 0, "we are never the first to close");
        assert_balanced(&pool.metrics());
    });
}
