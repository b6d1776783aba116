/* vectors.h - reads the files in tests/vectors: a request and what answers it, a line
 * each. Shared by the programs that make the calls in C and over HTTP.
 *
 * Columns, parted by tabs: operation, request, status, type, message, source.
 * Lines that start with # are comments. In request and message stand for others:
 *
 *     <<TEXT*N>>  TEXT, N times; % in it is 1, 2, ... N
 *     <<TEXT,*N>> likewise, with a comma after each
 *     <<NAME>>    what a line of setup.tsv named NAME gave as its BackupArn
 *     <<now>>     seconds since 1970 of the clock, also <<now+N>>, <<now-N>>
 *
 * status * means any; type is what follows com.amazon.coral. or
 * com.amazonaws.dynamodb. in __type. The message of an error is compared whole,
 *
 *     {a|b}            either of them
 *     *                anything, in it
 *     (none)           there must be none
 *     (no shape error) status *: an answer, or an error not of the shape
 *
 * and the parts of "N validation errors detected" may come in any order. Of an
 * answer with status 200 the message is a part of the body, or empty. */
#ifndef VECTORS_H
#define VECTORS_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"

typedef struct vector {
    const char *file;
    int line;
    const char *operation;
    const char *request;
    const char *status; /* digits or * */
    const char *type;
    const char *message;
    const char *source;
} vector;

/* What <<...>> may name. */
typedef struct vector_names {
    char name[16][32];
    char value[16][1100];
    int count;
    double now; /* seconds */
} vector_names;

static inline void vector_name(vector_names *names, const char *name, const char *value,
                               size_t length)
{
    int i = 0;
    while (i < names->count && strcmp(names->name[i], name) != 0)
        ++i;
    if (i == 16 || strlen(name) >= 32 || length >= 1100)
        return;
    names->count += i == names->count;
    strcpy(names->name[i], name);
    memcpy(names->value[i], value, length);
    names->value[i][length] = 0;
}

typedef struct vector_text {
    char *bytes;
    size_t length;
    size_t capacity;
} vector_text;

static inline void vector_put(vector_text *text, const char *from, size_t length)
{
    if (text->length + length + 1 > text->capacity) {
        text->capacity = 2 * (text->length + length + 1);
        text->bytes = (char *)realloc(text->bytes, text->capacity);
        if (!text->bytes)
            abort();
    }
    memcpy(text->bytes + text->length, from, length);
    text->length += length;
    text->bytes[text->length] = 0;
}

/* The whole file, or NULL; to be freed. */
static inline char *vector_read(const char *path)
{
    FILE *file = fopen(path, "rb");
    vector_text text = {NULL, 0, 0};
    char part[4096];
    size_t length = 1;
    if (!file)
        return NULL;
    vector_put(&text, "", 0);
    for (; length; vector_put(&text, part, length))
        length = fread(part, 1, sizeof part, file);
    fclose(file);
    return text.bytes;
}

/* Calls fn for each vector of a file; returns how many, -1 if it cannot be
 * read. fn returns nonzero to stop. The file is closed by then: a child process
 * that fn starts would share our place in it. */
static inline int vectors_each(const char *path, int (*fn)(void *ctx, const vector *v), void *ctx)
{
    char *all = vector_read(path), *next = all;
    int count = 0, number = 0;
    if (!all)
        return -1;
    while (*next) {
        char *column[6], *at = next;
        vector v;
        int i;
        ++number;
        next += strcspn(next, "\n");
        if (*next)
            *next++ = 0;
        if (!at[0] || at[0] == '#')
            continue;
        for (i = 0; i < 6; ++i) {
            column[i] = at;
            at += strcspn(at, "\t");
            if (*at)
                *at++ = 0;
        }
        v.file = path;
        v.line = number;
        v.operation = column[0];
        v.request = column[1];
        v.status = column[2];
        v.type = column[3];
        v.message = column[4];
        v.source = column[5];
        ++count;
        if (fn(ctx, &v))
            break;
    }
    free(all);
    return count;
}

static inline void vector_put_number(vector_text *text, long long number)
{
    char digits[32];
    vector_put(text, digits, (size_t)snprintf(digits, sizeof digits, "%lld", number));
}

