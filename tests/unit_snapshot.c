/* unit_snapshot.c - section 20: lists of runs, which to fold, and reading
 * generations and runs as one, against a sorted array; every failure. */
#define DYNBACKUP_IMPLEMENTATION
#define DYNBACKUP_KEEP_MACROS
#include "../dynbackup.h"

#include "check.h"
#include "trees.h"

#define FOLDED_PERCENT_MAX 900u /* log4 of 2000 flushes, and some */

/* -------------------------------------------------------- lists of runs -- */

/* Runs of `count` marks each, tiled: run i holds (10 * (count - 1 - i), + 10]. */
static dynbi_run numbered(uint32_t number)
{
    dynbi_run run;
    memset(&run, 0, sizeof run);
    run.from_lsn = number * 10;
    run.to_lsn = number * 10 + 10;
    run.root.page = number + 2;
    run.root.entry_count = 1 + number;
    run.root.byte_count = 100 * number;
    run.is_counted = 1;
    run.item_delta = number;
    run.byte_delta = (uint64_t)0 - number;
    return run;
}

static int runs_start(const dynb_allocator *allocator, uint32_t count, dynbi_runs *out)
{
    uint32_t i;
    int made = dynbi_runs_make(allocator, count, out);
    for (i = 0; made && i < count; ++i)
        out->run[i] = numbered(count - 1 - i);
    return made;
}

static void check_replace(fault_allocator *memory, const dynb_allocator *allocator, uint32_t count,
                          uint32_t first, uint32_t length)
{
    dynbi_runs from, copy, out;
    dynbi_run run = numbered(99);
    uint32_t i;
    int same = 1;
    memset(&out, 0, sizeof out);
    CHECK(runs_start(allocator, count, &from));
    CHECK(dynbi_runs_copy(allocator, &from, &copy));
    memory->fail_at = memory->call_count + 1;
    out.count = 7;
    CHECK(!dynbi_runs_replace(allocator, &from, first, length, &run, &out));
    CHECK(out.count == 0 && out.run == NULL);
    memory->fail_at = 0;
    CHECK(dynbi_runs_replace(allocator, &from, first, length, &run, &out));
    CHECK_INT(out.count, count - length + 1);
    for (i = 0; i < out.count; ++i) {
        uint32_t old = i < first ? i : i + length - 1;
        same &= i == first ? out.run[i].root.page == 101
                           : memcmp(&out.run[i], &from.run[old], sizeof run) == 0;
    }
    CHECK(same);
    CHECK(copy.count == from.count); /* the old list is as it was */
    CHECK(count == 0 || memcmp(copy.run, from.run, count * sizeof run) == 0);
    dynbi_runs_free(allocator, &from);
    dynbi_runs_free(allocator, &copy);
    dynbi_runs_free(allocator, &out);
    CHECK(out.count == 0 && out.run == NULL);
}

static void test_lists(void)
{
    fault_allocator memory;
    dynb_allocator allocator = fault_allocator_of(&memory);
    dynbi_runs runs, copy;
    uint64_t items, bytes;
    uint32_t count, first, length, i;
    memset(&memory, 0, sizeof memory);
    for (count = 0; count <= 6; ++count)
        for (first = 0; first <= count; ++first)
            for (length = 0; first + length <= count; ++length)
                check_replace(&memory, &allocator, count, first, length);

    CHECK(runs_start(&allocator, 5, &runs));
    memory.fail_at = memory.call_count + 1;
    CHECK(!dynbi_runs_copy(&allocator, &runs, &copy));
    CHECK(copy.count == 0 && copy.run == NULL);
    memory.fail_at = 0;
    CHECK(dynbi_runs_are_tiled(&runs, 50));
    CHECK(!dynbi_runs_are_tiled(&runs, 51));
    CHECK(!dynbi_runs_are_tiled(&runs, 0));
    for (i = 0; i < 5; ++i) {
        dynbi_run kept = runs.run[i];
        runs.run[i].to_lsn += 1; /* a gap, or an overlap */
        CHECK(!dynbi_runs_are_tiled(&runs, 50));
        runs.run[i] = kept;
        runs.run[i].from_lsn += 1;
        CHECK(dynbi_runs_are_tiled(&runs, 50) == (i == 4)); /* the oldest starts where it may */
        runs.run[i].from_lsn = 60;
        CHECK(!dynbi_runs_are_tiled(&runs, 50));
        runs.run[i] = kept;
    }
    runs.run[2].from_lsn = runs.run[2].to_lsn; /* a run of no changes is in order */
    runs.run[3].to_lsn = runs.run[2].from_lsn;
    CHECK(dynbi_runs_are_tiled(&runs, 50));
    CHECK(dynbi_runs_totals(&runs, &items, &bytes));
    CHECK_INT(items, 10);
    CHECK_INT(bytes, -10);
    runs.run[3].is_counted = 0;
    CHECK(!dynbi_runs_totals(&runs, &items, &bytes));
    dynbi_runs_free(&allocator, &runs);
    CHECK(dynbi_runs_make(&allocator, 0, &runs));
    CHECK(dynbi_runs_are_tiled(&runs, 0));
    CHECK(dynbi_runs_totals(&runs, &items, &bytes));
    CHECK(items == 0 && bytes == 0);
    dynbi_runs_free(&allocator, &runs);
    CHECK_INT(memory.live_count, 0);
    CHECK_INT(memory.broken_count, 0);
}

