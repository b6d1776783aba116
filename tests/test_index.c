/* test_index.c - secondary indexes: what the contract says of them, and random
 * tables whose indexes are judged by their items (indexes.h).
 *
 * Sections of contract.md are cited at each case. */
#include "store.h"

#include "indexes.h"

#define ARN "arn:aws:dynamodb:us-east-1:123456789012:table/"

static void set_key(dynb_key_attribute *key, const char *name, dynb_type type)
{
    key->name = name;
    key->type = type;
}

static dynb_index make_index(const char *name, const char *partition, dynb_type partition_type,
                             const char *sort, dynb_type sort_type)
{
    dynb_index index;
    memset(&index, 0, sizeof index);
    index.index_name = name;
    set_key(&index.partition_key, partition, partition_type);
    set_key(&index.sort_key, sort, sort_type);
    return index;
}

static void begin_input(dynb_create_table_input *input, const char *name)
{
    memset(input, 0, sizeof *input);
    input->table_name = name;
    set_key(&input->partition_key, "Id", DYNB_S);
    set_key(&input->sort_key, "Sort", DYNB_N);
}

static dynb_rc put_json(store *s, const char *table, const char *json)
{
    dynb_builder builder;
    dynb_rc rc;
    memset(&builder, 0, sizeof builder);
    rc = dynb_put_item(s->db, table, kit_json(&builder, json), NULL, NULL, NULL, &kit_err);
    dynb_builder_free(&builder);
    return rc;
}

static dynb_table_description about_table(store *s, const char *table)
{
    dynb_table_description about;
    MUST(dynb_describe_table(s->db, table, &about, &s->result, &kit_err));
    return about;
}

static uint32_t count_in(store *s, const char *table, const char *index)
{
    dynb_item *items;
    uint32_t count;
    MUST(index_read_all(s->db, table, index, 3, &items, &count));
    index_free_all(items, count);
    return count;
}

static void compare_indexes(store *s, const char *table, int idle, const char *file, int line)
{
    check_random random;
    int same;
    random.state = (uint64_t)line;
    same = index_compare(s->db, table, idle, &random);
    if (!same)
        printf("%s:%d: %s\n", file, line, model_difference);
    check_note(same, file, line, "the indexes are what the items say");
}

#define COMPARE(s, table, idle) compare_indexes(s, table, idle, __FILE__, __LINE__)

/* ---------------------------------------------------------- by hand -- */

static void test_create_and_describe(void)
{
    static const char *const included[] = {"color", "size"};
    dynb_index globals[3], locals[1];
    dynb_create_table_input input;
    dynb_table_description about;
    store s;
    store_begin(&s);
    store_open(&s);
    begin_input(&input, "Things");
    globals[0] = make_index("by-owner", "owner", DYNB_S, "age", DYNB_N);
    globals[1] = make_index("by-tag", "tag", DYNB_B, NULL, DYNB_TYPE_NONE);
    globals[1].projection = DYNB_PROJECT_KEYS_ONLY;
    globals[2] = make_index("turned", "Sort", DYNB_N, "Id", DYNB_S);
    globals[2].projection = DYNB_PROJECT_INCLUDE;
    globals[2].non_key_attributes = included;
    globals[2].non_key_attribute_count = 2;
    locals[0] = make_index("by-age", "Id", DYNB_S, "age", DYNB_N);
    input.global_indexes = globals;
    input.global_index_count = 3;
    input.local_indexes = locals;
    input.local_index_count = 1;
    MUST(dynb_create_table(s.db, &input, &about, &s.result, &kit_err));
    /* contract 2.4 row 12: index ARN; A.3 GlobalSecondaryIndexDescription */
    CHECK_INT(about.global_index_count, 3);
    CHECK_INT(about.local_index_count, 1);
    CHECK_TEXT(about.global_indexes[0].index_arn, ARN "Things/index/by-owner");
    CHECK_TEXT(about.local_indexes[0].index.index_name, "by-age");
    store_reopen(&s);
    about = about_table(&s, "Things");
    CHECK_INT(about.global_index_count, 3);
    CHECK_TEXT(about.global_indexes[2].index.index_name, "turned");
    CHECK_INT(about.global_indexes[2].index.non_key_attribute_count, 2);
    CHECK_TEXT(about.global_indexes[2].index.non_key_attributes[1], "size");
    CHECK_INT(about.global_indexes[1].index.projection, DYNB_PROJECT_KEYS_ONLY);
    CHECK_INT(about.global_indexes[0].status, DYNB_INDEX_ACTIVE);
    CHECK_INT(about.global_indexes[0].backfilling, 0);
    CHECK_TEXT(about.global_indexes[0].index.sort_key.name, "age");
    MUST(put_json(&s, "Things", "{'Id':{'S':'a'},'Sort':{'N':'1'},'owner':{'S':'eve'},"
                                "'age':{'N':'7'},'color':{'S':'red'},'x':{'S':'y'}}"));
    MUST(put_json(&s, "Things", "{'Id':{'S':'b'},'Sort':{'N':'2'},'owner':{'S':'eve'},"
                                "'tag':{'B':'AAH/'},'x':{'S':'y'}}"));
    CHECK_INT(count_in(&s, "Things", "by-owner"), 1); /* sparse: b has no age */
    CHECK_INT(count_in(&s, "Things", "by-tag"), 1);
    CHECK_INT(count_in(&s, "Things", "turned"), 2);
    CHECK_INT(count_in(&s, "Things", "by-age"), 1);
    COMPARE(&s, "Things", 0);
    MUST(put_json(&s, "Things", "{'Id':{'S':'a'},'Sort':{'N':'1'},'owner':{'S':'bob'},"
                                "'age':{'N':'8'}}"));
    CHECK_INT(count_in(&s, "Things", "by-owner"), 1); /* it moved */
    COMPARE(&s, "Things", 0);
    MUST(dynb_wait_idle(s.db, &kit_err));
    COMPARE(&s, "Things", 1);
    store_end(&s);
}

/* ------------------------------------------------- what is refused -- */

#define BAD "One or more parameter values were invalid: "

static void refuse_create(store *s, const dynb_create_table_input *input, const char *message)
{
    EXPECT_MESSAGE(dynb_create_table(s->db, input, NULL, NULL, &kit_err), DYNB_VALIDATION,
                   message);
    CHECK_INT(s->db->live_count, 0);
}

