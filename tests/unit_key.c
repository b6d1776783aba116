/* unit_key.c - section 14: order of keys, strip and restore, damage, messages. */
#define DYNBACKUP_IMPLEMENTATION
#define DYNBACKUP_KEEP_MACROS
#include "../dynbackup.h"
#include "check.h"

#define WRONG "One or more parameter values were invalid: "
#define SCHEMA "The provided key element does not match the schema"

static dynb_error err;
static dynb_builder builder;
static dynb_allocator plain;

static void *no_memory(void *ctx, void *ptr, size_t old_size, size_t new_size)
{
    (void)ctx;
    (void)ptr;
    (void)old_size;
    (void)new_size;
    return NULL;
}

static dynbi_schema schema_of(const char *name0, int type0, const char *name1, int type1)
{
    dynbi_schema s;
    memset(&s, 0, sizeof s);
    s.part_count = name1 ? 2 : 1;
    s.part[0].name = name0;
    s.part[0].name_length = (uint32_t)strlen(name0);
    s.part[0].type = (uint8_t)type0;
    if (name1) {
        s.part[1].name = name1;
        s.part[1].name_length = (uint32_t)strlen(name1);
        s.part[1].type = (uint8_t)type1;
    }
    return s;
}

static dynbi_buffer new_buffer(void)
{
    dynbi_buffer b = {&plain, NULL, 0, 0};
    return b;
}

/* A value of a key attribute for the model. */
typedef struct part {
    int type;
    uint8_t bytes[40];
    size_t length;
    int number;
} part;

static void random_part(check_random *random, part *p, int type)
{
    static const uint8_t few[4] = {0, 1, 'a', 'b'};
    size_t i;
    p->type = type;
    p->length = 1 + check_below(random, check_below(random, 8) ? 4 : 39);
    for (i = 0; i < p->length; ++i)
        p->bytes[i] = type == DYNB_B && check_below(random, 4) == 0
                          ? (uint8_t)(254 + check_below(random, 2))
                          : few[check_below(random, 4)];
    p->number = (int)check_below(random, 50) - 25;
}

static void add_part(const char *name, const part *p)
{
    if (p->type == DYNB_N)
        dynb_add_int(&builder, name, p->number);
    else if (p->type == DYNB_S)
        dynb_add_string(&builder, name, (const char *)p->bytes, p->length);
    else
        dynb_add_binary(&builder, name, p->bytes, p->length);
}

static int part_order(const part *a, const part *b)
{
    int order;
    if (a->type == DYNB_N)
        return a->number < b->number ? -1 : a->number > b->number;
    order = memcmp(a->bytes, b->bytes, a->length < b->length ? a->length : b->length);
    return order ? (order < 0 ? -1 : 1) : a->length < b->length ? -1 : a->length > b->length;
}

static int key_order(const dynbi_buffer *a, const dynbi_buffer *b)
{
    size_t common = a->used_bytes < b->used_bytes ? a->used_bytes : b->used_bytes;
    int order = memcmp(a->bytes, b->bytes, common);
    return order                           ? (order < 0 ? -1 : 1)
           : a->used_bytes < b->used_bytes ? -1
                                           : a->used_bytes > b->used_bytes;
}

static dynb_item finish(void)
{
    dynb_item item;
    CHECK_INT(dynb_builder_finish(&builder, &item, &err), DYNB_OK);
    return item;
}

/* Encodes the key of a checked item, which is located in both ways. */
static dynb_rc encode_key(const dynbi_schema *s, dynb_item item, int key_only, dynbi_buffer *to,
                      dynb_error *error)
{
    dynbi_located checked, located;
    uint32_t i;
    CHECK_INT(dynbi_item_check(item, s, &checked, NULL), DYNB_OK);
    dynbi_item_locate(s, item, &located);
    CHECK_INT(checked.found_count, located.found_count);
    CHECK(checked.first == located.first && checked.count == located.count &&
          checked.aws_size == located.aws_size);
    for (i = 0; i < s->part_count; ++i) {
        const dynbi_attribute *a = &checked.part[i], *b = &located.part[i];
        CHECK(a->value.type == b->value.type);
        if (a->value.type != DYNB_TYPE_NONE)
            CHECK(a->start == b->start && a->value.bytes == b->value.bytes);
        if (a->value.type != DYNB_TYPE_NONE && a->end)
            CHECK(a->end == b->end && a->value.size_bytes == b->value.size_bytes);
    }
    return dynbi_key_encode(s, &checked, key_only, to, error);
}

