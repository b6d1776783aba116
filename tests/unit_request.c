/* unit_request.c - section 25: what requests are read into, what is refused and
 * in which words, memory that runs out, and texts that mean harm. The vectors
 * (test_vectors.c) go through all members; here is how they are read. */
#define DYNBACKUP_IMPLEMENTATION
#define DYNBACKUP_KEEP_MACROS
#include "../dynbackup.h"

#include "kit.h"
#include "fault.h"

static fault_allocator memory_kit;
static dynb_error err;
static dynbi_call call;
static dynbi_call_memory memory;

/* Reads a request; what it was read into is valid until the next one. */
static dynb_rc read_sized(dynbi_shape_id shape, const char *json, size_t length)
{
    dynbi_call_free(&memory);
    memset(&memory, 0xA5, sizeof memory);
    memory.allocator = fault_allocator_of(&memory_kit);
    memory.chunks = NULL;
    memory.at = memory.first.bytes;
    memory.left_bytes = sizeof memory.first;
    memset(&call, 0, sizeof call);
    memset(&err, 0, sizeof err);
    call.memory = &memory;
    call.err = &err;
    return dynbi_request_read(&call, shape, json, length);
}

/* The text is written with ' for ", and lies in a block of its own size, so
 * that reading past it is seen. */
static dynb_rc read_text(dynbi_shape_id shape, const char *text)
{
    size_t length = strlen(text), i;
    char *json = (char *)malloc(length ? length : 1);
    dynb_rc rc;
    for (i = 0; i < length; ++i)
        json[i] = text[i] == '\'' ? '"' : text[i];
    rc = read_sized(shape, json, length);
    free(json);
    return rc;
}