static void test_create_messages(void)
{
    static const char *const names[101] = {"a", "b"};
    static char many_names[25][8];
    dynb_index globals[21], locals[6];
    dynb_create_table_input good, input;
    dynb_key_attribute definitions[4];
    const char *included[25];
    uint32_t i;
    store s;
    store_begin(&s);
    store_open(&s);
    begin_input(&good, "Things");
    for (i = 0; i < 21; ++i) {
        snprintf(many_names[i], sizeof many_names[i], "gsi-%u", (unsigned)i);
        globals[i] = make_index(many_names[i], "owner", DYNB_S, NULL, DYNB_TYPE_NONE);
    }
    for (i = 0; i < 6; ++i)
        locals[i] = make_index(many_names[i], "Id", DYNB_S, "age", DYNB_N);
    for (i = 0; i < 25; ++i)
        included[i] = "name";
    good.global_indexes = globals;
    good.global_index_count = 1;
    /* contract 4.6: empty index list */
    input = good;
    input.global_index_count = 0;
    refuse_create(&s, &input, BAD "List of GlobalSecondaryIndexes is empty");
    input = good;
    input.local_indexes = locals;
    refuse_create(&s, &input, BAD "List of LocalSecondaryIndexes is empty");
    /* contract 3.3: GSIs per table, LSIs per table */
    input = good;
    input.global_index_count = 21;
    refuse_create(&s, &input, BAD "GlobalSecondaryIndex count exceeds the per-table limit of 20");
    input = good;
    input.local_indexes = locals;
    input.local_index_count = 6;
    refuse_create(&s, &input, BAD "Number of LocalSecondaryIndexes exceeds per-table limit of 5");
    /* contract 4.6: duplicate index */
    input = good;
    input.local_indexes = locals;
    input.local_index_count = 1;
    refuse_create(&s, &input, BAD "Duplicate index name: gsi-0");
    /* contract 4.6: LSI without table range key; LSI hash differs */
    locals[0].index_name = "lsi-0";
    memset(&input.sort_key, 0, sizeof input.sort_key);
    refuse_create(&s, &input, BAD "Table KeySchema does not have a range key, which is required "
                                  "when specifying a LocalSecondaryIndex");
    input.sort_key = good.sort_key;
    locals[0].partition_key.name = "other";
    refuse_create(&s, &input, BAD "Index KeySchema does not have the same leading hash key as "
                                  "table KeySchema for index: lsi-0. index hash key: other, table "
                                  "hash key: Id");
    locals[0].partition_key.name = "Id";
    locals[0].sort_key.name = NULL;
    refuse_create(&s, &input, BAD "Index KeySchema does not have a range key for index: lsi-0");
    locals[0].sort_key.name = "Id";
    refuse_create(&s, &input,
                  "Both the Hash Key and the Range Key element in the KeySchema have the same "
                  "name");
    /* contract 4.6: projection */
    input = good;
    globals[0].projection = (dynb_projection)7;
    refuse_create(&s, &input, BAD "Unknown ProjectionType: null");
    globals[0].projection = DYNB_PROJECT_ALL;
    globals[0].non_key_attributes = names;
    globals[0].non_key_attribute_count = 2;
    refuse_create(&s, &input, BAD "ProjectionType is ALL, but NonKeyAttributes is specified");
    globals[0].projection = DYNB_PROJECT_KEYS_ONLY;
    refuse_create(&s, &input, BAD "ProjectionType is KEYS_ONLY, but NonKeyAttributes is specified");
    globals[0].projection = DYNB_PROJECT_INCLUDE;
    globals[0].non_key_attribute_count = 0;
    refuse_create(&s, &input, BAD "ProjectionType is INCLUDE, but NonKeyAttributes is not "
                                  "specified");
    /* contract 3.3: NonKeyAttributes per index, and in all */
    globals[0].non_key_attributes = included;
    globals[0].non_key_attribute_count = 21;
    EXPECT_ABOUT(dynb_create_table(s.db, &input, NULL, NULL, &kit_err), DYNB_VALIDATION,
                 "at 'globalSecondaryIndexes.1.member.projection.nonKeyAttributes' failed to "
                 "satisfy constraint: Member must have length less than or equal to 20");
    for (i = 0; i < 6; ++i) {
        globals[i].projection = DYNB_PROJECT_INCLUDE;
        globals[i].non_key_attributes = included;
        globals[i].non_key_attribute_count = 20;
    }
    input.global_index_count = 6;
    refuse_create(&s, &input, BAD "Number of projected attributes of all indexes exceeds the "
                                  "per-table limit of 100");
    globals[0] = make_index("gsi-0", "owner", DYNB_S, NULL, DYNB_TYPE_NONE);
    /* contract 4.5: index name */
    input = good;
    globals[0].index_name = "x";
    refuse_create(&s, &input,
                  "1 validation error detected: Value 'x' at "
                  "'globalSecondaryIndexes.1.member.indexName' failed to satisfy constraint: "
                  "Member must have length greater than or equal to 3");
    globals[0].index_name = NULL;
    globals[0].partition_key.name = NULL;
    refuse_create(&s, &input,
                  "2 validation errors detected: Value null at "
                  "'globalSecondaryIndexes.1.member.indexName' failed to satisfy constraint: "
                  "Member must not be null; Value null at "
                  "'globalSecondaryIndexes.1.member.keySchema' failed to satisfy constraint: "
                  "Member must not be null");
    globals[0] = make_index("gsi-0", "owner", DYNB_S, NULL, DYNB_TYPE_NONE);
    /* contract 4.6: GSI throughput */
    globals[0].provisioned.read_units = 1;
    refuse_create(&s, &input, BAD "ProvisionedThroughput should not be specified for index: gsi-0 "
                                  "when BillingMode is PAY_PER_REQUEST");
    input.settings.billing_mode = DYNB_PROVISIONED;
    input.settings.provisioned.read_units = input.settings.provisioned.write_units = 1;
    refuse_create(&s, &input, BAD "ProvisionedThroughput is not specified for index: gsi-0");
    globals[0].provisioned.write_units = 1000000000001u;
    refuse_create(&s, &input, "Given value 1000000000001 for WriteCapacityUnits is out of bounds "
                              "for index gsi-0");
    globals[0].provisioned.read_units = globals[0].provisioned.write_units = 0;
    /* contract 4.6: attribute definitions */
    input = good;
    input.attribute_definitions = definitions;
    input.attribute_definition_count = 1;
    set_key(&definitions[0], "Id", DYNB_S);
    set_key(&definitions[1], "Sort", DYNB_N);
    set_key(&definitions[2], "owner", DYNB_S);
    set_key(&definitions[3], "unused", DYNB_S);
    refuse_create(&s, &input, "Invalid KeySchema: Some index key attribute have no definition");
    input.attribute_definition_count = 2;
    refuse_create(&s, &input, BAD "Some index key attributes are not defined in "
                                  "AttributeDefinitions. Keys: [Id, Sort, owner], "
                                  "AttributeDefinitions: [Id, Sort]");
    input.attribute_definition_count = 4;
    refuse_create(&s, &input, BAD "Some AttributeDefinitions are not used. AttributeDefinitions: "
                                  "[Id, Sort, owner, unused], keys used: [Id, Sort, owner]");
    input.global_indexes = NULL;
    input.global_index_count = 0;
    input.attribute_definition_count = 3;
    refuse_create(&s, &input, BAD "Number of attributes in KeySchema does not exactly match number "
                                  "of attributes defined in AttributeDefinitions");
    input = good;
    globals[0].partition_key.name = "Id";
    globals[0].partition_key.type = DYNB_N;
    refuse_create(&s, &input, BAD "key attribute Id is given with types S and N");
    /* types may come from the definitions alone */
    globals[0] = make_index("gsi-0", "owner", DYNB_TYPE_NONE, NULL, DYNB_TYPE_NONE);
    input = good;
    input.partition_key.type = input.sort_key.type = DYNB_TYPE_NONE;
    input.attribute_definitions = definitions;
    input.attribute_definition_count = 3;
    MUST(dynb_create_table(s.db, &input, NULL, NULL, &kit_err));
    CHECK_INT(about_table(&s, "Things").sort_key.type, DYNB_N);
    CHECK_INT(about_table(&s, "Things").global_indexes[0].index.partition_key.type, DYNB_S);
    store_end(&s);
}

static void open_with_one(store *s, dynb_index *index)
{
    dynb_create_table_input input;
    store_begin(s);
    store_open(s);
    begin_input(&input, "Things");
    memset(&input.sort_key, 0, sizeof input.sort_key);
    input.global_indexes = index;
    input.global_index_count = 1;
    MUST(dynb_create_table(s->db, &input, NULL, NULL, &kit_err));
}

/* Of several indexes that a put does not fit the first by name is told. */
static void test_first_by_name(void)
{
    dynb_index indexes[3];
    dynb_create_table_input input;
    store s;
    store_begin(&s);
    store_open(&s);
    begin_input(&input, "Things");
    memset(&input.sort_key, 0, sizeof input.sort_key);
    indexes[0] = make_index("by-owner", "owner", DYNB_S, NULL, DYNB_TYPE_NONE);
    indexes[1] = make_index("by-age", "age", DYNB_N, "owner", DYNB_S);
    indexes[2] = make_index("by-none", "none", DYNB_S, NULL, DYNB_TYPE_NONE);
    input.global_indexes = indexes;
    input.global_index_count = 3;
    MUST(dynb_create_table(s.db, &input, NULL, NULL, &kit_err));
    EXPECT_MESSAGE(put_json(&s, "Things", "{'Id':{'S':'a'},'owner':{'N':'1'}}"), DYNB_VALIDATION,
                   BAD "Type mismatch for Index Key owner Expected: S Actual: N IndexName: by-age");
    EXPECT_MESSAGE(put_json(&s, "Things", "{'Id':{'S':'a'},'none':{'N':'1'}}"), DYNB_VALIDATION,
                   BAD "Type mismatch for Index Key none Expected: S Actual: N IndexName: by-none");
    EXPECT(put_json(&s, "Things", "{'Id':{'S':'a'},'owner':{'S':'1'}}"), DYNB_OK);
    store_end(&s);
}

