/* test_file.c - stores in files: creating, locking, killing.
 *
 * Works in a directory of its own below TMPDIR (or /tmp), which it removes.
 *
 * The core is the kill loop: a child writes batches, takes backups, restores
 * them and deletes some, and reports each acknowledged step through a pipe; the
 * parent kills it with SIGKILL after a random number of reports, opens the file
 * and verifies. Batch n leaves a state that follows from n alone, backups and
 * restored tables carry the n that they must hold in their names: so all that
 * the file shows can be judged without knowing what the child did.
 *
 * KILLS=n sets the number of rounds (10). Needs fork: elsewhere it is skipped. */
#if !defined(__unix__) && !defined(__APPLE__)
#include <stdio.h>

int main(void)
{
    printf("test_file: skipped: no fork on this system\n");
    return 77;
}
#else

#define DYNBACKUP_IMPLEMENTATION
#include "../dynbackup.h"

#include <dirent.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kit.h"

#define SLOTS 60u
#define BACKUPS_MAX 64u

static char directory[256];
static char path[300];

static void use_path(const char *name)
{
    snprintf(path, sizeof path, "%s/%s", directory, name);
}

static void remove_directory(void)
{
    DIR *listing = opendir(directory);
    struct dirent *entry;
    char name[600];
    while (listing && (entry = readdir(listing)) != NULL) {
        snprintf(name, sizeof name, "%s/%s", directory, entry->d_name);
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            (void)remove(name);
    }
    if (listing)
        closedir(listing);
    (void)rmdir(directory);
}

static void write_file(const char *text, size_t length)
{
    FILE *file = fopen(path, "wb");
    CHECK(file && fwrite(text, 1, length, file) == length);
    if (file)
        fclose(file);
}

/* The file's bytes as a number to compare; 0 when there is no file. */
static uint64_t file_digest(uint64_t *size_bytes)
{
    FILE *file = fopen(path, "rb");
    uint64_t digest = 1469598103934665603u;
    int c;
    *size_bytes = 0;
    if (!file)
        return 0;
    while ((c = getc(file)) != EOF) {
        digest = (digest ^ (uint64_t)c) * 1099511628211u;
        ++*size_bytes;
    }
    fclose(file);
    return digest;
}

static kit_clock file_clock = {1700000000000u, 1};
static check_random file_ids = {77};

static dynb_config base_config(void)
{
    dynb_config config;
    memset(&config, 0, sizeof config);
    config.clock_fn = kit_clock_now;
    config.clock_ctx = &file_clock;
    config.random_fn = kit_random64;
    config.random_ctx = &file_ids;
    config.create_backup_per_second = DYNB_UNLIMITED;
    return config;
}

/* ---------------------------------------------------------------- opening -- */

