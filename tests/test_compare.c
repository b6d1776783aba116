/* test_compare.c - what changed? and reads inside backups, against the model.
 *
 * Random histories in several settings, the smallest with pages of 512 bytes and
 * 64 KiB of memory: at random moments, also while backups are still CREATING,
 * after folding and tidying, after reopening, every backup is read by scan, get
 * and query, and every pair of backups and tables with the same keys is
 * compared, page by page with limits of all sizes, with what a walk over the
 * model's two arrays gives.
 *
 * Then, told step by step: resuming at every position; limits of count and
 * bytes; that the cost is that of the changes, counted in nodes read from the
 * device; every allocation and every device call failing in turn; damaged
 * nodes; the errors. Seed and scale as in every random test. */
#include "store.h"

#include "history.h"

/* ---------------------------------------------------- against the model -- */

/* A source and what it must hold. */
typedef struct subject {
    dynb_source source;
    const model_table *expected;
} subject;

typedef struct walk {
    const model_table *a, *b;
    uint32_t i, j;
} walk;

/* The next difference of two arrays; 0: there is none. */
static int walk_next(walk *w, const model_item **was, const model_item **is)
{
    while (w->i < w->a->count || w->j < w->b->count) {
        const model_item *x = w->i < w->a->count ? w->a->items[w->i] : NULL;
        const model_item *y = w->j < w->b->count ? w->b->items[w->j] : NULL;
        int order = !x ? 1 : !y ? -1 : model_compare_items(&w->a->schema, x, y);
        w->i += order <= 0;
        w->j += order >= 0;
        *was = order <= 0 ? x : NULL;
        *is = order >= 0 ? y : NULL;
        if (order != 0 || !model_same_item(x, model_view(y)))
            return 1;
    }
    return 0;
}

static uint64_t pages_count, differences_count, pairs_count;

static int compare_pair(dynb *db, const subject *a, const subject *b, check_random *random)
{
    dynb_result result;
    dynb_compare_input input;
    dynb_difference_page page;
    const model_item *was, *is;
    model_item *last = NULL;
    walk w;
    uint32_t i;
    int same = 1;
    memset(&w, 0, sizeof w);
    memset(&result, 0, sizeof result);
    memset(&input, 0, sizeof input);
    w.a = a->expected;
    w.b = b->expected;
    input.from = a->source;
    input.to = b->source;
    input.limit = check_below(random, 2) ? 0 : 1 + (uint32_t)check_below(random, 9);
    input.limit_bytes = check_below(random, 2) ? 0 : 1 + (uint32_t)check_below(random, 2000);
    do {
        if (dynb_compare(db, &input, &page, &result, &kit_err) != DYNB_OK) {
            same = model_differs("compare: %s", kit_err.message);
            break;
        }
        for (i = 0; same && i < page.count; ++i) {
            const dynb_difference *got = &page.differences[i];
            if (!walk_next(&w, &was, &is))
                same = model_differs("compare: more than there are: %s",
                                     model_text(got->new_item.bytes ? got->new_item
                                                                    : got->old_item));
            else if (!model_same_item(was, got->old_item) || !model_same_item(is, got->new_item))
                same = model_differs("compare: got %s", model_text(got->new_item.bytes
                                                                       ? got->new_item
                                                                       : got->old_item));
            ++differences_count;
        }
        if (same && input.limit && page.count > input.limit)
            same = model_differs("compare: %u with limit %u", page.count, input.limit);
        ++pages_count;
        model_item_release(last);
        last = page.last_key.bytes ? model_item_new(&w.a->schema, page.last_key) : NULL;
        input.start_after = model_view(last);
    } while (same && last);
    if (same && walk_next(&w, &was, &is))
        same = model_differs("compare: missing %s", model_text(model_view(was ? was : is)));
    model_item_release(last);
    dynb_result_free(&result);
    ++pairs_count;
    return same;
}

static dynb_item key_of(dynb_builder *builder, const model_table *table, dynb_item item)
{
    uint32_t k;
    dynb_builder_begin(builder);
    for (k = 0; k < table->schema.count; ++k)
        dynb_add_value(builder, table->schema.names[k],
                       dynb_item_get(item, table->schema.names[k]));
    return kit_finish(builder);
}

/* Scan, get and query inside a source. */
static int read_subject(dynb *db, const subject *s, check_random *random)
{
    const model_table *table = s->expected;
    dynb_builder key;
    dynb_result result;
    dynb_scan_input scan;
    dynb_query_input query;
    dynb_page page;
    dynb_item got, expected;
    model_item *last = NULL;
    uint32_t at = 0, i;
    int same = 1;
    memset(&key, 0, sizeof key);
    memset(&result, 0, sizeof result);
    memset(&scan, 0, sizeof scan);
    memset(&query, 0, sizeof query);
    scan.table = query.table = s->source.table;
    scan.backup_arn = query.backup_arn = s->source.backup_arn;
    scan.limit = check_below(random, 2) ? 0 : 1 + (uint32_t)check_below(random, 60);
    do {
        if (dynb_scan(db, &scan, &page, &result, &kit_err) != DYNB_OK) {
            same = model_differs("scan inside: %s", kit_err.message);
            break;
        }
        for (i = 0; same && i < page.count; ++i, ++at) {
            if (at >= table->count || !model_same_item(table->items[at], page.items[i]))
                same = model_differs("scan inside: item %u of %u: got %s", at, table->count,
                                     model_text(page.items[i]));
        }
        model_item_release(last);
        last = page.last_key.bytes ? model_item_new(&table->schema, page.last_key) : NULL;
        scan.start_after = model_view(last);
    } while (same && last);
    if (same && at != table->count)
        same = model_differs("scan inside: %u items, expected %u", at, table->count);
    for (i = (uint32_t)check_below(random, 5); same && i < table->count; i += 5) {
        expected = model_view(table->items[i]);
        if (dynb_get_item_at(db, &s->source, key_of(&key, table, expected), &got, &result,
                             &kit_err) != DYNB_OK)
            same = model_differs("get inside: %s", kit_err.message);
        else if (!model_same_item(table->items[i], got))
            same = model_differs("get inside: item %u: got %s", i, model_text(got));
        query.partition_key = dynb_item_get(expected, table->schema.names[0]);
        query.limit = 1;
        if (same && dynb_query(db, &query, &page, &result, &kit_err) != DYNB_OK)
            same = model_differs("query inside: %s", kit_err.message);
        else if (same && page.count != 1)
            same = model_differs("query inside: nothing for item %u", i);
    }
    model_item_release(last);
    dynb_builder_free(&key);
    dynb_result_free(&result);
    return same;
}

