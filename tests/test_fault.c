/* test_fault.c - every allocation and every call to the device fails once.
 *
 * A scenario is a store (a base image, opened) and steps of one call each. Run without
 * faults it tells the visible state after each call. Then it is run again for
 * each allocation that it makes, failing once and failing from then on, and for
 * each device call in each mode that fits it (fault.h): error once, error from
 * then on, device full, torn, sync failed with the unsynced bytes gone.
 *
 * After each run: the call that failed changed nothing that the handle shows;
 * a failed allocation, read or growth leaves a handle on which the same call
 * then works; nothing leaks, no promise is broken; and what is on the device,
 * with and without its unsynced bytes, opens to a state of the scenario that
 * holds every acknowledged change; its backups restore to what they must.
 *
 * Opening, also after a crash and a torn log, restoring and closing are
 * scenarios like any other. */
#define DYNBACKUP_IMPLEMENTATION
#include "../dynbackup.h"

#include "history.h"

#define STEPS_MAX 60u
#define BACKUPS_MAX 24u

typedef enum base_kind {
    BASE_NOTHING,
    BASE_CLOSED,
    BASE_CRASHED,
    BASE_TORN,
    BASE_PAST, /* closed; see make_past */
    BASE_COUNT
} base_kind;

typedef struct image {
    uint8_t *bytes;
    uint64_t size_bytes;
} image;

typedef struct fixture {
    const struct scenario *scenario;
    dynb *db;
    fault_device device;
    fault_allocator memory;
    kit_clock clock;
    check_random ids;
    dynb_builder builder, key, batch[4];
    dynb_result result, other;
    char ready[DYNB_ARN_MAX + 1], late[DYNB_ARN_MAX + 1], fresh[DYNB_ARN_MAX + 1];
    uint64_t then_ms; /* a time of Alpha's past; 0: it has none */
    int wrong; /* a call said OK, but its answer was not right */
} fixture;

typedef dynb_rc act_fn(fixture *f, uint32_t step);

typedef enum scenario_flags {
    OPENS = 1,    /* the first step opens the store */
    CLOSES = 2,   /* the last step closes it */
    BUFFERED = 4, /* durability; else SYNCED */
    HELPS = 8,    /* writes do the work; else manual_work */
    IN_MEMORY = 16, /* the device is memory, too: it is full when there is none */
    TIDIES = 32 /* work that fails may have taken backups away before */
} scenario_flags;

typedef struct scenario {
    const char *name;
    base_kind base;
    unsigned flags;
    uint32_t steps;
    act_fn *act;
    act_fn *prepare; /* NULL: nothing; runs without faults */
} scenario;

static image bases[BASE_COUNT];
static uint64_t then_of_past_ms; /* see make_past */

#define TRY(call)                    \
    do {                             \
        dynb_rc try_rc = (call);     \
        if (try_rc != DYNB_OK)       \
            return try_rc;           \
    } while (0)

#define RIGHT(f, condition) ((condition) ? (void)0 : wrong_answer((f), __LINE__, #condition))

static void wrong_answer(fixture *f, int line, const char *text)
{
    if (!f->wrong)
        printf("%s: line %d: wrong answer: %s\n", f->scenario ? f->scenario->name : "base", line,
               text);
    f->wrong = 1;
}

/* ------------------------------------------------------------ building -- */

static dynb_rc make_item(fixture *f, dynb_builder *builder, const char *id, int n, int v,
                         size_t pad_bytes, dynb_item *item)
{
    static uint8_t pad[60000];
    (void)f;
    dynb_builder_begin(builder);
    dynb_add_string(builder, "Id", id, (size_t)-1);
    if (n >= 0)
        dynb_add_int(builder, "n", n);
    if (v >= 0) {
        dynb_add_int(builder, "v", v);
        memset(pad, v & 0xff, pad_bytes);
        dynb_add_binary(builder, "pad", pad, pad_bytes);
    }
    return dynb_builder_finish(builder, item, &kit_err);
}

static dynb_rc put(fixture *f, const char *table, const char *id, int n, int v, size_t pad_bytes)
{
    dynb_item item;
    TRY(make_item(f, &f->builder, id, n, v, pad_bytes, &item));
    return dynb_put_item(f->db, table, item, NULL, NULL, NULL, &kit_err);
}

static dynb_rc put_many(fixture *f, const char *table, int from, int to, int v, size_t pad_bytes)
{
    char id[16];
    int i;
    for (i = from; i < to; ++i) {
        snprintf(id, sizeof id, "i%03d", i);
        TRY(put(f, table, id, strcmp(table, "Beta") == 0 ? i : -1, v + i, pad_bytes));
    }
    return DYNB_OK;
}

static dynb_rc get(fixture *f, const char *table, const char *id, int n, int64_t expected)
{
    dynb_item key, found;
    int64_t v = -1;
    TRY(make_item(f, &f->key, id, n, -1, 0, &key));
    TRY(dynb_get_item(f->db, table, key, &found, &f->result, &kit_err));
    if (found.bytes)
        (void)dynb_value_int(dynb_item_get(found, "v"), &v);
    RIGHT(f, v == expected);
    return DYNB_OK;
}

static dynb_rc backup(fixture *f, const char *table, const char *name)
{
    dynb_backup_description about;
    TRY(dynb_create_backup(f->db, table, name, &about, &f->result, &kit_err));
    snprintf(f->fresh, sizeof f->fresh, "%s", about.backup_arn);
    RIGHT(f, strcmp(about.backup_name, name) == 0);
    return DYNB_OK;
}

static dynb_rc restore(fixture *f, const char *arn, const char *target)
{
    dynb_restore_input input;
    dynb_table_description about;
    memset(&input, 0, sizeof input);
    input.target_table_name = target;
    input.backup_arn = arn;
    TRY(dynb_restore_table_from_backup(f->db, &input, &about, &f->result, &kit_err));
    RIGHT(f, strcmp(about.table_name, target) == 0);
    return DYNB_OK;
}

/* --------------------------------------------------------- the scenarios -- */

static dynb_rc open_store(fixture *f)
{
    dynb_device device = fault_device_of(&f->device);
    dynb_config config;
    uint64_t closed = f->device.close_count;
    dynb_rc rc;
    memset(&config, 0, sizeof config);
    config.device = &device;
    config.allocator = fault_allocator_of(&f->memory);
    config.clock_fn = kit_clock_now;
    config.clock_ctx = &f->clock;
    config.random_fn = kit_random64;
    config.random_ctx = &f->ids;
    config.memory_bytes = 256 * 1024;
    config.page_size_bytes = 512;
    config.node_size_bytes = 512;
    config.log_segment_bytes = 8192;
    config.create_backup_per_second = DYNB_UNLIMITED;
    config.durability = f->scenario && f->scenario->flags & BUFFERED ? DYNB_BUFFERED : DYNB_SYNCED;
    config.manual_work = !(f->scenario && f->scenario->flags & HELPS);
    rc = dynb_open(&f->db, NULL, &config, &kit_err);
    RIGHT(f, (f->db != NULL) == (rc == DYNB_OK));
    RIGHT(f, f->device.close_count == closed + (rc != DYNB_OK));
    return rc;
}

static dynb_rc do_open(fixture *f, uint32_t step)
{
    if (step == 0)
        return open_store(f);
    return step == 1 ? kit_create_table(f->db, "First", NULL) : put(f, "First", "a", -1, 1, 10);
}

static dynb_rc do_open_and_use(fixture *f, uint32_t step)
{
    switch (step) {
    case 0: return open_store(f);
    case 1: return put(f, "Alpha", "after-recovery", -1, 5, 20);
    case 2: return dynb_wait_idle(f->db, &kit_err);
    default: return restore(f, f->ready, "Restored");
    }
}

static dynb_rc do_create_table(fixture *f, uint32_t step)
{
    dynb_create_table_input input;
    dynb_table_description about;
    dynb_tag tags[2];
    if (step == 0)
        return kit_create_table(f->db, "Delta", "n");
    memset(&input, 0, sizeof input);
    input.table_name = "Epsilon";
    input.partition_key.name = "Id";
    input.partition_key.type = DYNB_S;
    tags[0].key = "team";
    tags[0].value = "blue";
    tags[1].key = "cost";
    tags[1].value = "";
    input.tags = tags;
    input.tag_count = 2;
    TRY(dynb_create_table(f->db, &input, &about, &f->result, &kit_err));
    RIGHT(f, about.status == DYNB_TABLE_CREATING && strcmp(about.table_name, "Epsilon") == 0);
    return DYNB_OK;
}

