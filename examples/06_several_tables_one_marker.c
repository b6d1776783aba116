/* 06 - Several tables at one marker.
 *
 *     cc -o one_marker examples/06_several_tables_one_marker.c && ./one_marker
 *
 * Money moves between accounts, and every move is noted in a ledger: one atomic
 * batch over two tables. Backups of both at one marker always agree with each
 * other. Two backups taken one after the other need not, if a move comes between:
 * each is exact, but at an instant of its own. */
#define DYNBACKUP_IMPLEMENTATION
#include "../dynbackup.h"

#include <stdio.h>
#include <stdlib.h>

enum { ACCOUNTS = 4 };

static dynb *db;
static dynb_error err;
static dynb_result result;
static dynb_builder builders[3];
static int balances[ACCOUNTS] = {100, 100, 100, 100};
static int moves;

static void must(dynb_rc rc)
{
    if (rc != DYNB_OK) {
        fprintf(stderr, "%s\n", err.message);
        exit(1);
    }
}

/* The item {name1: value1, name2: value2}. */
static dynb_item pair(dynb_builder *builder, const char *name1, int value1, const char *name2,
                      int value2)
{
    dynb_item item;
    dynb_builder_begin(builder);
    dynb_add_int(builder, name1, value1);
    dynb_add_int(builder, name2, value2);
    must(dynb_builder_finish(builder, &item, &err));
    return item;
}

static void move_money(int from, int to, int amount)
{
    dynb_write writes[3] = {{.table = "Accounts"}, {.table = "Accounts"}, {.table = "Ledger"}};
    balances[from] -= amount;
    balances[to] += amount;
    writes[0].item = pair(&builders[0], "Account", from, "Balance", balances[from]);
    writes[1].item = pair(&builders[1], "Account", to, "Balance", balances[to]);
    writes[2].item = pair(&builders[2], "Move", ++moves, "Amount", amount);
    must(dynb_batch_write(db, writes, 3, NULL, &err));
}

/* The sum of an attribute over a table's items, and their number. */
static int sum_of(const char *table, const char *name, int *count)
{
    dynb_scan_input scan = {.table = table};
    dynb_page page;
    int sum = 0;
    must(dynb_scan(db, &scan, &page, &result, &err));
    for (uint32_t i = 0; i < page.count; ++i) {
        int64_t number = 0;
        dynb_value_int(dynb_item_get(page.items[i], name), &number);
        sum += (int)number;
    }
    *count = (int)page.count;
    return sum;
}

/* Restores the two backups and tells what account 0, from which every move takes
 * ten, and the ledger say about the number of moves. */
static void compare(const char *what, const char *accounts_arn, const char *ledger_arn, int number)
{
    char accounts[32], ledger[32];
    dynb_restore_input restore = {0};
    int account_count, move_count, total, spent;
    snprintf(accounts, sizeof accounts, "Accounts-%d", number);
    snprintf(ledger, sizeof ledger, "Ledger-%d", number);
    restore.target_table_name = accounts;
    restore.backup_arn = accounts_arn;
    must(dynb_restore_table_from_backup(db, &restore, NULL, NULL, &err));
    restore.target_table_name = ledger;
    restore.backup_arn = ledger_arn;
    must(dynb_restore_table_from_backup(db, &restore, NULL, NULL, &err));

    dynb_item item;
    int64_t balance = 0;
    dynb_builder_begin(&builders[0]);
    dynb_add_int(&builders[0], "Account", 0);
    must(dynb_builder_finish(&builders[0], &item, &err));
    must(dynb_get_item(db, accounts, item, &item, &result, &err));
    dynb_value_int(dynb_item_get(item, "Balance"), &balance);

    total = sum_of(accounts, "Balance", &account_count);
    spent = sum_of(ledger, "Amount", &move_count);
    printf("%s: %d in %d accounts; account 0 gave %d, the ledger has %d in %d moves: %s\n", what,
           total, account_count, 100 - (int)balance, spent, move_count,
           100 - (int)balance == spent ? "they agree" : "they do not");
}

int main(void)
{
    static const char *const names[] = {"Accounts", "Ledger"};
    dynb_create_table_input accounts = {.table_name = "Accounts",
                                        .partition_key = {"Account", DYNB_N}};
    dynb_create_table_input ledger = {.table_name = "Ledger", .partition_key = {"Move", DYNB_N}};
    dynb_backup_description both[2], one, other;
    dynb_result both_result = {0}, one_result = {0}, other_result = {0};

    must(dynb_open(&db, NULL, NULL, &err));
    must(dynb_create_table(db, &accounts, NULL, NULL, &err));
    must(dynb_create_table(db, &ledger, NULL, NULL, &err));
    for (int i = 0; i < ACCOUNTS; ++i)
        must(dynb_put_item(db, "Accounts", pair(&builders[0], "Account", i, "Balance", balances[i]),
                           NULL, NULL, NULL, &err));
    move_money(0, 1, 10);
    move_money(0, 2, 10);

    must(dynb_create_backups(db, names, 2, "together", both, &both_result, &err));
    move_money(0, 3, 10);
    must(dynb_create_backup(db, "Accounts", "one", &one, &one_result, &err));
    move_money(0, 1, 10);
    must(dynb_create_backup(db, "Ledger", "other", &other, &other_result, &err));
    must(dynb_wait_idle(db, &err));

    printf("the same marker: %s\n", both[0].lsn == both[1].lsn ? "yes" : "no");
    compare("together", both[0].backup_arn, both[1].backup_arn, 1);
    compare("one by one", one.backup_arn, other.backup_arn, 2);

    dynb_result_free(&both_result);
    dynb_result_free(&one_result);
    dynb_result_free(&other_result);
    dynb_result_free(&result);
    for (int i = 0; i < 3; ++i)
        dynb_builder_free(&builders[i]);
    return dynb_close(db, &err) != DYNB_OK;
}

/* Expected output:
the same marker: yes
together: 400 in 4 accounts; account 0 gave 20, the ledger has 20 in 2 moves: they agree
one by one: 400 in 4 accounts; account 0 gave 30, the ledger has 40 in 4 moves: they do not
 */
