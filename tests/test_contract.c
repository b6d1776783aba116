/* test_contract.c - rows of the contract's sections 1.1 to 1.8 and 2.1 to 2.7
 * that no other test shows.
 *
 * tests/contract.tsv lists all rows; tests/contract.sh wants of each that a test
 * cites it, as `contract 1.4 row 5`, or that the README tells it as a difference.
 * Where a row's check stands in another test it is cited there. */
#include "store.h"

#define ARN "arn:aws:dynamodb:us-east-1:123456789012:table/"
#define DAY_MS ((uint64_t)86400000)
#define DELAY 10000u

/* A store whose clock stands still until a test moves it. */
static void begin(store *s, uint32_t control_plane_delay_ms)
{
    store_begin(s);
    s->clock.step_ms = 0;
    s->config.control_plane_delay_ms = control_plane_delay_ms;
    store_open(s);
}

static void pass(store *s, uint64_t ms)
{
    s->clock.now_ms += ms;
}

static dynb_rc switch_recovery(store *s, const char *table, int on, int32_t days)
{
    dynb_update_continuous_backups_input input;
    memset(&input, 0, sizeof input);
    input.table = table;
    input.point_in_time_recovery = on;
    input.choose_period = days != 0;
    input.recovery_period_days = days;
    return dynb_update_continuous_backups(s->db, &input, NULL, &kit_err);
}

static dynb_rc restore_latest(store *s, const char *source, const char *target)
{
    dynb_restore_to_time_input input;
    memset(&input, 0, sizeof input);
    input.source_table_name = source;
    input.target_table_name = target;
    input.use_latest_time = 1;
    return dynb_restore_table_to_point_in_time(s->db, &input, NULL, NULL, &kit_err);
}

static dynb_rc describe(store *s, const char *arn)
{
    dynb_backup_description about;
    return dynb_describe_backup(s->db, arn, &about, &s->result, &kit_err);
}

/* The names of the backups listed, joined. */
static const char *names_of(store *s, const char *table, uint32_t type)
{
    static char names[1000];
    dynb_list_backups_input input;
    dynb_backup_list found;
    uint32_t i;
    memset(&input, 0, sizeof input);
    input.table = table;
    input.type = type;
    MUST(dynb_list_backups(s->db, &input, &found, &s->result, &kit_err));
    names[0] = 0;
    for (i = 0; i < found.count; ++i) {
        size_t used = strlen(names);
        snprintf(names + used, sizeof names - used, "%s ", found.backups[i].backup_name);
    }
    return names;
}

static dynb_index make_index(const char *name, const char *partition, const char *sort)
{
    dynb_index index;
    memset(&index, 0, sizeof index);
    index.index_name = name;
    index.partition_key.name = partition;
    index.partition_key.type = DYNB_S;
    index.sort_key.name = sort;
    index.sort_key.type = sort ? DYNB_N : DYNB_TYPE_NONE;
    return index;
}

/* A table with whatever can be set at its creation, one global and one local index. */
static void make_rich(store *s, const char *name)
{
    static const dynb_throughput units = {5, 6};
    dynb_create_table_input input;
    dynb_index global = make_index("by-owner", "owner", NULL);
    dynb_index local = make_index("by-age", "Id", "age");
    dynb_tag tag;
    memset(&input, 0, sizeof input);
    tag.key = "team";
    tag.value = "blue";
    input.table_name = name;
    input.partition_key.name = "Id";
    input.partition_key.type = DYNB_S;
    input.sort_key.name = "v";
    input.sort_key.type = DYNB_N;
    input.settings.billing_mode = DYNB_PROVISIONED;
    input.settings.provisioned = global.provisioned = units;
    input.settings.stream_view = DYNB_STREAM_NEW_IMAGE;
    input.settings.encryption = DYNB_ENCRYPTION_KMS;
    input.settings.kms_key_arn = "arn:aws:kms:us-east-1:123456789012:key/k1";
    input.settings.table_class = DYNB_STANDARD_INFREQUENT_ACCESS;
    input.settings.deletion_protection = 1;
    input.global_indexes = &global;
    input.local_indexes = &local;
    input.global_index_count = input.local_index_count = 1;
    input.tags = &tag;
    input.tag_count = 1;
    MUST(dynb_create_table(s->db, &input, NULL, NULL, &kit_err));
}

/* -------------------------------------------------------------- 1.1, 1.2 -- */

