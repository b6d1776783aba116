/* versus.c - what every engine is measured at, the same way for all.
 *
 * One process measures one engine at one size in one round; run.sh starts them
 * in turns. Figures are appended to a CSV, which report.awk reads. Nothing here
 * fails for being slow; a wrong value, count, restore or recovery ends the
 * program at once with exit code 1.
 *
 * Parts: the run, writing, reading, loading, overwriting, backups, writing
 * while backups are made, deletes, readers, the killed child, main. */
#include "engine.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/wait.h>
#include <unistd.h>

struct run {
    const struct engine *engine;
    struct engine_setup setup;
    char directory[PATH_SIZE];
    char floor_path[PATH_SIZE];
    const char *program;
    const char *timeline; /* a CSV of single write latencies, or NULL */
    uint64_t items;
    int quick;
    double limit_s; /* of one measured loop */
    void *store;
    void *reader;
    uint32_t *versions; /* of each item, as the store must have it */
    uint32_t *marked;   /* the same at some point in time */
    uint8_t *pairs;     /* of one batch */
    uint64_t random;
};

static void case_begin(const char *name)
{
    kit.case_name = name;
}

static void open_store(struct run *r)
{
    r->store = r->engine->open_fn(&r->setup);
    r->reader = r->engine->reader_open_fn(r->store);
}

static void close_store(struct run *r)
{
    r->engine->reader_close_fn(r->reader);
    r->engine->close_fn(r->store);
    r->reader = r->store = NULL;
}

static void open_empty(struct run *r)
{
    remove_tree(r->directory);
    make_directory(r->directory);
    memset(r->versions, 0, r->items * sizeof *r->versions);
    open_store(r);
}

/* Nothing of what was done before disturbs what is measured next. */
static void quiesce(struct run *r)
{
    r->engine->settle_fn(r->store);
    sync_file_system(r->setup.directory);
}

static void mark(struct run *r)
{
    memcpy(r->marked, r->versions, r->items * sizeof *r->versions);
}

static uint64_t random_item(struct run *r)
{
    return random_below(&r->random, r->items);
}

/* ----------------------------------------------------------- writing -- */

static void put_one(struct run *r, uint64_t index, enum commit commit)
{
    make_pair(index, ++r->versions[index], r->pairs);
    r->engine->put_fn(r->store, r->pairs, 1, commit);
}

/* Changes `count` items in batches: different ones, or those that Zipf's law
 * picks, which are fewer. */
static void change_items(struct run *r, uint64_t count, const struct zipf *skew,
                         struct latencies *l)
{
    struct walk walk = walk_start(&r->random, r->items);
    uint64_t started = now_ns();
    while (count > 0 && (!l || seconds_since(started) < r->limit_s)) {
        uint32_t n = count < BATCH_COUNT ? (uint32_t)count : BATCH_COUNT;
        uint64_t start = now_ns();
        if (skew) { /* may repeat a key: one commit each */
            put_one(r, zipf_next(skew, &r->random), COMMIT_OS);
            n = 1;
        } else {
            make_pairs(&walk, r->versions, n, r->pairs);
            r->engine->put_fn(r->store, r->pairs, n, COMMIT_OS);
        }
        if (l)
            latency_add(l, now_ns() - start);
        count -= n;
    }
}

/* Loads the items in batches, all or until the time is over; how many. */
static uint64_t load_items(struct run *r, uint32_t batch, enum commit commit, double limit_s,
                           struct latencies *l)
{
    uint64_t began = now_ns(), before = began, done = 0;
    while (done < r->items && (limit_s <= 0 || (double)(before - began) / 1e9 < limit_s)) {
        uint64_t left = r->items - done;
        uint32_t n = left < batch ? (uint32_t)left : batch;
        for (uint32_t j = 0; j < n; ++j)
            make_pair(done + j, 0, r->pairs + j * pair_bytes());
        r->engine->put_fn(r->store, r->pairs, n, commit);
        uint64_t after = now_ns();
        latency_add(l, after - before);
        before = after;
        done += n;
    }
    return done;
}

/* ----------------------------------------------------------- reading -- */

/* Scans, checks count and content; returns the scan's seconds. */
static double scan_checked(struct run *r, void *reader, const uint32_t *versions, uint64_t items)
{
    struct scan_sum s;
    memset(&s, 0, sizeof s);
    uint64_t start = now_ns();
    r->engine->scan_fn(reader, scan_visit, &s);
    double taken = seconds_since(start);
    scan_check(&s, versions, items);
    return taken;
}

