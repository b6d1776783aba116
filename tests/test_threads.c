/* test_threads.c - backups while four threads write (needs DYNBACKUP_PTHREADS
 * and -pthread; run.sh and CI give them, CI also under ThreadSanitizer).
 *
 * Each writer's n-th batch goes to two tables at once and leaves there a state
 * that follows from n alone: a counter, money that it moved from one table to
 * the other, and the slots it has written last. So what a backup holds tells,
 * for each writer, exactly which prefix of its batches is in it. Meanwhile the
 * builder thread folds, a fifth thread makes, restores and deletes backups of
 * its own, reads and works, and the main thread runs the cycle: back up both
 * tables at one marker, restore both, judge, delete.
 *
 * A backup with marker M must be the state at exactly M. Known of each batch
 * are the store's LSN, and a tick of a common counter, before and after it:
 *
 *     both tables hold the same prefix n of each writer, whole;
 *     the last batch in it began below M, the first one not in it ended above;
 *     what had ended before the call began is in, what began after it is not;
 *     nothing in it began after something outside it had ended.
 *
 * In the second half the writers take turns under a lock that also writes down
 * the order: then the prefixes must be exactly those of one point of the order. */
#if !defined(DYNBACKUP_PTHREADS)
#include <stdio.h>

int main(void)
{
    printf("test_threads: skipped: compiled without DYNBACKUP_PTHREADS\n");
    return 77;
}
#else

#define DYNBACKUP_IMPLEMENTATION
#include "../dynbackup.h"

#include <pthread.h>
#include <sched.h>

#include "kit.h"

#define WRITERS 4u
#define SLOTS 40u
#define DEVICE_BYTES (48u << 20)
#define KEPT_MAX 8u

typedef struct batch {
    uint64_t tick_begin, tick_end; /* tick_end 0: it is still running */
    uint64_t lsn_before, lsn_after;
} batch;

typedef struct writer {
    struct scene *scene;
    uint32_t number;
    pthread_t thread;
    batch *batches; /* [1..count]; under the scene's lock */
    uint64_t count, capacity;
} writer;

typedef struct kept {
    char arns[2][DYNB_ARN_MAX + 1];
    uint64_t lsn, tick_begin, tick_end;
} kept;

typedef struct scene {
    dynb *db;
    uint8_t *memory;
    dynb_device device;
    dynb_config config;
    pthread_mutex_t lock; /* guards what follows */
    uint64_t tick;
    uint64_t clock_ms;
    int stop;
    uint8_t *order; /* serial: the writer of each batch */
    uint64_t order_count, order_capacity;
    pthread_mutex_t turn; /* serial: held during a batch */
    int serial;
    writer writers[WRITERS];
    uint64_t side_cycles;
} scene;

static const char *const sides[] = {"Left", "Right"};

/* --------------------------------------------------------------- device -- */

/* Memory of fixed size: safe for calls at the same time on different ranges. */
static dynb_rc device_read(void *ctx, uint64_t pos, void *to, size_t size_bytes)
{
    memcpy(to, ((scene *)ctx)->memory + pos, size_bytes);
    return DYNB_OK;
}

static dynb_rc device_write(void *ctx, uint64_t pos, const void *from, size_t size_bytes)
{
    memcpy(((scene *)ctx)->memory + pos, from, size_bytes);
    return DYNB_OK;
}

static dynb_rc device_sync(void *ctx)
{
    (void)ctx;
    return DYNB_OK;
}

static dynb_rc device_size(void *ctx, uint64_t *size_bytes)
{
    (void)ctx;
    *size_bytes = DEVICE_BYTES;
    return DYNB_OK;
}

static uint64_t clock_now(void *ctx)
{
    scene *s = (scene *)ctx;
    uint64_t now;
    pthread_mutex_lock(&s->lock);
    now = ++s->clock_ms;
    pthread_mutex_unlock(&s->lock);
    return now;
}

static void failed(const char *what, const dynb_error *err)
{
    printf("%s: %s: %s\n", what, kit_code_name(err->code), err->message);
    exit(1);
}

/* --------------------------------------------------------------- writers -- */

