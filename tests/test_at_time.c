/* test_at_time.c - a table's past read and compared without restoring it.
 *
 * Random histories on the naive model, which keeps the table after every single
 * write: at each write, and the milliseconds around it, scans, gets and queries
 * at that time give the model's state, and comparing two times, a time and the
 * live table, a time and a backup gives what differs between the model's two
 * arrays; also after folding, closing and kills, with a clock that stands
 * still, steps back and jumps ahead.
 *
 * Then: how long a state is kept and what it holds; that its pages are its own
 * while it is kept, and free when it is not, also after a crash; each error;
 * every allocation and every device call failing in turn. */
#include "store.h"

#include "model.h"

#define HOUR_MS ((uint64_t)3600000)
#define DAY_MS (24 * HOUR_MS)

typedef struct world {
    store s;
    check_random random;
    dynb_builder builder;
    model_table *table; /* "Past" */
    model_past past;
    uint64_t log_ms; /* the latest time of any write */
    char arn[DYNB_ARN_MAX + 1]; /* of a backup, and what it holds */
    model_table *copy;
} world;

static dynb_rc switch_recovery(dynb *db, const char *table, int on)
{
    dynb_update_continuous_backups_input input;
    memset(&input, 0, sizeof input);
    input.table = table;
    input.point_in_time_recovery = on;
    return dynb_update_continuous_backups(db, &input, NULL, &kit_err);
}

static void world_begin(world *w, uint64_t memory_bytes, uint64_t seed)
{
    memset(w, 0, sizeof *w);
    store_begin(&w->s);
    w->s.clock.step_ms = 0;
    w->s.config.memory_bytes = memory_bytes;
    w->s.config.log_segment_bytes = seed % 2 ? 2048 : 0;
    w->s.config.durability = (dynb_durability)(seed % 3);
    w->random.state = seed;
    store_open(&w->s);
}

/* Table "Past", with recovery, and "Noise", without. */
static void make_tables(world *w)
{
    model_schema schema;
    memset(&schema, 0, sizeof schema);
    kit_copy(schema.names[0], sizeof schema.names[0], "Id");
    kit_copy(schema.names[1], sizeof schema.names[1], "At");
    schema.types[0] = DYNB_S;
    schema.types[1] = DYNB_N;
    schema.count = 2;
    MUST(kit_create_table(w->s.db, "Past", "At"));
    MUST(kit_create_table(w->s.db, "Noise", NULL));
    w->table = model_table_new("Past", &schema);
    MUST(switch_recovery(w->s.db, "Past", 1));
    w->log_ms = w->s.clock.now_ms;
    model_remember(&w->past, w->table, w->log_ms);
}

static void world_end(world *w)
{
    MUST(dynb_check(w->s.db, NULL, NULL, NULL, &kit_err));
    MUST(dynb_scrub(w->s.db, &kit_err));
    if (w->table)
        model_table_free(w->table);
    if (w->copy)
        model_table_free(w->copy);
    model_past_free(&w->past);
    dynb_builder_free(&w->builder);
    store_end(&w->s);
}

static dynb_item random_item(world *w, int is_key)
{
    char id[16];
    dynb_builder_begin(&w->builder);
    snprintf(id, sizeof id, "a%u", (unsigned)check_below(&w->random, 9));
    dynb_add_string(&w->builder, "Id", id, (size_t)-1);
    dynb_add_int(&w->builder, "At", (int64_t)check_below(&w->random, 12));
    if (!is_key) {
        char pad[300];
        size_t size = (size_t)check_below(&w->random, check_below(&w->random, 20) ? 40 : 300);
        memset(pad, 'x', sizeof pad);
        dynb_add_int(&w->builder, "v", (int64_t)check_below(&w->random, 1000));
        dynb_add_string(&w->builder, "pad", pad, size);
    }
    return kit_finish(&w->builder);
}

static void write_one(world *w)
{
    const int is_delete = check_below(&w->random, 4) == 0;
    dynb_item item = random_item(w, is_delete);
    model_item *made = model_item_new(&w->table->schema, item);
    if (is_delete) {
        model_item_release(model_delete(w->table, made));
        model_item_release(made);
        MUST(dynb_delete_item(w->s.db, "Past", item, NULL, NULL, NULL, &kit_err));
    } else {
        model_item_release(model_put(w->table, made));
        MUST(dynb_put_item(w->s.db, "Past", item, NULL, NULL, NULL, &kit_err));
    }
    if (w->s.clock.now_ms > w->log_ms)
        w->log_ms = w->s.clock.now_ms;
    model_remember(&w->past, w->table, w->log_ms);
}

static void step_clock(world *w)
{
    switch (check_below(&w->random, 12)) {
    case 0: w->s.clock.now_ms -= check_below(&w->random, 50); break;
    case 1: w->s.clock.now_ms += check_below(&w->random, 5000); break;
    case 2:
    case 3: break; /* the same millisecond */
    default: w->s.clock.now_ms += 1 + check_below(&w->random, 3);
    }
}