static void get_checked(struct run *r, void *reader, uint64_t index, const uint32_t *versions)
{
    uint8_t key[KEY_BYTES];
    make_key(index, key);
    check_value(index, versions ? versions[index] : 0, r->engine->get_fn(reader, key));
    r->engine->got_fn(reader);
}

static void case_scan(struct run *r)
{
    const unsigned turns = r->items < 1000000 ? 5 : 2;
    double taken = 0;
    case_begin("scan");
    scan_checked(r, r->reader, r->versions, r->items);
    for (unsigned i = 0; i < turns; ++i)
        taken += scan_checked(r, r->reader, r->versions, r->items);
    record("scan", "items/s", turns * (double)r->items / taken);
}

static void case_get(struct run *r)
{
    const uint64_t wanted = r->items < 300000 ? 300000 : r->items;
    uint64_t count = 0;
    case_begin("get");
    for (unsigned i = 0; i < 20000; ++i) /* caches warm */
        get_checked(r, r->reader, random_item(r), r->versions);
    uint64_t start = now_ns();
    while (count < wanted && seconds_since(start) < r->limit_s)
        for (unsigned i = 0; i < 1000; ++i, ++count)
            get_checked(r, r->reader, random_item(r), r->versions);
    record("get", "/s", (double)count / seconds_since(start));
}

/* ----------------------------------------------------------- loading -- */

/* Into a store that is thrown away; checked as far as it came. */
static void load_and_drop(struct run *r, uint32_t batch, enum commit commit, struct latencies *l)
{
    open_empty(r);
    uint64_t done = load_items(r, batch, commit, r->limit_s, l);
    scan_checked(r, r->reader, NULL, done);
    close_store(r);
}

static void case_load_synced(struct run *r)
{
    struct latencies l = {0};
    case_begin("load, each 1000 synced");
    load_and_drop(r, BATCH_COUNT, COMMIT_SYNC, &l);
    record("load, each 1000 synced", "items/s", latency_rate(&l) * BATCH_COUNT);
    latency_free(&l);
}

static void case_load_single(struct run *r)
{
    struct latencies l = {0};
    case_begin("load, one put per commit");
    load_and_drop(r, 1, COMMIT_OS, &l);
    record("load, one put per commit", "items/s", latency_rate(&l));
    record("load, one put per commit: p99.9", "us", latency_us(&l, 0.999));
    record("load, one put per commit: longest", "ms", latency_us(&l, 1) / 1e3);
    latency_free(&l);
}

/* Leaves the store open and idle: the following cases work on it. */
static void case_load(struct run *r)
{
    struct latencies l = {0};
    struct engine_stat stat;
    case_begin("load");
    open_empty(r);
    load_items(r, BATCH_COUNT, COMMIT_OS, 0, &l);
    uint64_t start = now_ns();
    r->engine->settle_fn(r->store);
    record("load", "items/s", (double)r->items / latency_seconds(&l));
    record("load: longest batch", "ms", latency_us(&l, 1) / 1e3);
    record("load: from last put to idle", "ms", seconds_since(start) * 1e3);
    quiesce(r);
    r->engine->stat_fn(r->store, &stat);
    record("device bytes per item, in use", "B", (double)stat.used_bytes / (double)r->items);
    record("device bytes per item, allocated", "B", (double)stat.device_bytes / (double)r->items);
    scan_checked(r, r->reader, r->versions, r->items);
    latency_free(&l);
}

/* ------------------------------------------------------- overwriting -- */

static uint64_t overwrite_count(const struct run *r)
{
    return r->items < 100000 ? 100000 : r->items / 2;
}