static dynb_rc strip(const dynbi_schema *s, dynb_item item, dynbi_buffer *to)
{
    dynbi_located located;
    CHECK_INT(dynbi_item_check(item, s, &located, NULL), DYNB_OK);
    return dynbi_item_strip(&located, to);
}

/* Everything that reads device bytes, on bytes that may be anything. If they
 * are found right, they must make an item that is right and gives them back. */
static void hostile(const dynbi_schema *s, const uint8_t *key, size_t key_size,
                    const uint8_t *stored, size_t stored_size)
{
    uint8_t *k = (uint8_t *)malloc(key_size ? key_size : 1);
    uint8_t *v = (uint8_t *)malloc(stored_size ? stored_size : 1);
    uint8_t *to = (uint8_t *)malloc(dynbi_item_restored_bound(s, key_size, stored_size));
    uint8_t *of_key = (uint8_t *)malloc(dynbi_item_restored_bound(s, key_size, 20));
    dynb_item item;
    size_t size, of_key_size;
    dynb_rc key_rc, rc;
    if (key_size)
        memcpy(k, key, key_size);
    if (stored_size)
        memcpy(v, stored, stored_size);
    key_rc = dynbi_key_check(s, k, key_size);
    rc = dynbi_stored_check(s, k, key_size, v, stored_size);
    size = dynbi_item_restore(s, k, key_size, v, stored_size, to);
    of_key_size = dynbi_key_item(s, k, key_size, of_key);
    CHECK(rc == DYNB_OK || rc == DYNB_CORRUPT);
    CHECK(key_rc == DYNB_OK || rc == DYNB_CORRUPT);
    if (key_rc == DYNB_OK) {
        dynbi_buffer again = new_buffer();
        item.bytes = of_key;
        item.size_bytes = (uint32_t)of_key_size;
        CHECK_INT(dynb_item_check(item, &err), DYNB_OK);
        CHECK_INT(encode_key(s, item, 1, &again, &err), DYNB_OK);
        CHECK(again.used_bytes == key_size && !memcmp(again.bytes, k, key_size));
        dynbi_buffer_free(&again);
    }
    item.bytes = to;
    item.size_bytes = (uint32_t)size;
    if (rc == DYNB_OK) {
        dynbi_buffer again = new_buffer();
        CHECK_INT(dynb_item_check(item, &err), DYNB_OK);
        CHECK_INT(strip(s, item, &again), DYNB_OK);
        CHECK(again.used_bytes == stored_size && !memcmp(again.bytes, v, stored_size));
        dynbi_buffer_free(&again);
    } else if (size && key_rc == DYNB_OK) {
        /* what restore lets through, the check of the item finds */
        CHECK(dynb_item_check(item, &err) != DYNB_OK);
    }
    free(k);
    free(v);
    free(to);
    free(of_key);
}

static void damage(check_random *random, const dynbi_schema *s, const dynbi_buffer *key,
                   const dynbi_buffer *stored)
{
    size_t i, all = key->used_bytes + stored->used_bytes;
    uint8_t *bytes = (uint8_t *)malloc(all + 1);
    memcpy(bytes, key->bytes, key->used_bytes);
    memcpy(bytes + key->used_bytes, stored->bytes, stored->used_bytes);
    for (i = 0; i < key->used_bytes; ++i)
        hostile(s, bytes, i, stored->bytes, stored->used_bytes);
    for (i = 0; i < stored->used_bytes; ++i)
        hostile(s, key->bytes, key->used_bytes, stored->bytes, i);
    for (i = 0; i < all; ++i) {
        uint8_t kept = bytes[i];
        int k;
        for (k = 0; k < 4; ++k) {
            bytes[i] = k == 0   ? (uint8_t)(kept + 1)
                       : k == 1 ? 0
                       : k == 2 ? 0xff
                                : (uint8_t)check_next(random);
            hostile(s, bytes, key->used_bytes, bytes + key->used_bytes, stored->used_bytes);
        }
        bytes[i] = kept;
    }
    free(bytes);
}

