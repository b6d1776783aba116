/* check.h - the few lines every test program shares.
 *
 * A test program counts checks; main ends with `return check_report("name");`
 * which prints "name: N passed, N failed" and returns 1 if any failed. Nothing
 * is printed for a check that passes. Random tests take their seed from
 * check_seed(), which prints it; SEED=n in the environment replays it, and
 * SCALE=n (percent) makes random tests shorter or longer. */
#ifndef CHECK_H
#define CHECK_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static unsigned long check_passed_count, check_failed_count;

static void check_note(int ok, const char *file, int line, const char *text)
{
    if (ok) {
        ++check_passed_count;
        return;
    }
    ++check_failed_count;
    if (check_failed_count <= 20) {
        printf("%s:%d: failed: %s\n", file, line, text);
        fflush(stdout);
    }
}

#define CHECK(condition) check_note(!!(condition), __FILE__, __LINE__, #condition)

#define CHECK_INT(actual, expected)                                                      \
    do {                                                                                 \
        long long check_a = (long long)(actual), check_b = (long long)(expected);        \
        if (check_a != check_b)                                                          \
            printf("%s:%d: got %lld, expected %lld\n", __FILE__, __LINE__, check_a, check_b); \
        check_note(check_a == check_b, __FILE__, __LINE__, #actual " == " #expected);    \
    } while (0)

#define CHECK_TEXT(actual, expected)                                                     \
    do {                                                                                 \
        const char *check_a = (actual), *check_b = (expected);                           \
        int check_same = check_a && check_b && strcmp(check_a, check_b) == 0;            \
        if (!check_same)                                                                 \
            printf("%s:%d: got \"%s\", expected \"%s\"\n", __FILE__, __LINE__,           \
                   check_a ? check_a : "(null)", check_b ? check_b : "(null)");          \
        check_note(check_same, __FILE__, __LINE__, #actual " == " #expected);            \
    } while (0)

/* A small, good generator (splitmix64): the same numbers on every machine. */
typedef struct check_random {
    uint64_t state;
} check_random;

static inline uint64_t check_next(check_random *random)
{
    uint64_t z = (random->state += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

/* A number below limit (limit > 0). */
static inline uint64_t check_below(check_random *random, uint64_t limit)
{
    return check_next(random) % limit;
}

static inline uint64_t check_env(const char *name, uint64_t otherwise)
{
    const char *text = getenv(name);
    return text && *text ? (uint64_t)strtoull(text, NULL, 10) : otherwise;
}

static inline uint64_t check_seed(const char *what)
{
    uint64_t seed = check_env("SEED", 20261122u);
    printf("%s: SEED=%llu SCALE=%llu\n", what, (unsigned long long)seed,
           (unsigned long long)check_env("SCALE", 100));
    return seed;
}

/* count, made larger or smaller by SCALE percent; at least 1. */
static inline uint64_t check_scaled(uint64_t count)
{
    uint64_t scaled = count * check_env("SCALE", 100) / 100;
    return scaled ? scaled : 1;
}

/* The smallest memory_bytes: 64 KiB, with pointers of 32 bits 52. */
#define CHECK_MEMORY_MIN (sizeof(void *) == 4 ? 53248u : 65536u)

static int check_report(const char *name)
{
    printf("%s: %lu passed, %lu failed\n", name, check_passed_count, check_failed_count);
    return check_failed_count != 0;
}

#endif
