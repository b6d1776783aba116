/* dynb - a shell for dynbackup stores: what sqlite3 is to SQLite.
 *
 *     cc -O2 -o dynb examples/dynb.c
 *     ./dynb demo                     see it work on real data
 *     ./dynb help                     all commands
 *     ./dynb shop.dynb tables         one command on the store in shop.dynb
 *     ./dynb shop.dynb                a prompt, or a script on standard input
 *
 * Exit codes: 0 done, 1 failed, 2 wrong usage.
 *
 * Contents: output and complaints, arguments, sessions, tables, items, load and
 * dump, backups, looking inside, demo, the command table, main. */
#define DYNBACKUP_IMPLEMENTATION
#include "../dynbackup.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#ifdef _WIN32
#include <io.h>
#define isatty _isatty
#define fileno _fileno
#else
#include <unistd.h>
#endif

enum { DONE = 0, FAILED = 1, USAGE = 2 };

typedef struct command command;

/* What every command gets. The results and the builder are kept from command
 * to command, as their memory may be used again. */
typedef struct shell {
    dynb *db;
    const char *path;          /* of the store; NULL: none named */
    const char *program;       /* argv[0], which may show where the data are */
    const command *running;    /* for usage messages */
    int in_session;            /* commands come from standard input ... */
    int prompting;             /* ... which is a terminal */
    unsigned long line_number; /* of that input */
    dynb_result result;
    dynb_result other_result;
    dynb_builder builder;
    dynb_error err;
} shell;

typedef struct arguments {
    char **words;
    int count;
    int options_end; /* words from here on are no options: there was a "--" */
    const char *bad; /* an option that lacks its value */
} arguments;

/* What a command does to the store, hence how it is opened. */
enum { NO_STORE, READS, WRITES, CREATES };

struct command {
    const char *name;
    int access;
    int min_words, max_words; /* after the options are taken */
    int (*run_fn)(shell *s, arguments *a);
    const char *usage; /* what follows the name */
    const char *summary;
    const char *details;
};

/* ------------------------------------------- output and complaints -- */

#if defined(__GNUC__) || defined(__clang__)
#define PRINTF_LIKE(text, first) __attribute__((format(printf, text, first)))
#else
#define PRINTF_LIKE(text, first)
#endif

static int complain(const shell *s, const char *format, ...) PRINTF_LIKE(2, 3);

/* Says what failed; returns FAILED, so that a caller can return it. */
static int complain(const shell *s, const char *format, ...)
{
    va_list list;
    fflush(stdout);
    fputs("dynb: ", stderr);
    if (s->in_session && !s->prompting)
        fprintf(stderr, "stdin:%lu: ", s->line_number);
    va_start(list, format);
    vfprintf(stderr, format, list);
    va_end(list);
    fputc('\n', stderr);
    return FAILED;
}

static const char *program_words(const shell *s)
{
    if (s->in_session)
        return "";
    return s->running->access == NO_STORE ? "dynb " : "dynb FILE ";
}

static int misused(const shell *s, const char *format, ...) PRINTF_LIKE(2, 3);

static int misused(const shell *s, const char *format, ...)
{
    va_list list;
    fflush(stdout);
    fprintf(stderr, "dynb: %s: ", s->running->name);
    va_start(list, format);
    vfprintf(stderr, format, list);
    va_end(list);
    fprintf(stderr, "\nusage: %s%s%s%s\n", program_words(s), s->running->name,
            s->running->usage[0] ? " " : "", s->running->usage);
    return USAGE;
}

/* Names an error as the service does where it has a name for it. */
static int complain_error(const shell *s, const char *place, const dynb_error *err)
{
    const char *exception = dynb_rc_exception(err->code);
    int named = strcmp(exception, "InternalServerError") && err->code != DYNB_INVALID_ARGUMENT;
    return complain(s, "%s%s%s%s%s", place ? place : "", place ? ": " : "", named ? exception : "",
                    named ? ": " : "", err->message[0] ? err->message : dynb_rc_text(err->code));
}

static int failed(const shell *s)
{
    return complain_error(s, NULL, &s->err);
}

/* "1,234,567"; returns its argument, so that it fits into a printf. */
static const char *grouped(char out[32], uint64_t number)
{
    char digits[24];
    size_t i, at = 0, length;
    snprintf(digits, sizeof digits, "%" PRIu64, number);
    length = strlen(digits);
    for (i = 0; i < length; ++i) {
        if (i && (length - i) % 3 == 0)
            out[at++] = ',';
        out[at++] = digits[i];
    }
    out[at] = 0;
    return out;
}

/* "2026-11-22 15:09:01.123 UTC" from milliseconds since 1970. */
static const char *date_text(char out[40], uint64_t ms)
{
    time_t seconds = (time_t)(ms / 1000);
    struct tm *t = gmtime(&seconds);
    char text[24];
    if (!t || !strftime(text, sizeof text, "%Y-%m-%d %H:%M:%S", t))
        snprintf(out, 40, "%" PRIu64 " ms", ms);
    else
        snprintf(out, 40, "%s.%03d UTC", text, (int)(ms % 1000));
    return out;
}

/* Reads what date_text writes, or 2026-11-22T15:09:01.123Z, or a part of it from
 * the left down to the day; or milliseconds since 1970. */
static int parse_date(const char *text, uint64_t *out)
{
    static const int days[] = {0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334};
    int year, month, day, hour = 0, minute = 0, second = 0, ms = 0, fields, leaps;
    char between = 'T';
    if (strlen(text) > 10 && strspn(text, "0123456789") == strlen(text)) {
        *out = (uint64_t)strtoull(text, NULL, 10);
        return 1;
    }
    fields = sscanf(text, "%4d-%2d-%2d%c%2d:%2d:%2d.%3d", &year, &month, &day, &between, &hour,
                    &minute, &second, &ms);
    if (fields < 3 || year < 1970 || month < 1 || month > 12 || day < 1 || day > 31 ||
        (between != 'T' && between != ' ') || hour < 0 || hour > 23 || minute < 0 ||
        minute > 59 || second < 0 || second > 60 || ms < 0)
        return 0;
    leaps = year - (month < 3);
    leaps = leaps / 4 - leaps / 100 + leaps / 400 - 477; /* since 1970 */
    day += (year - 1970) * 365 + leaps + days[month - 1] - 1;
    *out = (uint64_t)day * 86400000u + (uint64_t)hour * 3600000u + (uint64_t)minute * 60000u +
           (uint64_t)second * 1000u + (uint64_t)ms;
    return 1;
}

static const char *type_name(dynb_type type)
{
    static const char *const names[] = {"-",  "S",  "N",  "B", "BOOL", "NULL",
                                        "SS", "NS", "BS", "L", "M"};
    return type <= DYNB_M ? names[type] : "?";
}

/* A line that is drawn over and over, for a person at a terminal only. */
static void draw_progress(const char *what, uint64_t done, uint64_t total, uint64_t items)
{
    char bar[41], text[32];
    int i, filled = total ? (int)(done >= total ? 40 : done * 40 / total) : 0;
    if (!isatty(fileno(stderr)))
        return;
    for (i = 0; i < 40; ++i)
        bar[i] = i < filled ? '#' : '.';
    bar[40] = 0;
    if (total)
        fprintf(stderr, "\r%s [%s] %3d %%  %s items ", what, bar, filled * 100 / 40,
                grouped(text, items));
    else
        fprintf(stderr, "\r%s  %s items ", what, grouped(text, items));
    fflush(stderr);
}

static void clear_progress(void)
{
    if (isatty(fileno(stderr)))
        fprintf(stderr, "\r%78s\r", "");
}

/* ------------------------------------------------------- arguments -- */

/* Takes an option and its values out of the words, wherever it stands.
 * Returns where the values are now (behind the last word), or NULL. */
static char **take_option(arguments *a, const char *name, int value_count)
{
    int i, j, end = a->options_end < a->count ? a->options_end : a->count;
    for (i = 0; i < end; ++i) {
        if (strcmp(a->words[i], name))
            continue;
        if (i + value_count >= end) {
            a->bad = name;
            return NULL;
        }
        for (j = 0; j <= value_count; ++j) { /* one word at a time to the end */
            char *word = a->words[i];
            memmove(&a->words[i], &a->words[i + 1],
                    (size_t)(a->count - i - 1) * sizeof a->words[0]);
            a->words[a->count - 1] = word;
        }
        a->count -= value_count + 1;
        a->options_end -= value_count + 1;
        return &a->words[a->count + 1];
    }
    return NULL;
}

/* After the options are taken: is what is left as many words as there may be? */
static int check_words(const shell *s, arguments *a)
{
    int i;
    if (a->bad)
        return misused(s, "%s needs a value", a->bad);
    for (i = 0; i < a->count && i < a->options_end; ++i)
        if (!strncmp(a->words[i], "--", 2) && a->words[i][2])
            return misused(s, "unknown option %s", a->words[i]);
    if (a->count < s->running->min_words)
        return misused(s, "something is missing");
    if (a->count > s->running->max_words)
        return misused(s, "\"%s\" is one word too many", a->words[s->running->max_words]);
    return DONE;
}

static int parse_number(const char *text, uint64_t max, uint64_t *out)
{
    uint64_t value = 0;
    const char *p = text;
    for (; *p >= '0' && *p <= '9'; ++p) {
        uint64_t digit = (uint64_t)(*p - '0');
        if (value > (max - digit) / 10)
            return 0;
        value = value * 10 + digit;
    }
    *out = value;
    return p > text && !*p;
}

/* --limit N; 0 stands for "no limit". */
static int take_limit(const shell *s, arguments *a, uint64_t *limit)
{
    char **value = take_option(a, "--limit", 1);
    *limit = 0;
    if (value && (!parse_number(value[0], UINT32_MAX, limit) || !*limit))
        return misused(s, "--limit needs a number from 1, not \"%s\"", value[0]);
    return DONE;
}

/* Cuts the next of a list of names at its comma; NULL when there is none left. */
static char *next_name(char **list)
{
    char *name = *list, *comma = name ? strchr(name, ',') : NULL;
    if (comma)
        *comma = 0;
    *list = comma ? comma + 1 : NULL;
    return name;
}

/* -------------------------------------------------------- sessions -- */

static int open_store(shell *s, int access)
{
    dynb_config config;
    memset(&config, 0, sizeof config);
    config.no_create = access != CREATES;
    config.read_only = access == READS;
    if (config.no_create) {
        FILE *file = fopen(s->path, "rb");
        int is_there = file && fgetc(file) != EOF;
        if (file)
            fclose(file);
        if (!is_there)
            return complain(s, "there is no store in %s (\"dynb %s create TABLE KEY:S\" makes one)",
                            s->path, s->path);
    }
    if (dynb_open(&s->db, s->path, &config, &s->err))
        return complain_error(s, strstr(s->err.message, s->path) ? NULL : s->path, &s->err);
    return DONE;
}

static int close_store(shell *s)
{
    dynb *db = s->db;
    s->db = NULL;
    if (db && dynb_close(db, &s->err))
        return complain_error(s, s->path, &s->err);
    return DONE;
}

/* ---------------------------------------------------------- tables -- */

typedef struct table_options {
    dynb_table_settings settings;
    uint32_t change; /* DYNB_CHANGE_* of what was given */
    dynb_tag tags[DYNB_TAGS_MAX];
    uint32_t tag_count;
} table_options;

static int take_throughput(const shell *s, arguments *a, const char *name, dynb_throughput *out,
                           int *given)
{
    char **values = take_option(a, name, 2);
    *given = values != NULL;
    if (values && (!parse_number(values[0], UINT64_MAX, &out->read_units) ||
                   !parse_number(values[1], UINT64_MAX, &out->write_units)))
        return misused(s, "%s needs two numbers, READ and WRITE units", name);
    return DONE;
}

/* An option whose value is one of a few words; returns its index in *out. */
static int take_choice(const shell *s, arguments *a, const char *name, const char *const *choices,
                       int *out, int *given)
{
    char **value = take_option(a, name, 1);
    *given = value != NULL;
    if (!value)
        return DONE;
    for (*out = 0; choices[*out]; ++*out)
        if (!strcmp(value[0], choices[*out]))
            return DONE;
    return misused(s, "%s cannot be \"%s\"", name, value[0]);
}

static int take_tags(const shell *s, arguments *a, table_options *options)
{
    char **value;
    while ((value = take_option(a, "--tag", 1)) != NULL) {
        char *equals = strchr(value[0], '=');
        if (!equals)
            return misused(s, "--tag needs KEY=VALUE, not \"%s\"", value[0]);
        if (options->tag_count == DYNB_TAGS_MAX)
            return misused(s, "a table has at most %d tags", DYNB_TAGS_MAX);
        *equals = 0;
        options->tags[options->tag_count].key = value[0];
        options->tags[options->tag_count++].value = equals + 1;
    }
    return DONE;
}

static int take_table_options(const shell *s, arguments *a, table_options *options)
{
    static const char *const on_off[] = {"off", "on", NULL};
    static const char *const classes[] = {"standard", "infrequent", NULL};
    static const char *const views[] = {"off", "keys", "new", "old", "both", NULL};
    dynb_table_settings *settings = &options->settings;
    int given, choice, rc;
    char **value;
    memset(options, 0, sizeof *options);
    rc = take_throughput(s, a, "--provisioned", &settings->provisioned, &given);
    if (given) {
        settings->billing_mode = DYNB_PROVISIONED;
        options->change |= DYNB_CHANGE_BILLING;
    }
    if (take_option(a, "--pay-per-request", 0))
        options->change |= DYNB_CHANGE_BILLING;
    if (!rc)
        rc = take_throughput(s, a, "--on-demand", &settings->on_demand, &given);
    if (given)
        options->change |= DYNB_CHANGE_ON_DEMAND;
    if (!rc && !(rc = take_choice(s, a, "--stream", views, &choice, &given)) && given) {
        settings->stream_view = (dynb_stream_view)choice;
        options->change |= DYNB_CHANGE_STREAM;
    }
    if (!rc && !(rc = take_choice(s, a, "--class", classes, &choice, &given)) && given) {
        settings->table_class = (dynb_table_class)choice;
        options->change |= DYNB_CHANGE_TABLE_CLASS;
    }
    if (!rc && !(rc = take_choice(s, a, "--protect", on_off, &choice, &given)) && given) {
        settings->deletion_protection = choice;
        options->change |= DYNB_CHANGE_DELETION_PROTECTION;
    }
    if ((value = take_option(a, "--kms", 1)) != NULL) {
        int off = !strcmp(value[0], "off");
        settings->encryption = off ? DYNB_ENCRYPTION_DEFAULT : DYNB_ENCRYPTION_KMS;
        settings->kms_key_arn = off || !strcmp(value[0], "default") ? NULL : value[0];
        options->change |= DYNB_CHANGE_ENCRYPTION;
    }
    return rc ? rc : take_tags(s, a, options);
}

/* "Id:N"; without a type it is a string. */
static int parse_key(const shell *s, char *word, dynb_key_attribute *key)
{
    char *colon = strrchr(word, ':');
    key->name = word;
    key->type = DYNB_S;
    if (!colon)
        return DONE;
    *colon = 0;
    if (!strcmp(colon + 1, "N"))
        key->type = DYNB_N;
    else if (!strcmp(colon + 1, "B"))
        key->type = DYNB_B;
    else if (strcmp(colon + 1, "S"))
        return misused(s, "the type of key %s is S, N or B, not \"%s\"", word, colon + 1);
    return DONE;
}

