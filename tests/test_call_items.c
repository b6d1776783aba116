/* test_call_items.c - items by JSON: every answer and message of PutItem,
 * GetItem, DeleteItem, BatchWriteItem, BatchGetItem, Query and Scan word for
 * word, what they consume, the sizes at which a page or an answer ends, random
 * histories against the model, and memory that fails at each allocation.
 *
 * Requests are written with ' for " and ` for '. Messages: contract 3.3, 3.4,
 * 4.5, 4.6; capacity: DG CapacityUnitCalculations; those of key conditions and
 * starting keys: the tests of dynalite, which were recorded from AWS. */
#define DYNBACKUP_IMPLEMENTATION
#include "kit_store.h"

#include "indexes.h"

/* ---------------------------------------------------------------- the kit -- */

static char *request_text; /* with " for ', of any length */
static dynb_response response;

/* Sends a request; the body, with ' for ", is told. */
static const char *send(store *s, const char *operation, const char *text)
{
    static char *told;
    size_t length = strlen(text), i;
    dynb_rc rc;
    request_text = (char *)fault_memory(request_text, length + 1);
    for (i = 0; i <= length; ++i)
        request_text[i] = text[i] == '\'' ? '"' : text[i] == '`' ? '\'' : text[i];
    rc = dynb_call(s->db, operation, request_text, length, &s->result, &response, &kit_err);
    CHECK(response.http_status == (rc == DYNB_OK ? 200 : dynb_rc_http_status(rc)));
    CHECK_INT(strlen(response.body), response.body_size);
    told = (char *)fault_memory(told, response.body_size + 1);
    for (i = 0; i <= response.body_size; ++i)
        told[i] = response.body[i] == '"' ? '\'' : response.body[i];
    return told;
}

/* "CODE ! message" of an error's body, the code left out for ValidationException
 * and ` written for '. */
static const char *complaint(void)
{
    static char text[2 * DYNB_MESSAGE_SIZE];
    const char *type = dynb_rc_exception(kit_err.code);
    size_t i, length = strlen(type) - strlen("Exception");
    const char *name = response.http_status == 200 ? "" : strstr(response.body, type);
    CHECK(name != NULL);
    if (kit_err.code == DYNB_VALIDATION)
        length = 0;
    snprintf(text, sizeof text, "%.*s%s! %s", (int)length, type, length ? " " : "",
             kit_err.message);
    for (i = 0; text[i]; ++i)
        text[i] = text[i] == '\'' ? '`' : text[i];
    return text;
}

/* What a request is answered with: the body, or the complaint. */
static void expect(store *s, const char *operation, const char *text, const char *wanted)
{
    const char *got = send(s, operation, text);
    if (response.http_status != 200)
        got = complaint();
    if (strcmp(got, wanted) != 0)
        printf("%s %s\n", operation, text);
    CHECK_TEXT(got, wanted);
}

static void must_send(store *s, const char *operation, const char *text)
{
    (void)send(s, operation, text);
    if (response.http_status != 200)
        printf("%s %s: %s\n", operation, text, response.body);
    CHECK_INT(response.http_status, 200);
}

/* Table Tab: keys p (S) and s (N), local index loc on l with keys only, global
 * index glo on g with x. */
static void create_table(store *s)
{
    must_send(s, "CreateTable",
              "{'TableName':'Tab','BillingMode':'PAY_PER_REQUEST','AttributeDefinitions':["
              "{'AttributeName':'p','AttributeType':'S'},{'AttributeName':'s','AttributeType':'N'},"
              "{'AttributeName':'g','AttributeType':'S'},"
              "{'AttributeName':'l','AttributeType':'S'}],"
              "'KeySchema':[{'AttributeName':'p','KeyType':'HASH'},"
              "{'AttributeName':'s','KeyType':'RANGE'}],'LocalSecondaryIndexes':["
              "{'IndexName':'loc','KeySchema':[{'AttributeName':'p','KeyType':'HASH'},"
              "{'AttributeName':'l','KeyType':'RANGE'}],"
              "'Projection':{'ProjectionType':'KEYS_ONLY'}}],'GlobalSecondaryIndexes':["
              "{'IndexName':'glo','KeySchema':[{'AttributeName':'g','KeyType':'HASH'}],"
              "'Projection':{'ProjectionType':'INCLUDE','NonKeyAttributes':['x']}}]}");
}

static void end(store *s)
{
    EXPECT(dynb_wait_idle(s->db, &kit_err), DYNB_OK);
    EXPECT(dynb_check(s->db, NULL, NULL, NULL, &kit_err), DYNB_OK);
    store_close(s);
    store_free(s);
}

/* --------------------------------------------------------------- messages -- */

typedef struct row {
    const char *operation;
    const char *request;
    const char *answer;
} row;

