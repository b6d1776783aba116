#!/bin/sh
# run.sh - measures dynbackup beside the engines that are installed.
#
#     sh bench/run.sh            everything, 5 rounds: takes hours
#     sh bench/run.sh --quick    small tables, 1 round, to stay under two minutes
#
#     --rounds N        how often everything is measured, in turns
#     --shapes "S ..."  each ITEMS:VALUE_BYTES or ITEMS:VALUE_BYTES:BUDGET_MIB
#     --engines "E ..." only these of the engines found, and what all can do
#     --out DIR         where the CSV, report and plots go (bench/out)
#
# Builds one driver per engine (those whose test program does not compile are
# skipped with a word) and starts one process per engine, size and round. Works
# in a directory of its own under $BENCH_DIR (else $TMPDIR, else /tmp), which
# should be on a real disk, and removes it at the end.
set -eu
export LC_ALL=C
here=$(cd "$(dirname "$0")" && pwd)

rounds=5 quick=0 out=$here/out engines=
shapes='10000:200 100000:200 1000000:200 4000000:200 1000000:1024 250000:4096 1000000:200:16'
while [ $# -gt 0 ]; do
    case $1 in
    --quick) quick=1 rounds=1 shapes='10000:200 50000:200' ;;
    --rounds | --shapes | --engines | --out)
        [ $# -gt 1 ] || { echo "run.sh: $1 wants a value" >&2; exit 2; }
        case $1 in
        --rounds) rounds=$2 ;;
        --shapes) shapes=$2 ;;
        --engines) engines=$2 ;;
        --out) out=$2 ;;
        esac
        shift ;;
    *) sed -n '2,/^set /{/^#/s/^# \{0,1\}//p;}' "$0" >&2; exit 2 ;;
    esac
    shift
done

mkdir -p "$out"
out=$(cd "$out" && pwd)
work=$(mktemp -d "${BENCH_DIR:-${TMPDIR:-/tmp}}/dynbench.XXXXXX")
trap 'rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM
: >"$out/figures.csv"
: >"$out/timeline.csv"

# ---- building ----

cc=${CC:-cc}
flags='-std=gnu11 -O2 -pthread -Wall -Wextra'

compile()
{
    # shellcheck disable=SC2086
    $cc $flags "$@"
}

# driver NAME HEADER LIBRARY [OPTION]: builds versus-NAME when HEADER is there.
driver()
{
    name=$1 header=$2 library=$3
    shift 3
    printf '#include <%s>\nint main(void) { return 0; }\n' "$header" >"$work/probe.c"
    # shellcheck disable=SC2086
    if compile -o "$work/probe" "$work/probe.c" $library 2>/dev/null; then
        # shellcheck disable=SC2086
        compile "$@" -o "$work/versus-$name" "$here/engine_$name.c" "$work/versus.o" \
            "$work/kit.o" $library -lm
    else
        echo "skipped $name: no <$header> or $library here"
    fi
}

compile -c -o "$work/kit.o" "$here/kit.c"
compile -c -o "$work/versus.o" "$here/versus.c"
compile -c -o "$work/ours.o" "$here/engine_ours.c"
compile -o "$work/bench" "$here/bench.c" "$work/ours.o" "$work/kit.o" -lm
compile -o "$work/versus-ours" "$work/ours.o" "$work/versus.o" "$work/kit.o" -lm

# RocksDB tells its version to C++ only.
rocksdb_version=$(echo '#include <rocksdb/version.h>' | $cc -x c++ -E -dM - 2>/dev/null |
    awk '$2 ~ /^ROCKSDB_(MAJOR|MINOR|PATCH)$/ { part[$2] = $3 }
         END { print part["ROCKSDB_MAJOR"] "." part["ROCKSDB_MINOR"] "." part["ROCKSDB_PATCH"] }')
{
    driver lmdb lmdb.h -llmdb
    driver sqlite sqlite3.h -lsqlite3
    driver leveldb leveldb/c.h -lleveldb
    driver rocksdb rocksdb/c.h -lrocksdb "-DBENCH_ROCKSDB_VERSION=\"$rocksdb_version\""
} >"$work/skipped"

# ---- what is measured, on what ----

# Lines: driver engine version.
for driver in "$work"/versus-*; do
    case $driver in *.o) continue ;; esac
    "$driver" --list | sed "s|^|$driver |"
