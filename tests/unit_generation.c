/* unit_generation.c - section 20: the ordered changes in memory, against a
 * sorted array; every failed allocation; every rule of the tree. */
#include "check.h"
#undef DYNBACKUP_ASSERT
#define DYNBACKUP_ASSERT(x) ((x) ? (void)0 : check_note(0, __FILE__, __LINE__, #x))
#define DYNBACKUP_IMPLEMENTATION
#define DYNBACKUP_KEEP_MACROS
#include "../dynbackup.h"

/* ----------------------------------------------------------- allocator -- */

typedef struct heap {
    uint64_t held_bytes;
    uint64_t call_count; /* allocations asked for */
    uint64_t fail_at;    /* fail that one; 0: none */
    uint64_t limit_bytes; /* 0: none */
    int fail_after;      /* and all later ones */
    int forbidden;       /* puts must not allocate */
} heap;

static void *heap_resize(void *ctx, void *ptr, size_t old_size, size_t new_size)
{
    heap *h = (heap *)ctx;

    CHECK(!h->forbidden);
    if (new_size == 0) {
        h->held_bytes -= old_size;
        free(ptr);
        return NULL;
    }
    CHECK(ptr == NULL); /* a generation never resizes */
    ++h->call_count;
    if (h->fail_at && (h->call_count == h->fail_at ||
                       (h->fail_after && h->call_count > h->fail_at))) {
        return NULL;
    }
    if (h->limit_bytes && h->held_bytes + new_size > h->limit_bytes) {
        return NULL;
    }
    ptr = malloc(new_size);
    if (ptr) {
        memset(ptr, 0xa5, new_size);
        h->held_bytes += new_size;
    }
    return ptr;
}

typedef struct bench {
    heap memory;
    dynb_allocator allocator;
    dynbi_pool pool;
    dynbi_generation *generation;
} bench;

static void bench_open(bench *b, uint32_t chunk_bytes, uint64_t keep_bytes, uint32_t set_count)
{
    memset(b, 0, sizeof *b);
    b->allocator.resize_fn = heap_resize;
    b->allocator.ctx = &b->memory;
    dynbi_pool_init(&b->pool, &b->allocator, chunk_bytes, keep_bytes);
    b->generation = dynbi_generation_new(&b->pool, set_count);
    CHECK(b->generation != NULL);
}

static void bench_close(bench *b)
{
    dynbi_generation_free(b->generation);
    dynbi_pool_free(&b->pool);
    CHECK_INT(b->memory.held_bytes, 0);
}

/* ---------------------------------------------------------------- model -- */

typedef struct change {
    uint8_t key[64];
    uint32_t key_size;
    uint32_t value_size;
    uint32_t value_seed;
    int is_tombstone;
} change;

typedef struct model {
    change *changes; /* sorted */
    uint32_t count;
    uint32_t capacity;
} model;

static int key_order(const uint8_t *a, uint32_t a_size, const uint8_t *b, uint32_t b_size)
{
    uint32_t size = a_size < b_size ? a_size : b_size;
    int order = size ? memcmp(a, b, size) : 0;
    return order ? order : a_size < b_size ? -1 : a_size > b_size;
}

