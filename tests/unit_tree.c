/* unit_tree.c - section 18: nodes, point reads, cursors and folds, against a
 * sorted array; every failure; hostile nodes. */
#define DYNBACKUP_IMPLEMENTATION
#define DYNBACKUP_KEEP_MACROS
#include "../dynbackup.h"

#include "check.h"
#include "trees.h"

/* -------------------------------------------------------------- reading -- */

/* All of it, in both directions. */
static int reads_as(world *w, const dynbi_root *root, const items *all)
{
    dynbi_tree_cursor cursor;
    uint32_t i;
    int same = 1;
    dynbi_tree_cursor_init(&cursor, &w->reader);
    same &= dynbi_tree_seek(&cursor, root, NULL, 0, 0, &w->err) == DYNB_OK;
    for (i = 0; i < all->count && same && cursor.is_at; ++i) {
        same &= item_is(&all->item[i], &cursor.current);
        same &= dynbi_tree_move(&cursor, 0, &w->err) == DYNB_OK;
    }
    same &= i == all->count && !cursor.is_at;
    same &= dynbi_tree_seek(&cursor, root, NULL, 0, 1, &w->err) == DYNB_OK;
    for (i = all->count; i > 0 && same && cursor.is_at; --i) {
        same &= item_is(&all->item[i - 1], &cursor.current);
        same &= dynbi_tree_move(&cursor, 1, &w->err) == DYNB_OK;
    }
    same &= i == 0 && !cursor.is_at;
    dynbi_tree_cursor_free(&cursor);
    return same;
}

/* A key that may be there: point read, seeks, and some steps to and fro. */
static int finds(world *w, const dynbi_root *root, const items *all, const uint8_t *key,
                 uint32_t key_size)
{
    uint32_t at = items_find(all, key, key_size), step;
    int is_there = at < all->count && key_order(all->item[at].key, all->item[at].key_size, key,
                                                key_size) == 0;
    int backwards, same;
    dynbi_found found;
    dynbi_tree_cursor cursor;
    memset(&found, 0, sizeof found);
    same = dynbi_tree_get(&w->reader, root, key, key_size, &found, &w->err) == DYNB_OK;
    same &= world_found(w, &found, key, key_size, is_there ? &all->item[at] : NULL);
    dynbi_tree_cursor_init(&cursor, &w->reader);
    for (backwards = 0; backwards < 2; ++backwards) {
        int64_t i = (int64_t)at - backwards;
        same &= dynbi_tree_seek(&cursor, root, key, key_size, backwards, &w->err) == DYNB_OK;
        for (step = 0; same && step < 5; ++step) {
            int turn = (int)check_below(&w->random, 2);
            int inside = i >= 0 && i < (int64_t)all->count;
            same &= cursor.is_at == inside;
            if (!inside || !same)
                break;
            same &= item_is(&all->item[i], &cursor.current);
            same &= dynbi_tree_move(&cursor, turn, &w->err) == DYNB_OK;
            i += turn ? -1 : 1;
        }
    }
    dynbi_tree_cursor_free(&cursor);
    return same;
}

/* At every key, and just below and above it; one of `every` keys. */
static int finds_all(world *w, const dynbi_root *root, const items *all, uint32_t every)
{
    static uint8_t key[16384];
    uint32_t i, size;
    int same = finds(w, root, all, (const uint8_t *)"", 0);
    for (i = every > 1 ? (uint32_t)check_below(&w->random, every) : 0; i < all->count && same;
         i += every) {
        size = all->item[i].key_size;
        if (size)
            memcpy(key, all->item[i].key, size);
        same &= finds(w, root, all, key, size);
        key[size] = (uint8_t)(check_below(&w->random, 3) * 100);
        same &= finds(w, root, all, key, size + 1); /* just above */
        if (size) {
            same &= finds(w, root, all, key, size - 1);
            key[size - 1] = (uint8_t)(key[size - 1] - 1);
            same &= finds(w, root, all, key, size); /* below, or far above */
            key[size - 1] = (uint8_t)(key[size - 1] + 2);
            same &= finds(w, root, all, key, size);
            key[check_below(&w->random, size)] ^= (uint8_t)(1u << check_below(&w->random, 8));
            same &= finds(w, root, all, key, size);
        }
    }
    return same;
}

static void check_tree(world *w, const dynbi_root *root, const items *all, uint32_t every)
{
    census c;
    uint64_t bytes = 0;
    uint32_t i;
    memset(&c, 0, sizeof c);
    census_take(w, root, &c);
    CHECK(c.ok);
    for (i = 0; i < all->count; ++i)
        bytes += item_weight(&all->item[i]);
    CHECK_INT(root->entry_count, all->count);
    CHECK_INT(root->byte_count, bytes);
    CHECK((root->page == 0) == (all->count == 0));
    CHECK(reads_as(w, root, all));
    CHECK(finds_all(w, root, all, every));
    census_free(&c);
}

/* ---------------------------------------------------------------- folds -- */

typedef enum shape { SCATTERED, CLUSTERED, ASCENDING, DELETING, SHAPES } shape;