static void test_open(void)
{
    dynb_config config = base_config();
    dynb_device device;
    dynb *db;
    uint64_t before, size, after;
    use_path("plain.dynb");
    config.no_create = 1;
    CHECK(dynb_open(&db, path, &config, &kit_err) != DYNB_OK && db == NULL);
    CHECK(file_digest(&size) == 0);
    config.no_create = 0;
    config.read_only = 1;
    CHECK(dynb_open(&db, path, &config, &kit_err) != DYNB_OK && db == NULL);
    CHECK(file_digest(&size) == 0);
    config.read_only = 0;
    MUST(dynb_open(&db, path, &config, &kit_err));
    MUST(kit_create_table(db, "Files", NULL));
    MUST(kit_put(db, "Files", "a", 1));
    MUST(dynb_close(db, &kit_err));
    config.no_create = 1;
    MUST(dynb_open(&db, path, &config, &kit_err));
    CHECK_INT(kit_get(db, "Files", "a"), 1);
    MUST(kit_put(db, "Files", "b", 2));
    MUST(dynb_close(db, &kit_err));

    before = file_digest(&size);
    config.read_only = 1;
    MUST(dynb_open(&db, path, &config, &kit_err));
    CHECK_INT(kit_get(db, "Files", "b"), 2);
    EXPECT(kit_put(db, "Files", "c", 3), DYNB_READ_ONLY);
    EXPECT(kit_delete(db, "Files", "b"), DYNB_READ_ONLY);
    EXPECT(kit_create_table(db, "More", NULL), DYNB_READ_ONLY);
    EXPECT(dynb_create_backup(db, "Files", "backup", NULL, NULL, &kit_err), DYNB_READ_ONLY);
    EXPECT(dynb_delete_table(db, "Files", NULL, NULL, &kit_err), DYNB_READ_ONLY);
    CHECK_INT(kit_get(db, "Files", "b"), 2);
    (void)dynb_close(db, NULL);
    after = file_digest(&size);
    CHECK(before == after);

    /* The device by itself, handed over. */
    MUST(dynb_file_device_open(&device, path, 0, NULL, &kit_err));
    config.read_only = 0;
    config.device = &device;
    MUST(dynb_open(&db, NULL, &config, &kit_err));
    CHECK_INT(kit_get(db, "Files", "a"), 1);
    MUST(dynb_close(db, &kit_err));

    snprintf(path, sizeof path, "%s/no/such/place", directory);
    EXPECT_ABOUT(dynb_open(&db, path, NULL, &kit_err), DYNB_IO_FAILED, path);
    EXPECT_ABOUT(dynb_open(&db, directory, NULL, &kit_err), DYNB_IO_FAILED, directory);
    EXPECT(dynb_file_device_open(NULL, path, 0, NULL, &kit_err), DYNB_INVALID_ARGUMENT);
    EXPECT(dynb_file_device_open(&device, NULL, 0, NULL, &kit_err), DYNB_INVALID_ARGUMENT);
}

/* What a child process gets when it opens the file. */
static dynb_rc open_in_child(void)
{
    dynb_config config = base_config();
    int status = 0;
    dynb *db;
    pid_t child;
    fflush(stdout);
    child = fork();
    if (child == 0) {
        dynb_rc rc = dynb_open(&db, path, &config, &kit_err);
        if (rc == DYNB_OK)
            (void)dynb_close(db, NULL);
        _exit((int)rc);
    }
    CHECK(child > 0 && waitpid(child, &status, 0) == child && WIFEXITED(status));
    return (dynb_rc)WEXITSTATUS(status);
}

static void test_lock(void)
{
    dynb_config config = base_config();
    uint64_t before, after, size;
    dynb *db;
    use_path("locked.dynb");
    MUST(dynb_open(&db, path, &config, &kit_err));
    MUST(kit_create_table(db, "Mine", NULL));
    MUST(dynb_sync(db, &kit_err));
    before = file_digest(&size); /* closing another handle on the file must not unlock it */
    CHECK_INT(open_in_child(), DYNB_LOCKED);
    after = file_digest(&size);
    CHECK(before == after);
    CHECK_INT(open_in_child(), DYNB_LOCKED);
    MUST(kit_put(db, "Mine", "a", 1));
    MUST(dynb_close(db, &kit_err));
    CHECK_INT(open_in_child(), DYNB_OK);
    MUST(dynb_open(&db, path, &config, &kit_err));
    CHECK_INT(kit_get(db, "Mine", "a"), 1);
    MUST(dynb_close(db, &kit_err));
}

static void test_bad_files(void)
{
    static const char text[] = "#!/bin/sh\necho this is no store, and it must stay as it is\n";
    static char page[8192];
    dynb_config config = base_config();
    uint64_t before, size, length, whole;
    dynb *db;
    uint32_t i;
    use_path("script.sh");
    write_file(text, sizeof text - 1);
    before = file_digest(&size);
    EXPECT(dynb_open(&db, path, &config, &kit_err), DYNB_NOT_A_STORE);
    CHECK(before == file_digest(&size));
    for (i = 0; i < sizeof page; ++i)
        page[i] = (char)(i * 7 + i / 256);
    write_file(page, sizeof page);
    before = file_digest(&size);
    EXPECT(dynb_open(&db, path, &config, &kit_err), DYNB_NOT_A_STORE);
    CHECK(before == file_digest(&size));

    use_path("empty.dynb");
    write_file("", 0);
    MUST(dynb_open(&db, path, &config, &kit_err)); /* an empty file is a new store */
    MUST(kit_create_table(db, "Table", NULL));
    for (i = 0; i < 300; ++i) {
        char id[16];
        snprintf(id, sizeof id, "i%u", i);
        MUST(kit_put(db, "Table", id, i));
    }
    MUST(dynb_wait_idle(db, &kit_err));
    MUST(dynb_close(db, &kit_err));
    (void)file_digest(&whole);
    for (length = whole - 1; length > 64; length = length * 3 / 4) {
        dynb_rc rc;
        CHECK(truncate(path, (off_t)length) == 0);
        rc = dynb_open(&db, path, &config, &kit_err);
        if (rc == DYNB_OK) { /* then nothing of worth was cut off */
            CHECK_INT(kit_get(db, "Table", "i299"), 299);
            (void)dynb_close(db, NULL);
        } else {
            CHECK(rc == DYNB_CORRUPT || rc == DYNB_NOT_A_STORE);
            (void)file_digest(&size);
            CHECK(size == length); /* nothing is repaired by guessing */
        }
    }
}

