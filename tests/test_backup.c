/* test_backup.c - backups and restores, told step by step.
 *
 * First the promise: while money moves between the accounts of three tables and
 * the engine works in steps of random size, each backup restores to exactly the
 * state at its marker, across all tables. Then the life of a backup, its ARN,
 * lists, errors with their messages (contract.md 1.1 to 1.5), what a restore
 * brings back and what not (2.2), space that comes back, the rate limit, and a
 * device that is full. */
#define DYNBACKUP_IMPLEMENTATION
#include "../dynbackup.h"

#include "kit_store.h"

#define ARN "arn:aws:dynamodb:us-east-1:123456789012:table/"
#define ID "/backup/01700000000000-0123abcd"

/* Every test ends so: the store is sound, and nothing of it is left. */
static void store_end(store *s)
{
    EXPECT(dynb_check(s->db, NULL, NULL, NULL, &kit_err), DYNB_OK);
    EXPECT(dynb_scrub(s->db, &kit_err), DYNB_OK);
    store_close(s);
    store_free(s);
}

/* Backs a table up; its ARN goes to arn. */
static dynb_rc back_up(store *s, const char *table, const char *name, char arn[DYNB_ARN_MAX + 1])
{
    dynb_backup_description about;
    dynb_rc rc = dynb_create_backup(s->db, table, name, &about, &s->result, &kit_err);
    if (rc == DYNB_OK && arn)
        snprintf(arn, DYNB_ARN_MAX + 1, "%s", about.backup_arn);
    return rc;
}

static dynb_backup_status status_of(store *s, const char *arn)
{
    dynb_backup_description about;
    MUST(dynb_describe_backup(s->db, arn, &about, &s->result, &kit_err));
    return about.status;
}

/* ----------------------------------------------------- exactly one LSN -- */

#define TABLES 3u
#define ACCOUNTS 15u
#define CUTS_MAX 60u

typedef struct bank {
    int64_t balance[TABLES][ACCOUNTS];
    int64_t sequence;
} bank;

typedef struct cut {
    bank expected;
    char arns[TABLES][DYNB_ARN_MAX + 1];
    uint64_t lsn;
} cut;

static const char *const bank_tables[] = {"Bank-A", "Bank-B", "Bank-C"};

static dynb_rc write_accounts(store *s, const bank *b, const uint32_t (*which)[2], uint32_t count)
{
    dynb_builder builders[ACCOUNTS * TABLES + TABLES];
    dynb_write writes[ACCOUNTS * TABLES + TABLES];
    uint32_t i;
    char id[16];
    dynb_rc rc;
    memset(builders, 0, sizeof builders);
    memset(writes, 0, sizeof writes);
    for (i = 0; i < count + TABLES; ++i) { /* the sequence number goes into every table */
        if (i < count) {
            snprintf(id, sizeof id, "account-%u", which[i][1]);
            writes[i].table = bank_tables[which[i][0]];
            writes[i].item = kit_item(&builders[i], id, b->balance[which[i][0]][which[i][1]]);
        } else {
            writes[i].table = bank_tables[i - count];
            writes[i].item = kit_item(&builders[i], "sequence", b->sequence);
        }
    }
    rc = dynb_batch_write(s->db, writes, count + TABLES, NULL, &kit_err);
    for (i = 0; i < count + TABLES; ++i)
        dynb_builder_free(&builders[i]);
    return rc;
}

static void open_bank(store *s, bank *b)
{
    uint32_t which[TABLES * ACCOUNTS][2], t, a;
    memset(b, 0, sizeof *b);
    for (t = 0; t < TABLES; ++t) {
        MUST(kit_create_table(s->db, bank_tables[t], NULL));
        for (a = 0; a < ACCOUNTS; ++a) {
            b->balance[t][a] = 100;
            which[t * ACCOUNTS + a][0] = t;
            which[t * ACCOUNTS + a][1] = a;
        }
    }
    MUST(write_accounts(s, b, (const uint32_t(*)[2])which, TABLES * ACCOUNTS));
}

static void transfer(store *s, bank *b, check_random *random)
{
    uint32_t which[2][2], i;
    for (i = 0; i < 2; ++i) {
        which[i][0] = (uint32_t)check_below(random, TABLES);
        which[i][1] = (uint32_t)check_below(random, ACCOUNTS);
    }
    if (which[0][0] == which[1][0] && which[0][1] == which[1][1])
        return;
    if (b->balance[which[0][0]][which[0][1]] == 0)
        return;
    --b->balance[which[0][0]][which[0][1]];
    ++b->balance[which[1][0]][which[1][1]];
    ++b->sequence;
    MUST(write_accounts(s, b, (const uint32_t(*)[2])which, 2));
}

static void take_cut(store *s, const bank *b, cut *c, uint64_t last_lsn)
{
    dynb_backup_description about[TABLES];
    dynb_stat stat;
    uint32_t t;
    c->expected = *b;
    MUST(dynb_create_backups(s->db, bank_tables, TABLES, "cut", about, &s->result, &kit_err));
    c->lsn = about[0].lsn;
    for (t = 0; t < TABLES; ++t) {
        CHECK(about[t].lsn == c->lsn);
        CHECK_TEXT(about[t].source.table_name, bank_tables[t]);
        snprintf(c->arns[t], sizeof c->arns[t], "%s", about[t].backup_arn);
    }
    CHECK(c->lsn > last_lsn);
    MUST(dynb_get_stat(s->db, &stat, &kit_err));
    CHECK(c->lsn <= stat.lsn);
}

static void check_cut(store *s, const cut *c)
{
    int64_t total = 0, v;
    uint32_t t, a;
    char id[16];
    for (t = 0; t < TABLES; ++t) {
        /* contract 2.1 row 1, 2.1 row 4, 2.1 row 6: all of each table, up to one marker */
        MUST(kit_restore(s->db, c->arns[t], "Restored"));
        CHECK_INT(kit_get(s->db, "Restored", "sequence"), c->expected.sequence);
        for (a = 0; a < ACCOUNTS; ++a) {
            snprintf(id, sizeof id, "account-%u", a);
            v = kit_get(s->db, "Restored", id);
            CHECK_INT(v, c->expected.balance[t][a]);
            total += v;
        }
        MUST(dynb_delete_table(s->db, "Restored", NULL, NULL, &kit_err));
    }
    CHECK_INT(total, 100 * TABLES * ACCOUNTS);
}

/* With work by hand the budget of memory is ours to keep. */
static void keep_room(store *s)
{
    dynb_stat stat;
    int pending = 1;
    MUST(dynb_get_stat(s->db, &stat, &kit_err));
    while (s->config.manual_work && pending && stat.generation_bytes > s->config.memory_bytes / 6) {
        MUST(dynb_work(s->db, 2000, &pending, &kit_err));
        MUST(dynb_get_stat(s->db, &stat, &kit_err));
    }
}