/* In this order, one after the other. */
static const row rows[] = {
    {"PutItem",
     "{'TableName':'Tab','Item':{'p':{'S':'a'},'s':{'N':'1'},'g':{'S':'G'},'l':{'S':'L1'},"
     "'x':{'N':'5'},'y':{'BOOL':true}},'ReturnConsumedCapacity':'INDEXES',"
     "'ReturnItemCollectionMetrics':'SIZE','ReturnValues':'ALL_OLD'}",
     "{'ConsumedCapacity':{'CapacityUnits':3.0,'TableName':'Tab','Table':{'CapacityUnits':1.0},"
     "'LocalSecondaryIndexes':{'loc':{'CapacityUnits':1.0}},"
     "'GlobalSecondaryIndexes':{'glo':{'CapacityUnits':1.0}}},"
     "'ItemCollectionMetrics':{'ItemCollectionKey':{'p':{'S':'a'}},'SizeEstimateRangeGB':[0.0,"
     "1.0]}}"},
    {"PutItem",
     "{'TableName':'Tab','Item':{'p':{'S':'a'},'s':{'N':'1'},'g':{'S':'G'},'l':{'S':'L2'},"
     "'x':{'N':'6'},'y':{'BOOL':true}},'ReturnConsumedCapacity':'INDEXES',"
     "'ReturnItemCollectionMetrics':'SIZE','ReturnValues':'ALL_OLD'}",
     "{'Attributes':{'g':{'S':'G'},'l':{'S':'L1'},'p':{'S':'a'},'s':{'N':'1'},'x':{'N':'5'},"
     "'y':{'BOOL':true}},'ConsumedCapacity':{'CapacityUnits':4.0,'TableName':'Tab',"
     "'Table':{'CapacityUnits':1.0},'LocalSecondaryIndexes':{'loc':{'CapacityUnits':2.0}},"
     "'GlobalSecondaryIndexes':{'glo':{'CapacityUnits':1.0}}},"
     "'ItemCollectionMetrics':{'ItemCollectionKey':{'p':{'S':'a'}},'SizeEstimateRangeGB':[0.0,"
     "1.0]}}"},
    {"PutItem",
     "{'TableName':'Tab','Item':{'p':{'S':'a'},'s':{'N':'2'},'l':{'S':'L3'}},"
     "'ReturnConsumedCapacity':'TOTAL'}",
     "{'ConsumedCapacity':{'CapacityUnits':2.0,'TableName':'Tab'}}"},
    {"PutItem",
     "{'TableName':'Tab','Item':{'p':{'S':'a'},'s':{'N':'3'},'l':{'S':'L3'}},"
     "'ReturnValues':'ALL_NEW'}",
     "! Return values set to invalid value"},
    {"GetItem",
     "{'TableName':'Tab','Key':{'p':{'S':'a'},'s':{'N':'1.0'}},"
     "'ReturnConsumedCapacity':'INDEXES','ConsistentRead':true}",
     "{'Item':{'g':{'S':'G'},'l':{'S':'L2'},'p':{'S':'a'},'s':{'N':'1'},'x':{'N':'6'},"
     "'y':{'BOOL':true}},'ConsumedCapacity':{'CapacityUnits':1.0,'TableName':'Tab',"
     "'Table':{'CapacityUnits':1.0}}}"},
    {"GetItem",
     "{'TableName':'Tab','Key':{'p':{'S':'z'},'s':{'N':'1.0'}},'ReturnConsumedCapacity':'TOTAL'}",
     "{'ConsumedCapacity':{'CapacityUnits':0.5,'TableName':'Tab'}}"},
    {"GetItem",
     "{'TableName':'Tab','Key':{'p':{'S':'z'}}}",
     "! The provided key element does not match the schema"},
    {"GetItem",
     "{'TableName':'Nope','Key':{'p':{'S':'z'}}}",
     "ResourceNotFound ! Requested resource not found"},
    {"BatchWriteItem",
     "{'RequestItems':{'Tab':[{'PutRequest':{'Item':{'p':{'S':'b'},'s':{'N':'1'}}}},"
     "{'PutRequest':{'Item':{'p':{'S':'b'},'s':{'N':'2'}}}},"
     "{'DeleteRequest':{'Key':{'p':{'S':'a'},'s':{'N':'2'}}}}]},"
     "'ReturnConsumedCapacity':'INDEXES','ReturnItemCollectionMetrics':'SIZE'}",
     "{'UnprocessedItems':{},"
     "'ItemCollectionMetrics':{'Tab':[{'ItemCollectionKey':{'p':{'S':'b'}},"
     "'SizeEstimateRangeGB':[0.0,1.0]},{'ItemCollectionKey':{'p':{'S':'a'}},"
     "'SizeEstimateRangeGB':[0.0,1.0]}]},'ConsumedCapacity':[{'CapacityUnits':4.0,"
     "'TableName':'Tab','Table':{'CapacityUnits':3.0},"
     "'LocalSecondaryIndexes':{'loc':{'CapacityUnits':1.0}}}]}"},
    {"BatchWriteItem",
     "{'RequestItems':{'Tab':[{'PutRequest':{'Item':{'p':{'S':'b'},'s':{'N':'1'}}}},"
     "{'DeleteRequest':{'Key':{'p':{'S':'b'},'s':{'N':'1'}}}}]}}",
     "! Provided list of item keys contains duplicates"},
    {"BatchWriteItem",
     "{'RequestItems':{'Tab':[{'PutRequest':{'Item':{'p':{'S':'b'},'s':{'S':'1'}}}}]},"
     "'ReturnConsumedCapacity':'INDEXES'}",
     "! The provided key element does not match the schema"},
    {"BatchWriteItem",
     "{'RequestItems':{'Tab':[{}]}}",
     "! Supplied AttributeValue has more than one datatypes set, must contain exactly one of "
     "the supported datatypes"},
    {"BatchWriteItem",
     "{'RequestItems':{}}",
     "! The requestItems parameter is required for BatchWriteItem"},
    {"BatchWriteItem",
     "{'RequestItems':{'Nah':[{'PutRequest':{'Item':{'p':{'S':'b'},'s':{'S':'1'}}}}]}}",
     "ResourceNotFound ! Requested resource not found"},
    {"BatchGetItem",
     "{'RequestItems':{'Tab':{'Keys':[{'p':{'S':'b'},'s':{'N':'1'}},{'p':{'S':'b'},"
     "'s':{'N':'2'}},{'p':{'S':'q'},'s':{'N':'2'}}]}},'ReturnConsumedCapacity':'TOTAL'}",
     "{'Responses':{'Tab':[{'p':{'S':'b'},'s':{'N':'1'}},{'p':{'S':'b'},'s':{'N':'2'}}]},"
     "'UnprocessedKeys':{},'ConsumedCapacity':[{'CapacityUnits':1.5,'TableName':'Tab'}]}"},
    {"BatchGetItem",
     "{'RequestItems':{'Tab':{'Keys':[{'p':{'S':'b'},'s':{'N':'1'}},{'p':{'S':'b'},"
     "'s':{'N':'1'}}]}}}",
     "! Provided list of item keys contains duplicates"},
    {"Query",
     "{'TableName':'Tab','KeyConditionExpression':'p = :p',"
     "'ExpressionAttributeValues':{':p':{'S':'b'}},'ReturnConsumedCapacity':'INDEXES','Limit':1}",
     "{'Items':[{'p':{'S':'b'},'s':{'N':'1'}}],'Count':1,'ScannedCount':1,"
     "'LastEvaluatedKey':{'p':{'S':'b'},'s':{'N':'1'}},'ConsumedCapacity':{'CapacityUnits':0.5,"
     "'TableName':'Tab','Table':{'CapacityUnits':0.5}}}"},
    {"Query",
     "{'TableName':'Tab','KeyConditionExpression':'p = :p',"
     "'ExpressionAttributeValues':{':p':{'S':'b'}},'ExclusiveStartKey':{'p':{'S':'b'},"
     "'s':{'N':'1'}}}",
     "{'Items':[{'p':{'S':'b'},'s':{'N':'2'}}],'Count':1,'ScannedCount':1}"},
    {"Query",
     "{'TableName':'Tab','KeyConditionExpression':'#p = :p and (:s<=s)',"
     "'ExpressionAttributeNames':{'#p':'p'},'ExpressionAttributeValues':{':p':{'S':'b'},"
     "':s':{'N':'2'}},'Select':'COUNT'}",
     "{'Count':1,'ScannedCount':1}"},
    {"Query",
     "{'TableName':'Tab','IndexName':'loc','Select':'ALL_ATTRIBUTES',"
     "'KeyConditionExpression':'(begins_with(l, :l)) AND ((p) = (:p))',"
     "'ExpressionAttributeValues':{':p':{'S':'a'},':l':{'S':'L'}},"
     "'ReturnConsumedCapacity':'INDEXES'}",
     "{'Items':[{'g':{'S':'G'},'l':{'S':'L2'},'p':{'S':'a'},'s':{'N':'1'},'x':{'N':'6'},"
     "'y':{'BOOL':true}}],'Count':1,'ScannedCount':1,'ConsumedCapacity':{'CapacityUnits':1.0,"
     "'TableName':'Tab','Table':{'CapacityUnits':0.5},"
     "'LocalSecondaryIndexes':{'loc':{'CapacityUnits':0.5}}}}"},
    {"Query",
     "{'TableName':'Tab','IndexName':'glo','KeyConditionExpression':'g = :p',"
     "'ExpressionAttributeValues':{':p':{'S':'G'}},'ReturnConsumedCapacity':'INDEXES'}",
     "{'Items':[{'g':{'S':'G'},'p':{'S':'a'},'s':{'N':'1'},'x':{'N':'6'}}],'Count':1,"
     "'ScannedCount':1,'ConsumedCapacity':{'CapacityUnits':0.5,'TableName':'Tab',"
     "'Table':{'CapacityUnits':0.0},'GlobalSecondaryIndexes':{'glo':{'CapacityUnits':0.5}}}}"},
    {"Query",
     "{'TableName':'Tab','IndexName':'glo','Select':'ALL_ATTRIBUTES',"
     "'KeyConditionExpression':'g = :p','ExpressionAttributeValues':{':p':{'S':'G'}}}",
     "! One or more parameter values were invalid: Select type ALL_ATTRIBUTES is not supported "
     "for global secondary index glo because its projection type is not ALL"},
    {"Query",
     "{'TableName':'Tab','IndexName':'glo','ConsistentRead':true,'KeyConditionExpression':'g = "
     ":p','ExpressionAttributeValues':{':p':{'S':'G'}}}",
     "! Consistent reads are not supported on global secondary indexes"},
    {"Query",
     "{'TableName':'Tab','KeyConditionExpression':'#p = :v',"
     "'ExpressionAttributeValues':{':v':{'S':'b'}}}",
     "! Invalid KeyConditionExpression: An expression attribute name used in the document path "
     "is not defined; attribute name: #p"},
    {"Query",
     "{'TableName':'Tab','KeyConditionExpression':'name = :v',"
     "'ExpressionAttributeValues':{':v':{'S':'b'}}}",
     "! Invalid KeyConditionExpression: Attribute name is a reserved keyword; reserved keyword: "
     "name"},
    {"Query",
     "{'TableName':'Tab','KeyConditionExpression':'p = :v',"
     "'ExpressionAttributeValues':{':v':{'S':'b'},':w':{'S':'b'},':x':{'S':'b'}}}",
     "! Value provided in ExpressionAttributeValues unused in expressions: keys: {:w, :x}"},
    {"Query",
     "{'TableName':'Tab','KeyConditionExpression':'p = :v',"
     "'ExpressionAttributeNames':{'#a':'b'},'ExpressionAttributeValues':{':v':{'S':'b'}}}",
     "! Value provided in ExpressionAttributeNames unused in expressions: keys: {#a}"},
    {"Query",
     "{'TableName':'Tab','KeyConditionExpression':'((p = :v))',"
     "'ExpressionAttributeValues':{':v':{'S':'b'}}}",
     "! Invalid KeyConditionExpression: The expression has redundant parentheses;"},
    {"Query",
     "{'TableName':'Tab','KeyConditionExpression':'p = :v and s between :a and :b',"
     "'ExpressionAttributeValues':{':v':{'S':'b'},':a':{'N':'1'},':b':{'N':'3'}}}",
     "{'Items':[{'p':{'S':'b'},'s':{'N':'1'}},{'p':{'S':'b'},'s':{'N':'2'}}],'Count':2,"
     "'ScannedCount':2}"},
    {"Query",
     "{'TableName':'Tab','KeyConditionExpression':'p = :v and s between :b and :a',"
     "'ExpressionAttributeValues':{':v':{'S':'b'},':a':{'N':'1'},':b':{'N':'3'}}}",
     "! Invalid KeyConditionExpression: The BETWEEN operator requires upper bound to be greater "
     "than or equal to lower bound; lower bound operand: AttributeValue: {N:3}, upper bound "
     "operand: AttributeValue: {N:1}"},
    {"Query",
     "{'TableName':'Tab','KeyConditionExpression':'p = :v and begins_with(s, :a)',"
     "'ExpressionAttributeValues':{':v':{'S':'b'},':a':{'N':'1'}}}",
     "! Invalid KeyConditionExpression: Incorrect operand type for operator or function; "
     "operator or function: begins_with, operand type: N"},
    {"Query",
     "{'TableName':'Tab','KeyConditionExpression':'p = :v and begins_with(s, :v)',"
     "'ExpressionAttributeValues':{':v':{'S':'b'}}}",
     "! One or more parameter values were invalid: Condition parameter type does not match "
     "schema type"},
    {"Query",
     "{'TableName':'Tab','KeyConditionExpression':'p = :v and contains(s, :v)',"
     "'ExpressionAttributeValues':{':v':{'S':'b'}}}",
     "! Invalid operator used in KeyConditionExpression: contains"},
    {"Query",
     "{'TableName':'Tab','KeyConditionExpression':'p = :v or s = :v',"
     "'ExpressionAttributeValues':{':v':{'S':'b'}}}",
     "! Invalid operator used in KeyConditionExpression: OR"},
    {"Query",
     "{'TableName':'Tab','KeyConditionExpression':'not p = :v',"
     "'ExpressionAttributeValues':{':v':{'S':'b'}}}",
     "! Invalid operator used in KeyConditionExpression: NOT"},
    {"Query",
     "{'TableName':'Tab','KeyConditionExpression':'p in (:v, :v)',"
     "'ExpressionAttributeValues':{':v':{'S':'b'}}}",
     "! Invalid operator used in KeyConditionExpression: IN"},
    {"Query",
     "{'TableName':'Tab','KeyConditionExpression':'p <> :v',"
     "'ExpressionAttributeValues':{':v':{'S':'b'}}}",
     "! Invalid operator used in KeyConditionExpression: <>"},
    {"Query",
     "{'TableName':'Tab','KeyConditionExpression':'p > :v',"
     "'ExpressionAttributeValues':{':v':{'S':'b'}}}",
     "! Query key condition not supported"},
    {"Query",
     "{'TableName':'Tab','KeyConditionExpression':'p = :v and p = :v',"
     "'ExpressionAttributeValues':{':v':{'S':'b'}}}",
     "! KeyConditionExpressions must only contain one condition per key"},
    {"Query",
     "{'TableName':'Tab','KeyConditionExpression':'p = :v and q = :v',"
     "'ExpressionAttributeValues':{':v':{'S':'b'}}}",
     "! Query condition missed key schema element: s"},
    {"Query",
     "{'TableName':'Tab','KeyConditionExpression':'p = :v and q = :v and z = :v',"
     "'ExpressionAttributeValues':{':v':{'S':'b'}}}",
     "! Conditions can be of length 1 or 2 only"},
    {"Query",
     "{'TableName':'Tab','KeyConditionExpression':'s = :v',"
     "'ExpressionAttributeValues':{':v':{'N':'1'}}}",
     "! Query condition missed key schema element: p"},
    {"Query",
     "{'TableName':'Tab','KeyConditionExpression':'p = :v',"
     "'ExpressionAttributeValues':{':v':{'N':'1'}}}",
     "! One or more parameter values were invalid: Condition parameter type does not match "
     "schema type"},
    {"Query",
     "{'TableName':'Tab','KeyConditionExpression':'p = :v',"
     "'ExpressionAttributeValues':{':v':{'S':''}}}",
     "! One or more parameter values are not valid. The AttributeValue for a key attribute "
     "cannot contain an empty string value. Key: p"},
    {"Query",
     "{'TableName':'Tab','KeyConditionExpression':'p = :v','ExpressionAttributeValues':{}}",
     "! ExpressionAttributeValues must not be empty"},
    {"Query",
     "{'TableName':'Tab','KeyConditionExpression':'p = :v',"
     "'ExpressionAttributeValues':{'v':{'S':'1'}}}",
     "! ExpressionAttributeValues contains invalid key: Syntax error; key: \"v\""},
    {"Query",
     "{'TableName':'Tab','ExpressionAttributeValues':{':v':{'S':'1'}}}",
     "! ExpressionAttributeValues can only be specified when using expressions: "
     "FilterExpression and KeyConditionExpression are null"},
    {"Query",
     "{'TableName':'Tab','ExpressionAttributeNames':{'#v':'p'}}",
     "! ExpressionAttributeNames can only be specified when using expressions"},
    {"Query",
     "{'TableName':'Tab'}",
     "! Either the KeyConditions or KeyConditionExpression parameter must be specified in the "
     "request."},
    {"Query",
     "{'TableName':'Tab','KeyConditionExpression':'size(p) > :v',"
     "'ExpressionAttributeValues':{':v':{'S':'1'}}}",
     "! KeyConditionExpressions cannot contain nested operations"},
    {"Query",
     "{'TableName':'Tab','KeyConditionExpression':'p.q > :v',"
     "'ExpressionAttributeValues':{':v':{'S':'1'}}}",
     "! KeyConditionExpressions cannot have conditions on nested attributes"},
    {"Query",
     "{'TableName':'Tab','KeyConditionExpression':'p[0] > :v',"
     "'ExpressionAttributeValues':{':v':{'S':'1'}}}",
     "! KeyConditionExpressions cannot have conditions on nested attributes"},
    {"Query",
     "{'TableName':'Tab','KeyConditionExpression':'p = p',"
     "'ExpressionAttributeValues':{':v':{'S':'1'}}}",
     "! Invalid KeyConditionExpression: The first operand must be distinct from the remaining "
     "operands for this operator or function; operator: =, first operand: [p]"},
    {"Query",
     "{'TableName':'Tab','KeyConditionExpression':'begins_with(p, :a) = q',"
     "'ExpressionAttributeValues':{':a':{'S':'1'}}}",
     "! Invalid KeyConditionExpression: The function is not allowed to be used this way in an "
     "expression; function: begins_with"},
    {"Query",
     "{'TableName':'Tab','KeyConditionExpression':':a between p and q',"
     "'ExpressionAttributeValues':{':a':{'S':'1'}}}",
     "! Invalid condition in KeyConditionExpression: BETWEEN operator must have the key "
     "attribute as its first operand"},
    {"Query",
     "{'TableName':'Tab','KeyConditionExpression':':a = :a',"
     "'ExpressionAttributeValues':{':a':{'S':'1'}}}",
     "! Invalid condition in KeyConditionExpression: No key attribute specified"},
    {"Query",
     "{'TableName':'Tab','KeyConditionExpression':'(p = :a',"
     "'ExpressionAttributeValues':{':a':{'S':'1'}}}",
     "! Invalid KeyConditionExpression: Syntax error; token: \"<EOF>\", near: \":a\""},
    {"Query",
     "{'TableName':'Tab','KeyConditionExpression':'p = :a)',"
     "'ExpressionAttributeValues':{':a':{'S':'1'}}}",
     "! Invalid KeyConditionExpression: Syntax error; token: \")\", near: \":a)\""},
    {"Query",
     "{'TableName':'Tab','KeyConditionExpression':'p = :a',"
     "'ExpressionAttributeValues':{':a':{'S':'b'}},'Select':'SPECIFIC_ATTRIBUTES'}",
     "! Must specify the AttributesToGet or ProjectionExpression when choosing to get "
     "SPECIFIC_ATTRIBUTES"},
    {"Query",
     "{'TableName':'Tab','KeyConditionExpression':'p = :a',"
     "'ExpressionAttributeValues':{':a':{'S':'b'}},'Select':'ALL_PROJECTED_ATTRIBUTES'}",
     "! ALL_PROJECTED_ATTRIBUTES can be used only when Querying using an IndexName"},
    {"Query",
     "{'TableName':'Tab','KeyConditionExpression':'p = :a',"
     "'ExpressionAttributeValues':{':a':{'S':'b'}},'ExclusiveStartKey':{'p':{'S':'c'},"
     "'s':{'N':'1'}}}",
     "! The provided starting key is outside query boundaries based on provided conditions"},
    {"Query",
     "{'TableName':'Tab','KeyConditionExpression':'p = :a',"
     "'ExpressionAttributeValues':{':a':{'S':'b'}},'ExclusiveStartKey':{'p':{'S':'b'}}}",
     "! The provided starting key is invalid"},
    {"Query",
     "{'TableName':'Tab','KeyConditionExpression':'p = :a',"
     "'ExpressionAttributeValues':{':a':{'S':'b'}},'ExclusiveStartKey':{'p':{'S':'b'},"
     "'s':{'S':'1'}}}",
     "! The provided key element does not match the schema"},
    {"Query",
     "{'TableName':'Tab','KeyConditionExpression':'p = :a and s > :n',"
     "'ExpressionAttributeValues':{':a':{'S':'b'},':n':{'N':'4'}},"
     "'ExclusiveStartKey':{'p':{'S':'b'},'s':{'N':'1'}}}",
     "! The provided starting key does not match the range key predicate"},
    {"Query",
     "{'TableName':'Tab','KeyConditionExpression':'p = :a and s > :n',"
     "'ExpressionAttributeValues':{':a':{'S':'b'},':n':{'N':'4'}},"
     "'ExclusiveStartKey':{'p':{'S':'x'},'s':{'N':'6'}}}",
     "! The query can return at most one row and cannot be restarted"},
    {"Scan",
     "{'TableName':'Tab','Limit':2,'ReturnConsumedCapacity':'TOTAL'}",
     "{'Items':[{'g':{'S':'G'},'l':{'S':'L2'},'p':{'S':'a'},'s':{'N':'1'},'x':{'N':'6'},"
     "'y':{'BOOL':true}},{'p':{'S':'b'},'s':{'N':'1'}}],'Count':2,'ScannedCount':2,"
     "'LastEvaluatedKey':{'p':{'S':'b'},'s':{'N':'1'}},'ConsumedCapacity':{'CapacityUnits':0.5,"
     "'TableName':'Tab'}}"},
    {"Scan",
     "{'TableName':'Tab','IndexName':'loc','Select':'ALL_ATTRIBUTES'}",
     "{'Items':[{'g':{'S':'G'},'l':{'S':'L2'},'p':{'S':'a'},'s':{'N':'1'},'x':{'N':'6'},"
     "'y':{'BOOL':true}}],'Count':1,'ScannedCount':1}"},
    {"Scan",
     "{'TableName':'Tab','Segment':1}",
     "! The TotalSegments parameter is required but was not present in the request when Segment "
     "parameter is present"},
    {"Scan",
     "{'TableName':'Tab','TotalSegments':1}",
     "! The Segment parameter is required but was not present in the request when parameter "
     "TotalSegments is present"},
    {"Scan",
     "{'TableName':'Tab','TotalSegments':2,'Segment':2}",
     "! The Segment parameter is zero-based and must be less than parameter TotalSegments: "
     "Segment: 2 is not less than TotalSegments: 2"},
    {"Scan",
     "{'TableName':'Tab','TotalSegments':2,'Segment':1,'ExclusiveStartKey':{'p':{'S':'b'},"
     "'s':{'N':'1'}}}",
     "! The provided starting key is invalid: Invalid ExclusiveStartKey. Please use "
     "ExclusiveStartKey with correct Segment. TotalSegments: 2 Segment: 1"},
    {"Scan",
     "{'TableName':'Tab','TotalSegments':2,'Segment':0,'ExclusiveStartKey':{'p':{'S':'b'},"
     "'s':{'N':'1'}}}",
     "{'Items':[{'p':{'S':'b'},'s':{'N':'2'}}],'Count':1,'ScannedCount':1}"},
    {"Scan",
     "{'TableName':'Tab','ExclusiveStartKey':{'p':{'S':'b'}}}",
     "! The provided starting key is invalid: The provided key element does not match the schema"},
    {"Query",
     "{'TableName':'Tab','KeyConditionExpression':'#n = :a and s = :b',"
     "'ExpressionAttributeValues':{':a':{'S':'b'}},'ExpressionAttributeNames':{'#n':'q'}}",
     "! Invalid KeyConditionExpression: An expression attribute value used in expression is not "
     "defined; attribute value: :b"},
    {"Query",
     "{'TableName':'Tab','KeyConditionExpression':'#n = :a',"
     "'ExpressionAttributeValues':{':a':{'S':'b'}},'ExpressionAttributeNames':{'#n':'p',"
     "'#m':'q','#o':'r'}}",
     "! Value provided in ExpressionAttributeNames unused in expressions: keys: {#m, #o}"},
    {"Query",
     "{'TableName':'Tab','KeyConditionExpression':'p = :a',"
     "'ExpressionAttributeValues':{':a':{'S':'b'}},'ExpressionAttributeNames':{}}",
     "! ExpressionAttributeNames must not be empty"},
    {"Query",
     "{'TableName':'Tab','KeyConditionExpression':'p = :a',"
     "'ExpressionAttributeValues':{':a':{'S':'b'}},'ExpressionAttributeNames':{'#':'p'}}",
     "! ExpressionAttributeNames contains invalid key: Syntax error; key: \"#\""},
    {"Query",
     "{'TableName':'Tab','KeyConditionExpression':'p = :a',"
     "'ExpressionAttributeValues':{':a':{'S':'b'}},'ExpressionAttributeNames':{'#a-b':'p'}}",
     "! ExpressionAttributeNames contains invalid key: Syntax error; key: \"#a-b\""},
    {"Query",
     "{'TableName':'Tab','KeyConditionExpression':'p = :a and s between :n and :a',"
     "'ExpressionAttributeValues':{':a':{'S':'b'},':n':{'N':'1'}}}",
     "! Invalid KeyConditionExpression: The BETWEEN operator requires same data type for lower "
     "and upper bounds; lower bound operand: AttributeValue: {N:1}, upper bound operand: "
     "AttributeValue: {S:b}"},
    {"Query",
     "{'TableName':'Tab','KeyConditionExpression':'p = :a and s between :m and :n',"
     "'ExpressionAttributeValues':{':a':{'S':'b'},':n':{'N':'1'},':m':{'BOOL':true}}}",
     "! Invalid KeyConditionExpression: Incorrect operand type for operator or function; "
     "operator or function: BETWEEN, operand type: BOOL"},
    {"Query",
     "{'TableName':'Tab','KeyConditionExpression':'p between :m and :n',"
     "'ExpressionAttributeValues':{':n':{'B':'YQ=='},':m':{'B':'Yg=='}}}",
     "! Invalid KeyConditionExpression: The BETWEEN operator requires upper bound to be greater "
     "than or equal to lower bound; lower bound operand: AttributeValue: {B:Yg==}, upper bound "
     "operand: AttributeValue: {B:YQ==}"},
    {"Query",
     "{'TableName':'Tab','KeyConditionExpression':'p between :m and :n',"
     "'ExpressionAttributeValues':{':n':{'BOOL':true},':m':{'BOOL':false}}}",
     "! Invalid KeyConditionExpression: Incorrect operand type for operator or function; "
     "operator or function: BETWEEN, operand type: BOOL"},
    {"Query",
     "{'TableName':'Tab','KeyConditionExpression':'p = :a and s between :n and :n',"
     "'ExpressionAttributeValues':{':a':{'S':'b'},':n':{'S':'1'}}}",
     "! One or more parameter values were invalid: Condition parameter type does not match "
     "schema type"},
    {"Query",
     "{'TableName':'Tab','KeyConditionExpression':'p = :a and begins_with(s, :n)',"
     "'ExpressionAttributeValues':{':a':{'S':'b'},':n':{'SS':['1']}}}",
     "! Invalid KeyConditionExpression: Incorrect operand type for operator or function; "
     "operator or function: begins_with, operand type: SS"},
    {"Query",
     "{'TableName':'Tab','KeyConditionExpression':'p = :a and s = :n',"
     "'ExpressionAttributeValues':{':a':{'S':'b'},':n':{'N':'1'}},"
     "'ExclusiveStartKey':{'p':{'S':'b'},'s':{'N':'1'}}}",
     "{'Items':[],'Count':0,'ScannedCount':0}"},
    {"Query",
     "{'TableName':'Tab','KeyConditionExpression':'p = :a and s = :n',"
     "'ExpressionAttributeValues':{':a':{'S':'b'},':n':{'N':'1'}},"
     "'ExclusiveStartKey':{'p':{'S':'b'},'s':{'N':'9'}}}",
     "! The provided starting key does not match the range key predicate"},
    {"Query",
     "{'TableName':'Tab','KeyConditionExpression':':n = s and p = :a',"
     "'ExpressionAttributeValues':{':a':{'S':'b'},':n':{'N':'1'}},'Select':'COUNT'}",
     "{'Count':1,'ScannedCount':1}"},
    {"Query",
     "{'TableName':'Tab','KeyConditionExpression':'p = :a and s < :n',"
     "'ExpressionAttributeValues':{':a':{'S':'b'},':n':{'N':'2'}},"
     "'ExclusiveStartKey':{'p':{'S':'b'},'s':{'N':'1'}}}",
     "{'Items':[],'Count':0,'ScannedCount':0}"},
    {"Query",
     "{'TableName':'Tab','KeyConditionExpression':'p = :a and s < :n',"
     "'ExpressionAttributeValues':{':a':{'S':'b'},':n':{'N':'2'}},"
     "'ExclusiveStartKey':{'p':{'S':'b'},'s':{'N':'9'}}}",
     "! The provided starting key does not match the range key predicate"},
    {"Query",
     "{'TableName':'Tab','KeyConditionExpression':':n < s and p = :a',"
     "'ExpressionAttributeValues':{':a':{'S':'b'},':n':{'N':'1'}},'Select':'COUNT'}",
     "{'Count':1,'ScannedCount':1}"},
    {"Query",
     "{'TableName':'Tab','KeyConditionExpression':'p = :a and s <= :n',"
     "'ExpressionAttributeValues':{':a':{'S':'b'},':n':{'N':'1'}},"
     "'ExclusiveStartKey':{'p':{'S':'b'},'s':{'N':'1'}}}",
     "{'Items':[],'Count':0,'ScannedCount':0}"},
    {"Query",
     "{'TableName':'Tab','KeyConditionExpression':'p = :a and s <= :n',"
     "'ExpressionAttributeValues':{':a':{'S':'b'},':n':{'N':'1'}},"
     "'ExclusiveStartKey':{'p':{'S':'b'},'s':{'N':'9'}}}",
     "! The provided starting key does not match the range key predicate"},
    {"Query",
     "{'TableName':'Tab','KeyConditionExpression':':n <= s and p = :a',"
     "'ExpressionAttributeValues':{':a':{'S':'b'},':n':{'N':'1'}},'Select':'COUNT'}",
     "{'Count':2,'ScannedCount':2}"},
    {"Query",
     "{'TableName':'Tab','KeyConditionExpression':'p = :a and s > :n',"
     "'ExpressionAttributeValues':{':a':{'S':'b'},':n':{'N':'0'}},"
     "'ExclusiveStartKey':{'p':{'S':'b'},'s':{'N':'1'}}}",
     "{'Items':[{'p':{'S':'b'},'s':{'N':'2'}}],'Count':1,'ScannedCount':1}"},
    {"Query",
     "{'TableName':'Tab','KeyConditionExpression':'p = :a and s > :n',"
     "'ExpressionAttributeValues':{':a':{'S':'b'},':n':{'N':'0'}},"
     "'ExclusiveStartKey':{'p':{'S':'b'},'s':{'N':'-9'}}}",
     "! The provided starting key does not match the range key predicate"},
    {"Query",
     "{'TableName':'Tab','KeyConditionExpression':':n > s and p = :a',"
     "'ExpressionAttributeValues':{':a':{'S':'b'},':n':{'N':'1'}},'Select':'COUNT'}",
     "{'Count':0,'ScannedCount':0}"},
    {"Query",
     "{'TableName':'Tab','KeyConditionExpression':'p = :a and s >= :n',"
     "'ExpressionAttributeValues':{':a':{'S':'b'},':n':{'N':'1'}},"
     "'ExclusiveStartKey':{'p':{'S':'b'},'s':{'N':'1'}}}",
     "{'Items':[{'p':{'S':'b'},'s':{'N':'2'}}],'Count':1,'ScannedCount':1}"},
    {"Query",
     "{'TableName':'Tab','KeyConditionExpression':'p = :a and s >= :n',"
     "'ExpressionAttributeValues':{':a':{'S':'b'},':n':{'N':'1'}},"
     "'ExclusiveStartKey':{'p':{'S':'b'},'s':{'N':'-9'}}}",
     "! The provided starting key does not match the range key predicate"},
    {"Query",
     "{'TableName':'Tab','KeyConditionExpression':':n >= s and p = :a',"
     "'ExpressionAttributeValues':{':a':{'S':'b'},':n':{'N':'1'}},'Select':'COUNT'}",
     "{'Count':1,'ScannedCount':1}"},
    {"Query",
     "{'TableName':'Tab','KeyConditionExpression':'p = :a and s between :n and :m',"
     "'ExpressionAttributeValues':{':a':{'S':'b'},':n':{'N':'1'},':m':{'N':'2'}},"
     "'ExclusiveStartKey':{'p':{'S':'b'},'s':{'N':'1'}}}",
     "{'Items':[{'p':{'S':'b'},'s':{'N':'2'}}],'Count':1,'ScannedCount':1}"},
    {"Query",
     "{'TableName':'Tab','KeyConditionExpression':'p = :a and s between :n and :m',"
     "'ExpressionAttributeValues':{':a':{'S':'b'},':n':{'N':'1'},':m':{'N':'2'}},"
     "'ExclusiveStartKey':{'p':{'S':'b'},'s':{'N':'3'}}}",
     "! The provided starting key does not match the range key predicate"},
    {"Query",
     "{'TableName':'Tab','KeyConditionExpression':'p = :a and begins_with(l, :a)',"
     "'ExpressionAttributeValues':{':a':{'S':'b'}},'IndexName':'loc',"
     "'ExclusiveStartKey':{'p':{'S':'b'},'s':{'N':'3'},'l':{'S':'c'}}}",
     "! The provided starting key does not match the range key predicate"},
    {"Query",
     "{'TableName':'Tab','KeyConditionExpression':'p = :a and begins_with(l, :a)',"
     "'ExpressionAttributeValues':{':a':{'S':'b'}},'IndexName':'loc',"
     "'ExclusiveStartKey':{'p':{'S':'b'},'s':{'N':'3'},'l':{'S':'bc'}},'ScanIndexForward':false}",
     "{'Items':[],'Count':0,'ScannedCount':0}"},
    {"Query",
     "{'TableName':'Tab','KeyConditionExpression':'p = :a',"
     "'ExpressionAttributeValues':{':a':{'S':'b'}},'IndexName':'loc',"
     "'ExclusiveStartKey':{'p':{'S':'b'},'s':{'S':'3'},'l':{'S':'bc'}}}",
     "! The provided starting key is invalid: The provided key element does not match the schema"},
    {"Query",
     "{'TableName':'Tab','KeyConditionExpression':'p = :a',"
     "'ExpressionAttributeValues':{':a':{'S':'b'}},'IndexName':'loc',"
     "'ExclusiveStartKey':{'p':{'S':'b'},'g':{'S':'3'},'l':{'S':'bc'}}}",
     "! The provided starting key is invalid: The provided key element does not match the schema"},
    {"Query",
     "{'TableName':'Tab','KeyConditionExpression':'p = :a',"
     "'ExpressionAttributeValues':{':a':{'S':'b'}},'IndexName':'nope'}",
     "! The table does not have the specified index: nope"},
    {"Query",
     "{'TableName':'Tab','KeyConditionExpression':'g = :a and p = :a',"
     "'ExpressionAttributeValues':{':a':{'S':'b'}},'IndexName':'glo'}",
     "! Query key condition not supported"},
    {"Query",
     "{'TableName':'Tab','KeyConditionExpression':'p = :a',"
     "'ExpressionAttributeValues':{':a':{'S':'b'}},'ExclusiveStartKey':{'p':{'S':''},"
     "'s':{'N':'1'}}}",
     "! One or more parameter values are not valid. The AttributeValue for a key attribute "
     "cannot contain an empty string value. Key: p"},
    {"Query",
     "{'TableName':'Tab','KeyConditionExpression':'p = :a',"
     "'ExpressionAttributeValues':{':a':{'S':'b'}},'ExclusiveStartKey':{}}",
     "! The provided starting key is invalid"},
    {"Query",
     "{'TableName':'Tab','KeyConditionExpression':'p = :a',"
     "'ExpressionAttributeValues':{':a':{'S':'b'}},'Limit':99999999999}",
     "Serialization ! NUMBER_VALUE cannot be converted to Integer"},
    {"Query",
     "{'TableName':'Tab','KeyConditionExpression':'p = :a',"
     "'ExpressionAttributeValues':{':a':{'S':'b'}},'Select':'ALL_PROJECTED_ATTRIBUTES',"
     "'IndexName':'loc'}",
     "{'Items':[],'Count':0,'ScannedCount':0}"},
    {"Scan",
     "{'TableName':'Tab','ExpressionAttributeValues':{':a':{'S':'b'}}}",
     "! ExpressionAttributeValues can only be specified when using expressions: "
     "FilterExpression is null"},
    {"Scan",
     "{'TableName':'Tab','ExpressionAttributeNames':{'#a':'b'}}",
     "! ExpressionAttributeNames can only be specified when using expressions"},
    {"Scan",
     "{'TableName':'Tab','Select':'COUNT','ConsistentRead':true,"
     "'ReturnConsumedCapacity':'INDEXES'}",
     "{'Count':3,'ScannedCount':3,'ConsumedCapacity':{'CapacityUnits':1.0,'TableName':'Tab',"
     "'Table':{'CapacityUnits':1.0}}}"},
    {"Scan",
     "{'TableName':'Tab','Select':'ALL_PROJECTED_ATTRIBUTES'}",
     "! ALL_PROJECTED_ATTRIBUTES can be used only when Querying using an IndexName"},
    {"Scan",
     "{'TableName':'Tab','Select':'SPECIFIC_ATTRIBUTES'}",
     "! Must specify the AttributesToGet or ProjectionExpression when choosing to get "
     "SPECIFIC_ATTRIBUTES"},
    {"Scan",
     "{'TableName':'Tab','IndexName':'glo','Select':'ALL_ATTRIBUTES'}",
     "! One or more parameter values were invalid: Select type ALL_ATTRIBUTES is not supported "
     "for global secondary index glo because its projection type is not ALL"},
    {"Scan",
     "{'TableName':'Tab','IndexName':'glo','ConsistentRead':true}",
     "! Consistent reads are not supported on global secondary indexes"},
    {"Scan",
     "{'TableName':'Tab','IndexName':'nope'}",
     "! The table does not have the specified index: nope"},
    {"Scan",
     "{'TableName':'Tab','ExclusiveStartKey':{'p':{'S':'b'}}}",
     "! The provided starting key is invalid: The provided key element does not match the "
     "schema"},
    {"Scan",
     "{'TableName':'Tab','IndexName':'glo','ExclusiveStartKey':{'p':{'S':'b'}}}",
     "! The provided starting key is invalid"},
    {"Scan",
     "{'TableName':'Tab','IndexName':'glo','ExclusiveStartKey':{'p':{'S':'b'},'s':{'S':'b'},"
     "'g':{'S':'b'}}}",
     "! The provided starting key is invalid: The provided key element does not match the "
     "schema"},
    {"Scan",
     "{'TableName':'None'}",
     "ResourceNotFound ! Requested resource not found"},
    {"Query",
     "{'TableName':'None','KeyConditionExpression':'p = :a',"
     "'ExpressionAttributeValues':{':a':{'S':'b'}}}",
     "ResourceNotFound ! Requested resource not found"},
    {"Scan",
     "{'TableName':'Tab','IndexName':'loc','ExclusiveStartKey':{'p':{'S':'b'},'s':{'N':'3'},"
     "'l':{'N':'1'}}}",
     "! The provided key element does not match the schema"},
    {"Scan",
     "{'TableName':'Tab','IndexName':'loc','ExclusiveStartKey':{'p':{'S':'b'},'s':{'N':'3'},"
     "'g':{'N':'1'}}}",
     "! The provided starting key is invalid"},
    {"BatchWriteItem",
     "{'RequestItems':{'Tab':[{'PutRequest':{'Item':{'p':{'S':'b'},'s':{'N':'1'}}},"
     "'DeleteRequest':{'Key':{'p':{'S':'b'},'s':{'N':'1'}}}}]}}",
     "! Supplied AttributeValue has more than one datatypes set, must contain exactly one of "
     "the supported datatypes"},
    {"BatchWriteItem",
     "{'RequestItems':{'Nope':[{'DeleteRequest':{'Key':{'p':{'S':'b'}}}}]},"
     "'ReturnConsumedCapacity':'TOTAL'}",
     "ResourceNotFound ! Requested resource not found"},
    {"BatchGetItem",
     "{'RequestItems':{'Nope':{'Keys':[{'p':{'S':'b'}}]}}}",
     "ResourceNotFound ! Requested resource not found"},
    {"BatchGetItem",
     "{'RequestItems':{'Tab':{'Keys':[{'p':{'S':'b'}}]}}}",
     "! The provided key element does not match the schema"},
    {"DeleteItem",
     "{'TableName':'Tab','Key':{'p':{'S':'b'},'s':{'N':'1'}},'ReturnValues':'UPDATED_OLD'}",
     "! Return values set to invalid value"},
    {"DeleteItem",
     "{'TableName':'Tab','Key':{'p':{'S':'b'},'s':{'N':'1'}},"
     "'ReturnItemCollectionMetrics':'SIZE'}",
     "{'ItemCollectionMetrics':{'ItemCollectionKey':{'p':{'S':'b'}},'SizeEstimateRangeGB':[0.0,"
     "1.0]}}"},
    {"DeleteItem",
     "{'TableName':'Tab','Key':{'p':{'S':'b'}}}",
     "! The provided key element does not match the schema"},
    {"PutItem",
     "{'TableName':'None','Item':{'p':{'S':'b'}}}",
     "ResourceNotFound ! Requested resource not found"},
    {"PutItem",
     "{'TableName':'arn:aws:dynamodb:us-east-1:123456789012:table/Tab','Item':{'p':{'S':'b'},"
     "'s':{'N':'1'},'pad':{'S':'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxx'}},"
     "'ReturnConsumedCapacity':'INDEXES'}",
     "{'ConsumedCapacity':{'CapacityUnits':1.0,'TableName':'Tab','Table':{'CapacityUnits':1.0}}}"},
    {"Query",
     "{'TableName':'Tab','KeyConditionExpression':'p < :a',"
     "'ExpressionAttributeValues':{':a':{'BOOL':true}}}",
     "! Invalid KeyConditionExpression: Incorrect operand type for operator or function; "
     "operator or function: <, operand type: BOOL"},
    {"Query",
     "{'TableName':'Tab','KeyConditionExpression':'p <> :a',"
     "'ExpressionAttributeValues':{':a':{'L':[]}}}",
     "! Invalid operator used in KeyConditionExpression: <>"},
    {"Query",
     "{'TableName':'Tab','KeyConditionExpression':'p=:a\\tAND\\ts >=:b',"
     "'ExpressionAttributeValues':{':a':{'S':'b'},':b':{'N':'2'}}}",
     "{'Items':[{'p':{'S':'b'},'s':{'N':'2'}}],'Count':1,'ScannedCount':1}"},
    {"BatchGetItem",
     "{'RequestItems':{'Tab':{'Keys':[{'p':{'S':'a'},'s':{'N':'1'}}],'ConsistentRead':true}},"
     "'ReturnConsumedCapacity':'INDEXES'}",
     "{'Responses':{'Tab':[{'g':{'S':'G'},'l':{'S':'L2'},'p':{'S':'a'},'s':{'N':'1'},"
     "'x':{'N':'6'},'y':{'BOOL':true}}]},'UnprocessedKeys':{},"
     "'ConsumedCapacity':[{'CapacityUnits':1.0,'TableName':'Tab',"
     "'Table':{'CapacityUnits':1.0}}]}"},
    {"BatchWriteItem",
     "{'RequestItems':{'arn:aws:dynamodb:us-east-1:999999999999:table/Tab':[{'DeleteRequest':{'"
     "Key':{'p':{'S':'b'}}}}]},'ReturnConsumedCapacity':'TOTAL'}",
     "AccessDenied ! Access is denied"},
    {"Query",
     "{'TableName':'Tab','IndexName':'loc','KeyConditionExpression':'p = :a',"
     "'ExpressionAttributeValues':{':a':{'S':'a'}},'Select':'ALL_ATTRIBUTES',"
     "'ReturnConsumedCapacity':'TOTAL','ConsistentRead':true}",
     "{'Items':[{'g':{'S':'G'},'l':{'S':'L2'},'p':{'S':'a'},'s':{'N':'1'},'x':{'N':'6'},"
     "'y':{'BOOL':true}}],'Count':1,'ScannedCount':1,'ConsumedCapacity':{'CapacityUnits':2.0,"
     "'TableName':'Tab'}}"},
    {"Query",
     "{'TableName':'Tab','KeyConditionExpression':'a.b = a.b'}",
     "! KeyConditionExpressions cannot have conditions on nested attributes"},
    {"Query",
     "{'TableName':'Tab','KeyConditionExpression':'a.#q[0].b = :v and #q = :v',"
     "'ExpressionAttributeNames':{'#q':'a'},'ExpressionAttributeValues':{':v':{'S':'b'}}}",
     "! KeyConditionExpressions cannot have conditions on nested attributes"},
};