static int same_keys(const model_table *a, const model_table *b)
{
    return a->schema.count == b->schema.count && a->schema.types[0] == b->schema.types[0] &&
           a->schema.types[1] == b->schema.types[1];
}

/* Everything with everything. */
static int compare_all(history *h)
{
    subject subjects[32];
    dynb_difference_page page;
    dynb_compare_input input;
    dynb_result result;
    uint32_t count = 0, i, j;
    memset(subjects, 0, sizeof subjects);
    memset(&result, 0, sizeof result);
    memset(&input, 0, sizeof input);
    for (i = 0; i < h->m.table_count; ++i, ++count) {
        subjects[count].source.table = h->m.tables[i]->name;
        subjects[count].expected = h->m.tables[i];
    }
    for (i = 0; i < h->m.backup_count; ++i, ++count) {
        subjects[count].source.backup_arn = h->m.backups[i]->arn;
        subjects[count].expected = h->m.backups[i]->copy;
    }
    for (i = 0; i < count; ++i) {
        if (!read_subject(h->db, &subjects[i], &h->random))
            return 0;
        for (j = 0; j < count; ++j) {
            if (same_keys(subjects[i].expected, subjects[j].expected)) {
                if (!compare_pair(h->db, &subjects[i], &subjects[j], &h->random))
                    return 0;
                continue;
            }
            input.from = subjects[i].source;
            input.to = subjects[j].source;
            if (dynb_compare(h->db, &input, &page, &result, &kit_err) != DYNB_VALIDATION)
                return model_differs("compare: different keys, and no VALIDATION");
        }
    }
    dynb_result_free(&result);
    return 1;
}

typedef struct setting {
    const char *name;
    uint64_t steps;
    uint64_t memory_bytes;
    uint32_t page_size_bytes, node_size_bytes;
    int manual_work, mappable;
    uint32_t partitions, sorts, compare_one_in;
} setting;

static const setting settings[] = {
    {"page 512, least memory, work by hand", 12000, CHECK_MEMORY_MIN, 512, 512, 1, 0, 20, 15, 150},
    {"page 512, least memory, writes work", 12000, CHECK_MEMORY_MIN, 512, 512, 0, 0, 20, 15, 150},
    {"page 512, 1 MiB, work by hand", 12000, 1 << 20, 512, 512, 1, 0, 30, 30, 200},
    {"defaults, memory lent by the device", 8000, 1 << 20, 0, 0, 1, 1, 40, 40, 200},
    {"defaults", 8000, 0, 0, 0, 0, 0, 40, 40, 300},
};

static int work(store *s, const setting *set, history *h)
{
    dynb_stat stat;
    int pending = 1;
    if (dynb_work(s->db, 1 + check_below(&h->random, 4000), &pending, &kit_err) != DYNB_OK ||
        dynb_get_stat(s->db, &stat, &kit_err) != DYNB_OK)
        return model_differs("work: %s", kit_err.message);
    while (pending && set->memory_bytes && stat.generation_bytes > set->memory_bytes / 6) {
        if (dynb_work(s->db, 8000, &pending, &kit_err) != DYNB_OK ||
            dynb_get_stat(s->db, &stat, &kit_err) != DYNB_OK)
            return model_differs("work: %s", kit_err.message);
    }
    return 1;
}

static void run_setting(const setting *set, uint64_t seed)
{
    static store s;
    static history h;
    uint64_t step, steps = check_scaled(set->steps);
    int same = 1;
    store_begin(&s);
    memset(&h, 0, sizeof h);
    s.config.page_size_bytes = set->page_size_bytes;
    s.config.node_size_bytes = set->node_size_bytes;
    s.config.memory_bytes = set->memory_bytes;
    s.config.manual_work = set->manual_work;
    s.device.mappable = set->mappable;
    if (set->mappable)
        fault_start(&s.device, NULL, 0, 64 << 20);
    store_open(&s);
    h.partition_count = set->partitions;
    h.sort_count = set->sorts;
    h.backup_max = 8;
    h.table_max = 4;
    history_begin(&h, s.db, seed);
    for (step = 0; same && step < steps; ++step) {
        if (set->manual_work && step % 4 == 0)
            same = work(&s, set, &h);
        if (same && check_below(&h.random, 400) == 0) {
            dynb_result_free(&h.result);
            store_reopen(&s);
            h.db = s.db;
        }
        if (same && check_below(&h.random, 500) == 0)
            MUST(dynb_wait_idle(s.db, &kit_err));
        if (same && check_below(&h.random, set->compare_one_in) == 0) {
            HISTORY_OP(&h, "compare all");
            same = compare_all(&h);
        }
        same = same && history_change(&h);
    }
    if (same) {
        same = compare_all(&h);
        MUST(dynb_wait_idle(s.db, &kit_err));
        same = same && compare_all(&h);
    }
    if (!same)
        printf("%s: seed %llu, step %llu, %s:\n    %s\n", set->name, (unsigned long long)seed,
               (unsigned long long)step, h.op, model_difference);
    CHECK(same);
    dynb_result_free(&h.result);
    store_end(&s);
    history_free(&h);
}

