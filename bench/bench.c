/* bench.c - what dynbackup does and no rival has, and the floors of the machine.
 *
 * What all engines do is in versus.c. This program measures, at one size in one
 * round: synced markers, gets inside a backup, comparing backups, recovery to a
 * point in time, very many backups, global indexes, and the handle's memory.
 * `--floors 1` measures the floors instead. Figures are appended to a CSV, which
 * report.awk reads. A wrong value or count ends the program with exit code 1.
 *
 * Parts: the run, floors, backups, the past of a table, very many backups,
 * indexes, main. */
#include "engine_ours.h"

#include <time.h>

struct run {
    struct ours *o;
    struct ours_reader reader;
    char directory[PATH_SIZE];
    char floor_path[PATH_SIZE];
    uint64_t items;
    int quick;
    uint32_t *versions; /* of each item, as the store must have it */
    uint32_t *marked;   /* the same at some point in time */
    uint8_t *pairs;     /* of one batch */
    uint64_t random;
};

static void open_store(struct run *r, dynb_durability durability)
{
    r->o = ours_open_as(r->directory, kit.budget_mib << 20, durability);
    ours_reader_init(&r->reader, r->o, TABLE);
}

static void close_store(struct run *r)
{
    ours_reader_free(&r->reader);
    ours_close(r->o);
    r->o = NULL;
}

static void quiesce(struct run *r)
{
    ours_settle(r->o);
    sync_file_system(r->directory);
}

static void mark(struct run *r)
{
    memcpy(r->marked, r->versions, r->items * sizeof *r->versions);
}

static uint64_t random_item(struct run *r)
{
    return random_below(&r->random, r->items);
}

static dynb_stat stat_of(struct run *r)
{
    dynb_stat stat;
    must(dynb_get_stat(r->o->db, &stat, &r->reader.err), &r->reader.err, "dynb_get_stat");
    return stat;
}

/* Changes `count` different items in batches. */
static void change_items(struct run *r, uint64_t count)
{
    struct walk walk = walk_start(&r->random, r->items);
    while (count > 0) {
        uint32_t n = count < BATCH_COUNT ? (uint32_t)count : BATCH_COUNT;
        make_pairs(&walk, r->versions, n, r->pairs);
        ours_put(r->o, r->pairs, n, COMMIT_OS);
        count -= n;
    }
}

static void load(struct run *r)
{
    kit.case_name = "load";
    for (uint64_t done = 0; done < r->items; done += BATCH_COUNT) {
        for (uint32_t i = 0; i < BATCH_COUNT; ++i)
            make_pair(done + i, 0, r->pairs + i * pair_bytes());
        ours_put(r->o, r->pairs, BATCH_COUNT, COMMIT_OS);
    }
    quiesce(r);
}

static void check_table(struct run *r, const char *table, const uint32_t *versions)
{
    struct ours_reader reader;
    struct scan_sum s;
    memset(&s, 0, sizeof s);
    ours_reader_init(&reader, r->o, table);
    ours_scan(&reader, scan_visit, &s);
    scan_check(&s, versions, r->items);
    ours_reader_free(&reader);
}

/* ------------------------------------------------------------- floors -- */

static void floor_memcpy(void)
{
    size_t size = 64u << 20;
    uint8_t *a = get_memory(size), *b = get_memory(size);
    memset(a, 1, size);
    memset(b, 2, size);
    uint64_t start = now_ns();
    for (unsigned i = 0; i < 8; ++i) {
        memcpy(i % 2 ? a : b, i % 2 ? b : a, size);
        __asm__ volatile("" ::: "memory");
    }
    record("memcpy", "GB/s", 8.0 * (double)size / (double)(now_ns() - start));
    free(a);
    free(b);
}

/* One random cycle through 256 MiB, a cache line an element. */
static void floor_pointer_hop(void)
{
    struct cell {
        uint64_t next;
        uint64_t pad[7];
    } *cells;
    uint64_t count = 4u << 20, state = 7, at = 0, hops = 2u << 20;
    cells = get_memory(count * sizeof *cells);
    for (uint64_t i = 0; i < count; ++i)
        cells[i].next = i;
    for (uint64_t i = count - 1; i > 0; --i) { /* Sattolo: a single cycle */
        uint64_t j = random_below(&state, i), keep = cells[i].next;
        cells[i].next = cells[j].next;
        cells[j].next = keep;
    }
    uint64_t start = now_ns();
    for (uint64_t i = 0; i < hops; ++i)
        at = cells[at].next;
    double ns = (double)(now_ns() - start) / (double)hops;
    __asm__ volatile("" ::"r"(at));
    record("pointer hop, 256 MiB", "ns", ns);
    free(cells);
}

