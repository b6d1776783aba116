/* unit_log.c - section 21: the log against a list of what was appended to it,
 * on a device that is cut, flipped, full, failing and losing power. */
#define DYNBACKUP_IMPLEMENTATION
#define DYNBACKUP_KEEP_MACROS
#include "../dynbackup.h"

#include "check.h"
#include "fault.h"

#define PAGE 512u
#define ENTRIES_MAX 4000u

/* ----------------------------------------------------------------- world -- */

/* A frame that was appended. */
typedef struct entry {
    uint64_t pos, time_ms, durable_lsn;
    uint32_t size_bytes, payload_size, epoch, kind;
} entry;

/* What a store's superblock says of its log. */
typedef struct superblock {
    dynbi_log_mark mark;
    dynbi_segment segment;
    uint64_t durable_lsn;
    uint32_t epoch;
} superblock;

typedef struct world {
    fault_device fault;
    fault_allocator memory;
    dynb_allocator allocator;
    dynbi_disk disk;
    dynbi_log log;
    superblock super;
    dynbi_buffer frame;
    uint32_t page_limit;    /* pages of the device that may be given out */
    uint32_t largest;       /* pages in the largest extent that is given out; 0: no limit */
    int no_map_memory;      /* the map of pages cannot grow */
    uint64_t entry_count;   /* entry i has lsn i + 1 */
    entry entries[ENTRIES_MAX];
} world;

static const dynb_allocator plain; /* malloc's */

static uint8_t payload_byte(uint64_t lsn, uint32_t i)
{
    return (uint8_t)((lsn * 977u + i * 31u) >> (i & 3u));
}

static int overlaps(const dynbi_segment *segment, uint32_t page, uint32_t count)
{
    return page < segment->page + segment->page_count && segment->page < page + count;
}

/* The first extent that holds no segment to be used. What is given out anew keeps its
 * old bytes: dead frames, dead heads. */
static uint32_t give_pages(void *ctx, uint32_t count)
{
    world *w = (world *)ctx;
    uint32_t page = 2, i;
    int is_free = 0;
    if (w->no_map_memory)
        return DYNBI_PAGE_NO_MEMORY;
    if (w->largest && count > w->largest)
        return DYNBI_PAGE_NONE;
    dynbi_log_give_back(&w->log); /* as a marking does */
    while (!is_free) {
        is_free = 1;
        if (page + count > w->page_limit)
            return DYNBI_PAGE_NONE;
        for (i = 0; is_free && i < w->log.segment_count; ++i)
            is_free = !overlaps(&w->log.segments[i], page, count);
        for (i = 0; is_free && i < w->log.reserved_count; ++i)
            is_free = !overlaps(&w->log.reserved[i], page, count);
        for (i = 0; is_free && i < w->log.spare_count; ++i)
            is_free = !overlaps(&w->log.spares[i], page, count);
        page += !is_free;
    }
    return page;
}

static void start_log(world *w, uint32_t segment_bytes, uint32_t buffer_bytes)
{
    memset(&w->log, 0, sizeof w->log);
    w->log.disk = &w->disk;
    w->log.allocator = &w->allocator;
    w->log.buffer.allocator = &w->allocator;
    memcpy(w->log.store_id, "a log of a store", 16);
    w->log.allocate_fn = give_pages;
    w->log.ctx = w;
    w->log.segment_bytes = segment_bytes;
    w->log.buffer_bytes = buffer_bytes;
    w->log.seed = dynbi_log_seed(w->log.store_id, 0);
}

static void world_init(world *w, uint32_t page_count, int track)
{
    memset(w, 0, sizeof *w);
    w->frame.allocator = &plain;
    w->fault.track = track;
    fault_start(&w->fault, NULL, (uint64_t)page_count * PAGE, 0);
    w->allocator = fault_allocator_of(&w->memory);
    w->disk.device = fault_device_of(&w->fault);
    w->disk.page_bytes = PAGE;
    w->disk.size_bytes = (uint64_t)page_count * PAGE;
    w->page_limit = page_count;
}

/* A new log, as a new store makes it. */
static void world_open(world *w, uint32_t page_count, uint32_t segment_bytes,
                       uint32_t buffer_bytes, int track)
{
    world_init(w, page_count, track);
    start_log(w, segment_bytes, buffer_bytes);
    dynbi_log_use_spares(&w->log);
    CHECK_INT(dynbi_log_reserve_segment(&w->log, 0, NULL), DYNB_OK);
    CHECK_INT(dynbi_log_reserve_segment(&w->log, 0, NULL), DYNB_OK);
    CHECK_INT(dynbi_log_enter(&w->log, NULL), DYNB_OK);
    CHECK_INT(dynbi_disk_sync(&w->disk), DYNB_OK);
    w->super.segment = w->log.segments[0];
}

static void world_close(world *w)
{
    dynbi_log_free(&w->log);
    dynbi_buffer_free(&w->frame);
    CHECK_INT(w->memory.live_count, 0);
    CHECK_INT(w->memory.broken_count, 0);
    CHECK_INT(w->fault.broken_promise_count, 0);
    fault_free(&w->fault);
}

static void note_entry(world *w, uint32_t kind, uint32_t payload_size, const dynbi_log_mark *before,
                       uint64_t durable_lsn)
{
    entry *e = &w->entries[w->entry_count];
    CHECK(w->entry_count + 1 < ENTRIES_MAX);
    CHECK_INT(w->log.tail.lsn, w->entry_count + 1);
    e->pos = before->pos;
    e->time_ms = w->log.tail.time_ms;
    e->durable_lsn = durable_lsn;
    e->size_bytes = (uint32_t)(w->log.tail.pos - before->pos);
    e->payload_size = payload_size;
    e->epoch = w->log.tail.epoch;
    e->kind = kind;
    w->entry_count += w->entry_count + 1 < ENTRIES_MAX;
}

static dynb_rc append_frame(world *w, uint32_t kind, uint32_t payload_size, int is_buffered,
                            dynb_error *err)
{
    uint64_t size = ((uint64_t)DYNBI_FRAME_HEAD_BYTES + payload_size + 7) & ~(uint64_t)7;
    dynbi_log_mark before = w->log.tail;
    uint64_t durable_lsn = w->log.durable_lsn;
    uint32_t i;
    dynb_rc rc = dynbi_log_reserve(&w->log, size, err);
    if (rc != DYNB_OK)
        return rc;
    w->frame.used_bytes = 0;
    if (!dynbi_buffer_reserve(&w->frame, (size_t)size))
        exit(2);
    memset(w->frame.bytes, 0xcc, (size_t)size);
    for (i = 0; i < payload_size; ++i)
        w->frame.bytes[DYNBI_FRAME_HEAD_BYTES + i] = payload_byte(w->entry_count + 1, i);
    if (kind == DYNBI_FRAME_OPEN)
        dynbi_store32(w->frame.bytes + DYNBI_FRAME_HEAD_BYTES, w->log.tail.epoch);
    w->frame.used_bytes = DYNBI_FRAME_HEAD_BYTES + payload_size;
    w->log.tail.time_ms += w->entry_count % 3;
    rc = dynbi_log_append(&w->log, &w->frame, kind, w->entry_count % 2,
                          is_buffered ? DYNB_BUFFERED : DYNB_TO_OS, err);
    if (rc == DYNB_OK)
        note_entry(w, kind, payload_size, &before, durable_lsn);
    else
        w->log.tail.time_ms = before.time_ms;
    return rc;
}

