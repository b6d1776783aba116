/* unit_number.c - section 12: decimals against plain text arithmetic. */
#define DYNBACKUP_IMPLEMENTATION
#define DYNBACKUP_KEEP_MACROS
#include "../dynbackup.h"
#include "check.h"

static dynb_error err;

static const char *canonical(const char *text)
{
    static char out[DYNB_NUMBER_TEXT_SIZE];
    uint8_t bytes[DYNBI_NUMBER_MAX];
    uint32_t size;
    if (dynbi_number_parse(text, strlen(text), bytes, &size, &err))
        return err.message;
    CHECK(size <= DYNBI_NUMBER_MAX && dynbi_number_check(bytes, bytes + size) == size);
    CHECK(dynbi_number_text(bytes, size, out) == strlen(out));
    return out;
}

static const char overflow[] = "Number overflow. Attempting to store a number with magnitude "
                               "larger than supported range";
static const char underflow[] = "Number underflow. Attempting to store a number with magnitude "
                                "smaller than supported range";
static const char digits[] = "Attempting to store more than 38 significant digits in a Number";
static const char bad[] = "The parameter cannot be converted to a numeric value: ";

/* contract 3.2: what comes out, or the message */
static const char *const golden[][2] = {
    {"007", "7"}, {"001.23", "1.23"}, {"00", "0"}, {"+3", "3"}, {"+0", "0"}, {"1.0", "1"},
    {"1.10", "1.1"}, {"100.000", "100"}, {"0.0", "0"}, {"1e3", "1000"}, {"1E+3", "1000"},
    {"1.5e2", "150"}, {"1e-3", "0.001"}, {"123e-2", "1.23"}, {"1.0e-1", "0.1"}, {"-0", "0"},
    {"-0.0", "0"}, {"0e5", "0"}, {"0e-5", "0"}, {".5", "0.5"}, {"-.5", "-0.5"},
    {"1e-20", "0.00000000000000000001"}, {"9.9e10", "99000000000"}, {"3", "3"},
    {"-7.1234", "-7.1234"}, {"-17e5", "-1700000"}, {".123", "0.123"}, {"0001.23", "1.23"},
    {"-17.4E37", "-174000000000000000000000000000000000000"}, {"1e+5", "100000"}, {"5.", "5"},
    {"10", "10"}, {"1010", "1010"}, {"10.01", "10.01"}, {"0.010", "0.01"}, {"99", "99"},
    {"100", "100"}, {"00000000000000000000000000000000000000000000000001", "1"},
    {"12345678901234567890123456789012345678", "12345678901234567890123456789012345678"},
    {"1234567890123456789012345678901234567800000e-5", "12345678901234567890123456789012345678"},
    {"10000000000000000000000000000000000000000000001", digits},
    {"123456789012345678901234567890123456789", digits},
    {"1.23456789012345678901234567890123456789", digits},
    {"100000000000000000000000000000000000000000", "100000000000000000000000000000000000000000"},
    {"0e125", "0"}, {"0.0e126", "0"}, {"0e126", overflow}, {"0e-130", "0"}, {"0e-131", underflow},
    {"0.0e-130", underflow}, {"-0e126", overflow},
    {"1e126", overflow}, {"11e125", overflow}, {"-1e126", overflow}, {"1e-131", underflow},
    {"0.9e-130", underflow}, {"-1e-131", underflow}, {"1e99999999999999999999", overflow},
    {"1e-99999999999999999999", underflow}, {"1234567890123456789012345678901234567890e126",
                                              overflow},
    {"", "The parameter cannot be converted to a numeric value"},
    {"NaN", "The parameter cannot be converted to a numeric value: NaN"},
    {"Infinity", "The parameter cannot be converted to a numeric value: Infinity"},
    {"-Infinity", "The parameter cannot be converted to a numeric value: -Infinity"},
    {"dog", "The parameter cannot be converted to a numeric value: dog"},
    {" 1", "The parameter cannot be converted to a numeric value:  1"},
    {"1 ", "The parameter cannot be converted to a numeric value: 1 "},
};

static const char *const refused[] = {".", "-", "+", "e5", "1e", "1e+", "1e-", "--1", "+-1", "1..2",
                                      "1.2.3", "1e5.", "1e5e5", "0x10", "1,5", "1_0", ".e1",
                                      "-.", "1e+-5", "1/", "1:", "1e/", "1e:"};

