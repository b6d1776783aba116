/* unit_history.c - the ends of section 24's history: bases, kept log, the sweep
 * and restores to a point in time where memory ends, the device fails, records
 * of the catalog are damaged, or say what cannot be. */
#include "store.h"

#include "indexes.h"

#define DAY_MS ((uint64_t)86400000)
#define HOUR_MS ((uint64_t)3600000)

static const char damaged[] = "a record of the catalog is damaged";

/* Recovery of a table for so many days; 0: off. */
static dynb_rc switch_recovery(store *s, const char *table, int32_t days)
{
    dynb_update_continuous_backups_input input;
    memset(&input, 0, sizeof input);
    input.table = table;
    input.point_in_time_recovery = days != 0;
    input.choose_period = days != 0;
    input.recovery_period_days = days;
    return dynb_update_continuous_backups(s->db, &input, NULL, &kit_err);
}

static dynb_restore_to_time_input restore_input(const char *source, const char *target,
                                                uint64_t time_ms)
{
    dynb_restore_to_time_input input;
    memset(&input, 0, sizeof input);
    input.source_table_name = source;
    input.target_table_name = target;
    input.use_restore_time = 1;
    input.restore_time_ms = time_ms;
    return input;
}

static uint64_t lsn_before; /* the last restore */

static dynb_rc restore_at(store *s, const char *source, const char *target, uint64_t time_ms)
{
    dynb_restore_to_time_input input = restore_input(source, target, time_ms);
    lsn_before = s->db->log.tail.lsn;
    return dynb_restore_table_to_point_in_time(s->db, &input, NULL, NULL, &kit_err);
}

/* The table that was to be made is not there, nothing was logged, and the worker
 * and the source are free again. */
static void expect_nothing_made(store *s, uint32_t live_count)
{
    CHECK_INT(s->db->live_count, live_count);
    CHECK(table_of(s, "Then") == NULL);
    CHECK_INT(s->db->log.tail.lsn, lsn_before);
    CHECK_INT(s->db->worker->is_busy, 0);
    CHECK_INT(s->db->tables[0]->job_count, 0);
}

/* -------------------------------------------------- records of the catalog -- */

typedef struct found_record {
    uint8_t key[320];
    uint32_t key_size;
    uint8_t value[4096];
    uint32_t value_size;
} found_record;

typedef struct search {
    uint32_t skip;
    uint32_t count;
    found_record *first; /* NULL: count only */
} search;

static dynb_rc search_visit(void *ctx, const dynbi_change *record, dynb_error *err)
{
    search *wanted = (search *)ctx;
    (void)err;
    if (wanted->first && wanted->count == wanted->skip) {
        found_record *out = wanted->first;
        CHECK(record->key_size <= sizeof out->key && record->value_size <= sizeof out->value);
        memcpy(out->key, record->key, record->key_size);
        memcpy(out->value, record->value, record->value_size);
        out->key_size = record->key_size;
        out->value_size = record->value_size;
    }
    ++wanted->count;
    return DYNB_OK;
}

/* How many records of a kind there are; *out: the index-th. */
static uint32_t find_record(store *s, char kind, uint32_t index, found_record *out)
{
    search wanted;
    memset(&wanted, 0, sizeof wanted);
    wanted.skip = index;
    wanted.first = out;
    if (out)
        memset(out, 0, sizeof *out);
    MUST(dynbi_catalog_walk(s->db, (uint8_t)kind, search_visit, &wanted, &kit_err));
    return wanted.count;
}

static uint32_t count_records(store *s, char kind)
{
    return find_record(s, kind, 0, NULL);
}

/* What the record of a base says; its runs are freed by the caller. */
static dynbi_base read_base(store *s, const found_record *record)
{
    dynbi_base base;
    dynbi_change change;
    memset(&change, 0, sizeof change);
    change.key = record->key;
    change.key_size = record->key_size;
    change.value = record->value;
    change.value_size = record->value_size;
    MUST(dynbi_base_read(&s->db->allocator, &change, &base, &kit_err));
    return base;
}

/* Deletes all records of a kind, and logs it. */
static void delete_records(store *s, char kind)
{
    found_record record;
    while (find_record(s, kind, 0, &record)) {
        MUST(dynbi_store_begin_writing(s->db, &kit_err));
        MUST(dynbi_change_begin(s->db, &kit_err));
        MUST(dynbi_catalog_change(s->db, record.key, record.key_size, NULL, &kit_err));
        MUST(dynbi_change_commit(s->db, DYNB_SYNCED, &kit_err));
    }
}

/* The store as it is in memory is forgotten: what was planted is nowhere logged. */
static void abandon(store *s)
{
    dynbi_api_free(s->db);
    s->db = NULL;
    store_end(s);
}

/* "Past" with recovery and some changes, all but the last three folded: a base
 * has been made. times[i]: when a<i> was put. */
#define PUTS 12u

static void begin_past_later(store *s, uint64_t times[PUTS], uint32_t rounds)
{
    uint32_t i;
    store_begin(s);
    s->config.log_segment_bytes = 2048;
    store_open(s);
    MUST(kit_create_table(s->db, "Past", NULL));
    for (i = 0; i < rounds; ++i) { /* the log goes on, where it was before, too */
        fill(s, "Past", 'n', 40, i, 100);
        MUST(dynb_wait_idle(s->db, &kit_err));
    }
    MUST(switch_recovery(s, "Past", 35));
    for (i = 0; i < PUTS; ++i) {
        char id[8];
        s->clock.now_ms += 1000;
        snprintf(id, sizeof id, "a%u", (unsigned)i);
        MUST(kit_put(s->db, "Past", id, (int64_t)i));
        times[i] = table_of(s, "Past")->newest->last_time_ms;
        if (i == PUTS - 4)
            fold_run(s, "Past");
    }
    s->clock.now_ms += 1000;
    CHECK_INT(count_records(s, 'P'), 1);
    CHECK_INT(table_of(s, "Past")->sets[0].count, 2);
}

static void begin_past(store *s, uint64_t times[PUTS])
{
    begin_past_later(s, times, 1);
}

/* The state after put number `last` is what is restored. */
static void expect_state(store *s, uint64_t time_ms, uint32_t last)
{
    uint32_t i;
    MUST(restore_at(s, "Past", "Then", time_ms));
    for (i = 0; i < PUTS; ++i) {
        char id[8];
        snprintf(id, sizeof id, "a%u", (unsigned)i);
        CHECK_INT(kit_get(s->db, "Then", id), i <= last ? (int64_t)i : -1);
    }
    MUST(dynb_delete_table(s->db, "Then", NULL, NULL, &kit_err));
}

/* ----------------------------------------------------------------- calls -- */

static int is_same_window(const dynb_continuous_backups *a, const dynb_continuous_backups *b)
{
    return a->is_enabled == b->is_enabled && a->recovery_is_enabled == b->recovery_is_enabled &&
           a->recovery_period_days == b->recovery_period_days &&
           a->earliest_restorable_ms == b->earliest_restorable_ms &&
           a->latest_restorable_ms == b->latest_restorable_ms;
}

