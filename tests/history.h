/* history.h - random changes, made to the model and to a store side by side.
 *
 * history_change picks one change that the present state allows, makes it in
 * the model first, tells before_fn (so that a crash test knows what may be on
 * the device from now on), makes it in the store, and checks the answer. All
 * follows from the random state: the same seed makes the same history.
 *
 * `issued` counts the changes; digests[n] is the model's digest after the n-th.
 * acked_power and acked_process are the last changes that a power cut and the
 * death of the process must not lose. The archive lists every backup there ever
 * was with the contents it must have, so that a store recovered at any moment
 * can be judged.
 *
 * Where tables have point-in-time recovery, the history moves the clock on, and
 * moments[n] tells the time of the n-th change and every table as it was then:
 * what a read or restore at any time must show of a store that holds the state
 * after the n-th change. */
#ifndef HISTORY_H
#define HISTORY_H

#include "indexes.h"

#define HISTORY_BATCH_MAX 12u
#define HISTORY_NEVER ((uint64_t)-1)
#define HISTORY_ARN "arn:aws:dynamodb:us-east-1:123456789012:table/"

typedef struct history_backup {
    char name[32];
    uint64_t contents; /* as model_table_contents tells */
    uint64_t created;  /* issued number of its creation and deletion */
    uint64_t deleted;
} history_backup;

#define HISTORY_TABLES_MAX 4u /* of a history with recovery */

/* A table after a change. */
typedef struct history_state {
    char name[32];
    uint64_t items_hash;
    uint64_t recovery_from; /* as in the model */
    uint32_t indexes;       /* those it has had since it was created */
} history_state;

typedef struct history_moment {
    uint64_t time_ms; /* of the change */
    uint32_t count;
    history_state tables[HISTORY_TABLES_MAX];
} history_moment;

typedef struct history {
    dynb *db;
    model m;
    check_random random;
    dynb_durability durability; /* the handle's */
    int mix_durability;         /* nonzero: puts, deletes and batches choose their own */

    uint32_t table_max, backup_max;
    uint32_t partition_count, sort_count; /* different keys */
    uint32_t pad_max_bytes;
    uint32_t big_one_in, big_max_bytes; /* one item in so many is big; 0: none */
    int puts_only;                      /* no tables, backups or restores are made or deleted */
    int with_indexes;                   /* nonzero: tables have some, which come and go */
    int with_recovery;                  /* nonzero: tables get it, and mostly keep it */
    kit_clock *clock; /* with recovery: the store's, which stands still unless moved here */

    uint64_t issued, acked_power, acked_process;
    uint64_t tick_ms; /* the clock when the last one was asked for */
    uint64_t *digests;
    history_moment *moments; /* with recovery, else NULL */
    uint64_t digest_capacity;
    history_backup *archive;
    uint32_t archive_count, archive_capacity;
    uint64_t looked, answers[2]; /* looks at the past: refused, shown */
    void (*before_fn)(void *ctx, struct history *h);
    void *before_ctx;

    char op[1500]; /* the last operation, for reports */
    dynb_builder builder;
    dynb_builder keys[HISTORY_BATCH_MAX];
    dynb_result result;
    uint8_t *pad;
} history;

#define HISTORY_OP(h, ...) snprintf((h)->op, sizeof (h)->op, __VA_ARGS__)

static inline uint32_t history_below(history *h, uint32_t limit)
{
    return (uint32_t)check_below(&h->random, limit);
}

/* -------------------------------------------------------------- items -- */

static inline void history_add_number_key(dynb_builder *builder, const char *name, uint32_t pick)
{
    char text[64];
    uint32_t n = pick / 8;
    switch (pick % 8) {
    case 0: snprintf(text, sizeof text, "%u", n); break;
    case 1: snprintf(text, sizeof text, "-%u.50", n); break;
    case 2: snprintf(text, sizeof text, "%ue3", n); break;
    case 3: snprintf(text, sizeof text, "%u.125", n); break;
    case 4: snprintf(text, sizeof text, "-%ue-7", n); break;
    case 5: snprintf(text, sizeof text, "%ue120", n + 1); break;
    case 6: snprintf(text, sizeof text, "-%u", n * 10); break;
    default: snprintf(text, sizeof text, "1234567890123456789012345678901%u", n % 9 + 1); break;
    }
    dynb_add_number(builder, name, text, (size_t)-1);
}

/* A key value; equal picks give equal values, different ones mostly not. */
static inline void history_add_key(dynb_builder *builder, const char *name, dynb_type type,
                                   uint32_t pick)
{
    static const char *const odd[] = {"a", "aa", "a\001", "\303\251", "ab", "b"};
    char text[300];
    uint8_t bytes[40];
    uint32_t i, length;
    switch (type) {
    case DYNB_N: history_add_number_key(builder, name, pick); break;
    case DYNB_B:
        length = 1 + pick % 5;
        for (i = 0; i < length; ++i)
            bytes[i] = (uint8_t)(i == 0 ? pick : i % 2 ? 0 : 0xff);
        dynb_add_binary(builder, name, bytes, length);
        break;
    default:
        if (pick < 6)
            snprintf(text, sizeof text, "%s", odd[pick]);
        else if (pick % 13 == 7) /* a long one with a long common prefix */
            snprintf(text, sizeof text, "%0*u", (int)(20 + pick % 230), pick);
        else
            snprintf(text, sizeof text, "key-%u", pick);
        dynb_add_string(builder, name, text, (size_t)-1);
    }
}

static inline void history_add_keys(history *h, dynb_builder *builder, const model_schema *schema)
{
    history_add_key(builder, schema->names[0], schema->types[0],
                    history_below(h, h->partition_count));
    if (schema->count == 2)
        history_add_key(builder, schema->names[1], schema->types[1],
                        history_below(h, h->sort_count));
}

