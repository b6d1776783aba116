/* test_splice.c - a frame of another life of the same store is not believed.
 *
 * Two copies of one store go on alone: same store id, same epoch, same clock,
 * so their second frames differ in what was written before them only. Spliced
 * into the other's log, such a frame is right by itself; that it does not
 * follow the frame before it shows in the chained checksum alone. */
#include "fuzz/fuzz.h"

#include "check.h"

/* Opens a copy of `from` and puts item 1 (padded by first_pad) and item 2; the
 * device as it was after the first put, and as a killed process leaves it. */
static void live_on(const fuzz_device *from, uint32_t first_pad, fuzz_device *after_first,
                    fuzz_device *after_second)
{
    uint64_t state[2] = {1800000000000u, 1};
    fuzz_device *device = fuzz_device_new();
    dynb_builder builder;
    dynb *db;
    memset(&builder, 0, sizeof builder);
    fuzz_device_copy(device, from);
    fuzz_must(fuzz_open(&db, device, 512, 0, state), "open");
    fuzz_must(dynb_put_item(db, "tab", fuzz_item(&builder, 1, first_pad, 40), NULL, NULL, NULL,
                            NULL), "first put");
    fuzz_device_copy(after_first, device);
    fuzz_must(dynb_put_item(db, "tab", fuzz_item(&builder, 2, first_pad, 40), NULL, NULL, NULL,
                            NULL), "second put");
    fuzz_device_copy(after_second, device);
    fuzz_must(dynb_close(db, NULL), "close");
    dynb_builder_free(&builder);
    free(device->bytes);
    free(device);
}

/* How many items a device holds; -1 when it is called corrupt. */
static int count(const fuzz_device *from)
{
    uint64_t state[2] = {1900000000000u, 2};
    fuzz_device *device = fuzz_device_new();
    dynb_scan_input input;
    dynb_result result;
    dynb_page page;
    dynb *db;
    int found = -1;
    memset(&input, 0, sizeof input);
    memset(&result, 0, sizeof result);
    input.table = "tab";
    fuzz_device_copy(device, from);
    if (fuzz_open(&db, device, 512, 0, state) == DYNB_OK) {
        fuzz_must(dynb_scan(db, &input, &page, &result, NULL), "scan");
        found = (int)page.count;
        fuzz_must(dynb_close(db, NULL), "close");
    }
    dynb_result_free(&result);
    free(device->bytes);
    free(device);
    return found;
}

int main(void)
{
    uint64_t state[2] = {1700000000000u, 0};
    fuzz_device *device[5];
    uint64_t i, spliced = 0;
    dynb *db;
    for (i = 0; i < 5; ++i)
        device[i] = fuzz_device_new();
    fuzz_must(fuzz_open(&db, device[0], 512, 0, state), "open");
    fuzz_must(fuzz_create_table(db, "tab"), "create table");
    fuzz_must(dynb_close(db, NULL), "close");
    live_on(device[0], 3, device[1], device[2]);
    live_on(device[0], 4, device[3], device[4]);
    CHECK_INT(count(device[1]), 1);
    CHECK_INT(count(device[2]), 2);
    CHECK_INT(count(device[4]), 2);
    for (i = 0; i < device[4]->size_bytes; ++i) { /* the other life's second frame */
        if (device[3]->bytes[i] != device[4]->bytes[i]) {
            device[1]->bytes[i] = device[4]->bytes[i];
            ++spliced;
        }
    }
    CHECK(spliced > 0 && device[1]->size_bytes == device[4]->size_bytes);
    /* that frame does not follow ours, and the mark behind it was synced */
    CHECK_INT(count(device[1]), -1);
    for (i = 0; i < 5; ++i) {
        free(device[i]->bytes);
        free(device[i]);
    }
    return check_report("test_splice");
}