/* What a change of the window answers is what a look at it tells. */
static void test_answers(void)
{
    store s;
    dynb_update_continuous_backups_input input;
    dynb_continuous_backups answer, look;
    store_begin(&s);
    s.clock.step_ms = 0;
    store_open(&s);
    MUST(kit_create_table(s.db, "Past", NULL));
    memset(&input, 0, sizeof input);
    input.table = "Past";
    for (input.point_in_time_recovery = 1; input.point_in_time_recovery >= 0;
         --input.point_in_time_recovery) {
        memset(&answer, 1, sizeof answer);
        MUST(dynb_update_continuous_backups(s.db, &input, &answer, &kit_err));
        MUST(dynb_describe_continuous_backups(s.db, "Past", &look, &kit_err));
        CHECK(is_same_window(&answer, &look));
        CHECK(answer.is_enabled);
        CHECK_INT(answer.recovery_is_enabled, input.point_in_time_recovery);
        CHECK_INT(answer.recovery_period_days, input.point_in_time_recovery ? 35 : 0);
        CHECK_INT(answer.earliest_restorable_ms,
                  input.point_in_time_recovery ? (int64_t)s.clock.now_ms : 0);
    }
    input.table = "None";
    memset(&answer, 1, sizeof answer);
    memset(&look, 0, sizeof look);
    EXPECT_MESSAGE(dynb_update_continuous_backups(s.db, &input, &answer, &kit_err),
                   DYNB_TABLE_NOT_FOUND, "Table not found: None");
    CHECK(is_same_window(&answer, &look));
    store_end(&s);
}

/* A failed restore answers nothing; no store at all is said by each call. */
static void test_no_answer(void)
{
    static const dynb_table_description nothing;
    store s;
    dynb_table_description about;
    dynb_restore_to_time_input input;
    dynb_backup_retention rule;
    uint64_t times[PUTS];
    begin_past(&s, times);
    input = restore_input("Past", "Then", times[0] - DAY_MS);
    lsn_before = s.db->log.tail.lsn;
    memset(&about, 1, sizeof about);
    EXPECT(dynb_restore_table_to_point_in_time(s.db, &input, &about, &s.result, &kit_err),
           DYNB_INVALID_RESTORE_TIME);
    CHECK(memcmp(&about, &nothing, sizeof about) == 0);
    expect_nothing_made(&s, 1);
    memset(&rule, 1, sizeof rule);
    EXPECT_MESSAGE(dynb_describe_backup_retention(NULL, "Past", &rule, &kit_err),
                   DYNB_INVALID_ARGUMENT, "db is NULL");
    CHECK(rule.keep_last == 0 && rule.keep_hourly == 0 && rule.max_age_ms == 0);
    EXPECT_MESSAGE(dynb_update_backup_retention(NULL, "Past", NULL, &kit_err),
                   DYNB_INVALID_ARGUMENT, "db is NULL");
    store_end(&s);
}

/* 2500 tables are all there may be. */
static void test_limit(void)
{
    store s;
    char name[32];
    uint32_t i;
    store_begin(&s);
    s.config.memory_bytes = 64 << 20;
    s.config.durability = DYNB_BUFFERED;
    store_open(&s);
    for (i = 0; i < 2500; ++i) {
        snprintf(name, sizeof name, "Table-%u", (unsigned)i);
        MUST(kit_create_table(s.db, name, NULL));
    }
    MUST(switch_recovery(&s, "Table-7", 1));
    s.clock.now_ms += 1000;
    EXPECT_MESSAGE(restore_at(&s, "Table-7", "Then", s.clock.now_ms), DYNB_LIMIT_EXCEEDED,
                   "Subscriber limit exceeded: there are 2500 tables already");
    expect_nothing_made(&s, 2500);
    MUST(dynb_delete_table(s.db, "Table-9", NULL, NULL, &kit_err));
    EXPECT(restore_at(&s, "Table-7", "Then", s.clock.now_ms), DYNB_OK);
    CHECK_INT(s.db->live_count, 2500);
    store_end(&s);
}

/* A checkpoint that is being made comes first, then the restore. */
static void test_checkpoint_first(void)
{
    store s;
    uint64_t times[PUTS];
    dynbi_job *job;
    begin_past(&s, times);
    job = &s.db->worker->job[0];
    MUST(dynbi_checkpoint_start(job, &kit_err));
    CHECK_INT(job->kind, DYNBI_JOB_CHECKPOINT);
    expect_state(&s, times[5], 5);
    CHECK_INT(job->kind, DYNBI_JOB_NONE);
    EXPECT(dynb_check(s.db, NULL, NULL, NULL, &kit_err), DYNB_OK);
    EXPECT(dynb_scrub(s.db, &kit_err), DYNB_OK);
    store_crash(&s);
    expect_state(&s, times[7], 7);
    store_end(&s);
}

/* ----------------------------------------------------------------- bases -- */

/* A base is noted with whatever memory there is, or not at all; what follows near
 * behind it moves its end on. */
static void test_note_memory(void)
{
    store s;
    uint64_t times[PUTS], n;
    dynb_rc rc = DYNB_NO_MEMORY;
    uint32_t lacked_record = 0, lacked_sources = 0;
    found_record record, moved;
    dynbi_base was, is;
    begin_past(&s, times);
    delete_records(&s, 'P'); /* so that one is wanted again */
    for (n = 1; rc == DYNB_NO_MEMORY && n < 50; ++n) {
        MUST(dynbi_change_begin(s.db, &kit_err));
        dynbi_buffer_free(&s.db->value);
        forget_reads(&s);
        s.memory.call_count = 0;
        s.memory.fail_from = 1; /* what is cached could make one failure good */
        s.memory.fail_at = n;
        rc = dynbi_history_note(s.db, table_of(&s, "Past"), &kit_err);
        s.memory.fail_at = 0;
        lacked_record += rc && strcmp(kit_err.message, "no memory for a catalog record") == 0;
        lacked_sources += rc && strncmp(kit_err.message, "no memory to read", 17) == 0;
        CHECK_INT(s.db->op_count, rc == DYNB_OK);
    }
    CHECK_INT(rc, DYNB_OK);
    CHECK(lacked_record >= 1);
    CHECK(lacked_sources >= 1);
    CHECK_INT(count_records(&s, 'P'), 0);
    MUST(dynbi_change_commit(s.db, DYNB_SYNCED, &kit_err));
    CHECK_INT(count_records(&s, 'P'), 1);
    find_record(&s, 'P', 0, &record);
    MUST(kit_put(s.db, "Past", "b", 1)); /* near enough: its end moves on */
    MUST(dynbi_change_begin(s.db, &kit_err));
    MUST(dynbi_history_note(s.db, table_of(&s, "Past"), &kit_err));
    MUST(dynbi_change_commit(s.db, DYNB_SYNCED, &kit_err));
    CHECK_INT(find_record(&s, 'P', 0, &moved), 1);
    CHECK(moved.key_size == record.key_size &&
          memcmp(moved.key, record.key, record.key_size) == 0);
    was = read_base(&s, &record);
    is = read_base(&s, &moved);
    CHECK(is.end_pos > was.end_pos);
    CHECK_INT(is.end_pos, dynbi_table_oldest(table_of(&s, "Past"))->last_pos);
    CHECK(memcmp(&was.mark, &is.mark, sizeof is.mark) == 0);
    dynbi_snapshot_free(&s.db->allocator, &was.snapshot);
    dynbi_snapshot_free(&s.db->allocator, &is.snapshot);
    store_end(&s);
}

/* Of the log that a checkpoint leaves behind, only what recovery needs is put
 * into the catalog: nothing from before it was switched on. */
