/* fault.h - a device that fails and loses power on demand, and an allocator
 * that fails and counts.
 *
 * THE DEVICE keeps two images: `current`, what reads see, and `durable`, what
 * surely survives a power cut. A write makes a new *version* of every 512-byte
 * sector that it touches; a sync, of everything or of a range, makes the newest
 * versions durable. At a power
 * cut each unsynced sector may hold its durable bytes or any of its versions,
 * independent of all others, a version may be torn at any byte, and the size
 * may be the old one or the new one, grown with zeros or with garbage.
 * fault_explore visits such crash images, each different one once:
 *
 *     none kept, all kept, each sector alone kept, each alone dropped,
 *     every subset up to exhaustive_count sectors, seeded samples above,
 *     the last write cut at each sector border and at some bytes,
 *     older versions of sectors written twice.
 *
 * A *plan* makes call number plan_call fail in one of the fault_modes. A hook
 * sees every call that changes the device, just before a sync and just after
 * anything else: the moments at which the set of crash images is largest.
 *
 * The device also checks what the header promises to devices, and counts each
 * breach in broken_promise_count.
 *
 * THE ALLOCATOR fails allocation number fail_at, once or from then on, counts
 * what is not freed, checks that old_size is right, and fills fresh and freed
 * memory with rubbish so that nobody relies on it. */
#ifndef FAULT_H
#define FAULT_H

#include "../dynbackup.h"
#include "check.h"

#define FAULT_SECTOR 512u
#define FAULT_NONE_LEFT 0xffffffffu

static inline void *fault_memory(void *old, size_t size_bytes)
{
    void *memory = realloc(old, size_bytes ? size_bytes : 1);
    if (!memory) {
        printf("the test itself has no memory left\n");
        exit(2);
    }
    return memory;
}

/* ---------------------------------------------------------- allocator -- */

typedef struct fault_allocator {
    uint64_t call_count; /* allocations and growths since counting began */
    uint64_t fail_at;    /* 0: none fails */
    int fail_from;       /* nonzero: all from fail_at on fail */
    uint64_t failed_count;
    uint64_t live_count;
    uint64_t live_bytes;
    uint64_t peak_bytes;
    uint64_t broken_count; /* old_size was not what had been asked for */
} fault_allocator;

typedef struct fault_block {
    size_t size_bytes;
    uint64_t mark;
} fault_block; /* 16 bytes: what follows stays aligned for any type */

#define FAULT_MARK 0x5ca1ab1e0ddba11u

static inline int fault_allocator_trips(fault_allocator *a)
{
    int trips;
    ++a->call_count;
    trips = a->fail_at && (a->fail_from ? a->call_count >= a->fail_at
                                        : a->call_count == a->fail_at);
    a->failed_count += trips ? 1 : 0;
    return trips;
}

static inline void *fault_resize(void *ctx, void *ptr, size_t old_size, size_t new_size)
{
    fault_allocator *a = (fault_allocator *)ctx;
    fault_block *old = ptr ? (fault_block *)ptr - 1 : NULL, *fresh = NULL;
    if (old ? old->mark != FAULT_MARK || old->size_bytes != old_size : old_size != 0)
        ++a->broken_count;
    if (new_size) {
        if ((!old || new_size > old->size_bytes) && fault_allocator_trips(a))
            return NULL;
        fresh = (fault_block *)fault_memory(NULL, sizeof *fresh + new_size);
        fresh->size_bytes = new_size;
        fresh->mark = FAULT_MARK;
        memset(fresh + 1, 0xa5, new_size);
        ++a->live_count;
        a->live_bytes += new_size;
    }
    if (old) {
        if (fresh)
            memcpy(fresh + 1, old + 1, old->size_bytes < new_size ? old->size_bytes : new_size);
        --a->live_count;
        a->live_bytes -= old->size_bytes;
        memset(old, 0xdd, sizeof *old + old->size_bytes);
        free(old);
    }
    if (a->live_bytes > a->peak_bytes)
        a->peak_bytes = a->live_bytes;
    return fresh ? fresh + 1 : NULL;
}

static inline dynb_allocator fault_allocator_of(fault_allocator *a)
{
    dynb_allocator allocator;
    allocator.resize_fn = fault_resize;
    allocator.ctx = a;
    return allocator;
}

