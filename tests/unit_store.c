/* unit_store.c - sections 22 to 26 from inside: records cut short and damaged,
 * the choice of a superblock, recovery, the jobs of the worker met at awkward
 * moments, what dynb_check tells of each kind of damage, and the arguments of
 * every public function. */
#include "store.h"

/* ------------------------------------------------------------- records -- */

static dynb_table_description full_table(void)
{
    dynb_table_description table;
    memset(&table, 0, sizeof table);
    table.table_name = "Orders";
    table.table_id = "01234567-89ab-4def-8123-456789abcdef";
    table.created_at_ms = 1700000000123u;
    table.partition_key.name = "Id";
    table.partition_key.type = DYNB_S;
    table.sort_key.name = "At";
    table.sort_key.type = DYNB_N;
    table.settings.billing_mode = DYNB_PROVISIONED;
    table.settings.provisioned.read_units = 300;
    table.settings.provisioned.write_units = 70000;
    table.settings.stream_view = DYNB_STREAM_NEW_AND_OLD_IMAGES;
    table.stream_label = "2023-11-14T22:13:20.123";
    table.settings.encryption = DYNB_ENCRYPTION_KMS;
    table.settings.kms_key_arn = "arn:aws:kms:us-east-1:123456789012:key/1";
    table.settings.table_class = DYNB_STANDARD_INFREQUENT_ACCESS;
    table.settings.deletion_protection = 1;
    table.ttl_attribute = "expires";
    return table;
}

/* An allocator that refuses above a budget. */
static dynbi_memory limited;

static dynb_allocator limited_allocator(uint64_t budget_bytes)
{
    dynb_allocator a;
    limited.budget_bytes = budget_bytes;
    a.resize_fn = dynbi_memory_resize;
    a.ctx = &limited;
    return a;
}

/* A copy of exactly this size, so that a look behind its end is noticed. */
static uint8_t *exact_copy(const uint8_t *bytes, size_t size)
{
    uint8_t *copy = (uint8_t *)malloc(size ? size : 1);
    memcpy(copy, bytes, size);
    return copy;
}

static void test_settings_record(void)
{
    static const char long_value[] =
        "a value that does not fit into what memory is left once the settings have taken theirs: "
        "two hundred bytes and some more, so that the buffer has to grow from 256 bytes to 512, "
        "which the budget forbids";
    const dynb_tag tags[2] = {{"a", long_value}, {"b", ""}};
    dynb_table_description table = full_table(), got;
    dynb_allocator any = limited_allocator(1 << 20);
    dynbi_buffer buffer;
    dynbi_coder rest;
    uint64_t id = 0;
    size_t size, settings_size, i;
    memset(&buffer, 0, sizeof buffer);
    buffer.allocator = &any;
    MUST(dynbi_settings_make(&buffer, 77, &table, tags, 2, &kit_err));
    size = buffer.used_bytes;
    EXPECT(dynbi_settings_read(buffer.bytes, size, &id, &got, &rest, &kit_err), DYNB_OK);
    CHECK_INT(id, 77);
    CHECK_TEXT(got.table_name, table.table_name);
    CHECK_TEXT(got.table_id, table.table_id);
    CHECK_INT(got.created_at_ms, table.created_at_ms);
    CHECK_TEXT(got.sort_key.name, "At");
    CHECK_INT(got.sort_key.type, DYNB_N);
    CHECK_INT(got.settings.provisioned.write_units, 70000);
    CHECK_INT(got.settings.stream_view, DYNB_STREAM_NEW_AND_OLD_IMAGES);
    CHECK_TEXT(got.stream_label, table.stream_label);
    CHECK_TEXT(got.settings.kms_key_arn, table.settings.kms_key_arn);
    CHECK_INT(got.settings.table_class, DYNB_STANDARD_INFREQUENT_ACCESS);
    CHECK_INT(got.settings.deletion_protection, 1);
    CHECK_TEXT(got.ttl_attribute, "expires");
    settings_size = (size_t)(rest.at - buffer.bytes);
    CHECK(settings_size < size && rest.end == buffer.bytes + size);
    for (i = 0; i < settings_size; ++i) { /* cut short anywhere */
        uint8_t *copy = exact_copy(buffer.bytes, i);
        EXPECT(dynbi_settings_read(copy, i, &id, &got, NULL, &kit_err), DYNB_CORRUPT);
        free(copy);
    }
    for (i = 0; i < settings_size; ++i) { /* damaged anywhere: an answer, no more */
        uint8_t *copy = exact_copy(buffer.bytes, settings_size);
        dynb_rc rc;
        copy[i] = 0xff;
        rc = dynbi_settings_read(copy, settings_size, &id, &got, NULL, &kit_err);
        CHECK(rc == DYNB_OK || rc == DYNB_CORRUPT);
        free(copy);
    }
    { /* a text without its NUL, and texts that must not be missing */
        uint8_t *copy = exact_copy(buffer.bytes, settings_size);
        copy[2 + strlen("Orders")] = 'x';
        EXPECT(dynbi_settings_read(copy, settings_size, &id, &got, NULL, &kit_err), DYNB_CORRUPT);
        free(copy);
    }
    for (i = 0; i < 3; ++i) {
        dynb_table_description without = table;
        *(i == 0 ? &without.table_name : i == 1 ? &without.table_id : &without.partition_key.name) =
            NULL;
        MUST(dynbi_settings_make(&buffer, 77, &without, NULL, 0, &kit_err));
        EXPECT_MESSAGE(dynbi_settings_read(buffer.bytes, buffer.used_bytes, &id, &got, NULL,
                                           &kit_err),
                       DYNB_CORRUPT, "a record of the catalog is damaged");
    }
    table.settings.billing_mode = (dynb_billing_mode)2; /* the writer notices, too */
    EXPECT(dynbi_settings_make(&buffer, 77, &table, NULL, 0, &kit_err), DYNB_NO_MEMORY);
    dynbi_buffer_free(&buffer);
    table = full_table();
    for (i = 0; i < 2; ++i) { /* no memory for the first part, or for the tags */
        any = limited_allocator(i ? 256 : 64);
        buffer.allocator = &any;
        EXPECT_ABOUT(dynbi_settings_make(&buffer, 77, &table, tags, 2, &kit_err), DYNB_NO_MEMORY,
                     "no memory for");
        dynbi_buffer_free(&buffer);
    }
    CHECK_INT(limited.used_bytes, 0);
}