static void floor_writes(const char *path)
{
    struct latencies l = {0};
    struct floor_file f;
    floor_open(&f, path, 0);
    uint64_t before = now_ns();
    for (unsigned i = 0; i < 200000; ++i) {
        floor_write(&f);
        uint64_t after = now_ns();
        latency_add(&l, after - before);
        before = after;
    }
    record("write() of 240 B each", "/s", latency_rate(&l));
    record("write() of 240 B: p99.9", "us", latency_us(&l, 0.999));
    record("write() of 240 B: longest", "us", latency_us(&l, 1));
    latency_free(&l);
    floor_close(&f, path);
}

static void floor_fdatasync(const char *path, int preallocated, const char *name)
{
    struct latencies l = {0};
    struct floor_file f;
    floor_open(&f, path, preallocated);
    for (unsigned i = 0; i < 400; ++i) {
        uint64_t start = now_ns();
        floor_write_synced(&f);
        latency_add(&l, now_ns() - start);
    }
    record(name, "us", latency_us(&l, 0.5));
    latency_free(&l);
    floor_close(&f, path);
}

static void floor_crc32c(void)
{
    uint32_t sum = 0;
    unsigned turns = 4000;
    const uint8_t *noise = floor_noise();
    uint64_t start = now_ns();
    for (unsigned i = 0; i < turns; ++i)
        sum ^= ours_crc32c(sum, noise, NOISE_BYTES);
    record("CRC32C (ours), 64 KiB", "GB/s",
           turns * (double)NOISE_BYTES / (double)(now_ns() - start));
    start = now_ns();
    for (unsigned i = 0; i < 100 * turns; ++i)
        sum ^= ours_crc32c(sum, noise + i % 4096, FRAME_BYTES);
    record("CRC32C (ours), 240 B", "ns", (double)(now_ns() - start) / (100.0 * turns));
    __asm__ volatile("" ::"r"(sum));
}

/* What the bench itself adds to each put: key, value and the encoded item. */
static void floor_harness(void)
{
    struct ours_reader reader;
    uint8_t pair[KEY_BYTES + VALUE_BYTES_MAX];
    const unsigned turns = 300000;
    uint64_t sink = 0;
    ours_reader_init(&reader, NULL, TABLE);
    uint64_t start = now_ns();
    for (unsigned i = 0; i < turns; ++i) {
        make_pair(i, 1, pair);
        sink += pair[KEY_BYTES + 20];
    }
    record("harness: making a key and value", "ns", seconds_since(start) * 1e9 / turns);
    start = now_ns();
    for (unsigned i = 0; i < turns; ++i) {
        pair[0] = (uint8_t)('0' + i % 10);
        sink += ours_encode(&reader, pair, pair + KEY_BYTES).size_bytes;
    }
    record("harness: dynb_builder, one item", "ns", seconds_since(start) * 1e9 / turns);
    start = now_ns();
    for (unsigned i = 0; i < turns; ++i) {
        pair[KEY_BYTES + 17] = (uint8_t)i;
        sink += hash_item(pair, pair + KEY_BYTES);
    }
    record("harness: content sum of one item", "ns", seconds_since(start) * 1e9 / turns);
    __asm__ volatile("" ::"r"(sink));
    ours_reader_free(&reader);
}

static void run_floors(const char *path)
{
    kit.case_name = "floors";
    floor_memcpy();
    floor_pointer_hop();
    floor_writes(path);
    floor_fdatasync(path, 1, "pwrite 240 B + fdatasync, preallocated");
    floor_fdatasync(path, 0, "pwrite 240 B + fdatasync, growing");
    floor_crc32c();
    floor_harness();
}

/* ------------------------------------------------------------ backups -- */

