#!/bin/sh
# examples.sh - what a newcomer sees: each example's exact output, the README's
# program and its output, the shell's demo, the example data loaded and dumped
# back, and what the shell says and returns for right and wrong commands.
#
#     sh tests/examples.sh            compare
#     sh tests/examples.sh --update   write the output into the examples instead
#
# Prints what differs, then `examples: N passed, N failed`.
set -u
export LC_ALL=C
cd "$(dirname "$0")/.." || exit 1
top=$(pwd)
tmp=$(mktemp -d) || exit 1
trap 'rm -rf "$tmp"' EXIT
trap 'exit 1' HUP INT TERM

passed=0
failed=0
cc=${CC:-cc}

ok()
{
    passed=$((passed + 1))
}

bad() # MESSAGE
{
    failed=$((failed + 1))
    echo "examples: $1"
}

# compare WHAT EXPECTED ACTUAL: two files are the same.
compare()
{
    if diff "$2" "$3" >"$tmp/diff"; then
        ok
    else
        bad "$1 differs (< expected, > got):"
        sed 's/^/    /;12q' "$tmp/diff"
    fi
}

# build WHAT SOURCE PROGRAM
build()
{
    # shellcheck disable=SC2086
    $cc ${CFLAGS:-} -o "$3" "$2" >"$tmp/cc.said" 2>&1 || {
        bad "$1 does not compile:"
        sed 's/^/    /;12q' "$tmp/cc.said"
        return 1
    }
    [ ! -s "$tmp/cc.said" ] || {
        bad "$1 compiles with warnings:"
        sed 's/^/    /;12q' "$tmp/cc.said"
    }
}

# ---- the examples: the last comment of each holds its output ----

for source in examples/[0-9][0-9]_*.c; do
    name=$(basename "$source" .c)
    build "$source" "$source" "$tmp/$name" || continue
    "$tmp/$name" >"$tmp/got" 2>"$tmp/stderr" || bad "$source fails: $(cat "$tmp/stderr")"
    if [ "${1:-}" = --update ]; then
        { sed '/^\/\* Expected output:$/q' "$source"; cat "$tmp/got"; echo ' */'; } >"$tmp/new"
        cat "$tmp/new" >"$source"
    fi
    sed -n '/^\/\* Expected output:$/,/^ \*\/$/p' "$source" | sed '1d;$d' >"$tmp/expected"
    [ -s "$tmp/expected" ] || bad "$source has no expected output"
    compare "$source" "$tmp/expected" "$tmp/got"
done

# ---- the README: its first C block and the text block after it ----

awk '/^```c$/ && !c { c = 1; next } c == 1 && /^```$/ { exit } c == 1' README.md >"$tmp/notes.c"
awk '/^```text$/ && !t { t = 1; next } t == 1 && /^```$/ { exit } t == 1' README.md >"$tmp/expected"
cp dynbackup.h "$tmp"
if build "the README's program" "$tmp/notes.c" "$tmp/notes"; then
    (cd "$tmp" && ./notes >got 2>stderr) || bad "the README's program fails: $(cat "$tmp/stderr")"
    compare "the README's program" "$tmp/expected" "$tmp/got"
fi
sed -n 's/.*](\([^)#:]*\)).*/\1/p' README.md examples/data/README.md | sort -u |
    while read -r link; do
        [ -e "$link" ] || [ -e "examples/data/$link" ] || echo "$link"
    done >"$tmp/dead"
if [ -s "$tmp/dead" ]; then bad "dead links: $(tr '\n' ' ' <"$tmp/dead")"; else ok; fi

# ---- the shell ----

CFLAGS="-O1 ${CFLAGS:-}"
build 'the shell' examples/dynb.c "$tmp/dynb" || { echo "examples: $passed passed, $failed failed"; exit 1; }
dynb=$tmp/dynb

# The demo, as the README has it, and where it cannot find its data.
if (mkdir "$tmp/demo" && cd "$tmp/demo" && "$dynb" demo "$top/examples/data") >"$tmp/got" 2>&1; then
    ok
else
    bad "the demo fails:"
    tail -n 5 "$tmp/got"
fi
tail -n 1 "$tmp/got" | grep -q '^All was equal' && ok || bad 'the demo does not say that all was equal'
[ -z "$(ls "$tmp/demo")" ] && ok || bad "the demo leaves: $(ls "$tmp/demo")"

