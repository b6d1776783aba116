/* unit_value.c - section 13: items against a naive encoder; damage; messages. */
#define DYNBACKUP_IMPLEMENTATION
#define DYNBACKUP_KEEP_MACROS
#include "../dynbackup.h"
#include "check.h"

#define WRONG "One or more parameter values were invalid: "
#define NESTING \
    "Nesting Levels have exceeded supported limits: Attributes in the item have " \
    "nested levels beyond supported limit"
#define TOO_BIG "Item size has exceeded the maximum allowed size"

static dynb_error err;

/* An allocator that fails from a given call on, and counts blocks. */
static long alloc_left = -1, alloc_blocks;

static void *alloc_resize(void *ctx, void *ptr, size_t old_size, size_t new_size)
{
    (void)ctx;
    (void)old_size;
    if (!new_size) {
        alloc_blocks -= ptr != NULL;
        free(ptr);
        return NULL;
    }
    if (alloc_left == 0)
        return NULL;
    if (alloc_left > 0)
        --alloc_left;
    alloc_blocks += !ptr;
    return realloc(ptr, new_size);
}

static void new_builder(dynb_builder *b)
{
    memset(b, 0, sizeof *b);
    b->allocator.resize_fn = alloc_resize;
}

/* ------------------------------------------- a naive model of an item -- */

typedef struct node {
    int type; /* dynb_type */
    char name[12];
    size_t name_length;
    uint8_t bytes[40]; /* S, B: content; N: text */
    size_t length;
    int flag;
    struct node *child;
    int child_count;
} node;

typedef struct text {
    uint8_t *bytes;
    size_t size;
} text;

static void put(text *to, const void *bytes, size_t size)
{
    to->bytes = (uint8_t *)realloc(to->bytes, to->size + size + 1);
    if (size)
        memcpy(to->bytes + to->size, bytes, size);
    to->size += size;
}

static void put_varint(text *to, uint64_t v)
{
    uint8_t bytes[10];
    put(to, bytes, (size_t)(dynbi_varint_store(bytes, v) - bytes));
}

static int text_order(const void *pa, const void *pb)
{
    const text *a = (const text *)pa, *b = (const text *)pb;
    int order = memcmp(a->bytes, b->bytes, a->size < b->size ? a->size : b->size);
    return order ? order : a->size < b->size ? -1 : a->size > b->size;
}

static int name_order(const void *pa, const void *pb)
{
    const node *a = (const node *)pa, *b = (const node *)pb;
    int order =
        memcmp(a->name, b->name, a->name_length < b->name_length ? a->name_length : b->name_length);
    return order ? order : (int)a->name_length - (int)b->name_length;
}

static uint64_t naive_payload(const node *n, text *to, int with_type);

/* Attributes in order; returns their AWS size. Sorts the model. */
static uint64_t naive_attributes(const node *n, text *to)
{
    uint64_t size = 0;
    int i;
    qsort(n->child, (size_t)n->child_count, sizeof *n->child, name_order);
    for (i = 0; i < n->child_count; ++i) {
        put_varint(to, n->child[i].name_length);
        put(to, n->child[i].name, n->child[i].name_length);
        size += n->child[i].name_length + naive_payload(&n->child[i], to, 1);
    }
    return size;
}

static uint64_t naive_payload(const node *n, text *to, int with_type)
{
    uint8_t type = (uint8_t)n->type, number[DYNBI_NUMBER_MAX];
    text inner = {NULL, 0};
    uint32_t size = 0;
    uint64_t aws = 0;
    int i;
    if (with_type)
        put(to, &type, 1);
    switch (n->type) {
    case DYNB_S:
    case DYNB_B:
        put_varint(to, n->length);
        put(to, n->bytes, n->length);
        return n->length;
    case DYNB_N:
        CHECK(!dynbi_number_parse((const char *)n->bytes, n->length, number, &size, &err));
        put_varint(to, size);
        put(to, number, size);
        return dynbi_number_aws_size(number, size);
    case DYNB_BOOL: put(to, n->flag ? "\1" : "\0", 1); return 1;
    case DYNB_NULL: return 1;
    default: break;
    }
    put_varint(&inner, (uint64_t)n->child_count);
    if (n->type == DYNB_M) {
        aws = 3 + (uint64_t)n->child_count + naive_attributes(n, &inner);
    } else if (n->type == DYNB_L) {
        aws = 3 + (uint64_t)n->child_count;
        for (i = 0; i < n->child_count; ++i)
            aws += naive_payload(&n->child[i], &inner, 1);
    } else {
        text *all = (text *)calloc((size_t)n->child_count, sizeof *all);
        for (i = 0; i < n->child_count; ++i) {
            const node *c = &n->child[i];
            if (c->type == DYNB_N) {
                CHECK(!dynbi_number_parse((const char *)c->bytes, c->length, number, &size, &err));
                put(&all[i], number, size);
                aws += dynbi_number_aws_size(number, size);
            } else {
                put(&all[i], c->bytes, c->length);
                aws += c->length;
            }
        }
        qsort(all, (size_t)n->child_count, sizeof *all, text_order);
        for (i = 0; i < n->child_count; ++i) {
            put_varint(&inner, all[i].size);
            put(&inner, all[i].bytes, all[i].size);
            free(all[i].bytes);
        }
        free(all);
    }
    put_varint(to, inner.size);
    put(to, inner.bytes, inner.size);
    free(inner.bytes);
    return aws;
}

