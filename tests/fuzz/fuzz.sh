#!/bin/sh
# fuzz.sh - runs the fuzz targets with libFuzzer, AddressSanitizer and
# UndefinedBehaviorSanitizer, all at once.
#
#     sh tests/fuzz/fuzz.sh [json|store|log|call ...]
#
# FUZZ_SECONDS: how long each (60). FUZZ_OUT: where a grown corpus and inputs
# that fail are kept (default: nowhere; what fails is printed in base64).
# Needs clang with its libFuzzer; CLANG names it (clang-14).
set -u
cd "$(dirname "$0")/../.." || exit 1
clang=${CLANG:-clang-14}
seconds=${FUZZ_SECONDS:-60}
work=${FUZZ_OUT:-$(mktemp -d)}
mkdir -p "$work" || exit 1
[ -n "${FUZZ_OUT:-}" ] || trap 'rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM
[ $# -gt 0 ] || set -- json store log call

build()
{
    "$clang" -g -O1 -std=gnu99 -fsanitize=fuzzer,address,undefined \
        -fno-sanitize-recover=undefined -include tests/assert_loud.h \
        -o "$work/fuzz_$1" "tests/fuzz/fuzz_$1.c"
}

# An input may take a second on a quiet machine; sanitizers and neighbours
# make that five.
run()
{
    mkdir -p "$work/$1/corpus" "$work/$1/failed"
    "$work/fuzz_$1" -max_total_time="$seconds" -timeout=5 -rss_limit_mb=1024 -max_len=4096 \
        -print_final_stats=1 -artifact_prefix="$work/$1/failed/" \
        "$work/$1/corpus" "tests/fuzz/corpus/$1" >"$work/$1/log" 2>&1
    echo $? >"$work/$1/status"
}

pids=
for target in "$@"; do
    build "$target" &
    pids="$pids $!"
done
for pid in $pids; do
    wait "$pid" || { echo "fuzz: cannot build"; echo "fuzz: 0 passed, $# failed"; exit 1; }
done
for target in "$@"; do
    run "$target" &
done
wait

passed=0 failed=0
for target in "$@"; do
    awk '/number_of_executed_units|average_exec_per_sec/ { sub(/.*::/, ""); text = text " " $0 }
         END { print "fuzz_'"$target"':" text }' "$work/$target/log"
    if [ "$(cat "$work/$target/status")" = 0 ]; then
        passed=$((passed + 1))
        continue
    fi
    failed=$((failed + 1))
    tail -n 60 "$work/$target/log"
    for input in "$work/$target/failed"/*; do
        [ ! -f "$input" ] || { echo "fuzz_$target: input, in base64:"; base64 "$input"; }
    done
done
echo "fuzz: $passed passed, $failed failed"
[ $failed -eq 0 ]
