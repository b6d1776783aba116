/* unit_server.c - what examples/server.c makes of bytes, without a socket: its
 * HTTP reader, authentication, and the head of its answers.
 *
 * Every text is read at once, byte by byte, and cut in two at every place: what
 * comes out must be the same. Sources: contract 4.1 to 4.3, RFC 9112. */
#define SERVER_NO_MAIN
#include "../examples/server.c"

#include "kit.h"

/* ------------------------------------------------------ the reader -- */

enum { MORE = -1, DONE_ = 0 }; /* or the status of the refusal */

/* Reads size bytes that come in pieces: `first` bytes, then `step` at a time. The
 * buffer is exactly as large as what has come, so a sanitizer sees every step
 * beyond it. */
static char *read_pieces(http_request *r, const char *wire, size_t size, size_t first, size_t step)
{
    char *bytes = NULL;
    size_t kept = 0, at = 0, part = first;
    memset(r, 0, sizeof *r);
    do {
        part = part < size - at ? part : size - at;
        bytes = (char *)realloc(bytes, kept + part + 1);
        memcpy(bytes + kept, wire + at, part);
        kept += part;
        at += part;
        part = step;
    } while (!http_read(r, bytes, &kept) && at < size);
    CHECK(r->at <= kept);
    return bytes;
}

static int outcome(const http_request *r)
{
    return r->phase == HTTP_DONE ? DONE_ : r->phase == HTTP_REFUSED ? r->status : MORE;
}

static void check_read(const char *wire, size_t size, int expected, const char *body)
{
    size_t cut, length = body ? strlen(body) : 0;
    for (cut = 0; cut <= size; ++cut) { /* 0: byte by byte */
        http_request r;
        char *bytes = read_pieces(&r, wire, size, cut ? cut : 1, cut ? size : 1);
        if (outcome(&r) != expected)
            printf("%s: %d instead of %d, cut at %u\n", wire, outcome(&r), expected,
                   (unsigned)cut);
        CHECK(outcome(&r) == expected);
        CHECK(!body || (r.body_size == length &&
                        memcmp(bytes + r.body_pos, body, length) == 0));
        CHECK((r.phase == HTTP_REFUSED) == (r.why != NULL));
        free(bytes);
    }
}

#define CRLF "\r\n"
#define POST "POST / HTTP/1.1" CRLF
#define CHUNKED POST "Transfer-Encoding: chunked" CRLF CRLF

