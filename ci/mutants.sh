#!/usr/bin/env bash
# Breaks the lock-free core on purpose, one line at a time, and checks that its models notice.
#
#   ci/mutants.sh [-l] [-s k/n] [word...]
#
# Those whose file and name hold one of the words. -l lists them; -s takes the k-th of n parts, in a
# directory of its own, so that the table can be run in pieces, one after another or side by side.
#
# A model that passes proves little until it has been seen to fail. The mutants are in
# ci/mutants/*.mutants, each a block:
#
#   === the name, which says what is missing
#   file: src/lockfree/idle.rs
#   model: idle                        file in loom-tests/tests (several: with blanks between)
#   filter: park                       optional: only the models whose name holds this
#   bound: 2                           optional: LOOM_MAX_PREEMPTIONS for this one
#   survives: why no model can notice  optional
#   --- from
#   text that occurs exactly once in the file
#   --- to
#   text in its place
#
# Lines before the first block, and lines in a block's head that begin with "# ", are comments. An
# empty text after `--- to` takes the line out. A mutant must be killed by a failing model, or, if
# it has a reason to survive, survive. It is an error if it does not build, if it takes more than
# MUTANT_TIMEOUT seconds (120), and if its text is gone from the file: then the table is old.
#
# Plain bash. Works on a copy in the target directory; the tree itself is never touched.
set -euo pipefail
cd "$(dirname "$0")/.."

root=$PWD
target=${CARGO_TARGET_DIR:-$root/target}
[[ $target == /* ]] || target=$root/$target
limit=${MUTANT_TIMEOUT:-120}

list=false
part_at=1
parts=1
while getopts ls: option; do
    case $option in
        l) list=true ;;
        s) part_at=${OPTARG%/*} parts=${OPTARG#*/} ;;
        *) exit 2 ;;
    esac
done
shift $((OPTIND - 1))
words=("$@")

dir=$target/mutants/$part_at-of-$parts
tree=$dir/tree
export CARGO_TARGET_DIR=$dir/build
export RUSTFLAGS="--cfg evenkeel_loom --cfg crossbeam_loom"
export CARGO_PROFILE_RELEASE_DEBUG_ASSERTIONS=true
# A mutant is one line: most of its cost would be to compile the rest again. Loom itself, where the
# models spend their time, is built once, and optimised.
export CARGO_PROFILE_RELEASE_INCREMENTAL=true
export CARGO_PROFILE_RELEASE_OPT_LEVEL=1
fast="profile.release.package.'*'.opt-level=3"

blocks=0
killed=0
survived=0
bad=0
log=$(mktemp)
trap 'rm -f "$log"' EXIT

fail() {
    bad=$((bad + 1))
    printf 'ERROR    %s | %s\n' "$name" "$1"
}

# Builds the models named in $model and runs them. 0: all pass; 1: one fails; 2: does not build;
# 3: too slow; 4: models fail, but only because they find nothing to explore, which says nothing
# about the mutant. The first failure's reason is left in $reason.
run_models() {
    local args=() one
    for one in $model; do args+=(--test "$one"); done
    (cd "$tree" && cargo test --config "$fast" --quiet --package loom-tests --release \
        --features must-be-loom "${args[@]}" --no-run \
        --message-format=json-render-diagnostics) > "$log" 2>&1 || return 2
    local binaries binary any=false unexplored=false
    mapfile -t binaries < <(sed -n 's/.*"executable":"\([^"]*\)".*/\1/p' "$log")
    for binary in "${binaries[@]}"; do
        local status=0
        run_binary "$binary" || status=$?
        # A filter that fits nothing would let every mutant live.
        if grep -q '^running [1-9]' "$log"; then any=true; fi
        case $status in
            0) ;;
            124) return 3 ;;
            *)
                reason=$(sed -n '/panicked at/{n;p}' "$log" | grep -v -m1 ': one execution only' |
                    cut -c1-60) && return 1
                unexplored=true ;;
        esac
    done
    if $unexplored; then return 4; fi
    $any || return 2
}

