#!/usr/bin/env bash
# Runs every loom model of the lock-free core, and fails if one is missing or explores nothing.
#
#   ci/loom.sh [test filter...]
#
# LOOM_MAX_PREEMPTIONS overrides the preemption bound of each model (`ci/deep.sh` uses 3, which takes far longer).
set -euo pipefail
cd "$(dirname "$0")/.."

# Both make loom stop early and report success.
if [[ -n ${LOOM_MAX_DURATION:-} || -n ${LOOM_MAX_PERMUTATIONS:-} ]]; then
    echo "loom: unset LOOM_MAX_DURATION and LOOM_MAX_PERMUTATIONS: what they cut short passes" >&2
    exit 1
fi

status=0
for file in src/lockfree/*.rs; do
    name=$(basename "$file" .rs)
    if [[ $name != mod && ! -f loom-tests/tests/$name.rs ]]; then
        echo "loom: $file has no models: loom-tests/tests/$name.rs is missing" >&2
        status=1
    fi
done

# RUSTFLAGS replaces whatever a config file sets, and another set of flags in the same target
# directory would rebuild everything at each change of mind: hence a directory of its own. Doc
# tests would not get the flags, hence --tests. Models are slow without optimisation, and blind
# without the debug assertions.
export RUSTFLAGS="--cfg evenkeel_loom --cfg crossbeam_loom"
export CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-target}/loom"
export CARGO_PROFILE_RELEASE_DEBUG_ASSERTIONS=true

log=$(mktemp)
trap 'rm -f "$log"' EXIT
# loom's model of a waker prints a line at each step of it.
cargo test --package loom-tests --release --features must-be-loom --tests --no-fail-fast -- \
    --nocapture --test-threads=1 "$@" 2>&1 |
    tee "$log" | grep -v 'src/future/atomic_waker\.rs' || status=1

sed -n 's/^.*\(LOOM .*\)$/\1/p' "$log" | sort > "$log.models"
echo
cat "$log.models"
echo "loom: $(wc -l < "$log.models") models"
if grep -q ': 1 executions' "$log.models"; then
    echo "loom: a model explored one execution only" >&2
    status=1
fi
for file in loom-tests/tests/*.rs; do
    name=$(basename "$file" .rs)
    if [[ $# == 0 ]] && ! grep -q "^LOOM $name::" "$log.models"; then
        echo "loom: no model of $file was run" >&2
        status=1
    fi
done
rm -f "$log.models"
exit $status
