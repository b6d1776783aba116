/* server - a DynamoDB endpoint on this machine, for AWS's own clients.
 *
 *     cc -O2 -o server examples/server.c      (with -pthread: a builder thread)
 *     ./server --port 8000
 *     aws dynamodb list-tables --endpoint-url http://127.0.0.1:8000
 *
 * `./server --help` lists the options. It speaks HTTP/1.1 on 127.0.0.1 and
 * nowhere else, for it believes every credential: what is checked is that a
 * request has the form of a signed one, as clients expect to be told.
 *
 * How it works. One thread, one loop. What has come on a connection is read into
 * one buffer that all connections share; http_read, a function that knows bytes
 * and no sockets, finds the requests in it; each becomes an answer through
 * dynb_call, the library's door for JSON; all answers to what was read go out by
 * one write. A connection has memory of its own only while half a request has
 * come, while more have come than are answered in one turn, or while its client
 * does not take the answers; so a thousand that do nothing cost next to nothing,
 * in memory and in time.
 *
 * What clients can do to it is bounded: the size of heads and bodies, the time
 * for a request to come and for an answer to be taken, what one may ask before it
 * is the others' turn, the number of connections, and what all of them hold
 * together.
 *
 * Exit codes: 0 ended by SIGTERM or SIGINT, 1 failed, 2 wrong usage.
 *
 * Contents: buffers, the HTTP reader, authentication, answers, the operations;
 * then what needs POSIX: the poller, connections, the loop, options, main. */
#if defined(_REENTRANT) && !defined(DYNBACKUP_PTHREADS)
#define DYNBACKUP_PTHREADS /* compiled with -pthread */
#endif
#define DYNBACKUP_IMPLEMENTATION
#include "../dynbackup.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define HEAD_MAX 16384u              /* request line and headers; trailers, too */
#define BODY_MAX (16u * 1024 * 1024) /* what DynamoDB takes */
#define CHUNK_LINE_MAX 4096u         /* a chunk's size, with its extensions */
#define MEMORY_KEPT (256u * 1024)    /* a shared buffer larger than this is freed */

/* --------------------------------------------------------- buffers -- */

/* Bytes that grow. A failed allocation sticks: adding goes on as if nothing
 * were wrong, and whoever uses the bytes looks at `failed` once. */
typedef struct buffer {
    char *bytes;
    size_t size;
    size_t capacity;
    int failed;
} buffer;

static void buffer_free(buffer *b)
{
    free(b->bytes);
    memset(b, 0, sizeof *b);
}

static int buffer_reserve(buffer *b, size_t more)
{
    size_t capacity = b->capacity ? b->capacity : 1024;
    char *bytes;
    if (b->failed)
        return 0;
    if (more <= b->capacity - b->size)
        return 1;
    while (capacity - b->size < more && capacity <= SIZE_MAX / 4)
        capacity *= 2;
    bytes = capacity - b->size < more ? NULL : (char *)realloc(b->bytes, capacity);
    if (!bytes) {
        b->failed = 1;
        return 0;
    }
    b->bytes = bytes;
    b->capacity = capacity;
    return 1;
}

static void add_bytes(buffer *b, const void *bytes, size_t size)
{
    if (!size || !buffer_reserve(b, size))
        return;
    memcpy(b->bytes + b->size, bytes, size);
    b->size += size;
}

static void add_text(buffer *b, const char *text)
{
    add_bytes(b, text, strlen(text));
}

static void add_number(buffer *b, uint64_t number)
{
    char digits[20];
    size_t at = sizeof digits;
    do {
        digits[--at] = (char)('0' + number % 10);
        number /= 10;
    } while (number);
    add_bytes(b, digits + at, sizeof digits - at);
}

/* Text inside a JSON string. Bytes beyond ASCII, which headers rarely hold, are
 * taken for Latin-1, so whatever comes the result is JSON. */
static void add_json_text(buffer *b, const char *text, size_t size)
{
    char escape[8];
    size_t i;
    for (i = 0; i < size; ++i) {
        unsigned char c = (unsigned char)text[i];
        if (c >= ' ' && c < 0x7f && c != '"' && c != '\\') {
            add_bytes(b, &text[i], 1);
        } else {
            snprintf(escape, sizeof escape, "\\u%04x", (unsigned)c);
            add_text(b, escape);
        }
    }
}

/* ------------------------------------------------- the HTTP reader --
 *
 * http_read is called whenever more of a request has come, with all that came
 * since its first byte. It goes on where it stopped, so a request that comes
 * byte by byte costs no more than one that comes at once, and both are
 * understood alike. It allocates nothing.
 *
 * It takes what RFC 9112 allows and refuses the rest, above all what two readers
 * could understand in two ways: two lengths, a length beside chunks, a coding
 * other than chunked, folded headers. After a refusal nothing is known of where
 * the next request begins, so the connection has to be closed. */

/* The headers that matter; the others are checked and forgotten. */
enum {
    H_AUTHORIZATION, H_TARGET, H_CONTENT_TYPE, H_AMZ_DATE, H_DATE, H_ORIGIN, H_CORS_HEADERS,
    H_CORS_METHOD, H_CONTENT_ENCODING, H_CONTENT_LENGTH, H_TRANSFER_ENCODING, H_CONNECTION,
    H_EXPECT, HEADER_COUNT
};

static const char *const header_names[HEADER_COUNT] = {
    "authorization", "x-amz-target", "content-type", "x-amz-date", "date", "origin",
    "access-control-request-headers", "access-control-request-method", "content-encoding",
    "content-length", "transfer-encoding", "connection", "expect"
};

/* A piece of the request; size 0 where it is absent. */
typedef struct span {
    uint32_t pos;
    uint32_t size;
} span;

typedef enum http_phase {
    HTTP_START, /* before the request line */
    HTTP_HEADERS,
    HTTP_BODY,
    HTTP_CHUNK_SIZE,
    HTTP_CHUNK,
    HTTP_CHUNK_END,
    HTTP_TRAILERS,
    HTTP_DONE,   /* the request is the first `at` bytes */
    HTTP_REFUSED /* status and why say more */
} http_phase;

/* Zero it before a request's first byte. */
typedef struct http_request {
    http_phase phase;
    size_t at;      /* what is before it is understood */
    size_t seen;    /* no line ends from `at` up to here */
    size_t left;    /* bytes of the body or chunk still to come */
    size_t trailer_size;
    span method;
    span path;      /* of the target, before a '?' ... */
    span query;     /* ... and behind it */
    span header[HEADER_COUNT];
    size_t body_pos;
    size_t body_size;
    int is_http_1_0;
    int keep_alive;
    int has_length;
    int chunked;
    int status;
    const char *why;
} http_request;

static void refuse(http_request *r, int status, const char *why)
{
    r->phase = HTTP_REFUSED;
    r->status = status;
    r->why = why;
    r->keep_alive = 0;
}

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c + 32) : c;
}

/* Is the text, of `size` bytes, that word, whatever the case of its letters? */
static int is_word(const char *text, size_t size, const char *word)
{
    size_t i;
    for (i = 0; i < size && word[i] && lower(text[i]) == word[i]; ++i)
        continue;
    return i == size && !word[i];
}

/* What names are made of. */
static int is_token(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           c == '-' || (c != 0 && c != ':' && strchr("!#$%&'*+.^_`|~", c) != NULL);
}

/* Printable, or beyond ASCII: allowed in values. */
static int is_visible(char c)
{
    return ((unsigned char)c >= ' ' && c != 0x7f) || c == '\t';
}

static span make_span(size_t pos, size_t end)
{
    span s;
    s.pos = (uint32_t)pos;
    s.size = (uint32_t)(end - pos);
    return s;
}

static span trimmed(const char *bytes, size_t pos, size_t end)
{
    while (pos < end && (bytes[pos] == ' ' || bytes[pos] == '\t'))
        ++pos;
    while (end > pos && (bytes[end - 1] == ' ' || bytes[end - 1] == '\t'))
        --end;
    return make_span(pos, end);
}

/* The next line without its end, of at most max bytes with it. Returns 0 when it
 * has not come whole, or is refused. */
static int next_line(http_request *r, const char *bytes, size_t size, size_t max, span *line)
{
    size_t from = r->seen > r->at ? r->seen : r->at;
    const char *end = (const char *)memchr(bytes + from, '\n', size - from);
    size_t length = (end ? (size_t)(end - bytes) + 1 : size) - r->at;
    r->seen = size;
    if (length > max) {
        refuse(r, 400, "the head, a chunk's size or the trailers are too long");
        return 0;
    }
    if (!end)
        return 0;
    *line = make_span(r->at, r->at + length - 1);
    if (line->size && bytes[line->pos + line->size - 1] == '\r')
        --line->size;
    r->at += length;
    r->seen = r->at;
    return 1;
}

