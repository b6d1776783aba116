/* unit_catalog.c - section 24's records of backups: many at once, at the edges of
 * time and memory, damaged, and on a device that does not read. */
#include "store.h"

#define BACKUPS 40u
#define ID_SIZE DYNBI_BACKUP_ID_SIZE

/* -------------------------------------------------------------- creating -- */

/* Twenty backups of one marker that all wait for their changes to be folded, also
 * across a power cut. */
static void test_many_pending(void)
{
    static char names[20][16];
    const char *list[20];
    char arns[20][DYNB_ARN_MAX + 1];
    dynb_backup_description about[20];
    store s;
    uint32_t i;
    store_begin(&s);
    s.config.memory_bytes = 8 << 20; /* nothing is folded for want of memory */
    store_open(&s);
    for (i = 0; i < 20; ++i) {
        snprintf(names[i], sizeof names[i], "Table-%u", (unsigned)i);
        list[i] = names[i];
        MUST(kit_create_table(s.db, names[i], NULL));
        MUST(kit_put(s.db, names[i], "a", (int64_t)i));
    }
    MUST(dynb_create_backups(s.db, list, 20, "all", about, &s.result, &kit_err));
    for (i = 0; i < 20; ++i) {
        CHECK_INT(about[i].status, DYNB_BACKUP_CREATING);
        CHECK_INT(about[i].lsn, about[0].lsn);
        kit_copy(arns[i], sizeof arns[i], about[i].backup_arn);
    }
    CHECK_INT(s.db->pending_count, 20);
    store_crash(&s);
    CHECK_INT(s.db->pending_count, 20);
    MUST(kit_put(s.db, names[7], "a", 100));
    MUST(kit_put(s.db, names[7], "b", 100));
    MUST(dynb_wait_idle(s.db, &kit_err));
    CHECK_INT(s.db->pending_count, 0);
    for (i = 0; i < 20; ++i) {
        dynb_backup_description built = look_up(&s, arns[i]);
        CHECK_INT(built.status, DYNB_BACKUP_AVAILABLE);
        CHECK_INT(built.source.item_count, 1);
        MUST(kit_restore(s.db, arns[i], "Back"));
        CHECK_INT(kit_get(s.db, "Back", "a"), (int64_t)i);
        CHECK_INT(kit_get(s.db, "Back", "b"), -1);
        MUST(dynb_delete_table(s.db, "Back", NULL, NULL, &kit_err));
    }
    store_end(&s);
}

/* A change that memory could not take left an empty generation: whether a backup
 * is built at once depends on the changes before it. */
static void test_empty_generation(void)
{
    store s;
    dynbi_change change;
    dynbi_log_mark mark;
    dynbi_table *table;
    char arn[DYNB_ARN_MAX + 1];
    int is_folded;
    for (is_folded = 0; is_folded < 2; ++is_folded) {
        store_begin(&s);
        store_open(&s);
        MUST(kit_create_table(s.db, "Table", NULL));
        MUST(kit_put(s.db, "Table", "a", 1));
        table = table_of(&s, "Table");
        dynbi_store_freeze(s.db, table->newest);
        memset(&change, 0, sizeof change);
        change.key = (const uint8_t *)"b";
        change.key_size = 1;
        change.is_tombstone = 1;
        MUST(dynbi_change_begin(s.db, &kit_err));
        MUST(dynbi_change_add(s.db, table, 0, &change, &kit_err));
        dynbi_pool_trim(&s.db->pool);
        mark = s.db->log.tail;
        s.memory.call_count = 0;
        s.memory.fail_at = 2;
        EXPECT_ABOUT(dynbi_change_reserve(s.db, &mark, &kit_err), DYNB_NO_MEMORY,
                     "no memory to remember");
        s.memory.fail_at = 0;
        s.db->op_count = 0;
        CHECK(table->newest->entry_count == 0 && table->newest->next);
        if (is_folded)
            MUST(dynb_wait_idle(s.db, &kit_err));
        CHECK_INT(table->newest->entry_count, 0);
        back_up(&s, "Table", arn);
        CHECK_INT(look_up(&s, arn).status,
                  is_folded ? DYNB_BACKUP_AVAILABLE : DYNB_BACKUP_CREATING);
        MUST(kit_put(s.db, "Table", "a", 2));
        MUST(dynb_wait_idle(s.db, &kit_err));
        CHECK_INT(look_up(&s, arn).status, DYNB_BACKUP_AVAILABLE);
        MUST(kit_restore(s.db, arn, "Back"));
        CHECK_INT(kit_get(s.db, "Back", "a"), 1);
        store_end(&s);
    }
}

