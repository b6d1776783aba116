/* engine_rocksdb.c - RocksDB through its C API, backed up by Checkpoint or by
 * BackupEngine.
 *
 * A commit that is not synced has reached the OS. A checkpoint flushes what is
 * in memory and links the tables, which never change: making it is the marker
 * and all the work; its restore links them too. BackupEngine flushes, copies the
 * tables it does not have yet, and copies them all back at a restore. */
#include "engine.h"

#include <rocksdb/c.h>

#ifndef BENCH_ROCKSDB_VERSION /* the C API does not tell; run.sh does */
#define BENCH_ROCKSDB_VERSION "of an unknown version"
#endif

struct rocks {
    rocksdb_t *db;
    rocksdb_options_t *options;
    rocksdb_cache_t *cache;
    rocksdb_writeoptions_t *plain, *synced;
    rocksdb_writebatch_t *batch;
    rocksdb_checkpoint_t *checkpoint;
    rocksdb_backup_engine_t *backups; /* NULL: Checkpoint is used */
    unsigned live_count;              /* backups that were not dropped */
    char root[PATH_SIZE];
    char directory[PATH_SIZE]; /* of the database, in root */
    uint64_t budget_bytes;
    unsigned made_count; /* names of backups and restored tables */
};

struct rocks_reader {
    rocksdb_t *db;
    rocksdb_readoptions_t *options;
    rocksdb_pinnableslice_t *value;
    struct rocks *owned; /* a restored database, or NULL */
};

static void rocks_must(char *error, const char *call)
{
    if (error)
        die("%s: %s", call, error);
}

static void rocks_version(char text[64])
{
    snprintf(text, 64, "%s", BENCH_ROCKSDB_VERSION);
}

/* Half of the budget for what is not written yet, in two buffers; a third for
 * blocks. */
static void rocks_set_options(struct rocks *r, uint64_t budget_bytes)
{
    rocksdb_block_based_table_options_t *table = rocksdb_block_based_options_create();
    r->cache = rocksdb_cache_create_lru(budget_bytes ? budget_bytes / 3 : (size_t)1 << 30);
    rocksdb_block_based_options_set_block_cache(table, r->cache);
    rocksdb_block_based_options_set_filter_policy(table, rocksdb_filterpolicy_create_bloom(10));
    r->options = rocksdb_options_create();
    rocksdb_options_set_create_if_missing(r->options, 1);
    rocksdb_options_set_block_based_table_factory(r->options, table); /* takes copies */
    rocksdb_block_based_options_destroy(table);
    rocksdb_options_set_compression(r->options, rocksdb_no_compression);
    rocksdb_options_set_write_buffer_size(r->options,
                                          budget_bytes ? budget_bytes / 4 : (size_t)64 << 20);
    rocksdb_options_set_max_background_jobs(r->options, 2);
    rocksdb_options_set_info_log_level(r->options, 3);
}

static struct rocks *rocks_open_at(const char *root, const char *name, uint64_t budget_bytes)
{
    struct rocks *r = get_memory(sizeof *r);
    char *error = NULL;
    snprintf(r->root, sizeof r->root, "%s", root);
    snprintf(r->directory, sizeof r->directory, "%.4000s/%s", root, name);
    r->budget_bytes = budget_bytes;
    rocks_set_options(r, budget_bytes);
    r->plain = rocksdb_writeoptions_create();
    r->synced = rocksdb_writeoptions_create();
    rocksdb_writeoptions_set_sync(r->synced, 1);
    r->batch = rocksdb_writebatch_create();
    r->db = rocksdb_open(r->options, r->directory, &error);
    rocks_must(error, "rocksdb_open");
    return r;
}

static void *rocks_open_checkpoint(const struct engine_setup *setup)
{
    struct rocks *r = rocks_open_at(setup->directory, "store", setup->budget_bytes);
    char *error = NULL;
    r->checkpoint = rocksdb_checkpoint_object_create(r->db, &error);
    rocks_must(error, "rocksdb_checkpoint_object_create");
    return r;
}

static void *rocks_open_backups(const struct engine_setup *setup)
{
    struct rocks *r = rocks_open_at(setup->directory, "store", setup->budget_bytes);
    char path[PATH_SIZE], *error = NULL;
    snprintf(path, sizeof path, "%.4000s/backups", setup->directory);
    r->backups = rocksdb_backup_engine_open(r->options, path, &error);
    rocks_must(error, "rocksdb_backup_engine_open");
    return r;
}

