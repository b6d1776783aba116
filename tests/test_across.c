/* test_across.c - consistent cuts across tables (needs DYNBACKUP_PTHREADS and
 * -pthread; run.sh and CI give them, CI also under ThreadSanitizer).
 *
 * Money moves between the accounts of four tables: a transfer is one batch that
 * writes an account of one table and an account of another, so the sum over all
 * tables is the same at every LSN, and at no LSN is it so for one table alone.
 * Three writers transfer (each between accounts that are its own), the builder
 * thread folds, a fifth thread takes sets of backups of its own, reads inside
 * them and deletes them, and the main thread takes sets and judges each: while
 * they are CREATING, once AVAILABLE, restored as a set, and against the set
 * before (what dynb_compare says changed must sum up to nothing).
 *
 * First, without threads: a set is restored by one log record, all or nothing,
 * whatever fails and wherever the power is cut. */
#if !defined(DYNBACKUP_PTHREADS)
#include <stdio.h>

int main(void)
{
    printf("test_across: skipped: compiled without DYNBACKUP_PTHREADS\n");
    return 77;
}
#else

#include "store.h"

#include <pthread.h>
#include <sched.h>

#define TABLES 4u
#define WRITERS 3u
#define ACCOUNTS 36u /* of each table */
#define START 1000
#define TOTAL ((int64_t)TABLES * ACCOUNTS * START)
#define DEVICE_BYTES (48u << 20)
#define SETS_KEPT 6u

static const char *const banks[TABLES] = {"Bank-a", "Bank-b", "Bank-c", "Bank-d"};
static const char *const copies[TABLES] = {"Copy-a", "Copy-b", "Copy-c", "Copy-d"};

typedef struct set {
    char arns[TABLES][DYNB_ARN_MAX + 1];
    uint64_t lsn;
} set;

/* ------------------------------------------------- a set, step by step -- */

static void inputs_of(const set *cut, const char *const *targets, dynb_restore_input *inputs)
{
    uint32_t t;
    memset(inputs, 0, TABLES * sizeof *inputs);
    for (t = 0; t < TABLES; ++t) {
        inputs[t].target_table_name = targets[t];
        inputs[t].backup_arn = cut->arns[t];
    }
}

static dynb_rc restore_set(dynb *db, const set *cut, dynb_table_description *out,
                           dynb_result *result)
{
    dynb_restore_input inputs[TABLES];
    inputs_of(cut, copies, inputs);
    return dynb_restore_tables_from_backups(db, inputs, TABLES, out, result, &kit_err);
}

static void take_set(dynb *db, set *cut, dynb_result *result)
{
    dynb_backup_description about[TABLES];
    uint32_t t;
    MUST(dynb_create_backups(db, banks, TABLES, "set", about, result, &kit_err));
    for (t = 0; t < TABLES; ++t) {
        kit_copy(cut->arns[t], sizeof cut->arns[t], about[t].backup_arn);
        CHECK(about[t].lsn == about[0].lsn);
    }
    cut->lsn = about[0].lsn;
}

static void begin_set(store *s, set *cut)
{
    uint32_t t;
    store_begin(s);
    s->device.track = 1;
    store_open(s);
    for (t = 0; t < TABLES; ++t) {
        MUST(kit_create_table(s->db, banks[t], t % 2 ? "At" : NULL));
        if (t % 2 == 0)
            MUST(kit_put(s->db, banks[t], "a", (int64_t)t));
    }
    take_set(s->db, cut, &s->result);
    MUST(dynb_wait_idle(s->db, &kit_err));
}

/* How many of the set's tables are there. */
static uint32_t count_copies(store *s)
{
    uint32_t t, count = 0;
    for (t = 0; t < TABLES; ++t)
        count += table_of(s, copies[t]) != NULL;
    return count;
}