static void test_details_record(void)
{
    dynb_backup_description details, got;
    dynb_allocator any = limited_allocator(1 << 20);
    dynbi_buffer buffer;
    dynbi_coder coder;
    size_t i, size;
    memset(&details, 0, sizeof details);
    details.backup_name = "back-up";
    details.status = DYNB_BACKUP_AVAILABLE;
    details.type = DYNB_BACKUP_SYSTEM;
    details.created_at_ms = 1700000000000u;
    details.expires_at_ms = 1800000000000u;
    details.lsn = 99;
    memset(&buffer, 0, sizeof buffer);
    buffer.allocator = &any;
    memset(&coder, 0, sizeof coder);
    coder.out = &buffer;
    dynbi_code_details(&coder, &details);
    CHECK(!coder.is_broken);
    size = buffer.used_bytes;
    for (i = 0; i <= size; ++i) {
        uint8_t *copy = exact_copy(buffer.bytes, i);
        memset(&coder, 0, sizeof coder);
        memset(&got, 0, sizeof got);
        coder.at = copy;
        coder.end = copy + i;
        dynbi_code_details(&coder, &got);
        CHECK_INT(coder.is_broken, i < size);
        if (i == size) {
            CHECK_TEXT(got.backup_name, "back-up");
            CHECK_INT(got.lsn, 99);
            CHECK_INT(got.expires_at_ms, 1800000000000u);
            CHECK_INT(got.type, DYNB_BACKUP_SYSTEM);
        }
        free(copy);
    }
    details.backup_name = NULL; /* a missing text is a text of no bytes */
    buffer.used_bytes = 0;
    memset(&coder, 0, sizeof coder);
    coder.out = &buffer;
    dynbi_code_details(&coder, &details);
    memset(&coder, 0, sizeof coder);
    coder.at = buffer.bytes;
    coder.end = buffer.bytes + buffer.used_bytes;
    dynbi_code_details(&coder, &got);
    CHECK(!coder.is_broken && got.backup_name == NULL && coder.at == coder.end);
    dynbi_buffer_free(&buffer);
}

/* A snapshot of three runs, the middle one without a tree. */
static void make_snapshot(dynbi_snapshot *snapshot, dynbi_run run[3])
{
    memset(snapshot, 0, sizeof *snapshot);
    memset(run, 0, 3 * sizeof *run);
    snapshot->folded_lsn = 30;
    snapshot->item_count = 5;
    snapshot->size_bytes = 500;
    snapshot->sets[0].count = 3;
    snapshot->sets[0].run = run;
    run[0].to_lsn = 30;
    run[0].from_lsn = run[1].to_lsn = 20;
    run[1].from_lsn = run[2].to_lsn = 10;
    run[0].root.page = 1000;
    run[0].root.page_count = 2;
    run[0].root.sum = 0xfedcba98u;
    run[0].root.level = 1;
    run[0].root.entry_count = 7;
    run[0].root.byte_count = 70;
    run[0].item_delta = (uint64_t)0 - 2;
    run[2].root = run[0].root;
    run[2].is_counted = 1;
    run[2].byte_delta = 400;
}

