/* test_splice.c - a frame of another life of the same store is not believed.
 *
 * Two copies of one store go on alone: same store id, same epoch, same clock,
 * so their second frames differ in what was written before them only. Spliced
 * into the other's log, such a frame is right by itself; that it does not
 * follow the frame before it shows in the chained checksum alone. It ends the
 * log, and with the mark that stood behind it, it is known for damage. */
#include "fuzz/fuzz.h"

#include "check.h"

#define HEAD_BYTES 40u /* of a frame: see LOG in dynbackup.h */
#define KIND_MARK 3u

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

/* Where the log of a killed process ends: the bare head of kind MARK there; of
 * those that look like one, the last by its lsn. 0: there is none. */
static uint64_t log_end(const fuzz_device *device)
{
    uint64_t i, lsn = 0, end = 0;
    for (i = 0; i + HEAD_BYTES <= device->size_bytes; i += 8) {
        const uint8_t *head = device->bytes + i;
        if (dynbi_load32(head + 4) == HEAD_BYTES && dynbi_load32(head + 36) == KIND_MARK &&
            dynbi_load64(head + 8) > lsn) {
            lsn = dynbi_load64(head + 8);
            end = i;
        }
    }
    return end;
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
    uint64_t i, start, end;
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
    start = log_end(device[3]); /* the other life's second frame, and its end */
    end = log_end(device[4]);
    if (start == 0 || end <= start + HEAD_BYTES || log_end(device[1]) != start ||
        device[1]->size_bytes != device[4]->size_bytes)
        fuzz_fail("the two lives do not lie alike", DYNB_OK);
    memcpy(device[1]->bytes + start, device[4]->bytes + start, (size_t)(end - start));
    CHECK_INT(count(device[1]), 1); /* it does not follow ours: the log ends before it */
    memcpy(device[1]->bytes + end, device[4]->bytes + end, HEAD_BYTES);
    CHECK_INT(count(device[1]), -1); /* the mark behind it says that it was synced */
    for (i = 0; i < 5; ++i) {
        free(device[i]->bytes);
        free(device[i]);
    }
    return check_report("test_splice");
}
