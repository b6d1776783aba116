/* test_index.c - secondary indexes: what the contract says of them, and random
 * tables whose indexes are judged by their items (indexes.h).
 *
 * Sections of contract.md are cited at each case. */
#include "store.h"

#include "indexes.h"

#define ARN "arn:aws:dynamodb:us-east-1:123456789012:table/"

static void set_key(dynb_key_attribute *key, const char *name, dynb_type type)
{
    key->name = name;
    key->type = type;
}

static dynb_index make_index(const char *name, const char *partition, dynb_type partition_type,
                             const char *sort, dynb_type sort_type)
{
    dynb_index index;
    memset(&index, 0, sizeof index);
    index.index_name = name;
    set_key(&index.partition_key, partition, partition_type);
    set_key(&index.sort_key, sort, sort_type);
    return index;
}

static void begin_input(dynb_create_table_input *input, const char *name)
{
    memset(input, 0, sizeof *input);
    input->table_name = name;
    set_key(&input->partition_key, "Id", DYNB_S);
    set_key(&input->sort_key, "Sort", DYNB_N);
}

static dynb_rc put_json(store *s, const char *table, const char *json)
{
    dynb_builder builder;
    dynb_rc rc;
    memset(&builder, 0, sizeof builder);
    rc = dynb_put_item(s->db, table, kit_json(&builder, json), NULL, NULL, NULL, &kit_err);
    dynb_builder_free(&builder);
    return rc;
}

static dynb_table_description about_table(store *s, const char *table)
{
    dynb_table_description about;
    MUST(dynb_describe_table(s->db, table, &about, &s->result, &kit_err));
    return about;
}

static uint32_t count_in(store *s, const char *table, const char *index)
{
    dynb_item *items;
    uint32_t count;
    MUST(index_read_all(s->db, table, index, 3, &items, &count));
    index_free_all(items, count);
    return count;
}

static void compare_indexes(store *s, const char *table, int idle, const char *file, int line)
{
    check_random random;
    int same;
    random.state = (uint64_t)line;
    same = index_compare(s->db, table, idle, &random);
    if (!same)
        printf("%s:%d: %s\n", file, line, model_difference);
    check_note(same, file, line, "the indexes are what the items say");
}

#define COMPARE(s, table, idle) compare_indexes(s, table, idle, __FILE__, __LINE__)

/* ---------------------------------------------------------- by hand -- */

