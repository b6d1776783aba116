/* test_crash.c - power cuts at every call to the device.
 *
 * Short random histories (and a few long ones, which come to use pages again
 * and again) run on the fault device (fault.h). Just before each sync, and just
 * after each write, the hook visits the crash images of that moment; each is
 * opened as a store of its own and must hold the model's state after a whole
 * prefix of the history:
 *
 *     last change acknowledged as durable <= prefix <= last change begun
 *
 * (for an image that loses nothing, a killed process, changes handed to the
 * operating system count as durable). One image in a few is looked at deeper:
 * dynb_check; every backup, also one that was being created, is driven to
 * AVAILABLE, restored and compared with the model at its marker; tables with
 * point-in-time recovery are read and restored at some times, also with a clock
 * that has stepped back, and show what the model was then; opening it read-only
 * writes nothing; opening it twice gives the same contents. One in
 * many is recovered on a fault device again, written to, folded, and power is
 * cut at every call of that: a crash during recovery, and the revival of
 * records that the first crash had killed, would show there.
 *
 * Scale: SCALE=100 prints how many crash states it made. A failure prints the
 * history's seed, step, operation and image; SEED and ONLY (the setting) replay
 * it. */
#define DYNBACKUP_IMPLEMENTATION
#include "../dynbackup.h"

#include "history.h"

typedef struct setting {
    const char *name;
    uint64_t histories;
    uint32_t steps;
    uint32_t page_size_bytes, node_size_bytes, log_segment_bytes;
    uint64_t memory_bytes;
    int manual_work;
    dynb_durability durability;
    int mix_durability;
    uint32_t exhaustive_count, sample_count, single_count;
    uint32_t deep_one_in, twice_one_in;
    int with_indexes, with_recovery;
} setting;

static const setting settings[] = {
    {"every subset, synced, work by hand", 150, 40, 512, 512, 4096, 65536, 1, DYNB_SYNCED, 0, 12,
     256, 0, 30, 1500, 0, 0},
    {"mixed durability, work by hand", 340, 60, 512, 512, 4096, 65536, 1, DYNB_SYNCED, 1, 7, 40, 24,
     12, 1500, 0, 0},
    {"buffered, writes work", 340, 80, 512, 512, 4096, 65536, 0, DYNB_BUFFERED, 1, 7, 40, 24, 20,
     1500, 0, 0},
    {"page 1024, handed to the system", 210, 60, 1024, 2048, 0, 262144, 0, DYNB_TO_OS, 1, 6, 30, 16,
     12, 1500, 0, 0},
    {"long histories, few images of each moment", 24, 500, 512, 512, 4096, 65536, 0, DYNB_SYNCED, 1,
     3, 4, 4, 20, 1500, 0, 0},
    {"page 4096", 100, 50, 4096, 4096, 0, 262144, 1, DYNB_SYNCED, 1, 6, 24, 16, 20, 1500,
     0, 0},
    {"indexes, work by hand", 140, 60, 512, 512, 4096, 131072, 1, DYNB_SYNCED, 1, 6, 30, 16, 12,
     1500, 1, 0},
    {"indexes, writes work", 100, 80, 512, 512, 4096, 131072, 0, DYNB_BUFFERED, 1, 6, 30, 16, 12,
     1500, 1, 0},
    {"indexes, long histories", 8, 500, 512, 512, 4096, 131072, 0, DYNB_SYNCED, 1, 3, 4, 4, 16,
     1500, 1, 0},
    {"recovery, work by hand", 90, 80, 512, 512, 4096, 131072, 1, DYNB_SYNCED, 1, 6, 30, 16, 12,
     1500, 0, 1},
    {"recovery and indexes, writes work", 30, 80, 512, 512, 4096, 131072, 0, DYNB_BUFFERED, 1, 6,
     30, 16, 12, 1500, 1, 1},
};

