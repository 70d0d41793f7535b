//! Goal: an error tells what was wrong without telling secrets, and is never long. Method: feed
//! the pool with junk that holds both.

use std::error::Error as _;

use evenkeel::{ErrorKind, Pool};
use futures_lite::future::block_on;

/// All that a log may show of an error.
fn everything(error: &evenkeel::Error) -> String {
    let mut text = format!("{error} {error:?}");
    let mut source = error.source();
    while let Some(error) = source {
        text += &format!(" {error} {error:?}");
        source = error.source();
    }
    text
}

#[test]
fn a_path_that_is_refused_shows_no_secret() {
    let pool = Pool::builder().build().unwrap();
    let paths = [
        "http://user:secret@host/a b",
        "http://user:secret@host/",
        "http://user:se/secret@host/ ",
        "//user:secret@host/ ",
        "/a b?token=secret",
        "/a b?who=me@home&token=secret",
    ];
    for path in paths {
        let error = block_on(pool.get(path)).expect_err(path);
        assert_eq!(error.kind(), ErrorKind::Request, "{path}: {error}");
        assert!(error.is_retry_safe(), "nothing was sent");
        let text = everything(&error);
        assert!(!text.contains("secret"), "{path}: {text}");
    }
}

#[test]
fn a_long_path_that_is_refused_makes_a_short_message() {
    let pool = Pool::builder().build().unwrap();
    for filling in ["x", "\u{1}", "é"] {
        let path = format!("/{} ", filling.repeat(100_000));
        let error = block_on(pool.get(path)).expect_err(filling);
        assert_eq!(error.kind(), ErrorKind::Request);
        assert!(error.to_string().chars().count() < 250, "{error}");
    }
}
