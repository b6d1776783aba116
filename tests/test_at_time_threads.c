/* test_at_time_threads.c - a table's past read, and restored, while others work
 * (needs DYNBACKUP_PTHREADS and -pthread, as run.sh gives them).
 *
 * Writers put n into two items of their own with their n-th batch; the clock
 * counts the batches. Readers scan, get and compare at times that have passed:
 * both items say the same, and say it again when all have stopped.
 *
 * Then, step by step: a device that, in the middle of reading the log, has
 * another thread call and waits for it. That thread meets the conflicts of
 * contract 2.7 (the target of a restore is taken), the limit of 50 restores
 * (1.0), and takes away the table that is being read. */
#if !defined(DYNBACKUP_PTHREADS)
#include <stdio.h>

int main(void)
{
    printf("test_at_time_threads: skipped: compiled without DYNBACKUP_PTHREADS\n");
    return 77;
}
#else

#include <pthread.h>
#include <sched.h>

#include "store.h"

#define WRITERS 3u
#define READERS 2u
#define START_MS ((uint64_t)1700000000000)

static dynb_rc switch_on(dynb *db, const char *table)
{
    dynb_update_continuous_backups_input input;
    memset(&input, 0, sizeof input);
    input.table = table;
    input.point_in_time_recovery = 1;
    return dynb_update_continuous_backups(db, &input, NULL, &kit_err);
}

/* ------------------------------------------------- readers and writers -- */

typedef struct scene {
    dynb *db;
    pthread_mutex_t lock; /* guards what follows */
    uint64_t now_ms;
    int stops;
    uint64_t read_count;
    uint32_t reader_count; /* of those that have read */
    uint64_t failed_count;
} scene;

#define BATCHES_A_READ 200u /* writers wait where they are ahead by more */

typedef struct actor {
    scene *s;
    uint32_t number;
    pthread_t thread;
    check_random random;
    dynb_builder builders[2];
    dynb_result result;
    uint64_t read_count;
} actor;

static uint64_t scene_now(void *ctx)
{
    scene *s = (scene *)ctx;
    uint64_t now;
    pthread_mutex_lock(&s->lock);
    now = s->now_ms;
    pthread_mutex_unlock(&s->lock);
    return now;
}

static int scene_stops(scene *s)
{
    int stops;
    pthread_mutex_lock(&s->lock);
    stops = s->stops;
    pthread_mutex_unlock(&s->lock);
    return stops;
}

/* Nonzero: one more read; how many there have been. */
static uint64_t scene_reads(scene *s, int more)
{
    uint64_t count;
    pthread_mutex_lock(&s->lock);
    s->read_count += more != 0;
    count = s->read_count;
    pthread_mutex_unlock(&s->lock);
    return count;
}

/* Nonzero: that many reads, and none of the readers without one: on a busy
 * machine one may get its turn late. */
static int scene_is_over(scene *s, uint64_t reads)
{
    int is_over;
    pthread_mutex_lock(&s->lock);
    is_over = s->stops || (s->read_count >= reads && s->reader_count == READERS);
    pthread_mutex_unlock(&s->lock);
    return is_over;
}

static void scene_fail(scene *s, const char *what, const dynb_error *err)
{
    pthread_mutex_lock(&s->lock);
    ++s->failed_count;
    s->stops = 1;
    printf("    %s: %s\n", what, err->message);
    pthread_mutex_unlock(&s->lock);
}

static dynb_rc make_item(dynb_builder *builder, char kind, uint32_t number, int64_t n,
                         dynb_item *out, dynb_error *err)
{
    char id[16];
    snprintf(id, sizeof id, "%c%u", kind, (unsigned)number);
    dynb_builder_begin(builder);
    dynb_add_string(builder, "Id", id, (size_t)-1);
    if (n >= 0)
        dynb_add_int(builder, "v", n);
    return dynb_builder_finish(builder, out, err);
}

