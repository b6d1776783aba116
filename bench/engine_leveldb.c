/* engine_leveldb.c - LevelDB through its C API.
 *
 * A commit that is not synced has reached the OS. The marker is a snapshot; the
 * backup copies all it holds, in order, into a database of its own, since
 * nothing keeps LevelDB from deleting files while they are copied or linked. A
 * restore links the tables, which never change, and copies the rest. */
#include "engine.h"

#include <leveldb/c.h>
#include <sys/stat.h>

struct level {
    leveldb_t *db;
    leveldb_options_t *options;
    leveldb_cache_t *cache;
    leveldb_filterpolicy_t *filter;
    leveldb_writeoptions_t *plain, *synced;
    leveldb_writebatch_t *batch;
    char root[PATH_SIZE];
    char directory[PATH_SIZE]; /* of the database, in root */
    uint64_t budget_bytes;
    unsigned made_count; /* names of backups and restored tables */
};

struct level_reader {
    leveldb_t *db;
    leveldb_readoptions_t *options;
    char *value;
    struct level *owned; /* a restored database, or NULL */
};

static void level_must(char *error, const char *call)
{
    if (error)
        die("%s: %s", call, error);
}

static void level_version(char text[64])
{
    snprintf(text, 64, "%d.%d", leveldb_major_version(), leveldb_minor_version());
}

/* A quarter of the budget is for what is not written yet, half for blocks; the
 * rest is what LevelDB needs beside. */
static struct level *level_open_at(const char *root, const char *name, uint64_t budget_bytes)
{
    struct level *l = get_memory(sizeof *l);
    char *error = NULL;
    snprintf(l->root, sizeof l->root, "%s", root);
    snprintf(l->directory, sizeof l->directory, "%.4000s/%s", root, name);
    l->budget_bytes = budget_bytes;
    l->options = leveldb_options_create();
    l->cache = leveldb_cache_create_lru(budget_bytes ? budget_bytes / 2 : (size_t)1 << 30);
    l->filter = leveldb_filterpolicy_create_bloom(10);
    leveldb_options_set_create_if_missing(l->options, 1);
    leveldb_options_set_cache(l->options, l->cache);
    leveldb_options_set_filter_policy(l->options, l->filter);
    leveldb_options_set_compression(l->options, leveldb_no_compression);
    leveldb_options_set_write_buffer_size(l->options, budget_bytes ? budget_bytes / 4
                                                                   : (size_t)64 << 20);
    leveldb_options_set_max_open_files(l->options, 4000);
    l->plain = leveldb_writeoptions_create();
    l->synced = leveldb_writeoptions_create();
    leveldb_writeoptions_set_sync(l->synced, 1);
    l->batch = leveldb_writebatch_create();
    l->db = leveldb_open(l->options, l->directory, &error);
    level_must(error, "leveldb_open");
    return l;
}

static void *level_open(const struct engine_setup *setup)
{
    return level_open_at(setup->directory, "store", setup->budget_bytes);
}

static void level_close(void *store)
{
    struct level *l = store;
    leveldb_close(l->db);
    leveldb_writebatch_destroy(l->batch);
    leveldb_writeoptions_destroy(l->plain);
    leveldb_writeoptions_destroy(l->synced);
    leveldb_options_destroy(l->options);
    leveldb_cache_destroy(l->cache);
    leveldb_filterpolicy_destroy(l->filter);
    free(l);
}

static void level_commit(struct level *l, enum commit commit)
{
    char *error = NULL;
    leveldb_write(l->db, commit == COMMIT_SYNC ? l->synced : l->plain, l->batch, &error);
    level_must(error, "leveldb_write");
    leveldb_writebatch_clear(l->batch);
}

static void level_put(void *store, const uint8_t *pairs, uint32_t count, enum commit commit)
{
    struct level *l = store;
    for (uint32_t i = 0; i < count; ++i) {
        const char *pair = (const char *)pair_at(pairs, i);
        leveldb_writebatch_put(l->batch, pair, KEY_BYTES, pair + KEY_BYTES, kit.value_bytes);
    }
    level_commit(l, commit);
}

static void level_delete(void *store, const uint8_t *pairs, uint32_t count, enum commit commit)
{
    struct level *l = store;
    for (uint32_t i = 0; i < count; ++i)
        leveldb_writebatch_delete(l->batch, (const char *)pair_at(pairs, i), KEY_BYTES);
    level_commit(l, commit);
}

/* LevelDB does not say whether it is compacting: it is not when it created or
 * removed no file for a while. */
static void level_settle(void *store)
{
    struct level *l = store;
    struct stat before, after;
    do {
        if (stat(l->directory, &before) != 0)
            die("cannot look at %s", l->directory);
        sleep_us(150000);
    } while (stat(l->directory, &after) != 0 || before.st_mtim.tv_sec != after.st_mtim.tv_sec ||
             before.st_mtim.tv_nsec != after.st_mtim.tv_nsec);
}

static void level_stat(void *store, struct engine_stat *stat)
{
    struct level *l = store;
    stat->device_bytes = stat->used_bytes = tree_bytes(l->directory, NULL);
    stat->grown_bytes = tree_bytes_but_log(l->root, l->directory, ".log");
}

static void *level_reader_of(struct level *l, struct level *owned)
{
    struct level_reader *reader = get_memory(sizeof *reader);
    reader->db = l->db;
    reader->options = leveldb_readoptions_create();
    reader->owned = owned;
    return reader;
}

