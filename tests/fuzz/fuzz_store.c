/* fuzz_store.c - damages a store, opens it, and uses it.
 *
 * Input: one byte chooses the store (bit 0: page size 512 or 4096, bit 1: closed
 * or killed, bit 3: one with indexes, a past and a SYSTEM backup), how it is
 * opened (bit 2: read-only), and how many changes (bits 4..7) are made to its
 * bytes; then the changes, kind byte and place each (see
 * damage); then operations, one byte each with operands (see operate).
 *
 * Always: no crash, no hang, no access outside the device. As long as nothing
 * was damaged and no device call failed, also: nothing is CORRUPT, and at the
 * end check and scrub find all well. */
#include "fuzz.h"

#define OPERATIONS_MAX 40

typedef struct session {
    fuzz_device *device;
    uint64_t state[2];
    uint32_t page_size_bytes;
    dynb *db;
    int sound; /* nothing was damaged, no device call failed */
    dynb_builder builder;
    dynb_result result;
} session;

/* Looks at the code of a call on a store that should be sound. */
static int judge(session *s, dynb_rc rc, const char *what)
{
    if (s->sound && (rc == DYNB_IO_FAILED || rc == DYNB_READ_ONLY || rc >= DYNB_CORRUPT))
        fuzz_fail(what, rc);
    if (rc == DYNB_INVALID_ARGUMENT)
        fuzz_fail(what, rc);
    return rc == DYNB_OK;
}

/* ------------------------------------------------------ the sound store -- */

/* Two tables, one restored from a backup, a deleted backup, one that waits to
 * be built, and changes in the log only. */
static void fill(session *s)
{
    dynb_backup_description backup;
    dynb_restore_input restore;
    char arn[DYNB_ARN_MAX + 1] = "";
    uint32_t i;
    fuzz_must(fuzz_create_table(s->db, "tab"), "create table");
    fuzz_must(fuzz_create_table(s->db, "two"), "create table");
    for (i = 0; i < 120; ++i) {
        dynb_item item = fuzz_item(&s->builder, i % 40, i % 3, 20 + i * 7 % 90);
        fuzz_must(dynb_put_item(s->db, i % 5 ? "tab" : "two", item, NULL, NULL, NULL, NULL),
                  "put");
        if (i % 40 == 39) {
            fuzz_must(dynb_create_backup(s->db, "tab", "fuzzed", &backup, &s->result, NULL),
                      "create backup");
            snprintf(arn, sizeof arn, "%s", backup.backup_arn);
            if (i < 100)
                fuzz_must(dynb_wait_idle(s->db, NULL), "work");
        }
        if (i == 40)
            fuzz_must(dynb_delete_backup(s->db, arn, NULL, NULL, NULL), "delete backup");
        if (i == 90) {
            memset(&restore, 0, sizeof restore);
            restore.target_table_name = "new-0";
            restore.backup_arn = arn;
            fuzz_must(dynb_restore_table_from_backup(s->db, &restore, NULL, NULL, NULL),
                      "restore");
        }
    }
}

static dynb_rc change_index(session *s, const char *table, int is_create)
{
    dynb_update_table_input input;
    dynb_index_update update;
    memset(&input, 0, sizeof input);
    memset(&update, 0, sizeof update);
    input.table = table;
    input.change = DYNB_CHANGE_INDEXES;
    input.index_updates = &update;
    input.index_update_count = 1;
    update.action = is_create ? DYNB_CREATE_INDEX : DYNB_DELETE_INDEX;
    update.index.index_name = "by-at";
    if (is_create) {
        update.index.partition_key.name = "At";
        update.index.partition_key.type = DYNB_N;
    }
    return dynb_update_table(s->db, &input, NULL, NULL, NULL);
}

/* days 0: off. */
static dynb_rc switch_recovery(session *s, const char *table, uint32_t days)
{
    dynb_update_continuous_backups_input input;
    memset(&input, 0, sizeof input);
    input.table = table;
    input.point_in_time_recovery = days != 0;
    input.choose_period = days != 0;
    input.recovery_period_days = (int32_t)days;
    return dynb_update_continuous_backups(s->db, &input, NULL, NULL);
}

static dynb_rc restore_to(session *s, const char *source, const char *target, uint64_t time_ms)
{
    dynb_restore_to_time_input input;
    memset(&input, 0, sizeof input);
    input.source_table_name = source;
    input.target_table_name = target;
    input.use_latest_time = time_ms == 0;
    input.use_restore_time = time_ms != 0;
    input.restore_time_ms = time_ms;
    return dynb_restore_table_to_point_in_time(s->db, &input, NULL, NULL, NULL);
}

