/* test_call_tables.c - the whole life of tables and backups through dynb_call
 * only, JSON in and JSON out: each member of each answer, states on the clock,
 * pages, restores, errors with their __type, and no memory at any place. */
#include "store.h"

/* ---------------------------------------------------------------- the kit -- */

static store s;
static dynb_result held; /* of the last answer */
static dynb_response response;
static char answer[65536];

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
    while ((at = strstr(at, "/backup/0")) != NULL) {
        at += 8 + 14 + 1;
        if (memcmp(at, "00000000", 8) == 0)
            continue;
        memmove(at + 1, at + 8, strlen(at + 8) + 1);
        *at = 'x';
    }
}

static void swap_quotes(char *text, char from, char to)
{
    for (; *text; ++text)
        *text = *text == from ? to : *text;
}

/* Sends a request written with ' for "; the answer, likewise, is in `answer`. */
static dynb_rc send(const char *operation, const char *request)
{
    static char json[32768];
    dynb_rc rc;
    kit_copy(json, sizeof json, request);
    swap_quotes(json, '\'', '"');
    memset(&response, 0, sizeof response);
    rc = dynb_call(s.db, operation, json, strlen(json), &held, &response, &kit_err);
    CHECK_INT(response.http_status, rc == DYNB_OK ? 200 : dynb_rc_http_status(rc));
    CHECK_INT(response.body_size, strlen(response.body));
    kit_copy(answer, sizeof answer, response.body);
    swap_quotes(answer, '"', '\'');
    return rc;
}

static void note_answer(int is_right, const char *file, int line, const char *what)
{
    if (!is_right)
        printf("%s:%d: %s\n", file, line, answer);
    check_note(is_right, file, line, what);
}

#define ANSWERS(operation, request, text)                            \
    do {                                                             \
        if (EXPECT(send(operation, request), DYNB_OK)) {             \
            normalize(answer);                                       \
            CHECK_TEXT(answer, (text));                              \
        }                                                            \
    } while (0)

#define ACCEPTS(operation, request) \
    (void)(EXPECT(send(operation, request), DYNB_OK) ? normalize(answer) : (void)0)

/* The error's body, whole: its __type ends with the exception. */
#define REFUSES(operation, request, exception, message)                              \
    do {                                                                             \
        static const char body[] = "{'__type':'" exception "','message':'" message "'}"; \
        dynb_rc refused = send(operation, request);                                  \
        normalize(answer);                                                           \
        CHECK(refused != DYNB_OK);                                                   \
        CHECK_TEXT(answer, body);                                                    \
    } while (0)

#define HAS(part) note_answer(strstr(answer, (part)) != NULL, __FILE__, __LINE__, "has " part)
#define LACKS(part) note_answer(strstr(answer, (part)) == NULL, __FILE__, __LINE__, "lacks " part)

#define INVALID "com.amazon.coral.validate#ValidationException"
#define EXCEPTION(name) "com.amazonaws.dynamodb.v20120810#" name
#define ARN "arn:aws:dynamodb:us-east-1:123456789012:table/"

/* A clock that stands still, at the time of the contract's example. */
static void begin(uint32_t table_delay_ms, uint32_t backup_delay_ms)
{
    store_begin(&s);
    s.clock.now_ms = 1489602797149u;
    s.clock.step_ms = 0;
    s.config.control_plane_delay_ms = table_delay_ms;
    s.config.backup_delay_ms = backup_delay_ms;
    store_open(&s);
}

static void end(void)
{
    dynb_result_free(&held);
    store_end(&s);
}

static void pass(uint64_t ms)
{
    s.clock.now_ms += ms;
}

/* Copies the text of a member of the last answer, as it came. */
static void member(const char *name, char *to, size_t size)
{
    char pattern[64];
    const char *at;
    size_t length = 0;
    snprintf(pattern, sizeof pattern, "\"%s\":\"", name);
    at = strstr(response.body, pattern);
    CHECK(at != NULL);
    at = at ? at + strlen(pattern) : "";
    while (at[length] && at[length] != '"' && length + 1 < size)
        ++length;
    memcpy(to, at, length);
    to[length] = 0;
}

/* A request with one text in the place of %s. */
static const char *with(const char *format, const char *text)
{
    static char request[8192];
    const char *at = strstr(format, "%s");
    size_t head = (size_t)(at - format);
    memcpy(request, format, head);
    snprintf(request + head, sizeof request - head, "%s%s", text, at + 2);
    return request;
}

#define PLAIN(name)                                                                       \
    "{'TableName':'" name "','AttributeDefinitions':[{'AttributeName':'Id',"             \
    "'AttributeType':'S'}],'KeySchema':[{'AttributeName':'Id','KeyType':'HASH'}],"        \
    "'BillingMode':'PAY_PER_REQUEST'}"
#define NAMED(name) "{'TableName':'" name "'}"

static void put(const char *table, const char *id)
{
    static char request[512];
    snprintf(request, sizeof request, "{'TableName':'%s','Item':{'Id':{'S':'%s'}}}", table, id);
    EXPECT(send("PutItem", request), DYNB_OK);
}

/* How many items a scan finds. */
static int count_of(const char *table)
{
    static char request[512];
    char *at;
    snprintf(request, sizeof request, "{'TableName':'%s','Select':'COUNT'}", table);
    EXPECT(send("Scan", request), DYNB_OK);
    at = strstr(answer, "'Count':");
    return at ? atoi(at + 8) : -1;
}

/* ----------------------------------------------------------------- tables -- */

#define RICH_INDEXES(status)                                                           \
    "'LocalSecondaryIndexes':[{'IndexName':'Local','KeySchema':["                       \
    "{'AttributeName':'Id','KeyType':'HASH'},{'AttributeName':'Mail','KeyType':'RANGE'}]," \
    "'Projection':{'ProjectionType':'KEYS_ONLY'},'IndexSizeBytes':0,'ItemCount':0,"     \
    "'IndexArn':'" ARN "Rich/index/Local'}],'GlobalSecondaryIndexes':[{"                \
    "'IndexName':'Global','KeySchema':[{'AttributeName':'Mail','KeyType':'HASH'}],"     \
    "'Projection':{'ProjectionType':'INCLUDE','NonKeyAttributes':['Age','Name']},"      \
    "'IndexStatus':'" status "','ProvisionedThroughput':{'NumberOfDecreasesToday':0,"   \
    "'ReadCapacityUnits':7,'WriteCapacityUnits':8},'IndexSizeBytes':0,'ItemCount':0,"   \
    "'IndexArn':'" ARN "Rich/index/Global'}],"