static dynb_rc append(world *w, uint32_t payload_size, int is_buffered)
{
    dynb_error err;
    dynb_rc rc = append_frame(w, DYNBI_FRAME_CHANGES, payload_size, is_buffered, &err);
    CHECK(rc == DYNB_OK || (err.code == rc && err.message[0]));
    return rc;
}

/* A new life: the superblock tells its epoch, then its first frame does. */
static dynb_rc begin(world *w)
{
    dynbi_log_mark before = w->log.tail;
    uint32_t seed = w->log.seed;
    dynb_rc rc;
    if (dynbi_disk_sync(&w->disk) != DYNB_OK)
        return dynbi_disk_fail(&w->disk, NULL);
    ++w->super.epoch;
    w->super.durable_lsn = w->log.durable_lsn = w->log.tail.lsn;
    rc = dynbi_log_reserve(&w->log, DYNBI_FRAME_HEAD_BYTES + 8, NULL);
    if (rc != DYNB_OK)
        return rc;
    w->log.tail.epoch = w->super.epoch;
    w->log.seed = dynbi_log_seed(w->log.store_id, w->super.epoch);
    rc = append_frame(w, DYNBI_FRAME_OPEN, 4, 0, NULL);
    if (rc != DYNB_OK) {
        w->log.tail = before;
        w->log.seed = seed;
    }
    return rc;
}

/* The log before the tail is no longer needed. */
static void checkpoint(world *w)
{
    CHECK_INT(dynbi_log_sync(&w->log, NULL), DYNB_OK);
    w->super.mark = w->log.tail;
    w->super.segment = *dynbi_log_segment_at(&w->log, w->super.mark.pos);
    w->super.durable_lsn = w->log.tail.lsn;
    dynbi_log_trim(&w->log, w->super.segment.first_pos, 1);
    CHECK_INT(w->log.segments[0].first_pos, w->super.segment.first_pos);
}

static int frame_is(const dynbi_frame *frame, const entry *e, uint64_t lsn)
{
    uint32_t i;
    if (frame->lsn != lsn || frame->pos != e->pos || frame->time_ms != e->time_ms ||
        frame->durable_lsn != e->durable_lsn || frame->size_bytes != e->size_bytes ||
        frame->payload_size != e->payload_size || frame->epoch != e->epoch ||
        frame->kind != e->kind || frame->flags != (lsn - 1) % 2)
        return 0;
    for (i = 0; e->kind == DYNBI_FRAME_CHANGES && i < e->payload_size; ++i)
        if (frame->payload[i] != payload_byte(lsn, i))
            return 0;
    return 1;
}

static void scan_start(world *w, const superblock *from, dynbi_log *log, dynbi_log_scan *scan)
{
    memset(scan, 0, sizeof *scan);
    scan->log = log;
    scan->buffer.allocator = &w->allocator;
    scan->at = from->mark;
    scan->seed = dynbi_log_seed(log->store_id, scan->at.epoch);
    scan->epoch_limit = from->epoch;
    scan->disk_bytes = w->disk.size_bytes;
}

/* Opens the log on the device into `log`, as a store does. *last_lsn: of the last
 * frame shown; a frame that was not appended so is a failed check. */
static dynb_rc recover(world *w, dynbi_log *log, uint64_t *last_lsn, dynb_error *err)
{
    dynbi_log_scan scan;
    dynbi_frame frame;
    int is_good = 0, is_end = 0;
    dynb_rc rc;
    scan_start(w, &w->super, log, &scan);
    scan.verify = scan.follow = scan.any_chain = 1;
    scan.next = w->super.segment;
    *last_lsn = w->super.mark.lsn;
    if (!dynbi_log_list_reserve(log)) {
        dynbi_log_scan_free(&scan);
        return dynbi_fail(err, DYNB_NO_MEMORY, "no memory");
    }
    log->segments[0] = w->super.segment;
    rc = dynbi_log_read_head(&scan, w->super.segment.first_pos, &is_good, err);
    scan.any_chain = 0;
    if (rc == DYNB_OK && !is_good)
        rc = dynbi_fail(err, DYNB_CORRUPT, "first segment");
    while (rc == DYNB_OK && !is_end) {
        rc = dynbi_log_scan_next(&scan, &frame, &is_end, err);
        if (rc == DYNB_OK && !is_end) {
            CHECK(frame.lsn == *last_lsn + 1 && frame.lsn <= w->entry_count &&
                  frame_is(&frame, &w->entries[frame.lsn - 1], frame.lsn));
            *last_lsn = frame.lsn;
        }
    }
    if (rc == DYNB_OK)
        rc = dynbi_log_scan_judge(&scan, w->super.durable_lsn, err);
    if (rc == DYNB_OK)
        dynbi_log_adopt(log, &scan);
    dynbi_log_scan_free(&scan);
    log->durable_lsn = w->super.durable_lsn;
    return rc;
}

/* Recovers into a log of its own and forgets it. */
static dynb_rc probe(world *w, uint64_t *last_lsn, dynb_error *err)
{
    dynbi_log live = w->log;
    dynb_rc rc;
    start_log(w, live.segment_bytes, live.buffer_bytes);
    rc = recover(w, &w->log, last_lsn, err);
    if (rc == DYNB_OK && *last_lsn > w->super.mark.lsn) {
        const entry *last = &w->entries[*last_lsn - 1];
        CHECK_INT(w->log.tail.pos, last->pos + last->size_bytes);
        CHECK_INT(w->log.tail.epoch, last->epoch);
    }
    dynbi_log_free(&w->log);
    w->log = live;
    return rc;
}

static void check_all_there(world *w)
{
    uint64_t last_lsn;
    CHECK_INT(dynbi_log_flush(&w->log, NULL), DYNB_OK);
    CHECK_INT(probe(w, &last_lsn, NULL), DYNB_OK);
    CHECK_INT(last_lsn, w->entry_count);
}

/* ------------------------------------------------------------ round trips -- */

