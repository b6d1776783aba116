/* golden.c - the same bytes on every machine.
 *
 * Plays scripted histories on a device of its own, with its own clock, random
 * numbers and steps of work, and takes two digests of each: of the contents as
 * read back, and of all bytes of the closed device. They must be those of
 * tests/vectors/golden.txt on every architecture, whatever its byte order, its
 * size of pointers or its alignment.
 *
 *     golden [FILE]            compare with FILE (vectors/golden.txt)
 *     golden --update [FILE]   write FILE anew
 *
 * It is run in the directory tests. */
#define DYNBACKUP_IMPLEMENTATION
#include "../dynbackup.h"

#include "check.h"

/* ------------------------------------------------------------- digest -- */

#define DIGEST_START 0xcbf29ce484222325u

/* FNV-1a, 64 bits. */
static uint64_t digest(uint64_t sum, const void *bytes, size_t size)
{
    const uint8_t *at = (const uint8_t *)bytes;
    size_t i;
    for (i = 0; i < size; ++i)
        sum = (sum ^ at[i]) * 0x100000001b3u;
    return sum;
}

static uint64_t digest_text(uint64_t sum, const char *text)
{
    return text ? digest(sum, text, strlen(text) + 1) : digest(sum, "\1", 2);
}

static uint64_t digest_number(uint64_t sum, uint64_t number)
{
    uint8_t bytes[8];
    int i;
    for (i = 0; i < 8; ++i)
        bytes[i] = (uint8_t)(number >> (8 * i));
    return digest(sum, bytes, sizeof bytes);
}

/* ----------------------------------------------------------- the world -- */

#define DEVICE_CAPACITY (24u << 20)

typedef struct world {
    uint8_t *bytes; /* the device: never moves, so it can be lent */
    uint64_t size_bytes;
    uint64_t now_ms;
    check_random ids;    /* what the engine draws */
    check_random script; /* what this file draws */
} world;

static dynb_rc world_read(void *ctx, uint64_t pos, void *to, size_t size_bytes)
{
    memcpy(to, ((world *)ctx)->bytes + pos, size_bytes);
    return DYNB_OK;
}

static dynb_rc world_write(void *ctx, uint64_t pos, const void *from, size_t size_bytes)
{
    memcpy(((world *)ctx)->bytes + pos, from, size_bytes);
    return DYNB_OK;
}

static dynb_rc world_sync(void *ctx)
{
    (void)ctx;
    return DYNB_OK;
}

static dynb_rc world_size(void *ctx, uint64_t *size_bytes)
{
    *size_bytes = ((world *)ctx)->size_bytes;
    return DYNB_OK;
}

static dynb_rc world_resize(void *ctx, uint64_t size_bytes)
{
    world *w = (world *)ctx;
    if (size_bytes > DEVICE_CAPACITY)
        return DYNB_NO_SPACE;
    if (size_bytes > w->size_bytes)
        memset(w->bytes + w->size_bytes, 0, (size_t)(size_bytes - w->size_bytes));
    w->size_bytes = size_bytes;
    return DYNB_OK;
}

static const void *world_map(void *ctx, uint64_t pos, size_t size_bytes)
{
    (void)size_bytes;
    return ((world *)ctx)->bytes + pos;
}

static uint64_t world_clock(void *ctx)
{
    return ((world *)ctx)->now_ms;
}

static uint64_t world_random(void *ctx)
{
    return check_next(&((world *)ctx)->ids);
}

/* ---------------------------------------------------------- the script -- */

typedef struct history {
    const char *name;
    uint32_t page_size_bytes;
    uint32_t node_size_bytes;
    uint32_t log_segment_bytes;
    uint32_t rounds;
    uint32_t steps; /* writes in a round */
    uint32_t text_max;
    int lends; /* the device has a map_fn */
} history;

/* "lent" is "plain" with a device that lends: not a byte may differ. */
static const history histories[] = {
    {"plain", 4096, 8192, 65536, 6, 500, 120, 0},
    {"lent", 4096, 8192, 65536, 6, 500, 120, 1},
    {"small", 512, 512, 8192, 8, 300, 60, 0},
    {"wide", 32768, 32768, 262144, 3, 400, 3000, 0},
};

