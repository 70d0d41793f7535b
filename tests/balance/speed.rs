use std::time::{Duration, Instant};
use crate::station::Plan;
use crate::world::*;
#[test]
fn speed() {
    for clients in [1, 20] {
    let plan = Plan { workers: 4, service: Duration::from_millis(10), spells: vec![] };
    let s = Scenario { servers: vec![plan; 10], rate: 2800.0, clients, length: Duration::from_secs(20), seed: 1 };
    let t = Instant::now();
    let w = World::run(&s, |b| b);
    let t = t.elapsed();
    let o = w.outcome(Duration::from_secs(5), Duration::from_secs(20));
    println!("{clients}: {} in {t:?}: p50 {:.1} p99 {:.1} p99.9 {:.1} ok {:.2} share {:.2}; {:.0}/s", o.count(), o.quantile(0.5), o.quantile(0.99), o.quantile(0.999), o.ok_percent(), w.share(0, 5, 20), 56000.0/t.as_secs_f64());
    }
}
