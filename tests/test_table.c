/* test_table.c - tables and items: every operation, every limit on both sides,
 * every message, and what misuse is answered with.
 *
 * Texts and limits are those of contract.md 3.1 to 3.4 and 4.6. The engine below
 * is exercised by test_model.c; here the face that it shows is checked. */
#define DYNBACKUP_IMPLEMENTATION
#include "../dynbackup.h"

#include "fault.h"
#include "kit.h"

#define ARN "arn:aws:dynamodb:us-east-1:123456789012:table/"
#define INVALID "One or more parameter values were invalid: "

static dynb *db;
static dynb_result result;
static dynb_builder builder;
static kit_clock test_clock;
static check_random test_ids;
static fault_allocator memory;

static void open_store(void)
{
    dynb_config config;
    memset(&config, 0, sizeof config);
    config.allocator = fault_allocator_of(&memory);
    test_clock.now_ms = 1700000000000u;
    test_clock.step_ms = 1;
    config.clock_fn = kit_clock_now;
    config.clock_ctx = &test_clock;
    config.random_fn = kit_random64;
    config.random_ctx = &test_ids;
    MUST(dynb_open(&db, NULL, &config, &kit_err));
}

static void close_store(void)
{
    EXPECT(dynb_wait_idle(db, &kit_err), DYNB_OK);
    EXPECT(dynb_check(db, NULL, NULL, NULL, &kit_err), DYNB_OK);
    EXPECT(dynb_scrub(db, &kit_err), DYNB_OK);
    EXPECT(dynb_close(db, &kit_err), DYNB_OK);
    dynb_result_free(&result);
    dynb_builder_free(&builder);
    CHECK(memory.live_count == 0 && memory.broken_count == 0);
}

static dynb_rc put(const char *table, dynb_item item)
{
    return dynb_put_item(db, table, item, NULL, NULL, NULL, &kit_err);
}

static dynb_rc put_json(const char *table, const char *json)
{
    return put(table, kit_json(&builder, json));
}

/* The item with the key of this JSON, as JSON with ' for "; "": there is none. */
static const char *get_json(const char *table, const char *key)
{
    static char text[8192];
    dynb_item found;
    const char *json;
    size_t length, i;
    MUST(dynb_get_item(db, table, kit_json(&builder, key), &found, &result, &kit_err));
    if (!found.bytes)
        return "";
    dynb_result other;
    memset(&other, 0, sizeof other);
    MUST(dynb_item_to_json(found, &other, &json, &length, &kit_err));
    snprintf(text, sizeof text, "%s", json);
    for (i = 0; text[i]; ++i)
        text[i] = text[i] == '"' ? '\'' : text[i];
    dynb_result_free(&other);
    return text;
}

/* A text of this many characters, for one call. */
static const char *long_text(size_t length, char with)
{
    static char *text;
    text = (char *)fault_memory(text, length + 1);
    memset(text, with, length);
    text[length] = 0;
    return text;
}

/* --------------------------------------------------------------- tables -- */

static dynb_create_table_input simple(const char *name)
{
    dynb_create_table_input input;
    memset(&input, 0, sizeof input);
    input.table_name = name;
    input.partition_key.name = "Id";
    input.partition_key.type = DYNB_S;
    return input;
}

static dynb_rc create(const dynb_create_table_input *input)
{
    return dynb_create_table(db, input, NULL, NULL, &kit_err);
}

static void test_create(void)
{
    dynb_create_table_input input = simple("First");
    dynb_table_description about;
    char id[64];
    input.sort_key.name = "When";
    input.sort_key.type = DYNB_B;
    MUST(dynb_create_table(db, &input, &about, &result, &kit_err));
    CHECK(about.status == DYNB_TABLE_CREATING); /* as in AWS's answer */
    CHECK_TEXT(about.table_name, "First");
    CHECK_TEXT(about.table_arn, ARN "First");
    CHECK(about.created_at_ms > 1700000000000u && about.item_count == 0 && !about.restoring);
    snprintf(id, sizeof id, "%s", about.table_id);
    MUST(dynb_describe_table(db, "First", &about, &result, &kit_err));
    CHECK(about.status == DYNB_TABLE_ACTIVE);
    CHECK_TEXT(about.table_id, id);
    CHECK_TEXT(about.partition_key.name, "Id");
    CHECK_TEXT(about.sort_key.name, "When");
    CHECK(about.partition_key.type == DYNB_S && about.sort_key.type == DYNB_B);
    CHECK(about.settings.billing_mode == DYNB_PAY_PER_REQUEST && about.ttl_attribute == NULL);
    CHECK(about.stream_arn == NULL && about.stream_label == NULL);
    MUST(dynb_describe_table(db, ARN "First", &about, &result, &kit_err));
    CHECK_TEXT(about.table_name, "First");

    EXPECT_MESSAGE(create(&input), DYNB_RESOURCE_IN_USE, "Table already exists: First");
    EXPECT_MESSAGE(dynb_describe_table(db, "Missing", &about, &result, &kit_err),
                   DYNB_RESOURCE_NOT_FOUND,
                   "Requested resource not found: Table: Missing not found");
    MUST(dynb_delete_table(db, "First", &about, &result, &kit_err));
    CHECK(about.status == DYNB_TABLE_DELETING);
    MUST(dynb_create_table(db, &input, &about, &result, &kit_err));
    CHECK(strcmp(about.table_id, id) != 0); /* another table under the old name */
    MUST(dynb_delete_table(db, ARN "First", NULL, NULL, &kit_err));
    EXPECT(dynb_delete_table(db, "First", NULL, NULL, &kit_err), DYNB_RESOURCE_NOT_FOUND);
}