/* Reopens the store with every commit synced; each marker beside a bare sync. */
static void case_marker_synced(struct run *r)
{
    struct latencies ours = {0}, bare = {0};
    struct floor_file f;
    char arn[ARN_SIZE];
    kit.case_name = "marker, synced";
    close_store(r);
    open_store(r, DYNB_SYNCED);
    floor_open(&f, r->floor_path, 1);
    for (unsigned i = 0; i < 50; ++i) {
        change_items(r, 10);
        uint64_t start = now_ns();
        floor_write_synced(&f);
        latency_add(&bare, now_ns() - start);
        start = now_ns();
        ours_create_backup(r->o, TABLE, arn);
        latency_add(&ours, now_ns() - start);
        ours_wait_backup(r->o, arn);
        ours_delete_backup(r->o, arn);
        ours_settle(r->o);
    }
    record("marker, synced", "us", latency_us(&ours, 0.5));
    record("marker, synced: above one bare sync", "us",
           latency_us(&ours, 0.5) - latency_us(&bare, 0.5));
    floor_close(&f, r->floor_path);
    latency_free(&ours);
    latency_free(&bare);
    close_store(r);
    open_store(r, DYNB_TO_OS);
}

static const uint8_t *get_inside(struct run *r, const char *arn, const uint8_t *key)
{
    struct ours_reader *reader = &r->reader;
    dynb_source source;
    dynb_item item, wanted = ours_encode(reader, key, NULL);
    memset(&source, 0, sizeof source);
    source.backup_arn = arn;
    must(dynb_get_item_at(r->o->db, &source, wanted, &item, &reader->results[0], &reader->err),
         &reader->err, "dynb_get_item_at");
    return item.bytes ? ours_bytes(dynb_item_get(item, "val"), kit.value_bytes) : NULL;
}

/* Gets inside a backup of the table as it is, in turns with gets from the table,
 * which then has the same trees. */
static void case_get_inside(struct run *r, const char *arn)
{
    const unsigned turns = 10, gets = 20000;
    double taken[2] = {0, 0};
    uint8_t key[KEY_BYTES];
    kit.case_name = "get inside a backup";
    for (unsigned turn = 0; turn < 2 * turns; ++turn) {
        uint64_t start = now_ns();
        for (unsigned i = 0; i < gets; ++i) {
            uint64_t index = random_item(r);
            make_key(index, key);
            check_value(index, r->versions[index],
                        turn % 2 ? get_inside(r, arn, key) : ours_get(&r->reader, key));
        }
        taken[turn % 2] += seconds_since(start);
    }
    record("get inside a backup", "/s", turns * (double)gets / taken[1]);
    record("get inside a backup: rate / live rate", "ratio", taken[0] / taken[1]);
}

/* Every difference of two backups; how many of them have two values that differ. */
static uint64_t compare_backups(struct run *r, const char *from, const char *to)
{
    dynb_compare_input input;
    dynb_difference_page page;
    uint64_t found = 0;
    memset(&input, 0, sizeof input);
    input.from.backup_arn = from;
    input.to.backup_arn = to;
    for (unsigned turn = 0;; turn ^= 1u) {
        must(dynb_compare(r->o->db, &input, &page, &r->reader.results[turn], &r->reader.err),
             &r->reader.err, "dynb_compare");
        for (uint32_t i = 0; i < page.count; ++i) {
            const dynb_difference *d = &page.differences[i];
            if (!d->old_item.bytes || !d->new_item.bytes)
                die("a difference lacks one of its items");
            found += memcmp(ours_bytes(dynb_item_get(d->old_item, "val"), kit.value_bytes),
                            ours_bytes(dynb_item_get(d->new_item, "val"), kit.value_bytes),
                            kit.value_bytes) != 0;
        }
        if (!page.last_key.bytes)
            return found;
        input.start_after = page.last_key;
    }
}

static void case_compare(struct run *r)
{
    char arns[2][ARN_SIZE];
    double ms[5];
    const uint64_t changed = r->items / 1000;
    quiesce(r);
    ours_create_backup(r->o, TABLE, arns[0]);
    ours_wait_backup(r->o, arns[0]);
    case_get_inside(r, arns[0]);
    kit.case_name = "compare";
    change_items(r, changed);
    ours_create_backup(r->o, TABLE, arns[1]);
    ours_wait_backup(r->o, arns[1]);
    quiesce(r);
    for (unsigned i = 0; i < 5; ++i) {
        uint64_t start = now_ns();
        uint64_t found = compare_backups(r, arns[0], arns[1]);
        ms[i] = seconds_since(start) * 1e3;
        if (found != changed)
            die("two backups differ in %" PRIu64 " items, not in %" PRIu64, found, changed);
    }
    record("compare, 0.1 % changed: the first time", "ms", ms[0]);
    record("compare, 0.1 % changed", "ms", median_of(ms, 5));
    ours_delete_backup(r->o, arns[0]);
    ours_delete_backup(r->o, arns[1]);
}

