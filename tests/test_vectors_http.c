/* test_vectors_http.c - every line of the files in tests/vectors, by HTTP to
 * examples/server.c: the answer is that of dynb_call, and its head what AWS's
 * clients look at. */
#if !defined(__unix__) && !defined(__APPLE__)
#include <stdio.h>

int main(void)
{
    printf("test_vectors_http: skipped: no sockets on this system\n");
    return 77;
}
#else

#include "server.h"
#include "vectors.h"

typedef struct wire {
    vector_store store; /* first: the functions are given this */
    process server;
    int fd; /* one connection for all requests to a server */
    char id[53];
} wire;

/* Bit by bit, unlike the server's. */
static uint32_t crc_of(const char *bytes, size_t size)
{
    uint32_t sum = 0xffffffffu;
    int bit;
    for (; size; --size) {
        sum ^= (unsigned char)*bytes++;
        for (bit = 0; bit < 8; ++bit)
            sum = sum >> 1 ^ (sum & 1 ? 0xedb88320u : 0u);
    }
    return ~sum;
}

/* What stands behind the header's name, up to the end of the line. */
static const char *header_value(const char *name, size_t *length)
{
    char key[64];
    const char *at;
    (void)snprintf(key, sizeof key, "\r\n%s: ", name);
    at = strstr(got.head, key);
    at = at ? at + strlen(key) : "";
    *length = strcspn(at, "\r");
    return at;
}

/* Contract 4.1. */
static void check_head(wire *w)
{
    size_t length;
    const char *at = header_value("Content-Type", &length);
    CHECK(length == 26 && !memcmp(at, "application/x-amz-json-1.0", length));
    at = header_value("x-amz-crc32", &length);
    CHECK(length > 0 && strtoul(at, NULL, 10) == crc_of(got.body, got.size));
    at = header_value("x-amzn-RequestId", &length);
    CHECK_INT(length, 52);
    CHECK_INT(strspn(at, "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"), 52);
    CHECK(strncmp(at, w->id, 52) != 0); /* another for each request */
    (void)snprintf(w->id, sizeof w->id, "%.52s", at);
}

static void call_server(vector_store *store, const char *operation, const char *request,
                        size_t length)
{
    wire *w = (wire *)store;
    char head[600];
    (void)snprintf(head, sizeof head,
                   "POST / HTTP/1.1\r\nHost: x\r\n" SIGNED
                   "X-Amz-Target: DynamoDB_20120810.%s\r\nContent-Length: %lu\r\n\r\n",
                   operation, (unsigned long)length);
    send_text(w->fd, head);
    send_bytes(w->fd, request, length);
    store->status = read_reply(w->fd);
    store->body = got.body;
    CHECK(got.size < sizeof got.body);
    check_head(w);
}

static void open_server(vector_store *store)
{
    wire *w = (wire *)store;
    w->server = start("");
    w->fd = connect_to(&w->server);
    vectors_set_up(store);
    store->names.now = (double)time(NULL);
}

static void close_server(vector_store *store)
{
    wire *w = (wire *)store;
    close(w->fd);
    stop(&w->server);
}

int main(int argc, char **argv)
{
    static wire w;
    signal(SIGPIPE, SIG_IGN);
    w.store.is_http = 1;
    w.store.open_fn = open_server;
    w.store.call_fn = call_server;
    w.store.close_fn = close_server;
    vectors_try(&w.store, argc, argv);
    return check_report("test_vectors_http");
}
#endif
