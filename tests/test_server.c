/* test_server.c - examples/server.c as a process: many clients, good and bad, on
 * real sockets; signals; what is there after kill -9.
 *
 * Each server is a child that runs the program's own main with --port 0. What
 * bytes mean is tested by unit_server.c; here is what time, other clients and
 * the end of processes do to them. Nothing sleeps: where a limit of time has to
 * pass, it is set to some milliseconds and the test waits for the server to act. */
#if !defined(__unix__) && !defined(__APPLE__)
#include <stdio.h>

int main(void)
{
    printf("test_server: skipped: no sockets on this system\n");
    return 77;
}
#else

#include "server.h"

#include <sys/stat.h>

static char directory[256];
static char path[300];

/* The request for an operation; valid until the next. */
static const char *make(const char *operation, const char *json)
{
    static char text[8000];
    snprintf(text, sizeof text,
             "POST / HTTP/1.1\r\nHost: x\r\n" SIGNED
             "X-Amz-Target: DynamoDB_20120810.%s\r\nContent-Length: %u\r\n\r\n%s",
             operation, (unsigned)strlen(json), json);
    return text;
}

static int ask(int fd, const char *operation, const char *json)
{
    send_text(fd, make(operation, json));
    return read_reply(fd);
}

#define HEALTH "GET / HTTP/1.1\r\n\r\n"
#define LIST_TARGET "X-Amz-Target: DynamoDB_20120810.ListTables\r\n"

static int is_healthy(int fd)
{
    send_text(fd, HEALTH);
    return read_reply(fd) == 200 && !strncmp(got.body, "healthy: ", 9);
}

static const char create_table[] =
    "{\"TableName\":\"Wire\",\"BillingMode\":\"PAY_PER_REQUEST\","
    "\"AttributeDefinitions\":[{\"AttributeName\":\"pk\",\"AttributeType\":\"S\"}],"
    "\"KeySchema\":[{\"AttributeName\":\"pk\",\"KeyType\":\"HASH\"}]}";

static int put(int fd, unsigned id, const char *value)
{
    char json[5000];
    snprintf(json, sizeof json,
             "{\"TableName\":\"Wire\",\"Item\":{\"pk\":{\"S\":\"k%u\"},\"v\":{\"S\":\"%s\"}}}", id,
             value);
    return ask(fd, "PutItem", json);
}

static const char *get_request(unsigned id)
{
    char json[200];
    snprintf(json, sizeof json, "{\"TableName\":\"Wire\",\"Key\":{\"pk\":{\"S\":\"k%u\"}}}", id);
    return make("GetItem", json);
}

/* ----------------------------------------------------------- tests -- */

static void test_keep_alive(void)
{
    process p = start("");
    int fd = connect_to(&p), i;
    for (i = 0; i < 3; ++i) {
        CHECK(is_healthy(fd));
        CHECK_INT(ask(fd, "ListTables", "{}"), 200);
        CHECK_TEXT(got.body, "{\"TableNames\":[]}");
        CHECK_INT(ask(fd, "ListTables", "{"), 400); /* an error does not end it */
    }
    send_text(fd, "GET / HTTP/1.1\r\nConnection: close\r\n\r\n" HEALTH);
    CHECK_INT(read_reply(fd), 200);
    CHECK(strstr(got.head, "Connection: close") != NULL);
    CHECK_INT(read_reply(fd), 0); /* the second is not answered */
    close(fd);
    fd = connect_to(&p);
    send_text(fd, "GET / HTTP/1.0\r\n\r\n");
    CHECK_INT(read_reply(fd), 200);
    CHECK_INT(read_reply(fd), 0);
    close(fd);
    fd = connect_to(&p); /* one that says all it has to say, then listens */
    send_text(fd, HEALTH);
    shutdown(fd, SHUT_WR);
    CHECK_INT(read_reply(fd), 200);
    CHECK_INT(read_reply(fd), 0);
    close(fd);
    stop(&p);
}