static void test_heads(void)
{
    static const struct { const char *wire; int expected; const char *body; } cases[] = {
        {POST CRLF, DONE_, ""},
        {POST "Host: x" CRLF CRLF, DONE_, ""},
        {"POST / HTTP/1.1\nHost: x\n\n", DONE_, ""}, /* RFC 9112 2.2: a lone LF ends a line */
        {CRLF CRLF POST CRLF, DONE_, ""},            /* ... and empty lines may come first */
        {"", MORE, NULL},
        {CRLF, MORE, NULL},
        {"POST", MORE, NULL},
        {POST, MORE, NULL},
        {POST "Host: x" CRLF, MORE, NULL},
        {POST "Content-Length: 3" CRLF CRLF "ab", MORE, "ab"},
        {POST "Content-Length: 3" CRLF CRLF "abc", DONE_, "abc"},
        {POST "Content-Length: 3" CRLF CRLF "abcPOST", DONE_, "abc"},
        {POST "content-LENGTH:\t 0003 \t" CRLF CRLF "abc", DONE_, "abc"},
        {POST "Content-Length: 0" CRLF CRLF, DONE_, ""},
        {"GET /?a=b&c HTTP/1.0" CRLF CRLF, DONE_, ""},
        {"GET /\x80 HTTP/1.9" CRLF CRLF, DONE_, ""},
        {POST "X-Empty:" CRLF CRLF, DONE_, ""},
        {POST "X-Latin: \xe4" CRLF CRLF, DONE_, ""},
        /* malformed */
        {"nonsense" CRLF, 400, NULL},
        {"POST /" CRLF, 400, NULL},
        {"POST  / HTTP/1.1" CRLF, 400, NULL},
        {"POST / HTTP/1.1 " CRLF, 400, NULL},
        {"POST / HTTP/11" CRLF, 400, NULL},
        {"POST / HTTX/1.1" CRLF, 400, NULL},
        {" POST / HTTP/1.1" CRLF, 400, NULL},
        {"PO(ST / HTTP/1.1" CRLF, 400, NULL},
        {"POST /\x01 HTTP/1.1" CRLF, 400, NULL},
        {"\x16\x03\x01\x02\n", 400, NULL}, /* TLS */
        {"POST / HTTP/2.0" CRLF, 505, NULL},
        {"PRI * HTTP/2.0" CRLF, 505, NULL},
        {POST "no colon" CRLF, 400, NULL},
        {POST ": no name" CRLF, 400, NULL},
        {POST "Host : x" CRLF, 400, NULL},
        {POST "Host: x" CRLF " folded" CRLF, 400, NULL},
        {POST "X: a\rb" CRLF, 400, NULL},
        {POST "X: a\x7f" CRLF, 400, NULL},
        /* lengths */
        {POST "Content-Length:" CRLF, 400, NULL},
        {POST "Content-Length: -1" CRLF, 400, NULL},
        {POST "Content-Length: +1" CRLF, 400, NULL},
        {POST "Content-Length: 1x" CRLF, 400, NULL},
        {POST "Content-Length: 1, 1" CRLF, 400, NULL},
        {POST "Content-Length: 1" CRLF "Content-Length: 1" CRLF, 400, NULL},
        {POST "Content-Length: 16777216" CRLF CRLF, MORE, NULL},
        {POST "Content-Length: 16777217" CRLF CRLF, 413, NULL},
        {POST "Content-Length: 4294967296" CRLF CRLF, 413, NULL},
        {POST "Content-Length: 99999999999999999999999999999999999999" CRLF CRLF, 413, NULL},
    };
    size_t i;
    for (i = 0; i < sizeof cases / sizeof cases[0]; ++i)
        check_read(cases[i].wire, strlen(cases[i].wire), cases[i].expected, cases[i].body);
    check_read("A\0B / HTTP/1.1" CRLF, 16, 400, NULL);
    check_read(POST "X: a\0b" CRLF, sizeof POST - 1 + 8, 400, NULL);
}

