/* engine_ours.c - dynbackup: one file in the directory, or memory. */
#include "kit.h"
#define DYNBACKUP_PTHREADS
#define DYNBACKUP_IMPLEMENTATION
#include "engine_ours.h"

void must(dynb_rc rc, const dynb_error *err, const char *call)
{
    if (rc != DYNB_OK)
        die("%s answers %d (%s): %s", call, (int)rc, dynb_rc_text(rc), err->message);
}

uint32_t ours_crc32c(uint32_t sum, const uint8_t *bytes, size_t size)
{
    return dynbi_crc32c(sum, bytes, size);
}

static void ours_version(char text[64])
{
    snprintf(text, 64, "%s", DYNB_VERSION);
}

/* ---- readers ---- */

void ours_reader_init(struct ours_reader *reader, struct ours *o, const char *table)
{
    memset(reader, 0, sizeof *reader);
    reader->ours = o;
    reader->table = table;
}

void ours_reader_free(struct ours_reader *reader)
{
    dynb_builder_free(&reader->builder);
    dynb_result_free(&reader->results[0]);
    dynb_result_free(&reader->results[1]);
}

static void *ours_reader_open(void *store)
{
    struct ours_reader *reader = get_memory(sizeof *reader);
    ours_reader_init(reader, store, TABLE);
    return reader;
}

static void ours_reader_close(void *reader)
{
    ours_reader_free(reader);
    free(reader);
}

dynb_item ours_encode(struct ours_reader *reader, const uint8_t *key, const uint8_t *value)
{
    dynb_item item;
    dynb_builder *b = &reader->builder;
    dynb_builder_begin(b);
    dynb_add_string(b, "id", (const char *)key, KEY_BYTES);
    if (value)
        dynb_add_binary(b, "val", value, kit.value_bytes);
    must(dynb_builder_finish(b, &item, &reader->err), &reader->err, "dynb_builder_finish");
    return item;
}

const uint8_t *ours_bytes(dynb_value value, size_t expected)
{
    size_t length = 0;
    const char *bytes = dynb_value_string(value, &length);
    if (bytes && length != expected)
        die("an attribute has %zu bytes instead of %zu", length, expected);
    return (const uint8_t *)bytes;
}

const uint8_t *ours_get(void *reader, const uint8_t *key)
{
    struct ours_reader *r = reader;
    dynb_item item;
    dynb_item wanted = ours_encode(r, key, NULL);
    must(dynb_get_item(r->ours->db, r->table, wanted, &item, &r->results[0], &r->err), &r->err,
         "dynb_get_item");
    return item.bytes ? ours_bytes(dynb_item_get(item, "val"), kit.value_bytes) : NULL;
}

static void ours_got(void *reader)
{
    (void)reader; /* the value lies in the reader's result */
}

void ours_scan(void *reader, visit_fn *visit, void *ctx)
{
    struct ours_reader *r = reader;
    dynb_scan_input input;
    dynb_page page;
    memset(&input, 0, sizeof input);
    input.table = r->table;
    for (unsigned turn = 0;; turn ^= 1u) {
        must(dynb_scan(r->ours->db, &input, &page, &r->results[turn], &r->err), &r->err,
             "dynb_scan");
        for (uint32_t i = 0; i < page.count; ++i) {
            dynb_iterator it = dynb_item_iterate(page.items[i]);
            dynb_value id, val;
            if (!dynb_next(&it, NULL, NULL, &id) || !dynb_next(&it, NULL, NULL, &val))
                die("a scanned item lacks an attribute");
            visit(ctx, ours_bytes(id, KEY_BYTES), ours_bytes(val, kit.value_bytes));
        }
        if (!page.last_key.bytes)
            break;
        input.start_after = page.last_key;
    }
}

/* ---- the store ---- */

static void ours_ensure_table(struct ours *o)
{
    dynb_create_table_input input;
    dynb_table_description about;
    if (dynb_describe_table(o->db, TABLE, &about, &o->writer.results[0], NULL) == DYNB_OK)
        return;
    memset(&input, 0, sizeof input);
    input.table_name = TABLE;
    input.partition_key.name = "id";
    input.partition_key.type = DYNB_S;
    must(dynb_create_table(o->db, &input, NULL, NULL, &o->writer.err), &o->writer.err,
         "dynb_create_table");
}

