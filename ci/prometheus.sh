#!/usr/bin/env bash
# The text for Prometheus and the alert rules are what its own tools take for good, and a real
# Prometheus scrapes the example.
set -euo pipefail
cd "$(dirname "$0")/.."

if ! command -v promtool >/dev/null || ! command -v prometheus >/dev/null; then
    echo "prometheus: skipped, prometheus and promtool are not installed"
    exit 0
fi

echo "the golden file"
promtool check metrics <tests/it/golden/metrics.prom
echo "the alert rules"
promtool check rules examples/observability/alerts.yml

cargo build --release --example prometheus
work=$(mktemp -d)
coproc PAGE { exec "${CARGO_TARGET_DIR:-target}/release/examples/prometheus" --serve; }
page=$PAGE_PID
prometheus=
cleanup() {
    kill "$page" ${prometheus:+"$prometheus"} 2>/dev/null || true
    rm -rf "$work"
}
trap cleanup EXIT
read -r line <&"${PAGE[0]}"
address=$(sed 's|^serving http://\(.*\)/metrics$|\1|' <<<"$line")

# Any free port: it may be taken meanwhile, and then this fails, and says so.
port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
cat >"$work/prometheus.yml" <<YML
global: {scrape_interval: 1s}
rule_files: ["$PWD/examples/observability/alerts.yml"]
scrape_configs:
  - job_name: evenkeel
    static_configs: [{targets: ["$address"]}]
YML
prometheus --config.file="$work/prometheus.yml" --storage.tsdb.path="$work/data" \
    --web.listen-address="127.0.0.1:$port" >"$work/log" 2>&1 &
prometheus=$!

# Asked until it knows: how long that takes is its own business.
for _ in $(seq 60); do
    # In the beginning it does not answer.
    answer=$(promtool query instant "http://127.0.0.1:$port" \
        'sum(evenkeel_pool_requests_succeeded_total)' 2>/dev/null) || true
    value=$(sed -n 's/^.*=> \([0-9]*\) @.*/\1/p' <<<"$answer")
    if [ "${value:-0}" -gt 0 ]; then
        echo "Prometheus has scraped $value requests"
        exit 0
    fi
    sleep 1
done
echo "Prometheus has scraped nothing"
tail -n 20 "$work/log"
exit 1
