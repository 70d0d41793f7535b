#!/usr/bin/env bash
# User instructions of a checkout and check-in, by callgrind, for each strategy among few and many
# servers: two runs of different lengths, their difference divided, so that start and end drop out.
#
#   benches/pick.sh [strategy...]
#
# SERVERS (10 100 1000 10000) names the numbers of servers.
set -euo pipefail
cd "$(dirname "$0")"

if ! command -v valgrind >/dev/null; then
    echo "pick: skipped, valgrind is not installed"
    exit 0
fi
read -ra servers <<<"${SERVERS:-10 100 1000 10000}"

cargo build --release --no-default-features
bench=${CARGO_TARGET_DIR:-target}/release/evenkeel-bench
if [ $# = 0 ]; then
    mapfile -t strategies < <("$bench" pick --servers 1 --operations 1 | sed -n '3,$s/^| \([^ ]*\) .*/\1/p')
    set -- "${strategies[@]}"
fi

# Prints the instructions of a run of so many cycles.
count() {
    valgrind --tool=callgrind --callgrind-out-file=/dev/null "$bench" pick --only "$1" \
        --servers "$2" --operations "$3" 2>&1 >/dev/null |
        sed -n 's/^.*Collected : \([0-9]*\).*/\1/p'
}

echo "| user instructions |$(printf ' %s servers |' "${servers[@]}")"
echo "|---|$(printf -- '---|%.0s' "${servers[@]}")"
for strategy; do
    line="| $strategy |"
    for number in "${servers[@]}"; do
        few=$(count "$strategy" "$number" 2000)
        many=$(count "$strategy" "$number" 12000)
        line+=" $(((many - few) / 10000)) |"
    done
    echo "$line"
done