static void case_overwrite(struct run *r)
{
    struct latencies l = {0};
    uint64_t before, started;
    case_begin("overwrite");
    quiesce(r);
    started = before = now_ns();
    for (uint64_t i = 0; i < overwrite_count(r); ++i) {
        put_one(r, random_item(r), COMMIT_OS);
        uint64_t after = now_ns();
        latency_add(&l, after - before);
        before = after;
        if ((double)(after - started) / 1e9 > r->limit_s)
            break;
    }
    record("overwrite", "/s", latency_rate(&l));
    record("overwrite: p99.9", "us", latency_us(&l, 0.999));
    record("overwrite: longest", "ms", latency_us(&l, 1) / 1e3);
    latency_free(&l);
    quiesce(r);
    uint64_t left = overwrite_count(r), items = 0;
    while (left > 0 && latency_seconds(&l) < r->limit_s) {
        uint64_t n = left < r->items ? left : r->items;
        change_items(r, n, NULL, &l);
        left -= n;
    }
    items = l.count * BATCH_COUNT;
    record("overwrite, 1000 per commit", "items/s", (double)items / latency_seconds(&l));
    latency_free(&l);
    scan_checked(r, r->reader, r->versions, r->items);
}

static void case_overwrite_skewed(struct run *r, const struct zipf *skew)
{
    struct latencies l = {0};
    case_begin("overwrite, skewed");
    quiesce(r);
    change_items(r, overwrite_count(r), skew, &l);
    record("overwrite, skewed", "/s", latency_rate(&l));
    latency_free(&l);
    scan_checked(r, r->reader, r->versions, r->items);
}

/* Synced puts and the bare pwrite + fdatasync of as many bytes, in turns of
 * ten, so that both meet the same disk. */
static void case_overwrite_synced(struct run *r)
{
    struct latencies engine = {0}, bare = {0};
    struct floor_file f;
    const unsigned turns = r->quick ? 20 : 200;
    case_begin("overwrite, each synced");
    floor_open(&f, r->floor_path, 1);
    quiesce(r);
    uint64_t started = now_ns();
    for (unsigned turn = 0; turn < turns && seconds_since(started) < r->limit_s; ++turn) {
        for (unsigned i = 0; i < 10; ++i) {
            uint64_t start = now_ns();
            floor_write_synced(&f);
            latency_add(&bare, now_ns() - start);
        }
        for (unsigned i = 0; i < 10; ++i) {
            uint64_t start = now_ns();
            put_one(r, random_item(r), COMMIT_SYNC);
            latency_add(&engine, now_ns() - start);
        }
    }
    record("overwrite, each synced", "/s", latency_rate(&engine));
    record("overwrite, each synced: time / bare sync", "ratio",
           latency_rate(&bare) / latency_rate(&engine));
    record("overwrite, each synced: p99.9", "us", latency_us(&engine, 0.999));
    latency_free(&engine);
    latency_free(&bare);
    floor_close(&f, r->floor_path);
}

/* ----------------------------------------------------------- backups -- */

/* Restores, gets one item, then checks the whole new table; the first part's
 * milliseconds. */
static double restore_checked(struct run *r, void *backup, const uint32_t *versions)
{
    uint64_t index = random_item(r);
    uint64_t start = now_ns();
    void *restored = r->engine->restore_fn(backup);
    get_checked(r, restored, index, versions);
    double ms = seconds_since(start) * 1e3;
    scan_checked(r, restored, versions, r->items);
    r->engine->restored_drop_fn(restored);
    return ms;
}

/* One backup after `changed` changes. Bytes are counted from before the changes,
 * so nothing done early is left out. skew: as for change_items. */
static void *backup_after(struct run *r, const char *label, uint64_t changed,
                          const struct zipf *skew, double *restore_ms)
{
    struct engine_stat before, after;
    char name[96];
    quiesce(r);
    r->engine->stat_fn(r->store, &before);
    change_items(r, changed, skew, NULL);
    uint64_t start = now_ns();
    void *backup = r->engine->backup_begin_fn(r->store);
    r->engine->backup_finish_fn(backup);
    double complete_ms = seconds_since(start) * 1e3;
    r->engine->backup_sync_fn(backup);
    double synced_ms = seconds_since(start) * 1e3;
    r->engine->stat_fn(r->store, &after);
    snprintf(name, sizeof name, "backup, %s", label);
    record(name, "ms", complete_ms);
    snprintf(name, sizeof name, "backup, %s: and synced", label);
    record(name, "ms", synced_ms);
    snprintf(name, sizeof name, "backup, %s: new bytes", label);
    double grown = (double)after.grown_bytes - (double)before.grown_bytes;
    record(name, changed ? "x changed" : "B",
           changed ? grown / ((double)changed * raw_item_bytes()) : grown);
    *restore_ms = restore_checked(r, backup, r->versions);
    return backup;
}

