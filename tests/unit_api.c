/* unit_api.c - sections 23 and 26: the arguments of every public function, names
 * and ARNs, settings, times as text, the order of a batch, and the causes of the
 * codes that are hard to come by. */
#include "store.h"

#define MISUSED(call, what) EXPECT_ABOUT(call, DYNB_INVALID_ARGUMENT, what)

static int never_node(void *ctx, const dynb_node_info *node)
{
    (void)ctx;
    return node != NULL;
}

static int never_record(void *ctx, const dynb_log_record *record)
{
    (void)ctx;
    return record != NULL;
}

static void test_arguments(void)
{
    static const char *const names[] = {"Table", NULL};
    const char *name = "Table";
    store s;
    dynb_create_table_input create;
    dynb_update_table_input update;
    dynb_restore_input restore;
    dynb_list_backups_input list;
    dynb_query_input query;
    dynb_scan_input scan;
    dynb_write write;
    dynb_write_options options;
    dynb_table_description about;
    dynb_backup_description backup;
    dynb_backup_list backups;
    dynb_table_list tables;
    dynb_time_to_live time_to_live;
    dynb_limits limits;
    dynb_endpoint endpoint;
    dynb_page page;
    dynb_stat stat;
    dynb_item item, old;
    dynb_tag tag = {"k", "v"};
    const dynb_tag *tags;
    uint32_t count;
    dynb_builder b;
    dynb_result *r = &s.result;
    dynb *db;
    store_begin(&s);
    store_open(&s);
    db = s.db;
    MUST(kit_create_table(db, name, NULL));
    memset(&create, 0, sizeof create);
    memset(&update, 0, sizeof update);
    memset(&restore, 0, sizeof restore);
    memset(&list, 0, sizeof list);
    memset(&query, 0, sizeof query);
    memset(&scan, 0, sizeof scan);
    memset(&options, 0, sizeof options);
    memset(&b, 0, sizeof b);
    item = kit_item(&b, "a", 1);
    memset(&old, 0, sizeof old);
    write.table = name;
    write.item = item;
    write.is_delete = 0;
    query.table = scan.table = update.table = name;
    restore.target_table_name = "Back";
    MISUSED(dynb_create_table(NULL, &create, NULL, NULL, &kit_err), "db");
    MISUSED(dynb_describe_table(NULL, name, &about, r, &kit_err), "db");
    MISUSED(dynb_list_tables(NULL, NULL, 0, &tables, r, &kit_err), "db");
    MISUSED(dynb_update_table(NULL, &update, NULL, NULL, &kit_err), "db");
    MISUSED(dynb_delete_table(NULL, name, NULL, NULL, &kit_err), "db");
    MISUSED(dynb_update_time_to_live(NULL, name, "t", &kit_err), "db");
    MISUSED(dynb_describe_time_to_live(NULL, name, &time_to_live, r, &kit_err), "db");
    MISUSED(dynb_describe_time_to_live(db, name, NULL, r, &kit_err), "out");
    MISUSED(dynb_describe_time_to_live(db, name, &time_to_live, NULL, &kit_err), "result");
    MISUSED(dynb_describe_limits(NULL, &limits, &kit_err), "db");
    MISUSED(dynb_describe_limits(db, NULL, &kit_err), "out");
    MISUSED(dynb_describe_endpoints(NULL, &endpoint, r, &kit_err), "db");
    MISUSED(dynb_describe_endpoints(db, NULL, r, &kit_err), "out");
    MISUSED(dynb_describe_endpoints(db, &endpoint, NULL, &kit_err), "result");
    MISUSED(dynb_tag_resource(NULL, name, &tag, 1, &kit_err), "db");
    MISUSED(dynb_untag_resource(NULL, name, names, 1, &kit_err), "db");
    MISUSED(dynb_list_tags_of_resource(NULL, name, &tags, &count, r, &kit_err), "db");
    MISUSED(dynb_put_item(NULL, name, item, NULL, NULL, NULL, &kit_err), "db");
    MISUSED(dynb_get_item(NULL, name, item, &old, r, &kit_err), "db");
    MISUSED(dynb_delete_item(NULL, name, item, NULL, NULL, NULL, &kit_err), "db");
    MISUSED(dynb_batch_write(NULL, &write, 1, NULL, &kit_err), "db");
    MISUSED(dynb_query(NULL, &query, &page, r, &kit_err), "db");
    MISUSED(dynb_scan(NULL, &scan, &page, r, &kit_err), "db");
    MISUSED(dynb_create_backup(NULL, name, "backup", NULL, NULL, &kit_err), "db");
    MISUSED(dynb_create_backups(NULL, names, 1, "backup", NULL, NULL, &kit_err), "db");
    MISUSED(dynb_describe_backup(NULL, "arn", &backup, r, &kit_err), "db");
    MISUSED(dynb_list_backups(NULL, NULL, &backups, r, &kit_err), "db");
    MISUSED(dynb_delete_backup(NULL, "arn", NULL, NULL, &kit_err), "db");
    MISUSED(dynb_restore_table_from_backup(NULL, &restore, NULL, NULL, &kit_err), "db");
    MISUSED(dynb_inspect_log(NULL, never_record, NULL, &kit_err), "db");
    MISUSED(dynb_inspect_nodes(NULL, name, never_node, NULL, &kit_err), "db");
    MISUSED(dynb_check(NULL, NULL, NULL, NULL, &kit_err), "db");
    MISUSED(dynb_scrub(NULL, &kit_err), "db");
    MISUSED(dynb_sync(NULL, &kit_err), "db");
    MISUSED(dynb_wait_idle(NULL, &kit_err), "db");
    MISUSED(dynb_get_stat(NULL, &stat, &kit_err), "db");
    MISUSED(dynb_create_table(db, NULL, NULL, NULL, &kit_err), "input");
    create.table_name = "Other";
    MISUSED(dynb_create_table(db, &create, NULL, NULL, &kit_err), "partition_key.name");
    create.partition_key.name = "\xff";
    create.partition_key.type = DYNB_S;
    EXPECT_ABOUT(dynb_create_table(db, &create, NULL, NULL, &kit_err), DYNB_VALIDATION,
                 "input.partition_key.name is not UTF-8 at byte 0");
    create.partition_key.name = "Id";
    MISUSED(dynb_create_table(db, &create, &about, NULL, &kit_err), "result");
    create.tag_count = 1;
    MISUSED(dynb_create_table(db, &create, NULL, NULL, &kit_err), "tags");
    create.tags = &tag;
    create.tag_count = DYNB_TAGS_MAX + 1;
    EXPECT_ABOUT(dynb_create_table(db, &create, NULL, NULL, &kit_err), DYNB_VALIDATION,
                 "Number of Tags");
    create.tag_count = 1;
    tag.value = NULL;
    MISUSED(dynb_create_table(db, &create, NULL, NULL, &kit_err), "tags[0]");
    tag.value = "v";
    tag.key = NULL;
    MISUSED(dynb_create_table(db, &create, NULL, NULL, &kit_err), "tags[0]");
    tag.key = "k";
    MISUSED(dynb_list_tables(db, NULL, 0, &tables, NULL, &kit_err), "result");
    MISUSED(dynb_update_table(db, &update, NULL, NULL, &kit_err), "input.change");
    update.change = 256;
    MISUSED(dynb_update_table(db, &update, NULL, NULL, &kit_err), "input.change");
    update.change = DYNB_CHANGE_STREAM;
    MISUSED(dynb_update_table(db, &update, &about, NULL, &kit_err), "result");
    update.settings.stream_view = (dynb_stream_view)9;
    MISUSED(dynb_update_table(db, &update, NULL, NULL, &kit_err), "stream_view");
    MISUSED(dynb_delete_table(db, name, &about, NULL, &kit_err), "result");
    MISUSED(dynb_delete_table(db, NULL, NULL, NULL, &kit_err), "table");
    MISUSED(dynb_update_time_to_live(db, NULL, "t", &kit_err), "table");
    MISUSED(dynb_tag_resource(db, name, NULL, 1, &kit_err), "tags");
    MISUSED(dynb_tag_resource(db, NULL, &tag, 1, &kit_err), "table");
    MISUSED(dynb_untag_resource(db, name, NULL, 1, &kit_err), "keys");
    MISUSED(dynb_untag_resource(db, name, names, 2, &kit_err), "key");
    MISUSED(dynb_list_tags_of_resource(db, name, NULL, &count, r, &kit_err), "tags");
    MISUSED(dynb_list_tags_of_resource(db, name, &tags, NULL, r, &kit_err), "tag_count");
    MISUSED(dynb_list_tags_of_resource(db, name, &tags, &count, NULL, &kit_err), "result");
    item.bytes = NULL;
    write.item = item;
    MISUSED(dynb_put_item(db, name, item, NULL, NULL, NULL, &kit_err), "bytes");
    MISUSED(dynb_get_item(db, name, item, &old, r, &kit_err), "key.bytes");
    MISUSED(dynb_batch_write(db, NULL, 1, NULL, &kit_err), "writes");
    MISUSED(dynb_batch_write(db, &write, 0, NULL, &kit_err), "write_count");
    MISUSED(dynb_batch_write(db, &write, 1, NULL, &kit_err), "writes[0]");
    CHECK(dynbi_batch_fail(NULL, 1) == DYNB_OK);
    item = kit_item(&b, "a", 1);
    options.return_old = 1;
    MISUSED(dynb_put_item(db, name, item, &options, NULL, r, &kit_err), "old");
    MISUSED(dynb_put_item(db, name, item, &options, &old, NULL, &kit_err), "result");
    MISUSED(dynb_query(db, &query, NULL, r, &kit_err), "out");
    MISUSED(dynb_query(db, &query, &page, NULL, &kit_err), "result");
    query.condition = (dynb_sort_condition)99;
    MISUSED(dynb_query(db, &query, &page, r, &kit_err), "input.condition");
    query.condition = DYNB_SORT_EQ;
    EXPECT_ABOUT(dynb_query(db, &query, &page, r, &kit_err), DYNB_VALIDATION,
                 "table Table has no sort key");
    MISUSED(dynb_scan(db, &scan, NULL, r, &kit_err), "out");
    MISUSED(dynb_scan(db, &scan, &page, NULL, &kit_err), "result");
    MISUSED(dynb_create_backups(db, NULL, 1, "backup", NULL, NULL, &kit_err), "tables");
    MISUSED(dynb_create_backups(db, names, 0, "backup", NULL, NULL, &kit_err), "tables");
    MISUSED(dynb_create_backups(db, names, 2, "backup", NULL, NULL, &kit_err), "table");
    MISUSED(dynb_create_backup(db, name, NULL, NULL, NULL, &kit_err), "backup_name");
    MISUSED(dynb_create_backup(db, name, "backup", &backup, NULL, &kit_err), "result");
    MISUSED(dynb_describe_backup(db, "arn", NULL, r, &kit_err), "out");
    MISUSED(dynb_describe_backup(db, "arn", &backup, NULL, &kit_err), "result");
    MISUSED(dynb_describe_backup(db, NULL, &backup, r, &kit_err), "backup_arn");
    MISUSED(dynb_list_backups(db, NULL, NULL, r, &kit_err), "out");
    MISUSED(dynb_list_backups(db, NULL, &backups, NULL, &kit_err), "result");
    list.type = 4;
    MISUSED(dynb_list_backups(db, &list, &backups, r, &kit_err), "input.type");
    MISUSED(dynb_delete_backup(db, NULL, NULL, NULL, &kit_err), "backup_arn");
    MISUSED(dynb_delete_backup(db, "arn", &backup, NULL, &kit_err), "result");
    MISUSED(dynb_restore_table_from_backup(db, NULL, NULL, NULL, &kit_err), "input");
    MISUSED(dynb_restore_table_from_backup(db, &restore, NULL, NULL, &kit_err), "backup_arn");
    restore.target_table_name = NULL;
    MISUSED(dynb_restore_table_from_backup(db, &restore, NULL, NULL, &kit_err),
            "input.target_table_name");
    MISUSED(dynb_inspect_nodes(db, NULL, never_node, NULL, &kit_err), "table_or_backup_arn");
    MISUSED(dynb_inspect_nodes(db, name, NULL, NULL, &kit_err), "visit_fn");
    CHECK_INT(kit_get(db, name, "a"), -1);
    dynb_builder_free(&b);
    store_end(&s);
}