/* ------------------------------------------------------------- device -- */

typedef enum fault_kind {
    FAULT_READ,
    FAULT_WRITE,
    FAULT_SYNC,
    FAULT_SIZE,
    FAULT_RESIZE,
    FAULT_KIND_COUNT
} fault_kind;

typedef enum fault_mode {
    FAULT_ONCE,          /* the call fails and has no effect */
    FAULT_FROM,          /* so do all later ones */
    FAULT_NO_SPACE_ONCE, /* writes and resizes only: the device is full, once ... */
    FAULT_NO_SPACE_FROM, /* ... or for good */
    FAULT_TORN,          /* half of the call happens, then it fails */
    FAULT_LOST_SYNC,     /* the sync fails, the unsynced bytes are gone, later syncs work */
    FAULT_MODE_COUNT
} fault_mode;

typedef struct fault_version {
    uint64_t hash;
    uint32_t before; /* the sector's version before this one; FAULT_NONE_LEFT: the durable one */
    uint8_t bytes[FAULT_SECTOR];
} fault_version;

typedef struct fault_dirty {
    uint64_t sector;
    uint64_t durable_hash;
    uint32_t version_count;
    uint32_t newest;
} fault_dirty;

typedef struct fault_device {
    uint8_t *current, *durable;
    uint64_t current_bytes, durable_bytes, capacity_bytes;
    uint64_t durable_hash;
    int track;    /* nonzero: keep versions; zero: every write is durable at once (fast) */
    int fixed;    /* nonzero: no resize_fn */
    int mappable; /* nonzero: lends its memory; it then never moves */
    int syncs_all; /* nonzero: no sync_range_fn */
    fault_dirty *dirty;
    uint32_t *dirty_of; /* of each sector: 1 + its index in dirty, 0: clean */
    fault_version *versions;
    uint32_t dirty_count, dirty_capacity, version_count, version_capacity;
    uint64_t last_sector, last_sector_count; /* of the last write */

    uint64_t call_count;
    uint64_t kind_count[FAULT_KIND_COUNT];
    uint8_t *kinds; /* of each call, when recording */
    uint64_t kinds_capacity;
    int recording;

    uint64_t plan_call; /* 0: no plan */
    fault_mode plan_mode;
    uint64_t tripped_count;
    int failed_write; /* a write or sync has failed: no further write may come */
    uint64_t broken_promise_count;
    uint64_t close_count;

    void (*hook_fn)(void *ctx, struct fault_device *device, fault_kind kind);
    void *hook_ctx;
} fault_device;

/* A 64-bit hash of bytes at a place. */
static inline uint64_t fault_hash(const uint8_t *bytes, size_t size_bytes, uint64_t place)
{
    uint64_t hash = place * 0x9e3779b97f4a7c15u + 0x632be59bd9b4e019u, word;
    size_t i = 0;
    for (; i + 8 <= size_bytes; i += 8) {
        memcpy(&word, bytes + i, 8);
        hash = (hash ^ word) * 0xff51afd7ed558ccdu;
        hash ^= hash >> 32;
    }
    for (; i < size_bytes; ++i)
        hash = (hash ^ bytes[i]) * 0xff51afd7ed558ccdu;
    hash ^= hash >> 29;
    hash *= 0xc4ceb9fe1a85ec53u;
    return hash ^ (hash >> 32);
}

static inline void fault_reserve(fault_device *d, uint64_t size_bytes)
{
    uint64_t capacity = d->capacity_bytes ? d->capacity_bytes : 64 * FAULT_SECTOR, i;
    if (size_bytes <= d->capacity_bytes)
        return;
    if (d->mappable && d->capacity_bytes) {
        printf("fault device: a lent memory cannot grow past its capacity\n");
        exit(2);
    }
    while (capacity < size_bytes)
        capacity *= 2;
    d->current = (uint8_t *)fault_memory(d->current, (size_t)capacity);
    memset(d->current + d->capacity_bytes, 0, (size_t)(capacity - d->capacity_bytes));
    if (d->track) {
        d->durable = (uint8_t *)fault_memory(d->durable, (size_t)capacity);
        memset(d->durable + d->capacity_bytes, 0, (size_t)(capacity - d->capacity_bytes));
        d->dirty_of = (uint32_t *)fault_memory(
            d->dirty_of, (size_t)(capacity / FAULT_SECTOR) * sizeof *d->dirty_of);
        for (i = d->capacity_bytes / FAULT_SECTOR; i < capacity / FAULT_SECTOR; ++i)
            d->dirty_of[i] = 0;
    }
    d->capacity_bytes = capacity;
}

