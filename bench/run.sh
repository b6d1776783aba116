#!/bin/sh
# Builds and runs the bench: sh bench/run.sh [--quick] [further options of it]
# Works in a directory of its own under $BENCH_DIR (default: $TMPDIR or /tmp),
# which should be on a real disk, and removes it at the end.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d "${BENCH_DIR:-${TMPDIR:-/tmp}}/dynbench.XXXXXX")
trap 'rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM
${CC:-cc} -O2 -pthread -o "$work/bench" "$here/bench.c"
"$work/bench" --dir "$work" "$@"
