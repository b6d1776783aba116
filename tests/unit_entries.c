/* unit_entries.c - entries of indexes from inside: damaged items, memory that runs
 * out, indexes that vanish under the work on them, and backups of tables with
 * indexes that are still being built. */
#include "store.h"

static void set_key(dynb_key_attribute *key, const char *name, dynb_type type)
{
    key->name = name;
    key->type = type;
}

/* The index "by-owner" on owner (S), which includes v. */
static dynb_index by_owner(void)
{
    static const char *const included[] = {"v"};
    dynb_index index;
    memset(&index, 0, sizeof index);
    index.index_name = "by-owner";
    set_key(&index.partition_key, "owner", DYNB_S);
    index.projection = DYNB_PROJECT_INCLUDE;
    index.non_key_attributes = included;
    index.non_key_attribute_count = 1;
    return index;
}

/* A store with the table "Things", with the index or without. */
static void begin(store *s, int has_index)
{
    dynb_create_table_input input;
    dynb_index index = by_owner();
    store_begin(s);
    store_open(s);
    memset(&input, 0, sizeof input);
    input.table_name = "Things";
    set_key(&input.partition_key, "Id", DYNB_S);
    input.global_indexes = has_index ? &index : NULL;
    input.global_index_count = has_index ? 1 : 0;
    MUST(dynb_create_table(s->db, &input, NULL, NULL, &kit_err));
}

/* The item {Id, owner: eve, v: S of `size` times the letter}. */
static dynb_item make_owned(dynb_builder *builder, const char *id, char letter, size_t size)
{
    static char text[3000];
    memset(text, letter, sizeof text);
    dynb_builder_begin(builder);
    dynb_add_string(builder, "Id", id, (size_t)-1);
    dynb_add_string(builder, "owner", "eve", 3);
    dynb_add_string(builder, "v", text, size);
    return kit_finish(builder);
}

static dynb_rc put_owned(store *s, const char *id, char letter, size_t size)
{
    dynb_builder builder;
    dynb_rc rc;
    memset(&builder, 0, sizeof builder);
    rc = dynb_put_item(s->db, "Things", make_owned(&builder, id, letter, size), NULL, NULL, NULL,
                       &kit_err);
    dynb_builder_free(&builder);
    return rc;
}

static void put_many(store *s, uint32_t count, char letter)
{
    uint32_t i;
    for (i = 0; i < count; ++i) {
        char id[16];
        snprintf(id, sizeof id, "a%05u", (unsigned)i);
        MUST(put_owned(s, id, letter, 60));
    }
}

/* Entries of the index whose v starts with the letter (0: all). */
static uint32_t count_entries(store *s, char letter)
{
    dynb_scan_input scan;
    dynb_page page;
    uint32_t i, count = 0;
    memset(&scan, 0, sizeof scan);
    scan.table = "Things";
    scan.index_name = "by-owner";
    MUST(dynb_scan(s->db, &scan, &page, &s->result, &kit_err));
    CHECK(page.last_key.bytes == NULL);
    for (i = 0; i < page.count; ++i) {
        dynb_value value = dynb_item_get(page.items[i], "v");
        const char *text = (const char *)(const void *)value.bytes;
        /* a string's bytes stand at its end */
        count += !letter || (value.size_bytes && text[value.size_bytes - 1] == letter);
    }
    return count;
}

static dynb_rc change_index(store *s, dynb_index_action action)
{
    dynb_update_table_input input;
    dynb_index_update update;
    memset(&input, 0, sizeof input);
    input.table = "Things";
    input.change = DYNB_CHANGE_INDEXES;
    input.index_updates = &update;
    input.index_update_count = 1;
    update.action = action;
    update.index = by_owner();
    return dynb_update_table(s->db, &input, NULL, NULL, &kit_err);
}

/* ------------------------------------------------------- damaged items -- */

typedef enum damage { NO_ITEM, NO_TEXT } damage;

/* Logs item "bad" as no put would: one that cannot be taken apart, or one whose
 * v is not UTF-8. */
static void plant_item(store *s, damage what)
{
    static const uint8_t no_item[] = {1, 5};
    dynb_builder builder;
    uint8_t key[64], value[128];
    size_t key_size, value_size = sizeof no_item, i;
    memset(&builder, 0, sizeof builder);
    MUST(dynbi_item_encode(s->db, table_of(s, "Things"), make_owned(&builder, "bad", '#', 4), 0,
                           &kit_err));
    key_size = s->db->key.used_bytes;
    memcpy(key, s->db->key.bytes, key_size);
    memcpy(value, no_item, sizeof no_item);
    if (what == NO_TEXT) {
        value_size = s->db->value.used_bytes;
        memcpy(value, s->db->value.bytes, value_size);
        for (i = 0; i < value_size; ++i)
            value[i] = value[i] == '#' ? 0xff : value[i];
    }
    dynb_builder_free(&builder);
    MUST(log_change(s, table_of(s, "Things"), key, key_size, value, value_size));
}