/* ------------------------------------------------------- told in steps -- */

static dynb_compare_input between(const char *from, const char *to)
{
    dynb_compare_input input;
    memset(&input, 0, sizeof input);
    if (strncmp(from, "arn:", 4) == 0)
        input.from.backup_arn = from;
    else
        input.from.table = from;
    if (strncmp(to, "arn:", 4) == 0)
        input.to.backup_arn = to;
    else
        input.to.table = to;
    return input;
}

/* The differences as a text: +id added, -id removed, ~id changed. */
static const char *differences(store *s, const dynb_compare_input *first)
{
    static char text[4096];
    dynb_compare_input input = *first;
    dynb_difference_page page;
    dynb_builder after;
    size_t used = 0;
    uint32_t i;
    memset(&after, 0, sizeof after);
    text[0] = 0;
    do {
        MUST(dynb_compare(s->db, &input, &page, &s->result, &kit_err));
        for (i = 0; i < page.count && used + 64 < sizeof text; ++i) {
            const dynb_difference *d = &page.differences[i];
            dynb_item item = d->new_item.bytes ? d->new_item : d->old_item;
            size_t length = 0;
            const char *id = dynb_value_string(dynb_item_get(item, "Id"), &length);
            used += (size_t)snprintf(text + used, sizeof text - used, "%s%c%.*s", used ? " " : "",
                                     !d->old_item.bytes ? '+' : !d->new_item.bytes ? '-' : '~',
                                     (int)length, id);
        }
        input.start_after.bytes = NULL;
        if (page.last_key.bytes) {
            dynb_builder_begin(&after);
            dynb_add_value(&after, "Id", dynb_item_get(page.last_key, "Id"));
            input.start_after = kit_finish(&after);
        }
    } while (input.start_after.bytes);
    dynb_builder_free(&after);
    return text;
}

static void test_steps(void)
{
    static store s;
    char first[DYNB_ARN_MAX + 1], second[DYNB_ARN_MAX + 1];
    dynb_compare_input input;
    dynb_difference_page page;
    dynb_source source;
    dynb_builder builder;
    dynb_item item;
    int64_t v = 0;
    memset(&builder, 0, sizeof builder);
    store_begin(&s);
    store_open(&s);
    MUST(kit_create_table(s.db, "Pets", NULL));
    MUST(kit_put(s.db, "Pets", "ant", 1));
    MUST(kit_put(s.db, "Pets", "bee", 2));
    MUST(kit_put(s.db, "Pets", "cat", 3));
    back_up(&s, "Pets", first);
    MUST(kit_put(s.db, "Pets", "bee", 20));
    MUST(kit_delete(s.db, "Pets", "ant"));
    MUST(kit_put(s.db, "Pets", "dog", 4));
    MUST(kit_put(s.db, "Pets", "cat", 3));  /* put again: no difference */
    MUST(kit_delete(s.db, "Pets", "none")); /* never there: no difference */
    input = between(first, "Pets");
    CHECK(look_up(&s, first).status == DYNB_BACKUP_CREATING);
    CHECK_TEXT(differences(&s, &input), "-ant ~bee +dog");
    MUST(dynb_compare(s.db, &input, &page, &s.result, &kit_err));
    CHECK_INT(page.count, 3);
    CHECK(page.last_key.bytes == NULL);
    CHECK(dynb_value_int(dynb_item_get(page.differences[1].old_item, "v"), &v) && v == 2);
    CHECK(dynb_value_int(dynb_item_get(page.differences[1].new_item, "v"), &v) && v == 20);
    input = between("Pets", first); /* the other way round */
    CHECK_TEXT(differences(&s, &input), "+ant ~bee -dog");
    back_up(&s, "Pets", second);
    MUST(kit_put(s.db, "Pets", "bee", 2)); /* and changed back */
    input = between(first, "Pets");
    CHECK_TEXT(differences(&s, &input), "-ant +dog");
    input = between(first, second);
    CHECK_TEXT(differences(&s, &input), "-ant ~bee +dog");

    /* reading inside, before it is built, and after */
    memset(&source, 0, sizeof source);
    source.backup_arn = first;
    MUST(dynb_get_item_at(s.db, &source, kit_item(&builder, "ant", -1), &item, &s.result,
                          &kit_err));
    CHECK(dynb_value_int(dynb_item_get(item, "v"), &v) && v == 1);
    MUST(dynb_get_item_at(s.db, &source, kit_item(&builder, "dog", -1), &item, &s.result,
                          &kit_err));
    CHECK(item.bytes == NULL);
    store_crash(&s);
    CHECK(look_up(&s, first).status == DYNB_BACKUP_CREATING);
    CHECK_TEXT(differences(&s, &input), "-ant ~bee +dog");
    MUST(dynb_delete_table(s.db, "Pets", NULL, NULL, &kit_err)); /* they outlive their table */
    CHECK_TEXT(differences(&s, &input), "-ant ~bee +dog");
    MUST(dynb_wait_idle(s.db, &kit_err));
    CHECK_TEXT(differences(&s, &input), "-ant ~bee +dog");
    MUST(dynb_get_item_at(s.db, &source, kit_item(&builder, "ant", -1), &item, &s.result,
                          &kit_err));
    CHECK(dynb_value_int(dynb_item_get(item, "v"), &v) && v == 1);

    /* restored tables share what they were restored from */
    MUST(kit_restore(s.db, first, "Old"));
    MUST(kit_put(s.db, "Old", "eel", 5));
    input = between(first, "Old");
    CHECK_TEXT(differences(&s, &input), "+eel");
    input = between("Old", second);
    CHECK_TEXT(differences(&s, &input), "-ant ~bee +dog -eel");
    MUST(dynb_delete_backup(s.db, first, NULL, NULL, &kit_err));
    EXPECT_ABOUT(dynb_get_item_at(s.db, &source, kit_item(&builder, "ant", -1), &item, &s.result,
                                  &kit_err),
                 DYNB_BACKUP_NOT_FOUND, "Backup not found: arn:");
    CHECK(item.bytes == NULL);
    dynb_builder_free(&builder);
    store_end(&s);
}

