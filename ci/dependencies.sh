#!/usr/bin/env bash
# What the default features bring along: at most 35 crates, without tokio and without syn.
set -euo pipefail
cd "$(dirname "$0")/.."

# For this machine's target, without the crate itself; a crate used twice counts once.
tree=$(cargo tree -e normal -p evenkeel --prefix none --no-dedupe | sed 's/ (.*//' | sort -u)
crates=$(grep -v '^evenkeel ' <<<"$tree")
count=$(wc -l <<<"$crates")
echo "$count crates"
if [ "$count" -gt 35 ]; then
    echo "more than 35:"
    echo "$crates"
    exit 1
fi
for unwanted in tokio syn; do
    if grep -q "^$unwanted " <<<"$crates"; then
        echo "$unwanted must not be among them"
        exit 1
    fi
done

if command -v cargo-deny >/dev/null; then
    cargo deny check
else
    echo "cargo-deny is not installed: licences and advisories were not checked"
fi