static void test_names(void)
{
    static const struct {
        const char *arn;
        dynb_rc rc;
    } table_arns[] = {
        {"arn:aws:dynamodb:us-east-1:123456789012:table/Table", DYNB_OK},
        {"arn:aws-cn:dynamodb:us-east-1:123456789012:table/Table", DYNB_VALIDATION},
        {"arn:aws:s3:us-east-1:123456789012:table/Table", DYNB_VALIDATION},
        {"arn:aws:dynamodb:eu-west-1:123456789012:table/Table", DYNB_VALIDATION},
        {"arn:aws:dynamodb:us-east-1:999999999999:table/Table", DYNB_ACCESS_DENIED},
        {"arn:aws:dynamodb:us-east-1:123456789012:index/Table", DYNB_VALIDATION},
        {"arn:aws:dynamodb:us-east-1:123456789012:table/Ta/ble", DYNB_VALIDATION},
        {"arn:aws:dynamodb:us-east-1:123456789012:table/", DYNB_VALIDATION},
        {"arn:aws:dynamodb:us-east-1:123456789012:table/Nobody", DYNB_RESOURCE_NOT_FOUND},
        {"arn:", DYNB_VALIDATION},
        {"a[b", DYNB_VALIDATION},
    };
    static const struct {
        const char *arn;
        dynb_rc rc;
    } backup_arns[] = {
        {"arn:aws:dynamodb:us-east-1:123456789012:table/Tab/backup/01700000000000-0123abcd",
         DYNB_BACKUP_NOT_FOUND},
        {"arn:aws:dynamodb:us-east-1:123456789012:table/Tab/backup/01700000000000-0123abcg",
         DYNB_VALIDATION},
        {"arn:aws:dynamodb:us-east-1:123456789012:table/Tab/backup/01700000000000-0123abcde",
         DYNB_VALIDATION},
        {"arn:aws:dynamodb:us-east-1:123456789012:table/Tab/backup/01700000000000_0123abcd",
         DYNB_VALIDATION},
        {"arn:aws:dynamodb:us-east-1:123456789012:table/Tab/backup/0170000000000x-0123abcd",
         DYNB_VALIDATION},
        {"arn:aws:dynamodb:us-east-1:123456789012:table/Ta/backup/01700000000000-0123abcd",
         DYNB_VALIDATION},
        {"arn:aws:dynamodb:us-east-1:123456789012:table/T*b/backup/01700000000000-0123abcd",
         DYNB_VALIDATION},
        {"arn:aws:dynamodb:us-east-1:123456789012:index/Tab/backup/01700000000000-0123abcd",
         DYNB_VALIDATION},
        {"arn:aws:dynamodb:us-east-1:123456789012:table/Tab/bakcup/01700000000000-0123abcd",
         DYNB_VALIDATION},
        {"not:aws:dynamodb:us-east-1:123456789012:table/Tab/backup/01700000000000-0123abcd",
         DYNB_VALIDATION},
        {"arn:aws-cn:dynamodb:us-east-1:123456789012:table/Tab/backup/01700000000000-0123abcd",
         DYNB_VALIDATION},
        {"arn:aws:s3:us-east-1:123456789012:table/Tab/backup/01700000000000-0123abcd",
         DYNB_VALIDATION},
        {"arn:aws:dynamodb:no-where-9:123456789012:table/Tab/backup/01700000000000-0123abcd",
         DYNB_VALIDATION},
        {"arn:aws:dynamodb:eu-west-1:123456789012:table/Tab/backup/01700000000000-0123abcd",
         DYNB_BACKUP_NOT_FOUND},
        {"arn:aws:dynamodb::123456789012:table/Tab/backup/01700000000000-0123abcd",
         DYNB_ACCESS_DENIED},
        {"arn:aws:dynamodb:us-east-1:999999999999:table/Tab/backup/01700000000000-0123abcd",
         DYNB_ACCESS_DENIED},
    };
    char text[1200];
    dynb_table_description about;
    dynb_backup_description backup;
    size_t i;
    store s;
    store_begin(&s);
    store_open(&s);
    MUST(kit_create_table(s.db, "Table", NULL));
    for (i = 0; i < sizeof table_arns / sizeof *table_arns; ++i)
        EXPECT(dynb_describe_table(s.db, table_arns[i].arn, &about, &s.result, &kit_err),
               table_arns[i].rc);
    for (i = 0; i < sizeof backup_arns / sizeof *backup_arns; ++i)
        EXPECT(dynb_describe_backup(s.db, backup_arns[i].arn, &backup, &s.result, &kit_err),
               backup_arns[i].rc);
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = 0;
    memcpy(text, "arn:", 4);
    EXPECT_ABOUT(dynb_describe_table(s.db, text, &about, &s.result, &kit_err), DYNB_VALIDATION,
                 "less than or equal to 1024");
    EXPECT(dynb_describe_backup(s.db, text, &backup, &s.result, &kit_err), DYNB_VALIDATION);
    snprintf(text, sizeof text, "arn:aws:dynamodb:us-east-1:123456789012:table/%0260d/backup/%s", 0,
             "01700000000000-0123abcd");
    EXPECT(dynb_describe_backup(s.db, text, &backup, &s.result, &kit_err), DYNB_VALIDATION);
    store_end(&s);
}

