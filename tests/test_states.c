/* test_states.c - states, conflicts, limits, and failures on demand.
 *
 * With delays configured, what lasts in the cloud can be watched on the injected
 * clock: each row of the contract's conflict matrix (2.7) is played with its
 * exact messages, and the life cycles of tables and backups (2.3, 7); every
 * limit of 3.5 that this version can meet is met; every rate of 1.0 is set and
 * met; every operation fails on demand with every error. Without delays nothing
 * of that is to be seen, and the clock is not looked at. */
#include "store.h"

#define USED "Attempt to change a resource which is still in use: Table is being "
#define MISSING "Requested resource not found"
#define DELAY 10000u

static char messages[4][DYNB_MESSAGE_SIZE]; /* of ARNs, put together by text() */

static const char *text(const char *before, const char *arn)
{
    static uint32_t turn;
    char *to = messages[turn++ % 4];
    snprintf(to, DYNB_MESSAGE_SIZE, "%s%s", before, arn);
    return to;
}

/* A store whose clock stands still until a test moves it. */
static void begin(store *s, uint32_t control_plane_delay_ms, uint32_t backup_delay_ms)
{
    store_begin(s);
    s->clock.step_ms = 0;
    s->config.control_plane_delay_ms = control_plane_delay_ms;
    s->config.backup_delay_ms = backup_delay_ms;
    store_open(s);
}

static void pass(store *s, uint64_t ms)
{
    s->clock.now_ms += ms;
}

static dynb_table_status state_of(store *s, const char *table)
{
    dynb_table_description about;
    MUST(dynb_describe_table(s->db, table, &about, &s->result, &kit_err));
    /* contract 2.7 row 6 */
    CHECK(about.restoring == 0 || about.status == DYNB_TABLE_CREATING);
    CHECK((about.restore_source_backup_arn != NULL) == about.restoring);
    CHECK((about.restore_source_table_arn != NULL) == about.restoring);
    CHECK((about.restored_at_ms != 0) == about.restoring);
    return about.status;
}

static dynb_rc create_backup(store *s, const char *table)
{
    return dynb_create_backup(s->db, table, "backup", NULL, NULL, &kit_err);
}

static dynb_rc delete_table(store *s, const char *table)
{
    return dynb_delete_table(s->db, table, NULL, NULL, &kit_err);
}

static dynb_rc delete_backup(store *s, const char *arn)
{
    return dynb_delete_backup(s->db, arn, NULL, NULL, &kit_err);
}

static dynb_rc update(store *s, const char *table, int protection)
{
    dynb_update_table_input input;
    memset(&input, 0, sizeof input);
    input.table = table;
    input.change = DYNB_CHANGE_DELETION_PROTECTION;
    input.settings.deletion_protection = protection;
    return dynb_update_table(s->db, &input, NULL, NULL, &kit_err);
}

/* A table that is old enough for everything, with one item. */
static void old_table(store *s, const char *name)
{
    MUST(kit_create_table(s->db, name, NULL));
    pass(s, 2 * DELAY);
    MUST(kit_put(s->db, name, "a", 1));
}

/* ------------------------------------------------------- table CREATING -- */

/* 2.7 row "table CREATING"; 1.1; 4.6: the data plane does not know it. */
static void test_creating(void)
{
    static store s;
    dynb_table_description about;
    dynb_table_list list;
    dynb_builder builder;
    dynb_item item;
    dynb_scan_input scan;
    dynb_page page;
    dynb_tag tag;
    memset(&builder, 0, sizeof builder);
    memset(&scan, 0, sizeof scan);
    begin(&s, DELAY, 0);
    MUST(kit_create_table(s.db, "New", NULL));
    CHECK(state_of(&s, "New") == DYNB_TABLE_CREATING);
    MUST(dynb_describe_table(s.db, "New", &about, &s.result, &kit_err));
    CHECK(!about.restoring);
    MUST(dynb_list_tables(s.db, NULL, 0, &list, &s.result, &kit_err));
    CHECK_INT(list.count, 1);

    EXPECT_MESSAGE(kit_put(s.db, "New", "a", 1), DYNB_RESOURCE_NOT_FOUND, MISSING);
    EXPECT_MESSAGE(kit_delete(s.db, "New", "a"), DYNB_RESOURCE_NOT_FOUND, MISSING);
    EXPECT_MESSAGE(dynb_get_item(s.db, "New", kit_item(&builder, "a", -1), &item, &s.result,
                                 &kit_err),
                   DYNB_RESOURCE_NOT_FOUND, MISSING);
    scan.table = "New";
    EXPECT_MESSAGE(dynb_scan(s.db, &scan, &page, &s.result, &kit_err), DYNB_RESOURCE_NOT_FOUND,
                   MISSING);

    /* CreateBackup: not known at first, then not enabled, until some time after */
    /* contract 1.1 row 6, 2.7 row 1 */
    EXPECT_MESSAGE(create_backup(&s, "New"), DYNB_TABLE_NOT_FOUND, "Table not found: New");
    /* DeleteTable, UpdateTable, CreateTable */
    EXPECT_MESSAGE(delete_table(&s, "New"), DYNB_RESOURCE_IN_USE, USED "created: New");
    EXPECT_MESSAGE(update(&s, "New", 1), DYNB_RESOURCE_IN_USE, USED "created: New");
    EXPECT_MESSAGE(kit_create_table(s.db, "New", NULL), DYNB_RESOURCE_IN_USE,
                   USED "created: New");
    EXPECT_MESSAGE(dynb_update_time_to_live(s.db, "New", "until", &kit_err),
                   DYNB_RESOURCE_IN_USE, USED "created: New");
    tag.key = "a";
    tag.value = "b";
    EXPECT(dynb_tag_resource(s.db, "New", &tag, 1, &kit_err), DYNB_OK);
    pass(&s, DELAY / 2);
    CHECK(state_of(&s, "New") == DYNB_TABLE_CREATING);
    EXPECT_MESSAGE(create_backup(&s, "New"), DYNB_CONTINUOUS_BACKUPS_UNAVAILABLE,
                   "Backups are being enabled for the table: New. Please retry later");
    pass(&s, DELAY / 2 - 1);
    CHECK(state_of(&s, "New") == DYNB_TABLE_CREATING);
    pass(&s, 1);
    CHECK(state_of(&s, "New") == DYNB_TABLE_ACTIVE);
    MUST(kit_put(s.db, "New", "a", 1));
    EXPECT_MESSAGE(kit_create_table(s.db, "New", NULL), DYNB_RESOURCE_IN_USE,
                   "Table already exists: New");
    /* contract 1.1 row 6: a while after it is ACTIVE */
    EXPECT(create_backup(&s, "New"), DYNB_CONTINUOUS_BACKUPS_UNAVAILABLE);
    store_reopen(&s); /* it follows from recorded times */
    EXPECT(create_backup(&s, "New"), DYNB_CONTINUOUS_BACKUPS_UNAVAILABLE);
    pass(&s, DELAY / 2);
    EXPECT(create_backup(&s, "New"), DYNB_OK);
    dynb_builder_free(&builder);
    store_end(&s);
}