static void test_one_lsn(uint64_t seed, uint32_t page_size_bytes, uint64_t memory_bytes,
                         int manual_work)
{
    static store s;
    static cut cuts[CUTS_MAX];
    check_random random;
    bank b;
    uint32_t count = 0, i, steps = (uint32_t)check_scaled(1200);
    store_init(&s);
    s.config.page_size_bytes = page_size_bytes;
    s.config.memory_bytes = memory_bytes;
    s.config.manual_work = manual_work;
    store_open(&s);
    random.state = seed;
    open_bank(&s, &b);
    for (i = 0; i < steps; ++i) {
        uint64_t dice = check_below(&random, 100);
        keep_room(&s);
        if (dice < 70)
            transfer(&s, &b, &random);
        else if (dice < 90)
            MUST(dynb_work(s.db, 1 + check_below(&random, 3000), NULL, &kit_err));
        else if (dice < 92)
            store_reopen(&s);
        else if (dice < 95 && count < CUTS_MAX) {
            take_cut(&s, &b, &cuts[count], count ? cuts[count - 1].lsn : 0);
            ++count;
        } else if (dice < 97 && count) {
            const cut *c = &cuts[check_below(&random, count)];
            if (status_of(&s, c->arns[TABLES - 1]) == DYNB_BACKUP_AVAILABLE &&
                status_of(&s, c->arns[0]) == DYNB_BACKUP_AVAILABLE &&
                status_of(&s, c->arns[1]) == DYNB_BACKUP_AVAILABLE)
                check_cut(&s, c); /* long before all others are built */
        } else if (dice == 97 && count > 20) {
            uint32_t t, at = (uint32_t)check_below(&random, count);
            MUST(dynb_wait_idle(s.db, &kit_err));
            for (t = 0; t < TABLES; ++t)
                MUST(dynb_delete_backup(s.db, cuts[at].arns[t], NULL, NULL, &kit_err));
            memmove(&cuts[at], &cuts[at + 1], (count - at - 1) * sizeof *cuts);
            --count;
        }
    }
    MUST(dynb_wait_idle(s.db, &kit_err));
    for (i = 0; i < count; ++i)
        check_cut(&s, &cuts[i]);
    CHECK(count > 0);
    store_end(&s);
}

/* ----------------------------------------------------------- life cycle -- */

static void test_life(void)
{
    static store s;
    dynb_backup_description about;
    dynb_list_backups_input list;
    dynb_backup_list found;
    char arn[DYNB_ARN_MAX + 1], same[DYNB_ARN_MAX + 1], id[64];
    uint64_t created;
    int pending = 1;
    store_init(&s);
    s.config.manual_work = 1;
    store_open(&s);
    MUST(kit_create_table(s.db, "Orders", NULL));
    MUST(kit_put(s.db, "Orders", "a", 1));
    MUST(kit_put(s.db, "Orders", "b", 2));

    /* contract 1.1 row 9 */
    MUST(dynb_create_backup(s.db, "Orders", "first", &about, &s.result, &kit_err));
    CHECK(about.status == DYNB_BACKUP_CREATING && about.type == DYNB_BACKUP_USER);
    CHECK_TEXT(about.backup_name, "first");
    CHECK(about.expires_at_ms == 0);
    CHECK_TEXT(about.source.table_name, "Orders");
    snprintf(arn, sizeof arn, "%s", about.backup_arn);
    snprintf(id, sizeof id, "%s", about.source.table_id);
    created = about.created_at_ms;
    MUST(kit_put(s.db, "Orders", "b", 3)); /* after the marker */
    MUST(kit_delete(s.db, "Orders", "a"));
    CHECK(status_of(&s, arn) == DYNB_BACKUP_CREATING);
    EXPECT(dynb_delete_backup(s.db, arn, NULL, NULL, &kit_err), DYNB_BACKUP_IN_USE);
    EXPECT(kit_restore(s.db, arn, "Early"), DYNB_BACKUP_IN_USE);

    store_reopen(&s); /* the build goes on by itself */
    while (pending)
        MUST(dynb_work(s.db, 100, &pending, &kit_err));
    MUST(dynb_describe_backup(s.db, arn, &about, &s.result, &kit_err));
    CHECK(about.status == DYNB_BACKUP_AVAILABLE);
    CHECK_INT(about.created_at_ms, created);
    CHECK_INT(about.size_bytes, 2 * (2 + 1 + 1 + 2)); /* Id + a + v + a number of one digit */
    /* contract 1.2 row 3 */
    CHECK_INT(about.source.item_count, 2);
    CHECK_INT(about.source.size_bytes, 12);
    CHECK_TEXT(about.source.table_id, id);
    CHECK_TEXT(about.source.partition_key.name, "Id");
    CHECK(about.source.partition_key.type == DYNB_S && about.source.sort_key.name == NULL);

    /* contract 2.2 row 1 */
    MUST(kit_restore(s.db, arn, "Yesterday"));
    CHECK_INT(kit_get(s.db, "Yesterday", "a"), 1);
    CHECK_INT(kit_get(s.db, "Yesterday", "b"), 2);
    CHECK_INT(kit_get(s.db, "Orders", "a"), -1);
    CHECK_INT(kit_get(s.db, "Orders", "b"), 3);
    MUST(kit_put(s.db, "Yesterday", "b", 20)); /* they live on independently */
    CHECK_INT(kit_get(s.db, "Orders", "b"), 3);
    MUST(kit_restore(s.db, arn, "Again"));
    CHECK_INT(kit_get(s.db, "Again", "b"), 2);

    MUST(dynb_create_backup(s.db, "Again", "unchanged", &about, &s.result, &kit_err));
    /* contract 2.1 row 3 */
    CHECK(about.status == DYNB_BACKUP_AVAILABLE); /* nothing has changed since the snapshot */
    /* contract 1.1 row 2 */
    MUST(back_up(&s, "Orders", "first", same)); /* names need not be unique */
    CHECK(strcmp(arn, same) != 0);

    /* contract 1.4 row 1, 1.4 row 2, 2.3 row 1 */
    MUST(dynb_delete_backup(s.db, arn, &about, &s.result, &kit_err));
    CHECK(about.status == DYNB_BACKUP_DELETED);
    CHECK_TEXT(about.backup_arn, arn);
    EXPECT(dynb_describe_backup(s.db, arn, &about, &s.result, &kit_err), DYNB_BACKUP_NOT_FOUND);
    EXPECT(dynb_delete_backup(s.db, arn, NULL, NULL, &kit_err), DYNB_BACKUP_NOT_FOUND);
    EXPECT(kit_restore(s.db, arn, "Late"), DYNB_BACKUP_NOT_FOUND);
    CHECK_INT(kit_get(s.db, "Again", "a"), 1); /* restored tables do not need it */
    memset(&list, 0, sizeof list);
    list.table = "Orders";
    MUST(dynb_list_backups(s.db, &list, &found, &s.result, &kit_err));
    CHECK_INT(found.count, 1);
    CHECK_TEXT(found.backups[0].backup_arn, same);
    store_end(&s);
}

