/* unit_query.c - section 23's ranges of keys: bounds in the wrong order, memory
 * that ends where a key does, and keys that are damaged. */
#include "store.h"

/* An S as a condition has it; valid until the builder is used again. */
static dynb_value string_value(dynb_builder *builder, const char *text, size_t length)
{
    dynb_builder_begin(builder);
    dynb_add_string(builder, "v", text, length);
    return dynb_item_get(kit_finish(builder), "v");
}

static dynb_value number_value(dynb_builder *builder, int64_t v)
{
    dynb_builder_begin(builder);
    dynb_add_int(builder, "v", v);
    return dynb_item_get(kit_finish(builder), "v");
}

static dynb_rc put_pair(store *s, const char *table, const char *id, int64_t at)
{
    dynb_builder builder;
    dynb_rc rc;
    memset(&builder, 0, sizeof builder);
    dynb_builder_begin(&builder);
    dynb_add_string(&builder, "Id", id, (size_t)-1);
    dynb_add_int(&builder, "At", at);
    rc = dynb_put_item(s->db, table, kit_finish(&builder), NULL, NULL, NULL, &kit_err);
    dynb_builder_free(&builder);
    return rc;
}

static void test_between(void)
{
    store s;
    dynb_query_input query;
    dynb_page page;
    dynb_builder partition, from, to;
    int64_t high;
    store_begin(&s);
    store_open(&s);
    MUST(kit_create_table(s.db, "Table", "At"));
    MUST(put_pair(&s, "Table", "x", 6));
    memset(&partition, 0, sizeof partition);
    memset(&from, 0, sizeof from);
    memset(&to, 0, sizeof to);
    memset(&query, 0, sizeof query);
    query.table = "Table";
    query.condition = DYNB_SORT_BETWEEN;
    query.partition_key = string_value(&partition, "x", 1);
    query.sort_from = number_value(&from, 6);
    for (high = 5; high <= 7; ++high) {
        query.sort_to = number_value(&to, high);
        if (high < 6) {
            memset(&page, 1, sizeof page);
            EXPECT_MESSAGE(dynb_query(s.db, &query, &page, &s.result, &kit_err), DYNB_VALIDATION,
                           "Invalid KeyConditionExpression: The BETWEEN operator requires upper "
                           "bound to be greater than or equal to lower bound");
            CHECK(page.count == 0 && page.items == NULL);
        } else {
            EXPECT(dynb_query(s.db, &query, &page, &s.result, &kit_err), DYNB_OK);
            CHECK_INT(page.count, 1);
        }
    }
    dynb_builder_free(&partition);
    dynb_builder_free(&from);
    dynb_builder_free(&to);
    store_end(&s);
}

/* A query whose key just fills what memory it has needs one byte more for the
 * range's end: each allocation fails once, and nothing but NO_MEMORY is said. */
static void test_full_keys(void)
{
    static char text[130];
    store s;
    dynb_query_input query;
    dynb_page page;
    dynb_builder partition;
    size_t length;
    uint32_t asked[130];
    memset(text, 'k', sizeof text);
    store_begin(&s);
    store_open(&s);
    MUST(kit_create_table(s.db, "Table", NULL));
    memset(&partition, 0, sizeof partition);
    for (length = 62; length < 130; ++length) {
        dynb_rc rc = DYNB_NO_MEMORY;
        uint32_t n;
        memset(&query, 0, sizeof query);
        query.table = "Table";
        query.partition_key = string_value(&partition, text, length);
        for (n = 1; rc == DYNB_NO_MEMORY && n < 30; ++n) {
            s.memory.call_count = 0;
            s.memory.fail_at = n;
            rc = dynbi_source_query(s.db, &query, &page, &s.result, &kit_err);
            CHECK(rc == DYNB_OK || (rc == DYNB_NO_MEMORY && kit_err.code == rc));
        }
        s.memory.fail_at = 0;
        asked[length] = (uint32_t)s.memory.call_count;
        CHECK_INT(rc, DYNB_OK);
        CHECK_INT(page.count, 0);
    }
    CHECK_INT(asked[64], asked[63] + 1); /* the byte that did not fit */
    CHECK_INT(asked[128], asked[127] + 1);
    CHECK_INT(asked[129], asked[127]);
    dynb_builder_free(&partition);
    store_end(&s);
}

/* A key without the end of its partition: whoever scans its segment hears of it,
 * the other segments are whole. */
static void test_damaged_key(void)
{
    store s;
    dynb_scan_input scan;
    dynb_page page;
    uint32_t damaged_count = 0, item_count = 0;
    int i;
    store_begin(&s);
    store_open(&s);
    MUST(kit_create_table(s.db, "Table", "At"));
    for (i = 0; i < 200; ++i) {
        char id[16];
        snprintf(id, sizeof id, "a%d", i);
        MUST(put_pair(&s, "Table", id, i));
    }
    EXPECT(log_change(&s, table_of(&s, "Table"), "zz", 2, "\1\0", 2), DYNB_OK);
    memset(&scan, 0, sizeof scan);
    scan.table = "Table";
    scan.total_segments = 4;
    for (scan.segment = 0; scan.segment < 4; ++scan.segment) {
        memset(&kit_err, 0, sizeof kit_err);
        if (dynb_scan(s.db, &scan, &page, &s.result, &kit_err) == DYNB_OK) {
            item_count += page.count;
        } else {
            ++damaged_count;
            CHECK_INT(kit_err.code, DYNB_CORRUPT);
            CHECK_TEXT(kit_err.message, "an item of table Table is damaged");
            scan.limit = 1; /* what stands before it can be read */
            EXPECT(dynb_scan(s.db, &scan, &page, &s.result, &kit_err), DYNB_OK);
            CHECK_INT(page.count, 1);
            CHECK(page.last_key.bytes != NULL);
            scan.limit = 0;
        }
    }
    CHECK_INT(damaged_count, 1);
    CHECK(item_count > 100 && item_count < 200);
    EXPECT(dynb_check(s.db, NULL, NULL, NULL, &kit_err), DYNB_OK); /* it is in no tree yet */
    MUST(dynb_wait_idle(s.db, &kit_err));
    EXPECT(dynb_check(s.db, NULL, NULL, NULL, &kit_err), DYNB_CORRUPT);
    store_end(&s);
}

int main(void)
{
    test_between();
    test_full_keys();
    test_damaged_key();
    return check_report("unit_query");
}