typedef struct crash {
    const setting *set;
    uint64_t seed, step;
    history h;
    fault_device device; /* the history's */
    fault_explorer explorer;
    uint64_t *lsn_after; /* of each change */
    uint64_t lsn_capacity;
    fault_device second;       /* where images are opened */
    fault_device twice, third; /* recovery with power cuts, and its images */
    fault_explorer inner;
    fault_allocator memory, judge_memory, twice_memory;
    kit_clock clock;
    check_random ids;
    uint64_t accept[8]; /* digests that an image of the second level may show */
    uint32_t accept_from, accept_count;
    uint64_t turn; /* which image gets a deeper look: follows from the seed alone */
    uint64_t deep_count, twice_count;
    int bad;
} crash;

static uint64_t state_total, inner_total, deep_total, twice_total, past_total;

static void fail(crash *c, const char *what, const char *image)
{
    if (!c->bad)
        printf("%s: SEED=%llu, step %llu, device call %llu: %s\n    %s\n    image: %s\n    %s\n"
               "    durable %llu, handed over %llu, begun %llu\n",
               c->set->name, (unsigned long long)c->seed, (unsigned long long)c->step,
               (unsigned long long)c->device.call_count, what, c->h.op, image, model_difference,
               (unsigned long long)c->h.acked_power, (unsigned long long)c->h.acked_process,
               (unsigned long long)c->h.issued);
    c->bad = 1;
    c->explorer.stop = c->inner.stop = 1;
}

static dynb_config make_config(crash *c, fault_allocator *memory, const dynb_device *device)
{
    dynb_config config;
    memset(&config, 0, sizeof config);
    config.device = device;
    config.allocator = fault_allocator_of(memory);
    config.clock_fn = kit_clock_now;
    config.clock_ctx = &c->clock;
    config.random_fn = kit_random64;
    config.random_ctx = &c->ids;
    config.memory_bytes = c->set->memory_bytes;
    config.page_size_bytes = c->set->page_size_bytes;
    config.node_size_bytes = c->set->node_size_bytes;
    config.log_segment_bytes = c->set->log_segment_bytes;
    config.manual_work = c->set->manual_work;
    config.durability = c->set->durability;
    config.create_backup_per_second = DYNB_UNLIMITED;
    return config;
}

/* Opens a store on the device and asks for its digest. On failure *db has been
 * closed. */
static int open_and_digest(crash *c, fault_device *device, int read_only, dynb **db,
                           uint64_t *digest)
{
    dynb_device callbacks = fault_device_of(device);
    dynb_config config = make_config(c, &c->judge_memory, &callbacks);
    config.read_only = read_only;
    if (dynb_open(db, NULL, &config, &kit_err) != DYNB_OK)
        return model_differs("open: %s: %s", kit_code_name(kit_err.code), kit_err.message);
    if (model_store_digest(*db, digest) == DYNB_OK)
        return 1;
    model_differs("read: %s: %s", kit_code_name(kit_err.code), kit_err.message);
    (void)dynb_close(*db, NULL);
    return 0;
}

static int close_judged(crash *c, dynb *db)
{
    if (dynb_close(db, &kit_err) != DYNB_OK)
        return model_differs("close: %s", kit_err.message);
    if (c->judge_memory.live_count || c->judge_memory.broken_count)
        return model_differs("%llu blocks not freed",
                             (unsigned long long)c->judge_memory.live_count);
    return 1;
}

/* ---------------------------------------------- a crash after a crash -- */

static void visit_inner(void *ctx, const fault_image *image)
{
    crash *c = (crash *)ctx;
    dynb *db;
    uint64_t digest;
    uint32_t i;
    fault_start(&c->third, image->bytes, image->size_bytes, 0);
    if (!open_and_digest(c, &c->third, 0, &db, &digest)) {
        if (kit_err.code != DYNB_NOT_A_STORE || image->grown != FAULT_GARBAGE ||
            c->twice.durable_bytes)
            fail(c, "the second crash left a store that cannot be used", image->what);
        return;
    }
    for (i = c->accept_from; i < c->accept_count && c->accept[i] != digest; ++i)
        continue;
    if (i == c->accept_count) {
        model_differs("not among the states %u..%u after the first crash", c->accept_from,
                      c->accept_count - 1);
        fail(c, "the second crash lost or invented changes", image->what);
    } else if (image->hash % 16 == 0 && dynb_check(db, NULL, NULL, NULL, &kit_err) != DYNB_OK) {
        model_differs("check: %s", kit_err.message);
        fail(c, "after the second crash", image->what);
    }
    if (!close_judged(c, db))
        fail(c, "after the second crash", image->what);
}