static void test_create_errors(void)
{
    dynb_create_table_input input = simple("ab");
    dynb_table_list list;
    EXPECT_MESSAGE(create(&input), DYNB_VALIDATION,
                   "1 validation error detected: Value 'ab' at 'tableName' failed to satisfy "
                   "constraint: Member must have length greater than or equal to 3");
    input = simple("no good");
    EXPECT_ABOUT(create(&input), DYNB_VALIDATION, "[a-zA-Z0-9_.-]+");
    input = simple(long_text(256, 'n'));
    EXPECT(create(&input), DYNB_VALIDATION);
    input = simple(long_text(255, 'n'));
    EXPECT(create(&input), DYNB_OK);
    EXPECT(dynb_delete_table(db, long_text(255, 'n'), NULL, NULL, &kit_err), DYNB_OK);
    input = simple("abc");
    EXPECT(create(&input), DYNB_OK);
    EXPECT(dynb_delete_table(db, "abc", NULL, NULL, &kit_err), DYNB_OK);

    input = simple("Table");
    input.table_name = NULL;
    CHECK(create(&input) != DYNB_OK);
    input = simple("Table");
    input.partition_key.name = NULL;
    CHECK(create(&input) != DYNB_OK);
    input = simple("Table");
    input.partition_key.name = "";
    CHECK(create(&input) != DYNB_OK);
    input = simple("Table");
    input.partition_key.name = long_text(256, 'k');
    EXPECT(create(&input), DYNB_VALIDATION);
    input = simple("Table");
    input.partition_key.type = DYNB_BOOL;
    CHECK(create(&input) != DYNB_OK);
    input = simple("Table");
    input.sort_key.name = "Id";
    input.sort_key.type = DYNB_N;
    EXPECT_ABOUT(create(&input), DYNB_VALIDATION,
                 "Both the Hash Key and the Range Key element in the KeySchema have the same name");
    input = simple("Table");
    input.settings.billing_mode = DYNB_PROVISIONED;
    EXPECT_MESSAGE(create(&input), DYNB_VALIDATION,
                   INVALID "ReadCapacityUnits and WriteCapacityUnits must both be specified when "
                           "BillingMode is PROVISIONED");
    input = simple("Table");
    input.settings.provisioned.read_units = input.settings.provisioned.write_units = 1;
    EXPECT_MESSAGE(create(&input), DYNB_VALIDATION,
                   INVALID "Neither ReadCapacityUnits nor WriteCapacityUnits can be specified "
                           "when BillingMode is PAY_PER_REQUEST");
    input = simple("Table");
    input.settings.billing_mode = (dynb_billing_mode)7;
    CHECK(create(&input) != DYNB_OK);
    input = simple("Table");
    input.settings.stream_view = (dynb_stream_view)99;
    CHECK(create(&input) != DYNB_OK);
    input = simple("Table");
    input.settings.table_class = (dynb_table_class)99;
    CHECK(create(&input) != DYNB_OK);
    MUST(dynb_list_tables(db, NULL, 0, &list, &result, &kit_err));
    CHECK_INT(list.count, 0); /* nothing of all that was created */
}

static void test_list(void)
{
    static const char *const names[] = {"alpha", "Beta", "a.b", "zeta", "_x_", "a-b"};
    static const char *const sorted[] = {"Beta", "_x_", "a-b", "a.b", "alpha", "zeta"};
    dynb_table_list list;
    dynb_create_table_input input;
    char after[256];
    uint32_t i, limit, at;
    for (i = 0; i < 6; ++i) {
        input = simple(names[i]);
        MUST(create(&input));
    }
    for (limit = 0; limit < 9; ++limit) {
        after[0] = 0;
        at = 0;
        do {
            MUST(dynb_list_tables(db, after[0] ? after : NULL, limit, &list, &result, &kit_err));
            CHECK(!limit || list.count <= limit);
            for (i = 0; i < list.count && at < 6; ++i, ++at)
                CHECK_TEXT(list.table_names[i], sorted[at]);
            snprintf(after, sizeof after, "%s", list.last_evaluated ? list.last_evaluated : "");
        } while (after[0]);
        CHECK_INT(at, 6);
    }
    MUST(dynb_list_tables(db, "a-z", 0, &list, &result, &kit_err)); /* need not exist */
    CHECK(list.count == 3 && strcmp(list.table_names[0], "a.b") == 0);
    EXPECT_ABOUT(dynb_list_tables(db, NULL, 101, &list, &result, &kit_err), DYNB_VALIDATION,
                 "Value '101' at 'limit' failed to satisfy constraint: Member must have value "
                 "less than or equal to 100");
    CHECK(list.count == 0 && list.table_names == NULL);
    for (i = 0; i < 6; ++i)
        MUST(dynb_delete_table(db, names[i], NULL, NULL, &kit_err));
}

static void test_update(void)
{
    dynb_create_table_input input = simple("Settings");
    dynb_update_table_input update;
    dynb_table_description about;
    MUST(create(&input));
    memset(&update, 0, sizeof update);
    update.table = "Settings";
    EXPECT(dynb_update_table(db, &update, NULL, NULL, &kit_err), DYNB_INVALID_ARGUMENT);
    update.change = DYNB_CHANGE_BILLING;
    update.settings.billing_mode = DYNB_PROVISIONED;
    EXPECT(dynb_update_table(db, &update, NULL, NULL, &kit_err), DYNB_VALIDATION); /* no units */
    update.settings.provisioned.read_units = 4;
    update.settings.provisioned.write_units = 2;
    update.settings.deletion_protection = 1; /* not asked for: not taken */
    MUST(dynb_update_table(db, &update, &about, &result, &kit_err));
    CHECK_TEXT(about.table_name, "Settings");
    MUST(dynb_describe_table(db, "Settings", &about, &result, &kit_err));
    CHECK(about.settings.billing_mode == DYNB_PROVISIONED && about.status == DYNB_TABLE_ACTIVE);
    CHECK_INT(about.settings.provisioned.read_units, 4);
    CHECK_INT(about.settings.provisioned.write_units, 2);
    CHECK(about.settings.deletion_protection == 0);

    memset(&update, 0, sizeof update);
    update.table = ARN "Settings";
    update.change = DYNB_CHANGE_STREAM | DYNB_CHANGE_DELETION_PROTECTION |
                    DYNB_CHANGE_TABLE_CLASS | DYNB_CHANGE_ENCRYPTION;
    update.settings.stream_view = DYNB_STREAM_NEW_AND_OLD_IMAGES;
    update.settings.deletion_protection = 1;
    update.settings.table_class = DYNB_STANDARD_INFREQUENT_ACCESS;
    update.settings.encryption = DYNB_ENCRYPTION_KMS;
    update.settings.kms_key_arn = "arn:aws:kms:us-east-1:123456789012:key/k";
    MUST(dynb_update_table(db, &update, NULL, NULL, &kit_err));
    MUST(dynb_describe_table(db, "Settings", &about, &result, &kit_err));
    CHECK(about.settings.stream_view == DYNB_STREAM_NEW_AND_OLD_IMAGES);
    CHECK(about.settings.table_class == DYNB_STANDARD_INFREQUENT_ACCESS);
    CHECK(about.settings.encryption == DYNB_ENCRYPTION_KMS);
    CHECK_TEXT(about.settings.kms_key_arn, "arn:aws:kms:us-east-1:123456789012:key/k");
    CHECK(about.settings.billing_mode == DYNB_PROVISIONED);
    /* contract 2.4 row 13 */
    CHECK(about.stream_arn && strncmp(about.stream_arn, ARN "Settings/stream/", 60) == 0);
    CHECK(about.stream_label && strlen(about.stream_label) == 23 && about.stream_label[10] == 'T');

    EXPECT_MESSAGE(dynb_delete_table(db, "Settings", NULL, NULL, &kit_err), DYNB_VALIDATION,
                   "Resource cannot be deleted as it is currently protected against deletion. "
                   "Disable deletion protection first.");
    memset(&update, 0, sizeof update);
    update.table = "Settings";
    update.change = DYNB_CHANGE_DELETION_PROTECTION | DYNB_CHANGE_STREAM;
    MUST(dynb_update_table(db, &update, NULL, NULL, &kit_err));
    MUST(dynb_describe_table(db, "Settings", &about, &result, &kit_err));
    CHECK(about.settings.stream_view == DYNB_STREAM_OFF && about.stream_arn != NULL); /* latest */
    update.table = "Missing";
    EXPECT_MESSAGE(dynb_update_table(db, &update, NULL, NULL, &kit_err), DYNB_RESOURCE_NOT_FOUND,
                   "Requested resource not found: Table: Missing not found");
    update.table = "Settings";
    update.change = 1u << 20;
    CHECK(dynb_update_table(db, &update, NULL, NULL, &kit_err) != DYNB_OK);
    MUST(dynb_delete_table(db, "Settings", NULL, NULL, &kit_err));
}

