/* load.c - how fast is examples/server.c, by its clients' clock?
 *
 *     cc -O2 -o server examples/server.c && cc -O2 -o load bench/load.c
 *     ./load ./server [--db FILE]
 *
 * Starts the server (with --port 0 and the options given) eleven times, which
 * gives the time from start to ready, and the memory when idle. Puts 10,000
 * items of 100 bytes and measures, each for a second: puts, gets and queries of
 * ten items, by 1 and by 8 connections, keep-alive, one request on the way in
 * each; gets by 8 connections alone and while 1,000 are open, in turns, the best
 * of three each. Then it puts a million items and measures CreateBackup after a
 * change each; and, without a server and by the time of the processor, JSON to
 * an item and back. Beside each figure stands its bar and whether it is met, if
 * it has one; the bar of puts is for those into a file.
 *
 * Client and server share the machine's cores; the client is one thread that
 * waits for whoever answers first. Every answer's status is checked. Needs
 * Linux. Exit codes: 0 done, whatever the figures; 1 failed. */
#define DYNBACKUP_IMPLEMENTATION
#include "../dynbackup.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define ITEMS 10000u
#define GROUP 10u /* items of one partition */
#define OPEN_MAX 1000
#define MANY 1000000u /* for backups */
#define BATCH 25u
#define BACKUPS 101
#define STARTS 11
#define TURNS 3 /* of busy connections alone and among others */

enum { PUT, GET, QUERY };

static pid_t server_id;
static int port;
static uint64_t state = 20261122;

static int fail(const char *what)
{
    fprintf(stderr, "load: %s\n", what);
    if (server_id)
        kill(server_id, SIGKILL);
    exit(1);
}

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static uint32_t below(uint32_t limit)
{
    state = state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(state >> 33) % limit;
}

/* A line of the report; bar 0: it has none. */
static void tell(const char *what, double figure, const char *unit, int more_is_better, double bar)
{
    printf("%-44s %10.*f %-5s", what, figure < 100 ? 2 : 0, figure, unit);
    if (bar > 0)
        printf("  bar %s %g: %s", more_is_better ? ">=" : "<=", bar,
               (more_is_better ? figure >= bar : figure <= bar) ? "met" : "MISSED");
    putchar('\n');
    fflush(stdout);
}

static double start(int argc, char **argv)
{
    char **words = calloc((size_t)argc + 3, sizeof *words), line[100] = "";
    double began = now(), ready;
    int ends[2], i;
    FILE *said;
    if (!words || pipe(ends) != 0)
        fail("cannot start");
    for (i = 1; i < argc; ++i)
        words[i - 1] = argv[i];
    words[argc - 1] = "--port";
    words[argc] = "0";
    server_id = fork();
    if (server_id == 0) {
        dup2(ends[1], 1);
        execv(words[0], words);
        _exit(127);
    }
    close(ends[1]);
    said = fdopen(ends[0], "r");
    if (!said || !fgets(line, sizeof line, said) ||
        sscanf(line, "listening on 127.0.0.1:%d", &port) != 1)
        fail("the server does not listen");
    ready = now();
    fclose(said);
    free(words);
    return ready - began;
}

static int by_size(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static int stop(void)
{
    int status = 0;
    kill(server_id, SIGTERM);
    waitpid(server_id, &status, 0);
    server_id = 0;
    return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

/* Starts the server some times, and leaves it running. */
static void measure_start(int argc, char **argv)
{
    static double took[STARTS];
    int i;
    for (i = 0; i < STARTS; ++i) {
        took[i] = start(argc, argv) * 1000;
        if (i + 1 < STARTS && !stop())
            fail("the server does not end well");
    }
    qsort(took, STARTS, sizeof *took, by_size);
    tell("start to ready, median", took[STARTS / 2], "ms", 0, 5);
}

static long resident_kib(void)
{
    char name[64], line[200];
    long kib = 0;
    FILE *file;
    snprintf(name, sizeof name, "/proc/%d/status", (int)server_id);
    file = fopen(name, "r");
    while (file && fgets(line, sizeof line, file))
        sscanf(line, "VmRSS: %ld", &kib);
    if (file)
        fclose(file);
    return kib;
}

static int open_connection(void)
{
    struct sockaddr_in address;
    int fd = socket(AF_INET, SOCK_STREAM, 0), on = 1;
    memset(&address, 0, sizeof address);
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons((uint16_t)port);
    if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof address) != 0)
        fail("cannot connect");
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    return fd;
}

