#!/bin/sh
# stack.sh - the deepest chain of calls below each public function, in bytes of
# stack on a Cortex-M3, from what gcc tells of its frames and calls.
#
#     sh bench/stack.sh [FUNCTION ...]    with the chains of these
#     sh bench/stack.sh --program N       only: bytes below main of program N of
#                                         tests/port/metal.c
#
# Whom the engine calls by pointer is the list below. The user's callbacks
# (device, allocator, clock, random, visitors) and the C library are leaves: what
# they need comes on top. dynbi_fold_insert calls itself once a level of a tree:
# counted for all 12 levels, of which a device of 1 MiB has 4. Any other circle of
# calls, a call by pointer that the list does not know, or a frame without a bound
# fails. Exits 77 where arm-none-eabi-gcc is
# missing.
set -u
export LC_ALL=C
cd "$(dirname "$0")/.." || exit 1
command -v arm-none-eabi-gcc >/dev/null || { echo 'stack: no arm-none-eabi-gcc'; exit 77; }
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM

# The handle's allocator counts and calls the user's; the worker's locks and calls
# the handle's. So dynbi_resize stands up to three times in a chain, never more:
# each level is written as a function of its own.
cat >"$work/pointers" <<'LIST'
dynbi_resize dynbi_worker_resize
dynbi_worker_resize dynbi_resize/2
dynbi_resize/2 dynbi_memory_resize
dynbi_memory_resize dynbi_resize/3
dynbi_resize/3 user
dynbi_fold_start dynbi_merge_feed
dynbi_fold_begin dynbi_merge_feed
dynbi_fold_take dynbi_merge_feed
dynbi_fold_step dynbi_merge_feed
dynbi_fold_emit dynbi_job_allocate dynbi_rebuild_allocate
dynbi_log_reserve_segment dynbi_store_allocate_log
dynbi_catalog_walk dynbi_mark_visit dynbi_recover_record dynbi_audit_record
dynbi_audit_problem user
dynbi_fail_asked dynb_rc_text
dynbi_disk_read user
dynbi_disk_write user
dynbi_disk_sync user
dynbi_disk_sync_range user
dynbi_store_now user
dynbi_store_random user
dynbi_store_grow user
dynbi_node_open user
dynbi_log_append user
dynbi_api_free user
dynb_open user
dynb_inspect_log user
dynb_inspect_nodes user
LIST

cat >"$work/chains.awk" <<'AWK'
function base(name)
{
    sub(/\.(constprop|isra|part|cold|lto_priv)\..*/, "", name)
    return name
}
function short(title,    parts)
{
    return parts[split(title, parts, ":")]
}
function edge(from, to)
{
    if (from == to && from in levels)
        calls_itself[from] = 1
    else if (!((from, to) in has_edge)) {
        has_edge[from, to] = 1
        targets[from] = targets[from] " " to
    }
}
function problem(text)
{
    print "stack: " text
    problems = 1
}
# Bytes of the deepest chain from a function on; next_of tells the way.
function depth(name,    list, count, i, below, most)
{
    if (name in known)
        return known[name]
    if (is_open[name]) {
        problem("a circle of calls through " name)
        return 0
    }
    is_open[name] = 1
    most = 0
    count = split(targets[name], list, " ")
    for (i = 1; i <= count; ++i) {
        below = depth(list[i])
        if (below > most || !(name in next_of)) {
            most = below
            next_of[name] = list[i]
        }
    }
    is_open[name] = 0
    return known[name] = frame[name] * (name in calls_itself ? levels[name] : 1) + most
}
BEGIN { levels["dynbi_fold_insert"] = 12 }
FILENAME ~ /pointers$/ {
    pointed[$1] = $0
    next
}
/^node:/ {
    split($0, part, "\"")
    name = short(part[2])
    if (match(part[4], /[0-9]+ bytes \(/))
        frame[name] = substr(part[4], RSTART) + 0
    if (part[4] ~ /\(dynamic\)/)
        problem(name " has a frame without a bound")
}
/^edge:/ {
    split($0, part, "\"")
    from = short(part[2])
    to = short(part[4])
    if (to == "__indirect_call") {
        by_pointer[from] = 1
    } else {
        edge(from, to)
    }
}
END {
    for (name in frame)
        variants[base(name)] = variants[base(name)] " " name
    # the levels of the allocator
    frame["dynbi_resize/2"] = frame["dynbi_resize/3"] = frame["dynbi_resize"]
    variants["dynbi_resize/2"] = "dynbi_resize/2"
    variants["dynbi_resize/3"] = "dynbi_resize/3"
    targets["dynbi_worker_resize"] = targets["dynbi_memory_resize"] = ""
    by_pointer["dynbi_resize/2"] = by_pointer["dynbi_resize/3"] = 1
    by_pointer["dynbi_worker_resize"] = by_pointer["dynbi_memory_resize"] = 1
    for (name in by_pointer) {
        if (name !~ /^dynb/)
            continue
        if (!(base(name) in pointed))
            problem(name " calls by pointer, and the list does not say whom")
        count = split(pointed[base(name)], callee, " ")
        for (i = 2; i <= count; ++i) {
            found = split(callee[i] in variants ? variants[callee[i]] : callee[i], variant, " ")
            for (j = 1; j <= found; ++j)
                edge(name, variant[j])
        }
    }
    if (only) {
        print depth(only)
        exit problems
    }
    for (name in frame)
        if (name ~ /^dynb_/ && name == base(name))
            printf "%6d %s\n", depth(name), name | "sort -k 1,1nr -k 2"
    close("sort -k 1,1nr -k 2")
    count = split(wanted, list, " ")
    for (i = 1; i <= count; ++i) {
        print list[i] ":"
        for (name = list[i]; name != ""; name = next_of[name])
            printf "%6d  %s\n", frame[name], name
    }
    exit problems
}
AWK

options='-std=gnu99 -mcpu=cortex-m3 -mthumb -Os -ffunction-sections'
only=
if [ "${1:-}" = --program ]; then
    only=main
    # shellcheck disable=SC2086
    (cd tests/port && arm-none-eabi-gcc $options -fcallgraph-info=su -DMETAL -DPROGRAM="$2" \
        -c -o "$work/all.o" metal.c) || exit 1
    shift 2
else
    printf '#define DYNBACKUP_NO_FILE\n#define DYNBACKUP_IMPLEMENTATION\n#include "dynbackup.h"\n' \
        >"$work/all.c"
    # shellcheck disable=SC2086
    arm-none-eabi-gcc $options -I. -fcallgraph-info=su -c -o "$work/all.o" "$work/all.c" || exit 1
fi
awk -v only="$only" -v wanted="$*" -f "$work/chains.awk" "$work/pointers" "$work/all.ci"