static void test_time_to_live(void)
{
    dynb_create_table_input input = simple("Lives");
    dynb_table_description about;
    MUST(create(&input));
    MUST(dynb_update_time_to_live(db, "Lives", "expires", &kit_err));
    MUST(dynb_describe_table(db, "Lives", &about, &result, &kit_err));
    CHECK_TEXT(about.ttl_attribute, "expires");
    EXPECT(dynb_update_time_to_live(db, "Missing", "expires", &kit_err), DYNB_RESOURCE_NOT_FOUND);
    EXPECT(dynb_update_time_to_live(db, "Lives", "", &kit_err), DYNB_VALIDATION);
    EXPECT(dynb_update_time_to_live(db, "Lives", long_text(256, 'a'), &kit_err), DYNB_VALIDATION);
    MUST(dynb_delete_table(db, "Lives", NULL, NULL, &kit_err));
}

static dynb_rc tag(const char *table, const char *key, const char *value)
{
    dynb_tag one;
    one.key = key;
    one.value = value;
    return dynb_tag_resource(db, table, &one, 1, &kit_err);
}

static void test_tags(void)
{
    dynb_create_table_input input = simple("Tagged");
    dynb_tag two[2];
    const dynb_tag *tags;
    const char *keys[60];
    char texts[60][16];
    uint32_t count, i;
    two[0].key = "b";
    two[0].value = "2";
    two[1].key = "a";
    two[1].value = "";
    input.tags = two;
    input.tag_count = 2;
    MUST(create(&input));
    MUST(dynb_list_tags_of_resource(db, ARN "Tagged", &tags, &count, &result, &kit_err));
    CHECK_INT(count, 2);
    CHECK_TEXT(tags[0].key, "a");
    CHECK_TEXT(tags[0].value, "");
    CHECK_TEXT(tags[1].value, "2");
    EXPECT(tag("Tagged", "b", "3"), DYNB_OK); /* replaces */
    MUST(dynb_list_tags_of_resource(db, "Tagged", &tags, &count, &result, &kit_err));
    CHECK(count == 2 && strcmp(tags[1].value, "3") == 0);
    two[1].key = "b";
    EXPECT(dynb_tag_resource(db, "Tagged", two, 2, &kit_err), DYNB_VALIDATION); /* twice */
    EXPECT(tag("Tagged", "", "x"), DYNB_VALIDATION);
    EXPECT(tag("Tagged", long_text(129, 'k'), "x"), DYNB_VALIDATION);
    EXPECT(tag("Tagged", long_text(128, 'k'), "x"), DYNB_OK);
    EXPECT(tag("Tagged", "v", long_text(257, 'v')), DYNB_VALIDATION);
    EXPECT(tag("Tagged", "v", long_text(256, 'v')), DYNB_OK);
    for (i = 4; i < 50; ++i) {
        snprintf(texts[i], sizeof texts[i], "key-%u", i);
        EXPECT(tag("Tagged", texts[i], "x"), DYNB_OK);
    }
    EXPECT_ABOUT(tag("Tagged", "one-too-many", "x"), DYNB_VALIDATION,
                 "Number of Tags exceed the current limit for the provided ResourceArn");
    EXPECT(tag("Tagged", "key-5", "replaced"), DYNB_OK);
    for (i = 4; i < 50; ++i)
        keys[i - 4] = texts[i];
    keys[46] = "never-there";
    MUST(dynb_untag_resource(db, "Tagged", keys, 47, &kit_err));
    MUST(dynb_list_tags_of_resource(db, "Tagged", &tags, &count, &result, &kit_err));
    CHECK_INT(count, 4);
    EXPECT(tag("Missing", "a", "b"), DYNB_RESOURCE_NOT_FOUND);
    EXPECT(dynb_list_tags_of_resource(db, "Missing", &tags, &count, &result, &kit_err),
           DYNB_RESOURCE_NOT_FOUND);
    CHECK(count == 0 && tags == NULL);
    MUST(dynb_delete_table(db, "Tagged", NULL, NULL, &kit_err));
}

/* ---------------------------------------------------------------- items -- */

static void test_all_types(void)
{
    static const char item[] =
        "{'Id':{'S':'all'},'b':{'B':'AAEC/w=='},'bool':{'BOOL':true},'bs':{'BS':['AA==','AQ==']},"
        "'l':{'L':[{'N':'1'},{'S':''},{'L':[]},{'NULL':true}]},'m':{'M':{'k':{'BOOL':false},"
        "'n':{'M':{}}}},'n':{'N':'-12.5'},'ns':{'NS':['-3','0.5','7']},'null':{'NULL':true},"
        "'ss':{'SS':['','a','b']},'\303\251':{'S':'\342\202\254'}}";
    dynb_create_table_input input = simple("Types");
    MUST(create(&input));
    EXPECT(put_json("Types", item), DYNB_OK);
    CHECK_TEXT(get_json("Types", "{'Id':{'S':'all'}}"), item);
    CHECK_TEXT(get_json(ARN "Types", "{'Id':{'S':'all'}}"), item);
    EXPECT(put_json("Types", "{'Id':{'S':'all'}}"), DYNB_OK); /* replaces, does not merge */
    CHECK_TEXT(get_json("Types", "{'Id':{'S':'all'}}"), "{'Id':{'S':'all'}}");
    CHECK_TEXT(get_json("Types", "{'Id':{'S':'All'}}"), "");
    EXPECT(put_json("Types", "{'Id':{'S':'n'},'x':{'N':'1e3'},'y':{'N':'-0.0'},'z':{'N':'.5'}}"),
           DYNB_OK);
    CHECK_TEXT(get_json("Types", "{'Id':{'S':'n'}}"),
               "{'Id':{'S':'n'},'x':{'N':'1000'},'y':{'N':'0'},'z':{'N':'0.5'}}");
    MUST(dynb_delete_table(db, "Types", NULL, NULL, &kit_err));
}

static dynb_rc put_size(uint32_t padding)
{
    dynb_item item;
    uint8_t *pad = (uint8_t *)fault_memory(NULL, padding);
    dynb_rc rc;
    memset(pad, 'p', padding);
    dynb_builder_begin(&builder);
    dynb_add_string(&builder, "Id", "big", 3);
    dynb_add_binary(&builder, "pad", pad, padding);
    free(pad);
    rc = dynb_builder_finish(&builder, &item, &kit_err);
    if (rc == DYNB_OK)
        CHECK_INT(dynb_item_size(item), 2 + 3 + 3 + padding);
    return rc == DYNB_OK ? put("Limits", item) : rc;
}