static void test_random(check_random *random)
{
    static const int types[3] = {DYNB_S, DYNB_N, DYNB_B};
    static const char *const names[4] = {"pk", "a", "zz", "m"};
    dynbi_buffer key = new_buffer(), before = new_buffer(), stored = new_buffer();
    part parts[2], parts_before[2];
    uint64_t round;
    int pair;
    for (pair = 0; pair < 12; ++pair) {
        const char *name0 = names[pair % 4],
                   *name1 = pair < 3 ? NULL : names[(pair + 1 + pair / 4) % 4];
        int type0 = types[pair % 3], type1 = types[pair / 3 % 3];
        dynbi_schema s;
        if (name1 && !strcmp(name0, name1))
            name1 = "other";
        s = schema_of(name0, type0, name1, type1);
        before.used_bytes = 0;
        for (round = check_scaled(1500); round; --round) {
            static const char *const others[5] = {"b", "n", "pkk", "zzz", "A"};
            uint8_t *to;
            size_t size;
            dynb_item item, back;
            int i;
            random_part(random, &parts[0], type0);
            if (before.used_bytes && check_below(random, 2))
                parts[0] = parts_before[0];
            random_part(random, &parts[1], type1);
            dynb_builder_begin(&builder);
            add_part(name0, &parts[0]);
            if (name1)
                add_part(name1, &parts[1]);
            item = finish();
            key.used_bytes = 0;
            CHECK_INT(encode_key(&s, item, 1, &key, &err), DYNB_OK);
            CHECK(key.used_bytes <= DYNBI_KEY_MAX_BYTES);
            CHECK_INT(dynbi_key_check(&s, key.bytes, key.used_bytes), DYNB_OK);
            if (before.used_bytes) { /* bytes in the order of the values */
                int order = part_order(&parts_before[0], &parts[0]);
                if (!order && name1)
                    order = part_order(&parts_before[1], &parts[1]);
                CHECK_INT(key_order(&before, &key), order);
            }
            before.used_bytes = 0;
            CHECK(dynbi_buffer_append(&before, key.bytes, key.used_bytes));
            memcpy(parts_before, parts, sizeof parts);
            /* the key's own item */
            to = (uint8_t *)malloc(dynbi_item_restored_bound(&s, key.used_bytes, 20));
            size = dynbi_key_item(&s, key.bytes, key.used_bytes, to);
            CHECK(size == item.size_bytes && !memcmp(to, item.bytes, size));
            free(to);
            /* an item with more in it */
            dynb_builder_begin(&builder);
            add_part(name0, &parts[0]);
            for (i = 0; i < 5; ++i)
                if (check_below(random, 2))
                    dynb_add_string(&builder, others[i], "0123456789", check_below(random, 10));
            if (name1)
                add_part(name1, &parts[1]);
            item = finish();
            stored.used_bytes = 0;
            CHECK_INT(strip(&s, item, &stored), DYNB_OK);
            CHECK_INT(
                dynbi_stored_check(&s, key.bytes, key.used_bytes, stored.bytes, stored.used_bytes),
                DYNB_OK);
            to =
                (uint8_t *)malloc(dynbi_item_restored_bound(&s, key.used_bytes, stored.used_bytes));
            size = dynbi_item_restore(&s, key.bytes, key.used_bytes, stored.bytes,
                                      stored.used_bytes, to);
            CHECK(size == item.size_bytes && !memcmp(to, item.bytes, size));
            back = item;
            key.used_bytes = 0;
            CHECK_INT(encode_key(&s, back, 0, &key, &err), DYNB_OK);
            CHECK(!key_order(&key, &before));
            free(to);
            if (round % 16 == 0)
                damage(random, &s, &key, &stored);
        }
    }
    dynbi_buffer_free(&key);
    dynbi_buffer_free(&before);
    dynbi_buffer_free(&stored);
}

