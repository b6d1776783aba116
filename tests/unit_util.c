/* unit_util.c - section 10: memory, buffers, formatting, errors, results. */
#define DYNBACKUP_IMPLEMENTATION
#define DYNBACKUP_KEEP_MACROS
#include "../dynbackup.h"
#include "check.h"

/* Counts blocks and fails when `left` allocations have been made. */
typedef struct counting {
    long blocks;
    long left;
    size_t last_old, last_new;
} counting;

static void *counting_resize(void *ctx, void *ptr, size_t old_size, size_t new_size)
{
    counting *c = (counting *)ctx;
    void *moved;
    c->last_old = old_size;
    c->last_new = new_size;
    if (!new_size) {
        c->blocks -= ptr != NULL;
        free(ptr);
        return NULL;
    }
    if (c->left-- <= 0 || new_size > (size_t)1 << 30)
        return NULL;
    moved = realloc(ptr, new_size);
    c->blocks += !ptr;
    return moved;
}

static void test_allocators(void)
{
    dynb_allocator a = {NULL, NULL};
    counting c = {0, 1, 0, 0};
    void *p = dynbi_allocate(&a, 10);
    CHECK(p != NULL);
    memset(p, 1, 10);
    p = dynbi_resize(&a, p, 10, 20);
    CHECK(p != NULL);
    dynbi_free(&a, p, 20);
    CHECK(dynbi_allocate(&a, 0) == NULL);
    dynbi_free(&a, NULL, 0);
    a.resize_fn = counting_resize;
    a.ctx = &c;
    p = dynbi_allocate(&a, 7);
    CHECK(p != NULL && c.blocks == 1 && c.last_old == 0 && c.last_new == 7);
    CHECK(dynbi_allocate(&a, 7) == NULL);
    dynbi_free(&a, p, 7);
    CHECK(c.blocks == 0 && c.last_old == 7 && c.last_new == 0);
}

static void test_budget(void)
{
    counting c = {0, 1000, 0, 0};
    dynbi_memory m;
    dynb_allocator a;
    void *p, *q;
    memset(&m, 0, sizeof m);
    m.outer.resize_fn = counting_resize;
    m.outer.ctx = &c;
    m.budget_bytes = 100;
    a.resize_fn = dynbi_memory_resize;
    a.ctx = &m;
    p = dynbi_allocate(&a, 60);
    CHECK(p != NULL && m.used_bytes == 60 && m.peak_bytes == 60);
    CHECK(dynbi_allocate(&a, 41) == NULL && m.used_bytes == 60);
    q = dynbi_allocate(&a, 40);
    CHECK(q != NULL && m.used_bytes == 100 && m.peak_bytes == 100);
    CHECK(dynbi_allocate(&a, (size_t)-1) == NULL);
    CHECK(dynbi_resize(&a, q, 40, 41) == NULL && m.used_bytes == 100);
    q = dynbi_resize(&a, q, 40, 39);
    CHECK(q != NULL && m.used_bytes == 99 && m.peak_bytes == 100);
    m.budget_bytes = 10; /* a smaller budget still lets memory shrink */
    q = dynbi_resize(&a, q, 39, 20);
    CHECK(q != NULL && m.used_bytes == 80);
    CHECK(dynbi_resize(&a, q, 20, 21) == NULL);
    dynbi_free(&a, p, 60);
    dynbi_free(&a, q, 20);
    CHECK(m.used_bytes == 0 && c.blocks == 0);
    m.budget_bytes = 1000;
    c.left = 0; /* the outer one fails: nothing is counted */
    CHECK(dynbi_allocate(&a, 5) == NULL && m.used_bytes == 0);
}

static void test_sizes(void)
{
    size_t most = (size_t)-1;
    CHECK(!dynbi_add_overflows(most, 0) && dynbi_add_overflows(most, 1));
    CHECK(!dynbi_add_overflows(most - 5, 5) && dynbi_add_overflows(most - 5, 6));
    CHECK(!dynbi_mul_overflows(0, most) && !dynbi_mul_overflows(most, 0));
    CHECK(!dynbi_mul_overflows(most / 2, 2) && dynbi_mul_overflows(most / 2 + 1, 2));
    CHECK(dynbi_round_up_8(0) == 0 && dynbi_round_up_8(1) == 8 && dynbi_round_up_8(8) == 8);
}