static void test_create(void)
{
    static store s;
    dynb_backup_description made, listed;
    dynb_list_backups_input input;
    dynb_backup_list found;
    dynb_result kept;
    char arn[DYNB_ARN_MAX + 1];
    uint32_t i;
    memset(&kept, 0, sizeof kept);
    memset(&input, 0, sizeof input);
    begin(&s, 0);
    MUST(kit_create_table(s.db, "Table", NULL));
    MUST(kit_put(s.db, "Table", "a", 1));
    pass(&s, 1234);
    MUST(dynb_create_backup(s.db, "Table", "first", &made, &kept, &kit_err));
    /* contract 1.1 row 3, 2.3 row 1: the answer is CREATING, USER, without expiry */
    CHECK(made.status == DYNB_BACKUP_CREATING && made.type == DYNB_BACKUP_USER);
    CHECK_TEXT(made.backup_name, "first");
    CHECK(strncmp(made.backup_arn, ARN "Table/backup/", strlen(ARN) + 13) == 0);
    CHECK_INT(made.created_at_ms, s.clock.now_ms);
    CHECK_INT(made.expires_at_ms, 0);
    kit_copy(arn, sizeof arn, made.backup_arn);
    pass(&s, 1000);
    MUST(dynb_wait_idle(s.db, &kit_err));
    /* contract 2.4 row 6: the time of the request, in Create, Describe and List */
    CHECK_INT(look_up(&s, arn).created_at_ms, made.created_at_ms);
    MUST(dynb_list_backups(s.db, &input, &found, &s.result, &kit_err));
    listed = found.backups[0];
    CHECK_INT(listed.created_at_ms, made.created_at_ms);
    /* contract 1.3 row 7: the members of a summary */
    CHECK(found.count == 1 && !found.last_evaluated_arn);
    CHECK_TEXT(listed.source.table_name, "Table");
    CHECK_TEXT(listed.source.table_id, made.source.table_id);
    CHECK_TEXT(listed.source.table_arn, ARN "Table");
    CHECK_TEXT(listed.backup_arn, arn);
    CHECK_TEXT(listed.backup_name, "first");
    CHECK(listed.status == DYNB_BACKUP_AVAILABLE && listed.type == DYNB_BACKUP_USER);
    CHECK(listed.expires_at_ms == 0 && listed.size_bytes == 6);

    /* contract 1.1 row 13: one at a time is no rule: neither TABLE_IN_USE nor
     * BACKUP_IN_USE, all CREATING at once */
    for (i = 0; i < 24; ++i) {
        MUST(kit_put(s.db, "Table", "a", i));
        MUST(dynb_create_backup(s.db, "Table", "many", &made, &kept, &kit_err));
        CHECK(made.status == DYNB_BACKUP_CREATING);
    }
    MUST(dynb_wait_idle(s.db, &kit_err));
    MUST(kit_restore(s.db, made.backup_arn, "Back"));
    CHECK_INT(kit_get(s.db, "Back", "a"), 23);

    /* contract 1.1 row 4, 1.2 row 2, 1.3 row 10, 1.4 row 1, 1.5 row 10, 1.6 row 1, 1.7 row 1,
     * 1.8 row 1: the errors, by the names that the service has for them */
    CHECK_TEXT(dynb_rc_exception(DYNB_TABLE_NOT_FOUND), "TableNotFoundException");
    CHECK_TEXT(dynb_rc_exception(DYNB_TABLE_IN_USE), "TableInUseException");
    CHECK_TEXT(dynb_rc_exception(DYNB_TABLE_ALREADY_EXISTS), "TableAlreadyExistsException");
    CHECK_TEXT(dynb_rc_exception(DYNB_CONTINUOUS_BACKUPS_UNAVAILABLE),
               "ContinuousBackupsUnavailableException");
    CHECK_TEXT(dynb_rc_exception(DYNB_BACKUP_NOT_FOUND), "BackupNotFoundException");
    CHECK_TEXT(dynb_rc_exception(DYNB_BACKUP_IN_USE), "BackupInUseException");
    CHECK_TEXT(dynb_rc_exception(DYNB_POINT_IN_TIME_RECOVERY_UNAVAILABLE),
               "PointInTimeRecoveryUnavailableException");
    CHECK_TEXT(dynb_rc_exception(DYNB_INVALID_RESTORE_TIME), "InvalidRestoreTimeException");
    CHECK_TEXT(dynb_rc_exception(DYNB_LIMIT_EXCEEDED), "LimitExceededException");
    CHECK_TEXT(dynb_rc_exception(DYNB_IO_FAILED), "InternalServerError");
    CHECK_TEXT(dynb_rc_exception(DYNB_VALIDATION), "ValidationException");
    CHECK_TEXT(dynb_rc_exception(DYNB_ACCESS_DENIED), "AccessDeniedException");
    CHECK_TEXT(dynb_rc_exception(DYNB_THROTTLING), "ThrottlingException");
    CHECK_INT(dynb_rc_http_status(DYNB_BACKUP_NOT_FOUND), 400);
    dynb_result_free(&kept);
    store_end(&s);
}

static void test_describe(void)
{
    static store s;
    dynb_backup_description about;
    const dynb_index *index;
    char arn[DYNB_ARN_MAX + 1], id[40];
    begin(&s, 0);
    MUST(kit_create_table(s.db, "Plain", NULL));
    back_up(&s, "Plain", arn);
    about = look_up(&s, arn);
    /* contract 1.2 row 5: a plain table has none of the features */
    CHECK(!about.source.global_indexes && !about.source.global_index_count);
    CHECK(!about.source.local_indexes && !about.source.local_index_count);
    CHECK(about.source.settings.stream_view == DYNB_STREAM_OFF && !about.source.ttl_attribute);
    CHECK(about.source.settings.encryption == DYNB_ENCRYPTION_DEFAULT);
    CHECK(!about.source.settings.kms_key_arn && !about.source.stream_label);

    make_rich(&s, "Rich");
    MUST(dynb_update_time_to_live(s.db, "Rich", "expires", &kit_err));
    MUST(switch_recovery(&s, "Rich", 1, 3));
    MUST(kit_put(s.db, "Rich", "a", 1));
    back_up(&s, "Rich", arn);
    MUST(dynb_wait_idle(s.db, &kit_err));
    about = look_up(&s, arn);
    /* contract 1.2 row 2, 1.2 row 3: the backup, the table, the table's features */
    CHECK_TEXT(about.backup_arn, arn);
    CHECK_TEXT(about.source.table_name, "Rich");
    CHECK_TEXT(about.source.table_arn, ARN "Rich");
    CHECK_TEXT(about.source.partition_key.name, "Id");
    CHECK_TEXT(about.source.sort_key.name, "v");
    CHECK_INT(about.source.created_at_ms, s.clock.now_ms);
    CHECK_INT(about.source.settings.provisioned.read_units, 5);
    CHECK_INT(about.source.item_count, 1);
    CHECK_INT(about.source.size_bytes, 6);
    kit_copy(id, sizeof id, about.source.table_id);
    CHECK_INT(strlen(id), 36);
    /* contract 1.2 row 6, 2.2 row 3: the indexes with name, keys, projection, throughput */
    CHECK_INT(about.source.global_index_count, 1);
    CHECK_INT(about.source.local_index_count, 1);
    index = &about.source.global_indexes[0].index;
    CHECK_TEXT(index->index_name, "by-owner");
    CHECK_TEXT(index->partition_key.name, "owner");
    CHECK(!index->sort_key.name && index->projection == DYNB_PROJECT_ALL);
    CHECK_INT(index->provisioned.write_units, 6);
    index = &about.source.local_indexes[0].index;
    CHECK_TEXT(index->index_name, "by-age");
    CHECK_TEXT(index->sort_key.name, "age");
    /* contract 1.2 row 7: stream, time to live, encryption */
    CHECK(about.source.settings.stream_view == DYNB_STREAM_NEW_IMAGE);
    CHECK_TEXT(about.source.ttl_attribute, "expires");
    CHECK(about.source.settings.encryption == DYNB_ENCRYPTION_KMS);
    /* contract 1.2 row 8: not recorded */
    CHECK(about.source.settings.table_class == DYNB_STANDARD);
    CHECK(!about.source.settings.deletion_protection);
    CHECK(!about.source.recovery_period_days && !about.source.recovery_from_ms);

    /* contract 1.2 row 1: 37 to 1024 characters, the ARN's own text for the rest */
    EXPECT_MESSAGE(describe(&s, "arn:aws:dynamodb:r:1:table/T/backup/"), DYNB_VALIDATION,
                   "Invalid Backup ARN");
    {
        char longest[DYNB_ARN_MAX + 2];
        memset(longest, 'a', sizeof longest);
        memcpy(longest, ARN, strlen(ARN));
        longest[DYNB_ARN_MAX + 1] = 0;
        EXPECT_MESSAGE(describe(&s, longest), DYNB_VALIDATION, "Invalid Backup ARN");
    }
    EXPECT_ABOUT(dynb_describe_backup(s.db, NULL, &about, &s.result, &kit_err),
                 DYNB_INVALID_ARGUMENT, "backup_arn is NULL");
    store_end(&s);
}