static dynb *world_open(world *w, const history *h)
{
    dynb_device device;
    dynb_config config;
    dynb_error err;
    dynb *db = NULL;
    memset(&device, 0, sizeof device);
    device.ctx = w;
    device.read_fn = world_read;
    device.write_fn = world_write;
    device.sync_fn = world_sync;
    device.size_fn = world_size;
    device.resize_fn = world_resize;
    device.map_fn = h->lends ? world_map : NULL;
    memset(&config, 0, sizeof config);
    config.device = &device;
    config.clock_fn = world_clock;
    config.clock_ctx = w;
    config.random_fn = world_random;
    config.random_ctx = w;
    config.page_size_bytes = h->page_size_bytes;
    config.node_size_bytes = h->node_size_bytes;
    config.log_segment_bytes = h->log_segment_bytes;
    config.create_backup_per_second = DYNB_UNLIMITED;
    config.manual_work = 1;
    memset(&err, 0, sizeof err);
    if (dynb_open(&db, NULL, &config, &err) != DYNB_OK)
        printf("golden: %s: %s\n", h->name, err.message);
    CHECK(db != NULL);
    return db;
}

static void work(dynb *db, uint64_t budget_bytes, int steps)
{
    int pending = 1;
    while (pending && steps-- > 0)
        CHECK_INT(dynb_work(db, budget_bytes, &pending, NULL), DYNB_OK);
}

/* An item of table "Orders" (Id S, At N) or "Users" (Key B) with a bit of each
 * type; only its key when that is all that is wanted. */
static dynb_item make_item(world *w, dynb_builder *b, const history *h, int users, int only_key)
{
    uint64_t draw = check_next(&w->script);
    char text[3001];
    uint32_t i, length;
    dynb_item item;
    dynb_builder_begin(b);
    if (users) {
        uint8_t key[3];
        key[0] = (uint8_t)(draw % 40);
        key[1] = (uint8_t)(draw >> 8);
        key[2] = (uint8_t)(draw >> 16 & 1);
        dynb_add_binary(b, "Key", key, 1 + (draw & 1) * 2);
    } else {
        snprintf(text, sizeof text, "order-%u", (unsigned)(draw % 97));
        dynb_add_string(b, "Id", text, (size_t)-1);
        snprintf(text, sizeof text, "%d.%ue%d", (int)(draw >> 20 & 15) - 8,
                 (unsigned)(draw >> 24 & 1) * 5, (int)(draw >> 25 & 3));
        dynb_add_number(b, "At", text, (size_t)-1);
    }
    if (!only_key) {
        length = (uint32_t)check_below(&w->script, h->text_max);
        for (i = 0; i < length; ++i)
            text[i] = (char)('a' + (draw >> (i % 50)) % 26);
        dynb_add_string(b, "Text", text, length);
        dynb_add_int(b, "Count", (int64_t)check_next(&w->script) >> (draw & 31));
        dynb_add_bool(b, "Paid", (int)(draw >> 30 & 1));
        dynb_open_container(b, "More", DYNB_M);
        dynb_add_null(b, "None");
        dynb_open_container(b, "List", DYNB_L);
        dynb_add_number(b, NULL, "-12345678901234567890.123456789012345678e-90", (size_t)-1);
        dynb_add_binary(b, NULL, &text, length % 9);
        dynb_close_container(b);
        dynb_close_container(b);
        dynb_open_container(b, "Tags", draw >> 31 & 1 ? DYNB_SS : DYNB_NS);
        for (i = 0; i < 3; ++i) {
            snprintf(text, sizeof text, "%u", (unsigned)(draw % 50 + 7 * i));
            if (draw >> 31 & 1)
                dynb_add_string(b, NULL, text, (size_t)-1);
            else
                dynb_add_number(b, NULL, text, (size_t)-1);
        }
        dynb_close_container(b);
    }
    CHECK_INT(dynb_builder_finish(b, &item, NULL), DYNB_OK);
    return item;
}

static void write_batch(world *w, dynb *db, const history *h)
{
    dynb_builder builders[6];
    dynb_write writes[6];
    uint32_t i, count = 2 + (uint32_t)check_below(&w->script, 5);
    dynb_rc rc;
    memset(builders, 0, sizeof builders);
    memset(writes, 0, sizeof writes);
    for (i = 0; i < count; ++i) {
        int users = (int)(i & 1);
        writes[i].table = users ? "Users" : "Orders";
        writes[i].is_delete = (int)check_below(&w->script, 3) == 0;
        writes[i].item = make_item(w, &builders[i], h, users, writes[i].is_delete);
    }
    rc = dynb_batch_write(db, writes, count, NULL, NULL);
    CHECK(rc == DYNB_OK || rc == DYNB_VALIDATION); /* a key drawn twice is refused */
    for (i = 0; i < count; ++i)
        dynb_builder_free(&builders[i]);
}

