//! Every case of the rule, written out.

use super::*;

const YES: bool = true;
const NO: bool = false;

/// What a request is, as far as the rule asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// A GET, or a POST that has a key or whose caller says so.
    Repeatable,
    /// A POST.
    Once,
}

/// A broken connection: whether it had been open before, what of the request was sent, what of the
/// answer came; and why the request is sent again, if its body can be.
type Row = (Kind, bool, bool, bool, Option<RetryReason>);

use Kind::{Once, Repeatable};
use RetryReason::{NoAnswer, Stale, Unsent};

const BROKEN: [Row; 16] = [
    // kind, reused, sent, received
    (Repeatable, YES, NO, NO, Some(Stale)),
    (Repeatable, YES, NO, YES, Some(Stale)),
    (Repeatable, YES, YES, NO, Some(Stale)),
    (Repeatable, YES, YES, YES, None),
    (Repeatable, NO, NO, NO, Some(Unsent)),
    (Repeatable, NO, NO, YES, Some(Unsent)),
    (Repeatable, NO, YES, NO, None),
    (Repeatable, NO, YES, YES, None),
    (Once, YES, NO, NO, Some(Stale)),
    (Once, YES, NO, YES, Some(Stale)),
    (Once, YES, YES, NO, None),
    (Once, YES, YES, YES, None),
    (Once, NO, NO, NO, Some(Unsent)),
    (Once, NO, NO, YES, Some(Unsent)),
    (Once, NO, YES, NO, None),
    (Once, NO, YES, YES, None),
];

fn broken(row: Row, replayable: bool) -> Attempt {
    let (kind, reused, sent, received, _) = row;
    let repeatable = kind == Repeatable;
    let ended = Ended::Broken;
    Attempt { ended, reused, sent, received, replayable, repeatable, expects: false }
}

#[test]
fn a_request_on_a_broken_connection_is_sent_again_exactly_where_the_table_says() {
    for row in BROKEN {
        assert_eq!(broken(row, true).reason(&Retry::new()), row.4, "{row:?}");
        assert_eq!(broken(row, false).reason(&Retry::new()), None, "{row:?}: its body is gone");
    }
}

#[test]
fn one_without_an_answer_is_sent_again_on_request_if_it_may_be_repeated() {
    let asked = Retry::new().on_no_answer(true);
    for row in BROKEN {
        let silent = (row.0, row.1, row.2, row.3) == (Repeatable, NO, YES, NO);
        let expected = if silent { Some(NoAnswer) } else { row.4 };
        assert_eq!(broken(row, true).reason(&asked), expected, "{row:?}");
        assert_eq!(broken(row, false).reason(&asked), None, "{row:?}: its body is gone");
        // The time for the head was up, on a connection of any age.
        let stalled = Attempt { ended: Ended::Stalled, ..broken(row, true) };
        assert_eq!(stalled.reason(&Retry::new()), None, "{row:?}");
        let expected = (row.0 == Repeatable && !row.3).then_some(NoAnswer);
        assert_eq!(stalled.reason(&asked), expected, "{row:?}");
    }
}

#[test]
fn no_fault_of_another_kind_is_retried() {
    let asked = Retry::new().on_no_answer(true).on_status(400..=599);
    for row in BROKEN {
        let fault = Attempt { ended: Ended::Fault, ..broken(row, true) };
        assert_eq!(fault.reason(&asked), None, "{row:?}");
    }
}

/// An answer: its status, whether the server closes, whether the connection had been open before,
/// whether the request asked for leave; and why a request that may be repeated, and one that may
/// not, is sent again, with 408 and 503 on the list and without.
type Answer = (u16, bool, bool, bool, [Option<RetryReason>; 4]);