/* ------------------------------------------------ the past of a table -- */

static void keep_past(struct run *r, int on)
{
    dynb_update_continuous_backups_input input;
    memset(&input, 0, sizeof input);
    input.table = TABLE;
    input.point_in_time_recovery = on;
    must(dynb_update_continuous_backups(r->o->db, &input, NULL, &r->reader.err), &r->reader.err,
         "dynb_update_continuous_backups");
}

static void restore_past(struct run *r, uint64_t time_ms)
{
    dynb_restore_to_time_input input;
    memset(&input, 0, sizeof input);
    input.source_table_name = TABLE;
    input.target_table_name = "Restored";
    input.use_restore_time = 1;
    input.restore_time_ms = time_ms;
    must(dynb_restore_table_to_point_in_time(r->o->db, &input, NULL, NULL, &r->reader.err),
         &r->reader.err, "dynb_restore_table_to_point_in_time");
}

/* A millisecond that holds all that was written so far, and nothing later. */
static uint64_t time_between(void)
{
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    sleep_us(2000);
    return (uint64_t)t.tv_sec * 1000u + (uint64_t)t.tv_nsec / 1000000u;
}

/* Turns of puts without and with recovery on, in pairs that change places. */
static void case_past_writes(struct run *r)
{
    struct latencies l[2] = {{0}, {0}};
    const unsigned pairs = r->quick ? 4 : 8;
    const uint64_t count = r->items < 100000 ? 20000 : 100000;
    kit.case_name = "writes with recovery on";
    for (unsigned turn = 0; turn < 2 * pairs; ++turn) {
        int on = (turn + turn / 2) % 2; /* off on, on off, ... */
        keep_past(r, on);
        ours_settle(r->o);
        uint64_t before = now_ns();
        for (uint64_t i = 0; i < count; ++i) {
            uint64_t index = random_item(r);
            make_pair(index, ++r->versions[index], r->pairs);
            ours_put(r->o, r->pairs, 1, COMMIT_OS);
            uint64_t after = now_ns();
            latency_add(&l[on], after - before);
            before = after;
        }
    }
    keep_past(r, 0);
    record("recovery on: puts, time to without", "ratio",
           latency_seconds(&l[1]) / latency_seconds(&l[0]));
    record("recovery on: puts, p99.9", "us", latency_us(&l[1], 0.999));
    record("recovery off: puts, p99.9", "us", latency_us(&l[0], 0.999));
    latency_free(&l[0]);
    latency_free(&l[1]);
}

/* 100,000 changes, and the table as it was after each quarter of them. */
static void case_past_restore(struct run *r)
{
    const uint64_t changes = r->items < 100000 ? r->items : 100000;
    uint64_t times[5];
    double ms[5], raw = (double)changes * raw_item_bytes();
    kit.case_name = "restore to a point in time";
    quiesce(r);
    double before = (double)stat_of(r).used_bytes;
    keep_past(r, 1);
    mark(r);
    times[0] = time_between();
    for (unsigned i = 1; i < 5; ++i) {
        change_items(r, changes / 4);
        times[i] = time_between();
    }
    ours_settle(r->o);
    double after = (double)stat_of(r).used_bytes;
    for (unsigned i = 0; i < 5; ++i) {
        struct ours_reader restored;
        ours_reader_init(&restored, r->o, "Restored");
        uint64_t start = now_ns();
        restore_past(r, times[i]);
        (void)ours_get(&restored, r->pairs);
        ms[i] = seconds_since(start) * 1e3;
        if (i == 0 || i == 4)
            check_table(r, "Restored", i ? r->versions : r->marked);
        ours_reader_free(&restored);
        ours_delete_table(r->o, "Restored");
    }
    record("restore to a time, all changes after it", "ms", ms[0]);
    record("restore to a time, within 100k changes", "ms", ms[2] > ms[3] ? ms[2] : ms[3]);
    record("restore to a time, after 100k changes", "ms", ms[4] > ms[1] ? ms[4] : ms[1]);
    record("recovery on: bytes in use added", "x changed", (after - before) / raw);
    keep_past(r, 0);
    ours_settle(r->o);
    ours_settle(r->o);
    record("recovery off again: bytes in use added", "x changed",
           ((double)stat_of(r).used_bytes - before) / raw);
}