/* ------------------------------------------------------- table UPDATING -- */

/* 1.1: CreateBackup works; 4.6: DeleteTable does not. */
static void test_updating(void)
{
    static store s;
    begin(&s, DELAY, 0);
    old_table(&s, "Old");
    MUST(update(&s, "Old", 0));
    CHECK(state_of(&s, "Old") == DYNB_TABLE_UPDATING);
    MUST(kit_put(s.db, "Old", "a", 2));
    /* contract 1.1 row 10 */
    EXPECT(create_backup(&s, "Old"), DYNB_OK);
    EXPECT_MESSAGE(delete_table(&s, "Old"), DYNB_RESOURCE_IN_USE,
                   "Attempt to change a resource which is still in use: Table: Old is in the "
                   "process of being updated.");
    EXPECT(update(&s, "Old", 1), DYNB_RESOURCE_IN_USE);
    EXPECT_MESSAGE(kit_create_table(s.db, "Old", NULL), DYNB_RESOURCE_IN_USE,
                   "Table already exists: Old");
    MUST(dynb_wait_idle(s.db, &kit_err)); /* folding changes nothing of it */
    CHECK(state_of(&s, "Old") == DYNB_TABLE_UPDATING);
    pass(&s, DELAY);
    CHECK(state_of(&s, "Old") == DYNB_TABLE_ACTIVE);
    EXPECT(delete_table(&s, "Old"), DYNB_OK);
    store_end(&s);
}

/* ------------------------------------------------------- table DELETING -- */

/* 2.7 row "table DELETING". */
static void test_deleting(void)
{
    static store s;
    dynb_table_description about;
    char arn[DYNB_ARN_MAX + 1], other[DYNB_ARN_MAX + 1];
    uint32_t i;
    begin(&s, DELAY, 0);
    old_table(&s, "Gone");
    back_up(&s, "Gone", arn);
    back_up(&s, "Gone", other);
    MUST(dynb_wait_idle(s.db, &kit_err));
    MUST(dynb_delete_table(s.db, "Gone", &about, &s.result, &kit_err));
    CHECK(about.status == DYNB_TABLE_DELETING);
    CHECK(state_of(&s, "Gone") == DYNB_TABLE_DELETING);
    MUST(dynb_describe_table(s.db,
                             "arn:aws:dynamodb:us-east-1:123456789012:table/Gone", &about,
                             &s.result, &kit_err));
    CHECK_INT(about.item_count, 1);
    CHECK_TEXT(about.partition_key.name, "Id");
    EXPECT_MESSAGE(kit_put(s.db, "Gone", "a", 1), DYNB_RESOURCE_NOT_FOUND, MISSING);
    /* contract 2.7 row 4, 1.1 row 11 */
    EXPECT_MESSAGE(create_backup(&s, "Gone"), DYNB_TABLE_NOT_FOUND, "Table not found: Gone");
    EXPECT(delete_backup(&s, other), DYNB_OK); /* allowed */
    /* contract 1.5 row 28 */
    EXPECT_MESSAGE(kit_restore(s.db, arn, "Gone"), DYNB_TABLE_ALREADY_EXISTS,
                   "Table already exists: Gone");
    MUST(dynb_delete_table(s.db, "Gone", &about, &s.result, &kit_err)); /* no error is returned */
    CHECK(about.status == DYNB_TABLE_DELETING);
    EXPECT_MESSAGE(kit_create_table(s.db, "Gone", NULL), DYNB_RESOURCE_IN_USE,
                   USED "deleted: Gone");
    pass(&s, DELAY);
    EXPECT_MESSAGE(dynb_describe_table(s.db, "Gone", &about, &s.result, &kit_err),
                   DYNB_RESOURCE_NOT_FOUND,
                   "Requested resource not found: Table: Gone not found");
    EXPECT(delete_table(&s, "Gone"), DYNB_RESOURCE_NOT_FOUND);
    EXPECT(kit_restore(s.db, arn, "Gone"), DYNB_OK);
    pass(&s, 2 * DELAY);
    for (i = 0; i < 20; ++i) { /* many at a time; some are ended by the close */
        char name[16];
        snprintf(name, sizeof name, "Many-%u", (unsigned)i);
        old_table(&s, name);
        MUST(delete_table(&s, name));
        CHECK(state_of(&s, name) == DYNB_TABLE_DELETING);
    }
    MUST(delete_table(&s, "Gone"));
    store_reopen(&s); /* a new handle knows what is there, not what was */
    EXPECT(kit_create_table(s.db, "Gone", NULL), DYNB_OK);
    store_end(&s);
}

/* --------------------------------------------------------------- restore -- */