static void test_keep_log(void)
{
    store s;
    uint64_t on_pos, n, times[2];
    uint32_t i, lacked = 0;
    dynb_rc rc = DYNB_NO_MEMORY;
    dynbi_log_mark mark;
    found_record record;
    store_begin(&s);
    s.config.log_segment_bytes = 2048;
    store_open(&s);
    MUST(kit_create_table(s.db, "Past", NULL));
    MUST(kit_create_table(s.db, "Noise", NULL));
    fill(&s, "Noise", 'n', 60, 1, 100);
    MUST(switch_recovery(&s, "Past", 35));
    on_pos = s.db->log.tail.pos;
    fill(&s, "Noise", 'n', 60, 2, 100);
    MUST(kit_put(s.db, "Past", "a", 1));
    times[0] = table_of(&s, "Past")->newest->last_time_ms;
    fill(&s, "Noise", 'n', 60, 3, 100);
    MUST(kit_put(s.db, "Past", "a", 2));
    times[1] = table_of(&s, "Past")->newest->last_time_ms;
    fold_run(&s, "Past");
    fold_run(&s, "Noise");
    CHECK_INT(count_records(&s, 'L'), 0);
    mark = dynbi_checkpoint_mark(s.db);
    CHECK(mark.pos > on_pos + 6 * 2048);
    for (n = 1; rc == DYNB_NO_MEMORY && n < 50; ++n) { /* may be put off by any allocation */
        dynbi_buffer_free(&s.db->value);
        forget_reads(&s);
        s.memory.call_count = 0;
        s.memory.fail_from = 1; /* what is cached could make one failure good */
        s.memory.fail_at = n;
        rc = dynbi_history_keep_log(
            s.db, dynbi_log_segment_at(&s.db->log, mark.pos)->first_pos, &kit_err);
        s.memory.fail_at = 0;
        lacked += rc == DYNB_NO_MEMORY;
        CHECK(rc == DYNB_OK || kit_err.code == rc);
        if (rc != DYNB_OK)
            CHECK_INT(count_records(&s, 'L'), 0);
        s.db->op_count = 0;
    }
    CHECK_INT(rc, DYNB_OK);
    CHECK(lacked >= 3);
    CHECK(count_records(&s, 'L') >= 3);
    for (i = 0; find_record(&s, 'L', i, &record) > i; ++i) {
        dynbi_change change;
        dynbi_segment segment;
        memset(&change, 0, sizeof change);
        change.key = record.key;
        change.key_size = record.key_size;
        change.value = record.value;
        change.value_size = record.value_size;
        MUST(dynbi_segment_read(&change, &segment, &kit_err));
        CHECK(dynbi_segment_end(&s.db->log, &segment) > on_pos);
        CHECK(segment.first_pos < mark.pos);
    }
    MUST(dynb_wait_idle(s.db, &kit_err));
    store_crash(&s);
    for (i = 0; i < 2; ++i) {
        MUST(restore_at(&s, "Past", "Then", times[i]));
        CHECK_INT(kit_get(s.db, "Then", "a"), (int64_t)i + 1);
        MUST(dynb_delete_table(s.db, "Then", NULL, NULL, &kit_err));
    }
    EXPECT(dynb_check(s.db, NULL, NULL, NULL, &kit_err), DYNB_OK);
    store_end(&s);
}

/* Segments that were kept, and are not any more, join nothing. */
static void test_joins_deleted(void)
{
    store s;
    uint64_t times[PUTS], end;
    uint32_t i;
    int joins;
    found_record record;
    dynbi_change change;
    dynbi_segment segment;
    begin_past(&s, times);
    for (i = 0; i < 5; ++i) {
        fill(&s, "Past", 'b', 60, i, 100);
        MUST(dynb_wait_idle(s.db, &kit_err));
    }
    CHECK(find_record(&s, 'L', 0, &record) >= 2);
    memset(&change, 0, sizeof change);
    change.key = record.key;
    change.key_size = record.key_size;
    change.value = record.value;
    change.value_size = record.value_size;
    MUST(dynbi_segment_read(&change, &segment, &kit_err));
    end = dynbi_segment_end(&s.db->log, &segment);
    MUST(dynbi_history_joins(s.db, end - 8, end, &joins, &kit_err));
    CHECK(joins);
    delete_records(&s, 'L');
    MUST(dynbi_history_joins(s.db, end - 8, end, &joins, &kit_err));
    CHECK(!joins);
    store_end(&s);
}

/* A deleted table with recovery leaves its last backup, or is not deleted. */
static void test_last_backup(void)
{
    store s;
    uint64_t times[PUTS], n;
    uint32_t lacked = 0;
    dynb_rc rc = DYNB_NO_MEMORY;
    found_record record, backup;
    begin_past(&s, times);
    for (n = 1; rc == DYNB_NO_MEMORY && n < 60; ++n) {
        dynbi_buffer_free(&s.db->value);
        dynbi_buffer_free(&s.db->record);
        dynbi_buffer_free(&s.db->key);
        forget_reads(&s);
        s.memory.call_count = 0;
        s.memory.fail_from = 1; /* what is cached could make one failure good */
        s.memory.fail_at = n;
        rc = dynbi_history_delete_table(s.db, "Past", NULL, NULL, &kit_err);
        s.memory.fail_at = 0;
        if (rc != DYNB_OK) {
            ++lacked;
            CHECK_INT(kit_err.code, rc);
            CHECK(table_of(&s, "Past") != NULL);
            CHECK_INT(count_records(&s, 'B') + count_records(&s, 'X'), 0);
        }
    }
    CHECK_INT(rc, DYNB_OK);
    CHECK(lacked >= 4);
    CHECK(table_of(&s, "Past") == NULL);
    CHECK_INT(find_record(&s, 'B', 0, &backup), 1);
    CHECK_INT(find_record(&s, 'X', 0, &record), 1);
    CHECK_INT(record.key_size, 9 + backup.key_size); /* when, and what */
    CHECK(memcmp(record.key + 9, backup.key, backup.key_size) == 0);
    s.clock.now_ms = dynbi_load64_be(record.key + 1) + 1;
    CHECK(s.db->sweep_due_ms && s.db->sweep_due_ms < s.clock.now_ms);
    MUST(dynb_wait_idle(s.db, &kit_err));
    CHECK_INT(count_records(&s, 'B') + count_records(&s, 'X') + count_records(&s, 'P'), 0);
    store_end(&s);
}

/* ----------------------------------------------------------------- sweep -- */

static void sweep_now(store *s)
{
    s->db->sweep_is_due = 1;
    MUST(dynb_wait_idle(s->db, &kit_err));
    CHECK_INT(s->db->sweep_is_due, 0);
}

/* A base is not needed any more as soon as a later one is before the window; of
 * two tables each has its own. */
