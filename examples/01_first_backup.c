/* 01 - The first backup: put, back up, change, restore.
 *
 *     cc -o first_backup examples/01_first_backup.c && ./first_backup
 *
 * A backup holds the table as it was at the instant of the call. Restoring it
 * makes a new table; the old one lives on. */
#define DYNBACKUP_IMPLEMENTATION
#include "../dynbackup.h"

#include <stdio.h>
#include <string.h>

static dynb *db;
static dynb_error err;
static dynb_result result;   /* memory for what calls return ... */
static dynb_builder builder; /* ... and for the items we build */

static dynb_rc put(const char *json)
{
    dynb_item item;
    dynb_rc rc = dynb_item_from_json(&builder, json, strlen(json), &item, &err);
    return rc ? rc : dynb_put_item(db, "Prices", item, NULL, NULL, NULL, &err);
}

static dynb_rc show(const char *table)
{
    dynb_scan_input scan = {.table = table};
    dynb_page page;
    char price[DYNB_NUMBER_TEXT_SIZE];
    dynb_rc rc = dynb_scan(db, &scan, &page, &result, &err);
    for (uint32_t i = 0; i < page.count; ++i) {
        dynb_value_number(dynb_item_get(page.items[i], "Price"), price);
        printf("%s: %s\n", table, price);
    }
    return rc;
}

static dynb_rc restore(const char *table, const char *backup_arn)
{
    dynb_restore_input input = {.target_table_name = table, .backup_arn = backup_arn};
    return dynb_restore_table_from_backup(db, &input, NULL, NULL, &err);
}

int main(void)
{
    dynb_create_table_input table = {.table_name = "Prices", .partition_key = {"Fruit", DYNB_S}};
    dynb_backup_description b;
    if (dynb_open(&db, NULL, NULL, &err) || /* NULL: in memory; "shop.dynb": in that file */
        dynb_create_table(db, &table, NULL, NULL, &err) ||
        put("{\"Fruit\": {\"S\": \"apple\"}, \"Price\": {\"N\": \"0.55\"}}") ||
        put("{\"Fruit\": {\"S\": \"pear\"}, \"Price\": {\"N\": \"0.65\"}}") ||
        dynb_create_backup(db, "Prices", "before-the-sale", &b, &result, &err) ||
        put("{\"Fruit\": {\"S\": \"apple\"}, \"Price\": {\"N\": \"0.35\"}}") ||
        put("{\"Fruit\": {\"S\": \"quince\"}, \"Price\": {\"N\": \"0.95\"}}") ||
        dynb_wait_idle(db, &err) || /* until the backup is built */
        restore("Prices-then", b.backup_arn) ||
        show("Prices") || show("Prices-then") || dynb_close(db, &err))
        return fprintf(stderr, "%s\n", err.message), 1;
    dynb_result_free(&result);
    dynb_builder_free(&builder);
    return 0;
}

/* Expected output:
Prices: 0.35
Prices: 0.65
Prices: 0.95
Prices-then: 0.55
Prices-then: 0.65
 */
