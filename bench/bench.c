/* bench.c - how fast dynbackup is, beside the floors of the machine.
 *
 *     cc -O2 -pthread -o bench bench.c && ./bench --help
 *
 * or `sh bench/run.sh`, which builds it and runs it in a directory of its own.
 * Method and how to read the table: README.md beside this file.
 *
 * Nothing here fails for being slow. A wrong value, count, restore or recovery
 * ends the program at once with exit code 1.
 *
 * Parts: tools, model, results, engine seam, our engine, floors, cases, main.
 * A rival is one more `struct engine` and one more line in `engines`. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#define DYNBACKUP_PTHREADS
#define DYNBACKUP_IMPLEMENTATION
#include "../dynbackup.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define KEY_BYTES 24u
#define VALUE_BYTES 200u
#define RAW_ITEM_BYTES 229u /* AWS's rule: "id" + 24 + "val" + 200 */
#define BATCH_COUNT 1000u
#define FRAME_BYTES 240u /* what the floors write: one item and its log frame */
#define DEFAULT_BUDGET_BYTES (64u << 20)
#define LARGE_BUDGET_BYTES (256u << 20)
#define ROUNDS_MAX 64
#define ID_SIZE 1100u

/* ------------------------------------------------------------- tools -- */

static const char *current_case = "start"; /* what die() names */
static uint64_t current_items;

__attribute__((noreturn, format(printf, 1, 2))) static void die(const char *format, ...)
{
    va_list list;
    fflush(stdout);
    fprintf(stderr, "\nbench: WRONG in case \"%s\" at %" PRIu64 " items: ", current_case,
            current_items);
    va_start(list, format);
    vfprintf(stderr, format, list);
    va_end(list);
    fputc('\n', stderr);
    exit(1);
}

static uint64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static void sleep_us(long us)
{
    struct timespec t = {0, us * 1000};
    nanosleep(&t, NULL);
}

static void *get_memory(size_t size)
{
    void *memory = calloc(1, size ? size : 1);
    if (!memory)
        die("no memory for the bench itself (%zu bytes)", size);
    return memory;
}