static void test_round_trips(check_random *random, uint32_t segment_bytes, uint32_t buffer_bytes,
                             int zero_ahead)
{
    static const uint32_t limits[] = {1, 20, 60, 500, 500, 3000, 20000};
    static world w;
    uint64_t i, count = check_scaled(700);
    world_open(&w, 8000, segment_bytes, buffer_bytes, 0);
    w.log.zero_ahead = zero_ahead;
    CHECK_INT(begin(&w), DYNB_OK);
    for (i = 0; i < count; ++i) {
        uint32_t size = (uint32_t)check_below(random, limits[check_below(random, 7)] + 1u);
        CHECK_INT(append(&w, size, check_below(random, 2) == 0), DYNB_OK);
        CHECK(w.log.buffer.used_bytes <= buffer_bytes);
        if (check_below(random, 10) == 0) {
            CHECK_INT(dynbi_log_sync(&w.log, NULL), DYNB_OK);
            CHECK(w.log.durable_lsn == w.entry_count && w.log.buffer.used_bytes == 0);
            CHECK_INT(dynbi_log_sync(&w.log, NULL), DYNB_OK);
        }
        if (check_below(random, 60) == 0)
            check_all_there(&w);
        if (check_below(random, 60) == 0)
            checkpoint(&w);
        if (check_below(random, 100) == 0) {
            CHECK_INT(dynbi_log_sync(&w.log, NULL), DYNB_OK);
            CHECK_INT(begin(&w), DYNB_OK);
        }
    }
    check_all_there(&w);
    checkpoint(&w);
    check_all_there(&w);
    dynbi_log_trim(&w.log, 0, 1);
    dynbi_log_trim(&w.log, UINT64_MAX, 1); /* the last one always stays */
    CHECK_INT(w.log.segment_count, 1);
    world_close(&w);
}

/* A frame larger than many segments, than the buffer and than all before it. */
static void test_huge(void)
{
    static world w;
    uint32_t i;
    world_open(&w, 12000, 1024, 2000, 0);
    CHECK_INT(begin(&w), DYNB_OK);
    for (i = 0; i < 3; ++i) {
        CHECK_INT(append(&w, 100, 1), DYNB_OK);
        CHECK_INT(append(&w, 1000000 + i, i != 1), DYNB_OK);
        CHECK_INT(append(&w, 7, 0), DYNB_OK);
        check_all_there(&w);
    }
    CHECK(w.log.segment_count < 14); /* one large one, not a thousand */
    w.page_limit = 0;
    CHECK_INT(append(&w, 2000, 0), DYNB_NO_SPACE);
    check_all_there(&w);
    world_close(&w);
}

/* Reading again what is known to be right, up to a given end. */
static void test_reading_again(void)
{
    static world w;
    dynbi_log_scan scan;
    dynbi_frame frame;
    superblock from;
    uint64_t i, want;
    int is_end;
    world_open(&w, 500, 1024, 300, 0);
    CHECK_INT(begin(&w), DYNB_OK);
    for (i = 0; i < 60; ++i)
        CHECK_INT(append(&w, (uint32_t)(i * 37 % 400), 0), DYNB_OK);
    for (want = 0; want <= w.entry_count; want += 7) {
        from = w.super;
        scan_start(&w, &from, &w.log, &scan);
        scan.end_pos = want < w.entry_count ? w.entries[want].pos + (want % 2 ? 5 : 0)
                                            : w.log.tail.pos;
        scan.end_pos += !scan.end_pos; /* 0 would be no end */
        for (i = 0, is_end = 0; !is_end; ++i) {
            CHECK_INT(dynbi_log_scan_next(&scan, &frame, &is_end, NULL), DYNB_OK);
            CHECK(is_end || frame_is(&frame, &w.entries[i], i + 1));
        }
        CHECK_INT(i - 1, want);
        dynbi_log_scan_free(&scan);
    }
    w.fault.current[w.log.segments[0].page * PAGE + DYNBI_SEGMENT_HEAD_BYTES + 50] ^= 1;
    scan_start(&w, &w.super, &w.log, &scan); /* sums are not looked at again */
    scan.end_pos = w.log.tail.pos;
    CHECK_INT(dynbi_log_scan_next(&scan, &frame, &is_end, NULL), DYNB_OK);
    CHECK(!is_end);
    dynbi_log_scan_free(&scan);
    world_close(&w);
}

/* -------------------------------------------------------- cuts and flips -- */

/* The disk position of a position in the log. */
static uint64_t disk_pos_of(world *w, uint64_t pos)
{
    uint64_t disk_pos;
    (void)dynbi_log_row(&w->log, pos, &disk_pos);
    return disk_pos;
}

/* ------------------------------------------------ memory to store to -- */

static struct {
    uint64_t limit_bytes; /* of what is lent at once */
    uint32_t count;       /* of requests */
} lending;

static void *lend(void *ctx, uint64_t pos, size_t size)
{
    fault_device *device = (fault_device *)ctx;
    ++lending.count;
    if (size > lending.limit_bytes || pos > device->current_bytes ||
        size > device->current_bytes - pos)
        return NULL;
    return device->current + pos;
}

/* The same frames, stored or written, make the same log. */
static void test_lent(uint64_t limit_bytes)
{
    static world w[2];
    uint64_t i, last_lsn, writes[2];
    uint32_t which;
    for (which = 0; which < 2; ++which) {
        check_random random;
        random.state = limit_bytes;
        world_open(&w[which], 400, 2048, 300, 0);
        lending.count = 0;
        lending.limit_bytes = limit_bytes;
        if (which)
            w[which].disk.device.write_map_fn = lend;
        CHECK_INT(begin(&w[which]), DYNB_OK);
        for (i = 0; i < 150; ++i) {
            uint32_t size = (uint32_t)check_below(&random, i % 20 ? 300 : 5000);
            CHECK_INT(append(&w[which], size, i % 7 == 3), DYNB_OK);
            if (i % 31 == 5)
                CHECK_INT(dynbi_log_sync(&w[which].log, NULL), DYNB_OK);
        }
        CHECK_INT(dynbi_log_sync(&w[which].log, NULL), DYNB_OK);
        CHECK_INT(probe(&w[which], &last_lsn, NULL), DYNB_OK);
        CHECK_INT(last_lsn, w[which].entry_count);
        writes[which] = w[which].fault.call_count;
        /* once for each segment, whatever the answer */
        CHECK(lending.count <= w[which].log.segment_count);
        CHECK(!which || lending.count > w[which].log.segment_count / 2);
    }
    CHECK_INT(w[0].fault.current_bytes, w[1].fault.current_bytes);
    CHECK(memcmp(w[0].fault.current, w[1].fault.current, w[0].fault.current_bytes) == 0);
    CHECK(limit_bytes ? writes[1] + 50 < writes[0] : writes[1] == writes[0]);
    world_close(&w[0]);
    world_close(&w[1]);
}