static void test_snapshot_record(void)
{
    dynb_allocator any = limited_allocator(1 << 20);
    dynbi_snapshot snapshot, got;
    dynbi_record record, out;
    dynbi_run run[3];
    dynbi_buffer buffer;
    size_t size, snapshot_size, i;
    const uint8_t settings[3] = {1, 2, 3}, details[2] = {4, 5};
    memset(&buffer, 0, sizeof buffer);
    memset(&record, 0, sizeof record);
    buffer.allocator = &any;
    record.settings = settings;
    record.settings_size = 3;
    record.details = details;
    record.details_size = 2;
    make_snapshot(&snapshot, run);
    MUST(dynbi_record_make(&buffer, &record, &snapshot, &kit_err));
    size = buffer.used_bytes;
    MUST(dynbi_record_split(buffer.bytes, size, 1, &out, &kit_err));
    CHECK(out.settings_size == 3 && !memcmp(out.settings, settings, 3) && out.details_size == 2 &&
          !memcmp(out.details, details, 2));
    MUST(dynbi_snapshot_read(&any, &out, &got, &kit_err));
    CHECK_INT(got.folded_lsn, 30);
    CHECK_INT(got.sets[0].count, 3);
    CHECK_INT(got.sets[0].run[0].root.sum, 0xfedcba98u);
    CHECK_INT(got.sets[0].run[0].item_delta, -2);
    CHECK_INT(got.sets[0].run[1].root.page, 0);
    CHECK_INT(got.sets[0].run[2].is_counted, 1);
    CHECK_INT(got.sets[0].run[2].byte_delta, 400);
    dynbi_snapshot_free(&any, &got);
    snapshot_size = out.snapshot_size;
    for (i = 0; i < size; ++i) {
        uint8_t *copy = exact_copy(buffer.bytes, i);
        dynb_rc rc = dynbi_record_split(copy, i, 1, &out, &kit_err);
        CHECK_INT(rc == DYNB_OK, i >= size - snapshot_size);
        if (rc == DYNB_OK)
            EXPECT(dynbi_snapshot_read(&any, &out, &got, &kit_err), DYNB_CORRUPT);
        CHECK_INT(limited.used_bytes, buffer.capacity_bytes);
        free(copy);
    }
    MUST(dynbi_record_split(buffer.bytes, size, 1, &out, &kit_err));
    MUST(dynbi_snapshot_read(&any, &out, &got, &kit_err));
    dynbi_snapshot_free(&any, &got);
    MUST(dynbi_buffer_append(&buffer, "", 1) ? DYNB_OK : DYNB_NO_MEMORY); /* one byte too many */
    MUST(dynbi_record_split(buffer.bytes, size + 1, 1, &out, &kit_err));
    EXPECT(dynbi_snapshot_read(&any, &out, &got, &kit_err), DYNB_CORRUPT);
    for (i = 0; i < 6; ++i) { /* what cannot be: gaps, levels, pages beyond 32 bits */
        make_snapshot(&snapshot, run);
        if (i == 0)
            snapshot.folded_lsn = 31;
        if (i == 1)
            run[1].to_lsn = 19;
        if (i == 2)
            run[0].from_lsn = run[1].to_lsn = 31;
        MUST(dynbi_record_make(&buffer, &record, &snapshot, &kit_err));
        if (i >= 3) { /* by hand: page, page count or sum of the first run is 2^32 */
            dynbi_coder coder;
            uint64_t page[3] = {1000, 2, 7}, number[5] = {30, 0, 5, 500, 1}, zero = 0;
            uint32_t j;
            page[i - 3] = (uint64_t)1 << 32;
            buffer.used_bytes -= snapshot_size;
            memset(&coder, 0, sizeof coder);
            coder.out = &buffer;
            for (j = 0; j < 5; ++j)
                dynbi_code_u64(&coder, &number[j]); /* the snapshot's head: one run */
            dynbi_code_u64(&coder, &zero);
            dynbi_code_u64(&coder, &number[0]);
            for (j = 0; j < 3; ++j)
                dynbi_code_u64(&coder, &zero);
            for (j = 0; j < 3; ++j)
                dynbi_code_u64(&coder, &page[j]);
            for (j = 0; j < 3; ++j)
                dynbi_code_u64(&coder, &zero);
            CHECK(!coder.is_broken);
        }
        MUST(dynbi_record_split(buffer.bytes, buffer.used_bytes, 1, &out, &kit_err));
        EXPECT_MESSAGE(dynbi_snapshot_read(&any, &out, &got, &kit_err), DYNB_CORRUPT,
                       "a record of the catalog is damaged");
    }
    make_snapshot(&snapshot, run);
    MUST(dynbi_record_make(&buffer, &record, &snapshot, &kit_err));
    MUST(dynbi_record_split(buffer.bytes, buffer.used_bytes, 1, &out, &kit_err));
    any = limited_allocator(limited.used_bytes);
    EXPECT_MESSAGE(dynbi_snapshot_read(&any, &out, &got, &kit_err), DYNB_NO_MEMORY,
                   "no memory for a list of runs");
    dynbi_buffer_free(&buffer);
    for (i = 0; i < 3; ++i) { /* no memory at each part */
        static uint8_t large[300];
        any = limited_allocator(i == 0 ? 0 : i == 1 ? 64 : 512);
        record.details = large;
        record.details_size = i == 1 ? sizeof large : 10;
        record.settings = large;
        record.settings_size = i == 2 ? sizeof large : 10;
        EXPECT_MESSAGE(dynbi_record_make(&buffer, &record, &snapshot, &kit_err),
                       i == 2 ? DYNB_OK : DYNB_NO_MEMORY,
                       i == 2 ? "" : "no memory for a catalog record");
        dynbi_buffer_free(&buffer);
    }
    CHECK_INT(limited.used_bytes, 0);
}

/* ------------------------------------------------- changes and staging -- */

static void test_parse(void)
{
    /* table 1, set 0, a value of 3 bytes, a key of 2 */
    static const uint8_t good[9] = {1, 0, 6, 2, 'k', 'k', 'v', 'v', 'v'};
    static const uint8_t bad[][8] = {
        {1, 1, 6, 2, 'k', 'k', 'v', 'v'},     /* a set that is none */
        {1, 0, 0, 0x80, 0x60, 'k', 'k', 'v'}, /* a key above the limit */
        {1, 0, 0, 7, 'k', 'k', 'k', 'k'},     /* a key behind the end */
        {1, 0, 7, 2, 'k', 'k', 'v', 'v'},     /* a deletion with a value */
        {1, 0, 0x80, 0x80, 0x80, 0x80, 4, 0}, /* a value above the limit */
    };
    store s;
    size_t i;
    store_begin(&s);
    store_open(&s);
    for (i = 0; i <= sizeof good; ++i) {
        uint8_t *copy = exact_copy(good, i);
        EXPECT(dynbi_change_parse(s.db, copy, i, &kit_err),
               i == 0 || i == sizeof good ? DYNB_OK : DYNB_CORRUPT);
        free(copy);
    }
    CHECK_INT(s.db->op_count, 1);
    CHECK(s.db->ops[0].table == NULL && s.db->ops[0].value_size == 3 && s.db->ops[0].key_pos == 4);
    for (i = 0; i < sizeof bad / sizeof *bad; ++i)
        EXPECT_MESSAGE(dynbi_change_parse(s.db, bad[i], sizeof bad[i], &kit_err), DYNB_CORRUPT,
                       "a log record is malformed");
    s.db->op_count = 0;
    store_end(&s);
}

static dynb_rc stage(store *s, const char *key, const dynbi_buffer *value)
{
    return log_change(s, &s->db->catalog, key, strlen(key), value->bytes, value->used_bytes);
}

/* A backup's record of these details, settings and an empty snapshot. */
static void make_backup_record(dynbi_buffer *to, dynb_backup_status status,
                               const dynb_table_description *table, uint64_t id, uint64_t lsn)
{
    static dynb_allocator none;
    dynb_backup_description details;
    dynbi_buffer settings, part;
    dynbi_snapshot snapshot;
    dynbi_record record;
    dynbi_coder coder;
    memset(&details, 0, sizeof details);
    memset(&settings, 0, sizeof settings);
    memset(&snapshot, 0, sizeof snapshot);
    memset(&record, 0, sizeof record);
    memset(&coder, 0, sizeof coder);
    settings.allocator = &none;
    part = settings;
    details.backup_name = "made-up";
    details.status = status;
    details.type = DYNB_BACKUP_SYSTEM;
    details.created_at_ms = 1700000000000u;
    details.expires_at_ms = 1703030400000u;
    details.lsn = lsn;
    coder.out = &part;
    dynbi_code_details(&coder, &details);
    MUST(dynbi_settings_make(&settings, id, table, NULL, 0, &kit_err));
    record.details = part.bytes;
    record.details_size = part.used_bytes;
    record.settings = settings.bytes;
    record.settings_size = settings.used_bytes;
    MUST(dynbi_record_make(to, &record, &snapshot, &kit_err));
    dynbi_buffer_free(&settings);
    dynbi_buffer_free(&part);
}