#define RICH(status)                                                                    \
    "{'AttributeDefinitions':[{'AttributeName':'At','AttributeType':'N'},"              \
    "{'AttributeName':'Id','AttributeType':'S'},{'AttributeName':'Mail',"               \
    "'AttributeType':'B'}],'TableName':'Rich','KeySchema':[{'AttributeName':'Id',"      \
    "'KeyType':'HASH'},{'AttributeName':'At','KeyType':'RANGE'}],"                      \
    "'TableStatus':'" status "','CreationDateTime':1489602797.149,"                     \
    "'ProvisionedThroughput':{'NumberOfDecreasesToday':0,'ReadCapacityUnits':5,"        \
    "'WriteCapacityUnits':6},'TableSizeBytes':0,'ItemCount':0,'TableArn':'" ARN "Rich'," \
    "'TableId':'ID'," RICH_INDEXES(status)                                              \
    "'StreamSpecification':{'StreamEnabled':true,'StreamViewType':'NEW_IMAGE'},"        \
    "'LatestStreamLabel':'2017-03-15T18:33:17.149','LatestStreamArn':'" ARN             \
    "Rich/stream/2017-03-15T18:33:17.149','SSEDescription':{'Status':'ENABLED',"        \
    "'SSEType':'KMS','KMSMasterKeyArn':'arn:aws:kms:us-east-1:123456789012:alias/mine'}," \
    "'TableClassSummary':{'TableClass':'STANDARD_INFREQUENT_ACCESS'},"                  \
    "'DeletionProtectionEnabled':true}}"

static const char create_rich[] =
    "{'TableName':'Rich','AttributeDefinitions':[{'AttributeName':'Id','AttributeType':'S'},"
    "{'AttributeName':'At','AttributeType':'N'},{'AttributeName':'Mail','AttributeType':'B'}],"
    "'KeySchema':[{'AttributeName':'Id','KeyType':'HASH'},{'AttributeName':'At',"
    "'KeyType':'RANGE'}],'ProvisionedThroughput':{'ReadCapacityUnits':5,'WriteCapacityUnits':6},"
    "'LocalSecondaryIndexes':[{'IndexName':'Local','KeySchema':[{'AttributeName':'Id',"
    "'KeyType':'HASH'},{'AttributeName':'Mail','KeyType':'RANGE'}],"
    "'Projection':{'ProjectionType':'KEYS_ONLY'}}],'GlobalSecondaryIndexes':["
    "{'IndexName':'Global','KeySchema':[{'AttributeName':'Mail','KeyType':'HASH'}],"
    "'Projection':{'ProjectionType':'INCLUDE','NonKeyAttributes':['Age','Name']},"
    "'ProvisionedThroughput':{'ReadCapacityUnits':7,'WriteCapacityUnits':8}}],"
    "'StreamSpecification':{'StreamEnabled':true,'StreamViewType':'NEW_IMAGE'},"
    "'SSESpecification':{'Enabled':true,'SSEType':'KMS','KMSMasterKeyId':'alias/mine'},"
    "'Tags':[{'Key':'stage','Value':'test'}],'TableClass':'STANDARD_INFREQUENT_ACCESS',"
    "'DeletionProtectionEnabled':true}";

/* The states of a table, with all that it can have. */
static void test_table(void)
{
    begin(1000, 0);
    ANSWERS("CreateTable", create_rich, "{'TableDescription':" RICH("CREATING"));
    ANSWERS("DescribeTable", NAMED("Rich"), "{'Table':" RICH("CREATING"));
    REFUSES("CreateTable", create_rich, EXCEPTION("ResourceInUseException"),
            "Attempt to change a resource which is still in use: Table is being created: Rich");
    REFUSES("DeleteTable", NAMED("Rich"), EXCEPTION("ResourceInUseException"),
            "Attempt to change a resource which is still in use: Table is being created: Rich");
    pass(999);
    ANSWERS("DescribeTable", NAMED(ARN "Rich"), "{'Table':" RICH("CREATING"));
    pass(1);
    ANSWERS("DescribeTable", NAMED(ARN "Rich"), "{'Table':" RICH("ACTIVE"));
    ANSWERS("ListTagsOfResource", "{'ResourceArn':'" ARN "Rich'}",
            "{'Tags':[{'Key':'stage','Value':'test'}]}");
    REFUSES("CreateTable", create_rich, EXCEPTION("ResourceInUseException"),
            "Table already exists: Rich");
    REFUSES("DeleteTable", NAMED("Rich"), INVALID,
            "Resource cannot be deleted as it is currently protected against deletion. Disable "
            "deletion protection first.");
    ACCEPTS("UpdateTable", "{'TableName':'Rich','DeletionProtectionEnabled':false}");
    HAS("{'TableDescription':{");
    HAS("'TableStatus':'UPDATING'");
    HAS("'IndexStatus':'ACTIVE'");
    HAS("'DeletionProtectionEnabled':false}}");
    REFUSES("DeleteTable", NAMED("Rich"), EXCEPTION("ResourceInUseException"),
            "Attempt to change a resource which is still in use: Table: Rich is in the process of "
            "being updated.");
    pass(1000);
    ACCEPTS("DeleteTable", NAMED("Rich"));
    HAS("'TableStatus':'DELETING'");
    HAS("'IndexStatus':'DELETING'");
    ACCEPTS("DescribeTable", NAMED("Rich"));
    HAS("'TableStatus':'DELETING'");
    REFUSES("CreateTable", create_rich, EXCEPTION("ResourceInUseException"),
            "Attempt to change a resource which is still in use: Table is being deleted: Rich");
    pass(1000);
    REFUSES("DescribeTable", NAMED("Rich"), EXCEPTION("ResourceNotFoundException"),
            "Requested resource not found: Table: Rich not found");
    end();
}

