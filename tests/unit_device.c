/* unit_device.c - section 16: the RAM and file devices, the disk, the reader.
 *
 * The system calls of the file device go through here, so that each can be
 * interrupted, cut short or refused. Files lie in a directory of their own
 * below TMPDIR (or /tmp), which is removed. */
#if (defined(__unix__) || defined(__APPLE__)) && !defined(DYNBACKUP_NO_FILE)
#define WITH_FILES 1
#if defined(__STRICT_ANSI__) && !defined(_POSIX_C_SOURCE)
#define _POSIX_C_SOURCE 200809L
#endif
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <unistd.h>

typedef enum call {
    CALL_READ,
    CALL_WRITE,
    CALL_TAKE,
    CALL_CUT,
    CALL_STAT,
    CALL_MAP,
    CALL_MSYNC,
    CALL_LOCK,
    CALL_COUNT
} call;

typedef struct plan {
    int interrupted_count; /* so many are interrupted first */
    int good_count;        /* then so many work, before error is met */
    int error;             /* errno; 0: no failure */
    int is_nothing;        /* instead of an error nothing is moved, the size is odd */
    size_t piece_bytes;    /* at most so many are moved at once; 0: all */
    unsigned call_count;
} plan;

static plan plans[CALL_COUNT];

/* Nonzero: the call fails, and errno says why. */
static int plan_fails(call which)
{
    plan *p = &plans[which];
    ++p->call_count;
    if (p->interrupted_count > 0) {
        --p->interrupted_count;
        errno = EINTR;
        return 1;
    }
    if (!p->error || p->good_count-- > 0)
        return 0;
    errno = p->error;
    return 1;
}

static ssize_t planned_pread(int fd, void *to, size_t size, off_t pos)
{
    if (plan_fails(CALL_READ))
        return plans[CALL_READ].is_nothing ? 0 : -1;
    if (plans[CALL_READ].piece_bytes && size > plans[CALL_READ].piece_bytes)
        size = plans[CALL_READ].piece_bytes;
    return pread(fd, to, size, pos);
}

static ssize_t planned_pwrite(int fd, const void *from, size_t size, off_t pos)
{
    if (plan_fails(CALL_WRITE))
        return plans[CALL_WRITE].is_nothing ? 0 : -1;
    if (plans[CALL_WRITE].piece_bytes && size > plans[CALL_WRITE].piece_bytes)
        size = plans[CALL_WRITE].piece_bytes;
    return pwrite(fd, from, size, pos);
}

static int planned_fallocate(int fd, off_t pos, off_t size)
{
    if (plan_fails(CALL_TAKE))
        return errno;
#if defined(__APPLE__)
    return ftruncate(fd, pos + size) ? errno : 0;
#else
    return posix_fallocate(fd, pos, size);
#endif
}

static int planned_ftruncate(int fd, off_t size)
{
    return plan_fails(CALL_CUT) ? -1 : ftruncate(fd, size);
}

static int planned_fstat(int fd, struct stat *status)
{
    if (plan_fails(CALL_STAT)) {
        if (!plans[CALL_STAT].is_nothing)
            return -1;
        if (fstat(fd, status) != 0)
            return -1;
        status->st_size = -1;
        return 0;
    }
    return fstat(fd, status);
}

static void *planned_mmap(void *at, size_t size, int protection, int flags, int fd, off_t pos)
{
    return plan_fails(CALL_MAP) ? MAP_FAILED : mmap(at, size, protection, flags, fd, pos);
}

static int planned_msync(void *at, size_t size, int flags)
{
    return plan_fails(CALL_MSYNC) ? -1 : msync(at, size, flags);
}

static int planned_flock(int fd, int operation)
{
    return plan_fails(CALL_LOCK) ? -1 : flock(fd, operation);
}

#define pread planned_pread
#define pwrite planned_pwrite
#define posix_fallocate planned_fallocate
#define ftruncate planned_ftruncate
#define fstat planned_fstat
#define mmap planned_mmap
#define msync planned_msync
#define flock planned_flock
#endif

#define DYNBACKUP_IMPLEMENTATION
#define DYNBACKUP_KEEP_MACROS
#include "../dynbackup.h"

#if defined(WITH_FILES)
#undef pread
#undef pwrite
#undef posix_fallocate
#undef ftruncate
#undef fstat
#undef mmap
#undef flock
#endif

#include "check.h"
#include "fault.h"

static uint8_t byte_at(uint64_t pos, uint32_t seed)
{
    return (uint8_t)((pos * 2654435761u + seed * 40503u) >> 7);
}

static void fill(uint8_t *bytes, uint64_t pos, size_t size, uint32_t seed)
{
    size_t i;
    for (i = 0; i < size; ++i)
        bytes[i] = byte_at(pos + i, seed);
}

static int is_filled(const uint8_t *bytes, uint64_t pos, size_t size, uint32_t seed)
{
    size_t i;
    for (i = 0; i < size && bytes[i] == byte_at(pos + i, seed); ++i) {
    }
    return i == size;
}

static int is_zero(const uint8_t *bytes, size_t size)
{
    size_t i;
    for (i = 0; i < size && bytes[i] == 0; ++i) {
    }
    return i == size;
}

static int is_blank(const dynb_device *device)
{
    return !device->ctx && !device->read_fn && !device->write_fn && !device->sync_fn &&
           !device->size_fn && !device->resize_fn && !device->map_fn && !device->close_fn;
}

static uint64_t size_of(const dynb_device *device)
{
    uint64_t size = 77;
    CHECK_INT(device->size_fn(device->ctx, &size), DYNB_OK);
    return size;
}

/* ------------------------------------------------------------------- RAM -- */

