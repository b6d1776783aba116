/* instructions.c - the hot operations, each in a function of its own, for
 * instructions.sh, which has callgrind count what is executed inside. Always the
 * same: one seed, a device in memory, no threads, a clock that stands, work only
 * where it is asked for. Prints "name, how often" for each. */
#define DYNBACKUP_IMPLEMENTATION
#include "../dynbackup.h"

#include <stdio.h>

#define ITEMS 20000
#define PARTITION 20 /* items in one */
#define BATCH 25
#define SEPARATE __attribute__((noinline, noclone, no_icf))

static dynb *db;
static dynb_builder builder, builders[BATCH];
static dynb_result result;
static dynb_item item;
static dynb_write writes[BATCH];
static char arn[DYNB_ARN_MAX + 1];
static uint32_t order[ITEMS];
static const char *json;
static size_t json_length;
static uint64_t state = 20261122u;

static uint64_t draw(void)
{
    uint64_t z = (state += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

static uint64_t clock_now(void *ctx)
{
    (void)ctx;
    return 1700000000000u;
}

static uint64_t random_next(void *ctx)
{
    (void)ctx;
    return draw();
}

static void must(dynb_rc rc)
{
    if (rc == DYNB_OK)
        return;
    printf("failed: %s\n", dynb_rc_text(rc));
    exit(1);
}

static void shuffle(void)
{
    uint32_t i;
    for (i = 0; i < ITEMS; ++i)
        order[i] = i;
    for (i = ITEMS - 1; i > 0; --i) {
        const uint32_t other = (uint32_t)(draw() % (i + 1)), swap = order[i];
        order[i] = order[other];
        order[other] = swap;
    }
}

static dynb_item make(dynb_builder *b, uint32_t number, int with_value)
{
    char id[32], text[200];
    dynb_item made;
    uint32_t i;
    snprintf(id, sizeof id, "customer-%06u", (unsigned)(number / PARTITION));
    dynb_builder_begin(b);
    dynb_add_string(b, "Id", id, (size_t)-1);
    dynb_add_int(b, "At", number % PARTITION);
    if (with_value) {
        for (i = 0; i < sizeof text; ++i)
            text[i] = (char)('a' + draw() % 26);
        dynb_add_string(b, "Value", text, sizeof text);
    }
    must(dynb_builder_finish(b, &made, NULL));
    return made;
}

/* ------------------------------------------- what callgrind looks into -- */

SEPARATE static void op_build(const char *id, int64_t at)
{
    dynb_builder_begin(&builder);
    dynb_add_string(&builder, "Id", id, (size_t)-1);
    dynb_add_int(&builder, "At", at);
    must(dynb_builder_finish(&builder, &item, NULL));
}

SEPARATE static void op_put(void)
{
    must(dynb_put_item(db, "Orders", item, NULL, NULL, NULL, NULL));
}

SEPARATE static void op_overwrite(void)
{
    must(dynb_put_item(db, "Orders", item, NULL, NULL, NULL, NULL));
}

SEPARATE static void op_get_memory(void) /* from the changes */
{
    dynb_item out;
    must(dynb_get_item(db, "Orders", item, &out, &result, NULL));
    if (!out.bytes)
        must(DYNB_CORRUPT);
}

SEPARATE static void op_get_run(void) /* from the tree they were folded into */
{
    dynb_item out;
    must(dynb_get_item(db, "Orders", item, &out, &result, NULL));
    if (!out.bytes)
        must(DYNB_CORRUPT);
}

SEPARATE static void op_scan(dynb_scan_input *input, dynb_page *page)
{
    must(dynb_scan(db, input, page, &result, NULL));
}

SEPARATE static void op_query(const dynb_query_input *input)
{
    dynb_page page;
    must(dynb_query(db, input, &page, &result, NULL));
    if (page.count != PARTITION)
        must(DYNB_CORRUPT);
}

SEPARATE static void op_batch(void)
{
    must(dynb_batch_write(db, writes, BATCH, NULL, NULL));
}

SEPARATE static void op_marker(dynb_backup_description *backup)
{
    must(dynb_create_backup(db, "Orders", "hourly", backup, &result, NULL));
}

SEPARATE static void op_fold(void)
{
    must(dynb_wait_idle(db, NULL));
}

SEPARATE static void op_restore(const dynb_restore_input *input)
{
    must(dynb_restore_table_from_backup(db, input, NULL, NULL, NULL));
}

SEPARATE static void op_json_read(const char *text, size_t length)
{
    must(dynb_item_from_json(&builder, text, length, &item, NULL));
}

SEPARATE static void op_json_write(void)
{
    must(dynb_item_to_json(item, &result, &json, &json_length, NULL));
}

/* ------------------------------------------------------------- script -- */

static void said(const char *name, unsigned count)
{
    printf("%s\t%u\n", name, count);
}

static void open_store(void)
{
    dynb_config config;
    dynb_create_table_input table;
    memset(&config, 0, sizeof config);
    config.clock_fn = clock_now;
    config.random_fn = random_next;
    config.durability = DYNB_BUFFERED;
    config.manual_work = 1;
    config.create_backup_per_second = DYNB_UNLIMITED;
    must(dynb_open(&db, NULL, &config, NULL));
    memset(&table, 0, sizeof table);
    table.table_name = "Orders";
    table.partition_key.name = "Id";
    table.partition_key.type = DYNB_S;
    table.sort_key.name = "At";
    table.sort_key.type = DYNB_N;
    must(dynb_create_table(db, &table, NULL, NULL, NULL));
}

static void write_items(void)
{
    uint32_t i, j;
    shuffle();
    for (i = 0; i < ITEMS; ++i) {
        item = make(&builder, order[i], 1);
        op_put();
    }
    said("put", ITEMS);
    shuffle();
    for (i = 0; i < ITEMS / 4; ++i) {
        item = make(&builder, order[i], 1);
        op_overwrite();
    }
    said("overwrite", ITEMS / 4);
    for (i = 0; i < 100; ++i) {
        for (j = 0; j < BATCH; ++j) {
            writes[j].table = "Orders";
            writes[j].item = make(&builders[j], order[i * BATCH + j], 1);
        }
        op_batch();
    }
    said("batch", 100 * BATCH);
}

static void read_items(void)
{
    char id[32];
    uint32_t i;
    for (i = 0; i < ITEMS / 4; ++i) {
        snprintf(id, sizeof id, "customer-%06u", (unsigned)(order[i] / PARTITION));
        op_build(id, order[i] % PARTITION);
        op_get_memory();
    }
    said("build", ITEMS / 4);
    said("get_memory", ITEMS / 4);
    op_fold();
    said("fold", ITEMS);
    for (i = 0; i < ITEMS; ++i) { /* a node's sum is checked when it is first read */
        dynb_item out;
        item = make(&builder, i, 0);
        must(dynb_get_item(db, "Orders", item, &out, &result, NULL));
    }
    for (i = 0; i < ITEMS / 4; ++i) {
        item = make(&builder, order[i], 0);
        op_get_run();
    }
    said("get_run", ITEMS / 4);
}

static void read_pages(void)
{
    dynb_scan_input scan;
    dynb_query_input query;
    dynb_page page;
    uint8_t key[64]; /* outlives the page it came with */
    uint32_t i, count = 0;
    memset(&scan, 0, sizeof scan);
    scan.table = "Orders";
    scan.limit = 1000;
    do {
        op_scan(&scan, &page);
        count += page.count;
        scan.start_after.bytes = NULL;
        if (page.last_key.bytes) {
            memcpy(key, page.last_key.bytes, page.last_key.size_bytes);
            scan.start_after.bytes = key;
            scan.start_after.size_bytes = page.last_key.size_bytes;
        }
    } while (scan.start_after.bytes);
    said("scan", count);
    memset(&query, 0, sizeof query);
    query.table = "Orders";
    for (i = 0; i < 200; ++i) {
        item = make(&builder, order[i], 0);
        query.partition_key = dynb_item_get(item, "Id");
        op_query(&query);
    }
    said("query", 200 * PARTITION);
}

static void back_up(void)
{
    dynb_backup_description backup;
    dynb_restore_input restore;
    char name[32];
    uint32_t i;
    for (i = 0; i < 50; ++i) {
        item = make(&builder, order[i], 1);
        must(dynb_put_item(db, "Orders", item, NULL, NULL, NULL, NULL));
        op_marker(&backup);
    }
    said("marker", 50);
    snprintf(arn, sizeof arn, "%s", backup.backup_arn);
    must(dynb_wait_idle(db, NULL));
    memset(&restore, 0, sizeof restore);
    restore.backup_arn = arn;
    restore.target_table_name = name;
    for (i = 0; i < 40; ++i) {
        snprintf(name, sizeof name, "Restored-%u", (unsigned)i);
        op_restore(&restore);
    }
    said("restore", 40);
}

static void convert_items(void)
{
    static const char text[] =
        "{\"Id\":{\"S\":\"customer-000001\"},\"At\":{\"N\":\"1700000000.25\"},"
        "\"Open\":{\"BOOL\":true},"
        "\"Note\":{\"S\":\"three caf\\u00e9s, \\\"quoted\\\", and so on to some length of text\"},"
        "\"Tags\":{\"SS\":[\"red\",\"green\",\"blue\"]},"
        "\"Hash\":{\"B\":\"AQIDBAUGBwgJCgsMDQ4PEA==\"},"
        "\"Lines\":{\"L\":[{\"M\":{\"Sku\":{\"S\":\"A-1\"},\"Count\":{\"N\":\"3\"}}},"
        "{\"NULL\":true}]}}";
    uint32_t i;
    for (i = 0; i < 500; ++i) {
        op_json_read(text, sizeof text - 1);
        op_json_write();
    }
    said("json_read", 500);
    said("json_write", 500);
}

int main(void)
{
    open_store();
    write_items();
    read_items();
    read_pages();
    back_up();
    convert_items();
    return dynb_close(db, NULL) != DYNB_OK;
}
