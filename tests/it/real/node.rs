//! node, which counts what it is given and closes connections without having said so, or with; and
//! which can do everything that HTTP/1.1 has.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use evenkeel::{Body, Pool};
use futures_lite::{AsyncReadExt, AsyncWriteExt};
use http::{HeaderMap, HeaderValue, Request};
use http_body::Frame;

use super::load::{assert_none_twice, end, get_all, post_all};
use super::{Real, books_after_the_end};
use crate::support::run::{under_smol, under_tokio_multi_thread};
use crate::support::{Env, assert_balanced, for_each_runtime, get_text};

const REQUESTS: usize = 3000;

/// `POST /?id=N` counts the id; `GET /ids` tells them, once for each time it came. After seven
/// answers a connection is closed unannounced, and after 200 ms of silence.
const UNANNOUNCED: &str = r"
const ids = [];
const server = require('http').createServer((request, response) => {
    request.resume();
    request.on('end', () => {
        if (request.method === 'POST') ids.push(request.url.split('=')[1]);
        const socket = request.socket;
        socket.answers = (socket.answers || 0) + 1;
        if (socket.answers === 7) response.on('finish', () => socket.end());
        // Said like this, node does not add how long it keeps the connection: nobody is warned.
        response.setHeader('connection', 'keep-alive');
        response.end(request.url === '/ids' ? ids.join(' ') : 'small');
    });
});
server.keepAliveTimeout = 200;
";

/// The same, and the seventh answer says that it is the last.
const ANNOUNCED: &str = r"
const ids = [];
const server = require('http').createServer((request, response) => {
    request.resume();
    request.on('end', () => {
        if (request.method === 'POST') ids.push(request.url.split('=')[1]);
        response.end(request.url === '/ids' ? ids.join(' ') : 'small');
    });
});
server.maxRequestsPerSocket = 7;
";

/// What HTTP/1.1 has beside requests and responses.
const EVERYTHING: &str = r"
const server = require('http').createServer((request, response) => {
    if (request.url === '/early') {
        response.statusCode = 403;
        return response.end('no');
    }
    if (request.url === '/hints') {
        response.writeEarlyHints({link: '</a>; rel=preload'});
        return response.end('behind hints');
    }
    const chunks = [];
    request.on('data', (chunk) => chunks.push(chunk));
    request.on('end', () => {
        response.writeHead(200, {trailer: 'x-back'});
        response.write(Buffer.concat(chunks));
        response.addTrailers({'x-back': String(request.trailers['x-sum'])});
        response.end();
    });
});
const switched = (status) => (request, socket, head) => {
    socket.write('HTTP/1.1 ' + status + '\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\nahead');
    socket.write(head);
    socket.pipe(socket);
};
server.on('upgrade', switched('101 Switching Protocols'));
server.on('connect', switched('200 OK'));
";

fn start(env: &Env, name: &str, script: &str) -> Option<Real> {
    let name = format!("{name}-{}", env.name);
    Real::with_files("node", &name, &["server.conf"], |addr| {
        format!("{script}server.listen({}, '{}');", addr.port(), addr.ip())
    })
}

async fn get_small(env: &Env, pool: &Pool, total: usize) {
    get_all(env, pool, total, |_| "/".to_owned(), |_, text| text == "small").await;
}

/// As many GETs as POSTs, and some more about the moment at which the server gives an idle
/// connection up.
async fn get_under_cuts(env: Env) {
    let Some(server) = start(&env, "get", UNANNOUNCED) else {
        return;
    };
    let pool = server.pool(&env);
    get_small(&env, &pool, REQUESTS).await;
    for wait in [196, 199, 201, 204] {
        // Only real time moves the server's clock.
        smol::Timer::after(Duration::from_millis(wait)).await;
        get_small(&env, &pool, 16).await;
    }
    let metrics = end(&env, &pool, REQUESTS, 7).await;
    assert_eq!(metrics.failed_requests, 0);
}

async fn post_under_cuts(env: Env, script: &str, name: &str) {
    let Some(server) = start(&env, name, script) else {
        return;
    };
    let pool = server.pool(&env);
    let outcomes = post_all(&env, &pool, "/", || Body::from("hello"), REQUESTS).await;
    let failed = outcomes.iter().filter(|(_, outcome)| outcome.is_err()).count();
    let ids = get_text(&pool, "/ids").await.expect("an answer");
    assert_none_twice(&outcomes, ids.split(' ').map(|id| id.parse().expect("a number")));
    let metrics = end(&env, &pool, REQUESTS, 7).await;
    assert_eq!(metrics.failed_requests, failed as u64);
    assert!(script == UNANNOUNCED || failed == 0, "it says when it closes");
}