static dynb_rc put_key(const char *table, const char *sort, size_t length, size_t sort_length)
{
    char *text = (char *)fault_memory(NULL, 5000);
    memset(text, 'k', 5000);
    dynb_builder_begin(&builder);
    dynb_add_string(&builder, "Id", text, length);
    if (sort)
        dynb_add_binary(&builder, sort, text, sort_length);
    free(text);
    return put(table, kit_finish(&builder));
}

static dynb_rc put_nested(uint32_t levels)
{
    dynb_item item;
    uint32_t i;
    dynb_rc rc;
    dynb_builder_begin(&builder);
    dynb_add_string(&builder, "Id", "deep", 4);
    for (i = 0; i < levels; ++i)
        dynb_open_container(&builder, i == 0 ? "m" : i % 2 ? "x" : NULL, i % 2 ? DYNB_L : DYNB_M);
    if (levels % 2 == 0)
        dynb_add_bool(&builder, NULL, 1);
    else
        dynb_add_bool(&builder, "end", 1);
    for (i = 0; i < levels; ++i)
        dynb_close_container(&builder);
    rc = dynb_builder_finish(&builder, &item, &kit_err);
    return rc == DYNB_OK ? put("Limits", item) : rc;
}

static dynb_rc put_number(const char *text)
{
    dynb_item item;
    dynb_rc rc;
    dynb_builder_begin(&builder);
    dynb_add_string(&builder, "Id", "number", 6);
    dynb_add_number(&builder, "n", text, (size_t)-1);
    rc = dynb_builder_finish(&builder, &item, &kit_err);
    return rc == DYNB_OK ? put("Limits", item) : rc;
}

static void test_limits(void)
{
    dynb_create_table_input input = simple("Limits");
    dynb_item found;
    MUST(create(&input));
    input = simple("Sorted");
    input.sort_key.name = "Sort";
    input.sort_key.type = DYNB_B;
    MUST(create(&input));

    EXPECT(put_size(DYNB_ITEM_MAX_BYTES - 8), DYNB_OK);
    MUST(dynb_get_item(db, "Limits", kit_item(&builder, "big", -1), &found, &result, &kit_err));
    CHECK(found.bytes && dynb_item_size(found) == DYNB_ITEM_MAX_BYTES);
    EXPECT_MESSAGE(put_size(DYNB_ITEM_MAX_BYTES - 7), DYNB_VALIDATION,
                   "Item size has exceeded the maximum allowed size");

    EXPECT(put_key("Limits", NULL, 2048, 0), DYNB_OK);
    EXPECT_MESSAGE(put_key("Limits", NULL, 2049, 0), DYNB_VALIDATION,
                   INVALID "Size of hashkey has exceeded the maximum size limit of2048 bytes");
    EXPECT(put_key("Sorted", "Sort", 2048, 1024), DYNB_OK);
    EXPECT_MESSAGE(put_key("Sorted", "Sort", 5, 1025), DYNB_VALIDATION,
                   INVALID "Aggregated size of all range keys has exceeded the size limit of 1024 "
                           "bytes");
    EXPECT(put_key("Limits", NULL, 1, 0), DYNB_OK);
    EXPECT_MESSAGE(put_key("Limits", NULL, 0, 0), DYNB_VALIDATION,
                   "One or more parameter values are not valid. The AttributeValue for a key "
                   "attribute cannot contain an empty string value. Key: Id");
    EXPECT_MESSAGE(put_key("Sorted", "Sort", 1, 0), DYNB_VALIDATION,
                   "One or more parameter values are not valid. The AttributeValue for a key "
                   "attribute cannot contain an empty binary value. Key: Sort");

    EXPECT(put_nested(31), DYNB_OK);
    EXPECT_ABOUT(put_nested(32), DYNB_VALIDATION,
                 "Nesting Levels have exceeded supported limits");
    EXPECT(put_number("12345678901234567890123456789012345678"), DYNB_OK);
    EXPECT_MESSAGE(put_number("123456789012345678901234567890123456789"), DYNB_VALIDATION,
                   "Attempting to store more than 38 significant digits in a Number");
    EXPECT(put_number("9.9999999999999999999999999999999999999E+125"), DYNB_OK);
    EXPECT_MESSAGE(put_number("1e126"), DYNB_VALIDATION,
                   "Number overflow. Attempting to store a number with magnitude larger than "
                   "supported range");
    EXPECT(put_number("-1e-130"), DYNB_OK);
    EXPECT_MESSAGE(put_number("1e-131"), DYNB_VALIDATION,
                   "Number underflow. Attempting to store a number with magnitude smaller than "
                   "supported range");
    EXPECT_MESSAGE(put_number("dog"), DYNB_VALIDATION,
                   "The parameter cannot be converted to a numeric value: dog");
    MUST(dynb_delete_table(db, "Limits", NULL, NULL, &kit_err));
    MUST(dynb_delete_table(db, "Sorted", NULL, NULL, &kit_err));
}

static void test_key_errors(void)
{
    dynb_create_table_input input = simple("Keys");
    dynb_item found, nothing;
    MUST(create(&input));
    memset(&nothing, 0, sizeof nothing);
    EXPECT_MESSAGE(put_json("Keys", "{'x':{'N':'1'}}"), DYNB_VALIDATION,
                   INVALID "Missing the key Id in the item");
    EXPECT_MESSAGE(put_json("Keys", "{'Id':{'N':'1'}}"), DYNB_VALIDATION,
                   INVALID "Type mismatch for key Id expected: S actual: N");
    EXPECT_MESSAGE(put_json("Missing", "{'Id':{'S':'1'}}"), DYNB_RESOURCE_NOT_FOUND,
                   "Requested resource not found");
    EXPECT_MESSAGE(dynb_get_item(db, "Keys", kit_json(&builder, "{'Id':{'N':'1'}}"), &found,
                                 &result, &kit_err),
                   DYNB_VALIDATION, "The provided key element does not match the schema");
    CHECK(found.bytes == NULL);
    EXPECT_MESSAGE(dynb_get_item(db, "Keys", kit_json(&builder, "{'Id':{'S':'1'},'x':{'S':'2'}}"),
                                 &found, &result, &kit_err),
                   DYNB_VALIDATION, "The provided key element does not match the schema");
    EXPECT_MESSAGE(dynb_get_item(db, "Keys", kit_json(&builder, "{}"), &found, &result, &kit_err),
                   DYNB_VALIDATION, "The provided key element does not match the schema");
    EXPECT_MESSAGE(dynb_delete_item(db, "Keys", kit_json(&builder, "{'x':{'S':'1'}}"), NULL, NULL,
                                    NULL, &kit_err),
                   DYNB_VALIDATION, "The provided key element does not match the schema");
    EXPECT_ABOUT(dynb_get_item(db, "Keys", kit_json(&builder, "{'Id':{'S':''}}"), &found, &result,
                               &kit_err),
                 DYNB_VALIDATION,
                 "The AttributeValue for a key attribute cannot contain an empty string value. "
                 "Key: Id");
    EXPECT(dynb_get_item(db, "Missing", kit_item(&builder, "1", -1), &found, &result, &kit_err),
           DYNB_RESOURCE_NOT_FOUND);
    CHECK(put("Keys", nothing) == DYNB_VALIDATION || kit_err.code == DYNB_INVALID_ARGUMENT);
    EXPECT(dynb_delete_item(db, "Keys", kit_item(&builder, "never", -1), NULL, NULL, NULL,
                            &kit_err),
           DYNB_OK);
    MUST(dynb_delete_table(db, "Keys", NULL, NULL, &kit_err));
}