static dynb_rc do_describe_table(fixture *f, uint32_t step)
{
    dynb_table_description about;
    (void)step;
    TRY(dynb_describe_table(f->db, "Beta", &about, &f->result, &kit_err));
    RIGHT(f, about.sort_key.name && strcmp(about.sort_key.name, "n") == 0);
    return DYNB_OK;
}

static dynb_rc do_list_tables(fixture *f, uint32_t step)
{
    dynb_table_list list;
    TRY(dynb_list_tables(f->db, NULL, step, &list, &f->result, &kit_err));
    RIGHT(f, list.count == (step ? 1u : 3u) && strcmp(list.table_names[0], "Alpha") == 0);
    return DYNB_OK;
}

static dynb_rc do_update_table(fixture *f, uint32_t step)
{
    dynb_update_table_input input;
    dynb_table_description about;
    memset(&input, 0, sizeof input);
    input.table = "Alpha";
    if (step == 0) {
        input.change = DYNB_CHANGE_BILLING;
        input.settings.billing_mode = DYNB_PROVISIONED;
        input.settings.provisioned.read_units = 7;
        input.settings.provisioned.write_units = 3;
    } else {
        input.change = DYNB_CHANGE_DELETION_PROTECTION;
        input.settings.deletion_protection = 1;
    }
    return dynb_update_table(f->db, &input, step ? &about : NULL, step ? &f->result : NULL,
                             &kit_err);
}

static dynb_rc do_delete_table(fixture *f, uint32_t step)
{
    dynb_table_description about;
    if (step)
        return dynb_delete_table(f->db, "Beta", NULL, NULL, &kit_err);
    TRY(dynb_delete_table(f->db, "Alpha", &about, &f->result, &kit_err));
    RIGHT(f, about.status == DYNB_TABLE_DELETING);
    return DYNB_OK;
}

static dynb_rc do_delete_table_in_backup(fixture *f, uint32_t step)
{
    switch (step) {
    case 0: return put_many(f, "Alpha", 4, 5, 900, 30);
    case 1: return backup(f, "Alpha", "last");
    case 2: return dynb_delete_table(f->db, "Alpha", NULL, NULL, &kit_err);
    case 3: return dynb_wait_idle(f->db, &kit_err);
    default: return restore(f, f->fresh, "Alpha");
    }
}

static dynb_rc do_time_to_live(fixture *f, uint32_t step)
{
    (void)step;
    return dynb_update_time_to_live(f->db, "Alpha", "expires", &kit_err);
}

static dynb_rc do_tags(fixture *f, uint32_t step)
{
    static const char *const keys[] = {"a"};
    const dynb_tag *found;
    dynb_tag tags[2];
    uint32_t count;
    tags[0].key = "a";
    tags[0].value = "1";
    tags[1].key = "b";
    tags[1].value = "2";
    if (step == 0)
        return dynb_tag_resource(f->db, "Alpha", tags, 2, &kit_err);
    if (step == 1)
        return dynb_untag_resource(f->db, HISTORY_ARN "Alpha", keys, 1, &kit_err);
    TRY(dynb_list_tags_of_resource(f->db, "Alpha", &found, &count, &f->result, &kit_err));
    RIGHT(f, count == 1 && strcmp(found[0].key, "b") == 0);
    return DYNB_OK;
}

static dynb_rc do_put(fixture *f, uint32_t step)
{
    return step ? put(f, "Alpha", "i003", -1, 77, 10) : put(f, "Alpha", "new", -1, 76, 10);
}

static dynb_rc do_put_return_old(fixture *f, uint32_t step)
{
    dynb_write_options options;
    dynb_item item, old;
    memset(&options, 0, sizeof options);
    options.return_old = 1;
    TRY(make_item(f, &f->builder, step ? "new" : "i007", -1, 88, 20, &item));
    TRY(dynb_put_item(f->db, "Alpha", item, &options, &old, &f->result, &kit_err));
    RIGHT(f, (old.bytes != NULL) == (step == 0));
    return DYNB_OK;
}

static dynb_rc do_put_big(fixture *f, uint32_t step)
{
    return put(f, "Alpha", step ? "i001" : "big", -1, 5, 9000);
}

/* Many more changes than one generation of this memory holds. */
static dynb_rc do_load(fixture *f, uint32_t step)
{
    return put_many(f, step % 3 ? "Beta" : "Alpha", (int)step, (int)step + 1, (int)step * 1000,
                    1500);
}

static dynb_rc do_load_one(fixture *f, uint32_t step)
{
    return put(f, "Gamma", "x", -1, (int)step, 2500);
}

static dynb_rc do_gets(fixture *f, uint32_t step)
{
    switch (step) {
    case 0: return get(f, "Alpha", "i001", -1, 501); /* changed since the snapshot */
    case 1: return get(f, "Alpha", "i030", -1, 130); /* not changed */
    case 2: return get(f, "Beta", "i010", 10, 210);
    default: return get(f, "Alpha", "none", -1, -1);
    }
}

static dynb_rc do_delete(fixture *f, uint32_t step)
{
    dynb_write_options options;
    dynb_item key, old;
    TRY(make_item(f, &f->key, step ? "i002" : "i035", -1, -1, 0, &key));
    memset(&options, 0, sizeof options);
    if (step == 0)
        return dynb_delete_item(f->db, "Alpha", key, NULL, NULL, NULL, &kit_err);
    options.return_old = 1;
    TRY(dynb_delete_item(f->db, "Alpha", key, &options, &old, &f->result, &kit_err));
    RIGHT(f, old.bytes != NULL);
    return DYNB_OK;
}

static dynb_rc do_batch(fixture *f, uint32_t step)
{
    static const char *const ids[] = {"i001", "new-a", "i004", "new-b"};
    dynb_write writes[4];
    uint32_t i;
    memset(writes, 0, sizeof writes);
    for (i = 0; i < 4; ++i) {
        int beta = i % 2 == 1 && step == 1;
        writes[i].table = beta ? "Beta" : "Alpha";
        writes[i].is_delete = i == 2;
        TRY(make_item(f, &f->batch[i], ids[i], beta ? 3 : -1, i == 2 ? -1 : (int)(step * 10 + i),
                      15, &writes[i].item));
    }
    return dynb_batch_write(f->db, writes, 4, NULL, &kit_err);
}

static dynb_rc do_query(fixture *f, uint32_t step)
{
    dynb_query_input input;
    dynb_page page;
    dynb_item item;
    memset(&input, 0, sizeof input);
    TRY(make_item(f, &f->key, "many", 25, -1, 0, &item));
    input.table = "Beta";
    input.partition_key = dynb_item_get(item, "Id");
    input.condition = step == 1 ? DYNB_SORT_GE : DYNB_SORT_ANY;
    input.sort_from = dynb_item_get(item, "n");
    input.descending = step == 2;
    input.limit = step == 2 ? 4 : 0;
    TRY(dynb_query(f->db, &input, &page, &f->result, &kit_err));
    RIGHT(f, page.count == (step == 0 ? 40u : step == 1 ? 15u : 4u));
    return DYNB_OK;
}

static dynb_rc do_scan(fixture *f, uint32_t step)
{
    dynb_scan_input input;
    dynb_page page;
    memset(&input, 0, sizeof input);
    input.table = "Alpha";
    input.segment = step ? 1 : 0;
    input.total_segments = step ? 3 : 0;
    TRY(dynb_scan(f->db, &input, &page, &f->result, &kit_err));
    RIGHT(f, step ? page.count < 40 : page.count == 40);
    return DYNB_OK;
}

static dynb_rc do_create_backup(fixture *f, uint32_t step)
{
    switch (step) {
    case 0: return backup(f, "Alpha", "one");
    case 1: return put(f, "Alpha", "i000", -1, 1234, 5);
    case 2: return dynb_create_backup(f->db, "Alpha", "two", NULL, NULL, &kit_err);
    default: return dynb_create_backup(f->db, HISTORY_ARN "Gamma", "empty", NULL, NULL, &kit_err);
    }
}

static dynb_rc do_create_backups(fixture *f, uint32_t step)
{
    static const char *const tables[] = {"Alpha", "Beta", "Gamma"};
    dynb_backup_description about[3];
    if (step)
        return dynb_create_backups(f->db, tables, 2, "pair", NULL, NULL, &kit_err);
    TRY(dynb_create_backups(f->db, tables, 3, "triple", about, &f->result, &kit_err));
    RIGHT(f, about[0].lsn == about[2].lsn && strcmp(about[1].backup_name, "triple") == 0);
    return DYNB_OK;
}

