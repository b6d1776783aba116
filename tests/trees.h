/* trees.h - what unit_tree.c and unit_snapshot.c share: a naive sorted array of
 * changes, a device with pages that are given out once each, folds driven to
 * their end, and the census of a tree, which checks every rule of its nodes.
 *
 * Include it after dynbackup.h with its implementation and private macros. */
#ifndef TREES_H
#define TREES_H

#include "check.h"
#include "fault.h"

/* ------------------------------------------------------ the sorted array -- */

typedef struct item {
    const uint8_t *key;
    uint32_t key_size;
    uint32_t value_size;
    uint32_t seed; /* of the value's bytes */
    int is_tombstone;
} item;

typedef struct items {
    item *item;
    uint32_t count;
    uint32_t capacity;
} items;

#define KEY_BLOCK_BYTES 65536u

/* Key bytes live here until the test ends; arrays share them. */
typedef struct key_block {
    struct key_block *next;
    size_t used_bytes;
    uint8_t bytes[KEY_BLOCK_BYTES];
} key_block;

typedef struct key_store {
    key_block *blocks;
} key_store;

static inline const uint8_t *keys_hold(key_store *keys, const uint8_t *key, uint32_t size)
{
    uint8_t *to;
    if (!keys->blocks || keys->blocks->used_bytes + size > KEY_BLOCK_BYTES) {
        key_block *block = (key_block *)fault_memory(NULL, sizeof *block);
        block->next = keys->blocks;
        block->used_bytes = 0;
        keys->blocks = block;
    }
    to = keys->blocks->bytes + keys->blocks->used_bytes;
    if (size)
        memcpy(to, key, size);
    keys->blocks->used_bytes += size;
    return to;
}

static inline void keys_free(key_store *keys)
{
    while (keys->blocks) {
        key_block *block = keys->blocks;
        keys->blocks = block->next;
        free(block);
    }
}

static inline int key_order(const uint8_t *a, uint32_t a_size, const uint8_t *b, uint32_t b_size)
{
    uint32_t size = a_size < b_size ? a_size : b_size;
    int order = size ? memcmp(a, b, size) : 0;
    return order ? order : a_size < b_size ? -1 : a_size > b_size;
}

static inline int item_order(const item *a, const item *b)
{
    return key_order(a->key, a->key_size, b->key, b->key_size);
}