/* One attribute of every type, nested. */
static inline void history_add_rich(history *h, dynb_builder *b)
{
    uint32_t n = history_below(h, 1000);
    char text[32];
    snprintf(text, sizeof text, "%u.%u", n, n % 10);
    dynb_add_bool(b, "flag", n & 1);
    dynb_add_null(b, "nothing");
    dynb_open_container(b, "map", DYNB_M);
    dynb_add_string(b, "name", text, (size_t)-1);
    dynb_open_container(b, "list", DYNB_L);
    dynb_add_int(b, NULL, n);
    dynb_add_string(b, NULL, "", 0);
    dynb_open_container(b, NULL, DYNB_M);
    dynb_close_container(b);
    dynb_close_container(b);
    dynb_close_container(b);
    dynb_open_container(b, "strings", DYNB_SS);
    dynb_add_string(b, NULL, "z", 1);
    dynb_add_string(b, NULL, text, (size_t)-1);
    dynb_close_container(b);
    dynb_open_container(b, "numbers", DYNB_NS);
    dynb_add_int(b, NULL, n);
    dynb_add_int(b, NULL, -5);
    dynb_close_container(b);
    dynb_open_container(b, "binaries", DYNB_BS);
    dynb_add_binary(b, NULL, "\0x", 2);
    dynb_add_binary(b, NULL, "", 0);
    dynb_close_container(b);
}

/* What indexes are on. "late" has the wrong type for its index now and then,
 * but not while that is there: then it would be refused. */
static inline void history_add_indexed(history *h, const model_table *table)
{
    if (history_below(h, 4))
        history_add_key(&h->builder, "who", DYNB_S, history_below(h, 7));
    if (history_below(h, 4))
        history_add_key(&h->builder, "when", DYNB_N, history_below(h, 30));
    if (history_below(h, 4))
        history_add_key(&h->builder, "late",
                        (table->indexes & MODEL_INDEX_ONLINE) || history_below(h, 3) ? DYNB_B
                                                                                     : DYNB_N,
                        history_below(h, 30));
}

static inline model_item *history_make_item(history *h, const model_table *table)
{
    uint32_t size = history_below(h, h->pad_max_bytes + 1), i;
    dynb_builder_begin(&h->builder);
    history_add_keys(h, &h->builder, &table->schema);
    dynb_add_int(&h->builder, "v", (int64_t)h->issued);
    if (h->with_indexes)
        history_add_indexed(h, table);
    if (h->big_one_in && history_below(h, h->big_one_in) == 0)
        size = history_below(h, h->big_max_bytes + 1);
    if (!h->pad)
        h->pad = (uint8_t *)fault_memory(NULL, h->pad_max_bytes + h->big_max_bytes + 8);
    for (i = 0; i < size; i += 8) {
        uint64_t word = check_next(&h->random);
        memcpy(h->pad + i, &word, 8);
    }
    if (size)
        dynb_add_binary(&h->builder, "pad", h->pad, size);
    if (history_below(h, 8) == 0)
        history_add_rich(h, &h->builder);
    return model_item_new(&table->schema, kit_finish(&h->builder));
}

/* The key of an item that is there, three times in four, else any key. */
static inline dynb_item history_make_key(history *h, const model_table *table,
                                         dynb_builder *builder)
{
    uint32_t i;
    dynb_builder_begin(builder);
    if (table->count && history_below(h, 4)) {
        dynb_item item = model_view(table->items[history_below(h, table->count)]);
        for (i = 0; i < table->schema.count; ++i)
            dynb_add_value(builder, table->schema.names[i],
                           dynb_item_get(item, table->schema.names[i]));
    } else {
        history_add_keys(h, builder, &table->schema);
    }
    return kit_finish(builder);
}

/* --------------------------------------------------------- bookkeeping -- */

/* Notes the model as it is after the change number `issued`. */
static inline void history_note(history *h)
{
    history_moment *moment;
    uint32_t i;
    if (h->issued >= h->digest_capacity) {
        h->digest_capacity = h->digest_capacity ? h->digest_capacity * 2 : 256;
        h->digests = (uint64_t *)fault_memory(h->digests,
                                              (size_t)h->digest_capacity * sizeof *h->digests);
        if (h->with_recovery)
            h->moments = (history_moment *)fault_memory(
                h->moments, (size_t)h->digest_capacity * sizeof *h->moments);
    }
    h->digests[h->issued] = model_digest(&h->m);
    if (!h->with_recovery)
        return;
    moment = &h->moments[h->issued];
    moment->time_ms = h->clock->now_ms;
    moment->count = h->m.table_count;
    for (i = 0; i < h->m.table_count; ++i) {
        history_state *state = &moment->tables[i];
        kit_copy(state->name, sizeof state->name, h->m.tables[i]->name);
        state->items_hash = h->m.tables[i]->items_hash;
        state->recovery_from = h->m.tables[i]->recovery_from;
        state->indexes = h->m.tables[i]->first_indexes;
    }
}

/* The model has the change; the store is about to get it. */
static inline void history_before(history *h)
{
    ++h->issued;
    history_note(h);
    if (h->before_fn)
        h->before_fn(h->before_ctx, h);
}

/* The store has answered. */
static inline int history_after(history *h, dynb_rc rc, dynb_durability durability)
{
    if (rc != DYNB_OK)
        return model_differs("expected OK, got %s: %s", kit_code_name(rc), kit_err.message);
    if (durability != DYNB_BUFFERED)
        h->acked_process = h->issued;
    if (durability == DYNB_SYNCED)
        h->acked_power = h->issued;
    return 1;
}

static inline dynb_durability history_options(history *h, dynb_write_options *options)
{
    memset(options, 0, sizeof *options);
    if (!h->mix_durability || history_below(h, 2))
        return h->durability;
    options->choose_durability = 1;
    options->durability = (dynb_durability)history_below(h, 3);
    return options->durability;
}

static inline const char *history_table_arg(history *h, const model_table *table, char arn[400])
{
    if (history_below(h, 16))
        return table->name;
    snprintf(arn, 400, HISTORY_ARN "%s", table->name);
    return arn;
}

static inline model_table *history_pick_table(history *h)
{
    return h->m.tables[history_below(h, h->m.table_count)];
}