static dynb_rc do_describe_backup(fixture *f, uint32_t step)
{
    dynb_backup_description about;
    (void)step;
    TRY(dynb_describe_backup(f->db, f->ready, &about, &f->result, &kit_err));
    RIGHT(f, strcmp(about.backup_arn, f->ready) == 0);
    return DYNB_OK;
}

static dynb_rc do_list_backups(fixture *f, uint32_t step)
{
    dynb_list_backups_input input;
    dynb_backup_list list;
    memset(&input, 0, sizeof input);
    input.table = step == 1 ? "Alpha" : NULL;
    input.limit = step == 2 ? 1 : 0;
    TRY(dynb_list_backups(f->db, &input, &list, &f->result, &kit_err));
    RIGHT(f, list.count >= 1);
    return DYNB_OK;
}

static dynb_rc do_delete_backup(fixture *f, uint32_t step)
{
    dynb_backup_description about;
    if (step)
        return dynb_wait_idle(f->db, &kit_err);
    TRY(dynb_delete_backup(f->db, f->ready, &about, &f->result, &kit_err));
    RIGHT(f, about.status == DYNB_BACKUP_DELETED);
    return DYNB_OK;
}

static dynb_rc do_restore(fixture *f, uint32_t step)
{
    switch (step) {
    case 0: return restore(f, f->ready, "Restored");
    case 1: return get(f, "Restored", "i001", -1, 101);
    case 2: return put(f, "Restored", "i001", -1, 999, 9);
    case 3: return dynb_wait_idle(f->db, &kit_err);
    default: return get(f, "Restored", "i001", -1, 999);
    }
}

static dynb_rc do_late_backup(fixture *f, uint32_t step)
{
    return step ? restore(f, f->late, "Late") : dynb_wait_idle(f->db, &kit_err);
}

static dynb_rc do_work(fixture *f, uint32_t step)
{
    int pending;
    (void)step;
    do
        TRY(dynb_work(f->db, 700, &pending, &kit_err));
    while (pending);
    return DYNB_OK;
}

static dynb_rc do_wait_idle(fixture *f, uint32_t step)
{
    (void)step;
    return dynb_wait_idle(f->db, &kit_err);
}

static dynb_rc do_sync(fixture *f, uint32_t step)
{
    return step % 2 ? dynb_sync(f->db, &kit_err) : put(f, "Alpha", "i005", -1, (int)step, 50);
}

static dynb_rc do_check(fixture *f, uint32_t step)
{
    dynb_check_report report;
    if (step)
        return dynb_check(f->db, NULL, NULL, NULL, &kit_err);
    TRY(dynb_check(f->db, &report, NULL, NULL, &kit_err));
    RIGHT(f, report.tables_count == 3 && report.problems_count == 0);
    return DYNB_OK;
}

static dynb_rc do_check_past(fixture *f, uint32_t step)
{
    (void)step;
    return dynb_check(f->db, NULL, NULL, NULL, &kit_err);
}

static dynb_rc do_scrub(fixture *f, uint32_t step)
{
    (void)step;
    return dynb_scrub(f->db, &kit_err);
}

static int count_record(void *ctx, const dynb_log_record *record)
{
    *(uint64_t *)ctx += record->change_count + 1;
    return 0;
}

static int count_node(void *ctx, const dynb_node_info *node)
{
    *(uint64_t *)ctx += node->page_count;
    return 0;
}

static dynb_rc do_inspect(fixture *f, uint32_t step)
{
    uint64_t count = 0;
    if (step == 0)
        return dynb_inspect_log(f->db, count_record, &count, &kit_err);
    TRY(dynb_inspect_nodes(f->db, step == 1 ? "Alpha" : f->ready, count_node, &count, &kit_err));
    RIGHT(f, count > 0);
    return DYNB_OK;
}

static dynb_rc do_stat(fixture *f, uint32_t step)
{
    dynb_stat stat;
    (void)step;
    TRY(dynb_get_stat(f->db, &stat, &kit_err));
    RIGHT(f, stat.table_count == 3 && stat.page_size_bytes == 512);
    return DYNB_OK;
}

static dynb_rc do_close(fixture *f, uint32_t step)
{
    dynb *db = f->db;
    if (step == 0)
        return put_many(f, "Alpha", 2, 3, 700, 40);
    f->db = NULL;
    return dynb_close(db, &kit_err);
}

static dynb_rc do_json(fixture *f, uint32_t step)
{
    static const char text[] = "{\"Id\":{\"S\":\"json\"},\"l\":{\"L\":[{\"N\":\"1\"},{\"M\":{}}]},"
                               "\"s\":{\"NS\":[\"3\",\"2\",\"1\"]}}";
    const char *json;
    size_t length;
    dynb_item item;
    TRY(dynb_item_from_json(&f->builder, text, sizeof text - 1, &item, &kit_err));
    TRY(dynb_item_to_json(item, &f->other, &json, &length, &kit_err));
    RIGHT(f, strstr(json, "[\"1\",\"2\",\"3\"]") != NULL && strlen(json) == length);
    return step ? dynb_put_item(f->db, "Alpha", item, NULL, NULL, NULL, &kit_err) : DYNB_OK;
}

static dynb_rc change_index(fixture *f, dynb_index_action action)
{
    dynb_update_table_input input;
    dynb_index_update update;
    dynb_table_description about;
    memset(&input, 0, sizeof input);
    memset(&update, 0, sizeof update);
    input.table = "Alpha";
    input.change = DYNB_CHANGE_INDEXES;
    input.index_updates = &update;
    input.index_update_count = 1;
    update.action = action;
    update.index.index_name = "online";
    history_index_key(&update.index.partition_key, "v", DYNB_N);
    TRY(dynb_update_table(f->db, &input, &about, &f->result, &kit_err));
    RIGHT(f, about.global_index_count == 1);
    return DYNB_OK;
}

static dynb_rc query_index(fixture *f, const char *table, const char *index, int v,
                           uint32_t expected)
{
    dynb_query_input input;
    dynb_page page;
    dynb_item item;
    memset(&input, 0, sizeof input);
    input.table = table;
    input.index_name = index;
    dynb_builder_begin(&f->key);
    dynb_add_int(&f->key, "v", v);
    TRY(dynb_builder_finish(&f->key, &item, &kit_err));
    input.partition_key = dynb_item_get(item, "v");
    TRY(dynb_query(f->db, &input, &page, &f->result, &kit_err));
    RIGHT(f, page.count == expected);
    return DYNB_OK;
}

/* A table with indexes from its creation on. */
static dynb_rc do_indexed(fixture *f, uint32_t step)
{
    dynb_create_table_input input;
    dynb_index globals[2];
    dynb_write writes[3];
    dynb_item item, other;
    uint32_t i;
    switch (step) {
    case 0:
        memset(&input, 0, sizeof input);
        memset(globals, 0, sizeof globals);
        input.table_name = "Indexed";
        history_index_key(&input.partition_key, "Id", DYNB_S);
        globals[0].index_name = "wide";
        history_index_key(&globals[0].partition_key, "v", DYNB_N);
        globals[1].index_name = "keys";
        history_index_key(&globals[1].partition_key, "v", DYNB_N);
        globals[1].projection = DYNB_PROJECT_KEYS_ONLY;
        input.global_indexes = globals;
        input.global_index_count = 2;
        return dynb_create_table(f->db, &input, NULL, NULL, &kit_err);
    case 1: return put(f, "Indexed", "a", -1, 7, 30);
    case 2: return put(f, "Indexed", "a", -1, 8, 30);
    case 3:
        TRY(make_item(f, &f->builder, "b", -1, 8, 20, &item));
        TRY(make_item(f, &f->key, "a", -1, -1, 0, &other));
        for (i = 0; i < 2; ++i) {
            writes[i].table = "Indexed";
            writes[i].item = i ? other : item;
            writes[i].is_delete = (int)i;
        }
        return dynb_batch_write(f->db, writes, 2, NULL, &kit_err);
    case 4: return query_index(f, "Indexed", "keys", 8, 1);
    case 5: return backup(f, "Indexed", "indexed");
    case 6: return dynb_wait_idle(f->db, &kit_err);
    default: return query_index(f, "Indexed", "wide", 7, 0);
    }
}

/* Adds an index to a table with items, and removes it again. */
static dynb_rc do_online_index(fixture *f, uint32_t step)
{
    switch (step) {
    case 0: return change_index(f, DYNB_CREATE_INDEX);
    case 1: return put(f, "Alpha", "i001", -1, 70007, 30);
    case 2: return dynb_wait_idle(f->db, &kit_err);
    case 3: return query_index(f, "Alpha", "online", 70007, 1);
    case 4: return change_index(f, DYNB_DELETE_INDEX);
    default: return dynb_wait_idle(f->db, &kit_err);
    }
}

