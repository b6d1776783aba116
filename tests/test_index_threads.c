/* test_index_threads.c - indexes while several threads write and the builder
 * thread folds and fills.
 *
 * Four writers put and delete items of one table that has an index. Meanwhile
 * this thread adds an index to it, waits until it is ACTIVE, takes a backup,
 * restores it, and removes the index again, round after round. Every restored
 * table's indexes must be what its items say, and in the end so must the
 * table's own. */
#define DYNBACKUP_IMPLEMENTATION
#include "../dynbackup.h"

#include <pthread.h>
#include <sched.h>

#include "indexes.h"

#define WRITERS 4u

typedef struct writer {
    pthread_t thread;
    dynb *db;
    uint64_t seed;
    uint32_t number;
    int failed;
    dynb_error err;
} writer;

static pthread_mutex_t scene_lock = PTHREAD_MUTEX_INITIALIZER;
static int stops;                      /* guarded by scene_lock */
static uint64_t write_counts[WRITERS]; /* so far; guarded by scene_lock */

/* One more write of this writer: nonzero if it is to go on. */
static int goes_on(uint32_t number)
{
    int answer;
    pthread_mutex_lock(&scene_lock);
    ++write_counts[number];
    answer = !stops;
    pthread_mutex_unlock(&scene_lock);
    return answer;
}

/* Waits until every writer has written that often: on a busy machine one may
 * get its turn late, and a round is to have writes beside it. */
static void wait_writes(uint64_t count)
{
    uint32_t i = 0;
    while (i < WRITERS) {
        pthread_mutex_lock(&scene_lock);
        i += write_counts[i] >= count || stops;
        pthread_mutex_unlock(&scene_lock);
        sched_yield();
    }
}

static void stop(void)
{
    pthread_mutex_lock(&scene_lock);
    stops = 1;
    pthread_mutex_unlock(&scene_lock);
}

static void *write_on(void *ctx)
{
    writer *w = (writer *)ctx;
    dynb_builder builder;
    check_random random;
    dynb_item item;
    char text[32];
    memset(&builder, 0, sizeof builder);
    random.state = w->seed;
    while (!w->failed && goes_on(w->number)) {
        uint64_t pick = check_below(&random, 600);
        int is_delete = check_below(&random, 4) == 0;
        dynb_builder_begin(&builder);
        snprintf(text, sizeof text, "item-%u", (unsigned)pick);
        dynb_add_string(&builder, "Id", text, (size_t)-1);
        if (!is_delete) {
            snprintf(text, sizeof text, "owner-%u", (unsigned)check_below(&random, 40));
            dynb_add_string(&builder, "owner", text, (size_t)-1);
            dynb_add_int(&builder, "v", (int64_t)check_below(&random, 90));
        }
        w->failed = dynb_builder_finish(&builder, &item, &w->err) != DYNB_OK ||
                    (is_delete ? dynb_delete_item(w->db, "Things", item, NULL, NULL, NULL, &w->err)
                               : dynb_put_item(w->db, "Things", item, NULL, NULL, NULL, &w->err)) !=
                        DYNB_OK;
    }
    if (w->failed)
        stop(); /* nobody waits for it */
    dynb_builder_free(&builder);
    return NULL;
}

static dynb_rc change_index(dynb *db, dynb_index_action action)
{
    dynb_update_table_input input;
    dynb_index_update update;
    memset(&input, 0, sizeof input);
    memset(&update, 0, sizeof update);
    input.table = "Things";
    input.change = DYNB_CHANGE_INDEXES;
    input.index_updates = &update;
    input.index_update_count = 1;
    update.action = action;
    update.index.index_name = "by-v";
    update.index.partition_key.name = "v";
    update.index.partition_key.type = DYNB_N;
    return dynb_update_table(db, &input, NULL, NULL, &kit_err);
}

/* Waits until the index is ACTIVE (wanted 1) or gone (0). */
static void wait_index(dynb *db, uint32_t wanted)
{
    dynb_result result;
    dynb_table_description about;
    int is_there = 0;
    memset(&result, 0, sizeof result);
    do {
        MUST(dynb_describe_table(db, "Things", &about, &result, &kit_err));
        is_there = about.global_index_count == 1 + wanted &&
                   about.global_indexes[wanted].status == DYNB_INDEX_ACTIVE;
    } while (!is_there);
    dynb_result_free(&result);
}

