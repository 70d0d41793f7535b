//! The network: a proxy before each server, which delays, cuts, garbles and swallows.
//!
//! What it does to a connection depends on the seed and on how many there were before. It never
//! changes a byte within an answer that it passes on: that no client can notice.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use fastrand::Rng;
use futures_lite::{AsyncReadExt, AsyncWriteExt, FutureExt};
use smol::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use smol::{Executor, Timer};

use crate::origin::{self, Posts};
use crate::shared::Shared;

/// What happens to a connection.
#[derive(Clone, Copy, Debug)]
enum Fault {
    None,
    /// Each piece of an answer is late.
    Delay(Duration),
    /// The answers come byte by byte at first.
    Trickle(usize),
    /// A reset, after so many bytes of answers.
    Reset(usize),
    /// The server's side ends, after so many bytes of answers.
    HalfClose(usize),
    /// Nothing comes back at all.
    BlackHole,
    /// The first answer is none.
    Garbage,
    /// Bytes that nobody asked for, once the connection is idle.
    Poison,
    /// The server closes, once the connection is idle.
    IdleClose(Duration),
}

impl Fault {
    fn draw(rng: &mut Rng) -> Self {
        match rng.u32(..100) {
            0..5 => Self::Delay(Duration::from_millis(rng.u64(1..40))),
            5..10 => Self::Trickle(rng.usize(1..300)),
            10..16 => Self::Reset(rng.usize(0..200_000)),
            16..22 => Self::HalfClose(rng.usize(0..200_000)),
            22..24 => Self::BlackHole,
            24..26 => Self::Garbage,
            26..29 => Self::Poison,
            29..45 => Self::IdleClose(Duration::from_millis(rng.u64(1..100))),
            _ => Self::None,
        }
    }
}

/// One server, as the pool sees it.
pub(crate) struct Site {
    pub(crate) addr: SocketAddr,
    rng: Shared<Rng>,
    posts: Arc<Posts>,
    /// While it is down, connections are reset as they come.
    down: AtomicBool,
    /// Counts up each time the server goes down: connections of before are cut.
    life: AtomicU64,
    pub(crate) connections: AtomicU64,
}

impl Site {
    pub(crate) async fn start(
        world: &Arc<Executor<'static>>,
        seed: u64,
        posts: Arc<Posts>,
    ) -> io::Result<Arc<Self>> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let site = Arc::new(Self {
            addr: listener.local_addr()?,
            rng: Shared::new(Rng::with_seed(seed)),
            posts,
            down: AtomicBool::new(false),
            life: AtomicU64::new(0),
            connections: AtomicU64::new(0),
        });
        let (known, spawner) = (site.clone(), world.clone());
        world.spawn(known.accept(listener, spawner)).detach();
        Ok(site)
    }

    pub(crate) fn set_down(&self, down: bool) {
        self.down.store(down, Ordering::Relaxed);
        if down {
            self.life.fetch_add(1, Ordering::Relaxed);
        }
    }

    async fn accept(self: Arc<Self>, listener: TcpListener, world: Arc<Executor<'static>>) {
        loop {
            let Ok((client, _)) = listener.accept().await else {
                // Out of descriptors, say.
                Timer::after(Duration::from_millis(10)).await;
                continue;
            };
            if self.down.load(Ordering::Relaxed) {
                reset(&client).ok();
                continue;
            }
            self.connections.fetch_add(1, Ordering::Relaxed);
            let rng = self.rng.with(Rng::fork);
            let (site, spawner) = (self.clone(), world.clone());
            let connection = async move {
                // How it ends is the pool's to see.
                drop(site.carry(client, rng, &spawner).await);
            };
            world.spawn(connection).detach();
        }
    }

    /// Carries one connection to its end.
    async fn carry(
        &self,
        client: TcpStream,
        mut rng: Rng,
        world: &Executor<'static>,
    ) -> io::Result<()> {
        let fault = Fault::draw(&mut rng);
        let born = self.life.load(Ordering::Relaxed);
        let inner = TcpListener::bind("127.0.0.1:0").await?;
        let server = TcpStream::connect(inner.local_addr()?).await?;
        let (far, _) = inner.accept().await?;
        world.spawn(origin::serve(far, self.posts.clone())).detach();
        let there = async {
            futures_lite::io::copy(client.clone(), &mut server.clone()).await?;
            server.shutdown(Shutdown::Write)
        };
        let back = self.carry_back(&client, &server, fault, born);
        if matches!(fault, Fault::BlackHole) {
            // The client gives up, or the world comes to an end.
            return futures_lite::io::copy(client.clone(), futures_lite::io::sink())
                .await
                .map(drop);
        }
        // The answers' end is the end.
        back.or(async {
            there.await?;
            futures_lite::future::pending().await
        })
        .await
    }

    async fn carry_back(
        &self,
        client: &TcpStream,
        server: &TcpStream,
        fault: Fault,
        born: u64,
    ) -> io::Result<()> {
        let (mut client, mut server) = (client.clone(), server.clone());
        let mut buffer = [0; 8192];
        let mut carried = 0;
        loop {
            let Some(count) = next_piece(&mut server, &mut buffer, fault, carried > 0).await?
            else {
                return match fault {
                    Fault::Poison => client.write_all(b"\0\x01nobody asked for this").await,
                    _ => Ok(()),
                };
            };
            if self.life.load(Ordering::Relaxed) != born {
                return reset(&client);
            }
            let piece = &buffer[..count];
            match fault {
                _ if count == 0 => return Ok(()),
                Fault::Delay(delay) => {
                    Timer::after(delay).await;
                    client.write_all(piece).await?;
                }
                Fault::Trickle(first) if carried < first => {
                    for byte in piece {
                        client.write_all(&[*byte]).await?;
                        futures_lite::future::yield_now().await;
                    }
                }
                Fault::Reset(after) if carried + count > after => {
                    client.write_all(&piece[..after - carried]).await?;
                    return reset(&client);
                }
                Fault::HalfClose(after) if carried + count > after => {
                    client.write_all(&piece[..after - carried]).await?;
                    client.shutdown(Shutdown::Write)?;
                    return futures_lite::io::copy(server, futures_lite::io::sink())
                        .or(async {
                            Timer::after(Duration::from_secs(2)).await;
                            Ok(0)
                        })
                        .await
                        .map(drop);
                }
                Fault::Garbage => {
                    return client.write_all(b"\x16\x03\x01\x02 no HTTP\r\n\r\n").await;
                }
                _ => client.write_all(piece).await?,
            }
            carried += count;
        }
    }
}

/// The next bytes of an answer; `None` if there were none for so long that the fault strikes.
async fn next_piece(
    server: &mut TcpStream,
    buffer: &mut [u8],
    fault: Fault,
    begun: bool,
) -> io::Result<Option<usize>> {
    let patience = match fault {
        Fault::Poison if begun => Duration::from_millis(20),
        Fault::IdleClose(after) if begun => after,
        _ => return server.read(buffer).await.map(Some),
    };
    async { server.read(buffer).await.map(Some) }
        .or(async {
            Timer::after(patience).await;
            Ok(None)
        })
        .await
}

/// Has the connection end in a reset, once it is dropped.
fn reset(stream: &TcpStream) -> io::Result<()> {
    socket2::SockRef::from(stream).set_linger(Some(Duration::ZERO))
}