static void ask(int fd, const char *operation, const char *json)
{
    static char text[12000];
    int size = snprintf(
        text, sizeof text,
        "POST / HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/x-amz-json-1.0\r\n"
        "X-Amz-Target: DynamoDB_20120810.%s\r\nX-Amz-Date: 20260101T000000Z\r\n"
        "Authorization: AWS4-HMAC-SHA256 Credential=a/20260101/us-east-1/dynamodb/aws4_request, "
        "SignedHeaders=host;x-amz-date;x-amz-target, Signature=0123456789abcdef\r\n"
        "Content-Length: %u\r\n\r\n%s",
        operation, (unsigned)strlen(json), json);
    if (write(fd, text, (size_t)size) != size)
        fail("cannot send");
}

/* Reads one answer, of which all but a large one comes at once. */
static void take(int fd)
{
    static char text[65536];
    size_t size = 0, whole = 0;
    while (!whole || size < whole) {
        ssize_t got = read(fd, text + size, sizeof text - 1 - size);
        char *end, *length;
        if (got <= 0)
            fail("the connection ended");
        size += (size_t)got;
        text[size] = 0;
        end = strstr(text, "\r\n\r\n");
        length = strstr(text, "\r\nContent-Length: ");
        if (end && length)
            whole = (size_t)(end + 4 - text) + strtoul(length + 18, NULL, 10);
    }
    if (strncmp(text, "HTTP/1.1 200", 12) != 0)
        fail(text);
}

static void ask_item(int fd, int what, uint32_t id)
{
    char json[1000], value[101];
    memset(value, 'a' + (char)(id % 26), 100);
    value[100] = 0;
    if (what == QUERY)
        snprintf(json, sizeof json,
                 "{\"TableName\":\"Load\",\"KeyConditionExpression\":\"pk = :p\","
                 "\"ExpressionAttributeValues\":{\":p\":{\"S\":\"p%06u\"}}}", id / GROUP);
    else
        snprintf(json, sizeof json,
                 "{\"TableName\":\"Load\",\"%s\":{\"pk\":{\"S\":\"p%06u\"},"
                 "\"sk\":{\"N\":\"%u\"}%s%s%s}}",
                 what == PUT ? "Item" : "Key", id / GROUP, id % GROUP,
                 what == PUT ? ",\"v\":{\"S\":\"" : "", what == PUT ? value : "",
                 what == PUT ? "\"}" : "");
    ask(fd, what == PUT ? "PutItem" : what == GET ? "GetItem" : "Query", json);
}

/* Requests a second by that many connections, for about a second. */
static double measure(const int *fds, int count, int what)
{
    struct epoll_event event, events[16];
    int poller = epoll_create1(0), i, n;
    double began, ended = 0;
    uint64_t done = 0;
    memset(&event, 0, sizeof event);
    event.events = EPOLLIN;
    for (i = 0; i < count; ++i) {
        event.data.fd = fds[i];
        epoll_ctl(poller, EPOLL_CTL_ADD, fds[i], &event);
    }
    began = now();
    for (i = 0; i < count; ++i)
        ask_item(fds[i], what, below(ITEMS));
    while (ended < began + 1.0) {
        n = epoll_wait(poller, events, 16, -1);
        for (i = 0; i < n; ++i) {
            take(events[i].data.fd);
            ask_item(events[i].data.fd, what, below(ITEMS));
        }
        done += (uint64_t)(n > 0 ? n : 0);
        ended = now();
    }
    for (i = 0; i < count; ++i)
        take(fds[i]);
    close(poller);
    return (double)done / (ended - began);
}

