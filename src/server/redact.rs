//! What an error shows of a URL or a path that it refuses.

/// How much of a text from outside an error shows.
const MOST_SHOWN: usize = 200;

/// A URL or a path as it may appear in an error: in quotes, without user info, query and fragment,
/// and not at any length.
///
/// What is malformed has no parts to go by: a password may hold a slash, or stand behind one. So
/// all that stands before the last `@` is hidden, and all that stands behind a `?` or a `#`.
pub(crate) fn redact(url: &str) -> String {
    let secret = ['?', '#'];
    let shown = match url.rsplit_once('@') {
        Some((before, _)) if before.contains(secret) => "…@…".to_owned(),
        Some((_, after)) => format!("…@{}", without_tail(after, secret)),
        None => without_tail(url, secret),
    };
    // A message is no place for a megabyte of junk, nor for control characters.
    let mut shown = shown.escape_debug();
    let short: String = shown.by_ref().take(MOST_SHOWN).collect();
    let more = if shown.next().is_some() { "…" } else { "" };
    format!("\"{short}{more}\"")
}

/// The text up to the first of these characters, and a mark in place of what follows.
fn without_tail(text: &str, ends: [char; 2]) -> String {
    match text.find(ends) {
        Some(end) => format!("{}…", &text[..=end]),
        None => text.to_owned(),
    }
}