/* Deleted tables: their backups stay, are finished, are restored. */
static void test_deleted_table(void)
{
    static store s;
    dynb_backup_description about;
    dynb_list_backups_input list;
    dynb_backup_list found;
    char before[DYNB_ARN_MAX + 1], during[DYNB_ARN_MAX + 1], after[DYNB_ARN_MAX + 1], id[64];
    store_init(&s);
    s.config.manual_work = 1;
    store_open(&s);
    MUST(kit_create_table(s.db, "Short", "n"));
    MUST(kit_create_table(s.db, "Other", NULL));
    MUST(kit_put(s.db, "Other", "x", 9));
    dynb_table_description table;
    MUST(dynb_describe_table(s.db, "Short", &table, &s.result, &kit_err));
    snprintf(id, sizeof id, "%s", table.table_id);
    MUST(dynb_delete_table(s.db, "Short", NULL, NULL, &kit_err));
    MUST(kit_create_table(s.db, "Short", NULL));
    MUST(kit_put(s.db, "Short", "k", 1));
    MUST(back_up(&s, "Short", "before", before));
    MUST(dynb_wait_idle(s.db, &kit_err));
    MUST(kit_put(s.db, "Short", "k", 2));
    MUST(back_up(&s, "Short", "during", during));
    CHECK(status_of(&s, during) == DYNB_BACKUP_CREATING);
    /* contract 2.1 row 9: while a backup of it is CREATING */
    MUST(dynb_delete_table(s.db, "Short", NULL, NULL, &kit_err));
    EXPECT(back_up(&s, "Short", "too-late", NULL), DYNB_TABLE_NOT_FOUND);
    MUST(kit_create_table(s.db, "Short", NULL)); /* a new table of that name */
    MUST(kit_put(s.db, "Short", "k", 3));
    MUST(back_up(&s, "Short", "afterwards", after));
    store_reopen(&s);
    MUST(dynb_wait_idle(s.db, &kit_err));

    MUST(dynb_describe_backup(s.db, during, &about, &s.result, &kit_err));
    CHECK(about.status == DYNB_BACKUP_AVAILABLE);
    CHECK(strcmp(about.source.table_id, id) != 0);
    memset(&list, 0, sizeof list);
    /* contract 1.3 row 1, 1.3 row 8, 2.4 row 14 */
    list.table = "Short"; /* of every incarnation, in order of creation */
    MUST(dynb_list_backups(s.db, &list, &found, &s.result, &kit_err));
    CHECK_INT(found.count, 3);
    CHECK_TEXT(found.backups[0].backup_name, "before");
    CHECK_TEXT(found.backups[1].backup_name, "during");
    CHECK_TEXT(found.backups[2].backup_name, "afterwards");
    CHECK_TEXT(found.backups[0].source.table_id, found.backups[1].source.table_id);
    CHECK(strcmp(found.backups[1].source.table_id, found.backups[2].source.table_id) != 0);

    /* contract 1.5 row 34, 2.1 row 8 */
    MUST(kit_restore(s.db, before, "Rest-1"));
    MUST(kit_restore(s.db, during, "Rest-2"));
    MUST(kit_restore(s.db, after, "Rest-3"));
    CHECK_INT(kit_get(s.db, "Rest-1", "k"), 1);
    CHECK_INT(kit_get(s.db, "Rest-2", "k"), 2);
    CHECK_INT(kit_get(s.db, "Rest-3", "k"), 3);
    MUST(dynb_delete_table(s.db, "Short", NULL, NULL, &kit_err));
    MUST(kit_restore(s.db, during, "Short")); /* under its old name */
    CHECK_INT(kit_get(s.db, "Short", "k"), 2);
    CHECK_INT(kit_get(s.db, "Other", "x"), 9);
    store_end(&s);
}

/* ------------------------------------------------------------ ARNs, lists -- */

static void test_arns(void)
{
    static store s;
    dynb_backup_description about;
    dynb_table_description table;
    const char *id;
    store_init(&s);
    s.clock.now_ms = 1489602797000u;
    s.config.account_id = "000000000042";
    s.config.region = "eu-central-1";
    s.config.manual_work = 1;
    store_open(&s);
    MUST(kit_create_table(s.db, "T.a-b_c", NULL));
    MUST(dynb_describe_table(s.db, "T.a-b_c", &table, &s.result, &kit_err));
    /* contract 2.4 row 10, 2.4 row 11 */
    CHECK_TEXT(table.table_arn, "arn:aws:dynamodb:eu-central-1:000000000042:table/T.a-b_c");
    CHECK(strlen(table.table_id) == 36 && table.table_id[8] == '-' && table.table_id[23] == '-');
    CHECK(strspn(table.table_id, "0123456789abcdef-") == 36);
    s.clock.step_ms = 0;
    s.clock.now_ms = 1489602797149u;
    /* contract 1.1 row 1: by its ARN */
    MUST(dynb_create_backup(s.db, "arn:aws:dynamodb:eu-central-1:000000000042:table/T.a-b_c",
                            "A.b-c_9", &about, &s.result, &kit_err));
    /* contract 2.4 row 1, 2.4 row 2 */
    CHECK(strncmp(about.backup_arn,
                  "arn:aws:dynamodb:eu-central-1:000000000042:table/T.a-b_c/backup/01489602797149-",
                  79) == 0);
    CHECK_INT(about.created_at_ms, 1489602797149);
    id = strrchr(about.backup_arn, '/');
    CHECK(id && strlen(id) == 1 + 14 + 1 + 8);
    CHECK(id && strspn(id + 16, "0123456789abcdef") == 8 && strcmp(id + 16, "00000000") != 0);
    CHECK_TEXT(about.source.table_arn,
               "arn:aws:dynamodb:eu-central-1:000000000042:table/T.a-b_c");
    CHECK_TEXT(about.source.table_name, "T.a-b_c");
    store_end(&s);
}

typedef struct listing {
    const char *table;
    uint64_t from_ms, to_ms;
    uint32_t type;
} listing;