#define BACKUP_KEY_TAIL "01700000000000-0123abcd"

static void test_stage(void)
{
    static dynb_allocator none;
    dynb_table_description table = full_table();
    dynbi_buffer record, bad;
    dynbi_change change;
    store s;
    char key[64];
    uint64_t lsn;
    store_begin(&s);
    store_open(&s);
    MUST(kit_create_table(s.db, "Here", NULL));
    memset(&record, 0, sizeof record);
    record.allocator = &none;
    bad = record;
    lsn = s.db->log.tail.lsn;
    CHECK(dynbi_buffer_append(&bad, "\0\377", 2));
    EXPECT(stage(&s, "Z-ray", &bad), DYNB_CORRUPT);
    EXPECT(stage(&s, "T", &bad), DYNB_CORRUPT);
    EXPECT(stage(&s, "Table", &bad), DYNB_CORRUPT);
    EXPECT(stage(&s, "Backup", &bad), DYNB_CORRUPT);
    bad.used_bytes = 0; /* details of one byte, no settings */
    CHECK(dynbi_buffer_append(&bad, "\0\1\1\0", 4));
    EXPECT(stage(&s, "Backup", &bad), DYNB_CORRUPT);
    bad.used_bytes = 0; /* good details, being built, but no settings */
    CHECK(dynbi_buffer_append(&bad, "\0\7\2n\0\0\0\1\0\0\0\0\0", 13));
    bad.bytes[1] = 8;
    EXPECT(stage(&s, "Backup", &bad), DYNB_CORRUPT);
    table.sort_key.type = DYNB_BOOL; /* no type of a key */
    make_backup_record(&record, DYNB_BACKUP_CREATING, &table, 99, lsn);
    EXPECT(stage(&s, "Backup", &record), DYNB_CORRUPT);
    CHECK_INT(s.db->log.tail.lsn, lsn); /* nothing was logged */
    CHECK_INT(s.db->pending_count, 0);
    CHECK_INT(s.db->table_count, 1);

    /* a deletion of what is not there, and of a key of no bytes */
    EXPECT(log_change(&s, &s.db->catalog, "Tnobody", 7, NULL, 0), DYNB_OK);
    CHECK_INT(s.db->live_count, 1);
    EXPECT(log_change(&s, &s.db->catalog, "Bnobody", 7, NULL, 0), DYNB_OK);
    EXPECT(log_change(&s, table_of(&s, "Here"), "", 0, "\0", 1), DYNB_OK);

    /* a backup of a table that is gone brings back what it is built from */
    table = full_table();
    make_backup_record(&record, DYNB_BACKUP_CREATING, &table, 99, s.db->log.tail.lsn);
    memcpy(key, "BOrders\0" BACKUP_KEY_TAIL, 31);
    EXPECT(log_change(&s, &s.db->catalog, key, 31, record.bytes, record.used_bytes), DYNB_OK);
    CHECK_INT(s.db->pending_count, 1);
    CHECK_INT(s.db->table_count, 2);
    CHECK_INT(s.db->live_count, 1);
    CHECK(s.db->tables[1]->is_dropped && s.db->tables[1]->pending_count == 1);
    EXPECT(log_change(&s, &s.db->catalog, key, 31, record.bytes, record.used_bytes), DYNB_OK);
    CHECK_INT(s.db->pending_count, 1); /* known already */
    EXPECT(log_change(&s, &s.db->catalog, key, 31, NULL, 0), DYNB_OK);
    CHECK_INT(s.db->pending_count, 0);
    CHECK_INT(s.db->table_count, 1);

    /* a system backup cannot be deleted by a user */
    make_backup_record(&record, DYNB_BACKUP_AVAILABLE, &table, 99, s.db->log.tail.lsn);
    EXPECT(log_change(&s, &s.db->catalog, key, 31, record.bytes, record.used_bytes), DYNB_OK);
    EXPECT_MESSAGE(
        dynb_delete_backup(s.db,
                           "arn:aws:dynamodb:us-east-1:123456789012:table/Orders/backup/"
                           BACKUP_KEY_TAIL,
                           NULL, NULL, &kit_err),
        DYNB_VALIDATION,
        "Invalid Request: User is not allowed to delete the system backup with arn "
        "arn:aws:dynamodb:us-east-1:123456789012:table/Orders/backup/" BACKUP_KEY_TAIL
        ". It will automatically expire on 2023-12-20T00:00:00.000");

    /* a change larger than a frame may be; what it points to is not looked at */
    memset(&change, 0, sizeof change);
    change.value_size = DYNBI_VALUE_MAX;
    MUST(dynbi_change_begin(s.db, &kit_err));
    EXPECT_MESSAGE(dynbi_change_add(s.db, &s.db->catalog, 0, &change, &kit_err), DYNB_VALIDATION,
                   "the batch is larger than 268435456 bytes");
    s.db->op_count = 0;
    dynbi_buffer_free(&record);
    dynbi_buffer_free(&bad);
    store_end(&s);
}

/* Each allocation of a call fails once; after each failure the scratch memory is
 * given up, so that all of it is asked for again. */
static void drop_scratch(store *s)
{
    dynbi_buffer_free(&s->db->key);
    dynbi_buffer_free(&s->db->value);
    dynbi_buffer_free(&s->db->record);
    dynbi_buffer_free(&s->db->frame);
    dynb_result_free(&s->result);
    forget_reads(s);
    dynbi_pool_trim(&s->db->pool);
    s->memory.call_count = 0;
}

#define SWEEP_MEMORY(s, call)                                                     \
    do {                                                                          \
        uint32_t sweep_i;                                                         \
        dynb_rc sweep_rc = DYNB_NO_MEMORY;                                        \
        for (sweep_i = 1; sweep_rc == DYNB_NO_MEMORY && sweep_i < 500; ++sweep_i) { \
            drop_scratch(s);                                                      \
            (s)->memory.fail_at = sweep_i;                                        \
            sweep_rc = (call);                                                    \
            CHECK(sweep_rc == DYNB_OK || sweep_rc == DYNB_NO_MEMORY);             \
        }                                                                         \
        (s)->memory.fail_at = 0;                                                  \
        CHECK_INT(sweep_rc, DYNB_OK);                                             \
        CHECK(sweep_i > 2);                                                       \
    } while (0)