static void *write_batches(void *ctx)
{
    actor *w = (actor *)ctx;
    dynb_error err;
    int64_t n;
    memset(&err, 0, sizeof err);
    for (n = 1; !scene_stops(w->s); ++n) {
        dynb_write writes[2];
        uint32_t i;
        dynb_rc rc = DYNB_OK;
        while (scene_now(w->s) > START_MS + BATCHES_A_READ * (scene_reads(w->s, 0) + 1) &&
               !scene_stops(w->s))
            sched_yield();
        memset(writes, 0, sizeof writes);
        for (i = 0; rc == DYNB_OK && i < 2; ++i) {
            writes[i].table = "Past";
            rc = make_item(&w->builders[i], i ? 'b' : 'a', w->number, n, &writes[i].item, &err);
        }
        pthread_mutex_lock(&w->s->lock);
        ++w->s->now_ms;
        pthread_mutex_unlock(&w->s->lock);
        if (rc == DYNB_OK)
            rc = dynb_batch_write(w->s->db, writes, 2, NULL, &err);
        if (rc != DYNB_OK)
            scene_fail(w->s, "write", &err);
    }
    return NULL;
}

/* values[i]: how many batches of writer i had been written; zero: half of one. */
static int state_at(actor *r, uint64_t time_ms, int64_t values[WRITERS])
{
    dynb_source source;
    dynb_error err;
    uint32_t i, k;
    int is_whole = 1;
    memset(&source, 0, sizeof source);
    source.table = "Past";
    source.use_time = 1;
    source.time_ms = time_ms;
    for (i = 0; i < WRITERS; ++i) {
        for (k = 0; k < 2; ++k) {
            int64_t value = 0;
            dynb_item key, got;
            dynb_rc rc = make_item(&r->builders[0], k ? 'b' : 'a', i, -1, &key, &err);
            if (rc == DYNB_OK)
                rc = dynb_get_item_at(r->s->db, &source, key, &got, &r->result, &err);
            if (rc != DYNB_OK) {
                scene_fail(r->s, "get", &err);
                return 1;
            }
            if (got.bytes)
                (void)dynb_value_int(dynb_item_get(got, "v"), &value);
            is_whole = is_whole && (!k || values[i] == value);
            values[i] = value;
        }
    }
    return is_whole;
}

/* Every item differs in whole pairs between two times. */
static int pairs_at(actor *r, uint64_t from_ms, uint64_t to_ms)
{
    dynb_compare_input input;
    dynb_difference_page page;
    dynb_error err;
    uint32_t i, a_count = 0;
    memset(&input, 0, sizeof input);
    input.from.table = input.to.table = "Past";
    input.from.use_time = 1;
    input.from.time_ms = from_ms;
    input.to.use_time = to_ms != 0; /* else now */
    input.to.time_ms = to_ms;
    if (dynb_compare(r->s->db, &input, &page, &r->result, &err) != DYNB_OK) {
        scene_fail(r->s, "compare", &err);
        return 1;
    }
    for (i = 0; i < page.count; ++i) {
        const dynb_difference *d = &page.differences[i];
        dynb_value id = dynb_item_get(d->new_item.bytes ? d->new_item : d->old_item, "Id");
        size_t length;
        a_count += dynb_value_string(id, &length)[0] == 'a';
    }
    return page.count == 2 * a_count;
}

#define SEEN_MAX 400u

static void *read_times(void *ctx)
{
    actor *r = (actor *)ctx;
    static uint64_t times_ms[READERS][SEEN_MAX];
    static int64_t seen[READERS][SEEN_MAX][WRITERS];
    uint64_t i;
    for (i = 0; i < SEEN_MAX && !scene_stops(r->s); ++i) {
        uint64_t now = scene_now(r->s), time_ms, other_ms;
        dynb_error none;
        memset(&none, 0, sizeof none);
        if (now < START_MS + 5) {
            sched_yield();
            --i;
            continue;
        }
        time_ms = now - 1 - check_below(&r->random, now - START_MS - 1);
        other_ms = now - 1 - check_below(&r->random, now - START_MS - 1);
        times_ms[r->number][i] = time_ms;
        if (!state_at(r, time_ms, seen[r->number][i]) || !pairs_at(r, time_ms, other_ms) ||
            !pairs_at(r, time_ms, 0))
            scene_fail(r->s, "half of a batch", &none);
        (void)scene_reads(r->s, 1);
        if (i == 0) {
            pthread_mutex_lock(&r->s->lock);
            ++r->s->reader_count;
            pthread_mutex_unlock(&r->s->lock);
        }
    }
    r->read_count = i;
    while (!scene_stops(r->s))
        sched_yield();
    for (i = 0; i < r->read_count; ++i) {
        dynb_error none;
        int64_t again[WRITERS];
        memset(&none, 0, sizeof none);
        if (!state_at(r, times_ms[r->number][i], again) ||
            memcmp(again, seen[r->number][i], sizeof again) != 0)
            scene_fail(r->s, "the past has changed", &none);
    }
    return NULL;
}

