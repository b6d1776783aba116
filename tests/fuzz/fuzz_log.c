/* fuzz_log.c - damages the log of a killed store and recovers it.
 *
 * Item number i is put by write number i, some writes in batches, none folded
 * into a tree; what the log region is shows in the bytes that these writes
 * changed. Input: records of three bytes and more: sector, offset, kind.
 *
 * Always: no crash, no hang. When checksums count, also: a store that opens
 * holds the items of a whole prefix of the writes, never a hole or half of a
 * batch, and can be written to, closed and opened again. */
#include "fuzz.h"

#define ITEM_COUNT 150u
#define BATCH 5u /* writes i with i / BATCH odd come in one batch */

static fuzz_device *killed;
static uint32_t sectors[FUZZ_DEVICE_CAPACITY / 512];
static uint32_t sector_count;

static void write_items(dynb *db)
{
    dynb_builder builders[BATCH];
    dynb_write writes[BATCH];
    uint32_t i, k;
    memset(builders, 0, sizeof builders);
    memset(writes, 0, sizeof writes);
    for (i = 0; i < ITEM_COUNT; i += BATCH) {
        for (k = 0; k < BATCH; ++k) {
            writes[k].table = "tab";
            writes[k].item = fuzz_item(&builders[k], 0, i + k, 10 + (i * 37 + k) % 300);
        }
        if (i / BATCH % 2) {
            fuzz_must(dynb_batch_write(db, writes, BATCH, NULL, NULL), "batch");
            continue;
        }
        for (k = 0; k < BATCH; ++k)
            fuzz_must(dynb_put_item(db, "tab", writes[k].item, NULL, NULL, NULL, NULL), "put");
    }
    for (k = 0; k < BATCH; ++k)
        dynb_builder_free(&builders[k]);
}

static void prepare(void)
{
    uint64_t state[2] = {1700000000000u, 0};
    fuzz_device *device = fuzz_device_new(), *before = fuzz_device_new();
    uint32_t i;
    dynb *db;
    fuzz_must(fuzz_open(&db, device, 512, 0, state), "open");
    fuzz_must(fuzz_create_table(db, "tab"), "create table");
    fuzz_must(dynb_wait_idle(db, NULL), "work");
    fuzz_device_copy(before, device);
    write_items(db);
    killed = fuzz_device_new();
    fuzz_device_copy(killed, device);
    fuzz_must(dynb_close(db, NULL), "close");
    for (i = 2; (i + 1) * 512 <= killed->size_bytes; ++i) /* not the superblocks */
        if (memcmp(before->bytes + i * 512, killed->bytes + i * 512, 512) != 0)
            sectors[sector_count++] = i;
    free(before->bytes);
    free(before);
    free(device->bytes);
    free(device);
    if (sector_count == 0)
        fuzz_fail("the writes changed nothing", DYNB_OK);
}

static void damage(uint8_t *bytes, fuzz_input *in)
{
    uint8_t *sector = bytes + sectors[fuzz_byte(in) % sector_count] * 512;
    uint32_t place = fuzz_number(in, 2), offset = place & 511, i, count;
    switch (place >> 9 & 7) {
    case 0: case 1:
        sector[offset] = (uint8_t)fuzz_byte(in);
        break;
    case 2:
        sector[offset] = (uint8_t)(sector[offset] ^ (1u << (place >> 12 & 7)));
        break;
    case 3:
        memset(sector + offset, place & 0x8000 ? 0xff : 0, 512 - offset);
        break;
    case 4:
        memcpy(sector, bytes + sectors[fuzz_byte(in) % sector_count] * 512, 512);
        break;
    default: /* at least one byte of the input, and no more than the sector */
        count = 1 + fuzz_byte(in) % 32;
        for (i = offset; i < 512 && i < offset + count; ++i)
            sector[i] = (uint8_t)fuzz_byte(in);
        break;
    }
}

/* Counts the items and sees that they are those of the first writes. */
static uint32_t count_items(dynb *db, int in_batches)
{
    dynb_scan_input input;
    dynb_result result;
    dynb_page page;
    uint32_t i;
    memset(&input, 0, sizeof input);
    memset(&result, 0, sizeof result);
    input.table = "tab";
    fuzz_must(dynb_scan(db, &input, &page, &result, NULL), "scan");
    for (i = 0; i < page.count; ++i) {
        int64_t at = -1;
        if (!dynb_value_int(dynb_item_get(page.items[i], "At"), &at) || at != (int64_t)i)
            fuzz_fail("a hole in the history", DYNB_OK);
    }
    if (in_batches && page.count / BATCH % 2 && page.count % BATCH)
        fuzz_fail("half of a batch", DYNB_OK);
    dynb_result_free(&result);
    return page.count;
}

/* What a store that opened must still be able to do. */
static void use(dynb **db, fuzz_device *device, uint64_t state[2])
{
    dynb_builder builder;
    uint32_t count = count_items(*db, 1);
    memset(&builder, 0, sizeof builder);
    fuzz_must(dynb_check(*db, NULL, NULL, NULL, NULL), "check");
    fuzz_must(dynb_scrub(*db, NULL), "scrub");
    fuzz_must(dynb_put_item(*db, "tab", fuzz_item(&builder, 0, count, 10), NULL, NULL, NULL,
                            NULL), "put");
    dynb_builder_free(&builder);
    fuzz_must(dynb_close(*db, NULL), "close");
    fuzz_must(fuzz_open(db, device, 512, 0, state), "open again");
    if (count_items(*db, 0) != count + 1)
        fuzz_fail("not the items that were there", DYNB_OK);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static fuzz_device *device;
    uint64_t state[2] = {1800000000000u, 7};
    fuzz_input in;
    dynb *db;
    int pending;
    if (!killed)
        prepare();
    device = device ? device : fuzz_device_new();
    fuzz_device_copy(device, killed);
    in.at = data;
    in.end = data + size;
    while (in.at < in.end)
        damage(device->bytes, &in);
    if (fuzz_open(&db, device, 512, 0, state) != DYNB_OK)
        return 0;
    if (FUZZ_SUMS_COUNT)
        use(&db, device, state);
    else if (dynb_work(db, 1u << 20, &pending, NULL) == DYNB_OK)
        pending = dynb_check(db, NULL, NULL, NULL, NULL) == DYNB_CORRUPT;
    (void)dynb_close(db, NULL);
    return 0;
}