static const model_table *state_at(const world *w, uint64_t time_ms)
{
    return model_state_at(&w->past, w->past.count, time_ms);
}

static int scan_at(world *w, uint64_t time_ms)
{
    const model_table *table = state_at(w, time_ms);
    dynb_scan_input scan;
    dynb_page page;
    model_item *last = NULL;
    uint32_t at = 0, i;
    int same = 1;
    memset(&scan, 0, sizeof scan);
    scan.table = "Past";
    scan.use_time = 1;
    scan.time_ms = time_ms;
    scan.limit = check_below(&w->random, 2) ? 0 : 1 + (uint32_t)check_below(&w->random, 60);
    do {
        if (dynb_scan(w->s.db, &scan, &page, &w->s.result, &kit_err) != DYNB_OK) {
            same = model_differs("scan: %s", kit_err.message);
            break;
        }
        for (i = 0; same && i < page.count; ++i, ++at)
            if (at >= table->count || !model_same_item(table->items[at], page.items[i]))
                same = model_differs("scan: item %u of %u: got %s", at, table->count,
                                     model_text(page.items[i]));
        model_item_release(last);
        last = page.last_key.bytes ? model_item_new(&table->schema, page.last_key) : NULL;
        scan.start_after = model_view(last);
    } while (same && last);
    model_item_release(last);
    return same && at != table->count ? model_differs("scan: %u of %u", at, table->count) : same;
}

/* A key that may or may not be there, and its partition, backwards. */
static int get_at(world *w, uint64_t time_ms)
{
    const model_table *table = state_at(w, time_ms);
    dynb_item key = random_item(w, 1), got;
    model_item *made = model_item_new(&table->schema, key);
    const model_item *expected = model_get(table, made);
    dynb_query_input query;
    dynb_source source;
    dynb_page page;
    uint32_t count = 0, i;
    int same = 1;
    memset(&source, 0, sizeof source);
    source.table = "Past";
    source.use_time = 1;
    source.time_ms = time_ms;
    if (dynb_get_item_at(w->s.db, &source, key, &got, &w->s.result, &kit_err) != DYNB_OK)
        same = model_differs("get: %s", kit_err.message);
    else if (expected ? !model_same_item(expected, got) : got.bytes != NULL)
        same = model_differs("get: got %s", model_text(got));
    memset(&query, 0, sizeof query);
    query.table = "Past";
    query.partition_key = dynb_item_get(key, "Id");
    query.descending = 1;
    query.use_time = 1;
    query.time_ms = time_ms;
    if (same && dynb_query(w->s.db, &query, &page, &w->s.result, &kit_err) != DYNB_OK)
        same = model_differs("query: %s", kit_err.message);
    for (i = table->count; same && i > 0; --i) {
        const model_item *item = table->items[i - 1];
        dynb_value id = dynb_item_get(model_view(item), "Id");
        if (id.size_bytes != query.partition_key.size_bytes ||
            memcmp(id.bytes, query.partition_key.bytes, id.size_bytes) != 0)
            continue;
        if (count >= page.count || !model_same_item(item, page.items[count++]))
            same = model_differs("query: item %u of %u", count, page.count);
    }
    if (same && count != page.count)
        same = model_differs("query: %u items, expected %u", page.count, count);
    model_item_release(made);
    return same;
}

/* What differs between the arrays of two states. */
static int compare_sides(world *w, const dynb_source *from, const model_table *a,
                         const dynb_source *to, const model_table *b)
{
    dynb_compare_input input;
    dynb_difference_page page;
    model_item *last = NULL;
    uint32_t i = 0, j = 0, k;
    int same = 1;
    memset(&input, 0, sizeof input);
    input.from = *from;
    input.to = *to;
    input.limit = check_below(&w->random, 2) ? 0 : 1 + (uint32_t)check_below(&w->random, 9);
    do {
        if (dynb_compare(w->s.db, &input, &page, &w->s.result, &kit_err) != DYNB_OK) {
            same = model_differs("compare: %s", kit_err.message);
            break;
        }
        model_item_release(last);
        last = page.last_key.bytes ? model_item_new(&a->schema, page.last_key) : NULL;
        input.start_after = model_view(last);
        for (k = 0; same && (k < page.count || (!last && (i < a->count || j < b->count)));) {
            const model_item *x = i < a->count ? a->items[i] : NULL;
            const model_item *y = j < b->count ? b->items[j] : NULL;
            int order = !x ? 1 : !y ? -1 : model_compare_items(&a->schema, x, y);
            if (!x && !y)
                return model_differs("compare: more than there are");
            i += order <= 0;
            j += order >= 0;
            if (order == 0 && model_same_item(x, model_view(y)))
                continue;
            if (k == page.count || !model_same_item(order <= 0 ? x : NULL,
                                                    page.differences[k].old_item) ||
                !model_same_item(order >= 0 ? y : NULL, page.differences[k].new_item))
                same = model_differs("compare: difference %u of %u", k, page.count);
            ++k;
        }
    } while (same && last);
    model_item_release(last);
    return same;
}