/* Remembers what the sector holds now as its newest version. */
static inline void fault_push_version(fault_device *d, uint64_t sector)
{
    fault_dirty *dirty;
    fault_version *version;
    if (d->version_count == d->version_capacity) {
        d->version_capacity = d->version_capacity ? d->version_capacity * 2 : 64;
        d->versions = (fault_version *)fault_memory(d->versions,
                                                    d->version_capacity * sizeof *d->versions);
    }
    if (!d->dirty_of[sector]) {
        if (d->dirty_count == d->dirty_capacity) {
            d->dirty_capacity = d->dirty_capacity ? d->dirty_capacity * 2 : 64;
            d->dirty = (fault_dirty *)fault_memory(d->dirty, d->dirty_capacity * sizeof *d->dirty);
        }
        dirty = &d->dirty[d->dirty_count++];
        dirty->sector = sector;
        dirty->version_count = 0;
        dirty->newest = FAULT_NONE_LEFT;
        dirty->durable_hash = sector * FAULT_SECTOR < d->durable_bytes
                                  ? fault_hash(d->durable + sector * FAULT_SECTOR, FAULT_SECTOR,
                                               sector)
                                  : 0;
        d->dirty_of[sector] = d->dirty_count;
    }
    dirty = &d->dirty[d->dirty_of[sector] - 1];
    version = &d->versions[d->version_count];
    memcpy(version->bytes, d->current + sector * FAULT_SECTOR, FAULT_SECTOR);
    version->hash = fault_hash(version->bytes, FAULT_SECTOR, sector);
    version->before = dirty->newest;
    dirty->newest = d->version_count++;
    ++dirty->version_count;
}

/* Makes the newest version of a dirty sector durable. */
static inline void fault_make_durable(fault_device *d, const fault_dirty *dirty)
{
    memcpy(d->durable + dirty->sector * FAULT_SECTOR, d->versions[dirty->newest].bytes,
           FAULT_SECTOR);
    d->durable_hash += d->versions[dirty->newest].hash - dirty->durable_hash;
    if (dirty->sector * FAULT_SECTOR >= d->durable_bytes)
        d->durable_bytes = d->current_bytes; /* it implies the growth */
}

static inline void fault_forget_dirty(fault_device *d)
{
    uint32_t i;
    for (i = 0; i < d->dirty_count; ++i)
        d->dirty_of[d->dirty[i].sector] = 0;
    d->dirty_count = d->version_count = 0;
    d->last_sector_count = 0;
}

/* What a power cut that keeps nothing unsynced leaves; also the end of every
 * power cut that a test makes on the device itself. */
static inline void fault_drop_unsynced(fault_device *d)
{
    memcpy(d->current, d->durable, (size_t)d->durable_bytes);
    if (d->current_bytes > d->durable_bytes)
        memset(d->current + d->durable_bytes, 0, (size_t)(d->current_bytes - d->durable_bytes));
    d->current_bytes = d->durable_bytes;
    fault_forget_dirty(d);
}

/* Counts a call. Returns nonzero when the plan says that it fails. */
static inline int fault_trips(fault_device *d, fault_kind kind)
{
    int hit, later, trips = 0;
    ++d->kind_count[kind];
    if (d->recording) {
        if (d->call_count == d->kinds_capacity) {
            d->kinds_capacity = d->kinds_capacity ? d->kinds_capacity * 2 : 256;
            d->kinds = (uint8_t *)fault_memory(d->kinds, (size_t)d->kinds_capacity);
        }
        d->kinds[d->call_count] = (uint8_t)kind;
    }
    ++d->call_count;
    hit = d->plan_call && d->call_count == d->plan_call;
    later = d->plan_call && d->call_count > d->plan_call;
    switch (d->plan_mode) {
    case FAULT_ONCE:
    case FAULT_TORN: trips = hit; break;
    case FAULT_FROM: trips = hit || later; break;
    case FAULT_NO_SPACE_ONCE: trips = hit; break;
    case FAULT_NO_SPACE_FROM:
        trips = hit || (later && (kind == FAULT_WRITE || kind == FAULT_RESIZE));
        break;
    case FAULT_LOST_SYNC: trips = hit; break;
    case FAULT_MODE_COUNT: break;
    }
    if (trips) {
        ++d->tripped_count;
        if (kind == FAULT_WRITE || kind == FAULT_SYNC)
            d->failed_write = 1;
    }
    return trips;
}

