#!/usr/bin/env bash
# AddressSanitizer, which also finds leaks, over the unit tests of the lock-free core, the stress
# test on real threads among them. The standard library need not be built with it: what it allocates
# is watched all the same.
#
#   ci/asan.sh [test filter...]
#
# Skipped with a message where there is no nightly toolchain.
set -euo pipefail
cd "$(dirname "$0")/.."

if ! cargo +nightly --version > /dev/null 2>&1; then
    echo "asan: skipped: no nightly toolchain (rustup toolchain install nightly)"
    exit 0
fi

host=$(rustc +nightly -vV | sed -n 's/^host: //p')
export RUSTFLAGS="-Zsanitizer=address"
export CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-target}/asan"
cargo +nightly test --target "$host" --lib lockfree -- "$@"