static inline void history_free_name(history *h, char name[32])
{
    uint32_t n = history_below(h, 2 * h->table_max);
    do
        snprintf(name, 32, "t-%u", n++);
    while (model_table_at(&h->m, name));
}

static inline void history_archive(history *h, const model_backup *backup)
{
    history_backup *entry;
    if (h->archive_count == h->archive_capacity) {
        h->archive_capacity = h->archive_capacity ? h->archive_capacity * 2 : 16;
        h->archive = (history_backup *)fault_memory(h->archive,
                                                    h->archive_capacity * sizeof *h->archive);
    }
    entry = &h->archive[h->archive_count++];
    kit_copy(entry->name, sizeof entry->name, backup->name);
    entry->contents = model_table_contents(backup->copy);
    entry->created = h->issued + 1;
    entry->deleted = HISTORY_NEVER;
}

/* SYSTEM backups of one table have the same name: the archive adds the time. */
static inline void history_system_name(char to[32], const char *table, uint64_t created_at_ms)
{
    snprintf(to, 32, "%.10s %014llu", table, (unsigned long long)created_at_ms);
}

/* Backups that somebody made, and may delete. */
static inline uint32_t history_user_backups(const history *h)
{
    uint32_t i, count = 0;
    for (i = 0; i < h->m.backup_count; ++i)
        count += !h->m.backups[i]->is_system;
    return count;
}

static inline history_backup *history_find_backup(history *h, const char *name)
{
    uint32_t i;
    for (i = 0; i < h->archive_count; ++i)
        if (strcmp(h->archive[i].name, name) == 0)
            return &h->archive[i];
    return NULL;
}

/* -------------------------------------------------------------- writes -- */

static inline int history_put(history *h)
{
    model_table *table = history_pick_table(h);
    model_item *item = history_make_item(h, table), *old = model_put(table, item);
    dynb_write_options options;
    dynb_durability durability = history_options(h, &options);
    dynb_item got;
    char arn[400];
    int same;
    options.return_old = history_below(h, 4) == 0;
    HISTORY_OP(h, "put into %s (durability %d): %s", table->name, (int)durability,
               model_text(model_view(item)));
    history_before(h);
    same = history_after(h,
                         dynb_put_item(h->db, history_table_arg(h, table, arn), model_view(item),
                                       &options, options.return_old ? &got : NULL,
                                       options.return_old ? &h->result : NULL, &kit_err),
                         durability);
    if (same && options.return_old && !model_same_item(old, got))
        same = model_differs("the old item: got %s", model_text(got));
    model_item_release(old);
    return same;
}

static inline int history_delete(history *h)
{
    model_table *table = history_pick_table(h);
    dynb_item key = history_make_key(h, table, &h->builder), got;
    model_item *wanted = model_item_new(&table->schema, key), *old = model_delete(table, wanted);
    dynb_write_options options;
    dynb_durability durability = history_options(h, &options);
    char arn[400];
    int same;
    options.return_old = history_below(h, 4) == 0;
    HISTORY_OP(h, "delete from %s (durability %d): %s", table->name, (int)durability,
               model_text(key));
    history_before(h);
    same = history_after(h,
                         dynb_delete_item(h->db, history_table_arg(h, table, arn), key, &options,
                                          options.return_old ? &got : NULL,
                                          options.return_old ? &h->result : NULL, &kit_err),
                         durability);
    if (same && options.return_old && !model_same_item(old, got))
        same = model_differs("the old item: got %s", model_text(got));
    model_item_release(old);
    model_item_release(wanted);
    return same;
}

typedef struct history_part {
    model_table *table;
    model_item *item; /* or key, for a delete */
    int is_delete;
} history_part;

/* Different keys; nonzero when one more has been added. */
static inline int history_add_part(history *h, history_part *parts, uint32_t count)
{
    history_part *part = &parts[count];
    uint32_t i;
    part->table = history_pick_table(h);
    part->is_delete = history_below(h, 3) == 0;
    part->item = part->is_delete
                     ? model_item_new(&part->table->schema,
                                      history_make_key(h, part->table, &h->keys[count]))
                     : history_make_item(h, part->table);
    for (i = 0; i < count; ++i)
        if (parts[i].table == part->table &&
            model_compare_items(&part->table->schema, parts[i].item, part->item) == 0) {
            model_item_release(part->item);
            return 0;
        }
    return 1;
}

static inline int history_batch(history *h)
{
    history_part parts[HISTORY_BATCH_MAX];
    dynb_write writes[HISTORY_BATCH_MAX];
    uint32_t wanted = 1 + history_below(h, HISTORY_BATCH_MAX), count = 0, i;
    dynb_write_options options;
    dynb_durability durability = history_options(h, &options);
    int same;
    for (i = 0; i < wanted; ++i)
        count += (uint32_t)history_add_part(h, parts, count);
    for (i = 0; i < count; ++i) {
        writes[i].table = parts[i].table->name;
        writes[i].item = model_view(parts[i].item);
        writes[i].is_delete = parts[i].is_delete;
        ++parts[i].item->refs; /* `writes` looks at it until the call is over */
        if (parts[i].is_delete) {
            model_item_release(model_delete(parts[i].table, parts[i].item));
            model_item_release(parts[i].item);
        } else {
            model_item_release(model_put(parts[i].table, parts[i].item));
        }
    }
    HISTORY_OP(h, "batch of %u (durability %d), first %s %s: %s", count, (int)durability,
               parts[0].is_delete ? "deletes from" : "puts into", parts[0].table->name,
               model_text(writes[0].item));
    history_before(h);
    same = history_after(h, dynb_batch_write(h->db, writes, count, &options, &kit_err),
                         durability);
    for (i = 0; i < count; ++i)
        model_item_release(parts[i].item);
    return same;
}

/* -------------------------------------------------------------- tables -- */

typedef struct history_indexes {
    dynb_index globals[2], locals[1];
    const char *included[2];
} history_indexes;