static inline dynb_rc fault_code(const fault_device *d)
{
    return d->plan_mode == FAULT_NO_SPACE_ONCE || d->plan_mode == FAULT_NO_SPACE_FROM
               ? DYNB_NO_SPACE
               : DYNB_IO_FAILED;
}

static inline dynb_rc fault_read(void *ctx, uint64_t pos, void *to, size_t size_bytes)
{
    fault_device *d = (fault_device *)ctx;
    int trips = fault_trips(d, FAULT_READ);
    if (pos > d->current_bytes || size_bytes > d->current_bytes - pos) {
        ++d->broken_promise_count;
        return DYNB_IO_FAILED;
    }
    if (trips && d->plan_mode == FAULT_TORN) {
        memset(to, 0xee, size_bytes);
        memcpy(to, d->current + pos, size_bytes / 2);
    }
    if (trips)
        return fault_code(d);
    memcpy(to, d->current + pos, size_bytes);
    return DYNB_OK;
}

static inline void fault_store(fault_device *d, uint64_t pos, const void *from, size_t size_bytes)
{
    uint64_t sector = pos / FAULT_SECTOR;
    if (!size_bytes)
        return;
    memcpy(d->current + pos, from, size_bytes);
    if (!d->track)
        return;
    d->last_sector = sector;
    d->last_sector_count = (pos + size_bytes - 1) / FAULT_SECTOR - sector + 1;
    for (; sector < d->last_sector + d->last_sector_count; ++sector)
        fault_push_version(d, sector);
}

static inline dynb_rc fault_write(void *ctx, uint64_t pos, const void *from, size_t size_bytes)
{
    fault_device *d = (fault_device *)ctx;
    int trips;
    if (d->failed_write)
        ++d->broken_promise_count;
    trips = fault_trips(d, FAULT_WRITE);
    if (pos > d->current_bytes || size_bytes > d->current_bytes - pos) {
        ++d->broken_promise_count;
        return DYNB_IO_FAILED;
    }
    if (trips && d->plan_mode == FAULT_TORN)
        size_bytes /= 2;
    if (!trips || d->plan_mode == FAULT_TORN) {
        fault_store(d, pos, from, size_bytes);
        if (d->hook_fn)
            d->hook_fn(d->hook_ctx, d, FAULT_WRITE);
    }
    return trips ? fault_code(d) : DYNB_OK;
}

/* Makes the dirty sectors in [pos, end) durable, every second one if it is torn;
 * the others stay dirty, with their versions. */
static inline void fault_sync_sectors(fault_device *d, uint64_t pos, uint64_t end, int is_torn)
{
    uint64_t sector;
    uint32_t i, kept = 0;
    for (i = 0; i < d->dirty_count; ++i) {
        const fault_dirty dirty = d->dirty[i];
        const uint64_t at = dirty.sector * FAULT_SECTOR;
        if (at < end && at + FAULT_SECTOR > pos && !(is_torn && i % 2)) {
            fault_make_durable(d, &dirty);
            d->dirty_of[dirty.sector] = 0;
        } else {
            d->dirty[kept++] = dirty;
            d->dirty_of[dirty.sector] = kept;
        }
    }
    d->dirty_count = kept;
    if (kept == 0)
        d->version_count = 0;
    for (sector = d->last_sector; sector < d->last_sector + d->last_sector_count; ++sector)
        if (!d->dirty_of[sector])
            d->last_sector_count = 0; /* what was written last cannot be torn any more */
}