static void test_chunks(void)
{
    static const struct { const char *wire; int expected; const char *body; } cases[] = {
        {CHUNKED "0" CRLF CRLF, DONE_, ""},
        {CHUNKED "3" CRLF "abc" CRLF "0" CRLF CRLF, DONE_, "abc"},
        {CHUNKED "3" CRLF "abc" CRLF "0" CRLF CRLF "POST / HTTP", DONE_, "abc"},
        {CHUNKED "1" CRLF "a" CRLF "02" CRLF "bc" CRLF "A" CRLF "0123456789" CRLF "b" CRLF
                 "0123456789a" CRLF "000" CRLF CRLF, DONE_, "abc01234567890123456789a"},
        {CHUNKED "3\nabc\n0\n\n", DONE_, "abc"},
        {CHUNKED "3;name=value;other=\"x\"" CRLF "abc" CRLF "0;last" CRLF CRLF, DONE_, "abc"},
        {CHUNKED "3 \t;x" CRLF "abc" CRLF "0 " CRLF CRLF, DONE_, "abc"},
        {CHUNKED "2" CRLF CRLF CRLF "0" CRLF CRLF, DONE_, CRLF},
        {CHUNKED "0" CRLF "Trailer: x" CRLF "Content-Length: 7" CRLF CRLF, DONE_, ""},
        {CHUNKED "000000000000000000000000000000000000000001" CRLF "a" CRLF "0" CRLF CRLF, DONE_,
         "a"},
        {CHUNKED, MORE, ""},
        {CHUNKED "3", MORE, ""},
        {CHUNKED "3" CRLF "ab", MORE, "ab"},
        {CHUNKED "3" CRLF "abc", MORE, "abc"},
        {CHUNKED "3" CRLF "abc" CRLF, MORE, "abc"},
        {CHUNKED "3" CRLF "abc" CRLF "0" CRLF, MORE, "abc"},
        {CHUNKED "3" CRLF "abc" CRLF "0" CRLF "Trailer: x" CRLF, MORE, "abc"},
        {CHUNKED CRLF, 400, NULL},
        {CHUNKED "x" CRLF, 400, NULL},
        {CHUNKED ";x" CRLF, 400, NULL},
        {CHUNKED "-1" CRLF, 400, NULL},
        {CHUNKED "0x1" CRLF, 400, NULL},
        {CHUNKED "1 1" CRLF, 400, NULL},
        {CHUNKED " 1" CRLF, 400, NULL},
        {CHUNKED "1;\x01" CRLF, 400, NULL},
        {CHUNKED "3" CRLF "abcd" CRLF, 400, NULL},
        {CHUNKED "3" CRLF "abc0" CRLF CRLF, 400, NULL},
        {CHUNKED "0" CRLF "no trailer" CRLF, 400, NULL},
        {CHUNKED "1000001" CRLF, 413, NULL},
        {CHUNKED "FFFFFFFFFFFFFFFF" CRLF, 413, NULL},
        {CHUNKED "1" CRLF "a" CRLF "10000000000000000000000000000000000000000" CRLF, 413, NULL},
        {CHUNKED "1" CRLF "a" CRLF "1000000" CRLF, 413, NULL},
        {CHUNKED "1000000" CRLF "a", MORE, "a"},
        /* two ways to say where the body ends: one would be believed by someone */
        {POST "Transfer-Encoding: chunked" CRLF "Content-Length: 3" CRLF CRLF, 400, NULL},
        {POST "Content-Length: 3" CRLF "Transfer-Encoding: chunked" CRLF CRLF, 400, NULL},
        {POST "Transfer-Encoding: chunked" CRLF "Transfer-Encoding: chunked" CRLF, 400, NULL},
        {POST "Transfer-Encoding: gzip, chunked" CRLF, 501, NULL},
        {POST "Transfer-Encoding: identity" CRLF, 501, NULL},
        {POST "Transfer-Encoding:" CRLF, 501, NULL},
        {"POST / HTTP/1.0" CRLF "Transfer-Encoding: chunked" CRLF, 400, NULL},
    };
    size_t i;
    for (i = 0; i < sizeof cases / sizeof cases[0]; ++i)
        check_read(cases[i].wire, strlen(cases[i].wire), cases[i].expected, cases[i].body);
}

/* before, then `count` times fill, then after; read at once and in halves. */
static void check_long(const char *before, size_t count, const char *after, int expected)
{
    size_t head = strlen(before), size = head + count + strlen(after);
    char *wire = (char *)malloc(size + 1);
    http_request r;
    CHECK(wire != NULL);
    memcpy(wire, before, head);
    memset(wire + head, 'x', count);
    memcpy(wire + head + count, after, strlen(after) + 1);
    free(read_pieces(&r, wire, size, size, 1));
    CHECK_INT(outcome(&r), expected);
    free(read_pieces(&r, wire, size, size / 2, size / 5 + 1));
    CHECK_INT(outcome(&r), expected);
    free(wire);
}

static void test_sizes(void)
{
    static char trailers[40000];
    size_t head = strlen(POST "X: " CRLF CRLF), i;
    check_long(POST "X: ", HEAD_MAX - head, CRLF CRLF, DONE_);
    check_long(POST "X: ", HEAD_MAX - head + 1, CRLF CRLF, 400);
    check_long(POST "X: ", HEAD_MAX, "", 400);
    check_long("POST /", HEAD_MAX - strlen("POST / HTTP/1.1" CRLF CRLF), " HTTP/1.1" CRLF CRLF,
               DONE_);
    check_long("POST /", HEAD_MAX, "", 400);
    check_long("", HEAD_MAX, "", MORE);
    check_long("", HEAD_MAX + 1, "", 400);
    check_long(CHUNKED "1;", CHUNK_LINE_MAX - 4, CRLF "a" CRLF "0" CRLF CRLF, DONE_);
    check_long(CHUNKED "1;", CHUNK_LINE_MAX - 3, CRLF "a" CRLF "0" CRLF CRLF, 400);
    check_long(CHUNKED "1;", CHUNK_LINE_MAX, "", 400);
    check_long(CHUNKED "1000000" CRLF, BODY_MAX, CRLF "0" CRLF CRLF, DONE_);
    check_long(CHUNKED "ffffff" CRLF, BODY_MAX - 1, CRLF "1" CRLF "x" CRLF "0" CRLF CRLF, DONE_);
    check_long(CHUNKED "ffffff" CRLF, BODY_MAX - 1, CRLF "2" CRLF, 413);
    check_long(POST "Content-Length: 16777216" CRLF CRLF, BODY_MAX, "", DONE_);
    strcpy(trailers, "1" CRLF "a" CRLF "0" CRLF);
    for (i = strlen(trailers); i < 30000; i += 6)
        memcpy(trailers + i, "T: x" CRLF, 7);
    check_long(CHUNKED, 0, trailers, 400);
}