# Runs the models of one file. One that fails breaks the pipe, and so ends those after it; not if it
# fails for having nothing to explore.
run_binary() {
    (
        [[ -z $bound ]] || export LOOM_MAX_PREEMPTIONS=$bound
        # Loom has a model of a waker that prints a line at each step of it.
        timeout "$limit" "$1" --nocapture --test-threads=1 ${filter:+"$filter"} 2>&1 |
            grep --line-buffered -v 'src/future/atomic_waker\.rs' |
            until_failure > "$log"
        exit "${PIPESTATUS[0]}"
    ) 2> /dev/null
}

until_failure() {
    local found=false text why
    while IFS= read -r text; do
        printf '%s\n' "$text"
        case $text in
            *'panicked at'*)
                IFS= read -r why || return
                printf '%s\n' "$why"
                [[ $why == *': one execution only'* ]] || found=true ;;
            *FAILED) if $found; then return; fi ;;
        esac
    done
}

# Puts $to in the place of $from. Not with ${text/from/to}: bash versions differ on quotes and `&`.
mutate() {
    local text rest
    # The dot keeps trailing newlines from being stripped.
    text=$(cat "$root/$file"; printf .)
    text=${text%.}
    if [[ $text != *"$from"* ]]; then
        fail "its text is not in $file"
        return 1
    fi
    rest=${text#*"$from"}
    if [[ $rest == *"$from"* ]]; then
        fail "its text is more than once in $file"
        return 1
    fi
    printf '%s' "${text%%"$from"*}$to$rest" > "$tree/$file"
}

selected() {
    [[ ${#words[@]} == 0 ]] && return 0
    local word
    for word in "${words[@]}"; do
        [[ "$file $name" == *"$word"* ]] && return 0
    done
    return 1
}

check() {
    [[ -n $name ]] || return 0
    selected || return 0
    blocks=$((blocks + 1))
    (((blocks - part_at) % parts == 0)) || return 0
    if $list; then
        echo "$file | $name"
        return 0
    fi
    if [[ -z $file || -z $model || ! -f $file ]]; then
        fail "needs a file and a model"
        return 0
    fi
    if [[ -z $from || $from == "$to" ]]; then
        fail "changes nothing"
        return 0
    fi
    mutate || return 0
    local status=0
    run_models || status=$?
    cp "$root/$file" "$tree/$file"
    case $status in
        0)
            if [[ -n $survives ]]; then
                printf 'SURVIVED %s | expected: %s\n' "$name" "$survives"
                survived=$((survived + 1))
            else
                fail "survived: no model of $model notices"
            fi ;;
        1)
            if [[ -n $survives ]]; then
                fail "killed, though it has a reason to survive ($reason)"
            else
                printf 'KILLED   %s | %s\n' "$name" "$reason"
                killed=$((killed + 1))
            fi ;;
        2)
            fail "does not build, or runs no model"
            tail -n 30 "$log" ;;
        3) fail "undecided after $limit s" ;;
        4) fail "no model of $model fails but for having nothing to explore" ;;
    esac
}

clear_block() { name='' file='' model='' filter='' bound='' survives='' from='' to='' part=head; }

if ! $list; then
    rm -rf "$tree"
    mkdir -p "$tree"
    cp -R Cargo.toml Cargo.lock src loom-tests examples "$tree"
    # A member of the workspace, without which it is none.
    mkdir "$tree/tests"
    cp -R tests/tls "$tree/tests"
fi

newline=$'\n'
for table in ci/mutants/*.mutants; do
    clear_block
    while IFS= read -r line || [[ -n $line ]]; do
        case $line in
            '=== '*)
                check < /dev/null
                clear_block
                name=${line#=== } ;;
            '--- from') part=from ;;
            '--- to') part=to ;;
            *)
                case $part in
                    from) from+=${from:+$newline}$line ;;
                    to) to+=${to:+$newline}$line ;;
                    head)
                        case $line in
                            'file: '*) file=${line#file: } ;;
                            'model: '*) model=${line#model: } ;;
                            'filter: '*) filter=${line#filter: } ;;
                            'bound: '*) bound=${line#bound: } ;;
                            'survives: '*) survives=${line#survives: } ;;
                            '' | '# '*) ;;
                            *) [[ -z $name ]] || fail "what is this: $line" ;;
                        esac ;;
                esac ;;
        esac
    done < "$table"
    check < /dev/null
done

$list && exit 0
echo "mutants: $blocks blocks, of which $((killed + survived + bad)) were run:" \
    "$killed killed, $survived survived as expected, $bad errors"
[[ $bad == 0 ]]
