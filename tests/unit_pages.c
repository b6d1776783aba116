/* unit_pages.c - section 17: the map of pages against arrays of one byte a
 * page; every failed allocation. */
#define DYNBACKUP_IMPLEMENTATION
#define DYNBACKUP_KEEP_MACROS
#include "../dynbackup.h"

#include "check.h"
#include "fault.h"

/* ---------------------------------------------------------------- model -- */

#define MODEL_PAGES 6000u

/* What is known of each page, in the plainest form there is. */
typedef struct model {
    uint8_t used[MODEL_PAGES];
    uint8_t kept[MODEL_PAGES]; /* the marking under way will keep it */
    uint8_t pending[DYNBI_FOLD_SLOTS][MODEL_PAGES];
    uint32_t page_count;
    uint32_t next;
    uint32_t markable_count; /* pages that a marking may meet */
    uint32_t given_since_mark;
    int is_marking;
} model;

typedef struct bench {
    fault_allocator memory;
    dynb_allocator allocator;
    dynbi_pages pages;
    model model;
} bench;

static void bench_open(bench *b, uint32_t page_count)
{
    memset(b, 0, sizeof *b);
    b->allocator = fault_allocator_of(&b->memory);
    b->pages.allocator = &b->allocator;
    CHECK(dynbi_pages_resize(&b->pages, page_count));
    dynbi_bit_set(b->pages.used, 0);
    dynbi_bit_set(b->pages.used, 1);
    b->pages.used_count = 2;
    b->model.used[0] = b->model.used[1] = 1;
    b->model.page_count = page_count;
}

static void bench_close(bench *b)
{
    dynbi_pages_free(&b->pages);
    CHECK_INT(b->memory.live_count, 0);
    CHECK_INT(b->memory.broken_count, 0);
    CHECK(b->pages.used == NULL && b->pages.met == NULL && b->pages.page_count == 0);
}

static uint32_t model_find(const model *m, uint32_t count, uint32_t from)
{
    uint32_t page, length = 0;
    for (page = from; page < m->page_count; ++page) {
        length = m->used[page] ? 0 : length + 1;
        if (length == count)
            return page + 1 - count;
    }
    return 0;
}

static uint32_t model_allocate(model *m, uint32_t count, uint32_t slot)
{
    uint32_t page = model_find(m, count, m->next), i;
    if (!page)
        page = model_find(m, count, 2);
    if (!page)
        return 0;
    for (i = page; i < page + count; ++i) {
        m->used[i] = 1;
        if (m->is_marking)
            m->kept[i] = 1;
        if (slot < DYNBI_FOLD_SLOTS)
            m->pending[slot][i] = 1;
    }
    m->given_since_mark += count;
    m->next = page + count;
    return page;
}

static void model_mark_begin(model *m)
{
    memset(m->kept, 0, sizeof m->kept);
    m->kept[0] = m->kept[1] = 1;
    m->is_marking = 1;
    m->markable_count = m->page_count;
    m->given_since_mark = 0;
}

static void model_mark_end(model *m)
{
    uint32_t page;
    for (page = 0; page < m->page_count; ++page)
        m->used[page] = m->kept[page] || m->pending[0][page] || m->pending[1][page];
    m->is_marking = 0;
}

static void model_settle(model *m, uint32_t slot)
{
    uint32_t page;
    for (page = 0; page < m->page_count; ++page)
        m->kept[page] |= m->pending[slot][page];
    memset(m->pending[slot], 0, sizeof m->pending[slot]);
}