/* The names of the backups found, joined, with pages of `limit`. */
static const char *list_names(store *s, const listing *wanted, uint32_t limit)
{
    static char names[2000];
    dynb_list_backups_input input;
    dynb_backup_list found;
    char after[DYNB_ARN_MAX + 1];
    uint32_t i;
    memset(&input, 0, sizeof input);
    input.table = wanted->table;
    input.from_ms = wanted->from_ms;
    input.to_ms = wanted->to_ms;
    input.type = wanted->type;
    input.limit = limit;
    names[0] = 0;
    do {
        MUST(dynb_list_backups(s->db, &input, &found, &s->result, &kit_err));
        CHECK(!limit || found.count <= limit);
        CHECK(found.count > 0 || !found.last_evaluated_arn);
        for (i = 0; i < found.count; ++i) {
            size_t used = strlen(names);
            snprintf(names + used, sizeof names - used, "%s ", found.backups[i].backup_name);
        }
        /* contract 1.3 row 9, 1.3 row 15: a token if and only if there is more */
        input.start_after_arn = NULL;
        if (found.last_evaluated_arn) {
            CHECK_TEXT(found.last_evaluated_arn, found.backups[found.count - 1].backup_arn);
            snprintf(after, sizeof after, "%s", found.last_evaluated_arn);
            input.start_after_arn = after;
        }
    } while (input.start_after_arn);
    return names;
}

static const char *list_with(store *s, const char *table, uint64_t from_ms, uint64_t to_ms)
{
    listing wanted;
    memset(&wanted, 0, sizeof wanted);
    wanted.table = table;
    wanted.from_ms = from_ms;
    wanted.to_ms = to_ms;
    return list_names(s, &wanted, 0);
}

static void make_list(store *s, char arns[6][DYNB_ARN_MAX + 1])
{
    static const char *const tables[] = {"Zebra", "Apple", "Mango", "Apple", "Zebra", "Apple"};
    static const char *const names[] = {"z-1", "a-1", "m-1", "a-2", "z-2", "a-3"};
    uint32_t i;
    MUST(kit_create_table(s->db, "Zebra", NULL));
    MUST(kit_create_table(s->db, "Apple", NULL));
    MUST(kit_create_table(s->db, "Mango", NULL));
    s->clock.step_ms = 0;
    for (i = 0; i < 6; ++i) {
        s->clock.now_ms = 1700000001000u + 1000 * i;
        MUST(back_up(s, tables[i], names[i], arns[i]));
    }
    MUST(dynb_wait_idle(s->db, &kit_err));
}

static void test_list(void)
{
    static store s;
    static char arns[6][DYNB_ARN_MAX + 1];
    dynb_list_backups_input input;
    dynb_backup_list found;
    listing wanted;
    char arn[DYNB_ARN_MAX + 1];
    uint32_t limit;
    store_init(&s);
    store_open(&s);
    make_list(&s, arns);
    memset(&wanted, 0, sizeof wanted);
    /* contract 1.3 row 8, 1.3 row 9 */
    for (limit = 0; limit < 8; ++limit) /* by table, then by time */
        CHECK_TEXT(list_names(&s, &wanted, limit), "a-1 a-2 a-3 m-1 z-1 z-2 ");
    wanted.table = "Apple";
    for (limit = 0; limit < 5; ++limit)
        CHECK_TEXT(list_names(&s, &wanted, limit), "a-1 a-2 a-3 ");
    /* contract 1.3 row 1 */
    CHECK_TEXT(list_with(&s, ARN "Zebra", 0, 0), "z-1 z-2 ");
    CHECK_TEXT(list_with(&s, "Unknown", 0, 0), "");
    CHECK_TEXT(list_with(&s, "App", 0, 0), "");

    /* contract 1.3 row 3, 1.3 row 4: The lower bound is included, the upper one is not. */
    CHECK_TEXT(list_with(&s, "Apple", 1700000004000u, 0), "a-2 a-3 ");
    CHECK_TEXT(list_with(&s, "Apple", 1700000004001u, 0), "a-3 ");
    CHECK_TEXT(list_with(&s, "Apple", 0, 1700000004000u), "a-1 ");
    CHECK_TEXT(list_with(&s, "Apple", 0, 1700000004001u), "a-1 a-2 ");
    CHECK_TEXT(list_with(&s, NULL, 1700000002000u, 1700000005000u), "a-1 a-2 m-1 ");
    CHECK_TEXT(list_with(&s, NULL, 1700000004000u, 1700000004000u), "");
    CHECK_TEXT(list_with(&s, NULL, 1800000000000u, 0), "");

    wanted.table = NULL;
    /* contract 1.3 row 6 */
    wanted.type = DYNB_LIST_SYSTEM;
    CHECK_TEXT(list_names(&s, &wanted, 0), "");
    wanted.type = DYNB_LIST_AWS_BACKUP;
    CHECK_TEXT(list_names(&s, &wanted, 0), "");
    wanted.type = DYNB_LIST_ALL;
    CHECK_TEXT(list_names(&s, &wanted, 2), "a-1 a-2 a-3 m-1 z-1 z-2 ");

    /* contract 1.3 row 5: The cursor is a position: its backup need not exist any more. */
    MUST(dynb_delete_backup(s.db, arns[3], NULL, NULL, &kit_err)); /* a-2 */
    memset(&input, 0, sizeof input);
    input.start_after_arn = arns[3];
    MUST(dynb_list_backups(s.db, &input, &found, &s.result, &kit_err));
    CHECK(found.count == 4 && strcmp(found.backups[0].backup_name, "a-3") == 0);
    snprintf(arn, sizeof arn, "%s", ARN "Banana" ID);
    input.start_after_arn = arn;
    MUST(dynb_list_backups(s.db, &input, &found, &s.result, &kit_err));
    CHECK(found.count == 3 && strcmp(found.backups[0].backup_name, "m-1") == 0);

    EXPECT_MESSAGE((memset(&input, 0, sizeof input), input.limit = 101,
                    dynb_list_backups(s.db, &input, &found, &s.result, &kit_err)),
                   DYNB_VALIDATION,
                   "1 validation error detected: Value '101' at 'limit' failed to satisfy "
                   "constraint: Member must have value less than or equal to 100");
    CHECK(found.count == 0 && found.backups == NULL);
    EXPECT_MESSAGE((memset(&input, 0, sizeof input), input.from_ms = 5, input.to_ms = 4,
                    dynb_list_backups(s.db, &input, &found, &s.result, &kit_err)),
                   DYNB_VALIDATION,
                   "One or more parameter values were invalid: Time range lower bound must be "
                   "less than or equal to upper bound");
    EXPECT_MESSAGE((memset(&input, 0, sizeof input),
                    input.start_after_arn =
                        "arn:aws:dynamodb:eu-west-1:123456789012:table/Apple" ID,
                    dynb_list_backups(s.db, &input, &found, &s.result, &kit_err)),
                   DYNB_VALIDATION,
                   "Invalid Request: The supplied ExclusiveStartBackupArn does not match the "
                   "region");
    CHECK((memset(&input, 0, sizeof input), input.type = 4,
           dynb_list_backups(s.db, &input, &found, &s.result, &kit_err)) != DYNB_OK);
    store_end(&s);
}

/* ---------------------------------------------------------------- errors -- */