static void test_set(void)
{
    static store s;
    static set cut;
    dynb_table_description about[TABLES];
    dynb_restore_input inputs[TABLES];
    dynb_stat before, after;
    uint32_t t;
    begin_set(&s, &cut);
    store_reopen(&s); /* the first record of an open is not the restore's */
    MUST(kit_put(s.db, "Bank-a", "a", 50));
    MUST(dynb_get_stat(s.db, &before, &kit_err));
    MUST(restore_set(s.db, &cut, about, &s.result));
    MUST(dynb_get_stat(s.db, &after, &kit_err));
    CHECK_INT(after.lsn, before.lsn + 1);
    for (t = 0; t < TABLES; ++t) {
        CHECK_TEXT(about[t].table_name, copies[t]);
        CHECK(about[t].status == DYNB_TABLE_CREATING && about[t].restoring);
        CHECK_TEXT(about[t].restore_source_backup_arn, cut.arns[t]);
        CHECK(strncmp(about[t].restore_source_table_arn, cut.arns[t],
                      strlen(about[t].restore_source_table_arn)) == 0);
        CHECK(strstr(about[t].restore_source_table_arn, banks[t]) != NULL);
        CHECK(about[t].item_count == (t % 2 == 0));
    }
    CHECK(strcmp(about[0].table_id, about[1].table_id) != 0);
    MUST(kit_put(s.db, "Copy-a", "x", 10)); /* each is a table of its own */
    MUST(kit_put(s.db, "Copy-c", "x", 30));
    store_crash(&s); /* replayed to the right one */
    CHECK_INT(kit_get(s.db, "Copy-a", "x"), 10);
    CHECK_INT(kit_get(s.db, "Copy-c", "x"), 30);
    CHECK_INT(kit_get(s.db, "Copy-a", "a"), 0);
    CHECK_INT(kit_get(s.db, "Copy-c", "a"), 2);
    MUST(dynb_wait_idle(s.db, &kit_err));
    EXPECT(dynb_scrub(s.db, &kit_err), DYNB_OK);
    store_reopen(&s);
    CHECK_INT(kit_get(s.db, "Copy-a", "x"), 10);
    CHECK_INT(kit_get(s.db, "Copy-c", "x"), 30);
    CHECK_INT(kit_get(s.db, "Bank-a", "a"), 50);
    for (t = 0; t < 40; ++t) { /* and folded like any other */
        MUST(kit_put(s.db, "Copy-c", "y", t));
        if (t % 8 == 7) {
            dynbi_lock(s.db);
            fold_run(&s, "Copy-c");
            dynbi_unlock(s.db);
        }
    }
    MUST(dynb_wait_idle(s.db, &kit_err));
    CHECK(table_of(&s, "Copy-c")->sets[0].count < 4);
    CHECK_INT(kit_get(s.db, "Copy-c", "y"), 39);

    /* all or nothing: whatever is wrong with one of them */
    for (t = 0; t < TABLES; ++t)
        MUST(dynb_delete_table(s.db, copies[t], NULL, NULL, &kit_err));
    inputs_of(&cut, copies, inputs);
    inputs[3].target_table_name = "Bank-b";
    EXPECT_MESSAGE(
        dynb_restore_tables_from_backups(s.db, inputs, TABLES, about, &s.result, &kit_err),
        DYNB_TABLE_ALREADY_EXISTS, "Table already exists: Bank-b");
    CHECK(about[0].table_name == NULL);
    inputs[3].target_table_name = copies[1];
    EXPECT_MESSAGE(dynb_restore_tables_from_backups(s.db, inputs, TABLES, NULL, NULL, &kit_err),
                   DYNB_VALIDATION, "table Copy-b is named twice");
    inputs[3].target_table_name = "x";
    EXPECT(dynb_restore_tables_from_backups(s.db, inputs, TABLES, NULL, NULL, &kit_err),
           DYNB_VALIDATION);
    inputs[3].target_table_name = NULL;
    EXPECT(dynb_restore_tables_from_backups(s.db, inputs, TABLES, NULL, NULL, &kit_err),
           DYNB_INVALID_ARGUMENT);
    EXPECT(dynb_restore_tables_from_backups(s.db, inputs, 0, NULL, NULL, &kit_err),
           DYNB_INVALID_ARGUMENT);
    inputs[3].target_table_name = copies[3];
    MUST(dynb_delete_backup(s.db, cut.arns[3], NULL, NULL, &kit_err));
    EXPECT_ABOUT(dynb_restore_tables_from_backups(s.db, inputs, TABLES, NULL, NULL, &kit_err),
                 DYNB_BACKUP_NOT_FOUND, "Backup not found: arn:");
    CHECK_INT(count_copies(&s), 0);
    inputs[3].backup_arn = cut.arns[0]; /* one backup may give several tables */
    MUST(dynb_restore_tables_from_backups(s.db, inputs, TABLES, NULL, NULL, &kit_err));
    CHECK_INT(count_copies(&s), TABLES);
    CHECK_INT(kit_get(s.db, "Copy-d", "a"), 0);
    store_end(&s);
}