static inline dynb_rc fault_sync_range(void *ctx, uint64_t pos, uint64_t size_bytes)
{
    fault_device *d = (fault_device *)ctx;
    int trips = fault_trips(d, FAULT_SYNC);
    if (size_bytes > d->current_bytes || pos > d->current_bytes - size_bytes || !size_bytes)
        ++d->broken_promise_count;
    if (!d->track)
        return trips ? fault_code(d) : DYNB_OK;
    if (d->hook_fn)
        d->hook_fn(d->hook_ctx, d, FAULT_SYNC);
    if (!trips || d->plan_mode == FAULT_TORN)
        fault_sync_sectors(d, pos, pos + size_bytes, trips);
    if (trips && (d->plan_mode == FAULT_TORN || d->plan_mode == FAULT_LOST_SYNC))
        fault_drop_unsynced(d);
    return trips ? fault_code(d) : DYNB_OK;
}

static inline dynb_rc fault_sync(void *ctx)
{
    fault_device *d = (fault_device *)ctx;
    int trips = fault_trips(d, FAULT_SYNC);
    if (!d->track)
        return trips ? fault_code(d) : DYNB_OK;
    if (d->hook_fn)
        d->hook_fn(d->hook_ctx, d, FAULT_SYNC);
    if (!trips || d->plan_mode == FAULT_TORN)
        fault_sync_sectors(d, 0, ~(uint64_t)0, trips);
    if (trips && (d->plan_mode == FAULT_TORN || d->plan_mode == FAULT_LOST_SYNC))
        fault_drop_unsynced(d);
    if (!trips)
        d->durable_bytes = d->current_bytes;
    return trips ? fault_code(d) : DYNB_OK;
}

static inline dynb_rc fault_size(void *ctx, uint64_t *size_bytes)
{
    fault_device *d = (fault_device *)ctx;
    if (fault_trips(d, FAULT_SIZE))
        return fault_code(d);
    *size_bytes = d->current_bytes;
    return DYNB_OK;
}

static inline dynb_rc fault_resize_device(void *ctx, uint64_t size_bytes)
{
    fault_device *d = (fault_device *)ctx;
    uint64_t sector;
    if (fault_trips(d, FAULT_RESIZE))
        return fault_code(d);
    fault_reserve(d, size_bytes);
    if (size_bytes < d->current_bytes) {
        memset(d->current + size_bytes, 0, (size_t)(d->current_bytes - size_bytes));
        if (d->track) /* they may come back at a crash, or as zeros if it grows again */
            for (sector = size_bytes / FAULT_SECTOR;
                 sector < (d->current_bytes + FAULT_SECTOR - 1) / FAULT_SECTOR; ++sector)
                fault_push_version(d, sector);
    }
    d->current_bytes = size_bytes;
    if (d->hook_fn && d->track)
        d->hook_fn(d->hook_ctx, d, FAULT_RESIZE);
    return DYNB_OK;
}

static inline const void *fault_map(void *ctx, uint64_t pos, size_t size_bytes)
{
    fault_device *d = (fault_device *)ctx;
    if (!d->mappable || pos > d->current_bytes || size_bytes > d->current_bytes - pos)
        return NULL;
    return d->current + pos;
}

static inline void fault_close(void *ctx)
{
    ++((fault_device *)ctx)->close_count;
}

/* Starts a device of these bytes, all durable. capacity_bytes matters only for
 * a mappable one. */
static inline void fault_start(fault_device *d, const void *bytes, uint64_t size_bytes,
                               uint64_t capacity_bytes)
{
    uint64_t sector;
    d->current_bytes = d->durable_bytes = size_bytes;
    fault_reserve(d, size_bytes > capacity_bytes ? size_bytes : capacity_bytes);
    fault_reserve(d, 1);
    memset(d->current, 0, (size_t)d->capacity_bytes);
    if (bytes && size_bytes)
        memcpy(d->current, bytes, (size_t)size_bytes);
    d->durable_hash = 0;
    if (d->track) {
        memcpy(d->durable, d->current, (size_t)d->capacity_bytes);
        fault_forget_dirty(d);
        for (sector = 0; sector * FAULT_SECTOR < size_bytes; ++sector)
            d->durable_hash += fault_hash(d->durable + sector * FAULT_SECTOR, FAULT_SECTOR, sector);
    }
    d->call_count = d->tripped_count = d->plan_call = 0;
    memset(d->kind_count, 0, sizeof d->kind_count);
    d->failed_write = 0;
}