/* 2.7 rows "B being restored to T" and "T restoring"; 1.4, 1.5. */
static void test_restoring(void)
{
    static store s;
    dynb_table_description about;
    dynb_restore_input input;
    dynb_tag tag;
    const dynb_tag *tags;
    const char *key = "a";
    char arn[DYNB_ARN_MAX + 1], other[DYNB_ARN_MAX + 1], far[DYNB_ARN_MAX + 1];
    uint32_t count;
    tag.key = "a";
    tag.value = "b";
    begin(&s, DELAY, 0);
    old_table(&s, "Source");
    back_up(&s, "Source", arn);
    back_up(&s, "Source", other);
    MUST(dynb_wait_idle(s.db, &kit_err));
    memset(&input, 0, sizeof input);
    input.target_table_name = "Target";
    input.backup_arn = arn;
    MUST(dynb_restore_table_from_backup(s.db, &input, &about, &s.result, &kit_err));
    CHECK(about.status == DYNB_TABLE_CREATING && about.restoring);
    MUST(dynb_describe_table(s.db, "Target", &about, &s.result, &kit_err));
    /* contract 1.5 row 10, 2.7 row 6 */
    CHECK(about.status == DYNB_TABLE_CREATING && about.restoring);
    CHECK_TEXT(about.restore_source_backup_arn, arn);
    CHECK_TEXT(about.restore_source_table_arn,
               "arn:aws:dynamodb:us-east-1:123456789012:table/Source");
    CHECK_INT(about.restored_at_ms, s.clock.now_ms);

    /* contract 2.7 row 2: B is being restored to T */
    EXPECT(create_backup(&s, "Source"), DYNB_OK); /* another backup */
    /* contract 1.4 row 3 */
    EXPECT_MESSAGE(delete_backup(&s, arn), DYNB_BACKUP_IN_USE,
                   text("Backup is being used to restore table: ", arn));
    snprintf(far, sizeof far, "arn:aws:dynamodb:eu-west-1%s", strchr(arn + 17, ':'));
    EXPECT_MESSAGE(delete_backup(&s, far), DYNB_BACKUP_IN_USE, /* the same backup */
                   text("Backup is being used to restore table: ", far));
    CHECK(look_up(&s, arn).status == DYNB_BACKUP_AVAILABLE);
    /* contract 1.5 row 31 */
    EXPECT_MESSAGE(kit_restore(s.db, arn, "Second"), DYNB_BACKUP_IN_USE,
                   text("Backup is being used to restore another table: ", arn));
    EXPECT(kit_restore(s.db, other, "Third"), DYNB_OK);
    EXPECT_MESSAGE(delete_table(&s, "Target"), DYNB_RESOURCE_IN_USE, USED "used: Target");
    /* contract 1.5 row 30 */
    EXPECT_MESSAGE(kit_create_table(s.db, "Target", NULL), DYNB_RESOURCE_IN_USE,
                   USED "used: Target");

    /* contract 1.1 row 7, 2.7 row 3: T is restoring */
    EXPECT_MESSAGE(create_backup(&s, "Target"), DYNB_TABLE_NOT_FOUND, "Table not found: Target");
    /* contract 1.5 row 29 */
    EXPECT_MESSAGE(kit_restore(s.db, arn, "Target"), DYNB_TABLE_IN_USE,
                   text("Table: Target is already being restored from backup: ", arn));
    EXPECT_MESSAGE(kit_restore(s.db, other, "Target"), DYNB_TABLE_IN_USE,
                   text("Table: Target is already being restored from backup: ", arn));
    /* contract 2.7 row 5 */
    EXPECT_MESSAGE(update(&s, "Target", 1), DYNB_RESOURCE_NOT_FOUND,
                   "Requested resource not found: Table: Target not found");
    EXPECT_MESSAGE(dynb_update_time_to_live(s.db, "Target", "x", &kit_err),
                   DYNB_RESOURCE_NOT_FOUND,
                   "Requested resource not found: Table: Target not found");
    EXPECT_MESSAGE(dynb_tag_resource(s.db, "Target", &tag, 1, &kit_err), DYNB_RESOURCE_NOT_FOUND,
                   "Requested resource not found: Table: Target not found");
    EXPECT(dynb_untag_resource(s.db, "Target", &key, 1, &kit_err), DYNB_RESOURCE_NOT_FOUND);
    EXPECT(dynb_list_tags_of_resource(s.db, "Target", &tags, &count, &s.result, &kit_err),
           DYNB_RESOURCE_NOT_FOUND);
    /* contract 2.2 row 17: no writes before it is ACTIVE */
    EXPECT_MESSAGE(kit_put(s.db, "Target", "a", 1), DYNB_RESOURCE_NOT_FOUND, MISSING);
    pass(&s, DELAY - 1);
    store_reopen(&s); /* also for a handle that did not start it */
    CHECK(state_of(&s, "Target") == DYNB_TABLE_CREATING);
    EXPECT(delete_backup(&s, arn), DYNB_BACKUP_IN_USE);
    EXPECT(create_backup(&s, "Target"), DYNB_TABLE_NOT_FOUND);
    /* contract 2.7 row 2 */
    EXPECT(delete_table(&s, "Source"), DYNB_OK); /* of the source: allowed */
    pass(&s, 1);
    CHECK(state_of(&s, "Target") == DYNB_TABLE_ACTIVE);
    CHECK_INT(kit_get(s.db, "Target", "a"), 1);
    EXPECT(create_backup(&s, "Target"), DYNB_CONTINUOUS_BACKUPS_UNAVAILABLE);
    pass(&s, DELAY / 2);
    EXPECT(create_backup(&s, "Target"), DYNB_OK);
    MUST(update(&s, "Target", 0)); /* what it came from stays recorded, and unseen */
    pass(&s, DELAY);
    CHECK(state_of(&s, "Target") == DYNB_TABLE_ACTIVE);
    EXPECT_MESSAGE(kit_restore(s.db, other, "Target"), DYNB_TABLE_ALREADY_EXISTS,
                   "Table already exists: Target");
    EXPECT(kit_restore(s.db, arn, "Second"), DYNB_OK);
    pass(&s, DELAY);
    EXPECT(delete_backup(&s, arn), DYNB_OK);
    EXPECT(delete_table(&s, "Target"), DYNB_OK);
    store_end(&s);
}

