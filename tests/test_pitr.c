/* test_pitr.c - continuous backups and restores to a point in time.
 *
 * Histories of up to 500 writes on the naive model (model.h), which keeps the
 * table after every single one: each state, and the milliseconds around each
 * boundary, is restored and compared, also while the history goes on, after
 * closing and opening, after kills, with a clock that stands still, steps back
 * and jumps ahead, and from the images of power cuts. Then the window (what is
 * kept, what is given back), every error of contract 1.6 to 1.8 in its order,
 * SYSTEM backups (1.4, 2.6) and retention rules. */
#define DYNBACKUP_IMPLEMENTATION
#include "../dynbackup.h"

#include "model.h"

#define DAY_MS ((uint64_t)86400000)
#define START_MS ((uint64_t)1700000000000)
#define ARN "arn:aws:dynamodb:us-east-1:123456789012:table/"

typedef struct world {
    dynb *db;
    dynb_device callbacks;
    dynb_config config;
    fault_device device;
    fault_allocator memory;
    kit_clock clock;
    check_random ids, random;
    dynb_builder builder;
    dynb_result result;
    model_table *table; /* "Past" */
    model_past past;
    uint64_t log_ms; /* the latest time of any write */
    uint32_t acked; /* states known to be durable; those begun: past.count */
    uint64_t then_ms; /* "Then" holds, or will hold, the state at this time */
} world;

static void world_begin(world *w, uint64_t memory_bytes, uint32_t page_bytes, int manual_work)
{
    memset(w, 0, sizeof *w);
    w->clock.now_ms = START_MS;
    w->ids.state = 11;
    w->config.device = &w->callbacks;
    w->config.allocator = fault_allocator_of(&w->memory);
    w->config.clock_fn = kit_clock_now;
    w->config.clock_ctx = &w->clock;
    w->config.random_fn = kit_random64;
    w->config.random_ctx = &w->ids;
    w->config.create_backup_per_second = DYNB_UNLIMITED;
    w->config.memory_bytes = memory_bytes;
    w->config.page_size_bytes = page_bytes;
    w->config.manual_work = manual_work;
    fault_start(&w->device, NULL, 0, 0);
    w->callbacks = fault_device_of(&w->device);
}

static void world_open(world *w)
{
    w->callbacks = fault_device_of(&w->device);
    MUST(dynb_open(&w->db, NULL, &w->config, &kit_err));
}

/* The process is killed: what the device was given is there. */
static void world_kill(world *w)
{
    uint8_t *bytes = (uint8_t *)fault_memory(NULL, w->device.current_bytes + 1);
    uint64_t size = w->device.current_bytes;
    memcpy(bytes, w->device.current, (size_t)size);
    (void)dynb_close(w->db, NULL);
    fault_start(&w->device, bytes, size, 0);
    free(bytes);
    world_open(w);
}

static void world_reopen(world *w)
{
    MUST(dynb_close(w->db, &kit_err));
    world_open(w);
}

static void world_end(world *w)
{
    MUST(dynb_check(w->db, NULL, NULL, NULL, &kit_err));
    MUST(dynb_scrub(w->db, &kit_err));
    MUST(dynb_close(w->db, &kit_err));
    if (w->table)
        model_table_free(w->table);
    model_past_free(&w->past);
    dynb_builder_free(&w->builder);
    dynb_result_free(&w->result);
    CHECK_INT(w->memory.live_count, 0);
    CHECK_INT(w->device.broken_promise_count, 0);
    fault_free(&w->device);
}

static dynb_rc switch_recovery(world *w, const char *table, int on, int32_t days)
{
    dynb_update_continuous_backups_input input;
    memset(&input, 0, sizeof input);
    input.table = table;
    input.point_in_time_recovery = on;
    input.choose_period = days != 0;
    input.recovery_period_days = days;
    return dynb_update_continuous_backups(w->db, &input, NULL, &kit_err);
}

static dynb_continuous_backups look_up(world *w, const char *table)
{
    dynb_continuous_backups about;
    MUST(dynb_describe_continuous_backups(w->db, table, &about, &kit_err));
    return about;
}

static dynb_rc restore_at(world *w, const char *source, const char *target, uint64_t time_ms)
{
    dynb_restore_to_time_input input;
    memset(&input, 0, sizeof input);
    input.source_table_name = source;
    input.target_table_name = target;
    input.use_restore_time = 1;
    input.restore_time_ms = time_ms;
    return dynb_restore_table_to_point_in_time(w->db, &input, NULL, NULL, &kit_err);
}

static dynb_rc restore_latest(world *w, const char *source, const char *target)
{
    dynb_restore_to_time_input input;
    memset(&input, 0, sizeof input);
    input.source_table_name = source;
    input.target_table_name = target;
    input.use_latest_time = 1;
    return dynb_restore_table_to_point_in_time(w->db, &input, NULL, NULL, &kit_err);
}

static uint64_t used_bytes(world *w)
{
    dynb_stat stat;
    MUST(dynb_get_stat(w->db, &stat, &kit_err));
    return stat.used_bytes;
}

static uint32_t count_backups(world *w, const char *table, uint32_t type,
                              dynb_backup_description *first)
{
    dynb_list_backups_input input;
    dynb_backup_list list;
    memset(&input, 0, sizeof input);
    input.table = table;
    input.type = type;
    MUST(dynb_list_backups(w->db, &input, &list, &w->result, &kit_err));
    if (list.count && first)
        *first = list.backups[0];
    return list.count;
}

/* ------------------------------------------------------------ histories -- */

/* Tables "Past", with recovery, and "Noise", without. */
static void make_tables(world *w, int32_t days)
{
    model_schema schema;
    memset(&schema, 0, sizeof schema);
    kit_copy(schema.names[0], sizeof schema.names[0], "Id");
    schema.types[0] = DYNB_S;
    schema.count = 1;
    MUST(kit_create_table(w->db, "Past", NULL));
    MUST(kit_create_table(w->db, "Noise", NULL));
    w->table = model_table_new("Past", &schema);
    MUST(switch_recovery(w, "Past", 1, days));
    w->log_ms = w->clock.now_ms;
    model_remember(&w->past, w->table, w->log_ms);
    w->acked = 1;
}

static dynb_item random_item(world *w, const char *prefix, int is_key)
{
    char id[32];
    dynb_builder_begin(&w->builder);
    snprintf(id, sizeof id, "%s%03u", prefix, (unsigned)check_below(&w->random, 120));
    dynb_add_string(&w->builder, "Id", id, (size_t)-1);
    if (!is_key) {
        char pad[300];
        size_t size = (size_t)check_below(&w->random, 60);
        if (check_below(&w->random, 20) == 0)
            size = sizeof pad;
        memset(pad, 'x', sizeof pad);
        dynb_add_int(&w->builder, "v", (int64_t)check_below(&w->random, 1000000));
        dynb_add_string(&w->builder, "pad", pad, size);
    }
    return kit_finish(&w->builder);
}

/* What a write does to the model. */
static void model_write(world *w, dynb_item item, int is_delete)
{
    model_item *made = model_item_new(&w->table->schema, item);
    if (is_delete) {
        model_item_release(model_delete(w->table, made));
        model_item_release(made);
    } else {
        model_item_release(model_put(w->table, made));
    }
}

static void note_time(world *w)
{
    if (w->clock.now_ms > w->log_ms)
        w->log_ms = w->clock.now_ms;
}

static void write_batch(world *w)
{
    dynb_write writes[6];
    dynb_builder builders[6];
    uint32_t i, count = 2 + (uint32_t)check_below(&w->random, 4);
    memset(builders, 0, sizeof builders);
    for (i = 0; i < count; ++i) {
        dynb_builder own = w->builder;
        char prefix[8];
        snprintf(prefix, sizeof prefix, "%c", (char)('a' + i)); /* no key twice */
        writes[i].is_delete = check_below(&w->random, 4) == 0;
        writes[i].table = i % 2 ? "Noise" : "Past";
        w->builder = builders[i];
        writes[i].item = random_item(w, prefix, writes[i].is_delete);
        builders[i] = w->builder;
        w->builder = own;
    }
    for (i = 0; i < count; i += 2)
        model_write(w, writes[i].item, writes[i].is_delete);
    model_remember(&w->past, w->table, w->log_ms);
    MUST(dynb_batch_write(w->db, writes, count, NULL, &kit_err));
    for (i = 0; i < count; ++i)
        dynb_builder_free(&builders[i]);
}

/* One write of Past, or a batch, among writes of Noise. The model goes first:
 * power may be cut in between. */
