/* fuzz_json.c - feeds any bytes to the JSON reader and to all that reads items.
 *
 * Always: no crash, no hang. A text that gives an item is written, read again
 * and must give the same bytes; bytes that dynb_item_check takes are canonical,
 * so the same holds for them. For the first byte's kind of schema the rest, cut
 * in two, is restored as key and stored item. */
#include "fuzz.h"

static volatile uint64_t fuzz_seen;

static void walk(dynb_iterator it, int depth)
{
    const char *name;
    size_t name_length, length;
    dynb_value value;
    char text[DYNB_NUMBER_TEXT_SIZE];
    int64_t number;
    while (dynb_next(&it, &name, &name_length, &value)) {
        const char *bytes = dynb_value_string(value, &length);
        if (name_length)
            fuzz_seen += (uint8_t)name[name_length - 1];
        if (bytes && length)
            fuzz_seen += (uint8_t)bytes[length - 1];
        fuzz_seen += dynb_value_number(value, text) + (uint64_t)dynb_value_bool(value) +
                     (uint64_t)dynb_value_int(value, &number) + dynb_value_count(value);
        if (depth < 40)
            walk(dynb_value_iterate(value), depth + 1);
    }
}

/* Writes the item, reads it again, compares. */
static void round_trip(dynb_item item)
{
    dynb_builder builder;
    dynb_result result;
    dynb_item again;
    const char *text;
    size_t length;
    memset(&builder, 0, sizeof builder);
    memset(&result, 0, sizeof result);
    fuzz_must(dynb_item_to_json(item, &result, &text, &length, NULL), "an item cannot be written");
    fuzz_must(dynb_item_from_json(&builder, text, length, &again, NULL),
              "a written item cannot be read");
    if (again.size_bytes != item.size_bytes ||
        memcmp(again.bytes, item.bytes, item.size_bytes) != 0)
        fuzz_fail("a written item reads otherwise", DYNB_OK);
    dynb_builder_free(&builder);
    dynb_result_free(&result);
}

static void restore(const uint8_t *data, size_t size)
{
    static const uint8_t types[3] = {DYNB_S, DYNB_N, DYNB_B};
    dynbi_schema schema;
    size_t key_size, stored_size, restored;
    const uint8_t *stored;
    uint8_t *to;
    dynb_item item;
    if (size < 2)
        return;
    memset(&schema, 0, sizeof schema);
    schema.part_count = 1 + (data[0] & 1);
    schema.part[0].name = "Id";
    schema.part[0].name_length = 2;
    schema.part[0].type = types[data[0] / 2 % 3];
    schema.part[1].name = "At";
    schema.part[1].name_length = 2;
    schema.part[1].type = types[data[0] / 8 % 3];
    key_size = data[1] % (size - 1);
    data += 2;
    size -= 2;
    key_size = key_size > size ? size : key_size;
    stored = data + key_size;
    stored_size = size - key_size;
    to = (uint8_t *)fuzz_memory(dynbi_item_restored_bound(&schema, key_size, stored_size + 20));
    restored = dynbi_key_item(&schema, data, key_size, to);
    item.bytes = to;
    item.size_bytes = (uint32_t)restored;
    if (!dynbi_key_check(&schema, data, key_size))
        fuzz_must(dynb_item_check(item, NULL), "the item of a key is wrong");
    restored = dynbi_item_restore(&schema, data, key_size, stored, stored_size, to);
    item.size_bytes = (uint32_t)restored;
    if (!dynbi_stored_check(&schema, data, key_size, stored, stored_size)) {
        fuzz_must(dynb_item_check(item, NULL), "a restored item is wrong");
        round_trip(item);
    } else if (restored) {
        walk(dynb_item_iterate(item), 0);
    }
    free(to);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    dynb_builder builder;
    dynb_item item;
    dynb_error err;
    dynb_rc rc;
    memset(&builder, 0, sizeof builder);
    rc = dynb_item_from_json(&builder, (const char *)data, size, &item, &err);
    if (rc == DYNB_OK)
        round_trip(item);
    else if (err.code != rc || err.pos > size || !err.message[0])
        fuzz_fail("an error is not filled in", rc);
    dynb_builder_free(&builder);
    if (size <= 0xffffffffu) {
        item.bytes = data;
        item.size_bytes = (uint32_t)size;
        walk(dynb_item_iterate(item), 0);
        if (data && !dynb_item_check(item, NULL))
            round_trip(item);
    }
    restore(data, size);
    return 0;
}