static dynb_rc switch_recovery(fixture *f, const char *table, int on)
{
    dynb_update_continuous_backups_input input;
    dynb_continuous_backups about;
    memset(&input, 0, sizeof input);
    input.table = table;
    input.point_in_time_recovery = on;
    TRY(dynb_update_continuous_backups(f->db, &input, &about, &kit_err));
    RIGHT(f, about.recovery_is_enabled == on);
    return DYNB_OK;
}

static dynb_rc restore_to(fixture *f, const char *source, const char *target, uint64_t time_ms)
{
    dynb_restore_to_time_input input;
    dynb_table_description about;
    memset(&input, 0, sizeof input);
    input.source_table_name = source;
    input.target_table_name = target;
    input.use_latest_time = time_ms == 0;
    input.use_restore_time = time_ms != 0;
    input.restore_time_ms = time_ms;
    TRY(dynb_restore_table_to_point_in_time(f->db, &input, &about, &f->result, &kit_err));
    RIGHT(f, about.restoring && strcmp(about.table_name, target) == 0);
    return DYNB_OK;
}

static dynb_rc get_at(fixture *f, const dynb_source *source, const char *id, int64_t expected)
{
    dynb_item key, found;
    int64_t v = -1;
    TRY(make_item(f, &f->key, id, -1, -1, 0, &key));
    TRY(dynb_get_item_at(f->db, source, key, &found, &f->result, &kit_err));
    if (found.bytes)
        (void)dynb_value_int(dynb_item_get(found, "v"), &v);
    RIGHT(f, v == expected);
    return DYNB_OK;
}

/* Recovery comes, shrinks nothing, and goes. */
static dynb_rc do_recovery(fixture *f, uint32_t step)
{
    switch (step) {
    case 0: return switch_recovery(f, "Alpha", 1);
    case 1: return put(f, "Alpha", "i003", -1, 900, 60);
    case 2: return dynb_wait_idle(f->db, &kit_err);
    case 3: return switch_recovery(f, "Alpha", 0);
    default: return dynb_wait_idle(f->db, &kit_err);
    }
}

static dynb_rc do_restore_to_time(fixture *f, uint32_t step)
{
    switch (step) {
    case 0: return restore_to(f, "Alpha", "Then", f->then_ms);
    case 1: return get(f, "Then", "i002", -1, 3002);
    case 2: return restore_to(f, "Alpha", "Latest", 0);
    case 3: return get(f, "Latest", "i002", -1, 5002);
    case 4: return put(f, "Then", "i002", -1, 1, 30);
    case 5: return dynb_wait_idle(f->db, &kit_err);
    default: return get(f, "Then", "i002", -1, 1);
    }
}

/* Indexes are filled after the restore; a backup of before has them, too. */
static dynb_rc do_restore_indexed(fixture *f, uint32_t step)
{
    switch (step) {
    case 0: return restore_to(f, "Indexed", "Then", 0);
    case 1: return backup(f, "Then", "unfilled");
    case 2: return restore(f, f->fresh, "Again");
    case 3: return put(f, "Again", "i001", -1, 7, 30);
    case 4: return backup(f, "Again", "in-between");
    case 5: return dynb_wait_idle(f->db, &kit_err);
    case 6: return query_index(f, "Then", "wide", 9001, 1);
    case 7: return query_index(f, "Again", "keys", 7, 1);
    default: return query_index(f, "Again", "wide", 9002, 1);
    }
}

static dynb_rc do_read_at(fixture *f, uint32_t step)
{
    dynb_scan_input scan;
    dynb_source source;
    dynb_page page;
    memset(&source, 0, sizeof source);
    memset(&scan, 0, sizeof scan);
    if (step == 2) {
        source.backup_arn = f->ready;
        return get_at(f, &source, "i002", 102);
    }
    if (step == 3) {
        scan.backup_arn = f->ready;
    } else {
        source.table = scan.table = "Alpha";
        source.use_time = scan.use_time = 1;
        source.time_ms = scan.time_ms = f->then_ms;
    }
    if (step == 0)
        return get_at(f, &source, "i002", 3002);
    TRY(dynb_scan(f->db, &scan, &page, &f->result, &kit_err));
    RIGHT(f, page.count == 40);
    return DYNB_OK;
}

/* Two times; a backup and the live table; pages of few. */
static dynb_rc do_compare(fixture *f, uint32_t step)
{
    dynb_compare_input input;
    dynb_difference_page page;
    memset(&input, 0, sizeof input);
    if (step == 1) {
        input.from.backup_arn = f->ready;
    } else {
        input.from.table = "Alpha";
        input.from.use_time = 1;
        input.from.time_ms = f->then_ms;
    }
    input.to.table = "Alpha";
    input.limit = step == 2 ? 3 : 0;
    TRY(dynb_compare(f->db, &input, &page, &f->result, &kit_err));
    RIGHT(f, page.count == (step == 2 ? 3u : 30u));
    return DYNB_OK;
}

static dynb_rc find_system_backup(fixture *f, const char *table, uint32_t expected)
{
    dynb_list_backups_input input;
    dynb_backup_list list;
    memset(&input, 0, sizeof input);
    input.table = table;
    input.type = DYNB_LIST_SYSTEM;
    TRY(dynb_list_backups(f->db, &input, &list, &f->result, &kit_err));
    RIGHT(f, list.count == expected);
    if (list.count)
        snprintf(f->fresh, sizeof f->fresh, "%s", list.backups[0].backup_arn);
    return DYNB_OK;
}

/* A table with recovery leaves a backup, which is restored and then expires. */
static dynb_rc do_system_backup(fixture *f, uint32_t step)
{
    switch (step) {
    case 0: return dynb_delete_table(f->db, "Alpha", NULL, NULL, &kit_err);
    case 1: return find_system_backup(f, "Alpha", 1);
    case 2: return dynb_wait_idle(f->db, &kit_err);
    case 3: return restore(f, f->fresh, "Alpha");
    case 4: return get(f, "Alpha", "i002", -1, 5002);
    case 5: return dynb_delete_table(f->db, "Indexed", NULL, NULL, &kit_err);
    case 6: return find_system_backup(f, "Indexed", 1);
    case 7: return dynb_wait_idle(f->db, &kit_err);
    default: return restore(f, f->fresh, "Indexed");
    }
}

static dynb_rc do_expire(fixture *f, uint32_t step)
{
    f->clock.now_ms = 1700000000000u + (uint64_t)36 * 86400000;
    return step ? find_system_backup(f, "Alpha", 0) : dynb_wait_idle(f->db, &kit_err);
}

/* All that the window has left behind goes. */
static dynb_rc do_slide(fixture *f, uint32_t step)
{
    f->clock.now_ms = 1700000000000u + (uint64_t)(step + 30) * 86400000;
    return step % 2 ? dynb_wait_idle(f->db, &kit_err)
                    : put(f, "Alpha", "i003", -1, 900 + (int)step, 60);
}

static dynb_rc do_retention(fixture *f, uint32_t step)
{
    dynb_backup_retention rule;
    if (step)
        return dynb_wait_idle(f->db, &kit_err);
    memset(&rule, 0, sizeof rule);
    rule.keep_last = 1;
    return dynb_update_backup_retention(f->db, "Alpha", &rule, &kit_err);
}

static dynb_rc do_restore_set(fixture *f, uint32_t step)
{
    dynb_restore_input inputs[2];
    dynb_table_description about[2];
    memset(inputs, 0, sizeof inputs);
    if (step)
        return get(f, "Second", "i001", -1, 101);
    inputs[0].target_table_name = "First";
    inputs[1].target_table_name = "Second";
    inputs[0].backup_arn = inputs[1].backup_arn = f->ready;
    inputs[1].overrides.override = DYNB_OVERRIDE_BILLING_MODE | DYNB_OVERRIDE_PROVISIONED;
    inputs[1].overrides.billing_mode = DYNB_PROVISIONED;
    inputs[1].overrides.provisioned.read_units = inputs[1].overrides.provisioned.write_units = 5;
    TRY(dynb_restore_tables_from_backups(f->db, inputs, 2, about, &f->result, &kit_err));
    RIGHT(f, about[1].settings.provisioned.read_units == 5);
    return DYNB_OK;
}