static dynb_source source_at(uint64_t time_ms)
{
    dynb_source source;
    memset(&source, 0, sizeof source);
    source.table = "Past";
    source.use_time = 1;
    source.time_ms = time_ms;
    return source;
}

/* The time against another one, the live table, or the backup. */
static int compare_at(world *w, uint64_t time_ms)
{
    const dynb_source at = source_at(time_ms);
    const model_table *expected = state_at(w, time_ms), *other;
    dynb_source source;
    uint64_t other_ms = w->past.times_ms[check_below(&w->random, w->past.count)];
    memset(&source, 0, sizeof source);
    switch (check_below(&w->random, 3)) {
    case 0:
        source = source_at(other_ms);
        other = state_at(w, other_ms);
        break;
    case 1:
        source.table = "Past";
        other = w->table;
        break;
    default:
        source.backup_arn = w->arn;
        other = w->copy;
        if (!other)
            return 1;
    }
    return check_below(&w->random, 2) ? compare_sides(w, &at, expected, &source, other)
                                      : compare_sides(w, &source, other, &at, expected);
}

static int same_at(world *w, uint64_t time_ms)
{
    int same = scan_at(w, time_ms) && get_at(w, time_ms) && compare_at(w, time_ms);
    if (!same)
        printf("    at %llu of %u writes: %s\n", (unsigned long long)time_ms, w->past.count,
               model_difference);
    return same;
}

static dynb_continuous_backups window_of(world *w)
{
    dynb_continuous_backups about;
    MUST(dynb_describe_continuous_backups(w->s.db, "Past", &about, &kit_err));
    return about;
}

/* Each boundary, and the milliseconds beside it. */
static void compare_past(world *w, uint32_t step)
{
    const dynb_continuous_backups about = window_of(w);
    uint32_t i;
    int beside;
    for (i = 0; i < w->past.count && !check_failed_count; i += step) {
        for (beside = -1; beside <= 1; ++beside) {
            uint64_t time_ms = w->past.times_ms[i] + (uint64_t)(int64_t)beside;
            if (time_ms >= about.earliest_restorable_ms && time_ms <= about.latest_restorable_ms)
                CHECK(same_at(w, time_ms));
        }
    }
}

static void take_backup(world *w)
{
    if (w->copy)
        model_table_free(w->copy);
    back_up(&w->s, "Past", w->arn);
    w->copy = model_table_copy(w->table);
    if (w->s.clock.now_ms > w->log_ms)
        w->log_ms = w->s.clock.now_ms;
}

static void run_history(uint64_t seed, uint32_t count, uint64_t memory_bytes)
{
    world w;
    uint32_t i;
    world_begin(&w, memory_bytes, seed);
    w.s.config.manual_work = seed % 2;
    make_tables(&w);
    for (i = 0; i < count && !check_failed_count; ++i) {
        step_clock(&w);
        write_one(&w);
        switch (check_below(&w.random, 30)) {
        case 0: MUST(dynb_wait_idle(w.s.db, &kit_err)); break;
        case 1: MUST(dynb_work(w.s.db, 4096, NULL, &kit_err)); break;
        case 2: store_reopen(&w.s); break;
        case 3:
            MUST(dynb_sync(w.s.db, &kit_err));
            store_crash(&w.s);
            break;
        case 4: take_backup(&w); break;
        case 5:
        case 6: CHECK(same_at(&w, w.past.times_ms[check_below(&w.random, w.past.count)])); break;
        default: break;
        }
        if (w.s.db->log.tail.time_ms > w.log_ms)
            w.log_ms = w.s.db->log.tail.time_ms; /* the builder writes, too */
    }
    compare_past(&w, 1);
    MUST(dynb_wait_idle(w.s.db, &kit_err));
    store_reopen(&w.s);
    compare_past(&w, 5);
    if (check_failed_count)
        printf("    history SEED=%llu, %llu bytes of memory\n", (unsigned long long)seed,
               (unsigned long long)memory_bytes);
    world_end(&w);
}

static void test_histories(uint64_t seed)
{
    static const uint64_t memory_bytes[] = {131072, 1 << 20, 131072, 1 << 18};
    uint64_t i, count = check_scaled(8);
    for (i = 0; i < count && !check_failed_count; ++i)
        run_history(seed + i, 300, memory_bytes[i % 4]);
}

/* ------------------------------------------------------ what a state is -- */

