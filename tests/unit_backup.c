/* unit_backup.c - section 24 from inside: folds that end early or come too late,
 * counting, damage met on the way, and what dynb_check, dynb_scrub and the
 * functions that look inside say of stores that are not as they should be. */
#include "store.h"

/* --------------------------------------------------------------- tidying -- */

static uint32_t run_count(store *s, const char *name)
{
    return table_of(s, name)->sets[0].count;
}

/* A table of two runs: 300 items, then newer ones over all of them. */
static void make_runs(store *s)
{
    store_begin(s);
    store_open(s);
    MUST(kit_create_table(s->db, "Table", NULL));
    fill(s, "Table", 'a', 300, 1, 100);
    fold_run(s, "Table");
    fill(s, "Table", 'a', 300, 2, 100);
    fill(s, "Table", 'b', 50, 3, 100);
    fold_run(s, "Table");
    CHECK_INT(run_count(s, "Table"), 2);
    MUST(dynb_work(s->db, 1 << 20, NULL, &kit_err)); /* marks what a checkpoint left */
    CHECK_INT(run_count(s, "Table"), 2);
}

static void check_runs(store *s)
{
    dynb_table_description about;
    CHECK_INT(kit_get(s->db, "Table", "a00000"), 2);
    CHECK_INT(kit_get(s->db, "Table", "a00150"), 2);
    CHECK_INT(kit_get(s->db, "Table", "a00299"), 2);
    CHECK_INT(kit_get(s->db, "Table", "b00049"), 3);
    EXPECT(dynb_check(s->db, NULL, NULL, NULL, &kit_err), DYNB_OK);
    EXPECT(dynb_scrub(s->db, &kit_err), DYNB_OK);
    MUST(dynb_wait_idle(s->db, &kit_err));
    MUST(dynb_describe_table(s->db, "Table", &about, &s->result, &kit_err));
    CHECK_INT(about.item_count, 350);
}

/* Starts folding the two runs and gets as far as some nodes written. */
static dynbi_job *start_tidy(store *s)
{
    dynbi_job *job = &s->db->worker->job[1];
    int i;
    MUST(dynbi_tidy_start(job, table_of(s, "Table"), 0, 0, 2, &kit_err));
    for (i = 0; i < 100 && job->kind && !job->fold.written_bytes; ++i)
        MUST(dynbi_job_step(s->db->worker, job, 4096, &kit_err));
    CHECK(job->kind == DYNBI_JOB_TIDY && job->fold.written_bytes && job->fold.has_change);
    return job;
}

/* The device gets full while runs are folded: the fold ends early, what came of
 * it is published, and it goes on from there once there is room. */
static void test_early_end(void)
{
    store s;
    dynbi_job *job;
    dynbi_table *table;
    uint32_t first_tries = 0;
    make_runs(&s);
    job = start_tidy(&s);
    table = job->table;
    leave_headroom(&s);
    CHECK_INT(dynbi_tidy_room(s.db), 0);
    while (job->kind && ++first_tries < 1000)
        MUST(dynbi_job_step(s.db->worker, job, 4096, &kit_err));
    CHECK(table->fold_lsn && table->fold_key.used_bytes); /* ended early */
    CHECK_INT(table->sets[0].count, 2);
    CHECK_INT(table->sets[0].run[0].is_counted, 0);
    CHECK_INT(table->sets[0].run[1].is_counted, 1);
    CHECK_INT(s.db->wants_space, 1);
    CHECK(!dynbi_tidy_fits(s.db, table, 0, 0, 2)); /* it goes on, but not now */
    check_runs(&s);
    CHECK_INT(run_count(&s, "Table"), 1); /* the checkpoint made room */
    CHECK_INT(table->fold_lsn, 0);
    check_runs(&s);
    store_end(&s);
}

/* As above, but without memory for the place to go on, or for the new list of
 * runs; or with nothing written yet: then nothing is published. */
