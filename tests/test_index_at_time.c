/* test_index_at_time.c - a table's indexes as they were at a time.
 *
 * Random histories of a table with a local and a global index, and another
 * global one that comes and goes: at each write, and the milliseconds around it,
 * every index that could be read then, and is still there, holds what the items
 * of that time say, by scans and queries; one that was removed since, or was not
 * there yet, is refused. Also
 * after folding, checkpoints, sweeps and kills, and with so little memory that
 * the way to a time has to be folded.
 *
 * Then: the pages of such a state while it is kept; every allocation and every
 * device call failing in turn. */
#include "store.h"

#include "indexes.h"

#define HOUR_MS ((uint64_t)3600000)
#define EVENTS_MAX 700u
#define LIVES_MAX 40u

/* When the index that comes and goes could be read for sure: [from, to). */
typedef struct life {
    uint64_t from_ms, to_ms;
} life;

typedef struct world {
    store s;
    check_random random;
    dynb_builder builder;
    uint64_t times_ms[EVENTS_MAX];
    uint32_t time_count;
    life lives[LIVES_MAX];
    uint32_t life_count;
    int is_there; /* the last life goes on */
} world;

static const char *const tag_names[] = {"v"};

static void set_key(dynb_key_attribute *key, const char *name, dynb_type type)
{
    key->name = name;
    key->type = type;
}

static dynb_index index_of(const char *name, const char *partition, dynb_type type,
                           const char *sort)
{
    dynb_index index;
    memset(&index, 0, sizeof index);
    index.index_name = name;
    set_key(&index.partition_key, partition, type);
    if (sort)
        set_key(&index.sort_key, sort, DYNB_N);
    return index;
}

static dynb_index tag_index(void)
{
    dynb_index index = index_of("by-tag", "tag", DYNB_S, "v");
    index.projection = DYNB_PROJECT_INCLUDE;
    index.non_key_attributes = tag_names;
    index.non_key_attribute_count = 1;
    return index;
}

static void world_begin(world *w, uint64_t memory_bytes, uint64_t seed)
{
    dynb_index global = index_of("by-v", "v", DYNB_N, NULL);
    dynb_index local = index_of("by-rank", "Id", DYNB_S, "rank");
    dynb_update_continuous_backups_input recovery;
    dynb_create_table_input input;
    memset(w, 0, sizeof *w);
    memset(&index_at, 0, sizeof index_at);
    store_begin(&w->s);
    w->s.clock.step_ms = 0;
    w->s.config.memory_bytes = memory_bytes;
    w->s.config.log_segment_bytes = seed % 2 ? 2048 : 0;
    w->random.state = seed;
    store_open(&w->s);
    local.projection = DYNB_PROJECT_KEYS_ONLY;
    memset(&input, 0, sizeof input);
    input.table_name = "Past";
    set_key(&input.partition_key, "Id", DYNB_S);
    set_key(&input.sort_key, "At", DYNB_N);
    input.global_indexes = &global;
    input.global_index_count = 1;
    input.local_indexes = &local;
    input.local_index_count = 1;
    MUST(dynb_create_table(w->s.db, &input, NULL, NULL, &kit_err));
    MUST(kit_create_table(w->s.db, "Noise", NULL));
    memset(&recovery, 0, sizeof recovery);
    recovery.table = "Past";
    recovery.point_in_time_recovery = 1;
    MUST(dynb_update_continuous_backups(w->s.db, &recovery, NULL, &kit_err));
}

static void world_end(world *w)
{
    memset(&index_at, 0, sizeof index_at);
    MUST(dynb_check(w->s.db, NULL, NULL, NULL, &kit_err));
    MUST(dynb_scrub(w->s.db, &kit_err));
    dynb_builder_free(&w->builder);
    store_end(&w->s);
}

