/* test_model.c - the store against the naive model, operation by operation.
 *
 * Several settings (tiny pages and 64 KiB of memory, defaults, mapped memory,
 * big items, a device of fixed size), each with tens of thousands of random
 * operations: changes of all kinds (history.h), gets, queries with every
 * condition in both directions page by page, scans in segments, work in small
 * steps, reopening. Every answer is compared; now and then so is everything,
 * backups too; and at the end of each run dynb_check and dynb_scrub must agree.
 *
 * A failure prints the setting, the seed, the step and the operation: SEED=n
 * replays it. Scale: SCALE=100 makes about a million operations. */
#define DYNBACKUP_IMPLEMENTATION
#include "../dynbackup.h"

#include "history.h"

typedef struct setting {
    const char *name;
    uint64_t steps;
    uint64_t memory_bytes;
    uint32_t page_size_bytes, node_size_bytes, log_segment_bytes;
    int manual_work, mappable;
    uint64_t fixed_bytes; /* 0: the device grows */
    dynb_durability durability;
    uint32_t partitions, sorts, pad_max_bytes, big_one_in, big_max_bytes;
    uint32_t compare_one_in, reopen_one_in;
    int verify_always;
    int with_indexes;
} setting;

static const setting settings[] = {
    {"page 512, least memory, work by hand", 300000, CHECK_MEMORY_MIN, 512, 512, 4096, 1, 0, 0,
     DYNB_SYNCED, 20, 15, 60, 0, 0, 1500, 400, 0, 0},
    {"page 512, least memory, writes work", 270000, CHECK_MEMORY_MIN, 512, 512, 0, 0, 0, 0,
     DYNB_TO_OS, 20, 15, 100, 200, 900, 1500, 400, 0, 0},
    {"page 1024, 256 KiB, node of 4 pages", 120000, 262144, 1024, 4096, 8192, 1, 0, 0,
     DYNB_BUFFERED, 40, 30, 200, 0, 0, 1500, 300, 0, 0},
    {"defaults", 180000, 0, 0, 0, 0, 0, 0, 0, DYNB_BUFFERED, 60, 60, 300, 0, 0, 3000, 1500, 0, 0},
    {"defaults, memory lent by the device", 70000, 1 << 20, 0, 0, 0, 0, 1, 0, DYNB_SYNCED, 60, 60,
     300, 100, 5000, 2000, 500, 0, 0},
    {"fixed device of 2 MiB", 70000, 131072, 512, 0, 4096, 1, 0, 2 << 20, DYNB_SYNCED, 12, 12, 100,
     0, 0, 1500, 300, 0, 0},
    {"big items", 6000, 16 << 20, 4096, 0, 0, 0, 0, 0, DYNB_SYNCED, 10, 4, 300, 12, 400000, 500,
     150, 0, 0},
    {"indexes, page 512, 128 KiB, work by hand", 60000, 131072, 512, 512, 4096, 1, 0, 0,
     DYNB_SYNCED, 20, 15, 60, 0, 0, 1000, 400, 0, 1},
    {"indexes, page 512, 128 KiB, writes work", 60000, 131072, 512, 512, 0, 0, 0, 0, DYNB_TO_OS, 20,
     15, 100, 0, 0, 1000, 400, 0, 1},
    {"indexes, defaults", 60000, 0, 0, 0, 0, 0, 0, 0, DYNB_BUFFERED, 60, 60, 300, 0, 0, 2000, 900,
     0, 1},
    {"indexes, fixed device of 4 MiB", 30000, 262144, 512, 0, 4096, 1, 0, 4 << 20, DYNB_SYNCED, 12,
     12, 100, 0, 0, 1000, 300, 0, 1},
    {"indexes, big items", 2500, 32 << 20, 4096, 0, 0, 0, 0, 0, DYNB_SYNCED, 10, 4, 300, 12, 400000,
     500, 150, 0, 1},
};

typedef struct run {
    const setting *set;
    history h;
    fault_device device;
    fault_allocator memory;
    kit_clock clock;
    check_random ids;
    dynb_config config;
    dynb_device callbacks;
    dynb_builder builders[3];
    dynb_result result;
    model_item **found;
    uint32_t found_capacity;
    uint64_t steps, step;
} run;

static int open_store(run *r)
{
    if (dynb_open(&r->h.db, NULL, &r->config, &kit_err) != DYNB_OK)
        return model_differs("open: %s", kit_err.message);
    return 1;
}

