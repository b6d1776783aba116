#!/bin/sh
# metal.sh - the programs of metal.c on a bare Cortex-M3 (qemu's mps2-an385)
# with 64 KiB of RAM, against the same programs on this machine: their digests
# must be equal and no call may fail. The fourth has 80 KiB: dynb_call alone needs
# 15 KiB of stack.
#
#     sh tests/port/metal.sh [PROGRAM ...]      1 to 4
#
# Of the 64 KiB 52 KiB are the budget of the handle, the least with pointers of 32
# bits; 3 KiB are for the program's own item and result and for what the arena
# loses between blocks; 5 KiB are the stack (bench/stack.sh tells what it may need);
# the rest is static: the error, the builder. How much of arena and stack was in use is printed. Needs
# gcc-arm-none-eabi, libnewlib-arm-none-eabi and qemu-system-arm; exits 77 where
# they are missing, which with CI=true is a failure.
set -u
cd "$(dirname "$0")/../.." || exit 1
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM
budget=53248 arena=56320
[ $# -gt 0 ] || set -- 1 2 3 4

for tool in arm-none-eabi-gcc qemu-system-arm; do
    command -v "$tool" >/dev/null && continue
    echo "metal: skipped, no $tool"
    [ "${CI:-}" != true ] || { echo 'metal: 0 passed, 1 failed'; exit 1; }
    exit 77
done

passed=0 failed=0
for program in "$@"; do
    ram=65536 stack=5120
    [ "$program" -lt 4 ] || ram=81920 stack=16384
    ${CC:-cc} -std=c99 -O1 -DPROGRAM="$program" -o "$work/host" tests/port/metal.c &&
        "$work/host" >"$work/host.said"
    arm-none-eabi-gcc -std=gnu99 -mcpu=cortex-m3 -mthumb -Os -ffunction-sections -fdata-sections \
        -DMETAL -DPROGRAM="$program" -DBUDGET_BYTES=$budget -DARENA_BYTES=$arena \
        -nostartfiles --specs=nano.specs -Wl,--gc-sections -T tests/port/metal.ld \
        -Wl,--defsym=RAM_BYTES=$ram -Wl,--defsym=STACK_BYTES=$stack -o "$work/metal.elf" \
        tests/port/metal.c tests/port/metal_start.c &&
        timeout 120 qemu-system-arm -M mps2-an385 -display none -kernel "$work/metal.elf" \
            -semihosting-config enable=on,target=native >"$work/metal.said" 2>&1
    cat "$work/metal.said"
    if grep -q 'calls that failed 0$' "$work/host.said" &&
        [ "$(head -n 1 "$work/host.said")" = "$(head -n 1 "$work/metal.said")" ]; then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
        sed 's/^/here: /' "$work/host.said"
    fi
done
echo "metal: $passed passed, $failed failed"
[ $failed -eq 0 ]