static uint32_t pasts_of(const dynb *db)
{
    const dynbi_past *past;
    uint32_t count = 0;
    for (past = db->past; past; past = past->next) {
        ++count;
        CHECK_INT(past->user_count, 0);
    }
    return count;
}

static int64_t count_at(world *w, const char *table, uint64_t time_ms)
{
    dynb_scan_input scan;
    dynb_page page;
    int64_t count = 0;
    memset(&scan, 0, sizeof scan);
    scan.table = table;
    scan.use_time = 1;
    scan.time_ms = time_ms;
    do {
        if (!EXPECT(dynb_scan(w->s.db, &scan, &page, &w->s.result, &kit_err), DYNB_OK))
            return -1;
        count += page.count;
        scan.start_after = page.last_key;
    } while (page.last_key.bytes);
    return count;
}

static void begin_plain(world *w, uint64_t memory_bytes)
{
    world_begin(w, memory_bytes, 0);
    w->s.config.memory_bytes = memory_bytes;
    MUST(kit_create_table(w->s.db, "Past", NULL));
    MUST(switch_recovery(w->s.db, "Past", 1));
}

/* A few states are kept, the last used ones; one whose time may still get
 * changes only as long as none came. */
static void test_kept(void)
{
    const dynbi_past *first;
    uint64_t start_ms;
    uint32_t i;
    world w;
    begin_plain(&w, 1 << 20);
    start_ms = w.s.clock.now_ms;
    for (i = 0; i < 10; ++i) {
        ++w.s.clock.now_ms;
        fill(&w.s, "Past", (char)('a' + i), 1, 1, 10);
    }
    CHECK_INT(count_at(&w, "Past", start_ms + 3), 3);
    first = w.s.db->past;
    CHECK(first->log_lsn == DYNBI_PAST_FINAL);
    CHECK_INT(count_at(&w, "Past", start_ms + 5), 5);
    CHECK_INT(count_at(&w, "Past", start_ms + 3), 3);
    CHECK(w.s.db->past == first); /* not made again, and now the first to stay */
    for (i = 6; i < 9; ++i)
        CHECK_INT(count_at(&w, "Past", start_ms + i), i);
    CHECK_INT(pasts_of(w.s.db), DYNBI_PASTS);
    CHECK_INT(count_at(&w, "Past", start_ms + 3), 3);
    CHECK(w.s.db->past == first);
    CHECK_INT(count_at(&w, "Past", start_ms + 10), 10); /* now */
    first = w.s.db->past;
    CHECK(first->log_lsn == w.s.db->log.tail.lsn);
    CHECK_INT(count_at(&w, "Past", start_ms + 10), 10);
    CHECK(w.s.db->past == first);
    fill(&w.s, "Past", 'x', 1, 1, 10); /* the same millisecond */
    CHECK_INT(count_at(&w, "Past", start_ms + 10), 11);
    w.s.clock.now_ms += 100;
    CHECK_INT(count_at(&w, "Past", start_ms + 60), 11);
    w.s.clock.now_ms -= 50; /* back, before anything was logged: this is still to come */
    fill(&w.s, "Past", 'y', 1, 1, 10);
    w.s.clock.now_ms += 50;
    CHECK_INT(count_at(&w, "Past", start_ms + 60), 12);
    dynbi_store_drop_kept(w.s.db);
    CHECK_INT(pasts_of(w.s.db), 0);
    world_end(&w);
}

/* What ends a state: its table's end, recovery switched off, the window. */
static void test_ended(void)
{
    dynb_create_table_input input;
    uint64_t start_ms;
    world w;
    begin_plain(&w, 1 << 20);
    memset(&input, 0, sizeof input);
    start_ms = w.s.clock.now_ms++;
    fill(&w.s, "Past", 'a', 3, 1, 10);
    ++w.s.clock.now_ms;
    fill(&w.s, "Past", 'b', 3, 1, 10);
    CHECK_INT(count_at(&w, "Past", start_ms + 1), 3);
    CHECK_INT(pasts_of(w.s.db), 1);
    MUST(switch_recovery(w.s.db, "Past", 0));
    MUST(switch_recovery(w.s.db, "Past", 1));
    start_ms = w.s.clock.now_ms++;
    CHECK_INT(count_at(&w, "Past", start_ms), 6);
    CHECK_INT(pasts_of(w.s.db), 1); /* the one of before is gone */
    fill(&w.s, "Past", 'c', 1, 1, 10);
    CHECK_INT(count_at(&w, "Past", start_ms), 6);
    MUST(dynb_delete_table(w.s.db, "Past", NULL, NULL, &kit_err));
    MUST(kit_create_table(w.s.db, "Past", NULL));
    MUST(switch_recovery(w.s.db, "Past", 1));
    start_ms = w.s.clock.now_ms++;
    fill(&w.s, "Past", 'd', 2, 1, 10);
    CHECK_INT(count_at(&w, "Past", start_ms), 0); /* another table */
    CHECK_INT(pasts_of(w.s.db), 1);
    w.s.clock.now_ms += 36 * DAY_MS;
    CHECK_INT(count_at(&w, "Past", w.s.clock.now_ms), 2);
    CHECK_INT(pasts_of(w.s.db), 1); /* the other one's time is over */
    world_end(&w);
}

