//! Goal: connections behave as TCP sockets do. Method: both ends of one, looked at in turn.

use std::io::{self, ErrorKind};

use futures_lite::AsyncWriteExt;

use super::*;
use crate::rt::{Liveness, Target, Transport};

#[test]
fn a_full_pipe_makes_the_writer_wait_for_the_reader() {
    let sim = Sim::new();
    sim.net().capacity(10);
    let (mut client, mut server) = pair(&sim);
    sim.block_on(async {
        assert_eq!(client.write(&[1; 8]).await.unwrap(), 8);
        let bufs = [io::IoSlice::new(&[2; 1]), io::IoSlice::new(&[3; 5])];
        assert_eq!(client.write_vectored(&bufs).await.unwrap(), 2);
        assert!(poll_once(client.write(&[4])).await.is_none());

        let mut got = [0; 16];
        assert_eq!(server.read(&mut got[..3]).await.unwrap(), 3);
        assert_eq!(client.write(&[5; 8]).await.unwrap(), 3);
        assert_eq!(server.read(&mut got).await.unwrap(), 10);
        assert_eq!(got[..10], [1, 1, 1, 1, 1, 2, 3, 5, 5, 5]);
    });
    // A waiting writer is woken by the reader.
    let read = async {
        let mut all = Vec::new();
        server.read_to_end(&mut all).await.unwrap();
        all.len()
    };
    let write = async {
        client.write_all(&[0; 1000]).await.unwrap();
        client.close().await.unwrap();
    };
    assert_eq!(sim.block_on(zip(write, read)).1, 1000);
}

#[test]
fn an_end_of_stream_closes_one_direction() {
    let sim = Sim::new();
    let (mut client, mut server) = pair(&sim);
    sim.block_on(async {
        assert_eq!(client.try_peek(), Liveness::Alive);
        server.write_all(b"last").await.unwrap();
        server.close().await.unwrap();
        assert_eq!(client.try_peek(), Liveness::Unexpected);
        let mut text = String::new();
        client.read_to_string(&mut text).await.unwrap();
        assert_eq!(text, "last");
        assert_eq!(client.try_peek(), Liveness::Closed);
        assert_eq!(client.try_read(&mut [0]).unwrap(), 0);

        client.write_all(b"still").await.unwrap();
        let mut got = [0; 8];
        assert_eq!(server.read(&mut got).await.unwrap(), 5);
        let error = server.write(b"no more").await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::BrokenPipe);
    });
}

#[test]
fn a_reset_ends_both_directions() {
    let sim = Sim::new();
    let (mut client, server) = pair(&sim);
    sim.block_on(async {
        let mut buf = [0; 8];
        assert!(poll_once(client.read(&mut buf)).await.is_none());
        assert_eq!(client.try_read(&mut buf).unwrap_err().kind(), ErrorKind::WouldBlock);
        server.reset();
        assert_eq!(client.try_peek(), Liveness::Closed);
        assert_eq!(client.read(&mut buf).await.unwrap_err().kind(), ErrorKind::ConnectionReset);
        assert_eq!(client.write(b"x").await.unwrap_err().kind(), ErrorKind::BrokenPipe);
    });
}

#[test]
fn dropping_with_unread_bytes_resets() {
    let sim = Sim::new();
    let (mut client, mut server) = pair(&sim);
    sim.block_on(async {
        client.write_all(b"unread").await.unwrap();
        server.write_all(b"early").await.unwrap();
        drop(server);
        // What had arrived can still be read.
        let mut buf = [0; 8];
        assert_eq!(client.read(&mut buf).await.unwrap(), 5);
        assert_eq!(client.read(&mut buf).await.unwrap_err().kind(), ErrorKind::ConnectionReset);
    });
}

#[test]
fn the_first_write_to_a_peer_that_has_gone_is_accepted() {
    let sim = Sim::new();
    let (mut client, server) = pair(&sim);
    drop(server);
    sim.block_on(async {
        assert_eq!(client.write(b"request").await.unwrap(), 7);
        assert_eq!(client.write(b"more").await.unwrap_err().kind(), ErrorKind::BrokenPipe);
        // The end of stream came before the reset.
        assert_eq!(client.read(&mut [0; 8]).await.unwrap(), 0);
    });
}

#[test]
fn abort_wakes_a_writer_that_waits() {
    let sim = Sim::new();
    sim.net().capacity(1);
    let (mut client, mut server) = pair(&sim);
    let write = async { server.write_all(b"two bytes").await.unwrap_err().kind() };
    let abort = async {
        sim.settle().await;
        client.abort();
        assert_eq!(client.try_peek(), Liveness::Closed);
    };
    assert_eq!(sim.block_on(zip(write, abort)).0, ErrorKind::BrokenPipe);
}

