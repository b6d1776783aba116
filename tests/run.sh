#!/bin/sh
# run.sh - the test command: sh tests/run.sh [program ...]
#
# Compiles every tests/unit_*.c and tests/test_*.c (or those named) and runs
# them, two at a time, in a directory that is removed afterwards. Needs a C
# compiler (CC, else cc) and a POSIX shell. One line a program; a failure shows
# all that the program printed. The last line is "N passed, N failed".
#
#   CC, CFLAGS   the compiler, and flags to add
#   SCALE, SEED  longer or shorter random tests (percent); another seed
#   JOBS         how many at a time (2)
#   VERBOSE=1    show what every program printed
#   CI=true      a test that is skipped counts as failed

cd "$(dirname "$0")" || exit 2
CC=${CC:-cc}
JOBS=${JOBS:-2}
work=$(mktemp -d "${TMPDIR:-/tmp}/dynbackup-run-XXXXXX") || exit 2
trap 'rm -rf "$work"' EXIT
trap 'exit 130' HUP INT TERM

# The longest first, so that nobody waits for them at the end; they are compiled
# with optimization, all others without: most of their time is the compiler's.
long="test_crash test_corrupt test_model test_fault test_index_threads"
if [ $# -gt 0 ]; then
    programs=$(for name in "$@"; do basename "$name" .c; done)
else
    programs=$long
    for file in test_*.c unit_*.c; do
        name=${file%.c}
        case " $long " in
        *" $name "*) ;;
        *) [ -f "$file" ] && programs="$programs $name" ;;
        esac
    done
fi

# Can this compiler do what some of them need?
echo 'int main(void) { return 0; }' >"$work/probe.c"
loud="-include assert_loud.h"
$CC $loud -o "$work/probe" "$work/probe.c" 2>"$work/probe.log" || loud=
threads="-DDYNBACKUP_PTHREADS -pthread"
cat >"$work/probe.c" <<'END'
#include <pthread.h>
static void *run(void *ctx) { return ctx; }
int main(void) { pthread_t t; return pthread_create(&t, 0, run, 0) || pthread_join(t, 0); }
END
no_threads=
$CC -pthread -o "$work/probe" "$work/probe.c" 2>"$work/probe.log" && "$work/probe" ||
    no_threads="the compiler or the system has no pthreads"
limit=
command -v timeout >/dev/null 2>&1 && limit="timeout ${TIMEOUT:-900}"

# Compiles and runs one program; prints its line.
run_one() {
    name=$1
    flags="-std=c99 -D_POSIX_C_SOURCE=200809L -Wall -Wextra $loud"
    case " $long " in
    *" $name "*) flags="$flags -O1" ;;
    esac
    case $name in
    *threads* | test_across)
        if [ -n "$no_threads" ]; then
            echo skip >"$work/$name.status"
            echo "skip $name: $no_threads"
            return
        fi
        flags="$flags $threads"
        ;;
    esac
    if ! $CC $flags $CFLAGS -o "$work/$name" "$name.c" >"$work/$name.out" 2>&1; then
        echo fail >"$work/$name.status"
        { echo "FAIL $name: does not compile"; cat "$work/$name.out"; } >"$work/$name.line"
        cat "$work/$name.line"
        return
    fi
    $limit "$work/$name" >>"$work/$name.out" 2>&1
    code=$?
    last=$(tail -n 1 "$work/$name.out")
    case $code in
    0) status=pass word="ok  " ;;
    77) status=skip word=skip ;;
    *) status=fail word=FAIL ;;
    esac
    echo $status >"$work/$name.status"
    case $last in
    "$name:"*) line="$word $last" ;;
    *) line="$word $name: ended with status $code" ;;
    esac
    if [ $status = fail ] || [ -n "$VERBOSE" ]; then
        { cat "$work/$name.out"; echo "$line"; } >"$work/$name.line"
    else
        echo "$line" >"$work/$name.line"
    fi
    cat "$work/$name.line"
    rm -f "$work/$name"
}

# Each worker takes the next program that nobody has taken: mkdir is atomic.
worker() {
    for name in $programs; do
        mkdir "$work/$name.taken" 2>/dev/null && run_one "$name"
    done
}

i=0
while [ "$i" -lt "$JOBS" ]; do
    worker &
    i=$((i + 1))
done
wait

passed=0
failed=0
for name in $programs; do
    case $(cat "$work/$name.status" 2>/dev/null) in
    pass) passed=$((passed + 1)) ;;
    skip) [ "$CI" = true ] && failed=$((failed + 1)) ;;
    *) failed=$((failed + 1)) ;;
    esac
done
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