static text naive_item(const node *n)
{
    text content = {NULL, 0}, item = {NULL, 0};
    uint64_t aws = naive_attributes(n, &content);
    put_varint(&item, aws);
    put_varint(&item, (uint64_t)n->child_count);
    put(&item, content.bytes, content.size);
    free(content.bytes);
    return item;
}

static void random_node(check_random *random, node *n, int type, int level)
{
    int i, k, most = level < 3 ? 6 : 2;
    memset(n, 0, sizeof *n);
    n->type = type ? type : 1 + (int)check_below(random, level > 5 ? 8 : 10);
    n->flag = (int)check_below(random, 2);
    n->length = check_below(random, 24);
    for (i = 0; i < (int)n->length; ++i)
        n->bytes[i] =
            (uint8_t)(n->type == DYNB_B ? check_next(random) : 32 + check_below(random, 90));
    if (n->type == DYNB_N)
        n->length = (size_t)snprintf(
            (char *)n->bytes, sizeof n->bytes, "%d.%de%d", (int)check_below(random, 2000) - 1000,
            (int)check_below(random, 50), (int)check_below(random, 60) - 30);
    if (n->type < DYNB_SS)
        return;
    if (check_below(random, 20) == 0)
        most = 60; /* enough to sort in the heap */
    n->child_count = (int)check_below(random, (uint64_t)most) + (n->type <= DYNB_BS);
    n->child = (node *)calloc((size_t)n->child_count + 1, sizeof *n->child);
    for (i = 0; i < n->child_count; ++i) {
        node *c = &n->child[i];
        random_node(random, c,
                    n->type == DYNB_SS   ? DYNB_S
                    : n->type == DYNB_NS ? DYNB_N
                    : n->type == DYNB_BS ? DYNB_B
                    : most == 60         ? DYNB_NULL
                                         : 0,
                    level + 1);
        if (n->type <= DYNB_BS) /* unlike the others */
            c->length =
                c->type == DYNB_N
                    ? (size_t)snprintf((char *)c->bytes, sizeof c->bytes, "%d", (i * 37) % 61)
                    : (size_t)snprintf((char *)c->bytes, sizeof c->bytes, "%.*s%d", (i * 37) % 7,
                                       "aaaaaaa", (i * 37) % 61);
        if (n->type == DYNB_M) {
            c->name_length = (size_t)snprintf(c->name, sizeof c->name, "%.*s%d", (i * 37) % 4,
                                              "nnnn", (i * 37) % 61);
            for (k = 0; k < i; ++k)
                CHECK(strcmp(c->name, n->child[k].name) != 0);
        }
    }
}

static void free_node(node *n)
{
    int i;
    for (i = 0; i < n->child_count; ++i)
        free_node(&n->child[i]);
    free(n->child);
}

static void build(dynb_builder *b, const node *n, const char *name)
{
    int i;
    switch (n->type) {
    case DYNB_S: dynb_add_string(b, name, (const char *)n->bytes, n->length); return;
    case DYNB_N: dynb_add_number(b, name, (const char *)n->bytes, n->length); return;
    case DYNB_B: dynb_add_binary(b, name, n->bytes, n->length); return;
    case DYNB_BOOL: dynb_add_bool(b, name, n->flag ? 17 : 0); return;
    case DYNB_NULL: dynb_add_null(b, name); return;
    default:
        dynb_open_container(b, name, (dynb_type)n->type);
        for (i = 0; i < n->child_count; ++i)
            build(b, &n->child[i], n->type == DYNB_M ? n->child[i].name : NULL);
        dynb_close_container(b);
    }
}

/* Copies an item value by value, whatever is inside: what dynb_item_check takes
 * for canonical must come out as it was. */
static void rebuild_values(dynb_builder *b, dynb_iterator it, int is_map)
{
    const char *name;
    size_t length;
    dynb_value value;
    while (dynb_next(&it, &name, &length, &value)) {
        char number[DYNB_NUMBER_TEXT_SIZE], label[70000];
        size_t size;
        const char *bytes = dynb_value_string(value, &size);
        if (is_map) {
            memcpy(label, name, length);
            label[length] = 0;
        } else {
            CHECK(!length && !name);
        }
        if (value.type == DYNB_S || value.type == DYNB_B) {
            dynbi_build_bytes(b, is_map ? label : NULL, length, (uint8_t)value.type, bytes, size);
        } else if (value.type == DYNB_N) {
            size = dynb_value_number(value, number);
            dynbi_build_number(b, is_map ? label : NULL, length, number, size);
        } else if (value.type == DYNB_BOOL) {
            dynbi_build_small(b, is_map ? label : NULL, length, dynb_value_bool(value));
        } else if (value.type == DYNB_NULL) {
            dynbi_build_small(b, is_map ? label : NULL, length, -1);
        } else {
            dynbi_build_open(b, is_map ? label : NULL, length, (uint8_t)value.type);
            rebuild_values(b, dynb_value_iterate(value), value.type == DYNB_M);
            dynb_close_container(b);
        }
    }
}

/* Accessors over bytes that may be anything: they must end and stay inside. */
static uint64_t touch_values(dynb_iterator it, int depth)
{
    const char *name, *bytes;
    size_t length, size, i;
    dynb_value value;
    uint64_t sum = 0;
    char number[DYNB_NUMBER_TEXT_SIZE];
    int64_t whole;
    while (dynb_next(&it, &name, &length, &value)) {
        for (i = 0; i < length; ++i)
            sum += (uint8_t)name[i];
        bytes = dynb_value_string(value, &size);
        for (i = 0; bytes && i < size; ++i)
            sum += (uint8_t)bytes[i];
        sum += dynb_value_number(value, number) + (uint64_t)dynb_value_int(value, &whole) +
               (uint64_t)dynb_value_bool(value) + dynb_value_count(value);
        if (depth < 40)
            sum += touch_values(dynb_value_iterate(value), depth + 1);
    }
    CHECK(!dynb_next(&it, NULL, NULL, NULL));
    return sum;
}