/* Ids have 14 digits for the time: later than that it is always the year 5138. */
static void test_late_time(void)
{
    static const uint64_t last_ms = 99999999999999u;
    store s;
    char arns[3][DYNB_ARN_MAX + 1];
    dynb_list_backups_input input;
    dynb_backup_list list;
    uint32_t i;
    store_begin(&s);
    s.clock.step_ms = 0;
    store_open(&s);
    s.clock.now_ms = last_ms - 1;
    MUST(kit_create_table(s.db, "Table", NULL));
    for (i = 0; i < 3; ++i, ++s.clock.now_ms) {
        back_up(&s, "Table", arns[i]);
        CHECK(strstr(arns[i], i == 0 ? "/99999999999998-" : "/99999999999999-") != NULL);
        CHECK_INT(look_up(&s, arns[i]).created_at_ms, i == 0 ? last_ms - 1 : last_ms);
    }
    memset(&input, 0, sizeof input);
    input.table = "Table";
    input.from_ms = last_ms;
    MUST(dynb_list_backups(s.db, &input, &list, &s.result, &kit_err));
    CHECK_INT(list.count, 2);
    store_end(&s);
}

/* ------------------------------------------------------- damaged records -- */

/* The catalog key of a backup of table "Leaf". */
static size_t backup_key(const char *arn, uint8_t key[40])
{
    memcpy(key, "BLeaf\0", 6);
    memcpy(key + 6, strstr(arn, "/backup/") + 8, ID_SIZE);
    return 6 + ID_SIZE;
}

/* What is cut off the parts of a backup's record. */
typedef struct cut {
    size_t details, settings, all;
    size_t snapshot_kept; /* 0: all of it */
} cut;

static void plant_cut(store *s, const char *arn, const cut *what)
{
    uint8_t key[40];
    const size_t key_size = backup_key(arn, key);
    dynbi_buffer *whole = record_of(s, key, key_size), made;
    dynbi_record record;
    dynbi_snapshot snapshot;
    memset(&made, 0, sizeof made);
    made.allocator = &s->config.allocator;
    MUST(dynbi_record_split(whole->bytes, whole->used_bytes, 1, &record, &kit_err));
    MUST(dynbi_snapshot_read(&s->config.allocator, &record, &snapshot, &kit_err));
    record.details_size -= what->details;
    record.settings_size -= what->settings;
    MUST(dynbi_record_make(&made, &record, &snapshot, &kit_err));
    dynbi_snapshot_free(&s->config.allocator, &snapshot);
    if (what->snapshot_kept)
        made.used_bytes -= record.snapshot_size - what->snapshot_kept;
    plant_record(s, key, key_size, made.bytes, what->all ? what->all : made.used_bytes);
    dynbi_buffer_free(&made);
}