static int close_store(run *r)
{
    if (dynb_close(r->h.db, &kit_err) != DYNB_OK)
        return model_differs("close: %s", kit_err.message);
    r->h.db = NULL;
    dynb_result_free(&r->result); /* their memory came from the handle's allocator */
    dynb_result_free(&r->h.result);
    if (r->memory.live_count)
        return model_differs("close: %llu blocks of %llu bytes not freed",
                             (unsigned long long)r->memory.live_count,
                             (unsigned long long)r->memory.live_bytes);
    return 1;
}

static int reopen(run *r)
{
    HISTORY_OP(&r->h, "reopen");
    return close_store(r) && open_store(r);
}

static void make_room(run *r, const model_table *table)
{
    if (r->found_capacity < table->count + 1) {
        r->found_capacity = 2 * table->count + 16;
        r->found = (model_item **)fault_memory(r->found, r->found_capacity * sizeof *r->found);
    }
}

/* -------------------------------------------------------------- reads -- */

static int get(run *r)
{
    const model_table *table = history_pick_table(&r->h);
    dynb_item key = history_make_key(&r->h, table, &r->builders[0]), got;
    model_item *wanted = model_item_new(&table->schema, key);
    const model_item *expected = model_get(table, wanted);
    int same = 1;
    HISTORY_OP(&r->h, "get from %s: %s", table->name, model_text(key));
    if (dynb_get_item(r->h.db, table->name, key, &got, &r->result, &kit_err) != DYNB_OK)
        same = model_differs("get: %s", kit_err.message);
    else if (!model_same_item(expected, got))
        same = model_differs("expected %s %s, got %s", expected ? "an item" : "none",
                             expected ? model_text(model_view(expected)) : "", model_text(got));
    model_item_release(wanted);
    return same;
}

typedef struct question {
    dynb_query_input input;
    model_query query;
    model_key keys[3];
    char texts[3][DYNB_NUMBER_TEXT_SIZE];
    model_item *start;
} question;

/* One attribute value in builder number n. */
static dynb_value make_value(run *r, uint32_t n, dynb_type type, uint32_t pick)
{
    dynb_builder_begin(&r->builders[n]);
    history_add_key(&r->builders[n], "x", type, pick);
    return dynb_item_get(kit_finish(&r->builders[n]), "x");
}

static void ask(run *r, const model_table *table, question *q)
{
    history *h = &r->h;
    const model_schema *schema = &table->schema;
    uint32_t low = history_below(h, h->sort_count), high = history_below(h, h->sort_count);
    memset(q, 0, sizeof *q);
    q->input.table = table->name;
    q->input.descending = q->query.descending = (int)history_below(h, 2);
    q->input.partition_key =
        make_value(r, 0, schema->types[0], history_below(h, h->partition_count));
    q->keys[0] = model_key_of(q->input.partition_key, q->texts[0]);
    q->query.partition = &q->keys[0];
    if (schema->count < 2)
        return;
    q->input.condition = (dynb_sort_condition)history_below(
        h, schema->types[1] == DYNB_N ? DYNB_SORT_BEGINS_WITH : DYNB_SORT_BEGINS_WITH + 1);
    q->query.condition = q->input.condition;
    if (q->input.condition == DYNB_SORT_ANY)
        return;
    q->input.sort_from = make_value(r, 1, schema->types[1], low);
    q->keys[1] = model_key_of(q->input.sort_from, q->texts[1]);
    q->query.from = &q->keys[1];
    if (q->input.condition != DYNB_SORT_BETWEEN)
        return;
    q->input.sort_to = make_value(r, 2, schema->types[1], high);
    q->keys[2] = model_key_of(q->input.sort_to, q->texts[2]);
    q->query.to = &q->keys[2];
    if (model_compare_key(&q->keys[1], &q->keys[2]) > 0) { /* the bounds must be in order */
        dynb_value value = q->input.sort_from;
        q->input.sort_from = q->input.sort_to;
        q->input.sort_to = value;
        q->query.from = &q->keys[2];
        q->query.to = &q->keys[1];
    }
}