/* "owner:S,age:N/keys": keys, then what is projected; without that all is. The
 * names of non-key attributes go to `names`. */
static int parse_index(const shell *s, char *name, char *text, dynb_index *index,
                       const char **names)
{
    char *projection = strchr(text, '/'), *sort;
    int rc;
    memset(index, 0, sizeof *index);
    index->index_name = name;
    if (projection)
        *projection++ = 0;
    sort = strchr(text, ',');
    if (sort)
        *sort++ = 0;
    if ((rc = parse_key(s, text, &index->partition_key)) != DONE ||
        (sort && (rc = parse_key(s, sort, &index->sort_key)) != DONE) || !projection)
        return rc;
    if (!strcmp(projection, "keys")) {
        index->projection = DYNB_PROJECT_KEYS_ONLY;
        return DONE;
    }
    index->projection = DYNB_PROJECT_INCLUDE;
    index->non_key_attributes = names;
    while (index->non_key_attribute_count < DYNB_NON_KEY_ATTRIBUTES_MAX && projection)
        names[index->non_key_attribute_count++] = next_name(&projection);
    return projection ? misused(s, "index %s has more than %d attributes", name,
                                DYNB_NON_KEY_ATTRIBUTES_MAX)
                      : DONE;
}

typedef struct index_options {
    dynb_index global[DYNB_GLOBAL_INDEXES_MAX], local[DYNB_LOCAL_INDEXES_MAX];
    const char *names[DYNB_GLOBAL_INDEXES_MAX + DYNB_LOCAL_INDEXES_MAX]
                     [DYNB_NON_KEY_ATTRIBUTES_MAX];
    uint32_t global_count, local_count;
} index_options;

static int take_indexes(const shell *s, arguments *a, const table_options *table,
                        index_options *out)
{
    char **value;
    int rc = DONE;
    out->global_count = out->local_count = 0;
    while (!rc && (value = take_option(a, "--index", 2)) != NULL) {
        if (out->global_count == DYNB_GLOBAL_INDEXES_MAX)
            return misused(s, "a table has at most %d global indexes", DYNB_GLOBAL_INDEXES_MAX);
        rc = parse_index(s, value[0], value[1], &out->global[out->global_count],
                         out->names[out->global_count]);
        out->global[out->global_count++].provisioned = table->settings.provisioned;
    }
    while (!rc && (value = take_option(a, "--local-index", 2)) != NULL) {
        if (out->local_count == DYNB_LOCAL_INDEXES_MAX)
            return misused(s, "a table has at most %d local indexes", DYNB_LOCAL_INDEXES_MAX);
        rc = parse_index(s, value[0], value[1], &out->local[out->local_count],
                         out->names[DYNB_GLOBAL_INDEXES_MAX + out->local_count]);
        ++out->local_count;
    }
    return rc;
}

static int run_create(shell *s, arguments *a)
{
    table_options options;
    index_options indexes;
    dynb_create_table_input input;
    int rc = take_table_options(s, a, &options);
    if (rc || (rc = take_indexes(s, a, &options, &indexes)) != DONE ||
        (rc = check_words(s, a)) != DONE)
        return rc;
    memset(&input, 0, sizeof input);
    input.table_name = a->words[0];
    if ((rc = parse_key(s, a->words[1], &input.partition_key)) != DONE)
        return rc;
    if (a->count > 2 && (rc = parse_key(s, a->words[2], &input.sort_key)) != DONE)
        return rc;
    input.settings = options.settings;
    input.tags = options.tags;
    input.tag_count = options.tag_count;
    input.global_indexes = indexes.global_count ? indexes.global : NULL;
    input.global_index_count = indexes.global_count;
    input.local_indexes = indexes.local_count ? indexes.local : NULL;
    input.local_index_count = indexes.local_count;
    if (dynb_create_table(s->db, &input, NULL, NULL, &s->err))
        return failed(s);
    printf("created %s\n", a->words[0]);
    return DONE;
}

static void print_settings(const dynb_table_settings *settings)
{
    static const char *const views[] = {"off", "KEYS_ONLY", "NEW_IMAGE", "OLD_IMAGE",
                                        "NEW_AND_OLD_IMAGES"};
    if (settings->billing_mode == DYNB_PROVISIONED)
        printf("billing       PROVISIONED, %" PRIu64 " read and %" PRIu64 " write units\n",
               settings->provisioned.read_units, settings->provisioned.write_units);
    else
        printf("billing       PAY_PER_REQUEST\n");
    if (settings->on_demand.read_units || settings->on_demand.write_units)
        printf("on demand     at most %" PRIu64 " read and %" PRIu64 " write units\n",
               settings->on_demand.read_units, settings->on_demand.write_units);
    if (settings->stream_view)
        printf("stream        %s\n", views[settings->stream_view]);
    if (settings->encryption == DYNB_ENCRYPTION_KMS)
        printf("encryption    KMS, %s (recorded only)\n",
               settings->kms_key_arn ? settings->kms_key_arn : "the account's default key");
    if (settings->table_class)
        printf("class         STANDARD_INFREQUENT_ACCESS\n");
    if (settings->deletion_protection)
        printf("protected     against deletion\n");
}

static void print_keys(const dynb_table_description *d)
{
    printf("key           %s:%s", d->partition_key.name, type_name(d->partition_key.type));
    if (d->sort_key.name)
        printf(" and %s:%s", d->sort_key.name, type_name(d->sort_key.type));
    putchar('\n');
}

static void print_index(const char *kind, const dynb_index_description *d)
{
    static const char *const states[] = {"CREATING", "UPDATING", "DELETING", "ACTIVE"};
    const dynb_index *index = &d->index;
    char items[32], bytes[32];
    uint32_t i;
    printf("%-13s %s, key %s:%s", kind, index->index_name, index->partition_key.name,
           type_name(index->partition_key.type));
    if (index->sort_key.name)
        printf(" and %s:%s", index->sort_key.name, type_name(index->sort_key.type));
    printf(index->projection == DYNB_PROJECT_ALL ? ", all attributes" : ", keys");
    for (i = 0; i < index->non_key_attribute_count; ++i)
        printf("%s%s", i ? " " : " and ", index->non_key_attributes[i]);
    printf("\n              %s, %s items, %s bytes\n",
           d->status <= DYNB_INDEX_ACTIVE ? states[d->status] : "?",
           grouped(items, d->item_count), grouped(bytes, d->size_bytes));
    if (index->provisioned.read_units)
        printf("              %" PRIu64 " read and %" PRIu64 " write units\n",
               index->provisioned.read_units, index->provisioned.write_units);
}

static void print_indexes(const dynb_table_description *d)
{
    uint32_t i;
    for (i = 0; i < d->global_index_count; ++i)
        print_index("index", &d->global_indexes[i]);
    for (i = 0; i < d->local_index_count; ++i)
        print_index("local index", &d->local_indexes[i]);
}

static const char *table_status_name(dynb_table_status status)
{
    static const char *const names[] = {"CREATING", "UPDATING", "DELETING", "ACTIVE"};
    return status <= DYNB_TABLE_ACTIVE ? names[status] : "?";
}

static int run_describe(shell *s, arguments *a)
{
    dynb_table_description d;
    const dynb_tag *tags;
    uint32_t tag_count, i;
    char date[40], number[32];
    int rc = check_words(s, a);
    if (rc)
        return rc;
    if (dynb_describe_table(s->db, a->words[0], &d, &s->result, &s->err))
        return failed(s);
    printf("table         %s\narn           %s\nid            %s\n", d.table_name, d.table_arn,
           d.table_id);
    printf("status        %s\n", table_status_name(d.status));
    printf("created       %s\n", date_text(date, d.created_at_ms));
    print_keys(&d);
    printf("items         %s\n", grouped(number, d.item_count));
    printf("bytes         %s (by the service's item size rule)\n", grouped(number, d.size_bytes));
    print_indexes(&d);
    print_settings(&d.settings);
    if (d.stream_arn)
        printf("stream arn    %s\n", d.stream_arn);
    if (d.ttl_attribute)
        printf("time to live  %s (recorded only)\n", d.ttl_attribute);
    if (d.restoring) {
        printf("restored      %s\n", date_text(date, d.restored_at_ms));
        printf("  from        %s\n", d.restore_source_backup_arn);
    }
    if (d.recovery_period_days)
        printf("recovery      %u days (\"pitr\" shows the window)\n",
               (unsigned)d.recovery_period_days);
    if (dynb_list_tags_of_resource(s->db, d.table_arn, &tags, &tag_count, &s->other_result,
                                   &s->err))
        return failed(s);
    for (i = 0; i < tag_count; ++i)
        printf("tag           %s=%s\n", tags[i].key, tags[i].value);
    return DONE;
}

static int run_tables(shell *s, arguments *a)
{
    const char *start = NULL;
    dynb_table_list list;
    int rc = check_words(s, a);
    if (rc)
        return rc;
    printf("%-24s %12s %16s  %s\n", "TABLE", "ITEMS", "BYTES", "KEY");
    do {
        uint32_t i;
        if (dynb_list_tables(s->db, start, 0, &list, &s->result, &s->err))
            return failed(s);
        for (i = 0; i < list.count; ++i) {
            dynb_table_description d;
            char items[32], bytes[32];
            if (dynb_describe_table(s->db, list.table_names[i], &d, &s->other_result, &s->err))
                return failed(s);
            printf("%-24s %12s %16s  %s:%s", d.table_name, grouped(items, d.item_count),
                   grouped(bytes, d.size_bytes), d.partition_key.name,
                   type_name(d.partition_key.type));
            if (d.sort_key.name)
                printf(" %s:%s", d.sort_key.name, type_name(d.sort_key.type));
            putchar('\n');
        }
        start = list.last_evaluated;
    } while (start);
    return DONE;
}

static int run_drop(shell *s, arguments *a)
{
    int rc = check_words(s, a);
    if (rc)
        return rc;
    if (dynb_delete_table(s->db, a->words[0], NULL, NULL, &s->err))
        return failed(s);
    printf("dropped %s; its backups stay\n", a->words[0]);
    return DONE;
}

/* --add-index NAME KEYS or --drop-index NAME */
static int take_index_change(const shell *s, arguments *a, table_options *options,
                             dynb_index_update *update, const char **names)
{
    char **add = take_option(a, "--add-index", 2), **drop = NULL;
    int rc = DONE;
    memset(update, 0, sizeof *update);
    if (add) {
        rc = parse_index(s, add[0], add[1], &update->index, names);
        update->index.provisioned = options->settings.provisioned;
    } else if ((drop = take_option(a, "--drop-index", 1)) != NULL) {
        update->action = DYNB_DELETE_INDEX;
        update->index.index_name = drop[0];
    }
    if (add || drop)
        options->change |= DYNB_CHANGE_INDEXES;
    return rc;
}

static int run_set(shell *s, arguments *a)
{
    table_options options;
    dynb_update_table_input input;
    const char *untagged[DYNB_TAGS_MAX];
    uint32_t untagged_count = 0;
    char **ttl, **value;
    const char *table;
    dynb_index_update update;
    const char *names[DYNB_NON_KEY_ATTRIBUTES_MAX];
    int no_ttl, rc = take_table_options(s, a, &options);
    if (rc || (rc = take_index_change(s, a, &options, &update, names)) != DONE)
        return rc;
    ttl = take_option(a, "--ttl", 1);
    no_ttl = take_option(a, "--no-ttl", 0) != NULL;
    while (untagged_count < DYNB_TAGS_MAX && (value = take_option(a, "--untag", 1)) != NULL)
        untagged[untagged_count++] = value[0];
    if ((rc = check_words(s, a)) != DONE)
        return rc;
    if (!options.change && !options.tag_count && !untagged_count && !ttl && !no_ttl)
        return misused(s, "nothing to set");
    table = a->words[0];
    memset(&input, 0, sizeof input);
    input.table = table;
    input.change = options.change;
    input.settings = options.settings;
    input.index_updates = &update;
    input.index_update_count = 1;
    if (options.change && dynb_update_table(s->db, &input, NULL, NULL, &s->err))
        return failed(s);
    if ((ttl || no_ttl) && dynb_update_time_to_live(s->db, table, no_ttl ? NULL : ttl[0], &s->err))
        return failed(s);
    if (options.tag_count &&
        dynb_tag_resource(s->db, table, options.tags, options.tag_count, &s->err))
        return failed(s);
    if (untagged_count && dynb_untag_resource(s->db, table, untagged, untagged_count, &s->err))
        return failed(s);
    printf("changed %s\n", table);
    return DONE;
}

/* ----------------------------------------------------------- items -- */

static size_t skip_space(const char *text, size_t at, size_t end)
{
    while (at < end && (text[at] == ' ' || text[at] == '\t' || text[at] == '\r'))
        ++at;
    return at;
}

/* Finds the item inside {"Item":{...}}, the line of DynamoDB's own exports.
 * Returns 0 when the text has not that form. */
static int unwrap(const char *text, size_t length, size_t *from, size_t *to)
{
    static const char *const parts[] = {"{", "\"Item\"", ":"};
    size_t at = 0, end = length;
    int i;
    for (i = 0; i < 3; ++i) {
        size_t part_length = strlen(parts[i]);
        at = skip_space(text, at, end);
        if (end - at < part_length || memcmp(text + at, parts[i], part_length))
            return 0;
        at += part_length;
    }
    while (end > at && skip_space(text, end - 1, end) == end)
        --end;
    if (end == at || text[end - 1] != '}')
        return 0;
    *from = at;
    *to = end - 1;
    return 1;
}

/* Reads an item, bare or wrapped. A bare item with an attribute called Item is
 * no wrapper: it does not parse as one. */
static int read_item(shell *s, const char *text, size_t length, dynb_item *out)
{
    size_t from = 0, to = length;
    dynb_error wrapped;
    if (!unwrap(text, length, &from, &to))
        return dynb_item_from_json(&s->builder, text, length, out, &s->err) != DYNB_OK;
    if (!dynb_item_from_json(&s->builder, text + from, to - from, out, &wrapped))
        return 0;
    wrapped.pos += from;
    if (!dynb_item_from_json(&s->builder, text, length, out, &s->err))
        return 0;
    s->err = wrapped;
    return 1;
}

/* A complaint about JSON: where in the text, and at which attribute. */
static int complain_json(const shell *s, const char *place)
{
    dynb_error err = s->err;
    size_t length = strlen(err.message);
    snprintf(err.message + length, sizeof err.message - length, " (byte %" PRIu64 "%s%s)", err.pos,
             err.path[0] ? ", " : "", err.path);
    return complain_error(s, place, &err);
}

/* All of a file, for items on standard input. */
static char *read_all(FILE *in, size_t *length)
{
    char *text = NULL;
    size_t used = 0, capacity = 0;
    for (;;) {
        size_t got;
        if (capacity - used < 4096) {
            char *grown;
            capacity = capacity * 2 + 8192;
            grown = (char *)realloc(text, capacity);
            if (!grown)
                break;
            text = grown;
        }
        got = fread(text + used, 1, capacity - used, in);
        used += got;
        if (!got) {
            *length = used;
            return text;
        }
    }
    free(text);
    return NULL;
}