struct ours *ours_open_as(const char *directory, uint64_t budget_bytes, dynb_durability durability)
{
    struct ours *o = get_memory(sizeof *o);
    char path[PATH_SIZE + 16];
    dynb_config config;
    memset(&config, 0, sizeof config);
    config.memory_bytes = budget_bytes;
    config.durability = durability;
    config.create_backup_per_second = DYNB_UNLIMITED;
    snprintf(o->directory, sizeof o->directory, "%s", directory ? directory : "");
    snprintf(path, sizeof path, "%s/store.dynb", o->directory);
    ours_reader_init(&o->writer, o, TABLE);
    o->writes = get_memory(BATCH_COUNT * sizeof *o->writes);
    o->arena_bytes = BATCH_COUNT * (kit.value_bytes + 128u);
    o->arena = get_memory(o->arena_bytes);
    must(dynb_open(&o->db, directory ? path : NULL, &config, &o->writer.err), &o->writer.err,
         "dynb_open");
    ours_ensure_table(o);
    return o;
}

static void *ours_open_file(const struct engine_setup *setup)
{
    return ours_open_as(setup->directory, setup->budget_bytes, DYNB_TO_OS);
}

static void *ours_open_memory(const struct engine_setup *setup)
{
    return ours_open_as(NULL, setup->budget_bytes, DYNB_TO_OS);
}

void ours_close(void *store)
{
    struct ours *o = store;
    must(dynb_close(o->db, &o->writer.err), &o->writer.err, "dynb_close");
    ours_reader_free(&o->writer);
    free(o->writes);
    free(o->arena);
    free(o);
}

dynb_write_options ours_options(enum commit commit)
{
    dynb_write_options options = {0};
    options.choose_durability = 1;
    options.durability = commit == COMMIT_SYNC ? DYNB_SYNCED : DYNB_TO_OS;
    return options;
}

static void ours_batch(struct ours *o, const uint8_t *pairs, uint32_t count, int is_delete,
                       enum commit commit)
{
    dynb_write_options options = ours_options(commit);
    size_t used = 0;
    for (uint32_t i = 0; i < count; ++i) {
        const uint8_t *pair = pair_at(pairs, i);
        dynb_item item = ours_encode(&o->writer, pair, is_delete ? NULL : pair + KEY_BYTES);
        if (used + item.size_bytes > o->arena_bytes)
            die("an encoded item takes %u bytes", item.size_bytes);
        memcpy(o->arena + used, item.bytes, item.size_bytes);
        o->writes[i].table = TABLE;
        o->writes[i].item.bytes = o->arena + used;
        o->writes[i].item.size_bytes = item.size_bytes;
        o->writes[i].is_delete = is_delete;
        used += item.size_bytes;
    }
    must(dynb_batch_write(o->db, o->writes, count, &options, &o->writer.err), &o->writer.err,
         "dynb_batch_write");
}

void ours_put(void *store, const uint8_t *pairs, uint32_t count, enum commit commit)
{
    struct ours *o = store;
    if (count == 1) {
        dynb_write_options options = ours_options(commit);
        dynb_item item = ours_encode(&o->writer, pairs, pairs + KEY_BYTES);
        must(dynb_put_item(o->db, TABLE, item, &options, NULL, NULL, &o->writer.err),
             &o->writer.err, "dynb_put_item");
    } else {
        ours_batch(o, pairs, count, 0, commit);
    }
}

static void ours_delete(void *store, const uint8_t *pairs, uint32_t count, enum commit commit)
{
    ours_batch(store, pairs, count, 1, commit);
}

void ours_settle(void *store)
{
    struct ours *o = store;
    must(dynb_wait_idle(o->db, &o->writer.err), &o->writer.err, "dynb_wait_idle");
}

static void ours_stat(void *store, struct engine_stat *stat)
{
    struct ours *o = store;
    dynb_stat s;
    must(dynb_get_stat(o->db, &s, &o->writer.err), &o->writer.err, "dynb_get_stat");
    stat->device_bytes = o->directory[0] ? tree_bytes(o->directory, NULL) : s.device_bytes;
    stat->used_bytes = s.used_bytes;
    stat->grown_bytes = s.written_bytes;
}

static void ours_problem(void *ctx, const char *where, const dynb_error *problem)
{
    (void)ctx;
    fprintf(stderr, "check: %s: %s\n", where, problem->message);
}

void ours_check(void *store)
{
    struct ours *o = store;
    must(dynb_check(o->db, NULL, ours_problem, NULL, &o->writer.err), &o->writer.err,
         "dynb_check");
}