/* --------------------------------------------------------- which to fold -- */

typedef struct shelf {
    dynbi_runs runs;
    dynbi_run run[400];
    uint64_t put_weight, folded_weight; /* what came, and what folding wrote */
    uint32_t most_runs;
} shelf;

static void shelf_put(shelf *s, uint64_t entries, uint64_t bytes)
{
    memmove(s->run + 1, s->run, s->runs.count * sizeof s->run[0]);
    memset(&s->run[0], 0, sizeof s->run[0]);
    s->run[0].root.entry_count = entries;
    s->run[0].root.byte_count = bytes;
    s->put_weight += dynbi_run_weight(&s->run[0]);
    s->runs.run = s->run;
    ++s->runs.count;
}

/* All runs of the range become one; nothing was overwritten: the worst case. */
static void shelf_fold(shelf *s, uint32_t first, uint32_t length)
{
    uint32_t i;
    for (i = 1; i < length; ++i) {
        s->run[first].root.entry_count += s->run[first + i].root.entry_count;
        s->run[first].root.byte_count += s->run[first + i].root.byte_count;
    }
    s->folded_weight += dynbi_run_weight(&s->run[first]);
    memmove(s->run + first + 1, s->run + first + length,
            (s->runs.count - first - length) * sizeof s->run[0]);
    s->runs.count -= length - 1;
}

/* Folds while there is something to fold; every choice is a sound one. */
static void shelf_tidy(shelf *s, int is_idle)
{
    uint32_t first, length, rounds = 0;
    while (dynbi_runs_choose(&s->runs, is_idle, &first, &length)) {
        CHECK(length >= 2 && first + length <= s->runs.count);
        CHECK(is_idle || length >= DYNBI_TIER_RUNS);
        if (++rounds > 1000) {
            CHECK(!"folding comes to an end");
            return;
        }
        shelf_fold(s, first, length);
    }
    if (s->runs.count > s->most_runs)
        s->most_runs = s->runs.count;
}

typedef enum flow { EVEN, MIXED, DOUBLING, HALVING, SPIKES, TOMBSTONES, FLOWS } flow;