static void case_backup(struct run *r, const struct zipf *skew)
{
    static const struct {
        const char *label;
        unsigned per_mille;
        int is_skewed;
    } shares[6] = {{"the first", 0, 0},       {"0 % changed", 0, 0},
                   {"0.1 % changed", 1, 0},   {"1 % changed", 10, 0},
                   {"10 % changed", 100, 0},  {"1 % changed, skewed", 10, 1}};
    void *backups[6];
    double restores[7];
    case_begin("backup");
    mark(r);
    for (unsigned i = 0; i < 6; ++i)
        backups[i] = backup_after(r, shares[i].label, r->items * shares[i].per_mille / 1000,
                                  shares[i].is_skewed ? skew : NULL, &restores[i]);
    case_begin("restore of the oldest backup");
    restores[6] = restore_checked(r, backups[0], r->marked);
    record("restore to first get", "ms", median_of(restores, 7));
    record("restore to first get: longest", "ms", restores[6]);
    for (unsigned i = 0; i < 6; ++i)
        r->engine->backup_drop_fn(backups[i]);
}

/* Fixing the point in time alone. An engine that does the rest of the work at
 * once pays it here too. */
static void case_marker(struct run *r)
{
    struct latencies l = {0};
    case_begin("marker");
    uint64_t started = now_ns();
    for (unsigned i = 0; i < 50 && seconds_since(started) < r->limit_s; ++i) {
        change_items(r, 100, NULL, NULL);
        uint64_t start = now_ns();
        void *backup = r->engine->backup_begin_fn(r->store);
        latency_add(&l, now_ns() - start);
        r->engine->backup_drop_fn(backup);
    }
    record("marker", "us", latency_us(&l, 0.5));
    record("marker: longest", "us", latency_us(&l, 1));
    latency_free(&l);
}

/* One backup after the other, all kept, each after 100 changes; until there are
 * enough, or too long, or too many bytes. */
static void case_many_backups(struct run *r)
{
    const unsigned wanted = r->quick ? 500 : 10000;
    const double limit_s = r->quick ? 1 : 60;
    struct latencies l = {0};
    struct engine_stat before, after;
    void **backups = get_memory(wanted * sizeof *backups);
    unsigned count = 0;
    case_begin("many backups");
    quiesce(r);
    r->engine->stat_fn(r->store, &before);
    after = before;
    uint64_t started = now_ns();
    while (count < wanted && seconds_since(started) < limit_s &&
           after.grown_bytes < before.grown_bytes + ((uint64_t)8 << 30)) {
        change_items(r, 100, NULL, NULL);
        if (count == 0)
            mark(r);
        uint64_t start = now_ns();
        backups[count] = r->engine->backup_begin_fn(r->store);
        r->engine->backup_finish_fn(backups[count++]);
        latency_add(&l, now_ns() - start);
        if (count % 64 == 0)
            r->engine->stat_fn(r->store, &after);
    }
    r->engine->settle_fn(r->store);
    r->engine->stat_fn(r->store, &after);
    restore_checked(r, backups[0], r->marked);
    restore_checked(r, backups[count - 1], r->versions);
    double parts[2] = {0, 0};
    const unsigned tenth = count >= 10 ? count / 10 : 1;
    for (unsigned i = 0; i < tenth; ++i) {
        parts[0] += l.ns[i];
        parts[1] += l.ns[count - 1 - i];
    }
    record("many backups: how many", "backups", count);
    record("many backups: last tenth / first tenth", "ratio", parts[1] / parts[0]);
    record("many backups: each", "us", latency_us(&l, 0.5));
    record("many backups: bytes each", "B",
           ((double)after.grown_bytes - (double)before.grown_bytes) / count);
    started = now_ns();
    for (unsigned i = 0; i < count; ++i)
        r->engine->backup_drop_fn(backups[i]);
    record("many backups: deleting each", "us", seconds_since(started) * 1e6 / count);
    latency_free(&l);
    free(backups);
}

/* ----------------------------------- writing while backups are made -- */

struct maker {
    struct run *run;
    void *backup;
    atomic_int done;
};

static void *maker_main(void *ctx)
{
    struct maker *m = ctx;
    m->backup = m->run->engine->backup_begin_fn(m->run->store);
    m->run->engine->backup_finish_fn(m->backup);
    atomic_store(&m->done, 1);
    return NULL;
}

/* The items written, in order: at one of these points the backup was made. */
struct history {
    uint32_t *indexes;
    size_t count, capacity;
};