static void run_scene(uint64_t seed, uint64_t memory_bytes, uint64_t reads)
{
    actor actors[WRITERS + READERS];
    dynb_config config;
    scene s;
    uint32_t i;
    memset(&s, 0, sizeof s);
    memset(actors, 0, sizeof actors);
    memset(&config, 0, sizeof config);
    pthread_mutex_init(&s.lock, NULL);
    s.now_ms = START_MS;
    config.clock_fn = scene_now;
    config.clock_ctx = &s;
    config.memory_bytes = memory_bytes;
    config.page_size_bytes = 512;
    config.durability = DYNB_BUFFERED;
    MUST(dynb_open(&s.db, NULL, &config, &kit_err));
    MUST(kit_create_table(s.db, "Past", NULL));
    MUST(switch_on(s.db, "Past"));
    for (i = 0; i < WRITERS + READERS; ++i) {
        actors[i].s = &s;
        actors[i].number = i < WRITERS ? i : i - WRITERS;
        actors[i].random.state = seed + i;
        pthread_create(&actors[i].thread, NULL, i < WRITERS ? write_batches : read_times,
                       &actors[i]);
    }
    while (!scene_is_over(&s, reads)) {
        sched_yield();
        if (scene_now(&s) % 64 == 0)
            MUST(dynb_work(s.db, 65536, NULL, &kit_err));
    }
    pthread_mutex_lock(&s.lock);
    s.stops = 1;
    pthread_mutex_unlock(&s.lock);
    for (i = 0; i < WRITERS + READERS; ++i) {
        pthread_join(actors[i].thread, NULL);
        dynb_builder_free(&actors[i].builders[0]);
        dynb_builder_free(&actors[i].builders[1]);
        dynb_result_free(&actors[i].result);
        CHECK(i < WRITERS || actors[i].read_count > 0);
    }
    CHECK_INT(s.failed_count, 0);
    MUST(dynb_wait_idle(s.db, &kit_err));
    MUST(dynb_check(s.db, NULL, NULL, NULL, &kit_err));
    MUST(dynb_scrub(s.db, &kit_err));
    MUST(dynb_close(s.db, &kit_err));
    pthread_mutex_destroy(&s.lock);
}

/* -------------------------------------------- in the middle of a restore -- */

/* The device's reads, and what to call in the middle of the first of them that
 * comes without the lock. */
typedef struct middle {
    store s;
    dynb_rc (*read_fn)(void *ctx, uint64_t pos, void *to, size_t size_bytes);
    void (*call_fn)(struct middle *m); /* NULL: nothing, any more */
    pthread_t more[64];
    uint32_t more_count;
} middle;

static void *call_it(void *ctx)
{
    middle *m = (middle *)ctx;
    void (*call_fn)(middle *m) = m->call_fn;
    m->call_fn = NULL;
    call_fn(m);
    return NULL;
}

static dynb_rc read_in_the_middle(void *ctx, uint64_t pos, void *to, size_t size_bytes)
{
    middle *m = (middle *)ctx;
    if (m->call_fn && m->s.db && m->s.db->worker && m->s.db->worker->is_outside) {
        pthread_t thread;
        pthread_create(&thread, NULL, call_it, m);
        pthread_join(thread, NULL);
    }
    return m->read_fn(&m->s.device, pos, to, size_bytes);
}

static dynb_rc write_beside(void *ctx, uint64_t pos, const void *from, size_t size_bytes)
{
    middle *m = (middle *)ctx;
    return m->s.callbacks.write_fn(&m->s.device, pos, from, size_bytes);
}

static dynb_rc sync_beside(void *ctx)
{
    middle *m = (middle *)ctx;
    return m->s.callbacks.sync_fn(&m->s.device);
}

static dynb_rc size_beside(void *ctx, uint64_t *size_bytes)
{
    middle *m = (middle *)ctx;
    return m->s.callbacks.size_fn(&m->s.device, size_bytes);
}