static void test_create_and_describe(void)
{
    static const char *const included[] = {"color", "size"};
    dynb_index globals[3], locals[1];
    dynb_create_table_input input;
    dynb_table_description about;
    store s;
    store_begin(&s);
    store_open(&s);
    begin_input(&input, "Things");
    globals[0] = make_index("by-owner", "owner", DYNB_S, "age", DYNB_N);
    globals[1] = make_index("by-tag", "tag", DYNB_B, NULL, DYNB_TYPE_NONE);
    globals[1].projection = DYNB_PROJECT_KEYS_ONLY;
    globals[2] = make_index("turned", "Sort", DYNB_N, "Id", DYNB_S);
    globals[2].projection = DYNB_PROJECT_INCLUDE;
    globals[2].non_key_attributes = included;
    globals[2].non_key_attribute_count = 2;
    locals[0] = make_index("by-age", "Id", DYNB_S, "age", DYNB_N);
    input.global_indexes = globals;
    input.global_index_count = 3;
    input.local_indexes = locals;
    input.local_index_count = 1;
    MUST(dynb_create_table(s.db, &input, &about, &s.result, &kit_err));
    /* contract 2.4: index ARN; A.3 GlobalSecondaryIndexDescription */
    CHECK_INT(about.global_index_count, 3);
    CHECK_INT(about.local_index_count, 1);
    CHECK_TEXT(about.global_indexes[0].index_arn, ARN "Things/index/by-owner");
    CHECK_TEXT(about.local_indexes[0].index.index_name, "by-age");
    store_reopen(&s);
    about = about_table(&s, "Things");
    CHECK_INT(about.global_index_count, 3);
    CHECK_TEXT(about.global_indexes[2].index.index_name, "turned");
    CHECK_INT(about.global_indexes[2].index.non_key_attribute_count, 2);
    CHECK_TEXT(about.global_indexes[2].index.non_key_attributes[1], "size");
    CHECK_INT(about.global_indexes[1].index.projection, DYNB_PROJECT_KEYS_ONLY);
    CHECK_INT(about.global_indexes[0].status, DYNB_INDEX_ACTIVE);
    CHECK_INT(about.global_indexes[0].backfilling, 0);
    CHECK_TEXT(about.global_indexes[0].index.sort_key.name, "age");
    MUST(put_json(&s, "Things", "{'Id':{'S':'a'},'Sort':{'N':'1'},'owner':{'S':'eve'},"
                                "'age':{'N':'7'},'color':{'S':'red'},'x':{'S':'y'}}"));
    MUST(put_json(&s, "Things", "{'Id':{'S':'b'},'Sort':{'N':'2'},'owner':{'S':'eve'},"
                                "'tag':{'B':'AAH/'},'x':{'S':'y'}}"));
    CHECK_INT(count_in(&s, "Things", "by-owner"), 1); /* sparse: b has no age */
    CHECK_INT(count_in(&s, "Things", "by-tag"), 1);
    CHECK_INT(count_in(&s, "Things", "turned"), 2);
    CHECK_INT(count_in(&s, "Things", "by-age"), 1);
    COMPARE(&s, "Things", 0);
    MUST(put_json(&s, "Things", "{'Id':{'S':'a'},'Sort':{'N':'1'},'owner':{'S':'bob'},"
                                "'age':{'N':'8'}}"));
    CHECK_INT(count_in(&s, "Things", "by-owner"), 1); /* it moved */
    COMPARE(&s, "Things", 0);
    MUST(dynb_wait_idle(s.db, &kit_err));
    COMPARE(&s, "Things", 1);
    store_end(&s);
}

/* ------------------------------------------------------------ random -- */

typedef struct random_setting {
    const char *name;
    uint64_t memory_bytes;
    uint32_t page_bytes;
    int manual_work;
    uint32_t keys, pad;
    uint32_t steps;
    uint32_t globals, locals; /* how many of the indexes */
} random_setting;

static const random_setting random_settings[] = {
    {"64 KiB, one index", 65536, 512, 1, 40, 30, 6000, 1, 0},
    {"64 KiB, one local index", 65536, 512, 0, 40, 30, 6000, 0, 1},
    {"160 KiB", 163840, 512, 1, 60, 30, 6000, 4, 2},
    {"1 MiB", 1 << 20, 512, 0, 150, 120, 5000, 4, 2},
    {"defaults", 0, 0, 0, 500, 200, 5000, 3, 1},
};

typedef struct random_run {
    store s;
    const random_setting *set;
    check_random random;
    dynb_builder builder;
    char arns[4][DYNB_ARN_MAX + 1];
    uint32_t arn_count;
    int has_online; /* the index "online" is there, or on its way */
    const char *did;
} random_run;

static uint32_t below(random_run *r, uint32_t limit)
{
    return (uint32_t)check_below(&r->random, limit);
}

static void add_text(random_run *r, const char *name, uint32_t limit)
{
    char text[64];
    uint32_t pick = below(r, limit);
    size_t length = (size_t)snprintf(text, sizeof text, "%s%u", name, (unsigned)pick);
    if (pick % 5 == 0) { /* zero bytes inside keys */
        text[1] = 0;
        length = 2 + pick % 3;
    }
    dynb_add_string(&r->builder, name, text, length);
}

static void add_number(random_run *r, const char *name, uint32_t limit)
{
    char text[64];
    uint32_t pick = below(r, limit);
    snprintf(text, sizeof text, pick % 3 ? "%s%u" : "%s%u.5", pick % 2 ? "-" : "",
             (unsigned)pick);
    dynb_add_number(&r->builder, name, text, (size_t)-1);
}