/* Some lack what an index wants, or have it with another type. */
static void write_one(world *w, size_t pad_bytes)
{
    static const char *const tags[] = {"red", "green", "blue"};
    char text[16], pad[1000];
    dynb_item item;
    int is_delete = check_below(&w->random, 5) == 0;
    dynb_builder_begin(&w->builder);
    snprintf(text, sizeof text, "a%u", (unsigned)check_below(&w->random, 6));
    dynb_add_string(&w->builder, "Id", text, (size_t)-1);
    dynb_add_int(&w->builder, "At", (int64_t)check_below(&w->random, 9));
    if (!is_delete) {
        memset(pad, 'x', sizeof pad);
        dynb_add_string(&w->builder, "pad", pad, pad_bytes);
        if (check_below(&w->random, 6))
            dynb_add_int(&w->builder, "v", (int64_t)check_below(&w->random, 15));
        if (check_below(&w->random, 4))
            dynb_add_int(&w->builder, "rank", (int64_t)check_below(&w->random, 9));
        if (check_below(&w->random, 4))
            dynb_add_string(&w->builder, "tag", tags[check_below(&w->random, 3)], (size_t)-1);
    }
    item = kit_finish(&w->builder);
    if (is_delete)
        MUST(dynb_delete_item(w->s.db, "Past", item, NULL, NULL, NULL, &kit_err));
    else
        MUST(dynb_put_item(w->s.db, "Past", item, NULL, NULL, NULL, &kit_err));
    if (w->time_count < EVENTS_MAX)
        w->times_ms[w->time_count++] = w->s.clock.now_ms;
}

/* Creates or removes the index that comes and goes. */
static void change_index(world *w)
{
    dynb_update_table_input input;
    dynb_index_update update;
    memset(&input, 0, sizeof input);
    memset(&update, 0, sizeof update);
    if (!w->is_there && w->life_count == LIVES_MAX)
        return;
    MUST(dynb_wait_idle(w->s.db, &kit_err)); /* the one before is gone */
    ++w->s.clock.now_ms;
    input.table = "Past";
    input.change = DYNB_CHANGE_INDEXES;
    input.index_updates = &update;
    input.index_update_count = 1;
    update.action = w->is_there ? DYNB_DELETE_INDEX : DYNB_CREATE_INDEX;
    update.index = tag_index();
    MUST(dynb_update_table(w->s.db, &input, NULL, NULL, &kit_err));
    if (w->is_there) {
        w->lives[w->life_count - 1].to_ms = w->s.clock.now_ms;
    } else {
        if (check_below(&w->random, 2)) {
            write_one(w, 20);
            ++w->s.clock.now_ms;
        }
        MUST(dynb_wait_idle(w->s.db, &kit_err)); /* filled */
        w->lives[w->life_count].from_ms = w->s.clock.now_ms;
        w->lives[w->life_count++].to_ms = UINT64_MAX;
    }
    w->is_there = !w->is_there;
    ++w->s.clock.now_ms;
}

/* Nonzero: the index that comes and goes is there, and was then. */
static int tag_can_be_read(const world *w, uint64_t time_ms)
{
    return w->is_there && time_ms >= w->lives[w->life_count - 1].from_ms;
}

/* All indexes at a time; the coming and going one where it could be read. */
static int same_at(world *w, uint64_t time_ms)
{
    dynb_index_description about;
    dynb_table_description table;
    dynb_result result;
    dynb_item *items = NULL;
    uint32_t count = 0, i;
    int same = 1;
    memset(&result, 0, sizeof result);
    index_at.use_time = 1;
    index_at.time_ms = time_ms;
    MUST(dynb_describe_table(w->s.db, "Past", &table, &result, &kit_err));
    if (index_read_all(w->s.db, "Past", NULL, 0, &items, &count) != DYNB_OK)
        same = model_differs("scan: %s", kit_err.message);
    for (i = 0; same && i < 3; ++i) {
        dynb_scan_input scan;
        dynb_page page;
        memset(&about, 0, sizeof about);
        about.index = i == 0   ? index_of("by-v", "v", DYNB_N, NULL)
                      : i == 1 ? index_of("by-rank", "Id", DYNB_S, "rank")
                               : tag_index();
        about.index.projection = i == 1 ? DYNB_PROJECT_KEYS_ONLY
                                 : i == 0 ? DYNB_PROJECT_ALL : DYNB_PROJECT_INCLUDE;
        memset(&scan, 0, sizeof scan);
        scan.table = "Past";
        scan.index_name = about.index.index_name;
        scan.use_time = 1;
        scan.time_ms = time_ms;
        memset(&kit_err, 0, sizeof kit_err);
        if (dynb_scan(w->s.db, &scan, &page, &w->s.result, &kit_err) == DYNB_OK) {
            if (i == 2 && !w->is_there)
                same = model_differs("by-tag can be read though it is gone");
        } else if (i == 2 && !tag_can_be_read(w, time_ms)) {
            same = kit_err.code == DYNB_VALIDATION &&
                   (!strcmp(kit_err.message,
                            "The table does not have the specified index: by-tag") ||
                    !strcmp(kit_err.message, "Cannot read from backfilling global secondary "
                                             "index: by-tag"));
            continue;
        }
        same = same && index_compare_one(w->s.db, "Past", &table, &about, items, count, 0,
                                         &w->random);
    }
    index_free_all(items, count);
    dynb_result_free(&result);
    if (!same)
        printf("    at %llu: %s (%s)\n", (unsigned long long)time_ms, model_difference,
               kit_err.message);
    return same;
}