static void test_golden(void)
{
    static const uint8_t expected[] = {'a', 0, 0xff, 'b', 0, 0, 0xC1, 0x02, 0x00};
    static const uint8_t expected_stored[] = {7, 1, 1, 'v', DYNB_NULL};
    dynbi_schema s = schema_of("p", DYNB_B, "s", DYNB_N);
    dynbi_buffer key = new_buffer(), stored = new_buffer();
    dynb_item item;
    dynb_builder_begin(&builder);
    dynb_add_binary(&builder, "p", "a\0b", 3);
    dynb_add_int(&builder, "s", 1);
    dynb_add_null(&builder, "v");
    item = finish();
    CHECK_INT(encode_key(&s, item, 0, &key, &err), DYNB_OK);
    CHECK(key.used_bytes == sizeof expected && !memcmp(key.bytes, expected, sizeof expected));
    CHECK_INT(strip(&s, item, &stored), DYNB_OK);
    CHECK(dynb_item_size(item) == 9 && stored.bytes[0] == 9);
    CHECK(stored.used_bytes == sizeof expected_stored &&
          !memcmp(stored.bytes + 1, expected_stored + 1, 4));
    dynbi_buffer_free(&key);
    dynbi_buffer_free(&stored);
}

/* --------------------------------------------------------------- messages */

static void encode(const dynbi_schema *s, dynb_item item, int key_only, const char *message)
{
    dynbi_buffer key = new_buffer();
    dynb_rc rc;
    CHECK(dynbi_buffer_append(&key, "keep", 4));
    memset(&err, 0, sizeof err);
    rc = encode_key(s, item, key_only, &key, &err);
    CHECK_INT(rc, message ? DYNB_VALIDATION : DYNB_OK);
    CHECK_INT(err.code, rc);
    CHECK_TEXT(err.message, message ? message : "");
    CHECK(message ? key.used_bytes == 4 : key.used_bytes > 4);
    CHECK(!memcmp(key.bytes, "keep", 4));
    dynbi_buffer_free(&key);
}

static dynb_item two(const char *name0, const char *text0, size_t length0, const char *name1,
                     const char *number1)
{
    dynb_builder_begin(&builder);
    if (name0)
        dynb_add_string(&builder, name0, text0, length0);
    if (name1)
        dynb_add_number(&builder, name1, number1, (size_t)-1);
    return finish();
}

static char long_text[3000];