static void hook_inner(void *ctx, fault_device *device, fault_kind kind)
{
    crash *c = (crash *)ctx;
    (void)kind;
    c->inner.salt = c->accept_from * 0x9e3779b97f4a7c15u;
    fault_explore(&c->inner, device);
}

/* The digest once there is a table "deep" whose items have this hash sum. */
static uint64_t with_deep(uint64_t digest, uint64_t items_hash)
{
    return digest + model_named("deep", "", model_contents(items_hash, "Id", ""));
}

/* Recovers the image on a fault device, writes, folds and closes. */
static dynb_rc use_recovered(crash *c, uint64_t digest)
{
    dynb_device callbacks = fault_device_of(&c->twice);
    dynb_config config = make_config(c, &c->twice_memory, &callbacks);
    dynb_builder builder;
    dynb_item item;
    dynb *db = NULL;
    uint64_t sum = 0;
    uint32_t i;
    dynb_rc rc;
    memset(&builder, 0, sizeof builder);
    config.durability = DYNB_SYNCED;
    c->accept[0] = digest;
    c->accept[1] = with_deep(digest, 0);
    c->accept_from = 0;
    c->accept_count = 1;
    rc = dynb_open(&db, NULL, &config, &kit_err);
    if (rc != DYNB_OK)
        return rc;
    c->accept_count = 2;
    rc = kit_create_table(db, "deep", NULL);
    for (i = 2; rc == DYNB_OK && i < 4; ++i) {
        item = kit_padded_item(&builder, i == 2 ? "a" : "b", (int64_t)i, 30);
        sum += model_hash(item.bytes, item.size_bytes);
        c->accept[i] = with_deep(digest, sum);
        c->accept_from = i - 1;
        c->accept_count = i + 1;
        rc = dynb_put_item(db, "deep", item, NULL, NULL, NULL, &kit_err);
    }
    c->accept_from = rc == DYNB_OK ? 3 : c->accept_from;
    if (rc == DYNB_OK)
        rc = dynb_wait_idle(db, &kit_err);
    dynb_builder_free(&builder);
    if (rc == DYNB_OK)
        return dynb_close(db, &kit_err);
    (void)dynb_close(db, NULL);
    return rc;
}

static void crash_twice(crash *c, const fault_image *image, uint64_t digest)
{
    ++c->twice_count;
    c->twice.track = 1;
    fault_start(&c->twice, image->bytes, image->size_bytes, 0);
    c->twice.hook_fn = hook_inner;
    c->twice.hook_ctx = c;
    c->inner.exhaustive_count = c->set->exhaustive_count > 8 ? 8 : 6;
    c->inner.sample_count = 24;
    c->inner.single_count = 16;
    c->inner.random.state = image->hash;
    c->inner.visit_fn = visit_inner;
    c->inner.visit_ctx = c;
    fault_forget_seen(&c->inner.seen);
    if (use_recovered(c, digest) != DYNB_OK && !c->bad) {
        model_differs("%s", kit_err.message);
        fail(c, "work after recovery", image->what);
    }
    if (c->twice_memory.live_count && !c->bad) {
        model_differs("blocks not freed");
        fail(c, "work after recovery", image->what);
    }
    inner_total += c->inner.state_count;
    c->inner.state_count = 0;
}

/* ------------------------------------------------------------- a crash -- */

/* Opened read-only it shows the same, and nothing is written. */
static int look_only(crash *c, const fault_image *image, uint64_t digest)
{
    dynb *db;
    uint64_t again;
    fault_start(&c->second, image->bytes, image->size_bytes, 0);
    if (!open_and_digest(c, &c->second, 1, &db, &again)) /* perhaps it is not yet a store */
        return kit_err.code == DYNB_NOT_A_STORE && c->h.acked_power == 0 &&
               digest == c->h.digests[0];
    if (!close_judged(c, db))
        return 0;
    if (again != digest || c->second.kind_count[FAULT_WRITE] || c->second.kind_count[FAULT_RESIZE])
        return model_differs("opened read-only: it shows another state, or wrote");
    return 1;
}

