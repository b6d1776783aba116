/* metal.c - four programs as firmware would have them: one that only puts and
 * gets, one with backups and restores, one with items in JSON, one with all.
 *
 *     -DPROGRAM=1   put and get
 *     -DPROGRAM=2   and delete, scan, backups, restores
 *     -DPROGRAM=3   and items in JSON
 *     -DPROGRAM=4   and requests in JSON: dynb_call, which reaches everything
 *     -DMETAL       on the board, started by metal_start.c
 *     -DBUDGET_BYTES=n -DARENA_BYTES=n   memory of the handle, and in all
 *
 * Each does 10,000 operations on a device of 1 MiB that cannot grow, in pages
 * of 512 bytes, opens its store again now and then, and prints a digest of all
 * that it was answered. metal.sh runs them on a Cortex-M3 and on the host and
 * compares the digests; bench/footprint.sh measures their code. */
#define DYNBACKUP_IMPLEMENTATION
#define DYNBACKUP_NO_FILE
#define DYNBACKUP_NO_MALLOC
#include "../../dynbackup.h"

#include <string.h>

#if !defined(BUDGET_BYTES)
#define BUDGET_BYTES 131072u
#define ARENA_BYTES 262144u
#endif
#define DEVICE_BYTES 1048576u
#define OPERATIONS 10000
#define KEYS 300

#if defined(METAL)
void metal_say(const char *text);
uint32_t metal_stack_bytes(void); /* the most that was in use */
#else
#include <stdio.h>
static void metal_say(const char *text)
{
    fputs(text, stdout);
}
#endif

/* ------------------------------------------------------------- memory -- */

/* First fit in blocks that lie side by side; free ones are joined when they are
 * passed. */
typedef struct block {
    uint32_t size_bytes; /* this header included; a multiple of it */
    uint32_t is_taken;
} block;

#define ARENA_BLOCKS (ARENA_BYTES / sizeof(block))

static block arena[ARENA_BLOCKS];
static uint32_t arena_end_bytes; /* nothing beyond was ever taken */

static block *block_next(block *at)
{
    return at + at->size_bytes / sizeof(block);
}

/* The free space from here on as one block. */
static void block_join(block *at)
{
    block *next = block_next(at);
    while (next < arena + ARENA_BLOCKS && !next->is_taken) {
        at->size_bytes += next->size_bytes;
        next = block_next(at);
    }
}

/* Leaves `size_bytes` in the block and frees what is behind. */
static void block_cut(block *at, uint32_t size_bytes)
{
    const uint32_t end = (uint32_t)((size_t)(at - arena) * sizeof(block)) + size_bytes;
    if (at->size_bytes > size_bytes) {
        block *rest = at + size_bytes / sizeof(block);
        rest->size_bytes = at->size_bytes - size_bytes;
        rest->is_taken = 0;
        at->size_bytes = size_bytes;
    }
    at->is_taken = 1;
    if (end > arena_end_bytes)
        arena_end_bytes = end;
}

static void *arena_take(uint32_t size_bytes)
{
    block *at;
    if (!arena[0].size_bytes)
        arena[0].size_bytes = sizeof arena;
    for (at = arena; at < arena + ARENA_BLOCKS; at = block_next(at)) {
        if (at->is_taken)
            continue;
        block_join(at);
        if (at->size_bytes >= size_bytes) {
            block_cut(at, size_bytes);
            return at + 1;
        }
    }
    return NULL;
}

static void *arena_resize(void *ctx, void *ptr, size_t old_size, size_t new_size)
{
    const uint32_t wanted = (uint32_t)((new_size + 2 * sizeof(block) - 1) / sizeof(block) *
                                       sizeof(block));
    block *at = (block *)ptr - 1;
    void *moved;
    (void)ctx;
    if (!ptr)
        return arena_take(wanted);
    if (!new_size) {
        at->is_taken = 0;
        return NULL;
    }
    block_join(at);
    if (at->size_bytes >= wanted) {
        block_cut(at, wanted);
        return ptr;
    }
    block_cut(at, at->size_bytes);
    moved = arena_take(wanted);
    if (moved) {
        memcpy(moved, ptr, old_size < new_size ? old_size : new_size);
        at->is_taken = 0;
    }
    return moved;
}

static const dynb_allocator allocator = {arena_resize, NULL};

/* -------------------------------------------------------- the device -- */