/* A store is opened on the device (again): promises begin anew. */
static inline dynb_device fault_device_of(fault_device *d)
{
    dynb_device device;
    memset(&device, 0, sizeof device);
    device.ctx = d;
    device.read_fn = fault_read;
    device.write_fn = fault_write;
    device.sync_fn = fault_sync;
    device.size_fn = fault_size;
    device.resize_fn = d->fixed ? NULL : fault_resize_device;
    device.map_fn = d->mappable ? fault_map : NULL;
    device.sync_range_fn = d->syncs_all ? NULL : fault_sync_range;
    device.close_fn = fault_close;
    d->failed_write = 0;
    return device;
}

static inline void fault_free(fault_device *d)
{
    free(d->current);
    free(d->durable);
    free(d->dirty);
    free(d->dirty_of);
    free(d->versions);
    free(d->kinds);
    memset(d, 0, sizeof *d);
}

/* ------------------------------------------------------- crash images -- */

typedef enum fault_grown { FAULT_OLD_SIZE, FAULT_ZEROS, FAULT_GARBAGE } fault_grown;

typedef struct fault_image {
    uint8_t *bytes;
    uint64_t size_bytes;
    uint64_t hash;
    int is_all;       /* nothing lost: what a killed process leaves */
    fault_grown grown;
    const char *what; /* for reports */
} fault_image;

/* Hashes seen, so that equal images are visited once. */
typedef struct fault_seen {
    uint64_t *slots;
    uint64_t count, capacity;
} fault_seen;

typedef struct fault_explorer {
    uint32_t exhaustive_count; /* all subsets of up to so many unsynced sectors */
    uint32_t sample_count;     /* random subsets when there are more */
    uint32_t single_count;     /* at most so many "one alone" images; 0: all */
    uint64_t salt;             /* images are told apart by this, too */
    check_random random;
    fault_seen seen;
    uint64_t state_count, repeated_count;
    int stop; /* set by the visitor: enough */
    void (*visit_fn)(void *ctx, const fault_image *image);
    void *visit_ctx;

    fault_image image;
    uint64_t image_capacity;
    uint32_t *keep; /* of each dirty sector: how many of its versions happened */
    uint32_t keep_capacity;
    uint32_t torn_index, torn_bytes; /* this sector's kept version stops at this byte */
    uint32_t turn;
} fault_explorer;

/* Adds the hash. Returns nonzero when it had been there. */
static inline int fault_seen_before(fault_seen *seen, uint64_t hash)
{
    uint64_t i, at;
    hash += !hash;
    if (seen->count * 2 >= seen->capacity) {
        fault_seen bigger;
        bigger.capacity = seen->capacity ? seen->capacity * 2 : 1024;
        bigger.count = 0;
        bigger.slots = (uint64_t *)fault_memory(NULL, (size_t)bigger.capacity * 8);
        memset(bigger.slots, 0, (size_t)bigger.capacity * 8);
        for (i = 0; i < seen->capacity; ++i)
            if (seen->slots[i])
                (void)fault_seen_before(&bigger, seen->slots[i]);
        free(seen->slots);
        *seen = bigger;
    }
    for (at = hash & (seen->capacity - 1); seen->slots[at]; at = (at + 1) & (seen->capacity - 1))
        if (seen->slots[at] == hash)
            return 1;
    seen->slots[at] = hash;
    ++seen->count;
    return 0;
}

static inline void fault_forget_seen(fault_seen *seen)
{
    if (seen->capacity)
        memset(seen->slots, 0, (size_t)seen->capacity * 8);
    seen->count = 0;
}

static inline void fault_explorer_free(fault_explorer *x)
{
    free(x->seen.slots);
    free(x->image.bytes);
    free(x->keep);
    memset(x, 0, sizeof *x);
}

/* The version of a dirty sector after `keep` writes to it; NULL: the durable. */
static inline const fault_version *fault_version_at(const fault_device *d, uint32_t index,
                                                    uint32_t keep)
{
    const fault_dirty *dirty = &d->dirty[index];
    uint32_t at = dirty->newest, left = dirty->version_count;
    if (!keep)
        return NULL;
    for (; left > keep; --left)
        at = d->versions[at].before;
    return &d->versions[at];
}

