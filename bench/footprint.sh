#!/bin/sh
# footprint.sh - bytes of code on a Cortex-M3, by section of the header, of the
# programs of tests/port/metal.c: put and get; with backups and restores; with
# items in JSON; with dynb_call, which reaches everything; and the stack they may
# need below main (see stack.sh).
#
#     sh bench/footprint.sh [--functions]   and the largest functions of each
#
# Counted is what the linker keeps: functions, constant tables and texts of
# messages, under the section in which they are written (what the compiler
# inlines counts for its caller). The last line is all of it again for a program of
# one file with DYNBACKUP_STATIC, where the compiler inlines across the API. The C library's functions, the compiler's
# 64-bit arithmetic and the program itself are told apart. Exits 77 where the
# tools (gcc-arm-none-eabi libnewlib-arm-none-eabi) are missing.
set -u
export LC_ALL=C
cd "$(dirname "$0")/.." || exit 1
command -v arm-none-eabi-gcc >/dev/null || { echo 'footprint: no arm-none-eabi-gcc'; exit 77; }
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM

options="-std=gnu99 -mcpu=cortex-m3 -mthumb -Os -ffunction-sections -fdata-sections ${CFLAGS:-}"
# link PROGRAM ELF OPTION...
link()
{
    program=$1 elf=$2
    shift 2
    # shellcheck disable=SC2086
    arm-none-eabi-gcc $options -g -DMETAL -DPROGRAM="$program" -DBUDGET_BYTES=65536 -DARENA_BYTES=8 \
        -nostartfiles --specs=nano.specs -Wl,--gc-sections -T tests/port/metal.ld \
        -Wl,--defsym=RAM_BYTES=65536 -Wl,--defsym=STACK_BYTES=1024 -o "$elf" "$@" tests/port/metal.c tests/port/metal_start.c
}

for program in 1 2 3 4; do
    link $program "$work/$program.elf" -Wl,-Map="$work/$program.map" || exit 1
    link $program "$work/static.elf" -DDYNBACKUP_STATIC || exit 1
    arm-none-eabi-size "$work/static.elf" | awk 'NR == 2 { print $1 }' >"$work/$program.static"
    sh bench/stack.sh --program $program >"$work/$program.stack" || exit 1
    # "bytes name file:line" of what is in ROM
    arm-none-eabi-nm -S -l --size-sort "$work/$program.elf" |
        awk '$3 ~ /[tTrRwW]/ { print $2, $4, $5 }' >"$work/$program.symbols"
    # "bytes function" of the texts in it; a long name stands on a line of its own
    awk '/^Linker script and memory map/ { is_map = 1 }
         is_map && /^ \.rodata[^ ]*$/ { name = $1; next }
         is_map && /^ \.rodata[^ ]* +0x/ { name = $1; sub(/^ [^ ]+/, "") }
         name && / 0x/ { if (name ~ /\.str1/) print $2, name }
         { name = "" }' "$work/$program.map" |
        sed 's/ \.rodata\./ /; s/\.str1.*//' >"$work/$program.texts"
done

cat >"$work/table.awk" <<'AWK'
function hex(text,    i, value)
{
    value = 0
    sub(/^0x/, "", text)
    for (i = 1; i <= length(text); ++i)
        value = value * 16 + index("0123456789abcdef", substr(text, i, 1)) - 1
    return value
}
function section_of_line(line,    i)
{
    for (i = sections; i > 1 && line < start[i]; --i)
        ;
    return i
}
function count(what, size)
{
    bytes[what, program] += size
    if (what + 0)
        total[program] += size
}
FILENAME ~ /dynbackup\.h$/ {
    if (/^ \* [12][0-9] [A-Z]+$/) {
        title[++sections] = $2 " " $3
        start[sections] = FNR
    }
    next
}
FNR == 1 { split(FILENAME, parts, "/"); program = parts[split(FILENAME, parts, "/")] + 0 }
/dynbackup\.h:[0-9]+$/ {
    match($3, /[0-9]+$/)
    what = section_of_line(substr($3, RSTART) + 0)
    of_function[$2] = what
    count(what, hex($1))
    print program, hex($1), title[what], $2 >functions
    next
}
FILENAME ~ /symbols$/ {
    if ($2 ~ /^CSWTCH/)
        count(sections + 1, hex($1)) # tables that the compiler makes of switches
    else
        count($3 ~ /metal/ ? "program" : "library", hex($1))
    next
}
{ # texts
    size = hex($1)
    texts[program] += size
    count($2 in of_function ? of_function[$2] : $2 ~ /^(str1|dynb)/ || $2 ~ /^\.rodata/ ? sections + 1 : "program", size)
}
function line(name, a, b, c, d)
{
    printf "%-26s %9s %9s %9s %9s\n", name, a + 0, b + 0, c + 0, d + 0
}
function row(name, what)
{
    line(name, bytes[what, 1], bytes[what, 2], bytes[what, 3], bytes[what, 4])
}
END {
    printf "%-26s %9s %9s %9s %9s\n", "section, bytes", "put/get", "+ backups", "+ JSON", "+ calls"
    for (i = 1; i <= sections; ++i)
        row(title[i], i)
    row("tables, texts of several", sections + 1)
    line("dynbackup.h", total[1], total[2], total[3], total[4])
    line("  of it texts", texts[1], texts[2], texts[3], texts[4])
    row("C library and compiler's", "library")
    row("the program itself", "program")
    split(statics, all)
    line("all, DYNBACKUP_STATIC", all[1], all[2], all[3], all[4])
    split(stacks, all)
    line("stack below main", all[1], all[2], all[3], all[4])
}
AWK
awk -v functions="$work/functions" -v stacks="$(cat "$work"/?.stack)" \
    -v statics="$(cat "$work"/?.static)" -f "$work/table.awk" dynbackup.h \
    "$work/1.symbols" "$work/1.texts" "$work/2.symbols" "$work/2.texts" \
    "$work/3.symbols" "$work/3.texts" "$work/4.symbols" "$work/4.texts" || exit 1
[ "${1:-}" != --functions ] || sort -k 1,1n -k 2,2nr "$work/functions" |
    awk '++seen[$1] <= 40 { print "program " $1 ": " $2 " " $3 " " $4 " " $5 }'