static void test_rows(void)
{
    store s;
    size_t i;
    store_init(&s);
    store_open(&s);
    create_table(&s);
    for (i = 0; i < sizeof rows / sizeof *rows; ++i)
        expect(&s, rows[i].operation, rows[i].request, rows[i].answer);
    end(&s);
}

/* The first and the last word of each letter of the reserved words, and others
 * that are none. */
static void test_reserved(void)
{
    static const char words[] =
        "ABORT AVG BACK BYTE CALL CYCLE DATA DYNAMIC EACH EXTRACT FAIL FUNCTIONS GENERAL GROUPING "
        "HANDLER HOUR IDENTIFIED ITERATE JOIN KEY KEYS LAG LOWER MAP MULTISET NAME NUMERIC OBJECT "
        "OWNER PAD PUT QUERY QUORUM RAISE RULES SAMPLE SYSTEM TABLE TYPE UNDER UUID VACUUM VOID "
        "WAIT WRITE YEAR ZONE aBoRt year ";
    static const char others[] = "ABORTS ABOR A Z IDS X_ YEAR2 KEY_ J Xavier zo ";
    store s;
    const char *at, *end_of;
    char request[200], answer[200];
    int is_other;
    store_init(&s);
    store_open(&s);
    create_table(&s);
    for (is_other = 0; is_other < 2; ++is_other)
        for (at = is_other ? others : words; *at; at = end_of + 1) {
            end_of = strchr(at, ' ');
            snprintf(request, sizeof request,
                     "{'TableName':'Tab','KeyConditionExpression':'%.*s = :a',"
                     "'ExpressionAttributeValues':{':a':{'S':'b'}}}", (int)(end_of - at), at);
            snprintf(answer, sizeof answer,
                     is_other ? "! Query condition missed key schema element: p%.*s"
                              : "! Invalid KeyConditionExpression: Attribute name is a reserved "
                                "keyword; reserved keyword: %.*s",
                     is_other ? 0 : (int)(end_of - at), at);
            expect(&s, "Query", request, answer);
        }
    end(&s);
}

