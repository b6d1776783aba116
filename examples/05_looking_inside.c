/* 05 - Looking inside: the log, the runs, and what two backups share.
 *
 *     cc -o inside examples/05_looking_inside.c && ./inside
 *
 * A table is a snapshot plus the changes logged since. A snapshot is a short list
 * of sorted, immutable trees, the runs; each holds the changes of a range of log
 * sequence numbers (LSNs). A backup is a marker: an LSN, and the runs up to it.
 * Two backups list the same runs but for what changed between them. */
#define DYNBACKUP_IMPLEMENTATION
#include "../dynbackup.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_NODES = 64 };

static dynb *db;
static dynb_error err;
static dynb_result result;
static dynb_builder builder;

static void must(dynb_rc rc)
{
    if (rc != DYNB_OK) {
        fprintf(stderr, "%s\n", err.message);
        exit(1);
    }
}

/* A clock and random numbers of our own make every run the same. */
static uint64_t tick(void *ctx)
{
    return *(uint64_t *)ctx += 1000;
}

static uint64_t next_random(void *ctx)
{
    return *(uint64_t *)ctx += 0x1122334455667788u;
}

static void put_batch(int from, int to)
{
    enum { MOST = 200 };
    static char texts[MOST][48];
    static dynb_builder builders[MOST];
    static dynb_write writes[MOST];
    for (int i = from; i < to; ++i) {
        int k = i - from;
        snprintf(texts[k], sizeof texts[k], "line %d of a book that nobody wrote", i);
        dynb_builder_begin(&builders[k]);
        dynb_add_int(&builders[k], "Line", i);
        dynb_add_string(&builders[k], "Text", texts[k], (size_t)-1);
        writes[k].table = "Book";
        must(dynb_builder_finish(&builders[k], &writes[k].item, &err));
    }
    must(dynb_batch_write(db, writes, (uint32_t)(to - from), NULL, &err));
    for (int k = 0; k < to - from; ++k)
        dynb_builder_free(&builders[k]);
}

static int draw_record(void *ctx, const dynb_log_record *record)
{
    const dynb_backup_description *const *backups = (const dynb_backup_description *const *)ctx;
    char bar[41] = "";
    uint32_t length = 1 + record->size_bytes / 256;
    memset(bar, '#', length < 40 ? length : 40);
    printf("  LSN %u  second %2u  %2u change%s  %s", (unsigned)record->lsn,
           (unsigned)(record->time_ms / 1000), (unsigned)record->change_count,
           record->change_count == 1 ? " " : "s", bar);
    for (int i = 0; i < 2; ++i)
        if (backups[i]->lsn == record->lsn)
            printf(" <- marker of %s, %s", backups[i]->backup_name,
                   strrchr(backups[i]->backup_arn, '/') + 1);
    printf("\n");
    return 0;
}

typedef struct nodes {
    dynb_node_info of[MAX_NODES];
    int count;
} nodes;

static int gather(void *ctx, const dynb_node_info *node)
{
    nodes *list = (nodes *)ctx;
    list->of[list->count++] = *node;
    return list->count == MAX_NODES;
}

/* One line a run: a letter for each node, the same letter for the same node. */
static void draw_runs(const char *title, const nodes *list, const nodes *all)
{
    printf("%s\n", title);
    for (int i = 0; i < list->count; ++i) {
        const dynb_node_info *node = &list->of[i];
        if (i == 0 || node->run_index != node[-1].run_index)
            printf("  run of LSN %u to %u, %u entries ", (unsigned)node->run_from_lsn + 1,
                   (unsigned)node->run_to_lsn, (unsigned)node->entry_count);
        for (int k = 0; k < all->count; ++k)
            if (all->of[k].page == node->page) {
                printf(node->level ? " (%c)" : " %c", 'A' + k % 26);
                break;
            }
        if (i + 1 == list->count || node[1].run_index != node->run_index)
            printf("\n");
    }
}

int main(void)
{
    uint64_t clock = 0, seed = 0;
    dynb_config config = {.clock_fn = tick, .clock_ctx = &clock, .random_fn = next_random,
                          .random_ctx = &seed, .page_size_bytes = 512, .manual_work = 1};
    dynb_create_table_input table = {.table_name = "Book", .partition_key = {"Line", DYNB_N}};
    dynb_backup_description first, second;
    dynb_result first_result = {0}, second_result = {0};
    const dynb_backup_description *backups[2] = {&first, &second};
    static nodes in_first, in_second, all;

    must(dynb_open(&db, NULL, &config, &err));
    must(dynb_create_table(db, &table, NULL, NULL, &err));
    put_batch(0, 60);
    must(dynb_create_backup(db, "Book", "first-draft", &first, &first_result, &err));
    put_batch(50, 65);
    must(dynb_create_backup(db, "Book", "second-draft", &second, &second_result, &err));
    printf("The log, a # for each 256 bytes:\n");
    must(dynb_inspect_log(db, draw_record, backups, &err));

    must(dynb_wait_idle(db, &err));
    must(dynb_inspect_nodes(db, first.backup_arn, gather, &in_first, &err));
    must(dynb_inspect_nodes(db, second.backup_arn, gather, &in_second, &err));
    all = in_first;
    for (int i = 0; i < in_second.count && all.count < MAX_NODES; ++i) {
        int known = 0;
        for (int k = 0; k < all.count; ++k)
            known |= all.of[k].page == in_second.of[i].page;
        if (!known)
            all.of[all.count++] = in_second.of[i];
    }
    printf("\nThe nodes, a letter each; in parentheses those that point to others:\n");
    draw_runs("first-draft", &in_first, &all);
    draw_runs("second-draft", &in_second, &all);
    printf("Both need %d nodes; there are %d.\n", in_first.count + in_second.count, all.count);

    dynb_builder_free(&builder);
    dynb_result_free(&first_result);
    dynb_result_free(&second_result);
    dynb_result_free(&result);
    return dynb_close(db, &err) != DYNB_OK;
}

/* Expected output:
The log, a # for each 256 bytes:
  LSN 1  second  2   0 changes  #
  LSN 2  second  4   1 change   #
  LSN 3  second  5  60 changes  #############
  LSN 4  second  8   1 change   # <- marker of first-draft, 00000000007000-2dbb914c
  LSN 5  second  9  15 changes  ####
  LSN 6  second 12   1 change   # <- marker of second-draft, 00000000011000-e02aadae

The nodes, a letter each; in parentheses those that point to others:
first-draft
  run of LSN 2 to 3, 60 entries  (A) B C D E F G H I
second-draft
  run of LSN 4 to 5, 15 entries  (J) K L
  run of LSN 2 to 3, 60 entries  (A) B C D E F G H I
Both need 21 nodes; there are 12.
 */
