/* fuzz.h - what the fuzz targets of the store share: the input as a stream of
 * numbers, and a device of memory that can be filled, damaged and made to fail.
 *
 * A target ends the process through fuzz_fail when the engine breaks a promise
 * that holds for damaged stores too; all else is left to the sanitizers. */
#ifndef FUZZ_H
#define FUZZ_H

#define DYNBACKUP_IMPLEMENTATION
#include "../../dynbackup.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Built by fuzz.sh, the engine takes every checksum for right: then damage gets
 * deep inside, and what a store holds after it proves nothing. */
#if defined(FUZZING_BUILD_MODE_UNSAFE_FOR_PRODUCTION)
#define FUZZ_SUMS_COUNT 0
#else
#define FUZZ_SUMS_COUNT 1
#endif

static inline void fuzz_fail(const char *what, dynb_rc rc)
{
    fprintf(stderr, "fuzz: %s, code %d\n", what, (int)rc);
    abort();
}

/* -------------------------------------------------------------- input -- */

typedef struct fuzz_input {
    const uint8_t *at;
    const uint8_t *end;
} fuzz_input;

/* The next byte; 0 when there is none. */
static inline uint32_t fuzz_byte(fuzz_input *in)
{
    return in->at < in->end ? *in->at++ : 0;
}

static inline uint32_t fuzz_number(fuzz_input *in, int byte_count)
{
    uint32_t number = 0;
    while (byte_count-- > 0)
        number = number << 8 | fuzz_byte(in);
    return number;
}

/* ------------------------------------------------------------- device -- */

#define FUZZ_DEVICE_CAPACITY (2u << 20)

typedef struct fuzz_device {
    uint8_t *bytes; /* FUZZ_DEVICE_CAPACITY of them */
    uint64_t size_bytes;
    uint32_t calls_to_failure; /* 0: none comes */
} fuzz_device;

static inline int fuzz_device_fails(fuzz_device *d)
{
    return d->calls_to_failure && --d->calls_to_failure == 0;
}

static inline dynb_rc fuzz_read(void *ctx, uint64_t pos, void *to, size_t size_bytes)
{
    fuzz_device *d = (fuzz_device *)ctx;
    if (pos > d->size_bytes || size_bytes > d->size_bytes - pos)
        fuzz_fail("read outside the device", DYNB_OK);
    if (fuzz_device_fails(d))
        return DYNB_IO_FAILED;
    memcpy(to, d->bytes + pos, size_bytes);
    return DYNB_OK;
}

static inline dynb_rc fuzz_write(void *ctx, uint64_t pos, const void *from, size_t size_bytes)
{
    fuzz_device *d = (fuzz_device *)ctx;
    if (pos > d->size_bytes || size_bytes > d->size_bytes - pos)
        fuzz_fail("write outside the device", DYNB_OK);
    if (fuzz_device_fails(d))
        return DYNB_IO_FAILED;
    memcpy(d->bytes + pos, from, size_bytes);
    return DYNB_OK;
}

static inline dynb_rc fuzz_sync(void *ctx)
{
    return fuzz_device_fails((fuzz_device *)ctx) ? DYNB_IO_FAILED : DYNB_OK;
}

static inline dynb_rc fuzz_size(void *ctx, uint64_t *size_bytes)
{
    *size_bytes = ((fuzz_device *)ctx)->size_bytes;
    return DYNB_OK;
}

static inline dynb_rc fuzz_resize(void *ctx, uint64_t size_bytes)
{
    fuzz_device *d = (fuzz_device *)ctx;
    if (fuzz_device_fails(d))
        return DYNB_IO_FAILED;
    if (size_bytes > FUZZ_DEVICE_CAPACITY)
        return DYNB_NO_SPACE;
    if (size_bytes > d->size_bytes)
        memset(d->bytes + d->size_bytes, 0, (size_t)(size_bytes - d->size_bytes));
    d->size_bytes = size_bytes;
    return DYNB_OK;
}