static void read_request_line(http_request *r, const char *bytes, span line)
{
    size_t at = line.pos, end = at + line.size, from;
    const char *question;
    while (at < end && is_token(bytes[at]))
        ++at;
    r->method = make_span(line.pos, at);
    from = ++at;
    while (at < end && (unsigned char)bytes[at] > ' ' && bytes[at] != 0x7f)
        ++at;
    if (!r->method.size || at <= from || at >= end || bytes[from - 1] != ' ' ||
        bytes[at] != ' ' || end - at != 9 || memcmp(bytes + at + 1, "HTTP/", 5) != 0) {
        refuse(r, 400, "the request line is malformed");
        return;
    }
    question = (const char *)memchr(bytes + from, '?', at - from);
    r->path = make_span(from, question ? (size_t)(question - bytes) : at);
    if (question)
        r->query = make_span((size_t)(question - bytes) + 1, at);
    if (bytes[at + 6] != '1' || bytes[at + 7] != '.' || bytes[at + 8] < '0' || bytes[at + 8] > '9')
        refuse(r, 505, "this is a server of HTTP/1.1");
    r->is_http_1_0 = bytes[at + 8] == '0';
    r->keep_alive = !r->is_http_1_0 && r->phase != HTTP_REFUSED;
}

static void read_connection(http_request *r, const char *bytes, span value)
{
    size_t at = value.pos, end = at + value.size, from;
    while (at < end) {
        span word;
        for (from = at; at < end && bytes[at] != ','; ++at)
            continue;
        word = trimmed(bytes, from, at++);
        if (is_word(bytes + word.pos, word.size, "close"))
            r->keep_alive = 0;
        else if (is_word(bytes + word.pos, word.size, "keep-alive") && r->is_http_1_0)
            r->keep_alive = 1;
    }
}

static void read_length(http_request *r, const char *bytes, span value)
{
    size_t i, length = 0;
    if (r->has_length || !value.size) {
        refuse(r, 400, "there must be one Content-Length");
        return;
    }
    r->has_length = 1;
    for (i = 0; i < value.size; ++i) {
        char c = bytes[value.pos + i];
        if (c < '0' || c > '9') {
            refuse(r, 400, "Content-Length is no number");
            return;
        }
        if (length <= BODY_MAX) /* beyond that it is too much, however much it is */
            length = length * 10 + (size_t)(c - '0');
    }
    r->left = length;
}

/* What the header means for reading on. */
static void use_header(http_request *r, const char *bytes, int header, span value)
{
    if (header == H_CONNECTION) {
        read_connection(r, bytes, value);
    } else if (header == H_CONTENT_LENGTH) {
        read_length(r, bytes, value);
    } else if (header == H_TRANSFER_ENCODING) {
        if (r->chunked || r->is_http_1_0)
            refuse(r, 400, "Transfer-Encoding is out of place");
        else if (!is_word(bytes + value.pos, value.size, "chunked"))
            refuse(r, 501, "the only Transfer-Encoding is chunked");
        r->chunked = 1;
    }
}

/* A header or a trailer; trailers are only checked. */
static void read_header(http_request *r, const char *bytes, span line)
{
    size_t at = line.pos, end = at + line.size, i;
    span value;
    int header;
    while (at < end && is_token(bytes[at]))
        ++at;
    if (at == line.pos || at == end || bytes[at] != ':') {
        refuse(r, 400, "a header is malformed");
        return;
    }
    for (i = at + 1; i < end && is_visible(bytes[i]); ++i)
        continue;
    if (i < end) {
        refuse(r, 400, "a header holds a control character");
        return;
    }
    value = trimmed(bytes, at + 1, end);
    for (header = 0; header < HEADER_COUNT && r->phase == HTTP_HEADERS; ++header)
        if (is_word(bytes + line.pos, at - line.pos, header_names[header])) {
            if (!r->header[header].size)
                r->header[header] = value;
            use_header(r, bytes, header, value);
            return;
        }
}

static void end_head(http_request *r)
{
    r->body_pos = r->at;
    if (r->chunked && r->has_length)
        refuse(r, 400, "Content-Length beside Transfer-Encoding");
    else if (r->left > BODY_MAX)
        refuse(r, 413, "the body is too large");
    else
        r->phase = r->chunked ? HTTP_CHUNK_SIZE : HTTP_BODY;
}

/* A line of the head; empty ones may come before it. */
static void read_head_line(http_request *r, const char *bytes, span line)
{
    if (line.size && r->phase == HTTP_START) {
        r->phase = HTTP_HEADERS;
        read_request_line(r, bytes, line);
    } else if (line.size) {
        read_header(r, bytes, line);
    } else if (r->phase == HTTP_HEADERS) {
        end_head(r);
    }
}

static int hex_value(char c)
{
    const char *digits = "0123456789abcdef", *at = c ? strchr(digits, lower(c)) : NULL;
    return at ? (int)(at - digits) : -1;
}

static void read_chunk_size(http_request *r, const char *bytes, span line)
{
    size_t at = line.pos, end = at + line.size, length = 0;
    for (; at < end && hex_value(bytes[at]) >= 0; ++at)
        if (length <= BODY_MAX)
            length = length * 16 + (size_t)hex_value(bytes[at]);
    if (at == line.pos) {
        refuse(r, 400, "a chunk has no size");
        return;
    }
    while (at < end && (bytes[at] == ' ' || bytes[at] == '\t'))
        ++at;
    if (at < end && bytes[at] != ';') {
        refuse(r, 400, "a chunk's size is malformed");
        return;
    }
    for (; at < end; ++at)
        if (!is_visible(bytes[at])) {
            refuse(r, 400, "a chunk's extension holds a control character");
            return;
        }
    if (length > BODY_MAX - r->body_size) {
        refuse(r, 413, "the body is too large");
        return;
    }
    r->left = length;
    r->phase = length ? HTTP_CHUNK : HTTP_TRAILERS;
}

/* Takes what has come of the body, or of a chunk, which is moved to the end of
 * the body so far. Returns 0 when more has to come. */
static int read_body(http_request *r, char *bytes, size_t size)
{
    size_t part = size - r->at < r->left ? size - r->at : r->left;
    if (r->phase == HTTP_CHUNK)
        memmove(bytes + r->body_pos + r->body_size, bytes + r->at, part);
    r->body_size += part;
    r->at += part;
    r->left -= part;
    if (r->left)
        return 0;
    r->phase = r->phase == HTTP_CHUNK ? HTTP_CHUNK_END : HTTP_DONE;
    return 1;
}

/* Reads one thing. Returns 0 when more has to come for it, or all is read. */
static int http_step(http_request *r, char *bytes, size_t size)
{
    span line;
    switch (r->phase) {
    case HTTP_START:
    case HTTP_HEADERS:
        if (!next_line(r, bytes, size, HEAD_MAX - r->at, &line))
            return 0;
        read_head_line(r, bytes, line);
        return 1;
    case HTTP_BODY:
    case HTTP_CHUNK:
        return read_body(r, bytes, size);
    case HTTP_CHUNK_SIZE:
        if (!next_line(r, bytes, size, CHUNK_LINE_MAX, &line))
            return 0;
        read_chunk_size(r, bytes, line);
        return 1;
    case HTTP_CHUNK_END:
        if (!next_line(r, bytes, size, 2, &line))
            return 0;
        if (line.size)
            refuse(r, 400, "a chunk is longer than its size");
        else
            r->phase = HTTP_CHUNK_SIZE;
        return 1;
    case HTTP_TRAILERS:
        if (!next_line(r, bytes, size, HEAD_MAX - r->trailer_size, &line))
            return 0;
        r->trailer_size += r->at - line.pos;
        if (line.size)
            read_header(r, bytes, line);
        else
            r->phase = HTTP_DONE;
        return 1;
    default:
        return 0;
    }
}

/* Reads on. bytes: all that has come since the request's first byte, and perhaps
 * of requests behind it. Chunks are put together in place, for which bytes are
 * moved and *size becomes less.
 * Returns nonzero when the phase is HTTP_DONE or HTTP_REFUSED; else more has to
 * come. Spans count from bytes. */
