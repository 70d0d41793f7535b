#!/usr/bin/env bash
# No lint of Cargo.toml and clippy.toml complains, in any target.
set -euo pipefail
cd "$(dirname "$0")/.."

cargo clippy --all-targets -- -D warnings
cargo clippy --all-targets --all-features -- -D warnings
cargo clippy --package tls-tests --all-targets -- -D warnings
cargo clippy --manifest-path examples/async-std/Cargo.toml --all-targets -- -D warnings