static void test_put_messages(void)
{
    dynb_index index = make_index("by-owner", "owner", DYNB_S, "age", DYNB_B);
    dynb_builder builder;
    dynb_item item;
    char text[2050];
    store s;
    open_with_one(&s, &index);
    memset(&builder, 0, sizeof builder);
    /* contract 3.3: index key wrong type */
    EXPECT_MESSAGE(put_json(&s, "Things", "{'Id':{'S':'a'},'owner':{'N':'1'}}"), DYNB_VALIDATION,
                   BAD "Type mismatch for Index Key owner Expected: S Actual: N IndexName: "
                       "by-owner");
    EXPECT_MESSAGE(put_json(&s, "Things", "{'Id':{'S':'a'},'owner':{'S':'e'},'age':{'M':{}}}"),
                   DYNB_VALIDATION,
                   BAD "Type mismatch for Index Key age Expected: B Actual: M IndexName: by-owner");
    /* contract 3.1: may be empty unless a table or index key */
    EXPECT_MESSAGE(put_json(&s, "Things", "{'Id':{'S':'a'},'owner':{'S':''}}"), DYNB_VALIDATION,
                   "One or more parameter values are not valid. A value specified for a secondary "
                   "index key is not supported. The AttributeValue for a key attribute cannot "
                   "contain an empty string value. IndexName: by-owner, IndexKey: owner");
    EXPECT_ABOUT(put_json(&s, "Things", "{'Id':{'S':'a'},'age':{'B':''}}"), DYNB_VALIDATION,
                 "cannot contain an empty binary value. IndexName: by-owner, IndexKey: age");
    /* contract 3.3: partition key value 1..2048 bytes, sort key value 1..1024 */
    memset(text, 'x', sizeof text);
    dynb_builder_begin(&builder);
    dynb_add_string(&builder, "Id", "a", 1);
    dynb_add_string(&builder, "owner", text, 2049);
    EXPECT_MESSAGE(dynb_put_item(s.db, "Things", kit_finish(&builder), NULL, NULL, NULL, &kit_err),
                   DYNB_VALIDATION,
                   BAD "Size of hashkey has exceeded the maximum size limit of2048 bytes");
    dynb_builder_begin(&builder);
    dynb_add_string(&builder, "Id", "a", 1);
    dynb_add_binary(&builder, "age", text, 1025);
    EXPECT_MESSAGE(dynb_put_item(s.db, "Things", kit_finish(&builder), NULL, NULL, NULL, &kit_err),
                   DYNB_VALIDATION,
                   BAD "Aggregated size of all range keys has exceeded the size limit of 1024 "
                       "bytes");
    CHECK_INT(count_in(&s, "Things", NULL), 0); /* nothing was changed */
    /* the largest keys there are: the third part is the table's partition key */
    memset(text, 0, sizeof text);
    dynb_builder_begin(&builder);
    memset(text, 1, 2048);
    dynb_add_string(&builder, "Id", text, 2048);
    memset(text, 0, 2048);
    dynb_add_string(&builder, "owner", text, 2048);
    dynb_add_binary(&builder, "age", text, 1024);
    item = kit_finish(&builder);
    MUST(dynb_put_item(s.db, "Things", item, NULL, NULL, NULL, &kit_err));
    MUST(dynb_wait_idle(s.db, &kit_err));
    COMPARE(&s, "Things", 1);
    EXPECT(dynb_check(s.db, NULL, NULL, NULL, &kit_err), DYNB_OK);
    dynb_builder_free(&builder);
    store_end(&s);
}

static void test_read_messages(void)
{
    dynb_index index = make_index("by-owner", "owner", DYNB_S, NULL, DYNB_TYPE_NONE);
    dynb_query_input ask;
    dynb_scan_input scan;
    dynb_builder builder;
    dynb_page page;
    store s;
    open_with_one(&s, &index);
    memset(&builder, 0, sizeof builder);
    memset(&ask, 0, sizeof ask);
    memset(&scan, 0, sizeof scan);
    scan.table = ask.table = "Things";
    scan.index_name = ask.index_name = "nothing";
    ask.partition_key = dynb_item_get(kit_json(&builder, "{'owner':{'S':'e'}}"), "owner");
    EXPECT_MESSAGE(dynb_scan(s.db, &scan, &page, &s.result, &kit_err), DYNB_VALIDATION,
                   "The table does not have the specified index: nothing");
    EXPECT_MESSAGE(dynb_query(s.db, &ask, &page, &s.result, &kit_err), DYNB_VALIDATION,
                   "The table does not have the specified index: nothing");
    scan.index_name = ask.index_name = "by-owner";
    scan.consistent_read = ask.consistent_read = 1;
    EXPECT_MESSAGE(dynb_scan(s.db, &scan, &page, &s.result, &kit_err), DYNB_VALIDATION,
                   "Consistent reads are not supported on global secondary indexes");
    EXPECT_MESSAGE(dynb_query(s.db, &ask, &page, &s.result, &kit_err), DYNB_VALIDATION,
                   "Consistent reads are not supported on global secondary indexes");
    ask.consistent_read = 0;
    ask.condition = DYNB_SORT_EQ;
    EXPECT_ABOUT(dynb_query(s.db, &ask, &page, &s.result, &kit_err), DYNB_VALIDATION,
                 "index by-owner has no sort key");
    ask.index_name = NULL;
    ask.condition = DYNB_SORT_ANY;
    ask.consistent_read = 1; /* of the table: allowed */
    EXPECT(dynb_query(s.db, &ask, &page, &s.result, &kit_err), DYNB_OK);
    dynb_builder_free(&builder);
    store_end(&s);
}

/* --------------------------------------------------- a live table -- */

static dynb_rc change_index(store *s, dynb_index_action action, const dynb_index *index)
{
    dynb_update_table_input input;
    dynb_index_update update;
    memset(&input, 0, sizeof input);
    input.table = "Things";
    input.change = DYNB_CHANGE_INDEXES;
    input.index_updates = &update;
    input.index_update_count = 1;
    update.action = action;
    update.index = *index;
    return dynb_update_table(s->db, &input, NULL, NULL, &kit_err);
}