/* 1.6, 1.7, 1.8: continuous backups of a table that is new, and a restore to a
 * point in time. */
static void test_continuous(void)
{
    static store s;
    dynb_update_continuous_backups_input update_input;
    dynb_restore_to_time_input input;
    dynb_continuous_backups about;
    dynb_table_description table;
    memset(&update_input, 0, sizeof update_input);
    memset(&input, 0, sizeof input);
    begin(&s, DELAY, 0);
    MUST(kit_create_table(s.db, "Table", NULL));
    update_input.table = "Table";
    update_input.point_in_time_recovery = 1;
    /* contract 1.8 row 10 */
    EXPECT_MESSAGE(dynb_update_continuous_backups(s.db, &update_input, NULL, &kit_err),
                   DYNB_TABLE_NOT_FOUND, "Table not found: Table");
    EXPECT_MESSAGE(dynb_describe_continuous_backups(s.db, "Table", &about, &kit_err),
                   DYNB_TABLE_NOT_FOUND, "Table not found: Table");
    pass(&s, DELAY);
    /* contract 1.8 row 11 */
    EXPECT_MESSAGE(dynb_update_continuous_backups(s.db, &update_input, NULL, &kit_err),
                   DYNB_CONTINUOUS_BACKUPS_UNAVAILABLE,
                   "Backups are being enabled for the table: Table. Please retry later");
    EXPECT(dynb_describe_continuous_backups(s.db, "Table", &about, &kit_err), DYNB_OK);
    /* contract 1.7 row 4 */
    CHECK(!about.is_enabled && !about.recovery_is_enabled);
    pass(&s, DELAY / 2);
    MUST(kit_put(s.db, "Table", "a", 1));
    MUST(dynb_update_continuous_backups(s.db, &update_input, &about, &kit_err));
    CHECK(about.is_enabled && about.recovery_is_enabled);
    input.source_table_name = "Table";
    input.target_table_name = "Then";
    input.use_latest_time = 1;
    MUST(dynb_restore_table_to_point_in_time(s.db, &input, &table, &s.result, &kit_err));
    CHECK(table.restoring && table.restore_source_backup_arn == NULL);
    MUST(dynb_describe_table(s.db, "Then", &table, &s.result, &kit_err));
    CHECK(table.status == DYNB_TABLE_CREATING && table.restoring);
    CHECK(table.restore_source_backup_arn == NULL);
    CHECK_TEXT(table.restore_source_table_arn,
               "arn:aws:dynamodb:us-east-1:123456789012:table/Table");
    EXPECT_ABOUT(dynb_restore_table_to_point_in_time(s.db, &input, NULL, NULL, &kit_err),
                 DYNB_TABLE_IN_USE, "Table: Then is already being restored");
    EXPECT_MESSAGE(delete_table(&s, "Then"), DYNB_RESOURCE_IN_USE, USED "used: Then");
    pass(&s, DELAY);
    MUST(dynb_describe_table(s.db, "Then", &table, &s.result, &kit_err));
    CHECK(table.status == DYNB_TABLE_ACTIVE && !table.restoring);
    CHECK_INT(kit_get(s.db, "Then", "a"), 1);
    store_end(&s);
}

/* A set conflicts as its parts do, all or nothing. */
static void test_restoring_set(void)
{
    static store s;
    dynb_restore_input inputs[2];
    dynb_table_description about;
    char arns[2][DYNB_ARN_MAX + 1];
    begin(&s, DELAY, 0);
    old_table(&s, "One");
    old_table(&s, "Two");
    back_up(&s, "One", arns[0]);
    back_up(&s, "Two", arns[1]);
    MUST(dynb_wait_idle(s.db, &kit_err));
    memset(inputs, 0, sizeof inputs);
    inputs[0].target_table_name = "One-then";
    inputs[0].backup_arn = arns[0];
    inputs[1].target_table_name = "Two-then";
    inputs[1].backup_arn = arns[1];
    MUST(kit_restore(s.db, arns[1], "Elsewhere"));
    EXPECT_MESSAGE(dynb_restore_tables_from_backups(s.db, inputs, 2, NULL, NULL, &kit_err),
                   DYNB_BACKUP_IN_USE,
                   text("Backup is being used to restore another table: ", arns[1]));
    EXPECT(dynb_describe_table(s.db, "One-then", &about, &s.result, &kit_err),
           DYNB_RESOURCE_NOT_FOUND);
    pass(&s, DELAY);
    MUST(dynb_restore_tables_from_backups(s.db, inputs, 2, NULL, NULL, &kit_err));
    CHECK(state_of(&s, "One-then") == DYNB_TABLE_CREATING);
    CHECK(state_of(&s, "Two-then") == DYNB_TABLE_CREATING);
    EXPECT(delete_backup(&s, arns[0]), DYNB_BACKUP_IN_USE);
    EXPECT(delete_backup(&s, arns[1]), DYNB_BACKUP_IN_USE);
    store_end(&s);
}

/* --------------------------------------------------------------- backups -- */