static void test_texts(void)
{
    size_t i;
    char text[300];
    for (i = 0; i < sizeof golden / sizeof *golden; ++i)
        CHECK_TEXT(canonical(golden[i][0]), golden[i][1]);
    for (i = 0; i < sizeof refused / sizeof *refused; ++i) {
        (void)snprintf(text, sizeof text, "%s%s", bad, refused[i]);
        CHECK_TEXT(canonical(refused[i]), text);
        CHECK_INT(err.code, DYNB_VALIDATION);
    }
    CHECK(dynbi_number_parse("1\0", 2, (uint8_t *)text, (uint32_t *)(void *)(text + 64), NULL) ==
          DYNB_VALIDATION);
    /* both ends of the range */
    memset(text, 0, sizeof text);
    text[0] = '1';
    memset(text + 1, '0', 125);
    CHECK_TEXT(canonical("1e125"), text);
    CHECK_TEXT(canonical("0.1e126"), text);
    CHECK_TEXT(canonical(text), text);
    memset(text, '9', 38);
    memset(text + 38, '0', 88);
    CHECK_TEXT(canonical("9.9999999999999999999999999999999999999E+125"), text);
    memset(text, 0, sizeof text);
    memcpy(text, "-0.", 3);
    memset(text + 3, '0', 129);
    memset(text + 132, '9', 38);
    CHECK_TEXT(canonical("-9.9999999999999999999999999999999999999E-130"), text);
    CHECK(strlen(text) == 170 && strlen(text) < DYNB_NUMBER_TEXT_SIZE);
    text[132] = '1';
    text[133] = 0;
    CHECK_TEXT(canonical("-1e-130"), text);
}

/* A long text whose exponent makes up for its length. */
static void test_long(void)
{
    static char text[3000];
    size_t i;
    memset(text, '0', 2500);
    text[0] = '1';
    memcpy(text + 2500, "e-2499", 7);
    CHECK_TEXT(canonical(text), "1");
    memset(text, '0', 2500);
    text[1] = '.';
    text[2499] = '7';
    memcpy(text + 2500, "e2498", 6);
    CHECK_TEXT(canonical(text), "7");
    for (i = 0; i < 2500; ++i)
        text[i] = '9';
    memcpy(text + 2500, "e-2499", 7);
    CHECK_TEXT(canonical(text), digits);
}

static void test_bytes(void)
{
    static const struct {
        const char *text;
        uint8_t bytes[6];
        uint32_t size;
    } table[] = {
        {"0", {0x80, 0x00}, 2},          {"1", {0xC1, 0x02, 0x00}, 3},
        {"-1", {0x3E, 0xFD, 0xFF}, 3},   {"100", {0xC2, 0x02, 0x00}, 3},
        {"12.5", {0xC1, 0x0D, 0x33, 0x00}, 4}, {"0.1", {0xC0, 0x0B, 0x00}, 3},
        {"1e-130", {0x80, 0x02, 0x00}, 3}, {"1e125", {0xFF, 0x0B, 0x00}, 3},
        {"-1e125", {0x00, 0xF4, 0xFF}, 3}, {"-1e-130", {0x7F, 0xFD, 0xFF}, 3},
    };
    size_t i;
    for (i = 0; i < sizeof table / sizeof *table; ++i) {
        uint8_t bytes[DYNBI_NUMBER_MAX];
        uint32_t size = 0;
        CHECK_INT(dynbi_number_parse(table[i].text, strlen(table[i].text), bytes, &size, &err), 0);
        CHECK(size == table[i].size && !memcmp(bytes, table[i].bytes, size));
    }
}

/* A random decimal as its digits and the exponent of the first, and its text in
 * one of many spellings. */
typedef struct decimal {
    int is_negative, count, exponent; /* count 0: zero */
    char digit[40];
    char text[600];
} decimal;

static void decimal_random(check_random *random, decimal *d, int is_near)
{
    int i, scale, zeros;
    size_t used = 0;
    memset(d, 0, sizeof *d);
    d->count = (int)check_below(random, is_near ? 4 : 39);
    d->is_negative = (int)check_below(random, 2);
    d->exponent = is_near ? (int)check_below(random, 5) - 2 : (int)check_below(random, 256) - 130;
    for (i = 0; i < d->count; ++i)
        d->digit[i] = (char)('0' + check_below(random, is_near ? 3 : 10));
    while (d->count && d->digit[d->count - 1] == '0')
        --d->count;
    while (d->count && d->digit[0] == '0') {
        memmove(d->digit, d->digit + 1, 38);
        --d->count;
    }
    if (!d->count)
        d->is_negative = d->exponent = 0;
    if (d->is_negative)
        d->text[used++] = '-';
    else if (check_below(random, 4) == 0)
        d->text[used++] = '+';
    for (zeros = (int)check_below(random, 3); zeros; --zeros)
        d->text[used++] = '0';
    /* digits, a point after `scale` of them, zeros behind, exponent to suit */
    zeros = (int)check_below(random, 3);
    scale = (int)check_below(random, (uint64_t)(d->count + zeros + 1));
    for (i = 0; i < d->count + zeros; ++i) {
        if (i == scale)
            d->text[used++] = '.';
        d->text[used++] = i < d->count ? d->digit[i] : '0';
    }
    if (d->count + zeros == 0)
        d->text[used++] = '0';
    if (d->count) {
        int e = d->exponent + 1 - (scale < d->count + zeros ? scale : d->count + zeros);
        (void)snprintf(d->text + used, 20, e < 0 || random->state & 1 ? "e%d" : "E+%d", e);
    }
}