/* The finaliser of splitmix64: a bijection, so distinct in gives distinct out. */
static uint64_t mix(uint64_t z)
{
    z += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

static uint64_t next_random(uint64_t *state)
{
    return mix(*state += 0x9e3779b97f4a7c15u);
}

static uint64_t random_below(uint64_t *state, uint64_t bound)
{
    return (uint64_t)(((unsigned __int128)next_random(state) * bound) >> 64);
}

/* Latencies of single calls, kept whole so that percentiles are exact. */
struct latencies {
    uint32_t *ns;
    size_t count;
    size_t capacity;
    uint64_t sum_ns;
    int sorted;
};

static void latency_add(struct latencies *l, uint64_t ns)
{
    if (l->count == l->capacity) {
        l->capacity = l->capacity ? l->capacity * 2 : 1u << 16;
        l->ns = realloc(l->ns, l->capacity * sizeof *l->ns);
        if (!l->ns)
            die("no memory for latencies");
    }
    l->ns[l->count++] = ns > UINT32_MAX ? UINT32_MAX : (uint32_t)ns;
    l->sum_ns += ns;
    l->sorted = 0;
}

static int compare_u32(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return x < y ? -1 : x > y;
}

/* part 0..1: 0.5 is the median, 1 the largest. In microseconds. */
static double latency_us(struct latencies *l, double part)
{
    if (l->count == 0)
        return 0;
    if (!l->sorted)
        qsort(l->ns, l->count, sizeof *l->ns, compare_u32);
    l->sorted = 1;
    size_t at = (size_t)(part * (double)l->count);
    return l->ns[at < l->count ? at : l->count - 1] / 1e3;
}

static double latency_rate(const struct latencies *l)
{
    return l->sum_ns ? (double)l->count * 1e9 / (double)l->sum_ns : 0;
}

static void latency_free(struct latencies *l)
{
    free(l->ns);
    memset(l, 0, sizeof *l);
}

/* ------------------------------------------------------------- model -- */

/* Item i has a fixed key; its value follows from i and how often it was
 * written. The model is one version per item; nothing else is remembered. */
struct pair {
    uint8_t key[KEY_BYTES];
    uint8_t value[VALUE_BYTES];
};

#define POOL_BYTES 65536u
static uint8_t pool[POOL_BYTES];      /* noise that values are cut from */
static char hex_of_byte[256][2];

static void model_init(void)
{
    static const char digits[] = "0123456789abcdef";
    uint64_t state = 42;
    for (unsigned i = 0; i < 256; ++i) {
        hex_of_byte[i][0] = digits[i >> 4];
        hex_of_byte[i][1] = digits[i & 15];
    }
    for (size_t i = 0; i < POOL_BYTES; i += 8) {
        uint64_t word = next_random(&state);
        memcpy(pool + i, &word, 8);
    }
}

/* 24 hex digits, unique, in random order as i rises. */
static void make_key(uint64_t index, uint8_t *key)
{
    uint64_t a = mix(index);
    uint64_t b = mix(a);
    for (unsigned i = 0; i < 8; ++i)
        memcpy(key + 2 * i, hex_of_byte[(a >> (56 - 8 * i)) & 255], 2);
    for (unsigned i = 0; i < 4; ++i)
        memcpy(key + 16 + 2 * i, hex_of_byte[(b >> (56 - 8 * i)) & 255], 2);
}

/* 200 bytes: the index, the version, and noise picked by both. */
static void make_value(uint64_t index, uint64_t version, uint8_t *value)
{
    uint64_t at = mix(index ^ (version << 40)) % (POOL_BYTES - VALUE_BYTES);
    memcpy(value, &index, 8);
    memcpy(value + 8, &version, 8);
    memcpy(value + 16, pool + at, VALUE_BYTES - 16);
}

static void make_pair(uint64_t index, uint64_t version, struct pair *pair)
{
    make_key(index, pair->key);
    make_value(index, version, pair->value);
}

static void check_value(uint64_t index, uint64_t version, const uint8_t *value)
{
    uint8_t expected[VALUE_BYTES];
    make_value(index, version, expected);
    if (!value)
        die("item %" PRIu64 " is missing", index);
    if (memcmp(value, expected, VALUE_BYTES) != 0) {
        uint64_t head[2];
        memcpy(head, value, sizeof head);
        die("item %" PRIu64 " version %" PRIu64 " has bytes of item %" PRIu64
            " version %" PRIu64 ", or damaged ones",
            index, version, head[0], head[1]);
    }
}

static uint64_t load_word(const uint8_t *at)
{
    uint64_t word;
    memcpy(&word, at, sizeof word);
    return word;
}

/* Adding these up over a table gives its content sum, in any order. Four lanes
 * in plain variables: the multiplications overlap. */
static uint64_t hash_item(const uint8_t *key, const uint8_t *value)
{
    const uint64_t prime = 0x9fb21c651e98df25u;
    uint64_t a = (load_word(key) ^ 1) * prime, b = (load_word(key + 8) ^ 2) * prime;
    uint64_t c = (load_word(key + 16) ^ 3) * prime;
    uint64_t d = (load_word(value + VALUE_BYTES - 8) ^ 4) * prime;
    for (unsigned i = 0; i + 32 <= VALUE_BYTES; i += 32) {
        a = ((a ^ (a >> 29)) + load_word(value + i)) * prime;
        b = ((b ^ (b >> 29)) + load_word(value + i + 8)) * prime;
        c = ((c ^ (c >> 29)) + load_word(value + i + 16)) * prime;
        d = ((d ^ (d >> 29)) + load_word(value + i + 24)) * prime;
    }
    return mix((a ^ (b >> 31)) * prime + (c ^ (d >> 31)) + (b << 7) + (d << 13));
}

static uint64_t expected_sum(const uint32_t *versions, uint64_t items)
{
    uint64_t sum = 0;
    struct pair pair;
    for (uint64_t i = 0; i < items; ++i) {
        make_pair(i, versions ? versions[i] : 0, &pair);
        sum += hash_item(pair.key, pair.value);
    }
    return sum;
}

/* Walks 0..items-1 in a scattered order, each once: `step` shares no factor
 * with sizes made of tens. */
struct walk {
    uint64_t at, step, items;
};

static struct walk walk_start(uint64_t *random, uint64_t items)
{
    static const uint64_t last_digit[4] = {1, 3, 7, 9};
    struct walk w;
    w.at = random_below(random, items);
    w.step = (random_below(random, items) / 10 * 10 + last_digit[next_random(random) & 3]) % items;
    w.items = items;
    return w;
}

static uint64_t walk_next(struct walk *w)
{
    uint64_t at = w->at;
    w->at = (w->at + w->step) % w->items;
    return at;
}

/* ----------------------------------------------------------- results -- */

enum sense { NO_TARGET, AT_LEAST, AT_MOST };

struct metric {
    char name[56];
    const char *engine;
    const char *setup;
    const char *unit;
    uint64_t items;
    double target;
    enum sense sense;
    double values[ROUNDS_MAX];
    int count;
};

static struct metric metrics[1024];
static int metric_count;
static const char *current_engine = "-";
static const char *current_setup = "-";

/* Values recorded under one name in several rounds become one line. */
static void record(const char *name, const char *unit, double value, enum sense sense,
                   double target)
{
    struct metric *m = NULL;
    for (int i = 0; i < metric_count && !m; ++i) {
        struct metric *c = &metrics[i];
        if (c->items == current_items && strcmp(c->name, name) == 0 &&
            strcmp(c->setup, current_setup) == 0 && strcmp(c->engine, current_engine) == 0)
            m = c;
    }
    if (!m) {
        if (metric_count == (int)(sizeof metrics / sizeof metrics[0]))
            die("too many metrics");
        m = &metrics[metric_count++];
        snprintf(m->name, sizeof m->name, "%s", name);
        m->engine = current_engine;
        m->setup = current_setup;
        m->unit = unit;
        m->items = current_items;
        m->target = target;
        m->sense = sense;
    }
    if (m->count < ROUNDS_MAX)
        m->values[m->count++] = value;
}

static void record_info(const char *name, const char *unit, double value)
{
    record(name, unit, value, NO_TARGET, 0);
}

static int compare_double(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

static double median_of(double *values, int count)
{
    qsort(values, (size_t)count, sizeof *values, compare_double);
    return count % 2 ? values[count / 2] : (values[count / 2 - 1] + values[count / 2]) / 2;
}

/* 1234567 -> 1.23M, so that columns stay narrow and digits honest. */
static const char *short_number(double v, char *text, size_t size)
{
    double a = v < 0 ? -v : v;
    if (a >= 1e6)
        snprintf(text, size, "%.2fM", v / 1e6);
    else if (a >= 1e4)
        snprintf(text, size, "%.1fk", v / 1e3);
    else if (a >= 100)
        snprintf(text, size, "%.0f", v);
    else if (a >= 10)
        snprintf(text, size, "%.1f", v);
    else
        snprintf(text, size, "%.2f", v);
    return text;
}

static int metric_met(const struct metric *m, double median)
{
    return m->sense == AT_LEAST ? median >= m->target : median <= m->target;
}

static void verdict_of(const struct metric *m, double median, char *text, size_t size)
{
    if (m->sense == NO_TARGET)
        snprintf(text, size, "%s", "");
    else if (metric_met(m, median))
        snprintf(text, size, "MET");
    else if (m->sense == AT_LEAST)
        snprintf(text, size, "%.2f of it", median / m->target);
    else if (m->target > 0)
        snprintf(text, size, "%.2f x it", median / m->target);
    else
        snprintf(text, size, "over it");
}

static void print_metric(struct metric *m)
{
    char mid[24], low[24], high[24], want[24], range[56], target[40], verdict[32];
    double median = median_of(m->values, m->count);
    short_number(median, mid, sizeof mid);
    short_number(m->values[0], low, sizeof low);
    short_number(m->values[m->count - 1], high, sizeof high);
    snprintf(range, sizeof range, "%s..%s", low, high);
    short_number(m->target, want, sizeof want);
    snprintf(target, sizeof target, "%s %s", m->sense == AT_LEAST ? ">=" : "<=", want);
    verdict_of(m, median, verdict, sizeof verdict);
    printf("  %-46s %9s  %-19s %-8s %-9s %s\n", m->name, mid, range, m->unit,
           m->sense == NO_TARGET ? "" : target, verdict);
}

static void csv_metrics(const char *path)
{
    FILE *file = fopen(path, "w");
    if (!file)
        die("cannot write %s", path);
    fputs("engine,setup,items,case,unit,median,min,max,rounds,target,verdict\n", file);
    for (int i = 0; i < metric_count; ++i) {
        struct metric *m = &metrics[i];
        char verdict[32];
        double median = median_of(m->values, m->count);
        verdict_of(m, median, verdict, sizeof verdict);
        fprintf(file, "%s,\"%s\",%" PRIu64 ",\"%s\",%s,%.6g,%.6g,%.6g,%d,", m->engine, m->setup,
                m->items, m->name, m->unit, median, m->values[0], m->values[m->count - 1],
                m->count);
        if (m->sense != NO_TARGET)
            fprintf(file, "%s%.6g", m->sense == AT_LEAST ? ">=" : "<=", m->target);
        fprintf(file, ",%s\n", verdict);
    }
    if (fclose(file) != 0)
        die("cannot write %s", path);
}

static struct metric *find_metric(const char *engine, const char *setup, uint64_t items,
                                  const char *name)
{
    for (int i = 0; i < metric_count; ++i) {
        struct metric *m = &metrics[i];
        if (m->items == items && strcmp(m->engine, engine) == 0 &&
            strcmp(m->setup, setup) == 0 && strcmp(m->name, name) == 0)
            return m;
    }
    return NULL;
}

/* ------------------------------------------------------- engine seam -- */

enum commit { COMMIT_OS, COMMIT_SYNC };

struct engine_setup {
    const char *path;      /* NULL: memory */
    uint64_t memory_bytes; /* 0: the engine's default */
    int synced;            /* nonzero: each marker and commit is synced */
};

struct engine_stat {
    uint64_t device_bytes, used_bytes, log_bytes, written_bytes;
    uint64_t memory_bytes, memory_peak_bytes;
};

/* Called for each item of a scan, in the engine's order. */
typedef void visit_fn(void *ctx, const uint8_t *key, const uint8_t *value);

/* Called for each item that two backups do not have alike; NULL: not there. */
typedef void differ_fn(void *ctx, const uint8_t *key, const uint8_t *was, const uint8_t *is);

/* What an engine has to do to be measured. Functions end the program when they
 * fail: nothing is measured on an engine that does not work. Only
 * backup_done_fn is called by another thread than the rest. */
struct engine {
    const char *name;
    void *(*open_fn)(const struct engine_setup *setup);
    void (*close_fn)(void *store);
    void (*create_table_fn)(void *store, const char *table);
    void (*delete_table_fn)(void *store, const char *table);
    void (*put_fn)(void *store, const char *table, const struct pair *pair, enum commit commit);
    /* keys are distinct; all or nothing where the engine can */
    void (*put_batch_fn)(void *store, const char *table, const struct pair *pairs,
                         uint32_t count, enum commit commit);
    /* the value, valid until the next call, or NULL */
    const uint8_t *(*get_fn)(void *store, const char *table, const uint8_t *key);
    void (*scan_fn)(void *store, const char *table, visit_fn *visit, void *ctx);
    void (*sync_fn)(void *store);
    void (*marker_fn)(void *store, const char *table, char id[ID_SIZE]);
    int (*backup_done_fn)(void *store, const char *id);
    void (*restore_fn)(void *store, const char *id, const char *new_table);
    void (*delete_backup_fn)(void *store, const char *id);
    /* describes a page of backups of a table, after one or NULL; how many */
    uint32_t (*list_backups_fn)(void *store, const char *table, const char *after_id);
    void (*keep_past_fn)(void *store, const char *table, int on); /* point in time */
    void (*restore_past_fn)(void *store, const char *table, uint64_t time_ms,
                            const char *new_table);
    void (*settle_fn)(void *store); /* until no background work is left */
    void (*stat_fn)(void *store, struct engine_stat *stat);
    void (*check_fn)(void *store); /* whole-store check */
    /* the value inside a backup, valid until the next call, or NULL */
    const uint8_t *(*get_inside_fn)(void *store, const char *id, const uint8_t *key);
    /* each difference of two backups; the values, old and new, or NULL */
    void (*compare_fn)(void *store, const char *from_id, const char *to_id, differ_fn *differ,
                       void *ctx);
};

/* ---------------------------------------------------------- dynbackup -- */

struct ours {
    dynb *db;
    dynb_builder builder;
    dynb_result result;      /* of gets, scans, backups */
    dynb_result poll_result; /* of backup_done_fn, another thread's */
    uint8_t *arena;          /* encoded items of a batch */
    size_t arena_bytes;
    dynb_write *writes;
    dynb_error err;
    dynb_error poll_err;
};

static void must(dynb_rc rc, const dynb_error *err, const char *call)
{
    if (rc != DYNB_OK)
        die("%s answers %d (%s): %s", call, (int)rc, dynb_rc_text(rc), err->message);
}

static void *ours_open(const struct engine_setup *setup)
{
    struct ours *o = get_memory(sizeof *o);
    dynb_config config;
    memset(&config, 0, sizeof config);
    config.memory_bytes = setup->memory_bytes;
    config.durability = setup->synced ? DYNB_SYNCED : DYNB_TO_OS;
    config.create_backup_per_second = DYNB_UNLIMITED;
    o->writes = get_memory(BATCH_COUNT * sizeof *o->writes);
    o->arena_bytes = BATCH_COUNT * 512u;
    o->arena = get_memory(o->arena_bytes);
    must(dynb_open(&o->db, setup->path, &config, &o->err), &o->err, "dynb_open");
    return o;
}

static void ours_close(void *store)
{
    struct ours *o = store;
    must(dynb_close(o->db, &o->err), &o->err, "dynb_close");
    dynb_builder_free(&o->builder);
    dynb_result_free(&o->result);
    dynb_result_free(&o->poll_result);
    free(o->writes);
    free(o->arena);
    free(o);
}

static void ours_create_table(void *store, const char *table)
{
    struct ours *o = store;
    dynb_create_table_input input;
    memset(&input, 0, sizeof input);
    input.table_name = table;
    input.partition_key.name = "id";
    input.partition_key.type = DYNB_S;
    must(dynb_create_table(o->db, &input, NULL, NULL, &o->err), &o->err, "dynb_create_table");
}

static void ours_delete_table(void *store, const char *table)
{
    struct ours *o = store;
    must(dynb_delete_table(o->db, table, NULL, NULL, &o->err), &o->err, "dynb_delete_table");
}

static dynb_item ours_encode(struct ours *o, const uint8_t *key, const uint8_t *value)
{
    dynb_item item;
    dynb_builder_begin(&o->builder);
    dynb_add_string(&o->builder, "id", (const char *)key, KEY_BYTES);
    if (value)
        dynb_add_binary(&o->builder, "val", value, VALUE_BYTES);
    must(dynb_builder_finish(&o->builder, &item, &o->err), &o->err, "dynb_builder_finish");
    return item;
}

static dynb_write_options ours_options(enum commit commit)
{
    dynb_write_options options = {0};
    options.choose_durability = 1;
    options.durability = commit == COMMIT_SYNC ? DYNB_SYNCED : DYNB_TO_OS;
    return options;
}

static void ours_put(void *store, const char *table, const struct pair *pair, enum commit commit)
{
    struct ours *o = store;
    dynb_write_options options = ours_options(commit);
    dynb_item item = ours_encode(o, pair->key, pair->value);
    must(dynb_put_item(o->db, table, item, &options, NULL, NULL, &o->err), &o->err,
         "dynb_put_item");
}

static void ours_put_batch(void *store, const char *table, const struct pair *pairs,
                           uint32_t count, enum commit commit)
{
    struct ours *o = store;
    dynb_write_options options = ours_options(commit);
    size_t used = 0;
    for (uint32_t i = 0; i < count; ++i) {
        dynb_item item = ours_encode(o, pairs[i].key, pairs[i].value);
        if (used + item.size_bytes > o->arena_bytes)
            die("an encoded item takes %u bytes", item.size_bytes);
        memcpy(o->arena + used, item.bytes, item.size_bytes);
        o->writes[i].table = table;
        o->writes[i].item.bytes = o->arena + used;
        o->writes[i].item.size_bytes = item.size_bytes;
        o->writes[i].is_delete = 0;
        used += item.size_bytes;
    }
    must(dynb_batch_write(o->db, o->writes, count, &options, &o->err), &o->err, "dynb_batch_write");
}

static const uint8_t *ours_value(dynb_value value, size_t expected)
{
    size_t length = 0;
    const char *bytes = dynb_value_string(value, &length);
    if (bytes && length != expected)
        die("an attribute has %zu bytes instead of %zu", length, expected);
    return (const uint8_t *)bytes;
}

static const uint8_t *ours_get(void *store, const char *table, const uint8_t *key)
{
    struct ours *o = store;
    dynb_item item;
    dynb_item wanted = ours_encode(o, key, NULL);
    must(dynb_get_item(o->db, table, wanted, &item, &o->result, &o->err), &o->err, "dynb_get_item");
    return item.bytes ? ours_value(dynb_item_get(item, "val"), VALUE_BYTES) : NULL;
}

static void ours_scan(void *store, const char *table, visit_fn *visit, void *ctx)
{
    struct ours *o = store;
    dynb_scan_input input;
    dynb_page page;
    dynb_result results[2]; /* a page's last key lives while the next is read */
    memset(&input, 0, sizeof input);
    memset(results, 0, sizeof results);
    input.table = table;
    for (unsigned turn = 0;; turn ^= 1u) {
        must(dynb_scan(o->db, &input, &page, &results[turn], &o->err), &o->err, "dynb_scan");
        for (uint32_t i = 0; i < page.count; ++i) {
            dynb_iterator it = dynb_item_iterate(page.items[i]);
            dynb_value id, val;
            if (!dynb_next(&it, NULL, NULL, &id))
                die("a scanned item is empty");
            if (!dynb_next(&it, NULL, NULL, &val))
                die("a scanned item has no value");
            visit(ctx, ours_value(id, KEY_BYTES), ours_value(val, VALUE_BYTES));
        }
        if (!page.last_key.bytes)
            break;
        input.start_after = page.last_key;
    }
    dynb_result_free(&results[0]);
    dynb_result_free(&results[1]);
}

static void ours_sync(void *store)
{
    struct ours *o = store;
    must(dynb_sync(o->db, &o->err), &o->err, "dynb_sync");
}

static void ours_marker(void *store, const char *table, char id[ID_SIZE])
{
    struct ours *o = store;
    dynb_backup_description description;
    must(dynb_create_backup(o->db, table, "bench", &description, &o->result, &o->err), &o->err,
         "dynb_create_backup");
    snprintf(id, ID_SIZE, "%s", description.backup_arn);
}

static int ours_backup_done(void *store, const char *id)
{
    struct ours *o = store;
    dynb_backup_description description;
    must(dynb_describe_backup(o->db, id, &description, &o->poll_result, &o->poll_err), &o->poll_err,
         "dynb_describe_backup");
    return description.status == DYNB_BACKUP_AVAILABLE;
}

static void ours_restore(void *store, const char *id, const char *new_table)
{
    struct ours *o = store;
    dynb_restore_input input;
    dynb_table_description description;
    memset(&input, 0, sizeof input);
    input.target_table_name = new_table;
    input.backup_arn = id;
    must(dynb_restore_table_from_backup(o->db, &input, &description, &o->result, &o->err), &o->err,
         "dynb_restore_table_from_backup");
}

static void ours_delete_backup(void *store, const char *id)
{
    struct ours *o = store;
    dynb_backup_description description;
    must(dynb_delete_backup(o->db, id, &description, &o->result, &o->err), &o->err,
         "dynb_delete_backup");
}

static uint32_t ours_list_backups(void *store, const char *table, const char *after_id)
{
    struct ours *o = store;
    dynb_list_backups_input input;
    dynb_backup_list list;
    memset(&input, 0, sizeof input);
    input.table = table;
    input.start_after_arn = after_id;
    must(dynb_list_backups(o->db, &input, &list, &o->result, &o->err), &o->err,
         "dynb_list_backups");
    return list.count;
}

static void ours_keep_past(void *store, const char *table, int on)
{
    struct ours *o = store;
    dynb_update_continuous_backups_input input;
    memset(&input, 0, sizeof input);
    input.table = table;
    input.point_in_time_recovery = on;
    must(dynb_update_continuous_backups(o->db, &input, NULL, &o->err), &o->err,
         "dynb_update_continuous_backups");
}

static void ours_restore_past(void *store, const char *table, uint64_t time_ms,
                              const char *new_table)
{
    struct ours *o = store;
    dynb_restore_to_time_input input;
    memset(&input, 0, sizeof input);
    input.source_table_name = table;
    input.target_table_name = new_table;
    input.use_restore_time = 1;
    input.restore_time_ms = time_ms;
    must(dynb_restore_table_to_point_in_time(o->db, &input, NULL, NULL, &o->err), &o->err,
         "dynb_restore_table_to_point_in_time");
}

static void ours_settle(void *store)
{
    struct ours *o = store;
    must(dynb_wait_idle(o->db, &o->err), &o->err, "dynb_wait_idle");
}

static void ours_stat(void *store, struct engine_stat *stat)
{
    struct ours *o = store;
    dynb_stat s;
    must(dynb_get_stat(o->db, &s, &o->err), &o->err, "dynb_get_stat");
    stat->device_bytes = s.device_bytes;
    stat->used_bytes = s.used_bytes;
    stat->log_bytes = s.log_bytes;
    stat->written_bytes = s.written_bytes;
    stat->memory_bytes = s.memory_bytes;
    stat->memory_peak_bytes = s.memory_peak_bytes;
}

static void ours_problem(void *ctx, const char *where, const dynb_error *problem)
{
    (void)ctx;
    fprintf(stderr, "check: %s: %s\n", where, problem->message);
}

static void ours_check(void *store)
{
    struct ours *o = store;
    must(dynb_check(o->db, NULL, ours_problem, NULL, &o->err), &o->err, "dynb_check");
}

static const uint8_t *ours_get_inside(void *store, const char *id, const uint8_t *key)
{
    struct ours *o = store;
    dynb_source source;
    dynb_item item;
    dynb_item wanted = ours_encode(o, key, NULL);
    memset(&source, 0, sizeof source);
    source.backup_arn = id;
    must(dynb_get_item_at(o->db, &source, wanted, &item, &o->result, &o->err), &o->err,
         "dynb_get_item_at");
    return item.bytes ? ours_value(dynb_item_get(item, "val"), VALUE_BYTES) : NULL;
}

static void ours_compare(void *store, const char *from_id, const char *to_id, differ_fn *differ,
                         void *ctx)
{
    struct ours *o = store;
    dynb_compare_input input;
    dynb_difference_page page;
    dynb_result results[2];
    memset(&input, 0, sizeof input);
    memset(results, 0, sizeof results);
    input.from.backup_arn = from_id;
    input.to.backup_arn = to_id;
    for (unsigned turn = 0;; turn ^= 1u) {
        must(dynb_compare(o->db, &input, &page, &results[turn], &o->err), &o->err,
             "dynb_compare");
        for (uint32_t i = 0; i < page.count; ++i) {
            const dynb_difference *d = &page.differences[i];
            dynb_item any = d->new_item.bytes ? d->new_item : d->old_item;
            differ(ctx, ours_value(dynb_item_get(any, "id"), KEY_BYTES),
                   d->old_item.bytes ? ours_value(dynb_item_get(d->old_item, "val"), VALUE_BYTES)
                                     : NULL,
                   d->new_item.bytes ? ours_value(dynb_item_get(d->new_item, "val"), VALUE_BYTES)
                                     : NULL);
        }
        if (!page.last_key.bytes)
            break;
        input.start_after = page.last_key;
    }
    dynb_result_free(&results[0]);
    dynb_result_free(&results[1]);
}

static const struct engine engine_ours = {
    "dynbackup",      ours_open,        ours_close,         ours_create_table, ours_delete_table,
    ours_put,         ours_put_batch,   ours_get,           ours_scan,         ours_sync,
    ours_marker,       ours_backup_done, ours_restore,      ours_delete_backup,
    ours_list_backups, ours_keep_past,   ours_restore_past, ours_settle,
    ours_stat,         ours_check,       ours_get_inside,   ours_compare,
};

static const struct engine *const engines[] = {&engine_ours};

/* ------------------------------------------------------------- floors -- */

/* A file whose bytes are all there already: a sync changes no metadata. */
#define FLOOR_FILE_BYTES (8u << 20)

struct floor_file {
    int fd;
    uint64_t pos;
};

static void floor_open(struct floor_file *f, const char *path, int preallocated)
{
    f->pos = 0;
    f->fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);
    if (f->fd < 0)
        die("cannot create %s: %s", path, strerror(errno));
    for (uint32_t i = 0; preallocated && i < FLOOR_FILE_BYTES / POOL_BYTES; ++i)
        if (write(f->fd, pool, POOL_BYTES) != (ssize_t)POOL_BYTES)
            die("cannot fill %s: %s", path, strerror(errno));
    if (fsync(f->fd) != 0)
        die("cannot sync %s: %s", path, strerror(errno));
}

static void floor_write_synced(struct floor_file *f)
{
    if (f->pos + FRAME_BYTES > FLOOR_FILE_BYTES)
        f->pos = 0;
    if (pwrite(f->fd, pool + f->pos % 4096, FRAME_BYTES, (off_t)f->pos) != (ssize_t)FRAME_BYTES ||
        fdatasync(f->fd) != 0)
        die("floor file: %s", strerror(errno));
    f->pos += FRAME_BYTES;
}

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
    record_info("floor: memcpy", "GB/s", 8.0 * (double)size / (double)(now_ns() - start));
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
    record_info("floor: pointer hop, 256 MiB", "ns", ns);
    free(cells);
}