static void check_same(const bench *b)
{
    const dynbi_pages *pages = &b->pages;
    const model *m = &b->model;
    uint32_t page, used_count = 0, differences = 0;
    for (page = 0; page < m->page_count; ++page) {
        used_count += m->used[page];
        differences += dynbi_bit_get(pages->used, page) != m->used[page];
        differences += dynbi_bit_get(pages->pending[0], page) != m->pending[0][page];
        differences += dynbi_bit_get(pages->pending[1], page) != m->pending[1][page];
    }
    for (; page < pages->capacity; ++page) /* room for growth is clean */
        differences += (uint32_t)dynbi_bit_get(pages->used, page);
    CHECK_INT(differences, 0);
    CHECK_INT(pages->page_count, m->page_count);
    CHECK_INT(pages->used_count, used_count);
    CHECK_INT(dynbi_pages_free_count(pages), m->page_count - used_count);
    CHECK_INT(pages->given_since_mark, m->given_since_mark);
    CHECK(pages->capacity % 64 == 0 && pages->capacity >= pages->page_count);
    CHECK((pages->met != NULL) == (m->is_marking != 0));
}

/* ----------------------------------------------------------- random steps -- */

static void step_allocate(bench *b, check_random *random)
{
    static const uint32_t limits[] = {2, 2, 9, 9, 40, 70, 300, 4000};
    uint32_t count = 1 + (uint32_t)check_below(random, limits[check_below(random, 8)]);
    uint32_t slot = (uint32_t)check_below(random, DYNBI_FOLD_SLOTS + 1);
    CHECK_INT(dynbi_pages_allocate(&b->pages, count, slot), model_allocate(&b->model, count, slot));
}

/* Growth by a little or by much; failing leaves everything as it was. */
static void step_resize(bench *b, check_random *random)
{
    uint32_t more = (uint32_t)check_below(random, check_below(random, 4) ? 30 : 700);
    int is_larger, is_done;
    if (b->model.page_count + more > MODEL_PAGES)
        return;
    is_larger = b->model.page_count + more > b->pages.capacity;
    if (check_below(random, 2))
        b->memory.fail_at = b->memory.call_count + 1 + check_below(random, DYNBI_PAGES_MAPS);
    is_done = dynbi_pages_resize(&b->pages, b->model.page_count + more);
    CHECK_INT(is_done, !(is_larger && b->memory.fail_at));
    b->memory.fail_at = 0;
    if (is_done)
        b->model.page_count += more;
}

/* Walks some "tree": extents of what is used, some of them twice. */
static void step_mark(bench *b, check_random *random)
{
    model *m = &b->model;
    uint32_t page = (uint32_t)check_below(random, m->markable_count), count = 0, i;
    while (page + count < m->markable_count && m->used[page + count] &&
           check_below(random, 12) > 0)
        ++count;
    if (!count)
        return;
    i = (uint32_t)dynbi_bit_get(b->pages.met, page);
    CHECK_INT(dynbi_pages_mark(&b->pages, page, count), !i);
    for (; !i && count > 0; --count)
        m->kept[page + count - 1] = 1;
}

static void step_marking(bench *b, check_random *random)
{
    if (!b->model.is_marking) {
        int fails = check_below(random, 3) == 0;
        b->memory.fail_at = fails ? b->memory.call_count + 1 : 0;
        CHECK_INT(dynbi_pages_mark_begin(&b->pages), !fails);
        b->memory.fail_at = 0;
        if (!fails)
            model_mark_begin(&b->model);
    } else if (check_below(random, 4) == 0) {
        dynbi_pages_mark_abandon(&b->pages);
        b->model.is_marking = 0;
    } else {
        dynbi_pages_mark_end(&b->pages);
        model_mark_end(&b->model);
    }
}

static void test_random(check_random *random, uint32_t page_count)
{
    static bench b;
    uint64_t i, count = check_scaled(6000);
    bench_open(&b, page_count);
    for (i = 0; i < count; ++i) {
        uint64_t kind = check_below(random, 100);
        if (kind < 40) {
            step_allocate(&b, random);
        } else if (kind < 44) {
            step_resize(&b, random);
        } else if (kind < 48) {
            step_marking(&b, random);
        } else if (kind < 54) {
            uint32_t slot = (uint32_t)check_below(random, DYNBI_FOLD_SLOTS);
            dynbi_pages_settle(&b.pages, slot);
            model_settle(&b.model, slot);
        } else if (b.model.is_marking) {
            step_mark(&b, random);
        }
        if (i % 7 == 0 || i < 50)
            check_same(&b);
    }
    check_same(&b);
    bench_close(&b);
}