/* Grows from nothing over many blocks; reads, writes and lends everywhere. */
static void test_ram_growth(check_random *random)
{
    static uint8_t bytes[200000], mirror[3000000];
    const uint8_t *first;
    fault_allocator memory;
    dynb_allocator allocator;
    dynb_device device;
    uint64_t size = 0;
    uint32_t i;
    memset(&memory, 0, sizeof memory);
    allocator = fault_allocator_of(&memory);
    CHECK_INT(dynb_ram_device_open(&device, 0, 0, &allocator, NULL), DYNB_OK);
    CHECK_INT(size_of(&device), 0);
    CHECK(device.map_fn(device.ctx, 0, 1) == NULL); /* no block yet */
    CHECK_INT(device.read_fn(device.ctx, 0, bytes, 1), DYNB_IO_FAILED);
    CHECK_INT(device.write_fn(device.ctx, 0, bytes, 1), DYNB_IO_FAILED);
    CHECK_INT(device.resize_fn(device.ctx, 1), DYNB_OK);
    first = (const uint8_t *)device.map_fn(device.ctx, 0, 1);
    memset(mirror, 0, sizeof mirror);
    for (i = 0; i < 400; ++i) {
        uint64_t pos, length;
        const uint8_t *lent;
        if (size < sizeof mirror && check_below(random, 5) == 0) {
            size += check_below(random, check_below(random, 8) ? 20000 : 900000);
            size = size > sizeof mirror ? sizeof mirror : size;
            CHECK_INT(device.resize_fn(device.ctx, size), DYNB_OK);
            CHECK_INT(size_of(&device), size ? size : 1);
        }
        if (!size)
            continue;
        pos = check_below(random, size);
        length = check_below(random, size - pos + 1);
        length = length > sizeof bytes ? sizeof bytes : length;
        CHECK_INT(device.read_fn(device.ctx, pos, bytes, (size_t)length), DYNB_OK);
        CHECK(memcmp(bytes, mirror + pos, (size_t)length) == 0);
        lent = (const uint8_t *)device.map_fn(device.ctx, pos, (size_t)length);
        CHECK(!lent || memcmp(lent, mirror + pos, (size_t)length) == 0);
        fill(mirror + pos, pos, (size_t)length, i);
        CHECK_INT(device.write_fn(device.ctx, pos, mirror + pos, (size_t)length), DYNB_OK);
        CHECK(!lent || memcmp(lent, mirror + pos, (size_t)length) == 0); /* lent, and seen */
    }
    CHECK(device.map_fn(device.ctx, 0, 1) == first); /* it never moved */
    CHECK(device.map_fn(device.ctx, 65536 - 8, 8) == first + 65536 - 8);
    CHECK(device.map_fn(device.ctx, 65536 - 8, 9) == NULL); /* across two blocks */
    CHECK(device.write_map_fn(device.ctx, 65536 - 8, 9) == NULL);
    {
        uint8_t *taken = (uint8_t *)device.write_map_fn(device.ctx, 100, 9);
        CHECK(taken == first + 100);
        memcpy(taken, "stored to", 9);
        CHECK_INT(device.read_fn(device.ctx, 100, bytes, 9), DYNB_OK);
        CHECK(memcmp(bytes, "stored to", 9) == 0);
    }
    CHECK_INT(device.resize_fn(device.ctx, 5), DYNB_OK);    /* never shrinks */
    CHECK_INT(size_of(&device), size);
    CHECK_INT(device.sync_fn(device.ctx), DYNB_OK);
    CHECK_INT(device.read_fn(device.ctx, (uint64_t)1 << 40, bytes, 1), DYNB_IO_FAILED);
    CHECK_INT(device.read_fn(device.ctx, UINT64_MAX, bytes, 1), DYNB_IO_FAILED);
    device.close_fn(device.ctx);
    CHECK_INT(memory.live_count, 0);
    CHECK_INT(memory.broken_count, 0);
}

static void *refuse_large(void *ctx, void *ptr, size_t old_size, size_t new_size)
{
    *(uint64_t *)ctx += 1;
    return new_size > 4000000 ? NULL : fault_resize((uint64_t *)ctx + 1, ptr, old_size, new_size);
}

/* Growth without memory changes nothing, and works once there is some. */
static void test_ram_failures(void)
{
    struct {
        uint64_t call_count;
        fault_allocator memory;
    } counted;
    dynb_allocator allocator;
    dynb_device device;
    dynb_error err;
    uint8_t bytes[100];
    uint32_t i;
    memset(&counted, 0, sizeof counted);
    allocator = fault_allocator_of(&counted.memory);
    for (i = 1; i <= 2; ++i) {
        counted.memory.fail_at = counted.memory.call_count + i;
        CHECK_INT(dynb_ram_device_open(&device, 100000, 0, &allocator, &err), DYNB_NO_MEMORY);
        CHECK(is_blank(&device) && err.code == DYNB_NO_MEMORY && err.message[0]);
        CHECK_INT(counted.memory.live_count, 0);
    }
    CHECK_INT(dynb_ram_device_open(&device, 100000, 0, &allocator, &err), DYNB_OK);
    fill(bytes, 0, sizeof bytes, 3);
    CHECK_INT(device.write_fn(device.ctx, 99900, bytes, 100), DYNB_OK);
    for (i = 1; i <= 3; ++i) { /* 98 KiB, and then as much as there is, three times */
        counted.memory.fail_at = counted.memory.call_count + 1;
        CHECK_INT(device.resize_fn(device.ctx, 800000), DYNB_NO_SPACE);
        CHECK_INT(size_of(&device), 100000);
        counted.memory.fail_at = counted.memory.call_count + 2;
        CHECK_INT(device.resize_fn(device.ctx, 800000), i < 3 ? DYNB_NO_SPACE : DYNB_OK);
    }
    CHECK_INT(size_of(&device), 800000);
    memset(bytes, 0, sizeof bytes);
    CHECK_INT(device.read_fn(device.ctx, 99900, bytes, 100), DYNB_OK);
    CHECK(is_filled(bytes, 0, sizeof bytes, 3));
    CHECK_INT(device.read_fn(device.ctx, 100000, bytes, 100), DYNB_OK);
    CHECK(is_zero(bytes, sizeof bytes));
    device.close_fn(device.ctx);
    CHECK_INT(counted.memory.live_count, 0);
    CHECK_INT(counted.memory.broken_count, 0);

    /* Sizes that nobody has: refused, not counted wrong. */
    allocator.resize_fn = refuse_large;
    allocator.ctx = &counted;
    counted.memory.fail_at = 0;
    CHECK_INT(dynb_ram_device_open(&device, 0, 0, &allocator, NULL), DYNB_OK);
    CHECK_INT(device.resize_fn(device.ctx, (uint64_t)1 << 40), DYNB_NO_SPACE);
    CHECK_INT(device.resize_fn(device.ctx, (uint64_t)1 << 63), DYNB_NO_SPACE);
    CHECK_INT(device.resize_fn(device.ctx, UINT64_MAX), DYNB_NO_SPACE);
    CHECK_INT(size_of(&device), 0);
    device.close_fn(device.ctx);
    CHECK_INT(counted.memory.live_count, 0);
    CHECK_INT(dynb_ram_device_open(&device, (uint64_t)1 << 48, 1, &allocator, &err),
              DYNB_NO_MEMORY);
    CHECK(is_blank(&device));
    CHECK_INT(dynb_ram_device_open(&device, ((uint64_t)1 << 48) + 1, 0, &allocator, &err),
              DYNB_INVALID_ARGUMENT);
    CHECK_INT(dynb_ram_device_open(&device, UINT64_MAX, 1, &allocator, &err),
              DYNB_INVALID_ARGUMENT);
    CHECK_TEXT(err.message, "size_bytes is 18446744073709551615");
    CHECK_INT(dynb_ram_device_open(&device, 0, 1, &allocator, &err), DYNB_INVALID_ARGUMENT);
    CHECK_TEXT(err.message, "size_bytes is 0");
    CHECK_INT(dynb_ram_device_open(NULL, 10, 0, NULL, &err), DYNB_INVALID_ARGUMENT);
    CHECK_INT(counted.memory.live_count, 0);
}

/* The last of the blocks there can be, without the memory for it. */
static void test_ram_last_block(void)
{
    dynbi_ram ram;
    uint8_t bytes[64];
    uint32_t i;
    memset(&ram, 0, sizeof ram);
    ram.block_bytes = 1;
    for (i = 0; i + 1 < DYNBI_RAM_BLOCKS; ++i)
        ram.blocks[i] = bytes;
    ram.size_bytes = dynbi_ram_block_first(&ram, DYNBI_RAM_BLOCKS - 1);
    /* where size_t is small the last blocks are beyond it */
    CHECK_INT(dynbi_ram_resize(&ram, ram.size_bytes),
              sizeof(size_t) >= 8 ? DYNB_OK : DYNB_NO_SPACE);
    CHECK_INT(dynbi_ram_resize(&ram, ram.size_bytes + 1), DYNB_NO_SPACE);
    CHECK(ram.blocks[DYNBI_RAM_BLOCKS - 1] == NULL);
}

/* What comes with growing is zeros, from the C library's memory as well, which
 * holds the garbage of blocks freed before. */