static void test_online(void)
{
    dynb_index index = make_index("by-owner", "owner", DYNB_S, NULL, DYNB_TYPE_NONE);
    dynb_index late = make_index("by-v", "v", DYNB_N, NULL, DYNB_TYPE_NONE);
    dynb_index other = make_index("by-w", "w", DYNB_N, NULL, DYNB_TYPE_NONE);
    dynb_table_description about;
    dynb_backup_description backup;
    dynb_scan_input scan;
    dynb_page page;
    char arn[DYNB_ARN_MAX + 1], after[DYNB_ARN_MAX + 1];
    uint64_t used;
    dynb_stat stat;
    int pending, rounds;
    store s;
    open_with_one(&s, &index);
    fill(&s, "Things", 'a', 600, 3, 100);
    MUST(put_json(&s, "Things", "{'Id':{'S':'wrong'},'v':{'S':'text'}}"));
    MUST(change_index(&s, DYNB_CREATE_INDEX, &late));
    about = about_table(&s, "Things");
    CHECK_INT(about.global_index_count, 2);
    CHECK_INT(about.global_indexes[1].status, DYNB_INDEX_CREATING);
    CHECK_INT(about.global_indexes[1].backfilling, 1);
    memset(&scan, 0, sizeof scan);
    scan.table = "Things";
    scan.index_name = "by-v";
    EXPECT_MESSAGE(dynb_scan(s.db, &scan, &page, &s.result, &kit_err), DYNB_VALIDATION,
                   "Cannot read from backfilling global secondary index: by-v");
    /* contract 3.5: one creation or deletion at a time */
    EXPECT_MESSAGE(change_index(&s, DYNB_DELETE_INDEX, &index), DYNB_LIMIT_EXCEEDED,
                   "Subscriber limit exceeded: Only 1 online index can be created or deleted "
                   "simultaneously per table");
    EXPECT_MESSAGE(change_index(&s, DYNB_CREATE_INDEX, &other), DYNB_LIMIT_EXCEEDED,
                   "Subscriber limit exceeded: Only 1 online index can be created or deleted "
                   "simultaneously per table");
    EXPECT(change_index(&s, DYNB_UPDATE_INDEX, &late), DYNB_RESOURCE_IN_USE);
    EXPECT_ABOUT(put_json(&s, "Things", "{'Id':{'S':'b'},'v':{'S':'text'}}"), DYNB_VALIDATION,
                 "Type mismatch for Index Key v Expected: N Actual: S IndexName: by-v");
    /* a backup of this moment is without it */
    back_up(&s, "Things", arn);
    CHECK_INT(look_up(&s, arn).source.global_index_count, 1);
    /* writes and crashes go on while it is built */
    for (rounds = 0, pending = 1; rounds < 4000 && pending; ++rounds) {
        if (rounds % 7 == 0)
            MUST(kit_put(s.db, "Things", rounds % 2 ? "a00005" : "a00599", rounds));
        if (rounds % 40 == 39)
            store_crash(&s);
        MUST(dynb_work(s.db, 2500, &pending, &kit_err));
    }
    MUST(dynb_wait_idle(s.db, &kit_err));
    about = about_table(&s, "Things");
    CHECK_INT(about.global_indexes[1].status, DYNB_INDEX_ACTIVE);
    CHECK_INT(about.global_indexes[1].backfilling, 0);
    CHECK_INT(about.global_indexes[1].item_count, 600);
    COMPARE(&s, "Things", 1);
    EXPECT_MESSAGE(change_index(&s, DYNB_CREATE_INDEX, &late), DYNB_VALIDATION,
                   "Attempting to create an index which already exists");
    backup = look_up(&s, arn);
    CHECK_INT(backup.status, DYNB_BACKUP_AVAILABLE);
    CHECK_INT(backup.source.global_index_count, 1);
    /* a backup that is being built keeps what it needs of an index that goes */
    MUST(kit_put(s.db, "Things", "a00007", 70007));
    back_up(&s, "Things", after);
    MUST(kit_put(s.db, "Things", "a00008", 80008));
    MUST(dynb_get_stat(s.db, &stat, &kit_err));
    used = stat.used_bytes;
    MUST(change_index(&s, DYNB_DELETE_INDEX, &late));
    CHECK_INT(about_table(&s, "Things").global_indexes[1].status, DYNB_INDEX_DELETING);
    EXPECT(dynb_scan(s.db, &scan, &page, &s.result, &kit_err), DYNB_VALIDATION);
    store_crash(&s);
    MUST(dynb_wait_idle(s.db, &kit_err));
    CHECK_INT(about_table(&s, "Things").global_index_count, 1);
    CHECK_INT(look_up(&s, after).source.global_index_count, 2);
    CHECK_INT(look_up(&s, after).source.global_indexes[1].item_count, 600);
    MUST(kit_restore(s.db, after, "Back"));
    COMPARE(&s, "Back", 1);
    CHECK_INT(count_in(&s, "Back", "by-v"), 600);
    /* its space comes back with the last backup that has it */
    MUST(dynb_delete_table(s.db, "Back", NULL, NULL, &kit_err));
    MUST(dynb_delete_backup(s.db, after, NULL, NULL, &kit_err));
    MUST(dynb_wait_idle(s.db, &kit_err));
    MUST(dynb_get_stat(s.db, &stat, &kit_err));
    CHECK(stat.used_bytes + 600 * 100 < used);
    /* unknown ones; contract 3.3: the limit of UpdateTable */
    EXPECT_MESSAGE(change_index(&s, DYNB_DELETE_INDEX, &late), DYNB_RESOURCE_NOT_FOUND,
                   "Requested resource not found");
    EXPECT(change_index(&s, DYNB_UPDATE_INDEX, &late), DYNB_RESOURCE_NOT_FOUND);
    late.provisioned.read_units = 5;
    EXPECT_ABOUT(change_index(&s, DYNB_CREATE_INDEX, &late), DYNB_VALIDATION,
                 "ProvisionedThroughput should not be specified for index: by-v");
    late.provisioned.read_units = 0;
    late.partition_key.type = DYNB_SS;
    EXPECT(change_index(&s, DYNB_CREATE_INDEX, &late), DYNB_INVALID_ARGUMENT);
    set_key(&late.partition_key, "owner", DYNB_N);
    EXPECT_MESSAGE(change_index(&s, DYNB_CREATE_INDEX, &late), DYNB_VALIDATION,
                   BAD "key attribute owner is given with types S and N");
    EXPECT(dynb_check(s.db, NULL, NULL, NULL, &kit_err), DYNB_OK);
    store_end(&s);
}

/* A table just restored to a time, whose indexes are still being filled, is
 * backed up with all of them: a client that waits until it is ACTIVE cannot
 * know better, and a local index could never be added again. */
static void test_unfilled(void)
{
    dynb_index global = make_index("by-v", "v", DYNB_N, NULL, DYNB_TYPE_NONE);
    dynb_index local = make_index("by-pad", "Id", DYNB_S, "pad", DYNB_B);
    dynb_update_continuous_backups_input recovery;
    dynb_restore_to_time_input then;
    dynb_create_table_input input;
    dynb_table_description about;
    char at_once[DYNB_ARN_MAX + 1], pending[DYNB_ARN_MAX + 1];
    store s;
    store_begin(&s);
    store_open(&s);
    begin_input(&input, "Things");
    input.global_indexes = &global;
    input.global_index_count = 1;
    input.local_indexes = &local;
    input.local_index_count = 1;
    set_key(&input.sort_key, "v", DYNB_N);
    MUST(dynb_create_table(s.db, &input, NULL, NULL, &kit_err));
    memset(&recovery, 0, sizeof recovery);
    recovery.table = "Things";
    recovery.point_in_time_recovery = 1;
    MUST(dynb_update_continuous_backups(s.db, &recovery, NULL, &kit_err));
    fill(&s, "Things", 'a', 200, 3, 30);
    memset(&then, 0, sizeof then);
    then.source_table_name = "Things";
    then.target_table_name = "Then";
    then.use_latest_time = 1;
    MUST(dynb_restore_table_to_point_in_time(s.db, &then, NULL, NULL, &kit_err));
    CHECK_INT(about_table(&s, "Then").status, DYNB_TABLE_ACTIVE);
    CHECK_INT(about_table(&s, "Then").local_indexes[0].status, DYNB_INDEX_CREATING);
    back_up(&s, "Then", at_once);
    CHECK_INT(look_up(&s, at_once).status, DYNB_BACKUP_AVAILABLE);
    fill(&s, "Then", 'b', 20, 4, 30);
    back_up(&s, "Then", pending);
    CHECK_INT(look_up(&s, pending).status, DYNB_BACKUP_CREATING);
    store_crash(&s);
    MUST(kit_restore(s.db, at_once, "Back")); /* before anything is filled */
    MUST(dynb_wait_idle(s.db, &kit_err));
    MUST(kit_restore(s.db, at_once, "Again"));
    MUST(kit_restore(s.db, pending, "More"));
    MUST(dynb_delete_table(s.db, "Then", NULL, NULL, &kit_err));
    fill(&s, "More", 'c', 10, 5, 30);
    store_reopen(&s);
    MUST(dynb_wait_idle(s.db, &kit_err));
    about = about_table(&s, "Again");
    CHECK_INT(about.global_index_count, 1);
    CHECK_INT(about.local_index_count, 1);
    CHECK_INT(about.local_indexes[0].status, DYNB_INDEX_ACTIVE);
    CHECK_INT(about_table(&s, "Back").local_index_count, 1);
    CHECK_INT(about_table(&s, "More").local_index_count, 1);
    CHECK_INT(count_in(&s, "Back", "by-pad"), 200);
    CHECK_INT(count_in(&s, "Again", "by-v"), 200);
    CHECK_INT(count_in(&s, "More", "by-pad"), 230);
    COMPARE(&s, "Back", 1);
    COMPARE(&s, "Again", 1);
    COMPARE(&s, "More", 1);
    EXPECT(dynb_check(s.db, NULL, NULL, NULL, &kit_err), DYNB_OK);
    MUST(dynb_scrub(s.db, &kit_err));
    store_end(&s);
}

/* An index being filled may be given up. */
static void test_give_up(void)
{
    dynb_index index = make_index("by-owner", "owner", DYNB_S, NULL, DYNB_TYPE_NONE);
    dynb_index late = make_index("by-v", "v", DYNB_N, NULL, DYNB_TYPE_NONE);
    int pending = 1, i;
    store s;
    open_with_one(&s, &index);
    fill(&s, "Things", 'a', 900, 3, 100);
    MUST(change_index(&s, DYNB_CREATE_INDEX, &late));
    for (i = 0; i < 12; ++i)
        MUST(dynb_work(s.db, 4000, &pending, &kit_err));
    MUST(change_index(&s, DYNB_DELETE_INDEX, &late));
    MUST(dynb_wait_idle(s.db, &kit_err));
    CHECK_INT(about_table(&s, "Things").global_index_count, 1);
    MUST(change_index(&s, DYNB_CREATE_INDEX, &late)); /* another of that name */
    MUST(kit_put(s.db, "Things", "a00003", 5));
    MUST(dynb_wait_idle(s.db, &kit_err));
    COMPARE(&s, "Things", 1);
    CHECK_INT(count_in(&s, "Things", "by-v"), 900);
    EXPECT(dynb_scrub(s.db, &kit_err), DYNB_OK);
    store_end(&s);
}

