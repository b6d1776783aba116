/* unit_index.c - indexes at their edges: what is refused of them, without memory,
 * damaged in the catalog, and added while changes wait in memory. */
#include "store.h"

#include "indexes.h"

#define BAD "One or more parameter values were invalid: "
#define FAR_UNITS 1000000000001u

static void set_key(dynb_key_attribute *key, const char *name, dynb_type type)
{
    key->name = name;
    key->type = type;
}

static dynb_index make_index(const char *name, const char *partition, dynb_type type)
{
    dynb_index index;
    memset(&index, 0, sizeof index);
    index.index_name = name;
    set_key(&index.partition_key, partition, type);
    return index;
}

static void begin_input(dynb_create_table_input *input, dynb_index *globals, uint32_t count)
{
    memset(input, 0, sizeof *input);
    input->table_name = "Things";
    set_key(&input->partition_key, "Id", DYNB_S);
    input->global_indexes = count ? globals : NULL;
    input->global_index_count = count;
}

/* A store with table "Things", which has these indexes. */
static void open_with(store *s, dynb_index *globals, uint32_t count)
{
    dynb_create_table_input input;
    store_begin(s);
    s->config.memory_bytes = 8 << 20;
    store_open(s);
    begin_input(&input, globals, count);
    MUST(dynb_create_table(s->db, &input, NULL, NULL, &kit_err));
}

static void begin_update(dynb_update_table_input *input, dynb_index_update *update,
                         dynb_index_action action, const dynb_index *index)
{
    memset(input, 0, sizeof *input);
    input->table = "Things";
    input->change = DYNB_CHANGE_INDEXES;
    input->index_updates = update;
    input->index_update_count = 1;
    update->action = action;
    update->index = *index;
}

static dynb_rc change_index(store *s, dynb_index_action action, const dynb_index *index)
{
    dynb_update_table_input input;
    dynb_index_update update;
    begin_update(&input, &update, action, index);
    return dynb_update_table(s->db, &input, NULL, NULL, &kit_err);
}

static dynb_table_description about_things(store *s)
{
    dynb_table_description about;
    MUST(dynb_describe_table(s->db, "Things", &about, &s->result, &kit_err));
    return about;
}

static void check_indexes(store *s)
{
    check_random random;
    int same;
    random.state = 3;
    same = index_compare(s->db, "Things", 1, &random);
    if (!same)
        printf("%s\n", model_difference);
    CHECK(same);
}

/* ------------------------------------------------------ what is refused -- */

/* Refused, and nothing is left of it. */
static void refuse(store *s, const dynb_create_table_input *input, dynb_rc rc,
                   const char *message)
{
    const uint64_t lsn = s->db->log.tail.lsn;
    const long live_count = (long)s->memory.live_count;
    EXPECT_MESSAGE(dynb_create_table(s->db, input, NULL, NULL, &kit_err), rc, message);
    CHECK_INT(s->db->live_count, 0);
    CHECK_INT(s->db->log.tail.lsn, lsn);
    CHECK_INT(s->memory.live_count, live_count);
}