static dynb_item make_item(random_run *r, int is_key)
{
    static const char pad[] = "0123456789012345678901234567890123456789"
                              "0123456789012345678901234567890123456789";
    dynb_builder_begin(&r->builder);
    add_text(r, "Id", r->set->keys / 4 + 2);
    add_number(r, "Sort", 12);
    if (is_key)
        return kit_finish(&r->builder);
    if (below(r, 4))
        add_text(r, "owner", 12);
    if (below(r, 3))
        add_number(r, "age", 20);
    if (below(r, 2))
        dynb_add_binary(&r->builder, "tag", &"\0\377\0\1x"[below(r, 3)], 1 + below(r, 2));
    if (below(r, 2))
        add_text(r, "color", 6);
    if (below(r, 3) == 0) /* an index on it is added later: some do not fit */
        add_number(r, "late", 30);
    else if (!r->has_online && below(r, 3) == 0)
        add_text(r, "late", 30);
    dynb_add_string(&r->builder, "pad", pad, below(r, r->set->pad < 80 ? r->set->pad : 80));
    return kit_finish(&r->builder);
}

static void make_random_table(random_run *r)
{
    static const char *const included[] = {"color", "nothing"};
    dynb_index globals[4], locals[2];
    dynb_create_table_input input;
    begin_input(&input, "Things");
    globals[0] = make_index("by-owner", "owner", DYNB_S, "age", DYNB_N);
    globals[1] = make_index("by-tag", "tag", DYNB_B, NULL, DYNB_TYPE_NONE);
    globals[1].projection = DYNB_PROJECT_KEYS_ONLY;
    globals[2] = make_index("turned", "Sort", DYNB_N, "Id", DYNB_S);
    globals[2].projection = DYNB_PROJECT_INCLUDE;
    globals[2].non_key_attributes = included;
    globals[2].non_key_attribute_count = 2;
    globals[3] = make_index("by-age", "age", DYNB_N, "owner", DYNB_S);
    globals[3].projection = DYNB_PROJECT_KEYS_ONLY;
    locals[0] = make_index("local-age", "Id", DYNB_S, "age", DYNB_N);
    locals[1] = make_index("local-tag", "Id", DYNB_S, "tag", DYNB_B);
    locals[1].projection = DYNB_PROJECT_INCLUDE;
    locals[1].non_key_attributes = included;
    locals[1].non_key_attribute_count = 1;
    input.global_indexes = r->set->globals ? globals : NULL;
    input.global_index_count = r->set->globals;
    input.local_indexes = r->set->locals ? locals : NULL;
    input.local_index_count = r->set->locals;
    MUST(dynb_create_table(r->s.db, &input, NULL, NULL, &kit_err));
}

static void random_batch(random_run *r)
{
    dynb_write writes[5];
    dynb_item items[5];
    uint32_t i, count = 1 + below(r, 5);
    for (i = 0; i < count; ++i) {
        writes[i].table = "Things";
        writes[i].is_delete = below(r, 3) == 0;
        items[i] = index_copy(make_item(r, writes[i].is_delete));
        writes[i].item = items[i];
    }
    if (dynb_batch_write(r->s.db, writes, count, NULL, &kit_err) != DYNB_OK)
        CHECK_TEXT(kit_err.message, "Provided list of item keys contains duplicates");
    for (i = 0; i < count; ++i)
        free((void *)(uintptr_t)items[i].bytes);
}

/* Adds the index "online", or removes it. */
static void random_online(random_run *r)
{
    dynb_index_update update;
    dynb_update_table_input input;
    memset(&input, 0, sizeof input);
    memset(&update, 0, sizeof update);
    input.table = "Things";
    input.change = DYNB_CHANGE_INDEXES;
    input.index_updates = &update;
    input.index_update_count = 1;
    update.action = r->has_online ? DYNB_DELETE_INDEX : DYNB_CREATE_INDEX;
    update.index = make_index("online", "late", DYNB_N, below(r, 2) ? "Id" : NULL, DYNB_S);
    update.index.projection = below(r, 2) ? DYNB_PROJECT_ALL : DYNB_PROJECT_KEYS_ONLY;
    if (dynb_update_table(r->s.db, &input, NULL, NULL, &kit_err) == DYNB_OK)
        r->has_online = !r->has_online;
    else
        CHECK(kit_err.code == DYNB_LIMIT_EXCEEDED || kit_err.code == DYNB_INVALID_ARGUMENT);
}