static void test_sweep_bases(void)
{
    static const char *const names[] = {"One", "Two"};
    store s;
    uint64_t times[5], first_ms;
    uint32_t i, k;
    store_begin(&s);
    s.config.memory_bytes = 65536;
    store_open(&s);
    for (k = 0; k < 2; ++k) {
        MUST(kit_create_table(s.db, names[k], NULL));
        MUST(switch_recovery(&s, names[k], 1));
    }
    first_ms = s.clock.now_ms;
    for (i = 0; i < 5; ++i) { /* an hour and enough log lie between them */
        s.clock.now_ms = first_ms + i * HOUR_MS;
        for (k = 0; k < 2; ++k) {
            fill(&s, names[k], 'a', 60, i, 300);
            times[i] = table_of(&s, names[k])->newest->last_time_ms;
            MUST(dynb_wait_idle(s.db, &kit_err));
        }
    }
    sweep_now(&s);
    CHECK(count_records(&s, 'P') >= 6);
    s.clock.now_ms = first_ms + DAY_MS + 5 * HOUR_MS / 2; /* from 2.5 hours on */
    for (k = 0; k < 2; ++k)
        MUST(kit_put(s.db, names[k], "z", 9));
    i = count_records(&s, 'P');
    sweep_now(&s);
    CHECK(count_records(&s, 'P') < i);
    CHECK(count_records(&s, 'P') >= 2);
    for (k = 0; k < 2; ++k) {
        for (i = 3; i < 5; ++i) { /* all that is left of the window */
            MUST(restore_at(&s, names[k], "Then", times[i]));
            CHECK_INT(kit_get(s.db, "Then", "a00059"), (int64_t)i);
            CHECK_INT(kit_get(s.db, "Then", "z"), -1);
            MUST(dynb_delete_table(s.db, "Then", NULL, NULL, &kit_err));
        }
        EXPECT(restore_at(&s, names[k], "Then", times[1]), DYNB_INVALID_RESTORE_TIME);
    }
    EXPECT(dynb_check(s.db, NULL, NULL, NULL, &kit_err), DYNB_OK);
    store_end(&s);
}

/* Bases that are old lie further apart: the sweep joins them with whatever memory
 * there is, or leaves them as they are, and the past is the same. */
static void test_sweep_joins(void)
{
    store s;
    uint64_t times[6], n;
    uint32_t i, k, count, lacked = 0;
    dynb_rc rc = DYNB_NO_MEMORY;
    store_begin(&s);
    s.config.memory_bytes = 65536;
    store_open(&s);
    MUST(kit_create_table(s.db, "Past", NULL));
    MUST(switch_recovery(&s, "Past", 35));
    for (i = 0; i < 6; ++i) {
        for (k = 0; k < 2; ++k)
            fill(&s, "Past", 'a', 60, i, 300);
        times[i] = table_of(&s, "Past")->newest->last_time_ms;
        MUST(dynb_wait_idle(s.db, &kit_err));
    }
    sweep_now(&s);
    count = count_records(&s, 'P');
    CHECK(count >= 4);
    s.clock.now_ms += 2 * DAY_MS;
    for (n = 1; rc == DYNB_NO_MEMORY && n < 200; ++n) {
        s.db->sweep_is_due = 1;
        dynbi_buffer_free(&s.db->value);
        dynbi_buffer_free(&s.db->record);
        forget_reads(&s);
        s.memory.call_count = 0;
        s.memory.fail_from = 1; /* what is cached could make one failure good */
        s.memory.fail_at = n;
        rc = dynbi_sweep_step(s.db, &s.db->worker->sweep, &kit_err);
        s.memory.fail_at = 0;
        lacked += rc == DYNB_NO_MEMORY;
        CHECK(count_records(&s, 'P') == count || rc == DYNB_OK);
    }
    CHECK_INT(rc, DYNB_OK);
    CHECK(lacked >= 5);
    CHECK(count_records(&s, 'P') < count);
    MUST(dynb_wait_idle(s.db, &kit_err));
    s.config.memory_bytes = 1 << 20; /* the store has grown */
    store_crash(&s);
    for (i = 0; i < 6; ++i) {
        MUST(restore_at(&s, "Past", "Then", times[i]));
        CHECK_INT(kit_get(s.db, "Then", "a00059"), (int64_t)i);
        MUST(dynb_delete_table(s.db, "Then", NULL, NULL, &kit_err));
    }
    EXPECT(dynb_check(s.db, NULL, NULL, NULL, &kit_err), DYNB_OK);
    store_end(&s);
}

/* A rule of one table: backups of the tables before it in the catalog, those that
 * are being made and the last ones of deleted tables are not its business. */
static void test_sweep_backups(void)
{
    store s;
    dynb_backup_retention rule;
    char arn[DYNB_ARN_MAX + 1], other[DYNB_ARN_MAX + 1];
    uint32_t i;
    store_begin(&s);
    store_open(&s);
    MUST(kit_create_table(s.db, "Other", NULL));
    back_up(&s, "Other", other);
    back_up(&s, "Other", other);
    MUST(kit_create_table(s.db, "Past", NULL));
    MUST(switch_recovery(&s, "Past", 1));
    MUST(dynb_delete_table(s.db, "Past", NULL, NULL, &kit_err));
    MUST(kit_create_table(s.db, "Past", NULL)); /* of the same name */
    memset(&rule, 0, sizeof rule);
    rule.keep_last = 2;
    MUST(dynb_update_backup_retention(s.db, "Past", &rule, &kit_err));
    for (i = 0; i < 4; ++i)
        back_up(&s, "Past", arn);
    MUST(kit_put(s.db, "Past", "a", 1));
    back_up(&s, "Past", arn);
    CHECK_INT(look_up(&s, arn).status, DYNB_BACKUP_CREATING);
    CHECK_INT(count_records(&s, 'B'), 2 + 1 + 5);
    s.db->sweep_is_due = 1;
    while (s.db->sweep_is_due || s.db->worker->sweep.phase)
        MUST(dynbi_sweep_step(s.db, &s.db->worker->sweep, &kit_err));
    CHECK_INT(look_up(&s, arn).status, DYNB_BACKUP_CREATING);
    CHECK_INT(count_records(&s, 'B'), 2 + 1 + 1 + 2); /* it does not count yet */
    MUST(dynb_wait_idle(s.db, &kit_err));
    sweep_now(&s);
    CHECK_INT(count_records(&s, 'B'), 2 + 1 + 2);
    CHECK_INT(look_up(&s, arn).status, DYNB_BACKUP_AVAILABLE);
    CHECK_INT(look_up(&s, other).status, DYNB_BACKUP_AVAILABLE);
    store_end(&s);
}

/* Rules of several tables, each with its own count; the live tables do not stand
 * in the order of their ids. */
static void test_sweep_rules(void)
{
    static const char *const names[] = {"Three", "One", "Two", "Four"};
    static const uint32_t keep[] = {3, 1, 2, 4};
    store s;
    dynb_backup_retention rule;
    dynb_list_backups_input input;
    dynb_backup_list list;
    char arn[DYNB_ARN_MAX + 1];
    uint32_t k, i;
    store_begin(&s);
    store_open(&s);
    for (k = 0; k < 4; ++k)
        MUST(kit_create_table(s.db, names[k], NULL));
    MUST(dynb_delete_table(s.db, "Three", NULL, NULL, &kit_err));
    MUST(kit_create_table(s.db, "Three", NULL));
    memset(&rule, 0, sizeof rule);
    for (k = 0; k < 4; ++k) {
        rule.keep_last = keep[k];
        MUST(dynb_update_backup_retention(s.db, names[k], &rule, &kit_err));
        for (i = 0; i < 5; ++i)
            back_up(&s, names[k], arn);
    }
    CHECK_INT(count_records(&s, 'B'), 4 * 5);
    sweep_now(&s);
    memset(&input, 0, sizeof input);
    for (k = 0; k < 4; ++k) {
        input.table = names[k];
        MUST(dynb_list_backups(s.db, &input, &list, &s.result, &kit_err));
        CHECK_INT(list.count, keep[k]);
    }
    store_end(&s);
}