static void floor_write(const char *path)
{
    struct latencies l = {0};
    struct floor_file f;
    floor_open(&f, path, 0);
    uint64_t before = now_ns();
    for (unsigned i = 0; i < 200000; ++i) {
        if (write(f.fd, pool + i % 4096, FRAME_BYTES) != (ssize_t)FRAME_BYTES)
            die("floor write: %s", strerror(errno));
        uint64_t after = now_ns();
        latency_add(&l, after - before);
        before = after;
    }
    record_info("floor: write() of 240 B each", "/s", latency_rate(&l));
    record_info("floor: write() of 240 B, p99.9", "us", latency_us(&l, 0.999));
    record_info("floor: write() of 240 B, longest", "us", latency_us(&l, 1));
    latency_free(&l);
    close(f.fd);
    unlink(path);
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
    record_info(name, "us", latency_us(&l, 0.5));
    latency_free(&l);
    close(f.fd);
    unlink(path);
}

static void floor_crc32c(void)
{
    uint32_t sum = 0;
    unsigned turns = 4000;
    uint64_t start = now_ns();
    for (unsigned i = 0; i < turns; ++i)
        sum ^= dynbi_crc32c(sum, pool, POOL_BYTES);
    double ns = (double)(now_ns() - start);
    __asm__ volatile("" ::"r"(sum));
    record_info("floor: CRC32C (ours), 64 KiB", "GB/s", turns * (double)POOL_BYTES / ns);
    start = now_ns();
    for (unsigned i = 0; i < 100 * turns; ++i)
        sum ^= dynbi_crc32c(sum, pool + i % 4096, FRAME_BYTES);
    ns = (double)(now_ns() - start);
    __asm__ volatile("" ::"r"(sum));
    record_info("floor: CRC32C (ours), 240 B", "ns", ns / (100.0 * turns));
}

