//! apache2 and lighttpd, serving files, with connections cut after few requests.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use evenkeel::Pool;

use super::{LARGE, Real, books_after_the_end};
use crate::support::run::{under_smol, under_tokio_multi_thread};
use crate::support::{Env, assert_balanced, get_text};

const REQUESTS: usize = 4000;

fn apache(addr: SocketAddr) -> String {
    let modules = "/usr/lib/apache2/modules";
    format!(
        "LoadModule mpm_event_module {modules}/mod_mpm_event.so
        LoadModule authz_core_module {modules}/mod_authz_core.so
        ServerRoot ${{PWD}}
        ServerName localhost
        User www-data
        Group www-data
        DefaultRuntimeDir ${{PWD}}
        PidFile ${{PWD}}/pid
        ErrorLog ${{PWD}}/error.log
        Listen {addr}
        DocumentRoot ${{PWD}}
        ThreadsPerChild 64
        MaxRequestWorkers 64
        MaxKeepAliveRequests 20
        KeepAliveTimeout 1
        "
    )
}

fn lighttpd(addr: SocketAddr) -> String {
    format!(
        "server.document-root = env.PWD
        server.bind = \"{}\"
        server.port = {}
        server.max-keep-alive-requests = 20
        server.max-keep-alive-idle = 1
        ",
        addr.ip(),
        addr.port()
    )
}

async fn exchange(pool: &Pool, number: usize) -> Result<(), String> {
    let (path, length) = if number % 50 == 0 { ("/large", LARGE) } else { ("/small", 5) };
    let text = get_text(pool, path).await.map_err(|error| format!("{error:?}"))?;
    if text.len() == length { Ok(()) } else { Err(format!("{} bytes", text.len())) }
}

/// Many GETs, none of which may fail.
async fn read_files(env: Env, server: Option<Real>) {
    let Some(server) = server else {
        return;
    };
    let pool = server.pool(&env);
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
    env.run_concurrently(64, REQUESTS, job).await;
    assert_eq!(wrong.load(Ordering::Relaxed), 0, "under {}", env.name);
    let metrics = books_after_the_end(&pool).await;
    assert_balanced(&metrics);
    assert_eq!(metrics.successful_requests, REQUESTS as u64);
    // The server did cut: it allows about twenty requests a connection.
    assert!(metrics.connections_created >= REQUESTS as u64 / 25, "{metrics:?}");
    eprintln!("{}: {} connections", env.name, metrics.connections_created);
}

async fn read_from_apache(env: Env) {
    let args = ["-X", "-d", ".", "-f", "server.conf"];
    let server = Real::with_files("apache2", env.name, &args, apache);
    read_files(env, server).await;
}

async fn read_from_lighttpd(env: Env) {
    let server = Real::with_files("lighttpd", env.name, &["-D", "-f", "server.conf"], lighttpd);
    read_files(env, server).await;
}

#[test]
fn apache_answers_every_get_though_it_cuts_connections() {
    under_tokio_multi_thread(read_from_apache);
    under_smol(read_from_apache);
}

#[test]
fn lighttpd_answers_every_get_though_it_cuts_connections() {
    under_tokio_multi_thread(read_from_lighttpd);
    under_smol(read_from_lighttpd);
}
