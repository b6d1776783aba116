/* fuzz_call.c - feeds any bytes to dynb_call, several calls in a row on a small
 * store: a byte is the operation, the text up to a newline its request.
 *
 * Always: no crash, no hang; the answer is JSON (or nothing) with the status of
 * its code; a call that fails has changed nothing; and the store is whole at
 * the end. */
#include "fuzz.h"

#define CALLS_MAX 16

static const char *const operations[] = {
#define FUZZ_OPERATION(name, text) text,
    DYNB_OPERATIONS(FUZZ_OPERATION)
#undef FUZZ_OPERATION
    "UpdateItem", ""};

static const char *const setup[][2] = {
    {"CreateTable",
     "{\"TableName\":\"Music\",\"AttributeDefinitions\":[{\"AttributeName\":\"Artist\","
     "\"AttributeType\":\"S\"},{\"AttributeName\":\"Song\",\"AttributeType\":\"N\"},"
     "{\"AttributeName\":\"Genre\",\"AttributeType\":\"S\"}],\"KeySchema\":[{\"AttributeName\":"
     "\"Artist\",\"KeyType\":\"HASH\"},{\"AttributeName\":\"Song\",\"KeyType\":\"RANGE\"}],"
     "\"GlobalSecondaryIndexes\":[{\"IndexName\":\"byGenre\",\"KeySchema\":[{\"AttributeName\":"
     "\"Genre\",\"KeyType\":\"HASH\"}],\"Projection\":{\"ProjectionType\":\"ALL\"}}],"
     "\"BillingMode\":\"PAY_PER_REQUEST\"}"},
    {"UpdateContinuousBackups", "{\"TableName\":\"Music\",\"PointInTimeRecoverySpecification\":{"
                                "\"PointInTimeRecoveryEnabled\":true}}"},
    {"PutItem", "{\"TableName\":\"Music\",\"Item\":{\"Artist\":{\"S\":\"A\"},\"Song\":{\"N\":"
                "\"1\"},\"Genre\":{\"S\":\"x\"}}}"},
    {"PutItem", "{\"TableName\":\"Music\",\"Item\":{\"Artist\":{\"S\":\"A\"},\"Song\":{\"N\":"
                "\"2\"}}}"}};

static void check_answer(dynb_rc rc, const dynb_response *out, const dynb_error *err)
{
    dynbi_json_reader reader;
    dynbi_json_token token;
    if (out->http_status != dynb_rc_http_status(rc) || (rc && err->code != rc))
        fuzz_fail("status or code are not of the result", rc);
    if (!out->body || out->body[out->body_size])
        fuzz_fail("the body has no end", rc);
    dynbi_json_start(&reader, out->body, out->body_size);
    while (out->body_size && dynbi_json_next(&reader, &token) != DYNBI_JSON_END) {
        if (token.kind == DYNBI_JSON_ERROR)
            fuzz_fail("the body is no JSON", rc);
    }
    if (rc == DYNB_CORRUPT || rc == DYNB_IO_FAILED || rc == DYNB_NO_MEMORY)
        fuzz_fail("a good store failed", rc);
}

static void call(dynb *db, dynb_result *result, const char *operation, const uint8_t *text,
                 size_t size)
{
    dynb_stat before, after;
    dynb_response out;
    dynb_error err;
    char *json = (char *)malloc(size + 1); /* of its own size: reading past it is seen */
    dynb_rc rc;
    if (!json)
        return;
    memcpy(json, text, size);
    fuzz_must(dynb_get_stat(db, &before, NULL), "no figures");
    rc = dynb_call(db, operation, json, size, result, &out, &err);
    fuzz_must(dynb_get_stat(db, &after, NULL), "no figures");
    check_answer(rc, &out, &err);
    if (rc && before.lsn != after.lsn)
        fuzz_fail("a call that failed has changed something", rc);
    free(json);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const uint8_t *at = data, *end = data + size;
    uint64_t clock = 1700000000000u, random = 1;
    dynb_config config;
    dynb_result result;
    dynb *db;
    size_t i;
    int count;
    memset(&config, 0, sizeof config);
    memset(&result, 0, sizeof result);
    config.clock_fn = fuzz_clock;
    config.clock_ctx = &clock;
    config.random_fn = fuzz_random;
    config.random_ctx = &random;
    config.memory_bytes = 512 * 1024;
    config.page_size_bytes = 512;
    config.node_size_bytes = 512;
    config.log_segment_bytes = 4096;
    config.manual_work = 1;
    config.create_backup_per_second = DYNB_UNLIMITED;
    fuzz_must(dynb_open(&db, NULL, &config, NULL), "an empty store cannot be opened");
    for (i = 0; i < sizeof setup / sizeof *setup; ++i)
        call(db, &result, setup[i][0], (const uint8_t *)setup[i][1], strlen(setup[i][1]));
    for (count = 0; count < CALLS_MAX && at < end; ++count) {
        const char *operation = operations[*at++ % (sizeof operations / sizeof *operations)];
        const uint8_t *text = at;
        while (at < end && *at != '\n')
            ++at;
        call(db, &result, operation, text, (size_t)(at - text));
        at += at < end;
    }
    fuzz_must(dynb_scrub(db, NULL), "the store is not whole");
    dynb_result_free(&result);
    fuzz_must(dynb_close(db, NULL), "the store cannot be closed");
    return 0;
}