static void test_ram_grows_zeroed(void)
{
    static uint8_t bytes[3 * DYNBI_RAM_BLOCK_BYTES];
    dynb_device device;
    uint8_t *garbage = (uint8_t *)malloc(sizeof bytes);
    CHECK(garbage != NULL);
    memset(garbage, 0xa5, sizeof bytes);
    free(garbage);
    CHECK_INT(dynb_ram_device_open(&device, 0, 0, NULL, NULL), DYNB_OK);
    CHECK_INT(device.resize_fn(device.ctx, 1000), DYNB_OK);
    CHECK_INT(device.resize_fn(device.ctx, sizeof bytes), DYNB_OK);
    CHECK_INT(device.read_fn(device.ctx, 0, bytes, sizeof bytes), DYNB_OK);
    CHECK(is_zero(bytes, sizeof bytes));
    device.close_fn(device.ctx);
}

static void test_ram_fixed(void)
{
    dynb_device device;
    uint8_t bytes[100];
    CHECK_INT(dynb_ram_device_open(&device, 5000, 1, NULL, NULL), DYNB_OK);
    CHECK(device.resize_fn == NULL);
    CHECK_INT(size_of(&device), 5000);
    CHECK_INT(device.read_fn(device.ctx, 4900, bytes, 100), DYNB_OK);
    CHECK(is_zero(bytes, 100));
    CHECK(device.map_fn(device.ctx, 0, 5000) != NULL);
    CHECK(device.map_fn(device.ctx, 8192, 1) == NULL);
    device.close_fn(device.ctx);
}

/* ------------------------------------------------------------------ disk -- */

#define PAGE 512u
#define PAGES 200u

typedef struct bench {
    fault_device fault;
    fault_allocator memory;
    dynb_allocator allocator;
    dynbi_disk disk;
    dynbi_reader reader;
    uint8_t bytes[PAGES * PAGE];
} bench;

static void bench_open(bench *b, int mappable, int may_map, uint64_t cache_bytes,
                       uint32_t way_bytes)
{
    memset(b, 0, sizeof *b);
    fill(b->bytes, 0, sizeof b->bytes, 1);
    b->fault.mappable = mappable;
    fault_start(&b->fault, b->bytes, sizeof b->bytes, sizeof b->bytes);
    b->allocator = fault_allocator_of(&b->memory);
    b->disk.device = fault_device_of(&b->fault);
    b->disk.page_bytes = PAGE;
    b->disk.size_bytes = sizeof b->bytes;
    CHECK_INT(dynbi_reader_init(&b->reader, &b->disk, &b->allocator, cache_bytes, way_bytes, NULL),
              DYNB_OK);
    b->reader.may_map = may_map;
}

static void bench_close(bench *b)
{
    dynbi_reader_free(&b->reader);
    CHECK_INT(b->memory.live_count, 0);
    CHECK_INT(b->memory.broken_count, 0);
    CHECK_INT(b->fault.broken_promise_count, 0);
    fault_free(&b->fault);
}

static void plan_next(bench *b, fault_mode mode)
{
    b->fault.plan_call = b->fault.call_count + 1;
    b->fault.plan_mode = mode;
}

static void test_disk(void)
{
    static bench b;
    dynb_error err;
    uint8_t bytes[100];
    bench_open(&b, 0, 0, 0, PAGE);
    CHECK_INT(dynbi_disk_read(&b.disk, 777, bytes, 100, &err), DYNB_OK);
    CHECK(memcmp(bytes, b.bytes + 777, 100) == 0);
    plan_next(&b, FAULT_ONCE);
    CHECK_INT(dynbi_disk_read(&b.disk, 777, bytes, 100, &err), DYNB_IO_FAILED);
    CHECK_INT(err.code, DYNB_IO_FAILED);
    CHECK_INT(err.pos, 777);
    CHECK_TEXT(err.message, "the device failed to read 100 bytes at 777");
    CHECK(!b.disk.has_failed); /* a failed read harms nothing */
    CHECK_INT(dynbi_disk_read(&b.disk, 777, bytes, 100, NULL), DYNB_OK);
    CHECK_INT(dynbi_disk_write(&b.disk, 5, "abc", 3), DYNB_OK);
    CHECK_INT(dynbi_disk_sync(&b.disk), DYNB_OK);
    plan_next(&b, FAULT_NO_SPACE_ONCE);
    CHECK_INT(dynbi_disk_write(&b.disk, 5, "abc", 3), DYNB_NO_SPACE);
    plan_next(&b, FAULT_ONCE);
    CHECK_INT(dynbi_disk_sync(&b.disk), DYNB_IO_FAILED);
    CHECK(!b.disk.has_failed); /* whoever holds the lock says so */
    CHECK_INT(dynbi_disk_fail(&b.disk, &err), DYNB_IO_FAILED);
    CHECK(b.disk.has_failed && err.code == DYNB_IO_FAILED && err.pos == 0);
    CHECK_INT(dynbi_disk_fail(&b.disk, NULL), DYNB_IO_FAILED);
    bench_close(&b);
}

/* ---------------------------------------------------------------- reader -- */

static int lend(bench *b, uint32_t page, uint32_t count, uint32_t sum, dynbi_range *range)
{
    dynb_rc rc = dynbi_reader_lend(&b->reader, page, count, sum, range, NULL);
    CHECK_INT(rc, DYNB_OK);
    if (rc != DYNB_OK)
        return -1;
    CHECK(memcmp(range->bytes, b->fault.current + page * PAGE, (size_t)count * PAGE) == 0);
    return range->is_fresh;
}

static void give_back(bench *b, dynbi_range *range)
{
    dynbi_reader_return(&b->reader, range);
    CHECK(!range->bytes && !range->way && !range->spill);
}

static int touch(bench *b, uint32_t page, uint32_t sum)
{
    dynbi_range range;
    int is_fresh = lend(b, page, 1, sum, &range);
    give_back(b, &range);
    return is_fresh;
}

/* One set of four ways: the one unused longest goes; also when the clock wraps. */
static void test_reader_eviction(uint32_t clock)
{
    static bench b;
    dynbi_range ranges[6];
    uint32_t i;
    bench_open(&b, 0, 1, 4 * PAGE, PAGE);
    b.reader.clock = clock;
    CHECK_INT(b.reader.set_count, 1);
    for (i = 1; i <= 4; ++i)
        CHECK_INT(touch(&b, i, 100 + i), 1);
    CHECK_INT(touch(&b, 1, 101), 0);
    CHECK_INT(touch(&b, 5, 105), 1); /* in the place of 2 */
    CHECK_INT(touch(&b, 1, 101), 0);
    CHECK_INT(touch(&b, 3, 103), 0);
    CHECK_INT(touch(&b, 4, 104), 0);
    CHECK_INT(touch(&b, 2, 102), 1); /* in the place of 5 */
    CHECK_INT(touch(&b, 3, 104), 1); /* another node on the same page, in the place of 1 */
    CHECK_INT(touch(&b, 3, 103), 0);
    CHECK_INT(touch(&b, 3, 104), 0);
    dynbi_reader_forget(&b.reader, 3); /* both */
    CHECK_INT(touch(&b, 3, 104), 1);
    CHECK_INT(touch(&b, 3, 103), 1);
    CHECK_INT(touch(&b, 2, 102), 0);
    CHECK_INT(b.memory.live_count, 5);

    /* What is lent stays, whatever comes: the fifth has memory of its own. */
    for (i = 0; i < 6; ++i)
        CHECK_INT(lend(&b, 10 + i, 1, i, &ranges[i]), 1);
    CHECK(ranges[3].way && !ranges[3].spill && !ranges[4].way && ranges[4].spill);
    CHECK_INT(b.memory.live_count, 7);
    dynbi_reader_forget(&b.reader, 11); /* it is lent: it stays */
    dynbi_reader_trim(&b.reader);
    CHECK_INT(b.memory.live_count, 7);
    for (i = 0; i < 6; ++i)
        CHECK(memcmp(ranges[i].bytes, b.bytes + (10 + i) * PAGE, PAGE) == 0);
    give_back(&b, &ranges[4]);
    give_back(&b, &ranges[5]);
    CHECK_INT(b.memory.live_count, 5);
    CHECK_INT(lend(&b, 11, 1, 1, &ranges[5]), 0); /* lent twice */
    CHECK(ranges[5].way == ranges[1].way && ranges[1].way->pin_count == 2);
    for (i = 0; i < 6; ++i)
        if (i != 4)
            give_back(&b, &ranges[i]);
    dynbi_reader_trim(&b.reader);
    CHECK_INT(b.memory.live_count, 1);
    CHECK_INT(touch(&b, 11, 1), 1);
    bench_close(&b);
}