done | sort -k2 >"$work/all"
if [ -n "$engines" ]; then
    for engine in $engines; do
        awk -v engine="$engine" '$2 == engine' "$work/all"
    done >"$work/engines"
else
    cp "$work/all" "$work/engines"
fi

{
    date -u '+%Y-%m-%d %H:%M UTC'
    echo "$(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo 2>/dev/null | head -n 1)," \
        "$(getconf _NPROCESSORS_ONLN) cores," \
        "$(awk '/^MemTotal/ { printf "%d MiB", $2 / 1024 }' /proc/meminfo 2>/dev/null) of memory," \
        "$(uname -sr)"
    echo "$($cc --version | head -n 1); $flags; work on $(stat -f -c %T "$work" 2>/dev/null)"
    awk '{ printf "%s%s %s", (NR > 1 ? ", " : "engines: "), $2, $3 } END { print "" }' \
        "$work/engines"
    cat "$work/skipped"
    echo "rounds: $rounds; shapes (items:value bytes:budget MiB): $shapes"
} | tee "$out/machine.txt"
case $(stat -f -c %T "$work" 2>/dev/null) in
tmpfs) echo 'tmpfs: syncs cost nothing here, set BENCH_DIR to a directory on a disk' ;;
esac

# ---- measuring ----

began=$(date +%s)
say()
{
    printf '[%5d s] round %d of %d: %s\n' $(($(date +%s) - began)) $((round + 1)) "$rounds" "$*" >&2
}

# In turns; each round begins with another engine.
round=0
while [ $round -lt "$rounds" ]; do
    say floors
    "$work/bench" --dir "$work/own" --floors 1 --round $round --csv "$out/figures.csv"
    for shape in $shapes; do
        items=${shape%%:*} rest=${shape#*:}
        value=${rest%%:*} budget=0
        case $rest in *:*) budget=${rest#*:} ;; esac
        set -- --items "$items" --value "$value" --budget "$budget" --round $round \
            --quick $quick --csv "$out/figures.csv"
        awk -v first=$round '{ line[NR] = $0 }
            END { for (i = 0; i < NR; ++i) print line[(first + i) % NR + 1] }' "$work/engines" |
            while read -r driver engine _; do
                say "$engine, $shape"
                if [ $round = 0 ] && [ "$budget" = 0 ]; then
                    "$driver" --engine "$engine" --dir "$work/store" "$@" \
                        --timeline "$out/timeline.csv" </dev/null
                else
                    "$driver" --engine "$engine" --dir "$work/store" "$@" </dev/null
                fi
            done
        if [ -z "$engines" ] && [ "$budget" = 0 ] && [ "$value" = 200 ]; then
            say "what only dynbackup does, $shape"
            "$work/bench" --dir "$work/own" "$@"
        fi
    done
    round=$((round + 1))
done

# ---- reporting ----

awk -f "$here/report.awk" -v bars="$here/bars.txt" "$out/figures.csv" >"$out/report.md"
awk -f "$here/plot.awk" -v kind=growth "$out/figures.csv" >"$out/growth.svg"
awk -f "$here/plot.awk" -v kind=timeline "$out/timeline.csv" >"$out/timeline.svg"
cat "$out/report.md"
echo "Every value read, count, restore and recovery was right. $(($(date +%s) - began)) s;"
echo "figures.csv, timeline.csv, report.md, growth.svg and timeline.svg are in $out"