static inline void history_index_key(dynb_key_attribute *key, const char *name, dynb_type type)
{
    key->name = name;
    key->type = type;
}

/* The indexes of the bits that a table is created with. */
static inline void history_define(history_indexes *to, const model_schema *schema,
                                  uint32_t indexes, const dynb_index **globals,
                                  uint32_t *global_count, const dynb_index **locals,
                                  uint32_t *local_count)
{
    dynb_index *index = to->globals;
    memset(to, 0, sizeof *to);
    to->included[0] = "v";
    to->included[1] = "map";
    if (indexes & 1) {
        index->index_name = model_index_names[0];
        history_index_key(&index->partition_key, "who", DYNB_S);
        history_index_key(&index->sort_key, "when", DYNB_N);
        ++index;
    }
    if (indexes & 2) {
        index->index_name = model_index_names[1];
        history_index_key(&index->partition_key, "when", DYNB_N);
        index->projection = DYNB_PROJECT_KEYS_ONLY;
        ++index;
    }
    *globals = index > to->globals ? to->globals : NULL;
    *global_count = (uint32_t)(index - to->globals);
    *locals = NULL;
    *local_count = 0;
    if (indexes & 4) {
        index = to->locals;
        index->index_name = model_index_names[2];
        history_index_key(&index->partition_key, schema->names[0], schema->types[0]);
        history_index_key(&index->sort_key, "who", DYNB_S);
        index->projection = DYNB_PROJECT_INCLUDE;
        index->non_key_attributes = to->included;
        index->non_key_attribute_count = 2;
        *locals = to->locals;
        *local_count = 1;
    }
}

/* Adds the index that comes and goes, or removes it. */
static inline int history_online(history *h, model_table *table)
{
    dynb_update_table_input input;
    dynb_index_update update;
    dynb_table_description about;
    uint32_t i;
    if (dynb_describe_table(h->db, table->name, &about, &h->result, &kit_err) != DYNB_OK)
        return model_differs("describe %s: %s", table->name, kit_err.message);
    for (i = 0; i < about.global_index_count; ++i)
        if (about.global_indexes[i].status != DYNB_INDEX_ACTIVE &&
            (!(table->indexes & MODEL_INDEX_ONLINE) || history_below(h, 4)))
            return 1; /* one at a time */
    memset(&input, 0, sizeof input);
    memset(&update, 0, sizeof update);
    input.table = table->name;
    input.change = DYNB_CHANGE_INDEXES;
    input.index_updates = &update;
    input.index_update_count = 1;
    update.action = table->indexes & MODEL_INDEX_ONLINE ? DYNB_DELETE_INDEX : DYNB_CREATE_INDEX;
    update.index.index_name = model_index_names[3];
    history_index_key(&update.index.partition_key, "late", DYNB_B);
    table->indexes ^= MODEL_INDEX_ONLINE;
    HISTORY_OP(h, "%s index of %s", update.action == DYNB_DELETE_INDEX ? "delete" : "create",
               table->name);
    history_before(h);
    return history_after(h, dynb_update_table(h->db, &input, NULL, NULL, &kit_err),
                         h->durability);
}

static inline int history_create_table(history *h)
{
    static const dynb_type types[][2] = {
        {DYNB_S, DYNB_TYPE_NONE}, {DYNB_S, DYNB_N}, {DYNB_N, DYNB_TYPE_NONE}, {DYNB_B, DYNB_S},
        {DYNB_S, DYNB_S},         {DYNB_N, DYNB_B}, {DYNB_B, DYNB_TYPE_NONE},
    };
    const dynb_type *type = types[history_below(h, 7)];
    dynb_create_table_input input;
    history_indexes indexes;
    dynb_table_description got;
    model_schema schema;
    model_table *table;
    char name[32];
    int same;
    memset(&schema, 0, sizeof schema);
    memset(&input, 0, sizeof input);
    snprintf(schema.names[0], sizeof schema.names[0], "Id");
    snprintf(schema.names[1], sizeof schema.names[1], "Sort");
    schema.types[0] = type[0];
    schema.types[1] = type[1];
    schema.count = type[1] == DYNB_TYPE_NONE ? 1 : 2;
    history_free_name(h, name);
    table = model_table_new(name, &schema);
    model_add_table(&h->m, table);
    input.table_name = name;
    input.partition_key.name = "Id";
    input.partition_key.type = type[0];
    input.sort_key.name = schema.count == 2 ? "Sort" : NULL;
    input.sort_key.type = type[1];
    if (h->with_indexes) {
        table->indexes = history_below(h, schema.count == 2 ? 8 : 4);
        table->first_indexes = table->indexes;
        history_define(&indexes, &schema, table->indexes, &input.global_indexes,
                       &input.global_index_count, &input.local_indexes,
                       &input.local_index_count);
    }
    HISTORY_OP(h, "create table %s, key types %d %d", name, (int)type[0], (int)type[1]);
    history_before(h);
    same = history_after(h, dynb_create_table(h->db, &input, &got, &h->result, &kit_err),
                         h->durability);
    if (!same)
        return 0;
    if (got.status != DYNB_TABLE_CREATING || strcmp(got.table_name, name) != 0)
        return model_differs("description: %s, status %d", got.table_name, (int)got.status);
    snprintf(table->id, sizeof table->id, "%s", got.table_id);
    return 1;
}

/* The backup that stays of a table with recovery: contract 2.6. */
static inline void history_keep_deleted(history *h, const model_table *table)
{
    model_backup *backup;
    char name[64];
    h->tick_ms = ++h->clock->now_ms; /* no two deletions have the same time */
    snprintf(name, sizeof name, "%.31s$DeletedTableBackup", table->name);
    backup = model_add_backup(&h->m, table, name);
    backup->is_system = 1;
    backup->created_at_ms = h->clock->now_ms;
    snprintf(backup->arn, sizeof backup->arn, HISTORY_ARN "%s/backup/%014llu-00000000",
             table->name, (unsigned long long)backup->created_at_ms);
    history_archive(h, backup);
    history_system_name(h->archive[h->archive_count - 1].name, table->name,
                        backup->created_at_ms);
}

