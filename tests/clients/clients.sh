#!/usr/bin/env bash
# clients.sh - AWS's own clients against examples/server.c: boto3, the SDK for
# JavaScript v3 (installed by npm into a directory of its own), the AWS CLI 2, and
# the AWS CLI 1 where there is one, each on a server and a file of its own. Ends
# with `N passed, N failed`. A client that is missing is skipped with a word, and
# is a failure where CI is set; the AWS CLI 1 is not: Debian has no package of it.
#
#     bash tests/clients/clients.sh [boto3 | js | cli2 | cli1 ...]
set -u
cd "$(dirname "$0")" || exit 1
work=$(mktemp -d) || exit 1
server=''
finish()
{
    [ -z "$server" ] || kill "$server" 2>/dev/null
    rm -rf "$work"
}
trap finish EXIT
passed=0 failed=0
wanted=${*:-boto3 js cli2 cli1}

skip()
{
    echo "$1: skipped: $2"
    [ "${CI:-}" != true ] || failed=$((failed + 1))
}

# The first command `aws` of that major version.
aws_of_version()
{
    local command
    while read -r command; do
        if "$command" --version 2>&1 | grep -q "^aws-cli/$1\."; then
            echo "$command"
            return
        fi
    done < <(type -ap aws; ls /usr/bin/aws 2>/dev/null)
}

# client NAME COMMAND...: runs the command with a server's address behind it.
client()
{
    local name=$1 url='' counts
    shift
    : >"$work/$name.out"
    "$work/server" --port 0 --db "$work/$name.db" >"$work/$name.out" 2>"$work/$name.err" &
    server=$!
    until url=$(sed -n 's/^listening on /http:\/\//p' "$work/$name.out") && [ -n "$url" ]; do
        kill -0 "$server" 2>/dev/null || { cat "$work/$name.err"; break; }
    done
    "${@//URL/$url}" >"$work/$name.log" 2>&1
    counts=$(tail -n 1 "$work/$name.log")
    if [[ $counts =~ ^([0-9]+)\ passed,\ ([0-9]+)\ failed ]]; then
        passed=$((passed + BASH_REMATCH[1])) failed=$((failed + BASH_REMATCH[2]))
        [ "${BASH_REMATCH[2]}" = 0 ] || cat "$work/$name.log"
    else
        cat "$work/$name.log"
        failed=$((failed + 1))
    fi
    echo "$name: $counts"
    kill "$server"
    wait "$server" || { echo "$name: the server did not end well"; failed=$((failed + 1)); }
    server=''
}

${CC:-cc} -O2 -pthread -DDYNBACKUP_PTHREADS -o "$work/server" ../../examples/server.c || exit 1
for name in $wanted; do
    case $name in
    boto3)
        python=''
        for command in python3 /usr/bin/python3; do
            [ -n "$python" ] || ! "$command" -c 'import boto3' 2>/dev/null || python=$command
        done
        if [ -n "$python" ]; then client boto3 "$python" life.py URL
        else skip boto3 'no python3-boto3'; fi ;;
    js)
        cp life.mjs "$work"
        if (cd "$work" && npm install --silent --no-audit --no-fund --prefix . \
            @aws-sdk/client-dynamodb) >"$work/npm.log" 2>&1
        then client js node "$work/life.mjs" URL
        else cat "$work/npm.log"; skip js 'npm did not install @aws-sdk/client-dynamodb'; fi ;;
    cli2)
        aws=$(aws_of_version 2)
        if [ -n "$aws" ]; then client cli2 python3 cli.py URL "$aws"
        else skip cli2 'no awscli'; fi ;;
    cli1)
        aws=$(aws_of_version 1)
        if [ -n "$aws" ]; then client cli1 python3 cli.py URL "$aws"
        else echo 'cli1: skipped: no AWS CLI of version 1 here'; fi ;;
    *) echo "no such client: $name"; exit 2 ;;
    esac
done
echo "$passed passed, $failed failed"
[ "$failed" = 0 ] && [ "$passed" -gt 0 ]