/* Newer changes of a shape, for a tree that holds `all`. */
static void make_changes(world *w, key_store *keys, key_kind kind, shape how, const items *all,
                         uint32_t count, uint32_t value_max, items *out)
{
    uint64_t spread = 3000, base = check_below(&w->random, spread);
    uint32_t i;
    out->count = 0;
    for (i = 0; i < count; ++i) {
        uint64_t x = how == SCATTERED   ? check_below(&w->random, spread)
                     : how == CLUSTERED ? base + check_below(&w->random, count)
                                        : spread + i;
        item one;
        if (how == DELETING && all->count) {
            one = all->item[check_below(&w->random, all->count)];
            make_tombstone(&one);
        } else {
            one = make_item(&w->random, keys, kind, x, value_max);
            if (check_below(&w->random, 6) == 0)
                make_tombstone(&one);
            else if (value_max > 1 && check_below(&w->random, 200) == 0)
                one.value_size = (uint32_t)check_below(&w->random, 3 * w->node_bytes) + 1;
        }
        items_put(out, &one);
    }
}

static void random_folds(key_kind kind, uint32_t page_bytes, uint32_t node_bytes,
                         uint64_t cache_bytes, uint64_t map_bytes, uint64_t seed, uint32_t rounds)
{
    world w;
    key_store keys;
    items all, newer, merged, swap;
    dynbi_root root = no_tree, next;
    uint32_t round, count;
    memset(&keys, 0, sizeof keys);
    memset(&all, 0, sizeof all);
    memset(&newer, 0, sizeof newer);
    memset(&merged, 0, sizeof merged);
    world_open(&w, page_bytes, node_bytes, cache_bytes, map_bytes);
    w.random.state = seed;
    w.drop_tombstones = (int)(seed & 1);
    w.gap = seed & 2 ? 5 : 0;
    w.sync_chunks = (int)(seed >> 2 & 1);
    for (round = 0; round < rounds; ++round) {
        shape how = (shape)check_below(&w.random, SHAPES);
        count = (uint32_t)check_below(&w.random, round % 3 ? 30 : 400);
        if (kind >= KEYS_LONG)
            count /= kind == KEYS_LONG ? 6 : 20;
        if (how == DELETING && round % 4 == 3)
            count = all.count * 4;
        w.budget_bytes = 1 + check_below(&w.random, 3000);
        make_changes(&w, &keys, kind, how, &all, count, 60, &newer);
        CHECK(world_fold(&w, &root, &newer, &next) == DYNB_OK);
        items_merge(&all, &newer, w.drop_tombstones, &merged);
        check_tree(&w, &next, &merged, 1 + merged.count / 40);
        swap = all;
        all = merged;
        merged = swap;
        root = next;
    }
    items_free(&all);
    items_free(&newer);
    items_free(&merged);
    keys_free(&keys);
    world_close(&w);
}

static void test_random_folds(uint64_t seed)
{
    static const uint32_t pages[] = {512, 4096, 1024, 65536};
    static const uint32_t nodes[] = {512, 1024, 8192, 32768, 4096};
    uint32_t i, n = (uint32_t)check_scaled(60);
    for (i = 0; i < n; ++i) {
        uint32_t node = nodes[i % 5], page = pages[i / 5 % 4];
        key_kind kind = (key_kind)((i + i / 8) % KEYS_KINDS);
        uint64_t cache = i % 3 == 0 ? 0 : i % 3 == 1 ? 16 * (uint64_t)node : 1 << 20;
        random_folds(kind, page, node, cache, i % 4 == 3 ? (uint64_t)48 << 20 : 0,
                     seed * 1000 + i, 8);
    }
}


/* ------------------------------------------------------------ one engine -- */

/* A tree of `count` numbers and changes for it, for the tests below. */
typedef struct stand {
    world w;
    key_store keys;
    items all, newer, merged;
    dynbi_root root;
} stand;

static void stand_open(stand *s, uint32_t page_bytes, uint32_t node_bytes, uint64_t cache_bytes,
                       uint32_t count, uint32_t value_max, uint64_t seed)
{
    uint32_t i;
    memset(s, 0, sizeof *s);
    world_open(&s->w, page_bytes, node_bytes, cache_bytes, 0);
    s->w.random.state = seed;
    for (i = 0; i < count; ++i) {
        item one = make_item(&s->w.random, &s->keys, KEYS_NUMBERS, i, value_max);
        items_append(&s->all, &one);
    }
    CHECK(world_fold(&s->w, &no_tree, &s->all, &s->root) == DYNB_OK);
}

/* Changes number i: a new value for key i * 3 / 2, at times a tombstone. */
static void stand_change(stand *s, uint32_t from, uint32_t count, uint32_t step, uint32_t value_max)
{
    uint32_t i;
    s->newer.count = 0;
    for (i = 0; i < count; ++i) {
        uint8_t key[8];
        item one;
        one = make_item(&s->w.random, &s->keys, KEYS_NUMBERS, 0, value_max);
        dynbi_store64_be(key, from + (uint64_t)i * step);
        one.key = keys_hold(&s->keys, key, 8);
        if (i % 5 == 4)
            make_tombstone(&one);
        items_put(&s->newer, &one);
    }
    items_merge(&s->all, &s->newer, s->w.drop_tombstones, &s->merged);
}

static void stand_close(stand *s)
{
    items_free(&s->all);
    items_free(&s->newer);
    items_free(&s->merged);
    keys_free(&s->keys);
    world_close(&s->w);
}