static inline void fault_put_sector(const fault_device *d, fault_explorer *x, uint32_t index)
{
    uint8_t *at = x->image.bytes + d->dirty[index].sector * FAULT_SECTOR;
    const fault_version *version = fault_version_at(d, index, x->keep[index]);
    const fault_version *older;
    if (!version)
        return;
    if (x->torn_index != index) {
        memcpy(at, version->bytes, FAULT_SECTOR);
        return;
    }
    older = fault_version_at(d, index, x->keep[index] - 1);
    if (older)
        memcpy(at, older->bytes, FAULT_SECTOR);
    memcpy(at, version->bytes, x->torn_bytes);
}

/* Builds the image that x->keep describes and shows it, unless seen before. */
static inline void fault_emit(const fault_device *d, fault_explorer *x, fault_grown grown,
                              const char *what)
{
    uint64_t hash = d->durable_hash + x->salt, i;
    uint32_t all_count = 0, index;
    if (x->stop)
        return;
    for (index = 0; index < d->dirty_count; ++index) {
        const fault_version *version = fault_version_at(d, index, x->keep[index]);
        if (version && d->dirty[index].sector * FAULT_SECTOR >= d->durable_bytes &&
            grown == FAULT_OLD_SIZE)
            grown = FAULT_ZEROS; /* what survives beyond the old end shows the new size */
        if (version)
            hash += version->hash - d->dirty[index].durable_hash;
        all_count += x->keep[index] == d->dirty[index].version_count;
    }
    if (d->current_bytes <= d->durable_bytes)
        grown = d->current_bytes < d->durable_bytes && grown ? FAULT_ZEROS : FAULT_OLD_SIZE;
    hash = hash * 31 + (uint64_t)grown * 0x1000003u;
    if (x->torn_index != FAULT_NONE_LEFT)
        hash = hash * 37 + x->torn_index * 1000u + x->torn_bytes;
    if (fault_seen_before(&x->seen, hash)) {
        ++x->repeated_count;
        return;
    }
    x->image.size_bytes = grown == FAULT_OLD_SIZE ? d->durable_bytes : d->current_bytes;
    if (x->image_capacity < d->capacity_bytes) {
        x->image_capacity = d->capacity_bytes;
        x->image.bytes = (uint8_t *)fault_memory(x->image.bytes, (size_t)x->image_capacity);
    }
    memcpy(x->image.bytes, d->durable, (size_t)d->durable_bytes);
    for (i = d->durable_bytes; i < x->image.size_bytes; ++i)
        x->image.bytes[i] = grown == FAULT_GARBAGE ? (uint8_t)(i * 2654435761u >> 13) : 0;
    for (index = 0; index < d->dirty_count; ++index)
        if (x->keep[index])
            fault_put_sector(d, x, index);
    x->image.hash = hash;
    x->image.grown = grown;
    x->image.is_all = all_count == d->dirty_count && x->torn_index == FAULT_NONE_LEFT &&
                      x->image.size_bytes == d->current_bytes;
    x->image.what = what;
    ++x->state_count;
    x->visit_fn(x->visit_ctx, &x->image);
}

/* With sizes taken in turn. */
static inline void fault_emit_turn(const fault_device *d, fault_explorer *x, const char *what)
{
    fault_emit(d, x, (fault_grown)(x->turn++ % 3), what);
}

static inline void fault_keep_all(const fault_device *d, fault_explorer *x, int newest)
{
    uint32_t i;
    for (i = 0; i < d->dirty_count; ++i)
        x->keep[i] = newest ? d->dirty[i].version_count : 0;
}

static inline void fault_explore_singles(const fault_device *d, fault_explorer *x)
{
    uint32_t n = d->dirty_count, step = 1, i;
    if (x->single_count && n > x->single_count)
        step = n / x->single_count + 1;
    for (i = (uint32_t)check_below(&x->random, step); i < n; i += step) {
        fault_keep_all(d, x, 0);
        x->keep[i] = d->dirty[i].version_count;
        fault_emit_turn(d, x, "one unsynced sector kept");
        fault_keep_all(d, x, 1);
        x->keep[i] = 0;
        fault_emit_turn(d, x, "one unsynced sector dropped");
    }
}