static uint64_t hash_of(uint32_t number)
{
    uint8_t key[4];
    dynbi_store32(key, number);
    return dynbi_filter_hash(key, sizeof key);
}

/* What was added is always there, of the rest nearly nothing. */
static void test_filter(uint32_t count, uint32_t most_wrong)
{
    static bench b;
    dynbi_filter filter;
    uint32_t i, wrong = 0, lacking = 0;
    bench_open(&b, 0, 0, 0, PAGE);
    dynbi_filter_start(&b.allocator, count, UINT64_MAX, &filter);
    CHECK_INT(filter.block_count, count * 10 / 512 + 1);
    for (i = 0; i < count; ++i)
        wrong += (uint32_t)dynbi_filter_has(&filter, hash_of(i));
    CHECK_INT(wrong, 0);
    for (i = 0; i < count; ++i)
        dynbi_filter_add(&filter, hash_of(i));
    for (i = 0; i < count; ++i)
        lacking += !dynbi_filter_has(&filter, hash_of(i));
    for (i = 0; i < 10000; ++i)
        wrong += (uint32_t)dynbi_filter_has(&filter, hash_of(count + i));
    CHECK_INT(lacking, 0);
    CHECK(wrong <= most_wrong);
    dynbi_filter_free(&b.allocator, &filter);
    CHECK(!filter.words && !dynbi_filter_bytes(&filter));

    dynbi_filter_start(&b.allocator, 1000, 1000 * 10 / 8 + 63, &filter); /* too large */
    CHECK(!filter.words && !dynbi_filter_bytes(&filter));
    dynbi_filter_start(&b.allocator, UINT64_MAX / 4, UINT64_MAX / 8, &filter);
    CHECK(!filter.words);
    b.memory.fail_at = b.memory.call_count + 1;
    dynbi_filter_start(&b.allocator, 1000, 1000 * 10 / 8 + 64, &filter);
    CHECK(!filter.words && !dynbi_filter_bytes(&filter));
    dynbi_filter_start(&b.allocator, 1000, 1000 * 10 / 8 + 64, &filter);
    CHECK(filter.words && dynbi_filter_bytes(&filter) <= 1000 * 10 / 8 + 64);
    dynbi_filter_free(&b.allocator, &filter);
    bench_close(&b);
}

/* Gives the reader a filter of a tree that holds one key, its page's number. */
static void keep(bench *b, uint32_t page, uint64_t key_count)
{
    dynbi_filter filter;
    dynbi_filter_start(&b->allocator, key_count, UINT64_MAX, &filter);
    dynbi_filter_add(&filter, hash_of(page));
    dynbi_reader_keep_filter(&b->reader, page, &filter);
    CHECK(!filter.words);
}

static int excludes(bench *b, uint32_t page, uint32_t number)
{
    uint64_t hash = 0;
    uint8_t key[4];
    dynbi_store32(key, number);
    return dynbi_reader_excludes(&b->reader, page, key, sizeof key, &hash);
}

/* Of the filters kept those unused longest go, also when the clock wraps. */
static void test_reader_filters(uint32_t clock)
{
    static bench b;
    uint32_t i;
    bench_open(&b, 0, 0, 0, PAGE);
    b.reader.clock = clock;
    dynbi_reader_use_filters(&b.reader, 1000 * 64);
    CHECK_INT(excludes(&b, 5, 6), 0); /* nothing is known */
    for (i = 0; i < DYNBI_FILTERS; ++i)
        keep(&b, i, 1);
    for (i = 0; i < DYNBI_FILTERS; ++i) {
        CHECK_INT(excludes(&b, i, i), 0);
        CHECK_INT(excludes(&b, i, i + 1000), 1);
    }
    CHECK_INT(excludes(&b, 0, 1000), 1);
    keep(&b, 100, 1); /* in the place of 1 */
    CHECK_INT(b.reader.filter_count, DYNBI_FILTERS);
    CHECK_INT(excludes(&b, 1, 1000), 0);
    CHECK_INT(excludes(&b, 0, 1000), 1);
    CHECK_INT(excludes(&b, 100, 1000), 1);
    dynbi_reader_forget(&b.reader, 100);
    CHECK_INT(b.reader.filter_count, DYNBI_FILTERS - 1);
    CHECK_INT(excludes(&b, 100, 1000), 0);

    keep(&b, 101, 50000); /* 977 blocks: one of the others too many ... */
    CHECK_INT(b.reader.filter_count, DYNBI_FILTERS);
    keep(&b, 102, 512); /* ... with these eleven */
    CHECK_INT(b.reader.filter_count, 1000 - 977 - 11 + 2);
    CHECK_INT(excludes(&b, 2, 1000), 0);
    CHECK_INT(excludes(&b, 0, 1000), 1);
    keep(&b, 103, 100000); /* however large it is */
    CHECK_INT(b.reader.filter_count, 1);
    CHECK_INT(excludes(&b, 103, 1000), 1);
    dynbi_reader_trim(&b.reader);
    CHECK_INT(b.memory.live_count, 1); /* the list of none */
    keep(&b, 104, 1);
    bench_close(&b); /* gives it back */
}

