//! The load of `limits.rs` against a real server, which closes connections after a hundred
//! requests or a second of silence, as servers in the field do.

#![expect(
    clippy::disallowed_methods,
    reason = "how long another process may take to start is measured by the real clock"
)]

use std::fs;
use std::io::Read;
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use evenkeel::Pool;
use socket2::Socket;

use crate::support::run::under_block_on;
use crate::support::server::hold_port;
use crate::support::{assert_balanced, at_rest, for_each_runtime, get_text, parse};

const LARGE: usize = 200_000;

/// A running nginx with a directory of its own; it ends when dropped.
struct Nginx {
    process: Child,
    directory: PathBuf,
    addr: SocketAddr,
    _port: Socket,
}

impl Nginx {
    /// `None`, with a message, where nginx is not installed.
    fn start(name: &str) -> Option<Self> {
        if Command::new("nginx").arg("-v").stderr(Stdio::null()).status().is_err() {
            eprintln!("skipped: nginx is not installed");
            return None;
        }
        let (port, addr) = hold_port();
        let name = format!("evenkeel-nginx-{}-{}", std::process::id(), name);
        let directory = std::env::temp_dir().join(name);
        fs::create_dir_all(&directory).expect("a directory for nginx");
        fs::write(directory.join("large"), "x".repeat(LARGE)).expect("a file to serve");
        fs::write(directory.join("nginx.conf"), configuration(addr)).expect("a configuration");
        let process = Command::new("nginx")
            .arg("-p")
            .arg(&directory)
            .args(["-c", "nginx.conf", "-e", "error.log"])
            .stderr(Stdio::piped())
            .spawn()
            .expect("nginx starts");
        let mut nginx = Self { process, directory, addr, _port: port };
        nginx.wait_until_it_listens();
        Some(nginx)
    }

    fn wait_until_it_listens(&mut self) {
        let deadline = Instant::now() + Duration::from_secs(30);
        while TcpStream::connect(self.addr).is_err() {
            if let Some(status) = self.process.try_wait().expect("a child process") {
                let mut complaint = String::new();
                let stderr = self.process.stderr.as_mut().expect("it is piped");
                stderr.read_to_string(&mut complaint).ok();
                panic!("nginx ended with {status}: {complaint}");
            }
            assert!(Instant::now() < deadline, "nginx does not listen");
            std::thread::yield_now();
        }
    }

    fn url(&self) -> String {
        format!("http://{}", self.addr)
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        // It may have ended by itself, and the directory is only a temporary one.
        self.process.kill().ok();
        self.process.wait().ok();
        fs::remove_dir_all(&self.directory).ok();
    }
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
        let Some(nginx) = Nginx::start(&env.name.replace(' ', "-")) else {
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
        let metrics = at_rest(&pool).await;
        assert_balanced(&metrics);
        assert_eq!(metrics.successful_requests, 20_000);
        // A hundred requests and no more ran on each.
        assert!(metrics.connections_created >= 200, "{metrics:?}");
    });
}

#[test]
fn a_request_after_nginx_has_closed_the_idle_connection_is_answered() {
    under_block_on(|env| async move {
        let Some(nginx) = Nginx::start("idle") else {
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