static void test_no_early_end(void)
{
    store s;
    dynbi_job *job;
    int mode;
    for (mode = 0; mode < 3; ++mode) {
        dynb_rc rc = DYNB_OK;
        uint32_t steps = 0;
        make_runs(&s);
        if (mode == 0) { /* full from the start */
            job = &s.db->worker->job[1];
            MUST(dynbi_tidy_start(job, table_of(&s, "Table"), 0, 0, 2, &kit_err));
            leave_free(&s, 3);
        } else {
            job = start_tidy(&s);
            leave_headroom(&s);
        }
        if (mode == 1)
            s.db->memory.budget_bytes = s.db->memory.used_bytes;
        while (job->kind && rc == DYNB_OK && ++steps < 1000)
            rc = dynbi_job_step(s.db->worker, job, 4096, &kit_err);
        CHECK(rc == DYNB_OK || rc == DYNB_NO_MEMORY);
        s.db->memory.budget_bytes = 1 << 20;
        CHECK_INT(job->kind, DYNBI_JOB_NONE);
        CHECK_INT(run_count(&s, "Table"), 2);
        if (mode == 0)
            CHECK(s.db->worker->tidy_lacked > 0);
        s.db->disk.device.resize_fn = fault_resize_device;
        s.db->worker->tidy_lacked = 0;
        check_runs(&s);
        CHECK_INT(run_count(&s, "Table"), 1);
        store_end(&s);
    }
}

/* Each allocation of an early end fails once: then nothing is published, and what
 * was folded is folded again later. */
static void test_early_end_memory(void)
{
    uint32_t n, lacked_list_count = 0;
    int is_over = 0;
    for (n = 1; !is_over && n < 100; ++n) {
        store s;
        dynb_rc rc = DYNB_OK;
        dynbi_job *job;
        make_runs(&s);
        job = start_tidy(&s);
        leave_headroom(&s);
        s.memory.call_count = s.memory.failed_count = 0;
        s.memory.fail_at = n;
        while (job->kind && rc == DYNB_OK)
            rc = dynbi_job_step(s.db->worker, job, 4096, &kit_err);
        s.memory.fail_at = 0;
        is_over = s.memory.failed_count == 0;
        CHECK(rc == DYNB_OK || rc == DYNB_NO_MEMORY);
        lacked_list_count +=
            rc != DYNB_OK && strcmp(kit_err.message, "no memory for a list of runs") == 0;
        CHECK_INT(job->kind, DYNBI_JOB_NONE);
        CHECK_INT(run_count(&s, "Table"), 2);
        CHECK_INT(table_of(&s, "Table")->sets[0].run[0].is_counted, 0);
        s.db->disk.device.resize_fn = fault_resize_device;
        s.db->worker->tidy_lacked = 0;
        check_runs(&s);
        CHECK_INT(run_count(&s, "Table"), 1);
        store_end(&s);
    }
    CHECK_INT(is_over, 1);
    CHECK(lacked_list_count > 0);
}

/* A read that lacks memory has nothing folded that waits: but fewer runs need
 * less. */
static void test_relief_by_fewer_runs(void)
{
    store s;
    int has_worked = 1;
    make_runs(&s);
    s.db->wants_space = 1; /* a checkpoint, so that no changes are left in memory */
    while (has_worked)
        MUST(dynbi_worker_step(s.db, 1 << 20, 0, &has_worked, &kit_err));
    CHECK_INT(s.db->log.tail.lsn, s.db->checkpoint_lsn);
    CHECK_INT(run_count(&s, "Table"), 2);
    CHECK_INT(dynbi_worker_relieve(s.db, DYNB_NO_MEMORY), 1);
    CHECK_INT(run_count(&s, "Table"), 1);
    CHECK_INT(dynbi_worker_relieve(s.db, DYNB_NO_MEMORY), 0); /* that was all */
    check_runs(&s);
    store_end(&s);
}

/* The table is deleted, or gets other runs, while its runs are folded. */
static void test_overtaken(void)
{
    store s;
    dynbi_job *job;
    dynbi_table *table;
    dynbi_runs runs;
    uint32_t i;
    make_runs(&s);
    job = start_tidy(&s);
    MUST(dynb_delete_table(s.db, "Table", NULL, NULL, &kit_err));
    CHECK_INT(s.db->table_count, 1); /* the job still needs it */
    for (i = 0; i < 1000 && job->kind; ++i)
        MUST(dynbi_job_step(s.db->worker, job, 1, &kit_err));
    CHECK_INT(s.db->table_count, 0);
    MUST(dynb_wait_idle(s.db, &kit_err));
    EXPECT(dynb_check(s.db, NULL, NULL, NULL, &kit_err), DYNB_OK);
    store_end(&s);

    for (i = 0; i < 3; ++i) {
        dynbi_runs kept;
        make_runs(&s);
        job = start_tidy(&s);
        table = job->table;
        kept = table->sets[0];
        CHECK(dynbi_runs_copy(&s.db->allocator, &kept, &runs));
        if (i == 0)
            runs.run[0].root.page += 1; /* the newest is another */
        else if (i == 1)
            runs.run[1].from_lsn += 1; /* the oldest is */
        else
            runs.run[0].to_lsn += 1;
        table->sets[0] = runs;
        while (job->kind)
            MUST(dynbi_job_step(s.db->worker, job, 1 << 20, &kit_err));
        CHECK(table->sets[0].run == runs.run && runs.count == 2);
        table->sets[0] = kept;
        dynbi_runs_free(&s.db->allocator, &runs);
        check_runs(&s);
        store_end(&s);
    }

    make_runs(&s); /* a run nobody wants any more: its table was deleted */
    fill(&s, "Table", 'c', 100, 1, 100);
    dynbi_store_freeze(s.db, table_of(&s, "Table")->newest);
    table = table_of(&s, "Table");
    job = &s.db->worker->job[0];
    MUST(dynbi_run_start(job, table, dynbi_table_oldest(table), &kit_err));
    MUST(dynb_delete_table(s.db, "Table", NULL, NULL, &kit_err));
    for (i = 0; i < 1000 && job->kind; ++i)
        MUST(dynbi_job_step(s.db->worker, job, 1, &kit_err));
    CHECK_INT(s.db->table_count, 0);
    store_end(&s);
}

