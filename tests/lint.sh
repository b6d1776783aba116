#!/bin/sh
# lint.sh - the checks that keep dynbackup.h as it is meant to be: its names,
# its shape, its documentation, and no warning from any compiler.
#
#     sh tests/lint.sh          the quick checks, under half a minute
#     sh tests/lint.sh --all    and every compiler and language standard
#
# Prints what fails and `lint: N passed, N failed`. A check whose tool is
# missing is skipped with a word; with CI=true in the environment it fails.
set -u
export LC_ALL=C
cd "$(dirname "$0")/.." || exit 1
tmp=$(mktemp -d) || exit 1
trap 'rm -rf "$tmp"' EXIT
trap 'exit 1' HUP INT TERM

header=dynbackup.h
cc=${CC:-cc}
count=0

# ---- running checks: each prints its problems; 77 means "tool is missing" ----

# check NAME COMMAND...: runs in the background, two at a time.
check()
{
    count=$((count + 1))
    echo "$1" >"$tmp/$count.name"
    shift
    ("$@" >"$tmp/$count.said" 2>&1; echo $? >"$tmp/$count.status") &
    [ $((count % 2)) -eq 1 ] || wait
}

report()
{
    wait
    passed=0 failed=0 n=0
    while [ $n -lt $count ]; do
        n=$((n + 1))
        name=$(cat "$tmp/$n.name") status=$(cat "$tmp/$n.status")
        if [ "$status" = 77 ] && [ "${CI:-}" != true ]; then
            echo "lint: skipped $name: $(cat "$tmp/$n.said")"
        elif [ "$status" = 0 ] && [ ! -s "$tmp/$n.said" ]; then
            passed=$((passed + 1))
        else
            failed=$((failed + 1))
            echo "lint: failed $name (status $status)"
            awk 'NR <= 12 { print "    " $0 } END { if (NR > 12) print "    ... " NR " lines" }' \
                "$tmp/$n.said"
        fi
    done
    echo "lint: $passed passed, $failed failed"
    [ $failed -eq 0 ]
}

need()
{
    command -v "$1" >/dev/null || { echo "no $1"; exit 77; }
}

# ---- what is compiled ----

printf '#define DYNBACKUP_IMPLEMENTATION\n#include "dynbackup.h"\n' >"$tmp/engine.c"
printf '#include "dynbackup.h"\nint main(void) { return dynb_rc_text(DYNB_OK) == 0; }\n' \
    >"$tmp/user.c"

wall='-Wall -Wextra -Wpedantic -Wconversion -Wsign-conversion -Wcast-qual -Wvla -Wformat=2
      -Wnull-dereference -Wdouble-promotion -Wundef -Wshadow -Werror'
wall_c="$wall -Wstrict-prototypes -Wmissing-prototypes -Werror=implicit-function-declaration"

# compile COMPILER STANDARD OPTION...: the engine alone, under the wall.
compile()
{
    compiler=$1 std=$2
    shift 2
    need "$compiler"
    case $compiler in
    *clang*) strict=-Wcast-align ;;
    *) strict=-Wcast-align=strict ;;
    esac
    case $std in
    *++*) language="-x c++ $wall" ;;
    *) language="-x c $wall_c" ;;
    esac
    # shellcheck disable=SC2086
    "$compiler" -std="$std" $language $strict -I. "$@" -c -o "$tmp/$count.o" "$tmp/engine.c"
}

# ---- names ----

externals_are_dynb()
{
    need nm
    "$cc" -O0 "$@" -I. -c -o "$tmp/$count.o" "$tmp/engine.c" || return 1
    nm -g "$tmp/$count.o" | awk '$2 != "U" && NF == 3 && $3 !~ /^dynb_[a-z]/ { print }'
}

# Sections .data and .bss stay empty; .data.rel.ro is written by the linker only.
no_writable_data()
{
    need nm
    "$cc" "$@" -I. -c -o "$tmp/$count.o" "$tmp/engine.c" || return 1
    nm -f sysv "$tmp/$count.o" |
        awk -F'|' '$7 ~ /COM|bss|data/ && $7 !~ /rodata|data\.rel\.ro/ { print $1, $7 }'
}

