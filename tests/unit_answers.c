/* unit_answers.c - section 25: what handlers of the control plane and of backups
 * make of a request that was read, and the text of their answers, member for
 * member. Requests are filled in by hand here; test_call_tables.c sends JSON. */
#include "store.h"

/* ---------------------------------------------------------------- the kit -- */

typedef dynb_rc (*handler_fn)(dynbi_call *call);

static char answer[32768];

/* Random parts of ids are not compared: TableId is ID, a backup's id ends -x. */
static void normalize(char *text)
{
    char *at = text;
    while ((at = strstr(at, "'TableId':'")) != NULL) {
        at += 11;
        memmove(at + 2, at + 36, strlen(at + 36) + 1);
        memcpy(at, "ID", 2);
    }
    at = text;
    while ((at = strstr(at, "/backup/")) != NULL) {
        at += 8 + 14 + 1;
        if (memcmp(at, "00000000", 8) == 0)
            continue;
        memmove(at + 1, at + 8, strlen(at + 8) + 1);
        *at = 'x';
    }
}

/* The answer, with ' for ", is in `answer`. */
static dynb_rc run(store *s, handler_fn handler, const void *request)
{
    dynb_result out;
    dynbi_call_memory memory;
    dynbi_call call;
    dynb_rc rc;
    size_t i;
    memset(&out, 0, sizeof out);
    out.allocator = s->config.allocator;
    memory.allocator = out.allocator;
    dynbi_call_start(&call, s->db, &memory, &out, &kit_err);
    call.request = request;
    dynbi_json_open(&call.writer, '{');
    rc = handler(&call);
    dynbi_json_close(&call.writer, '}');
    dynbi_json_put(&call.writer, "", 1);
    answer[0] = 0;
    if (rc == DYNB_OK && call.writer.rc == DYNB_OK) {
        CHECK(out.used_bytes <= sizeof answer);
        memcpy(answer, out.memory, out.used_bytes);
        for (i = 0; answer[i]; ++i)
            answer[i] = answer[i] == '"' ? '\'' : answer[i];
        normalize(answer);
    }
    rc = rc == DYNB_OK ? call.writer.rc : rc;
    dynb_result_free(&out);
    dynb_result_free(&call.scratch);
    dynbi_call_free(&memory);
    return rc;
}