static inline int history_delete_table(history *h)
{
    model_table *table = history_pick_table(h);
    char name[256];
    snprintf(name, sizeof name, "%s", table->name);
    if (table->recovery_from)
        history_keep_deleted(h, table);
    model_delete_table(&h->m, table);
    HISTORY_OP(h, "delete table %s", name);
    history_before(h);
    return history_after(h, dynb_delete_table(h->db, name, NULL, NULL, &kit_err), h->durability);
}

static inline int history_switch_recovery(history *h, model_table *table)
{
    dynb_update_continuous_backups_input input;
    memset(&input, 0, sizeof input);
    input.table = table->name;
    input.point_in_time_recovery = table->recovery_from == 0;
    table->recovery_from = table->recovery_from ? 0 : h->issued + 1;
    HISTORY_OP(h, "recovery of %s: %d", table->name, input.point_in_time_recovery);
    history_before(h);
    return history_after(h, dynb_update_continuous_backups(h->db, &input, NULL, &kit_err),
                         h->durability);
}

/* Once in the life of a table: AWS refuses changes that follow each other. */
static inline int history_time_to_live(history *h)
{
    model_table *table = history_pick_table(h);
    if (table->ttl[0])
        return history_put(h);
    snprintf(table->ttl, sizeof table->ttl, "expires%u", history_below(h, 10));
    HISTORY_OP(h, "time to live of %s: %s", table->name, table->ttl);
    history_before(h);
    return history_after(h, dynb_update_time_to_live(h->db, table->name, table->ttl, &kit_err),
                         h->durability);
}

/* ------------------------------------------------------------- backups -- */

static inline int history_backup_answer(model_backup *backup, const dynb_backup_description *got)
{
    if (strcmp(got->backup_name, backup->name) != 0 || got->status == DYNB_BACKUP_DELETED ||
        got->type != DYNB_BACKUP_USER || got->expires_at_ms != 0)
        return model_differs("description: name %s, status %d, type %d", got->backup_name,
                             (int)got->status, (int)got->type);
    snprintf(backup->arn, sizeof backup->arn, "%s", got->backup_arn);
    backup->lsn = got->lsn;
    backup->created_at_ms = got->created_at_ms;
    return 1;
}

static inline int history_create_backup(history *h)
{
    model_table *table = history_pick_table(h);
    dynb_backup_description got;
    model_backup *backup;
    char name[32], arn[400];
    snprintf(name, sizeof name, "b-%llu", (unsigned long long)h->issued);
    backup = model_add_backup(&h->m, table, name);
    history_archive(h, backup);
    HISTORY_OP(h, "backup %s of %s", name, table->name);
    history_before(h);
    return history_after(h,
                         dynb_create_backup(h->db, history_table_arg(h, table, arn), name, &got,
                                            &h->result, &kit_err),
                         h->durability) &&
           history_backup_answer(backup, &got);
}

/* Several tables at one marker. The archive tells them apart by their table. */
static inline int history_create_backups(history *h)
{
    const char *tables[3];
    model_backup *backups[3];
    dynb_backup_description got[3];
    uint32_t first = history_below(h, h->m.table_count), count, i;
    char name[32];
    count = h->m.table_count < 3 ? h->m.table_count : 3;
    if (count < 2)
        return history_create_backup(h);
    snprintf(name, sizeof name, "m-%llu", (unsigned long long)h->issued);
    for (i = 0; i < count; ++i) {
        const model_table *table = h->m.tables[(first + i) % h->m.table_count];
        tables[i] = table->name;
        backups[i] = model_add_backup(&h->m, table, name);
        history_archive(h, backups[i]);
        snprintf(h->archive[h->archive_count - 1].name, 32, "%.20s %.10s", name, table->name);
    }
    HISTORY_OP(h, "backups %s of %u tables from %s", name, count, tables[0]);
    history_before(h);
    if (!history_after(h, dynb_create_backups(h->db, tables, count, name, got, &h->result,
                                              &kit_err),
                       h->durability))
        return 0;
    for (i = 0; i < count; ++i) {
        if (!history_backup_answer(backups[i], &got[i]))
            return 0;
        if (got[i].lsn != got[0].lsn)
            return model_differs("markers %llu and %llu", (unsigned long long)got[0].lsn,
                                 (unsigned long long)got[i].lsn);
    }
    return 1;
}

/* The archive's entry of a backup that a store lists. */
static inline history_backup *history_listed(history *h, const dynb_backup_description *listed)
{
    char name[32];
    if (listed->type == DYNB_BACKUP_SYSTEM)
        history_system_name(name, listed->source.table_name, listed->created_at_ms);
    else if (listed->backup_name[0] != 'm')
        return history_find_backup(h, listed->backup_name);
    else
        snprintf(name, sizeof name, "%.20s %.10s", listed->backup_name,
                 listed->source.table_name);
    return history_find_backup(h, name);
}

/* Nonzero when the backup may be deleted and restored; sets *ready. */
static inline int history_is_ready(history *h, const model_backup *backup, int *ready)
{
    dynb_backup_description got;
    if (dynb_describe_backup(h->db, backup->arn, &got, &h->result, &kit_err) != DYNB_OK)
        return model_differs("describe backup %s: %s", backup->name, kit_err.message);
    *ready = got.status == DYNB_BACKUP_AVAILABLE;
    return 1;
}