/* An index that is going away costs nothing; its place is not counted. */
static void test_index_deleting(void)
{
    store s;
    store_init(&s);
    store_open(&s);
    create_table(&s);
    must_send(&s, "PutItem", "{'TableName':'Tab','Item':{'p':{'S':'b'},'s':{'N':'1'},"
                             "'l':{'S':'x'},'g':{'S':'x'}}}");
    must_send(&s, "CreateBackup", "{'TableName':'Tab','BackupName':'before'}");
    must_send(&s, "UpdateTable", "{'TableName':'Tab','GlobalSecondaryIndexUpdates':["
                                 "{'Delete':{'IndexName':'glo'}}]}");
    expect(&s, "PutItem", "{'TableName':'Tab','Item':{'p':{'S':'b'},'s':{'N':'1'},"
                          "'l':{'S':'y'},'g':{'S':'y'}},'ReturnConsumedCapacity':'INDEXES'}",
           "{'ConsumedCapacity':{'CapacityUnits':3.0,'TableName':'Tab',"
           "'Table':{'CapacityUnits':1.0},"
           "'LocalSecondaryIndexes':{'loc':{'CapacityUnits':2.0}}}}");
    expect(&s, "Query", "{'TableName':'Tab','IndexName':'loc','KeyConditionExpression':'p = :a',"
                        "'ExpressionAttributeValues':{':a':{'S':'b'}},'Select':'COUNT',"
                        "'ReturnConsumedCapacity':'INDEXES'}",
           "{'Count':1,'ScannedCount':1,'ConsumedCapacity':{'CapacityUnits':0.5,"
           "'TableName':'Tab','Table':{'CapacityUnits':0.0},"
           "'LocalSecondaryIndexes':{'loc':{'CapacityUnits':0.5}}}}");
    MUST(kit_create_table(s.db, "Bare", NULL));
    expect(&s, "PutItem", "{'TableName':'Bare','Item':{'Id':{'S':'b'}},"
                          "'ReturnItemCollectionMetrics':'SIZE'}", "{}");
    expect(&s, "BatchWriteItem", "{'RequestItems':{'Bare':[{'DeleteRequest':{'Key':"
                                 "{'Id':{'S':'b'}}}}]},'ReturnItemCollectionMetrics':'SIZE'}",
           "{'UnprocessedItems':{},'ItemCollectionMetrics':{}}");
    end(&s);
}

