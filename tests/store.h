/* store.h - what the unit tests of sections 22 to 26 share: a small store (as in
 * kit_store.h) that works only when told to, and ways to look and to change things
 * inside it.
 *
 * Sums can be switched off (sums_are_off), so that a node changed on the device
 * is read as if it had been written so. */
#ifndef STORE_H
#define STORE_H

static int sums_are_off;
#define DYNBI_SUMS_DIFFER(a, b) (!sums_are_off && (a) != (b))
#define DYNBACKUP_IMPLEMENTATION
#define DYNBACKUP_KEEP_MACROS
#include "../dynbackup.h"

#include "kit_store.h"

/* A store on an empty device, not open yet; small, and nothing works by itself. */
static inline void store_begin(store *s)
{
    store_init(s);
    s->config.page_size_bytes = 512;
    s->config.memory_bytes = 1 << 20;
    s->config.manual_work = 1;
}

/* A power cut that loses nothing, then recovery. */
static inline void store_crash(store *s)
{
    dynbi_api_free(s->db);
    store_open(s);
}

static inline void store_end(store *s)
{
    if (s->db)
        (void)dynb_close(s->db, &kit_err);
    store_free(s);
}

/* count items, whose Ids are `prefix` and a number, with v and padding. */
static inline void fill(store *s, const char *table, char prefix, uint32_t count, int64_t v,
                        size_t pad)
{
    dynb_builder builder;
    uint32_t i;
    memset(&builder, 0, sizeof builder);
    for (i = 0; i < count; ++i) {
        char id[16];
        snprintf(id, sizeof id, "%c%05u", prefix, (unsigned)i);
        MUST(dynb_put_item(s->db, table, kit_padded_item(&builder, id, v, pad), NULL, NULL, NULL,
                           &kit_err));
    }
    dynb_builder_free(&builder);
}

static inline dynb_backup_description look_up(store *s, const char *arn)
{
    dynb_backup_description about;
    MUST(dynb_describe_backup(s->db, arn, &about, &s->result, &kit_err));
    return about;
}

static inline void check_told_indexes(const dynb_index_description *told,
                                      const dynb_index_description *now, uint32_t count)
{
    uint32_t i;
    for (i = 0; i < count; ++i) {
        CHECK_TEXT(told[i].index.index_name, now[i].index.index_name);
        CHECK_TEXT(told[i].index_arn, now[i].index_arn);
        CHECK_TEXT(told[i].index.partition_key.name, now[i].index.partition_key.name);
        CHECK_INT(told[i].index.projection, now[i].index.projection);
        CHECK_INT(told[i].index.provisioned.read_units, now[i].index.provisioned.read_units);
        CHECK_INT(told[i].status, now[i].status);
        CHECK_INT(told[i].backfilling, now[i].backfilling);
        CHECK_INT(told[i].item_count, now[i].item_count);
        CHECK_INT(told[i].size_bytes, now[i].size_bytes);
    }
}

/* What a call that makes a backup tells of it is what describing it tells. */
static inline void check_told(store *s, const dynb_backup_description *told)
{
    const dynb_table_description *from = &told->source;
    dynb_backup_description now;
    dynb_result result;
    memset(&result, 0, sizeof result);
    MUST(dynb_describe_backup(s->db, told->backup_arn, &now, &result, &kit_err));
    CHECK_TEXT(told->backup_name, now.backup_name);
    CHECK_INT(told->status, now.status);
    CHECK_INT(told->lsn, now.lsn);
    CHECK_INT(told->created_at_ms, now.created_at_ms);
    CHECK_INT(told->size_bytes, now.size_bytes);
    CHECK_TEXT(from->table_arn, now.source.table_arn);
    CHECK_INT(from->item_count, now.source.item_count);
    CHECK_INT(from->size_bytes, now.source.size_bytes);
    CHECK_INT(from->global_index_count, now.source.global_index_count);
    CHECK_INT(from->local_index_count, now.source.local_index_count);
    if (from->global_index_count == now.source.global_index_count)
        check_told_indexes(from->global_indexes, now.source.global_indexes,
                           from->global_index_count);
    if (from->local_index_count == now.source.local_index_count)
        check_told_indexes(from->local_indexes, now.source.local_indexes, from->local_index_count);
    dynb_result_free(&result);
}