static volatile uint64_t touched;

/* Bytes from outside: checks agree with rebuilding, accessors stay inside. */
static void hostile(const uint8_t *bytes, size_t size)
{
    uint8_t *exact = (uint8_t *)malloc(size ? size : 1);
    dynb_item item, again;
    dynb_builder b;
    dynb_rc rc;
    if (size)
        memcpy(exact, bytes, size);
    item.bytes = exact;
    item.size_bytes = (uint32_t)size;
    touched += touch_values(dynb_item_iterate(item), 0) + dynb_item_size(item);
    touched += dynb_item_get(item, "a").size_bytes;
    rc = dynb_item_check(item, &err);
    CHECK(rc == DYNB_OK || rc == DYNB_VALIDATION);
    CHECK(rc == DYNB_OK || err.pos <= size);
    if (rc == DYNB_OK) {
        memset(&b, 0, sizeof b);
        dynb_builder_begin(&b);
        rebuild_values(&b, dynb_item_iterate(item), 1);
        CHECK_INT(dynb_builder_finish(&b, &again, &err), DYNB_OK);
        CHECK(again.size_bytes == size && !memcmp(again.bytes, exact, size));
        dynb_builder_free(&b);
    }
    free(exact);
}

static void test_random(check_random *random)
{
    uint64_t round;
    dynb_builder b;
    new_builder(&b);
    for (round = check_scaled(600); round; --round) {
        node root;
        text expected;
        dynb_item item;
        int i;
        size_t at;
        random_node(random, &root, DYNB_M, 0);
        dynb_builder_begin(&b);
        for (i = 0; i < root.child_count; ++i)
            build(&b, &root.child[i], root.child[i].name);
        CHECK_INT(dynb_builder_finish(&b, &item, &err), DYNB_OK);
        expected = naive_item(&root);
        CHECK(item.size_bytes == expected.size &&
              !memcmp(item.bytes, expected.bytes, expected.size));
        CHECK_INT(dynb_item_check(item, &err), DYNB_OK);
        for (i = 0; i < root.child_count; ++i)
            CHECK(dynb_item_get(item, root.child[i].name).type == (dynb_type)root.child[i].type);
        CHECK(dynb_item_get(item, "absent").type == DYNB_TYPE_NONE);
        if (expected.size < 600) {
            for (at = 0; at < expected.size; ++at) {
                uint8_t kept = expected.bytes[at];
                hostile(expected.bytes, at);
                expected.bytes[at] = (uint8_t)(kept ^ (1u << check_below(random, 8)));
                hostile(expected.bytes, expected.size);
                expected.bytes[at] = (uint8_t)check_next(random);
                hostile(expected.bytes, expected.size);
                expected.bytes[at] = (uint8_t)(kept + 1);
                hostile(expected.bytes, expected.size);
                expected.bytes[at] = kept;
            }
            put(&expected, "\0", 1);
            hostile(expected.bytes, expected.size);
        }
        free(expected.bytes);
        free_node(&root);
    }
    dynb_builder_free(&b);
    CHECK(alloc_blocks == 0);
}

/* ------------------------------------------------------- golden bytes -- */

static dynb_item finish(dynb_builder *b)
{
    dynb_item item;
    CHECK_INT(dynb_builder_finish(b, &item, &err), DYNB_OK);
    return item;
}

static void test_golden(void)
{
    static const uint8_t expected[] = {
        23, 3, /* 1+2, 1+1, 1+17 */
        1,  'a', DYNB_N,  3,  0xC1, 0x02, 0x00, 1,         'b', DYNB_BOOL, 1,
        1,  'c', DYNB_M,  17, 2,    1,    'x',  DYNB_NULL, 1,   'y',       DYNB_L,
        9,  2,   DYNB_SS, 5,  2,    1,    'p',  1,         'q', DYNB_NULL};
    dynb_builder b;
    dynb_item item, empty;
    dynb_value c, y;
    dynb_iterator it;
    const char *name;
    size_t length;
    new_builder(&b);
    dynb_builder_begin(&b);
    dynb_open_container(&b, "c", DYNB_M);
    dynb_open_container(&b, "y", DYNB_L);
    dynb_open_container(&b, NULL, DYNB_SS);
    dynb_add_string(&b, NULL, "q", (size_t)-1);
    dynb_add_string(&b, NULL, "p", 1);
    dynb_close_container(&b);
    dynb_add_null(&b, NULL);
    dynb_close_container(&b);
    dynb_add_null(&b, "x");
    dynb_close_container(&b);
    dynb_add_bool(&b, "b", 1);
    dynb_add_int(&b, "a", 1);
    item = finish(&b);
    CHECK(dynb_item_size(item) == 3 + 2 + 1 + 3 + (1 + 1 + 1) + (1 + 1 + 3 + (1 + 2) + (1 + 1)));
    CHECK(item.size_bytes == sizeof expected);
    CHECK(!memcmp(item.bytes + 2, expected + 2, sizeof expected - 2));
    c = dynb_item_get(item, "c");
    CHECK(c.type == DYNB_M && dynb_value_count(c) == 2);
    it = dynb_value_iterate(c);
    CHECK(dynb_next(&it, &name, &length, &y) && length == 1 && *name == 'x' && y.type == DYNB_NULL);
    CHECK(dynb_next(&it, NULL, NULL, &y) && y.type == DYNB_L && dynb_value_count(y) == 2);
    CHECK(!dynb_next(&it, NULL, NULL, NULL));
    CHECK(dynb_value_bool(dynb_item_get(item, "b")) == 1);
    CHECK(dynb_value_count(dynb_item_get(item, "b")) == 0);
    dynb_builder_begin(&b);
    empty = finish(&b);
    CHECK(empty.size_bytes == 2 && !empty.bytes[0] && !empty.bytes[1]);
    CHECK_INT(dynb_item_check(empty, &err), DYNB_OK);
    /* contract 3.4: 23 bytes */
    dynb_builder_begin(&b);
    dynb_add_string(&b, "shirt-color", "R", (size_t)-1);
    dynb_add_string(&b, "shirt-size", "M", (size_t)-1);
    CHECK(dynb_item_size(finish(&b)) == 23);
    dynb_builder_free(&b);
}

