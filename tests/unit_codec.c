/* unit_codec.c - section 11: integers, varints, CRC-32C, base64, UTF-8. */
#define DYNBACKUP_IMPLEMENTATION
#define DYNBACKUP_KEEP_MACROS
#include "../dynbackup.h"
#include "check.h"

static void test_integers(void)
{
    static const uint8_t bytes[8] = {0x01, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd, 0xef};
    uint8_t to[8];
    CHECK(dynbi_load16(bytes) == 0x2301u);
    CHECK(dynbi_load32(bytes) == 0x67452301u);
    CHECK(dynbi_load64(bytes) == 0xefcdab8967452301u);
    CHECK(dynbi_load64_be(bytes) == 0x0123456789abcdefu);
    dynbi_store16(to, 0x2301u);
    CHECK(!memcmp(to, bytes, 2));
    dynbi_store32(to, 0x67452301u);
    CHECK(!memcmp(to, bytes, 4));
    dynbi_store64(to, 0xefcdab8967452301u);
    CHECK(!memcmp(to, bytes, 8));
    dynbi_store64_be(to, 0x0123456789abcdefu);
    CHECK(!memcmp(to, bytes, 8));
}

static void varint_both_ways(uint64_t value)
{
    uint8_t bytes[DYNBI_VARINT_MAX + 1];
    uint8_t *end = dynbi_varint_store(bytes, value);
    size_t size = (size_t)(end - bytes), cut;
    uint64_t back = ~value;
    CHECK(size == dynbi_varint_size(value) && size <= DYNBI_VARINT_MAX);
    CHECK(dynbi_varint_load(bytes, end, &back) == end && back == value);
    for (cut = 0; cut < size; ++cut)
        CHECK(!dynbi_varint_load(bytes, bytes + cut, &back));
    bytes[size - 1] |= 0x80; /* the same value, one byte longer */
    bytes[size] = 0;
    CHECK(!dynbi_varint_load(bytes, bytes + size + 1, &back));
}

static void test_varints(check_random *random)
{
    static const uint8_t most[10] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1};
    uint8_t bytes[11];
    uint64_t v;
    int bit, i;
    varint_both_ways(0);
    varint_both_ways(UINT64_MAX);
    for (bit = 0; bit < 64; ++bit) {
        varint_both_ways((uint64_t)1 << bit);
        varint_both_ways(((uint64_t)1 << bit) - 1);
        for (i = 0; i < 20; ++i)
            varint_both_ways(check_next(random) >> bit);
    }
    CHECK(dynbi_varint_load(most, most + 10, &v) == most + 10 && v == UINT64_MAX);
    memcpy(bytes, most, 10);
    bytes[9] = 2; /* 2^64 */
    CHECK(!dynbi_varint_load(bytes, bytes + 10, &v));
    memset(bytes, 0x80, 11);
    CHECK(!dynbi_varint_load(bytes, bytes + 11, &v));
    memset(bytes, 0x80, 11);
    bytes[9] = 0x81;
    CHECK(!dynbi_varint_load(bytes, bytes + 11, &v));
}

/* One bit at a time, from the definition. */
static uint32_t crc_naive(uint32_t seed, const uint8_t *bytes, size_t size)
{
    uint32_t crc = ~seed;
    size_t i;
    int bit;
    for (i = 0; i < size; ++i) {
        crc ^= bytes[i];
        for (bit = 0; bit < 8; ++bit)
            crc = crc >> 1 ^ (crc & 1 ? 0x82f63b78u : 0);
    }
    return ~crc;
}

