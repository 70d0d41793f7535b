#!/usr/bin/env bash
# User instructions per request, by callgrind: two runs of different lengths, their difference
# divided, so that start and end drop out. What the kernel does is not counted.
#
#   benches/instructions.sh [client...]
#
# CONCURRENCY (16) callers; PROFILES names a folder in which the longer run's profile of each client
# is left, for callgrind_annotate. FEATURES adds peers, see Cargo.toml.
set -euo pipefail
cd "$(dirname "$0")"

if ! command -v valgrind >/dev/null; then
    echo "instructions: skipped, valgrind is not installed"
    exit 0
fi
concurrency=${CONCURRENCY:-16}
profiles=${PROFILES:-$(mktemp -d)}
mkdir -p "$profiles"
if [ $# = 0 ]; then
    set -- floor reference-tokio reference-async-io evenkeel-tokio evenkeel-async-io hyper-util
fi

cargo build --release --features "${FEATURES:-}"
bench=${CARGO_TARGET_DIR:-target}/release/evenkeel-bench

coproc SERVER { exec "$bench" serve --port 0; }
server=$SERVER_PID
trap 'kill "$server"' EXIT
read -r port <&"${SERVER[0]}"

# Prints the instructions of a run of so many requests.
count() {
    valgrind --tool=callgrind --callgrind-out-file="$3" "$bench" run "$1" --port "$port" \
        --concurrency "$concurrency" --requests "$2" 2>&1 >/dev/null |
        sed -n 's/^.*Collected : \([0-9]*\).*/\1/p'
}

short=$((concurrency * 60))
long=$((concurrency * 260))
echo "| client, $concurrency callers | user instructions per request |"
echo "|---|---|"
for client; do
    few=$(count "$client" "$short" /dev/null)
    many=$(count "$client" "$long" "$profiles/callgrind.$client")
    echo "| $client | $(((many - few) / (long - short))) |"
done