#[test]
fn bytes_take_the_latency_to_arrive() {
    let sim = Sim::new();
    let start = sim.now();
    sim.net().latency(secs(1));
    let (mut client, mut server) = pair(&sim);
    assert_eq!(sim.now() - start, secs(2), "connecting is one round trip");
    sim.block_on(async {
        client.write_all(b"a").await.unwrap();
        client.close().await.unwrap();
        assert_eq!(server.try_peek(), Liveness::Alive);
        let mut all = Vec::new();
        server.read_to_end(&mut all).await.unwrap();
        assert_eq!((all.as_slice(), sim.now() - start), (&b"a"[..], secs(3)));
    });
}

#[test]
fn a_reset_overtakes_what_is_under_way() {
    let sim = Sim::new();
    sim.net().latency(secs(1));
    let (client, mut server) = pair(&sim);
    let mut client = client;
    sim.block_on(async {
        server.write_all(b"lost").await.unwrap();
        server.close().await.unwrap();
        server.reset();
        let error = client.read(&mut [0; 8]).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionReset);
    });
}

#[test]
fn nobody_listening_refuses_and_dropping_the_listener_resets_its_backlog() {
    let sim = Sim::new();
    let refused = || sim.block_on(sim.net().connect(ADDR)).unwrap_err().kind();
    assert_eq!(refused(), ErrorKind::ConnectionRefused);
    let listener = sim.net().listen(ADDR);
    assert!(panic_text(|| drop(sim.net().listen(ADDR))).contains("already"));
    let mut client = sim.block_on(sim.net().connect(ADDR)).unwrap();
    drop(listener);
    let error = sim.block_on(client.read(&mut [0])).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
    assert_eq!(refused(), ErrorKind::ConnectionRefused);
    drop(sim.net().listen(ADDR));
}

#[test]
fn black_holes_and_delays_last_until_healed() {
    let sim = Sim::new();
    let start = sim.now();
    let _listener = sim.net().listen(ADDR);
    sim.net().connect_delay(ADDR, secs(3));
    sim.block_on(sim.net().connect(ADDR)).unwrap();
    assert_eq!(sim.now() - start, secs(3));
    sim.net().black_hole(ADDR);
    let text = panic_text(|| drop(sim.block_on(sim.net().connect(ADDR))));
    assert!(text.contains("nothing can make progress"), "{text}");
    sim.net().heal(ADDR);
    sim.block_on(sim.net().connect(ADDR)).unwrap();
    assert_eq!(sim.now() - start, secs(3));
}

#[test]
fn sockets_are_counted_from_the_first_attempt_to_the_drop() {
    let sim = Sim::new();
    let counts = || {
        let counts = sim.net().counts(ADDR);
        (counts.connecting, counts.open, counts.peak, counts.attempts, counts.opened)
    };
    assert_eq!(counts(), (0, 0, 0, 0, 0));
    let (client, server) = pair(&sim);
    assert_eq!(counts(), (0, 1, 1, 1, 1));
    sim.net().black_hole(ADDR);
    let mut hanging = Box::pin(sim.net().connect(ADDR));
    assert!(sim.block_on(poll_once(hanging.as_mut())).is_none());
    assert_eq!(counts(), (1, 1, 2, 2, 1));
    drop(hanging);
    assert_eq!(counts(), (0, 1, 2, 2, 1));
    drop(server);
    assert_eq!(counts(), (0, 1, 2, 2, 1), "the client still holds its socket");
    drop(client);
    assert_eq!(counts(), (0, 0, 2, 2, 1));
}

#[test]
fn the_connector_and_the_resolver_work_on_the_same_network() {
    let sim = Sim::new();
    let runtime = sim.runtime();
    let listener = sim.net().listen(ADDR);
    sim.net().name("api.test", &["10.0.0.1", "::2"]);
    sim.net().lookup_delay("api.test", secs(2));
    let start = sim.now();
    sim.block_on(async {
        let found = runtime.lookup().resolve("api.test", 80).await.unwrap().addrs;
        assert_eq!(found, [ADDR.parse().unwrap(), "[::2]:80".parse().unwrap()]);
        assert_eq!(sim.now() - start, secs(2));
        let error = runtime.lookup().resolve("other.test", 80).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotFound);

        let transport = runtime.dialler().connect(&Target::new(found[0], "api.test")).await;
        let info = transport.unwrap().info();
        let server = listener.accept().await;
        assert_eq!(info.peer, Some(server.local_addr()));
        assert_eq!(info.local, Some(server.peer_addr()));
    });
}
