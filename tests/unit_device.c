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

typedef enum call { CALL_READ, CALL_WRITE, CALL_TAKE, CALL_CUT, CALL_STAT, CALL_MAP, CALL_COUNT } call;

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

#define pread planned_pread
#define pwrite planned_pwrite
#define posix_fallocate planned_fallocate
#define ftruncate planned_ftruncate
#define fstat planned_fstat
#define mmap planned_mmap
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
    CHECK_INT(dynbi_ram_resize(&ram, ram.size_bytes), DYNB_OK);
    CHECK_INT(dynbi_ram_resize(&ram, ram.size_bytes + 1), DYNB_NO_SPACE);
    CHECK(ram.blocks[DYNBI_RAM_BLOCKS - 1] == NULL);
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
    CHECK_INT(lend(&b, 11, 1, 1, &ranges[4 + 1]), 0); /* leaks the spill on purpose: see below */
    CHECK(ranges[5].way == ranges[1].way && ranges[1].way->pin_count == 2);
    bench_close(&b);
}
