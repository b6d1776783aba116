/* engine_sqlite.c - SQLite in WAL mode.
 *
 * An unsynced commit is one with synchronous=OFF: the OS has the WAL; a synced
 * one has FULL. A backup is made by the backup API from a connection of its own,
 * whose open read transaction is the marker and pins the point. A restore copies
 * the file. */
#include "engine.h"

#include <sqlite3.h>
#include <unistd.h>

struct sqlite {
    sqlite3 *db;
    sqlite3_stmt *begin, *commit, *put, *erase;
    sqlite3 *source; /* of backups */
    char root[PATH_SIZE];
    char path[PATH_SIZE];
    uint64_t cache_bytes;
    int is_synced;
    unsigned made_count; /* names of backups and restored tables */
};

struct sqlite_reader {
    sqlite3 *db;
    sqlite3_stmt *get, *scan;
    char path[PATH_SIZE]; /* of a restored table, or "" */
};

static void sqlite_must(sqlite3 *db, int rc, const char *call)
{
    if (rc != SQLITE_OK && rc != SQLITE_DONE && rc != SQLITE_ROW)
        die("%s: %s", call, sqlite3_errmsg(db));
}

static void sqlite_version(char text[64])
{
    snprintf(text, 64, "%s", sqlite3_libversion());
}

static void sqlite_run(sqlite3 *db, const char *sql)
{
    sqlite_must(db, sqlite3_exec(db, sql, NULL, NULL, NULL), sql);
}

static sqlite3_stmt *sqlite_prepare(sqlite3 *db, const char *sql)
{
    sqlite3_stmt *statement;
    sqlite_must(db, sqlite3_prepare_v3(db, sql, -1, SQLITE_PREPARE_PERSISTENT, &statement, NULL),
                sql);
    return statement;
}

/* A connection; pages are read through the map, as far as it may reach. */
static sqlite3 *sqlite_connect(const char *path, uint64_t cache_bytes)
{
    sqlite3 *db;
    char sql[256];
    if (sqlite3_open_v2(path, &db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE |
                                       SQLITE_OPEN_NOMUTEX, NULL) != SQLITE_OK)
        die("cannot open %s: %s", path, sqlite3_errmsg(db));
    sqlite3_busy_timeout(db, 10000);
    snprintf(sql, sizeof sql,
             "PRAGMA journal_mode=WAL; PRAGMA synchronous=OFF; PRAGMA cache_size=-%" PRIu64
             "; PRAGMA mmap_size=%" PRIu64, cache_bytes / 1024, (uint64_t)1 << 40);
    sqlite_run(db, sql);
    return db;
}

static void *sqlite_open(const struct engine_setup *setup)
{
    struct sqlite *s = get_memory(sizeof *s);
    s->cache_bytes = setup->budget_bytes ? setup->budget_bytes : (uint64_t)256 << 20;
    snprintf(s->root, sizeof s->root, "%s", setup->directory);
    snprintf(s->path, sizeof s->path, "%.4000s/store.db", setup->directory);
    s->db = sqlite_connect(s->path, s->cache_bytes);
    sqlite_run(s->db, "CREATE TABLE IF NOT EXISTS items (k BLOB PRIMARY KEY, v BLOB NOT NULL)"
                      " WITHOUT ROWID");
    s->begin = sqlite_prepare(s->db, "BEGIN IMMEDIATE");
    s->commit = sqlite_prepare(s->db, "COMMIT");
    s->put = sqlite_prepare(s->db, "INSERT OR REPLACE INTO items VALUES (?, ?)");
    s->erase = sqlite_prepare(s->db, "DELETE FROM items WHERE k = ?");
    s->source = sqlite_connect(s->path, 2u << 20); /* its backup reads each page once */
    return s;
}

static void sqlite_close(void *store)
{
    struct sqlite *s = store;
    sqlite3_finalize(s->begin);
    sqlite3_finalize(s->commit);
    sqlite3_finalize(s->put);
    sqlite3_finalize(s->erase);
    sqlite_must(s->source, sqlite3_close(s->source), "sqlite3_close");
    sqlite_must(s->db, sqlite3_close(s->db), "sqlite3_close");
    free(s);
}