static inline int history_delete_backup(history *h)
{
    model_backup *backup = h->m.backups[history_below(h, h->m.backup_count)];
    dynb_backup_description got;
    history_backup *entry;
    char arn[DYNB_ARN_MAX + 1], name[32];
    int ready = 0;
    HISTORY_OP(h, "delete backup %s", backup->arn);
    if (backup->is_system) {
        dynb_rc rc = dynb_delete_backup(h->db, backup->arn, NULL, NULL, &kit_err);
        return rc == DYNB_VALIDATION ||
               model_differs("a SYSTEM backup: expected VALIDATION, got %s", kit_code_name(rc));
    }
    if (!history_is_ready(h, backup, &ready))
        return 0;
    if (!ready) {
        dynb_rc rc = dynb_delete_backup(h->db, backup->arn, NULL, NULL, &kit_err);
        return rc == DYNB_BACKUP_IN_USE ||
               model_differs("still being created: expected BACKUP_IN_USE, got %s",
                             kit_code_name(rc));
    }
    if (backup->name[0] == 'm')
        snprintf(name, sizeof name, "%.20s %.10s", backup->name, backup->copy->name);
    else
        snprintf(name, sizeof name, "%.31s", backup->name);
    entry = history_find_backup(h, name);
    entry->deleted = h->issued + 1;
    snprintf(arn, sizeof arn, "%s", backup->arn);
    model_delete_backup(&h->m, backup);
    history_before(h);
    if (!history_after(h, dynb_delete_backup(h->db, arn, &got, &h->result, &kit_err),
                       h->durability))
        return 0;
    return got.status == DYNB_BACKUP_DELETED ||
           model_differs("deleted, but its status is %d", (int)got.status);
}

static inline int history_restore(history *h)
{
    const model_backup *backup = h->m.backups[history_below(h, h->m.backup_count)];
    dynb_restore_input input;
    history_indexes indexes;
    dynb_table_description got;
    model_table *table;
    char name[32];
    int ready = 0;
    HISTORY_OP(h, "restore %s", backup->arn);
    if (!history_is_ready(h, backup, &ready))
        return 0;
    history_free_name(h, name);
    memset(&input, 0, sizeof input);
    input.target_table_name = name;
    input.backup_arn = backup->arn;
    if (!ready) {
        dynb_rc rc = dynb_restore_table_from_backup(h->db, &input, NULL, NULL, &kit_err);
        return rc == DYNB_BACKUP_IN_USE ||
               model_differs("still being created: expected BACKUP_IN_USE, got %s",
                             kit_code_name(rc));
    }
    table = model_restore(&h->m, backup, name);
    table->indexes &= MODEL_INDEX_ONLINE - 1u; /* whether that was complete, only the store knows */
    table->first_indexes = 0;                  /* they are filled later */
    if (h->with_indexes) {
        dynb_restore_overrides *with = &input.overrides;
        uint32_t local_count;
        history_define(&indexes, &table->schema, table->indexes, &with->global_indexes,
                       &with->global_index_count, &with->local_indexes, &local_count);
        with->local_indexes = NULL; /* all */
        with->global_indexes = indexes.globals; /* those, or with a count of 0 none */
    }
    HISTORY_OP(h, "restore %s to %s", backup->arn, name);
    history_before(h);
    if (!history_after(h,
                       dynb_restore_table_from_backup(h->db, &input, &got, &h->result, &kit_err),
                       h->durability))
        return 0;
    if (got.status != DYNB_TABLE_CREATING || !got.restoring ||
        strcmp(got.restore_source_backup_arn, backup->arn) != 0)
        return model_differs("description of the restored table: status %d, restoring %d",
                             (int)got.status, got.restoring);
    snprintf(table->id, sizeof table->id, "%s", got.table_id);
    return 1;
}

/* ----------------------------------------------------------- histories -- */

/* Time goes by: none, a little, or now and then hours. */
static inline void history_tick(history *h)
{
    if (history_below(h, 40) == 0)
        h->clock->now_ms += history_below(h, 7200000);
    else if (history_below(h, 8))
        h->clock->now_ms += 1 + history_below(h, 3);
    h->tick_ms = h->clock->now_ms;
}

/* The table whose recovery is to be switched: one without gets it soon, which
 * now and then is one that has just lost it. NULL: none now. */
static inline model_table *history_to_switch(history *h)
{
    model_table *table = history_pick_table(h);
    return history_below(h, table->recovery_from ? 60 : 2) == 0 ? table : NULL;
}

/* Makes one change. Returns 1 when the store answered as the model does. */
static inline int history_change(history *h)
{
    uint32_t dice = history_below(h, 100);
    model_table *table;
    if (h->with_recovery)
        history_tick(h);
    if (h->m.table_count == 0)
        return history_create_table(h);
    if (h->with_recovery && (table = history_to_switch(h)) != NULL)
        return history_switch_recovery(h, table);
    if (h->puts_only)
        return dice < 65 ? history_put(h) : dice < 85 ? history_delete(h) : history_batch(h);
    if (h->with_indexes && dice < 3)
        return history_online(h, history_pick_table(h));
    if (dice < 50)
        return history_put(h);
    if (dice < 65)
        return history_delete(h);
    if (dice < 79)
        return history_batch(h);
    if (dice < 84 && history_user_backups(h) < h->backup_max)
        return history_create_backup(h);
    if (dice < 86 && history_user_backups(h) + 3 <= h->backup_max)
        return history_create_backups(h);
    if (dice < 91 && h->m.backup_count)
        return history_delete_backup(h);
    if (dice < 94 && h->m.backup_count && h->m.table_count < h->table_max)
        return history_restore(h);
    if (dice < 96 && h->m.table_count < h->table_max)
        return history_create_table(h);
    if (dice < 98 && h->m.table_count > 1)
        return history_delete_table(h);
    if (dice < 99)
        return history_time_to_live(h);
    return history_put(h);
}

/* Zero settings get small defaults. The store is empty. */
static inline void history_begin(history *h, dynb *db, uint64_t seed)
{
    h->db = db;
    h->random.state = seed;
    h->table_max = h->table_max ? h->table_max : 4;
    h->backup_max = h->backup_max ? h->backup_max : 6;
    h->partition_count = h->partition_count ? h->partition_count : 12;
    h->sort_count = h->sort_count ? h->sort_count : 12;
    h->pad_max_bytes = h->pad_max_bytes ? h->pad_max_bytes : 60;
    if (h->with_recovery && h->table_max > HISTORY_TABLES_MAX)
        h->table_max = HISTORY_TABLES_MAX;
    h->issued = h->acked_power = h->acked_process = 0;
    h->digest_capacity = 0;
    history_note(h);
}