static void test_accessors(void)
{
    dynb_builder b;
    dynb_item item, none = {NULL, 0};
    dynb_value value = {DYNB_TYPE_NONE, 0, NULL};
    size_t length = 9;
    int64_t number = 5;
    char text_[DYNB_NUMBER_TEXT_SIZE];
    static const uint8_t huge[] = {0xff, 0xff, 0xff, 0xff, 0x7f, 0};
    dynb_item big = {huge, sizeof huge};
    dynb_iterator it;
    CHECK(!dynb_item_size(none) && dynb_item_get(none, "a").type == DYNB_TYPE_NONE);
    CHECK(!dynb_item_size(big));
    it = dynb_item_iterate(none);
    CHECK(!dynb_next(&it, NULL, NULL, NULL));
    CHECK(!dynb_value_string(value, &length) && length == 0);
    CHECK(!dynb_value_number(value, text_) && !text_[0]);
    CHECK(!dynb_value_int(value, &number) && number == 0);
    CHECK(!dynb_value_bool(value) && !dynb_value_count(value));
    it = dynb_value_iterate(value);
    CHECK(!dynb_next(&it, NULL, NULL, NULL));
    for (value.type = DYNB_S; value.type <= DYNB_M; value.type = (dynb_type)(value.type + 1)) {
        CHECK(!dynb_value_string(value, &length) && !dynb_value_number(value, text_));
        CHECK(!dynb_value_count(value) && !dynb_value_bool(value));
        it = dynb_value_iterate(value);
        CHECK(!dynb_next(&it, NULL, NULL, NULL));
    }
    value.type = DYNB_L; /* size and count beyond the bytes */
    value.bytes = (const uint8_t *)"\x05\x01";
    value.size_bytes = 2;
    CHECK(!dynb_value_count(value));
    value.bytes = (const uint8_t *)"\x05\xff\xff\xff\xff\x7f";
    value.size_bytes = 6;
    CHECK(!dynb_value_count(value));
    value.bytes = (const uint8_t *)"\x00";
    value.size_bytes = 1;
    CHECK(!dynb_value_count(value));
    it = dynb_value_iterate(value);
    CHECK(!dynb_next(&it, NULL, NULL, NULL));
    value.type = DYNB_N;
    CHECK(!dynb_value_number(value, text_));
    value.type = DYNB_BOOL;
    CHECK(!dynb_value_bool(value));
    new_builder(&b);
    dynb_builder_begin(&b);
    dynb_add_string(&b, "s", "text", (size_t)-1);
    dynb_add_string(&b, "e", NULL, 0);
    dynb_add_binary(&b, "b", "\0\1", 2);
    dynb_add_int(&b, "min", INT64_MIN);
    dynb_add_int(&b, "max", INT64_MAX);
    dynb_add_number(&b, "n", "-1.50e1", (size_t)-1);
    dynb_add_bool(&b, "no", 0);
    item = finish(&b);
    CHECK(!memcmp(dynb_value_string(dynb_item_get(item, "s"), &length), "text", 4) && length == 4);
    CHECK(dynb_value_string(dynb_item_get(item, "e"), &length) && length == 0);
    CHECK(!memcmp(dynb_value_string(dynb_item_get(item, "b"), &length), "\0\1", 2) && length == 2);
    CHECK(dynb_value_int(dynb_item_get(item, "min"), &number) && number == INT64_MIN);
    CHECK(dynb_value_int(dynb_item_get(item, "max"), &number) && number == INT64_MAX);
    CHECK(dynb_value_int(dynb_item_get(item, "n"), &number) && number == -15);
    CHECK(dynb_value_number(dynb_item_get(item, "n"), text_) == 3);
    CHECK_TEXT(text_, "-15");
    CHECK(!dynb_value_bool(dynb_item_get(item, "no")));
    CHECK(!dynb_value_bool(dynb_item_get(item, "s")));
    dynb_builder_free(&b);
}

/* --------------------------------------------------- builder's failures -- */

static dynb_builder shared;

static dynb_builder *begin(void)
{
    dynb_builder_begin(&shared);
    return &shared;
}

