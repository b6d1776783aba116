/* engine_lmdb.c - LMDB, plain and with MDB_WRITEMAP.
 *
 * An unsynced commit is one with MDB_NOSYNC: the pages are in the OS's cache. A
 * reader renews its transaction for each get, so that it sees what is new, and
 * resets it after, so that pages are not kept for it. The
 * marker is a read transaction, which pins the point; mdb_env_copy2 then copies
 * all pages, of a transaction it begins itself. A restore copies the file. */
#include "engine.h"

#include <lmdb.h>

struct lmdb {
    MDB_env *env;
    MDB_dbi dbi;
    char root[PATH_SIZE];
    char directory[PATH_SIZE]; /* of the environment, in root */
    unsigned flags;
    uint64_t items;
    int is_synced;
    unsigned made_count; /* names of backups and restored tables */
};

struct lmdb_reader {
    MDB_txn *txn; /* reset while no call is running */
    MDB_dbi dbi;
    struct lmdb *owned; /* a restored environment, or NULL */
};

static void lmdb_must(int rc, const char *call)
{
    if (rc != 0)
        die("%s: %s", call, mdb_strerror(rc));
}

static void lmdb_version(char text[64])
{
    int major, minor, patch;
    mdb_version(&major, &minor, &patch);
    snprintf(text, 64, "%d.%d.%d", major, minor, patch);
}

/* The map has room for what a reader makes the writer keep: pages cost nothing
 * until they are used. */
static struct lmdb *lmdb_open_at(const char *root, const char *name, uint64_t items,
                                 unsigned flags)
{
    struct lmdb *l = get_memory(sizeof *l);
    MDB_txn *txn;
    snprintf(l->root, sizeof l->root, "%s", root);
    snprintf(l->directory, sizeof l->directory, "%.4000s/%s", root, name);
    l->flags = flags;
    l->items = items;
    make_directory(l->directory);
    lmdb_must(mdb_env_create(&l->env), "mdb_env_create");
    lmdb_must(mdb_env_set_mapsize(l->env, (size_t)(((uint64_t)1 << 30) +
                                                   8 * items * (raw_item_bytes() + 64))),
              "mdb_env_set_mapsize");
    lmdb_must(mdb_env_open(l->env, l->directory, MDB_NOTLS | MDB_NOSYNC | MDB_NORDAHEAD | flags,
                           0600),
              "mdb_env_open");
    lmdb_must(mdb_txn_begin(l->env, NULL, 0, &txn), "mdb_txn_begin");
    lmdb_must(mdb_dbi_open(txn, NULL, 0, &l->dbi), "mdb_dbi_open");
    lmdb_must(mdb_txn_commit(txn), "mdb_txn_commit");
    return l;
}

static void *lmdb_open(const struct engine_setup *setup)
{
    return lmdb_open_at(setup->directory, "store", setup->items, 0);
}

static void *lmdb_open_writemap(const struct engine_setup *setup)
{
    return lmdb_open_at(setup->directory, "store", setup->items, MDB_WRITEMAP);
}

static void lmdb_close(void *store)
{
    struct lmdb *l = store;
    mdb_env_close(l->env);
    free(l);
}

static MDB_txn *lmdb_begin(struct lmdb *l, enum commit commit)
{
    MDB_txn *txn;
    if (l->is_synced != (commit == COMMIT_SYNC)) {
        l->is_synced = commit == COMMIT_SYNC;
        lmdb_must(mdb_env_set_flags(l->env, MDB_NOSYNC, !l->is_synced), "mdb_env_set_flags");
    }
    lmdb_must(mdb_txn_begin(l->env, NULL, 0, &txn), "mdb_txn_begin");
    return txn;
}

static MDB_val lmdb_val(const uint8_t *bytes, size_t size)
{
    MDB_val val;
    val.mv_size = size;
    val.mv_data = (void *)(uintptr_t)bytes; /* LMDB does not write to it */
    return val;
}