/* Single puts until the maker is done, or `count` of them. */
static void put_many(struct run *r, uint64_t count, struct latencies *l, struct maker *maker,
                     struct history *h)
{
    uint64_t before = now_ns();
    for (uint64_t i = 0; i < count; ++i) {
        if (maker && atomic_load_explicit(&maker->done, memory_order_relaxed))
            break;
        uint64_t index = random_item(r);
        put_one(r, index, COMMIT_OS);
        uint64_t after = now_ns();
        latency_add(l, after - before);
        before = after;
        if (h && h->count < h->capacity)
            h->indexes[h->count++] = (uint32_t)index;
    }
}

/* The backup holds what the table held after some of the puts, and after no
 * half of one: its content sum is one of those. */
static void check_some_point(struct run *r, void *backup, const struct history *h)
{
    struct scan_sum s;
    void *restored = r->engine->restore_fn(backup);
    memset(&s, 0, sizeof s);
    r->engine->scan_fn(restored, scan_visit, &s);
    r->engine->restored_drop_fn(restored);
    if (s.count != r->items)
        die("a backup made while writes went on has %" PRIu64 " items", s.count);
    uint64_t sum = expected_sum(r->marked, r->items);
    for (size_t i = 0; sum != s.sum; ++i) {
        if (i == h->count)
            die("a backup made while writes went on is of no point in time");
        uint32_t index = h->indexes[i];
        sum -= hash_version(index, r->marked[index]);
        sum += hash_version(index, ++r->marked[index]);
    }
}

static void case_write_during(struct run *r)
{
    struct latencies idle = {0}, during = {0};
    struct history h = {NULL, 0, 8u << 20};
    const unsigned turns = r->quick ? 2 : 8;
    case_begin("writes during backups");
    h.indexes = get_memory(h.capacity * sizeof *h.indexes);
    uint64_t started = now_ns();
    for (unsigned turn = 0; turn < turns; ++turn) {
        struct maker maker;
        pthread_t thread;
        size_t before = during.count;
        r->engine->settle_fn(r->store);
        change_items(r, r->items / 10, NULL, NULL);
        mark(r);
        maker.run = r;
        atomic_init(&maker.done, 0);
        h.count = 0;
        if (pthread_create(&thread, NULL, maker_main, &maker) != 0)
            die("cannot start a thread");
        put_many(r, h.capacity, &during, &maker, &h);
        pthread_join(thread, NULL);
        check_some_point(r, maker.backup, &h);
        r->engine->backup_drop_fn(maker.backup);
        r->engine->settle_fn(r->store);
        put_many(r, during.count - before + 2000, &idle, NULL, NULL);
        if (seconds_since(started) > 4 * r->limit_s)
            break;
    }
    record("writes during backups: rate / idle rate", "ratio",
           latency_rate(&during) / latency_rate(&idle));
    record("writes during backups: how many", "puts", (double)during.count);
    record("writes during backups: p99.9", "us", latency_us(&during, 0.999));
    record("writes during backups: longest", "ms", latency_us(&during, 1) / 1e3);
    record("writes while idle", "/s", latency_rate(&idle));
    record("writes while idle: p99.9", "us", latency_us(&idle, 0.999));
    record("writes while idle: longest", "ms", latency_us(&idle, 1) / 1e3);
    latency_free(&idle);
    latency_free(&during);
    free(h.indexes);
}

/* ---- the same over time, for the plot */

#define TIMELINE_MS 3000u
#define BUCKET_MS 2u

struct timeline {
    struct run *run;
    uint64_t began_ns;
    unsigned duration_ms;
    atomic_int stop;
    unsigned count;
    double from_ms[64], to_ms[64];
};

static void *timeline_main(void *ctx)
{
    struct timeline *t = ctx;
    const struct engine *engine = t->run->engine;
    while (!atomic_load(&t->stop) && t->count < 64) {
        sleep_us((long)t->duration_ms * 1000 / 6);
        t->from_ms[t->count] = seconds_since(t->began_ns) * 1e3;
        void *backup = engine->backup_begin_fn(t->run->store);
        engine->backup_finish_fn(backup);
        t->to_ms[t->count++] = seconds_since(t->began_ns) * 1e3;
        engine->backup_drop_fn(backup);
    }
    return NULL;
}