/* The same fold with other budgets: the same tree, on the same pages. */
static void test_budgets(uint64_t seed)
{
    static const uint64_t budgets[] = {1, 31, 32, 33, 64, 100, 511, 513, 5000, ~(uint64_t)0};
    uint32_t i;
    stand s;
    dynbi_root first, root;
    memset(&first, 0, sizeof first);
    stand_open(&s, 512, 512, 1 << 16, 800, 30, seed);
    stand_change(&s, 100, 150, 13, 30);
    for (i = 0; i < 10; ++i) {
        uint32_t page = s.w.next_page;
        s.w.budget_bytes = budgets[i];
        CHECK(world_fold(&s.w, &s.root, &s.newer, &root) == DYNB_OK);
        root.page -= page;
        if (i == 0)
            first = root;
        CHECK_INT(root.page, first.page);
        CHECK_INT(root.level, first.level);
        CHECK_INT(root.byte_count, first.byte_count);
        root.page += page;
        check_tree(&s.w, &root, &s.merged, 20);
    }
    stand_close(&s);
}

/* ---------------------------------------------------------------- reuse -- */

/* Writes the key of an entry; its size. */
static uint32_t key_of(world *w, const dynbi_node *node, uint32_t index, uint8_t *to)
{
    dynbi_buffer key;
    uint32_t size;
    memset(&key, 0, sizeof key);
    key.allocator = w->reader.allocator;
    CHECK(dynbi_node_key(node, index, &key, &w->err) == DYNB_OK);
    size = (uint32_t)key.used_bytes;
    memcpy(to, key.bytes, size);
    dynbi_buffer_free(&key);
    return size;
}

/* Nodes of the older tree into whose range a change falls. */
static uint32_t touched_nodes(world *w, const dynbi_root *pointer, const items *newer,
                              const uint8_t *bound, uint32_t bound_size)
{
    dynbi_node node;
    uint8_t low[64], high[64];
    uint32_t i, count = 1, low_size, high_size;
    (void)bound;
    if (pointer->level == 0)
        return 1;
    CHECK(dynbi_node_open(&w->reader, pointer, &node, &w->err) == DYNB_OK);
    for (i = 0; i < node.entry_count; ++i) {
        dynbi_root child;
        uint32_t at, end;
        low_size = key_of(w, &node, i, low);
        high_size = bound_size;
        if (bound_size)
            memcpy(high, bound, bound_size);
        if (i + 1 < node.entry_count)
            high_size = key_of(w, &node, i + 1, high);
        dynbi_node_child(&node, i, &child);
        at = i == 0 ? 0 : items_find(newer, low, low_size);
        end = high_size ? items_find(newer, high, high_size) : newer->count;
        if (at < end)
            count += touched_nodes(w, &child, newer, high, high_size);
    }
    dynbi_node_close(&w->reader, &node);
    return count;
}

static void check_reuse(stand *s, uint64_t change_bytes)
{
    census before, after;
    dynbi_root root;
    uint64_t given = s->w.given_pages;
    uint32_t i, kept = 0, touched = touched_nodes(&s->w, &s->root, &s->newer, NULL, 0), made;
    memset(&before, 0, sizeof before);
    memset(&after, 0, sizeof after);
    census_take(&s->w, &s->root, &before);
    CHECK(world_fold(&s->w, &s->root, &s->newer, &root) == DYNB_OK);
    census_take(&s->w, &root, &after);
    CHECK(before.ok && after.ok);
    for (i = 0; i < after.node_count; ++i)
        kept += (uint32_t)census_has(&before, after.node[i].page);
    made = after.node_count - kept;
    given = s->w.given_pages - given;
    CHECK_INT(made, given); /* pages of a node each: what was written is in use */
    CHECK_INT(s->w.written_bytes, given * s->w.disk.page_bytes);
    CHECK(kept + 2 * touched >= before.node_count); /* a crumb may take a neighbour in */
    CHECK(made <= 2 * touched + 3 * change_bytes / s->w.node_bytes + 2);
    check_tree(&s->w, &root, &s->merged, 1 + s->merged.count / 20);
    census_free(&before);
    census_free(&after);
}

static void test_reuse(uint64_t seed)
{
    stand s;
    dynbi_root root;
    uint64_t calls, given;
    uint32_t i;
    stand_open(&s, 512, 512, 1 << 16, 1500, 30, seed);
    calls = s.w.device.kind_count[FAULT_WRITE];
    given = s.w.given_pages;
    CHECK(world_fold(&s.w, &s.root, &s.newer, &root) == DYNB_OK); /* no change at all */
    CHECK(memcmp(&root, &s.root, sizeof root) == 0);
    CHECK_INT(s.w.written_bytes, 0);
    CHECK_INT(s.w.given_pages, given);
    CHECK_INT(s.w.device.kind_count[FAULT_WRITE], calls);
    for (i = 0; i < 60; ++i) { /* one change, anywhere, before and after all too */
        uint32_t where = (uint32_t)check_below(&s.w.random, 4500);
        stand_change(&s, i == 0 ? 0 : i == 1 ? 5000 : where, 1, 1, 30);
        check_reuse(&s, 64);
    }
    for (i = 0; i < 10; ++i) {
        stand_change(&s, (uint32_t)check_below(&s.w.random, 4000), 60, 1 + i % 2 * 40, 30);
        check_reuse(&s, 60 * 64);
    }
    stand_close(&s);
}