/* Bytes that are no item are found out, wherever they come in. */
static void test_not_an_item(void)
{
    dynb_create_table_input input = simple("Bytes");
    dynb_item item, found;
    uint8_t bytes[256];
    dynb_write write;
    uint32_t i, cut, refused = 0;
    MUST(create(&input));
    item = kit_json(&builder, "{'Id':{'S':'x'},'l':{'L':[{'N':'1'}]},'s':{'SS':['a','b']}}");
    CHECK(item.size_bytes < sizeof bytes);
    memcpy(bytes, item.bytes, item.size_bytes);
    for (cut = 0; cut < item.size_bytes; ++cut) {
        dynb_item part;
        part.bytes = bytes;
        part.size_bytes = cut;
        CHECK(put("Bytes", part) != DYNB_OK);
        write.table = "Bytes";
        write.item = part;
        write.is_delete = 0;
        CHECK(dynb_batch_write(db, &write, 1, NULL, &kit_err) != DYNB_OK);
        CHECK(dynb_get_item(db, "Bytes", part, &found, &result, &kit_err) != DYNB_OK);
    }
    for (i = 0; i < item.size_bytes * 8; ++i) { /* some flips make another good item */
        dynb_item bad;
        bad.bytes = bytes;
        bad.size_bytes = item.size_bytes;
        bytes[i / 8] ^= (uint8_t)(1u << i % 8);
        refused += dynb_item_check(bad, &kit_err) != DYNB_OK;
        CHECK(dynb_item_check(bad, NULL) == DYNB_OK || put("Bytes", bad) != DYNB_OK);
        bytes[i / 8] ^= (uint8_t)(1u << i % 8);
    }
    CHECK(refused > item.size_bytes);
    MUST(dynb_delete_table(db, "Bytes", NULL, NULL, &kit_err));
}

static void test_return_old(void)
{
    dynb_create_table_input input = simple("Old");
    dynb_write_options options;
    dynb_item old;
    int64_t v = 0;
    MUST(create(&input));
    memset(&options, 0, sizeof options);
    options.return_old = 1;
    MUST(dynb_put_item(db, "Old", kit_item(&builder, "a", 1), &options, &old, &result, &kit_err));
    CHECK(old.bytes == NULL);
    MUST(dynb_put_item(db, "Old", kit_item(&builder, "a", 2), &options, &old, &result, &kit_err));
    CHECK(old.bytes && dynb_value_int(dynb_item_get(old, "v"), &v) && v == 1);
    MUST(dynb_wait_idle(db, &kit_err)); /* now it comes from the snapshot */
    MUST(dynb_delete_item(db, "Old", kit_item(&builder, "a", -1), &options, &old, &result,
                          &kit_err));
    CHECK(old.bytes && dynb_value_int(dynb_item_get(old, "v"), &v) && v == 2);
    MUST(dynb_delete_item(db, "Old", kit_item(&builder, "a", -1), &options, &old, &result,
                          &kit_err));
    CHECK(old.bytes == NULL);
    EXPECT(dynb_put_item(db, "Old", kit_item(&builder, "a", 3), &options, NULL, NULL, &kit_err),
           DYNB_INVALID_ARGUMENT);
    CHECK_INT(kit_get(db, "Old", "a"), -1);
    MUST(dynb_delete_table(db, "Old", NULL, NULL, &kit_err));
}

static void test_batch(void)
{
    dynb_create_table_input input = simple("One");
    dynb_builder builders[40];
    dynb_write writes[40];
    dynb_write_options options;
    uint32_t i;
    char id[16];
    memset(builders, 0, sizeof builders);
    memset(writes, 0, sizeof writes);
    MUST(create(&input));
    input.table_name = "Two";
    MUST(create(&input));
    for (i = 0; i < 40; ++i) { /* more than AWS's 25, over two tables */
        snprintf(id, sizeof id, "k%u", i / 2);
        writes[i].table = i % 2 ? "One" : ARN "Two";
        writes[i].item = kit_item(&builders[i], id, i);
    }
    EXPECT(dynb_batch_write(db, writes, 40, NULL, &kit_err), DYNB_OK);
    CHECK_INT(kit_get(db, "One", "k19"), 39);
    CHECK_INT(kit_get(db, "Two", "k19"), 38);
    writes[0].item = kit_item(&builders[0], "k0", -1);
    writes[0].is_delete = 1;
    writes[1].item = kit_item(&builders[1], "k0", 100);
    EXPECT(dynb_batch_write(db, writes, 2, NULL, &kit_err), DYNB_OK);
    CHECK_INT(kit_get(db, "Two", "k0"), -1);
    CHECK_INT(kit_get(db, "One", "k0"), 100);

    /* One bad write, and none of them happens. */
    writes[1].item = kit_item(&builders[1], "k0", 200);
    writes[2].item = kit_json(&builders[2], "{'wrong':{'S':'x'}}");
    EXPECT_ABOUT(dynb_batch_write(db, writes, 3, NULL, &kit_err), DYNB_VALIDATION,
                 "Missing the key Id in the item");
    CHECK(strstr(kit_err.message, "2") != NULL); /* names the write */
    writes[2].table = "Missing";
    EXPECT(dynb_batch_write(db, writes, 3, NULL, &kit_err), DYNB_RESOURCE_NOT_FOUND);
    writes[2].table = "One";
    writes[2].item = kit_item(&builders[2], "k0", 5);
    EXPECT_ABOUT(dynb_batch_write(db, writes, 3, NULL, &kit_err), DYNB_VALIDATION,
                 "Provided list of item keys contains duplicates");
    writes[2].item = kit_item(&builders[2], "k0", -1); /* a put and a delete of one key, too */
    writes[2].is_delete = 1;
    EXPECT(dynb_batch_write(db, writes, 3, NULL, &kit_err), DYNB_VALIDATION);
    CHECK_INT(kit_get(db, "One", "k0"), 100);
    memset(&options, 0, sizeof options);
    options.return_old = 1;
    CHECK(dynb_batch_write(db, writes, 1, &options, &kit_err) != DYNB_OK);
    CHECK(dynb_batch_write(db, writes, 0, NULL, &kit_err) != DYNB_OK);
    CHECK(dynb_batch_write(db, NULL, 1, NULL, &kit_err) == DYNB_INVALID_ARGUMENT);
    for (i = 0; i < 40; ++i)
        dynb_builder_free(&builders[i]);
    MUST(dynb_delete_table(db, "One", NULL, NULL, &kit_err));
    MUST(dynb_delete_table(db, "Two", NULL, NULL, &kit_err));
}

/* ------------------------------------------------------ queries and scans -- */