/* What replaces a damaged item has to know the key of its entry, and where that
 * stays all of it: it is refused, and nothing is logged. */
static void test_replace_damaged(void)
{
    static const char *const messages[] = {"an item of table Things is damaged",
                                           "an item is damaged"};
    dynb_builder builder;
    int what;
    memset(&builder, 0, sizeof builder);
    for (what = NO_ITEM; what <= NO_TEXT; ++what) {
        store s;
        uint64_t lsn;
        dynb_rc rc;
        begin(&s, 1);
        MUST(put_owned(&s, "good", 'a', 10));
        plant_item(&s, (damage)what);
        lsn = s.db->log.tail.lsn;
        EXPECT_MESSAGE(put_owned(&s, "bad", 'b', 10), DYNB_CORRUPT, messages[what]);
        CHECK_INT(s.db->log.tail.lsn, lsn);
        rc = dynb_delete_item(s.db, "Things", kit_item(&builder, "bad", -1), NULL, NULL, NULL,
                              &kit_err);
        CHECK_INT(rc, what == NO_ITEM ? DYNB_CORRUPT : DYNB_OK);
        CHECK_TEXT(kit_err.message, what == NO_ITEM ? messages[what] : "");
        CHECK_INT(s.db->log.tail.lsn, what == NO_ITEM ? lsn : lsn + 1);
        CHECK_INT(count_entries(&s, 0), 1);
        MUST(put_owned(&s, "good", 'c', 10)); /* others go on */
        CHECK_INT(count_entries(&s, 'c'), 1);
        store_end(&s);
    }
    dynb_builder_free(&builder);
}

/* An index is not filled from damaged items: the table is left alone. */
static void test_fill_damaged(void)
{
    int what;
    for (what = NO_ITEM; what <= NO_TEXT; ++what) {
        store s;
        begin(&s, 0);
        put_many(&s, 20, 'a');
        plant_item(&s, (damage)what);
        MUST(change_index(&s, DYNB_CREATE_INDEX));
        EXPECT_MESSAGE(dynb_wait_idle(s.db, &kit_err), DYNB_CORRUPT, "an item is damaged");
        CHECK_INT(table_of(&s, "Things")->is_damaged, 1);
        CHECK_INT(table_of(&s, "Things")->job_count, 0);
        CHECK_INT(table_of(&s, "Things")->indexes[0].status, DYNB_INDEX_CREATING);
        EXPECT(dynb_wait_idle(s.db, &kit_err), DYNB_OK);
        CHECK_INT(s.db->worker->job[1].kind, DYNBI_JOB_NONE);
        store_end(&s);
    }
}

/* ----------------------------------------------------------- no memory -- */

/* Each allocation of an entry fails once: its key's, its value's head, the
 * attribute. Puts that lack memory change nothing. */
static void test_entry_memory(void)
{
    static const char *const messages[] = {"no memory for a key",
                                           "no memory for an entry of index by-owner",
                                           "no memory for an entry of index by-owner"};
    dynb_builder builder;
    dynbi_buffer key, value;
    dynb_item item;
    store s;
    uint32_t n;
    int is_there;
    dynb_rc rc;
    memset(&builder, 0, sizeof builder);
    begin(&s, 1);
    item = make_owned(&builder, "a", 'a', 3000);
    for (n = 1; n <= 4; ++n) {
        const dynbi_index *index = &table_of(&s, "Things")->indexes[0];
        memset(&key, 0, sizeof key);
        memset(&value, 0, sizeof value);
        key.allocator = value.allocator = &s.config.allocator;
        s.memory.call_count = 0;
        s.memory.fail_at = n;
        rc = dynbi_index_entry(index, item, 1, &key, &value, &is_there, &kit_err);
        s.memory.fail_at = 0;
        if (n < 4) {
            CHECK(rc == DYNB_NO_MEMORY && kit_err.code == rc);
            CHECK_TEXT(kit_err.message, messages[n - 1]);
        } else {
            CHECK_INT(rc, DYNB_OK);
            CHECK(is_there && value.used_bytes > 3000);
        }
        dynbi_buffer_free(&key);
        dynbi_buffer_free(&value);
    }

    MUST(put_owned(&s, "a", 'a', 1));
    for (n = 1, rc = DYNB_NO_MEMORY; rc == DYNB_NO_MEMORY && n < 30; ++n) {
        uint64_t lsn = s.db->log.tail.lsn;
        s.memory.call_count = 0;
        s.memory.fail_at = n;
        s.memory.fail_from = 1;
        rc = put_owned(&s, "a", 'b', 3000);
        s.memory.fail_at = 0;
        s.memory.fail_from = 0;
        if (rc != DYNB_OK) {
            CHECK_INT(rc, DYNB_NO_MEMORY);
            CHECK_INT(s.db->log.tail.lsn, lsn);
            CHECK_INT(count_entries(&s, 'a'), 1);
        }
    }
    CHECK_INT(rc, DYNB_OK);
    CHECK_INT(count_entries(&s, 'b'), 1);
    dynb_builder_free(&builder);
    store_end(&s);
}