/* Lines of the CSV: engine,items,value_bytes,put,ms,longest us of that stretch
 * and engine,items,value_bytes,backup,from ms,to ms. */
static void case_timeline(struct run *r)
{
    static double longest_us[TIMELINE_MS / BUCKET_MS];
    struct timeline t = {0};
    pthread_t thread;
    case_begin("writes over time");
    memset(longest_us, 0, sizeof longest_us);
    quiesce(r);
    t.run = r;
    t.duration_ms = r->quick ? TIMELINE_MS / 3 : TIMELINE_MS;
    const unsigned buckets = t.duration_ms / BUCKET_MS;
    t.began_ns = now_ns();
    if (pthread_create(&thread, NULL, timeline_main, &t) != 0)
        die("cannot start a thread");
    for (uint64_t before = t.began_ns, bucket = 0; bucket < buckets;) {
        put_one(r, random_item(r), COMMIT_OS);
        uint64_t after = now_ns(), last = (after - t.began_ns) / 1000000 / BUCKET_MS;
        double us = (double)(after - before) / 1e3;
        before = after;
        for (;; ++bucket) { /* a long one is the longest of each stretch it fills */
            if (bucket < buckets && us > longest_us[bucket])
                longest_us[bucket] = us;
            if (bucket >= last)
                break;
        }
    }
    atomic_store(&t.stop, 1);
    pthread_join(thread, NULL);
    FILE *file = fopen(r->timeline, "a");
    if (!file)
        die("cannot write %s", r->timeline);
    for (unsigned i = 0; i < buckets; ++i)
        fprintf(file, "%s,%" PRIu64 ",%u,put,%u,%.1f\n", r->engine->name, r->items,
                kit.value_bytes, i * BUCKET_MS, longest_us[i]);
    for (unsigned i = 0; i < t.count; ++i)
        fprintf(file, "%s,%" PRIu64 ",%u,backup,%.2f,%.2f\n", r->engine->name, r->items,
                kit.value_bytes, t.from_ms[i], t.to_ms[i]);
    if (fclose(file) != 0)
        die("cannot write %s", r->timeline);
}

/* ----------------------------------------------------------- deletes -- */

static void case_delete(struct run *r)
{
    const uint64_t count = r->items / 10;
    struct walk walk = walk_start(&r->random, r->items);
    struct latencies l = {0};
    case_begin("delete");
    quiesce(r);
    for (uint64_t done = 0; done < count; done += BATCH_COUNT) {
        uint64_t start = now_ns();
        for (uint32_t i = 0; i < BATCH_COUNT; ++i) {
            uint64_t index = walk_next(&walk);
            make_key(index, r->pairs + i * pair_bytes());
            r->versions[index] = GONE;
        }
        r->engine->delete_fn(r->store, r->pairs, BATCH_COUNT, COMMIT_OS);
        latency_add(&l, now_ns() - start);
    }
    record("delete, 1000 per commit", "items/s", latency_rate(&l) * BATCH_COUNT);
    for (unsigned i = 0; i < 10000; ++i)
        get_checked(r, r->reader, random_item(r), r->versions);
    scan_checked(r, r->reader, r->versions, r->items);
    for (uint64_t i = 0; i < r->items; ++i) /* GONE + 1 is version 0 again */
        if (r->versions[i] == GONE)
            put_one(r, i, COMMIT_OS);
    scan_checked(r, r->reader, r->versions, r->items);
    latency_free(&l);
}

/* ----------------------------------------------------------- readers -- */

#define READERS_MAX 2u

struct reading {
    struct run *run;
    uint64_t random, count;
    const atomic_int *stop;
};

/* Each value read is some version, not older than when the readers began. */
static void *reading_main(void *ctx)
{
    struct reading *t = ctx;
    const struct engine *engine = t->run->engine;
    void *reader = engine->reader_open_fn(t->run->store);
    uint8_t key[KEY_BYTES];
    while (!atomic_load_explicit(t->stop, memory_order_relaxed)) {
        uint64_t index = random_below(&t->random, t->run->items);
        make_key(index, key);
        if (check_any_value(index, engine->get_fn(reader, key)) < t->run->marked[index])
            die("a reader saw an old version of item %" PRIu64, index);
        engine->got_fn(reader);
        ++t->count;
    }
    engine->reader_close_fn(reader);
    return NULL;
}