static void test_errors(void)
{
    static store s;
    char arn[DYNB_ARN_MAX + 1], other[DYNB_ARN_MAX + 1];
    dynb_compare_input input;
    dynb_difference_page page;
    dynb_source source;
    dynb_scan_input scan;
    dynb_page items;
    dynb_builder builder;
    dynb_item item, key;
    memset(&builder, 0, sizeof builder);
    memset(&source, 0, sizeof source);
    memset(&scan, 0, sizeof scan);
    store_begin(&s);
    store_open(&s);
    MUST(kit_create_table(s.db, "Plain", NULL));
    MUST(kit_create_table(s.db, "Sorted", "At"));
    MUST(kit_put(s.db, "Plain", "a", 1));
    back_up(&s, "Plain", arn);
    back_up(&s, "Sorted", other);
    key = kit_item(&builder, "a", -1);
    input = between(arn, other);
    EXPECT_MESSAGE(dynb_compare(s.db, &input, &page, &s.result, &kit_err), DYNB_VALIDATION,
                   "tables Plain and Sorted have different key schemas; what can be compared is "
                   "two backups of one table, the table, and tables restored from them");
    CHECK(page.count == 0 && page.last_key.bytes == NULL);
    input = between("Plain", "Nowhere");
    EXPECT_MESSAGE(dynb_compare(s.db, &input, &page, &s.result, &kit_err),
                   DYNB_RESOURCE_NOT_FOUND,
                   "Requested resource not found: Table: Nowhere not found");
    input = between("Plain", "arn:aws:dynamodb:us-east-1:123456789012:table/Plain/backup/"
                             "01489602797149-73d8d5bc");
    EXPECT_ABOUT(dynb_compare(s.db, &input, &page, &s.result, &kit_err), DYNB_BACKUP_NOT_FOUND,
                 "Backup not found: arn:");
    input = between("Plain", "arn:nonsense");
    EXPECT_MESSAGE(dynb_compare(s.db, &input, &page, &s.result, &kit_err), DYNB_VALIDATION,
                   "Invalid Backup ARN");
    input.to.table = "Plain"; /* and the nonsense, too */
    EXPECT_MESSAGE(dynb_compare(s.db, &input, &page, &s.result, &kit_err), DYNB_INVALID_ARGUMENT,
                   "table and backup_arn are both given; leave one NULL");
    input.to.table = input.to.backup_arn = NULL;
    EXPECT_ABOUT(dynb_compare(s.db, &input, &page, &s.result, &kit_err), DYNB_INVALID_ARGUMENT,
                 "table is NULL");
    input = between(arn, "Plain");
    input.start_after = kit_json(&builder, "{'No':{'S':'key'}}");
    EXPECT(dynb_compare(s.db, &input, &page, &s.result, &kit_err), DYNB_VALIDATION);
    EXPECT(dynb_compare(s.db, NULL, &page, &s.result, &kit_err), DYNB_INVALID_ARGUMENT);
    EXPECT(dynb_compare(s.db, &input, NULL, &s.result, &kit_err), DYNB_INVALID_ARGUMENT);
    EXPECT(dynb_compare(s.db, &input, &page, NULL, &kit_err), DYNB_INVALID_ARGUMENT);
    EXPECT(dynb_compare(NULL, &input, &page, &s.result, &kit_err), DYNB_INVALID_ARGUMENT);

    key = kit_item(&builder, "a", -1);
    EXPECT(dynb_get_item_at(s.db, &source, key, &item, &s.result, &kit_err),
           DYNB_INVALID_ARGUMENT);
    EXPECT(dynb_get_item_at(s.db, NULL, key, &item, &s.result, &kit_err), DYNB_INVALID_ARGUMENT);
    EXPECT(dynb_get_item_at(s.db, &source, key, NULL, &s.result, &kit_err),
           DYNB_INVALID_ARGUMENT);
    source.backup_arn = other;
    EXPECT_MESSAGE(dynb_get_item_at(s.db, &source, key, &item, &s.result, &kit_err),
                   DYNB_VALIDATION, "The provided key element does not match the schema");
    source.backup_arn = "arn:aws:dynamodb:us-east-1:999999999999:table/Plain/backup/"
                        "01489602797149-73d8d5bc";
    EXPECT_MESSAGE(dynb_get_item_at(s.db, &source, key, &item, &s.result, &kit_err),
                   DYNB_ACCESS_DENIED, "Access is denied");
    scan.table = "Plain";
    scan.backup_arn = arn;
    EXPECT(dynb_scan(s.db, &scan, &items, &s.result, &kit_err), DYNB_INVALID_ARGUMENT);
    scan.table = NULL;
    EXPECT(dynb_scan(s.db, &scan, &items, &s.result, &kit_err), DYNB_OK);
    CHECK_INT(items.count, 1);
    scan.backup_arn = NULL;
    EXPECT_ABOUT(dynb_scan(s.db, &scan, &items, &s.result, &kit_err), DYNB_INVALID_ARGUMENT,
                 "table is NULL; give a name or an ARN");
    dynb_builder_free(&builder);
    store_end(&s);
}