/* Memory and reading fail at each place; what is known stays true. */
static void test_reader_failures(void)
{
    static bench b;
    dynbi_range range;
    dynb_error err;
    bench_open(&b, 0, 0, 4 * 2 * PAGE, 2 * PAGE);
    b.memory.fail_at = b.memory.call_count + 1; /* no way: a spill */
    CHECK_INT(lend(&b, 7, 2, 1, &range), 1);
    CHECK(range.spill && !range.way);
    give_back(&b, &range);
    CHECK_INT(touch(&b, 7, 1), 1);
    CHECK_INT(lend(&b, 9, 3, 1, &range), 1); /* larger than a way */
    CHECK(range.spill && range.spill_bytes == 3 * PAGE);
    give_back(&b, &range);
    b.memory.fail_at = b.memory.call_count + 1;
    b.memory.fail_from = 1;
    CHECK_INT(dynbi_reader_lend(&b.reader, 9, 3, 1, &range, &err), DYNB_NO_MEMORY);
    CHECK(!range.bytes && !range.spill && err.code == DYNB_NO_MEMORY);
    CHECK_INT(dynbi_reader_lend(&b.reader, 9, 1, 1, &range, &err), DYNB_NO_MEMORY);
    CHECK_INT(touch(&b, 7, 1), 0); /* needs none */
    b.memory.fail_at = 0;
    plan_next(&b, FAULT_TORN);
    CHECK_INT(dynbi_reader_lend(&b.reader, 9, 3, 1, &range, &err), DYNB_IO_FAILED);
    CHECK(!range.bytes && !range.spill);
    CHECK_INT(err.pos, 9 * PAGE);
    plan_next(&b, FAULT_TORN);
    CHECK_INT(dynbi_reader_lend(&b.reader, 7, 1, 2, &range, &err), DYNB_IO_FAILED);
    CHECK(!range.bytes && !range.way);
    CHECK_INT(touch(&b, 7, 2), 1);
    CHECK_INT(touch(&b, 7, 2), 0);
    b.memory.fail_at = b.memory.call_count + 1;
    {
        dynbi_reader other;
        CHECK_INT(dynbi_reader_init(&other, &b.disk, &b.allocator, UINT64_MAX, PAGE, &err),
                  DYNB_NO_MEMORY);
        CHECK(other.set_count == 0 && other.ways == NULL);
        dynbi_reader_forget(&other, 3);
        dynbi_reader_trim(&other);
        dynbi_reader_free(&other);
    }
    bench_close(&b);
}

/* A device that lends its memory: each page is verified once, until forgotten. */
static void test_reader_mapped(void)
{
    static bench b;
    dynbi_range range;
    uint32_t i;
    bench_open(&b, 1, 1, 0, PAGE);
    CHECK_INT(lend(&b, 70, 3, 1, &range), 1);
    CHECK(range.bytes == b.fault.current + 70 * PAGE && !range.way && !range.spill);
    give_back(&b, &range);
    dynbi_reader_trust(&b.reader, 70); /* nobody told how many pages there are */
    dynbi_reader_forget(&b.reader, 70);
    CHECK_INT(touch(&b, 70, 1), 1);
    b.memory.fail_at = b.memory.call_count + 1;
    dynbi_reader_limit(&b.reader, 100);
    CHECK(b.reader.page_limit == 100 && b.reader.checked_limit == 0);
    dynbi_reader_limit(&b.reader, 100);
    CHECK(b.reader.page_limit == 100 && b.reader.checked_limit == 512);
    for (i = 60; i < 80; i += 2)
        dynbi_reader_trust(&b.reader, i);
    for (i = 55; i < 85; ++i)
        CHECK_INT(touch(&b, i, 1), i < 60 || i >= 80 || i % 2);
    dynbi_reader_limit(&b.reader, 512);
    CHECK_INT(b.reader.checked_limit, 512);
    b.memory.fail_at = b.memory.call_count + 1;
    dynbi_reader_limit(&b.reader, 513);
    CHECK(b.reader.page_limit == 513 && b.reader.checked_limit == 512);
    CHECK_INT(touch(&b, 70, 1), 0);
    dynbi_reader_limit(&b.reader, 5000);
    CHECK_INT(b.reader.checked_limit, 6656);
    for (i = 0; i < b.reader.checked_limit / 64; ++i) {
        uint64_t even = (uint64_t)0x5555555555555555u;
        uint64_t want = i == 0 ? even << 60 : i == 1 ? even & 0xffffu : 0;
        CHECK(b.reader.checked[i] == want);
    }
    dynbi_reader_forget(&b.reader, 70);
    CHECK_INT(touch(&b, 70, 1), 1);
    CHECK_INT(touch(&b, 72, 1), 0);
    b.reader.trusts_nothing = 1; /* what was verified before counts for nothing */
    CHECK_INT(touch(&b, 72, 1), 1);
    b.reader.trusts_nothing = 0;
    CHECK_INT(touch(&b, 72, 1), 0);
    b.reader.may_map = 0; /* as dynb_check's reader */
    CHECK_INT(lend(&b, 72, 1, 1, &range), 1);
    CHECK(range.spill != NULL);
    give_back(&b, &range);
    bench_close(&b);

    bench_open(&b, 0, 0, 0, PAGE); /* no bits where nothing is mapped */
    dynbi_reader_limit(&b.reader, 100);
    b.reader.may_map = 1;
    dynbi_reader_limit(&b.reader, 200);
    CHECK(b.reader.page_limit == 200 && b.reader.checked == NULL);
    bench_close(&b);

    bench_open(&b, 1, 1, 4 * PAGE, PAGE); /* maps some ranges and others not */
    b.fault.mappable = 0;
    CHECK_INT(touch(&b, 20, 1), 1);
    CHECK_INT(touch(&b, 20, 1), 0);
    b.reader.trusts_nothing = 1;
    CHECK_INT(touch(&b, 20, 1), 1);
    b.reader.trusts_nothing = 0;
    b.fault.mappable = 1;
    CHECK_INT(touch(&b, 20, 1), 1);
    bench_close(&b);
}

/* Lends and returns at random, while pages are written anew with other nodes. */
static void test_reader_random(check_random *random, uint64_t cache_bytes, uint32_t way_bytes,
                               int memory_fails)
{
    enum { LENT = 12 };
    static bench b;
    static uint32_t sums[PAGES];
    struct {
        dynbi_range range;
        uint32_t page, sum;
    } lent[LENT];
    uint64_t i, count = check_scaled(20000), hit_count = 0;
    uint32_t slot;
    memset(lent, 0, sizeof lent);
    bench_open(&b, 0, 0, cache_bytes, way_bytes);
    for (i = 0; i < PAGES; ++i) {
        sums[i] = (uint32_t)i;
        fill(b.fault.current + i * PAGE, i * PAGE, PAGE, sums[i]);
    }
    for (i = 0; i < count; ++i) {
        uint32_t page = 2 + (uint32_t)check_below(random, check_below(random, 3) ? 10 : PAGES - 4);
        uint32_t pages = 1 + (uint32_t)check_below(random, 8) / 7;
        slot = (uint32_t)check_below(random, LENT);
        if (lent[slot].range.bytes) { /* as it was when it was lent */
            CHECK(is_filled(lent[slot].range.bytes, lent[slot].page * PAGE, PAGE, lent[slot].sum));
            dynbi_reader_return(&b.reader, &lent[slot].range);
        } else if (check_below(random, 20) == 0) {
            sums[page] = (uint32_t)check_next(random);
            fill(b.fault.current + page * PAGE, page * PAGE, PAGE, sums[page]);
            if (check_below(random, 2))
                dynbi_reader_forget(&b.reader, page);
        } else if (check_below(random, 200) == 0) {
            dynbi_reader_trim(&b.reader);
        } else {
            dynb_rc rc;
            if (memory_fails)
                b.memory.fail_at = b.memory.call_count + 1 + check_below(random, 3);
            if (check_below(random, 50) == 0)
                plan_next(&b, FAULT_TORN);
            rc = dynbi_reader_lend(&b.reader, page, pages, sums[page] + pages, &lent[slot].range,
                                   NULL);
            CHECK(rc == DYNB_OK ? lent[slot].range.bytes != NULL : !lent[slot].range.bytes);
            lent[slot].page = page;
            lent[slot].sum = sums[page];
            hit_count += rc == DYNB_OK && !lent[slot].range.is_fresh;
            CHECK(rc != DYNB_OK ||
                  is_filled(lent[slot].range.bytes, page * PAGE, PAGE, sums[page]));
        }
    }
    CHECK((hit_count > 0) == (cache_bytes > 0));
    for (slot = 0; slot < LENT; ++slot)
        dynbi_reader_return(&b.reader, &lent[slot].range); /* harmless when empty */
    bench_close(&b);
}

