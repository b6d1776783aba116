/* unit_compare.c - the ends of comparing: trees walked side by side where a root
 * is the same or too deep, where the device does not read, items and keys that
 * are damaged, and memory that ends anywhere. */
#include "store.h"

#define ITEMS 200u

/* ----------------------------------------------------------------- walks -- */

/* A table of ITEMS items that are one run; its root, which has children. */
static dynbi_root begin_tree(store *s)
{
    dynbi_root root;
    store_begin(s);
    store_open(s);
    MUST(kit_create_table(s->db, "Tree", NULL));
    fill(s, "Tree", 'k', ITEMS, 1, 60);
    MUST(dynb_wait_idle(s->db, &kit_err));
    CHECK_INT(table_of(s, "Tree")->sets[0].count, 1);
    root = table_of(s, "Tree")->sets[0].run[0].root;
    CHECK(root.level >= 2 && root.entry_count == ITEMS);
    return root;
}

/* Two roots that are one differ nowhere, and nothing of them is read. */
static void test_same_root(void)
{
    store s;
    dynbi_pair pair;
    dynbi_root root = begin_tree(&s);
    uint64_t reads;
    uint32_t i;
    memset(&pair, 0, sizeof pair);
    forget_reads(&s);
    for (i = 0; i < 2; ++i) {
        dynbi_walk_init(&pair.walk[i], &s.db->reader, &root);
        MUST(dynbi_walk_seek(&pair.walk[i], NULL, 0, &kit_err));
        CHECK(pair.walk[i].is_at && pair.walk[i].subtree.page == root.page);
    }
    reads = s.device.kind_count[FAULT_READ];
    MUST(dynbi_pair_find(&pair, &kit_err));
    CHECK(pair.key == NULL && !pair.walk[0].is_at && !pair.walk[1].is_at);
    CHECK_INT(s.device.kind_count[FAULT_READ], reads);
    for (i = 0; i < 2; ++i)
        dynbi_walk_free(&pair.walk[i]);
    store_end(&s);
}

/* A damaged tree whose first key is empty, as no item's is: its first child then
 * looks like a root as a whole, and here it is the other's. They differ in what
 * comes after it. */
static void test_root_in_root(void)
{
    store s;
    char arn[DYNB_ARN_MAX + 1];
    dynb_compare_input input;
    dynb_difference_page page;
    dynbi_run *run;
    dynbi_node node;
    uint32_t count;
    store_begin(&s);
    store_open(&s);
    MUST(kit_create_table(s.db, "Tree", NULL));
    EXPECT(log_change(&s, table_of(&s, "Tree"), "", 0, "\1\0", 2), DYNB_OK);
    fill(&s, "Tree", 'k', ITEMS, 1, 60);
    back_up(&s, "Tree", arn);
    MUST(dynb_wait_idle(s.db, &kit_err));
    CHECK_INT(table_of(&s, "Tree")->sets[0].count, 1);
    run = table_of(&s, "Tree")->sets[0].run;
    CHECK(run->root.level > 0);
    MUST(dynbi_node_open(&s.db->reader, &run->root, &node, &kit_err));
    dynbi_node_child(&node, 0, &run->root);
    dynbi_node_close(&s.db->reader, &node);
    count = (uint32_t)run->root.entry_count;
    memset(&input, 0, sizeof input);
    input.from.table = "Tree";
    input.to.backup_arn = arn;
    MUST(dynb_compare(s.db, &input, &page, &s.result, &kit_err));
    CHECK_INT(page.count, ITEMS + 1 - count);
    store_end(&s);
}

/* A root that says it is deeper than any tree. */
static void test_deep_root(void)
{
    store s;
    dynbi_walk walk;
    dynbi_root root = begin_tree(&s);
    char message[80];
    root.level = DYNBI_LEVELS;
    snprintf(message, sizeof message, "the tree node at byte %u is damaged",
             (unsigned)root.page * 512u);
    dynbi_walk_init(&walk, &s.db->reader, &root);
    EXPECT_MESSAGE(dynbi_walk_seek(&walk, (const uint8_t *)"k", 1, &kit_err), DYNB_CORRUPT,
                   message);
    CHECK_INT(kit_err.pos, root.page * 512u);
    dynbi_walk_free(&walk);
    store_end(&s);
}

/* Walks from a key to the end with nothing kept in memory: *count entries. */
static dynb_rc walk_all(store *s, const dynbi_root *root, const char *from, uint32_t *count)
{
    dynbi_walk walk;
    dynb_rc rc;
    *count = 0;
    dynbi_walk_init(&walk, &s->db->reader, root);
    rc = dynbi_walk_seek(&walk, (const uint8_t *)from, (uint32_t)strlen(from), &kit_err);
    while (rc == DYNB_OK && walk.is_at) {
        *count += !walk.subtree.page;
        forget_reads(s);
        if (walk.subtree.page)
            rc = dynbi_walk_open(&walk, &kit_err);
        else
            rc = dynbi_walk_next(&walk, &kit_err);
    }
    dynbi_walk_free(&walk);
    return rc;
}