static void measure_items(int *fds, int in_file)
{
    static const char *const names[] = {"put", "get", "query of 10"};
    static const double bars[3][2] = {{0, 15000}, {9000, 25000}, {0, 10000}};
    char what[60];
    double rate, alone = 0, among = 0;
    int i, k, kind;
    for (kind = PUT; kind <= QUERY; ++kind) {
        const double bar = kind == PUT && !in_file ? 0 : bars[kind][1];
        snprintf(what, sizeof what, "%s, 1 connection", names[kind]);
        tell(what, measure(fds, 1, kind), "/s", 1, bars[kind][0]);
        snprintf(what, sizeof what, "%s, 8 connections", names[kind]);
        tell(what, measure(fds, 8, kind), "/s", 1, bar);
    }
    for (k = 0; k < TURNS; ++k) {
        rate = measure(fds, 8, GET);
        alone = rate > alone ? rate : alone;
        for (i = 8; i < OPEN_MAX; ++i)
            fds[i] = open_connection();
        rate = measure(fds, 8, GET);
        among = rate > among ? rate : among;
        for (i = 8; i < OPEN_MAX && k + 1 < TURNS; ++i)
            close(fds[i]);
    }
    tell("get, 8 busy of 1,000 open: rate / alone", among / alone, "", 1, 0.8);
    tell("memory with 10,000 items and 1,000 open", (double)resident_kib() / 1024, "MiB", 0, 0);
}

/* Items of 100 bytes from `first`, as many as fit into one request. */
static void ask_batch(int fd, uint32_t first)
{
    static char json[BATCH * 220 + 100];
    char value[101];
    size_t used = 0;
    uint32_t i;
    memset(value, 'a' + (char)(first % 26), 100);
    value[100] = 0;
    used += (size_t)sprintf(json, "{\"RequestItems\":{\"Load\":[");
    for (i = first; i < first + BATCH; ++i)
        used += (size_t)sprintf(json + used,
                                "%s{\"PutRequest\":{\"Item\":{\"pk\":{\"S\":\"p%06u\"},"
                                "\"sk\":{\"N\":\"%u\"},\"v\":{\"S\":\"%s\"}}}}",
                                i == first ? "" : ",", i / GROUP, i % GROUP, value);
    strcpy(json + used, "]}}");
    ask(fd, "BatchWriteItem", json);
}

static void measure_backups(int *fds)
{
    static double took[BACKUPS];
    double began;
    uint32_t id;
    int i;
    for (id = 0; id < MANY; id += BATCH) {
        ask_batch(fds[0], id);
        take(fds[0]);
    }
    for (i = 0; i < BACKUPS; ++i) {
        ask_item(fds[0], PUT, below(MANY));
        take(fds[0]);
        began = now();
        ask(fds[0], "CreateBackup", "{\"TableName\":\"Load\",\"BackupName\":\"load\"}");
        take(fds[0]);
        took[i] = (now() - began) * 1000;
    }
    qsort(took, BACKUPS, sizeof *took, by_size);
    tell("CreateBackup of 1,000,000 items, median", took[BACKUPS / 2], "ms", 0, 1);
    tell("CreateBackup of 1,000,000 items, longest", took[BACKUPS - 1], "ms", 0, 0);
}