static void test_messages(void)
{
    dynbi_schema s = schema_of("Id", DYNB_S, "At", DYNB_N);
    dynbi_schema one = schema_of("Id", DYNB_S, NULL, 0);
    dynbi_schema bytes = schema_of("Id", DYNB_S, "Raw", DYNB_B);
    int key_only;
    memset(long_text, 'x', sizeof long_text);
    encode(&s, two("Id", "x", 1, "At", "5"), 0, NULL);
    encode(&s, two("Id", "x", 1, "At", "5"), 1, NULL);
    encode(&s, two("Id", "x", 1, NULL, NULL), 0, WRONG "Missing the key At in the item");
    encode(&s, two(NULL, NULL, 0, "At", "5"), 0, WRONG "Missing the key Id in the item");
    encode(&s, two("Id", "x", 1, NULL, NULL), 1, SCHEMA);
    encode(&s, two("Id", "x", 1, "Ax", "5"), 1, SCHEMA);
    encode(&one, two("Id", "x", 1, "At", "5"), 1, SCHEMA);
    encode(&one, two("Id", "x", 1, "At", "5"), 0, NULL);
    encode(&s, two("At", "x", 1, "Id", "5"), 0,
           WRONG "Type mismatch for key Id expected: S actual: N");
    encode(&s, two("At", "x", 1, "Id", "5"), 1, SCHEMA);
    encode(&one, two(NULL, NULL, 0, "Id", "5"), 1, SCHEMA);
    for (key_only = 0; key_only < 2; ++key_only) {
        encode(&s, two("Id", "", 0, "At", "5"), key_only,
               "One or more parameter values are not valid. The AttributeValue for a key attribute "
               "cannot contain an empty string value. Key: Id");
        encode(&s, two("Id", long_text, 2048, "At", "5"), key_only, NULL);
        encode(&s, two("Id", long_text, 2049, "At", "5"), key_only,
               WRONG "Size of hashkey has exceeded the maximum size limit of2048 bytes");
        dynb_builder_begin(&builder);
        dynb_add_string(&builder, "Id", "x", 1);
        dynb_add_binary(&builder, "Raw", long_text, 1024);
        encode(&bytes, finish(), key_only, NULL);
        dynb_builder_begin(&builder);
        dynb_add_string(&builder, "Id", "x", 1);
        dynb_add_binary(&builder, "Raw", long_text, 1025);
        encode(&bytes, finish(), key_only,
               WRONG "Aggregated size of all range keys has exceeded the size limit of 1024 bytes");
    }
    dynb_builder_begin(&builder);
    dynb_add_string(&builder, "Id", "x", 1);
    dynb_add_binary(&builder, "Raw", "", 0);
    encode(&bytes, finish(), 0,
           "One or more parameter values are not valid. The AttributeValue for a key attribute "
           "cannot contain an empty binary value. Key: Raw");
    dynb_builder_begin(&builder);
    dynb_open_container(&builder, "Id", DYNB_M);
    dynb_close_container(&builder);
    encode(&one, finish(), 0, WRONG "Type mismatch for key Id expected: S actual: M");
    CHECK_TEXT(dynbi_type_name(0), "");
    CHECK_TEXT(dynbi_type_name(11), "");
    CHECK_TEXT(dynbi_type_name(DYNB_BOOL), "BOOL");
}

static void test_parts(void)
{
    dynbi_schema s = schema_of("Id", DYNB_S, "At", DYNB_N);
    dynbi_buffer key = new_buffer(), whole = new_buffer(), none = {NULL, NULL, 0, 0};
    dynb_allocator failing = {no_memory, NULL};
    dynb_item item = two("Id", "x", 1, "At", "5");
    dynb_value value = dynb_item_get(item, "Id"), bad;
    CHECK_INT(dynbi_key_encode_part(&s, 0, value, &key, &err), DYNB_OK);
    CHECK_INT(dynbi_key_encode_part(&s, 1, dynb_item_get(item, "At"), &key, &err), DYNB_OK);
    CHECK_INT(encode_key(&s, item, 1, &whole, &err), DYNB_OK);
    CHECK(!key_order(&key, &whole));
    CHECK_INT(dynbi_key_encode_part(&s, 1, value, &key, &err), DYNB_VALIDATION);
    CHECK_TEXT(err.message, SCHEMA);
    bad = value;
    bad.bytes = NULL;
    CHECK_INT(dynbi_key_encode_part(&s, 0, bad, &key, &err), DYNB_VALIDATION);
    CHECK_TEXT(err.message, SCHEMA);
    bad = value;
    bad.size_bytes = 0;
    CHECK_INT(dynbi_key_encode_part(&s, 0, bad, &key, &err), DYNB_VALIDATION);
    CHECK_TEXT(err.message, "the value of the key attribute Id is damaged");
    bad.type = DYNB_N;
    bad.bytes = (const uint8_t *)"\2\5\5";
    bad.size_bytes = 3;
    CHECK_INT(dynbi_key_encode_part(&s, 1, bad, &key, &err), DYNB_VALIDATION);
    CHECK_TEXT(err.message, "the value of the key attribute At is damaged");
    none.allocator = &failing;
    CHECK_INT(encode_key(&s, item, 1, &none, &err), DYNB_NO_MEMORY);
    CHECK_TEXT(err.message, "no memory for a key");
    CHECK_INT(strip(&s, item, &none), DYNB_NO_MEMORY);
    dynbi_buffer_free(&key);
    dynbi_buffer_free(&whole);
}