static void compare_past(world *w, uint32_t step)
{
    dynb_continuous_backups about;
    uint32_t i;
    int beside;
    MUST(dynb_describe_continuous_backups(w->s.db, "Past", &about, &kit_err));
    for (i = 0; i < w->time_count && !check_failed_count; i += step)
        for (beside = -1; beside <= 1; ++beside) {
            uint64_t time_ms = w->times_ms[i] + (uint64_t)(int64_t)beside;
            if (time_ms >= about.earliest_restorable_ms && time_ms <= about.latest_restorable_ms)
                CHECK(same_at(w, time_ms));
        }
    for (i = 0; i < w->life_count && !check_failed_count; ++i) {
        CHECK(same_at(w, w->lives[i].from_ms));
        if (w->lives[i].to_ms != UINT64_MAX) {
            CHECK(same_at(w, w->lives[i].to_ms - 1));
            CHECK(same_at(w, w->lives[i].to_ms));
        }
    }
    memset(&index_at, 0, sizeof index_at);
}

static void run_history(uint64_t seed, uint32_t count, uint64_t memory_bytes, size_t pad_bytes)
{
    world w;
    uint32_t i;
    world_begin(&w, memory_bytes, seed);
    for (i = 0; i < count && !check_failed_count; ++i) {
        w.s.clock.now_ms += check_below(&w.random, 4);
        write_one(&w, (size_t)check_below(&w.random, pad_bytes));
        switch (check_below(&w.random, 24)) {
        case 0: change_index(&w); break;
        case 1: fold_run(&w.s, "Past"); break;
        case 2: MUST(dynb_wait_idle(w.s.db, &kit_err)); break;
        case 3: store_crash(&w.s); break;
        case 4: w.s.clock.now_ms += check_below(&w.random, 30) * HOUR_MS; break;
        case 5: MUST(dynb_put_item(w.s.db, "Noise", kit_item(&w.builder, "n", 1), NULL, NULL,
                                   NULL, &kit_err)); break;
        case 6: CHECK(same_at(&w, w.times_ms[check_below(&w.random, w.time_count)])); break;
        default: break;
        }
    }
    compare_past(&w, 1);
    store_crash(&w.s);
    w.s.clock.now_ms += 30 * HOUR_MS;
    MUST(dynb_wait_idle(w.s.db, &kit_err));
    compare_past(&w, 3);
    world_end(&w);
}

static void test_histories(uint64_t seed)
{
    uint32_t i, n = (uint32_t)check_scaled(6);
    for (i = 0; i < n && !check_failed_count; ++i)
        run_history(seed + i, 150, 1 << 20, 40);
    for (i = 0; i < n / 2 && !check_failed_count; ++i)
        run_history(seed + 100 + i, 500, 160 << 10, 1000); /* folded on the way */
}

/* Items of an index at a time, or of the table (NULL), or how that failed. */
static dynb_rc count_at(world *w, const char *index, uint64_t time_ms, uint32_t *count)
{
    dynb_item *items;
    dynb_rc rc;
    index_at.use_time = 1;
    index_at.time_ms = time_ms;
    rc = index_read_all(w->s.db, "Past", index, 0, &items, count);
    index_free_all(items, *count);
    memset(&index_at, 0, sizeof index_at);
    return rc;
}

/* An index cannot be read at any time once it is removed, though a state with it
 * is kept; one of the same name is another one. */