static void test_settings(void)
{
    char text[2100];
    dynb_table_settings s0, s1;
    store s;
    dynb_update_table_input update;
    memset(&s0, 0, sizeof s0);
    EXPECT(dynbi_settings_check(&s0, &kit_err), DYNB_OK);
    s1 = s0;
    s1.billing_mode = (dynb_billing_mode)7;
    MISUSED(dynbi_settings_check(&s1, &kit_err), "settings.billing_mode");
    s1 = s0;
    s1.encryption = (dynb_encryption)7;
    MISUSED(dynbi_settings_check(&s1, &kit_err), "settings.encryption");
    s1 = s0;
    s1.table_class = (dynb_table_class)7;
    MISUSED(dynbi_settings_check(&s1, &kit_err), "settings.table_class");
    s1 = s0;
    s1.kms_key_arn = "";
    EXPECT_ABOUT(dynbi_settings_check(&s1, &kit_err), DYNB_VALIDATION,
                 "greater than or equal to 1");
    memset(text, 'k', sizeof text - 1);
    text[sizeof text - 1] = 0;
    s1.kms_key_arn = text;
    EXPECT_ABOUT(dynbi_settings_check(&s1, &kit_err), DYNB_VALIDATION,
                 "less than or equal to 2048");
    text[2048] = 0;
    EXPECT(dynbi_settings_check(&s1, &kit_err), DYNB_OK);
    s1 = s0;
    s1.provisioned.write_units = 1;
    EXPECT_ABOUT(dynbi_settings_check(&s1, &kit_err), DYNB_VALIDATION, "PAY_PER_REQUEST");
    s1.billing_mode = DYNB_PROVISIONED;
    EXPECT_ABOUT(dynbi_settings_check(&s1, &kit_err), DYNB_VALIDATION, "must both be specified");
    s1.provisioned.read_units = 1000000000001u;
    EXPECT_ABOUT(dynbi_settings_check(&s1, &kit_err), DYNB_VALIDATION,
                 "Given value 1000000000001 for ReadCapacityUnits is out of bounds");
    s1.provisioned.read_units = 1;
    EXPECT(dynbi_settings_check(&s1, &kit_err), DYNB_OK);
    s1.provisioned.write_units = 0;
    EXPECT(dynbi_settings_check(&s1, &kit_err), DYNB_VALIDATION);
    s1.provisioned.write_units = 2000000000000u;
    EXPECT_ABOUT(dynbi_settings_check(&s1, &kit_err), DYNB_VALIDATION, "WriteCapacityUnits is out");
    s1.provisioned.write_units = 1;
    s1.on_demand.write_units = 1;
    EXPECT_ABOUT(dynbi_settings_check(&s1, &kit_err), DYNB_VALIDATION, "OnDemandThroughput");
    s1.on_demand.read_units = 1;
    EXPECT(dynbi_settings_check(&s1, &kit_err), DYNB_VALIDATION);

    store_begin(&s);
    store_open(&s);
    MUST(kit_create_table(s.db, "Table", NULL));
    memset(&update, 0, sizeof update);
    update.table = "Table";
    update.change = DYNB_CHANGE_STREAM;
    EXPECT_ABOUT(dynb_update_table(s.db, &update, NULL, NULL, &kit_err), DYNB_VALIDATION,
                 "no stream to disable");
    update.settings.stream_view = DYNB_STREAM_NEW_IMAGE;
    EXPECT(dynb_update_table(s.db, &update, NULL, NULL, &kit_err), DYNB_OK);
    EXPECT_ABOUT(dynb_update_table(s.db, &update, NULL, NULL, &kit_err), DYNB_VALIDATION,
                 "already has an enabled stream");
    update.change = DYNB_CHANGE_ON_DEMAND;
    update.settings.on_demand.read_units = 5;
    EXPECT(dynb_update_table(s.db, &update, NULL, NULL, &kit_err), DYNB_OK);
    EXPECT_ABOUT(dynb_update_time_to_live(s.db, "Table", NULL, &kit_err), DYNB_VALIDATION,
                 "already disabled");
    EXPECT(dynb_update_time_to_live(s.db, "Table", "ttl", &kit_err), DYNB_OK);
    EXPECT_ABOUT(dynb_update_time_to_live(s.db, "Table", "ttl", &kit_err), DYNB_VALIDATION,
                 "already enabled");
    {   /* settings damaged in memory: each call that reads them says so */
        dynbi_table *table = table_of(&s, "Table");
        uint32_t size = table->settings_size;
        dynb_tag tag = {"k", "v"}, list[DYNB_TAGS_MAX];
        dynb_table_description about;
        dynb_source source;
        dynb_builder builder;
        dynb_item key, item;
        uint32_t count;
        uint8_t last = table->settings[size - 1];
        table->settings[size - 1] = DYNB_TAGS_MAX + 1;
        EXPECT(dynbi_tags_read(table, list, &count, &kit_err), DYNB_CORRUPT);
        table->settings[size - 1] = 3;
        EXPECT(dynbi_tags_read(table, list, &count, &kit_err), DYNB_CORRUPT);
        table->settings[size - 1] = last;
        table->settings_size = 4;
        EXPECT(dynbi_tags_read(table, list, &count, &kit_err), DYNB_CORRUPT);
        EXPECT(dynb_describe_table(s.db, "Table", &about, &s.result, &kit_err), DYNB_CORRUPT);
        EXPECT(dynb_update_table(s.db, &update, NULL, NULL, &kit_err), DYNB_CORRUPT);
        EXPECT(dynb_delete_table(s.db, "Table", NULL, NULL, &kit_err), DYNB_CORRUPT);
        EXPECT(dynb_update_time_to_live(s.db, "Table", NULL, &kit_err), DYNB_CORRUPT);
        EXPECT(dynb_tag_resource(s.db, "Table", &tag, 1, &kit_err), DYNB_CORRUPT);
        memset(&source, 0, sizeof source);
        source.table = "Table";
        source.use_time = 1;
        memset(&builder, 0, sizeof builder);
        dynb_builder_begin(&builder);
        dynb_add_string(&builder, "Id", "a", (size_t)-1);
        MUST(dynb_builder_finish(&builder, &key, &kit_err));
        EXPECT(dynb_get_item_at(s.db, &source, key, &item, &s.result, &kit_err), DYNB_CORRUPT);
        dynb_builder_free(&builder);
        table->settings_size = size;
    }
    EXPECT(dynb_delete_table(s.db, "Table", NULL, NULL, &kit_err), DYNB_OK);
    store_end(&s);
}