static void test_update_table(void)
{
    begin(0, 0);
    ACCEPTS("CreateTable", PLAIN("Plain"));
    HAS("'BillingModeSummary':{'BillingMode':'PAY_PER_REQUEST'},'WarmThroughput':"
        "{'ReadUnitsPerSecond':12000,'WriteUnitsPerSecond':4000,'Status':'CREATING'}");
    put("Plain", "a");
    MUST(dynb_wait_idle(s.db, &kit_err));
    ACCEPTS("DescribeTable", NAMED("Plain"));
    HAS("'TableSizeBytes':3,'ItemCount':1");
    REFUSES("UpdateTable", NAMED("Plain"), INVALID,
            "At least one of ProvisionedThroughput, BillingMode, UpdateStreamEnabled, "
            "GlobalSecondaryIndexUpdates or SSESpecification or ReplicaUpdates is required");
    REFUSES("UpdateTable",
            "{'TableName':'Plain','ProvisionedThroughput':{'ReadCapacityUnits':1,"
            "'WriteCapacityUnits':1}}",
            INVALID,
            "One or more parameter values were invalid: Neither ReadCapacityUnits nor "
            "WriteCapacityUnits can be specified when BillingMode is PAY_PER_REQUEST");
    ACCEPTS("UpdateTable", "{'TableName':'Plain','OnDemandThroughput':{'MaxReadRequestUnits':3,"
                           "'MaxWriteRequestUnits':4}}");
    HAS("'OnDemandThroughput':{'MaxReadRequestUnits':3,'MaxWriteRequestUnits':4}");
    ACCEPTS("UpdateTable",
            "{'TableName':'Plain','BillingMode':'PROVISIONED','ProvisionedThroughput':"
            "{'ReadCapacityUnits':1,'WriteCapacityUnits':2}}");
    HAS("'ProvisionedThroughput':{'NumberOfDecreasesToday':0,'ReadCapacityUnits':1,"
        "'WriteCapacityUnits':2}");
    LACKS("OnDemandThroughput");
    ACCEPTS("UpdateTable",
            "{'TableName':'Plain','AttributeDefinitions':[{'AttributeName':'v',"
            "'AttributeType':'N'},{'AttributeName':'Id','AttributeType':'S'}],"
            "'GlobalSecondaryIndexUpdates':[{'Create':{'IndexName':'ByV','KeySchema':["
            "{'AttributeName':'v','KeyType':'HASH'},{'AttributeName':'Id','KeyType':'RANGE'}],"
            "'Projection':{'ProjectionType':'ALL'},'ProvisionedThroughput':"
            "{'ReadCapacityUnits':1,'WriteCapacityUnits':1}}}]}");
    HAS("'TableStatus':'UPDATING'");
    HAS("'IndexStatus':'CREATING','Backfilling':true,");
    MUST(dynb_wait_idle(s.db, &kit_err));
    ACCEPTS("DescribeTable", NAMED("Plain"));
    HAS("'IndexStatus':'ACTIVE','ProvisionedThroughput':");
    ACCEPTS("UpdateTable",
            "{'TableName':'Plain','GlobalSecondaryIndexUpdates':[{'Update':{'IndexName':'ByV',"
            "'ProvisionedThroughput':{'ReadCapacityUnits':9,'WriteCapacityUnits':8}}}]}");
    HAS("'ReadCapacityUnits':9,'WriteCapacityUnits':8");
    REFUSES("UpdateTable",
            "{'TableName':'Plain','GlobalSecondaryIndexUpdates':[{'Delete':{'IndexName':'None'"
            "}}]}",
            EXCEPTION("ResourceNotFoundException"), "Requested resource not found");
    ACCEPTS("UpdateTable",
            "{'TableName':'Plain','GlobalSecondaryIndexUpdates':[{'Delete':{'IndexName':'ByV'"
            "}}]}");
    HAS("'IndexStatus':'DELETING'");
    ACCEPTS("UpdateTable",
            "{'TableName':'Plain','StreamSpecification':{'StreamEnabled':true,"
            "'StreamViewType':'KEYS_ONLY'},'TableClass':'STANDARD_INFREQUENT_ACCESS',"
            "'SSESpecification':{'Enabled':true}}");
    HAS("'StreamSpecification':{'StreamEnabled':true,'StreamViewType':'KEYS_ONLY'}");
    HAS("'SSEDescription':{'Status':'ENABLED','SSEType':'KMS'}");
    HAS("'TableClassSummary':{'TableClass':'STANDARD_INFREQUENT_ACCESS'}");
    REFUSES("UpdateTable",
            "{'TableName':'Plain','StreamSpecification':{'StreamEnabled':true,"
            "'StreamViewType':'KEYS_ONLY'}}",
            INVALID, "Table already has an enabled stream: TableName: Plain");
    end();
}

static void test_list_tables(void)
{
    char request[128], name[16];
    int i;
    begin(0, 0);
    ANSWERS("ListTables", "{}", "{'TableNames':[]}");
    for (i = 0; i < 101; ++i) {
        snprintf(name, sizeof name, "T%03d", i);
        ACCEPTS("CreateTable", with(PLAIN("%s"), name));
    }
    ACCEPTS("ListTables", "{}"); /* a page is 100 */
    HAS("'T099'],'LastEvaluatedTableName':'T099'}");
    ANSWERS("ListTables", "{'ExclusiveStartTableName':'T099'}", "{'TableNames':['T100']}");
    ANSWERS("ListTables", "{'Limit':2,'ExclusiveStartTableName':'T01'}",
            "{'TableNames':['T010','T011'],'LastEvaluatedTableName':'T011'}");
    name[0] = 0;
    for (i = 0; i < 20; ++i) { /* the whole list, by pages of seven */
        snprintf(request, sizeof request, "{'Limit':7%s%s%s}",
                 name[0] ? ",'ExclusiveStartTableName':'" : "", name, name[0] ? "'" : "");
        if (!EXPECT(send("ListTables", request), DYNB_OK) ||
            !strstr(answer, "LastEvaluatedTableName"))
            break;
        member("LastEvaluatedTableName", name, sizeof name);
    }
    CHECK_INT(i, 14);
    HAS("{'TableNames':['T098','T099','T100']}");
    end();
}

static void test_time_to_live(void)
{
    begin(1000, 0);
    ACCEPTS("CreateTable", PLAIN("Plain"));
    pass(1000);
    ANSWERS("UpdateTimeToLive",
            "{'TableName':'Plain','TimeToLiveSpecification':{'Enabled':true,"
            "'AttributeName':'until'}}",
            "{'TimeToLiveSpecification':{'Enabled':true,'AttributeName':'until'}}");
    ANSWERS("DescribeTimeToLive", NAMED("Plain"),
            "{'TimeToLiveDescription':{'TimeToLiveStatus':'ENABLING','AttributeName':'until'}}");
    REFUSES("UpdateTimeToLive",
            "{'TableName':'Plain','TimeToLiveSpecification':{'Enabled':false,"
            "'AttributeName':'until'}}",
            INVALID, "Time to live has been modified multiple times within a fixed interval");
    pass(1000);
    ANSWERS("DescribeTimeToLive", NAMED("Plain"),
            "{'TimeToLiveDescription':{'TimeToLiveStatus':'ENABLED','AttributeName':'until'}}");
    ACCEPTS("UpdateTimeToLive",
            "{'TableName':'Plain','TimeToLiveSpecification':{'Enabled':false,"
            "'AttributeName':'until'}}");
    ANSWERS("DescribeTimeToLive", NAMED("Plain"),
            "{'TimeToLiveDescription':{'TimeToLiveStatus':'DISABLING'}}");
    pass(1000);
    ANSWERS("DescribeTimeToLive", NAMED("Plain"),
            "{'TimeToLiveDescription':{'TimeToLiveStatus':'DISABLED'}}");
    MUST(dynb_fail_next_calls(s.db, DYNB_OP_DESCRIBE_TIME_TO_LIVE, DYNB_THROTTLING, 1, &kit_err));
    REFUSES("DescribeTimeToLive", NAMED("Plain"),
            "com.amazon.coral.availability#ThrottlingException", "Rate exceeded");
    ACCEPTS("DescribeTimeToLive", NAMED("Plain"));
    end();
}

