//! Goal: a tokio runtime that lacks something, or ends too soon, gives errors and never hangs.
//! Method: take it away, and poll what is left from a thread that tokio does not know.

use std::net::TcpListener;
use std::time::Duration;

use futures_lite::future::{block_on, poll_once};
use futures_lite::{AsyncReadExt, AsyncWriteExt};
use tokio::runtime::Builder;

use super::*;
use crate::error::ErrorKind;
use crate::rt::Runtime;
use crate::rt::tests::{assert_more_options, assert_options, now, pair};

#[test]
fn options_are_set_on_the_socket() {
    let runtime = Builder::new_current_thread().enable_all().build().unwrap();
    let tokio = Tokio::new(runtime.handle().clone());
    let connect = |target: &Target, check: &dyn Fn(SockRef<'_>)| {
        let Address::Ip(addr) = target.addr else { panic!("a TCP address") };
        let stream = runtime.block_on(tokio.open(addr, target)).unwrap();
        check(SockRef::from(&stream.stream));
    };
    assert_options(connect);
    assert_more_options(connect);
}

/// Runs `future` on a thread that tokio does not know; fails instead of hanging.
fn promptly<T>(future: impl Future<Output = T>) -> T {
    let too_long = async {
        Runtime::async_io().timer().sleep_until(now() + Duration::from_secs(10)).await;
        panic!("it hangs");
    };
    block_on(futures_lite::future::or(future, too_long))
}

#[test]
fn a_tokio_runtime_that_has_shut_down_gives_errors() {
    for flavor in [Builder::new_current_thread, Builder::new_multi_thread] {
        let tokio = flavor().enable_all().build().unwrap();
        let runtime = Runtime::tokio(tokio.handle().clone());
        let (mut transport, peer) = tokio.block_on(pair(&runtime));
        let mut begun = runtime.timer().sleep_until(now() + Duration::from_secs(3600));
        assert!(block_on(poll_once(begun.as_mut())).is_none());
        let unpolled = runtime.timer().sleep_until(now() + Duration::from_secs(3600));
        drop(tokio);

        promptly(begun.as_mut());
        promptly(unpolled);
        begun.as_mut().reset(now() + Duration::from_secs(3600));
        promptly(begun);
        promptly(runtime.timer().sleep_until(now() + Duration::from_secs(3600)));

        promptly(transport.read(&mut [0; 8])).unwrap_err();
        promptly(transport.write(b"x")).unwrap_err();
        assert_eq!(transport.try_peek(), Liveness::Alive);

        let target = Target::new(peer.local_addr().unwrap(), "localhost");
        let error = promptly(runtime.dialler().connect(&target)).unwrap_err();
        assert!(error.to_string().contains("shut down"), "{error}");
        let error = promptly(runtime.lookup().resolve("localhost", 80)).unwrap_err();
        assert!(error.to_string().contains("shut down"), "{error}");
        promptly(runtime.lookup().resolve("127.0.0.1", 80)).unwrap();
    }
}

#[test]
fn a_waiting_thread_is_woken_when_its_tokio_runtime_shuts_down() {
    let tokio = Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let runtime = Runtime::tokio(tokio.handle().clone());
    let (mut transport, _peer) = block_on(pair(&runtime));
    let sleep = runtime.timer().sleep_until(now() + Duration::from_secs(3600));
    let (waiting, is_waiting) = std::sync::mpsc::channel();
    #[expect(
        clippy::disallowed_methods,
        reason = "the runtime must end while another thread waits"
    )]
    let waiter = std::thread::spawn(move || {
        promptly(async move {
            let mut buf = [0; 8];
            let mut read = std::pin::pin!(transport.read(&mut buf));
            let mut sleep = sleep;
            assert!(poll_once(read.as_mut()).await.is_none());
            assert!(poll_once(sleep.as_mut()).await.is_none());
            waiting.send(()).unwrap();
            sleep.await;
            read.await.unwrap_err();
        });
    });
    is_waiting.recv().unwrap();
    drop(tokio);
    waiter.join().unwrap();
}

#[test]
fn a_tokio_runtime_without_sockets_is_an_error() {
    let tokio = Builder::new_current_thread().build().unwrap();
    let runtime = Runtime::tokio(tokio.handle().clone());
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let target = Target::new(listener.local_addr().unwrap(), "localhost");
    let error = block_on(runtime.dialler().connect(&target)).unwrap_err();
    assert!(error.to_string().contains("enable_all"), "{error}");
}

#[test]
fn a_tokio_runtime_without_timers_is_refused_before_anybody_waits() {
    for flavor in [Builder::new_current_thread, Builder::new_multi_thread] {
        let tokio = flavor().enable_io().build().unwrap();
        let runtime = Runtime::tokio(tokio.handle().clone());
        let error = runtime.check().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config);
        assert!(error.to_string().contains("enable_all"), "{error}");

        let tokio = flavor().enable_time().build().unwrap();
        let runtime = Runtime::tokio(tokio.handle().clone());
        runtime.check().unwrap();
        tokio.block_on(async { Runtime::tokio(tokio.handle().clone()).check() }).unwrap();
        // One that has shut down says so at each connect, see above.
        Runtime::tokio(runtime_that_has_shut_down()).check().unwrap();
    }
}

fn runtime_that_has_shut_down() -> Handle {
    Builder::new_current_thread().enable_all().build().unwrap().handle().clone()
}

#[test]
fn the_task_that_watches_a_tokio_runtime_ends_with_the_last_user() {
    let tokio = Builder::new_current_thread().enable_all().build().unwrap();
    let runtime = Runtime::tokio(tokio.handle().clone());
    let clone = runtime.clone();
    drop(runtime);
    tokio.block_on(tokio::task::yield_now());
    assert_eq!(tokio.metrics().num_alive_tasks(), 1);
    drop(clone);
    tokio.block_on(tokio::task::yield_now());
    assert_eq!(tokio.metrics().num_alive_tasks(), 0);
}