/* Requests as they come over the wire. */
static dynb_rc do_call(fixture *f, uint32_t step)
{
    static const struct {
        const char *operation, *json, *answer;
    } calls[] = {
        {"CreateTable",
         "{\"TableName\":\"Wired\",\"AttributeDefinitions\":[{\"AttributeName\":\"Id\","
         "\"AttributeType\":\"S\"},{\"AttributeName\":\"v\",\"AttributeType\":\"N\"}],"
         "\"KeySchema\":[{\"AttributeName\":\"Id\",\"KeyType\":\"HASH\"}],\"BillingMode\":"
         "\"PAY_PER_REQUEST\",\"GlobalSecondaryIndexes\":[{\"IndexName\":\"by-v\","
         "\"KeySchema\":[{\"AttributeName\":\"v\",\"KeyType\":\"HASH\"}],"
         "\"Projection\":{\"ProjectionType\":\"ALL\"}}]}", "\"CREATING\""},
        {"PutItem", "{\"TableName\":\"Wired\",\"Item\":{\"Id\":{\"S\":\"a\"},"
                    "\"v\":{\"N\":\"1\"}}}", "{}"},
        {"UpdateContinuousBackups",
         "{\"TableName\":\"Wired\",\"PointInTimeRecoverySpecification\":"
         "{\"PointInTimeRecoveryEnabled\":true}}", "\"ENABLED\""},
        {"PutItem", "{\"TableName\":\"Wired\",\"Item\":{\"Id\":{\"S\":\"a\"},"
                    "\"v\":{\"N\":\"2\"}},\"ReturnValues\":\"ALL_OLD\"}",
         "\"v\":{\"N\":\"1\"}"},
        {"BatchWriteItem", "{\"RequestItems\":{\"Wired\":[{\"PutRequest\":{\"Item\":{\"Id\":"
                           "{\"S\":\"b\"},\"v\":{\"N\":\"2\"}}}},{\"DeleteRequest\":{\"Key\":"
                           "{\"Id\":{\"S\":\"c\"}}}}]}}", "UnprocessedItems"},
        {"Query", "{\"TableName\":\"Wired\",\"IndexName\":\"by-v\",\"KeyConditionExpression\":"
                  "\"v = :v\",\"ExpressionAttributeValues\":{\":v\":{\"N\":\"2\"}}}",
         "\"Count\":2"},
        {"CreateBackup", "{\"TableName\":\"Wired\",\"BackupName\":\"wired\"}", "\"USER\""},
        {"RestoreTableToPointInTime", "{\"SourceTableName\":\"Wired\",\"TargetTableName\":"
                                      "\"Past\",\"UseLatestRestorableTime\":true}",
         "RestoreInProgress"},
        {"DeleteTable", "{\"TableName\":\"Wired\"}", "\"DELETING\""},
        {"ListBackups", "{\"BackupType\":\"ALL\"}", "$DeletedTableBackup"},
    };
    dynb_response response;
    TRY(dynb_call(f->db, calls[step].operation, calls[step].json, strlen(calls[step].json),
                  &f->result, &response, &kit_err));
    RIGHT(f, response.http_status == 200 && strstr(response.body, calls[step].answer));
    return DYNB_OK;
}

/* A store of its own, in memory, from creation to close. */
static dynb_rc do_ram_device(fixture *f, uint32_t step)
{
    dynb_allocator allocator = fault_allocator_of(&f->memory);
    dynb_config config;
    dynb_device device;
    dynb_rc rc;
    dynb *db;
    memset(&config, 0, sizeof config);
    config.allocator = allocator;
    config.memory_bytes = CHECK_MEMORY_MIN;
    config.clock_fn = kit_clock_now;
    config.clock_ctx = &f->clock;
    if (step) {
        TRY(dynb_ram_device_open(&device, 65536, 1, &allocator, &kit_err));
        config.device = &device;
        config.page_size_bytes = 512;
    }
    TRY(dynb_open(&db, NULL, &config, &kit_err));
    rc = kit_create_table(db, "Own", NULL);
    if (rc == DYNB_OK)
        return dynb_close(db, &kit_err);
    (void)dynb_close(db, NULL);
    return rc;
}

/* Gives the steps after it several runs, and pages freed in between. */
static dynb_rc prepare_runs(fixture *f, uint32_t step)
{
    int round;
    (void)step;
    for (round = 0; round < 3; ++round) {
        TRY(put_many(f, "Alpha", round * 3, round * 3 + 9, 100 * round, 30));
        TRY(backup(f, "Alpha", round ? "round-n" : "round-0"));
        TRY(dynb_wait_idle(f->db, &kit_err));
    }
    return put_many(f, "Alpha", 3, 6, 5000, 20);
}

static dynb_rc prepare_changes(fixture *f, uint32_t step)
{
    (void)step;
    TRY(put_many(f, "Alpha", 0, 30, 300, 100));
    TRY(put_many(f, "Beta", 0, 30, 300, 100));
    return backup(f, "Alpha", "busy");
}

static dynb_rc prepare_expiry(fixture *f, uint32_t step)
{
    (void)step;
    TRY(dynb_delete_table(f->db, "Alpha", NULL, NULL, &kit_err));
    return dynb_wait_idle(f->db, &kit_err);
}

static const scenario scenarios[] = {
    {"create a store", BASE_NOTHING, OPENS, 3, do_open, NULL},
    {"open after close", BASE_CLOSED, OPENS, 4, do_open_and_use, NULL},
    {"open after a crash", BASE_CRASHED, OPENS, 4, do_open_and_use, NULL},
    {"open after a torn write", BASE_TORN, OPENS, 4, do_open_and_use, NULL},
    {"open after a crash, writes help", BASE_CRASHED, OPENS | HELPS, 4, do_open_and_use, NULL},
    {"create tables", BASE_CLOSED, 0, 2, do_create_table, NULL},
    {"describe a table", BASE_CLOSED, 0, 1, do_describe_table, NULL},
    {"list tables", BASE_CLOSED, 0, 2, do_list_tables, NULL},
    {"update a table", BASE_CLOSED, 0, 2, do_update_table, NULL},
    {"delete tables", BASE_CLOSED, 0, 2, do_delete_table, NULL},
    {"delete a table while it is backed up", BASE_CLOSED, 0, 5, do_delete_table_in_backup, NULL},
    {"time to live", BASE_CLOSED, 0, 1, do_time_to_live, NULL},
    {"tags", BASE_CLOSED, 0, 3, do_tags, NULL},
    {"put", BASE_CLOSED, 0, 2, do_put, NULL},
    {"put, buffered", BASE_CLOSED, BUFFERED, 2, do_put, NULL},
    {"put, with several runs", BASE_CLOSED, 0, 2, do_put, prepare_runs},
    {"put, old item wanted", BASE_CLOSED, 0, 2, do_put_return_old, NULL},
    {"put, old item wanted, several runs", BASE_CLOSED, 0, 2, do_put_return_old, prepare_runs},
    {"put big items", BASE_CLOSED, HELPS, 2, do_put_big, NULL},
    {"load, writes help", BASE_CLOSED, HELPS, 60, do_load, NULL},
    {"load buffered, writes help", BASE_CLOSED, HELPS | BUFFERED, 60, do_load, NULL},
    {"load one item at a time", BASE_CLOSED, HELPS, 30, do_load_one, NULL},
    {"get", BASE_CLOSED, 0, 4, do_gets, NULL},
    {"get after a crash", BASE_CRASHED, 0, 4, do_gets, NULL},
    {"delete", BASE_CLOSED, 0, 2, do_delete, NULL},
    {"delete, several runs", BASE_CLOSED, 0, 2, do_delete, prepare_runs},
    {"batch", BASE_CLOSED, 0, 2, do_batch, NULL},
    {"batch, writes help", BASE_CLOSED, HELPS, 2, do_batch, prepare_changes},
    {"query", BASE_CLOSED, 0, 3, do_query, NULL},
    {"query during work", BASE_CLOSED, 0, 3, do_query, prepare_changes},
    {"scan", BASE_CLOSED, 0, 2, do_scan, NULL},
    {"scan, several runs", BASE_CLOSED, 0, 2, do_scan, prepare_runs},
    {"create backups", BASE_CLOSED, 0, 4, do_create_backup, NULL},
    {"create backups, writes help", BASE_CLOSED, HELPS, 4, do_create_backup, prepare_changes},
    {"create backups of several tables", BASE_CLOSED, 0, 2, do_create_backups, NULL},
    {"describe a backup", BASE_CLOSED, 0, 1, do_describe_backup, NULL},
    {"list backups", BASE_CLOSED, 0, 3, do_list_backups, prepare_runs},
    {"delete a backup", BASE_CLOSED, 0, 2, do_delete_backup, NULL},
    {"delete a backup of shared runs", BASE_CLOSED, 0, 2, do_delete_backup, prepare_runs},
    {"restore", BASE_CLOSED, 0, 5, do_restore, NULL},
    {"restore, writes help", BASE_CLOSED, HELPS, 5, do_restore, prepare_changes},
    {"build a backup after a crash", BASE_CRASHED, 0, 2, do_late_backup, NULL},
    {"work in small steps", BASE_CLOSED, 0, 1, do_work, prepare_changes},
    {"work in small steps after a crash", BASE_CRASHED, 0, 1, do_work, NULL},
    {"wait until idle", BASE_CLOSED, 0, 1, do_wait_idle, prepare_changes},
    {"fold several runs", BASE_CLOSED, 0, 1, do_wait_idle, prepare_runs},
    {"sync", BASE_CLOSED, BUFFERED, 4, do_sync, NULL},
    {"check", BASE_CRASHED, 0, 2, do_check, NULL},
    {"scrub", BASE_CRASHED, 0, 1, do_scrub, NULL},
    {"scrub, several runs", BASE_CLOSED, 0, 1, do_scrub, prepare_runs},
    {"inspect", BASE_CLOSED, 0, 3, do_inspect, prepare_runs},
    {"figures", BASE_CLOSED, 0, 1, do_stat, NULL},
    {"close", BASE_CLOSED, CLOSES, 2, do_close, NULL},
    {"close during work", BASE_CLOSED, CLOSES | BUFFERED, 2, do_close, prepare_changes},
    {"JSON", BASE_CLOSED, 0, 2, do_json, NULL},
    {"memory devices", BASE_CLOSED, IN_MEMORY, 2, do_ram_device, NULL},
    {"a table with indexes", BASE_CLOSED, 0, 8, do_indexed, NULL},
    {"a table with indexes, writes help", BASE_CLOSED, HELPS, 8, do_indexed, prepare_changes},
    {"an index comes and goes", BASE_CLOSED, 0, 6, do_online_index, prepare_changes},
    {"an index comes and goes, writes help", BASE_CRASHED, HELPS, 6, do_online_index, NULL},
    {"recovery comes and goes", BASE_CLOSED, 0, 5, do_recovery, prepare_changes},
    {"restore to a time", BASE_PAST, 0, 7, do_restore_to_time, NULL},
    {"restore indexes to a time", BASE_PAST, 0, 9, do_restore_indexed, NULL},
    {"read a time and a backup", BASE_PAST, 0, 4, do_read_at, NULL},
    {"compare", BASE_PAST, 0, 3, do_compare, NULL},
    {"check a past", BASE_PAST, 0, 1, do_check_past, NULL},
    {"SYSTEM backups", BASE_PAST, 0, 9, do_system_backup, NULL},
    {"a SYSTEM backup expires", BASE_PAST, TIDIES, 2, do_expire, prepare_expiry},
    {"the window slides", BASE_PAST, 0, 6, do_slide, NULL},
    {"retention", BASE_CLOSED, TIDIES, 2, do_retention, prepare_runs},
    {"requests as JSON", BASE_CLOSED, 0, 10, do_call, NULL},
    {"restore a set", BASE_CLOSED, 0, 2, do_restore_set, prepare_runs},
};

