//! TLS through a network that takes and gives a few bytes at a time, in virtual time.

use std::io::{Read, Write};
use std::sync::Arc;

use evenkeel::rt::sim::{Sim, SimStream};
use evenkeel::{Body, Pool, TlsConfig};
use futures_lite::{AsyncReadExt, AsyncWriteExt};
use http::Request;
use rustls::version::{TLS12, TLS13};
use rustls::{ServerConfig, ServerConnection};
use tls_tests::Authority;

use crate::setup::server_config_of;
use crate::support::assert_balanced;
use crate::support::server::filler;

const ADDR: &str = "10.0.0.1:443";

/// A server of one connection: reads requests whole, and gives their bodies back.
async fn serve(mut stream: SimStream, config: Arc<ServerConfig>) {
    let mut tls = ServerConnection::new(config).expect("a valid configuration");
    tls.set_buffer_limit(None);
    let (mut input, mut buf) = (Vec::new(), [0; 1000]);
    loop {
        let mut out = Vec::new();
        while let Some((used, body)) = request(&input) {
            let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len());
            tls.writer().write_all(&[head.as_bytes(), body].concat()).expect("it takes that");
            input.drain(..used);
        }
        while tls.wants_write() {
            tls.write_tls(&mut out).expect("memory takes all");
        }
        if stream.write_all(&out).await.is_err() {
            return;
        }
        let Ok(n @ 1..) = stream.read(&mut buf).await else {
            return;
        };
        let mut bytes = &buf[..n];
        while !bytes.is_empty() {
            tls.read_tls(&mut bytes).expect("room for it");
            let state = tls.process_new_packets().expect("TLS");
            let mut plain = vec![0; state.plaintext_bytes_to_read()];
            tls.reader().read_exact(&mut plain).expect("as much as it said");
            input.extend(plain);
        }
    }
}

/// The first request, if it is whole: its length, and its body.
fn request(input: &[u8]) -> Option<(usize, &[u8])> {
    let end = input.windows(4).position(|bytes| bytes == b"\r\n\r\n")? + 4;
    let head = std::str::from_utf8(&input[..end]).expect("heads are text");
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
    let length = length.map_or(0, |length| length.parse().expect("a length"));
    (input.len() >= end + length).then(|| (end + length, &input[end..end + length]))
}

#[test]
fn requests_of_any_size_pass_through_any_buffers() {
    let authority = Authority::new("ours");
    let pair = authority.server(&["10.0.0.1"]);
    for versions in [[&TLS12], [&TLS13]] {
        for capacity in [1, 7, 1000, 100_000] {
            let sim = Sim::new();
            sim.net().capacity(capacity);
            let listener = sim.net().listen(ADDR);
            let config = server_config_of(&pair, &versions);
            let world = sim.clone();
            sim.spawn(async move {
                loop {
                    world.spawn(serve(listener.accept().await, config.clone()));
                }
            });
            let tls = TlsConfig::new().root_certificate(authority.pem()).only_own_roots();
            let pool = Pool::builder()
                .runtime(sim.runtime_without_background())
                .server(crate::support::parse("https://10.0.0.1"))
                .tls(tls)
                .build()
                .expect("a valid pool");
            sim.block_on(async {
                for size in [0, 1, 16_385, 70_000] {
                    let request = Request::post("/").body(Body::from(filler(size))).unwrap();
                    let response = pool.send(request).await.expect("an answer");
                    let text = response.into_body().text().await.expect("all of it");
                    assert!(text == filler(size), "{size} bytes through {capacity}");
                }
            });
            let metrics = pool.metrics();
            assert_balanced(&metrics);
            assert_eq!((metrics.connections_created, metrics.idle_connections), (1, 1));
        }
    }
}