static void rocks_close(void *store)
{
    struct rocks *r = store;
    if (r->checkpoint)
        rocksdb_checkpoint_object_destroy(r->checkpoint);
    if (r->backups)
        rocksdb_backup_engine_close(r->backups);
    rocksdb_close(r->db);
    rocksdb_writebatch_destroy(r->batch);
    rocksdb_writeoptions_destroy(r->plain);
    rocksdb_writeoptions_destroy(r->synced);
    rocksdb_options_destroy(r->options);
    rocksdb_cache_destroy(r->cache);
    free(r);
}

static void rocks_commit(struct rocks *r, enum commit commit)
{
    char *error = NULL;
    rocksdb_write(r->db, commit == COMMIT_SYNC ? r->synced : r->plain, r->batch, &error);
    rocks_must(error, "rocksdb_write");
    rocksdb_writebatch_clear(r->batch);
}

static void rocks_put(void *store, const uint8_t *pairs, uint32_t count, enum commit commit)
{
    struct rocks *r = store;
    for (uint32_t i = 0; i < count; ++i) {
        const char *pair = (const char *)pair_at(pairs, i);
        rocksdb_writebatch_put(r->batch, pair, KEY_BYTES, pair + KEY_BYTES, kit.value_bytes);
    }
    rocks_commit(r, commit);
}

static void rocks_delete(void *store, const uint8_t *pairs, uint32_t count, enum commit commit)
{
    struct rocks *r = store;
    for (uint32_t i = 0; i < count; ++i)
        rocksdb_writebatch_delete(r->batch, (const char *)pair_at(pairs, i), KEY_BYTES);
    rocks_commit(r, commit);
}

static int rocks_is_busy(struct rocks *r)
{
    static const char *const properties[] = {
        "rocksdb.mem-table-flush-pending", "rocksdb.num-running-flushes",
        "rocksdb.compaction-pending", "rocksdb.num-running-compactions",
    };
    for (unsigned i = 0; i < sizeof properties / sizeof properties[0]; ++i) {
        uint64_t number = 0;
        if (rocksdb_property_int(r->db, properties[i], &number) != 0)
            die("RocksDB knows no %s", properties[i]);
        if (number)
            return 1;
    }
    return 0;
}

/* What is in memory goes to a table; then nothing runs or waits to run. */
static void rocks_settle(void *store)
{
    struct rocks *r = store;
    char *error = NULL;
    rocksdb_flushoptions_t *options = rocksdb_flushoptions_create();
    rocksdb_flush(r->db, options, &error);
    rocks_must(error, "rocksdb_flush");
    rocksdb_flushoptions_destroy(options);
    for (unsigned quiet = 0; quiet < 3; quiet = rocks_is_busy(r) ? 0 : quiet + 1)
        sleep_us(1000);
}

static void rocks_stat(void *store, struct engine_stat *stat)
{
    struct rocks *r = store;
    stat->device_bytes = stat->used_bytes = tree_bytes(r->directory, NULL);
    stat->grown_bytes = tree_bytes_but_log(r->root, r->directory, ".log");
}

static void *rocks_reader_of(struct rocks *r, struct rocks *owned)
{
    struct rocks_reader *reader = get_memory(sizeof *reader);
    reader->db = r->db;
    reader->options = rocksdb_readoptions_create();
    reader->owned = owned;
    return reader;
}

static void *rocks_reader_open(void *store)
{
    return rocks_reader_of(store, NULL);
}

static void rocks_reader_close(void *reader)
{
    struct rocks_reader *r = reader;
    rocksdb_readoptions_destroy(r->options);
    free(r);
}

static const uint8_t *rocks_checked(const char *bytes, size_t length, size_t size)
{
    if (bytes && length != size)
        die("RocksDB gives %zu bytes instead of %zu", length, size);
    return (const uint8_t *)bytes;
}

static const uint8_t *rocks_get(void *reader, const uint8_t *key)
{
    struct rocks_reader *r = reader;
    char *error = NULL;
    size_t length = 0;
    r->value = rocksdb_get_pinned(r->db, r->options, (const char *)key, KEY_BYTES, &error);
    rocks_must(error, "rocksdb_get_pinned");
    if (!r->value)
        return NULL;
    const char *bytes = rocksdb_pinnableslice_value(r->value, &length);
    return rocks_checked(bytes, length, kit.value_bytes);
}

static void rocks_got(void *reader)
{
    struct rocks_reader *r = reader;
    if (r->value)
        rocksdb_pinnableslice_destroy(r->value);
    r->value = NULL;
}