/* The item on the command line, or on standard input for "-". */
static int item_argument(shell *s, const char *word, dynb_item *out)
{
    int bad;
    if (!strcmp(word, "-") && !s->in_session) {
        size_t length = 0;
        char *text = read_all(stdin, &length);
        if (!text)
            return complain(s, "out of memory");
        bad = read_item(s, text, length, out);
        free(text);
        return bad ? complain_json(s, "stdin") : DONE;
    }
    bad = read_item(s, word, strlen(word), out);
    return bad ? complain_json(s, s->running->name) : DONE;
}

static int print_item(shell *s, dynb_item item, FILE *to, const char *before, const char *after)
{
    const char *text;
    size_t length;
    if (dynb_item_to_json(item, &s->other_result, &text, &length, &s->err))
        return failed(s);
    fputs(before, to);
    fwrite(text, 1, length, to);
    fputs(after, to);
    return DONE;
}

static int run_put(shell *s, arguments *a)
{
    dynb_write_options options;
    dynb_item item, old = {NULL, 0};
    int rc;
    memset(&options, 0, sizeof options);
    options.return_old = take_option(a, "--old", 0) != NULL;
    if ((rc = check_words(s, a)) != DONE || (rc = item_argument(s, a->words[1], &item)) != DONE)
        return rc;
    if (dynb_put_item(s->db, a->words[0], item, &options, options.return_old ? &old : NULL,
                      options.return_old ? &s->result : NULL, &s->err))
        return failed(s);
    return old.bytes ? print_item(s, old, stdout, "", "\n") : DONE;
}

/* --- where get, query and scan read: a table, or with --at a backup of it, or
 * the table as it was at a time */

typedef struct read_place {
    dynb_source source;
    char arn[DYNB_ARN_MAX + 1];
    dynb_backup_description backup;
    dynb_table_description table; /* as it is, or was */
    dynb_result memory;
} read_place;

static int resolve_backup(shell *s, const char *word, const char *table,
                          char out[DYNB_ARN_MAX + 1]);

static const char *take_at(arguments *a)
{
    char **value = take_option(a, "--at", 1);
    return value ? value[0] : NULL;
}

/* A word for a time: 1 and *time_ms, or 0: it is none. The start of a backup's
 * id can be all digits, too, but begins with 0. */
static int read_time(shell *s, const char *table, const char *word, uint64_t *time_ms)
{
    dynb_continuous_backups about;
    if (strcmp(word, "latest"))
        return word[0] != '0' && parse_date(word, time_ms);
    *time_ms = 0; /* what is wrong with it the read itself will say */
    if (!dynb_describe_continuous_backups(s->db, table, &about, &s->err))
        *time_ms = about.latest_restorable_ms;
    return 1;
}

/* at NULL: the table as it is now. Free p->memory afterwards, whatever came. */
static int find_place(shell *s, const char *table, const char *at, read_place *p)
{
    memset(p, 0, sizeof *p);
    if (at)
        p->source.use_time = read_time(s, table, at, &p->source.time_ms);
    if (!at || p->source.use_time) {
        p->source.table = table;
        if (dynb_describe_table(s->db, table, &p->table, &p->memory, &s->err))
            return failed(s);
        return DONE;
    }
    if (resolve_backup(s, at, table, p->arn))
        return FAILED;
    p->source.backup_arn = p->arn;
    if (dynb_describe_backup(s->db, p->arn, &p->backup, &p->memory, &s->err))
        return failed(s);
    p->table = p->backup.source;
    if (strcmp(p->table.table_name, table) && strcmp(p->table.table_arn, table))
        return complain(s, "that backup is of table %s, not of %s", p->table.table_name, table);
    return DONE;
}

static int run_get(shell *s, arguments *a)
{
    const char *at = take_at(a);
    dynb_item key, item;
    read_place p;
    int rc = check_words(s, a);
    if (rc || (rc = item_argument(s, a->words[1], &key)) != DONE)
        return rc;
    rc = find_place(s, a->words[0], at, &p);
    if (!rc && dynb_get_item_at(s->db, &p.source, key, &item, &s->result, &s->err))
        rc = failed(s);
    dynb_result_free(&p.memory);
    if (rc)
        return rc;
    if (!item.bytes)
        return complain(s, "%s has no item with that key", a->words[0]);
    return print_item(s, item, stdout, "", "\n");
}

static int run_delete(shell *s, arguments *a)
{
    dynb_write_options options;
    dynb_item key, old = {NULL, 0};
    int rc;
    memset(&options, 0, sizeof options);
    options.return_old = take_option(a, "--old", 0) != NULL;
    if ((rc = check_words(s, a)) != DONE || (rc = item_argument(s, a->words[1], &key)) != DONE)
        return rc;
    if (dynb_delete_item(s->db, a->words[0], key, &options, options.return_old ? &old : NULL,
                         options.return_old ? &s->result : NULL, &s->err))
        return failed(s);
    return old.bytes ? print_item(s, old, stdout, "", "\n") : DONE;
}

/* --- items drawn as a grid, one column an attribute */

enum { GRID_COLUMNS = 12, GRID_WIDTH = 40, GRID_ROWS = 1000, GRID_NAME = 64, GRID_SCRATCH = 256 };

typedef struct grid {
    char names[GRID_COLUMNS][GRID_NAME];
    size_t widths[GRID_COLUMNS];
    int right[GRID_COLUMNS]; /* nonzero: a column of numbers */
    int count;
    int cut;     /* nonzero: some attributes found no column */
    int pending; /* blanks to print before the next text of the row */
} grid;

/* A value as a person writes it, cut to the width of a column. */
static void cell_text(dynb_value value, char out[GRID_WIDTH + 1])
{
    char scratch[GRID_SCRATCH];
    const char *text = scratch;
    size_t length = 0;
    if (value.type == DYNB_S) {
        text = dynb_value_string(value, &length);
    } else if (value.type == DYNB_N) {
        length = dynb_value_number(value, scratch);
    } else if (value.type == DYNB_BOOL) {
        text = dynb_value_bool(value) ? "true" : "false";
        length = strlen(text);
    } else if (value.type == DYNB_SS || value.type == DYNB_NS) {
        dynb_iterator it = dynb_value_iterate(value);
        dynb_value element;
        char part[GRID_WIDTH + 1];
        while (length <= GRID_WIDTH && dynb_next(&it, NULL, NULL, &element)) {
            cell_text(element, part); /* an element is no set: one level deep */
            length += (size_t)snprintf(scratch + length, sizeof scratch - length, "%s%s",
                                       length ? ", " : "", part);
        }
    } else if (value.type != DYNB_TYPE_NONE) {
        length = (size_t)snprintf(scratch, sizeof scratch, "%s of %u", type_name(value.type),
                                  (unsigned)dynb_value_count(value));
    }
    if (length > GRID_WIDTH) { /* not in the middle of a UTF-8 character */
        length = GRID_WIDTH - 2;
        while (length && ((unsigned char)text[length] & 0xc0) == 0x80)
            --length;
        snprintf(out, GRID_WIDTH + 1, "%.*s..", (int)length, text);
    } else {
        memcpy(out, text, length);
        out[length] = 0;
    }
    for (; *out; ++out)
        if ((unsigned char)*out < ' ' || *out == 127)
            *out = '?'; /* a control character would break the grid */
}

static size_t shown_width(const char *text)
{
    size_t width = 0;
    for (; *text; ++text)
        width += ((unsigned char)*text & 0xc0) != 0x80;
    return width;
}

static void grid_column(grid *g, const char *name, size_t name_length, dynb_value value)
{
    char cell[GRID_WIDTH + 1];
    size_t width;
    int i;
    for (i = 0; i < g->count; ++i)
        if (strlen(g->names[i]) == name_length && !memcmp(g->names[i], name, name_length))
            break;
    if (i == g->count) {
        if (g->count == GRID_COLUMNS || name_length >= GRID_NAME) {
            g->cut = 1;
            return;
        }
        memcpy(g->names[i], name, name_length);
        g->names[i][name_length] = 0;
        g->widths[i] = shown_width(g->names[i]);
        g->right[i] = 1;
        ++g->count;
    }
    if (value.type != DYNB_TYPE_NONE) {
        cell_text(value, cell);
        width = shown_width(cell);
        if (width > g->widths[i])
            g->widths[i] = width;
        g->right[i] &= value.type == DYNB_N;
    }
}

static void print_cell(grid *g, int column, const char *text)
{
    int pad = (int)(g->widths[column] - shown_width(text));
    if (g->right[column])
        g->pending += pad;
    if (*text) {
        printf("%*s%s", g->pending, "", text);
        g->pending = 0;
    }
    g->pending += (g->right[column] ? 0 : pad) + 2;
    if (column + 1 == g->count) {
        putchar('\n');
        g->pending = 0;
    }
}

/* Draws a page of items; the key attributes are the first columns. */
static void print_grid(const dynb_table_description *d, const dynb_page *page)
{
    static const dynb_value none = {DYNB_TYPE_NONE, 0, NULL};
    grid g;
    uint32_t row;
    int column;
    memset(&g, 0, sizeof g);
    grid_column(&g, d->partition_key.name, strlen(d->partition_key.name), none);
    if (d->sort_key.name)
        grid_column(&g, d->sort_key.name, strlen(d->sort_key.name), none);
    for (row = 0; row < page->count; ++row) {
        dynb_iterator it = dynb_item_iterate(page->items[row]);
        const char *name;
        size_t length;
        dynb_value value;
        while (dynb_next(&it, &name, &length, &value))
            grid_column(&g, name, length, value);
    }
    for (column = 0; column < g.count; ++column)
        print_cell(&g, column, g.names[column]);
    for (row = 0; row < page->count; ++row)
        for (column = 0; column < g.count; ++column) {
            char cell[GRID_WIDTH + 1];
            cell_text(dynb_item_get(page->items[row], g.names[column]), cell);
            print_cell(&g, column, cell);
        }
    if (g.cut)
        printf("(some attributes are not shown)\n");
}

/* --- query and scan: the same loop over pages */

typedef struct search {
    const dynb_table_description *table;
    dynb_query_input query; /* of a scan only the source and start_after count */
    int is_scan;
    int as_grid;
    uint64_t limit;
} search;

static int print_search(shell *s, search *q)
{
    uint64_t shown = 0;
    dynb_page page;
    do {
        uint64_t left = q->limit ? q->limit - shown : UINT32_MAX;
        uint32_t i, page_limit = (uint32_t)(q->as_grid && left > GRID_ROWS ? GRID_ROWS : left);
        dynb_scan_input scan;
        memset(&scan, 0, sizeof scan);
        scan.table = q->query.table;
        scan.backup_arn = q->query.backup_arn;
        scan.use_time = q->query.use_time;
        scan.time_ms = q->query.time_ms;
        scan.index_name = q->query.index_name;
        scan.limit = q->query.limit = page_limit;
        scan.start_after = q->query.start_after;
        if (q->is_scan ? dynb_scan(s->db, &scan, &page, &s->result, &s->err)
                       : dynb_query(s->db, &q->query, &page, &s->result, &s->err))
            return failed(s);
        if (q->as_grid && page.count)
            print_grid(q->table, &page);
        for (i = 0; !q->as_grid && i < page.count; ++i)
            if (print_item(s, page.items[i], stdout, "", "\n"))
                return FAILED;
        shown += page.count;
        q->query.start_after = page.last_key;
    } while (page.last_key.bytes && !(q->limit && shown >= q->limit));
    if (isatty(fileno(stdout)))
        printf("(%" PRIu64 " item%s)\n", shown, shown == 1 ? "" : "s");
    return DONE;
}