/* Every limit, every place to go on from, keys that exist or not. */
static void test_resume(void)
{
    static store s;
    char first[DYNB_ARN_MAX + 1], second[DYNB_ARN_MAX + 1], id[16];
    static char all[4096];
    dynb_compare_input input;
    dynb_difference_page page;
    dynb_builder builder;
    uint32_t i, limit;
    memset(&builder, 0, sizeof builder);
    store_begin(&s);
    store_open(&s);
    MUST(kit_create_table(s.db, "Resume", NULL));
    fill(&s, "Resume", 'k', 300, 1, 20);
    back_up(&s, "Resume", first);
    MUST(dynb_wait_idle(s.db, &kit_err));
    for (i = 0; i < 300; i += 3) {
        snprintf(id, sizeof id, "k%05u", (unsigned)i);
        if (i % 2)
            MUST(kit_delete(s.db, "Resume", id));
        else
            MUST(kit_put(s.db, "Resume", id, 2));
    }
    MUST(dynb_wait_idle(s.db, &kit_err)); /* folded onto the older run: a pair */
    back_up(&s, "Resume", second);
    input = between(first, second);
    kit_copy(all, sizeof all, differences(&s, &input));
    CHECK_INT(strlen(all), 100 * 8 - 1);
    for (limit = 1; limit < 105; limit += 1 + limit / 8) {
        input.limit = limit;
        CHECK_TEXT(differences(&s, &input), all);
        MUST(dynb_compare(s.db, &input, &page, &s.result, &kit_err));
        CHECK_INT(page.count, limit < 100 ? limit : 100);
        CHECK((page.last_key.bytes != NULL) == (limit < 100));
    }
    input.limit = 0;
    for (limit = 1; limit < 20000; limit *= 3) {
        input.limit_bytes = limit;
        CHECK_TEXT(differences(&s, &input), all);
    }
    input.limit_bytes = 0;
    for (i = 0; i <= 300; ++i) { /* also where nothing differs */
        uint32_t left = i < 300 ? 99 - i / 3 : 0;
        snprintf(id, sizeof id, "k%05u", (unsigned)i);
        input.start_after = kit_item(&builder, id, -1);
        MUST(dynb_compare(s.db, &input, &page, &s.result, &kit_err));
        CHECK_INT(page.count, left);
    }
    dynb_builder_free(&builder);
    store_end(&s);
}

/* A page ends after so many looks even if nothing differs. */
static void test_looks(void)
{
    static store s;
    char arn[DYNB_ARN_MAX + 1];
    dynb_compare_input input;
    dynb_difference_page page;
    uint64_t i, pages = 0;
    dynb_write writes[500];
    dynb_builder builders[500];
    uint8_t after[64];
    store_begin(&s);
    s.config.memory_bytes = 0;
    s.config.durability = DYNB_BUFFERED;
    store_open(&s);
    memset(builders, 0, sizeof builders);
    memset(writes, 0, sizeof writes);
    MUST(kit_create_table(s.db, "Same", NULL));
    back_up(&s, "Same", arn);
    for (i = 0; i < 2 * 70000; ++i) { /* all put, then all gone again */
        char id[16];
        uint64_t at = i % 500;
        snprintf(id, sizeof id, "k%06u", (unsigned)(i % 70000));
        writes[at].table = "Same";
        writes[at].is_delete = i >= 70000;
        writes[at].item = kit_item(&builders[at], id, i < 70000 ? 1 : -1);
        if (at == 499)
            MUST(dynb_batch_write(s.db, writes, 500, NULL, &kit_err));
    }
    input = between(arn, "Same");
    do {
        MUST(dynb_compare(s.db, &input, &page, &s.result, &kit_err));
        CHECK_INT(page.count, 0);
        ++pages;
        input.start_after = page.last_key;
        if (page.last_key.bytes) {
            CHECK(page.last_key.size_bytes <= sizeof after);
            memcpy(after, page.last_key.bytes, page.last_key.size_bytes);
            input.start_after.bytes = after;
        }
    } while (page.last_key.bytes);
    CHECK_INT(pages, 2);
    for (i = 0; i < 500; ++i)
        dynb_builder_free(&builders[i]);
    store_end(&s);
}

/* ------------------------------------------------------------------ cost -- */

/* Nodes read from the device while comparing, with nothing cached. */
static uint64_t reads_of(store *s, const char *from, const char *to, uint32_t expected)
{
    dynb_compare_input input = between(from, to);
    dynb_difference_page page;
    uint64_t before;
    forget_reads(s);
    before = s->device.kind_count[FAULT_READ];
    MUST(dynb_compare(s->db, &input, &page, &s->result, &kit_err));
    CHECK_INT(page.count, expected);
    CHECK(page.last_key.bytes == NULL);
    return s->device.kind_count[FAULT_READ] - before;
}

/* The same changes to tables of 1,000, 4,000 and 16,000 items: what is read is
 * a few nodes for each change, and a level more or less, whatever the size;
 * as a run of its own, and folded into the old run (which shares the rest). */