static dynb_value value_of(dynb_builder *b, dynb_type type, const char *text)
{
    dynb_builder_begin(b);
    if (type == DYNB_N)
        dynb_add_number(b, "x", text, (size_t)-1);
    else
        dynb_add_string(b, "x", text, (size_t)-1);
    return dynb_item_get(kit_finish(b), "x");
}

/* The sort keys of a query's answer, joined. */
static const char *query(const char *table, dynb_type type, dynb_sort_condition condition,
                         const char *from, const char *to, int descending)
{
    static char text[1000];
    dynb_builder b[3];
    dynb_query_input input;
    dynb_page page;
    uint32_t i;
    memset(b, 0, sizeof b);
    memset(&input, 0, sizeof input);
    text[0] = 0;
    input.table = table;
    input.partition_key = value_of(&b[0], DYNB_S, "p");
    input.condition = condition;
    input.descending = descending;
    if (from)
        input.sort_from = value_of(&b[1], type, from);
    if (to)
        input.sort_to = value_of(&b[2], type, to);
    if (dynb_query(db, &input, &page, &result, &kit_err) != DYNB_OK)
        snprintf(text, sizeof text, "%s", kit_code_name(kit_err.code));
    for (i = 0; i < page.count; ++i) {
        char digits[DYNB_NUMBER_TEXT_SIZE];
        dynb_value sort = dynb_item_get(page.items[i], "Sort");
        size_t used = strlen(text), length = 0;
        if (dynb_value_number(sort, digits))
            snprintf(text + used, sizeof text - used, "%s ", digits);
        else {
            const char *string = dynb_value_string(sort, &length);
            snprintf(text + used, sizeof text - used, "%.*s ", (int)length, string);
        }
    }
    for (i = 0; i < 3; ++i)
        dynb_builder_free(&b[i]);
    return text;
}

static void make_sorted(const char *table, dynb_type type, const char *const *sorts,
                        uint32_t count)
{
    dynb_create_table_input input = simple(table);
    static const char *const partitions[] = {"o", "p", "p\001", "pp"};
    uint32_t i, p;
    input.sort_key.name = "Sort";
    input.sort_key.type = type;
    MUST(create(&input));
    for (p = 0; p < 4; ++p) /* neighbours that a query of "p" must not show */
        for (i = 0; i < count; ++i) {
            dynb_builder_begin(&builder);
            dynb_add_string(&builder, "Id", partitions[p], (size_t)-1);
            if (type == DYNB_N)
                dynb_add_number(&builder, "Sort", sorts[i], (size_t)-1);
            else
                dynb_add_string(&builder, "Sort", sorts[i], (size_t)-1);
            MUST(put(table, kit_finish(&builder)));
        }
}

static void test_query_numbers(void)
{
    static const char *const sorts[] = {"10", "9", "-1", "0", "-10.5", "1e3", "0.001"};
    make_sorted("Numbers", DYNB_N, sorts, 7);
#define Q(condition, from, to, down) query("Numbers", DYNB_N, condition, from, to, down)
    CHECK_TEXT(Q(DYNB_SORT_ANY, NULL, NULL, 0), "-10.5 -1 0 0.001 9 10 1000 ");
    CHECK_TEXT(Q(DYNB_SORT_ANY, NULL, NULL, 1), "1000 10 9 0.001 0 -1 -10.5 ");
    CHECK_TEXT(Q(DYNB_SORT_EQ, "1000.0", NULL, 0), "1000 ");
    CHECK_TEXT(Q(DYNB_SORT_EQ, "5", NULL, 0), "");
    CHECK_TEXT(Q(DYNB_SORT_LT, "0", NULL, 0), "-10.5 -1 ");
    CHECK_TEXT(Q(DYNB_SORT_LE, "0", NULL, 0), "-10.5 -1 0 ");
    CHECK_TEXT(Q(DYNB_SORT_GT, "9", NULL, 0), "10 1000 ");
    CHECK_TEXT(Q(DYNB_SORT_GE, "9", NULL, 1), "1000 10 9 ");
    CHECK_TEXT(Q(DYNB_SORT_BETWEEN, "-1", "9", 0), "-1 0 0.001 9 ");
    CHECK_TEXT(Q(DYNB_SORT_BETWEEN, "-1.5", "8", 1), "0.001 0 -1 ");
    CHECK_TEXT(Q(DYNB_SORT_BEGINS_WITH, "1", NULL, 0), "VALIDATION");
    CHECK_TEXT(query("Numbers", DYNB_S, DYNB_SORT_EQ, "x", NULL, 0), "VALIDATION");
    CHECK_TEXT(query("Missing", DYNB_N, DYNB_SORT_ANY, NULL, NULL, 0), "RESOURCE_NOT_FOUND");
    CHECK_TEXT(Q((dynb_sort_condition)77, "1", NULL, 0), "INVALID_ARGUMENT");
    CHECK(strcmp(Q(DYNB_SORT_EQ, NULL, NULL, 0), "INVALID_ARGUMENT") == 0 ||
          kit_err.code == DYNB_VALIDATION);
    MUST(dynb_wait_idle(db, &kit_err)); /* and the same from the snapshot */
    CHECK_TEXT(Q(DYNB_SORT_BETWEEN, "-1", "9", 0), "-1 0 0.001 9 ");
    CHECK_TEXT(Q(DYNB_SORT_GE, "9", NULL, 1), "1000 10 9 ");
#undef Q
    MUST(dynb_delete_table(db, "Numbers", NULL, NULL, &kit_err));
}

static void test_query_texts(void)
{
    static const char *const sorts[] = {"b", "a", "ab", "abc", "B", "\303\251"};
    make_sorted("Texts", DYNB_S, sorts, 6);
#define Q(condition, from, to, down) query("Texts", DYNB_S, condition, from, to, down)
    CHECK_TEXT(Q(DYNB_SORT_ANY, NULL, NULL, 0), "B a ab abc b \303\251 ");
    CHECK_TEXT(Q(DYNB_SORT_BEGINS_WITH, "a", NULL, 0), "a ab abc ");
    CHECK_TEXT(Q(DYNB_SORT_BEGINS_WITH, "ab", NULL, 1), "abc ab ");
    CHECK_TEXT(Q(DYNB_SORT_BEGINS_WITH, "abcd", NULL, 0), "");
    CHECK_TEXT(Q(DYNB_SORT_BETWEEN, "a", "ab", 0), "a ab ");
    CHECK_TEXT(Q(DYNB_SORT_GT, "ab", NULL, 0), "abc b \303\251 ");
    CHECK_TEXT(Q(DYNB_SORT_LT, "a", NULL, 0), "B ");
    MUST(dynb_wait_idle(db, &kit_err));
    CHECK_TEXT(Q(DYNB_SORT_BEGINS_WITH, "ab", NULL, 1), "abc ab ");
#undef Q
    MUST(dynb_delete_table(db, "Texts", NULL, NULL, &kit_err));
}