/* All pages of the query, in this many items each. */
static int compare_pages(run *r, const model_table *table, question *q)
{
    dynb_page page;
    uint32_t expected, at = 0, i, page_bytes;
    make_room(r, table);
    expected = model_run_query(table, &q->query, r->found);
    do {
        q->input.start_after = model_view(q->start);
        if (dynb_query(r->h.db, &q->input, &page, &r->result, &kit_err) != DYNB_OK)
            return model_differs("query: %s", kit_err.message);
        page_bytes = 0;
        for (i = 0; i < page.count; ++i, ++at) {
            page_bytes += dynb_item_size(page.items[i]);
            if (at >= expected || !model_same_item(r->found[at], page.items[i]))
                return model_differs("match %u of %u: got %s", at, expected,
                                     model_text(page.items[i]));
        }
        model_item_release(q->start);
        q->start = page.last_key.bytes ? model_item_new(&table->schema, page.last_key) : NULL;
        if (q->input.limit && page.count > q->input.limit)
            return model_differs("%u items with limit %u", page.count, q->input.limit);
        if (q->start && (!q->input.limit || page.count < q->input.limit) &&
            page_bytes + DYNB_ITEM_MAX_BYTES < DYNB_PAGE_MAX_BYTES)
            return model_differs("a page of %u items of %u bytes, yet not the last", page.count,
                                 page_bytes);
    } while (q->start);
    return at == expected || model_differs("%u matches, expected %u", at, expected);
}

/* AWS: "The provided starting key is outside query boundaries". */
static int refuse_start(run *r, question *q)
{
    dynb_page page;
    dynb_rc rc;
    q->input.start_after = model_view(q->start);
    rc = dynb_query(r->h.db, &q->input, &page, &r->result, &kit_err);
    return rc == DYNB_VALIDATION ||
           model_differs("a start outside the condition: expected VALIDATION, got %s",
                         kit_code_name(rc));
}

static int query(run *r)
{
    const model_table *table = history_pick_table(&r->h);
    question q;
    int same;
    ask(r, table, &q);
    q.input.limit = history_below(&r->h, 2) ? 0 : 1 + history_below(&r->h, 5);
    if (table->schema.count == 2 && history_below(&r->h, 4) == 0) {
        dynb_builder_begin(&r->h.builder); /* resume at a key that need not exist */
        dynb_add_value(&r->h.builder, "Id", q.input.partition_key);
        history_add_key(&r->h.builder, "Sort", table->schema.types[1],
                        history_below(&r->h, r->h.sort_count));
        q.start = model_item_new(&table->schema, kit_finish(&r->h.builder));
        q.query.start_after = q.start;
        ++q.start->refs; /* compare_pages lets go of one */
    }
    HISTORY_OP(&r->h, "query %s: condition %d, descending %d, limit %u, resumed %d", table->name,
               (int)q.input.condition, q.input.descending, q.input.limit, q.start != NULL);
    if (q.start && !model_matches(&q.query, &q.start->keys[1]))
        same = refuse_start(r, &q);
    else
        same = compare_pages(r, table, &q);
    model_item_release(q.start);
    if (q.query.start_after)
        model_item_release((model_item *)(uintptr_t)q.query.start_after);
    return same;
}

/* One segment's items, in order; marks each in r->found by taking it out. */
static int scan_segment(run *r, const model_table *table, dynb_scan_input *scan)
{
    model_item *last = NULL, *item;
    dynb_page page;
    uint32_t i, at = 0, before = 0;
    int same = 1;
    do {
        scan->start_after = model_view(last);
        if (dynb_scan(r->h.db, scan, &page, &r->result, &kit_err) != DYNB_OK) {
            same = model_differs("scan: %s", kit_err.message);
            break;
        }
        for (i = 0; same && i < page.count; ++i) {
            item = model_item_new(&table->schema, page.items[i]);
            if (!model_find(table, item, &at) || r->found[at] == NULL ||
                !model_same_item(r->found[at], page.items[i]) || at + 1 <= before)
                same = model_differs("segment %u: unexpected, twice or out of order: %s",
                                     scan->segment, model_text(page.items[i]));
            model_item_release(item);
            before = at + 1;
            r->found[at] = NULL;
        }
        model_item_release(last);
        last = page.last_key.bytes ? model_item_new(&table->schema, page.last_key) : NULL;
    } while (same && last);
    model_item_release(last);
    return same;
}

static int scan(run *r)
{
    const model_table *table = history_pick_table(&r->h);
    dynb_scan_input input;
    uint32_t i;
    memset(&input, 0, sizeof input);
    input.table = table->name;
    input.total_segments = history_below(&r->h, 6);
    input.limit = history_below(&r->h, 2) ? 0 : 1 + history_below(&r->h, 30);
    HISTORY_OP(&r->h, "scan %s: %u segments, limit %u", table->name, input.total_segments,
               input.limit);
    make_room(r, table);
    if (table->count)
        memcpy(r->found, table->items, table->count * sizeof *r->found);
    do {
        if (!scan_segment(r, table, &input))
            return 0;
    } while (++input.segment < input.total_segments);
    for (i = 0; i < table->count; ++i)
        if (r->found[i])
            return model_differs("in no segment: %s", model_text(model_view(r->found[i])));
    return 1;
}