static uint64_t used_bytes(world *w)
{
    dynb_stat stat;
    MUST(dynb_get_stat(w->s.db, &stat, &kit_err));
    return stat.used_bytes;
}

/* Looks for free pages. */
static void mark_all(world *w)
{
    w->s.db->wants_space = 1;
    fill(&w->s, "Past", 'z', 1, 1, 10);
    MUST(dynb_wait_idle(w->s.db, &kit_err));
    CHECK(!w->s.db->worker->is_marking);
}

/* More changes than a generation holds: folded to pages that are the state's
 * own, kept by a marking as long as it is, and lost by a crash. */
static void test_folded(void)
{
    uint64_t start_ms, then_ms, used;
    uint32_t i, runs, n;
    world w;
    begin_plain(&w, 262144);
    w.s.config.memory_bytes = 262144;
    start_ms = w.s.clock.now_ms++;
    fill(&w.s, "Past", 'a', 400, 1, 300);
    then_ms = w.s.clock.now_ms++;
    fill(&w.s, "Past", 'b', 50, 1, 300);
    MUST(dynb_wait_idle(w.s.db, &kit_err));
    CHECK_INT(count_at(&w, "Past", start_ms), 0);
    CHECK_INT(w.s.db->past->table->sets[0].count, 0);
    dynbi_store_drop_kept(w.s.db);
    mark_all(&w);
    used = used_bytes(&w);
    CHECK_INT(count_at(&w, "Past", then_ms), 400);
    runs = w.s.db->past->table->sets[0].count;
    CHECK(runs > 0 && w.s.db->past->table->newest);
    CHECK(used_bytes(&w) > used + 30000);
    MUST(dynb_check(w.s.db, NULL, NULL, NULL, &kit_err));
    for (i = 0; i < 3; ++i) { /* everything is written anew around it */
        for (n = 0; n < 4; ++n)
            fill(&w.s, "Past", (char)('a' + n), 100, 2 + i, 300);
        w.s.clock.now_ms += HOUR_MS;
        mark_all(&w);
        CHECK_INT(pasts_of(w.s.db), 1);
        forget_reads(&w.s);
        CHECK_INT(count_at(&w, "Past", then_ms), 400);
        CHECK_INT(w.s.db->past->table->sets[0].count, runs);
    }
    MUST(dynb_sync(w.s.db, &kit_err));
    used = used_bytes(&w);
    dynbi_store_drop_kept(w.s.db);
    mark_all(&w);
    CHECK(used_bytes(&w) + 30000 < used);
    used = used_bytes(&w);
    CHECK_INT(count_at(&w, "Past", then_ms), 400);
    CHECK(used_bytes(&w) > used + 30000);
    store_crash(&w.s);
    CHECK(used_bytes(&w) < used + 30000);
    CHECK_INT(count_at(&w, "Past", then_ms), 400);
    w.s.clock.now_ms += 40 * DAY_MS; /* its window passes: the marking itself drops it */
    mark_all(&w);
    CHECK_INT(pasts_of(w.s.db), 0);
    world_end(&w);
}

/* Where space is short, what is kept for reading gives its pages back. */
static void test_space(void)
{
    uint64_t then_ms;
    world w;
    begin_plain(&w, 262144);
    ++w.s.clock.now_ms;
    fill(&w.s, "Past", 'a', 400, 1, 300);
    then_ms = w.s.clock.now_ms++;
    fill(&w.s, "Past", 'b', 50, 1, 300);
    MUST(dynb_wait_idle(w.s.db, &kit_err));
    CHECK_INT(count_at(&w, "Past", then_ms), 400);
    CHECK_INT(pasts_of(w.s.db), 1);
    leave_headroom(&w.s);
    CHECK_INT(kit_put(w.s.db, "Past", "late", 1), DYNB_NO_SPACE); /* nor is this enough */
    CHECK_INT(pasts_of(w.s.db), 0);
    w.s.db->disk.device.resize_fn = w.s.callbacks.resize_fn;
    CHECK_INT(count_at(&w, "Past", then_ms), 400);
    world_end(&w);
}

