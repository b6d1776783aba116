#!/bin/sh
# mutants.sh - bugs on purpose: each must be caught by a test.
#
#     sh tests/mutants/mutants.sh [NN_name.sed ...]
#
# A mutant is a sed script NN_name.sed; its comments say what it breaks and, in
# a line `# tests: NAME ...`, which test programs are run, the likeliest first.
# It is applied to a copy of dynbackup.h; it must change the copy, the copy must
# compile, and a test must fail (or take over 120 seconds) that passes with the
# header as it is. SCALE as in every test (percent, 20).
set -u
cd "$(dirname "$0")/../.." || exit 1
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM
export SCALE="${SCALE:-20}" TIMEOUT=120 JOBS=1
unset CI
[ $# -gt 0 ] || set -- tests/mutants/*.sed

# The programs that a mutant names.
tests_of()
{
    sed -n 's/^# tests: *//p' "$@"
}

# try TREE TEST...: says what caught the mutant (0), or why nothing did (1).
try()
{
    tree=$1
    shift
    for test in "$@"; do
        (cd "$tree" && sh tests/run.sh "$test") >"$tree/log" 2>&1 && continue
        if grep -q 'does not compile$' "$tree/log"; then
            echo "$test does not compile"
            return 1
        fi
        echo "caught by $test"
        return 0
    done
    echo "alive after $*"
    return 1
}

# One mutant, in a tree of its own.
mutant()
{
    name=$(basename "$1" .sed)
    tree=$work/$name
    mkdir -p "$tree"
    cp -r tests "$tree/tests"
    sed -f "$1" dynbackup.h >"$tree/dynbackup.h"
    if cmp -s dynbackup.h "$tree/dynbackup.h"; then
        said='changes nothing'
        caught=1
    else
        # shellcheck disable=SC2046
        said=$(try "$tree" $(tests_of "$1"))
        caught=$?
    fi
    echo "$caught mutant $name: $said" >"$work/$name.said"
    rm -rf "$tree"
}

# shellcheck disable=SC2046
if ! JOBS=2 sh tests/run.sh $(tests_of "$@" | tr ' ' '\n' | sort -u) >"$work/log" 2>&1; then
    cat "$work/log"
    echo 'mutants: a test fails without any mutant, so it proves nothing'
    echo "mutants: 0 passed, $# failed"
    exit 1
fi
turn=0
for script in "$@"; do
    mutant "$script" &
    turn=$((turn + 1))
    [ $((turn % 2)) -eq 1 ] || wait
done
wait
for script in "$@"; do
    cut -c3- "$work/$(basename "$script" .sed).said"
done
passed=$(cat "$work"/*.said | grep -c '^0')
failed=$(cat "$work"/*.said | grep -c '^1')
echo "mutants: $passed passed, $failed failed"
[ "$failed" -eq 0 ]