static void write_one(world *w)
{
    uint32_t pick = (uint32_t)check_below(&w->random, 10), i;
    dynb_item item;
    for (i = 0; i < check_below(&w->random, 3); ++i)
        MUST(dynb_put_item(w->db, "Noise", random_item(w, "n", 0), NULL, NULL, NULL, &kit_err));
    note_time(w);
    if (pick == 0) {
        write_batch(w);
    } else {
        item = random_item(w, "a", pick < 4);
        model_write(w, item, pick < 4);
        model_remember(&w->past, w->table, w->log_ms);
        if (pick < 4)
            MUST(dynb_delete_item(w->db, "Past", item, NULL, NULL, NULL, &kit_err));
        else
            MUST(dynb_put_item(w->db, "Past", item, NULL, NULL, NULL, &kit_err));
    }
    w->acked = w->past.count;
}

/* The state at that time is what the model says. */
static int same_at(world *w, uint64_t time_ms)
{
    const model_table *expected = model_state_at(&w->past, w->past.count, time_ms);
    int same;
    w->then_ms = time_ms;
    if (restore_at(w, "Past", "Then", time_ms) != DYNB_OK)
        same = model_differs("restore to %llu: %s", (unsigned long long)time_ms, kit_err.message);
    else
        same = model_compare_scan(expected, w->db, "Then", 0) &&
               model_compare_gets(expected, w->db, "Then", 7);
    if (!same)
        printf("    at %llu (write %u of %u): %s\n", (unsigned long long)time_ms,
               w->past.count, w->past.count, model_difference);
    if (same)
        MUST(dynb_delete_table(w->db, "Then", NULL, NULL, &kit_err));
    note_time(w);
    return same;
}

/* Each boundary from `from` on in steps, and the milliseconds beside it. */
static void compare_past(world *w, uint32_t from, uint32_t step)
{
    dynb_continuous_backups about = look_up(w, "Past");
    uint32_t i;
    int beside;
    for (i = from; i < w->past.count && !check_failed_count; i += step) {
        for (beside = -1; beside <= 1; ++beside) {
            uint64_t time_ms = w->past.times_ms[i] + (uint64_t)(int64_t)beside;
            if (time_ms >= about.earliest_restorable_ms && time_ms <= about.latest_restorable_ms &&
                (beside <= 0 || i + 1 == w->past.count || w->past.times_ms[i + 1] > time_ms))
                CHECK(same_at(w, time_ms));
        }
    }
}

static void step_clock(world *w)
{
    switch (check_below(&w->random, 12)) {
    case 0: w->clock.now_ms -= check_below(&w->random, 50); break;
    case 1: w->clock.now_ms += check_below(&w->random, 5000); break;
    case 2:
    case 3:
    case 4: break; /* the same millisecond */
    default: w->clock.now_ms += 1 + check_below(&w->random, 3);
    }
}

static void run_history(uint64_t seed, uint32_t count, uint64_t memory_bytes, uint32_t page_bytes,
                        int manual_work)
{
    world w;
    uint32_t i, j;
    int pending;
    world_begin(&w, memory_bytes, page_bytes, manual_work);
    w.random.state = seed;
    w.config.log_segment_bytes = seed % 2 ? 4096 : 0;
    w.config.durability = (dynb_durability)(seed % 3);
    world_open(&w);
    make_tables(&w, 0);
    for (i = 0; i < count && !check_failed_count; ++i) {
        step_clock(&w);
        write_one(&w);
        switch (check_below(&w.random, 40)) {
        case 6: /* Past rests while the log goes on, more than a segment */
            for (j = 0; j < 200; ++j)
                MUST(dynb_put_item(w.db, "Noise", random_item(&w, "n", 0), NULL, NULL, NULL,
                                   &kit_err));
            break;
        case 0: MUST(dynb_wait_idle(w.db, &kit_err)); break;
        case 1:
        case 2: MUST(dynb_work(w.db, 4096, &pending, &kit_err)); break;
        case 3: world_reopen(&w); break;
        case 4:
            MUST(dynb_sync(w.db, &kit_err));
            world_kill(&w);
            break;
        case 5:
            CHECK(same_at(&w, w.past.times_ms[check_below(&w.random, w.past.count)]));
            break;
        default: break;
        }
        note_time(&w);
    }
    compare_past(&w, 0, 1);
    MUST(dynb_wait_idle(w.db, &kit_err));
    world_kill(&w);
    compare_past(&w, 0, 5);
    if (check_failed_count)
        printf("    history SEED=%llu, %llu bytes of memory\n", (unsigned long long)seed,
               (unsigned long long)memory_bytes);
    if (!check_failed_count)
        world_end(&w);
}

static void test_histories(uint64_t seed)
{
    static const struct {
        uint64_t memory_bytes;
        uint32_t page_bytes;
        int manual_work;
    } kinds[] = {{131072, 512, 0}, {131072, 512, 1}, {262144, 1024, 0}, {4 << 20, 4096, 0}};
    uint64_t i, count = check_scaled(8);
    /* the frame that keeps the log enters the segment behind the checkpoint's mark */
    run_history(137, 500, 131072, 512, 0);
    for (i = 0; i < count && !check_failed_count; ++i)
        run_history(seed + i, 500, kinds[i % 4].memory_bytes, kinds[i % 4].page_bytes,
                    kinds[i % 4].manual_work);
}

/* ----------------------------------------------------------- power cuts -- */

typedef struct cuts {
    world w;
    fault_explorer explorer;
    fault_device second;
    fault_allocator memory;
    check_random random;
    uint64_t image_count;
    int bad;
} cuts;

/* How many states an image holds: between those acknowledged and those begun. 0:
 * none of them. */
static uint32_t find_prefix(cuts *c, dynb *db)
{
    const model_past *past = &c->w.past;
    uint32_t n;
    for (n = past->count; n >= c->w.acked && n > 0; --n)
        if (model_compare_scan(past->states[n - 1], db, "Past", 0))
            return n;
    return 0;
}

/* A restore that was cut off is there whole, or not at all. */
static int then_is_whole(cuts *c, dynb *db, uint32_t count)
{
    dynb_table_description about;
    dynb_result result;
    dynb_rc rc;
    memset(&result, 0, sizeof result);
    rc = dynb_describe_table(db, "Then", &about, &result, &kit_err);
    dynb_result_free(&result);
    return rc == DYNB_RESOURCE_NOT_FOUND ||
           model_compare_scan(model_state_at(&c->w.past, count, c->w.then_ms), db, "Then", 0);
}

static int is_in_window(dynb *db, uint64_t time_ms)
{
    dynb_continuous_backups about;
    MUST(dynb_describe_continuous_backups(db, "Past", &about, &kit_err));
    return time_ms >= about.earliest_restorable_ms;
}

static void visit_cut(void *ctx, const fault_image *image)
{
    cuts *c = (cuts *)ctx;
    dynb_device callbacks;
    dynb_config config = c->w.config;
    uint32_t count, i;
    int same = 1;
    dynb *db;
    ++c->image_count;
    fault_start(&c->second, image->bytes, image->size_bytes, 0);
    callbacks = fault_device_of(&c->second);
    config.device = &callbacks;
    config.allocator = fault_allocator_of(&c->memory);
    if (dynb_open(&db, NULL, &config, &kit_err) != DYNB_OK) {
        printf("    open: %s (%s)\n", kit_err.message, image->what);
        c->bad = c->explorer.stop = 1;
        return;
    }
    count = find_prefix(c, db);
    same = count && then_is_whole(c, db, count);
    for (i = 0; same && i < 2 && image->hash % 4 == 0; ++i) {
        uint64_t time_ms = c->w.past.times_ms[check_below(&c->random, count)];
        dynb_restore_to_time_input input;
        if (!is_in_window(db, time_ms))
            continue;
        memset(&input, 0, sizeof input);
        input.source_table_name = "Past";
        input.target_table_name = i ? "Second" : "First";
        input.use_restore_time = 1;
        input.restore_time_ms = time_ms;
        if (dynb_restore_table_to_point_in_time(db, &input, NULL, NULL, &kit_err) != DYNB_OK)
            same = model_differs("restore to %llu: %s", (unsigned long long)time_ms,
                                 kit_err.message);
        else
            same = model_compare_scan(model_state_at(&c->w.past, count, time_ms), db,
                                      input.target_table_name, 0);
    }
    if (same && image->hash % 8 == 0 && dynb_check(db, NULL, NULL, NULL, &kit_err) != DYNB_OK)
        same = model_differs("check: %s", kit_err.message);
    if (!same && !c->bad)
        printf("    %s; states %u..%u, found %u: %s\n", image->what, c->w.acked, c->w.past.count,
               count, model_difference);
    c->bad |= !same;
    c->explorer.stop = c->bad;
    if (dynb_close(db, &kit_err) != DYNB_OK || c->memory.live_count)
        c->bad = 1;
}