/* Contract 4.6: the shape of an index, and its projection. */
static void test_shape_messages(void)
{
    static const char *const names[] = {"color", "", NULL, "\xff"};
    const char *one_name[1];
    char long_name[257], message[DYNB_MESSAGE_SIZE];
    dynb_create_table_input input;
    dynb_index index = make_index("by-owner", "owner", DYNB_S);
    store s;
    store_begin(&s);
    store_open(&s);
    begin_input(&input, &index, 1);
    index.projection = DYNB_PROJECT_INCLUDE;
    index.non_key_attribute_count = 1;
    refuse(&s, &input, DYNB_INVALID_ARGUMENT,
           "globalSecondaryIndexes.1.member: non_key_attributes is NULL");
    index.non_key_attributes = names;
    index.non_key_attribute_count = 3;
    refuse(&s, &input, DYNB_VALIDATION,
           "1 validation error detected: Value '[]' at "
           "'globalSecondaryIndexes.1.member.projection.nonKeyAttributes' failed to satisfy "
           "constraint: Member must satisfy constraint: [Member must have length less than or "
           "equal to 255, Member must have length greater than or equal to 1]");
    index.non_key_attributes = names + 2;
    refuse(&s, &input, DYNB_INVALID_ARGUMENT,
           "globalSecondaryIndexes.1.member: non_key_attributes[0] is NULL or not UTF-8");
    index.non_key_attributes = names + 3;
    index.non_key_attribute_count = 1;
    refuse(&s, &input, DYNB_INVALID_ARGUMENT,
           "globalSecondaryIndexes.1.member: non_key_attributes[0] is NULL or not UTF-8");
    memset(long_name, 'n', 256);
    long_name[256] = 0;
    one_name[0] = long_name;
    index.non_key_attributes = one_name;
    snprintf(message, sizeof message,
             "1 validation error detected: Value '[%s]' at "
             "'globalSecondaryIndexes.1.member.projection.nonKeyAttributes' failed to satisfy "
             "constraint: Member must satisfy constraint: [Member must have length less than or "
             "equal to 255, Member must have length greater than or equal to 1]",
             long_name);
    refuse(&s, &input, DYNB_VALIDATION, message);
    index = make_index(NULL, "owner", DYNB_S);
    refuse(&s, &input, DYNB_VALIDATION,
           "1 validation error detected: Value null at "
           "'globalSecondaryIndexes.1.member.indexName' failed to satisfy constraint: Member "
           "must not be null");
    index = make_index("by-owner", NULL, DYNB_S);
    refuse(&s, &input, DYNB_VALIDATION,
           "1 validation error detected: Value null at "
           "'globalSecondaryIndexes.1.member.keySchema' failed to satisfy constraint: Member "
           "must not be null");
    input.global_indexes = NULL;
    refuse(&s, &input, DYNB_INVALID_ARGUMENT, "the list of global indexes is NULL");
    input.global_index_count = 0;
    input.local_index_count = 1;
    refuse(&s, &input, DYNB_INVALID_ARGUMENT, "the list of local indexes is NULL");
    store_end(&s);
}

/* Contract 4.6: throughput, which is the table's own for local indexes. */
static void test_units_messages(void)
{
    dynb_create_table_input input;
    dynb_index index = make_index("by-owner", "owner", DYNB_S);
    dynb_index local = make_index("by-age", "Id", DYNB_S);
    dynb_throughput *const units[] = {&local.provisioned, &local.on_demand};
    uint32_t i;
    store s;
    store_begin(&s);
    store_open(&s);
    begin_input(&input, &index, 1);
    input.settings.billing_mode = DYNB_PROVISIONED;
    input.settings.provisioned.read_units = input.settings.provisioned.write_units = 5;
    index.provisioned = input.settings.provisioned;
    index.on_demand.write_units = 7;
    refuse(&s, &input, DYNB_VALIDATION,
           BAD "OnDemandThroughput cannot be specified for index: by-owner when BillingMode is "
               "PROVISIONED");
    index.on_demand.write_units = 0;
    index.on_demand.read_units = 7;
    refuse(&s, &input, DYNB_VALIDATION,
           BAD "OnDemandThroughput cannot be specified for index: by-owner when BillingMode is "
               "PROVISIONED");
    index.provisioned.read_units = FAR_UNITS;
    refuse(&s, &input, DYNB_VALIDATION,
           "Given value 1000000000001 for ReadCapacityUnits is out of bounds for index by-owner");
    begin_input(&input, NULL, 0);
    set_key(&input.sort_key, "Sort", DYNB_N);
    set_key(&local.sort_key, "age", DYNB_N);
    input.local_indexes = &local;
    input.local_index_count = 1;
    for (i = 0; i < 4; ++i) {
        uint64_t *unit = i & 1u ? &units[i / 2]->read_units : &units[i / 2]->write_units;
        *unit = 1;
        refuse(&s, &input, DYNB_VALIDATION,
               BAD "a LocalSecondaryIndex has no throughput of its own: by-age");
        *unit = 0;
    }
    MUST(dynb_create_table(s.db, &input, NULL, NULL, &kit_err));
    store_end(&s);
}

/* Contract 4.6: the attribute definitions; a name that several keys share is said
 * once. */