static void one_round(dynb *db, check_random *random, dynb_result *result)
{
    dynb_backup_description about;
    char arn[DYNB_ARN_MAX + 1];
    int same;
    MUST(change_index(db, DYNB_CREATE_INDEX));
    wait_index(db, 1);
    MUST(dynb_create_backup(db, "Things", "back-up", &about, result, &kit_err));
    kit_copy(arn, sizeof arn, about.backup_arn);
    CHECK_INT(about.source.global_index_count, 2);
    MUST(change_index(db, DYNB_DELETE_INDEX));
    do
        MUST(dynb_describe_backup(db, arn, &about, result, &kit_err));
    while (about.status != DYNB_BACKUP_AVAILABLE);
    MUST(kit_restore(db, arn, "Back"));
    same = index_compare(db, "Back", 0, random);
    if (!same)
        printf("%s\n", model_difference);
    CHECK(same);
    MUST(dynb_delete_table(db, "Back", NULL, NULL, &kit_err));
    MUST(dynb_delete_backup(db, arn, NULL, NULL, &kit_err));
    wait_index(db, 0);
}

/* Any change wakes the builder thread, not only one of an item: with it asleep,
 * and nobody writing, an index still gets its items. */
static void test_woken(dynb *db)
{
    int sleeps = 0;
    while (!sleeps) {
        pthread_mutex_lock(&db->lock);
        sleeps = db->worker->sleeps;
        pthread_mutex_unlock(&db->lock);
        sched_yield();
    }
    MUST(change_index(db, DYNB_CREATE_INDEX));
    wait_index(db, 1);
    MUST(change_index(db, DYNB_DELETE_INDEX));
    wait_index(db, 0);
}

int main(void)
{
    uint64_t seed = check_seed("test_index_threads"), rounds = check_scaled(150), i;
    writer writers[WRITERS];
    dynb_create_table_input input;
    dynb_config config;
    dynb_index index;
    dynb_result result;
    check_random random;
    dynb *db;
    memset(&config, 0, sizeof config);
    memset(&input, 0, sizeof input);
    memset(&index, 0, sizeof index);
    memset(&result, 0, sizeof result);
    memset(writers, 0, sizeof writers);
    config.memory_bytes = 1 << 20;
    config.create_backup_per_second = DYNB_UNLIMITED;
    random.state = seed;
    MUST(dynb_open(&db, NULL, &config, &kit_err));
    input.table_name = "Things";
    input.partition_key.name = "Id";
    input.partition_key.type = DYNB_S;
    index.index_name = "by-owner";
    index.partition_key.name = "owner";
    index.partition_key.type = DYNB_S;
    index.sort_key.name = "v";
    index.sort_key.type = DYNB_N;
    input.global_indexes = &index;
    input.global_index_count = 1;
    MUST(dynb_create_table(db, &input, NULL, NULL, &kit_err));
    for (i = 0; i < WRITERS; ++i) {
        writers[i].db = db;
        writers[i].seed = seed + i;
        writers[i].number = (uint32_t)i;
        CHECK_INT(pthread_create(&writers[i].thread, NULL, write_on, &writers[i]), 0);
    }
    for (i = 0; i < rounds && !check_failed_count; ++i) {
        wait_writes(20 * i + 1);
        one_round(db, &random, &result);
    }
    stop();
    for (i = 0; i < WRITERS; ++i) {
        pthread_join(writers[i].thread, NULL);
        if (writers[i].failed)
            printf("writer: %s\n", writers[i].err.message);
        CHECK(!writers[i].failed);
    }
    MUST(dynb_wait_idle(db, &kit_err));
    test_woken(db);
    CHECK(index_compare(db, "Things", 1, &random));
    EXPECT(dynb_check(db, NULL, NULL, NULL, &kit_err), DYNB_OK);
    EXPECT(dynb_scrub(db, &kit_err), DYNB_OK);
    dynb_result_free(&result);
    MUST(dynb_close(db, &kit_err));
    return check_report("test_index_threads");
}