static void test_memory(void)
{
    char name[256], text[1000], arn[DYNB_ARN_MAX + 1];
    dynb_restore_input restore;
    dynb_list_backups_input list;
    dynb_backup_list backups;
    dynb_table_list names;
    dynb_table_description about;
    dynb_backup_description backup;
    dynb_tag tags[DYNB_TAGS_MAX];
    char keys[DYNB_TAGS_MAX][8];
    dynb_query_input query;
    dynb_scan_input scan;
    dynb_page page;
    dynb_builder partition, sort, after;
    dynbi_table *table;
    uint64_t budget;
    uint32_t i;
    store s;
    memset(&restore, 0, sizeof restore);
    store_begin(&s);
    s.config.memory_bytes = 4 << 20;
    store_open(&s);
    memset(name, 'n', sizeof name - 1);
    name[255] = 0;
    MUST(kit_create_table(s.db, name, "At"));
    memset(&partition, 0, sizeof partition);
    memset(&sort, 0, sizeof sort);
    memset(&after, 0, sizeof after);
    for (i = 0; i < 700; ++i) {
        dynb_builder_begin(&partition);
        dynb_add_string(&partition, "Id", "x", 1);
        dynb_add_int(&partition, "At", i);
        MUST(dynb_put_item(s.db, name, kit_finish(&partition), NULL, NULL, NULL, &kit_err));
    }
    back_up(&s, name, arn);
    back_up(&s, name, arn);
    memset(&scan, 0, sizeof scan);
    scan.table = name;
    SWEEP_MEMORY(&s, dynbi_source_scan(s.db, &scan, &page, &s.result, &kit_err));
    CHECK_INT(page.count, 700);
    memset(text, 'p', sizeof text);
    dynb_builder_begin(&after);
    dynb_add_string(&after, "Id", text, sizeof text);
    dynb_add_int(&after, "At", 5);
    scan.start_after = kit_finish(&after);
    SWEEP_MEMORY(&s, dynbi_source_scan(s.db, &scan, &page, &s.result, &kit_err));
    for (i = DYNB_SORT_ANY; i <= DYNB_SORT_BETWEEN; ++i) { /* a key of 64 bytes is full */
        size_t length;
        for (length = 20; length < 70; ++length) {
            dynb_rc rc = DYNB_NO_MEMORY;
            uint32_t n;
            memset(&query, 0, sizeof query);
            dynb_builder_begin(&partition);
            dynb_add_string(&partition, "Id", text, length);
            dynb_builder_begin(&sort);
            dynb_add_int(&sort, "At", 5);
            query.table = name;
            query.condition = (dynb_sort_condition)i;
            query.partition_key = dynb_item_get(kit_finish(&partition), "Id");
            query.sort_from = query.sort_to = dynb_item_get(kit_finish(&sort), "At");
            if (i == DYNB_SORT_ANY) {
                dynb_builder_begin(&after);
                dynb_add_string(&after, "Id", text, length);
                dynb_add_int(&after, "At", 5);
                query.start_after = kit_finish(&after);
            }
            for (n = 1; rc == DYNB_NO_MEMORY && n < 30; ++n) {
                drop_scratch(&s);
                s.memory.fail_at = n;
                rc = dynbi_source_query(s.db, &query, &page, &s.result, &kit_err);
            }
            s.memory.fail_at = 0;
            CHECK_INT(rc, DYNB_OK);
            query.descending = 1;
            rc = DYNB_NO_MEMORY;
            for (n = 1; rc == DYNB_NO_MEMORY && n < 30; ++n) {
                drop_scratch(&s);
                s.memory.fail_at = n;
                rc = dynbi_source_query(s.db, &query, &page, &s.result, &kit_err);
            }
            s.memory.fail_at = 0;
            CHECK_INT(rc, DYNB_OK);
        }
    }
    memset(&list, 0, sizeof list);
    SWEEP_MEMORY(&s, dynbi_backup_list_run(s.db, &list, &backups, &s.result, &kit_err));
    CHECK_INT(backups.count, 2);
    list.table = name;
    list.start_after_arn = arn;
    SWEEP_MEMORY(&s, dynbi_backup_list_run(s.db, &list, &backups, &s.result, &kit_err));
    CHECK_INT(backups.count, 0);
    list.from_ms = 1800000000000u;
    SWEEP_MEMORY(&s, dynbi_backup_list_run(s.db, &list, &backups, &s.result, &kit_err));
    SWEEP_MEMORY(&s, (table = table_of(&s, name), dynbi_table_describe(s.db, table, &about,
                                                                       &s.result, &kit_err)));
    SWEEP_MEMORY(&s, dynb_list_tables(s.db, NULL, 0, &names, &s.result, &kit_err));
    SWEEP_MEMORY(&s, dynbi_table_set_ttl(s.db, name, "ttl", &kit_err));
    for (i = 0; i < DYNB_TAGS_MAX; ++i) {
        snprintf(keys[i], sizeof keys[i], "k%u", (unsigned)i);
        tags[i].key = keys[i];
        tags[i].value = "0123456789012345678901234567890123456789012345678901234567890123456789";
    }
    SWEEP_MEMORY(&s, dynbi_tags_change(s.db, name, tags, NULL, DYNB_TAGS_MAX, &kit_err));
    SWEEP_MEMORY(&s, dynbi_table_set_ttl(s.db, name, NULL, &kit_err));
    {
        const char *one = name;
        SWEEP_MEMORY(&s, dynbi_backup_create(s.db, &one, 1, "again", &backup, &s.result, &kit_err));
        SWEEP_MEMORY(&s, dynbi_backup_create(s.db, &one, 1, "again", NULL, NULL, &kit_err));
    }
    MUST(dynb_wait_idle(s.db, &kit_err));
    restore.backup_arn = arn;
    restore.target_table_name = "Second";
    SWEEP_MEMORY(&s, dynbi_backup_restore(s.db, &restore, 1, &about, &s.result, &kit_err));
    SWEEP_MEMORY(&s, dynbi_audit_run(s.db, NULL, NULL, NULL, &kit_err));
    SWEEP_MEMORY(&s, dynbi_scrub_run(s.db, &kit_err));
    SWEEP_MEMORY(&s, dynbi_backup_delete(s.db, arn, NULL, NULL, &kit_err));
    SWEEP_MEMORY(&s, dynbi_history_delete_table(s.db, "Second", NULL, NULL, &kit_err));

    /* a frame that is full to its last byte cannot be padded */
    MUST(dynbi_change_begin(s.db, &kit_err));
    s.db->frame.used_bytes = s.db->frame.capacity_bytes;
    budget = s.db->memory.budget_bytes;
    s.db->memory.budget_bytes = 0;
    EXPECT_ABOUT(dynbi_change_commit(s.db, DYNB_SYNCED, &kit_err), DYNB_NO_MEMORY, "log record");
    s.db->memory.budget_bytes = budget;
    s.db->frame.used_bytes = 0;

    /* more changes than may wait to be folded */
    s.db->generation_bytes += s.db->generations_limit * 2;
    MUST(dynbi_change_begin(s.db, &kit_err));
    EXPECT_MESSAGE(dynbi_item_commit(s.db, NULL, &kit_err), DYNB_NO_MEMORY,
                   "no memory for more changes until those there are folded");
    s.db->generation_bytes -= s.db->generations_limit * 2;
    dynb_builder_free(&partition);
    dynb_builder_free(&sort);
    dynb_builder_free(&after);
    EXPECT(dynb_check(s.db, NULL, NULL, NULL, &kit_err), DYNB_OK);
    store_end(&s);
}