/* ---------------------------------------------------------------- decay -- */

/* 200 folds onto each other leave nodes that are half full on average. */
static void test_decay(uint64_t seed)
{
    stand s;
    items swap;
    dynbi_root root;
    census c;
    uint32_t round, n = (uint32_t)check_scaled(200);
    memset(&c, 0, sizeof c);
    stand_open(&s, 512, 1024, 1 << 18, 1000, 30, seed);
    s.w.drop_tombstones = 1;
    for (round = 0; round < n; ++round) {
        switch (round % 4) {
        case 0: /* scattered */
            stand_change(&s, (uint32_t)check_below(&s.w.random, 40), 60, 50, 30);
            break;
        case 1: /* one place */
            stand_change(&s, (uint32_t)check_below(&s.w.random, 3000), 50, 1, 30);
            break;
        case 2: /* one key */
            stand_change(&s, (uint32_t)check_below(&s.w.random, 3000), 1, 1, 30);
            break;
        default: /* a range is deleted */
            make_changes(&s.w, &s.keys, KEYS_NUMBERS, DELETING, &s.all, 20, 30, &s.newer);
            items_merge(&s.all, &s.newer, 1, &s.merged);
            break;
        }
        CHECK(world_fold(&s.w, &s.root, &s.newer, &root) == DYNB_OK);
        s.root = root;
        swap = s.all;
        s.all = s.merged;
        s.merged = swap;
        if (round % 10 == 9) {
            census_take(&s.w, &s.root, &c);
            CHECK(c.ok);
            CHECK(c.leaf_bytes * 2 >= (uint64_t)c.leaf_count * s.w.node_bytes);
            CHECK(c.used_bytes * 2 >= (uint64_t)c.node_count * s.w.node_bytes);
        }
    }
    check_tree(&s.w, &s.root, &s.all, 10);
    census_free(&c);
    stand_close(&s);
}

/* --------------------------------------------------------- ending early -- */

/* What an early end left: complete below `key`, as before from there on; and
 * with the newer changes on top it is the full merge. */
static void check_early(stand *s, const dynbi_root *root, const uint8_t *key, uint32_t key_size)
{
    items expected, part, top;
    uint32_t at = items_find(&s->newer, key, key_size);
    memset(&expected, 0, sizeof expected);
    memset(&top, 0, sizeof top);
    part = s->newer;
    part.count = at;
    items_merge(&s->all, &part, s->w.drop_tombstones, &expected);
    check_tree(&s->w, root, &expected, 50);
    items_merge(&expected, &s->newer, s->w.drop_tombstones, &top);
    CHECK_INT(top.count, s->merged.count);
    CHECK(top.count == 0 || memcmp(top.item, s->merged.item, top.count * sizeof(item)) == 0);
    items_free(&expected);
    items_free(&top);
}

/* After every number of the smallest steps. */
static void test_early_steps(uint64_t seed)
{
    stand s;
    uint32_t steps, i;
    int is_done, full = 0;
    stand_open(&s, 512, 512, 1 << 16, 120, 40, seed);
    s.w.drop_tombstones = 1;
    stand_change(&s, 20, 30, 9, 200);
    for (steps = 0; !full; ++steps) {
        dynbi_fold fold;
        dynbi_root root;
        uint8_t key[8] = {255};
        dynb_rc rc;
        world_prepare(&s.w, &fold, feed_of(&s.newer));
        rc = dynbi_fold_start(&fold, &s.root, &s.w.err);
        for (i = 0, is_done = 0; i < steps && rc == DYNB_OK && !is_done; ++i)
            rc = dynbi_fold_step(&fold, 1, &is_done, &s.w.err);
        CHECK(rc == DYNB_OK);
        full = is_done;
        if (fold.has_change)
            memcpy(key, fold.change.key, 8);
        dynbi_fold_end_early(&fold);
        CHECK(world_steps(&s.w, &fold) == DYNB_OK);
        CHECK(dynbi_fold_finish(&fold, &root, &s.w.err) == DYNB_OK);
        world_dismiss(&s.w, &fold);
        check_early(&s, &root, key, 8);
    }
    CHECK(steps > 100);
    stand_close(&s);
}

/* As the builder does it: at the first NO_SPACE, wherever it strikes, and how
 * often it may strike before room is found. */
