/* model.h - the naive model of the store, and the comparison with a real one.
 *
 * Written from the AWS documents (contract.md), not from the header: a table is
 * a sorted array of items, a backup is a full copy of that array, a batch is a
 * loop. The public item functions are used to build items and to look into
 * them; order and equality are the model's own: keys compare S and B by bytes
 * and N by value, a table is in order of partition key, then sort key.
 *
 * Items are never changed, only replaced, so that a copy of a table is an array
 * of counted pointers. Every table also carries the sum of the hashes of its
 * items: model_digest is then cheap, and model_store_digest computes the same
 * number from a store, so that the crash tests can find out in one scan which
 * prefix of a history a store holds.
 *
 * The comparisons return 1 when all is equal; otherwise 0, and model_difference
 * tells where, expected and got. */
#ifndef MODEL_H
#define MODEL_H

#include "../dynbackup.h"

#include <stdarg.h>

#include "check.h"
#include "fault.h"
#include "kit.h"

static char model_difference[1024];

/* Notes a difference. Returns 0. */
#if defined(__GNUC__)
static int model_differs(const char *format, ...) __attribute__((format(printf, 1, 2), unused));
#endif
static int model_differs(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(model_difference, sizeof model_difference, format, arguments);
    va_end(arguments);
    return 0;
}

/* --------------------------------------------------------------- keys -- */

typedef struct model_key {
    dynb_type type;
    uint32_t length;
    const uint8_t *bytes; /* of an N: its plain decimal digits */
} model_key;

typedef struct model_schema {
    char names[2][64];
    dynb_type types[2];
    uint32_t count;
} model_schema;

static inline int model_compare_bytes(const uint8_t *a, size_t a_length, const uint8_t *b,
                                      size_t b_length)
{
    size_t shorter = a_length < b_length ? a_length : b_length;
    int order = shorter ? memcmp(a, b, shorter) : 0;
    return order ? order : (a_length > b_length) - (a_length < b_length);
}

/* Positive plain decimals without needless zeros: "0.05", "12.5", "300". */
static inline int model_compare_digits(const uint8_t *a, size_t a_length, const uint8_t *b,
                                       size_t b_length)
{
    const uint8_t *a_point = a_length ? (const uint8_t *)memchr(a, '.', a_length) : NULL;
    const uint8_t *b_point = b_length ? (const uint8_t *)memchr(b, '.', b_length) : NULL;
    size_t a_whole = a_point ? (size_t)(a_point - a) : a_length;
    size_t b_whole = b_point ? (size_t)(b_point - b) : b_length;
    if (a_whole != b_whole)
        return a_whole < b_whole ? -1 : 1;
    return model_compare_bytes(a, a_length, b, b_length);
}

static inline int model_compare_numbers(const uint8_t *a, size_t a_length, const uint8_t *b,
                                        size_t b_length)
{
    int a_negative = a_length && a[0] == '-', b_negative = b_length && b[0] == '-';
    if (a_negative != b_negative)
        return a_negative ? -1 : 1;
    if (a_negative)
        return model_compare_digits(b + 1, b_length - 1, a + 1, a_length - 1);
    return model_compare_digits(a, a_length, b, b_length);
}

static inline int model_compare_key(const model_key *a, const model_key *b)
{
    return a->type == DYNB_N
               ? model_compare_numbers(a->bytes, a->length, b->bytes, b->length)
               : model_compare_bytes(a->bytes, a->length, b->bytes, b->length);
}

/* The key of an attribute value; a number's digits go to text. */
static inline model_key model_key_of(dynb_value value, char text[DYNB_NUMBER_TEXT_SIZE])
{
    model_key key;
    size_t length = 0;
    key.type = value.type;
    if (value.type == DYNB_N) {
        length = dynb_value_number(value, text);
        key.bytes = (const uint8_t *)text;
    } else {
        key.bytes = (const uint8_t *)dynb_value_string(value, &length);
    }
    key.length = (uint32_t)length;
    return key;
}

/* -------------------------------------------------------------- items -- */

typedef struct model_item {
    uint32_t refs;
    uint32_t size_bytes;
    uint32_t aws_bytes;
    uint64_t hash;
    model_key keys[2];
    const uint8_t *bytes;
} model_item;

static inline uint64_t model_hash(const void *bytes, size_t size_bytes)
{
    return fault_hash((const uint8_t *)bytes, size_bytes, size_bytes);
}