/* Every allocation and every device call fails; the power is cut after each. */
static void test_set_faults(void)
{
    uint64_t n, failed = 0;
    dynb_rc rc = DYNB_NO_MEMORY;
    static store s;
    static set cut;
    uint32_t t;
    begin_set(&s, &cut);
    s.memory.fail_from = 1;
    for (n = 1; rc == DYNB_NO_MEMORY && n < 2000; ++n) {
        s.memory.call_count = 0;
        s.memory.fail_at = n;
        rc = restore_set(s.db, &cut, NULL, NULL);
        s.memory.fail_at = 0;
        CHECK(rc == DYNB_OK || rc == DYNB_NO_MEMORY);
        CHECK_INT(count_copies(&s), rc == DYNB_OK ? TABLES : 0);
        failed += rc != DYNB_OK;
    }
    CHECK_INT(rc, DYNB_OK);
    CHECK(failed > 5);
    store_end(&s);

    for (n = 1, rc = DYNB_IO_FAILED; rc != DYNB_OK && n < 200; ++n) {
        uint32_t mode;
        for (mode = 0; mode < 3; ++mode) {
            uint32_t count;
            begin_set(&s, &cut);
            s.device.plan_mode = mode == 0 ? FAULT_FROM : mode == 1 ? FAULT_TORN : FAULT_LOST_SYNC;
            s.device.plan_call = s.device.call_count + n;
            rc = restore_set(s.db, &cut, NULL, NULL);
            s.device.plan_call = 0;
            CHECK(rc == DYNB_OK || rc == DYNB_IO_FAILED);
            dynbi_api_free(s.db);
            fault_drop_unsynced(&s.device);
            store_open(&s);
            count = count_copies(&s);
            CHECK(count == 0 || count == TABLES);
            CHECK(rc != DYNB_OK || count == TABLES);
            for (t = 0; t < TABLES; t += 2)
                CHECK_INT(kit_get(s.db, banks[t], "a"), (int64_t)t);
            store_end(&s);
        }
    }
    CHECK_INT(rc, DYNB_OK);
    CHECK(n > 2);
}

/* --------------------------------------------------------------- device -- */

/* Memory of fixed size: safe for calls at the same time on different ranges. */
static dynb_rc device_read(void *ctx, uint64_t pos, void *to, size_t size_bytes)
{
    memcpy(to, (uint8_t *)ctx + pos, size_bytes);
    return DYNB_OK;
}