/* ------------------------------------------------------ device and space -- */

static uint32_t no_page(void *ctx, uint32_t page_count)
{
    (void)ctx;
    (void)page_count;
    return DYNBI_PAGE_NONE;
}

static dynb_rc huge_size(void *ctx, uint64_t *size_bytes)
{
    (void)ctx;
    *size_bytes = (uint64_t)1 << 45;
    return DYNB_OK;
}

static dynb_rc no_size(void *ctx, uint64_t *size_bytes)
{
    (void)ctx;
    *size_bytes = 0;
    return DYNB_IO_FAILED;
}

static void test_space(void)
{
    store s;
    uint32_t pages, i;
    uint64_t pos;
    store_begin(&s);
    store_open(&s);
    MUST(kit_create_table(s.db, "Table", NULL));
    pages = s.db->pages.page_count;
    CHECK_INT(dynbi_store_headroom(s.db), 0);
    s.db->pages.page_count = 0xfffffd00u; /* page numbers end there */
    CHECK_INT(dynbi_store_grow(s.db, 1), DYNB_NO_SPACE);
    s.db->pages.page_count = 1u << 21; /* 1 GiB: it grows by 64 MiB, but memory lacks */
    s.memory.call_count = 0;
    s.memory.fail_at = 1;
    s.memory.fail_from = 1;
    CHECK_INT(dynbi_store_grow(s.db, 1), DYNB_NO_MEMORY);
    s.db->pages.page_count = pages;
    CHECK_INT(dynbi_store_allocate(s.db, 1u << 20, DYNBI_NO_SLOT), DYNBI_PAGE_NO_MEMORY);
    s.memory.fail_at = 0;
    s.memory.fail_from = 0;
    s.device.plan_mode = FAULT_NO_SPACE_FROM;
    s.device.plan_call = s.device.call_count + 1;
    CHECK_INT(dynbi_store_allocate(s.db, pages, DYNBI_NO_SLOT), DYNBI_PAGE_NONE);
    s.device.plan_call = 0;
    CHECK_INT(s.db->pages.page_count, pages);
    MUST(kit_put(s.db, "Table", "a", 1));

    store_reopen(&s); /* no room for the record that begins this open's epoch */
    pos = s.db->log.tail.pos;
    i = s.db->log.reserved_count;
    s.db->log.reserved_count = 0;
    s.db->log.allocate_fn = no_page;
    s.db->log.tail.pos = dynbi_segment_end(&s.db->log,
                                           &s.db->log.segments[s.db->log.segment_count - 1]);
    EXPECT(dynbi_store_begin_writing(s.db, &kit_err), DYNB_NO_SPACE);
    s.db->log.tail.pos = pos;
    s.db->log.reserved_count = i;
    s.db->log.allocate_fn = dynbi_store_allocate_log;
    MUST(kit_put(s.db, "Table", "b", 2));
    store_reopen(&s);
    CHECK_INT(kit_get(s.db, "Table", "a"), 1);
    CHECK_INT(kit_get(s.db, "Table", "b"), 2);
    store_close(&s);

    s.callbacks = fault_device_of(&s.device); /* more pages than there are numbers */
    s.callbacks.size_fn = huge_size;
    EXPECT_ABOUT(dynb_open(&s.db, NULL, &s.config, &kit_err), DYNB_NO_MEMORY,
                 "no memory for the map of 4294966784 pages");
    s.callbacks.size_fn = no_size;
    EXPECT(dynb_open(&s.db, NULL, &s.config, &kit_err), DYNB_IO_FAILED);
    s.config.memory_bytes = (uint64_t)1 << 30;
    store_open(&s);
    CHECK_INT(s.db->generation_max, 64 << 20);
    store_close(&s);

    s.callbacks = fault_device_of(&s.device); /* a fixed device too small for a store */
    s.callbacks.resize_fn = NULL;
    s.device.current_bytes = 15 * 512;
    memset(s.device.current, 0, 15 * 512);
    EXPECT_MESSAGE(dynb_open(&s.db, NULL, &s.config, &kit_err), DYNB_NO_SPACE,
                   "a store needs at least 16 pages of 512 bytes");
    s.db = NULL;
    store_end(&s);
}

/* ----------------------------------------------------------- superblock -- */

/* Changes a superblock and makes its sum right. */
static void change_super(store *s, uint64_t pos, uint32_t at, uint32_t number)
{
    uint8_t *bytes = s->device.current + pos;
    dynbi_store32(bytes + at, number);
    dynbi_store32(bytes + 16, dynbi_crc32c(dynbi_crc32c(0, bytes, 16), bytes + 20,
                                           DYNBI_SUPERBLOCK_BYTES - 20));
}