static int http_read(http_request *r, char *bytes, size_t *size)
{
    size_t end, gap;
    while (http_step(r, bytes, *size))
        continue;
    if (r->chunked && r->body_pos) { /* close the gap behind the body so far */
        end = r->body_pos + r->body_size;
        gap = r->at - end;
        memmove(bytes + end, bytes + r->at, *size - r->at);
        r->at -= gap;
        r->seen -= r->seen > gap ? gap : r->seen;
        *size -= gap;
    }
    return r->phase == HTTP_DONE || r->phase == HTTP_REFUSED;
}

/* A complete request and its bytes, as the functions that answer it see it. */
typedef struct request {
    const http_request *http;
    const char *bytes;
} request;

static int has(const request *q, int header)
{
    return q->http->header[header].size != 0;
}

static int span_is(const request *q, span s, const char *text)
{
    return s.size == strlen(text) && memcmp(q->bytes + s.pos, text, s.size) == 0;
}

/* ---------------------------------------------- authentication --
 *
 * The form of a signed request, by the contract of the service: whose signature
 * it is, and whether it is right, is not asked. */

/* Has the text a parameter of that name with a value? Parameters are parted by
 * either of the separators. */
static int has_parameter(const char *text, size_t size, const char separators[2], const char *name)
{
    const char one = separators[0], other = separators[1];
    size_t at = 0, length = strlen(name), from;
    while (at < size) {
        for (from = at; at < size && text[at] != one && text[at] != other; ++at)
            continue;
        if (at - from > length + 1 && memcmp(text + from, name, length) == 0 &&
            text[from + length] == '=')
            return 1;
        ++at;
    }
    return 0;
}

/* A parameter of a query need have no value to be there. */
static int is_signed_by_query(const request *q)
{
    const char *text = q->bytes + q->http->query.pos, *name = "X-Amz-Algorithm";
    size_t size = q->http->query.size, at = 0, length = strlen(name), from;
    while (at < size) {
        for (from = at; at < size && text[at] != '&'; ++at)
            continue;
        if (at - from >= length && memcmp(text + from, name, length) == 0 &&
            (at - from == length || text[from + length] == '='))
            return 1;
        ++at;
    }
    return 0;
}

static void auth_error(buffer *body, const char *code, const char *message)
{
    body->size = 0;
    add_text(body, "{\"__type\":\"com.amazon.coral.service#");
    add_text(body, code);
    add_text(body, "\",\"message\":\"");
    add_text(body, message);
}

/* Starts the error where it is not started, and names what lacks. */
static void auth_lacks(buffer *body, const char *before, const char *name, const char *after)
{
    if (!body->size)
        auth_error(body, "IncompleteSignatureException", "");
    add_text(body, before);
    add_text(body, name);
    add_text(body, after);
}

static void check_header_parts(const request *q, buffer *body)
{
    static const char *const names[] = {"Credential", "Signature", "SignedHeaders"};
    span header = q->http->header[H_AUTHORIZATION];
    const char *text = q->bytes + header.pos;
    size_t i;
    for (i = 0; i < 3; ++i)
        if (!has_parameter(text, header.size, ", ", names[i]))
            auth_lacks(body, "Authorization header requires '", names[i], "' parameter. ");
    if (!has(q, H_AMZ_DATE) && !has(q, H_DATE))
        auth_lacks(body, "Authorization header requires existence of either a '", "X-Amz-Date",
                   "' or a 'Date' header. ");
    if (body->size) {
        add_text(body, "Authorization=");
        add_json_text(body, text, header.size);
    }
}

static void check_query_parts(const request *q, buffer *body)
{
    static const char *const names[] = {"X-Amz-Algorithm", "X-Amz-Credential", "X-Amz-Signature",
                                        "X-Amz-SignedHeaders", "X-Amz-Date"};
    const char *text = q->bytes + q->http->query.pos;
    size_t i;
    for (i = 0; i < 5; ++i)
        if (!has_parameter(text, q->http->query.size, "&&", names[i]))
            auth_lacks(body, "AWS query-string parameters must include '", names[i], "'. ");
    if (body->size)
        add_text(body, "Re-examine the query-string parameters.");
}

/* Leaves body empty, or with the error that the request's signature deserves. */
static void check_authentication(const request *q, buffer *body)
{
    span header = q->http->header[H_AUTHORIZATION];
    int by_query = is_signed_by_query(q);
    body->size = 0;
    if (header.size && by_query)
        auth_error(body, "InvalidSignatureException",
                   "Found both 'X-Amz-Algorithm' as a query-string param and 'Authorization' as "
                   "HTTP header.");
    else if (by_query)
        check_query_parts(q, body);
    else if (header.size < 5 || memcmp(q->bytes + header.pos, "AWS4-", 5) != 0)
        auth_error(body, "MissingAuthenticationTokenException",
                   "Request is missing Authentication Token");
    else
        check_header_parts(q, body);
    if (body->size)
        add_text(body, "\"}");
}

/* ------------------------------------------------------ answers -- */

/* What answering needs, and what it uses again and again. */
typedef struct service {
    dynb *db;
    const char *region;
    dynb_result result; /* of dynb_call */
    dynb_error err;
    buffer text;        /* an error's body */
    buffer out;         /* answers to be sent */
    uint64_t random;
    uint32_t crc[8][256];
    time_t date_time;
    char date[32];
    char operation[64]; /* of the last request; "" for none */
    int status;         /* of the last answer */
} service;

typedef struct answer {
    int status;
    const char *content_type; /* NULL: none */
    const char *body;
    size_t body_size;
    int has_no_id;
    int is_preflight;
} answer;

/* Tables for CRC-32 (IEEE, as in zip) of eight bytes at a time: crc[k][b] is the
 * sum of byte b with k bytes of zero behind it. */
static void crc_prepare(uint32_t crc[8][256])
{
    uint32_t i, k, bit;
    for (i = 0; i < 256; ++i) {
        uint32_t sum = i;
        for (bit = 0; bit < 8; ++bit)
            sum = sum & 1 ? sum >> 1 ^ 0xedb88320u : sum >> 1;
        crc[0][i] = sum;
    }
    for (k = 1; k < 8; ++k)
        for (i = 0; i < 256; ++i)
            crc[k][i] = crc[k - 1][i] >> 8 ^ crc[0][crc[k - 1][i] & 255];
}

