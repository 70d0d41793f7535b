//! House rules that no compiler checks. Each rule is a function from a file to complaints, and
//! each has a test of its own that it can complain.

#[path = "tidy/layers.rs"]
mod layers;
#[path = "tidy/rules.rs"]
mod rules;
#[path = "tidy/source.rs"]
mod source;

use std::fs;
use std::path::Path;

use self::source::Source;

/// Every Rust file of the project: its own, not those of build directories.
fn all_sources() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut sources = Vec::new();
    for folder in ["src", "tests", "examples", "loom-tests", "benches", "fuzz"] {
        collect(root, &root.join(folder), &mut sources);
    }
    sources.sort_by(|a, b| a.path.cmp(&b.path));
    assert!(sources.len() > 10, "the sources are not where this test looks for them");
    sources
}

fn collect(root: &Path, folder: &Path, sources: &mut Vec<Source>) {
    // A packaged crate has no benches and no fuzz targets.
    let Ok(entries) = fs::read_dir(folder) else {
        return;
    };
    for entry in entries {
        let path = entry.expect("a directory entry").path();
        if path.is_dir() {
            if path.file_name().is_some_and(|name| name != "target") {
                collect(root, &path, sources);
            }
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = fs::read_to_string(&path).expect("a readable file");
            let path = path.strip_prefix(root).expect("a path below the root");
            let path = path.to_string_lossy().replace('\\', "/");
            sources.push(Source::new(path, text));
        }
    }
}

/// Fails with all complaints of a rule over all files.
#[track_caller]
fn assert_tidy(rule: impl Fn(&Source) -> Vec<String>) {
    let complaints: Vec<String> = all_sources().iter().flat_map(rule).collect();
    assert!(complaints.is_empty(), "\n{}\n", complaints.join("\n"));
}

#[test]
fn files_functions_and_lines_are_short() {
    assert_tidy(rules::lengths);
}

#[test]
fn arrows_between_layers_only_go_down() {
    assert_tidy(layers::arrows);
}

#[test]
fn unsafe_is_only_where_it_is_allowed() {
    assert_tidy(rules::unsafe_code);
}

#[test]
fn atomics_and_crossbeam_have_one_door() {
    assert_tidy(rules::one_door);
}

#[test]
fn every_atomic_operation_says_why_its_ordering_is_enough() {
    assert_tidy(rules::orderings);
}

#[test]
fn everything_that_can_be_cancelled_says_how_safe_that_is() {
    let sources = all_sources();
    let futures = rules::future_types(&sources);
    assert_tidy(|source| rules::cancel_safety(source, &futures));
}

#[test]
fn nothing_is_put_off_or_switched_off() {
    assert_tidy(rules::put_off);
}

#[test]
fn every_lock_free_file_has_models() {
    let sources = all_sources();
    // A packaged crate comes without its models.
    if !sources.iter().any(|source| source.path.starts_with("loom-tests/")) {
        return;
    }
    let complaints = rules::models(&sources);
    assert!(complaints.is_empty(), "\n{}\n", complaints.join("\n"));
}
