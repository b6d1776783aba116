/* test_corrupt.c - damaged stores are reported, never believed.
 *
 * A corpus of small stores, closed in good order or left by a crash, is damaged
 * in every way that a medium knows: single bits flipped, the device cut short
 * at every sector, every sector zeroed, swapped with another one, or put back
 * to an older version of itself. Opening and reading the damaged store must
 * then end in CORRUPT (or NOT_A_STORE, NEWER_FORMAT), or show contents that are
 * provably the same: for a store left by a crash, a state between the last
 * acknowledged change and the last one begun.
 *
 * One thing cannot be told apart: the last changes before a crash, damaged, look
 * like changes that the crash tore. What the log itself knows to have been
 * durable, by a record that the damage spared, must be missed all the same.
 *
 * dynb_check must say CORRUPT or the contents, backups included, must stay the
 * same when the store goes on working. Tables with point-in-time recovery are
 * read and restored at times all over their window, before and after that: what
 * they show must be what the model was then, and where it is CORRUPT, dynb_check
 * must have said so. Every second store gets a clock that has stepped back, so
 * that the window ends where its log does. Also: strangers' files are refused and
 * left alone, and so is a store of a newer format.
 *
 * Scale: bits are sampled; SCALE=1000 and more flips every bit. */
#define DYNBACKUP_NO_FILE
#include "../dynbackup.h"

/* The engine writes and checks the version that this variable holds: declared
 * first, then implemented, it takes the macro that it finds then. */
static uint32_t test_format_version = 1;
#undef DYNB_FORMAT_VERSION
#define DYNB_FORMAT_VERSION test_format_version

#define DYNBACKUP_IMPLEMENTATION
#include "../dynbackup.h"

#include "history.h"

#define VERSIONS_MAX 65536u

typedef struct setting {
    const char *name;
    uint32_t page_size_bytes, node_size_bytes, steps;
    int crash; /* 0: closed; 1: killed; 2: power lost, part of the unsynced sectors kept */
    dynb_durability durability;
    int with_indexes, with_recovery;
} setting;

static const setting settings[] = {
    {"page 512, closed", 512, 512, 400, 0, DYNB_SYNCED, 0, 0},
    {"page 512, killed", 512, 512, 350, 1, DYNB_SYNCED, 0, 0},
    {"page 512, power lost", 512, 512, 350, 2, DYNB_BUFFERED, 0, 0},
    {"page 1024, closed", 1024, 2048, 400, 0, DYNB_BUFFERED, 0, 0},
    {"page 4096, closed", 4096, 4096, 300, 0, DYNB_SYNCED, 0, 0},
    {"page 4096, killed", 4096, 4096, 200, 1, DYNB_TO_OS, 0, 0},
    {"indexes, page 512, killed", 512, 512, 250, 1, DYNB_SYNCED, 1, 0},
    {"recovery, page 512, closed", 512, 512, 200, 0, DYNB_BUFFERED, 0, 1},
    {"recovery and indexes, page 512, killed", 512, 512, 120, 1, DYNB_SYNCED, 1, 1},
};

/* How much of the log one damage can destroy. */
typedef enum extent { NO_DAMAGE, ONE_RECORD, ONE_SECTOR, TWO_SECTORS, THE_REST } extent;

/* Every version that a sector of the device ever had. */
typedef struct past {
    uint64_t sector;
    uint8_t bytes[FAULT_SECTOR];
} past;

typedef struct corpus {
    const setting *set;
    history h;
    fault_device device; /* where the store grew up */
    fault_device second; /* where damaged copies are opened */
    fault_allocator memory;
    kit_clock clock;
    uint64_t grown_ms; /* the clock when the store was left */
    check_random ids;
    past *pasts;
    uint32_t past_count;
    uint8_t *bytes; /* the store */
    uint64_t size_bytes;
    uint64_t from, to; /* prefixes of the history that it may show */
    uint64_t idle;     /* after a crash: what a checkpoint had put out of harm's way */
    uint64_t *lsn_of;  /* of each change */
    dynb_log_record *log; /* as it was at the crash */
    uint32_t log_count;
    extent damage;
    uint64_t reported_at_open, reported_later, harmless, undecidable, bad;
    uint64_t past_reports; /* that a look at the past made */
    uint32_t turn;
} corpus;