static void test_crc(check_random *random)
{
    static uint8_t bytes[10000];
    size_t size, i, k;
    for (i = 0; i < 16; ++i) {
        uint32_t crc = (uint32_t)i;
        int bit;
        for (bit = 0; bit < 4; ++bit)
            crc = crc >> 1 ^ (crc & 1 ? 0x82f63b78u : 0);
        CHECK(dynbi_crc_table[0][i] == crc);
        for (k = 1; k < DYNBI_CRC_ROWS; ++k) {
            crc = crc >> 4 ^ dynbi_crc_table[0][crc & 15];
            CHECK(dynbi_crc_table[k][i] == crc);
        }
    }
    CHECK(dynbi_crc32c(0, "123456789", 9) == 0xe3069283u);
    CHECK(dynbi_crc32c(0, NULL, 0) == 0);
    CHECK(dynbi_crc32c(0x12345678u, NULL, 0) == 0x12345678u);
    memset(bytes, 0, 32); /* RFC 3720, B.4 */
    CHECK(dynbi_crc32c(0, bytes, 32) == 0x8a9136aau);
    memset(bytes, 0xff, 32);
    CHECK(dynbi_crc32c(0, bytes, 32) == 0x62a8ab43u);
    for (i = 0; i < 32; ++i)
        bytes[i] = (uint8_t)i;
    CHECK(dynbi_crc32c(0, bytes, 32) == 0x46dd794eu);
    for (i = 0; i < sizeof bytes; ++i)
        bytes[i] = (uint8_t)check_next(random);
    for (size = 0; size < 700; ++size) {
        size_t offset = size % 17, cut = size / 3;
        uint32_t seed = (uint32_t)check_next(random);
        uint32_t naive = crc_naive(seed, bytes + offset, size);
        CHECK(dynbi_crc32c(seed, bytes + offset, size) == naive);
        CHECK(~dynbi_crc_portable(~seed, bytes + offset, size) == naive);
        CHECK(dynbi_crc32c(dynbi_crc32c(seed, bytes + offset, cut), bytes + offset + cut,
                           size - cut) == naive);
    }
    for (i = 0; i < 40; ++i) {
        size = 2900 + check_below(random, 7000);
        CHECK(dynbi_crc32c(0, bytes, size) == crc_naive(0, bytes, size));
        CHECK(~dynbi_crc_portable(~0u, bytes, size) == crc_naive(0, bytes, size));
    }
}

static dynbi_base64_rc decode(const char *text, size_t *size, size_t *bad_pos)
{
    static uint8_t to[400];
    return dynbi_base64_decode(text, strlen(text), to, size, bad_pos);
}

static void test_base64(check_random *random)
{
    /* RFC 4648, section 10 */
    static const char *const vectors[7][2] = {{"", ""},         {"f", "Zg=="},
                                              {"fo", "Zm8="},     {"foo", "Zm9v"},
                                              {"foob", "Zm9vYg=="}, {"fooba", "Zm9vYmE="},
                                              {"foobar", "Zm9vYmFy"}};
    uint8_t bytes[300], back[300];
    char text[404];
    size_t i, size, length, bad_pos;
    for (i = 0; i < 7; ++i) {
        length = dynbi_base64_encode(text, (const uint8_t *)vectors[i][0], strlen(vectors[i][0]));
        text[length] = 0;
        CHECK_TEXT(text, vectors[i][1]);
        CHECK(!dynbi_base64_decode(text, length, back, &size, &bad_pos));
        CHECK(size == strlen(vectors[i][0]) && !memcmp(back, vectors[i][0], size));
    }
    for (i = 0; i < 300; ++i) {
        size_t k;
        for (k = 0; k < i; ++k)
            bytes[k] = (uint8_t)check_next(random);
        length = dynbi_base64_encode(text, bytes, i);
        CHECK(length == dynbi_base64_size(i));
        CHECK(!dynbi_base64_decode(text, length, back, &size, &bad_pos));
        CHECK(size == i && !memcmp(back, bytes, i));
        CHECK(!dynbi_base64_decode(text, length, (uint8_t *)text, &size, &bad_pos)); /* in place */
        CHECK(size == i && !memcmp(text, bytes, i));
    }
    CHECK(decode("Zg=", &size, &bad_pos) == DYNBI_BASE64_LENGTH);
    CHECK(decode("Z", &size, &bad_pos) == DYNBI_BASE64_LENGTH);
    CHECK(decode("23456", &size, &bad_pos) == DYNBI_BASE64_LENGTH);
    CHECK(decode("Zh==", &size, &bad_pos) == DYNBI_BASE64_LAST && bad_pos == 1);
    CHECK(decode("Zm9=", &size, &bad_pos) == DYNBI_BASE64_LAST && bad_pos == 2);
    CHECK(decode("=+/=", &size, &bad_pos) == DYNBI_BASE64_LAST && bad_pos == 0);
    CHECK(decode("Zg==Zg==", &size, &bad_pos) == DYNBI_BASE64_LAST && bad_pos == 2);
    CHECK(decode("Z===", &size, &bad_pos) == DYNBI_BASE64_LAST && bad_pos == 1);
    CHECK(decode("====", &size, &bad_pos) == DYNBI_BASE64_LAST);
    CHECK(decode("Zm9vZ-9v", &size, &bad_pos) == DYNBI_BASE64_CHAR && bad_pos == 5);
    for (i = 1; i < 256; ++i) {
        uint32_t digit = dynbi_base64_digit((char)i);
        const char *all = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/=";
        const char *at = strchr(all, (int)i);
        CHECK(digit == (at ? (uint32_t)(at - all) : 65u));
    }
}