# After the include only DYNB macros of ours are left, and no private one. The
# feature-test macros are the exception: they must be set before system headers.
macros_are_dynb()
{
    "$cc" -std=c99 "$@" -I. -E -dD "$tmp/engine.c" | awk '
        /^# [0-9]+ "/ { ours = $3 ~ /dynbackup\.h"/ }
        /^#define / { split($2, macro, "("); if (ours) left[macro[1]] = 1 }
        /^#undef / { delete left[$2] }
        END {
            for (name in left)
                if (name ~ /^DYNBI/ ||
                    name !~ /^DYNB/ && name !~ /^_(POSIX_C_SOURCE|FILE_OFFSET_BITS)$/)
                    print name
        }'
}

# ---- text ----

# The header with comments, texts, and preprocessor lines blanked out.
code_of()
{
    awk '
        {
            line = $0
            out = ""
            if (!comment && (directive || line ~ /^[ ]*#/)) {
                directive = line ~ /\\$/
                line = line ~ /\/\*/ && line !~ /\*\// ? substr(line, index(line, "/*")) : ""
            }
            for (i = 1; i <= length(line); ++i) {
                c = substr(line, i, 1)
                two = substr(line, i, 2)
                if (comment) {
                    if (two == "*/") { comment = 0; ++i }
                } else if (quote != "") {
                    if (c == "\\") ++i
                    else if (c == quote) { quote = ""; out = out c }
                } else if (two == "/*") { comment = 1; ++i }
                else if (c == "\"" || c == "\047") { quote = c; out = out c }
                else out = out c
            }
            print out
        }' "$1"
}

# One line for each function: line, name, lines, nesting, parameters. A last
# parameter `dynb_error *` is not counted: every fallible function has it.
# Prototypes come with 0 lines, "static" before the name where they are.
functions_of()
{
    code_of "$1" | awk '
        function parameters(text,    i, c, level, n, last)
        {
            n = 1
            for (i = index(text, "("); i <= length(text); ++i) {
                c = substr(text, i, 1)
                if (c == "(") { if (++level == 1) last = "" }
                else if (c == ")" && --level == 0) break
                else if (c == "," && level == 1) { ++n; last = "" }
                else last = last c
            }
            if (last ~ /^[ ]*void[ ]*$/ || last ~ /^[ ]*dynb_error [*][a-z_]*[ ]*$/) --n
            return n
        }
        function name_of(text)
        {
            gsub(/__attribute__[ ]*\(\(([^()]|\([^()]*\))*\)\)/, "", text)
            sub(/[ ]*\(.*/, "", text)
            sub(/.*[ *]/, "", text)
            return text
        }
        {
            for (i = 1; i <= length($0); ++i) {
                c = substr($0, i, 1)
                if (level == 0 && head == "" && c != " ") first = NR
                if (c == "{") {
                    if (level == 0)
                        body = head ~ /\(/ && head !~ /=/ && head !~ /^(typedef|struct|enum|union) /
                    if (++level > deepest) deepest = level
                } else if (c == "}") {
                    if (--level == 0 && body) {
                        print first, name_of(head), NR - first + 1, deepest - 1, parameters(head)
                        head = ""
                        body = 0
                    }
                    if (level == 0) deepest = 0
                    continue
                } else if (level == 0 && c == ";") {
                    if (head ~ /\(/ && head !~ /=/ && head !~ /^(typedef|struct|enum|union) /)
                        print first, (head ~ /^static / ? "static:" : "") name_of(head), 0, 0,
                              parameters(head)
                    head = ""
                    continue
                }
                if (level == 0 && (head != "" || c != " ")) head = head c
            }
            if (level == 0 && head != "") head = head " "
        }'
}

no_static_prototypes()
{
    awk '$2 ~ /^static:/ { print "'$header':" $1 ": prototype of " $2 }' "$tmp/functions"
}

sizes_of_functions()
{
    awk '$3 > 70 { print "'$header':" $1 ": " $2 " has " $3 " lines, 70 allowed" }
         $4 > 4 { print "'$header':" $1 ": " $2 " nests " $4 " deep, 4 allowed" }
         $5 > 6 { print "'$header':" $1 ": " $2 " has " $5 " parameters, 6 allowed" }
        ' "$tmp/functions"
    awk '$3 > 0 { print $3 }' "$tmp/functions" | sort -n | awk '
        { lines[NR] = $1 }
        END {
            p90 = lines[int((NR * 9 + 9) / 10)]
            if (p90 > 40) print "one function in ten has over " p90 " lines, 40 allowed"
        }'
}

# Private functions are named dynbi_*, public ones dynb_*.
names_of_functions()
{
    awk '$2 !~ /^dynbi?_[a-z0-9_]+$/ { print "'$header':" $1 ": " $2 }' "$tmp/functions"
}

# Comments of their own 80 columns, code 100; no tabs, trailing blanks, or
# bytes outside ASCII.
layout_of_header()
{
    awk '
        { own = comment || $0 ~ /^[ ]*\/\*/ }
        length($0) > (own ? 80 : 100) {
            print "'$header':" NR ": " length($0) " columns"
        }
        /\/\*/ { comment = 1 }
        /\*\// { comment = 0 }
        /[^ -~]/ { print "'$header':" NR ": a tab or a byte outside ASCII" }
        / $/ { print "'$header':" NR ": trailing blank" }' $header
}

layout_of_sources()
{
    for file in tests/*.[ch] tests/*/*.[ch] examples/*.[ch] bench/*.[ch]; do
        [ ! -f "$file" ] || awk '
            length($0) > 100 { print FILENAME ":" FNR ": " length($0) " columns" }
            /\t/ { print FILENAME ":" FNR ": tab" }
            /[ \t]$/ { print FILENAME ":" FNR ": trailing blank" }' "$file"
    done
}

# The banners of the sections, in order, are the contents listed on top.
sections_match_contents()
{
    awk '
        /^[/ ][*] Contents of the implementation/ { contents = 1; next }
        contents {
            for (i = 2; i < NF; i += 2) listed = listed " " $i " " $(i + 1)
            if ($0 ~ /[*]\//) contents = 0
        }
        banner && /^ [*] [0-9][0-9] [A-Z]+$/ {
            found = found " " $2 " " $3
            if ($2 <= last) print "'$header':" NR ": section " $2 " after " last
            last = $2
        }
        { banner = /^\/[*] =====/ }
        END {
            if (listed == "") print "no contents of the implementation"
            if (found != listed) print "contents:" listed "\nsections:" found
        }' $header
}

# A docstring covers the declarations below it up to an empty line.
public_functions_are_documented()
{
    awk '
        /end of the public part \*\// { exit }
        /^$/ { text = "" }
        /^\/[*]/ { comment = 1 }
        comment { text = text " " $0 }
        /[*]\// { comment = 0 }
        /^DYNB_API / {
            name = $0
            sub(/\(.*/, "", name)
            sub(/.*[ *]/, "", name)
            missing = ""
            if (text !~ /Returns?/) missing = missing " Returns"
            if (text !~ /Cost:/) missing = missing " Cost"
            if (text !~ /Threads:/) missing = missing " Threads"
            if (text !~ /Source:/) missing = missing " Source"
            if (missing != "") print "'$header':" NR ": " name " lacks" missing
        }' $header
}

error_codes_are_tested()
{
    cat tests/*.c >"$tmp/tests.c"
    awk '/^    X\([A-Z_]+, "[A-Za-z]*",/ { sub(/^    X\(/, ""); sub(/,.*/, ""); print }' $header |
        while read -r code; do
            grep -qw "DYNB_$code" "$tmp/tests.c" || echo "no test names DYNB_$code"
        done
}