/* A restored table shares its runs, which are left alone; the pieces of an index
 * added to it are folded together all the same. */
static void test_online_restored(void)
{
    dynb_index late = make_index("by-v", "v", DYNB_N, NULL, DYNB_TYPE_NONE);
    dynb_restore_input back;
    char arn[DYNB_ARN_MAX + 1];
    dynbi_table *table;
    store s;
    store_begin(&s);
    s.config.memory_bytes = 73728;
    store_open(&s);
    MUST(kit_create_table(s.db, "Source", NULL));
    fill(&s, "Source", 'a', 4000, 3, 20);
    back_up(&s, "Source", arn);
    MUST(dynb_wait_idle(s.db, &kit_err));
    memset(&back, 0, sizeof back);
    back.target_table_name = "Things";
    back.backup_arn = arn;
    MUST(dynb_restore_table_from_backup(s.db, &back, NULL, NULL, &kit_err));
    MUST(change_index(&s, DYNB_CREATE_INDEX, &late));
    MUST(dynb_wait_idle(s.db, &kit_err));
    COMPARE(&s, "Things", 1);
    table = table_of(&s, "Things");
    CHECK(table->indexes[0].runs.count < 3);
    CHECK(table->folded_lsn < table->id); /* nothing of its own was folded */
    store_crash(&s);
    COMPARE(&s, "Things", 1);
    store_end(&s);
}

/* The table, or the index, goes away while it is being worked on. */
static void test_gone(void)
{
    dynb_index index = make_index("by-owner", "owner", DYNB_S, NULL, DYNB_TYPE_NONE);
    dynb_index late = make_index("by-v", "v", DYNB_N, NULL, DYNB_TYPE_NONE);
    int pending, i, round;
    store s;
    for (round = 0; round < 12; ++round) {
        open_with_one(&s, &index);
        fill(&s, "Things", 'a', 500, 3, 60);
        MUST(change_index(&s, DYNB_CREATE_INDEX, &late));
        for (i = 0; i < 4 * round; ++i)
            MUST(dynb_work(s.db, 3000, &pending, &kit_err));
        if (round % 2)
            MUST(change_index(&s, DYNB_DELETE_INDEX, &late));
        else
            MUST(dynb_delete_table(s.db, "Things", NULL, NULL, &kit_err));
        MUST(kit_create_table(s.db, "Other", NULL));
        fill(&s, "Other", 'b', 700, 3, 60);
        MUST(dynb_wait_idle(s.db, &kit_err));
        EXPECT(dynb_check(s.db, NULL, NULL, NULL, &kit_err), DYNB_OK);
        EXPECT(dynb_scrub(s.db, &kit_err), DYNB_OK);
        store_end(&s);
    }
}

static void test_update_messages(void)
{
    dynb_index index = make_index("by-owner", "owner", DYNB_S, NULL, DYNB_TYPE_NONE);
    dynb_index_update updates[2];
    dynb_update_table_input input;
    dynb_table_description about;
    store s;
    open_with_one(&s, &index);
    memset(&input, 0, sizeof input);
    memset(updates, 0, sizeof updates);
    input.table = "Things";
    input.change = DYNB_CHANGE_INDEXES;
    EXPECT(dynb_update_table(s.db, &input, NULL, NULL, &kit_err), DYNB_INVALID_ARGUMENT);
    input.index_updates = updates;
    input.index_update_count = 2;
    updates[0].action = DYNB_CREATE_INDEX;
    updates[0].index = make_index("one", "v", DYNB_N, NULL, DYNB_TYPE_NONE);
    updates[1].action = DYNB_CREATE_INDEX;
    updates[1].index = make_index("two", "v", DYNB_N, NULL, DYNB_TYPE_NONE);
    EXPECT_MESSAGE(dynb_update_table(s.db, &input, NULL, NULL, &kit_err), DYNB_LIMIT_EXCEEDED,
                   "Subscriber limit exceeded: Only 1 online index can be created or deleted "
                   "simultaneously per table");
    updates[1].index.index_name = "one";
    EXPECT_MESSAGE(dynb_update_table(s.db, &input, NULL, NULL, &kit_err), DYNB_VALIDATION,
                   BAD "Only one global secondary index update per index is allowed "
                       "simultaneously. Index: one");
    updates[1].index.index_name = "x";
    EXPECT_ABOUT(dynb_update_table(s.db, &input, NULL, NULL, &kit_err), DYNB_VALIDATION,
                 "at 'globalSecondaryIndexUpdates.2.member.create.indexName' failed");
    updates[0].action = DYNB_DELETE_INDEX;
    updates[0].index.index_name = NULL;
    EXPECT_ABOUT(dynb_update_table(s.db, &input, NULL, NULL, &kit_err), DYNB_VALIDATION,
                 "Value null at 'globalSecondaryIndexUpdates.1.member.delete.indexName'");
    updates[0].action = (dynb_index_action)9;
    EXPECT(dynb_update_table(s.db, &input, NULL, NULL, &kit_err), DYNB_INVALID_ARGUMENT);
    /* a change of the billing mode needs the indexes' throughput, too */
    input.change = DYNB_CHANGE_BILLING;
    input.settings.billing_mode = DYNB_PROVISIONED;
    input.settings.provisioned.read_units = input.settings.provisioned.write_units = 5;
    EXPECT_MESSAGE(dynb_update_table(s.db, &input, NULL, NULL, &kit_err), DYNB_VALIDATION,
                   BAD "ProvisionedThroughput must be specified for index: by-owner");
    input.change |= DYNB_CHANGE_INDEXES;
    input.index_update_count = 1;
    updates[0].action = DYNB_UPDATE_INDEX;
    updates[0].index = index;
    updates[0].index.provisioned.read_units = updates[0].index.provisioned.write_units = 9;
    MUST(dynb_update_table(s.db, &input, &about, &s.result, &kit_err));
    CHECK_INT(about.global_indexes[0].index.provisioned.read_units, 9);
    store_reopen(&s);
    CHECK_INT(about_table(&s, "Things").global_indexes[0].index.provisioned.write_units, 9);
    input.change = DYNB_CHANGE_BILLING;
    memset(&input.settings, 0, sizeof input.settings);
    MUST(dynb_update_table(s.db, &input, &about, &s.result, &kit_err));
    CHECK_INT(about.global_indexes[0].index.provisioned.read_units, 0);
    store_end(&s);
}

/* More indexes than memory can hold changes of. */
static void test_memory_limit(void)
{
    dynb_create_table_input input;
    dynb_index globals[5];
    uint32_t i, pages;
    static const char *const names[] = {"gs0", "gs1", "gs2", "gs3", "gs4"};
    store s;
    store_begin(&s);
    s.config.memory_bytes = 65536;
    store_open(&s);
    begin_input(&input, "Things");
    memset(&input.sort_key, 0, sizeof input.sort_key);
    for (i = 0; i < 5; ++i)
        globals[i] = make_index(names[i], "owner", DYNB_S, NULL, DYNB_TYPE_NONE);
    input.global_indexes = globals;
    input.global_index_count = 5;
    EXPECT_ABOUT(dynb_create_table(s.db, &input, NULL, NULL, &kit_err), DYNB_INVALID_ARGUMENT,
                 "config.memory_bytes is 65536; a table with 5 indexes needs at least");
    s.config.memory_bytes = strtoull(strstr(kit_err.message, "least ") + 6, NULL, 10);
    store_reopen(&s); /* that much is enough ... */
    EXPECT(dynb_create_table(s.db, &input, NULL, NULL, &kit_err), DYNB_OK);
    pages = s.db->pages.capacity;
    for (i = 0; s.db->pages.capacity == pages && i < 100; ++i)
        fill(&s, "Things", 'a', 100, (int64_t)i, 300);
    CHECK(i < 100);
    store_reopen(&s); /* ... also when the device has grown ... */
    store_close(&s);
    s.config.memory_bytes -= 32768; /* ... and much less is not, when it is opened */
    EXPECT_ABOUT(store_try(&s), DYNB_INVALID_ARGUMENT, "; a table with 5 indexes needs at least");
    s.config.memory_bytes = 1 << 20;
    store_open(&s);
    store_end(&s);
}

/* ------------------------------------------------------- restoring -- */

typedef struct restoring {
    store s;
    char arn[DYNB_ARN_MAX + 1];
    dynb_restore_input input;
    dynb_restore_overrides *with;
} restoring;