/* 2.3: CREATING, AVAILABLE, DELETED; and 1.4, 1.5 of one that is CREATING. */
static void test_backup_states(void)
{
    static store s;
    dynb_list_backups_input list;
    dynb_backup_list found;
    dynb_backup_description about;
    dynb_builder builder;
    dynb_source source;
    dynb_item item;
    char arn[DYNB_ARN_MAX + 1];
    memset(&list, 0, sizeof list);
    memset(&builder, 0, sizeof builder);
    memset(&source, 0, sizeof source);
    begin(&s, 0, 500);
    MUST(kit_create_table(s.db, "Table", NULL));
    CHECK(state_of(&s, "Table") == DYNB_TABLE_ACTIVE);
    MUST(kit_put(s.db, "Table", "a", 1));
    MUST(dynb_wait_idle(s.db, &kit_err));
    MUST(dynb_create_backup(s.db, "Table", "first", &about, &s.result, &kit_err));
    CHECK(about.status == DYNB_BACKUP_CREATING);
    kit_copy(arn, sizeof arn, about.backup_arn);
    MUST(dynb_wait_idle(s.db, &kit_err));
    pass(&s, 499);
    CHECK(look_up(&s, arn).status == DYNB_BACKUP_CREATING);
    MUST(dynb_list_backups(s.db, &list, &found, &s.result, &kit_err));
    /* contract 1.3 row 14 */
    CHECK(found.count == 1 && found.backups[0].status == DYNB_BACKUP_CREATING);
    /* contract 1.4 row 7 */
    EXPECT_MESSAGE(delete_backup(&s, arn), DYNB_BACKUP_IN_USE,
                   text("The backup is either being created, deleted or restored to a table: ",
                        arn));
    EXPECT_MESSAGE(kit_restore(s.db, arn, "Target"), DYNB_BACKUP_IN_USE,
                   text("Backup is being created: ", arn));
    source.backup_arn = arn; /* ours: it can be read already */
    MUST(dynb_get_item_at(s.db, &source, kit_item(&builder, "a", -1), &item, &s.result,
                          &kit_err));
    CHECK(item.bytes != NULL);
    pass(&s, 1);
    /* contract 2.3 row 2 */
    CHECK(look_up(&s, arn).status == DYNB_BACKUP_AVAILABLE);
    EXPECT(kit_restore(s.db, arn, "Target"), DYNB_OK);
    MUST(dynb_delete_backup(s.db, arn, &about, &s.result, &kit_err));
    CHECK(about.status == DYNB_BACKUP_DELETED);
    EXPECT(dynb_describe_backup(s.db, arn, &about, &s.result, &kit_err), DYNB_BACKUP_NOT_FOUND);
    MUST(kit_put(s.db, "Table", "a", 2)); /* one that is not built when the time is up */
    back_up(&s, "Table", arn);
    pass(&s, 500);
    CHECK(look_up(&s, arn).status == DYNB_BACKUP_CREATING);
    MUST(dynb_wait_idle(s.db, &kit_err));
    CHECK(look_up(&s, arn).status == DYNB_BACKUP_AVAILABLE);
    dynb_builder_free(&builder);
    store_end(&s);
}

/* ---------------------------------------------------------------- limits -- */

/* 3.5: 50 restores and 500 operations at a time. */
static void test_busy_limits(void)
{
    static store s;
    char arns[51][DYNB_ARN_MAX + 1], name[24];
    dynb_restore_input inputs[51];
    uint32_t i;
    begin(&s, DELAY, 0);
    s.config.memory_bytes = 8 << 20;
    store_reopen(&s);
    old_table(&s, "Source");
    for (i = 0; i < 51; ++i)
        back_up(&s, "Source", arns[i]);
    MUST(dynb_wait_idle(s.db, &kit_err));
    for (i = 0; i < 50; ++i) {
        snprintf(name, sizeof name, "Restored-%u", (unsigned)i);
        MUST(kit_restore(s.db, arns[i], name));
    }
    /* contract 1.5 row 32 */
    EXPECT_MESSAGE(kit_restore(s.db, arns[50], "Restored-50"), DYNB_LIMIT_EXCEEDED,
                   "Subscriber limit exceeded: Only 50 restore operations can be done "
                   "simultaneously");
    for (i = 50; i < 500; ++i) { /* creations and deletions count, too */
        snprintf(name, sizeof name, "Table-%u", (unsigned)i);
        MUST(kit_create_table(s.db, name, NULL));
    }
    EXPECT_MESSAGE(kit_create_table(s.db, "Table-500", NULL), DYNB_LIMIT_EXCEEDED,
                   "Too many operations for a given subscriber.");
    EXPECT(delete_table(&s, "Source"), DYNB_LIMIT_EXCEEDED);
    EXPECT(update(&s, "Source", 0), DYNB_LIMIT_EXCEEDED);
    EXPECT(dynb_update_time_to_live(s.db, "Source", "x", &kit_err), DYNB_LIMIT_EXCEEDED);
    MUST(kit_put(s.db, "Source", "a", 2)); /* items are no concern of it */
    pass(&s, DELAY);
    EXPECT(kit_restore(s.db, arns[50], "Restored-50"), DYNB_OK);
    for (i = 50; i < 500; ++i) {
        snprintf(name, sizeof name, "Table-%u", (unsigned)i);
        MUST(delete_table(&s, name));
    }
    MUST(update(&s, "Source", 0));
    for (i = 0; i < 48; ++i) {
        snprintf(name, sizeof name, "Restored-%u", (unsigned)i);
        MUST(delete_table(&s, name));
    }
    EXPECT(delete_table(&s, "Restored-48"), DYNB_LIMIT_EXCEEDED);
    pass(&s, DELAY);
    EXPECT(delete_table(&s, "Restored-48"), DYNB_OK);
    pass(&s, DELAY);
    memset(inputs, 0, sizeof inputs); /* a set that is too large by itself */
    for (i = 0; i < 51; ++i) {
        static char names[51][24];
        snprintf(names[i], sizeof names[i], "Set-%u", (unsigned)i);
        inputs[i].target_table_name = names[i];
        inputs[i].backup_arn = arns[i];
    }
    EXPECT(dynb_restore_tables_from_backups(s.db, inputs, 51, NULL, NULL, &kit_err),
           DYNB_LIMIT_EXCEEDED);
    EXPECT(dynb_restore_tables_from_backups(s.db, inputs, 50, NULL, NULL, &kit_err), DYNB_OK);
    store_end(&s);
}