/* Records that were cut short: whoever reads them says so. */
static void test_cut_records(void)
{
    static const char damaged[] = "a record of the catalog is damaged";
    static const cut cuts[] = {{1, 0, 0, 0}, {0, 1000, 0, 0}, {0, 0, 2, 0}, {0, 0, 0, 1}};
    size_t i;
    for (i = 0; i < sizeof cuts / sizeof *cuts; ++i) {
        store s;
        char arn[DYNB_ARN_MAX + 1];
        cut what = cuts[i];
        dynb_backup_description about;
        dynb_backup_list list;
        store_begin(&s);
        store_open(&s);
        MUST(kit_create_table(s.db, "Leaf", NULL));
        fill(&s, "Leaf", 'a', 3, 1, 10);
        MUST(dynb_wait_idle(s.db, &kit_err));
        back_up(&s, "Leaf", arn);
        if (what.settings)
            what.settings = table_of(&s, "Leaf")->settings_size - 4;
        plant_cut(&s, arn, &what);
        memset(&about, 1, sizeof about);
        EXPECT_MESSAGE(dynb_describe_backup(s.db, arn, &about, &s.result, &kit_err), DYNB_CORRUPT,
                       damaged);
        CHECK(about.backup_arn == NULL && about.size_bytes == 0);
        EXPECT_MESSAGE(dynb_list_backups(s.db, NULL, &list, &s.result, &kit_err), DYNB_CORRUPT,
                       damaged);
        CHECK(list.count == 0 && list.backups == NULL);
        EXPECT(dynb_check(s.db, NULL, NULL, NULL, &kit_err), DYNB_CORRUPT);
        CHECK_INT(kit_get(s.db, "Leaf", "a00002"), 1);
        dynbi_api_free(s.db); /* what was planted is nowhere logged */
        s.db = NULL;
        store_end(&s);
    }
}

/* The record of a backup that is being built is damaged: it stays as it is, and
 * its table is not worked on any more; others are. */
static void test_cut_pending(void)
{
    static const cut cuts[] = {{1, 0, 0, 0}, {0, 0, 2, 0}};
    size_t i;
    for (i = 0; i < sizeof cuts / sizeof *cuts; ++i) {
        store s;
        char arn[DYNB_ARN_MAX + 1];
        store_begin(&s);
        store_open(&s);
        MUST(kit_create_table(s.db, "Leaf", NULL));
        fill(&s, "Leaf", 'a', 3, 1, 10);
        back_up(&s, "Leaf", arn);
        plant_cut(&s, arn, &cuts[i]);
        EXPECT_MESSAGE(dynb_wait_idle(s.db, &kit_err), DYNB_CORRUPT,
                       "a record of the catalog is damaged");
        CHECK_INT(table_of(&s, "Leaf")->is_damaged, 1);
        CHECK_INT(table_of(&s, "Leaf")->sets[0].count, 0);
        CHECK_INT(s.db->pending_count, 1);
        CHECK_INT(kit_get(s.db, "Leaf", "a00002"), 1);
        dynbi_api_free(s.db);
        s.db = NULL;
        store_end(&s);
    }
}

/* --------------------------------------------- a device that does not read -- */

static dynb_rc no_read(void *ctx, uint64_t pos, void *to, size_t size)
{
    (void)ctx;
    (void)pos;
    memset(to, 0xee, size);
    return DYNB_IO_FAILED;
}

/* Moves the catalog's changes to its tree on the device. */
static void checkpoint(store *s)
{
    dynbi_job *job = &s->db->worker->job[0];
    MUST(dynbi_checkpoint_start(job, &kit_err));
    while (job->kind)
        MUST(dynbi_job_step(s->db->worker, job, 1 << 20, &kit_err));
    while (s->db->worker->is_marking)
        MUST(dynbi_mark_step(s->db->worker, 1 << 20, &kit_err));
    CHECK_INT(dynbi_table_is_folded(&s->db->catalog), 1);
    forget_reads(s);
}

/* Each read of a list fails once: of a long one, and of one that wants no backup
 * and passes by all. */