/* On top of the tables: "tab" has an index and a past in several parts, "two"
 * leaves a SYSTEM backup, "new-1" is of the past, its index not yet filled. */
static void fill_history(session *s)
{
    uint32_t i;
    fuzz_must(change_index(s, "tab", 1), "create index");
    fuzz_must(switch_recovery(s, "tab", 35), "recovery");
    fuzz_must(switch_recovery(s, "two", 1), "recovery");
    for (i = 0; i < 400; ++i) {
        dynb_item item = fuzz_item(&s->builder, i % 37, i % 3, 20 + i * 7 % 90);
        fuzz_must(dynb_put_item(s->db, i % 5 ? "tab" : "two", item, NULL, NULL, NULL, NULL),
                  "put");
        if (i % 100 == 50)
            fuzz_must(dynb_wait_idle(s->db, NULL), "work");
    }
    fuzz_must(dynb_delete_table(s->db, "two", NULL, NULL, NULL), "delete table");
    fuzz_must(dynb_wait_idle(s->db, NULL), "work");
    fuzz_must(restore_to(s, "tab", "new-1", s->state[0] - 300), "restore to a time");
}

/* *end_ms: the time when it was closed. */
static const fuzz_device *sound_store(uint32_t choice, uint64_t *end_ms)
{
    static fuzz_device *stores[8];
    static uint64_t ends_ms[8];
    const uint32_t number = (choice & 3) | (choice >> 1 & 4);
    fuzz_device **store = &stores[number];
    session s;
    *end_ms = ends_ms[number];
    if (*store)
        return *store;
    memset(&s, 0, sizeof s);
    s.device = fuzz_device_new();
    s.state[0] = 1700000000000u;
    s.page_size_bytes = choice & 1 ? 4096 : 512;
    fuzz_must(fuzz_open(&s.db, s.device, s.page_size_bytes, 0, s.state), "open");
    fill(&s);
    if (choice & 8)
        fill_history(&s);
    *store = fuzz_device_new();
    fuzz_device_copy(*store, s.device);
    fuzz_must(dynb_close(s.db, NULL), "close");
    *end_ms = ends_ms[number] = s.state[0];
    if (!(choice & 2))
        fuzz_device_copy(*store, s.device);
    dynb_builder_free(&s.builder);
    dynb_result_free(&s.result);
    free(s.device->bytes);
    free(s.device);
    return *store;
}

/* -------------------------------------------------------------- damage -- */

static void damage(session *s, fuzz_input *in)
{
    static const uint8_t limits[] = {0, 1, 0x7f, 0x80, 0xff};
    uint8_t *bytes = s->device->bytes;
    uint64_t size = s->device->size_bytes;
    uint32_t kind = fuzz_byte(in), i, count, pos, from;
    if (size < 1024)
        return;
    pos = fuzz_number(in, 3) % (uint32_t)size;
    switch (kind % 7) {
    case 0: /* one bit */
        bytes[pos] = (uint8_t)(bytes[pos] ^ (1u << (kind >> 5)));
        break;
    case 1: /* one byte */
        bytes[pos] = (uint8_t)fuzz_byte(in);
        break;
    case 2: /* a number at its limits */
        for (i = 0; i < 4 && pos + i < size; ++i)
            bytes[pos + i] = limits[(kind >> 4) % sizeof limits];
        break;
    case 3: /* a sector of zeros */
        memset(bytes + pos / 512 * 512, 0, 512);
        break;
    case 4: /* another sector */
        from = fuzz_number(in, 3) % (uint32_t)size;
        memmove(bytes + pos / 512 * 512, bytes + from / 512 * 512, 512);
        break;
    case 5: /* bytes of the input */
        count = fuzz_byte(in) % 64;
        for (i = 0; i < count && pos + i < size; ++i)
            bytes[pos + i] = (uint8_t)fuzz_byte(in);
        break;
    default: /* the end is missing */
        s->device->size_bytes = pos / (kind & 128 ? 1 : 512) * (kind & 128 ? 1 : 512);
        break;
    }
}

/* ---------------------------------------------------------- operations -- */

/* "tab", "two", and three that are restored or created on the way. */
static const char *table_of(uint32_t byte)
{
    static const char *const names[] = {"tab", "two", "new-0", "new-1", "new-2"};
    return names[byte % 5];
}

