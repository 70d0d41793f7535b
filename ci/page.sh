#!/usr/bin/env bash
# The page of metrics_page, in a headless Chromium. An argument is a folder for screenshots.
set -euo pipefail
cd "$(dirname "$0")/.."

if ! command -v chromium >/dev/null || ! command -v python3 >/dev/null; then
    echo "page: skipped, chromium or python3 is not installed"
    exit 0
fi

cargo build --release --example metrics_page
coproc PAGE { exec "${CARGO_TARGET_DIR:-target}/release/examples/metrics_page" --seconds 600; }
page=$PAGE_PID
trap 'kill "$page" 2>/dev/null || true' EXIT
read -r url <&"${PAGE[0]}"
python3 ci/page.py "$url" "$@"