static uint32_t crc_32(uint32_t crc[8][256], const char *text, size_t size)
{
    const unsigned char *p = (const unsigned char *)text;
    uint32_t sum = 0xffffffffu;
    for (; size >= 8; size -= 8, p += 8) {
        uint32_t low = sum ^ ((uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 |
                              (uint32_t)p[3] << 24);
        sum = crc[7][low & 255] ^ crc[6][low >> 8 & 255] ^ crc[5][low >> 16 & 255] ^
              crc[4][low >> 24] ^ crc[3][p[4]] ^ crc[2][p[5]] ^ crc[1][p[6]] ^ crc[0][p[7]];
    }
    for (; size; --size)
        sum = sum >> 8 ^ crc[0][(sum ^ *p++) & 255];
    return ~sum;
}

/* A small generator (splitmix64): the ids need be different, not secret. */
static uint64_t next_random(service *s)
{
    uint64_t z = (s->random += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

static void add_request_id(service *s)
{
    static const char digits[] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ";
    char id[52];
    uint64_t random = 0;
    int i;
    for (i = 0; i < 52; ++i) {
        if (i % 12 == 0) /* 36^12 < 2^64 */
            random = next_random(s);
        id[i] = digits[random % 36];
        random /= 36;
    }
    add_text(&s->out, "x-amzn-RequestId: ");
    add_bytes(&s->out, id, sizeof id);
    add_text(&s->out, "\r\n");
}

static const char *status_text(int status)
{
    switch (status) {
    case 200: return "OK";
    case 400: return "Bad Request";
    case 404: return "Not Found";
    case 413: return "Payload Too Large";
    case 415: return "Unsupported Media Type";
    case 501: return "Not Implemented";
    case 503: return "Service Unavailable";
    case 505: return "HTTP Version Not Supported";
    default: return "Internal Server Error";
    }
}

static void add_date(service *s)
{
    time_t now = time(NULL);
    struct tm *utc;
    if (now != s->date_time) {
        utc = gmtime(&now);
        s->date_time = now;
        if (!utc || !strftime(s->date, sizeof s->date, "%a, %d %b %Y %H:%M:%S GMT", utc))
            s->date[0] = 0;
    }
    add_text(&s->out, "Date: ");
    add_text(&s->out, s->date);
    add_text(&s->out, "\r\n");
}

static void add_header(service *s, const char *name, const request *q, int header)
{
    if (!has(q, header))
        return;
    add_text(&s->out, name);
    add_bytes(&s->out, q->bytes + q->http->header[header].pos, q->http->header[header].size);
    add_text(&s->out, "\r\n");
}

/* What a browser asks for. */
static void add_cors(service *s, const request *q, const answer *a)
{
    if (!has(q, H_ORIGIN))
        return;
    add_text(&s->out, "Access-Control-Allow-Origin: *\r\n");
    if (!a->is_preflight)
        return;
    add_header(s, "Access-Control-Allow-Headers: ", q, H_CORS_HEADERS);
    add_header(s, "Access-Control-Allow-Methods: ", q, H_CORS_METHOD);
    add_text(&s->out, "Access-Control-Max-Age: 172800\r\n");
}

static void add_connection(service *s, const http_request *r)
{
    if (!r->keep_alive)
        add_text(&s->out, "Connection: close\r\n");
    else if (r->is_http_1_0)
        add_text(&s->out, "Connection: keep-alive\r\n");
}

/* Adds the answer, head and body, to what will be sent. */
static void add_answer(service *s, const request *q, const answer *a)
{
    s->status = a->status;
    add_text(&s->out, "HTTP/1.1 ");
    add_number(&s->out, (uint64_t)a->status);
    add_text(&s->out, " ");
    add_text(&s->out, status_text(a->status));
    add_text(&s->out, "\r\nServer: dynbackup\r\n");
    add_date(s);
    if (!a->has_no_id)
        add_request_id(s);
    add_cors(s, q, a);
    add_connection(s, q->http);
    if (a->content_type) {
        add_text(&s->out, "Content-Type: ");
        add_text(&s->out, a->content_type);
        add_text(&s->out, "\r\n");
    }
    if (!a->has_no_id && !a->is_preflight) {
        add_text(&s->out, "x-amz-crc32: ");
        add_number(&s->out, crc_32(s->crc, a->body, a->body_size));
        add_text(&s->out, "\r\n");
    }
    add_text(&s->out, "Content-Length: ");
    add_number(&s->out, a->body_size);
    add_text(&s->out, "\r\n\r\n");
    if (!span_is(q, q->http->method, "HEAD"))
        add_bytes(&s->out, a->body, a->body_size);
}

static void use_text(service *s, answer *a, int status)
{
    a->status = status;
    a->body = s->text.bytes;
    a->body_size = s->text.size;
}

/* ----------------------------------------------- the operations -- */

/* "DynamoDB_20120810.GetItem" is operation "GetItem"; all else is none. */
static const char *find_operation(service *s, const request *q)
{
    static const char prefix[] = "DynamoDB_20120810.";
    span target = q->http->header[H_TARGET];
    size_t before = sizeof prefix - 1, length;
    s->operation[0] = 0;
    if (target.size <= before || memcmp(q->bytes + target.pos, prefix, before) != 0)
        return NULL;
    length = target.size - before;
    if (length >= sizeof s->operation)
        return NULL;
    memcpy(s->operation, q->bytes + target.pos + before, length);
    s->operation[length] = 0;
    return s->operation;
}

static int is_unknown(const dynb_response *response)
{
    static const char name[] = "#UnknownOperationException";
    size_t i, length = sizeof name - 1;
    for (i = 0; i + length <= response->body_size; ++i)
        if (memcmp(response->body + i, name, length) == 0)
            return 1;
    return 0;
}

/* Asks the library. Whatever it returns, the response is complete. */
static void call(service *s, const char *operation, const char *json, size_t size,
                 dynb_response *response)
{
    (void)dynb_call(s->db, operation, json, size, &s->result, response, &s->err);
}

/* A request without a right signature is told so only if its body is JSON and its
 * operation is known: that is the order of the service. Both are asked without
 * doing anything: with no operation nothing is called, and no operation takes an
 * empty body. Returns nonzero when one of the two is to be told instead. */
static int has_earlier_error(service *s, const request *q, const char *operation,
                             dynb_response *response)
{
    const http_request *r = q->http;
    if (r->body_size) {
        call(s, NULL, q->bytes + r->body_pos, r->body_size, response);
        if (!is_unknown(response))
            return 1;
    }
    call(s, operation, "", 0, response);
    return is_unknown(response);
}

static void answer_operation(service *s, const request *q, answer *a)
{
    const http_request *r = q->http;
    const char *operation = find_operation(s, q);
    dynb_response response;
    check_authentication(q, &s->text);
    if (!s->text.size) {
        call(s, operation, q->bytes + r->body_pos, r->body_size, &response);
    } else if (!has_earlier_error(s, q, operation, &response)) {
        use_text(s, a, 400);
        return;
    }
    a->status = response.http_status;
    a->body = response.body;
    a->body_size = response.body_size;
}

/* The content type of the answer: that of the request; NULL if it is none of the
 * two that the service knows. */
static const char *json_type(const request *q)
{
    static const char *const types[] = {"application/x-amz-json-1.0", "application/json"};
    span type = q->http->header[H_CONTENT_TYPE];
    const char *text = q->bytes + type.pos, *end;
    span bare;
    int i;
    if (!type.size)
        return q->http->body_size ? NULL : types[0];
    end = (const char *)memchr(text, ';', type.size);
    bare = trimmed(q->bytes, type.pos, end ? (size_t)(end - q->bytes) : type.pos + type.size);
    for (i = 0; i < 2; ++i)
        if (is_word(q->bytes + bare.pos, bare.size, types[i]))
            return types[i];
    return q->http->body_size ? NULL : types[0];
}

static void answer_encoded(service *s, const request *q, answer *a)
{
    span encoding = q->http->header[H_CONTENT_ENCODING];
    s->text.size = 0;
    add_text(&s->text, "{\"__type\":\"com.amazon.coral.service#SerializationException\","
                       "\"Message\":\"Content-Encoding ");
    add_json_text(&s->text, q->bytes + encoding.pos, encoding.size);
    add_text(&s->text, " is not supported; send the body as it is\"}");
    use_text(s, a, 415);
}

static void answer_refused(service *s, const http_request *r, answer *a)
{
    s->text.size = 0;
    if (r->status != 413) { /* which comes before all else, so without an id */
        add_text(&s->text, r->why);
        add_text(&s->text, "\n");
        a->content_type = "text/plain";
    }
    a->has_no_id = r->status == 413;
    use_text(s, a, r->status);
}

/* Answers a request that is complete or refused. The order of these questions is
 * the service's own. */
static void answer_request(service *s, const request *q)
{
    static const char not_found[] = "<UnknownOperationException/>\n";
    const http_request *r = q->http;
    const char *type = json_type(q);
    answer a;
    memset(&a, 0, sizeof a);
    a.status = 200;
    a.body = "";
    s->operation[0] = 0;
    if (r->phase == HTTP_REFUSED) {
        answer_refused(s, r, &a);
    } else if (span_is(q, r->method, "OPTIONS") && has(q, H_ORIGIN)) {
        a.is_preflight = 1;
    } else if (span_is(q, r->method, "GET") && span_is(q, r->path, "/")) {
        s->text.size = 0;
        add_text(&s->text, "healthy: dynamodb.");
        add_text(&s->text, s->region);
        add_text(&s->text, ".amazonaws.com ");
        use_text(s, &a, 200);
    } else if (!span_is(q, r->method, "POST") || !type) {
        a.status = 404;
        a.body = not_found;
        a.body_size = sizeof not_found - 1;
    } else {
        a.content_type = type;
        if (has(q, H_CONTENT_ENCODING) &&
            !is_word(q->bytes + r->header[H_CONTENT_ENCODING].pos,
                     r->header[H_CONTENT_ENCODING].size, "identity"))
            answer_encoded(s, q, &a);
        else
            answer_operation(s, q, &a);
    }
    add_answer(s, q, &a);
    if (s->result.capacity_bytes > MEMORY_KEPT)
        dynb_result_free(&s->result);
}

static void service_free(service *s)
{
    dynb_result_free(&s->result);
    buffer_free(&s->text);
    buffer_free(&s->out);
}

#if defined(__unix__) || defined(__APPLE__)
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <unistd.h>

#define READ_SIZE 65536u         /* read from a connection at a time */
#define FLUSH_SIZE 65536u        /* answers of one turn ... */
#define TURN_REQUESTS 16u        /* ... and how many requests; whichever comes first ... */
#define TURN_US 1000u            /* ... and how long they take, but for the last */
#define WORK_BYTES (256u * 1024) /* built between two looks at the connections ... */
#define WORK_QUIET_MS 5u         /* ... when nobody has asked for so long, ... */
#define WORK_BUSY_MS 20u         /* ... or so long after the last time, or at once, ... */
#define WORK_ASKED (WORK_BYTES / 4) /* ... or when so much has come since */
#define EVENTS_MAX 64
#define FINISH_MS 1000u /* how long the last answers may take to be read */

/* ------------------------------------------------------ the poller --
 *
 * Tells which of many sockets can go on. Linux does it in a time that does not
 * grow with those that are idle; elsewhere poll does, which is slower. */

/* What a connection waits for. */
typedef enum wanted { WANT_NOTHING, WANT_TO_READ, WANT_TO_WRITE } wanted;

#if defined(__linux__)
#include <sys/epoll.h>

typedef struct poller {
    int fd;
    struct epoll_event events[EVENTS_MAX];
} poller;

static int poller_open(poller *p)
{
    p->fd = epoll_create1(EPOLL_CLOEXEC);
    return p->fd >= 0;
}

static int poller_change(poller *p, int change, int fd, void *owner, wanted what)
{
    struct epoll_event event;
    memset(&event, 0, sizeof event);
    event.events = what == WANT_TO_WRITE ? EPOLLOUT : what == WANT_TO_READ ? EPOLLIN : 0;
    event.data.ptr = owner;
    return epoll_ctl(p->fd, change, fd, &event) == 0;
}

static int poller_add(poller *p, int fd, void *owner)
{
    return poller_change(p, EPOLL_CTL_ADD, fd, owner, WANT_TO_READ);
}

static void poller_want(poller *p, int fd, void *owner, wanted what)
{
    (void)poller_change(p, EPOLL_CTL_MOD, fd, owner, what);
}

static void poller_remove(poller *p, int fd)
{
    (void)epoll_ctl(p->fd, EPOLL_CTL_DEL, fd, NULL);
}

static int poller_wait(poller *p, int timeout_ms)
{
    return epoll_wait(p->fd, p->events, EVENTS_MAX, timeout_ms);
}

static void *poller_owner(poller *p, int i)
{
    return p->events[i].data.ptr;
}

static void poller_close(poller *p)
{
    close(p->fd);
}
#else
#include <poll.h>

typedef struct poller {
    struct pollfd *fds;
    void **owners;
    nfds_t count, capacity;
    nfds_t next; /* where the last look stopped, so that all get their turn */
    void *found[EVENTS_MAX];
} poller;

static int poller_open(poller *p)
{
    memset(p, 0, sizeof *p);
    return 1;
}

static int poller_grow(poller *p)
{
    nfds_t capacity = p->capacity ? 2 * p->capacity : 64;
    struct pollfd *fds = (struct pollfd *)realloc(p->fds, (size_t)capacity * sizeof *fds);
    void **owners;
    if (fds)
        p->fds = fds;
    owners = fds ? (void **)realloc(p->owners, (size_t)capacity * sizeof *owners) : NULL;
    if (!owners)
        return 0;
    p->owners = owners;
    p->capacity = capacity;
    return 1;
}

static int poller_add(poller *p, int fd, void *owner)
{
    if (p->count == p->capacity && !poller_grow(p))
        return 0;
    p->fds[p->count].fd = fd;
    p->fds[p->count].events = POLLIN;
    p->fds[p->count].revents = 0;
    p->owners[p->count++] = owner;
    return 1;
}

static nfds_t poller_find(poller *p, int fd)
{
    nfds_t i;
    for (i = 0; i < p->count && p->fds[i].fd != fd; ++i)
        continue;
    return i;
}

static void poller_want(poller *p, int fd, void *owner, wanted what)
{
    const short events = what == WANT_TO_WRITE ? POLLOUT : what == WANT_TO_READ ? POLLIN : 0;
    (void)owner;
    p->fds[poller_find(p, fd)].events = events;
}

static void poller_remove(poller *p, int fd)
{
    nfds_t i = poller_find(p, fd);
    if (i == p->count)
        return;
    p->fds[i] = p->fds[--p->count];
    p->owners[i] = p->owners[p->count];
}

static int poller_wait(poller *p, int timeout_ms)
{
    int got = poll(p->fds, p->count, timeout_ms), found = 0;
    nfds_t i, at;
    for (i = 0; got > 0 && i < p->count && found < EVENTS_MAX; ++i) {
        at = (p->next + i) % p->count;
        if (p->fds[at].revents)
            p->found[found++] = p->owners[at];
    }
    p->next = p->count ? (p->next + i) % p->count : 0;
    return got < 0 ? got : found;
}

static void *poller_owner(poller *p, int i)
{
    return p->found[i];
}

static void poller_close(poller *p)
{
    free(p->fds);
    free(p->owners);
}
#endif

/* ----------------------------------------------------- connections -- */

typedef struct options {
    const char *host;
    uint64_t port;
    const char *db;
    const char *durability;
    dynb_durability level; /* what that says */
    const char *account;
    const char *region;
    uint64_t delay_ms;
    int rate_limits;
    uint64_t memory_mb;
    uint64_t connections;
    uint64_t request_ms;
    uint64_t answer_ms;
    uint64_t idle_ms;
    uint64_t held_mb;
    int verbose;
    int help;
} options;

typedef struct connection connection;

/* Connections that wait for the same, hence equally long: the first is the first
 * whose time is over. */
typedef struct queue {
    connection *first;
    connection *last;
    uint64_t limit_ms;
} queue;

struct connection {
    int fd; /* -1: closed, to be freed after this round of events */
    connection *before, *after;
    queue *waits_in;
    uint64_t until_ms;
    http_request http;
    buffer in;       /* what has come and is not answered */
    buffer out;      /* what the client has not taken ... */
    size_t out_sent; /* ... but for this much of it */
    int ends;        /* no further request is answered */
    int drains;      /* all is sent; waits for the client to close */
};

typedef struct server {
    service service;
    options options;
    poller poller;
    int listener;
    int wake[2]; /* a signal writes, the loop reads */
    int stopping;
    int has_work;       /* dynb_work may find something to do */
    int work_complained;
    uint64_t worked_ms; /* when it was asked last */
    uint64_t asked_ms;  /* when the last request came */
    uint64_t asked_bytes; /* of bodies since worked_ms */
    uint64_t now_ms;
    uint64_t held_bytes; /* by all connections' buffers */
    uint64_t connection_count;
    int is_accepting;
    queue idle;    /* between two requests */
    queue ready;   /* more requests have come than were answered; has no limit */
    queue coming;  /* in the middle of one, or about to be closed */
    queue taking;  /* the client takes its answers */
    connection *dead;
    char chunk[READ_SIZE];
} server;

static uint64_t clock_us(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000u + (uint64_t)t.tv_nsec / 1000u;
}

static void leave_queue(connection *c)
{
    queue *q = c->waits_in;
    if (!q)
        return;
    *(c->before ? &c->before->after : &q->first) = c->after;
    *(c->after ? &c->after->before : &q->last) = c->before;
    c->before = c->after = NULL;
    c->waits_in = NULL;
}

/* Puts the connection at the end: its time begins now. */
static void enter_queue(server *s, connection *c, queue *q)
{
    leave_queue(c);
    c->until_ms = s->now_ms + q->limit_ms;
    c->before = q->last;
    *(q->last ? &q->last->after : &q->first) = c;
    q->last = c;
    c->waits_in = q;
}

static void drop_buffer(server *s, buffer *b)
{
    s->held_bytes -= b->capacity;
    buffer_free(b);
}

/* Keeps bytes for a connection. Returns 0 when memory, or what all connections
 * may hold together, is used up. */
static int hold(server *s, buffer *b, const char *bytes, size_t size)
{
    size_t before = b->capacity;
    if (s->held_bytes + size > s->options.held_mb << 20)
        return 0;
    add_bytes(b, bytes, size);
    s->held_bytes += b->capacity - before;
    return !b->failed;
}

static void set_accepting(server *s, int on)
{
    if (on && !s->is_accepting && s->listener >= 0)
        s->is_accepting = poller_add(&s->poller, s->listener, &s->listener);
    if (!on && s->is_accepting) {
        poller_remove(&s->poller, s->listener);
        s->is_accepting = 0;
    }
}

/* The memory stays until the events at hand are through: one may be for it. */
static void close_connection(server *s, connection *c)
{
    if (c->fd < 0)
        return;
    poller_remove(&s->poller, c->fd);
    close(c->fd);
    c->fd = -1;
    leave_queue(c);
    drop_buffer(s, &c->in);
    drop_buffer(s, &c->out);
    c->after = s->dead;
    s->dead = c;
    --s->connection_count;
    set_accepting(s, !s->stopping);
}

static void free_dead(server *s)
{
    connection *c;
    while ((c = s->dead) != NULL) {
        s->dead = c->after;
        free(c);
    }
}

/* Nothing more is answered; what the client still sends is thrown away for a
 * while, for closing at once would take back answers it has not read yet. */
static void drain(server *s, connection *c)
{
    c->drains = 1;
    drop_buffer(s, &c->in);
    if (shutdown(c->fd, SHUT_WR) != 0)
        close_connection(s, c);
    else
        enter_queue(s, c, &s->coming);
}

/* Sends what has been answered; what the client does not take now is kept.
 * Returns 0 when the connection is closed. */
static int flush(server *s, connection *c)
{
    buffer *out = &s->service.out;
    ssize_t sent = 0;
    int ok = !out->failed;
    if (ok && out->size) {
        sent = send(c->fd, out->bytes, out->size, 0);
        if (sent < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR))
            sent = 0;
        ok = sent >= 0;
    }
    if (ok && (size_t)sent < out->size) {
        ok = hold(s, &c->out, out->bytes + sent, out->size - (size_t)sent);
        if (ok) {
            poller_want(&s->poller, c->fd, c, WANT_TO_WRITE);
            enter_queue(s, c, &s->taking);
        }
    }
    out->size = 0;
    if (out->capacity > MEMORY_KEPT || out->failed)
        buffer_free(out);
    if (!ok)
        close_connection(s, c);
    return ok;
}

static void say_request(server *s, const request *q, size_t out_before, uint64_t began_us)
{
    const http_request *r = q->http;
    fprintf(stderr, "%.*s %s %d, %zu bytes in, %zu out, %.3f ms\n", (int)r->method.size,
            q->bytes + r->method.pos, s->service.operation[0] ? s->service.operation : "-",
            s->service.status, r->body_size, s->service.out.size - out_before,
            (double)(clock_us() - began_us) / 1000);
}

/* What clients use as soon as it is there, so that its beginning should not wait:
 * most backups and indexes are small, and built when the next request comes. */
static int is_waited_for(const char *operation)
{
    return strcmp(operation, "CreateBackup") == 0 || strcmp(operation, "UpdateTable") == 0 ||
           strcmp(operation, "DeleteTable") == 0;
}

static void answer_one(server *s, connection *c, const char *bytes)
{
    request q;
    size_t out_before = s->service.out.size;
    uint64_t began_us = s->options.verbose ? clock_us() : 0;
    if (s->stopping)
        c->http.keep_alive = 0;
    q.http = &c->http;
    q.bytes = bytes;
    answer_request(&s->service, &q);
    if (s->options.verbose)
        say_request(s, &q, out_before, began_us);
    if (s->service.text.failed) { /* then what was said may be cut short */
        buffer_free(&s->service.text);
        s->service.out.failed = 1;
    }
    c->ends = !c->http.keep_alive;
    s->has_work = 1;
    s->asked_ms = s->now_ms;
    s->asked_bytes += c->http.body_size;
    if (is_waited_for(s->service.operation))
        s->worked_ms = 0;
}

/* A client that sends "Expect: 100-continue" waits for this before the body. */
static void answer_expectation(server *s, connection *c, const char *bytes, size_t size)
{
    http_request *r = &c->http;
    request q;
    q.http = r;
    q.bytes = bytes;
    if (!r->body_pos || size > r->at || !has(&q, H_EXPECT))
        return;
    if (is_word(bytes + r->header[H_EXPECT].pos, r->header[H_EXPECT].size, "100-continue"))
        add_text(&s->service.out, "HTTP/1.1 100 Continue\r\n\r\n");
    r->header[H_EXPECT].size = 0;
}

/* Bytes that have come on a connection and are not used yet. */
typedef struct incoming {
    char *bytes;
    size_t size;
    unsigned answered; /* so many requests of them */
    int is_more;       /* and the others in the next turn */
} incoming;

/* Answers the requests that have come whole, as many as one turn has room for.
 * Returns 0 when the connection is closed. */
static int answer_some(server *s, connection *c, incoming *in)
{
    uint64_t began_us = clock_us();
    while (in->size && !c->ends && !in->is_more) {
        if (!http_read(&c->http, in->bytes, &in->size)) {
            answer_expectation(s, c, in->bytes, in->size);
            break;
        }
        answer_one(s, c, in->bytes);
        in->bytes += c->http.at;
        in->size -= c->http.at;
        memset(&c->http, 0, sizeof c->http);
        ++in->answered;
        in->is_more = in->size &&
                      (in->answered >= TURN_REQUESTS || s->service.out.size >= FLUSH_SIZE ||
                       clock_us() - began_us >= TURN_US);
    }
    return flush(s, c);
}

/* Too much is held for all: this one goes, with a word. */
static void overload(server *s, connection *c)
{
    static const char text[] = "HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\n"
                               "Content-Length: 0\r\n\r\n";
    if (!c->out.size)
        (void)!send(c->fd, text, sizeof text - 1, 0);
    close_connection(s, c);
}

/* In the next turn: nobody has to tell of it until it has caught up. */
static void enter_ready(server *s, connection *c)
{
    if (c->waits_in != &s->ready)
        poller_want(&s->poller, c->fd, c, WANT_NOTHING);
    enter_queue(s, c, &s->ready);
}

/* Keeps what is left, of c->in or else of the shared bytes, and sets what the
 * connection waits for. */
static void keep_rest(server *s, connection *c, const incoming *in)
{
    if (!in->size || c->ends) {
        drop_buffer(s, &c->in);
    } else if (!c->in.size) {
        if (!hold(s, &c->in, in->bytes, in->size)) {
            overload(s, c);
            return;
        }
    } else {
        if (in->bytes != c->in.bytes)
            memmove(c->in.bytes, in->bytes, in->size);
        c->in.size = in->size;
    }
    if (c->out.size)
        return; /* waits for that to be taken */
    if (c->ends)
        drain(s, c);
    else if (in->is_more)
        enter_ready(s, c);
    else if (!c->in.size)
        enter_queue(s, c, &s->idle);
    else if (in->answered || c->waits_in != &s->coming) /* a request has begun */
        enter_queue(s, c, &s->coming);
}

static void serve(server *s, connection *c, char *bytes, size_t size)
{
    incoming in;
    in.bytes = bytes;
    in.size = size;
    in.answered = 0;
    in.is_more = 0;
    if (answer_some(s, c, &in))
        keep_rest(s, c, &in);
}

static void on_readable(server *s, connection *c)
{
    ssize_t got = recv(c->fd, s->chunk, sizeof s->chunk, 0);
    if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR))
        return;
    if (got <= 0) {
        close_connection(s, c);
    } else if (c->drains) {
        return;
    } else if (!c->in.size) {
        serve(s, c, s->chunk, (size_t)got);
    } else if (hold(s, &c->in, s->chunk, (size_t)got)) {
        serve(s, c, c->in.bytes, c->in.size);
    } else {
        overload(s, c);
    }
}