static void *level_reader_open(void *store)
{
    return level_reader_of(store, NULL);
}

static void level_reader_close(void *reader)
{
    struct level_reader *r = reader;
    leveldb_readoptions_destroy(r->options);
    free(r);
}

static const uint8_t *level_checked(const char *bytes, size_t length, size_t size)
{
    if (bytes && length != size)
        die("LevelDB gives %zu bytes instead of %zu", length, size);
    return (const uint8_t *)bytes;
}

static const uint8_t *level_get(void *reader, const uint8_t *key)
{
    struct level_reader *r = reader;
    char *error = NULL;
    size_t length = 0;
    r->value = leveldb_get(r->db, r->options, (const char *)key, KEY_BYTES, &length, &error);
    level_must(error, "leveldb_get");
    return level_checked(r->value, length, kit.value_bytes);
}

static void level_got(void *reader)
{
    struct level_reader *r = reader;
    leveldb_free(r->value);
    r->value = NULL;
}

static void level_walk(leveldb_t *db, const leveldb_readoptions_t *options, visit_fn *visit,
                       void *ctx)
{
    leveldb_iterator_t *it = leveldb_create_iterator(db, options);
    char *error = NULL;
    for (leveldb_iter_seek_to_first(it); leveldb_iter_valid(it); leveldb_iter_next(it)) {
        size_t key_bytes, value_bytes;
        const char *key = leveldb_iter_key(it, &key_bytes);
        const char *value = leveldb_iter_value(it, &value_bytes);
        visit(ctx, level_checked(key, key_bytes, KEY_BYTES),
              level_checked(value, value_bytes, kit.value_bytes));
    }
    leveldb_iter_get_error(it, &error);
    level_must(error, "leveldb_iter_get_error");
    leveldb_iter_destroy(it);
}

static void level_scan(void *reader, visit_fn *visit, void *ctx)
{
    struct level_reader *r = reader;
    level_walk(r->db, r->options, visit, ctx);
}

struct level_backup {
    struct level *level;
    const leveldb_snapshot_t *snapshot;
    struct level *copy; /* while it is made */
    uint32_t batched_count;
    char name[32];
};

static void *level_backup_begin(void *store)
{
    struct level_backup *b = get_memory(sizeof *b);
    b->level = store;
    b->snapshot = leveldb_create_snapshot(b->level->db);
    return b;
}

static void level_copy_item(void *ctx, const uint8_t *key, const uint8_t *value)
{
    struct level_backup *b = ctx;
    leveldb_writebatch_put(b->copy->batch, (const char *)key, KEY_BYTES, (const char *)value,
                           kit.value_bytes);
    if (++b->batched_count % BATCH_COUNT == 0)
        level_commit(b->copy, COMMIT_OS);
}

static void level_backup_finish(void *backup)
{
    struct level_backup *b = backup;
    leveldb_readoptions_t *options = leveldb_readoptions_create();
    snprintf(b->name, sizeof b->name, "backup-%u", b->level->made_count++);
    b->copy = level_open_at(b->level->root, b->name, b->level->budget_bytes);
    leveldb_readoptions_set_snapshot(options, b->snapshot);
    leveldb_readoptions_set_fill_cache(options, 0);
    level_walk(b->level->db, options, level_copy_item, b);
    level_commit(b->copy, COMMIT_OS);
    level_close(b->copy);
    leveldb_readoptions_destroy(options);
    leveldb_release_snapshot(b->level->db, b->snapshot);
    b->snapshot = NULL;
}

static void level_backup_path(char path[PATH_SIZE], const struct level_backup *b)
{
    snprintf(path, PATH_SIZE, "%.4000s/%s", b->level->root, b->name);
}

static void level_backup_sync(void *backup)
{
    char path[PATH_SIZE];
    level_backup_path(path, backup);
    sync_directory(path);
}

static void level_backup_drop(void *backup)
{
    struct level_backup *b = backup;
    char path[PATH_SIZE];
    level_backup_path(path, b);
    if (b->snapshot)
        leveldb_release_snapshot(b->level->db, b->snapshot);
    else
        remove_tree(path);
    free(b);
}

static void *level_restore(void *backup)
{
    struct level_backup *b = backup;
    char from[PATH_SIZE], to[PATH_SIZE], name[32];
    snprintf(name, sizeof name, "restored-%u", b->level->made_count++);
    level_backup_path(from, b);
    snprintf(to, sizeof to, "%.4000s/%s", b->level->root, name);
    copy_directory(from, to, ".ldb");
    struct level *restored = level_open_at(b->level->root, name, b->level->budget_bytes);
    return level_reader_of(restored, restored);
}

static void level_restored_drop(void *reader)
{
    struct level_reader *r = reader;
    struct level *owned = r->owned;
    char directory[PATH_SIZE];
    snprintf(directory, sizeof directory, "%s", owned->directory);
    level_reader_close(r);
    level_close(owned);
    remove_tree(directory);
}

static const struct engine engine_level = {
    "leveldb", 0, level_version, level_open, level_close, level_put, level_delete,
    level_settle, level_stat, NULL, level_reader_open, level_get, level_got, level_scan,
    level_reader_close, level_backup_begin, level_backup_finish, level_backup_sync,
    level_backup_drop, level_restore, level_restored_drop,
};
const struct engine *const engines[] = {&engine_level, NULL};