/* The mark of a sync goes behind the end of the log; where this segment is full,
 * into the one to come, which is begun only by the next frame. */
static void test_no_room_for_mark(void)
{
    static world w;
    static uint8_t before[PAGE];
    uint64_t room, disk_pos, last_lsn;
    const uint8_t *next;
    world_open(&w, 40, 1024, 200, 0);
    CHECK_INT(begin(&w), DYNB_OK);
    room = dynbi_log_row(&w.log, w.log.tail.pos, &disk_pos);
    CHECK_INT(append(&w, (uint32_t)(room - 16 - DYNBI_FRAME_HEAD_BYTES), 0), DYNB_OK);
    CHECK_INT(dynbi_log_row(&w.log, w.log.tail.pos, &disk_pos), 16);
    CHECK(w.log.reserved_count > 0);
    next = w.fault.current + (uint64_t)w.log.reserved[0].page * PAGE;
    memcpy(before, next, sizeof before);
    CHECK_INT(dynbi_log_sync(&w.log, NULL), DYNB_OK);
    CHECK_INT(w.log.durable_lsn, 2);
    CHECK(memcmp(before, next, DYNBI_SEGMENT_HEAD_BYTES) == 0);
    CHECK(memcmp(before, next, sizeof before) != 0);
    CHECK_INT(probe(&w, &last_lsn, NULL), DYNB_OK);
    CHECK_INT(last_lsn, 2);
    CHECK_INT(append(&w, 100, 0), DYNB_OK); /* over the mark */
    CHECK_INT(probe(&w, &last_lsn, NULL), DYNB_OK);
    CHECK_INT(last_lsn, 3);
    world_close(&w);
}

/* Synced up to one frame, the frames after it cut at each byte. */
static void test_torn_tails(uint32_t segment_bytes)
{
    static world w;
    static uint8_t whole[60 * PAGE];
    uint64_t pos, start, i, last_lsn, expected = 0;
    dynb_error err;
    world_open(&w, 60, segment_bytes, 400, 0);
    CHECK_INT(begin(&w), DYNB_OK);
    for (i = 0; i < 5; ++i)
        CHECK_INT(append(&w, (uint32_t)(i * 101 % 300), 1), DYNB_OK);
    CHECK_INT(dynbi_log_sync(&w.log, NULL), DYNB_OK);
    start = w.log.tail.pos;
    for (i = 0; i < 5; ++i)
        CHECK_INT(append(&w, (uint32_t)(20 + i * 173 % 500), 0), DYNB_OK);
    memcpy(whole, w.fault.current, sizeof whole);
    for (pos = w.log.tail.pos; pos-- > start;) {
        int is_same = w.fault.current[disk_pos_of(&w, pos)] == 0;
        w.fault.current[disk_pos_of(&w, pos)] = 0;
        for (i = 6; i < w.entry_count && w.entries[i].pos + w.entries[i].size_bytes <= pos; ++i) {
        }
        expected = i;
        CHECK_INT(probe(&w, &last_lsn, &err), DYNB_OK);
        CHECK(last_lsn == expected || (is_same && last_lsn > expected));
    }
    CHECK_INT(expected, 6);
    /* One byte more, and what had been synced is gone. */
    w.super.durable_lsn = w.entry_count;
    CHECK_INT(probe(&w, &last_lsn, &err), DYNB_CORRUPT);
    CHECK_INT(err.pos, disk_pos_of(&w, start));
    CHECK(strstr(err.message, "change 7 had been synced") != NULL);
    w.super.durable_lsn = 6;
    memcpy(w.fault.current, whole, sizeof whole);
    CHECK_INT(probe(&w, &last_lsn, &err), DYNB_OK);
    CHECK_INT(last_lsn, w.entry_count);
    world_close(&w);
}

/* The frame that a byte of the device belongs to; in a segment's head the first
 * frame that needs that segment. *in_link: the byte is where the head names the
 * next segment. UINT64_MAX: no frame needs it. */
static uint64_t owner_of(const world *w, uint64_t disk_pos, int *in_link)
{
    uint64_t i, pos = 0, offset;
    uint32_t s;
    *in_link = 0;
    for (s = 0; s < w->log.segment_count; ++s) {
        const dynbi_segment *segment = &w->log.segments[s];
        offset = disk_pos - (uint64_t)segment->page * PAGE;
        if (disk_pos < (uint64_t)segment->page * PAGE || offset >= segment->page_count * PAGE)
            continue;
        *in_link = offset >= 36 && offset < 44;
        pos = segment->first_pos +
              (offset < DYNBI_SEGMENT_HEAD_BYTES ? 0 : offset - DYNBI_SEGMENT_HEAD_BYTES);
        for (i = 0; i < w->entry_count; ++i)
            if (w->entries[i].pos + w->entries[i].size_bytes > pos)
                return i;
    }
    return UINT64_MAX;
}

/* One byte is wrong: what is shown ends before it, and it is called damage if
 * the superblock or a later frame knew that place as synced. */
static void check_flip(world *w, uint64_t disk_pos, uint8_t mask)
{
    uint64_t last_lsn, i, owner;
    int in_link, is_proven;
    dynb_error err;
    dynb_rc rc;
    owner = owner_of(w, disk_pos, &in_link);
    w->fault.current[disk_pos] ^= mask;
    rc = probe(w, &last_lsn, &err);
    w->fault.current[disk_pos] ^= mask;
    if (owner == UINT64_MAX) {
        CHECK(rc == DYNB_OK && last_lsn == w->entry_count);
        return;
    }
    CHECK_INT(last_lsn, owner);
    is_proven = w->super.durable_lsn > owner;
    for (i = owner + 1; i < w->entry_count; ++i)
        is_proven |= w->entries[i].durable_lsn > owner;
    if (w->log.durable_lsn == w->entry_count) /* the mark of the sync is still there */
        is_proven = 1;
    if (owner == 0 || in_link)
        CHECK(rc == DYNB_CORRUPT || (rc == DYNB_OK && w->super.durable_lsn <= owner));
    else
        CHECK_INT(rc, is_proven ? DYNB_CORRUPT : DYNB_OK);
}