static void test_time_text(void)
{
    static const struct {
        uint64_t ms;
        const char *text;
    } times[] = {
        {0, "1970-01-01T00:00:00.000"},
        {951782399999u, "2000-02-28T23:59:59.999"},
        {951782400000u, "2000-02-29T00:00:00.000"},
        {951868800000u, "2000-03-01T00:00:00.000"},
        {1078012800000u, "2004-02-29T00:00:00.000"},
        {1704067199999u, "2023-12-31T23:59:59.999"},
        {1704067200000u, "2024-01-01T00:00:00.000"},
        {1709164800000u, "2024-02-29T00:00:00.000"},
        {4107456000000u, "2100-02-28T00:00:00.000"},
        {4107542400000u, "2100-03-01T00:00:00.000"},
        {253402300799999u, "9999-12-31T23:59:59.999"},
    };
    size_t i;
    for (i = 0; i < sizeof times / sizeof *times; ++i) {
        char text[32];
        dynbi_time_text(times[i].ms, text);
        CHECK_TEXT(text, times[i].text);
    }
}

static void test_config(void)
{
    dynb_config config;
    dynb_device device;
    dynb *db = NULL;
    int i;
    char region[65];
    for (i = 0; i < 10; ++i) {
        static const char *const about[] = {"node_size_bytes", "node_size_bytes",
                                            "node_size_bytes", "log_segment_bytes",
                                            "account_id",      "account_id",
                                            "account_id",      "region",
                                            "region",          "memory_bytes"};
        memset(&config, 0, sizeof config);
        memset(region, 'r', 64);
        region[64] = 0;
        config.node_size_bytes = i == 0 ? 256 : i == 1 ? 65536 : i == 2 ? 6144 : 0;
        config.page_size_bytes = i == 2 ? 4096 : 0;
        config.log_segment_bytes = i == 3 ? ((uint32_t)1 << 28) + 1 : 0;
        config.account_id = i == 4 ? "12345678901x"
                            : i == 5 ? "1234567890123"
                            : i == 6 ? "12345678901/"
                                     : NULL;
        config.region = i == 7 ? "us east" : i == 8 ? region : NULL;
        config.memory_bytes = i == 9 ? CHECK_MEMORY_MIN - 1 : 0;
        MISUSED(dynb_open(&db, NULL, &config, &kit_err), about[i]);
        CHECK(db == NULL);
    }
    for (i = 0; i < 6; ++i) { /* a device that lacks a function; what can be closed is */
        fault_device d;
        memset(&d, 0, sizeof d);
        memset(&config, 0, sizeof config);
        fault_start(&d, NULL, 0, 0);
        device = fault_device_of(&d);
        config.device = &device;
        if (i == 0)
            device.read_fn = NULL;
        if (i == 1)
            device.write_fn = NULL;
        if (i == 2)
            device.sync_fn = NULL;
        if (i == 3)
            device.size_fn = NULL;
        if (i == 4)
            config.memory_bytes = 1;
        if (i == 5) {
            config.memory_bytes = 1;
            device.close_fn = NULL;
        }
        MISUSED(dynb_open(&db, NULL, &config, &kit_err), i < 4 ? "config.device" : "memory_bytes");
        CHECK_INT(d.close_count, i < 5);
        fault_free(&d);
    }
    MUST(dynb_open(&db, NULL, NULL, &kit_err)); /* our own clock, numbers, memory, device */
    MUST(kit_create_table(db, "Table", NULL));
#if !defined(DYNBACKUP_NO_FILE)
    CHECK(db->log.tail.time_ms > 1600000000000u);
#endif
    MUST(dynb_close(db, &kit_err));
}