/* ----------------------------------------------------------- the states -- */

static dynb_rc note_arn(void *ctx, const dynb_backup_description *listed)
{
    fixture *f = (fixture *)ctx;
    if (strcmp(listed->backup_name, "ready") == 0)
        snprintf(f->ready, sizeof f->ready, "%s", listed->backup_arn);
    if (strcmp(listed->backup_name, "late") == 0)
        snprintf(f->late, sizeof f->late, "%s", listed->backup_arn);
    return DYNB_OK;
}

/* The digest and, on top, the recorded settings and tags. */
static dynb_rc digest_of(dynb *db, uint64_t *digest)
{
    dynb_result names, result;
    dynb_table_list list;
    dynb_table_description about;
    const dynb_tag *tags;
    uint32_t i, t, count;
    uint64_t sum;
    dynb_rc rc = model_store_digest(db, digest);
    memset(&names, 0, sizeof names);
    memset(&result, 0, sizeof result);
    if (rc == DYNB_OK)
        rc = dynb_list_tables(db, NULL, 0, &list, &names, &kit_err);
    for (i = 0; rc == DYNB_OK && i < list.count; ++i) {
        rc = dynb_describe_table(db, list.table_names[i], &about, &result, &kit_err);
        if (rc != DYNB_OK)
            break;
        sum = model_text_hash(list.table_names[i]);
        sum = sum * 31 + about.settings.billing_mode + 7 * about.settings.provisioned.read_units +
              11 * about.settings.provisioned.write_units;
        sum = sum * 31 + (uint64_t)about.settings.deletion_protection;
        sum = sum * 31 + about.recovery_period_days + 7 * about.retention.keep_last;
        rc = dynb_list_tags_of_resource(db, list.table_names[i], &tags, &count, &result, &kit_err);
        for (t = 0; rc == DYNB_OK && t < count; ++t)
            sum = sum * 31 + model_text_hash(tags[t].key) * 3 + model_text_hash(tags[t].value);
        *digest += sum * 0x9e3779b97f4a7c15u;
    }
    dynb_result_free(&names);
    dynb_result_free(&result);
    return rc;
}

/* What each backup must restore to, learnt from the run without faults. */
typedef struct expectation {
    uint64_t digests[STEPS_MAX + 1];
    uint64_t names[BACKUPS_MAX], contents[BACKUPS_MAX];
    uint32_t backup_count;
    uint64_t allocations, calls;
    uint8_t *kinds;
} expectation;

typedef struct lister {
    char arns[BACKUPS_MAX][DYNB_ARN_MAX + 1];
    uint64_t names[BACKUPS_MAX];
    uint32_t count;
} lister;

static dynb_rc note_listed(void *ctx, const dynb_backup_description *listed)
{
    lister *l = (lister *)ctx;
    if (l->count == BACKUPS_MAX)
        return DYNB_OK;
    /* the size parts backups of one name */
    l->names[l->count] = model_listed(listed->backup_name, listed->source.table_name);
    snprintf(l->arns[l->count++], DYNB_ARN_MAX + 1, "%s", listed->backup_arn);
    return DYNB_OK;
}

/* Restores all backups. learn: remember what they hold; else compare. */
static dynb_rc judge_backups(dynb *db, expectation *expected, int learn, int *same)
{
    static lister l;
    dynb_result result;
    uint64_t contents;
    uint32_t i, k;
    char ttl[64];
    dynb_rc rc;
    memset(&result, 0, sizeof result);
    l.count = 0;
    *same = 1;
    rc = dynb_wait_idle(db, &kit_err);
    if (rc == DYNB_OK)
        rc = model_each_backup(db, &result, note_listed, &l);
    for (i = 0; rc == DYNB_OK && i < l.count; ++i) {
        rc = kit_restore(db, l.arns[i], MODEL_RESTORED);
        if (rc == DYNB_OK)
            rc = model_store_contents(db, MODEL_RESTORED, &result, &contents, ttl);
        if (rc != DYNB_OK)
            break;
        if (learn && expected->backup_count < BACKUPS_MAX) {
            expected->names[expected->backup_count] = l.names[i];
            expected->contents[expected->backup_count++] = contents;
        }
        for (k = 0; k < expected->backup_count; ++k)
            if (expected->names[k] == l.names[i] && expected->contents[k] == contents)
                break;
        if (k == expected->backup_count)
            *same = model_differs("backup %s restores to something else", l.arns[i]);
        rc = dynb_delete_table(db, MODEL_RESTORED, NULL, NULL, &kit_err);
    }
    dynb_result_free(&result);
    return rc;
}

/* --------------------------------------------------------------- running -- */

static void reset(fixture *f, const scenario *s, const image *base)
{
    uint32_t i;
    memset(&f->memory, 0, sizeof f->memory);
    f->scenario = s;
    f->db = NULL;
    f->wrong = 0;
    f->then_ms = s && s->base == BASE_PAST ? then_of_past_ms : 0;
    f->clock.now_ms = f->then_ms ? f->then_ms + 60000 : 1700000000000u;
    f->clock.step_ms = 1;
    f->ids.state = 42;
    f->device.track = 1;
    f->device.plan_call = 0;
    f->device.broken_promise_count = f->device.close_count = 0;
    fault_start(&f->device, base->bytes, base->size_bytes, 0);
    f->builder.allocator = f->key.allocator = fault_allocator_of(&f->memory);
    f->result.allocator = f->other.allocator = f->builder.allocator;
    for (i = 0; i < 4; ++i)
        f->batch[i].allocator = f->builder.allocator;
}