/* Each allocation of what a backup's record becomes fails once. */
static void test_publish_memory(void)
{
    store s;
    char arn[DYNB_ARN_MAX + 1];
    dynbi_snapshot snapshot;
    dynbi_table *table;
    dynb_rc rc = DYNB_NO_MEMORY;
    uint32_t n, failed_count = 0;
    dynbi_run many[200];
    begin(&s, 1);
    put_many(&s, 20, 'a');
    fold_run(&s, "Things");
    put_many(&s, 10, 'b');
    back_up(&s, "Things", arn);
    CHECK_INT(s.db->pending_count, 1);
    table = table_of(&s, "Things");
    for (n = 1; rc == DYNB_NO_MEMORY && n < 30; ++n) {
        const uint64_t live_count = s.memory.live_count;
        dynbi_table_snapshot(table, &snapshot);
        MUST(dynbi_change_begin(s.db, &kit_err));
        s.memory.call_count = 0;
        s.memory.fail_at = n;
        rc = dynbi_publish_backup(s.db, &s.db->pending[0], &snapshot, 0, &kit_err);
        s.memory.fail_at = 0;
        failed_count += rc != DYNB_OK;
        CHECK(rc == DYNB_OK || kit_err.code == DYNB_NO_MEMORY);
        CHECK_INT(s.db->op_count, rc == DYNB_OK);
        CHECK(s.memory.live_count <= live_count + 2); /* buffers that are kept */
        s.db->op_count = 0;
    }
    CHECK_INT(rc, DYNB_OK);
    CHECK(failed_count >= 2);
    CHECK_INT(look_up(&s, arn).status, DYNB_BACKUP_CREATING);
    for (n = 0; n < 200; ++n) /* a record that outgrows what the one before took */
        many[n] = table->sets[0].run[0];
    dynbi_buffer_free(&s.db->record);
    dynbi_buffer_free(&s.db->key);
    for (n = 1, rc = DYNB_NO_MEMORY, failed_count = 0; rc == DYNB_NO_MEMORY && n < 30; ++n) {
        dynbi_table_snapshot(table, &snapshot);
        snapshot.sets[0].run = many;
        snapshot.sets[0].count = 200;
        MUST(dynbi_change_begin(s.db, &kit_err));
        s.memory.call_count = 0;
        s.memory.fail_at = n;
        rc = dynbi_publish_backup(s.db, &s.db->pending[0], &snapshot, 0, &kit_err);
        s.memory.fail_at = 0;
        failed_count += rc != DYNB_OK;
        CHECK_INT(s.db->op_count, rc == DYNB_OK);
        s.db->op_count = 0;
    }
    CHECK_INT(rc, DYNB_OK);
    CHECK(failed_count >= 3);
    MUST(dynb_wait_idle(s.db, &kit_err));
    CHECK_INT(look_up(&s, arn).status, DYNB_BACKUP_AVAILABLE);
    CHECK_INT(look_up(&s, arn).source.global_indexes[0].item_count, 20);
    store_end(&s);
}

/* ------------------------------------------------------------- backups -- */