/* -------------------------------------------------- very many backups -- */

/* What it takes to have one more backup, over the nine next to one of them. */
static double time_near(const uint32_t *ns, unsigned count, unsigned which)
{
    double us[9];
    unsigned first = which < 4 ? 0 : which - 4;
    first = first + 9 > count ? count - 9 : first;
    for (unsigned i = 0; i < 9; ++i)
        us[i] = (double)ns[first + i] / 1e3;
    return median_of(us, 9);
}

/* One after the other, all kept, 100 changes before each; then all are deleted,
 * the oldest first. */
static void case_row_of_backups(struct run *r)
{
    const unsigned count = r->quick ? 500 : 10000;
    const unsigned told[3] = {0, 99, count - 1};
    struct latencies l = {0};
    char(*arns)[ARN_SIZE] = get_memory(count * sizeof *arns), name[96];
    double sums[2] = {0, 0}, bytes[3] = {0, 0, 0};
    kit.case_name = "a row of backups";
    quiesce(r);
    double before = (double)stat_of(r).used_bytes;
    for (unsigned i = 0, next = 0; i < count; ++i) {
        change_items(r, 100);
        uint64_t start = now_ns();
        ours_create_backup(r->o, TABLE, arns[i]);
        ours_wait_backup(r->o, arns[i]);
        latency_add(&l, now_ns() - start);
        if (i == told[next])
            bytes[next++] = ((double)stat_of(r).used_bytes - before) / (i + 1);
    }
    for (unsigned i = 0; i < 3; ++i) {
        snprintf(name, sizeof name, "row of backups: number %u", told[i] + 1);
        record(name, "us", time_near(l.ns, count, told[i]));
        snprintf(name, sizeof name, "row of backups: bytes each, up to %u", told[i] + 1);
        record(name, "B", bytes[i]);
    }
    for (unsigned i = 0; i < 100; ++i) {
        sums[0] += (double)l.ns[i];
        sums[1] += (double)l.ns[count - 1 - i];
    }
    record("row of backups: last 100 / first 100", "ratio", sums[1] / sums[0]);
    uint64_t start = now_ns();
    for (unsigned i = 0; i < count; ++i)
        ours_delete_backup(r->o, arns[i]);
    record("row of backups: delete", "us", seconds_since(start) * 1e6 / count);
    ours_settle(r->o);
    ours_settle(r->o);
    record("row of backups: space after deleting all", "x before",
           (double)stat_of(r).used_bytes / before);
    latency_free(&l);
    free(arns);
}

/* Of an unchanged table: described, listed and deleted. */
static void case_very_many(struct run *r)
{
    const unsigned count = r->quick ? 10000 : 100000;
    struct latencies look = {0}, list = {0};
    char(*arns)[ARN_SIZE] = get_memory(count * sizeof *arns);
    kit.case_name = "very many backups";
    quiesce(r);
    double before = (double)stat_of(r).used_bytes;
    uint64_t start = now_ns();
    for (unsigned i = 0; i < count; ++i)
        ours_create_backup(r->o, TABLE, arns[i]);
    record("very many backups: create", "us", seconds_since(start) * 1e6 / count);
    ours_settle(r->o);
    for (unsigned i = 0; i < 200; ++i) {
        const char *arn = arns[random_below(&r->random, count)];
        dynb_list_backups_input input;
        dynb_backup_list page;
        memset(&input, 0, sizeof input);
        input.table = TABLE;
        input.start_after_arn = arn;
        uint64_t t0 = now_ns();
        if (!ours_backup_done(r->o, arn))
            die("a backup of an unchanged table is not complete");
        uint64_t t1 = now_ns();
        must(dynb_list_backups(r->o->db, &input, &page, &r->reader.results[0], &r->reader.err),
             &r->reader.err, "dynb_list_backups");
        latency_add(&look, t1 - t0);
        latency_add(&list, now_ns() - t1);
        if (page.count > 100)
            die("a page of backups is too long");
    }
    record("very many backups: describe one", "us", latency_us(&look, 0.5));
    record("very many backups: list 100 of them", "us", latency_us(&list, 0.5));
    start = now_ns();
    for (unsigned i = 0; i < count; ++i)
        ours_delete_backup(r->o, arns[i]);
    record("very many backups: delete", "us", seconds_since(start) * 1e6 / count);
    ours_settle(r->o);
    ours_settle(r->o);
    record("very many backups: space after deleting all", "x before",
           (double)stat_of(r).used_bytes / before);
    latency_free(&look);
    latency_free(&list);
    free(arns);
}