# A round trip of every file of data, through a file and through pipes.
facts=$tmp/facts.dynb
for table in Planets:Name:S Moons:Planet:S:Name:S Elements:Period:N:Number:N; do
    name=${table%%:*}
    data=examples/data/$(echo "$name" | tr '[:upper:]' '[:lower:]').jsonl
    keys=$(echo "${table#*:}" | sed 's/\([^:]*:[SNB]\):/\1 /')
    # shellcheck disable=SC2086
    "$dynb" "$facts" create "$name" $keys >/dev/null || bad "create $name"
    "$dynb" "$facts" load "$name" "$data" >/dev/null || bad "load $name"
    "$dynb" "$facts" dump "$name" "$tmp/$name" >/dev/null || bad "dump $name"
    compare "$name, dumped" "$data" "$tmp/$name"
    "$dynb" "$facts" create "$name-bare" $keys >/dev/null || bad "create $name-bare"
    sed 's/^{"Item":\(.*\)}$/\1/' "$data" | "$dynb" "$facts" load "$name-bare" - >/dev/null ||
        bad "load $name-bare"
    "$dynb" "$facts" dump "$name-bare" | cmp -s - "$data" && ok || bad "$name-bare differs"
done

# Commands in a row. Each line of the list: exit code, then the command; then,
# indented, what it prints: on standard output with =, on standard error with !,
# exactly; with ~ a piece of either. Words in <> stand for the times and ids.
run_list()
{
    number=0
    while IFS= read -r line; do
        number=$((number + 1))
        case $line in
        '' | '#'*) ;;
        [0-9]' '* | [0-9])
            finish
            want=${line%% *}
            command=${line#"$want"}
            (cd "$tmp" && eval "./dynb$command") >"$tmp/out" 2>"$tmp/err" </dev/null
            status=$?
            : >"$tmp/want_out"
            : >"$tmp/want_err"
            pieces=
            ;;
        '  = '*) printf '%s\n' "${line#  = }" >>"$tmp/want_out" ;;
        '  ! '*) printf '%s\n' "${line#  ! }" >>"$tmp/want_err" ;;
        '  ~ '*)
            pieces=1
            grep -qF -- "${line#  ~ }" "$tmp/out" "$tmp/err" ||
                bad "dynb$command: \"${line#  ~ }\" is missing in: $(cat "$tmp/out" "$tmp/err")"
            ;;
        *) bad "line $number of the list is malformed" ;;
        esac
    done
    finish
}

finish()
{
    [ -n "${want:-}" ] || return 0
    if [ "$status" != "$want" ]; then
        bad "dynb$command: exit code $status instead of $want: $(cat "$tmp/out" "$tmp/err")"
    elif [ -n "$pieces" ]; then
        ok
    else
        cat "$tmp/want_out" "$tmp/want_err" >"$tmp/want_all"
        cat "$tmp/out" "$tmp/err" >"$tmp/got_all"
        compare "dynb$command" "$tmp/want_all" "$tmp/got_all"
    fi
    want=
}

printf '%s\n' '{"Id":{"S":"a"},"V":{"N":"1"}}' '' '{"Item":{"Id":{"S":"b"},"V":{"N":"2"}}}' \
    '{"Id":{"S":"a"},"V":{"N":"3"}}' >"$tmp/good.jsonl"
printf '%s\n' '{"Id":{"S":"x"}}' '{"Id":{"S":"y"}' '{"Id":{"S":"z"}}' >"$tmp/broken.jsonl"
printf '%s\n' '{"Id":{"S":"x"}}' '{"Id":{"N":"1"}}' '{"Id":{"S":"z"}}' >"$tmp/wrong.jsonl"
printf '%s' '{"Id":{"S":"last"},"Item":{"S":"an attribute of that name"}}' >"$tmp/nonl.jsonl"
printf 'create Tab Id:S\nput Tab {"Id":{"S":"one word"}}\nget Tab '\''{"Id":{"S":"one word"}}'\''\n' >"$tmp/script"
printf '# a comment\nput Tab {"Id":{"S":"x"}}\n\nget Nowhere {"Id":{"S":"x"}}\nput Tab {"Id":{"S":"y"}}\n' \
    >"$tmp/bad_script"
echo 'this is a text, and not a store at all' >"$tmp/text"
: >"$tmp/empty"

run_list <<'LIST'
# Wrong usage: exit code 2, and the right usage.
2 t.dynb nonsense
  ! dynb: there is no command nonsense (try "dynb help")
2 tables
  ! dynb: tables: which store?
  ! usage: dynb FILE tables