static void sqlite_step(sqlite3 *db, sqlite3_stmt *statement)
{
    sqlite_must(db, sqlite3_step(statement), sqlite3_sql(statement));
    sqlite3_reset(statement);
}

static void sqlite_write(struct sqlite *s, sqlite3_stmt *statement, const uint8_t *pairs,
                         uint32_t count, enum commit commit)
{
    if (s->is_synced != (commit == COMMIT_SYNC)) {
        s->is_synced = commit == COMMIT_SYNC;
        sqlite_run(s->db, s->is_synced ? "PRAGMA synchronous=FULL" : "PRAGMA synchronous=OFF");
    }
    if (count > 1)
        sqlite_step(s->db, s->begin);
    for (uint32_t i = 0; i < count; ++i) {
        const uint8_t *pair = pair_at(pairs, i);
        sqlite3_bind_blob(statement, 1, pair, KEY_BYTES, SQLITE_STATIC);
        if (statement == s->put)
            sqlite3_bind_blob(statement, 2, pair + KEY_BYTES, (int)kit.value_bytes,
                              SQLITE_STATIC);
        sqlite_step(s->db, statement);
    }
    if (count > 1)
        sqlite_step(s->db, s->commit);
}

static void sqlite_put(void *store, const uint8_t *pairs, uint32_t count, enum commit commit)
{
    struct sqlite *s = store;
    sqlite_write(s, s->put, pairs, count, commit);
}

static void sqlite_delete(void *store, const uint8_t *pairs, uint32_t count, enum commit commit)
{
    struct sqlite *s = store;
    sqlite_write(s, s->erase, pairs, count, commit);
}

/* What is in the WAL goes to the table; nothing works in the background. */
static void sqlite_settle(void *store)
{
    struct sqlite *s = store;
    sqlite_run(s->db, "PRAGMA wal_checkpoint(PASSIVE)");
}

static int64_t sqlite_number(sqlite3 *db, const char *sql)
{
    sqlite3_stmt *statement = sqlite_prepare(db, sql);
    sqlite_must(db, sqlite3_step(statement), sql);
    int64_t number = sqlite3_column_int64(statement, 0);
    sqlite3_finalize(statement);
    return number;
}

static void sqlite_stat(void *store, struct engine_stat *stat)
{
    struct sqlite *s = store;
    int64_t pages = sqlite_number(s->db, "PRAGMA page_count");
    int64_t unused = sqlite_number(s->db, "PRAGMA freelist_count");
    uint64_t all = tree_bytes(s->root, "-shm");
    stat->device_bytes = all; /* asked before there are backups */
    stat->used_bytes = (uint64_t)(pages - unused) *
                       (uint64_t)sqlite_number(s->db, "PRAGMA page_size");
    stat->grown_bytes = tree_bytes(s->root, "-wal");
}

static void sqlite_reader_init(struct sqlite_reader *r, const char *path, uint64_t cache_bytes)
{
    r->db = sqlite_connect(path, cache_bytes);
    r->get = sqlite_prepare(r->db, "SELECT v FROM items WHERE k = ?");
    r->scan = sqlite_prepare(r->db, "SELECT k, v FROM items ORDER BY k");
}

static void *sqlite_reader_open(void *store)
{
    struct sqlite *s = store;
    struct sqlite_reader *r = get_memory(sizeof *r);
    sqlite_reader_init(r, s->path, s->cache_bytes);
    return r;
}

static void sqlite_reader_close(void *reader)
{
    struct sqlite_reader *r = reader;
    sqlite3_finalize(r->get);
    sqlite3_finalize(r->scan);
    sqlite_must(r->db, sqlite3_close(r->db), "sqlite3_close");
    free(r);
}

static const uint8_t *sqlite_column(sqlite3_stmt *statement, int column, size_t size)
{
    const uint8_t *bytes = sqlite3_column_blob(statement, column);
    if ((size_t)sqlite3_column_bytes(statement, column) != size)
        die("SQLite gives %d bytes instead of %zu", sqlite3_column_bytes(statement, column), size);
    return bytes;
}