/* What slot j holds after n batches: the last of them that wrote it, 0: none. */
static uint64_t slot_after(uint64_t n, uint64_t slot)
{
    uint64_t m = n - (n + SLOTS - slot) % SLOTS;
    return n < slot || m > n ? 0 : m;
}

static int64_t money_after(uint64_t n, uint32_t side)
{
    int64_t moved = (int64_t)(n * 7 % 500);
    return side ? 1000 + moved : 1000 - moved;
}

static dynb_item named_item(dynb_builder *builder, uint32_t number, const char *what,
                            int64_t index, int64_t v, dynb_error *err)
{
    dynb_item item;
    char id[40], pad[120];
    snprintf(id, sizeof id, "w%u %s %d", number, what, (int)index);
    memset(pad, 'a' + (int)(v % 26 < 0 ? 0 : v % 26), sizeof pad);
    dynb_builder_begin(builder);
    dynb_add_string(builder, "Id", id, (size_t)-1);
    if (v >= 0) {
        dynb_add_int(builder, "v", v);
        dynb_add_string(builder, "pad", pad, (size_t)(v % 120));
    }
    if (dynb_builder_finish(builder, &item, err) != DYNB_OK)
        failed("build", err);
    return item;
}

/* Batch n of this writer: six writes, all or nothing. */
static void write_batch(writer *w, uint64_t n, dynb_builder builders[6])
{
    dynb_write writes[6];
    dynb_error err;
    uint32_t side, count = 0;
    uint64_t slot = n % SLOTS;
    memset(writes, 0, sizeof writes);
    for (side = 0; side < 2; ++side) {
        writes[count].table = sides[side];
        writes[count].item =
            named_item(&builders[count], w->number, "counter", 0, (int64_t)n, &err);
        ++count;
        writes[count].table = sides[side];
        writes[count].item =
            named_item(&builders[count], w->number, "money", 0, money_after(n, side), &err);
        ++count;
        writes[count].table = sides[side];
        writes[count].item =
            named_item(&builders[count], w->number, "slot", (int64_t)slot, (int64_t)n, &err);
        ++count;
    }
    if (dynb_batch_write(w->scene->db, writes, count, NULL, &err) != DYNB_OK)
        failed("batch", &err);
}

static uint64_t lsn_now(scene *s)
{
    dynb_stat stat;
    dynb_error err;
    if (dynb_get_stat(s->db, &stat, &err) != DYNB_OK)
        failed("stat", &err);
    return stat.lsn;
}

static uint64_t next_tick(scene *s)
{
    uint64_t tick;
    pthread_mutex_lock(&s->lock);
    tick = ++s->tick;
    pthread_mutex_unlock(&s->lock);
    return tick;
}

/* Writes down that batch n begins; nonzero when it is time to stop. */
static int begin_batch(writer *w, uint64_t n)
{
    scene *s = w->scene;
    uint64_t lsn = lsn_now(s);
    int stop;
    pthread_mutex_lock(&s->lock);
    stop = s->stop;
    if (!stop) {
        if (n + 1 >= w->capacity) {
            w->capacity = w->capacity ? w->capacity * 2 : 1024;
            w->batches = (batch *)realloc(w->batches, (size_t)w->capacity * sizeof *w->batches);
        }
        memset(&w->batches[n], 0, sizeof w->batches[n]);
        w->batches[n].tick_begin = ++s->tick;
        w->batches[n].lsn_before = lsn;
        w->count = n;
        if (s->serial) {
            if (s->order_count + 1 >= s->order_capacity) {
                s->order_capacity = s->order_capacity ? s->order_capacity * 2 : 4096;
                s->order = (uint8_t *)realloc(s->order, (size_t)s->order_capacity);
            }
            s->order[s->order_count++] = (uint8_t)w->number;
        }
    }
    pthread_mutex_unlock(&s->lock);
    return stop;
}