static void do_write(session *s, fuzz_input *in, int is_delete)
{
    const char *table = table_of(fuzz_byte(in));
    uint32_t id = fuzz_byte(in), at = fuzz_byte(in), pad = is_delete ? 0 : fuzz_number(in, 2);
    dynb_write_options options;
    dynb_item old, item = fuzz_item(&s->builder, id % 60, at % 4, is_delete ? 0 : pad | 1);
    memset(&options, 0, sizeof options);
    options.return_old = (int)(id >> 7);
    options.choose_durability = (int)(at >> 7);
    options.durability = (dynb_durability)(at >> 4 & 1);
    judge(s, is_delete ? dynb_delete_item(s->db, table, item, &options,
                                          options.return_old ? &old : NULL,
                                          options.return_old ? &s->result : NULL, NULL)
                       : dynb_put_item(s->db, table, item, &options,
                                       options.return_old ? &old : NULL,
                                       options.return_old ? &s->result : NULL, NULL), "write");
}

/* An item whose bytes are the input's: well-formed or refused. */
static void do_foreign_put(session *s, fuzz_input *in)
{
    dynb_item item;
    dynb_rc checked;
    item.size_bytes = fuzz_byte(in);
    if (item.size_bytes > (size_t)(in->end - in->at))
        item.size_bytes = (uint32_t)(in->end - in->at);
    item.bytes = in->at;
    in->at += item.size_bytes;
    checked = dynb_item_check(item, NULL);
    if (!judge(s, dynb_put_item(s->db, "tab", item, NULL, NULL, NULL, NULL), "put of bytes"))
        return;
    if (checked != DYNB_OK)
        fuzz_fail("a malformed item was taken", checked);
}

static void do_batch(session *s, fuzz_input *in)
{
    dynb_builder builders[3];
    dynb_write writes[3];
    uint32_t i;
    memset(builders, 0, sizeof builders);
    memset(writes, 0, sizeof writes);
    for (i = 0; i < 3; ++i) {
        uint32_t byte = fuzz_byte(in);
        writes[i].table = table_of(byte);
        writes[i].is_delete = (int)(byte >> 7);
        writes[i].item = fuzz_item(&builders[i], fuzz_byte(in) % 60, i, byte >> 7 ? 0 : byte + 1);
    }
    judge(s, dynb_batch_write(s->db, writes, 3, NULL, NULL), "batch");
    for (i = 0; i < 3; ++i)
        dynb_builder_free(&builders[i]);
}

static void do_read(session *s, fuzz_input *in, uint32_t what)
{
    const char *table = table_of(fuzz_byte(in));
    uint32_t id = fuzz_byte(in) % 60, at = fuzz_byte(in);
    dynb_item out, key = fuzz_item(&s->builder, id, at % 4, 0);
    dynb_page page;
    dynb_query_input query;
    dynb_scan_input scan;
    memset(&query, 0, sizeof query);
    query.table = table;
    query.partition_key = dynb_item_get(key, "Id");
    query.condition = (dynb_sort_condition)(at % 7);
    query.sort_from = dynb_item_get(key, "At");
    query.sort_to = query.sort_from;
    query.descending = (int)(at >> 7);
    query.limit = at >> 4 & 3;
    memset(&scan, 0, sizeof scan);
    scan.table = table;
    scan.limit = id;
    scan.total_segments = at & 3;
    if (at & 128)
        scan.start_after = key;
    if (what == 0)
        judge(s, dynb_get_item(s->db, table, key, &out, &s->result, NULL), "get");
    else if (what == 1)
        judge(s, dynb_query(s->db, &query, &page, &s->result, NULL), "query");
    else
        judge(s, dynb_scan(s->db, &scan, &page, &s->result, NULL), "scan");
}

/* Deletes a backup or restores it, the byte says which of them. */
static void do_backup(session *s, uint32_t byte, int restores)
{
    dynb_list_backups_input input;
    dynb_backup_list list;
    dynb_restore_input restore;
    char arn[DYNB_ARN_MAX + 1];
    memset(&input, 0, sizeof input);
    input.limit = 1 + byte % 8;
    input.type = byte & 128 ? DYNB_LIST_ALL : DYNB_LIST_USER;
    if (!judge(s, dynb_list_backups(s->db, &input, &list, &s->result, NULL), "list backups") ||
        list.count == 0)
        return;
    snprintf(arn, sizeof arn, "%s", list.backups[list.count - 1].backup_arn);
    memset(&restore, 0, sizeof restore);
    restore.target_table_name = table_of(byte >> 3);
    restore.backup_arn = arn;
    if (restores)
        judge(s, dynb_restore_table_from_backup(s->db, &restore, NULL, NULL, NULL), "restore");
    else
        judge(s, dynb_delete_backup(s->db, arn, NULL, NULL, NULL), "delete backup");
}