/* Two requests in one buffer: the second begins where the first ends. */
static void test_pipeline(void)
{
    static const char wire[] = CHUNKED "3" CRLF "abc" CRLF "0" CRLF CRLF
                               "GET /next?q HTTP/1.0" CRLF CRLF;
    char bytes[sizeof wire];
    size_t size = sizeof wire - 1, used;
    http_request r;
    memcpy(bytes, wire, size);
    memset(&r, 0, sizeof r);
    CHECK(http_read(&r, bytes, &size) && r.phase == HTTP_DONE && r.keep_alive);
    CHECK(r.body_size == 3 && memcmp(bytes + r.body_pos, "abc", 3) == 0);
    used = r.at;
    size -= used;
    memset(&r, 0, sizeof r);
    CHECK(http_read(&r, bytes + used, &size) && r.phase == HTTP_DONE && !r.keep_alive);
    CHECK(r.at == size);
    CHECK(r.path.size == 5 && memcmp(bytes + used + r.path.pos, "/next", 5) == 0);
    CHECK(r.query.size == 1 && bytes[used + r.query.pos] == 'q');
}

static void test_connection(void)
{
    static const struct { const char *head; int keep_alive; } cases[] = {
        {POST, 1},
        {POST "Connection: close" CRLF, 0},
        {POST "Connection: foo, CLOSE ,bar" CRLF, 0},
        {POST "Connection: closed" CRLF, 1},
        {"POST / HTTP/1.0" CRLF, 0},
        {"POST / HTTP/1.0" CRLF "Connection: Keep-Alive" CRLF, 1},
        {"POST / HTTP/1.0" CRLF "Connection: keep-alive, close" CRLF, 0},
        {POST "Connection: keep-alive, close" CRLF "Connection: keep-alive" CRLF, 0},
    };
    size_t i;
    for (i = 0; i < sizeof cases / sizeof cases[0]; ++i) {
        char wire[200];
        http_request r;
        snprintf(wire, sizeof wire, "%s" CRLF, cases[i].head);
        free(read_pieces(&r, wire, strlen(wire), strlen(wire), 1));
        CHECK_INT(outcome(&r), DONE_);
        CHECK_INT(r.keep_alive, cases[i].keep_alive);
    }
}

/* Any bytes, made of pieces that mean something, cut anywhere. */
static void test_random(uint64_t seed)
{
    static const char *const pieces[] = {
        "POST ", "/ ", "HTTP/1.1", CRLF, "\n", "\r", ":", " ", "\t", "Content-Length: ", "3", "0",
        "Transfer-Encoding: chunked", "Connection: close", "abc", ";", "a", "F", "\x80",
        CRLF CRLF, POST, CHUNKED, "3" CRLF "abc" CRLF, "0" CRLF CRLF};
    uint64_t round, rounds = check_scaled(20000);
    check_random random;
    random.state = seed;
    for (round = 0; round < rounds; ++round) {
        char wire[400] = "";
        http_request whole, cut;
        char *a, *b;
        size_t size;
        if (check_below(&random, 2))
            strcpy(wire, check_below(&random, 2) ? CHUNKED : POST);
        while (check_below(&random, 12) && strlen(wire) < 300)
            strcat(wire, pieces[check_below(&random, sizeof pieces / sizeof pieces[0])]);
        size = strlen(wire);
        a = read_pieces(&whole, wire, size, size, 1);
        b = read_pieces(&cut, wire, size, 1 + (size_t)check_below(&random, 50),
                        1 + (size_t)check_below(&random, 9));
        CHECK(whole.phase == cut.phase && whole.at == cut.at && whole.status == cut.status &&
              whole.body_size == cut.body_size && whole.keep_alive == cut.keep_alive);
        CHECK(memcmp(a, b, whole.phase == HTTP_DONE ? whole.at : 0) == 0);
        free(a);
        free(b);
    }
}

