#!/usr/bin/env bash
# The examples build, run and end in success; the quickstart's figures add up.
set -euo pipefail
cd "$(dirname "$0")/.."

cargo build --release --examples
for example in bare_block_on prometheus proxy_and_unix retries smol tokio; do
    echo "example $example"
    cargo run --quiet --release --example "$example"
done
echo "example tls"
cargo run --quiet --release --example tls --features rustls
for package in async-std tower; do
    echo "example $package"
    cargo run --quiet --manifest-path "examples/$package/Cargo.toml"
done

# A server dies and comes back; the pool notices both, and no request fails.
echo "example health"
output=$(cargo run --quiet --release --example health)
echo "$output"
for line in '-> down, its health checks fail' 'down -> up' 'requests went \[0, 15, 15\]' \
    'requests went \[10, 10, 10\]' 'requests, 0 failed'; do
    if ! grep -q -e "$line" <<<"$output"; then
        echo "the example does not tell: $line"
        exit 1
    fi
done

echo "example quickstart"
output=$(cargo run --quiet --release --example quickstart -- --json)
echo "$output"
line=$(tail -n 1 <<<"$output")
pattern='^\{"requests":([0-9]+),"ok":([0-9]+),"failed":0,"opened":[0-9]+,"reused":[0-9]+,"servers":\['
if ! [[ $line =~ $pattern ]] || [ "${BASH_REMATCH[1]}" != "${BASH_REMATCH[2]}" ]; then
    echo "the last line is not what it should be, or requests failed"
    exit 1
fi

# One server was down for a while, and the table tells which: some of its connects failed.
if ! awk '$1 ~ /^http:/ && $5 > 0 { down++ } END { exit down != 1 }' <<<"$output"; then
    echo "the table does not tell which server was down"
    exit 1
fi

# A tenth of a second for each strategy: all of them are there, and nothing fails where it need not.
for scenario in equal refuses; do
    echo "example balancing, $scenario"
    output=$(cargo run --quiet --release --example balancing -- --scenario "$scenario" \
        --seconds 0.1 --rate 500)
    echo "$output"
    if ! awk -F'|' '$3 ~ /^ [0-9]/ { rows++; bad += $3 < 90 } END { exit rows != 8 || bad }' \
        <<<"$output"; then
        echo "a strategy is missing, or requests failed"
        exit 1
    fi
done

echo "example soak"
cargo run --quiet --release --example soak -- --seconds 8 --seed "${SOAK_SEED:-1}"

echo "example metrics_page"
cargo run --quiet --release --example metrics_page -- --check

echo "example bench"
bench() { cargo run --quiet --release --example bench -- "$@"; }
bench --duration 0.5 --strategy PeakEwma
# At a rate, so many are sent, and each is in the books of one server.
output=$(bench --json --rate 400 --duration 1 --body 1000)
echo "$output"
sum=$(grep -o '"requests":[0-9]*' <<<"$output" | awk -F: '{ sum += $2 } END { print sum }')
pattern='"failed":0,"failures":\{\},"latency_ms":\{"max":[0-9.]+,.*"ok":400,.*"requests":400,'
if ! [[ $output =~ $pattern ]] || [ "$sum" != 800 ] ||
    [ "$(grep -o '"url":' <<<"$output" | wc -l)" != 3 ]; then
    echo "the figures do not add up"
    exit 1
fi

# Wrong arguments end in failure and a message, not in a panic.
refuses() {
    if message=$(cargo run --quiet --release --example "$1" -- "$2" 2>&1); then
        echo "$1 $2 should fail"
        exit 1
    fi
    if grep -q panicked <<<"$message"; then
        echo "$1 $2 panicked: $message"
        exit 1
    fi
}
for wrong in --requests=0 --concurrency=x --nonsense ftp://x; do
    refuses quickstart "$wrong"
done
for wrong in --seconds=0 --seed=x --workers=0 --nonsense x; do
    refuses soak "$wrong"
done
for wrong in --seconds=0 --rate=x --scenario=nonsense --nonsense; do
    refuses balancing "$wrong"
done
for wrong in --seconds=0 --port=x --port=0 --check=1 --nonsense x; do
    refuses metrics_page "$wrong"
done
for wrong in --rate=0 --requests=x --strategy=x --path=x --json=1 --nonsense ftp://x; do
    refuses bench "$wrong"
done