static void test_superblock(void)
{
    static const uint32_t sizes[][2] = {{256, 512},   {131072, 512}, {768, 512},
                                        {512, 256},   {512, 65536},  {512, 513}};
    store s;
    uint8_t *image;
    uint64_t size;
    uint32_t i;
    store_begin(&s);
    store_open(&s);
    MUST(kit_create_table(s.db, "Table", NULL));
    MUST(kit_put(s.db, "Table", "a", 1));
    store_close(&s);
    size = s.device.current_bytes;
    image = exact_copy(s.device.current, (size_t)size);
    for (i = 0; i < 2; ++i) { /* either copy will do */
        memcpy(s.device.current, image, (size_t)size);
        memset(s.device.current + 512 * i, 0xee, 512);
        store_open(&s);
        CHECK_INT(kit_get(s.db, "Table", "a"), 1);
        dynbi_api_free(s.db);
    }
    for (i = 0; i < sizeof sizes / sizeof *sizes; ++i) { /* sizes that cannot be */
        memcpy(s.device.current, image, (size_t)size);
        change_super(&s, 0, 24, sizes[i][0]);
        change_super(&s, 0, 28, sizes[i][1]);
        change_super(&s, 512, 24, sizes[i][0]);
        change_super(&s, 512, 28, sizes[i][1]);
        if (i < 5)
            EXPECT_ABOUT(store_try(&s), DYNB_NOT_A_STORE, "left untouched");
    }
    memcpy(s.device.current, image, (size_t)size); /* a copy at the wrong place is none */
    memcpy(s.device.current + 1024, image, 512);
    memset(s.device.current, 0xee, 1024);
    EXPECT(store_try(&s), DYNB_NOT_A_STORE);
    memcpy(s.device.current, image, (size_t)size); /* a newer format in both, or in one */
    change_super(&s, 0, 20, DYNB_FORMAT_VERSION + 1);
    store_open(&s);
    dynbi_api_free(s.db);
    change_super(&s, 512, 20, DYNB_FORMAT_VERSION + 1);
    EXPECT_ABOUT(store_try(&s), DYNB_NEWER_FORMAT, "use a newer dynbackup.h");
    memcpy(s.device.current, image, (size_t)size); /* an empty first segment's mark */
    change_super(&s, 0, 88, 0);
    change_super(&s, 0, 80, 64);
    change_super(&s, 0, 48, 0x7fffffff);
    EXPECT(store_try(&s), DYNB_CORRUPT);
    memcpy(s.device.current, image, (size_t)size); /* cut off */
    s.device.current_bytes = size / 2;
    EXPECT_ABOUT(store_try(&s), DYNB_CORRUPT, "the store was cut off: it had");
    s.config.read_only = 1;
    EXPECT(store_try(&s), DYNB_OK);
    store_close(&s);
    s.config.read_only = 0;
    s.device.current_bytes = size;
    s.db = NULL;

    for (i = 1; i < 40; ++i) { /* each look at an empty device may fail */
        dynb_rc rc;
        memset(s.device.current, 0, (size_t)size);
        s.callbacks = fault_device_of(&s.device);
        s.device.plan_mode = FAULT_ONCE;
        s.device.plan_call = s.device.call_count + i;
        rc = dynb_open(&s.db, NULL, &s.config, &kit_err);
        CHECK(rc == DYNB_OK || rc == DYNB_IO_FAILED || rc == DYNB_NO_SPACE);
        if (rc == DYNB_OK)
            dynbi_api_free(s.db);
    }
    s.device.plan_call = 0;
    s.db = NULL;
    for (i = 0; i <= 16; ++i) { /* a creation cut off at any byte of the text */
        memset(s.device.current, 0, (size_t)size);
        memcpy(s.device.current, DYNBI_SUPERBLOCK_TEXT, i);
        if (i == 16)
            memset(s.device.current + 600, 0xaa, 100); /* old bytes behind it do not matter */
        store_open(&s);
        dynbi_api_free(s.db);
    }
    memset(s.device.current, 0, (size_t)size);
    memcpy(s.device.current, DYNBI_SUPERBLOCK_TEXT, 15);
    s.device.current[600] = 1; /* half a text, and something else: not ours */
    EXPECT(store_try(&s), DYNB_NOT_A_STORE);
    s.device.current_bytes = 100; /* too short for anything */
    s.device.current[50] = 1;
    EXPECT(store_try(&s), DYNB_NOT_A_STORE);
    s.db = NULL;
    free(image);
    store_end(&s);
}

/* What the two superblocks went through: 1 and 2 written, s a sync. */
static struct {
    dynb_device device;
    char order[16];
    size_t count;
} watched;

static void watch(char what)
{
    if (watched.count + 1 < sizeof watched.order)
        watched.order[watched.count++] = what;
    watched.order[watched.count] = 0;
}

static dynb_rc watched_write(void *ctx, uint64_t pos, const void *from, size_t size)
{
    if (pos < 1024)
        watch(pos < 512 ? '1' : '2');
    return watched.device.write_fn(ctx, pos, from, size);
}

static dynb_rc watched_sync(void *ctx, uint64_t pos, uint64_t size)
{
    watch(pos < 512 ? 's' : 't');
    return watched.device.sync_range_fn(ctx, pos, size);
}

/* The copy this open read is written last, when the other one is durable. */
static void test_superblock_order(void)
{
    store s;
    int slot;
    dynb_error err;
    store_begin(&s);
    for (slot = 0; slot < 2; ++slot) {
        store_open(&s);
        MUST(slot ? DYNB_OK : kit_create_table(s.db, "Table", NULL));
        MUST(kit_put(s.db, "Table", "a", 1));
        watched.device = s.db->disk.device;
        s.db->disk.device.write_fn = watched_write;
        s.db->disk.device.sync_range_fn = watched_sync;
        watched.count = 0;
        s.db->super_slot = (uint32_t)slot;
        MUST(dynbi_superblock_write(s.db, &s.db->super));
        CHECK(strcmp(watched.order, slot ? "1s2t" : "2t1s") == 0);
        s.db->disk.device = watched.device;
        EXPECT(dynb_close(s.db, &err), DYNB_OK);
        s.db = NULL;
    }
    store_end(&s);
}

