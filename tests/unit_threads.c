/* unit_threads.c - section 26's builder thread at awkward moments (needs
 * DYNBACKUP_PTHREADS and -pthread; run.sh gives them).
 *
 * Nothing here is left to chance: a gate in the device holds the builder in the
 * middle of a step, and the calls of the thread library go through here, so that
 * they can be refused and what waits can be seen. */
#if !defined(DYNBACKUP_PTHREADS)
#include <stdio.h>

int main(void)
{
    printf("unit_threads: skipped: compiled without DYNBACKUP_PTHREADS\n");
    return 77;
}
#else

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* What the calls do and have seen, and the gate. */
static struct {
    pthread_mutex_t lock; /* guards what follows */
    pthread_cond_t changed;
    pthread_t main_thread;
    int refuses_thread;      /* pthread_create fails */
    int clock_stands;        /* clock_gettime fails ... */
    unsigned clock_failures; /* ... and has, so often since a wait */
    int gate_is_closed;      /* the builder's writes wait there ... */
    int builder_is_held;     /* ... and one does */
    int builder_writes_fail;
    unsigned builder_waits;       /* without a limit in time */
    unsigned builder_timed_waits; /* with one */
    unsigned main_waits, main_timed_waits;
} calls;

static void calls_lock(void)
{
    pthread_mutex_lock(&calls.lock);
}

static void calls_unlock(void)
{
    pthread_cond_broadcast(&calls.changed);
    pthread_mutex_unlock(&calls.lock);
}

static int is_main(void)
{
    return pthread_equal(pthread_self(), calls.main_thread);
}

static int planned_create(pthread_t *thread, const pthread_attr_t *how, void *(*run)(void *),
                          void *ctx)
{
    return calls.refuses_thread ? EAGAIN : pthread_create(thread, how, run, ctx);
}

/* Who waits for the builder opens the gate: the builder may go on now. */
static int planned_wait(pthread_cond_t *condition, pthread_mutex_t *lock)
{
    calls_lock();
    if (is_main()) {
        ++calls.main_waits;
        calls.gate_is_closed = 0;
    } else {
        ++calls.builder_waits;
    }
    calls_unlock();
    return pthread_cond_wait(condition, lock);
}

/* The main thread waits only while the builder is held: it would be in vain. */
static int planned_timedwait(pthread_cond_t *condition, pthread_mutex_t *lock,
                             const struct timespec *until)
{
    calls_lock();
    calls.clock_failures = 0;
    if (is_main())
        ++calls.main_timed_waits;
    else
        ++calls.builder_timed_waits;
    calls_unlock();
    return is_main() ? ETIMEDOUT : pthread_cond_timedwait(condition, lock, until);
}

static int planned_clock(clockid_t which, struct timespec *now)
{
    int stands;
    calls_lock();
    stands = calls.clock_stands;
    if (stands && ++calls.clock_failures == 100000) {
        printf("a thread that cannot wait keeps the lock\nFAILED\n");
        exit(1);
    }
    calls_unlock();
    return stands ? -1 : clock_gettime(which, now);
}

#define pthread_create planned_create
#define pthread_cond_wait planned_wait
#define pthread_cond_timedwait planned_timedwait
#define clock_gettime planned_clock
#include "store.h"
#undef pthread_create
#undef pthread_cond_wait
#undef pthread_cond_timedwait
#undef clock_gettime

/* --------------------------------------------------------------- device -- */

/* The fault device, for several threads; the builder's writes meet the gate. */
static pthread_mutex_t device_lock = PTHREAD_MUTEX_INITIALIZER;

static dynb_rc device_read(void *ctx, uint64_t pos, void *to, size_t size_bytes)
{
    dynb_rc rc;
    pthread_mutex_lock(&device_lock);
    rc = fault_read(ctx, pos, to, size_bytes);
    pthread_mutex_unlock(&device_lock);
    return rc;
}