/* The client takes answers: sends what is left, then goes on with its requests. */
static void on_writable(server *s, connection *c)
{
    size_t left = c->out.size - c->out_sent;
    ssize_t sent = send(c->fd, c->out.bytes + c->out_sent, left, 0);
    if (sent < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR))
        return;
    if (sent < 0) {
        close_connection(s, c);
        return;
    }
    c->out_sent += (size_t)sent;
    if (c->out_sent < c->out.size)
        return;
    drop_buffer(s, &c->out);
    c->out_sent = 0;
    poller_want(&s->poller, c->fd, c, WANT_TO_READ);
    serve(s, c, c->in.bytes, c->in.size);
}

/* One turn for each that was ready before it. */
static void serve_ready(server *s)
{
    connection *c = NULL, *last = s->ready.last;
    while (c != last) {
        c = s->ready.first;
        serve(s, c, c->in.bytes, c->in.size);
        if (c->fd >= 0 && !c->out.size && c->waits_in != &s->ready)
            poller_want(&s->poller, c->fd, c, WANT_TO_READ);
    }
}

static int set_flags(int fd)
{
    int flags = fcntl(fd, F_GETFL);
    return flags >= 0 && fcntl(fd, F_SETFL, flags | O_NONBLOCK) == 0 &&
           fcntl(fd, F_SETFD, FD_CLOEXEC) == 0;
}