/* What stands between << and >>. */
static inline void vector_put_named(vector_text *text, const vector_names *names,
                                    const char *what, size_t length)
{
    size_t star = length, i;
    int n;
    for (n = 0; n < names->count; ++n) {
        if (strlen(names->name[n]) == length && !memcmp(names->name[n], what, length)) {
            vector_put(text, names->value[n], strlen(names->value[n]));
            return;
        }
    }
    if (length >= 3 && !memcmp(what, "now", 3)) {
        vector_put_number(text, (long long)names->now + strtoll(what + 3, NULL, 10));
        return;
    }
    while (star > 0 && what[star - 1] != '*')
        --star;
    for (n = 1; star && n <= atoi(what + star); ++n) {
        for (i = 0; i + 1 < star; ++i) {
            if (what[i] == '%')
                vector_put_number(text, n);
            else
                vector_put(text, what + i, 1);
        }
    }
}

/* The text with all <<...>> replaced; to be freed. */
static inline char *vector_expand(const char *from, const vector_names *names, size_t *length)
{
    vector_text text = {NULL, 0, 0};
    vector_put(&text, "", 0);
    while (*from) {
        const char *open = strstr(from, "<<"), *close = open ? strstr(open, ">>") : NULL;
        if (!close) {
            vector_put(&text, from, strlen(from));
            break;
        }
        vector_put(&text, from, (size_t)(open - from));
        vector_put_named(&text, names, open + 2, (size_t)(close - open - 2));
        from = close + 2;
    }
    *length = text.length;
    return text.bytes;
}

/* The string member of that name in a flat JSON object, without its escapes, or
 * NULL; to be freed. */
static inline char *vector_member(const char *body, const char *name)
{
    char key[64];
    const char *at;
    vector_text text = {NULL, 0, 0};
    (void)snprintf(key, sizeof key, "\"%s\":\"", name);
    at = strstr(body, key);
    if (!at)
        return NULL;
    vector_put(&text, "", 0);
    for (at += strlen(key); *at && *at != '"'; ++at) {
        char c = *at;
        if (c == '\\') {
            ++at;
            c = *at == 'n' ? '\n' : *at == 't' ? '\t' : *at == 'r' ? '\r' : *at;
            if (*at == 'b' || *at == 'f')
                c = *at == 'b' ? '\b' : '\f';
            if (*at == 'u') {
                char hex[5] = {0, 0, 0, 0, 0};
                memcpy(hex, at + 1, 4);
                c = (char)strtol(hex, NULL, 16); /* we escape control characters only */
                c = c ? c : 1;
                at += 4;
            }
        }
        vector_put(&text, &c, 1);
    }
    return text.bytes;
}

/* Nonzero if the text is as the pattern says, in which * is anything. */
static inline int vector_glob(const char *pattern, size_t size, const char *text, size_t length)
{
    size_t p = 0, t = 0, star = (size_t)-1, from = 0;
    while (t < length) {
        if (p < size && pattern[p] == '*') {
            star = p++;
            from = t;
        } else if (p < size && pattern[p] == text[t]) {
            ++p;
            ++t;
        } else if (star != (size_t)-1) {
            p = star + 1;
            t = ++from;
        } else {
            return 0;
        }
    }
    while (p < size && pattern[p] == '*')
        ++p;
    return p == size;
}

/* The parts of a list of violations: where each starts. */
static inline int vector_parts(const char *text, const char *part[16])
{
    int count = 0;
    const char *at = strstr(text, " detected: ");
    if (!at || at - text > 24)
        return 0;
    for (at += 11; at && count < 15; ++count) {
        part[count] = at;
        at = strstr(at, "; Value ");
        at = at ? at + 2 : NULL;
    }
    part[count] = text + strlen(text) + 2;
    return count;
}

/* Each of the expected parts is there, in any order. */
static inline int vector_parts_fit(const char *expected, const char *got)
{
    const char *a[16], *b[16];
    int used[16] = {0}, count = vector_parts(expected, a), i, k;
    if (!count || count != vector_parts(got, b) ||
        strtol(expected, NULL, 10) != strtol(got, NULL, 10))
        return 0;
    for (i = 0; i < count; ++i) {
        for (k = 0; k < count; ++k) {
            if (!used[k] && vector_glob(a[i], (size_t)(a[i + 1] - a[i]) - 2, b[k],
                                        (size_t)(b[k + 1] - b[k]) - 2))
                break;
        }
        if (k == count)
            return 0;
        used[k] = 1;
    }
    return 1;
}

/* The message is one of those expected. */
static inline int vector_message_fits(const char *expected, const char *got)
{
    size_t size = strlen(expected);
    if (size > 2 && expected[0] == '{' && expected[size - 1] == '}') {
        const char *at = expected + 1, *end = expected + size - 1;
        while (at < end) {
            const char *bar = at;
            while (bar < end && *bar != '|')
                ++bar;
            if (vector_glob(at, (size_t)(bar - at), got, strlen(got)))
                return 1;
            at = bar + 1;
        }
        return 0;
    }
    return vector_glob(expected, size, got, strlen(got)) || vector_parts_fit(expected, got);
}