/* dynb_work one step at a time, with tables deleted at every possible moment. */
static void test_delete_while_working(void)
{
    uint32_t moment;
    for (moment = 0; moment < 60; moment += 3) {
        store s;
        char arn[DYNB_ARN_MAX + 1];
        uint32_t i;
        int pending = 1;
        store_begin(&s);
        store_open(&s);
        MUST(kit_create_table(s.db, "Table", NULL));
        MUST(kit_create_table(s.db, "Other", NULL));
        fill(&s, "Table", 'a', 60, 1, 100);
        fill(&s, "Other", 'a', 20, 1, 100);
        fold_run(&s, "Table");
        fill(&s, "Table", 'a', 40, 2, 100);
        back_up(&s, "Table", arn);
        fill(&s, "Table", 'a', 10, 3, 100);
        for (i = 0; i < moment; ++i)
            MUST(dynb_work(s.db, 1, NULL, &kit_err));
        MUST(dynb_delete_table(s.db, "Table", NULL, NULL, &kit_err));
        for (i = 0; pending && i < 10000; ++i)
            MUST(dynb_work(s.db, 1, &pending, &kit_err));
        CHECK_INT(pending, 0);
        CHECK_INT(s.db->table_count, 1);
        CHECK_INT(look_up(&s, arn).source.item_count, 60);
        MUST(kit_restore(s.db, arn, "Back"));
        CHECK_INT(kit_get(s.db, "Back", "a00000"), 2);
        CHECK_INT(kit_get(s.db, "Back", "a00050"), 1);
        if (moment % 2)
            store_reopen(&s);
        else
            store_crash(&s);
        CHECK_INT(kit_get(s.db, "Back", "a00039"), 2);
        EXPECT(dynb_check(s.db, NULL, NULL, NULL, &kit_err), DYNB_OK);
        EXPECT(dynb_scrub(s.db, &kit_err), DYNB_OK);
        store_end(&s);
    }
}

/* ------------------------------------------------------- damage met late -- */

static void damage_page(store *s, uint32_t page)
{
    s->device.current[(uint64_t)page * 512 + 20] ^= 0x40;
    forget_reads(s);
}

/* The page of a tree's first leaf: marking does not read leaves, all else does. */
static uint32_t first_leaf(store *s, dynbi_root root)
{
    while (root.level > 0) {
        dynbi_node node;
        MUST(dynbi_node_open(&s->db->reader, &root, &node, &kit_err));
        dynbi_node_child(&node, 0, &root);
        dynbi_node_close(&s->db->reader, &node);
    }
    return root.page;
}