/* Everything about one image, which shows a state from `from` on. */
static int look_deeper(crash *c, const fault_image *image, uint64_t digest, uint64_t from)
{
    dynb *db;
    check_random judge_random;
    uint64_t again;
    int same = 1;
    judge_random.state = c->turn;
    ++c->deep_count;
    if (c->set->with_recovery && c->deep_count % 2)
        c->clock.now_ms = 1; /* it steps back; the hook puts it right again */
    if (!look_only(c, image, digest))
        return 0;
    fault_start(&c->second, image->bytes, image->size_bytes, 0);
    if (!open_and_digest(c, &c->second, 0, &db, &again))
        return 0;
    if (dynb_check(db, NULL, NULL, NULL, &kit_err) != DYNB_OK)
        same = model_differs("check: %s", kit_err.message);
    else if (c->set->with_recovery &&
             history_judge_past(&c->h, db, digest, from, 3, &same) != DYNB_OK)
        same = model_differs("the past: %s", kit_err.message);
    else if (same && history_judge_backups(&c->h, db, &same) != DYNB_OK)
        same = model_differs("backups: %s", kit_err.message);
    else if (model_store_digest(db, &again) != DYNB_OK || again != digest)
        same = same && model_differs("another state after the backups were restored");
    else if (c->h.with_indexes && same)
        same = index_compare_all(db, 1, &judge_random);
    if (!close_judged(c, db) || !same)
        return 0;
    if (!open_and_digest(c, &c->second, 0, &db, &again))
        return 0;
    if (again != digest)
        same = model_differs("another state when opened again");
    else if (dynb_check(db, NULL, NULL, NULL, &kit_err) != DYNB_OK)
        same = model_differs("second check: %s", kit_err.message);
    else if (c->set->with_recovery &&
             history_judge_past(&c->h, db, digest, from, 2, &same) != DYNB_OK)
        same = model_differs("the past, opened again: %s", kit_err.message);
    else if (dynb_scrub(db, &kit_err) != DYNB_OK)
        same = model_differs("scrub: %s", kit_err.message);
    return close_judged(c, db) && same;
}

static void visit(void *ctx, const fault_image *image)
{
    crash *c = (crash *)ctx;
    uint64_t from = image->is_all ? c->h.acked_process : c->h.acked_power, digest;
    dynb *db;
    if (from < c->h.acked_power)
        from = c->h.acked_power;
    fault_start(&c->second, image->bytes, image->size_bytes, 0);
    if (!open_and_digest(c, &c->second, 0, &db, &digest)) {
        /* before the first sync nothing tells our garbage from a stranger's */
        if (kit_err.code != DYNB_NOT_A_STORE || image->grown != FAULT_GARBAGE ||
            c->device.durable_bytes)
            fail(c, "the store cannot be used", image->what);
        return;
    }
    if (history_prefix(&c->h, digest, from, c->h.issued) == HISTORY_NEVER) {
        uint64_t other = history_prefix(&c->h, digest, 0, c->h.issued);
        if (other == HISTORY_NEVER)
            model_differs("the state after no prefix of the history");
        else
            model_differs("the state after change %llu", (unsigned long long)other);
        fail(c, "changes lost or invented", image->what);
    }
    if (!close_judged(c, db))
        fail(c, "closing", image->what);
    ++c->turn;
    if (!c->bad && c->turn % c->set->deep_one_in == 0 && !look_deeper(c, image, digest, from))
        fail(c, "recovered, but", image->what);
    if (!c->bad && c->turn % c->set->twice_one_in == c->set->twice_one_in / 2)
        crash_twice(c, image, digest);
}