static inline void back_up(store *s, const char *table, char arn[DYNB_ARN_MAX + 1])
{
    dynb_backup_description about;
    MUST(dynb_create_backup(s->db, table, "back-up", &about, &s->result, &kit_err));
    /* else it may be further by now, or a request too many */
    if (s->config.manual_work && !s->config.describe_backup_per_second)
        check_told(s, &about);
    kit_copy(arn, DYNB_ARN_MAX + 1, about.backup_arn);
}

static inline dynbi_table *table_of(store *s, const char *name)
{
    return dynbi_store_find_table(s->db, name, strlen(name));
}

/* Freezes what a table holds and folds it to a run, with no other work. */
static inline void fold_run(store *s, const char *name)
{
    dynbi_table *table = table_of(s, name);
    const uint64_t folds = s->db->folds_count;
    int i, has_worked = 1;
    dynbi_store_freeze(s->db, table->newest);
    for (i = 0; i < 1000 && s->db->folds_count == folds; ++i)
        MUST(dynbi_worker_step(s->db, (uint64_t)1 << 20, 0, &has_worked, &kit_err));
    CHECK(s->db->folds_count > folds);
}

/* Puts a record into the catalog as if it had been logged, but unchecked: what
 * it says is not put in place. */
static inline void plant_record(store *s, const uint8_t *key, size_t key_size,
                                const uint8_t *value, size_t value_size)
{
    dynbi_change change;
    dynbi_log_mark mark = s->db->log.tail;
    memset(&change, 0, sizeof change);
    change.key = key;
    change.key_size = (uint32_t)key_size;
    change.value = value;
    change.value_size = (uint32_t)value_size;
    MUST(dynbi_store_begin_writing(s->db, &kit_err));
    MUST(dynbi_change_begin(s->db, &kit_err));
    MUST(dynbi_change_add(s->db, &s->db->catalog, 0, &change, &kit_err));
    MUST(dynbi_change_reserve(s->db, &mark, &kit_err));
    dynbi_apply(s->db, &s->db->ops[0], s->db->frame.bytes, s->db->log.tail.lsn + 1);
    s->db->op_count = 0;
}

/* Logs a change of a user's table, whatever it holds. */
static inline dynb_rc log_change(store *s, dynbi_table *table, const void *key, size_t key_size,
                                 const void *value, size_t value_size)
{
    dynbi_change change;
    dynb_rc rc;
    memset(&change, 0, sizeof change);
    change.key = (const uint8_t *)key;
    change.key_size = (uint32_t)key_size;
    change.value = (const uint8_t *)value;
    change.value_size = (uint32_t)value_size;
    change.is_tombstone = value == NULL;
    rc = dynbi_change_begin(s->db, &kit_err);
    if (rc == DYNB_OK)
        rc = dynbi_change_add(s->db, table, 0, &change, &kit_err);
    if (rc == DYNB_OK)
        rc = dynbi_change_commit(s->db, DYNB_SYNCED, &kit_err);
    return rc;
}

/* The catalog's record of a key; valid until the next call. */
static inline dynbi_buffer *record_of(store *s, const void *key, size_t key_size)
{
    int is_there = 0;
    MUST(dynbi_catalog_get(s->db, (const uint8_t *)key, (uint32_t)key_size, &s->db->record,
                           &is_there, &kit_err));
    CHECK(is_there);
    return &s->db->record;
}

/* Forgets what was read, so that the device is read again. */
static inline void forget_reads(store *s)
{
    dynbi_reader_trim(&s->db->reader);
    dynbi_reader_trim(&s->db->worker->reader);
}

/* Leaves this many pages free, as a full device of fixed size does. */
static inline void leave_free(store *s, uint32_t page_count)
{
    dynbi_pages *pages = &s->db->pages;
    uint32_t page;
    if (dynbi_pages_free_count(pages) < page_count)
        MUST(dynbi_store_grow(s->db, page_count));
    s->db->disk.device.resize_fn = NULL;
    for (page = 0; page < pages->page_count; ++page) {
        if (!dynbi_bit_get(pages->used, page) && dynbi_pages_free_count(pages) > page_count) {
            dynbi_bit_set(pages->used, page);
            ++pages->used_count;
        }
    }
}

/* Leaves as many as tidying may not take, but may need to end early. */
static inline void leave_headroom(store *s)
{
    dynb_rc (*resize_fn)(void *ctx, uint64_t size_bytes) = s->db->disk.device.resize_fn;
    uint32_t kept;
    s->db->disk.device.resize_fn = NULL;
    kept = dynbi_store_headroom(s->db) / 2;
    s->db->disk.device.resize_fn = resize_fn;
    leave_free(s, kept);
}

#endif
