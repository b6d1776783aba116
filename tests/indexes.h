/* indexes.h - judges a table's indexes by its items alone.
 *
 * An index is a function of the items: index_compare reads a table by scan,
 * works out from its description what each index must hold (contract.md 3.3: an
 * item is in an index if it has all its keys, of the right types and sizes; it
 * shows the keys of both and what is projected), and compares that with a scan
 * and with queries of the index, page by page. It shares no code with the
 * header beyond the public functions, and needs no model: so it can judge a
 * store after a crash or a restore as well. With index_at it reads items and
 * indexes as they were at a time.
 *
 * Returns 1 when all is as it must be; else 0, and model_difference tells. */
#ifndef INDEXES_H
#define INDEXES_H

#include "model.h"

static struct {
    int use_time;
    uint64_t time_ms;
} index_at;

typedef struct index_entry {
    model_key keys[4]; /* the index's, then the table's */
    uint32_t own_count, count;
    uint32_t aws_bytes;
    dynb_item item; /* as projected; own memory */
    char texts[4][DYNB_NUMBER_TEXT_SIZE];
} index_entry;

typedef struct index_view {
    index_entry *entries; /* in the index's order */
    uint32_t count;
    uint64_t aws_bytes;
} index_view;

static inline int index_order(const void *a, const void *b)
{
    const index_entry *one = (const index_entry *)a, *other = (const index_entry *)b;
    uint32_t i;
    int order = 0;
    for (i = 0; order == 0 && i < one->count; ++i)
        order = model_compare_key(&one->keys[i], &other->keys[i]);
    return order;
}

/* Nonzero: the value can be part number `part` of an index's key. */
static inline int index_can_key(dynb_value value, const dynb_key_attribute *key, int is_sort)
{
    size_t length = 0;
    if (value.type != key->type)
        return 0;
    if (value.type == DYNB_N)
        return 1;
    (void)dynb_value_string(value, &length);
    return length > 0 && length <= (is_sort ? DYNB_SORT_KEY_MAX_BYTES
                                            : DYNB_PARTITION_KEY_MAX_BYTES);
}

static inline int index_projects(const dynb_index *index, const char *name, size_t length,
                                 const dynb_table_description *table)
{
    const char *keys[4];
    uint32_t i;
    keys[0] = index->partition_key.name;
    keys[1] = index->sort_key.name;
    keys[2] = table->partition_key.name;
    keys[3] = table->sort_key.name;
    for (i = 0; i < 4; ++i)
        if (keys[i] && strlen(keys[i]) == length && memcmp(keys[i], name, length) == 0)
            return 1;
    for (i = 0; i < index->non_key_attribute_count; ++i)
        if (strlen(index->non_key_attributes[i]) == length &&
            memcmp(index->non_key_attributes[i], name, length) == 0)
            return 1;
    return index->projection == DYNB_PROJECT_ALL;
}

static inline dynb_item index_copy(dynb_item item)
{
    uint8_t *bytes = (uint8_t *)fault_memory(NULL, item.size_bytes ? item.size_bytes : 1);
    memcpy(bytes, item.bytes, item.size_bytes);
    item.bytes = bytes;
    return item;
}

static inline void index_take_key(index_entry *entry, dynb_item item,
                                  const dynb_key_attribute *key)
{
    if (!key->name)
        return;
    entry->keys[entry->count] = model_key_of(dynb_item_get(item, key->name),
                                             entry->texts[entry->count]);
    ++entry->count;
}

/* The entry an item has, if it has one. The entry must not move: number keys
 * point into it. */