static int decimal_compare(const decimal *a, const decimal *b)
{
    int order, sign_a = !a->count ? 0 : a->is_negative ? -1 : 1;
    int sign_b = !b->count ? 0 : b->is_negative ? -1 : 1;
    if (sign_a != sign_b)
        return sign_a < sign_b ? -1 : 1;
    if (!sign_a)
        return 0;
    if (a->exponent != b->exponent)
        order = a->exponent < b->exponent ? -1 : 1;
    else {
        order = strcmp(a->digit, b->digit); /* no zeros behind: shorter is less */
        order = order < 0 ? -1 : order > 0;
    }
    return sign_a * order;
}

static int bytes_compare(const uint8_t *a, size_t a_size, const uint8_t *b, size_t b_size)
{
    int order = memcmp(a, b, a_size < b_size ? a_size : b_size);
    if (order)
        return order < 0 ? -1 : 1;
    CHECK(a_size == b_size); /* never is one the start of the other */
    return 0;
}

static void test_order(check_random *random)
{
    uint64_t round;
    for (round = check_scaled(100000); round; --round) {
        decimal a, b;
        uint8_t ba[DYNBI_NUMBER_MAX], bb[DYNBI_NUMBER_MAX], again[DYNBI_NUMBER_MAX];
        uint32_t sa = 0, sb = 0, again_size = 0, aws;
        char text[DYNB_NUMBER_TEXT_SIZE];
        size_t length;
        int is_near = round & 1;
        decimal_random(random, &a, is_near);
        decimal_random(random, &b, is_near);
        a.digit[a.count] = b.digit[b.count] = 0;
        if (round % 8 == 2) { /* one digit apart */
            b = a;
            if (b.count > 1 && b.digit[b.count - 1] > '1') {
                b.digit[b.count - 1]--;
                (void)snprintf(b.text, sizeof b.text, "%s%s%se%d", b.is_negative ? "-" : "", ".",
                               b.digit, b.exponent + 1);
            }
        }
        CHECK_INT(dynbi_number_parse(a.text, strlen(a.text), ba, &sa, &err), 0);
        CHECK_INT(dynbi_number_parse(b.text, strlen(b.text), bb, &sb, &err), 0);
        CHECK_INT(bytes_compare(ba, sa, bb, sb), decimal_compare(&a, &b));
        CHECK(dynbi_number_check(ba, ba + sa) == sa);
        length = dynbi_number_text(ba, sa, text);
        CHECK_INT(dynbi_number_parse(text, length, again, &again_size, &err), 0);
        CHECK(again_size == sa && !memcmp(again, ba, sa));
        aws = !a.count ? 1
                       : 1u + (uint32_t)(a.count + 1) / 2 +
                             (a.count % 2 == 0 && a.exponent % 2 == 0) + (a.is_negative != 0);
        CHECK_INT(dynbi_number_aws_size(ba, sa), aws);
    }
}

/* Every order of a few numbers around zero and the ends. */
static void test_ladder(void)
{
    static const char *const ladder[] = {
        "-9.9999999999999999999999999999999999999e125", "-1e125", "-1e124", "-100", "-99.99",
        "-99", "-10.1", "-10", "-9", "-1.01", "-1", "-0.99", "-0.1", "-0.01", "-1e-129",
        "-9e-130", "-1.0000000000000000000000000000000000001e-130", "-1e-130", "0", "1e-130",
        "1.0000000000000000000000000000000000001e-130", "9e-130", "1e-129", "0.01", "0.1", "0.99",
        "1", "1.01", "9", "10", "10.1", "99", "99.99", "100", "1e124", "1e125",
        "9.9999999999999999999999999999999999999e125"};
    size_t i, k, n = sizeof ladder / sizeof *ladder;
    for (i = 0; i < n; ++i)
        for (k = 0; k < n; ++k) {
            uint8_t a[DYNBI_NUMBER_MAX], b[DYNBI_NUMBER_MAX];
            uint32_t sa = 0, sb = 0;
            CHECK_INT(dynbi_number_parse(ladder[i], strlen(ladder[i]), a, &sa, &err), 0);
            CHECK_INT(dynbi_number_parse(ladder[k], strlen(ladder[k]), b, &sb, &err), 0);
            CHECK_INT(bytes_compare(a, sa, b, sb), i < k ? -1 : i > k);
        }
}