static void test_definition_messages(void)
{
    dynb_create_table_input input;
    dynb_key_attribute definitions[3];
    dynb_index index = make_index("by-owner", "owner", DYNB_S);
    store s;
    store_begin(&s);
    store_open(&s);
    begin_input(&input, &index, 1);
    set_key(&index.sort_key, "Id", DYNB_S);
    memset(definitions, 0, sizeof definitions);
    set_key(&definitions[0], "Id", DYNB_S);
    input.attribute_definitions = definitions;
    input.attribute_definition_count = 1;
    refuse(&s, &input, DYNB_VALIDATION,
           BAD "Some index key attributes are not defined in AttributeDefinitions. Keys: [Id, "
               "owner], AttributeDefinitions: [Id]");
    input.attribute_definition_count = 2;
    refuse(&s, &input, DYNB_INVALID_ARGUMENT, "attribute_definitions[1].name is NULL");
    set_key(&definitions[1], "owner", DYNB_BOOL);
    refuse(&s, &input, DYNB_INVALID_ARGUMENT,
           "attribute_definitions.type must be DYNB_S, DYNB_N or DYNB_B");
    set_key(&definitions[1], "", DYNB_S);
    refuse(&s, &input, DYNB_VALIDATION,
           "attribute_definitions.name has 0 bytes; allowed are 1 to 255");
    set_key(&definitions[1], "owner", DYNB_S);
    set_key(&definitions[2], "unused", DYNB_S);
    input.attribute_definition_count = 3;
    refuse(&s, &input, DYNB_VALIDATION,
           BAD "Some AttributeDefinitions are not used. AttributeDefinitions: [Id, owner, "
               "unused], keys used: [Id, owner]");
    definitions[2] = definitions[0]; /* given twice */
    refuse(&s, &input, DYNB_VALIDATION,
           BAD "Some AttributeDefinitions are not used. AttributeDefinitions: [Id, owner, Id], "
               "keys used: [Id, owner]");
    input.attribute_definition_count = 2;
    MUST(dynb_create_table(s.db, &input, NULL, NULL, &kit_err));
    store_end(&s);
}

/* Contract 3.3: 20 global indexes, those added later too. */
static void test_count_limit(void)
{
    static char names[DYNB_GLOBAL_INDEXES_MAX][8];
    dynb_index globals[DYNB_GLOBAL_INDEXES_MAX], late = make_index("one-more", "v", DYNB_N);
    uint64_t lsn;
    uint32_t i;
    store s;
    for (i = 0; i < DYNB_GLOBAL_INDEXES_MAX; ++i) {
        snprintf(names[i], sizeof names[i], "gsi-%u", (unsigned)i);
        globals[i] = make_index(names[i], "owner", DYNB_S);
    }
    open_with(&s, globals, DYNB_GLOBAL_INDEXES_MAX);
    lsn = s.db->log.tail.lsn;
    EXPECT_MESSAGE(change_index(&s, DYNB_CREATE_INDEX, &late), DYNB_LIMIT_EXCEEDED,
                   "Subscriber limit exceeded: Number of global secondary indexes exceeds "
                   "per-table limit of 20");
    CHECK_INT(s.db->log.tail.lsn, lsn);
    CHECK_INT(about_things(&s).global_index_count, DYNB_GLOBAL_INDEXES_MAX);
    MUST(change_index(&s, DYNB_DELETE_INDEX, &globals[0]));
    MUST(dynb_wait_idle(s.db, &kit_err));
    MUST(change_index(&s, DYNB_CREATE_INDEX, &late));
    store_end(&s);
}

/* ------------------------------------------------------- a live table -- */

/* The types of an index to be added may come from definitions; there may be others,
 * and they may say nothing of it. */