/* ----------------------------------------------------- the answers -- */

static service it;
static char answered[4096];

/* What is answered to the request, and how it would go on. */
static const char *answer_to(const char *wire)
{
    size_t size = strlen(wire);
    http_request r;
    request q;
    char *bytes = read_pieces(&r, wire, size, size, 1);
    CHECK(r.phase == HTTP_DONE || r.phase == HTTP_REFUSED);
    q.http = &r;
    q.bytes = bytes;
    it.out.size = 0;
    answer_request(&it, &q);
    CHECK(!it.out.failed && it.out.size < sizeof answered);
    memcpy(answered, it.out.bytes, it.out.size);
    answered[it.out.size] = 0;
    free(bytes);
    return answered;
}

static const char *body_of(const char *answer)
{
    const char *end = strstr(answer, CRLF CRLF);
    return end ? end + 4 : "no body";
}

/* The status line, the body, and a piece of the head. */
static void check_answer(const char *wire, const char *status, const char *body, const char *head)
{
    const char *answer = answer_to(wire);
    char begin[80];
    snprintf(begin, sizeof begin, "HTTP/1.1 %s" CRLF, status);
    if (strncmp(answer, begin, strlen(begin)) != 0)
        printf("got:\n%s\n", answer);
    CHECK(strncmp(answer, begin, strlen(begin)) == 0);
    CHECK_TEXT(body_of(answer), body);
    if (!strstr(answer, head))
        printf("\"%s\" is missing in:\n%s\n", head, answer);
    CHECK(strstr(answer, head) != NULL);
    snprintf(begin, sizeof begin, CRLF "Content-Length: %u" CRLF, (unsigned)strlen(body));
    CHECK(strstr(answer, begin) != NULL || strncmp(wire, "HEAD", 4) == 0);
    CHECK(strstr(answer, CRLF "Date: ") != NULL);
}

#define JSON "Content-Type: application/x-amz-json-1.0" CRLF
#define TARGET(name) "X-Amz-Target: " name CRLF
#define LIST TARGET("DynamoDB_20120810.ListTables")
#define SIGNED                                                                                  \
    "Authorization: AWS4-HMAC-SHA256 Credential=AK/20260101/us-east-1/dynamodb/aws4_request, " \
    "SignedHeaders=host;x-amz-date, Signature=00ff" CRLF "X-Amz-Date: 20260101T000000Z" CRLF
#define BODY2 "Content-Length: 2" CRLF CRLF "{}"
#define OK "200 OK"
#define BAD "400 Bad Request"
#define NOT_JSON "{\"__type\":\"com.amazon.coral.service#SerializationException\"}"
#define NO_OPERATION "{\"__type\":\"com.amazon.coral.service#UnknownOperationException\"}"
#define NO_TABLES "{\"TableNames\":[]}"
#define CORAL(name, message) \
    "{\"__type\":\"com.amazon.coral.service#" name "\",\"message\":\"" message "\"}"
#define NO_TOKEN \
    CORAL("MissingAuthenticationTokenException", "Request is missing Authentication Token")

