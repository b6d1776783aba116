/* kit.h - what all programs of the bench share: ending loudly, time, latencies,
 * the model that every value is checked against, files, floors, figures.
 *
 * The model: item i has a fixed key; its value follows from i and how often it
 * was written. It remembers one version an item, or GONE, and nothing else. */
#ifndef BENCH_KIT_H
#define BENCH_KIT_H
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include <inttypes.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define KEY_BYTES 24u
#define VALUE_BYTES_MAX 4096u
#define VALUE_BYTES_MIN 32u
#define BATCH_COUNT 1000u
#define FRAME_BYTES 240u /* what the floors write: an item of 200 B and its log frame */
#define PATH_SIZE 4200u
#define GONE UINT32_MAX /* the version of an item that was deleted */

/* What is being measured, for die() and record(): set by the programs. */
struct kit {
    const char *engine;
    const char *case_name;
    uint64_t items;
    uint64_t budget_mib; /* 0: the default */
    uint32_t value_bytes;
    unsigned round;
    FILE *csv;
};
extern struct kit kit;

/* ------------------------------------------------------------- tools -- */

__attribute__((noreturn, format(printf, 1, 2))) void die(const char *format, ...);
void *get_memory(size_t size); /* zeroed; ends the program when there is none */
uint64_t now_ns(void);
double seconds_since(uint64_t start_ns);
void sleep_us(long us);
uint64_t mix(uint64_t z); /* a bijection: distinct in, distinct out */
uint64_t next_random(uint64_t *state);
uint64_t random_below(uint64_t *state, uint64_t bound); /* bound <= 2^32 */
/* A line of /proc/self/status, in bytes, or 0. */
uint64_t process_status_bytes(const char *label);

/* Latencies of single calls, kept whole so that percentiles are exact. */
struct latencies {
    uint32_t *ns;
    size_t count;
    size_t capacity;
    uint64_t sum_ns;
    int sorted;
};
void latency_add(struct latencies *l, uint64_t ns);
double latency_us(struct latencies *l, double part); /* 0.5: the median, 1: the largest */
double latency_rate(const struct latencies *l);      /* calls a second */
double latency_seconds(const struct latencies *l);
void latency_free(struct latencies *l);
double median_of(double *values, int count);

/* ------------------------------------------------------------- model -- */

void model_init(uint32_t value_bytes);
/* A pair: its key and right after it its value. */
size_t pair_bytes(void);
uint32_t raw_item_bytes(void); /* by AWS's rule: "id" + key + "val" + value */
void make_key(uint64_t index, uint8_t *key);
void make_pair(uint64_t index, uint64_t version, uint8_t *pair);
/* Ends the program unless the value is that of this version; GONE wants NULL. */
void check_value(uint64_t index, uint32_t version, const uint8_t *value);
/* Ends the program unless the value is some version of this item; which. */
uint64_t check_any_value(uint64_t index, const uint8_t *value);
/* Adding these up over a table gives its content sum, in any order. */
uint64_t hash_item(const uint8_t *key, const uint8_t *value);
/* Of items as they are in the model; versions NULL: all written once. */
uint64_t expected_sum(const uint32_t *versions, uint64_t items);
uint64_t hash_version(uint64_t index, uint32_t version); /* 0 for GONE */

/* Walks 0..items-1 in a scattered order, each once. */
struct walk {
    uint64_t at, step, items;
};
struct walk walk_start(uint64_t *random, uint64_t items);
uint64_t walk_next(struct walk *w);

/* The next `count` items of a walk, each at its next version. */
void make_pairs(struct walk *w, uint32_t *versions, uint32_t count, uint8_t *pairs);

/* Visits the items of a scan: their number and content sum; keys must rise. */
struct scan_sum {
    uint64_t sum, count;
    uint8_t last[KEY_BYTES];
};
void scan_visit(void *scan_sum, const uint8_t *key, const uint8_t *value);
/* Ends the program unless the scan saw the items of the model, and no others. */
void scan_check(const struct scan_sum *s, const uint32_t *versions, uint64_t items);

/* Zipf's law with exponent 0.99 over 0..items-1, the first the most frequent. */
struct zipf {
    uint64_t items;
    double alpha, zeta_n, eta;
};
struct zipf zipf_start(uint64_t items);
uint64_t zipf_next(const struct zipf *z, uint64_t *random);

/* ------------------------------------------------------------- files -- */

void make_directory(const char *path);
void remove_tree(const char *path); /* nothing there is fine */
void copy_file(const char *from, const char *to);
void sync_file(const char *path);
void sync_directory(const char *path); /* and the files in it */
void sync_file_system(const char *path);
/* Copies a directory of files; those that end in `linked` are linked instead. */
void copy_directory(const char *from, const char *to, const char *linked);
/* Bytes allocated under a directory, each file once however often it is
 * linked; files that end in `skipped` (or NULL) do not count. */
uint64_t tree_bytes(const char *path, const char *skipped);
/* Those under `root` without the log of the store in it, whose files end in `log`. */
uint64_t tree_bytes_but_log(const char *root, const char *store, const char *log);

/* A file for the floors. Preallocated: its bytes are all there already, so that
 * a sync changes no metadata. */
struct floor_file {
    int fd;
    uint64_t pos;
};
void floor_open(struct floor_file *f, const char *path, int preallocated);
void floor_write(struct floor_file *f);
void floor_write_synced(struct floor_file *f);
void floor_close(struct floor_file *f, const char *path);
const uint8_t *floor_noise(void); /* 64 KiB */
#define NOISE_BYTES 65536u

/* ----------------------------------------------------------- figures -- */

/* A line of the CSV: round,engine,items,value_bytes,budget_mib,case,unit,figure */
void record(const char *name, const char *unit, double figure);

/* ----------------------------------------------------------- options -- */

/* What one process measures. */
struct options {
    const char *engine;
    const char *directory; /* what is in it is removed */
    const char *csv;       /* figures are appended; NULL: they are printed */
    const char *timeline;  /* or NULL: no writes over time */
    uint64_t items;        /* a multiple of 10000 */
    int is_quick, is_floors, is_child;
};

/* Reads `--name value` pairs, sets `kit` and opens the CSV; 0 when they are not
 * understood. */
int options_start(int argc, char **argv, struct options *o);

#endif
