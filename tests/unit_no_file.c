/* unit_no_file.c - DYNBACKUP_NO_FILE: no files, and no clock of the system's. */
#if !defined(DYNBACKUP_NO_FILE)
#define DYNBACKUP_NO_FILE
#endif
#include "store.h"

static void test_no_files(void)
{
    dynb_device device;
    dynb *db = (dynb *)&device;
    memset(&device, 1, sizeof device);
    EXPECT_MESSAGE(dynb_file_device_open(&device, "a.dynb", 0, NULL, &kit_err),
                   DYNB_INVALID_ARGUMENT,
                   "path a.dynb: files were left out by DYNBACKUP_NO_FILE; give a device");
    CHECK(device.ctx == NULL && device.read_fn == NULL && device.close_fn == NULL);
    EXPECT_ABOUT(dynb_file_device_open(NULL, NULL, 1, NULL, &kit_err), DYNB_INVALID_ARGUMENT,
                 "path NULL: files were left out");
    EXPECT_ABOUT(dynb_open(&db, "a.dynb", NULL, &kit_err), DYNB_INVALID_ARGUMENT,
                 "path a.dynb: files were left out");
    CHECK(db == NULL);
}

/* Without a clock it is always 1970; all else goes on as ever. */
static void test_no_clock(void)
{
    store s;
    dynb_backup_description about;
    char arn[DYNB_ARN_MAX + 1];
    store_begin(&s);
    s.config.clock_fn = NULL;
    store_open(&s);
    MUST(kit_create_table(s.db, "Table", NULL));
    fill(&s, "Table", 'a', 20, 1, 10);
    back_up(&s, "Table", arn);
    CHECK(strstr(arn, "/backup/00000000000000-") != NULL);
    fill(&s, "Table", 'a', 20, 2, 10);
    store_crash(&s);
    MUST(dynb_wait_idle(s.db, &kit_err));
    about = look_up(&s, arn);
    CHECK_INT(about.status, DYNB_BACKUP_AVAILABLE);
    CHECK_INT(about.created_at_ms, 0);
    CHECK_INT(about.source.item_count, 20);
    MUST(kit_restore(s.db, arn, "Back"));
    CHECK_INT(kit_get(s.db, "Back", "a00019"), 1);
    CHECK_INT(kit_get(s.db, "Table", "a00019"), 2);
    store_end(&s);
}

int main(void)
{
    test_no_files();
    test_no_clock();
    return check_report("unit_no_file");
}
