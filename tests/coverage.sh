#!/bin/sh
# coverage.sh - which lines and branches of dynbackup.h the tests reach.
#
#     sh tests/coverage.sh              the gate: all lines, 95 % of branches
#     sh tests/coverage.sh --branches   lists the branches never taken as well
#
# run.sh builds every test program with gcc's --coverage and runs it at SCALE
# (percent, 10); what gcov says of each is added up line by line and branch by
# branch (a branch is one way out of a conditional jump). Nothing is excluded but
# the insides of DYNBI_ASSERT, which a user's build does not have. Needs gcc and
# python3. LINES and BRANCHES set other limits, in percent.
set -u
cd "$(dirname "$0")/.." || exit 1
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM

tests=0
CC=gcc CFLAGS="-O0 --coverage -fprofile-update=prefer-atomic -dumpdir $work/" \
    SCALE="${SCALE:-10}" sh tests/run.sh || tests=1
(cd "$work" && gcov --json-format --stdout --branch-probabilities ./*.gcda >counts 2>gcov.log) ||
    { cat "$work/gcov.log"; exit 1; }

python3 - "$work/counts" "${LINES:-100}" "${BRANCHES:-95}" "$tests" "${1:-}" <<'EOP'
import json, sys

counts, lines_wanted, branches_wanted, tests, option = sys.argv[1:]
text = open("dynbackup.h").read().split("\n")

asserted, inside = set(), False
for number, line in enumerate(text, 1):
    inside = inside or line.lstrip().startswith("DYNBI_ASSERT(")
    if inside:
        asserted.add(number)
        inside = ";" not in line

lines, branches = {}, {}
for unit in open(counts):
    for source in json.loads(unit)["files"]:
        if not source["file"].endswith("dynbackup.h"):
            continue
        for line in source["lines"]:
            number, ways = line["line_number"], line["branches"]
            if number in asserted:
                continue
            lines[number] = lines.get(number, 0) + line["count"]
            # Builds with other macros may have another jump in the same line.
            key = number, line.get("function_name"), len(ways)
            taken = branches.setdefault(key, [0] * len(ways))
            for i, way in enumerate(ways):
                taken[i] += way["count"]

missed = [number for number in sorted(lines) if not lines[number]]
for number in missed:
    print("dynbackup.h:%d: never runs: %s" % (number, text[number - 1].strip()))
for (number, function, size), taken in sorted(branches.items(), key=lambda b: b[0][0]):
    if option == "--branches" and lines[number] and 0 in taken:
        print("dynbackup.h:%d: %d of %d branches never taken: %s"
              % (number, taken.count(0), size, text[number - 1].strip()))

def percent(part, whole):
    return 100.0 * part / whole if whole else 0.0

ways = sum(len(taken) for taken in branches.values())
took = sum(len(taken) - taken.count(0) for taken in branches.values())
by_line, by_branch = percent(len(lines) - len(missed), len(lines)), percent(took, ways)
print("coverage: %.2f %% of %d lines (%s wanted), %.2f %% of %d branches (%s wanted)"
      % (by_line, len(lines), lines_wanted, by_branch, ways, branches_wanted))
failed = (by_line < float(lines_wanted)) + (by_branch < float(branches_wanted)) + int(tests)
print("coverage: %d passed, %d failed" % (3 - failed, failed))
sys.exit(failed != 0)
EOP