static void *run_writer(void *ctx)
{
    writer *w = (writer *)ctx;
    scene *s = w->scene;
    dynb_builder builders[6];
    uint64_t n, lsn;
    uint32_t i;
    int stop = 0;
    memset(builders, 0, sizeof builders);
    for (n = 1; !stop; ++n) {
        if (s->serial)
            pthread_mutex_lock(&s->turn);
        stop = begin_batch(w, n);
        if (!stop) {
            write_batch(w, n, builders);
            lsn = lsn_now(s);
            pthread_mutex_lock(&s->lock);
            w->batches[n].tick_end = ++s->tick;
            w->batches[n].lsn_after = lsn;
            pthread_mutex_unlock(&s->lock);
        }
        if (s->serial)
            pthread_mutex_unlock(&s->turn);
    }
    for (i = 0; i < 6; ++i)
        dynb_builder_free(&builders[i]);
    return NULL;
}

/* ---------------------------------------------------------- the fifth one -- */

static int should_stop(scene *s)
{
    int stop;
    pthread_mutex_lock(&s->lock);
    stop = s->stop;
    pthread_mutex_unlock(&s->lock);
    return stop;
}

static dynb_backup_status wait_until_available(scene *s, const char *arn, dynb_result *result)
{
    dynb_backup_description about;
    dynb_error err;
    do {
        if (dynb_describe_backup(s->db, arn, &about, result, &err) != DYNB_OK)
            failed("describe backup", &err);
        if (about.status == DYNB_BACKUP_CREATING)
            sched_yield();
    } while (about.status == DYNB_BACKUP_CREATING);
    return about.status;
}

/* Makes, restores and deletes backups of its own, and reads all the while. */
static void *run_side(void *ctx)
{
    scene *s = (scene *)ctx;
    dynb_result result, other;
    dynb_backup_description about;
    dynb_list_backups_input list;
    dynb_backup_list found;
    dynb_restore_input restore;
    dynb_scan_input scan;
    dynb_page page;
    dynb_error err;
    char arn[DYNB_ARN_MAX + 1];
    memset(&result, 0, sizeof result);
    memset(&other, 0, sizeof other);
    memset(&list, 0, sizeof list);
    memset(&scan, 0, sizeof scan);
    memset(&restore, 0, sizeof restore);
    while (!should_stop(s)) {
        if (dynb_create_backup(s->db, sides[s->side_cycles % 2], "side", &about, &result, &err))
            failed("side backup", &err);
        snprintf(arn, sizeof arn, "%s", about.backup_arn);
        scan.table = sides[(s->side_cycles + 1) % 2];
        scan.limit = 50;
        if (dynb_scan(s->db, &scan, &page, &result, &err) != DYNB_OK)
            failed("scan", &err);
        list.table = scan.table;
        if (dynb_list_backups(s->db, &list, &found, &result, &err) != DYNB_OK)
            failed("list", &err);
        if (dynb_work(s->db, 5000, NULL, &err) != DYNB_OK)
            failed("work", &err);
        (void)wait_until_available(s, arn, &other);
        restore.target_table_name = "Side-restored";
        restore.backup_arn = arn;
        if (dynb_restore_table_from_backup(s->db, &restore, NULL, NULL, &err) != DYNB_OK ||
            dynb_delete_backup(s->db, arn, NULL, NULL, &err) != DYNB_OK)
            failed("side restore", &err);
        scan.table = "Side-restored";
        if (dynb_scan(s->db, &scan, &page, &result, &err) != DYNB_OK ||
            dynb_delete_table(s->db, "Side-restored", NULL, NULL, &err) != DYNB_OK)
            failed("side restored table", &err);
        ++s->side_cycles;
    }
    dynb_result_free(&result);
    dynb_result_free(&other);
    return NULL;
}

/* ---------------------------------------------------------------- judging -- */

static int64_t read_v(scene *s, const char *table, uint32_t number, const char *what,
                      int64_t index)
{
    static dynb_builder builder; /* of the main thread */
    static dynb_result result;
    dynb_item found;
    int64_t v = 0;
    MUST(dynb_get_item(s->db, table, named_item(&builder, number, what, index, -1, &kit_err),
                       &found, &result, &kit_err));
    if (found.bytes && !dynb_value_int(dynb_item_get(found, "v"), &v))
        v = -1;
    dynb_builder_free(&builder);
    dynb_result_free(&result);
    return v;
}