/* -------------------------------------------------------------- kill loop -- */

/* What the child reports; n is the batch. */
typedef struct message {
    char kind; /* 'w' written, 'b' backed up, 'd' about to delete a backup */
    uint64_t n;
} message;

static const char *const sides[] = {"Left", "Right"};

static uint64_t slot_after(uint64_t n, uint64_t slot)
{
    uint64_t m = n - (n + SLOTS - slot) % SLOTS;
    return n < slot || m > n ? 0 : m;
}

static dynb_rc write_batch(dynb *db, uint64_t n)
{
    dynb_builder builders[6];
    dynb_write writes[6];
    char id[32];
    uint32_t i;
    dynb_rc rc;
    memset(builders, 0, sizeof builders);
    memset(writes, 0, sizeof writes);
    for (i = 0; i < 6; ++i) {
        writes[i].table = sides[i % 2];
        if (i < 2)
            writes[i].item = kit_item(&builders[i], "counter", (int64_t)n);
        else if (i < 4) {
            snprintf(id, sizeof id, "slot-%u", (unsigned)(n % SLOTS));
            writes[i].item = kit_padded_item(&builders[i], id, (int64_t)n, (size_t)(n * 37 % 700));
        } else { /* there are slots that are only there now and then */
            snprintf(id, sizeof id, "blink-%u", (unsigned)(n % 5));
            writes[i].item = kit_item(&builders[i], id, n % 10 < 5 ? (int64_t)n : -1);
            writes[i].is_delete = n % 10 >= 5;
        }
    }
    rc = dynb_batch_write(db, writes, 6, NULL, &kit_err);
    for (i = 0; i < 6; ++i)
        dynb_builder_free(&builders[i]);
    return rc;
}

/* The table is exactly what batches 1..n leave. */
static void check_state(dynb *db, const char *table, uint64_t n)
{
    uint64_t i, m;
    char id[32];
    CHECK_INT(kit_get(db, table, "counter"), n ? (int64_t)n : -1);
    for (i = 0; i < SLOTS; ++i) {
        snprintf(id, sizeof id, "slot-%u", (unsigned)i);
        m = slot_after(n, i);
        CHECK_INT(kit_get(db, table, id), m ? (int64_t)m : -1);
    }
    for (i = 0; i < 5; ++i) {
        snprintf(id, sizeof id, "blink-%u", (unsigned)i);
        for (m = n; m > 0 && m % 5 != i; --m)
            continue;
        CHECK_INT(kit_get(db, table, id), m && m % 10 < 5 ? (int64_t)m : -1);
    }
}

/* All backups: ARN, n from the name, and which side. */
typedef struct found_backup {
    char arn[DYNB_ARN_MAX + 1];
    uint64_t n;
    int ready, right;
} found_backup;

static found_backup found[BACKUPS_MAX];

static uint32_t find_backups(dynb *db)
{
    dynb_list_backups_input input;
    dynb_backup_list list;
    dynb_result result;
    uint32_t i;
    memset(&input, 0, sizeof input);
    memset(&result, 0, sizeof result);
    MUST(dynb_list_backups(db, &input, &list, &result, &kit_err));
    CHECK(list.count <= BACKUPS_MAX);
    for (i = 0; i < list.count && i < BACKUPS_MAX; ++i) {
        snprintf(found[i].arn, sizeof found[i].arn, "%s", list.backups[i].backup_arn);
        found[i].n = strtoull(list.backups[i].backup_name + 2, NULL, 10);
        found[i].ready = list.backups[i].status == DYNB_BACKUP_AVAILABLE;
        found[i].right = strcmp(list.backups[i].source.table_name, "Right") == 0;
    }
    dynb_result_free(&result);
    return i;
}