static void test_flips(check_random *random, uint64_t super_durable_lsn)
{
    static world w;
    uint64_t i, pos;
    world_open(&w, 26, 1024, 300, 0);
    CHECK_INT(begin(&w), DYNB_OK);
    for (i = 0; i < 24; ++i) {
        CHECK_INT(append(&w, (uint32_t)(i * 89 % 400), i % 3 == 0), DYNB_OK);
        if (i % 5 == 3)
            CHECK_INT(dynbi_log_sync(&w.log, NULL), DYNB_OK);
        if (i == 11) {
            CHECK_INT(dynbi_log_sync(&w.log, NULL), DYNB_OK);
            CHECK_INT(begin(&w), DYNB_OK);
        }
    }
    CHECK_INT(dynbi_log_flush(&w.log, NULL), DYNB_OK);
    CHECK(w.log.segment_count > 4);
    w.super.durable_lsn = super_durable_lsn;
    for (pos = 0; pos < w.fault.current_bytes; ++pos)
        check_flip(&w, pos, (uint8_t)(1u << check_below(random, 8)));
    for (pos = 0; pos < w.fault.current_bytes; pos += 1 + check_below(random, 9))
        check_flip(&w, pos, (uint8_t)(1 + check_below(random, 255)));
    world_close(&w);
}

/* ----------------------------------------------------------- crafted bytes -- */

/* What stands at the log's tail by another hand, its sum right. */
typedef struct craft {
    uint64_t lsn, time_ms, durable_lsn;
    uint32_t used_bytes, previous_sum, kind, seed, epoch;
    int is_cut; /* the sum is wrong */
} craft;

static craft next_craft(const world *w)
{
    craft c;
    memset(&c, 0, sizeof c);
    c.lsn = w->log.tail.lsn + 1;
    c.time_ms = w->log.tail.time_ms;
    c.durable_lsn = 0;
    c.used_bytes = DYNBI_FRAME_HEAD_BYTES + 4;
    c.previous_sum = w->log.tail.sum;
    c.kind = DYNBI_FRAME_CHANGES;
    c.seed = w->log.seed;
    c.epoch = w->super.epoch;
    return c;
}

static void put_craft(world *w, uint64_t pos, const craft *c)
{
    uint8_t bytes[DYNBI_FRAME_HEAD_BYTES + 8];
    memset(bytes, 0, sizeof bytes);
    dynbi_store32(bytes + 4, c->used_bytes);
    dynbi_store64(bytes + 8, c->lsn);
    dynbi_store64(bytes + 16, c->time_ms);
    dynbi_store64(bytes + 24, c->durable_lsn);
    dynbi_store32(bytes + 32, c->previous_sum);
    dynbi_store32(bytes + 36, c->kind);
    dynbi_store32(bytes + 40, c->epoch);
    dynbi_store32(bytes, dynbi_crc32c(c->seed, bytes + 4, sizeof bytes - 4) + (c->is_cut != 0));
    memcpy(w->fault.current + disk_pos_of(w, pos), bytes, sizeof bytes);
}

/* Each rule of a frame broken, with a sum that is right. */
static void test_crafted(void)
{
    static world w;
    uint64_t last_lsn, tail;
    dynb_error err;
    craft c;
    uint32_t i;
    int is_good;
    world_open(&w, 60, 8192, 400, 0);
    CHECK_INT(begin(&w), DYNB_OK);
    for (i = 0; i < 5; ++i)
        CHECK_INT(append(&w, 30, 0), DYNB_OK);
    CHECK_INT(dynbi_log_sync(&w.log, NULL), DYNB_OK);
    CHECK_INT(begin(&w), DYNB_OK);
    w.super.durable_lsn = 0;
    tail = w.log.tail.pos;
    for (i = 0; i < 17; ++i) {
        c = next_craft(&w);
        is_good = 0;
        switch (i) {
        case 0: is_good = 1; break;
        case 1: c.lsn += 1; break;
        case 2: c.lsn -= 1; break;
        case 3: c.time_ms -= 1; break;
        case 4: c.previous_sum ^= 1; break;
        case 5: c.seed = dynbi_log_seed(w.log.store_id, 1); break; /* of an older life */
        case 6: c.kind = 0; break;
        case 7: c.kind = 3; break;
        case 8: c.used_bytes = DYNBI_FRAME_HEAD_BYTES - 1; break;
        case 9: c.used_bytes = 0xffffffffu; break;
        case 10: c.used_bytes = 60 * PAGE; break; /* past the log's end */
        case 11: c.durable_lsn = c.lsn; break;
        case 12: /* a life that never began */
            c.kind = DYNBI_FRAME_OPEN;
            c.epoch = 3;
            c.seed = dynbi_log_seed(w.log.store_id, 3);
            break;
        case 13: /* again the same life */
            c.kind = DYNBI_FRAME_OPEN;
            break;
        case 14:
            c.kind = DYNBI_FRAME_OPEN;
            c.used_bytes += 1;
            break;
        case 15: c.is_cut = 1; break;
        default: /* after a life that got no further than the superblock */
            w.super.epoch = 7;
            c.kind = DYNBI_FRAME_OPEN;
            c.epoch = 7;
            c.seed = dynbi_log_seed(w.log.store_id, 7);
            is_good = 1;
            break;
        }
        put_craft(&w, tail, &c);
        if (is_good) { /* as the list of what was appended should have it */
            entry *e = &w.entries[w.entry_count];
            memset(e, 0, sizeof *e);
            e->pos = tail;
            e->time_ms = c.time_ms;
            e->size_bytes = DYNBI_FRAME_HEAD_BYTES + 8;
            e->epoch = c.epoch;
            e->kind = c.kind;
            e->payload_size = 4;
            w.fault.current[disk_pos_of(&w, tail) + 37] = (uint8_t)(w.entry_count % 2);
            dynbi_store32(w.fault.current + disk_pos_of(&w, tail) + DYNBI_FRAME_HEAD_BYTES,
                          c.epoch);
            if (c.kind == DYNBI_FRAME_CHANGES) {
                uint32_t k;
                for (k = 0; k < 4; ++k)
                    w.fault.current[disk_pos_of(&w, tail) + DYNBI_FRAME_HEAD_BYTES + k] =
                        payload_byte(w.entry_count + 1, k);
            }
            dynbi_store32(w.fault.current + disk_pos_of(&w, tail),
                          dynbi_crc32c(c.seed, w.fault.current + disk_pos_of(&w, tail) + 4,
                                       DYNBI_FRAME_HEAD_BYTES + 4));
            ++w.entry_count;
        }
        CHECK_INT(probe(&w, &last_lsn, &err), DYNB_OK);
        CHECK_INT(last_lsn, 7 + is_good);
        w.entry_count = 7;
    }
    world_close(&w);
}