/* Requests in one write, answers in their order. */
static void test_pipeline(void)
{
    static char batch[200000];
    process p = start("");
    int fd = connect_to(&p);
    unsigned i;
    char value[20];
    CHECK_INT(ask(fd, "CreateTable", create_table), 200);
    for (batch[0] = 0, i = 0; i < 100; ++i) {
        snprintf(value, sizeof value, "value-%u.", i);
        CHECK_INT(put(fd, i, value), 200);
        strcat(batch, get_request(i));
        if (i % 10 == 3)
            strcat(batch, HEALTH);
        if (i % 10 == 7)
            strcat(batch, "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n" SIGNED LIST_TARGET
                          "\r\n1\r\n{\r\n1\r\n}\r\n0\r\n\r\n");
    }
    send_text(fd, batch);
    for (i = 0; i < 100; ++i) {
        CHECK_INT(read_reply(fd), 200);
        snprintf(value, sizeof value, "value-%u.", i);
        CHECK(strstr(got.body, value) != NULL);
        if (i % 10 == 3)
            CHECK(read_reply(fd) == 200 && got.body[0] == 'h');
        if (i % 10 == 7) {
            CHECK_INT(read_reply(fd), 200);
            CHECK_TEXT(got.body, "{\"TableNames\":[\"Wire\"]}");
        }
    }
    close(fd);
    stop(&p);
}

static void test_byte_by_byte(void)
{
    static const char wire[] =
        "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n" SIGNED LIST_TARGET
        "\r\n1;x=y\r\n{\r\n1\r\n}\r\n0\r\nTrailer: x\r\n\r\n";
    process p = start("");
    int fd = connect_to(&p), round;
    size_t i;
    for (round = 0; round < 2; ++round) {
        for (i = 0; i < sizeof wire - 1; ++i)
            send_bytes(fd, wire + i, 1);
        CHECK_INT(read_reply(fd), 200);
        CHECK_TEXT(got.body, "{\"TableNames\":[]}");
    }
    close(fd);
    stop(&p);
}

/* A body of `size` bytes, JSON or not cared about. */
static char *large_body(size_t size)
{
    char *body = (char *)malloc(size + 1);
    CHECK(body != NULL);
    memset(body, ' ', size);
    body[0] = '{';
    body[size - 1] = '}';
    return body;
}

/* The largest body, whole and in chunks; one byte more. */
static void test_large(void)
{
    static const char head[] = "POST / HTTP/1.1\r\n" SIGNED LIST_TARGET;
    char *body = large_body(BODY_MAX + 1);
    process p = start("");
    int fd = connect_to(&p), round;
    size_t at;
    body[BODY_MAX - 1] = '}';
    for (round = 0; round < 2; ++round) {
        send_text(fd, head);
        send_text(fd, "Content-Length: 16777216\r\n\r\n");
        send_bytes(fd, body, BODY_MAX);
        CHECK_INT(read_reply(fd), 200);
        send_text(fd, head);
        send_text(fd, "Transfer-Encoding: chunked\r\n\r\n");
        for (at = 0; at < BODY_MAX; at += 0x100000) {
            send_text(fd, "100000\r\n");
            send_bytes(fd, body + at, 0x100000);
            send_text(fd, "\r\n");
        }
        send_text(fd, "0\r\n\r\n");
        CHECK_INT(read_reply(fd), 200);
    }
    send_text(fd, head); /* expects to be asked for the body */
    send_text(fd, "Content-Length: 2\r\nExpect: 100-continue\r\n\r\n");
    CHECK_INT(read_reply(fd), 100);
    send_text(fd, "{}");
    CHECK_INT(read_reply(fd), 200);

    /* Refused while the client goes on sending, and it can read that. */
    send_text(fd, "POST / HTTP/1.1\r\nContent-Length: 16777217\r\n\r\n");
    send_bytes(fd, body, BODY_MAX + 1);
    CHECK_INT(read_reply(fd), 413);
    CHECK_INT(read_reply(fd), 0);
    close(fd);
    fd = connect_to(&p);
    send_text(fd, "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nffffff\r\n");
    send_bytes(fd, body, 0xffffff);
    send_text(fd, "\r\n2\r\nxx");
    CHECK_INT(read_reply(fd), 413);
    CHECK_INT(read_reply(fd), 0);
    close(fd);
    fd = connect_to(&p);
    send_text(fd, "POST / HTTP/1.1\r\nX: ");
    send_bytes(fd, body, HEAD_MAX);
    CHECK_INT(read_reply(fd), 400);
    CHECK_INT(read_reply(fd), 0);
    close(fd);
    free(body);
    stop(&p);
}