static void hook(void *ctx, fault_device *device, fault_kind kind)
{
    crash *c = (crash *)ctx;
    dynb_error saved = kit_err;
    const uint64_t now_ms = c->clock.now_ms;
    (void)kind;
    c->explorer.salt = (c->h.acked_power * 0x9e3779b97f4a7c15u) ^ (c->h.acked_process << 40);
    fault_explore(&c->explorer, device);
    kit_err = saved;
    if (c->set->with_recovery)
        c->clock.now_ms = now_ms;
}

/* What the store itself says to be durable must be, too. */
static int note_durable(crash *c)
{
    dynb_stat stat;
    if (dynb_get_stat(c->h.db, &stat, &kit_err) != DYNB_OK)
        return model_differs("stat: %s", kit_err.message);
    if (c->h.issued >= c->lsn_capacity) {
        c->lsn_capacity = 2 * c->h.issued + 64;
        c->lsn_after = (uint64_t *)fault_memory(c->lsn_after,
                                                (size_t)c->lsn_capacity * sizeof *c->lsn_after);
    }
    c->lsn_after[c->h.issued] = stat.lsn;
    while (c->h.acked_power < c->h.issued &&
           c->lsn_after[c->h.acked_power + 1] <= stat.durable_lsn)
        ++c->h.acked_power;
    return 1;
}

static int reopen(crash *c, dynb_config *config)
{
    HISTORY_OP(&c->h, "reopen");
    if (dynb_close(c->h.db, &kit_err) != DYNB_OK)
        return model_differs("close: %s", kit_err.message);
    c->h.acked_power = c->h.acked_process = c->h.issued;
    c->h.db = NULL;
    c->device.failed_write = 0;
    if (dynb_open(&c->h.db, NULL, config, &kit_err) != DYNB_OK)
        return model_differs("open: %s", kit_err.message);
    return 1;
}

static int step(crash *c, dynb_config *config)
{
    uint32_t dice = history_below(&c->h, 100);
    uint64_t issued = c->h.issued;
    int same = 1;
    if (dice < 3)
        return reopen(c, config);
    if (dice < 8) {
        HISTORY_OP(&c->h, "sync");
        if (dynb_sync(c->h.db, &kit_err) != DYNB_OK)
            return model_differs("sync: %s", kit_err.message);
        c->h.acked_power = c->h.acked_process = c->h.issued;
    } else if (dice < 30) {
        uint64_t budget = 1 + history_below(&c->h, 3000);
        HISTORY_OP(&c->h, "work for %u bytes", (unsigned)budget);
        if (dynb_work(c->h.db, budget, NULL, &kit_err) != DYNB_OK)
            return model_differs("work: %s", kit_err.message);
    } else {
        same = history_change(&c->h);
    }
    if (same && issued + 1 >= c->h.issued)
        same = note_durable(c);
    return same;
}

static void begin(crash *c, const setting *set, uint64_t seed)
{
    memset(c, 0, sizeof *c);
    c->set = set;
    c->seed = seed;
    c->turn = seed * 2654435761u % 100000;
    c->clock.now_ms = 1700000000000u;
    c->clock.step_ms = set->with_recovery ? 0 : 1;
    c->ids.state = seed;
    c->h.durability = set->durability;
    c->h.mix_durability = set->mix_durability;
    c->h.table_max = 3;
    c->h.backup_max = 4;
    c->h.partition_count = 6;
    c->h.sort_count = 4;
    c->h.pad_max_bytes = 80;
    c->h.with_indexes = set->with_indexes;
    c->h.with_recovery = set->with_recovery;
    c->h.clock = &c->clock;
    c->device.track = 1;
    fault_start(&c->device, NULL, 0, 0);
    c->device.hook_fn = hook;
    c->device.hook_ctx = c;
    c->explorer.exhaustive_count = set->exhaustive_count;
    c->explorer.sample_count = set->sample_count;
    c->explorer.single_count = set->single_count;
    c->explorer.random.state = seed * 3;
    c->explorer.visit_fn = visit;
    c->explorer.visit_ctx = c;
}

static void end(crash *c)
{
    state_total += c->explorer.state_count;
    deep_total += c->deep_count;
    twice_total += c->twice_count;
    past_total += c->h.answers[1];
    history_free(&c->h);
    fault_free(&c->device);
    fault_free(&c->second);
    fault_free(&c->twice);
    fault_free(&c->third);
    fault_explorer_free(&c->explorer);
    fault_explorer_free(&c->inner);
    free(c->lsn_after);
}