static void record_each(const char *name, uint64_t start_ns, uint64_t turns)
{
    record_info(name, "ns", (double)(now_ns() - start_ns) / (double)turns);
}

/* What the bench itself adds to each put: key, value and the encoded item. */
static void floor_harness(void)
{
    struct ours o;
    struct pair pair;
    uint64_t sink = 0, turns = 300000;
    memset(&o, 0, sizeof o);
    uint64_t start = now_ns();
    for (uint64_t i = 0; i < turns; ++i) {
        make_pair(i, 1, &pair);
        sink += pair.value[20];
    }
    record_each("harness: making a key and value", start, turns);
    start = now_ns();
    for (uint64_t i = 0; i < turns; ++i) {
        pair.key[0] = (uint8_t)('0' + i % 10);
        sink += ours_encode(&o, pair.key, pair.value).size_bytes;
    }
    record_each("harness: dynb_builder, one item", start, turns);
    start = now_ns();
    for (uint64_t i = 0; i < turns; ++i) {
        pair.value[17] = (uint8_t)i;
        sink += hash_item(pair.key, pair.value);
    }
    record_each("harness: content sum of one item", start, turns);
    __asm__ volatile("" ::"r"(sink));
    dynb_builder_free(&o.builder);
}

static void run_floors(const char *dir)
{
    char path[4200];
    snprintf(path, sizeof path, "%s/floor.tmp", dir);
    current_case = "floors";
    floor_memcpy();
    floor_pointer_hop();
    floor_write(path);
    floor_fdatasync(path, 1, "floor: pwrite 240 B + fdatasync, preallocated");
    floor_fdatasync(path, 0, "floor: pwrite 240 B + fdatasync, growing");
    floor_crc32c();
    floor_harness();
}

/* --------------------------------------------------------------- cases -- */

#define TABLE "Items"

struct run {
    const struct engine *engine;
    struct engine_setup setup;
    const char *dir;
    uint64_t items;
    int quick;
    void *store;
    uint32_t *versions; /* of each item, as the store must have it */
    uint32_t *marked;   /* the same at some marker */
    struct pair *pairs; /* of one batch */
    uint64_t random;
};

static void quiesce(const struct run *r)
{
    int fd = open(r->dir, O_RDONLY);
    if (fd >= 0) {
        if (syncfs(fd) != 0)
            die("syncfs: %s", strerror(errno));
        close(fd);
    }
}

static void remove_store(const struct run *r)
{
    if (r->setup.path)
        unlink(r->setup.path);
}

/* ------ writing */

static void put_one(struct run *r, uint64_t index, enum commit commit)
{
    struct pair pair;
    make_pair(index, ++r->versions[index], &pair);
    r->engine->put_fn(r->store, TABLE, &pair, commit);
}

/* Single puts of random items until `stop` or `count`; one clock read each, so
 * an item's making is inside its latency. */
static void put_many(struct run *r, uint64_t count, struct latencies *l, const atomic_int *stop)
{
    uint64_t before = now_ns();
    for (uint64_t i = 0; i < count; ++i) {
        if (stop && atomic_load_explicit(stop, memory_order_relaxed))
            break;
        put_one(r, random_below(&r->random, r->items), COMMIT_OS);
        uint64_t after = now_ns();
        latency_add(l, after - before);
        before = after;
    }
}

/* Changes `count` different items in batches. */
static void change_items(struct run *r, uint64_t count, enum commit commit, struct latencies *l)
{
    struct walk walk = walk_start(&r->random, r->items);
    while (count > 0) {
        uint32_t n = count < BATCH_COUNT ? (uint32_t)count : BATCH_COUNT;
        uint64_t start = now_ns();
        for (uint32_t i = 0; i < n; ++i) {
            uint64_t index = walk_next(&walk);
            make_pair(index, ++r->versions[index], &r->pairs[i]);
        }
        r->engine->put_batch_fn(r->store, TABLE, r->pairs, n, commit);
        if (l)
            latency_add(l, now_ns() - start);
        count -= n;
    }
}

static void load_batches(struct run *r, enum commit commit, struct latencies *l)
{
    uint64_t before = now_ns();
    for (uint64_t i = 0; i < r->items; i += BATCH_COUNT) {
        uint64_t left = r->items - i;
        uint32_t n = left < BATCH_COUNT ? (uint32_t)left : BATCH_COUNT;
        for (uint32_t j = 0; j < n; ++j)
            make_pair(i + j, 0, &r->pairs[j]);
        r->engine->put_batch_fn(r->store, TABLE, r->pairs, n, commit);
        uint64_t after = now_ns();
        latency_add(l, after - before);
        before = after;
    }
}

static double seconds(const struct latencies *l)
{
    return (double)l->sum_ns / 1e9;
}

/* ------ reading and checking */

struct scan_sum {
    uint64_t sum, count;
    uint8_t last[KEY_BYTES];
};

static void visit_sum(void *ctx, const uint8_t *key, const uint8_t *value)
{
    struct scan_sum *s = ctx;
    if (!key || !value)
        die("scan: attribute missing after %" PRIu64 " items", s->count);
    if (s->count && memcmp(s->last, key, KEY_BYTES) >= 0)
        die("scan: keys out of order at item %" PRIu64, s->count);
    memcpy(s->last, key, KEY_BYTES);
    s->sum += hash_item(key, value);
    ++s->count;
}

/* Scans a table, checks count and content; returns the scan's seconds. */
static double scan_checked(struct run *r, const char *table, const uint32_t *versions)
{
    struct scan_sum s;
    uint64_t expected = expected_sum(versions, r->items);
    memset(&s, 0, sizeof s);
    uint64_t start = now_ns();
    r->engine->scan_fn(r->store, table, visit_sum, &s);
    double taken = (double)(now_ns() - start) / 1e9;
    if (s.count != r->items)
        die("table %s has %" PRIu64 " items instead of %" PRIu64, table, s.count, r->items);
    if (s.sum != expected)
        die("table %s: content sum differs", table);
    return taken;
}

static void get_checked(struct run *r, const char *table, uint64_t index, const uint32_t *versions)
{
    uint8_t key[KEY_BYTES];
    make_key(index, key);
    check_value(index, versions ? versions[index] : 0, r->engine->get_fn(r->store, table, key));
}

static void case_scan(struct run *r)
{
    current_case = "scan";
    scan_checked(r, TABLE, r->versions);
    unsigned turns = r->items < 1000000 ? 5 : 2;
    double taken = 0;
    for (unsigned i = 0; i < turns; ++i)
        taken += scan_checked(r, TABLE, r->versions);
    record("scan, summed", "items/s", turns * (double)r->items / taken, AT_LEAST, 8e6);
}

static void case_get(struct run *r)
{
    uint64_t count = r->items < 300000 ? 300000 : r->items;
    current_case = "get";
    uint64_t start = now_ns();
    for (uint64_t i = 0; i < count; ++i)
        get_checked(r, TABLE, random_below(&r->random, r->items), r->versions);
    double taken = (double)(now_ns() - start) / 1e9;
    record("get, random keys, each checked", "/s", (double)count / taken, AT_LEAST, 600e3);
}

/* ------ loading */

static void open_empty(struct run *r)
{
    remove_store(r);
    memset(r->versions, 0, r->items * sizeof *r->versions);
    r->store = r->engine->open_fn(&r->setup);
    r->engine->create_table_fn(r->store, TABLE);
}

static void close_store(struct run *r)
{
    r->engine->close_fn(r->store);
    r->store = NULL;
}

static void case_load_synced(struct run *r)
{
    struct latencies l = {0};
    current_case = "load synced";
    open_empty(r);
    load_batches(r, COMMIT_SYNC, &l);
    record_info("load, batches of 1000, each synced", "items/s", (double)r->items / seconds(&l));
    scan_checked(r, TABLE, r->versions);
    close_store(r);
    latency_free(&l);
}

static void case_load_single(struct run *r)
{
    struct latencies l = {0};
    struct pair pair;
    current_case = "load single";
    open_empty(r);
    uint64_t before = now_ns();
    for (uint64_t i = 0; i < r->items; ++i) {
        make_pair(i, 0, &pair);
        r->engine->put_fn(r->store, TABLE, &pair, COMMIT_OS);
        uint64_t after = now_ns();
        latency_add(&l, after - before);
        before = after;
    }
    record_info("load, single puts", "items/s", latency_rate(&l));
    record_info("load, single puts, p99.9", "us", latency_us(&l, 0.999));
    record_info("load, single puts, longest stall", "ms", latency_us(&l, 1) / 1e3);
    scan_checked(r, TABLE, r->versions);
    close_store(r);
    latency_free(&l);
}

