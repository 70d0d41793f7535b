//! Many exchanges on one connection, cut, held up and dropped at random; the seed is printed.
//!
//! What must hold each time: what was sent and what was received are whole, or there is an error,
//! or the connection is not reusable; and every buffer comes back.

use std::task::Poll;

use bytes::Bytes;

use super::double::{Piece, Read, Script, World, Write, poll, post};
use super::*;

/// One exchange: what is sent, what is answered, and where it goes wrong, if at all.
struct Plan {
    body: Vec<u8>,
    known: bool,
    answer: Vec<u8>,
    /// The peer closes in the middle.
    cut_short: bool,
    /// The caller loses interest after so many polls.
    patience: usize,
}

fn plan(random: &mut fastrand::Rng) -> Plan {
    let bytes = |random: &mut fastrand::Rng, most| -> Vec<u8> {
        let len = if random.u8(..4) == 0 { random.usize(..most) } else { random.usize(..100) };
        (0..len).map(|_| random.alphanumeric().to_ascii_lowercase()).map(|c| c as u8).collect()
    };
    Plan {
        body: bytes(random, 60_000),
        known: random.bool(),
        answer: bytes(random, 60_000),
        cut_short: random.u8(..10) == 0,
        patience: if random.u8(..5) == 0 { random.usize(..20) } else { usize::MAX },
    }
}

/// Pieces of random sizes, at most 5000 bytes, whose concatenation is `bytes`.
fn pieces(random: &mut fastrand::Rng, mut bytes: &[u8]) -> Vec<Vec<u8>> {
    let mut pieces = Vec::new();
    while !bytes.is_empty() {
        let most = if random.bool() { 10 } else { 5000 };
        let (piece, rest) = bytes.split_at(random.usize(1..=most).min(bytes.len()));
        pieces.push(piece.to_vec());
        bytes = rest;
    }
    pieces
}

fn encode_answer(random: &mut fastrand::Rng, body: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    for _ in 0..random.u8(..3) {
        out.extend_from_slice(b"HTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\n");
    }
    out.extend_from_slice(b"HTTP/1.1 200 OK\r\n");
    if random.bool() {
        out.extend_from_slice(format!("content-length: {}\r\n\r\n", body.len()).as_bytes());
        out.extend_from_slice(body);
        return out;
    }
    out.extend_from_slice(b"transfer-encoding: chunked\r\n\r\n");
    for piece in pieces(random, body) {
        out.extend_from_slice(format!("{:X};x\r\n", piece.len()).as_bytes());
        out.extend_from_slice(&piece);
        out.extend_from_slice(b"\r\n");
    }
    out.extend_from_slice(b"0\r\n\r\n");
    out
}

fn caller_body(random: &mut fastrand::Rng, plan: &Plan) -> Script {
    let mut script = Vec::new();
    for piece in pieces(random, &plan.body) {
        if random.u8(..4) == 0 {
            script.push(Piece::Pending);
        }
        script.push(Piece::Data(Bytes::from(piece)));
    }
    Script::new(plan.known.then_some(plan.body.len() as u64), script)
}

/// Polls until it is ready, or patience ends.
fn patiently<F: Future>(future: F, patience: &mut usize) -> Option<F::Output> {
    let mut future = std::pin::pin!(future);
    for _ in 0..50_000 {
        *patience = patience.checked_sub(1)?;
        if let Poll::Ready(output) = poll(future.as_mut()) {
            return Some(output);
        }
    }
    panic!("it never ends");
}

/// Runs one exchange; `None` if it did not come to its end.
fn run(world: &mut World, random: &mut fastrand::Rng) -> Option<()> {
    let mut plan = plan(random);
    // The server answers once it has all: an early answer is another test's.
    let holds = 20 + random.usize(..20);
    for _ in 0..holds {
        world.wire.writes(match random.u8(..3) {
            0 => Write::Pending,
            _ => Write::Take(random.usize(1..5000)),
        });
    }
    let headers = HeaderMap::new();
    let head = post(&headers);
    let mut body = Box::pin(caller_body(random, &plan));
    let mut answer = encode_answer(random, &plan.answer);
    if plan.cut_short {
        answer.truncate(random.usize(..answer.len()));
    }
    let wire = world.wire.clone();
    let mut written = Vec::new();
    let response = {
        let mut request = std::pin::pin!(world.conn.request(&head, body.as_mut(), None, None));
        let mut quiet = 0;
        // It is done sending when a few polls in a row write nothing more.
        while quiet < holds {
            plan.patience = plan.patience.checked_sub(1)?;
            assert!(poll(request.as_mut()).is_pending());
            let more = wire.written().concat();
            quiet = if more.is_empty() { quiet + 1 } else { 0 };
            written.extend(more);
        }
        for piece in pieces(random, &answer) {
            if random.bool() {
                wire.reads(Read::Pending);
            }
            wire.answers(piece);
        }
        if plan.cut_short {
            wire.reads(Read::Eof);
        }
        patiently(request, &mut plan.patience)?
    };
    assert!(written.starts_with(b"POST / HTTP/1.1\r\n"));
    if plan.known {
        assert!(written.ends_with(&plan.body));
    }
    let mut data = Vec::new();
    match response {
        Ok(response) => assert_eq!(response.status(), 200),
        Err(error) => {
            assert!(plan.cut_short, "{error:?}");
            return None;
        }
    }
    while !world.conn.is_body_complete() {
        let frame = std::future::poll_fn(|cx| world.conn.poll_frame(cx));
        match patiently(frame, &mut plan.patience)? {
            Some(Ok(frame)) => data.extend(frame.into_data().expect("no trailers")),
            Some(Err(error)) => {
                assert!(plan.cut_short, "{error:?}");
                return None;
            }
            None => break,
        }
    }
    assert!(data == plan.answer && !plan.cut_short);
    Some(())
}

#[test]
fn exchanges_are_whole_or_the_connection_is_not_reusable() {
    let (mut ended, mut given_up) = (0, 0);
    for seed in 0..150 {
        let mut random = fastrand::Rng::with_seed(seed);
        let mut world = World::new();
        let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            for uses in 1..6 {
                let before = world.conn.bytes_out();
                if run(&mut world, &mut random).is_none() {
                    given_up += 1;
                    // Nothing sent is the one way to give up and leave no trace.
                    let untouched = world.conn.bytes_out() == before;
                    assert_eq!(world.conn.is_reusable(), untouched);
                    break;
                }
                ended += 1;
                assert!(world.conn.is_reusable());
                assert_eq!(world.conn.uses(), uses);
                assert!(!world.conn.out.has_memory() && !world.conn.input.has_memory());
                while world.wire.next_write().is_some() {}
            }
        }));
        if let Err(panic) = result {
            eprintln!("seed {seed}");
            std::panic::resume_unwind(panic);
        }
    }
    assert!(ended > 100 && given_up > 20, "{ended} ended, {given_up} given up");
}