/* Each allocation of a sweep fails once: it begins again, and comes to its end. */
static void test_sweep_memory(void)
{
    char name[64], arn[DYNB_ARN_MAX + 1];
    store s;
    dynb_backup_retention rule;
    uint32_t i, lacked = 0, lacked_key = 0;
    uint64_t n;
    dynb_rc rc = DYNB_NO_MEMORY;
    memset(name, 'n', 50); /* where a walk stops takes more than where it starts */
    name[50] = 0;
    store_begin(&s);
    store_open(&s);
    MUST(kit_create_table(s.db, name, NULL));
    for (i = 0; i < DYNBI_SWEEP_DELETES + 10; ++i)
        back_up(&s, name, arn);
    memset(&rule, 0, sizeof rule);
    rule.keep_last = 1;
    MUST(dynb_update_backup_retention(s.db, name, &rule, &kit_err));
    for (n = 1; rc == DYNB_NO_MEMORY && n < 100; ++n) {
        dynbi_sweep *sweep = &s.db->worker->sweep;
        CHECK_INT(sweep->phase, DYNBI_SWEEP_NONE);
        CHECK_INT(s.db->sweep_is_due, 1);
        CHECK_INT(count_records(&s, 'B'), DYNBI_SWEEP_DELETES + 10);
        dynbi_buffer_free(&sweep->at);
        forget_reads(&s);
        s.memory.call_count = 0;
        s.memory.fail_from = 1; /* what is cached could make one failure good */
        s.memory.fail_at = n;
        rc = dynbi_sweep_step(s.db, sweep, &kit_err);
        s.memory.fail_at = 0;
        CHECK(rc == DYNB_OK || (rc == DYNB_NO_MEMORY && kit_err.code == rc));
        lacked += rc != DYNB_OK;
        lacked_key += rc && strcmp(kit_err.message, "no memory for a key") == 0;
    }
    CHECK_INT(rc, DYNB_OK);
    CHECK(lacked >= 6);
    CHECK_INT(lacked_key, 2); /* to start at, and to go on with */
    CHECK_INT(count_records(&s, 'B'), 10);
    MUST(dynb_wait_idle(s.db, &kit_err));
    CHECK_INT(count_records(&s, 'B'), 1);
    CHECK_INT(look_up(&s, arn).status, DYNB_BACKUP_AVAILABLE);
    store_end(&s);
}

/* ------------------------------------------------------- damaged records -- */

/* A record that a sweep comes upon. */
typedef struct bad_record {
    const char *key;
    uint32_t key_size;
    const char *value;
    uint32_t value_size;
} bad_record;

static const bad_record bad_records[] = {
    {"L\0\0\0\0\0\0\0\1", 9, "\0\5", 2},                    /* how many pages? */
    {"L\0\0\0\0\0\0\0\1", 9, "\0\5\1\1", 4},                /* too much */
    {"L\0\0\0\0\0\0\0\1", 9, "\0\x80\x80\x80\x80\x10\1", 7}, /* page 2^32 */
    {"L\0\0\0\0\0\0\0\1", 9, "\0\5\x80\x80\x80\x80\x10", 7}, /* as many pages */
    {"BPast\0" "20261122000000-12345678", 6 + DYNBI_BACKUP_ID_SIZE, "\0\x7f", 2},
    {"BPast\0" "20261122000000-12345678", 6 + DYNBI_BACKUP_ID_SIZE, "\0\0\0", 3},
};

/* The sweep says so once, deletes nothing, and does not begin again until there
 * may be work for it; all else goes on. */
static void test_sweep_damage(void)
{
    size_t i;
    for (i = 0; i < sizeof bad_records / sizeof *bad_records; ++i) {
        const bad_record *bad = &bad_records[i];
        store s;
        dynb_backup_retention rule;
        uint64_t times[PUTS];
        uint32_t round;
        char arn[DYNB_ARN_MAX + 1];
        begin_past(&s, times);
        back_up(&s, "Past", arn);
        memset(&rule, 0, sizeof rule);
        rule.keep_last = 1;
        MUST(dynb_update_backup_retention(s.db, "Past", &rule, &kit_err));
        MUST(dynb_wait_idle(s.db, &kit_err));
        plant_record(&s, (const uint8_t *)bad->key, bad->key_size, (const uint8_t *)bad->value,
                     bad->value_size);
        for (round = 0; round < 2; ++round) {
            s.db->sweep_is_due = 1;
            EXPECT_MESSAGE(dynb_wait_idle(s.db, &kit_err), DYNB_CORRUPT, damaged);
            CHECK_INT(s.db->sweep_is_due, 0);
            CHECK_INT(s.db->worker->sweep.phase, DYNBI_SWEEP_NONE);
            EXPECT(dynb_wait_idle(s.db, &kit_err), DYNB_OK);
        }
        CHECK_INT(look_up(&s, arn).status, DYNB_BACKUP_AVAILABLE);
        CHECK_INT(kit_get(s.db, "Past", "a3"), 3);
        abandon(&s);
    }
}

/* A base of a table that is there, cut short anywhere: the sweep, a restore that
 * needs it, a check, and whoever asks what log to keep say so. */
static void test_cut_base(void)
{
    store s;
    uint64_t times[PUTS], pos;
    found_record record;
    uint32_t size;
    int is_needed;
    begin_past(&s, times);
    MUST(dynb_wait_idle(s.db, &kit_err));
    CHECK(find_record(&s, 'P', 0, &record) >= 1);
    for (size = 0; size < record.value_size; ++size) {
        plant_record(&s, record.key, record.key_size, record.value, size);
        EXPECT_MESSAGE(restore_at(&s, "Past", "Then", times[2]), DYNB_CORRUPT, damaged);
        expect_nothing_made(&s, 1);
        EXPECT(dynb_check(s.db, NULL, NULL, NULL, &kit_err), DYNB_CORRUPT);
        EXPECT_MESSAGE(dynbi_history_keep_pos(s.db, &pos, &kit_err), DYNB_CORRUPT, damaged);
    }
    plant_record(&s, record.key, record.key_size, record.value, 5);
    is_needed = 0;
    table_of(&s, "Past")->history_end_pos = DYNBI_POS_UNKNOWN;
    EXPECT_MESSAGE(dynbi_history_needs(s.db, table_of(&s, "Past"), 0, 1, &is_needed, &kit_err),
                   DYNB_CORRUPT, damaged);
    CHECK(!is_needed);
    s.db->sweep_is_due = 1;
    EXPECT_MESSAGE(dynb_wait_idle(s.db, &kit_err), DYNB_CORRUPT, damaged);
    plant_record(&s, record.key, record.key_size, record.value, record.value_size);
    MUST(dynb_wait_idle(s.db, &kit_err));
    expect_state(&s, times[2], 2);
    EXPECT(dynb_check(s.db, NULL, NULL, NULL, &kit_err), DYNB_OK);
    abandon(&s);
}

typedef struct problems {
    uint32_t count;
    char where[128];
    char message[DYNB_MESSAGE_SIZE];
} problems;

static void note_problem(void *ctx, const char *where, const dynb_error *problem)
{
    problems *all = (problems *)ctx;
    if (all->count++ == 0) {
        kit_copy(all->where, sizeof all->where, where);
        kit_copy(all->message, sizeof all->message, problem->message);
    }
}