static void test_cost(void)
{
    static const uint32_t sizes[] = {1000, 4000, 16000};
    uint32_t k, i;
    for (k = 0; k < 3; ++k) {
        static store s;
        char first[DYNB_ARN_MAX + 1], run[DYNB_ARN_MAX + 1], folded[DYNB_ARN_MAX + 1], id[16];
        uint64_t reads, nodes;
        dynbi_table *table;
        dynb_stat stat;
        int pending = 1;
        store_begin(&s);
        s.config.memory_bytes = 4 << 20;
        s.config.durability = DYNB_BUFFERED;
        store_open(&s);
        MUST(kit_create_table(s.db, "Cost", NULL));
        fill(&s, "Cost", 'k', sizes[k], 1, 60);
        MUST(dynb_wait_idle(s.db, &kit_err));
        back_up(&s, "Cost", first);
        CHECK_INT(table_of(&s, "Cost")->sets[0].count, 1);
        nodes = table_of(&s, "Cost")->sets[0].run[0].root.byte_count / 512;
        CHECK(nodes > sizes[k] / 8);
        CHECK(reads_of(&s, first, "Cost", 0) <= 12); /* the catalog alone */
        for (i = 0; i < 10; ++i) {
            snprintf(id, sizeof id, "k%05u", (unsigned)(i * (sizes[k] / 10) + 7));
            MUST(kit_put(s.db, "Cost", id, 2));
        }
        reads = reads_of(&s, first, "Cost", 10); /* in memory and one run */
        CHECK(reads <= 12 + 10 * 8);
        fold_run(&s, "Cost");
        back_up(&s, "Cost", run);
        reads = reads_of(&s, first, run, 10); /* a run of 10, and ten looks */
        CHECK(reads <= 12 + 4 + 10 * 8);
        table = table_of(&s, "Cost");
        CHECK_INT(table->sets[0].count, 2);
        MUST(dynbi_tidy_start(&s.db->worker->job[1], table, 0, 0, 2, &kit_err));
        while (s.db->worker->job[1].kind && pending)
            MUST(dynb_work(s.db, 1 << 20, &pending, &kit_err));
        CHECK_INT(table_of(&s, "Cost")->sets[0].count, 1);
        back_up(&s, "Cost", folded);
        MUST(dynb_get_stat(s.db, &stat, &kit_err));
        reads = reads_of(&s, first, folded, 10);
        CHECK(reads <= 12 + 10 * (2 * 8 + 2 * 8)); /* two ways down side by side, two looks */
        CHECK(k == 0 || reads < nodes / 2);
        CHECK(reads_of(&s, run, folded, 0) <= 12 + 10 * 32); /* the same items */
        store_end(&s);
    }
}

/* ---------------------------------------------------------------- faults -- */

/* Three backups: one folded, one a run more, one not built yet. */
static void begin_faults(store *s, char arns[3][DYNB_ARN_MAX + 1])
{
    uint32_t i;
    store_begin(s);
    store_open(s);
    MUST(kit_create_table(s->db, "Fault", NULL));
    fill(s, "Fault", 'k', 150, 1, 30);
    back_up(s, "Fault", arns[0]);
    MUST(dynb_wait_idle(s->db, &kit_err));
    fill(s, "Fault", 'k', 20, 2, 300);
    fill(s, "Fault", 'l', 20, 2, 30);
    back_up(s, "Fault", arns[1]);
    MUST(dynb_wait_idle(s->db, &kit_err));
    for (i = 0; i < 10; ++i) {
        char id[16];
        snprintf(id, sizeof id, "k%05u", (unsigned)(100 + i));
        MUST(kit_delete(s->db, "Fault", id));
    }
    back_up(s, "Fault", arns[2]);
}

/* Counts what a comparison and reads of all three give; a failure of theirs. */
static dynb_rc look_at_all(store *s, char arns[3][DYNB_ARN_MAX + 1], uint32_t counts[4])
{
    dynb_compare_input input;
    dynb_difference_page page;
    dynb_scan_input scan;
    dynb_page items;
    dynb_result result;
    uint32_t i;
    dynb_rc rc = DYNB_OK;
    memset(counts, 0, 4 * sizeof counts[0]);
    memset(&result, 0, sizeof result);
    for (i = 0; rc == DYNB_OK && i < 3; ++i) {
        input = between(arns[i], arns[(i + 1) % 3]);
        rc = dynb_compare(s->db, &input, &page, &result, &kit_err);
        if (rc != DYNB_OK)
            CHECK(page.count == 0 && page.differences == NULL && page.last_key.bytes == NULL);
        counts[i] = page.count;
    }
    memset(&scan, 0, sizeof scan);
    scan.backup_arn = arns[2];
    if (rc == DYNB_OK)
        rc = dynb_scan(s->db, &scan, &items, &result, &kit_err);
    if (rc == DYNB_OK)
        counts[3] = items.count;
    dynb_result_free(&result);
    return rc;
}

static void expect_counts(const uint32_t counts[4])
{
    CHECK_INT(counts[0], 40);
    CHECK_INT(counts[1], 10);
    CHECK_INT(counts[2], 50);
    CHECK_INT(counts[3], 160);
}