static inline uint64_t fuzz_clock(void *ctx)
{
    return *(uint64_t *)ctx += 3;
}

static inline uint64_t fuzz_random(void *ctx)
{
    return *(uint64_t *)ctx = *(uint64_t *)ctx * 6364136223846793005u + 1442695040888963407u;
}

static inline void *fuzz_memory(size_t size_bytes)
{
    void *memory = calloc(1, size_bytes);
    if (!memory)
        fuzz_fail("the target has no memory", DYNB_NO_MEMORY);
    return memory;
}

static inline fuzz_device *fuzz_device_new(void)
{
    fuzz_device *d = (fuzz_device *)fuzz_memory(sizeof *d);
    d->bytes = (uint8_t *)fuzz_memory(FUZZ_DEVICE_CAPACITY);
    return d;
}

static inline void fuzz_device_copy(fuzz_device *to, const fuzz_device *from)
{
    memcpy(to->bytes, from->bytes, (size_t)from->size_bytes);
    to->size_bytes = from->size_bytes;
    to->calls_to_failure = 0;
}

/* -------------------------------------------------------------- store -- */

/* Opens d as a small store; clock and ids go on from the numbers in state. */
static inline dynb_rc fuzz_open(dynb **db, fuzz_device *d, uint32_t page_size_bytes, int read_only,
                         uint64_t state[2])
{
    dynb_device device;
    dynb_config config;
    memset(&device, 0, sizeof device);
    device.ctx = d;
    device.read_fn = fuzz_read;
    device.write_fn = fuzz_write;
    device.sync_fn = fuzz_sync;
    device.size_fn = fuzz_size;
    device.resize_fn = fuzz_resize;
    memset(&config, 0, sizeof config);
    config.device = &device;
    config.clock_fn = fuzz_clock;
    config.clock_ctx = &state[0];
    config.random_fn = fuzz_random;
    config.random_ctx = &state[1];
    config.memory_bytes = 512 * 1024;
    config.page_size_bytes = page_size_bytes;
    config.node_size_bytes = page_size_bytes;
    config.log_segment_bytes = 4096;
    config.create_backup_per_second = DYNB_UNLIMITED;
    config.read_only = read_only;
    config.manual_work = 1;
    return dynb_open(db, NULL, &config, NULL);
}

/* Table with partition key Id (S) and sort key At (N). */
static inline dynb_rc fuzz_create_table(dynb *db, const char *name)
{
    dynb_create_table_input input;
    memset(&input, 0, sizeof input);
    input.table_name = name;
    input.partition_key.name = "Id";
    input.partition_key.type = DYNB_S;
    input.sort_key.name = "At";
    input.sort_key.type = DYNB_N;
    return dynb_create_table(db, &input, NULL, NULL, NULL);
}

/* {Id: id, At: at, Pad: pad_bytes of B}; without Pad a key. */
static inline dynb_item fuzz_item(dynb_builder *builder, uint32_t id, uint32_t at,
                                  uint32_t pad_bytes)
{
    static const uint8_t pad[2048] = {1, 2, 3};
    char text[8];
    dynb_item item;
    snprintf(text, sizeof text, "k%u", (unsigned)(id % 1000));
    dynb_builder_begin(builder);
    dynb_add_string(builder, "Id", text, (size_t)-1);
    dynb_add_int(builder, "At", (int64_t)at);
    if (pad_bytes)
        dynb_add_binary(builder, "Pad", pad, pad_bytes % sizeof pad);
    if (dynb_builder_finish(builder, &item, NULL) != DYNB_OK)
        fuzz_fail("an item cannot be built", builder->error.code);
    return item;
}

/* Ends the process unless the call succeeded. */
static inline void fuzz_must(dynb_rc rc, const char *what)
{
    if (rc != DYNB_OK)
        fuzz_fail(what, rc);
}

#endif
