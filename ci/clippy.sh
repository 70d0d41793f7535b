#!/usr/bin/env bash
# No lint of Cargo.toml and clippy.toml complains, in any target.
set -euo pipefail
cd "$(dirname "$0")/.."

cargo clippy --all-targets -- -D warnings
cargo clippy --all-targets --all-features -- -D warnings
cargo clippy --package tls-tests --all-targets -- -D warnings
for package in async-std tower; do
    cargo clippy --manifest-path "examples/$package/Cargo.toml" --all-targets -- -D warnings
done
