//! Goal: one who does not come for what it was given keeps nobody waiting for long.
//! Method: callers that are polled once, and then left alone while time goes on.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Wake, Waker};

use evenkeel::rt::sim::Sim;
use evenkeel::{Checkout, Error, Pool, Select};
use futures_lite::future::poll_once;

use crate::support::sim::{BACKGROUNDS, Background, MS, ONE, SECOND, builder, hold};
use crate::support::{SimServer, assert_balanced};

type Waiter<'a> = Pin<Box<dyn Future<Output = Result<Checkout, Error>> + 'a>>;

/// Counts its wakes.
#[derive(Default)]
struct Wakes(AtomicUsize);

impl Wake for Wakes {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

impl Wakes {
    fn get(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

/// A caller that stands in line, of this class.
#[track_caller]
fn wait(pool: &Pool, class: u8) -> Waiter<'_> {
    let mut waiter: Waiter<'_> = Box::pin(pool.checkout(Select::new().priority(class)));
    assert!(look(&mut waiter).is_none(), "there is nothing to wait for");
    waiter
}

/// Polls it once.
fn look(waiter: &mut Waiter<'_>) -> Option<Result<Checkout, Error>> {
    look_as(waiter, Waker::noop())
}

fn look_as(waiter: &mut Waiter<'_>, waker: &Waker) -> Option<Result<Checkout, Error>> {
    match waiter.as_mut().poll(&mut Context::from_waker(waker)) {
        std::task::Poll::Ready(ended) => Some(ended),
        std::task::Poll::Pending => None,
    }
}

/// One connection, and one server.
fn world(background: Background) -> (Sim, SimServer, Pool) {
    let sim = Sim::new();
    let server = SimServer::start(&sim, ONE);
    let pool = background.build(&sim, builder(&sim, &[&server]).max_connections_per_server(1));
    (sim, server, pool)
}

#[test]
fn a_connection_that_is_not_taken_goes_to_the_next_at_the_grace_and_not_before() {
    // How long the line has stood before the connection comes back.
    for (background, before) in BACKGROUNDS.into_iter().flat_map(|b| [(b, 0), (b, 30), (b, 120)]) {
        let (sim, server, pool) = world(background);
        sim.block_on(async {
            let held = hold(&pool, 1).await;
            let stalled = wait(&pool, 0);
            let next = wait(&pool, 0);
            sim.sleep(MS * before).await;
            let start = sim.now();
            drop(held);
            drop(next.await.expect("it is passed on"));
            assert_eq!(sim.now() - start, MS * 50, "{background:?} {before}");
            drop(stalled.await.expect("it has not lost its place"));
        });
        assert_eq!(server.counts().opened, 1);
        assert_eq!(pool.metrics().grants_reclaimed, 1);
        assert_balanced(&pool.metrics());
    }
}

#[test]
fn a_permit_that_is_not_taken_goes_to_the_next() {
    for background in BACKGROUNDS {
        let (sim, server, pool) = world(background);
        sim.block_on(async {
            let mut held = hold(&pool, 1).await;
            let stalled = wait(&pool, 0);
            let next = wait(&pool, 0);
            let start = sim.now();
            held.pop().unwrap().discard();
            let checkout = next.await.expect("it dials");
            assert_eq!((sim.now() - start, checkout.info().uses), (MS * 50, 0));
            assert_eq!(pool.metrics().total_connections, 1);
            drop(checkout);
            drop(stalled.await.unwrap());
        });
        assert_eq!((server.counts().opened, server.counts().peak), (2, 1));
        assert_balanced(&pool.metrics());
    }
}

#[test]
fn handoff_grace_is_how_long_a_caller_may_take() {
    for background in BACKGROUNDS {
        let sim = Sim::new();
        let server = SimServer::start(&sim, ONE);
        let builder = builder(&sim, &[&server]).max_connections_per_server(1);
        let pool = background.build(&sim, builder.handoff_grace(SECOND));
        sim.block_on(async {
            let held = hold(&pool, 1).await;
            let mut slow = wait(&pool, 0);
            let mut next = wait(&pool, 0);
            drop(held);
            sim.sleep(MS * 999).await;
            assert!(look(&mut next).is_none());
            drop(look(&mut slow).expect("it comes just in time").unwrap());
            drop(next.await.unwrap());
        });
        assert_eq!(pool.metrics().grants_reclaimed, 0);
        assert_balanced(&pool.metrics());
    }
}

#[test]
fn nothing_is_taken_back_while_nobody_else_waits() {
    for background in BACKGROUNDS {
        let (sim, _server, pool) = world(background);
        sim.block_on(async {
            let held = hold(&pool, 1).await;
            let mut alone = wait(&pool, 0);
            drop(held);
            sim.sleep(SECOND * 10).await;
            drop(look(&mut alone).expect("it is its own").unwrap());
        });
        assert_eq!(pool.metrics().grants_reclaimed, 0);
        assert_balanced(&pool.metrics());
    }
}

#[test]
fn what_has_been_out_for_long_goes_to_a_newcomer_at_once() {
    for background in BACKGROUNDS {
        let (sim, _server, pool) = world(background);
        sim.block_on(async {
            let held = hold(&pool, 1).await;
            let stalled = wait(&pool, 0);
            drop(held);
            sim.sleep(SECOND).await;
            let start = sim.now();
            drop(pool.checkout(Select::new()).await.unwrap());
            assert_eq!(sim.now(), start);
            drop(stalled);
        });
        assert_balanced(&pool.metrics());
    }
}

#[test]
fn a_grant_is_taken_back_once_and_the_second_stands() {
    for background in BACKGROUNDS {
        let (sim, _server, pool) = world(background);
        sim.block_on(async {
            let held = hold(&pool, 1).await;
            let stalled = wait(&pool, 0);
            let next = wait(&pool, 0);
            drop(held);
            let checkout = next.await.unwrap();
            let mut third = wait(&pool, 0);
            drop(checkout);
            sim.sleep(SECOND * 10).await;
            assert!(look(&mut third).is_none(), "the stalled one has it, for good");
            drop(stalled.await.unwrap());
            drop(third.await.unwrap());
        });
        assert_eq!(pool.metrics().grants_reclaimed, 1);
        assert_balanced(&pool.metrics());
    }
}

/// The order in which those in line are served, after the first of them has lost its grant.
fn order_after_a_stall(background: Background, stalled: u8, others: &[u8]) -> Vec<usize> {
    let (sim, _server, pool) = world(background);
    let served = sim.block_on(async {
        let held = hold(&pool, 1).await;
        let mut line = vec![(0, wait(&pool, stalled))];
        line.extend(others.iter().zip(1..).map(|(class, at)| (at, wait(&pool, *class))));
        drop(held);
        sim.sleep(MS * 50).await;
        sim.settle().await;
        // Without a driver it takes one who is polled.
        assert!(line.iter_mut().skip(2).all(|(_, waiter)| look(waiter).is_none()));
        let mut served = Vec::new();
        while !line.is_empty() {
            let mut found = None;
            for (at, (_, waiter)) in line.iter_mut().enumerate() {
                if let Some(checkout) = look(waiter) {
                    found = Some((at, checkout.expect("a connection")));
                    break;
                }
            }
            let (at, checkout) = found.expect("nobody is served");
            served.push(line.remove(at).0);
            drop(checkout);
        }
        served
    });
    assert_eq!(pool.metrics().grants_reclaimed, 1);
    assert_balanced(&pool.metrics());
    served
}

#[test]
fn the_others_keep_their_order_and_the_one_who_did_not_come_is_the_last_of_its_class() {
    for background in BACKGROUNDS {
        assert_eq!(order_after_a_stall(background, 0, &[0, 0, 0]), [1, 2, 3, 0]);
        assert_eq!(order_after_a_stall(background, 3, &[3, 3, 1]), [1, 2, 0, 3]);
        // It is not given back to the one from whom it was taken, though that is of a higher class.
        assert_eq!(order_after_a_stall(background, 7, &[1, 1]), [1, 0, 2]);
    }
}

#[test]
fn one_who_lost_its_grant_may_leave() {
    for background in BACKGROUNDS {
        let (sim, _server, pool) = world(background);
        sim.block_on(async {
            let held = hold(&pool, 1).await;
            let stalled = wait(&pool, 0);
            let (next, last) = (wait(&pool, 0), wait(&pool, 0));
            drop(held);
            let checkout = next.await.unwrap();
            assert_eq!(pool.metrics().waiting, 2);
            drop(stalled);
            assert_eq!(pool.metrics().waiting, 1);
            drop(checkout);
            drop(last.await.unwrap());
        });
        assert_balanced(&pool.metrics());
    }
}

#[test]
fn nobody_is_woken_more_than_once_for_each_grant() {
    let (sim, _server, pool) = world(Background::Driven);
    sim.block_on(async {
        let held = hold(&pool, 1).await;
        let [first, second] = [Arc::<Wakes>::default(), Arc::default()];
        let (one, two) = (Waker::from(first.clone()), Waker::from(second.clone()));
        let mut stalled: Waiter<'_> = Box::pin(pool.checkout(Select::new()));
        let mut next: Waiter<'_> = Box::pin(pool.checkout(Select::new()));
        assert!(look_as(&mut stalled, &one).is_none() && look_as(&mut next, &two).is_none());
        drop(held);
        sim.sleep(MS * 49).await;
        assert_eq!((first.get(), second.get()), (1, 0));
        sim.sleep(MS).await;
        assert_eq!((first.get(), second.get()), (1, 1));
        assert!(look_as(&mut stalled, &one).is_none(), "too late");
        drop(look_as(&mut next, &two).expect("it was woken for something").unwrap());
        assert_eq!((first.get(), second.get()), (2, 1));
        drop(look_as(&mut stalled, &one).expect("again").unwrap());
    });
    assert_balanced(&pool.metrics());
}

#[test]
fn those_who_wait_look_themselves_once_the_driver_has_gone() {
    for timeout in [None, Some(SECOND * 30)] {
        let sim = Sim::new();
        let server = SimServer::start(&sim, ONE);
        let builder = builder(&sim, &[&server]).max_connections_per_server(1);
        let (pool, mut driver) = builder.request_timeout(timeout).build_with_driver().unwrap();
        sim.block_on(async {
            assert!(poll_once(&mut driver).await.is_none());
            let held = hold(&pool, 1).await;
            let stalled = wait(&pool, 0);
            // It is polled only when it is woken, and has made its plans with the driver in mind.
            let wakes = Arc::<Wakes>::default();
            let waker = Waker::from(wakes.clone());
            let mut next: Waiter<'_> = Box::pin(pool.checkout(Select::new()));
            assert!(look_as(&mut next, &waker).is_none());
            drop(driver);
            assert_eq!(wakes.get(), 1, "it does not hear of it");
            assert!(look_as(&mut next, &waker).is_none());
            drop(held);
            sim.sleep(MS * 49).await;
            assert_eq!(wakes.get(), 1);
            sim.sleep(MS).await;
            assert_eq!(wakes.get(), 2);
            assert!(look_as(&mut next, &waker).is_none(), "it takes it back, and is woken for it");
            assert_eq!(wakes.get(), 3);
            drop(look_as(&mut next, &waker).expect("it is passed on").unwrap());
            drop(stalled);
        });
        assert_eq!(pool.metrics().grants_reclaimed, 1, "{timeout:?}");
        assert_balanced(&pool.metrics());
    }
}

#[test]
fn the_driver_looks_as_long_as_a_grant_is_out_and_then_no_more() {
    let sim = Sim::new();
    let server = SimServer::start(&sim, ONE);
    let runtime = sim.runtime_without_background();
    let builder = builder(&sim, &[&server]).max_connections_per_server(1).runtime(runtime);
    let builder = builder.cleanup_interval(SECOND * 1_000).idle_conn_timeout(SECOND * 1_000);
    let builder = builder.watch_interval(None);
    let (pool, mut driver) = builder.build_with_driver().unwrap();
    let polls = Arc::new(Wakes::default());
    sim.spawn({
        let polls = polls.clone();
        std::future::poll_fn(move |cx| {
            polls.wake_by_ref();
            Pin::new(&mut driver).poll(cx)
        })
    });
    sim.block_on(async {
        let held = hold(&pool, 1).await;
        let stalled = wait(&pool, 0);
        let (mut next, mut last) = (wait(&pool, 0), wait(&pool, 0));
        drop(held);
        sim.sleep(MS * 60).await;
        let checkout = poll_once(&mut next).await.expect("passed on").unwrap();
        sim.settle().await;
        let before = polls.get();
        drop(checkout);
        drop(poll_once(&mut last).await.expect("it came back").unwrap());
        // The stalled one has its second grant. Two more wait, for as long as it likes.
        let waiting = [wait(&pool, 0), wait(&pool, 0)];
        sim.sleep(SECOND * 20).await;
        assert!(polls.get() - before <= 3, "it ticks: {}", polls.get() - before);
        drop(stalled.await.unwrap());
        drop(waiting);
    });
    assert_balanced(&pool.metrics());
}