/* ------------------------------------------------------------ indexes -- */

#define GROUP_BYTES 16u
#define INDEX_TURN 500u

/* Two tables of the same items, which have a group that changes with each
 * version; one has a global index on the group, with all attributes. */
struct index_case {
    struct run *run;
    uint32_t *versions[2];
    uint64_t items;
    struct latencies l[2];
};

static const char *const index_tables[2] = {"Plain", "Indexed"};

static void index_create(struct run *r, int is_indexed)
{
    dynb_create_table_input input;
    dynb_index index;
    memset(&input, 0, sizeof input);
    memset(&index, 0, sizeof index);
    input.table_name = index_tables[is_indexed];
    input.partition_key.name = "id";
    input.partition_key.type = DYNB_S;
    index.index_name = "by-group";
    index.partition_key.name = "group";
    index.partition_key.type = DYNB_S;
    input.global_indexes = is_indexed ? &index : NULL;
    input.global_index_count = (uint32_t)is_indexed;
    must(dynb_create_table(r->o->db, &input, NULL, NULL, &r->reader.err), &r->reader.err,
         "dynb_create_table");
}

static void index_put(struct index_case *c, int table, uint64_t item)
{
    struct ours_reader *writer = &c->run->o->writer;
    dynb_write_options options = ours_options(COMMIT_OS);
    const uint32_t version = ++c->versions[table][item];
    uint8_t *pair = c->run->pairs;
    dynb_item made;
    char group[GROUP_BYTES + 1];
    make_pair(item, version, pair);
    snprintf(group, sizeof group, "%016" PRIx64, mix(item * 31 + version));
    dynb_builder_begin(&writer->builder);
    dynb_add_string(&writer->builder, "group", group, GROUP_BYTES);
    dynb_add_string(&writer->builder, "id", (const char *)pair, KEY_BYTES);
    dynb_add_binary(&writer->builder, "val", pair + KEY_BYTES, kit.value_bytes);
    must(dynb_builder_finish(&writer->builder, &made, &writer->err), &writer->err,
         "dynb_builder_finish");
    must(dynb_put_item(c->run->o->db, index_tables[table], made, &options, NULL, NULL,
                       &writer->err), &writer->err, "dynb_put_item");
}

/* The tables take turns, so that both see the same machine. first: items that
 * are not there yet, in order; else random ones again. */
static void index_puts(struct index_case *c, int is_first)
{
    struct run *r = c->run;
    for (uint64_t done = 0; done < c->items; done += INDEX_TURN) {
        const uint64_t random = r->random;
        for (int table = 0; table < 2; ++table) {
            uint64_t start = now_ns();
            r->random = random; /* the same items */
            for (uint64_t i = 0; i < INDEX_TURN; ++i)
                index_put(c, table, is_first ? done + i : random_below(&r->random, c->items));
            latency_add(&c->l[table], now_ns() - start);
        }
    }
}

static void index_record(struct index_case *c, const char *what)
{
    static const char *const kinds[2] = {"no index", "one GSI with all attributes"};
    double rates[2];
    char name[96];
    for (int table = 0; table < 2; ++table) {
        rates[table] = (double)c->items / latency_seconds(&c->l[table]);
        snprintf(name, sizeof name, "%s, %s", what, kinds[table]);
        record(name, "/s", rates[table]);
        latency_free(&c->l[table]);
    }
    snprintf(name, sizeof name, "%s, with the GSI : without", what);
    record(name, "ratio", rates[1] / rates[0]);
}

/* What the builder writes for a backup after 1 % of a table changed, for each
 * byte that did: an entry of the index is an item more. */