static void test_faults(void)
{
    static store s;
    static char arns[3][DYNB_ARN_MAX + 1];
    uint32_t counts[4], failed = 0;
    uint64_t n, allocations;
    dynb_rc rc = DYNB_NO_MEMORY;
    begin_faults(&s, arns);
    s.memory.call_count = 0;
    forget_reads(&s);
    dynbi_store_drop_opened(s.db);
    MUST(look_at_all(&s, arns, counts));
    expect_counts(counts);
    allocations = s.memory.call_count;
    for (n = 1; n <= allocations + 20; ++n) { /* one failure is made good, or told */
        forget_reads(&s);
        dynbi_store_drop_opened(s.db);
        dynbi_buffer_free(&s.db->key);
        s.memory.call_count = 0;
        s.memory.fail_at = n;
        rc = look_at_all(&s, arns, counts);
        s.memory.fail_at = 0;
        CHECK(rc == DYNB_OK || rc == DYNB_NO_MEMORY);
        if (rc == DYNB_OK)
            expect_counts(counts);
        else
            CHECK(s.memory.failed_count > 0);
    }
    s.memory.fail_from = 1;
    s.db->config.read_only = 1; /* no work makes room */
    for (n = 1; n <= allocations + 20; ++n) {
        forget_reads(&s);
        dynbi_store_drop_opened(s.db);
        dynbi_buffer_free(&s.db->key);
        s.memory.call_count = 0;
        s.memory.fail_at = n;
        rc = look_at_all(&s, arns, counts);
        failed += rc == DYNB_NO_MEMORY;
        s.memory.fail_at = 0;
        CHECK(rc == DYNB_OK || rc == DYNB_NO_MEMORY);
        if (rc == DYNB_OK)
            expect_counts(counts);
    }
    s.db->config.read_only = 0;
    CHECK(failed > 10);
    CHECK_INT(rc, DYNB_OK);
    MUST(look_at_all(&s, arns, counts));
    expect_counts(counts);

    failed = 0; /* reads from the device */
    s.device.plan_mode = FAULT_ONCE;
    for (n = 1, rc = DYNB_IO_FAILED; rc == DYNB_IO_FAILED && n < 5000; ++n) {
        forget_reads(&s);
        dynbi_store_drop_opened(s.db);
        s.device.plan_call = s.device.call_count + n;
        rc = look_at_all(&s, arns, counts);
        CHECK(rc == DYNB_OK || rc == DYNB_IO_FAILED);
        failed += rc == DYNB_IO_FAILED;
    }
    s.device.plan_call = 0;
    CHECK(failed > 20);
    CHECK_INT(rc, DYNB_OK);
    expect_counts(counts);
    store_end(&s);
}

/* Pages one after another in one result, with what comes next in it, too: a call
 * that has to be made again for want of memory still knows where it started. */
static dynb_rc page_through(store *s, char arns[3][DYNB_ARN_MAX + 1], uint32_t counts[3])
{
    dynb_compare_input compare = between(arns[0], arns[2]);
    dynb_difference_page differences;
    dynb_query_input query;
    dynb_scan_input scan;
    dynb_builder builder;
    dynb_page page;
    dynb_result result;
    dynb_rc rc;
    memset(counts, 0, 3 * sizeof counts[0]);
    memset(&result, 0, sizeof result);
    memset(&builder, 0, sizeof builder);
    memset(&query, 0, sizeof query);
    memset(&scan, 0, sizeof scan);
    scan.backup_arn = query.backup_arn = arns[1];
    scan.limit = compare.limit = 7;
    query.limit = 1;
    query.partition_key = dynb_item_get(kit_item(&builder, "k00003", -1), "Id");
    do {
        rc = dynb_compare(s->db, &compare, &differences, &result, &kit_err);
        counts[0] += differences.count;
        compare.start_after = differences.last_key;
    } while (rc == DYNB_OK && compare.start_after.bytes);
    while (rc == DYNB_OK) {
        rc = dynb_scan(s->db, &scan, &page, &result, &kit_err);
        counts[1] += page.count;
        scan.start_after = page.last_key;
        if (!scan.start_after.bytes)
            break;
    }
    while (rc == DYNB_OK) {
        rc = dynb_query(s->db, &query, &page, &result, &kit_err);
        counts[2] += page.count;
        query.start_after = page.last_key;
        if (!query.start_after.bytes)
            break;
    }
    dynb_result_free(&result);
    dynb_builder_free(&builder);
    return rc;
}

static void test_one_result(void)
{
    static store s;
    static char arns[3][DYNB_ARN_MAX + 1];
    uint32_t counts[3];
    uint64_t n, allocations;
    begin_faults(&s, arns);
    s.memory.call_count = 0;
    MUST(page_through(&s, arns, counts));
    allocations = s.memory.call_count;
    for (n = 1; n <= allocations + 40; ++n) {
        dynb_rc rc;
        forget_reads(&s);
        dynbi_store_drop_opened(s.db);
        dynbi_buffer_free(&s.db->start);
        dynbi_buffer_free(&s.db->key);
        s.memory.call_count = 0;
        s.memory.fail_at = n;
        rc = page_through(&s, arns, counts);
        s.memory.fail_at = 0;
        CHECK(rc == DYNB_OK || rc == DYNB_NO_MEMORY);
        if (rc == DYNB_OK) {
            CHECK_INT(counts[0], 50);
            CHECK_INT(counts[1], 170);
            CHECK_INT(counts[2], 1);
        }
    }
    store_end(&s);
}

/* Every node on the device damaged in turn: told, or not needed. */
static void test_damage(void)
{
    static store s;
    static char arns[3][DYNB_ARN_MAX + 1];
    uint32_t counts[4], corrupt = 0;
    uint64_t page;
    begin_faults(&s, arns);
    for (page = 2; page < s.device.current_bytes / 512; ++page) {
        uint8_t *at = s.device.current + page * 512 + 40;
        dynb_rc rc;
        *at ^= 0x10;
        forget_reads(&s);
        dynbi_store_drop_opened(s.db);
        rc = look_at_all(&s, arns, counts);
        CHECK(rc == DYNB_OK || rc == DYNB_CORRUPT);
        if (rc == DYNB_OK)
            expect_counts(counts);
        corrupt += rc == DYNB_CORRUPT;
        *at ^= 0x10;
    }
    CHECK(corrupt > 20);
    forget_reads(&s);
    sums_are_off = 1; /* what a hostile device says may be anything, but ends */
    for (page = 2; page < s.device.current_bytes / 512; ++page) {
        uint32_t i;
        for (i = 0; i < 512; i += i < 64 ? 7 : 23) {
            uint8_t *at = s.device.current + page * 512 + i;
            dynb_rc rc;
            *at ^= 0x04;
            forget_reads(&s);
            dynbi_store_drop_opened(s.db);
            rc = look_at_all(&s, arns, counts);
            CHECK(rc == DYNB_OK || rc == DYNB_CORRUPT || rc == DYNB_IO_FAILED ||
                  rc == DYNB_BACKUP_NOT_FOUND || rc == DYNB_VALIDATION || rc == DYNB_NO_MEMORY);
            *at ^= 0x04;
        }
    }
    sums_are_off = 0;
    forget_reads(&s);
    dynbi_store_drop_opened(s.db);
    MUST(look_at_all(&s, arns, counts));
    expect_counts(counts);
    store_end(&s);
}

