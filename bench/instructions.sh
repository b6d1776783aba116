#!/bin/sh
# instructions.sh - how many instructions the hot operations take, counted by
# callgrind, against instructions.tsv.
#
#     sh bench/instructions.sh             fails if one is 2 % more or less
#     sh bench/instructions.sh --update    writes instructions.tsv anew
#     sh bench/instructions.sh --profile NAME [LINES]   where those of one go
#
# Per item for put, overwrite, get, batch, fold, scan, query and JSON; per call for
# the others. Counts are of one compiler: with another one than the file names
# there is nothing to compare with, which is said (exit 77), and with CI=true is a
# failure. They do not tell time: a miss of a cache counts like an addition.
set -u
export LC_ALL=C
cd "$(dirname "$0")" || exit 1
for tool in valgrind callgrind_annotate gcc; do
    command -v $tool >/dev/null && continue
    echo "instructions: skipped, no $tool"
    [ "${CI:-}" != true ] || { echo 'instructions: 0 passed, 1 failed'; exit 1; }
    exit 77
done
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM

flags='-std=gnu99 -O2 -g -march=x86-64 -static'
version="# $(gcc --version | head -n 1), $(uname -m), $flags"
if [ "${1:-}" != --update ] && [ "${1:-}" != --profile ] &&
    [ "$(head -n 1 instructions.tsv)" != "$version" ]; then
    echo "instructions: skipped, counted were: $(head -n 1 instructions.tsv)"
    echo "                          this one is: $version"
    [ "${CI:-}" != true ] || { echo 'instructions: 0 passed, 1 failed'; exit 1; }
    exit 77
fi

only='op_*'
[ "${1:-}" != --profile ] || only=op_$2
# The C library chooses its copying by the processor: the plainest everywhere.
export GLIBC_TUNABLES=glibc.cpu.hwcaps=-AVX512F,-AVX512VL,-AVX2,-AVX,-ERMS,-FSRM,-RTM
# shellcheck disable=SC2086
gcc $flags -o "$work/instructions" instructions.c &&
    valgrind --tool=callgrind --callgrind-out-file="$work/out" --toggle-collect="$only" \
        "$work/instructions" >"$work/counts" 2>"$work/valgrind.log" ||
    { tail -n 20 "$work/counts" "$work/valgrind.log"; exit 1; }
if [ "${1:-}" = --profile ]; then
    callgrind_annotate --auto=no --threshold=99 "$work/out" | head -n "${3:-50}"
    exit
fi
callgrind_annotate --inclusive=yes --auto=no --threshold=100 "$work/out" >"$work/annotated"

# "operation, instructions for one"
sed -n 's/^ *\([0-9,]*\) .*:op_\([a-z_]*\)\( .*\)*$/\2 \1/p' "$work/annotated" | tr -d , |
    awk 'NR == FNR { total[$1] = $2; next }
         !($1 in total) { print "no count of " $1 >"/dev/stderr"; exit 1 }
         { printf "%s\t%.1f\n", $1, total[$1] / $2 }' - "$work/counts" >"$work/new.tsv" || exit 1

if [ "${1:-}" = --update ]; then
    { echo "$version"; cat "$work/new.tsv"; } >instructions.tsv
    cat instructions.tsv
    exit
fi
awk -F '\t' '
    /^#/ { next }
    NR == FNR { old[$1] = $2; next }
    {
        change = $1 in old ? ($2 / old[$1] - 1) * 100 : 100
        is_off = change > 2 || change < -2
        printf "%-12s %12.1f %12.1f %+7.2f %%%s\n", $1, old[$1], $2, change,
               is_off ? "  <- out of bounds" : ""
        failed += is_off
        delete old[$1]
        ++count
    }
    END {
        for (name in old) {
            print name " was not counted"
            ++failed
            ++count
        }
        print "instructions: " count - failed " passed, " failed + 0 " failed"
        exit failed > 0
    }' instructions.tsv "$work/new.tsv"