static void index_backup(struct index_case *c, int table)
{
    static const char *const kinds[2] = {"no index", "one GSI"};
    const uint64_t changed = c->items / 100;
    const uint64_t bytes = changed * (raw_item_bytes() + 5 + GROUP_BYTES) * (uint64_t)(1 + table);
    struct run *r = c->run;
    char arn[ARN_SIZE], name[96];
    for (uint64_t i = 0; i < changed; ++i)
        index_put(c, table, random_below(&r->random, c->items));
    uint64_t before = stat_of(r).written_bytes, start = now_ns();
    ours_create_backup(r->o, index_tables[table], arn);
    ours_wait_backup(r->o, arn);
    snprintf(name, sizeof name, "backup after 1 %%, %s, to AVAILABLE", kinds[table]);
    record(name, "ms", seconds_since(start) * 1e3);
    snprintf(name, sizeof name, "backup after 1 %%, %s, written per byte changed", kinds[table]);
    record(name, "x changed", (double)(stat_of(r).written_bytes - before) / (double)bytes);
    ours_delete_backup(r->o, arn);
    ours_settle(r->o);
}

static void case_index(struct run *r)
{
    struct index_case c = {0};
    dynb_table_description about;
    kit.case_name = "indexes";
    c.run = r;
    c.items = r->items < 200000 ? r->items : 200000;
    for (int table = 0; table < 2; ++table) {
        c.versions[table] = get_memory(c.items * sizeof *c.versions[table]);
        index_create(r, table);
    }
    index_puts(&c, 1);
    index_record(&c, "put of new items");
    index_puts(&c, 0);
    index_record(&c, "put over old items");
    ours_settle(r->o);
    index_backup(&c, 0);
    index_backup(&c, 1);
    must(dynb_describe_table(r->o->db, "Indexed", &about, &r->reader.results[0], &r->reader.err),
         &r->reader.err, "dynb_describe_table");
    if (about.global_indexes[0].item_count != c.items)
        die("the index says %" PRIu64 " items", about.global_indexes[0].item_count);
    for (int table = 0; table < 2; ++table) {
        ours_delete_table(r->o, index_tables[table]);
        free(c.versions[table]);
    }
}

/* --------------------------------------------------------------- main -- */

static void run_cases(struct run *r)
{
    remove_tree(r->directory);
    make_directory(r->directory);
    r->versions = get_memory(r->items * sizeof *r->versions);
    r->marked = get_memory(r->items * sizeof *r->marked);
    r->pairs = get_memory(BATCH_COUNT * pair_bytes());
    open_store(r, DYNB_TO_OS);
    load(r);
    case_compare(r);
    case_past_writes(r);
    case_past_restore(r);
    if (r->items == 100000) {
        case_row_of_backups(r);
        case_very_many(r);
    }
    case_index(r);
    record("memory peak of the handle", "MiB", (double)stat_of(r).memory_peak_bytes / (1 << 20));
    case_marker_synced(r);
    kit.case_name = "final check";
    check_table(r, TABLE, r->versions);
    ours_check(r->o);
    close_store(r);
    remove_tree(r->directory);
    free(r->versions);
    free(r->marked);
    free(r->pairs);
}

int main(int argc, char **argv)
{
    struct options o;
    struct run r;
    memset(&r, 0, sizeof r);
    if (!options_start(argc, argv, &o)) {
        fputs("usage: bench --dir DIR --items N [--value BYTES] [--budget MIB] [--round N]\n"
              "             [--csv FILE] [--quick 1]\n"
              "       bench --dir DIR --floors 1 [--round N] [--csv FILE]\n"
              "Measures once what only dynbackup does, or the machine; sh bench/run.sh runs\n"
              "everything.\n", stderr);
        return 2;
    }
    kit.engine = o.is_floors ? "floor" : "dynbackup";
    r.items = o.items;
    r.quick = o.is_quick;
    snprintf(r.directory, sizeof r.directory, "%s", o.directory);
    snprintf(r.floor_path, sizeof r.floor_path, "%.4000s.floor", o.directory);
    r.random = mix(r.items) + kit.round;
    if (o.is_floors)
        run_floors(r.floor_path);
    else
        run_cases(&r);
    return fclose(kit.csv) == 0 ? 0 : 1;
}