/* A key value from a word, typed as the table's key is. */
static int add_key_word(shell *s, dynb_builder *builder, const char *name,
                        const dynb_key_attribute *key, const char *word)
{
    if (key->type == DYNB_S) {
        dynb_add_string(builder, name, word, strlen(word));
    } else if (key->type == DYNB_N) {
        dynb_add_number(builder, name, word, strlen(word));
    } else { /* base64, which the JSON reader knows */
        size_t size = strlen(word) + 32, length = 0;
        char *text = (char *)malloc(size);
        dynb_item item;
        if (!text)
            return complain(s, "out of memory");
        if (strspn(word, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/=") ==
            strlen(word))
            length = (size_t)snprintf(text, size, "{\"v\":{\"B\":\"%s\"}}", word);
        if (!length || dynb_item_from_json(&s->builder, text, length, &item, &s->err)) {
            free(text);
            return complain(s, "%s: \"%s\" is not base64, the form of a key of type B",
                            s->running->name, word);
        }
        free(text);
        dynb_add_value(builder, name, dynb_item_get(item, "v"));
    }
    return DONE;
}

static int parse_condition(const char *word, dynb_sort_condition *out)
{
    static const struct {
        const char *word;
        dynb_sort_condition condition;
    } known[] = {
        {"=", DYNB_SORT_EQ},  {"eq", DYNB_SORT_EQ},           {"<", DYNB_SORT_LT},
        {"lt", DYNB_SORT_LT}, {"<=", DYNB_SORT_LE},           {"le", DYNB_SORT_LE},
        {">", DYNB_SORT_GT},  {"gt", DYNB_SORT_GT},           {">=", DYNB_SORT_GE},
        {"ge", DYNB_SORT_GE}, {"between", DYNB_SORT_BETWEEN}, {"begins", DYNB_SORT_BEGINS_WITH}};
    size_t i;
    for (i = 0; i < sizeof known / sizeof known[0]; ++i)
        if (!strcmp(word, known[i].word)) {
            *out = known[i].condition;
            return 1;
        }
    return 0;
}

/* Turns the words PK [condition value [value]] into the query's operands, which
 * live in the builder. */
static int query_operands(shell *s, arguments *a, const dynb_table_description *d,
                          dynb_query_input *query, dynb_builder *builder)
{
    dynb_item item;
    int rc = DONE, values = 0;
    if (a->count > 2) {
        if (!parse_condition(a->words[2], &query->condition))
            return misused(s, "\"%s\" is no condition", a->words[2]);
        values = query->condition == DYNB_SORT_BETWEEN ? 2 : 1;
        if (!d->sort_key.name)
            return misused(s, "%s has no sort key to put a condition on", d->table_name);
    }
    if (a->count != 2 + (values ? 1 + values : 0))
        return misused(s, "%s needs %s", a->words[2], values == 2 ? "two values" : "one value");
    dynb_builder_begin(builder);
    rc = add_key_word(s, builder, "p", &d->partition_key, a->words[1]);
    if (!rc && values)
        rc = add_key_word(s, builder, "f", &d->sort_key, a->words[3]);
    if (!rc && values == 2)
        rc = add_key_word(s, builder, "t", &d->sort_key, a->words[4]);
    if (rc)
        return rc;
    if (dynb_builder_finish(builder, &item, &s->err))
        return failed(s);
    query->partition_key = dynb_item_get(item, "p");
    query->sort_from = dynb_item_get(item, "f");
    query->sort_to = dynb_item_get(item, "t");
    return DONE;
}

/* --index NAME: the keys of the description become the index's, so that words
 * are read, and columns shown, as it has them. */
static int use_index(shell *s, search *q, char **name, dynb_table_description *d)
{
    uint32_t i;
    if (!name)
        return DONE;
    for (i = 0; i < d->global_index_count + d->local_index_count; ++i) {
        const dynb_index *index =
            i < d->global_index_count ? &d->global_indexes[i].index
                                      : &d->local_indexes[i - d->global_index_count].index;
        if (strcmp(index->index_name, name[0]))
            continue;
        q->query.index_name = index->index_name;
        d->partition_key = index->partition_key;
        d->sort_key = index->sort_key;
        return DONE;
    }
    return complain(s, "%s has no index %s", d->table_name, name[0]);
}

static int run_query(shell *s, arguments *a)
{
    const char *at = take_at(a);
    dynb_builder operands;
    char **index;
    search q;
    read_place p;
    int rc;
    memset(&q, 0, sizeof q);
    memset(&operands, 0, sizeof operands);
    if ((rc = take_limit(s, a, &q.limit)) != DONE)
        return rc;
    index = take_option(a, "--index", 1);
    q.query.descending = take_option(a, "--desc", 0) != NULL;
    q.as_grid = take_option(a, "--grid", 0) != NULL;
    if ((rc = check_words(s, a)) != DONE)
        return rc;
    q.table = &p.table;
    rc = find_place(s, a->words[0], at, &p);
    q.query.table = p.source.table;
    q.query.backup_arn = p.source.backup_arn;
    q.query.use_time = p.source.use_time;
    q.query.time_ms = p.source.time_ms;
    if (!rc && (rc = use_index(s, &q, index, &p.table)) == DONE &&
        (rc = query_operands(s, a, &p.table, &q.query, &operands)) == DONE)
        rc = print_search(s, &q);
    dynb_builder_free(&operands);
    dynb_result_free(&p.memory);
    return rc;
}

static int run_scan(shell *s, arguments *a)
{
    const char *at = take_at(a);
    char **index;
    search q;
    read_place p;
    int rc;
    memset(&q, 0, sizeof q);
    q.is_scan = 1;
    if ((rc = take_limit(s, a, &q.limit)) != DONE)
        return rc;
    index = take_option(a, "--index", 1);
    q.as_grid = take_option(a, "--grid", 0) != NULL;
    if ((rc = check_words(s, a)) != DONE)
        return rc;
    q.table = &p.table;
    rc = find_place(s, a->words[0], at, &p);
    q.query.table = p.source.table;
    q.query.backup_arn = p.source.backup_arn;
    q.query.use_time = p.source.use_time;
    q.query.time_ms = p.source.time_ms;
    if (!rc && (rc = use_index(s, &q, index, &p.table)) == DONE)
        rc = print_search(s, &q);
    dynb_result_free(&p.memory);
    return rc;
}

/* --------------------------------------------------- load and dump -- */

/* Lines of any length, read in blocks. */
typedef struct lines {
    FILE *in;
    char *memory;
    size_t used, capacity; /* bytes read in; room */
    size_t at;             /* where the next line starts */
    unsigned long number;  /* of the line returned last, from 1 */
    uint64_t read_bytes;
    int at_end;
    int one_by_one; /* nonzero: somebody types them, so never read ahead */
} lines;

static size_t read_ahead(lines *l)
{
    size_t got = 0, room = l->capacity - l->used;
    char *to = l->memory + l->used;
    int c = 0;
    if (!l->one_by_one)
        return fread(to, 1, room, l->in);
    while (got < room && c != '\n' && (c = getc(l->in)) != EOF)
        to[got++] = (char)c;
    return got;
}

/* Returns 1 with the next line (without its newline), 0 at the end, -1 when
 * memory or the file fails. */
static int next_line(lines *l, const char **text, size_t *length)
{
    size_t searched = 0;
    for (;;) {
        char *start = l->memory ? l->memory + l->at : NULL;
        char *newline = l->used - l->at > searched
                            ? (char *)memchr(start + searched, '\n', l->used - l->at - searched)
                            : NULL;
        size_t got;
        if (newline || (l->at_end && l->used > l->at)) {
            *text = start;
            *length = newline ? (size_t)(newline - start) : l->used - l->at;
            l->at += *length + (newline != NULL);
            ++l->number;
            return 1;
        }
        if (l->at_end)
            return 0;
        searched = l->used - l->at;
        if (searched && l->at)
            memmove(l->memory, start, searched);
        l->used = searched;
        l->at = 0;
        if (l->capacity - l->used < 65536) {
            size_t capacity = l->capacity * 2 + 131072;
            char *grown = (char *)realloc(l->memory, capacity);
            if (!grown)
                return -1;
            l->memory = grown;
            l->capacity = capacity;
        }
        got = read_ahead(l);
        l->used += got;
        l->read_bytes += got;
        if (!got) {
            if (ferror(l->in))
                return -1;
            l->at_end = 1;
        }
    }
}

enum { BATCH_ITEMS = 1000, BATCH_BYTES = 1 << 20 };

typedef struct loader {
    shell *s;
    const char *table;
    const char *file; /* name for complaints */
    dynb_write writes[BATCH_ITEMS];
    size_t starts[BATCH_ITEMS]; /* where each item lies in memory */
    unsigned long line_numbers[BATCH_ITEMS];
    uint32_t count;
    char *memory; /* the items of the batch */
    size_t used, capacity;
    uint64_t loaded;  /* items in the store */
    uint64_t refused; /* items that were not, with --keep-going */
    int keep_going;
    dynb_write_options options;
} loader;

static int refuse_line(loader *l, unsigned long line_number, int is_json)
{
    char place[1100];
    snprintf(place, sizeof place, "%s:%lu", l->file, line_number);
    clear_progress();
    ++l->refused;
    if (is_json)
        complain_json(l->s, place);
    else
        complain_error(l->s, place, &l->s->err);
    return l->keep_going ? DONE : FAILED;
}

/* Writes the batch. One bad item, or one key twice, refuses a whole batch; then
 * the items go in one by one, in order, and the bad one is named. */
static int flush_batch(loader *l)
{
    uint32_t i;
    int rc = DONE;
    for (i = 0; i < l->count; ++i)
        l->writes[i].item.bytes = (const uint8_t *)l->memory + l->starts[i];
    if (!l->count)
        return DONE;
    if (!dynb_batch_write(l->s->db, l->writes, l->count, &l->options, &l->s->err)) {
        l->loaded += l->count;
    } else {
        for (i = 0; i < l->count && !rc; ++i) {
            if (dynb_put_item(l->s->db, l->table, l->writes[i].item, &l->options, NULL, NULL,
                              &l->s->err))
                rc = refuse_line(l, l->line_numbers[i], 0);
            else
                ++l->loaded;
        }
    }
    l->count = 0;
    l->used = 0;
    return rc;
}

static int add_to_batch(loader *l, dynb_item item, unsigned long line_number)
{
    int rc;
    if ((l->count == BATCH_ITEMS || l->used + item.size_bytes > BATCH_BYTES) &&
        (rc = flush_batch(l)) != DONE)
        return rc;
    if (l->capacity - l->used < item.size_bytes) {
        size_t capacity = l->used + item.size_bytes + BATCH_BYTES;
        char *grown = (char *)realloc(l->memory, capacity);
        if (!grown)
            return complain(l->s, "out of memory");
        l->memory = grown;
        l->capacity = capacity;
    }
    memcpy(l->memory + l->used, item.bytes, item.size_bytes);
    l->starts[l->count] = l->used;
    l->line_numbers[l->count] = line_number;
    l->writes[l->count].table = l->table;
    l->writes[l->count].item.size_bytes = item.size_bytes;
    l->writes[l->count].is_delete = 0;
    l->used += item.size_bytes;
    ++l->count;
    return DONE;
}

static int load_lines(loader *l, lines *in, uint64_t total_bytes)
{
    shell *s = l->s;
    const char *text;
    size_t length;
    int rc = DONE, got;
    while (!rc && (got = next_line(in, &text, &length)) != 0) {
        dynb_item item;
        if (got < 0) {
            rc = complain(s, "%s:%lu: cannot read on", l->file, in->number + 1);
            break;
        }
        if (in->number == 1 && length >= 3 && !memcmp(text, "\xef\xbb\xbf", 3)) {
            text += 3; /* a byte order mark */
            length -= 3;
        }
        if (skip_space(text, 0, length) == length)
            continue;
        if (read_item(s, text, length, &item)) {
            dynb_error err = s->err; /* first what comes before it */
            if ((rc = flush_batch(l)) == DONE) {
                s->err = err;
                rc = refuse_line(l, in->number, 1);
            }
        } else {
            rc = add_to_batch(l, item, in->number);
        }
        if (l->count == 1)
            draw_progress(l->table, in->read_bytes, total_bytes, l->loaded);
    }
    if (!rc)
        rc = flush_batch(l);
    clear_progress();
    return rc;
}

static uint64_t file_size(FILE *file)
{
    long size = -1;
    if (!fseek(file, 0, SEEK_END))
        size = ftell(file);
    rewind(file);
    return size > 0 ? (uint64_t)size : 0;
}

/* Loads a file into a table and syncs. Returns the number of items in *loaded. */
static int load_file(shell *s, const char *table, const char *path, int keep_going,
                     uint64_t *loaded)
{
    int from_stdin = !path || !strcmp(path, "-"), rc;
    loader *l = (loader *)calloc(1, sizeof *l);
    lines in;
    memset(&in, 0, sizeof in);
    *loaded = 0;
    if (!l)
        return complain(s, "out of memory");
    in.in = from_stdin ? stdin : fopen(path, "rb");
    if (!in.in) {
        free(l);
        return complain(s, "cannot open %s", path);
    }
    l->s = s;
    l->table = table;
    l->file = from_stdin ? "stdin" : path;
    l->keep_going = keep_going;
    l->options.choose_durability = 1; /* one sync at the end instead of one a batch */
    l->options.durability = DYNB_BUFFERED;
    rc = load_lines(l, &in, from_stdin ? 0 : file_size(in.in));
    if (dynb_sync(s->db, &s->err))
        rc = failed(s);
    *loaded = l->loaded;
    if (!rc && l->refused)
        rc = complain(s, "%" PRIu64 " lines were refused, %" PRIu64 " items loaded", l->refused,
                      l->loaded);
    else if (rc && l->loaded)
        complain(s, "%" PRIu64 " items were loaded before that", l->loaded);
    if (!from_stdin)
        fclose(in.in);
    free(in.memory);
    free(l->memory);
    free(l);
    return rc;
}

static int run_load(shell *s, arguments *a)
{
    int keep_going = take_option(a, "--keep-going", 0) != NULL;
    dynb_table_description d;
    uint64_t loaded;
    char number[32];
    int rc = check_words(s, a);
    if (rc)
        return rc;
    if (s->in_session && (a->count < 2 || !strcmp(a->words[1], "-")))
        return misused(s, "in a session the file has to be named");
    if (dynb_describe_table(s->db, a->words[0], &d, &s->result, &s->err))
        return failed(s);
    rc = load_file(s, a->words[0], a->count > 1 ? a->words[1] : NULL, keep_going, &loaded);
    if (loaded && dynb_wait_idle(s->db, &s->err)) /* leaves the file tidy */
        return failed(s);
    if (!rc)
        printf("loaded %s items into %s\n", grouped(number, loaded), a->words[0]);
    return rc;
}

static int dump_to(shell *s, const char *table, FILE *out, uint64_t *dumped)
{
    dynb_scan_input scan;
    dynb_page page;
    memset(&scan, 0, sizeof scan);
    scan.table = table;
    *dumped = 0;
    do {
        uint32_t i;
        if (dynb_scan(s->db, &scan, &page, &s->result, &s->err))
            return failed(s);
        for (i = 0; i < page.count; ++i)
            if (print_item(s, page.items[i], out, "{\"Item\":", "}\n"))
                return FAILED;
        *dumped += page.count;
        scan.start_after = page.last_key;
    } while (page.last_key.bytes);
    return DONE;
}

static int run_dump(shell *s, arguments *a)
{
    const char *path = a->count > 1 ? a->words[1] : NULL;
    uint64_t dumped;
    char number[32];
    FILE *out;
    int rc = check_words(s, a);
    if (rc)
        return rc;
    if (!path || !strcmp(path, "-"))
        return dump_to(s, a->words[0], stdout, &dumped);
    out = fopen(path, "wb");
    if (!out)
        return complain(s, "cannot write %s", path);
    rc = dump_to(s, a->words[0], out, &dumped);
    if (fclose(out) && !rc)
        rc = complain(s, "cannot write all of %s", path);
    if (!rc)
        printf("dumped %s items into %s\n", grouped(number, dumped), path);
    return rc;
}

/* --------------------------------------------------------- backups -- */

static const char *backup_id(const char *arn)
{
    const char *slash = strrchr(arn, '/');
    return slash ? slash + 1 : arn;
}

/* A word that may be a backup's ARN, its name, its id, or the start of its id
 * (six characters or more); table NULL: of any table. Puts the ARN into out;
 * FAILED when none or several backups fit. */
static int resolve_backup(shell *s, const char *word, const char *table,
                          char out[DYNB_ARN_MAX + 1])
{
    dynb_list_backups_input input;
    dynb_backup_list list;
    char candidates[512];
    unsigned found = 0;
    size_t length = strlen(word), used = 0;
    if (!strncmp(word, "arn:", 4)) {
        snprintf(out, DYNB_ARN_MAX + 1, "%s", word);
        return DONE;
    }
    memset(&input, 0, sizeof input);
    input.type = DYNB_LIST_ALL;
    input.table = table;
    candidates[0] = 0;
    do {
        uint32_t i;
        char last[DYNB_ARN_MAX + 1];
        if (dynb_list_backups(s->db, &input, &list, &s->other_result, &s->err))
            return failed(s);
        for (i = 0; i < list.count; ++i) {
            const char *id = backup_id(list.backups[i].backup_arn);
            if (strcmp(list.backups[i].backup_name, word) &&
                (length < 6 || strncmp(id, word, length)))
                continue;
            if (++found == 1)
                snprintf(out, DYNB_ARN_MAX + 1, "%s", list.backups[i].backup_arn);
            if (used < sizeof candidates - 64)
                used += (size_t)snprintf(candidates + used, sizeof candidates - used, "%s%.40s",
                                         found > 1 ? ", " : "", id);
        }
        if (list.last_evaluated_arn)
            snprintf(last, sizeof last, "%s", list.last_evaluated_arn);
        input.start_after_arn = list.last_evaluated_arn ? last : NULL;
    } while (input.start_after_arn);
    if (!found)
        return complain(s, "no backup has the name or id \"%s\" (\"backups\" lists them)", word);
    if (found > 1)
        return complain(s, "%u backups are called \"%s\"; name one by its id: %s", found, word,
                        candidates);
    return DONE;
}

static const char *backup_status_name(dynb_backup_status status)
{
    static const char *const names[] = {"CREATING", "AVAILABLE", "DELETED"};
    return status <= DYNB_BACKUP_DELETED ? names[status] : "?";
}

static void print_backup_head(void)
{
    printf("%-23s %-9s %-27s %14s  %-16s %s\n", "ID", "STATUS", "CREATED", "BYTES", "TABLE",
           "NAME");
}

static void print_backup_line(const dynb_backup_description *b)
{
    char date[40], bytes[32];
    printf("%-23s %-9s %-27s %14s  %-16s %s\n", backup_id(b->backup_arn),
           backup_status_name(b->status), date_text(date, b->created_at_ms),
           grouped(bytes, b->size_bytes), b->source.table_name, b->backup_name);
}

static void print_backup(const dynb_backup_description *b)
{
    char date[40], number[32];
    printf("backup        %s\narn           %s\n", b->backup_name, b->backup_arn);
    printf("status        %s\ntype          %s\n", backup_status_name(b->status),
           b->type == DYNB_BACKUP_SYSTEM ? "SYSTEM" : "USER");
    printf("created       %s\n", date_text(date, b->created_at_ms));
    if (b->expires_at_ms)
        printf("expires       %s\n", date_text(date, b->expires_at_ms));
    printf("marker        LSN %" PRIu64 ": all changes up to it, none after it\n", b->lsn);
    printf("bytes         %s\n", grouped(number, b->size_bytes));
    printf("of table      %s\ntable id      %s\n", b->source.table_name, b->source.table_id);
    print_keys(&b->source);
    print_indexes(&b->source);
    printf("items         %s\n", grouped(number, b->source.item_count));
    print_settings(&b->source.settings);
    if (b->source.ttl_attribute)
        printf("time to live  %s\n", b->source.ttl_attribute);
}

static int run_backup(shell *s, arguments *a)
{
    int no_wait = take_option(a, "--no-wait", 0) != NULL;
    const char *tables[100] = {NULL}, *name;
    dynb_backup_description backups[100];
    uint32_t count = 0, i;
    char *list, *table;
    int rc = check_words(s, a);
    if (rc)
        return rc;
    list = a->words[0];
    name = a->words[1];
    while (count < 100 && (table = next_name(&list)) != NULL)
        tables[count++] = table;
    if (list)
        return misused(s, "at most 100 tables at once");
    if (dynb_create_backups(s->db, tables, count, name, backups, &s->result, &s->err))
        return failed(s);
    for (i = 0; i < count; ++i)
        printf("%s\n", backups[i].backup_arn);
    if (count > 1)
        printf("(%u tables at one marker, LSN %" PRIu64 ")\n", (unsigned)count, backups[0].lsn);
    if (!no_wait && dynb_wait_idle(s->db, &s->err))
        return failed(s);
    return DONE;
}

static int run_backups(shell *s, arguments *a)
{
    static const char *const types[] = {"user", "system", "aws_backup", "all"};
    char **type = take_option(a, "--type", 1);
    dynb_list_backups_input input;
    dynb_backup_list list;
    int rc = check_words(s, a);
    if (rc)
        return rc;
    memset(&input, 0, sizeof input);
    for (input.type = 0; type && input.type <= DYNB_LIST_ALL; ++input.type)
        if (!strcmp(type[0], types[input.type]))
            break;
    if (!type)
        input.type = DYNB_LIST_ALL;
    if (input.type > DYNB_LIST_ALL)
        return misused(s, "--type is user, system or all, not \"%s\"", type[0]);
    input.table = a->count ? a->words[0] : NULL;
    print_backup_head();
    do {
        char last[DYNB_ARN_MAX + 1];
        uint32_t i;
        if (dynb_list_backups(s->db, &input, &list, &s->result, &s->err))
            return failed(s);
        for (i = 0; i < list.count; ++i)
            print_backup_line(&list.backups[i]);
        if (list.last_evaluated_arn)
            snprintf(last, sizeof last, "%s", list.last_evaluated_arn);
        input.start_after_arn = list.last_evaluated_arn ? last : NULL;
    } while (input.start_after_arn);
    return DONE;
}

static int run_describe_backup(shell *s, arguments *a)
{
    char arn[DYNB_ARN_MAX + 1];
    dynb_backup_description b;
    int rc = check_words(s, a);
    if (rc || (rc = resolve_backup(s, a->words[0], NULL, arn)) != DONE)
        return rc;
    if (dynb_describe_backup(s->db, arn, &b, &s->result, &s->err))
        return failed(s);
    print_backup(&b);
    return DONE;
}

static int run_delete_backup(shell *s, arguments *a)
{
    char arn[DYNB_ARN_MAX + 1];
    dynb_backup_description b;
    int rc = check_words(s, a);
    if (rc || (rc = resolve_backup(s, a->words[0], NULL, arn)) != DONE)
        return rc;
    if (dynb_delete_backup(s->db, arn, &b, &s->result, &s->err))
        return failed(s);
    printf("deleted backup %s of %s\n", b.backup_name, b.source.table_name);
    return DONE;
}

/* restore --at TIME|latest TABLE NEWTABLE */
static int restore_to_time(shell *s, arguments *a, const char *time)
{
    dynb_restore_to_time_input input;
    dynb_table_description d;
    char number[32], date[40];
    memset(&input, 0, sizeof input);
    if (strncmp(a->words[0], "arn:", 4))
        input.source_table_name = a->words[0];
    else
        input.source_table_arn = a->words[0];
    input.target_table_name = a->words[1];
    input.use_latest_time = !strcmp(time, "latest");
    input.use_restore_time = !input.use_latest_time;
    if (input.use_restore_time && !parse_date(time, &input.restore_time_ms))
        return misused(s, "--at needs a time such as 2026-11-22T15:09:01.123, or latest, not "
                          "\"%s\"",
                       time);
    if (dynb_restore_table_to_point_in_time(s->db, &input, &d, &s->result, &s->err))
        return failed(s);
    printf("restored %s as of %s into ", a->words[0], date_text(date, d.restored_at_ms));
    if (dynb_describe_table(s->db, a->words[1], &d, &s->result, &s->err))
        return failed(s);
    printf("%s: %s items\n", d.table_name, grouped(number, d.item_count));
    return DONE;
}

/* pitr TABLE [on [DAYS] | off] */
static int run_pitr(shell *s, arguments *a)
{
    dynb_update_continuous_backups_input input;
    dynb_continuous_backups about;
    char date[40];
    uint64_t days = 0;
    int rc = check_words(s, a);
    if (rc)
        return rc;
    memset(&input, 0, sizeof input);
    input.table = a->words[0];
    if (a->count > 1) {
        input.point_in_time_recovery = !strcmp(a->words[1], "on");
        if (!input.point_in_time_recovery && strcmp(a->words[1], "off"))
            return misused(s, "it is on or off, not \"%s\"", a->words[1]);
        input.choose_period = a->count > 2;
        if (input.choose_period && !parse_number(a->words[2], INT32_MAX, &days))
            return misused(s, "DAYS is a number, not \"%s\"", a->words[2]);
        input.recovery_period_days = (int32_t)days;
        if (dynb_update_continuous_backups(s->db, &input, &about, &s->err))
            return failed(s);
    } else if (dynb_describe_continuous_backups(s->db, a->words[0], &about, &s->err)) {
        return failed(s);
    }
    printf("recovery      %s\n", about.recovery_is_enabled ? "ENABLED" : "DISABLED");
    if (!about.recovery_is_enabled)
        return DONE;
    printf("period        %u days\n", (unsigned)about.recovery_period_days);
    printf("earliest      %s\n", date_text(date, about.earliest_restorable_ms));
    printf("latest        %s\n", date_text(date, about.latest_restorable_ms));
    return DONE;
}

/* Takes an option with a number. Nonzero: it is wrong. */
static int take_count(shell *s, arguments *a, const char *name, uint64_t max, uint64_t *out)
{
    char **value = take_option(a, name, 1);
    *out = 0;
    if (value && !parse_number(value[0], max, out))
        return misused(s, "%s needs a number, not \"%s\"", name, value[0]);
    return DONE;
}

static int run_retention(shell *s, arguments *a)
{
    dynb_backup_retention rule;
    uint64_t last, hourly, daily, days;
    int none = take_option(a, "--none", 0) != NULL, words = a->count, rc;
    if ((rc = take_count(s, a, "--keep-last", UINT32_MAX - 1, &last)) != DONE ||
        (rc = take_count(s, a, "--keep-hourly", UINT32_MAX - 1, &hourly)) != DONE ||
        (rc = take_count(s, a, "--keep-daily", UINT32_MAX - 1, &daily)) != DONE ||
        (rc = take_count(s, a, "--max-days", 1000000, &days)) != DONE ||
        (rc = check_words(s, a)) != DONE)
        return rc;
    memset(&rule, 0, sizeof rule);
    rule.keep_last = (uint32_t)last;
    rule.keep_hourly = (uint32_t)hourly;
    rule.keep_daily = (uint32_t)daily;
    rule.max_age_ms = days * 86400000u;
    if ((none || words != a->count) &&
        dynb_update_backup_retention(s->db, a->words[0], &rule, &s->err))
        return failed(s);
    if (dynb_describe_backup_retention(s->db, a->words[0], &rule, &s->err))
        return failed(s);
    if (!rule.keep_last && !rule.keep_hourly && !rule.keep_daily && !rule.max_age_ms) {
        printf("all backups are kept\n");
        return DONE;
    }
    printf("keep last     %u\nkeep hourly   %u\nkeep daily    %u\n", (unsigned)rule.keep_last,
           (unsigned)rule.keep_hourly, (unsigned)rule.keep_daily);
    printf("max age       %" PRIu64 " days (0: no limit)\n", rule.max_age_ms / 86400000u);
    return DONE;
}

static int run_restore(shell *s, arguments *a)
{
    char arn[DYNB_ARN_MAX + 1], number[32];
    char **at = take_option(a, "--at", 1);
    dynb_restore_input input;
    dynb_table_description d;
    int rc = check_words(s, a);
    if (rc == DONE && at)
        return restore_to_time(s, a, at[0]);
    if (rc || (rc = resolve_backup(s, a->words[0], NULL, arn)) != DONE)
        return rc;
    memset(&input, 0, sizeof input);
    input.target_table_name = a->words[1];
    input.backup_arn = arn;
    if (dynb_restore_table_from_backup(s->db, &input, NULL, NULL, &s->err) ||
        dynb_describe_table(s->db, a->words[1], &d, &s->result, &s->err))
        return failed(s);
    printf("restored %s items into %s\n", grouped(number, d.item_count), d.table_name);
    return DONE;
}

/* --- diff: what one has and the other has not */

/* A word for a table, or TABLE@TIME, else for a backup. A table's name is cut off
 * in the word. */
static int find_side(shell *s, char *word, dynb_source *source, char arn[DYNB_ARN_MAX + 1])
{
    dynb_table_description d;
    char *time = strrchr(word, '@');
    memset(source, 0, sizeof *source);
    if (time) {
        *time++ = 0;
        source->table = word;
        source->use_time = 1;
        return read_time(s, word, time, &source->time_ms)
                   ? DONE
                   : misused(s, "@ needs a time such as 2026-11-22T15:09:01.123, or latest, not "
                                "\"%s\"",
                             time);
    }
    if (!dynb_describe_table(s->db, word, &d, &s->result, &s->err)) {
        source->table = word;
        return DONE;
    }
    source->backup_arn = arn;
    return resolve_backup(s, word, NULL, arn);
}

static int print_difference(shell *s, const dynb_difference *d)
{
    if (d->old_item.bytes && print_item(s, d->old_item, stdout, "- ", "\n"))
        return FAILED;
    return d->new_item.bytes ? print_item(s, d->new_item, stdout, "+ ", "\n") : DONE;
}

static int run_diff(shell *s, arguments *a)
{
    char arns[2][DYNB_ARN_MAX + 1];
    dynb_compare_input input;
    dynb_difference_page page;
    uint64_t limit, shown = 0, counts[3] = {0, 0, 0};
    int rc;
    memset(&input, 0, sizeof input);
    if ((rc = take_limit(s, a, &limit)) != DONE || (rc = check_words(s, a)) != DONE ||
        (rc = find_side(s, a->words[0], &input.from, arns[0])) != DONE ||
        (rc = find_side(s, a->words[1], &input.to, arns[1])) != DONE)
        return rc;
    do {
        uint32_t i;
        input.limit = limit ? (uint32_t)(limit - shown) : 0;
        if (dynb_compare(s->db, &input, &page, &s->result, &s->err))
            return failed(s);
        for (i = 0; i < page.count; ++i) {
            const dynb_difference *d = &page.differences[i];
            ++counts[!d->old_item.bytes ? 0 : !d->new_item.bytes ? 1 : 2];
            if (print_difference(s, d))
                return FAILED;
        }
        shown += page.count;
        input.start_after = page.last_key;
    } while (page.last_key.bytes && !(limit && shown >= limit));
    if (isatty(fileno(stdout)))
        printf("(%" PRIu64 " added, %" PRIu64 " removed, %" PRIu64 " changed)\n", counts[0],
               counts[1], counts[2]);
    return DONE;
}

static int run_work(shell *s, arguments *a)
{
    dynb_stat before, after;
    char bytes[32];
    int rc = check_words(s, a);
    if (rc)
        return rc;
    if (dynb_get_stat(s->db, &before, &s->err) || dynb_wait_idle(s->db, &s->err) ||
        dynb_get_stat(s->db, &after, &s->err))
        return failed(s);
    if (after.folds_count == before.folds_count)
        printf("nothing was left to do\n");
    else
        printf("%" PRIu64 " folds, %s bytes written\n", after.folds_count - before.folds_count,
               grouped(bytes, after.written_bytes - before.written_bytes));
    return DONE;
}

/* -------------------------------------------------- looking inside -- */

static void report_problem(void *ctx, const char *where, const dynb_error *problem)
{
    complain((const shell *)ctx, "%s: %s", where, problem->message);
}

static int run_check(shell *s, arguments *a)
{
    dynb_check_report report;
    char text[32];
    int rc = check_words(s, a);
    if (rc)
        return rc;
    memset(&report, 0, sizeof report);
    if (dynb_check(s->db, &report, report_problem, s, &s->err)) {
        if (s->err.code != DYNB_CORRUPT || !report.problems_count)
            return failed(s);
        return complain(s, "%s: %" PRIu64 " problem%s found", s->path ? s->path : "the store",
                        report.problems_count, report.problems_count == 1 ? "" : "s");
    }
    printf("tables   %12s\n", grouped(text, report.tables_count));
    printf("backups  %12s\n", grouped(text, report.backups_count));
    printf("runs     %12s\n", grouped(text, report.runs_count));
    printf("nodes    %12s   sums, order of keys and totals hold\n",
           grouped(text, report.nodes_count));
    printf("items    %12s   all well-formed\n", grouped(text, report.items_count));
    if (dynb_scrub(s->db, &s->err))
        return failed(s);
    printf("the state rebuilt from snapshots and log equals the live state\n");
    return DONE;
}

static int run_stat(shell *s, arguments *a)
{
    dynb_stat stat;
    char text[32];
    int rc = check_words(s, a);
    if (rc)
        return rc;
    if (dynb_get_stat(s->db, &stat, &s->err))
        return failed(s);
    printf("tables               %15s\n", grouped(text, stat.table_count));
    printf("device bytes         %15s\n", grouped(text, stat.device_bytes));
    if (stat.used_bytes) /* a read-only handle does not look for what is free */
        printf("  in use             %15s\n", grouped(text, stat.used_bytes));
    printf("  of that the log    %15s\n", grouped(text, stat.log_bytes));
    printf("page bytes           %15s\n", grouped(text, stat.page_size_bytes));
    printf("node bytes           %15s\n", grouped(text, stat.node_size_bytes));
    printf("memory bytes         %15s\n", grouped(text, stat.memory_bytes));
    printf("  peak               %15s\n", grouped(text, stat.memory_peak_bytes));
    printf("  changes to fold    %15s\n", grouped(text, stat.generation_bytes));
    printf("last LSN             %15s\n", grouped(text, stat.lsn));
    printf("durable up to LSN    %15s\n", grouped(text, stat.durable_lsn));
    return DONE;
}

typedef struct log_view {
    uint64_t count, skip, seen;
} log_view;

static int count_record(void *ctx, const dynb_log_record *record)
{
    (void)record;
    ++((log_view *)ctx)->count;
    return 0;
}

static int print_record(void *ctx, const dynb_log_record *record)
{
    log_view *view = (log_view *)ctx;
    char date[40], bytes[32], changes[32];
    if (view->seen++ >= view->skip)
        printf("%10" PRIu64 "  %-27s %5u %9s %11s %12" PRIu64 "\n", record->lsn,
               date_text(date, record->time_ms), (unsigned)record->epoch,
               grouped(changes, record->change_count), grouped(bytes, record->size_bytes),
               record->durable_lsn);
    return 0;
}

static int run_log(shell *s, arguments *a)
{
    uint64_t limit;
    log_view view;
    int rc = take_limit(s, a, &limit);
    if (rc || (rc = check_words(s, a)) != DONE)
        return rc;
    memset(&view, 0, sizeof view);
    if (dynb_inspect_log(s->db, count_record, &view, &s->err))
        return failed(s);
    limit = limit ? limit : 40;
    view.skip = view.count > limit ? view.count - limit : 0;
    printf("%10s  %-27s %5s %9s %11s %12s\n", "LSN", "WRITTEN", "EPOCH", "CHANGES", "BYTES",
           "DURABLE LSN");
    if (view.skip)
        printf("%10s  (%" PRIu64 " older records)\n", "...", view.skip);
    if (dynb_inspect_log(s->db, print_record, &view, &s->err))
        return failed(s);
    return DONE;
}

/* The nodes of one snapshot, gathered before they are printed. */
typedef struct node_list {
    dynb_node_info *nodes;
    size_t count, capacity;
    int out_of_memory;
} node_list;

static int gather_node(void *ctx, const dynb_node_info *node)
{
    node_list *list = (node_list *)ctx;
    if (list->count == list->capacity) {
        size_t capacity = list->capacity * 2 + 256;
        dynb_node_info *grown =
            (dynb_node_info *)realloc(list->nodes, capacity * sizeof list->nodes[0]);
        if (!grown) {
            list->out_of_memory = 1;
            return 1;
        }
        list->nodes = grown;
        list->capacity = capacity;
    }
    list->nodes[list->count++] = *node;
    return 0;
}

static int compare_pages(const void *a, const void *b)
{
    uint32_t left = ((const dynb_node_info *)a)->page, right = ((const dynb_node_info *)b)->page;
    return left < right ? -1 : left > right;
}

static int gather_nodes(shell *s, const char *word, node_list *list)
{
    char arn[DYNB_ARN_MAX + 1];
    dynb_table_description d;
    memset(list, 0, sizeof *list);
    if (dynb_describe_table(s->db, word, &d, &s->result, &s->err)) {
        if (resolve_backup(s, word, NULL, arn))
            return FAILED;
        word = arn;
    }
    if (dynb_inspect_nodes(s->db, word, gather_node, list, &s->err))
        return failed(s);
    return list->out_of_memory ? complain(s, "out of memory") : DONE;
}

/* One line a level of each run: how many nodes, pages, and entries. */
static void print_runs(const node_list *list, int each_node)
{
    size_t i = 0;
    while (i < list->count) {
        const dynb_node_info *run = &list->nodes[i];
        uint32_t levels = run->level + 1, level;
        size_t end = i;
        while (end < list->count && list->nodes[end].run_index == run->run_index)
            ++end;
        printf("run %u: the changes of LSN %" PRIu64 " to %" PRIu64 ", %" PRIu64 " entries\n",
               (unsigned)run->run_index, run->run_from_lsn + 1, run->run_to_lsn, run->entry_count);
        for (level = levels; level-- > 0;) {
            size_t j, nodes = 0, pages = 0;
            for (j = i; j < end; ++j)
                if (list->nodes[j].level == level) {
                    ++nodes;
                    pages += list->nodes[j].page_count;
                }
            printf("  level %u: %zu node%s on %zu page%s%s\n", (unsigned)level, nodes,
                   nodes == 1 ? "" : "s", pages, pages == 1 ? "" : "s", level ? "" : " (leaves)");
            for (j = i; each_node && j < end; ++j)
                if (list->nodes[j].level == level)
                    printf("    page %u, %u long: %" PRIu64 " entries\n",
                           (unsigned)list->nodes[j].page, (unsigned)list->nodes[j].page_count,
                           list->nodes[j].entry_count);
        }
        i = end;
    }
    if (!list->count)
        printf("no runs: nothing has been folded yet\n");
}

static void print_sharing(const node_list *a, const node_list *b)
{
    size_t i, shared = 0, shared_pages = 0, pages = 0;
    if (a->count)
        qsort(a->nodes, a->count, sizeof a->nodes[0], compare_pages);
    for (i = 0; i < b->count; ++i) {
        pages += b->nodes[i].page_count;
        if (a->count &&
            bsearch(&b->nodes[i], a->nodes, a->count, sizeof a->nodes[0], compare_pages)) {
            ++shared;
            shared_pages += b->nodes[i].page_count;
        }
    }
    printf("shared by both: %zu of the second one's %zu nodes, %zu of its %zu pages\n", shared,
           b->count, shared_pages, pages);
}

static int run_runs(shell *s, arguments *a)
{
    int each_node = take_option(a, "--nodes", 0) != NULL;
    node_list lists[2];
    int i, rc = check_words(s, a);
    if (rc)
        return rc;
    memset(lists, 0, sizeof lists);
    for (i = 0; i < a->count && !rc; ++i) {
        rc = gather_nodes(s, a->words[i], &lists[i]);
        if (!rc && a->count > 1)
            printf("%s%s\n", i ? "\n" : "", a->words[i]);
        if (!rc)
            print_runs(&lists[i], each_node);
    }
    if (!rc && a->count > 1) {
        putchar('\n');
        print_sharing(&lists[0], &lists[1]);
    }
    free(lists[0].nodes);
    free(lists[1].nodes);
    return rc;
}

/* ------------------------------------------------------------ demo -- */

/* A device that counts what goes through it, around the device for a file. */
typedef struct counted_device {
    dynb_device file;
    uint64_t written_bytes;
    uint64_t sync_count;
#ifdef DYNBACKUP_PTHREADS
    pthread_mutex_t lock; /* callbacks may run at the same time */
#endif
} counted_device;

typedef struct device_counts {
    uint64_t written_bytes;
    uint64_t sync_count;
} device_counts;

/* Adds to the counts and tells what they are. */
static device_counts add_counts(counted_device *device, uint64_t bytes, uint64_t syncs)
{
    device_counts counts;
#ifdef DYNBACKUP_PTHREADS
    pthread_mutex_lock(&device->lock);
#endif
    counts.written_bytes = device->written_bytes += bytes;
    counts.sync_count = device->sync_count += syncs;
#ifdef DYNBACKUP_PTHREADS
    pthread_mutex_unlock(&device->lock);
#endif
    return counts;
}

static dynb_rc counted_read(void *ctx, uint64_t pos, void *to, size_t size_bytes)
{
    counted_device *device = (counted_device *)ctx;
    return device->file.read_fn(device->file.ctx, pos, to, size_bytes);
}

static dynb_rc counted_write(void *ctx, uint64_t pos, const void *from, size_t size_bytes)
{
    counted_device *device = (counted_device *)ctx;
    add_counts(device, size_bytes, 0);
    return device->file.write_fn(device->file.ctx, pos, from, size_bytes);
}

static dynb_rc counted_sync(void *ctx)
{
    counted_device *device = (counted_device *)ctx;
    add_counts(device, 0, 1);
    return device->file.sync_fn(device->file.ctx);
}

static dynb_rc counted_size(void *ctx, uint64_t *size_bytes)
{
    counted_device *device = (counted_device *)ctx;
    return device->file.size_fn(device->file.ctx, size_bytes);
}

static dynb_rc counted_resize(void *ctx, uint64_t size_bytes)
{
    counted_device *device = (counted_device *)ctx;
    return device->file.resize_fn(device->file.ctx, size_bytes);
}

static const void *counted_map(void *ctx, uint64_t pos, size_t size_bytes)
{
    counted_device *device = (counted_device *)ctx;
    return device->file.map_fn(device->file.ctx, pos, size_bytes);
}

static void counted_close(void *ctx)
{
    counted_device *device = (counted_device *)ctx;
    if (device->file.close_fn)
        device->file.close_fn(device->file.ctx);
#ifdef DYNBACKUP_PTHREADS
    pthread_mutex_destroy(&device->lock);
#endif
}

typedef struct demo {
    shell *s;
    counted_device device;
    device_counts started; /* when the step that runs began ... */
    uint64_t started_us;   /* ... and at which time */
} demo;

static const struct {
    const char *table, *file, *restored;
    dynb_key_attribute partition_key, sort_key;
} demo_tables[] = {
    {"Planets", "planets.jsonl", "Planets-then", {"Name", DYNB_S}, {NULL, DYNB_TYPE_NONE}},
    {"Moons", "moons.jsonl", "Moons-then", {"Planet", DYNB_S}, {"Name", DYNB_S}},
    {"Elements", "elements.jsonl", "Elements-then", {"Period", DYNB_N}, {"Number", DYNB_N}}};
enum { DEMO_TABLES = 3, READINGS = 100000, READING_STRIDE = 100 };

static const char demo_path[] = "dynb-demo.dynb";

static uint64_t now_us(void)
{
    struct timespec t;
#ifdef CLOCK_MONOTONIC
    clock_gettime(CLOCK_MONOTONIC, &t);
#else
    timespec_get(&t, TIME_UTC);
#endif
    return (uint64_t)t.tv_sec * 1000000u + (uint64_t)t.tv_nsec / 1000u;
}

static void print_step_head(void)
{
    printf("\n  %-50s %8s %12s %6s %10s\n", "step", "items", "bytes", "syncs", "us");
}

static void begin_step(demo *d)
{
    d->started = add_counts(&d->device, 0, 0);
    d->started_us = now_us();
}

static void end_step(demo *d, const char *what, uint64_t items)
{
    uint64_t us = now_us() - d->started_us;
    device_counts counts = add_counts(&d->device, 0, 0);
    char item_text[32], bytes[32], time_text[32];
    printf("  %-50s %8s %12s %6" PRIu64 " %10s\n", what, grouped(item_text, items),
           grouped(bytes, counts.written_bytes - d->started.written_bytes),
           counts.sync_count - d->started.sync_count, grouped(time_text, us));
}

/* A table's items in order, page after page. */
typedef struct cursor {
    dynb_scan_input scan;
    dynb_page page;
    uint32_t at;
    int started;
} cursor;

/* Puts the next item into *item, or one with bytes NULL at the end. */
static int next_item(shell *s, cursor *c, dynb_item *item)
{
    item->bytes = NULL;
    while (!c->started || c->at == c->page.count) {
        if (c->started && !c->page.last_key.bytes)
            return DONE;
        c->scan.start_after = c->started ? c->page.last_key : *item;
        if (dynb_scan(s->db, &c->scan, &c->page, &s->result, &s->err))
            return failed(s);
        c->started = 1;
        c->at = 0;
    }
    *item = c->page.items[c->at++];
    return DONE;
}

/* Equal items have equal bytes: the encoding is canonical. */
static int same_item(dynb_item a, dynb_item b)
{
    return a.bytes && b.bytes && a.size_bytes == b.size_bytes &&
           !memcmp(a.bytes, b.bytes, a.size_bytes);
}

/* The data may be below the current folder or beside the program. */
static FILE *open_data(const shell *s, const char *folder, const char *file, char path[1024])
{
    static const char *const places[] = {"", "examples/data/", "data/", "../examples/data/"};
    const char *slash = strrchr(s->program, '/');
    size_t i;
    for (i = 0; i < 8; ++i) {
        int beside = i >= 4; /* the second round looks from where the program is */
        FILE *in;
        if (folder)
            snprintf(path, 1024, "%s/%s", folder, file);
        else if (beside && !slash)
            continue;
        else
            snprintf(path, 1024, "%.*s%s%s", beside ? (int)(slash - s->program + 1) : 0, s->program,
                     places[i % 4], file);
        in = fopen(path, "rb");
        if (in || folder)
            return in;
    }
    return NULL;
}

static int demo_open(demo *d)
{
    shell *s = d->s;
    dynb_config config;
    dynb_device device;
    memset(&config, 0, sizeof config);
    memset(&device, 0, sizeof device);
    if (dynb_file_device_open(&d->device.file, demo_path, 0, NULL, &s->err))
        return complain_error(s, demo_path, &s->err);
#ifdef DYNBACKUP_PTHREADS
    pthread_mutex_init(&d->device.lock, NULL);
#else
    config.manual_work = 1; /* the building is to be seen, step by step */
#endif
    device.ctx = &d->device;
    device.read_fn = counted_read;
    device.write_fn = counted_write;
    device.sync_fn = counted_sync;
    device.size_fn = counted_size;
    device.resize_fn = counted_resize;
    device.map_fn = d->device.file.map_fn ? counted_map : NULL;
    device.close_fn = counted_close;
    config.device = &device;
    if (dynb_open(&s->db, NULL, &config, &s->err))
        return complain_error(s, demo_path, &s->err);
    return DONE;
}

/* Without a thread somebody has to build: a step of it, of about this many bytes. */
static int demo_work(demo *d, uint64_t bytes)
{
#ifdef DYNBACKUP_PTHREADS
    struct timespec moment = {0, 100000}; /* the thread builds: leave it the lock */
    (void)d;
    (void)bytes;
    nanosleep(&moment, NULL);
    return DONE;
#else
    return dynb_work(d->s->db, bytes, NULL, &d->s->err) ? failed(d->s) : DONE;
#endif
}

static int demo_load(demo *d, const char *folder)
{
    shell *s = d->s;
    uint64_t loaded, total = 0;
    size_t i;
    begin_step(d);
    for (i = 0; i < DEMO_TABLES; ++i) {
        dynb_create_table_input input;
        memset(&input, 0, sizeof input);
        input.table_name = demo_tables[i].table;
        input.partition_key = demo_tables[i].partition_key;
        input.sort_key = demo_tables[i].sort_key;
        if (dynb_create_table(s->db, &input, NULL, NULL, &s->err))
            return failed(s);
    }
    end_step(d, "create the tables Planets, Moons and Elements", DEMO_TABLES);
    begin_step(d);
    for (i = 0; i < DEMO_TABLES; ++i) {
        char path[1024];
        FILE *in = open_data(s, folder, demo_tables[i].file, path);
        if (!in)
            return complain(s, "cannot find %s", demo_tables[i].file);
        fclose(in);
        if (load_file(s, demo_tables[i].table, path, 0, &loaded))
            return FAILED;
        total += loaded;
    }
    end_step(d, "load the three files", total);
    return DONE;
}

static int demo_put(shell *s, const char *table, const char *json, int is_delete)
{
    dynb_item item;
    if (dynb_item_from_json(&s->builder, json, strlen(json), &item, &s->err) ||
        (is_delete ? dynb_delete_item(s->db, table, item, NULL, NULL, NULL, &s->err)
                   : dynb_put_item(s->db, table, item, NULL, NULL, NULL, &s->err)))
        return failed(s);
    return DONE;
}

/* Writes to all three tables, a step of building between every two writes. */
static int demo_change(demo *d)
{
    shell *s = d->s;
    uint64_t changes = 0;
    int number, rc;
    begin_step(d);
    rc = demo_put(s, "Planets", "{\"Name\":{\"S\":\"Pluto\"},\"Order\":{\"N\":\"9\"}}", 0);
    if (!rc)
        rc = demo_put(s, "Moons", "{\"Planet\":{\"S\":\"Jupiter\"},\"Name\":{\"S\":\"Io\"}}", 1);
    if (!rc)
        rc = demo_put(s, "Moons",
                      "{\"Planet\":{\"S\":\"Jupiter\"},\"Name\":{\"S\":\"Europa\"},"
                      "\"Discovered\":{\"S\":\"never\"},\"RadiusKm\":{\"N\":\"1\"}}",
                      0);
    for (changes = 3, number = 87; number <= 118 && !rc; ++number, ++changes) {
        char key[96];
        snprintf(key, sizeof key, "{\"Period\":{\"N\":\"7\"},\"Number\":{\"N\":\"%d\"}}", number);
        rc = demo_put(s, "Elements", key, 1);
        if (!rc)
            rc = demo_work(d, 4096);
    }
    if (!rc)
        end_step(d, "change items of all three while these are built", changes);
    return rc;
}

/* Compares a table with the lines of a file, item by item, in order. */
static int compare_with_file(demo *d, const char *table, const char *path, uint64_t *compared)
{
    shell *s = d->s;
    lines in;
    cursor c;
    const char *text;
    size_t length;
    dynb_item expected, found = {NULL, 0};
    int rc = DONE;
    memset(&in, 0, sizeof in);
    memset(&c, 0, sizeof c);
    c.scan.table = table;
    in.in = fopen(path, "rb");
    if (!in.in)
        return complain(s, "cannot open %s", path);
    while (!rc && next_line(&in, &text, &length) > 0) {
        rc = read_item(s, text, length, &expected) ? failed(s) : next_item(s, &c, &found);
        if (!rc && !same_item(expected, found))
            rc = complain(s, "%s differs from %s:%lu", table, path, in.number);
        ++*compared;
    }
    if (!rc && (rc = next_item(s, &c, &found)) == DONE && found.bytes)
        rc = complain(s, "%s has items that %s has not", table, path);
    fclose(in.in);
    free(in.memory);
    return rc;
}

static int demo_restore(demo *d, const dynb_backup_description *backups, const char *folder)
{
    shell *s = d->s;
    uint64_t compared = 0;
    size_t i;
    begin_step(d);
    for (i = 0; i < DEMO_TABLES; ++i) {
        dynb_restore_input input;
        memset(&input, 0, sizeof input);
        input.target_table_name = demo_tables[i].restored;
        input.backup_arn = backups[i].backup_arn;
        if (dynb_restore_table_from_backup(s->db, &input, NULL, NULL, &s->err))
            return failed(s);
    }
    end_step(d, "restore each to a new table, ...-then", DEMO_TABLES);
    begin_step(d);
    for (i = 0; i < DEMO_TABLES; ++i) {
        char path[1024];
        FILE *in = open_data(s, folder, demo_tables[i].file, path);
        if (!in)
            return complain(s, "cannot find %s", demo_tables[i].file);
        fclose(in);
        if (compare_with_file(d, demo_tables[i].restored, path, &compared))
            return FAILED;
    }
    end_step(d, "compare these with the files, item by item: equal", compared);
    return DONE;
}

/* Draws the moons of Jupiter in one of the tables. */
static int demo_show(demo *d, const char *title, const char *table)
{
    static const char json[] = "{\"Planet\":{\"S\":\"Jupiter\"}}";
    shell *s = d->s;
    dynb_table_description description;
    dynb_query_input query;
    dynb_page page;
    dynb_item item;
    memset(&query, 0, sizeof query);
    query.table = table;
    if (dynb_item_from_json(&s->builder, json, sizeof json - 1, &item, &s->err))
        return failed(s);
    query.partition_key = dynb_item_get(item, "Planet");
    if (dynb_describe_table(s->db, table, &description, &s->other_result, &s->err) ||
        dynb_query(s->db, &query, &page, &s->result, &s->err))
        return failed(s);
    printf("\n%s (query %s Jupiter --grid)\n\n", title, table);
    print_grid(&description, &page);
    return DONE;
}

/* Part 1: real data, three tables at one marker. */
static int demo_facts(demo *d, const char *folder)
{
    static const char *const names[] = {"Planets", "Moons", "Elements"};
    shell *s = d->s;
    dynb_backup_description backups[DEMO_TABLES];
    dynb_result kept; /* the backups' ARNs, which later calls must not overwrite */
    int rc;
    memset(&kept, 0, sizeof kept);
    printf("1. Real data: the planets, their moons, the chemical elements\n");
    print_step_head();
    if ((rc = demo_load(d, folder)) != DONE)
        return rc;
    begin_step(d);
    if (dynb_create_backups(s->db, names, DEMO_TABLES, "demo", backups, &kept, &s->err))
        rc = failed(s);
    else
        end_step(d, "back up all three, at one and the same marker", DEMO_TABLES);
    if (!rc)
        rc = demo_change(d);
    begin_step(d);
    if (!rc && dynb_wait_idle(s->db, &s->err))
        rc = failed(s);
    if (!rc) {
        end_step(d, "finish the building: AVAILABLE", DEMO_TABLES);
        rc = demo_restore(d, backups, folder);
    }
    dynb_result_free(&kept);
    if (!rc)
        rc = demo_show(d, "As it is now", "Moons");
    return rc ? rc : demo_show(d, "As it was", "Moons-then");
}

/* The reading number i, as first written (version 0) or as overwritten (1, 2). */
static int make_reading(shell *s, uint32_t i, uint32_t version, dynb_item *out)
{
    uint32_t noise = (i + version * 7919u) * 2654435761u;
    char text[16];
    dynb_builder *b = &s->builder;
    snprintf(text, sizeof text, "%u.%u", (unsigned)(noise >> 16) % 40u,
             (unsigned)(noise >> 8) % 10u);
    dynb_builder_begin(b);
    dynb_add_int(b, "Sensor", i / 1000);
    dynb_add_int(b, "Minute", i % 1000);
    dynb_add_number(b, "Celsius", text, strlen(text));
    dynb_add_int(b, "Version", version);
    dynb_add_string(b, "Remark",
                    "The housing was opened and the seal replaced; the sensor itself was left "
                    "where it is, three metres above the ground and facing north.",
                    (size_t)-1);
    return dynb_builder_finish(b, out, &s->err) ? failed(s) : DONE;
}

static int demo_load_readings(demo *d)
{
    shell *s = d->s;
    dynb_create_table_input input;
    loader *l;
    uint32_t i;
    int rc = DONE;
    memset(&input, 0, sizeof input);
    input.table_name = "Readings";
    input.partition_key.name = "Sensor";
    input.partition_key.type = DYNB_N;
    input.sort_key.name = "Minute";
    input.sort_key.type = DYNB_N;
    if (dynb_create_table(s->db, &input, NULL, NULL, &s->err))
        return failed(s);
    l = (loader *)calloc(1, sizeof *l);
    if (!l)
        return complain(s, "out of memory");
    l->s = s;
    l->table = l->file = input.table_name;
    l->options.choose_durability = 1;
    l->options.durability = DYNB_BUFFERED;
    begin_step(d);
    for (i = 0; i < READINGS && !rc; ++i) {
        dynb_item item;
        rc = make_reading(s, i, 0, &item);
        if (!rc)
            rc = add_to_batch(l, item, i);
        if (!rc && l->count == 1)
            rc = demo_work(d, 1 << 18);
    }
    if (!rc)
        rc = flush_batch(l);
    free(l->memory);
    free(l);
    if (!rc && dynb_sync(s->db, &s->err))
        rc = failed(s);
    if (!rc)
        end_step(d, "load, a thousand to a batch", READINGS);
    return rc;
}

static int demo_backup(demo *d, const char *name, char arn[DYNB_ARN_MAX + 1], const char *step)
{
    shell *s = d->s;
    dynb_backup_description backup;
    char text[64];
    begin_step(d);
    if (dynb_create_backup(s->db, "Readings", name, &backup, &s->result, &s->err))
        return failed(s);
    snprintf(text, sizeof text, "%s: %s", step, backup_status_name(backup.status));
    end_step(d, text, 1);
    snprintf(arn, DYNB_ARN_MAX + 1, "%s", backup.backup_arn);
    return DONE;
}

/* Overwrites every hundredth reading, a step of building after each if asked
 * for, and tells how long the slowest write took. */
static int demo_overwrite(demo *d, uint32_t version, int build)
{
    shell *s = d->s;
    dynb_write_options options;
    uint64_t longest_us = 0;
    char text[64];
    uint32_t i;
    memset(&options, 0, sizeof options);
    options.choose_durability = 1;
    options.durability = DYNB_TO_OS;
    begin_step(d);
    for (i = 0; i < READINGS; i += READING_STRIDE) {
        dynb_item item;
        uint64_t start_us;
        if (make_reading(s, i, version, &item))
            return FAILED;
        start_us = now_us();
        if (dynb_put_item(s->db, "Readings", item, &options, NULL, NULL, &s->err))
            return failed(s);
        start_us = now_us() - start_us;
        longest_us = start_us > longest_us ? start_us : longest_us;
        if (build && i % (READING_STRIDE * 10) == 0 && demo_work(d, 1 << 16))
            return FAILED;
    }
    snprintf(text, sizeof text, "overwrite 1 %%%s; slowest write %" PRIu64 " us",
             build ? " meanwhile" : "", longest_us);
    end_step(d, text, READINGS / READING_STRIDE);
    return DONE;
}

/* Builds until a backup is AVAILABLE, then tidies up until nothing is left. */
static int demo_finish(demo *d, const char *arn)
{
    shell *s = d->s;
    dynb_backup_description backup;
    begin_step(d);
    do {
        if (demo_work(d, 1 << 16))
            return FAILED;
        if (dynb_describe_backup(s->db, arn, &backup, &s->result, &s->err))
            return failed(s);
    } while (backup.status == DYNB_BACKUP_CREATING);
    end_step(d, "finish the building: AVAILABLE", 1);
    begin_step(d);
    if (dynb_wait_idle(s->db, &s->err))
        return failed(s);
    end_step(d, "tidy up: fold small runs into larger ones", 0);
    return DONE;
}

/* Compares a table with the readings as they were, or with the overwritten ones. */
static int compare_readings(demo *d, const char *table, uint32_t version)
{
    shell *s = d->s;
    cursor c;
    uint32_t i;
    dynb_item expected, found = {NULL, 0};
    memset(&c, 0, sizeof c);
    c.scan.table = table;
    for (i = 0; i < READINGS; ++i) {
        if (make_reading(s, i, i % READING_STRIDE ? 0 : version, &expected) ||
            next_item(s, &c, &found))
            return FAILED;
        if (!same_item(expected, found))
            return complain(s, "%s differs at reading %u", table, (unsigned)i);
    }
    if (next_item(s, &c, &found))
        return FAILED;
    return found.bytes ? complain(s, "%s has more readings than were written", table) : DONE;
}

static int demo_restore_readings(demo *d, const char *arn)
{
    shell *s = d->s;
    dynb_restore_input input;
    cursor c;
    dynb_item item;
    memset(&input, 0, sizeof input);
    input.target_table_name = "Readings-then";
    input.backup_arn = arn;
    memset(&c, 0, sizeof c);
    c.scan.table = input.target_table_name;
    c.scan.limit = 1;
    begin_step(d);
    if (dynb_restore_table_from_backup(s->db, &input, NULL, NULL, &s->err))
        return failed(s);
    if (next_item(s, &c, &item))
        return FAILED;
    end_step(d, "restore the first one and read an item of it", 1);
    begin_step(d);
    if (compare_readings(d, "Readings-then", 0))
        return FAILED;
    end_step(d, "compare it with what was written first: equal", READINGS);
    begin_step(d);
    if (compare_readings(d, "Readings", 2))
        return FAILED;
    end_step(d, "compare the table as it is now: overwritten", READINGS);
    return DONE;
}

/* Part 2: many items, to see what depends on their number and what does not. */
static int demo_readings(demo *d)
{
    char first[DYNB_ARN_MAX + 1], second[DYNB_ARN_MAX + 1], third[DYNB_ARN_MAX + 1];
    int rc;
    printf("\n2. Many items: 100,000 readings of a hundred made-up sensors\n");
    print_step_head();
    if ((rc = demo_load_readings(d)) != DONE ||
        (rc = demo_backup(d, "first", first, "first backup")) != DONE ||
        (rc = demo_overwrite(d, 1, 1)) != DONE || (rc = demo_finish(d, first)) != DONE ||
        (rc = demo_overwrite(d, 2, 0)) != DONE ||
        (rc = demo_backup(d, "second", second, "second backup, 1 % changed")) != DONE ||
        (rc = demo_finish(d, second)) != DONE ||
        (rc = demo_backup(d, "third", third, "third backup, nothing changed")) != DONE)
        return rc;
    return demo_restore_readings(d, first);
}

static int run_demo(shell *s, arguments *a)
{
    int keep = take_option(a, "--keep", 0) != NULL, rc = check_words(s, a);
    const char *folder = a->count ? a->words[0] : NULL;
    char path[1024];
    FILE *file;
    demo d;
    if (rc)
        return rc;
    memset(&d, 0, sizeof d);
    d.s = s;
    file = open_data(s, folder, demo_tables[0].file, path);
    if (!file)
        return complain(s,
                        "cannot find examples/data/%s; run this in the project's folder or "
                        "say where it is: dynb demo FOLDER",
                        demo_tables[0].file);
    fclose(file);
    if ((file = fopen(demo_path, "rb")) != NULL) {
        fclose(file);
        return complain(s, "%s is there already; remove it first", demo_path);
    }
    printf("dynbackup %s: a store in ./%s%s\n", DYNB_VERSION, demo_path,
           keep ? "" : ", removed at the end (--keep leaves it)");
    printf("bytes: written to the file; syncs: times the system had to bring them to the medium;\n"
           "us: microseconds it took, most of them spent waiting for the syncs\n\n");
    if ((rc = demo_open(&d)) != DONE)
        return rc;
    rc = demo_facts(&d, folder);
    if (!rc)
        rc = demo_readings(&d);
    if (!rc) {
        printf("\n3. Look at every node, and rebuild everything from the log: dynb %s check\n\n",
               demo_path);
        rc = run_check(s, a);
    }
    if (close_store(s) && !rc)
        rc = FAILED;
    if (rc)
        return complain(s, "the demo stopped; its store is still in %s", demo_path);
    if (!keep)
        remove(demo_path);
    else
        printf("\nGo on from here: ./dynb %s tables\n", demo_path);
    printf("\nAll was equal: each of the four restored tables holds exactly the items of its "
           "marker.\n");
    return DONE;
}

/* --------------------------------------------- the command table -- */

static int run_help(shell *s, arguments *a);

#define TABLE_OPTIONS \
    "  --provisioned READ WRITE   capacity units; --pay-per-request is the default\n" \
    "  --on-demand READ WRITE     at most so many request units\n" \
    "  --stream VIEW              off, keys, new, old or both\n" \
    "  --class CLASS              standard or infrequent\n" \
    "  --kms KEY                  a key's ARN, default, or off\n" \
    "  --protect on|off           against drop\n" \
    "  --tag KEY=VALUE            up to 50\n" \
    "All but --protect are recorded and shown, and change nothing else.\n"

#define AT_OPTION \
    "  --at BACKUP  inside a backup of the table, without restoring it\n" \
    "  --at TIME    as the table was then, with pitr on; TIME is UTC to the millisecond,\n" \
    "               2026-11-22T15:09:01.123, or milliseconds since 1970, or latest. A\n" \
    "               backup that is called like a time goes by its id.\n"

#define INDEX_KEYS \
    "KEYS are KEY:TYPE or KEY:TYPE,SORTKEY:TYPE, and perhaps what else is in the index:\n" \
    "all attributes; with /keys none; with /NAME,NAME those.\n"

static const command commands[] = {
    {"create", CREATES, 2, 3, run_create, "TABLE KEY:TYPE [SORTKEY:TYPE] [OPTION ...]",
     "make a table (and the store, if there is none)",
     "TYPE is S (string), N (number) or B (bytes).\n" TABLE_OPTIONS
     "  --index NAME KEYS          a global index, up to 20\n"
     "  --local-index NAME KEYS    a local index, up to 5\n" INDEX_KEYS},
    {"tables", READS, 0, 0, run_tables, "", "list the tables", ""},
    {"describe", READS, 1, 1, run_describe, "TABLE", "show a table's settings", ""},
    {"set", WRITES, 1, 1, run_set, "TABLE OPTION ...", "change a table's settings",
     TABLE_OPTIONS "  --add-index NAME KEYS      a global index; work fills it\n" INDEX_KEYS
                   "  --drop-index NAME\n"
                   "  --untag KEY\n"
                   "  --ttl ATTRIBUTE, --no-ttl  recorded; items do not expire\n"},
    {"drop", WRITES, 1, 1, run_drop, "TABLE", "delete a table; its backups stay", ""},
    {"load", WRITES, 1, 2, run_load, "TABLE [FILE] [--keep-going]",
     "put a file's items, one a line",
     "A line is an item in DynamoDB JSON, bare or as {\"Item\":{...}}, the form of\n"
     "DynamoDB's exports. Without FILE, or with -, standard input is read:\n"
     "  gzip -dc export.json.gz | dynb FILE load TABLE\n"
     "A bad line stops it; with --keep-going it is reported and left out.\n"},
    {"dump", READS, 1, 2, run_dump, "TABLE [FILE]", "write all items, as load reads them",
     "In order of the keys, attributes by name: equal tables give equal files.\n"},
    {"get", READS, 2, 2, run_get, "TABLE KEY [--at BACKUP|TIME]", "show the item with that key",
     "KEY is DynamoDB JSON, such as '{\"Id\":{\"N\":\"7\"}}', or - for standard input.\n"
     AT_OPTION},
    {"put", WRITES, 2, 2, run_put, "TABLE ITEM [--old]", "write an item",
     "ITEM is DynamoDB JSON, or - for standard input. --old shows what it replaced.\n"},
    {"delete", WRITES, 2, 2, run_delete, "TABLE KEY [--old]", "delete the item with that key",
     "--old shows what was deleted.\n"},
    {"query", READS, 2, 5, run_query,
     "TABLE VALUE [CONDITION VALUE [VALUE]] [--index NAME] [--desc] [--limit N] [--grid] "
     "[--at BACKUP|TIME]",
     "show the items of one partition key",
     "The first VALUE is the partition key's. The CONDITION is on the sort key:\n"
     "eq lt le gt ge (or = < <= > >=, quoted), begins, and between, with two values.\n"
     "Values are plain words; keys of type B are written in base64.\n"
     "  --index NAME  of that index, with its keys\n"
     "  --desc     from the highest sort key down\n"
     "  --limit N  N items at most\n"
     "  --grid     in columns instead of JSON\n"
     AT_OPTION
     "Example: dynb FILE query Elements 6 between 57 71 --grid\n"},
    {"scan", READS, 1, 1, run_scan, "TABLE [--index NAME] [--limit N] [--grid] [--at BACKUP|TIME]",
     "show all items", "  --index NAME  those of that index, in its order\n" AT_OPTION},
    {"backup", WRITES, 2, 2, run_backup, "TABLE[,TABLE ...] NAME [--no-wait]",
     "back up tables as they are at this instant",
     "Several tables, parted by commas, are backed up at one marker. Prints the\n"
     "backups' ARNs. The backup is exact and safe once it has an ARN; --no-wait leaves\n"
     "its building to later commands or to work.\n"},
    {"backups", READS, 0, 1, run_backups, "[TABLE] [--type user|system|all]",
     "list the backups",
     "A system backup is what stays, for 35 days, of a deleted table with pitr on.\n"},
    {"describe-backup", READS, 1, 1, run_describe_backup, "BACKUP", "show a backup",
     "BACKUP is an ARN, or a name, an id or the start of an id that only one has.\n"},
    {"delete-backup", WRITES, 1, 1, run_delete_backup, "BACKUP", "delete a backup",
     "BACKUP is an ARN, or a name, an id or the start of an id that only one has.\n"},
    {"restore", WRITES, 2, 2, run_restore, "BACKUP NEWTABLE | --at TIME|latest TABLE NEWTABLE",
     "make a new table of a backup, or of a table's past",
     "Nothing is copied, so it takes no time; both live on independently.\n"
     "BACKUP is an ARN, or a name, an id or the start of an id that only one has.\n"
     "With --at it is TABLE as it was then; see pitr. TIME is UTC to the millisecond,\n"
     "2026-11-22T15:09:01.123, or milliseconds since 1970.\n"},
    {"pitr", WRITES, 1, 3, run_pitr, "TABLE [on [DAYS] | off]",
     "point-in-time recovery: show, switch on or off",
     "With recovery on, any millisecond of the last 1 to 35 DAYS can be restored.\n"},
    {"retention", WRITES, 1, 1, run_retention,
     "TABLE [--keep-last N] [--keep-hourly N] [--keep-daily N] [--max-days N] [--none]",
     "which backups of a table stay",
     "A backup stays if one of the counts wants it, and it is not older than that many\n"
     "days; the newest always stays. Others are deleted by later commands or by work.\n"},
    {"diff", READS, 2, 2, run_diff,
     "TABLE|TABLE@TIME|BACKUP TABLE|TABLE@TIME|BACKUP [--limit N]",
     "show what changed from the first to the second",
     "TABLE@TIME is the table as it was then; for TIME see restore.\n"
     "In order of the keys: a line with - is as the first has it, one with + as the\n"
     "second has it. Takes as long as what was written between the two is large.\n"},
    {"work", WRITES, 0, 0, run_work, "", "build backups and tidy up, all there is to do", ""},
    {"check", READS, 0, 0, run_check, "", "walk the whole store and verify it", ""},
    {"stat", READS, 0, 0, run_stat, "", "figures of the store", ""},
    {"log", READS, 0, 0, run_log, "[--limit N]", "show the last records of the log (40)", ""},
    {"runs", READS, 1, 2, run_runs, "TABLE|BACKUP [TABLE|BACKUP] [--nodes]",
     "show the trees of a table or backup",
     "With two, also what they share. --nodes lists each node.\n"},
    {"demo", NO_STORE, 0, 1, run_demo, "[FOLDER] [--keep]", "see it all work on real data",
     "Works on ./dynb-demo.dynb and removes it, unless told to --keep it. FOLDER is\n"
     "where the data are, if not in examples/data.\n"},
    {"help", NO_STORE, 0, 1, run_help, "[COMMAND]", "this list, or more about a command", ""}};
enum { COMMANDS = sizeof commands / sizeof commands[0] };

static const command *find_command(const char *name)
{
    size_t i;
    for (i = 0; i < COMMANDS; ++i)
        if (!strcmp(commands[i].name, name))
            return &commands[i];
    return NULL;
}

static void print_all_help(FILE *to)
{
    size_t i;
    fprintf(to, "dynb - DynamoDB-style tables with instant, exact backups, in one file\n\n"
                "usage: dynb FILE COMMAND ...   one command on the store in FILE\n"
                "       dynb FILE               commands from standard input, one a line\n"
                "       dynb demo               see it work\n"
                "       dynb help COMMAND       more about a command\n\n");
    for (i = 0; i < COMMANDS; ++i)
        fprintf(to, "  %-16s %s\n", commands[i].name, commands[i].summary);
    fprintf(to, "\nExit codes: 0 done, 1 failed, 2 wrong usage.\n");
}

static int run_help(shell *s, arguments *a)
{
    const command *c;
    int rc = check_words(s, a);
    if (rc)
        return rc;
    if (!a->count) {
        print_all_help(stdout);
        return DONE;
    }
    c = find_command(a->words[0]);
    if (!c)
        return misused(s, "there is no command %s", a->words[0]);
    s->running = c;
    printf("%s - %s\nusage: %s%s%s%s\n%s%s", c->name, c->summary, program_words(s), c->name,
           c->usage[0] ? " " : "", c->usage, c->details[0] ? "\n" : "", c->details);
    return DONE;
}

static int run_words(shell *s, char **words, int count)
{
    arguments a;
    int i, rc;
    const command *c = find_command(words[0]);
    if (!c) {
        complain(s, "there is no command %s (try %s)", words[0],
                 s->in_session ? "help" : "\"dynb help\"");
        return USAGE;
    }
    s->running = c;
    memset(&a, 0, sizeof a);
    a.words = words + 1;
    a.count = a.options_end = count - 1;
    for (i = 0; i < a.count; ++i)
        if (!strcmp(a.words[i], "--")) { /* what follows is no option */
            memmove(&a.words[i], &a.words[i + 1], (size_t)(a.count - i - 1) * sizeof a.words[0]);
            --a.count;
            a.options_end = i;
            break;
        }
    if (c->access == NO_STORE) {
        if (s->path && c->run_fn == run_demo)
            return misused(s, "it uses a store of its own");
        return c->run_fn(s, &a);
    }
    if (!s->path)
        return misused(s, "which store?");
    if (s->in_session)
        return c->run_fn(s, &a);
    rc = open_store(s, c->access);
    if (!rc) {
        rc = c->run_fn(s, &a);
        if (close_store(s) && !rc)
            rc = FAILED;
    }
    return rc;
}

/* Cuts a line into words, in place: at white space; 'quoted' and "quoted" words
 * may hold some, and a word that starts with { goes on to its last brace, as it
 * is JSON. Returns the number of words, -1 for a quote or brace left open. */
static int split_words(char *line, char **words, int max)
{
    int count = 0;
    char *p = line;
    for (;;) {
        while (*p == ' ' || *p == '\t' || *p == '\r')
            ++p;
        if (!*p || (*p == '#' && !count))
            return count;
        if (count == max)
            return -1;
        if (*p == '\'' || *p == '"') {
            char quote = *p++;
            words[count++] = p;
            while (*p && *p != quote)
                ++p;
            if (!*p)
                return -1;
        } else if (*p == '{') {
            int depth = 0, in_string = 0;
            words[count++] = p;
            for (; *p; ++p) {
                if (in_string && *p == '\\' && p[1])
                    ++p;
                else if (*p == '"')
                    in_string = !in_string;
                else if (!in_string && *p == '{')
                    ++depth;
                else if (!in_string && *p == '}' && --depth == 0)
                    break;
            }
            if (!*p++)
                return -1;
            if (!*p)
                return count;
        } else {
            words[count++] = p;
            while (*p && *p != ' ' && *p != '\t' && *p != '\r')
                ++p;
            if (!*p)
                return count;
        }
        *p++ = 0;
    }
}

/* Commands from standard input. At a prompt a failure is no end; a script stops. */
static int run_session(shell *s)
{
    lines in;
    const char *text;
    size_t length;
    int rc = open_store(s, CREATES), got = 0;
    if (rc)
        return rc;
    memset(&in, 0, sizeof in);
    in.in = stdin;
    in.one_by_one = 1;
    s->in_session = 1;
    s->prompting = isatty(fileno(stdin)) && isatty(fileno(stdout));
    if (s->prompting)
        printf("dynbackup %s, store %s. \"help\" lists the commands, \"quit\" ends.\n",
               DYNB_VERSION, s->path);
    for (;;) {
        char *line, *words[64];
        int count;
        if (s->prompting) {
            printf("dynb> ");
            fflush(stdout);
        }
        if ((got = next_line(&in, &text, &length)) <= 0) {
            if (s->prompting)
                putchar('\n');
            break;
        }
        s->line_number = in.number;
        line = (char *)malloc(length + 1);
        if (!line) {
            rc = complain(s, "out of memory");
            break;
        }
        memcpy(line, text, length);
        line[length] = 0;
        count = split_words(line, words, 64);
        if (count < 0) {
            complain(s, "a quote or brace is left open, or there are too many words");
            rc = USAGE;
        } else if (count && (!strcmp(words[0], "quit") || !strcmp(words[0], "exit"))) {
            free(line);
            break;
        } else {
            rc = count ? run_words(s, words, count) : DONE;
        }
        free(line);
        fflush(stdout);
        if (rc && !s->prompting)
            break;
    }
    if (got < 0)
        rc = complain(s, "cannot read standard input");
    free(in.memory);
    if (close_store(s) && !rc)
        rc = FAILED;
    return s->prompting ? DONE : rc;
}

int main(int argc, char **argv)
{
    shell s;
    int rc;
    memset(&s, 0, sizeof s);
    s.program = argc ? argv[0] : "dynb";
    if (argc < 2) {
        print_all_help(stderr);
        return USAGE;
    }
    if (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h")) {
        print_all_help(stdout);
        rc = DONE;
    } else if (!strcmp(argv[1], "--version")) {
        printf("dynb %s, store format %d\n", DYNB_VERSION, DYNB_FORMAT_VERSION);
        rc = DONE;
    } else if (find_command(argv[1])) { /* a store of that name is ./NAME */
        rc = run_words(&s, argv + 1, argc - 1);
    } else {
        s.path = argv[1];
        rc = argc > 2 ? run_words(&s, argv + 2, argc - 2) : run_session(&s);
    }
    if ((fflush(stdout) || ferror(stdout)) && !rc)
        rc = complain(&s, "cannot write standard output");
    dynb_result_free(&s.result);
    dynb_result_free(&s.other_result);
    dynb_builder_free(&s.builder);
    return rc;
}