static dynb_rc device_write(void *ctx, uint64_t pos, const void *from, size_t size_bytes)
{
    memcpy((uint8_t *)ctx + pos, from, size_bytes);
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

/* -------------------------------------------------------------- threads -- */

typedef struct scene {
    dynb *db;
    pthread_mutex_t lock; /* guards stop */
    int stop;
    uint64_t seed;
    uint64_t side_cycles;
} scene;

typedef struct writer {
    scene *s;
    uint32_t number;
    pthread_t thread;
    uint64_t count;
} writer;

/* Of threads other than the main one, whose kit_err is its own. */
static void worked(dynb_rc rc, const dynb_error *err)
{
    if (rc == DYNB_OK)
        return;
    printf("%s: %s\n", kit_code_name(rc), err->message);
    exit(1);
}

static int should_stop(scene *s)
{
    int stop;
    pthread_mutex_lock(&s->lock);
    stop = s->stop;
    pthread_mutex_unlock(&s->lock);
    return stop;
}

static dynb_item account(dynb_builder *builder, uint32_t number, int64_t balance)
{
    dynb_error err;
    dynb_item item;
    char id[16];
    snprintf(id, sizeof id, "account %02u", number);
    dynb_builder_begin(builder);
    dynb_add_string(builder, "Id", id, (size_t)-1);
    dynb_add_int(builder, "v", balance);
    worked(dynb_builder_finish(builder, &item, &err), &err);
    return item;
}

/* Writer w owns the accounts w, w + WRITERS, ... of every table. */
static void *run_writer(void *ctx)
{
    writer *w = (writer *)ctx;
    int64_t balance[TABLES][ACCOUNTS];
    dynb_builder builders[2];
    dynb_error err;
    check_random random;
    uint32_t t, a, i;
    memset(builders, 0, sizeof builders);
    random.state = w->s->seed + w->number;
    for (t = 0; t < TABLES; ++t) {
        for (a = 0; a < ACCOUNTS; ++a)
            balance[t][a] = START;
    }
    while (!should_stop(w->s)) {
        dynb_write writes[2];
        uint32_t table[2], at[2];
        int64_t amount = 1 + (int64_t)check_below(&random, 50);
        memset(writes, 0, sizeof writes);
        table[0] = (uint32_t)check_below(&random, TABLES);
        table[1] = (table[0] + 1 + (uint32_t)check_below(&random, TABLES - 1)) % TABLES;
        for (i = 0; i < 2; ++i) {
            at[i] = w->number + WRITERS * (uint32_t)check_below(&random, ACCOUNTS / WRITERS);
            balance[table[i]][at[i]] += i ? amount : -amount;
            writes[i].table = banks[table[i]];
            writes[i].item = account(&builders[i], at[i], balance[table[i]][at[i]]);
        }
        worked(dynb_batch_write(w->s->db, writes, 2, NULL, &err), &err);
        ++w->count;
    }
    dynb_builder_free(&builders[0]);
    dynb_builder_free(&builders[1]);
    return NULL;
}

/* What the accounts of a table, or inside a backup, sum up to. */
static int64_t sum_of(dynb *db, const char *table, const char *arn, dynb_result *result)
{
    dynb_scan_input scan;
    dynb_error err;
    dynb_page page;
    int64_t sum = 0, v;
    uint32_t i;
    memset(&scan, 0, sizeof scan);
    scan.table = table;
    scan.backup_arn = arn;
    worked(dynb_scan(db, &scan, &page, result, &err), &err);
    if (page.count != ACCOUNTS || page.last_key.bytes)
        return -1;
    for (i = 0; i < page.count; ++i) {
        if (!dynb_value_int(dynb_item_get(page.items[i], "v"), &v))
            return -2;
        sum += v;
    }
    return sum;
}

static int64_t sum_inside(dynb *db, const set *cut, int64_t each[TABLES], dynb_result *result)
{
    int64_t sum = 0;
    uint32_t t;
    for (t = 0; t < TABLES; ++t)
        sum += each[t] = sum_of(db, NULL, cut->arns[t], result);
    return sum;
}

/* What came to the accounts of a table from one set to the next. */
static int64_t change_between(dynb *db, const char *from, const char *to, dynb_result *result)
{
    dynb_compare_input input;
    dynb_difference_page page;
    int64_t change = 0, was = 0, is = 0;
    uint32_t i;
    memset(&input, 0, sizeof input);
    input.from.backup_arn = from;
    input.to.backup_arn = to;
    MUST(dynb_compare(db, &input, &page, result, &kit_err));
    CHECK(page.last_key.bytes == NULL);
    for (i = 0; i < page.count; ++i) {
        CHECK(dynb_value_int(dynb_item_get(page.differences[i].old_item, "v"), &was));
        CHECK(dynb_value_int(dynb_item_get(page.differences[i].new_item, "v"), &is));
        CHECK(was != is);
        change += is - was;
    }
    return change;
}

/* The fifth thread: sets of its own, one of them always kept. */
static void *run_side(void *ctx)
{
    scene *s = (scene *)ctx;
    dynb_backup_description about[TABLES], state;
    static set cut;
    dynb_result result;
    dynb_error err;
    int64_t each[TABLES];
    uint32_t t;
    memset(&result, 0, sizeof result);
    while (!should_stop(s)) {
        worked(dynb_create_backups(s->db, banks, TABLES, "side", about, &result, &err), &err);
        for (t = 0; t < TABLES; ++t)
            kit_copy(cut.arns[t], sizeof cut.arns[t], about[t].backup_arn);
        if (sum_inside(s->db, &cut, each, &result) != TOTAL) {
            printf("a set of the fifth thread is no cut\n");
            exit(1);
        }
        for (t = 0; t < TABLES; ++t) {
            do {
                worked(dynb_describe_backup(s->db, cut.arns[t], &state, &result, &err), &err);
                if (state.status == DYNB_BACKUP_CREATING)
                    sched_yield();
            } while (state.status == DYNB_BACKUP_CREATING);
            worked(dynb_delete_backup(s->db, cut.arns[t], NULL, NULL, &err), &err);
        }
        ++s->side_cycles;
    }
    dynb_result_free(&result);
    return NULL;
}

static void wait_for(dynb *db, const set *cut, dynb_result *result)
{
    dynb_backup_description state;
    uint32_t t;
    for (t = 0; t < TABLES; ++t) {
        do {
            MUST(dynb_describe_backup(db, cut->arns[t], &state, result, &kit_err));
            if (state.status == DYNB_BACKUP_CREATING)
                sched_yield();
        } while (state.status == DYNB_BACKUP_CREATING);
    }
}

/* The set is a cut: read inside, and restored. */
static void judge(dynb *db, const set *cut, dynb_result *result)
{
    int64_t inside[TABLES];
    uint32_t t;
    CHECK_INT(sum_inside(db, cut, inside, result), TOTAL);
    MUST(restore_set(db, cut, NULL, NULL));
    for (t = 0; t < TABLES; ++t) {
        CHECK_INT(sum_of(db, copies[t], NULL, result), inside[t]);
        MUST(dynb_delete_table(db, copies[t], NULL, NULL, &kit_err));
    }
}

static void cycle(dynb *db, set *cut, const set *before, uint64_t *off_balance, dynb_result *result)
{
    int64_t inside[TABLES], now[TABLES], moved = 0;
    uint32_t t;
    take_set(db, cut, result);
    CHECK_INT(sum_inside(db, cut, inside, result), TOTAL); /* most likely CREATING */
    for (t = 0; before && t < TABLES; ++t)
        moved += change_between(db, before->arns[t], cut->arns[t], result);
    CHECK_INT(moved, 0);
    wait_for(db, cut, result);
    CHECK_INT(sum_inside(db, cut, now, result), TOTAL);
    for (t = 0; t < TABLES; ++t) {
        CHECK_INT(now[t], inside[t]);
        *off_balance += inside[t] != ACCOUNTS * START;
    }
    judge(db, cut, result);
}

static void open_bank(scene *s)
{
    dynb_builder builder;
    uint32_t t, a;
    memset(&builder, 0, sizeof builder);
    for (t = 0; t < TABLES; ++t) {
        MUST(kit_create_table(s->db, banks[t], NULL));
        for (a = 0; a < ACCOUNTS; ++a)
            MUST(dynb_put_item(s->db, banks[t], account(&builder, a, START), NULL, NULL, NULL,
                               &kit_err));
    }
    dynb_builder_free(&builder);
}

static void start_threads(scene *s, writer writers[WRITERS], pthread_t *side)
{
    uint32_t i;
    for (i = 0; i < WRITERS; ++i) {
        memset(&writers[i], 0, sizeof writers[i]);
        writers[i].s = s;
        writers[i].number = i;
        if (pthread_create(&writers[i].thread, NULL, run_writer, &writers[i]) != 0)
            exit(2);
    }
    if (pthread_create(side, NULL, run_side, s) != 0)
        exit(2);
}

static void test_transfers(uint64_t seed, uint64_t cycles)
{
    static scene s;
    static set sets[SETS_KEPT];
    writer writers[WRITERS];
    dynb_result result;
    dynb_device device;
    dynb_config config;
    pthread_t side;
    uint8_t *memory = (uint8_t *)calloc(1, DEVICE_BYTES);
    uint64_t i, off_balance = 0, transfers = 0;
    uint32_t t, k;
    memset(&s, 0, sizeof s);
    memset(&result, 0, sizeof result);
    memset(&device, 0, sizeof device);
    memset(&config, 0, sizeof config);
    s.seed = seed;
    pthread_mutex_init(&s.lock, NULL);
    device.ctx = memory;
    device.read_fn = device_read;
    device.write_fn = device_write;
    device.sync_fn = device_sync;
    device.size_fn = device_size;
    config.device = &device;
    config.page_size_bytes = 1024;
    config.memory_bytes = 1 << 20;
    config.create_backup_per_second = DYNB_UNLIMITED;
    MUST(dynb_open(&s.db, NULL, &config, &kit_err));
    open_bank(&s);
    start_threads(&s, writers, &side);
    for (i = 0; i < cycles || (!off_balance && i < 100 * cycles); ++i) {
        set *cut = &sets[i % SETS_KEPT];
        if (check_failed_count >= 20)
            break;
        for (t = 0; i >= SETS_KEPT && t < TABLES; ++t)
            MUST(dynb_delete_backup(s.db, cut->arns[t], NULL, NULL, &kit_err));
        cycle(s.db, cut, i ? &sets[(i - 1) % SETS_KEPT] : NULL, &off_balance, &result);
    }
    pthread_mutex_lock(&s.lock);
    s.stop = 1;
    pthread_mutex_unlock(&s.lock);
    for (k = 0; k < WRITERS; ++k) {
        pthread_join(writers[k].thread, NULL);
        transfers += writers[k].count;
    }
    pthread_join(side, NULL);
    CHECK(off_balance > 0); /* it is the set that is a cut, not each table */
    EXPECT(dynb_wait_idle(s.db, &kit_err), DYNB_OK);
    for (k = 0; k < SETS_KEPT && k < i; ++k)
        judge(s.db, &sets[k], &result);
    EXPECT(dynb_check(s.db, NULL, NULL, NULL, &kit_err), DYNB_OK);
    EXPECT(dynb_scrub(s.db, &kit_err), DYNB_OK);
    MUST(dynb_close(s.db, &kit_err));
    MUST(dynb_open(&s.db, NULL, &config, &kit_err));
    for (k = 0; k < SETS_KEPT && k < i; ++k)
        judge(s.db, &sets[k], &result);
    MUST(dynb_close(s.db, &kit_err));
    printf("    %llu sets beside %llu transfers and %llu sets of the fifth thread\n",
           (unsigned long long)i, (unsigned long long)transfers, (unsigned long long)s.side_cycles);
    dynb_result_free(&result);
    pthread_mutex_destroy(&s.lock);
    free(memory);
}

int main(void)
{
    const uint64_t seed = check_seed("test_across");
    test_set();
    test_set_faults();
    test_transfers(seed, check_scaled(300));
    return check_report("test_across");
}
#endif
