//! nginx and haproxy, with TLS 1.2 and 1.3 each, as they are found in the field. The test skips
//! itself, and says so, where one of them is not installed.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use evenkeel::{Body, Pool, TlsConfig};
use http::{Method, Request};
use ring::digest::{SHA256, digest};
use tls_tests::{Authority, Pair};

use crate::support::process::Real;
use crate::support::server::{filler, hold_port};
use crate::support::{Env, assert_balanced, for_each_runtime, parse};

const REQUESTS: usize = 2500;

/// What they serve, each of them.
fn nginx(pair: &Pair, env: &str, secure: [SocketAddr; 2]) -> Option<Real> {
    let files = [("cert.pem", &*pair.chain), ("key.pem", &*pair.key), ("large", &filler(200_000))];
    let args = ["-p", ".", "-c", "server.conf", "-e", "error.log"];
    Real::start("nginx", &format!("tls-{env}"), &args, &files, |plain| {
        let server = |listen: String, protocol: &str| {
            format!(
                "server {{
                    listen {listen}; root .; ssl_protocols {protocol};
                    ssl_certificate cert.pem; ssl_certificate_key key.pem;
                    location = /nth {{ return 200 $connection_requests; }}
                    location /up {{ dav_methods PUT DELETE; client_max_body_size 20m; }}
                }}"
            )
        };
        format!(
            "daemon off; master_process off; pid nginx.pid; error_log error.log;
            events {{ worker_connections 1024; }}
            http {{
                log_format seen '$ssl_protocol $ssl_session_reused $connection_requests';
                access_log seen.log seen;
                client_body_temp_path body; proxy_temp_path proxy; fastcgi_temp_path fastcgi;
                uwsgi_temp_path uwsgi; scgi_temp_path scgi;
                keepalive_requests 100; keepalive_timeout 5s;
                ssl_session_cache shared:sessions:1m;
                {} {} {}
            }}",
            server(plain.to_string(), "TLSv1.2"),
            server(format!("{} ssl", secure[0]), "TLSv1.2"),
            server(format!("{} ssl", secure[1]), "TLSv1.3"),
        )
    })
}

/// TLS before the plain port of nginx.
fn haproxy(pair: &Pair, env: &str, second: SocketAddr, backend: SocketAddr) -> Option<Real> {
    let both = format!("{}{}", pair.chain, pair.key);
    let files = [("both.pem", &*both)];
    Real::start("haproxy", &format!("tls-{env}"), &["-db", "-f", "server.conf"], &files, |first| {
        let bind = |addr, only| {
            format!(" bind {addr} ssl crt both.pem ssl-min-ver {only} ssl-max-ver {only}\n")
        };
        format!(
            "defaults\n mode http\n timeout connect 30s\n timeout client 100s\n \
             timeout server 100s\n timeout http-keep-alive 5s\n\
             frontend it\n{}{} default_backend origin\n\
             backend origin\n server one {backend}\n",
            bind(first, "TLSv1.2"),
            bind(second, "TLSv1.3"),
        )
    })
}

async fn send(pool: &Pool, method: Method, path: &str, body: Body) -> Result<Vec<u8>, String> {
    let request = Request::builder().method(method).uri(path).body(body).expect("a request");
    let response = pool.send(request).await.map_err(|error| format!("{error:?}"))?;
    let status = response.status();
    let body = response.into_body().bytes().await.map_err(|error| format!("{error:?}"))?;
    if status.is_success() { Ok(body.to_vec()) } else { Err(format!("{path}: {status}")) }
}

/// One request, or a file that is put, fetched and deleted; whether all came back as it was.
async fn exchange(pool: &Pool, number: usize) -> Result<(), String> {
    let size = match number {
        0 => 10 << 20,
        _ if number % 100 == 1 => 1 << 20,
        _ if number % 10 == 2 => number * 7,
        _ if number % 10 == 3 => {
            let body = send(pool, Method::GET, "/large", Body::empty()).await?;
            return if body == filler(200_000).as_bytes() { Ok(()) } else { Err("bytes".into()) };
        }
        _ => {
            let body = send(pool, Method::GET, "/nth", Body::empty()).await?;
            let text = String::from_utf8(body).map_err(|error| error.to_string())?;
            let nth: Option<u32> = text.parse().ok();
            return if nth.is_some() { Ok(()) } else { Err(format!("no number: {text}")) };
        }
    };
    let (path, sent) = (format!("/up{number}"), filler(size));
    let hash = digest(&SHA256, sent.as_bytes());
    send(pool, Method::PUT, &path, Body::from(sent)).await?;
    let body = send(pool, Method::GET, &path, Body::empty()).await?;
    send(pool, Method::DELETE, &path, Body::empty()).await?;
    if digest(&SHA256, &body).as_ref() == hash.as_ref() { Ok(()) } else { Err("a hash".into()) }
}

async fn load(env: Env) {
    let authority = Authority::new("ours");
    let pair = authority.server(&["127.0.0.1"]);
    let name = env.name.replace(' ', "-");
    let held = [hold_port(), hold_port(), hold_port()];
    let [a, b, c] = [held[0].1, held[1].1, held[2].1];
    let Some(nginx) = nginx(&pair, &name, [a, b]) else {
        return;
    };
    let Some(haproxy) = haproxy(&pair, &name, c, nginx.addr) else {
        return;
    };
    let tls = TlsConfig::new().root_certificate(authority.pem()).only_own_roots();
    let mut builder = env.builder().tls(tls).max_connections_per_server(8);
    for addr in [a, b, haproxy.addr, c] {
        builder = builder.server(parse(&format!("https://{addr}")));
    }
    builder = builder.server(parse(&format!("http://{}", nginx.addr)));
    // Time is not what this is about, and the machine may be busy.
    let pool = builder.request_timeout(Some(Duration::from_secs(100))).build().expect("a pool");
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
    env.run_concurrently(32, REQUESTS, job).await;
    // By now there are sessions with all of them: new connections resume one.
    for number in 4..36 {
        pool.close_idle();
        exchange(&pool, number).await.expect("an answer");
    }
    pool.shutdown(Duration::from_secs(100)).await;
    let metrics = pool.metrics();
    assert_balanced(&metrics);
    assert_eq!((wrong.load(Ordering::Relaxed), metrics.failed_requests), (0, 0), "{name}");
    let log = std::fs::read_to_string(nginx.directory.join("seen.log")).expect("a log");
    for protocol in ["TLSv1.2", "TLSv1.3"] {
        let begun = |reused| log.matches(&format!("{protocol} {reused} 1\n")).count();
        let (full, resumed) = (begun("."), begun("r"));
        eprintln!("{name}: nginx, {protocol}: {full} full handshakes, {resumed} resumed");
        // The first eight may begin before there is a session to resume.
        assert!((1..=8).contains(&full) && resumed > 0, "{full} full, {resumed} resumed");
    }
    eprintln!("{name}: {} requests, {} failed", metrics.total_requests, metrics.failed_requests);
}

#[test]
fn nginx_and_haproxy_answer_ten_thousand_mixed_requests_over_tls() {
    for_each_runtime(load);
}