static void failed(dynb_rc rc, const char *path, const char *message)
{
    dynb_item item = {(const uint8_t *)"x", 1};
    memset(&err, 0, sizeof err);
    CHECK_INT(dynb_builder_finish(&shared, &item, &err), rc);
    CHECK(!item.bytes && !item.size_bytes);
    CHECK_INT(err.code, rc);
    CHECK_TEXT(err.path, path);
    CHECK_TEXT(err.message, message);
    CHECK_INT(dynb_builder_finish(&shared, &item, NULL), rc); /* it sticks */
    dynb_add_null(&shared, "a");
    dynb_add_string(&shared, "a", NULL, 5);
    dynb_add_number(&shared, "a", "1", 1);
    dynb_add_value(&shared, "a", dynb_item_get(item, "a"));
    dynb_open_container(&shared, "a", DYNB_S);
    dynb_close_container(&shared);
    CHECK_TEXT(shared.error.message, message);
}

static void test_misuse(void)
{
    dynb_builder *b = &shared;
    dynb_value value = {DYNB_N, 1, (const uint8_t *)"\1"};
    new_builder(b);
    dynb_add_null(b, "a");
    failed(DYNB_INVALID_ARGUMENT, "", "no item is being built: call dynb_builder_begin first");
    dynb_builder_free(b);
    failed(DYNB_INVALID_ARGUMENT, "", "no item is being built");
    dynb_builder_free(b);
    dynb_close_container(b);
    failed(DYNB_INVALID_ARGUMENT, "", "no container is open");
    dynb_close_container(begin());
    failed(DYNB_INVALID_ARGUMENT, "", "no container is open");
    dynb_open_container(begin(), "m", DYNB_M);
    failed(DYNB_INVALID_ARGUMENT, "m", "a container is still open");
    dynb_add_null(begin(), NULL);
    failed(DYNB_INVALID_ARGUMENT, "",
           "the attribute needs a name: items and maps hold named values");
    dynb_open_container(begin(), "l", DYNB_L);
    dynb_add_null(b, NULL);
    dynb_add_null(b, "x");
    failed(DYNB_INVALID_ARGUMENT, "l.L[1]", "the element has a name: pass NULL in lists and sets");
    dynb_open_container(begin(), "s", DYNB_NS);
    dynb_add_int(b, NULL, 4);
    dynb_add_string(b, NULL, "x", 1);
    failed(DYNB_INVALID_ARGUMENT, "s.NS[1]", "the element is not of the set's type");
    dynb_open_container(begin(), "s", DYNB_BS);
    dynb_open_container(b, NULL, DYNB_L);
    failed(DYNB_INVALID_ARGUMENT, "s.BS[0]", "the element is not of the set's type");
    dynb_open_container(begin(), "s", DYNB_S);
    failed(DYNB_INVALID_ARGUMENT, "s", "not a container's type: use DYNB_M, L, SS, NS or BS");
    dynb_open_container(begin(), "s", (dynb_type)11);
    failed(DYNB_INVALID_ARGUMENT, "s", "not a container's type: use DYNB_M, L, SS, NS or BS");
    dynb_add_string(begin(), "s", NULL, (size_t)-1);
    failed(DYNB_INVALID_ARGUMENT, "s", "the value is NULL");
    dynb_add_binary(begin(), "s", NULL, 1);
    failed(DYNB_INVALID_ARGUMENT, "s", "the value is NULL");
    dynb_add_value(begin(), "v", value);
    failed(DYNB_VALIDATION, "v", "these bytes are no item: build it with a dynb_builder");
    /* the path goes through all open containers */
    begin();
    dynb_add_null(b, "z");
    dynb_open_container(b, "tags", DYNB_L);
    dynb_add_null(b, NULL);
    dynb_add_null(b, NULL);
    dynb_open_container(b, NULL, DYNB_M);
    dynb_add_null(b, "w");
    dynb_open_container(b, "y", DYNB_M);
    dynb_add_number(b, "x", "dog", (size_t)-1);
    failed(DYNB_VALIDATION, "tags.L[2].M.y.M.x",
           "The parameter cannot be converted to a numeric value: dog");
    CHECK_INT(shared.error.pos, 0);
}

static char long_name[65538];

static void test_rules(void)
{
    dynb_builder *b = &shared;
    dynb_item item;
    memset(long_name, 'n', 65536);
    dynb_add_null(begin(), "");
    failed(DYNB_VALIDATION, "", WRONG "Empty attribute name");
    dynb_add_null(begin(), long_name);
    CHECK_INT(dynb_builder_finish(b, &item, &err), DYNB_VALIDATION);
    CHECK_TEXT(err.message, WRONG "Attribute name is too large, must be less than 65536 bytes");
    CHECK(strlen(err.path) == 127);
    long_name[65535] = 0;
    dynb_add_null(begin(), long_name);
    item = finish(b);
    CHECK(dynb_item_size(item) == 65536 && !dynb_item_check(item, &err));
    dynb_add_null(begin(), "\xff");
    failed(DYNB_VALIDATION, "\xff", WRONG "Attribute name is not UTF-8");
    dynb_add_string(begin(), "s", "a\xc0\x80", (size_t)-1);
    failed(DYNB_VALIDATION, "s", WRONG "the string is not UTF-8; use a binary");
    dynb_add_number(begin(), "n", NULL, 0);
    failed(DYNB_VALIDATION, "n", "The parameter cannot be converted to a numeric value");
    dynb_open_container(begin(), "s", DYNB_SS);
    dynb_close_container(b);
    failed(DYNB_VALIDATION, "s", WRONG "An string set  may not be empty");
    dynb_open_container(begin(), "s", DYNB_NS);
    dynb_close_container(b);
    failed(DYNB_VALIDATION, "s", WRONG "An number set  may not be empty");
    dynb_open_container(begin(), "s", DYNB_BS);
    dynb_close_container(b);
    failed(DYNB_VALIDATION, "s", WRONG "Binary sets should not be empty");
    dynb_open_container(begin(), "s", DYNB_SS);
    dynb_add_string(b, NULL, "a", 1);
    dynb_add_string(b, NULL, "c", 1);
    dynb_add_string(b, NULL, "b", 1);
    dynb_add_string(b, NULL, "a", 1);
    dynb_close_container(b);
    failed(DYNB_VALIDATION, "s", WRONG "Input collection [a, c, b, a] contains duplicates.");
    dynb_open_container(begin(), "s", DYNB_BS);
    dynb_add_binary(b, NULL, "b", 1);
    dynb_add_binary(b, NULL, "abcd", 4);
    dynb_add_binary(b, NULL, "b", 1);
    dynb_close_container(b);
    failed(DYNB_VALIDATION, "s",
           WRONG "Input collection [Yg==, YWJjZA==, Yg==]of type BS contains duplicates.");
    dynb_open_container(begin(), "s", DYNB_NS);
    dynb_add_number(b, NULL, "1", 1);
    dynb_add_number(b, NULL, "1.0", 3);
    dynb_close_container(b);
    failed(DYNB_VALIDATION, "s", "Input collection contains duplicates");
    dynb_add_null(begin(), "same");
    dynb_add_bool(b, "same", 1);
    failed(DYNB_VALIDATION, "same", WRONG "Attribute name given twice: same");
    dynb_open_container(begin(), "m", DYNB_M);
    dynb_add_null(b, "b");
    dynb_add_null(b, "a");
    dynb_add_null(b, "b");
    dynb_close_container(b);
    failed(DYNB_VALIDATION, "m.M.b", WRONG "Attribute name given twice: b");
    dynb_builder_free(b);
}