/* Closes at once, with what was sent and not read. */
static void reset(int fd)
{
    struct linger linger;
    linger.l_onoff = 1;
    linger.l_linger = 0;
    (void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof linger);
    close(fd);
}

static void test_broken_clients(void)
{
    static const char *const pieces[] = {
        "", "P", "POST / HTTP/1.1\r\nContent-Length: 100\r\n\r\n{", HEALTH, HEALTH HEALTH "GET",
        "nonsense\r\n", "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab"};
    size_t i, count = sizeof pieces / sizeof pieces[0];
    process p = start("");
    int good = connect_to(&p), held[7], round;
    for (i = 0; i < count; ++i) { /* these stay open, and say nothing more */
        held[i] = connect_to(&p);
        send_text(held[i], pieces[i]);
    }
    for (round = 0; round < 20; ++round)
        for (i = 0; i < count; ++i) {
            int fd = connect_to(&p);
            send_text(fd, pieces[i]);
            if (round % 3 == 0)
                reset(fd);
            else
                close(fd);
            CHECK(is_healthy(good));
        }
    for (i = 0; i < count; ++i)
        close(held[i]);
    CHECK(is_healthy(good));
    close(good);
    stop(&p);
}

/* A client that asks and asks and takes no answer: the server stops asking it,
 * serves the others, and goes on when answers are taken. */
static void test_answers_not_taken(void)
{
    static char value[4001];
    char request_text[1000];
    process p = start("");
    int fd = connect_to(&p), other = connect_to(&p), room;
    unsigned asked = 0, whole;
    size_t length, at;
    CHECK_INT(ask(fd, "CreateTable", create_table), 200);
    memset(value, 'v', sizeof value - 1);
    CHECK_INT(put(fd, 1, value), 200);
    snprintf(request_text, sizeof request_text, "%s", get_request(1));
    length = strlen(request_text);
    CHECK(set_flags(fd));
    for (room = 1, at = 0; room && asked < 1000000; asked += at == length, at %= length) {
        ssize_t sent = send(fd, request_text + at, length - at, 0);
        room = sent >= 0;
        at += room ? (size_t)sent : 0;
    }
    CHECK(asked > 100 && asked < 1000000); /* it was stopped */
    CHECK(is_healthy(other));
    CHECK(fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) & ~O_NONBLOCK) == 0);
    for (whole = 0; whole < asked && read_reply(fd) == 200; ++whole)
        CHECK(got.size > 4000);
    CHECK_INT(whole, asked);
    send_text(fd, request_text + at); /* the rest of the last */
    CHECK_INT(read_reply(fd), 200);
    CHECK(is_healthy(fd));
    close(fd);
    close(other);
    stop(&p);
}

/* ------------------------------------------------------- one turn each --
 *
 * The loop's turns, taken by hand in this process on pairs of sockets: what is
 * counted are answers, not time. */

enum { PIPELINED = 500, TURN_MAX = 16 };

static server *begin_turns(void)
{
    server *here = (server *)calloc(1, sizeof *here);
    CHECK(here != NULL && poller_open(&here->poller));
    here->options.durability = "os";
    here->options.memory_mb = 16;
    here->options.connections = 200;
    here->options.held_mb = 1;
    here->idle.limit_ms = here->coming.limit_ms = here->taking.limit_ms = 60000;
    here->listener = -1;
    here->now_ms = clock_us() / 1000;
    CHECK_INT(open_store(here), DONE);
    return here;
}

static int connect_here(server *here)
{
    int ends[2];
    CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, ends) == 0);
    add_connection_of(here, ends[0]);
    CHECK(set_flags(ends[1]));
    return ends[1];
}

/* How many answers have come since the last look. Each has the mark once; it is a
 * single byte, for what comes may end anywhere. */
static unsigned count_answers(int fd, char mark)
{
    static char bytes[1 << 20];
    unsigned count = 0;
    ssize_t size = recv(fd, bytes, sizeof bytes, 0), i;
    for (i = 0; i < size; ++i)
        count += bytes[i] == mark;
    return count;
}
#define HEALTH_MARK 'w' /* of "amazonaws" */