/* contract 4.1 */
static void test_transport(void)
{
    static const char lost[] = "<UnknownOperationException/>\n";
    const char *answer;
    size_t length;
    check_answer("GET / HTTP/1.1" CRLF CRLF, OK, "healthy: dynamodb.us-east-1.amazonaws.com ",
                 "x-amz-crc32: 3128867991" CRLF);
    check_answer("GET /?x HTTP/1.0" CRLF CRLF, OK, "healthy: dynamodb.us-east-1.amazonaws.com ",
                 "Connection: close" CRLF);
    check_answer("GET /other HTTP/1.1" CRLF CRLF, "404 Not Found", lost,
                 "x-amz-crc32: 3552371480" CRLF);
    check_answer("PUT / HTTP/1.1" CRLF CRLF, "404 Not Found", lost, "x-amzn-RequestId: ");
    check_answer("OPTIONS / HTTP/1.1" CRLF CRLF, "404 Not Found", lost, "");
    check_answer("HEAD / HTTP/1.1" CRLF CRLF, "404 Not Found", "", "Content-Length: 29" CRLF);
    check_answer(POST BODY2, "404 Not Found", lost, "");
    check_answer(POST "Content-Type: application/x-amz-json-1.1" CRLF BODY2, "404 Not Found", lost,
                 "");
    check_answer(POST "Content-Type: text/plain" CRLF LIST SIGNED BODY2, "404 Not Found", lost, "");

    /* The content type comes back. */
    check_answer(POST JSON LIST SIGNED BODY2, OK, NO_TABLES,
                 "Content-Type: application/x-amz-json-1.0" CRLF);
    check_answer(POST "Content-Type: application/json" CRLF LIST SIGNED BODY2, OK, NO_TABLES,
                 "Content-Type: application/json" CRLF);
    check_answer(POST "content-type: application/json ; charset=utf-8" CRLF LIST SIGNED BODY2, OK,
                 NO_TABLES, "Content-Type: application/json" CRLF);
    check_answer(POST CRLF, BAD, NO_OPERATION, "Content-Type: application/x-amz-json-1.0" CRLF);

    /* The id is 52 of [0-9A-Z], and another each time. */
    answer = strstr(answer_to(POST CRLF), "x-amzn-RequestId: ");
    CHECK(answer != NULL);
    length = answer ? strspn(answer + 18, "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ") : 0;
    CHECK_INT(length, 52);

    check_answer("POST / HTTP/1.0" CRLF "Connection: keep-alive" CRLF JSON LIST SIGNED BODY2, OK,
                 NO_TABLES, "Connection: keep-alive" CRLF);
    check_answer(POST "Content-Encoding: identity" CRLF JSON LIST SIGNED BODY2, OK, NO_TABLES, "");
    check_answer(POST "Content-Encoding: g\"zip" CRLF JSON LIST SIGNED BODY2,
                 "415 Unsupported Media Type",
                 "{\"__type\":\"com.amazon.coral.service#SerializationException\",\"Message\":"
                 "\"Content-Encoding g\\u0022zip is not supported; send the body as it is\"}", "");
    check_answer("nonsense" CRLF, BAD, "the request line is malformed\n",
                 "Connection: close" CRLF);
    check_answer("GET / HTTP/3.0" CRLF, "505 HTTP Version Not Supported",
                 "this is a server of HTTP/1.1\n", "");
    check_answer(POST "Transfer-Encoding: x" CRLF, "501 Not Implemented",
                 "the only Transfer-Encoding is chunked\n", "");
    check_answer(POST "Content-Length: 16777217" CRLF CRLF, "413 Payload Too Large", "",
                 "Connection: close" CRLF);
    CHECK(strstr(answered, "x-amz") == NULL); /* contract 4.2: the id comes after the size */
}

static void test_cors(void)
{
    check_answer("OPTIONS / HTTP/1.1" CRLF "Origin: x" CRLF
                 "Access-Control-Request-Headers: a, b" CRLF
                 "Access-Control-Request-Method: POST" CRLF CRLF, OK, "",
                 "Access-Control-Allow-Origin: *" CRLF "Access-Control-Allow-Headers: a, b" CRLF
                 "Access-Control-Allow-Methods: POST" CRLF
                 "Access-Control-Max-Age: 172800" CRLF);
    check_answer("OPTIONS /any HTTP/1.1" CRLF "Origin: x" CRLF CRLF, OK, "",
                 "Access-Control-Allow-Origin: *" CRLF "Access-Control-Max-Age: 172800" CRLF);
    check_answer(POST "Origin: x" CRLF JSON LIST SIGNED BODY2, OK, NO_TABLES,
                 "Access-Control-Allow-Origin: *" CRLF);
    CHECK(strstr(answered, "Max-Age") == NULL);
    check_answer(POST JSON LIST SIGNED BODY2, OK, NO_TABLES, "");
    CHECK(strstr(answered, "Access-Control") == NULL);
}

