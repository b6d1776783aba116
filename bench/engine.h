/* engine.h - what an engine has to do to be measured. One source each; a driver
 * is versus.c linked with one of them, so that no engine's memory, threads or
 * cache reach another's process.
 *
 * Functions end the program when they fail: nothing is measured on an engine
 * that does not work. One thread writes; gets and scans run in any number of
 * threads, each with a reader of its own; a backup is made by another thread
 * than the writer's while writes go on. */
#ifndef BENCH_ENGINE_H
#define BENCH_ENGINE_H
#include "kit.h"

/* Each commit survives a kill -9 (it reached the OS), or a power cut as well. */
enum commit { COMMIT_OS, COMMIT_SYNC };

struct engine_setup {
    const char *directory; /* all the engine writes is in here */
    uint64_t items;        /* how many there will be, for the rivals' tuning */
    uint64_t budget_bytes; /* for caches and buffers; 0: the engine's best */
};

struct engine_stat {
    uint64_t device_bytes; /* allocated for the store itself */
    uint64_t used_bytes;   /* of those, the ones in use, where the engine can tell */
    uint64_t grown_bytes;  /* without the log: store and backups; only differences mean anything */
};

/* Called for each item of a scan, in the order of the keys. */
typedef void visit_fn(void *ctx, const uint8_t *key, const uint8_t *value);

struct engine {
    const char *name;
    int in_memory; /* nothing outlives the process */
    void (*version_fn)(char text[64]);
    void *(*open_fn)(const struct engine_setup *setup);
    void (*close_fn)(void *store);
    /* One commit of `count` pairs, or of deleting their keys; keys are distinct. */
    void (*put_fn)(void *store, const uint8_t *pairs, uint32_t count, enum commit commit);
    void (*delete_fn)(void *store, const uint8_t *pairs, uint32_t count, enum commit commit);
    void (*settle_fn)(void *store); /* returns when no background work is left */
    void (*stat_fn)(void *store, struct engine_stat *stat);
    void (*check_fn)(void *store); /* whole-store check; NULL: has none worth its time */

    void *(*reader_open_fn)(void *store);
    /* The value as of now, or NULL; valid until got_fn, which ends every get. */
    const uint8_t *(*get_fn)(void *reader, const uint8_t *key);
    void (*got_fn)(void *reader);
    void (*scan_fn)(void *reader, visit_fn *visit, void *ctx);
    void (*reader_close_fn)(void *reader);

    /* Fixes the point in time: the marker. */
    void *(*backup_begin_fn)(void *store);
    /* After it the backup can be restored, also after a kill -9. */
    void (*backup_finish_fn)(void *backup);
    void (*backup_sync_fn)(void *backup); /* and after a power cut */
    /* Deletes it and frees the handle; one that is only begun is abandoned. */
    void (*backup_drop_fn)(void *backup);
    /* A new table that can be written, with what the backup holds; a reader of it. */
    void *(*restore_fn)(void *backup);
    void (*restored_drop_fn)(void *reader);
};

/* What the linked engine source offers, at least one; NULL ends it. */
extern const struct engine *const engines[];

static inline const uint8_t *pair_at(const uint8_t *pairs, uint32_t index)
{
    return pairs + index * pair_bytes();
}

#endif