/* Two stores of one account, in two Regions. */
static void test_regions(void)
{
    static store here, there;
    dynb_restore_input restore;
    dynb_backup_description about;
    char arn[DYNB_ARN_MAX + 1], far[DYNB_ARN_MAX + 1], message[DYNB_MESSAGE_SIZE];
    memset(&restore, 0, sizeof restore);
    begin(&here, 0);
    store_begin(&there);
    there.config.region = "eu-west-1";
    store_open(&there);
    MUST(kit_create_table(here.db, "Table", NULL));
    MUST(kit_put(here.db, "Table", "a", 1));
    back_up(&here, "Table", arn);
    MUST(dynb_wait_idle(here.db, &kit_err));
    /* contract 1.2 row 15: the ARN at another Region's store */
    snprintf(message, sizeof message, "Backup not found: %s", arn);
    EXPECT_MESSAGE(describe(&there, arn), DYNB_BACKUP_NOT_FOUND, message);
    /* contract 1.6 row 14: a table of another Region, by its name */
    EXPECT_MESSAGE(restore_latest(&there, "Table", "Then"), DYNB_TABLE_NOT_FOUND,
                   "Table not found: Table");
    /* contract 2.1 row 10, 1.2 row 14: account, table and id are the backup */
    snprintf(far, sizeof far, "arn:aws:dynamodb:eu-west-1%s", strstr(arn, ":1234"));
    MUST(dynb_describe_backup(here.db, far, &about, &here.result, &kit_err));
    CHECK_TEXT(about.backup_arn, far);
    CHECK_TEXT(about.backup_name, "back-up");
    restore.target_table_name = "Back";
    restore.backup_arn = far;
    restore.overrides.override = DYNB_OVERRIDE_ENCRYPTION;
    MUST(dynb_restore_table_from_backup(here.db, &restore, NULL, NULL, &kit_err));
    CHECK_INT(kit_get(here.db, "Back", "a"), 1);
    /* contract 1.4 row 5: so it is deleted by that ARN, too */
    MUST(dynb_delete_backup(here.db, far, &about, &here.result, &kit_err));
    CHECK(about.status == DYNB_BACKUP_DELETED);
    EXPECT(describe(&here, arn), DYNB_BACKUP_NOT_FOUND);
    store_end(&here);
    store_end(&there);
}

/* -------------------------------------------------------------- 1.3, 1.4 -- */

static void test_list(void)
{
    static store s;
    dynb_list_backups_input input;
    dynb_backup_list found;
    dynb_backup_description about;
    char arn[DYNB_ARN_MAX + 1], table[DYNB_NAME_MAX + 1], name[DYNB_NAME_MAX + 1];
    uint64_t sum = 0;
    uint32_t i;
    memset(&input, 0, sizeof input);
    memset(table, 't', sizeof table);
    memset(name, 'n', sizeof name);
    table[DYNB_NAME_MAX] = name[DYNB_NAME_MAX] = 0;
    begin(&s, 0);
    MUST(kit_create_table(s.db, "Table", NULL));
    MUST(kit_put(s.db, "Table", "a", 1));
    /* contract 1.3 row 13: names select nothing */
    back_up(&s, "Table", arn);
    MUST(dynb_create_backup(s.db, "Table", "other", NULL, NULL, &kit_err));
    MUST(dynb_create_backup(s.db, "Table", "back-up", NULL, NULL, &kit_err));
    CHECK_INT(strlen(names_of(&s, "Table", DYNB_LIST_USER)), 8 + 6 + 8);
    /* contract 1.3 row 14: those CREATING are listed; a deleted one is gone at once */
    CHECK(look_up(&s, arn).status == DYNB_BACKUP_CREATING);
    MUST(dynb_wait_idle(s.db, &kit_err));
    MUST(dynb_delete_backup(s.db, arn, &about, &s.result, &kit_err));
    /* contract 1.4 row 1: the answer is the whole description */
    CHECK(about.status == DYNB_BACKUP_DELETED);
    CHECK_TEXT(about.backup_arn, arn);
    CHECK_TEXT(about.backup_name, "back-up");
    CHECK_TEXT(about.source.table_name, "Table");
    CHECK_TEXT(about.source.partition_key.name, "Id");
    CHECK_INT(about.source.item_count, 1);
    CHECK_INT(strlen(names_of(&s, "Table", DYNB_LIST_USER)), 6 + 8);

    /* contract 1.3 row 2: 1 to 100 on a page; 100 of the longest are below 1 MB */
    MUST(kit_create_table(s.db, table, NULL));
    for (i = 0; i < 101; ++i)
        MUST(dynb_create_backup(s.db, table, name, NULL, NULL, &kit_err));
    input.table = table;
    input.limit = 100;
    MUST(dynb_list_backups(s.db, &input, &found, &s.result, &kit_err));
    CHECK(found.count == 100 && found.last_evaluated_arn);
    for (i = 0; i < found.count; ++i)
        sum += 2 * strlen(found.backups[i].backup_arn) + 2 * DYNB_NAME_MAX + 200;
    CHECK(sum < DYNB_PAGE_MAX_BYTES);
    input.limit = 101;
    EXPECT(dynb_list_backups(s.db, &input, &found, &s.result, &kit_err), DYNB_VALIDATION);

    /* contract 1.3 row 11: equal bounds, and bounds in the future, are allowed */
    input.limit = 0;
    input.from_ms = input.to_ms = s.clock.now_ms;
    MUST(dynb_list_backups(s.db, &input, &found, &s.result, &kit_err));
    CHECK_INT(found.count, 0);
    input.from_ms = 0;
    input.to_ms = s.clock.now_ms + 1000 * DAY_MS;
    MUST(dynb_list_backups(s.db, &input, &found, &s.result, &kit_err));
    CHECK_INT(found.count, 100);
    input.from_ms = input.to_ms - 1;
    MUST(dynb_list_backups(s.db, &input, &found, &s.result, &kit_err));
    CHECK_INT(found.count, 0);
    input.from_ms = input.to_ms + 1;
    EXPECT_MESSAGE(dynb_list_backups(s.db, &input, &found, &s.result, &kit_err), DYNB_VALIDATION,
                   "One or more parameter values were invalid: Time range lower bound must be "
                   "less than or equal to upper bound");
    /* contract 1.3 row 12 */
    memset(&input, 0, sizeof input);
    input.type = DYNB_LIST_ALL + 1;
    EXPECT(dynb_list_backups(s.db, &input, &found, &s.result, &kit_err), DYNB_INVALID_ARGUMENT);
    store_end(&s);
}