/* contract 4.2: what is told first */
static void test_order(void)
{
    const char *crc = "x-amz-crc32: 3948637019" CRLF;
    check_answer(POST JSON "Content-Length: 1" CRLF CRLF "{", BAD, NOT_JSON, crc);
    check_answer(POST JSON LIST "Content-Length: 1" CRLF CRLF "{", BAD, NOT_JSON, crc);
    check_answer(POST JSON LIST SIGNED "Content-Length: 1" CRLF CRLF "{", BAD, NOT_JSON, crc);
    check_answer(POST JSON SIGNED BODY2, BAD, NO_OPERATION, "x-amz-crc32: 1368724161" CRLF);
    check_answer(POST JSON BODY2, BAD, NO_OPERATION, "");
    check_answer(POST JSON CRLF, BAD, NO_OPERATION, "");
    check_answer(POST JSON TARGET("DynamoDB_20120810.NoSuch") BODY2, BAD, NO_OPERATION, "");
    check_answer(POST JSON TARGET("DynamoDB_20120810.") SIGNED BODY2, BAD, NO_OPERATION, "");
    check_answer(POST JSON TARGET("DynamoDB_20120810") SIGNED BODY2, BAD, NO_OPERATION, "");
    check_answer(POST JSON TARGET("ListTables") SIGNED BODY2, BAD, NO_OPERATION, "");
    check_answer(POST JSON TARGET("DynamoDB_20111205.ListTables") SIGNED BODY2, BAD, NO_OPERATION,
                 "");
    check_answer(POST JSON TARGET("dynamodb_20120810.ListTables") SIGNED BODY2, BAD, NO_OPERATION,
                 "");
    check_answer(POST JSON TARGET("DynamoDB_20120810.ListTablesAndSomethingVeryLongBehindItSo"
                                  "LongThatNoOperationHasSuchAName") SIGNED BODY2, BAD,
                 NO_OPERATION, "");
    check_answer(POST JSON LIST BODY2, BAD, NO_TOKEN, "");
    check_answer(POST JSON LIST CRLF, BAD, NO_TOKEN, "");
    check_answer(POST LIST SIGNED CRLF, BAD, NOT_JSON, crc);
    check_answer(POST JSON LIST SIGNED CHUNKED, BAD, "a header is malformed\n", "");
    check_answer(POST JSON LIST SIGNED "Transfer-Encoding: chunked" CRLF CRLF "1" CRLF "{" CRLF
                 "1" CRLF "}" CRLF "0" CRLF CRLF, OK, NO_TABLES, "");
}