static void test_damage(void)
{
    store s;
    char arn[DYNB_ARN_MAX + 1];
    dynbi_table *table;
    dynb_rc rc;
    int i, has_worked;

    make_runs(&s); /* folding runs meets it */
    table = table_of(&s, "Table");
    damage_page(&s, first_leaf(&s, table->sets[0].run[1].root));
    rc = dynb_wait_idle(s.db, &kit_err);
    CHECK_INT(rc, DYNB_CORRUPT);
    CHECK_INT(kit_err.code, DYNB_CORRUPT);
    CHECK_INT(table->is_damaged, 1);
    CHECK_INT(run_count(&s, "Table"), 2);
    EXPECT(dynb_wait_idle(s.db, &kit_err), DYNB_OK); /* left alone from then on */
    CHECK_INT(run_count(&s, "Table"), 2);
    MUST(kit_create_table(s.db, "Sound", NULL));
    MUST(kit_put(s.db, "Sound", "a", 1));
    MUST(dynb_wait_idle(s.db, &kit_err));
    CHECK_INT(kit_get(s.db, "Sound", "a"), 1);
    EXPECT_ABOUT(dynb_check(s.db, NULL, NULL, NULL, &kit_err), DYNB_CORRUPT,
                 "problems were found");
    EXPECT(dynb_scrub(s.db, &kit_err), DYNB_CORRUPT);
    store_end(&s);

    make_runs(&s); /* so does a fold under way */
    table = table_of(&s, "Table");
    MUST(dynbi_tidy_start(&s.db->worker->job[1], table, 0, 0, 2, &kit_err));
    damage_page(&s, first_leaf(&s, table->sets[0].run[1].root));
    for (i = 0, rc = DYNB_OK; i < 100 && rc == DYNB_OK; ++i)
        rc = dynbi_job_step(s.db->worker, &s.db->worker->job[1], 4096, &kit_err);
    CHECK_INT(rc, DYNB_CORRUPT);
    CHECK_INT(table->is_damaged, 1);
    CHECK_INT(s.db->worker->job[1].kind, DYNBI_JOB_NONE);
    CHECK_INT(run_count(&s, "Table"), 2);
    store_end(&s);

    make_runs(&s); /* counting a table's run meets it */
    table = table_of(&s, "Table");
    CHECK(table->has_uncounted);
    damage_page(&s, first_leaf(&s, table->sets[0].run[1].root));
    MUST(dynbi_count_start(s.db->worker, table, 0, &table->sets[0], &kit_err));
    EXPECT(dynbi_count_step(s.db->worker, 1 << 20, &kit_err), DYNB_CORRUPT);
    CHECK_INT(table->is_damaged, 1);
    CHECK_INT(s.db->worker->count.is_active, 0);
    CHECK_INT(table->job_count, 0);
    store_end(&s);

    make_runs(&s); /* counting a backup's runs meets it */
    back_up(&s, "Table", arn);
    CHECK_INT(s.db->uncounted_count, 1);
    damage_page(&s, first_leaf(&s, table_of(&s, "Table")->sets[0].run[1].root));
    MUST(dynb_delete_table(s.db, "Table", NULL, NULL, &kit_err));
    for (i = 0, rc = DYNB_OK; i < 100 && rc == DYNB_OK; ++i)
        rc = dynbi_worker_step(s.db, 1 << 20, 1, &has_worked, &kit_err);
    CHECK_INT(rc, DYNB_CORRUPT);
    CHECK_INT(s.db->uncounted_count, 0); /* its counts stay what they were */
    EXPECT(dynb_wait_idle(s.db, &kit_err), DYNB_OK);
    store_end(&s);

    make_runs(&s); /* deleted while it is being counted */
    table = table_of(&s, "Table");
    MUST(dynbi_count_start(s.db->worker, table, 0, &table->sets[0], &kit_err));
    MUST(dynbi_count_step(s.db->worker, 1, &kit_err));
    MUST(dynb_delete_table(s.db, "Table", NULL, NULL, &kit_err));
    CHECK_INT(s.db->table_count, 1);
    for (i = 0; s.db->worker->count.is_active && i < 2000; ++i)
        MUST(dynbi_count_step(s.db->worker, 1, &kit_err));
    CHECK_INT(s.db->table_count, 0);
    store_end(&s);

    make_runs(&s); /* a backup deleted while it is counted, and before */
    back_up(&s, "Table", arn);
    MUST(dynbi_count_backup(s.db->worker, &kit_err));
    CHECK(s.db->worker->count.is_active && !s.db->worker->count.table);
    MUST(dynb_delete_backup(s.db, arn, NULL, NULL, &kit_err));
    MUST(dynbi_count_step(s.db->worker, 1 << 20, &kit_err));
    CHECK_INT(s.db->uncounted_count, 0);
    dynbi_count_end(s.db->worker);
    back_up(&s, "Table", arn);
    MUST(dynb_delete_backup(s.db, arn, NULL, NULL, &kit_err));
    MUST(dynb_wait_idle(s.db, &kit_err));
    CHECK_INT(s.db->uncounted_count, 0);
    check_runs(&s);
    store_end(&s);

    make_runs(&s); /* no memory to count: it is tried again */
    table = table_of(&s, "Table");
    back_up(&s, "Table", arn);
    s.db->memory.budget_bytes = s.db->memory.used_bytes;
    EXPECT(dynbi_count_start(s.db->worker, table, 0, &table->sets[0], &kit_err), DYNB_NO_MEMORY);
    dynbi_store_note_uncounted(s.db, (const uint8_t *)"Bx", 2);
    CHECK_INT(s.db->uncounted_count, 1);
    EXPECT(dynbi_count_backup(s.db->worker, &kit_err), DYNB_NO_MEMORY);
    s.db->memory.budget_bytes = 1 << 20;
    dynbi_count_end(s.db->worker);
    check_runs(&s);
    CHECK_INT(look_up(&s, arn).source.item_count, 350);
    store_end(&s);
}