static void write_one(world *w, dynb *db, const history *h)
{
    uint64_t draw = check_below(&w->script, 10);
    dynb_builder b;
    memset(&b, 0, sizeof b);
    w->now_ms += 1 + draw * 7;
    if (draw == 0) {
        write_batch(w, db, h);
    } else {
        int users = draw == 1;
        const char *table = users ? "Users" : "Orders";
        int deletes = draw == 2;
        dynb_item item = make_item(w, &b, h, users, deletes);
        CHECK_INT(deletes ? dynb_delete_item(db, table, item, NULL, NULL, NULL, NULL)
                          : dynb_put_item(db, table, item, NULL, NULL, NULL, NULL), DYNB_OK);
    }
    dynb_builder_free(&b);
}

static void create_tables(dynb *db)
{
    static const dynb_tag tags[] = {{"team", "blue"}, {"cost", "7"}};
    dynb_create_table_input input;
    memset(&input, 0, sizeof input);
    input.table_name = "Orders";
    input.partition_key.name = "Id";
    input.partition_key.type = DYNB_S;
    input.sort_key.name = "At";
    input.sort_key.type = DYNB_N;
    input.settings.billing_mode = DYNB_PROVISIONED;
    input.settings.provisioned.read_units = 5;
    input.settings.provisioned.write_units = 6;
    input.settings.stream_view = DYNB_STREAM_NEW_IMAGE;
    CHECK_INT(dynb_create_table(db, &input, NULL, NULL, NULL), DYNB_OK);
    memset(&input, 0, sizeof input);
    input.table_name = "Users";
    input.partition_key.name = "Key";
    input.partition_key.type = DYNB_B;
    input.tags = tags;
    input.tag_count = 2;
    CHECK_INT(dynb_create_table(db, &input, NULL, NULL, NULL), DYNB_OK);
    CHECK_INT(dynb_update_time_to_live(db, "Users", "Until", NULL), DYNB_OK);
}

/* A backup in each round; later rounds delete older ones, restore the one
 * before, and delete the table restored two rounds ago. */
static void back_up(world *w, dynb *db, uint32_t round, char arns[][DYNB_ARN_MAX + 1])
{
    dynb_result result;
    dynb_backup_description backup;
    dynb_restore_input restore;
    char name[32];
    memset(&result, 0, sizeof result);
    snprintf(name, sizeof name, "backup-%u", (unsigned)round);
    CHECK_INT(dynb_create_backup(db, round % 3 == 2 ? "Users" : "Orders", name, &backup, &result,
                                 NULL), DYNB_OK);
    snprintf(arns[round], DYNB_ARN_MAX + 1, "%s", backup.backup_arn);
    w->now_ms += 1000;
    work(db, 4096, (int)round); /* often not to the end */
    if (round >= 2) {
        work(db, 20000, 1000000);
        CHECK_INT(dynb_delete_backup(db, arns[round - 2], NULL, NULL, NULL), DYNB_OK);
        snprintf(name, sizeof name, "restored-%u", (unsigned)round);
        memset(&restore, 0, sizeof restore);
        restore.target_table_name = name;
        restore.backup_arn = arns[round - 1];
        CHECK_INT(dynb_restore_table_from_backup(db, &restore, NULL, NULL, NULL), DYNB_OK);
    }
    if (round >= 4) {
        snprintf(name, sizeof name, "restored-%u", (unsigned)round - 2);
        CHECK_INT(dynb_delete_table(db, name, NULL, NULL, NULL), DYNB_OK);
    }
    dynb_result_free(&result);
}

/* -------------------------------------------------------- reading back -- */