static inline int index_entry_of(const dynb_table_description *table, const dynb_index *index,
                                 dynb_item item, index_entry *entry)
{
    dynb_builder builder;
    dynb_iterator it;
    dynb_value value;
    const char *name;
    size_t length;
    memset(entry, 0, sizeof *entry);
    if (!index_can_key(dynb_item_get(item, index->partition_key.name), &index->partition_key, 0) ||
        (index->sort_key.name &&
         !index_can_key(dynb_item_get(item, index->sort_key.name), &index->sort_key, 1)))
        return 0;
    memset(&builder, 0, sizeof builder);
    dynb_builder_begin(&builder);
    for (it = dynb_item_iterate(item); dynb_next(&it, &name, &length, &value);)
        if (index_projects(index, name, length, table)) {
            char text[256];
            memcpy(text, name, length);
            text[length] = 0;
            dynb_add_value(&builder, text, value);
        }
    entry->item = index_copy(kit_finish(&builder));
    entry->aws_bytes = dynb_item_size(entry->item);
    index_take_key(entry, entry->item, &index->partition_key);
    index_take_key(entry, entry->item, &index->sort_key);
    entry->own_count = entry->count;
    index_take_key(entry, entry->item, &table->partition_key);
    index_take_key(entry, entry->item, &table->sort_key);
    dynb_builder_free(&builder);
    return 1;
}

static inline void index_view_free(index_view *view)
{
    uint32_t i;
    for (i = 0; i < view->count; ++i)
        free((void *)(uintptr_t)view->entries[i].item.bytes);
    free(view->entries);
    memset(view, 0, sizeof *view);
}

/* Takes the keys out again: numbers' digits lie in the entries, which were
 * moved. */
static inline void index_view_rekey(index_view *view, const dynb_table_description *table,
                                    const dynb_index *index)
{
    uint32_t i;
    for (i = 0; i < view->count; ++i) {
        index_entry *entry = &view->entries[i];
        entry->count = 0;
        index_take_key(entry, entry->item, &index->partition_key);
        index_take_key(entry, entry->item, &index->sort_key);
        index_take_key(entry, entry->item, &table->partition_key);
        index_take_key(entry, entry->item, &table->sort_key);
    }
}

/* For sorting, which moves what number keys point into. */
static inline int index_order_moving(const void *a, const void *b)
{
    index_entry one = *(const index_entry *)a, other = *(const index_entry *)b;
    uint32_t i;
    for (i = 0; i < one.count; ++i) {
        if (one.keys[i].type == DYNB_N)
            one.keys[i].bytes = (const uint8_t *)one.texts[i];
        if (other.keys[i].type == DYNB_N)
            other.keys[i].bytes = (const uint8_t *)other.texts[i];
    }
    return index_order(&one, &other);
}

/* All items of a table (index NULL) or index, copied; their count. */
static inline dynb_rc index_read_all(dynb *db, const char *table, const char *index,
                                     uint32_t limit, dynb_item **items, uint32_t *count)
{
    dynb_result result;
    dynb_scan_input scan;
    dynb_page page;
    uint32_t capacity = 0, i;
    dynb_item last = {NULL, 0};
    dynb_rc rc;
    memset(&result, 0, sizeof result);
    memset(&scan, 0, sizeof scan);
    scan.table = table;
    scan.index_name = index;
    scan.limit = limit;
    scan.use_time = index_at.use_time;
    scan.time_ms = index_at.time_ms;
    *items = NULL;
    *count = 0;
    do {
        scan.start_after = last;
        rc = dynb_scan(db, &scan, &page, &result, &kit_err);
        if (rc != DYNB_OK)
            break;
        if (*count + page.count > capacity) {
            capacity = 2 * (*count + page.count);
            *items = (dynb_item *)fault_memory(*items, capacity * sizeof **items);
        }
        for (i = 0; i < page.count; ++i)
            (*items)[(*count)++] = index_copy(page.items[i]);
        free((void *)(uintptr_t)last.bytes);
        memset(&last, 0, sizeof last);
        if (page.last_key.bytes)
            last = index_copy(page.last_key);
    } while (last.bytes);
    free((void *)(uintptr_t)last.bytes);
    dynb_result_free(&result);
    return rc;
}

static inline void index_free_all(dynb_item *items, uint32_t count)
{
    uint32_t i;
    for (i = 0; i < count; ++i)
        free((void *)(uintptr_t)items[i].bytes);
    free(items);
}