/* A long list of duplicates is cut so that the message keeps its end. */
static void test_long_duplicates(void)
{
    dynb_builder *b = begin();
    dynb_item item;
    int i;
    char text_[8];
    dynb_open_container(b, "s", DYNB_SS);
    for (i = 0; i < 1000; ++i) {
        (void)snprintf(text_, sizeof text_, "%d", i % 999);
        dynb_add_string(b, NULL, text_, (size_t)-1);
    }
    dynb_close_container(b);
    CHECK_INT(dynb_builder_finish(b, &item, &err), DYNB_VALIDATION);
    CHECK(!strncmp(err.message, WRONG "Input collection [0, 1, 2, ", 60));
    CHECK_TEXT(err.message + strlen(err.message) - 21, " contains duplicates.");
    dynb_builder_free(b);
}

/* levels wrapping containers, with a scalar (or, -1, nothing) inside. */
static dynb_rc nested(dynb_builder *b, int levels, dynb_type type, int with_scalar, dynb_item *item)
{
    int i;
    dynb_builder_begin(b);
    for (i = 0; i < levels; ++i)
        dynb_open_container(b, i && type == DYNB_L ? NULL : "a", type);
    if (with_scalar == 2) {
        dynb_open_container(b, type == DYNB_L ? NULL : "a", DYNB_SS);
        dynb_add_string(b, NULL, "x", 1);
        dynb_close_container(b);
    } else if (with_scalar) {
        dynb_add_null(b, levels && type == DYNB_L ? NULL : "a");
    }
    for (i = 0; i < levels; ++i)
        dynb_close_container(b);
    return dynb_builder_finish(b, item, &err);
}

static void test_nesting(void)
{
    static const dynb_type types[2] = {DYNB_M, DYNB_L};
    uint8_t bytes[400];
    size_t used;
    dynb_item item, deep;
    dynb_builder b, other;
    int i, levels;
    new_builder(&b);
    new_builder(&other);
    for (i = 0; i < 2; ++i) {
        CHECK_INT(nested(&b, 31, types[i], 1, &item), DYNB_OK);
        CHECK_INT(dynb_item_check(item, &err), DYNB_OK);
        CHECK_INT(nested(&b, 31, types[i], 2, &item), DYNB_OK); /* a set is a value */
        CHECK_INT(dynb_item_check(item, &err), DYNB_OK);
        CHECK_INT(nested(&b, 32, types[i], 0, &item), DYNB_OK); /* and so is an empty map */
        CHECK_INT(dynb_item_check(item, &err), DYNB_OK);
        CHECK_INT(nested(&b, 32, types[i], 1, &item), DYNB_VALIDATION);
        CHECK_TEXT(err.message, NESTING);
        CHECK_INT(nested(&b, 33, types[i], 0, &item), DYNB_VALIDATION);
        CHECK_INT(nested(&b, 500, types[i], 1, &item), DYNB_VALIDATION);
        CHECK_TEXT(err.message, NESTING);
    }
    /* added values count from where they are put */
    for (levels = 0; levels < 34; ++levels) {
        CHECK_INT(nested(&other, levels < 32 ? levels : 31, DYNB_M, 1, &deep), DYNB_OK);
        dynb_builder_begin(&b);
        for (i = 0; i < 33 - levels; ++i)
            dynb_open_container(&b, i ? NULL : "l", DYNB_L);
        dynb_add_value(&b, levels < 33 ? NULL : "l", dynb_item_get(deep, "a"));
        while (b.open_count > 1 && !b.error.code)
            dynb_close_container(&b);
        CHECK_INT(dynb_builder_finish(&b, &item, &err), levels < 33 ? DYNB_VALIDATION : DYNB_OK);
    }
    /* bytes nested one level too deep, item and value alike */
    for (levels = 31; levels <= 33; ++levels) {
        uint8_t inner[400];
        size_t inner_size = 1;
        inner[0] = DYNB_NULL;
        for (i = 0; i < levels; ++i) { /* L of one value */
            memmove(inner + 3 + (inner_size + 1 >= 128), inner, inner_size);
            inner[0] = DYNB_L;
            (void)dynbi_varint_store(dynbi_varint_store(inner + 1, inner_size + 1), 1);
            inner_size += 3 + (size_t)(inner_size + 1 >= 128);
        }
        used = (size_t)(dynbi_varint_store(bytes, (uint64_t)(1 + 1 + 4 * levels)) - bytes);
        bytes[used++] = 1;
        bytes[used++] = 1;
        bytes[used++] = 'a';
        memcpy(bytes + used, inner, inner_size);
        used += inner_size;
        item.bytes = bytes;
        item.size_bytes = (uint32_t)used;
        memset(&err, 0, sizeof err);
        CHECK_INT(dynb_item_check(item, &err), levels == 31 ? DYNB_OK : DYNB_VALIDATION);
        CHECK_TEXT(err.message, levels == 31 ? "" : NESTING);
        dynb_builder_begin(&b);
        dynb_add_value(&b, "a", dynb_item_get(item, "a"));
        CHECK_INT(dynb_builder_finish(&b, &deep, &err), levels == 31 ? DYNB_OK : DYNB_VALIDATION);
    }
    dynb_builder_free(&b);
    dynb_builder_free(&other);
}