/* Until the statement is reset the value is there, and a read transaction open. */
static const uint8_t *sqlite_get(void *reader, const uint8_t *key)
{
    struct sqlite_reader *r = reader;
    sqlite3_bind_blob(r->get, 1, key, KEY_BYTES, SQLITE_STATIC);
    int rc = sqlite3_step(r->get);
    sqlite_must(r->db, rc, "get");
    return rc == SQLITE_ROW ? sqlite_column(r->get, 0, kit.value_bytes) : NULL;
}

static void sqlite_got(void *reader)
{
    struct sqlite_reader *r = reader;
    sqlite3_reset(r->get);
}

static void sqlite_scan(void *reader, visit_fn *visit, void *ctx)
{
    struct sqlite_reader *r = reader;
    int rc;
    while ((rc = sqlite3_step(r->scan)) == SQLITE_ROW)
        visit(ctx, sqlite_column(r->scan, 0, KEY_BYTES),
              sqlite_column(r->scan, 1, kit.value_bytes));
    sqlite_must(r->db, rc, "scan");
    sqlite3_reset(r->scan);
}

struct sqlite_backup {
    struct sqlite *sqlite;
    int is_finished;
    char path[PATH_SIZE];
};

static void *sqlite_backup_begin(void *store)
{
    struct sqlite_backup *b = get_memory(sizeof *b);
    b->sqlite = store;
    sqlite_run(b->sqlite->source, "BEGIN; SELECT 1 FROM items LIMIT 1");
    return b;
}

static void sqlite_backup_finish(void *backup)
{
    struct sqlite_backup *b = backup;
    sqlite3 *target;
    snprintf(b->path, sizeof b->path, "%.4000s/backup-%u.db", b->sqlite->root,
             b->sqlite->made_count++);
    if (sqlite3_open(b->path, &target) != SQLITE_OK)
        die("cannot open %s", b->path);
    sqlite_run(target, "PRAGMA journal_mode=OFF; PRAGMA synchronous=OFF");
    sqlite3_backup *copy = sqlite3_backup_init(target, "main", b->sqlite->source, "main");
    if (!copy)
        die("sqlite3_backup_init: %s", sqlite3_errmsg(target));
    sqlite_must(target, sqlite3_backup_step(copy, -1), "sqlite3_backup_step");
    sqlite_must(target, sqlite3_backup_finish(copy), "sqlite3_backup_finish");
    sqlite_must(target, sqlite3_close(target), "sqlite3_close");
    sqlite_run(b->sqlite->source, "COMMIT");
    b->is_finished = 1;
}

static void sqlite_backup_sync(void *backup)
{
    struct sqlite_backup *b = backup;
    sync_file(b->path);
    sync_file(b->sqlite->root);
}

static void sqlite_backup_drop(void *backup)
{
    struct sqlite_backup *b = backup;
    if (b->is_finished)
        unlink(b->path);
    else
        sqlite_run(b->sqlite->source, "COMMIT");
    free(b);
}

static void *sqlite_restore(void *backup)
{
    struct sqlite_backup *b = backup;
    struct sqlite_reader *r = get_memory(sizeof *r);
    snprintf(r->path, sizeof r->path, "%.4000s/restored-%u.db", b->sqlite->root,
             b->sqlite->made_count++);
    copy_file(b->path, r->path);
    sqlite_reader_init(r, r->path, b->sqlite->cache_bytes);
    return r;
}

static void sqlite_restored_drop(void *reader)
{
    struct sqlite_reader *r = reader;
    char path[PATH_SIZE];
    snprintf(path, sizeof path, "%s", r->path);
    sqlite_reader_close(r);
    unlink(path);
}

static const struct engine engine_wal = {
    "sqlite", 0, sqlite_version, sqlite_open, sqlite_close, sqlite_put, sqlite_delete,
    sqlite_settle, sqlite_stat, NULL, sqlite_reader_open, sqlite_get, sqlite_got,
    sqlite_scan, sqlite_reader_close, sqlite_backup_begin, sqlite_backup_finish,
    sqlite_backup_sync, sqlite_backup_drop, sqlite_restore, sqlite_restored_drop,
};
const struct engine *const engines[] = {&engine_wal, NULL};