static void test_list_reads(void)
{
    store s;
    dynb_list_backups_input input;
    dynb_backup_list list;
    char arn[DYNB_ARN_MAX + 1];
    uint32_t i, n;
    int wants_none;
    store_begin(&s);
    store_open(&s);
    MUST(kit_create_table(s.db, "Table", NULL));
    MUST(kit_put(s.db, "Table", "a", 1));
    for (i = 0; i < BACKUPS; ++i)
        back_up(&s, "Table", arn);
    MUST(dynb_wait_idle(s.db, &kit_err));
    memset(&input, 0, sizeof input);
    for (wants_none = 0; wants_none < 2; ++wants_none) {
        dynb_rc rc = DYNB_IO_FAILED;
        input.from_ms = wants_none ? s.clock.now_ms + 1 : 0;
        for (n = 1; rc == DYNB_IO_FAILED && n < 200; ++n) {
            forget_reads(&s);
            s.device.plan_mode = FAULT_ONCE;
            s.device.plan_call = s.device.call_count + n;
            rc = dynb_list_backups(s.db, &input, &list, &s.result, &kit_err);
            CHECK(rc == DYNB_OK || (rc == DYNB_IO_FAILED && kit_err.code == rc && !list.count));
        }
        s.device.plan_call = 0;
        CHECK_INT(rc, DYNB_OK);
        CHECK_INT(list.count, wants_none ? 0 : BACKUPS);
        CHECK(n > 10); /* the root and a leaf or more for every few records */
    }
    store_end(&s);
}

/* The record of a backup that is being built cannot be read just then: what was
 * folded is folded again later. */
static void test_publish_reads(void)
{
    store s;
    char arn[DYNB_ARN_MAX + 1];
    dynbi_job *job;
    dynbi_table *table;
    dynb_rc rc = DYNB_OK;
    store_begin(&s);
    store_open(&s);
    MUST(kit_create_table(s.db, "Table", NULL));
    fill(&s, "Table", 'a', 3, 1, 10);
    back_up(&s, "Table", arn);
    checkpoint(&s);
    table = table_of(&s, "Table");
    job = &s.db->worker->job[0];
    dynbi_store_freeze(s.db, table->newest);
    MUST(dynbi_run_start(job, table, dynbi_table_oldest(table), &kit_err));
    s.db->disk.device.read_fn = no_read;
    while (job->kind && rc == DYNB_OK)
        rc = dynbi_job_step(s.db->worker, job, 1 << 20, &kit_err);
    s.db->disk.device.read_fn = fault_read;
    CHECK_INT(rc, DYNB_IO_FAILED);
    CHECK(strstr(kit_err.message, "the device failed to read") != NULL);
    CHECK_INT(table->sets[0].count, 0);
    CHECK_INT(look_up(&s, arn).status, DYNB_BACKUP_CREATING);
    MUST(dynb_wait_idle(s.db, &kit_err));
    CHECK_INT(look_up(&s, arn).status, DYNB_BACKUP_AVAILABLE);
    CHECK_INT(look_up(&s, arn).source.item_count, 3);
    store_end(&s);
}

/* A table with an index, by v. */
static void create_indexed(store *s, const char *name)
{
    dynb_create_table_input input;
    dynb_index index;
    memset(&input, 0, sizeof input);
    memset(&index, 0, sizeof index);
    index.index_name = "by-v";
    index.partition_key.name = "v";
    index.partition_key.type = DYNB_N;
    input.table_name = name;
    input.partition_key.name = "Id";
    input.partition_key.type = DYNB_S;
    input.global_indexes = &index;
    input.global_index_count = 1;
    MUST(dynb_create_table(s->db, &input, NULL, NULL, &kit_err));
}

/* A backup whose changes replay folded before it came to the marker is completed
 * as soon as it can be: not without memory, not while the catalog cannot be read. */
