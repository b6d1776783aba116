/* test_vectors.c - every line of the files in tests/vectors, by dynb_call: the
 * answer's status, type and message are those of the contract. A call that fails has
 * changed nothing, so a store serves until a call succeeds. */
#define DYNBACKUP_IMPLEMENTATION
#include "../dynbackup.h"

#include "kit.h"
#include "vectors.h"

typedef struct run {
    dynb *db;
    kit_clock clock;
    dynb_result result;
    dynb_response answer;
    vector_names names;
    int failed_count;
} run;

static void call(run *r, const vector *v)
{
    size_t length;
    char *request = vector_expand(v->request, &r->names, &length);
    dynb_error err;
    dynb_rc rc = dynb_call(r->db, v->operation, request, length, &r->result, &r->answer, &err);
    CHECK(r->answer.body && r->answer.body[r->answer.body_size] == 0);
    CHECK_INT(r->answer.http_status, dynb_rc_http_status(rc));
    if (rc)
        CHECK_INT(err.code, rc);
    free(request);
}

static int set_up(void *ctx, const vector *v)
{
    run *r = (run *)ctx;
    char *arn;
    int tries = 0;
    do {
        MUST(dynb_wait_idle(r->db, &kit_err));
        call(r, v);
    } while (!strstr(r->answer.body, v->message) && ++tries < 10);
    if (r->answer.http_status != 200 || !strstr(r->answer.body, v->message)) {
        printf("%s:%d: %s\n", v->file, v->line, r->answer.body);
        CHECK(!"a step of the setup");
    }
    arn = *v->source ? vector_member(r->answer.body, "BackupArn") : NULL;
    if (arn)
        vector_name(&r->names, v->source, arn, strlen(arn));
    free(arn);
    return 0;
}

static void open_store(run *r)
{
    dynb_config config;
    memset(&config, 0, sizeof config);
    r->clock.now_ms = 1700000000000u;
    r->clock.step_ms = 1;
    config.clock_fn = kit_clock_now;
    config.clock_ctx = &r->clock;
    config.manual_work = 1;
    MUST(dynb_open(&r->db, NULL, &config, &kit_err));
    CHECK(vectors_each("vectors/setup.tsv", set_up, r) > 0);
    r->clock.now_ms += 1000;
    r->names.now = (double)r->clock.now_ms / 1000;
}

static int try_vector(void *ctx, const vector *v)
{
    run *r = (run *)ctx;
    size_t length;
    char *message;
    int fits;
    if (!r->db)
        open_store(r);
    call(r, v);
    message = vector_expand(v->message, &r->names, &length);
    fits = vector_fits(v, message, r->answer.http_status, r->answer.body);
    if (!fits && ++r->failed_count <= 40)
        printf("%s:%d: %s %.300s\n    got    %d %.600s\n    wanted %s %s %.600s\n", v->file,
               v->line, v->operation, v->request, r->answer.http_status, r->answer.body, v->status,
               v->type, message);
    CHECK(fits);
    free(message);
    if (r->answer.http_status == 200) {
        MUST(dynb_close(r->db, &kit_err));
        r->db = NULL;
    }
    return 0;
}

int main(int argc, char **argv)
{
    static const char *const files[] = {"vectors/types.tsv", "vectors/shapes.tsv",
                                        "vectors/refused.tsv", "vectors/tables.tsv",
                                        "vectors/items.tsv", "vectors/backups.tsv"};
    static run r;
    int i, count;
    for (i = 0; argc < 2 && i < (int)(sizeof files / sizeof *files); ++i) {
        count = vectors_each(files[i], try_vector, &r);
        printf("    %s: %d vectors\n", files[i], count);
        CHECK(count > 0);
    }
    for (i = 1; i < argc; ++i)
        CHECK(vectors_each(argv[i], try_vector, &r) > 0);
    if (r.db)
        MUST(dynb_close(r.db, &kit_err));
    dynb_result_free(&r.result);
    return check_report("test_vectors");
}
