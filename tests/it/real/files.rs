//! apache2 and lighttpd, serving files, with connections cut after few requests.

use std::net::SocketAddr;

use evenkeel::Body;

use super::load::{assert_none_twice, end, get_all, is_large, post_all, posts_in};
use super::{LARGE, Real};
use crate::support::run::{under_block_on, under_smol, under_tokio_multi_thread};
use crate::support::{Env, assert_balanced, get_text};

const REQUESTS: usize = 4000;
/// How many requests a server allows on a connection. Either may count them with a difference of
/// one; and not all are used.
const ALLOWED: u64 = 20;

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
        CustomLog ${{PWD}}/access.log \"%r\"
        Listen {addr}
        DocumentRoot ${{PWD}}
        ThreadsPerChild 64
        MaxRequestWorkers 64
        MaxKeepAliveRequests {ALLOWED}
        KeepAliveTimeout 1
        "
    )
}

fn lighttpd(addr: SocketAddr) -> String {
    format!(
        "server.modules = (\"mod_accesslog\")
        server.document-root = env.PWD
        server.bind = \"{}\"
        server.port = {}
        server.max-keep-alive-requests = {ALLOWED}
        server.max-keep-alive-idle = 1
        accesslog.filename = env.PWD + \"/access.log\"
        accesslog.format = \"%r\"
        ",
        addr.ip(),
        addr.port()
    )
}

fn start_apache(name: &str) -> Option<Real> {
    Real::with_files("apache2", name, &["-X", "-d", ".", "-f", "server.conf"], apache)
}

fn start_lighttpd(name: &str) -> Option<Real> {
    Real::with_files("lighttpd", name, &["-D", "-f", "server.conf"], lighttpd)
}

/// Many GETs, none of which may fail.
async fn read_files(env: Env, start: fn(&str) -> Option<Real>) {
    let Some(server) = start(env.name) else {
        return;
    };
    let pool = server.pool(&env);
    let path = |number| if is_large(number) { "/large" } else { "/small" }.to_owned();
    let check = |number, text: &str| text.len() == if is_large(number) { LARGE } else { 5 };
    get_all(&env, &pool, REQUESTS, path, check).await;
    let metrics = end(&env, &pool, REQUESTS, ALLOWED + 5).await;
    assert_eq!(metrics.successful_requests, REQUESTS as u64);
}

/// Many POSTs, to a file: the server answers with it.
async fn post_to_files(env: Env, start: fn(&str) -> Option<Real>, body: fn() -> Body) {
    let Some(mut server) = start(&format!("post-{}", env.name)) else {
        return;
    };
    let pool = server.pool(&env);
    let outcomes = post_all(&env, &pool, "/small", body, REQUESTS).await;
    end(&env, &pool, REQUESTS, ALLOWED + 5).await;
    assert_none_twice(&outcomes, posts_in(&server.end_and_read("access.log")));
}

/// A request after the server has closed the idle connection, as each of them does after a second.
async fn come_back(env: Env, start: fn(&str) -> Option<Real>) {
    let Some(server) = start(&format!("idle-{}", env.name)) else {
        return;
    };
    let pool = server.pool(&env);
    assert_eq!(get_text(&pool, "/small").await.expect("an answer"), "small");
    // Twice: apache closes on several threads, and two of one moment may change places.
    server.outlast("GET /small HTTP/1.1\r\nHost: a\r\n\r\n");
    server.outlast("GET /small HTTP/1.1\r\nHost: a\r\n\r\n");
    // A POST would not be sent twice: that the connection is dead must be seen before.
    let outcomes = post_all(&env, &pool, "/small", Body::empty, 1).await;
    assert_eq!(outcomes, [(0, Ok(()))]);
    let metrics = pool.metrics();
    assert_eq!((metrics.connections_created, metrics.destroyed.by_peer), (2, 1), "{metrics:?}");
    assert_balanced(&metrics);
}

#[test]
fn apache_answers_every_get_though_it_cuts_connections() {
    under_tokio_multi_thread(|env| read_files(env, start_apache));
    under_smol(|env| read_files(env, start_apache));
}

#[test]
fn lighttpd_answers_every_get_though_it_cuts_connections() {
    under_tokio_multi_thread(|env| read_files(env, start_lighttpd));
    under_smol(|env| read_files(env, start_lighttpd));
}

#[test]
fn apache_is_given_no_post_twice() {
    under_tokio_multi_thread(|env| post_to_files(env, start_apache, || Body::from("hello")));
    under_smol(|env| post_to_files(env, start_apache, || Body::from("hello")));
}

#[test]
fn lighttpd_is_given_no_post_twice() {
    // It does not read a body for which it has no use, but closes.
    under_tokio_multi_thread(|env| post_to_files(env, start_lighttpd, Body::empty));
    under_smol(|env| post_to_files(env, start_lighttpd, Body::empty));
}

#[test]
fn a_post_after_apache_has_closed_the_idle_connection_is_answered() {
    under_block_on(|env| come_back(env, start_apache));
}

#[test]
fn a_post_after_lighttpd_has_closed_the_idle_connection_is_answered() {
    under_block_on(|env| come_back(env, start_lighttpd));
}
