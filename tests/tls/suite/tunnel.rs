//! A stream within TLS, read by one task and written by another.

use std::io::{Read, Write};
use std::sync::Arc;

use evenkeel::rt::sim::{Sim, SimStream};
use evenkeel::{Body, Pool, TlsConfig};
use futures_lite::future::zip;
use futures_lite::{AsyncReadExt, AsyncWriteExt};
use http::Request;
use rustls::{ServerConfig, ServerConnection};
use tls_tests::Authority;

use crate::setup::server_config;
use crate::support::parse;

const ADDR: &str = "10.0.0.1:443";
/// How much is sent through the tunnel.
const LENGTH: usize = 300_000;

/// Switches, reads so much, and then says that it has.
async fn serve(mut stream: SimStream, config: Arc<ServerConfig>) {
    let mut tls = ServerConnection::new(config).expect("a valid configuration");
    let (mut input, mut buf, mut switched) = (Vec::new(), [0; 100], false);
    while input.len() < LENGTH {
        let mut out = Vec::new();
        if !switched && input.ends_with(b"\r\n\r\n") {
            let head = b"HTTP/1.1 101 S\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n";
            tls.writer().write_all(head).expect("it takes that");
            input.clear();
            switched = true;
        }
        while tls.wants_write() {
            tls.write_tls(&mut out).expect("memory takes all");
        }
        stream.write_all(&out).await.expect("the client is there");
        let n = stream.read(&mut buf).await.expect("the client is there");
        let mut bytes = &buf[..n];
        while !bytes.is_empty() {
            tls.read_tls(&mut bytes).expect("room for it");
            let state = tls.process_new_packets().expect("TLS");
            let mut plain = vec![0; state.plaintext_bytes_to_read()];
            tls.reader().read_exact(&mut plain).expect("as much as it said");
            input.extend(plain);
        }
    }
    let mut out = Vec::new();
    tls.writer().write_all(b"done").expect("it takes that");
    tls.send_close_notify();
    while tls.wants_write() {
        tls.write_tls(&mut out).expect("memory takes all");
    }
    stream.write_all(&out).await.expect("the client is there");
}

#[test]
fn a_reader_that_waits_does_not_put_a_writer_to_sleep() {
    let authority = Authority::new("ours");
    let sim = Sim::new();
    sim.net().capacity(100);
    let listener = sim.net().listen(ADDR);
    let config = server_config(&authority.server(&["10.0.0.1"]));
    sim.spawn(async move { serve(listener.accept().await, config).await });
    let pool = Pool::builder()
        .runtime(sim.runtime_without_background())
        .server(parse("https://10.0.0.1"))
        .tls(TlsConfig::new().root_certificate(authority.pem()).only_own_roots())
        .build()
        .expect("a valid pool");
    sim.block_on(async {
        let request = Request::get("/").header("connection", "upgrade").header("upgrade", "x");
        let response = pool.send(request.body(Body::empty()).unwrap()).await.expect("an answer");
        let stream = response.into_body().into_upgraded().expect("a stream");
        let (mut reader, mut writer) = futures_lite::io::split(stream);
        // Tasks of their own, with wakers of their own.
        let (said, heard) = smol::channel::bounded(1);
        sim.spawn(async move {
            let mut text = String::new();
            reader.read_to_string(&mut text).await.expect("an end");
            said.send(text).await.expect("somebody listens");
        });
        let write = async {
            writer.write_all(&[b'x'; LENGTH]).await.expect("the server is there");
            writer.flush().await.expect("the server is there");
        };
        let ((), text) = zip(write, async { heard.recv().await.expect("it says it") }).await;
        assert_eq!(text, "done");
    });
}