/* What a list may choose from, in its order: by table, then by ARN. */
typedef struct entry {
    uint32_t table;
    uint64_t created_ms;
    int is_system;
    char arn[DYNB_ARN_MAX + 1];
} entry;

#define ENTRIES 60u
static const char *const list_tables[] = {"App", "App-1", "App.le", "Apple", "apple"};

static int compare_entries(const void *a, const void *b)
{
    const entry *x = (const entry *)a, *y = (const entry *)b;
    return x->table != y->table ? (x->table < y->table ? -1 : 1) : strcmp(x->arn, y->arn);
}

static void make_entries(store *s, entry *entries, check_random *random)
{
    static const dynb_list_backups_input system_ones = {NULL, 0, 0, DYNB_LIST_SYSTEM, 0, NULL};
    dynb_backup_list found;
    uint32_t i, t, j;
    for (t = 0; t < 5; ++t)
        MUST(kit_create_table(s->db, list_tables[t], NULL));
    for (i = 0; i < ENTRIES - 2; ++i) {
        pass(s, check_below(random, 3));
        entries[i].table = (uint32_t)check_below(random, 5);
        entries[i].created_ms = s->clock.now_ms;
        entries[i].is_system = 0;
        back_up(s, list_tables[entries[i].table], entries[i].arn);
    }
    for (t = 1; t < 5; t += 2) { /* two go, and each leaves one */
        MUST(switch_recovery(s, list_tables[t], 1, 0));
        MUST(dynb_delete_table(s->db, list_tables[t], NULL, NULL, &kit_err));
    }
    MUST(dynb_list_backups(s->db, &system_ones, &found, &s->result, &kit_err));
    CHECK_INT(found.count, 2);
    for (j = 0; j < 2; ++i, ++j) {
        entries[i].table = 1 + 2 * j;
        entries[i].created_ms = found.backups[j].created_at_ms;
        entries[i].is_system = 1;
        kit_copy(entries[i].arn, sizeof entries[i].arn, found.backups[j].backup_arn);
        CHECK_TEXT(found.backups[j].source.table_name, list_tables[1 + 2 * j]);
    }
    MUST(dynb_wait_idle(s->db, &kit_err));
    qsort(entries, ENTRIES, sizeof *entries, compare_entries);
}

static int is_wanted(const entry *e, const dynb_list_backups_input *input)
{
    return (!input->table || strcmp(input->table, list_tables[e->table]) == 0) &&
           e->created_ms >= input->from_ms && (!input->to_ms || e->created_ms < input->to_ms) &&
           (input->type == DYNB_LIST_ALL || input->type == (uint32_t)e->is_system);
}

/* contract 1.3 row 3, 1.3 row 4, 1.3 row 5, 1.3 row 6, 1.3 row 8, 1.3 row 9: everything at
 * once, at random */
static void test_list_random(uint64_t seed)
{
    static store s;
    static entry entries[ENTRIES];
    check_random random;
    uint64_t start_ms, turn;
    random.state = seed;
    begin(&s, 0);
    start_ms = s.clock.now_ms;
    make_entries(&s, entries, &random);
    for (turn = 0; turn < check_scaled(2000) && !check_failed_count; ++turn) {
        dynb_list_backups_input input;
        dynb_backup_list found;
        uint32_t i = 0, count = 0, cursor = (uint32_t)check_below(&random, 2 * ENTRIES);
        memset(&input, 0, sizeof input);
        if (check_below(&random, 2))
            input.table = list_tables[check_below(&random, 5)];
        if (check_below(&random, 2))
            input.from_ms = start_ms + check_below(&random, 2 * ENTRIES);
        if (check_below(&random, 2))
            input.to_ms = start_ms + 1 + check_below(&random, 2 * ENTRIES);
        if (input.to_ms && input.to_ms < input.from_ms)
            input.to_ms = input.from_ms;
        input.type = (uint32_t)check_below(&random, 3) % 2 ? DYNB_LIST_ALL
                                                           : (uint32_t)check_below(&random, 2);
        input.limit = (uint32_t)check_below(&random, 12);
        if (cursor < ENTRIES) {
            input.start_after_arn = entries[cursor].arn;
            i = cursor + 1;
        }
        MUST(dynb_list_backups(s.db, &input, &found, &s.result, &kit_err));
        for (; i < ENTRIES; ++i) {
            if (!is_wanted(&entries[i], &input))
                continue;
            if (input.limit && count == input.limit)
                break;
            CHECK(count < found.count);
            if (count < found.count)
                CHECK_TEXT(found.backups[count].backup_arn, entries[i].arn);
            ++count;
        }
        CHECK_INT(found.count, count);
        CHECK((found.last_evaluated_arn != NULL) == (i < ENTRIES));
    }
    store_end(&s);
}

