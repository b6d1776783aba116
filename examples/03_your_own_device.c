/* 03 - Your own device: a store on 256 KiB of something.
 *
 *     cc -o own_device examples/03_your_own_device.c && ./own_device
 *
 * A device is four functions (five if it can grow) over random-access bytes. This
 * one stands for a small chip: what is written waits in a buffer, and only a sync
 * brings it onto the medium. A power cut loses the buffer. The store survives
 * that, and says so plainly when the chip is full. (With DYNBACKUP_PTHREADS a
 * sync may run beside a write: this device would then need a lock.) */
#define DYNBACKUP_IMPLEMENTATION
#include "../dynbackup.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CHIP_BYTES = 256 * 1024 };

typedef struct chip {
    unsigned char buffered[CHIP_BYTES]; /* what reads see */
    unsigned char medium[CHIP_BYTES];   /* what a power cut leaves */
    int has_power;
} chip;

static dynb_rc chip_read(void *ctx, uint64_t pos, void *to, size_t size_bytes)
{
    chip *c = (chip *)ctx;
    if (!c->has_power)
        return DYNB_IO_FAILED;
    memcpy(to, c->buffered + pos, size_bytes);
    return DYNB_OK;
}

static dynb_rc chip_write(void *ctx, uint64_t pos, const void *from, size_t size_bytes)
{
    chip *c = (chip *)ctx;
    if (!c->has_power)
        return DYNB_IO_FAILED;
    memcpy(c->buffered + pos, from, size_bytes);
    return DYNB_OK;
}

static dynb_rc chip_sync(void *ctx)
{
    chip *c = (chip *)ctx;
    if (!c->has_power)
        return DYNB_IO_FAILED;
    memcpy(c->medium, c->buffered, CHIP_BYTES);
    return DYNB_OK;
}

static dynb_rc chip_size(void *ctx, uint64_t *size_bytes)
{
    (void)ctx;
    *size_bytes = CHIP_BYTES;
    return DYNB_OK;
}

static chip the_chip;
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

static dynb *open_chip(void)
{
    dynb_device device = {.ctx = &the_chip, .read_fn = chip_read, .write_fn = chip_write,
                          .sync_fn = chip_sync, .size_fn = chip_size}; /* no resize: fixed */
    dynb_config config = {.device = &device, .page_size_bytes = 512, .memory_bytes = 64 * 1024};
    dynb *db;
    memcpy(the_chip.buffered, the_chip.medium, CHIP_BYTES);
    the_chip.has_power = 1;
    must(dynb_open(&db, NULL, &config, &err));
    return db;
}

static dynb_rc put_event(dynb *db, int number, dynb_durability durability)
{
    dynb_write_options options = {.choose_durability = 1, .durability = durability};
    dynb_item item;
    dynb_builder_begin(&builder);
    dynb_add_int(&builder, "Number", number);
    dynb_add_string(&builder, "What", "the door was opened, and closed again a minute later", 52);
    must(dynb_builder_finish(&builder, &item, &err));
    return dynb_put_item(db, "Events", item, &options, NULL, NULL, &err);
}

static int count_events(dynb *db)
{
    dynb_scan_input scan = {.table = "Events"};
    dynb_page page;
    int count = 0;
    do {
        must(dynb_scan(db, &scan, &page, &result, &err));
        count += (int)page.count;
        scan.start_after = page.last_key;
    } while (page.last_key.bytes);
    return count;
}

int main(void)
{
    dynb_create_table_input table = {.table_name = "Events", .partition_key = {"Number", DYNB_N}};
    dynb *db = open_chip();
    int number = 0;

    must(dynb_create_table(db, &table, NULL, NULL, &err));
    while (number < 20)
        must(put_event(db, ++number, DYNB_SYNCED));
    while (number < 30)
        must(put_event(db, ++number, DYNB_BUFFERED));
    printf("30 events written, the last 10 not synced: %d are seen\n", count_events(db));

    the_chip.has_power = 0; /* before anybody could close the store: */
    printf("closing it without power: %s\n", dynb_rc_text(dynb_close(db, NULL)));
    db = open_chip();
    printf("after the power cut: %d are left, no hole among them\n", count_events(db));

    number = count_events(db);
    while (number < CHIP_BYTES && put_event(db, number + 1, DYNB_SYNCED) == DYNB_OK)
        ++number;
    printf("the chip is full: %s\n", err.code == DYNB_NO_SPACE ? "NO_SPACE" : err.message);
    printf("and still readable: %s\n", count_events(db) == number ? "yes" : "no");
    must(dynb_delete_table(db, "Events", NULL, NULL, &err));
    must(dynb_wait_idle(db, &err));
    must(dynb_create_table(db, &table, NULL, NULL, &err));
    must(put_event(db, 1, DYNB_SYNCED));
    printf("a table was deleted: there is room again\n");
    must(dynb_check(db, NULL, NULL, NULL, &err));

    dynb_builder_free(&builder);
    dynb_result_free(&result);
    return dynb_close(db, &err) != DYNB_OK;
}

/* Expected output:
30 events written, the last 10 not synced: 30 are seen
closing it without power: the device failed
after the power cut: 20 are left, no hole among them
the chip is full: NO_SPACE
and still readable: yes
a table was deleted: there is room again
 */
