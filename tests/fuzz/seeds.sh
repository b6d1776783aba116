#!/bin/sh
# seeds.sh - writes the seeds of the store, log and HTTP targets (corpus/store,
# corpus/log, corpus/http): what each means is in fuzz_store.c, fuzz_log.c and
# fuzz_http.c; and those of corpus/call, which are requests of the vectors.
set -eu
cd "$(dirname "$0")/corpus"
mkdir -p store log http call

# seed FILE NUMBER...: a file of these bytes.
seed()
{
    file=$1
    shift
    for byte in "$@"; do
        # shellcheck disable=SC2059
        printf "\\$(printf %03o "$byte")"
    done >"$file"
}

# The store is not damaged: 0 and 1 choose the page size, +2 killed.
seed store/put_get      0  0 0 1 2 0 50  0 1 2 3 1 0  6 0 1 2  6 0 7 1  3 0 1 2  6 0 1 2  15
seed store/overwrite    1  0 0 129 2 0 50  0 0 129 130 0 60  3 0 129 130  0 0 129 18 4 0  15
seed store/batch        2  5 0 1 1 2 128 3  5 128 3 1 3 0 4  5 0 1 0 1 0 1  15
seed store/query        3  7 0 0 0  7 0 0 1  7 0 0 2  7 0 0 131  7 0 0 20  7 0 0 5  7 0 0 134
seed store/scan         0  8 0 0 0  8 0 5 1  8 0 5 2  8 1 5 131  8 2 60 128
seed store/backup       1  9 0  13 10  13 255  13 255  11 26  6 2 1 1  12 0  13 255  15
seed store/restore      2  9 0  13 255 13 255  11 24  0 3 9 1 0 40  6 3 9 1  12 1  13 255  15
seed store/two_backups  3  9 0  0 0 9 1 0 9  9 1  0 1 9 1 0 9  13 255 13 255 11 25 12 2 15
seed store/reopen       0  0 0 1 2 0 50  16  6 0 1 2  9 0  16  13 255  15
seed store/kill         1  0 0 1 2 0 50  36  6 0 1 2  9 0  36  13 255  15  0 0 5 1 0 7  36  15
seed store/tables       2  17 2  17 18  17 3  17 35  17 163  17 51  17 67  17 80  17 99  17 19
seed store/fail         3  18 3  0 0 1 2 0 50  0 0 2 2 0 50  16  15  18 9  13 255  16  15
seed store/look         0  9 0  13 255  19 0  19 1  19 2  19 3
seed store/foreign      1  4 0  4 3 1 2 3  4 12 1 2 73 100 2 3 97 98 99 1 2 3
seed store/read_only    6  6 0 1 2  0 0 1 2 0 50  8 0 0 0  15
# ... with history: 8 more; 17 112 KIND BYTE is what fuzz_store.c's do_history does.
seed store/past         8  17 112 129 35  17 112 2 81 66  17 112 3 101 1  0 0 1 2 0 50  17 112 2 161 0  17 112 65 35  15
seed store/system       9  17 112 2 2 98  11 179  12 128  17 0 17 112 0 88  17 112 1 163  17 16  13 255  17 112 7 0  15
seed store/past_kill    10 0 0 1 2 0 50  36  17 112 81 35  36  17 112 7 0  17 112 3 81 65  15
seed store/fill_index   11 17 112 5 2  9 2  13 20  16  13 20  36  17 112 5 130  13 255  11 16  15
seed store/expire       8  17 112 68 16  17 112 6 0  17 112 246 0  0 0 1 2 0 50  17 112 7 0  17 112 2 81 2  15
seed store/past_fail    11 18 9  17 112 81 35  16  18 30  17 112 7 0  16  18 5  17 112 2 81 65  16  17 112 2 101 66
seed store/past_reader  12 17 112 2 81 66  17 112 3 101 2  17 112 2 2 98  15
# ... and damaged: one change in bit 4 and up, kind and place first.
seed store/one_bit      16  0 0 2 10  6 0 1 2  8 0 0 0  15
seed store/superblock   33  1 0 0 8 255  0 0 16 3  8 0 0 0  15
seed store/zero_sector  18  3 0 20 0  8 0 0 0  15  13 255
seed store/old_sector   19  4 0 32 0 0 48 0  8 0 0 0  15
seed store/cut          16  6 0 64 0  8 0 0 0  15
seed store/limits       48  2 0 4 0  66 0 24 0  50 0 40 8  8 0 0 0  9 0  13 255  15