/* ------------------------------------------------------------------- 1.5 -- */

/* contract 1.5 row 33: seven at once, of one table, six of them with indexes */
static void test_seven_restores(void)
{
    static store s;
    dynb_restore_input restore;
    dynb_index none;
    char arns[7][DYNB_ARN_MAX + 1], name[16];
    dynb_table_description about;
    uint32_t i;
    memset(&none, 0, sizeof none);
    begin(&s, DELAY);
    make_rich(&s, "Rich");
    pass(&s, 2 * DELAY);
    MUST(kit_put(s.db, "Rich", "a", 1));
    for (i = 0; i < 7; ++i)
        back_up(&s, "Rich", arns[i]);
    MUST(dynb_wait_idle(s.db, &kit_err));
    for (i = 0; i < 7; ++i) {
        memset(&restore, 0, sizeof restore);
        snprintf(name, sizeof name, "Back-%u", (unsigned)i);
        restore.target_table_name = name;
        restore.backup_arn = arns[i];
        if (i == 6) { /* contract 1.5 row 5: an empty list of local indexes: none */
            restore.overrides.global_indexes = restore.overrides.local_indexes = &none;
        }
        EXPECT(dynb_restore_table_from_backup(s.db, &restore, NULL, NULL, &kit_err), DYNB_OK);
        MUST(dynb_describe_table(s.db, name, &about, &s.result, &kit_err));
        CHECK(about.status == DYNB_TABLE_CREATING && about.restoring);
        CHECK_INT(about.global_index_count, i < 6);
        CHECK_INT(about.local_index_count, i < 6);
    }
    pass(&s, DELAY);
    for (i = 0; i < 7; ++i) {
        snprintf(name, sizeof name, "Back-%u", (unsigned)i);
        MUST(dynb_describe_table(s.db, name, &about, &s.result, &kit_err));
        CHECK(about.status == DYNB_TABLE_ACTIVE && about.item_count == 1);
    }
    store_end(&s);
}

static void test_overrides(void)
{
    static store s;
    dynb_restore_input restore;
    dynb_restore_overrides *with = &restore.overrides;
    dynb_table_description about;
    dynb_index local = make_index("other", "Id", "nobody");
    char arn[DYNB_ARN_MAX + 1];
    memset(&restore, 0, sizeof restore);
    begin(&s, 0);
    make_rich(&s, "Rich");
    back_up(&s, "Rich", arn);
    restore.target_table_name = "Back";
    restore.backup_arn = arn;
    /* contract 1.5 row 5: entries must match local indexes there are */
    with->local_indexes = &local;
    with->local_index_count = 1;
    EXPECT_MESSAGE(dynb_restore_table_from_backup(s.db, &restore, NULL, NULL, &kit_err),
                   DYNB_VALIDATION,
                   "Invalid Request: Index other does not match a secondary index that existed in "
                   "the source table and cannot be created during the restore operation");
    /* contract 1.5 row 24: a name that is too short */
    local.index_name = "x";
    EXPECT_MESSAGE(dynb_restore_table_from_backup(s.db, &restore, NULL, NULL, &kit_err),
                   DYNB_VALIDATION,
                   "1 validation error detected: Value 'x' at "
                   "'localSecondaryIndexOverride.1.member.indexName' failed to satisfy "
                   "constraint: Member must have length greater than or equal to 3");
    /* contract 1.5 row 35: an empty encryption override means the service's own key;
     * empty maxima are refused, and then nothing runs */
    memset(with, 0, sizeof *with);
    with->override = DYNB_OVERRIDE_ENCRYPTION;
    MUST(dynb_restore_table_from_backup(s.db, &restore, &about, &s.result, &kit_err));
    CHECK(about.settings.encryption == DYNB_ENCRYPTION_DEFAULT && !about.settings.kms_key_arn);
    with->override = DYNB_OVERRIDE_ON_DEMAND | DYNB_OVERRIDE_BILLING_MODE;
    restore.target_table_name = "Empty";
    EXPECT(dynb_restore_table_from_backup(s.db, &restore, NULL, NULL, &kit_err), DYNB_VALIDATION);
    EXPECT(dynb_describe_table(s.db, "Empty", &about, &s.result, &kit_err),
           DYNB_RESOURCE_NOT_FOUND);
    store_end(&s);
}

/* contract 1.5 row 32: restores of either kind count together */
static void test_fifty(void)
{
    static store s;
    char arns[50][DYNB_ARN_MAX + 1], name[16];
    uint32_t i;
    begin(&s, DELAY);
    s.config.memory_bytes = 8 << 20;
    store_reopen(&s);
    MUST(kit_create_table(s.db, "Table", NULL));
    pass(&s, 2 * DELAY);
    MUST(switch_recovery(&s, "Table", 1, 0));
    pass(&s, DELAY);
    for (i = 0; i < 50; ++i)
        back_up(&s, "Table", arns[i]);
    MUST(dynb_wait_idle(s.db, &kit_err));
    for (i = 0; i < 50; ++i) {
        snprintf(name, sizeof name, "Back-%u", (unsigned)i);
        if (i % 2)
            MUST(kit_restore(s.db, arns[i], name));
        else
            MUST(restore_latest(&s, "Table", name));
    }
    EXPECT_MESSAGE(restore_latest(&s, "Table", "Back-50"), DYNB_LIMIT_EXCEEDED,
                   "Subscriber limit exceeded: Only 50 restore operations can be done "
                   "simultaneously");
    EXPECT_MESSAGE(kit_restore(s.db, arns[0], "Back-50"), DYNB_LIMIT_EXCEEDED,
                   "Subscriber limit exceeded: Only 50 restore operations can be done "
                   "simultaneously");
    pass(&s, DELAY);
    EXPECT(kit_restore(s.db, arns[0], "Back-50"), DYNB_OK);
    EXPECT(restore_latest(&s, "Table", "Back-51"), DYNB_OK);
    store_end(&s);
}