static void hook_cut(void *ctx, fault_device *device, fault_kind kind)
{
    cuts *c = (cuts *)ctx;
    dynb_error saved = kit_err;
    (void)kind;
    c->explorer.salt = c->w.past.count * 0x9e3779b97f4a7c15u;
    fault_explore(&c->explorer, device);
    kit_err = saved;
}

static void run_cuts(uint64_t seed, uint64_t *image_count)
{
    cuts c;
    uint32_t i;
    memset(&c, 0, sizeof c);
    world_begin(&c.w, 131072, 512, (int)(seed % 2));
    c.w.config.log_segment_bytes = 2048;
    c.w.random.state = c.random.state = seed;
    world_open(&c.w);
    make_tables(&c.w, seed % 3 ? 0 : 1);
    for (i = 0; i < 60; ++i) {
        step_clock(&c.w);
        write_one(&c.w);
    }
    world_reopen(&c.w);
    MUST(dynb_close(c.w.db, &kit_err));
    { /* from here on it keeps versions */
        uint64_t size = c.w.device.current_bytes;
        uint8_t *bytes = (uint8_t *)fault_memory(NULL, size);
        memcpy(bytes, c.w.device.current, (size_t)size);
        fault_free(&c.w.device);
        memset(&c.w.device, 0, sizeof c.w.device);
        c.w.device.track = 1;
        fault_start(&c.w.device, bytes, size, 0);
        free(bytes);
    }
    world_open(&c.w);
    c.w.device.hook_fn = hook_cut;
    c.w.device.hook_ctx = &c;
    c.explorer.exhaustive_count = 3;
    c.explorer.sample_count = 4;
    c.explorer.single_count = 4;
    c.explorer.random.state = seed;
    c.explorer.visit_fn = visit_cut;
    c.explorer.visit_ctx = &c;
    for (i = 0; i < 40 && !c.bad; ++i) {
        step_clock(&c.w);
        write_one(&c.w);
        if (i % 10 == 9 && seed % 3 == 0)
            c.w.clock.now_ms += 20 * DAY_MS / 24; /* things fall out of the window */
        if (i % 5 == 2) {
            uint64_t time_ms = c.w.past.times_ms[check_below(&c.w.random, c.w.past.count)];
            if (is_in_window(c.w.db, time_ms))
                CHECK(same_at(&c.w, time_ms));
        }
        if (i % 7 == 3)
            MUST(dynb_work(c.w.db, 4096, NULL, &kit_err));
        if (i % 16 == 15)
            MUST(dynb_wait_idle(c.w.db, &kit_err));
    }
    CHECK(!c.bad);
    if (c.bad)
        printf("    power cuts, SEED=%llu\n", (unsigned long long)seed);
    *image_count += c.image_count;
    c.w.device.hook_fn = NULL;
    fault_explorer_free(&c.explorer);
    fault_free(&c.second);
    if (!c.bad)
        world_end(&c.w);
}

static void test_cuts(uint64_t seed)
{
    uint64_t i, count = check_scaled(12), image_count = 0;
    for (i = 0; i < count && !check_failed_count; ++i)
        run_cuts(seed + i, &image_count);
    printf("    %llu images of power cuts\n", (unsigned long long)image_count);
}

/* ------------------------------------------------------------- failures -- */

typedef enum attempt { RESTORE, SWITCH_OFF, DELETE, SET_RULE, WORK, ATTEMPT_COUNT } attempt;

static dynb_rc try_it(world *w, attempt what)
{
    dynb_backup_retention rule;
    memset(&rule, 0, sizeof rule);
    rule.keep_last = 1;
    switch (what) {
    case RESTORE: return restore_at(w, "Past", "Then", w->then_ms);
    case SWITCH_OFF: return switch_recovery(w, "Past", 0, 0);
    case DELETE: return dynb_delete_table(w->db, "Past", NULL, NULL, &kit_err);
    case SET_RULE: return dynb_update_backup_retention(w->db, "Past", &rule, &kit_err);
    default: return dynb_wait_idle(w->db, &kit_err);
    }
}

/* After a failure all is as it was, or (after the device failed, or when only
 * the answer was lost) as it would be. */
static int is_unchanged(world *w, attempt what)
{
    dynb_table_description about;
    int is_there = dynb_describe_table(w->db, "Then", &about, &w->result, &kit_err) == DYNB_OK;
    if (is_there &&
        !model_compare_scan(model_state_at(&w->past, w->past.count, w->then_ms), w->db, "Then", 0))
        return 0;
    if (what == DELETE && dynb_describe_table(w->db, "Past", &about, &w->result, &kit_err) ==
                              DYNB_RESOURCE_NOT_FOUND)
        return count_backups(w, "Past", DYNB_LIST_SYSTEM, NULL) == 1;
    return model_compare_scan(w->table, w->db, "Past", 0);
}

/* Fails each allocation, or each call of the device, of each operation. */
static void test_failures(void)
{
    world w;
    uint8_t *bytes;
    uint64_t size, n, tried = 0;
    uint32_t what, mode, i;
    world_begin(&w, 131072, 512, 1);
    w.config.log_segment_bytes = 2048;
    world_open(&w);
    make_tables(&w, 1);
    for (i = 0; i < 150; ++i) {
        w.clock.now_ms += 1;
        write_one(&w);
        if (i % 40 == 0) {
            MUST(dynb_create_backup(w.db, "Past", "some", NULL, NULL, &kit_err));
            MUST(dynb_wait_idle(w.db, &kit_err));
        }
    }
    MUST(dynb_close(w.db, &kit_err));
    size = w.device.current_bytes;
    bytes = (uint8_t *)fault_memory(NULL, size);
    memcpy(bytes, w.device.current, (size_t)size);
    for (what = 0; what < ATTEMPT_COUNT; ++what) {
        for (mode = 0; mode < 6 && !check_failed_count; ++mode) {
            dynb_rc rc = DYNB_NO_MEMORY;
            for (n = 1; rc != DYNB_OK && n < 5000 && !check_failed_count; ++n, ++tried) {
                w.then_ms = w.past.times_ms[(n * 7) % w.past.count];
                fault_start(&w.device, bytes, size, 0);
                w.device.failed_write = 0;
                w.device.plan_mode = FAULT_ONCE;
                w.device.plan_call = 0;
                world_open(&w);
                if (what == WORK) {
                    MUST(switch_recovery(&w, "Past", 0, 0));
                } else if (n % 2) { /* or as it was opened */
                    MUST(kit_put(w.db, "Noise", "x", 1));
                }
                if (mode < 2) {
                    w.memory.call_count = 0;
                    w.memory.fail_at = n;
                    w.memory.fail_from = (int)mode;
                } else {
                    static const fault_mode modes[] = {FAULT_ONCE, FAULT_FROM,
                                                       FAULT_NO_SPACE_FROM, FAULT_TORN};
                    w.device.plan_mode = modes[mode - 2];
                    w.device.plan_call = w.device.call_count + n;
                }
                rc = try_it(&w, (attempt)what);
                w.memory.fail_at = 0;
                w.device.plan_call = 0;
                CHECK(rc == DYNB_OK || rc == DYNB_NO_MEMORY || rc == DYNB_NO_SPACE ||
                      rc == DYNB_IO_FAILED || rc == DYNB_READ_ONLY);
                if (mode >= 2 && rc != DYNB_OK) { /* what the device has */
                    (void)dynb_close(w.db, NULL);
                    w.device.failed_write = 0;
                    world_open(&w);
                }
                CHECK(is_unchanged(&w, (attempt)what));
                if (check_failed_count)
                    printf("    operation %u, mode %u, call %llu: %s\n", what, mode,
                           (unsigned long long)n, model_difference);
                if (n % 16 == 1)
                    CHECK(dynb_check(w.db, NULL, NULL, NULL, &kit_err) == DYNB_OK);
                MUST(dynb_close(w.db, &kit_err));
            }
            CHECK(rc == DYNB_OK);
        }
    }
    free(bytes);
    printf("    %llu failures\n", (unsigned long long)tried);
    world_open(&w);
    world_end(&w);
}

/* --------------------------------------------------------------- damage -- */

/* Bits flipped anywhere on the device: a restore gives the right state or says
 * that something is damaged. */