static void test_values(void)
{
    dynb_builder b, other;
    dynb_item item, copy;
    dynb_iterator it;
    const char *name;
    dynb_value value, bad;
    char label[8];
    size_t length;
    new_builder(&b);
    new_builder(&other);
    dynb_builder_begin(&b);
    dynb_add_string(&b, "s", "x", 1);
    dynb_add_int(&b, "n", -4);
    dynb_add_binary(&b, "b", "zz", 2);
    dynb_add_null(&b, "0");
    dynb_add_bool(&b, "t", 1);
    dynb_open_container(&b, "set", DYNB_SS);
    dynb_add_string(&b, NULL, "x", 1);
    dynb_close_container(&b);
    dynb_open_container(&b, "l", DYNB_L);
    dynb_open_container(&b, NULL, DYNB_M);
    dynb_add_null(&b, "q");
    dynb_close_container(&b);
    dynb_close_container(&b);
    item = finish(&b);
    dynb_builder_begin(&other);
    it = dynb_item_iterate(item);
    while (dynb_next(&it, &name, &length, &value)) {
        memcpy(label, name, length);
        label[length] = 0;
        dynb_add_value(&other, label, value);
        for (bad = value; bad.size_bytes; --bad.size_bytes) { /* cut short */
            dynb_value cut = bad;
            uint64_t size;
            --cut.size_bytes;
            CHECK_INT(dynbi_value_check(cut, 1, &size, &err), DYNB_VALIDATION);
        }
    }
    copy = finish(&other);
    CHECK(copy.size_bytes == item.size_bytes && !memcmp(copy.bytes, item.bytes, item.size_bytes));
    /* elements of sets, of the right type only */
    it = dynb_value_iterate(dynb_item_get(item, "set"));
    CHECK(dynb_next(&it, NULL, NULL, &value) && value.type == DYNB_S);
    dynb_builder_begin(&other);
    dynb_open_container(&other, "s", DYNB_SS);
    dynb_add_value(&other, NULL, value);
    dynb_close_container(&other);
    copy = finish(&other);
    CHECK(dynb_item_size(copy) == 2);
    dynb_builder_begin(&other);
    dynb_open_container(&other, "s", DYNB_BS);
    dynb_add_value(&other, NULL, value);
    CHECK_INT(dynb_builder_finish(&other, &copy, &err), DYNB_INVALID_ARGUMENT);
    memset(&bad, 0, sizeof bad);
    for (bad.type = DYNB_TYPE_NONE; bad.type <= (dynb_type)12;
         bad.type = (dynb_type)(bad.type + 1)) {
        uint64_t size;
        bad.size_bytes = 0;
        CHECK_INT(dynbi_value_check(bad, 1, &size, &err),
                  bad.type == DYNB_NULL ? DYNB_OK : DYNB_VALIDATION);
        bad.size_bytes = 3;
        CHECK_INT(dynbi_value_check(bad, 1, &size, &err), DYNB_VALIDATION);
    }
    bad.type = DYNB_NULL;
    bad.bytes = (const uint8_t *)"x";
    bad.size_bytes = 1;
    dynb_builder_begin(&other);
    dynb_add_value(&other, "x", bad);
    CHECK_INT(dynb_builder_finish(&other, &copy, &err), DYNB_VALIDATION);
    dynb_builder_free(&b);
    dynb_builder_free(&other);
}