/* Leaves the store open and idle: the following cases work on it. */
static void case_load_batch(struct run *r)
{
    struct latencies l = {0};
    struct engine_stat stat;
    double items = (double)r->items;
    current_case = "load batch";
    open_empty(r);
    load_batches(r, COMMIT_OS, &l);
    uint64_t start = now_ns();
    r->engine->settle_fn(r->store);
    record("load, batches of 1000", "items/s", items / seconds(&l), AT_LEAST, 1e6);
    record_info("load, batches, longest stall of a batch", "ms", latency_us(&l, 1) / 1e3);
    record_info("load, from last put to idle", "ms", (double)(now_ns() - start) / 1e6);
    r->engine->stat_fn(r->store, &stat);
    record("device bytes per item, used, idle", "B", (double)stat.used_bytes / items,
           r->items >= 1000000 ? AT_MOST : NO_TARGET, 1.25 * RAW_ITEM_BYTES);
    record("device bytes per item, whole device, idle", "B", (double)stat.device_bytes / items,
           r->items >= 1000000 ? AT_MOST : NO_TARGET, 1.25 * RAW_ITEM_BYTES);
    record_info("written by the builder per item, idle", "B", (double)stat.written_bytes / items);
    latency_free(&l);
}

/* ------ overwriting */

static void case_overwrite(struct run *r)
{
    struct latencies l = {0};
    uint64_t count = r->items < 100000 ? 100000 : r->items / 2;
    current_case = "overwrite single";
    r->engine->settle_fn(r->store);
    put_many(r, count, &l, NULL);
    record("overwrite, one put per commit", "/s", latency_rate(&l), AT_LEAST, 500e3);
    record_info("overwrite, one put per commit, p99.9", "us", latency_us(&l, 0.999));
    record_info("overwrite, one put per commit, longest", "ms", latency_us(&l, 1) / 1e3);
    latency_free(&l);
    current_case = "overwrite batch";
    r->engine->settle_fn(r->store);
    for (uint64_t left = count; left > 0;) {
        uint64_t n = left < r->items ? left : r->items;
        change_items(r, n, COMMIT_OS, &l);
        left -= n;
    }
    record_info("overwrite, batches of 1000", "items/s", (double)count / seconds(&l));
    record_info("overwrite, batches, longest stall of a batch", "ms", latency_us(&l, 1) / 1e3);
    latency_free(&l);
    scan_checked(r, TABLE, r->versions);
}

/* Synced puts and the bare pwrite + fdatasync of as many bytes, in turns of
 * ten, so that both meet the same disk. */
static void case_overwrite_synced(struct run *r)
{
    struct latencies ours = {0}, bare = {0};
    struct floor_file f;
    char path[4200];
    unsigned turns = r->quick ? 50 : 200;
    current_case = "overwrite synced";
    snprintf(path, sizeof path, "%s/floor.tmp", r->dir);
    floor_open(&f, path, 1);
    r->engine->settle_fn(r->store);
    quiesce(r);
    uint64_t end = now_ns() + 8000000000u;
    for (unsigned turn = 0; turn < turns && now_ns() < end; ++turn) {
        for (unsigned i = 0; i < 10; ++i) {
            uint64_t start = now_ns();
            floor_write_synced(&f);
            latency_add(&bare, now_ns() - start);
        }
        for (unsigned i = 0; i < 10; ++i) {
            uint64_t start = now_ns();
            put_one(r, random_below(&r->random, r->items), COMMIT_SYNC);
            latency_add(&ours, now_ns() - start);
        }
    }
    record_info("overwrite, each synced", "/s", latency_rate(&ours));
    record_info("bare pwrite + fdatasync in turns with it", "/s", latency_rate(&bare));
    record("overwrite, each synced: time / bare time", "ratio",
           latency_rate(&bare) / latency_rate(&ours), AT_MOST, 1.15);
    record_info("overwrite, each synced: the same by medians", "ratio",
                latency_us(&ours, 0.5) / latency_us(&bare, 0.5));
    record_info("overwrite, each synced, p99.9", "us", latency_us(&ours, 0.999));
    latency_free(&ours);
    latency_free(&bare);
    close(f.fd);
    unlink(path);
}

/* ------ backups */

/* Waits by asking every tenth of a millisecond; does not burn a core. */
static void wait_backup(struct run *r, const char *id)
{
    uint64_t limit = now_ns() + 120000000000u;
    while (!r->engine->backup_done_fn(r->store, id)) {
        if (now_ns() > limit)
            die("a backup is still not complete after two minutes");
        sleep_us(50);
    }
}

/* Restores a backup, gets one item, then checks the whole new table. */
static double restore_checked(struct run *r, const char *id, const uint32_t *versions)
{
    uint64_t index = random_below(&r->random, r->items);
    uint64_t start = now_ns();
    r->engine->restore_fn(r->store, id, "Restored");
    get_checked(r, "Restored", index, versions);
    double ms = (double)(now_ns() - start) / 1e6;
    scan_checked(r, "Restored", versions);
    r->engine->delete_table_fn(r->store, "Restored");
    return ms;
}

/* One backup after `changed` items were changed. Bytes written are counted from
 * before the changes, so nothing the builder did early is left out. */
static double backup_after(struct run *r, const char *label, uint64_t changed, double target_ms,
                           char id[ID_SIZE])
{
    struct engine_stat idle, before, after, end;
    char name[56];
    int judged = r->items >= 1000000;
    double raw = changed ? (double)changed * RAW_ITEM_BYTES : 1;
    enum sense sense = judged ? AT_MOST : NO_TARGET;
    double byte_target = changed ? 1.25 : 4096;
    const char *unit = changed ? "x raw" : "B";
    r->engine->settle_fn(r->store);
    r->engine->stat_fn(r->store, &idle);
    change_items(r, changed, COMMIT_OS, NULL);
    r->engine->stat_fn(r->store, &before);
    uint64_t t0 = now_ns();
    r->engine->marker_fn(r->store, TABLE, id);
    uint64_t t1 = now_ns();
    wait_backup(r, id);
    uint64_t t2 = now_ns();
    r->engine->stat_fn(r->store, &after);
    r->engine->sync_fn(r->store);
    uint64_t t3 = now_ns();
    snprintf(name, sizeof name, "backup, %s changed: complete", label);
    record(name, "ms", (double)(t2 - t0) / 1e6, sense, target_ms);
    snprintf(name, sizeof name, "backup, %s changed: complete and synced", label);
    record_info(name, "ms", (double)(t3 - t0) / 1e6);
    snprintf(name, sizeof name, "backup, %s changed: its marker", label);
    record(name, "us", (double)(t1 - t0) / 1e3, sense, 10);
    snprintf(name, sizeof name, "backup, %s changed: bytes written", label);
    record(name, unit, (double)(after.written_bytes - idle.written_bytes) / raw, sense,
           byte_target);
    snprintf(name, sizeof name, "backup, %s changed: bytes in use added", label);
    record(name, unit, ((double)after.used_bytes - (double)before.used_bytes) / raw, sense,
           byte_target);
    double restore_ms = restore_checked(r, id, r->versions);
    r->engine->settle_fn(r->store);
    r->engine->stat_fn(r->store, &end);
    snprintf(name, sizeof name, "backup, %s changed: written until idle", label);
    record_info(name, unit, (double)(end.written_bytes - idle.written_bytes) / raw);
    return restore_ms;
}

/* Gets inside a backup of the table as it is, in turns with gets from the table,
 * which then has the same trees. */
static void case_get_inside(struct run *r, const char *id)
{
    const unsigned turns = 10, gets = 20000;
    double taken[2] = {0, 0};
    uint8_t key[KEY_BYTES];
    for (unsigned turn = 0; turn < 2 * turns; ++turn) {
        uint64_t start = now_ns();
        for (unsigned i = 0; i < gets; ++i) {
            uint64_t index = random_below(&r->random, r->items);
            make_key(index, key);
            check_value(index, r->versions[index],
                        turn % 2 ? r->engine->get_inside_fn(r->store, id, key)
                                 : r->engine->get_fn(r->store, TABLE, key));
        }
        taken[turn % 2] += (double)(now_ns() - start) / 1e9;
    }
    record_info("get inside a backup", "/s", turns * (double)gets / taken[1]);
    record("get inside a backup: rate / live rate", "ratio", taken[0] / taken[1],
           AT_LEAST, 0.95);
}

struct differences {
    uint64_t count, same_count, missing_count;
};

static void count_difference(void *ctx, const uint8_t *key, const uint8_t *was, const uint8_t *is)
{
    struct differences *d = ctx;
    (void)key;
    ++d->count;
    d->missing_count += !was || !is;
    d->same_count += was && is && memcmp(was, is, VALUE_BYTES) == 0;
}

static void case_compare(struct run *r, const char *from_id, const char *to_id, uint64_t changed)
{
    double ms[5];
    current_case = "compare";
    for (unsigned i = 0; i < 5; ++i) {
        struct differences d = {0, 0, 0};
        uint64_t start = now_ns();
        r->engine->compare_fn(r->store, from_id, to_id, count_difference, &d);
        ms[i] = (double)(now_ns() - start) / 1e6;
        if (d.count != changed || d.same_count || d.missing_count)
            die("two backups differ in %" PRIu64 " items, not in %" PRIu64, d.count, changed);
    }
    record_info("compare, 0.1 % changed: the first time", "ms", ms[0]);
    record("compare, 0.1 % changed", "ms", median_of(ms, 5),
           r->items >= 1000000 ? AT_MOST : NO_TARGET, 10);
}

static void case_backup(struct run *r)
{
    static const struct {
        const char *label;
        unsigned per_mille;
        double target_ms;
    } shares[4] = {{"0 %", 0, 1}, {"0.1 %", 1, 5}, {"1 %", 10, 25}, {"10 %", 100, 100}};
    static char ids[4][ID_SIZE];
    double restores[5];
    current_case = "backup";
    quiesce(r);
    memcpy(r->marked, r->versions, r->items * sizeof *r->versions);
    for (unsigned i = 0; i < 4; ++i) {
        restores[i] = backup_after(r, shares[i].label, r->items * shares[i].per_mille / 1000,
                                   shares[i].target_ms, ids[i]);
        if (i == 0)
            case_get_inside(r, ids[0]);
    }
    case_compare(r, ids[0], ids[1], r->items / 1000);
    current_case = "restore of an older backup";
    restores[4] = restore_checked(r, ids[0], r->marked);
    record("restore to first get", "ms", median_of(restores, 5), AT_MOST, 5);
    record_info("restore to first get, longest of 5", "ms", restores[4]);
    for (unsigned i = 0; i < 4; ++i)
        r->engine->delete_backup_fn(r->store, ids[i]);
    r->engine->settle_fn(r->store);
}

