//! Servers behind a proxy and behind a Unix-domain socket, in one pool. Both are played by threads
//! of this program.

#[path = "support/server.rs"]
mod server;

use std::error::Error;
use std::io::{self, BufRead, BufReader, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::thread;

use evenkeel::{Pool, Proxy, Select, Server};
use futures_lite::future::block_on;

fn main() -> Result<(), Box<dyn Error>> {
    let behind = server::MiniServer::start()?;
    let proxy = Proxy::http(format!("http://{}", start_proxy()?))?.basic_auth("me", "secret");
    let mut builder = Pool::builder().server(Server::new(behind.url())?.proxy(proxy));
    let socket = start_unix()?;
    if let Some(path) = &socket {
        builder = builder.server(Server::new(format!("unix:{path}:/v1"))?);
    }
    let pool = builder.build()?;
    for server in pool.server_stats() {
        let select = Select::new().server(server.id);
        let request = http::Request::get("/hello").body(evenkeel::Body::empty())?;
        let text = block_on(async {
            let mut connection = pool.checkout(select).await?;
            connection.send(request).await?.into_body().text().await
        })?;
        println!("{}: {}", server.url, text.trim_end());
    }
    if let Some(path) = socket {
        std::fs::remove_file(path)?;
    }
    Ok(())
}

/// A proxy that opens a tunnel to whatever it is asked for.
#[expect(clippy::disallowed_methods, reason = "the proxy plays another machine")]
fn start_proxy() -> io::Result<SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let addr = listener.local_addr()?;
    thread::spawn(move || {
        for client in listener.incoming().map_while(Result::ok) {
            thread::spawn(move || tunnel(&client));
        }
    });
    Ok(addr)
}

fn tunnel(client: &TcpStream) -> io::Result<()> {
    let mut lines = BufReader::new(client).lines();
    let request = lines.next().ok_or(io::ErrorKind::UnexpectedEof)??;
    let fields: Vec<String> =
        lines.map_while(Result::ok).take_while(|line| !line.is_empty()).collect();
    let is_known = fields.iter().any(|field| field == "Proxy-Authorization: Basic bWU6c2VjcmV0");
    println!("the proxy was asked for {request:?}, with credentials: {is_known}");
    let to = request.split(' ').nth(1).ok_or(io::ErrorKind::InvalidData)?;
    let server = TcpStream::connect(to)?;
    (&mut &*client).write_all(b"HTTP/1.1 200 Connection established\r\n\r\n")?;
    thread::scope(|scope| {
        scope.spawn(|| copy(client, &server));
        copy(&server, client);
    });
    Ok(())
}

fn copy(mut from: &TcpStream, mut to: &TcpStream) {
    // Whatever ends it, the other side is to know.
    io::copy(&mut from, &mut to).ok();
    to.shutdown(Shutdown::Write).ok();
}

/// A server behind a Unix-domain socket: the socket's path.
#[cfg(unix)]
#[expect(clippy::disallowed_methods, reason = "the server plays another process")]
fn start_unix() -> io::Result<Option<String>> {
    let path = std::env::temp_dir().join(format!("evenkeel-example-{}.sock", std::process::id()));
    let listener = std::os::unix::net::UnixListener::bind(&path)?;
    thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let mut lines = BufReader::new(&stream).lines().map_while(Result::ok);
            let Some(request) = lines.next() else {
                continue;
            };
            lines.take_while(|line| !line.is_empty()).for_each(drop);
            let body = format!("You asked a socket for {request:?}.\n");
            let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", body.len());
            (&mut &stream).write_all((head + &body).as_bytes()).ok();
        }
    });
    Ok(Some(path.to_str().ok_or(io::ErrorKind::InvalidData)?.to_owned()))
}

#[cfg(not(unix))]
fn start_unix() -> io::Result<Option<String>> {
    println!("this platform has no Unix-domain sockets");
    Ok(None)
}