static void test_update_definitions(void)
{
    dynb_index late = make_index("by-v", "v", DYNB_TYPE_NONE);
    dynb_key_attribute definitions[4];
    dynb_update_table_input input;
    dynb_index_update update;
    store s;
    open_with(&s, NULL, 0);
    fill(&s, "Things", 'a', 3, 1, 10);
    set_key(&late.sort_key, "Id", DYNB_S);
    begin_update(&input, &update, DYNB_CREATE_INDEX, &late);
    memset(definitions, 0, sizeof definitions);
    set_key(&definitions[1], "other", DYNB_B);
    set_key(&definitions[2], "Id", DYNB_B); /* the index says S itself */
    set_key(&definitions[3], "v", DYNB_N);
    input.attribute_definitions = definitions;
    input.attribute_definition_count = 3;
    EXPECT_MESSAGE(dynb_update_table(s.db, &input, NULL, NULL, &kit_err), DYNB_VALIDATION,
                   BAD "Some index key attributes are not defined in AttributeDefinitions. Keys: "
                       "[v, Id], AttributeDefinitions: [other, Id]");
    input.attribute_definitions = NULL;
    EXPECT_MESSAGE(dynb_update_table(s.db, &input, NULL, NULL, &kit_err), DYNB_INVALID_ARGUMENT,
                   "an index's key.type must be DYNB_S, DYNB_N or DYNB_B");
    input.attribute_definitions = definitions;
    CHECK_INT(about_things(&s).global_index_count, 0);
    input.attribute_definition_count = 4;
    MUST(dynb_update_table(s.db, &input, NULL, NULL, &kit_err));
    CHECK_INT(about_things(&s).global_indexes[0].index.partition_key.type, DYNB_N);
    CHECK_INT(about_things(&s).global_indexes[0].index.sort_key.type, DYNB_S);
    MUST(dynb_wait_idle(s.db, &kit_err));
    CHECK_INT(about_things(&s).global_indexes[0].item_count, 3);
    check_indexes(&s);
    store_end(&s);
}

/* Every piece of memory an update wants is lacking once: nothing has changed. */
static void test_update_memory(void)
{
    static const dynb_index_action actions[] = {DYNB_CREATE_INDEX, DYNB_UPDATE_INDEX,
                                                DYNB_DELETE_INDEX};
    uint32_t i, n;
    for (i = 0; i < 3; ++i) {
        dynb_index index = make_index("by-v", "v", DYNB_N);
        dynb_index late = make_index("by-w", "w", DYNB_N);
        dynb_rc rc = DYNB_NO_MEMORY;
        uint32_t lacked_count = 0;
        store s;
        open_with(&s, &index, 1);
        fill(&s, "Things", 'a', 3, 1, 10);
        index.on_demand.read_units = 9;
        for (n = 1; rc == DYNB_NO_MEMORY && n < 100; ++n) {
            const uint64_t lsn = s.db->log.tail.lsn;
            CHECK_INT(about_things(&s).global_index_count, 1);
            CHECK_INT(about_things(&s).global_indexes[0].status, DYNB_INDEX_ACTIVE);
            CHECK_INT(about_things(&s).global_indexes[0].index.on_demand.read_units, 0);
            s.memory.call_count = 0;
            s.memory.fail_at = n;
            s.memory.fail_from = 1; /* or room would be made, and it tried again */
            rc = change_index(&s, actions[i], i ? &index : &late);
            s.memory.fail_at = 0;
            lacked_count += rc && strcmp(kit_err.message, "no memory for an index") == 0;
            CHECK(s.db->log.tail.lsn == lsn || rc == DYNB_OK);
        }
        CHECK_INT(rc, DYNB_OK);
        CHECK(lacked_count > 0);
        MUST(dynb_wait_idle(s.db, &kit_err));
        CHECK_INT(about_things(&s).global_index_count, i == 0 ? 2 : i == 1 ? 1 : 0);
        check_indexes(&s);
        EXPECT(dynb_scrub(s.db, &kit_err), DYNB_OK);
        store_end(&s);
    }
}

/* The same of another billing mode, which takes the indexes' throughput away. */
static void test_rebill_memory(void)
{
    dynb_index index = make_index("by-v", "v", DYNB_N);
    dynb_create_table_input table;
    dynb_update_table_input input;
    dynb_rc rc = DYNB_NO_MEMORY;
    uint32_t n, lacked_count = 0;
    store s;
    store_begin(&s);
    store_open(&s);
    begin_input(&table, &index, 1);
    table.settings.billing_mode = DYNB_PROVISIONED;
    table.settings.provisioned.read_units = table.settings.provisioned.write_units = 5;
    index.provisioned = table.settings.provisioned;
    MUST(dynb_create_table(s.db, &table, NULL, NULL, &kit_err));
    memset(&input, 0, sizeof input);
    input.table = "Things";
    input.change = DYNB_CHANGE_BILLING;
    for (n = 1; rc == DYNB_NO_MEMORY && n < 100; ++n) {
        const dynb_table_description about = about_things(&s);
        const uint64_t lsn = s.db->log.tail.lsn;
        CHECK_INT(about.settings.billing_mode, DYNB_PROVISIONED);
        CHECK_INT(about.global_indexes[0].index.provisioned.read_units, 5);
        s.memory.call_count = 0;
        s.memory.fail_at = n;
        s.memory.fail_from = 1;
        rc = dynb_update_table(s.db, &input, NULL, NULL, &kit_err);
        s.memory.fail_at = 0;
        lacked_count += rc && strcmp(kit_err.message, "no memory for an index") == 0;
        CHECK(s.db->log.tail.lsn == lsn || rc == DYNB_OK);
    }
    CHECK_INT(rc, DYNB_OK);
    CHECK(lacked_count > 0);
    CHECK_INT(about_things(&s).settings.billing_mode, DYNB_PAY_PER_REQUEST);
    CHECK_INT(about_things(&s).global_indexes[0].index.provisioned.read_units, 0);
    store_reopen(&s);
    CHECK_INT(about_things(&s).global_indexes[0].index.provisioned.write_units, 0);
    store_end(&s);
}