static void case_marker(struct run *r)
{
    struct latencies l = {0};
    static char id[ID_SIZE];
    current_case = "marker";
    for (unsigned i = 0; i < 50; ++i) {
        change_items(r, 100, COMMIT_OS, NULL);
        uint64_t start = now_ns();
        r->engine->marker_fn(r->store, TABLE, id);
        latency_add(&l, now_ns() - start);
        wait_backup(r, id);
        r->engine->delete_backup_fn(r->store, id);
        r->engine->settle_fn(r->store);
    }
    record("marker, not synced", "us", latency_us(&l, 0.5), AT_MOST, 10);
    record_info("marker, not synced, longest of 50", "us", latency_us(&l, 1));
    latency_free(&l);
}

/* Reopens the store with every commit synced. */
static void case_marker_synced(struct run *r)
{
    struct latencies ours = {0}, bare = {0};
    struct floor_file f;
    char path[4200];
    static char id[ID_SIZE];
    current_case = "marker synced";
    snprintf(path, sizeof path, "%s/floor.tmp", r->dir);
    r->setup.synced = 1;
    uint64_t start = now_ns();
    r->store = r->engine->open_fn(&r->setup);
    get_checked(r, TABLE, random_below(&r->random, r->items), r->versions);
    record_info("open after close, to first get", "ms", (double)(now_ns() - start) / 1e6);
    floor_open(&f, path, 1);
    for (unsigned i = 0; i < 50; ++i) {
        change_items(r, 10, COMMIT_OS, NULL);
        start = now_ns();
        floor_write_synced(&f);
        latency_add(&bare, now_ns() - start);
        start = now_ns();
        r->engine->marker_fn(r->store, TABLE, id);
        latency_add(&ours, now_ns() - start);
        wait_backup(r, id);
        r->engine->delete_backup_fn(r->store, id);
        r->engine->settle_fn(r->store);
    }
    record_info("marker, synced", "us", latency_us(&ours, 0.5));
    record("marker, synced: above one bare sync", "us",
           latency_us(&ours, 0.5) - latency_us(&bare, 0.5), AT_MOST, 20);
    scan_checked(r, TABLE, r->versions);
    close_store(r);
    r->setup.synced = 0;
    latency_free(&ours);
    latency_free(&bare);
    close(f.fd);
    unlink(path);
}

/* ------ the past of a table */

/* A millisecond that holds all that was written so far, and nothing later. */
static uint64_t time_between(void)
{
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    sleep_us(2000);
    return (uint64_t)t.tv_sec * 1000u + (uint64_t)t.tv_nsec / 1000000u;
}

/* Turns of puts without and with recovery on, in pairs. */
static void case_past_writes(struct run *r)
{
    struct latencies with = {0}, without = {0};
    const unsigned pairs = r->quick ? 4 : 8;
    const uint64_t count = r->items < 100000 ? 20000 : 100000;
    current_case = "writes with recovery on";
    for (unsigned i = 0; i < 2 * pairs; ++i) {
        int on = (i + i / 2) % 2; /* off on, on off, ... */
        r->engine->keep_past_fn(r->store, TABLE, on);
        r->engine->settle_fn(r->store);
        put_many(r, count, on ? &with : &without, NULL);
    }
    r->engine->keep_past_fn(r->store, TABLE, 0);
    r->engine->settle_fn(r->store);
    record("recovery on: puts, time to without", "x",
           ((double)with.sum_ns / (double)without.sum_ns), AT_MOST, 1.03);
    record_info("recovery on: puts, p99.9", "us", latency_us(&with, 0.999));
    record_info("recovery off: puts, p99.9", "us", latency_us(&without, 0.999));
    latency_free(&with);
    latency_free(&without);
}

/* 100,000 changes, and the table as it was after each quarter of them. */
static void case_past_restore(struct run *r)
{
    const uint64_t changes = r->items < 100000 ? r->items : 100000;
    struct engine_stat before, after;
    uint64_t times[5];
    double ms[5], raw = (double)changes * RAW_ITEM_BYTES;
    current_case = "restore to a point in time";
    r->engine->settle_fn(r->store);
    quiesce(r);
    r->engine->stat_fn(r->store, &before);
    r->engine->keep_past_fn(r->store, TABLE, 1);
    memcpy(r->marked, r->versions, r->items * sizeof *r->versions);
    times[0] = time_between();
    for (unsigned i = 1; i < 5; ++i) {
        change_items(r, changes / 4, COMMIT_OS, NULL);
        times[i] = time_between();
    }
    r->engine->settle_fn(r->store);
    r->engine->stat_fn(r->store, &after);
    for (unsigned i = 0; i < 5; ++i) {
        uint64_t index = random_below(&r->random, r->items);
        uint64_t start = now_ns();
        r->engine->restore_past_fn(r->store, TABLE, times[i], "Restored");
        (void)r->engine->get_fn(r->store, "Restored", (const uint8_t *)r->pairs[0].key);
        ms[i] = (double)(now_ns() - start) / 1e6;
        if (i == 0 || i == 4) {
            get_checked(r, "Restored", index, i ? r->versions : r->marked);
            scan_checked(r, "Restored", i ? r->versions : r->marked);
        }
        r->engine->delete_table_fn(r->store, "Restored");
    }
    record("restore to a time, all changes after it", "ms", ms[0], AT_MOST, 150);
    record("restore to a time, within 100k changes", "ms", ms[2] > ms[3] ? ms[2] : ms[3], AT_MOST,
           150);
    record("restore to a time, after 100k changes", "ms", ms[4] > ms[1] ? ms[4] : ms[1], AT_MOST,
           150);
    record_info("recovery on: bytes in use added", "x raw",
                ((double)after.used_bytes - (double)before.used_bytes) / raw);
    r->engine->keep_past_fn(r->store, TABLE, 0);
    r->engine->settle_fn(r->store);
    r->engine->settle_fn(r->store);
    r->engine->stat_fn(r->store, &after);
    record_info("recovery off again: bytes in use added", "x raw",
                ((double)after.used_bytes - (double)before.used_bytes) / raw);
}

/* ------ very many backups */

static void case_many_backups(struct run *r)
{
    const unsigned count = r->quick ? 1000 : 10000, listed = r->quick ? 10000 : 100000;
    struct latencies marker[2] = {{0}, {0}}, built[2] = {{0}, {0}}, gone[2] = {{0}, {0}};
    struct latencies list = {0}, look = {0};
    char(*ids)[ID_SIZE] = get_memory(listed * sizeof *ids);
    struct engine_stat before, full, after;
    current_case = "many backups";
    r->engine->settle_fn(r->store);
    r->engine->stat_fn(r->store, &before);
    for (unsigned i = 0; i < count; ++i) {
        struct latencies none = {0};
        int part = i < 100 ? 0 : i >= count - 100 ? 1 : -1;
        change_items(r, 100, COMMIT_OS, NULL);
        uint64_t t0 = now_ns();
        r->engine->marker_fn(r->store, TABLE, ids[i]);
        uint64_t t1 = now_ns();
        wait_backup(r, ids[i]);
        latency_add(part < 0 ? &none : &marker[part], t1 - t0);
        latency_add(part < 0 ? &none : &built[part], now_ns() - t1);
        latency_free(&none);
    }
    r->engine->settle_fn(r->store);
    r->engine->stat_fn(r->store, &full);
    for (unsigned i = 0; i < count; ++i) {
        int part = i < 100 ? 0 : i >= count - 100 ? 1 : -1;
        uint64_t t0 = now_ns();
        r->engine->delete_backup_fn(r->store, ids[i]);
        if (part >= 0)
            latency_add(&gone[part], now_ns() - t0);
    }
    r->engine->settle_fn(r->store);
    r->engine->settle_fn(r->store);
    r->engine->stat_fn(r->store, &after);
    record("many backups: create, last 100 to first", "x",
           latency_us(&marker[1], 0.5) / latency_us(&marker[0], 0.5), AT_MOST, 1.3);
    record("many backups: build, last 100 to first", "x",
           latency_us(&built[1], 0.5) / latency_us(&built[0], 0.5), AT_MOST, 1.3);
    record("many backups: delete, last 100 to first", "x",
           latency_us(&gone[1], 0.5) / latency_us(&gone[0], 0.5), AT_MOST, 1.3);
    record_info("many backups: create", "us", latency_us(&marker[1], 0.5));
    record_info("many backups: build", "us", latency_us(&built[1], 0.5));
    record_info("many backups: delete", "us", latency_us(&gone[1], 0.5));
    record_info("many backups: bytes in use added by each", "B",
                ((double)full.used_bytes - (double)before.used_bytes) / count);
    record("many backups: space after deleting all", "x before",
           (double)after.used_bytes / (double)before.used_bytes, AT_MOST, 1.2);
    for (unsigned i = 0; i < listed; ++i) /* nothing changed: available at once */
        r->engine->marker_fn(r->store, TABLE, ids[i]);
    r->engine->settle_fn(r->store);
    for (unsigned i = 0; i < 200; ++i) {
        const char *id = ids[random_below(&r->random, listed)];
        uint64_t t0 = now_ns();
        (void)r->engine->backup_done_fn(r->store, id);
        uint64_t t1 = now_ns();
        uint32_t page = r->engine->list_backups_fn(r->store, TABLE, id);
        latency_add(&look, t1 - t0);
        latency_add(&list, now_ns() - t1);
        if (page > 100)
            die("a page of backups is too long");
    }
    record_info("very many backups: describe one", "us", latency_us(&look, 0.5));
    record_info("very many backups: list 100 of them", "us", latency_us(&list, 0.5));
    for (unsigned i = 0; i < listed; ++i)
        r->engine->delete_backup_fn(r->store, ids[i]);
    r->engine->settle_fn(r->store);
    for (unsigned i = 0; i < 2; ++i) {
        latency_free(&marker[i]);
        latency_free(&built[i]);
        latency_free(&gone[i]);
    }
    latency_free(&list);
    latency_free(&look);
    free(ids);
}

/* ------ writing while a backup is built */

struct poller {
    struct run *run;
    const char *id;
    atomic_int done;
};