static void begin_restoring(restoring *r, dynb_billing_mode mode)
{
    static const char *const included[] = {"v"};
    dynb_create_table_input input;
    dynb_index globals[2], locals[1];
    memset(r, 0, sizeof *r);
    store_begin(&r->s);
    store_open(&r->s);
    begin_input(&input, "Things");
    globals[0] = make_index("by-owner", "owner", DYNB_S, NULL, DYNB_TYPE_NONE);
    globals[1] = make_index("by-v", "v", DYNB_N, NULL, DYNB_TYPE_NONE);
    globals[1].projection = DYNB_PROJECT_KEYS_ONLY;
    locals[0] = make_index("local", "Id", DYNB_S, "owner", DYNB_S);
    locals[0].projection = DYNB_PROJECT_INCLUDE;
    locals[0].non_key_attributes = included;
    locals[0].non_key_attribute_count = 1;
    if (mode == DYNB_PROVISIONED) {
        input.settings.billing_mode = mode;
        input.settings.provisioned.read_units = input.settings.provisioned.write_units = 5;
        globals[0].provisioned = globals[1].provisioned = input.settings.provisioned;
    }
    input.global_indexes = globals;
    input.global_index_count = 2;
    input.local_indexes = locals;
    input.local_index_count = 1;
    MUST(dynb_create_table(r->s.db, &input, NULL, NULL, &kit_err));
    MUST(put_json(&r->s, "Things", "{'Id':{'S':'a'},'Sort':{'N':'1'},'owner':{'S':'eve'},"
                                   "'v':{'N':'7'}}"));
    MUST(put_json(&r->s, "Things", "{'Id':{'S':'b'},'Sort':{'N':'1'},'v':{'N':'8'}}"));
    back_up(&r->s, "Things", r->arn);
    MUST(dynb_wait_idle(r->s.db, &kit_err));
    r->input.target_table_name = "Back";
    r->input.backup_arn = r->arn;
    r->with = &r->input.overrides;
}

static void refuse_restore(restoring *r, const char *message)
{
    EXPECT_MESSAGE(dynb_restore_table_from_backup(r->s.db, &r->input, NULL, NULL, &kit_err),
                   DYNB_VALIDATION, message);
    /* contract 1.5 row 12 */
    CHECK_INT(r->s.db->live_count, 1); /* contract 1.5: no target table exists after any */
    memset(r->with, 0, sizeof *r->with);
}

static dynb_table_description restored(restoring *r)
{
    dynb_table_description about;
    MUST(dynb_restore_table_from_backup(r->s.db, &r->input, NULL, NULL, &kit_err));
    COMPARE(&r->s, "Back", 1);
    about = about_table(&r->s, "Back");
    MUST(dynb_delete_table(r->s.db, "Back", NULL, NULL, &kit_err));
    memset(r->with, 0, sizeof *r->with);
    return about;
}

#define REQUEST "Invalid Request: "

static void test_restore_messages(void)
{
    static const dynb_throughput five = {5, 5};
    dynb_index entry = make_index("by-owner", "owner", DYNB_S, NULL, DYNB_TYPE_NONE);
    dynb_index none;
    char elsewhere[DYNB_ARN_MAX + 1];
    restoring r;
    memset(&none, 0, sizeof none);
    begin_restoring(&r, DYNB_PAY_PER_REQUEST);
    /* contract 1.5 row 13 */
    r.with->override = DYNB_OVERRIDE_PROVISIONED;
    r.with->provisioned = five;
    refuse_restore(&r, REQUEST "Cannot override ProvisionedThroughput unless BillingMode is "
                               "PROVISIONED");
    r.with->override = DYNB_OVERRIDE_BILLING_MODE;
    r.with->billing_mode = DYNB_PROVISIONED;
    /* contract 1.5 row 14 */
    refuse_restore(&r, REQUEST "Must override ProvisionedThroughput if BillingMode is overridden "
                               "to PROVISIONED");
    r.with->override = DYNB_OVERRIDE_BILLING_MODE | DYNB_OVERRIDE_PROVISIONED;
    r.with->provisioned = five;
    /* contract 1.5 row 15 */
    refuse_restore(&r, REQUEST "Cannot override ProvisionedThroughput if BillingMode is overridden "
                               "to PAY_PER_REQUEST");
    r.with->override = DYNB_OVERRIDE_BILLING_MODE | DYNB_OVERRIDE_PROVISIONED;
    r.with->billing_mode = DYNB_PROVISIONED;
    r.with->provisioned = five;
    /* contract 1.5 row 16 */
    refuse_restore(&r, REQUEST "Must specify provisioned throughput for index by-owner");
    entry.provisioned = five;
    r.with->global_indexes = &entry;
    r.with->global_index_count = 1;
    refuse_restore(&r, REQUEST "Cannot override ProvisionedThroughput unless BillingMode is "
                               "PROVISIONED for index by-owner");
    r.with->global_indexes = &entry;
    r.with->global_index_count = 1;
    r.with->override = DYNB_OVERRIDE_BILLING_MODE;
    refuse_restore(&r, REQUEST "Cannot override ProvisionedThroughput if BillingMode is overridden "
                               "to PAY_PER_REQUEST for index by-owner");
    memset(&entry.provisioned, 0, sizeof entry.provisioned);
    r.with->override = DYNB_OVERRIDE_BILLING_MODE | DYNB_OVERRIDE_PROVISIONED |
                       DYNB_OVERRIDE_ON_DEMAND;
    r.with->billing_mode = DYNB_PROVISIONED;
    r.with->provisioned = five;
    r.with->on_demand = five;
    /* contract 1.5 row 17, 1.5 row 7 */
    refuse_restore(&r, REQUEST "Cannot override MaxReadRequestUnits for OnDemandThroughput unless "
                               "BillingModeOverride is PAY_PER_REQUEST");
    r.with->override = DYNB_OVERRIDE_ON_DEMAND;
    /* contract 1.5 row 18 */
    refuse_restore(&r, REQUEST "Requested MaxReadRequestUnits for OnDemandThroughput is outside of "
                               "valid range");
    /* contract 1.5 row 19 */
    entry.index_name = "unknown";
    entry.partition_key.name = "nobody";
    r.with->global_indexes = &entry;
    r.with->global_index_count = 1;
    refuse_restore(&r, REQUEST "Index unknown does not match a secondary index that existed in the "
                               "source table and cannot be created during the restore operation");
    entry.partition_key.name = "owner";
    entry.projection = DYNB_PROJECT_KEYS_ONLY; /* the keys match, the projection does not */
    r.with->global_indexes = &entry;
    r.with->global_index_count = 1;
    refuse_restore(&r, REQUEST "Index unknown does not match a secondary index that existed in the "
                               "source table and cannot be created during the restore operation");
    r.with->override = DYNB_OVERRIDE_BILLING_MODE;
    r.with->billing_mode = (dynb_billing_mode)5;
    /* contract 1.5 row 21 */
    refuse_restore(&r, "1 validation error detected: Value '5' at 'billingModeOverride' failed to "
                       "satisfy constraint: Member must satisfy enum value set: [PROVISIONED, "
                       "PAY_PER_REQUEST]");
    r.with->override = DYNB_OVERRIDE_PROVISIONED;
    /* contract 1.5 row 22 */
    refuse_restore(&r, "2 validation errors detected: Value null at "
                       "'provisionedThroughputOverride.writeCapacityUnits' failed to satisfy "
                       "constraint: Member must not be null; Value null at "
                       "'provisionedThroughputOverride.readCapacityUnits' failed to satisfy "
                       "constraint: Member must not be null");
    r.with->override = DYNB_OVERRIDE_PROVISIONED;
    r.with->provisioned.read_units = 1;
    refuse_restore(&r, "1 validation error detected: Value null at "
                       "'provisionedThroughputOverride.writeCapacityUnits' failed to satisfy "
                       "constraint: Member must not be null");
    r.with->global_indexes = &none;
    r.with->global_index_count = 1;
    /* contract 1.5 row 23 */
    refuse_restore(&r, "2 validation errors detected: Value null at "
                       "'globalSecondaryIndexOverride.1.member.indexName' failed to satisfy "
                       "constraint: Member must not be null; Value null at "
                       "'globalSecondaryIndexOverride.1.member.keySchema' failed to satisfy "
                       "constraint: Member must not be null");
    entry.index_name = "x";
    r.with->local_indexes = &entry;
    r.with->local_index_count = 1;
    refuse_restore(&r, "1 validation error detected: Value 'x' at "
                       "'localSecondaryIndexOverride.1.member.indexName' failed to satisfy "
                       "constraint: Member must have length greater than or equal to 3");
    r.with->override = DYNB_OVERRIDE_ENCRYPTION;
    r.with->kms_key_arn = "";
    /* contract 1.5 row 25 */
    refuse_restore(&r, "1 validation error detected: Value '' at "
                       "'sSESpecificationOverride.kMSMasterKeyId' failed to satisfy constraint: "
                       "Member must have length greater than or equal to 1");
    r.with->override = 1024;
    EXPECT(dynb_restore_table_from_backup(r.s.db, &r.input, NULL, NULL, &kit_err),
           DYNB_INVALID_ARGUMENT);
    memset(r.with, 0, sizeof *r.with);
    /* a name that another index has */
    entry = make_index("by-v", "owner", DYNB_S, NULL, DYNB_TYPE_NONE);
    {
        dynb_index both[2];
        both[0] = entry;
        both[1] = make_index("by-v", "v", DYNB_N, NULL, DYNB_TYPE_NONE);
        both[1].projection = DYNB_PROJECT_KEYS_ONLY;
        r.with->global_indexes = both;
        r.with->global_index_count = 2;
        refuse_restore(&r, BAD "Duplicate index name: by-v");
    }
    /* other Region: refused without, allowed with an encryption override */
    snprintf(elsewhere, sizeof elsewhere, "%s", r.arn);
    memcpy(strstr(elsewhere, "us-east-1"), "us-west-2", 9);
    r.input.backup_arn = elsewhere;
    /* contract 1.5 row 20 */
    refuse_restore(&r, REQUEST "sseSpecificationOverride must be provided for cross-region "
                               "restores");
    r.with->override = DYNB_OVERRIDE_ENCRYPTION;
    r.with->encryption = DYNB_ENCRYPTION_KMS;
    /* contract 1.5 row 8 */
    r.with->kms_key_arn = "alias/other";
    CHECK_TEXT(restored(&r).settings.kms_key_arn, "alias/other");
    store_end(&r.s);
}