static void lmdb_put(void *store, const uint8_t *pairs, uint32_t count, enum commit commit)
{
    struct lmdb *l = store;
    MDB_txn *txn = lmdb_begin(l, commit);
    for (uint32_t i = 0; i < count; ++i) {
        MDB_val key = lmdb_val(pair_at(pairs, i), KEY_BYTES);
        MDB_val value = lmdb_val(pair_at(pairs, i) + KEY_BYTES, kit.value_bytes);
        lmdb_must(mdb_put(txn, l->dbi, &key, &value, 0), "mdb_put");
    }
    lmdb_must(mdb_txn_commit(txn), "mdb_txn_commit");
}

static void lmdb_delete(void *store, const uint8_t *pairs, uint32_t count, enum commit commit)
{
    struct lmdb *l = store;
    MDB_txn *txn = lmdb_begin(l, commit);
    for (uint32_t i = 0; i < count; ++i) {
        MDB_val key = lmdb_val(pair_at(pairs, i), KEY_BYTES);
        lmdb_must(mdb_del(txn, l->dbi, &key, NULL), "mdb_del");
    }
    lmdb_must(mdb_txn_commit(txn), "mdb_txn_commit");
}

static void lmdb_settle(void *store)
{
    (void)store; /* it works in the caller's thread alone */
}

/* In use: pages up to the last one, without those in its list of free ones. */
static void lmdb_stat(void *store, struct engine_stat *stat)
{
    struct lmdb *l = store;
    MDB_stat pages;
    lmdb_must(mdb_env_stat(l->env, &pages), "mdb_env_stat");
    stat->device_bytes = tree_bytes(l->directory, "lock.mdb");
    stat->used_bytes = (pages.ms_branch_pages + pages.ms_leaf_pages + pages.ms_overflow_pages) *
                       (uint64_t)pages.ms_psize;
    stat->grown_bytes = tree_bytes(l->root, "lock.mdb");
}

static void *lmdb_reader_of(struct lmdb *l, struct lmdb *owned)
{
    struct lmdb_reader *reader = get_memory(sizeof *reader);
    lmdb_must(mdb_txn_begin(l->env, NULL, MDB_RDONLY, &reader->txn), "mdb_txn_begin");
    mdb_txn_reset(reader->txn);
    reader->dbi = l->dbi;
    reader->owned = owned;
    return reader;
}

static void *lmdb_reader_open(void *store)
{
    return lmdb_reader_of(store, NULL);
}

static void lmdb_reader_close(void *reader)
{
    struct lmdb_reader *r = reader;
    mdb_txn_abort(r->txn);
    free(r);
}

static const uint8_t *lmdb_checked(const MDB_val *val, size_t size)
{
    if (val->mv_size != size)
        die("LMDB gives %zu bytes instead of %zu", val->mv_size, size);
    return val->mv_data;
}

/* The value lies in the map, and stays while the transaction is open. */
static const uint8_t *lmdb_get(void *reader, const uint8_t *key)
{
    struct lmdb_reader *r = reader;
    MDB_val wanted = lmdb_val(key, KEY_BYTES), value;
    lmdb_must(mdb_txn_renew(r->txn), "mdb_txn_renew");
    int rc = mdb_get(r->txn, r->dbi, &wanted, &value);
    if (rc == MDB_NOTFOUND)
        return NULL;
    lmdb_must(rc, "mdb_get");
    return lmdb_checked(&value, kit.value_bytes);
}

static void lmdb_got(void *reader)
{
    struct lmdb_reader *r = reader;
    mdb_txn_reset(r->txn);
}