#define TOO_SHORT(value, member, n)                                                        \
    "1 validation error detected: Value '" value "' at '" member "' failed to satisfy "    \
    "constraint: Member must have length greater than or equal to " n
#define BAD_PATTERN(value, member)                                                         \
    "1 validation error detected: Value '" value "' at '" member "' failed to satisfy "    \
    "constraint: Member must satisfy regular expression pattern: [a-zA-Z0-9_.-]+"

static void test_create_errors(store *s)
{
    const char *tables[] = {"Orders", "Orders"};
    char name[300], arn[DYNB_ARN_MAX + 1];
    /* contract 1.1 row 5 */
    EXPECT_MESSAGE(back_up(s, "Missing", "name", NULL), DYNB_TABLE_NOT_FOUND,
                   "Table not found: Missing");
    EXPECT_MESSAGE(back_up(s, ARN "Missing", "name", NULL), DYNB_TABLE_NOT_FOUND,
                   "Table not found: Missing");
    /* contract 1.1 row 2 */
    EXPECT_MESSAGE(back_up(s, "Orders", "ab", NULL), DYNB_VALIDATION,
                   TOO_SHORT("ab", "backupName", "3"));
    EXPECT_MESSAGE(back_up(s, "Orders", "a b!", NULL), DYNB_VALIDATION,
                   BAD_PATTERN("a b!", "backupName"));
    EXPECT_ABOUT(back_up(s, "Orders", "", NULL), DYNB_VALIDATION, "2 validation errors detected: ");
    CHECK(strstr(kit_err.message, "Value '' at 'backupName' failed to satisfy constraint: Member "
                                  "must satisfy regular expression pattern: [a-zA-Z0-9_.-]+"));
    CHECK(strstr(kit_err.message, "Value '' at 'backupName' failed to satisfy constraint: Member "
                                  "must have length greater than or equal to 3"));
    memset(name, 'n', sizeof name);
    name[256] = 0;
    EXPECT_ABOUT(back_up(s, "Orders", name, NULL), DYNB_VALIDATION,
                 "at 'backupName' failed to satisfy constraint: Member must have length less than "
                 "or equal to 255");
    name[255] = 0;
    EXPECT(back_up(s, "Orders", name, arn), DYNB_OK);
    EXPECT(back_up(s, "Orders", "abc", arn), DYNB_OK);
    /* contract 1.1 row 1 */
    EXPECT_ABOUT(back_up(s, "Or ders", "name", NULL), DYNB_VALIDATION, "'tableName'");
    EXPECT_MESSAGE(back_up(s, "arn:aws:dynamodb:us-east-1:999999999999:table/Orders", "name", NULL),
                   DYNB_ACCESS_DENIED, "Access is denied");
    EXPECT(dynb_create_backups(s->db, tables, 2, "name", NULL, NULL, &kit_err), DYNB_VALIDATION);
    tables[1] = "Missing";
    EXPECT_MESSAGE(dynb_create_backups(s->db, tables, 2, "name", NULL, NULL, &kit_err),
                   DYNB_TABLE_NOT_FOUND, "Table not found: Missing");
}

typedef dynb_rc arn_fn(store *s, const char *arn);

static dynb_rc describe_arn(store *s, const char *arn)
{
    dynb_backup_description about;
    return dynb_describe_backup(s->db, arn, &about, &s->result, &kit_err);
}

static dynb_rc delete_arn(store *s, const char *arn)
{
    return dynb_delete_backup(s->db, arn, NULL, NULL, &kit_err);
}

static dynb_rc restore_arn(store *s, const char *arn)
{
    return kit_restore(s->db, arn, "Target");
}

/* Describe, delete and restore answer bad ARNs alike. */
static void test_arn_errors(store *s, arn_fn *call)
{
    /* contract 1.2 row 9, 1.4 row 6, 1.5 row 2 */
    EXPECT_MESSAGE(call(s, ARN "Orders" ID), DYNB_BACKUP_NOT_FOUND,
                   "Backup not found: " ARN "Orders" ID);
    EXPECT_MESSAGE(call(s, ARN "Missing" ID), DYNB_BACKUP_NOT_FOUND,
                   "Backup not found: " ARN "Missing" ID);
    /* contract 1.2 row 10 */
    EXPECT_MESSAGE(call(s, ""), DYNB_VALIDATION, "Invalid Backup ARN");
    EXPECT_MESSAGE(call(s, ARN "Orders"), DYNB_VALIDATION, "Invalid Backup ARN");
    EXPECT_MESSAGE(call(s, "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"), DYNB_VALIDATION,
                   "Invalid Backup ARN");
    /* contract 1.2 row 11 */
    EXPECT_MESSAGE(call(s, "arn:aws:s3:us-east-1:123456789012:table/Orders" ID), DYNB_VALIDATION,
                   "Invalid Request: BackupArn is not valid");
    EXPECT_MESSAGE(call(s, "arn:nowhere:dynamodb:us-east-1:123456789012:table/Orders" ID),
                   DYNB_VALIDATION, "Invalid Request: BackupArn is not valid");
    EXPECT_MESSAGE(call(s, "arn:aws:dynamodb:xx-fake-1:123456789012:table/Orders" ID),
                   DYNB_VALIDATION, "Invalid Request: BackupArn is not valid");
    /* contract 1.2 row 12 */
    EXPECT_MESSAGE(call(s, "arn:aws:dynamodb:us-east-1:999999999999:table/Orders" ID),
                   DYNB_ACCESS_DENIED, "Access is denied");
    /* contract 1.2 row 13 */
    EXPECT_MESSAGE(call(s, "arn:aws:dynamodb::123456789012:table/Orders" ID), DYNB_ACCESS_DENIED,
                   "Access is denied");
}

static void test_restore_errors(store *s, const char *arn)
{
    char name[300];
    dynb_table_description about;
    /* contract 1.5 row 27, 2.2 row 17 */
    EXPECT_MESSAGE(kit_restore(s->db, arn, "Orders"), DYNB_TABLE_ALREADY_EXISTS,
                   "Table already exists: Orders");
    /* contract 1.5 row 1 */
    EXPECT_MESSAGE(kit_restore(s->db, arn, ""), DYNB_VALIDATION,
                   "TableName must be at least 3 characters long and at most 255 characters long");
    EXPECT(kit_restore(s->db, arn, "ab"), DYNB_VALIDATION);
    EXPECT_MESSAGE(kit_restore(s->db, arn, "no good"), DYNB_VALIDATION,
                   BAD_PATTERN("no good", "targetTableName"));
    EXPECT(kit_restore(s->db, arn, ARN "Target"), DYNB_VALIDATION); /* a name, not an ARN */
    memset(name, 't', sizeof name);
    name[256] = 0;
    EXPECT(kit_restore(s->db, arn, name), DYNB_VALIDATION);
    name[255] = 0;
    EXPECT(kit_restore(s->db, arn, name), DYNB_OK);
    EXPECT(kit_restore(s->db, arn, "abc"), DYNB_OK);
    EXPECT(dynb_describe_table(s->db, "no good", &about, &s->result, &kit_err), DYNB_VALIDATION);
}