/* The indexes of a backup can be read once it is built, its table before. */
static void test_read_pending(void)
{
    static const char refused[] = "the backup is being created: its indexes cannot be read yet, "
                                  "only its table";
    store s;
    char arn[DYNB_ARN_MAX + 1];
    dynb_scan_input scan;
    dynb_query_input query;
    dynb_builder builder;
    dynb_page page;
    memset(&builder, 0, sizeof builder);
    begin(&s, 1);
    put_many(&s, 5, 'a');
    back_up(&s, "Things", arn);
    put_many(&s, 7, 'b');
    CHECK_INT(look_up(&s, arn).status, DYNB_BACKUP_CREATING);
    memset(&scan, 0, sizeof scan);
    scan.backup_arn = arn;
    MUST(dynb_scan(s.db, &scan, &page, &s.result, &kit_err));
    CHECK_INT(page.count, 5);
    scan.index_name = "by-owner";
    memset(&page, 1, sizeof page);
    EXPECT_MESSAGE(dynb_scan(s.db, &scan, &page, &s.result, &kit_err), DYNB_VALIDATION, refused);
    CHECK(page.count == 0 && page.items == NULL);
    memset(&query, 0, sizeof query);
    query.backup_arn = arn;
    query.index_name = "by-owner";
    query.partition_key = dynb_item_get(make_owned(&builder, "a", 'a', 1), "owner");
    EXPECT_MESSAGE(dynb_query(s.db, &query, &page, &s.result, &kit_err), DYNB_VALIDATION, refused);
    MUST(dynb_wait_idle(s.db, &kit_err));
    MUST(dynb_query(s.db, &query, &page, &s.result, &kit_err));
    CHECK_INT(page.count, 5);
    MUST(dynb_scan(s.db, &scan, &page, &s.result, &kit_err));
    CHECK_INT(page.count, 5);
    dynb_builder_free(&builder);
    store_end(&s);
}

/* A backup's record names an index its table does not have: it keeps what it has
 * of it, which is nothing; the rest of the backup is built. */
static void test_unknown_index(void)
{
    store s;
    char arn[DYNB_ARN_MAX + 1];
    const dynb_allocator *allocator;
    dynbi_snapshot snapshot;
    dynbi_record record;
    dynbi_buffer *whole, made;
    dynbi_pending *pending;
    begin(&s, 1);
    allocator = &s.config.allocator;
    put_many(&s, 5, 'a');
    back_up(&s, "Things", arn);
    CHECK_INT(s.db->pending_count, 1);
    pending = &s.db->pending[0];
    whole = record_of(&s, pending->key, pending->key_size);
    MUST(dynbi_record_split(whole->bytes, whole->used_bytes, 1, &record, &kit_err));
    MUST(dynbi_snapshot_read(allocator, &record, &snapshot, &kit_err));
    CHECK_INT(snapshot.index_count, 1);
    snapshot.indexes[0].id += 50;
    if (!snapshot.index_room)
        CHECK(dynbi_snapshot_open(allocator, &snapshot, 0));
    CHECK(dynbi_snapshot_define(allocator, &snapshot, 1));
    memset(&made, 0, sizeof made);
    made.allocator = allocator;
    MUST(dynbi_record_make(&made, &record, &snapshot, &kit_err));
    dynbi_snapshot_free(allocator, &snapshot);
    plant_record(&s, pending->key, pending->key_size, made.bytes, made.used_bytes);
    dynbi_buffer_free(&made);
    MUST(dynb_wait_idle(s.db, &kit_err));
    CHECK_INT(look_up(&s, arn).status, DYNB_BACKUP_AVAILABLE);
    CHECK_INT(look_up(&s, arn).source.item_count, 5);
    CHECK_INT(look_up(&s, arn).source.global_indexes[0].item_count, 0);
    CHECK_INT(count_entries(&s, 0), 5);
    store_end(&s);
}

/* What a restore overrides: an encryption there is not, and an index that
 * includes another attribute. */
static void test_restore_overrides(void)
{
    static const char *const other[] = {"w"};
    store s;
    char arn[DYNB_ARN_MAX + 1];
    dynb_restore_input input;
    dynb_index index = by_owner();
    begin(&s, 1);
    put_many(&s, 3, 'a');
    back_up(&s, "Things", arn);
    MUST(dynb_wait_idle(s.db, &kit_err));
    memset(&input, 0, sizeof input);
    input.target_table_name = "Back";
    input.backup_arn = arn;
    input.overrides.override = DYNB_OVERRIDE_ENCRYPTION;
    input.overrides.encryption = (dynb_encryption)9;
    EXPECT_MESSAGE(dynb_restore_table_from_backup(s.db, &input, NULL, NULL, &kit_err),
                   DYNB_INVALID_ARGUMENT, "overrides.encryption is not one of its values");
    memset(&input.overrides, 0, sizeof input.overrides);
    index.non_key_attributes = other;
    input.overrides.global_indexes = &index;
    input.overrides.global_index_count = 1;
    EXPECT_MESSAGE(dynb_restore_table_from_backup(s.db, &input, NULL, NULL, &kit_err),
                   DYNB_VALIDATION,
                   "Invalid Request: Index by-owner does not match a secondary index that existed "
                   "in the source table and cannot be created during the restore operation");
    CHECK_INT(s.db->live_count, 1);
    index = by_owner();
    MUST(dynb_restore_table_from_backup(s.db, &input, NULL, NULL, &kit_err));
    CHECK_INT(s.db->live_count, 2);
    store_end(&s);
}