#if defined(WITH_FILES)
/* ------------------------------------------------------------------ file -- */

static char directory[256];

static const char *path_of(const char *name)
{
    static char path[400];
    snprintf(path, sizeof path, "%s/%s", directory, name);
    return path;
}

static void make_directory(void)
{
    const char *base = getenv("TMPDIR");
    snprintf(directory, sizeof directory, "%.200s/unit-device-XXXXXX",
             base && *base ? base : "/tmp");
    if (!mkdtemp(directory)) {
        printf("unit_device: cannot make a directory like %s\n", directory);
        exit(2);
    }
}

static int open_file(dynb_device *device, const char *name, int read_only)
{
    dynb_rc rc = dynb_file_device_open(device, path_of(name), read_only, NULL, NULL);
    CHECK_INT(rc, DYNB_OK);
    return rc == DYNB_OK;
}

static dynbi_file *file_of(const dynb_device *device)
{
    return (dynbi_file *)device->ctx;
}

static void check_refused(const char *name, int read_only, dynb_rc expected, const char *told)
{
    dynb_device device;
    dynb_error err;
    memset(&device, 1, sizeof device);
    CHECK_INT(dynb_file_device_open(&device, path_of(name), read_only, NULL, &err), expected);
    CHECK(is_blank(&device));
    CHECK_INT(err.code, expected);
    CHECK(strstr(err.message, name) != NULL && strstr(err.message, told) != NULL);
}

static void test_file_opening(void)
{
    dynb_device device, second, third;
    fault_allocator memory;
    dynb_allocator allocator;
    dynb_error err;
    char text[32];
    CHECK_INT(dynb_file_device_open(NULL, path_of("a"), 0, NULL, &err), DYNB_INVALID_ARGUMENT);
    CHECK_TEXT(err.message, "device is NULL");
    CHECK_INT(dynb_file_device_open(&device, NULL, 0, NULL, &err), DYNB_INVALID_ARGUMENT);
    CHECK_TEXT(err.message, "path is NULL");
    snprintf(text, sizeof text, "(system error %d)", ENOENT);
    check_refused("missing", 1, DYNB_IO_FAILED, text);
    check_refused("missing/below", 0, DYNB_IO_FAILED, text);
    CHECK(mkdir(path_of("folder"), 0755) == 0);
    snprintf(text, sizeof text, "(system error %d)", EISDIR);
    check_refused("folder", 0, DYNB_IO_FAILED, text);
    check_refused("folder", 1, DYNB_IO_FAILED, "not an ordinary file");
    if (geteuid() != 0) { /* whom no permission stops */
        CHECK(chmod(path_of("folder"), 0555) == 0);
        snprintf(text, sizeof text, "(system error %d)", EACCES);
        check_refused("folder/denied", 0, DYNB_IO_FAILED, text);
    }
    CHECK(rmdir(path_of("folder")) == 0);

    /* Memory is asked for before anything is created. */
    memset(&memory, 0, sizeof memory);
    allocator = fault_allocator_of(&memory);
    memory.fail_at = 1;
    CHECK_INT(dynb_file_device_open(&device, path_of("a"), 0, &allocator, &err), DYNB_NO_MEMORY);
    CHECK(is_blank(&device) && access(path_of("a"), F_OK) != 0);
    memory.fail_at = memory.call_count + 1;
    CHECK_INT(dynb_file_device_open(&device, path_of("x/a"), 0, &allocator, &err), DYNB_NO_MEMORY);
    CHECK_INT(dynb_file_device_open(&device, path_of("x/a"), 0, &allocator, &err), DYNB_IO_FAILED);
    memory.fail_at = memory.call_count + 2;
    CHECK_INT(dynb_file_device_open(&device, path_of("a"), 0, &allocator, &err), DYNB_OK);
    CHECK(device.map_fn == NULL); /* without windows it copies */
    CHECK(dynbi_file_map(device.ctx, 0, 0) == NULL);
    CHECK_INT(size_of(&device), 0);

    /* One writer, or readers. */
    check_refused("a", 0, DYNB_LOCKED, "is open in another handle or process");
    check_refused("a", 1, DYNB_LOCKED, "is open in another handle or process");
    device.close_fn(device.ctx);
    CHECK_INT(memory.live_count, 0);
    CHECK_INT(memory.broken_count, 0);
    if (open_file(&device, "a", 1)) {
        if (open_file(&second, "a", 1)) {
            check_refused("a", 0, DYNB_LOCKED, "is open in another handle or process");
            second.close_fn(second.ctx);
        }
        check_refused("a", 0, DYNB_LOCKED, "is open in another handle or process");
        CHECK_INT(device.write_fn(device.ctx, 0, "a", 1), DYNB_IO_FAILED);
        CHECK_INT(device.resize_fn(device.ctx, 4096), DYNB_IO_FAILED);
        CHECK_INT(device.resize_fn(device.ctx, 0), DYNB_IO_FAILED);
        device.close_fn(device.ctx);
    }
    plans[CALL_STAT].error = EIO;
    check_refused("a", 0, DYNB_IO_FAILED, "not an ordinary file");
    memset(plans, 0, sizeof plans);
    plans[CALL_LOCK].error = ENOLCK; /* not locked by another, but not to be locked */
    snprintf(text, sizeof text, "(system error %d)", ENOLCK);
    check_refused("a", 0, DYNB_IO_FAILED, text);
    check_refused("a", 1, DYNB_IO_FAILED, "cannot lock the file");
    memset(plans, 0, sizeof plans);
    if (open_file(&third, "a", 0)) /* nothing kept the lock */
        third.close_fn(third.ctx);
    CHECK(unlink(path_of("a")) == 0);
}