/* Nonzero if this answer is what the vector wants; body ends with NUL. */
static inline int vector_fits(const vector *v, const char *message, int status, const char *body)
{
    char *type = vector_member(body, "__type"), *text;
    const char *tail = type ? type : "";
    const int is_capital =
        strstr(tail, "SerializationException") || strstr(tail, "AccessDeniedException");
    int fits;
    if (!strncmp(tail, "com.amazon.coral.", 17))
        tail += 17;
    else if (!strncmp(tail, "com.amazonaws.dynamodb.", 23))
        tail += 23;
    text = vector_member(body, is_capital ? "Message" : "message");
    if (!strcmp(v->status, "*"))
        fits = status == 200 || (status == 400 && strcmp(tail, "service#SerializationException") &&
                                 !(text && strstr(text, "validation error")));
    else if (atoi(v->status) == 200)
        fits = status == 200 && strstr(body, message) != NULL;
    else if (!strcmp(v->message, "(none)"))
        fits = status == atoi(v->status) && !strcmp(tail, v->type) && !text;
    else
        fits = status == atoi(v->status) && !strcmp(tail, v->type) && text &&
               vector_message_fits(message, text);
    free(type);
    free(text);
    return fits;
}

/* Who answers vectors. A call that fails has changed nothing, so a store serves
 * until a call succeeds. */
typedef struct vector_store {
    void (*open_fn)(struct vector_store *store); /* an empty one, then vectors_set_up */
    /* Fills status and body, which ends with NUL. */
    void (*call_fn)(struct vector_store *store, const char *operation, const char *request,
                    size_t length);
    void (*close_fn)(struct vector_store *store);
    int status;
    const char *body;
    vector_names names;
    int is_http; /* where no operation's name can end with a space */
    int is_open;
    int failed_count;
} vector_store;

static inline void vector_call(vector_store *store, const vector *v)
{
    size_t length;
    char *request = vector_expand(v->request, &store->names, &length);
    store->call_fn(store, v->operation, request, length);
    free(request);
}

static inline int vector_set_up(void *ctx, const vector *v)
{
    vector_store *store = (vector_store *)ctx;
    char *arn;
    int tries = 0;
    do {
        vector_call(store, v);
    } while (store->status == 200 && !strstr(store->body, v->message) && ++tries < 100000);
    if (store->status != 200 || !strstr(store->body, v->message)) {
        printf("%s:%d: %s\n", v->file, v->line, store->body);
        CHECK(!"a step of the setup");
    }
    arn = *v->source ? vector_member(store->body, "BackupArn") : NULL;
    if (arn)
        vector_name(&store->names, v->source, arn, strlen(arn));
    free(arn);
    return 0;
}

static inline void vectors_set_up(vector_store *store)
{
    CHECK(vectors_each("vectors/setup.tsv", vector_set_up, store) > 0);
}

static inline int vector_try(void *ctx, const vector *v)
{
    vector_store *store = (vector_store *)ctx;
    size_t length;
    char *message;
    int fits;
    if (store->is_http && v->operation[0] && v->operation[strlen(v->operation) - 1] == ' ')
        return 0;
    if (!store->is_open)
        store->open_fn(store);
    store->is_open = 1;
    vector_call(store, v);
    message = vector_expand(v->message, &store->names, &length);
    fits = vector_fits(v, message, store->status, store->body);
    if (!fits && ++store->failed_count <= 40)
        printf("%s:%d: %s %.300s\n    got    %d %.600s\n    wanted %s %s %.600s\n", v->file,
               v->line, v->operation, v->request, store->status, store->body, v->status, v->type,
               message);
    CHECK(fits);
    free(message);
    if (store->status == 200) {
        store->close_fn(store);
        store->is_open = 0;
    }
    return 0;
}

/* All files, or those that are named on the command line. */
static inline void vectors_try(vector_store *store, int argc, char **argv)
{
    static const char *const files[] = {"vectors/types.tsv", "vectors/shapes.tsv",
                                        "vectors/refused.tsv", "vectors/tables.tsv",
                                        "vectors/items.tsv", "vectors/backups.tsv"};
    int i, count;
    for (i = 0; argc < 2 && i < (int)(sizeof files / sizeof *files); ++i) {
        count = vectors_each(files[i], vector_try, store);
        printf("    %s: %d vectors\n", files[i], count);
        CHECK(count > 0);
    }
    for (i = 1; i < argc; ++i)
        CHECK(vectors_each(argv[i], vector_try, store) > 0);
    if (store->is_open)
        store->close_fn(store);
}

#endif