static void test_damage(uint64_t seed)
{
    world w;
    uint8_t *bytes;
    uint64_t size, n, reported = 0, right = 0;
    uint32_t i;
    world_begin(&w, 131072, 512, 1);
    w.config.log_segment_bytes = 2048;
    w.random.state = seed;
    world_open(&w);
    make_tables(&w, 0);
    for (i = 0; i < 300; ++i) {
        w.clock.now_ms += 1;
        write_one(&w);
        if (i % 60 == 0)
            MUST(dynb_wait_idle(w.db, &kit_err));
    }
    MUST(dynb_close(w.db, &kit_err));
    size = w.device.current_bytes;
    bytes = (uint8_t *)fault_memory(NULL, size);
    memcpy(bytes, w.device.current, (size_t)size);
    for (n = 0; n < check_scaled(4000) && !check_failed_count; ++n) {
        uint64_t time_ms = w.past.times_ms[check_below(&w.random, w.past.count)];
        uint64_t place = check_below(&w.random, size);
        dynb_rc rc;
        bytes[place] ^= (uint8_t)(1u << (n % 8));
        fault_start(&w.device, bytes, size, 0);
        bytes[place] ^= (uint8_t)(1u << (n % 8));
        w.callbacks = fault_device_of(&w.device);
        rc = dynb_open(&w.db, NULL, &w.config, &kit_err);
        if (rc != DYNB_OK) {
            CHECK(rc == DYNB_CORRUPT);
            ++reported;
            continue;
        }
        rc = restore_at(&w, "Past", "Then", time_ms);
        CHECK(rc == DYNB_OK || rc == DYNB_CORRUPT);
        if (rc == DYNB_OK &&
            !model_compare_scan(model_state_at(&w.past, w.past.count, time_ms), w.db, "Then", 0) &&
            kit_err.code != DYNB_CORRUPT) {
            printf("    bit %u of byte %llu, restored to %llu: %s\n", (unsigned)(n % 8),
                   (unsigned long long)place, (unsigned long long)time_ms, model_difference);
            CHECK(!"damage was not noticed");
        }
        reported += rc != DYNB_OK;
        right += rc == DYNB_OK;
        if (rc != DYNB_OK) /* which dynb_check has to find, too */
            CHECK(dynb_check(w.db, NULL, NULL, NULL, &kit_err) == DYNB_CORRUPT);
        (void)dynb_close(w.db, NULL);
    }
    printf("    %llu bits flipped: %llu reported, %llu harmless\n", (unsigned long long)n,
           (unsigned long long)reported, (unsigned long long)right);
    fault_start(&w.device, bytes, size, 0);
    free(bytes);
    world_open(&w);
    MUST(switch_recovery(&w, "Past", 0, 0)); /* bases wait to be taken away */
    MUST(dynb_check(w.db, NULL, NULL, NULL, &kit_err));
    world_end(&w);
}

/* What stands in the log between two of a table's changes is needed to read from
 * the one on to the other: dynb_check reads it too, also when no base spans it
 * yet, and opening the store has no need of it. */
static void test_damaged_gap(void)
{
    static const char text[] = "a change of another table, soon taken back";
    uint8_t *at = NULL;
    uint64_t i;
    world w;
    world_begin(&w, 1 << 20, 512, 1);
    world_open(&w);
    make_tables(&w, 0);
    w.clock.step_ms = 1;
    MUST(kit_put(w.db, "Past", "a", 1));
    MUST(dynb_wait_idle(w.db, &kit_err)); /* a base, up to here */
    MUST(kit_put(w.db, "Noise", text, 1));
    MUST(kit_delete(w.db, "Noise", text));
    MUST(dynb_wait_idle(w.db, &kit_err));
    MUST(kit_put(w.db, "Past", "b", 2));
    MUST(dynb_close(w.db, &kit_err));
    for (i = 0; !at && i + sizeof text < w.device.current_bytes; ++i)
        if (memcmp(w.device.current + i, text, sizeof text - 1) == 0)
            at = w.device.current + i;
    CHECK(at != NULL);
    *at ^= 1;
    world_open(&w);
    EXPECT(dynb_check(w.db, NULL, NULL, NULL, &kit_err), DYNB_CORRUPT);
    *at ^= 1;
    world_end(&w);
}

/* --------------------------------------------------------------- clocks -- */

/* Contract 2.5; our own: a window in the store's time. */
static void test_clock(void)
{
    dynb_continuous_backups about;
    uint64_t before, far = START_MS + 10 * DAY_MS;
    world w;
    world_begin(&w, 1 << 20, 512, 1);
    world_open(&w);
    make_tables(&w, 0);
    before = w.clock.now_ms;
    w.clock.now_ms = before + 10;
    write_one(&w);
    w.clock.now_ms = far; /* ten days ahead, and back */
    write_one(&w);
    w.clock.now_ms = before + 20;
    write_one(&w);
    write_one(&w);
    about = look_up(&w, "Past");
    /* contract 2.5 row 3 */
    CHECK_INT(about.earliest_restorable_ms, before);
    CHECK_INT(about.latest_restorable_ms, far);
    CHECK(same_at(&w, before));
    CHECK(same_at(&w, before + 10));
    CHECK(same_at(&w, before + 20));
    CHECK(same_at(&w, far - 1));
    CHECK(same_at(&w, far)); /* all that was written since */
    MUST(dynb_wait_idle(w.db, &kit_err));
    world_reopen(&w);
    CHECK(same_at(&w, far - 1));
    w.clock.now_ms = far + 5; /* it has caught up */
    write_one(&w);
    compare_past(&w, 0, 1);
    MUST(restore_latest(&w, "Past", "Now"));
    CHECK(model_compare_scan(w.table, w.db, "Now", 0));
    world_end(&w);
}

/* AWS's lag: contract 2.5. */
static void test_lag(void)
{
    dynb_continuous_backups about;
    world w;
    world_begin(&w, 1 << 20, 512, 1);
    w.config.recovery_lag_ms = 300000;
    world_open(&w);
    make_tables(&w, 0);
    about = look_up(&w, "Past");
    /* contract 2.5 row 2 */
    CHECK_INT(about.earliest_restorable_ms, START_MS);
    CHECK_INT(about.latest_restorable_ms, START_MS);
    w.clock.now_ms += 1000;
    write_one(&w);
    about = look_up(&w, "Past");
    CHECK_INT(about.latest_restorable_ms, START_MS);
    MUST(restore_latest(&w, "Past", "Empty")); /* as it was when switched on */
    CHECK(model_compare_scan(w.past.states[0], w.db, "Empty", 0));
    w.clock.now_ms += 300000;
    about = look_up(&w, "Past");
    /* contract 2.5 row 1 */
    CHECK_INT(about.latest_restorable_ms, START_MS + 1000);
    CHECK(same_at(&w, START_MS + 1000));
    CHECK(restore_at(&w, "Past", "Then", START_MS + 1001) == DYNB_INVALID_RESTORE_TIME);
    world_end(&w);
}

/* --------------------------------------------------------------- window -- */