/* What may prove damage: only a frame, valid by itself, that knew it durable. */
static void test_proof(void)
{
    static world w;
    uint64_t last_lsn, tail;
    dynb_error err;
    craft c;
    uint32_t i;
    int is_proof;
    world_open(&w, 40, 4096, 200, 0);
    CHECK_INT(begin(&w), DYNB_OK);
    CHECK_INT(append(&w, 30, 0), DYNB_OK);
    w.super.durable_lsn = 0;
    tail = w.log.tail.pos;
    for (i = 0; i < 17; ++i) {
        uint64_t at = tail + 8 + i % 3 * 64; /* anywhere, at a multiple of 8 */
        memset(w.fault.current + disk_pos_of(&w, tail), 0, 1000);
        c = next_craft(&w);
        c.lsn = 6;
        c.durable_lsn = 3;
        is_proof = 0;
        switch (i) {
        case 0:
            c.kind = DYNBI_FRAME_MARK;
            is_proof = 1;
            break;
        case 1: c.durable_lsn = 5, is_proof = 1; break;
        case 2: c.durable_lsn = 2; break; /* what is there all right */
        case 3: c.durable_lsn = 6; break;
        case 4: c.kind = 0; break;
        case 5: c.kind = 4; break;
        case 6: c.used_bytes = DYNBI_FRAME_HEAD_BYTES - 8; break;
        case 7: c.used_bytes = 0x7fffffffu; break;
        case 8: c.is_cut = 1; break;
        case 9: c.seed = dynbi_log_seed(w.log.store_id, 0); break;
        case 10: /* of an epoch that never began */
            c.kind = DYNBI_FRAME_OPEN;
            c.epoch = 9;
            c.seed = dynbi_log_seed(w.log.store_id, 9);
            break;
        case 11: /* its sum says that we wrote it, whatever it tells */
            c.kind = DYNBI_FRAME_OPEN;
            c.epoch = 9;
            is_proof = 1;
            break;
        case 12:
            c.kind = DYNBI_FRAME_OPEN;
            c.used_bytes -= 1;
            is_proof = 1;
            break;
        case 13: c.used_bytes = 39 * PAGE; break; /* past the end of the log */
        case 14: c.used_bytes = 1000; break;      /* longer than it was written */
        case 15: c.lsn = 3 + (at - tail), is_proof = 1; break;
        default: c.lsn = 4 + (at - tail); break; /* so many changes have no room */
        }
        put_craft(&w, at, &c);
        CHECK_INT(probe(&w, &last_lsn, &err), is_proof ? DYNB_CORRUPT : DYNB_OK);
        CHECK_INT(last_lsn, 2);
        if (is_proof) {
            CHECK_INT(err.pos, disk_pos_of(&w, tail));
            CHECK(strstr(err.message, "change 3 had been synced") != NULL);
        }
    }
    /* A log full of what looks like large frames: the effort is bounded. */
    for (i = 0; i + 64 < 3000; i += 48) {
        c.lsn = 100;
        c.durable_lsn = 50;
        c.is_cut = 1;
        c.used_bytes = 3000;
        put_craft(&w, tail + 8 + i, &c);
    }
    w.fault.kind_count[FAULT_READ] = 0;
    CHECK_INT(probe(&w, &last_lsn, &err), DYNB_OK);
    CHECK_INT(last_lsn, 2);
    CHECK(w.fault.kind_count[FAULT_READ] < 5000);
    world_close(&w);
}

/* A store that was cut off in its first life: the frame that began it is not
 * there, a later one may be. No epoch later than the superblock's is believed. */
static void test_first_life(void)
{
    static world w;
    uint64_t last_lsn;
    dynb_error err;
    craft c;
    uint32_t epoch, limit;
    for (limit = 0; limit < 2; ++limit) {
        for (epoch = 0; epoch < 3; ++epoch) {
            world_open(&w, 40, 4096, 200, 0);
            w.super.epoch = limit;
            c = next_craft(&w);
            c.lsn = 3;
            c.durable_lsn = 1;
            c.epoch = epoch;
            c.seed = dynbi_log_seed(w.log.store_id, epoch);
            put_craft(&w, w.log.tail.pos + 64, &c);
            CHECK_INT(probe(&w, &last_lsn, &err), epoch <= limit ? DYNB_CORRUPT : DYNB_OK);
            CHECK_INT(last_lsn, 0);
            if (epoch <= limit) {
                CHECK_INT(err.pos, disk_pos_of(&w, w.log.tail.pos));
                CHECK(strstr(err.message, "change 1 had been synced") != NULL);
            }
            world_close(&w);
        }
    }
}

/* A log of three segments, of which nothing is known to be durable. */
static void open_three(world *w, uint32_t page_count)
{
    uint32_t i;
    world_open(w, page_count, 1024, 300, 0);
    CHECK_INT(begin(w), DYNB_OK);
    for (i = 0; i < 8; ++i)
        CHECK_INT(append(w, 200, 0), DYNB_OK);
    CHECK(w->log.segment_count == 3);
    w->super.durable_lsn = 0;
}

/* Each rule of a segment's head broken, with a sum that is right. */
static void test_heads(void)
{
    static const uint32_t places[] = {0, 8, 24, 32, 44, 48, 36};
    static world w;
    uint64_t last_lsn, size;
    dynb_error err;
    uint8_t kept[DYNBI_SEGMENT_HEAD_BYTES], *head;
    uint32_t i, value;
    open_three(&w, 40);
    head = w.fault.current + w.log.segments[1].page * PAGE;
    memcpy(kept, head, sizeof kept);
    for (i = 0; i < 7; ++i) {
        value = dynbi_load32(head + places[i]);
        dynbi_store32(head + places[i], i == 6 ? 39 : value + 1 + i);
        dynbi_store32(head + 4, dynbi_segment_sum(head));
        CHECK_INT(probe(&w, &last_lsn, &err), DYNB_OK);
        CHECK_INT(last_lsn, i < 6 ? 4 : 8); /* the last one leads to no segment */
        memcpy(head, kept, sizeof kept);
    }
    /* The link of the last segment leads out of the device: nothing is reserved. */
    head = w.fault.current + w.log.segments[2].page * PAGE;
    dynbi_store32(head + 36, 40);
    dynbi_store32(head + 4, dynbi_segment_sum(head));
    dynbi_log_free(&w.log);
    start_log(&w, 1024, 300);
    CHECK_INT(recover(&w, &w.log, &last_lsn, &err), DYNB_OK);
    CHECK_INT(last_lsn, w.entry_count);
    CHECK_INT(w.log.reserved_count, 0);
    CHECK_INT(begin(&w), DYNB_OK); /* reserves first, although there is room */
    CHECK_INT(w.log.reserved_count, 1);
    world_close(&w);

    /* Pages so small that a head fills them. */
    world_open(&w, 40, 1024, 300, 0);
    w.disk.page_bytes = DYNBI_SEGMENT_HEAD_BYTES;
    size = w.disk.size_bytes;
    CHECK(!dynbi_segment_is_sane(&w.log, size, 5, 1) && dynbi_segment_is_sane(&w.log, size, 5, 2));
    CHECK(!dynbi_segment_is_sane(&w.log, size, 1, 2) && !dynbi_segment_is_sane(&w.log, size, 5, 0));
    CHECK(!dynbi_segment_is_sane(&w.log, size, 320, 2));
    CHECK(!dynbi_segment_is_sane(&w.log, size, 319, 2));
    CHECK(!dynbi_segment_is_sane(&w.log, size, 0xffffffffu, 0xffffffffu));
    w.disk.page_bytes = PAGE;
    world_close(&w);
}