static void test_restore_overrides(void)
{
    static const dynb_throughput five = {5, 5}, nine = {9, 8};
    static const char *const included[] = {"v"};
    dynb_table_description about;
    dynb_index entries[2], local;
    restoring r;
    memset(&local, 0, sizeof local);
    begin_restoring(&r, DYNB_PROVISIONED);
    /* contract 1.5 row 4, 2.2 row 3 */
    about = restored(&r); /* contract 1.5: absent = all, as recorded */
    CHECK_INT(about.global_index_count, 2);
    CHECK_INT(about.local_index_count, 1);
    CHECK_INT(about.global_indexes[1].index.provisioned.read_units, 5);
    CHECK_INT(about.global_indexes[0].item_count, 1);
    r.with->global_indexes = entries; /* [] = none; nil and empty differ */
    about = restored(&r);
    CHECK_INT(about.global_index_count, 0);
    CHECK_INT(about.local_index_count, 1);
    /* contract 1.5 row 11, 1.5 row 5: a subset, renamed */
    entries[0] = make_index("renamed", "v", DYNB_N, NULL, DYNB_TYPE_NONE);
    entries[0].projection = DYNB_PROJECT_KEYS_ONLY;
    entries[0].provisioned = nine;
    local = make_index("nearby", "Id", DYNB_S, "owner", DYNB_S);
    local.projection = DYNB_PROJECT_INCLUDE;
    local.non_key_attributes = included;
    local.non_key_attribute_count = 1;
    r.with->global_indexes = entries;
    r.with->global_index_count = 1;
    r.with->local_indexes = &local;
    r.with->local_index_count = 1;
    about = restored(&r);
    CHECK_INT(about.global_index_count, 1);
    CHECK_TEXT(about.global_indexes[0].index.index_name, "renamed");
    CHECK_TEXT(about.global_indexes[0].index_arn, ARN "Back/index/renamed");
    CHECK_INT(about.global_indexes[0].index.provisioned.read_units, 9);
    CHECK_INT(about.global_indexes[0].item_count, 2);
    CHECK_TEXT(about.local_indexes[0].index.index_name, "nearby");
    memset(&entries[0].provisioned, 0, sizeof entries[0].provisioned);
    r.with->global_indexes = entries;
    r.with->global_index_count = 1;
    refuse_restore(&r, REQUEST "Must specify provisioned throughput for index renamed");
    entries[0].on_demand = five;
    r.with->global_indexes = entries;
    r.with->global_index_count = 1;
    refuse_restore(&r, REQUEST "Cannot override MaxReadRequestUnits for OnDemandThroughput unless "
                               "BillingModeOverride is PAY_PER_REQUEST for index renamed");
    /* contract 1.5 row 3, 1.5 row 7, 1.5 row 11: PAY_PER_REQUEST turns restored GSIs to 0/0 */
    r.with->override = DYNB_OVERRIDE_BILLING_MODE | DYNB_OVERRIDE_ON_DEMAND;
    r.with->on_demand = nine;
    about = restored(&r);
    CHECK_INT(about.settings.billing_mode, DYNB_PAY_PER_REQUEST);
    CHECK_INT(about.settings.provisioned.read_units, 0);
    CHECK_INT(about.settings.on_demand.write_units, 8);
    CHECK_INT(about.global_indexes[0].index.provisioned.read_units, 0);
    /* contract 1.5 row 6: ProvisionedThroughputOverride: base table only */
    r.with->override = DYNB_OVERRIDE_PROVISIONED;
    r.with->provisioned = nine;
    about = restored(&r);
    CHECK_INT(about.settings.provisioned.write_units, 8);
    CHECK_INT(about.global_indexes[0].index.provisioned.write_units, 5);
    /* a restored table is one like any other */
    MUST(kit_restore(r.s.db, r.arn, "Back"));
    MUST(put_json(&r.s, "Back", "{'Id':{'S':'c'},'Sort':{'N':'1'},'owner':{'S':'bob'}}"));
    store_crash(&r.s);
    COMPARE(&r.s, "Back", 0);
    CHECK_INT(count_in(&r.s, "Back", "by-owner"), 2);
    CHECK_INT(count_in(&r.s, "Things", "by-owner"), 1);
    store_end(&r.s);
}

/* ------------------------------------------------------------ random -- */

typedef struct random_setting {
    const char *name;
    uint64_t memory_bytes;
    uint32_t page_bytes;
    int manual_work;
    uint32_t keys, pad;
    uint32_t steps;
    uint32_t globals, locals; /* how many of the indexes */
} random_setting;

static const random_setting random_settings[] = {
    {"least memory, one index", CHECK_MEMORY_MIN, 512, 1, 40, 30, 6000, 1, 0},
    {"least memory, one local index", CHECK_MEMORY_MIN, 512, 0, 40, 30, 6000, 0, 1},
    {"160 KiB", 163840, 512, 1, 60, 30, 6000, 4, 2},
    {"1 MiB", 1 << 20, 512, 0, 150, 120, 5000, 4, 2},
    {"defaults", 0, 0, 0, 500, 200, 5000, 3, 1},
};

typedef struct random_run {
    store s;
    const random_setting *set;
    check_random random;
    dynb_builder builder;
    char arns[4][DYNB_ARN_MAX + 1];
    uint32_t arn_count;
    int has_online; /* the index "online" is there, or on its way */
    const char *did;
} random_run;

static uint32_t below(random_run *r, uint32_t limit)
{
    return (uint32_t)check_below(&r->random, limit);
}

static void add_text(random_run *r, const char *name, uint32_t limit)
{
    char text[64];
    uint32_t pick = below(r, limit);
    size_t length = (size_t)snprintf(text, sizeof text, "%s%u", name, (unsigned)pick);
    if (pick % 5 == 0) { /* zero bytes inside keys */
        text[1] = 0;
        length = 2 + pick % 3;
    }
    dynb_add_string(&r->builder, name, text, length);
}

static void add_number(random_run *r, const char *name, uint32_t limit)
{
    char text[64];
    uint32_t pick = below(r, limit);
    snprintf(text, sizeof text, pick % 3 ? "%s%u" : "%s%u.5", pick % 2 ? "-" : "",
             (unsigned)pick);
    dynb_add_number(&r->builder, name, text, (size_t)-1);
}