static void end_turns(server *here)
{
    finish(here);
    CHECK_INT(here->held_bytes, 0);
    CHECK_INT(close_store(here), DONE);
    service_free(&here->service);
    poller_close(&here->poller);
    free(here);
}

/* A client that has sent hundreds of requests keeps another one waiting for as
 * many answers as belong to one turn, and all of its own come. */
static void test_turn_requests(void)
{
    static char batch[PIPELINED * sizeof HEALTH];
    server *here = begin_turns();
    int greedy = connect_here(here), other = connect_here(here);
    unsigned i, answered = 0, before, waited = 0;
    for (i = 0; i < PIPELINED; ++i)
        memcpy(batch + i * (sizeof HEALTH - 1), HEALTH, sizeof HEALTH - 1);
    CHECK(send(greedy, batch, PIPELINED * (sizeof HEALTH - 1), 0) > 0);
    while (answered < PIPELINED) {
        before = answered;
        turn(here);
        answered += count_answers(greedy, HEALTH_MARK);
        CHECK(answered > before && answered - before <= TURN_MAX);
        if (answered == PIPELINED)
            break;
        send_text(other, HEALTH);
        for (waited = 0; !count_answers(other, HEALTH_MARK); waited += answered - before) {
            before = answered;
            turn(here);
            answered += count_answers(greedy, HEALTH_MARK);
        }
        CHECK(waited <= TURN_MAX);
    }
    CHECK_INT(answered, PIPELINED);
    CHECK(here->ready.first == NULL && here->idle.first != NULL);
    end_turns(here);
    close(greedy);
    close(other);
}

/* However many such clients there are, with more to come than was read, another one
 * is answered in the turn after it asked. */
static void test_turn_many(void)
{
    enum { GREEDY = 150, EACH = 4200 };
    static char batch[EACH * sizeof HEALTH];
    static int fds[GREEDY];
    server *here = begin_turns();
    int other = connect_here(here), i, turns;
    here->options.held_mb = 32;
    for (i = 0; i < EACH; ++i)
        memcpy(batch + i * (int)(sizeof HEALTH - 1), HEALTH, sizeof HEALTH - 1);
    for (i = 0; i < GREEDY; ++i) {
        fds[i] = connect_here(here);
        CHECK(send(fds[i], batch, EACH * (sizeof HEALTH - 1), 0) > (ssize_t)READ_SIZE);
    }
    for (turns = 0; turns < 5; ++turns) /* all have begun */
        turn(here);
    for (turns = 0; turns < 10; ++turns) {
        CHECK(here->ready.first != NULL);
        send_text(other, HEALTH);
        turn(here);
        CHECK_INT(count_answers(other, HEALTH_MARK), 1);
    }
    for (i = 0; i < GREEDY; ++i) {
        CHECK(count_answers(fds[i], HEALTH_MARK) > 10);
        close(fds[i]);
    }
    end_turns(here);
    close(other);
}

/* Large answers: a turn is over when they fill a write. Who takes none is not
 * answered further, and holds what one turn made; then all come. */
static void test_turn_bytes(void)
{
    static char batch[200000], value[4001];
    server *here = begin_turns();
    int greedy = connect_here(here), other = connect_here(here), i;
    unsigned answered, turns;
    uint64_t most;
    memset(value, 'v', sizeof value - 1);
    value[0] = '~'; /* the mark */
    send_text(other, make("CreateTable", create_table));
    turn(here);
    CHECK(count_answers(other, '}') > 1);
    snprintf(batch, sizeof batch,
             "{\"TableName\":\"Wire\",\"Item\":{\"pk\":{\"S\":\"k1\"},\"v\":{\"S\":\"%s\"}}}",
             value);
    send_text(other, make("PutItem", batch));
    turn(here);
    CHECK_INT(count_answers(other, '}'), 1);
    for (batch[0] = 0, i = 0; i < 130; ++i)
        strcat(batch, get_request(1));
    CHECK(send(greedy, batch, strlen(batch), 0) == (ssize_t)strlen(batch));
    for (turns = 0, most = 0; turns < 300; ++turns) { /* nothing is taken */
        send_text(other, HEALTH);
        turn(here);
        CHECK_INT(count_answers(other, HEALTH_MARK), 1);
        most = here->held_bytes > most ? here->held_bytes : most;
    }
    CHECK(here->taking.first != NULL && here->ready.first == NULL);
    CHECK(most < 4 * (READ_SIZE + FLUSH_SIZE));
    answered = count_answers(greedy, '~');
    while (answered < 130) {
        turn(here);
        i = (int)count_answers(greedy, '~');
        CHECK(i <= 2 * TURN_MAX); /* what was left of one, and one */
        answered += (unsigned)i;
    }
    CHECK_INT(answered, 130);
    end_turns(here);
    close(greedy);
    close(other);
}