static void read_concurrently(struct run *r, unsigned readers, int is_writing, const char *name)
{
    struct reading readings[READERS_MAX];
    pthread_t threads[READERS_MAX];
    atomic_int stop = 0;
    const double wanted_s = r->quick ? 0.2 : 1;
    uint64_t gets = 0, puts = 0;
    char write_name[96];
    case_begin(name);
    quiesce(r);
    mark(r);
    uint64_t start = now_ns();
    for (unsigned i = 0; i < readers; ++i) {
        readings[i] = (struct reading){r, mix(r->random + i), 0, &stop};
        if (pthread_create(&threads[i], NULL, reading_main, &readings[i]) != 0)
            die("cannot start a thread");
    }
    while (seconds_since(start) < wanted_s) {
        if (!is_writing) {
            sleep_us(10000);
            continue;
        }
        put_one(r, random_item(r), COMMIT_OS);
        ++puts;
    }
    atomic_store(&stop, 1);
    double taken = seconds_since(start);
    for (unsigned i = 0; i < readers; ++i) {
        pthread_join(threads[i], NULL);
        gets += readings[i].count;
    }
    record(name, "/s", (double)gets / taken);
    snprintf(write_name, sizeof write_name, "%s: its puts", name);
    if (is_writing)
        record(write_name, "/s", (double)puts / taken);
}

static void case_readers(struct run *r)
{
    read_concurrently(r, 1, 0, "get, 1 reader");
    read_concurrently(r, 2, 0, "get, 2 readers");
    read_concurrently(r, 1, 1, "get, 1 reader and a writer");
}

/* -------------------------------------------------- the killed child -- */

/* The child: loads, reads, tells its memory, writes the last item and kills
 * itself before it can do anything else. It has no model: its memory is the
 * engine's. */
static int child_main(struct run *r)
{
    uint64_t anonymous_peak = 0, done = 0, single_from = r->items - BATCH_COUNT;
    struct scan_sum s;
    case_begin("child");
    open_store(r);
    while (done < r->items) {
        uint32_t n = done < single_from ? BATCH_COUNT : 1;
        for (uint32_t i = 0; i < n; ++i)
            make_pair(done + i, 0, r->pairs + i * pair_bytes());
        if (done + 1 == r->items) {
            for (unsigned i = 0; i < 100000; ++i)
                get_checked(r, r->reader, random_below(&r->random, done), NULL);
            memset(&s, 0, sizeof s);
            r->engine->scan_fn(r->reader, scan_visit, &s);
            if (s.count != done)
                die("a scan has %" PRIu64 " items instead of %" PRIu64, s.count, done);
        }
        if (n > 1 || done + 1 == r->items) {
            uint64_t anonymous = process_status_bytes("RssAnon:");
            anonymous_peak = anonymous > anonymous_peak ? anonymous : anonymous_peak;
        }
        if (done + 1 == r->items) {
            printf("%" PRIu64 " %" PRIu64 "\n", anonymous_peak, process_status_bytes("VmHWM:"));
            fflush(stdout);
        }
        r->engine->put_fn(r->store, r->pairs, n, COMMIT_OS);
        done += n;
    }
    kill(getpid(), SIGKILL);
    return 1;
}

static void run_child(const struct run *r, uint64_t bytes[2])
{
    int ends[2], status = 0;
    char items[32], value[32], budget[32], line[256] = "";
    size_t used = 0;
    ssize_t got;
    if (pipe(ends) != 0)
        die("pipe: %s", strerror(errno));
    snprintf(items, sizeof items, "%" PRIu64, r->items);
    snprintf(value, sizeof value, "%u", kit.value_bytes);
    snprintf(budget, sizeof budget, "%" PRIu64, kit.budget_mib);
    pid_t pid = fork();
    if (pid < 0)
        die("fork: %s", strerror(errno));
    if (pid == 0) {
        dup2(ends[1], 1);
        close(ends[0]);
        close(ends[1]);
        execlp(r->program, r->program, "--engine", r->engine->name, "--dir", r->directory,
               "--items", items, "--value", value, "--budget", budget, "--child", "1",
               (char *)NULL);
        _exit(127);
    }
    close(ends[1]);
    while (used + 1 < sizeof line && (got = read(ends[0], line + used, sizeof line - 1 - used)) > 0)
        used += (size_t)got;
    close(ends[0]);
    if (waitpid(pid, &status, 0) != pid || !WIFSIGNALED(status) || WTERMSIG(status) != SIGKILL)
        die("the child that should load and be killed ended with status %d", status);
    if (sscanf(line, "%" SCNu64 " %" SCNu64, &bytes[0], &bytes[1]) != 2)
        die("the child told \"%s\"", line);
}

