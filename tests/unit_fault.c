/* unit_fault.c - the fault device itself: does it catch what it is there for?
 *
 * A toy store of two sectors and a commit mark is written in the right order
 * (data, sync, mark, sync) and in wrong ones; the explorer must find a crash
 * image that shows half of a change exactly when the order is wrong. Then the
 * single kinds of damage, the modes of failure, and the allocator's accounts. */
#include "../dynbackup.h"

#include "fault.h"

typedef struct toy {
    fault_device device;
    fault_explorer explorer;
    int torn;                /* an image shows half of a change */
    uint64_t images, alls, grown, shrunk;
    uint32_t seen_values[4]; /* how often sector 0 held 'a', 'b', a mix, something else */
} toy;

static void see(void *ctx, const fault_image *image)
{
    toy *t = (toy *)ctx;
    const uint8_t *b = image->bytes;
    ++t->images;
    t->alls += (uint64_t)image->is_all;
    t->grown += image->size_bytes > t->device.durable_bytes;
    if (image->size_bytes < 3 * FAULT_SECTOR)
        return;
    /* the mark in sector 2 names the version that sectors 0 and 1 must have */
    if (b[0] != b[FAULT_SECTOR] && b[2 * FAULT_SECTOR] == 'b')
        t->torn = 1;
    ++t->seen_values[b[0] == 'a' && b[511] == 'a'   ? 0
                     : b[0] == 'b' && b[511] == 'b' ? 1
                     : b[0] == 'b' && b[511] == 'a' ? 2
                                                    : 3];
}

static void look(void *ctx, fault_device *device, fault_kind kind)
{
    (void)kind;
    fault_explore(&((toy *)ctx)->explorer, device);
}

static void toy_begin(toy *t)
{
    uint8_t bytes[3 * FAULT_SECTOR];
    memset(t, 0, sizeof *t);
    memset(bytes, 'a', sizeof bytes);
    t->device.track = 1;
    fault_start(&t->device, bytes, sizeof bytes, 0);
    t->device.hook_fn = look;
    t->device.hook_ctx = t;
    t->explorer.exhaustive_count = 4;
    t->explorer.sample_count = 20;
    t->explorer.visit_fn = see;
    t->explorer.visit_ctx = t;
}

static void toy_end(toy *t)
{
    fault_free(&t->device);
    fault_explorer_free(&t->explorer);
}

static void put(toy *t, uint64_t sector, char with)
{
    uint8_t bytes[FAULT_SECTOR];
    memset(bytes, with, sizeof bytes);
    CHECK(fault_write(&t->device, sector * FAULT_SECTOR, bytes, sizeof bytes) == DYNB_OK);
}

static void test_orders(void)
{
    static toy t;
    int first_sync, torn;
    for (first_sync = 0; first_sync < 2; ++first_sync) {
        toy_begin(&t);
        put(&t, 0, 'b');
        put(&t, 1, 'b');
        if (first_sync)
            CHECK(fault_sync(&t.device) == DYNB_OK);
        put(&t, 2, 'b');
        CHECK(fault_sync(&t.device) == DYNB_OK);
        torn = t.torn;
        CHECK_INT(torn, !first_sync); /* only the missing sync is found out */
        CHECK(t.alls > 0 && t.seen_values[0] && t.seen_values[1] && t.seen_values[2]);
        CHECK_INT(t.seen_values[3], 0);
        CHECK(t.device.durable[0] == 'b' && t.device.durable_bytes == 3 * FAULT_SECTOR);
        toy_end(&t);
    }
}

static void test_growth(void)
{
    static toy t;
    uint64_t size;
    toy_begin(&t);
    CHECK(fault_resize_device(&t.device, 6 * FAULT_SECTOR) == DYNB_OK);
    CHECK(t.images >= 3 && t.grown >= 2); /* the old size, zeros, garbage */
    put(&t, 4, 'b');
    CHECK(fault_size(&t.device, &size) == DYNB_OK && size == 6 * FAULT_SECTOR);
    fault_drop_unsynced(&t.device);
    CHECK(t.device.current_bytes == 3 * FAULT_SECTOR && t.device.dirty_count == 0);
    CHECK(fault_resize_device(&t.device, 6 * FAULT_SECTOR) == DYNB_OK);
    CHECK(t.device.current[4 * FAULT_SECTOR] == 0);
    toy_end(&t);
}

/* Every subset is visited once: 2^4 of four sectors, and tears on top. */
static void test_counts(void)
{
    static toy t;
    uint32_t i;
    uint64_t images;
    toy_begin(&t);
    t.device.hook_fn = NULL;
    CHECK(fault_resize_device(&t.device, 8 * FAULT_SECTOR) == DYNB_OK);
    CHECK(fault_sync(&t.device) == DYNB_OK);
    for (i = 0; i < 4; ++i)
        put(&t, 4 + i, 'c');
    fault_explore(&t.explorer, &t.device);
    images = t.images;
    CHECK_INT(images, 16 + 2); /* the last write was one sector: two tears in it */
    fault_explore(&t.explorer, &t.device);
    CHECK(t.images - images <= 2); /* nothing is new but the tears */
    put(&t, 7, 'd');               /* a second version of one sector */
    fault_explore(&t.explorer, &t.device);
    CHECK(t.images - images > 10);
    toy_end(&t);
}