/* The first index whose key is not below. */
static inline uint32_t items_find(const items *all, const uint8_t *key, uint32_t key_size)
{
    uint32_t low = 0, high = all->count;
    while (low < high) {
        uint32_t middle = (low + high) / 2;
        if (key_order(all->item[middle].key, all->item[middle].key_size, key, key_size) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static inline void items_append(items *all, const item *one)
{
    if (all->count == all->capacity) {
        all->capacity = all->capacity ? all->capacity * 2 : 64;
        all->item = (item *)fault_memory(all->item, all->capacity * sizeof(item));
    }
    all->item[all->count++] = *one;
}

/* Inserts or replaces. */
static inline void items_put(items *all, const item *one)
{
    uint32_t at = items_find(all, one->key, one->key_size);
    if (at == all->count || item_order(&all->item[at], one) != 0) {
        items_append(all, one);
        memmove(all->item + at + 1, all->item + at, (all->count - 1 - at) * sizeof(item));
    }
    all->item[at] = *one;
}

static inline void items_free(items *all)
{
    free(all->item);
    memset(all, 0, sizeof *all);
}

/* *out: older with newer on top; `out` is neither of them. */
static inline void items_merge(const items *older, const items *newer, int drop, items *out)
{
    uint32_t i = 0, j = 0;
    out->count = 0;
    while (i < older->count || j < newer->count) {
        int order = i == older->count   ? 1
                    : j == newer->count ? -1
                                        : item_order(&older->item[i], &newer->item[j]);
        const item *one = order < 0 ? &older->item[i] : &newer->item[j];
        i += order <= 0;
        j += order >= 0;
        if (!(drop && one->is_tombstone))
            items_append(out, one);
    }
}

static inline uint64_t item_weight(const item *one)
{
    return one->is_tombstone ? 0 : one->value_size < 3 ? one->seed % 128u : one->seed % 100000u;
}

/* Writes the value: its weight, then what the seed says. */
static inline void item_value(const item *one, uint8_t *to)
{
    uint32_t i = 0;
    if (!one->is_tombstone)
        i = (uint32_t)(dynbi_varint_store(to, item_weight(one)) - to);
    for (; i < one->value_size; ++i)
        to[i] = (uint8_t)(one->seed * 31u + i * 7u + (i >> 8));
}

static inline int item_is(const item *one, const dynbi_change *change)
{
    static uint8_t value[1 << 20];
    item_value(one, value);
    return change->key_size == one->key_size && change->value_size == one->value_size &&
           (change->is_tombstone != 0) == (one->is_tombstone != 0) &&
           key_order(change->key, change->key_size, one->key, one->key_size) == 0 &&
           (one->value_size == 0 || memcmp(change->value, value, one->value_size) == 0);
}

/* --------------------------------------------------------------- random -- */

typedef enum key_kind {
    KEYS_NUMBERS, /* eight bytes */
    KEYS_BITS,    /* zero bytes, and keys that begin others */
    KEYS_PREFIX,  /* a long prefix that all share */
    KEYS_ORDERS,  /* partition and sort key */
    KEYS_SHRINK,  /* the shared prefix gets shorter again and again */
    KEYS_TWINS,   /* many with the same first bytes after the prefix */
    KEYS_LONG,    /* few long partitions */
    KEYS_HUGE,    /* as long as keys can be */
    KEYS_KINDS
} key_kind;

/* A key of that kind; *size of it. `to` has room for the longest. */
static inline void make_key(check_random *random, key_kind kind, uint64_t x, uint8_t *to,
                            uint32_t *size)
{
    char text[64];
    uint32_t i, n;
    switch (kind) {
    case KEYS_NUMBERS:
        dynbi_store64_be(to, x * 3);
        *size = 8;
        return;
    case KEYS_BITS:
        *size = (uint32_t)check_below(random, 14);
        for (i = 0; i < *size; ++i)
            to[i] = check_below(random, 8) ? 0 : (uint8_t)(check_below(random, 2) * 255u);
        return;
    case KEYS_PREFIX:
        snprintf(text, sizeof text, "a-long-prefix-that-all-keys-share#%012u", (unsigned)x);
        break;
    case KEYS_ORDERS:
        snprintf(text, sizeof text, "cust%03u#order#%u", (unsigned)(x % 50), (unsigned)(x / 50));
        break;
    case KEYS_SHRINK:
        snprintf(text, sizeof text, "%.*sx%u", (int)(40 - x % 40),
                 "pppppppppppppppppppppppppppppppppppppppp", (unsigned)(x / 40));
        break;
    case KEYS_TWINS:
        snprintf(text, sizeof text, "%c-eight-bytes-%u", 'a' + (char)(x % 3), (unsigned)(x / 3));
        break;
    default:
        n = kind == KEYS_LONG ? 1500u + 100u * (uint32_t)(x % 4) : 12200u;
        memset(to, kind == KEYS_LONG ? 'k' : (int)('a' + x % 3), n);
        snprintf(text, sizeof text, "%08u", (unsigned)(x / 4));
        memcpy(to + n, text, 8);
        *size = n + 8 + (kind == KEYS_HUGE && x % 5 == 0 ? 79u : 0u);
        memset(to + n + 8, 'z', *size - n - 8);
        return;
    }
    *size = (uint32_t)strlen(text);
    memcpy(to, text, *size);
}

static inline item make_item(check_random *random, key_store *keys, key_kind kind, uint64_t x,
                             uint32_t value_max)
{
    static uint8_t key[16384];
    item one;
    memset(&one, 0, sizeof one);
    make_key(random, kind, x, key, &one.key_size);
    one.key = keys_hold(keys, key, one.key_size);
    one.seed = (uint32_t)check_next(random);
    one.value_size = 1u + (uint32_t)check_below(random, value_max);
    return one;
}

static inline void make_tombstone(item *one)
{
    one->is_tombstone = 1;
    one->value_size = 0;
}

/* ---------------------------------------------------------------- world -- */

typedef struct world {
    fault_device device;
    fault_allocator memory;
    dynb_allocator allocator;
    dynbi_disk disk;
    dynbi_reader reader;
    dynb_error err;
    check_random random;

    uint32_t node_bytes, chunk_bytes;
    int sync_chunks, drop_tombstones;
    uint64_t budget_bytes;

    uint32_t next_page, gap; /* one in `gap` allocations leaves a page out */
    uint64_t page_calls, page_fail_at, page_fail_count;
    uint32_t page_fail_code;
    uint64_t given_pages, written_bytes;
    int write_failed;
} world;

static const dynbi_root no_tree;

static inline void world_open(world *w, uint32_t page_bytes, uint32_t node_bytes,
                              uint64_t cache_bytes, uint64_t map_bytes)
{
    memset(w, 0, sizeof *w);
    w->device.mappable = map_bytes != 0;
    fault_start(&w->device, NULL, 2 * (uint64_t)page_bytes, map_bytes);
    w->allocator = fault_allocator_of(&w->memory);
    w->disk.device = fault_device_of(&w->device);
    w->disk.page_bytes = page_bytes;
    w->disk.size_bytes = w->device.current_bytes;
    w->random.state = 42;
    w->node_bytes = node_bytes;
    w->chunk_bytes = 4 * node_bytes;
    w->budget_bytes = 5000;
    w->next_page = 2;
    CHECK(dynbi_reader_init(&w->reader, &w->disk, &w->allocator, cache_bytes, node_bytes,
                            &w->err) == DYNB_OK);
    w->reader.may_map = map_bytes != 0;
    dynbi_reader_limit(&w->reader, w->next_page);
}

static inline void world_lends_nothing(const world *w)
{
    uint32_t i;
    for (i = 0; i < w->reader.set_count * DYNBI_WAYS; ++i)
        CHECK(w->reader.ways[i].pin_count == 0);
}

/* No node is lent, and `live` allocations remain when the reader gives up what it
 * can. */
static inline void world_holds(world *w, uint64_t live)
{
    world_lends_nothing(w);
    dynbi_reader_trim(&w->reader);
    CHECK_INT(w->memory.live_count, live);
}

static inline void world_close(world *w)
{
    world_lends_nothing(w);
    dynbi_reader_free(&w->reader);
    CHECK_INT(w->memory.live_count, 0);
    CHECK_INT(w->memory.broken_count, 0);
    CHECK_INT(w->device.broken_promise_count, 0);
    fault_free(&w->device);
}

/* Nonzero: what was found for a key is the item, or that there is none (NULL). The
 * leaf is given back; for what was found in memory that is harmless. */
static inline int world_found(world *w, dynbi_found *found, const uint8_t *key,
                              uint32_t key_size, const item *one)
{
    dynbi_change change;
    int same = found->is_there == (one != NULL);
    if (found->is_there) {
        change.key = key;
        change.key_size = key_size;
        change.value = found->value;
        change.value_size = found->value_size;
        change.is_tombstone = found->is_tombstone;
        same = same && item_is(one, &change);
        dynbi_node_close(&w->reader, &found->leaf);
    }
    return same;
}

static inline uint32_t world_allocate(void *ctx, uint32_t page_count)
{
    world *w = (world *)ctx;
    uint32_t page;
    uint64_t size_bytes;
    ++w->page_calls;
    if (w->page_fail_at && w->page_calls >= w->page_fail_at &&
        w->page_calls - w->page_fail_at < w->page_fail_count)
        return w->page_fail_code;
    if (w->gap && check_below(&w->random, w->gap) == 0)
        ++w->next_page;
    page = w->next_page;
    w->next_page += page_count;
    w->given_pages += page_count;
    size_bytes = (uint64_t)w->next_page * w->disk.page_bytes;
    if (size_bytes > w->device.current_bytes) {
        fault_reserve(&w->device, size_bytes);
        w->device.current_bytes = w->disk.size_bytes = size_bytes;
    }
    dynbi_reader_limit(&w->reader, w->next_page);
    return page;
}

/* The newer side of a fold. */
typedef struct feed {
    const items *from;
    uint32_t at;
    uint32_t fail_at; /* this call fails, from 1 */
    uint32_t call_count;
    uint8_t value[1 << 20];
} feed;

static inline dynb_rc feed_next(void *ctx, dynbi_change *change, int *has_change, dynb_error *err)
{
    feed *f = (feed *)ctx;
    const item *one;
    if (++f->call_count == f->fail_at)
        return dynbi_fail(err, DYNB_CORRUPT, "the feed fails");
    *has_change = f->at < f->from->count;
    if (!*has_change)
        return DYNB_OK;
    one = &f->from->item[f->at++];
    item_value(one, f->value);
    change->key = one->key;
    change->key_size = one->key_size;
    change->value = one->value_size ? f->value : NULL;
    change->value_size = one->value_size;
    change->is_tombstone = one->is_tombstone;
    return DYNB_OK;
}

static inline feed *feed_of(const items *newer)
{
    static feed f;
    f.from = newer;
    f.at = f.fail_at = f.call_count = 0;
    return &f;
}

static inline void world_prepare(world *w, dynbi_fold *fold, feed *f)
{
    memset(fold, 0, sizeof *fold);
    fold->allocator = &w->allocator;
    fold->reader = &w->reader;
    fold->drop_tombstones = w->drop_tombstones;
    fold->output.disk = &w->disk;
    fold->output.node_bytes = w->node_bytes;
    fold->output.chunk_bytes = w->chunk_bytes;
    fold->output.sync_chunks = w->sync_chunks;
    fold->output.allocate_fn = world_allocate;
    fold->output.ctx = w;
    fold->next_fn = feed_next;
    fold->next_ctx = f;
    memset(&w->err, 0, sizeof w->err);
}

static inline dynb_rc world_steps(world *w, dynbi_fold *fold)
{
    dynb_rc rc = DYNB_OK;
    int is_done = 0;
    while (rc == DYNB_OK && !is_done)
        rc = dynbi_fold_step(fold, w->budget_bytes, &is_done, &w->err);
    return rc;
}

static inline void world_dismiss(world *w, dynbi_fold *fold)
{
    w->written_bytes = fold->written_bytes;
    w->write_failed = fold->write_failed;
    dynbi_fold_free(fold);
}

/* Folds `newer` onto a tree. */
static inline dynb_rc world_fold_feed(world *w, const dynbi_root *older, feed *f, dynbi_root *root)
{
    dynbi_fold fold;
    dynb_rc rc;
    memset(root, 0, sizeof *root);
    world_prepare(w, &fold, f);
    if (w->reader.filters_limit)
        dynbi_filter_start(&w->allocator, 100, w->reader.filters_limit, &fold.filter);
    rc = dynbi_fold_start(&fold, older, &w->err);
    if (rc == DYNB_OK)
        rc = world_steps(w, &fold);
    if (rc == DYNB_OK)
        rc = dynbi_fold_finish(&fold, root, &w->err);
    if (rc == DYNB_OK && fold.filter.words)
        dynbi_reader_keep_filter(&w->reader, root->page, &fold.filter);
    world_dismiss(w, &fold);
    return rc;
}

static inline dynb_rc world_fold(world *w, const dynbi_root *older, const items *newer,
                                 dynbi_root *root)
{
    return world_fold_feed(w, older, feed_of(newer), root);
}

/* --------------------------------------------------------------- census -- */

typedef struct census {
    int ok;
    uint32_t node_count, leaf_count;
    uint64_t used_bytes, leaf_bytes, page_count;
    dynbi_root *node; /* of every node */
    uint32_t capacity;
} census;

static inline void census_free(census *c)
{
    free(c->node);
    memset(c, 0, sizeof *c);
}

static inline void census_note(census *c, const dynbi_root *pointer)
{
    if (c->node_count == c->capacity) {
        c->capacity = c->capacity ? c->capacity * 2 : 64;
        c->node = (dynbi_root *)fault_memory(c->node, c->capacity * sizeof *c->node);
    }
    c->node[c->node_count++] = *pointer;
    c->page_count += pointer->page_count;
}

static inline int census_has(const census *c, uint32_t page)
{
    uint32_t i;
    for (i = 0; i < c->node_count; ++i)
        if (c->node[i].page == page)
            return 1;
    return 0;
}

/* One node, then those below: recursion as deep as the tree. first: the key
 * that the parent has for it, or NULL. */
static inline void census_walk(world *w, const dynbi_root *pointer, const item *first, census *c)
{
    dynbi_node node;
    dynbi_buffer key;
    uint8_t *keys[2];
    uint32_t size[2], i, now = 0;
    uint64_t entries = 0, bytes = 0;
    if (dynbi_node_open(&w->reader, pointer, &node, &w->err) != DYNB_OK) {
        c->ok = 0;
        return;
    }
    memset(&key, 0, sizeof key);
    key.allocator = w->reader.allocator;
    keys[0] = (uint8_t *)fault_memory(NULL, 2 * 12400);
    keys[1] = keys[0] + 12400;
    census_note(c, pointer);
    c->used_bytes += (uint64_t)(node.end - node.range.bytes);
    if (node.level == 0) {
        ++c->leaf_count;
        c->leaf_bytes += (uint64_t)(node.end - node.range.bytes);
    }
    c->ok &= (uint64_t)(node.end - node.range.bytes) <= w->node_bytes ||
             node.entry_count <= (node.level ? (uint32_t)DYNBI_FANOUT_MIN : 1u);
    for (i = 0; i < node.entry_count; ++i, now ^= 1) {
        c->ok &= dynbi_node_key(&node, i, &key, &w->err) == DYNB_OK;
        size[now] = (uint32_t)key.used_bytes;
        memcpy(keys[now], key.bytes, size[now]);
        c->ok &= size[now] >= node.prefix_size;
        c->ok &= dynbi_node_head(&node, i) ==
                 dynbi_head_of(keys[now] + node.prefix_size, size[now] - node.prefix_size);
        if (i > 0)
            c->ok &= key_order(keys[now ^ 1], size[now ^ 1], keys[now], size[now]) < 0;
        else if (first)
            c->ok &= key_order(first->key, first->key_size, keys[now], size[now]) == 0;
        if (node.level > 0) {
            dynbi_root child;
            item separator;
            separator.key = keys[now];
            separator.key_size = size[now];
            dynbi_node_child(&node, i, &child);
            c->ok &= child.level + 1 == node.level;
            census_walk(w, &child, &separator, c);
            entries += child.entry_count;
            bytes += child.byte_count;
        } else {
            dynbi_leaf_entry entry;
            uint64_t weight = 0;
            dynbi_node_leaf_entry(&node, i, &entry);
            if (!entry.is_tombstone)
                c->ok &= dynbi_varint_load(entry.value, entry.value + entry.value_size,
                                           &weight) != NULL;
            entries += 1;
            bytes += weight;
        }
    }
    c->ok &= entries == pointer->entry_count && bytes == pointer->byte_count;
    free(keys[0]);
    dynbi_buffer_free(&key);
    dynbi_node_close(&w->reader, &node);
}

static inline void census_take(world *w, const dynbi_root *root, census *c)
{
    c->node_count = c->leaf_count = 0;
    c->used_bytes = c->leaf_bytes = c->page_count = 0;
    c->ok = 1;
    if (root->page)
        census_walk(w, root, NULL, c);
}

#endif