/* 3.5: of these, 250 tables with indexes at a time. */
static void test_busy_indexed(void)
{
    static store s;
    dynb_create_table_input input;
    dynb_index index;
    char name[24];
    uint32_t i;
    begin(&s, DELAY, 0);
    s.config.memory_bytes = 8 << 20;
    store_reopen(&s);
    memset(&input, 0, sizeof input);
    memset(&index, 0, sizeof index);
    input.table_name = name;
    input.partition_key.name = "id";
    input.partition_key.type = DYNB_S;
    input.global_indexes = &index;
    input.global_index_count = 1;
    index.index_name = "by_owner";
    index.partition_key.name = "owner";
    index.partition_key.type = DYNB_S;
    for (i = 0; i < 250; ++i) {
        snprintf(name, sizeof name, "Table-%u", (unsigned)i);
        MUST(dynb_create_table(s.db, &input, NULL, NULL, &kit_err));
    }
    snprintf(name, sizeof name, "Table-250");
    EXPECT_MESSAGE(dynb_create_table(s.db, &input, NULL, NULL, &kit_err), DYNB_LIMIT_EXCEEDED,
                   "Too many operations for a given subscriber.");
    input.global_indexes = NULL; /* without indexes there is room */
    input.global_index_count = 0;
    EXPECT(dynb_create_table(s.db, &input, NULL, NULL, &kit_err), DYNB_OK);
    pass(&s, DELAY);
    input.global_indexes = &index;
    input.global_index_count = 1;
    snprintf(name, sizeof name, "Table-251");
    EXPECT(dynb_create_table(s.db, &input, NULL, NULL, &kit_err), DYNB_OK);
    store_end(&s);
}

/* 3.5: 2,500 tables, however they come. */
static void test_table_limit(void)
{
    static store s;
    dynb_restore_input inputs[2];
    char arn[DYNB_ARN_MAX + 1], name[24];
    uint32_t i;
    store_begin(&s);
    s.config.memory_bytes = 64 << 20;
    s.config.durability = DYNB_BUFFERED;
    store_open(&s);
    for (i = 0; i < 2498; ++i) {
        snprintf(name, sizeof name, "Table-%u", (unsigned)i);
        MUST(kit_create_table(s.db, name, NULL));
    }
    back_up(&s, "Table-7", arn);
    memset(inputs, 0, sizeof inputs);
    inputs[0].target_table_name = "Last-1";
    inputs[1].target_table_name = "Last-2";
    inputs[0].backup_arn = inputs[1].backup_arn = arn;
    MUST(kit_create_table(s.db, "Last-0", NULL));
    EXPECT_MESSAGE(dynb_restore_tables_from_backups(s.db, inputs, 2, NULL, NULL, &kit_err),
                   DYNB_LIMIT_EXCEEDED,
                   "Subscriber limit exceeded: there are 2500 tables already");
    MUST(dynb_restore_tables_from_backups(s.db, inputs, 1, NULL, NULL, &kit_err));
    EXPECT(kit_restore(s.db, arn, "Last-2"), DYNB_LIMIT_EXCEEDED);
    EXPECT_MESSAGE(kit_create_table(s.db, "Last-2", NULL), DYNB_LIMIT_EXCEEDED,
                   "Subscriber limit exceeded: there are 2500 tables already");
    MUST(delete_table(&s, "Table-0"));
    MUST(kit_create_table(s.db, "Last-2", NULL));
    store_end(&s);
}

/* ----------------------------------------------------------------- rates -- */

/* 1.0: each operation has a bucket of its own; only CreateBackup's is on. */
static void test_rates(void)
{
    static store s;
    dynb_backup_description about;
    dynb_backup_list found;
    char arn[DYNB_ARN_MAX + 1], name[24];
    uint32_t i, turn;
    store_begin(&s);
    s.clock.step_ms = 0;
    s.config.create_backup_per_second = 0; /* as AWS: 50 */
    s.config.describe_backup_per_second = 10;
    s.config.list_backups_per_second = 5;
    s.config.delete_backup_per_second = 10;
    s.config.restore_table_per_second = 10;
    store_open(&s);
    MUST(kit_create_table(s.db, "Table", NULL));
    MUST(kit_put(s.db, "Table", "a", 1));
    for (i = 0; i < 50; ++i)
        back_up(&s, "Table", arn);
    EXPECT_MESSAGE(create_backup(&s, "Table"), DYNB_THROTTLING, "Rate exceeded");
    MUST(dynb_wait_idle(s.db, &kit_err));
    for (turn = 0; turn < 2; ++turn) {
        for (i = 0; i < 10; ++i)
            MUST(dynb_describe_backup(s.db, arn, &about, &s.result, &kit_err));
        EXPECT_MESSAGE(dynb_describe_backup(s.db, arn, &about, &s.result, &kit_err),
                       DYNB_THROTTLING, "Rate exceeded");
        for (i = 0; i < 5; ++i)
            MUST(dynb_list_backups(s.db, NULL, &found, &s.result, &kit_err));
        /* contract 1.3 row 10 */
        EXPECT(dynb_list_backups(s.db, NULL, &found, &s.result, &kit_err), DYNB_THROTTLING);
        for (i = 0; i < 10; ++i) {
            snprintf(name, sizeof name, "T-%u-%u", (unsigned)turn, (unsigned)i);
            MUST(kit_restore(s.db, arn, name));
        }
        EXPECT(kit_restore(s.db, arn, "One-more"), DYNB_THROTTLING);
        for (i = 0; i < 10; ++i) /* calls that fail count, too */
            EXPECT(delete_backup(&s, "arn:aws:dynamodb:us-east-1:123456789012:table/Table/backup/"
                                     "01489602797149-73d8d5bc"),
                   DYNB_BACKUP_NOT_FOUND);
        EXPECT(delete_backup(&s, arn), DYNB_THROTTLING);
        pass(&s, 100); /* one of ten comes back, and none of five yet */
        MUST(dynb_describe_backup(s.db, arn, &about, &s.result, &kit_err));
        EXPECT(dynb_describe_backup(s.db, arn, &about, &s.result, &kit_err), DYNB_THROTTLING);
        EXPECT(dynb_list_backups(s.db, NULL, &found, &s.result, &kit_err), DYNB_THROTTLING);
        pass(&s, 1000);
    }
    EXPECT(delete_backup(&s, arn), DYNB_OK);
    store_end(&s);

    begin(&s, 0, 0); /* zero: no limit but for CreateBackup, which the kit has lifted */
    MUST(kit_create_table(s.db, "Table", NULL));
    back_up(&s, "Table", arn);
    for (i = 0; i < 200; ++i) {
        MUST(dynb_describe_backup(s.db, arn, &about, &s.result, &kit_err));
        MUST(dynb_list_backups(s.db, NULL, &found, &s.result, &kit_err));
    }
    store_end(&s);
}