rows_of_the_contract()
{
    said=$(sh tests/contract.sh) || echo "$said"
}

# ---- ways of using the header ----

# variant FILE OPTION...: compiles and links FILE and runs it.
variant()
{
    # shellcheck disable=SC2086
    "$cc" $wall_c -I. -Itests -o "$tmp/$count.x" "$@" && "$tmp/$count.x"
}

two_units()
{
    variant -std=c99 "$tmp/engine.c" "$tmp/user.c"
}

static_in_two_units()
{
    printf '#define DYNBACKUP_STATIC\n#define DYNBACKUP_IMPLEMENTATION\n#include "dynbackup.h"\n' \
        >"$tmp/static1.c"
    cp "$tmp/static1.c" "$tmp/static2.c"
    echo 'int main(void) { return dynb_rc_text(DYNB_OK) == 0; }' >>"$tmp/static2.c"
    variant -std=c99 "$tmp/static1.c" "$tmp/static2.c" || return 1
    nm -g "$tmp/$count.x" | awk '$3 ~ /dynb/ { print $3 " is not static" }'
}

declare_then_implement()
{
    cat "$tmp/user.c" "$tmp/engine.c" >"$tmp/declared.c"
    variant -std=gnu99 "$tmp/declared.c"
    variant -std=c99 -D_POSIX_C_SOURCE=200809L "$tmp/declared.c"
}