static void add_connection_of(server *s, int fd)
{
    connection *c = (connection *)calloc(1, sizeof *c);
    int on = 1;
    if (!c || !set_flags(fd) || !poller_add(&s->poller, fd, c)) {
        free(c);
        close(fd);
        return;
    }
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    c->fd = fd;
    ++s->connection_count;
    enter_queue(s, c, &s->idle);
}

/* Who gives way when there is no room: whoever has waited longest without a
 * request, or else for the rest of one. NULL: nobody can. */
static connection *find_idlest(const server *s)
{
    return s->idle.first ? s->idle.first : s->coming.first;
}

/* Where no room can be made, those that come wait until a connection is closed. */
static void on_listener(server *s)
{
    int i, fd;
    for (i = 0; i < EVENTS_MAX; ++i) {
        int is_full = s->connection_count >= s->options.connections;
        connection *idlest = find_idlest(s);
        fd = is_full && !idlest ? -1 : accept(s->listener, NULL, NULL);
        if (fd >= 0) {
            if (is_full)
                close_connection(s, idlest);
            add_connection_of(s, fd);
        } else if (is_full && !idlest) {
            set_accepting(s, 0);
            return;
        } else if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
            if (!idlest)
                set_accepting(s, 0);
            else
                close_connection(s, idlest);
        } else if (errno != EINTR && errno != ECONNABORTED) {
            return;
        }
    }
}