/* What was logged is rubbish: an item, a key; keys of a run out of order. */
static void test_rubbish(void)
{
    static store s;
    static char arns[3][DYNB_ARN_MAX + 1];
    dynb_compare_input input;
    dynb_difference_page page;
    dynbi_runs *runs;
    dynbi_root *root;
    begin_faults(&s, arns);
    input = between(arns[2], "Fault");
    MUST(log_change(&s, table_of(&s, "Fault"), "z", 1, "\1\377\377", 3));
    EXPECT_MESSAGE(dynb_compare(s.db, &input, &page, &s.result, &kit_err), DYNB_CORRUPT,
                   "an item of table Fault is damaged");
    MUST(log_change(&s, table_of(&s, "Fault"), "z", 1, NULL, 0)); /* away with it */
    MUST(dynb_compare(s.db, &input, &page, &s.result, &kit_err));
    CHECK_INT(page.count, 0);
    MUST(log_change(&s, table_of(&s, "Fault"), "\377", 1, NULL, 0)); /* no key is so */
    MUST(kit_put(s.db, "Fault", "a", 1));
    input.limit = 1;
    MUST(dynb_compare(s.db, &input, &page, &s.result, &kit_err));
    CHECK(page.count == 1 && page.last_key.bytes != NULL);
    MUST(dynb_wait_idle(s.db, &kit_err));
    back_up(&s, "Fault", arns[0]);
    runs = &table_of(&s, "Fault")->sets[0];
    root = &runs->run[runs->count - 1].root;
    CHECK(root->level > 0);
    root->level = DYNBI_LEVELS; /* a pair with a root of rubbish */
    input = between(arns[0], "Fault");
    EXPECT(dynb_compare(s.db, &input, &page, &s.result, &kit_err), DYNB_CORRUPT);
    root->level = 0;
    EXPECT(dynb_compare(s.db, &input, &page, &s.result, &kit_err), DYNB_CORRUPT);
    dynbi_api_free(s.db); /* memory alone was spoilt */
    store_open(&s);
    MUST(dynb_compare(s.db, &input, &page, &s.result, &kit_err));
    CHECK_INT(page.count, 0);
    store_end(&s);
}

/* More backups than are kept open, all read in turn; then their nodes go. */
static void test_opened(void)
{
    static store s;
    char arns[DYNBI_OPENED + 2][DYNB_ARN_MAX + 1];
    dynb_builder builder;
    dynb_source source;
    dynb_item item;
    uint32_t i, round;
    int64_t v;
    memset(&builder, 0, sizeof builder);
    memset(&source, 0, sizeof source);
    store_begin(&s);
    store_open(&s);
    MUST(kit_create_table(s.db, "Many", NULL));
    for (i = 0; i < DYNBI_OPENED + 2; ++i) {
        fill(&s, "Many", 'k', 30, i, 30);
        back_up(&s, "Many", arns[i]);
    }
    MUST(dynb_wait_idle(s.db, &kit_err));
    for (round = 0; round < 60; ++round) {
        i = round * 7 % (DYNBI_OPENED + 2);
        source.backup_arn = arns[i];
        MUST(dynb_get_item_at(s.db, &source, kit_item(&builder, "k00011", -1), &item, &s.result,
                              &kit_err));
        CHECK(dynb_value_int(dynb_item_get(item, "v"), &v) && v == (int64_t)i);
    }
    for (i = 0; i < DYNBI_OPENED + 1; ++i) {
        MUST(dynb_delete_backup(s.db, arns[i], NULL, NULL, &kit_err));
        MUST(dynb_wait_idle(s.db, &kit_err));
        fill(&s, "Many", 'x', 30, 99, 30); /* in the space that came back */
        MUST(dynb_wait_idle(s.db, &kit_err));
        source.backup_arn = arns[i];
        EXPECT(dynb_get_item_at(s.db, &source, kit_item(&builder, "k00011", -1), &item,
                                &s.result, &kit_err),
               DYNB_BACKUP_NOT_FOUND);
        source.backup_arn = arns[DYNBI_OPENED + 1];
        MUST(dynb_get_item_at(s.db, &source, kit_item(&builder, "k00011", -1), &item, &s.result,
                              &kit_err));
        CHECK(dynb_value_int(dynb_item_get(item, "v"), &v) && v == DYNBI_OPENED + 1);
    }
    dynb_builder_free(&builder);
    store_end(&s);
}

int main(void)
{
    uint64_t seed = check_seed("test_compare");
    uint32_t i;
    test_steps();
    test_errors();
    test_resume();
    test_looks();
    test_cost();
    test_faults();
    test_one_result();
    test_damage();
    test_rubbish();
    test_opened();
    for (i = 0; i < sizeof settings / sizeof settings[0]; ++i)
        run_setting(&settings[i], seed + i);
    printf("%llu pairs compared in %llu pages, %llu differences\n",
           (unsigned long long)pairs_count, (unsigned long long)pages_count,
           (unsigned long long)differences_count);
    return check_report("test_compare");
}