/* Contract 1.7, 1.8, 2.5. */
static void test_window(void)
{
    dynb_continuous_backups about;
    uint64_t now;
    world w;
    world_begin(&w, 1 << 20, 512, 1);
    world_open(&w);
    MUST(kit_create_table(w.db, "Past", NULL));
    about = look_up(&w, "Past");
    /* contract 1.7 row 2 */
    CHECK(about.is_enabled && !about.recovery_is_enabled && !about.recovery_period_days &&
          !about.earliest_restorable_ms && !about.latest_restorable_ms);
    MUST(dynb_delete_table(w.db, "Past", NULL, NULL, &kit_err));
    make_tables(&w, 0);
    about = look_up(&w, ARN "Past");
    /* contract 1.7 row 3, 1.8 row 2 */
    CHECK(about.is_enabled && about.recovery_is_enabled);
    CHECK_INT(about.recovery_period_days, 35);
    CHECK_INT(about.earliest_restorable_ms, START_MS);
    CHECK_INT(about.latest_restorable_ms, START_MS);
    w.clock.now_ms += 2 * DAY_MS;
    /* contract 1.8 row 4 */
    MUST(switch_recovery(&w, "Past", 1, 35)); /* the same again changes nothing */
    CHECK_INT(look_up(&w, "Past").earliest_restorable_ms, START_MS);
    /* contract 1.8 row 3 */
    MUST(switch_recovery(&w, "Past", 1, 7)); /* in place */
    about = look_up(&w, "Past");
    CHECK_INT(about.recovery_period_days, 7);
    CHECK_INT(about.earliest_restorable_ms, START_MS);
    /* contract 1.8 row 13 */
    MUST(switch_recovery(&w, "Past", 1, 1)); /* shorter: at once */
    now = w.clock.now_ms;
    CHECK_INT(look_up(&w, "Past").earliest_restorable_ms, now - DAY_MS);
    MUST(switch_recovery(&w, "Past", 1, 35)); /* longer: nothing comes back */
    CHECK_INT(look_up(&w, "Past").earliest_restorable_ms, now - DAY_MS);
    w.clock.now_ms += 40 * DAY_MS;
    /* contract 2.5 row 3 */
    CHECK_INT(look_up(&w, "Past").earliest_restorable_ms, w.clock.now_ms - 35 * DAY_MS);
    MUST(switch_recovery(&w, "Past", 1, 3));
    world_reopen(&w);
    CHECK_INT(look_up(&w, "Past").recovery_period_days, 3);
    w.clock.now_ms += 5 * DAY_MS;
    now = w.clock.now_ms;
    MUST(switch_recovery(&w, "Past", 1, 0)); /* no period given: 35 */
    about = look_up(&w, "Past");
    CHECK_INT(about.recovery_period_days, 35);
    CHECK_INT(about.earliest_restorable_ms, now - 3 * DAY_MS);
    MUST(switch_recovery(&w, "Past", 0, 0));
    MUST(switch_recovery(&w, "Past", 0, 0));
    CHECK(!look_up(&w, "Past").recovery_is_enabled);
    w.clock.now_ms += 7;
    /* contract 1.8 row 5, 2.5 row 5 */
    MUST(switch_recovery(&w, "Past", 1, 0)); /* starts anew */
    CHECK_INT(look_up(&w, "Past").earliest_restorable_ms, w.clock.now_ms);
    CHECK_INT(look_up(&w, "Past").recovery_period_days, 35);
    world_end(&w);
}

/* What was written while recovery was off is there, its states are not. */
static void test_off_and_on(void)
{
    uint32_t round, i;
    world w;
    world_begin(&w, 131072, 512, 0);
    world_open(&w);
    make_tables(&w, 0);
    for (round = 0; round < 6; ++round) {
        for (i = 0; i < 60; ++i) {
            w.clock.now_ms += 2;
            write_one(&w);
        }
        compare_past(&w, 0, 7);
        MUST(switch_recovery(&w, "Past", 0, 0));
        if (round % 2)
            MUST(dynb_wait_idle(w.db, &kit_err));
        for (i = 0; i < 60 * (round % 3); ++i) {
            w.clock.now_ms += 2;
            write_one(&w);
        }
        if (round % 3 == 1)
            MUST(dynb_wait_idle(w.db, &kit_err));
        if (round == 4)
            world_kill(&w);
        w.clock.now_ms += 1;
        MUST(switch_recovery(&w, "Past", 1, 0));
        note_time(&w);
        model_past_free(&w.past);
        model_remember(&w.past, w.table, w.log_ms);
    }
    compare_past(&w, 0, 1);
    world_end(&w);
}

/* Space follows the window: kept for it, given back after it. */
static void test_space(void)
{
    uint64_t start, kept, after, off;
    uint32_t day, i;
    world w;
    world_begin(&w, 262144, 512, 0);
    world_open(&w);
    make_tables(&w, 3);
    for (i = 0; i < 400; ++i) {
        w.clock.now_ms += 1;
        write_one(&w);
    }
    MUST(switch_recovery(&w, "Past", 0, 0));
    MUST(dynb_wait_idle(w.db, &kit_err));
    MUST(dynb_wait_idle(w.db, &kit_err));
    start = used_bytes(&w);
    MUST(switch_recovery(&w, "Past", 1, 3));
    note_time(&w);
    model_past_free(&w.past);
    model_remember(&w.past, w.table, w.log_ms);
    for (day = 0; day < 3; ++day) {
        for (i = 0; i < 2000; ++i) {
            w.clock.now_ms += 20000;
            write_one(&w);
        }
        w.clock.now_ms += DAY_MS / 2;
        MUST(dynb_wait_idle(w.db, &kit_err));
    }
    kept = used_bytes(&w);
    CHECK(kept > 2 * start);
    compare_past(&w, 1, 211);
    w.clock.now_ms += 3 * DAY_MS + DAY_MS / 8;
    MUST(dynb_wait_idle(w.db, &kit_err));
    MUST(dynb_wait_idle(w.db, &kit_err));
    after = used_bytes(&w);
    w.clock.now_ms += 1;
    CHECK(same_at(&w, w.clock.now_ms - DAY_MS));
    MUST(switch_recovery(&w, "Past", 0, 0));
    MUST(dynb_wait_idle(w.db, &kit_err));
    MUST(dynb_wait_idle(w.db, &kit_err));
    off = used_bytes(&w);
    printf("    space: %llu bytes before, %llu with the window, %llu after it, %llu without\n",
           (unsigned long long)start, (unsigned long long)kept, (unsigned long long)after,
           (unsigned long long)off);
    CHECK(after <= off + off / 2);
    MUST(dynb_check(w.db, NULL, NULL, NULL, &kit_err));
    world_end(&w);
}

/* A window that slides over a table in use, beside another one's: what it needs
 * is there, what it has left behind goes. */
static void test_sliding_window(void)
{
    uint64_t used, least = 0, most = 0;
    uint32_t day, i, j;
    world w;
    world_begin(&w, 262144, 512, 0);
    w.config.log_segment_bytes = 4096;
    world_open(&w);
    make_tables(&w, 2);
    MUST(switch_recovery(&w, "Noise", 1, 1));
    for (day = 0; day < 12 && !check_failed_count; ++day) {
        dynb_continuous_backups about;
        for (i = 0; i < 400; ++i) {
            w.clock.now_ms += DAY_MS / 400;
            write_one(&w);
            if (i % 100 == 50)
                MUST(dynb_work(w.db, 100000, NULL, &kit_err));
        }
        if (day % 5 == 3)
            world_reopen(&w);
        MUST(dynb_wait_idle(w.db, &kit_err));
        MUST(dynb_wait_idle(w.db, &kit_err));
        used = used_bytes(&w);
        most = used > most ? used : most;
        least = day < 3 || used < least ? used : least;
        about = look_up(&w, "Past");
        for (j = 0; j < 12; ++j) {
            uint64_t span = about.latest_restorable_ms - about.earliest_restorable_ms;
            uint64_t time_ms = about.earliest_restorable_ms + span * j / 11;
            CHECK(same_at(&w, time_ms));
        }
        MUST(restore_at(&w, "Noise", "Other", w.clock.now_ms - DAY_MS / 2));
        MUST(dynb_delete_table(w.db, "Other", NULL, NULL, &kit_err));
    }
    printf("    a sliding window: from day 4 on %llu to %llu bytes in use\n",
           (unsigned long long)least, (unsigned long long)most);
    CHECK(most < 3 * least);
    /* its bases go, the other's stay */
    MUST(dynb_delete_table(w.db, "Past", NULL, NULL, &kit_err));
    MUST(dynb_wait_idle(w.db, &kit_err));
    MUST(restore_at(&w, "Noise", "Other", w.clock.now_ms - DAY_MS / 2));
    world_end(&w);
}

/* In the middle of whatever the worker does, a step at a time. */
static void test_between_steps(void)
{
    uint32_t i, j;
    int pending = 1;
    world w;
    world_begin(&w, 131072, 512, 1);
    world_open(&w);
    make_tables(&w, 0);
    for (i = 0; i < 12 && !check_failed_count; ++i) {
        for (j = 0; j < 30; ++j) {
            w.clock.now_ms += 1;
            write_one(&w);
        }
        for (j = 0, pending = 1; pending && j < 400; ++j) {
            MUST(dynb_work(w.db, 1, &pending, &kit_err));
            if (j % 3 == i % 3)
                CHECK(same_at(&w, w.past.times_ms[check_below(&w.random, w.past.count)]));
        }
        if (i % 4 == 3) {
            MUST(dynb_check(w.db, NULL, NULL, NULL, &kit_err));
            world_kill(&w);
        }
    }
    compare_past(&w, 0, 3);
    world_end(&w);
}