/* A sync of a range makes its sectors durable, and no others. */
static void test_ranges(void)
{
    static toy t;
    toy_begin(&t);
    t.device.hook_fn = NULL;
    put(&t, 0, 'b');
    put(&t, 1, 'b');
    put(&t, 2, 'b');
    put(&t, 2, 'c');
    CHECK(fault_sync_range(&t.device, FAULT_SECTOR + 7, 1) == DYNB_OK);
    CHECK_INT(t.device.dirty_count, 2);
    CHECK(t.device.durable[0] == 'a' && t.device.durable[FAULT_SECTOR] == 'b' &&
          t.device.durable[2 * FAULT_SECTOR] == 'a');
    fault_explore(&t.explorer, &t.device);
    CHECK_INT(t.images, 2 * 3 + 2); /* of the last both versions, and two tears */
    CHECK(fault_sync_range(&t.device, 0, FAULT_SECTOR) == DYNB_OK);
    fault_drop_unsynced(&t.device);
    CHECK(t.device.current[0] == 'b' && t.device.current[2 * FAULT_SECTOR] == 'a');
    CHECK(fault_resize_device(&t.device, 6 * FAULT_SECTOR) == DYNB_OK);
    put(&t, 1, 'd');
    put(&t, 5, 'd');
    CHECK(fault_sync_range(&t.device, 0, 2 * FAULT_SECTOR) == DYNB_OK);
    CHECK_INT(t.device.durable_bytes, 3 * FAULT_SECTOR); /* the growth was no part of it */
    CHECK(fault_sync_range(&t.device, 5 * FAULT_SECTOR, 1) == DYNB_OK);
    CHECK_INT(t.device.durable_bytes, 6 * FAULT_SECTOR);
    CHECK_INT(t.device.broken_promise_count, 0);
    CHECK(fault_sync_range(&t.device, 6 * FAULT_SECTOR, 1) == DYNB_OK);
    CHECK_INT(t.device.broken_promise_count, 1); /* outside the device */
    toy_end(&t);
}

static void test_modes(void)
{
    static toy t;
    uint8_t bytes[FAULT_SECTOR];
    toy_begin(&t);
    t.device.hook_fn = NULL;
    t.device.plan_call = 2;
    t.device.plan_mode = FAULT_TORN;
    put(&t, 0, 'b');
    memset(bytes, 'b', sizeof bytes);
    CHECK(fault_write(&t.device, FAULT_SECTOR, bytes, sizeof bytes) == DYNB_IO_FAILED);
    CHECK(t.device.current[FAULT_SECTOR] == 'b' && t.device.current[2 * FAULT_SECTOR - 1] == 'a');
    CHECK_INT(t.device.broken_promise_count, 0);
    CHECK(fault_write(&t.device, 0, bytes, 1) == DYNB_OK);
    CHECK_INT(t.device.broken_promise_count, 1); /* a write after a failed write */
    CHECK(fault_read(&t.device, 3 * FAULT_SECTOR - 1, bytes, 2) != DYNB_OK);
    CHECK_INT(t.device.broken_promise_count, 2); /* outside the device */
    toy_end(&t);

    toy_begin(&t);
    t.device.hook_fn = NULL;
    put(&t, 0, 'b');
    t.device.plan_call = 2;
    t.device.plan_mode = FAULT_LOST_SYNC;
    CHECK(fault_sync(&t.device) == DYNB_IO_FAILED);
    CHECK(fault_sync(&t.device) == DYNB_OK);
    CHECK(t.device.current[0] == 'a' && t.device.durable[0] == 'a');
    toy_end(&t);
}

static void test_allocator(void)
{
    fault_allocator a;
    void *p, *q;
    memset(&a, 0, sizeof a);
    p = fault_resize(&a, NULL, 0, 100);
    p = fault_resize(&a, p, 100, 200);
    a.fail_at = a.call_count + 1;
    CHECK(fault_resize(&a, p, 200, 300) == NULL); /* the old block stays */
    q = fault_resize(&a, NULL, 0, 10);
    CHECK(q != NULL && a.live_count == 2 && a.live_bytes == 210);
    a.fail_at = a.call_count + 1;
    a.fail_from = 1;
    CHECK(!fault_resize(&a, NULL, 0, 1) && !fault_resize(&a, NULL, 0, 1));
    CHECK_INT(a.broken_count, 0);
    CHECK(fault_resize(&a, p, 199, 0) == NULL); /* it was 200 */
    CHECK_INT(a.broken_count, 1);
    CHECK(fault_resize(&a, q, 10, 0) == NULL && a.live_count == 0 && a.live_bytes == 0);
}

int main(void)
{
    test_orders();
    test_growth();
    test_counts();
    test_ranges();
    test_modes();
    test_allocator();
    return check_report("unit_fault");
}