static uint64_t digest_items(uint64_t sum, dynb *db, const char *table)
{
    dynb_scan_input input;
    dynb_result result;
    dynb_page page;
    uint8_t *key = NULL; /* last_key outlives the page it came with */
    memset(&input, 0, sizeof input);
    memset(&result, 0, sizeof result);
    input.table = table;
    input.limit = 100;
    do {
        uint32_t i;
        if (dynb_scan(db, &input, &page, &result, NULL) != DYNB_OK) {
            CHECK(!"scan");
            break;
        }
        for (i = 0; i < page.count; ++i)
            sum = digest(sum, page.items[i].bytes, page.items[i].size_bytes);
        free(key);
        key = NULL;
        if (page.last_key.bytes) {
            key = (uint8_t *)malloc(page.last_key.size_bytes);
            memcpy(key, page.last_key.bytes, page.last_key.size_bytes);
            input.start_after.bytes = key;
            input.start_after.size_bytes = page.last_key.size_bytes;
        }
    } while (key);
    dynb_result_free(&result);
    return sum;
}

static uint64_t digest_tables(uint64_t sum, dynb *db)
{
    dynb_result names, one;
    dynb_table_list list;
    dynb_table_description table;
    uint32_t i;
    memset(&names, 0, sizeof names);
    memset(&one, 0, sizeof one);
    CHECK_INT(dynb_list_tables(db, NULL, 0, &list, &names, NULL), DYNB_OK);
    for (i = 0; i < list.count; ++i) {
        CHECK_INT(dynb_describe_table(db, list.table_names[i], &table, &one, NULL), DYNB_OK);
        sum = digest_text(sum, table.table_name);
        sum = digest_text(sum, table.table_id);
        sum = digest_text(sum, table.stream_arn);
        sum = digest_text(sum, table.ttl_attribute);
        sum = digest_text(sum, table.restore_source_backup_arn);
        sum = digest_number(sum, table.created_at_ms);
        sum = digest_number(sum, table.item_count);
        sum = digest_number(sum, table.size_bytes);
        sum = digest_items(sum, db, list.table_names[i]);
    }
    dynb_result_free(&names);
    dynb_result_free(&one);
    return sum;
}

static uint64_t digest_backups(uint64_t sum, dynb *db)
{
    dynb_list_backups_input input;
    dynb_backup_list list;
    dynb_result result;
    uint32_t i;
    memset(&input, 0, sizeof input);
    memset(&result, 0, sizeof result);
    CHECK_INT(dynb_list_backups(db, &input, &list, &result, NULL), DYNB_OK);
    for (i = 0; i < list.count; ++i) {
        sum = digest_text(sum, list.backups[i].backup_arn);
        sum = digest_text(sum, list.backups[i].backup_name);
        sum = digest_number(sum, (uint64_t)list.backups[i].status);
        sum = digest_number(sum, list.backups[i].size_bytes);
        sum = digest_number(sum, list.backups[i].lsn);
    }
    dynb_result_free(&result);
    return sum;
}

/* ------------------------------------------------------------- playing -- */

typedef struct outcome {
    uint64_t contents;
    uint64_t device;
    uint64_t size_bytes;
} outcome;

/* Closes in odd rounds; in even ones leaves the device as a killed process
 * would, so that recovery has something to do. */
static dynb *reopen(world *w, dynb *db, const history *h, uint32_t round)
{
    if (round % 2) {
        CHECK_INT(dynb_close(db, NULL), DYNB_OK);
    } else {
        uint64_t size = w->size_bytes;
        uint8_t *kept = (uint8_t *)malloc((size_t)size);
        memcpy(kept, w->bytes, (size_t)size);
        CHECK_INT(dynb_close(db, NULL), DYNB_OK);
        memset(w->bytes, 0, DEVICE_CAPACITY);
        memcpy(w->bytes, kept, (size_t)size);
        w->size_bytes = size;
        free(kept);
    }
    w->now_ms += 60000;
    return world_open(w, h);
}

/* Keeps the past of a table from here on. */
static void keep_past(dynb *db)
{
    dynb_update_continuous_backups_input input;
    memset(&input, 0, sizeof input);
    input.table = "Orders";
    input.point_in_time_recovery = 1;
    CHECK_INT(dynb_update_continuous_backups(db, &input, NULL, NULL), DYNB_OK);
}

static void restore_past(dynb *db, uint64_t time_ms)
{
    dynb_restore_to_time_input input;
    memset(&input, 0, sizeof input);
    input.source_table_name = "Orders";
    input.target_table_name = "Past";
    input.use_restore_time = 1;
    input.restore_time_ms = time_ms;
    CHECK_INT(dynb_restore_table_to_point_in_time(db, &input, NULL, NULL, NULL), DYNB_OK);
}