/* A marking that finds no memory for the list of states does not begin. */
static void test_mark_memory(void)
{
    dynbi_worker *worker;
    uint32_t n;
    world w;
    begin_plain(&w, 1 << 20);
    fill(&w.s, "Past", 'a', 100, 1, 100);
    MUST(dynb_wait_idle(w.s.db, &kit_err));
    CHECK_INT(count_at(&w, "Past", w.s.clock.now_ms), 100);
    CHECK(w.s.db->past->table->sets[0].count > 0);
    worker = w.s.db->worker;
    for (n = 1; n < 4; ++n) { /* the catalog's list, the states', the map */
        w.s.memory.call_count = 0;
        w.s.memory.fail_at = n;
        EXPECT_MESSAGE(dynbi_mark_start(worker, &kit_err), DYNB_NO_MEMORY,
                       "no memory to find the free pages");
        w.s.memory.fail_at = 0;
        CHECK(!worker->is_marking && !worker->mark_pasts.run);
    }
    MUST(dynbi_mark_start(worker, &kit_err));
    CHECK(worker->mark_pasts.count > 0);
    MUST(dynbi_mark_start(worker, &kit_err)); /* anew */
    while (worker->is_marking) /* a little at a time */
        MUST(dynbi_mark_step(worker, 1, &kit_err));
    CHECK_INT(count_at(&w, "Past", w.s.clock.now_ms), 100);
    world_end(&w);
}

/* States that are kept for the next read leave dynb_check and dynb_scrub the
 * memory they need. */
static void test_check_memory(void)
{
    uint32_t attempt;
    for (attempt = 0; attempt < 2; ++attempt) {
        uint64_t budget_bytes;
        world w;
        begin_plain(&w, 1 << 20);
        fill(&w.s, "Past", 'a', 20, 1, 3000);
        ++w.s.clock.now_ms;
        fill(&w.s, "Past", 'a', 1, 2, 3000);
        CHECK_INT(count_at(&w, "Past", w.s.clock.now_ms - 1), 20);
        CHECK(w.s.db->past != NULL);
        forget_reads(&w.s);
        budget_bytes = w.s.db->memory.budget_bytes;
        w.s.db->memory.budget_bytes = w.s.db->memory.used_bytes + 256;
        if (attempt)
            EXPECT(dynb_scrub(w.s.db, &kit_err), DYNB_OK);
        else
            EXPECT(dynb_check(w.s.db, NULL, NULL, NULL, &kit_err), DYNB_OK);
        w.s.db->memory.budget_bytes = budget_bytes;
        world_end(&w);
    }
}

/* A state made between any two steps of the builder, kept through all of the
 * others. */
static void test_between_steps(void)
{
    uint32_t at, step;
    int pending;
    for (at = 0; at < 60 && !check_failed_count; ++at) {
        uint64_t then_ms;
        world w;
        begin_plain(&w, 131072);
        ++w.s.clock.now_ms;
        fill(&w.s, "Past", 'a', 60, 1, 200);
        then_ms = w.s.clock.now_ms++;
        MUST(dynb_wait_idle(w.s.db, &kit_err));
        fill(&w.s, "Past", 'a', 60, 2, 200);
        fill(&w.s, "Past", 'b', 60, 2, 200);
        w.s.db->wants_space = 1;
        for (step = 0, pending = 1; pending || step <= at; ++step) {
            if (step == at)
                CHECK_INT(count_at(&w, "Past", then_ms), 60);
            MUST(dynb_work(w.s.db, 512, &pending, &kit_err));
        }
        for (step = 0; step < 2; ++step) {
            fill(&w.s, "Past", 'c', 60, 3, 200);
            mark_all(&w);
            forget_reads(&w.s);
            CHECK_INT(count_at(&w, "Past", then_ms), 60);
        }
        world_end(&w);
    }
}

/* --------------------------------------------------------------- errors -- */

static dynb_rc get(world *w, const char *table, const char *arn, uint64_t time_ms)
{
    dynb_source source;
    dynb_item got;
    memset(&source, 0, sizeof source);
    source.table = table;
    source.backup_arn = arn;
    source.use_time = 1;
    source.time_ms = time_ms;
    return dynb_get_item_at(w->s.db, &source, kit_item(&w->builder, "a00000", -1), &got,
                            &w->s.result, &kit_err);
}

