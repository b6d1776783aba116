/* 04 - Your own allocator, and a budget of 64 KiB.
 *
 *     cc -o budget examples/04_allocator_and_budget.c && ./budget
 *
 * All memory of a handle comes from one function with a ctx, which is told both
 * sizes. The budget bounds the sum, while the store grows to many times that:
 * here 20,000 items on a RAM device. When memory fails all the same, the call
 * that needed it returns NO_MEMORY and has changed nothing. */
#define DYNBACKUP_IMPLEMENTATION
#include "../dynbackup.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BUDGET_BYTES = 64 * 1024, ITEMS = 20000 };

typedef struct memory_meter {
    size_t now_bytes, peak_bytes;
    int broken; /* nonzero: gives no memory */
} memory_meter;

static void *meter_resize(void *ctx, void *ptr, size_t old_size, size_t new_size)
{
    memory_meter *m = (memory_meter *)ctx;
    void *grown;
    if (new_size == 0) {
        free(ptr);
        m->now_bytes -= old_size;
        return NULL;
    }
    if (m->broken && new_size > old_size)
        return NULL;
    grown = realloc(ptr, new_size);
    if (grown) {
        m->now_bytes += new_size - old_size;
        m->peak_bytes = m->now_bytes > m->peak_bytes ? m->now_bytes : m->peak_bytes;
    }
    return grown;
}

static dynb_error err;
static dynb_builder builder; /* the caller's own memory: not part of the budget */

static void must(dynb_rc rc)
{
    if (rc != DYNB_OK) {
        fprintf(stderr, "%s\n", err.message);
        exit(1);
    }
}

static dynb_item make_item(int id)
{
    dynb_item item;
    dynb_builder_begin(&builder);
    dynb_add_int(&builder, "Id", id);
    dynb_add_string(&builder, "Text", "a line of text, of no great length and of no great weight",
                    (size_t)-1);
    must(dynb_builder_finish(&builder, &item, &err));
    return item;
}

int main(void)
{
    memory_meter meter = {0, 0, 0};
    dynb_device device;
    dynb_config config = {.allocator = {meter_resize, &meter}, .device = &device,
                          .memory_bytes = BUDGET_BYTES, .page_size_bytes = 512};
    dynb_create_table_input table = {.table_name = "Texts", .partition_key = {"Id", DYNB_N}};
    dynb_table_description description;
    dynb_result result = {0};
    dynb_check_report report;
    dynb_item key, item;
    dynb *db;

    must(dynb_ram_device_open(&device, 0, 0, NULL, &err)); /* the device pays for itself */
    must(dynb_open(&db, NULL, &config, &err));
    must(dynb_create_table(db, &table, NULL, NULL, &err));
    for (int id = 0; id < ITEMS; ++id)
        must(dynb_put_item(db, "Texts", make_item(id), NULL, NULL, NULL, &err));
    must(dynb_wait_idle(db, &err));
    must(dynb_describe_table(db, "Texts", &description, &result, &err));
    printf("%d items, %d bytes\n", (int)description.item_count, (int)description.size_bytes);
    printf("never more than %d bytes of memory: %s\n", BUDGET_BYTES,
           meter.peak_bytes <= BUDGET_BYTES ? "yes" : "no");

    meter.broken = 1; /* a few writes still find room in what is allocated already */
    dynb_rc rc = DYNB_OK;
    int id = ITEMS - 1;
    while (rc == DYNB_OK && ++id < 2 * ITEMS)
        rc = dynb_put_item(db, "Texts", make_item(id), NULL, NULL, NULL, &err);
    printf("no more memory: %s\n", rc == DYNB_NO_MEMORY ? "NO_MEMORY" : err.message);
    meter.broken = 0;
    dynb_builder_begin(&builder);
    dynb_add_int(&builder, "Id", id);
    must(dynb_builder_finish(&builder, &key, &err));
    must(dynb_get_item(db, "Texts", key, &item, &result, &err));
    printf("the refused item is %s\n", item.bytes ? "there" : "not there");
    must(dynb_put_item(db, "Texts", make_item(id), NULL, NULL, NULL, &err));
    must(dynb_check(db, &report, NULL, NULL, &err));
    printf("with memory again it is accepted, and the store is sound\n");

    dynb_result_free(&result);
    must(dynb_close(db, &err));
    dynb_builder_free(&builder);
    printf("bytes not given back: %d\n", (int)meter.now_bytes);
    return 0;
}

/* Expected output:
20000 items, 1329699 bytes
never more than 65536 bytes of memory: yes
no more memory: NO_MEMORY
the refused item is not there
with memory again it is accepted, and the store is sound
bytes not given back: 0
 */