/* ---------------------------------------------------- failures on demand -- */

static dynb_rc call(store *s, dynb_operation operation, const char *arn, dynb_builder *builder)
{
    static const char batch_get[] =
        "{\"RequestItems\":{\"Table\":{\"Keys\":[{\"Id\":{\"S\":\"a\"}}]}}}";
    dynb_response response;
    dynb_table_description table;
    dynb_backup_description backup;
    dynb_query_input query;
    dynb_scan_input scan;
    dynb_restore_to_time_input to_time;
    dynb_continuous_backups continuous;
    dynb_update_continuous_backups_input set_continuous;
    dynb_table_list tables;
    dynb_backup_list backups;
    dynb_time_to_live time_to_live;
    dynb_limits limits;
    dynb_endpoint endpoint;
    dynb_page page;
    dynb_item item = kit_item(builder, "a", 1);
    dynb_write write;
    dynb_tag tag;
    const dynb_tag *tags;
    const char *key = "a";
    uint32_t count;
    memset(&query, 0, sizeof query);
    memset(&scan, 0, sizeof scan);
    memset(&write, 0, sizeof write);
    memset(&to_time, 0, sizeof to_time);
    memset(&set_continuous, 0, sizeof set_continuous);
    to_time.source_table_name = set_continuous.table = "Table";
    to_time.target_table_name = "Restored";
    to_time.use_latest_time = 1;
    tag.key = tag.value = "a";
    query.table = scan.table = write.table = "Table";
    query.partition_key = dynb_item_get(item, "Id");
    write.item = item;
    switch (operation) {
    case DYNB_OP_CREATE_TABLE: return kit_create_table(s->db, "Table", NULL);
    case DYNB_OP_DESCRIBE_TABLE:
        return dynb_describe_table(s->db, "Table", &table, &s->result, &kit_err);
    case DYNB_OP_LIST_TABLES:
        return dynb_list_tables(s->db, NULL, 0, &tables, &s->result, &kit_err);
    case DYNB_OP_UPDATE_TABLE: return update(s, "Table", 0);
    case DYNB_OP_DELETE_TABLE: return delete_table(s, "Table");
    case DYNB_OP_UPDATE_TIME_TO_LIVE:
        return dynb_update_time_to_live(s->db, "Table", "x", &kit_err);
    case DYNB_OP_DESCRIBE_TIME_TO_LIVE:
        return dynb_describe_time_to_live(s->db, "Table", &time_to_live, &s->result, &kit_err);
    case DYNB_OP_DESCRIBE_LIMITS: return dynb_describe_limits(s->db, &limits, &kit_err);
    case DYNB_OP_DESCRIBE_ENDPOINTS:
        return dynb_describe_endpoints(s->db, &endpoint, &s->result, &kit_err);
    case DYNB_OP_TAG_RESOURCE: return dynb_tag_resource(s->db, "Table", &tag, 1, &kit_err);
    case DYNB_OP_UNTAG_RESOURCE: return dynb_untag_resource(s->db, "Table", &key, 1, &kit_err);
    case DYNB_OP_LIST_TAGS_OF_RESOURCE:
        return dynb_list_tags_of_resource(s->db, "Table", &tags, &count, &s->result, &kit_err);
    case DYNB_OP_PUT_ITEM: return kit_put(s->db, "Table", "a", 2);
    case DYNB_OP_GET_ITEM:
        return dynb_get_item(s->db, "Table", kit_item(builder, "a", -1), &item, &s->result,
                             &kit_err);
    case DYNB_OP_DELETE_ITEM: return kit_delete(s->db, "Table", "a");
    case DYNB_OP_BATCH_WRITE_ITEM: return dynb_batch_write(s->db, &write, 1, NULL, &kit_err);
    case DYNB_OP_BATCH_GET_ITEM: /* has no function of its own */
        return dynb_call(s->db, "BatchGetItem", batch_get, sizeof batch_get - 1, &s->result,
                         &response, &kit_err);
    case DYNB_OP_QUERY: return dynb_query(s->db, &query, &page, &s->result, &kit_err);
    case DYNB_OP_SCAN: return dynb_scan(s->db, &scan, &page, &s->result, &kit_err);
    case DYNB_OP_CREATE_BACKUP: return create_backup(s, "Table");
    case DYNB_OP_DESCRIBE_BACKUP:
        return dynb_describe_backup(s->db, arn, &backup, &s->result, &kit_err);
    case DYNB_OP_LIST_BACKUPS:
        return dynb_list_backups(s->db, NULL, &backups, &s->result, &kit_err);
    case DYNB_OP_DELETE_BACKUP: return delete_backup(s, arn);
    case DYNB_OP_RESTORE_TABLE_FROM_BACKUP: return kit_restore(s->db, arn, "Restored");
    case DYNB_OP_RESTORE_TABLE_TO_POINT_IN_TIME:
        return dynb_restore_table_to_point_in_time(s->db, &to_time, NULL, NULL, &kit_err);
    case DYNB_OP_DESCRIBE_CONTINUOUS_BACKUPS:
        return dynb_describe_continuous_backups(s->db, "Table", &continuous, &kit_err);
    case DYNB_OP_UPDATE_CONTINUOUS_BACKUPS:
        return dynb_update_continuous_backups(s->db, &set_continuous, NULL, &kit_err);
    case DYNB_OPERATION_COUNT: break;
    }
    return DYNB_INVALID_ARGUMENT;
}