/* ----------------------------------------------------------- given cases -- */

/* The search runs on where the last one stopped, then once from the start. */
static void test_next_fit(void)
{
    static bench b;
    uint32_t i;
    bench_open(&b, 300);
    CHECK_INT(dynbi_pages_allocate(&b.pages, 10, DYNBI_NO_SLOT), 2);
    CHECK_INT(dynbi_pages_allocate(&b.pages, 10, DYNBI_NO_SLOT), 12);
    CHECK(dynbi_pages_mark_begin(&b.pages));
    CHECK(dynbi_pages_mark(&b.pages, 12, 10)); /* 2 to 11 are garbage */
    CHECK(!dynbi_pages_mark(&b.pages, 12, 1));
    dynbi_pages_mark_end(&b.pages);
    CHECK_INT(b.pages.used_count, 12);
    CHECK_INT(dynbi_pages_allocate(&b.pages, 200, DYNBI_NO_SLOT), 22);
    CHECK_INT(dynbi_pages_allocate(&b.pages, 79, DYNBI_NO_SLOT), 0); /* one too many */
    CHECK_INT(dynbi_pages_allocate(&b.pages, 77, DYNBI_NO_SLOT), 222);
    CHECK_INT(dynbi_pages_allocate(&b.pages, 11, DYNBI_NO_SLOT), 0); /* not in a row */
    CHECK_INT(dynbi_pages_allocate(&b.pages, 10, 0), 2); /* from the start again */
    CHECK_INT(dynbi_pages_allocate(&b.pages, 2, 0), 0);
    CHECK_INT(dynbi_pages_allocate(&b.pages, 1, 1), 299);
    CHECK_INT(dynbi_pages_free_count(&b.pages), 0);
    for (i = 0; i < 3; ++i)
        CHECK_INT(dynbi_pages_allocate(&b.pages, 1, i), 0);
    bench_close(&b);
}

/* What a fold was given and has not published survives every marking; once
 * published or dropped it lives only if a root reaches it. */
static void test_folds(void)
{
    static bench b;
    bench_open(&b, 100);
    CHECK_INT(dynbi_pages_allocate(&b.pages, 5, 0), 2);
    CHECK_INT(dynbi_pages_allocate(&b.pages, 5, 1), 7);
    CHECK(dynbi_pages_mark_begin(&b.pages));
    CHECK_INT(dynbi_pages_allocate(&b.pages, 5, 0), 12);
    CHECK_INT(dynbi_pages_allocate(&b.pages, 5, DYNBI_NO_SLOT), 17);
    dynbi_pages_settle(&b.pages, 0);  /* published while the marking runs */
    CHECK(dynbi_pages_resize(&b.pages, 5000)); /* the maps move */
    CHECK_INT(dynbi_pages_allocate(&b.pages, 2000, 1), 22);
    dynbi_pages_mark_end(&b.pages);
    CHECK_INT(b.pages.used_count, 2022);
    CHECK(dynbi_pages_mark_begin(&b.pages));
    CHECK(dynbi_pages_mark(&b.pages, 2, 5));
    dynbi_pages_mark_end(&b.pages); /* 1 is still pending, 0 kept what is reached */
    CHECK_INT(b.pages.used_count, 2 + 5 + 5 + 2000);
    dynbi_pages_settle(&b.pages, 1); /* no marking: nothing but the map is cleared */
    CHECK_INT(b.pages.used_count, 2 + 5 + 5 + 2000);
    CHECK(dynbi_pages_mark_begin(&b.pages));
    dynbi_pages_mark_abandon(&b.pages);
    CHECK_INT(b.pages.used_count, 2 + 5 + 5 + 2000);
    CHECK(dynbi_pages_mark_begin(&b.pages));
    dynbi_pages_mark_end(&b.pages);
    CHECK_INT(b.pages.used_count, 2);
    b.pages.next = 2;
    CHECK_INT(dynbi_pages_allocate(&b.pages, 70, DYNBI_NO_SLOT), 2);
    dynbi_pages_release(&b.pages, 60, 10, DYNBI_NO_SLOT); /* across two words of the map */
    CHECK_INT(b.pages.used_count, 62);
    b.pages.next = 2;
    CHECK_INT(dynbi_pages_allocate(&b.pages, 10, 0), 60);
    CHECK(dynbi_pages_mark_begin(&b.pages));
    CHECK_INT(dynbi_pages_allocate(&b.pages, 8, 0), 72);
    dynbi_pages_release(&b.pages, 75, 5, 0); /* the next may begin there */
    CHECK_INT(dynbi_pages_allocate(&b.pages, 1, 0), 75);
    dynbi_pages_mark_end(&b.pages);
    CHECK_INT(b.pages.used_count, 2 + 10 + 3 + 1);
    CHECK(dynbi_pages_mark_begin(&b.pages)); /* freed in the middle of a marking */
    bench_close(&b);
}