static void early_space(stand *s)
{
    uint64_t at, total, times;
    dynbi_root root;
    uint32_t early = 0;
    s->w.page_calls = 0;
    CHECK(world_fold(&s->w, &s->root, &s->newer, &root) == DYNB_OK);
    check_tree(&s->w, &root, &s->merged, 50);
    total = s->w.page_calls;
    CHECK(total > 10);
    for (at = 1; at <= total; ++at) {
        for (times = 0; times < 2; ++times) { /* end early; or go on when there is room */
            dynbi_fold fold;
            uint8_t key[8] = {255};
            dynb_rc rc;
            world_prepare(&s->w, &fold, feed_of(&s->newer));
            s->w.page_calls = 0;
            s->w.page_fail_at = at;
            s->w.page_fail_count = 1 + at % 2;
            s->w.page_fail_code = DYNBI_PAGE_NONE;
            rc = dynbi_fold_start(&fold, &s->root, &s->w.err);
            while (rc == DYNB_OK || (rc == DYNB_NO_SPACE && (times || fold.has_ended_early))) {
                int is_done;
                rc = dynbi_fold_step(&fold, 1 + check_below(&s->w.random, 200), &is_done,
                                     &s->w.err);
                if (rc == DYNB_NO_SPACE && fold.has_change && !times) {
                    memcpy(key, fold.change.key, 8);
                    dynbi_fold_end_early(&fold);
                    ++early;
                }
                if (rc == DYNB_OK && is_done)
                    break;
            }
            if (rc == DYNB_OK) {
                rc = dynbi_fold_finish(&fold, &root, &s->w.err);
                if (rc == DYNB_NO_SPACE)
                    CHECK(s->w.err.code == DYNB_NO_SPACE);
                while (rc == DYNB_NO_SPACE && times)
                    rc = dynbi_fold_finish(&fold, &root, &s->w.err);
            }
            world_dismiss(&s->w, &fold);
            if (rc == DYNB_OK)
                check_early(s, &root, key, 8);
            else
                CHECK(rc == DYNB_NO_SPACE && !times);
        }
    }
    CHECK(early > total / 2);
    s->w.page_fail_at = 0;
}

static void test_early_space(uint64_t seed)
{
    uint32_t i;
    for (i = 0; i < 4; ++i) {
        stand s;
        stand_open(&s, 512, 512, i % 2 ? 1 << 16 : 0, 250, 40, seed + i);
        s.w.drop_tombstones = (int)(i / 2);
        stand_change(&s, 20, i == 0 ? 300 : 50, i == 0 ? 1 : 17, 200);
        early_space(&s);
        stand_close(&s);
    }
}

/* ------------------------------------------------------------- failures -- */

/* One full round: fold, read all, look up. All that is not OK comes back as
 * the code of the first failure. */
static dynb_rc whole_round(stand *s, uint32_t feed_fail_at, dynbi_root *root)
{
    feed *f = feed_of(&s->newer);
    f->fail_at = feed_fail_at;
    return world_fold_feed(&s->w, &s->root, f, root);
}

static dynb_rc read_round(stand *s)
{
    dynbi_tree_cursor cursor;
    dynbi_found found;
    uint32_t i;
    dynb_rc rc;
    uint8_t key[8];
    memset(&found, 0, sizeof found);
    dynbi_tree_cursor_init(&cursor, &s->w.reader);
    rc = dynbi_tree_seek(&cursor, &s->root, NULL, 0, 0, &s->w.err);
    for (i = 0; i < 60 && rc == DYNB_OK && cursor.is_at; ++i)
        rc = dynbi_tree_move(&cursor, 0, &s->w.err);
    for (i = 0; i < 30 && rc == DYNB_OK; ++i) {
        dynbi_store64_be(key, i * 7);
        rc = dynbi_tree_seek(&cursor, &s->root, key, 8, (int)(i & 1), &s->w.err);
        if (rc == DYNB_OK)
            rc = dynbi_tree_get(&s->w.reader, &s->root, key, 8, &found, &s->w.err);
        if (rc == DYNB_OK && found.is_there)
            dynbi_node_close(&s->w.reader, &found.leaf);
    }
    dynbi_tree_cursor_free(&cursor);
    return rc;
}