/* The region part of an ARN may be another real region: Describe does not mind,
 * a restore would be one across regions, for which C has no argument. */
static void test_other_region(store *s, const char *arn)
{
    dynb_backup_description about;
    char other[DYNB_ARN_MAX + 1];
    snprintf(other, sizeof other, "arn:aws:dynamodb:eu-west-1:%s", strstr(arn, "123456789012"));
    /* contract 1.2 row 14 */
    if (EXPECT(dynb_describe_backup(s->db, other, &about, &s->result, &kit_err), DYNB_OK))
        CHECK_TEXT(about.backup_arn, other);
    /* contract 1.5 row 20 */
    EXPECT_MESSAGE(kit_restore(s->db, other, "Elsewhere"), DYNB_VALIDATION,
                   "Invalid Request: sseSpecificationOverride must be provided for cross-region "
                   "restores");
}

static void test_errors(void)
{
    static store s;
    char arn[DYNB_ARN_MAX + 1];
    dynb_backup_description about;
    dynb_tag tag;
    store_init(&s);
    store_open(&s);
    MUST(kit_create_table(s.db, "Orders", NULL));
    MUST(back_up(&s, "Orders", "good", arn));
    MUST(dynb_wait_idle(s.db, &kit_err));
    test_create_errors(&s);
    test_arn_errors(&s, describe_arn);
    test_arn_errors(&s, delete_arn);
    test_arn_errors(&s, restore_arn);
    MUST(dynb_wait_idle(s.db, &kit_err));
    test_restore_errors(&s, arn);
    test_other_region(&s, arn);
    tag.key = "k";
    tag.value = "v";
    /* contract 2.1 row 11 */
    EXPECT_ABOUT(dynb_tag_resource(s.db, arn, &tag, 1, &kit_err), DYNB_VALIDATION,
                 "One or more parameter values were invalid: Provided Arn is not a DynamoDB "
                 "resource arn: ");
    CHECK(strstr(kit_err.message, arn) != NULL);
    CHECK(dynb_describe_backup(NULL, arn, &about, &s.result, &kit_err) == DYNB_INVALID_ARGUMENT);
    CHECK(dynb_create_backup(s.db, NULL, "name", NULL, NULL, NULL) != DYNB_OK);
    CHECK(dynb_create_backup(s.db, "Orders", NULL, NULL, NULL, NULL) != DYNB_OK);
    CHECK(dynb_create_backups(s.db, NULL, 1, "name", NULL, NULL, NULL) == DYNB_INVALID_ARGUMENT);
    CHECK(dynb_restore_table_from_backup(s.db, NULL, NULL, NULL, NULL) == DYNB_INVALID_ARGUMENT);
    store_end(&s);
}

/* -------------------------------------------------------------- settings -- */

static void make_settings(store *s)
{
    dynb_create_table_input input;
    dynb_tag tag;
    memset(&input, 0, sizeof input);
    tag.key = "team";
    tag.value = "blue";
    input.table_name = "Rich";
    input.partition_key.name = "Id";
    input.partition_key.type = DYNB_S;
    input.sort_key.name = "When";
    input.sort_key.type = DYNB_B;
    input.settings.billing_mode = DYNB_PROVISIONED;
    input.settings.provisioned.read_units = 5;
    input.settings.provisioned.write_units = 6;
    input.settings.stream_view = DYNB_STREAM_NEW_IMAGE;
    input.settings.encryption = DYNB_ENCRYPTION_KMS;
    input.settings.kms_key_arn = "arn:aws:kms:us-east-1:123456789012:key/k1";
    input.settings.table_class = DYNB_STANDARD_INFREQUENT_ACCESS;
    input.settings.deletion_protection = 1;
    input.tags = &tag;
    input.tag_count = 1;
    MUST(dynb_create_table(s->db, &input, NULL, NULL, &kit_err));
    MUST(dynb_update_time_to_live(s->db, "Rich", "expires", &kit_err));
}

static void test_settings(void)
{
    static store s;
    dynb_table_description table;
    dynb_backup_description about;
    dynb_update_table_input update;
    const dynb_tag *tags;
    uint32_t tag_count;
    char arn[DYNB_ARN_MAX + 1], id[64];
    uint64_t created;
    store_init(&s);
    store_open(&s);
    make_settings(&s);
    MUST(dynb_describe_table(s.db, "Rich", &table, &s.result, &kit_err));
    snprintf(id, sizeof id, "%s", table.table_id);
    created = table.created_at_ms;
    MUST(back_up(&s, "Rich", "rich", arn));
    memset(&update, 0, sizeof update); /* the source changes; the backup does not */
    update.table = "Rich";
    update.change = DYNB_CHANGE_BILLING;
    MUST(dynb_update_table(s.db, &update, NULL, NULL, &kit_err));
    MUST(dynb_wait_idle(s.db, &kit_err));
    store_reopen(&s);

    MUST(dynb_describe_backup(s.db, arn, &about, &s.result, &kit_err));
    /* contract 2.2 row 2, 2.2 row 4, 1.2 row 7: recorded */
    CHECK(about.source.settings.billing_mode == DYNB_PROVISIONED);
    CHECK_INT(about.source.settings.provisioned.read_units, 5);
    CHECK_INT(about.source.settings.provisioned.write_units, 6);
    CHECK(about.source.settings.stream_view == DYNB_STREAM_NEW_IMAGE);
    CHECK_TEXT(about.source.ttl_attribute, "expires");
    CHECK(about.source.settings.encryption == DYNB_ENCRYPTION_KMS);
    CHECK_TEXT(about.source.settings.kms_key_arn, "arn:aws:kms:us-east-1:123456789012:key/k1");
    CHECK_INT(about.source.created_at_ms, created);
    CHECK_TEXT(about.source.table_id, id);
    CHECK_TEXT(about.source.sort_key.name, "When");

    MUST(kit_restore(s.db, arn, "Poor"));
    MUST(dynb_describe_table(s.db, "Poor", &table, &s.result, &kit_err));
    CHECK(table.status == DYNB_TABLE_ACTIVE && table.restoring == 0);
    /* contract 2.2 row 2, 2.2 row 4, 2.2 row 8: restored as recorded */
    CHECK(table.settings.billing_mode == DYNB_PROVISIONED);
    CHECK_INT(table.settings.provisioned.read_units, 5);
    CHECK(table.settings.encryption == DYNB_ENCRYPTION_KMS);
    CHECK_TEXT(table.settings.kms_key_arn, "arn:aws:kms:us-east-1:123456789012:key/k1");
    CHECK_TEXT(table.partition_key.name, "Id");
    CHECK_TEXT(table.sort_key.name, "When");
    CHECK(table.sort_key.type == DYNB_B);
    /* contract 2.2 row 15 */
    CHECK(strcmp(table.table_id, id) != 0 && table.created_at_ms > created);
    CHECK_TEXT(table.table_arn, ARN "Poor");
    /* contract 2.2 row 6, 2.2 row 7 */
    CHECK(table.settings.stream_view == DYNB_STREAM_OFF && table.stream_arn == NULL);
    CHECK(table.ttl_attribute == NULL);
    /* contract 2.2 row 12, 2.2 row 13 */
    CHECK(table.settings.table_class == DYNB_STANDARD);
    CHECK(table.settings.deletion_protection == 0);
    /* contract 2.2 row 9 */
    MUST(dynb_list_tags_of_resource(s.db, "Poor", &tags, &tag_count, &s.result, &kit_err));
    CHECK_INT(tag_count, 0);
    MUST(dynb_delete_table(s.db, "Poor", NULL, NULL, &kit_err));
    store_end(&s);
}