/* Records of kept log that cannot be: a check names them, the marking of the next
 * checkpoint stops at them, and the store does not open with them. */
static void test_bad_segments(void)
{
    static const char *const values[] = {
        "\0\0\1", "\0\1\1", "\0\5\0", "\0\xff\xff\xff\x7f\1", "\0\5\xff\xff\xff\x7f",
        "\0\x80\x80\x80\x80\x10\1", "\0\5"};
    static const uint32_t sizes[] = {3, 3, 3, 6, 6, 7, 2};
    size_t i;
    for (i = 0; i < sizeof sizes / sizeof *sizes; ++i) {
        store s;
        problems all;
        dynb_check_report report;
        dynbi_job *job;
        dynb_rc rc = DYNB_OK;
        memset(&all, 0, sizeof all);
        store_begin(&s);
        store_open(&s);
        MUST(kit_create_table(s.db, "Table", NULL));
        MUST(kit_put(s.db, "Table", "a", 1));
        MUST(dynb_wait_idle(s.db, &kit_err));
        plant_record(&s, (const uint8_t *)"L\0\0\0\0\0\0\0\1", 9, (const uint8_t *)values[i],
                     sizes[i]);
        EXPECT(dynb_check(s.db, &report, note_problem, &all, &kit_err), DYNB_CORRUPT);
        CHECK_INT(report.problems_count, 1);
        CHECK_INT(all.count, 1);
        CHECK_TEXT(all.where, "the history, key L0000000000000001");
        CHECK(strncmp(all.message, "its record is damaged", 21) == 0);
        job = &s.db->worker->job[0];
        MUST(dynbi_checkpoint_start(job, &kit_err));
        while (job->kind)
            MUST(dynbi_job_step(s.db->worker, job, 1 << 20, &kit_err));
        while (rc == DYNB_OK && s.db->worker->is_marking)
            rc = dynbi_mark_step(s.db->worker, 1 << 20, &kit_err);
        CHECK_INT(rc, DYNB_CORRUPT);
        CHECK_TEXT(kit_err.message, damaged);
        CHECK_INT(s.db->worker->is_marking, 0);
        CHECK_INT(kit_get(s.db, "Table", "a"), 1);
        dynbi_api_free(s.db);
        s.db = NULL;
        EXPECT_MESSAGE(store_try(&s), DYNB_CORRUPT, damaged);
        CHECK(s.db == NULL);
        store_end(&s);
    }
}

/* --------------------------------------------- restores to a point in time -- */

/* The base that should be there is not. */
static void test_no_base(void)
{
    store s;
    uint64_t times[PUTS];
    begin_past(&s, times);
    MUST(dynb_wait_idle(s.db, &kit_err));
    delete_records(&s, 'P');
    EXPECT_MESSAGE(restore_at(&s, "Past", "Then", times[2]), DYNB_CORRUPT,
                   "the history of table Past is damaged");
    expect_nothing_made(&s, 1);
    expect_state(&s, times[PUTS - 1], PUTS - 1); /* the live snapshot will do */
    store_end(&s);
}

static const char kept_log[] =
    "the log kept for point-in-time recovery is damaged after change ";

/* What a base may not say. */
static void spoil_base(dynbi_base *base, const dynbi_log_mark *tail, uint32_t how)
{
    switch (how) {
    case 0: base->mark.pos += 8; break;
    case 1: base->mark.pos += (uint64_t)1 << 40; break;
    case 2: base->mark.pos -= 8; break;
    case 3: base->mark.pos = ~(uint64_t)7; break;
    case 4: base->mark.lsn += 1; break;
    case 5: base->mark.time_ms += (uint64_t)1 << 40; break;
    case 6: base->mark.sum ^= 1; break;
    case 7: base->mark.epoch += 1; break;
    case 8: base->segment.page = 0; break;
    case 9: base->segment.page = 0xffffffffu; break;
    case 10: base->segment.page += 1; break;
    case 11: base->segment.page_count = 0; break;
    case 12: base->segment.page_count += 1; break;
    case 13: base->segment.page_count = 0xffffffffu; break;
    case 14: base->segment.first_pos += 512; break;
    case 15: base->segment.first_pos = ~(uint64_t)0 - 511; break;
    case 16: base->mark.pos += 1; break;
    case 17: base->mark.pos = base->segment.first_pos - 8; break;
    case 18: base->mark.pos = 8; break;
    case 19: base->end_pos = base->mark.pos; break;
    default: base->mark.pos = tail->pos; break;
    }
}

#define SPOILS 21u

/* Bases that lead elsewhere than to the log they name, whatever they say. */
static void test_bad_bases(void)
{
    store s;
    uint64_t times[PUTS];
    found_record record;
    uint32_t how;
    begin_past_later(&s, times, 60);
    MUST(dynb_wait_idle(s.db, &kit_err));
    CHECK(find_record(&s, 'P', 0, &record) >= 1);
    for (how = 0; how < SPOILS; ++how) {
        dynbi_base base = read_base(&s, &record);
        const char *message;
        dynbi_coder coder;
        dynb_rc rc;
        spoil_base(&base, &s.db->log.tail, how);
        message = base.end_pos <= base.mark.pos ? "the history of table Past is damaged" : kept_log;
        dynbi_history_record(s.db, &coder);
        dynbi_code_place(&coder, &base);
        dynbi_code_snapshot(&coder, NULL, &base.snapshot);
        dynbi_snapshot_free(&s.db->allocator, &base.snapshot);
        plant_record(&s, record.key, record.key_size, s.db->value.bytes, s.db->value.used_bytes);
        rc = restore_at(&s, "Past", "Then", times[2]);
        if (rc != DYNB_CORRUPT)
            printf("    a base spoilt in way %u: %s\n", (unsigned)how, kit_code_name(rc));
        CHECK_INT(rc, DYNB_CORRUPT);
        CHECK(strncmp(kit_err.message, message, strlen(message)) == 0);
        if (rc == DYNB_OK)
            MUST(dynb_delete_table(s.db, "Then", NULL, NULL, &kit_err));
        else
            expect_nothing_made(&s, 1);
        CHECK_INT(s.device.broken_promise_count, 0);
    }
    abandon(&s);
}

/* Bytes of the kept log changed in turn: said, or not needed. */
static void test_damaged_log(void)
{
    store s;
    uint64_t times[PUTS], at, end;
    uint32_t corrupt = 0;
    found_record record;
    dynbi_base base;
    begin_past(&s, times);
    MUST(dynb_wait_idle(s.db, &kit_err));
    CHECK(find_record(&s, 'P', 0, &record) >= 1);
    base = read_base(&s, &record);
    dynbi_snapshot_free(&s.db->allocator, &base.snapshot);
    at = (uint64_t)base.segment.page * 512;
    end = at + base.segment.page_count * 512u;
    for (; at < end; at += 5) {
        dynb_rc rc;
        s.device.current[at] ^= 0x10;
        rc = restore_at(&s, "Past", "Then", times[2]);
        s.device.current[at] ^= 0x10;
        CHECK(rc == DYNB_OK || rc == DYNB_CORRUPT);
        if (rc == DYNB_CORRUPT) {
            ++corrupt;
            CHECK(strncmp(kit_err.message, kept_log, strlen(kept_log)) == 0);
            expect_nothing_made(&s, 1);
        } else {
            CHECK_INT(kit_get(s.db, "Then", "a2"), 2);
            CHECK_INT(kit_get(s.db, "Then", "a3"), -1);
            MUST(dynb_delete_table(s.db, "Then", NULL, NULL, &kit_err));
        }
    }
    CHECK(corrupt > 50);
    expect_state(&s, times[2], 2);
    store_end(&s);
}