included_twice()
{
    cat "$tmp/engine.c" "$tmp/engine.c" "$tmp/user.c" >"$tmp/twice.c"
    variant -std=c99 "$tmp/twice.c"
}

# What a freestanding build leaves to the program: four functions of libc.
freestanding()
{
    need nm
    compile "$cc" c99 -ffreestanding -fno-pic -fno-stack-protector -DDYNBACKUP_NO_FILE \
        -DDYNBACKUP_NO_MALLOC "$@" || return 1
    nm -u "$tmp/$count.o" | awk '$2 !~ /^(memcpy|memmove|memset|memcmp)$/ { print $2 }'
}

with_assert()
{
    printf '#include <assert.h>\n#define DYNBACKUP_ASSERT(x) assert(x)\n' >"$tmp/$count.assert.c"
    cat "$tmp/engine.c" "$tmp/user.c" >>"$tmp/$count.assert.c"
    variant -std=gnu99 "$@" "$tmp/$count.assert.c"
}

# The bench, with the rivals whose headers are here.
bench_sources()
{
    for file in bench/*.c; do
        case $file in
        *lmdb*) echo '#include <lmdb.h>' ;;
        *sqlite*) echo '#include <sqlite3.h>' ;;
        *leveldb*) echo '#include <leveldb/c.h>' ;;
        *rocksdb*) echo '#include <rocksdb/c.h>' ;;
        esac | "$cc" -E -x c - >/dev/null 2>&1 || continue
        # shellcheck disable=SC2086
        "$cc" -std=gnu11 $wall_c -pthread -fsyntax-only "$file"
    done
}

hostile()
{
    printf '#include "port/hostile_macros.h"\n' >"$tmp/$count.c"
    cat "$tmp/engine.c" >>"$tmp/$count.c"
    need "$1"
    "$@" -I. -Itests -Wall -Wextra -Werror -c -o "$tmp/$count.o" "$tmp/$count.c"
}

# Everything clang knows, but: padding and declarations after statements (house
# style); what a header that is both C and C++ cannot avoid (casts, NULL and
# pointer arithmetic of C, C++98 and C11 compatibility); a default beside all
# enumerators or none (each complains of what the other wants); macros of the
# system headers; the feature-test macro, reserved by its nature; checks of
# sizes that can fail only where size_t has 32 bits; casts of what a function
# returns (an enum is stored as a number).
everything()
{
    need clang
    clang -Weverything -Werror -Wno-unknown-warning-option \
        -Wno-padded -Wno-declaration-after-statement \
        -Wno-old-style-cast -Wno-zero-as-null-pointer-constant -Wno-unsafe-buffer-usage \
        -Wno-c++98-compat -Wno-c++98-compat-pedantic -Wno-pre-c11-compat \
        -Wno-switch-default -Wno-covered-switch-default -Wno-switch-enum \
        -Wno-disabled-macro-expansion -Wno-reserved-macro-identifier \
        -Wno-tautological-type-limit-compare -Wno-bad-function-cast \
        -I. -fsyntax-only "$@" "$tmp/engine.c"
}

with_tcc()
{
    need tcc
    tcc -Wall -Werror -I. -c -o "$tmp/$count.o" "$tmp/engine.c"
}

# ---- the list ----

if ! "$cc" -I. -c -o "$tmp/0.o" "$tmp/engine.c" >"$tmp/said" 2>&1; then
    head -n 20 "$tmp/said"
    echo "lint: 0 passed, 1 failed ($header does not compile)"
    exit 1
fi
functions_of $header >"$tmp/functions"

check 'externals' externals_are_dynb
check 'externals with threads' externals_are_dynb -DDYNBACKUP_PTHREADS
check 'no writable data, -O0' no_writable_data -O0
check 'no writable data, -Os -fPIC' no_writable_data -Os -fPIC
check 'macros' macros_are_dynb
check 'macros, all switched off' macros_are_dynb -DDYNBACKUP_NO_FILE -DDYNBACKUP_NO_MALLOC
check 'static prototypes' no_static_prototypes
check 'sizes of functions' sizes_of_functions
check 'names of functions' names_of_functions
check 'layout of the header' layout_of_header
check 'layout of other sources' layout_of_sources
check 'sections' sections_match_contents
check 'docstrings' public_functions_are_documented
check 'error codes' error_codes_are_tested
check 'rows of the contract' rows_of_the_contract
check 'warnings, cc c99' compile "$cc" c99 -O2
check 'warnings, g++ c++11' compile g++ c++11 -O0
check 'warnings, clang c99' compile clang c99 -fsyntax-only
check 'warnings, clang -Weverything' everything -std=c99
check 'two units' two_units
check 'static in two units' static_in_two_units
check 'included twice' included_twice
check 'freestanding' freestanding -O0
check 'hostile macros' hostile "$cc" -std=gnu99
check 'bench' bench_sources

if [ "${1:-}" = --all ]; then
    for std in c99 c11 c17; do
        check "warnings, gcc $std" compile gcc $std -O2
        check "warnings, gcc $std, threads" compile gcc $std -O2 -DDYNBACKUP_PTHREADS
        check "warnings, clang $std" compile clang $std -O1
        check "warnings, clang $std, threads" compile clang $std -O1 -DDYNBACKUP_PTHREADS
    done
    for std in c++11 c++17 c++20; do
        check "warnings, g++ $std" compile g++ $std -O2 -DDYNBACKUP_PTHREADS
        check "warnings, clang++ $std" compile clang++ $std -O1 -DDYNBACKUP_PTHREADS
    done
    check 'warnings, clang++ -Weverything' everything -x c++ -std=c++11 -DDYNBACKUP_PTHREADS
    check 'warnings, tcc' with_tcc
    check 'warnings, 32 bits' compile i686-linux-gnu-gcc c99 -O2
    check 'warnings, Windows' compile x86_64-w64-mingw32-gcc c99 -O2
    check 'warnings, Windows, threads' compile x86_64-w64-mingw32-gcc-posix c11 -O2 \
        -DDYNBACKUP_PTHREADS
    check 'warnings, Windows, C++' compile clang++ c++11 -O1 --target=x86_64-w64-mingw32
    check 'no file device' compile "$cc" c99 -DDYNBACKUP_NO_FILE
    check 'no malloc' compile "$cc" c99 -DDYNBACKUP_NO_MALLOC
    check 'freestanding, -Os' freestanding -Os
    check 'no writable data, threads' no_writable_data -O1 -DDYNBACKUP_PTHREADS
    check 'NDEBUG' compile "$cc" c99 -DNDEBUG
    check 'static, no warnings' compile "$cc" c99 -DDYNBACKUP_STATIC
    check 'static, C++' compile g++ c++11 -DDYNBACKUP_STATIC
    check 'DYNBACKUP_ASSERT' with_assert
    check 'DYNBACKUP_ASSERT and NDEBUG' with_assert -DNDEBUG
    check 'declare, then implement' declare_then_implement
    check 'hostile macros, threads' hostile "$cc" -std=gnu11 -DDYNBACKUP_PTHREADS
    check 'hostile macros, C++' hostile g++ -x c++ -std=c++11
fi
report