/* A table that is written now and then keeps its own log, not that of others. */
static void test_rare_writes(void)
{
    dynb_builder builder;
    uint64_t used[2];
    uint32_t round, i;
    world w;
    memset(&builder, 0, sizeof builder);
    world_begin(&w, 262144, 512, 0);
    world_open(&w);
    make_tables(&w, 0);
    for (round = 0; round < 40; ++round) {
        w.clock.now_ms += 1000;
        write_one(&w);
        for (i = 0; i < 1000; ++i) /* about 150 KB of log */
            MUST(dynb_put_item(w.db, "Noise", kit_padded_item(&builder, "same", i, 100), NULL, NULL,
                               NULL, &kit_err));
        if (round % 7 == 3)
            world_reopen(&w);
    }
    MUST(dynb_wait_idle(w.db, &kit_err));
    MUST(dynb_wait_idle(w.db, &kit_err));
    used[0] = used_bytes(&w);
    compare_past(&w, 0, 1);
    MUST(switch_recovery(&w, "Past", 0, 0));
    MUST(dynb_wait_idle(w.db, &kit_err));
    MUST(dynb_wait_idle(w.db, &kit_err));
    used[1] = used_bytes(&w);
    printf("    rare writes beside 6 MB of others: %llu bytes kept for them\n",
           (unsigned long long)(used[0] - used[1]));
    CHECK(used[0] - used[1] < 3000000);
    dynb_builder_free(&builder);
    world_end(&w);
}

/* --------------------------------------------------------------- errors -- */

static void test_update_errors(void)
{
    static const struct {
        int on;
        int32_t days;
        const char *message;
    } bad[] = {
        /* contract 1.8 row 7 */
        {1, 36,
         "1 validation error detected: Value '36' at "
         "'pointInTimeRecoverySpecification.recoveryPeriodInDays' failed to satisfy constraint: "
         "Member must have value less than or equal to 35"},
        /* contract 1.8 row 8 */
        {1, 0,
         "1 validation error detected: Value '0' at "
         "'pointInTimeRecoverySpecification.recoveryPeriodInDays' failed to satisfy constraint: "
         "Member must have value greater than or equal to 1"},
        {0, -1,
         "1 validation error detected: Value '-1' at "
         "'pointInTimeRecoverySpecification.recoveryPeriodInDays' failed to satisfy constraint: "
         "Member must have value greater than or equal to 1"},
        /* contract 1.8 row 6 */
        {0, 35,
         "Invalid Request: Cannot specify RecoveryPeriodInDays when disabling point-in-time "
         "recovery."},
    };
    dynb_update_continuous_backups_input input;
    dynb_continuous_backups about;
    uint32_t i;
    world w;
    world_begin(&w, 1 << 20, 512, 1);
    world_open(&w);
    make_tables(&w, 0);
    memset(&input, 0, sizeof input);
    input.table = "Nowhere";
    for (i = 0; i < sizeof bad / sizeof *bad; ++i) { /* before a look at the table */
        input.point_in_time_recovery = bad[i].on;
        input.choose_period = 1;
        input.recovery_period_days = bad[i].days;
        EXPECT_MESSAGE(dynb_update_continuous_backups(w.db, &input, &about, &kit_err),
                       DYNB_VALIDATION, bad[i].message);
    }
    input.choose_period = 0;
    EXPECT_MESSAGE(dynb_update_continuous_backups(w.db, &input, &about, &kit_err),
                   DYNB_TABLE_NOT_FOUND, "Table not found: Nowhere");
    /* contract 1.7 row 5 */
    EXPECT_MESSAGE(dynb_describe_continuous_backups(w.db, "Nowhere", &about, &kit_err),
                   DYNB_TABLE_NOT_FOUND, "Table not found: Nowhere");
    EXPECT_ABOUT(dynb_describe_continuous_backups(w.db, NULL, &about, &kit_err),
                 DYNB_INVALID_ARGUMENT, "table is NULL");
    EXPECT_ABOUT(dynb_describe_continuous_backups(w.db, "Past", NULL, &kit_err),
                 DYNB_INVALID_ARGUMENT, "out is NULL");
    EXPECT_ABOUT(dynb_update_continuous_backups(w.db, NULL, NULL, &kit_err),
                 DYNB_INVALID_ARGUMENT, "input is NULL");
    EXPECT_ABOUT(dynb_describe_continuous_backups(NULL, "Past", &about, &kit_err),
                 DYNB_INVALID_ARGUMENT, "db is NULL");
    EXPECT_ABOUT(dynb_update_continuous_backups(NULL, &input, NULL, &kit_err),
                 DYNB_INVALID_ARGUMENT, "db is NULL");
    world_end(&w);
}

/* Contract 1.6: what is looked at first. */
static void test_restore_errors(void)
{
    static const char both[] = "Invalid Request: Both RestoreDateTime and UseLatestRestorableTime "
                               "cannot be set for point-in-time restore request. Please specify "
                               "only one of them";
    static const char neither[] = "Invalid Request: Either one of RestoreDateTime or "
                                  "UseLatestRestorableTime must be specified, but not both";
    static const char *const bad_arns[] = {"Past", "arn:aws:s3:us-east-1:123456789012:table/Past",
                                           "arn:aws:dynamodb:us-east-1:123456789012:Past", ""};
    dynb_restore_to_time_input input;
    uint32_t i;
    world w;
    world_begin(&w, 1 << 20, 512, 1);
    world_open(&w);
    make_tables(&w, 0);
    w.clock.now_ms += 2500;
    write_one(&w);
    memset(&input, 0, sizeof input);
#define RESTORE() dynb_restore_table_to_point_in_time(w.db, &input, NULL, NULL, &kit_err)
    EXPECT_ABOUT(RESTORE(), DYNB_INVALID_ARGUMENT, "input.target_table_name is NULL");
    EXPECT_ABOUT(dynb_restore_table_to_point_in_time(w.db, NULL, NULL, NULL, &kit_err),
                 DYNB_INVALID_ARGUMENT, "input is NULL");
    input.target_table_name = "bad name!";
    EXPECT_ABOUT(dynb_restore_table_to_point_in_time(NULL, &input, NULL, NULL, &kit_err),
                 DYNB_INVALID_ARGUMENT, "db is NULL");
    /* contract 1.6 row 6 */
    EXPECT_MESSAGE(RESTORE(), DYNB_VALIDATION,
                   "1 validation error detected: Value 'bad name!' at 'targetTableName' failed to "
                   "satisfy constraint: Member must satisfy regular expression pattern: "
                   "[a-zA-Z0-9_.-]+");
    input.target_table_name = "Past"; /* exists: looked at last */
    /* contract 1.6 row 3 */
    EXPECT_MESSAGE(RESTORE(), DYNB_VALIDATION,
                   "The parameter 'TableName' is required but was not present in the request");
    input.source_table_name = "Nowhere";
    input.source_table_arn = ARN "Nowhere";
    /* contract 1.6 row 2 */
    EXPECT_MESSAGE(RESTORE(), DYNB_VALIDATION,
                   "Invalid Request: Must provide exactly one of: sourceTableArn, "
                   "sourceTableName");
    input.source_table_arn = NULL;
    /* contract 1.6 row 5 */
    EXPECT_MESSAGE(RESTORE(), DYNB_VALIDATION, neither);
    input.use_latest_time = input.use_restore_time = 1;
    /* contract 1.6 row 4 */
    EXPECT_MESSAGE(RESTORE(), DYNB_VALIDATION, both);
    input.use_latest_time = 0;
    /* contract 1.6 row 7, 1.6 row 16: and the target exists */
    EXPECT_MESSAGE(RESTORE(), DYNB_TABLE_NOT_FOUND, "Table not found: Nowhere");
    input.source_table_name = "no";
    EXPECT_ABOUT(RESTORE(), DYNB_VALIDATION, "Value 'no' at 'sourceTableName'");
    input.source_table_name = NULL;
    input.source_table_arn = ARN "Nowhere";
    /* contract 1.6 row 8 */
    EXPECT_MESSAGE(RESTORE(), DYNB_TABLE_NOT_FOUND, "Table not found");
    for (i = 0; i < sizeof bad_arns / sizeof *bad_arns; ++i) {
        input.source_table_arn = bad_arns[i];
        /* contract 1.6 row 9 */
        EXPECT_MESSAGE(RESTORE(), DYNB_VALIDATION,
                       "One or more parameter values were invalid: sourceTableArn is not a valid "
                       "ARN");
    }
    input.source_table_arn = "arn:aws:dynamodb:us-east-1:999999999999:table/Past";
    /* contract 1.6 row 10 */
    EXPECT_MESSAGE(RESTORE(), DYNB_VALIDATION,
                   "This action is only supported by accounts that match the resource "
                   "owner\342\200\231s account.");
    input.source_table_arn = ARN "Noise"; /* recovery before time, time before target */
    /* contract 1.6 row 11, 1.6 row 16 */
    EXPECT_MESSAGE(RESTORE(), DYNB_POINT_IN_TIME_RECOVERY_UNAVAILABLE,
                   "Point in time recovery is not enabled for table 'Noise'");
    input.source_table_arn = ARN "Past";
    /* contract 1.6 row 12, 1.6 row 16, 2.5 row 4 */
    EXPECT_MESSAGE(RESTORE(), DYNB_INVALID_RESTORE_TIME,
                   "RestoreDateTime '1970-01-01T00:00:00Z' must be within "
                   "EarliestRestorableDateTime '2023-11-14T22:13:20Z' and "
                   "LatestRestorableDateTime '2023-11-14T22:13:22Z'");
    input.restore_time_ms = START_MS - 1;
    EXPECT_ABOUT(RESTORE(), DYNB_INVALID_RESTORE_TIME, "RestoreDateTime '2023-11-14T22:13:19Z'");
    input.restore_time_ms = START_MS + 2501;
    EXPECT_ABOUT(RESTORE(), DYNB_INVALID_RESTORE_TIME, "RestoreDateTime '2023-11-14T22:13:22Z'");
    input.restore_time_ms = START_MS + 2500;
    /* contract 1.6 row 13 */
    EXPECT_MESSAGE(RESTORE(), DYNB_TABLE_ALREADY_EXISTS, "Table already exists: Past");
    input.target_table_name = "Noise";
    EXPECT_MESSAGE(RESTORE(), DYNB_TABLE_ALREADY_EXISTS, "Table already exists: Noise");
    CHECK_TEXT(dynb_rc_exception(DYNB_INVALID_RESTORE_TIME), "InvalidRestoreTimeException");
    CHECK_TEXT(dynb_rc_exception(DYNB_POINT_IN_TIME_RECOVERY_UNAVAILABLE),
               "PointInTimeRecoveryUnavailableException");
#undef RESTORE
    world_end(&w);
}