/* -------------------------------------------------------- the loop -- */

static int wake_fd = -1; /* for the signal handler, which is given no context */

static void on_signal(int number)
{
    int saved = errno;
    (void)number;
    (void)!write(wake_fd, "", 1);
    errno = saved;
}

/* SIGTERM and SIGINT end the loop; a second one ends the process. */
static int catch_signals(server *s)
{
    struct sigaction action;
    if (pipe(s->wake) != 0 || !set_flags(s->wake[0]) || !set_flags(s->wake[1]))
        return 0;
    wake_fd = s->wake[1];
    memset(&action, 0, sizeof action);
    sigemptyset(&action.sa_mask);
    action.sa_handler = on_signal;
    action.sa_flags = (int)SA_RESETHAND;
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGINT, &action, NULL);
    action.sa_handler = SIG_IGN;
    action.sa_flags = 0;
    sigaction(SIGPIPE, &action, NULL);
    return poller_add(&s->poller, s->wake[0], &s->wake[0]);
}

static void cut_late(server *s, queue *q)
{
    while (q->first && q->first->until_ms <= s->now_ms)
        close_connection(s, q->first);
}

static int sooner(const server *s, const queue *q, int timeout_ms)
{
    uint64_t left;
    if (!q->first)
        return timeout_ms;
    left = q->first->until_ms > s->now_ms ? q->first->until_ms - s->now_ms : 0;
    return timeout_ms < 0 || left < (uint64_t)timeout_ms ? (int)left : timeout_ms;
}

/* Without a builder thread the loop builds: when nobody has asked for anything for
 * a while, since what is built in the gaps between two requests would be little,
 * and each time be synced; and sometimes though they ask, so that what is to be
 * built will be. Now and then it looks whether time alone has made something to
 * do. */
static int timeout_of(const server *s)
{
    int timeout_ms = -1;
    if (s->ready.first)
        return 0;
#if !defined(DYNBACKUP_PTHREADS)
    timeout_ms = !s->has_work                              ? 1000
                 : s->now_ms >= s->asked_ms + WORK_QUIET_MS ? 0
                                                            : (int)WORK_QUIET_MS;
#endif
    timeout_ms = sooner(s, &s->idle, timeout_ms);
    timeout_ms = sooner(s, &s->coming, timeout_ms);
    return sooner(s, &s->taking, timeout_ms);
}

static void work(server *s)
{
#if !defined(DYNBACKUP_PTHREADS)
    service *v = &s->service;
    const int is_due = s->has_work && (s->now_ms >= s->worked_ms + WORK_BUSY_MS ||
                                       s->asked_bytes >= WORK_ASKED);
    if (s->now_ms < s->asked_ms + WORK_QUIET_MS && !is_due)
        return;
    s->worked_ms = s->now_ms;
    s->asked_bytes = 0;
    s->has_work = 0;
    if (dynb_work(v->db, WORK_BYTES, &s->has_work, &v->err) == DYNB_OK) {
        s->work_complained = 0;
        return;
    }
    s->has_work = 0; /* the next request, or second, tries again */
    if (!s->work_complained)
        fprintf(stderr, "server: cannot build backups: %s\n", v->err.message);
    s->work_complained = 1;
#else
    (void)s;
#endif
}

static void handle(server *s, void *owner)
{
    connection *c = (connection *)owner;
    if (owner == &s->listener)
        on_listener(s);
    else if (owner == &s->wake[0])
        s->stopping = 1;
    else if (c->fd >= 0 && c->out.size)
        on_writable(s, c);
    else if (c->fd >= 0 && c->waits_in != &s->ready) /* that has enough to do */
        on_readable(s, c);
}

/* Waits, does what there is to do, cuts who is late. */
static void turn(server *s)
{
    int i, count = poller_wait(&s->poller, timeout_of(s));
    s->now_ms = clock_us() / 1000;
    serve_ready(s);
    for (i = 0; i < count; ++i)
        handle(s, poller_owner(&s->poller, i));
    work(s);
    cut_late(s, &s->idle);
    cut_late(s, &s->coming);
    cut_late(s, &s->taking);
    free_dead(s);
}

/* Answers what has come whole, and says that nothing more will be. */
static void finish_queue(server *s, queue *q)
{
    connection *c, *next;
    for (c = q->first; c; c = next) {
        next = c->after;
        if (!c->drains)
            on_readable(s, c);
        if (c->fd >= 0 && !c->out.size && !c->drains)
            close_connection(s, c);
    }
}

static void finish(server *s)
{
    if (s->coming.limit_ms > FINISH_MS)
        s->coming.limit_ms = FINISH_MS;
    poller_remove(&s->poller, s->wake[0]);
    set_accepting(s, 0);
    close(s->listener);
    s->listener = -1;
    finish_queue(s, &s->coming);
    finish_queue(s, &s->idle);
    while (s->ready.first || s->taking.first || s->coming.first)
        turn(s);
    while (s->idle.first)
        close_connection(s, s->idle.first);
    free_dead(s);
}

/* --------------------------------------------------------- options -- */

enum { DONE = 0, FAILED = 1, USAGE = 2 };

/* What an option sets: a text, a number up to max, or (both NULL) a flag. */
typedef struct option {
    const char *name;
    const char *value;
    const char *help;
    const char **text;
    uint64_t *number;
    int *flag;
    uint64_t max;
} option;

#define OPTION_COUNT 16

static void list_options(options *o, option list[OPTION_COUNT])
{
    const option all[OPTION_COUNT] = {
        {"--port", "N", "port to listen on; 0: any that is free (8000)", NULL, &o->port, NULL,
         65535},
        {"--db", "FILE", "keep the tables in this file (else in memory)", &o->db, NULL, NULL, 0},
        {"--durability", "HOW", "what an answered write survives: \"os\" the death of this\n"
         "process, \"synced\" a power cut, \"buffered\" neither (os)", &o->durability, NULL, NULL,
         0},
        {"--account", "DIGITS", "12 digits, for ARNs (123456789012)", &o->account, NULL, NULL, 0},
        {"--region", "NAME", "for ARNs (us-east-1)", &o->region, NULL, NULL, 0},
        {"--delay-ms", "MS", "how long tables and backups are being created (0)", NULL,
         &o->delay_ms, NULL, 0xffffffffu},
        {"--rate-limits", NULL, "throttle as AWS does", NULL, NULL, &o->rate_limits, 0},
        {"--verbose", NULL, "a line on standard error for each request", NULL, NULL, &o->verbose,
         0},
        {"--host", "ADDRESS", "127.0.0.1 or localhost, nothing else", &o->host, NULL, NULL, 0},
        {"--memory-mb", "MB", "the store's memory, but for the data of one without a\n"
         "file (64)", NULL, &o->memory_mb, NULL, 1024 * 1024},
        {"--connections", "N", "at most so many at a time (4096)", NULL, &o->connections, NULL,
         1000000},
        {"--request-ms", "MS", "a request must come whole in this time (30000)", NULL,
         &o->request_ms, NULL, 86400000},
        {"--answer-ms", "MS", "an answer must be taken in this time (30000)", NULL,
         &o->answer_ms, NULL, 86400000},
        {"--idle-ms", "MS", "a connection may wait so long for a request (300000)", NULL,
         &o->idle_ms, NULL, 86400000},
        {"--held-mb", "MB", "all connections together may hold so much (256)", NULL,
         &o->held_mb, NULL, 1024 * 1024},
        {"--help", NULL, "this", NULL, NULL, &o->help, 0},
    };
    memcpy(list, all, sizeof all);
}

