//! The rules that look at one file, or at the list of files.

use crate::source::{Function, Source, is_word};

const FILE_LINES: usize = 400;
const FUNCTION_LINES: usize = 70;
const COLUMNS: usize = 100;

/// The files that may hold `unsafe` code, one by one.
const UNSAFE: [&str; 8] = [
    "loom-tests/src/support.rs",
    "loom-tests/src/support/shuttle.rs",
    "src/lockfree/gate.rs",
    "src/lockfree/gate/tests.rs",
    "src/lockfree/idle/word.rs",
    "src/lockfree/segments.rs",
    "src/lockfree/snapshot.rs",
    "src/lockfree/waiters.rs",
];

/// The files that may name atomics and crossbeam themselves.
const DOORS: [&str; 2] = ["src/sync.rs", "src/lockfree/snapshot.rs"];

/// How far above an atomic operation its reason may stand.
const REASON_LINES: usize = 6;

fn complain(source: &Source, line: usize, what: &str) -> String {
    format!("{}:{}: {what}", source.path, line + 1)
}

/// Files, functions and lines that are too long.
pub(crate) fn lengths(source: &Source) -> Vec<String> {
    let mut complaints = Vec::new();
    let lines = source.text.lines().count();
    if lines > FILE_LINES {
        complaints.push(complain(source, lines, &format!("{lines} lines in one file")));
    }
    for Function { name, line, end, .. } in source.functions() {
        let length = end - line + 1;
        if length > FUNCTION_LINES {
            complaints.push(complain(source, line, &format!("{name} has {length} lines")));
        }
    }
    for (number, line) in source.text.lines().enumerate() {
        let columns = line.chars().count();
        // The row of a table cannot be broken.
        let is_row = ["/// |", "//! |"].iter().any(|row| line.trim_start().starts_with(row));
        if columns > COLUMNS && !is_row {
            complaints.push(complain(source, number, &format!("{columns} columns")));
        }
    }
    complaints
}

/// `unsafe` outside of the files that are named above.
pub(crate) fn unsafe_code(source: &Source) -> Vec<String> {
    if UNSAFE.contains(&source.path.as_str()) {
        return Vec::new();
    }
    let uses = lines_with(&source.code, |line| has_word(line, "unsafe"));
    uses.map(|line| complain(source, line, "this file is not among those with unsafe code"))
        .collect()
}

/// Atomics and crossbeam that do not come through `sync`.
pub(crate) fn one_door(source: &Source) -> Vec<String> {
    if !source.path.starts_with("src/") || DOORS.contains(&source.path.as_str()) {
        return Vec::new();
    }
    let passes_by = |line: &str| {
        ["std::sync::atomic", "core::sync::atomic", "crossbeam_"].iter().any(|w| line.contains(w))
    };
    let uses = lines_with(source.shipped(), passes_by);
    uses.map(|line| complain(source, line, "atomics and crossbeam come through sync")).collect()
}

/// Atomic operations in the lock-free core whose ordering is not argued for.
pub(crate) fn orderings(source: &Source) -> Vec<String> {
    if !source.path.starts_with("src/lockfree/") {
        return Vec::new();
    }
    let text: Vec<&str> = source.text.lines().collect();
    let names = ["Relaxed", "Acquire", "Release", "AcqRel", "SeqCst"];
    let operates = |line: &str| {
        !line.trim_start().starts_with("use ") && names.iter().any(|name| has_word(line, name))
    };
    lines_with(source.shipped(), operates)
        .filter(|line| {
            let above = &text[line.saturating_sub(REASON_LINES)..=*line];
            !above.iter().any(|line| line.contains("// Ordering:"))
        })
        .map(|line| complain(source, line, "no `// Ordering:` above this operation"))
        .collect()
}

/// The names of all types that are futures.
pub(crate) fn future_types(sources: &[Source]) -> Vec<String> {
    let mut names = vec!["Future".to_owned(), "BoxFuture".to_owned()];
    for source in sources.iter().filter(|source| source.path.starts_with("src/")) {
        for (at, marker) in source.shipped().match_indices("Future for ") {
            let rest = &source.code[at + marker.len()..];
            names.push(rest.chars().take_while(|c| is_word(*c)).collect());
        }
    }
    names
}