static void *poller_main(void *ctx)
{
    struct poller *p = ctx;
    while (!p->run->engine->backup_done_fn(p->run->store, p->id))
        sleep_us(1000);
    atomic_store(&p->done, 1);
    return NULL;
}

/* One stretch of single puts that lasts as long as a backup is being built,
 * of 10 % of the items changed before. */
static void write_while_built(struct run *r, struct latencies *l, char id[ID_SIZE])
{
    struct poller poller;
    pthread_t thread;
    change_items(r, r->items / 10, COMMIT_OS, NULL);
    memcpy(r->marked, r->versions, r->items * sizeof *r->versions);
    poller.run = r;
    poller.id = id;
    atomic_init(&poller.done, 0);
    r->engine->marker_fn(r->store, TABLE, id);
    if (pthread_create(&thread, NULL, poller_main, &poller) != 0)
        die("cannot start a thread");
    put_many(r, UINT64_MAX, l, &poller.done);
    pthread_join(thread, NULL);
}

static void case_write_while_built(struct run *r)
{
    struct latencies idle = {0}, built = {0};
    static char id[ID_SIZE];
    unsigned turns = r->quick ? 4 : 8;
    current_case = "writes while a backup is built";
    for (unsigned turn = 0; turn < turns; ++turn) {
        size_t before = built.count;
        r->engine->settle_fn(r->store);
        write_while_built(r, &built, id);
        if (turn + 1 == turns)
            restore_checked(r, id, r->marked);
        r->engine->delete_backup_fn(r->store, id);
        r->engine->settle_fn(r->store);
        put_many(r, built.count - before + 2000, &idle, NULL);
    }
    record_info("writes while idle", "/s", latency_rate(&idle));
    record_info("writes while a backup is built", "/s", latency_rate(&built));
    record("writes while built: rate / rate while idle", "ratio",
           latency_rate(&built) / latency_rate(&idle), AT_LEAST, 0.85);
    record_info("writes while built: how many", "puts", (double)built.count);
    record_info("writes while built, p50", "us", latency_us(&built, 0.5));
    record_info("writes while built, p99", "us", latency_us(&built, 0.99));
    record("writes while built, p99.9", "us", latency_us(&built, 0.999), AT_MOST, 100);
    record_info("writes while idle, p99.9", "us", latency_us(&idle, 0.999));
    record("writes while built, longest stall", "ms", latency_us(&built, 1) / 1e3, AT_MOST, 10);
    record_info("writes while idle, longest stall", "ms", latency_us(&idle, 1) / 1e3);
    latency_free(&idle);
    latency_free(&built);
}

/* ------ memory and the killed child */

/* A line of /proc/self/status in KiB, or 0. */
static uint64_t process_status_kib(const char *label)
{
    char line[256];
    uint64_t value = 0;
    FILE *file = fopen("/proc/self/status", "r");
    if (!file)
        return 0;
    while (fgets(line, sizeof line, file))
        if (strncmp(line, label, strlen(label)) == 0)
            value = strtoull(line + strlen(label), NULL, 10);
    fclose(file);
    return value;
}

/* The child: loads, tells its memory, writes the last item and kills itself
 * before it can do anything else. */
static int child_main(const char *path, uint64_t items)
{
    const struct engine *engine = &engine_ours;
    struct engine_setup setup = {path, 0, 0};
    struct engine_stat stat;
    struct pair *pairs = get_memory(BATCH_COUNT * sizeof *pairs);
    uint64_t anon_peak = 0, done = 0, single_from = items - BATCH_COUNT;
    void *store = engine->open_fn(&setup);
    current_case = "child load";
    engine->create_table_fn(store, TABLE);
    while (done < single_from) {
        uint32_t n = single_from - done < BATCH_COUNT ? (uint32_t)(single_from - done)
                                                      : BATCH_COUNT;
        for (uint32_t i = 0; i < n; ++i)
            make_pair(done + i, 0, &pairs[i]);
        engine->put_batch_fn(store, TABLE, pairs, n, COMMIT_OS);
        done += n;
        uint64_t anon = process_status_kib("RssAnon:");
        anon_peak = anon > anon_peak ? anon : anon_peak;
    }
    for (; done < items; ++done) {
        make_pair(done, 0, &pairs[0]);
        if (done + 1 == items) {
            engine->stat_fn(store, &stat);
            printf("%" PRIu64 " %" PRIu64 " %" PRIu64 "\n", stat.memory_peak_bytes,
                   anon_peak * 1024, process_status_kib("VmHWM:") * 1024);
            fflush(stdout);
        }
        engine->put_fn(store, TABLE, &pairs[0], COMMIT_OS);
    }
    kill(getpid(), SIGKILL);
    return 1;
}

static const char *program_path;

/* Runs the child until it is dead; fills what it printed. */
static void run_child(const struct run *r, uint64_t figures[3])
{
    int ends[2], status = 0;
    char line[256] = "", count[32];
    if (pipe(ends) != 0)
        die("pipe: %s", strerror(errno));
    snprintf(count, sizeof count, "%" PRIu64, r->items);
    fflush(stdout);
    pid_t pid = fork();
    if (pid < 0)
        die("fork: %s", strerror(errno));
    if (pid == 0) {
        dup2(ends[1], 1);
        close(ends[0]);
        close(ends[1]);
        execlp(program_path, program_path, "--child", r->setup.path, count, (char *)NULL);
        _exit(127);
    }
    close(ends[1]);
    for (size_t used = 0; used + 1 < sizeof line;) {
        ssize_t got = read(ends[0], line + used, sizeof line - 1 - used);
        if (got <= 0)
            break;
        used += (size_t)got;
    }
    close(ends[0]);
    if (waitpid(pid, &status, 0) != pid || !WIFSIGNALED(status) || WTERMSIG(status) != SIGKILL)
        die("the child that should load and be killed ended with status %d", status);
    if (sscanf(line, "%" SCNu64 " %" SCNu64 " %" SCNu64, &figures[0], &figures[1],
               &figures[2]) != 3)
        die("the child told \"%s\"", line);
}

static void case_kill(struct run *r)
{
    uint64_t figures[3] = {0, 0, 0};
    double mib = 1 << 20;
    current_case = "open after kill -9";
    remove_store(r);
    run_child(r, figures);
    uint64_t start = now_ns();
    r->store = r->engine->open_fn(&r->setup);
    get_checked(r, TABLE, r->items - 1, NULL); /* the last one acknowledged */
    double ms = (double)(now_ns() - start) / 1e6;
    record("open after kill -9, to first get", "ms", ms, AT_MOST, 200);
    scan_checked(r, TABLE, NULL);
    r->engine->settle_fn(r->store);
    scan_checked(r, TABLE, NULL);
    close_store(r);
    record("memory peak of the handle, load", "MiB", (double)figures[0] / mib, AT_MOST,
           DEFAULT_BUDGET_BYTES / mib);
    record_info("memory of that process: anonymous, peak", "MiB", (double)figures[1] / mib);
    record_info("memory of that process: resident, peak", "MiB", (double)figures[2] / mib);
}

/* What must hold when all cases were run on a store. */
static void finish_store(struct run *r, uint64_t budget_bytes)
{
    struct engine_stat stat;
    current_case = "final check";
    r->engine->settle_fn(r->store);
    scan_checked(r, TABLE, r->versions);
    r->engine->check_fn(r->store);
    r->engine->stat_fn(r->store, &stat);
    record("memory peak of the handle, all cases", "MiB",
           (double)stat.memory_peak_bytes / (1 << 20), AT_MOST,
           (double)budget_bytes / (1 << 20));
    record_info("device bytes per item, used, after all cases", "B",
                (double)stat.used_bytes / (double)r->items);
    record_info("device bytes per item, whole, after all cases", "B",
                (double)stat.device_bytes / (double)r->items);
    close_store(r);
}

/* ---------------------------------------------------------------- main -- */

static void run_file(struct run *r)
{
    current_setup = "file";
    case_load_synced(r);
    case_load_single(r);
    case_load_batch(r);
    case_scan(r);
    case_get(r);
    case_backup(r);
    case_marker(r);
    case_overwrite(r);
    case_overwrite_synced(r);
    if (r->items >= 100000)
        case_write_while_built(r);
    case_past_writes(r);
    case_past_restore(r);
    if (r->items == 100000)
        case_many_backups(r);
    finish_store(r, DEFAULT_BUDGET_BYTES);
    case_marker_synced(r);
    case_kill(r);
    remove_store(r);
}

static void run_extra(struct run *r, const char *setup, uint64_t budget_bytes)
{
    current_setup = setup;
    case_load_single(r);
    case_load_batch(r);
    case_scan(r);
    case_get(r);
    case_backup(r);
    case_overwrite(r);
    if (r->items >= 100000)
        case_write_while_built(r);
    finish_store(r, budget_bytes);
    remove_store(r);
}

struct options {
    const char *dir;
    const char *csv;
    const char *markdown;
    uint64_t sizes[8];
    unsigned size_count;
    unsigned rounds;
    unsigned seconds; /* no new part is begun after this many; 0: no limit */
    int quick, no_extra;
};

static uint64_t started_ns;

static int out_of_time(const struct options *o)
{
    return o->seconds && now_ns() - started_ns > (uint64_t)o->seconds * 1000000000u;
}

static void progress(const char *what, unsigned round, const struct options *o)
{
    fprintf(stderr, "[%4.0f s] round %u of %u: %s, %" PRIu64 " items\n",
            (double)(now_ns() - started_ns) / 1e9, round + 1, o->rounds, what, current_items);
}

static void run_size(const struct options *o, const struct engine *engine, uint64_t items,
                     unsigned round)
{
    struct run r;
    char path[4200];
    snprintf(path, sizeof path, "%s/%s.store", o->dir, engine->name);
    memset(&r, 0, sizeof r);
    r.engine = engine;
    r.dir = o->dir;
    r.items = items;
    r.quick = o->quick;
    r.random = mix(items) + round;
    r.versions = get_memory(items * sizeof *r.versions);
    r.marked = get_memory(items * sizeof *r.marked);
    r.pairs = get_memory(BATCH_COUNT * sizeof *r.pairs);
    current_items = items;
    current_engine = engine->name;
    r.setup.path = path;
    progress("file, default budget of 64 MiB", round, o);
    run_file(&r);
    if (!o->no_extra && !out_of_time(o)) {
        progress("memory device", round, o);
        r.setup.path = NULL;
        run_extra(&r, "memory", DEFAULT_BUDGET_BYTES);
    }
    if (!o->no_extra && !out_of_time(o) && items >= 1000000) {
        progress("file, budget of 256 MiB", round, o);
        r.setup.path = path;
        r.setup.memory_bytes = LARGE_BUDGET_BYTES;
        run_extra(&r, "file, 256 MiB", LARGE_BUDGET_BYTES);
    }
    free(r.versions);
    free(r.marked);
    free(r.pairs);
}