static void test_failures(uint64_t seed)
{
    uint32_t setting;
    for (setting = 0; setting < 3; ++setting) {
        stand s;
        dynbi_root root;
        uint64_t i, total, live;
        uint32_t codes = 0;
        dynb_rc rc;
        stand_open(&s, 512, 512, setting == 0 ? 0 : setting == 1 ? 8192 : 1 << 16, 120, 40, seed);
        stand_change(&s, setting == 2 ? 250 : 20, 40, 7, 200); /* 2: reuse comes first */
        s.w.sync_chunks = (int)(setting & 1);
        s.w.chunk_bytes = 1024;
        dynbi_reader_trim(&s.w.reader);
        live = s.w.memory.live_count;

        for (i = 1, rc = DYNB_NO_MEMORY; rc != DYNB_OK; ++i) { /* allocations of a fold */
            s.w.memory.call_count = s.w.memory.failed_count = 0;
            s.w.memory.fail_at = i;
            rc = whole_round(&s, 0, &root);
            CHECK(rc == DYNB_OK || (rc == DYNB_NO_MEMORY && s.w.err.code == rc));
            CHECK(rc == DYNB_NO_MEMORY || s.w.memory.failed_count == 0 || setting > 0);
            codes += rc != DYNB_OK;
            if (rc == DYNB_OK && s.w.memory.failed_count)
                rc = DYNB_NO_MEMORY; /* the cache did without: there are more */
            world_holds(&s.w, live);
        }
        CHECK(codes > 8);
        for (i = 1, rc = DYNB_NO_MEMORY; rc != DYNB_OK; ++i) { /* allocations of reads */
            s.w.memory.call_count = s.w.memory.failed_count = 0;
            s.w.memory.fail_at = i;
            rc = read_round(&s);
            CHECK(rc == DYNB_OK || (rc == DYNB_NO_MEMORY && s.w.err.code == rc));
            if (rc == DYNB_OK && s.w.memory.failed_count)
                rc = DYNB_NO_MEMORY;
            world_holds(&s.w, live);
        }
        s.w.memory.fail_at = 0;

        s.w.device.call_count = 0;
        CHECK(whole_round(&s, 0, &root) == DYNB_OK);
        total = s.w.device.call_count;
        for (i = 1; i <= total; ++i) { /* device calls of a fold */
            world_holds(&s.w, live);
            s.w.device.call_count = 0;
            s.w.device.failed_write = 0;
            s.w.device.plan_call = i;
            s.w.device.plan_mode = i % 3 ? FAULT_FROM : FAULT_ONCE;
            rc = whole_round(&s, 0, &root);
            CHECK(rc == DYNB_IO_FAILED && s.w.err.code == rc);
            codes += (uint32_t)s.w.write_failed << 16;
        }
        CHECK(codes >> 16 > 4);
        s.w.device.failed_write = 0;
        s.w.device.plan_call = 0;
        s.w.device.call_count = 0;
        world_holds(&s.w, live);
        CHECK(read_round(&s) == DYNB_OK);
        total = s.w.device.call_count;
        for (i = 1; i <= total; ++i) { /* of reads */
            world_holds(&s.w, live);
            s.w.device.call_count = 0;
            s.w.device.plan_call = i;
            CHECK(read_round(&s) == DYNB_IO_FAILED);
        }
        s.w.device.plan_call = 0;
        for (i = 1; i <= s.newer.count + 1; ++i) /* the newer side */
            CHECK(whole_round(&s, (uint32_t)i, &root) == DYNB_CORRUPT);
        s.w.page_fail_code = DYNBI_PAGE_NO_MEMORY;
        s.w.page_fail_count = 1;
        s.w.page_calls = 0;
        CHECK(whole_round(&s, 0, &root) == DYNB_OK);
        total = s.w.page_calls;
        for (i = 1; i <= total; ++i) { /* pages */
            s.w.page_calls = 0;
            s.w.page_fail_at = i;
            s.w.page_fail_code = i % 2 ? DYNBI_PAGE_NO_MEMORY : DYNBI_PAGE_NONE;
            CHECK(whole_round(&s, 0, &root) == (i % 2 ? DYNB_NO_MEMORY : DYNB_NO_SPACE));
            world_holds(&s.w, live);
        }
        stand_close(&s);
    }
}

/* -------------------------------------------------------- hostile nodes -- */

/* Reads everything below a pointer and folds onto it: any answer will do that
 * is an answer. Returns what the reads came to. */
static uint32_t touch(world *w, const dynbi_root *root, const items *probes, int fold_too)
{
    dynbi_tree_cursor cursor;
    dynbi_found found;
    dynbi_root out;
    uint32_t sum = 0, i;
    int backwards;
    memset(&found, 0, sizeof found);
    dynbi_tree_cursor_init(&cursor, &w->reader);
    for (backwards = 0; backwards < 2; ++backwards) {
        dynb_rc rc = dynbi_tree_seek(&cursor, root, NULL, 0, backwards, &w->err);
        for (i = 0; rc == DYNB_OK && cursor.is_at; ++i) {
            sum = dynbi_crc32c(sum, cursor.current.key, cursor.current.key_size);
            sum = dynbi_crc32c(sum, cursor.current.value, cursor.current.value_size);
            rc = dynbi_tree_move(&cursor, backwards, &w->err);
        }
        CHECK(rc == DYNB_OK || (rc == DYNB_CORRUPT && w->err.code == rc));
        CHECK(i <= 10000);
        sum += (uint32_t)rc;
    }
    for (i = 0; i < probes->count; ++i) {
        const item *one = &probes->item[i];
        dynb_rc rc = dynbi_tree_get(&w->reader, root, one->key, one->key_size, &found, &w->err);
        CHECK(rc == DYNB_OK || rc == DYNB_CORRUPT);
        if (rc == DYNB_OK && found.is_there) {
            sum = dynbi_crc32c(sum, found.value, found.value_size);
            dynbi_node_close(&w->reader, &found.leaf);
        }
        rc = dynbi_tree_seek(&cursor, root, one->key, one->key_size, (int)(i & 1), &w->err);
        CHECK(rc == DYNB_OK || rc == DYNB_CORRUPT);
    }
    dynbi_tree_cursor_free(&cursor);
    if (fold_too) {
        dynb_rc rc = world_fold(w, root, probes, &out);
        CHECK(rc == DYNB_OK || rc == DYNB_CORRUPT);
    }
    return sum;
}

/* Every bit of every node, with its sum put right, so that only the structure
 * can be judged. A sum that is not put right must always be found. */