static dynb_rc no_write(void *ctx, uint64_t pos, const void *from, size_t size)
{
    (void)ctx;
    (void)pos;
    (void)from;
    (void)size;
    return DYNB_IO_FAILED;
}

static dynb_rc no_sync(void *ctx)
{
    (void)ctx;
    return DYNB_IO_FAILED;
}

/* The device fails while the past is written, or when it is to be made durable:
 * the handle is read-only then, and the store is as it was. */
static void test_device_fails(void)
{
    int is_sync;
    for (is_sync = 0; is_sync < 2; ++is_sync) {
        store s;
        uint64_t times[PUTS];
        begin_past(&s, times);
        MUST(dynb_wait_idle(s.db, &kit_err));
        if (is_sync)
            s.db->disk.device.sync_fn = no_sync;
        else
            s.db->disk.device.write_fn = no_write;
        EXPECT(restore_at(&s, "Past", "Then", times[2]), DYNB_IO_FAILED);
        expect_nothing_made(&s, 1);
        CHECK_INT(s.db->disk.has_failed, 1);
        EXPECT_MESSAGE(restore_at(&s, "Past", "Then", times[2]), DYNB_READ_ONLY,
                       "the device failed earlier; open the store again to write");
        store_crash(&s);
        expect_state(&s, times[2], 2);
        EXPECT(dynb_scrub(s.db, &kit_err), DYNB_OK);
        store_end(&s);
    }
}

/* On a device of fixed size a restore leaves what the rest needs to go on. */
static void test_no_space(void)
{
    store s;
    uint64_t times[PUTS];
    uint32_t free_count;
    begin_past(&s, times);
    MUST(dynb_wait_idle(s.db, &kit_err));
    leave_headroom(&s);
    free_count = dynbi_pages_free_count(&s.db->pages);
    EXPECT(restore_at(&s, "Past", "Then", times[2]), DYNB_NO_SPACE);
    expect_nothing_made(&s, 1);
    CHECK(dynbi_pages_free_count(&s.db->pages) >= free_count);
    s.db->disk.device.resize_fn = fault_resize_device; /* with room it works */
    expect_state(&s, times[2], 2);
    store_end(&s);
}

/* A frame whose sum is right, but that says what cannot be. */
static void test_bad_frame(void)
{
    static const uint8_t bad[] = {1, 0, 0, 0x80, 0x60, 'k', 'k', 'v'}; /* such a long key? */
    dynbi_change change;
    uint64_t times[PUTS];
    dynb_rc rc;
    store s;
    begin_past(&s, times);
    memset(&change, 0, sizeof change);
    change.key = (const uint8_t *)"XA";
    change.key_size = 2;
    change.is_tombstone = 1;
    MUST(dynbi_change_begin(s.db, &kit_err));
    MUST(dynbi_change_add(s.db, &s.db->catalog, 0, &change, &kit_err));
    CHECK(dynbi_buffer_append(&s.db->frame, bad, sizeof bad));
    MUST(dynbi_change_commit(s.db, DYNB_SYNCED, &kit_err));
    s.clock.now_ms += 1000;
    rc = restore_at(&s, "Past", "Then", s.clock.now_ms);
    CHECK_INT(rc, DYNB_CORRUPT);
    CHECK_TEXT(kit_err.message, "a log record is malformed");
    expect_nothing_made(&s, 1);
    expect_state(&s, times[PUTS - 1], PUTS - 1); /* before it all is as it was */
    abandon(&s);
}

/* ------------------------------------------------- indexes of the past -- */

static void put_v(store *s, uint32_t i, int64_t v)
{
    char id[8];
    snprintf(id, sizeof id, "a%u", (unsigned)i);
    s->clock.now_ms += 1000;
    MUST(kit_put(s->db, "Past", id, v));
}

/* "Past" with an index of v, one that is being deleted, and recovery; returns
 * the time when each a<i> had v = i. */
static uint64_t begin_indexed(store *s)
{
    dynb_create_table_input input;
    dynb_update_table_input change;
    dynb_index indexes[2];
    dynb_index_update update;
    uint64_t time_ms;
    uint32_t i;
    store_begin(s);
    s->config.log_segment_bytes = 2048;
    store_open(s);
    memset(&input, 0, sizeof input);
    memset(&change, 0, sizeof change);
    memset(indexes, 0, sizeof indexes);
    indexes[0].index_name = "gone";
    indexes[0].partition_key.name = "w";
    indexes[0].partition_key.type = DYNB_S;
    indexes[1].index_name = "by-v";
    indexes[1].partition_key.name = "v";
    indexes[1].partition_key.type = DYNB_N;
    input.table_name = "Past";
    input.partition_key.name = "Id";
    input.partition_key.type = DYNB_S;
    input.global_indexes = indexes;
    input.global_index_count = 2;
    MUST(dynb_create_table(s->db, &input, NULL, NULL, &kit_err));
    MUST(switch_recovery(s, "Past", 35));
    for (i = 0; i < PUTS; ++i)
        put_v(s, i, (int64_t)i);
    time_ms = table_of(s, "Past")->newest->last_time_ms;
    for (i = 0; i < PUTS; ++i)
        put_v(s, i, 100);
    MUST(dynb_wait_idle(s->db, &kit_err)); /* folded: a base is needed */
    CHECK(table_of(s, "Past")->folded_time_ms > time_ms);
    update.action = DYNB_DELETE_INDEX;
    update.index = indexes[0];
    change.table = "Past";
    change.change = DYNB_CHANGE_INDEXES;
    change.index_updates = &update;
    change.index_update_count = 1;
    MUST(dynb_update_table(s->db, &change, NULL, NULL, &kit_err));
    CHECK_INT(table_of(s, "Past")->index_count, 2);
    return time_ms;
}

/* What is restored has the source's indexes, filled anew from the past's items;
 * one that is being deleted is none. */
static void expect_indexed(store *s)
{
    dynb_table_description about;
    dynb_item *items;
    check_random random;
    uint32_t count;
    random.state = 1;
    MUST(dynb_wait_idle(s->db, &kit_err));
    MUST(dynb_describe_table(s->db, "Then", &about, &s->result, &kit_err));
    CHECK_INT(about.item_count, PUTS);
    CHECK_INT(about.global_index_count, 1);
    CHECK_TEXT(about.global_indexes[0].index.index_name, "by-v");
    CHECK_INT(about.global_indexes[0].status, DYNB_INDEX_ACTIVE);
    CHECK(index_compare(s->db, "Then", 1, &random));
    CHECK(index_compare(s->db, "Past", 1, &random));
    MUST(index_read_all(s->db, "Then", "by-v", 3, &items, &count));
    CHECK_INT(count, PUTS);
    index_free_all(items, count);
    CHECK_INT(kit_get(s->db, "Then", "a7"), 7);
    EXPECT(dynb_check(s->db, NULL, NULL, NULL, &kit_err), DYNB_OK);
}

