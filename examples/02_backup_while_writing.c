/* 02 - Writing goes on while a backup is built.
 *
 *     cc -o while_writing examples/02_backup_while_writing.c && ./while_writing
 *
 * CreateBackup only notes a marker in the log, which takes the same time for a
 * table of any size. The backup is then built in small steps by dynb_work, and
 * between two steps anything may be written: what comes after the marker stays
 * out. (Usually every write does a bit of that work, or a thread does it all;
 * here manual_work leaves it to us, so that it can be watched.) */
#define DYNBACKUP_IMPLEMENTATION
#include "../dynbackup.h"

#include <stdio.h>
#include <stdlib.h>

enum { COUNTERS = 10000 };

static dynb *db;
static dynb_error err;
static dynb_result result;
static dynb_builder builder;

static void must(dynb_rc rc)
{
    if (rc != DYNB_OK) {
        fprintf(stderr, "%s\n", err.message);
        exit(1);
    }
}

static void put_counter(int id, int value)
{
    dynb_item item;
    dynb_builder_begin(&builder);
    dynb_add_int(&builder, "Id", id);
    dynb_add_int(&builder, "Value", value);
    must(dynb_builder_finish(&builder, &item, &err));
    must(dynb_put_item(db, "Counters", item, NULL, NULL, NULL, &err));
}

static const char *status_of(const char *arn)
{
    static const char *const names[] = {"CREATING", "AVAILABLE", "DELETED"};
    dynb_backup_description backup;
    must(dynb_describe_backup(db, arn, &backup, &result, &err));
    return names[backup.status];
}

static void show_counts(const char *table)
{
    dynb_scan_input scan = {.table = table};
    dynb_page page;
    int items = 0, ones = 0;
    do {
        must(dynb_scan(db, &scan, &page, &result, &err));
        for (uint32_t i = 0; i < page.count; ++i) {
            int64_t value = 0;
            dynb_value_int(dynb_item_get(page.items[i], "Value"), &value);
            ones += value == 1;
        }
        items += (int)page.count;
        scan.start_after = page.last_key;
    } while (page.last_key.bytes);
    printf("%-15s %d counters, %d of them 1, the others 0\n", table, items, ones);
}

int main(void)
{
    dynb_config config = {.manual_work = 1};
    dynb_create_table_input table = {.table_name = "Counters", .partition_key = {"Id", DYNB_N}};
    dynb_backup_description backup;
    dynb_result kept = {0}; /* keeps the backup's ARN while result is used for other calls */
    dynb_restore_input restore = {.target_table_name = "Counters-before"};

    must(dynb_open(&db, NULL, &config, &err));
    must(dynb_create_table(db, &table, NULL, NULL, &err));
    for (int id = 0; id < COUNTERS; ++id)
        put_counter(id, 0);

    must(dynb_create_backup(db, "Counters", "all-zero", &backup, &kept, &err));
    printf("the marker is set: %s\n", status_of(backup.backup_arn));

    for (int id = 0; id < COUNTERS / 2; ++id) {
        put_counter(id, 1);
        must(dynb_work(db, 4096, NULL, &err)); /* about 4 KiB of building */
        if (id == 0)
            printf("one write and one step later: %s\n", status_of(backup.backup_arn));
    }
    must(dynb_wait_idle(db, &err));
    printf("%d writes later: %s\n", COUNTERS / 2, status_of(backup.backup_arn));

    restore.backup_arn = backup.backup_arn;
    must(dynb_restore_table_from_backup(db, &restore, NULL, NULL, &err));
    show_counts("Counters");
    show_counts("Counters-before");

    dynb_builder_free(&builder);
    dynb_result_free(&kept);
    dynb_result_free(&result);
    return dynb_close(db, &err) != DYNB_OK;
}

/* Expected output:
the marker is set: CREATING
one write and one step later: CREATING
5000 writes later: AVAILABLE
Counters        10000 counters, 5000 of them 1, the others 0
Counters-before 10000 counters, 0 of them 1, the others 0
 */