#if defined(METAL)
__attribute__((section(".device")))
#endif
static uint8_t device_bytes[DEVICE_BYTES];

static dynb_rc device_read(void *ctx, uint64_t pos, void *to, size_t size_bytes)
{
    (void)ctx;
    memcpy(to, device_bytes + (size_t)pos, size_bytes);
    return DYNB_OK;
}

static dynb_rc device_write(void *ctx, uint64_t pos, const void *from, size_t size_bytes)
{
    (void)ctx;
    memcpy(device_bytes + (size_t)pos, from, size_bytes);
    return DYNB_OK;
}

static dynb_rc device_sync(void *ctx)
{
    (void)ctx;
    return DYNB_OK;
}

static dynb_rc device_size(void *ctx, uint64_t *size_bytes)
{
    (void)ctx;
    *size_bytes = DEVICE_BYTES;
    return DYNB_OK;
}

static const dynb_device device = {NULL,        device_read, device_write, device_sync,
                                   device_size, NULL,        NULL,         NULL,
                                   NULL};

/* ------------------------------------------------- clock, chance, digest -- */

static uint64_t now_ms = 1700000000000u, engine_state = 1, script_state = 2;
static uint64_t digest = 0xcbf29ce484222325u;

/* splitmix64 */
static uint64_t draw(uint64_t *state)
{
    uint64_t z = (*state += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

static uint32_t below(uint32_t limit)
{
    return (uint32_t)(draw(&script_state) >> 32) % limit;
}

static uint64_t clock_now(void *ctx)
{
    (void)ctx;
    return now_ms;
}

static uint64_t random_next(void *ctx)
{
    (void)ctx;
    return draw(&engine_state);
}

/* FNV-1a */
static void digest_bytes(const void *bytes, size_t size_bytes)
{
    const uint8_t *at = (const uint8_t *)bytes;
    size_t i;
    for (i = 0; i < size_bytes; ++i)
        digest = (digest ^ at[i]) * 0x100000001b3u;
}

static void digest_number(uint64_t number)
{
    int i;
    for (i = 0; i < 8; ++i) {
        const uint8_t byte = (uint8_t)(number >> 8 * i);
        digest_bytes(&byte, 1);
    }
}

/* ---------------------------------------------------------- reporting -- */

static char *text_number(char *to, uint64_t number, unsigned base, unsigned digits)
{
    char reversed[20];
    unsigned count = 0;
    do {
        reversed[count++] = "0123456789abcdef"[number % base];
        number /= base;
    } while (number || count < digits);
    while (count)
        *to++ = reversed[--count];
    *to = 0;
    return to;
}

static void say_number(const char *label, uint64_t number, unsigned base, unsigned digits)
{
    char text[24];
    (void)text_number(text, number, base, digits);
    metal_say(label);
    metal_say(text);
}

static int failed_count;
static int line_of_operation;
static dynb_error error;

/* Every answer goes through here: its code is part of the digest. */
static int answered(dynb_rc rc, const char *call)
{
    digest_number((uint64_t)rc);
    if (rc != DYNB_OK && ++failed_count <= 10) {
        say_number("failed at operation ", (uint64_t)line_of_operation, 10, 1);
        metal_say(": ");
        metal_say(call);
        metal_say(": ");
        metal_say(error.message);
        metal_say("\n");
    }
    return rc == DYNB_OK;
}

#define DO(call) answered(call, #call)

/* ------------------------------------------------------ what is done -- */

static dynb *db;
static dynb_builder builder;
static dynb_result result;

static void open_store(void)
{
    dynb_config config;
    memset(&config, 0, sizeof config);
    config.allocator = allocator;
    config.device = &device;
    config.clock_fn = clock_now;
    config.random_fn = random_next;
    config.memory_bytes = BUDGET_BYTES;
    config.page_size_bytes = 512;
    config.create_backup_per_second = DYNB_UNLIMITED;
    (void)DO(dynb_open(&db, NULL, &config, &error));
}

static void create_table(void)
{
    dynb_create_table_input input;
    memset(&input, 0, sizeof input);
    input.table_name = "Sensors";
    input.partition_key.name = "Id";
    input.partition_key.type = DYNB_S;
    input.sort_key.name = "At";
    input.sort_key.type = DYNB_N;
    (void)DO(dynb_create_table(db, &input, NULL, NULL, &error));
}

static dynb_item make_key(uint32_t number)
{
    dynb_item item = {NULL, 0};
    char id[16] = "sensor-";
    (void)text_number(id + 7, number % 17, 10, 2);
    dynb_builder_begin(&builder);
    dynb_add_string(&builder, "Id", id, (size_t)-1);
    dynb_add_int(&builder, "At", (int64_t)number * 1000 - 150000);
    (void)DO(dynb_builder_finish(&builder, &item, &error));
    return item;
}

/* Some 20 to 220 bytes. */
static dynb_item make_item(uint32_t number)
{
    dynb_item item = {NULL, 0};
    char text[200], id[16] = "sensor-";
    uint32_t i, length = below(sizeof text);
    for (i = 0; i < length; ++i)
        text[i] = (char)('a' + below(26));
    (void)text_number(id + 7, number % 17, 10, 2);
    dynb_builder_begin(&builder);
    dynb_add_string(&builder, "Id", id, (size_t)-1);
    dynb_add_int(&builder, "At", (int64_t)number * 1000 - 150000);
    dynb_add_int(&builder, "Value", (int64_t)below(100000) - 50000);
    dynb_add_bool(&builder, "Fine", (int)below(2));
    dynb_add_string(&builder, "Note", text, length);
    (void)DO(dynb_builder_finish(&builder, &item, &error));
    return item;
}

static void put(uint32_t number)
{
    (void)DO(dynb_put_item(db, "Sensors", make_item(number), NULL, NULL, NULL, &error));
}

static void get(uint32_t number)
{
    dynb_item item;
    if (DO(dynb_get_item(db, "Sensors", make_key(number), &item, &result, &error)))
        digest_bytes(item.bytes, item.size_bytes);
}

#if PROGRAM >= 2
static char backup_arn[2][160]; /* of the last two; "": none */
static const char restored[] = "Restored";

static void digest_table(const char *table)
{
    dynb_scan_input input;
    dynb_page page;
    uint8_t key[64]; /* outlives the page it came with */
    memset(&input, 0, sizeof input);
    input.table = table;
    input.limit = 8;
    do {
        uint32_t i;
        if (!DO(dynb_scan(db, &input, &page, &result, &error)))
            return;
        for (i = 0; i < page.count; ++i)
            digest_bytes(page.items[i].bytes, page.items[i].size_bytes);
        input.start_after.size_bytes = page.last_key.size_bytes;
        if (page.last_key.bytes)
            memcpy(key, page.last_key.bytes, page.last_key.size_bytes);
        input.start_after.bytes = key;
    } while (page.last_key.bytes);
}

static void finish_work(void)
{
    int pending = 1;
    while (pending && DO(dynb_work(db, 1u << 20, &pending, &error)))
        ;
}

/* Restores the backup before, takes one, deletes the one before. */
static void back_up(void)
{
    dynb_restore_input input;
    dynb_backup_description backup;
    memset(&input, 0, sizeof input);
    input.target_table_name = restored;
    input.backup_arn = backup_arn[0];
    if (backup_arn[0][0]) {
        finish_work();
        if (DO(dynb_describe_backup(db, backup_arn[0], &backup, &result, &error))) {
            digest_number(backup.status);
            digest_number(backup.size_bytes);
        }
        if (DO(dynb_restore_table_from_backup(db, &input, NULL, NULL, &error)))
            digest_table(restored);
        (void)DO(dynb_delete_table(db, restored, NULL, NULL, &error));
    }
    if (backup_arn[1][0])
        (void)DO(dynb_delete_backup(db, backup_arn[1], NULL, NULL, &error));
    memcpy(backup_arn[1], backup_arn[0], sizeof backup_arn[0]);
    if (DO(dynb_create_backup(db, "Sensors", "nightly", &backup, &result, &error)))
        memcpy(backup_arn[0], backup.backup_arn, strlen(backup.backup_arn) + 1);
    (void)DO(dynb_wait_idle(db, &error));
}
#endif

#if PROGRAM >= 3
static void put_json(uint32_t number)
{
    char text[160] = "{\"Id\":{\"S\":\"json\"},\"Tags\":{\"SS\":[\"b\",\"a\"]},"
                     "\"More\":{\"M\":{\"x\":{\"L\":[{\"NULL\":true},{\"B\":\"AQID\"}]}}},"
                     "\"At\":{\"N\":\"";
    char *end = text_number(text + strlen(text), number, 10, 1);
    dynb_item item;
    memcpy(end, "\"}}", 4);
    if (DO(dynb_item_from_json(&builder, text, strlen(text), &item, &error)))
        (void)DO(dynb_put_item(db, "Sensors", item, NULL, NULL, NULL, &error));
}

static void get_json(uint32_t number)
{
    dynb_item item;
    const char *text;
    size_t length;
    dynb_result written;
    memset(&written, 0, sizeof written);
    written.allocator = allocator;
    if (DO(dynb_get_item(db, "Sensors", make_key(number), &item, &result, &error)) && item.bytes &&
        DO(dynb_item_to_json(item, &written, &text, &length, &error)))
        digest_bytes(text, length);
    dynb_result_free(&written);
}
#endif

#if PROGRAM >= 4
/* One request of the service, the number in place of each # in its text. */
static void call(const char *name, const char *form, uint32_t number)
{
    char json[256], *end = json;
    dynb_response response;
    for (; *form; ++form) {
        if (*form == '#')
            end = text_number(end, number, 10, 1);
        else
            *end++ = *form;
    }
    if (DO(dynb_call(db, name, json, (size_t)(end - json), &result, &response, &error))) {
        digest_number((uint64_t)response.http_status);
        digest_bytes(response.body, response.body_size);
    }
}

static void call_something(uint32_t number)
{
    switch (number % 4) {
    case 0:
        call("PutItem",
             "{\"TableName\":\"Sensors\",\"ReturnValues\":\"ALL_OLD\",\"Item\":{"
             "\"Id\":{\"S\":\"call\"},\"At\":{\"N\":\"#\"},"
             "\"More\":{\"L\":[{\"N\":\"#\"},{\"BOOL\":true}]}}}",
             number % 20);
        break;
    case 1:
        call("Query",
             "{\"TableName\":\"Sensors\",\"KeyConditionExpression\":\"Id = :id\","
             "\"ExpressionAttributeValues\":{\":id\":{\"S\":\"call\"}},\"Limit\":#}",
             1 + number % 3);
        break;
    case 2:
        call("BatchGetItem",
             "{\"RequestItems\":{\"Sensors\":{\"Keys\":[{\"Id\":{\"S\":\"call\"},"
             "\"At\":{\"N\":\"#\"}}]}}}",
             number % 20);
        break;
    default:
        call("ListTables", "{\"Limit\":#}", 1 + number % 3);
        break;
    }
}
#endif

static void operation(int number)
{
    const uint32_t key = below(KEYS);
    line_of_operation = number;
    now_ms += below(100);
    switch (below(8)) {
    case 0:
    case 1:
    case 2:
        get(key);
        break;
#if PROGRAM >= 2
    case 3:
        (void)DO(dynb_delete_item(db, "Sensors", make_key(key), NULL, NULL, NULL, &error));
        break;
#endif
#if PROGRAM >= 3
    case 4:
        get_json(key);
        break;
    case 5:
        put_json(key % 50);
        break;
#endif
#if PROGRAM >= 4
    case 6:
        call_something(key);
        break;
#endif
    default:
        put(key);
        break;
    }
#if PROGRAM >= 2
    if (number % 500 == 499)
        back_up();
#endif
    if (number % 2500 == 2499) {
        (void)answered(dynb_close(db, &error), "dynb_close");
        open_store();
    }
}

int main(void)
{
    int number;
    builder.allocator = allocator;
    result.allocator = allocator;
    open_store();
    create_table();
    for (number = 0; db && number < OPERATIONS; ++number)
        operation(number);
    for (number = 0; db && number < KEYS; ++number)
        get((uint32_t)number);
    if (db)
        (void)answered(dynb_close(db, &error), "dynb_close");
    dynb_builder_free(&builder);
    dynb_result_free(&result);
    say_number("program ", PROGRAM, 10, 1);
    say_number(": digest ", digest, 16, 16);
    say_number(", calls that failed ", (uint64_t)failed_count, 10, 1);
    metal_say("\n");
#if defined(METAL)
    say_number("arena: ", arena_end_bytes, 10, 1);
    say_number(" of ", sizeof arena, 10, 1);
    say_number(", stack: ", metal_stack_bytes(), 10, 1);
    metal_say("\n");
#endif
    return failed_count != 0;
}