static void test_tags(void)
{
    begin(0, 0);
    ACCEPTS("CreateTable", PLAIN("Plain"));
    ANSWERS("TagResource",
            "{'ResourceArn':'" ARN "Plain','Tags':[{'Key':'b','Value':'2'},{'Key':'a',"
            "'Value':'1'},{'Key':'c','Value':''}]}",
            ""); /* contract 4.1: an empty body */
    ANSWERS("ListTagsOfResource", "{'ResourceArn':'" ARN "Plain'}",
            "{'Tags':[{'Key':'a','Value':'1'},{'Key':'b','Value':'2'},{'Key':'c','Value':''}]}");
    ANSWERS("ListTagsOfResource", "{'ResourceArn':'" ARN "Plain','NextToken':'a'}",
            "{'Tags':[{'Key':'b','Value':'2'},{'Key':'c','Value':''}]}");
    ANSWERS("UntagResource", "{'ResourceArn':'" ARN "Plain','TagKeys':['b','none']}", "");
    ANSWERS("ListTagsOfResource", "{'ResourceArn':'" ARN "Plain'}",
            "{'Tags':[{'Key':'a','Value':'1'},{'Key':'c','Value':''}]}");
    REFUSES("TagResource", "{'ResourceArn':'" ARN "Plain','Tags':[]}", INVALID,
            "Atleast one Tag needs to be provided as Input.");
    REFUSES("UntagResource", "{'ResourceArn':'" ARN "Plain','TagKeys':[]}", INVALID,
            "Atleast one Tag Key needs to be provided as Input.");
    REFUSES("UntagResource", "{'ResourceArn':'" ARN "None','TagKeys':['a']}",
            EXCEPTION("ResourceNotFoundException"),
            "Requested resource not found: Table: None not found");
    end();
}

static void test_account(void)
{
    begin(0, 0);
    ANSWERS("DescribeLimits", "{}",
            "{'AccountMaxReadCapacityUnits':80000,'AccountMaxWriteCapacityUnits':80000,"
            "'TableMaxReadCapacityUnits':40000,'TableMaxWriteCapacityUnits':40000}");
    ANSWERS("DescribeEndpoints", "{}",
            "{'Endpoints':[{'Address':'dynamodb.us-east-1.amazonaws.com',"
            "'CachePeriodInMinutes':1440}]}");
    end();
}

/* ---------------------------------------------------------------- backups -- */

#define DETAILS(status)                                                                \
    "'BackupDetails':{'BackupArn':'" ARN "Rich/backup/01489602798149-x',"              \
    "'BackupName':'first','BackupCreationDateTime':1489602798.149,'BackupStatus':'" status \
    "','BackupType':'USER','BackupSizeBytes':0}"

#define SOURCE                                                                         \
    "'SourceTableDetails':{'TableName':'Rich','TableId':'ID','TableArn':'" ARN "Rich'," \
    "'TableSizeBytes':0,'KeySchema':[{'AttributeName':'Id','KeyType':'HASH'},"         \
    "{'AttributeName':'At','KeyType':'RANGE'}],'TableCreationDateTime':1489602797.149," \
    "'ProvisionedThroughput':{'ReadCapacityUnits':5,'WriteCapacityUnits':6},"          \
    "'ItemCount':0,'BillingMode':'PROVISIONED'},'SourceTableFeatureDetails':{"         \
    "'LocalSecondaryIndexes':[{'IndexName':'Local','KeySchema':[{'AttributeName':'Id'," \
    "'KeyType':'HASH'},{'AttributeName':'Mail','KeyType':'RANGE'}],"                   \
    "'Projection':{'ProjectionType':'KEYS_ONLY'}}],'GlobalSecondaryIndexes':["         \
    "{'IndexName':'Global','KeySchema':[{'AttributeName':'Mail','KeyType':'HASH'}],"   \
    "'Projection':{'ProjectionType':'INCLUDE','NonKeyAttributes':['Age','Name']},"     \
    "'ProvisionedThroughput':{'ReadCapacityUnits':7,'WriteCapacityUnits':8}}],"        \
    "'StreamDescription':{'StreamEnabled':true,'StreamViewType':'NEW_IMAGE'},"         \
    "'TimeToLiveDescription':{'TimeToLiveStatus':'ENABLED','AttributeName':'until'},"  \
    "'SSEDescription':{'Status':'ENABLED','SSEType':'KMS',"                            \
    "'KMSMasterKeyArn':'arn:aws:kms:us-east-1:123456789012:alias/mine'}}}}"

