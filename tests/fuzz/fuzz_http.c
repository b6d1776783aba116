/* fuzz_http.c - feeds any bytes to the reader of examples/server.c, and answers
 * what they ask.
 *
 * The first byte says in what pieces the rest comes. Read in pieces or at once,
 * the same requests must come out. Each is answered on a store in memory, and the
 * answer must be as long as its head says. */
#define SERVER_NO_MAIN
#include "fuzz.h"

#include "../../examples/server.c"

#define REQUESTS_MAX 64u

/* What was read: for each request, where it ended and what its body sums to. */
typedef struct outcome {
    uint64_t sums[REQUESTS_MAX];
    uint32_t count;
} outcome;

static uint64_t sum_of(const http_request *r, const char *bytes)
{
    uint64_t sum = (uint64_t)r->phase * 31 + (uint64_t)r->status;
    size_t i;
    for (i = 0; i < r->body_size; ++i)
        sum = sum * 1099511628211u + (uint8_t)bytes[r->body_pos + i];
    for (i = 0; i < HEADER_COUNT; ++i)
        sum = sum * 1099511628211u + r->header[i].pos + r->header[i].size;
    return sum * 1099511628211u + r->at * 2 + (uint64_t)r->keep_alive;
}

static void check_answer(const request *q, buffer *out)
{
    const char *length, *end;
    add_bytes(out, "", 1);
    if (out->failed || strncmp(out->bytes, "HTTP/1.1 ", 9) != 0)
        fuzz_fail("no answer", DYNB_OK);
    length = strstr(out->bytes, "\r\nContent-Length: ");
    end = strstr(out->bytes, "\r\n\r\n");
    if (!length || !end || length > end)
        fuzz_fail("an answer without a length", DYNB_OK);
    if (!span_is(q, q->http->method, "HEAD") &&
        strtoul(length + 18, NULL, 10) != (unsigned long)(out->bytes + out->size - 5 - end))
        fuzz_fail("an answer of another length than it says", DYNB_OK);
}

static void answer_it(const http_request *r, const char *bytes)
{
    static service it;
    uint64_t state[2] = {1700000000000u, 1};
    fuzz_device *d = NULL;
    request q;
    q.http = r;
    q.bytes = bytes;
    it.region = "us-east-1";
    if (!it.crc[0][1])
        crc_prepare(it.crc);
    if (span_is(&q, r->method, "POST") && r->phase == HTTP_DONE) {
        d = fuzz_device_new();
        fuzz_must(fuzz_open(&it.db, d, 512, 0, state), "a store cannot be opened");
    }
    answer_request(&it, &q);
    check_answer(&q, &it.out);
    service_free(&it);
    if (d) {
        (void)dynb_close(it.db, NULL);
        free(d->bytes);
        free(d);
    }
}

/* Reads all requests of the bytes that come in pieces of `step` (0: at once). */
static void read_all(const uint8_t *data, size_t size, size_t step, int answering, outcome *out)
{
    char *bytes = NULL;
    size_t kept = 0, part;
    http_request r;
    memset(&r, 0, sizeof r);
    out->count = 0;
    do {
        part = step && step < size ? step : size;
        bytes = (char *)realloc(bytes, kept + part + 1);
        if (!bytes)
            fuzz_fail("the target has no memory", DYNB_NO_MEMORY);
        memcpy(bytes + kept, data, part);
        kept += part;
        data += part;
        size -= part;
        while (out->count < REQUESTS_MAX && kept && http_read(&r, bytes, &kept)) {
            out->sums[out->count++] = sum_of(&r, bytes);
            if (answering)
                answer_it(&r, bytes);
            if (r.phase == HTTP_REFUSED) { /* nothing more is read */
                size = 0;
                break;
            }
            kept -= r.at;
            memmove(bytes, bytes + r.at, kept);
            memset(&r, 0, sizeof r);
        }
    } while (size);
    free(bytes);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    outcome whole, pieces;
    if (size == 0)
        return 0;
    read_all(data + 1, size - 1, 0, 1, &whole);
    read_all(data + 1, size - 1, 1 + data[0] % 37u, 0, &pieces);
    if (whole.count != pieces.count ||
        memcmp(whole.sums, pieces.sums, whole.count * sizeof whole.sums[0]) != 0)
        fuzz_fail("read in pieces, requests are others", DYNB_OK);
    (void)server_main;
    return 0;
}
