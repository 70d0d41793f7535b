//! Goal: the documents name no test that is not there. Method: look each name up in its file.

use std::fs;
use std::path::Path;

/// What is between backticks in this document.
fn code_spans(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2)
}

/// The file that a test's path leads to, and the test's name, or its beginning before a star.
fn place_of(span: &str) -> Option<(String, &str)> {
    let (root, rest) = span.split_once("::")?;
    let (folder, rest) = match root {
        "it" | "api" | "balance" => (format!("tests/{root}/"), rest),
        "loom" => ("loom-tests/tests/".to_owned(), rest),
        "tls" => ("tests/tls/suite/".to_owned(), rest),
        "src" => ("src/".to_owned(), rest),
        "descriptors" => ("tests/".to_owned(), span),
        _ => return None,
    };
    // A path without a third part is that of a whole file.
    let (file, name) = rest.rsplit_once("::").unwrap_or((rest, "*"));
    Some((format!("{folder}{}.rs", file.replace("::", "/")), name))
}

/// Whether the file has such a test.
fn has_test(text: &str, name: &str) -> bool {
    match name.strip_suffix('*') {
        Some(beginning) => text.contains(&format!("fn {beginning}")),
        None => text.contains(&format!("fn {name}(")),
    }
}

#[track_caller]
fn assert_names_exist(document: &str) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let document = fs::read_to_string(root.join(document)).expect("the document");
    // A fence of backticks would swap what is inside and what is outside.
    let document = document.replace("```", "");
    let named: Vec<&str> = code_spans(&document).filter(|span| place_of(span).is_some()).collect();
    assert!(named.len() > 40, "the names are not where this test looks for them: {named:?}");
    for span in named {
        let (file, name) = place_of(span).expect("filtered above");
        let text = fs::read_to_string(root.join(&file)).unwrap_or_default();
        assert!(has_test(&text, name), "{span}: no such test in {file}");
    }
}

#[test]
fn every_test_that_the_architecture_names_exists() {
    assert_names_exist("ARCHITECTURE.md");
}

#[test]
fn every_model_that_the_page_on_models_names_exists() {
    assert_names_exist("loom-tests/README.md");
}

#[test]
fn a_test_that_is_not_there_is_noticed() {
    let text = "fn a_limit_is_kept() {}\n    fn a_race_is_won(3) {}";
    for name in ["a_limit_is_kept", "a_limit_*", "a_race_is_won", "*"] {
        assert!(has_test(text, name), "{name}");
    }
    for name in ["a_limit_is", "a_limit_is_kept_", "limit_*"] {
        assert!(!has_test(text, name), "{name}");
    }
    let place = |span| place_of(span).map(|(file, name)| format!("{file} {name}"));
    assert_eq!(place("it::limits::x").as_deref(), Some("tests/it/limits.rs x"));
    assert_eq!(place("loom::gate::x*").as_deref(), Some("loom-tests/tests/gate.rs x*"));
    assert_eq!(place("src::policy::retry::x").as_deref(), Some("src/policy/retry.rs x"));
    assert_eq!(place("descriptors::x").as_deref(), Some("tests/descriptors.rs x"));
    assert_eq!(place("api::documents").as_deref(), Some("tests/api/documents.rs *"));
    assert_eq!(place("Pool::send"), None);
}