/* ----------------------------------------------------------------- check -- */

typedef struct problems {
    uint32_t count;
    char text[2048]; /* "where: what; " each */
} problems;

static void note_problem(void *ctx, const char *where, const dynb_error *problem)
{
    problems *p = (problems *)ctx;
    size_t used = strlen(p->text);
    ++p->count;
    CHECK_INT(problem->code, DYNB_CORRUPT);
    snprintf(p->text + used, sizeof p->text - used, "%.60s: %.60s; ", where, problem->message);
}

/* dynb_check finds a problem whose text holds `what`, and says that it did. */
static void expect_problem(store *s, const char *what)
{
    problems p;
    dynb_check_report report;
    char text[64];
    memset(&p, 0, sizeof p);
    EXPECT(dynb_check(s->db, &report, note_problem, &p, &kit_err), DYNB_CORRUPT);
    snprintf(text, sizeof text, "%u problems were found", (unsigned)p.count);
    CHECK_TEXT(kit_err.message, text);
    CHECK_INT(report.problems_count, p.count);
    if (!strstr(p.text, what))
        printf("problems: %s\n", p.text);
    CHECK(strstr(p.text, what) != NULL);
}

/* A table of one leaf of 3 items and one of several levels. */
static void make_trees(store *s)
{
    store_begin(s);
    store_open(s);
    MUST(kit_create_table(s->db, "Leaf", NULL));
    MUST(kit_create_table(s->db, "Tree", NULL));
    fill(s, "Leaf", 'a', 3, 1, 10);
    fill(s, "Tree", 'a', 200, 1, 100);
    MUST(dynb_wait_idle(s->db, &kit_err));
    CHECK_INT(table_of(s, "Leaf")->sets[0].run[0].root.level, 0);
    CHECK(table_of(s, "Tree")->sets[0].run[0].root.level >= 1);
    EXPECT(dynb_check(s->db, NULL, NULL, NULL, &kit_err), DYNB_OK);
}

/* The store is not closed in order: what was planted is nowhere logged. */
static void drop_trees(store *s)
{
    dynbi_api_free(s->db);
    s->db = NULL;
    store_end(s);
}

/* Plants a record of table Leaf with another root. */
static void plant_root(store *s, const dynbi_root *root)
{
    dynbi_table *table = table_of(s, "Leaf");
    dynbi_snapshot snapshot;
    dynbi_record record;
    dynbi_run run = table->sets[0].run[0];
    dynbi_buffer made;
    memset(&made, 0, sizeof made);
    memset(&record, 0, sizeof record);
    made.allocator = &s->config.allocator;
    dynbi_table_snapshot(table, &snapshot);
    run.root = *root;
    snapshot.sets[0].run = &run;
    record.settings = table->settings;
    record.settings_size = table->settings_size;
    MUST(dynbi_record_make(&made, &record, &snapshot, &kit_err));
    plant_record(s, (const uint8_t *)"TLeaf", 5, made.bytes, made.used_bytes);
    dynbi_buffer_free(&made);
}