static outcome play(const history *h)
{
    static char arns[16][DYNB_ARN_MAX + 1];
    world w;
    outcome out;
    dynb *db;
    uint32_t round, i;
    uint64_t middle_ms = 0;
    memset(&w, 0, sizeof w);
    memset(&out, 0, sizeof out);
    w.bytes = (uint8_t *)calloc(1, DEVICE_CAPACITY);
    w.now_ms = 1700000000000u;
    w.ids.state = 1;
    w.script.state = 2;
    db = w.bytes ? world_open(&w, h) : NULL;
    if (db) {
        create_tables(db);
        keep_past(db);
    }
    for (round = 0; db && round < h->rounds; ++round) {
        for (i = 0; i < h->steps; ++i) {
            write_one(&w, db, h);
            if (i % 16 == 15)
                work(db, 8192, 1);
        }
        back_up(&w, db, round, arns);
        if (round == h->rounds / 2)
            middle_ms = w.now_ms;
        db = reopen(&w, db, h, round);
    }
    if (db) {
        restore_past(db, middle_ms);
        CHECK_INT(dynb_wait_idle(db, NULL), DYNB_OK);
        CHECK_INT(dynb_check(db, NULL, NULL, NULL, NULL), DYNB_OK);
        CHECK_INT(dynb_scrub(db, NULL), DYNB_OK);
        out.contents = digest_backups(digest_tables(DIGEST_START, db), db);
        CHECK_INT(dynb_close(db, NULL), DYNB_OK);
        out.device = digest(DIGEST_START, w.bytes, (size_t)w.size_bytes);
        out.size_bytes = w.size_bytes;
    }
    free(w.bytes);
    return out;
}

/* ----------------------------------------------------------- the file -- */

#define HISTORY_COUNT (sizeof histories / sizeof histories[0])

static void update(const char *path, const outcome *outcomes)
{
    FILE *file = fopen(path, "w");
    size_t i;
    CHECK(file != NULL);
    if (!file)
        return;
    fputs("# golden.txt - what the histories of tests/golden.c leave behind: digests (FNV-1a,\n"
          "# 64 bits) of the contents and of all device bytes, and the device's size.\n"
          "# Source: ours, written by `golden --update`. Another digest means another format\n"
          "# on the device or another decision of the builder: the commit says why.\n"
          "# history contents device size_bytes\n", file);
    for (i = 0; i < HISTORY_COUNT; ++i)
        fprintf(file, "%s %016llx %016llx %llu\n", histories[i].name,
                (unsigned long long)outcomes[i].contents, (unsigned long long)outcomes[i].device,
                (unsigned long long)outcomes[i].size_bytes);
    CHECK(fclose(file) == 0);
}

static void compare(const char *path, const outcome *outcomes)
{
    FILE *file = fopen(path, "r");
    char line[200], name[32];
    unsigned long long contents, device, size_bytes;
    size_t i, found = 0;
    CHECK(file != NULL);
    while (file && fgets(line, sizeof line, file)) {
        if (sscanf(line, "%31[a-z] %llx %llx %llu", name, &contents, &device, &size_bytes) != 4)
            continue;
        for (i = 0; i < HISTORY_COUNT; ++i) {
            if (strcmp(name, histories[i].name) != 0)
                continue;
            ++found;
            if (outcomes[i].contents != contents || outcomes[i].device != device)
                printf("golden: %s is %016llx %016llx %llu\n", name,
                       (unsigned long long)outcomes[i].contents,
                       (unsigned long long)outcomes[i].device,
                       (unsigned long long)outcomes[i].size_bytes);
            CHECK(outcomes[i].contents == contents);
            CHECK(outcomes[i].device == device);
            CHECK(outcomes[i].size_bytes == size_bytes);
        }
    }
    CHECK_INT(found, HISTORY_COUNT);
    if (file)
        fclose(file);
}

int main(int argc, char **argv)
{
    int updates = argc > 1 && strcmp(argv[1], "--update") == 0;
    const char *path = argc > 1 + updates ? argv[1 + updates] : "vectors/golden.txt";
    outcome outcomes[HISTORY_COUNT];
    size_t i;
    for (i = 0; i < HISTORY_COUNT; ++i)
        outcomes[i] = play(&histories[i]);
    CHECK(outcomes[0].device == outcomes[1].device); /* lending changes nothing */
    if (updates)
        update(path, outcomes);
    else
        compare(path, outcomes);
    return check_report("golden");
}