static dynb_config make_config(corpus *c, fault_device *device, dynb_device *callbacks)
{
    dynb_config config;
    *callbacks = fault_device_of(device);
    memset(&config, 0, sizeof config);
    config.device = callbacks;
    config.allocator = fault_allocator_of(&c->memory);
    config.clock_fn = kit_clock_now;
    config.clock_ctx = &c->clock;
    config.random_fn = kit_random64;
    config.random_ctx = &c->ids;
    config.memory_bytes = 262144;
    config.page_size_bytes = c->set->page_size_bytes;
    config.node_size_bytes = c->set->node_size_bytes;
    config.log_segment_bytes = 8192;
    config.durability = c->set->durability;
    config.create_backup_per_second = DYNB_UNLIMITED;
    config.manual_work = 1;
    return config;
}

/* ------------------------------------------------------------- growing -- */

static void note_pasts(void *ctx, fault_device *device, fault_kind kind)
{
    corpus *c = (corpus *)ctx;
    uint32_t i;
    if (kind != FAULT_SYNC)
        return;
    for (i = 0; i < device->dirty_count && c->past_count < VERSIONS_MAX; ++i) {
        past *p = &c->pasts[c->past_count++];
        p->sector = device->dirty[i].sector;
        memcpy(p->bytes, device->versions[device->dirty[i].newest].bytes, FAULT_SECTOR);
    }
}

static void keep(corpus *c, const uint8_t *bytes, uint64_t size_bytes)
{
    c->bytes = (uint8_t *)fault_memory(c->bytes, (size_t)size_bytes);
    c->size_bytes = size_bytes;
    memcpy(c->bytes, bytes, (size_t)size_bytes);
}

/* What a power cut leaves that keeps every second unsynced sector. */
static void keep_some_unsynced(corpus *c)
{
    const fault_device *d = &c->device;
    uint32_t i;
    keep(c, d->durable, d->durable_bytes);
    for (i = 0; i < d->dirty_count; i += 2)
        if ((d->dirty[i].sector + 1) * FAULT_SECTOR <= c->size_bytes)
            memcpy(c->bytes + d->dirty[i].sector * FAULT_SECTOR,
                   d->versions[d->dirty[i].newest].bytes, FAULT_SECTOR);
}

static int note_record(void *ctx, const dynb_log_record *record)
{
    corpus *c = (corpus *)ctx;
    c->log = (dynb_log_record *)fault_memory(c->log, (c->log_count + 1) * sizeof *c->log);
    c->log[c->log_count++] = *record;
    return 0;
}

static void grow(corpus *c, uint64_t seed)
{
    dynb_stat stat;
    dynb_device callbacks;
    dynb_config config;
    uint32_t i;
    c->device.track = 1;
    fault_start(&c->device, NULL, 0, 0);
    c->device.hook_fn = note_pasts;
    c->device.hook_ctx = c;
    config = make_config(c, &c->device, &callbacks);
    MUST(dynb_open(&c->h.db, NULL, &config, &kit_err));
    c->h.durability = c->set->durability;
    c->h.mix_durability = 1;
    c->h.table_max = 4;
    c->h.backup_max = 5;
    c->h.partition_count = 20;
    c->h.pad_max_bytes = 300;
    c->h.with_indexes = c->set->with_indexes;
    c->h.with_recovery = c->set->with_recovery;
    c->h.clock = &c->clock;
    history_begin(&c->h, c->h.db, seed);
    c->lsn_of = (uint64_t *)fault_memory(NULL, (c->set->steps + 2) * sizeof *c->lsn_of);
    for (i = 0; i < c->set->steps; ++i) {
        if (!history_change(&c->h)) {
            printf("%s: %s: %s\n", c->set->name, c->h.op, model_difference);
            CHECK(!"the corpus could not be made");
            return;
        }
        if (i + 15 == c->set->steps) { /* the last session begins, with a record of its own */
            MUST(dynb_close(c->h.db, &kit_err));
            callbacks = fault_device_of(&c->device);
            MUST(dynb_open(&c->h.db, NULL, &config, &kit_err));
            c->h.acked_power = c->h.acked_process = c->idle = c->h.issued;
        }
        MUST(dynb_get_stat(c->h.db, &stat, &kit_err));
        c->lsn_of[c->h.issued] = stat.lsn;
        if (i % 5 == 0)
            MUST(dynb_work(c->h.db, 2000, NULL, &kit_err));
        if (i % 30 == 29 && i + 15 < c->set->steps) {
            MUST(dynb_wait_idle(c->h.db, &kit_err));
            MUST(dynb_sync(c->h.db, &kit_err));
            c->h.acked_power = c->h.acked_process = c->idle = c->h.issued;
        }
    }
    MUST(dynb_inspect_log(c->h.db, note_record, c, &kit_err));
    c->from = c->to = c->h.issued;
    if (c->set->crash == 1)
        keep(c, c->device.current, c->device.current_bytes);
    if (c->set->crash == 2)
        keep_some_unsynced(c);
    if (c->set->crash)
        c->from = c->set->crash == 1 ? c->h.acked_process : c->h.acked_power;
    MUST(dynb_close(c->h.db, &kit_err));
    c->h.db = NULL;
    c->grown_ms = c->clock.now_ms;
    dynb_result_free(&c->h.result); /* its memory came from the handle's allocator */
    if (!c->set->crash)
        keep(c, c->device.current, c->device.current_bytes);
}

