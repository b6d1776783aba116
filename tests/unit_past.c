/* unit_past.c - section 24, history: records of bases, kept segments and
 * expiries, whole and malformed; what keeps log and what does not; the rules of
 * retention one by one. What they come to is in test_pitr.c. */
#include "store.h"

#define RECORD_BROKEN "a record of the catalog is damaged"

static dynb_rc switch_on(store *s, const char *table)
{
    dynb_update_continuous_backups_input input;
    memset(&input, 0, sizeof input);
    input.table = table;
    input.point_in_time_recovery = 1;
    return dynb_update_continuous_backups(s->db, &input, NULL, &kit_err);
}

static void begin(store *s)
{
    store_begin(s);
    s->config.log_segment_bytes = 2048;
    store_open(s);
    MUST(kit_create_table(s->db, "Past", NULL));
    MUST(switch_on(s, "Past"));
}

/* A base's record, written and read. */
static void test_records(void)
{
    dynbi_base base, got;
    dynbi_coder coder;
    dynbi_change record;
    dynbi_segment segment;
    uint8_t key[9];
    size_t size;
    store s;
    begin(&s);
    memset(&base, 0, sizeof base);
    base.segment.page = 0xffffffffu;
    base.segment.page_count = 7;
    base.segment.first_pos = (uint64_t)1 << 40;
    base.mark.pos = base.segment.first_pos + 5;
    base.mark.lsn = 99;
    base.mark.time_ms = 1700000000000u;
    base.mark.sum = 0xfedcba98u;
    base.mark.epoch = 3;
    base.end_pos = base.mark.pos + 1000;
    base.snapshot.folded_lsn = 90;
    base.snapshot.folded_time_ms = 1699999999999u;
    base.snapshot.item_count = 4;
    dynbi_history_record(s.db, &coder);
    dynbi_code_place(&coder, &base);
    dynbi_code_snapshot(&coder, NULL, &base.snapshot);
    CHECK(!coder.is_broken);
    memset(&record, 0, sizeof record);
    record.key = (const uint8_t *)"P";
    record.key_size = 1;
    record.value = s.db->value.bytes;
    record.value_size = (uint32_t)s.db->value.used_bytes;
    EXPECT(dynbi_base_read(&s.db->allocator, &record, &got, &kit_err), DYNB_OK);
    CHECK(memcmp(&got.segment, &base.segment, sizeof got.segment) == 0);
    CHECK(memcmp(&got.mark, &base.mark, sizeof got.mark) == 0);
    CHECK_INT(got.end_pos, base.end_pos);
    CHECK_INT(got.snapshot.folded_time_ms, base.snapshot.folded_time_ms);
    CHECK_INT(got.snapshot.item_count, 4);
    EXPECT(dynbi_base_read(NULL, &record, &got, &kit_err), DYNB_OK);
    CHECK_INT(got.snapshot.folded_lsn, 90);
    for (size = 0; size + 1 < s.db->value.used_bytes; ++size) { /* cut off anywhere */
        record.value_size = (uint32_t)size;
        EXPECT_MESSAGE(dynbi_base_read(&s.db->allocator, &record, &got, &kit_err), DYNB_CORRUPT,
                       RECORD_BROKEN);
    }
    dynbi_history_record(s.db, &coder);
    dynbi_code_extent(&coder, &base.segment);
    key[0] = 'L';
    dynbi_store64_be(key + 1, 12345);
    record.key = key;
    record.key_size = sizeof key;
    record.value = s.db->value.bytes;
    record.value_size = (uint32_t)s.db->value.used_bytes;
    EXPECT(dynbi_segment_read(&record, &segment, &kit_err), DYNB_OK);
    CHECK(segment.page == 0xffffffffu && segment.page_count == 7 && segment.first_pos == 12345);
    EXPECT_MESSAGE(dynbi_mark_segment(&s.db->pages, &s.db->reader, &record, &kit_err),
                   DYNB_CORRUPT, RECORD_BROKEN); /* beyond the device */
    record.key_size = 8;
    EXPECT_MESSAGE(dynbi_segment_read(&record, &segment, &kit_err), DYNB_CORRUPT, RECORD_BROKEN);
    dynbi_history_record(s.db, &coder);
    {
        uint64_t wide = (uint64_t)1 << 32;
        dynbi_code_u64(&coder, &wide);
        dynbi_code_u64(&coder, &wide);
    }
    record.key_size = 9;
    record.value = s.db->value.bytes;
    record.value_size = (uint32_t)s.db->value.used_bytes;
    EXPECT_MESSAGE(dynbi_segment_read(&record, &segment, &kit_err), DYNB_CORRUPT, RECORD_BROKEN);
    store_end(&s);
}

static uint32_t seen_count;
static char seen[512];

static void note_problem(void *ctx, const char *where, const dynb_error *problem)
{
    (void)ctx;
    ++seen_count;
    snprintf(seen, sizeof seen, "%.200s: %.200s", where, problem->message);
}

