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

logs=$(mktemp -d)
trap 'rm -rf "$logs"' EXIT
cargo test --package loom-tests --release --features must-be-loom --tests --no-run \
    --message-format=json-render-diagnostics > "$logs/build"
sed -n 's/.*"executable":"\([^"]*\)".*/\1/p' "$logs/build" > "$logs/binaries"

# A model has one thread at a time: so one file of models for each core.
xargs -P "$(getconf _NPROCESSORS_ONLN)" -I {} bash -o pipefail -c '
    binary=$1 log=$2/${1##*/}.log
    shift 2
    status=0
    # Loom has a model of a waker that prints a line at each step of it.
    "$binary" --nocapture --test-threads=1 "$@" 2>&1 |
        grep -v "src/future/atomic_waker\.rs" > "$log" || status=1
    echo "${binary##*/} | $(grep "^test result" "$log" || echo "ended without a result")"
    [[ $status == 0 ]] || mv "$log" "$log.failed"
    exit $status
' bash {} "$logs" "$@" < "$logs/binaries" || status=1
for log in "$logs"/*.failed; do
    [[ ! -f $log ]] || cat "$log"
done

models=$logs/models
sed -n 's/^.*\(LOOM .*\)$/\1/p' "$logs"/*.log* | sort > "$models"
echo
cat "$models"
echo "loom: $(wc -l < "$models") models"
if grep -q ': 1 executions' "$models"; then
    echo "loom: a model explored one execution only" >&2
    status=1
fi
for file in loom-tests/tests/*.rs; do
    name=$(basename "$file" .rs)
    if [[ $# == 0 ]] && ! grep -q "^LOOM $name::" "$models"; then
        echo "loom: no model of $file was run" >&2
        status=1
    fi
done
exit $status