/* Asked to end while much is still to be answered: whole answers, then the end. */
static void test_turn_finish(void)
{
    static char batch[PIPELINED * sizeof HEALTH];
    server *here = begin_turns();
    int greedy = connect_here(here);
    unsigned i;
    for (i = 0; i < PIPELINED; ++i)
        memcpy(batch + i * (sizeof HEALTH - 1), HEALTH, sizeof HEALTH - 1);
    CHECK(send(greedy, batch, PIPELINED * (sizeof HEALTH - 1), 0) > 0);
    turn(here);
    CHECK(here->ready.first != NULL);
    here->stopping = 1;
    shutdown(greedy, SHUT_WR);
    CHECK(pipe(here->wake) == 0);
    finish(here);
    i = count_answers(greedy, HEALTH_MARK);
    CHECK(i > 1 && i <= TURN_MAX + 1); /* the last of them says that it is */
    end_turns(here);
    close(greedy);
}

#if !defined(DYNBACKUP_PTHREADS)
/* When the loop builds: not in each gap between two requests, but when it has been
 * quiet for a while, and sometimes though it has not. */
static void test_when_to_work(void)
{
    server *here = begin_turns();
    here->has_work = 1;
    here->asked_ms = here->now_ms = 1000;
    here->worked_ms = 1001 - WORK_BUSY_MS;
    work(here);
    CHECK_INT(here->worked_ms, 1001 - WORK_BUSY_MS);
    CHECK_INT(timeout_of(here), (int)WORK_QUIET_MS);
    here->now_ms = 1001;
    work(here);
    CHECK_INT(here->worked_ms, 1001);
    here->has_work = 1;
    here->now_ms = 999 + WORK_QUIET_MS;
    work(here);
    CHECK_INT(here->worked_ms, 1001);
    here->worked_ms = 999;
    here->asked_bytes = WORK_ASKED - 1;
    work(here);
    CHECK_INT(here->worked_ms, 999);
    here->asked_bytes = WORK_ASKED; /* writers are helped in proportion */
    work(here);
    CHECK_INT(here->worked_ms, 999 + WORK_QUIET_MS);
    CHECK_INT(here->asked_bytes, 0);
    here->has_work = 1;
    here->now_ms = 1000 + WORK_QUIET_MS;
    CHECK_INT(timeout_of(here), 0);
    while (here->has_work)
        work(here);
    CHECK_INT(here->worked_ms, 1000 + WORK_QUIET_MS);
    CHECK_INT(timeout_of(here), 1000);
    end_turns(here);
}

/* Asks and takes a turn; what is answered is valid until the next. */
static const char *ask_here(server *here, int fd, const char *operation, const char *json)
{
    static char said[8000];
    ssize_t size;
    send_text(fd, make(operation, json));
    turn(here);
    size = recv(fd, said, sizeof said - 1, 0);
    CHECK(size > 0);
    said[size > 0 ? size : 0] = 0;
    return said;
}

/* A small backup is there for the next request; a large one is built though one
 * client asks for something all the time. */