/* A page holds at most 1 MB; limit bounds the items. */
static void test_pages(void)
{
    dynb_create_table_input input = simple("Pages");
    dynb_query_input ask;
    dynb_scan_input scan;
    dynb_page page;
    dynb_builder other;
    uint64_t bytes;
    uint32_t i, seen = 0, pages = 0;
    uint8_t last[256];
    memset(&other, 0, sizeof other);
    input.sort_key.name = "Sort";
    input.sort_key.type = DYNB_N;
    MUST(create(&input));
    for (i = 0; i < 12; ++i) {
        dynb_builder_begin(&builder);
        dynb_add_string(&builder, "Id", "p", 1);
        dynb_add_int(&builder, "Sort", i);
        dynb_add_string(&builder, "pad", long_text(300000, 'x'), 300000);
        MUST(put("Pages", kit_finish(&builder)));
    }
    memset(&ask, 0, sizeof ask);
    ask.table = "Pages";
    ask.partition_key = value_of(&other, DYNB_S, "p");
    do {
        MUST(dynb_query(db, &ask, &page, &result, &kit_err));
        for (bytes = i = 0; i < page.count; ++i)
            bytes += dynb_item_size(page.items[i]);
        CHECK(bytes <= DYNB_PAGE_MAX_BYTES + DYNB_ITEM_MAX_BYTES && page.count <= 4);
        CHECK(page.count >= 3 || !page.last_key.bytes);
        seen += page.count;
        ++pages;
        ask.start_after = page.last_key;
        CHECK(page.last_key.size_bytes < sizeof last);
        if (page.last_key.bytes) {
            memcpy(last, page.last_key.bytes, page.last_key.size_bytes);
            ask.start_after.bytes = last;
            CHECK(dynb_item_check(ask.start_after, NULL) == DYNB_OK);
            CHECK(dynb_item_get(ask.start_after, "pad").type == DYNB_TYPE_NONE);
        }
    } while (ask.start_after.bytes);
    CHECK_INT(seen, 12);
    CHECK(pages >= 3 && pages <= 5);
    memset(&scan, 0, sizeof scan);
    scan.table = "Pages";
    scan.limit = 2;
    MUST(dynb_scan(db, &scan, &page, &result, &kit_err));
    CHECK(page.count == 2 && page.last_key.bytes != NULL);
    scan.start_after = kit_json(&builder, "{'Id':{'S':'p'}}");
    EXPECT(dynb_scan(db, &scan, &page, &result, &kit_err), DYNB_VALIDATION); /* half a key */
    memset(&scan, 0, sizeof scan);
    scan.table = "Pages";
    scan.total_segments = 4;
    scan.segment = 4;
    CHECK(dynb_scan(db, &scan, &page, &result, &kit_err) == DYNB_VALIDATION ||
          kit_err.code == DYNB_INVALID_ARGUMENT);
    scan.total_segments = 1000001;
    CHECK(dynb_scan(db, &scan, &page, &result, &kit_err) == DYNB_VALIDATION ||
          kit_err.code == DYNB_INVALID_ARGUMENT);
    scan.total_segments = 1000000;
    EXPECT(dynb_scan(db, &scan, &page, &result, &kit_err), DYNB_OK);
    scan.table = "Missing";
    EXPECT_MESSAGE(dynb_scan(db, &scan, &page, &result, &kit_err), DYNB_RESOURCE_NOT_FOUND,
                   "Requested resource not found");
    dynb_builder_free(&other);
    MUST(dynb_delete_table(db, "Pages", NULL, NULL, &kit_err));
}

/* All items of a partition are in one segment, in each item exactly one. */
static void test_segments(void)
{
    dynb_create_table_input input = simple("Segments");
    dynb_scan_input scan;
    dynb_page page;
    uint32_t i, total, seen[6];
    char id[16];
    input.sort_key.name = "Sort";
    input.sort_key.type = DYNB_N;
    MUST(create(&input));
    for (i = 0; i < 200; ++i) {
        snprintf(id, sizeof id, "part-%u", i / 4);
        dynb_builder_begin(&builder);
        dynb_add_string(&builder, "Id", id, (size_t)-1);
        dynb_add_int(&builder, "Sort", i % 4);
        MUST(put("Segments", kit_finish(&builder)));
    }
    memset(&scan, 0, sizeof scan);
    scan.table = "Segments";
    scan.total_segments = 6;
    for (total = 0; scan.segment < 6; ++scan.segment) {
        MUST(dynb_scan(db, &scan, &page, &result, &kit_err));
        CHECK(page.last_key.bytes == NULL);
        seen[scan.segment] = page.count;
        CHECK(page.count % 4 == 0);
        total += page.count;
    }
    CHECK_INT(total, 200);
    for (i = 0; i < 6; ++i) /* a hash, so roughly even */
        CHECK(seen[i] > 0 && seen[i] < 100);
    MUST(dynb_delete_table(db, "Segments", NULL, NULL, &kit_err));
}

/* --------------------------------------------------------------- misuse -- */

#define MISUSED(call, argument)                                            \
    do {                                                                   \
        memset(&kit_err, 0, sizeof kit_err);                               \
        CHECK((call) == DYNB_INVALID_ARGUMENT);                            \
        if (!strstr(kit_err.message, argument))                            \
            printf("line %d: message \"%s\"\n", __LINE__, kit_err.message); \
        CHECK(strstr(kit_err.message, argument) != NULL);                  \
    } while (0)

