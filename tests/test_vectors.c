/* test_vectors.c - every line of the files in tests/vectors, by dynb_call: the
 * answer's status, type and message are those of the contract. */
#define DYNBACKUP_IMPLEMENTATION
#include "../dynbackup.h"

#include "kit.h"
#include "vectors.h"

typedef struct run {
    vector_store store; /* first: the functions are given this */
    dynb *db;
    kit_clock clock;
    dynb_result result;
} run;

static void open_store(vector_store *store)
{
    run *r = (run *)store;
    dynb_config config;
    memset(&config, 0, sizeof config);
    r->clock.now_ms = 1700000000000u;
    r->clock.step_ms = 1;
    config.clock_fn = kit_clock_now;
    config.clock_ctx = &r->clock;
    config.manual_work = 1;
    MUST(dynb_open(&r->db, NULL, &config, &kit_err));
    vectors_set_up(store);
    r->clock.now_ms += 1000;
    store->names.now = (double)r->clock.now_ms / 1000;
}

static void call(vector_store *store, const char *operation, const char *request, size_t length)
{
    run *r = (run *)store;
    dynb_response answer;
    dynb_error err;
    dynb_rc rc;
    if (!store->is_open) /* the setup wants backups that are built */
        MUST(dynb_wait_idle(r->db, &kit_err));
    rc = dynb_call(r->db, operation, request, length, &r->result, &answer, &err);
    CHECK(answer.body && answer.body[answer.body_size] == 0);
    CHECK_INT(answer.http_status, dynb_rc_http_status(rc));
    if (rc)
        CHECK_INT(err.code, rc);
    store->status = answer.http_status;
    store->body = answer.body;
}

static void close_store(vector_store *store)
{
    run *r = (run *)store;
    MUST(dynb_close(r->db, &kit_err));
}

int main(int argc, char **argv)
{
    static run r;
    r.store.open_fn = open_store;
    r.store.call_fn = call;
    r.store.close_fn = close_store;
    vectors_try(&r.store, argc, argv);
    dynb_result_free(&r.result);
    return check_report("test_vectors");
}
