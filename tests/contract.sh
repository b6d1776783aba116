#!/bin/sh
# contract.sh - is every row of the service's contract on backups shown, or told?
#
#     sh tests/contract.sh      prints what is missing, then N passed, N failed
#
# contract.tsv lists the rows of the contract's sections 1.1 to 1.8 and 2.1 to
# 2.7: the row, a tab, what it says; and where we differ, a tab and words that
# stand in the README's list of differences. Every row without such words must
# be cited by a test, in a comment at the check that shows it, as
# `contract 1.4 row 5` (several: `contract 1.4 row 5, 2.7 row 2`).
set -u
export LC_ALL=C
cd "$(dirname "$0")" || exit 2

awk -F '\t' '
    FILENAME == "contract.tsv" {
        rows[++count] = $1
        difference[$1] = $3
        if ($1 in known || NF < 2 || $2 == "")
            bad[++bad_count] = "contract.tsv:" FNR ": twice, or without words: " $1
        known[$1] = 1
        next
    }
    FILENAME == "../README.md" {
        if ($0 ~ /^## /)
            differs = $0 == "## Differences from DynamoDB"
        if (differs)
            readme = readme " " $0
        next
    }
    FNR == 1 { cites = 0 }
    /contract [12]\.[0-9] row [0-9]/ { cites = 1 }
    cites {
        text = $0
        while (match(text, /[12]\.[0-9] row [0-9]+/)) {
            row = substr(text, RSTART, RLENGTH)
            text = substr(text, RSTART + RLENGTH)
            cited[row] = 1
            if (!(row in known))
                bad[++bad_count] = FILENAME ":" FNR ": no such row: " row
        }
        if ($0 ~ /\*\//)
            cites = 0
    }
    END {
        for (i = 1; i <= count; ++i) {
            row = rows[i]
            if (difference[row] != "" && !index(readme, difference[row]))
                bad[++bad_count] = row ": the README does not tell: " difference[row]
            else if (difference[row] == "" && !(row in cited))
                bad[++bad_count] = row ": no test cites it"
            else
                ++passed
        }
        if (!count || readme == "")
            bad[++bad_count] = "no rows, or no list of differences"
        for (i = 1; i <= bad_count; ++i)
            print bad[i]
        print "contract: " passed + 0 " passed, " bad_count + 0 " failed"
        exit bad_count > 0
    }' contract.tsv ../README.md ./*.c vectors/backups.tsv