static void test_buffer(void)
{
    counting c = {0, 1000000, 0, 0};
    dynb_allocator a = {counting_resize, &c};
    dynbi_buffer b = {&a, NULL, 0, 0};
    size_t i;
    uint8_t byte;
    CHECK(dynbi_buffer_reserve(&b, 0) && dynbi_buffer_append(&b, NULL, 0) && !b.bytes);
    for (i = 0; i < 10000; ++i) {
        byte = (uint8_t)i;
        CHECK(dynbi_buffer_append(&b, &byte, 1));
    }
    CHECK(b.used_bytes == 10000 && b.capacity_bytes == 16384);
    for (i = 0; i < 10000; ++i)
        CHECK(b.bytes[i] == (uint8_t)i);
    CHECK(dynbi_buffer_reserve(&b, 6384) && b.capacity_bytes == 16384);
    CHECK(!dynbi_buffer_reserve(&b, (size_t)-1)); /* overflow */
    CHECK(!dynbi_buffer_reserve(&b, (size_t)-20000)); /* refused by the allocator */
    c.left = 0;
    CHECK(!dynbi_buffer_append(&b, b.bytes, 7000) && b.used_bytes == 10000);
    dynbi_buffer_free(&b);
    CHECK(c.blocks == 0 && !b.bytes && !b.capacity_bytes && !b.used_bytes);
    dynbi_buffer_free(&b);
}

static void test_format(void)
{
    char text[200];
    CHECK(dynbi_format(text, sizeof text, "a%sb%tc%%%u-%x", "one", "twothree", (size_t)3,
                       (uint64_t)12345, (uint64_t)0xabc) == 19);
    CHECK_TEXT(text, "aonebtwoc%12345-abc");
    (void)dynbi_format(text, sizeof text, "%04u %012x %01u %0u %02u", (uint64_t)7,
                       (uint64_t)0xdeadbeef, (uint64_t)0, (uint64_t)5, (uint64_t)123);
    CHECK_TEXT(text, "0007 0000deadbeef 0 5 123");
    (void)dynbi_format(text, sizeof text, "%u %x", UINT64_MAX, UINT64_MAX);
    CHECK_TEXT(text, "18446744073709551615 ffffffffffffffff");
    CHECK(dynbi_format(text, sizeof text, "%099u", (uint64_t)1) == 99);
    CHECK(text[0] == '0' && text[98] == '1');
    CHECK(dynbi_format(text, sizeof text, "") == 0 && !text[0]);
    text[0] = 'x';
    CHECK(dynbi_format(text, 0, "abc") == 0 && text[0] == 'x');
    CHECK(dynbi_format(text, 1, "abc") == 0 && !text[0]);
    CHECK(dynbi_format(text, 3, "abc") == 2);
    CHECK_TEXT(text, "ab");
    CHECK(dynbi_format(text, 4, "abc") == 3);
    CHECK(dynbi_format(text, 5, "ab%s%u", "cdefgh", (uint64_t)5) == 4);
    CHECK_TEXT(text, "abcd");
    /* never half of a character */
    CHECK(dynbi_format(text, 4, "ab\xc3\xa9") == 2);
    CHECK_TEXT(text, "ab");
    CHECK(dynbi_format(text, 5, "a\xf0\x9f\x98\x80") == 1);
    CHECK(dynbi_format(text, 3, "\x80\x80\x80") == 0);
    CHECK(dynbi_format(text, 5, "ab\xc3\xa9") == 4);
}

static void test_errors(void)
{
    dynb_error err;
    static char longer[3000];
    memset(&err, 0x55, sizeof err);
    CHECK(dynbi_fail(&err, DYNB_CORRUPT, "page %u of %s", (uint64_t)7, "it") == DYNB_CORRUPT);
    CHECK(err.code == DYNB_CORRUPT && err.pos == 0 && !err.path[0]);
    CHECK_TEXT(err.message, "page 7 of it");
    memset(&err, 0x55, sizeof err);
    CHECK(dynbi_fail_at(&err, DYNB_VALIDATION, 99, "x") == DYNB_VALIDATION);
    CHECK(err.code == DYNB_VALIDATION && err.pos == 99 && !err.path[0]);
    CHECK_TEXT(err.message, "x");
    CHECK(dynbi_fail(NULL, DYNB_LOCKED, "%s", "x") == DYNB_LOCKED);
    CHECK(dynbi_fail_at(NULL, DYNB_LOCKED, 1, "%s", "x") == DYNB_LOCKED);
    memset(longer, 'a', sizeof longer - 1);
    (void)dynbi_fail(&err, DYNB_LOCKED, "%s", longer);
    CHECK(strlen(err.message) == DYNB_MESSAGE_SIZE - 1);
    dynbi_error_clear(&err);
    CHECK(!err.code && !err.pos && !err.message[0] && !err.path[0]);
    dynbi_error_clear(NULL);
}