2 t.dynb create
  ! dynb: create: something is missing
  ! usage: dynb FILE create TABLE KEY:TYPE [SORTKEY:TYPE] [OPTION ...]
2 t.dynb create Tab Id:S Sk:S More
  ! dynb: create: "More" is one word too many
  ! usage: dynb FILE create TABLE KEY:TYPE [SORTKEY:TYPE] [OPTION ...]
2 t.dynb create Tab Id:X
  ! dynb: create: the type of key Id is S, N or B, not "X"
  ! usage: dynb FILE create TABLE KEY:TYPE [SORTKEY:TYPE] [OPTION ...]
2 t.dynb create Tab Id:S --colour red
  ! dynb: create: unknown option --colour
  ! usage: dynb FILE create TABLE KEY:TYPE [SORTKEY:TYPE] [OPTION ...]
2 t.dynb create Tab Id:S --provisioned 1
  ! dynb: create: --provisioned needs a value
  ! usage: dynb FILE create TABLE KEY:TYPE [SORTKEY:TYPE] [OPTION ...]
2 help nonsense
  ! dynb: help: there is no command nonsense
  ! usage: dynb help [COMMAND]
0 help tables
  = tables - list the tables
  = usage: dynb FILE tables
0 --help
  ~ Exit codes: 0 done, 1 failed, 2 wrong usage.
2
  ~ usage: dynb FILE COMMAND

# No store, no table, no item, no file.
1 none.dynb tables
  ! dynb: there is no store in none.dynb ("dynb none.dynb create TABLE KEY:S" makes one)
1 empty tables
  ! dynb: there is no store in empty ("dynb empty create TABLE KEY:S" makes one)
1 text tables
  ~ dynb: text: 
0 t.dynb create Tab Id:S
  = created Tab
1 t.dynb create Tab Id:S
  ~ dynb: ResourceInUseException: 
1 t.dynb create T/T Id:S
  ~ dynb: ValidationException: 
1 t.dynb describe Other
  ~ dynb: ResourceNotFoundException: 
1 t.dynb get Tab '{"Id":{"S":"a"}}'
  ! dynb: Tab has no item with that key
1 t.dynb get Tab '{"Id":{"N":"1"}}'
  ~ dynb: ValidationException: 
1 t.dynb get Tab '{"Id":{"S":"a"'
  ~ dynb: get: SerializationException: 
1 t.dynb load Tab nowhere.jsonl
  ! dynb: cannot open nowhere.jsonl
1 t.dynb dump Tab /nowhere/file
  ! dynb: cannot write /nowhere/file

# Loading: blank lines, both forms, a key twice; then bad lines.
0 t.dynb load Tab good.jsonl
  = loaded 3 items into Tab
0 t.dynb dump Tab
  = {"Item":{"Id":{"S":"a"},"V":{"N":"3"}}}
  = {"Item":{"Id":{"S":"b"},"V":{"N":"2"}}}
1 t.dynb load Tab broken.jsonl
  ~ dynb: broken.jsonl:2: SerializationException: 
  ~ dynb: 1 items were loaded before that
1 t.dynb load Tab broken.jsonl --keep-going
  ~ dynb: broken.jsonl:2: SerializationException: 
  ~ dynb: 1 lines were refused, 2 items loaded
1 t.dynb load Tab wrong.jsonl
  ~ dynb: wrong.jsonl:2: ValidationException: 
0 t.dynb load Tab nonl.jsonl
  = loaded 1 items into Tab
0 t.dynb get Tab '{"Id":{"S":"last"}}'
  = {"Id":{"S":"last"},"Item":{"S":"an attribute of that name"}}
1 t.dynb load Other good.jsonl
  ~ dynb: ResourceNotFoundException: 

# Items.
0 t.dynb put Tab '{"Id":{"S":"a"},"V":{"N":"4.0"}}' --old
  = {"Id":{"S":"a"},"V":{"N":"3"}}
0 t.dynb get Tab '{"Id":{"S":"a"}}'
  = {"Id":{"S":"a"},"V":{"N":"4"}}
0 t.dynb delete Tab '{"Id":{"S":"a"}}' --old
  = {"Id":{"S":"a"},"V":{"N":"4"}}
0 t.dynb delete Tab '{"Id":{"S":"a"}}'
1 t.dynb put Tab '{"Id":{"S":""}}'
  ~ dynb: ValidationException: 
1 t.dynb put Tab '{"Id":{"S":"a"},"Tags":{"SS":["x","x"]}}'
  ~ ValidationException: 