static void test_indexes(void)
{
    dynb_restore_to_time_input input;
    dynb_table_description about;
    uint64_t time_ms, n;
    uint32_t lacked_index = 0, lacked_indexes = 0;
    dynb_rc rc = DYNB_NO_MEMORY;
    store s;
    time_ms = begin_indexed(&s);
    input = restore_input("Past", "Then", time_ms);
    input.overrides.override = DYNB_OVERRIDE_BILLING_MODE;
    input.overrides.billing_mode = DYNB_PROVISIONED;
    lsn_before = s.db->log.tail.lsn;
    EXPECT_MESSAGE(dynb_restore_table_to_point_in_time(s.db, &input, NULL, NULL, &kit_err),
                   DYNB_VALIDATION,
                   "Invalid Request: Must override ProvisionedThroughput if BillingMode is "
                   "overridden to PROVISIONED");
    expect_nothing_made(&s, 1);
    memset(&input.overrides, 0, sizeof input.overrides);
    for (n = 1; rc == DYNB_NO_MEMORY && n < 300; ++n) {
        forget_reads(&s);
        lsn_before = s.db->log.tail.lsn;
        s.memory.call_count = 0;
        s.memory.fail_from = 1; /* what is cached could make one failure good */
        s.memory.fail_at = n;
        rc = dynb_restore_table_to_point_in_time(s.db, &input, &about, &s.result, &kit_err);
        s.memory.fail_at = 0;
        if (rc != DYNB_OK) {
            CHECK_INT(rc, DYNB_NO_MEMORY);
            CHECK_INT(kit_err.code, rc);
            lacked_index += strcmp(kit_err.message, "no memory for an index") == 0;
            lacked_indexes += strcmp(kit_err.message, "no memory for indexes") == 0;
            expect_nothing_made(&s, 1);
        }
    }
    CHECK_INT(rc, DYNB_OK);
    CHECK(lacked_index >= 1 && lacked_indexes >= 1);
    CHECK_TEXT(about.table_name, "Then");
    CHECK_INT(about.global_index_count, 1);
    CHECK_INT(about.global_indexes[0].status, DYNB_INDEX_CREATING);
    expect_indexed(&s);
    store_crash(&s);
    expect_indexed(&s);
    store_end(&s);
}

/* A time not before the live snapshot: that is where the new table begins, when
 * there is memory. */
static void test_live_base(void)
{
    store s;
    uint64_t times[PUTS], n;
    uint32_t lacked_runs = 0;
    dynb_rc rc = DYNB_NO_MEMORY;
    begin_past(&s, times);
    MUST(dynb_wait_idle(s.db, &kit_err));
    for (n = 1; rc == DYNB_NO_MEMORY && n < 300; ++n) {
        forget_reads(&s);
        s.memory.call_count = 0;
        s.memory.fail_from = 1;
        s.memory.fail_at = n;
        rc = restore_at(&s, "Past", "Then", times[PUTS - 1]);
        s.memory.fail_at = 0;
        if (rc != DYNB_OK) {
            CHECK_INT(rc, DYNB_NO_MEMORY);
            lacked_runs += strcmp(kit_err.message, "no memory for a table's snapshot") == 0;
            expect_nothing_made(&s, 1);
        }
    }
    CHECK_INT(rc, DYNB_OK);
    CHECK(lacked_runs >= 1);
    CHECK_INT(kit_get(s.db, "Then", "a5"), 5);
    store_end(&s);
}

/* ------------------------------------------- while the past is restored -- */

/* What others do while a restore has left the lock: the device is called then. */
typedef struct others {
    store *s;
    dynb_rc (*sync_fn)(void *ctx);
    int way; /* 0: nothing more */
} others;

static others meanwhile;

static dynb_rc sync_meanwhile(void *ctx)
{
    const int way = meanwhile.way;
    dynb_error error = kit_err; /* the restore's */
    meanwhile.way = 0;
    if (way && !meanwhile.s->db->worker->is_outside)
        meanwhile.way = way; /* not yet */
    else if (way == 1)
        MUST(dynb_delete_table(meanwhile.s->db, "Past", NULL, NULL, &kit_err));
    else if (way == 2)
        EXPECT(kit_create_table(meanwhile.s->db, "Then", NULL), DYNB_RESOURCE_IN_USE);
    else if (way == 3)
        MUST(kit_put(meanwhile.s->db, "Past", "a2", 99));
    kit_err = error;
    return meanwhile.sync_fn(ctx);
}

/* The source is deleted, another wants the target's name, or the source changes
 * meanwhile. */
static void test_meanwhile(void)
{
    int way;
    for (way = 1; way <= 3; ++way) {
        store s;
        uint64_t times[PUTS];
        dynb_rc rc;
        begin_past(&s, times);
        MUST(dynb_wait_idle(s.db, &kit_err));
        meanwhile.s = &s;
        meanwhile.sync_fn = s.db->disk.device.sync_fn;
        meanwhile.way = way;
        s.db->disk.device.sync_fn = sync_meanwhile;
        rc = restore_at(&s, "Past", "Then", times[2]);
        CHECK_INT(meanwhile.way, 0); /* it did happen */
        CHECK_INT(s.db->worker->is_busy, 0);
        if (way == 1) {
            CHECK_INT(rc, DYNB_TABLE_NOT_FOUND);
            CHECK_TEXT(kit_err.message, "Table not found: Past");
            CHECK_INT(s.db->live_count, 0);
        } else {
            CHECK_INT(rc, DYNB_OK);
            CHECK_INT(kit_get(s.db, "Then", "a2"), 2);
            CHECK_INT(kit_get(s.db, "Then", "a3"), -1);
            if (way == 3)
                CHECK_INT(kit_get(s.db, "Past", "a2"), 99);
        }
        MUST(dynb_wait_idle(s.db, &kit_err));
        EXPECT(dynb_check(s.db, NULL, NULL, NULL, &kit_err), DYNB_OK);
        EXPECT(dynb_scrub(s.db, &kit_err), DYNB_OK);
        store_end(&s);
    }
}

/* A check of what a deleted table has left, without memory for each of its
 * steps. */
static void test_check_expiry(void)
{
    store s;
    uint64_t times[PUTS], n;
    uint32_t lacked = 0;
    dynb_rc rc = DYNB_NO_MEMORY;
    begin_past(&s, times);
    MUST(dynb_delete_table(s.db, "Past", NULL, NULL, &kit_err));
    MUST(dynb_wait_idle(s.db, &kit_err));
    for (n = 1; rc == DYNB_NO_MEMORY && n < 5000; ++n) {
        forget_reads(&s);
        s.memory.call_count = 0;
        s.memory.fail_from = 1;
        s.memory.fail_at = n;
        rc = dynb_check(s.db, NULL, NULL, NULL, &kit_err);
        s.memory.fail_at = 0;
        lacked += rc == DYNB_NO_MEMORY;
    }
    CHECK_INT(rc, DYNB_OK);
    CHECK(lacked > 1);
    store_end(&s);
}

int main(void)
{
    test_answers();
    test_no_answer();
    test_limit();
    test_checkpoint_first();
    test_note_memory();
    test_keep_log();
    test_joins_deleted();
    test_last_backup();
    test_sweep_bases();
    test_sweep_joins();
    test_sweep_backups();
    test_sweep_rules();
    test_sweep_memory();
    test_sweep_damage();
    test_cut_base();
    test_bad_segments();
    test_no_base();
    test_bad_bases();
    test_damaged_log();
    test_device_fails();
    test_no_space();
    test_bad_frame();
    test_indexes();
    test_live_base();
    test_check_expiry();
    test_meanwhile();
    return check_report("unit_history");
}