typedef struct condition {
    const char *expression;
    int has_value; /* :a is b */
    const char *answer;
} condition;

static const condition conditions[] = {
    {"p = ", 0,
     "! Invalid KeyConditionExpression: Syntax error; token: \"<EOF>\", near: \"=\""},
    {"_p = :a", 0,
     "! Invalid KeyConditionExpression: Syntax error; token: \"_\", near: \"_p\""},
    {"p AND __t = :a", 0,
     "! Invalid KeyConditionExpression: Syntax error; token: \"AND\", near: \"p AND _\""},
    {"[object Object]", 0,
     "! Invalid KeyConditionExpression: Syntax error; token: \"[\", near: \"[object\""},
    {"Course-Id = :v", 0,
     "! Invalid KeyConditionExpression: Syntax error; token: \"-\", near: \"Course-Id\""},
    {"p = :v", 0,
     "! Invalid KeyConditionExpression: An expression attribute value used in expression is not "
     "defined; attribute value: :v"},
    {"", 0,
     "! Invalid KeyConditionExpression: The expression can not be empty;"},
    {"p = q", 0,
     "! Invalid condition in KeyConditionExpression: Multiple attribute names used in one "
     "condition"},
    {"f(p) = q", 0,
     "! Invalid KeyConditionExpression: Invalid function name; function: f"},
    {"begins_with(p) AND p = q", 0,
     "! Invalid KeyConditionExpression: Incorrect number of operands for operator or function; "
     "operator or function: begins_with, number of operands: 1"},
    {"\303\251" " = :a", 1,
     "! Invalid KeyConditionExpression: Syntax error; token: \"\303\251\", near: \"\303\251 =\""},
    {"p between :a or :a", 1,
     "! Invalid KeyConditionExpression: Syntax error; token: \"or\", near: \":a or :a\""},
    {"p in :a", 1,
     "! Invalid KeyConditionExpression: Syntax error; token: \":a\", near: \"in :a\""},
    {"p in (:a", 1,
     "! Invalid KeyConditionExpression: Syntax error; token: \"<EOF>\", near: \":a\""},
    {"begins_with(p :a)", 1,
     "! Invalid KeyConditionExpression: Syntax error; token: \":a\", near: \"p :a)\""},
    {"begins_with(p, :a", 1,
     "! Invalid KeyConditionExpression: Syntax error; token: \"<EOF>\", near: \":a\""},
    {"begins_with((p), (:a))", 1,
     "! Query key condition not supported"},
    {"begins_with((p, :a))", 1,
     "! Invalid KeyConditionExpression: Syntax error; token: \",\", near: \"p, :a\""},
    {"p[x] = :a", 1,
     "! Invalid KeyConditionExpression: Syntax error; token: \"x\", near: \"[x]\""},
    {"p[0 = :a", 1,
     "! Invalid KeyConditionExpression: Syntax error; token: \"=\", near: \"0 = :a\""},
    {"p. = :a", 1,
     "! Invalid KeyConditionExpression: Syntax error; token: \"=\", near: \". = :a\""},
    {"p.#q = :a", 1,
     "! Invalid KeyConditionExpression: An expression attribute name used in the document path "
     "is not defined; attribute name: #q"},
    {"(p) = ((:a))", 1,
     "! Invalid KeyConditionExpression: The expression has redundant parentheses;"},
    {"size(p, q) = :a", 1,
     "! Invalid KeyConditionExpression: Incorrect number of operands for operator or function; "
     "operator or function: size, number of operands: 2"},
    {"size() = :a", 1,
     "! Invalid KeyConditionExpression: Syntax error; token: \")\", near: \"() =\""},
    {"size(p)", 1,
     "! Invalid KeyConditionExpression: The function is not allowed to be used this way in an "
     "expression; function: size"},
    {"attribute_exists(p)", 1,
     "! Value provided in ExpressionAttributeValues unused in expressions: keys: {:a}"},
    {"attribute_not_exists(p) and attribute_type(p, :a)", 1,
     "! Invalid operator used in KeyConditionExpression: attribute_not_exists"},
    {"begins_with(p, size(q)) and p = :a", 1,
     "! KeyConditionExpressions cannot contain nested operations"},
    {"p in (:a, contains(p, :a))", 1,
     "! Invalid KeyConditionExpression: The function is not allowed to be used this way in an "
     "expression; function: contains"},
    {"p = :a and (s = :a", 1,
     "! Invalid KeyConditionExpression: Syntax error; token: \"<EOF>\", near: \":a\""},
    {"begins_with(:a, p)", 1,
     "! Invalid condition in KeyConditionExpression: begins_with operator must have the key "
     "attribute as its first operand"},
    {"begins_with(p, :a)", 1,
     "! Query key condition not supported"},
    {"p between q and :a", 1,
     "! Invalid condition in KeyConditionExpression: Multiple attribute names used in one "
     "condition"},
    {"p between :a and :a", 1,
     "! Query key condition not supported"},
    {"contains(size(p), (:a)) and p = :a", 1,
     "! Invalid operator used in KeyConditionExpression: contains"},
    {"p = (:a", 1,
     "! Invalid KeyConditionExpression: Syntax error; token: \"<EOF>\", near: \":a\""},
    {"p = :a AND", 1,
     "! Invalid KeyConditionExpression: Syntax error; token: \"<EOF>\", near: \"AND\""},
    {"p = :a :a", 1,
     "! Invalid KeyConditionExpression: Syntax error; token: \":a\", near: \":a :a\""},
    {"12 = :a", 1,
     "! Invalid KeyConditionExpression: Syntax error; token: \"12\", near: \"12 =\""},
    {"p = `x`", 1,
     "! Invalid KeyConditionExpression: Syntax error; token: \"`\", near: \"= `x\""},
    {"p ! :a", 1,
     "! Invalid KeyConditionExpression: Syntax error; token: \"!\", near: \"p ! :a\""},
    {"(((((((((((((((((p = :a)))))))))))))))))", 1,
     "! Invalid KeyConditionExpression: The expression has redundant parentheses;"},
    {"p = :a and s = :a and p = :a", 1,
     "! KeyConditionExpressions must only contain one condition per key"},
    {"NOT (p = :a)", 1,
     "! Invalid operator used in KeyConditionExpression: NOT"},
    {"(not p = :a) and (p = :a)", 1,
     "! Invalid operator used in KeyConditionExpression: NOT"},
    {"p < :a and s > :a", 1,
     "! Query key condition not supported"},
    {"begins_with(p, :a, q, q) and p = :a", 1,
     "! Invalid KeyConditionExpression: Incorrect number of operands for operator or function; "
     "operator or function: begins_with, number of operands: 4"},
    {":a = p", 1,
     "{'Items':[{'p':{'S':'b'},'s':{'N':'1'}},{'p':{'S':'b'},'s':{'N':'2'}}],'Count':2,"
     "'ScannedCount':2}"},
    {":a < p", 1,
     "! Query key condition not supported"},
    {"foo(p) = bar(:a)", 1,
     "! Invalid KeyConditionExpression: Invalid function name; function: foo"},
    {"p = contains(p, :a)", 1,
     "! Invalid KeyConditionExpression: The function is not allowed to be used this way in an "
     "expression; function: contains"},
    {"size(:a) = size(p)", 1,
     "! KeyConditionExpressions cannot contain nested operations"},
    {"p = :a and #s = :a", 1,
     "! Invalid KeyConditionExpression: An expression attribute name used in the document path "
     "is not defined; attribute name: #s"},
    {"a.b = a.b", 1,
     "! Value provided in ExpressionAttributeValues unused in expressions: keys: {:a}"},
    {"(p = :a) AND ((s) = (:a))", 1,
     "! One or more parameter values were invalid: Condition parameter type does not match "
     "schema type"},
    {"p#q = :a", 1,
     "! Invalid KeyConditionExpression: Syntax error; token: \"#q\", near: \"p#q =\""},
    {"p = :", 1,
     "! Invalid KeyConditionExpression: Syntax error; token: \":\", near: \"= :\""},
    {"p = #", 1,
     "! Invalid KeyConditionExpression: Syntax error; token: \"#\", near: \"= #\""},
    {"p = :a \\\\n AND\\\\t s = :a", 1,
     "! Invalid KeyConditionExpression: Syntax error; token: \"\\\", near: \":a \\n\""},
    {"attribute_exists(p)", 0,
     "! Invalid operator used in KeyConditionExpression: attribute_exists"},
};

static void test_conditions(void)
{
    store s;
    size_t i;
    char text[600];
    store_init(&s);
    store_open(&s);
    create_table(&s);
    must_send(&s, "PutItem", "{'TableName':'Tab','Item':{'p':{'S':'b'},'s':{'N':'1'}}}");
    must_send(&s, "PutItem", "{'TableName':'Tab','Item':{'p':{'S':'b'},'s':{'N':'2'}}}");
    for (i = 0; i < sizeof conditions / sizeof *conditions; ++i) {
        snprintf(text, sizeof text, "{'TableName':'Tab','KeyConditionExpression':'%s'%s}",
                 conditions[i].expression,
                 conditions[i].has_value ? ",'ExpressionAttributeValues':{':a':{'S':'b'}}" : "");
        expect(&s, "Query", text, conditions[i].answer);
    }
    end(&s);
}