static int same_indexes(random_run *r, const char *table, int idle)
{
    if (index_compare(r->s.db, table, idle, &r->random))
        return 1;
    printf("    %s after %s: %s\n", r->set->name, r->did, model_difference);
    return 0;
}

static int random_restore(random_run *r)
{
    char *arn = r->arns[below(r, r->arn_count)];
    dynb_backup_description about;
    int same;
    r->did = "restore";
    MUST(dynb_describe_backup(r->s.db, arn, &about, &r->s.result, &kit_err));
    if (about.status != DYNB_BACKUP_AVAILABLE)
        return 1;
    MUST(kit_restore(r->s.db, arn, "Back"));
    same = same_indexes(r, "Back", 0);
    if (same && below(r, 3) == 0) {
        MUST(dynb_wait_idle(r->s.db, &kit_err));
        same = same_indexes(r, "Back", 1);
    }
    MUST(dynb_delete_table(r->s.db, "Back", NULL, NULL, &kit_err));
    return same;
}

static void random_backup(random_run *r)
{
    r->did = "backup";
    if (r->arn_count == 4) {
        dynb_rc rc = dynb_delete_backup(r->s.db, r->arns[3], NULL, NULL, &kit_err);
        CHECK(rc == DYNB_OK || rc == DYNB_BACKUP_IN_USE);
        if (rc != DYNB_OK)
            return;
        --r->arn_count;
    }
    back_up(&r->s, "Things", r->arns[r->arn_count++]);
}

static int random_step(random_run *r)
{
    uint32_t dice = below(r, 1000);
    int pending;
    if (r->set->manual_work && below(r, 4) == 0)
        MUST(dynb_work(r->s.db, 3000, &pending, &kit_err));
    r->did = "writes";
    if (dice < 640)
        MUST(dynb_put_item(r->s.db, "Things", make_item(r, 0), NULL, NULL, NULL, &kit_err));
    else if (dice < 800)
        MUST(dynb_delete_item(r->s.db, "Things", make_item(r, 1), NULL, NULL, NULL, &kit_err));
    else if (dice < 960)
        random_batch(r);
    else if (dice < 966)
        random_backup(r);
    else if (dice < 970 && r->arn_count)
        return random_restore(r);
    else if (dice < 976)
        random_online(r);
    else if (dice < 980)
        store_crash(&r->s);
    else if (dice < 983)
        store_reopen(&r->s);
    else if (dice < 986)
        return same_indexes(r, "Things", 0);
    else if (dice < 988) {
        r->did = "wait";
        MUST(dynb_wait_idle(r->s.db, &kit_err));
        return same_indexes(r, "Things", 1);
    }
    return 1;
}

static void run_random(const random_setting *set, uint64_t seed)
{
    static random_run r;
    uint64_t steps = check_scaled(set->steps), step;
    int same = 1;
    memset(&r, 0, sizeof r);
    store_begin(&r.s);
    r.set = set;
    r.random.state = seed;
    r.s.config.memory_bytes = set->memory_bytes;
    r.s.config.page_size_bytes = set->page_bytes;
    r.s.config.manual_work = set->manual_work;
    store_open(&r.s);
    make_random_table(&r);
    for (step = 0; same && step < steps; ++step)
        same = random_step(&r);
    if (same) {
        r.did = "the end";
        MUST(dynb_wait_idle(r.s.db, &kit_err));
        same = same_indexes(&r, "Things", 1);
    }
    if (!same)
        printf("    %s: SEED=%llu, step %llu\n", set->name, (unsigned long long)seed,
               (unsigned long long)step);
    CHECK(same);
    EXPECT(dynb_check(r.s.db, NULL, NULL, NULL, &kit_err), DYNB_OK);
    EXPECT(dynb_scrub(r.s.db, &kit_err), DYNB_OK);
    dynb_builder_free(&r.builder);
    store_end(&r.s);
}

int main(void)
{
    uint64_t seed = check_seed("test_index");
    uint32_t i;
    test_create_and_describe();
    for (i = 0; i < sizeof random_settings / sizeof *random_settings; ++i)
        run_random(&random_settings[i], seed + i);
    return check_report("test_index");
}