/* ------------------------------------------------------------- judging -- */

static int is_report(dynb_rc rc)
{
    return rc == DYNB_CORRUPT || rc == DYNB_NOT_A_STORE || rc == DYNB_NEWER_FORMAT;
}

/* Must the loss of all changes after `prefix` have been noticed? Yes if a record
 * tells that the next one was durable, and this damage cannot have hit both. */
static int is_known(const corpus *c, uint64_t prefix)
{
    const dynb_log_record *lost = NULL, *first = NULL, *last = NULL;
    uint32_t i;
    if (prefix < c->idle || c->damage == NO_DAMAGE || !c->set->crash)
        return 1;
    if (c->damage == THE_REST || c->set->crash == 2)
        return 0;
    for (i = 0; i < c->log_count; ++i) {
        const dynb_log_record *record = &c->log[i];
        if (record->lsn == c->lsn_of[prefix + 1])
            lost = record;
        if (!lost || record->durable_lsn < lost->lsn ||
            (c->damage != ONE_RECORD &&
             record->log_pos < lost->log_pos + lost->size_bytes + FAULT_SECTOR))
            continue;
        first = first ? first : record;
        last = record;
    }
    if (c->damage != TWO_SECTORS)
        return first != NULL;
    return first && first->log_pos + first->size_bytes + FAULT_SECTOR < last->log_pos;
}

/* Looks at the past: all of it as it was, or a report, which dynb_check must have
 * made, too. */
static dynb_rc look_back(corpus *c, dynb *db, uint64_t digest, dynb_rc checked, int *same)
{
    const int is_kept = history_prefix(&c->h, digest, c->from, c->to) != HISTORY_NEVER;
    dynb_rc rc;
    *same = 1;
    if (!c->set->with_recovery)
        return DYNB_OK;
    rc = history_judge_past(&c->h, db, digest, is_kept ? c->from : 0, 2, same);
    c->past_reports += rc != DYNB_OK;
    if (rc != DYNB_OK && checked == DYNB_OK && *same)
        *same = model_differs("the past: %s, and no word of dynb_check", kit_err.message);
    return rc;
}

/* The store goes on: folds and restores its backups. */
static dynb_rc go_on(corpus *c, dynb *db, uint64_t digest, dynb_rc checked, int *same)
{
    uint64_t again = 0;
    dynb_rc rc = history_judge_backups(&c->h, db, same);
    if (rc == DYNB_OK && *same)
        rc = model_store_digest(db, &again);
    if (rc == DYNB_OK && *same && again != digest)
        *same = model_differs("going on, the contents changed");
    if (rc == DYNB_OK && *same)
        rc = look_back(c, db, digest, checked, same);
    return rc;
}

/* It shows another state than it may: perhaps one without the last changes. */
static int judge_lost(corpus *c, dynb *db, uint64_t digest, int thorough)
{
    uint64_t prefix = history_prefix(&c->h, digest, 0, c->to);
    int same = 1;
    dynb_rc rc = DYNB_OK;
    if (prefix == HISTORY_NEVER)
        return model_differs("contents that never were, and no report");
    if (is_known(c, prefix))
        return model_differs("changes after %llu of %llu..%llu lost, and no report",
                             (unsigned long long)prefix, (unsigned long long)c->from,
                             (unsigned long long)c->to);
    ++c->undecidable;
    if (thorough)
        rc = look_back(c, db, digest, dynb_check(db, NULL, NULL, NULL, &kit_err), &same);
    return same && (rc == DYNB_OK || is_report(rc) ||
                    model_differs("the past: %s", kit_err.message));
}