/* A copy of an item (or of a key), its keys taken out. */
static inline model_item *model_item_new(const model_schema *schema, dynb_item item)
{
    char text[2][DYNB_NUMBER_TEXT_SIZE];
    model_key keys[2];
    size_t size = sizeof(model_item) + item.size_bytes;
    model_item *made;
    uint8_t *at;
    uint32_t i;
    for (i = 0; i < schema->count; ++i) {
        keys[i] = model_key_of(dynb_item_get(item, schema->names[i]), text[i]);
        size += keys[i].length;
    }
    made = (model_item *)fault_memory(NULL, size);
    at = (uint8_t *)(made + 1);
    memcpy(at, item.bytes, item.size_bytes);
    made->bytes = at;
    at += item.size_bytes;
    for (i = 0; i < 2; ++i) {
        if (i >= schema->count) {
            memset(&made->keys[i], 0, sizeof made->keys[i]);
            continue;
        }
        made->keys[i] = keys[i];
        if (keys[i].length)
            memcpy(at, keys[i].bytes, keys[i].length);
        made->keys[i].bytes = at;
        at += keys[i].length;
    }
    made->refs = 1;
    made->size_bytes = item.size_bytes;
    made->aws_bytes = dynb_item_size(item);
    made->hash = model_hash(item.bytes, item.size_bytes);
    return made;
}

static inline dynb_item model_view(const model_item *item)
{
    dynb_item view;
    view.bytes = item ? item->bytes : NULL;
    view.size_bytes = item ? item->size_bytes : 0;
    return view;
}

static inline void model_item_release(model_item *item)
{
    if (item && --item->refs == 0)
        free(item);
}

static inline int model_same_item(const model_item *expected, dynb_item got)
{
    return expected ? got.bytes != NULL && got.size_bytes == expected->size_bytes &&
                          memcmp(got.bytes, expected->bytes, got.size_bytes) == 0
                    : got.bytes == NULL;
}

/* ------------------------------------------------------------- tables -- */

typedef struct model_table {
    char name[256];
    char id[64];
    char ttl[64]; /* "": off */
    uint32_t indexes; /* bits: model_index_names; what is in them, indexes.h knows */
    uint32_t first_indexes; /* a history's: those of the bits that it was created with */
    uint64_t recovery_from; /* a history's change that switched recovery on; 0: it is off */
    model_schema schema;
    model_item **items;
    uint32_t count, capacity;
    uint64_t items_hash; /* sum of the items' hashes */
    uint64_t aws_bytes;
} model_table;

/* The indexes a table of a history may have. */
#define MODEL_INDEX_COUNT 4u
#define MODEL_INDEX_ONLINE 8u /* the bit of the one that comes and goes */
static const char *const model_index_names[MODEL_INDEX_COUNT] = {"wide", "keys", "local",
                                                                 "online"};

typedef struct model_backup {
    char arn[DYNB_ARN_MAX + 1]; /* "": not known yet */
    char name[256];
    uint64_t lsn;
    uint64_t created_at_ms;
    int is_system; /* of a deleted table: nobody may delete it */
    model_table *copy;
} model_backup;

typedef struct model {
    model_table **tables; /* in order of their names */
    uint32_t table_count, table_capacity;
    model_backup **backups; /* in order of table name, then creation */
    uint32_t backup_count, backup_capacity;
} model;

static inline int model_compare_items(const model_schema *schema, const model_item *a,
                                      const model_item *b)
{
    int order = model_compare_key(&a->keys[0], &b->keys[0]);
    return order || schema->count < 2 ? order : model_compare_key(&a->keys[1], &b->keys[1]);
}