static void print_machine(const struct options *o)
{
    struct utsname name;
    struct statfs fs;
    char line[512], cpu[256] = "?", day[32] = "?";
    time_t now = time(NULL);
    struct tm tm;
    FILE *file = fopen("/proc/cpuinfo", "r");
    while (file && fgets(line, sizeof line, file))
        if (strncmp(line, "model name", 10) == 0 && strchr(line, ':'))
            snprintf(cpu, sizeof cpu, "%.*s", (int)strcspn(strchr(line, ':') + 2, "\n"),
                     strchr(line, ':') + 2);
    if (file)
        fclose(file);
    memset(&name, 0, sizeof name);
    uname(&name);
    if (gmtime_r(&now, &tm))
        strftime(day, sizeof day, "%Y-%m-%d %H:%M UTC", &tm);
    memset(&fs, 0, sizeof fs);
    statfs(o->dir, &fs);
    printf("dynbackup %s, %s\n", DYNB_VERSION, day);
    printf("%s, %ld cores, %ld MiB of memory, %s %s\n", cpu, sysconf(_SC_NPROCESSORS_ONLN),
           (long)(sysconf(_SC_PHYS_PAGES) / ((1 << 20) / sysconf(_SC_PAGESIZE))), name.sysname,
           name.release);
    printf("compiler %s; file system type 0x%lx%s\n", __VERSION__, (unsigned long)fs.f_type,
           fs.f_type == 0x01021994 ? " (tmpfs: syncs cost nothing, choose another --dir)" : "");
    printf("items: key of %u B (S), value of %u B (B), %u B by AWS's rule; rounds: %u\n\n",
           KEY_BYTES, VALUE_BYTES, RAW_ITEM_BYTES, o->rounds);
}

/* The table of README.md: one line a case, one column a size. */
static void markdown_metrics(const char *path, const struct options *o)
{
    FILE *file = fopen(path, "w");
    uint64_t largest = o->sizes[o->size_count - 1];
    char text[24], verdict[32];
    if (!file)
        die("cannot write %s", path);
    fputs("| setup | case | unit |", file);
    for (unsigned s = 0; s < o->size_count; ++s)
        fprintf(file, " %" PRIu64 " |", o->sizes[s]);
    fputs(" min..max | target | verdict |\n|---|---|---|", file);
    for (unsigned s = 0; s < o->size_count; ++s)
        fputs("---:|", file);
    fputs("---:|---:|---|\n", file);
    for (int i = 0; i < metric_count; ++i) {
        struct metric *m = &metrics[i];
        if (m->items != largest && m->items != 0)
            continue;
        fprintf(file, "| %s | %s | %s |", m->setup, m->name, m->unit);
        for (unsigned s = 0; s < o->size_count; ++s) {
            struct metric *c = find_metric(m->engine, m->setup, m->items ? o->sizes[s] : 0,
                                           m->name);
            int shown = c && (m->items || s + 1 == o->size_count);
            fprintf(file, " %s |", shown ? short_number(median_of(c->values, c->count), text,
                                                        sizeof text) : "");
        }
        double median = median_of(m->values, m->count);
        fprintf(file, " %s..", short_number(m->values[0], text, sizeof text));
        fprintf(file, "%s |", short_number(m->values[m->count - 1], text, sizeof text));
        if (m->sense != NO_TARGET)
            fprintf(file, " %s %s", m->sense == AT_LEAST ? ">=" : "<=",
                    short_number(m->target, text, sizeof text));
        verdict_of(m, median, verdict, sizeof verdict);
        fprintf(file, " | %s |\n", verdict);
    }
    if (fclose(file) != 0)
        die("cannot write %s", path);
}

/* Growth from the smallest to the largest size: what "flat" comes to. */
static void record_growth(const struct options *o)
{
    static const char *const names[] = {"marker, not synced", "marker, synced",
                                        "restore to first get"};
    uint64_t low = o->sizes[0], high = o->sizes[o->size_count - 1];
    if (low == high)
        return;
    current_items = high;
    current_engine = engine_ours.name;
    current_setup = "file";
    for (unsigned i = 0; i < sizeof names / sizeof names[0]; ++i) {
        struct metric *a = find_metric(current_engine, current_setup, low, names[i]);
        struct metric *b = find_metric(current_engine, current_setup, high, names[i]);
        char name[56];
        if (!a || !b)
            continue;
        snprintf(name, sizeof name, "%s: largest / smallest size", names[i]);
        record(name, "ratio", median_of(b->values, b->count) / median_of(a->values, a->count),
               AT_MOST, 1.5);
    }
}

static void print_results(const struct options *o)
{
    static const char *const setups[] = {"-", "file", "memory", "file, 256 MiB"};
    unsigned met = 0, judged = 0;
    uint64_t largest = o->sizes[o->size_count - 1];
    for (unsigned s = 0; s <= o->size_count; ++s) {
        uint64_t items = s ? o->sizes[s - 1] : 0;
        for (unsigned k = 0; k < sizeof setups / sizeof setups[0]; ++k) {
            int shown = 0;
            for (int i = 0; i < metric_count; ++i) {
                struct metric *m = &metrics[i];
                if (m->items != items || strcmp(m->setup, setups[k]) != 0)
                    continue;
                if (!shown++) {
                    if (items)
                        printf("\n%" PRIu64 " items, %s, %s\n", items, m->engine, m->setup);
                    printf("  %-46s %9s  %-19s %-8s %-9s %s\n", items ? "case" : "floors",
                           "median", "min..max", "unit", items ? "target" : "",
                           items ? "verdict" : "");
                }
                print_metric(m);
                if (items == largest && strcmp(m->setup, "file") == 0 &&
                    m->sense != NO_TARGET) {
                    ++judged;
                    met += (unsigned)metric_met(m, median_of(m->values, m->count));
                }
            }
        }
    }
    printf("\n%u of %u targets met at %" PRIu64 " items, file, default budget.\n", met, judged,
           largest);
    printf("Every value read, count, restore and recovery was right.\n");
}

static void usage(FILE *to)
{
    fputs("usage: bench [--quick] [--dir DIR] [--csv FILE] [--markdown FILE]\n"
          "             [--rounds N] [--sizes N,N,..] [--seconds N] [--no-extra]\n"
          "  --quick     one round, fewer synced writes, stops adding parts after 75 s\n"
          "  --dir       where the store and floor files go (default: here); a real disk\n"
          "  --csv       writes every figure to FILE as well\n"
          "  --markdown  writes the table of bench/README.md to FILE\n"
          "  --rounds    default 5; every round runs every case, so rounds interleave\n"
          "  --sizes     item counts, rising, multiples of 10000 (10000,100000,1000000)\n"
          "  --seconds   begin no new part after N seconds\n"
          "  --no-extra  only the file with the default budget\n",
          to);
}

static int parse_sizes(const char *text, struct options *o)
{
    char *end;
    o->size_count = 0;
    do {
        uint64_t n = strtoull(text, &end, 10);
        if (n == 0 || n % 10000 != 0 || o->size_count == 8 ||
            (o->size_count && n <= o->sizes[o->size_count - 1]))
            return 0;
        o->sizes[o->size_count++] = n;
        text = end + 1;
    } while (*end == ',');
    return *end == 0;
}

static int parse_options(int argc, char **argv, struct options *o)
{
    for (int i = 1; i < argc; ++i) {
        const char *a = argv[i], *v = i + 1 < argc ? argv[i + 1] : NULL;
        if (strcmp(a, "--quick") == 0) {
            o->quick = 1;
            o->rounds = 1;
            o->seconds = 75;
            continue;
        }
        if (strcmp(a, "--no-extra") == 0) {
            o->no_extra = 1;
            continue;
        }
        if (!v)
            return 0;
        ++i;
        if (strcmp(a, "--dir") == 0)
            o->dir = v;
        else if (strcmp(a, "--csv") == 0)
            o->csv = v;
        else if (strcmp(a, "--markdown") == 0)
            o->markdown = v;
        else if (strcmp(a, "--rounds") == 0)
            o->rounds = (unsigned)strtoul(v, NULL, 10);
        else if (strcmp(a, "--seconds") == 0)
            o->seconds = (unsigned)strtoul(v, NULL, 10);
        else if (strcmp(a, "--sizes") != 0 || !parse_sizes(v, o))
            return 0;
    }
    return o->rounds >= 1 && o->rounds <= ROUNDS_MAX;
}

int main(int argc, char **argv)
{
    struct options o = {".", NULL, NULL, {10000, 100000, 1000000}, 3, 5, 0, 0, 0};
    model_init();
    program_path = argv[0];
    if (argc == 4 && strcmp(argv[1], "--child") == 0)
        return child_main(argv[2], strtoull(argv[3], NULL, 10));
    if (argc == 2 && strcmp(argv[1], "--help") == 0) {
        usage(stdout);
        return 0;
    }
    if (!parse_options(argc, argv, &o)) {
        usage(stderr);
        return 2;
    }
    started_ns = now_ns();
    print_machine(&o);
    fflush(stdout);
    for (unsigned round = 0; round < o.rounds && !(round && out_of_time(&o)); ++round) {
        current_items = 0;
        current_engine = current_setup = "-";
        run_floors(o.dir);
        for (unsigned s = 0; s < o.size_count; ++s)
            for (unsigned e = 0; e < sizeof engines / sizeof engines[0]; ++e)
                run_size(&o, engines[e], o.sizes[s], round);
    }
    record_growth(&o);
    print_results(&o);
    if (o.csv)
        csv_metrics(o.csv);
    if (o.markdown)
        markdown_metrics(o.markdown, &o);
    return 0;
}