/* Contract 1.6: as a restore, in its order. */
static void test_errors(void)
{
    dynb_compare_input compare;
    dynb_difference_page differences;
    dynb_query_input query;
    dynb_scan_input scan;
    dynb_page page;
    char arn[DYNB_ARN_MAX + 1];
    uint64_t start_ms;
    world w;
    begin_plain(&w, 1 << 20);
    start_ms = w.s.clock.now_ms;
    MUST(kit_create_table(w.s.db, "Noise", NULL));
    fill(&w.s, "Past", 'a', 3, 1, 10);
    back_up(&w.s, "Past", arn);
    EXPECT_MESSAGE(get(&w, "None", NULL, 1), DYNB_TABLE_NOT_FOUND, "Table not found: None");
    EXPECT_MESSAGE(get(&w, "Noise", NULL, 1), DYNB_POINT_IN_TIME_RECOVERY_UNAVAILABLE,
                   "Point in time recovery is not enabled for table 'Noise'");
    EXPECT_MESSAGE(get(&w, "Past", NULL, start_ms - 1), DYNB_INVALID_RESTORE_TIME,
                   "RestoreDateTime '2023-11-14T22:13:19Z' must be within "
                   "EarliestRestorableDateTime '2023-11-14T22:13:20Z' and "
                   "LatestRestorableDateTime '2023-11-14T22:13:20Z'");
    EXPECT(get(&w, "Past", NULL, w.s.clock.now_ms + 1), DYNB_INVALID_RESTORE_TIME);
    EXPECT(get(&w, "Past", NULL, 0), DYNB_INVALID_RESTORE_TIME);
    EXPECT_MESSAGE(get(&w, NULL, arn, start_ms), DYNB_INVALID_ARGUMENT,
                   "a time goes with a table; leave backup_arn NULL, or use_time 0");
    EXPECT(get(&w, "Past", arn, start_ms), DYNB_INVALID_ARGUMENT);
    EXPECT(get(&w, NULL, NULL, start_ms), DYNB_INVALID_ARGUMENT);
    EXPECT(get(&w, "bad name!", NULL, start_ms), DYNB_VALIDATION);
    memset(&scan, 0, sizeof scan);
    scan.table = "Past";
    scan.use_time = 1;
    scan.time_ms = start_ms;
    scan.index_name = "ByV";
    EXPECT_MESSAGE(dynb_scan(w.s.db, &scan, &page, &w.s.result, &kit_err), DYNB_VALIDATION,
                   "The table does not have the specified index: ByV");
    scan.table = "None";
    EXPECT(dynb_scan(w.s.db, &scan, &page, &w.s.result, &kit_err), DYNB_TABLE_NOT_FOUND);
    memset(&query, 0, sizeof query);
    query.table = "Past";
    query.use_time = 1;
    EXPECT(dynb_query(w.s.db, &query, &page, &w.s.result, &kit_err), DYNB_INVALID_RESTORE_TIME);
    memset(&compare, 0, sizeof compare);
    compare.from = source_at(start_ms);
    compare.to = source_at(start_ms - 1);
    EXPECT(dynb_compare(w.s.db, &compare, &differences, &w.s.result, &kit_err),
           DYNB_INVALID_RESTORE_TIME);
    compare.to = source_at(start_ms);
    compare.to.use_time = 0;
    compare.to.table = "None";
    EXPECT(dynb_compare(w.s.db, &compare, &differences, &w.s.result, &kit_err),
           DYNB_RESOURCE_NOT_FOUND);
    compare.from.table = "None";
    EXPECT(dynb_compare(w.s.db, &compare, &differences, &w.s.result, &kit_err),
           DYNB_TABLE_NOT_FOUND);
    CHECK_INT(pasts_of(w.s.db), 1);
    world_end(&w);
}

/* A store opened read-only reads its past, as far as memory goes; one whose
 * device has failed does not. */
static void test_read_only(void)
{
    uint64_t times_ms[8];
    uint32_t i, read_count = 0, short_count = 0;
    world w;
    begin_plain(&w, 1 << 20);
    for (i = 0; i < 8; ++i) {
        ++w.s.clock.now_ms;
        fill(&w.s, "Past", (char)('a' + i), 200, 1, 300);
        times_ms[i] = w.s.clock.now_ms;
    }
    MUST(dynb_wait_idle(w.s.db, &kit_err));
    w.s.config.memory_bytes = 262144;
    w.s.config.read_only = 1;
    store_reopen(&w.s);
    for (i = 0; i < 8; ++i) {
        dynb_rc rc = get(&w, "Past", NULL, times_ms[i]);
        if (rc == DYNB_OK) {
            ++read_count;
            CHECK_INT(count_at(&w, "Past", times_ms[i]), 200 * (i + 1));
        } else {
            CHECK_INT(rc, DYNB_NO_MEMORY);
            ++short_count;
        }
    }
    CHECK(read_count && short_count);
    store_close(&w.s);
    w.s.config.read_only = 0;
    store_open(&w.s);
    for (i = 0; i < 8; ++i)
        CHECK_INT(count_at(&w, "Past", times_ms[i]), 200 * (i + 1));
    dynbi_store_drop_kept(w.s.db);
    w.s.db->disk.has_failed = 1;
    EXPECT(get(&w, "Past", NULL, times_ms[0]), DYNB_READ_ONLY);
    w.s.db->disk.has_failed = 0;
    world_end(&w);
}

/* ------------------------------------------------------------- failures -- */

/* Reads the two times of a history with more changes between them than a
 * generation holds, and compares them. */