/* ------------------------------------------- indexes gone under the work -- */

/* A table whose index has two runs, neither counted. */
static dynbi_table *make_runs(store *s)
{
    dynbi_table *table;
    begin(s, 1);
    put_many(s, 200, 'a');
    fold_run(s, "Things");
    put_many(s, 200, 'b');
    fold_run(s, "Things");
    table = table_of(s, "Things");
    CHECK_INT(table->indexes[0].runs.count, 2);
    CHECK(table->has_uncounted);
    return table;
}

/* The index goes at once, as it does when the lock is free between two steps. */
static void remove_index(store *s)
{
    MUST(change_index(s, DYNB_DELETE_INDEX));
    MUST(dynbi_worker_remove_indexes(s->db, &kit_err));
    CHECK_INT(table_of(s, "Things")->index_count, 0);
}

/* Nothing of the index is left, and the table is whole. */
static void check_gone(store *s)
{
    dynbi_table *table = table_of(s, "Things");
    CHECK_INT(table->job_count, 0);
    CHECK_INT(table->index_count, 0);
    MUST(dynb_wait_idle(s->db, &kit_err));
    CHECK_INT(table->sets[0].run[0].item_delta, 200);
    EXPECT(dynb_check(s->db, NULL, NULL, NULL, &kit_err), DYNB_OK);
    EXPECT(dynb_scrub(s->db, &kit_err), DYNB_OK);
    store_end(s);
}

static void test_tidy_gone(void)
{
    store s;
    dynbi_table *table = make_runs(&s);
    dynbi_job *job = &s.db->worker->job[1];
    uint64_t folds;
    int i;
    MUST(dynbi_tidy_start(job, table, 1, 0, 2, &kit_err));
    for (i = 0; i < 100 && job->kind && !job->fold.written_bytes; ++i)
        MUST(dynbi_job_step(s.db->worker, job, 1024, &kit_err));
    CHECK_INT(job->kind, DYNBI_JOB_TIDY);
    remove_index(&s);
    folds = s.db->folds_count;
    for (i = 0; i < 1000 && job->kind; ++i)
        MUST(dynbi_job_step(s.db->worker, job, 4096, &kit_err));
    CHECK_INT(job->kind, DYNBI_JOB_NONE);
    CHECK_INT(s.db->folds_count, folds); /* nothing was published */
    CHECK_INT(table->sets[0].count, 2);
    check_gone(&s);
}

/* Counting ends: at its end, or at the worker's next step. */
static void test_count_gone(void)
{
    int is_stepped;
    for (is_stepped = 0; is_stepped < 2; ++is_stepped) {
        store s;
        dynbi_table *table = make_runs(&s);
        dynbi_worker *worker = s.db->worker;
        int has_worked;
        MUST(dynbi_count_start(worker, table, table->indexes[0].id, &table->indexes[0].runs,
                               &kit_err));
        CHECK_INT(table->job_count, 1);
        MUST(dynbi_count_step(worker, 1, &kit_err));
        CHECK(worker->count.is_active);
        remove_index(&s);
        CHECK(worker->count.is_active);
        if (is_stepped)
            MUST(dynbi_worker_step(s.db, 1, 0, &has_worked, &kit_err));
        else
            MUST(dynbi_count_step(worker, 1 << 20, &kit_err));
        CHECK(!worker->count.is_active);
        check_gone(&s);
    }
}

/* --------------------------------------------------------------- scrub -- */

/* Memory lacks an index that the snapshot and the log have. */
static void test_scrub(void)
{
    store s;
    begin(&s, 1);
    put_many(&s, 3, 'a');
    EXPECT(dynb_scrub(s.db, &kit_err), DYNB_OK);
    --table_of(&s, "Things")->index_count;
    EXPECT_MESSAGE(dynb_scrub(s.db, &kit_err), DYNB_CORRUPT,
                   "table Things has 0 indexes, but 1 in the rebuilt state");
    ++table_of(&s, "Things")->index_count;
    EXPECT(dynb_scrub(s.db, &kit_err), DYNB_OK);
    store_end(&s);
}

int main(void)
{
    test_replace_damaged();
    test_fill_damaged();
    test_entry_memory();
    test_publish_memory();
    test_read_pending();
    test_unknown_index();
    test_restore_overrides();
    test_tidy_gone();
    test_count_gone();
    test_scrub();
    return check_report("unit_entries");
}
