#!/bin/sh
# port.sh - the unit tests, the golden digest and the fuzz corpus on other
# architectures and systems: big-endian, 32 bits, WebAssembly, Windows.
#
#     sh tests/port/port.sh [native|s390x|i386|wasm32|win64|aarch64|armhf ...]
#
# Without arguments: native, s390x, i386 and wasm32. What each needs, by the names of
# Debian's packages, is in tools_of; a missing one is skipped with a word, and
# fails with CI=true. SCALE (percent, 5) makes the random tests shorter; compiled
# without optimization, for most of the time is the compilers'.
set -u
cd "$(dirname "$0")/.." || exit 1
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM
export SCALE="${SCALE:-5}"
[ $# -gt 0 ] || set -- native s390x i386 wasm32

# Sets compiler (with its options) and runner, or returns 1; threaded, where the
# tests of threads are compiled and run as well.
tools_of()
{
    threaded=
    case $1 in
    native) # the golden digest here, as well
        compiler="${CC:-cc}" runner=env ;;
    s390x) # gcc-s390x-linux-gnu libc6-dev-s390x-cross qemu-user-static
        compiler='s390x-linux-gnu-gcc -static' runner=qemu-s390x-static ;;
    i386) # gcc-i686-linux-gnu libc6-dev-i386-cross; the kernel runs it itself
        compiler='i686-linux-gnu-gcc -static -msse2 -mfpmath=sse' runner=env ;;
    aarch64) # gcc-aarch64-linux-gnu libc6-dev-arm64-cross qemu-user-static
        compiler='aarch64-linux-gnu-gcc -static' runner=qemu-aarch64-static ;;
    armhf) # gcc-arm-linux-gnueabihf libc6-dev-armhf-cross qemu-user-static
        compiler='arm-linux-gnueabihf-gcc -static' runner=qemu-arm-static ;;
    wasm32) # clang-14 lld wasi-libc libclang-rt-14-dev-wasm32, and node
        # No files there: the store's own device is all it has. Node's fast calls
        # keep a pointer to memory that has grown elsewhere since: not used.
        compiler='clang-14 --target=wasm32-wasi -DDYNBACKUP_NO_FILE
                  -Wl,-z,stack-size=4194304 -Wl,--stack-first -Wl,--initial-memory=268435456'
        runner='node --no-warnings --no-turbo-fast-api-calls port/wasi.mjs' ;;
    win64) # gcc-mingw-w64-x86-64 wine wine64
        export WINEPREFIX="$work/wine" WINEDEBUG=-all
        compiler='x86_64-w64-mingw32-gcc -static' runner=wine
        threaded='x86_64-w64-mingw32-gcc-posix -static -DDYNBACKUP_PTHREADS -pthread' ;;
    *)
        echo "port: unknown architecture $1"
        return 1 ;;
    esac
    command -v "${compiler%% *}" >/dev/null && command -v "${runner%% *}" >/dev/null
}

# one ARCHITECTURE PROGRAM: compiles and runs it.
one()
{
    program=$work/$1.$2
    # shellcheck disable=SC2086
    if ! $compiler -std=gnu99 -O0 -include assert_loud.h -o "$program" "$2.c" -lm \
        >"$program.log" 2>&1; then
        echo "$2: 0 passed, 1 failed (does not build)" >>"$program.log"
    elif ! $runner "$program" >>"$program.log" 2>&1; then
        tail -n 1 "$program.log" | grep -q ' failed$' || # it ended before its report
            echo "$2: 0 passed, 1 failed (ended early)" >>"$program.log"
    fi
    tail -n 1 "$program.log" | grep -q ' passed, 0 failed$' || tail -n 25 "$program.log"
    tail -n 1 "$program.log" >>"$work/$1.counts"
}

architecture()
{
    for source in unit_*.c test_replay_*.c golden.c; do
        case $source in
        *threads*) [ -z "$threaded" ] || (compiler=$threaded && one "$1" "${source%.c}") ;;
        *) one "$1" "$(basename "$source" .c)" ;;
        esac
    done
}

passed=0 failed=0
for arch in "$@"; do
    if ! tools_of "$arch"; then
        echo "port: skipped $arch, its tools are missing"
        [ "${CI:-}" != true ] || failed=$((failed + 1))
        continue
    fi
    architecture "$arch" # in turn: what they print stays together
    sum=$(awk '{ for (i = 2; i <= NF; ++i) { if ($i ~ /^passed/) p += $(i - 1)
                                             if ($i ~ /^failed/) f += $(i - 1) } }
               END { print p + 0, f + 0 }' "$work/$arch.counts")
    echo "port_$arch: ${sum% *} passed, ${sum#* } failed"
    passed=$((passed + ${sum% *}))
    failed=$((failed + ${sum#* }))
done
echo "port: $passed passed, $failed failed"
[ $failed -eq 0 ]