/* -------------------------------------------------------- 1.6, 1.7, 1.8 -- */

static void test_recovery(void)
{
    static store s;
    dynb_update_table_input update;
    dynb_index_update change;
    dynb_table_description about;
    dynb_continuous_backups window;
    dynb_update_continuous_backups_input input;
    char arn[DYNB_ARN_MAX + 1], id[40];
    uint64_t created_ms;
    memset(&update, 0, sizeof update);
    memset(&change, 0, sizeof change);
    memset(&input, 0, sizeof input);
    begin(&s, 0);
    make_rich(&s, "Rich");
    MUST(dynb_describe_table(s.db, "Rich", &about, &s.result, &kit_err));
    kit_copy(id, sizeof id, about.table_id);
    created_ms = about.created_at_ms;
    MUST(switch_recovery(&s, "Rich", 1, 7));
    MUST(kit_put(s.db, "Rich", "a", 1));
    back_up(&s, "Rich", arn);
    pass(&s, 1000);
    update.table = "Rich";
    update.change = DYNB_CHANGE_INDEXES;
    update.index_updates = &change;
    update.index_update_count = 1;
    change.action = DYNB_UPDATE_INDEX;
    change.index.index_name = "by-owner";
    change.index.provisioned.read_units = change.index.provisioned.write_units = 10;
    MUST(dynb_update_table(s.db, &update, NULL, NULL, &kit_err));
    MUST(dynb_wait_idle(s.db, &kit_err));
    MUST(kit_restore(s.db, arn, "Recorded"));
    MUST(restore_latest(&s, "Rich", "Current"));
    /* contract 2.2 row 3: throughput of indexes as recorded, or as it is now */
    MUST(dynb_describe_table(s.db, "Recorded", &about, &s.result, &kit_err));
    CHECK_INT(about.global_indexes[0].index.provisioned.read_units, 5);
    CHECK_INT(about.local_index_count, 1);
    /* contract 2.2 row 10: recovery is off after a restore */
    CHECK_INT(about.recovery_period_days, 0);
    MUST(dynb_describe_table(s.db, "Current", &about, &s.result, &kit_err));
    CHECK_INT(about.global_indexes[0].index.provisioned.read_units, 10);
    CHECK_INT(about.local_index_count, 1);
    CHECK_INT(about.recovery_period_days, 0);
    /* contract 2.2 row 1, 2.2 row 2, 2.2 row 15: items and keys; a table of its own */
    CHECK_INT(about.item_count, 1);
    CHECK_TEXT(about.partition_key.name, "Id");
    CHECK(about.sort_key.type == DYNB_N);
    CHECK(strcmp(about.table_id, id) != 0 && about.created_at_ms > created_ms);
    CHECK_TEXT(about.table_arn, ARN "Current");
    /* contract 1.6 row 18, 2.2 row 8: capacity and encryption of the source */
    CHECK_INT(about.settings.provisioned.read_units, 5);
    CHECK(about.settings.encryption == DYNB_ENCRYPTION_KMS);
    CHECK_TEXT(about.settings.kms_key_arn, "arn:aws:kms:us-east-1:123456789012:key/k1");
    /* contract 1.7 row 4: continuous backups stay ENABLED when recovery goes */
    MUST(switch_recovery(&s, "Rich", 0, 0));
    MUST(dynb_describe_continuous_backups(s.db, "Rich", &window, &kit_err));
    CHECK(window.is_enabled && !window.recovery_is_enabled);
    /* contract 1.7 row 1: by name or ARN */
    MUST(dynb_describe_continuous_backups(s.db, ARN "Rich", &window, &kit_err));
    /* contract 1.8 row 1, 1.8 row 2: the answer is that of DescribeContinuousBackups */
    input.table = ARN "Rich";
    input.point_in_time_recovery = 1;
    MUST(dynb_update_continuous_backups(s.db, &input, &window, &kit_err));
    CHECK(window.is_enabled && window.recovery_is_enabled && window.recovery_period_days == 35);
    CHECK_INT(window.earliest_restorable_ms, s.clock.now_ms);
    CHECK_INT(window.latest_restorable_ms, s.clock.now_ms);
    store_end(&s);
}

/* contract 2.2 row 5: on-demand maxima, as recorded or as they are now */
static void test_maxima(void)
{
    static store s;
    dynb_create_table_input input;
    dynb_update_table_input update;
    dynb_table_description about;
    char arn[DYNB_ARN_MAX + 1];
    memset(&input, 0, sizeof input);
    memset(&update, 0, sizeof update);
    begin(&s, 0);
    input.table_name = "Demand";
    input.partition_key.name = "Id";
    input.partition_key.type = DYNB_S;
    input.settings.on_demand.read_units = 11;
    MUST(dynb_create_table(s.db, &input, NULL, NULL, &kit_err));
    MUST(switch_recovery(&s, "Demand", 1, 0));
    back_up(&s, "Demand", arn);
    update.table = "Demand";
    update.change = DYNB_CHANGE_ON_DEMAND;
    update.settings.on_demand.read_units = 22;
    MUST(dynb_update_table(s.db, &update, NULL, NULL, &kit_err));
    MUST(dynb_wait_idle(s.db, &kit_err));
    CHECK_INT(look_up(&s, arn).source.settings.on_demand.read_units, 11);
    MUST(kit_restore(s.db, arn, "Recorded"));
    MUST(restore_latest(&s, "Demand", "Current"));
    MUST(dynb_describe_table(s.db, "Recorded", &about, &s.result, &kit_err));
    CHECK_INT(about.settings.on_demand.read_units, 11);
    MUST(dynb_describe_table(s.db, "Current", &about, &s.result, &kit_err));
    CHECK_INT(about.settings.on_demand.read_units, 22);
    CHECK_INT(about.settings.provisioned.read_units, 0);
    store_end(&s);
}