/* A live table, one at a time of its past, or a backup. */
static void pick_source(session *s, uint32_t byte, char arn[DYNB_ARN_MAX + 1],
                        dynb_source *source)
{
    dynb_list_backups_input input;
    dynb_backup_list list;
    memset(source, 0, sizeof *source);
    source->table = table_of(byte >> 2);
    source->use_time = byte & 1;
    source->time_ms = s->state[0] - (uint64_t)(byte >> 5) * 150;
    if ((byte & 3) != 2)
        return;
    memset(&input, 0, sizeof input);
    input.limit = 1 + byte % 5;
    input.type = DYNB_LIST_ALL;
    if (!judge(s, dynb_list_backups(s->db, &input, &list, &s->result, NULL), "list backups") ||
        list.count == 0)
        return;
    snprintf(arn, DYNB_ARN_MAX + 1, "%s", list.backups[list.count - 1].backup_arn);
    source->table = NULL;
    source->backup_arn = arn;
}

static void do_look_at(session *s, uint32_t byte, uint32_t other)
{
    char arn[2][DYNB_ARN_MAX + 1];
    dynb_compare_input compare;
    dynb_difference_page differences;
    dynb_scan_input scan;
    dynb_page page;
    dynb_item found, key = fuzz_item(&s->builder, other % 60, other % 3, 0);
    memset(&compare, 0, sizeof compare);
    memset(&scan, 0, sizeof scan);
    pick_source(s, byte, arn[0], &compare.from);
    pick_source(s, other, arn[1], &compare.to);
    judge(s, dynb_get_item_at(s->db, &compare.from, key, &found, &s->result, NULL), "get at");
    scan.table = compare.from.table;
    scan.backup_arn = compare.from.backup_arn;
    scan.use_time = compare.from.use_time;
    scan.time_ms = compare.from.time_ms;
    scan.index_name = other & 64 ? "by-at" : NULL;
    judge(s, dynb_scan(s->db, &scan, &page, &s->result, NULL), "scan at");
    compare.limit = other % 9;
    judge(s, dynb_compare(s->db, &compare, &differences, &s->result, NULL), "compare");
}

static void do_history(session *s, fuzz_input *in)
{
    uint32_t kind = fuzz_byte(in), byte = fuzz_byte(in);
    const char *table = table_of(byte);
    dynb_backup_retention rule;
    switch (kind & 7) {
    case 0:
        judge(s, switch_recovery(s, table, (byte >> 3) % 36), "recovery");
        break;
    case 1:
        judge(s, restore_to(s, table, table_of(byte >> 3),
                            byte & 128 ? 0 : s->state[0] - (uint64_t)(kind >> 3) * 40),
              "restore to a time");
        break;
    case 2: case 3:
        do_look_at(s, byte, fuzz_byte(in));
        break;
    case 4:
        memset(&rule, 0, sizeof rule);
        rule.keep_last = byte >> 4;
        rule.max_age_ms = (uint64_t)(kind >> 3) * 200;
        judge(s, dynb_update_backup_retention(s->db, table, &rule, NULL), "retention");
        break;
    case 5:
        judge(s, change_index(s, table, byte >> 7 == 0), "change an index");
        break;
    case 6: /* the clock: on by days, or back */
        s->state[0] += (uint64_t)(kind >> 3) * 86400000;
        s->state[0] -= byte;
        break;
    default:
        judge(s, dynb_wait_idle(s->db, NULL), "work");
        break;
    }
}

static void do_tables(session *s, uint32_t byte, fuzz_input *in)
{
    static const dynb_tag tag = {"key", "value"};
    const char *table = table_of(byte), *key = "key";
    dynb_table_list list;
    dynb_table_description description;
    switch (byte >> 4 & 7) {
    case 0:
        judge(s, fuzz_create_table(s->db, table), "create table");
        break;
    case 1:
        judge(s, dynb_delete_table(s->db, table, NULL, NULL, NULL), "delete table");
        break;
    case 2:
        judge(s, dynb_update_time_to_live(s->db, table, byte & 128 ? "Until" : NULL, NULL), "ttl");
        break;
    case 3:
        judge(s, dynb_tag_resource(s->db, table, &tag, 1, NULL), "tag");
        break;
    case 4:
        judge(s, dynb_untag_resource(s->db, table, &key, 1, NULL), "untag");
        break;
    case 5:
        judge(s, dynb_list_tables(s->db, NULL, byte >> 7, &list, &s->result, NULL), "list tables");
        break;
    case 7:
        do_history(s, in);
        break;
    default:
        judge(s, dynb_describe_table(s->db, table, &description, &s->result, NULL), "describe");
        break;
    }
}