/* The size that a closed store claims is durable, also where the device grew for
 * something that came to nothing. */
static void test_size_when_closed(void)
{
    store s;
    store_begin(&s);
    s.device.track = 1;
    store_open(&s);
    MUST(kit_create_table(s.db, "Table", NULL));
    MUST(kit_put(s.db, "Table", "a", 1));
    MUST(dynb_wait_idle(s.db, &kit_err));
    dynbi_lock(s.db);
    CHECK(dynbi_store_allocate(s.db, 4000, 0) > DYNBI_PAGE_NO_MEMORY);
    dynbi_unlock(s.db);
    store_close(&s);
    fault_drop_unsynced(&s.device);
    EXPECT(store_try(&s), DYNB_OK);
    store_end(&s);
}

/* Damage in the log: an error, but read_only shows what came before. */
static void test_damaged_log(void)
{
    store s;
    uint64_t pos;
    char id[16];
    int i;
    store_begin(&s);
    store_open(&s);
    MUST(kit_create_table(s.db, "Table", NULL));
    for (i = 0; i < 10; ++i) {
        snprintf(id, sizeof id, "k%d", i);
        MUST(kit_put(s.db, "Table", id, i));
    }
    pos = (uint64_t)s.db->log.segments[0].page * 512 + DYNBI_SEGMENT_HEAD_BYTES +
          s.db->log.tail.pos - s.db->log.segments[0].first_pos;
    store_close(&s);
    s.device.current[pos - 200] ^= 1;
    EXPECT(store_try(&s), DYNB_CORRUPT);
    s.config.read_only = 1;
    store_open(&s);
    CHECK_INT(kit_get(s.db, "Table", "k0"), 0);
    CHECK_INT(kit_get(s.db, "Table", "k9"), -1);
    store_end(&s);
}

/* ------------------------------------------------------------- recovery -- */

static int any_node(void *ctx, const dynb_node_info *node)
{
    (void)node;
    ++*(uint32_t *)ctx;
    return 0;
}

/* A log longer than memory, with backups of a table and of one deleted since. */
static void test_replay(void)
{
    store s;
    uint32_t seen = 0;
    char kept[DYNB_ARN_MAX + 1], gone[DYNB_ARN_MAX + 1], late[DYNB_ARN_MAX + 1];
    int i;
    store_begin(&s);
    s.config.memory_bytes = 1 << 20;
    store_open(&s);
    MUST(kit_create_table(s.db, "Kept", NULL));
    MUST(kit_create_table(s.db, "Gone", NULL));
    fill(&s, "Kept", 'a', 100, 1, 400);
    fill(&s, "Gone", 'a', 100, 2, 400);
    back_up(&s, "Kept", kept);
    back_up(&s, "Gone", gone);
    fill(&s, "Gone", 'b', 50, 3, 400);
    MUST(dynb_delete_table(s.db, "Gone", NULL, NULL, &kit_err));
    fill(&s, "Kept", 'b', 300, 4, 400);
    back_up(&s, "Kept", late);
    fill(&s, "Kept", 'c', 100, 5, 400);
    EXPECT_ABOUT(dynb_inspect_nodes(s.db, kept, any_node, &seen, &kit_err),
                 DYNB_BACKUP_IN_USE, "Backup is being created: arn:");
    store_crash(&s);
    CHECK_INT(kit_get(s.db, "Kept", "a00000"), 1);
    CHECK_INT(kit_get(s.db, "Kept", "c00099"), 5);
    MUST(dynb_wait_idle(s.db, &kit_err));
    CHECK_INT(look_up(&s, kept).source.item_count, 100);
    CHECK_INT(look_up(&s, gone).source.item_count, 100);
    CHECK_INT(look_up(&s, late).source.item_count, 400);
    MUST(kit_restore(s.db, gone, "Back"));
    CHECK_INT(kit_get(s.db, "Back", "a00099"), 2);
    CHECK_INT(kit_get(s.db, "Back", "b00000"), -1);
    EXPECT(dynb_check(s.db, NULL, NULL, NULL, &kit_err), DYNB_OK);
    EXPECT(dynb_scrub(s.db, &kit_err), DYNB_OK);
    store_end(&s);

    /* a checkpoint between the deletion and the crash: only the backup's record
     * still knows the table */
    for (i = 0; i < 2; ++i) {
        store_begin(&s);
        store_open(&s);
        MUST(kit_create_table(s.db, "Gone", NULL));
        fill(&s, "Gone", 'a', 20, 1, 10);
        back_up(&s, "Gone", gone);
        fill(&s, "Gone", 'b', 20, 1, 10);
        MUST(dynb_delete_table(s.db, "Gone", NULL, NULL, &kit_err));
        if (i) {
            dynbi_job *job = &s.db->worker->job[0];
            MUST(dynbi_checkpoint_start(job, &kit_err));
            while (job->kind)
                MUST(dynbi_job_step(s.db->worker, job, 1 << 20, &kit_err));
        }
        store_crash(&s);
        CHECK_INT(s.db->live_count, 0);
        CHECK_INT(s.db->table_count, 1);
        CHECK_INT(s.db->pending_count, 1);
        EXPECT(dynb_delete_backup(s.db, gone, NULL, NULL, &kit_err), DYNB_BACKUP_IN_USE);
        EXPECT(kit_restore(s.db, gone, "Back"), DYNB_BACKUP_IN_USE);
        MUST(dynb_wait_idle(s.db, &kit_err));
        CHECK_INT(s.db->table_count, 0);
        CHECK_INT(look_up(&s, gone).source.item_count, 20);
        MUST(kit_restore(s.db, gone, "Back"));
        CHECK_INT(kit_get(s.db, "Back", "a00019"), 1);
        CHECK_INT(kit_get(s.db, "Back", "b00000"), -1);
        EXPECT(dynb_check(s.db, NULL, NULL, NULL, &kit_err), DYNB_OK);
        store_end(&s);
    }
}

int main(void)
{
    test_settings_record();
    test_details_record();
    test_snapshot_record();
    test_parse();
    test_stage();
    test_memory();
    test_space();
    test_superblock();
    test_superblock_order();
    test_size_when_closed();
    test_damaged_log();
    test_replay();
    return check_report("unit_store");
}