static void test_policy(uint64_t seed)
{
    static shelf s;
    check_random random;
    uint32_t kind, i;
    random.state = seed;
    for (kind = 0; kind < FLOWS; ++kind) {
        uint64_t newer = 0, weight;
        memset(&s, 0, sizeof s);
        for (i = 0; i < 2000; ++i) {
            uint64_t bytes = kind == EVEN       ? 10000
                             : kind == MIXED    ? 1 + check_below(&random, 100000)
                             : kind == DOUBLING ? (uint64_t)1 << (i / 60)
                             : kind == HALVING  ? (uint64_t)1 << (40 - i / 60)
                             : kind == SPIKES   ? check_below(&random, 20) ? 100 : 10000000
                                                : 0;
            uint64_t entries = kind == TOMBSTONES ? 1 + check_below(&random, 50) : 1 + bytes / 100;
            shelf_put(&s, entries, bytes);
            shelf_tidy(&s, 0);
        }
        CHECK(s.most_runs <= DYNBI_RUNS_MAX);
        weight = s.folded_weight / (s.put_weight / 100);
        printf("policy %u: at most %u runs, folding writes %u %% of what comes\n", (unsigned)kind,
               (unsigned)s.most_runs, (unsigned)weight);
        CHECK(weight <= FOLDED_PERCENT_MAX);
        s.folded_weight = 0;
        shelf_tidy(&s, 1);
        CHECK(s.runs.count == 1 || s.runs.count == 2);
        for (i = 0; i + 1 < s.runs.count; ++i)
            newer += dynbi_run_weight(&s.run[i]);
        CHECK(s.runs.count == 1 ||
              newer * DYNBI_BASE_RATIO < dynbi_run_weight(&s.run[s.runs.count - 1]));
    }
    /* small runs between large ones would keep these from ever being four in a
     * row: they are taken along */
    memset(&s, 0, sizeof s);
    shelf_put(&s, 0, 100000);
    shelf_put(&s, 0, 10);
    shelf_put(&s, 0, 20);
    for (i = 0; i < 4; ++i)
        shelf_put(&s, 0, 1000);
    shelf_tidy(&s, 0);
    CHECK_INT(s.runs.count, 2);
    CHECK_INT(s.run[0].root.byte_count, 4030);
    /* each run more than all newer together: only the limit of runs helps */
    memset(&s, 0, sizeof s);
    for (i = 0; i < 40; ++i) {
        shelf_put(&s, 0, (uint64_t)1 << (45 - i));
        shelf_tidy(&s, 0);
    }
    CHECK(s.most_runs <= DYNBI_RUNS_MAX && s.most_runs > 16);
}

/* Any list at all: while it is longer than the limit there is a choice. */
static void test_choices(uint64_t seed)
{
    static shelf s;
    check_random random;
    uint32_t round, i, first, length;
    random.state = seed;
    for (round = 0; round < 2000; ++round) {
        uint32_t count = (uint32_t)check_below(&random, 60);
        memset(&s, 0, sizeof s);
        for (i = 0; i < count; ++i)
            shelf_put(&s, check_below(&random, 100),
                      check_next(&random) >> 20 >> check_below(&random, 40));
        CHECK(dynbi_runs_choose(&s.runs, 0, &first, &length) || count <= DYNBI_RUNS_MAX);
        CHECK(first + length <= count);
        shelf_tidy(&s, (int)(round & 1));
        CHECK(s.runs.count <= ((round & 1) ? 2u : DYNBI_RUNS_MAX));
    }
    memset(&s, 0, sizeof s);
    CHECK(!dynbi_runs_choose(&s.runs, 1, &first, &length)); /* nothing, and only one */
    shelf_put(&s, 5, 5);
    CHECK(!dynbi_runs_choose(&s.runs, 1, &first, &length));
    shelf_put(&s, 5, 5);
    CHECK(!dynbi_runs_choose(&s.runs, 0, &first, &length)); /* two: only when idle */
    CHECK(dynbi_runs_choose(&s.runs, 1, &first, &length) && first == 0 && length == 2);
    s.run[1].root.byte_count = 1 << 20;
    CHECK(!dynbi_runs_choose(&s.runs, 1, &first, &length)); /* not worth it */
    shelf_put(&s, 5, 5);
    CHECK(!dynbi_runs_choose(&s.runs, 0, &first, &length));
    CHECK(dynbi_runs_choose(&s.runs, 1, &first, &length) && first == 0 && length == 2);
}

/* ---------------------------------------------------------------- views -- */

#define LAYERS_MAX 12u

/* Some generations over some runs, and all of it as one sorted array. */
typedef struct stack {
    world w;
    key_store keys;
    dynbi_pool pool;
    dynbi_generation *generation[LAYERS_MAX]; /* newest first */
    uint32_t generation_count;
    dynbi_view view;
    items all, layer, swap;
} stack;

static void fill_generation(stack *s, dynbi_generation *generation, uint32_t set)
{
    static uint8_t value[1 << 20];
    uint32_t i;
    for (i = 0; i < s->layer.count; ++i) {
        const item *one = &s->layer.item[i];
        dynbi_change change;
        item_value(one, value);
        change.key = one->key;
        change.key_size = one->key_size;
        change.value = value;
        change.value_size = one->value_size;
        change.is_tombstone = one->is_tombstone;
        CHECK(dynbi_generation_reserve(generation, 1, (uint64_t)one->key_size + one->value_size));
        dynbi_generation_put(generation, set, &change);
    }
}