static void test_work_when_busy(void)
{
    static char said[8000];
    char arn[200] = "", json[5000], value[4001];
    server *here = begin_turns();
    int fd = connect_here(here), other = connect_here(here), i, round;
    memset(value, 'v', sizeof value - 1);
    value[sizeof value - 1] = 0;
    (void)ask_here(here, fd, "CreateTable", create_table);
    for (round = 0; round < 2; ++round) {
        for (i = 0; i < (round ? 500 : 10); ++i) {
            snprintf(json, sizeof json,
                     "{\"TableName\":\"Wire\",\"Item\":{\"pk\":{\"S\":\"k%d\"},"
                     "\"v\":{\"S\":\"%s\"}}}",
                     i, value);
            (void)ask_here(here, fd, "PutItem", json);
        }
        kit_copy(said, sizeof said,
                 ask_here(here, fd, "CreateBackup",
                          "{\"TableName\":\"Wire\",\"BackupName\":\"b-1\"}"));
        CHECK(strstr(said, "\"BackupArn\":\"") != NULL);
        sscanf(strstr(said, "\"BackupArn\":\""), "\"BackupArn\":\"%199[^\"]", arn);
        snprintf(json, sizeof json, "{\"BackupArn\":\"%s\"}", arn);
        kit_copy(said, sizeof said, ask_here(here, fd, "DescribeBackup", json));
        CHECK(round == 1 || strstr(said, "AVAILABLE") != NULL);
    }
    for (i = 0; i < 10000000 && !strstr(said, "AVAILABLE"); ++i) {
        send_text(other, HEALTH HEALTH);
        kit_copy(said, sizeof said, ask_here(here, fd, "DescribeBackup", json));
        (void)count_answers(other, HEALTH_MARK);
    }
    CHECK(i < 10000000);
    end_turns(here);
    close(fd);
    close(other);
}
#endif

/* Each limit of time, with the others out of reach. */
static void test_times(void)
{
    static const char *const halves[] = {
        "POST", "POST / HTTP/1.1\r\nX: y\r\n", "POST / HTTP/1.1\r\nContent-Length: 9\r\n\r\n{",
        "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1", HEALTH "GET / HT"};
    process p = start("--request-ms 40");
    int idle = connect_to(&p), fd;
    size_t i;
    CHECK(is_healthy(idle));
    for (i = 0; i < 5; ++i) {
        fd = connect_to(&p);
        send_text(fd, halves[i]);
        if (i == 4)
            CHECK_INT(read_reply(fd), 200);
        CHECK_INT(read_reply(fd), 0); /* cut */
        close(fd);
    }
    fd = connect_to(&p); /* endless headers, quickly: cut by their size */
    send_text(fd, "GET / HTTP/1.1\r\n");
    for (i = 0; i < 3000; ++i)
        send_text(fd, "X: yyyyyyyyyyyyyyyyyy\r\n");
    CHECK(read_reply(fd) == 400 || got.status == 0);
    close(fd);
    CHECK(is_healthy(idle)); /* time for a request does not run between two */
    close(idle);
    stop(&p);

    p = start("--idle-ms 40");
    fd = connect_to(&p);
    CHECK_INT(read_reply(fd), 0);
    close(fd);
    stop(&p);
}

static void test_answer_time(void)
{
    static char value[4001];
    process p = start("--answer-ms 40");
    int fd = connect_to(&p), other = connect_to(&p), i;
    CHECK_INT(ask(fd, "CreateTable", create_table), 200);
    memset(value, 'v', sizeof value - 1);
    CHECK_INT(put(fd, 1, value), 200);
    /* More answers than any buffer takes; sending fails when it is cut. */
    for (i = 0; i < 100000; ++i)
        if (send(fd, get_request(1), strlen(get_request(1)), 0) < 0)
            break;
    CHECK(i < 100000);
    CHECK(is_healthy(other));
    close(fd);
    close(other);
    stop(&p);
}

static void test_limits(void)
{
    process p = start("--connections 4 --held-mb 0");
    int fds[5], i;
    for (i = 0; i < 5; ++i) {
        fds[i] = connect_to(&p);
        CHECK(is_healthy(fds[i]));
    }
    CHECK_INT(read_reply(fds[0]), 0); /* who waited longest made room */
    CHECK(is_healthy(fds[1]));
    send_text(fds[1], "POST / HTTP/1.1\r\n"); /* nothing may be held */
    CHECK_INT(read_reply(fds[1]), 503);
    for (i = 0; i < 5; ++i)
        close(fds[i]);
    stop(&p);
}