/* On-demand maxima are recorded and come back, too. */
static void test_on_demand(void)
{
    static store s;
    dynb_create_table_input input;
    dynb_table_description table;
    dynb_backup_description about;
    char arn[DYNB_ARN_MAX + 1];
    store_init(&s);
    store_open(&s);
    memset(&input, 0, sizeof input);
    input.table_name = "Demand";
    input.partition_key.name = "Id";
    input.partition_key.type = DYNB_N;
    input.settings.on_demand.read_units = 11;
    input.settings.on_demand.write_units = 12;
    MUST(dynb_create_table(s.db, &input, &table, &s.result, &kit_err));
    CHECK(table.status == DYNB_TABLE_CREATING);
    MUST(back_up(&s, "Demand", "demand", arn));
    MUST(dynb_wait_idle(s.db, &kit_err));
    MUST(dynb_describe_backup(s.db, arn, &about, &s.result, &kit_err));
    /* contract 1.2 row 4, 2.2 row 5 */
    CHECK(about.source.settings.billing_mode == DYNB_PAY_PER_REQUEST);
    CHECK_INT(about.source.settings.provisioned.read_units, 0);
    CHECK_INT(about.source.settings.on_demand.read_units, 11);
    dynb_restore_input restore;
    memset(&restore, 0, sizeof restore);
    restore.target_table_name = "Back";
    restore.backup_arn = arn;
    MUST(dynb_restore_table_from_backup(s.db, &restore, &table, &s.result, &kit_err));
    /* contract 1.5 row 10 */
    CHECK(table.status == DYNB_TABLE_CREATING && table.restoring);
    CHECK_TEXT(table.restore_source_backup_arn, arn);
    CHECK_TEXT(table.restore_source_table_arn, ARN "Demand");
    CHECK(table.restored_at_ms > 1700000000000u);
    CHECK_INT(table.settings.on_demand.write_units, 12);
    store_end(&s);
}

/* ------------------------------------------------------- limits and space -- */

static uint32_t count_backups(store *s)
{
    dynb_list_backups_input input;
    dynb_backup_list found;
    memset(&input, 0, sizeof input);
    MUST(dynb_list_backups(s->db, &input, &found, &s->result, &kit_err));
    return found.count;
}

static void test_throttle(void)
{
    static store s;
    uint32_t i;
    store_init(&s);
    s.config.create_backup_per_second = 0; /* AWS's 50 */
    store_open(&s);
    MUST(kit_create_table(s.db, "Orders", NULL));
    s.clock.step_ms = 0;
    s.clock.now_ms += 5000;
    for (i = 0; i < 50; ++i)
        EXPECT(back_up(&s, "Orders", "burst", NULL), DYNB_OK);
    EXPECT_MESSAGE(back_up(&s, "Orders", "burst", NULL), DYNB_THROTTLING, "Rate exceeded");
    CHECK_INT(count_backups(&s), 50);
    s.clock.now_ms += 1000;
    for (i = 0; i < 50; ++i)
        EXPECT(back_up(&s, "Orders", "burst", NULL), DYNB_OK);
    EXPECT(back_up(&s, "Orders", "burst", NULL), DYNB_THROTTLING);
    CHECK_INT(count_backups(&s), 100);
    MUST(kit_put(s.db, "Orders", "a", 1)); /* nothing else is throttled */
    s.clock.now_ms -= 100000;              /* a clock that steps back does not lock out */
    (void)back_up(&s, "Orders", "burst", NULL);
    s.clock.now_ms += 2000;
    EXPECT(back_up(&s, "Orders", "burst", NULL), DYNB_OK);
    MUST(dynb_close(s.db, &kit_err));
    s.config.create_backup_per_second = 2;
    store_open(&s);
    s.clock.now_ms += 200000;
    EXPECT(back_up(&s, "Orders", "burst", NULL), DYNB_OK);
    EXPECT(back_up(&s, "Orders", "burst", NULL), DYNB_OK);
    EXPECT(back_up(&s, "Orders", "burst", NULL), DYNB_THROTTLING);
    MUST(dynb_close(s.db, &kit_err));
    s.config.create_backup_per_second = DYNB_UNLIMITED;
    store_open(&s);
    for (i = 0; i < 300; ++i)
        EXPECT(back_up(&s, "Orders", "burst", NULL), DYNB_OK);
    MUST(dynb_wait_idle(s.db, &kit_err));
    store_end(&s);
}

static void change_all(store *s, const char *table, uint32_t count, int64_t round)
{
    dynb_builder builder;
    uint32_t i;
    char id[16];
    memset(&builder, 0, sizeof builder);
    for (i = 0; i < count; ++i) {
        snprintf(id, sizeof id, "item-%u", i);
        MUST(dynb_put_item(s->db, table, kit_padded_item(&builder, id, round * 1000 + i, 150), NULL,
                           NULL, NULL, &kit_err));
    }
    dynb_builder_free(&builder);
}

static uint64_t used_bytes(store *s)
{
    dynb_stat stat;
    MUST(dynb_wait_idle(s->db, &kit_err));
    MUST(dynb_get_stat(s->db, &stat, &kit_err));
    return stat.used_bytes;
}