#define ANSWERS(name, request, text)                                              \
    do {                                                                          \
        if (EXPECT(run(&s, dynbi_call_##name, (request)), DYNB_OK))               \
            CHECK_TEXT(answer, (text));                                           \
    } while (0)

#define ACCEPTS(name, request) EXPECT(run(&s, dynbi_call_##name, (request)), DYNB_OK)

#define REFUSES(name, request, rc, message) \
    EXPECT_MESSAGE(run(&s, dynbi_call_##name, (request)), rc, message)

/* The last answer has this part. */
#define HAS(part)                                               \
    do {                                                        \
        if (!strstr(answer, (part)))                            \
            printf("%s:%d: %s\n", __FILE__, __LINE__, answer);  \
        CHECK(strstr(answer, (part)) != NULL);                  \
    } while (0)
#define LACKS(part) CHECK(strstr(answer, (part)) == NULL)

static dynbi_list list_of(const void *elements, size_t count)
{
    dynbi_list list;
    list.elements = elements;
    list.count = (uint32_t)count;
    list.is_set = 1;
    return list;
}
#define LIST(array) list_of(array, sizeof(array) / sizeof((array)[0]))

static dynbi_integer integer(int64_t value)
{
    dynbi_integer out;
    out.value = value;
    out.is_set = 1;
    return out;
}

static dynbi_units units(int64_t read, int64_t write)
{
    dynbi_units out;
    out.read_units = integer(read);
    out.write_units = integer(write);
    return out;
}

#define PROVISIONED 1u
#define ON_DEMAND 2u

static const dynbi_key_schema_element by_id[] = {{"Id", 1}};
static const dynbi_key_schema_element by_id_and_at[] = {{"Id", 1}, {"At", 2}};
static const dynbi_key_schema_element range_first[] = {{"Id", 2}};
static const dynbi_key_schema_element by_mail[] = {{"Mail", 1}};
static const dynbi_key_schema_element by_id_and_mail[] = {{"Id", 1}, {"Mail", 2}};
static const dynbi_attribute_definition id_only[] = {{"Id", 1}};
static const dynbi_attribute_definition id_and_at[] = {{"Id", 1}, {"At", 2}};
static const dynbi_attribute_definition all_three[] = {{"Mail", 3}, {"Id", 1}, {"At", 2}};

static dynbi_table_request plain_table(const char *name)
{
    dynbi_table_request request;
    memset(&request, 0, sizeof request);
    request.table_name = name;
    request.attribute_definitions = LIST(id_only);
    request.key_schema = LIST(by_id);
    request.billing_mode = ON_DEMAND;
    return request;
}

static dynbi_index_request an_index(const char *name, dynbi_list keys,
                                    const dynbi_projection_request *projection)
{
    dynbi_index_request request;
    memset(&request, 0, sizeof request);
    request.index_name = name;
    request.key_schema = keys;
    request.projection = projection;
    return request;
}

static const dynbi_projection_request project_all = {1, {NULL, 0, 0}};
static const dynbi_projection_request project_keys = {2, {NULL, 0, 0}};

/* A clock that stands still, at the time of the contract's example. */
static void begin(store *s)
{
    store_begin(s);
    s->clock.now_ms = 1489602797149u;
    s->clock.step_ms = 0;
    store_open(s);
}

#define ARN "arn:aws:dynamodb:us-east-1:123456789012:table/"
#define WRONG "One or more parameter values were invalid: "

/* ----------------------------------------------------------------- tables -- */

#define PLAIN(status)                                                                       \
    "'AttributeDefinitions':[{'AttributeName':'Id','AttributeType':'S'}],"                  \
    "'TableName':'Plain','KeySchema':[{'AttributeName':'Id','KeyType':'HASH'}],"            \
    "'TableStatus':'" status "','CreationDateTime':1489602797.149,"                         \
    "'ProvisionedThroughput':{'NumberOfDecreasesToday':0,'ReadCapacityUnits':0,"            \
    "'WriteCapacityUnits':0},'TableSizeBytes':0,'ItemCount':0,"                             \
    "'TableArn':'" ARN "Plain','TableId':'ID',"                                             \
    "'BillingModeSummary':{'BillingMode':'PAY_PER_REQUEST'},"                               \
    "'WarmThroughput':{'ReadUnitsPerSecond':12000,'WriteUnitsPerSecond':4000,'Status':'" status \
    "'},'DeletionProtectionEnabled':false}}"

static void test_plain_table(void)
{
    static store s;
    dynbi_table_request create = plain_table("Plain");
    dynbi_named_request named = {"Plain"};
    begin(&s);
    ANSWERS(create_table, &create, "{'TableDescription':{" PLAIN("CREATING"));
    ANSWERS(describe_table, &named, "{'Table':{" PLAIN("ACTIVE"));
    REFUSES(create_table, &create, DYNB_RESOURCE_IN_USE, "Table already exists: Plain");
    ANSWERS(delete_table, &named, "{'TableDescription':{" PLAIN("DELETING"));
    REFUSES(describe_table, &named, DYNB_RESOURCE_NOT_FOUND,
            "Requested resource not found: Table: Plain not found");
    REFUSES(delete_table, &named, DYNB_RESOURCE_NOT_FOUND,
            "Requested resource not found: Table: Plain not found");
    create.table_name = ARN "Plain"; /* contract 4.5: answers keep the bare name */
    ANSWERS(create_table, &create, "{'TableDescription':{" PLAIN("CREATING"));
    named.table_name = ARN "Plain";
    ANSWERS(describe_table, &named, "{'Table':{" PLAIN("ACTIVE"));
    create.table_name = "arn:aws:dynamodb:eu-west-1:123456789012:table/Plain";
    REFUSES(create_table, &create, DYNB_VALIDATION,
            "1 validation error detected: Invalid AWS region in "
            "'arn:aws:dynamodb:eu-west-1:123456789012:table/Plain'");
    store_end(&s);
}

/* Every member that a description can have. */
static void test_rich_table(void)
{
    static store s;
    static const char *const names[] = {"Age", "Name \"quoted\""};
    dynbi_projection_request some = {3, {NULL, 0, 0}};
    dynbi_index_request local[1], global[2];
    dynbi_table_request create = plain_table("Rich");
    dynbi_named_request named = {"Rich"};
    dynbi_units table_units = units(5, 6), index_units = units(7, 8);
    dynbi_stream_request stream = {DYNBI_TRUE, 3};
    dynbi_encryption_request encryption = {DYNBI_TRUE, 2, "alias/mine"};
    dynbi_tag_request tags[] = {{"stage", "test"}};
    begin(&s);
    some.non_key_attributes = LIST(names);
    local[0] = an_index("Local", LIST(by_id_and_mail), &project_keys);
    global[0] = an_index("Global", LIST(by_mail), &some);
    global[1] = an_index("Other", LIST(by_id_and_at), &project_all);
    global[0].provisioned_throughput = global[1].provisioned_throughput = &index_units;
    create.attribute_definitions = LIST(all_three);
    create.key_schema = LIST(by_id_and_at);
    create.local_indexes = LIST(local);
    create.global_indexes = LIST(global);
    create.billing_mode = 0; /* contract: PROVISIONED */
    create.provisioned_throughput = &table_units;
    create.stream_specification = &stream;
    create.sse_specification = &encryption;
    create.tags = LIST(tags);
    create.table_class = 2;
    create.deletion_protection_enabled = DYNBI_TRUE;
    ANSWERS(create_table, &create,
            "{'TableDescription':{'AttributeDefinitions':["
            "{'AttributeName':'At','AttributeType':'N'},"
            "{'AttributeName':'Id','AttributeType':'S'},"
            "{'AttributeName':'Mail','AttributeType':'B'}],'TableName':'Rich',"
            "'KeySchema':[{'AttributeName':'Id','KeyType':'HASH'},"
            "{'AttributeName':'At','KeyType':'RANGE'}],'TableStatus':'CREATING',"
            "'CreationDateTime':1489602797.149,'ProvisionedThroughput':"
            "{'NumberOfDecreasesToday':0,'ReadCapacityUnits':5,'WriteCapacityUnits':6},"
            "'TableSizeBytes':0,'ItemCount':0,'TableArn':'" ARN "Rich','TableId':'ID',"
            "'LocalSecondaryIndexes':[{'IndexName':'Local',"
            "'KeySchema':[{'AttributeName':'Id','KeyType':'HASH'},"
            "{'AttributeName':'Mail','KeyType':'RANGE'}],"
            "'Projection':{'ProjectionType':'KEYS_ONLY'},'IndexSizeBytes':0,'ItemCount':0,"
            "'IndexArn':'" ARN "Rich/index/Local'}],"
            "'GlobalSecondaryIndexes':[{'IndexName':'Global',"
            "'KeySchema':[{'AttributeName':'Mail','KeyType':'HASH'}],"
            "'Projection':{'ProjectionType':'INCLUDE',"
            "'NonKeyAttributes':['Age','Name \\'quoted\\'']},'IndexStatus':'CREATING',"
            "'ProvisionedThroughput':{'NumberOfDecreasesToday':0,'ReadCapacityUnits':7,"
            "'WriteCapacityUnits':8},'IndexSizeBytes':0,'ItemCount':0,"
            "'IndexArn':'" ARN "Rich/index/Global'},"
            "{'IndexName':'Other','KeySchema':[{'AttributeName':'Id','KeyType':'HASH'},"
            "{'AttributeName':'At','KeyType':'RANGE'}],'Projection':{'ProjectionType':'ALL'},"
            "'IndexStatus':'CREATING','ProvisionedThroughput':{'NumberOfDecreasesToday':0,"
            "'ReadCapacityUnits':7,'WriteCapacityUnits':8},'IndexSizeBytes':0,'ItemCount':0,"
            "'IndexArn':'" ARN "Rich/index/Other'}],"
            "'StreamSpecification':{'StreamEnabled':true,'StreamViewType':'NEW_AND_OLD_IMAGES'},"
            "'LatestStreamLabel':'2017-03-15T18:33:17.149',"
            "'LatestStreamArn':'" ARN "Rich/stream/2017-03-15T18:33:17.149',"
            "'SSEDescription':{'Status':'ENABLED','SSEType':'KMS',"
            "'KMSMasterKeyArn':'arn:aws:kms:us-east-1:123456789012:alias/mine'},"
            "'TableClassSummary':{'TableClass':'STANDARD_INFREQUENT_ACCESS'},"
            "'DeletionProtectionEnabled':true}}");
    ACCEPTS(describe_table, &named);
    HAS("'TableStatus':'ACTIVE'");
    HAS("'IndexStatus':'ACTIVE'");
    LACKS("CREATING");
    LACKS("Backfilling");
    REFUSES(delete_table, &named, DYNB_VALIDATION,
            "Resource cannot be deleted as it is currently protected against deletion. Disable "
            "deletion protection first.");
    store_end(&s);
}

static void test_times(void)
{
    static const struct {
        uint64_t time_ms;
        const char *text;
    } cases[] = {{1489602797149u, "'CreationDateTime':1489602797.149,"},
                 {1520018653010u, "'CreationDateTime':1520018653.01,"},
                 {1519257118000u, "'CreationDateTime':1519257118.0,"},
                 {1519257118700u, "'CreationDateTime':1519257118.7,"},
                 {1519257118007u, "'CreationDateTime':1519257118.007,"}};
    size_t i;
    for (i = 0; i < sizeof cases / sizeof cases[0]; ++i) {
        static store s;
        dynbi_table_request create = plain_table("Plain");
        begin(&s);
        s.clock.now_ms = cases[i].time_ms;
        ACCEPTS(create_table, &create);
        HAS(cases[i].text);
        store_end(&s);
    }
}

/* Contract 4.6: what is refused of CreateTable, in its order. */
static void test_create_refused(void)
{
    static store s;
    static const dynbi_key_schema_element two_hashes[] = {{"Id", 1}, {"At", 1}};
    static const dynbi_key_schema_element same[] = {{"Id", 1}, {"Id", 2}};
    static const dynbi_attribute_definition twice[] = {{"Id", 1}, {"Id", 1}};
    const dynbi_table_request plain = plain_table("Plain");
    dynbi_table_request create = plain;
    dynbi_units table_units = units(5, 6);
    dynbi_stream_request stream = {DYNBI_TRUE, 0};
    dynbi_encryption_request encryption = {DYNBI_FALSE, 2, NULL};
    begin(&s);
    create.attribute_definitions.is_set = 0;
    REFUSES(create_table, &create, DYNB_VALIDATION,
            "The parameter 'AttributeDefinitions' is required but was not present in the request");
    create = plain;
    create.key_schema.is_set = 0;
    REFUSES(create_table, &create, DYNB_VALIDATION,
            "The parameter 'KeySchema' is required but was not present in the request");
    create = plain;
    create.billing_mode = 0;
    create.key_schema = LIST(range_first); /* throughput comes first */
    REFUSES(create_table, &create, DYNB_VALIDATION,
            WRONG "ReadCapacityUnits and WriteCapacityUnits must both be specified when "
                  "BillingMode is PROVISIONED");
    create.billing_mode = PROVISIONED;
    REFUSES(create_table, &create, DYNB_VALIDATION,
            WRONG "ReadCapacityUnits and WriteCapacityUnits must both be specified when "
                  "BillingMode is PROVISIONED");
    create.billing_mode = ON_DEMAND;
    create.provisioned_throughput = &table_units;
    REFUSES(create_table, &create, DYNB_VALIDATION,
            WRONG "Neither ReadCapacityUnits nor WriteCapacityUnits can be specified when "
                  "BillingMode is PAY_PER_REQUEST");
    create.provisioned_throughput = NULL;
    REFUSES(create_table, &create, DYNB_VALIDATION,
            "Invalid KeySchema: The first KeySchemaElement is not a HASH key type");
    create.key_schema = LIST(two_hashes);
    create.attribute_definitions = LIST(id_and_at); /* which come before the keys' types */
    REFUSES(create_table, &create, DYNB_VALIDATION,
            "Invalid KeySchema: The second KeySchemaElement is not a RANGE key type");
    create.key_schema = LIST(same);
    REFUSES(create_table, &create, DYNB_VALIDATION,
            "Both the Hash Key and the Range Key element in the KeySchema have the same name");
    create = plain;
    create.attribute_definitions = LIST(twice);
    REFUSES(create_table, &create, DYNB_VALIDATION,
            WRONG "Number of attributes in KeySchema does not exactly match number of attributes "
                  "defined in AttributeDefinitions");
    create = plain;
    create.attribute_definitions.count = 0;
    REFUSES(create_table, &create, DYNB_VALIDATION,
            "Invalid KeySchema: Some index key attribute have no definition");
    create = plain;
    create.stream_specification = &stream;
    REFUSES(create_table, &create, DYNB_VALIDATION,
            WRONG "Table is being created with a stream enabled, UpdateViewType is required");
    stream.stream_enabled = DYNBI_FALSE;
    stream.stream_view_type = 1;
    REFUSES(create_table, &create, DYNB_VALIDATION,
            WRONG "Table is being created with a stream disabled, UpdateViewType should not be "
                  "specified");
    create = plain;
    create.sse_specification = &encryption;
    REFUSES(create_table, &create, DYNB_VALIDATION,
            WRONG "SSEType and KMSMasterKeyId can only be specified when SSESpecification is "
                  "enabled");
    encryption.sse_type = 0;
    encryption.kms_master_key_id = "key";
    REFUSES(create_table, &create, DYNB_VALIDATION,
            WRONG "SSEType and KMSMasterKeyId can only be specified when SSESpecification is "
                  "enabled");
    encryption.enabled = DYNBI_TRUE;
    encryption.sse_type = 1;
    REFUSES(create_table, &create, DYNB_VALIDATION,
            WRONG "SSEType AES256 is not supported, use KMS");
    store_end(&s);
}

static void test_on_demand(void)
{
    static store s;
    dynbi_table_request create = plain_table("Plain");
    dynbi_index_request global[1];
    dynbi_units maxima = units(0, 20), index_maxima = units(-1, 40);
    begin(&s);
    create.on_demand_throughput = &maxima;
    REFUSES(create_table, &create, DYNB_VALIDATION,
            WRONG "Requested MaxReadRequestUnits for OnDemandThroughput is outside of valid range");
    maxima = units(10, -2);
    REFUSES(create_table, &create, DYNB_VALIDATION,
            WRONG "Requested MaxWriteRequestUnits for OnDemandThroughput is outside of valid "
                  "range");
    maxima = units(10, 20);
    global[0] = an_index("Global", LIST(by_id), &project_all);
    global[0].on_demand_throughput = &index_maxima;
    create.global_indexes = LIST(global);
    index_maxima = units(0, 1);
    REFUSES(create_table, &create, DYNB_VALIDATION,
            WRONG "Requested MaxReadRequestUnits for OnDemandThroughput is outside of valid range "
                  "for index Global");
    index_maxima = units(-1, 40);
    ACCEPTS(create_table, &create);
    HAS("'IndexArn':'" ARN "Plain/index/Global','OnDemandThroughput':"
        "{'MaxWriteRequestUnits':40}}]");
    HAS("'DeletionProtectionEnabled':false,'OnDemandThroughput':{'MaxReadRequestUnits':10,"
        "'MaxWriteRequestUnits':20}}}");
    store_end(&s);
}

/* What can be wrong with an index. */
static void test_index_refused(void)
{
    static store s;
    static const char *const names[] = {"a"};
    dynbi_projection_request none = {0, {NULL, 0, 0}}, named = {1, {NULL, 0, 0}};
    dynbi_index_request local[6], global[21];
    dynbi_table_request create = plain_table("Plain");
    dynbi_units table_units = units(5, 6);
    uint32_t i;
    begin(&s);
    create.attribute_definitions = LIST(id_and_at);
    create.key_schema = LIST(by_id_and_at);
    create.global_indexes = list_of(global, 0);
    REFUSES(create_table, &create, DYNB_VALIDATION,
            WRONG "List of GlobalSecondaryIndexes is empty");
    create.local_indexes = list_of(local, 0);
    REFUSES(create_table, &create, DYNB_VALIDATION,
            WRONG "List of LocalSecondaryIndexes is empty");
    create.local_indexes.is_set = 0;
    global[0] = an_index("Global", LIST(by_id), &none);
    create.global_indexes = list_of(global, 1);
    REFUSES(create_table, &create, DYNB_VALIDATION, WRONG "Unknown ProjectionType: null");
    named.non_key_attributes = LIST(names);
    global[0].projection = &named;
    REFUSES(create_table, &create, DYNB_VALIDATION,
            WRONG "ProjectionType is ALL, but NonKeyAttributes is specified");
    named.projection_type = 3;
    named.non_key_attributes.count = 0;
    REFUSES(create_table, &create, DYNB_VALIDATION,
            WRONG "ProjectionType is INCLUDE, but NonKeyAttributes is not specified");
    global[0] = an_index("Global", LIST(by_id), &project_all);
    global[0].provisioned_throughput = &table_units;
    REFUSES(create_table, &create, DYNB_VALIDATION,
            WRONG "ProvisionedThroughput should not be specified for index: Global when "
                  "BillingMode is PAY_PER_REQUEST");
    for (i = 0; i < 21; ++i)
        global[i] = an_index("Global", LIST(by_id), &project_all);
    create.global_indexes = LIST(global);
    REFUSES(create_table, &create, DYNB_VALIDATION,
            WRONG "GlobalSecondaryIndex count exceeds the per-table limit of 20");
    for (i = 0; i < 6; ++i)
        local[i] = an_index("Local", LIST(by_id_and_at), &project_all);
    create.local_indexes = LIST(local);
    REFUSES(create_table, &create, DYNB_VALIDATION,
            WRONG "Number of LocalSecondaryIndexes exceeds per-table limit of 5");
    local[5].key_schema = LIST(range_first);
    REFUSES(create_table, &create, DYNB_VALIDATION,
            "Invalid KeySchema: The first KeySchemaElement is not a HASH key type");
    store_end(&s);
}

static void test_list_tables(void)
{
    static store s;
    dynbi_list_tables_request list;
    const char *names[] = {"Ccc", "Aaa", "Bbb"};
    size_t i;
    begin(&s);
    memset(&list, 0, sizeof list);
    ANSWERS(list_tables, &list, "{'TableNames':[]}");
    for (i = 0; i < 3; ++i)
        MUST(kit_create_table(s.db, names[i], NULL));
    ANSWERS(list_tables, &list, "{'TableNames':['Aaa','Bbb','Ccc']}");
    list.limit = integer(2);
    ANSWERS(list_tables, &list, "{'TableNames':['Aaa','Bbb'],'LastEvaluatedTableName':'Bbb'}");
    list.exclusive_start_table_name = "Bbb";
    ANSWERS(list_tables, &list, "{'TableNames':['Ccc']}");
    store_end(&s);
}

/* ---------------------------------------------------------------- updates -- */

static dynbi_table_request update_of(const char *name)
{
    dynbi_table_request request;
    memset(&request, 0, sizeof request);
    request.table_name = name;
    return request;
}

static void test_update(void)
{
    static store s;
    const dynbi_table_request nothing = update_of("Plain");
    dynbi_table_request create = plain_table("Plain"), update = nothing;
    dynbi_units table_units = units(5, 6), maxima = units(-1, 9), empty;
    dynbi_encryption_request encryption = {DYNBI_TRUE, 0, NULL};
    begin(&s);
    memset(&empty, 0, sizeof empty);
    ACCEPTS(create_table, &create);
    REFUSES(update_table, &update, DYNB_VALIDATION,
            "At least one of ProvisionedThroughput, BillingMode, UpdateStreamEnabled, "
            "GlobalSecondaryIndexUpdates or SSESpecification or ReplicaUpdates is required");
    update.on_demand_throughput = &empty;
    update.global_index_updates = list_of(NULL, 0);
    REFUSES(update_table, &update, DYNB_VALIDATION,
            "At least one of ProvisionedThroughput, BillingMode, UpdateStreamEnabled, "
            "GlobalSecondaryIndexUpdates or SSESpecification or ReplicaUpdates is required");
    update.on_demand_throughput = &maxima;
    ACCEPTS(update_table, &update);
    HAS("'OnDemandThroughput':{'MaxWriteRequestUnits':9}");
    maxima = units(-1, -1);
    ACCEPTS(update_table, &update);
    LACKS("OnDemandThroughput");
    maxima = units(1, 0);
    REFUSES(update_table, &update, DYNB_VALIDATION,
            WRONG "Requested MaxWriteRequestUnits for OnDemandThroughput is outside of valid "
                  "range");
    update = nothing;
    update.provisioned_throughput = &table_units; /* the mode stays */
    REFUSES(update_table, &update, DYNB_VALIDATION,
            WRONG "Neither ReadCapacityUnits nor WriteCapacityUnits can be specified when "
                  "BillingMode is PAY_PER_REQUEST");
    update.billing_mode = PROVISIONED;
    ACCEPTS(update_table, &update);
    HAS("'ProvisionedThroughput':{'NumberOfDecreasesToday':0,'ReadCapacityUnits':5,"
        "'WriteCapacityUnits':6}");
    LACKS("BillingModeSummary");
    LACKS("WarmThroughput");
    update.billing_mode = 0;
    table_units = units(7, 8);
    ACCEPTS(update_table, &update);
    HAS("'ProvisionedThroughput':{'NumberOfDecreasesToday':0,'ReadCapacityUnits':7,"
        "'WriteCapacityUnits':8}");
    update = nothing;
    update.billing_mode = PROVISIONED;
    REFUSES(update_table, &update, DYNB_VALIDATION,
            WRONG "ReadCapacityUnits and WriteCapacityUnits must both be specified when "
                  "BillingMode is PROVISIONED");
    update.billing_mode = ON_DEMAND;
    ACCEPTS(update_table, &update);
    HAS("'BillingModeSummary':{'BillingMode':'PAY_PER_REQUEST'}");
    update = nothing;
    update.sse_specification = &encryption;
    ACCEPTS(update_table, &update);
    HAS("'SSEDescription':{'Status':'ENABLED','SSEType':'KMS'}"); /* the account's own key */
    encryption.kms_master_key_id = "0c7e4b1a";
    ACCEPTS(update_table, &update);
    HAS("'KMSMasterKeyArn':'arn:aws:kms:us-east-1:123456789012:key/0c7e4b1a'");
    encryption.kms_master_key_id = "arn:aws:kms:eu-west-1:123456789012:key/1";
    ACCEPTS(update_table, &update);
    HAS("'KMSMasterKeyArn':'arn:aws:kms:eu-west-1:123456789012:key/1'");
    encryption.enabled = DYNBI_FALSE;
    encryption.kms_master_key_id = NULL;
    ACCEPTS(update_table, &update);
    LACKS("SSEDescription");
    update = nothing;
    update.table_class = 2;
    ACCEPTS(update_table, &update);
    HAS("'TableClassSummary':{'TableClass':'STANDARD_INFREQUENT_ACCESS'}");
    update.table_class = 1;
    ACCEPTS(update_table, &update);
    LACKS("TableClassSummary");
    update = nothing;
    update.deletion_protection_enabled = DYNBI_TRUE;
    ACCEPTS(update_table, &update);
    HAS("'DeletionProtectionEnabled':true");
    update.deletion_protection_enabled = DYNBI_FALSE;
    ACCEPTS(update_table, &update);
    HAS("'DeletionProtectionEnabled':false");
    update.table_name = "None";
    REFUSES(update_table, &update, DYNB_RESOURCE_NOT_FOUND,
            "Requested resource not found: Table: None not found");
    store_end(&s);
}

static void test_streams(void)
{
    static store s;
    static const char *const views[] = {"NEW_IMAGE", "OLD_IMAGE", "NEW_AND_OLD_IMAGES",
                                        "KEYS_ONLY"};
    dynbi_table_request create = plain_table("Plain"), update = update_of("Plain");
    dynbi_stream_request stream = {DYNBI_FALSE, 0};
    uint32_t i;
    begin(&s);
    create.stream_specification = update.stream_specification = &stream;
    ACCEPTS(create_table, &create); /* without a stream */
    LACKS("Stream");
    REFUSES(update_table, &update, DYNB_VALIDATION,
            "Table has no stream to disable: TableName: Plain");
    stream.stream_view_type = 4;
    REFUSES(update_table, &update, DYNB_VALIDATION,
            WRONG "If stream is being disabled, then UpdateViewType must not be specified");
    stream.stream_enabled = DYNBI_TRUE;
    stream.stream_view_type = 0;
    REFUSES(update_table, &update, DYNB_VALIDATION,
            WRONG "If stream is being enabled then UpdateViewType is required");
    for (i = 0; i < 4; ++i) {
        char expected[128];
        stream.stream_enabled = DYNBI_TRUE;
        stream.stream_view_type = i + 1;
        ACCEPTS(update_table, &update);
        snprintf(expected, sizeof expected,
                 "'StreamSpecification':{'StreamEnabled':true,'StreamViewType':'%s'},", views[i]);
        HAS(expected);
        REFUSES(update_table, &update, DYNB_VALIDATION,
                "Table already has an enabled stream: TableName: Plain");
        stream.stream_enabled = DYNBI_FALSE;
        stream.stream_view_type = 0;
        ACCEPTS(update_table, &update);
        LACKS("StreamSpecification");
        HAS("'LatestStreamArn':'" ARN "Plain/stream/2017-03-15T18:33:17.149'"); /* they stay */
    }
    store_end(&s);
}

static void test_index_updates(void)
{
    static store s;
    static const dynbi_attribute_definition mail[] = {{"Mail", 1}};
    dynbi_table_request create = plain_table("Plain"), update = update_of("Plain");
    dynbi_index_request index = an_index("Global", LIST(by_mail), &project_all);
    dynbi_units maxima = units(3, 4);
    dynbi_index_update_request change;
    begin(&s);
    memset(&change, 0, sizeof change);
    ACCEPTS(create_table, &create);
    update.global_index_updates = list_of(&change, 1);
    REFUSES(update_table, &update, DYNB_VALIDATION,
            WRONG "One and only one of Update, Create and Delete must be specified in "
                  "GlobalSecondaryIndexUpdate 1");
    change.create = change.remove = &index;
    REFUSES(update_table, &update, DYNB_VALIDATION,
            WRONG "One and only one of Update, Create and Delete must be specified in "
                  "GlobalSecondaryIndexUpdate 1");
    change.remove = NULL;
    REFUSES(update_table, &update, DYNB_VALIDATION,
            WRONG "Some index key attributes are not defined in AttributeDefinitions. Keys: "
                  "[Mail], AttributeDefinitions: []");
    update.attribute_definitions = LIST(id_only);
    REFUSES(update_table, &update, DYNB_VALIDATION,
            WRONG "Some index key attributes are not defined in AttributeDefinitions. Keys: "
                  "[Mail], AttributeDefinitions: [Id]");
    index.key_schema = LIST(range_first);
    REFUSES(update_table, &update, DYNB_VALIDATION,
            "Invalid KeySchema: The first KeySchemaElement is not a HASH key type");
    index.key_schema = LIST(by_mail);
    update.attribute_definitions = LIST(mail);
    MUST(kit_put(s.db, "Plain", "a", 1));
    ACCEPTS(update_table, &update);
    HAS("'TableStatus':'UPDATING'");
    HAS("'AttributeDefinitions':[{'AttributeName':'Id','AttributeType':'S'},"
        "{'AttributeName':'Mail','AttributeType':'S'}]");
    HAS("'IndexStatus':'CREATING','Backfilling':true,'ProvisionedThroughput':");
    REFUSES(update_table, &update, DYNB_VALIDATION,
            "Attempting to create an index which already exists");
    index.index_name = "Other";
    REFUSES(update_table, &update, DYNB_LIMIT_EXCEEDED,
            "Subscriber limit exceeded: Only 1 online index can be created or deleted "
            "simultaneously per table");
    MUST(dynb_wait_idle(s.db, &kit_err));
    index.index_name = "Global";
    change.create = NULL;
    change.update = &index;
    index.on_demand_throughput = &maxima;
    ACCEPTS(update_table, &update);
    HAS("'IndexStatus':'ACTIVE'");
    HAS("'OnDemandThroughput':{'MaxReadRequestUnits':3,'MaxWriteRequestUnits':4}");
    change.update = NULL;
    change.remove = &index;
    ACCEPTS(update_table, &update);
    HAS("'IndexStatus':'DELETING'");
    store_end(&s);
}

/* ------------------------------------------------- what belongs to a table -- */

static void test_time_to_live(void)
{
    static store s;
    dynbi_time_to_live_specification specification = {DYNBI_TRUE, "until"};
    dynbi_time_to_live_request update = {"Plain", NULL};
    dynbi_named_request named = {"Plain"};
    begin(&s);
    update.specification = &specification;
    MUST(kit_create_table(s.db, "Plain", NULL));
    ANSWERS(describe_time_to_live, &named,
            "{'TimeToLiveDescription':{'TimeToLiveStatus':'DISABLED'}}");
    specification.enabled = DYNBI_FALSE;
    REFUSES(update_time_to_live, &update, DYNB_VALIDATION, "TimeToLive is already disabled");
    specification.enabled = DYNBI_TRUE;
    ANSWERS(update_time_to_live, &update,
            "{'TimeToLiveSpecification':{'Enabled':true,'AttributeName':'until'}}");
    ANSWERS(describe_time_to_live, &named,
            "{'TimeToLiveDescription':{'TimeToLiveStatus':'ENABLED','AttributeName':'until'}}");
    REFUSES(update_time_to_live, &update, DYNB_VALIDATION, "TimeToLive is already enabled");
    specification.attribute_name = "other";
    REFUSES(update_time_to_live, &update, DYNB_VALIDATION,
            "TimeToLive is active on a different AttributeName: current AttributeName is until");
    specification.enabled = DYNBI_FALSE;
    REFUSES(update_time_to_live, &update, DYNB_VALIDATION,
            "TimeToLive is active on a different AttributeName: current AttributeName is until");
    specification.attribute_name = "until";
    ANSWERS(update_time_to_live, &update,
            "{'TimeToLiveSpecification':{'Enabled':false,'AttributeName':'until'}}");
    ANSWERS(describe_time_to_live, &named,
            "{'TimeToLiveDescription':{'TimeToLiveStatus':'DISABLED'}}");
    update.table_name = named.table_name = "None";
    REFUSES(update_time_to_live, &update, DYNB_RESOURCE_NOT_FOUND,
            "Requested resource not found: Table: None not found");
    REFUSES(describe_time_to_live, &named, DYNB_RESOURCE_NOT_FOUND,
            "Requested resource not found: Table: None not found");
    store_end(&s);
}

/* Contract 4.6, 7: a change takes its time, and the next one is refused. */
static void test_time_to_live_states(void)
{
    static store s;
    dynbi_time_to_live_specification specification = {DYNBI_TRUE, "until"};
    dynbi_time_to_live_request update = {"Plain", NULL};
    dynbi_named_request named = {"Plain"};
    store_begin(&s);
    s.clock.step_ms = 0;
    s.config.control_plane_delay_ms = 1000;
    store_open(&s);
    update.specification = &specification;
    MUST(kit_create_table(s.db, "Plain", NULL));
    s.clock.now_ms += 1000;
    ACCEPTS(update_time_to_live, &update);
    ANSWERS(describe_time_to_live, &named,
            "{'TimeToLiveDescription':{'TimeToLiveStatus':'ENABLING','AttributeName':'until'}}");
    specification.enabled = DYNBI_FALSE;
    s.clock.now_ms += 999;
    REFUSES(update_time_to_live, &update, DYNB_VALIDATION,
            "Time to live has been modified multiple times within a fixed interval");
    s.clock.now_ms += 1;
    ANSWERS(describe_time_to_live, &named,
            "{'TimeToLiveDescription':{'TimeToLiveStatus':'ENABLED','AttributeName':'until'}}");
    ACCEPTS(update_time_to_live, &update);
    ANSWERS(describe_time_to_live, &named,
            "{'TimeToLiveDescription':{'TimeToLiveStatus':'DISABLING'}}");
    store_end(&s);
}

static void test_tags(void)
{
    static store s;
    static dynbi_tag_request many[51];
    static char keys[51][8];
    dynbi_tag_request some[] = {{"stage", "test"}, {"owner", ""}, {"cost", "1 \\ 2"}};
    const char *gone[] = {"owner", "none"};
    dynbi_tags_request request;
    uint32_t i;
    begin(&s);
    memset(&request, 0, sizeof request);
    MUST(kit_create_table(s.db, "Plain", NULL));
    request.resource_arn = ARN "Plain";
    ANSWERS(list_tags_of_resource, &request, "{'Tags':[]}");
    REFUSES(tag_resource, &request, DYNB_VALIDATION,
            "Atleast one Tag needs to be provided as Input.");
    REFUSES(untag_resource, &request, DYNB_VALIDATION,
            "Atleast one Tag Key needs to be provided as Input.");
    request.tags = LIST(some);
    ANSWERS(tag_resource, &request, "{}");
    ANSWERS(list_tags_of_resource, &request,
            "{'Tags':[{'Key':'cost','Value':'1 \\\\ 2'},{'Key':'owner','Value':''},"
            "{'Key':'stage','Value':'test'}]}");
    request.next_token = "cost";
    ANSWERS(list_tags_of_resource, &request,
            "{'Tags':[{'Key':'owner','Value':''},{'Key':'stage','Value':'test'}]}");
    request.next_token = NULL;
    request.tag_keys = LIST(gone);
    ANSWERS(untag_resource, &request, "{}");
    ANSWERS(list_tags_of_resource, &request,
            "{'Tags':[{'Key':'cost','Value':'1 \\\\ 2'},{'Key':'stage','Value':'test'}]}");
    for (i = 0; i < 51; ++i) {
        snprintf(keys[i], sizeof keys[i], "k%u", (unsigned)i);
        many[i].key = keys[i];
        many[i].value = "";
    }
    request.tags = LIST(many);
    REFUSES(tag_resource, &request, DYNB_VALIDATION,
            "Number of Tags exceed the current limit for the provided ResourceArn");
    request.resource_arn = "Plain";
    REFUSES(tag_resource, &request, DYNB_VALIDATION,
            "Invalid TableArn: Invalid ResourceArn provided as input Plain");
    REFUSES(untag_resource, &request, DYNB_VALIDATION,
            "Invalid TableArn: Invalid ResourceArn provided as input Plain");
    REFUSES(list_tags_of_resource, &request, DYNB_VALIDATION,
            "Invalid TableArn: Invalid ResourceArn provided as input Plain");
    request.resource_arn = ARN "Plain/backup/01489602797149-73d8d5bc"; /* contract 2.1 */
    REFUSES(list_tags_of_resource, &request, DYNB_VALIDATION,
            WRONG "Provided Arn is not a DynamoDB resource arn: " ARN
                  "Plain/backup/01489602797149-73d8d5bc");
    request.resource_arn = ARN "None";
    REFUSES(list_tags_of_resource, &request, DYNB_RESOURCE_NOT_FOUND,
            "Requested resource not found: Table: None not found");
    store_end(&s);
}

static void test_account(void)
{
    static store s;
    begin(&s);
    ANSWERS(describe_limits, NULL,
            "{'AccountMaxReadCapacityUnits':80000,'AccountMaxWriteCapacityUnits':80000,"
            "'TableMaxReadCapacityUnits':40000,'TableMaxWriteCapacityUnits':40000}");
    ANSWERS(describe_endpoints, NULL,
            "{'Endpoints':[{'Address':'dynamodb.us-east-1.amazonaws.com',"
            "'CachePeriodInMinutes':1440}]}");
    MUST(dynb_fail_next_calls(s.db, DYNB_OP_DESCRIBE_LIMITS, DYNB_THROTTLING, 1, &kit_err));
    MUST(dynb_fail_next_calls(s.db, DYNB_OP_DESCRIBE_ENDPOINTS, DYNB_THROTTLING, 1, &kit_err));
    REFUSES(describe_limits, NULL, DYNB_THROTTLING, "Rate exceeded");
    REFUSES(describe_endpoints, NULL, DYNB_THROTTLING, "Rate exceeded");
    store_end(&s);
}

/* ---------------------------------------------------------------- backups -- */

#define BACKUP_ARN ARN "Plain/backup/01489602797149-x"
#define DETAILS(status)                                                             \
    "'BackupDetails':{'BackupArn':'" BACKUP_ARN "','BackupName':'first',"           \
    "'BackupCreationDateTime':1489602797.149,'BackupStatus':'" status               \
    "','BackupType':'USER','BackupSizeBytes':"

static void test_backup(void)
{
    static store s;
    dynbi_create_backup_request create = {"Plain", "first"};
    dynbi_list_backups_request list;
    dynbi_backup_request backup = {NULL};
    dynb_backup_list found;
    char arn[DYNB_ARN_MAX + 1];
    begin(&s);
    memset(&list, 0, sizeof list);
    MUST(kit_create_table(s.db, "Plain", "At"));
    REFUSES(create_backup, (create.table_name = "None", &create), DYNB_TABLE_NOT_FOUND,
            "Table not found: None");
    create.table_name = ARN "Plain";
    ANSWERS(create_backup, &create, "{" DETAILS("CREATING") "0}}"); /* though it is ready */
    MUST(dynb_list_backups(s.db, NULL, &found, &s.result, &kit_err));
    kit_copy(arn, sizeof arn, found.backups[0].backup_arn);
    backup.backup_arn = arn;
    ANSWERS(describe_backup, &backup,
            "{'BackupDescription':{" DETAILS("AVAILABLE")
            "0},'SourceTableDetails':{'TableName':'Plain','TableId':'ID','TableArn':'" ARN "Plain',"
            "'TableSizeBytes':0,'KeySchema':[{'AttributeName':'Id','KeyType':'HASH'},"
            "{'AttributeName':'At','KeyType':'RANGE'}],'TableCreationDateTime':1489602797.149,"
            "'ProvisionedThroughput':{'ReadCapacityUnits':0,'WriteCapacityUnits':0},"
            "'ItemCount':0,'BillingMode':'PAY_PER_REQUEST'},'SourceTableFeatureDetails':{}}}");
    ANSWERS(list_backups, &list,
            "{'BackupSummaries':[{'TableName':'Plain','TableId':'ID','TableArn':'" ARN "Plain',"
            "'BackupArn':'" BACKUP_ARN "','BackupName':'first',"
            "'BackupCreationDateTime':1489602797.149,'BackupStatus':'AVAILABLE',"
            "'BackupType':'USER','BackupSizeBytes':0}]}");
    ACCEPTS(delete_backup, &backup);
    HAS("{'BackupDescription':{" DETAILS("DELETED") "0},'SourceTableDetails':{");
    HAS("'SourceTableFeatureDetails':{}}}");
    EXPECT_ABOUT(run(&s, dynbi_call_describe_backup, &backup), DYNB_BACKUP_NOT_FOUND,
                 "Backup not found: " ARN "Plain/backup/01489602797149-");
    EXPECT_ABOUT(run(&s, dynbi_call_delete_backup, &backup), DYNB_BACKUP_NOT_FOUND,
                 "Backup not found: ");
    backup.backup_arn = "";
    REFUSES(describe_backup, &backup, DYNB_VALIDATION, "Invalid Backup ARN");
    ANSWERS(list_backups, &list, "{'BackupSummaries':[]}");
    store_end(&s);
}

/* Contract 1.2: every feature that a backup records. */
static void test_backup_features(void)
{
    static store s;
    dynbi_index_request local[1], global[1];
    dynbi_table_request create = plain_table("Rich");
    dynbi_units table_units = units(5, 6), index_units = units(7, 8);
    dynbi_stream_request stream = {DYNBI_TRUE, 4};
    dynbi_encryption_request encryption = {DYNBI_TRUE, 2, "arn:aws:kms:us-east-1:1:key/k"};
    dynbi_backup_request backup;
    char arn[DYNB_ARN_MAX + 1];
    begin(&s);
    local[0] = an_index("Local", LIST(by_id_and_mail), &project_keys);
    global[0] = an_index("Global", LIST(by_mail), &project_all);
    global[0].provisioned_throughput = &index_units;
    create.attribute_definitions = LIST(all_three);
    create.key_schema = LIST(by_id_and_at);
    create.local_indexes = LIST(local);
    create.global_indexes = LIST(global);
    create.billing_mode = PROVISIONED;
    create.provisioned_throughput = &table_units;
    create.stream_specification = &stream;
    create.sse_specification = &encryption;
    create.table_class = 2;
    ACCEPTS(create_table, &create);
    MUST(dynb_update_time_to_live(s.db, "Rich", "until", &kit_err));
    back_up(&s, "Rich", arn);
    backup.backup_arn = arn;
    ACCEPTS(describe_backup, &backup);
    HAS("'ProvisionedThroughput':{'ReadCapacityUnits':5,'WriteCapacityUnits':6},'ItemCount':0,"
        "'BillingMode':'PROVISIONED'},'SourceTableFeatureDetails':{'LocalSecondaryIndexes':["
        "{'IndexName':'Local','KeySchema':[{'AttributeName':'Id','KeyType':'HASH'},"
        "{'AttributeName':'Mail','KeyType':'RANGE'}],'Projection':{'ProjectionType':'KEYS_ONLY'}}"
        "],'GlobalSecondaryIndexes':[{'IndexName':'Global','KeySchema':[{'AttributeName':'Mail',"
        "'KeyType':'HASH'}],'Projection':{'ProjectionType':'ALL'},'ProvisionedThroughput':"
        "{'ReadCapacityUnits':7,'WriteCapacityUnits':8}}],"
        "'StreamDescription':{'StreamEnabled':true,'StreamViewType':'KEYS_ONLY'},"
        "'TimeToLiveDescription':{'TimeToLiveStatus':'ENABLED','AttributeName':'until'},"
        "'SSEDescription':{'Status':'ENABLED','SSEType':'KMS',"
        "'KMSMasterKeyArn':'arn:aws:kms:us-east-1:1:key/k'}}}}");
    store_end(&s);
}

static void test_list_backups(void)
{
    static store s;
    dynbi_list_backups_request list;
    dynbi_create_backup_request create = {"Plain", "first"};
    dynb_update_continuous_backups_input recovery;
    dynb_backup_list found;
    char arn[DYNB_ARN_MAX + 1];
    int i;
    begin(&s);
    memset(&list, 0, sizeof list);
    memset(&recovery, 0, sizeof recovery);
    MUST(kit_create_table(s.db, "Plain", NULL));
    MUST(kit_create_table(s.db, "Gone", NULL));
    for (i = 0; i < 3; ++i) {
        ACCEPTS(create_backup, &create);
        s.clock.now_ms += 1000;
    }
    list.table_name = "Plain";
    list.limit = integer(2);
    ACCEPTS(list_backups, &list);
    HAS("'LastEvaluatedBackupArn':'" ARN "Plain/backup/01489602798149-x'}");
    MUST(dynb_list_backups(s.db, NULL, &found, &s.result, &kit_err));
    kit_copy(arn, sizeof arn, found.backups[1].backup_arn);
    list.exclusive_start_backup_arn = arn;
    ACCEPTS(list_backups, &list);
    LACKS("LastEvaluatedBackupArn");
    LACKS("01489602798149");
    HAS("'BackupCreationDateTime':1489602799.149");
    memset(&list, 0, sizeof list);
    list.time_range_lower_bound = integer(1489602798149); /* inclusive */
    list.time_range_upper_bound = integer(1489602799149); /* exclusive */
    ACCEPTS(list_backups, &list);
    HAS("'BackupCreationDateTime':1489602798.149");
    LACKS("1489602797.149");
    LACKS("1489602799.149");
    list.time_range_lower_bound = integer(1489602799150);
    REFUSES(list_backups, &list, DYNB_VALIDATION,
            WRONG "Time range lower bound must be less than or equal to upper bound");
    list.time_range_lower_bound = integer(-5); /* as from the start */
    ACCEPTS(list_backups, &list);
    HAS("1489602797.149");
    list.time_range_upper_bound = integer(0);
    ANSWERS(list_backups, &list, "{'BackupSummaries':[]}");
    list.time_range_lower_bound = integer(0);
    ANSWERS(list_backups, &list, "{'BackupSummaries':[]}");
    list.time_range_lower_bound = integer(1);
    REFUSES(list_backups, &list, DYNB_VALIDATION,
            WRONG "Time range lower bound must be less than or equal to upper bound");
    memset(&list, 0, sizeof list);
    list.time_range_upper_bound = integer(-3);
    ANSWERS(list_backups, &list, "{'BackupSummaries':[]}");
    recovery.table = "Gone";
    recovery.point_in_time_recovery = 1;
    MUST(dynb_update_continuous_backups(s.db, &recovery, NULL, &kit_err));
    MUST(dynb_delete_table(s.db, "Gone", NULL, NULL, &kit_err));
    memset(&list, 0, sizeof list);
    list.backup_type = 1;
    ACCEPTS(list_backups, &list);
    LACKS("SYSTEM");
    list.backup_type = 2;
    ACCEPTS(list_backups, &list);
    HAS("'BackupArn':'" ARN "Gone/backup/01489602800149-00000000',"
        "'BackupName':'Gone$DeletedTableBackup','BackupCreationDateTime':1489602800.149,"
        "'BackupExpiryDateTime':1492626800.149,'BackupStatus':'AVAILABLE','BackupType':'SYSTEM',"
        "'BackupSizeBytes':0}]}");
    LACKS("USER");
    list.backup_type = 3;
    ANSWERS(list_backups, &list, "{'BackupSummaries':[]}");
    list.backup_type = 4;
    ACCEPTS(list_backups, &list);
    HAS("'BackupType':'SYSTEM'");
    HAS("'BackupType':'USER'");
    store_end(&s);
}

/* --------------------------------------------------------------- restores -- */

static void test_restore(void)
{
    static store s;
    dynbi_restore_request restore;
    dynbi_named_request named = {"Plain"};
    dynbi_units table_units = units(5, 6), maxima = units(0, 0);
    dynbi_encryption_request encryption = {DYNBI_ABSENT, 0, NULL};
    dynbi_table_request update = update_of("Plain");
    char arn[DYNB_ARN_MAX + 1];
    begin(&s);
    memset(&restore, 0, sizeof restore);
    MUST(kit_create_table(s.db, "Plain", NULL));
    MUST(kit_put(s.db, "Plain", "a", 1));
    update.on_demand_throughput = &table_units;
    ACCEPTS(update_table, &update);
    back_up(&s, "Plain", arn);
    MUST(dynb_wait_idle(s.db, &kit_err));
    ACCEPTS(delete_table, &named);
    restore.target_table_name = "Plain";
    restore.backup_arn = arn;
    s.clock.now_ms = 1519257118000u;
    ANSWERS(restore_table_from_backup, &restore,
            "{'TableDescription':{'AttributeDefinitions':[{'AttributeName':'Id',"
            "'AttributeType':'S'}],'TableName':'Plain','KeySchema':[{'AttributeName':'Id',"
            "'KeyType':'HASH'}],'TableStatus':'CREATING','CreationDateTime':1519257118.0,"
            "'ProvisionedThroughput':{'NumberOfDecreasesToday':0,'ReadCapacityUnits':0,"
            "'WriteCapacityUnits':0},'TableSizeBytes':6,'ItemCount':1,'TableArn':'" ARN
            "Plain','TableId':'ID','BillingModeSummary':{'BillingMode':'PAY_PER_REQUEST'},"
            "'WarmThroughput':{'ReadUnitsPerSecond':12000,'WriteUnitsPerSecond':4000,"
            "'Status':'CREATING'},'RestoreSummary':{'SourceBackupArn':'" BACKUP_ARN
            "','SourceTableArn':'" ARN "Plain','RestoreDateTime':1519257118.0,"
            "'RestoreInProgress':true},'DeletionProtectionEnabled':false,'OnDemandThroughput':"
            "{'MaxReadRequestUnits':5,'MaxWriteRequestUnits':6}}}");
    ACCEPTS(describe_table, &named);
    LACKS("RestoreSummary"); /* contract 2.7 */
    REFUSES(restore_table_from_backup, &restore, DYNB_TABLE_ALREADY_EXISTS,
            "Table already exists: Plain");
    restore.target_table_name = "";
    REFUSES(restore_table_from_backup, &restore, DYNB_VALIDATION,
            "TableName must be at least 3 characters long and at most 255 characters long");
    restore.target_table_name = "Back";
    restore.on_demand_throughput_override = &maxima;
    REFUSES(restore_table_from_backup, &restore, DYNB_VALIDATION,
            "Invalid Request: Requested MaxReadRequestUnits for OnDemandThroughput is outside of "
            "valid range");
    maxima = units(-1, 9);
    ACCEPTS(restore_table_from_backup, &restore);
    HAS("'OnDemandThroughput':{'MaxWriteRequestUnits':9}");
    restore.target_table_name = "Back2";
    maxima = units(9, -1);
    ACCEPTS(restore_table_from_backup, &restore);
    HAS("'OnDemandThroughput':{'MaxReadRequestUnits':9}");
    restore.target_table_name = "Back3";
    maxima = units(-1, -1);
    ACCEPTS(restore_table_from_backup, &restore);
    LACKS("OnDemandThroughput");
    restore.target_table_name = "Back4";
    memset(&maxima, 0, sizeof maxima); /* {}: nothing is overridden */
    restore.sse_specification_override = &encryption; /* {}: the service's own key */
    ACCEPTS(restore_table_from_backup, &restore);
    HAS("'OnDemandThroughput':{'MaxReadRequestUnits':5,'MaxWriteRequestUnits':6}");
    restore.target_table_name = "Back5";
    restore.on_demand_throughput_override = NULL;
    encryption.enabled = DYNBI_TRUE;
    encryption.kms_master_key_id = "k";
    restore.billing_mode_override = PROVISIONED;
    REFUSES(restore_table_from_backup, &restore, DYNB_VALIDATION,
            "Invalid Request: Must override ProvisionedThroughput if BillingMode is overridden to "
            "PROVISIONED");
    restore.provisioned_throughput_override = &table_units;
    ACCEPTS(restore_table_from_backup, &restore);
    HAS("'ReadCapacityUnits':5,'WriteCapacityUnits':6");
    HAS("'KMSMasterKeyArn':'arn:aws:kms:us-east-1:123456789012:key/k'");
    restore.target_table_name = "Back6";
    encryption.sse_type = 1;
    REFUSES(restore_table_from_backup, &restore, DYNB_VALIDATION,
            WRONG "SSEType AES256 is not supported, use KMS");
    restore.sse_specification_override = NULL;
    restore.billing_mode_override = ON_DEMAND;
    REFUSES(restore_table_from_backup, &restore, DYNB_VALIDATION,
            "Invalid Request: Cannot override ProvisionedThroughput if BillingMode is overridden "
            "to PAY_PER_REQUEST");
    restore.billing_mode_override = 0;
    REFUSES(restore_table_from_backup, &restore, DYNB_VALIDATION,
            "Invalid Request: Cannot override ProvisionedThroughput unless BillingMode is "
            "PROVISIONED");
    store_end(&s);
}

static void test_restore_indexes(void)
{
    static store s;
    dynbi_index_request local[1], global[1], wanted;
    dynbi_table_request create = plain_table("Plain");
    dynbi_restore_request restore;
    dynbi_units maxima = units(3, 4), index_maxima = units(-1, 5);
    char arn[DYNB_ARN_MAX + 1];
    begin(&s);
    memset(&restore, 0, sizeof restore);
    local[0] = an_index("Local", LIST(by_id_and_mail), &project_keys);
    global[0] = an_index("Global", LIST(by_mail), &project_all);
    global[0].on_demand_throughput = &maxima;
    create.attribute_definitions = LIST(all_three);
    create.key_schema = LIST(by_id_and_at);
    create.local_indexes = LIST(local);
    create.global_indexes = LIST(global);
    ACCEPTS(create_table, &create);
    back_up(&s, "Plain", arn);
    restore.backup_arn = arn;
    restore.target_table_name = "All";
    ACCEPTS(restore_table_from_backup, &restore); /* absent: all of them */
    HAS("'IndexName':'Local'");
    HAS("'IndexName':'Global'");
    HAS("{'MaxReadRequestUnits':3,'MaxWriteRequestUnits':4}");
    restore.target_table_name = "None";
    restore.local_index_override = restore.global_index_override = list_of(NULL, 0);
    ACCEPTS(restore_table_from_backup, &restore); /* empty: none */
    LACKS("Index");
    restore.target_table_name = "Some";
    wanted = an_index("Renamed", LIST(by_mail), &project_all);
    wanted.on_demand_throughput = &index_maxima;
    restore.global_index_override = list_of(&wanted, 1);
    ACCEPTS(restore_table_from_backup, &restore);
    HAS("'IndexArn':'" ARN "Some/index/Renamed','OnDemandThroughput':{'MaxWriteRequestUnits':5}}");
    LACKS("'Local'");
    restore.target_table_name = "More";
    wanted.key_schema = LIST(by_id);
    REFUSES(restore_table_from_backup, &restore, DYNB_VALIDATION,
            "Invalid Request: Index Renamed does not match a secondary index that existed in the "
            "source table and cannot be created during the restore operation");
    wanted.key_schema = LIST(range_first);
    REFUSES(restore_table_from_backup, &restore, DYNB_VALIDATION,
            "Invalid KeySchema: The first KeySchemaElement is not a HASH key type");
    wanted.key_schema = LIST(by_mail);
    index_maxima = units(1, 0);
    REFUSES(restore_table_from_backup, &restore, DYNB_VALIDATION,
            "Invalid Request: Requested MaxWriteRequestUnits for OnDemandThroughput is outside of "
            "valid range for index Renamed");
    restore.global_index_override.is_set = 0;
    restore.global_index_override.count = 0;
    wanted.on_demand_throughput = NULL;
    wanted.key_schema = LIST(range_first);
    restore.local_index_override = list_of(&wanted, 1);
    REFUSES(restore_table_from_backup, &restore, DYNB_VALIDATION,
            "Invalid KeySchema: The first KeySchemaElement is not a HASH key type");
    store_end(&s);
}

/* ----------------------------------------------------- continuous backups -- */

static void test_continuous_backups(void)
{
    static store s;
    dynbi_recovery_specification specification;
    dynbi_continuous_backups_request update = {"Plain", NULL};
    dynbi_named_request named = {"Plain"};
    dynbi_restore_request restore;
    begin(&s);
    memset(&specification, 0, sizeof specification);
    memset(&restore, 0, sizeof restore);
    update.specification = &specification;
    MUST(kit_create_table(s.db, "Plain", NULL));
    ANSWERS(describe_continuous_backups, &named,
            "{'ContinuousBackupsDescription':{'ContinuousBackupsStatus':'ENABLED',"
            "'PointInTimeRecoveryDescription':{'PointInTimeRecoveryStatus':'DISABLED'}}}");
    specification.point_in_time_recovery_enabled = DYNBI_TRUE;
    ANSWERS(update_continuous_backups, &update,
            "{'ContinuousBackupsDescription':{'ContinuousBackupsStatus':'ENABLED',"
            "'PointInTimeRecoveryDescription':{'PointInTimeRecoveryStatus':'ENABLED',"
            "'RecoveryPeriodInDays':35,'EarliestRestorableDateTime':1489602797.149,"
            "'LatestRestorableDateTime':1489602797.149}}}");
    specification.recovery_period_in_days = integer(7);
    s.clock.now_ms += 851;
    MUST(kit_put(s.db, "Plain", "a", 1));
    ACCEPTS(update_continuous_backups, &update);
    ANSWERS(describe_continuous_backups, &named,
            "{'ContinuousBackupsDescription':{'ContinuousBackupsStatus':'ENABLED',"
            "'PointInTimeRecoveryDescription':{'PointInTimeRecoveryStatus':'ENABLED',"
            "'RecoveryPeriodInDays':7,'EarliestRestorableDateTime':1489602797.149,"
            "'LatestRestorableDateTime':1489602798.0}}}");
    restore.target_table_name = "Past";
    restore.source_table_name = "Plain";
    restore.restore_date_time = integer(-1);
    REFUSES(restore_table_to_point_in_time, &restore, DYNB_INVALID_RESTORE_TIME,
            "RestoreDateTime '1970-01-01T00:00:00Z' must be within EarliestRestorableDateTime "
            "'2017-03-15T18:33:17Z' and LatestRestorableDateTime '2017-03-15T18:33:18Z'");
    restore.use_latest_restorable_time = DYNBI_FALSE;
    restore.restore_date_time = integer(1489602797900);
    ACCEPTS(restore_table_to_point_in_time, &restore);
    HAS("'TableStatus':'CREATING'");
    HAS("'ItemCount':0");
    HAS("'RestoreSummary':{'SourceTableArn':'" ARN "Plain','RestoreDateTime':1489602797.9,"
        "'RestoreInProgress':true}");
    restore.target_table_name = "Now";
    restore.source_table_name = NULL;
    restore.source_table_arn = ARN "Plain";
    restore.use_latest_restorable_time = DYNBI_TRUE;
    REFUSES(restore_table_to_point_in_time, &restore, DYNB_VALIDATION,
            "Invalid Request: Both RestoreDateTime and UseLatestRestorableTime cannot be set for "
            "point-in-time restore request. Please specify only one of them");
    memset(&restore.restore_date_time, 0, sizeof restore.restore_date_time);
    ACCEPTS(restore_table_to_point_in_time, &restore);
    CHECK_INT(kit_get(s.db, "Now", "a"), 1);
    restore.use_latest_restorable_time = DYNBI_FALSE;
    REFUSES(restore_table_to_point_in_time, &restore, DYNB_VALIDATION,
            "Invalid Request: Either one of RestoreDateTime or UseLatestRestorableTime must be "
            "specified, but not both");
    specification.point_in_time_recovery_enabled = DYNBI_FALSE;
    REFUSES(update_continuous_backups, &update, DYNB_VALIDATION,
            "Invalid Request: Cannot specify RecoveryPeriodInDays when disabling point-in-time "
            "recovery.");
    memset(&specification.recovery_period_in_days, 0,
           sizeof specification.recovery_period_in_days);
    ACCEPTS(update_continuous_backups, &update);
    HAS("{'PointInTimeRecoveryStatus':'DISABLED'}");
    restore.use_latest_restorable_time = DYNBI_TRUE;
    REFUSES(restore_table_to_point_in_time, &restore,
            DYNB_POINT_IN_TIME_RECOVERY_UNAVAILABLE,
            "Point in time recovery is not enabled for table 'Plain'");
    named.table_name = "None";
    REFUSES(describe_continuous_backups, &named, DYNB_TABLE_NOT_FOUND, "Table not found: None");
    store_end(&s);
}

/* ----------------------------------------------------------------- memory -- */

/* The call's memory ends at any place in a list; the rest is tested with JSON. */
static void test_memory(void)
{
    static store s;
    dynbi_index_request local[1], global[1];
    dynbi_table_request create = plain_table("Plain"), update = update_of("Plain");
    dynbi_index_update_request change;
    dynbi_encryption_request encryption = {DYNBI_TRUE, 2, "alias/mine"};
    dynbi_tag_request tags[] = {{"stage", "test"}};
    dynbi_tags_request tag;
    const struct {
        handler_fn handler;
        const void *request;
    } cases[] = {{dynbi_call_create_table, &create},
                 {dynbi_call_update_table, &update},
                 {dynbi_call_tag_resource, &tag}};
    size_t i, left;
    dynb_rc rc;
    begin(&s);
    memset(&change, 0, sizeof change);
    memset(&tag, 0, sizeof tag);
    local[0] = an_index("Local", LIST(by_id_and_mail), &project_keys);
    global[0] = an_index("Global", LIST(by_mail), &project_all);
    create.attribute_definitions = update.attribute_definitions = LIST(all_three);
    create.key_schema = LIST(by_id_and_at);
    create.local_indexes = LIST(local);
    create.global_indexes = LIST(global);
    create.sse_specification = &encryption;
    create.tags = tag.tags = LIST(tags);
    change.create = &global[0];
    update.global_index_updates = list_of(&change, 1);
    tag.resource_arn = ARN "Plain";
    s.memory.fail_from = 1;
    for (i = 0; i < sizeof cases / sizeof cases[0]; ++i) {
        for (left = 0; left <= sizeof(dynbi_call_memory); left += 8) {
            dynbi_call_memory memory;
            dynbi_call call;
            dynb_result out;
            memset(&out, 0, sizeof out);
            out.allocator = s.config.allocator;
            memory.allocator = out.allocator;
            dynbi_call_start(&call, s.db, &memory, &out, &kit_err);
            call.request = cases[i].request;
            memory.left_bytes = left < memory.left_bytes ? left : memory.left_bytes;
            s.memory.call_count = 0;
            s.memory.fail_at = 1;
            rc = cases[i].handler(&call); /* no such table, once the lists are made */
            s.memory.fail_at = 0;
            CHECK(rc == DYNB_NO_MEMORY || (i && left && rc == DYNB_RESOURCE_NOT_FOUND));
            CHECK_INT(kit_err.code, rc);
            CHECK_INT(out.used_bytes, 0);
            dynbi_call_free(&memory);
        }
    }
    EXPECT(dynb_check(s.db, NULL, NULL, NULL, &kit_err), DYNB_OK);
    store_end(&s);
}

int main(void)
{
    test_plain_table();
    test_rich_table();
    test_times();
    test_create_refused();
    test_on_demand();
    test_index_refused();
    test_list_tables();
    test_update();
    test_streams();
    test_index_updates();
    test_time_to_live();
    test_time_to_live_states();
    test_tags();
    test_account();
    test_backup();
    test_backup_features();
    test_list_backups();
    test_restore();
    test_restore_indexes();
    test_continuous_backups();
    test_memory();
    return check_report("unit_answers");
}