static uint64_t generation_bytes(const dynbi_table *table)
{
    const dynbi_generation *generation;
    uint64_t sum = 0;
    for (generation = table->newest; generation; generation = generation->next)
        sum += generation->used_bytes;
    return sum;
}

/* An empty generation that a change without memory left has no room for an index
 * added then: another takes its place. */
static void test_empty_generation(void)
{
    dynb_index late = make_index("by-v", "v", DYNB_N);
    dynbi_table *table;
    const dynbi_generation *older;
    uint64_t others;
    uint32_t n;
    store s;
    open_with(&s, NULL, 0);
    MUST(kit_put(s.db, "Things", "a", 1));
    table = table_of(&s, "Things");
    older = table->newest;
    dynbi_store_freeze(s.db, table->newest);
    dynbi_pool_trim(&s.db->pool);
    for (n = 1; n < 20 && table->newest == older; ++n) {
        s.memory.call_count = 0;
        s.memory.fail_at = n;
        s.memory.fail_from = 1;
        EXPECT(kit_put(s.db, "Things", "b", 2), DYNB_NO_MEMORY);
        s.memory.fail_at = 0;
    }
    CHECK(table->newest->entry_count == 0 && table->newest->next == older);
    CHECK_INT(kit_get(s.db, "Things", "b"), -1);
    MUST(change_index(&s, DYNB_CREATE_INDEX, &late));
    CHECK_INT(table->slot_count, 2);
    CHECK_INT(table->newest->set_count, 1);
    others = s.db->generation_bytes - generation_bytes(table);
    MUST(kit_put(s.db, "Things", "b", 3));
    CHECK_INT(table->newest->set_count, 2);
    CHECK(table->newest->next == older && older->next == NULL);
    CHECK_INT(s.db->generation_bytes - generation_bytes(table), others);
    MUST(dynb_wait_idle(s.db, &kit_err));
    CHECK_INT(about_things(&s).global_indexes[0].item_count, 2);
    CHECK_INT(kit_get(s.db, "Things", "a"), 1);
    CHECK_INT(kit_get(s.db, "Things", "b"), 3);
    check_indexes(&s);
    store_end(&s);
}

/* Changes older than an index are in generations without its set: whoever reads the
 * index passes them by. */
static void test_older_generations(void)
{
    dynb_index late = make_index("by-v", "v", DYNB_N);
    dynbi_table *table;
    dynbi_view view;
    dynbi_merge merge;
    const dynbi_change *change;
    uint32_t count = 0;
    store s;
    open_with(&s, NULL, 0);
    fill(&s, "Things", 'a', 3, 1, 10);
    MUST(change_index(&s, DYNB_CREATE_INDEX, &late));
    MUST(kit_put(s.db, "Things", "b", 2));
    table = table_of(&s, "Things");
    CHECK_INT(table->newest->set_count, 2);
    CHECK_INT(table->newest->next->set_count, 1);
    dynbi_table_view(table, 1, &view);
    MUST(dynbi_merge_init(&merge, &s.db->reader, &view, &kit_err));
    CHECK_INT(merge.source_count, 1);
    MUST(dynbi_merge_seek(&merge, NULL, 0, 0, &kit_err));
    for (change = dynbi_merge_current(&merge); change; change = dynbi_merge_current(&merge)) {
        ++count;
        MUST(dynbi_merge_next(&merge, &kit_err));
    }
    dynbi_merge_free(&merge);
    CHECK_INT(count, 1);
    EXPECT(dynb_scrub(s.db, &kit_err), DYNB_OK);
    MUST(dynb_wait_idle(s.db, &kit_err));
    CHECK_INT(about_things(&s).global_indexes[0].item_count, 4);
    check_indexes(&s);
    store_end(&s);
}