/* Space comes back when backups, tables and restored tables go. */
static void test_space(void)
{
    static store s;
    static char arns[12][DYNB_ARN_MAX + 1];
    uint64_t start, full, end, device_bytes;
    uint32_t i, round;
    char name[32];
    store_init(&s);
    s.config.page_size_bytes = 512;
    s.config.memory_bytes = 256 * 1024;
    s.config.log_segment_bytes = 8192;
    store_open(&s);
    MUST(kit_create_table(s.db, "Data", NULL));
    change_all(&s, "Data", 300, 1);
    start = used_bytes(&s);
    device_bytes = 0;
    for (round = 0; round < 3; ++round) {
        for (i = 0; i < 12; ++i) {
            change_all(&s, "Data", 300, 2 + i);
            MUST(back_up(&s, "Data", "full", arns[i]));
        }
        full = used_bytes(&s);
        CHECK(full > start + 5 * 300 * 150);
        for (i = 0; i < 4; ++i) {
            snprintf(name, sizeof name, "Restored-%u", i);
            MUST(kit_restore(s.db, arns[i], name));
        }
        CHECK(used_bytes(&s) < full + full / 10); /* a restore copies nothing */
        for (i = 0; i < 12; ++i)
            MUST(dynb_delete_backup(s.db, arns[i], NULL, NULL, &kit_err));
        CHECK_INT(kit_get(s.db, "Restored-3", "item-299"), 5 * 1000 + 299);
        for (i = 0; i < 4; ++i) {
            snprintf(name, sizeof name, "Restored-%u", i);
            MUST(dynb_delete_table(s.db, name, NULL, NULL, &kit_err));
        }
        end = used_bytes(&s);
        if (end > 2 * start)
            printf("    used at the start %llu, with 12 backups %llu, without %llu bytes\n",
                   (unsigned long long)start, (unsigned long long)full, (unsigned long long)end);
        CHECK(end <= 2 * start);
        if (round == 0)
            device_bytes = s.device.current_bytes;
        else /* the space is used again */
            CHECK(s.device.current_bytes <= device_bytes + device_bytes / 4);
    }
    store_end(&s);
}

/* After very many changes of the same items the store takes hardly more than
 * before: of the log they needed only a share is kept for what may come. */
static void test_space_after_changes(void)
{
    static store s;
    uint64_t start, end;
    uint32_t i;
    store_init(&s);
    s.config.page_size_bytes = 512;
    s.config.memory_bytes = 1 << 20;
    s.config.log_segment_bytes = 8192;
    store_open(&s);
    MUST(kit_create_table(s.db, "Data", NULL));
    change_all(&s, "Data", 1000, 0);
    start = used_bytes(&s);
    for (i = 1; i < 10; ++i) {
        change_all(&s, "Data", i * 100, i);
        end = used_bytes(&s);
        if (end > start + start / 5)
            printf("    after %u changes: %llu bytes used, before %llu\n", i * 100,
                   (unsigned long long)end, (unsigned long long)start);
        CHECK(end <= start + start / 5);
    }
    store_end(&s);
}

/* Puts until the device is full; returns how many fitted. */
static uint32_t fill(store *s, const char *table, uint32_t from)
{
    dynb_builder builder;
    uint32_t i;
    char id[16];
    dynb_rc rc = DYNB_OK;
    memset(&builder, 0, sizeof builder);
    for (i = from; i < 20000 && rc == DYNB_OK; ++i) {
        snprintf(id, sizeof id, "item-%u", i);
        rc = dynb_put_item(s->db, table, kit_padded_item(&builder, id, i, 200), NULL, NULL, NULL,
                           &kit_err);
    }
    if (rc != DYNB_NO_SPACE)
        printf("fill: %u items, then %s: %s\n", i, kit_code_name(rc), kit_err.message);
    CHECK(rc == DYNB_NO_SPACE);
    dynb_builder_free(&builder);
    return i - 1;
}

static void check_filled(store *s, const char *table, uint32_t from, uint32_t to)
{
    uint32_t i;
    char id[16];
    for (i = from; i < to; ++i) {
        snprintf(id, sizeof id, "item-%u", i);
        if (kit_get(s->db, table, id) != (int64_t)i) {
            CHECK_INT(kit_get(s->db, table, id), i);
            return;
        }
    }
    snprintf(id, sizeof id, "item-%u", to);
    CHECK_INT(kit_get(s->db, table, id), -1); /* the one that failed */
}

/* A device of fixed size: NO_SPACE changes nothing, all stays readable, and what
 * goes makes room for more. */
static void test_full_device(uint32_t kibibytes)
{
    static store s;
    char arns[4][DYNB_ARN_MAX + 1];
    uint32_t first, second, third, i;
    store_init(&s);
    s.config.page_size_bytes = 512;
    s.config.memory_bytes = 128 * 1024;
    s.config.log_segment_bytes = 8192;
    s.device.fixed = 1;
    fault_start(&s.device, NULL, kibibytes * 1024, 0);
    store_open(&s);
    MUST(kit_create_table(s.db, "Keep", NULL));
    MUST(kit_create_table(s.db, "Drop", NULL));
    for (i = 0; i < 4; ++i) {
        change_all(&s, "Drop", 200, 1 + i);
        MUST(dynb_wait_idle(s.db, &kit_err));
        MUST(back_up(&s, "Drop", "drop", arns[i]));
        MUST(dynb_wait_idle(s.db, &kit_err));
    }
    first = fill(&s, "Keep", 0);
    CHECK(first > 100);
    check_filled(&s, "Keep", 0, first);
    store_reopen(&s); /* full, and yet it opens and reads */
    check_filled(&s, "Keep", 0, first);

    for (i = 0; i < 4; ++i)
        EXPECT(dynb_delete_backup(s.db, arns[i], NULL, NULL, &kit_err), DYNB_OK);
    EXPECT(dynb_wait_idle(s.db, &kit_err), DYNB_OK);
    check_filled(&s, "Keep", 0, first);
    second = fill(&s, "Keep", first);
    CHECK(second > first + 50);
    check_filled(&s, "Keep", 0, second);

    EXPECT(dynb_delete_table(s.db, "Drop", NULL, NULL, &kit_err), DYNB_OK);
    EXPECT(dynb_wait_idle(s.db, &kit_err), DYNB_OK);
    third = fill(&s, "Keep", second);
    CHECK(third > second + 20);
    check_filled(&s, "Keep", 0, third);
    if (kibibytes == 512 || second <= first + 50 || third <= second + 20)
        printf("    full device of %u KiB: %u items, %u after backups went, %u after a table "
               "went\n",
               kibibytes, first, second, third);
    CHECK_INT(s.device.current_bytes, kibibytes * 1024);
    store_end(&s);
}

int main(void)
{
    uint64_t seed = check_seed("test_backup"), size;
    test_one_lsn(seed, 512, 65536, 1);
    test_one_lsn(seed + 1, 512, 65536, 0);
    test_one_lsn(seed + 2, 4096, 0, 0);
    test_life();
    test_deleted_table();
    test_arns();
    test_list();
    test_errors();
    test_settings();
    test_on_demand();
    test_throttle();
    test_space();
    test_space_after_changes();
    test_full_device(512);
    for (size = 430; size < 430 + 10 * check_scaled(25); size += 10)
        test_full_device((uint32_t)size);
    return check_report("test_backup");
}