static void test_backup(void)
{
    char arn[DYNB_ARN_MAX + 1];
    begin(0, 500);
    ACCEPTS("CreateTable", create_rich);
    ACCEPTS("UpdateTimeToLive", "{'TableName':'Rich','TimeToLiveSpecification':{'Enabled':true,"
                                "'AttributeName':'until'}}");
    pass(1000);
    REFUSES("CreateBackup", "{'TableName':'None','BackupName':'first'}",
            EXCEPTION("TableNotFoundException"), "Table not found: None");
    ANSWERS("CreateBackup", "{'TableName':'" ARN "Rich','BackupName':'first'}",
            "{" DETAILS("CREATING") "}");
    member("BackupArn", arn, sizeof arn);
    ANSWERS("DescribeBackup", with("{'BackupArn':'%s'}", arn),
            "{'BackupDescription':{" DETAILS("CREATING") "," SOURCE);
    REFUSES("DeleteBackup", with("{'BackupArn':'%s'}", arn), EXCEPTION("BackupInUseException"),
            "The backup is either being created, deleted or restored to a table: " ARN
            "Rich/backup/01489602798149-x");
    pass(500);
    MUST(dynb_wait_idle(s.db, &kit_err));
    ANSWERS("DescribeBackup", with("{'BackupArn':'%s'}", arn),
            "{'BackupDescription':{" DETAILS("AVAILABLE") "," SOURCE);
    ANSWERS("ListBackups", "{}",
            "{'BackupSummaries':[{'TableName':'Rich','TableId':'ID','TableArn':'" ARN "Rich',"
            "'BackupArn':'" ARN "Rich/backup/01489602798149-x','BackupName':'first',"
            "'BackupCreationDateTime':1489602798.149,'BackupStatus':'AVAILABLE',"
            "'BackupType':'USER','BackupSizeBytes':0}]}");
    ANSWERS("DeleteBackup", with("{'BackupArn':'%s'}", arn),
            "{'BackupDescription':{" DETAILS("DELETED") "," SOURCE);
    REFUSES("DescribeBackup", with("{'BackupArn':'%s'}", arn),
            EXCEPTION("BackupNotFoundException"),
            "Backup not found: " ARN "Rich/backup/01489602798149-x");
    ANSWERS("ListBackups", "{}", "{'BackupSummaries':[]}");
    REFUSES("DescribeBackup", "{'BackupArn':''}", INVALID, "Invalid Backup ARN");
    REFUSES("DescribeBackup", "{'BackupArn':'" ARN "Rich'}", INVALID, "Invalid Backup ARN");
    send("DescribeBackup", "{'BackupArn':'arn:aws:dynamodb:us-east-1:999999999999:table/Rich/"
                           "backup/01489602798149-73d8d5bc'}");
    CHECK_TEXT(answer, "{'__type':'com.amazon.coral.service#AccessDeniedException',"
                       "'Message':'Access is denied'}");
    end();
}

/* A plain table's backup has {} for its features; a restored one its data. */
static void test_plain_backup(void)
{
    char arn[DYNB_ARN_MAX + 1];
    begin(0, 0);
    ACCEPTS("CreateTable", PLAIN("Plain"));
    put("Plain", "a");
    put("Plain", "b");
    ACCEPTS("CreateBackup", NAMED("Plain','BackupName':'first"));
    member("BackupArn", arn, sizeof arn);
    MUST(dynb_wait_idle(s.db, &kit_err));
    put("Plain", "c");
    ACCEPTS("DescribeBackup", with("{'BackupArn':'%s'}", arn));
    HAS("'BackupSizeBytes':6},");
    HAS("'TableSizeBytes':6,");
    HAS("'ProvisionedThroughput':{'ReadCapacityUnits':0,'WriteCapacityUnits':0},'ItemCount':2,"
        "'BillingMode':'PAY_PER_REQUEST'},'SourceTableFeatureDetails':{}}}");
    ACCEPTS("DeleteTable", NAMED("Plain"));
    ACCEPTS("RestoreTableFromBackup", with("{'TargetTableName':'Plain','BackupArn':'%s'}", arn));
    CHECK_INT(count_of("Plain"), 2);
    end();
}

static void test_list_backups(void)
{
    char arns[5][DYNB_ARN_MAX + 1], request[2048];
    int i;
    begin(0, 0);
    ACCEPTS("CreateTable", PLAIN("Aaa"));
    ACCEPTS("CreateTable", PLAIN("Bbb"));
    for (i = 0; i < 5; ++i) {
        ACCEPTS("CreateBackup", i % 2 ? NAMED("Bbb','BackupName':'odd")
                                      : NAMED("Aaa','BackupName':'even"));
        member("BackupArn", arns[i], sizeof arns[i]);
        pass(1000);
    }
    ACCEPTS("ListBackups", "{'Limit':2}");
    HAS("1489602797.149");
    HAS("1489602799.149");
    HAS("'LastEvaluatedBackupArn':'" ARN "Aaa/backup/01489602799149-x'}");
    snprintf(request, sizeof request, "{'Limit':2,'ExclusiveStartBackupArn':'%s'}", arns[2]);
    ACCEPTS("ListBackups", request);
    HAS(ARN "Aaa/backup/01489602801149-x");
    HAS("'LastEvaluatedBackupArn':'" ARN "Bbb/backup/01489602798149-x'}");
    snprintf(request, sizeof request, "{'Limit':1,'ExclusiveStartBackupArn':'%s'}", arns[1]);
    ACCEPTS("ListBackups", request);
    HAS(ARN "Bbb/backup/01489602800149-x");
    LACKS("LastEvaluatedBackupArn");
    ACCEPTS("ListBackups", "{'TableName':'Bbb','Limit':2}"); /* an exact fit has no more */
    LACKS("Aaa");
    LACKS("LastEvaluatedBackupArn");
    ACCEPTS("ListBackups", "{'TableName':'" ARN "Bbb'}");
    LACKS("Aaa");
    ANSWERS("ListBackups", "{'TableName':'None'}", "{'BackupSummaries':[]}");
    ACCEPTS("ListBackups", "{'TimeRangeLowerBound':1489602798.149,"
                           "'TimeRangeUpperBound':1489602800.149}");
    HAS("1489602798.149");
    HAS("1489602799.149");
    LACKS("1489602800.149");
    LACKS("1489602797.149");
    ANSWERS("ListBackups", "{'TimeRangeUpperBound':0}", "{'BackupSummaries':[]}");
    REFUSES("ListBackups", "{'TimeRangeLowerBound':2,'TimeRangeUpperBound':1}", INVALID,
            "One or more parameter values were invalid: Time range lower bound must be less than "
            "or equal to upper bound");
    ANSWERS("ListBackups", "{'BackupType':'AWS_BACKUP'}", "{'BackupSummaries':[]}");
    ANSWERS("ListBackups", "{'BackupType':'SYSTEM'}", "{'BackupSummaries':[]}");
    ACCEPTS("ListBackups", "{'BackupType':'ALL'}");
    HAS("'BackupType':'USER'");
    end();
}

/* --------------------------------------------------------------- restores -- */