static void test_many_connections(void)
{
    enum { MANY = 1000 };
    static int fds[MANY];
    struct rlimit limit;
    process p;
    int i, round;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_max < MANY + 50) {
        printf("    1,000 connections: not tried, the system lets us have fewer files\n");
        return;
    }
    raise_file_limit();
    p = start("");
    for (i = 0; i < MANY; ++i)
        fds[i] = connect_to(&p);
    for (round = 0; round < 2; ++round) {
        for (i = 0; i < MANY; ++i)
            send_text(fds[i], HEALTH);
        for (i = 0; i < MANY; ++i)
            CHECK_INT(read_reply(fds[i]), 200);
    }
    for (i = 0; i < MANY; i += 2)
        close(fds[i]);
    for (i = 1; i < MANY; i += 2)
        CHECK(is_healthy(fds[i]));
    stop(&p); /* with 500 open */
    for (i = 1; i < MANY; i += 2) {
        CHECK_INT(read_reply(fds[i]), 0);
        close(fds[i]);
    }
}

/* SIGTERM in the middle of many requests: whole answers, then the end. */
static void test_finish(void)
{
    static char batch[100000];
    static char value[4001];
    process p;
    int fd, slow, i, answers = 0;
    snprintf(path, sizeof path, "%s/finished.dynb", directory);
    {
        char arguments[400];
        snprintf(arguments, sizeof arguments, "--db %s", path);
        p = start(arguments);
    }
    fd = connect_to(&p);
    slow = connect_to(&p);
    memset(value, 'v', sizeof value - 1);
    CHECK_INT(ask(fd, "CreateTable", create_table), 200);
    CHECK_INT(put(fd, 1, value), 200);
    for (batch[0] = 0, i = 0; i < 200; ++i)
        strcat(batch, get_request(1));
    send_text(slow, batch);
    send_text(slow, batch);
    send_text(slow, "GET / HT"); /* half a request is no request */
    CHECK_INT(read_reply(slow), 200);
    send_text(fd, HEALTH);
    kill(p.id, SIGTERM);
    CHECK(read_reply(fd) == 200 || got.status == 0);
    while (read_reply(slow) == 200)
        ++answers;
    CHECK_INT(got.status, 0); /* never half an answer */
    CHECK(answers > 0);
    close(fd);
    close(slow);
    CHECK_INT(ended(&p), 0);
    {
        dynb *db;
        MUST(dynb_open(&db, path, NULL, &kit_err));
        MUST(dynb_close(db, &kit_err));
    }
    (void)remove(path);
}

/* Every write that was answered is there after kill -9. */
static void test_kill(void)
{
    uint64_t round, rounds = check_scaled(5);
    char arguments[400], id[16], value[20];
    unsigned next = 0, acknowledged = 0, i;
    snprintf(path, sizeof path, "%s/killed.dynb", directory);
    snprintf(arguments, sizeof arguments, "--db %s", path);
    for (round = 0; round < rounds; ++round) {
        process p = start(arguments);
        int fd = connect_to(&p);
        dynb *db;
        if (round == 0)
            CHECK_INT(ask(fd, "CreateTable", create_table), 200);
        for (i = 0; i < 50; ++i, ++next) {
            snprintf(value, sizeof value, "%u", next);
            CHECK_INT(put(fd, next, value), 200);
        }
        acknowledged = next;
        snprintf(value, sizeof value, "%u", next++); /* this one may come through or not */
        snprintf(arguments + 200, 150, "{\"TableName\":\"Wire\",\"Item\":{\"pk\":{\"S\":\"k%s\"}}}",
                 value);
        send_text(fd, make("PutItem", arguments + 200));
        kill(p.id, SIGKILL);
        CHECK_INT(ended(&p), -1);
        close(fd);
        MUST(dynb_open(&db, path, NULL, &kit_err));
        for (i = 0; i < acknowledged; ++i) {
            dynb_builder builder;
            dynb_result result;
            dynb_item item;
            memset(&builder, 0, sizeof builder);
            memset(&result, 0, sizeof result);
            snprintf(id, sizeof id, "k%u", i);
            dynb_builder_begin(&builder);
            dynb_add_string(&builder, "pk", id, (size_t)-1);
            MUST(dynb_builder_finish(&builder, &item, &kit_err));
            MUST(dynb_get_item(db, "Wire", item, &item, &result, &kit_err));
            CHECK(item.bytes != NULL || i % 51 == 50);
            dynb_builder_free(&builder);
            dynb_result_free(&result);
        }
        EXPECT(dynb_check(db, NULL, NULL, NULL, &kit_err), DYNB_OK);
        MUST(dynb_close(db, &kit_err));
        snprintf(arguments, sizeof arguments, "--db %s", path);
    }
    (void)remove(path);
}