/* Tables that are not ACTIVE. */
static void test_recovery_states(void)
{
    static store s;
    dynb_restore_to_time_input input;
    dynb_continuous_backups window;
    dynb_table_description about;
    dynb_result result;
    uint32_t i;
    memset(&result, 0, sizeof result);
    begin(&s, DELAY);
    MUST(kit_create_table(s.db, "Table", NULL));
    MUST(kit_create_table(s.db, "Gone", NULL));
    pass(&s, 2 * DELAY);
    MUST(switch_recovery(&s, "Table", 1, 0));
    MUST(switch_recovery(&s, "Gone", 1, 0));
    MUST(kit_put(s.db, "Table", "a", 1));
    pass(&s, DELAY);
    MUST(restore_latest(&s, "Table", "Target"));
    /* contract 2.7 row 5: of a table being restored, continuous backups know nothing, and
     * DescribeTable works */
    EXPECT_MESSAGE(switch_recovery(&s, "Target", 1, 0), DYNB_TABLE_NOT_FOUND,
                   "Table not found: Target");
    EXPECT_MESSAGE(dynb_describe_continuous_backups(s.db, "Target", &window, &kit_err),
                   DYNB_TABLE_NOT_FOUND, "Table not found: Target");
    MUST(dynb_describe_table(s.db, "Target", &about, &result, &kit_err));
    /* contract 2.7 row 6: how it came to be is told while it is CREATING, and not after */
    CHECK(about.restoring && about.restored_at_ms);
    CHECK_TEXT(about.restore_source_table_arn, ARN "Table");
    pass(&s, DELAY);
    MUST(dynb_describe_table(s.db, "Target", &about, &result, &kit_err));
    CHECK(about.status == DYNB_TABLE_ACTIVE && !about.restoring);
    CHECK(!about.restore_source_table_arn && !about.restored_at_ms);

    /* contract 1.6 row 12: however far outside the window */
    memset(&input, 0, sizeof input);
    input.source_table_name = "Table";
    input.target_table_name = "Then";
    input.use_restore_time = 1;
    for (i = 0; i < 3; ++i) {
        static const uint64_t times_ms[] = {0, 253402300800000u, (uint64_t)-1};
        input.restore_time_ms = times_ms[i];
        EXPECT_ABOUT(dynb_restore_table_to_point_in_time(s.db, &input, NULL, NULL, &kit_err),
                     DYNB_INVALID_RESTORE_TIME,
                     "must be within EarliestRestorableDateTime '2023-11-14T22:13:40Z' and "
                     "LatestRestorableDateTime '2023-11-14T22:14:00Z'");
    }
    MUST(dynb_delete_table(s.db, "Gone", NULL, NULL, &kit_err));
    /* contract 1.6 row 13: the target is DELETING */
    EXPECT_MESSAGE(restore_latest(&s, "Table", "Gone"), DYNB_TABLE_ALREADY_EXISTS,
                   "Table already exists: Gone");
    EXPECT_MESSAGE(restore_latest(&s, "Table", "Table"), DYNB_TABLE_ALREADY_EXISTS,
                   "Table already exists: Table");
    /* contract 1.8 row 12, 2.6 row 3: continuous backups know it no more; its SYSTEM backup
     * is there already */
    EXPECT_MESSAGE(switch_recovery(&s, "Gone", 0, 0), DYNB_TABLE_NOT_FOUND,
                   "Table not found: Gone");
    CHECK_TEXT(names_of(&s, "Gone", DYNB_LIST_SYSTEM), "Gone$DeletedTableBackup ");
    dynb_result_free(&result);
    store_end(&s);
}

/* ------------------------------------------------------------ 2.1 to 2.6 -- */

static void test_backup_is(void)
{
    static store s;
    dynb_create_table_input input;
    dynb_update_table_input update;
    dynb_backup_description about;
    dynb_stat before, after;
    dynb_tag tag;
    const dynb_tag *tags;
    const char *key = "key";
    char arn[DYNB_ARN_MAX + 1], message[DYNB_MESSAGE_SIZE];
    uint32_t i;
    memset(&input, 0, sizeof input);
    memset(&update, 0, sizeof update);
    begin(&s, 0);
    input.table_name = "Small";
    input.partition_key.name = "Id";
    input.partition_key.type = DYNB_S;
    input.settings.billing_mode = DYNB_PROVISIONED;
    input.settings.provisioned.read_units = input.settings.provisioned.write_units = 1;
    MUST(dynb_create_table(s.db, &input, NULL, NULL, &kit_err));
    MUST(kit_put(s.db, "Small", "a", 1));
    /* contract 2.1 row 2: a marker is cataloged, and the snapshot built afterwards */
    MUST(dynb_get_stat(s.db, &before, &kit_err));
    MUST(dynb_create_backup(s.db, "Small", "first", &about, &s.result, &kit_err));
    MUST(dynb_get_stat(s.db, &after, &kit_err));
    CHECK_INT(about.lsn, before.lsn + 1);
    CHECK_INT(after.lsn, before.lsn + 1);
    CHECK(about.status == DYNB_BACKUP_CREATING);
    kit_copy(arn, sizeof arn, about.backup_arn);
    /* contract 2.1 row 9: meanwhile its table may be deleted, recovery be switched, and
     * it cannot be stopped */
    EXPECT(dynb_delete_backup(s.db, arn, NULL, NULL, &kit_err), DYNB_BACKUP_IN_USE);
    MUST(switch_recovery(&s, "Small", 1, 0));
    MUST(switch_recovery(&s, "Small", 0, 0));
    MUST(dynb_wait_idle(s.db, &kit_err));
    CHECK(look_up(&s, arn).status == DYNB_BACKUP_AVAILABLE);
    /* contract 2.1 row 7: backups use up no throughput: all of it is left, whatever there is */
    for (i = 0; i < 50; ++i) {
        back_up(&s, "Small", arn);
        MUST(kit_put(s.db, "Small", "a", i));
        CHECK_INT(kit_get(s.db, "Small", "a"), i);
    }
    MUST(dynb_wait_idle(s.db, &kit_err));
    /* contract 2.1 row 1: all of the table, in each */
    CHECK_INT(look_up(&s, arn).source.item_count, 1);
    /* contract 2.1 row 11: by none of the operations on tags */
    snprintf(message, sizeof message,
             "One or more parameter values were invalid: Provided Arn is not a DynamoDB resource "
             "arn: %s",
             arn);
    tag.key = tag.value = key;
    EXPECT_MESSAGE(dynb_tag_resource(s.db, arn, &tag, 1, &kit_err), DYNB_VALIDATION, message);
    EXPECT_MESSAGE(dynb_untag_resource(s.db, arn, &key, 1, &kit_err), DYNB_VALIDATION, message);
    EXPECT_MESSAGE(dynb_list_tags_of_resource(s.db, arn, &tags, &i, &s.result, &kit_err),
                   DYNB_VALIDATION, message);
    /* contract 2.2 row 17: only as a new table */
    EXPECT_MESSAGE(kit_restore(s.db, arn, "Small"), DYNB_TABLE_ALREADY_EXISTS,
                   "Table already exists: Small");
    store_end(&s);
}