static void test_failures(void)
{
    static store s;
    dynb_builder builder;
    dynb_stat before, after;
    char arn[DYNB_ARN_MAX + 1];
    uint32_t operation, other, code;
    memset(&builder, 0, sizeof builder);
    begin(&s, 0, 0);
    MUST(kit_create_table(s.db, "Table", NULL));
    MUST(kit_put(s.db, "Table", "a", 1));
    back_up(&s, "Table", arn);
    MUST(dynb_wait_idle(s.db, &kit_err));
    for (operation = 0; operation < DYNB_OPERATION_COUNT; ++operation) {
        for (code = 1; code < DYNB_ERROR_COUNT; ++code) {
            MUST(dynb_get_stat(s.db, &before, &kit_err));
            MUST(dynb_fail_next_calls(s.db, (dynb_operation)operation, (dynb_rc)code, 2,
                                      &kit_err));
            other = operation == DYNB_OP_DESCRIBE_TABLE ? DYNB_OP_LIST_TABLES
                                                        : DYNB_OP_DESCRIBE_TABLE;
            EXPECT_MESSAGE(call(&s, (dynb_operation)operation, arn, &builder), (dynb_rc)code,
                           dynb_rc_text((dynb_rc)code));
            EXPECT(call(&s, (dynb_operation)other, arn, &builder), DYNB_OK); /* not this one */
            EXPECT(call(&s, (dynb_operation)operation, arn, &builder), (dynb_rc)code);
            MUST(dynb_get_stat(s.db, &after, &kit_err));
            CHECK(before.lsn == after.lsn);
        }
        MUST(dynb_fail_next_calls(s.db, (dynb_operation)operation, DYNB_THROTTLING, 7, &kit_err));
        MUST(dynb_fail_next_calls(s.db, (dynb_operation)operation, DYNB_OK, 0, &kit_err));
    }
    EXPECT_MESSAGE(dynb_fail_next_calls(s.db, DYNB_OPERATION_COUNT, DYNB_THROTTLING, 1, &kit_err),
                   DYNB_INVALID_ARGUMENT, "operation is not one of DYNB_OP_*");
    EXPECT_MESSAGE(dynb_fail_next_calls(s.db, DYNB_OP_SCAN, DYNB_OK, 1, &kit_err),
                   DYNB_INVALID_ARGUMENT, "code is not an error");
    EXPECT(dynb_fail_next_calls(s.db, DYNB_OP_SCAN, DYNB_ERROR_COUNT, 1, &kit_err),
           DYNB_INVALID_ARGUMENT);
    EXPECT(dynb_fail_next_calls(NULL, DYNB_OP_SCAN, DYNB_THROTTLING, 1, &kit_err),
           DYNB_INVALID_ARGUMENT);
    CHECK_INT(kit_get(s.db, "Table", "a"), 1);
    EXPECT(call(&s, DYNB_OP_RESTORE_TABLE_FROM_BACKUP, arn, &builder), DYNB_OK);
    dynb_builder_free(&builder);
    store_end(&s);
}

/* ---------------------------------------------------------------- memory -- */

/* Deleting with a delay: whatever fails, the table is there or DELETING. */
static void test_memory(void)
{
    static store s;
    dynb_rc rc = DYNB_NO_MEMORY;
    dynb_table_description about;
    uint64_t n, failed = 0;
    begin(&s, DELAY, 0);
    old_table(&s, "Table");
    s.memory.fail_from = 1;
    for (n = 1; rc == DYNB_NO_MEMORY && n < 1000; ++n) {
        s.memory.call_count = 0;
        s.memory.fail_at = n;
        rc = dynb_delete_table(s.db, "Table", NULL, NULL, &kit_err);
        s.memory.fail_at = 0;
        CHECK(rc == DYNB_OK || rc == DYNB_NO_MEMORY);
        CHECK(state_of(&s, "Table") ==
              (rc == DYNB_OK ? DYNB_TABLE_DELETING : DYNB_TABLE_ACTIVE));
        failed += rc != DYNB_OK;
    }
    CHECK(failed > 1);
    CHECK_INT(rc, DYNB_OK);
    dynb_result_free(&s.result);
    s.memory.call_count = 0;
    s.memory.fail_at = 1;
    EXPECT(dynb_describe_table(s.db, "Table", &about, &s.result, &kit_err), DYNB_NO_MEMORY);
    s.memory.fail_at = 0;
    EXPECT(dynb_describe_table(s.db, "T/T", &about, &s.result, &kit_err), DYNB_VALIDATION);
    EXPECT(dynb_describe_table(s.db, NULL, &about, &s.result, &kit_err), DYNB_INVALID_ARGUMENT);
    EXPECT(delete_table(&s, "T/T"), DYNB_VALIDATION);
    store_end(&s);
}

/* Without delays the clock is not looked at more often than there are records. */
static void test_no_delays(void)
{
    static store s;
    dynb_builder builder;
    dynb_table_description about;
    dynb_item item;
    uint64_t now;
    uint32_t i;
    memset(&builder, 0, sizeof builder);
    begin(&s, 0, 0);
    s.clock.step_ms = 1;
    MUST(kit_create_table(s.db, "Table", NULL));
    now = s.clock.now_ms;
    for (i = 0; i < 10; ++i) {
        MUST(dynb_describe_table(s.db, "Table", &about, &s.result, &kit_err));
        CHECK(about.status == DYNB_TABLE_ACTIVE);
        MUST(dynb_get_item(s.db, "Table", kit_item(&builder, "a", -1), &item, &s.result,
                           &kit_err));
    }
    CHECK_INT(s.clock.now_ms, now);
    dynb_builder_free(&builder);
    store_end(&s);
}

int main(void)
{
    test_creating();
    test_updating();
    test_deleting();
    test_restoring();
    test_continuous();
    test_restoring_set();
    test_backup_states();
    test_busy_limits();
    test_busy_indexed();
    test_table_limit();
    test_rates();
    test_failures();
    test_memory();
    test_no_delays();
    return check_report("test_states");
}
