//! Goal: a runtime that a pool cannot use is refused when the pool is built, not by a panic in a
//! caller's poll. Method: take away what tokio can do without.

use evenkeel::{ErrorKind, Pool, Runtime};
use tokio::runtime::Builder;

#[test]
fn a_tokio_runtime_without_timers_is_no_runtime_for_a_pool() {
    for flavor in [Builder::new_current_thread, Builder::new_multi_thread] {
        let tokio = flavor().enable_io().build().unwrap();
        let builder = || Pool::builder().runtime(Runtime::tokio(tokio.handle().clone()));
        for error in [builder().build().err(), builder().build_with_driver().err()] {
            let error = error.expect("it has no timers");
            assert_eq!(error.kind(), ErrorKind::Config);
            assert!(error.is_usage());
            assert!(error.to_string().contains("enable_all"), "{error}");
        }

        let tokio = flavor().enable_all().build().unwrap();
        Pool::builder().runtime(Runtime::tokio(tokio.handle().clone())).build().unwrap();
    }
}