#define GOOD(shape, text)                                                        \
    do {                                                                         \
        dynb_rc rc_ = read_text(DYNBI_SHAPE_##shape, (text));                    \
        if (rc_)                                                                 \
            printf("%s:%d: %s\n", __FILE__, __LINE__, err.message);              \
        CHECK_INT(rc_, DYNB_OK);                                                 \
    } while (0)

#define BAD(shape, text, rc, wanted)                                             \
    do {                                                                         \
        CHECK_INT(read_text(DYNBI_SHAPE_##shape, (text)), rc);                   \
        CHECK_INT(err.code, rc);                                                 \
        CHECK_TEXT(call.message ? call.message : err.message, (wanted));         \
    } while (0)

#define AT(v, path) "Value " v " at '" path "' failed to satisfy constraint: "
#define ONE "1 validation error detected: "
#define NOT_NULL "Member must not be null"
#define PLAIN "Member must satisfy regular expression pattern: [a-zA-Z0-9_.-]+"

/* ------------------------------------------------- what is read where -- */

static const dynbi_key_schema_element *key_element(const dynbi_list *list, uint32_t i)
{
    return (const dynbi_key_schema_element *)list->elements + i;
}

static void test_tables(void)
{
    const dynbi_table_request *table;
    const dynbi_index_request *index;
    const dynbi_attribute_definition *definition;
    const dynbi_tag_request *tag;
    GOOD(CREATE_TABLE,
         "{'TableName':'Orders','AttributeDefinitions':[{'AttributeName':'a','AttributeType':'S'},"
         "{'AttributeName':'b','AttributeType':'N'},{'AttributeName':'c','AttributeType':'B'}],"
         "'KeySchema':[{'KeyType':'HASH','AttributeName':'a'},{'AttributeName':'b','KeyType':"
         "'RANGE'}],'LocalSecondaryIndexes':[{'IndexName':'lll','KeySchema':[{'AttributeName':'a',"
         "'KeyType':'HASH'}],'Projection':{'ProjectionType':'KEYS_ONLY'}}],"
         "'GlobalSecondaryIndexes':[{'IndexName':'ggg','KeySchema':[{'AttributeName':'c',"
         "'KeyType':'HASH'}],'Projection':{'ProjectionType':'INCLUDE','NonKeyAttributes':['x',"
         "'y']},'ProvisionedThroughput':{'ReadCapacityUnits':3,'WriteCapacityUnits':4},"
         "'OnDemandThroughput':{'MaxReadRequestUnits':-1}}],'BillingMode':'PROVISIONED',"
         "'ProvisionedThroughput':{'ReadCapacityUnits':1,'WriteCapacityUnits':2.9},"
         "'OnDemandThroughput':{'MaxWriteRequestUnits':6},'StreamSpecification':{'StreamEnabled':"
         "true,'StreamViewType':'KEYS_ONLY'},'SSESpecification':{'Enabled':false,'SSEType':'KMS',"
         "'KMSMasterKeyId':'k'},'Tags':[{'Key':'t','Value':''}],'TableClass':"
         "'STANDARD_INFREQUENT_ACCESS','DeletionProtectionEnabled':'yes'}");
    table = (const dynbi_table_request *)call.request;
    CHECK_TEXT(table->table_name, "Orders");
    CHECK_INT(table->attribute_definitions.count, 3);
    definition = (const dynbi_attribute_definition *)table->attribute_definitions.elements;
    CHECK_INT(definition[0].attribute_type, 1);
    CHECK_INT(definition[1].attribute_type, 2);
    CHECK_INT(definition[2].attribute_type, 3);
    CHECK_TEXT(definition[2].attribute_name, "c");
    CHECK_INT(table->key_schema.count, 2);
    CHECK_INT(key_element(&table->key_schema, 0)->key_type, 1);
    CHECK_INT(key_element(&table->key_schema, 1)->key_type, 2);
    CHECK_INT(table->local_indexes.count, 1);
    index = (const dynbi_index_request *)table->local_indexes.elements;
    CHECK_INT(index->projection->projection_type, 2);
    CHECK(!index->provisioned_throughput && !index->projection->non_key_attributes.is_set);
    index = (const dynbi_index_request *)table->global_indexes.elements;
    CHECK_TEXT(index->index_name, "ggg");
    CHECK_TEXT(key_element(&index->key_schema, 0)->attribute_name, "c");
    CHECK_INT(index->projection->projection_type, 3);
    CHECK_TEXT(((const char *const *)index->projection->non_key_attributes.elements)[1], "y");
    CHECK_INT(index->provisioned_throughput->read_units.value, 3);
    CHECK_INT(index->provisioned_throughput->write_units.value, 4);
    CHECK_INT(index->on_demand_throughput->read_units.value, -1);
    CHECK(!index->on_demand_throughput->write_units.is_set);
    CHECK_INT(table->billing_mode, 1);
    CHECK_INT(table->provisioned_throughput->read_units.value, 1);
    CHECK_INT(table->provisioned_throughput->write_units.value, 2);
    CHECK_INT(table->on_demand_throughput->write_units.value, 6);
    CHECK_INT(table->stream_specification->stream_enabled, DYNBI_TRUE);
    CHECK_INT(table->stream_specification->stream_view_type, 4);
    CHECK_INT(table->sse_specification->enabled, DYNBI_FALSE);
    CHECK_INT(table->sse_specification->sse_type, 2);
    CHECK_TEXT(table->sse_specification->kms_master_key_id, "k");
    tag = (const dynbi_tag_request *)table->tags.elements;
    CHECK_TEXT(tag->key, "t");
    CHECK_TEXT(tag->value, "");
    CHECK_INT(table->table_class, 2);
    CHECK_INT(table->deletion_protection_enabled, DYNBI_TRUE);
    CHECK(!table->global_index_updates.is_set);
}

static void test_other_tables(void)
{
    const dynbi_table_request *table;
    const dynbi_index_update_request *update;
    GOOD(UPDATE_TABLE,
         "{'GlobalSecondaryIndexUpdates':[{'Update':{'IndexName':'uuu'}},{'Delete':{'IndexName':"
         "'ddd'}},{'Create':{'IndexName':'ccc','KeySchema':[{'AttributeName':'a','KeyType':"
         "'HASH'}],'Projection':{}}}],'TableName':'T-1','Tags':[]}");
    table = (const dynbi_table_request *)call.request;
    update = (const dynbi_index_update_request *)table->global_index_updates.elements;
    CHECK_INT(table->global_index_updates.count, 3);
    CHECK_TEXT(update[0].update->index_name, "uuu");
    CHECK_TEXT(update[1].remove->index_name, "ddd");
    CHECK_TEXT(update[2].create->index_name, "ccc");
    CHECK(!update[2].update && !update[2].remove && !update[0].create);
    CHECK(!table->tags.is_set); /* unknown here, so ignored */

    GOOD(DESCRIBE_TABLE, "{'TableName':'Orders'}");
    CHECK_TEXT(((const dynbi_named_request *)call.request)->table_name, "Orders");
    GOOD(LIST_TABLES, "{'ExclusiveStartTableName':'aaa','Limit':7}");
    CHECK_TEXT(((const dynbi_list_tables_request *)call.request)->exclusive_start_table_name,
               "aaa");
    CHECK_INT(((const dynbi_list_tables_request *)call.request)->limit.value, 7);
    GOOD(UPDATE_TIME_TO_LIVE,
         "{'TableName':'ttt','TimeToLiveSpecification':{'Enabled':true,'AttributeName':'x'}}");
    CHECK_TEXT(((const dynbi_time_to_live_request *)call.request)->specification->attribute_name,
               "x");
    GOOD(TAG_RESOURCE, "{'ResourceArn':'x','Tags':[]}");
    CHECK(((const dynbi_tags_request *)call.request)->tags.is_set);
    CHECK_INT(((const dynbi_tags_request *)call.request)->tags.count, 0);
    GOOD(UNTAG_RESOURCE, "{'ResourceArn':'x','TagKeys':['a','b']}");
    CHECK_INT(((const dynbi_tags_request *)call.request)->tag_keys.count, 2);
    GOOD(LIST_TAGS_OF_RESOURCE, "{'ResourceArn':'x','NextToken':'n'}");
    CHECK_TEXT(((const dynbi_tags_request *)call.request)->next_token, "n");
    GOOD(DESCRIBE_LIMITS, "{}");
    GOOD(DESCRIBE_ENDPOINTS, "null");
}

static void test_backups(void)
{
    const dynbi_list_backups_request *list;
    const dynbi_restore_request *restore;
    const dynbi_continuous_backups_request *continuous;
    GOOD(CREATE_BACKUP, "{'TableName':'arn:x','BackupName':'b.-_9'}");
    CHECK_TEXT(((const dynbi_create_backup_request *)call.request)->table_name, "arn:x");
    CHECK_TEXT(((const dynbi_create_backup_request *)call.request)->backup_name, "b.-_9");
    GOOD(DELETE_BACKUP, "{'BackupArn':''}");
    CHECK_TEXT(((const dynbi_backup_request *)call.request)->backup_arn, "");
    GOOD(LIST_BACKUPS,
         "{'TableName':'ttt','Limit':1,'TimeRangeLowerBound':1489602797.149,"
         "'TimeRangeUpperBound':-1.5,'ExclusiveStartBackupArn':'x','BackupType':'ALL'}");
    list = (const dynbi_list_backups_request *)call.request;
    CHECK_INT(list->time_range_lower_bound.value, 1489602797149);
    CHECK_INT(list->time_range_upper_bound.value, -1500);
    CHECK_INT(list->backup_type, 4);
    GOOD(RESTORE_TABLE_TO_POINT_IN_TIME,
         "{'SourceTableArn':'a','SourceTableName':'sss','TargetTableName':'t',"
         "'UseLatestRestorableTime':false,'RestoreDateTime':1e9,'BillingModeOverride':"
         "'PAY_PER_REQUEST','GlobalSecondaryIndexOverride':[],'OnDemandThroughputOverride':{},"
         "'SSESpecificationOverride':{}}");
    restore = (const dynbi_restore_request *)call.request;
    CHECK_TEXT(restore->source_table_arn, "a");
    CHECK_TEXT(restore->source_table_name, "sss");
    CHECK_TEXT(restore->target_table_name, "t");
    CHECK_INT(restore->use_latest_restorable_time, DYNBI_FALSE);
    CHECK_INT(restore->restore_date_time.value, 1000000000000);
    CHECK_INT(restore->billing_mode_override, 2);
    CHECK(restore->global_index_override.is_set && !restore->local_index_override.is_set);
    CHECK(restore->on_demand_throughput_override && restore->sse_specification_override);
    CHECK(!restore->provisioned_throughput_override && !restore->backup_arn);
    GOOD(UPDATE_CONTINUOUS_BACKUPS,
         "{'TableName':'ttt','PointInTimeRecoverySpecification':{'PointInTimeRecoveryEnabled':"
         "true,'RecoveryPeriodInDays':35}}");
    continuous = (const dynbi_continuous_backups_request *)call.request;
    CHECK_INT(continuous->specification->point_in_time_recovery_enabled, DYNBI_TRUE);
    CHECK_INT(continuous->specification->recovery_period_in_days.value, 35);
}

static void test_items(void)
{
    const dynbi_item_request *item;
    const dynbi_read_request *query;
    const dynbi_batch_request *batch;
    const dynbi_table_writes *writes;
    const dynbi_table_keys *keys;
    const char *text;
    size_t length;
    GOOD(PUT_ITEM, "{'TableName':'t','Item':{'a':{'S':'x'}},'ReturnValues':'ALL_OLD',"
                   "'ReturnConsumedCapacity':'INDEXES','ReturnItemCollectionMetrics':'SIZE',"
                   "'ReturnValuesOnConditionCheckFailure':'ALL_OLD'}");
    item = (const dynbi_item_request *)call.request;
    CHECK_INT(dynb_item_check(item->item, NULL), DYNB_OK);
    text = dynb_value_string(dynb_item_get(item->item, "a"), &length);
    CHECK(text && length == 1 && *text == 'x');
    CHECK_INT(item->return_values, 2);
    CHECK_INT(item->return_consumed_capacity, 1);
    CHECK_INT(item->return_item_collection_metrics, 1);
    GOOD(GET_ITEM, "{'TableName':'t','Key':{},'ConsistentRead':true}");
    item = (const dynbi_item_request *)call.request;
    CHECK(item->key.bytes != NULL && !item->item.bytes);
    CHECK_INT(item->consistent_read, DYNBI_TRUE);
    GOOD(QUERY, "{'TableName':'t','IndexName':'iii','Select':'COUNT','Limit':2,"
                "'ExclusiveStartKey':{'a':{'N':'1'}},'ScanIndexForward':false,"
                "'KeyConditionExpression':'a=:b','ExpressionAttributeNames':{'#a':'b\\u0000c',"
                "'#n':null},'ExpressionAttributeValues':{':b':{'N':'1'}},"
                "'ReturnConsumedCapacity':'NONE','ConsistentRead':'0'}");
    query = (const dynbi_read_request *)call.request;
    CHECK_INT(query->select, 4);
    CHECK_INT(query->limit.value, 2);
    CHECK_INT(query->return_consumed_capacity, 3);
    CHECK_INT(query->scan_index_forward, DYNBI_FALSE);
    CHECK_INT(query->consistent_read, DYNBI_FALSE);
    CHECK_TEXT(query->key_condition_expression, "a=:b");
    CHECK(dynb_item_get(query->expression_attribute_names, "#n").type == DYNB_TYPE_NONE);
    text = dynb_value_string(dynb_item_get(query->expression_attribute_names, "#a"), &length);
    CHECK(text && length == 3 && !memcmp(text, "b\0c", 3));
    CHECK_INT(dynb_item_get(query->expression_attribute_values, ":b").type, DYNB_N);
    CHECK_INT(dynb_item_get(query->exclusive_start_key, "a").type, DYNB_N);
    GOOD(SCAN, "{'TableName':'t','TotalSegments':1000000,'Segment':0}");
    query = (const dynbi_read_request *)call.request;
    CHECK_INT(query->total_segments.value, 1000000);
    CHECK(query->segment.is_set && !query->limit.is_set);
    GOOD(BATCH_WRITE_ITEM,
         "{'RequestItems':{'one':[{'PutRequest':{'Item':{'a':{'S':'x'}}}},{'DeleteRequest':"
         "{'Key':{'b':{'S':'y'}}}}],'t\\u0077o':[{}]}}");
    batch = (const dynbi_batch_request *)call.request;
    CHECK_INT(batch->request_items.count, 2);
    writes = (const dynbi_table_writes *)batch->request_items.elements;
    CHECK_TEXT(writes[0].table_name, "one");
    CHECK_TEXT(writes[1].table_name, "two");
    CHECK_INT(writes[0].writes.count, 2);
    CHECK(((const dynbi_write_request *)writes[0].writes.elements)[0].put->item.bytes != NULL);
    CHECK(((const dynbi_write_request *)writes[0].writes.elements)[1].remove->key.bytes != NULL);
    GOOD(BATCH_GET_ITEM, "{'RequestItems':{'one':{'Keys':[{'a':{'S':'x'}},{},{'b':{'N':'1'}}],"
                         "'ConsistentRead':true}}}");
    batch = (const dynbi_batch_request *)call.request;
    keys = (const dynbi_table_keys *)batch->request_items.elements;
    CHECK_INT(keys->keys->keys.count, 3);
    CHECK_INT(dynb_item_get(((const dynb_item *)keys->keys->keys.elements)[2], "b").type, DYNB_N);
    CHECK_INT(keys->keys->consistent_read, DYNBI_TRUE);
}

/* ------------------------------------------------------------- numbers -- */

typedef struct number_case {
    const char *text;
    int64_t whole;
    int64_t ms;
    int fits; /* bit 0: as a whole number, bit 1: times 1000 */
} number_case;

static void test_numbers(void)
{
    static const number_case cases[] = {
        {"0", 0, 0, 3},
        {"-0", 0, 0, 3},
        {"34.56", 34, 34560, 3},
        {"-34.56", -35, -34560, 3},
        {"-0.0001", -1, -1, 3},
        {"0.0001", 0, 0, 3},
        {"0.9999", 0, 999, 3},
        {"1489602797.149", 1489602797, 1489602797149, 3},
        {"1489602797.1499999999999999999999999999999999999", 1489602797, 1489602797149, 3},
        {"1.489602797149e9", 1489602797, 1489602797149, 3},
        {"14896027971490E-4", 1489602797, 1489602797149, 3},
        {"14896027971490E-04", 1489602797, 1489602797149, 3},
        {"1e+3", 1000, 1000000, 3},
        {"1e3", 1000, 1000000, 3},
        {"1e-400000000000000000000", 0, 0, 3},
        {"-1e-400000000000000000000", -1, -1, 3},
        {"0e400000000000000000000", 0, 0, 3},
        {"1e400000000000000000000", 0, 0, 0},
        {"0.000000000000000001e18", 1, 1000, 3},
        {"9223372036854775807", INT64_MAX, 0, 1},
        {"9223372036854775807.9", INT64_MAX, 0, 1},
        {"9223372036854775808", 0, 0, 0},
        {"-9223372036854775808", INT64_MIN, 0, 1},
        {"-9223372036854775808.1", 0, 0, 0},
        {"-9223372036854775809", 0, 0, 0},
        {"9223372036854775.807", 9223372036854775, INT64_MAX, 3},
        {"9223372036854775.808", 9223372036854775, 0, 1},
        {"-9223372036854775.808", -9223372036854776, INT64_MIN, 3},
        {"18446744073709551616", 0, 0, 0},
        {"100000000000000000000000000000000000000000000000", 0, 0, 0},
    };
    size_t i;
    for (i = 0; i < sizeof cases / sizeof *cases; ++i) {
        const number_case *c = &cases[i];
        dynbi_json_reader reader;
        dynbi_json_token token;
        int64_t out = 0;
        dynbi_json_start(&reader, c->text, strlen(c->text));
        CHECK_INT(dynbi_json_next(&reader, &token), DYNBI_JSON_NUMBER);
        CHECK_INT(dynbi_request_number(&token, 0, &out), c->fits & 1);
        if (c->fits & 1)
            CHECK_INT(out, c->whole);
        CHECK_INT(dynbi_request_number(&token, 1, &out), c->fits >> 1);
        if (c->fits & 2)
            CHECK_INT(out, c->ms);
    }
    GOOD(SCAN, "{'TableName':'t','Limit':2147483647}");
    BAD(SCAN, "{'TableName':'t','Limit':2147483648}", DYNB_SERIALIZATION,
        "NUMBER_VALUE cannot be converted to Integer");
    BAD(SCAN, "{'TableName':'t','Limit':-2147483649}", DYNB_SERIALIZATION,
        "NUMBER_VALUE cannot be converted to Integer");
    BAD(SCAN, "{'TableName':'t','Limit':-2147483648}", DYNB_VALIDATION,
        ONE AT("'-2147483648'", "limit") "Member must have value greater than or equal to 1");
    BAD(SCAN, "{'TableName':'t','Limit':-0.5}", DYNB_VALIDATION,
        ONE AT("'-1'", "limit") "Member must have value greater than or equal to 1");
    BAD(SCAN, "{'TableName':'t','Limit':1e30}", DYNB_SERIALIZATION,
        "DECIMAL_VALUE cannot be converted to Integer");
}

/* ---------------------------------------------------------- wrong types -- */

/* A member of each kind, and what each kind of token gives there; NULL: fine. */
typedef struct type_case {
    dynbi_shape_id shape;
    const char *before;
    const char *after;
    const char *wanted[7]; /* true 3 3.5 '23' [] {} false */
} type_case;

#define CANNOT(what, to) what "_VALUE cannot be converted to " to
#define START "Start of structure or map found where not expected"
#define FIELD "Unexpected field type"
#define PAYLOAD "Unexpected value type in payload"
#define CLASS "Unrecognized collection type class "
#define MODEL "com.amazonaws.dynamodb.v20120810."
#define MAP_OF(of) "Unrecognized collection type java.util.Map<java.lang.String, " of ">"

static void test_types(void)
{
    static const char *const tokens[7] = {"true", "3", "3.5", "'23'", "[]", "{}", "false"};
    static const type_case cases[] = {
        {DYNBI_SHAPE_DESCRIBE_BACKUP, "{'BackupArn':", "}",
         {CANNOT("TRUE", "String"), CANNOT("NUMBER", "String"), CANNOT("DECIMAL", "String"), NULL,
          CLASS "java.lang.String", START, CANNOT("FALSE", "String")}},
        {DYNBI_SHAPE_LIST_BACKUPS, "{'BackupType':", "}",
         {CANNOT("TRUE", "String"), CANNOT("NUMBER", "String"), CANNOT("DECIMAL", "String"),
          ONE AT("'23'", "backupType") "Member must satisfy enum value set: [USER, SYSTEM, "
                                       "AWS_BACKUP, ALL]",
          CLASS "java.lang.String", START, CANNOT("FALSE", "String")}},
        {DYNBI_SHAPE_LIST_BACKUPS, "{'Limit':", "}",
         {CANNOT("TRUE", "Integer"), NULL, NULL, CANNOT("STRING", "Integer"),
          CLASS "java.lang.Integer", START, CANNOT("FALSE", "Integer")}},
        {DYNBI_SHAPE_LIST_BACKUPS, "{'TimeRangeLowerBound':", "}",
         {CANNOT("TRUE", "Date"), NULL, NULL, CANNOT("STRING", "Date"), CLASS "java.util.Date",
          START, CANNOT("FALSE", "Date")}},
        {DYNBI_SHAPE_ON_DEMAND, "{'MaxReadRequestUnits':", "}",
         {CANNOT("TRUE", "Long"), NULL, NULL, CANNOT("STRING", "Long"), CLASS "java.lang.Long",
          START, CANNOT("FALSE", "Long")}},
        {DYNBI_SHAPE_ENCRYPTION, "{'Enabled':", "}",
         {NULL, CANNOT("NUMBER", "Boolean"), CANNOT("DECIMAL", "Boolean"),
          "Unexpected token received from parser", CLASS "java.lang.Boolean", START, NULL}},
        {DYNBI_SHAPE_TAGS, "", "", {NULL}}, /* ends the structures' part */
        {DYNBI_SHAPE_CREATE_TABLE, "{'TableName':'ttt','Tags':", "}",
         {FIELD, FIELD, FIELD, FIELD, NULL, START, FIELD}},
        {DYNBI_SHAPE_CREATE_TABLE, "{'TableName':'ttt','Tags':[", "]}",
         {PAYLOAD, PAYLOAD, PAYLOAD, PAYLOAD, CLASS MODEL "Tag",
          "2 validation errors detected: " AT("null", "tags.1.member.key")
              NOT_NULL "; " AT("null", "tags.1.member.value") NOT_NULL,
          PAYLOAD}},
        {DYNBI_SHAPE_CREATE_TABLE, "{'TableName':'ttt','StreamSpecification':", "}",
         {FIELD, FIELD, FIELD, FIELD, CLASS MODEL "StreamSpecification",
          ONE AT("null", "streamSpecification.streamEnabled") NOT_NULL, FIELD}},
        {DYNBI_SHAPE_CREATE_TABLE, "{'TableName':'ttt','WarmThroughput':", "}",
         {FIELD, FIELD, FIELD, FIELD, CLASS MODEL "WarmThroughput",
          "The parameter 'WarmThroughput' is not supported by this version of dynbackup", FIELD}},
        {DYNBI_SHAPE_CREATE_TABLE, "{'TableName':'ttt','VectorIndexes':", "}",
         {FIELD, FIELD, FIELD, FIELD,
          "The parameter 'VectorIndexes' is not supported by this version of dynbackup", START,
          FIELD}},
        {DYNBI_SHAPE_PUT_ITEM, "{'TableName':'t','Item':", "}",
         {FIELD, FIELD, FIELD, FIELD, MAP_OF(MODEL "AttributeValue"), NULL, FIELD}},
        {DYNBI_SHAPE_PUT_ITEM, "{'TableName':'t','Item':{'a':{'S':'x'}},'Expected':", "}",
         {FIELD, FIELD, FIELD, FIELD, MAP_OF(MODEL "Condition"),
          "The parameter 'Expected' is not supported by this version of dynbackup", FIELD}},
        {DYNBI_SHAPE_QUERY, "{'TableName':'t','ExpressionAttributeNames':", "}",
         {FIELD, FIELD, FIELD, FIELD, MAP_OF("java.lang.String"), NULL, FIELD}},
        {DYNBI_SHAPE_QUERY, "{'TableName':'t','ExpressionAttributeNames':{'#a':", "}}",
         {CANNOT("TRUE", "String"), CANNOT("NUMBER", "String"), CANNOT("DECIMAL", "String"), NULL,
          CLASS "java.lang.String", START, CANNOT("FALSE", "String")}},
        {DYNBI_SHAPE_BATCH_WRITE_ITEM, "{'RequestItems':", "}",
         {FIELD, FIELD, FIELD, FIELD, MAP_OF("java.util.List<" MODEL "WriteRequest>"), NULL,
          FIELD}},
        {DYNBI_SHAPE_BATCH_GET_ITEM, "{'RequestItems':{'t':", "}}",
         {PAYLOAD, PAYLOAD, PAYLOAD, PAYLOAD, CLASS MODEL "KeysAndAttributes",
          ONE "Value at 'RequestItems.t.member.Keys' failed to satisfy constraint: " NOT_NULL,
          PAYLOAD}},
        {DYNBI_SHAPE_BATCH_GET_ITEM, "{'RequestItems':{'t':{'Keys':[", "]}}}",
         {FIELD, FIELD, FIELD, FIELD, MAP_OF(MODEL "AttributeValue"), NULL, FIELD}},
        {DYNBI_SHAPE_LIST_TABLES, "", "",
         {PAYLOAD, PAYLOAD, PAYLOAD, PAYLOAD, CLASS MODEL "ListTablesInput", NULL, PAYLOAD}},
    };
    size_t i;
    int k;
    for (i = 0; i < sizeof cases / sizeof *cases; ++i) {
        const type_case *c = &cases[i];
        for (k = 0; k < 7 && c->shape != DYNBI_SHAPE_TAGS; ++k) {
            char text[300];
            dynb_rc rc;
            (void)snprintf(text, sizeof text, "%s%s%s", c->before, tokens[k], c->after);
            rc = read_text(c->shape, text);
            if (c->wanted[k]) {
                CHECK_INT(rc, strstr(c->wanted[k], "validation error") ||
                                      strstr(c->wanted[k], "The parameter")
                                  ? DYNB_VALIDATION
                                  : DYNB_SERIALIZATION);
                CHECK_TEXT(err.message, c->wanted[k]);
            } else {
                CHECK_INT(rc, DYNB_OK);
            }
        }
    }
}

/* ----------------------------------------------------------- violations -- */

static void test_violations(void)
{
    BAD(CREATE_BACKUP, "{'TableName':'','BackupName':''}", DYNB_VALIDATION,
        "4 validation errors detected: " AT("''", "tableName") PLAIN "; " AT(
            "''", "tableName") "Member must have length greater than or equal to 3; "
                               AT("''", "backupName") PLAIN "; " AT("''", "backupName")
                                   "Member must have length greater than or equal to 3");
    CHECK_INT(read_text(DYNBI_SHAPE_DESCRIBE_TABLE, "{'TableName':'a\\u0000bc'}"),
              DYNB_VALIDATION);
    CHECK(call.message && !memcmp(call.message + sizeof ONE - 1, "Value 'a\0bc' at", 15));
    BAD(TAG_RESOURCE, "{'ResourceArn':'x','Tags':[{'Key':'\\u00e9\\u20ac\\ud83d\\ude00','Value':"
                      "'v'},{'Key':'','Value':'v'}]}",
        DYNB_VALIDATION,
        ONE AT("''", "tags.2.member.key") "Member must have length greater than or equal to 1");
    CHECK_INT(read_text(DYNBI_SHAPE_TAG, "{'Key':'a\\u0000','Value':'v'}"), DYNB_VALIDATION);
    CHECK(strstr(call.message, "Value 'a") != NULL);
    CHECK(!memcmp(call.message + call.message_length - 44,
                  "Member must not contain the character U+0000", 44));
    /* several forms of one string: the same */
    GOOD(DESCRIBE_TABLE, "{'T\\u0061bleN\\u0061me':'\\u0061bc'}");
    CHECK_TEXT(((const dynbi_named_request *)call.request)->table_name, "abc");
    /* what is printed */
    BAD(CREATE_TABLE, "{'TableName':'ttt','KeySchema':[ {'a\\n' : [1, -2.5, 1e99], 'b':null}, true"
                      " ,{ } ]}",
        DYNB_SERIALIZATION, PAYLOAD);
    BAD(BATCH_GET_ITEM, "{'RequestItems':{'':{'Keys':[{'a':{'S':'x\\n'}}, {}],'x':[1,-2.5,1e99,"
                        "[],null,true]}}}",
        DYNB_VALIDATION,
        ONE AT("'{={Keys=[{a={S=x\n}}, {}], x=[1, -3, 1e99, [], null, true]}}'", "requestItems")
            "Map keys must satisfy constraint: [Member must have length less than or equal to 255, "
            "Member must have length greater than or equal to 1, " PLAIN "]");
    BAD(BATCH_WRITE_ITEM, "{'RequestItems':{'':[],'a b':[]}}", DYNB_VALIDATION,
        ONE AT("'{=[], a b=[]}'", "requestItems")
            "Map keys must satisfy constraint: [Member must have length less than or equal to 255, "
            "Member must have length greater than or equal to 1, " PLAIN "]");
    BAD(UNTAG_RESOURCE, "{'ResourceArn':'x','TagKeys':['',null,'']}", DYNB_VALIDATION,
        "2 validation errors detected: " AT("'[, null, ]'", "tagKeys")
            "Member must satisfy constraint: [Member must have length less than or equal to 128, "
            "Member must have length greater than or equal to 1]; " AT("null", "tagKeys.2.member")
                NOT_NULL);
    CHECK_INT(read_text(DYNBI_SHAPE_UNTAG_RESOURCE, "{'ResourceArn':'x','TagKeys':['\\u0000']}"),
              DYNB_VALIDATION);
    CHECK(strstr(call.message + sizeof ONE - 1 + 8, "' at 'tagKeys.1.member' ") != NULL);
}

/* A member that comes again takes with it all that was wrong before. */
static void test_twice(void)
{
    const dynbi_batch_request *batch;
    const dynbi_table_writes *writes;
    GOOD(CREATE_BACKUP, "{'TableName':'abc','BackupName':'','BackupName':'abc'}");
    BAD(CREATE_BACKUP, "{'TableName':'abc','BackupName':'abc','BackupName':null}",
        DYNB_VALIDATION, ONE AT("null", "backupName") NOT_NULL);
    BAD(CREATE_BACKUP, "{'TableName':'ab','BackupName':'','TableName':'abc','BackupName':'x'}",
        DYNB_VALIDATION,
        ONE AT("'x'", "backupName") "Member must have length greater than or equal to 3");
    GOOD(CREATE_TABLE, "{'TableName':'abc','Tags':[{},{'Key':''}],'KeySchema':[],'Tags':[],"
                       "'KeySchema':null}");
    CHECK(!((const dynbi_table_request *)call.request)->key_schema.is_set);
    CHECK(((const dynbi_table_request *)call.request)->tags.is_set);
    GOOD(CREATE_TABLE, "{'TableName':'abc','WarmThroughput':{},'WarmThroughput':null}");
    GOOD(CREATE_TABLE, "{'TableName':'abc','BillingMode':'PROVISIONED','BillingMode':null,"
                       "'DeletionProtectionEnabled':true,'DeletionProtectionEnabled':null}");
    CHECK_INT(((const dynbi_table_request *)call.request)->billing_mode, 0);
    CHECK_INT(((const dynbi_table_request *)call.request)->deletion_protection_enabled, 0);
    GOOD(PUT_ITEM, "{'TableName':'abc','Item':{'a':{}},'Item':{'a':{'S':'x'}}}");
    BAD(PUT_ITEM, "{'TableName':'abc','Item':{'a':{}},'ExpressionAttributeValues':{':a':{}},"
                  "'ExpressionAttributeValues':null}",
        DYNB_VALIDATION,
        "Supplied AttributeValue is empty, must contain exactly one of the supported datatypes");
    GOOD(QUERY, "{'TableName':'t','ExpressionAttributeNames':{'#a':'x'},"
                "'ExpressionAttributeNames':null,'Limit':1,'Limit':null}");
    CHECK(!((const dynbi_read_request *)call.request)->expression_attribute_names.bytes);
    CHECK(!((const dynbi_read_request *)call.request)->limit.is_set);
    GOOD(BATCH_WRITE_ITEM, "{'RequestItems':{'one':[],'two':[{'PutRequest':{}}],'one':[{}],"
                           "'two':[{},{}]}}");
    batch = (const dynbi_batch_request *)call.request;
    CHECK_INT(batch->request_items.count, 2);
    writes = (const dynbi_table_writes *)batch->request_items.elements;
    CHECK_INT(writes[0].writes.count, 1);
    CHECK_INT(writes[1].writes.count, 2);
    /* of what is refused the first of the table is told */
    BAD(PUT_ITEM, "{'TableName':'abc','Item':{},'ConditionExpression':'x','Expected':{}}",
        DYNB_VALIDATION, "The parameter 'Expected' is not supported by this version of dynbackup");
    BAD(PUT_ITEM, "{'TableName':'abc','Item':{},'Expected':{},'ConditionExpression':'x'}",
        DYNB_VALIDATION, "The parameter 'Expected' is not supported by this version of dynbackup");
    BAD(PUT_ITEM, "{'TableName':'abc','Item':{},'ExpressionAttributeNames':{'#a':'a'}}",
        DYNB_VALIDATION, "ExpressionAttributeNames can only be specified when using expressions");
    BAD(DELETE_ITEM, "{'TableName':'abc','Key':{},'ExpressionAttributeValues':{}}",
        DYNB_VALIDATION,
        "ExpressionAttributeValues can only be specified when using expressions: "
        "ConditionExpression is null");
}

/* What comes first: types, then shapes, then values, then what is refused. */
static void test_order(void)
{
    BAD(PUT_ITEM, "{'Item':{'a':{}},'ConditionExpression':3}", DYNB_SERIALIZATION,
        CANNOT("NUMBER", "String"));
    BAD(PUT_ITEM, "{'Item':{'a':{}},'ConditionExpression':'x'}", DYNB_VALIDATION,
        ONE AT("null", "tableName") NOT_NULL);
    BAD(PUT_ITEM, "{'TableName':'t','Item':{'a':{},'b':{'N':'x'}},'ConditionExpression':'x'}",
        DYNB_VALIDATION,
        "Supplied AttributeValue is empty, must contain exactly one of the supported datatypes");
    CHECK_TEXT(err.path, "a");
    BAD(PUT_ITEM, "{'TableName':'t','Item':{'a':{}},'ExpressionAttributeValues':{':a':{'S':1}}}",
        DYNB_SERIALIZATION, CANNOT("NUMBER", "String"));
    BAD(PUT_ITEM, "{'TableName':'t','Item':{'a':{}},'ExpressionAttributeNames':{'':'x','':'y'}}",
        DYNB_VALIDATION,
        "Supplied AttributeValue is empty, must contain exactly one of the supported datatypes");
    CHECK_INT(read_text(DYNBI_SHAPE_QUERY, "{'TableName':'t','ExpressionAttributeNames':{'#a':'x',"
                                           "'#a':'y'}}"),
              DYNB_VALIDATION);
    CHECK_INT(read_text(DYNBI_SHAPE_QUERY, "{'TableName':'t','ExpressionAttributeNames':{'#a':'x',"
                                           "'#a':'y'},'ExpressionAttributeValues':{':a':{}}}"),
              DYNB_VALIDATION);
    BAD(CREATE_TABLE, "{'WarmThroughput':{}}", DYNB_VALIDATION,
        "The parameter 'TableName' is required but was not present in the request");
    BAD(CREATE_TABLE, "{'KeySchema':[]}", DYNB_VALIDATION,
        ONE AT("'[]'", "keySchema") "Member must have length greater than or equal to 1");
}

/* -------------------------------------------------------- hostile texts -- */

/* prefix, piece count times, suffix; in a block of its own. */
static char *repeated(const char *prefix, const char *piece, size_t count, const char *suffix,
                      size_t *length)
{
    size_t piece_length = strlen(piece), i;
    char *text, *at;
    *length = strlen(prefix) + count * piece_length + strlen(suffix);
    text = (char *)malloc(*length + 1);
    at = text + strlen(prefix);
    memcpy(text, prefix, strlen(prefix));
    for (i = 0; i < count; ++i, at += piece_length)
        memcpy(at, piece, piece_length);
    memcpy(at, suffix, strlen(suffix) + 1);
    for (i = 0; i < *length; ++i)
        text[i] = text[i] == '\'' ? '"' : text[i];
    return text;
}

static dynb_rc read_repeated(dynbi_shape_id shape, const char *prefix, const char *piece,
                             size_t count, const char *suffix)
{
    size_t length;
    char *text = repeated(prefix, piece, count, suffix, &length);
    dynb_rc rc = read_sized(shape, text, length);
    free(text);
    return rc;
}

static void test_hostile(void)
{
    const size_t mega = (size_t)check_scaled(16) << 20;
    static char wanted[4096];
    /* long strings are cut in messages, at a whole character */
    CHECK_INT(read_repeated(DYNBI_SHAPE_DESCRIBE_TABLE, "{'TableName':'", "nnnn", mega / 4, "'}"),
              DYNB_VALIDATION);
    CHECK(call.message_length < 2300 && strlen(call.message) == call.message_length);
    strcpy(wanted, ONE "Value '");
    memset(wanted + strlen(ONE "Value '"), 'n', 2048);
    strcpy(wanted + strlen(ONE "Value '") + 2048,
           "' at 'tableName' failed to satisfy constraint: Member must have length less than or "
           "equal to 255");
    CHECK_TEXT(call.message, wanted);
    CHECK_INT(read_repeated(DYNBI_SHAPE_DESCRIBE_TABLE, "{'TableName':'x", "\xe2\x82\xac", 1000,
                            "'}"),
              DYNB_VALIDATION);
    CHECK(strstr(call.message, "\xe2\x82\xac' at 'tableName'") != NULL);
    CHECK_INT(read_repeated(DYNBI_SHAPE_DESCRIBE_TABLE, "{'TableName':'x", "\\u20ac", 1000, "'}"),
              DYNB_VALIDATION);
    CHECK(strstr(call.message, "\xe2\x82\xac' at 'tableName'") != NULL);
    /* a path that is too long is cut, too */
    CHECK_INT(read_repeated(DYNBI_SHAPE_BATCH_GET_ITEM, "{'RequestItems':{'", "n", 5000, "':{}}}"),
              DYNB_VALIDATION);
    CHECK(call.message_length < 16000);
    /* lists of all lengths */
    CHECK_INT(read_repeated(DYNBI_SHAPE_TAG_RESOURCE, "{'ResourceArn':'x','Tags':[",
                            "{'Key':'k','Value':'v'},", 255, "{'Key':'k','Value':'v'}]}"),
              DYNB_OK);
    CHECK_INT(((const dynbi_tags_request *)call.request)->tags.count, 256);
    CHECK_INT(read_repeated(DYNBI_SHAPE_TAG_RESOURCE, "{'ResourceArn':'x','Tags':[",
                            "{'Key':'k','Value':'v'},", mega / 24, "{'Key':'k','Value':'v'}]}"),
              DYNB_VALIDATION);
    CHECK(strstr(call.message, "' at 'tags' failed to satisfy constraint: Member must have length "
                               "less than or equal to 256") != NULL);
    CHECK(memory_kit.peak_bytes < 1u << 17 || mega > 0);
    CHECK_INT(read_repeated(DYNBI_SHAPE_TAG_RESOURCE, "{'ResourceArn':'x','Tags':[", "{},", 300,
                            "{]}"),
              DYNB_SERIALIZATION);
    CHECK_INT(read_repeated(DYNBI_SHAPE_BATCH_WRITE_ITEM, "{'RequestItems':{", "'a':[{}],", 100000,
                            "'b':[{}]}}"),
              DYNB_OK);
    CHECK_INT(((const dynbi_batch_request *)call.request)->request_items.count, 2);
    /* violations: ten are told, whatever is wrong */
    CHECK_INT(read_repeated(DYNBI_SHAPE_CREATE_TABLE, "{'TableName':'abc','Tags':[", "{},", 100,
                            "{}]}"),
              DYNB_VALIDATION);
    CHECK(!strncmp(call.message, "10 validation errors detected: ", 31));
    CHECK(strlen(err.message) < sizeof err.message);
    /* a member again and again */
    CHECK_INT(read_repeated(DYNBI_SHAPE_LIST_TABLES, "{", "'Limit':0,", mega / 20, "'Limit':1}"),
              DYNB_OK);
    CHECK_INT(read_repeated(DYNBI_SHAPE_LIST_TABLES, "{'x':", "[", 127, ""), DYNB_SERIALIZATION);
    CHECK_INT(read_repeated(DYNBI_SHAPE_PUT_ITEM, "{'TableName':'t','Item':{'a':",
                            "{'M':{'a':", 40, "3}"),
              DYNB_SERIALIZATION);
    CHECK_INT(read_repeated(DYNBI_SHAPE_QUERY, "{'TableName':'t','ExpressionAttributeNames':{'#",
                            "n", 70000, "':'x'}}"),
              DYNB_VALIDATION);
    /* names longer than any of ours, with escapes */
    CHECK_INT(read_repeated(DYNBI_SHAPE_LIST_TABLES, "{'", "\\u0061", 100, "':1}"), DYNB_OK);
    CHECK_INT(read_repeated(DYNBI_SHAPE_LIST_TABLES, "{'\\u004c", "imit", 1, "':0}"),
              DYNB_VALIDATION);
}

/* More entries than are kept: 257 tables. */
static void test_entries(void)
{
    char *text = (char *)malloc(1 << 16), *at = text;
    int i, round;
    for (round = 0; round < 2; ++round) {
        at = text + sprintf(text, "{\"RequestItems\":{");
        for (i = 0; i < 300; ++i)
            at += sprintf(at, "\"table%d\":[{}],", i);
        at += sprintf(at, round ? "\"z\":[" : "\"z\":[{}]}}");
        CHECK_INT(read_sized(DYNBI_SHAPE_BATCH_WRITE_ITEM, text, (size_t)(at - text)),
                  round ? DYNB_SERIALIZATION : DYNB_VALIDATION);
    }
    free(text);
}

/* ------------------------------------------------------------- tables -- */

/* The tables are what they are meant to be: no row is lost or too long. */
static void test_rows(void)
{
    uint32_t i, row;
    CHECK_INT(sizeof dynbi_members / sizeof *dynbi_members, DYNBI_ROW_COUNT);
    CHECK_INT(sizeof dynbi_shapes / sizeof *dynbi_shapes, DYNBI_SHAPE_COUNT);
    CHECK_INT(sizeof dynbi_operations / sizeof *dynbi_operations, DYNB_OPERATION_COUNT);
    for (row = 0; row < DYNBI_ROW_COUNT; ++row) {
        const dynbi_member *m = &dynbi_members[row];
        const dynbi_shape *owner = &dynbi_shapes[m->owner];
        CHECK_INT(strlen(dynbi_member_name(m)), m->name_length);
        CHECK_INT(owner->kind, DYNBI_KIND_STRUCT);
        if (!m->name_length) {
            CHECK_INT(owner->first_row, row + 1);
            continue;
        }
        CHECK(row >= owner->first_row && row - owner->first_row < 64);
        CHECK(m->offset == DYNBI_NOWHERE ||
              m->offset + dynbi_request_size(&dynbi_shapes[m->shape]) <= owner->size);
        CHECK((m->check == DYNBI_MEMBER_REFUSED) <= (m->offset == DYNBI_NOWHERE));
    }
    for (i = 1; i < sizeof dynbi_names; i += (uint32_t)strlen(DYNBI_TEXT_AT(dynbi_names, i)) + 1) {
        for (row = 0; row < DYNBI_ROW_COUNT && dynbi_members[row].name_pos != i; ++row)
            ;
        CHECK(row < DYNBI_ROW_COUNT); /* no name is nobody's */
    }
    for (i = 0; i < DYNB_OPERATION_COUNT; ++i) {
        CHECK_INT(dynbi_operation_find(dynbi_operations[i].name), i);
        CHECK_INT(dynbi_shapes[dynbi_operations[i].shape].kind, DYNBI_KIND_STRUCT);
    }
    CHECK_INT(dynbi_operation_find("UpdateItem"), DYNB_OPERATION_COUNT);
    CHECK_INT(dynbi_operation_find(""), DYNB_OPERATION_COUNT);
}

/* ------------------------------------------------------------- memory -- */

/* Each allocation fails once: NO_MEMORY, and nothing leaks. */
static void test_no_memory(void)
{
    static const char *const texts[] = {
        "{'TableName':'ttt','AttributeDefinitions':[{'AttributeName':'a','AttributeType':'S'}],"
        "'KeySchema':[{'AttributeName':'a','KeyType':'HASH'}],'BillingMode':'PROVISIONED',"
        "'DeletionProtectionEnabled':'true','StreamSpecification':{'StreamEnabled':true},"
        "'GlobalSecondaryIndexes':[{'IndexName':'x'},{},{}],'Tags':[{},{},{},{},{}]}",
        "{'RequestItems':{'t':[{'PutRequest':{'Item':{'a\\n':{'S':'x\\n'}}}},{}],'u':[],'':[]}}",
        "{'TableName':'t','ExpressionAttributeNames':{'#a':'b','#c':'d'},"
        "'ExpressionAttributeValues':{':a':{'S':'x'}},'Limit':1}",
        "{'TableName':'t','ExpressionAttributeNames':{'#a':'b'},'ConsistentRead':'no'}",
        "{'RequestItems':{'t':{'Keys':[{'a':{'S':'x'}},{'a':{'S':'y'}}]}}}",
    };
    static const dynbi_shape_id shapes[] = {DYNBI_SHAPE_CREATE_TABLE, DYNBI_SHAPE_BATCH_WRITE_ITEM,
                                            DYNBI_SHAPE_QUERY, DYNBI_SHAPE_QUERY,
                                            DYNBI_SHAPE_BATCH_GET_ITEM};
    size_t i, first;
    for (i = 0; i < sizeof texts / sizeof *texts; ++i) {
        /* with less and less of the memory that needs no allocation */
        for (first = 0; first <= 1024; first += 8) {
            uint64_t fail_at;
            for (fail_at = 1; fail_at < 50; ++fail_at) {
                size_t length = strlen(texts[i]), k;
                char text[600];
                dynb_rc rc;
                for (k = 0; k < length; ++k)
                    text[k] = texts[i][k] == '\'' ? '"' : texts[i][k];
                dynbi_call_free(&memory);
                memory.allocator = fault_allocator_of(&memory_kit);
                memory.at = memory.first.bytes;
                memory.left_bytes = first;
                memset(&call, 0, sizeof call);
                memset(&err, 0, sizeof err);
                call.memory = &memory;
                call.err = &err;
                memory_kit.call_count = 0;
                memory_kit.fail_at = fail_at;
                rc = dynbi_request_read(&call, shapes[i], text, length);
                memory_kit.fail_at = 0;
                if (memory_kit.call_count < fail_at)
                    break;
                CHECK_INT(rc, DYNB_NO_MEMORY);
                CHECK_INT(err.code, DYNB_NO_MEMORY);
            }
            CHECK(fail_at < 50);
        }
    }
    memset(&call, 0, sizeof call);
    call.memory = &memory;
    call.err = &err;
    CHECK(!dynbi_call_take(&call, (size_t)-1));
    CHECK_INT(err.code, DYNB_NO_MEMORY);
    dynbi_call_free(&memory);
}

/* ------------------------------------------------------------ dynb_call -- */

static dynb_rc call_db(dynb *db, const char *operation, const char *text, dynb_result *result,
                       dynb_response *out)
{
    size_t length = strlen(text), i;
    char *json = (char *)malloc(length + 1);
    dynb_rc rc;
    for (i = 0; i < length; ++i)
        json[i] = text[i] == '\'' ? '"' : text[i];
    rc = dynb_call(db, operation, json, length, result, out, &err);
    CHECK_INT(err.code, rc);
    free(json);
    return rc;
}

static dynb *open_memory(fault_allocator *allocator)
{
    dynb_config config;
    dynb *db;
    memset(&config, 0, sizeof config);
    if (allocator)
        config.allocator = fault_allocator_of(allocator);
    config.manual_work = 1;
    MUST(dynb_open(&db, NULL, &config, &kit_err));
    MUST(kit_create_table(db, "Orders", NULL));
    return db;
}

static void test_call_arguments(void)
{
    dynb_response out;
    dynb_result result;
    memset(&result, 0, sizeof result);
    CHECK_INT(dynb_call(NULL, "ListTables", "{}", 2, &result, NULL, NULL), DYNB_INVALID_ARGUMENT);
    CHECK_INT(dynb_call(NULL, NULL, "{}", 2, &result, &out, &err), DYNB_UNKNOWN_OPERATION);
    CHECK_INT(out.http_status, 400);
    CHECK_TEXT(out.body, "{\"__type\":\"com.amazon.coral.service#UnknownOperationException\"}");
    CHECK_INT(dynb_call(NULL, NULL, "{", 1, &result, &out, &err), DYNB_SERIALIZATION);
    CHECK_INT(dynb_call(NULL, "ListTables", "{}", 2, NULL, &out, &err), DYNB_INVALID_ARGUMENT);
    CHECK_TEXT(err.message, "result is NULL");
    CHECK_INT(dynb_call(NULL, "ListTables", NULL, 2, &result, &out, &err), DYNB_INVALID_ARGUMENT);
    CHECK_TEXT(err.message, "json is NULL");
    /* without a handle: what is known without one */
    CHECK_INT(call_db(NULL, "ListTables", "{'Limit':0}", &result, &out), DYNB_INVALID_ARGUMENT);
    CHECK_TEXT(err.message, "db is NULL");
    CHECK_INT(call_db(NULL, "ListTables", "{'Limit':0", &result, &out), DYNB_SERIALIZATION);
    CHECK_TEXT(out.body, "{\"__type\":\"com.amazon.coral.service#SerializationException\"}");
    CHECK_INT(call_db(NULL, "Nonsense", "{'Limit':0", &result, &out), DYNB_SERIALIZATION);
    CHECK_INT(call_db(NULL, "Nonsense", "[]", &result, &out), DYNB_UNKNOWN_OPERATION);
    CHECK_TEXT(out.body, "{\"__type\":\"com.amazon.coral.service#UnknownOperationException\"}");
    CHECK_INT(dynb_call(NULL, "Nonsense", NULL, 0, &result, &out, NULL), DYNB_UNKNOWN_OPERATION);
    CHECK_INT(dynb_call(NULL, "ListTables", NULL, 0, &result, &out, NULL), DYNB_SERIALIZATION);
    CHECK_INT(out.http_status, 400);
    dynb_result_free(&result);
}

/* Every code in its namespace, with its key; and each operation fails on
 * demand, those without a C function too. */
static void test_call_errors(void)
{
    static const char *const service[] = {"SerializationException", "UnknownOperationException",
                                          "AccessDeniedException"};
    dynb *db = open_memory(NULL);
    dynb_response out;
    dynb_result result;
    unsigned code;
    memset(&result, 0, sizeof result);
    for (code = 1; code < DYNB_ERROR_COUNT; ++code) {
        const char *name = dynb_rc_exception((dynb_rc)code), *space;
        char wanted[256];
        int is_service = 0, i;
        for (i = 0; i < 3; ++i)
            is_service = is_service || !strcmp(name, service[i]);
        space = is_service ? "com.amazon.coral.service"
                : !strcmp(name, "ValidationException") ? "com.amazon.coral.validate"
                : !strcmp(name, "ThrottlingException") ? "com.amazon.coral.availability"
                                                       : "com.amazonaws.dynamodb.v20120810";
        MUST(dynb_fail_next_calls(db, DYNB_OP_DESCRIBE_ENDPOINTS, (dynb_rc)code, 1, &kit_err));
        CHECK_INT(call_db(db, "DescribeEndpoints", "{}", &result, &out), code);
        CHECK_INT(out.http_status, dynb_rc_http_status((dynb_rc)code));
        if (code == DYNB_UNKNOWN_OPERATION)
            (void)snprintf(wanted, sizeof wanted, "{\"__type\":\"%s#%s\"}", space, name);
        else
            (void)snprintf(wanted, sizeof wanted, "{\"__type\":\"%s#%s\",\"%s\":\"%s\"}",
                           space, name, is_service ? "Message" : "message",
                           dynb_rc_text((dynb_rc)code));
        CHECK_TEXT(out.body, wanted);
        CHECK_INT(out.body_size, strlen(wanted));
        CHECK_INT(call_db(db, "DescribeEndpoints", "{}", &result, &out), DYNB_OK);
    }
    /* malformed where a name of a map should stand */
    CHECK_INT(call_db(db, "Query", "{'TableName':'t','ExpressionAttributeNames':{'#a':'x',}}",
                      &result, &out), DYNB_SERIALIZATION);
    CHECK_TEXT(out.body, "{\"__type\":\"com.amazon.coral.service#SerializationException\"}");
    /* a request that is wrong is told first, and leaves the failure for the next */
    MUST(dynb_fail_next_calls(db, DYNB_OP_DESCRIBE_LIMITS, DYNB_THROTTLING, 1, &kit_err));
    CHECK_INT(call_db(db, "DescribeLimits", "[]", &result, &out), DYNB_SERIALIZATION);
    CHECK_INT(call_db(db, "DescribeLimits", "{}", &result, &out), DYNB_THROTTLING);
    CHECK_INT(call_db(db, "DescribeLimits", "{}", &result, &out), DYNB_OK);
    dynb_result_free(&result);
    MUST(dynb_close(db, &kit_err));
}

/* Each allocation of a call fails once: what was asked for is done or not, the
 * answer says NO_MEMORY, and nothing leaks. */
static void test_call_memory(void)
{
    static const char *const calls[][2] = {
        {"PutItem", "{'TableName':'Orders','Item':{'Id':{'S':'a'},'v':{'B':'AAAA'}}}"},
        {"GetItem", "{'TableName':'Orders','Key':{'Id':{'S':'a'}}}"},
        {"DescribeTable", "{'TableName':'Orders'}"},
        {"DescribeTable", "{'TableName':'no'}"},
        {"DescribeTable", "{'TableName':'no"},
        {"Nonsense", "{}"},
    };
    static fault_allocator allocator;
    dynb *db = open_memory(&allocator);
    dynb_response out;
    size_t i;
    for (i = 0; i < sizeof calls / sizeof *calls; ++i) {
        uint64_t fail_at;
        for (fail_at = 1; fail_at < 100; ++fail_at) {
            dynb_result result;
            dynb_rc rc;
            memset(&result, 0, sizeof result);
            allocator.call_count = 0;
            allocator.failed_count = 0;
            allocator.fail_at = fail_at;
            rc = call_db(db, calls[i][0], calls[i][1], &result, &out);
            allocator.fail_at = 0;
            CHECK(out.body && !out.body[out.body_size]);
            CHECK_INT(out.http_status, dynb_rc_http_status(rc));
            if (rc == DYNB_NO_MEMORY)
                CHECK(strstr(out.body, "v20120810#InternalServerError") != NULL);
            dynb_result_free(&result);
            if (!allocator.failed_count)
                break;
        }
        CHECK(fail_at > 1 && fail_at < 100);
    }
    CHECK_INT(allocator.broken_count, 0);
    MUST(dynb_close(db, &kit_err));
    CHECK_INT(allocator.live_bytes, 0);
}

/* A result serves call after call, also of another handle, and outlives both. */
static void test_call_result(void)
{
    static fault_allocator allocator;
    dynb *db = open_memory(&allocator), *other = open_memory(NULL);
    dynb_response out;
    dynb_result result;
    int i;
    memset(&result, 0, sizeof result);
    for (i = 0; i < 3; ++i) {
        CHECK_INT(call_db(i % 2 ? other : db, "ListTables", "{}", &result, &out), DYNB_OK);
        CHECK_TEXT(out.body, "{\"TableNames\":[\"Orders\"]}");
        CHECK(result.allocator.ctx == &allocator);
    }
    MUST(dynb_close(db, &kit_err));
    MUST(dynb_close(other, &kit_err));
    CHECK_TEXT(out.body, "{\"TableNames\":[\"Orders\"]}");
    dynb_result_free(&result);
    CHECK_INT(allocator.live_bytes, 0);
}

int main(void)
{
    test_call_arguments();
    test_call_errors();
    test_call_memory();
    test_call_result();
    test_tables();
    test_other_tables();
    test_backups();
    test_items();
    test_numbers();
    test_types();
    test_violations();
    test_twice();
    test_order();
    test_hostile();
    test_entries();
    test_rows();
    test_no_memory();
    dynbi_call_free(&memory);
    CHECK_INT(memory_kit.live_bytes, 0);
    return check_report("unit_request");
}