static dynb_rc read_both(world *w, uint64_t times_ms[2])
{
    dynb_compare_input compare;
    dynb_difference_page page;
    dynb_rc rc = get(w, "Past", NULL, times_ms[0]);
    memset(&compare, 0, sizeof compare);
    compare.from = source_at(times_ms[0]);
    compare.to = source_at(times_ms[1]);
    compare.limit = 10;
    if (rc == DYNB_OK)
        rc = dynb_compare(w->s.db, &compare, &page, &w->s.result, &kit_err);
    if (rc == DYNB_OK)
        CHECK_INT(page.count, 10);
    return rc;
}

static void begin_history(world *w, uint64_t times_ms[2])
{
    begin_plain(w, 131072);
    ++w->s.clock.now_ms;
    fill(&w->s, "Past", 'a', 100, 1, 200);
    times_ms[0] = w->s.clock.now_ms++;
    fill(&w->s, "Past", 'b', 100, 1, 200);
    times_ms[1] = w->s.clock.now_ms++;
    fill(&w->s, "Past", 'c', 100, 1, 200);
    MUST(dynb_wait_idle(w->s.db, &kit_err));
    forget_reads(&w->s);
}

/* Whatever fails, the table is as it was, and a read that succeeds is right. */
static void check_history(world *w, uint64_t times_ms[2])
{
    pasts_of(w->s.db);
    CHECK_INT(count_at(w, "Past", times_ms[0]), 100);
    CHECK_INT(count_at(w, "Past", times_ms[1]), 200);
    CHECK_INT(kit_get(w->s.db, "Past", "c00099"), 1);
}

static void test_no_memory(void)
{
    uint64_t times_ms[2];
    uint32_t n, failed_count = 0;
    dynb_rc rc = DYNB_NO_MEMORY;
    world w;
    begin_history(&w, times_ms);
    for (n = 1; n < 2000; ++n) { /* once: room is made, and the read made again */
        dynbi_store_drop_kept(w.s.db);
        forget_reads(&w.s);
        w.s.memory.call_count = w.s.memory.failed_count = 0;
        w.s.memory.fail_at = n;
        rc = read_both(&w, times_ms);
        w.s.memory.fail_at = 0;
        CHECK(rc == DYNB_OK || rc == DYNB_NO_MEMORY);
        if (!w.s.memory.failed_count)
            break;
        if (n % 7 == 0)
            check_history(&w, times_ms);
    }
    CHECK(n > 50 && n < 2000 && rc == DYNB_OK);
    for (n = 1; n < 2000; ++n) { /* from then on */
        dynbi_store_drop_kept(w.s.db);
        forget_reads(&w.s);
        w.s.memory.call_count = w.s.memory.failed_count = 0;
        w.s.memory.fail_at = n;
        w.s.memory.fail_from = 1;
        rc = read_both(&w, times_ms);
        w.s.memory.fail_at = 0;
        w.s.memory.fail_from = 0;
        CHECK(rc == DYNB_OK || rc == DYNB_NO_MEMORY);
        failed_count += rc == DYNB_NO_MEMORY;
        if (!w.s.memory.failed_count)
            break;
        if (n % 7 == 0)
            check_history(&w, times_ms);
    }
    CHECK(failed_count > 20 && n < 2000 && rc == DYNB_OK);
    world_end(&w);
}

static void test_device_failures(void)
{
    static const fault_mode modes[] = {FAULT_ONCE, FAULT_NO_SPACE_ONCE, FAULT_TORN};
    uint64_t times_ms[2];
    uint32_t m, n, failed_count = 0;
    for (m = 0; m < 3; ++m) {
        int is_reached = 1;
        for (n = 1; is_reached && n < 300; ++n) {
            dynb_rc rc;
            world w;
            begin_history(&w, times_ms);
            w.s.device.call_count = w.s.device.tripped_count = 0;
            w.s.device.plan_call = n;
            w.s.device.plan_mode = modes[m];
            rc = read_both(&w, times_ms);
            is_reached = w.s.device.call_count >= n;
            w.s.device.plan_call = 0;
            CHECK(rc == DYNB_OK || rc == DYNB_IO_FAILED || rc == DYNB_NO_SPACE ||
                  rc == DYNB_READ_ONLY);
            failed_count += rc != DYNB_OK;
            CHECK_INT(kit_get(w.s.db, "Past", "c00099"), 1);
            if (w.s.db->disk.has_failed)
                store_crash(&w.s);
            check_history(&w, times_ms);
            world_end(&w);
        }
        CHECK(n > 10 && !is_reached);
    }
    CHECK(failed_count > 20);
}

int main(void)
{
    const uint64_t seed = check_seed("test_at_time");
    test_histories(seed);
    test_kept();
    test_ended();
    test_folded();
    test_space();
    test_mark_memory();
    test_check_memory();
    test_between_steps();
    test_errors();
    test_read_only();
    test_no_memory();
    test_device_failures();
    return check_report("test_at_time");
}