/* What an index must hold, given the table's items. */
static inline void index_view_make(index_view *view, const dynb_table_description *table,
                                   const dynb_index *index, const dynb_item *items,
                                   uint32_t item_count)
{
    uint32_t i;
    memset(view, 0, sizeof *view);
    view->entries = (index_entry *)fault_memory(NULL, (item_count + 1) * sizeof *view->entries);
    for (i = 0; i < item_count; ++i)
        if (index_entry_of(table, index, items[i], &view->entries[view->count]))
            view->aws_bytes += view->entries[view->count++].aws_bytes;
    if (view->count)
        qsort(view->entries, view->count, sizeof *view->entries, index_order_moving);
    index_view_rekey(view, table, index);
}

static inline int index_same_bytes(dynb_item a, dynb_item b)
{
    return a.size_bytes == b.size_bytes && memcmp(a.bytes, b.bytes, a.size_bytes) == 0;
}

/* The query's answer, page by page, against the entries in [first, last). */
static inline int index_compare_pages(dynb *db, dynb_query_input *ask, const index_view *view,
                                      uint32_t first, uint32_t last)
{
    dynb_result result;
    dynb_page page;
    dynb_item key = {NULL, 0};
    uint32_t at = 0, i;
    int same = 1;
    memset(&result, 0, sizeof result);
    do {
        ask->start_after = key;
        if (dynb_query(db, ask, &page, &result, &kit_err) != DYNB_OK) {
            same = model_differs("query of %s: %s", ask->index_name, kit_err.message);
            break;
        }
        for (i = 0; same && i < page.count; ++i, ++at) {
            uint32_t place = ask->descending ? last - 1 - at : first + at;
            if (at >= last - first || !index_same_bytes(view->entries[place].item, page.items[i]))
                same = model_differs("query of %s: match %u of %u is %s", ask->index_name, at,
                                     last - first, model_text(page.items[i]));
        }
        free((void *)(uintptr_t)key.bytes);
        memset(&key, 0, sizeof key);
        if (page.last_key.bytes)
            key = index_copy(page.last_key);
    } while (same && key.bytes);
    free((void *)(uintptr_t)key.bytes);
    dynb_result_free(&result);
    if (same && at != last - first)
        same = model_differs("query of %s: %u matches, expected %u (condition %d)",
                             ask->index_name, at, last - first, (int)ask->condition);
    return same;
}

/* One random query: a partition that is there, a condition on some sort key. */
static inline int index_compare_query(dynb *db, const char *table, const dynb_index *index,
                                      const index_view *view, check_random *random)
{
    const index_entry *one = &view->entries[check_below(random, view->count)];
    const index_entry *low = &view->entries[check_below(random, view->count)];
    const index_entry *high = &view->entries[check_below(random, view->count)];
    dynb_query_input ask;
    model_query query;
    uint32_t first = 0, last;
    memset(&ask, 0, sizeof ask);
    memset(&query, 0, sizeof query);
    ask.table = table;
    ask.index_name = index->index_name;
    ask.use_time = index_at.use_time;
    ask.time_ms = index_at.time_ms;
    ask.partition_key = dynb_item_get(one->item, index->partition_key.name);
    ask.descending = (int)check_below(random, 2);
    ask.limit = check_below(random, 2) ? 0 : 1 + (uint32_t)check_below(random, 7);
    if (index->sort_key.name) {
        ask.condition = (dynb_sort_condition)check_below(
            random, index->sort_key.type == DYNB_N ? DYNB_SORT_BEGINS_WITH
                                                   : DYNB_SORT_BEGINS_WITH + 1);
        if (model_compare_key(&low->keys[1], &high->keys[1]) > 0) {
            const index_entry *swap = low;
            low = high;
            high = swap;
        }
        query.condition = ask.condition;
        query.from = &low->keys[1];
        query.to = &high->keys[1];
        ask.sort_from = dynb_item_get(low->item, index->sort_key.name);
        ask.sort_to = dynb_item_get(high->item, index->sort_key.name);
    }
    while (first < view->count &&
           (model_compare_key(&view->entries[first].keys[0], &one->keys[0]) != 0 ||
            (index->sort_key.name && !model_matches(&query, &view->entries[first].keys[1]))))
        ++first;
    for (last = first; last < view->count &&
                       model_compare_key(&view->entries[last].keys[0], &one->keys[0]) == 0 &&
                       (!index->sort_key.name ||
                        model_matches(&query, &view->entries[last].keys[1]));)
        ++last;
    return index_compare_pages(db, &ask, view, first, last);
}