static void test_restore(void)
{
    char arn[DYNB_ARN_MAX + 1], request[4096];
    begin(1000, 0);
    ACCEPTS("CreateTable", create_rich);
    pass(1500);
    ACCEPTS("CreateBackup", NAMED("Rich','BackupName':'first"));
    member("BackupArn", arn, sizeof arn);
    MUST(dynb_wait_idle(s.db, &kit_err));
    pass(1000);
    ACCEPTS("RestoreTableFromBackup", with("{'TargetTableName':'Back','BackupArn':'%s'}", arn));
    HAS("{'TableDescription':{");
    HAS("'TableName':'Back'");
    HAS("'TableStatus':'CREATING','CreationDateTime':1489602799.649");
    HAS("'ReadCapacityUnits':5,'WriteCapacityUnits':6");
    HAS("'IndexName':'Local'");
    HAS("'ReadCapacityUnits':7,'WriteCapacityUnits':8");
    HAS("'RestoreSummary':{'SourceBackupArn':'" ARN "Rich/backup/01489602798649-x',"
        "'SourceTableArn':'" ARN "Rich','RestoreDateTime':1489602799.649,"
        "'RestoreInProgress':true},'SSEDescription':{'Status':'ENABLED','SSEType':'KMS',"
        "'KMSMasterKeyArn':'arn:aws:kms:us-east-1:123456789012:alias/mine'},"
        "'DeletionProtectionEnabled':false}}");
    LACKS("Stream");
    LACKS("TableClassSummary");
    REFUSES("RestoreTableFromBackup", with("{'TargetTableName':'Back','BackupArn':'%s'}", arn),
            EXCEPTION("TableInUseException"),
            "Table: Back is already being restored from backup: " ARN
            "Rich/backup/01489602798649-x");
    REFUSES("RestoreTableFromBackup", with("{'TargetTableName':'Back2','BackupArn':'%s'}", arn),
            EXCEPTION("BackupInUseException"),
            "Backup is being used to restore another table: " ARN "Rich/backup/01489602798649-x");
    REFUSES("DeleteBackup", with("{'BackupArn':'%s'}", arn), EXCEPTION("BackupInUseException"),
            "Backup is being used to restore table: " ARN "Rich/backup/01489602798649-x");
    REFUSES("CreateTable", PLAIN("Back"), EXCEPTION("ResourceInUseException"),
            "Attempt to change a resource which is still in use: Table is being used: Back");
    REFUSES("UpdateTable", "{'TableName':'Back','TableClass':'STANDARD'}",
            EXCEPTION("ResourceNotFoundException"),
            "Requested resource not found: Table: Back not found");
    REFUSES("DescribeTimeToLive", NAMED("Back"), EXCEPTION("ResourceNotFoundException"),
            "Requested resource not found: Table: Back not found");
    REFUSES("UpdateTimeToLive",
            "{'TableName':'Back','TimeToLiveSpecification':{'Enabled':true,"
            "'AttributeName':'until'}}",
            EXCEPTION("ResourceNotFoundException"),
            "Requested resource not found: Table: Back not found");
    REFUSES("ListTagsOfResource", "{'ResourceArn':'" ARN "Back'}",
            EXCEPTION("ResourceNotFoundException"),
            "Requested resource not found: Table: Back not found");
    REFUSES("DescribeContinuousBackups", NAMED("Back"), EXCEPTION("TableNotFoundException"),
            "Table not found: Back");
    pass(1000);
    ACCEPTS("DescribeTable", NAMED("Back"));
    HAS("'TableStatus':'ACTIVE'");
    LACKS("RestoreSummary");
    REFUSES("RestoreTableFromBackup", with("{'TargetTableName':'Rich','BackupArn':'%s'}", arn),
            EXCEPTION("TableAlreadyExistsException"), "Table already exists: Rich");
    REFUSES("RestoreTableFromBackup", with("{'TargetTableName':'','BackupArn':'%s'}", arn), INVALID,
            "TableName must be at least 3 characters long and at most 255 characters long");
    snprintf(request, sizeof request,
             "{'TargetTableName':'Over','BackupArn':'%s','BillingModeOverride':'PAY_PER_REQUEST',"
             "'OnDemandThroughputOverride':{'MaxReadRequestUnits':3},'LocalSecondaryIndexOverride':"
             "[],'GlobalSecondaryIndexOverride':[{'IndexName':'Renamed','KeySchema':["
             "{'AttributeName':'Mail','KeyType':'HASH'}],'Projection':{'ProjectionType':'INCLUDE',"
             "'NonKeyAttributes':['Age','Name']}}],'SSESpecificationOverride':{}}",
             arn);
    ACCEPTS("RestoreTableFromBackup", request);
    HAS("'BillingModeSummary':{'BillingMode':'PAY_PER_REQUEST'}");
    HAS("'IndexName':'Renamed'");
    HAS("'DeletionProtectionEnabled':false,'OnDemandThroughput':{'MaxReadRequestUnits':3}}}");
    LACKS("'Local'");
    LACKS("SSEDescription");
    snprintf(request, sizeof request,
             "{'TargetTableName':'Other','BackupArn':'%s','ProvisionedThroughputOverride':{}}",
             arn);
    send("RestoreTableFromBackup", request);
    CHECK_TEXT(answer,
               "{'__type':'" INVALID "','message':'2 validation errors detected: Value null at "
               "'provisionedThroughputOverride.writeCapacityUnits' failed to satisfy constraint: "
               "Member must not be null; Value null at "
               "'provisionedThroughputOverride.readCapacityUnits' failed to satisfy constraint: "
               "Member must not be null'}");
    snprintf(request, sizeof request,
             "{'TargetTableName':'Other','BackupArn':'%s','OnDemandThroughputOverride':"
             "{'MaxReadRequestUnits':0,'MaxWriteRequestUnits':0}}",
             arn);
    REFUSES("RestoreTableFromBackup", request, INVALID,
            "Invalid Request: Requested MaxReadRequestUnits for OnDemandThroughput is outside of "
            "valid range");
    snprintf(request, sizeof request,
             "{'TargetTableName':'Other','BackupArn':'%s','BillingModeOverride':'PROVISIONED'}",
             arn);
    REFUSES("RestoreTableFromBackup", request, INVALID,
            "Invalid Request: Must override ProvisionedThroughput if BillingMode is overridden to "
            "PROVISIONED");
    end();
}

#define RECOVERY_ON(days, earliest, latest)                                                   \
    "{'ContinuousBackupsDescription':{'ContinuousBackupsStatus':'ENABLED',"                   \
    "'PointInTimeRecoveryDescription':{'PointInTimeRecoveryStatus':'ENABLED',"                \
    "'RecoveryPeriodInDays':" days ",'EarliestRestorableDateTime':" earliest                  \
    ",'LatestRestorableDateTime':" latest "}}}"