/* --------------------------------------------------------------- steps -- */

/* Keeps the memory within bounds when nobody else does. */
static int work(run *r)
{
    uint64_t budget = 1 + check_below(&r->h.random, 6000);
    int pending = 1;
    dynb_stat stat;
    HISTORY_OP(&r->h, "work for %llu bytes", (unsigned long long)budget);
    if (dynb_work(r->h.db, budget, &pending, &kit_err) != DYNB_OK)
        return model_differs("work: %s", kit_err.message);
    if (dynb_get_stat(r->h.db, &stat, &kit_err) != DYNB_OK)
        return model_differs("stat: %s", kit_err.message);
    if (r->set->memory_bytes && stat.memory_peak_bytes > r->set->memory_bytes)
        return model_differs("memory: %llu bytes used, %llu allowed",
                             (unsigned long long)stat.memory_peak_bytes,
                             (unsigned long long)r->set->memory_bytes);
    while (pending && stat.generation_bytes > r->set->memory_bytes / 6 && r->set->manual_work) {
        if (dynb_work(r->h.db, budget * 4, &pending, &kit_err) != DYNB_OK ||
            dynb_get_stat(r->h.db, &stat, &kit_err) != DYNB_OK)
            return model_differs("work: %s", kit_err.message);
    }
    return 1;
}

static int compare_all(run *r)
{
    const int with_indexes = r->set->with_indexes;
    return (!with_indexes || index_compare_all(r->h.db, 0, &r->h.random)) &&
           model_compare_all(&r->h.m, r->h.db, &r->h.random) &&
           (!with_indexes || index_compare_all(r->h.db, !r->set->fixed_bytes, &r->h.random));
}

static int step(run *r)
{
    uint32_t dice = history_below(&r->h, 1000);
    if (r->set->manual_work && r->step % 4 == 0 && !work(r))
        return 0;
    if (history_below(&r->h, r->set->reopen_one_in) == 0)
        return reopen(r);
    if (history_below(&r->h, r->set->compare_one_in) == 0) {
        HISTORY_OP(&r->h, "compare everything");
        return compare_all(r);
    }
    if (dice < 600 || r->h.m.table_count == 0)
        return history_change(&r->h);
    if (dice < 800)
        return get(r);
    if (dice < 930)
        return query(r);
    if (dice < 945)
        return scan(r);
    if (dice < 950) {
        HISTORY_OP(&r->h, "sync");
        return dynb_sync(r->h.db, &kit_err) == DYNB_OK || model_differs("%s", kit_err.message);
    }
    return work(r);
}

static int finish(run *r)
{
    HISTORY_OP(&r->h, "the end");
    if (!compare_all(r))
        return 0;
    if (dynb_check(r->h.db, NULL, NULL, NULL, &kit_err) != DYNB_OK)
        return model_differs("check: %s", kit_err.message);
    if (dynb_scrub(r->h.db, &kit_err) != DYNB_OK)
        return model_differs("scrub: %s", kit_err.message);
    if (!reopen(r) || !compare_all(r) || !close_store(r))
        return 0;
    if (r->device.broken_promise_count || r->memory.broken_count)
        return model_differs("promises to the device or allocator broken");
    return 1;
}

static void start(run *r, const setting *set, uint64_t seed)
{
    memset(r, 0, sizeof *r);
    r->set = set;
    r->steps = check_scaled(set->steps);
    r->clock.now_ms = 1700000000000u;
    r->clock.step_ms = 1;
    r->ids.state = seed;
    r->device.fixed = set->fixed_bytes != 0;
    r->device.mappable = set->mappable;
    fault_start(&r->device, NULL, set->fixed_bytes, set->mappable ? 64u << 20 : 0);
    r->callbacks = fault_device_of(&r->device);
    r->config.device = &r->callbacks;
    r->config.allocator = fault_allocator_of(&r->memory);
    r->config.clock_fn = kit_clock_now;
    r->config.clock_ctx = &r->clock;
    r->config.random_fn = kit_random64;
    r->config.random_ctx = &r->ids;
    r->config.memory_bytes = set->memory_bytes;
    r->config.page_size_bytes = set->page_size_bytes;
    r->config.node_size_bytes = set->node_size_bytes;
    r->config.log_segment_bytes = set->log_segment_bytes;
    r->config.durability = set->durability;
    r->config.manual_work = set->manual_work;
    r->config.verify_always = set->verify_always;
    r->config.create_backup_per_second = DYNB_UNLIMITED;
    r->h.durability = set->durability;
    r->h.mix_durability = 1;
    r->h.partition_count = set->partitions;
    r->h.sort_count = set->sorts;
    r->h.pad_max_bytes = set->pad_max_bytes;
    r->h.big_one_in = set->big_one_in;
    r->h.big_max_bytes = set->big_max_bytes;
    r->h.with_indexes = set->with_indexes;
}

