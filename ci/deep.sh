#!/usr/bin/env bash
# Tier 2: slow checks, for a release or a quiet evening. A check whose tool is missing is skipped
# and named at the end.
set -euo pipefail
cd "$(dirname "$0")/.."

skipped=()
nightly() { cargo +nightly --version >/dev/null 2>&1; }

run() {
    echo "== $1"
    shift
    "$@"
}

ci/servers.sh

.ci/run

run "loom, three preemptions in every model" env LOOM_MAX_PREEMPTIONS=3 ci/loom.sh

run "shuttle, thirty times as many schedules" env SHUTTLE_ITERATIONS=200000 ci/shuttle.sh

run "mutants: seeded bugs that the models must find" ci/mutants.sh

if command -v cargo-hack >/dev/null; then
    run "every pair of features" cargo hack check --lib --feature-powerset --depth 2
else
    skipped+=("every pair of features: cargo-hack is not installed")
fi

if nightly && cargo +nightly miri --version >/dev/null 2>&1; then
    run "Miri" ci/miri.sh
else
    skipped+=("Miri: no nightly toolchain with miri")
fi

if nightly; then
    run "AddressSanitizer" ci/asan.sh
else
    skipped+=("AddressSanitizer: no nightly toolchain")
fi

if nightly && [ -d "$(rustc +nightly --print sysroot)/lib/rustlib/src/rust/library" ]; then
    run "ThreadSanitizer" ci/tsan.sh
else
    skipped+=("ThreadSanitizer: no nightly toolchain with rust-src")
fi

if nightly && command -v cargo-fuzz >/dev/null; then
    for target in fuzz/fuzz_targets/*.rs; do
        target=$(basename "$target" .rs)
        run "fuzzing $target for a minute" cargo +nightly fuzz run "$target" -- -max_total_time=60
    done
else
    skipped+=("fuzzing: no nightly toolchain with cargo-fuzz; the corpus is replayed by cargo test")
fi

# What a request costs, in figures that hardly vary. They are printed, to be compared by a person.
if command -v valgrind >/dev/null; then
    run "user instructions per request" benches/instructions.sh
else
    skipped+=("user instructions per request: valgrind is not installed")
fi

if command -v strace >/dev/null; then
    run "system calls per request" benches/syscalls.sh
else
    skipped+=("system calls per request: strace is not installed")
fi

if command -v promtool >/dev/null && command -v prometheus >/dev/null; then
    run "Prometheus" ci/prometheus.sh
else
    skipped+=("Prometheus: prometheus and promtool are not installed (Debian: prometheus)")
fi

if command -v chromium >/dev/null && command -v python3 >/dev/null; then
    run "the page, in Chromium" ci/page.sh
else
    skipped+=("the page, in Chromium: chromium and python3 are not installed (Debian: chromium)")
fi

run "lints of the benchmarks" cargo clippy --manifest-path benches/Cargo.toml -- -D warnings

run "simulation: ten thousand seeds" \
    env SIM_SEEDS=0..10000 cargo test --release --test it sim_soak

run "soak: ten minutes of faults" cargo run --release --example soak -- --minutes 10

soak() {
    for round in $(seq 10); do
        echo "round $round of 10"
        cargo test --release --test it --test descriptors
    done
}
run "soak: the tests over real sockets, ten times" soak

echo "== all deep checks passed"
for check in ${skipped[@]+"${skipped[@]}"}; do
    echo "skipped: $check"
done