static void test_recovery(void)
{
    begin(0, 0);
    ACCEPTS("CreateTable", PLAIN("Plain"));
    ANSWERS("DescribeContinuousBackups", NAMED("Plain"),
            "{'ContinuousBackupsDescription':{'ContinuousBackupsStatus':'ENABLED',"
            "'PointInTimeRecoveryDescription':{'PointInTimeRecoveryStatus':'DISABLED'}}}");
    REFUSES("RestoreTableToPointInTime",
            "{'SourceTableName':'Plain','TargetTableName':'Past',"
            "'UseLatestRestorableTime':true}",
            EXCEPTION("PointInTimeRecoveryUnavailableException"),
            "Point in time recovery is not enabled for table 'Plain'");
    ANSWERS("UpdateContinuousBackups",
            "{'TableName':'Plain','PointInTimeRecoverySpecification':"
            "{'PointInTimeRecoveryEnabled':true,'RecoveryPeriodInDays':7}}",
            RECOVERY_ON("7", "1489602797.149", "1489602797.149"));
    put("Plain", "a");
    pass(851);
    put("Plain", "b");
    pass(1000);
    put("Plain", "c");
    ANSWERS("DescribeContinuousBackups", NAMED("Plain"),
            RECOVERY_ON("7", "1489602797.149", "1489602799.0"));
    ACCEPTS("RestoreTableToPointInTime",
            "{'SourceTableName':'Plain','TargetTableName':'Past',"
            "'RestoreDateTime':1489602798.5}");
    HAS("{'TableDescription':{");
    HAS("'RestoreSummary':{'SourceTableArn':'" ARN "Plain','RestoreDateTime':1489602798.5,"
        "'RestoreInProgress':true}");
    CHECK_INT(count_of("Past"), 2);
    ACCEPTS("RestoreTableToPointInTime",
            "{'SourceTableArn':'" ARN "Plain','TargetTableName':'Now',"
            "'UseLatestRestorableTime':true,'BillingModeOverride':'PROVISIONED',"
            "'ProvisionedThroughputOverride':{'ReadCapacityUnits':1,'WriteCapacityUnits':2}}");
    HAS("'ReadCapacityUnits':1,'WriteCapacityUnits':2");
    CHECK_INT(count_of("Now"), 3);
    REFUSES("RestoreTableToPointInTime",
            "{'SourceTableName':'Plain','TargetTableName':'Never','RestoreDateTime':0}",
            EXCEPTION("InvalidRestoreTimeException"),
            "RestoreDateTime '1970-01-01T00:00:00Z' must be within EarliestRestorableDateTime "
            "'2017-03-15T18:33:17Z' and LatestRestorableDateTime '2017-03-15T18:33:19Z'");
    REFUSES("RestoreTableToPointInTime",
            "{'SourceTableName':'Plain','TargetTableName':'Never',"
            "'UseLatestRestorableTime':false}",
            INVALID,
            "Invalid Request: Either one of RestoreDateTime or UseLatestRestorableTime must be "
            "specified, but not both");
    REFUSES("RestoreTableToPointInTime", "{'TargetTableName':'Never'}", INVALID,
            "The parameter 'TableName' is required but was not present in the request");
    REFUSES("UpdateContinuousBackups",
            "{'TableName':'Plain','PointInTimeRecoverySpecification':"
            "{'PointInTimeRecoveryEnabled':false,'RecoveryPeriodInDays':35}}",
            INVALID,
            "Invalid Request: Cannot specify RecoveryPeriodInDays when disabling point-in-time "
            "recovery.");
    ACCEPTS("DeleteTable", NAMED("Plain"));
    ANSWERS("ListBackups", "{'TableName':'Plain'}", "{'BackupSummaries':[]}");
    MUST(dynb_wait_idle(s.db, &kit_err));
    ACCEPTS("ListBackups", "{'TableName':'Plain','BackupType':'SYSTEM'}");
    HAS("'BackupArn':'" ARN "Plain/backup/01489602799000-00000000',"
        "'BackupName':'Plain$DeletedTableBackup','BackupCreationDateTime':1489602799.0,"
        "'BackupExpiryDateTime':1492626799.0,'BackupStatus':'AVAILABLE','BackupType':'SYSTEM',");
    REFUSES("DeleteBackup", "{'BackupArn':'" ARN "Plain/backup/01489602799000-00000000'}", INVALID,
            "Invalid Request: User is not allowed to delete the system backup with arn " ARN
            "Plain/backup/01489602799000-00000000. It will automatically expire on "
            "2017-04-19T18:33:19.000");
    ACCEPTS("DescribeBackup", "{'BackupArn':'" ARN "Plain/backup/01489602799000-00000000'}");
    HAS("'BackupExpiryDateTime':1492626799.0");
    ACCEPTS("RestoreTableFromBackup",
            "{'TargetTableName':'Plain','BackupArn':'" ARN
            "Plain/backup/01489602799000-00000000'}");
    CHECK_INT(count_of("Plain"), 3);
    end();
}

/* ----------------------------------------------------------------- memory -- */

static const char update_rich[] =
    "{'TableName':'Rich','AttributeDefinitions':[{'AttributeName':'v','AttributeType':'N'}],"
    "'GlobalSecondaryIndexUpdates':[{'Create':{'IndexName':'ByV','KeySchema':["
    "{'AttributeName':'v','KeyType':'HASH'}],'Projection':{'ProjectionType':'ALL'},"
    "'ProvisionedThroughput':{'ReadCapacityUnits':1,'WriteCapacityUnits':1}}}],"
    "'SSESpecification':{'Enabled':true,'KMSMasterKeyId':'alias/other'}}";

/* What is there, in words; the answer at hand and its memory stay. */
static void tell_state(char *text, size_t size)
{
    static const struct { const char *operation, *request; } looks[] = {
        {"ListTables", "{}"},
        {"ListBackups", "{'BackupType':'ALL'}"},
        {"DescribeTable", NAMED("Rich")},
        {"DescribeTimeToLive", NAMED("Rich")},
        {"DescribeContinuousBackups", NAMED("Rich")},
        {"ListTagsOfResource", "{'ResourceArn':'" ARN "Rich'}"}};
    static char kept[sizeof answer];
    const dynb_result of_kept = held;
    const dynb_response shown = response;
    size_t i, used = 0;
    kit_copy(kept, sizeof kept, answer);
    memset(&held, 0, sizeof held);
    for (i = 0; i < sizeof looks / sizeof *looks; ++i) {
        (void)send(looks[i].operation, looks[i].request);
        used += (size_t)snprintf(text + used, size - used, "%s\n", answer);
        CHECK(used < size);
    }
    dynb_result_free(&held);
    held = of_kept;
    response = shown;
    kit_copy(answer, sizeof answer, kept);
}

/* Each allocation of a call fails, with all after it: the answer is whole, or an
 * error, and nothing has been changed. */
static void fail_each(const char *operation, const char *request)
{
    static char before[1 << 17], after[1 << 17];
    uint64_t n, failed = 0;
    dynb_rc rc = DYNB_NO_MEMORY;
    tell_state(before, sizeof before);
    for (n = 1; rc == DYNB_NO_MEMORY && n < 1000; ++n) {
        dynb_result_free(&held);
        s.memory.call_count = 0;
        s.memory.fail_from = 1;
        s.memory.fail_at = n;
        rc = send(operation, request);
        s.memory.fail_at = 0;
        CHECK(rc == DYNB_OK || rc == DYNB_NO_MEMORY);
        if (rc == DYNB_NO_MEMORY) {
            HAS(EXCEPTION("InternalServerError"));
            ++failed;
            tell_state(after, sizeof after);
            CHECK_TEXT(after, before);
        }
    }
    CHECK_INT(rc, DYNB_OK);
    CHECK(failed > 0);
    MUST(dynb_check(s.db, NULL, NULL, NULL, &kit_err));
}