static uint32_t model_find(const model *m, const uint8_t *key, uint32_t key_size)
{
    uint32_t low = 0, high = m->count;
    while (low < high) {
        uint32_t middle = (low + high) / 2;
        if (key_order(m->changes[middle].key, m->changes[middle].key_size, key, key_size) < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

static int model_has(const model *m, uint32_t at, const change *c)
{
    return at < m->count &&
           key_order(m->changes[at].key, m->changes[at].key_size, c->key, c->key_size) == 0;
}

static void model_put(model *m, const change *c)
{
    uint32_t at = model_find(m, c->key, c->key_size);
    if (!model_has(m, at, c)) {
        if (m->count == m->capacity) {
            m->capacity = m->capacity ? m->capacity * 2 : 64;
            m->changes = (change *)realloc(m->changes, m->capacity * sizeof(change));
            if (!m->changes) {
                exit(2);
            }
        }
        memmove(m->changes + at + 1, m->changes + at, (m->count - at) * sizeof(change));
        ++m->count;
    }
    m->changes[at] = *c;
}

static uint8_t value_byte(uint32_t seed, uint32_t i)
{
    return (uint8_t)(seed * 31u + i * 7u + (i >> 8));
}

static int entry_is(const dynbi_entry *entry, const change *c)
{
    uint32_t i;
    if (!entry || entry->key_size != c->key_size || entry->value_size != c->value_size ||
        (entry->is_tombstone != 0) != (c->is_tombstone != 0) ||
        entry->capacity_bytes < entry->value_size ||
        key_order(dynbi_entry_key(entry), entry->key_size, c->key, c->key_size) != 0) {
        return 0;
    }
    for (i = 0; i < c->value_size; ++i) {
        if (dynbi_entry_value(entry)[i] != value_byte(c->value_seed, i)) {
            return 0;
        }
    }
    return 1;
}

static int reserve(bench *b, const change *c)
{
    return dynbi_generation_reserve(b->generation, 1, (uint64_t)c->key_size + c->value_size);
}

static void put(bench *b, uint32_t set, const change *c)
{
    static uint8_t value[500000];
    dynbi_change put;
    uint32_t i;
    for (i = 0; i < c->value_size; ++i) {
        value[i] = value_byte(c->value_seed, i);
    }
    put.key = c->key;
    put.key_size = c->key_size;
    put.value = c->value_size ? value : NULL;
    put.value_size = c->value_size;
    put.is_tombstone = c->is_tombstone;
    b->memory.forbidden = 1;
    dynbi_generation_put(b->generation, set, &put);
    b->memory.forbidden = 0;
}

static void put_both(bench *b, uint32_t set, model *m, const change *c)
{
    int reserved = reserve(b, c);
    CHECK(reserved);
    if (reserved) {
        put(b, set, c);
        model_put(m, c);
    }
}

/* ------------------------------------------------- the rules of the tree -- */

static uint32_t leaf_fanout(void)
{
    return (uint32_t)(sizeof(((dynbi_leaf *)0)->heads) / sizeof(uint64_t));
}

static uint32_t fork_fanout(void)
{
    return (uint32_t)(sizeof(((dynbi_fork *)0)->heads) / sizeof(uint64_t));
}

static uint64_t slow_head(const dynbi_entry *entry, uint32_t skip)
{
    uint64_t head = 0;
    uint32_t i;
    for (i = 0; i < 8; ++i) {
        uint32_t at = skip + i;
        head = head << 8 | (at < entry->key_size ? dynbi_entry_key(entry)[at] : 0u);
    }
    return head;
}

static int entry_order(const dynbi_entry *a, const dynbi_entry *b)
{
    return key_order(dynbi_entry_key(a), a->key_size, dynbi_entry_key(b), b->key_size);
}

/* Whether a node's key obeys its prefix, its head and its bounds. */
static int key_obeys(const dynbi_generation_node *node, const dynbi_entry *first,
                     const dynbi_entry *entry, uint64_t head, const dynbi_entry *low,
                     const dynbi_entry *high)
{
    return entry->key_size >= node->prefix_size && first->key_size >= node->prefix_size &&
           memcmp(dynbi_entry_key(entry), dynbi_entry_key(first), node->prefix_size) == 0 &&
           head == slow_head(entry, node->prefix_size) &&
           (!low || entry_order(low, entry) <= 0) && (!high || entry_order(entry, high) < 0);
}

typedef struct tree_counts {
    uint64_t entries;
    uint64_t content_bytes;
    uint32_t nodes[16];
    int ok;
} tree_counts;

/* is_last: on the right edge. Depth is bounded by the height of the tree. */
static void check_node(const dynbi_generation_node *node, const dynbi_entry *low,
                       const dynbi_entry *high, int is_last, tree_counts *counts)
{
    uint32_t i;
    ++counts->nodes[node->level];
    if (node->level == 0) {
        const dynbi_leaf *leaf = (const dynbi_leaf *)(const void *)node;
        counts->ok &= node->count >= (is_last ? 1u : leaf_fanout() / 2);
        for (i = 0; i < node->count; ++i) {
            const dynbi_entry *entry = leaf->entries[i];
            counts->ok &= key_obeys(node, leaf->entries[0], entry, leaf->heads[i], low, high);
            counts->ok &= i == 0 || entry_order(leaf->entries[i - 1], entry) < 0;
            ++counts->entries;
            counts->content_bytes += (uint64_t)entry->key_size + entry->value_size;
        }
    } else {
        const dynbi_fork *fork = (const dynbi_fork *)(const void *)node;
        counts->ok &= node->count >= (is_last ? 1u : fork_fanout() / 2);
        counts->ok &= fork->separators[0] == low;
        for (i = 0; i < node->count; ++i) {
            const dynbi_entry *above = i + 1u < node->count ? fork->separators[i + 1] : high;
            if (i > 0) {
                counts->ok &= key_obeys(node, fork->separators[1], fork->separators[i],
                                        fork->heads[i], low, high);
            }
            counts->ok &= fork->children[i]->level + 1u == node->level;
            check_node(fork->children[i], fork->separators[i], above,
                       is_last && i + 1u == node->count, counts);
        }
    }
}

static void check_generation(const dynbi_generation *g)
{
    tree_counts counts;
    const dynbi_chunk *chunk;
    uint64_t chunk_bytes = 0;
    uint32_t set, i, free_count = 0;
    const dynbi_leaf *node;
    memset(&counts, 0, sizeof counts);
    counts.ok = 1;
    for (set = 0; set < g->set_count; ++set) {
        const dynbi_generation_set *s = &g->sets[set];
        const dynbi_leaf *leaf, *before = NULL;
        if (!s->root) {
            continue;
        }
        counts.ok &= s->root->level + 1u == s->height && s->height <= g->height;
        check_node(s->root, NULL, NULL, 1, &counts);
        for (leaf = s->first; leaf; before = leaf, leaf = leaf->next) {
            counts.ok &= leaf->previous == before;
        }
        counts.ok &= before == s->last;
    }
    for (i = 0; i < 14; ++i) {
        counts.ok &= counts.nodes[i] == g->level_nodes[i];
    }
    for (chunk = g->chunks; chunk; chunk = chunk->next) {
        chunk_bytes += chunk->size_bytes;
        counts.ok &= chunk->used_bytes <= chunk->size_bytes && chunk->used_bytes % 8 == 0;
    }
    for (node = g->free_nodes; node; node = node->next) {
        ++free_count;
    }
    CHECK(counts.ok);
    CHECK_INT(free_count, g->free_node_count);
    CHECK_INT(counts.entries, g->entry_count);
    CHECK_INT(counts.content_bytes, g->content_bytes);
    CHECK_INT(chunk_bytes + sizeof *g + g->set_count * sizeof *g->sets, g->used_bytes);
}

static void check_same(const bench *b, uint32_t set, const model *m)
{
    dynbi_generation_cursor cursor;
    uint32_t i;
    int same = 1;
    dynbi_generation_seek(&cursor, b->generation, set, NULL, 0);
    for (i = 0; i < m->count; ++i) {
        same &= entry_is(dynbi_generation_current(&cursor), &m->changes[i]);
        dynbi_generation_next(&cursor);
    }
    same &= dynbi_generation_current(&cursor) == NULL;
    dynbi_generation_seek_before(&cursor, b->generation, set, NULL, 0);
    for (i = m->count; i-- > 0;) {
        same &= entry_is(dynbi_generation_current(&cursor), &m->changes[i]);
        dynbi_generation_prev(&cursor);
    }
    same &= dynbi_generation_current(&cursor) == NULL;
    CHECK(same);
}

/* ------------------------------------------------------- random changes -- */

enum { KEYS_RANDOM, KEYS_BITS, KEYS_PREFIX, KEYS_COMPOSITE, KEYS_GROWING, KEYS_KINDS };

static void make_key(check_random *random, int kind, uint32_t spread, change *c)
{
    uint32_t i;
    char text[64];
    if (kind == KEYS_RANDOM) {
        uint64_t x = check_below(random, spread) * 0x9e3779b97f4a7c15u;
        c->key_size = 8u + (uint32_t)(x % 5u);
        for (i = 0; i < c->key_size; ++i) {
            c->key[i] = (uint8_t)(x >> (i % 8u) * 8u);
        }
    } else if (kind == KEYS_BITS) { /* zero bytes, and keys that begin others */
        c->key_size = (uint32_t)check_below(random, 14);
        for (i = 0; i < c->key_size; ++i) {
            c->key[i] = check_below(random, 8) ? 0 : (uint8_t)(check_below(random, 2) * 255u);
        }
    } else {
        unsigned x = (unsigned)check_below(random, spread);
        if (kind == KEYS_PREFIX) {
            snprintf(text, sizeof text, "a-long-prefix-that-all-keys-share#%012u", x);
        } else if (kind == KEYS_COMPOSITE) {
            snprintf(text, sizeof text, "cust%03u#order#%u", x % 50u, x / 50u);
        } else { /* the shared prefix gets shorter again and again */
            snprintf(text, sizeof text, "%.*sx%u", (int)(40u - x % 40u),
                     "pppppppppppppppppppppppppppppppppppppppp", x / 40u);
        }
        c->key_size = (uint32_t)strlen(text);
        memcpy(c->key, text, c->key_size);
    }
}

static void make_change(check_random *random, int kind, uint32_t spread, change *c)
{
    memset(c, 0, sizeof *c);
    make_key(random, kind, spread, c);
    c->is_tombstone = check_below(random, 6) == 0;
    c->value_seed = (uint32_t)check_next(random);
    c->value_size = c->is_tombstone ? 0 : (uint32_t)check_below(random, 40);
    if (check_below(random, 500) == 0) {
        c->value_size = (uint32_t)check_below(random, 9000);
    }
}

/* Seeks a key that may be absent and walks a little, to and fro. */
static void check_walk(const bench *b, uint32_t set, const model *m, const change *c,
                       check_random *random)
{
    dynbi_generation_cursor cursor;
    int64_t at = model_find(m, c->key, c->key_size);
    const dynbi_entry *entry = dynbi_generation_get(b->generation, set, c->key, c->key_size);
    int same, steps;
    if (model_has(m, (uint32_t)at, c)) {
        CHECK(entry_is(entry, &m->changes[at]));
    } else {
        CHECK(entry == NULL);
    }
    if (check_below(random, 2)) {
        dynbi_generation_seek(&cursor, b->generation, set, c->key, c->key_size);
    } else {
        dynbi_generation_seek_before(&cursor, b->generation, set, c->key, c->key_size);
        --at;
    }
    for (steps = 0; steps < 6; ++steps) {
        entry = dynbi_generation_current(&cursor);
        same = at < 0 || at >= (int64_t)m->count ? entry == NULL : entry_is(entry, &m->changes[at]);
        CHECK(same);
        if (check_below(random, 2)) {
            dynbi_generation_next(&cursor);
            at += at < (int64_t)m->count;
        } else {
            dynbi_generation_prev(&cursor);
            at -= at >= 0 && m->count > 0;
        }
        if (m->count == 0) {
            at = 0;
        }
    }
}

static void test_random(check_random *random, int kind, uint32_t chunk_bytes, uint32_t spread)
{
    enum { SETS = 3 };
    uint64_t i, count = check_scaled(16000);
    model models[SETS];
    bench b;
    uint32_t set;
    memset(models, 0, sizeof models);
    bench_open(&b, chunk_bytes, 1u << 20, SETS);
    for (i = 0; i < count; ++i) {
        change c;
        set = (uint32_t)check_below(random, 20);
        set = set > 2 ? 0 : set;
        make_change(random, kind, spread, &c);
        if (check_below(random, 3) > 0) {
            put_both(&b, set, &models[set], &c);
        } else {
            check_walk(&b, set, &models[set], &c, random);
        }
        if (i % 997 == 0 || i < 200) {
            check_generation(b.generation);
        }
    }
    check_generation(b.generation);
    for (set = 0; set < SETS; ++set) {
        check_same(&b, set, &models[set]);
        free(models[set].changes);
    }
    bench_close(&b);
}

/* Several changes on one reservation, made of exactly the bytes announced. */
static void test_batches(check_random *random, int kind, uint32_t chunk_bytes)
{
    static const uint32_t sizes[] = {1, 2, 7, 25, 100, 1000, 3};
    static change batch[1000];
    model m;
    bench b;
    uint32_t round, i;
    memset(&m, 0, sizeof m);
    bench_open(&b, chunk_bytes, 1u << 16, 1);
    for (round = 0; round < 42; ++round) {
        uint32_t count = sizes[round % 7];
        uint64_t bytes = 0;
        for (i = 0; i < count; ++i) {
            make_change(random, kind, 4000, &batch[i]);
            bytes += (uint64_t)batch[i].key_size + batch[i].value_size;
        }
        CHECK(dynbi_generation_reserve(b.generation, count, bytes));
        for (i = 0; i < count; ++i) {
            put(&b, 0, &batch[i]);
            model_put(&m, &batch[i]);
        }
        check_generation(b.generation);
    }
    check_same(&b, 0, &m);
    free(m.changes);
    bench_close(&b);
}

/* ----------------------------------------------------------- given orders -- */

static void make_numbered(uint32_t number, uint32_t value_size, change *c)
{
    char text[32];
    memset(c, 0, sizeof *c);
    snprintf(text, sizeof text, "customer#%015u", number);
    c->key_size = 24;
    memcpy(c->key, text, 24);
    c->value_size = value_size;
    c->value_seed = number;
}

static void test_ascending(uint32_t chunk_bytes)
{
    uint32_t i, count = 60000;
    uint64_t full_leaves;
    change c;
    model m;
    bench b;
    memset(&m, 0, sizeof m);
    bench_open(&b, chunk_bytes, 0, 1);
    for (i = 0; i < count; ++i) {
        make_numbered(i * 2, 4, &c);
        put_both(&b, 0, &m, &c);
    }
    check_generation(b.generation);
    full_leaves = (count + leaf_fanout() - 1) / leaf_fanout();
    CHECK_INT(b.generation->level_nodes[0], full_leaves); /* all but the last are full */
    /* The worst for a reservation: every leaf is full, and each gets an entry. */
    CHECK(dynbi_generation_reserve(b.generation, 10000, 10000u * 28u));
    for (i = 0; i < 10000; ++i) {
        make_numbered(i * 12 + 1, 4, &c);
        put(&b, 0, &c);
        model_put(&m, &c);
    }
    check_generation(b.generation);
    check_same(&b, 0, &m);
    free(m.changes);
    bench_close(&b);
}

static void test_descending(void)
{
    uint32_t i;
    change c;
    model m;
    bench b;
    memset(&m, 0, sizeof m);
    bench_open(&b, 4096, 0, 2);
    for (i = 5000; i-- > 0;) {
        make_numbered(i, 20, &c);
        put_both(&b, 1, &m, &c);
    }
    check_generation(b.generation);
    check_same(&b, 1, &m);
    CHECK(dynbi_generation_get(b.generation, 0, c.key, c.key_size) == NULL);
    free(m.changes);
    bench_close(&b);
}

/* One reservation for a whole generation: from nothing to several levels, in
 * order, and shuffled. */
static void test_batch_from_empty(uint32_t chunk_bytes, uint32_t factor, uint32_t set_count)
{
    uint32_t i, set, count = 10000;
    change c;
    bench b;
    bench_open(&b, chunk_bytes, 0, set_count);
    CHECK(dynbi_generation_reserve(b.generation, count, (uint64_t)count * (24u + 200u)));
    for (i = 0; i < count; ++i) {
        set = i % set_count;
        make_numbered(i / set_count * factor % 10007u, 200, &c);
        put(&b, set, &c);
    }
    CHECK_INT(b.generation->entry_count, count);
    check_generation(b.generation);
    bench_close(&b);
}

/* --------------------------------------------------------- large and small -- */

static void test_large(uint32_t chunk_bytes)
{
    model m;
    change c;
    bench b;
    uint32_t i;
    memset(&m, 0, sizeof m);
    bench_open(&b, chunk_bytes, 1u << 20, 1);
    for (i = 0; i < 12; ++i) {
        make_numbered(i % 5, i % 3 ? 450000 - 24 - i : i, &c);
        put_both(&b, 0, &m, &c);
        make_numbered(100 + i, 10, &c);
        put_both(&b, 0, &m, &c);
    }
    check_generation(b.generation);
    check_same(&b, 0, &m);
    CHECK(!dynbi_generation_reserve(b.generation, 1, UINT64_MAX));
    CHECK(!dynbi_generation_reserve(b.generation, UINT32_MAX, UINT64_MAX / 2));
    b.memory.limit_bytes = b.memory.held_bytes;
    CHECK(!dynbi_generation_reserve(b.generation, 1, 100000000u));
    check_same(&b, 0, &m);
    free(m.changes);
    bench_close(&b);
}

static void test_small_memory(void)
{
    bench b;
    change c;
    uint32_t i;
    bench_open(&b, 4096, 0, 1);
    for (i = 0; i < 45; ++i) {
        make_numbered(i * 7 % 45, 200, &c);
        CHECK(reserve(&b, &c));
        put(&b, 0, &c);
    }
    check_generation(b.generation);
    CHECK(b.generation->used_bytes < 17000);
    bench_close(&b);
}

static void test_replace(void)
{
    bench b;
    change c;
    const dynbi_entry *entry, *same;
    dynbi_change own;
    uint64_t used_bytes;
    uint32_t i;
    bench_open(&b, 4096, 0, 1);
    make_numbered(1, 100, &c);
    CHECK(reserve(&b, &c));
    put(&b, 0, &c);
    entry = dynbi_generation_get(b.generation, 0, c.key, c.key_size);
    CHECK(entry_is(entry, &c));
    c.value_size = 60;
    c.value_seed = 9;
    put(&b, 0, &c); /* in place: needs no memory */
    CHECK(dynbi_generation_get(b.generation, 0, c.key, c.key_size) == entry);
    CHECK(entry_is(entry, &c));
    c.value_size = 0;
    c.is_tombstone = 1;
    put(&b, 0, &c);
    CHECK(entry_is(entry, &c));
    CHECK_INT(b.generation->content_bytes, 24);
    c.value_size = 100;
    c.is_tombstone = 0;
    put(&b, 0, &c);
    CHECK(entry_is(entry, &c));
    CHECK_INT(b.generation->content_bytes, 124);
    /* A value that is the entry's own, and a part of it. */
    own.key = c.key;
    own.key_size = 24;
    own.value = dynbi_entry_value(entry);
    own.value_size = 100;
    own.is_tombstone = 0;
    b.memory.forbidden = 1;
    dynbi_generation_put(b.generation, 0, &own);
    CHECK(entry_is(entry, &c));
    own.value = dynbi_entry_value(entry) + 1;
    own.value_size = 99;
    dynbi_generation_put(b.generation, 0, &own);
    b.memory.forbidden = 0;
    CHECK(dynbi_entry_value(entry)[98] == value_byte(c.value_seed, 99));
    c.value_size = 150;
    CHECK(reserve(&b, &c));
    put(&b, 0, &c);
    same = dynbi_generation_get(b.generation, 0, c.key, c.key_size);
    CHECK(same != entry && entry_is(same, &c));
    CHECK_INT(b.generation->entry_count, 1);
    /* Growth step by step copies, and wastes, only now and then. */
    for (i = 150; i < 1000; ++i) {
        c.value_size = i;
        CHECK(reserve(&b, &c));
        put(&b, 0, &c);
    }
    used_bytes = b.generation->used_bytes;
    CHECK(used_bytes < 20000);
    check_generation(b.generation);
    bench_close(&b);
}

static void test_ends(void)
{
    bench b;
    change c;
    dynbi_generation_cursor cursor;
    int i;
    bench_open(&b, 4096, 0, 1);
    make_numbered(5, 3, &c);
    for (i = 0; i < 2; ++i) { /* empty */
        dynbi_generation_seek(&cursor, b.generation, 0, i ? c.key : NULL, i ? 24 : 0);
        CHECK(dynbi_generation_current(&cursor) == NULL);
        dynbi_generation_next(&cursor);
        dynbi_generation_prev(&cursor);
        CHECK(dynbi_generation_current(&cursor) == NULL);
        dynbi_generation_seek_before(&cursor, b.generation, 0, i ? c.key : NULL, i ? 24 : 0);
        CHECK(dynbi_generation_current(&cursor) == NULL);
    }
    CHECK(dynbi_generation_get(b.generation, 0, c.key, 24) == NULL);
    CHECK(reserve(&b, &c));
    put(&b, 0, &c);
    dynbi_generation_seek(&cursor, b.generation, 0, NULL, 0);
    for (i = 0; i < 3; ++i) { /* past the end and back, before the start and back */
        CHECK(entry_is(dynbi_generation_current(&cursor), &c));
        dynbi_generation_next(&cursor);
        dynbi_generation_next(&cursor);
        CHECK(dynbi_generation_current(&cursor) == NULL);
        dynbi_generation_prev(&cursor);
        CHECK(entry_is(dynbi_generation_current(&cursor), &c));
        dynbi_generation_prev(&cursor);
        dynbi_generation_prev(&cursor);
        CHECK(dynbi_generation_current(&cursor) == NULL);
        dynbi_generation_next(&cursor);
    }
    dynbi_generation_seek_before(&cursor, b.generation, 0, c.key, 24);
    CHECK(dynbi_generation_current(&cursor) == NULL);
    dynbi_generation_seek(&cursor, b.generation, 0, c.key, 23);
    CHECK(dynbi_generation_current(&cursor) != NULL);
    bench_close(&b);
}

/* ------------------------------------------------------- pool and failures -- */

static void test_pool(void)
{
    bench b;
    change c;
    uint32_t i;
    uint64_t calls;
    bench_open(&b, 4096, 5 * 4096, 1);
    for (i = 0; i < 200; ++i) {
        make_numbered(i, 200, &c);
        CHECK(reserve(&b, &c));
        put(&b, 0, &c);
    }
    make_numbered(1000, 100000, &c);
    CHECK(reserve(&b, &c));
    put(&b, 0, &c);
    dynbi_generation_free(b.generation);
    CHECK_INT(b.pool.free_bytes, 5 * 4096);
    CHECK_INT(b.memory.held_bytes, 5 * 4096); /* the rest, and the large one, went back */
    b.generation = dynbi_generation_new(&b.pool, 1);
    CHECK(b.generation != NULL);
    if (!b.generation) {
        return;
    }
    calls = b.memory.call_count;
    CHECK(dynbi_generation_reserve(b.generation, 1, 1000));
    CHECK_INT(b.memory.call_count, calls);
    CHECK_INT(b.pool.free_bytes, 4 * 4096);
    /* What is kept gives way to what is needed. */
    b.memory.limit_bytes = b.memory.held_bytes;
    CHECK(dynbi_generation_reserve(b.generation, 1, 10000));
    CHECK_INT(b.pool.free_bytes, 0);
    b.memory.limit_bytes = 0;
    dynbi_pool_trim(&b.pool);
    dynbi_generation_free(b.generation);
    b.generation = NULL;
    CHECK_INT(b.pool.free_bytes, 4096);
    calls = b.memory.call_count;
    CHECK(dynbi_pool_take(&b.pool, (size_t)-1) == NULL); /* more than there are addresses */
    CHECK(dynbi_pool_take(&b.pool, (size_t)-1 - DYNBI_CHUNK_HEADER - 7u) == NULL);
    CHECK_INT(b.memory.call_count, calls);
    CHECK_INT(b.pool.free_bytes, 4096);
    dynbi_pool_trim(&b.pool);
    CHECK_INT(b.memory.held_bytes, 0);
    dynbi_generation_free(NULL);
    b.memory.fail_at = b.memory.call_count + 1;
    CHECK(dynbi_generation_new(&b.pool, 4) == NULL);
    bench_close(&b);
}

/* The workload of one failure test; returns the failed reservations. */
static uint32_t run_failing(bench *b, model *m, uint32_t chunk_kind)
{
    check_random random;
    uint32_t i, j, failed_count = 0;
    random.state = 77;
    for (i = 0; i < 150; ++i) {
        change batch[9];
        uint32_t count = i % 10 == 9 ? 9 : 1;
        uint64_t bytes = 0, entries = b->generation->entry_count;
        uint64_t content_bytes = b->generation->content_bytes;
        for (j = 0; j < count; ++j) {
            make_change(&random, chunk_kind ? KEYS_PREFIX : KEYS_RANDOM, 100000, &batch[j]);
            bytes += (uint64_t)batch[j].key_size + batch[j].value_size;
        }
        if (!dynbi_generation_reserve(b->generation, count, bytes)) {
            ++failed_count;
            CHECK(b->generation->entry_count == entries);
            CHECK(b->generation->content_bytes == content_bytes);
            check_same(b, 0, m);
            check_generation(b->generation);
            continue;
        }
        for (j = 0; j < count; ++j) {
            put(b, 0, &batch[j]);
            model_put(m, &batch[j]);
        }
    }
    return failed_count;
}

static void test_failures(uint32_t chunk_bytes, int fail_after)
{
    uint64_t fail_at, call_count = 2;
    for (fail_at = 1; fail_at <= call_count; ++fail_at) {
        bench b;
        model m;
        memset(&m, 0, sizeof m);
        bench_open(&b, chunk_bytes, 3u * chunk_bytes, 1);
        b.memory.call_count = 0;
        b.memory.fail_at = fail_at;
        b.memory.fail_after = fail_after;
        CHECK(run_failing(&b, &m, (uint32_t)(fail_at & 1u)) > 0 || !fail_after);
        if (fail_at == 1) { /* how many there are */
            bench all;
            model ignored;
            memset(&ignored, 0, sizeof ignored);
            bench_open(&all, chunk_bytes, 0, 1);
            all.memory.call_count = 0;
            CHECK_INT(run_failing(&all, &ignored, 0), 0);
            call_count = all.memory.call_count;
            CHECK(call_count > 4);
            free(ignored.changes);
            bench_close(&all);
        }
        check_generation(b.generation);
        check_same(&b, 0, &m);
        free(m.changes);
        bench_close(&b);
    }
}

int main(void)
{
    check_random random;
    int kind;
    random.state = check_seed("unit_generation");
    for (kind = 0; kind < KEYS_KINDS; ++kind) {
        test_random(&random, kind, 4096, 100000);
        test_random(&random, kind, 65536, 3000);
        test_random(&random, kind, 512, 1000000); /* smaller than a node */
        test_batches(&random, kind, 4096);
        test_batches(&random, kind, 1u << 20);
    }
    test_ascending(4096);
    test_ascending(1u << 20);
    test_descending();
    test_batch_from_empty(4096, 1, 1);
    test_batch_from_empty(65536, 5003, 1);
    test_batch_from_empty(65536, 10006, 1);
    test_batch_from_empty(4096, 1, 7);
    test_batch_from_empty(65536, 4001, 3);
    test_large(4096);
    test_large(1u << 20);
    test_small_memory();
    test_replace();
    test_ends();
    test_pool();
    test_failures(4096, 0);
    test_failures(4096, 1);
    test_failures(1024, 0);
    return check_report("unit_generation");
}