static dynb_rc resize_beside(void *ctx, uint64_t size_bytes)
{
    middle *m = (middle *)ctx;
    return m->s.callbacks.resize_fn(&m->s.device, size_bytes);
}

static uint64_t middle_begin(middle *m)
{
    dynb_device device;
    memset(m, 0, sizeof *m);
    store_begin(&m->s);
    m->s.clock.step_ms = 0;
    fault_start(&m->s.device, NULL, 0, 0);
    m->s.callbacks = fault_device_of(&m->s.device);
    m->read_fn = m->s.callbacks.read_fn;
    memset(&device, 0, sizeof device);
    device.ctx = m;
    device.read_fn = read_in_the_middle;
    device.write_fn = write_beside;
    device.sync_fn = sync_beside;
    device.size_fn = size_beside;
    device.resize_fn = resize_beside;
    m->s.config.device = &device;
    MUST(dynb_open(&m->s.db, NULL, &m->s.config, &kit_err));
    MUST(kit_create_table(m->s.db, "Past", NULL));
    MUST(switch_on(m->s.db, "Past"));
    ++m->s.clock.now_ms;
    fill(&m->s, "Past", 'a', 20, 1, 50);
    return m->s.clock.now_ms++;
}

static void middle_end(middle *m)
{
    CHECK(!m->call_fn);
    CHECK(!m->s.db->restoring);
    MUST(dynb_check(m->s.db, NULL, NULL, NULL, &kit_err));
    MUST(dynb_scrub(m->s.db, &kit_err));
    store_end(&m->s);
}

static dynb_rc restore(middle *m, const char *target, dynb_error *err)
{
    dynb_restore_to_time_input input;
    memset(&input, 0, sizeof input);
    input.source_table_name = "Past";
    input.target_table_name = target;
    input.use_latest_time = 1;
    return dynb_restore_table_to_point_in_time(m->s.db, &input, NULL, NULL, err);
}

#define PAST_ARN "arn:aws:dynamodb:us-east-1:123456789012:table/Past"

/* Contract 1.5, 1.6, 2.7: the target of a restore under way. */
static void meet_conflicts(middle *m)
{
    dynb_table_description about;
    dynb_backup_description backup;
    dynb_item item;
    dynb_builder builder;
    memset(&builder, 0, sizeof builder);
    EXPECT_MESSAGE(kit_create_table(m->s.db, "Then", NULL), DYNB_RESOURCE_IN_USE,
                   "Attempt to change a resource which is still in use: Table is being used: "
                   "Then");
    EXPECT_MESSAGE(restore(m, "Then", &kit_err), DYNB_TABLE_IN_USE,
                   "Table: Then is already being restored from backup: " PAST_ARN);
    EXPECT_MESSAGE(dynb_delete_table(m->s.db, "Then", NULL, NULL, &kit_err), DYNB_RESOURCE_IN_USE,
                   "Attempt to change a resource which is still in use: Table is being used: "
                   "Then");
    EXPECT_MESSAGE(dynb_update_time_to_live(m->s.db, "Then", "Until", &kit_err),
                   DYNB_RESOURCE_NOT_FOUND, "Requested resource not found: Table: Then not found");
    EXPECT_MESSAGE(dynb_create_backup(m->s.db, "Then", "back-up", &backup, &m->s.result,
                                      &kit_err),
                   DYNB_TABLE_NOT_FOUND, "Table not found: Then");
    item = kit_item(&builder, "a", 1);
    EXPECT_MESSAGE(dynb_put_item(m->s.db, "Then", item, NULL, NULL, NULL, &kit_err),
                   DYNB_RESOURCE_NOT_FOUND, "Requested resource not found");
    dynb_builder_free(&builder);
    if (EXPECT(dynb_describe_table(m->s.db, "Then", &about, &m->s.result, &kit_err), DYNB_OK)) {
        CHECK_TEXT(about.table_name, "Then");
        CHECK_INT(about.status, DYNB_TABLE_CREATING);
        CHECK(about.restoring && !about.restore_source_backup_arn);
        CHECK_TEXT(about.restore_source_table_arn, PAST_ARN);
        CHECK_TEXT(about.partition_key.name, "Id");
        CHECK_INT(about.restored_at_ms, m->s.clock.now_ms);
        CHECK(about.recovery_period_days == 0 && !about.sort_key.name);
    }
    EXPECT(dynb_describe_table(m->s.db, "Thenn", &about, &m->s.result, &kit_err),
           DYNB_RESOURCE_NOT_FOUND);
    EXPECT(kit_create_table(m->s.db, "Other", NULL), DYNB_OK);
    EXPECT(kit_put(m->s.db, "Past", "late", 7), DYNB_OK);
}