static void test_removed(void)
{
    static const char absent[] = "The table does not have the specified index: by-tag";
    dynb_update_table_input input;
    dynb_index_update update;
    uint64_t then_ms, later_ms;
    uint32_t i, count;
    world w;
    world_begin(&w, 1 << 20, 1);
    then_ms = ++w.s.clock.now_ms;
    for (i = 0; i < 60; ++i)
        write_one(&w, 10);
    ++w.s.clock.now_ms;
    EXPECT_MESSAGE(count_at(&w, "by-tag", then_ms, &count), DYNB_VALIDATION, absent);
    MUST(count_at(&w, "by-v", then_ms, &count));
    CHECK(count > 10 && count < 60);

    memset(&input, 0, sizeof input);
    memset(&update, 0, sizeof update);
    input.table = "Past";
    input.change = DYNB_CHANGE_INDEXES;
    input.index_updates = &update;
    input.index_update_count = 1;
    update.action = DYNB_CREATE_INDEX;
    update.index = tag_index();
    MUST(dynb_update_table(w.s.db, &input, NULL, NULL, &kit_err));
    later_ms = ++w.s.clock.now_ms;
    write_one(&w, 10);
    ++w.s.clock.now_ms;
    EXPECT_MESSAGE(count_at(&w, "by-tag", later_ms, &count), DYNB_VALIDATION,
                   "Cannot read from backfilling global secondary index: by-tag");
    MUST(dynb_wait_idle(w.s.db, &kit_err));
    then_ms = ++w.s.clock.now_ms;
    write_one(&w, 10);
    ++w.s.clock.now_ms;
    write_one(&w, 10); /* from now on nothing changes at the times before */
    MUST(count_at(&w, "by-tag", then_ms, &count)); /* also at what was read before */
    CHECK(count > 10);
    MUST(count_at(&w, "by-tag", later_ms, &count));

    update.action = DYNB_DELETE_INDEX;
    MUST(dynb_update_table(w.s.db, &input, NULL, NULL, &kit_err));
    CHECK(w.s.db->past != NULL);
    EXPECT_MESSAGE(count_at(&w, "by-tag", then_ms, &count), DYNB_VALIDATION, absent);
    MUST(dynb_wait_idle(w.s.db, &kit_err));
    EXPECT_MESSAGE(count_at(&w, "by-tag", then_ms, &count), DYNB_VALIDATION, absent);
    update.action = DYNB_CREATE_INDEX;
    MUST(dynb_update_table(w.s.db, &input, NULL, NULL, &kit_err));
    MUST(dynb_wait_idle(w.s.db, &kit_err));
    EXPECT_MESSAGE(count_at(&w, "by-tag", then_ms, &count), DYNB_VALIDATION, absent);
    MUST(count_at(&w, "by-tag", ++w.s.clock.now_ms, &count));
    CHECK(count > 10);
    world_end(&w);
}

/* 300 items before a time, all changed after it; memory holds only a part. */
static uint64_t begin_large(world *w)
{
    uint64_t then_ms;
    uint32_t i, round;
    char pad[250];
    memset(pad, 'x', sizeof pad);
    world_begin(w, 256 << 10, 2);
    ++w->s.clock.now_ms;
    for (round = 0; round < 2; ++round) {
        for (i = 0; i < 300; ++i) {
            char id[16];
            snprintf(id, sizeof id, "n%03u", (unsigned)i);
            dynb_builder_begin(&w->builder);
            dynb_add_string(&w->builder, "Id", id, (size_t)-1);
            dynb_add_int(&w->builder, "At", 1);
            dynb_add_int(&w->builder, "v", (int64_t)(i + 1000 * round));
            dynb_add_int(&w->builder, "rank", (int64_t)(i * 7 % 300));
            dynb_add_string(&w->builder, "pad", pad, sizeof pad);
            MUST(dynb_put_item(w->s.db, "Past", kit_finish(&w->builder), NULL, NULL, NULL,
                               &kit_err));
        }
        then_ms = w->s.clock.now_ms++;
        if (round == 0)
            w->times_ms[w->time_count++] = then_ms;
    }
    MUST(dynb_wait_idle(w->s.db, &kit_err));
    forget_reads(&w->s);
    return w->times_ms[0];
}