/// Public functions that are async or return a future, and do not document cancel safety.
pub(crate) fn cancel_safety(source: &Source, futures: &[String]) -> Vec<String> {
    if !source.path.starts_with("src/") {
        return Vec::new();
    }
    let shipped = source.shipped().matches('\n').count();
    let text: Vec<&str> = source.text.lines().collect();
    let mut complaints = Vec::new();
    for Function { name, line, signature, .. } in source.functions() {
        let signature = signature.trim_start();
        let result = signature.split_once("->").map_or("", |(_, result)| result);
        let is_future =
            has_word(signature, "async") || futures.iter().any(|future| has_word(result, future));
        if line > shipped || !signature.starts_with("pub ") || !is_future {
            continue;
        }
        let docs = text[..line].iter().rev().take_while(|line| {
            let line = line.trim_start();
            line.starts_with("///") || line.starts_with("#[") || line.starts_with("//")
        });
        if !docs.into_iter().any(|line| line.contains("# Cancel safety")) {
            complaints.push(complain(source, line, &format!("{name} lacks `# Cancel safety`")));
        }
    }
    complaints
}

/// Work that was put off, and tests that were switched off.
pub(crate) fn put_off(source: &Source) -> Vec<String> {
    // Written in two parts, so that this file does not complain about itself.
    let words =
        [concat!("TO", "DO"), concat!("FIX", "ME"), concat!("#[ign", "ore"), concat!("to", "do!(")];
    let found = lines_with(&source.text, |line| words.iter().any(|word| line.contains(word)));
    found.map(|line| complain(source, line, "finish it, or take it out")).collect()
}

/// Files of the lock-free core without models.
pub(crate) fn models(sources: &[Source]) -> Vec<String> {
    let mut complaints = Vec::new();
    for source in sources {
        let Some(name) = source.path.strip_prefix("src/lockfree/") else {
            continue;
        };
        let models = format!("loom-tests/tests/{name}");
        // Parts of a file that was split are modelled with the whole.
        if name == "mod.rs" || name.contains('/') {
            continue;
        }
        if !sources.iter().any(|source| source.path == models) {
            complaints.push(format!("{}: {models} is missing", source.path));
        }
    }
    complaints
}

/// The numbers of the lines that fit, counted from 0.
fn lines_with<'a>(
    text: &'a str,
    fits: impl Fn(&str) -> bool + 'a,
) -> impl Iterator<Item = usize> + 'a {
    text.lines().enumerate().filter(move |(_, line)| fits(line)).map(|(number, _)| number)
}