#[test]
fn node_is_given_no_post_twice() {
    under_tokio_multi_thread(|env| post_under_cuts(env, UNANNOUNCED, "post"));
    under_smol(|env| post_under_cuts(env, UNANNOUNCED, "post"));
}

#[test]
fn node_answers_every_get_though_it_closes_unannounced() {
    under_tokio_multi_thread(get_under_cuts);
    under_smol(get_under_cuts);
}

#[test]
fn no_request_fails_where_node_says_that_it_closes() {
    under_smol(|env| async move {
        let Some(server) = start(&env, "announced", ANNOUNCED) else {
            return;
        };
        let pool = server.pool(&env);
        get_small(&env, &pool, REQUESTS).await;
        assert_eq!(end(&env, &pool, REQUESTS, 7).await.failed_requests, 0);
    });
    under_tokio_multi_thread(|env| post_under_cuts(env, ANNOUNCED, "announced-post"));
}

/// A body with a trailer.
struct Summed(Vec<Frame<Bytes>>);

impl http_body::Body for Summed {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(self.0.pop().map(Ok))
    }
}

fn summed() -> Summed {
    let mut trailers = HeaderMap::new();
    trailers.insert("x-sum", HeaderValue::from_static("42"));
    Summed(vec![Frame::trailers(trailers), Frame::data(Bytes::from_static(b"hello"))])
}

#[test]
fn node_is_sent_trailers_and_leave_is_waited_for_and_its_own_trailers_come() {
    under_smol(|env| async move {
        let Some(server) = start(&env, "trailers", EVERYTHING) else {
            return;
        };
        let builder = env.builder().server(crate::support::parse(&server.url()));
        // Without leave a body would be sent only when the time of the whole is over.
        let builder = builder.expect_timeout(Duration::from_secs(1000));
        let pool = builder.request_timeout(Some(Duration::from_secs(100))).build().unwrap();
        for expects in [false, true, false] {
            let post = Request::post("/echo").header("trailer", "x-sum");
            let post = if expects { post.header("expect", "100-continue") } else { post };
            let mut body = pool.send(post.body(summed()).unwrap()).await.unwrap().into_body();
            let (mut data, mut back) = (Vec::new(), None);
            while let Some(frame) = next(&mut body).await {
                match frame.into_data() {
                    Ok(piece) => data.extend_from_slice(&piece),
                    Err(frame) => back = frame.into_trailers().ok(),
                }
            }
            assert_eq!((data.as_slice(), &back.unwrap()["x-back"] == "42"), (&b"hello"[..], true));
        }
        assert_eq!(get_text(&pool, "/hints").await.unwrap(), "behind hints");
        assert_eq!(pool.metrics().connections_created, 1);
        assert_balanced(&books_after_the_end(&pool).await);
    });
}

async fn next(body: &mut Body) -> Option<Frame<Bytes>> {
    let mut body = Pin::new(body);
    let frame = std::future::poll_fn(|cx| http_body::Body::poll_frame(body.as_mut(), cx)).await;
    frame.map(|frame| frame.expect("a whole body"))
}

#[test]
fn an_early_answer_of_node_ends_an_upload() {
    under_smol(|env| async move {
        let Some(server) = start(&env, "early", EVERYTHING) else {
            return;
        };
        let pool = server.pool(&env);
        let post = Request::post("/early").body(Body::from(vec![b'x'; 24 << 20])).unwrap();
        let response = pool.send(post).await.unwrap();
        assert_eq!(response.status(), 403);
        assert_eq!(response.into_body().text().await.unwrap(), "no");
        assert_eq!(get_text(&pool, "/hints").await.unwrap(), "behind hints");
        let metrics = books_after_the_end(&pool).await;
        assert_eq!((metrics.connections_created, metrics.failed_requests), (2, 0));
        assert_balanced(&metrics);
    });
}

#[test]
fn node_switches_protocols_and_opens_tunnels() {
    for_each_runtime(|env| async move {
        let Some(server) = start(&env, "switch", EVERYTHING) else {
            return;
        };
        let pool = server.pool(&env);
        let switch = Request::get("/").header("connection", "upgrade").header("upgrade", "echo");
        let connect = Request::connect("far.example:443");
        for request in [switch, connect] {
            let response = pool.send(request.body(Body::empty()).unwrap()).await.unwrap();
            let mut stream = response.into_body().into_upgraded().expect("a stream");
            stream.write_all(b" of all that comes back").await.unwrap();
            let mut back = [0; 28];
            stream.read_exact(&mut back).await.unwrap();
            assert_eq!(&back, b"ahead of all that comes back");
        }
        assert_balanced(&books_after_the_end(&pool).await);
    });
}
