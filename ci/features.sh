#!/usr/bin/env bash
# The crate builds with each feature alone, with none, and with the oldest Rust it supports.
set -euo pipefail
cd "$(dirname "$0")/.."

# The names before the `=` in the table [features].
features=$(sed -n '/^\[features\]/,/^\[/s/^\([a-z0-9_-]*\) *=.*/\1/p' Cargo.toml)
[ -n "$features" ] || { echo "no features found in Cargo.toml"; exit 1; }

echo "no features"
RUSTFLAGS="-D warnings" cargo check --lib --no-default-features
for feature in $features; do
    echo "only $feature"
    RUSTFLAGS="-D warnings" cargo check --lib --no-default-features --features "$feature"
done

oldest=$(sed -n 's/^rust-version = "\(.*\)"/\1/p' Cargo.toml)
if command -v rustup >/dev/null && rustup toolchain list | grep -q "^$oldest"; then
    cargo "+$oldest" check --lib --all-features
else
    echo "Rust $oldest is not installed: the oldest supported version was not checked"
fi