static void make_layer(stack *s, key_kind kind, uint32_t count, uint64_t spread)
{
    uint32_t i;
    s->layer.count = 0;
    for (i = 0; i < count; ++i) {
        item one = make_item(&s->w.random, &s->keys, kind, check_below(&s->w.random, spread), 40);
        if (check_below(&s->w.random, 4) == 0)
            make_tombstone(&one);
        items_put(&s->layer, &one);
    }
}

static void stack_open(stack *s, key_kind kind, uint32_t generations, uint32_t runs, uint32_t count,
                       uint64_t cache_bytes, uint64_t seed)
{
    uint32_t i;
    uint64_t spread = count * 2 + 1;
    items swap;
    memset(s, 0, sizeof *s);
    world_open(&s->w, 512, 512, cache_bytes, 0);
    s->w.random.state = seed;
    dynbi_reader_use_filters(&s->w.reader, seed & 2 ? 4096 : 0);
    dynbi_pool_init(&s->pool, &s->w.allocator, 4096, 0);
    s->view.set = (uint32_t)(seed & 1);
    s->generation_count = generations;
    CHECK(dynbi_runs_make(&s->w.allocator, runs, &s->view.runs));
    for (i = runs + generations; i-- > 0;) { /* the oldest first */
        make_layer(s, kind, (uint32_t)check_below(&s->w.random, count + 1), spread);
        if (i >= generations) {
            dynbi_root *root = &s->view.runs.run[i - generations].root;
            CHECK(world_fold(&s->w, &no_tree, &s->layer, root) == DYNB_OK);
        } else {
            s->generation[i] = dynbi_generation_new(&s->pool, 2);
            CHECK(s->generation[i] != NULL);
            fill_generation(s, s->generation[i], s->view.set);
            s->generation[i]->next = i + 1 < generations ? s->generation[i + 1] : NULL;
        }
        items_merge(&s->all, &s->layer, 0, &s->swap);
        swap = s->all;
        s->all = s->swap;
        s->swap = swap;
    }
    s->view.newest = generations ? s->generation[0] : NULL;
}

static void stack_close(stack *s)
{
    uint32_t i;
    for (i = 0; i < s->generation_count; ++i)
        dynbi_generation_free(s->generation[i]);
    dynbi_pool_free(&s->pool);
    dynbi_runs_free(&s->w.allocator, &s->view.runs);
    items_free(&s->all);
    items_free(&s->layer);
    items_free(&s->swap);
    keys_free(&s->keys);
    world_close(&s->w);
}

static void check_get(stack *s, const uint8_t *key, uint32_t key_size)
{
    uint32_t at = items_find(&s->all, key, key_size);
    const item *one = at < s->all.count ? &s->all.item[at] : NULL;
    int is_there = one && key_order(one->key, one->key_size, key, key_size) == 0;
    dynbi_found found;
    memset(&found, 0x5a, sizeof found);
    CHECK(dynbi_view_get(&s->w.reader, &s->view, key, key_size, &found, &s->w.err) == DYNB_OK);
    CHECK(world_found(&s->w, &found, key, key_size, is_there ? one : NULL));
}

/* Reads `steps` entries on from a key. */
static void check_walk(stack *s, dynbi_merge *merge, const uint8_t *key, uint32_t key_size,
                       int backwards, uint32_t steps)
{
    int64_t at = key ? (int64_t)items_find(&s->all, key, key_size) : backwards ? s->all.count : 0;
    int same;
    at -= backwards;
    same = dynbi_merge_seek(merge, key, key_size, backwards, &s->w.err) == DYNB_OK;
    for (; same && steps > 0; --steps) {
        const dynbi_change *current = dynbi_merge_current(merge);
        int inside = at >= 0 && at < (int64_t)s->all.count;
        same &= (current != NULL) == inside;
        if (!inside || !same)
            break;
        same &= item_is(&s->all.item[at], current);
        same &= dynbi_merge_next(merge, &s->w.err) == DYNB_OK;
        at += backwards ? -1 : 1;
    }
    CHECK(same);
}