static void test_result(void)
{
    counting c = {0, 1000, 0, 0}, other = {0, 1000, 0, 0};
    dynb_allocator a = {counting_resize, &c}, b = {counting_resize, &other};
    dynb_result r;
    dynb_error err;
    char *p, *q;
    memset(&r, 0, sizeof r);
    CHECK_INT(dynbi_result_reserve(&r, &a, 0, &err), DYNB_OK);
    CHECK(!r.memory);
    CHECK_INT(dynbi_result_reserve(&r, &a, 21, &err), DYNB_OK);
    CHECK(r.capacity_bytes == 24 && c.blocks == 1);
    p = (char *)dynbi_result_take(&r, 3);
    q = (char *)dynbi_result_take(&r, 8);
    CHECK(q == p + 8 && r.used_bytes == 16);
    CHECK_TEXT(dynbi_result_text(&r, "sevenxx!", 7), "sevenxx");
    CHECK(r.used_bytes == 24);
    CHECK_INT(dynbi_result_reserve(&r, &b, 100, &err), DYNB_OK); /* keeps the first one */
    CHECK(other.blocks == 0 && c.blocks == 1 && r.used_bytes == 0 && r.capacity_bytes == 104);
    CHECK_TEXT(dynbi_result_text(&r, NULL, 0), "");
    CHECK_TEXT(dynbi_result_text(&r, "kept", 4), "kept");
    CHECK_INT(dynbi_result_grow(&r, 50, &err), DYNB_OK);
    CHECK_INT(dynbi_result_grow(&r, 5000, &err), DYNB_OK);
    CHECK_TEXT((char *)r.memory + 8, "kept");
    CHECK_INT(dynbi_result_grow(&r, (size_t)-3, &err), DYNB_NO_MEMORY);
    CHECK_TEXT(err.message, "no memory for a result of this size");
    c.left = 0;
    CHECK_INT(dynbi_result_grow(&r, 6000, &err), DYNB_NO_MEMORY);
    CHECK_TEXT(err.message, "no memory for a result of 6000 bytes");
    CHECK_TEXT((char *)r.memory + 8, "kept");
    dynb_result_free(&r);
    CHECK(!r.memory && !r.capacity_bytes && c.blocks == 0);
    dynb_result_free(&r);
    dynb_result_free(NULL);
    CHECK_INT(dynbi_result_reserve(&r, &b, 8, &err), DYNB_OK); /* free forgets it */
    CHECK(other.blocks == 1);
    dynb_result_free(&r);
    CHECK(other.blocks == 0);
}

static void test_list(void)
{
    CHECK_TEXT(dynb_rc_exception(DYNB_OK), "");
    CHECK_INT(dynb_rc_http_status(DYNB_OK), 200);
    CHECK_TEXT(dynb_rc_text(DYNB_ERROR_COUNT), "");
    CHECK_TEXT(dynb_rc_exception((dynb_rc)12345), "");
    CHECK_INT(dynb_rc_http_status((dynb_rc)12345), 0);
    CHECK_INT(dynb_rc_http_status(DYNB_ERROR_COUNT), 0);
    CHECK_TEXT(dynb_rc_exception(DYNB_ERROR_COUNT), "");
#define ONE(name, exception, status, text)                    \
    CHECK_TEXT(dynb_rc_exception(DYNB_##name), exception);    \
    CHECK_INT(dynb_rc_http_status(DYNB_##name), status);      \
    CHECK_TEXT(dynb_rc_text(DYNB_##name), text);
    DYNB_ERRORS(ONE)
#undef ONE
}

int main(void)
{
    test_allocators();
    test_budget();
    test_sizes();
    test_buffer();
    test_format();
    test_errors();
    test_result();
    test_list();
    return check_report("unit_util");
}
