#!/usr/bin/env bash
# The code is formatted as rustfmt.toml says.
set -euo pipefail
cd "$(dirname "$0")/.."

cargo fmt --all -- --check
# Packages of their own, outside of the workspace.
for manifest in examples/async-std/Cargo.toml examples/tower/Cargo.toml benches/Cargo.toml fuzz/Cargo.toml; do
    if [ -f "$manifest" ]; then
        cargo fmt --manifest-path "$manifest" -- --check
    fi
done