static void test_hostile(uint64_t seed)
{
    stand s;
    census c;
    uint32_t i, bit, corrupt = 0, fine = 0, first_page;
    uint64_t n = 0;
    memset(&c, 0, sizeof c);
    stand_open(&s, 512, 512, 0, 60, 30, seed);
    stand_change(&s, 20, 6, 29, 100);
    census_take(&s.w, &s.root, &c);
    CHECK(c.ok && s.root.level >= 1);
    first_page = s.w.next_page;
    for (i = 0; i < c.node_count; ++i) {
        dynbi_root pointer = c.node[i];
        uint8_t *node = s.w.device.current + (uint64_t)pointer.page * 512;
        uint32_t used = dynbi_load32(node + 4);
        for (bit = 0; bit < used * 8; ++bit) {
            dynb_rc rc;
            dynbi_node open;
            node = s.w.device.current + (uint64_t)pointer.page * 512;
            node[bit / 8] ^= (uint8_t)(1u << bit % 8);
            pointer.sum = c.node[i].sum;
            CHECK(dynbi_node_open(&s.w.reader, &pointer, &open, &s.w.err) == DYNB_CORRUPT);
            CHECK_INT(s.w.err.pos, (uint64_t)pointer.page * 512);
            if (dynbi_load32(node + 4) <= 512)
                pointer.sum = dynbi_crc32c(0, node, dynbi_load32(node + 4));
            rc = dynbi_node_open(&s.w.reader, &pointer, &open, &s.w.err);
            if (rc == DYNB_OK)
                dynbi_node_close(&s.w.reader, &open);
            ++*(rc == DYNB_OK ? &fine : &corrupt);
            if (rc == DYNB_OK)
                (void)touch(&s.w, &pointer, &s.newer, ++n % 8 == 0);
            s.w.next_page = first_page;
            node = s.w.device.current + (uint64_t)pointer.page * 512;
            node[bit / 8] ^= (uint8_t)(1u << bit % 8);
        }
    }
    CHECK(corrupt > 1000 && fine > 1000);
    CHECK(reads_as(&s.w, &s.root, &s.all));
    census_free(&c);
    stand_close(&s);
}

/* Rubbish where nodes should be: several bytes at a time, sums right. */
static void test_rubbish(uint64_t seed)
{
    stand s;
    census c;
    uint8_t saved[512];
    uint32_t round, first_page, fine = 0, n = (uint32_t)check_scaled(20000);
    memset(&c, 0, sizeof c);
    stand_open(&s, 512, 512, 4096, 60, 30, seed);
    stand_change(&s, 20, 4, 29, 100);
    census_take(&s.w, &s.root, &c);
    first_page = s.w.next_page;
    for (round = 0; round < n; ++round) {
        dynbi_root pointer = c.node[check_below(&s.w.random, c.node_count)];
        uint8_t *node = s.w.device.current + (uint64_t)pointer.page * 512;
        uint32_t used = dynbi_load32(node + 4), i, m = 1 + (uint32_t)check_below(&s.w.random, 4);
        dynbi_node open;
        memcpy(saved, node, 512);
        for (i = 0; i < m; ++i) {
            static const uint8_t often[] = {0, 1, 0x7f, 0x80, 0xff};
            uint32_t limit = check_below(&s.w.random, 2) ? 160 : used;
            node[check_below(&s.w.random, limit)] =
                check_below(&s.w.random, 2) ? often[check_below(&s.w.random, 5)]
                                            : (uint8_t)check_next(&s.w.random);
        }
        used = dynbi_load32(node + 4);
        pointer.sum = dynbi_crc32c(0, node, used <= 512 ? used : 512);
        dynbi_reader_forget(&s.w.reader, pointer.page);
        if (dynbi_node_open(&s.w.reader, &pointer, &open, &s.w.err) == DYNB_OK) {
            dynbi_node_close(&s.w.reader, &open);
            (void)touch(&s.w, &pointer, &s.newer, 1);
            ++fine;
        }
        s.w.next_page = first_page;
        dynbi_reader_trim(&s.w.reader);
        memcpy(s.w.device.current + (uint64_t)pointer.page * 512, saved, 512);
    }
    CHECK(fine > n / 20);
    CHECK(reads_as(&s.w, &s.root, &s.all));
    census_free(&c);
    stand_close(&s);
}

/* Pointers that cannot be. */
static void test_bad_pointers(uint64_t seed)
{
    stand s;
    uint32_t i;
    stand_open(&s, 512, 512, 4096, 60, 30, seed);
    for (i = 0; i < 12; ++i) {
        dynbi_root bad = s.root;
        dynbi_node node;
        dynbi_tree_cursor cursor;
        switch (i) {
        case 0: bad.page = 1; break;
        case 1: bad.page = 0xffffffffu; break;
        case 2: bad.page_count = 0; break;
        case 3: bad.page_count = 0xffffffffu; break;
        case 4: bad.page_count = s.w.next_page; break;
        case 5: bad.page = s.w.next_page - bad.page_count + 1; break;
        case 6: bad.level = DYNBI_LEVELS; break;
        case 7: bad.level += 1; break;
        case 8: bad.level -= 1; break;
        case 9: bad.entry_count += 1; break;
        case 10: bad.byte_count -= 1; break;
        default: bad.sum ^= 1; break;
        }
        dynbi_reader_trim(&s.w.reader);
        CHECK(dynbi_node_open(&s.w.reader, &bad, &node, &s.w.err) == DYNB_CORRUPT);
        dynbi_tree_cursor_init(&cursor, &s.w.reader);
        CHECK(dynbi_tree_seek(&cursor, &bad, NULL, 0, 0, &s.w.err) == DYNB_CORRUPT);
        CHECK(!cursor.is_at);
        dynbi_tree_cursor_free(&cursor);
    }
    stand_close(&s);
}

