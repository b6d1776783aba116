/* server.h - examples/server.c as a child process, and a client that speaks HTTP to
 * it. Each server runs the program's own main with --port 0 and is ended by its
 * id. For programs on systems with POSIX sockets; include it first. */
#ifndef SERVER_H
#define SERVER_H

#if defined(__APPLE__)
#define _DARWIN_C_SOURCE
#endif
#define SERVER_NO_MAIN
#include "../examples/server.c"

#include <sys/time.h>
#include <sys/wait.h>

#include "kit.h"

#define SECONDS_MAX 60 /* a client waits so long for a server that hangs */

typedef struct process {
    pid_t id;
    int port;
    int said; /* standard output and standard error */
} process;

/* ------------------------------------------------------- processes -- */

/* Runs the program with the words of `arguments`. */
static process launch(const char *arguments)
{
    static char words[420];
    char *argv[32];
    int argc = 0, ends[2];
    process p;
    char *word;
    memset(&p, 0, sizeof p);
    snprintf(words, sizeof words, "server %s", arguments);
    for (word = strtok(words, " "); word && argc < 31; word = strtok(NULL, " "))
        argv[argc++] = word;
    argv[argc] = NULL;
    CHECK(pipe(ends) == 0);
    fflush(stdout);
    p.id = fork();
    if (p.id == 0) {
        close(ends[0]);
        dup2(ends[1], 1);
        dup2(ends[1], 2);
        exit(server_main(argc, argv));
    }
    close(ends[1]);
    p.said = ends[0];
    return p;
}

/* All that the process says until its end, or until a line is whole. */
static void listen_to(const process *p, char *text, size_t size, int one_line)
{
    size_t at = 0;
    while (at + 1 < size && read(p->said, text + at, 1) == 1)
        if (text[at++] == '\n' && one_line)
            break;
    text[at] = 0;
}

static process start(const char *arguments)
{
    char all[400], text[200];
    unsigned port = 0;
    process p;
    snprintf(all, sizeof all, "--port 0 %s", arguments);
    p = launch(all);
    listen_to(&p, text, sizeof text, 1);
    if (sscanf(text, "listening on 127.0.0.1:%u\n", &port) != 1)
        printf("said: %s\n", text);
    CHECK(port != 0);
    p.port = (int)port;
    return p;
}

/* Waits for the end; returns the exit code, or -1. */
static int ended(process *p)
{
    int status = 0;
    CHECK(waitpid(p->id, &status, 0) == p->id);
    close(p->said);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/* Ends a server that has nothing left to do; what it said besides is shown. */
static void stop(process *p)
{
    char said[2000];
    kill(p->id, SIGTERM);
    listen_to(p, said, sizeof said, 0);
    CHECK_TEXT(said, "");
    CHECK_INT(ended(p), 0);
}

/* --------------------------------------------------------- clients -- */

static int connect_to(const process *p)
{
    struct sockaddr_in address;
    struct timeval patience;
    int fd = socket(AF_INET, SOCK_STREAM, 0), on = 1;
    memset(&address, 0, sizeof address);
    memset(&patience, 0, sizeof patience);
    patience.tv_sec = SECONDS_MAX;
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons((uint16_t)p->port);
    CHECK(fd >= 0 && connect(fd, (struct sockaddr *)&address, sizeof address) == 0);
    (void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    (void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    return fd;
}

/* Sends all of it; what the server refuses to take is lost. */
static void send_bytes(int fd, const char *bytes, size_t size)
{
    ssize_t sent = 1;
    for (; size && sent > 0; size -= (size_t)sent, bytes += sent) {
        sent = send(fd, bytes, size, 0);
        if (sent < 0)
            return;
    }
}

static void send_text(int fd, const char *text)
{
    send_bytes(fd, text, strlen(text));
}

/* An answer; status 0: the connection ended before it, -1: in the middle. */
typedef struct reply {
    int status;
    size_t size;
    char head[1000];
    char body[70000]; /* as much of it as there is room */
} reply;

static reply got;

static int read_exactly(int fd, char *to, size_t size)
{
    ssize_t part;
    for (; size; size -= (size_t)part, to += part) {
        part = recv(fd, to, size, 0);
        if (part <= 0)
            return 0;
    }
    return 1;
}

/* Takes the head of an answer and nothing behind it. Returns 0 when it has not come
 * whole before the end; then got.head holds what came. */
static int read_head(int fd)
{
    size_t at = 0, part;
    char *end = NULL;
    while (!end && at + 1 < sizeof got.head) {
        ssize_t seen = recv(fd, got.head + at, sizeof got.head - 1 - at, MSG_PEEK);
        if (seen <= 0)
            return 0;
        got.head[at + (size_t)seen] = 0;
        end = strstr(got.head, "\r\n\r\n");
        part = end ? (size_t)(end + 4 - got.head) - at : (size_t)seen;
        if (!read_exactly(fd, got.head + at, part))
            return 0;
        at += part;
        got.head[at] = 0;
    }
    return end != NULL;
}

static int read_reply(int fd)
{
    static char rest[65536];
    size_t left, part;
    const char *length;
    memset(&got, 0, offsetof(reply, body) + 1);
    if (!read_head(fd))
        return got.status = got.head[0] ? -1 : 0;
    if (sscanf(got.head, "HTTP/1.1 %d ", &got.status) != 1)
        return got.status = -1;
    length = strstr(got.head, "\r\nContent-Length: ");
    got.size = length ? (size_t)strtoul(length + 18, NULL, 10) : 0;
    part = got.size < sizeof got.body ? got.size : sizeof got.body - 1;
    if (!read_exactly(fd, got.body, part))
        return got.status = -1;
    got.body[part] = 0;
    for (left = got.size - part; left; left -= part) {
        part = left < sizeof rest ? left : sizeof rest;
        if (!read_exactly(fd, rest, part))
            return got.status = -1;
    }
    return got.status;
}

#define SIGNED                                                                                \
    "Content-Type: application/x-amz-json-1.0\r\nX-Amz-Date: 20260101T000000Z\r\n"             \
    "Authorization: AWS4-HMAC-SHA256 Credential=a/b/c/d/e, SignedHeaders=h, Signature=0\r\n"

#endif