static void check_stack(stack *s)
{
    static uint8_t key[16384];
    dynbi_merge merge;
    uint32_t i;
    CHECK(dynbi_merge_init(&merge, &s->w.reader, &s->view, &s->w.err) == DYNB_OK);
    check_walk(s, &merge, NULL, 0, 0, s->all.count + 1);
    check_walk(s, &merge, NULL, 0, 1, s->all.count + 1);
    check_walk(s, &merge, (const uint8_t *)"", 0, 0, 3);
    check_walk(s, &merge, (const uint8_t *)"", 0, 1, 3);
    for (i = 0; i < s->all.count; ++i) {
        uint32_t size = s->all.item[i].key_size;
        if (size)
            memcpy(key, s->all.item[i].key, size);
        check_get(s, key, size);
        check_walk(s, &merge, key, size, (int)(i & 1), 4);
        key[size] = 1;
        check_get(s, key, size + 1);
        check_walk(s, &merge, key, size + 1, (int)(i >> 1 & 1), 4);
        if (size) {
            key[size - 1] ^= 5;
            check_get(s, key, size);
        }
    }
    dynbi_merge_free(&merge);
    CHECK(merge.source == NULL);
}

static void test_views(uint64_t seed)
{
    uint32_t i, n = (uint32_t)check_scaled(60);
    for (i = 0; i < n; ++i) {
        stack s;
        uint32_t generations = i % 4, runs = i / 4 % 5;
        stack_open(&s, (key_kind)(i % KEYS_LONG), generations, runs, i % 7 == 6 ? 1 : 150,
                   i % 3 ? 1 << 15 : 0, seed * 100 + i);
        check_stack(&s);
        stack_close(&s);
    }
}

/* Folds the view onto an older tree: the merge as a fold's newer side. */
static dynb_rc fold_view(stack *s, const dynbi_root *older, dynbi_root *root)
{
    dynbi_merge merge;
    dynbi_fold fold;
    dynb_rc rc = dynbi_merge_init(&merge, &s->w.reader, &s->view, &s->w.err);
    memset(root, 0, sizeof *root);
    world_prepare(&s->w, &fold, NULL);
    fold.next_fn = dynbi_merge_feed;
    fold.next_ctx = &merge;
    if (rc == DYNB_OK)
        rc = dynbi_merge_seek(&merge, NULL, 0, 0, &s->w.err);
    if (rc == DYNB_OK)
        rc = dynbi_fold_start(&fold, older, &s->w.err);
    if (rc == DYNB_OK)
        rc = world_steps(&s->w, &fold);
    if (rc == DYNB_OK)
        rc = dynbi_fold_finish(&fold, root, &s->w.err);
    world_dismiss(&s->w, &fold);
    dynbi_merge_free(&merge);
    return rc;
}

static void test_feed(uint64_t seed)
{
    uint32_t i, n = (uint32_t)check_scaled(40);
    for (i = 0; i < n; ++i) {
        stack s;
        items older, expected;
        dynbi_root under, root;
        dynbi_tree_cursor cursor;
        uint32_t at;
        int same = 1;
        memset(&older, 0, sizeof older);
        memset(&expected, 0, sizeof expected);
        stack_open(&s, (key_kind)(i % KEYS_LONG), i % 3, i / 3 % 4, 200, i % 2 ? 1 << 15 : 0,
                   seed * 77 + i);
        s.w.drop_tombstones = 1;
        make_layer(&s, (key_kind)(i % KEYS_LONG), i % 5 ? 300 : 0, 400);
        CHECK(world_fold(&s.w, &no_tree, &s.layer, &under) == DYNB_OK);
        items_merge(&older, &s.layer, 1, &expected); /* onto nothing: without tombstones */
        items_merge(&expected, &s.all, 1, &older);
        CHECK(fold_view(&s, &under, &root) == DYNB_OK);
        CHECK_INT(root.entry_count, older.count);
        dynbi_tree_cursor_init(&cursor, &s.w.reader);
        same &= dynbi_tree_seek(&cursor, &root, NULL, 0, 0, &s.w.err) == DYNB_OK;
        for (at = 0; same && at < older.count && cursor.is_at; ++at) {
            same &= item_is(&older.item[at], &cursor.current);
            same &= dynbi_tree_move(&cursor, 0, &s.w.err) == DYNB_OK;
        }
        CHECK(same && at == older.count && !cursor.is_at);
        dynbi_tree_cursor_free(&cursor);
        items_free(&older);
        items_free(&expected);
        stack_close(&s);
    }
}