/* --------------------------------------------------- damaged definitions -- */

#define DAMAGES 8u

/* What a definition says is changed, all around it being right. */
static void damage(dynbi_index *index, uint32_t kind)
{
    static const uint8_t no_text[] = {0}, some_text[] = {2, 'v', 0, 2, 'w', 0};
    switch (kind) {
    case 0: index->about.index_name = NULL; break;
    case 1: memset(&index->about.partition_key, 0, sizeof index->about.partition_key); break;
    case 2: index->about.partition_key.type = DYNB_M; break;
    case 3: set_key(&index->about.sort_key, "Id", DYNB_BOOL); break;
    case 4: index->about.non_key_attribute_count = 2; break;
    case 5: index->included = no_text; index->included_size = sizeof no_text; break;
    case 6: index->included = some_text; index->included_size = sizeof some_text; break;
    default: break; /* see below */
    }
}

/* A backup's record whose index is damaged in some way. */
static void plant_damaged(store *s, const char *arn, uint32_t kind)
{
    uint8_t key[8 + DYNBI_BACKUP_ID_SIZE];
    const size_t key_size = sizeof key;
    dynbi_buffer *whole, made;
    dynbi_record record;
    dynbi_snapshot snapshot;
    memcpy(key, "BThings\0", 8);
    memcpy(key + 8, strstr(arn, "/backup/") + 8, DYNBI_BACKUP_ID_SIZE);
    whole = record_of(s, key, key_size);
    memset(&made, 0, sizeof made);
    made.allocator = &s->config.allocator;
    MUST(dynbi_record_split(whole->bytes, whole->used_bytes, 1, &record, &kit_err));
    MUST(dynbi_snapshot_read(&s->config.allocator, &record, &snapshot, &kit_err));
    CHECK(dynbi_snapshot_open(&s->config.allocator, &snapshot, 0));
    damage(&snapshot.indexes[0], kind);
    CHECK(dynbi_snapshot_define(&s->config.allocator, &snapshot, 1));
    snapshot.indexes[0].definition_size -= kind == DAMAGES - 1; /* freed with its true size */
    MUST(dynbi_record_make(&made, &record, &snapshot, &kit_err));
    snapshot.indexes[0].definition_size += kind == DAMAGES - 1;
    dynbi_snapshot_free(&s->config.allocator, &snapshot);
    plant_record(s, key, key_size, made.bytes, made.used_bytes);
    dynbi_buffer_free(&made);
}

/* An index in a record that says what no index can be: whoever reads it says
 * so. */
static void test_damaged_definition(void)
{
    static const char damaged[] = "a record of the catalog is damaged";
    static const char *const included[] = {"v"};
    uint32_t kind;
    for (kind = 0; kind < DAMAGES; ++kind) {
        store s;
        char arn[DYNB_ARN_MAX + 1];
        dynb_index index = make_index("by-owner", "owner", DYNB_S);
        dynb_backup_description about;
        index.projection = DYNB_PROJECT_INCLUDE;
        index.non_key_attributes = included;
        index.non_key_attribute_count = 1;
        open_with(&s, &index, 1);
        fill(&s, "Things", 'a', 3, 1, 10);
        MUST(dynb_wait_idle(s.db, &kit_err));
        back_up(&s, "Things", arn);
        plant_damaged(&s, arn, kind);
        EXPECT_MESSAGE(dynb_describe_backup(s.db, arn, &about, &s.result, &kit_err), DYNB_CORRUPT,
                       damaged);
        CHECK(about.backup_arn == NULL);
        EXPECT_MESSAGE(kit_restore(s.db, arn, "Back"), DYNB_CORRUPT, damaged);
        CHECK_INT(s.db->live_count, 1);
        CHECK_INT(kit_get(s.db, "Things", "a00002"), 1);
        dynbi_api_free(s.db); /* what was planted is nowhere logged */
        s.db = NULL;
        store_end(&s);
    }
}