static void check_large(world *w, uint64_t then_ms)
{
    CHECK(same_at(w, then_ms));
    CHECK(same_at(w, then_ms + 1));
}

/* What a state was folded to stays while it is kept, whatever is written. */
static void test_pages(void)
{
    world w;
    uint64_t then_ms = begin_large(&w);
    const dynbi_past *past;
    uint32_t i, set, run_count = 0, count;
    uint64_t checkpoints;
    MUST(count_at(&w, "by-v", then_ms, &count));
    CHECK_INT(count, 300);
    for (set = 0; set <= 2; ++set)
        run_count += dynbi_table_runs(w.s.db->past->table, set)->count;
    CHECK(run_count > 3);
    past = w.s.db->past;
    checkpoints = w.s.db->checkpoints_count;
    for (i = 1; i <= 600; ++i) {
        write_one(&w, 900);
        w.s.db->wants_space = i % 200 == 0; /* what nothing refers to is found */
        if (i % 200 == 0)
            MUST(dynb_wait_idle(w.s.db, &kit_err));
    }
    CHECK(w.s.db->checkpoints_count > checkpoints + 1);
    CHECK(w.s.db->past == past && !past->next);
    for (set = 0; set <= 2; ++set) {
        const dynbi_runs *runs = dynbi_table_runs(past->table, set);
        for (i = 0; i < runs->count; ++i)
            CHECK(!runs->run[i].root.page ||
                  dynbi_bit_get(w.s.db->pages.used, runs->run[i].root.page));
    }
    forget_reads(&w.s);
    check_large(&w, then_ms);
    world_end(&w);
}

/* Of a base in the catalog, and of the live table. */
static void test_no_memory(void)
{
    world w;
    uint64_t times_ms[2];
    uint32_t i, n, count, failed_count;
    times_ms[0] = begin_large(&w);
    times_ms[1] = w.s.clock.now_ms;
    for (i = 0; i < 2; ++i) {
        dynb_rc rc = DYNB_NO_MEMORY;
        for (n = 1, failed_count = 0; n < 4000; ++n) {
            dynbi_store_drop_kept(w.s.db);
            dynbi_buffer_free(&w.s.db->value);
            forget_reads(&w.s);
            w.s.memory.call_count = w.s.memory.failed_count = 0;
            w.s.memory.fail_at = n;
            w.s.memory.fail_from = 1;
            rc = count_at(&w, "by-v", times_ms[i], &count);
            w.s.memory.fail_at = 0;
            w.s.memory.fail_from = 0;
            CHECK(rc == DYNB_OK || rc == DYNB_NO_MEMORY);
            CHECK(rc != DYNB_OK || count == 300);
            failed_count += rc == DYNB_NO_MEMORY;
            if (!w.s.memory.failed_count)
                break;
        }
        CHECK(failed_count > 5 && n < 4000 && rc == DYNB_OK);
    }
    check_large(&w, times_ms[0]);
    world_end(&w);
}

static void test_device_failures(void)
{
    uint32_t n, count, failed_count = 0;
    int is_reached = 1;
    for (n = 1; is_reached && n < 400; n += 2) {
        dynb_rc rc;
        world w;
        uint64_t then_ms = begin_large(&w);
        w.s.device.call_count = w.s.device.tripped_count = 0;
        w.s.device.plan_call = n;
        w.s.device.plan_mode = n % 4 == 1 ? FAULT_ONCE : FAULT_NO_SPACE_ONCE;
        rc = count_at(&w, "by-v", then_ms, &count);
        is_reached = w.s.device.call_count >= n;
        w.s.device.plan_call = 0;
        CHECK(rc == DYNB_OK || rc == DYNB_IO_FAILED || rc == DYNB_NO_SPACE ||
              rc == DYNB_READ_ONLY);
        failed_count += rc != DYNB_OK;
        if (w.s.db->disk.has_failed)
            store_crash(&w.s);
        check_large(&w, then_ms);
        world_end(&w);
    }
    CHECK(failed_count > 5 && !is_reached);
}

int main(void)
{
    const uint64_t seed = check_seed("test_index_at_time");
    test_histories(seed);
    test_removed();
    test_pages();
    test_no_memory();
    test_device_failures();
    return check_report("test_index_at_time");
}