static void print_help(const option *list)
{
    const char *p;
    char left[40];
    int i;
    puts("server - a DynamoDB endpoint on 127.0.0.1\n\nusage: server [OPTION ...]\n");
    for (i = 0; i < OPTION_COUNT; ++i) {
        snprintf(left, sizeof left, "%s %s", list[i].name, list[i].value ? list[i].value : "");
        printf("  %-20s ", left);
        for (p = list[i].help; *p; ++p) {
            putchar(*p);
            if (*p == '\n')
                printf("%23s", "");
        }
        putchar('\n');
    }
    puts("\nIt prints \"listening on 127.0.0.1:PORT\" when it is ready. SIGTERM or SIGINT end\n"
         "it: it finishes its answers, syncs, and exits with 0.");
}

static int misused(const char *name, const char *what)
{
    fprintf(stderr, "server: %s %s (see --help)\n", name, what);
    return USAGE;
}

static int set_number(const option *o, const char *text)
{
    uint64_t number = 0;
    const char *p;
    for (p = text; *p >= '0' && *p <= '9' && number <= o->max; ++p)
        number = number * 10 + (uint64_t)(*p - '0');
    if (p == text || *p || number > o->max) {
        fprintf(stderr, "server: %s takes a number up to %" PRIu64 ", not \"%s\"\n", o->name,
                o->max, text);
        return USAGE;
    }
    *o->number = number;
    return DONE;
}

static int set_durability(options *o)
{
    static const char *const names[] = {"synced", "os", "buffered"};
    static const dynb_durability levels[] = {DYNB_SYNCED, DYNB_TO_OS, DYNB_BUFFERED};
    int i;
    for (i = 0; i < 3 && strcmp(o->durability, names[i]) != 0; ++i)
        continue;
    if (i == 3)
        return misused("--durability", "is synced, os or buffered");
    o->level = levels[i];
    return DONE;
}

static int read_options(options *o, const option *list, int argc, char **argv)
{
    int i, k, rc;
    for (i = 1; i < argc; ++i) {
        for (k = 0; k < OPTION_COUNT && strcmp(argv[i], list[k].name) != 0; ++k)
            continue;
        if (k == OPTION_COUNT)
            return misused(argv[i], "is no option");
        if (list[k].flag) {
            *list[k].flag = 1;
            continue;
        }
        if (++i == argc)
            return misused(list[k].name, "needs a value");
        if (list[k].text)
            *list[k].text = argv[i];
        else if ((rc = set_number(&list[k], argv[i])) != DONE)
            return rc;
    }
    if (strcmp(o->host, "127.0.0.1") != 0 && strcmp(o->host, "localhost") != 0)
        return misused("--host", "is 127.0.0.1 or localhost: the server believes every credential, "
                                 "so it listens where only this machine can reach it");
    return set_durability(o);
}

/* ------------------------------------------------------------ main -- */

static int complain(const char *what, const char *why)
{
    fprintf(stderr, "server: %s: %s\n", what, why);
    return FAILED;
}

/* The rates of AWS, a second. */
static void limit_rates(dynb_config *config)
{
    config->create_backup_per_second = 50;
    config->describe_backup_per_second = 10;
    config->list_backups_per_second = 5;
    config->delete_backup_per_second = 10;
    config->restore_table_per_second = 10;
    config->describe_continuous_backups_per_second = 10;
}

static int open_store(server *s)
{
    const options *o = &s->options;
    service *v = &s->service;
    dynb_config config;
    memset(&config, 0, sizeof config);
    config.create_backup_per_second = DYNB_UNLIMITED;
    if (o->rate_limits)
        limit_rates(&config);
    config.durability = o->db ? o->level : DYNB_BUFFERED; /* memory survives nothing */
    config.memory_bytes = o->memory_mb << 20;
    config.log_segment_bytes = o->db ? 0 : 262144; /* an idle server is to be small */
    config.account_id = o->account;
    config.region = o->region;
    config.control_plane_delay_ms = (uint32_t)o->delay_ms;
    config.backup_delay_ms = (uint32_t)o->delay_ms;
#if !defined(DYNBACKUP_PTHREADS)
    config.manual_work = 1; /* the loop builds, and answers first */
#endif
    if (dynb_open(&v->db, o->db, &config, &v->err) != DYNB_OK)
        return complain("cannot open the store", v->err.message);
    v->region = o->region ? o->region : "us-east-1";
    v->random = clock_us() ^ (uint64_t)time(NULL) << 32 ^ (uint64_t)getpid() << 20;
    crc_prepare(v->crc);
    s->has_work = 1;
    return DONE;
}

/* As many files as the system lets us have. */
static void raise_file_limit(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < limit.rlim_max) {
        limit.rlim_cur = limit.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &limit);
    }
}

static int start_listening(server *s)
{
    struct sockaddr_in address;
    socklen_t size = sizeof address;
    char what[64];
    int on = 1;
    memset(&address, 0, sizeof address);
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons((uint16_t)s->options.port);
    snprintf(what, sizeof what, "cannot listen on 127.0.0.1:%u", (unsigned)s->options.port);
    s->listener = socket(AF_INET, SOCK_STREAM, 0);
    if (s->listener < 0)
        return complain(what, strerror(errno));
    (void)setsockopt(s->listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (!set_flags(s->listener) ||
        bind(s->listener, (struct sockaddr *)&address, sizeof address) != 0 ||
        listen(s->listener, 1024) != 0 ||
        getsockname(s->listener, (struct sockaddr *)&address, &size) != 0)
        return complain(what, strerror(errno));
    set_accepting(s, 1);
    if (!s->is_accepting)
        return complain(what, strerror(errno));
    printf("listening on 127.0.0.1:%u\n", (unsigned)ntohs(address.sin_port));
    return fflush(stdout) ? complain("cannot write standard output", strerror(errno)) : DONE;
}

static int close_store(server *s)
{
    service *v = &s->service;
    int rc = DONE;
    if (!v->db)
        return DONE;
    if (dynb_sync(v->db, &v->err) != DYNB_OK)
        rc = complain("cannot sync", v->err.message);
    if (dynb_close(v->db, &v->err) != DYNB_OK && rc == DONE)
        rc = complain("cannot close the store", v->err.message);
    return rc;
}

static int run(server *s)
{
    int rc;
    s->idle.limit_ms = s->options.idle_ms;
    s->coming.limit_ms = s->options.request_ms;
    s->taking.limit_ms = s->options.answer_ms;
    s->now_ms = clock_us() / 1000;
    s->listener = -1;
    raise_file_limit();
    if (!poller_open(&s->poller))
        return complain("cannot wait for sockets", strerror(errno));
    rc = open_store(s);
    if (rc == DONE && !catch_signals(s))
        rc = complain("cannot catch signals", strerror(errno));
    if (rc == DONE)
        rc = start_listening(s);
    if (rc == DONE) {
        while (!s->stopping)
            turn(s);
        finish(s);
    }
    if (close_store(s) != DONE && rc == DONE)
        rc = FAILED;
    service_free(&s->service);
    poller_close(&s->poller);
    return rc;
}

/* All of the program but its name. */
static int server_main(int argc, char **argv)
{
    server *s = (server *)calloc(1, sizeof *s);
    option list[OPTION_COUNT];
    options *o;
    int rc;
    if (!s)
        return complain("cannot start", "no memory");
    o = &s->options;
    o->host = "127.0.0.1";
    o->port = 8000;
    o->durability = "os";
    o->memory_mb = 64;
    o->connections = 4096;
    o->request_ms = o->answer_ms = 30000;
    o->idle_ms = 300000;
    o->held_mb = 256;
    list_options(o, list);
    rc = read_options(o, list, argc, argv);
    if (rc == DONE && o->help)
        print_help(list);
    else if (rc == DONE)
        rc = run(s);
    free(s);
    return rc;
}
#else
static int server_main(int argc, char **argv)
{
    (void)argc;
    (void)argv;
    fprintf(stderr, "server: this example needs the sockets of POSIX\n");
    return 1;
}
#endif

#if !defined(SERVER_NO_MAIN)
int main(int argc, char **argv)
{
    return server_main(argc, argv);
}
#endif
