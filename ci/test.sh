#!/usr/bin/env bash
# The tests: as the README says, then with every feature, then those of TLS, then under async-std
# and below tower.
# Arguments go to the tests, for example: ci/test.sh shutdown
set -euo pipefail
cd "$(dirname "$0")/.."

cargo test -- "$@"
cargo test --all-features -- "$@"
cargo test --package tls-tests -- "$@"
for package in async-std tower; do
    cargo test --manifest-path "examples/$package/Cargo.toml" -- "$@"
done