/* ---- backups ---- */

/* The results are of the call: any thread may make backups. */
void ours_create_backup(struct ours *o, const char *table, char arn[ARN_SIZE])
{
    dynb_backup_description description;
    dynb_result result;
    dynb_error err;
    memset(&result, 0, sizeof result);
    must(dynb_create_backup(o->db, table, "bench", &description, &result, &err), &err,
         "dynb_create_backup");
    if (snprintf(arn, ARN_SIZE, "%s", description.backup_arn) >= (int)ARN_SIZE)
        die("an ARN is too long");
    dynb_result_free(&result);
}

int ours_backup_done(struct ours *o, const char *arn)
{
    dynb_backup_description description;
    dynb_result result;
    dynb_error err;
    memset(&result, 0, sizeof result);
    must(dynb_describe_backup(o->db, arn, &description, &result, &err), &err,
         "dynb_describe_backup");
    dynb_result_free(&result);
    return description.status == DYNB_BACKUP_AVAILABLE;
}

/* Asks with sleeps between: waiting burns no core. */
void ours_wait_backup(struct ours *o, const char *arn)
{
    uint64_t start = now_ns();
    while (!ours_backup_done(o, arn)) {
        if (seconds_since(start) > 120)
            die("a backup is still not complete after two minutes");
        sleep_us(50);
    }
}

void ours_delete_backup(struct ours *o, const char *arn)
{
    dynb_error err;
    must(dynb_delete_backup(o->db, arn, NULL, NULL, &err), &err, "dynb_delete_backup");
}

void ours_delete_table(struct ours *o, const char *table)
{
    must(dynb_delete_table(o->db, table, NULL, NULL, &o->writer.err), &o->writer.err,
         "dynb_delete_table");
}

struct ours_backup {
    struct ours *ours;
    char arn[ARN_SIZE];
};

static void *ours_backup_begin(void *store)
{
    struct ours_backup *backup = get_memory(sizeof *backup);
    backup->ours = store;
    ours_create_backup(backup->ours, TABLE, backup->arn);
    return backup;
}

static void ours_backup_finish(void *backup)
{
    struct ours_backup *b = backup;
    ours_wait_backup(b->ours, b->arn);
}

static void ours_backup_sync(void *backup)
{
    struct ours_backup *b = backup;
    dynb_error err;
    must(dynb_sync(b->ours->db, &err), &err, "dynb_sync");
}

static void ours_backup_drop(void *backup)
{
    struct ours_backup *b = backup;
    ours_wait_backup(b->ours, b->arn); /* one being made cannot be deleted */
    ours_delete_backup(b->ours, b->arn);
    free(b);
}

struct ours_restored {
    struct ours_reader reader;
    char table[32];
};

static void *ours_restore(void *backup)
{
    struct ours_backup *b = backup;
    struct ours_restored *restored = get_memory(sizeof *restored);
    dynb_restore_input input;
    snprintf(restored->table, sizeof restored->table, "Restored-%u", b->ours->restored_count++);
    ours_reader_init(&restored->reader, b->ours, restored->table);
    memset(&input, 0, sizeof input);
    input.target_table_name = restored->table;
    input.backup_arn = b->arn;
    must(dynb_restore_table_from_backup(b->ours->db, &input, NULL, NULL, &restored->reader.err),
         &restored->reader.err, "dynb_restore_table_from_backup");
    return restored;
}

static void ours_restored_drop(void *reader)
{
    struct ours_restored *restored = reader;
    ours_delete_table(restored->reader.ours, restored->table);
    ours_reader_free(&restored->reader);
    free(restored);
}

#define OURS(name, in_memory, open_fn)                                                           \
    {                                                                                            \
        name, in_memory, ours_version, open_fn, ours_close, ours_put, ours_delete, ours_settle,  \
            ours_stat, ours_check, ours_reader_open, ours_get, ours_got, ours_scan,              \
            ours_reader_close, ours_backup_begin, ours_backup_finish, ours_backup_sync,          \
            ours_backup_drop, ours_restore, ours_restored_drop                                   \
    }

static const struct engine engine_file = OURS("dynbackup", 0, ours_open_file);
static const struct engine engine_memory = OURS("dynbackup-ram", 1, ours_open_memory);
const struct engine *const engines[] = {&engine_file, &engine_memory, NULL};