static void test_sizes(void)
{
    static char text_[DYNB_ITEM_MAX_BYTES + 2];
    dynb_builder b;
    dynb_item item, over;
    uint8_t *bytes;
    int i;
    memset(text_, 'x', sizeof text_);
    new_builder(&b);
    dynb_builder_begin(&b);
    dynb_add_string(&b, "a", text_, DYNB_ITEM_MAX_BYTES - 1);
    item = finish(&b);
    CHECK(dynb_item_size(item) == DYNB_ITEM_MAX_BYTES && !dynb_item_check(item, &err));
    dynb_builder_begin(&b);
    dynb_add_string(&b, "a", text_, DYNB_ITEM_MAX_BYTES);
    CHECK_INT(dynb_builder_finish(&b, &item, &err), DYNB_VALIDATION);
    CHECK_TEXT(err.message, TOO_BIG);
    /* such an item by bytes */
    bytes = (uint8_t *)malloc(DYNB_ITEM_MAX_BYTES + 100);
    over.bytes = bytes;
    {
        uint8_t *at = dynbi_varint_store(bytes, DYNB_ITEM_MAX_BYTES + 1);
        *at++ = 1;
        *at++ = 1;
        *at++ = 'a';
        *at++ = DYNB_S;
        at = dynbi_varint_store(at, DYNB_ITEM_MAX_BYTES);
        memcpy(at, text_, DYNB_ITEM_MAX_BYTES);
        over.size_bytes = (uint32_t)(at - bytes) + DYNB_ITEM_MAX_BYTES;
    }
    CHECK_INT(dynb_item_check(over, &err), DYNB_VALIDATION);
    CHECK_TEXT(err.message, TOO_BIG);
    bytes[0] ^= 1; /* a wrong AWS size */
    CHECK_INT(dynb_item_check(over, &err), DYNB_VALIDATION);
    CHECK_TEXT(err.message, "these bytes are no item: build it with a dynb_builder");
    free(bytes);
    over.bytes = NULL;
    CHECK_INT(dynb_item_check(over, &err), DYNB_VALIDATION);
    CHECK_TEXT(err.message, "no item: its bytes are NULL");
    /* the cap while building */
    dynb_builder_begin(&b);
    dynb_open_container(&b, "l", DYNB_L);
    for (i = 0; i < 50; ++i)
        dynb_add_string(&b, NULL, text_, DYNB_ITEM_MAX_BYTES);
    dynb_close_container(&b);
    CHECK_INT(dynb_builder_finish(&b, &item, &err), DYNB_VALIDATION);
    CHECK_TEXT(err.message, TOO_BIG);
    dynb_builder_begin(&b);
    dynb_add_binary(&b, "l", text_, (size_t)-2);
    CHECK_INT(dynb_builder_finish(&b, &item, &err), DYNB_VALIDATION);
    CHECK_TEXT(err.message, TOO_BIG);
    /* sorting needs as much again: refused as well, not a crash */
    dynb_builder_begin(&b);
    dynb_add_binary(&b, "b", text_, DYNB_ITEM_MAX_BYTES);
    for (i = 0; i < 24; ++i) {
        char name[2] = {(char)('c' + i), 0};
        dynb_add_binary(&b, name, text_, DYNB_ITEM_MAX_BYTES);
    }
    dynb_add_null(&b, "a");
    CHECK_INT(dynb_builder_finish(&b, &item, &err), DYNB_VALIDATION);
    CHECK_TEXT(err.message, TOO_BIG);
    /* a list that ends at the very cap has no room for its head */
    dynb_builder_begin(&b);
    dynb_open_container(&b, "l", DYNB_L);
    while (b.used_bytes + DYNB_ITEM_MAX_BYTES + 20 < DYNBI_ENCODING_MAX_BYTES)
        dynb_add_string(&b, NULL, text_, DYNB_ITEM_MAX_BYTES);
    while (b.used_bytes + 5 <= DYNBI_ENCODING_MAX_BYTES)
        dynb_add_null(&b, NULL);
    CHECK(!b.error.code);
    dynb_close_container(&b);
    CHECK_INT(dynb_builder_finish(&b, &item, &err), DYNB_VALIDATION);
    CHECK_TEXT(err.message, TOO_BIG);
    dynb_builder_free(&b);
}

/* Every allocation fails once: NO_MEMORY, nothing leaks, and the builder can be
 * used again. */
static void test_no_memory(void)
{
    static char text_[2000];
    long calls;
    int reached = 0;
    memset(text_, 'x', sizeof text_ - 1);
    for (calls = 0; calls < 20 && !reached; ++calls) {
        dynb_builder b;
        dynb_item item;
        char name[8];
        dynb_rc rc;
        int i;
        new_builder(&b);
        alloc_left = calls;
        dynb_builder_begin(&b);
        dynb_open_container(&b, "m", DYNB_M);
        for (i = 70; i; --i) {
            (void)snprintf(name, sizeof name, "%02d", i);
            dynb_add_string(&b, name, "xxxxxxxx", 8);
        }
        dynb_close_container(&b);
        dynb_add_string(&b, "l", text_, (size_t)-1);
        dynb_add_string(&b, "a", text_, 900); /* unsorted: needs room to sort */
        rc = dynb_builder_finish(&b, &item, &err);
        CHECK(rc == DYNB_OK || rc == DYNB_NO_MEMORY);
        CHECK(rc == DYNB_OK || !strncmp(err.message, "no memory ", 10));
        reached = rc == DYNB_OK;
        alloc_left = -1;
        dynb_builder_begin(&b);
        dynb_add_null(&b, "x");
        CHECK_INT(dynb_builder_finish(&b, &item, &err), DYNB_OK);
        dynb_builder_free(&b);
        CHECK(alloc_blocks == 0);
    }
    CHECK(reached && calls > 5);
}

int main(void)
{
    check_random random = {check_seed("unit_value")};
    dynb_builder plain;
    test_golden();
    test_accessors();
    test_misuse();
    test_rules();
    test_long_duplicates();
    test_nesting();
    test_values();
    test_sizes();
    test_no_memory();
    test_random(&random);
    memset(&plain, 0, sizeof plain); /* the C library's memory */
    dynb_builder_begin(&plain);
    CHECK(!plain.error.code);
    dynb_builder_free(&plain);
    return check_report("unit_value");
}