#[test]
fn an_answer_is_taken_for_the_last_but_where_the_table_says() {
    let status = |code| Some(RetryReason::Status(StatusCode::from_u16(code).unwrap()));
    let (stale, leave) = (Some(Stale), Some(RetryReason::Expectation));
    let rows: [Answer; 14] = [
        // status, closes, reused, expects: repeatable listed, not listed; once listed, not listed
        (200, YES, YES, YES, [None; 4]),
        (404, YES, YES, NO, [None; 4]),
        (408, YES, YES, NO, [stale, stale, None, None]),
        (408, NO, YES, NO, [status(408), None, None, None]),
        (408, YES, NO, NO, [status(408), None, None, None]),
        (408, NO, NO, NO, [status(408), None, None, None]),
        (417, NO, NO, YES, [leave; 4]),
        (417, YES, YES, YES, [leave; 4]),
        (417, YES, YES, NO, [None; 4]),
        (429, NO, NO, NO, [None; 4]),
        (500, YES, YES, NO, [None; 4]),
        (503, NO, NO, NO, [status(503), None, None, None]),
        (503, YES, YES, NO, [status(503), None, None, None]),
        (504, YES, YES, NO, [None; 4]),
    ];
    let listed = Retry::new().on_status([408, 503]);
    for row in rows {
        let (code, closes, reused, expects, expected) = row;
        let ended_with = StatusCode::from_u16(code).unwrap();
        let ended = Ended::Answered(ended_with, closes);
        let attempt = |repeatable, replayable| {
            let (sent, received) = (true, true);
            Attempt { ended, reused, sent, received, replayable, repeatable, expects }
        };
        let reasons =
            [(true, &listed), (true, &Retry::new()), (false, &listed), (false, &Retry::new())]
                .map(|(repeatable, retry)| attempt(repeatable, true).reason(retry));
        assert_eq!(reasons, expected, "{row:?}");
        let retried = [&listed, &Retry::new()].map(|retry| {
            [true, false].iter().any(|&may| attempt(may, true).reason(retry).is_some())
        });
        let concerned = [concerns(&listed, ended_with), concerns(&Retry::new(), ended_with)];
        assert!(retried[0] <= concerned[0] && retried[1] <= concerned[1], "{row:?}");
        assert_eq!(attempt(true, false).reason(&listed), None, "{row:?}: its body is gone");
    }
}

#[test]
fn a_request_may_be_repeated_by_its_method_its_key_or_its_caller_s_word() {
    let methods = [
        (Method::GET, YES),
        (Method::HEAD, YES),
        (Method::OPTIONS, YES),
        (Method::TRACE, YES),
        (Method::PUT, YES),
        (Method::DELETE, YES),
        (Method::POST, NO),
        (Method::PATCH, NO),
        (Method::CONNECT, NO),
        (Method::from_bytes(b"BREW").unwrap(), NO),
    ];
    for (method, idempotent) in methods {
        for key in [None, Some("Idempotency-Key"), Some("x-idempotency-key"), Some("x-key")] {
            let mut headers = HeaderMap::new();
            if let Some(key) = key {
                let name = HeaderName::from_bytes(key.as_bytes()).unwrap();
                headers.insert(name, "8e03978e".parse().unwrap());
            }
            let has_key = key.is_some_and(|key| key != "x-key");
            let may = |says| is_repeatable(&method, &headers, says);
            assert_eq!(may(None), idempotent || has_key, "{method}, {key:?}");
            assert!(may(Some(true)) && !may(Some(false)), "{method}, {key:?}");
        }
    }
}

#[test]
fn only_the_retries_of_stale_connections_are_free() {
    assert!(is_free(Stale));
    let others = [Unsent, NoAnswer, RetryReason::Expectation, RetryReason::Status(StatusCode::OK)];
    assert!(!others.into_iter().any(is_free));
}

#[test]
fn the_members_of_a_list_are_found_on_any_line_and_in_any_case() {
    let mut headers = HeaderMap::new();
    headers.append(CONNECTION, "keep-alive".parse().unwrap());
    assert!(!closes(&headers));
    headers.append(CONNECTION, "upgrade, Close".parse().unwrap());
    headers.insert(EXPECT, "100-Continue".parse().unwrap());
    assert!(closes(&headers) && expects_continue(&headers));
    headers.insert(CONNECTION, "closed".parse().unwrap());
    headers.insert(EXPECT, "200-ok".parse().unwrap());
    assert!(!closes(&headers) && !expects_continue(&headers));
}
