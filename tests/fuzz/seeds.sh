#!/bin/sh
# seeds.sh - writes the seeds of the store and log targets (corpus/store and
# corpus/log), byte by byte: what each means is in fuzz_store.c and fuzz_log.c;
# and those of corpus/call, which are requests of the vectors.
set -eu
cd "$(dirname "$0")/corpus"
mkdir -p store log call

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
# ... and damaged: one change in bit 4 and up, kind and place first.
seed store/one_bit      16  0 0 2 10  6 0 1 2  8 0 0 0  15
seed store/superblock   33  1 0 0 8 255  0 0 16 3  8 0 0 0  15
seed store/zero_sector  18  3 0 20 0  8 0 0 0  15  13 255
seed store/old_sector   19  4 0 32 0 0 48 0  8 0 0 0  15
seed store/cut          16  6 0 64 0  8 0 0 0  15
seed store/limits       48  2 0 4 0  66 0 24 0  50 0 40 8  8 0 0 0  9 0  13 255  15

seed log/nothing
seed log/byte           3 0 20 255
seed log/bit            0 84 8
seed log/zeros          9 6 0
seed log/ones           9 134 10
seed log/sector         4 8 0 2
seed log/length         0 10 0 4 255 255 255 127
seed log/two            0 0 20 1 0 10 30 2
seed log/last           255 4 0

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