/* ------------------------------------------------------------- failures -- */

static dynb_rc read_view(stack *s)
{
    dynbi_merge merge;
    dynbi_found found;
    int backwards;
    uint32_t i;
    dynb_rc rc = dynbi_merge_init(&merge, &s->w.reader, &s->view, &s->w.err);
    for (backwards = 0; rc == DYNB_OK && backwards < 2; ++backwards) {
        rc = dynbi_merge_seek(&merge, NULL, 0, backwards, &s->w.err);
        while (rc == DYNB_OK && dynbi_merge_current(&merge))
            rc = dynbi_merge_next(&merge, &s->w.err);
    }
    dynbi_merge_free(&merge);
    for (i = 0; rc == DYNB_OK && i < s->all.count; i += 3) {
        rc = dynbi_view_get(&s->w.reader, &s->view, s->all.item[i].key, s->all.item[i].key_size,
                            &found, &s->w.err);
        if (rc == DYNB_OK && found.is_there)
            dynbi_node_close(&s->w.reader, &found.leaf);
    }
    return rc;
}

static void test_failures(uint64_t seed)
{
    uint32_t setting;
    for (setting = 0; setting < 2; ++setting) {
        stack s;
        dynbi_root root;
        uint64_t i, total, live;
        uint32_t failed = 0;
        dynb_rc rc;
        stack_open(&s, KEYS_ORDERS, 2, 4, 100, setting ? 1 << 14 : 0, seed);
        dynbi_reader_trim(&s.w.reader);
        live = s.w.memory.live_count;
        for (i = 1, rc = DYNB_NO_MEMORY; rc != DYNB_OK; ++i) {
            s.w.memory.call_count = s.w.memory.failed_count = 0;
            s.w.memory.fail_at = i;
            rc = i % 2 ? read_view(&s) : fold_view(&s, &no_tree, &root);
            CHECK(rc == DYNB_OK || (rc == DYNB_NO_MEMORY && s.w.err.code == rc));
            failed += rc != DYNB_OK;
            world_holds(&s.w, live);
            if (rc == DYNB_OK && (s.w.memory.failed_count || i % 2 == 0))
                rc = DYNB_NO_MEMORY;
        }
        CHECK(failed > 4);
        s.w.memory.fail_at = 0;
        s.w.device.call_count = 0;
        CHECK(read_view(&s) == DYNB_OK);
        total = s.w.device.call_count;
        CHECK(total > 10);
        for (i = 1; i <= total; ++i) {
            world_holds(&s.w, live);
            s.w.device.call_count = 0;
            s.w.device.plan_call = i;
            s.w.device.plan_mode = i % 2 ? FAULT_ONCE : FAULT_FROM;
            CHECK(read_view(&s) == DYNB_IO_FAILED);
            CHECK(s.w.err.code == DYNB_IO_FAILED);
        }
        s.w.device.plan_call = 0;
        s.w.device.call_count = 0;
        s.w.device.failed_write = 0;
        world_holds(&s.w, live);
        CHECK(fold_view(&s, &no_tree, &root) == DYNB_OK);
        total = s.w.device.call_count;
        for (i = 1; i <= total; ++i) {
            world_holds(&s.w, live);
            s.w.device.call_count = 0;
            s.w.device.failed_write = 0;
            s.w.device.plan_call = i;
            CHECK(fold_view(&s, &no_tree, &root) == DYNB_IO_FAILED);
        }
        s.w.device.plan_call = 0;
        world_holds(&s.w, live);
        CHECK(read_view(&s) == DYNB_OK);
        stack_close(&s);
    }
}

int main(void)
{
    uint64_t seed = check_seed("unit_snapshot");
    test_lists();
    test_policy(seed);
    test_choices(seed);
    test_views(seed);
    test_feed(seed);
    test_failures(seed);
    return check_report("unit_snapshot");
}