static void test_file_moving(void)
{
    static uint8_t bytes[10000], same[10000];
    dynb_device device;
    size_t piece;
    if (!open_file(&device, "a", 0))
        return;
    fill(bytes, 0, sizeof bytes, 5);
    CHECK_INT(device.resize_fn(device.ctx, sizeof bytes), DYNB_OK);
    CHECK_INT(size_of(&device), sizeof bytes);
    CHECK_INT(device.read_fn(device.ctx, 0, same, sizeof same), DYNB_OK);
    CHECK(is_zero(same, sizeof same));
    for (piece = 0; piece < 4000; piece = piece * 5 + 97) { /* cut short and interrupted */
        memset(plans, 0, sizeof plans);
        plans[CALL_READ].piece_bytes = plans[CALL_WRITE].piece_bytes = piece;
        plans[CALL_READ].interrupted_count = plans[CALL_WRITE].interrupted_count = (int)piece % 4;
        fill(bytes, piece, sizeof bytes, 6);
        CHECK_INT(device.write_fn(device.ctx, 0, bytes, sizeof bytes), DYNB_OK);
        memset(same, 0, sizeof same);
        CHECK_INT(device.read_fn(device.ctx, 0, same, sizeof same), DYNB_OK);
        CHECK(memcmp(bytes, same, sizeof same) == 0);
        CHECK_INT(device.read_fn(device.ctx, 9990, same, 10), DYNB_OK);
        CHECK(memcmp(bytes + 9990, same, 10) == 0);
        CHECK_INT(device.read_fn(device.ctx, 9990, same, 11), DYNB_IO_FAILED); /* past its end */
        CHECK_INT(device.read_fn(device.ctx, 10000, same, 1), DYNB_IO_FAILED);
        CHECK_INT(device.read_fn(device.ctx, UINT64_MAX - 5, same, 1), DYNB_IO_FAILED);
        CHECK_INT(device.write_fn(device.ctx, UINT64_MAX - 5, same, 1), DYNB_IO_FAILED);
        CHECK_INT(device.sync_fn(device.ctx), DYNB_OK);
    }
    CHECK(plans[CALL_WRITE].call_count > 2);
    memset(plans, 0, sizeof plans);
    plans[CALL_READ].piece_bytes = plans[CALL_WRITE].piece_bytes = 3000; /* the third one fails */
    plans[CALL_READ].error = plans[CALL_WRITE].error = EIO;
    plans[CALL_READ].good_count = plans[CALL_WRITE].good_count = 2;
    CHECK_INT(device.read_fn(device.ctx, 0, same, sizeof same), DYNB_IO_FAILED);
    CHECK_INT(device.write_fn(device.ctx, 0, bytes, sizeof bytes), DYNB_IO_FAILED);
    CHECK_INT(plans[CALL_READ].call_count, 3);
    plans[CALL_WRITE].error = ENOSPC;
    CHECK_INT(device.write_fn(device.ctx, 0, bytes, 1), DYNB_NO_SPACE);
    plans[CALL_WRITE].is_nothing = 1; /* moved nothing, and errno says what it said before */
    CHECK_INT(device.write_fn(device.ctx, 0, bytes, 1), DYNB_IO_FAILED);
    memset(plans, 0, sizeof plans);
    CHECK_INT(device.read_fn(device.ctx, 0, same, 0), DYNB_OK);
    CHECK_INT(device.write_fn(device.ctx, 0, same, 0), DYNB_OK);

    /* The descriptor is gone. */
    close(file_of(&device)->fd);
    CHECK_INT(device.read_fn(device.ctx, 0, same, 1), DYNB_IO_FAILED);
    CHECK_INT(device.write_fn(device.ctx, 0, same, 1), DYNB_IO_FAILED);
    CHECK_INT(device.sync_fn(device.ctx), DYNB_IO_FAILED);
    CHECK_INT(device.resize_fn(device.ctx, 20000), DYNB_IO_FAILED);
    {
        uint64_t size = 5;
        CHECK_INT(device.size_fn(device.ctx, &size), DYNB_IO_FAILED);
        CHECK_INT(size, 5);
    }
    if (file_of(&device)->windows) { /* nor is a new window to be had */
        const uint64_t window = (uint64_t)1 << DYNBI_WINDOW_BITS;
        dynbi_file_show(file_of(&device), window + 1);
        CHECK(device.map_fn(device.ctx, window, 1) == NULL);
    }
    file_of(&device)->fd = open("/dev/null", O_RDWR);
    device.close_fn(device.ctx);
    CHECK(unlink(path_of("a")) == 0);
}

static void test_file_resize(void)
{
    struct rlimit before, low;
    uint8_t bytes[100];
    dynb_device device;
    uint64_t size;
    if (!open_file(&device, "a", 0))
        return;
    CHECK_INT(device.resize_fn(device.ctx, 10000), DYNB_OK);
    CHECK_INT(device.write_fn(device.ctx, 9990, "0123456789", 10), DYNB_OK);
    CHECK_INT(device.resize_fn(device.ctx, 10000), DYNB_OK);
    CHECK_INT(device.resize_fn(device.ctx, 9995), DYNB_OK); /* smaller */
    CHECK_INT(device.resize_fn(device.ctx, 10000), DYNB_OK);
    CHECK_INT(device.read_fn(device.ctx, 9990, bytes, 10), DYNB_OK);
    CHECK(memcmp(bytes, "01234\0\0\0\0", 10) == 0);

    /* The system's own limit on files: nothing is taken, nothing is lost. */
    (void)signal(SIGXFSZ, SIG_IGN);
    CHECK(getrlimit(RLIMIT_FSIZE, &before) == 0);
    low = before;
    low.rlim_cur = 65536;
    CHECK(setrlimit(RLIMIT_FSIZE, &low) == 0);
    CHECK_INT(device.resize_fn(device.ctx, 60000), DYNB_OK);
    CHECK_INT(device.resize_fn(device.ctx, 70000), DYNB_NO_SPACE);
    CHECK_INT(size_of(&device), 60000);
    CHECK_INT(device.resize_fn(device.ctx, (uint64_t)1 << 62), DYNB_NO_SPACE);
    CHECK(device.resize_fn(device.ctx, (uint64_t)1 << 63) != DYNB_OK);
    CHECK(device.resize_fn(device.ctx, UINT64_MAX) != DYNB_OK);
    CHECK_INT(size_of(&device), 60000);
    CHECK_INT(device.write_fn(device.ctx, 65500, bytes, 100), DYNB_IO_FAILED); /* cut short */
    CHECK(setrlimit(RLIMIT_FSIZE, &before) == 0);
    (void)signal(SIGXFSZ, SIG_DFL);
    CHECK_INT(device.resize_fn(device.ctx, 10000), DYNB_OK);

    /* Full: what was taken is given back, if that can be. */
    plans[CALL_TAKE].error = ENOSPC;
    CHECK_INT(device.resize_fn(device.ctx, 20000), DYNB_NO_SPACE);
    plans[CALL_CUT].error = EIO;
    CHECK_INT(device.resize_fn(device.ctx, 20000), DYNB_NO_SPACE);
    /* It cannot be taken ahead: the file just gets longer. */
    plans[CALL_TAKE].error = EINVAL;
    CHECK_INT(device.resize_fn(device.ctx, 20000), DYNB_IO_FAILED);
    plans[CALL_CUT].error = ENOSPC;
    CHECK_INT(device.resize_fn(device.ctx, 20000), DYNB_NO_SPACE);
    plans[CALL_CUT].error = EFBIG;
    CHECK_INT(device.resize_fn(device.ctx, 20000), DYNB_NO_SPACE);
    plans[CALL_CUT].error = 0;
    CHECK_INT(size_of(&device), 10000);
    CHECK_INT(device.resize_fn(device.ctx, 20000), DYNB_OK);
    CHECK_INT(size_of(&device), 20000);
    plans[CALL_STAT].error = EIO;
    size = 1;
    CHECK_INT(device.size_fn(device.ctx, &size), DYNB_IO_FAILED);
    CHECK_INT(device.resize_fn(device.ctx, 20000), DYNB_IO_FAILED);
    plans[CALL_STAT].is_nothing = 1; /* a size below zero */
    CHECK_INT(device.size_fn(device.ctx, &size), DYNB_IO_FAILED);
    CHECK_INT(size, 1);
    memset(plans, 0, sizeof plans);
    device.close_fn(device.ctx);
    CHECK(unlink(path_of("a")) == 0);
}