/* contract 4.3 */
static void test_authentication(void)
{
#define NEEDS(name) "Authorization header requires '" name "' parameter. "
#define NEEDS_DATE \
    "Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header. "
#define LACKS(text) CORAL("IncompleteSignatureException", text)
#define QUERY(text) "POST /?" text " HTTP/1.1" CRLF JSON LIST
#define MUST_INCLUDE(name) "AWS query-string parameters must include '" name "'. "
    check_answer(POST JSON LIST "Authorization:" CRLF BODY2, BAD, NO_TOKEN, "");
    check_answer(POST JSON LIST "Authorization: AWS3-x Credential=a" CRLF BODY2, BAD, NO_TOKEN, "");
    check_answer(POST JSON LIST "Authorization: AWS4" CRLF BODY2, BAD, NO_TOKEN, "");
    check_answer(POST JSON LIST "Authorization: AWS4-" CRLF BODY2, BAD,
                 LACKS(NEEDS("Credential") NEEDS("Signature") NEEDS("SignedHeaders") NEEDS_DATE
                       "Authorization=AWS4-"), "");
    check_answer(POST JSON LIST "Authorization: AWS4-H Signature=b,Credential=a" CRLF BODY2, BAD,
                 LACKS(NEEDS("SignedHeaders") NEEDS_DATE
                       "Authorization=AWS4-H Signature=b,Credential=a"), "");
    check_answer(POST JSON LIST "Authorization: AWS4-H Signature=,Credential,SignedHeaders=x" CRLF
                 "Date: x" CRLF BODY2, BAD,
                 LACKS(NEEDS("Credential") NEEDS("Signature")
                       "Authorization=AWS4-H Signature=,Credential,SignedHeaders=x"), "");
    check_answer(POST JSON LIST "Authorization: AWS4-\"\\\xe9" CRLF "X-Amz-Date: x" CRLF BODY2, BAD,
                 LACKS(NEEDS("Credential") NEEDS("Signature") NEEDS("SignedHeaders")
                       "Authorization=AWS4-\\u0022\\u005c\\u00e9"), "");
    check_answer(POST JSON LIST "Authorization: AWS4-H Credential=a Signature=b SignedHeaders=c"
                 CRLF "Date: x" CRLF BODY2, OK, NO_TABLES, "");
    check_answer(QUERY("X-Amz-Algorithm") SIGNED BODY2, BAD,
                 CORAL("InvalidSignatureException",
                       "Found both 'X-Amz-Algorithm' as a query-string param and 'Authorization' "
                       "as HTTP header."), "");
    check_answer(QUERY("X-Amz-Algorith=x") BODY2, BAD, NO_TOKEN, "");
    check_answer(QUERY("X-Amz-Algorithms=x") BODY2, BAD, NO_TOKEN, "");
    check_answer(QUERY("a&X-Amz-Algorithm&X-Amz-Date=1&X-Amz-Signature=") BODY2, BAD,
                 LACKS(MUST_INCLUDE("X-Amz-Algorithm") MUST_INCLUDE("X-Amz-Credential")
                       MUST_INCLUDE("X-Amz-Signature") MUST_INCLUDE("X-Amz-SignedHeaders")
                       "Re-examine the query-string parameters."), "");
    check_answer(QUERY("X-Amz-Algorithm=a&X-Amz-Credential=b&X-Amz-Signature=c&X-Amz-SignedHeaders"
                       "=d&X-Amz-Date=e") BODY2, OK, NO_TABLES, "");
}

/* The sum of any number of bytes, from any start, is what one bit at a time
 * gives. */
static void test_crc(void)
{
    char bytes[64];
    size_t from, size, i;
    for (i = 0; i < sizeof bytes; ++i)
        bytes[i] = (char)(i * i * 7 + 13);
    for (from = 0; from < 9; ++from)
        for (size = 0; from + size <= sizeof bytes; ++size) {
            uint32_t sum = 0xffffffffu, bit;
            for (i = 0; i < size; ++i)
                for (sum ^= (unsigned char)bytes[from + i], bit = 0; bit < 8; ++bit)
                    sum = sum & 1 ? sum >> 1 ^ 0xedb88320u : sum >> 1;
            CHECK(crc_32(it.crc, bytes + from, size) == (uint32_t)~sum);
        }
    CHECK_INT(crc_32(it.crc, "123456789", 9), 0xcbf43926u); /* the check value of CRC-32 */
}

static void open_service(void)
{
    static kit_clock clock = {1700000000000u, 1};
    dynb_config config;
    memset(&config, 0, sizeof config);
    config.clock_fn = kit_clock_now;
    config.clock_ctx = &clock;
    config.memory_bytes = 1 << 20;
    config.manual_work = 1;
    MUST(dynb_open(&it.db, NULL, &config, &kit_err));
    it.region = "us-east-1";
    crc_prepare(it.crc);
}

int main(void)
{
    uint64_t seed = check_seed("unit_server");
    test_heads();
    test_chunks();
    test_sizes();
    test_pipeline();
    test_connection();
    test_random(seed);
    open_service();
    test_transport();
    test_cors();
    test_order();
    test_authentication();
    test_crc();
    service_free(&it);
    (void)server_main; /* needs sockets: test_server.c */
    MUST(dynb_close(it.db, &kit_err));
    return check_report("unit_server");
}