/* Each read of a walk fails once: on the way to a key, and on the way up and
 * down again. */
static void test_walk_reads(void)
{
    static const char *const froms[] = {"a", "k00050", "k00199", "z"};
    static const uint32_t counts[] = {ITEMS, ITEMS - 50, 1, 0};
    store s;
    dynbi_root root = begin_tree(&s);
    uint32_t i, n, count = 0;
    s.device.plan_mode = FAULT_ONCE;
    for (i = 0; i < 4; ++i) {
        dynb_rc rc = DYNB_IO_FAILED;
        for (n = 1; rc == DYNB_IO_FAILED && n < 2000; ++n) {
            forget_reads(&s);
            s.device.plan_call = s.device.call_count + n;
            memset(&kit_err, 0, sizeof kit_err);
            rc = walk_all(&s, &root, froms[i], &count);
            CHECK(rc == DYNB_OK || (rc == DYNB_IO_FAILED && kit_err.code == rc));
        }
        s.device.plan_call = 0;
        CHECK_INT(rc, DYNB_OK);
        CHECK_INT(count, counts[i]);
        CHECK(n > (counts[i] > 1 ? 20u : 3u)); /* a node each of the way, and leaves */
    }
    store_end(&s);
}

/* ---------------------------------------------------------------- damage -- */

static dynb_compare_input between(const char *arn, const char *table)
{
    dynb_compare_input input;
    memset(&input, 0, sizeof input);
    input.from.backup_arn = arn;
    input.to.table = table;
    return input;
}

static void expect_no_page(store *s, const dynb_compare_input *input, const char *message)
{
    dynb_difference_page page;
    memset(&page, 1, sizeof page);
    EXPECT_MESSAGE(dynb_compare(s->db, input, &page, &s->result, &kit_err), DYNB_CORRUPT,
                   message);
    CHECK(page.count == 0 && page.differences == NULL && page.last_key.bytes == NULL);
}

/* An item that cannot be read, on either side of the comparison. */
static void test_damaged_item(void)
{
    store s;
    char arn[DYNB_ARN_MAX + 1];
    dynb_compare_input input, back;
    dynb_difference_page page;
    store_begin(&s);
    store_open(&s);
    MUST(kit_create_table(s.db, "Table", NULL));
    MUST(kit_put(s.db, "Table", "a", 1));
    back_up(&s, "Table", arn);
    MUST(kit_put(s.db, "Table", "b", 1));
    EXPECT(log_change(&s, table_of(&s, "Table"), "c", 1, "\1\x7f", 2), DYNB_OK);
    input = between(arn, "Table");
    back.from = input.to;
    back.to = input.from;
    back.start_after = input.start_after;
    back.limit = 0;
    back.limit_bytes = 0;
    expect_no_page(&s, &input, "an item of table Table is damaged");
    expect_no_page(&s, &back, "an item of table Table is damaged");
    input.limit = 1; /* what stands before it can be compared */
    MUST(dynb_compare(s.db, &input, &page, &s.result, &kit_err));
    CHECK_INT(page.count, 1);
    CHECK(page.differences[0].old_item.bytes == NULL && page.last_key.bytes != NULL);
    store_end(&s);
}

static void put_pair(store *s, const char *id, size_t pad)
{
    static char text[4096];
    dynb_builder builder;
    memset(&builder, 0, sizeof builder);
    memset(text, 'p', sizeof text);
    dynb_builder_begin(&builder);
    dynb_add_string(&builder, "Id", id, (size_t)-1);
    dynb_add_int(&builder, "At", 1);
    dynb_add_string(&builder, "pad", text, pad);
    MUST(dynb_put_item(s->db, "Table", kit_finish(&builder), NULL, NULL, NULL, &kit_err));
    dynb_builder_free(&builder);
}

/* A page that ends at a key without the end of its partition: there is no way to
 * say where it ends. */
static void test_damaged_key(void)
{
    store s;
    char arn[DYNB_ARN_MAX + 1];
    dynb_compare_input input;
    dynb_difference_page page;
    store_begin(&s);
    store_open(&s);
    MUST(kit_create_table(s.db, "Table", "At"));
    back_up(&s, "Table", arn);
    put_pair(&s, "a", 10);
    EXPECT(log_change(&s, table_of(&s, "Table"), "bb", 2, NULL, 0), DYNB_OK);
    put_pair(&s, "c", 2000);
    input = between(arn, "Table");
    MUST(dynb_compare(s.db, &input, &page, &s.result, &kit_err));
    CHECK_INT(page.count, 2); /* all at once: a delete of nothing is no difference */
    input.limit_bytes = 1000;
    expect_no_page(&s, &input, "a key of table Table is damaged");
    store_end(&s);
}

