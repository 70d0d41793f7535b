//! Goal: the text for Prometheus is right to the byte. Method: a world in virtual time whose every
//! figure is known, against a file.

use std::collections::BTreeMap;
use std::path::Path;

use evenkeel::prometheus::{encode, encode_named};
use evenkeel::rt::sim::Sim;
use evenkeel::{Pool, Select};
use futures_lite::future::poll_once;

use crate::support::sim::{MS, ONE, SECOND, TWO, builder, get};
use crate::support::{SimServer, parse};

const GOLDEN: &str = "tests/it/golden/metrics.prom";

/// A pool that has seen a little of everything, and is seeing some of it.
fn with_seen_pool(look: impl FnOnce(&Pool)) {
    let sim = Sim::new();
    let (one, two) = (SimServer::start(&sim, ONE), SimServer::start(&sim, TWO));
    sim.net().latency(MS);
    let builder = builder(&sim, &[&one]).seed(1);
    let pool = builder.max_connections_per_server(2).build().expect("a valid pool");
    pool.add_server(parse(&two.url()).weight(3)).expect("the pool is open");
    sim.block_on(async {
        for path in ["/b/1000", "/status/503", "/close", "/b/70000"] {
            get(&pool, path).await.expect("it answers");
        }
        get(&pool, "/drop").await.expect_err("it is dropped");
        let at_two = Select::new().server(pool.server_stats()[1].id);
        let mut held = Vec::new();
        for _ in 0..2 {
            held.push(pool.checkout(&at_two).await.expect("it answers"));
        }
        let mut waits = Box::pin(pool.checkout(&at_two));
        assert!(poll_once(&mut waits).await.is_none());
        sim.sleep(SECOND * 2).await;
        held.pop();
        drop(waits.await.expect("it answers"));
        let mut under_way = Box::pin(pool.get("/never"));
        assert!(poll_once(&mut under_way).await.is_none());
        look(&pool);
    });
}

#[test]
fn the_text_is_that_of_the_golden_file() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(GOLDEN);
    with_seen_pool(|pool| {
        // How much memory it takes depends on the machine.
        let memory = format!("_memory_bytes {}\n", pool.metrics().memory_bytes);
        let text = encode(pool);
        assert!(text.contains(&memory));
        let text = text.replace(&memory, "_memory_bytes 123456\n");
        if std::env::var_os("BLESS").is_some() {
            std::fs::write(&path, &text).unwrap();
        }
        let golden = std::fs::read_to_string(&path).unwrap();
        for (line, (is, should_be)) in text.lines().zip(golden.lines()).enumerate() {
            assert_eq!(is, should_be, "line {}; if it should, run this with BLESS=1", line + 1);
        }
        assert_eq!(text.len(), golden.len());
    });
}

/// The samples by family, each with its labels and its value.
fn families(text: &str) -> BTreeMap<String, Vec<(String, f64)>> {
    let mut families: BTreeMap<String, Vec<(String, f64)>> = BTreeMap::new();
    let mut current = String::new();
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            current = rest.split(' ').next().expect("a name").to_owned();
            assert!(families.insert(current.clone(), Vec::new()).is_none(), "{current} twice");
        } else if !line.starts_with('#') {
            let (series, value) = line.rsplit_once(' ').expect("a sample");
            assert!(!value.contains("inf") && !value.contains("NaN"), "{line}");
            assert!(series.starts_with(&current), "{series} within {current}");
            let family = families.get_mut(&current).expect("it has begun");
            assert!(family.iter().all(|(known, _)| known != series), "{series} twice");
            family.push((series.to_owned(), value.parse().expect("a number")));
        }
    }
    families
}

#[test]
fn every_family_begins_once_and_no_series_comes_twice() {
    with_seen_pool(|pool| {
        let one = families(&encode(pool));
        assert!(one.values().all(|samples| !samples.is_empty()));
        // Several pools are told apart by a label, within the same families.
        let several = families(&encode_named(&[("a", pool), ("b\"", pool)]));
        assert_eq!(one.keys().collect::<Vec<_>>(), several.keys().collect::<Vec<_>>());
        for (name, samples) in &one {
            assert_eq!(several[name].len(), 2 * samples.len(), "{name}");
        }
    });
}

#[test]
fn the_number_of_series_depends_on_the_servers_alone() {
    let count = |text: String| text.lines().filter(|line| !line.starts_with('#')).count();
    let sim = Sim::new();
    let one = SimServer::start(&sim, ONE);
    let pool = builder(&sim, &[&one]).build().unwrap();
    let before = count(encode(&pool));
    sim.block_on(async {
        for path in ["/", "/?secret=1", "/status/500", "/b/100000", "/close"] {
            get(&pool, path).await.unwrap();
        }
        get(&pool, "/drop").await.unwrap_err();
    });
    assert_eq!(count(encode(&pool)), before);
    assert!(!encode(&pool).contains("secret"));
    let mut each = Vec::new();
    for server in ["http://10.0.9.1", "http://10.0.9.2"] {
        pool.add_server(parse(server)).unwrap();
        each.push(count(encode(&pool)));
    }
    assert_eq!(each[1] - each[0], each[0] - before);
    assert!(each[0] - before <= 60, "{each:?}");
}

/// The names of families, and of the series of histograms, in a text of any kind.
fn names(text: &str) -> std::collections::BTreeSet<&str> {
    let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    let ours = |word: &&str| ["evenkeel_", "http_client_"].iter().any(|own| word.starts_with(own));
    words.filter(ours).collect()
}

#[test]
fn the_dashboard_and_the_alerts_know_only_names_and_labels_that_there_are() {
    with_seen_pool(|pool| {
        let text = encode(pool);
        let known = names(&text);
        let files = [
            include_str!("../../examples/observability/grafana.json"),
            include_str!("../../examples/observability/alerts.yml"),
        ];
        for file in files {
            let used = names(file);
            assert!(used.len() >= 8, "{used:?}");
            for name in used {
                assert!(known.contains(name), "{name} is in no sample");
            }
            // What is summed by must be a label; `instance` is that of Prometheus.
            for list in file.split("by (").skip(1).filter_map(|rest| rest.split(')').next()) {
                for label in list.split(',').map(str::trim).filter(|label| *label != "instance") {
                    assert!(text.contains(&format!("{label}=\"")), "{label} is no label");
                }
            }
        }
    });
}