static void test_conflicts(void)
{
    dynb_table_description about;
    dynb_backup_description backup;
    char arn[DYNB_ARN_MAX + 1];
    middle m;
    (void)middle_begin(&m);
    m.call_fn = meet_conflicts;
    MUST(restore(&m, "Then", &kit_err));
    MUST(dynb_describe_table(m.s.db, "Then", &about, &m.s.result, &kit_err));
    CHECK(about.status == DYNB_TABLE_ACTIVE && !about.restoring);
    CHECK_INT(kit_get(m.s.db, "Then", "a00019"), 1);
    CHECK_INT(kit_get(m.s.db, "Then", "late"), -1);
    CHECK_INT(kit_get(m.s.db, "Past", "late"), 7);
    EXPECT(restore(&m, "Then", &kit_err), DYNB_TABLE_ALREADY_EXISTS);
    MUST(dynb_create_backup(m.s.db, "Past", "back-up", &backup, &m.s.result, &kit_err));
    kit_copy(arn, sizeof arn, backup.backup_arn);
    MUST(dynb_wait_idle(m.s.db, &kit_err));
    MUST(kit_restore(m.s.db, arn, "Third"));
    middle_end(&m);
}

/* The description shown meanwhile is that of the table to come. */
static char seen_id[64];

static void see_id(middle *m)
{
    dynb_table_description about;
    MUST(dynb_describe_table(m->s.db, "Then", &about, &m->s.result, &kit_err));
    kit_copy(seen_id, sizeof seen_id, about.table_id);
    m->s.memory.fail_at = 1; /* without memory for it */
    m->s.memory.fail_from = 1;
    m->s.memory.call_count = 0;
    dynb_result_free(&m->s.result);
    EXPECT(dynb_describe_table(m->s.db, "Then", &about, &m->s.result, &kit_err), DYNB_NO_MEMORY);
    m->s.memory.fail_at = 0;
    m->s.memory.fail_from = 0;
}

static void test_table_id(void)
{
    dynb_table_description about;
    middle m;
    (void)middle_begin(&m);
    m.call_fn = see_id;
    MUST(restore(&m, "Then", &kit_err));
    MUST(dynb_describe_table(m.s.db, "Then", &about, &m.s.result, &kit_err));
    CHECK_TEXT(about.table_id, seen_id);
    middle_end(&m);
}

/* The source goes in the middle: nothing is left, and the name is free again. */
static void drop_source(middle *m)
{
    MUST(dynb_delete_table(m->s.db, "Past", NULL, NULL, &kit_err));
}

static void test_source_goes(void)
{
    middle m;
    (void)middle_begin(&m);
    m.call_fn = drop_source;
    EXPECT_MESSAGE(restore(&m, "Then", &kit_err), DYNB_TABLE_NOT_FOUND, "Table not found: Past");
    MUST(kit_create_table(m.s.db, "Then", NULL));
    middle_end(&m);
}

/* Contract 1.0: 50 restores at a time, which wait for one another here. */
static void *restore_one_more(void *ctx)
{
    middle *m = (middle *)ctx;
    static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    static uint32_t number;
    dynb_error err;
    char name[16];
    pthread_mutex_lock(&lock);
    snprintf(name, sizeof name, "More%02u", (unsigned)++number);
    pthread_mutex_unlock(&lock);
    if (restore(m, name, &err) != DYNB_OK)
        printf("    %s: %s\n", name, err.message);
    return NULL;
}

static uint32_t restoring_count(dynb *db)
{
    uint32_t count;
    dynbi_lock(db);
    count = dynbi_restoring_count(db);
    dynbi_unlock(db);
    return count;
}