static inline void fault_explore_subsets(const fault_device *d, fault_explorer *x)
{
    uint32_t n = d->dirty_count, mask, i, sample;
    if (n <= x->exhaustive_count) {
        for (mask = 1; mask + 1 < 1u << n; ++mask) {
            for (i = 0; i < n; ++i)
                x->keep[i] = mask >> i & 1u ? d->dirty[i].version_count : 0;
            fault_emit_turn(d, x, "a subset of the unsynced sectors kept");
        }
        return;
    }
    for (sample = 0; sample < x->sample_count; ++sample) {
        uint64_t chance = 1 + check_below(&x->random, 15);
        for (i = 0; i < n; ++i)
            x->keep[i] = check_below(&x->random, 16) < chance
                             ? d->dirty[i].version_count -
                                   (check_below(&x->random, 4) == 0
                                        ? (uint32_t)check_below(&x->random,
                                                                d->dirty[i].version_count)
                                        : 0)
                             : 0;
        fault_emit_turn(d, x, "a sample of the unsynced sectors kept");
    }
}

static inline void fault_explore_tears(const fault_device *d, fault_explorer *x)
{
    uint64_t cut, s;
    uint32_t index, tear;
    if (x->single_count && d->last_sector_count > x->single_count)
        return;
    for (cut = 0; cut < d->last_sector_count; ++cut) {
        fault_keep_all(d, x, 1);
        for (s = cut; s < d->last_sector_count; ++s)
            --x->keep[d->dirty_of[d->last_sector + s] - 1];
        fault_emit_turn(d, x, "the last write cut at a sector border");
        index = d->dirty_of[d->last_sector + cut] - 1;
        x->keep[index] = d->dirty[index].version_count;
        x->torn_index = index;
        for (tear = 0; tear < 2; ++tear) {
            x->torn_bytes = 1 + (uint32_t)check_below(&x->random, FAULT_SECTOR - 1);
            fault_emit_turn(d, x, "the last write cut inside a sector");
        }
        x->torn_index = FAULT_NONE_LEFT;
    }
}

static inline void fault_explore_versions(const fault_device *d, fault_explorer *x)
{
    uint32_t i, version, step;
    for (i = 0; i < d->dirty_count; ++i) {
        step = d->dirty[i].version_count / 8 + 1;
        for (version = 1; version < d->dirty[i].version_count; version += step) {
            fault_keep_all(d, x, 0);
            x->keep[i] = version;
            fault_emit_turn(d, x, "an older version of one sector kept");
            fault_keep_all(d, x, 1);
            x->keep[i] = version;
            fault_emit_turn(d, x, "one sector back at an older version");
        }
    }
}

/* Visits the crash images of this moment. */
static inline void fault_explore(fault_explorer *x, const fault_device *d)
{
    if (x->keep_capacity < d->dirty_count) {
        x->keep_capacity = d->dirty_count * 2;
        x->keep = (uint32_t *)fault_memory(x->keep, x->keep_capacity * sizeof *x->keep);
    }
    x->torn_index = FAULT_NONE_LEFT;
    fault_keep_all(d, x, 0);
    fault_emit(d, x, FAULT_OLD_SIZE, "nothing unsynced kept");
    if (d->current_bytes != d->durable_bytes) {
        fault_emit(d, x, FAULT_ZEROS, "nothing kept, grown with zeros");
        fault_emit(d, x, FAULT_GARBAGE, "nothing kept, grown with garbage");
    }
    if (d->dirty_count == 0)
        return;
    fault_keep_all(d, x, 1);
    fault_emit(d, x, FAULT_ZEROS, "everything kept");
    if (d->current_bytes != d->durable_bytes)
        fault_emit(d, x, FAULT_GARBAGE, "everything kept, grown with garbage");
    fault_explore_tears(d, x);
    if (d->dirty_count > 1) {
        if (d->dirty_count > x->exhaustive_count)
            fault_explore_singles(d, x);
        fault_explore_subsets(d, x);
    }
    fault_explore_versions(d, x);
}

#endif