1 t.dynb put Tab '{"Id":{"S":"a"},"N":{"N":"1e200"}}'
  ~ ValidationException: 
0 t.dynb put Tab -- '{"Id":{"S":"--x"}}'

# Queries on the facts.
0 facts.dynb query Moons Mars
  = {"Discovered":{"N":"1877"},"Discoverers":{"SS":["Asaph Hall"]},"Name":{"S":"Deimos"},"PeriodDays":{"N":"1.26244"},"Planet":{"S":"Mars"},"RadiusKm":{"N":"6.2"}}
  = {"Discovered":{"N":"1877"},"Discoverers":{"SS":["Asaph Hall"]},"Name":{"S":"Phobos"},"PeriodDays":{"N":"0.31891"},"Planet":{"S":"Mars"},"RadiusKm":{"N":"11.1"}}
0 facts.dynb query Moons Jupiter begins I --grid
  = Planet   Name  Discovered  Discoverers      PeriodDays  RadiusKm
  = Jupiter  Io          1610  Galileo Galilei     1.76914      1822
0 facts.dynb query Elements 4 between 25 27 --desc --grid
  = Period  Number  Category          Discovered  Group  Name       Symbol  Weight
  =      4      27  transition metal  1735            9  cobalt     Co      58.933
  =      4      26  transition metal  ancient         8  iron       Fe      55.845
  =      4      25  transition metal  1774            7  manganese  Mn      54.938
0 facts.dynb query Elements 7 gt 117
  = {"Category":{"S":"noble gas"},"Discovered":{"N":"2002"},"Group":{"N":"18"},"Name":{"S":"oganesson"},"Number":{"N":"118"},"Period":{"N":"7"},"Symbol":{"S":"Og"}}
0 facts.dynb query Elements 7.0 '<=' 87 --limit 1
  = {"Category":{"S":"alkali metal"},"Discovered":{"N":"1939"},"Group":{"N":"1"},"Name":{"S":"francium"},"Number":{"N":"87"},"Period":{"N":"7"},"Symbol":{"S":"Fr"}}
0 facts.dynb query Moons Pluto
0 facts.dynb scan Moons --limit 1
  = {"Discovered":{"S":"ancient"},"Name":{"S":"Moon"},"PeriodDays":{"N":"27.3217"},"Planet":{"S":"Earth"},"RadiusKm":{"N":"1737"}}
2 facts.dynb query Moons Mars like P
  ~ dynb: query: "like" is no condition
2 facts.dynb query Moons Mars between A
  ~ dynb: query: between needs two values
2 facts.dynb query Planets Mars eq A
  ~ dynb: query: Planets has no sort key to put a condition on
2 facts.dynb scan Moons --limit 0
  ~ dynb: scan: --limit needs a number from 1, not "0"
1 facts.dynb query Elements four
  ~ ValidationException: 