seed store/past_bit     24 0 0 40 10  17 112 2 81 65  17 112 81 35  17 112 3 2 97  17 112 7 0  15
seed store/past_sector  25 3 1 20 0  17 112 2 81 65  17 112 81 35  17 112 3 2 97  17 112 7 0  15
seed store/past_old     26 4 0 90 0 1 48 0  17 112 2 81 65  17 112 81 35  13 255  36  17 112 7 0  15
seed store/past_limits  59 2 0 60 0  66 1 24 0  50 0 140 8  17 112 2 81 65  17 112 81 35  17 112 7 0

seed log/nothing
seed log/byte           3 0 20 255
seed log/bit            0 84 8
seed log/zeros          9 6 0
seed log/ones           9 134 10
seed log/sector         4 8 0 2
seed log/length         0 10 0 4 255 255 255 127
seed log/two            0 0 20 1 0 10 30 2
seed log/last           255 4 0

# wire FILE TEXT: requests, in pieces of as many bytes as the first one says.
wire()
{
    printf "$2" >"http/$1" # shellcheck disable=SC2059
}

post='POST / HTTP/1.1\r\n'
signed='Authorization: AWS4-HMAC-SHA256 Credential=a/b/c/d/e, SignedHeaders=h, Signature=0\r\n'
signed="${signed}X-Amz-Date: 20260101T000000Z\r\nContent-Type: application/x-amz-json-1.0\r\n"
list="${signed}X-Amz-Target: DynamoDB_20120810.ListTables\r\n"
chunked='Transfer-Encoding: chunked\r\n\r\n'
wire health "aGET / HTTP/1.1\r\nHost: x\r\n\r\n"
wire list "b${post}${list}Content-Length: 2\r\n\r\n{}"
wire chunks "c${post}${list}${chunked}1;x=y\r\n{\r\n1\r\n}\r\n0\r\nTrailer: x\r\n\r\n"
wire two "d${post}${list}Content-Length: 2\r\n\r\n{}GET /?a HTTP/1.0\r\n\r\n"
wire preflight "eOPTIONS / HTTP/1.1\r\nOrigin: x\r\nAccess-Control-Request-Headers: a\r\n\r\n"
wire unsigned "f${post}Content-Type: application/json\r\nX-Amz-Target: DynamoDB_20120810.GetItem\r\nContent-Length: 2\r\n\r\n{}"
wire by_query "gPOST /?X-Amz-Algorithm=a&X-Amz-Date=b HTTP/1.1\r\n${list}\r\n"
wire parts "h${post}Authorization: AWS4-\r\nX-Amz-Target: DynamoDB_20120810.GetItem\r\n\r\n"
wire lengths "i${post}Content-Length: 1\r\nContent-Length: 1\r\n\r\nx"
wire both "j${post}Content-Length: 1\r\n${chunked}0\r\n\r\n"
wire large "k${post}Content-Length: 16777217\r\n\r\n"
wire large_chunk "l${post}${chunked}1000001\r\n"
wire gzip "m${post}${list}Content-Encoding: gzip\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n{}"
wire not_json "n${post}${list}Content-Length: 1\r\n\r\n{"
wire close "o${post}Connection: x, close\r\n\r\n"

# Of each operation some requests: the good ones first, then some of each file.
operations=$(sed -n '/^#define DYNB_OPERATIONS/,/^$/s/.*, "\(.*\)").*/\1/p' ../../../dynbackup.h)
arn=arn:aws:dynamodb:us-east-1:123456789012:table/Music/backup/01700000000017-00000000
number=0
for operation in $operations; do
    awk -F'\t' -v operation="$operation" -v byte="$(printf %03o $number)" -v arn="$arn" '
        { gsub(/<<[a-z]+>>/, arn, $2) }
        $1 != operation || $2 ~ /<</ || $2 ~ /%/ || length($2) > 700 { next }
        $3 == 200 && good++ < 5 || $3 != 200 && !(other++ % 25) && bytes < 2400 {
            bytes += length($2)
            gsub(/\\/, "\\\\", $2)
            printf "\\%s%s\\n", byte, $2
        }' ../../vectors/items.tsv ../../vectors/tables.tsv ../../vectors/backups.tsv \
        ../../vectors/shapes.tsv ../../vectors/types.tsv ../../vectors/refused.tsv \
        >"call/$operation.text"
    # shellcheck disable=SC2059
    printf "$(cat "call/$operation.text")\n" >"call/$operation"
    rm "call/$operation.text"
    number=$((number + 1))
done
