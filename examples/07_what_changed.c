/* 07_what_changed.c - what differs between two backups, and reading inside one.
 *
 * A price list of 20,000 articles is backed up every evening. On Tuesday somebody
 * asks what changed since Monday, and what article 00042 cost then. Neither
 * question restores anything, and the first costs what changed, not what there
 * is: the device counts the bytes that are read for the answer.
 *
 * Build: cc -O2 -o 07_what_changed examples/07_what_changed.c
 */
#define DYNBACKUP_IMPLEMENTATION
#include "../dynbackup.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The RAM device that comes with the header, with a counter before its reads. */
typedef struct counted {
    dynb_device ram;
    unsigned long read_bytes;
} counted;

static dynb_rc counted_read(void *ctx, uint64_t pos, void *to, size_t size_bytes)
{
    counted *c = (counted *)ctx;
    c->read_bytes += size_bytes;
    return c->ram.read_fn(c->ram.ctx, pos, to, size_bytes);
}

static dynb_rc counted_write(void *ctx, uint64_t pos, const void *from, size_t size_bytes)
{
    counted *c = (counted *)ctx;
    return c->ram.write_fn(c->ram.ctx, pos, from, size_bytes);
}

static dynb_rc counted_sync(void *ctx)
{
    counted *c = (counted *)ctx;
    return c->ram.sync_fn(c->ram.ctx);
}

static dynb_rc counted_size(void *ctx, uint64_t *size_bytes)
{
    counted *c = (counted *)ctx;
    return c->ram.size_fn(c->ram.ctx, size_bytes);
}

static dynb_rc counted_resize(void *ctx, uint64_t size_bytes)
{
    counted *c = (counted *)ctx;
    return c->ram.resize_fn(c->ram.ctx, size_bytes);
}

static void counted_close(void *ctx)
{
    counted *c = (counted *)ctx;
    c->ram.close_fn(c->ram.ctx);
}

static dynb_error err;

static void check(dynb_rc rc)
{
    if (rc == DYNB_OK)
        return;
    fprintf(stderr, "%s: %s\n", dynb_rc_exception(rc), err.message);
    exit(1);
}

/* Article i at that price, in cents; below 0: just its key. */
static dynb_item article(dynb_builder *builder, int i, long cents)
{
    char id[16], note[80];
    dynb_item item;
    snprintf(id, sizeof id, "%05d", i);
    dynb_builder_begin(builder);
    dynb_add_string(builder, "Id", id, (size_t)-1);
    if (cents >= 0) {
        snprintf(note, sizeof note, "Article %d of the price list, in every size", i);
        dynb_add_int(builder, "Cents", cents);
        dynb_add_string(builder, "Note", note, (size_t)-1);
    }
    check(dynb_builder_finish(builder, &item, &err));
    return item;
}

/* In the evening nobody writes: first the store becomes tidy. */
static void back_up(dynb *db, const char *name, char arn[DYNB_ARN_MAX + 1])
{
    static dynb_result result;
    dynb_backup_description about;
    check(dynb_wait_idle(db, &err));
    check(dynb_create_backup(db, "Prices", name, &about, &result, &err));
    snprintf(arn, DYNB_ARN_MAX + 1, "%s", about.backup_arn);
    dynb_result_free(&result);
}

static long cents_of(dynb_item item)
{
    int64_t cents = 0;
    return item.bytes && dynb_value_int(dynb_item_get(item, "Cents"), &cents) ? (long)cents : -1;
}

static void show(const dynb_difference *d)
{
    dynb_item item = d->new_item.bytes ? d->new_item : d->old_item;
    size_t length;
    const char *id = dynb_value_string(dynb_item_get(item, "Id"), &length);
    printf("  %.*s  ", (int)length, id);
    if (!d->old_item.bytes)
        printf("new, %ld cents\n", cents_of(d->new_item));
    else if (!d->new_item.bytes)
        printf("gone, was %ld cents\n", cents_of(d->old_item));
    else
        printf("from %ld to %ld cents\n", cents_of(d->old_item), cents_of(d->new_item));
}