/* ----------------------------------------------------------------- limits -- */

/* A text with `count` of `with` in it, in place of @; and numbers for #. */
static const char *filled(const char *form, size_t count, char with, int number)
{
    static char *text;
    size_t used = 0, i;
    text = (char *)fault_memory(text, strlen(form) + count + 32);
    for (i = 0; form[i]; ++i) {
        if (form[i] == '@') {
            memset(text + used, with, count);
            used += count;
        } else if (form[i] == '#') {
            used += (size_t)sprintf(text + used, "%d", number);
        } else {
            text[used++] = form[i];
        }
    }
    text[used] = 0;
    return text;
}

/* 1 KB a unit written, of the larger of both items; 4 KB a unit read. */
static void test_units(void)
{
    /* p and a byte, s and the number's two, x: 7 bytes beside the @ */
    const char *put = "{'TableName':'Tab','Item':{'p':{'S':'u'},'s':{'N':'1'},'x':{'S':'@'}},"
                      "'ReturnConsumedCapacity':'TOTAL'}";
    const char *get = "{'TableName':'Tab','Key':{'p':{'S':'u'},'s':{'N':'1'}},"
                      "'ReturnConsumedCapacity':'TOTAL','ConsistentRead':true}";
    const char *query = "{'TableName':'Tab','KeyConditionExpression':'p = :p',"
                        "'ExpressionAttributeValues':{':p':{'S':'u'}},"
                        "'ReturnConsumedCapacity':'TOTAL','Select':'COUNT'}";
    static const struct {
        size_t pad;
        const char *written, *read;
    } steps[] = {{1018, "1.0", "1.0"}, {1019, "2.0", "1.0"}, {1018, "2.0", "1.0"},
                 {4090, "4.0", "1.0"}, {4091, "5.0", "2.0"}, {0, "5.0", "1.0"}};
    char text[200];
    store s;
    size_t i;
    store_init(&s);
    store_open(&s);
    create_table(&s);
    for (i = 0; i < sizeof steps / sizeof *steps; ++i) {
        snprintf(text, sizeof text,
                 "{'ConsumedCapacity':{'CapacityUnits':%s,'TableName':'Tab'}}", steps[i].written);
        expect(&s, "PutItem", filled(put, steps[i].pad, 'x', 0), text);
        (void)send(&s, "GetItem", get);
        snprintf(text, sizeof text, "\"CapacityUnits\":%s", steps[i].read);
        CHECK(strstr(response.body, text) != NULL);
    }
    expect(&s, "Query", query,
           "{'Count':1,'ScannedCount':1,"
           "'ConsumedCapacity':{'CapacityUnits':0.5,'TableName':'Tab'}}");
    must_send(&s, "PutItem", filled(put, 4091, 'x', 0));
    expect(&s, "Query", query,
           "{'Count':1,'ScannedCount':1,"
           "'ConsumedCapacity':{'CapacityUnits':1.0,'TableName':'Tab'}}");
    expect(&s, "BatchGetItem",
           "{'RequestItems':{'Tab':{'Keys':[{'p':{'S':'v'},'s':{'N':'1'}}]}},"
           "'ReturnConsumedCapacity':'TOTAL'}",
           "{'Responses':{'Tab':[]},'UnprocessedKeys':{},"
           "'ConsumedCapacity':[{'CapacityUnits':0.5,'TableName':'Tab'}]}");
    end(&s);
}

/* A page ends before 1 MB of items by AWS's size rule, whatever the JSON. */
static void test_page_size(void)
{
    store s;
    int i, count = 0, pages = 0;
    char text[300], from[100] = "";
    store_init(&s);
    store_open(&s);
    create_table(&s);
    for (i = 0; i < 5; ++i) /* of 262144 bytes: four fill a page */
        must_send(&s, "PutItem",
                  filled("{'TableName':'Tab','Item':{'p':{'S':'q'},'s':{'N':'#'},'x':{'S':'@'}}}",
                         262144 - 6, 'x', i + 1));
    do {
        const char *at;
        snprintf(text, sizeof text,
                 "{'TableName':'Tab','KeyConditionExpression':'p = :p',"
                 "'ExpressionAttributeValues':{':p':{'S':'q'}},'Select':'COUNT',"
                 "'ReturnConsumedCapacity':'TOTAL'%s}", from);
        must_send(&s, "Query", text);
        at = strstr(response.body, "\"Count\":");
        count += at ? atoi(at + 8) : 100;
        if (pages == 0)
            CHECK(strstr(response.body, "\"Count\":4,") != NULL &&
                  strstr(response.body, "\"CapacityUnits\":128.0") != NULL);
        snprintf(from, sizeof from, ",'ExclusiveStartKey':{'p':{'S':'q'},'s':{'N':'%d'}}", count);
    } while (strstr(response.body, "LastEvaluatedKey") && ++pages < 5);
    CHECK_INT(count, 5);
    CHECK_INT(pages, 1);
    end(&s);
}

/* BatchGetItem answers 52 items of 300 KB; what is left comes back as it was
 * asked for. 100 keys in all, 25 writes in all. */
static void test_batches(void)
{
    store s;
    char *text;
    int i, used = 0, found = 0;
    const char *at;
    store_init(&s);
    store_open(&s);
    create_table(&s);
    text = (char *)fault_memory(NULL, 20000);
    for (i = 0; i < 55; ++i)
        must_send(&s, "PutItem",
                  filled("{'TableName':'Tab','Item':{'p':{'S':'q'},'s':{'N':'#'},'x':{'S':'@'}}}",
                         300 * 1024 - 8, 'x', i + 10));
    used += sprintf(text + used, "{'RequestItems':{'Tab':{'ConsistentRead':true,'Keys':[");
    for (i = 0; i < 55; ++i)
        used += sprintf(text + used, "%s{'p':{'S':'q'},'s':{'N':'%d'}}", i ? "," : "", i + 10);
    sprintf(text + used, "]},'arn:aws:dynamodb:us-east-1:123456789012:table/Tab':{'Keys':["
                         "{'p':{'S':'q'},'s':{'N':'10'}}]}},'ReturnConsumedCapacity':'TOTAL'}");
    at = strstr(send(&s, "BatchGetItem", text), "'UnprocessedKeys'");
    CHECK_TEXT(at ? at : "",
               "'UnprocessedKeys':{'Tab':{'Keys':[{'p':{'S':'q'},'s':{'N':'62'}},"
               "{'p':{'S':'q'},'s':{'N':'63'}},{'p':{'S':'q'},'s':{'N':'64'}}],"
               "'ConsistentRead':true},'arn:aws:dynamodb:us-east-1:123456789012:table/Tab':"
               "{'Keys':[{'p':{'S':'q'},'s':{'N':'10'}}]}},'ConsumedCapacity':["
               "{'CapacityUnits':3900.0,'TableName':'Tab'},"
               "{'CapacityUnits':0.0,'TableName':'Tab'}]}");
    for (at = response.body; (at = strstr(at, "\"x\":")) != NULL; ++at)
        ++found;
    CHECK_INT(found, 52);
    for (i = 0; i < 2; ++i) { /* 25 and 26 writes, of two tables; 100 and 101 keys */
        int k;
        MUST(i ? DYNB_OK : kit_create_table(s.db, "Other", NULL));
        used = sprintf(text, "{'RequestItems':{'Other':[");
        for (k = 0; k < 5 + i; ++k)
            used += sprintf(text + used, "%s{'PutRequest':{'Item':{'Id':{'S':'%d'}}}}",
                            k ? "," : "", k);
        used += sprintf(text + used, "],'Tab':[");
        for (k = 0; k < 20; ++k)
            used += sprintf(text + used,
                            "%s{'DeleteRequest':{'Key':{'p':{'S':'q'},'s':{'N':'%d'}}}}",
                            k ? "," : "", k);
        sprintf(text + used, "]}}");
        expect(&s, "BatchWriteItem", text,
               i ? "! Too many items requested for the BatchWriteItem call"
                 : "{'UnprocessedItems':{}}");
        used = sprintf(text, "{'RequestItems':{'Other':{'Keys':[");
        for (k = 0; k < 50 + i; ++k)
            used += sprintf(text + used, "%s{'Id':{'S':'x%d'}}", k ? "," : "", k);
        used += sprintf(text + used, "]},'Tab':{'Keys':[");
        for (k = 0; k < 50; ++k)
            used += sprintf(text + used, "%s{'p':{'S':'x'},'s':{'N':'%d'}}", k ? "," : "", k);
        sprintf(text + used, "]}}}");
        expect(&s, "BatchGetItem", text,
               i ? "! Too many items requested for the BatchGetItem call"
                 : "{'Responses':{'Other':[],'Tab':[]},'UnprocessedKeys':{}}");
    }
    free(text);
    end(&s);
}

/* Expressions of 4 KB, and maps of more names than one can use. */
static void test_expression_limits(void)
{
    const char *form = "{'TableName':'Tab','KeyConditionExpression':'p@= :a',"
                       "'ExpressionAttributeValues':{':a':{'S':'b'}}}";
    store s;
    char *text;
    int i, used;
    store_init(&s);
    store_open(&s);
    create_table(&s);
    expect(&s, "Query", filled(form, 4096 - 5, ' ', 0), "{'Items':[],'Count':0,'ScannedCount':0}");
    expect(&s, "Query", filled(form, 4097 - 5, ' ', 0),
           "! Invalid KeyConditionExpression: Expression size has exceeded the maximum allowed "
           "size; expression size: 4097");
    text = (char *)fault_memory(NULL, 100000);
    used = sprintf(text, "{'TableName':'Tab','KeyConditionExpression':'p = :a1000',"
                         "'ExpressionAttributeValues':{");
    for (i = 1000; i < 4000; ++i)
        used += sprintf(text + used, "%s':a%d':{'S':'b'}", i > 1000 ? "," : "", i);
    sprintf(text + used, "}}");
    (void)send(&s, "Query", text);
    CHECK_INT(response.http_status, 400);
    CHECK(strstr(kit_err.message,
                 "Value provided in ExpressionAttributeValues unused in expressions: keys: {"
                 ":a1001, :a1002, ") == kit_err.message);
    CHECK(strlen(kit_err.message) > 1000);
    free(text);
    end(&s);
}

/* What a key may be at most is told by its collection, whatever is in it. */
static void test_large_keys(void)
{
    store s;
    size_t i;
    char *text;
    store_init(&s);
    store_open(&s);
    create_table(&s);
    text = (char *)fault_memory(NULL, 20000);
    strcpy(text, "{'TableName':'Tab','Item':{'p':{'S':'");
    for (i = 0; i < 2048; ++i)
        strcat(text, "\\u0001");
    strcat(text, "'},'s':{'N':'1'},'l':{'S':'x'}},'ReturnConsumedCapacity':'INDEXES',"
                 "'ReturnItemCollectionMetrics':'SIZE'}");
    must_send(&s, "PutItem", text);
    CHECK(response.body_size > 6 * 2048);
    CHECK(strstr(response.body, "\"SizeEstimateRangeGB\":[0.0,1.0]") != NULL);
    free(text);
    end(&s);
}

/* ----------------------------------------------------------------- random -- */

typedef struct text {
    char *bytes;
    size_t used, room;
} text;

static void text_add(text *t, const char *from, size_t length)
{
    while (t->used + length + 1 > t->room) {
        t->room = t->room ? t->room * 2 : 256;
        t->bytes = (char *)fault_memory(t->bytes, t->room);
    }
    memcpy(t->bytes + t->used, from, length);
    t->used += length;
    t->bytes[t->used] = 0;
}

static void text_put(text *t, const char *from)
{
    text_add(t, from, strlen(from));
}

static void text_number(text *t, const char *form, uint32_t number)
{
    char digits[64];
    snprintf(digits, sizeof digits, form, number);
    text_put(t, digits);
}

static void text_item(text *t, dynb_item item)
{
    static dynb_result result;
    const char *json;
    size_t length;
    MUST(dynb_item_to_json(item, &result, &json, &length, &kit_err));
    text_add(t, json, length);
    dynb_result_free(&result);
}

typedef struct player {
    store s;
    model_table *table;
    check_random random;
    dynb_builder builder;
    text request, wanted;
    const char *did;
} player;

static uint32_t below(player *p, uint32_t limit)
{
    return (uint32_t)check_below(&p->random, limit);
}

/* Sends p->request, already JSON; the answer must be p->wanted. */
static void play(player *p, const char *operation)
{
    (void)dynb_call(p->s.db, operation, p->request.bytes, p->request.used, &p->s.result,
                    &response, &kit_err);
    if (response.http_status != 200 || strcmp(response.body, p->wanted.bytes) != 0) {
        if (check_failed_count < 5)
            printf("%s %s\ngot      %s\nexpected %s\n", operation, p->request.bytes, response.body,
                   p->wanted.bytes);
        CHECK(response.http_status == 200 && strcmp(response.body, p->wanted.bytes) == 0);
    } else {
        CHECK(1);
    }
    p->request.used = p->wanted.used = 0;
}