# Backups, by name and by id.
0 facts.dynb backup Planets,Moons both
  ~ arn:aws:dynamodb:us-east-1:123456789012:table/Planets/backup/
  ~ arn:aws:dynamodb:us-east-1:123456789012:table/Moons/backup/
  ~ (2 tables at one marker, LSN
0 facts.dynb backup Elements alone
  ~ arn:aws:dynamodb:us-east-1:123456789012:table/Elements/backup/
0 facts.dynb describe-backup alone
  ~ status        AVAILABLE
0 facts.dynb backups
  ~ AVAILABLE
1 facts.dynb describe-backup both
  ~ dynb: 2 backups are called "both"; name one by its id: 
1 facts.dynb restore nothing Elsewhere
  ! dynb: no backup has the name or id "nothing" ("backups" lists them)
0 facts.dynb delete Elements '{"Period":{"N":"1"},"Number":{"N":"1"}}'

# What changed, and reading at a backup.
0 facts.dynb diff alone Elements
  = - {"Category":{"S":"nonmetal"},"Discovered":{"N":"1766"},"Group":{"N":"1"},"Name":{"S":"hydrogen"},"Number":{"N":"1"},"Period":{"N":"1"},"Symbol":{"S":"H"},"Weight":{"N":"1.008"}}
0 facts.dynb put Elements '{"Period":{"N":"1"},"Number":{"N":"2"},"Name":{"S":"Helium"}}'
0 facts.dynb put Elements '{"Period":{"N":"8"},"Number":{"N":"119"}}'
0 facts.dynb diff alone Elements --limit 2
  = - {"Category":{"S":"nonmetal"},"Discovered":{"N":"1766"},"Group":{"N":"1"},"Name":{"S":"hydrogen"},"Number":{"N":"1"},"Period":{"N":"1"},"Symbol":{"S":"H"},"Weight":{"N":"1.008"}}
  = - {"Category":{"S":"noble gas"},"Discovered":{"N":"1868"},"Group":{"N":"18"},"Name":{"S":"helium"},"Number":{"N":"2"},"Period":{"N":"1"},"Symbol":{"S":"He"},"Weight":{"N":"4.0026"}}
  = + {"Name":{"S":"Helium"},"Number":{"N":"2"},"Period":{"N":"1"}}
0 facts.dynb diff Elements Elements
2 facts.dynb diff Elements
  ~ usage: dynb FILE diff TABLE|TABLE@TIME|BACKUP TABLE|TABLE@TIME|BACKUP [--limit N]
1 facts.dynb diff Elements nothing
  ! dynb: no backup has the name or id "nothing" ("backups" lists them)
1 facts.dynb diff Elements Planets
  ~ dynb: ValidationException: tables Elements and Planets have different key schemas
0 facts.dynb get Elements '{"Period":{"N":"1"},"Number":{"N":"1"}}' --at alone
  = {"Category":{"S":"nonmetal"},"Discovered":{"N":"1766"},"Group":{"N":"1"},"Name":{"S":"hydrogen"},"Number":{"N":"1"},"Period":{"N":"1"},"Symbol":{"S":"H"},"Weight":{"N":"1.008"}}
1 facts.dynb get Elements '{"Period":{"N":"1"},"Number":{"N":"1"}}'
  ! dynb: Elements has no item with that key
0 facts.dynb get Moons '{"Planet":{"S":"Earth"},"Name":{"S":"Moon"}}' --at both
  = {"Discovered":{"S":"ancient"},"Name":{"S":"Moon"},"PeriodDays":{"N":"27.3217"},"Planet":{"S":"Earth"},"RadiusKm":{"N":"1737"}}
1 facts.dynb get Moons '{"Planet":{"S":"Earth"},"Name":{"S":"Moon"}}' --at alone
  ! dynb: no backup has the name or id "alone" ("backups" lists them)
0 facts.dynb query Elements 1 --at alone --grid
  = Period  Number  Category   Discovered  Group  Name      Symbol  Weight
  =      1       1  nonmetal         1766      1  hydrogen  H        1.008
  =      1       2  noble gas        1868     18  helium    He      4.0026
0 facts.dynb query Elements 8 --at alone
0 facts.dynb scan Elements --at alone --limit 1 --grid
  = Period  Number  Category  Discovered  Group  Name      Symbol  Weight
  =      1       1  nonmetal        1766      1  hydrogen  H        1.008
0 facts.dynb restore alone Elements-then
  = restored 118 items into Elements-then
1 facts.dynb restore alone Elements
  ~ dynb: TableAlreadyExistsException: Table already exists: Elements
0 facts.dynb runs Elements alone
  ~ shared by both: 
0 facts.dynb delete-backup alone
  = deleted backup alone of Elements
1 facts.dynb describe-backup arn:aws:dynamodb:us-east-1:123456789012:table/Tab/backup/01489602797149-73d8d5bc
  ! dynb: BackupNotFoundException: Backup not found: arn:aws:dynamodb:us-east-1:123456789012:table/Tab/backup/01489602797149-73d8d5bc
1 facts.dynb describe-backup arn:nonsense
  ~ dynb: ValidationException: 
1 facts.dynb backup Nothing name
  ~ dynb: TableNotFoundException: 
1 facts.dynb backup Moons a/b
  ~ dynb: ValidationException: 
0 facts.dynb dump Elements-then elements.again
  = dumped 118 items into elements.again

# Settings.
0 facts.dynb set Moons --provisioned 5 6 --stream both --class infrequent --protect on --ttl Until --tag a=b
  = changed Moons
0 facts.dynb describe Moons
  ~ billing       PROVISIONED, 5 read and 6 write units
  ~ stream        NEW_AND_OLD_IMAGES
  ~ class         STANDARD_INFREQUENT_ACCESS
  ~ protected     against deletion
  ~ time to live  Until (recorded only)
  ~ tag           a=b
  ~ key           Planet:S and Name:S
1 facts.dynb drop Moons
  ~ dynb: ValidationException: 
0 facts.dynb set Moons --pay-per-request --protect off --no-ttl --untag a
  = changed Moons
2 facts.dynb set Moons
  ~ dynb: set: nothing to set
2 facts.dynb set Moons --stream sideways
  ~ dynb: set: --stream cannot be "sideways"
0 facts.dynb drop Moons
  = dropped Moons; its backups stay

# The past of a table.
0 facts.dynb pitr Planets
  = recovery      DISABLED
1 facts.dynb restore --at latest Planets Planets-then
  ! dynb: PointInTimeRecoveryUnavailableException: Point in time recovery is not enabled for table 'Planets'
0 facts.dynb pitr Planets on 7
  ~ period        7 days
1 facts.dynb pitr Planets on 36
  ~ dynb: ValidationException: 1 validation error detected: Value '36'
2 facts.dynb pitr Planets perhaps
  ~ dynb: pitr: it is on or off, not "perhaps"
1 facts.dynb restore --at 2020-02-29T12:00:00.5 Planets Planets-then
  ~ dynb: InvalidRestoreTimeException: RestoreDateTime '2020-02-29T12:00:00Z' must be within
2 facts.dynb restore --at noon Planets Planets-then
  ~ dynb: restore: --at needs a time such as
0 facts.dynb restore --at latest Planets Planets-then
  ~ into Planets-then: 8 items
0 facts.dynb get Planets '{"Name":{"S":"Mars"}}' --at latest
  ~ "Name":{"S":"Mars"}
1 facts.dynb get Planets '{"Name":{"S":"Mars"}}' --at 2020-02-29T12:00:00.5
  ~ dynb: InvalidRestoreTimeException: RestoreDateTime '2020-02-29T12:00:00Z' must be within
1 facts.dynb query Planets Mars --at 1582977600500
  ~ dynb: InvalidRestoreTimeException: RestoreDateTime '2020-02-29T12:00:00Z' must be within
1 facts.dynb scan Elements --at latest
  ! dynb: PointInTimeRecoveryUnavailableException: Point in time recovery is not enabled for table 'Elements'
1 facts.dynb get Planets '{"Name":{"S":"Mars"}}' --at noon
  ! dynb: no backup has the name or id "noon" ("backups" lists them)
0 facts.dynb diff Planets@latest Planets
0 facts.dynb pitr Planets >then
0 facts.dynb delete Planets '{"Name":{"S":"Mars"}}'
1 facts.dynb get Planets '{"Name":{"S":"Mars"}}'
  ! dynb: Planets has no item with that key
0 facts.dynb get Planets '{"Name":{"S":"Mars"}}' --at "$(sed -n 's/^latest *//p' then)"
  ~ "Name":{"S":"Mars"}
0 facts.dynb query Planets Mars --at "$(sed -n 's/^latest *//p' then)" --grid
  ~ Mars
0 facts.dynb diff "Planets@$(sed -n 's/^latest *//p' then)" Planets
  ~ - {
  ~ "Name":{"S":"Mars"}
1 facts.dynb diff Planets Planets@2020-02-29
  ~ dynb: InvalidRestoreTimeException: 
2 facts.dynb diff Planets@noon Planets
  ~ dynb: diff: @ needs a time such as 2026-11-22T15:09:01.123, or latest, not "noon"
0 facts.dynb retention Planets --keep-hourly 24 --keep-daily 30
  ~ keep daily    30
0 facts.dynb retention Planets --none
  = all backups are kept
0 facts.dynb drop Planets-then
  = dropped Planets-then; its backups stay
0 facts.dynb drop Planets
  = dropped Planets; its backups stay
0 facts.dynb backups --type system
  ~ Planets$DeletedTableBackup
0 facts.dynb tables
  ~ Elements-then                     118

# Looking inside.
0 facts.dynb work >/dev/null
0 facts.dynb work
  = nothing was left to do
0 facts.dynb check
  ~ the state rebuilt from snapshots and log equals the live state
0 facts.dynb stat
  ~ durable up to LSN
0 facts.dynb log --limit 2
  ~ DURABLE LSN

# Scripts: JSON needs no quotes there; the first failure ends them.
0 new.dynb <script
  = created Tab
  = {"Id":{"S":"one word"}}
1 new.dynb <bad_script
  ~ dynb: stdin:4: ResourceNotFoundException: 
1 new.dynb get Tab '{"Id":{"S":"y"}}'
  ! dynb: Tab has no item with that key

# The demo beside its data.
1 demo nowhere
  ~ dynb: cannot find examples/data/planets.jsonl
LIST
compare 'Elements-then, dumped' examples/data/elements.jsonl "$tmp/elements.again"

echo "examples: $passed passed, $failed failed"
[ $failed -eq 0 ]