static void rocks_scan(void *reader, visit_fn *visit, void *ctx)
{
    struct rocks_reader *r = reader;
    rocksdb_iterator_t *it = rocksdb_create_iterator(r->db, r->options);
    char *error = NULL;
    for (rocksdb_iter_seek_to_first(it); rocksdb_iter_valid(it); rocksdb_iter_next(it)) {
        size_t key_bytes, value_bytes;
        const char *key = rocksdb_iter_key(it, &key_bytes);
        const char *value = rocksdb_iter_value(it, &value_bytes);
        visit(ctx, rocks_checked(key, key_bytes, KEY_BYTES),
              rocks_checked(value, value_bytes, kit.value_bytes));
    }
    rocksdb_iter_get_error(it, &error);
    rocks_must(error, "rocksdb_iter_get_error");
    rocksdb_iter_destroy(it);
}

struct rocks_backup {
    struct rocks *rocks;
    uint32_t id;   /* of BackupEngine */
    char name[32]; /* of the checkpoint's directory; "" while there is none */
};

static void rocks_path(char path[PATH_SIZE], const struct rocks *r, const char *name)
{
    snprintf(path, PATH_SIZE, "%.4000s/%s", r->root, name);
}

static void *rocks_backup_begin(void *store)
{
    struct rocks_backup *b = get_memory(sizeof *b);
    char path[PATH_SIZE], *error = NULL;
    b->rocks = store;
    ++b->rocks->live_count;
    snprintf(b->name, sizeof b->name, "backup-%u", b->rocks->made_count++);
    rocks_path(path, b->rocks, b->name);
    if (b->rocks->checkpoint)
        rocksdb_checkpoint_create(b->rocks->checkpoint, path, 0, &error);
    else
        rocksdb_backup_engine_create_new_backup_flush(b->rocks->backups, b->rocks->db, 1, &error);
    rocks_must(error, "making a backup");
    return b;
}

static void rocks_backup_finish(void *backup)
{
    struct rocks_backup *b = backup;
    if (b->rocks->checkpoint)
        return;
    const rocksdb_backup_engine_info_t *info =
        rocksdb_backup_engine_get_backup_info(b->rocks->backups);
    int count = rocksdb_backup_engine_info_count(info);
    b->id = rocksdb_backup_engine_info_backup_id(info, count - 1);
    rocksdb_backup_engine_info_destroy(info);
}

static void rocks_backup_sync(void *backup)
{
    (void)backup; /* both are synced when they are made */
}

/* The C API deletes backups of BackupEngine only from the oldest on: the last
 * one dropped takes all with it. */
static void rocks_backup_drop(void *backup)
{
    struct rocks_backup *b = backup;
    char path[PATH_SIZE], *error = NULL;
    --b->rocks->live_count;
    rocks_path(path, b->rocks, b->name);
    if (b->rocks->checkpoint)
        remove_tree(path);
    else if (b->rocks->live_count == 0)
        rocksdb_backup_engine_purge_old_backups(b->rocks->backups, 0, &error);
    rocks_must(error, "rocksdb_backup_engine_purge_old_backups");
    free(b);
}

static void *rocks_restore(void *backup)
{
    struct rocks_backup *b = backup;
    struct rocks *r = b->rocks;
    char from[PATH_SIZE], to[PATH_SIZE], name[32], *error = NULL;
    snprintf(name, sizeof name, "restored-%u", r->made_count++);
    rocks_path(from, r, b->name);
    rocks_path(to, r, name);
    if (r->checkpoint) {
        copy_directory(from, to, ".sst");
    } else {
        rocksdb_restore_options_t *options = rocksdb_restore_options_create();
        rocksdb_backup_engine_restore_db_from_backup(r->backups, to, to, options, b->id, &error);
        rocks_must(error, "rocksdb_backup_engine_restore_db_from_backup");
        rocksdb_restore_options_destroy(options);
    }
    struct rocks *restored = rocks_open_at(r->root, name, r->budget_bytes);
    return rocks_reader_of(restored, restored);
}

static void rocks_restored_drop(void *reader)
{
    struct rocks_reader *r = reader;
    struct rocks *owned = r->owned;
    char directory[PATH_SIZE];
    snprintf(directory, sizeof directory, "%s", owned->directory);
    rocks_reader_close(r);
    rocks_close(owned);
    remove_tree(directory);
}

#define ROCKS(name, open_fn)                                                                     \
    {                                                                                            \
        name, 0, rocks_version, open_fn, rocks_close, rocks_put, rocks_delete, rocks_settle,     \
            rocks_stat, NULL, rocks_reader_open, rocks_get, rocks_got, rocks_scan,               \
            rocks_reader_close, rocks_backup_begin, rocks_backup_finish, rocks_backup_sync,      \
            rocks_backup_drop, rocks_restore, rocks_restored_drop                                \
    }

static const struct engine engine_checkpoint = ROCKS("rocksdb-checkpoint", rocks_open_checkpoint);
static const struct engine engine_backups = ROCKS("rocksdb-backupengine", rocks_open_backups);
const struct engine *const engines[] = {&engine_checkpoint, &engine_backups, NULL};