static void test_check(void)
{
    store s;
    dynbi_root root, other, child;
    dynbi_node node;
    uint8_t *bytes, swap[8];
    dynb_backup_list list;
    dynb_item item;
    uint32_t i;

    make_trees(&s); /* pages in two nodes */
    root = other = table_of(&s, "Tree")->sets[0].run[0].root;
    other.page -= 1;
    other.page_count += 1;
    plant_root(&s, &other);
    expect_problem(&s, "table Tree: pages are in two nodes (tree node at byte");
    expect_problem(&s, "table Leaf: a node is damaged (tree node at byte");
    drop_trees(&s);

    make_trees(&s); /* a free page in use */
    root = table_of(&s, "Leaf")->sets[0].run[0].root;
    s.db->pages.used[root.page / 64] ^= (uint64_t)1 << root.page % 64;
    --s.db->pages.used_count;
    expect_problem(&s, "table Leaf: pages in use count as free");
    s.db->config.read_only = 1; /* then nobody looked for the free ones */
    EXPECT(dynb_check(s.db, NULL, NULL, NULL, &kit_err), DYNB_OK);
    s.db->config.read_only = 0;
    drop_trees(&s);

    make_trees(&s); /* keys out of order: the heads of two entries change places */
    sums_are_off = 1;
    forget_reads(&s);
    MUST(dynbi_node_open(&s.db->reader, &root, &node, &kit_err));
    bytes = s.device.current + (uint64_t)root.page * 512 + (node.heads - node.range.bytes);
    dynbi_node_close(&s.db->reader, &node);
    memcpy(swap, bytes, 8);
    memmove(bytes, bytes + 8, 8);
    memcpy(bytes + 8, swap, 8);
    expect_problem(&s, "table Leaf: keys are out of order");
    drop_trees(&s);
    sums_are_off = 0;

    make_trees(&s); /* a child that cannot be */
    sums_are_off = 1;
    root = table_of(&s, "Tree")->sets[0].run[0].root;
    forget_reads(&s);
    MUST(dynbi_node_open(&s.db->reader, &root, &node, &kit_err));
    dynbi_node_child(&node, 1, &child);
    bytes = s.device.current + (uint64_t)root.page * 512;
    dynbi_node_close(&s.db->reader, &node);
    for (i = 0; dynbi_load32(bytes + i) != child.page || dynbi_load32(bytes + i + 8) != child.sum;
         ++i)
        CHECK(i < 512);
    dynbi_store32(bytes + i, 0xfffffff0u);
    forget_reads(&s);
    expect_problem(&s, "table Tree: a pointer is malformed");
    CHECK(dynbi_pages_mark_begin(&s.db->pages));
    EXPECT_ABOUT(dynbi_mark_tree(&s.db->pages, &s.db->reader, &root, &kit_err), DYNB_CORRUPT,
                 "the tree node at byte");
    other = root;
    other.page = 1; /* a superblock is no node */
    EXPECT(dynbi_mark_tree(&s.db->pages, &s.db->reader, &other, &kit_err), DYNB_CORRUPT);
    dynbi_pages_mark_abandon(&s.db->pages);
    drop_trees(&s);
    sums_are_off = 0;

    make_trees(&s); /* a root that cannot be, and one of a level that cannot be */
    root = table_of(&s, "Leaf")->sets[0].run[0].root;
    root.page = 0xfffffff0u;
    plant_root(&s, &root);
    expect_problem(&s, "table Leaf: a pointer is malformed");
    s.db->catalog.sets[0].run[0].root.level = DYNBI_LEVELS;
    expect_problem(&s, "the catalog: a root is malformed");
    s.db->catalog.sets[0].run[0].root.level = 0;
    drop_trees(&s);

    make_trees(&s); /* records of rubbish */
    plant_record(&s, (const uint8_t *)"TLeaf", 5, (const uint8_t *)"\0\377", 2);
    plant_record(&s, (const uint8_t *)"Bshort", 6, (const uint8_t *)"\0\377", 2);
    plant_record(&s, (const uint8_t *)"BLeaf\0" "01700000000000-0123abcd", 29,
                 (const uint8_t *)"\0\377", 2);
    expect_problem(&s, "table Leaf: its record is damaged");
    expect_problem(&s, "table short: its record is damaged");
    expect_problem(&s, "backup 01700000000000-0123abcd of table Leaf: its record is damaged");
    EXPECT(dynb_check(s.db, NULL, NULL, NULL, &kit_err), DYNB_CORRUPT);
    EXPECT(dynb_list_backups(s.db, NULL, &list, &s.result, &kit_err), DYNB_CORRUPT);
    drop_trees(&s);

    make_trees(&s); /* an item of rubbish, which was logged so */
    EXPECT(log_change(&s, table_of(&s, "Leaf"), "z", 1, "\1\377\377", 3), DYNB_OK);
    {
        dynb_scan_input scan;
        dynb_page page;
        dynbi_place place;
        memset(&scan, 0, sizeof scan);
        scan.table = "Leaf";
        EXPECT_MESSAGE(dynb_scan(s.db, &scan, &page, &s.result, &kit_err), DYNB_CORRUPT,
                       "an item of table Leaf is damaged");
        CHECK(page.count == 0 && page.items == NULL);
        s.db->key.used_bytes = 0;
        CHECK(dynbi_buffer_append(&s.db->key, "z", 1));
        place = dynbi_place_of(table_of(&s, "Leaf"));
        EXPECT_MESSAGE(dynbi_item_read(s.db, &place, &item, &s.result, &kit_err),
                       DYNB_CORRUPT, "an item of table Leaf is damaged");
    }
    MUST(dynb_wait_idle(s.db, &kit_err));
    expect_problem(&s, "table Leaf: an item is malformed");
    store_end(&s);
}