/* Each failed allocation of a widening leaves the maps as they were. */
static void test_failures(void)
{
    static bench b;
    uint32_t i;
    bench_open(&b, 500);
    CHECK_INT(model_allocate(&b.model, 480, 1), dynbi_pages_allocate(&b.pages, 480, 1));
    for (i = 1; i <= DYNBI_PAGES_MAPS; ++i) {
        uint64_t live_bytes = b.memory.live_bytes;
        b.memory.fail_at = b.memory.call_count + i;
        CHECK(!dynbi_pages_resize(&b.pages, 5000));
        CHECK_INT(b.memory.live_bytes, live_bytes);
        check_same(&b);
        CHECK_INT(dynbi_pages_allocate(&b.pages, 50, 0), 0);
    }
    b.memory.fail_at = b.memory.call_count + 1;
    CHECK(!dynbi_pages_mark_begin(&b.pages));
    CHECK(b.pages.met == NULL);
    b.memory.fail_at = 0;
    CHECK(dynbi_pages_resize(&b.pages, 5000));
    b.model.page_count = 5000;
    check_same(&b);
    CHECK_INT(dynbi_pages_allocate(&b.pages, 4000, 0), 482);

    /* The largest map there is would be asked for, and refused. */
    b.memory.fail_at = b.memory.call_count + 1;
    b.memory.fail_from = 1;
    CHECK(!dynbi_pages_resize(&b.pages, 0xf0000000u));
    CHECK(!dynbi_pages_resize(&b.pages, 0xfffffe00u));
    CHECK_INT(b.memory.failed_count, 4 + 1 + 2);
    CHECK(!dynbi_pages_resize(&b.pages, 0xfffffe01u)); /* no bit map holds that many */
    CHECK(!dynbi_pages_resize(&b.pages, 0xffffffffu));
    CHECK_INT(b.memory.failed_count, 4 + 1 + 2);
    CHECK_INT(b.pages.page_count, 5000);
    bench_close(&b);

    memset(&b, 0, sizeof b); /* never had any page */
    b.allocator = fault_allocator_of(&b.memory);
    b.pages.allocator = &b.allocator;
    b.memory.fail_at = 1;
    CHECK(!dynbi_pages_resize(&b.pages, 16));
    bench_close(&b);
}

int main(void)
{
    check_random random;
    random.state = check_seed("unit_pages");
    test_next_fit();
    test_folds();
    test_failures();
    test_random(&random, 3);
    test_random(&random, 64);
    test_random(&random, 600);
    test_random(&random, MODEL_PAGES);
    return check_report("unit_pages");
}
