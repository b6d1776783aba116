/* unit_tree.c - section 18: nodes, point reads, cursors and folds, against a
 * sorted array; every failure; hostile nodes. */
#define DYNBACKUP_IMPLEMENTATION
#define DYNBACKUP_KEEP_MACROS
#include "../dynbackup.h"

#include "check.h"
#include "trees.h"

static const dynbi_root no_tree;

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
    same &= found.is_there == is_there;
    if (found.is_there) {
        dynbi_change change;
        change.key = key;
        change.key_size = key_size;
        change.value = found.value;
        change.value_size = found.value_size;
        change.is_tombstone = found.is_tombstone;
        same &= is_there && item_is(&all->item[at], &change);
        dynbi_node_close(&w->reader, &found.leaf);
    }
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

int main(void)
{
    uint64_t seed = check_seed("unit_tree");
    test_random_folds(seed);
    return check_report("unit_tree");
}