static int stop_at_100(void *ctx)
{
    return ++*(uint32_t *)ctx >= 100;
}

static int visit_record(void *ctx, const dynb_log_record *record)
{
    (void)record;
    return stop_at_100(ctx);
}

static int visit_node(void *ctx, const dynb_node_info *node)
{
    (void)node;
    return stop_at_100(ctx);
}

static void do_look(session *s, uint32_t byte)
{
    uint32_t count = 0;
    if (byte & 1)
        judge(s, dynb_inspect_log(s->db, visit_record, &count, NULL), "inspect log");
    else
        judge(s, dynb_inspect_nodes(s->db, table_of(byte >> 1), visit_node, &count, NULL),
              "inspect nodes");
}

/* Closes and opens; kills in between when asked to. */
static int do_reopen(session *s, int kills, int read_only)
{
    static fuzz_device *kept;
    dynb_rc rc;
    kept = kept ? kept : fuzz_device_new();
    if (kills)
        fuzz_device_copy(kept, s->device);
    rc = dynb_close(s->db, NULL);
    s->db = NULL;
    judge(s, rc, "close");
    if (kills) {
        fuzz_device_copy(s->device, kept);
        s->sound = s->sound && FUZZ_SUMS_COUNT;
    }
    s->device->calls_to_failure = 0;
    return judge(s, fuzz_open(&s->db, s->device, s->page_size_bytes, read_only, s->state), "open");
}

/* One operation; 0 when the store cannot be opened any more. */
static int operate(session *s, fuzz_input *in)
{
    uint32_t kind = fuzz_byte(in);
    int pending;
    switch (kind % 20) {
    case 0: case 1: case 2:
        do_write(s, in, 0);
        break;
    case 3:
        do_write(s, in, 1);
        break;
    case 4:
        do_foreign_put(s, in);
        break;
    case 5:
        do_batch(s, in);
        break;
    case 6: case 7: case 8:
        do_read(s, in, kind % 20 - 6);
        break;
    case 9: case 10:
        judge(s, dynb_create_backup(s->db, table_of(fuzz_byte(in)), "fuzzed", NULL, NULL, NULL),
              "create backup");
        break;
    case 11: case 12:
        do_backup(s, fuzz_byte(in), kind % 20 == 11);
        break;
    case 13:
        judge(s, dynb_work(s->db, (uint64_t)fuzz_byte(in) << 8, &pending, NULL), "work");
        break;
    case 14:
        judge(s, dynb_sync(s->db, NULL), "sync");
        break;
    case 15:
        judge(s, dynb_check(s->db, NULL, NULL, NULL, NULL), "check");
        judge(s, dynb_scrub(s->db, NULL), "scrub");
        break;
    case 16:
        return do_reopen(s, kind & 32 ? 1 : 0, 0);
    case 17:
        do_tables(s, fuzz_byte(in), in);
        break;
    case 18:
        s->device->calls_to_failure = fuzz_byte(in);
        s->sound = s->sound && !s->device->calls_to_failure;
        break;
    default:
        do_look(s, fuzz_byte(in));
        break;
    }
    return 1;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static fuzz_device *device;
    fuzz_input in;
    session s;
    uint32_t choice, i;
    memset(&s, 0, sizeof s);
    in.at = data;
    in.end = data + size;
    choice = fuzz_byte(&in);
    device = device ? device : fuzz_device_new();
    s.device = device;
    s.page_size_bytes = choice & 1 ? 4096 : 512;
    fuzz_device_copy(device, sound_store(choice, &s.state[0]));
    s.state[0] += choice & 8 ? 10 : 0x174876e800u; /* three years, where there is no past */
    s.sound = choice >> 4 == 0 && (FUZZ_SUMS_COUNT || !(choice & 2));
    for (i = 0; i < choice >> 4; ++i)
        damage(&s, &in);
    if (!judge(&s, fuzz_open(&s.db, device, s.page_size_bytes, choice >> 2 & 1, s.state), "open"))
        return 0;
    s.sound = s.sound && !(choice & 4); /* read-only: writes are refused */
    for (i = 0; i < OPERATIONS_MAX && in.at < in.end; ++i)
        if (!operate(&s, &in))
            break;
    if (s.db && s.sound) {
        fuzz_must(dynb_check(s.db, NULL, NULL, NULL, NULL), "check");
        fuzz_must(dynb_scrub(s.db, NULL), "scrub");
    }
    if (s.db)
        judge(&s, dynb_close(s.db, NULL), "close");
    dynb_builder_free(&s.builder);
    dynb_result_free(&s.result);
    return 0;
}