/* Well-formed by Unicode's table 3-7, checked one byte after another. */
static size_t utf8_naive(const uint8_t *at, size_t left)
{
    uint32_t code;
    size_t size = at[0] < 0x80 ? 1 : at[0] < 0xc0 ? 0 : at[0] < 0xe0 ? 2 : at[0] < 0xf0 ? 3
                : at[0] < 0xf8 ? 4 : 0, i;
    static const uint32_t least[5] = {0, 0, 0x80, 0x800, 0x10000};
    if (!size || size > left)
        return 0;
    code = size == 1 ? at[0] : at[0] & (0x7fu >> size);
    for (i = 1; i < size; ++i) {
        if (at[i] >> 6 != 2)
            return 0;
        code = code << 6 | (at[i] & 63);
    }
    if (code < least[size] || code > 0x10ffff || (code >= 0xd800 && code < 0xe000))
        return 0;
    return size;
}

static void utf8_compare(const uint8_t *bytes, size_t size)
{
    size_t at = 0, bad_pos = 12345;
    while (at < size) {
        size_t step = utf8_naive(bytes + at, size - at);
        if (!step)
            break;
        at += step;
    }
    CHECK(dynbi_utf8_check(bytes, size, &bad_pos) == (at == size));
    CHECK(at == size || bad_pos == at);
}

static void test_utf8(check_random *random)
{
    uint8_t bytes[80];
    uint32_t a, b;
    size_t i, size;
    uint64_t round;
    for (a = 0; a < 256; ++a)
        for (b = 0; b < 256; ++b) {
            bytes[0] = (uint8_t)a;
            bytes[1] = (uint8_t)b;
            bytes[2] = 0x80;
            bytes[3] = 0xbf;
            bytes[4] = 'x';
            for (size = 0; size <= 5; ++size)
                utf8_compare(bytes, size);
        }
    for (round = check_scaled(20000); round; --round) {
        size = check_below(random, sizeof bytes);
        for (i = 0; i < size; ++i)
            bytes[i] = (uint8_t)('a' + check_below(random, 26));
        if (size && round % 4) {
            uint32_t code = (uint32_t)check_below(random, 0x110400);
            i = check_below(random, size);
            if (code < 0x10000 && i + 3 <= size) {
                bytes[i] = (uint8_t)(0xe0 | code >> 12);
                bytes[i + 1] = (uint8_t)(0x80 | (code >> 6 & 63));
                bytes[i + 2] = (uint8_t)(0x80 | (code & 63));
            } else if (i + 4 <= size) {
                bytes[i] = (uint8_t)(0xf0 | code >> 18);
                bytes[i + 1] = (uint8_t)(0x80 | (code >> 12 & 63));
                bytes[i + 2] = (uint8_t)(0x80 | (code >> 6 & 63));
                bytes[i + 3] = (uint8_t)(0x80 | (code & 63));
            } else {
                bytes[i] = (uint8_t)check_next(random);
            }
        }
        utf8_compare(bytes, size);
    }
    CHECK(dynbi_utf8_check(NULL, 0, &i));
}

int main(void)
{
    check_random random = {check_seed("unit_codec")};
    test_integers();
    test_varints(&random);
    test_crc(&random);
    test_base64(&random);
    test_utf8(&random);
    return check_report("unit_codec");
}