static void test_limits(void)
{
    char name[32], arn[DYNB_ARN_MAX + 1];
    store s;
    int i;
    store_begin(&s);
    s.config.memory_bytes = 64 << 20;
    store_open(&s);
    for (i = 0; i < 2500; ++i) {
        snprintf(name, sizeof name, "Table-%d", i);
        MUST(kit_create_table(s.db, name, NULL));
    }
    EXPECT_ABOUT(kit_create_table(s.db, "Table", NULL), DYNB_LIMIT_EXCEEDED, "2500");
    back_up(&s, "Table-7", arn);
    EXPECT_ABOUT(kit_restore(s.db, arn, "Table"), DYNB_LIMIT_EXCEEDED, "2500");
    MUST(dynb_delete_table(s.db, "Table-9", NULL, NULL, &kit_err));
    EXPECT(kit_restore(s.db, arn, "Table"), DYNB_OK);
    store_reopen(&s);
    CHECK_INT(s.db->live_count, 2500);
    store_end(&s);

    /* codes that have no cause yet */
    CHECK_TEXT(dynb_rc_exception(DYNB_TABLE_IN_USE), "TableInUseException");
    CHECK_TEXT(dynb_rc_text(DYNB_TABLE_IN_USE), "the target table is being created");
    CHECK_INT(dynb_rc_http_status(DYNB_TABLE_IN_USE), 400);
    CHECK_TEXT(dynb_rc_exception(DYNB_CONTINUOUS_BACKUPS_UNAVAILABLE),
               "ContinuousBackupsUnavailableException");
    CHECK_TEXT(dynb_rc_text(DYNB_CONTINUOUS_BACKUPS_UNAVAILABLE), "backups are not enabled yet");
    CHECK_INT(dynb_rc_http_status(DYNB_CONTINUOUS_BACKUPS_UNAVAILABLE), 400);
}