/* How many batches of each writer the table holds; whole, or a failure. */
static void read_prefixes(scene *s, const char *table, uint32_t side, uint64_t prefix[WRITERS])
{
    uint32_t w;
    uint64_t slot, n;
    for (w = 0; w < WRITERS; ++w) {
        n = prefix[w] = (uint64_t)read_v(s, table, w, "counter", 0);
        CHECK_INT(read_v(s, table, w, "money", 0), n ? money_after(n, side) : 0);
        for (slot = 0; slot < SLOTS; ++slot)
            CHECK_INT(read_v(s, table, w, "slot", (int64_t)slot), slot_after(n, slot));
    }
}

static void judge_pair(scene *s, const kept *k, const uint64_t prefix[WRITERS])
{
    batch in[WRITERS], out[WRITERS];
    uint32_t w, u;
    memset(in, 0, sizeof in);
    memset(out, 0, sizeof out);
    pthread_mutex_lock(&s->lock);
    for (w = 0; w < WRITERS; ++w) {
        const writer *writer = &s->writers[w];
        CHECK(prefix[w] <= writer->count);
        if (prefix[w])
            in[w] = writer->batches[prefix[w]];
        if (prefix[w] < writer->count)
            out[w] = writer->batches[prefix[w] + 1];
    }
    pthread_mutex_unlock(&s->lock);
    for (w = 0; w < WRITERS; ++w) {
        int out_ended = out[w].tick_end != 0;
        CHECK(!prefix[w] || in[w].lsn_before < k->lsn);
        CHECK(!prefix[w] || in[w].tick_begin < k->tick_end);
        CHECK(!out_ended || out[w].lsn_after > k->lsn);
        CHECK(!out_ended || out[w].tick_end > k->tick_begin);
        for (u = 0; u < WRITERS; ++u)
            CHECK(!out_ended || !prefix[u] || out[w].tick_end > in[u].tick_begin);
    }
}

/* Serial: the prefixes are those of one point of the order. */
static void judge_order(scene *s, const uint64_t prefix[WRITERS])
{
    uint64_t counts[WRITERS] = {0, 0, 0, 0}, total = 0, i;
    uint32_t w;
    for (w = 0; w < WRITERS; ++w)
        total += prefix[w];
    pthread_mutex_lock(&s->lock);
    CHECK(total <= s->order_count);
    for (i = 0; i < total && i < s->order_count; ++i)
        ++counts[s->order[i]];
    pthread_mutex_unlock(&s->lock);
    for (w = 0; w < WRITERS; ++w)
        CHECK_INT(prefix[w], counts[w]);
}

static void judge(scene *s, const kept *k)
{
    static const char *const restored[] = {"Restored-left", "Restored-right"};
    uint64_t prefixes[2][WRITERS];
    uint32_t side, w;
    for (side = 0; side < 2; ++side) {
        MUST(kit_restore(s->db, k->arns[side], restored[side]));
        read_prefixes(s, restored[side], side, prefixes[side]);
    }
    for (w = 0; w < WRITERS; ++w)
        CHECK_INT(prefixes[0][w], prefixes[1][w]);
    judge_pair(s, k, prefixes[0]);
    if (s->serial)
        judge_order(s, prefixes[0]);
    for (side = 0; side < 2; ++side)
        MUST(dynb_delete_table(s->db, restored[side], NULL, NULL, &kit_err));
}

static void cycle(scene *s, kept *k)
{
    dynb_backup_description about[2];
    dynb_result result;
    uint32_t side;
    memset(&result, 0, sizeof result);
    k->tick_begin = next_tick(s);
    MUST(dynb_create_backups(s->db, sides, 2, "both", about, &result, &kit_err));
    k->tick_end = next_tick(s);
    k->lsn = about[0].lsn;
    CHECK(about[1].lsn == k->lsn);
    for (side = 0; side < 2; ++side)
        snprintf(k->arns[side], sizeof k->arns[side], "%s", about[side].backup_arn);
    for (side = 0; side < 2; ++side)
        (void)wait_until_available(s, k->arns[side], &result);
    judge(s, k);
    dynb_result_free(&result);
}

/* ----------------------------------------------------------------- scenes -- */