/* Where the key is, or would be. Returns nonzero when it is there. */
static inline int model_find(const model_table *table, const model_item *key, uint32_t *at)
{
    uint32_t low = 0, high = table->count, middle;
    int order;
    while (low < high) {
        middle = (low + high) / 2;
        order = model_compare_items(&table->schema, table->items[middle], key);
        if (order == 0) {
            *at = middle;
            return 1;
        }
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    *at = low;
    return 0;
}

static inline void model_account(model_table *table, const model_item *item, int sign)
{
    table->items_hash += sign > 0 ? item->hash : (uint64_t)0 - item->hash;
    table->aws_bytes += sign > 0 ? item->aws_bytes : (uint64_t)0 - item->aws_bytes;
}

/* Puts an item, which the table then owns. Returns the old one, for the caller
 * to release, or NULL. */
static inline model_item *model_put(model_table *table, model_item *item)
{
    model_item *old = NULL;
    uint32_t at;
    if (model_find(table, item, &at)) {
        old = table->items[at];
        model_account(table, old, -1);
    } else {
        if (table->count == table->capacity) {
            table->capacity = table->capacity ? table->capacity * 2 : 16;
            table->items = (model_item **)fault_memory(table->items,
                                                       table->capacity * sizeof *table->items);
        }
        memmove(table->items + at + 1, table->items + at,
                (table->count - at) * sizeof *table->items);
        ++table->count;
    }
    table->items[at] = item;
    model_account(table, item, 1);
    return old;
}

static inline model_item *model_get(const model_table *table, const model_item *key)
{
    uint32_t at;
    return model_find(table, key, &at) ? table->items[at] : NULL;
}

/* Takes the item out. Returns it, for the caller to release, or NULL. */
static inline model_item *model_delete(model_table *table, const model_item *key)
{
    model_item *old;
    uint32_t at;
    if (!model_find(table, key, &at))
        return NULL;
    old = table->items[at];
    --table->count;
    memmove(table->items + at, table->items + at + 1, (table->count - at) * sizeof *table->items);
    model_account(table, old, -1);
    return old;
}

static inline model_table *model_table_new(const char *name, const model_schema *schema)
{
    model_table *table = (model_table *)fault_memory(NULL, sizeof *table);
    memset(table, 0, sizeof *table);
    snprintf(table->name, sizeof table->name, "%s", name);
    table->schema = *schema;
    return table;
}

static inline model_table *model_table_copy(const model_table *table)
{
    model_table *copy = (model_table *)fault_memory(NULL, sizeof *copy);
    uint32_t i;
    *copy = *table;
    copy->capacity = table->count;
    copy->items = (model_item **)fault_memory(NULL, (table->count + 1) * sizeof *copy->items);
    for (i = 0; i < table->count; ++i) {
        copy->items[i] = table->items[i];
        ++copy->items[i]->refs;
    }
    return copy;
}

static inline void model_table_free(model_table *table)
{
    uint32_t i;
    for (i = 0; i < table->count; ++i)
        model_item_release(table->items[i]);
    free(table->items);
    free(table);
}

static inline model_table *model_table_at(const model *m, const char *name)
{
    uint32_t i;
    for (i = 0; i < m->table_count; ++i)
        if (strcmp(m->tables[i]->name, name) == 0)
            return m->tables[i];
    return NULL;
}

static inline void model_add_table(model *m, model_table *table)
{
    uint32_t at = 0;
    if (m->table_count == m->table_capacity) {
        m->table_capacity = m->table_capacity ? m->table_capacity * 2 : 8;
        m->tables = (model_table **)fault_memory(m->tables, m->table_capacity * sizeof *m->tables);
    }
    while (at < m->table_count && strcmp(m->tables[at]->name, table->name) < 0)
        ++at;
    memmove(m->tables + at + 1, m->tables + at, (m->table_count - at) * sizeof *m->tables);
    m->tables[at] = table;
    ++m->table_count;
}

static inline void model_delete_table(model *m, model_table *table)
{
    uint32_t at = 0;
    while (m->tables[at] != table)
        ++at;
    --m->table_count;
    memmove(m->tables + at, m->tables + at + 1, (m->table_count - at) * sizeof *m->tables);
    model_table_free(table);
}

/* ------------------------------------------------------------ queries -- */

typedef struct model_query {
    const model_key *partition;
    dynb_sort_condition condition;
    const model_key *from, *to;
    int descending;
    const model_item *start_after; /* NULL: from the start */
} model_query;

static inline int model_matches(const model_query *query, const model_key *sort)
{
    int order = query->from ? model_compare_key(sort, query->from) : 0;
    switch (query->condition) {
    case DYNB_SORT_ANY: return 1;
    case DYNB_SORT_EQ: return order == 0;
    case DYNB_SORT_LT: return order < 0;
    case DYNB_SORT_LE: return order <= 0;
    case DYNB_SORT_GT: return order > 0;
    case DYNB_SORT_GE: return order >= 0;
    case DYNB_SORT_BETWEEN: return order >= 0 && model_compare_key(sort, query->to) <= 0;
    case DYNB_SORT_BEGINS_WITH:
        return sort->length >= query->from->length &&
               memcmp(sort->bytes, query->from->bytes, query->from->length) == 0;
    }
    return 0;
}

/* All matches in order, without limit. found has room for table->count. */
static inline uint32_t model_run_query(const model_table *table, const model_query *query,
                                       model_item **found)
{
    uint32_t i, count = 0;
    for (i = 0; i < table->count; ++i) {
        model_item *item = table->items[query->descending ? table->count - 1 - i : i];
        int order;
        if (model_compare_key(&item->keys[0], query->partition) != 0)
            continue;
        if (table->schema.count == 2 && !model_matches(query, &item->keys[1]))
            continue;
        order = query->start_after
                    ? model_compare_items(&table->schema, item, query->start_after)
                    : query->descending ? -1 : 1;
        if (query->descending ? order < 0 : order > 0)
            found[count++] = item;
    }
    return count;
}

/* ------------------------------------------------------------ backups -- */

/* A backup of the table as it is now; arn, lsn and time come from the store. */
static inline model_backup *model_add_backup(model *m, const model_table *table, const char *name)
{
    model_backup *backup = (model_backup *)fault_memory(NULL, sizeof *backup);
    uint32_t at = 0;
    memset(backup, 0, sizeof *backup);
    snprintf(backup->name, sizeof backup->name, "%s", name);
    backup->copy = model_table_copy(table);
    if (m->backup_count == m->backup_capacity) {
        m->backup_capacity = m->backup_capacity ? m->backup_capacity * 2 : 8;
        m->backups = (model_backup **)fault_memory(m->backups,
                                                   m->backup_capacity * sizeof *m->backups);
    }
    while (at < m->backup_count && strcmp(m->backups[at]->copy->name, table->name) <= 0)
        ++at;
    memmove(m->backups + at + 1, m->backups + at, (m->backup_count - at) * sizeof *m->backups);
    m->backups[at] = backup;
    ++m->backup_count;
    return backup;
}

static inline void model_free_backup(model_backup *backup)
{
    model_table_free(backup->copy);
    free(backup);
}

static inline void model_delete_backup(model *m, model_backup *backup)
{
    uint32_t at = 0;
    while (m->backups[at] != backup)
        ++at;
    --m->backup_count;
    memmove(m->backups + at, m->backups + at + 1, (m->backup_count - at) * sizeof *m->backups);
    model_free_backup(backup);
}

/* A new table with the backup's items; time to live and recovery are not brought
 * back. */
static inline model_table *model_restore(model *m, const model_backup *backup, const char *name)
{
    model_table *table = model_table_copy(backup->copy);
    snprintf(table->name, sizeof table->name, "%s", name);
    table->id[0] = table->ttl[0] = 0;
    table->recovery_from = 0;
    model_add_table(m, table);
    return table;
}

static inline void model_free(model *m)
{
    uint32_t i;
    for (i = 0; i < m->table_count; ++i)
        model_table_free(m->tables[i]);
    for (i = 0; i < m->backup_count; ++i)
        model_free_backup(m->backups[i]);
    free(m->tables);
    free(m->backups);
    memset(m, 0, sizeof *m);
}

/* ------------------------------------------------------------- digest -- */

static inline uint64_t model_text_hash(const char *text)
{
    return model_hash(text, strlen(text));
}

/* Of a table's contents, whatever its name. */
static inline uint64_t model_contents(uint64_t items_hash, const char *partition_name,
                                      const char *sort_name)
{
    return (items_hash ^ model_text_hash(partition_name)) * 0x9e3779b97f4a7c15u +
           model_text_hash(sort_name);
}

static inline uint64_t model_table_contents(const model_table *table)
{
    return model_contents(table->items_hash, table->schema.names[0],
                          table->schema.count == 2 ? table->schema.names[1] : "");
}

static inline uint64_t model_named(const char *name, const char *ttl, uint64_t contents)
{
    uint64_t hash = (model_text_hash(name) + 3 * model_text_hash(ttl)) ^
                    (contents * 0xff51afd7ed558ccdu);
    return hash * 0xc4ceb9fe1a85ec53u ^ hash >> 31;
}

static inline uint64_t model_listed(const char *backup_name, const char *table_name)
{
    return (model_text_hash(backup_name) ^ 0x123456789u) * 31 + model_text_hash(table_name);
}

/* Which indexes there are is part of the state, what is in them follows; so is
 * whether recovery is on. */
static inline uint64_t model_settled(uint64_t contents, uint32_t indexes, int recovery)
{
    return contents + indexes * 0xd6e8feb86659fd93u + (recovery ? 0x94d049bb133111ebu : 0);
}

/* Of all tables with their items and settings, and the names of the backups. */
static inline uint64_t model_digest(const model *m)
{
    uint64_t sum = 1;
    uint32_t i;
    for (i = 0; i < m->table_count; ++i)
        sum += model_named(m->tables[i]->name, m->tables[i]->ttl,
                           model_settled(model_table_contents(m->tables[i]),
                                         m->tables[i]->indexes,
                                         m->tables[i]->recovery_from != 0));
    for (i = 0; i < m->backup_count; ++i)
        sum += model_listed(m->backups[i]->name, m->backups[i]->copy->name);
    return sum;
}

/* Sum of the hashes of all items that a scan shows, page by page. */
static inline dynb_rc model_scan_items(dynb *db, dynb_scan_input scan, dynb_result *result,
                                       uint64_t *items_hash)
{
    dynb_page page;
    uint32_t i;
    uint8_t *last = NULL;
    dynb_rc rc;
    *items_hash = 0;
    do {
        rc = dynb_scan(db, &scan, &page, result, &kit_err);
        if (rc != DYNB_OK)
            break;
        for (i = 0; i < page.count; ++i)
            *items_hash += model_hash(page.items[i].bytes, page.items[i].size_bytes);
        scan.start_after.bytes = NULL;
        if (page.last_key.bytes) { /* the next call may overwrite it */
            last = (uint8_t *)fault_memory(last, page.last_key.size_bytes);
            memcpy(last, page.last_key.bytes, page.last_key.size_bytes);
            scan.start_after.bytes = last;
            scan.start_after.size_bytes = page.last_key.size_bytes;
        }
    } while (scan.start_after.bytes);
    free(last);
    return rc;
}

static inline dynb_rc model_store_items(dynb *db, const char *table, dynb_result *result,
                                        uint64_t *items_hash)
{
    dynb_scan_input scan;
    memset(&scan, 0, sizeof scan);
    scan.table = table;
    return model_scan_items(db, scan, result, items_hash);
}

static inline dynb_rc model_store_contents(dynb *db, const char *table, dynb_result *result,
                                           uint64_t *contents, char ttl[64])
{
    dynb_table_description about;
    char names[2][64];
    uint64_t items_hash;
    dynb_rc rc = dynb_describe_table(db, table, &about, result, &kit_err);
    if (rc != DYNB_OK)
        return rc;
    snprintf(ttl, 64, "%s", about.ttl_attribute ? about.ttl_attribute : "");
    snprintf(names[0], 64, "%s", about.partition_key.name ? about.partition_key.name : "");
    snprintf(names[1], 64, "%s", about.sort_key.name ? about.sort_key.name : "");
    rc = model_store_items(db, table, result, &items_hash);
    *contents = model_contents(items_hash, names[0], names[1]);
    return rc;
}

/* Calls visit for each backup; stops when that returns anything but DYNB_OK. */
static inline dynb_rc model_each_backup(dynb *db, dynb_result *result,
                                        dynb_rc (*visit)(void *ctx,
                                                         const dynb_backup_description *backup),
                                        void *ctx)
{
    dynb_list_backups_input list;
    dynb_backup_list found;
    char after[DYNB_ARN_MAX + 1];
    uint32_t i;
    dynb_rc rc;
    memset(&list, 0, sizeof list);
    list.type = DYNB_LIST_ALL;
    do {
        rc = dynb_list_backups(db, &list, &found, result, &kit_err);
        for (i = 0; rc == DYNB_OK && i < found.count; ++i)
            rc = visit(ctx, &found.backups[i]);
        if (rc != DYNB_OK)
            return rc;
        list.start_after_arn = NULL;
        if (found.last_evaluated_arn) {
            snprintf(after, sizeof after, "%s", found.last_evaluated_arn);
            list.start_after_arn = after;
        }
    } while (list.start_after_arn);
    return DYNB_OK;
}

static inline dynb_rc model_add_listed(void *ctx, const dynb_backup_description *backup)
{
    *(uint64_t *)ctx += model_listed(backup->backup_name, backup->source.table_name);
    return DYNB_OK;
}

static inline uint32_t model_index_bit(const dynb_index_description *index)
{
    uint32_t i;
    for (i = 0; i < MODEL_INDEX_COUNT; ++i)
        if (index->status != DYNB_INDEX_DELETING &&
            strcmp(index->index.index_name, model_index_names[i]) == 0)
            return 1u << i;
    return 0;
}

/* The indexes a table has, as bits; one that goes away is gone. */
static inline uint32_t model_described_indexes(const dynb_table_description *about)
{
    uint32_t i, indexes = 0;
    for (i = 0; i < about->global_index_count; ++i)
        indexes |= model_index_bit(&about->global_indexes[i]);
    for (i = 0; i < about->local_index_count; ++i)
        indexes |= model_index_bit(&about->local_indexes[i]);
    return indexes;
}

/* The digest of what the store shows. */
static inline dynb_rc model_store_digest(dynb *db, uint64_t *digest)
{
    dynb_result names, result;
    dynb_table_list list;
    char after[256] = "";
    uint32_t i;
    dynb_rc rc;
    memset(&names, 0, sizeof names);
    memset(&result, 0, sizeof result);
    *digest = 1;
    do {
        rc = dynb_list_tables(db, after[0] ? after : NULL, 0, &list, &names, &kit_err);
        for (i = 0; rc == DYNB_OK && i < list.count; ++i) {
            dynb_table_description about;
            uint64_t contents;
            char ttl[64];
            rc = model_store_contents(db, list.table_names[i], &result, &contents, ttl);
            if (rc == DYNB_OK)
                rc = dynb_describe_table(db, list.table_names[i], &about, &result, &kit_err);
            if (rc == DYNB_OK)
                *digest += model_named(list.table_names[i], ttl,
                                       model_settled(contents, model_described_indexes(&about),
                                                     about.recovery_period_days != 0));
        }
        snprintf(after, sizeof after, "%s",
                 rc == DYNB_OK && list.last_evaluated ? list.last_evaluated : "");
    } while (rc == DYNB_OK && after[0]);
    if (rc == DYNB_OK)
        rc = model_each_backup(db, &result, model_add_listed, digest);
    dynb_result_free(&names);
    dynb_result_free(&result);
    return rc;
}

/* ------------------------------------------------------------- the past -- */

/* A table's states, one after each write, with the time of the write. */
typedef struct model_past {
    model_table **states; /* [0]: when recovery was switched on */
    uint64_t *times_ms;
    uint32_t count, capacity;
} model_past;

static inline void model_remember(model_past *past, const model_table *table, uint64_t time_ms)
{
    if (past->count == past->capacity) {
        past->capacity = past->capacity ? past->capacity * 2 : 64;
        past->states = (model_table **)fault_memory(past->states,
                                                    past->capacity * sizeof *past->states);
        past->times_ms = (uint64_t *)fault_memory(past->times_ms,
                                                  past->capacity * sizeof *past->times_ms);
    }
    past->states[past->count] = model_table_copy(table);
    past->times_ms[past->count++] = time_ms;
}

/* The state at a time: after the last write whose time is not after it. Of the
 * first `limit` writes only. */
static inline const model_table *model_state_at(const model_past *past, uint32_t limit,
                                                uint64_t time_ms)
{
    uint32_t i = limit < past->count ? limit : past->count;
    while (i > 1 && past->times_ms[i - 1] > time_ms)
        --i;
    return past->states[i - 1];
}

static inline void model_past_free(model_past *past)
{
    uint32_t i;
    for (i = 0; i < past->count; ++i)
        model_table_free(past->states[i]);
    free(past->states);
    free(past->times_ms);
    memset(past, 0, sizeof *past);
}

/* --------------------------------------------------------- comparison -- */

/* What an item looks like in a report. */
static inline const char *model_text(dynb_item item)
{
    static char text[200];
    dynb_result result;
    const char *json = NULL;
    size_t length;
    memset(&result, 0, sizeof result);
    if (!item.bytes)
        return "nothing";
    if (item.size_bytes > 4096) {
        snprintf(text, sizeof text, "an item of %u bytes", item.size_bytes);
        return text;
    }
    if (dynb_item_to_json(item, &result, &json, &length, NULL) != DYNB_OK)
        json = "not an item";
    snprintf(text, sizeof text, "%s", json);
    dynb_result_free(&result);
    return text;
}

/* Every item by scan, with pages of `limit`. */
static inline int model_compare_scan(const model_table *table, dynb *db, const char *name,
                                     uint32_t limit)
{
    dynb_result result;
    dynb_scan_input scan;
    dynb_page page;
    uint32_t at = 0, i;
    model_item *last = NULL;
    int same = 1;
    memset(&result, 0, sizeof result);
    memset(&scan, 0, sizeof scan);
    scan.table = name;
    scan.limit = limit;
    do {
        if (dynb_scan(db, &scan, &page, &result, &kit_err) != DYNB_OK) {
            same = model_differs("scan %s: %s", name, kit_err.message);
            break;
        }
        for (i = 0; same && i < page.count; ++i, ++at)
            if (at >= table->count || !model_same_item(table->items[at], page.items[i]))
                same = model_differs("scan %s: item %u of %u, got %s", name, at, table->count,
                                     model_text(page.items[i]));
        if (limit && page.count > limit)
            same = model_differs("scan %s: %u items with limit %u", name, page.count, limit);
        model_item_release(last);
        last = page.last_key.bytes ? model_item_new(&table->schema, page.last_key) : NULL;
        scan.start_after = model_view(last);
    } while (same && last);
    if (same && at != table->count)
        same = model_differs("scan %s: %u items, expected %u", name, at, table->count);
    model_item_release(last);
    dynb_result_free(&result);
    return same;
}

/* Some items, each at its turn, by get. */
static inline int model_compare_gets(const model_table *table, dynb *db, const char *name,
                                     uint32_t step)
{
    dynb_result result;
    dynb_builder key;
    uint32_t i, k;
    int same = 1;
    memset(&result, 0, sizeof result);
    memset(&key, 0, sizeof key);
    for (i = 0; same && i < table->count; i += step) {
        dynb_item got, expected = model_view(table->items[i]);
        dynb_builder_begin(&key);
        for (k = 0; k < table->schema.count; ++k)
            dynb_add_value(&key, table->schema.names[k],
                           dynb_item_get(expected, table->schema.names[k]));
        if (dynb_get_item(db, name, kit_finish(&key), &got, &result, &kit_err) != DYNB_OK)
            same = model_differs("get from %s: %s", name, kit_err.message);
        else if (!model_same_item(table->items[i], got))
            same = model_differs("get from %s: item %u, got %s", name, i, model_text(got));
    }
    dynb_builder_free(&key);
    dynb_result_free(&result);
    return same;
}

static inline int model_same_schema(const model_schema *schema, const dynb_table_description *got)
{
    return strcmp(schema->names[0], got->partition_key.name) == 0 &&
           schema->types[0] == got->partition_key.type &&
           (schema->count == 2) == (got->sort_key.name != NULL) &&
           (schema->count < 2 || (strcmp(schema->names[1], got->sort_key.name) == 0 &&
                                  schema->types[1] == got->sort_key.type));
}

/* Name, id, keys, time to live; with `idle`, counts and sizes. */
static inline int model_compare_description(const model_table *table, dynb *db, int idle)
{
    dynb_result result;
    dynb_table_description got;
    int same = 1;
    memset(&result, 0, sizeof result);
    if (dynb_describe_table(db, table->name, &got, &result, &kit_err) != DYNB_OK)
        same = model_differs("describe %s: %s", table->name, kit_err.message);
    else if (strcmp(got.table_name, table->name) != 0 || got.status != DYNB_TABLE_ACTIVE)
        same = model_differs("describe %s: name %s, status %d", table->name, got.table_name,
                             (int)got.status);
    else if (table->id[0] && strcmp(got.table_id, table->id) != 0)
        same = model_differs("describe %s: id %s, expected %s", table->name, got.table_id,
                             table->id);
    else if (!model_same_schema(&table->schema, &got))
        same = model_differs("describe %s: another key schema", table->name);
    else if (model_described_indexes(&got) != table->indexes)
        same = model_differs("describe %s: indexes %x, expected %x", table->name,
                             model_described_indexes(&got), table->indexes);
    else if (strcmp(got.ttl_attribute ? got.ttl_attribute : "", table->ttl) != 0)
        same = model_differs("describe %s: time to live \"%s\", expected \"%s\"", table->name,
                             got.ttl_attribute ? got.ttl_attribute : "", table->ttl);
    else if (idle && (got.item_count != table->count || got.size_bytes != table->aws_bytes))
        same = model_differs("describe %s: %llu items of %llu bytes, expected %u of %llu",
                             table->name, (unsigned long long)got.item_count,
                             (unsigned long long)got.size_bytes, table->count,
                             (unsigned long long)table->aws_bytes);
    dynb_result_free(&result);
    return same;
}

static inline int model_compare_table_list(const model *m, dynb *db, uint32_t limit)
{
    dynb_result result;
    dynb_table_list list;
    char after[256] = "";
    uint32_t at = 0, i;
    int same = 1;
    memset(&result, 0, sizeof result);
    do {
        if (dynb_list_tables(db, after[0] ? after : NULL, limit, &list, &result, &kit_err)) {
            same = model_differs("list tables: %s", kit_err.message);
            break;
        }
        for (i = 0; same && i < list.count; ++i, ++at)
            if (at >= m->table_count || strcmp(m->tables[at]->name, list.table_names[i]) != 0)
                same = model_differs("list tables: number %u is %s", at, list.table_names[i]);
        snprintf(after, sizeof after, "%s", list.last_evaluated ? list.last_evaluated : "");
    } while (same && after[0]);
    if (same && at != m->table_count)
        same = model_differs("list tables: %u, expected %u", at, m->table_count);
    dynb_result_free(&result);
    return same;
}

static inline int model_compare_tables(const model *m, dynb *db, check_random *random, int idle)
{
    uint32_t i;
    if (!model_compare_table_list(m, db, 1 + (uint32_t)check_below(random, 100)))
        return 0;
    for (i = 0; i < m->table_count; ++i) {
        const model_table *table = m->tables[i];
        uint32_t limit = check_below(random, 2) ? 0 : 1 + (uint32_t)check_below(random, 60);
        if (!model_compare_description(table, db, idle) ||
            !model_compare_scan(table, db, table->name, limit) ||
            !model_compare_gets(table, db, table->name, 1 + (uint32_t)check_below(random, 3)))
            return 0;
    }
    return 1;
}

typedef struct model_listing {
    const model *m;
    uint32_t at;
    int same;
} model_listing;

static inline dynb_rc model_check_listed(void *ctx, const dynb_backup_description *got)
{
    model_listing *listing = (model_listing *)ctx;
    const model_backup *expected =
        listing->at < listing->m->backup_count ? listing->m->backups[listing->at] : NULL;
    ++listing->at;
    if (!listing->same)
        return DYNB_OK;
    if (!expected || strcmp(got->backup_name, expected->name) != 0 ||
        strcmp(got->source.table_name, expected->copy->name) != 0 ||
        (expected->arn[0] && strcmp(got->backup_arn, expected->arn) != 0))
        listing->same = model_differs("list backups: number %u is %s of %s (%s), expected %s",
                                      listing->at, got->backup_name, got->source.table_name,
                                      got->backup_arn, expected ? expected->name : "no more");
    return DYNB_OK;
}

static inline int model_compare_backup_list(const model *m, dynb *db)
{
    dynb_result result;
    model_listing listing;
    dynb_rc rc;
    memset(&result, 0, sizeof result);
    listing.m = m;
    listing.at = 0;
    listing.same = 1;
    rc = model_each_backup(db, &result, model_check_listed, &listing);
    dynb_result_free(&result);
    if (rc != DYNB_OK)
        return model_differs("list backups: %s", kit_err.message);
    if (listing.same && listing.at != m->backup_count)
        return model_differs("list backups: %u, expected %u", listing.at, m->backup_count);
    return listing.same;
}

#define MODEL_RESTORED "zz-restored-to-compare"

/* The store is idle: the backup is AVAILABLE, says what it should, and restores
 * to exactly the copy. */
static inline int model_compare_backup(const model_backup *backup, dynb *db)
{
    dynb_result result;
    dynb_backup_description got;
    int same = 1;
    memset(&result, 0, sizeof result);
    if (dynb_describe_backup(db, backup->arn, &got, &result, &kit_err) != DYNB_OK)
        same = model_differs("describe backup %s: %s", backup->name, kit_err.message);
    else if (got.status != DYNB_BACKUP_AVAILABLE)
        same = model_differs("backup %s: idle but not available", backup->name);
    else if (got.size_bytes != backup->copy->aws_bytes ||
             got.source.item_count != backup->copy->count || got.lsn != backup->lsn ||
             got.created_at_ms != backup->created_at_ms ||
             !model_same_schema(&backup->copy->schema, &got.source) ||
             strcmp(got.source.table_id, backup->copy->id) != 0)
        same = model_differs("backup %s: %llu bytes, %llu items, lsn %llu at %llu; expected %llu "
                             "bytes, %u items, lsn %llu at %llu, or its keys or id differ",
                             backup->name, (unsigned long long)got.size_bytes,
                             (unsigned long long)got.source.item_count,
                             (unsigned long long)got.lsn, (unsigned long long)got.created_at_ms,
                             (unsigned long long)backup->copy->aws_bytes, backup->copy->count,
                             (unsigned long long)backup->lsn,
                             (unsigned long long)backup->created_at_ms);
    dynb_result_free(&result);
    if (!same)
        return 0;
    if (kit_restore(db, backup->arn, MODEL_RESTORED) != DYNB_OK)
        return model_differs("restore of %s: %s", backup->name, kit_err.message);
    if (!model_compare_scan(backup->copy, db, MODEL_RESTORED, 0)) {
        char why[400];
        kit_copy(why, sizeof why, model_difference);
        same = model_differs("restored from %s: %s", backup->name, why);
    }
    if (dynb_delete_table(db, MODEL_RESTORED, NULL, NULL, &kit_err) != DYNB_OK)
        return model_differs("delete of the restored table: %s", kit_err.message);
    return same;
}

/* Everything. Makes the store idle, restores every backup and deletes the
 * restored table again. */
static inline int model_compare_all(const model *m, dynb *db, check_random *random)
{
    uint32_t i;
    if (!model_compare_tables(m, db, random, 0) || !model_compare_backup_list(m, db))
        return 0;
    if (dynb_wait_idle(db, &kit_err) != DYNB_OK)
        return model_differs("wait for idle: %s", kit_err.message);
    if (!model_compare_tables(m, db, random, 1) || !model_compare_backup_list(m, db))
        return 0;
    for (i = 0; i < m->backup_count; ++i)
        if (!model_compare_backup(m->backups[i], db))
            return 0;
    return 1;
}

#endif
