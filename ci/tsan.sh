#!/usr/bin/env bash
# ThreadSanitizer over the unit tests of the lock-free core, the stress test on real threads among
# them. The standard library is built with it too, or its own synchronisation would not be seen:
# without rust-src it can be linked as it is (-Cunsafe-allow-abi-mismatch=sanitizer), and then the
# test harness alone, its channel and its counts of references, gives dozens of false alarms.
#
#   ci/tsan.sh [test filter...]
#
# Skipped with a message where there is no nightly toolchain with rust-src.
set -euo pipefail
cd "$(dirname "$0")/.."

if ! sysroot=$(rustc +nightly --print sysroot 2> /dev/null) ||
    [[ ! -d $sysroot/lib/rustlib/src/rust/library ]]; then
    echo "tsan: skipped: no nightly toolchain with rust-src (rustup +nightly component add rust-src)"
    exit 0
fi

host=$(rustc +nightly -vV | sed -n 's/^host: //p')
export RUSTFLAGS="-Zsanitizer=thread"
export CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-target}/tsan"
cargo +nightly test -Zbuild-std --target "$host" --lib lockfree -- "$@"