/* An order, as a shop keeps it: all types, text with escapes, 1 KB. */
static const char order[] =
    "{\"OrderId\":{\"S\":\"0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0\"},\"Total\":{\"N\":\"149.95\"},"
    "\"PlacedAt\":{\"N\":\"1767225600123\"},\"IsGift\":{\"BOOL\":false},\"Coupon\":{\"NULL\":true},"
    "\"Address\":{\"M\":{\"Name\":{\"S\":\"J\\u00f6rg M\\u00fcller\"},\"Zip\":{\"S\":\"60311\"},"
    "\"City\":{\"S\":\"Frankfurt am Main\"},\"Street\":{\"S\":\"Lange Stra\xc3\x9f" "e 12\"}}},"
    "\"Lines\":{\"L\":[{\"M\":{\"Sku\":{\"S\":\"SKU-000017\"},\"Quantity\":{\"N\":\"2\"},"
    "\"Title\":{\"S\":\"A long title of a thing that is sold, \\\"quoted\\\" even\"},"
    "\"Price\":{\"N\":\"24.99\"}}},"
    "{\"M\":{\"Sku\":{\"S\":\"SKU-004711\"},\"Quantity\":{\"N\":\"1\"},"
    "\"Title\":{\"S\":\"Another thing\"},\"Price\":{\"N\":\"99.97\"}}}]},"
    "\"Labels\":{\"SS\":[\"fragile\",\"priority\",\"signature\"]},"
    "\"Weights\":{\"NS\":[\"0.25\",\"1.5\"]},\"Picture\":{\"B\":"
    "\"iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA"
    "60e6kgAAAABJRU5ErkJggg==\"},\"Status\":{\"S\":\"SHIPPED\"},\"Customer\":{\"S\":\"c-001234\"},"
    "\"Note\":{\"S\":\"Please leave the parcel with the neighbours if nobody opens; the bell of "
    "the third floor does not work. Thank you very much, and greetings to everybody.\"}}";

static double busy(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* MB/s of the text, each way for half a second. */
static void measure_json(void)
{
    const size_t size = sizeof order - 1;
    dynb_builder builder;
    dynb_result result;
    dynb_item item = {NULL, 0};
    dynb_error err;
    const char *text;
    size_t length = 0;
    uint64_t rounds, i;
    double began;
    memset(&builder, 0, sizeof builder);
    memset(&result, 0, sizeof result);
    began = busy();
    for (rounds = 0; busy() < began + 0.5; rounds += 100)
        for (i = 0; i < 100; ++i)
            if (dynb_item_from_json(&builder, order, size, &item, &err) != DYNB_OK)
                fail(err.message);
    tell("JSON to an item", (double)(rounds * size) / (busy() - began) / 1e6, "MB/s", 1, 150);
    began = busy();
    for (rounds = 0; busy() < began + 0.5; rounds += 100)
        for (i = 0; i < 100; ++i)
            if (dynb_item_to_json(item, &result, &text, &length, &err) != DYNB_OK)
                fail(err.message);
    tell("an item to JSON", (double)(rounds * length) / (busy() - began) / 1e6, "MB/s", 1, 150);
    dynb_result_free(&result);
    dynb_builder_free(&builder);
}

int main(int argc, char **argv)
{
    static int fds[OPEN_MAX];
    struct rlimit limit;
    uint32_t id;
    int i, in_file = 0;
    if (argc < 2)
        return fprintf(stderr, "usage: load SERVER [OPTION ...]\n"), 1;
    for (i = 2; i < argc; ++i)
        in_file |= strcmp(argv[i], "--db") == 0;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
    measure_start(argc, argv);
    tell("memory when idle", (double)resident_kib() / 1024, "MiB", 0, 4);
    for (i = 0; i < 8; ++i)
        fds[i] = open_connection();
    ask(fds[0], "CreateTable",
        "{\"TableName\":\"Load\",\"BillingMode\":\"PAY_PER_REQUEST\",\"AttributeDefinitions\":["
        "{\"AttributeName\":\"pk\",\"AttributeType\":\"S\"},"
        "{\"AttributeName\":\"sk\",\"AttributeType\":\"N\"}],\"KeySchema\":["
        "{\"AttributeName\":\"pk\",\"KeyType\":\"HASH\"},"
        "{\"AttributeName\":\"sk\",\"KeyType\":\"RANGE\"}]}");
    take(fds[0]);
    for (id = 0; id < ITEMS; ++id) {
        ask_item(fds[0], PUT, id);
        take(fds[0]);
    }
    measure_items(fds, in_file);
    measure_backups(fds);
    if (!stop())
        fail("the server does not end well");
    measure_json();
    return 0;
}
