#!/usr/bin/env bash
# Runs the lock-free core with four to six threads under schedules that shuttle chooses, at random
# and by the PCT algorithm: the same ones each time.
#
#   ci/shuttle.sh [test filter...]
#
# SHUTTLE_ITERATIONS says how many schedules for each scenario, SHUTTLE_SEED which ones. A schedule
# that fails is printed; with it in SHUTTLE_SCHEDULE, and its scenario as the filter, it runs again.
set -euo pipefail
cd "$(dirname "$0")/.."

# The core is built as for loom, alone and public, and then with shuttle's atomics.
export RUSTFLAGS="--cfg evenkeel_loom --cfg evenkeel_shuttle"
export CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-target}/shuttle"
export CARGO_PROFILE_RELEASE_DEBUG_ASSERTIONS=true
# It warns that it knows no memory orderings. Those are loom's to check.
export SHUTTLE_SILENCE_WARNINGS=1

log=$(mktemp)
trap 'rm -f "$log"' EXIT
status=0
cargo test --package loom-tests --release --features must-be-loom --test shuttle --no-fail-fast -- \
    --nocapture --test-threads=1 "$@" 2>&1 | tee "$log" || status=1

# Without the flags the suite is empty, and passes.
if [[ -z ${SHUTTLE_SCHEDULE:-} ]] && ! grep -q 'SHUTTLE .* schedules in' "$log"; then
    echo "shuttle: no scenario was run" >&2
    status=1
fi
exit $status