static void test_misuse(void)
{
    dynb_item item = kit_item(&builder, "a", 1), old;
    dynb_table_description about;
    dynb_write_options options;
    dynb_config config;
    dynb_query_input ask;
    dynb_page page;
    dynb_stat stat;
    dynb *other = db;
    memset(&options, 0, sizeof options);
    memset(&config, 0, sizeof config);
    memset(&ask, 0, sizeof ask);
    MUST(kit_create_table(db, "Used", NULL));
    MISUSED(dynb_put_item(NULL, "Used", item, NULL, NULL, NULL, &kit_err), "db");
    MISUSED(dynb_put_item(db, NULL, item, NULL, NULL, NULL, &kit_err), "table");
    MISUSED(dynb_get_item(db, "Used", item, NULL, &result, &kit_err), "out");
    MISUSED(dynb_get_item(db, "Used", item, &old, NULL, &kit_err), "result");
    MISUSED(dynb_describe_table(db, "Used", NULL, &result, &kit_err), "out");
    MISUSED(dynb_describe_table(db, "Used", &about, NULL, &kit_err), "result");
    MISUSED(dynb_describe_table(db, NULL, &about, &result, &kit_err), "table");
    MISUSED(dynb_create_table(db, NULL, NULL, NULL, &kit_err), "input");
    MISUSED(dynb_list_tables(db, NULL, 0, NULL, &result, &kit_err), "out");
    MISUSED(dynb_query(db, NULL, &page, &result, &kit_err), "input");
    MISUSED(dynb_query(db, &ask, &page, &result, &kit_err), "table");
    MISUSED(dynb_scan(db, NULL, &page, &result, &kit_err), "input");
    MISUSED(dynb_update_table(db, NULL, NULL, NULL, &kit_err), "input");
    MISUSED(dynb_get_stat(db, NULL, &kit_err), "out");
    MISUSED(dynb_get_stat(NULL, &stat, &kit_err), "db");
    MISUSED(dynb_sync(NULL, &kit_err), "db");
    MISUSED(dynb_work(NULL, 1, NULL, &kit_err), "db");
    MISUSED(dynb_inspect_log(db, NULL, NULL, &kit_err), "visit_fn");
    options.choose_durability = 1;
    options.durability = (dynb_durability)9;
    MISUSED(dynb_put_item(db, "Used", item, &options, NULL, NULL, &kit_err), "durability");
    MISUSED(dynb_open(NULL, NULL, NULL, &kit_err), "out");
    config.page_size_bytes = 1000;
    MISUSED(dynb_open(&other, NULL, &config, &kit_err), "page_size_bytes");
    CHECK(other == NULL);
    config.page_size_bytes = 256;
    MISUSED(dynb_open(&other, NULL, &config, &kit_err), "page_size_bytes");
    config.page_size_bytes = 131072;
    MISUSED(dynb_open(&other, NULL, &config, &kit_err), "page_size_bytes");
    config.page_size_bytes = 4096;
    config.node_size_bytes = 6000;
    MISUSED(dynb_open(&other, NULL, &config, &kit_err), "node_size_bytes");
    config.node_size_bytes = 0;
    config.memory_bytes = 1000;
    MISUSED(dynb_open(&other, NULL, &config, &kit_err), "memory_bytes");
    config.memory_bytes = 0;
    config.durability = (dynb_durability)3;
    MISUSED(dynb_open(&other, NULL, &config, &kit_err), "durability");
    config.durability = DYNB_SYNCED;
    config.account_id = "12";
    MISUSED(dynb_open(&other, NULL, &config, &kit_err), "account_id");
    CHECK(dynb_close(NULL, NULL) == DYNB_OK || dynb_close(NULL, &kit_err) == DYNB_INVALID_ARGUMENT);
    CHECK_INT(kit_get(db, "Used", "a"), -1);
    CHECK(dynb_put_item(db, NULL, item, NULL, NULL, NULL, NULL) == DYNB_INVALID_ARGUMENT);
    dynb_result_free(NULL);
    MUST(dynb_delete_table(db, "Used", NULL, NULL, &kit_err));
}

static void test_texts(void)
{
    int code;
    CHECK_TEXT(dynb_rc_exception(DYNB_BACKUP_NOT_FOUND), "BackupNotFoundException");
    CHECK_INT(dynb_rc_http_status(DYNB_BACKUP_NOT_FOUND), 400);
    CHECK_TEXT(dynb_rc_exception(DYNB_CORRUPT), "InternalServerError");
    CHECK_INT(dynb_rc_http_status(DYNB_CORRUPT), 500);
    for (code = 0; code < DYNB_ERROR_COUNT; ++code)
        CHECK(dynb_rc_text((dynb_rc)code)[0] != 0 &&
              (dynb_rc_http_status((dynb_rc)code) == 200) == (code == 0));
    CHECK_TEXT(dynb_rc_text((dynb_rc)DYNB_ERROR_COUNT), "");
    CHECK_TEXT(dynb_rc_exception((dynb_rc)1000), "");
    CHECK_INT(dynb_rc_http_status((dynb_rc)1000), 0);
}

/* Counts and sizes become exact when nothing is pending. */
static void test_counts(void)
{
    dynb_table_description about;
    uint32_t i;
    char id[16];
    MUST(kit_create_table(db, "Counted", NULL));
    for (i = 0; i < 100; ++i) {
        snprintf(id, sizeof id, "i%02u", i);
        MUST(kit_put(db, "Counted", id, 1)); /* Id + i.. + v + 1 digit: 2 + 3 + 1 + 2 */
    }
    MUST(dynb_wait_idle(db, &kit_err));
    MUST(dynb_describe_table(db, "Counted", &about, &result, &kit_err));
    CHECK_INT(about.item_count, 100);
    CHECK_INT(about.size_bytes, 800);
    for (i = 0; i < 100; i += 2) {
        snprintf(id, sizeof id, "i%02u", i);
        MUST(kit_delete(db, "Counted", id));
        MUST(kit_delete(db, "Counted", "never"));
    }
    MUST(kit_put(db, "Counted", "i01", 2));
    MUST(dynb_wait_idle(db, &kit_err));
    MUST(dynb_describe_table(db, "Counted", &about, &result, &kit_err));
    CHECK_INT(about.item_count, 50);
    CHECK_INT(about.size_bytes, 400);
    MUST(dynb_delete_table(db, "Counted", NULL, NULL, &kit_err));
}

/* With the least memory: a big item or batch is taken or refused, and leaves
 * room for what comes after it. */
static void test_least_memory(int manual_work)
{
    static dynb_builder builders[12];
    static fault_allocator small_memory;
    dynb_write writes[12];
    dynb_config config;
    uint32_t round, i, count, taken = 0;
    dynb *small;
    dynb_rc rc;
    memset(&config, 0, sizeof config);
    config.allocator = fault_allocator_of(&small_memory);
    config.memory_bytes = CHECK_MEMORY_MIN;
    config.page_size_bytes = 512;
    config.manual_work = manual_work;
    MUST(dynb_open(&small, NULL, &config, &kit_err));
    MUST(kit_create_table(small, "Small", NULL));
    memset(writes, 0, sizeof writes);
    for (round = 0; round < 300 && !check_failed_count; ++round) {
        count = round % 10 == 9 ? 12 : 1;
        for (i = 0; i < count; ++i) {
            char id[16];
            snprintf(id, sizeof id, "k%u", (unsigned)((round * 7 + i * 31) % 97));
            writes[i].table = "Small";
            writes[i].item = kit_padded_item(&builders[i], id, (int)round,
                                             round % 20 == 9    ? 600 + round * 3
                                             : round % 20 == 14 ? round * 60
                                             : count > 1        ? 1300
                                                                : 500);
        }
        rc = dynb_batch_write(small, writes, count, NULL, &kit_err);
        taken += rc == DYNB_OK;
        if (round % 10 != 9 && round % 20 != 14)
            CHECK_INT(rc, DYNB_OK);
        CHECK(rc == DYNB_OK || rc == DYNB_NO_MEMORY);
    }
    CHECK(taken > 270);
    EXPECT(dynb_wait_idle(small, &kit_err), DYNB_OK);
    EXPECT(dynb_check(small, NULL, NULL, NULL, &kit_err), DYNB_OK);
    EXPECT(dynb_close(small, &kit_err), DYNB_OK);
    for (i = 0; i < 12; ++i)
        dynb_builder_free(&builders[i]);
}

int main(void)
{
    (void)check_seed("test_table");
    open_store();
    test_create();
    test_create_errors();
    test_list();
    test_update();
    test_time_to_live();
    test_tags();
    test_all_types();
    test_limits();
    test_key_errors();
    test_not_an_item();
    test_return_old();
    test_batch();
    test_query_numbers();
    test_query_texts();
    test_pages();
    test_segments();
    test_misuse();
    test_texts();
    test_counts();
    close_store();
    test_least_memory(0);
    test_least_memory(1);
    return check_report("test_table");
}