static dynb_rc device_write(void *ctx, uint64_t pos, const void *from, size_t size_bytes)
{
    int fails = 0;
    dynb_rc rc = DYNB_IO_FAILED;
    if (!is_main()) {
        calls_lock();
        calls.builder_is_held = calls.gate_is_closed;
        pthread_cond_broadcast(&calls.changed);
        while (calls.gate_is_closed)
            pthread_cond_wait(&calls.changed, &calls.lock);
        calls.builder_is_held = 0;
        fails = calls.builder_writes_fail;
        calls_unlock();
    }
    pthread_mutex_lock(&device_lock);
    if (!fails)
        rc = fault_write(ctx, pos, from, size_bytes);
    pthread_mutex_unlock(&device_lock);
    return rc;
}

static dynb_rc device_sync(void *ctx)
{
    dynb_rc rc;
    pthread_mutex_lock(&device_lock);
    rc = fault_sync(ctx);
    pthread_mutex_unlock(&device_lock);
    return rc;
}

static dynb_rc device_resize(void *ctx, uint64_t size_bytes)
{
    dynb_rc rc;
    pthread_mutex_lock(&device_lock);
    rc = fault_resize_device(ctx, size_bytes);
    pthread_mutex_unlock(&device_lock);
    return rc;
}

/* -------------------------------------------------------------- fixture -- */

static uint64_t clock_now(void *ctx)
{
    uint64_t now;
    calls_lock();
    now = kit_clock_now(ctx);
    calls_unlock();
    return now;
}

static dynb_rc try_open(store *s)
{
    s->callbacks = fault_device_of(&s->device);
    s->callbacks.read_fn = device_read;
    s->callbacks.write_fn = device_write;
    s->callbacks.sync_fn = device_sync;
    s->callbacks.resize_fn = device_resize;
    s->config.clock_fn = clock_now;
    return dynb_open(&s->db, NULL, &s->config, &kit_err);
}

/* An empty store with a builder thread. */
static void begin(store *s, uint64_t memory_bytes)
{
    store_begin(s);
    s->config.manual_work = 0;
    s->config.memory_bytes = memory_bytes;
    fault_start(&s->device, NULL, 0, 0);
}

static void begin_with_table(store *s, uint64_t memory_bytes)
{
    begin(s, memory_bytes);
    MUST(try_open(s));
    MUST(kit_create_table(s->db, "Table", NULL));
    MUST(dynb_wait_idle(s->db, &kit_err));
}

/* Gives the builder a backup to build, and holds it at its first write. */
static void hold_builder(store *s, char arn[DYNB_ARN_MAX + 1])
{
    calls_lock();
    calls.gate_is_closed = 1;
    calls_unlock();
    fill(s, "Table", 'h', 20, 1, 100);
    back_up(s, "Table", arn);
    calls_lock();
    while (!calls.builder_is_held)
        pthread_cond_wait(&calls.changed, &calls.lock);
    calls_unlock();
}

/* ---------------------------------------------------------------- tests -- */

static void test_no_thread(void)
{
    store s;
    char arn[DYNB_ARN_MAX + 1];
    int pending = 1;
    begin(&s, 1 << 20);
    calls.refuses_thread = 1;
    EXPECT_MESSAGE(try_open(&s), DYNB_NO_MEMORY, "the builder thread could not be started");
    CHECK(s.db == NULL);
    CHECK_INT(s.memory.live_count, 0);
    CHECK_INT(s.device.close_count, 1);
    s.config.manual_work = 1; /* then nobody asks for one */
    MUST(try_open(&s));
    CHECK_INT(s.db->worker->has_thread, 0);
    MUST(kit_create_table(s.db, "Table", NULL));
    fill(&s, "Table", 'a', 10, 1, 10);
    back_up(&s, "Table", arn);
    CHECK_INT(look_up(&s, arn).status, DYNB_BACKUP_CREATING);
    while (pending)
        MUST(dynb_work(s.db, 1 << 20, &pending, &kit_err));
    CHECK_INT(look_up(&s, arn).status, DYNB_BACKUP_AVAILABLE);
    store_close(&s);
    calls.refuses_thread = 0;
    s.config.manual_work = 0;
    MUST(try_open(&s));
    CHECK_INT(s.db->worker->has_thread, 1);
    MUST(kit_restore(s.db, arn, "Back"));
    CHECK_INT(kit_get(s.db, "Back", "a00009"), 1);
    store_end(&s);
}