/* A head of a spare segment, which tells of an earlier time, leads back: the look
 * behind the log's end takes each segment once, not as often as the device has
 * room for. */
static void test_circle(void)
{
    static world w;
    uint64_t last_lsn;
    dynb_error err;
    uint8_t *head;
    open_three(&w, 4000);
    head = w.fault.current + w.log.segments[2].page * PAGE;
    dynbi_store32(head + 36, w.log.segments[1].page);
    dynbi_store32(head + 40, w.log.segments[1].page_count);
    dynbi_store32(head + 4, dynbi_segment_sum(head));
    w.fault.kind_count[FAULT_READ] = 0;
    CHECK_INT(probe(&w, &last_lsn, &err), DYNB_OK);
    CHECK_INT(last_lsn, w.entry_count);
    CHECK(w.fault.kind_count[FAULT_READ] < 50);
    world_close(&w);
}

/* ---------------------------------------------------- space, memory, device -- */

static void test_reserve(void)
{
    static world w;
    dynb_error err;
    uint32_t i;
    world_open(&w, 400, 16384, 300, 0);
    CHECK_INT(begin(&w), DYNB_OK);
    CHECK_INT(w.log.reserved[0].page_count, 32);
    /* The largest extent gets smaller: so do the segments, as long as they help. */
    w.largest = 9;
    CHECK_INT(dynbi_log_reserve(&w.log, 15500, &err), DYNB_OK);
    CHECK_INT(w.log.reserved_count, 1);
    CHECK_INT(dynbi_log_reserve(&w.log, 17000, &err), DYNB_OK);
    CHECK_INT(w.log.reserved_count, 2);
    CHECK_INT(w.log.reserved[1].page_count, 8);
    w.largest = 0;
    check_all_there(&w);
    CHECK_INT(append(&w, 17000, 0), DYNB_OK);
    w.largest = 1;
    for (i = 0; i < 200; ++i)
        CHECK_INT(append(&w, 100, 0), DYNB_OK);
    CHECK_INT(w.log.reserved[0].page_count, 1);
    check_all_there(&w);
    CHECK_INT(append_frame(&w, DYNBI_FRAME_CHANGES, 9000, 0, &err), DYNB_NO_SPACE);
    CHECK(strncmp(err.message, "the device is full: the log needs ", 34) == 0);
    w.no_map_memory = 1;
    CHECK_INT(append_frame(&w, DYNBI_FRAME_CHANGES, 9000, 0, &err), DYNB_NO_MEMORY);
    CHECK_TEXT(err.message, "no memory for the map of pages");
    w.no_map_memory = 0;
    w.page_limit = 0;
    for (i = 0; i < 10 && append(&w, 100, 0) == DYNB_OK; ++i) {
    }
    CHECK(i > 0 && i < 10);
    check_all_there(&w); /* what could not be appended left no trace */
    w.page_limit = 400;
    CHECK_INT(append(&w, 100, 0), DYNB_OK);
    check_all_there(&w);
    world_close(&w);
}

/* A new segment is written with zeros, in small pieces where memory is short. */
static void test_zeros(void)
{
    static world w;
    uint32_t i;
    world_open(&w, 60, 2048, 700, 0);
    w.log.zero_ahead = 1;
    CHECK_INT(begin(&w), DYNB_OK);
    for (i = 0; i < 2; ++i) {
        memset(w.fault.current + 20 * PAGE, 0xee, 30 * PAGE);
        w.memory.fail_at = i ? 0 : w.memory.call_count + 1;
        w.log.reserved_count = 1;
        CHECK_INT(dynbi_log_reserve_segment(&w.log, 5000 + 13 * PAGE, NULL), DYNB_OK);
        CHECK(w.log.reserved[1].page < 20 &&
              w.log.reserved[1].page + w.log.reserved[1].page_count > 30);
        CHECK(w.fault.current[20 * PAGE] == 0);
        CHECK(w.fault.current[(w.log.reserved[1].page + w.log.reserved[1].page_count) * PAGE - 1] ==
              0);
        CHECK(w.fault.current[(w.log.reserved[1].page + w.log.reserved[1].page_count) * PAGE] ==
              0xee);
    }
    check_all_there(&w);
    world_close(&w);
}

/* The same things done in every failure test. Returns the number of failures. */
static uint32_t run_script(world *w, uint32_t largest)
{
    static const uint32_t sizes[] = {30, 300, 10, 1500, 4000, 80, 2, 1500, 600, 30};
    uint32_t i, failed_count = 0;
    failed_count += begin(w) != DYNB_OK;
    for (i = 0; i < 60 && !w->disk.has_failed; ++i) { /* a dead disk: as the store does */
        uint64_t entry_count = w->entry_count;
        uint32_t size = sizes[i % 10] < largest ? sizes[i % 10] : largest;
        dynb_rc rc = append(w, size, i % 4 == 1);
        CHECK_INT(w->entry_count, entry_count + (rc == DYNB_OK));
        if (rc == DYNB_OK && i % 7 == 5)
            rc = dynbi_log_sync(&w->log, NULL);
        failed_count += rc != DYNB_OK;
        if (rc != DYNB_OK)
            CHECK_INT(rc, w->disk.has_failed ? DYNB_IO_FAILED : DYNB_NO_MEMORY);
        else if (i % 20 == 19)
            failed_count += begin(w) != DYNB_OK;
    }
    return failed_count;
}

static void test_allocation_failures(int fail_from)
{
    static world w;
    uint64_t fail_at, call_count = 1, last_lsn;
    dynb_rc rc;
    for (fail_at = 0; fail_at <= call_count; ++fail_at) {
        world_open(&w, 400, 1024, 500, 0);
        w.log.zero_ahead = 1;
        w.memory.call_count = 0;
        w.memory.fail_at = fail_at;
        w.memory.fail_from = fail_from;
        (void)run_script(&w, 5000);
        call_count = fail_at ? call_count : w.memory.call_count;
        w.memory.fail_at = 0;
        check_all_there(&w);
        /* and reading it */
        w.memory.call_count = w.memory.failed_count = 0;
        w.memory.fail_at = fail_at;
        rc = probe(&w, &last_lsn, NULL);
        CHECK_INT(rc, w.memory.failed_count ? DYNB_NO_MEMORY : DYNB_OK);
        world_close(&w);
    }
    CHECK(call_count > 10);
}