/* The answer, and the settings of the new table: contract 2.2. */
static void test_restored_settings(void)
{
    dynb_restore_to_time_input input;
    dynb_update_table_input update;
    dynb_table_description about;
    dynb_tag tag;
    world w;
    world_begin(&w, 1 << 20, 512, 1);
    world_open(&w);
    make_tables(&w, 0);
    tag.key = "k";
    tag.value = "v";
    MUST(dynb_tag_resource(w.db, ARN "Past", &tag, 1, &kit_err));
    w.clock.now_ms += 10;
    write_one(&w);
    w.clock.now_ms += 10; /* settings of later than the time asked for */
    memset(&update, 0, sizeof update);
    update.table = "Past";
    update.change = DYNB_CHANGE_BILLING | DYNB_CHANGE_STREAM | DYNB_CHANGE_TABLE_CLASS |
                    DYNB_CHANGE_DELETION_PROTECTION;
    update.settings.billing_mode = DYNB_PROVISIONED;
    update.settings.provisioned.read_units = 7;
    update.settings.provisioned.write_units = 8;
    update.settings.stream_view = DYNB_STREAM_NEW_IMAGE;
    update.settings.table_class = DYNB_STANDARD_INFREQUENT_ACCESS;
    update.settings.deletion_protection = 1;
    MUST(dynb_update_table(w.db, &update, NULL, NULL, &kit_err));
    MUST(dynb_update_time_to_live(w.db, "Past", "ttl", &kit_err));
    memset(&input, 0, sizeof input);
    input.source_table_arn = ARN "Past";
    input.target_table_name = "Then";
    input.use_restore_time = 1;
    input.restore_time_ms = START_MS + 10;
    MUST(dynb_restore_table_to_point_in_time(w.db, &input, &about, &w.result, &kit_err));
    CHECK_TEXT(about.table_name, "Then");
    CHECK_INT(about.status, DYNB_TABLE_CREATING);
    CHECK(about.restoring && !about.restore_source_backup_arn);
    CHECK_TEXT(about.restore_source_table_arn, ARN "Past");
    CHECK_INT(about.restored_at_ms, START_MS + 10);
    MUST(dynb_describe_table(w.db, "Then", &about, &w.result, &kit_err));
    CHECK_INT(about.status, DYNB_TABLE_ACTIVE);
    /* contract 1.6 row 18, 2.2 row 4 */
    CHECK_INT(about.settings.billing_mode, DYNB_PROVISIONED);
    CHECK_INT(about.settings.provisioned.write_units, 8);
    /* contract 2.2 row 6, 2.2 row 7, 2.2 row 12, 2.2 row 13 */
    CHECK_INT(about.settings.stream_view, DYNB_STREAM_OFF);
    CHECK_INT(about.settings.table_class, DYNB_STANDARD);
    CHECK(!about.settings.deletion_protection && !about.ttl_attribute && !about.stream_label);
    CHECK_INT(about.recovery_period_days, 0);
    CHECK_INT(about.item_count, 1);
    CHECK(!look_up(&w, "Then").recovery_is_enabled);
    {
        const dynb_tag *tags;
        uint32_t count = 9;
        /* contract 2.2 row 9 */
        MUST(dynb_list_tags_of_resource(w.db, ARN "Then", &tags, &count, &w.result, &kit_err));
        CHECK_INT(count, 0);
    }
    MUST(kit_put(w.db, "Then", "mine", 1)); /* both live on */
    CHECK_INT(kit_get(w.db, "Past", "mine"), -1);
    world_end(&w);
}

/* ------------------------------------------------------- SYSTEM backups -- */

/* Contract 1.3, 1.4, 2.4, 2.6. */
static void test_system_backups(void)
{
    dynb_backup_description about;
    char arn[DYNB_ARN_MAX + 1];
    uint64_t deleted_ms;
    uint32_t i;
    world w;
    world_begin(&w, 1 << 20, 512, 1);
    world_open(&w);
    make_tables(&w, 1);
    for (i = 0; i < 30; ++i) {
        w.clock.now_ms += 1;
        write_one(&w);
    }
    MUST(dynb_delete_table(w.db, "Noise", NULL, NULL, &kit_err)); /* had no recovery */
    /* contract 2.6 row 3 */
    CHECK_INT(count_backups(&w, "Noise", DYNB_LIST_ALL, NULL), 0);
    w.clock.now_ms += 5;
    deleted_ms = w.clock.now_ms;
    MUST(dynb_delete_table(w.db, "Past", NULL, NULL, &kit_err));
    /* contract 1.3 row 6, 2.6 row 5 */
    CHECK_INT(count_backups(&w, "Past", DYNB_LIST_USER, NULL), 0);
    CHECK_INT(count_backups(&w, NULL, DYNB_LIST_USER, NULL), 0);
    CHECK_INT(count_backups(&w, "Past", DYNB_LIST_SYSTEM, &about), 1);
    CHECK_INT(count_backups(&w, NULL, DYNB_LIST_ALL, &about), 1);
    /* contract 2.4 row 5, 2.6 row 1 */
    CHECK_TEXT(about.backup_name, "Past$DeletedTableBackup");
    CHECK_INT(about.type, DYNB_BACKUP_SYSTEM);
    CHECK_INT(about.created_at_ms, deleted_ms);
    /* contract 1.3 row 7, 2.4 row 7, 2.6 row 6 */
    CHECK_INT(about.expires_at_ms, deleted_ms + 35 * DAY_MS);
    snprintf(arn, sizeof arn, "%sPast/backup/%014llu-00000000", ARN,
             (unsigned long long)deleted_ms);
    /* contract 2.4 row 3 */
    CHECK_TEXT(about.backup_arn, arn);
    world_kill(&w); /* it is built all the same */
    /* contract 1.4 row 4 */
    EXPECT_ABOUT(dynb_delete_backup(w.db, arn, NULL, NULL, &kit_err), DYNB_VALIDATION,
                 "Invalid Request: User is not allowed to delete the system backup with arn arn:");
    MUST(dynb_wait_idle(w.db, &kit_err));
    EXPECT_ABOUT(dynb_delete_backup(w.db, arn, NULL, NULL, &kit_err), DYNB_VALIDATION,
                 "It will automatically expire on 2023-12-19T22:13:20.035");
    MUST(dynb_describe_backup(w.db, arn, &about, &w.result, &kit_err));
    CHECK_INT(about.status, DYNB_BACKUP_AVAILABLE);
    CHECK_INT(about.source.recovery_period_days, 0); /* contract 2.2: not recorded */
    /* contract 2.6 row 4 */
    MUST(kit_restore(w.db, arn, "Again"));
    CHECK(model_compare_scan(w.table, w.db, "Again", 0));
    /* contract 2.5 row 6 */
    EXPECT(restore_at(&w, "Past", "Then", deleted_ms), DYNB_TABLE_NOT_FOUND); /* 2.5 */
    MUST(kit_create_table(w.db, "Past", NULL)); /* another table of that name */
    EXPECT(restore_at(&w, "Past", "Then", deleted_ms), DYNB_POINT_IN_TIME_RECOVERY_UNAVAILABLE);
    MUST(switch_recovery(&w, "Past", 1, 0));
    MUST(dynb_delete_table(w.db, "Past", NULL, NULL, &kit_err)); /* in the same millisecond */
    CHECK_INT(count_backups(&w, "Past", DYNB_LIST_SYSTEM, NULL), 2);
    w.clock.now_ms = deleted_ms + 35 * DAY_MS - 1;
    MUST(dynb_wait_idle(w.db, &kit_err));
    CHECK_INT(count_backups(&w, "Past", DYNB_LIST_SYSTEM, NULL), 2);
    world_reopen(&w);
    w.clock.now_ms += 1;
    MUST(dynb_wait_idle(w.db, &kit_err));
    /* contract 2.6 row 1: for 35 days */
    CHECK_INT(count_backups(&w, "Past", DYNB_LIST_SYSTEM, NULL), 1);
    EXPECT(kit_restore(w.db, arn, "Too-late"), DYNB_BACKUP_NOT_FOUND);
    w.clock.now_ms += 10;
    for (i = 0; i < 100; ++i) { /* in small steps, too */
        int pending;
        MUST(dynb_work(w.db, 1, &pending, &kit_err));
    }
    CHECK_INT(count_backups(&w, NULL, DYNB_LIST_ALL, NULL), 0);
    CHECK(model_compare_scan(w.table, w.db, "Again", 0));
    world_end(&w);
}

