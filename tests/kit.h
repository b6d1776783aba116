/* kit.h - what the storage tests share: a clock and ids that repeat, checks of
 * a call's code and message, and short ways to build items.
 *
 * Every call gets &kit_err as its dynb_error; the checks show it when the code
 * is not the expected one. MUST is for steps without which the rest of the
 * program makes no sense: it ends the program. */
#ifndef KIT_H
#define KIT_H

#include "../dynbackup.h"
#include "check.h"

static dynb_error kit_err;

/* Copies a text, cut short where there is no room. */
static inline void kit_copy(char *to, size_t size, const char *text)
{
    size_t length = strlen(text);
    length = length < size ? length : size - 1;
    memmove(to, text, length);
    to[length] = 0;
}

/* A clock that moves step_ms at each look: two looks never show the same time
 * unless step_ms is 0. */
typedef struct kit_clock {
    uint64_t now_ms;
    uint64_t step_ms;
} kit_clock;

static inline uint64_t kit_clock_now(void *ctx)
{
    kit_clock *clock = (kit_clock *)ctx;
    clock->now_ms += clock->step_ms;
    return clock->now_ms;
}

static inline uint64_t kit_random64(void *ctx)
{
    return check_next((check_random *)ctx);
}

static inline const char *kit_code_name(dynb_rc rc)
{
    static const char *const names[] = {
#define KIT_NAME(name, exception, status, text) #name,
        DYNB_ERRORS(KIT_NAME)
#undef KIT_NAME
    };
    return (unsigned)rc < (unsigned)DYNB_ERROR_COUNT ? names[rc] : "not a code";
}

static inline int kit_expect(dynb_rc got, dynb_rc expected, const char *text, const char *file,
                             int line)
{
    if (got != expected && check_failed_count < 20)
        printf("%s:%d: got %s (\"%s\"), expected %s\n", file, line, kit_code_name(got),
               got == DYNB_OK ? "" : kit_err.message, kit_code_name(expected));
    if (got == expected && got != DYNB_OK && kit_err.code != got && check_failed_count < 20)
        printf("%s:%d: returned %s but err.code is %s\n", file, line, kit_code_name(got),
               kit_code_name(kit_err.code));
    check_note(got == expected && (got == DYNB_OK || kit_err.code == got), file, line, text);
    return got == expected;
}

