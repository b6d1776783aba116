/* test_call_threads.c - section 25 with threads: requests of all kinds at once,
 * with the builder, on tables whose indexes are counted and fetched through.
 * Whatever is written under the lock had its room before: a call that took the
 * lock twice would never come back. */
#define DYNBACKUP_IMPLEMENTATION
#include "../dynbackup.h"

#include <pthread.h>

#include "kit.h"

#define THREADS 4

static dynb *db;

typedef struct worker {
    pthread_t thread;
    check_random random;
    int number;
    uint64_t count, refused;
} worker;

static void send(worker *w, dynb_result *result, const char *operation, const char *request)
{
    dynb_response response;
    dynb_error err;
    (void)dynb_call(db, operation, request, strlen(request), result, &response, &err);
    ++w->count;
    if (response.http_status != 200) {
        ++w->refused;
        printf("%s %s: %s\n", operation, request, response.body);
    }
}

/* Items of its own partition and of one that all share. */
static void *work(void *ctx)
{
    worker *w = (worker *)ctx;
    uint64_t i, steps = check_scaled(1500);
    for (i = 0; i < steps; ++i) {
        dynb_result result;
        char text[600], partition = (char)('a' + (check_below(&w->random, 2) ? w->number : 9));
        int n = (int)check_below(&w->random, 20);
        memset(&result, 0, sizeof result); /* grows anew in each call */
        switch (check_below(&w->random, 5)) {
        case 0:
            snprintf(text, sizeof text,
                     "{\"TableName\":\"Tab\",\"Key\":{\"p\":{\"S\":\"%c\"},\"s\":{\"N\":\"%d\"}},"
                     "\"ReturnValues\":\"ALL_OLD\",\"ReturnConsumedCapacity\":\"INDEXES\","
                     "\"ReturnItemCollectionMetrics\":\"SIZE\"}", partition, n);
            send(w, &result, "DeleteItem", text);
            break;
        case 1:
            snprintf(text, sizeof text,
                     "{\"TableName\":\"Tab\",\"IndexName\":\"loc\",\"Select\":\"ALL_ATTRIBUTES\","
                     "\"KeyConditionExpression\":\"p = :p and l >= :l\","
                     "\"ExpressionAttributeValues\":{\":p\":{\"S\":\"%c\"},\":l\":{\"S\":\"%d\"}},"
                     "\"ReturnConsumedCapacity\":\"INDEXES\"}", partition, n);
            send(w, &result, "Query", text);
            break;
        case 2:
            snprintf(text, sizeof text,
                     "{\"RequestItems\":{\"Tab\":[{\"PutRequest\":{\"Item\":{\"p\":{\"S\":\"%c\"},"
                     "\"s\":{\"N\":\"%d\"},\"l\":{\"S\":\"%d\"}}}}]},"
                     "\"ReturnConsumedCapacity\":\"INDEXES\","
                     "\"ReturnItemCollectionMetrics\":\"SIZE\"}", partition, n, 99 - n);
            send(w, &result, "BatchWriteItem", text);
            break;
        default:
            snprintf(text, sizeof text,
                     "{\"TableName\":\"Tab\",\"Item\":{\"p\":{\"S\":\"%c\"},\"s\":{\"N\":\"%d\"},"
                     "\"l\":{\"S\":\"%d\"}},\"ReturnConsumedCapacity\":\"INDEXES\","
                     "\"ReturnItemCollectionMetrics\":\"SIZE\"}", partition, n, n);
            send(w, &result, "PutItem", text);
            break;
        }
        dynb_result_free(&result);
    }
    return NULL;
}

int main(void)
{
    static const char create[] =
        "{\"TableName\":\"Tab\",\"BillingMode\":\"PAY_PER_REQUEST\",\"AttributeDefinitions\":["
        "{\"AttributeName\":\"p\",\"AttributeType\":\"S\"},"
        "{\"AttributeName\":\"s\",\"AttributeType\":\"N\"},"
        "{\"AttributeName\":\"l\",\"AttributeType\":\"S\"}],\"KeySchema\":["
        "{\"AttributeName\":\"p\",\"KeyType\":\"HASH\"},"
        "{\"AttributeName\":\"s\",\"KeyType\":\"RANGE\"}],\"LocalSecondaryIndexes\":[{"
        "\"IndexName\":\"loc\",\"KeySchema\":[{\"AttributeName\":\"p\",\"KeyType\":\"HASH\"},"
        "{\"AttributeName\":\"l\",\"KeyType\":\"RANGE\"}],"
        "\"Projection\":{\"ProjectionType\":\"KEYS_ONLY\"}}]}";
    worker workers[THREADS];
    dynb_config config;
    dynb_result result;
    uint64_t seed = check_seed("test_call_threads"), count = 0;
    int i;
    memset(&config, 0, sizeof config);
    memset(&result, 0, sizeof result);
    memset(workers, 0, sizeof workers);
    MUST(dynb_open(&db, NULL, &config, &kit_err));
    send(&workers[0], &result, "CreateTable", create);
    for (i = 0; i < THREADS; ++i) {
        workers[i].random.state = seed + (uint64_t)i;
        workers[i].number = i;
        CHECK(pthread_create(&workers[i].thread, NULL, work, &workers[i]) == 0);
    }
    for (i = 0; i < THREADS; ++i) {
        CHECK(pthread_join(workers[i].thread, NULL) == 0);
        CHECK_INT(workers[i].refused, 0);
        count += workers[i].count;
    }
    printf("test_call_threads: %llu calls\n", (unsigned long long)count);
    EXPECT(dynb_check(db, NULL, NULL, NULL, &kit_err), DYNB_OK);
    dynb_result_free(&result);
    EXPECT(dynb_close(db, &kit_err), DYNB_OK);
    return check_report("test_call_threads");
}