/* ---------------------------------------------------------------- memory -- */

/* Compares while the n-th allocation fails, for every n: nothing but NO_MEMORY
 * is said. How often each message came. */
typedef struct lacks {
    uint32_t key, result;
    uint32_t count; /* its differences */
} lacks;

static lacks starve(store *s, const dynbi_place place[2], const dynb_compare_input *input)
{
    lacks lacked;
    dynb_difference_page page;
    dynb_rc rc = DYNB_NO_MEMORY;
    uint64_t live_count = 0, n;
    memset(&lacked, 0, sizeof lacked);
    for (n = 1; rc == DYNB_NO_MEMORY && n < 200; ++n) {
        dynbi_buffer_free(&s->db->key);
        dynb_result_free(&s->result);
        forget_reads(s);
        memset(&page, 0, sizeof page);
        live_count = s->memory.live_count;
        s->memory.call_count = 0;
        s->memory.fail_at = n;
        rc = dynbi_places_compare(s->db, place, input, &page, &s->result, &kit_err);
        s->memory.fail_at = 0;
        CHECK(rc == DYNB_OK || (rc == DYNB_NO_MEMORY && kit_err.code == rc && !page.count));
        lacked.key += rc && strcmp(kit_err.message, "no memory for a key") == 0;
        lacked.result += rc && strncmp(kit_err.message, "no memory for a result", 22) == 0;
        dynbi_buffer_free(&s->db->key);
        dynb_result_free(&s->result);
        forget_reads(s);
        CHECK_INT(s->memory.live_count, live_count);
    }
    CHECK_INT(rc, DYNB_OK);
    MUST(dynbi_places_compare(s->db, place, input, &page, &s->result, &kit_err));
    lacked.count = page.count;
    return lacked;
}

/* Small differences, more of them than there is room for behind their images:
 * one allocation gathers them, another makes the page. */
static void test_memory(void)
{
    store s;
    dynb_compare_input input;
    dynbi_place place[2];
    lacks lacked;
    store_begin(&s);
    store_open(&s);
    MUST(kit_create_table(s.db, "Old", NULL));
    MUST(kit_create_table(s.db, "New", NULL));
    MUST(kit_put(s.db, "Old", "a", 1));
    memset(&input, 0, sizeof input);
    place[0] = dynbi_place_of(table_of(&s, "Old"));
    fill(&s, "New", 'k', 300, 1, 0);
    place[1] = dynbi_place_of(table_of(&s, "New"));
    lacked = starve(&s, place, &input);
    CHECK_INT(lacked.count, 301);
    CHECK_INT(lacked.key, 2);    /* the candidate, and the last one looked at */
    CHECK(lacked.result >= 3);   /* at first, for images, for the page */
    input.limit = 1;
    lacked = starve(&s, place, &input);
    CHECK_INT(lacked.count, 1);
    CHECK_INT(lacked.key, 2);
    store_end(&s);
}

/* Going on after a key, of any length, takes memory for the key alone. */
static void test_start_after(void)
{
    static char text[130];
    store s;
    dynb_compare_input input;
    dynb_builder builder;
    dynbi_place place[2];
    uint32_t length;
    memset(&builder, 0, sizeof builder);
    memset(text, 'k', sizeof text);
    store_begin(&s);
    store_open(&s);
    MUST(kit_create_table(s.db, "Old", NULL));
    MUST(kit_create_table(s.db, "New", NULL));
    for (length = 1; length < 130; ++length) {
        dynb_builder_begin(&builder);
        dynb_add_string(&builder, "Id", text, length);
        MUST(dynb_put_item(s.db, "New", kit_finish(&builder), NULL, NULL, NULL, &kit_err));
    }
    place[0] = dynbi_place_of(table_of(&s, "Old"));
    place[1] = dynbi_place_of(table_of(&s, "New"));
    memset(&input, 0, sizeof input);
    for (length = 1; length < 130; ++length) {
        lacks lacked;
        dynb_builder_begin(&builder);
        dynb_add_string(&builder, "Id", text, length);
        input.start_after = kit_finish(&builder);
        lacked = starve(&s, place, &input);
        CHECK_INT(lacked.count, 129 - length);
        if (length == 129)
            CHECK_INT(lacked.key, 1);
    }
    dynb_builder_free(&builder);
    store_end(&s);
}

int main(void)
{
    test_same_root();
    test_root_in_root();
    test_deep_root();
    test_walk_reads();
    test_damaged_item();
    test_damaged_key();
    test_memory();
    test_start_after();
    return check_report("unit_compare");
}