/* contract 2.2 row 16: items whose time to live is over are data like any other */
static void test_expired_items(void)
{
    static store s;
    dynb_builder builder;
    dynb_table_description about;
    dynb_item item;
    char arn[DYNB_ARN_MAX + 1];
    memset(&builder, 0, sizeof builder);
    begin(&s, 0);
    MUST(kit_create_table(s.db, "Table", NULL));
    MUST(dynb_update_time_to_live(s.db, "Table", "until", &kit_err));
    MUST(switch_recovery(&s, "Table", 1, 0));
    item = kit_json(&builder, "{'Id':{'S':'a'},'v':{'N':'7'},'until':{'N':'1600000000'}}");
    MUST(dynb_put_item(s.db, "Table", item, NULL, NULL, NULL, &kit_err));
    pass(&s, 1);
    back_up(&s, "Table", arn);
    MUST(dynb_wait_idle(s.db, &kit_err));
    MUST(kit_restore(s.db, arn, "Back"));
    MUST(restore_latest(&s, "Table", "Then"));
    CHECK_INT(kit_get(s.db, "Back", "a"), 7);
    CHECK_INT(kit_get(s.db, "Then", "a"), 7);
    MUST(dynb_describe_table(s.db, "Then", &about, &s.result, &kit_err));
    CHECK(about.ttl_attribute == NULL);
    dynb_builder_free(&builder);
    store_end(&s);
}

/* contract 2.3 row 3: AVAILABLE after some 50 ms, empty tables too */
static void test_soon_available(void)
{
    static store s;
    char arn[DYNB_ARN_MAX + 1];
    store_begin(&s);
    s.clock.step_ms = 0;
    s.config.backup_delay_ms = 50;
    store_open(&s);
    MUST(kit_create_table(s.db, "Empty", NULL));
    back_up(&s, "Empty", arn);
    CHECK(look_up(&s, arn).status == DYNB_BACKUP_CREATING);
    pass(&s, 50);
    CHECK(look_up(&s, arn).status == DYNB_BACKUP_AVAILABLE);
    store_end(&s);
}

static void test_system(void)
{
    static store s;
    dynb_backup_description about;
    dynb_list_backups_input input;
    dynb_backup_list found;
    char table[DYNB_NAME_MAX + 1], name[DYNB_NAME_MAX + 32], arn[DYNB_ARN_MAX + 1];
    char message[DYNB_MESSAGE_SIZE];
    memset(&input, 0, sizeof input);
    memset(table, 't', sizeof table);
    table[DYNB_NAME_MAX] = 0;
    begin(&s, 0);
    MUST(kit_create_table(s.db, table, NULL));
    MUST(switch_recovery(&s, table, 1, 1));
    MUST(kit_put(s.db, table, "a", 1));
    MUST(dynb_delete_table(s.db, table, NULL, NULL, &kit_err));
    input.type = DYNB_LIST_SYSTEM;
    MUST(dynb_list_backups(s.db, &input, &found, &s.result, &kit_err));
    CHECK_INT(found.count, 1);
    about = found.backups[0];
    /* contract 2.4 row 5: the name may be longer than a name can be */
    snprintf(name, sizeof name, "%s$DeletedTableBackup", table);
    CHECK_TEXT(about.backup_name, name);
    /* contract 2.6 row 6: 35 days, whatever the window was */
    CHECK_INT(about.expires_at_ms - about.created_at_ms, 35 * DAY_MS);
    kit_copy(arn, sizeof arn, about.backup_arn);
    /* contract 2.4 row 4: the longest ARN is one */
    CHECK(strlen(arn) >= DYNB_ARN_MIN && strlen(arn) <= DYNB_ARN_MAX);
    MUST(dynb_wait_idle(s.db, &kit_err));
    about = look_up(&s, arn);
    /* contract 2.6 row 2: AVAILABLE, SYSTEM, no features */
    CHECK(about.status == DYNB_BACKUP_AVAILABLE && about.type == DYNB_BACKUP_SYSTEM);
    CHECK(!about.source.global_index_count && !about.source.local_index_count);
    CHECK(!about.source.ttl_attribute && about.source.settings.stream_view == DYNB_STREAM_OFF);
    /* contract 1.4 row 4, 2.6 row 4: it cannot be deleted, and can be restored */
    snprintf(message, sizeof message,
             "Invalid Request: User is not allowed to delete the system backup with arn %s. It "
             "will automatically expire on 2023-12-19T22:13:20.000",
             arn);
    EXPECT_MESSAGE(dynb_delete_backup(s.db, arn, NULL, NULL, &kit_err), DYNB_VALIDATION, message);
    MUST(kit_restore(s.db, arn, "Back"));
    CHECK_INT(kit_get(s.db, "Back", "a"), 1);
    store_end(&s);
}

int main(void)
{
    uint64_t seed = check_seed("test_contract");
    test_create();
    test_describe();
    test_regions();
    test_list();
    test_list_random(seed);
    test_seven_restores();
    test_overrides();
    test_fifty();
    test_recovery();
    test_maxima();
    test_recovery_states();
    test_backup_is();
    test_expired_items();
    test_soon_available();
    test_system();
    return check_report("test_contract");
}