static void case_kill(struct run *r)
{
    uint64_t bytes[2] = {0, 0};
    case_begin("open after kill -9");
    remove_tree(r->directory);
    make_directory(r->directory);
    run_child(r, bytes);
    record("memory, anonymous, peak", "MiB", (double)bytes[0] / (1 << 20));
    record("memory, resident, peak", "MiB", (double)bytes[1] / (1 << 20));
    if (r->engine->in_memory)
        return;
    uint64_t start = now_ns();
    open_store(r);
    get_checked(r, r->reader, r->items - 1, NULL); /* the last one acknowledged */
    record("open after kill -9, to first get", "ms", seconds_since(start) * 1e3);
    scan_checked(r, r->reader, NULL, r->items);
    r->engine->settle_fn(r->store);
    scan_checked(r, r->reader, NULL, r->items);
    close_store(r);
}

/* -------------------------------------------------------------- main -- */

static void run_cases(struct run *r)
{
    const struct zipf skew = zipf_start(r->items);
    case_load_synced(r);
    case_load_single(r);
    case_load(r);
    case_scan(r);
    case_get(r);
    case_marker(r);
    case_backup(r, &skew);
    case_overwrite(r);
    case_overwrite_skewed(r, &skew);
    case_overwrite_synced(r);
    case_write_during(r);
    if (r->timeline && r->items >= 50000)
        case_timeline(r);
    case_readers(r);
    case_delete(r);
    if (r->items <= 10000)
        case_many_backups(r);
    case_begin("final check");
    scan_checked(r, r->reader, r->versions, r->items);
    if (r->engine->check_fn)
        r->engine->check_fn(r->store);
    close_store(r);
    if (!r->engine->in_memory) {
        case_begin("open after close");
        uint64_t start = now_ns();
        open_store(r);
        get_checked(r, r->reader, random_item(r), r->versions);
        record("open after close, to first get", "ms", seconds_since(start) * 1e3);
        scan_checked(r, r->reader, r->versions, r->items);
        close_store(r);
    }
    case_kill(r);
    remove_tree(r->directory);
}

static void list_engines(void)
{
    char version[64];
    for (unsigned i = 0; engines[i]; ++i) {
        engines[i]->version_fn(version);
        printf("%s %s\n", engines[i]->name, version);
    }
}

int main(int argc, char **argv)
{
    struct options o;
    struct run r;
    memset(&r, 0, sizeof r);
    if (argc == 2 && strcmp(argv[1], "--list") == 0) {
        list_engines();
        return 0;
    }
    if (options_start(argc, argv, &o) && o.engine)
        for (unsigned i = 0; engines[i]; ++i)
            if (strcmp(engines[i]->name, o.engine) == 0)
                r.engine = engines[i];
    if (!r.engine) {
        fputs("usage: versus-ENGINE --engine NAME --dir DIR --items N [--value BYTES]\n"
              "         [--budget MIB] [--round N] [--csv FILE] [--timeline FILE] [--quick 1]\n"
              "       versus-ENGINE --list\n"
              "Measures one engine once; sh bench/run.sh runs them all.\n", stderr);
        return 2;
    }
    kit.engine = r.engine->name;
    r.program = argv[0];
    r.timeline = o.timeline;
    r.items = o.items;
    r.quick = o.is_quick;
    snprintf(r.directory, sizeof r.directory, "%s", o.directory);
    snprintf(r.floor_path, sizeof r.floor_path, "%.4000s.floor", o.directory);
    r.setup.directory = r.directory;
    r.setup.items = r.items;
    r.setup.budget_bytes = kit.budget_mib << 20;
    r.random = mix(r.items) + kit.round;
    r.limit_s = r.quick ? 0.3 : 5;
    r.pairs = get_memory(BATCH_COUNT * pair_bytes());
    if (o.is_child)
        return child_main(&r);
    r.versions = get_memory(r.items * sizeof *r.versions);
    r.marked = get_memory(r.items * sizeof *r.marked);
    run_cases(&r);
    free(r.versions);
    free(r.marked);
    free(r.pairs);
    return fclose(kit.csv) == 0 ? 0 : 1;
}