static int check_still(void *ctx, const dynb_log_record *record)
{
    (void)record;
    CHECK_INT(((store *)ctx)->db->worker->is_busy, 0);
    return 0;
}

/* A call that needs the builder to stand still waits until its step is over. */
static void test_still(void)
{
    store s;
    char arn[DYNB_ARN_MAX + 1];
    begin_with_table(&s, 1 << 20);
    hold_builder(&s, arn);
    CHECK_INT(s.db->worker->is_busy, 1);
    calls.main_waits = 0;
    EXPECT(dynb_inspect_log(s.db, check_still, &s, &kit_err), DYNB_OK);
    CHECK(calls.main_waits > 0);
    MUST(dynb_wait_idle(s.db, &kit_err));
    CHECK_INT(look_up(&s, arn).status, DYNB_BACKUP_AVAILABLE);
    EXPECT(dynb_scrub(s.db, &kit_err), DYNB_OK);
    store_end(&s);
}

/* The device fails under the builder: who asks hears of it, the thread waits
 * between its tries, and gives the lock away even if it cannot tell the time. */
static void test_builder_fails(int clock_stands)
{
    store s;
    char arn[DYNB_ARN_MAX + 1];
    begin_with_table(&s, 1 << 20);
    hold_builder(&s, arn);
    calls_lock();
    calls.clock_failures = 0;
    calls.clock_stands = clock_stands;
    calls.builder_writes_fail = 1;
    calls.builder_timed_waits = 0;
    calls.gate_is_closed = 0;
    pthread_cond_broadcast(&calls.changed);
    while (calls.builder_timed_waits < (clock_stands ? 100u : 2u))
        pthread_cond_wait(&calls.changed, &calls.lock);
    calls_unlock();
    EXPECT(dynb_wait_idle(s.db, &kit_err), DYNB_READ_ONLY);
    EXPECT(kit_put(s.db, "Table", "b", 2), DYNB_READ_ONLY);
    CHECK_INT(kit_get(s.db, "Table", "h00019"), 1);
    CHECK_INT(look_up(&s, arn).status, DYNB_BACKUP_CREATING);
    EXPECT(dynb_close(s.db, &kit_err), DYNB_READ_ONLY);
    s.db = NULL;
    calls.clock_stands = 0;
    calls.builder_writes_fail = 0;
    MUST(try_open(&s)); /* a new handle reads what the device has */
    MUST(dynb_wait_idle(s.db, &kit_err));
    CHECK_INT(look_up(&s, arn).status, DYNB_BACKUP_AVAILABLE);
    CHECK_INT(kit_get(s.db, "Table", "h00019"), 1);
    store_end(&s);
}

/* Told to stop while it waits for another thread's step, the builder finds
 * nothing to do and ends: it does not go to sleep first. */
static void test_stop_while_waiting(void)
{
    store s;
    unsigned waits;
    begin_with_table(&s, 1 << 20);
    dynbi_lock(s.db);
    dynbi_worker_still(s.db);
    s.db->worker->is_busy = 1; /* as another thread's step has it */
    calls_lock();
    waits = calls.builder_waits;
    calls_unlock();
    pthread_cond_broadcast(&s.db->work_ready);
    dynbi_unlock(s.db);
    calls_lock();
    while (calls.builder_waits == waits)
        pthread_cond_wait(&calls.changed, &calls.lock);
    calls_unlock();
    dynbi_lock(s.db); /* taken: so the builder waits, for work_done */
    s.db->worker->is_busy = 0;
    s.db->worker->stops = 1;
    pthread_cond_broadcast(&s.db->work_done);
    calls_lock();
    waits = calls.builder_waits + calls.builder_timed_waits;
    calls_unlock();
    dynbi_unlock(s.db);
    pthread_join(s.db->worker->thread, NULL);
    s.db->worker->has_thread = 0;
    CHECK_INT(calls.builder_waits + calls.builder_timed_waits, waits);
    store_end(&s);
}

