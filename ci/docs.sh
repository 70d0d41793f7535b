#!/usr/bin/env bash
# The documentation builds without a warning, with every feature, as docs.rs builds it.
set -euo pipefail
cd "$(dirname "$0")/.."

RUSTDOCFLAGS="-D warnings" cargo doc --no-deps --all-features