/* ----------------------------------------------------------------- scrub -- */

/* Changes memory behind the log's back. */
static void change_memory(store *s, dynbi_table *table, const char *key, const char *value)
{
    dynbi_change change;
    dynbi_log_mark mark = s->db->log.tail;
    memset(&change, 0, sizeof change);
    change.key = (const uint8_t *)key;
    change.key_size = (uint32_t)strlen(key);
    change.value = (const uint8_t *)value;
    change.value_size = value ? 2 : 0;
    change.is_tombstone = value == NULL;
    MUST(dynbi_change_begin(s->db, &kit_err));
    MUST(dynbi_change_add(s->db, table, 0, &change, &kit_err));
    MUST(dynbi_change_reserve(s->db, &mark, &kit_err));
    dynbi_apply(s->db, &s->db->ops[0], s->db->frame.bytes, s->db->log.tail.lsn + 1);
    s->db->op_count = 0;
}

static void test_scrub(void)
{
    static const char *const keys[] = {"\0", "a00001\0\0", "zzz"};
    static const char differs[] = "table Leaf: the live state differs from the one rebuilt from "
                                  "snapshot and log";
    store s;
    int i;
    for (i = 0; i < 4; ++i) {
        make_trees(&s);
        EXPECT(dynb_scrub(s.db, &kit_err), DYNB_OK);
        if (i < 3) /* one more item: first, in the middle, last */
            change_memory(&s, table_of(&s, "Leaf"), i ? keys[i] : "A", "\1\0");
        else { /* one less */
            dynb_builder b;
            memset(&b, 0, sizeof b);
            s.db->key.used_bytes = 0;
            MUST(dynbi_item_encode(s.db, table_of(&s, "Leaf"), kit_item(&b, "a00002", -1), 1,
                                   &kit_err));
            CHECK(dynbi_buffer_append(&s.db->key, "", 1));
            {
                char key[64];
                dynbi_change change;
                dynbi_log_mark mark = s.db->log.tail;
                size_t size = s.db->key.used_bytes - 1;
                memcpy(key, s.db->key.bytes, size);
                memset(&change, 0, sizeof change);
                change.key = (const uint8_t *)key;
                change.key_size = (uint32_t)size;
                change.is_tombstone = 1;
                MUST(dynbi_change_begin(s.db, &kit_err));
                MUST(dynbi_change_add(s.db, table_of(&s, "Leaf"), 0, &change, &kit_err));
                MUST(dynbi_change_reserve(s.db, &mark, &kit_err));
                dynbi_apply(s.db, &s.db->ops[0], s.db->frame.bytes, s.db->log.tail.lsn + 1);
                s.db->op_count = 0;
            }
            dynb_builder_free(&b);
        }
        EXPECT_MESSAGE(dynb_scrub(s.db, &kit_err), DYNB_CORRUPT, differs);
        drop_trees(&s);
    }
    make_trees(&s);
    change_memory(&s, &s.db->catalog, "Tzzz", "\0\0");
    EXPECT_ABOUT(dynb_scrub(s.db, &kit_err), DYNB_CORRUPT, "table of the catalog: the live state");
    drop_trees(&s);
    make_trees(&s);
    --s.db->live_count;
    EXPECT_MESSAGE(dynb_scrub(s.db, &kit_err), DYNB_CORRUPT,
                   "there are 1 tables, but 2 in the rebuilt state");
    ++s.db->live_count;
    s.device.plan_mode = FAULT_FROM; /* a device that does not read */
    s.device.plan_call = s.device.call_count + 1;
    EXPECT(dynb_scrub(s.db, &kit_err), DYNB_IO_FAILED);
    s.device.plan_call = 0;
    store_end(&s);
}

/* -------------------------------------------------------- looking inside -- */

typedef struct visits {
    uint32_t count;
    uint32_t stop_at;
    uint64_t changes;
} visits;

static int visit_record(void *ctx, const dynb_log_record *record)
{
    visits *v = (visits *)ctx;
    v->changes += record->change_count;
    return ++v->count == v->stop_at;
}

static int visit_node(void *ctx, const dynb_node_info *node)
{
    visits *v = (visits *)ctx;
    CHECK(node->page >= 2 && node->page_count >= 1);
    return ++v->count == v->stop_at;
}

