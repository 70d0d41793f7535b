#!/usr/bin/env bash
# Miri over the unit tests of the lock-free core: undefined behaviour, leaks, and orderings that are
# too weak, over several seeds of its scheduler. Miri has no sockets, hence only `lockfree`.
#
#   ci/miri.sh [test filter...]
#
# Skipped with a message where there is no nightly toolchain with Miri.
set -euo pipefail
cd "$(dirname "$0")/.."

if ! cargo +nightly miri --version > /dev/null 2>&1; then
    echo "miri: skipped: no nightly toolchain with miri (rustup +nightly component add miri)"
    exit 0
fi

export MIRIFLAGS="${MIRIFLAGS:--Zmiri-strict-provenance -Zmiri-many-seeds=0..8}"
export CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-target}/miri"
cargo +nightly miri test --lib lockfree -- "$@"
