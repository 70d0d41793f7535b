#!/usr/bin/env bash
# System calls per request, by strace: two runs of different lengths, their difference divided.
#
#   benches/syscalls.sh [client...]
#
# CONCURRENCY (64) callers. strace slows the client down, so that more responses are ready at each
# look of the reactor than would be: the calls per request are right, the batches are larger.
# FEATURES adds peers, see Cargo.toml.
set -euo pipefail
cd "$(dirname "$0")"

if ! command -v strace >/dev/null; then
    echo "syscalls: skipped, strace is not installed"
    exit 0
fi
concurrency=${CONCURRENCY:-64}
if [ $# = 0 ]; then
    set -- floor reference-tokio reference-async-io evenkeel-tokio evenkeel-async-io hyper-util
fi

cargo build --release --features "${FEATURES:-}"
bench=${CARGO_TARGET_DIR:-target}/release/evenkeel-bench

coproc SERVER { exec "$bench" serve --port 0; }
server=$SERVER_PID
counts=$(mktemp -d)
trap 'kill "$server"; rm -r "$counts"' EXIT
read -r port <&"${SERVER[0]}"

# Leaves "name calls" lines of a run of so many requests.
count() {
    strace -f -c -o "$counts/raw" "$bench" run "$1" --port "$port" \
        --concurrency "$concurrency" --requests "$2" >/dev/null
    awk '$1 + 0 == $1 && NF >= 5 && $NF != "total" { print $NF, $4 }' "$counts/raw" > "$3"
}

short=$((concurrency * 20))
long=$((concurrency * 220))
echo "| client, $concurrency callers | system calls per request | which |"
echo "|---|---|---|"
for client; do
    count "$client" "$short" "$counts/few"
    count "$client" "$long" "$counts/many"
    awk -v client="$client" -v requests=$((long - short)) '
        NR == FNR { few[$1] = $2; next }
        {
            each = ($2 - few[$1]) / requests
            all += each
            if (each >= 0.01) which = which sprintf("%s%s %.2f", which ? ", " : "", $1, each)
        }
        END { printf "| %s | %.2f | %s |\n", client, all, which }
    ' "$counts/few" "$counts/many"
done