static void test_inspect(void)
{
    store s;
    visits all, some;
    char arn[DYNB_ARN_MAX + 1];
    dynbi_table *table;
    uint32_t i;
    make_runs(&s);
    memset(&all, 0, sizeof all);
    EXPECT(dynb_inspect_log(s.db, visit_record, &all, &kit_err), DYNB_OK);
    CHECK(all.count > 3 && all.changes > 3);
    memset(&some, 0, sizeof some);
    some.stop_at = 2;
    EXPECT(dynb_inspect_log(s.db, visit_record, &some, &kit_err), DYNB_OK);
    CHECK_INT(some.count, 2);
    memset(&all, 0, sizeof all);
    EXPECT(dynb_inspect_nodes(s.db, "Table", visit_node, &all, &kit_err), DYNB_OK);
    for (i = 1; i <= all.count; ++i) { /* the visitor may stop anywhere */
        memset(&some, 0, sizeof some);
        some.stop_at = i;
        EXPECT(dynb_inspect_nodes(s.db, "Table", visit_node, &some, &kit_err), DYNB_OK);
        CHECK_INT(some.count, i);
    }
    EXPECT(dynb_inspect_nodes(s.db, "Nobody", visit_node, &some, &kit_err), DYNB_TABLE_NOT_FOUND);
    EXPECT(dynb_inspect_nodes(s.db, "arn/backup/", visit_node, &some, &kit_err), DYNB_VALIDATION);
    fill(&s, "Table", 'c', 1, 1, 1);
    back_up(&s, "Table", arn);
    EXPECT(dynb_inspect_nodes(s.db, arn, visit_node, &some, &kit_err), DYNB_BACKUP_IN_USE);
    MUST(dynb_wait_idle(s.db, &kit_err));
    memset(&some, 0, sizeof some);
    EXPECT(dynb_inspect_nodes(s.db, arn, visit_node, &some, &kit_err), DYNB_OK);
    CHECK(some.count > 0);
    MUST(dynb_delete_backup(s.db, arn, NULL, NULL, &kit_err));
    EXPECT(dynb_inspect_nodes(s.db, arn, visit_node, &some, &kit_err), DYNB_BACKUP_NOT_FOUND);

    table = table_of(&s, "Table");
    s.db->memory.budget_bytes = s.db->memory.used_bytes;
    EXPECT(dynb_inspect_nodes(s.db, "Table", visit_node, &some, &kit_err), DYNB_NO_MEMORY);
    s.db->memory.budget_bytes = 1 << 20;
    i = table->sets[0].run[0].root.level;
    table->sets[0].run[0].root.level = DYNBI_LEVELS;
    EXPECT(dynb_inspect_nodes(s.db, "Table", visit_node, &some, &kit_err), DYNB_CORRUPT);
    table->sets[0].run[0].root.level = i;
    i = table->sets[0].run[0].root.page;
    table->sets[0].run[0].root.page = 0; /* a run of nothing */
    memset(&some, 0, sizeof some);
    EXPECT(dynb_inspect_nodes(s.db, "Table", visit_node, &some, &kit_err), DYNB_OK);
    table->sets[0].run[0].root.page = i;
    damage_page(&s, i);
    EXPECT(dynb_inspect_nodes(s.db, "Table", visit_node, &some, &kit_err), DYNB_CORRUPT);
    store_end(&s);
}

/* Three tables in one request, each with other items: what is told of each. */
static void test_told(void)
{
    static const char *const names[3] = {"One", "Two", "Three"};
    dynb_backup_description about[3];
    store s;
    uint32_t i;
    store_begin(&s);
    store_open(&s);
    for (i = 0; i < 3; ++i) {
        MUST(kit_create_table(s.db, names[i], NULL));
        fill(&s, names[i], 'a', 3 - i, 1, 10);
    }
    MUST(dynb_wait_idle(s.db, &kit_err)); /* what is counted are the runs */
    MUST(dynb_create_backups(s.db, names, 3, "told", about, &s.result, &kit_err));
    for (i = 0; i < 3; ++i) {
        CHECK_TEXT(about[i].source.table_name, names[i]);
        CHECK_INT(about[i].source.item_count, 3 - i);
        check_told(&s, &about[i]);
    }
    store_end(&s);
}

int main(void)
{
    test_early_end();
    test_no_early_end();
    test_early_end_memory();
    test_relief_by_fewer_runs();
    test_overtaken();
    test_delete_while_working();
    test_damage();
    test_check();
    test_scrub();
    test_inspect();
    test_told();
    return check_report("unit_backup");
}
