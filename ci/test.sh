#!/usr/bin/env bash
# The tests: as the README says, then with every feature, then under async-std.
# Arguments go to the tests, for example: ci/test.sh shutdown
set -euo pipefail
cd "$(dirname "$0")/.."

cargo test -- "$@"
cargo test --all-features -- "$@"
cargo test --manifest-path examples/async-std/Cargo.toml -- "$@"