fn has_word(line: &str, word: &str) -> bool {
    line.match_indices(word).any(|(at, _)| {
        !line[..at].ends_with(is_word) && !line[at + word.len()..].starts_with(is_word)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How many complaints a rule has about this text in this file.
    fn count(rule: fn(&Source) -> Vec<String>, path: &str, text: &str) -> usize {
        rule(&Source::new(path, text)).len()
    }

    #[test]
    fn lengths_are_refused_only_one_over_the_limit() {
        let path = "src/a.rs";
        assert_eq!(count(lengths, path, &"\n".repeat(400)), 0);
        assert_eq!(count(lengths, path, &"\n".repeat(401)), 1);
        assert_eq!(count(lengths, path, &"x".repeat(100)), 0);
        assert_eq!(count(lengths, path, &"x".repeat(101)), 1);
        assert_eq!(count(lengths, path, &format!("/// {}", "x".repeat(101))), 1);
        assert_eq!(count(lengths, path, &format!("/// |{}|", "x".repeat(101))), 0);
        assert_eq!(count(lengths, path, &format!("fn f() {{{}}}", "\n".repeat(69))), 0);
        assert_eq!(count(lengths, path, &format!("fn f() {{{}}}", "\n".repeat(70))), 1);
    }

    #[test]
    fn unsafe_code_is_refused_outside_the_listed_files() {
        let text = "fn f() { unsafe { g() } }";
        assert_eq!(count(unsafe_code, "src/conn/h1.rs", text), 1);
        assert_eq!(count(unsafe_code, "tests/it/main.rs", text), 1);
        assert_eq!(count(unsafe_code, "src/lockfree/gate.rs", text), 0);
        assert_eq!(count(unsafe_code, "src/a.rs", "// unsafe\nconst unsafe_free: u8 = 1;"), 0);
    }

    #[test]
    fn another_door_to_atomics_is_refused() {
        for text in ["use std::sync::atomic::AtomicBool;", "use crossbeam_queue::SegQueue;"] {
            assert_eq!(count(one_door, "src/lockfree/idle.rs", text), 1);
            assert_eq!(count(one_door, "src/sync.rs", text), 0);
            assert_eq!(count(one_door, "tests/it/main.rs", text), 0);
        }
    }

    #[test]
    fn an_ordering_without_a_reason_is_refused() {
        let path = "src/lockfree/idle.rs";
        let bare = "fn f() { a.load(Acquire); }";
        assert_eq!(count(orderings, path, bare), 1);
        assert_eq!(count(orderings, "src/pool/mod.rs", bare), 0);
        assert_eq!(count(orderings, path, "use Ordering::{Acquire, Release};"), 0);
        let reason = "// Ordering: pairs with the Release in `g`.\n";
        assert_eq!(count(orderings, path, &format!("{reason}a.load(Acquire);")), 0);
        let near = format!("{reason}{}a.load(Acquire);", "\n".repeat(5));
        assert_eq!(count(orderings, path, &near), 0);
        let far = format!("{reason}{}a.load(Acquire);", "\n".repeat(6));
        assert_eq!(count(orderings, path, &far), 1);
    }

    #[test]
    fn a_future_without_a_word_on_cancelling_is_refused() {
        let declared = Source::new("src/pool/a.rs", "impl Future for Acquire {}");
        let futures = future_types(&[declared]);
        let check = |text: &str| cancel_safety(&Source::new("src/pool/a.rs", text), &futures).len();
        for signature in [
            "pub async fn f() {}",
            "pub fn f() -> impl Future<Output = ()> {}",
            "pub fn f(\n    x: u8,\n) -> Result<Acquire<'_>, Error> {}",
            "pub fn f() -> BoxFuture<'static, ()> {}",
        ] {
            assert_eq!(check(signature), 1, "{signature}");
            assert_eq!(check(&format!("/// Does.\n{signature}")), 1, "{signature}");
            let documented = format!("/// Does.\n///\n/// # Cancel safety\n/// Safe.\n{signature}");
            assert_eq!(check(&documented), 0, "{signature}");
            let attributed = documented.replace("/// Safe.\n", "/// Safe.\n#[must_use]\n");
            assert_eq!(check(&attributed), 0, "{signature}");
        }
        for signature in ["pub(crate) async fn f() {}", "pub fn f(x: BoxFuture<()>) -> u8 {}"] {
            assert_eq!(check(signature), 0, "{signature}");
        }
    }

    #[test]
    fn what_is_put_off_or_switched_off_is_refused() {
        for word in [concat!("// TO", "DO"), concat!("#[ign", "ore]"), concat!("to", "do!()")] {
            assert_eq!(count(put_off, "src/a.rs", word), 1, "{word}");
        }
        assert_eq!(count(put_off, "src/a.rs", "// Done."), 0);
    }

    #[test]
    fn a_lock_free_file_without_models_is_refused() {
        let files = |paths: &[&str]| -> Vec<Source> {
            paths.iter().map(|path| Source::new(*path, "")).collect()
        };
        let alone = files(&["src/lockfree/mod.rs", "src/lockfree/idle.rs"]);
        assert_eq!(models(&alone).len(), 1);
        let modelled = files(&["src/lockfree/idle.rs", "loom-tests/tests/idle.rs"]);
        assert_eq!(models(&modelled).len(), 0);
    }
}
