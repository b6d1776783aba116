/* test_pitr_threads.c - restores to a point in time while others write (needs
 * DYNBACKUP_PTHREADS and -pthread, as run.sh gives them).
 *
 * Each writer's n-th batch puts n into two items of its own, so that a state
 * that holds half of a batch shows. The clock counts the batches, so that a time
 * is a number of batches: restored to a time T, the table must hold exactly
 * those begun not after T, which the items' own times tell; and the same again
 * when T is restored once more after all have stopped. */
#if !defined(DYNBACKUP_PTHREADS)
#include <stdio.h>

int main(void)
{
    printf("test_pitr_threads: skipped: compiled without DYNBACKUP_PTHREADS\n");
    return 77;
}
#else

#define DYNBACKUP_IMPLEMENTATION
#include "../dynbackup.h"

#include <pthread.h>
#include <sched.h>

#include "kit.h"

#define WRITERS 3u
#define TIMES_MAX 64u
#define START_MS ((uint64_t)1700000000000)

typedef struct scene {
    dynb *db;
    pthread_mutex_t lock;
    uint64_t now_ms;
    int stops;
    uint64_t failed_count;
} scene;

typedef struct writer {
    scene *s;
    uint32_t number;
    pthread_t thread;
} writer;

static uint64_t scene_now(void *ctx)
{
    scene *s = (scene *)ctx;
    uint64_t now;
    pthread_mutex_lock(&s->lock);
    now = s->now_ms;
    pthread_mutex_unlock(&s->lock);
    return now;
}

static void *write_batches(void *ctx)
{
    writer *w = (writer *)ctx;
    dynb_builder builders[2];
    dynb_error err;
    int64_t n;
    int stops = 0;
    memset(builders, 0, sizeof builders);
    for (n = 1; !stops; ++n) {
        dynb_write writes[2];
        uint32_t i;
        char id[16];
        for (i = 0; i < 2; ++i) {
            snprintf(id, sizeof id, "%c%u", i ? 'b' : 'a', (unsigned)w->number);
            writes[i].table = "Past";
            writes[i].is_delete = 0;
            dynb_builder_begin(&builders[i]);
            dynb_add_string(&builders[i], "Id", id, (size_t)-1);
            dynb_add_int(&builders[i], "v", n);
            if (dynb_builder_finish(&builders[i], &writes[i].item, &err) != DYNB_OK)
                break;
        }
        pthread_mutex_lock(&w->s->lock);
        ++w->s->now_ms;
        w->s->failed_count += i < 2;
        stops = w->s->stops || i < 2;
        pthread_mutex_unlock(&w->s->lock);
        if (i == 2 && dynb_batch_write(w->s->db, writes, 2, NULL, &err) != DYNB_OK) {
            pthread_mutex_lock(&w->s->lock);
            ++w->s->failed_count;
            pthread_mutex_unlock(&w->s->lock);
            printf("write: %s\n", err.message);
            break;
        }
    }
    dynb_builder_free(&builders[0]);
    dynb_builder_free(&builders[1]);
    return NULL;
}

/* Restores; values[i]: how many batches of writer i are there, whole. */
static int state_at(scene *s, uint64_t time_ms, int64_t values[WRITERS])
{
    dynb_restore_to_time_input input;
    uint32_t i;
    int is_whole = 1;
    memset(&input, 0, sizeof input);
    input.source_table_name = "Past";
    input.target_table_name = "Then";
    input.use_restore_time = 1;
    input.restore_time_ms = time_ms;
    MUST(dynb_restore_table_to_point_in_time(s->db, &input, NULL, NULL, &kit_err));
    for (i = 0; i < WRITERS; ++i) {
        char a[16], b[16];
        snprintf(a, sizeof a, "a%u", (unsigned)i);
        snprintf(b, sizeof b, "b%u", (unsigned)i);
        values[i] = kit_get(s->db, "Then", a);
        is_whole = is_whole && values[i] == kit_get(s->db, "Then", b);
    }
    MUST(dynb_delete_table(s->db, "Then", NULL, NULL, &kit_err));
    return is_whole;
}

int main(void)
{
    static int64_t seen[TIMES_MAX][WRITERS];
    static uint64_t times_ms[TIMES_MAX];
    const uint32_t count = (uint32_t)check_scaled(40) < TIMES_MAX ? (uint32_t)check_scaled(40)
                                                                  : TIMES_MAX;
    dynb_update_continuous_backups_input input;
    writer writers[WRITERS];
    dynb_config config;
    check_random random;
    scene s;
    uint32_t i, j;
    random.state = check_seed("test_pitr_threads");
    memset(&s, 0, sizeof s);
    memset(&config, 0, sizeof config);
    memset(&input, 0, sizeof input);
    pthread_mutex_init(&s.lock, NULL);
    s.now_ms = START_MS;
    config.clock_fn = scene_now;
    config.clock_ctx = &s;
    config.memory_bytes = 1 << 20;
    config.page_size_bytes = 512;
    MUST(dynb_open(&s.db, NULL, &config, &kit_err));
    MUST(kit_create_table(s.db, "Past", NULL));
    input.table = "Past";
    input.point_in_time_recovery = 1;
    MUST(dynb_update_continuous_backups(s.db, &input, NULL, &kit_err));
    for (i = 0; i < WRITERS; ++i) {
        writers[i].s = &s;
        writers[i].number = i;
        pthread_create(&writers[i].thread, NULL, write_batches, &writers[i]);
    }
    for (i = 0; i < count; ++i) {
        uint64_t now;
        while ((now = scene_now(&s)) < START_MS + 300 * (i + 1)) /* let them write */
            sched_yield();
        times_ms[i] = START_MS + check_below(&random, now - START_MS + 1);
        if (times_ms[i] == now) /* not over yet */
            times_ms[i] = START_MS;
        CHECK(state_at(&s, times_ms[i], seen[i]));
        if (i % 8 == 7)
            MUST(dynb_wait_idle(s.db, &kit_err));
    }
    pthread_mutex_lock(&s.lock);
    s.stops = 1;
    pthread_mutex_unlock(&s.lock);
    for (i = 0; i < WRITERS; ++i)
        pthread_join(writers[i].thread, NULL);
    CHECK_INT(s.failed_count, 0);
    for (i = 0; i < count; ++i) { /* what is past does not change */
        int64_t again[WRITERS];
        CHECK(state_at(&s, times_ms[i], again));
        CHECK(memcmp(again, seen[i], sizeof again) == 0);
        for (j = 0; j < count; ++j) /* and grows with the time */
            CHECK(times_ms[j] > times_ms[i] || (seen[j][0] <= seen[i][0] &&
                                                seen[j][1] <= seen[i][1] &&
                                                seen[j][2] <= seen[i][2]));
    }
    MUST(dynb_wait_idle(s.db, &kit_err));
    MUST(dynb_check(s.db, NULL, NULL, NULL, &kit_err));
    MUST(dynb_scrub(s.db, &kit_err));
    MUST(dynb_close(s.db, &kit_err));
    pthread_mutex_destroy(&s.lock);
    return check_report("test_pitr_threads");
}

#endif