static int judge_open(corpus *c, dynb *db, int thorough)
{
    uint64_t digest;
    int same = 1;
    dynb_rc rc = model_store_digest(db, &digest), checked;
    if (rc == DYNB_OK && history_prefix(&c->h, digest, c->from, c->to) == HISTORY_NEVER)
        return judge_lost(c, db, digest, thorough);
    if (rc != DYNB_OK) {
        ++c->reported_later;
        return is_report(rc) || model_differs("reading: %s", kit_err.message);
    }
    checked = thorough ? dynb_check(db, NULL, NULL, NULL, &kit_err) : DYNB_OK;
    if (checked != DYNB_OK && !is_report(checked))
        return model_differs("check: %s: %s", kit_code_name(checked), kit_err.message);
    if (thorough)
        rc = look_back(c, db, digest, checked, &same);
    if (thorough && rc == DYNB_OK && same)
        rc = go_on(c, db, digest, checked, &same);
    if (rc != DYNB_OK && !is_report(rc))
        return model_differs("going on: %s: %s", kit_code_name(rc), kit_err.message);
    if (checked != DYNB_OK || rc != DYNB_OK)
        ++c->reported_later;
    else
        ++c->harmless;
    return same;
}

/* Opens and judges a damaged copy. */
static int judge(corpus *c, const uint8_t *bytes, uint64_t size_bytes, int thorough)
{
    dynb_device callbacks;
    dynb_config config;
    dynb *db;
    dynb_rc rc;
    int same;
    if (c->set->with_recovery)
        c->clock.now_ms = ++c->turn % 2 ? c->grown_ms : 1;
    fault_start(&c->second, bytes, size_bytes, 0);
    config = make_config(c, &c->second, &callbacks);
    config.no_create = 1;
    rc = dynb_open(&db, NULL, &config, &kit_err);
    if (rc != DYNB_OK) {
        ++c->reported_at_open;
        same = is_report(rc) || model_differs("open: %s: %s", kit_code_name(rc), kit_err.message);
    } else {
        same = judge_open(c, db, thorough);
        (void)dynb_close(db, NULL); /* may fail, must not break */
    }
    if (same && (c->memory.live_count || c->memory.broken_count))
        same = model_differs("%llu blocks not freed", (unsigned long long)c->memory.live_count);
    if (same && c->second.broken_promise_count)
        same = model_differs("read or wrote outside the device");
    return same;
}

static void note(corpus *c, int same, const char *damage, uint64_t where, uint64_t other)
{
    if (!same && ++c->bad <= 6)
        printf("%s: %s %llu (%llu): %s\n", c->set->name, damage, (unsigned long long)where,
               (unsigned long long)other, model_difference);
    CHECK(same);
}

/* -------------------------------------------------------------- damage -- */