static int run_history(const setting *set, uint64_t seed)
{
    static crash c;
    dynb_device callbacks;
    dynb_config config;
    int same;
    begin(&c, set, seed);
    history_begin(&c.h, NULL, seed); /* the hook looks at it while the store is created */
    callbacks = fault_device_of(&c.device);
    config = make_config(&c, &c.memory, &callbacks);
    same = dynb_open(&c.h.db, NULL, &config, &kit_err) == DYNB_OK ||
           model_differs("create: %s", kit_err.message);
    for (c.step = 0; same && !c.bad && c.step < set->steps; ++c.step)
        same = step(&c, &config);
    if (!same)
        fail(&c, "the history itself", "none");
    c.explorer.stop = c.bad;
    if (c.h.db && dynb_close(c.h.db, &kit_err) != DYNB_OK)
        fail(&c, "close", "none");
    dynb_result_free(&c.h.result); /* its memory came from the handle's allocator */
    if (c.memory.live_count || c.memory.broken_count || c.device.broken_promise_count)
        fail(&c, "leaks or broken promises", "none");
    same = !c.bad;
    CHECK(same);
    end(&c);
    return same;
}

/* Sizes, durability and ways of working that go together. */
static setting random_setting(uint64_t seed)
{
    check_random random;
    setting set = settings[1];
    random.state = seed;
    set.name = "random settings";
    set.histories = 60;
    set.steps = 30 + (uint32_t)check_below(&random, 100);
    set.page_size_bytes = 512u << check_below(&random, 4);
    set.node_size_bytes = set.page_size_bytes * (uint32_t)(1 + check_below(&random, 3));
    set.log_segment_bytes = 4096u << check_below(&random, 3);
    set.memory_bytes = CHECK_MEMORY_MIN + 100 * set.node_size_bytes;
    set.manual_work = (int)check_below(&random, 2);
    set.durability = (dynb_durability)check_below(&random, 3);
    set.mix_durability = (int)check_below(&random, 2);
    set.exhaustive_count = 5;
    set.sample_count = 16;
    set.single_count = 12;
    set.with_recovery = (int)check_below(&random, 2);
    return set;
}

/* Histories that found something once. */
static void run_found_before(void)
{
    static const struct {
        uint32_t setting;
        uint64_t seed;
    } found[] = {
        {2, 62006},  /* a backup that nothing finished after replay */
        {2, 229023}, /* both copies of the superblock torn by two crashes */
        {4, 14006},  /* work after recovery short of memory */
    };
    uint32_t i;
    for (i = 0; i < sizeof found / sizeof *found; ++i)
        (void)run_history(&settings[found[i].setting], found[i].seed);
}

int main(void)
{
    uint64_t seed = check_seed("test_crash"), only = check_env("ONLY", 0), n, states;
    const uint32_t count = sizeof settings / sizeof *settings;
    uint32_t i;
    for (i = 0; i <= count; ++i) {
        setting set = i < count ? settings[i] : random_setting(seed);
        if (only && only != i + 1)
            continue;
        states = state_total + inner_total;
        for (n = 0; n < check_scaled(set.histories); ++n) {
            if (!run_history(&set, seed + 1000 * n + i))
                break;
            if (i == count)
                set = random_setting(seed + 1000 * (n + 1));
        }
        printf("    %s: %llu histories, %llu crash states\n", set.name, (unsigned long long)n,
               (unsigned long long)(state_total + inner_total - states));
    }
    if (!only)
        run_found_before();
    printf("    %llu crash states: %llu of first crashes (%llu with all backups restored, %llu "
           "looks at a table's past), %llu of crashes after %llu recoveries\n",
           (unsigned long long)(state_total + inner_total), (unsigned long long)state_total,
           (unsigned long long)deep_total, (unsigned long long)past_total,
           (unsigned long long)inner_total, (unsigned long long)twice_total);
    return check_report("test_crash");
}