/* What it says to wrong and right options, and how it ends. */
static void test_options(void)
{
    static const struct { const char *arguments; int code; const char *says; } cases[] = {
        {"--host 0.0.0.0", 2, "believes every credential"},
        {"--host ::1", 2, "127.0.0.1 or localhost"},
        {"--port", 2, "--port needs a value"},
        {"--port 65536", 2, "--port takes a number up to 65535, not \"65536\""},
        {"--port -1", 2, "not \"-1\""},
        {"--port 1x", 2, "not \"1x\""},
        {"--nonsense", 2, "--nonsense is no option"},
        {"--durability never", 2, "--durability is synced, os or buffered"},
        {"--db x --durability never", 2, "--durability is synced, os or buffered"},
        {"--db /no/such/place", 1, "cannot open the store"},
        {"--port 0 --account 12", 1, "cannot open the store"},
        {"--help", 0, "usage: server [OPTION ...]"},
    };
    char said[4000], arguments[100];
    process p, other;
    size_t i;
    for (i = 0; i < sizeof cases / sizeof cases[0]; ++i) {
        p = launch(cases[i].arguments);
        listen_to(&p, said, sizeof said, 0);
        if (!strstr(said, cases[i].says))
            printf("server %s says: %s\n", cases[i].arguments, said);
        CHECK(strstr(said, cases[i].says) != NULL);
        CHECK_INT(ended(&p), cases[i].code);
    }
    p = start("--host localhost --durability synced --region eu-west-1 --account 000000000001");
    snprintf(arguments, sizeof arguments, "--port %d", p.port);
    other = launch(arguments);
    listen_to(&other, said, sizeof said, 0);
    CHECK(strstr(said, "cannot listen on 127.0.0.1:") != NULL);
    CHECK_INT(ended(&other), 1);
    stop(&p);
}

static void test_settings(void)
{
    char said[400];
    process p = start("--region eu-west-1 --account 000000000001 --verbose --rate-limits "
                      "--delay-ms 60000");
    int fd = connect_to(&p), i, throttled = 0;
    CHECK(is_healthy(fd));
    CHECK_TEXT(got.body, "healthy: dynamodb.eu-west-1.amazonaws.com ");
    listen_to(&p, said, sizeof said, 1);
    CHECK(strncmp(said, "GET - 200, 0 bytes in, ", 23) == 0);
    CHECK_INT(ask(fd, "CreateTable", create_table), 200);
    listen_to(&p, said, sizeof said, 1);
    CHECK(strncmp(said, "POST CreateTable 200, ", 22) == 0);
    CHECK_INT(put(fd, 1, "x"), 400); /* it is being created */
    CHECK(strstr(got.body, "ResourceNotFoundException") != NULL);
    for (i = 0; !throttled && i < 1000; ++i)
        throttled += ask(fd, "ListBackups", "{}") == 400 &&
                     strstr(got.body, "#ThrottlingException\"") != NULL;
    CHECK(throttled > 0); /* contract 1.0: 5 a second */
    close(fd);
    kill(p.id, SIGTERM);
    listen_to(&p, said, sizeof said, 0);
    CHECK_INT(ended(&p), 0);
}

int main(void)
{
    const char *where = getenv("TMPDIR");
    (void)check_seed("test_server");
    signal(SIGPIPE, SIG_IGN);
    snprintf(directory, sizeof directory, "%s/dynbackup-test-XXXXXX", where ? where : "/tmp");
    if (!mkdtemp(directory)) {
        printf("test_server: no directory to work in: %s\n", directory);
        return 1;
    }
    test_keep_alive();
    test_pipeline();
    test_byte_by_byte();
    test_large();
    test_broken_clients();
    test_answers_not_taken();
    test_turn_requests();
    test_turn_many();
    test_turn_bytes();
    test_turn_finish();
#if !defined(DYNBACKUP_PTHREADS)
    test_when_to_work();
    test_work_when_busy();
#endif
    test_times();
    test_answer_time();
    test_limits();
    test_many_connections();
    test_finish();
    test_kill();
    test_options();
    test_settings();
    (void)rmdir(directory);
    return check_report("test_server");
}
#endif
