//! Which module may use which, by the paths in the code.

use crate::source::{Source, is_word};

/// The layers from the top down. A module may use those below its own line, not its siblings.
const LAYERS: [&[&str]; 7] = [
    &["tower", "fuzzing", "export"],
    &["pool"],
    &["tasks"],
    &["upstream"],
    &["conn"],
    &["rt", "proto", "balance", "health", "policy"],
    &["lockfree"],
];

/// Below every layer: the door to atomics. It uses nothing.
const BOTTOM: &str = "sync";

/// Plain data: every layer above `lockfree` may use it, and it uses only its like.
const LEAVES: [&str; 8] =
    ["config", "error", "event", "metrics", "select", "server", "strategy", "trace"];

/// Complaints about paths that point up or sideways.
pub(crate) fn arrows(source: &Source) -> Vec<String> {
    let Some(module) = source.module() else {
        return Vec::new();
    };
    let Some(&own) = module.first() else {
        return Vec::new();
    };
    // The root declares and re-exports everything.
    if own == "lib" {
        return Vec::new();
    }
    if !is_known(own) {
        return vec![format!("{}: {own} has no layer; give it one in tests/tidy", source.path)];
    }
    let mut complaints = Vec::new();
    for (line, target) in targets(source, module.len()) {
        let at = format!("{}:{}", source.path, line + 1);
        if !is_known(&target) {
            complaints.push(format!("{at}: crate::{target} is no layer: name the module it is in"));
        } else if target != own && !may_use(own, &target) {
            complaints.push(format!("{at}: {own} must not use {target}"));
        }
    }
    complaints
}

fn is_known(name: &str) -> bool {
    rank(name).is_some() || name == BOTTOM || LEAVES.contains(&name)
}

fn rank(name: &str) -> Option<usize> {
    LAYERS.iter().position(|layer| layer.contains(&name))
}

fn may_use(user: &str, used: &str) -> bool {
    let core = |name| name == BOTTOM || name == "lockfree";
    match (rank(user), rank(used)) {
        _ if used == BOTTOM => !LEAVES.contains(&user),
        _ if LEAVES.contains(&used) => !core(user),
        (Some(user), Some(used)) => user < used,
        _ => false,
    }
}

/// The top-level modules that the code names, each with its line: after `crate::`, alone or in
/// braces, and after as many `super::` as lead to the root.
fn targets(source: &Source, depth: usize) -> Vec<(usize, String)> {
    let to_root = "super::".repeat(depth);
    let mut found = Vec::new();
    for start in ["crate::", to_root.as_str()] {
        for (at, _) in source.code.match_indices(start) {
            let before = &source.code[..at];
            let line = before.matches('\n').count();
            let preceded = before.ends_with("super::") || before.ends_with(is_word);
            // One `super::` in a file at the top may be that of a module inside the file.
            if preceded || (start != "crate::" && depth < 2) {
                continue;
            }
            let rest = &source.code[at + start.len()..];
            found.extend(heads(rest).into_iter().map(|head| (line, head)));
        }
    }
    found
}

/// The first segments of `a::b` or of `{a::b, c::{d, e}}`.
fn heads(path: &str) -> Vec<String> {
    let Some(list) = path.strip_prefix('{') else {
        return head(path).into_iter().collect();
    };
    let (mut nesting, mut heads, mut item_start) = (0, Vec::new(), 0);
    for (at, c) in list.char_indices() {
        match c {
            '{' => nesting += 1,
            '}' if nesting == 0 => {
                heads.extend(head(&list[item_start..at]));
                break;
            }
            '}' => nesting -= 1,
            ',' if nesting == 0 => {
                heads.extend(head(&list[item_start..at]));
                item_start = at + 1;
            }
            _ => {}
        }
    }
    heads
}

fn head(path: &str) -> Option<String> {
    let name: String = path.trim_start().chars().take_while(|c| is_word(*c)).collect();
    (!name.is_empty()).then_some(name)
}

#[test]
fn arrows_up_and_sideways_are_found() {
    let bad = [
        ("src/conn/h1.rs", "use crate::pool::Pool;", "conn must not use pool"),
        ("src/rt/sim.rs", "use crate::proto::h1;", "rt must not use proto"),
        ("src/lockfree/idle.rs", "use crate::error::Error;", "lockfree must not use error"),
        ("src/error.rs", "use crate::conn::Dial;", "error must not use conn"),
        ("src/error.rs", "use crate::sync::Arc;", "error must not use sync"),
        ("src/sync.rs", "use crate::lockfree::Idle;", "sync must not use lockfree"),
        ("src/conn/dial.rs", "fn f() { crate::upstream::g() }", "conn must not use upstream"),
        ("src/conn/dial.rs", "use crate::{\n    error::E, pool::{A, B},\n};", "use pool"),
        ("src/conn/dial.rs", "use super::super::pool::Pool;", "conn must not use pool"),
        ("src/conn/dial.rs", "use crate::Pool;", "crate::Pool is no layer"),
        ("src/helpers.rs", "", "helpers has no layer"),
    ];
    for (path, text, complaint) in bad {
        let complaints = arrows(&Source::new(path, text)).join("\n");
        assert!(complaints.contains(complaint), "{path}, {text}: {complaints:?}");
    }
}

#[test]
fn arrows_down_are_allowed() {
    let good = [
        ("src/pool/mod.rs", "use crate::{conn, error::Error, sync::{Arc, Ordering}};"),
        ("src/conn/h1.rs", "use crate::proto::h1; use super::dial; use crate::conn::x;"),
        ("src/rt/mod.rs", "// crate::pool is above\nuse crate::error::Error;"),
        ("src/lockfree/idle.rs", "use crate::sync::Ordering; use super::permits;"),
        ("src/error.rs", "mod tests { use super::*; }"),
        ("src/lib.rs", "pub use crate::pool::Pool;"),
        ("tests/a.rs", "use crate::support;"),
    ];
    for (path, text) in good {
        assert_eq!(arrows(&Source::new(path, text)), Vec::<String>::new(), "{path}, {text}");
    }
}
