/* kit_store.h - a store in memory that can be opened again: on a device that can
 * fail and with an allocator that counts, with the kit's clock and ids. */
#ifndef KIT_STORE_H
#define KIT_STORE_H

#include "fault.h"
#include "kit.h"

typedef struct store {
    dynb *db;
    fault_device device;
    fault_allocator memory;
    kit_clock clock;
    check_random ids;
    dynb_device callbacks;
    dynb_config config;
    dynb_result result;
} store;

/* A store on an empty device, not open yet, otherwise as dynb_config has it. */
static inline void store_init(store *s)
{
    memset(s, 0, sizeof *s);
    s->clock.now_ms = 1700000000000u;
    s->clock.step_ms = 1;
    s->ids.state = 7;
    s->config.allocator = fault_allocator_of(&s->memory);
    s->config.device = &s->callbacks;
    s->config.clock_fn = kit_clock_now;
    s->config.clock_ctx = &s->clock;
    s->config.random_fn = kit_random64;
    s->config.random_ctx = &s->ids;
    s->config.create_backup_per_second = DYNB_UNLIMITED;
}

static inline dynb_rc store_try(store *s)
{
    if (!s->device.current)
        fault_start(&s->device, NULL, 0, 0);
    s->callbacks = fault_device_of(&s->device);
    return dynb_open(&s->db, NULL, &s->config, &kit_err);
}

static inline void store_open(store *s)
{
    MUST(store_try(s));
}

static inline void store_close(store *s)
{
    MUST(dynb_close(s->db, &kit_err));
    s->db = NULL;
}

static inline void store_reopen(store *s)
{
    store_close(s);
    store_open(s);
}

/* The store is closed: nothing of it is left, and it kept its promises. */
static inline void store_free(store *s)
{
    dynb_result_free(&s->result);
    CHECK_INT(s->memory.live_count, 0);
    CHECK_INT(s->memory.broken_count, 0);
    CHECK_INT(s->device.broken_promise_count, 0);
    fault_free(&s->device);
}

#endif