/* A check that from one of its allocations on gets none says so, or needs none
 * of them; where one fails, it is made again without caches. */
static void check_without_memory(store *s)
{
    uint32_t n, failed_count = 0;
    for (n = 1; n < 500; ++n) {
        dynb_rc rc;
        dynbi_buffer_free(&s->db->key);
        dynbi_buffer_free(&s->db->record);
        forget_reads(s);
        seen_count = 0;
        s->memory.call_count = s->memory.failed_count = 0;
        s->memory.fail_at = n;
        EXPECT(dynb_check(s->db, NULL, note_problem, NULL, &kit_err), DYNB_OK);
        s->memory.call_count = s->memory.failed_count = 0;
        s->memory.fail_from = 1;
        rc = dynb_check(s->db, NULL, note_problem, NULL, &kit_err);
        s->memory.fail_from = 0;
        s->memory.fail_at = 0;
        CHECK(rc == DYNB_OK || rc == DYNB_NO_MEMORY);
        CHECK_INT(seen_count, 0);
        failed_count += rc == DYNB_NO_MEMORY;
        if (!s->memory.failed_count)
            break;
    }
    CHECK(n < 500 && failed_count > 5);
}

/* Malformed records: told by a check, and once by the sweep. */
static void test_malformed(void)
{
    static const struct {
        const char *key;
        size_t key_size;
    } bad[] = {{"L1234567", 8}, {"P123", 4}, {"X12", 3}};
    uint8_t base[DYNBI_BASE_KEY_BYTES];
    uint32_t i;
    store s;
    for (i = 0; i < 4; ++i) {
        begin(&s);
        fill(&s, "Past", 'a', 3, 1, 10);
        MUST(dynb_wait_idle(s.db, &kit_err));
        dynbi_base_key(base, table_of(&s, "Past"), 1); /* a good key without a record */
        plant_record(&s, i < 3 ? (const uint8_t *)bad[i].key : base,
                     i < 3 ? bad[i].key_size : sizeof base, (const uint8_t *)"\0\377", 2);
        s.db->sweep_is_due = 1;
        seen_count = 0;
        EXPECT(dynb_check(s.db, NULL, note_problem, NULL, &kit_err), DYNB_CORRUPT);
        CHECK_INT(seen_count, 1);
        CHECK_TEXT(strstr(seen, ": "), ": its record is damaged"); /* and no place: it is no node */
        CHECK(strstr(seen, i == 2 ? "the end of a backup, key X" : "the history, key"));
        EXPECT_MESSAGE(dynbi_sweep_step(s.db, &s.db->worker->sweep, &kit_err), DYNB_CORRUPT,
                       RECORD_BROKEN);
        CHECK(!s.db->sweep_is_due && !s.db->worker->sweep.phase);
        (void)dynb_close(s.db, NULL);
        s.db = NULL;
        store_end(&s);
    }
}

/* A backup that ends and the record that says when: one without the other is
 * told by a check. */
static void test_ends(void)
{
    static const char *const problems[] = {
        "its record is damaged", "there is no such backup", "its backup ends at another time",
        "there is no such backup", "no record says when it ends"};
    dynb_list_backups_input input;
    dynb_backup_list list;
    uint64_t expires_at_ms;
    uint32_t i;
    for (i = 0; i < 5; ++i) {
        uint8_t key[9 + 2 + DYNB_NAME_MAX + DYNBI_BACKUP_ID_SIZE];
        size_t size = 11;
        dynb_rc rc;
        store s;
        begin(&s);
        fill(&s, "Past", 'a', 3, 1, 10);
        MUST(dynb_delete_table(s.db, "Past", NULL, NULL, &kit_err));
        MUST(dynb_wait_idle(s.db, &kit_err));
        EXPECT(dynb_check(s.db, NULL, NULL, NULL, &kit_err), DYNB_OK);
        check_without_memory(&s);
        memset(&input, 0, sizeof input);
        input.type = DYNB_LIST_SYSTEM;
        MUST(dynb_list_backups(s.db, &input, &list, &s.result, &kit_err));
        expires_at_ms = list.backups[0].expires_at_ms;
        memset(key, 0, sizeof key);
        key[0] = 'X';
        dynbi_store64_be(key + 1, expires_at_ms + (i == 2));
        memcpy(key + 9, i == 0 ? "TTTTT" : "BPast", 5);
        if (i >= 2) { /* the backup's own key */
            memcpy(key + 15, strrchr(list.backups[0].backup_arn, '/') + 1, DYNBI_BACKUP_ID_SIZE);
            size = 15 + DYNBI_BACKUP_ID_SIZE;
        }
        if (i == 3) /* a backup whose record cannot be read */
            plant_record(&s, key + 9, size - 9, (const uint8_t *)"\0\377", 2);
        else if (i < 3)
            plant_record(&s, key, size, (const uint8_t *)"\0", 1);
        else {
            MUST(dynbi_store_begin_writing(s.db, &kit_err));
            MUST(dynbi_change_begin(s.db, &kit_err));
            MUST(dynbi_catalog_change(s.db, key, size, NULL, &kit_err));
            MUST(dynbi_change_commit(s.db, DYNB_SYNCED, &kit_err));
        }
        seen_count = 0;
        rc = dynb_check(s.db, NULL, note_problem, NULL, &kit_err);
        CHECK_INT(rc, DYNB_CORRUPT);
        CHECK_INT(seen_count, i == 3 ? 2 : 1); /* its own record, too */
        CHECK(strstr(seen, problems[i]));
        (void)dynb_close(s.db, NULL);
        s.db = NULL;
        store_end(&s);
    }
}

