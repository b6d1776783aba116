#!/bin/sh
# unicode.sh - the Unicode character database through the shell and back: about
# 35,000 records become DynamoDB JSON lines, are loaded, dumped, and must come
# back byte for byte; so must a backup of them, restored.
#
#     sh tests/unicode.sh [UnicodeData.txt]
#
# The file is Debian's (package unicode-data) unless another one is named.
set -eu
export LC_ALL=C
cd "$(dirname "$0")/.."
data=${1:-/usr/share/unicode/UnicodeData.txt}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
[ -r "$data" ] || { echo "unicode: no $data"; echo 'unicode: 0 passed, 1 failed'; exit 1; }

# Attributes in order of their names, lines in order of the keys Category, Code.
awk -F';' '
    function text(name, value) { if (value != "") out = out ",\"" name "\":{\"S\":\"" value "\"}" }
    function number(name, value) { if (value != "") out = out ",\"" name "\":{\"N\":\"" value "\"}" }
    function list(name, value,    words, count, i)
    {
        count = split(value, words, " ")
        for (i = 1; i <= count; ++i)
            out = out (i == 1 ? ",\"" name "\":{\"L\":[" : ",") "{\"S\":\"" words[i] "\"}"
        if (count) out = out "]}"
    }
    {
        out = ""
        text("Bidi", $5)
        text("Category", $3)
        text("Code", $1)
        number("Combining", $4)
        number("Decimal", $7)
        list("Decomposition", $6)
        number("Digit", $8)
        text("Lower", $14)
        out = out ",\"Mirrored\":{\"BOOL\":" ($10 == "Y" ? "true" : "false") "}"
        text("Name", $2)
        text("Numeric", $9)
        text("OldName", $11)
        text("Title", $15)
        text("Upper", $13)
        print $3 "\t" $1 "\t{\"Item\":{" substr(out, 2) "}}"
    }' "$data" | sort -t "$(printf '\t')" -k1,1 -k2,2 | cut -f3- >"$work/in.json"

${CC:-cc} -O2 -o "$work/dynb" examples/dynb.c
passed=0 failed=0
same() # WHAT FILE: the file is what was loaded
{
    if cmp "$work/in.json" "$2"; then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
        echo "unicode: $1 differs"
    fi
}
db="$work/dynb $work/unicode.dynb"
$db create Unicode Category:S Code:S >/dev/null
$db load Unicode "$work/in.json" >/dev/null
$db dump Unicode >"$work/out.json"
same 'the table' "$work/out.json"
$db backup Unicode all >"$work/backup"
arn=$(grep -o 'arn:[^ ]*' "$work/backup" | head -n 1)
$db restore "$arn" Again >/dev/null
$db dump Again >"$work/again.json"
same 'the restored table' "$work/again.json"
$db check >/dev/null && passed=$((passed + 1)) || failed=$((failed + 1))
wc -l <"$work/in.json" | awk '{ print "unicode: " $1 " records" }'
echo "unicode: $passed passed, $failed failed"
[ $failed -eq 0 ]