/* Windows of 1 GiB over a file with a hole in it. */
static void test_file_windows(void)
{
    const uint64_t window = (uint64_t)1 << DYNBI_WINDOW_BITS;
    const uint8_t *low, *high, *start;
    uint8_t bytes[64];
    dynb_device device;
    if (!open_file(&device, "a", 0))
        return;
    if (!device.map_fn) { /* too few addresses */
        device.close_fn(device.ctx);
        CHECK(unlink(path_of("a")) == 0);
        return;
    }
    CHECK(device.map_fn(device.ctx, 0, 1) == NULL); /* it is empty */
    CHECK_INT(device.resize_fn(device.ctx, 8192), DYNB_OK);
    start = (const uint8_t *)device.map_fn(device.ctx, 0, 8192);
    CHECK(start != NULL);
    if (truncate(path_of("a"), (off_t)window + 8192) != 0) {
        printf("unit_device: no file of 1 GiB, even with a hole\n");
        device.close_fn(device.ctx);
        CHECK(unlink(path_of("a")) == 0);
        return;
    }
    dynbi_file_show(file_of(&device), window + 8192); /* as resize_fn and open do */
    fill(bytes, 0, sizeof bytes, 8);
    CHECK_INT(device.write_fn(device.ctx, window - 32, bytes, 64), DYNB_OK);
    memset(bytes, 0, sizeof bytes);
    CHECK_INT(device.read_fn(device.ctx, window - 32, bytes, 64), DYNB_OK);
    CHECK(is_filled(bytes, 0, sizeof bytes, 8));
    CHECK(device.map_fn(device.ctx, window - 32, 33) == NULL); /* across two windows */
    low = (const uint8_t *)device.map_fn(device.ctx, window - 32, 32);
    high = (const uint8_t *)device.map_fn(device.ctx, window, 32);
    CHECK(low && is_filled(low, 0, 32, 8));
    CHECK(high && is_filled(high, 32, 32, 8));
    CHECK(device.map_fn(device.ctx, 0, 8192) == start && start[0] == 0);
    CHECK_INT(device.write_fn(device.ctx, 0, "seen", 4), DYNB_OK);
    CHECK(start && memcmp(start, "seen", 4) == 0);
    plans[CALL_MAP].error = ENOMEM;
    dynbi_file_show(file_of(&device), 4 * window);
    CHECK(device.map_fn(device.ctx, 2 * window, 1) == NULL);
    CHECK(device.map_fn(device.ctx, window, 1) == high); /* there already */
    CHECK(device.map_fn(device.ctx, DYNBI_WINDOW_COUNT * window, 1) == NULL);
    CHECK(device.map_fn(device.ctx, DYNBI_WINDOW_COUNT * window - 1, 1) == NULL);
    CHECK_INT(plans[CALL_MAP].call_count, 3);
    CHECK(device.map_fn(device.ctx, UINT64_MAX, 1) == NULL);
    memset(plans, 0, sizeof plans);
    device.close_fn(device.ctx);
    CHECK(unlink(path_of("a")) == 0);
}

#if defined(__linux__)
/* Memory to store to: what is stored there is written. */
static void test_file_stores(void)
{
    static uint8_t bytes[9000];
    struct stat before, after;
    dynb_device device;
    uint8_t *lent;
    if (!open_file(&device, "a", 0))
        return;
    CHECK(truncate(path_of("a"), 400000) == 0); /* nothing but a hole */
    CHECK(stat(path_of("a"), &before) == 0);
    lent = (uint8_t *)device.write_map_fn(device.ctx, 70000, sizeof bytes);
    CHECK(stat(path_of("a"), &after) == 0 && after.st_blocks > before.st_blocks);
    CHECK(lent != NULL && is_zero(lent, sizeof bytes));
    fill(bytes, 70000, sizeof bytes, 3);
    CHECK_INT(device.write_fn(device.ctx, 70000, bytes, 5000), DYNB_OK);
    CHECK(memcmp(lent, bytes, 5000) == 0); /* what is written is there */
    memcpy(lent + 5000, bytes + 5000, sizeof bytes - 5000);
    memset(bytes, 0, sizeof bytes);
    CHECK_INT(device.read_fn(device.ctx, 70000, bytes, sizeof bytes), DYNB_OK);
    CHECK(is_filled(bytes, 70000, sizeof bytes, 3)); /* what is stored is written */
    CHECK_INT(device.sync_fn(device.ctx), DYNB_OK);
    lent = (uint8_t *)device.write_map_fn(device.ctx, 200000, 200000); /* instead of the first */
    CHECK(lent != NULL);
    lent[199999] = 7;
    CHECK(device.write_map_fn(device.ctx, 200000, 200001) == NULL); /* past the end */
    CHECK(device.write_map_fn(device.ctx, UINT64_MAX, 1) == NULL);
    CHECK(device.write_map_fn(device.ctx, 0, SIZE_MAX) == NULL);
    CHECK_INT(device.sync_range_fn(device.ctx, 399999, 1), DYNB_OK);
    CHECK_INT(device.sync_range_fn(device.ctx, 0, 400000), DYNB_OK);
    CHECK_INT(plans[CALL_MSYNC].call_count, 2);
    plans[CALL_MSYNC].error = EIO;
    CHECK_INT(device.sync_range_fn(device.ctx, 70000, 10), DYNB_IO_FAILED);
    plans[CALL_MAP].error = ENOMEM; /* then all is synced */
    CHECK_INT(device.sync_range_fn(device.ctx, 70000, 10), DYNB_OK);
    CHECK_INT(plans[CALL_MSYNC].call_count, 3);
    memset(plans, 0, sizeof plans);
    plans[CALL_TAKE].error = ENOSPC; /* a full disk is met here, not while storing */
    CHECK(device.write_map_fn(device.ctx, 0, 512) == NULL);
    memset(plans, 0, sizeof plans);
    plans[CALL_MAP].error = ENOMEM;
    CHECK(device.write_map_fn(device.ctx, 0, 512) == NULL);
    memset(plans, 0, sizeof plans);
    plans[CALL_STAT].error = EIO;
    CHECK(device.write_map_fn(device.ctx, 0, 512) == NULL);
    memset(plans, 0, sizeof plans);
    device.close_fn(device.ctx);
    CHECK(open_file(&device, "a", 1) && device.write_map_fn == NULL);
    CHECK_INT(device.read_fn(device.ctx, 399999, bytes, 1), DYNB_OK);
    CHECK_INT(bytes[0], 7);
    device.close_fn(device.ctx);
    CHECK(unlink(path_of("a")) == 0);
}
#endif

static void test_files(void)
{
    make_directory();
#if defined(__linux__)
    test_file_stores();
#endif
    test_file_opening();
    test_file_moving();
    test_file_resize();
    test_file_windows();
    CHECK(rmdir(directory) == 0);
}
#elif defined(DYNBACKUP_NO_FILE)
static void test_files(void)
{
    dynb_device device;
    dynb_error err;
    memset(&device, 1, sizeof device);
    CHECK_INT(dynb_file_device_open(&device, "a", 0, NULL, &err), DYNB_INVALID_ARGUMENT);
    CHECK(is_blank(&device) && strstr(err.message, "DYNBACKUP_NO_FILE") != NULL);
    CHECK_INT(dynb_file_device_open(NULL, NULL, 0, NULL, &err), DYNB_INVALID_ARGUMENT);
}
#else
static void test_files(void)
{
}
#endif

int main(void)
{
    check_random random;
    random.state = check_seed("unit_device");
    test_ram_growth(&random);
    test_ram_failures();
    test_ram_last_block();
    test_ram_grows_zeroed();
    test_ram_fixed();
    test_disk();
    test_reader_eviction(0);
    test_reader_eviction(0xfffffffau);
    test_filter(1, 20);
    test_filter(1000, 300);
    test_filter(100000, 300);
    test_reader_filters(0);
    test_reader_filters(0xffffffe0u);
    test_reader_failures();
    test_reader_mapped();
    test_reader_random(&random, 0, PAGE, 0);
    test_reader_random(&random, 4 * PAGE, PAGE, 0);
    test_reader_random(&random, 40 * PAGE, 2 * PAGE, 1);
    test_files();
    return check_report("unit_device");
}