static void test_memory(void)
{
    char arn[DYNB_ARN_MAX + 1], request[4096];
    begin(0, 0);
    s.config.memory_bytes = 4 << 20;
    store_reopen(&s);
    fail_each("CreateTable", create_rich);
    fail_each("DescribeTable", NAMED("Rich"));
    fail_each("ListTables", "{}");
    fail_each("UpdateTable", update_rich);
    fail_each("UpdateTable", "{'TableName':'Rich','DeletionProtectionEnabled':false}");
    fail_each("TagResource", "{'ResourceArn':'" ARN "Rich','Tags':[{'Key':'b','Value':'2'}]}");
    fail_each("ListTagsOfResource", "{'ResourceArn':'" ARN "Rich'}");
    fail_each("UntagResource", "{'ResourceArn':'" ARN "Rich','TagKeys':['b']}");
    fail_each("UpdateTimeToLive", "{'TableName':'Rich','TimeToLiveSpecification':{'Enabled':true,"
                                  "'AttributeName':'until'}}");
    fail_each("DescribeTimeToLive", NAMED("Rich"));
    fail_each("DescribeLimits", "{}");
    fail_each("DescribeEndpoints", "{}");
    fail_each("UpdateContinuousBackups",
              "{'TableName':'Rich','PointInTimeRecoverySpecification':"
              "{'PointInTimeRecoveryEnabled':true}}");
    fail_each("DescribeContinuousBackups", NAMED("Rich"));
    MUST(dynb_wait_idle(s.db, &kit_err));
    fail_each("CreateBackup", NAMED("Rich','BackupName':'first"));
    MUST(dynb_wait_idle(s.db, &kit_err));
    ACCEPTS("ListBackups", "{}");
    member("BackupArn", arn, sizeof arn);
    fail_each("ListBackups", "{}");
    fail_each("DescribeBackup", with("{'BackupArn':'%s'}", arn));
    snprintf(request, sizeof request,
             "{'TargetTableName':'Back','BackupArn':'%s','SSESpecificationOverride':"
             "{'Enabled':true,'KMSMasterKeyId':'alias/other'},'GlobalSecondaryIndexOverride':[]}",
             arn);
    fail_each("RestoreTableFromBackup", request);
    fail_each("RestoreTableToPointInTime",
              "{'SourceTableName':'Rich','TargetTableName':'Past','UseLatestRestorableTime':true,"
              "'LocalSecondaryIndexOverride':[]}");
    fail_each("DeleteBackup", with("{'BackupArn':'%s'}", arn));
    fail_each("DeleteTable", NAMED("Rich"));
    end();
}

/* A table whose description is far larger than what an answer starts with. */
static void big_table(char *request, size_t size)
{
    char name[201];
    size_t used;
    int i;
    memset(name, 'n', 200);
    name[200] = 0;
    used = (size_t)snprintf(request, size,
                            "{'TableName':'Rich','AttributeDefinitions':[{'AttributeName':'Id',"
                            "'AttributeType':'S'},{'AttributeName':'\\u0001%s','AttributeType':"
                            "'S'}],'KeySchema':[{'AttributeName':'Id','KeyType':'HASH'}],"
                            "'BillingMode':'PAY_PER_REQUEST','GlobalSecondaryIndexes':[",
                            name);
    for (i = 0; i < 19; ++i)
        used += (size_t)snprintf(request + used, size - used,
                                 "%s{'IndexName':'%s%d','KeySchema':[{'AttributeName':"
                                 "'\\u0001%s','KeyType':'HASH'}],'Projection':{'ProjectionType':"
                                 "'INCLUDE','NonKeyAttributes':['%d\\u0001%s']}}",
                                 i ? "," : "", name, i, name, i, name);
    snprintf(request + used, size - used, "]}");
}

/* What is done is told: an answer that has no room is found out before. */
static void test_room(void)
{
    static char request[32768];
    char arn[DYNB_ARN_MAX + 1];
    begin(0, 0);
    s.config.memory_bytes = 8 << 20;
    store_reopen(&s);
    big_table(request, sizeof request);
    fail_each("CreateTable", request);
    CHECK(response.body_size > 20000);
    fail_each("UpdateTable",
              "{'TableName':'Rich','AttributeDefinitions':[{'AttributeName':'v',"
              "'AttributeType':'N'}],'GlobalSecondaryIndexUpdates':[{'Create':{'IndexName':'ByV',"
              "'KeySchema':[{'AttributeName':'v','KeyType':'HASH'}],"
              "'Projection':{'ProjectionType':'ALL'}}}]}");
    CHECK(response.body_size > 20000);
    MUST(dynb_wait_idle(s.db, &kit_err));
    ACCEPTS("UpdateContinuousBackups", "{'TableName':'Rich','PointInTimeRecoverySpecification':"
                                       "{'PointInTimeRecoveryEnabled':true}}");
    ACCEPTS("CreateBackup", NAMED("Rich','BackupName':'first"));
    member("BackupArn", arn, sizeof arn);
    MUST(dynb_wait_idle(s.db, &kit_err));
    fail_each("RestoreTableFromBackup", with("{'TargetTableName':'Back','BackupArn':'%s'}", arn));
    CHECK(response.body_size > 20000);
    fail_each("RestoreTableToPointInTime",
              "{'SourceTableName':'Rich','TargetTableName':'Past','UseLatestRestorableTime':true}");
    CHECK(response.body_size > 20000);
    fail_each("RestoreTableToPointInTime",
              "{'SourceTableArn':'" ARN "Rich','TargetTableName':'Past2',"
              "'UseLatestRestorableTime':true}");
    fail_each("DeleteBackup", with("{'BackupArn':'%s'}", arn));
    CHECK(response.body_size > 10000);
    fail_each("DeleteTable", NAMED("Rich"));
    CHECK(response.body_size > 20000);
    end();
}

int main(void)
{
    test_table();
    test_update_table();
    test_list_tables();
    test_time_to_live();
    test_tags();
    test_account();
    test_backup();
    test_plain_backup();
    test_list_backups();
    test_restore();
    test_recovery();
    test_memory();
    test_room();
    return check_report("test_call_tables");
}