/* While the builder falls behind, writers are slowed: not at all up to half the
 * limit, small writes up to two thirds; then more and more with the backlog.
 * first: where the first band ends, in 32nds. */
static void test_slowing(uint32_t padding, uint32_t first)
{
    const uint32_t upper[4] = {first, 24, 28, 31}; /* of each band */
    store s;
    dynb_builder builder;
    char arn[DYNB_ARN_MAX + 1];
    uint64_t waits[4], bytes[4], limit;
    uint32_t band, i = 0;
    memset(&builder, 0, sizeof builder);
    begin_with_table(&s, 4 << 20);
    hold_builder(&s, arn);
    limit = s.db->generations_limit;
    for (band = 0; band < 4; ++band) {
        uint64_t before = s.db->generation_bytes;
        calls.main_timed_waits = 0;
        while (s.db->generation_bytes <= limit / 32 * upper[band]) {
            char id[16];
            snprintf(id, sizeof id, "s%06u", (unsigned)i++);
            MUST(dynb_put_item(s.db, "Table", kit_padded_item(&builder, id, 1, padding), NULL, NULL,
                               NULL, &kit_err));
        }
        waits[band] = calls.main_timed_waits;
        bytes[band] = s.db->generation_bytes - before;
    }
    CHECK_INT(waits[0], 0);
    CHECK(waits[1] > 0);
    for (band = 2; band < 4; ++band) /* at least twice as often as in the band before */
        CHECK(waits[band] * bytes[band - 1] >= 2 * waits[band - 1] * bytes[band]);
    calls_lock();
    CHECK_INT(calls.builder_is_held, 1);
    calls.gate_is_closed = 0;
    calls_unlock();
    MUST(dynb_wait_idle(s.db, &kit_err));
    CHECK(s.db->generation_bytes < limit / 2);
    CHECK_INT(look_up(&s, arn).source.item_count, 20);
    CHECK_INT(kit_get(s.db, "Table", "s000000"), 1);
    EXPECT(dynb_scrub(s.db, &kit_err), DYNB_OK);
    dynb_builder_free(&builder);
    store_end(&s);
}

/* Waits until the builder sleeps without a limit in time, that many naps later
 * than `naps`; the naps there were. */
static unsigned await_sleep(store *s, unsigned naps)
{
    unsigned count = 0;
    int is_so = 0;
    while (!is_so) {
        sched_yield();
        dynbi_lock(s->db);
        calls_lock();
        count = calls.builder_timed_waits;
        calls_unlock();
        is_so = s->db->worker->sleeps && count >= naps;
        dynbi_unlock(s->db);
    }
    return count;
}

/* While changes come the builder naps, and nobody wakes it; once none has come
 * for some naps it sleeps, and the next change does. */
static void test_sleep(void)
{
    store s;
    unsigned naps = 0, turn;
    begin_with_table(&s, 4 << 20);
    for (turn = 0; turn < 3; ++turn) {
        naps = await_sleep(&s, naps);
        CHECK_INT(kit_get(s.db, "Table", "a"), turn ? 1 : -1);
        dynbi_lock(s.db);
        CHECK(s.db->worker->sleeps); /* reads do not wake it */
        CHECK_INT(s.db->worker->sleeps_lsn, s.db->log.tail.lsn);
        dynbi_unlock(s.db);
        MUST(kit_put(s.db, "Table", "a", 1));
        naps = await_sleep(&s, naps + DYNBI_NAPS);
    }
    store_end(&s);
}

int main(void)
{
    pthread_mutex_init(&calls.lock, NULL);
    pthread_cond_init(&calls.changed, NULL);
    calls.main_thread = pthread_self();
    test_no_thread();
    test_still();
    test_builder_fails(0);
    test_builder_fails(1);
    test_stop_while_waiting();
    test_slowing(8000, 16);
    test_slowing(100, 20);
    test_sleep();
    return check_report("unit_threads");
}
#endif