static void run_setting(const setting *set, uint64_t seed)
{
    static run r;
    int same;
    uint32_t i;
    start(&r, set, seed);
    same = open_store(&r);
    history_begin(&r.h, r.h.db, seed);
    for (r.step = 0; same && r.step < r.steps; ++r.step)
        same = step(&r);
    if (same)
        same = finish(&r);
    if (!same)
        printf("%s (page %u, node %u, memory %llu, log %u, manual %d, fixed %llu): SEED=%llu, "
               "step %llu: %s\n    %s\n",
               set->name, set->page_size_bytes, set->node_size_bytes,
               (unsigned long long)set->memory_bytes, set->log_segment_bytes, set->manual_work,
               (unsigned long long)set->fixed_bytes, (unsigned long long)seed,
               (unsigned long long)r.step, r.h.op, model_difference);
    else
        printf("    %s: %llu operations, %llu changes, %llu device bytes, peak memory %llu\n",
               set->name, (unsigned long long)r.step, (unsigned long long)r.h.issued,
               (unsigned long long)r.device.current_bytes,
               (unsigned long long)r.memory.peak_bytes);
    CHECK(same);
    if (r.h.db)
        (void)dynb_close(r.h.db, NULL);
    for (i = 0; i < 3; ++i)
        dynb_builder_free(&r.builders[i]);
    dynb_result_free(&r.result);
    free(r.found);
    history_free(&r.h);
    fault_free(&r.device);
}

/* Any sizes that go together, with memory for some twenty nodes. */
static setting random_setting(uint64_t seed)
{
    check_random random;
    setting set = settings[0];
    uint64_t memory;
    random.state = seed;
    set.name = "random setting";
    set.steps = 12000;
    set.page_size_bytes = 512u << check_below(&random, 8);
    set.node_size_bytes = set.page_size_bytes * (uint32_t)(1 + check_below(&random, 4));
    if (set.node_size_bytes > 32768)
        set.node_size_bytes = set.page_size_bytes > 32768 ? 0 : 32768;
    memory = 49u * (set.page_size_bytes > set.node_size_bytes ? set.page_size_bytes
                                                              : set.node_size_bytes);
    set.memory_bytes = (45056 + memory) << check_below(&random, 3); /* see dynb_config */
    set.log_segment_bytes = (uint32_t)check_below(&random, 3) * 8192;
    set.manual_work = (int)check_below(&random, 2);
    set.mappable = check_below(&random, 4) == 0;
    set.fixed_bytes = check_below(&random, 4) == 0 ? 2 * set.memory_bytes + (8u << 20) : 0;
    set.memory_bytes += set.fixed_bytes / set.page_size_bytes; /* the map of its pages */
    set.durability = (dynb_durability)check_below(&random, 3);
    set.partitions = 1 + (uint32_t)check_below(&random, 60);
    set.sorts = 1 + (uint32_t)check_below(&random, 60);
    set.pad_max_bytes = 10 + (uint32_t)check_below(&random, 200);
    set.compare_one_in = 400;
    set.reopen_one_in = 200;
    set.verify_always = (int)check_below(&random, 2);
    return set;
}

int main(void)
{
    uint64_t seed = check_seed("test_model"), only = check_env("ONLY", 0);
    setting set;
    uint32_t i;
    for (i = 0; i < sizeof settings / sizeof *settings; ++i)
        if (!only || only == i + 1)
            run_setting(&settings[i], seed + i);
    for (; i < check_env("RANDOM", 8) + sizeof settings / sizeof *settings; ++i) {
        set = random_setting(seed + i);
        if (!only || only == i + 1)
            run_setting(&set, seed + i);
    }
    return check_report("test_model");
}