static void release(fixture *f)
{
    uint32_t i;
    dynb_builder_free(&f->builder);
    dynb_builder_free(&f->key);
    for (i = 0; i < 4; ++i)
        dynb_builder_free(&f->batch[i]);
    dynb_result_free(&f->result);
    dynb_result_free(&f->other);
}

/* Opens (unless the scenario does) and prepares. */
static void set_up(fixture *f, const scenario *s)
{
    reset(f, s, &bases[s->base]);
    if (!(s->flags & OPENS))
        MUST(open_store(f));
    if (s->prepare) {
        MUST(s->prepare(f, 0));
        MUST(dynb_sync(f->db, &kit_err));
    }
    release(f); /* so that the steps have to allocate */
    f->memory.call_count = f->memory.fail_at = 0;
    f->device.call_count = 0;
}

static void learn(fixture *f, const scenario *s, expectation *expected)
{
    uint32_t step;
    int same;
    memset(expected->digests, 0, sizeof expected->digests);
    expected->backup_count = 0;
    set_up(f, s); /* the backups that are there before */
    if (!f->db)
        MUST(open_store(f));
    MUST(judge_backups(f->db, expected, 1, &same));
    MUST(dynb_close(f->db, &kit_err));
    release(f);

    set_up(f, s);
    if (f->db)
        MUST(digest_of(f->db, &expected->digests[0]));
    for (step = 0; step < s->steps; ++step) {
        kit_must(s->act(f, step), s->name, __FILE__, __LINE__);
        if (f->db)
            MUST(digest_of(f->db, &expected->digests[step + 1]));
        else
            expected->digests[step + 1] = expected->digests[step];
    }
    if (s->flags & OPENS)
        expected->digests[0] = expected->digests[1];
    if (!f->db)
        MUST(open_store(f));
    MUST(judge_backups(f->db, expected, 1, &same));
    MUST(dynb_close(f->db, &kit_err));
    f->db = NULL;
    release(f);
    CHECK(f->memory.live_count == 0);

    set_up(f, s); /* once more, undisturbed, to count */
    f->device.recording = 1;
    for (step = 0; step < s->steps; ++step)
        kit_must(s->act(f, step), s->name, __FILE__, __LINE__);
    f->device.recording = 0;
    expected->allocations = f->memory.call_count;
    expected->calls = f->device.call_count;
    expected->kinds = (uint8_t *)fault_memory(expected->kinds, (size_t)expected->calls);
    if (expected->calls)
        memcpy(expected->kinds, f->device.kinds, (size_t)expected->calls);
    if (f->db)
        MUST(dynb_close(f->db, &kit_err));
    release(f);
    CHECK(!f->wrong);
}

/* The scenario's fate: the last step that worked, and the code of the first
 * that did not. */
typedef struct outcome {
    uint32_t ok_count;
    dynb_rc rc;
    int write_failed; /* a write or sync was refused */
} outcome;

static int is_fitting(const scenario *s, const outcome *o, int of_memory)
{
    if (of_memory && s->flags & IN_MEMORY && o->rc == DYNB_NO_SPACE)
        return 1;
    if (of_memory) /* closing needs no memory that might not be there */
        return o->rc == DYNB_NO_MEMORY && !(s->flags & CLOSES && o->ok_count + 1 == s->steps);
    return o->rc == DYNB_IO_FAILED || o->rc == DYNB_NO_SPACE || o->rc == DYNB_READ_ONLY;
}

/* Where Alpha still has its past, it is what it was. */
static int judge_past(fixture *g, uint64_t then_ms)
{
    dynb_continuous_backups about;
    dynb_scan_input input;
    dynb_page page;
    uint32_t i;
    int same = 1;
    memset(&input, 0, sizeof input);
    input.table = "Alpha";
    input.use_time = 1;
    input.time_ms = then_ms;
    if (!then_ms ||
        dynb_describe_continuous_backups(g->db, "Alpha", &about, &kit_err) != DYNB_OK ||
        !about.recovery_is_enabled || about.earliest_restorable_ms > then_ms)
        return 1;
    if (dynb_scan(g->db, &input, &page, &g->result, &kit_err) != DYNB_OK)
        return model_differs("the past after reopening: %s", kit_err.message);
    if (page.count != 40)
        same = model_differs("the past has %u items", page.count);
    for (i = 0; same && i < 30; ++i) {
        int64_t v;
        if (!dynb_value_int(dynb_item_get(page.items[i], "v"), &v) || v != 3000 + i)
            same = model_differs("the past has another item %u", i);
    }
    dynb_result_free(&g->result);
    return same;
}

/* What the handle shows is the state after the steps that worked. */
static int shows_state(fixture *f, const scenario *s, const expectation *expected, uint32_t step)
{
    uint64_t digest;
    return digest_of(f->db, &digest) == DYNB_OK &&
           (digest == expected->digests[step] ||
            (s->flags & TIDIES && step < s->steps && digest == expected->digests[step + 1]));
}

/* What is left on the device opens to one of the states from..to. */
static int judge_image(const scenario *s, expectation *expected, const uint8_t *bytes,
                       uint64_t size_bytes, uint32_t from, uint32_t to, int thorough,
                       uint64_t then_ms)
{
    static fixture g;
    uint64_t digest;
    uint32_t i;
    int same = 1;
    image left;
    left.bytes = (uint8_t *)(uintptr_t)bytes;
    left.size_bytes = size_bytes;
    reset(&g, s, &left);
    if (open_store(&g) != DYNB_OK)
        return model_differs("reopen: %s", kit_err.message);
    if (digest_of(g.db, &digest) != DYNB_OK)
        same = model_differs("read after reopening: %s", kit_err.message);
    for (i = from; same && i <= to && expected->digests[i] != digest; ++i)
        continue;
    if (same && i > to)
        same = model_differs("reopened: not a state after steps %u..%u", from, to);
    if (same && dynb_check(g.db, NULL, NULL, NULL, &kit_err) != DYNB_OK)
        same = model_differs("check after reopening: %s", kit_err.message);
    if (same)
        same = judge_past(&g, then_ms);
    if (same && thorough && judge_backups(g.db, expected, 0, &same) != DYNB_OK)
        same = model_differs("backups after reopening: %s", kit_err.message);
    if (dynb_close(g.db, &kit_err) != DYNB_OK && same)
        same = model_differs("close after reopening: %s", kit_err.message);
    if (same && g.memory.live_count)
        same = model_differs("leak after reopening");
    return same;
}

/* The steps that are left, on a handle whose fault is over. */
static int go_on(fixture *f, const scenario *s, outcome *o, int must_work)
{
    dynb_rc rc = DYNB_OK;
    if (s->flags & CLOSES && !f->db)
        return 1;
    while (o->ok_count < s->steps && rc == DYNB_OK) {
        rc = s->act(f, o->ok_count);
        o->ok_count += rc == DYNB_OK;
    }
    if (rc != DYNB_OK && (must_work || rc != DYNB_READ_ONLY))
        return model_differs("tried again, step %u: %s: %s", o->ok_count, kit_code_name(rc),
                             kit_err.message);
    return 1;
}

static int finish(fixture *f, const scenario *s, expectation *expected, outcome *o, int of_memory,
                  uint64_t turn)
{
    dynb_rc rc = DYNB_OK;
    uint32_t from, to = o->ok_count < s->steps ? o->ok_count + 1 : o->ok_count;
    if (f->db) {
        if (!shows_state(f, s, expected, o->ok_count))
            return model_differs("another state is visible at the end (%s)", kit_err.message);
        rc = dynb_close(f->db, &kit_err);
        f->db = NULL;
    }
    release(f);
    if (rc != DYNB_OK && (of_memory || !o->write_failed))
        return model_differs("close: %s", kit_err.message);
    if (f->memory.live_count)
        return model_differs("%llu blocks not freed", (unsigned long long)f->memory.live_count);
    if (f->memory.broken_count || f->device.broken_promise_count)
        return model_differs("a promise to the device or the allocator was broken");
    if (f->wrong)
        return model_differs("a wrong answer");
    from = o->ok_count;
    if (!o->write_failed && rc == DYNB_OK)
        to = from; /* closed in good order: exactly this */
    if (s->flags & BUFFERED && o->write_failed)
        from = 0;
    return judge_image(s, expected, f->device.current, f->device.current_bytes, from, to,
                       turn % 4 == 0, f->then_ms) &&
           judge_image(s, expected, f->device.durable, f->device.durable_bytes, from, to,
                       turn % 4 == 2, f->then_ms);
}