/* The longest key there can be, and what is over it. */
static void test_limits(void)
{
    static uint8_t zeros[2049];
    dynbi_schema s = schema_of("p", DYNB_B, "s", DYNB_B);
    dynbi_schema one = schema_of("p", DYNB_S, NULL, 0);
    dynbi_buffer key = new_buffer();
    dynb_item item;
    size_t i;
    dynb_builder_begin(&builder);
    dynb_add_binary(&builder, "p", zeros, 2048);
    dynb_add_binary(&builder, "s", zeros, 1024);
    item = finish();
    CHECK_INT(encode_key(&s, item, 1, &key, &err), DYNB_OK);
    CHECK(key.used_bytes == DYNBI_KEY_MAX_BYTES);
    CHECK_INT(dynbi_key_check(&s, key.bytes, key.used_bytes), DYNB_OK);
    CHECK(dynbi_buffer_append(&key, zeros, 1));
    CHECK_INT(dynbi_key_check(&s, key.bytes, key.used_bytes), DYNB_CORRUPT);
    key.used_bytes = 0;
    for (i = 0; i < 2049; ++i)
        CHECK(dynbi_buffer_append(&key, "\0\xff", 2));
    CHECK(dynbi_buffer_append(&key, "\0\0x", 3));
    CHECK_INT(dynbi_key_check(&s, key.bytes, key.used_bytes), DYNB_CORRUPT);
    CHECK_INT(dynbi_key_check(&s, key.bytes + 2, key.used_bytes - 2), DYNB_OK);
    CHECK_INT(dynbi_key_check(&s, (const uint8_t *)"\0\0x", 3), DYNB_CORRUPT); /* empty */
    CHECK_INT(dynbi_key_check(&s, (const uint8_t *)"a\0\0", 3), DYNB_CORRUPT);
    CHECK_INT(dynbi_key_check(&s, (const uint8_t *)"a\0\1x", 4), DYNB_CORRUPT);
    CHECK_INT(dynbi_key_check(&s, (const uint8_t *)"a", 1), DYNB_CORRUPT);
    CHECK_INT(dynbi_key_check(&one, (const uint8_t *)"", 0), DYNB_CORRUPT);
    CHECK_INT(dynbi_key_check(&one, (const uint8_t *)"\xc3\xa9", 2), DYNB_OK);
    CHECK_INT(dynbi_key_check(&one, (const uint8_t *)"\xc3", 1), DYNB_CORRUPT);
    s = schema_of("p", DYNB_S, "s", DYNB_S);
    CHECK_INT(dynbi_key_check(&s, (const uint8_t *)"\xc3\0\xff\xa9\0\0x", 7), DYNB_CORRUPT);
    CHECK_INT(dynbi_key_check(&s, (const uint8_t *)"\xc3\xa9\0\xff\xa9\0\0x", 8), DYNB_CORRUPT);
    CHECK_INT(dynbi_key_check(&s, (const uint8_t *)"\xc3\xa9\0\xff\xc3\xa9\0\0x", 9), DYNB_OK);
    dynbi_buffer_free(&key);
}

/* Stored bytes that are wrong in ways that a flipped byte seldom shows. */
static void test_stored(void)
{
    dynbi_schema s = schema_of("p", DYNB_S, NULL, 0);
    const uint8_t *key = (const uint8_t *)"k";
    CHECK_INT(dynbi_stored_check(&s, key, 1, (const uint8_t *)"\2\0", 2), DYNB_OK);
    CHECK_INT(dynbi_stored_check(&s, key, 1, (const uint8_t *)"\3\0", 2), DYNB_CORRUPT); /* size */
    CHECK_INT(dynbi_stored_check(&s, key, 1, (const uint8_t *)"\4\1\1p\5", 5), DYNB_CORRUPT);
    CHECK_INT(dynbi_stored_check(&s, key, 1, (const uint8_t *)"\4\1\1q\5", 5), DYNB_OK);
    CHECK_INT(dynbi_stored_check(&s, key, 1, NULL, 0), DYNB_CORRUPT);
    CHECK_INT(dynbi_stored_check(&s, key, 0, (const uint8_t *)"\2\0", 2), DYNB_CORRUPT);
    CHECK_INT(dynbi_stored_check(&s, key, 1, (const uint8_t *)"\xff\xff\x7f\0", 4), DYNB_CORRUPT);
}