/* Each call to the device fails: the disk is dead from then on, and what had
 * been synced is there. */
static void test_device_failures(fault_mode mode)
{
    static world w;
    uint64_t plan_call, call_count = 1, last_lsn, durable_lsn;
    dynb_rc rc;
    for (plan_call = 0; plan_call <= call_count; ++plan_call) {
        world_open(&w, 200, 1024, 500, 0);
        w.log.zero_ahead = plan_call % 2 == 0;
        w.fault.call_count = 0;
        w.fault.plan_call = plan_call;
        w.fault.plan_mode = mode;
        (void)run_script(&w, 5000);
        call_count = plan_call ? call_count : w.fault.call_count;
        CHECK((w.fault.tripped_count != 0) == (w.disk.has_failed != 0));
        durable_lsn = w.log.durable_lsn;
        w.fault.plan_call = 0;
        rc = probe(&w, &last_lsn, NULL);
        CHECK_INT(rc, DYNB_OK);
        CHECK(last_lsn >= durable_lsn);
        world_close(&w);
    }
    CHECK(call_count > 60);
    /* reading: every call */
    world_open(&w, 200, 1024, 500, 0);
    (void)run_script(&w, 5000);
    CHECK_INT(dynbi_log_sync(&w.log, NULL), DYNB_OK);
    w.super.durable_lsn = 0;
    w.fault.current[disk_pos_of(&w, w.entries[40].pos + 50)] ^= 1; /* so that proof is sought */
    w.fault.call_count = 0;
    (void)probe(&w, &last_lsn, NULL);
    call_count = w.fault.call_count;
    for (plan_call = 1; plan_call <= call_count; ++plan_call) {
        w.fault.call_count = 0;
        w.fault.plan_call = plan_call;
        CHECK_INT(probe(&w, &last_lsn, NULL), DYNB_IO_FAILED);
    }
    w.fault.plan_call = 0;
    world_close(&w);
}

/* -------------------------------------------------------------- power cuts -- */

typedef struct cut {
    world *live; /* what was appended, and what the superblock says */
    world probe;
    check_random random;
    uint8_t *kept; /* the image that life goes on with */
    uint64_t kept_bytes, image_count;
} cut;

static void visit_image(void *ctx, const fault_image *image)
{
    cut *c = (cut *)ctx;
    world *w = &c->probe;
    uint64_t last_lsn;
    w->fault.current = image->bytes;
    w->fault.current_bytes = image->size_bytes;
    CHECK_INT(probe(w, &last_lsn, NULL), DYNB_OK);
    CHECK(last_lsn >= c->live->log.durable_lsn && last_lsn <= c->live->entry_count);
    CHECK(!image->is_all || c->live->log.buffer.used_bytes || last_lsn == c->live->entry_count);
    ++c->image_count;
    if (check_below(&c->random, c->image_count) == 0) {
        c->kept_bytes = image->size_bytes;
        memcpy(c->kept, image->bytes, (size_t)image->size_bytes);
    }
}

/* Lives that end with a power cut: each time what was synced is there, nothing
 * of an older life comes back, and the log goes on in space used before. */
static void test_power_cuts(check_random *random, uint32_t segment_bytes, uint32_t buffer_bytes)
{
    static world w;
    static cut c;
    fault_explorer explorer;
    uint64_t life, lives = check_scaled(60), i, last_lsn;
    world_open(&w, 48, segment_bytes, buffer_bytes, 1);
    memset(&c, 0, sizeof c);
    memset(&explorer, 0, sizeof explorer);
    c.live = &w;
    c.random.state = check_next(random);
    c.kept = (uint8_t *)fault_memory(NULL, 48 * PAGE);
    explorer.exhaustive_count = 5;
    explorer.sample_count = 20;
    explorer.random.state = check_next(random);
    explorer.visit_fn = visit_image;
    explorer.visit_ctx = &c;
    for (life = 0; life < lives; ++life) {
        uint64_t count = check_below(random, 12);
        CHECK_INT(begin(&w), DYNB_OK);
        if (check_below(random, 2))
            checkpoint(&w);
        for (i = 0; i < count; ++i) {
            uint32_t size = (uint32_t)check_below(random, check_below(random, 3) ? 60 : 1200);
            CHECK_INT(append(&w, size, check_below(random, 2) == 0), DYNB_OK);
            if (check_below(random, 6) == 0)
                CHECK_INT(dynbi_log_sync(&w.log, NULL), DYNB_OK);
            if (check_below(random, 12) == 0)
                checkpoint(&w);
        }
        memset(&c.probe, 0, sizeof c.probe);
        c.probe.allocator = fault_allocator_of(&c.probe.memory);
        c.probe.disk = w.disk;
        c.probe.disk.device = fault_device_of(&c.probe.fault);
        c.probe.super = w.super;
        c.probe.log.segment_bytes = segment_bytes;
        c.probe.log.buffer_bytes = buffer_bytes;
        c.probe.entry_count = w.entry_count;
        memcpy(c.probe.entries, w.entries, (size_t)w.entry_count * sizeof(entry));
        c.image_count = 0;
        fault_forget_seen(&explorer.seen);
        fault_explore(&explorer, &w.fault);
        CHECK_INT(c.probe.memory.live_count, 0);
        CHECK_INT(c.probe.fault.broken_promise_count, 0);
        dynbi_log_free(&w.log);
        fault_start(&w.fault, c.kept, c.kept_bytes, 0);
        start_log(&w, segment_bytes, buffer_bytes);
        CHECK_INT(recover(&w, &w.log, &last_lsn, NULL), DYNB_OK);
        w.entry_count = last_lsn;
    }
    free(c.kept);
    fault_explorer_free(&explorer);
    world_close(&w);
}

int main(void)
{
    check_random random;
    random.state = check_seed("unit_log");
    test_round_trips(&random, 1024, 300, 0);
    test_round_trips(&random, 4096, 65536, 1);
    test_huge();
    test_reading_again();
    test_lent(~(uint64_t)0);
    test_lent(2100);
    test_lent(0);
    test_no_room_for_mark();
    test_torn_tails(1024);
    test_torn_tails(512);
    test_torn_tails(8192);
    test_flips(&random, 0);
    test_flips(&random, 9);
    test_flips(&random, 25);
    test_crafted();
    test_proof();
    test_first_life();
    test_heads();
    test_circle();
    test_reserve();
    test_zeros();
    test_allocation_failures(0);
    test_allocation_failures(1);
    test_device_failures(FAULT_ONCE);
    test_device_failures(FAULT_TORN);
    test_power_cuts(&random, 1024, 300);
    test_power_cuts(&random, 2048, 2000);
    return check_report("unit_log");
}