/* -------------------------------------------------------------- deleting -- */

/* A table being deleted is deleted once more, which is no error, by one who wants
 * no description, and by one who does. */
static void test_delete_again(void)
{
    dynb_index index = make_index("by-owner", "owner", DYNB_S);
    dynb_create_table_input input;
    dynb_table_description about;
    uint64_t lsn;
    store s;
    store_begin(&s);
    s.clock.step_ms = 0;
    s.config.control_plane_delay_ms = 1000;
    store_open(&s);
    begin_input(&input, &index, 1);
    MUST(dynb_create_table(s.db, &input, NULL, NULL, &kit_err));
    s.clock.now_ms += 2000;
    MUST(dynb_delete_table(s.db, "Things", NULL, NULL, &kit_err));
    CHECK_INT(s.db->deleting_count, 1);
    lsn = s.db->log.tail.lsn;
    MUST(dynb_delete_table(s.db, "Things", NULL, NULL, &kit_err));
    MUST(dynb_delete_table(s.db, "Things", &about, &s.result, &kit_err));
    CHECK_TEXT(about.table_name, "Things");
    CHECK_INT(about.status, DYNB_TABLE_DELETING);
    CHECK_INT(s.db->deleting_count, 1);
    CHECK_INT(s.db->log.tail.lsn, lsn);
    s.clock.now_ms += 2000;
    EXPECT(dynb_delete_table(s.db, "Things", NULL, NULL, &kit_err), DYNB_RESOURCE_NOT_FOUND);
    store_end(&s);
}

/* ------------------------------------------------------------- filters -- */

static void put_owned(store *s, const char *id, const char *owner, int64_t n)
{
    static dynb_builder builder;
    dynb_builder_begin(&builder);
    dynb_add_string(&builder, "Id", id, (size_t)-1);
    dynb_add_string(&builder, "owner", owner, (size_t)-1);
    dynb_add_int(&builder, "n", n);
    MUST(dynb_put_item(s->db, "Things", kit_finish(&builder), NULL, NULL, NULL, &kit_err));
    dynb_builder_free(&builder);
}

/* A put reads the item that was: a run that does not hold it need not be
 * searched. */
static void test_filters(void)
{
    dynb_index index = make_index("by-owner", "owner", DYNB_S);
    const dynbi_runs *runs;
    uint64_t hash = 0;
    char id[16];
    uint32_t i;
    store s;
    open_with(&s, &index, 1);
    CHECK_INT(s.db->reader.filters_limit, (8 << 20) / 16);
    for (i = 0; i < 300; ++i) {
        snprintf(id, sizeof id, "%u", (unsigned)(i % 200));
        put_owned(&s, id, i % 3 ? "a" : "b", i);
        if (i % 50 == 49)
            MUST(dynb_wait_idle(s.db, &kit_err));
    }
    check_indexes(&s);
    forget_reads(&s);
    CHECK_INT(s.db->reader.filter_count, 0); /* none is needed */
    check_indexes(&s);

    put_owned(&s, "x", "a", 0);
    fold_run(&s, "Things");
    CHECK_INT(s.db->reader.filter_count, 1); /* the index has none */
    runs = dynbi_table_runs(table_of(&s, "Things"), 0);
    CHECK(runs->count > 1);
    CHECK_INT(dynbi_reader_excludes(&s.db->reader, runs->run[0].root.page, (const uint8_t *)"x",
                                    1, &hash), 0);
    hash = 0;
    CHECK_INT(dynbi_reader_excludes(&s.db->reader, runs->run[0].root.page, (const uint8_t *)"y",
                                    1, &hash), 1);
    put_owned(&s, "1", "c", 1);
    put_owned(&s, "x", "c", 1);
    MUST(dynb_wait_idle(s.db, &kit_err));
    check_indexes(&s);
    store_end(&s);
}

int main(void)
{
    test_shape_messages();
    test_units_messages();
    test_definition_messages();
    test_count_limit();
    test_update_definitions();
    test_update_memory();
    test_rebill_memory();
    test_empty_generation();
    test_older_generations();
    test_damaged_definition();
    test_delete_again();
    test_filters();
    return check_report("unit_index");
}