/* Four parts, as an index will have. */
static void test_four(void)
{
    static const char *const names[4] = {"d", "b", "a", "c"};
    dynbi_schema s;
    dynbi_buffer key = new_buffer(), stored = new_buffer();
    dynb_item item;
    uint8_t *to;
    size_t size;
    int i;
    memset(&s, 0, sizeof s);
    s.part_count = 4;
    dynb_builder_begin(&builder);
    for (i = 0; i < 4; ++i) {
        s.part[i].name = names[i];
        s.part[i].name_length = 1;
        s.part[i].type = i % 2 ? DYNB_N : DYNB_S;
        if (i % 2)
            dynb_add_int(&builder, names[i], i - 2);
        else
            dynb_add_string(&builder, names[i], "a\0b", 3);
    }
    dynb_add_null(&builder, "bb");
    item = finish();
    CHECK_INT(encode_key(&s, item, 0, &key, &err), DYNB_OK);
    CHECK_INT(strip(&s, item, &stored), DYNB_OK);
    to = (uint8_t *)malloc(dynbi_item_restored_bound(&s, key.used_bytes, stored.used_bytes));
    size = dynbi_item_restore(&s, key.bytes, key.used_bytes, stored.bytes, stored.used_bytes, to);
    CHECK(size == item.size_bytes && !memcmp(to, item.bytes, size));
    free(to);
    dynbi_buffer_free(&key);
    dynbi_buffer_free(&stored);
}

/* A partition key behind an index's own keys is as long as elsewhere. */
static void test_late_partition(void)
{
    static const char *const names[3] = {"own", "sort", "Id"};
    char text[DYNB_PARTITION_KEY_MAX_BYTES + 1];
    dynbi_schema s;
    dynbi_buffer key = new_buffer();
    size_t length;
    uint32_t i;
    memset(&s, 0, sizeof s);
    memset(text, 'x', sizeof text);
    s.part_count = 3;
    for (i = 0; i < 3; ++i) {
        s.part[i].name = names[i];
        s.part[i].name_length = (uint32_t)strlen(names[i]);
        s.part[i].type = DYNB_S;
    }
    for (i = 0; i < 4; ++i) { /* with the mark and without, at the limit and above */
        s.part[2].is_partition = (uint8_t)(i / 2);
        length = (i / 2 ? DYNB_PARTITION_KEY_MAX_BYTES : DYNB_SORT_KEY_MAX_BYTES) + i % 2;
        dynb_builder_begin(&builder);
        dynb_add_string(&builder, "own", "o", 1);
        dynb_add_string(&builder, "sort", "s", 1);
        dynb_add_string(&builder, "Id", text, length);
        key.used_bytes = 0;
        CHECK_INT(encode_key(&s, finish(), 0, &key, &err), i % 2 ? DYNB_VALIDATION : DYNB_OK);
        if (i % 2) {
            CHECK(strstr(err.message, i / 2 ? "limit of2048 bytes" : "size limit of 1024 bytes"));
        } else {
            CHECK_INT(dynbi_key_check(&s, key.bytes, key.used_bytes), DYNB_OK);
            s.part[2].is_partition = 0;
            CHECK_INT(dynbi_key_check(&s, key.bytes, key.used_bytes),
                      i / 2 ? DYNB_CORRUPT : DYNB_OK);
        }
    }
    dynbi_buffer_free(&key);
}

int main(void)
{
    check_random random = {check_seed("unit_key")};
    test_golden();
    test_messages();
    test_parts();
    test_limits();
    test_stored();
    test_four();
    test_late_partition();
    test_random(&random);
    dynb_builder_free(&builder);
    return check_report("unit_key");
}