/* The call (with &kit_err as its last argument) returns this code. */
#define EXPECT(call, rc)                                                  \
    (memset(&kit_err, 0, sizeof kit_err), kit_expect((call), (rc), #call, __FILE__, __LINE__))

/* ... and this message, word for word. */
#define EXPECT_MESSAGE(call, rc, text)            \
    do {                                          \
        if (EXPECT(call, rc))                     \
            CHECK_TEXT(kit_err.message, (text)); \
    } while (0)

/* ... and a message that holds this text. */
#define EXPECT_ABOUT(call, rc, text)                                             \
    do {                                                                         \
        if (EXPECT(call, rc)) {                                                  \
            if (!strstr(kit_err.message, (text)))                                \
                printf("%s:%d: message \"%s\"\n", __FILE__, __LINE__, kit_err.message); \
            CHECK(strstr(kit_err.message, (text)) != NULL);                      \
        }                                                                        \
    } while (0)

static inline void kit_must(dynb_rc got, const char *text, const char *file, int line)
{
    if (got == DYNB_OK)
        return;
    printf("%s:%d: %s gave %s (\"%s\"): cannot go on\n", file, line, text, kit_code_name(got),
           kit_err.message);
    printf("FAILED\n");
    exit(1);
}

#define MUST(call) (memset(&kit_err, 0, sizeof kit_err), \
                    kit_must((call), #call, __FILE__, __LINE__))

/* -------------------------------------------------------------- items -- */

static inline dynb_item kit_finish(dynb_builder *builder)
{
    dynb_item item;
    MUST(dynb_builder_finish(builder, &item, &kit_err));
    return item;
}

/* The item of this DynamoDB JSON, written with ' for ". */
static inline dynb_item kit_json(dynb_builder *builder, const char *text)
{
    char json[4096];
    size_t length = strlen(text), i;
    dynb_item item;
    if (length >= sizeof json) {
        printf("kit_json: text too long\n");
        exit(1);
    }
    for (i = 0; i < length; ++i)
        json[i] = text[i] == '\'' ? '"' : text[i];
    MUST(dynb_item_from_json(builder, json, length, &item, &kit_err));
    return item;
}

/* {Id: S, v: N}, and {Id: S} for v below 0: the item or key most tests need. */
static inline dynb_item kit_item(dynb_builder *builder, const char *id, int64_t v)
{
    dynb_builder_begin(builder);
    dynb_add_string(builder, "Id", id, (size_t)-1);
    if (v >= 0)
        dynb_add_int(builder, "v", v);
    return kit_finish(builder);
}

/* The same with padding of this many bytes, which differ from v to v. */
static inline dynb_item kit_padded_item(dynb_builder *builder, const char *id, int64_t v,
                                        size_t pad_bytes)
{
    uint8_t *pad = (uint8_t *)malloc(pad_bytes ? pad_bytes : 1);
    size_t i;
    check_random random;
    random.state = (uint64_t)v * 77 + pad_bytes;
    for (i = 0; i < pad_bytes; ++i)
        pad[i] = (uint8_t)check_next(&random);
    dynb_builder_begin(builder);
    dynb_add_string(builder, "Id", id, (size_t)-1);
    dynb_add_int(builder, "v", v);
    dynb_add_binary(builder, "pad", pad, pad_bytes);
    free(pad);
    return kit_finish(builder);
}

/* Creates a table with partition key Id (S) and, if sort is not NULL, that sort
 * key (N). */
static inline dynb_rc kit_create_table(dynb *db, const char *name, const char *sort)
{
    dynb_create_table_input input;
    memset(&input, 0, sizeof input);
    input.table_name = name;
    input.partition_key.name = "Id";
    input.partition_key.type = DYNB_S;
    if (sort) {
        input.sort_key.name = sort;
        input.sort_key.type = DYNB_N;
    }
    return dynb_create_table(db, &input, NULL, NULL, &kit_err);
}

/* v of the item with that Id, or -1 when there is no such item. */
static inline int64_t kit_get(dynb *db, const char *table, const char *id)
{
    static dynb_builder builder;
    static dynb_result result;
    dynb_item found;
    int64_t v = -1;
    MUST(dynb_get_item(db, table, kit_item(&builder, id, -1), &found, &result, &kit_err));
    if (found.bytes && !dynb_value_int(dynb_item_get(found, "v"), &v))
        v = -2;
    dynb_builder_free(&builder);
    dynb_result_free(&result);
    return v;
}

static inline dynb_rc kit_put(dynb *db, const char *table, const char *id, int64_t v)
{
    static dynb_builder builder;
    dynb_rc rc = dynb_put_item(db, table, kit_item(&builder, id, v), NULL, NULL, NULL, &kit_err);
    dynb_builder_free(&builder);
    return rc;
}

static inline dynb_rc kit_delete(dynb *db, const char *table, const char *id)
{
    static dynb_builder builder;
    dynb_rc rc = dynb_delete_item(db, table, kit_item(&builder, id, -1), NULL, NULL, NULL,
                                  &kit_err);
    dynb_builder_free(&builder);
    return rc;
}

/* Restores without a look at the description. */
static inline dynb_rc kit_restore(dynb *db, const char *arn, const char *target)
{
    dynb_restore_input input;
    memset(&input, 0, sizeof input);
    input.target_table_name = target;
    input.backup_arn = arn;
    return dynb_restore_table_from_backup(db, &input, NULL, NULL, &kit_err);
}

#endif