static void open_scene(scene *s)
{
    s->device.ctx = s;
    s->device.read_fn = device_read;
    s->device.write_fn = device_write;
    s->device.sync_fn = device_sync;
    s->device.size_fn = device_size;
    s->config.device = &s->device;
    s->config.clock_fn = clock_now;
    s->config.clock_ctx = s;
    s->config.page_size_bytes = 1024;
    s->config.memory_bytes = 1 << 20;
    s->config.create_backup_per_second = DYNB_UNLIMITED;
    MUST(dynb_open(&s->db, NULL, &s->config, &kit_err));
}

static void start_threads(scene *s, pthread_t *side)
{
    uint32_t i;
    for (i = 0; i < WRITERS; ++i) {
        s->writers[i].scene = s;
        s->writers[i].number = i;
        if (pthread_create(&s->writers[i].thread, NULL, run_writer, &s->writers[i]) != 0)
            exit(2);
    }
    if (pthread_create(side, NULL, run_side, s) != 0)
        exit(2);
}

static void stop_threads(scene *s, pthread_t side)
{
    uint32_t i;
    pthread_mutex_lock(&s->lock);
    s->stop = 1;
    pthread_mutex_unlock(&s->lock);
    for (i = 0; i < WRITERS; ++i)
        pthread_join(s->writers[i].thread, NULL);
    pthread_join(side, NULL);
}

static void check_end(scene *s)
{
    uint64_t prefix[WRITERS];
    uint32_t side, w;
    EXPECT(dynb_wait_idle(s->db, &kit_err), DYNB_OK);
    EXPECT(dynb_check(s->db, NULL, NULL, NULL, &kit_err), DYNB_OK);
    EXPECT(dynb_scrub(s->db, &kit_err), DYNB_OK);
    for (side = 0; side < 2; ++side) {
        read_prefixes(s, sides[side], side, prefix);
        for (w = 0; w < WRITERS; ++w)
            CHECK_INT(prefix[w], s->writers[w].count);
    }
}

static void play(int serial, uint64_t cycles)
{
    static scene s;
    static kept recent[KEPT_MAX];
    pthread_t side;
    uint64_t i, batches = 0;
    uint32_t k;
    memset(&s, 0, sizeof s);
    s.serial = serial;
    s.clock_ms = 1700000000000u;
    s.memory = (uint8_t *)calloc(1, DEVICE_BYTES);
    pthread_mutex_init(&s.lock, NULL);
    pthread_mutex_init(&s.turn, NULL);
    open_scene(&s);
    MUST(kit_create_table(s.db, "Left", NULL));
    MUST(kit_create_table(s.db, "Right", NULL));
    start_threads(&s, &side);
    for (i = 0; i < cycles && check_failed_count < 20; ++i) {
        kept *slot = &recent[i % KEPT_MAX];
        if (i >= KEPT_MAX) /* the oldest one again, much later, and away with it */
            judge(&s, slot);
        for (k = 0; i >= KEPT_MAX && k < 2; ++k)
            MUST(dynb_delete_backup(s.db, slot->arns[k], NULL, NULL, &kit_err));
        cycle(&s, slot);
    }
    stop_threads(&s, side);
    check_end(&s);
    for (k = 0; k < KEPT_MAX && k < i; ++k)
        judge(&s, &recent[k]);
    MUST(dynb_close(s.db, &kit_err));
    open_scene(&s);
    check_end(&s);
    for (k = 0; k < KEPT_MAX && k < i; ++k)
        judge(&s, &recent[k]);
    MUST(dynb_close(s.db, &kit_err));
    for (k = 0; k < WRITERS; ++k) {
        batches += s.writers[k].count;
        free(s.writers[k].batches);
    }
    printf("    %s: %llu cycles beside %llu batches and %llu cycles of the fifth thread\n",
           serial ? "in turns" : "all at once", (unsigned long long)i, (unsigned long long)batches,
           (unsigned long long)s.side_cycles);
    free(s.order);
    free(s.memory);
    pthread_mutex_destroy(&s.lock);
    pthread_mutex_destroy(&s.turn);
}

int main(void)
{
    (void)check_seed("test_threads");
    play(0, check_scaled(100));
    play(1, check_scaled(100));
    return check_report("test_threads");
}
#endif