static const char *const partitions[4] = {"a", "b\"\\\n", "\303\251", "c\001"};

static void add_key(player *p)
{
    char number[16];
    snprintf(number, sizeof number, "%d.%d", (int)below(p, 9) - 4, (int)below(p, 2) * 5);
    dynb_builder_begin(&p->builder);
    dynb_add_string(&p->builder, "p", partitions[below(p, 4)], (size_t)-1);
    dynb_add_number(&p->builder, "s", number, (size_t)-1);
}

static dynb_item random_key(player *p)
{
    add_key(p);
    return kit_finish(&p->builder);
}

static dynb_item random_item(player *p)
{
    char letters[3] = {0, 0, 0};
    add_key(p);
    letters[0] = (char)('a' + below(p, 2));
    letters[1] = (char)(below(p, 2) ? 'a' + below(p, 2) : 0);
    if (below(p, 4))
        dynb_add_string(&p->builder, "l", letters, (size_t)-1);
    if (below(p, 4))
        dynb_add_string(&p->builder, "g", letters, 1);
    if (below(p, 2))
        dynb_add_int(&p->builder, "x", (int64_t)below(p, 100));
    if (below(p, 2)) {
        dynb_open_container(&p->builder, "y", DYNB_M);
        dynb_add_binary(&p->builder, "bytes", "\0\1\2", below(p, 4));
        dynb_add_bool(&p->builder, "yes", (int)below(p, 2));
        dynb_close_container(&p->builder);
    }
    return kit_finish(&p->builder);
}

/* Puts or deletes one in the model; the old one, or NULL, is to be released. */
static model_item *model_write(player *p, dynb_item item, int is_delete)
{
    model_item *made = model_item_new(&p->table->schema, item), *old;
    if (!is_delete)
        return model_put(p->table, made);
    old = model_delete(p->table, made);
    model_item_release(made);
    return old;
}

static void random_write(player *p)
{
    const int is_delete = !below(p, 3), wants_old = (int)below(p, 2);
    const dynb_item item = is_delete ? random_key(p) : random_item(p);
    model_item *old = model_write(p, item, is_delete);
    text_put(&p->request, is_delete ? "{\"Key\":" : "{\"Item\":");
    text_item(&p->request, item);
    text_put(&p->request, wants_old ? ",\"ReturnValues\":\"ALL_OLD\",\"TableName\":\"Tab\"}"
                                    : ",\"TableName\":\"Tab\"}");
    text_put(&p->wanted, "{");
    if (wants_old && old) {
        text_put(&p->wanted, "\"Attributes\":");
        text_item(&p->wanted, model_view(old));
    }
    text_put(&p->wanted, "}");
    model_item_release(old);
    play(p, is_delete ? "DeleteItem" : "PutItem");
}

static void random_get(player *p)
{
    const dynb_item item = random_key(p);
    model_item *key = model_item_new(&p->table->schema, item);
    model_item *found = model_get(p->table, key);
    text_put(&p->request, "{\"TableName\":\"Tab\",\"Key\":");
    text_item(&p->request, item);
    text_put(&p->request, "}");
    text_put(&p->wanted, "{");
    if (found) {
        text_put(&p->wanted, "\"Item\":");
        text_item(&p->wanted, model_view(found));
    }
    text_put(&p->wanted, "}");
    model_item_release(key);
    play(p, "GetItem");
}

/* Different keys, so that the batch is not refused. */
static void random_batch(player *p)
{
    model_item *seen[8];
    uint32_t i, k, count = 1 + below(p, 8), made = 0;
    text_put(&p->request, "{\"RequestItems\":{\"Tab\":[");
    for (i = 0; i < count; ++i) {
        const int is_delete = !below(p, 3);
        const dynb_item item = is_delete ? random_key(p) : random_item(p);
        model_item *key = model_item_new(&p->table->schema, item);
        for (k = 0; k < made; ++k)
            if (model_compare_items(&p->table->schema, key, seen[k]) == 0)
                break;
        if (k < made) {
            model_item_release(key);
            continue;
        }
        seen[made++] = key;
        text_put(&p->request, made > 1 ? "," : "");
        text_put(&p->request, is_delete ? "{\"DeleteRequest\":{\"Key\":"
                                        : "{\"PutRequest\":{\"Item\":");
        text_item(&p->request, item);
        text_put(&p->request, "}}");
        model_item_release(model_write(p, item, is_delete));
    }
    for (k = 0; k < made; ++k)
        model_item_release(seen[k]);
    text_put(&p->request, "]}}");
    text_put(&p->wanted, "{\"UnprocessedItems\":{}}");
    play(p, "BatchWriteItem");
}

/* What a page of these items is answered with. */
static void want_page(player *p, const dynb_item *items, uint32_t count, dynb_item last_key)
{
    uint32_t i;
    text_put(&p->wanted, "{\"Items\":[");
    for (i = 0; i < count; ++i) {
        text_put(&p->wanted, i ? "," : "");
        text_item(&p->wanted, items[i]);
    }
    text_number(&p->wanted, "],\"Count\":%u", count);
    text_number(&p->wanted, ",\"ScannedCount\":%u", count);
    if (last_key.bytes) {
        text_put(&p->wanted, ",\"LastEvaluatedKey\":");
        text_item(&p->wanted, last_key);
    }
    text_put(&p->wanted, "}");
}

/* Pages of what is found, in order. */
static void play_pages(player *p, const char *operation, model_item *const *found, uint32_t count,
                       uint32_t limit)
{
    const size_t length = p->request.used;
    dynb_item items[200];
    dynb_builder key;
    uint32_t at = 0, i, page;
    memset(&key, 0, sizeof key);
    do {
        dynb_item last = {NULL, 0};
        page = limit && limit < count - at ? limit : count - at;
        for (i = 0; i < page; ++i)
            items[i] = model_view(found[at + i]);
        at += page;
        if (limit && page == limit) {
            dynb_builder_begin(&key);
            dynb_add_value(&key, "p", dynb_item_get(items[page - 1], "p"));
            dynb_add_value(&key, "s", dynb_item_get(items[page - 1], "s"));
            last = kit_finish(&key);
        }
        want_page(p, items, page, last);
        text_put(&p->request, "}");
        play(p, operation);
        p->request.used = length; /* the text is still there */
        if (!last.bytes)
            break;
        text_put(&p->request, ",\"ExclusiveStartKey\":");
        text_item(&p->request, last);
    } while (1);
    p->request.used = 0;
    dynb_builder_free(&key);
}

/* A condition on the sort key in one of the ways to write it. */
static void add_condition(player *p, dynb_sort_condition is, const char *sort)
{
    static const char *const signs[] = {"", "=", "<", "<=", ">", ">="};
    static const char *const turned[] = {"", "=", ">", ">=", "<", "<="};
    const int turns = (int)below(p, 2);
    if (is == DYNB_SORT_BETWEEN) {
        text_put(&p->request, sort);
        text_put(&p->request, turns ? " between :x AND (:y)" : " BETWEEN :x and :y");
    } else if (is == DYNB_SORT_BEGINS_WITH) {
        text_put(&p->request, "begins_with(");
        text_put(&p->request, sort);
        text_put(&p->request, ", :x)");
    } else {
        text_put(&p->request, turns ? ":x " : sort);
        text_put(&p->request, turns ? turned[is] : signs[is]);
        text_put(&p->request, turns ? sort : ":x");
    }
}

/* The expression with its names and values, which are in the builder; these. */
static dynb_item add_expression(player *p, dynb_sort_condition is, const char *partition,
                                const char *sort)
{
    const dynb_item values = kit_finish(&p->builder);
    const int names = (int)below(p, 2), first = (int)below(p, 2);
    text_put(&p->request, ",\"KeyConditionExpression\":\"");
    if (is && first) {
        text_put(&p->request, "(");
        add_condition(p, is, sort);
        text_put(&p->request, ")AND ");
    }
    text_put(&p->request, names ? "(#p = :p)" : partition);
    text_put(&p->request, names ? "" : "=:p");
    if (is && !first) {
        text_put(&p->request, " and ");
        add_condition(p, is, sort);
    }
    text_put(&p->request, "\",\"ExpressionAttributeValues\":");
    text_item(&p->request, values);
    if (names) {
        text_put(&p->request, ",\"ExpressionAttributeNames\":{\"#p\":\"");
        text_put(&p->request, partition);
        text_put(&p->request, "\"}");
    }
    return values;
}

static void random_query(player *p)
{
    static const int8_t uses[] = {0, 1, 1, 1, 1, 1, 2};
    char texts[3][DYNB_NUMBER_TEXT_SIZE];
    model_item *found[200];
    model_query query;
    model_key keys[3];
    dynb_item values;
    char number[16];
    uint32_t limit = below(p, 3) ? 1 + below(p, 5) : 0;
    int from = (int)below(p, 9) - 4;
    memset(&query, 0, sizeof query);
    query.condition = (dynb_sort_condition)below(p, DYNB_SORT_BEGINS_WITH);
    query.descending = (int)below(p, 2);
    dynb_builder_begin(&p->builder);
    dynb_add_string(&p->builder, ":p", partitions[below(p, 4)], (size_t)-1);
    snprintf(number, sizeof number, "%d.5", from);
    if (uses[query.condition])
        dynb_add_number(&p->builder, ":x", below(p, 2) ? number : strtok(number, "."), (size_t)-1);
    snprintf(number, sizeof number, "%d.5", from + 1 + (int)below(p, 4));
    if (uses[query.condition] == 2)
        dynb_add_number(&p->builder, ":y", number, (size_t)-1);
    text_put(&p->request, "{\"TableName\":\"Tab\"");
    values = add_expression(p, query.condition, "p", "s");
    keys[0] = model_key_of(dynb_item_get(values, ":p"), texts[0]);
    keys[1] = model_key_of(dynb_item_get(values, ":x"), texts[1]);
    keys[2] = model_key_of(dynb_item_get(values, ":y"), texts[2]);
    query.partition = &keys[0];
    query.from = uses[query.condition] ? &keys[1] : NULL;
    query.to = &keys[2];
    if (limit)
        text_number(&p->request, ",\"Limit\":%u", limit);
    if (query.descending)
        text_put(&p->request, ",\"ScanIndexForward\":false");
    play_pages(p, "Query", found, model_run_query(p->table, &query, found), limit);
}

/* Indexes: the C functions know them (test_index.c); the words must say it. */
static void random_index_query(player *p)
{
    const int is_local = (int)below(p, 2), wants_all = is_local && below(p, 2);
    dynb_query_input query;
    dynb_page page;
    dynb_result result, gets;
    dynb_item values;
    uint32_t i;
    text items;
    memset(&query, 0, sizeof query);
    memset(&result, 0, sizeof result);
    memset(&gets, 0, sizeof gets);
    memset(&items, 0, sizeof items);
    query.table = "Tab";
    query.index_name = is_local ? "loc" : "glo";
    query.condition = is_local ? (dynb_sort_condition)below(p, DYNB_SORT_BEGINS_WITH + 1)
                               : DYNB_SORT_ANY;
    query.limit = below(p, 4);
    dynb_builder_begin(&p->builder);
    dynb_add_string(&p->builder, ":p", is_local ? partitions[below(p, 4)] : "a", (size_t)-1);
    if (query.condition)
        dynb_add_string(&p->builder, ":x", below(p, 2) ? "a" : "ab", (size_t)-1);
    if (query.condition == DYNB_SORT_BETWEEN)
        dynb_add_string(&p->builder, ":y", "b", 1);
    text_put(&p->request, is_local ? "{\"TableName\":\"Tab\",\"IndexName\":\"loc\""
                                   : "{\"TableName\":\"Tab\",\"IndexName\":\"glo\"");
    if (wants_all)
        text_put(&p->request, ",\"Select\":\"ALL_ATTRIBUTES\"");
    if (query.limit)
        text_number(&p->request, ",\"Limit\":%u", query.limit);
    values = add_expression(p, query.condition, is_local ? "p" : "g", "l");
    text_put(&p->request, "}");
    query.partition_key = dynb_item_get(values, ":p");
    query.sort_from = dynb_item_get(values, ":x");
    query.sort_to = dynb_item_get(values, ":y");
    MUST(dynb_query(p->s.db, &query, &page, &result, &kit_err));
    want_page(p, page.items, page.count, page.last_key);
    for (i = 0; wants_all && i < page.count; ++i) { /* the same items, whole */
        model_item *key = model_item_new(&p->table->schema, page.items[i]);
        text_put(&items, i ? "," : "");
        text_item(&items, model_view(model_get(p->table, key)));
        model_item_release(key);
    }
    if (wants_all) {
        text tail;
        memset(&tail, 0, sizeof tail);
        text_put(&tail, strstr(p->wanted.bytes, "],\"Count\":"));
        p->wanted.used = strlen("{\"Items\":[");
        text_add(&p->wanted, items.bytes ? items.bytes : "", items.used);
        text_put(&p->wanted, tail.bytes);
        free(tail.bytes);
    }
    play(p, "Query");
    free(items.bytes);
    dynb_result_free(&result);
}