static inline int index_compare_one(dynb *db, const char *name,
                                    const dynb_table_description *table,
                                    const dynb_index_description *about, const dynb_item *items,
                                    uint32_t item_count, int idle, check_random *random)
{
    index_view view;
    dynb_item *got;
    uint32_t count, i;
    int same = 1;
    index_view_make(&view, table, &about->index, items, item_count);
    if (index_read_all(db, name, about->index.index_name,
                       check_below(random, 2) ? 0 : 1 + (uint32_t)check_below(random, 30), &got,
                       &count) != DYNB_OK)
        same = model_differs("scan of %s of %s: %s", about->index.index_name, name,
                             kit_err.message);
    for (i = 0; same && i < count && i < view.count; ++i)
        if (!index_same_bytes(got[i], view.entries[i].item))
            same = model_differs("index %s of %s: entry %u of %u is %s", about->index.index_name,
                                 name, i, view.count, model_text(got[i]));
    if (same && count != view.count)
        same = model_differs("index %s of %s: %u entries, expected %u", about->index.index_name,
                             name, count, view.count);
    if (same && idle && (about->item_count != view.count || about->size_bytes != view.aws_bytes))
        same = model_differs("index %s of %s: says %llu entries of %llu bytes; there are %u of "
                             "%llu",
                             about->index.index_name, name,
                             (unsigned long long)about->item_count,
                             (unsigned long long)about->size_bytes, view.count,
                             (unsigned long long)view.aws_bytes);
    for (i = 0; same && view.count && i < 3; ++i)
        same = index_compare_query(db, name, &about->index, &view, random);
    index_free_all(got, count);
    index_view_free(&view);
    return same;
}

/* All indexes of a table that are ACTIVE; with `idle`, all must be. */
static inline int index_compare(dynb *db, const char *name, int idle, check_random *random)
{
    dynb_result result;
    dynb_table_description table;
    dynb_item *items = NULL;
    uint32_t count = 0, i;
    int same = 1;
    memset(&result, 0, sizeof result);
    if (dynb_describe_table(db, name, &table, &result, &kit_err) != DYNB_OK)
        same = model_differs("describe %s: %s", name, kit_err.message);
    else if (table.global_index_count + table.local_index_count &&
             index_read_all(db, name, NULL, 0, &items, &count) != DYNB_OK)
        same = model_differs("scan %s: %s", name, kit_err.message);
    for (i = 0; same && i < table.global_index_count + table.local_index_count; ++i) {
        const dynb_index_description *about =
            i < table.global_index_count ? &table.global_indexes[i]
                                         : &table.local_indexes[i - table.global_index_count];
        if (about->status == DYNB_INDEX_ACTIVE)
            same = index_compare_one(db, name, &table, about, items, count, idle, random);
        else if (idle)
            same = model_differs("index %s of %s: idle, but its status is %d",
                                 about->index.index_name, name, (int)about->status);
    }
    index_free_all(items, count);
    dynb_result_free(&result);
    return same;
}

/* The indexes of all tables. */
static inline int index_compare_all(dynb *db, int idle, check_random *random)
{
    dynb_result result;
    dynb_table_list list;
    uint32_t i;
    int same = 1;
    memset(&result, 0, sizeof result);
    if (dynb_list_tables(db, NULL, 0, &list, &result, &kit_err) != DYNB_OK)
        same = model_differs("list tables: %s", kit_err.message);
    for (i = 0; same && i < list.count; ++i)
        same = index_compare(db, list.table_names[i], idle, random);
    dynb_result_free(&result);
    return same;
}

#endif