static void flip_bits(corpus *c, check_random *random)
{
    uint64_t bits = c->size_bytes * 8, wanted = check_scaled(11000), i;
    uint64_t step = check_env("SCALE", 100) >= 1000 ? 1 : bits / wanted;
    for (i = step > 1 ? check_below(random, step) : 0; i < bits; i += step) {
        uint64_t bit = step > 1 ? i - check_below(random, step) % (i + 1) : i;
        c->bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
        note(c, judge(c, c->bytes, c->size_bytes, i % 3 == 0), "bit flipped:", bit, bit / 8);
        c->bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
}

static void truncate_everywhere(corpus *c)
{
    uint64_t size;
    for (size = 0; size < c->size_bytes; size += FAULT_SECTOR)
        note(c, judge(c, c->bytes, size, size / FAULT_SECTOR % 4 == 0), "cut short at", size, 0);
    note(c, judge(c, c->bytes, 1, 0), "cut short at", 1, 0);
    note(c, judge(c, c->bytes, c->size_bytes - 1, 1), "cut short at", c->size_bytes - 1, 0);
}

static void zero_sectors(corpus *c)
{
    uint8_t saved[FAULT_SECTOR];
    uint64_t at;
    int with;
    for (at = 0; at + FAULT_SECTOR <= c->size_bytes; at += FAULT_SECTOR)
        for (with = 0; with <= 0xff; with += 0xff) {
            memcpy(saved, c->bytes + at, FAULT_SECTOR);
            memset(c->bytes + at, with, FAULT_SECTOR);
            note(c, judge(c, c->bytes, c->size_bytes, 1), "sector wiped at", at, (uint64_t)with);
            memcpy(c->bytes + at, saved, FAULT_SECTOR);
        }
}

static void swap_bytes(uint8_t *a, uint8_t *b)
{
    uint8_t saved[FAULT_SECTOR];
    memcpy(saved, a, FAULT_SECTOR);
    memcpy(a, b, FAULT_SECTOR);
    memcpy(b, saved, FAULT_SECTOR);
}

static void swap_sectors(corpus *c, check_random *random)
{
    uint64_t count = c->size_bytes / FAULT_SECTOR, i, other;
    for (i = 0; i + 1 < count; ++i) {
        other = i % 2 ? i + 1 : check_below(random, count);
        swap_bytes(c->bytes + i * FAULT_SECTOR, c->bytes + other * FAULT_SECTOR);
        note(c, judge(c, c->bytes, c->size_bytes, 1), "sectors swapped:", i, other);
        swap_bytes(c->bytes + i * FAULT_SECTOR, c->bytes + other * FAULT_SECTOR);
    }
}

/* A write that the medium lost although it had been synced. */
static void age_sectors(corpus *c)
{
    uint8_t saved[FAULT_SECTOR];
    uint64_t wanted = check_scaled(1500);
    uint32_t i, step = (uint32_t)(c->past_count / wanted + 1);
    for (i = 0; i < c->past_count; i += step) {
        uint8_t *at = c->bytes + c->pasts[i].sector * FAULT_SECTOR;
        if ((c->pasts[i].sector + 1) * FAULT_SECTOR > c->size_bytes ||
            memcmp(at, c->pasts[i].bytes, FAULT_SECTOR) == 0)
            continue;
        memcpy(saved, at, FAULT_SECTOR);
        memcpy(at, c->pasts[i].bytes, FAULT_SECTOR);
        note(c, judge(c, c->bytes, c->size_bytes, 1), "older version of sector",
             c->pasts[i].sector, i);
        memcpy(at, saved, FAULT_SECTOR);
    }
}

static void run_setting(const setting *set, uint64_t seed)
{
    static corpus c;
    check_random random;
    memset(&c, 0, sizeof c);
    random.state = seed;
    c.set = set;
    c.clock.now_ms = 1700000000000u;
    c.clock.step_ms = set->with_recovery ? 0 : 1;
    c.ids.state = seed;
    c.pasts = (past *)fault_memory(NULL, VERSIONS_MAX * sizeof *c.pasts);
    grow(&c, seed);
    note(&c, judge(&c, c.bytes, c.size_bytes, 1), "not damaged", 0, 0);
    CHECK(c.harmless == 1); /* the control: it is fine when nothing is wrong */
    c.harmless = 0;
    c.damage = ONE_RECORD;
    flip_bits(&c, &random);
    if (set->crash < 2 && set->durability == DYNB_SYNCED)
        CHECK_INT(c.undecidable, 0); /* one bit of what was synced is never just lost */
    c.damage = THE_REST;
    truncate_everywhere(&c);
    c.damage = ONE_SECTOR;
    zero_sectors(&c);
    age_sectors(&c);
    c.damage = TWO_SECTORS;
    swap_sectors(&c, &random);
    printf("    %s: %llu bytes; damages reported at open %llu, later %llu, harmless %llu, like a "
           "torn end %llu, silent %llu\n",
           set->name, (unsigned long long)c.size_bytes, (unsigned long long)c.reported_at_open,
           (unsigned long long)c.reported_later, (unsigned long long)c.harmless,
           (unsigned long long)c.undecidable, (unsigned long long)c.bad);
    CHECK(c.reported_at_open + c.reported_later > 0);
    if (set->with_recovery) {
        printf("      its past: %llu looks shown, %llu refused, %llu reports\n",
               (unsigned long long)c.h.answers[1], (unsigned long long)c.h.answers[0],
               (unsigned long long)c.past_reports);
        CHECK(c.h.answers[1] > 0);
    }
    history_free(&c.h);
    fault_free(&c.device);
    fault_free(&c.second);
    free(c.pasts);
    free(c.bytes);
    free(c.lsn_of);
    free(c.log);
}

/* ----------------------------------------------------------- strangers -- */

static void test_strangers(void)
{
    static corpus c;
    static const setting plain = {"a stranger", 512, 512, 0, 0, DYNB_SYNCED, 0, 0};
    static uint8_t bytes[16384];
    dynb_device callbacks;
    dynb_config config;
    check_random random;
    dynb *db;
    uint32_t i, kind;
    memset(&c, 0, sizeof c);
    c.set = &plain;
    random.state = 7;
    for (kind = 0; kind < 5; ++kind) {
        for (i = 0; i < sizeof bytes; ++i)
            bytes[i] = kind == 0   ? (uint8_t)check_next(&random)
                       : kind == 1 ? (uint8_t)"Dear diary,\n"[i % 12]
                       : kind == 2 ? 0xff
                                   : (uint8_t)i;
        if (kind == 4)
            memcpy(bytes, "SQLite format 3", 16);
        fault_start(&c.second, bytes, sizeof bytes, 0);
        config = make_config(&c, &c.second, &callbacks);
        config.no_create = kind % 2;
        EXPECT(dynb_open(&db, NULL, &config, &kit_err), DYNB_NOT_A_STORE);
        CHECK(db == NULL);
        CHECK(memcmp(c.second.current, bytes, sizeof bytes) == 0);
        CHECK(c.second.current_bytes == sizeof bytes && c.second.kind_count[FAULT_WRITE] == 0);
        CHECK_INT(c.second.close_count, kind + 1);
    }
    fault_start(&c.second, NULL, 0, 0); /* nothing at all, and no leave to create */
    config = make_config(&c, &c.second, &callbacks);
    config.no_create = 1;
    EXPECT(dynb_open(&db, NULL, &config, &kit_err), DYNB_NOT_A_STORE);
    CHECK_INT(c.second.current_bytes, 0);
    config.no_create = 0;
    config.read_only = 1;
    callbacks = fault_device_of(&c.second);
    CHECK(dynb_open(&db, NULL, &config, &kit_err) != DYNB_OK);
    CHECK_INT(c.second.current_bytes, 0);
    fault_free(&c.second);
    CHECK(c.memory.live_count == 0);
}

static void test_newer_format(void)
{
    static corpus c;
    static const setting plain = {"newer format", 512, 512, 0, 0, DYNB_SYNCED, 0, 0};
    dynb_device callbacks;
    dynb_config config;
    uint64_t writes;
    dynb *db;
    memset(&c, 0, sizeof c);
    c.set = &plain;
    fault_start(&c.second, NULL, 0, 0);
    config = make_config(&c, &c.second, &callbacks);
    test_format_version = 2;
    MUST(dynb_open(&db, NULL, &config, &kit_err));
    MUST(kit_create_table(db, "Future", NULL));
    MUST(dynb_close(db, &kit_err));
    test_format_version = 1;
    writes = c.second.kind_count[FAULT_WRITE];
    callbacks = fault_device_of(&c.second);
    EXPECT(dynb_open(&db, NULL, &config, &kit_err), DYNB_NEWER_FORMAT);
    CHECK(db == NULL);
    config.read_only = 1;
    callbacks = fault_device_of(&c.second);
    EXPECT(dynb_open(&db, NULL, &config, &kit_err), DYNB_NEWER_FORMAT);
    CHECK(c.second.kind_count[FAULT_WRITE] == writes);
    test_format_version = 2; /* its own version opens it, untouched */
    config.read_only = 0;
    callbacks = fault_device_of(&c.second);
    MUST(dynb_open(&db, NULL, &config, &kit_err));
    MUST(kit_put(db, "Future", "a", 1));
    MUST(dynb_close(db, &kit_err));
    test_format_version = 1;
    fault_free(&c.second);
    CHECK(c.memory.live_count == 0);
}

int main(void)
{
    uint64_t seed = check_seed("test_corrupt"), only = check_env("ONLY", 0);
    uint32_t i;
    for (i = 0; i < sizeof settings / sizeof *settings; ++i)
        if (!only || only == i + 1)
            run_setting(&settings[i], seed + i);
    test_strangers();
    test_newer_format();
    return check_report("test_corrupt");
}