static void restore_many(middle *m)
{
    dynb_create_table_input input;
    memset(&input, 0, sizeof input);
    for (m->more_count = 0; m->more_count < 49; ++m->more_count)
        pthread_create(&m->more[m->more_count], NULL, restore_one_more, m);
    while (restoring_count(m->s.db) < 50)
        sched_yield();
    EXPECT_MESSAGE(restore(m, "Then51", &kit_err), DYNB_LIMIT_EXCEEDED,
                   "Subscriber limit exceeded: Only 50 restore operations can be done "
                   "simultaneously");
    EXPECT(restore(m, "More07", &kit_err), DYNB_TABLE_IN_USE);
}

static void test_limit(void)
{
    char name[16];
    uint32_t i;
    middle m;
    (void)middle_begin(&m);
    m.call_fn = restore_many;
    MUST(restore(&m, "Then", &kit_err));
    for (i = 0; i < m.more_count; ++i)
        pthread_join(m.more[i], NULL);
    for (i = 1; i <= m.more_count; ++i) {
        snprintf(name, sizeof name, "More%02u", (unsigned)i);
        CHECK_INT(kit_get(m.s.db, name, "a00019"), 1);
    }
    MUST(restore(&m, "Then51", &kit_err));
    middle_end(&m);
}

/* ---------------------------------------------- in the middle of a read -- */

static dynb_rc get_at(middle *m, uint64_t time_ms, dynb_item *out, dynb_result *result,
                      dynb_error *err)
{
    dynb_builder builder;
    dynb_source source;
    dynb_item key;
    dynb_rc rc;
    memset(&builder, 0, sizeof builder);
    memset(&source, 0, sizeof source);
    source.table = "Past";
    source.use_time = 1;
    source.time_ms = time_ms;
    rc = make_item(&builder, 'a', 3, -1, &key, err);
    if (rc == DYNB_OK)
        rc = dynb_get_item_at(m->s.db, &source, key, out, result, err);
    dynb_builder_free(&builder);
    return rc;
}

static uint64_t then_ms;

static void *get_the_same(void *ctx)
{
    dynb_result result;
    dynb_error err;
    dynb_item got;
    memset(&result, 0, sizeof result);
    if (get_at((middle *)ctx, then_ms, &got, &result, &err) != DYNB_OK)
        printf("    the same: %s\n", err.message);
    dynb_result_free(&result);
    return NULL;
}

/* Somebody else wants the same state: it is made once. */
static void want_the_same(middle *m)
{
    pthread_create(&m->more[m->more_count++], NULL, get_the_same, m);
    EXPECT(kit_put(m->s.db, "Past", "late", 7), DYNB_OK);
}

/* The table goes: the read, which began before, sees its past nevertheless. */
static void read_beside(middle *m)
{
    dynb_compare_input compare;
    dynb_difference_page page;
    dynb_item got;
    EXPECT(get_at(m, then_ms - 100, &got, &m->s.result, &kit_err), DYNB_INVALID_RESTORE_TIME);
    memset(&compare, 0, sizeof compare);
    compare.from.table = compare.to.table = "Past";
    MUST(dynb_compare(m->s.db, &compare, &page, &m->s.result, &kit_err));
    drop_source(m);
}

static void test_reads(void)
{
    dynb_item got;
    middle m;
    then_ms = middle_begin(&m);
    m.call_fn = want_the_same;
    MUST(get_at(&m, then_ms, &got, &m.s.result, &kit_err));
    pthread_join(m.more[0], NULL);
    CHECK(m.s.db->past && !m.s.db->past->next);
    CHECK_INT(m.s.db->past->user_count, 0);
    m.call_fn = read_beside;
    MUST(get_at(&m, m.s.clock.now_ms, &got, &m.s.result, &kit_err));
    EXPECT(get_at(&m, then_ms, &got, &m.s.result, &kit_err), DYNB_TABLE_NOT_FOUND);
    MUST(kit_create_table(m.s.db, "Past", NULL));
    MUST(switch_on(m.s.db, "Past"));
    MUST(get_at(&m, m.s.clock.now_ms, &got, &m.s.result, &kit_err));
    CHECK(m.s.db->past && !m.s.db->past->next); /* that of the other table is gone */
    middle_end(&m);
}

int main(void)
{
    const uint64_t seed = check_seed("test_at_time_threads");
    run_scene(seed, 1 << 20, check_scaled(300));
    run_scene(seed + 100, 131072, check_scaled(300));
    test_conflicts();
    test_table_id();
    test_source_goes();
    test_limit();
    test_reads();
    return check_report("test_at_time_threads");
}

#endif
