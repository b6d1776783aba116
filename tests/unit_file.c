/* unit_file.c - section 16's file device by what it promises, on any system that
 * has files: POSIX systems and Windows. The calls of POSIX systems are made to fail
 * by unit_device.c. Files lie in TMPDIR (or here) and are removed. */
#include "store.h"

static const char *path_of(const char *name)
{
    static char path[400];
    const char *base = getenv("TMPDIR");
    snprintf(path, sizeof path, "%.300s/unit-file-%s.dynb", base && *base ? base : ".", name);
    return path;
}

#if !defined(DYNBACKUP_NO_FILE)
static uint64_t size_of(const dynb_device *device)
{
    uint64_t size = ~(uint64_t)0;
    CHECK_INT(device->size_fn(device->ctx, &size), DYNB_OK);
    return size;
}

static void test_bytes(void)
{
    static uint8_t bytes[70000], same[70000];
    const char *path = path_of("bytes");
    dynb_device device, second, third;
    uint32_t i;
    (void)remove(path);
    for (i = 0; i < sizeof bytes; ++i)
        bytes[i] = (uint8_t)(i * 31 + (i >> 8));
    EXPECT_ABOUT(dynb_file_device_open(&device, path, 1, NULL, &kit_err), DYNB_IO_FAILED,
                 "cannot open the file");
    MUST(dynb_file_device_open(&device, path, 0, NULL, &kit_err));
    CHECK_INT(size_of(&device), 0);
    CHECK_INT(device.resize_fn(device.ctx, 100000), DYNB_OK);
    CHECK_INT(size_of(&device), 100000);
    CHECK_INT(device.read_fn(device.ctx, 0, same, sizeof same), DYNB_OK);
    for (i = 0; i < sizeof same && same[i] == 0; ++i) {
    }
    CHECK_INT(i, sizeof same); /* new bytes are zero */
    CHECK_INT(device.write_fn(device.ctx, 20001, bytes, sizeof bytes), DYNB_OK);
    CHECK_INT(device.sync_fn(device.ctx), DYNB_OK);
    CHECK_INT(device.read_fn(device.ctx, 20001, same, sizeof same), DYNB_OK);
    CHECK(memcmp(same, bytes, sizeof bytes) == 0);
    CHECK_INT(device.read_fn(device.ctx, 99999, same, 1), DYNB_OK);
    CHECK_INT(device.read_fn(device.ctx, 99999, same, 2), DYNB_IO_FAILED); /* past the end */
    CHECK_INT(device.read_fn(device.ctx, 100000, same, 1), DYNB_IO_FAILED);
    CHECK_INT(device.resize_fn(device.ctx, 20002), DYNB_OK);
    CHECK_INT(size_of(&device), 20002);
    CHECK_INT(device.resize_fn(device.ctx, ~(uint64_t)0), DYNB_NO_SPACE);
    CHECK_INT(size_of(&device), 20002);

    /* one writer, or readers */
    EXPECT_ABOUT(dynb_file_device_open(&second, path, 0, NULL, &kit_err), DYNB_LOCKED,
                 "is open in another handle or process");
    CHECK(second.ctx == NULL && second.close_fn == NULL);
    EXPECT(dynb_file_device_open(&second, path, 1, NULL, &kit_err), DYNB_LOCKED);
    device.close_fn(device.ctx);
    MUST(dynb_file_device_open(&device, path, 1, NULL, &kit_err));
    MUST(dynb_file_device_open(&second, path, 1, NULL, &kit_err));
    EXPECT(dynb_file_device_open(&third, path, 0, NULL, &kit_err), DYNB_LOCKED);
    CHECK_INT(second.read_fn(second.ctx, 20001, same, 1), DYNB_OK);
    CHECK_INT(same[0], bytes[0]);
    CHECK_INT(second.write_fn(second.ctx, 0, bytes, 1), DYNB_IO_FAILED);
    CHECK_INT(second.resize_fn(second.ctx, 0), DYNB_IO_FAILED);
    CHECK_INT(size_of(&second), 20002);
    second.close_fn(second.ctx);
    device.close_fn(device.ctx);
}

static void test_store(void)
{
    static store s;
    const char *path = path_of("store");
    dynb *second;
    char arn[DYNB_ARN_MAX + 1];
    (void)remove(path);
    store_begin(&s);
    s.config.device = NULL;
    s.config.manual_work = 0;
    s.config.clock_fn = NULL; /* the system's, and its random numbers */
    s.config.random_fn = NULL;
    MUST(dynb_open(&s.db, path, &s.config, &kit_err));
    EXPECT_ABOUT(dynb_open(&second, path, &s.config, &kit_err), DYNB_LOCKED,
                 "is open in another handle or process");
    CHECK(second == NULL);
    MUST(kit_create_table(s.db, "Table", NULL));
    fill(&s, "Table", 'a', 500, 1, 200);
    back_up(&s, "Table", arn);
    CHECK(look_up(&s, arn).created_at_ms > 1600000000000u);
    fill(&s, "Table", 'a', 500, 2, 200);
    dynbi_api_free(s.db); /* as a program that ends without closing */
    MUST(dynb_open(&s.db, path, &s.config, &kit_err));
    MUST(dynb_wait_idle(s.db, &kit_err));
    CHECK_INT(kit_get(s.db, "Table", "a00499"), 2);
    MUST(kit_restore(s.db, arn, "Back"));
    CHECK_INT(kit_get(s.db, "Back", "a00499"), 1);
    EXPECT(dynb_check(s.db, NULL, NULL, NULL, &kit_err), DYNB_OK);
    EXPECT(dynb_scrub(s.db, &kit_err), DYNB_OK);
    store_close(&s);
    s.config.read_only = 1;
    MUST(dynb_open(&s.db, path, &s.config, &kit_err));
    MUST(dynb_open(&second, path, &s.config, &kit_err));
    CHECK_INT(kit_get(second, "Back", "a00000"), 1);
    EXPECT(kit_put(second, "Back", "a", 1), DYNB_READ_ONLY);
    MUST(dynb_close(second, &kit_err));
    store_end(&s);
}
#endif

int main(void)
{
#if !defined(DYNBACKUP_NO_FILE)
    test_bytes();
    test_store();
    CHECK(remove(path_of("bytes")) == 0);
    CHECK(remove(path_of("store")) == 0);
#else
    (void)path_of;
#endif
    return check_report("unit_file");
}