static inline void history_free(history *h)
{
    uint32_t i;
    model_free(&h->m);
    dynb_builder_free(&h->builder);
    for (i = 0; i < HISTORY_BATCH_MAX; ++i)
        dynb_builder_free(&h->keys[i]);
    dynb_result_free(&h->result);
    free(h->digests);
    free(h->moments);
    free(h->archive);
    free(h->pad);
    memset(h, 0, sizeof *h);
}

/* Is the digest that of a prefix between these two? Returns the prefix, or
 * HISTORY_NEVER. */
static inline uint64_t history_prefix(const history *h, uint64_t digest, uint64_t from,
                                      uint64_t to)
{
    uint64_t n;
    for (n = to + 1; n-- > from;)
        if (h->digests[n] == digest)
            return n;
    return HISTORY_NEVER;
}

typedef struct history_judge {
    history *h;
    dynb *db;
    char arns[32][DYNB_ARN_MAX + 1];
    uint64_t contents[32];
    uint32_t count;
} history_judge;

static inline dynb_rc history_note_backup(void *ctx, const dynb_backup_description *listed)
{
    history_judge *judge = (history_judge *)ctx;
    const history_backup *entry = history_listed(judge->h, listed);
    if (judge->count == 32)
        return DYNB_OK;
    judge->contents[judge->count] = entry ? entry->contents : 0;
    snprintf(judge->arns[judge->count++], DYNB_ARN_MAX + 1, "%s", listed->backup_arn);
    return DYNB_OK;
}

/* The indexes of a table that was restored: what reading them failed with, or
 * whether they are what its items say. */
static inline dynb_rc history_judge_indexes(dynb *db, check_random *random, int *same)
{
    kit_err.code = DYNB_OK;
    *same = index_compare(db, MODEL_RESTORED, 0, random) || kit_err.code != DYNB_OK;
    return kit_err.code;
}

/* The store of the history, perhaps after a crash: makes it idle and restores
 * each backup. Returns DYNB_OK when all calls worked; *same is 1 when every
 * backup is what the archive says. The restored tables are deleted again. */
static inline dynb_rc history_judge_backups(history *h, dynb *db, int *same)
{
    static history_judge judge;
    check_random random;
    dynb_result result;
    uint64_t contents;
    char ttl[64];
    uint32_t i;
    dynb_rc rc;
    memset(&result, 0, sizeof result);
    judge.h = h;
    judge.count = 0;
    random.state = h->issued; /* the history goes on from its own */
    *same = 1;
    rc = dynb_wait_idle(db, &kit_err);
    if (rc == DYNB_OK)
        rc = model_each_backup(db, &result, history_note_backup, &judge);
    for (i = 0; rc == DYNB_OK && i < judge.count; ++i) {
        rc = kit_restore(db, judge.arns[i], MODEL_RESTORED);
        if (rc == DYNB_OK)
            rc = model_store_contents(db, MODEL_RESTORED, &result, &contents, ttl);
        if (rc == DYNB_OK && contents != judge.contents[i])
            *same = model_differs("backup %s: restored to something else", judge.arns[i]);
        if (rc == DYNB_OK && *same && h->with_indexes)
            rc = history_judge_indexes(db, &random, same);
        if (rc == DYNB_OK)
            rc = dynb_delete_table(db, MODEL_RESTORED, NULL, NULL, &kit_err);
    }
    dynb_result_free(&result);
    return rc;
}

/* ------------------------------------------------------------ the past -- */

/* What a store showed of a table at a time. */
typedef struct history_look {
    char name[32];
    uint64_t time_ms;
    int is_latest;   /* a restore to the end of the window, whatever time that is */
    uint64_t prefix; /* a change that the store may hold the state after */
    dynb_rc rc;
    uint64_t items_hash;
} history_look;

#define HISTORY_LOOKS_MAX 8u

static inline const history_state *history_state_of(const history_moment *moment,
                                                    const char *name)
{
    uint32_t i;
    for (i = 0; i < moment->count; ++i)
        if (strcmp(moment->tables[i].name, name) == 0)
            return &moment->tables[i];
    return NULL;
}

/* Is this what a store must show that holds the changes up to `prefix`? Its
 * window ends at the clock, or at the end of its log if the clock is behind
 * that: not before its last change, nor after the next one, which it lost. (Its
 * own work makes records, too.) */
static inline int history_fits(const history *h, const history_look *look, uint64_t prefix)
{
    const history_moment *end = &h->moments[prefix];
    const history_state *table = history_state_of(end, look->name);
    uint64_t n = prefix;
    if (!table)
        return look->rc == DYNB_TABLE_NOT_FOUND;
    if (!table->recovery_from)
        return look->rc == DYNB_POINT_IN_TIME_RECOVERY_UNAVAILABLE;
    if (!look->is_latest) {
        if (look->time_ms < h->moments[table->recovery_from].time_ms)
            return look->rc == DYNB_INVALID_RESTORE_TIME;
        if (look->time_ms > end->time_ms && look->time_ms > h->clock->now_ms) {
            if (look->rc == DYNB_INVALID_RESTORE_TIME)
                return 1;
            if (look->time_ms > (prefix == h->issued ? h->tick_ms
                                                     : h->moments[prefix + 1].time_ms))
                return 0;
        }
        while (h->moments[n].time_ms > look->time_ms)
            --n;
    }
    table = history_state_of(&h->moments[n], look->name);
    return look->rc == DYNB_OK && look->items_hash == table->items_hash;
}

/* The indexes at that time hold what the items of that time say. One that the
 * table has not always had may be refused. */