static void test_publish_pending(void)
{
    store s;
    char arn[DYNB_ARN_MAX + 1];
    dynb_rc rc = DYNB_NO_MEMORY;
    dynbi_table *table;
    int pending = 1;
    uint32_t n, lacked_count = 0;
    store_begin(&s);
    store_open(&s);
    create_indexed(&s, "Table");
    fill(&s, "Table", 'a', 3, 1, 10);
    back_up(&s, "Table", arn);
    table = table_of(&s, "Table");
    table->pending_count = 0; /* as if the marker were not known yet */
    fold_run(&s, "Table");
    table->pending_count = 1;
    CHECK_INT(look_up(&s, arn).status, DYNB_BACKUP_CREATING);
    checkpoint(&s);
    s.db->disk.device.read_fn = no_read;
    EXPECT(dynb_work(s.db, 1, &pending, &kit_err), DYNB_IO_FAILED);
    s.db->disk.device.read_fn = fault_read;
    CHECK_INT(look_up(&s, arn).status, DYNB_BACKUP_CREATING);
    for (n = 1; rc == DYNB_NO_MEMORY && n < 50; ++n) {
        CHECK_INT(s.db->pending_count, 1);
        s.memory.call_count = 0;
        s.memory.fail_at = n;
        rc = dynbi_worker_publish_pending(s.db, &kit_err);
        s.memory.fail_at = 0;
        lacked_count += rc && strcmp(kit_err.message, "no memory for a list of indexes") == 0;
    }
    CHECK_INT(rc, DYNB_OK);
    CHECK_INT(lacked_count, 1); /* the lists of runs are the table's own */
    CHECK_INT(s.db->pending_count, 0);
    CHECK_INT(look_up(&s, arn).status, DYNB_BACKUP_AVAILABLE);
    CHECK_INT(look_up(&s, arn).source.item_count, 3);
    EXPECT(dynb_scrub(s.db, &kit_err), DYNB_OK);
    store_end(&s);
}

/* ---------------------------------------------------------------- memory -- */

/* The start of a list, after a backup whose key just fills its memory. */
static void test_full_start(void)
{
    char name[40], arn[DYNB_ARN_MAX + 1];
    store s;
    dynb_list_backups_input input;
    dynb_backup_list list;
    dynb_rc rc = DYNB_NO_MEMORY;
    uint32_t n, lacked_count = 0;
    memset(name, 'n', 39); /* with a letter, a zero and the id: 64 bytes */
    name[39] = 0;
    store_begin(&s);
    store_open(&s);
    MUST(kit_create_table(s.db, name, NULL));
    back_up(&s, name, arn);
    back_up(&s, name, arn);
    memset(&input, 0, sizeof input);
    input.start_after_arn = arn;
    for (n = 1; rc == DYNB_NO_MEMORY && n < 50; ++n) {
        dynbi_buffer_free(&s.db->key);
        dynb_result_free(&s.result);
        s.memory.call_count = 0;
        s.memory.fail_at = n;
        rc = dynbi_backup_list_run(s.db, &input, &list, &s.result, &kit_err);
        lacked_count += rc && strcmp(kit_err.message, "no memory for a key") == 0;
    }
    s.memory.fail_at = 0;
    CHECK_INT(rc, DYNB_OK);
    CHECK_INT(list.count, 0);
    CHECK_INT(lacked_count, 3); /* where any list starts, a copy, the byte behind the backup */
    store_end(&s);
}

/* What a store needs in memory follows from its pages and nodes, too. */
static void test_least_memory(void)
{
    store s;
    uint64_t least = 0;
    const char *at;
    store_begin(&s);
    s.config.page_size_bytes = 32768;
    s.config.memory_bytes = 65536;
    EXPECT_ABOUT(store_try(&s), DYNB_INVALID_ARGUMENT,
                 "config.memory_bytes is 65536; a store of 0 pages with nodes of 32768 bytes "
                 "needs at least ");
    CHECK(s.db == NULL);
    CHECK_INT(s.memory.live_count, 0);
    for (at = strrchr(kit_err.message, ' ') + 1; *at >= '0' && *at <= '9'; ++at)
        least = least * 10 + (uint64_t)(*at - '0');
    CHECK(*at == 0 && least > 65536);
    s.config.memory_bytes = least; /* what it asks for is enough */
    store_open(&s);
    MUST(kit_create_table(s.db, "Table", NULL));
    MUST(kit_put(s.db, "Table", "a", 1));
    MUST(dynb_wait_idle(s.db, &kit_err));
    CHECK_INT(kit_get(s.db, "Table", "a"), 1);
    store_end(&s);
}

int main(void)
{
    test_many_pending();
    test_empty_generation();
    test_late_time();
    test_cut_records();
    test_cut_pending();
    test_list_reads();
    test_publish_reads();
    test_publish_pending();
    test_full_start();
    test_least_memory();
    return check_report("unit_catalog");
}