/* Places in the log: which join without a whole segment between them. */
static void test_joins(void)
{
    uint64_t first, end;
    int joins;
    store s;
    begin(&s);
    fill(&s, "Past", 'a', 60, 1, 100);
    CHECK(s.db->log.segment_count > 3);
    first = s.db->log.segments[1].first_pos;
    end = dynbi_segment_end(&s.db->log, &s.db->log.segments[1]);
    EXPECT(dynbi_history_joins(s.db, first + 9, first + 1, &joins, &kit_err), DYNB_OK);
    CHECK(joins);
    EXPECT(dynbi_history_joins(s.db, first + 9, end, &joins, &kit_err), DYNB_OK);
    CHECK(joins);
    EXPECT(dynbi_history_joins(s.db, first + 9, end + 1, &joins, &kit_err), DYNB_OK);
    CHECK(!joins);
    EXPECT(dynbi_history_joins(s.db, first, first + 1, &joins, &kit_err), DYNB_OK);
    CHECK(!joins); /* the change before lies in the segment before */
    for (first = 0; first < 5; ++first) { /* folded, and its log kept in the catalog */
        fill(&s, "Past", 'b', 60, (int64_t)first, 100);
        MUST(dynb_wait_idle(s.db, &kit_err));
    }
    CHECK(s.db->log.segments[0].first_pos > end);
    EXPECT(dynbi_history_joins(s.db, end, end + 1, &joins, &kit_err), DYNB_OK);
    CHECK(!joins);
    EXPECT(dynbi_history_joins(s.db, end + 9, end + 10, &joins, &kit_err), DYNB_OK);
    CHECK(joins);
    store_end(&s);
}

/* What a rule wants, of a day of backups. */
static void test_rules(void)
{
    dynbi_sweep sweep;
    uint64_t hour;
    uint32_t wanted = 0;
    memset(&sweep, 0, sizeof sweep);
    CHECK(dynbi_sweep_wants(&sweep, 5)); /* no counts: all */
    sweep.rule.keep_hourly = 2;
    sweep.rule.keep_daily = 2;
    for (hour = 60; hour > 0; --hour, ++sweep.seen_count)
        wanted += (uint32_t)dynbi_sweep_wants(&sweep, hour * 3600000u);
    CHECK_INT(wanted, 3); /* hours 60 (also its day's) and 59, and 47 */
    CHECK(sweep.hour_count == 2 && sweep.day_count == 2);
}

/* A log that ends before the base's end says so. */
static void test_lost_log(void)
{
    dynb_restore_to_time_input input;
    uint64_t time_ms;
    dynbi_base base;
    uint32_t i;
    int is_there;
    store s;
    begin(&s);
    s.config.manual_work = 1;
    time_ms = s.clock.now_ms + 20;
    for (i = 0; i < 5; ++i) {
        fill(&s, "Past", 'a', 60, i, 100);
        MUST(dynb_wait_idle(s.db, &kit_err));
    }
    memset(&input, 0, sizeof input);
    input.source_table_name = "Past";
    input.target_table_name = "Then";
    input.use_restore_time = 1;
    input.restore_time_ms = time_ms;
    EXPECT(dynbi_base_find(s.db, table_of(&s, "Past"), time_ms, 0, &base, &is_there, &kit_err),
           DYNB_OK);
    CHECK(is_there);
    dynbi_snapshot_free(&s.db->allocator, &base.snapshot);
    s.device.current[(uint64_t)base.segment.page * 512 + 30] ^= 1; /* in its head */
    EXPECT_ABOUT(dynb_restore_table_to_point_in_time(s.db, &input, NULL, NULL, &kit_err),
                 DYNB_CORRUPT, "the log kept for point-in-time recovery is damaged after change");
    s.device.current[(uint64_t)base.segment.page * 512 + 30] ^= 1;
    EXPECT(dynb_restore_table_to_point_in_time(s.db, &input, NULL, NULL, &kit_err), DYNB_OK);
    store_end(&s);
}

int main(void)
{
    test_records();
    test_malformed();
    test_ends();
    test_joins();
    test_rules();
    test_lost_log();
    return check_report("unit_past");
}
