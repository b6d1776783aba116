/* engine_ours.h - dynbackup as an engine, and what bench.c, which measures what
 * only dynbackup does, uses of it. */
#ifndef BENCH_ENGINE_OURS_H
#define BENCH_ENGINE_OURS_H
#include "../dynbackup.h"
#include "engine.h"

#define TABLE "Items"
#define ARN_SIZE 256u

/* Encodes and answers for one thread. */
struct ours_reader {
    struct ours *ours;
    const char *table;
    dynb_builder builder;
    dynb_result results[2]; /* a page's last key lives while the next is read */
    dynb_error err;
};

struct ours {
    dynb *db;
    char directory[PATH_SIZE]; /* "": memory */
    struct ours_reader writer;
    uint8_t *arena; /* encoded items of a batch */
    size_t arena_bytes;
    dynb_write *writes;
    unsigned restored_count; /* names of restored tables */
};

void must(dynb_rc rc, const dynb_error *err, const char *call);
/* directory NULL: memory */
struct ours *ours_open_as(const char *directory, uint64_t budget_bytes, dynb_durability durability);
void ours_close(void *store);
void ours_put(void *store, const uint8_t *pairs, uint32_t count, enum commit commit);
void ours_settle(void *store);
void ours_check(void *store);
dynb_write_options ours_options(enum commit commit);
dynb_item ours_encode(struct ours_reader *reader, const uint8_t *key, const uint8_t *value);
const uint8_t *ours_bytes(dynb_value value, size_t expected);

void ours_create_backup(struct ours *o, const char *table, char arn[ARN_SIZE]);
int ours_backup_done(struct ours *o, const char *arn);
void ours_wait_backup(struct ours *o, const char *arn);
void ours_delete_backup(struct ours *o, const char *arn);
void ours_delete_table(struct ours *o, const char *table);

void ours_reader_init(struct ours_reader *reader, struct ours *o, const char *table);
void ours_reader_free(struct ours_reader *reader);
const uint8_t *ours_get(void *reader, const uint8_t *key);
void ours_scan(void *reader, visit_fn *visit, void *ctx);

uint32_t ours_crc32c(uint32_t sum, const uint8_t *bytes, size_t size);

#endif