static void report(int pipe_end, char kind, uint64_t n)
{
    message m;
    memset(&m, 0, sizeof m);
    m.kind = kind;
    m.n = n;
    if (write(pipe_end, &m, sizeof m) != (ssize_t)sizeof m)
        _exit(3);
}

/* Restores a backup to a table that has its n in its name; keeps three such. */
static void child_restore(dynb *db, uint64_t n)
{
    dynb_table_list tables;
    dynb_result result;
    uint32_t count = find_backups(db), i, restored = 0;
    char name[64];
    memset(&result, 0, sizeof result);
    MUST(dynb_list_tables(db, NULL, 0, &tables, &result, &kit_err));
    for (i = 0; i < tables.count; ++i)
        if (tables.table_names[i][0] == 'r' && ++restored > 2)
            MUST(dynb_delete_table(db, tables.table_names[i], NULL, NULL, &kit_err));
    dynb_result_free(&result);
    for (i = 0; i < count && !found[(i + n) % count].ready; ++i)
        continue;
    if (i == count)
        return;
    i = (uint32_t)((i + n) % count);
    snprintf(name, sizeof name, "r-%llu-%llu", (unsigned long long)n,
             (unsigned long long)found[i].n);
    MUST(kit_restore(db, found[i].arn, name));
}

static void child_delete(dynb *db, int pipe_end)
{
    uint32_t count = find_backups(db), i;
    for (i = 0; i < count && count > 8; ++i)
        if (found[i].ready) {
            report(pipe_end, 'd', found[i].n);
            MUST(dynb_delete_backup(db, found[i].arn, NULL, NULL, &kit_err));
            return;
        }
}

static void run_child(const dynb_config *config, int pipe_end)
{
    uint64_t n;
    char name[32];
    dynb *db;
    MUST(dynb_open(&db, path, config, &kit_err));
    if (kit_create_table(db, "Left", NULL) == DYNB_OK)
        report(pipe_end, 'w', 0);
    if (kit_create_table(db, "Right", NULL) == DYNB_OK)
        report(pipe_end, 'w', 0);
    n = (uint64_t)(kit_get(db, "Left", "counter") + 1);
    for (n += n == 0; n < 1000000; ++n) {
        MUST(write_batch(db, n));
        report(pipe_end, 'w', n);
        if (n % 7 == 0) {
            snprintf(name, sizeof name, "b-%llu", (unsigned long long)n);
            MUST(dynb_create_backups(db, sides, 2, name, NULL, NULL, &kit_err));
            report(pipe_end, 'b', n);
        }
        if (n % 11 == 0)
            child_restore(db, n);
        if (n % 3 == 0)
            child_delete(db, pipe_end);
    }
    _exit(4);
}

/* What the parent knows for sure. */
typedef struct knowledge {
    uint64_t written;
    uint64_t backed_up[4096];
    uint32_t backup_count;
    uint64_t rounds, messages;
} knowledge;

static void learn(knowledge *k, const message *m)
{
    uint32_t i;
    ++k->messages;
    if (m->kind == 'w')
        k->written = m->n;
    if (m->kind == 'b' && k->backup_count < 4096)
        k->backed_up[k->backup_count++] = m->n;
    for (i = 0; m->kind == 'd' && i < k->backup_count; ++i)
        if (k->backed_up[i] == m->n)
            k->backed_up[i] = 0;
}

static void kill_one(knowledge *k, const dynb_config *config, uint64_t reports)
{
    int ends[2], status;
    message m;
    pid_t child;
    CHECK(pipe(ends) == 0);
    fflush(stdout);
    child = fork();
    if (child == 0) {
        close(ends[0]);
        run_child(config, ends[1]);
    }
    close(ends[1]);
    while (read(ends[0], &m, sizeof m) == (ssize_t)sizeof m) {
        learn(k, &m);
        if (reports-- == 0)
            kill(child, SIGKILL); /* what is still in the pipe had been acknowledged, too */
    }
    close(ends[0]);
    CHECK(waitpid(child, &status, 0) == child);
    CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    ++k->rounds;
}