static void test_aws_size(void)
{
    static const struct {
        const char *text;
        uint32_t size;
    } table[] = {{"0", 1},  {"12", 2},   {"120", 3},  {"1230", 3},  {"12300", 3},
                 {"1", 2},  {"-1", 3},   {"1e125", 2}, {"12e124", 2}, {"12345e121", 4},
                 {"123456e120", 4}, {"1234567e119", 5},
                 {"12345678901234567890123456789012345678e88", 20}};
    size_t i;
    for (i = 0; i < sizeof table / sizeof *table; ++i) {
        uint8_t bytes[DYNBI_NUMBER_MAX];
        uint32_t size = 0;
        CHECK_INT(dynbi_number_parse(table[i].text, strlen(table[i].text), bytes, &size, &err), 0);
        CHECK_INT(dynbi_number_aws_size(bytes, size), table[i].size);
    }
}

static void test_hostile(check_random *random)
{
    static const uint8_t bad_bytes[][5] = {
        {0x80, 0x01, 0x00}, {0x7F, 0xFF},       {0x7F, 0xFE, 0xFF}, {0xC1, 0x02, 0x01, 0x00},
        {0xC1, 0x01, 0x02, 0x00}, {0xC1, 0x66, 0x00}, {0x3E, 0x99, 0xFF},  {0xC1, 0x00}};
    uint8_t *bytes = (uint8_t *)malloc(32);
    uint64_t round;
    size_t i, k;
    for (i = 0; i < sizeof bad_bytes / sizeof *bad_bytes; ++i)
        CHECK(!dynbi_number_check(bad_bytes[i], bad_bytes[i] + 5) || bad_bytes[i][0] == 0x80);
    CHECK(!dynbi_number_check(bad_bytes[0], bad_bytes[0] + 3));
    /* 20 pairs, first and last of two digits: 40 and 39 digits, and 38 */
    bytes[0] = 0xC0;
    memset(bytes + 1, 100, 20);
    bytes[21] = 0;
    CHECK(!dynbi_number_check(bytes, bytes + 22));
    bytes[1] = 10;
    CHECK(!dynbi_number_check(bytes, bytes + 22));
    bytes[20] = 91;
    CHECK(dynbi_number_check(bytes, bytes + 22) == 22);
    bytes[21] = 5;
    bytes[22] = 0;
    CHECK(!dynbi_number_check(bytes, bytes + 23)); /* 21 pairs */
    free(bytes);
    for (round = check_scaled(200000); round; --round) {
        size_t size = check_below(random, 26);
        uint8_t *exact = (uint8_t *)malloc(size ? size : 1);
        uint32_t found;
        for (k = 0; k < size; ++k)
            exact[k] = round & 1 ? (uint8_t)check_next(random)
                                 : (uint8_t)(check_below(random, 100) + 1);
        if (size > 2 && round & 2) {
            exact[0] |= 0x80;
            exact[check_below(random, size)] = 0;
        }
        found = dynbi_number_check(exact, exact + size);
        if (found) { /* then it is what its text gives back */
            char text[DYNB_NUMBER_TEXT_SIZE];
            uint8_t back[DYNBI_NUMBER_MAX];
            uint32_t back_size = 0;
            size_t length = dynbi_number_text(exact, found, text);
            CHECK(found <= size);
            CHECK_INT(dynbi_number_parse(text, length, back, &back_size, &err), 0);
            CHECK(back_size == found && !memcmp(back, exact, found));
        }
        free(exact);
    }
}

static void int_is(const char *text, int fits, int64_t value)
{
    uint8_t bytes[DYNBI_NUMBER_MAX];
    uint32_t size = 0;
    int64_t got = 77;
    CHECK_INT(dynbi_number_parse(text, strlen(text), bytes, &size, &err), 0);
    CHECK_INT(dynbi_number_int(bytes, size, &got), fits);
    if (fits)
        CHECK_INT(got, value);
}

static void test_int(void)
{
    int_is("0", 1, 0);
    int_is("1", 1, 1);
    int_is("-1", 1, -1);
    int_is("120", 1, 120);
    int_is("1e18", 1, 1000000000000000000);
    int_is("9223372036854775807", 1, INT64_MAX);
    int_is("9223372036854775808", 0, 0);
    int_is("-9223372036854775808", 1, INT64_MIN);
    int_is("-9223372036854775809", 0, 0);
    int_is("9999999999999999999", 0, 0);
    int_is("1e19", 0, 0);
    int_is("1.5", 0, 0);
    int_is("0.5", 0, 0);
}

int main(void)
{
    check_random random = {check_seed("unit_number")};
    test_texts();
    test_long();
    test_bytes();
    test_ladder();
    test_order(&random);
    test_aws_size();
    test_hostile(&random);
    test_int();
    return check_report("unit_number");
}