static inline dynb_rc history_look_indexes(dynb *db, const history_look *look, uint32_t always,
                                           check_random *random, int *same)
{
    dynb_result result;
    dynb_table_description table;
    dynb_item *items = NULL;
    uint32_t count = 0, i;
    dynb_rc rc;
    memset(&result, 0, sizeof result);
    index_at.use_time = 1;
    index_at.time_ms = look->time_ms;
    rc = dynb_describe_table(db, look->name, &table, &result, &kit_err);
    if (rc == DYNB_OK)
        rc = index_read_all(db, look->name, NULL, 0, &items, &count);
    for (i = 0; rc == DYNB_OK && *same &&
                i < table.global_index_count + table.local_index_count; ++i) {
        const dynb_index_description *about =
            i < table.global_index_count ? &table.global_indexes[i]
                                         : &table.local_indexes[i - table.global_index_count];
        kit_err.code = DYNB_OK;
        if (about->status != DYNB_INDEX_ACTIVE ||
            index_compare_one(db, look->name, &table, about, items, count, 0, random) ||
            (kit_err.code == DYNB_VALIDATION && !(model_index_bit(about) & always)))
            continue;
        rc = kit_err.code;
        *same = rc != DYNB_OK;
    }
    memset(&index_at, 0, sizeof index_at);
    index_free_all(items, count);
    dynb_result_free(&result);
    return rc;
}

static inline dynb_rc history_read_past(history *h, dynb *db, history_look *look,
                                        check_random *random, int *same)
{
    const history_state *state;
    dynb_scan_input scan;
    dynb_result result;
    memset(&result, 0, sizeof result);
    memset(&scan, 0, sizeof scan);
    scan.table = look->name;
    scan.use_time = 1;
    scan.time_ms = look->time_ms;
    look->rc = model_scan_items(db, scan, &result, &look->items_hash);
    dynb_result_free(&result);
    if (look->rc != DYNB_OK || !h->with_indexes)
        return look->rc;
    state = history_state_of(&h->moments[look->prefix], look->name);
    return history_look_indexes(db, look, state->indexes, random, same);
}

/* The restored table is deleted again. */
static inline dynb_rc history_restore_past(history *h, dynb *db, history_look *look,
                                           check_random *random, int *same)
{
    dynb_restore_to_time_input input;
    dynb_result result;
    dynb_rc rc;
    memset(&result, 0, sizeof result);
    memset(&input, 0, sizeof input);
    input.source_table_name = look->name;
    input.target_table_name = MODEL_RESTORED;
    input.use_latest_time = look->is_latest;
    input.use_restore_time = !look->is_latest;
    input.restore_time_ms = look->is_latest ? 0 : look->time_ms;
    look->rc = rc = dynb_restore_table_to_point_in_time(db, &input, NULL, NULL, &kit_err);
    if (rc != DYNB_OK)
        return rc;
    rc = model_store_items(db, MODEL_RESTORED, &result, &look->items_hash);
    if (rc == DYNB_OK && h->with_indexes) {
        rc = dynb_wait_idle(db, &kit_err);
        if (rc == DYNB_OK)
            rc = history_judge_indexes(db, random, same);
    }
    dynb_result_free(&result);
    if (rc == DYNB_OK)
        rc = dynb_delete_table(db, MODEL_RESTORED, NULL, NULL, &kit_err);
    return rc;
}

/* A table of that state, and a time: of any change so far, or just beside it. */
static inline void history_aim(const history *h, uint64_t prefix, check_random *random,
                               history_look *look)
{
    const history_moment *end = &h->moments[prefix];
    const history_state *state = &end->tables[check_below(random, end->count)];
    const uint64_t first = state->recovery_from > 2 ? state->recovery_from - 2 : 0;
    const uint64_t n = first + check_below(random, h->issued + 1 - first);
    memset(look, 0, sizeof *look);
    kit_copy(look->name, sizeof look->name, state->name);
    look->prefix = prefix;
    look->time_ms = h->moments[n].time_ms + check_below(random, 3) - 1;
}

/* Nonzero: an answer, not a failure. */
static inline int history_is_answer(dynb_rc rc)
{
    return rc == DYNB_OK || rc == DYNB_INVALID_RESTORE_TIME || rc == DYNB_TABLE_NOT_FOUND ||
           rc == DYNB_POINT_IN_TIME_RECOVERY_UNAVAILABLE;
}

/* The store, which shows the state after some change from `from` on, tells what
 * tables were at `count` times; the last time perhaps by a restore. Returns the
 * first failure; *same is 1 when all answers fit one such change. */
static inline dynb_rc history_judge_past(history *h, dynb *db, uint64_t digest, uint64_t from,
                                         uint32_t count, int *same)
{
    history_look looks[HISTORY_LOOKS_MAX];
    check_random random;
    uint64_t prefix = history_prefix(h, digest, from, h->issued), n;
    uint32_t i;
    *same = 1;
    random.state = digest + h->looked++;
    for (i = 0; i < count && h->moments[prefix].count; ++i) {
        dynb_rc rc;
        history_aim(h, prefix, &random, &looks[i]);
        if (i + 1 == count && check_below(&random, 2)) {
            looks[i].is_latest = check_below(&random, 3) == 0;
            rc = history_restore_past(h, db, &looks[i], &random, same);
        } else {
            rc = history_read_past(h, db, &looks[i], &random, same);
        }
        if (!history_is_answer(rc))
            return rc;
        if (!*same)
            return DYNB_OK;
        ++h->answers[rc == DYNB_OK];
    }
    count = i;
    for (n = from; n <= h->issued; ++n) {
        for (i = 0; h->digests[n] == digest && i < count && history_fits(h, &looks[i], n);)
            ++i;
        if (h->digests[n] == digest && i == count) {
            *same = 1;
            return DYNB_OK;
        }
        if (h->digests[n] == digest)
            *same = model_differs("%s at %llu%s, after change %llu at %llu: %s, or other items",
                                  looks[i].name, (unsigned long long)looks[i].time_ms,
                                  looks[i].is_latest ? " (latest)" : "", (unsigned long long)n,
                                  (unsigned long long)h->moments[n].time_ms,
                                  kit_code_name(looks[i].rc));
    }
    return DYNB_OK;
}

#endif