static void lmdb_scan(void *reader, visit_fn *visit, void *ctx)
{
    struct lmdb_reader *r = reader;
    MDB_cursor *cursor;
    MDB_val key, value;
    int rc;
    lmdb_must(mdb_txn_renew(r->txn), "mdb_txn_renew");
    lmdb_must(mdb_cursor_open(r->txn, r->dbi, &cursor), "mdb_cursor_open");
    while ((rc = mdb_cursor_get(cursor, &key, &value, MDB_NEXT)) == 0)
        visit(ctx, lmdb_checked(&key, KEY_BYTES), lmdb_checked(&value, kit.value_bytes));
    if (rc != MDB_NOTFOUND)
        lmdb_must(rc, "mdb_cursor_get");
    mdb_cursor_close(cursor);
    mdb_txn_reset(r->txn);
}

struct lmdb_backup {
    struct lmdb *lmdb;
    MDB_txn *pin;
    char directory[PATH_SIZE];
};

static void *lmdb_backup_begin(void *store)
{
    struct lmdb_backup *b = get_memory(sizeof *b);
    b->lmdb = store;
    lmdb_must(mdb_txn_begin(b->lmdb->env, NULL, MDB_RDONLY, &b->pin), "mdb_txn_begin");
    return b;
}

static void lmdb_backup_finish(void *backup)
{
    struct lmdb_backup *b = backup;
    snprintf(b->directory, sizeof b->directory, "%.4000s/backup-%u", b->lmdb->root,
             b->lmdb->made_count++);
    make_directory(b->directory);
    lmdb_must(mdb_env_copy2(b->lmdb->env, b->directory, 0), "mdb_env_copy2");
    mdb_txn_abort(b->pin);
    b->pin = NULL;
}

static void lmdb_data_path(char path[PATH_SIZE], const char *directory)
{
    snprintf(path, PATH_SIZE, "%.4000s/data.mdb", directory);
}

static void lmdb_backup_sync(void *backup)
{
    struct lmdb_backup *b = backup;
    sync_directory(b->directory);
}

static void lmdb_backup_drop(void *backup)
{
    struct lmdb_backup *b = backup;
    if (b->pin)
        mdb_txn_abort(b->pin);
    else
        remove_tree(b->directory);
    free(b);
}

static void *lmdb_restore(void *backup)
{
    struct lmdb_backup *b = backup;
    char from[PATH_SIZE], to[PATH_SIZE], name[32];
    snprintf(name, sizeof name, "restored-%u", b->lmdb->made_count++);
    snprintf(to, sizeof to, "%.4000s/%s", b->lmdb->root, name);
    make_directory(to);
    snprintf(to, sizeof to, "%.4000s/%s/data.mdb", b->lmdb->root, name);
    lmdb_data_path(from, b->directory);
    copy_file(from, to);
    struct lmdb *restored = lmdb_open_at(b->lmdb->root, name, b->lmdb->items, b->lmdb->flags);
    return lmdb_reader_of(restored, restored);
}

static void lmdb_restored_drop(void *reader)
{
    struct lmdb_reader *r = reader;
    struct lmdb *owned = r->owned;
    char directory[PATH_SIZE];
    snprintf(directory, sizeof directory, "%s", owned->directory);
    lmdb_reader_close(r);
    lmdb_close(owned);
    remove_tree(directory);
}

#define LMDB(name, open_fn)                                                                      \
    {                                                                                            \
        name, 0, lmdb_version, open_fn, lmdb_close, lmdb_put, lmdb_delete, lmdb_settle,          \
            lmdb_stat, NULL, lmdb_reader_open, lmdb_get, lmdb_got, lmdb_scan, lmdb_reader_close, \
            lmdb_backup_begin, lmdb_backup_finish, lmdb_backup_sync, lmdb_backup_drop,           \
            lmdb_restore, lmdb_restored_drop                                                     \
    }

static const struct engine engine_plain = LMDB("lmdb", lmdb_open);
static const struct engine engine_writemap = LMDB("lmdb-writemap", lmdb_open_writemap);
const struct engine *const engines[] = {&engine_plain, &engine_writemap, NULL};