/* --------------------------------------------------------------- corners -- */

static void test_orders(void)
{
    static const char *const rising[] = {"", "\0", "\0\0", "\0a", "a", "a\0", "ab", "b", "\xff"};
    static const uint32_t size[] = {0, 1, 2, 2, 1, 2, 2, 1, 1};
    uint32_t i, j;
    for (i = 0; i < 9; ++i) {
        for (j = 0; j < 9; ++j) {
            int order = dynbi_key_compare((const uint8_t *)rising[i], size[i],
                                          (const uint8_t *)rising[j], size[j]);
            CHECK(i < j ? order < 0 : i > j ? order > 0 : order == 0);
        }
    }
    CHECK(dynbi_key_compare(NULL, 0, NULL, 0) == 0);
    CHECK(dynbi_head_of(NULL, 0) == 0);
    CHECK(dynbi_head_of((const uint8_t *)"\x01", 1) == (uint64_t)1 << 56);
    CHECK(dynbi_head_of((const uint8_t *)"\0\0\0\0\0\0\0\x01", 8) == 1);
    CHECK(dynbi_head_of((const uint8_t *)"\0\0\0\0\0\0\0\x01z", 9) == 1);
}

/* A node and a crumb are evened out by what they take as nodes: an entry that
 * moves to where the prefix is shorter takes more. */
static void test_even_out(uint64_t seed)
{
    static const uint32_t node_sizes[] = {512, 4096, 8192, 32768};
    static uint8_t key[16384];
    uint32_t i, round;
    for (round = 0; round < 32; ++round) {
        world w;
        key_store keys;
        items all;
        dynbi_root root;
        uint32_t long_bytes = round / 8 % 2 ? 12200 : 2000, count = round / 4 % 2 ? 20 : 100;
        int is_above = round >= 16; /* the crumb is one level up */
        count = is_above && count == 100 ? 200 : count;
        memset(&keys, 0, sizeof keys);
        memset(&all, 0, sizeof all);
        world_open(&w, 512, node_sizes[round % 4], 1 << 18, 0);
        w.random.state = seed + round;
        memset(key, 'k', sizeof key);
        for (i = 0; i < count; ++i) {
            item one;
            memset(&one, 0, sizeof one);
            key[long_bytes] = (uint8_t)(i / 100);
            key[long_bytes + 1] = (uint8_t)(i % 100);
            one.key_size = long_bytes + 2;
            one.key = keys_hold(&keys, key, one.key_size);
            one.value_size = 10 + (uint32_t)check_below(&w.random, 40) +
                             (is_above ? 3 * w.node_bytes / 8 : 0);
            items_put(&all, &one);
        }
        if (count >= 100) { /* a full node of one prefix, then a crumb without it */
            item one = make_item(&w.random, &keys, KEYS_TWINS, 0, 10);
            one.key = (const uint8_t *)"z";
            one.key_size = 1;
            one.value_size = is_above ? w.node_bytes - w.node_bytes / 4 : 10;
            items_put(&all, &one);
        } else { /* one long value, then a crumb of long keys */
            item one = make_item(&w.random, &keys, KEYS_TWINS, 0, 10);
            one.value_size = w.node_bytes - w.node_bytes / 8;
            items_put(&all, &one);
        }
        CHECK(world_fold(&w, &no_tree, &all, &root) == DYNB_OK);
        check_tree(&w, &root, &all, 10);
        items_free(&all);
        keys_free(&keys);
        world_close(&w);
    }
}

/* Trees that would grow too high. */
static void test_levels(uint64_t seed)
{
    stand s;
    dynbi_fold fold;
    dynbi_change entry;
    uint8_t pointer[DYNBI_POINTER_BYTES];
    stand_open(&s, 512, 512, 4096, 60, 30, seed);
    world_prepare(&s.w, &fold, feed_of(&s.newer));
    CHECK(dynbi_fold_start(&fold, &no_tree, &s.w.err) == DYNB_OK);
    memset(&entry, 0, sizeof entry);
    dynbi_root_store(pointer, &s.root);
    entry.key = (const uint8_t *)"a";
    entry.key_size = 1;
    entry.value = pointer;
    entry.value_size = DYNBI_POINTER_BYTES;
    CHECK(dynbi_fold_insert(&fold, DYNBI_LEVELS - 1, &entry, &s.w.err) == DYNB_CORRUPT);
    CHECK_TEXT(s.w.err.message, "a tree grew to 12 levels");
    CHECK(dynbi_fold_insert(&fold, DYNBI_LEVELS - 2, &entry, &s.w.err) == DYNB_OK);
    fold.subtree.level = DYNBI_LEVELS - 2;
    CHECK(!dynbi_fold_can_reuse(&fold));
    dynbi_fold_free(&fold);
    stand_close(&s);
}

int main(void)
{
    uint64_t seed = check_seed("unit_tree");
    test_orders();
    test_random_folds(seed);
    test_even_out(seed);
    test_budgets(seed);
    test_reuse(seed);
    test_decay(seed);
    test_early_steps(seed);
    test_early_space(seed);
    test_failures(seed);
    test_hostile(seed);
    test_rubbish(seed);
    test_bad_pointers(seed);
    test_levels(seed);
    return check_report("unit_tree");
}