static void test_throttle_and_help(void)
{
    store s;
    dynbi_buffer key;
    dynb_allocator none;
    dynb_list_backups_input list;
    dynb_backup_list out;
    char arn[DYNB_ARN_MAX + 1];
    int i;
    store_begin(&s);
    s.config.create_backup_per_second = 0;
    s.clock.step_ms = 0;
    store_open(&s);
    MUST(kit_create_table(s.db, "Table", NULL));
    for (i = 0; i < 50; ++i)
        MUST(dynb_create_backup(s.db, "Table", "backup", NULL, NULL, &kit_err));
    EXPECT_MESSAGE(dynb_create_backup(s.db, "Table", "backup", NULL, NULL, &kit_err),
                   DYNB_THROTTLING, "Rate exceeded");
    s.clock.now_ms += 900; /* 45 more, and never more than 50 together */
    MUST(dynbi_backup_throttle(s.db, 1, &kit_err));
    s.clock.now_ms += 900;
    MUST(dynbi_backup_throttle(s.db, 50, &kit_err));
    EXPECT(dynbi_backup_throttle(s.db, 1, &kit_err), DYNB_THROTTLING);
    s.clock.now_ms -= 5000; /* a clock that steps back earns nothing */
    EXPECT(dynbi_backup_throttle(s.db, 1, &kit_err), DYNB_THROTTLING);
    s.clock.now_ms += 7000;
    back_up(&s, "Table", arn);
    memset(&list, 0, sizeof list); /* the start lies before the bound in time */
    list.table = "Table";
    list.start_after_arn = arn;
    list.from_ms = s.clock.now_ms + 1;
    EXPECT(dynb_list_backups(s.db, &list, &out, &s.result, &kit_err), DYNB_OK);
    CHECK_INT(out.count, 0);
    list.table = "x";
    EXPECT(dynb_list_backups(s.db, &list, &out, &s.result, &kit_err), DYNB_VALIDATION);

    memset(&none, 0, sizeof none);
    memset(&key, 0, sizeof key);
    key.allocator = &none;
    CHECK(dynbi_buffer_append(&key, "\377\377", 2));
    CHECK_INT(dynbi_buffer_successor(&key), 0); /* there is nothing above all ones */
    dynbi_buffer_free(&key);

    s.db->disk.has_failed = 1; /* help stops where the worker cannot work */
    s.db->generation_bytes += s.db->generations_limit * 2;
    dynbi_api_help(s.db, 1);
    CHECK_INT(dynbi_worker_relieve(s.db, DYNB_NO_MEMORY), 0);
    s.db->generation_bytes -= s.db->generations_limit * 2;
    s.db->disk.has_failed = 0;
    s.db->tries_count = 64; /* a call is not made again for ever */
    CHECK_INT(dynbi_worker_again(s.db, DYNB_NO_MEMORY, &kit_err), 0);
    store_end(&s);
}

int main(void)
{
    test_arguments();
    test_names();
    test_settings();
    test_time_text();
    test_config();
    test_limits();
    test_throttle_and_help();
    return check_report("unit_api");
}