static void random_scan(player *p)
{
    uint32_t limit = below(p, 2) ? 1 + below(p, 20) : 0;
    text_put(&p->request, "{\"TableName\":\"Tab\"");
    if (limit)
        text_number(&p->request, ",\"Limit\":%u", limit);
    play_pages(p, "Scan", p->table->items, p->table->count, limit);
}

static void test_random(void)
{
    player p;
    model_schema schema;
    uint64_t steps = check_scaled(4000), i;
    memset(&p, 0, sizeof p);
    p.random.state = check_seed("test_call_items");
    memset(&schema, 0, sizeof schema);
    strcpy(schema.names[0], "p");
    strcpy(schema.names[1], "s");
    schema.types[0] = DYNB_S;
    schema.types[1] = DYNB_N;
    schema.count = 2;
    store_init(&p.s);
    store_open(&p.s);
    create_table(&p.s);
    p.table = model_table_new("Tab", &schema);
    for (i = 0; i < steps && check_failed_count == 0; ++i) {
        switch (below(&p, 10)) {
        case 0: random_get(&p); break;
        case 1: random_batch(&p); break;
        case 2:
        case 3: random_query(&p); break;
        case 4: random_index_query(&p); break;
        case 5: random_scan(&p); break;
        default: random_write(&p); break;
        }
        if (i % 1000 == 999)
            EXPECT(dynb_wait_idle(p.s.db, &kit_err), DYNB_OK);
    }
    CHECK(model_compare_scan(p.table, p.s.db, "Tab", 0));
    model_table_free(p.table);
    dynb_builder_free(&p.builder);
    free(p.request.bytes);
    free(p.wanted.bytes);
    end(&p.s);
}

/* --------------------------------------------------------- failing memory -- */

/* Each allocation fails once: the answer is an error, the item is the old or
 * the new one, the store is whole, and the next call works. */
static void test_memory(void)
{
    static const row calls[] = {
        {"PutItem", "{'TableName':'Tab','Item':{'p':{'S':'m'},'s':{'N':'1'},'l':{'S':'x'},"
                    "'g':{'S':'y'},'big':{'S':'@'}},'ReturnValues':'ALL_OLD',"
                    "'ReturnConsumedCapacity':'INDEXES','ReturnItemCollectionMetrics':'SIZE'}",
         "'SizeEstimateRangeGB'"},
        {"GetItem", "{'TableName':'Tab','Key':{'p':{'S':'m'},'s':{'N':'1'}},"
                    "'ReturnConsumedCapacity':'INDEXES'}", "'Item'"},
        {"BatchWriteItem",
         "{'RequestItems':{'Tab':[{'PutRequest':{'Item':{'p':{'S':'m'},'s':{'N':'1'},"
         "'l':{'S':'z'},'g':{'S':'y'},'big':{'S':'@'}}}},"
         "{'PutRequest':{'Item':{'p':{'S':'n'},'s':{'N':'2'},'l':{'S':'z'}}}}]},"
         "'ReturnConsumedCapacity':'INDEXES','ReturnItemCollectionMetrics':'SIZE'}",
         "'ItemCollectionMetrics'"},
        {"BatchGetItem", "{'RequestItems':{'Tab':{'Keys':[{'p':{'S':'m'},'s':{'N':'1'}}]}},"
                         "'ReturnConsumedCapacity':'INDEXES'}", "'Responses'"},
        {"Query", "{'TableName':'Tab','IndexName':'loc','Select':'ALL_ATTRIBUTES',"
                  "'KeyConditionExpression':'p = :p and l <= :l','Limit':5,"
                  "'ExpressionAttributeValues':{':p':{'S':'m'},':l':{'S':'z'}},"
                  "'ExclusiveStartKey':{'p':{'S':'m'},'s':{'N':'0'},'l':{'S':'a'}},"
                  "'ReturnConsumedCapacity':'INDEXES'}", "'Count':1"},
        {"Scan", "{'TableName':'Tab','ExclusiveStartKey':{'p':{'S':'m'},'s':{'N':'0'}},"
                 "'ReturnConsumedCapacity':'INDEXES'}", "'Count':"},
        {"DeleteItem", "{'TableName':'Tab','Key':{'p':{'S':'m'},'s':{'N':'1'}},"
                       "'ReturnValues':'ALL_OLD','ReturnConsumedCapacity':'INDEXES',"
                       "'ReturnItemCollectionMetrics':'SIZE'}", "'ConsumedCapacity'"}};
    store s;
    size_t i;
    uint64_t n, failures = 0;
    store_init(&s);
    store_open(&s);
    create_table(&s);
    for (i = 0; i < sizeof calls / sizeof *calls; ++i) {
        char *text = (char *)fault_memory(NULL, 20000);
        strcpy(text, filled(calls[i].request, 6000, 'x', 0));
        for (n = 1; n < 1000; ++n) {
            const char *got;
            dynb_result_free(&s.result);
            s.memory.call_count = s.memory.failed_count = 0;
            s.memory.fail_at = n;
            got = send(&s, calls[i].operation, text);
            s.memory.fail_at = 0;
            failures += s.memory.failed_count;
            if (response.http_status == 200)
                CHECK(strstr(got, calls[i].answer) != NULL || calls[i].operation[0] == 'D');
            else
                CHECK(response.http_status == 500 && kit_err.code == DYNB_NO_MEMORY &&
                      strstr(got, "#InternalServerError") != NULL);
            EXPECT(dynb_check(s.db, NULL, NULL, NULL, &kit_err), DYNB_OK);
            if (!s.memory.failed_count)
                break;
        }
        CHECK(n < 1000);
        free(text);
    }
    CHECK(failures > 50);
    printf("test_call_items: %llu allocations failed\n", (unsigned long long)failures);
    end(&s);
}

/* The items there are, as text: to be freed. */
static char *all_items(store *s)
{
    const char *got = send(s, "Scan", "{'TableName':'Tab'}");
    char *text = (char *)fault_memory(NULL, strlen(got) + 1);
    CHECK_INT(response.http_status, 200);
    return strcpy(text, got);
}

/* With each allocation failing, alone or with all after it: where an error is told
 * nothing has been changed, and what has been changed is told. */
static void fail_each(store *s, const char *operation, const char *request, const char *part)
{
    static const char item[] =
        "{'TableName':'Tab','Item':{'p':{'S':'m'},'s':{'N':'1'},'l':{'S':'x'},'g':{'S':'y'},"
        "'old':{'S':'@'}}}";
    char *text = (char *)fault_memory(NULL, 20000);
    uint64_t n, failed = 0;
    int from, is_error, errors = 0;
    strcpy(text, filled(request, 6000, 'x', 0));
    for (from = 0; from < 2; ++from) {
        for (n = 1, failed = 1; failed && n < 1000; ++n) {
            char *before, *after;
            const char *got;
            must_send(s, "PutItem", filled(item, 9000, '\\', 0));
            must_send(s, "DeleteItem", "{'TableName':'Tab','Key':{'p':{'S':'n'},'s':{'N':'2'}}}");
            before = all_items(s);
            dynb_result_free(&s->result);
            s->memory.call_count = s->memory.failed_count = 0;
            s->memory.fail_at = n;
            s->memory.fail_from = from;
            got = send(s, operation, text);
            failed = s->memory.failed_count;
            s->memory.fail_at = 0;
            s->memory.fail_from = 0;
            CHECK(response.http_status == 200 ? strstr(got, part) != NULL
                                              : kit_err.code == DYNB_NO_MEMORY);
            is_error = response.http_status != 200;
            errors += is_error;
            after = all_items(s);
            if (is_error && strcmp(before, after) != 0)
                printf("%s: allocation %llu\n", operation, (unsigned long long)n);
            CHECK((strcmp(before, after) == 0) == is_error);
            free(before);
            free(after);
        }
        CHECK(n < 1000);
    }
    CHECK(errors > 0);
    free(text);
}

static void test_told(void)
{
    store s;
    store_init(&s);
    s.config.memory_bytes = 4 << 20;
    store_open(&s);
    create_table(&s);
    fail_each(&s, "PutItem",
              "{'TableName':'Tab','Item':{'p':{'S':'m'},'s':{'N':'1'},'l':{'S':'x'},"
              "'g':{'S':'z'},'big':{'S':'@'}},'ReturnValues':'ALL_OLD',"
              "'ReturnConsumedCapacity':'INDEXES','ReturnItemCollectionMetrics':'SIZE'}",
              "'SizeEstimateRangeGB'");
    fail_each(&s, "PutItem",
              "{'TableName':'Tab','Item':{'p':{'S':'m'},'s':{'N':'1'},'l':{'S':'x'}},"
              "'ReturnValues':'ALL_OLD'}", "\\\\'}");
    fail_each(&s, "PutItem",
              "{'TableName':'Tab','Item':{'p':{'S':'n'},'s':{'N':'2'},'big':{'S':'@'}},"
              "'ReturnItemCollectionMetrics':'SIZE'}", "'SizeEstimateRangeGB'");
    fail_each(&s, "DeleteItem",
              "{'TableName':'Tab','Key':{'p':{'S':'m'},'s':{'N':'1'}},"
              "'ReturnValues':'ALL_OLD','ReturnConsumedCapacity':'TOTAL',"
              "'ReturnItemCollectionMetrics':'SIZE'}", "'ConsumedCapacity'");
    fail_each(&s, "BatchWriteItem",
              "{'RequestItems':{'Tab':[{'PutRequest':{'Item':{'p':{'S':'m'},'s':{'N':'1'},"
              "'l':{'S':'z'},'g':{'S':'y'},'big':{'S':'@'}}}},"
              "{'PutRequest':{'Item':{'p':{'S':'n'},'s':{'N':'2'},'l':{'S':'z'}}}}]},"
              "'ReturnConsumedCapacity':'INDEXES','ReturnItemCollectionMetrics':'SIZE'}",
              "'ItemCollectionMetrics'");
    fail_each(&s, "BatchWriteItem",
              "{'RequestItems':{'Tab':[{'DeleteRequest':{'Key':{'p':{'S':'m'},'s':{'N':'1'}}}}]}}",
              "'UnprocessedItems'");
    end(&s);
}

/* A result's memory that, when it grows, lets somebody else write first: as another
 * thread may between what the answer tells and the change. */
typedef struct intruder {
    store *s;
    int waits;
} intruder;

static void *intrude(void *ctx, void *ptr, size_t old_size, size_t new_size)
{
    intruder *other = (intruder *)ctx;
    void *moved = NULL;
    (void)old_size;
    if (new_size > 4096 && other->waits) {
        static const char put[] = "{\"TableName\":\"Tab\",\"Item\":{\"p\":{\"S\":\"m\"},"
                                  "\"s\":{\"N\":\"1\"},\"by\":{\"S\":\"another\"}}}";
        dynb_response own;
        dynb_result result;
        memset(&result, 0, sizeof result);
        other->waits = 0;
        MUST(dynb_call(other->s->db, "PutItem", put, sizeof put - 1, &result, &own, &kit_err));
        dynb_result_free(&result);
    }
    if (new_size == 0)
        free(ptr);
    else
        moved = realloc(ptr, new_size);
    return moved;
}

static void test_between(void)
{
    store s;
    intruder other;
    const char *got;
    store_init(&s);
    s.config.memory_bytes = 4 << 20;
    store_open(&s);
    create_table(&s);
    must_send(&s, "PutItem",
              filled("{'TableName':'Tab','Item':{'p':{'S':'m'},'s':{'N':'1'},'v':{'S':'@'}}}",
                     9000, 'x', 0));
    dynb_result_free(&s.result);
    other.s = &s;
    other.waits = 1;
    s.result.allocator.resize_fn = intrude;
    s.result.allocator.ctx = &other;
    s.result.memory = (uint8_t *)malloc(8);
    s.result.capacity_bytes = 8;
    got = send(&s, "PutItem", "{'TableName':'Tab','Item':{'p':{'S':'m'},'s':{'N':'1'}},"
                              "'ReturnValues':'ALL_OLD'}");
    CHECK_INT(other.waits, 0);
    CHECK_TEXT(got, "{'Attributes':{'by':{'S':'another'},'p':{'S':'m'},'s':{'N':'1'}}}");
    dynb_result_free(&s.result);
    memset(&s.result, 0, sizeof s.result);
    end(&s);
}

int main(void)
{
    test_rows();
    test_conditions();
    test_reserved();
    test_index_deleting();
    test_units();
    test_page_size();
    test_batches();
    test_expression_limits();
    test_large_keys();
    test_random();
    test_memory();
    test_told();
    test_between();
    return check_report("test_call_items");
}