int main(void)
{
    enum { ARTICLES = 20000, BATCH = 500 };
    static dynb_builder builders[BATCH];
    static dynb_write writes[BATCH];
    char monday[DYNB_ARN_MAX + 1], tuesday[DYNB_ARN_MAX + 1];
    dynb_create_table_input table;
    dynb_compare_input compare;
    dynb_difference_page page;
    dynb_source source;
    dynb_result result;
    dynb_config config;
    dynb_device device;
    dynb_stat stat;
    dynb_item item;
    counted counter;
    dynb *db;
    int i;

    memset(&counter, 0, sizeof counter);
    check(dynb_ram_device_open(&counter.ram, 0, 0, NULL, &err));
    memset(&device, 0, sizeof device);
    device.ctx = &counter;
    device.read_fn = counted_read;
    device.write_fn = counted_write;
    device.sync_fn = counted_sync;
    device.size_fn = counted_size;
    device.resize_fn = counted_resize;
    device.close_fn = counted_close;
    memset(&config, 0, sizeof config);
    config.device = &device;
    config.memory_bytes = 1 << 20; /* far less than the table: little is cached */
    check(dynb_open(&db, NULL, &config, &err));

    memset(&table, 0, sizeof table);
    table.table_name = "Prices";
    table.partition_key.name = "Id";
    table.partition_key.type = DYNB_S;
    check(dynb_create_table(db, &table, NULL, NULL, &err));
    for (i = 0; i < ARTICLES; ++i) {
        writes[i % BATCH].table = "Prices";
        writes[i % BATCH].item = article(&builders[i % BATCH], i, 100 + i % 900);
        if (i % BATCH == BATCH - 1)
            check(dynb_batch_write(db, writes, BATCH, NULL, &err));
    }
    back_up(db, "monday", monday);

    check(dynb_put_item(db, "Prices", article(&builders[0], 42, 99), NULL, NULL, NULL, &err));
    check(dynb_put_item(db, "Prices", article(&builders[0], 77, 177), NULL, NULL, NULL, &err));
    check(dynb_put_item(db, "Prices", article(&builders[0], 20001, 250), NULL, NULL, NULL, &err));
    check(dynb_delete_item(db, "Prices", article(&builders[0], 12345, -1), NULL, NULL, NULL,
                           &err));
    back_up(db, "tuesday", tuesday);

    memset(&compare, 0, sizeof compare);
    memset(&result, 0, sizeof result);
    compare.from.backup_arn = monday;
    compare.to.backup_arn = tuesday;
    counter.read_bytes = 0;
    check(dynb_compare(db, &compare, &page, &result, &err));
    printf("From Monday to Tuesday:\n");
    for (i = 0; i < (int)page.count; ++i)
        show(&page.differences[i]);
    check(dynb_get_stat(db, &stat, &err));
    printf("Read for that: less than %lu %% of the store.\n",
           1 + counter.read_bytes * 100 / (unsigned long)stat.device_bytes);

    memset(&source, 0, sizeof source);
    source.backup_arn = monday;
    check(dynb_get_item_at(db, &source, article(&builders[0], 42, -1), &item, &result, &err));
    printf("On Monday article 00042 cost %ld cents", cents_of(item));
    check(dynb_get_item(db, "Prices", article(&builders[0], 42, -1), &item, &result, &err));
    printf(", now %ld.\n", cents_of(item));

    for (i = 0; i < BATCH; ++i)
        dynb_builder_free(&builders[i]);
    dynb_result_free(&result);
    check(dynb_close(db, &err));
    return 0;
}

/* Expected output:
From Monday to Tuesday:
  00042  from 142 to 99 cents
  12345  gone, was 745 cents
  20001  new, 250 cents
Read for that: less than 2 % of the store.
On Monday article 00042 cost 142 cents, now 99.
 */