static dynb_item make_item(random_run *r, int is_key)
{
    static const char pad[] = "0123456789012345678901234567890123456789"
                              "0123456789012345678901234567890123456789";
    dynb_builder_begin(&r->builder);
    add_text(r, "Id", r->set->keys / 4 + 2);
    add_number(r, "Sort", 12);
    if (is_key)
        return kit_finish(&r->builder);
    if (below(r, 4))
        add_text(r, "owner", 12);
    if (below(r, 3))
        add_number(r, "age", 20);
    if (below(r, 2))
        dynb_add_binary(&r->builder, "tag", &"\0\377\0\1x"[below(r, 3)], 1 + below(r, 2));
    if (below(r, 2))
        add_text(r, "color", 6);
    if (below(r, 3) == 0) /* an index on it is added later: some do not fit */
        add_number(r, "late", 30);
    else if (!r->has_online && below(r, 3) == 0)
        add_text(r, "late", 30);
    dynb_add_string(&r->builder, "pad", pad, below(r, r->set->pad < 80 ? r->set->pad : 80));
    return kit_finish(&r->builder);
}

static void make_random_table(random_run *r)
{
    static const char *const included[] = {"color", "nothing"};
    dynb_index globals[4], locals[2];
    dynb_create_table_input input;
    begin_input(&input, "Things");
    globals[0] = make_index("by-owner", "owner", DYNB_S, "age", DYNB_N);
    globals[1] = make_index("by-tag", "tag", DYNB_B, NULL, DYNB_TYPE_NONE);
    globals[1].projection = DYNB_PROJECT_KEYS_ONLY;
    globals[2] = make_index("turned", "Sort", DYNB_N, "Id", DYNB_S);
    globals[2].projection = DYNB_PROJECT_INCLUDE;
    globals[2].non_key_attributes = included;
    globals[2].non_key_attribute_count = 2;
    globals[3] = make_index("by-age", "age", DYNB_N, "owner", DYNB_S);
    globals[3].projection = DYNB_PROJECT_KEYS_ONLY;
    locals[0] = make_index("local-age", "Id", DYNB_S, "age", DYNB_N);
    locals[1] = make_index("local-tag", "Id", DYNB_S, "tag", DYNB_B);
    locals[1].projection = DYNB_PROJECT_INCLUDE;
    locals[1].non_key_attributes = included;
    locals[1].non_key_attribute_count = 1;
    input.global_indexes = r->set->globals ? globals : NULL;
    input.global_index_count = r->set->globals;
    input.local_indexes = r->set->locals ? locals : NULL;
    input.local_index_count = r->set->locals;
    MUST(dynb_create_table(r->s.db, &input, NULL, NULL, &kit_err));
}

static void random_batch(random_run *r)
{
    dynb_write writes[5];
    dynb_item items[5];
    uint32_t i, count = 1 + below(r, 5);
    for (i = 0; i < count; ++i) {
        writes[i].table = "Things";
        writes[i].is_delete = below(r, 3) == 0;
        items[i] = index_copy(make_item(r, writes[i].is_delete));
        writes[i].item = items[i];
    }
    if (dynb_batch_write(r->s.db, writes, count, NULL, &kit_err) != DYNB_OK)
        CHECK_TEXT(kit_err.message, "Provided list of item keys contains duplicates");
    for (i = 0; i < count; ++i)
        free((void *)(uintptr_t)items[i].bytes);
}

/* Adds the index "online", or removes it. */
static void random_online(random_run *r)
{
    dynb_index_update update;
    dynb_update_table_input input;
    memset(&input, 0, sizeof input);
    memset(&update, 0, sizeof update);
    input.table = "Things";
    input.change = DYNB_CHANGE_INDEXES;
    input.index_updates = &update;
    input.index_update_count = 1;
    update.action = r->has_online ? DYNB_DELETE_INDEX : DYNB_CREATE_INDEX;
    update.index = make_index("online", "late", DYNB_N, below(r, 2) ? "Id" : NULL, DYNB_S);
    update.index.projection = below(r, 2) ? DYNB_PROJECT_ALL : DYNB_PROJECT_KEYS_ONLY;
    if (dynb_update_table(r->s.db, &input, NULL, NULL, &kit_err) == DYNB_OK)
        r->has_online = !r->has_online;
    else
        CHECK(kit_err.code == DYNB_LIMIT_EXCEEDED || kit_err.code == DYNB_INVALID_ARGUMENT);
}

static int same_indexes(random_run *r, const char *table, int idle)
{
    if (index_compare(r->s.db, table, idle, &r->random))
        return 1;
    printf("    %s after %s: %s\n", r->set->name, r->did, model_difference);
    return 0;
}

static int random_restore(random_run *r)
{
    char *arn = r->arns[below(r, r->arn_count)];
    dynb_backup_description about;
    int same;
    r->did = "restore";
    MUST(dynb_describe_backup(r->s.db, arn, &about, &r->s.result, &kit_err));
    if (about.status != DYNB_BACKUP_AVAILABLE)
        return 1;
    MUST(kit_restore(r->s.db, arn, "Back"));
    same = same_indexes(r, "Back", 0);
    if (same && below(r, 3) == 0) {
        MUST(dynb_wait_idle(r->s.db, &kit_err));
        same = same_indexes(r, "Back", 1);
    }
    MUST(dynb_delete_table(r->s.db, "Back", NULL, NULL, &kit_err));
    return same;
}

static void random_backup(random_run *r)
{
    r->did = "backup";
    if (r->arn_count == 4) {
        dynb_rc rc = dynb_delete_backup(r->s.db, r->arns[3], NULL, NULL, &kit_err);
        CHECK(rc == DYNB_OK || rc == DYNB_BACKUP_IN_USE);
        if (rc != DYNB_OK)
            return;
        --r->arn_count;
    }
    back_up(&r->s, "Things", r->arns[r->arn_count++]);
}

static int random_step(random_run *r)
{
    uint32_t dice = below(r, 1000);
    int pending;
    if (r->set->manual_work && below(r, 4) == 0)
        MUST(dynb_work(r->s.db, 3000, &pending, &kit_err));
    r->did = "writes";
    if (dice < 640)
        MUST(dynb_put_item(r->s.db, "Things", make_item(r, 0), NULL, NULL, NULL, &kit_err));
    else if (dice < 800)
        MUST(dynb_delete_item(r->s.db, "Things", make_item(r, 1), NULL, NULL, NULL, &kit_err));
    else if (dice < 960)
        random_batch(r);
    else if (dice < 966)
        random_backup(r);
    else if (dice < 970 && r->arn_count)
        return random_restore(r);
    else if (dice < 976)
        random_online(r);
    else if (dice < 980)
        store_crash(&r->s);
    else if (dice < 983)
        store_reopen(&r->s);
    else if (dice < 986)
        return same_indexes(r, "Things", 0);
    else if (dice < 988) {
        r->did = "wait";
        MUST(dynb_wait_idle(r->s.db, &kit_err));
        return same_indexes(r, "Things", 1);
    }
    return 1;
}

static void run_random(const random_setting *set, uint64_t seed)
{
    static random_run r;
    uint64_t steps = check_scaled(set->steps), step;
    int same = 1;
    memset(&r, 0, sizeof r);
    store_begin(&r.s);
    r.set = set;
    r.random.state = seed;
    r.s.config.memory_bytes = set->memory_bytes;
    r.s.config.page_size_bytes = set->page_bytes;
    r.s.config.manual_work = set->manual_work;
    store_open(&r.s);
    make_random_table(&r);
    for (step = 0; same && step < steps; ++step)
        same = random_step(&r);
    if (same) {
        r.did = "the end";
        MUST(dynb_wait_idle(r.s.db, &kit_err));
        same = same_indexes(&r, "Things", 1);
    }
    if (!same)
        printf("    %s: SEED=%llu, step %llu\n", set->name, (unsigned long long)seed,
               (unsigned long long)step);
    CHECK(same);
    EXPECT(dynb_check(r.s.db, NULL, NULL, NULL, &kit_err), DYNB_OK);
    EXPECT(dynb_scrub(r.s.db, &kit_err), DYNB_OK);
    dynb_builder_free(&r.builder);
    store_end(&r.s);
}

int main(void)
{
    uint64_t seed = check_seed("test_index");
    uint32_t i;
    test_create_and_describe();
    test_create_messages();
    test_put_messages();
    test_first_by_name();
    test_read_messages();
    test_online();
    test_unfilled();
    test_give_up();
    test_online_restored();
    test_gone();
    test_update_messages();
    test_memory_limit();
    test_restore_messages();
    test_restore_overrides();
    for (i = 0; i < sizeof random_settings / sizeof *random_settings; ++i)
        run_random(&random_settings[i], seed + i);
    return check_report("test_index");
}