static void verify_backups(dynb *db, knowledge *k, int lossless)
{
    uint32_t count, i, b;
    uint64_t sides_seen;
    MUST(dynb_wait_idle(db, &kit_err));
    count = find_backups(db);
    for (i = 0; i < count; ++i) {
        CHECK(found[i].ready);
        MUST(kit_restore(db, found[i].arn, "zz-verify"));
        check_state(db, "zz-verify", found[i].n);
        MUST(dynb_delete_table(db, "zz-verify", NULL, NULL, &kit_err));
    }
    for (b = 0; b < k->backup_count; ++b) {
        if (!k->backed_up[b])
            continue;
        for (sides_seen = i = 0; i < count; ++i)
            sides_seen += found[i].n == k->backed_up[b];
        if (lossless)
            CHECK_INT(sides_seen, 2);
        if (sides_seen != 2)
            k->backed_up[b] = 0; /* buffered: its record was lost */
    }
}

/* lossless: all that was acknowledged must be there. */
static void verify(knowledge *k, const dynb_config *config, int lossless)
{
    dynb_table_list tables;
    dynb_result result;
    int64_t counter;
    uint32_t i;
    dynb *db;
    memset(&result, 0, sizeof result);
    MUST(dynb_open(&db, path, config, &kit_err));
    counter = kit_get(db, "Left", "counter");
    counter = counter < 0 ? 0 : counter;
    CHECK(!lossless || (uint64_t)counter >= k->written);
    CHECK((uint64_t)counter <= k->written + 1); /* at most one was under way */
    check_state(db, "Left", (uint64_t)counter);
    check_state(db, "Right", (uint64_t)counter);
    MUST(dynb_list_tables(db, NULL, 0, &tables, &result, &kit_err));
    for (i = 0; i < tables.count; ++i)
        if (tables.table_names[i][0] == 'r')
            check_state(db, tables.table_names[i],
                        strtoull(strrchr(tables.table_names[i], '-') + 1, NULL, 10));
    dynb_result_free(&result);
    k->written = (uint64_t)counter; /* the next child goes on from there */
    verify_backups(db, k, lossless);
    EXPECT(dynb_check(db, NULL, NULL, NULL, &kit_err), DYNB_OK);
    EXPECT(dynb_scrub(db, &kit_err), DYNB_OK);
    MUST(dynb_close(db, &kit_err));
}

static void test_kill(uint64_t seed)
{
    static const dynb_durability levels[] = {DYNB_TO_OS, DYNB_SYNCED, DYNB_TO_OS, DYNB_BUFFERED};
    static knowledge k;
    dynb_config config = base_config();
    check_random random;
    uint64_t round, rounds = check_env("KILLS", 10);
    random.state = seed;
    use_path("killed.dynb");
    config.page_size_bytes = 1024;
    config.memory_bytes = 256 * 1024;
    config.log_segment_bytes = 65536;
    for (round = 0; round < rounds && check_failed_count < 20; ++round) {
        config.durability = levels[round % 4];
        file_clock.now_ms += 1000000; /* the child's go with it */
        file_ids.state = seed + round;
        kill_one(&k, &config,
                 3 + check_below(&random, config.durability == DYNB_SYNCED ? 150 : 700));
        verify(&k, &config, config.durability != DYNB_BUFFERED);
    }
    printf("    %llu children killed after %llu acknowledged steps\n",
           (unsigned long long)k.rounds, (unsigned long long)k.messages);
}

int main(void)
{
    uint64_t seed = check_seed("test_file");
    const char *where = getenv("TMPDIR");
    snprintf(directory, sizeof directory, "%s/dynbackup-test-XXXXXX", where ? where : "/tmp");
    if (!mkdtemp(directory)) {
        printf("test_file: no directory to work in: %s\n", directory);
        return 1;
    }
    test_open();
    test_lock();
    test_bad_files();
    test_kill(seed);
    remove_directory();
    return check_report("test_file");
}
#endif