/* ------------------------------------------------------------ retention -- */

static void make_backup(world *w, const char *name)
{
    MUST(dynb_create_backup(w->db, "Past", name, NULL, NULL, &kit_err));
}

/* The names of Past's backups, oldest first, with a space after each. */
static const char *names_of(world *w)
{
    static char names[4096];
    dynb_list_backups_input input;
    dynb_backup_list list;
    uint32_t i;
    size_t used = 0;
    memset(&input, 0, sizeof input);
    input.table = "Past";
    MUST(dynb_list_backups(w->db, &input, &list, &w->result, &kit_err));
    names[0] = 0;
    for (i = 0; i < list.count; ++i)
        used += (size_t)snprintf(names + used, sizeof names - used, "%s ",
                                 list.backups[i].backup_name);
    return names;
}

static void test_retention(void)
{
    dynb_backup_retention rule, got;
    char name[32];
    uint64_t before;
    uint32_t i;
    world w;
    world_begin(&w, 1 << 20, 512, 1);
    w.clock.now_ms = START_MS / DAY_MS * DAY_MS; /* midnight */
    world_open(&w);
    make_tables(&w, 0);
    MUST(switch_recovery(&w, "Past", 0, 0));
    memset(&rule, 0, sizeof rule);
    MUST(dynb_describe_backup_retention(w.db, "Past", &got, &kit_err));
    CHECK(memcmp(&got, &rule, sizeof rule) == 0);
    for (i = 0; i < 12; ++i) { /* each 20 minutes */
        snprintf(name, sizeof name, "b%02u", i);
        write_one(&w);
        make_backup(&w, name);
        w.clock.now_ms += 20 * 60000;
    }
    MUST(dynb_wait_idle(w.db, &kit_err));
    CHECK_TEXT(names_of(&w), "b00 b01 b02 b03 b04 b05 b06 b07 b08 b09 b10 b11 ");
    rule.keep_last = 2;
    rule.keep_hourly = 3;
    MUST(dynb_update_backup_retention(w.db, "Past", &rule, &kit_err));
    MUST(dynb_describe_backup_retention(w.db, ARN "Past", &got, &kit_err));
    CHECK(memcmp(&got, &rule, sizeof rule) == 0);
    MUST(dynb_wait_idle(w.db, &kit_err));
    CHECK_TEXT(names_of(&w), "b05 b08 b10 b11 ");
    write_one(&w);
    make_backup(&w, "b12"); /* being created: not touched, nor counted */
    world_reopen(&w);
    MUST(dynb_wait_idle(w.db, &kit_err));
    CHECK_TEXT(names_of(&w), "b08 b11 b12 ");
    memset(&rule, 0, sizeof rule);
    rule.keep_daily = 2;
    MUST(dynb_update_backup_retention(w.db, "Past", &rule, &kit_err));
    w.clock.now_ms += DAY_MS;
    make_backup(&w, "b13");
    w.clock.now_ms += DAY_MS;
    make_backup(&w, "b14");
    MUST(dynb_wait_idle(w.db, &kit_err));
    CHECK_TEXT(names_of(&w), "b13 b14 ");
    rule.max_age_ms = DAY_MS + 5;
    MUST(dynb_update_backup_retention(w.db, "Past", &rule, &kit_err));
    MUST(dynb_wait_idle(w.db, &kit_err));
    CHECK_TEXT(names_of(&w), "b13 b14 ");
    w.clock.now_ms += 6;
    MUST(dynb_wait_idle(w.db, &kit_err));
    CHECK_TEXT(names_of(&w), "b14 ");
    w.clock.now_ms += 100 * DAY_MS; /* the newest stays */
    MUST(dynb_wait_idle(w.db, &kit_err));
    CHECK_TEXT(names_of(&w), "b14 ");
    MUST(dynb_update_backup_retention(w.db, "Past", NULL, &kit_err));
    before = used_bytes(&w);
    for (i = 0; i < 300; ++i) { /* space comes back */
        write_one(&w);
        make_backup(&w, "many");
        if (i % 50 == 0)
            MUST(dynb_wait_idle(w.db, &kit_err));
    }
    MUST(dynb_wait_idle(w.db, &kit_err));
    rule.max_age_ms = rule.keep_daily = 0;
    rule.keep_last = 1;
    MUST(dynb_update_backup_retention(w.db, "Past", &rule, &kit_err));
    MUST(dynb_wait_idle(w.db, &kit_err));
    MUST(dynb_wait_idle(w.db, &kit_err));
    CHECK_TEXT(names_of(&w), "many ");
    CHECK(used_bytes(&w) < before + (uint64_t)40000);
    rule.keep_last = DYNB_UNLIMITED;
    EXPECT_ABOUT(dynb_update_backup_retention(w.db, "Past", &rule, &kit_err),
                 DYNB_INVALID_ARGUMENT, "too large");
    EXPECT_MESSAGE(dynb_update_backup_retention(w.db, "Nowhere", NULL, &kit_err),
                   DYNB_TABLE_NOT_FOUND, "Table not found: Nowhere");
    EXPECT_MESSAGE(dynb_describe_backup_retention(w.db, "Nowhere", &got, &kit_err),
                   DYNB_TABLE_NOT_FOUND, "Table not found: Nowhere");
    EXPECT_ABOUT(dynb_describe_backup_retention(w.db, "Past", NULL, &kit_err),
                 DYNB_INVALID_ARGUMENT, "out is NULL");
    world_end(&w);
}

/* Backups of a deleted table stay, whatever rule a later table of its name has. */
static void test_retention_of_namesake(void)
{
    dynb_backup_retention rule;
    world w;
    world_begin(&w, 1 << 20, 512, 1);
    w.clock.step_ms = 1;
    world_open(&w);
    make_tables(&w, 0);
    make_backup(&w, "old-0");
    make_backup(&w, "old-1");
    MUST(dynb_wait_idle(w.db, &kit_err));
    MUST(dynb_delete_table(w.db, "Past", NULL, NULL, &kit_err));
    MUST(kit_create_table(w.db, "Past", NULL));
    make_backup(&w, "new-0");
    make_backup(&w, "new-1");
    memset(&rule, 0, sizeof rule);
    rule.keep_last = 1;
    MUST(dynb_update_backup_retention(w.db, "Past", &rule, &kit_err));
    MUST(dynb_wait_idle(w.db, &kit_err));
    CHECK_TEXT(names_of(&w), "old-0 old-1 new-1 ");
    world_end(&w);
}

int main(void)
{
    uint64_t seed = check_seed("test_pitr");
    test_window();
    test_clock();
    test_lag();
    test_update_errors();
    test_restore_errors();
    test_restored_settings();
    test_system_backups();
    test_retention();
    test_retention_of_namesake();
    test_off_and_on();
    test_space();
    test_sliding_window();
    test_between_steps();
    test_rare_writes();
    test_histories(seed);
    test_cuts(seed);
    test_failures();
    test_damage(seed);
    test_damaged_gap();
    return check_report("test_pitr");
}