/* One run with one fault, which set_up has been armed with by now. */
static int run_fault(fixture *f, const scenario *s, expectation *expected, int of_memory,
                     int must_work, uint64_t turn)
{
    outcome o;
    o.ok_count = 0;
    o.rc = DYNB_OK;
    while (o.ok_count < s->steps && o.rc == DYNB_OK) {
        kit_err.code = DYNB_OK;
        o.rc = s->act(f, o.ok_count);
        o.ok_count += o.rc == DYNB_OK;
    }
    if (of_memory ? f->memory.failed_count == 0 : f->device.tripped_count == 0)
        return model_differs("the fault did not happen: the run is not the same as before");
    o.write_failed = f->device.failed_write;
    f->memory.fail_at = 0;
    f->device.plan_call = 0;
    if (o.rc != DYNB_OK && !is_fitting(s, &o, of_memory))
        return model_differs("step %u gave %s: %s", o.ok_count, kit_code_name(o.rc),
                             kit_err.message);
    if (o.rc != DYNB_OK && kit_err.code != o.rc)
        return model_differs("step %u: %s returned, %s in the error", o.ok_count,
                             kit_code_name(o.rc), kit_code_name(kit_err.code));
    if (f->db && !shows_state(f, s, expected, o.ok_count))
        return model_differs("step %u gave %s, and another state is visible (%s)", o.ok_count,
                             kit_code_name(o.rc), kit_err.message);
    if (!go_on(f, s, &o, must_work))
        return 0;
    return finish(f, s, expected, &o, of_memory, turn);
}

static void report(fixture *f, const scenario *s, const char *kind, uint64_t number,
                   const char *mode)
{
    static unsigned reports;
    if (++reports <= 12)
        printf("%s: %s %llu, %s: %s\n", s->name, kind, (unsigned long long)number, mode,
               model_difference);
    check_note(0, __FILE__, __LINE__, s->name);
    if (f->db)
        (void)dynb_close(f->db, NULL);
    f->db = NULL;
    release(f);
}

static uint64_t fail_allocations(fixture *f, const scenario *s, expectation *expected)
{
    uint64_t k, runs = 0, bad = 0;
    int from;
    for (k = 1; k <= expected->allocations && bad < 3; ++k)
        for (from = 0; from < 2; ++from) {
            set_up(f, s);
            f->memory.failed_count = 0;
            f->memory.fail_at = k;
            f->memory.fail_from = from;
            ++runs;
            if (run_fault(f, s, expected, 1, 1, k + (uint64_t)from)) {
                CHECK(1);
            } else {
                report(f, s, "allocation", k, from ? "and all later ones" : "once");
                ++bad;
            }
        }
    return runs;
}

static int fits(fault_mode mode, fault_kind kind)
{
    switch (mode) {
    case FAULT_NO_SPACE_ONCE:
    case FAULT_NO_SPACE_FROM: return kind == FAULT_WRITE || kind == FAULT_RESIZE;
    case FAULT_TORN: return kind != FAULT_SIZE && kind != FAULT_RESIZE;
    case FAULT_LOST_SYNC: return kind == FAULT_SYNC;
    default: return 1;
    }
}

static uint64_t fail_calls(fixture *f, const scenario *s, expectation *expected)
{
    static const char *const modes[] = {"error once",   "error from then on",
                                        "full once",    "full from then on",
                                        "torn",         "failed sync, unsynced bytes gone"};
    static const char *const kinds[] = {"read", "write", "sync", "size", "resize"};
    uint64_t k, runs = 0, bad = 0;
    unsigned mode;
    for (k = 1; k <= expected->calls && bad < 3; ++k)
        for (mode = 0; mode < FAULT_MODE_COUNT; ++mode) {
            fault_kind kind = (fault_kind)expected->kinds[k - 1];
            if (!fits((fault_mode)mode, kind))
                continue;
            set_up(f, s);
            f->device.plan_call = k;
            f->device.plan_mode = (fault_mode)mode;
            f->device.tripped_count = 0;
            ++runs;
            if (run_fault(f, s, expected, 0, kind != FAULT_WRITE && kind != FAULT_SYNC &&
                                                 mode != FAULT_FROM && mode != FAULT_NO_SPACE_FROM,
                          k + mode)) {
                CHECK(1);
            } else {
                char what[40];
                snprintf(what, sizeof what, "device call (%s)", kinds[kind]);
                report(f, s, what, k, modes[mode]);
                ++bad;
            }
        }
    return runs;
}

/* ----------------------------------------------------------- base images -- */

static void keep_image(base_kind kind, const uint8_t *bytes, uint64_t size_bytes)
{
    bases[kind].bytes = (uint8_t *)fault_memory(NULL, (size_t)size_bytes);
    bases[kind].size_bytes = size_bytes;
    memcpy(bases[kind].bytes, bytes, (size_t)size_bytes);
}

/* Three tables; "ready" is a backup of Alpha, ten of whose items have changed
 * since; after the crash "late" is one that is still being built. */
static void make_bases(fixture *f)
{
    image nothing = {NULL, 0};
    dynb_result result;
    int i;
    memset(&result, 0, sizeof result);
    reset(f, NULL, &nothing);
    MUST(open_store(f));
    MUST(kit_create_table(f->db, "Alpha", NULL));
    MUST(kit_create_table(f->db, "Beta", "n"));
    MUST(kit_create_table(f->db, "Gamma", NULL));
    MUST(put_many(f, "Alpha", 0, 40, 100, 60));
    MUST(put_many(f, "Beta", 0, 40, 200, 60));
    for (i = 0; i < 40; ++i)
        MUST(put(f, "Beta", "many", i, i, 10));
    MUST(backup(f, "Alpha", "ready"));
    MUST(dynb_wait_idle(f->db, &kit_err));
    MUST(put_many(f, "Alpha", 0, 10, 500, 40));
    MUST(dynb_close(f->db, &kit_err));
    keep_image(BASE_CLOSED, f->device.durable, f->device.durable_bytes);

    reset(f, NULL, &bases[BASE_CLOSED]);
    MUST(open_store(f));
    MUST(backup(f, "Alpha", "late"));
    MUST(put_many(f, "Alpha", 20, 25, 800, 40));
    MUST(model_each_backup(f->db, &result, note_arn, f));
    f->device.plan_mode = FAULT_TORN;
    keep_image(BASE_CRASHED, f->device.current, f->device.current_bytes);
    f->device.plan_call = f->device.call_count + 1; /* the write of the record */
    CHECK(put(f, "Alpha", "torn", -1, 1, 1500) != DYNB_OK);
    keep_image(BASE_TORN, f->device.current, f->device.current_bytes);
    f->device.plan_call = 0;
    (void)dynb_close(f->db, NULL);
    f->db = NULL;
    dynb_result_free(&result);
    release(f);
    CHECK(!f->wrong);
}

/* Alpha, and "Indexed" with two indexes, have recovery and a past in several
 * parts; of Alpha a time in the middle is known. */
static void make_past(fixture *f)
{
    int round;
    reset(f, NULL, &bases[BASE_CLOSED]);
    MUST(open_store(f));
    MUST(do_indexed(f, 0));
    MUST(switch_recovery(f, "Alpha", 1));
    MUST(switch_recovery(f, "Indexed", 1));
    MUST(put_many(f, "Indexed", 0, 20, 9000, 60));
    for (round = 1; round <= 5; ++round) {
        MUST(put_many(f, "Alpha", 0, 30, round * 1000, 400));
        MUST(put_many(f, "Beta", 0, 30, round * 1000, 400));
        if (round == 3)
            then_of_past_ms = f->clock.now_ms;
        if (round == 2 || round == 4)
            MUST(dynb_wait_idle(f->db, &kit_err));
    }
    MUST(dynb_close(f->db, &kit_err));
    f->db = NULL;
    keep_image(BASE_PAST, f->device.durable, f->device.durable_bytes);
    release(f);
    CHECK(!f->wrong);
}

int main(void)
{
    static fixture f;
    static expectation expected;
    uint64_t allocations = 0, calls = 0, only = check_env("ONLY", 0);
    uint32_t i, count = sizeof scenarios / sizeof *scenarios, k;
    (void)check_seed("test_fault");
    make_bases(&f);
    make_past(&f);
    for (i = 0; i < count; ++i) {
        if (only && only != i + 1)
            continue;
        learn(&f, &scenarios[i], &expected);
        allocations += fail_allocations(&f, &scenarios[i], &expected);
        calls += fail_calls(&f, &scenarios[i], &expected);
    }
    printf("    %u scenarios: %llu runs with a failed allocation, %llu with a failed device call\n",
           count, (unsigned long long)allocations, (unsigned long long)calls);
    for (k = 0; k < BASE_COUNT; ++k)
        free(bases[k].bytes);
    free(expected.kinds);
    fault_free(&f.device);
    return check_report("test_fault");
}
