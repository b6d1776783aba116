/* dynbackup.h - v0.1 - DynamoDB-style tables with instant, exact backups
 *
 * One header, C99 and C++11, nothing beyond libc. MIT or Unlicense: see
 * LICENSE.
 *
 * DO THIS
 *
 *     #define DYNBACKUP_IMPLEMENTATION
 *     #include "dynbackup.h"
 *
 * in exactly one C or C++ file; include it without the define elsewhere.
 *
 * STOP HERE IF YOU ONLY WANT THE API: everything up to the line
 * "end of the public part" is the manual; what follows is the engine.
 *
 * OVERVIEW
 *
 *     dynb *db;
 *     dynb_open(&db, "shop.dynb", NULL, NULL);
 *     dynb_create_table(db, &(dynb_create_table_input){...}, NULL, NULL, NULL);
 *     dynb_put_item(db, "Orders", &item, NULL, NULL, NULL);
 *     dynb_create_backup(db, "Orders", "before-sale", &backup, NULL);
 *     dynb_restore_table_from_backup(db, &(dynb_restore_input){...}, ...);
 *     dynb_close(db, NULL);
 *
 * A table is a snapshot plus the changes logged since. CreateBackup writes one
 * log record, the marker; the backup is built in the background by folding the
 * changes up to the marker into immutable trees, and costs what changed.
 * A restore is a new table that shares the backup's trees, so it is instant.
 *
 * With point-in-time recovery on, any millisecond of a table's last 1 to 35
 * days can be restored the same way: an older snapshot, and the log from there.
 *
 * STEP BY STEP
 *
 *   1. dynb_open: a path gives a file, NULL gives memory, dynb_config.device
 *      gives your own five callbacks.
 *   2. dynb_create_table: a name, a partition key and perhaps a sort key.
 *   3. Build items with a dynb_builder (or dynb_item_from_json), hand them to
 *      dynb_put_item, read them with dynb_get_item, dynb_query, dynb_scan.
 *   4. dynb_create_backup whenever you like, also while other threads write.
 *   5. Without threads call dynb_work now and then: it builds backups and
 *      keeps the store tidy in steps of the size you choose. Every write does
 *      a little of it too. With DYNBACKUP_PTHREADS a thread does it.
 *   6. dynb_update_continuous_backups switches point-in-time recovery on for a
 *      table, dynb_restore_table_to_point_in_time brings its past back,
 *      dynb_update_backup_retention says which backups stay.
 *   7. dynb_close.
 *
 * SECONDARY INDEXES
 *
 *   dynb_create_table takes up to 20 global and 5 local indexes;
 *   dynb_update_table adds and removes global ones while the table is in use.
 *   Name one in a dynb_query_input or dynb_scan_input to read it. Every write
 *   keeps them, in the log record of the item; for that it reads the item that
 *   it replaces, so a put into a table with indexes costs a get, and a put for
 *   each index whose entry changes. A backup holds the indexes that are ACTIVE
 *   at its marker; a restore brings them back, or those that
 *   dynb_restore_overrides names.
 *
 * MEMORY AND LIFETIMES
 *
 *   Calls that return data of unknown size take a dynb_result: memory that you
 *   own and that may be used again by the next call. Zero it before the first
 *   use, dynb_result_free it after the last. Everything a call returns through
 *   it is valid until the next call with the same dynb_result. Nothing else
 *   that is returned has to be freed, but the handle itself.
 *
 * READING BACKUPS
 *
 *   A backup can be read as it is, at once and without restoring it:
 *   dynb_get_item_at, and dynb_query and dynb_scan with backup_arn. What
 *   changed between two backups, or since one, is told by dynb_compare.
 *
 * STATES
 *
 *   Here everything is done when a call returns; only backups are CREATING
 *   until they are built. For programs that must live with a service that takes
 *   its time, dynb_config.control_plane_delay_ms and backup_delay_ms show the
 *   states of the service and its conflicts on the clock; dynb_fail_next_calls
 *   gives any error on demand.
 *
 * ERRORS
 *
 *   Every function that can fail returns a dynb_rc, DYNB_OK (0) or a reason,
 *   and fills the optional dynb_error with code, message and place. A call
 *   that fails changes nothing. The one exception: when the device fails to
 *   write or sync the log, what it holds is unknown; the handle then refuses
 *   to write (DYNB_READ_ONLY) until the store is opened again.
 *
 * DURABILITY
 *
 *   DYNB_SYNCED    (default) acknowledged means on the medium
 *   DYNB_TO_OS     acknowledged survives the death of the process
 *   DYNB_BUFFERED  acknowledged survives once dynb_sync or dynb_close returns,
 *                  or some 64 KiB later
 *
 *   Whatever the level, a crash leaves the state after some whole prefix of
 *   the writes, never a hole and never half of a batch.
 *
 * THREADS
 *
 *   With DYNBACKUP_PTHREADS, visible where the implementation is compiled, any
 *   thread may call any function on a handle at any time; without it, one at a
 *   time. Builders, items and results belong to one thread at a time. Two
 *   handles never share anything; there are no globals.
 *
 * CONFIGURATION MACROS (all but the first two: visible where the
 * implementation is compiled; none changes a public type)
 *
 *   DYNBACKUP_IMPLEMENTATION  compile the engine here
 *   DYNBACKUP_STATIC          all functions static; visible at every include
 *   DYNBACKUP_PTHREADS        locks and a builder thread; link with -pthread
 *   DYNBACKUP_NO_FILE         no file device, no clock: freestanding
 *   DYNBACKUP_NO_MALLOC       no default allocator: dynb_config.allocator then
 *                             must be set
 *   DYNBACKUP_ASSERT(x)       default: off. Checks only our own bugs.
 */
#ifndef DYNBACKUP_H
#define DYNBACKUP_H

/* Strict ISO modes hide pread, fdatasync and mmap; asked for here so that
 * `cc -std=c99` works when this is the first header of the file. */
#if defined(DYNBACKUP_IMPLEMENTATION) && !defined(DYNBACKUP_NO_FILE) && \
    defined(__STRICT_ANSI__) && !defined(_POSIX_C_SOURCE) && !defined(_GNU_SOURCE) && \
    !defined(_DEFAULT_SOURCE) && !defined(_XOPEN_SOURCE)
#define _POSIX_C_SOURCE 200809L
#endif
/* Files beyond 2 GiB on 32-bit systems; no effect if a system header came
 * first, but then sizes that do not fit are refused. */
#if defined(DYNBACKUP_IMPLEMENTATION) && !defined(DYNBACKUP_NO_FILE) && \
    !defined(_FILE_OFFSET_BITS)
#define _FILE_OFFSET_BITS 64
#endif

#include <stddef.h>
#include <stdint.h>

#define DYNB_VERSION "0.1.0"
#define DYNB_VERSION_NUMBER 100
/* The format on the device has its own number; a store with a newer one is
 * refused, never guessed at. */
#define DYNB_FORMAT_VERSION 1

#if defined(DYNBACKUP_STATIC)
/* A program need not call every function. */
#if defined(__GNUC__)
#define DYNB_API static __attribute__((unused))
#else
#define DYNB_API static
#endif
#elif defined(__cplusplus)
#define DYNB_API extern "C"
#else
#define DYNB_API extern
#endif

#if defined(__GNUC__) || defined(__clang__)
#define DYNB_MUST_CHECK __attribute__((warn_unused_result))
#else
#define DYNB_MUST_CHECK
#endif

/* ------------------------------------------------------------- errors -- */

/* One list gives the enum, the exception name and the HTTP status on the wire,
 * and the text for a message-less error. X(name, exception, status, text) */
#define DYNB_ERRORS(X) \
    X(OK, "", 200, "no error") \
    X(INVALID_ARGUMENT, "ValidationException", 400, "an argument is not usable") \
    X(VALIDATION, "ValidationException", 400, "a value breaks a rule of the service") \
    X(SERIALIZATION, "SerializationException", 400, "the JSON text is malformed") \
    X(RESOURCE_NOT_FOUND, "ResourceNotFoundException", 400, "no such table") \
    X(RESOURCE_IN_USE, "ResourceInUseException", 400, "the table exists already or is busy") \
    X(TABLE_NOT_FOUND, "TableNotFoundException", 400, "no such source table") \
    X(TABLE_ALREADY_EXISTS, "TableAlreadyExistsException", 400, "the target table exists") \
    X(TABLE_IN_USE, "TableInUseException", 400, "the target table is being created") \
    X(BACKUP_NOT_FOUND, "BackupNotFoundException", 400, "no such backup") \
    X(BACKUP_IN_USE, "BackupInUseException", 400, "the backup is being created or restored") \
    X(CONTINUOUS_BACKUPS_UNAVAILABLE, "ContinuousBackupsUnavailableException", 400, \
      "backups are not enabled yet") \
    X(POINT_IN_TIME_RECOVERY_UNAVAILABLE, "PointInTimeRecoveryUnavailableException", 400, \
      "point-in-time recovery is off") \
    X(INVALID_RESTORE_TIME, "InvalidRestoreTimeException", 400, \
      "the time is not in the window of recovery") \
    X(LIMIT_EXCEEDED, "LimitExceededException", 400, "a quota is used up") \
    X(THROTTLING, "ThrottlingException", 400, "Rate exceeded") \
    X(ACCESS_DENIED, "AccessDeniedException", 400, "Access is denied") \
    X(NO_MEMORY, "InternalServerError", 500, "memory, or its budget, is used up") \
    X(NO_SPACE, "InternalServerError", 500, "the device is full") \
    X(IO_FAILED, "InternalServerError", 500, "the device failed") \
    X(READ_ONLY, "InternalServerError", 500, "the handle may not write") \
    X(CORRUPT, "InternalServerError", 500, "bytes on the device are damaged") \
    X(NOT_A_STORE, "InternalServerError", 500, "the device holds something else") \
    X(NEWER_FORMAT, "InternalServerError", 500, "the store was written by a newer version") \
    X(LOCKED, "InternalServerError", 500, "another process has the file open")

typedef enum dynb_rc {
#define DYNB_ERROR_ENUM(name, exception, status, text) DYNB_##name,
    DYNB_ERRORS(DYNB_ERROR_ENUM)
#undef DYNB_ERROR_ENUM
    DYNB_ERROR_COUNT
} dynb_rc;

/* A message holds any name or ARN whole. */
#define DYNB_MESSAGE_SIZE 1280

/* Filled on failure where the caller passes one; owned by the caller. */
typedef struct dynb_error {
    dynb_rc code;
    uint64_t pos;                    /* byte: of the JSON text or of the device; else 0 */
    char path[128];                  /* JSON path such as "Item.tags[2]", or "" */
    char message[DYNB_MESSAGE_SIZE]; /* what was wrong and what to do, one line */
} dynb_error;

/* ------------------------------------------------------------- limits -- */

#define DYNB_NAME_MIN 3
#define DYNB_NAME_MAX 255
#define DYNB_ARN_MIN 37
#define DYNB_ARN_MAX 1024
#define DYNB_ITEM_MAX_BYTES 409600
#define DYNB_PARTITION_KEY_MAX_BYTES 2048
#define DYNB_SORT_KEY_MAX_BYTES 1024
#define DYNB_KEY_NAME_MAX_BYTES 255
#define DYNB_ATTRIBUTE_NAME_MAX_BYTES 65535
#define DYNB_NESTING_MAX 32
#define DYNB_NUMBER_DIGITS_MAX 38
#define DYNB_NUMBER_TEXT_SIZE 172 /* the longest number, its sign, point and NUL */
#define DYNB_TAGS_MAX 50
#define DYNB_GLOBAL_INDEXES_MAX 20
#define DYNB_LOCAL_INDEXES_MAX 5
#define DYNB_NON_KEY_ATTRIBUTES_MAX 20        /* of one index */
#define DYNB_PROJECTED_ATTRIBUTES_MAX 100     /* of all indexes of a table */
#define DYNB_PAGE_MAX_BYTES 1048576 /* query and scan stop at 1 MB */
#define DYNB_BACKUPS_PAGE_MAX 100
#define DYNB_RECOVERY_DAYS_MAX 35
#define DYNB_SYSTEM_BACKUP_DAYS 35
#define DYNB_UNLIMITED 0xffffffffu

/* ------------------------------------------------------ values, items -- */

/* The ten attribute types. */
typedef enum dynb_type {
    DYNB_TYPE_NONE = 0, /* no value: attribute absent */
    DYNB_S,
    DYNB_N,
    DYNB_B,
    DYNB_BOOL,
    DYNB_NULL,
    DYNB_SS,
    DYNB_NS,
    DYNB_BS,
    DYNB_L,
    DYNB_M
} dynb_type;

/* A view of one attribute value inside an item; copies nothing. `bytes` is in
 * the item's own encoding: use the dynb_value_* functions to look at it. */
typedef struct dynb_value {
    dynb_type type;
    uint32_t size_bytes;
    const uint8_t *bytes;
} dynb_value;

/* A view of one whole item: a map of attributes in the engine's compact,
 * canonical encoding (attributes sorted by name, sets sorted, numbers in one
 * form), so two items are equal exactly if their bytes are. */
typedef struct dynb_item {
    const uint8_t *bytes;
    uint32_t size_bytes; /* of the encoding; see dynb_item_size for AWS's rule */
} dynb_item;

/* Walks the attributes of an item or map, the elements of a list or set. */
typedef struct dynb_iterator {
    const uint8_t *at;
    const uint8_t *end;
    uint8_t kind;
} dynb_iterator;

/* ------------------------------------------------ allocator and device -- */

/* One function allocates (ptr NULL, old 0), resizes and frees (new 0, returns
 * NULL). We promise: `old_size` is what was asked for before. It must promise:
 * memory aligned for any type; on failure NULL and the old block untouched.
 * With DYNBACKUP_PTHREADS it is called under the handle's lock. */
typedef struct dynb_allocator {
    void *(*resize_fn)(void *ctx, void *ptr, size_t old_size, size_t new_size);
    void *ctx;
} dynb_allocator;

/* A device: random-access bytes. Each callback returns DYNB_OK, or
 * DYNB_IO_FAILED, or DYNB_NO_SPACE (write, resize).
 *
 * We promise: reads and writes lie inside the size last reported or set; no
 * byte range is written by two threads or read while it is written; after
 * anything but DYNB_OK from write_fn or sync_fn no further write comes.
 * You promise: bytes written are read back by the next read; after sync_fn
 * returns DYNB_OK all bytes written before the call survive a power cut;
 * unsynced bytes may survive or not, in any order, in sectors of 512 bytes or
 * less. With DYNBACKUP_PTHREADS read_fn and write_fn run at the same time on
 * disjoint ranges, also while resize_fn or sync_fn runs; map_fn does not. */
typedef struct dynb_device {
    void *ctx;
    dynb_rc (*read_fn)(void *ctx, uint64_t pos, void *to, size_t size_bytes);
    dynb_rc (*write_fn)(void *ctx, uint64_t pos, const void *from, size_t size_bytes);
    dynb_rc (*sync_fn)(void *ctx);
    dynb_rc (*size_fn)(void *ctx, uint64_t *size_bytes);
    dynb_rc (*resize_fn)(void *ctx, uint64_t size_bytes); /* NULL: the size is fixed */
    /* Optional: lends memory that shows [pos, pos+size) until the device is
     * closed, later writes included; NULL: this range has to be copied. */
    const void *(*map_fn)(void *ctx, uint64_t pos, size_t size_bytes);
    /* Optional: lends memory of [pos, pos+size) until it is called again or the
     * close; what is stored there counts as handed to write_fn at once, so that
     * a write that need only survive the process is a copy, not a call; NULL:
     * this range has to be written. */
    void *(*write_map_fn)(void *ctx, uint64_t pos, size_t size_bytes);
    void (*close_fn)(void *ctx); /* optional: called once by dynb_close */
} dynb_device;

/* Opens a file as a device and locks it against other processes.
 * path: created when absent unless read_only. Owned by: the caller, until it is
 * handed to dynb_open, whose dynb_close then closes it.
 * After: the file is locked; its bytes are untouched.
 * Returns: LOCKED (another process has it), IO_FAILED (cannot open; the message
 *   names the path and the system's error number), NO_MEMORY, INVALID_ARGUMENT.
 * Cost: one open and one lock. Threads: any. Source: ours. */
DYNB_API DYNB_MUST_CHECK dynb_rc dynb_file_device_open(dynb_device *device, const char *path,
                                                       int read_only,
                                                       const dynb_allocator *allocator,
                                                       dynb_error *err);

/* Makes a device of memory.
 * size_bytes: initial size. fixed: nonzero forbids growth, as a flash chip
 * does.
 * Returns: NO_MEMORY, INVALID_ARGUMENT.
 * Cost: one allocation. Threads: any. Source: ours. */
DYNB_API DYNB_MUST_CHECK dynb_rc dynb_ram_device_open(dynb_device *device, uint64_t size_bytes,
                                                      int fixed, const dynb_allocator *allocator,
                                                      dynb_error *err);

/* ------------------------------------------------------ configuration -- */

typedef enum dynb_durability { DYNB_SYNCED = 0, DYNB_TO_OS, DYNB_BUFFERED } dynb_durability;

/* All zero is a good configuration. */
typedef struct dynb_config {
    dynb_allocator allocator; /* resize_fn NULL: the C library's */
    /* NULL: a file when dynb_open has a path, else memory. Copied by dynb_open,
     * which owns it from then on, also when it fails. */
    const dynb_device *device;
    uint64_t (*clock_fn)(void *ctx); /* ms since 1970; NULL: the system's */
    void *clock_ctx;
    uint64_t (*random_fn)(void *ctx); /* 64 random bits; NULL: our own, seeded by the clock */
    void *random_ctx;
    uint64_t memory_bytes;      /* budget for all the handle allocates; 0: 64 MiB; at least
                                 * 64 KiB with nodes of 512 bytes, 48 nodes and
                                 * 40 KiB else; 16 KiB more for each index of a
                                 * table but the first; where pointers have 32
                                 * bits 52 KiB, 24 nodes and 40 KiB else */
    uint32_t page_size_bytes;   /* of a new store; power of two 512..65536; 0: 4096, or 512
                                 * when memory_bytes is below 1 MiB */
    uint32_t node_size_bytes;   /* of a new store; multiple of the page, <= 32768; 0: 8192, or
                                 * one page when pages are small or large */
    uint32_t log_segment_bytes; /* 0: 1 MiB, less when memory is small */
    dynb_durability durability; /* of every write unless dynb_write_options say else */
    uint32_t create_backup_per_second; /* 0: 50, as AWS; DYNB_UNLIMITED: no limit */
    uint64_t recovery_lag_ms; /* latest restorable time is this long ago; AWS: 300000 */
    uint32_t describe_backup_per_second; /* 0, here and below: no limit; AWS has 10 */
    uint32_t list_backups_per_second;    /* AWS: 5 */
    uint32_t delete_backup_per_second;   /* AWS: 10 */
    uint32_t restore_table_per_second;   /* AWS: 10; a set counts once */
    uint32_t describe_continuous_backups_per_second; /* AWS: 10 */
    /* To watch what lasts in the cloud; 0: at once. Tables are CREATING,
     * UPDATING and DELETING that long by the clock, restored ones too, and
     * refuse what AWS refuses then; backups are CREATING at least so long. */
    uint32_t control_plane_delay_ms;
    uint32_t backup_delay_ms;
    const char *account_id;            /* 12 digits; NULL: "123456789012" */
    const char *region;                /* NULL: "us-east-1" */
    int read_only;     /* nonzero: never write, not even to recover */
    int no_create;     /* nonzero: an empty device or absent file is an error */
    int manual_work;   /* nonzero: no builder thread, and writes do not help; dynb_work does all */
    int verify_always; /* nonzero: check every node's sum at every read, not only the first */
} dynb_config;

typedef struct dynb dynb; /* an open store */

/* Memory for what calls return; see MEMORY AND LIFETIMES. */
typedef struct dynb_result {
    uint8_t *memory;
    size_t used_bytes;
    size_t capacity_bytes;
    dynb_allocator allocator;
} dynb_result;

/* Frees the memory of a result, which then may be used again. NULL is fine.
 * Cost: one free. Threads: the owner's. Source: ours. Returns nothing. */
DYNB_API void dynb_result_free(dynb_result *result);

/* ----------------------------------------------------- open and close -- */

/* Opens a store, creating it on an empty device, recovering it after a crash.
 * out: the handle. path: a file, or NULL for config->device or memory.
 * config: NULL for the defaults; copied.
 * After: every write that was acknowledged at its durability is there; backups
 *   that were being built go on being built.
 * Returns: INVALID_ARGUMENT, NO_MEMORY, NO_SPACE, IO_FAILED, LOCKED,
 *   NOT_A_STORE, NEWER_FORMAT, CORRUPT (damage recovery must not guess about;
 *   opening with read_only still shows the undamaged part).
 * Cost: reads interior nodes and the log since the last checkpoint. Syncs: none
 *   until the first write. Threads: any. Source: ours. */
DYNB_API DYNB_MUST_CHECK dynb_rc dynb_open(dynb **out, const char *path, const dynb_config *config,
                                           dynb_error *err);

/* Finishes the log, marks its end as durable, closes the device and frees all.
 * Returns: IO_FAILED, READ_ONLY (an earlier failure; the handle is freed all
 * the same).
 * Cost: two or three syncs. Backups being built are completed at the next open.
 * Threads: no other call may be running. Source: ours. */
DYNB_API dynb_rc dynb_close(dynb *db, dynb_error *err);

/* Makes all acknowledged writes survive a power cut.
 * Returns: IO_FAILED, READ_ONLY. Cost: one sync. Threads: any. Source: ours. */
DYNB_API DYNB_MUST_CHECK dynb_rc dynb_sync(dynb *db, dynb_error *err);

/* Builds backups and tidies, for about `budget_bytes` of reading and writing.
 * pending: NULL or set to nonzero while work is left.
 * After: pending zero means that every backup is AVAILABLE, every index ACTIVE
 *   (unless space lacks), the counts of tables and indexes are exact, memory
 *   holds few changes, and expired backups, those no rule wants, and history
 *   out of its window are gone.
 * Returns: NO_MEMORY, NO_SPACE, IO_FAILED, READ_ONLY, CORRUPT.
 * Cost: bounded by the budget, and one sync or two. Threads: any. Source:
 * ours. */
DYNB_API DYNB_MUST_CHECK dynb_rc dynb_work(dynb *db, uint64_t budget_bytes, int *pending,
                                           dynb_error *err);

/* Does all the work there is, or waits until the builder thread has done it.
 * Returns: as dynb_work. Cost: proportional to the changes. Threads: any.
 * Source: ours. */
DYNB_API DYNB_MUST_CHECK dynb_rc dynb_wait_idle(dynb *db, dynb_error *err);

typedef struct dynb_stat {
    uint64_t device_bytes;     /* size of the device */
    uint64_t used_bytes;       /* pages not known to be free */
    uint64_t log_bytes;        /* log kept on the device */
    uint64_t memory_bytes;     /* allocated now */
    uint64_t memory_peak_bytes;
    uint64_t generation_bytes; /* of that: changes not folded yet */
    uint64_t lsn;              /* of the last change */
    uint64_t durable_lsn;      /* of the last change known to survive a power cut */
    uint64_t written_bytes;    /* by the builder since open: nodes */
    uint64_t folds_count;      /* runs published since open */
    uint64_t checkpoints_count;
    uint64_t table_count;
    uint32_t page_size_bytes;
    uint32_t node_size_bytes;
} dynb_stat;

/* Figures of the store. Returns: INVALID_ARGUMENT. Cost: O(1). Threads: any.
 * Source: ours. */
DYNB_API DYNB_MUST_CHECK dynb_rc dynb_get_stat(dynb *db, dynb_stat *out, dynb_error *err);

/* What dynb_check found; counts only. */
typedef struct dynb_check_report {
    uint64_t tables_count;
    uint64_t backups_count;
    uint64_t runs_count;
    uint64_t nodes_count;
    uint64_t items_count;
    uint64_t problems_count;
} dynb_check_report;

/* Called for each problem found; where: "table Orders", "backup arn:...". */
typedef void (*dynb_problem_fn)(void *ctx, const char *where, const dynb_error *problem);

/* Walks everything a root reaches: sums, order of keys, totals, gapless runs,
 * pages used twice or not accounted for, and every item's encoding.
 * report: NULL or filled. problem_fn: NULL or called for each problem.
 * After: nothing has changed. Returns: CORRUPT (something was found),
 *   NO_MEMORY, IO_FAILED. Cost: reads the whole store. Threads: any; holds the
 *   lock throughout. Source: ours. */
DYNB_API DYNB_MUST_CHECK dynb_rc dynb_check(dynb *db, dynb_check_report *report,
                                            dynb_problem_fn problem_fn, void *ctx,
                                            dynb_error *err);

/* Rebuilds the state of every table from its snapshot on the device and the
 * log, by the fold that recovery uses, and compares it with the live state.
 * Returns: CORRUPT (they differ), NO_MEMORY, IO_FAILED. Cost: reads the store
 * and the log. Threads: any; holds the lock throughout. Source: ours. */
DYNB_API DYNB_MUST_CHECK dynb_rc dynb_scrub(dynb *db, dynb_error *err);

/* The name of a code on the wire, such as "BackupNotFoundException", its HTTP
 * status and its general text. Returns "" or 0 for a number that is no code.
 * Cost: O(1). Threads: any. Source: contract 4.3. */
DYNB_API const char *dynb_rc_exception(dynb_rc code);
DYNB_API int dynb_rc_http_status(dynb_rc code);
DYNB_API const char *dynb_rc_text(dynb_rc code);

/* -------------------------------------------------------------- items -- */

/* Builds one item. Zero it, or dynb_builder_free it, before the first use; call
 * dynb_builder_begin to start each item. The first failure sticks, so the calls
 * between begin and finish need no checks of their own. */
typedef struct dynb_builder {
    dynb_allocator allocator; /* zero: the C library's */
    uint8_t *memory;
    size_t used_bytes;
    size_t capacity_bytes;
    uint32_t open_pos[DYNB_NESTING_MAX + 1]; /* where each open container starts */
    uint8_t open_type[DYNB_NESTING_MAX + 1];
    uint32_t open_count;
    dynb_error error;
} dynb_builder;

/* Starts an empty item, dropping an earlier one's memory for reuse. Returns
 * nothing: failures stick. Cost: O(1). Threads: the owner's. Source: ours. */
DYNB_API void dynb_builder_begin(dynb_builder *builder);

/* Add one value. name: the attribute in an item or map, NULL in a list or set
 * (an element of a set: the scalar adder of its type). length: bytes, or
 * (size_t)-1 for a NUL-terminated text. Numbers come as text, "-1.5e3".
 * Returns nothing: failures stick and name the attribute.
 * Cost: O(length). Threads: the owner's. Source: contract 3.1, 3.2. */
DYNB_API void dynb_add_string(dynb_builder *builder, const char *name, const char *text,
                              size_t length);
DYNB_API void dynb_add_number(dynb_builder *builder, const char *name, const char *text,
                              size_t length);
DYNB_API void dynb_add_int(dynb_builder *builder, const char *name, int64_t number);
DYNB_API void dynb_add_binary(dynb_builder *builder, const char *name, const void *bytes,
                              size_t length);
DYNB_API void dynb_add_bool(dynb_builder *builder, const char *name, int value);
DYNB_API void dynb_add_null(dynb_builder *builder, const char *name);
/* Copies a value from another item. */
DYNB_API void dynb_add_value(dynb_builder *builder, const char *name, dynb_value value);

/* Open a map, list or set (type DYNB_M, DYNB_L, DYNB_SS, DYNB_NS or DYNB_BS)
 * and close the innermost open one. Returns nothing: failures stick.
 * Cost: closing sorts its attributes or elements. Threads: the owner's.
 * Source: contract 3.1. */
DYNB_API void dynb_open_container(dynb_builder *builder, const char *name, dynb_type type);
DYNB_API void dynb_close_container(dynb_builder *builder);

/* Ends the item. out: a view into the builder's memory, valid until its next
 * begin or free. Returns: the first failure since begin: VALIDATION (a rule of
 * the service, with AWS's message), INVALID_ARGUMENT (a call out of place),
 * NO_MEMORY. Cost: O(size). Threads: the owner's. Source: contract 3.1-3.4. */
DYNB_API DYNB_MUST_CHECK dynb_rc dynb_builder_finish(dynb_builder *builder, dynb_item *out,
                                                     dynb_error *err);

/* Frees the builder's memory; it may begin again. Returns nothing.
 * Cost: one free. Threads: the owner's. Source: ours. */
DYNB_API void dynb_builder_free(dynb_builder *builder);

/* The attribute of that name; type DYNB_TYPE_NONE when absent. Returns the
 * view.
 * Cost: walks the attributes. Threads: any. Source: ours. */
DYNB_API dynb_value dynb_item_get(dynb_item item, const char *name);

/* Bytes of the item by AWS's rule (names, values, 3+1 per container...).
 * Returns the size. Cost: O(1). Threads: any. Source: contract 3.4. */
DYNB_API uint32_t dynb_item_size(dynb_item item);

/* The text or bytes of an S or B. Returns the pointer (not NUL-terminated),
 * sets *length; NULL for another type. Cost: O(1). Threads: any. Source:
 * ours. */
DYNB_API const char *dynb_value_string(dynb_value value, size_t *length);

/* The digits of an N as AWS prints them, NUL-terminated. Returns the length, 0
 * for another type. Cost: O(digits). Threads: any. Source: contract 3.2. */
DYNB_API size_t dynb_value_number(dynb_value value, char text[DYNB_NUMBER_TEXT_SIZE]);

/* An N that is a whole number fitting int64_t. Returns nonzero when it is, and
 * sets *number. Cost: O(digits). Threads: any. Source: ours. */
DYNB_API int dynb_value_int(dynb_value value, int64_t *number);

/* A BOOL. Returns 1 for true, else 0. Cost: O(1). Threads: any. Source:
 * ours. */
DYNB_API int dynb_value_bool(dynb_value value);

/* How many attributes, elements. Returns 0 for a scalar. Cost: O(1). Threads:
 * any. Source: ours. */
DYNB_API uint32_t dynb_value_count(dynb_value value);

/* Walk an item, or a value of type M, L, SS, NS, BS:
 *     dynb_iterator it = dynb_item_iterate(item);
 *     while (dynb_next(&it, &name, &name_length, &value)) ...
 * name is not NUL-terminated; for lists and sets its length is 0. name and
 * name_length may be NULL. Returns nonzero while there is one.
 * Cost: O(1) a step. Threads: any. Source: ours. */
DYNB_API dynb_iterator dynb_item_iterate(dynb_item item);
DYNB_API dynb_iterator dynb_value_iterate(dynb_value value);
DYNB_API int dynb_next(dynb_iterator *iterator, const char **name, size_t *name_length,
                       dynb_value *value);

/* Checks that bytes are a well-formed canonical item, for items that come from
 * outside. Every function of the handle that takes an item does this itself.
 * Returns: VALIDATION with the byte in pos. Cost: O(size). Threads: any.
 * Source: ours. */
DYNB_API DYNB_MUST_CHECK dynb_rc dynb_item_check(dynb_item item, dynb_error *err);

/* Reads one item in DynamoDB JSON, {"Id":{"N":"1"},...}; text after the object
 * other than white space is refused. builder: begun and finished by this call.
 * Returns: SERIALIZATION (malformed text, wrong JSON type; pos and path say
 *   where), VALIDATION (a rule of the service), NO_MEMORY.
 * Cost: O(length). Threads: the builder's owner. Source: contract 3.1, 4.4. */
DYNB_API DYNB_MUST_CHECK dynb_rc dynb_item_from_json(dynb_builder *builder, const char *text,
                                                     size_t length, dynb_item *out,
                                                     dynb_error *err);

/* Writes an item as DynamoDB JSON without white space, NUL-terminated, into
 * result's memory. Attributes come sorted by name.
 * Returns: NO_MEMORY, VALIDATION (not an item). Cost: O(size). Threads: the
 * result's owner. Source: contract 3.1. */
DYNB_API DYNB_MUST_CHECK dynb_rc dynb_item_to_json(dynb_item item, dynb_result *result,
                                                   const char **text, size_t *length,
                                                   dynb_error *err);

/* ------------------------------------------------------------- tables -- */

typedef enum dynb_billing_mode { DYNB_PAY_PER_REQUEST = 0, DYNB_PROVISIONED } dynb_billing_mode;
typedef enum dynb_table_status {
    DYNB_TABLE_CREATING = 0,
    DYNB_TABLE_UPDATING,
    DYNB_TABLE_DELETING,
    DYNB_TABLE_ACTIVE
} dynb_table_status;
typedef enum dynb_table_class {
    DYNB_STANDARD = 0,
    DYNB_STANDARD_INFREQUENT_ACCESS
} dynb_table_class;
typedef enum dynb_stream_view {
    DYNB_STREAM_OFF = 0,
    DYNB_STREAM_KEYS_ONLY,
    DYNB_STREAM_NEW_IMAGE,
    DYNB_STREAM_OLD_IMAGE,
    DYNB_STREAM_NEW_AND_OLD_IMAGES
} dynb_stream_view;
typedef enum dynb_encryption {
    DYNB_ENCRYPTION_DEFAULT = 0, /* the service's own key */
    DYNB_ENCRYPTION_KMS          /* recorded only: nothing is encrypted */
} dynb_encryption;

/* A key attribute: its name and DYNB_S, DYNB_N or DYNB_B. */
typedef struct dynb_key_attribute {
    const char *name; /* 1..255 bytes; NULL: there is none */
    dynb_type type;
} dynb_key_attribute;

typedef struct dynb_throughput {
    uint64_t read_units;
    uint64_t write_units;
} dynb_throughput;

typedef struct dynb_tag {
    const char *key;   /* 1..128 characters */
    const char *value; /* 0..256 characters */
} dynb_tag;

/* The settings of a table that are recorded, and shown, but change nothing in
 * this engine's own behaviour (deletion protection excepted). */
typedef struct dynb_table_settings {
    dynb_billing_mode billing_mode;
    dynb_throughput provisioned; /* both >= 1 if PROVISIONED, else both 0 */
    dynb_throughput on_demand;   /* maxima for PAY_PER_REQUEST; 0: not set */
    dynb_stream_view stream_view;
    dynb_encryption encryption;
    const char *kms_key_arn; /* NULL: the account's default key */
    dynb_table_class table_class;
    int deletion_protection;
} dynb_table_settings;

/* Which of a table's backups dynb_work deletes by itself. All zero: none. Where
 * counts are given, a backup stays if at least one of them wants it; max_age_ms
 * then takes away those that are older, wanted or not. */
typedef struct dynb_backup_retention {
    uint32_t keep_last;   /* the newest so many */
    uint32_t keep_hourly; /* the newest of each of the last so many hours that have one */
    uint32_t keep_daily;  /* likewise of days, UTC */
    uint64_t max_age_ms;  /* 0: no limit */
} dynb_backup_retention;

/* What an index holds of an item beside the keys of index and table. */
typedef enum dynb_projection {
    DYNB_PROJECT_ALL = 0,
    DYNB_PROJECT_KEYS_ONLY,
    DYNB_PROJECT_INCLUDE /* and the non-key attributes named */
} dynb_projection;

typedef enum dynb_index_status {
    DYNB_INDEX_CREATING = 0, /* being filled; not to be read yet */
    DYNB_INDEX_UPDATING,
    DYNB_INDEX_DELETING,
    DYNB_INDEX_ACTIVE
} dynb_index_status;

/* A secondary index. An item is in it if it has all of the index's keys. */
typedef struct dynb_index {
    const char *index_name; /* 3..255 of [a-zA-Z0-9_.-] */
    dynb_key_attribute partition_key; /* of a local index: the table's */
    dynb_key_attribute sort_key;      /* name NULL: none (global indexes only) */
    dynb_projection projection;
    const char *const *non_key_attributes; /* INCLUDE only: 1 to 20 */
    uint32_t non_key_attribute_count;
    dynb_throughput provisioned; /* global indexes of a PROVISIONED table: both
                                  * >= 1, else 0 */
    dynb_throughput on_demand;   /* global indexes: maxima; 0: not set */
} dynb_index;

typedef struct dynb_index_description {
    dynb_index index;
    const char *index_arn;
    dynb_index_status status;
    int backfilling;     /* nonzero: the items there were are being put in */
    uint64_t item_count; /* as for the table */
    uint64_t size_bytes; /* of the projected items */
} dynb_index_description;

typedef struct dynb_create_table_input {
    const char *table_name;
    dynb_key_attribute partition_key;
    dynb_key_attribute sort_key;
    dynb_table_settings settings;
    const dynb_tag *tags;
    uint32_t tag_count; /* at most 50 */
    /* NULL: none; a list that is given must not be empty */
    const dynb_index *global_indexes; /* at most 20 */
    uint32_t global_index_count;
    const dynb_index *local_indexes; /* at most 5 */
    uint32_t local_index_count;
    /* NULL, or as on the wire: names and types of exactly the attributes that
     * are keys of table and indexes, whose own types may then be left out */
    const dynb_key_attribute *attribute_definitions;
    uint32_t attribute_definition_count;
} dynb_create_table_input;

/* What DescribeTable tells. All pointers are into the dynb_result of the
 * call. */
typedef struct dynb_table_description {
    const char *table_name;
    const char *table_arn;
    const char *table_id; /* a UUID, new with each creation */
    dynb_table_status status;
    uint64_t created_at_ms;
    dynb_key_attribute partition_key;
    dynb_key_attribute sort_key; /* name NULL: none */
    dynb_table_settings settings;
    const char *stream_arn;   /* latest; NULL: never had a stream */
    const char *stream_label; /* 2015-05-11T21:21:33.291 */
    const char *ttl_attribute; /* NULL: time to live is off */
    uint64_t item_count;       /* last exact value; exact when nothing is pending */
    uint64_t size_bytes;       /* by AWS's item size rule; likewise */
    int restoring;             /* nonzero: the three below are set */
    const char *restore_source_backup_arn;
    const char *restore_source_table_arn;
    uint64_t restored_at_ms;
    uint32_t recovery_period_days; /* point-in-time recovery; 0: off */
    uint64_t recovery_from_ms;     /* nothing before it can be restored */
    uint64_t recovery_lsn;         /* of the change that switched it on */
    dynb_backup_retention retention;
    const dynb_index_description *global_indexes; /* in order of creation */
    uint32_t global_index_count;
    const dynb_index_description *local_indexes;
    uint32_t local_index_count;
} dynb_table_description;

/* Creates a table. input: copied. out and result: both NULL, or both given to
 * get the description, whose status is CREATING as in AWS's answer.
 * After: the table is ACTIVE (or so after control_plane_delay_ms) and empty,
 *   with a new TableId.
 * Returns: VALIDATION (with AWS's message), INVALID_ARGUMENT, RESOURCE_IN_USE
 *   (the name exists), LIMIT_EXCEEDED (2,500 tables; 500 operations at a time),
 *   NO_MEMORY, NO_SPACE, IO_FAILED, READ_ONLY.
 * Cost: one log record. Threads: any. Source: API CreateTable; contract 4.6. */
DYNB_API DYNB_MUST_CHECK dynb_rc dynb_create_table(dynb *db, const dynb_create_table_input *input,
                                                   dynb_table_description *out,
                                                   dynb_result *result, dynb_error *err);

/* Describes a table. table: its name or ARN.
 * Returns: RESOURCE_NOT_FOUND, VALIDATION, NO_MEMORY, IO_FAILED, CORRUPT.
 * Cost: O(1). Threads: any. Source: API DescribeTable. */
DYNB_API DYNB_MUST_CHECK dynb_rc dynb_describe_table(dynb *db, const char *table,
                                                     dynb_table_description *out,
                                                     dynb_result *result, dynb_error *err);

typedef struct dynb_table_list {
    const char *const *table_names;
    uint32_t count;
    const char *last_evaluated; /* NULL: that was all; else the next start */
} dynb_table_list;

/* Lists table names in byte order. start_after: a name, which need not exist,
 * or NULL. limit: 1..100, 0 means 100.
 * Returns: VALIDATION, NO_MEMORY. Cost: O(limit). Threads: any.
 * Source: API ListTables. */
DYNB_API DYNB_MUST_CHECK dynb_rc dynb_list_tables(dynb *db, const char *start_after,
                                                  uint32_t limit, dynb_table_list *out,
                                                  dynb_result *result, dynb_error *err);

/* Bits of dynb_update_table_input.change: which members of settings to take. */
#define DYNB_CHANGE_BILLING 1u             /* billing_mode, provisioned */
#define DYNB_CHANGE_ON_DEMAND 2u           /* on_demand */
#define DYNB_CHANGE_STREAM 4u              /* stream_view */
#define DYNB_CHANGE_ENCRYPTION 8u          /* encryption, kms_key_arn */
#define DYNB_CHANGE_TABLE_CLASS 16u        /* table_class */
#define DYNB_CHANGE_DELETION_PROTECTION 32u /* deletion_protection */
#define DYNB_CHANGE_INDEXES 64u             /* index_updates */

typedef enum dynb_index_action {
    DYNB_CREATE_INDEX = 0,
    DYNB_UPDATE_INDEX, /* provisioned, on_demand */
    DYNB_DELETE_INDEX
} dynb_index_action;

/* A change of a global index. */
typedef struct dynb_index_update {
    dynb_index_action action;
    dynb_index index; /* UPDATE: name and throughput; DELETE: the name */
} dynb_index_update;

typedef struct dynb_update_table_input {
    const char *table; /* name or ARN */
    uint32_t change;   /* DYNB_CHANGE_* added up; at least one */
    dynb_table_settings settings;
    const dynb_index_update *index_updates; /* at most one creates or deletes */
    uint32_t index_update_count;
    /* as for dynb_create_table; may name the table's own keys, too */
    const dynb_key_attribute *attribute_definitions;
    uint32_t attribute_definition_count;
} dynb_update_table_input;

/* Changes recorded settings; adds, changes and removes global indexes; items
 * are untouched.
 * After: a new index is CREATING: from now on every write keeps it, and the
 *   builder puts in the items there were, then it is ACTIVE. Items whose
 *   attributes do not fit its keys are left out. A removed one is DELETING
 *   until no backup that is being built needs it, then gone.
 * Returns: RESOURCE_NOT_FOUND, VALIDATION (a rule of UpdateTable, with AWS's
 *   message), LIMIT_EXCEEDED (indexes; one creation or deletion at a time),
 *   RESOURCE_IN_USE, NO_MEMORY, NO_SPACE, IO_FAILED, READ_ONLY.
 * Cost: one log record. Threads: any. Source: API UpdateTable; contract 4.6,
 * 5. */
DYNB_API DYNB_MUST_CHECK dynb_rc dynb_update_table(dynb *db, const dynb_update_table_input *input,
                                                   dynb_table_description *out,
                                                   dynb_result *result, dynb_error *err);

/* Deletes a table and its items. Its backups stay and stay restorable, those
 * that are still being built too. If point-in-time recovery is on, its history
 * ends, and a SYSTEM backup, NAME$DeletedTableBackup, stays for 35 days.
 * Returns: RESOURCE_NOT_FOUND, VALIDATION (deletion protection is on),
 *   RESOURCE_IN_USE, NO_MEMORY, NO_SPACE, IO_FAILED, READ_ONLY.
 * Cost: one log record. Threads: any. Source: API DeleteTable; contract 4.6. */
DYNB_API DYNB_MUST_CHECK dynb_rc dynb_delete_table(dynb *db, const char *table,
                                                   dynb_table_description *out,
                                                   dynb_result *result, dynb_error *err);

/* Records (attribute_name, 1..255 bytes) or switches off (NULL) time to live.
 * Items are not expired by this version.
 * Returns: RESOURCE_NOT_FOUND, VALIDATION, NO_MEMORY, NO_SPACE, IO_FAILED,
 * READ_ONLY.
 * Cost: one log record. Threads: any. Source: API UpdateTimeToLive. */
DYNB_API DYNB_MUST_CHECK dynb_rc dynb_update_time_to_live(dynb *db, const char *table,
                                                          const char *attribute_name,
                                                          dynb_error *err);

/* Adds or replaces tags; removes them by key. resource_arn: a table's ARN or
 * name.
 * Returns: RESOURCE_NOT_FOUND, VALIDATION (a backup's ARN, too many tags, a key
 *   given twice), NO_MEMORY, NO_SPACE, IO_FAILED, READ_ONLY.
 * Cost: one log record. Threads: any. Source: API TagResource,
 * UntagResource. */
DYNB_API DYNB_MUST_CHECK dynb_rc dynb_tag_resource(dynb *db, const char *resource_arn,
                                                   const dynb_tag *tags, uint32_t tag_count,
                                                   dynb_error *err);
DYNB_API DYNB_MUST_CHECK dynb_rc dynb_untag_resource(dynb *db, const char *resource_arn,
                                                     const char *const *keys, uint32_t key_count,
                                                     dynb_error *err);

/* The tags of a table, in order of their keys.
 * Returns: RESOURCE_NOT_FOUND, VALIDATION, NO_MEMORY. Cost: O(tags).
 * Threads: any. Source: API ListTagsOfResource. */
DYNB_API DYNB_MUST_CHECK dynb_rc dynb_list_tags_of_resource(dynb *db, const char *resource_arn,
                                                            const dynb_tag **tags,
                                                            uint32_t *tag_count,
                                                            dynb_result *result, dynb_error *err);

/* -------------------------------------------------------------- items -- */

typedef struct dynb_write_options {
    int return_old;             /* nonzero: old item in *old (needs a result) */
    int choose_durability;      /* nonzero: durability below instead of the handle's */
    dynb_durability durability;
} dynb_write_options;

/* Puts an item, replacing the one with the same key.
 * table: name or ARN. item: copied. options: NULL for none. old and result:
 * NULL unless options->return_old; old->bytes is NULL when there was no item.
 * After: readers see the item; it is as durable as asked for.
 * Returns: RESOURCE_NOT_FOUND, VALIDATION (key missing, of the wrong type or
 *   size; item over 400 KB; not an item), NO_MEMORY, NO_SPACE, IO_FAILED,
 *   READ_ONLY, CORRUPT.
 * Cost: one log record; a read if the old item is wanted; a sync if SYNCED.
 * Threads: any. Source: API PutItem; contract 3.3, 3.4. */
DYNB_API DYNB_MUST_CHECK dynb_rc dynb_put_item(dynb *db, const char *table, dynb_item item,
                                               const dynb_write_options *options, dynb_item *old,
                                               dynb_result *result, dynb_error *err);

/* Gets the item with that key (an item of just the key attributes).
 * out->bytes is NULL when there is none.
 * Returns: RESOURCE_NOT_FOUND, VALIDATION (the key does not match the schema),
 *   NO_MEMORY, IO_FAILED, CORRUPT. Cost: O(log n). Threads: any.
 * Source: API GetItem. Reads are always strongly consistent. */
DYNB_API DYNB_MUST_CHECK dynb_rc dynb_get_item(dynb *db, const char *table, dynb_item key,
                                               dynb_item *out, dynb_result *result,
                                               dynb_error *err);

/* Deletes the item with that key; deleting none is no error.
 * Parameters, errors and cost: as dynb_put_item and dynb_get_item.
 * Returns: as dynb_put_item. Cost: one log record. Threads: any.
 * Source: API DeleteItem. */
DYNB_API DYNB_MUST_CHECK dynb_rc dynb_delete_item(dynb *db, const char *table, dynb_item key,
                                                  const dynb_write_options *options,
                                                  dynb_item *old, dynb_result *result,
                                                  dynb_error *err);

/* One put or delete of a batch. */
typedef struct dynb_write {
    const char *table; /* name or ARN */
    dynb_item item;    /* the item, or for a delete its key */
    int is_delete;
} dynb_write;

/* Puts and deletes over several tables, all or nothing, as one log record: no
 * crash, reader or backup ever sees a part of it. Stronger than AWS's
 * BatchWriteItem, and not bound to its 25 requests.
 * writes: write_count >= 1. options: return_old is refused.
 * Returns: as dynb_put_item; VALIDATION also when a key comes twice; the
 *   message names the write by its index.
 * Cost: one log record, one sync if SYNCED. Threads: any.
 * Source: API BatchWriteItem; contract 3.4, 4.6. */
DYNB_API DYNB_MUST_CHECK dynb_rc dynb_batch_write(dynb *db, const dynb_write *writes,
                                                  uint32_t write_count,
                                                  const dynb_write_options *options,
                                                  dynb_error *err);

typedef enum dynb_sort_condition {
    DYNB_SORT_ANY = 0,
    DYNB_SORT_EQ,
    DYNB_SORT_LT,
    DYNB_SORT_LE,
    DYNB_SORT_GT,
    DYNB_SORT_GE,
    DYNB_SORT_BETWEEN,    /* from..to, both included */
    DYNB_SORT_BEGINS_WITH /* S and B only */
} dynb_sort_condition;

typedef struct dynb_query_input {
    const char *table;         /* name or ARN; NULL: see backup_arn */
    dynb_value partition_key;  /* a view, e.g. dynb_item_get(item, "Id") */
    dynb_sort_condition condition;
    dynb_value sort_from;      /* the operand, BETWEEN's lower one */
    dynb_value sort_to;        /* BETWEEN's upper one */
    int descending;            /* nonzero: ScanIndexForward false */
    uint32_t limit;            /* items at most; 0: no limit but the 1 MB page */
    dynb_item start_after;     /* last_key of the page before; bytes NULL: start */
    const char *backup_arn;    /* with table NULL: inside this backup */
    const char *index_name;    /* NULL: the table; the keys above are then the index's */
    int consistent_read;       /* nonzero: refused for global indexes, as AWS does; reads
                                * are always consistent, these too */
} dynb_query_input;

typedef struct dynb_scan_input {
    const char *table;     /* name or ARN; NULL: see backup_arn */
    uint32_t limit;        /* as for queries */
    dynb_item start_after; /* as for queries */
    uint32_t segment;       /* 0..total_segments-1 */
    uint32_t total_segments; /* 0 or 1: the whole table; at most 1,000,000 */
    const char *backup_arn;  /* with table NULL: inside this backup */
    const char *index_name;  /* NULL: the table */
    int consistent_read;     /* as for queries */
} dynb_scan_input;

typedef struct dynb_page {
    const dynb_item *items;
    uint32_t count;
    dynb_item last_key; /* bytes NULL: no more; else start_after of the next page */
} dynb_page;

/* The items of one partition in order of the sort key: N by value, S and B by
 * bytes. At most limit items or 1 MB, then last_key is set. Of an index, items
 * are what it projects, and last_key holds the keys of index and table.
 * Returns: RESOURCE_NOT_FOUND, VALIDATION (no such index, one that is being
 *   filled), NO_MEMORY, IO_FAILED, CORRUPT; inside a backup also what
 *   dynb_get_item_at returns.
 * Cost: O(log n + items). Threads: any. Source: API Query. */
DYNB_API DYNB_MUST_CHECK dynb_rc dynb_query(dynb *db, const dynb_query_input *input,
                                            dynb_page *out, dynb_result *result, dynb_error *err);

/* All items, in order of the keys. Segments part the items by a hash of the
 * partition key: each item is in exactly one, page after page, whatever is
 * written meanwhile; each segment's scan reads past the other segments' items.
 * Returns: as dynb_query. Cost: O(items). Threads: any. Source: API Scan. */
DYNB_API DYNB_MUST_CHECK dynb_rc dynb_scan(dynb *db, const dynb_scan_input *input, dynb_page *out,
                                           dynb_result *result, dynb_error *err);

/* ------------------------------------------------------------ backups -- */

typedef enum dynb_backup_status {
    DYNB_BACKUP_CREATING = 0,
    DYNB_BACKUP_AVAILABLE,
    DYNB_BACKUP_DELETED
} dynb_backup_status;

typedef enum dynb_backup_type { DYNB_BACKUP_USER = 0, DYNB_BACKUP_SYSTEM } dynb_backup_type;

/* What DescribeBackup tells. All pointers are into the dynb_result of the
 * call. */
typedef struct dynb_backup_description {
    const char *backup_arn;
    const char *backup_name;
    dynb_backup_status status;
    dynb_backup_type type;
    uint64_t created_at_ms; /* the time of the request */
    uint64_t expires_at_ms; /* 0: never */
    uint64_t size_bytes;    /* of the items; exact once AVAILABLE and idle */
    uint64_t lsn;           /* the marker: every change up to it, none after it */
    dynb_table_description source; /* the table as it was at the marker */
} dynb_backup_description;

/* Catalogs a time marker for a backup of the table as it is now.
 * table: name or ARN. backup_name: 3..255 of [a-zA-Z0-9_.-]; need not be
 * unique.
 * After: the backup exists, and holds exactly the changes up to its marker. Its
 *   status is CREATING, or AVAILABLE when nothing changed since the last
 *   snapshot; the build goes on by itself, also after a crash.
 * Returns: TABLE_NOT_FOUND, CONTINUOUS_BACKUPS_UNAVAILABLE (the table is new;
 *   with control_plane_delay_ms only), VALIDATION, THROTTLING (50 a second
 *   unless configured), NO_MEMORY, NO_SPACE, IO_FAILED, READ_ONLY.
 * Cost: one log record at any table size; a sync if the handle is SYNCED.
 * Threads: any. Source: API CreateBackup; contract 1.1, 2.1. */
DYNB_API DYNB_MUST_CHECK dynb_rc dynb_create_backup(dynb *db, const char *table,
                                                    const char *backup_name,
                                                    dynb_backup_description *out,
                                                    dynb_result *result, dynb_error *err);

/* One backup of each of several tables, all at the same marker, all or none.
 * out: table_count descriptions, or NULL.
 * Returns: as dynb_create_backup; VALIDATION also for a table named twice.
 * Cost: one log record. Threads: any. Source: ours; AWS has nothing alike. */
DYNB_API DYNB_MUST_CHECK dynb_rc dynb_create_backups(dynb *db, const char *const *tables,
                                                     uint32_t table_count,
                                                     const char *backup_name,
                                                     dynb_backup_description *out,
                                                     dynb_result *result, dynb_error *err);

/* Describes a backup.
 * Returns: BACKUP_NOT_FOUND, VALIDATION ('Invalid Backup ARN'), ACCESS_DENIED
 *   (another account), NO_MEMORY, IO_FAILED, CORRUPT.
 * Cost: O(log backups). Threads: any. Source: API DescribeBackup; contract
 * 1.2. */
DYNB_API DYNB_MUST_CHECK dynb_rc dynb_describe_backup(dynb *db, const char *backup_arn,
                                                      dynb_backup_description *out,
                                                      dynb_result *result, dynb_error *err);

#define DYNB_LIST_USER 0u
#define DYNB_LIST_SYSTEM 1u
#define DYNB_LIST_AWS_BACKUP 2u /* always empty: not listed by this API */
#define DYNB_LIST_ALL 3u

typedef struct dynb_list_backups_input {
    const char *table;    /* name or ARN; NULL: all tables */
    uint64_t from_ms;     /* inclusive */
    uint64_t to_ms;       /* exclusive; 0: no bound */
    uint32_t type;        /* DYNB_LIST_*; default USER, as AWS */
    uint32_t limit;       /* 1..100; 0: 100 */
    const char *start_after_arn; /* last_evaluated_arn of the page before, or NULL */
} dynb_list_backups_input;

typedef struct dynb_backup_list {
    const dynb_backup_description *backups; /* source: name, ARN and id only */
    uint32_t count;
    const char *last_evaluated_arn; /* NULL: that was all */
} dynb_backup_list;

/* Lists backups ordered by table name, then creation time. An unknown table
 * gives an empty list.
 * Returns: VALIDATION, ACCESS_DENIED, NO_MEMORY, IO_FAILED, CORRUPT.
 * Cost: O(log backups + those looked at). Threads: any.
 * Source: API ListBackups; contract 1.3. */
DYNB_API DYNB_MUST_CHECK dynb_rc dynb_list_backups(dynb *db, const dynb_list_backups_input *input,
                                                   dynb_backup_list *out, dynb_result *result,
                                                   dynb_error *err);

/* Deletes a backup. out->status is DELETED. Space that only it used comes back
 * as dynb_work goes on.
 * Returns: BACKUP_NOT_FOUND, BACKUP_IN_USE (CREATING; being restored, with
 *   control_plane_delay_ms), VALIDATION (ARN; a SYSTEM backup), ACCESS_DENIED,
 *   NO_MEMORY, NO_SPACE, IO_FAILED, READ_ONLY, CORRUPT.
 * Cost: one log record. Threads: any. Source: API DeleteBackup; contract
 * 1.4. */
DYNB_API DYNB_MUST_CHECK dynb_rc dynb_delete_backup(dynb *db, const char *backup_arn,
                                                    dynb_backup_description *out,
                                                    dynb_result *result, dynb_error *err);

/* Bits of dynb_restore_overrides.override: which members to take instead of
 * what was recorded. */
#define DYNB_OVERRIDE_BILLING_MODE 1u
#define DYNB_OVERRIDE_PROVISIONED 2u /* of the table; an index has its own */
#define DYNB_OVERRIDE_ON_DEMAND 4u
#define DYNB_OVERRIDE_ENCRYPTION 8u /* encryption, kms_key_arn */

typedef struct dynb_restore_overrides {
    uint32_t override; /* DYNB_OVERRIDE_* added up */
    dynb_billing_mode billing_mode;
    dynb_throughput provisioned;
    dynb_throughput on_demand;
    dynb_encryption encryption;
    const char *kms_key_arn;
    /* The indexes to restore. NULL: all; a list with a count of 0: none. An
     * entry is one of the source's if keys and projection are; its name may be
     * another. */
    const dynb_index *global_indexes;
    uint32_t global_index_count;
    const dynb_index *local_indexes;
    uint32_t local_index_count;
} dynb_restore_overrides;

typedef struct dynb_restore_input {
    const char *target_table_name; /* a new name */
    const char *backup_arn;
    dynb_restore_overrides overrides;
} dynb_restore_input;

/* Restores a backup as a new table. It shares the backup's trees: nothing is
 * copied, both live on independently. Keys, indexes, billing mode, throughput
 * and encryption are as recorded, or as overridden; stream, time to live, tags,
 * deletion protection and table class are not brought back.
 * out: status CREATING, restoring set, as in AWS's answer.
 * After: the table is ACTIVE and holds exactly the backup's items.
 * Returns: TABLE_ALREADY_EXISTS, BACKUP_NOT_FOUND, BACKUP_IN_USE (still
 *   CREATING), VALIDATION, ACCESS_DENIED, LIMIT_EXCEEDED (2,500 tables),
 *   NO_MEMORY, NO_SPACE, IO_FAILED, READ_ONLY, CORRUPT; and with
 *   control_plane_delay_ms TABLE_IN_USE (the target is being restored),
 *   BACKUP_IN_USE (it is being restored to another table), LIMIT_EXCEEDED (50
 *   restores, 500 operations at a time).
 * Cost: one log record at any size. Threads: any.
 * Source: API RestoreTableFromBackup; contract 1.5, 2.2. */
DYNB_API DYNB_MUST_CHECK dynb_rc dynb_restore_table_from_backup(dynb *db,
                                                                const dynb_restore_input *input,
                                                                dynb_table_description *out,
                                                                dynb_result *result,
                                                                dynb_error *err);

/* Restores several backups, all or none, as one log record: with backups of one
 * marker (dynb_create_backups) a consistent cut across tables comes back as
 * such, and no crash leaves a part of it.
 * inputs: input_count >= 1, with different targets. out: input_count
 * descriptions, or NULL.
 * Returns: as dynb_restore_table_from_backup; VALIDATION also for a target that
 *   is named twice, and for more than a log record holds (256 MiB).
 * Cost: one log record. Threads: any. Source: ours; AWS has nothing alike. */
DYNB_API DYNB_MUST_CHECK dynb_rc dynb_restore_tables_from_backups(
    dynb *db, const dynb_restore_input *inputs, uint32_t input_count, dynb_table_description *out,
    dynb_result *result, dynb_error *err);

/* ------------------------------------------------- failures on demand -- */

/* The operations of the service. X(name, name on the wire) */
#define DYNB_OPERATIONS(X) \
    X(CREATE_TABLE, "CreateTable") \
    X(DESCRIBE_TABLE, "DescribeTable") \
    X(LIST_TABLES, "ListTables") \
    X(UPDATE_TABLE, "UpdateTable") \
    X(DELETE_TABLE, "DeleteTable") \
    X(UPDATE_TIME_TO_LIVE, "UpdateTimeToLive") \
    X(TAG_RESOURCE, "TagResource") \
    X(UNTAG_RESOURCE, "UntagResource") \
    X(LIST_TAGS_OF_RESOURCE, "ListTagsOfResource") \
    X(PUT_ITEM, "PutItem") \
    X(GET_ITEM, "GetItem") \
    X(DELETE_ITEM, "DeleteItem") \
    X(BATCH_WRITE_ITEM, "BatchWriteItem") \
    X(QUERY, "Query") \
    X(SCAN, "Scan") \
    X(CREATE_BACKUP, "CreateBackup") \
    X(DESCRIBE_BACKUP, "DescribeBackup") \
    X(LIST_BACKUPS, "ListBackups") \
    X(DELETE_BACKUP, "DeleteBackup") \
    X(RESTORE_TABLE_FROM_BACKUP, "RestoreTableFromBackup") \
    X(RESTORE_TABLE_TO_POINT_IN_TIME, "RestoreTableToPointInTime") \
    X(DESCRIBE_CONTINUOUS_BACKUPS, "DescribeContinuousBackups") \
    X(UPDATE_CONTINUOUS_BACKUPS, "UpdateContinuousBackups")

typedef enum dynb_operation {
#define DYNB_OPERATION_ENUM(name, text) DYNB_OP_##name,
    DYNB_OPERATIONS(DYNB_OPERATION_ENUM)
#undef DYNB_OPERATION_ENUM
    DYNB_OPERATION_COUNT
} dynb_operation;

/* Makes the next calls of an operation fail, to test what a program does then.
 * code: the error, with its general text as the message. call_count: how many
 * calls; 0: none any more.
 * After: these calls change nothing and answer with the code; arguments that
 *   are NULL are still told first.
 * Returns: INVALID_ARGUMENT. Cost: O(1). Threads: any. Source: ours. */
DYNB_API DYNB_MUST_CHECK dynb_rc dynb_fail_next_calls(dynb *db, dynb_operation operation,
                                                      dynb_rc code, uint32_t call_count,
                                                      dynb_error *err);

/* ----------------------------------------- reading and comparing backups -- */

/* What to read: a live table or a backup. Zero it, then set one member. */
typedef struct dynb_source {
    const char *table;      /* name or ARN; NULL: see backup_arn */
    const char *backup_arn; /* with table NULL: a backup, also while CREATING */
} dynb_source;

/* Gets the item with that key out of a backup, without restoring it, or out of
 * a live table. (dynb_query and dynb_scan do the same: give them backup_arn.)
 * key: an item of just the key attributes. out->bytes is NULL when there is
 * none.
 * Returns: BACKUP_NOT_FOUND, RESOURCE_NOT_FOUND, VALIDATION (the ARN; the key
 *   does not match the schema), ACCESS_DENIED, INVALID_ARGUMENT (both a table
 *   and a backup, or neither), NO_MEMORY, IO_FAILED, CORRUPT.
 * Cost: as dynb_get_item; the first look into a backup reads its record, too.
 * Threads: any. Source: ours; AWS reads only what is restored. */
DYNB_API DYNB_MUST_CHECK dynb_rc dynb_get_item_at(dynb *db, const dynb_source *source,
                                                  dynb_item key, dynb_item *out,
                                                  dynb_result *result, dynb_error *err);

typedef struct dynb_compare_input {
    dynb_source from;      /* where the old images come from ... */
    dynb_source to;        /* ... and the new ones */
    uint32_t limit;        /* differences at most; 0: no limit but the bytes */
    uint32_t limit_bytes;  /* of old and new images; 0: 1 MiB; one difference
                            * always fits */
    dynb_item start_after; /* last_key of the page before; bytes NULL: start */
} dynb_compare_input;

/* An item that is not the same in both: added where old_item.bytes is NULL,
 * removed where new_item.bytes is NULL, else changed. */
typedef struct dynb_difference {
    dynb_item old_item;
    dynb_item new_item;
} dynb_difference;

typedef struct dynb_difference_page {
    const dynb_difference *differences;
    uint32_t count;     /* may be 0 though last_key is set: go on */
    dynb_item last_key; /* bytes NULL: no more; else start_after of the next page */
} dynb_difference_page;

/* What changed? The items that differ between two snapshots, in order of their
 * keys: two backups, a backup and a live table, or two live tables, with the
 * same key schema. Items are compared by what they hold: one that was put
 * again unchanged, or changed and changed back, does not differ.
 * Each page is exact; between pages a live table may change, a backup does not.
 * Returns: VALIDATION (the keys of the two are not the same; a backup's ARN),
 *   BACKUP_NOT_FOUND, RESOURCE_NOT_FOUND, ACCESS_DENIED, INVALID_ARGUMENT,
 *   NO_MEMORY, IO_FAILED, CORRUPT.
 * Cost: proportional to what was written, or folded together, between the two,
 *   whatever the size of the table: trees and nodes that both share are skipped
 *   unread; that of two scans at most. Threads: any. Source: ours. */
DYNB_API DYNB_MUST_CHECK dynb_rc dynb_compare(dynb *db, const dynb_compare_input *input,
                                              dynb_difference_page *out, dynb_result *result,
                                              dynb_error *err);

/* ------------------------------------------------- continuous backups -- */

/* Point-in-time recovery keeps, for 1 to 35 days, what is needed to bring back
 * a table's state at any millisecond: the log, and a few of the table's older
 * snapshots, which share their nodes. Writers do nothing more for it.
 *
 * The window ends now, or recovery_lag_ms ago; the state of a millisecond that
 * has passed never changes. It is measured in the store's time, which never
 * goes back: where the clock does, writes keep the latest time seen until it
 * has caught up. A clock that jumps ahead makes the window end as if that much
 * time had passed, once there is a write. */
typedef struct dynb_continuous_backups {
    int is_enabled;          /* continuous backups: always, as on AWS */
    int recovery_is_enabled; /* point-in-time recovery; zero: what follows is 0 */
    uint32_t recovery_period_days;
    uint64_t earliest_restorable_ms;
    uint64_t latest_restorable_ms;
} dynb_continuous_backups;

/* Tells a table's window of recovery. table: name or ARN.
 * Returns: TABLE_NOT_FOUND, VALIDATION, INVALID_ARGUMENT. Cost: O(log tables).
 * Threads: any. Source: API DescribeContinuousBackups; contract 1.7, 2.5. */
DYNB_API DYNB_MUST_CHECK dynb_rc dynb_describe_continuous_backups(dynb *db, const char *table,
                                                                  dynb_continuous_backups *out,
                                                                  dynb_error *err);

typedef struct dynb_update_continuous_backups_input {
    const char *table;             /* name or ARN */
    int point_in_time_recovery;    /* nonzero: on */
    int choose_period;             /* nonzero: recovery_period_days is given, else 35 */
    int32_t recovery_period_days;  /* 1..35 */
} dynb_update_continuous_backups_input;

/* Switches point-in-time recovery on or off, or changes its period in place.
 * out: NULL, or what dynb_describe_continuous_backups would tell then.
 * After: on: the window starts now; a shorter period takes effect at once, and
 *   a longer one brings nothing back. Off: the history is gone; its space comes
 *   back as dynb_work goes on.
 * Returns: VALIDATION, TABLE_NOT_FOUND, INVALID_ARGUMENT, NO_MEMORY, NO_SPACE,
 *   IO_FAILED, READ_ONLY. Cost: one log record. Threads: any.
 * Source: API UpdateContinuousBackups; contract 1.8. */
DYNB_API DYNB_MUST_CHECK dynb_rc
dynb_update_continuous_backups(dynb *db, const dynb_update_continuous_backups_input *input,
                               dynb_continuous_backups *out, dynb_error *err);

typedef struct dynb_restore_to_time_input {
    const char *source_table_name; /* exactly one of these two */
    const char *source_table_arn;
    const char *target_table_name; /* a new name */
    dynb_restore_overrides overrides; /* as for a backup; all zero: none */
    int use_latest_time;           /* nonzero: the end of the window ... */
    int use_restore_time;          /* ... or nonzero: the time below */
    uint64_t restore_time_ms;
} dynb_restore_to_time_input;

/* Restores the state a table had at a time, as a new table: every change whose
 * time is not after it, none of those after it. Settings are the source's of
 * now; stream, time to live, tags, deletion protection, table class and
 * recovery are not brought back. Other threads go on reading and writing
 * meanwhile; nothing is folded, though.
 * out: status CREATING, restoring set, as in AWS's answer.
 * After: the table is ACTIVE and whole; a crash before that leaves none. Its
 *   indexes, the source's of now or those overrides name, are CREATING until
 *   they are filled in the background, as an index added to a table is.
 * Returns: VALIDATION, TABLE_NOT_FOUND, POINT_IN_TIME_RECOVERY_UNAVAILABLE,
 *   INVALID_RESTORE_TIME, TABLE_ALREADY_EXISTS, LIMIT_EXCEEDED, NO_MEMORY,
 *   NO_SPACE, IO_FAILED, READ_ONLY, CORRUPT.
 * Cost: the log between the nearest older snapshot and the time, read once, and
 *   the table's changes in it, written once. Threads: any.
 * Source: API RestoreTableToPointInTime; contract 1.6, 2.2. */
DYNB_API DYNB_MUST_CHECK dynb_rc
dynb_restore_table_to_point_in_time(dynb *db, const dynb_restore_to_time_input *input,
                                    dynb_table_description *out, dynb_result *result,
                                    dynb_error *err);

/* Gives a table a rule by which dynb_work (or writes, or the builder thread)
 * deletes its backups. rule: copied; NULL or all zero: none. The newest backup,
 * those being created and SYSTEM backups are never touched. The rule ends with
 * the table.
 * Returns: TABLE_NOT_FOUND, VALIDATION, INVALID_ARGUMENT, NO_MEMORY, NO_SPACE,
 *   IO_FAILED, READ_ONLY. Cost: one log record. Threads: any. Source: ours. */
DYNB_API DYNB_MUST_CHECK dynb_rc dynb_update_backup_retention(dynb *db, const char *table,
                                                              const dynb_backup_retention *rule,
                                                              dynb_error *err);

/* Tells a table's rule; all zero: it has none.
 * Returns: TABLE_NOT_FOUND, VALIDATION, INVALID_ARGUMENT. Cost: O(log tables).
 * Threads: any. Source: ours. */
DYNB_API DYNB_MUST_CHECK dynb_rc dynb_describe_backup_retention(dynb *db, const char *table,
                                                                dynb_backup_retention *out,
                                                                dynb_error *err);

/* ------------------------------------------------------ looking inside -- */

/* One log record as dynb_inspect_log shows it. */
typedef struct dynb_log_record {
    uint64_t lsn;
    uint64_t time_ms;
    uint64_t durable_lsn; /* known to be durable when this one was written */
    uint64_t log_pos;     /* position in the log, which never wraps */
    uint32_t size_bytes;
    uint32_t change_count; /* changes in it */
    uint32_t epoch;        /* counts the opens that wrote */
} dynb_log_record;

/* Shows the log kept on the device, oldest first. visit_fn returns nonzero to
 * stop early. Returns: NO_MEMORY, IO_FAILED, CORRUPT. Cost: reads the log.
 * Threads: any; holds the lock throughout. Source: ours. */
DYNB_API DYNB_MUST_CHECK dynb_rc dynb_inspect_log(dynb *db,
                                                  int (*visit_fn)(void *ctx,
                                                                  const dynb_log_record *record),
                                                  void *ctx, dynb_error *err);

/* One tree node of a snapshot as dynb_inspect_nodes shows it. */
typedef struct dynb_node_info {
    uint32_t set_index;    /* 0: the items; 1 and up: an index, in order of creation */
    uint32_t run_index;    /* 0: newest */
    uint64_t run_from_lsn; /* the run holds the changes after this LSN ... */
    uint64_t run_to_lsn;   /* ... up to this one */
    uint32_t level;        /* 0: leaf */
    uint32_t page;         /* equal pages mean shared nodes */
    uint32_t page_count;
    uint64_t entry_count;  /* below it */
} dynb_node_info;

/* Shows the nodes of a table's (name) or backup's (ARN) snapshot, parents
 * first. visit_fn returns nonzero to stop early.
 * Returns: TABLE_NOT_FOUND, BACKUP_NOT_FOUND, BACKUP_IN_USE, VALIDATION,
 *   NO_MEMORY, IO_FAILED, CORRUPT. Cost: reads the interior nodes. Threads:
 *   any; holds the lock throughout. Source: ours. */
DYNB_API DYNB_MUST_CHECK dynb_rc dynb_inspect_nodes(dynb *db, const char *table_or_backup_arn,
                                                    int (*visit_fn)(void *ctx,
                                                                    const dynb_node_info *node),
                                                    void *ctx, dynb_error *err);

#endif /* DYNBACKUP_H: end of the public part */

#if defined(DYNBACKUP_IMPLEMENTATION) && !defined(DYNBACKUP_IMPLEMENTATION_DONE)
#define DYNBACKUP_IMPLEMENTATION_DONE
/* Contents of the implementation; a section calls only the sections above it.
 *
 *   10 UTIL        11 CODEC       12 NUMBER      13 VALUE       14 KEY
 *   15 JSON        16 DEVICE      17 PAGES       18 TREE        19 GENERATION
 *   20 SNAPSHOT    21 LOG         22 STORE       23 TABLE       24 BACKUP
 *   26 API
 */

/* ===========================================================================
 * 10 UTIL
 *
 * Memory by the user's one function, growing buffers, result memory, error
 * filling and a tiny formatter: what every section needs without libc's help.
 *
 * Valid: a dynbi_buffer and a dynb_result hold used_bytes <= capacity_bytes,
 * and capacity_bytes is what was last asked of the allocator, 0 without memory.
 *
 * Needs: nothing   Used by: all
 * Exports: dynbi_resize, dynbi_allocate, dynbi_free, dynbi_memory_resize,
 *   dynbi_add_overflows, dynbi_mul_overflows, dynbi_buffer_*, dynbi_format,
 *   dynbi_fail, dynbi_fail_at, dynbi_error_clear, dynbi_result_*,
 *   dynb_result_free, dynb_rc_exception, dynb_rc_http_status, dynb_rc_text
 * On error: NULL or 0 for memory; a failed growth leaves everything as it was.
 * ======================================================================== */

#include <stdarg.h>
#include <string.h>
#ifndef DYNBACKUP_NO_MALLOC
#include <stdlib.h>
#endif

/* Off, it still names its operands, so that nothing is unused in either form;
 * sizeof evaluates nothing. */
#ifdef DYNBACKUP_ASSERT
#define DYNBI_ASSERT(x) DYNBACKUP_ASSERT(x)
#else
#define DYNBI_ASSERT(x) ((void)sizeof((x) ? 1 : 0))
#endif

/* ---- memory ---- */

/* strlen, which a freestanding program need not have. */
static size_t dynbi_length(const char *text)
{
    size_t length = 0;
    while (text[length])
        ++length;
    return length;
}

static void *dynbi_resize(const dynb_allocator *a, void *ptr, size_t old_size, size_t new_size)
{
    if (a->resize_fn) {
        return a->resize_fn(a->ctx, ptr, old_size, new_size);
    }
#ifndef DYNBACKUP_NO_MALLOC
    if (new_size) {
        return realloc(ptr, new_size);
    }
    free(ptr);
#endif
    return NULL;
}

static void *dynbi_allocate(const dynb_allocator *a, size_t size)
{
    return size ? dynbi_resize(a, NULL, 0, size) : NULL;
}

static void dynbi_free(const dynb_allocator *a, void *ptr, size_t size)
{
    if (ptr) {
        (void)dynbi_resize(a, ptr, size, 0);
    }
}

/* An allocator that counts and refuses what would pass the budget; ctx of its
 * resize function. Invariant: used_bytes <= peak_bytes. */
typedef struct dynbi_memory {
    dynb_allocator outer;
    uint64_t used_bytes;
    uint64_t peak_bytes;
    uint64_t budget_bytes;
} dynbi_memory;

static void *dynbi_memory_resize(void *ctx, void *ptr, size_t old_size, size_t new_size)
{
    dynbi_memory *memory = (dynbi_memory *)ctx;
    uint64_t rest;
    void *moved;
    DYNBI_ASSERT(memory->used_bytes >= old_size);
    rest = memory->used_bytes - old_size;
    if (new_size > old_size &&
        (rest > memory->budget_bytes || new_size > memory->budget_bytes - rest)) {
        return NULL;
    }
    moved = dynbi_resize(&memory->outer, ptr, old_size, new_size);
    if (!moved && new_size) {
        return NULL;
    }
    memory->used_bytes = rest + new_size;
    if (memory->used_bytes > memory->peak_bytes) {
        memory->peak_bytes = memory->used_bytes;
    }
    return moved;
}

/* ---- checked sizes: asked before the arithmetic ---- */

static int dynbi_add_overflows(size_t a, size_t b)
{
    return b > (size_t)-1 - a;
}

static int dynbi_mul_overflows(size_t a, size_t b)
{
    return a && b > (size_t)-1 / a;
}

/* ---- buffer ---- */

typedef struct dynbi_buffer {
    const dynb_allocator *allocator;
    uint8_t *bytes;
    size_t used_bytes;
    size_t capacity_bytes;
} dynbi_buffer;

/* Out of line, so that the test in front of it stays small and inlined. */
static int dynbi_buffer_grow(dynbi_buffer *buffer, size_t extra_bytes)
{
    size_t needed, capacity;
    void *moved;
    if (dynbi_add_overflows(buffer->used_bytes, extra_bytes)) {
        return 0;
    }
    needed = buffer->used_bytes + extra_bytes;
    capacity = buffer->capacity_bytes < 64 ? 64 : buffer->capacity_bytes;
    while (capacity < needed) {
        capacity = capacity > (size_t)-1 / 2 ? needed : capacity * 2;
    }
    moved = dynbi_resize(buffer->allocator, buffer->bytes, buffer->capacity_bytes, capacity);
    if (!moved) {
        return 0;
    }
    buffer->bytes = (uint8_t *)moved;
    buffer->capacity_bytes = capacity;
    return 1;
}

/* Makes room for extra_bytes more at bytes + used_bytes. Nonzero = ok. */
static int dynbi_buffer_reserve(dynbi_buffer *buffer, size_t extra_bytes)
{
    DYNBI_ASSERT(buffer->used_bytes <= buffer->capacity_bytes);
    if (extra_bytes <= buffer->capacity_bytes - buffer->used_bytes) {
        return 1;
    }
    return dynbi_buffer_grow(buffer, extra_bytes);
}

static int dynbi_buffer_append(dynbi_buffer *buffer, const void *bytes, size_t size)
{
    if (!dynbi_buffer_reserve(buffer, size)) {
        return 0;
    }
    if (size) {
        memcpy(buffer->bytes + buffer->used_bytes, bytes, size);
        buffer->used_bytes += size;
    }
    return 1;
}

static void dynbi_buffer_free(dynbi_buffer *buffer)
{
    dynbi_free(buffer->allocator, buffer->bytes, buffer->capacity_bytes);
    buffer->bytes = NULL;
    buffer->used_bytes = 0;
    buffer->capacity_bytes = 0;
}

/* ---- formatting ---- */

/* Where a formatted text goes: what does not fit is counted as cut. */
typedef struct dynbi_format_sink {
    char *to;
    size_t capacity; /* without the NUL */
    size_t used;
    int cut;
} dynbi_format_sink;

static void dynbi_format_put(dynbi_format_sink *sink, const char *text, size_t length)
{
    size_t room = sink->capacity - sink->used;
    if (length > room) {
        length = room;
        sink->cut = 1;
    }
    if (length) {
        memcpy(sink->to + sink->used, text, length);
        sink->used += length;
    }
}

static void dynbi_format_put_digits(dynbi_format_sink *sink, uint64_t value, unsigned base,
                                    size_t width)
{
    static const char digits[17] = "0123456789abcdef";
    char text[100]; /* widths are at most 99 */
    size_t at = sizeof text;
    do {
        text[--at] = digits[value % base];
        value /= base;
    } while (value);
    while (sizeof text - at < width) {
        text[--at] = '0';
    }
    dynbi_format_put(sink, text + at, sizeof text - at);
}

/* A cut text must not end inside a UTF-8 sequence: it may go into JSON. */
static void dynbi_format_trim(dynbi_format_sink *sink)
{
    while (sink->used && ((unsigned char)sink->to[sink->used - 1] & 0xC0u) == 0x80u) {
        --sink->used;
    }
    if (sink->used && (unsigned char)sink->to[sink->used - 1] >= 0xC0u) {
        --sink->used;
    }
}

/* The few conversions we use: %s (const char *), %t (const char *, size_t),
 * %u and %x (uint64_t, always), %0Nu and %0Nx (zero padded to N digits), %%.
 * Cuts what does not fit, always ends with NUL, returns the length written. */
static size_t dynbi_format_list(char *to, size_t capacity, const char *format, va_list arguments)
{
    dynbi_format_sink sink;
    if (!capacity) {
        return 0;
    }
    sink.to = to;
    sink.capacity = capacity - 1;
    sink.used = 0;
    sink.cut = 0;
    while (*format) {
        size_t run = 0, width = 0;
        while (format[run] && format[run] != '%') {
            ++run;
        }
        dynbi_format_put(&sink, format, run);
        format += run;
        if (!*format) {
            break;
        }
        ++format;
        while (*format >= '0' && *format <= '9') {
            width = width * 10 + (size_t)(*format++ - '0');
        }
        DYNBI_ASSERT(width < 100);
        if (*format == 's') {
            const char *text = va_arg(arguments, const char *);
            dynbi_format_put(&sink, text, dynbi_length(text));
        } else if (*format == 't') {
            const char *text = va_arg(arguments, const char *);
            dynbi_format_put(&sink, text, va_arg(arguments, size_t));
        } else if (*format == 'u' || *format == 'x') {
            dynbi_format_put_digits(&sink, va_arg(arguments, uint64_t),
                                    *format == 'u' ? 10u : 16u, width);
        } else {
            DYNBI_ASSERT(*format == '%');
            dynbi_format_put(&sink, "%", 1);
        }
        ++format;
    }
    if (sink.cut) {
        dynbi_format_trim(&sink);
    }
    to[sink.used] = 0;
    return sink.used;
}

static size_t dynbi_format(char *to, size_t capacity, const char *format, ...)
{
    va_list arguments;
    size_t length;
    va_start(arguments, format);
    length = dynbi_format_list(to, capacity, format, arguments);
    va_end(arguments);
    return length;
}

/* ---- errors ---- */

/* Empties without touching the 1.4 KB behind the first bytes. */
static void dynbi_error_clear(dynb_error *err)
{
    if (err) {
        err->code = DYNB_OK;
        err->pos = 0;
        err->path[0] = 0;
        err->message[0] = 0;
    }
}

static dynb_rc dynbi_fail(dynb_error *err, dynb_rc code, const char *format, ...)
{
    va_list arguments;
    if (err) {
        dynbi_error_clear(err);
        err->code = code;
        va_start(arguments, format);
        (void)dynbi_format_list(err->message, sizeof err->message, format, arguments);
        va_end(arguments);
    }
    return code;
}

static dynb_rc dynbi_fail_at(dynb_error *err, dynb_rc code, uint64_t pos, const char *format, ...)
{
    va_list arguments;
    if (err) {
        dynbi_error_clear(err);
        err->code = code;
        err->pos = pos;
        va_start(arguments, format);
        (void)dynbi_format_list(err->message, sizeof err->message, format, arguments);
        va_end(arguments);
    }
    return code;
}

/* ---- result memory ---- */

static size_t dynbi_round_up_8(size_t size)
{
    return (size + 7u) & ~(size_t)7u;
}

/* Makes the capacity at least `capacity`, keeps the contents, may move them. */
static dynb_rc dynbi_result_grow(dynb_result *r, size_t capacity, dynb_error *err)
{
    void *moved;
    if (capacity <= r->capacity_bytes) {
        return DYNB_OK;
    }
    if (dynbi_add_overflows(capacity, 7)) {
        return dynbi_fail(err, DYNB_NO_MEMORY, "no memory for a result of this size");
    }
    capacity = dynbi_round_up_8(capacity);
    moved = dynbi_resize(&r->allocator, r->memory, r->capacity_bytes, capacity);
    if (!moved) {
        return dynbi_fail(err, DYNB_NO_MEMORY, "no memory for a result of %u bytes",
                          (uint64_t)capacity);
    }
    r->memory = (uint8_t *)moved;
    r->capacity_bytes = capacity;
    return DYNB_OK;
}

/* Starts anew with room for `bytes`. The first allocation decides whose memory
 * it is; later calls stay with that allocator, also from another handle. */
static dynb_rc dynbi_result_reserve(dynb_result *r, const dynb_allocator *a, size_t bytes,
                                    dynb_error *err)
{
    if (!r->memory) {
        dynb_allocator chosen = *a; /* may be r's own */
        r->allocator = chosen;
        r->capacity_bytes = 0;
    }
    r->used_bytes = 0;
    return dynbi_result_grow(r, bytes, err);
}

/* The next `bytes`, rounded up to 8: what is taken stays aligned for any of our
 * types. The caller reserved enough, rounding each part likewise. */
static void *dynbi_result_take(dynb_result *r, size_t bytes)
{
    uint8_t *at = r->memory + r->used_bytes;
    DYNBI_ASSERT(dynbi_round_up_8(bytes) <= r->capacity_bytes - r->used_bytes);
    r->used_bytes += dynbi_round_up_8(bytes);
    return at;
}

static const char *dynbi_result_text(dynb_result *r, const char *text, size_t length)
{
    char *to = (char *)dynbi_result_take(r, length + 1);
    if (length) {
        memcpy(to, text, length);
    }
    to[length] = 0;
    return to;
}

DYNB_API void dynb_result_free(dynb_result *result)
{
    if (result) {
        dynbi_free(&result->allocator, result->memory, result->capacity_bytes);
        result->memory = NULL;
        result->used_bytes = 0;
        result->capacity_bytes = 0;
    }
}

/* ---- the list of errors ---- */

/* Switches, not tables: a table of pointers is writable data in a shared
 * library until it has been relocated. */
DYNB_API const char *dynb_rc_exception(dynb_rc code)
{
    switch (code) {
#define DYNBI_CASE(name, exception, status, text) \
    case DYNB_##name: \
        return exception;
        DYNB_ERRORS(DYNBI_CASE)
#undef DYNBI_CASE
    case DYNB_ERROR_COUNT:
    default:
        return "";
    }
}

DYNB_API int dynb_rc_http_status(dynb_rc code)
{
    switch (code) {
#define DYNBI_CASE(name, exception, status, text) \
    case DYNB_##name: \
        return status;
        DYNB_ERRORS(DYNBI_CASE)
#undef DYNBI_CASE
    case DYNB_ERROR_COUNT:
    default:
        return 0;
    }
}

DYNB_API const char *dynb_rc_text(dynb_rc code)
{
    switch (code) {
#define DYNBI_CASE(name, exception, status, text) \
    case DYNB_##name: \
        return text;
        DYNB_ERRORS(DYNBI_CASE)
#undef DYNBI_CASE
    case DYNB_ERROR_COUNT:
    default:
        return "";
    }
}

/* ===========================================================================
 * 11 CODEC
 *
 * Bytes of fixed shape: integers of either byte order, varints, CRC-32C, base64
 * and UTF-8. Nothing here allocates or depends on the machine's byte order.
 *
 * varint (LEB128): seven bits a byte, lowest first, high bit = more follows.
 *     0..127: [0vvvvvvv]   128..16383: [1vvvvvvv][0vvvvvvv]   ... 10 bytes
 * A varint is valid if and only if (1) it ends inside the bytes given, (2) its
 * last byte is not 0 unless it is the only one, (3) its value fits 64 bits.
 *
 * Needs: nothing   Used by: all
 * Exports: dynbi_load*, dynbi_store*, dynbi_varint_*, dynbi_crc32c,
 *   dynbi_base64_*, dynbi_utf8_check
 * On error: NULL or a code; outputs are then unspecified.
 * ======================================================================== */

/* ---- integers; compilers make one move of each of these ---- */

static inline uint16_t dynbi_load16(const uint8_t *at)
{
    return (uint16_t)(at[0] | ((unsigned)at[1] << 8));
}

static inline uint32_t dynbi_load32(const uint8_t *at)
{
    return (uint32_t)at[0] | ((uint32_t)at[1] << 8) | ((uint32_t)at[2] << 16) |
           ((uint32_t)at[3] << 24);
}

static inline uint64_t dynbi_load64(const uint8_t *at)
{
    return (uint64_t)at[0] | ((uint64_t)at[1] << 8) | ((uint64_t)at[2] << 16) |
           ((uint64_t)at[3] << 24) | ((uint64_t)at[4] << 32) | ((uint64_t)at[5] << 40) |
           ((uint64_t)at[6] << 48) | ((uint64_t)at[7] << 56);
}

static inline uint64_t dynbi_load64_be(const uint8_t *at)
{
    return (uint64_t)at[7] | ((uint64_t)at[6] << 8) | ((uint64_t)at[5] << 16) |
           ((uint64_t)at[4] << 24) | ((uint64_t)at[3] << 32) | ((uint64_t)at[2] << 40) |
           ((uint64_t)at[1] << 48) | ((uint64_t)at[0] << 56);
}

static inline void dynbi_store16(uint8_t *to, uint16_t v)
{
    to[0] = (uint8_t)v;
    to[1] = (uint8_t)(v >> 8);
}

static inline void dynbi_store32(uint8_t *to, uint32_t v)
{
    to[0] = (uint8_t)v;
    to[1] = (uint8_t)(v >> 8);
    to[2] = (uint8_t)(v >> 16);
    to[3] = (uint8_t)(v >> 24);
}

static inline void dynbi_store64(uint8_t *to, uint64_t v)
{
    to[0] = (uint8_t)v;
    to[1] = (uint8_t)(v >> 8);
    to[2] = (uint8_t)(v >> 16);
    to[3] = (uint8_t)(v >> 24);
    to[4] = (uint8_t)(v >> 32);
    to[5] = (uint8_t)(v >> 40);
    to[6] = (uint8_t)(v >> 48);
    to[7] = (uint8_t)(v >> 56);
}

static inline void dynbi_store64_be(uint8_t *to, uint64_t v)
{
    to[7] = (uint8_t)v;
    to[6] = (uint8_t)(v >> 8);
    to[5] = (uint8_t)(v >> 16);
    to[4] = (uint8_t)(v >> 24);
    to[3] = (uint8_t)(v >> 32);
    to[2] = (uint8_t)(v >> 40);
    to[1] = (uint8_t)(v >> 48);
    to[0] = (uint8_t)(v >> 56);
}

/* ---- varints ---- */

#define DYNBI_VARINT_MAX 10

/* Returns the end of what was stored: at most DYNBI_VARINT_MAX bytes. */
static inline uint8_t *dynbi_varint_store(uint8_t *to, uint64_t v)
{
    while (v >= 0x80) {
        *to++ = (uint8_t)(v | 0x80);
        v >>= 7;
    }
    *to++ = (uint8_t)v;
    return to;
}

static inline size_t dynbi_varint_size(uint64_t v)
{
    size_t size = 1;
    while (v >= 0x80) {
        v >>= 7;
        ++size;
    }
    return size;
}

static const uint8_t *dynbi_varint_load_long(const uint8_t *at, const uint8_t *end, uint64_t *v)
{
    uint64_t value = 0;
    unsigned shift = 0;
    while (at < end) {
        uint8_t byte = *at++;
        if (shift == 63 && byte > 1) {
            return NULL; /* more than 64 bits */
        }
        value |= (uint64_t)(byte & 0x7Fu) << shift;
        if (byte < 0x80) {
            *v = value;
            return byte || !shift ? at : NULL;
        }
        shift += 7;
    }
    return NULL;
}

/* Returns the end of the varint, NULL unless it is valid. */
static inline const uint8_t *dynbi_varint_load(const uint8_t *at, const uint8_t *end, uint64_t *v)
{
    if (at < end && *at < 0x80) {
        *v = *at;
        return at + 1;
    }
    return dynbi_varint_load_long(at, end, v);
}

/* ---- CRC-32C ---- */

/* table[k][v]: the register after feeding the nibble v and then k zero nibbles
 * into an empty one, for the reflected polynomial 0x82F63B78. So
 *     table[0][v] = v shifted right four times, each time xored with the
 *                   polynomial when a one fell out,
 *     table[k][v] = (table[k-1][v] >> 4) ^ table[0][table[k-1][v] & 15],
 * and eight bytes take 16 look-ups that do not wait for each other. One KiB, so
 * it stays in a small cache; the unit test generates it anew and compares. */
static const uint32_t dynbi_crc_table[16][16] = {
    {
    0x00000000, 0x105EC76F, 0x20BD8EDE, 0x30E349B1, 0x417B1DBC, 0x5125DAD3, 0x61C69362, 0x7198540D,
    0x82F63B78, 0x92A8FC17, 0xA24BB5A6, 0xB21572C9, 0xC38D26C4, 0xD3D3E1AB, 0xE330A81A, 0xF36E6F75},
    {
    0x00000000, 0xF26B8303, 0xE13B70F7, 0x1350F3F4, 0xC79A971F, 0x35F1141C, 0x26A1E7E8, 0xD4CA64EB,
    0x8AD958CF, 0x78B2DBCC, 0x6BE22838, 0x9989AB3B, 0x4D43CFD0, 0xBF284CD3, 0xAC78BF27, 0x5E133C24},
    {
    0x00000000, 0x3FC5F181, 0x7F8BE302, 0x404E1283, 0xFF17C604, 0xC0D23785, 0x809C2506, 0xBF59D487,
    0xFBC3FAF9, 0xC4060B78, 0x844819FB, 0xBB8DE87A, 0x04D43CFD, 0x3B11CD7C, 0x7B5FDFFF, 0x449A2E7E},
    {
    0x00000000, 0x13A29877, 0x274530EE, 0x34E7A899, 0x4E8A61DC, 0x5D28F9AB, 0x69CF5132, 0x7A6DC945,
    0x9D14C3B8, 0x8EB65BCF, 0xBA51F356, 0xA9F36B21, 0xD39EA264, 0xC03C3A13, 0xF4DB928A, 0xE7790AFD},
    {
    0x00000000, 0x70A27D8A, 0xE144FB14, 0x91E6869E, 0xC76580D9, 0xB7C7FD53, 0x26217BCD, 0x56830647,
    0x8B277743, 0xFB850AC9, 0x6A638C57, 0x1AC1F1DD, 0x4C42F79A, 0x3CE08A10, 0xAD060C8E, 0xDDA47104},
    {
    0x00000000, 0xA541927E, 0x4F6F520D, 0xEA2EC073, 0x9EDEA41A, 0x3B9F3664, 0xD1B1F617, 0x74F06469,
    0x38513EC5, 0x9D10ACBB, 0x773E6CC8, 0xD27FFEB6, 0xA68F9ADF, 0x03CE08A1, 0xE9E0C8D2, 0x4CA15AAC},
    {
    0x00000000, 0xE964B13D, 0xD725148B, 0x3E41A5B6, 0xABA65FE7, 0x42C2EEDA, 0x7C834B6C, 0x95E7FA51,
    0x52A0C93F, 0xBBC47802, 0x8585DDB4, 0x6CE16C89, 0xF90696D8, 0x106227E5, 0x2E238253, 0xC747336E},
    {
    0x00000000, 0xDD45AAB8, 0xBF672381, 0x62228939, 0x7B2231F3, 0xA6679B4B, 0xC4451272, 0x1900B8CA,
    0xF64463E6, 0x2B01C95E, 0x49234067, 0x9466EADF, 0x8D665215, 0x5023F8AD, 0x32017194, 0xEF44DB2C},
    {
    0x00000000, 0x8F2261D3, 0x1BA8B557, 0x948AD484, 0x37516AAE, 0xB8730B7D, 0x2CF9DFF9, 0xA3DBBE2A,
    0x6EA2D55C, 0xE180B48F, 0x750A600B, 0xFA2801D8, 0x59F3BFF2, 0xD6D1DE21, 0x425B0AA5, 0xCD796B76},
    {
    0x00000000, 0x38116FAC, 0x7022DF58, 0x4833B0F4, 0xE045BEB0, 0xD854D11C, 0x906761E8, 0xA8760E44,
    0xC5670B91, 0xFD76643D, 0xB545D4C9, 0x8D54BB65, 0x2522B521, 0x1D33DA8D, 0x55006A79, 0x6D1105D5},
    {
    0x00000000, 0xC00C303E, 0x85F4168D, 0x45F826B3, 0x0E045BEB, 0xCE086BD5, 0x8BF04D66, 0x4BFC7D58,
    0x1C08B7D6, 0xDC0487E8, 0x99FCA15B, 0x59F09165, 0x120CEC3D, 0xD200DC03, 0x97F8FAB0, 0x57F4CA8E},
    {
    0x00000000, 0xEF306B19, 0xDB8CA0C3, 0x34BCCBDA, 0xB2F53777, 0x5DC55C6E, 0x697997B4, 0x8649FCAD,
    0x6006181F, 0x8F367306, 0xBB8AB8DC, 0x54BAD3C5, 0xD2F32F68, 0x3DC34471, 0x097F8FAB, 0xE64FE4B2},
    {
    0x00000000, 0x9C5BFAA6, 0x3D5B83BD, 0xA100791B, 0x7AB7077A, 0xE6ECFDDC, 0x47EC84C7, 0xDBB77E61,
    0xF56E0EF4, 0x6935F452, 0xC8358D49, 0x546E77EF, 0x8FD9098E, 0x1382F328, 0xB2828A33, 0x2ED97095},
    {
    0x00000000, 0x68032CC8, 0xD0065990, 0xB8057558, 0xA5E0C5D1, 0xCDE3E919, 0x75E69C41, 0x1DE5B089,
    0x4E2DFD53, 0x262ED19B, 0x9E2BA4C3, 0xF628880B, 0xEBCD3882, 0x83CE144A, 0x3BCB6112, 0x53C84DDA},
    {
    0x00000000, 0x847609B4, 0x0D006599, 0x89766C2D, 0x1A00CB32, 0x9E76C286, 0x1700AEAB, 0x9376A71F,
    0x34019664, 0xB0779FD0, 0x3901F3FD, 0xBD77FA49, 0x2E015D56, 0xAA7754E2, 0x230138CF, 0xA777317B},
    {
    0x00000000, 0x493C7D27, 0x9278FA4E, 0xDB448769, 0x211D826D, 0x6821FF4A, 0xB3657823, 0xFA590504,
    0x423B04DA, 0x0B0779FD, 0xD043FE94, 0x997F83B3, 0x632686B7, 0x2A1AFB90, 0xF15E7CF9, 0xB86201DE},
};

/* The register goes in and comes out plain, without the inversions. */
static uint32_t dynbi_crc_portable(uint32_t crc, const uint8_t *at, size_t size)
{
    for (; size >= 8; size -= 8, at += 8) {
        uint64_t w = dynbi_load64(at) ^ crc;
        crc = dynbi_crc_table[15][w & 15] ^ dynbi_crc_table[14][(w >> 4) & 15] ^
              dynbi_crc_table[13][(w >> 8) & 15] ^ dynbi_crc_table[12][(w >> 12) & 15] ^
              dynbi_crc_table[11][(w >> 16) & 15] ^ dynbi_crc_table[10][(w >> 20) & 15] ^
              dynbi_crc_table[9][(w >> 24) & 15] ^ dynbi_crc_table[8][(w >> 28) & 15] ^
              dynbi_crc_table[7][(w >> 32) & 15] ^ dynbi_crc_table[6][(w >> 36) & 15] ^
              dynbi_crc_table[5][(w >> 40) & 15] ^ dynbi_crc_table[4][(w >> 44) & 15] ^
              dynbi_crc_table[3][(w >> 48) & 15] ^ dynbi_crc_table[2][(w >> 52) & 15] ^
              dynbi_crc_table[1][(w >> 56) & 15] ^ dynbi_crc_table[0][w >> 60];
    }
    for (; size; --size) {
        crc ^= *at++;
        crc = (crc >> 4) ^ dynbi_crc_table[0][crc & 15];
        crc = (crc >> 4) ^ dynbi_crc_table[0][crc & 15];
    }
    return crc;
}

/* A freestanding program has no libgcc to ask for the processor. */
#if defined(__x86_64__) && (defined(__GNUC__) || defined(__clang__)) && !defined(__TINYC__) && \
    !defined(_MSC_VER) && !defined(DYNBACKUP_NO_FILE)
#define DYNBI_CRC_X86 1

typedef long long dynbi_crc_pair __attribute__((vector_size(16)));

/* The register a is to be moved past n bytes: multiplied by x^(8n) modulo the
 * polynomial. The carry-less product of reflected operands stands one bit low,
 * and the crc instruction that reduces it multiplies by x^32, so the constant
 * is x^(8n-33) mod P, reflected. */
__attribute__((target("sse4.2,pclmul"))) static inline uint64_t
dynbi_crc_x86_move(uint64_t crc, uint64_t constant)
{
    dynbi_crc_pair a = {(long long)crc, 0};
    dynbi_crc_pair b = {(long long)constant, 0};
    dynbi_crc_pair product = __builtin_ia32_pclmulqdq128(a, b, 0);
    return (uint64_t)product[0];
}

/* The instruction takes three cycles but one may start in each, so three lanes
 * side by side run at full speed; then the first two registers are moved past
 * the lanes behind them. Two lane sizes: for nodes and for log frames. */
__attribute__((target("sse4.2,pclmul"))) static uint32_t
dynbi_crc_x86_lanes(uint32_t crc, const uint8_t *at, size_t lane_bytes)
{
    uint64_t a = crc, b = 0, c = 0, moved;
    const uint8_t *end = at + lane_bytes;
    DYNBI_ASSERT(lane_bytes == 64 || lane_bytes == 1024);
    for (; at < end; at += 8) {
        a = __builtin_ia32_crc32di(a, dynbi_load64(at));
        b = __builtin_ia32_crc32di(b, dynbi_load64(at + lane_bytes));
        c = __builtin_ia32_crc32di(c, dynbi_load64(at + 2 * lane_bytes));
    }
    if (lane_bytes == 64) {
        moved = dynbi_crc_x86_move(a, 0x0D3B6092u) ^ dynbi_crc_x86_move(b, 0x9E4ADDF8u);
    } else {
        moved = dynbi_crc_x86_move(a, 0xA51B6135u) ^ dynbi_crc_x86_move(b, 0x170076FAu);
    }
    return (uint32_t)(__builtin_ia32_crc32di(0, moved) ^ c);
}

__attribute__((target("sse4.2,pclmul"))) static uint32_t
dynbi_crc_x86(uint32_t crc, const uint8_t *at, size_t size)
{
    uint64_t wide;
    for (; size >= 3072; size -= 3072, at += 3072) {
        crc = dynbi_crc_x86_lanes(crc, at, 1024);
    }
    for (; size >= 192; size -= 192, at += 192) {
        crc = dynbi_crc_x86_lanes(crc, at, 64);
    }
    wide = crc;
    for (; size >= 8; size -= 8, at += 8) {
        wide = __builtin_ia32_crc32di(wide, dynbi_load64(at));
    }
    crc = (uint32_t)wide;
    for (; size; --size) {
        crc = __builtin_ia32_crc32qi(crc, *at++);
    }
    return crc;
}
#elif defined(__ARM_FEATURE_CRC32) && (defined(__GNUC__) || defined(__clang__))
#include <arm_acle.h>
#define DYNBI_CRC_ARM 1

static uint32_t dynbi_crc_arm(uint32_t crc, const uint8_t *at, size_t size)
{
    for (; size >= 8; size -= 8, at += 8) {
        crc = __crc32cd(crc, dynbi_load64(at));
    }
    for (; size; --size) {
        crc = __crc32cb(crc, *at++);
    }
    return crc;
}
#endif

/* The register as above, by the fastest way that the processor has. */
static uint32_t dynbi_crc_run(uint32_t crc, const uint8_t *at, size_t size)
{
#if defined(DYNBI_CRC_X86)
    int has_it = __builtin_cpu_supports("sse4.2") && __builtin_cpu_supports("pclmul");
    return has_it ? dynbi_crc_x86(crc, at, size) : dynbi_crc_portable(crc, at, size);
#elif defined(DYNBI_CRC_ARM)
    return dynbi_crc_arm(crc, at, size);
#else
    return dynbi_crc_portable(crc, at, size);
#endif
}

/* seed: the result for the bytes before, 0 at the start. */
static uint32_t dynbi_crc32c(uint32_t seed, const void *bytes, size_t size)
{
    return ~dynbi_crc_run(~seed, (const uint8_t *)bytes, size);
}

/* ---- base64 ---- */

typedef enum dynbi_base64_rc {
    DYNBI_BASE64_OK = 0,
    DYNBI_BASE64_LENGTH, /* not a multiple of four */
    DYNBI_BASE64_CHAR,   /* at bad_pos: none of the 64, nor '=' */
    DYNBI_BASE64_LAST    /* '=' out of place, or bits left over before it */
} dynbi_base64_rc;

static size_t dynbi_base64_size(size_t size)
{
    return (size + 2) / 3 * 4;
}

/* Writes dynbi_base64_size(size) characters, no NUL; returns their number. */
static size_t dynbi_base64_encode(char *to, const uint8_t *bytes, size_t size)
{
    static const char digits[65] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    char *at = to;
    for (; size >= 3; size -= 3, bytes += 3) {
        uint32_t three = ((uint32_t)bytes[0] << 16) | ((uint32_t)bytes[1] << 8) | bytes[2];
        *at++ = digits[three >> 18];
        *at++ = digits[(three >> 12) & 63];
        *at++ = digits[(three >> 6) & 63];
        *at++ = digits[three & 63];
    }
    if (size) {
        uint32_t rest = ((uint32_t)bytes[0] << 16) | (size > 1 ? (uint32_t)bytes[1] << 8 : 0u);
        *at++ = digits[rest >> 18];
        *at++ = digits[(rest >> 12) & 63];
        *at++ = size > 1 ? digits[(rest >> 6) & 63] : '=';
        *at++ = '=';
    }
    return (size_t)(at - to);
}

/* 0..63, or 64 for '=', or 65 for anything else. */
static uint32_t dynbi_base64_digit(char digit)
{
    if (digit >= 'A' && digit <= 'Z') {
        return (uint32_t)(digit - 'A');
    }
    if (digit >= 'a' && digit <= 'z') {
        return (uint32_t)(digit - 'a') + 26;
    }
    if (digit >= '0' && digit <= '9') {
        return (uint32_t)(digit - '0') + 52;
    }
    return digit == '+' ? 62u : digit == '/' ? 63u : digit == '=' ? 64u : 65u;
}

/* Strict: padding is a must, and the bits it leaves over are zero, so that one
 * value has one text. to: room for length / 4 * 3 bytes; may be text itself. */
static dynbi_base64_rc dynbi_base64_decode(const char *text, size_t length, uint8_t *to,
                                           size_t *size, size_t *bad_pos)
{
    size_t i, pad_count = 0, used = 0;
    *bad_pos = 0;
    *size = 0;
    if (length % 4) {
        return DYNBI_BASE64_LENGTH;
    }
    while (pad_count < 2 && pad_count < length && text[length - 1 - pad_count] == '=') {
        ++pad_count;
    }
    for (i = 0; i < length; i += 4) {
        uint32_t four = 0, k;
        for (k = 0; k < 4; ++k) {
            uint32_t digit = dynbi_base64_digit(text[i + k]);
            int is_pad = i + k >= length - pad_count;
            if (digit > 63 && !is_pad) {
                *bad_pos = i + k;
                return digit == 64 ? DYNBI_BASE64_LAST : DYNBI_BASE64_CHAR;
            }
            four = four << 6 | (digit & 63); /* a pad counts as 0 */
        }
        if (i + 4 == length && pad_count && (four & (pad_count == 1 ? 0xFFu : 0xFFFFu))) {
            *bad_pos = length - 1 - pad_count;
            return DYNBI_BASE64_LAST;
        }
        to[used] = (uint8_t)(four >> 16);
        used += 1;
        if (i + 4 < length || pad_count < 2) {
            to[used++] = (uint8_t)(four >> 8);
        }
        if (i + 4 < length || pad_count < 1) {
            to[used++] = (uint8_t)four;
        }
    }
    *size = used;
    return DYNBI_BASE64_OK;
}

/* ---- UTF-8 ---- */

/* The length of the well-formed sequence that starts with a byte >= 0x80; 0 if
 * it is none: overlong, surrogate, above U+10FFFF, or cut short. */
static size_t dynbi_utf8_sequence(const uint8_t *at, size_t left)
{
    uint8_t lead = at[0], low = 0x80, high = 0xBF;
    size_t size, i;
    if (lead < 0xC2 || lead > 0xF4) {
        return 0;
    }
    size = lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;
    if (size > left) {
        return 0;
    }
    if (lead == 0xE0) {
        low = 0xA0;
    } else if (lead == 0xED) {
        high = 0x9F;
    } else if (lead == 0xF0) {
        low = 0x90;
    } else if (lead == 0xF4) {
        high = 0x8F;
    }
    if (at[1] < low || at[1] > high) {
        return 0;
    }
    for (i = 2; i < size; ++i) {
        if ((at[i] & 0xC0) != 0x80) {
            return 0;
        }
    }
    return size;
}

/* Nonzero if fewer than eight bytes are all ASCII. Loads overlap. */
static inline int dynbi_ascii_few(const uint8_t *at, size_t size)
{
    if (size >= 4) {
        return !(dynbi_load32(at) & 0x80808080u) && !(dynbi_load32(at + size - 4) & 0x80808080u);
    }
    return !size || !((at[0] | at[size / 2] | at[size - 1]) & 0x80);
}

/* Nonzero if all is well-formed UTF-8; else *bad_pos is where the first bad
 * sequence starts. */
static int dynbi_utf8_check(const void *bytes, size_t size, size_t *bad_pos)
{
    const uint8_t *at = (const uint8_t *)bytes;
    size_t i = 0;
    while (i < size) {
        size_t sequence;
        while (size - i >= 8 && !(dynbi_load64(at + i) & 0x8080808080808080u)) {
            i += 8;
        }
        if (size - i < 8 && dynbi_ascii_few(at + i, size - i)) {
            break; /* most often: nothing was left */
        }
        if (at[i] < 0x80) {
            ++i;
            continue;
        }
        sequence = dynbi_utf8_sequence(at + i, size - i);
        if (!sequence) {
            *bad_pos = i;
            return 0;
        }
        i += sequence;
    }
    return 1;
}

/* ===========================================================================
 * 12 NUMBER
 *
 * Decimals of up to 38 significant digits, 1E-130 to 9.99..E+125 of both signs
 * and zero, in bytes whose memcmp order is the numeric order.
 *
 *     positive  [0x80 | e100+65][pair+1]...[pair+1][0x00]
 *     zero      [0x80][0x00]
 *     negative  every byte of the positive form complemented
 *
 * The value is pair.pair pair.. * 100^e100: base-100 digits, the first in front
 * of the point. A digit is stored as 1..100, so the terminator 0x00 is below
 * any digit: a number sorts in front of those that only go on longer. Zero
 * sorts in front of 1E-130, [0x80][0x02][0x00], because no first digit is 0.
 *
 * Valid if and only if (1) it is zero's form, or (2) it has 1 to 20 pairs of
 * 0..99, the first and last not 0, at most 38 significant digits, and its end.
 * So each value has one form. Examples: 1 = C1 02 00, -1 = 3E FD FF,
 * 100 = C2 02 00, 12.5 = C1 0D 33 00, 0.1 = C0 0B 00.
 *
 * Needs: UTIL   Used by: VALUE, KEY, JSON
 * Exports: dynbi_number_parse, dynbi_number_text, dynbi_number_check,
 *   dynbi_number_aws_size, dynbi_number_int
 * On error: VALIDATION with AWS's message; 0 for damaged bytes.
 * ======================================================================== */

#define DYNBI_NUMBER_MAX 22
#define DYNBI_NUMBER_PAIRS_MAX 20

/* A text taken apart: digits[0] is not 0 unless digit_count is 0, and the value
 * is d.ddd * 10^exponent. total_count also counts digits beyond 38; exponents
 * of absurd texts saturate far outside the range. */
typedef struct dynbi_number_parts {
    uint8_t digits[DYNB_NUMBER_DIGITS_MAX];
    uint32_t digit_count;
    uint64_t total_count;
    int64_t exponent;
    int is_negative;
} dynbi_number_parts;

/* Reads [eE][+-]digits up to end; 0 if it is anything else. */
static int dynbi_number_exponent(const char *at, const char *end, int64_t *exponent)
{
    int64_t value = 0;
    int is_negative;
    ++at; /* the e */
    is_negative = at < end && *at == '-';
    if (at < end && (*at == '-' || *at == '+')) {
        ++at;
    }
    if (at == end) {
        return 0;
    }
    for (; at < end; ++at) {
        if (*at < '0' || *at > '9') {
            return 0;
        }
        if (value < (int64_t)1 << 56) { /* longer than any text makes up for */
            value = value * 10 + (*at - '0');
        }
    }
    *exponent = is_negative ? -value : value;
    return 1;
}

/* Splits a text; 0 if it is no number. A zero's exponent is what Java's
 * BigDecimal makes of it: that of its last digit. */
static int dynbi_number_split(const char *text, size_t length, dynbi_number_parts *parts)
{
    const char *at = text, *end = text + length;
    int64_t scale = 0, exponent = 0;
    uint64_t zeros = 0, seen = 0;
    int after_point = 0;
    parts->digit_count = 0;
    parts->total_count = 0;
    parts->is_negative = at < end && *at == '-';
    if (at < end && (*at == '-' || *at == '+')) {
        ++at;
    }
    for (; at < end; ++at) {
        if (*at == '.' && !after_point) {
            after_point = 1;
            continue;
        }
        if (*at < '0' || *at > '9') {
            break;
        }
        ++seen;
        scale += after_point;
        if (*at == '0') {
            zeros += parts->total_count != 0; /* leading zeros never count */
            continue;
        }
        while (zeros && parts->digit_count < DYNB_NUMBER_DIGITS_MAX) {
            parts->digits[parts->digit_count++] = 0;
            --zeros;
            ++parts->total_count;
        }
        parts->total_count += zeros + 1;
        zeros = 0;
        if (parts->digit_count < DYNB_NUMBER_DIGITS_MAX) {
            parts->digits[parts->digit_count++] = (uint8_t)(*at - '0');
        }
    }
    if (!seen || (at < end && *at != 'e' && *at != 'E') ||
        (at < end && !dynbi_number_exponent(at, end, &exponent))) {
        return 0;
    }
    parts->exponent = exponent - scale;
    if (parts->total_count) {
        parts->exponent += (int64_t)(parts->total_count + zeros) - 1;
    }
    return 1;
}

/* Writes the bytes of parts within the limits; returns their number. */
static uint32_t dynbi_number_store(const dynbi_number_parts *parts, uint8_t *to)
{
    uint32_t i = 0, used = 0;
    uint8_t flip = parts->is_negative ? 0xFFu : 0u;
    int64_t biased = parts->exponent + 130; /* 0..255 */
    DYNBI_ASSERT(biased >= 0 && biased <= 255);
    if (!parts->digit_count) {
        to[0] = 0x80;
        to[1] = 0x00;
        return 2;
    }
    to[used++] = (uint8_t)((0x80u | (uint32_t)(biased / 2)) ^ flip);
    if (biased % 2 == 0) { /* an even exponent: one digit in front of the point */
        to[used++] = (uint8_t)((parts->digits[i++] + 1u) ^ flip);
    }
    for (; i < parts->digit_count; i += 2) {
        uint32_t low = i + 1 < parts->digit_count ? parts->digits[i + 1] : 0u;
        to[used++] = (uint8_t)((parts->digits[i] * 10u + low + 1u) ^ flip);
    }
    to[used++] = flip;
    DYNBI_ASSERT(used <= DYNBI_NUMBER_MAX);
    return used;
}

/* Parses AWS's syntax, [+-]digits[.digits][e[+-]digits], a digit on either side
 * of the point at least. AWS refuses zeros such as 0e126 and 0e-131 while it
 * takes 0.0e126: it tests the exponent before it looks at the value. Known as a
 * bug, but programs tested here meet the service: we refuse as AWS does. */
static dynb_rc dynbi_number_parse(const char *text, size_t length, uint8_t to[DYNBI_NUMBER_MAX],
                                  uint32_t *size, dynb_error *err)
{
    dynbi_number_parts parts;
    *size = 0;
    if (!length) {
        return dynbi_fail(err, DYNB_VALIDATION,
                          "The parameter cannot be converted to a numeric value");
    }
    if (!dynbi_number_split(text, length, &parts)) {
        return dynbi_fail(err, DYNB_VALIDATION,
                          "The parameter cannot be converted to a numeric value: %t", text,
                          length);
    }
    if (parts.exponent > 125) {
        return dynbi_fail(err, DYNB_VALIDATION, "Number overflow. Attempting to store a number "
                                                "with magnitude larger than supported range");
    }
    if (parts.exponent < -130) {
        return dynbi_fail(err, DYNB_VALIDATION, "Number underflow. Attempting to store a number "
                                                "with magnitude smaller than supported range");
    }
    if (parts.total_count > DYNB_NUMBER_DIGITS_MAX) {
        return dynbi_fail(err, DYNB_VALIDATION,
                          "Attempting to store more than 38 significant digits in a Number");
    }
    *size = dynbi_number_store(&parts, to);
    return DYNB_OK;
}

/* The size of the valid number that starts at `at`, 0 if there is none. */
static uint32_t dynbi_number_check(const uint8_t *at, const uint8_t *end)
{
    uint32_t i, pairs, digits;
    uint8_t flip;
    if (end - at < 2) {
        return 0;
    }
    flip = at[0] & 0x80u ? 0u : 0xFFu;
    for (i = 1; at + i < end && at[i] != flip; ++i) {
        if (i > DYNBI_NUMBER_PAIRS_MAX || (uint8_t)(at[i] ^ flip) > 100) {
            return 0;
        }
    }
    if (at + i == end) {
        return 0; /* no terminator */
    }
    pairs = i - 1;
    if (!pairs) {
        return at[0] == 0x80 ? 2 : 0;
    }
    if ((at[1] ^ flip) == 1 || (at[pairs] ^ flip) == 1) {
        return 0; /* a zero pair at either end */
    }
    digits = 2 * pairs - ((uint8_t)(at[1] ^ flip) <= 10) -
             (((uint8_t)(at[pairs] ^ flip) - 1) % 10 == 0);
    return digits <= DYNB_NUMBER_DIGITS_MAX ? pairs + 2 : 0;
}

/* Contract 3.4. Its 1 + ceil(d/2) + (d and e even) is one byte and a byte per
 * base-100 pair, so the size of our bytes says it all. */
static uint32_t dynbi_number_aws_size(const uint8_t *bytes, uint32_t size)
{
    DYNBI_ASSERT(size >= 2);
    return bytes[0] & 0x80u ? size - 1 : size;
}

/* Takes valid bytes apart into digits without zeros at either end. */
static void dynbi_number_load(const uint8_t *bytes, size_t size, dynbi_number_parts *parts)
{
    uint8_t flip = bytes[0] & 0x80u ? 0u : 0xFFu;
    size_t i;
    parts->is_negative = flip != 0;
    parts->digit_count = 0;
    parts->exponent = ((bytes[0] ^ flip) & 0x7F) * 2 - 130;
    for (i = 1; i + 1 < size; ++i) {
        uint32_t pair = (uint8_t)(bytes[i] ^ flip) - 1u;
        if (i > 1 || pair >= 10) {
            parts->exponent += i == 1;
            parts->digits[parts->digit_count++] = (uint8_t)(pair / 10);
        }
        if (i + 2 < size || pair % 10) {
            parts->digits[parts->digit_count++] = (uint8_t)(pair % 10);
        }
    }
    parts->total_count = parts->digit_count;
    DYNBI_ASSERT(parts->digit_count <= DYNB_NUMBER_DIGITS_MAX);
}

/* Plain decimal text of valid bytes, as AWS prints it; returns the length. */
static size_t dynbi_number_text(const uint8_t *bytes, size_t size,
                                char text[DYNB_NUMBER_TEXT_SIZE])
{
    dynbi_number_parts parts;
    size_t used = 0, digit = 0;
    int64_t place; /* of the digit to write next: 10^place */
    dynbi_number_load(bytes, size, &parts);
    if (parts.is_negative) {
        text[used++] = '-';
    }
    if (!parts.digit_count || parts.exponent < 0) {
        text[used++] = '0';
        place = -1;
    } else {
        for (place = parts.exponent; place >= 0; --place) {
            text[used++] = (char)('0' + (digit < parts.digit_count ? parts.digits[digit] : 0));
            ++digit;
        }
    }
    if (digit < parts.digit_count) {
        text[used++] = '.';
        for (; place > parts.exponent; --place) {
            text[used++] = '0';
        }
        while (digit < parts.digit_count) {
            text[used++] = (char)('0' + parts.digits[digit++]);
        }
    }
    DYNBI_ASSERT(used < DYNB_NUMBER_TEXT_SIZE);
    text[used] = 0;
    return used;
}

/* Nonzero, and *number set, if the valid number is whole and fits. */
static int dynbi_number_int(const uint8_t *bytes, size_t size, int64_t *number)
{
    dynbi_number_parts parts;
    uint64_t value = 0, limit;
    int64_t place;
    dynbi_number_load(bytes, size, &parts);
    if (!parts.digit_count) {
        *number = 0;
        return 1;
    }
    if (parts.exponent > 18 || parts.exponent < (int64_t)parts.digit_count - 1) {
        return 0;
    }
    for (place = 0; place <= parts.exponent; ++place) {
        value = value * 10 + (place < (int64_t)parts.digit_count ? parts.digits[place] : 0u);
    }
    limit = ((uint64_t)1 << 63) - (parts.is_negative ? 0u : 1u);
    if (value > limit) {
        return 0;
    }
    if (parts.is_negative) {
        *number = -(int64_t)(value - 1) - 1;
    } else {
        *number = (int64_t)value;
    }
    return 1;
}

/* ===========================================================================
 * 13 VALUE
 *
 * Attribute values and items: compact bytes that are read in place, one
 * encoding per value, so equal items have equal bytes.
 *
 *     item   [varint aws_size][varint count][attribute]...
 *     attribute  [varint name_length][name][value]
 *     value  [type][payload]
 *
 *     S, B        [varint length][bytes]
 *     N           [length][ordered number]
 *     BOOL        [0 or 1]
 *     NULL        nothing
 *     L           [varint size of what follows][varint count][value]...
 *     M           [varint size of what follows][varint count][attribute]...
 *     SS, NS, BS  [varint size of what follows][varint count][length, bytes]...
 *
 * An item is valid if and only if (1) every length and count is exact and every
 * varint minimal, (2) names are 1..65535 bytes of UTF-8, strictly ascending by
 * bytes within an item or map, (3) elements of a set are at least one, strictly
 * ascending by bytes, (4) texts are UTF-8 and numbers valid, (5) values nest at
 * most 32 levels deep, an attribute of the item being level 1, (6) aws_size is
 * the sum of contract 3.4, at most 400 KB.
 *
 * Needs: UTIL, CODEC, NUMBER   Used by: KEY, JSON, TABLE, API
 * Exports: dynbi_value_end, dynbi_value_check, dynbi_attributes_check,
 *   dynbi_build_*, dynb_builder_*, dynb_add_*, dynb_open_container,
 *   dynb_close_container, dynb_item_*, dynb_value_*, dynb_next
 * On error: VALIDATION with AWS's message where it has one. Accessors meet any
 *   bytes: they never leave them, and show damage as absence.
 * ======================================================================== */

#define DYNBI_ENCODING_MAX_BYTES (16u << 20) /* while an item is being built */

static const char *dynbi_text_too_big(void)
{
    return "Item size has exceeded the maximum allowed size";
}

static const char *dynbi_text_nesting(void)
{
    return "Nesting Levels have exceeded supported limits: Attributes in the item have nested "
           "levels beyond supported limit";
}

/* ---- order and walking ---- */

/* By bytes, then the shorter first: the order of names and of set elements. */
static inline int dynbi_bytes_compare(const uint8_t *a, size_t a_length, const uint8_t *b,
                                      size_t b_length)
{
    size_t common = a_length < b_length ? a_length : b_length;
    int order;
    if (common && a[0] != b[0]) {
        return a[0] < b[0] ? -1 : 1;
    }
    order = common ? memcmp(a, b, common) : 0;
    if (order) {
        return order;
    }
    return a_length < b_length ? -1 : a_length > b_length;
}

/* [varint length][bytes]: returns the bytes and their length; NULL if they do
 * not lie before end. */
static inline const uint8_t *dynbi_run_load(const uint8_t *at, const uint8_t *end,
                                            size_t *length)
{
    uint64_t value;
    at = dynbi_varint_load(at, end, &value);
    if (!at || value > (size_t)(end - at)) {
        return NULL;
    }
    *length = (size_t)value;
    return at;
}

/* The end of the payload of that type, NULL if it does not lie before end. What
 * is inside is not looked at. */
static inline const uint8_t *dynbi_value_end(uint8_t type, const uint8_t *at, const uint8_t *end)
{
    size_t length;
    if (type == DYNB_BOOL) {
        return at < end ? at + 1 : NULL;
    }
    if (type == DYNB_NULL) {
        return at;
    }
    if (type < DYNB_S || type > DYNB_M) {
        return NULL;
    }
    at = dynbi_run_load(at, end, &length);
    return at ? at + length : NULL;
}

/* ---- checking ---- */

static uint8_t dynbi_element_type(uint8_t set_type)
{
    return set_type == DYNB_SS ? DYNB_S : set_type == DYNB_NS ? DYNB_N : DYNB_B;
}

/* The payload of an S, B or N (also as an element of a set): returns its end
 * and adds its AWS size, NULL if it is not valid. */
static inline const uint8_t *dynbi_verify_run(uint8_t type, const uint8_t *at, const uint8_t *end,
                                              uint64_t *aws_size)
{
    size_t length, bad_pos;
    at = dynbi_run_load(at, end, &length);
    if (!at) {
        return NULL;
    }
    if (type == DYNB_N) {
        if (!length || dynbi_number_check(at, at + length) != length) {
            return NULL;
        }
        *aws_size += dynbi_number_aws_size(at, (uint32_t)length);
        return at + length;
    }
    if (type == DYNB_S && !dynbi_utf8_check(at, length, &bad_pos)) {
        return NULL;
    }
    *aws_size += length;
    return at + length;
}

/* The payload of a set, likewise. */
static const uint8_t *dynbi_verify_set(uint8_t type, const uint8_t *at, const uint8_t *end,
                                       uint64_t *aws_size)
{
    const uint8_t *before = NULL;
    size_t size, length, before_length = 0;
    uint64_t count;
    at = dynbi_run_load(at, end, &size);
    if (!at) {
        return NULL;
    }
    end = at + size;
    at = dynbi_varint_load(at, end, &count);
    if (!at || !count) {
        return NULL;
    }
    for (; count; --count) {
        const uint8_t *bytes = dynbi_run_load(at, end, &length);
        if (!bytes || !dynbi_verify_run(dynbi_element_type(type), at, end, aws_size)) {
            return NULL;
        }
        if (before && dynbi_bytes_compare(before, before_length, bytes, length) >= 0) {
            return NULL;
        }
        before = bytes;
        before_length = length;
        at = bytes + length;
    }
    return at == end ? end : NULL;
}

/* The payload of anything but L and M, likewise. */
static inline const uint8_t *dynbi_verify_scalar(uint8_t type, const uint8_t *at,
                                                 const uint8_t *end, uint64_t *aws_size)
{
    switch (type) {
    case DYNB_S:
    case DYNB_N:
    case DYNB_B:
        return dynbi_verify_run(type, at, end, aws_size);
    case DYNB_BOOL:
        *aws_size += 1;
        return at < end && *at <= 1 ? at + 1 : NULL;
    case DYNB_NULL:
        *aws_size += 1;
        return at;
    case DYNB_SS:
    case DYNB_NS:
    case DYNB_BS:
        return dynbi_verify_set(type, at, end, aws_size);
    default:
        return NULL;
    }
}

/* One open container of a check: `left` values are to come up to `end`. */
typedef struct dynbi_verify_level {
    const uint8_t *end;
    uint64_t left;
    const uint8_t *name; /* of the attribute before; NULL: the first, or a list */
    size_t name_length;
    int is_map;
} dynbi_verify_level;

/* A check under way. bad: where it stopped; too_deep says why. */
typedef struct dynbi_verify {
    uint64_t aws_size;
    const uint8_t *bad;
    int too_deep;
} dynbi_verify;

/* Checks the name in front of an attribute; returns its end, or NULL. */
static inline const uint8_t *dynbi_verify_name(dynbi_verify *check, dynbi_verify_level *level,
                                               const uint8_t *at)
{
    size_t length, bad_pos;
    const uint8_t *name = dynbi_run_load(at, level->end, &length);
    if (!name || !length || length > DYNB_ATTRIBUTE_NAME_MAX_BYTES ||
        !dynbi_utf8_check(name, length, &bad_pos)) {
        return NULL;
    }
    if (level->name &&
        dynbi_bytes_compare(level->name, level->name_length, name, length) >= 0) {
        return NULL;
    }
    level->name = name;
    level->name_length = length;
    check->aws_size += length;
    return name + length;
}

/* Opens the L or M whose payload starts at `at`; returns its first value. */
static const uint8_t *dynbi_verify_open(dynbi_verify *check, dynbi_verify_level *level,
                                        uint8_t type, const uint8_t *at, const uint8_t *end)
{
    size_t size;
    at = dynbi_run_load(at, end, &size);
    if (!at) {
        return NULL;
    }
    level->end = at + size;
    level->name = NULL;
    level->name_length = 0;
    level->is_map = type == DYNB_M;
    check->aws_size += 3;
    return dynbi_varint_load(at, level->end, &level->left);
}

/* Checks `count` values (attributes if is_map) that must end exactly at `end`.
 * outer_level: the level their container has, 0 for an item. Work is bounded by
 * the bytes: each value takes one at least. Returns nonzero if all is valid. */
static int dynbi_verify_values(dynbi_verify *check, const uint8_t *at, const uint8_t *end,
                               uint64_t count, int is_map, uint32_t outer_level)
{
    dynbi_verify_level levels[DYNB_NESTING_MAX + 1];
    dynbi_verify_level *level = levels;
    uint32_t depth = outer_level;
    level->end = end;
    level->left = count;
    level->name = NULL;
    level->name_length = 0;
    level->is_map = is_map;
    for (;;) {
        uint8_t type;
        const uint8_t *next;
        check->bad = at;
        if (!level->left) {
            if (at != level->end) {
                return 0;
            }
            if (level == levels) {
                return 1;
            }
            --level;
            --depth;
            continue;
        }
        --level->left;
        if (depth >= DYNB_NESTING_MAX) {
            check->too_deep = 1;
            return 0;
        }
        if (level->is_map) {
            next = dynbi_verify_name(check, level, at);
            if (!next) {
                return 0;
            }
            at = next;
            check->bad = at;
        }
        if (at >= level->end) {
            return 0;
        }
        check->aws_size += depth > 0;
        type = *at++;
        if (type == DYNB_M || type == DYNB_L) {
            next = dynbi_verify_open(check, level + 1, type, at, level->end);
            ++level;
            ++depth;
        } else {
            next = dynbi_verify_scalar(type, at, level->end, &check->aws_size);
        }
        if (!next) {
            return 0;
        }
        at = next;
    }
}

static dynb_rc dynbi_verify_answer(const dynbi_verify *check, const uint8_t *start, dynb_error *err)
{
    uint64_t pos = (uint64_t)(check->bad - start);
    if (check->too_deep) {
        return dynbi_fail_at(err, DYNB_VALIDATION, pos, "%s", dynbi_text_nesting());
    }
    return dynbi_fail_at(err, DYNB_VALIDATION, pos,
                         "these bytes are no item: build it with a dynb_builder");
}

/* Checks attributes without the head of an item and gives their AWS size. */
static int dynbi_attributes_check(const uint8_t *at, const uint8_t *end, uint64_t count,
                                  uint64_t *aws_size)
{
    dynbi_verify check = {0, NULL, 0};
    int is_valid = dynbi_verify_values(&check, at, end, count, 1, 0);
    *aws_size = check.aws_size;
    return is_valid;
}

/* Checks one value that stands at that level (1: attribute of an item). */
static dynb_rc dynbi_value_check(dynb_value value, uint32_t level, uint64_t *aws_size,
                                 dynb_error *err)
{
    dynbi_verify check = {0, value.bytes, 0};
    const uint8_t *end = value.bytes ? value.bytes + value.size_bytes : NULL;
    int is_valid;
    if (value.type < DYNB_S || value.type > DYNB_M || (!value.bytes && value.size_bytes)) {
        is_valid = 0;
    } else if (value.type == DYNB_NULL) {
        is_valid = !value.size_bytes;
        check.aws_size = 1;
    } else if (!value.bytes) {
        is_valid = 0;
    } else if (value.type == DYNB_L || value.type == DYNB_M) {
        dynbi_verify_level top;
        const uint8_t *at = dynbi_verify_open(&check, &top, (uint8_t)value.type, value.bytes, end);
        is_valid = at && top.end == end &&
                   dynbi_verify_values(&check, at, end, top.left, top.is_map, level);
    } else {
        is_valid = dynbi_verify_scalar((uint8_t)value.type, value.bytes, end, &check.aws_size) ==
                   end;
    }
    *aws_size = check.aws_size;
    return is_valid ? DYNB_OK : dynbi_verify_answer(&check, value.bytes, err);
}

/* Item head; returns the first attribute, NULL if it is not whole. */
static inline const uint8_t *dynbi_item_head(const uint8_t *at, const uint8_t *end,
                                             uint64_t *aws_size, uint64_t *count)
{
    at = dynbi_varint_load(at, end, aws_size);
    return at ? dynbi_varint_load(at, end, count) : NULL;
}

DYNB_API dynb_rc dynb_item_check(dynb_item item, dynb_error *err)
{
    dynbi_verify check = {0, item.bytes, 0};
    const uint8_t *at, *end;
    uint64_t aws_size, count;
    if (!item.bytes) {
        return dynbi_fail(err, DYNB_VALIDATION, "no item: its bytes are NULL");
    }
    end = item.bytes + item.size_bytes;
    at = dynbi_item_head(item.bytes, end, &aws_size, &count);
    if (!at || !dynbi_verify_values(&check, at, end, count, 1, 0)) {
        return dynbi_verify_answer(&check, item.bytes, err);
    }
    if (check.aws_size != aws_size) {
        check.bad = item.bytes;
        return dynbi_verify_answer(&check, item.bytes, err);
    }
    if (aws_size > DYNB_ITEM_MAX_BYTES) {
        return dynbi_fail(err, DYNB_VALIDATION, "%s", dynbi_text_too_big());
    }
    return DYNB_OK;
}

/* ---- looking at items ---- */

DYNB_API dynb_iterator dynb_item_iterate(dynb_item item)
{
    dynb_iterator it = {NULL, NULL, 0};
    uint64_t aws_size, count;
    if (item.bytes) {
        it.end = item.bytes + item.size_bytes;
        it.at = dynbi_item_head(item.bytes, it.end, &aws_size, &count);
        it.kind = it.at ? DYNB_M : 0;
    }
    return it;
}

DYNB_API dynb_iterator dynb_value_iterate(dynb_value value)
{
    dynb_iterator it = {NULL, NULL, 0};
    uint64_t count;
    size_t size;
    const uint8_t *at;
    if (value.type < DYNB_SS || value.type > DYNB_M || !value.bytes) {
        return it;
    }
    at = dynbi_run_load(value.bytes, value.bytes + value.size_bytes, &size);
    if (at) {
        it.end = at + size;
        it.at = dynbi_varint_load(at, it.end, &count);
        it.kind = it.at ? (uint8_t)value.type : 0;
    }
    return it;
}

DYNB_API int dynb_next(dynb_iterator *iterator, const char **name, size_t *name_length,
                       dynb_value *value)
{
    const uint8_t *at = iterator->at, *label = NULL, *next;
    size_t label_length = 0;
    uint8_t type;
    if (!iterator->kind || at >= iterator->end) {
        return 0;
    }
    if (iterator->kind == DYNB_M) {
        label = dynbi_run_load(at, iterator->end, &label_length);
        at = label ? label + label_length : NULL;
    }
    if (iterator->kind <= DYNB_BS) {
        type = dynbi_element_type(iterator->kind);
    } else {
        type = at && at < iterator->end ? *at++ : (uint8_t)DYNB_TYPE_NONE;
    }
    next = dynbi_value_end(type, at, iterator->end); /* NULL for type NONE */
    if (!next) {
        iterator->kind = 0;
        return 0;
    }
    if (name) {
        *name = (const char *)label;
    }
    if (name_length) {
        *name_length = label_length;
    }
    if (value) {
        value->type = (dynb_type)type;
        value->size_bytes = (uint32_t)(next - at);
        value->bytes = at;
    }
    iterator->at = next;
    return 1;
}

/* The attribute of that name, whose bytes may be any. */
static dynb_value dynbi_item_find(dynb_item item, const char *name, size_t name_length)
{
    dynb_iterator it = dynb_item_iterate(item);
    dynb_value value = {DYNB_TYPE_NONE, 0, NULL};
    const char *found;
    size_t found_length;
    while (dynb_next(&it, &found, &found_length, &value)) {
        if (found_length == name_length && !memcmp(found, name, name_length)) {
            return value;
        }
    }
    value.type = DYNB_TYPE_NONE;
    value.size_bytes = 0;
    value.bytes = NULL;
    return value;
}

DYNB_API dynb_value dynb_item_get(dynb_item item, const char *name)
{
    return dynbi_item_find(item, name, dynbi_length(name));
}

DYNB_API uint32_t dynb_item_size(dynb_item item)
{
    uint64_t aws_size;
    if (!item.bytes ||
        !dynbi_varint_load(item.bytes, item.bytes + item.size_bytes, &aws_size) ||
        aws_size > 0xFFFFFFFFu) {
        return 0;
    }
    return (uint32_t)aws_size;
}

DYNB_API const char *dynb_value_string(dynb_value value, size_t *length)
{
    const uint8_t *bytes = NULL;
    *length = 0;
    if ((value.type == DYNB_S || value.type == DYNB_B) && value.bytes) {
        bytes = dynbi_run_load(value.bytes, value.bytes + value.size_bytes, length);
    }
    return (const char *)bytes;
}

/* The ordered bytes of an N, NULL if it is none. */
static const uint8_t *dynbi_value_number(dynb_value value, size_t *length)
{
    const uint8_t *bytes = NULL;
    if (value.type == DYNB_N && value.bytes) {
        bytes = dynbi_run_load(value.bytes, value.bytes + value.size_bytes, length);
    }
    return bytes && *length && dynbi_number_check(bytes, bytes + *length) == *length ? bytes
                                                                                    : NULL;
}

DYNB_API size_t dynb_value_number(dynb_value value, char text[DYNB_NUMBER_TEXT_SIZE])
{
    size_t length;
    const uint8_t *bytes = dynbi_value_number(value, &length);
    text[0] = 0;
    return bytes ? dynbi_number_text(bytes, length, text) : 0;
}

DYNB_API int dynb_value_int(dynb_value value, int64_t *number)
{
    size_t length;
    const uint8_t *bytes = dynbi_value_number(value, &length);
    *number = 0;
    return bytes ? dynbi_number_int(bytes, length, number) : 0;
}

DYNB_API int dynb_value_bool(dynb_value value)
{
    return value.type == DYNB_BOOL && value.bytes && value.size_bytes == 1 && value.bytes[0] == 1;
}

DYNB_API uint32_t dynb_value_count(dynb_value value)
{
    size_t size;
    uint64_t count = 0;
    const uint8_t *at;
    if (value.type < DYNB_SS || value.type > DYNB_M || !value.bytes) {
        return 0;
    }
    at = dynbi_run_load(value.bytes, value.bytes + value.size_bytes, &size);
    if (!at || !dynbi_varint_load(at, at + size, &count) || count > 0xFFFFFFFFu) {
        return 0;
    }
    return (uint32_t)count;
}

/* ---- builder ----
 *
 *     memory  [AWS size so far, 8][room for the head, 16][attribute]...
 *                                                         ^ open_pos[0]
 * The item's head is known last and is put right in front of the attributes. An
 * inner container gets two bytes for its head when it opens, enough for most;
 * when it closes, its content is counted, sorted, and moved if they are not. */

#define DYNBI_BUILD_START 24u
#define DYNBI_BUILD_ROOM 2u
#define DYNBI_BUILD_ORDINAL 0x80000000u /* see dynbi_build_duplicate */

/* A path such as "tags.L[2].M.x" being written. */
typedef struct dynbi_path {
    char *to;
    size_t used;
    size_t capacity;
} dynbi_path;

static void dynbi_path_put(dynbi_path *path, const char *format, const char *text, size_t length)
{
    path->used += dynbi_format(path->to + path->used, path->capacity - path->used, format, text,
                               length);
}

/* Adds one step: a name, or ".L[2]"; the first step of a path has no dot. */
static void dynbi_path_step(dynbi_path *path, uint8_t container, const char *name, size_t length,
                            uint64_t index)
{
    static const char tags[5][3] = {"SS", "NS", "BS", "L", "M"};
    const char *tag = tags[(container - DYNB_SS) % 5];
    if (container == DYNB_M) {
        dynbi_path_put(path, path->used ? ".M.%t" : "%t", name, length);
    } else {
        path->used += dynbi_format(path->to + path->used, path->capacity - path->used,
                                   ".%s[%u]", tag, index);
    }
}

/* The step from an open container to the one inside it, or to the attribute or
 * element being added, of that name. */
static void dynbi_build_step(const dynb_builder *builder, uint32_t depth, dynbi_path *path,
                               const char *name, size_t name_length)
{
    int is_last = depth + 1 == builder->open_count;
    uint64_t index = 0;
    dynb_iterator it;
    it.kind = builder->open_type[depth];
    it.at = builder->memory + builder->open_pos[depth];
    it.end = builder->memory + builder->used_bytes;
    if (!is_last) { /* up to the type byte of the one inside */
        it.end = builder->memory + builder->open_pos[depth + 1] - DYNBI_BUILD_ROOM - 1;
    }
    while (dynb_next(&it, NULL, NULL, NULL)) {
        ++index;
    }
    if (!is_last && builder->open_type[depth] == DYNB_M) {
        /* the walk stopped at the name that has no value yet */
        name = (const char *)dynbi_run_load(it.at, it.end, &name_length);
    }
    dynbi_path_step(path, builder->open_type[depth], name ? name : "", name ? name_length : 0,
                    index);
}

/* Gives the builder's error a place of that many steps: open_count of them for
 * an attribute or element of that name, one less for the innermost open
 * container itself. (Errors are written where they stay: one is 1.4 KB.) */
static void dynbi_build_fail_place(dynb_builder *builder, uint32_t step_count, const char *name,
                                     size_t name_length)
{
    dynbi_path path;
    uint32_t depth;
    path.to = builder->error.path;
    path.used = 0;
    path.capacity = sizeof builder->error.path;
    for (depth = 0; depth < step_count; ++depth) {
        dynbi_build_step(builder, depth, &path, name, name_length);
    }
}

static void dynbi_build_fail_at(dynb_builder *builder, const char *name, size_t name_length,
                                  dynb_rc code, const char *message)
{
    (void)dynbi_fail(&builder->error, code, "%s", message);
    dynbi_build_fail_place(builder, builder->open_count, name, name_length);
}

static void dynbi_build_fail_container(dynb_builder *builder, dynb_rc code, const char *message)
{
    (void)dynbi_fail(&builder->error, code, "%s", message);
    dynbi_build_fail_place(builder, builder->open_count ? builder->open_count - 1 : 0, NULL, 0);
}

/* Room for extra_bytes more; fails when the item grows past all reason. */
static int dynbi_build_reserve(dynb_builder *builder, size_t extra_bytes)
{
    dynbi_buffer buffer;
    int is_ok;
    if (extra_bytes <= builder->capacity_bytes - builder->used_bytes) {
        return 1;
    }
    if (extra_bytes > DYNBI_ENCODING_MAX_BYTES - builder->used_bytes) {
        (void)dynbi_fail(&builder->error, DYNB_VALIDATION, "%s", dynbi_text_too_big());
        return 0;
    }
    buffer.allocator = &builder->allocator;
    buffer.bytes = builder->memory;
    buffer.used_bytes = builder->used_bytes;
    buffer.capacity_bytes = builder->capacity_bytes;
    is_ok = dynbi_buffer_reserve(&buffer, extra_bytes);
    builder->memory = buffer.bytes;
    builder->capacity_bytes = buffer.capacity_bytes;
    if (!is_ok) {
        (void)dynbi_fail(&builder->error, DYNB_NO_MEMORY, "no memory for the item");
    }
    return is_ok;
}

static void dynbi_build_count(dynb_builder *builder, uint64_t aws_bytes)
{
    dynbi_store64(builder->memory, dynbi_load64(builder->memory) + aws_bytes);
}

DYNB_API void dynb_builder_begin(dynb_builder *builder)
{
    builder->used_bytes = 0;
    builder->open_count = 0;
    dynbi_error_clear(&builder->error);
    if (dynbi_build_reserve(builder, 256)) {
        dynbi_store64(builder->memory, 0);
        builder->used_bytes = DYNBI_BUILD_START;
        builder->open_pos[0] = DYNBI_BUILD_START;
        builder->open_type[0] = DYNB_M;
        builder->open_count = 1;
    }
}

static int dynbi_is_set(uint8_t type)
{
    return type >= DYNB_SS && type <= DYNB_BS;
}

/* Why this attribute or element cannot be added here; NULL if it can. */
static const char *dynbi_build_refuse(const dynb_builder *builder, const char *name,
                                        size_t name_length, uint8_t type, dynb_rc *code)
{
    uint8_t container = builder->open_count ? builder->open_type[builder->open_count - 1]
                                            : (uint8_t)DYNB_TYPE_NONE;
    size_t bad_pos;
    *code = DYNB_INVALID_ARGUMENT;
    if (!builder->open_count) {
        return "no item is being built: call dynb_builder_begin first";
    }
    if (!name && container == DYNB_M) {
        return "the attribute needs a name: items and maps hold named values";
    }
    if (name && container != DYNB_M) {
        return "the element has a name: pass NULL in lists and sets";
    }
    if (dynbi_is_set(container) && type != dynbi_element_type(container)) {
        return "the element is not of the set's type";
    }
    *code = DYNB_VALIDATION;
    if (!dynbi_is_set(container) && builder->open_count > DYNB_NESTING_MAX) {
        return dynbi_text_nesting();
    }
    if (name && !name_length) {
        return "One or more parameter values were invalid: Empty attribute name";
    }
    if (name_length > DYNB_ATTRIBUTE_NAME_MAX_BYTES) {
        return "One or more parameter values were invalid: Attribute name is too large, "
               "must be less than 65536 bytes";
    }
    if (name && !dynbi_utf8_check(name, name_length, &bad_pos)) {
        return "One or more parameter values were invalid: Attribute name is not UTF-8";
    }
    return NULL;
}

/* Writes name and type, with room for payload_bytes behind them; returns where
 * the payload goes, NULL on failure. name NULL: none. */
static uint8_t *dynbi_build_start(dynb_builder *builder, const char *name, size_t name_length,
                                    uint8_t type, size_t payload_bytes)
{
    uint8_t *to;
    const char *message;
    dynb_rc code;
    int in_set;
    if (builder->error.code) {
        return NULL;
    }
    message = dynbi_build_refuse(builder, name, name_length, type, &code);
    if (!message && payload_bytes > DYNBI_ENCODING_MAX_BYTES) {
        message = dynbi_text_too_big();
    }
    if (message) {
        dynbi_build_fail_at(builder, name, name_length, code, message);
        return NULL;
    }
    if (!dynbi_build_reserve(builder, name_length + payload_bytes + 4)) {
        return NULL;
    }
    in_set = dynbi_is_set(builder->open_type[builder->open_count - 1]);
    to = builder->memory + builder->used_bytes;
    if (name) {
        to = dynbi_varint_store(to, name_length);
        memcpy(to, name, name_length);
        to += name_length;
    }
    if (!in_set) {
        *to++ = type;
    }
    dynbi_build_count(builder, name_length + (builder->open_count > 1 && !in_set));
    return to;
}

static void dynbi_build_end(dynb_builder *builder, const uint8_t *end, uint64_t aws_bytes)
{
    builder->used_bytes = (size_t)(end - builder->memory);
    DYNBI_ASSERT(builder->used_bytes <= builder->capacity_bytes);
    dynbi_build_count(builder, aws_bytes);
}

/* Adds an S or B; an S was found to be UTF-8 before. */
static void dynbi_build_bytes(dynb_builder *builder, const char *name, size_t name_length,
                                uint8_t type, const void *bytes, size_t length)
{
    uint8_t *to;
    size_t bound = length > DYNBI_ENCODING_MAX_BYTES ? length : length + DYNBI_VARINT_MAX;
    to = dynbi_build_start(builder, name, name_length, type, bound);
    if (!to) {
        return;
    }
    to = dynbi_varint_store(to, length);
    if (length) {
        memcpy(to, bytes, length);
    }
    dynbi_build_end(builder, to + length, length);
}

static void dynbi_build_number(dynb_builder *builder, const char *name, size_t name_length,
                                 const char *text, size_t length)
{
    uint8_t number[DYNBI_NUMBER_MAX];
    uint32_t size;
    uint8_t *to;
    if (builder->error.code) {
        return;
    }
    if (dynbi_number_parse(text, length, number, &size, &builder->error)) {
        dynbi_build_fail_place(builder, builder->open_count, name, name_length);
        return;
    }
    to = dynbi_build_start(builder, name, name_length, DYNB_N, DYNBI_NUMBER_MAX + 1);
    if (to) {
        *to++ = (uint8_t)size;
        memcpy(to, number, size);
        dynbi_build_end(builder, to + size, dynbi_number_aws_size(number, size));
    }
}

/* Adds a BOOL (0, 1) or, for value -1, a NULL. */
static void dynbi_build_small(dynb_builder *builder, const char *name, size_t name_length,
                                int value)
{
    uint8_t type = value < 0 ? (uint8_t)DYNB_NULL : (uint8_t)DYNB_BOOL;
    uint8_t *to = dynbi_build_start(builder, name, name_length, type, 1);
    if (to) {
        if (value >= 0) {
            *to++ = (uint8_t)value;
        }
        dynbi_build_end(builder, to, 1);
    }
}

static void dynbi_build_open(dynb_builder *builder, const char *name, size_t name_length,
                               uint8_t type)
{
    uint8_t *to = dynbi_build_start(builder, name, name_length, type, DYNBI_BUILD_ROOM);
    if (to) {
        dynbi_build_end(builder, to + DYNBI_BUILD_ROOM, dynbi_is_set(type) ? 0 : 3);
        DYNBI_ASSERT(builder->open_count <= DYNB_NESTING_MAX);
        builder->open_pos[builder->open_count] = (uint32_t)builder->used_bytes;
        builder->open_type[builder->open_count] = type;
        ++builder->open_count;
    }
}

/* ---- builder: closing ---- */

/* One attribute or element of the container being closed; positions from its
 * start, since memory may move. */
typedef struct dynbi_sort_entry {
    uint32_t pos;
    uint32_t size_bytes;
    uint32_t key_pos;
    uint32_t key_length;
} dynbi_sort_entry;

#define DYNBI_SORT_SMALL 32u /* this many are sorted without allocating */

static int dynbi_sort_compare(const uint8_t *content, const dynbi_sort_entry *a,
                              const dynbi_sort_entry *b)
{
    return dynbi_bytes_compare(content + a->key_pos, a->key_length, content + b->key_pos,
                               b->key_length);
}

/* Merge sort, bottom up; returns where the sorted entries are: either array. */
static dynbi_sort_entry *dynbi_sort_entries(const uint8_t *content, dynbi_sort_entry *entries,
                                            dynbi_sort_entry *other, size_t count)
{
    size_t width, start;
    for (width = 1; width < count; width *= 2) {
        dynbi_sort_entry *swap = entries;
        for (start = 0; start < count; start += 2 * width) {
            size_t left = start, middle = count - start < width ? count : start + width;
            size_t right = middle, end = count - middle < width ? count : middle + width;
            size_t to = start;
            while (to < end) {
                int take_left = left < middle &&
                                (right >= end || dynbi_sort_compare(content, entries + left,
                                                                    entries + right) <= 0);
                other[to++] = entries[take_left ? left++ : right++];
            }
        }
        entries = other;
        other = swap;
    }
    return entries;
}

/* Walks the content; fills `entries` if given. Returns the count; *is_sorted:
 * already strictly ascending. */
static size_t dynbi_sort_walk(const uint8_t *content, const uint8_t *end, uint8_t kind,
                              dynbi_sort_entry *entries, int *is_sorted)
{
    dynbi_sort_entry before = {0, 0, 0, 0}, entry;
    size_t count = 0;
    dynb_iterator it;
    it.at = content;
    it.end = end;
    it.kind = kind;
    *is_sorted = 1;
    for (;;) {
        const uint8_t *start = it.at, *key;
        const char *name = NULL;
        size_t key_length = 0;
        dynb_value value;
        if (!dynb_next(&it, &name, &key_length, &value)) {
            DYNBI_ASSERT(it.at == end);
            return count;
        }
        if (kind != DYNB_L) {
            key = kind == DYNB_M ? (const uint8_t *)name
                                 : dynbi_run_load(value.bytes, it.at, &key_length);
            entry.pos = (uint32_t)(start - content);
            entry.size_bytes = (uint32_t)(it.at - start);
            entry.key_pos = (uint32_t)(key - content);
            entry.key_length = (uint32_t)key_length;
            if (entries) {
                entries[count] = entry;
            } else if (*is_sorted && count && dynbi_sort_compare(content, &before, &entry) >= 0) {
                *is_sorted = 0;
            }
            before = entry;
        }
        ++count;
    }
}

/* Writes [a, b, a] for AWS's message, cut to leave room for what follows.
 * Returns the length. */
static size_t dynbi_set_text(dynb_iterator it, char *to, size_t capacity)
{
    dynb_value value;
    size_t used = dynbi_format(to, capacity, "["), length, i;
    int first = 1;
    while (dynb_next(&it, NULL, NULL, &value)) {
        const char *text = dynb_value_string(value, &length);
        used += dynbi_format(to + used, capacity - used, first ? "" : ", ");
        first = 0;
        if (it.kind == DYNB_SS) {
            used += dynbi_format(to + used, capacity - used, "%t", text, length);
            continue;
        }
        for (i = 0; i < length; i += 3) {
            char four[5];
            size_t part = length - i < 3 ? length - i : 3;
            const uint8_t *bytes = value.bytes + value.size_bytes - length + i;
            four[dynbi_base64_encode(four, bytes, part)] = 0;
            used += dynbi_format(to + used, capacity - used, "%s", four);
        }
    }
    return used + dynbi_format(to + used, capacity - used, "]");
}

/* Fails for an attribute or element that comes twice. An attribute's ordinal is
 * left in open_pos, which a failed builder has no other use for, so that JSON
 * can find the place in its text. */
static void dynbi_build_duplicate(dynb_builder *builder, uint8_t kind, uint32_t start,
                                    const dynbi_sort_entry *entry)
{
    const size_t set_max = 1100; /* of the message */
    const uint8_t *content = builder->memory + start;
    dynb_error *err = &builder->error;
    dynb_iterator it;
    size_t used;
    it.at = content;
    it.kind = kind;
    if (kind == DYNB_M) {
        const char *name = (const char *)content + entry->key_pos;
        uint32_t ordinal = 0;
        it.end = content + entry->pos;
        while (dynb_next(&it, NULL, NULL, NULL)) {
            ++ordinal;
        }
        (void)dynbi_fail(err, DYNB_VALIDATION,
                         "One or more parameter values were invalid: Attribute name given twice: "
                         "%t",
                         name, (size_t)entry->key_length);
        dynbi_build_fail_place(builder, builder->open_count, name, entry->key_length);
        builder->open_pos[builder->open_count - 1] = DYNBI_BUILD_ORDINAL + ordinal;
        return;
    }
    it.end = builder->memory + builder->used_bytes;
    if (kind == DYNB_NS) {
        dynbi_build_fail_container(builder, DYNB_VALIDATION,
                                   "Input collection contains duplicates");
        return;
    }
    dynbi_build_fail_container(builder, DYNB_VALIDATION,
                               "One or more parameter values were invalid: Input collection ");
    used = dynbi_length(err->message);
    used += dynbi_set_text(it, err->message + used, set_max);
    (void)dynbi_format(err->message + used, sizeof err->message - used, "%s contains duplicates.",
                       kind == DYNB_BS ? "of type BS" : "");
}

/* Puts the content that starts at `start` into order with the help of room for
 * 2 * count entries. Returns nonzero if that succeeded. */
static int dynbi_build_rearrange(dynb_builder *builder, uint32_t start, uint8_t kind,
                                   dynbi_sort_entry *entries, size_t count)
{
    size_t content_bytes = builder->used_bytes - start, i;
    const dynbi_sort_entry *sorted;
    int is_sorted;
    uint8_t *to;
    (void)dynbi_sort_walk(builder->memory + start, builder->memory + builder->used_bytes, kind,
                          entries, &is_sorted);
    sorted = dynbi_sort_entries(builder->memory + start, entries, entries + count, count);
    for (i = 1; i < count; ++i) {
        if (!dynbi_sort_compare(builder->memory + start, sorted + i - 1, sorted + i)) {
            dynbi_build_duplicate(builder, kind, start, sorted + i);
            return 0;
        }
    }
    if (!dynbi_build_reserve(builder, content_bytes)) {
        return 0;
    }
    to = builder->memory + builder->used_bytes;
    for (i = 0; i < count; ++i) {
        memcpy(to, builder->memory + start + sorted[i].pos, sorted[i].size_bytes);
        to += sorted[i].size_bytes;
    }
    memcpy(builder->memory + start, builder->memory + builder->used_bytes, content_bytes);
    return 1;
}

/* Counts and sorts the innermost open container; nonzero if that succeeded. */
static int dynbi_build_sort(dynb_builder *builder, size_t *count)
{
    dynbi_sort_entry few[2 * DYNBI_SORT_SMALL];
    dynbi_sort_entry *entries;
    uint32_t start = builder->open_pos[builder->open_count - 1];
    uint8_t kind = builder->open_type[builder->open_count - 1];
    size_t size;
    int is_sorted, is_ok;
    *count = dynbi_sort_walk(builder->memory + start, builder->memory + builder->used_bytes, kind,
                             NULL, &is_sorted);
    if (is_sorted) {
        return 1;
    }
    if (*count <= DYNBI_SORT_SMALL) {
        return dynbi_build_rearrange(builder, start, kind, few, *count);
    }
    DYNBI_ASSERT(*count <= DYNBI_ENCODING_MAX_BYTES);
    size = *count * 2 * sizeof *entries;
    entries = (dynbi_sort_entry *)dynbi_allocate(&builder->allocator, size);
    if (!entries) {
        (void)dynbi_fail(&builder->error, DYNB_NO_MEMORY, "no memory to sort the item");
        return 0;
    }
    is_ok = dynbi_build_rearrange(builder, start, kind, entries, *count);
    dynbi_free(&builder->allocator, entries, size);
    return is_ok;
}

DYNB_API void dynb_close_container(dynb_builder *builder)
{
    size_t count, size, head_bytes;
    uint32_t start;
    uint8_t kind, *to;
    if (builder->error.code) {
        return;
    }
    if (builder->open_count < 2) {
        dynbi_build_fail_container(builder, DYNB_INVALID_ARGUMENT, "no container is open");
        return;
    }
    start = builder->open_pos[builder->open_count - 1];
    kind = builder->open_type[builder->open_count - 1];
    if (dynbi_is_set(kind) && builder->used_bytes == start) {
        dynbi_build_fail_container(
            builder, DYNB_VALIDATION,
            kind == DYNB_SS
                ? "One or more parameter values were invalid: An string set  may not be empty"
            : kind == DYNB_NS
                ? "One or more parameter values were invalid: An number set  may not be empty"
                : "One or more parameter values were invalid: Binary sets should not be empty");
        return;
    }
    if (!dynbi_build_sort(builder, &count)) {
        return;
    }
    size = dynbi_varint_size(count) + builder->used_bytes - start;
    head_bytes = dynbi_varint_size(size) + dynbi_varint_size(count);
    if (head_bytes > DYNBI_BUILD_ROOM) {
        if (!dynbi_build_reserve(builder, head_bytes)) {
            return;
        }
        to = builder->memory + start - DYNBI_BUILD_ROOM;
        memmove(to + head_bytes, builder->memory + start, builder->used_bytes - start);
        builder->used_bytes += head_bytes - DYNBI_BUILD_ROOM;
    }
    to = builder->memory + start - DYNBI_BUILD_ROOM;
    (void)dynbi_varint_store(dynbi_varint_store(to, size), count);
    --builder->open_count;
}

DYNB_API dynb_rc dynb_builder_finish(dynb_builder *builder, dynb_item *out, dynb_error *err)
{
    size_t count = 0, head_bytes;
    uint64_t aws_size;
    uint8_t *head;
    out->bytes = NULL;
    out->size_bytes = 0;
    if (!builder->error.code && builder->open_count != 1) {
        dynbi_build_fail_container(builder, DYNB_INVALID_ARGUMENT,
                                     builder->open_count ? "a container is still open"
                                                         : "no item is being built");
    }
    if (!builder->error.code && dynbi_build_sort(builder, &count) &&
        dynbi_load64(builder->memory) > DYNB_ITEM_MAX_BYTES) {
        (void)dynbi_fail(&builder->error, DYNB_VALIDATION, "%s", dynbi_text_too_big());
    }
    if (builder->error.code) {
        if (err) {
            *err = builder->error;
        }
        return builder->error.code;
    }
    aws_size = dynbi_load64(builder->memory);
    head_bytes = dynbi_varint_size(aws_size) + dynbi_varint_size(count);
    DYNBI_ASSERT(head_bytes <= DYNBI_BUILD_START - 8);
    head = builder->memory + DYNBI_BUILD_START - head_bytes;
    (void)dynbi_varint_store(dynbi_varint_store(head, aws_size), count);
    out->bytes = head;
    out->size_bytes = (uint32_t)(builder->used_bytes - DYNBI_BUILD_START + head_bytes);
    builder->open_count = 0;
    return DYNB_OK;
}

DYNB_API void dynb_builder_free(dynb_builder *builder)
{
    dynbi_free(&builder->allocator, builder->memory, builder->capacity_bytes);
    builder->memory = NULL;
    builder->used_bytes = 0;
    builder->capacity_bytes = 0;
    builder->open_count = 0;
    dynbi_error_clear(&builder->error);
}

/* ---- builder: the public adders ---- */

static size_t dynbi_name_length(const char *name)
{
    return name ? dynbi_length(name) : 0;
}

/* The length of a text given as NUL-terminated or counted; 0 and a failure if
 * there is no text where there must be one. */
static size_t dynbi_text_length(dynb_builder *builder, const char *name, const void *text,
                                size_t length)
{
    if (text) {
        return length == (size_t)-1 ? dynbi_length((const char *)text) : length;
    }
    if (length && !builder->error.code) {
        dynbi_build_fail_at(builder, name, dynbi_name_length(name), DYNB_INVALID_ARGUMENT,
                              "the value is NULL");
    }
    return 0;
}

DYNB_API void dynb_add_string(dynb_builder *builder, const char *name, const char *text,
                              size_t length)
{
    size_t bad_pos;
    length = dynbi_text_length(builder, name, text, length);
    if (!builder->error.code && length && !dynbi_utf8_check(text, length, &bad_pos)) {
        dynbi_build_fail_at(builder, name, dynbi_name_length(name), DYNB_VALIDATION,
                              "One or more parameter values were invalid: the string is not "
                              "UTF-8; use a binary");
    }
    dynbi_build_bytes(builder, name, dynbi_name_length(name), DYNB_S, text, length);
}

DYNB_API void dynb_add_number(dynb_builder *builder, const char *name, const char *text,
                              size_t length)
{
    length = dynbi_text_length(builder, name, text, length);
    dynbi_build_number(builder, name, dynbi_name_length(name), text, length);
}

DYNB_API void dynb_add_int(dynb_builder *builder, const char *name, int64_t number)
{
    char text[24];
    uint64_t size = number < 0 ? (uint64_t)0 - (uint64_t)number : (uint64_t)number;
    size_t length = dynbi_format(text, sizeof text, "%s%u", number < 0 ? "-" : "", size);
    dynbi_build_number(builder, name, dynbi_name_length(name), text, length);
}

DYNB_API void dynb_add_binary(dynb_builder *builder, const char *name, const void *bytes,
                              size_t length)
{
    length = dynbi_text_length(builder, name, bytes, length);
    dynbi_build_bytes(builder, name, dynbi_name_length(name), DYNB_B, bytes, length);
}

DYNB_API void dynb_add_bool(dynb_builder *builder, const char *name, int value)
{
    dynbi_build_small(builder, name, dynbi_name_length(name), value != 0);
}

DYNB_API void dynb_add_null(dynb_builder *builder, const char *name)
{
    dynbi_build_small(builder, name, dynbi_name_length(name), -1);
}

DYNB_API void dynb_add_value(dynb_builder *builder, const char *name, dynb_value value)
{
    size_t name_length = dynbi_name_length(name);
    uint64_t aws_size;
    uint8_t *to;
    if (builder->error.code) {
        return;
    }
    if (dynbi_value_check(value, builder->open_count, &aws_size, &builder->error)) {
        dynbi_build_fail_place(builder, builder->open_count, name, name_length);
        return;
    }
    to = dynbi_build_start(builder, name, name_length, (uint8_t)value.type, value.size_bytes);
    if (to) {
        if (value.size_bytes) {
            memcpy(to, value.bytes, value.size_bytes);
        }
        dynbi_build_end(builder, to + value.size_bytes, aws_size);
    }
}

DYNB_API void dynb_open_container(dynb_builder *builder, const char *name, dynb_type type)
{
    if (type < DYNB_SS || type > DYNB_M) {
        if (!builder->error.code) {
            dynbi_build_fail_at(builder, name, dynbi_name_length(name), DYNB_INVALID_ARGUMENT,
                                  "not a container's type: use DYNB_M, L, SS, NS or BS");
        }
        return;
    }
    dynbi_build_open(builder, name, dynbi_name_length(name), (uint8_t)type);
}

/* ===========================================================================
 * 14 KEY
 *
 * Key schemas, keys as bytes whose memcmp order is DynamoDB's order, and items
 * without the key attributes that their key says already.
 *
 *     key          [part][part]...
 *     S, B         not last: the bytes, each 00 as [00][FF], then [00][00]
 *     S, B         last: the bytes as they are
 *     N            ordered number, which ends itself
 *     stored item  [varint aws_size of the full item][varint count of the rest]
 *                  [the attributes that are not in the key]
 *
 * A key is valid if and only if (1) it has exactly the schema's parts, (2) each
 * is not empty and at most 2048 bytes in the first part and in a partition key
 * of the table behind an index's own keys, 1024 else, before escaping, (3) an S
 * is UTF-8, an N a valid number, (4) a 00 inside a part that is not last is
 * followed by FF. A stored item is valid for a key if and only if both make a
 * valid item and none of its names is in the schema.
 *
 * Needs: UTIL, CODEC, NUMBER, VALUE   Used by: TABLE, BACKUP
 * Exports: dynbi_key_encode_part, dynbi_key_encode, dynbi_key_check,
 *   dynbi_item_strip, dynbi_item_restored_bound, dynbi_item_restore,
 *   dynbi_key_item, dynbi_stored_check
 * On error: VALIDATION with AWS's message for what users pass; CORRUPT, or 0,
 *   for bytes of the device, which are never read outside what was given.
 * ======================================================================== */

#define DYNBI_KEY_PARTS_MAX 4

/* name is not NUL-terminated; type is DYNB_S, DYNB_N or DYNB_B. */
typedef struct dynbi_key_part {
    const char *name;
    uint32_t name_length;
    uint8_t type;
    uint8_t is_partition; /* a partition key; the first part is one anyway */
} dynbi_key_part;

typedef struct dynbi_schema {
    dynbi_key_part part[DYNBI_KEY_PARTS_MAX];
    uint32_t part_count;
} dynbi_schema;

/* Of a table: a partition key of zero bytes only, its end, and a sort key. */
#define DYNBI_KEY_MAX_BYTES \
    (2 * DYNB_PARTITION_KEY_MAX_BYTES + 2 + DYNB_SORT_KEY_MAX_BYTES)

/* ---- encoding ---- */

static size_t dynbi_key_part_max(const dynbi_schema *schema, uint32_t index)
{
    return index && !schema->part[index].is_partition ? DYNB_SORT_KEY_MAX_BYTES
                                                      : DYNB_PARTITION_KEY_MAX_BYTES;
}

static const char *dynbi_type_name(uint8_t type)
{
    static const char names[11][5] = {"", "S", "N", "B", "BOOL", "NULL", "SS", "NS", "BS", "L",
                                      "M"};
    return names[type <= DYNB_M ? type : 0];
}

static dynb_rc dynbi_key_append(const dynbi_schema *schema, uint32_t index, const uint8_t *bytes,
                                size_t length, dynbi_buffer *to)
{
    uint8_t *at;
    size_t i;
    if (!dynbi_buffer_reserve(to, 2 * length + 2)) {
        return DYNB_NO_MEMORY;
    }
    at = to->bytes + to->used_bytes;
    if (schema->part[index].type == DYNB_N || index + 1 == schema->part_count) {
        memcpy(at, bytes, length);
        to->used_bytes += length;
        return DYNB_OK;
    }
    for (i = 0; i < length; ++i) {
        *at++ = bytes[i];
        if (!bytes[i]) {
            *at++ = 0xFF;
        }
    }
    *at++ = 0;
    *at++ = 0;
    to->used_bytes = (size_t)(at - to->bytes);
    return DYNB_OK;
}

/* Lengths and bytes of one part whose type is right already. is_put chooses
 * between the two wordings of AWS for an empty key. */
static dynb_rc dynbi_key_encode_value(const dynbi_schema *schema, uint32_t index,
                                      dynb_value value, int is_put, dynbi_buffer *to,
                                      dynb_error *err)
{
    const dynbi_key_part *part = &schema->part[index];
    size_t length = 0;
    const uint8_t *bytes =
        dynbi_run_load(value.bytes, value.bytes + value.size_bytes, &length);
    if (!bytes || (part->type == DYNB_N && dynbi_number_check(bytes, bytes + length) != length)) {
        return dynbi_fail(err, DYNB_VALIDATION, "the value of the key attribute %t is damaged",
                          part->name, (size_t)part->name_length);
    }
    if (!length) {
        return dynbi_fail(err, DYNB_VALIDATION,
                          "One or more parameter values %s The AttributeValue for a key "
                          "attribute cannot contain an empty %s value. Key: %t",
                          is_put ? "are not valid." : "were invalid:",
                          part->type == DYNB_S ? "string" : "binary", part->name,
                          (size_t)part->name_length);
    }
    if (length > dynbi_key_part_max(schema, index)) {
        return dynbi_fail(err, DYNB_VALIDATION, "%s",
                          dynbi_key_part_max(schema, index) == DYNB_SORT_KEY_MAX_BYTES
                              ? "One or more parameter values were invalid: Aggregated size "
                                "of all range keys has exceeded the size limit of 1024 bytes"
                              : "One or more parameter values were invalid: Size of hashkey "
                                "has exceeded the maximum size limit of2048 bytes");
    }
    if (dynbi_key_append(schema, index, bytes, length, to)) {
        return dynbi_fail(err, DYNB_NO_MEMORY, "no memory for a key");
    }
    return DYNB_OK;
}

static dynb_rc dynbi_key_mismatch(dynb_error *err)
{
    return dynbi_fail(err, DYNB_VALIDATION, "The provided key element does not match the schema");
}

/* Appends one part, for queries. */
static dynb_rc dynbi_key_encode_part(const dynbi_schema *schema, uint32_t index, dynb_value value,
                                     dynbi_buffer *to, dynb_error *err)
{
    DYNBI_ASSERT(index < schema->part_count);
    if (value.type != (dynb_type)schema->part[index].type || !value.bytes) {
        return dynbi_key_mismatch(err);
    }
    return dynbi_key_encode_value(schema, index, value, 0, to, err);
}

/* Which part of the schema the name is; part_count if none. */
static inline uint32_t dynbi_schema_find(const dynbi_schema *schema, const char *name,
                                         size_t name_length)
{
    uint32_t i;
    for (i = 0; i < schema->part_count; ++i) {
        if (schema->part[i].name_length == name_length &&
            !memcmp(schema->part[i].name, name, name_length)) {
            break;
        }
    }
    return i;
}

/* Appends the key of a checked item. key_only: it must have no other attribute,
 * as for GetItem; else PutItem's rules and messages. On failure `to` holds as
 * many bytes as before. */
static dynb_rc dynbi_key_encode(const dynbi_schema *schema, dynb_item item, int key_only,
                                dynbi_buffer *to, dynb_error *err)
{
    dynb_value values[DYNBI_KEY_PARTS_MAX], value;
    size_t used_bytes = to->used_bytes, name_length;
    uint32_t i, found_count = 0, other_count = 0;
    const char *name;
    dynb_rc rc;
    dynb_iterator it = dynb_item_iterate(item);
    for (i = 0; i < schema->part_count; ++i) {
        values[i].type = DYNB_TYPE_NONE;
    }
    while ((key_only || found_count < schema->part_count) &&
           dynb_next(&it, &name, &name_length, &value)) {
        i = dynbi_schema_find(schema, name, name_length);
        if (i < schema->part_count) {
            values[i] = value;
            ++found_count;
        } else {
            ++other_count;
        }
    }
    if (key_only && (found_count != schema->part_count || other_count)) {
        return dynbi_key_mismatch(err);
    }
    for (i = 0; i < schema->part_count; ++i) {
        const dynbi_key_part *part = &schema->part[i];
        if (values[i].type == DYNB_TYPE_NONE) {
            rc = dynbi_fail(err, DYNB_VALIDATION,
                            "One or more parameter values were invalid: Missing the key %t in "
                            "the item",
                            part->name, (size_t)part->name_length);
        } else if (values[i].type == (dynb_type)part->type) {
            rc = dynbi_key_encode_value(schema, i, values[i], !key_only, to, err);
        } else if (key_only) {
            rc = dynbi_key_mismatch(err);
        } else {
            rc = dynbi_fail(err, DYNB_VALIDATION,
                            "One or more parameter values were invalid: Type mismatch for key "
                            "%t expected: %s actual: %s",
                            part->name, (size_t)part->name_length, dynbi_type_name(part->type),
                            dynbi_type_name((uint8_t)values[i].type));
        }
        if (rc) {
            to->used_bytes = used_bytes;
            return rc;
        }
    }
    return DYNB_OK;
}

/* ---- decoding ---- */

/* One part of a key as it stands there: `size_bytes` without its end, and
 * `length` when unescaped. */
typedef struct dynbi_key_view {
    const uint8_t *bytes;
    size_t size_bytes;
    size_t length;
} dynbi_key_view;

/* Finds the parts; returns 0 unless the key has exactly those. An empty key is
 * none; empty parts and long ones pass, dynbi_key_check looks at the rest. */
static int dynbi_key_split(const dynbi_schema *schema, const uint8_t *key, size_t key_size,
                           dynbi_key_view *views)
{
    const uint8_t *at = key, *end;
    uint32_t i;
    DYNBI_ASSERT(schema->part_count >= 1 && schema->part_count <= DYNBI_KEY_PARTS_MAX);
    if (!key_size) {
        return 0;
    }
    end = key + key_size;
    for (i = 0; i < schema->part_count; ++i) {
        dynbi_key_view *view = &views[i];
        size_t escapes = 0;
        view->bytes = at;
        if (schema->part[i].type == DYNB_N) {
            view->size_bytes = dynbi_number_check(at, end);
            if (!view->size_bytes) {
                return 0;
            }
            at += view->size_bytes;
        } else if (i + 1 == schema->part_count) {
            view->size_bytes = (size_t)(end - at);
            at = end;
        } else {
            for (;;) {
                while (at < end && *at) {
                    ++at;
                }
                if (end - at < 2 || (at[1] && at[1] != 0xFF)) {
                    return 0;
                }
                at += 2;
                if (!at[-1]) {
                    break;
                }
                ++escapes;
            }
            view->size_bytes = (size_t)(at - 2 - view->bytes);
        }
        view->length = view->size_bytes - escapes;
    }
    return at == end;
}

/* UTF-8 as it stands: an escape is the character 00 with an FF behind it. */
static int dynbi_key_is_text(const dynbi_key_view *view)
{
    size_t start = 0, i, bad_pos;
    if (view->size_bytes == view->length) {
        return dynbi_utf8_check(view->bytes, view->size_bytes, &bad_pos);
    }
    for (i = 0; i < view->size_bytes; ++i) {
        if (!view->bytes[i]) {
            if (!dynbi_utf8_check(view->bytes + start, i - start, &bad_pos)) {
                return 0;
            }
            start = i + 2;
            ++i;
        }
    }
    return dynbi_utf8_check(view->bytes + start, view->size_bytes - start, &bad_pos);
}

static dynb_rc dynbi_key_check(const dynbi_schema *schema, const uint8_t *key, size_t size)
{
    dynbi_key_view views[DYNBI_KEY_PARTS_MAX];
    uint32_t i;
    if (!dynbi_key_split(schema, key, size, views)) {
        return DYNB_CORRUPT;
    }
    for (i = 0; i < schema->part_count; ++i) {
        if (!views[i].length || views[i].length > dynbi_key_part_max(schema, i) ||
            (schema->part[i].type == DYNB_S && !dynbi_key_is_text(&views[i]))) {
            return DYNB_CORRUPT;
        }
    }
    return DYNB_OK;
}

/* ---- stored items ---- */

/* Appends the stored form of a checked item. */
static dynb_rc dynbi_item_strip(const dynbi_schema *schema, dynb_item item, dynbi_buffer *to)
{
    const uint8_t *end = item.bytes + item.size_bytes, *start, *run;
    uint64_t aws_size = 0, count = 0, left;
    uint32_t dropped_count = 0;
    size_t head_pos, head_bytes, name_length;
    const char *name;
    dynb_iterator it;
    if (!dynbi_buffer_reserve(to, item.size_bytes)) {
        return DYNB_NO_MEMORY;
    }
    start = dynbi_item_head(item.bytes, end, &aws_size, &count);
    DYNBI_ASSERT(start && count >= schema->part_count);
    /* every key attribute is there, so the count in front is known */
    left = count - schema->part_count;
    head_pos = to->used_bytes;
    head_bytes = (size_t)(dynbi_varint_store(dynbi_varint_store(to->bytes + head_pos, aws_size),
                                             left) -
                          (to->bytes + head_pos));
    to->used_bytes += head_bytes;
    run = start;
    it.at = start;
    it.end = end;
    it.kind = DYNB_M;
    while (dropped_count < schema->part_count && dynb_next(&it, &name, &name_length, NULL)) {
        if (dynbi_schema_find(schema, name, name_length) < schema->part_count) {
            (void)dynbi_buffer_append(to, run, (size_t)(start - run));
            run = it.at;
            ++dropped_count;
        }
        start = it.at;
    }
    DYNBI_ASSERT(dropped_count == schema->part_count);
    (void)dynbi_buffer_append(to, run, (size_t)(end - run));
    return DYNB_OK;
}

/* A part comes back as name and value; its bytes do not grow, the varints in
 * front of name and value take two bytes at most, the type one. */
static size_t dynbi_item_restored_bound(const dynbi_schema *schema, size_t key_size,
                                        size_t stored_size)
{
    size_t bound = key_size + stored_size + 1;
    uint32_t i;
    for (i = 0; i < schema->part_count; ++i) {
        bound += schema->part[i].name_length + 2u + 1u + DYNBI_VARINT_MAX;
    }
    return bound;
}

/* Writes a key attribute; returns its end. */
static uint8_t *dynbi_key_put(const dynbi_key_part *part, const dynbi_key_view *view, uint8_t *to)
{
    size_t i;
    to = dynbi_varint_store(to, part->name_length);
    memcpy(to, part->name, part->name_length);
    to += part->name_length;
    *to++ = part->type;
    to = dynbi_varint_store(to, view->length);
    if (view->length == view->size_bytes) {
        if (view->length) {
            memcpy(to, view->bytes, view->length);
        }
        return to + view->length;
    }
    for (i = 0; i < view->size_bytes; ++i) {
        *to++ = view->bytes[i];
        i += !view->bytes[i]; /* the FF behind it */
    }
    return to;
}

/* The parts in the order of their names. */
static inline void dynbi_schema_order(const dynbi_schema *schema, uint8_t *order)
{
    uint32_t i, k;
    for (i = 0; i < schema->part_count; ++i) {
        const dynbi_key_part *part = &schema->part[i];
        for (k = i; k > 0; --k) {
            const dynbi_key_part *before = &schema->part[order[k - 1]];
            if (dynbi_bytes_compare((const uint8_t *)before->name, before->name_length,
                                    (const uint8_t *)part->name, part->name_length) < 0) {
                break;
            }
            order[k] = order[k - 1];
        }
        order[k] = (uint8_t)i;
    }
}

/* Writes the full item; returns its size, 0 if the bytes cannot be one. Past
 * the place of the last key attribute the stored bytes are copied unseen: their
 * page has a sum, and accessors meet any bytes. */
static size_t dynbi_item_restore(const dynbi_schema *schema, const uint8_t *key, size_t key_size,
                                 const uint8_t *stored, size_t stored_size, uint8_t *to)
{
    dynbi_key_view views[DYNBI_KEY_PARTS_MAX];
    uint8_t order[DYNBI_KEY_PARTS_MAX], *out = to;
    const uint8_t *end, *at, *run;
    uint64_t aws_size, count;
    uint32_t next = 0;
    if (!stored_size) {
        return 0;
    }
    end = stored + stored_size;
    at = dynbi_item_head(stored, end, &aws_size, &count);
    if (!at || count > stored_size || !dynbi_key_split(schema, key, key_size, views)) {
        return 0;
    }
    dynbi_schema_order(schema, order);
    out = dynbi_varint_store(dynbi_varint_store(out, aws_size), count + schema->part_count);
    for (run = at; next < schema->part_count;) {
        const dynbi_key_part *part = &schema->part[order[next]];
        const uint8_t *name;
        size_t length;
        if (at < end) {
            name = dynbi_run_load(at, end, &length);
            if (!name || name + length == end) {
                return 0;
            }
            if (dynbi_bytes_compare(name, length, (const uint8_t *)part->name,
                                    part->name_length) < 0) {
                at = dynbi_value_end(name[length], name + length + 1, end);
                if (!at) {
                    return 0;
                }
                continue;
            }
        }
        memcpy(out, run, (size_t)(at - run));
        out = dynbi_key_put(part, &views[order[next]], out + (at - run));
        run = at;
        ++next;
    }
    memcpy(out, run, (size_t)(end - run));
    out += end - run;
    DYNBI_ASSERT((size_t)(out - to) <=
                 dynbi_item_restored_bound(schema, key_size, stored_size));
    return (size_t)(out - to);
}

/* The AWS size of the key attributes. */
static uint64_t dynbi_key_aws_size(const dynbi_schema *schema, const dynbi_key_view *views)
{
    uint64_t aws_size = 0;
    uint32_t i;
    for (i = 0; i < schema->part_count; ++i) {
        aws_size += schema->part[i].name_length;
        aws_size += schema->part[i].type == DYNB_N
                        ? dynbi_number_aws_size(views[i].bytes, (uint32_t)views[i].size_bytes)
                        : views[i].length;
    }
    return aws_size;
}

/* Writes an item of just the key attributes; room as for restoring a stored
 * item of 2 * DYNBI_VARINT_MAX bytes. Returns its size, 0 for a damaged key. */
static size_t dynbi_key_item(const dynbi_schema *schema, const uint8_t *key, size_t key_size,
                             uint8_t *to)
{
    dynbi_key_view views[DYNBI_KEY_PARTS_MAX];
    uint8_t stored[2 * DYNBI_VARINT_MAX], *end;
    if (!dynbi_key_split(schema, key, key_size, views)) {
        return 0;
    }
    end = dynbi_varint_store(stored, dynbi_key_aws_size(schema, views));
    *end++ = 0;
    return dynbi_item_restore(schema, key, key_size, stored, (size_t)(end - stored), to);
}

/* The full check of what a leaf holds for a key. */
static dynb_rc dynbi_stored_check(const dynbi_schema *schema, const uint8_t *key, size_t key_size,
                                  const uint8_t *stored, size_t stored_size)
{
    dynbi_key_view views[DYNBI_KEY_PARTS_MAX];
    const uint8_t *end, *at;
    uint64_t aws_size, count, rest_aws_size;
    const char *name;
    size_t name_length;
    dynb_iterator it;
    if (!stored_size || dynbi_key_check(schema, key, key_size) ||
        !dynbi_key_split(schema, key, key_size, views)) {
        return DYNB_CORRUPT;
    }
    end = stored + stored_size;
    at = dynbi_item_head(stored, end, &aws_size, &count);
    if (!at || aws_size > DYNB_ITEM_MAX_BYTES ||
        !dynbi_attributes_check(at, end, count, &rest_aws_size) ||
        rest_aws_size + dynbi_key_aws_size(schema, views) != aws_size) {
        return DYNB_CORRUPT;
    }
    it.at = at;
    it.end = end;
    it.kind = DYNB_M;
    while (dynb_next(&it, &name, &name_length, NULL)) {
        if (dynbi_schema_find(schema, name, name_length) < schema->part_count) {
            return DYNB_CORRUPT;
        }
    }
    return DYNB_OK;
}

/* ===========================================================================
 * 15 JSON
 *
 * A pull reader and a writer of JSON (RFC 8259, strict) that know no tables,
 * and items as DynamoDB JSON: {"Id":{"N":"1"},"tags":{"L":[{"S":"x"}]}}.
 *
 * A text is valid if and only if (1) it is one value by the grammar, with only
 * white space around it, (2) it is UTF-8, (3) an escaped surrogate is one of a
 * pair, (4) it nests at most 128 deep. (An item of 32 levels with a set in the
 * deepest needs 65, a batch around it five more.)
 *
 * Needs: UTIL, CODEC, VALUE   Used by: REQUEST
 * Exports: dynbi_json_start, dynbi_json_next, dynbi_json_skip,
 *   dynbi_json_decode, dynbi_json_read_item, dynbi_json_open, _close, _name,
 *   _string, _literal, _uint, _write_item, dynb_item_from_json,
 *   dynb_item_to_json
 * On error: SERIALIZATION or VALIDATION with pos, the byte of the offending
 *   token, and path, such as tags.L[2].M.x. As with AWS any SERIALIZATION comes
 *   before all VALIDATION, of which the first in the text is reported.
 * ======================================================================== */

/* ---- reader ---- */

#define DYNBI_JSON_DEPTH_MAX 128u

typedef enum dynbi_json_kind {
    DYNBI_JSON_ERROR = 0, /* the reader's error says why; pos is where */
    DYNBI_JSON_END,
    DYNBI_JSON_OBJECT,
    DYNBI_JSON_OBJECT_END,
    DYNBI_JSON_ARRAY,
    DYNBI_JSON_ARRAY_END,
    DYNBI_JSON_NAME, /* of a member; its colon has been read too */
    DYNBI_JSON_STRING,
    DYNBI_JSON_NUMBER,
    DYNBI_JSON_TRUE,
    DYNBI_JSON_FALSE,
    DYNBI_JSON_NULL
} dynbi_json_kind;

/* text: of strings what is between the quotes, escapes and all. */
typedef struct dynbi_json_token {
    dynbi_json_kind kind;
    int has_escapes; /* NAME, STRING: dynbi_json_decode it */
    int is_decimal;  /* NUMBER: has a point or an exponent */
    const char *text;
    size_t length;
    size_t pos;
} dynbi_json_token;

typedef enum dynbi_json_expect {
    DYNBI_JSON_EXPECT_VALUE = 0,
    DYNBI_JSON_EXPECT_NAME,
    DYNBI_JSON_EXPECT_FIRST, /* a name or value, or at once the end */
    DYNBI_JSON_EXPECT_MORE   /* a comma or the end */
} dynbi_json_expect;

typedef struct dynbi_json_reader {
    const char *text;
    size_t length;
    size_t pos;
    const char *error;
    dynbi_json_expect expect;
    uint32_t depth;
    uint64_t is_object[DYNBI_JSON_DEPTH_MAX / 64]; /* a bit for each open one */
} dynbi_json_reader;

static void dynbi_json_start(dynbi_json_reader *reader, const char *text, size_t length)
{
    memset(reader, 0, sizeof *reader);
    reader->text = text;
    reader->length = length;
}

static dynbi_json_kind dynbi_json_bad(dynbi_json_reader *reader, dynbi_json_token *token,
                                      size_t pos, const char *error)
{
    reader->error = error;
    token->kind = DYNBI_JSON_ERROR;
    token->pos = pos;
    return DYNBI_JSON_ERROR;
}

/* Skips white space; returns the character there, 0 at the end (a NUL in the
 * text is no token either). */
static inline char dynbi_json_peek(dynbi_json_reader *reader)
{
    while (reader->pos < reader->length) {
        char c = reader->text[reader->pos];
        if (c != ' ' && c != '\n' && c != '\r' && c != '\t') {
            return c;
        }
        ++reader->pos;
    }
    return 0;
}

static inline int dynbi_json_in_object(const dynbi_json_reader *reader)
{
    uint32_t top = reader->depth - 1;
    return (int)(reader->is_object[top / 64] >> (top % 64) & 1);
}

/* Four hex digits, or -1. */
static int32_t dynbi_json_hex(const char *at, const char *end)
{
    int32_t value = 0;
    int i;
    if (end - at < 4) {
        return -1;
    }
    for (i = 0; i < 4; ++i) {
        char c = at[i];
        if (c >= '0' && c <= '9') {
            value = value * 16 + (c - '0');
        } else if (c >= 'a' && c <= 'f') {
            value = value * 16 + (c - 'a' + 10);
        } else if (c >= 'A' && c <= 'F') {
            value = value * 16 + (c - 'A' + 10);
        } else {
            return -1;
        }
    }
    return value;
}

/* The escape whose backslash is at `at`: returns its size, 0 if it is none. A
 * pair of surrogates is one escape of 12. *code: the character. */
static size_t dynbi_json_escape(const char *at, const char *end, uint32_t *code)
{
    static const char letters[9] = "\"\\/bfnrt";
    static const char meaning[9] = "\"\\/\b\f\n\r\t";
    int32_t high, low;
    size_t i;
    if (end - at < 2) {
        return 0;
    }
    for (i = 0; i < 8; ++i) {
        if (at[1] == letters[i]) {
            *code = (uint32_t)meaning[i];
            return 2;
        }
    }
    if (at[1] != 'u') {
        return 0;
    }
    high = dynbi_json_hex(at + 2, end);
    if (high < 0 || (high >= 0xDC00 && high <= 0xDFFF)) {
        return 0;
    }
    *code = (uint32_t)high;
    if (high < 0xD800 || high > 0xDFFF) {
        return 6;
    }
    if (end - at < 12 || at[6] != '\\' || at[7] != 'u') {
        return 0;
    }
    low = dynbi_json_hex(at + 8, end);
    if (low < 0xDC00 || low > 0xDFFF) {
        return 0;
    }
    *code = 0x10000u + (((uint32_t)high - 0xD800u) << 10) + ((uint32_t)low - 0xDC00u);
    return 12;
}

/* Nonzero if one of eight bytes is a quote, a backslash, below 0x20, or (when
 * asked) above 0x7F. */
static inline uint64_t dynbi_json_special(uint64_t w, uint64_t high_bits)
{
    const uint64_t ones = 0x0101010101010101u, tops = 0x8080808080808080u;
    uint64_t quote = w ^ (ones * '"'), slash = w ^ (ones * '\\');
    return (((quote - ones) & ~quote) | ((slash - ones) & ~slash) |
            ((w - ones * 0x20) & ~w) | (w & high_bits)) &
           tops;
}

/* Reads a string whose quote is at pos. */
static dynbi_json_kind dynbi_json_string_token(dynbi_json_reader *reader,
                                               dynbi_json_token *token, dynbi_json_kind kind)
{
    const char *start = reader->text + reader->pos + 1, *at = start;
    const char *end = reader->text + reader->length;
    token->pos = reader->pos;
    token->has_escapes = 0;
    for (;;) {
        size_t step = 1;
        unsigned char c;
        while (end - at >= 8 && !dynbi_json_special(dynbi_load64((const uint8_t *)at),
                                                    0x8080808080808080u)) {
            at += 8;
        }
        if (at == end) {
            return dynbi_json_bad(reader, token, reader->length, "the string has no end");
        }
        c = (unsigned char)*at;
        if (c == '"') {
            break;
        }
        if (c == '\\') {
            uint32_t code;
            step = dynbi_json_escape(at, end, &code);
            token->has_escapes = 1;
        } else if (c >= 0x80) {
            step = dynbi_utf8_sequence((const uint8_t *)at, (size_t)(end - at));
        } else if (c < 0x20) {
            step = 0;
        }
        if (!step) {
            return dynbi_json_bad(reader, token, (size_t)(at - reader->text),
                                  c == '\\'  ? "an escape is malformed"
                                  : c < 0x20 ? "a control character is not escaped"
                                             : "the text is not UTF-8");
        }
        at += step;
    }
    token->kind = kind;
    token->text = start;
    token->length = (size_t)(at - start);
    reader->pos = (size_t)(at + 1 - reader->text);
    return kind;
}

static int dynbi_json_is_digit(const dynbi_json_reader *reader, size_t pos)
{
    return pos < reader->length && reader->text[pos] >= '0' && reader->text[pos] <= '9';
}

static dynbi_json_kind dynbi_json_number_token(dynbi_json_reader *reader,
                                               dynbi_json_token *token)
{
    size_t at = reader->pos;
    const char *text = reader->text;
    token->is_decimal = 0;
    at += text[at] == '-';
    if (at < reader->length && text[at] == '0') {
        ++at;
    } else {
        if (!dynbi_json_is_digit(reader, at)) {
            return dynbi_json_bad(reader, token, at, "a digit is missing");
        }
        while (dynbi_json_is_digit(reader, at)) {
            ++at;
        }
    }
    if (at < reader->length && text[at] == '.') {
        token->is_decimal = 1;
        if (!dynbi_json_is_digit(reader, ++at)) {
            return dynbi_json_bad(reader, token, at, "a digit is missing");
        }
        while (dynbi_json_is_digit(reader, at)) {
            ++at;
        }
    }
    if (at < reader->length && (text[at] == 'e' || text[at] == 'E')) {
        token->is_decimal = 1;
        ++at;
        at += at < reader->length && (text[at] == '+' || text[at] == '-');
        if (!dynbi_json_is_digit(reader, at)) {
            return dynbi_json_bad(reader, token, at, "a digit is missing");
        }
        while (dynbi_json_is_digit(reader, at)) {
            ++at;
        }
    }
    token->text = text + reader->pos;
    token->length = at - reader->pos;
    token->kind = DYNBI_JSON_NUMBER;
    reader->pos = at;
    return DYNBI_JSON_NUMBER;
}

static dynbi_json_kind dynbi_json_word_token(dynbi_json_reader *reader, dynbi_json_token *token)
{
    const char *at = reader->text + reader->pos;
    const char *word = *at == 't' ? "true" : *at == 'f' ? "false" : *at == 'n' ? "null" : "";
    size_t length = dynbi_length(word);
    if (!length || length > reader->length - reader->pos || memcmp(at, word, length) != 0) {
        return dynbi_json_bad(reader, token, reader->pos, "a value is missing");
    }
    token->kind = *at == 't' ? DYNBI_JSON_TRUE : *at == 'f' ? DYNBI_JSON_FALSE : DYNBI_JSON_NULL;
    token->text = at;
    token->length = length;
    reader->pos += length;
    return token->kind;
}

static dynbi_json_kind dynbi_json_open_token(dynbi_json_reader *reader, dynbi_json_token *token,
                                             int is_object)
{
    uint64_t bit;
    if (reader->depth == DYNBI_JSON_DEPTH_MAX) {
        return dynbi_json_bad(reader, token, reader->pos, "it nests too deep");
    }
    bit = (uint64_t)1 << reader->depth % 64;
    if (is_object) {
        reader->is_object[reader->depth / 64] |= bit;
    } else {
        reader->is_object[reader->depth / 64] &= ~bit;
    }
    ++reader->depth;
    ++reader->pos;
    reader->expect = DYNBI_JSON_EXPECT_FIRST;
    token->kind = is_object ? DYNBI_JSON_OBJECT : DYNBI_JSON_ARRAY;
    return token->kind;
}

static dynbi_json_kind dynbi_json_value_token(dynbi_json_reader *reader, dynbi_json_token *token,
                                              char c)
{
    reader->expect = DYNBI_JSON_EXPECT_MORE;
    if (c == '"') {
        return dynbi_json_string_token(reader, token, DYNBI_JSON_STRING);
    }
    if (c == '{' || c == '[') {
        return dynbi_json_open_token(reader, token, c == '{');
    }
    if (c == '-' || (c >= '0' && c <= '9')) {
        return dynbi_json_number_token(reader, token);
    }
    if (!c) {
        return dynbi_json_bad(reader, token, reader->pos, "a value is missing");
    }
    return dynbi_json_word_token(reader, token);
}

/* Reads the next token. After ERROR the reader is of no more use. */
static dynbi_json_kind dynbi_json_next(dynbi_json_reader *reader, dynbi_json_token *token)
{
    char c = dynbi_json_peek(reader);
    token->pos = reader->pos;
    if (reader->expect == DYNBI_JSON_EXPECT_MORE && !reader->depth) {
        if (reader->pos < reader->length) {
            return dynbi_json_bad(reader, token, reader->pos, "text follows the value");
        }
        token->kind = DYNBI_JSON_END;
        return DYNBI_JSON_END;
    }
    if (reader->expect >= DYNBI_JSON_EXPECT_FIRST) {
        int in_object = dynbi_json_in_object(reader);
        if (c == (in_object ? '}' : ']')) {
            --reader->depth;
            ++reader->pos;
            reader->expect = DYNBI_JSON_EXPECT_MORE;
            token->kind = in_object ? DYNBI_JSON_OBJECT_END : DYNBI_JSON_ARRAY_END;
            return token->kind;
        }
        if (reader->expect == DYNBI_JSON_EXPECT_MORE) {
            if (c != ',') {
                return dynbi_json_bad(reader, token, reader->pos, "a comma or an end is missing");
            }
            ++reader->pos;
            c = dynbi_json_peek(reader);
            token->pos = reader->pos;
        }
        reader->expect = in_object ? DYNBI_JSON_EXPECT_NAME : DYNBI_JSON_EXPECT_VALUE;
    }
    if (reader->expect == DYNBI_JSON_EXPECT_VALUE) {
        return dynbi_json_value_token(reader, token, c);
    }
    if (c != '"') {
        return dynbi_json_bad(reader, token, reader->pos, "a name is missing");
    }
    if (dynbi_json_string_token(reader, token, DYNBI_JSON_NAME) == DYNBI_JSON_NAME) {
        if (dynbi_json_peek(reader) != ':') {
            return dynbi_json_bad(reader, token, reader->pos, "a colon is missing");
        }
        ++reader->pos;
        reader->expect = DYNBI_JSON_EXPECT_VALUE;
    }
    return token->kind;
}

/* Skips the value whose first token was just read. Returns the kind of its last
 * token, or ERROR. */
static dynbi_json_kind dynbi_json_skip(dynbi_json_reader *reader, dynbi_json_token *token)
{
    uint32_t depth = reader->depth;
    if (token->kind != DYNBI_JSON_OBJECT && token->kind != DYNBI_JSON_ARRAY) {
        return token->kind;
    }
    while (dynbi_json_next(reader, token) && reader->depth >= depth) {
    }
    return token->kind;
}

/* Writes a NAME or STRING without its escapes; returns the length, which is at
 * most the token's. */
static size_t dynbi_json_decode(const dynbi_json_token *token, uint8_t *to)
{
    const char *at = token->text, *end = at + token->length;
    uint8_t *out = to;
    while (at < end) {
        uint32_t code = 0;
        if (*at != '\\') {
            *out++ = (uint8_t)*at++;
            continue;
        }
        at += dynbi_json_escape(at, end, &code);
        if (code < 0x80) {
            *out++ = (uint8_t)code;
            continue;
        }
        if (code < 0x800) {
            *out++ = (uint8_t)(0xC0 | code >> 6);
        } else {
            if (code < 0x10000) {
                *out++ = (uint8_t)(0xE0 | code >> 12);
            } else {
                *out++ = (uint8_t)(0xF0 | code >> 18);
                *out++ = (uint8_t)(0x80 | (code >> 12 & 0x3F));
            }
            *out++ = (uint8_t)(0x80 | (code >> 6 & 0x3F));
        }
        *out++ = (uint8_t)(0x80 | (code & 0x3F));
    }
    return (size_t)(out - to);
}

/* ---- items: what AWS says to the wrong kind of value ---- */

typedef enum dynbi_json_class {
    DYNBI_JSON_CLASS_STRING = 0,
    DYNBI_JSON_CLASS_BOOLEAN,
    DYNBI_JSON_CLASS_BLOB,
    DYNBI_JSON_CLASS_LIST,
    DYNBI_JSON_CLASS_MAP,
    DYNBI_JSON_CLASS_VALUE /* an AttributeValue in a list or map */
} dynbi_json_class;

static const char *dynbi_json_array_text(dynbi_json_class wanted)
{
    switch (wanted) {
    case DYNBI_JSON_CLASS_STRING:
        return "Unrecognized collection type class java.lang.String";
    case DYNBI_JSON_CLASS_BOOLEAN:
        return "Unrecognized collection type class java.lang.Boolean";
    case DYNBI_JSON_CLASS_BLOB:
        return "Unrecognized collection type class java.nio.ByteBuffer";
    case DYNBI_JSON_CLASS_MAP:
        return "Unrecognized collection type java.util.Map<java.lang.String, "
               "com.amazonaws.dynamodb.v20120810.AttributeValue>";
    case DYNBI_JSON_CLASS_LIST:
    case DYNBI_JSON_CLASS_VALUE:
    default:
        return "Unrecognized collection type class "
               "com.amazonaws.dynamodb.v20120810.AttributeValue";
    }
}

/* The message of contract 4.4 for a token where that class was wanted; the
 * token is not of it. */
static const char *dynbi_json_class_text(dynbi_json_class wanted, const dynbi_json_token *token)
{
    int is_boolean = wanted == DYNBI_JSON_CLASS_BOOLEAN;
    if (wanted == DYNBI_JSON_CLASS_VALUE && token->kind != DYNBI_JSON_ARRAY) {
        return "Unexpected value type in payload";
    }
    if (token->kind == DYNBI_JSON_ARRAY) {
        return dynbi_json_array_text(wanted);
    }
    if (token->kind == DYNBI_JSON_OBJECT) {
        return "Start of structure or map found where not expected";
    }
    if (wanted == DYNBI_JSON_CLASS_LIST || wanted == DYNBI_JSON_CLASS_MAP) {
        return "Unexpected field type";
    }
    if (wanted == DYNBI_JSON_CLASS_BLOB) {
        return "only base-64-encoded strings are convertible to bytes";
    }
    if (token->kind == DYNBI_JSON_NUMBER) {
        if (token->is_decimal) {
            return is_boolean ? "DECIMAL_VALUE cannot be converted to Boolean"
                              : "DECIMAL_VALUE cannot be converted to String";
        }
        return is_boolean ? "NUMBER_VALUE cannot be converted to Boolean"
                          : "NUMBER_VALUE cannot be converted to String";
    }
    if (is_boolean) {
        return "Unexpected token received from parser";
    }
    return token->kind == DYNBI_JSON_TRUE ? "TRUE_VALUE cannot be converted to String"
                                          : "FALSE_VALUE cannot be converted to String";
}

/* ---- items: reading ---- */

/* One open container: the item, an M or an L, and the value in it that is being
 * read. The names are as in the text, for the path. */
typedef struct dynbi_json_level {
    dynbi_json_token name; /* of the attribute, in maps */
    size_t start_pos;      /* of the container */
    size_t value_pos;      /* of the attribute value */
    uint64_t index;        /* of the element, in lists */
    uint32_t tag_count;    /* types met in the value */
    uint8_t type;          /* DYNB_M or DYNB_L */
} dynbi_json_level;

typedef struct dynbi_json_item {
    dynbi_json_reader *reader;
    dynb_builder *builder;
    dynb_error *err;
    dynbi_buffer name;  /* holds a name without its escapes */
    dynbi_buffer value; /* likewise a string, or bytes */
    dynbi_json_level level[DYNB_NESTING_MAX + 1];
    uint32_t level_count;
    uint64_t set_index;
    uint8_t set_type; /* of the set being read, or NONE */
    int in_value;     /* inside the top level's attribute value */
    int has_failed; /* the builder, at a place that has been noted */
} dynbi_json_item;

static void dynbi_json_item_path(const dynbi_json_item *item, dynb_error *to)
{
    dynbi_path path;
    uint32_t i;
    path.to = to->path;
    path.used = 0;
    path.capacity = sizeof to->path;
    for (i = 0; i < item->level_count; ++i) {
        const dynbi_json_level *level = &item->level[i];
        if (level->type == DYNB_L || level->name.text) {
            dynbi_path_step(&path, level->type, level->name.text, level->name.length,
                            level->index);
        }
    }
    if (item->set_type) {
        dynbi_path_step(&path, item->set_type, NULL, 0, item->set_index);
    }
}

/* The text is not what the service reads: reported at once. */
static dynb_rc dynbi_json_item_fail(dynbi_json_item *item, size_t pos, const char *message)
{
    (void)dynbi_fail_at(item->err, DYNB_SERIALIZATION, pos, "%s", message);
    if (item->err) {
        dynbi_json_item_path(item, item->err);
    }
    return DYNB_SERIALIZATION;
}

static dynb_rc dynbi_json_item_malformed(dynbi_json_item *item, const dynbi_json_token *token)
{
    char message[128];
    (void)dynbi_format(message, sizeof message, "the JSON text is malformed: %s",
                       item->reader->error);
    return dynbi_json_item_fail(item, token->pos, message);
}

static dynb_rc dynbi_json_item_wrong(dynbi_json_item *item, dynbi_json_class wanted,
                                     const dynbi_json_token *token)
{
    if (token->kind == DYNBI_JSON_ERROR) {
        return dynbi_json_item_malformed(item, token);
    }
    return dynbi_json_item_fail(item, token->pos, dynbi_json_class_text(wanted, token));
}

/* Gives the builder's first failure, if it is new, its place in the text.
 * Reading goes on: a SERIALIZATION further on has precedence. */
static void dynbi_json_item_note(dynbi_json_item *item, size_t pos)
{
    if (item->builder->error.code && !item->has_failed) {
        item->has_failed = 1;
        item->builder->error.pos = pos;
        dynbi_json_item_path(item, &item->builder->error);
    }
}

static void dynbi_json_item_invalid(dynbi_json_item *item, size_t pos, const char *message)
{
    if (!item->builder->error.code) {
        (void)dynbi_fail(&item->builder->error, DYNB_VALIDATION, "%s", message);
        dynbi_json_item_note(item, pos);
    }
}

/* The characters of a NAME or STRING, decoded into `buffer` if need be. */
static const char *dynbi_json_item_text(dynbi_json_item *item, const dynbi_json_token *token,
                                        dynbi_buffer *buffer, size_t *length)
{
    *length = token->length;
    if (!token->has_escapes) {
        return token->text;
    }
    buffer->used_bytes = 0;
    if (!dynbi_buffer_reserve(buffer, token->length)) {
        if (!item->builder->error.code) {
            (void)dynbi_fail(&item->builder->error, DYNB_NO_MEMORY, "no memory for the item");
        }
        *length = 0;
        return "";
    }
    *length = dynbi_json_decode(token, buffer->bytes);
    return (const char *)buffer->bytes;
}

/* The name of what is being added: NULL in a list. */
static const char *dynbi_json_item_name(dynbi_json_item *item, size_t *length)
{
    const dynbi_json_level *level = &item->level[item->level_count - 1];
    if (level->type == DYNB_L) {
        *length = 0;
        return NULL;
    }
    return dynbi_json_item_text(item, &level->name, &item->name, length);
}

/* Base64, refused with AWS's messages. */
static dynb_rc dynbi_json_item_binary(dynbi_json_item *item, const dynbi_json_token *token,
                                      const char *name, size_t name_length)
{
    char message[128];
    size_t length, size, bad_pos;
    const char *text = dynbi_json_item_text(item, token, &item->value, &length);
    if (!token->has_escapes) {
        item->value.used_bytes = 0;
        if (!dynbi_buffer_reserve(&item->value, length)) {
            if (!item->builder->error.code) {
                (void)dynbi_fail(&item->builder->error, DYNB_NO_MEMORY, "no memory for the item");
            }
            return DYNB_OK;
        }
    }
    switch (dynbi_base64_decode(text, length, item->value.bytes, &size, &bad_pos)) {
    case DYNBI_BASE64_OK:
        dynbi_build_bytes(item->builder, name, name_length, DYNB_B, item->value.bytes, size);
        return DYNB_OK;
    case DYNBI_BASE64_LENGTH:
        (void)dynbi_format(message, sizeof message,
                           "Base64 encoded length is expected a multiple of 4 bytes but found: "
                           "%u",
                           (uint64_t)length);
        return dynbi_json_item_fail(item, token->pos, message);
    case DYNBI_BASE64_CHAR:
        length = text[bad_pos] & 0x80 ? dynbi_utf8_sequence((const uint8_t *)text + bad_pos,
                                                            length - bad_pos)
                                      : 1;
        (void)dynbi_format(message, sizeof message, "Invalid Base64 character: '%t'",
                           text + bad_pos, length);
        return dynbi_json_item_fail(item, token->pos, message);
    case DYNBI_BASE64_LAST:
    default:
        return dynbi_json_item_fail(item, token->pos,
                                    "Invalid last non-pad Base64 character dectected");
    }
}

/* An S, N or B, also as an element of a set (name NULL, as in lists). */
static dynb_rc dynbi_json_item_run(dynbi_json_item *item, uint8_t type,
                                   const dynbi_json_token *token, const char *name,
                                   size_t name_length)
{
    const char *text;
    size_t length;
    if (token->kind != DYNBI_JSON_STRING) {
        return dynbi_json_item_wrong(
            item, type == DYNB_B ? DYNBI_JSON_CLASS_BLOB : DYNBI_JSON_CLASS_STRING, token);
    }
    if (type == DYNB_B) {
        return dynbi_json_item_binary(item, token, name, name_length);
    }
    text = dynbi_json_item_text(item, token, &item->value, &length);
    if (type == DYNB_N) {
        dynbi_build_number(item->builder, name, name_length, text, length);
    } else {
        dynbi_build_bytes(item->builder, name, name_length, DYNB_S, text, length);
    }
    return DYNB_OK;
}

/* AWS takes some words for booleans, in any case. 1, 0, or -1 for none. */
static int dynbi_json_word_bool(const char *text, size_t length)
{
    static const char words[6][6] = {"false", "true", "0", "1", "no", "yes"};
    int i;
    for (i = 0; i < 6; ++i) {
        size_t k = 0;
        while (k < length && words[i][k] &&
               (text[k] == words[i][k] || (text[k] >= 'A' && text[k] <= 'Z' &&
                                           text[k] - 'A' + 'a' == words[i][k]))) {
            ++k;
        }
        if (k == length && !words[i][k]) {
            return i & 1;
        }
    }
    return -1;
}

/* A BOOL or NULL. */
static dynb_rc dynbi_json_item_bool(dynbi_json_item *item, uint8_t type,
                                    const dynbi_json_token *token, const char *name,
                                    size_t name_length)
{
    int value = token->kind == DYNBI_JSON_TRUE ? 1 : token->kind == DYNBI_JSON_FALSE ? 0 : -1;
    if (token->kind == DYNBI_JSON_STRING) {
        size_t length;
        const char *text = dynbi_json_item_text(item, token, &item->value, &length);
        value = dynbi_json_word_bool(text, length);
    }
    if (value < 0) {
        return dynbi_json_item_wrong(item, DYNBI_JSON_CLASS_BOOLEAN, token);
    }
    if (type == DYNB_NULL && !value) {
        dynbi_json_item_invalid(item, token->pos,
                                "One or more parameter values were invalid: Null attribute "
                                "value types must have the value of true");
        return DYNB_OK;
    }
    dynbi_build_small(item->builder, name, name_length, type == DYNB_NULL ? -1 : value);
    return DYNB_OK;
}

/* The elements of a set whose bracket was read, up to its end. */
static dynb_rc dynbi_json_item_elements(dynbi_json_item *item, dynbi_json_token *token)
{
    uint8_t type = dynbi_element_type(item->set_type);
    while (dynbi_json_next(item->reader, token) != DYNBI_JSON_ARRAY_END) {
        if (token->kind == DYNBI_JSON_NULL) {
            dynbi_json_item_invalid(item, token->pos,
                                    "One or more parameter values were invalid: a set may not "
                                    "have a null as a member");
        } else {
            dynb_rc rc = dynbi_json_item_run(item, type, token, NULL, 0);
            if (rc) {
                return rc;
            }
            dynbi_json_item_note(item, token->pos);
        }
        ++item->set_index;
    }
    return DYNB_OK;
}

/* A set, whole. */
static dynb_rc dynbi_json_item_set(dynbi_json_item *item, uint8_t type, dynbi_json_token *token,
                                   const char *name, size_t name_length)
{
    size_t start_pos = token->pos;
    dynb_rc rc;
    if (token->kind != DYNBI_JSON_ARRAY) {
        return dynbi_json_item_wrong(item, DYNBI_JSON_CLASS_LIST, token);
    }
    dynbi_build_open(item->builder, name, name_length, type);
    dynbi_json_item_note(item, start_pos);
    item->set_type = type;
    item->set_index = 0;
    rc = dynbi_json_item_elements(item, token);
    item->set_type = DYNB_TYPE_NONE;
    if (!rc) {
        dynb_close_container(item->builder);
        dynbi_json_item_note(item, start_pos);
    }
    return rc;
}

/* Opens an M or L; its values come one by one. */
static dynb_rc dynbi_json_item_open(dynbi_json_item *item, uint8_t type,
                                    const dynbi_json_token *token, const char *name,
                                    size_t name_length)
{
    int is_map = type == DYNB_M;
    dynbi_json_level *level;
    if (token->kind != (is_map ? DYNBI_JSON_OBJECT : DYNBI_JSON_ARRAY)) {
        return dynbi_json_item_wrong(
            item, is_map ? DYNBI_JSON_CLASS_MAP : DYNBI_JSON_CLASS_LIST, token);
    }
    dynbi_build_open(item->builder, name, name_length, type);
    DYNBI_ASSERT(item->level_count <= DYNB_NESTING_MAX);
    level = &item->level[item->level_count++];
    memset(level, 0, sizeof *level);
    level->start_pos = token->pos;
    level->type = type;
    item->in_value = 0;
    return DYNB_OK;
}

static uint8_t dynbi_json_tag(const char *text, size_t length)
{
    uint8_t type;
    for (type = DYNB_S; type <= DYNB_M; ++type) {
        const char *name = dynbi_type_name(type);
        if (dynbi_length(name) == length && !memcmp(name, text, length)) {
            return type;
        }
    }
    return DYNB_TYPE_NONE;
}

/* Reads what follows a tag inside an attribute value. */
static dynb_rc dynbi_json_item_tagged(dynbi_json_item *item, const dynbi_json_token *tag)
{
    dynbi_json_level *level = &item->level[item->level_count - 1];
    dynbi_json_token token;
    size_t name_length, length;
    uint32_t level_count = item->level_count;
    const char *name, *text = dynbi_json_item_text(item, tag, &item->value, &length);
    uint8_t type = dynbi_json_tag(text, length);
    dynb_rc rc;
    dynbi_json_next(item->reader, &token);
    if (type == DYNB_TYPE_NONE || token.kind == DYNBI_JSON_NULL) {
        /* members that are unknown or null count as absent */
        return dynbi_json_skip(item->reader, &token) ? DYNB_OK
                                                     : dynbi_json_item_malformed(item, &token);
    }
    if (++level->tag_count == 2) {
        dynbi_json_item_invalid(item, tag->pos,
                                "Supplied AttributeValue has more than one datatypes set, must "
                                "contain exactly one of the supported datatypes");
    }
    name = dynbi_json_item_name(item, &name_length);
    if (type <= DYNB_B) {
        rc = dynbi_json_item_run(item, type, &token, name, name_length);
    } else if (type <= DYNB_NULL) {
        rc = dynbi_json_item_bool(item, type, &token, name, name_length);
    } else if (type <= DYNB_BS) {
        rc = dynbi_json_item_set(item, type, &token, name, name_length);
    } else {
        rc = dynbi_json_item_open(item, type, &token, name, name_length);
    }
    if (!rc && item->builder->error.code && !item->has_failed) {
        uint32_t now = item->level_count;
        item->level_count = level_count; /* the place is the container's own */
        dynbi_json_item_note(item, token.pos);
        item->level_count = now;
    }
    return rc;
}

/* Where the name stands that the container at start_pos has twice: the builder
 * left its ordinal. */
static size_t dynbi_json_item_ordinal(const dynbi_json_item *item, size_t start_pos,
                                      uint32_t ordinal, dynbi_json_token *token)
{
    dynbi_json_reader reader;
    uint32_t count = 0;
    dynbi_json_start(&reader, item->reader->text, item->reader->length);
    reader.pos = start_pos;
    dynbi_json_next(&reader, token);
    while (dynbi_json_next(&reader, token) == DYNBI_JSON_NAME && count < ordinal) {
        ++count;
        dynbi_json_next(&reader, token);
        dynbi_json_skip(&reader, token);
    }
    return token->pos;
}

/* Closes the top level's container. */
static void dynbi_json_item_close(dynbi_json_item *item)
{
    dynbi_json_level *level = &item->level[item->level_count - 1];
    dynb_builder *builder = item->builder;
    if (!builder->error.code) {
        uint32_t depth = builder->open_count - 1;
        size_t pos = level->start_pos;
        if (depth) {
            dynb_close_container(builder);
        } else {
            size_t count;
            (void)dynbi_build_sort(builder, &count);
        }
        if (builder->error.code && builder->open_pos[depth] >= DYNBI_BUILD_ORDINAL) {
            pos = dynbi_json_item_ordinal(
                item, pos, builder->open_pos[depth] - DYNBI_BUILD_ORDINAL, &level->name);
        }
        dynbi_json_item_note(item, pos);
    }
    --item->level_count;
    item->in_value = 1;
}

/* A step between attribute values: the next one, or the container's end. */
static dynb_rc dynbi_json_item_between(dynbi_json_item *item, dynbi_json_token *token)
{
    dynbi_json_level *level = &item->level[item->level_count - 1];
    if (token->kind == DYNBI_JSON_OBJECT_END || token->kind == DYNBI_JSON_ARRAY_END) {
        dynbi_json_item_close(item);
        return DYNB_OK;
    }
    if (token->kind == DYNBI_JSON_NAME) {
        level->name = *token;
        dynbi_json_next(item->reader, token);
    }
    level->value_pos = token->pos;
    level->tag_count = 0;
    if (token->kind == DYNBI_JSON_NULL) {
        dynbi_json_item_invalid(item, token->pos,
                                "Supplied AttributeValue is empty, must contain exactly one of "
                                "the supported datatypes");
        ++level->index;
        return DYNB_OK;
    }
    if (token->kind != DYNBI_JSON_OBJECT) {
        return dynbi_json_item_wrong(item, DYNBI_JSON_CLASS_VALUE, token);
    }
    if (item->level_count > DYNB_NESTING_MAX) {
        dynbi_json_item_invalid(item, token->pos, dynbi_text_nesting());
        return DYNB_VALIDATION;
    }
    item->in_value = 1;
    return DYNB_OK;
}

/* A step inside an attribute value: its tag, or its end. */
static dynb_rc dynbi_json_item_inside(dynbi_json_item *item, const dynbi_json_token *token)
{
    dynbi_json_level *level = &item->level[item->level_count - 1];
    if (token->kind == DYNBI_JSON_NAME) {
        return dynbi_json_item_tagged(item, token);
    }
    if (token->kind == DYNBI_JSON_ERROR) {
        return dynbi_json_item_malformed(item, token);
    }
    DYNBI_ASSERT(token->kind == DYNBI_JSON_OBJECT_END);
    if (!level->tag_count) {
        dynbi_json_item_invalid(item, level->value_pos,
                                "Supplied AttributeValue is empty, must contain exactly one of "
                                "the supported datatypes");
    }
    ++level->index;
    item->in_value = 0;
    return DYNB_OK;
}

/* Reads attributes into the builder, which then holds them or a VALIDATION.
 * Returns SERIALIZATION, or VALIDATION where reading on is not possible. */
static dynb_rc dynbi_json_item_attributes(dynbi_json_item *item)
{
    dynbi_json_token token;
    dynb_rc rc = DYNB_OK;
    dynbi_json_next(item->reader, &token);
    if (token.kind != DYNBI_JSON_OBJECT) {
        return dynbi_json_item_wrong(item, DYNBI_JSON_CLASS_MAP, &token);
    }
    memset(&item->level[0], 0, sizeof item->level[0]);
    item->level[0].start_pos = token.pos;
    item->level[0].type = DYNB_M;
    item->level_count = 1;
    while (!rc && item->level_count) {
        dynbi_json_next(item->reader, &token);
        if (item->in_value) {
            rc = dynbi_json_item_inside(item, &token);
        } else {
            rc = dynbi_json_item_between(item, &token);
        }
    }
    return rc;
}

/* Reads the item that is the reader's next value; to_end: and its last. */
static dynb_rc dynbi_json_read_item(dynbi_json_reader *reader, dynb_builder *builder, int to_end,
                                    dynb_item *out, dynb_error *err)
{
    dynbi_json_item item;
    dynbi_json_token token;
    dynb_rc rc;
    out->bytes = NULL;
    out->size_bytes = 0;
    dynb_builder_begin(builder);
    item.reader = reader;
    item.builder = builder;
    item.err = err;
    memset(&item.name, 0, sizeof item.name);
    item.name.allocator = &builder->allocator;
    item.value = item.name;
    item.level_count = 0;
    item.set_type = DYNB_TYPE_NONE;
    item.set_index = 0;
    item.in_value = 0;
    item.has_failed = 0;
    rc = dynbi_json_item_attributes(&item);
    if (!rc && to_end && dynbi_json_next(reader, &token) != DYNBI_JSON_END) {
        rc = dynbi_json_item_malformed(&item, &token);
    }
    dynbi_buffer_free(&item.name);
    dynbi_buffer_free(&item.value);
    if (rc == DYNB_SERIALIZATION) {
        return rc;
    }
    return dynb_builder_finish(builder, out, err);
}

DYNB_API dynb_rc dynb_item_from_json(dynb_builder *builder, const char *text, size_t length,
                                     dynb_item *out, dynb_error *err)
{
    dynbi_json_reader reader;
    dynbi_json_start(&reader, text, length);
    return dynbi_json_read_item(&reader, builder, 1, out, err);
}

/* ---- writer ---- */

/* Appends to a result whose memory may move; the first failure sticks. Commas
 * come by themselves. */
typedef struct dynbi_json_writer {
    dynb_result *result;
    dynb_error *err;
    dynb_rc rc;
    int needs_comma;
} dynbi_json_writer;

/* Where the next `bytes` go; NULL when there is no memory. */
static uint8_t *dynbi_json_room(dynbi_json_writer *writer, size_t bytes)
{
    dynb_result *result = writer->result;
    if (writer->rc) {
        return NULL;
    }
    if (bytes > result->capacity_bytes - result->used_bytes) {
        size_t capacity = result->capacity_bytes + bytes;
        if (dynbi_add_overflows(result->capacity_bytes, bytes)) {
            capacity = (size_t)-1;
        } else if (!dynbi_mul_overflows(capacity, 2)) {
            capacity *= 2;
        }
        writer->rc = dynbi_result_grow(result, capacity, writer->err);
        if (writer->rc) {
            return NULL;
        }
    }
    return result->memory + result->used_bytes;
}

static void dynbi_json_put(dynbi_json_writer *writer, const char *text, size_t length)
{
    uint8_t *to = dynbi_json_room(writer, length);
    if (to) {
        memcpy(to, text, length);
        writer->result->used_bytes += length;
    }
}

/* One character: a third of what is written, and no copying to be called. */
static void dynbi_json_put_char(dynbi_json_writer *writer, char c)
{
    uint8_t *to = dynbi_json_room(writer, 1);
    if (to) {
        *to = (uint8_t)c;
        ++writer->result->used_bytes;
    }
}

/* What goes in front of a value or name. */
static void dynbi_json_comma(dynbi_json_writer *writer)
{
    if (writer->needs_comma) {
        dynbi_json_put_char(writer, ',');
    }
    writer->needs_comma = 1;
}

static void dynbi_json_literal(dynbi_json_writer *writer, const char *text, size_t length)
{
    dynbi_json_comma(writer);
    dynbi_json_put(writer, text, length);
}

static void dynbi_json_open(dynbi_json_writer *writer, char bracket)
{
    dynbi_json_comma(writer);
    dynbi_json_put_char(writer, bracket);
    writer->needs_comma = 0;
}

static void dynbi_json_close(dynbi_json_writer *writer, char bracket)
{
    dynbi_json_put_char(writer, bracket);
    writer->needs_comma = 1;
}

/* Writes one character that cannot stand for itself, in six bytes at most. */
static size_t dynbi_json_put_escape(uint8_t *to, uint8_t c)
{
    static const char named[16] = "\0\0\0\0\0\0\0\0btn\0fr";
    static const char digits[17] = "0123456789abcdef";
    to[0] = '\\';
    if (c >= 0x20) {
        to[1] = c;
        return 2;
    }
    if (c < 14 && named[c]) {
        to[1] = (uint8_t)named[c];
        return 2;
    }
    to[1] = 'u';
    to[2] = '0';
    to[3] = '0';
    to[4] = (uint8_t)digits[c >> 4];
    to[5] = (uint8_t)digits[c & 15];
    return 6;
}

static void dynbi_json_string(dynbi_json_writer *writer, const char *text, size_t length)
{
    const uint8_t *from = (const uint8_t *)text;
    size_t i = 0, run = 0;
    dynbi_json_comma(writer);
    dynbi_json_put_char(writer, '"');
    while (i < length) {
        uint8_t *to;
        if (length - i >= 8 && !dynbi_json_special(dynbi_load64(from + i), 0)) {
            i += 8;
            continue;
        }
        if (from[i] >= 0x20 && from[i] != '"' && from[i] != '\\') {
            ++i;
            continue;
        }
        dynbi_json_put(writer, text + run, i - run);
        to = dynbi_json_room(writer, 6);
        if (to) {
            writer->result->used_bytes += dynbi_json_put_escape(to, from[i]);
        }
        run = ++i;
    }
    if (length > run) {
        dynbi_json_put(writer, text + run, length - run);
    }
    dynbi_json_put_char(writer, '"');
}

static void dynbi_json_name(dynbi_json_writer *writer, const char *text, size_t length)
{
    dynbi_json_string(writer, text, length);
    dynbi_json_put_char(writer, ':');
    writer->needs_comma = 0;
}

/* ---- items: writing ---- */

/* An S, N or B as a JSON string. */
static void dynbi_json_write_run(dynbi_json_writer *writer, dynb_value value)
{
    char number[DYNB_NUMBER_TEXT_SIZE];
    const char *text;
    size_t length;
    uint8_t *to;
    if (value.type == DYNB_N) {
        length = dynb_value_number(value, number);
        dynbi_json_string(writer, number, length);
        return;
    }
    text = dynb_value_string(value, &length);
    if (value.type == DYNB_S) {
        dynbi_json_string(writer, text, length);
        return;
    }
    dynbi_json_literal(writer, "\"", 1);
    to = dynbi_json_room(writer, dynbi_base64_size(length));
    if (to) {
        const uint8_t *bytes = value.bytes + value.size_bytes - length;
        writer->result->used_bytes += dynbi_base64_encode((char *)to, bytes, length);
    }
    dynbi_json_put(writer, "\"", 1);
}

/* The inside of an attribute value that is no container. */
static void dynbi_json_write_scalar(dynbi_json_writer *writer, dynb_value value)
{
    if (value.type == DYNB_BOOL && !dynb_value_bool(value)) {
        dynbi_json_literal(writer, "false", 5);
    } else if (value.type == DYNB_BOOL || value.type == DYNB_NULL) {
        dynbi_json_literal(writer, "true", 4);
    } else {
        dynbi_json_write_run(writer, value);
    }
}

/* Writes a checked item as an object. */
static void dynbi_json_write_item(dynbi_json_writer *writer, dynb_item item)
{
    dynb_iterator stack[DYNB_NESTING_MAX + 1];
    uint8_t kinds[DYNB_NESTING_MAX + 1];
    uint32_t depth = 0;
    stack[0] = dynb_item_iterate(item);
    kinds[0] = DYNB_M;
    dynbi_json_open(writer, '{');
    for (;;) {
        const char *name, *tag;
        size_t name_length;
        dynb_value value;
        if (!dynb_next(&stack[depth], &name, &name_length, &value)) {
            dynbi_json_close(writer, kinds[depth] == DYNB_M ? '}' : ']');
            if (!depth) {
                return;
            }
            dynbi_json_close(writer, '}'); /* of the attribute value */
            --depth;
            continue;
        }
        if (dynbi_is_set(kinds[depth])) {
            dynbi_json_write_run(writer, value);
            continue;
        }
        if (kinds[depth] == DYNB_M) {
            dynbi_json_name(writer, name, name_length);
        }
        tag = dynbi_type_name((uint8_t)value.type);
        dynbi_json_open(writer, '{');
        dynbi_json_name(writer, tag, dynbi_length(tag));
        if (value.type < DYNB_SS) {
            dynbi_json_write_scalar(writer, value);
            dynbi_json_close(writer, '}');
            continue;
        }
        dynbi_json_open(writer, value.type == DYNB_M ? '{' : '[');
        DYNBI_ASSERT(depth < DYNB_NESTING_MAX);
        ++depth;
        stack[depth] = dynb_value_iterate(value);
        kinds[depth] = (uint8_t)value.type;
    }
}

DYNB_API dynb_rc dynb_item_to_json(dynb_item item, dynb_result *result, const char **text,
                                   size_t *length, dynb_error *err)
{
    dynbi_json_writer writer;
    dynb_rc rc;
    *text = NULL;
    *length = 0;
    rc = dynb_item_check(item, err);
    if (!rc) {
        rc = dynbi_result_reserve(result, &result->allocator, 2 * (size_t)item.size_bytes + 64,
                                  err);
    }
    if (rc) {
        return rc;
    }
    writer.result = result;
    writer.err = err;
    writer.rc = DYNB_OK;
    writer.needs_comma = 0;
    dynbi_json_write_item(&writer, item);
    dynbi_json_put(&writer, "", 1);
    if (writer.rc) {
        return writer.rc;
    }
    *text = (const char *)result->memory;
    *length = result->used_bytes - 1;
    return DYNB_OK;
}

/* ===========================================================================
 * 16 DEVICE
 *
 * The bytes below everything: the built-in RAM and file devices, the handle's
 * guarded access to its device (disk), and the reader that fetches nodes.
 *
 * A disk fails once and for all: after a write or a sync that did not return
 * DYNB_OK nothing is written again, because what the device holds is unknown
 * and a second sync may claim success for data that is gone.
 *
 * A reader lends a range of pages, by the device's own memory where it lends
 * some, else from a small set-associative cache:
 *
 *     page -> set = hash(page) -> [way 0][way 1][way 2][way 3]
 *
 * A lent range is pinned until it is given back; when all ways of a set are
 * pinned, or the range is larger than a way, it is read into memory of its own
 * (a spill). So nothing can be evicted under a reader, however small the cache.
 * The handle's reader is used under the lock, the builder's own without it.
 *
 * Needs: UTIL, CODEC   Used by: PAGES, TREE, LOG, STORE
 * Exports: dynb_ram_device_open, dynb_file_device_open, dynbi_disk_*,
 *          dynbi_reader_*
 * On error: IO_FAILED or NO_SPACE with the byte position; the disk sticks.
 * ======================================================================== */

#if !defined(DYNBACKUP_NO_FILE) && !defined(_WIN32)
#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <time.h>
#include <unistd.h>
#if defined(__GLIBC__) && !defined(__USE_XOPEN2K8)
#error "dynbackup.h needs POSIX: include it first, or compile with -D_POSIX_C_SOURCE=200809L"
#endif
#define DYNBI_POSIX 1
#elif !defined(DYNBACKUP_NO_FILE)
#ifndef WIN32_LEAN_AND_MEAN
#define WIN32_LEAN_AND_MEAN
#endif
#ifndef NOMINMAX
#define NOMINMAX
#endif
#include <windows.h>
#define DYNBI_WINDOWS 1
#endif

/* --- RAM device --- */

/* Blocks that never move, so that other threads may read while it grows: the
 * first holds block_bytes, each later one as much as all before it. */
#define DYNBI_RAM_BLOCKS 40u
#define DYNBI_RAM_BLOCK_BYTES 65536u

typedef struct dynbi_ram {
    dynb_allocator allocator;
    uint64_t block_bytes;
    uint64_t size_bytes;
    uint8_t *blocks[DYNBI_RAM_BLOCKS];
} dynbi_ram;

static uint64_t dynbi_ram_block_first(const dynbi_ram *ram, uint32_t index)
{
    return index ? ram->block_bytes << (index - 1) : 0;
}

static uint64_t dynbi_ram_block_size(const dynbi_ram *ram, uint32_t index)
{
    return ram->block_bytes << (index ? index - 1 : 0);
}

/* Memory of pos, and how much follows it in a row; NULL: there is none. */
static uint8_t *dynbi_ram_at(const dynbi_ram *ram, uint64_t pos, uint64_t *row)
{
    uint32_t index = 0;
    while (index < DYNBI_RAM_BLOCKS &&
           pos >= dynbi_ram_block_first(ram, index) + dynbi_ram_block_size(ram, index))
        ++index;
    if (index == DYNBI_RAM_BLOCKS || !ram->blocks[index])
        return NULL;
    pos -= dynbi_ram_block_first(ram, index);
    *row = dynbi_ram_block_size(ram, index) - pos;
    return ram->blocks[index] + (size_t)pos;
}

static dynb_rc dynbi_ram_read(void *ctx, uint64_t pos, void *to, size_t size)
{
    uint8_t *at = (uint8_t *)to;
    while (size > 0) {
        uint64_t row = 0;
        const uint8_t *from = dynbi_ram_at((const dynbi_ram *)ctx, pos, &row);
        size_t piece = row < size ? (size_t)row : size;
        if (!from)
            return DYNB_IO_FAILED;
        memcpy(at, from, piece);
        at += piece;
        pos += piece;
        size -= piece;
    }
    return DYNB_OK;
}

static dynb_rc dynbi_ram_write(void *ctx, uint64_t pos, const void *from, size_t size)
{
    const uint8_t *at = (const uint8_t *)from;
    while (size > 0) {
        uint64_t row = 0;
        uint8_t *to = dynbi_ram_at((const dynbi_ram *)ctx, pos, &row);
        size_t piece = row < size ? (size_t)row : size;
        if (!to)
            return DYNB_IO_FAILED;
        memcpy(to, at, piece);
        at += piece;
        pos += piece;
        size -= piece;
    }
    return DYNB_OK;
}

static void *dynbi_ram_write_map(void *ctx, uint64_t pos, size_t size)
{
    uint64_t row = 0;
    uint8_t *at = dynbi_ram_at((const dynbi_ram *)ctx, pos, &row);
    return row >= size ? at : NULL;
}

static const void *dynbi_ram_map(void *ctx, uint64_t pos, size_t size)
{
    return dynbi_ram_write_map(ctx, pos, size);
}

static dynb_rc dynbi_ram_sync(void *ctx)
{
    (void)ctx;
    return DYNB_OK;
}

static dynb_rc dynbi_ram_size(void *ctx, uint64_t *size_bytes)
{
    *size_bytes = ((const dynbi_ram *)ctx)->size_bytes;
    return DYNB_OK;
}

/* Takes the blocks for a larger size. It never shrinks. */
static dynb_rc dynbi_ram_resize(void *ctx, uint64_t size_bytes)
{
    dynbi_ram *ram = (dynbi_ram *)ctx;
    uint32_t index;
    for (index = 0; dynbi_ram_block_first(ram, index) < size_bytes; ++index) {
        uint64_t size = dynbi_ram_block_size(ram, index);
        if (index + 1 == DYNBI_RAM_BLOCKS || (uint64_t)(size_t)size != size)
            return DYNB_NO_SPACE;
        if (!ram->blocks[index])
            ram->blocks[index] = (uint8_t *)dynbi_allocate(&ram->allocator, (size_t)size);
        if (!ram->blocks[index])
            return DYNB_NO_SPACE;
    }
    while (ram->size_bytes < size_bytes) {
        uint64_t row = 0, more = size_bytes - ram->size_bytes;
        uint8_t *at = dynbi_ram_at(ram, ram->size_bytes, &row);
        more = row < more ? row : more;
        memset(at, 0, (size_t)more);
        ram->size_bytes += more;
    }
    return DYNB_OK;
}

static void dynbi_ram_close(void *ctx)
{
    dynbi_ram *ram = (dynbi_ram *)ctx;
    dynb_allocator allocator = ram->allocator;
    uint32_t index;
    for (index = 0; index < DYNBI_RAM_BLOCKS; ++index)
        dynbi_free(&allocator, ram->blocks[index], (size_t)dynbi_ram_block_size(ram, index));
    dynbi_free(&allocator, ram, sizeof *ram);
}

DYNB_API dynb_rc dynb_ram_device_open(dynb_device *device, uint64_t size_bytes, int fixed,
                                      const dynb_allocator *allocator, dynb_error *err)
{
    dynb_allocator own;
    dynbi_ram *ram;
    if (!device)
        return dynbi_fail(err, DYNB_INVALID_ARGUMENT, "device is NULL");
    memset(device, 0, sizeof *device);
    memset(&own, 0, sizeof own);
    if (allocator)
        own = *allocator;
    ram = (dynbi_ram *)dynbi_allocate(&own, sizeof *ram);
    if (!ram)
        return dynbi_fail(err, DYNB_NO_MEMORY, "no memory for a RAM device");
    memset(ram, 0, sizeof *ram);
    ram->allocator = own;
    ram->block_bytes = DYNBI_RAM_BLOCK_BYTES;
    if (size_bytes > DYNBI_RAM_BLOCK_BYTES || fixed)
        ram->block_bytes = (size_bytes + 4095) / 4096 * 4096;
    if ((fixed && size_bytes == 0) || size_bytes > (uint64_t)1 << 48) {
        dynbi_free(&own, ram, sizeof *ram);
        return dynbi_fail(err, DYNB_INVALID_ARGUMENT, "size_bytes is %u", size_bytes);
    }
    if (dynbi_ram_resize(ram, size_bytes) != DYNB_OK) {
        dynbi_ram_close(ram);
        return dynbi_fail(err, DYNB_NO_MEMORY, "no memory for a RAM device of %u bytes",
                          size_bytes);
    }
    device->ctx = ram;
    device->read_fn = dynbi_ram_read;
    device->write_fn = dynbi_ram_write;
    device->sync_fn = dynbi_ram_sync;
    device->size_fn = dynbi_ram_size;
    device->resize_fn = fixed ? NULL : dynbi_ram_resize;
    device->map_fn = dynbi_ram_map;
    device->write_map_fn = dynbi_ram_write_map;
    device->close_fn = dynbi_ram_close;
    return DYNB_OK;
}

/* --- file device --- */

#if defined(DYNBI_POSIX)

/* The file is shown through windows of address space, each mapped once and
 * never moved, so lent memory stays valid while the file grows under it. Only
 * where addresses are plentiful; a range across two windows is copied. */
#define DYNBI_WINDOW_BITS 30
#define DYNBI_WINDOW_COUNT 1024u

/* The largest position that off_t holds. */
#define DYNBI_OFF_MAX (sizeof(off_t) == 4 ? (uint64_t)0x7fffffff : (uint64_t)0x7fffffffffffffff)

typedef struct dynbi_file {
    dynb_allocator allocator;
    int fd;
    int is_read_only;
    const uint8_t **windows; /* NULL: too few addresses */
    uint8_t *lent;           /* what dynbi_file_write_map lent last; NULL: nothing */
    size_t lent_bytes;
} dynbi_file;

static dynb_rc dynbi_file_read(void *ctx, uint64_t pos, void *to, size_t size)
{
    const dynbi_file *file = (const dynbi_file *)ctx;
    uint8_t *at = (uint8_t *)to;
    if (pos > DYNBI_OFF_MAX || size > DYNBI_OFF_MAX - pos)
        return DYNB_IO_FAILED;
    while (size > 0) {
        ssize_t got = pread(file->fd, at, size, (off_t)pos);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return DYNB_IO_FAILED;
        at += got;
        pos += (uint64_t)got;
        size -= (size_t)got;
    }
    return DYNB_OK;
}

static dynb_rc dynbi_file_write(void *ctx, uint64_t pos, const void *from, size_t size)
{
    const dynbi_file *file = (const dynbi_file *)ctx;
    const uint8_t *at = (const uint8_t *)from;
    if (pos > DYNBI_OFF_MAX || size > DYNBI_OFF_MAX - pos)
        return DYNB_IO_FAILED;
    while (size > 0) {
        ssize_t put = pwrite(file->fd, at, size, (off_t)pos);
        if (put < 0 && errno == EINTR)
            continue;
        if (put <= 0)
            return put < 0 && errno == ENOSPC ? DYNB_NO_SPACE : DYNB_IO_FAILED;
        at += put;
        pos += (uint64_t)put;
        size -= (size_t)put;
    }
    return DYNB_OK;
}

static dynb_rc dynbi_file_sync(void *ctx)
{
    const dynbi_file *file = (const dynbi_file *)ctx;
#if defined(__APPLE__)
    return fcntl(file->fd, F_FULLFSYNC) == 0 ? DYNB_OK : DYNB_IO_FAILED;
#else
    return fdatasync(file->fd) == 0 ? DYNB_OK : DYNB_IO_FAILED;
#endif
}

static dynb_rc dynbi_file_size(void *ctx, uint64_t *size_bytes)
{
    struct stat status;
    if (fstat(((const dynbi_file *)ctx)->fd, &status) != 0 || status.st_size < 0)
        return DYNB_IO_FAILED;
    *size_bytes = (uint64_t)status.st_size;
    return DYNB_OK;
}

/* Takes the space now, so that a full disk is met here, before anything
 * depends on it, and not by a write in the middle. */
static dynb_rc dynbi_file_resize(void *ctx, uint64_t size_bytes)
{
    const dynbi_file *file = (const dynbi_file *)ctx;
#if !defined(__APPLE__)
    uint64_t size = 0;
#endif
    if (size_bytes > DYNBI_OFF_MAX)
        return DYNB_NO_SPACE;
#if !defined(__APPLE__)
    if (dynbi_file_size(ctx, &size) != DYNB_OK)
        return DYNB_IO_FAILED;
    if (size_bytes > size) {
        int problem;
        do
            problem = posix_fallocate(file->fd, (off_t)size, (off_t)(size_bytes - size));
        while (problem == EINTR);
        if (problem == 0)
            return DYNB_OK;
        if (problem != EOPNOTSUPP && problem != EINVAL && problem != ENOSYS && problem != ENODEV) {
            /* what was taken so far is given back; failing to is harmless */
            int is_back = ftruncate(file->fd, (off_t)size) == 0;
            (void)is_back;
            return problem == ENOSPC || problem == EFBIG || problem == EDQUOT ? DYNB_NO_SPACE
                                                                             : DYNB_IO_FAILED;
        }
    }
#endif
    if (ftruncate(file->fd, (off_t)size_bytes) == 0)
        return DYNB_OK;
    return errno == ENOSPC || errno == EFBIG ? DYNB_NO_SPACE : DYNB_IO_FAILED;
}

static const void *dynbi_file_map(void *ctx, uint64_t pos, size_t size)
{
    dynbi_file *file = (dynbi_file *)ctx;
    uint64_t index = pos >> DYNBI_WINDOW_BITS;
    uint64_t window_bytes = (uint64_t)1 << DYNBI_WINDOW_BITS;
    uint64_t offset = pos & (window_bytes - 1);
    if (!file->windows || index >= DYNBI_WINDOW_COUNT || size > window_bytes - offset)
        return NULL;
    if (!file->windows[index]) {
        void *window = mmap(NULL, (size_t)window_bytes, PROT_READ, MAP_SHARED, file->fd,
                            (off_t)(index << DYNBI_WINDOW_BITS));
        if (window == MAP_FAILED)
            return NULL;
        file->windows[index] = (const uint8_t *)window;
    }
    return file->windows[index] + (size_t)offset;
}

#if defined(__linux__)

static void dynbi_file_unlend(dynbi_file *file)
{
    if (file->lent)
        munmap(file->lent, file->lent_bytes);
    file->lent = NULL;
}

/* Space is taken first: storing into a hole of a full disk would end the
 * process. Only where mappings and writes are known to show each other's bytes
 * and a sync covers both. */
static void *dynbi_file_write_map(void *ctx, uint64_t pos, size_t size)
{
    dynbi_file *file = (dynbi_file *)ctx;
    const uint64_t skipped = pos & 65535u; /* no system has larger pages */
    uint64_t file_bytes = 0;
    void *lent;
    dynbi_file_unlend(file);
    if (dynbi_file_size(ctx, &file_bytes) != DYNB_OK || pos > file_bytes ||
        size > file_bytes - pos || size > SIZE_MAX - 65536u ||
        posix_fallocate(file->fd, (off_t)pos, (off_t)size) != 0)
        return NULL;
    file->lent_bytes = size + (size_t)skipped;
    lent = mmap(NULL, file->lent_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, file->fd,
                (off_t)(pos - skipped));
    if (lent == MAP_FAILED)
        return NULL;
    file->lent = (uint8_t *)lent;
    return file->lent + skipped;
}

#endif

static void dynbi_file_close(void *ctx)
{
    dynbi_file *file = (dynbi_file *)ctx;
    dynb_allocator allocator = file->allocator;
    uint32_t i;
#if defined(__linux__)
    dynbi_file_unlend(file);
#endif
    for (i = 0; file->windows && i < DYNBI_WINDOW_COUNT; ++i) {
        if (file->windows[i]) {
            union {
                const uint8_t *lent;
                void *own;
            } window;
            window.lent = file->windows[i];
            munmap(window.own, (size_t)1 << DYNBI_WINDOW_BITS);
        }
    }
    dynbi_free(&allocator, (void *)file->windows, DYNBI_WINDOW_COUNT * sizeof file->windows[0]);
    close(file->fd);
    dynbi_free(&allocator, file, sizeof *file);
}

static dynb_rc dynbi_file_open(dynbi_file *file, const char *path, dynb_error *err)
{
    int flags = file->is_read_only ? O_RDONLY : O_RDWR | O_CREAT;
    struct stat status;
#if defined(O_CLOEXEC)
    flags |= O_CLOEXEC;
#endif
    file->fd = open(path, flags, 0644);
    if (file->fd < 0)
        return dynbi_fail(err, DYNB_IO_FAILED, "cannot open the file %s (system error %u)", path,
                          (uint64_t)errno);
    if (fstat(file->fd, &status) != 0 || !S_ISREG(status.st_mode)) {
        close(file->fd);
        return dynbi_fail(err, DYNB_IO_FAILED, "%s is not an ordinary file", path);
    }
    if (flock(file->fd, (file->is_read_only ? LOCK_SH : LOCK_EX) | LOCK_NB) != 0) {
        int problem = errno;
        close(file->fd);
        if (problem != EWOULDBLOCK)
            return dynbi_fail(err, DYNB_IO_FAILED, "cannot lock the file %s (system error %u)",
                              path, (uint64_t)problem);
        return dynbi_fail(err, DYNB_LOCKED,
                          "%s is open in another handle or process; close it there first", path);
    }
    return DYNB_OK;
}

DYNB_API dynb_rc dynb_file_device_open(dynb_device *device, const char *path, int read_only,
                                       const dynb_allocator *allocator, dynb_error *err)
{
    dynb_allocator own;
    dynbi_file *file;
    dynb_rc rc;
    if (!device)
        return dynbi_fail(err, DYNB_INVALID_ARGUMENT, "device is NULL");
    memset(device, 0, sizeof *device);
    if (!path)
        return dynbi_fail(err, DYNB_INVALID_ARGUMENT, "path is NULL");
    memset(&own, 0, sizeof own);
    if (allocator)
        own = *allocator;
    file = (dynbi_file *)dynbi_allocate(&own, sizeof *file);
    if (!file)
        return dynbi_fail(err, DYNB_NO_MEMORY, "no memory for a file device");
    memset(file, 0, sizeof *file);
    file->allocator = own;
    file->is_read_only = read_only;
    rc = dynbi_file_open(file, path, err);
    if (rc != DYNB_OK) {
        dynbi_free(&own, file, sizeof *file);
        return rc;
    }
    if (sizeof(void *) >= 8) {
        size_t size = DYNBI_WINDOW_COUNT * sizeof file->windows[0];
        file->windows = (const uint8_t **)dynbi_allocate(&own, size);
        if (file->windows)
            memset((void *)file->windows, 0, size);
    }
    device->ctx = file;
    device->read_fn = dynbi_file_read;
    device->write_fn = dynbi_file_write;
    device->sync_fn = dynbi_file_sync;
    device->size_fn = dynbi_file_size;
    device->resize_fn = dynbi_file_resize;
    device->map_fn = file->windows ? dynbi_file_map : NULL;
#if defined(__linux__)
    device->write_map_fn = read_only ? NULL : dynbi_file_write_map;
#endif
    device->close_fn = dynbi_file_close;
    return DYNB_OK;
}

#elif defined(DYNBI_WINDOWS)

typedef struct dynbi_file {
    dynb_allocator allocator;
    HANDLE handle;
} dynbi_file;

static int dynbi_file_is_full(DWORD problem)
{
    return problem == ERROR_DISK_FULL || problem == ERROR_HANDLE_DISK_FULL;
}

/* Reads or writes at a position, in pieces that a DWORD can count. */
static dynb_rc dynbi_file_move(HANDLE handle, uint64_t pos, uint8_t *bytes, size_t size,
                               int is_write)
{
    while (size > 0) {
        DWORD piece = size > 0x40000000u ? 0x40000000u : (DWORD)size;
        DWORD moved = 0;
        OVERLAPPED place;
        BOOL ok;
        memset(&place, 0, sizeof place);
        place.Offset = (DWORD)(pos & 0xffffffffu);
        place.OffsetHigh = (DWORD)(pos >> 32);
        ok = is_write ? WriteFile(handle, bytes, piece, &moved, &place)
                      : ReadFile(handle, bytes, piece, &moved, &place);
        if (!ok || moved == 0)
            return is_write && dynbi_file_is_full(GetLastError()) ? DYNB_NO_SPACE
                                                                  : DYNB_IO_FAILED;
        bytes += moved;
        pos += moved;
        size -= moved;
    }
    return DYNB_OK;
}

static dynb_rc dynbi_file_read(void *ctx, uint64_t pos, void *to, size_t size)
{
    return dynbi_file_move(((dynbi_file *)ctx)->handle, pos, (uint8_t *)to, size, 0);
}

static dynb_rc dynbi_file_write(void *ctx, uint64_t pos, const void *from, size_t size)
{
    union {
        const void *lent;
        uint8_t *own;
    } bytes;
    bytes.lent = from;
    return dynbi_file_move(((dynbi_file *)ctx)->handle, pos, bytes.own, size, 1);
}

static dynb_rc dynbi_file_sync(void *ctx)
{
    return FlushFileBuffers(((dynbi_file *)ctx)->handle) ? DYNB_OK : DYNB_IO_FAILED;
}

static dynb_rc dynbi_file_size(void *ctx, uint64_t *size_bytes)
{
    LARGE_INTEGER size;
    if (!GetFileSizeEx(((dynbi_file *)ctx)->handle, &size))
        return DYNB_IO_FAILED;
    *size_bytes = (uint64_t)size.QuadPart;
    return DYNB_OK;
}

/* In one call: a file pointer set first could be moved by another thread's
 * write, and the file cut off there. */
static dynb_rc dynbi_file_resize(void *ctx, uint64_t size_bytes)
{
    FILE_END_OF_FILE_INFO end;
    if (size_bytes > (uint64_t)0x7fffffffffffffff)
        return DYNB_NO_SPACE;
    end.EndOfFile.QuadPart = (LONGLONG)size_bytes;
    if (SetFileInformationByHandle(((dynbi_file *)ctx)->handle, FileEndOfFileInfo, &end,
                                   sizeof end))
        return DYNB_OK;
    return dynbi_file_is_full(GetLastError()) ? DYNB_NO_SPACE : DYNB_IO_FAILED;
}

static void dynbi_file_close(void *ctx)
{
    dynbi_file *file = (dynbi_file *)ctx;
    dynb_allocator allocator = file->allocator;
    CloseHandle(file->handle);
    dynbi_free(&allocator, file, sizeof *file);
}

DYNB_API dynb_rc dynb_file_device_open(dynb_device *device, const char *path, int read_only,
                                       const dynb_allocator *allocator, dynb_error *err)
{
    dynb_allocator own;
    dynbi_file *file;
    if (!device)
        return dynbi_fail(err, DYNB_INVALID_ARGUMENT, "device is NULL");
    memset(device, 0, sizeof *device);
    if (!path)
        return dynbi_fail(err, DYNB_INVALID_ARGUMENT, "path is NULL");
    memset(&own, 0, sizeof own);
    if (allocator)
        own = *allocator;
    file = (dynbi_file *)dynbi_allocate(&own, sizeof *file);
    if (!file)
        return dynbi_fail(err, DYNB_NO_MEMORY, "no memory for a file device");
    file->allocator = own;
    /* no sharing: the open itself is the lock */
    file->handle = CreateFileA(path, read_only ? GENERIC_READ : GENERIC_READ | GENERIC_WRITE,
                               read_only ? FILE_SHARE_READ : 0, NULL,
                               read_only ? OPEN_EXISTING : OPEN_ALWAYS, FILE_ATTRIBUTE_NORMAL,
                               NULL);
    if (file->handle == INVALID_HANDLE_VALUE) {
        DWORD problem = GetLastError();
        dynbi_free(&own, file, sizeof *file);
        if (problem == ERROR_SHARING_VIOLATION)
            return dynbi_fail(err, DYNB_LOCKED,
                              "%s is open in another handle or process; close it there first",
                              path);
        return dynbi_fail(err, DYNB_IO_FAILED, "cannot open the file %s (system error %u)", path,
                          (uint64_t)problem);
    }
    device->ctx = file;
    device->read_fn = dynbi_file_read;
    device->write_fn = dynbi_file_write;
    device->sync_fn = dynbi_file_sync;
    device->size_fn = dynbi_file_size;
    device->resize_fn = dynbi_file_resize;
    device->close_fn = dynbi_file_close;
    return DYNB_OK;
}

#else

DYNB_API dynb_rc dynb_file_device_open(dynb_device *device, const char *path, int read_only,
                                       const dynb_allocator *allocator, dynb_error *err)
{
    (void)read_only;
    (void)allocator;
    if (device)
        memset(device, 0, sizeof *device);
    return dynbi_fail(err, DYNB_INVALID_ARGUMENT,
                      "path %s: files were left out by DYNBACKUP_NO_FILE; give a device",
                      path ? path : "NULL");
}

#endif

/* --- disk: the handle's device, page size known, failure sticky --- */

typedef struct dynbi_disk {
    dynb_device device;
    uint64_t size_bytes; /* guarded by the handle's lock */
    uint32_t page_bytes;
    int has_failed; /* guarded by the handle's lock; see dynbi_disk_fail */
} dynbi_disk;

/* A write or sync failed: from now on the handle only reads. */
static dynb_rc dynbi_disk_fail(dynbi_disk *disk, dynb_error *err)
{
    disk->has_failed = 1;
    return dynbi_fail(err, DYNB_IO_FAILED,
                      "the device failed to write or sync; the handle is read-only until the "
                      "store is opened again");
}

static dynb_rc dynbi_disk_read(const dynbi_disk *disk, uint64_t pos, void *to, size_t size,
                               dynb_error *err)
{
    if (disk->device.read_fn(disk->device.ctx, pos, to, size) == DYNB_OK)
        return DYNB_OK;
    return dynbi_fail_at(err, DYNB_IO_FAILED, pos, "the device failed to read %u bytes at %u",
                         (uint64_t)size, pos);
}

/* The caller turns a failure into dynbi_disk_fail once it holds the lock. */
static dynb_rc dynbi_disk_write(const dynbi_disk *disk, uint64_t pos, const void *from,
                                size_t size)
{
    return disk->device.write_fn(disk->device.ctx, pos, from, size);
}

static dynb_rc dynbi_disk_sync(const dynbi_disk *disk)
{
    return disk->device.sync_fn(disk->device.ctx);
}

/* --- reader --- */

#define DYNBI_WAYS 4u

typedef struct dynbi_way {
    uint32_t page; /* 0: empty; page 0 is never a node */
    uint32_t sum;  /* of the node: its pages may be given out anew meanwhile */
    uint32_t pin_count;
    uint32_t used_at; /* the reader's clock at the last use */
    uint8_t *bytes;
} dynbi_way;

typedef struct dynbi_reader {
    const dynbi_disk *disk;
    const dynb_allocator *allocator;
    dynbi_way *ways; /* set_count * DYNBI_WAYS */
    uint32_t set_count;
    uint32_t way_bytes;
    uint32_t clock;
    int may_map; /* only where the lock is held: map_fn need not be reentrant */
    int trusts_nothing; /* every range lent counts as fresh */
    uint32_t page_limit; /* pages that may be lent: the device's, when last told */
    uint64_t *checked;   /* a bit a page: the node there was verified as mapped */
    uint32_t checked_limit;
} dynbi_reader;

/* What a reader lends. */
typedef struct dynbi_range {
    const uint8_t *bytes;
    int is_fresh; /* nobody has verified these bytes since they were read */
    dynbi_way *way; /* pinned; NULL: mapped or spilled */
    uint8_t *spill;
    size_t spill_bytes;
} dynbi_range;

static void dynbi_reader_free(dynbi_reader *reader)
{
    uint32_t i, count = reader->set_count * DYNBI_WAYS;
    for (i = 0; reader->ways && i < count; ++i)
        dynbi_free(reader->allocator, reader->ways[i].bytes, reader->way_bytes);
    dynbi_free(reader->allocator, reader->ways, count * sizeof(dynbi_way));
    dynbi_free(reader->allocator, reader->checked, reader->checked_limit / 8);
    memset(reader, 0, sizeof *reader);
}

/* Gives back the memory of what is not lent. */
static void dynbi_reader_trim(dynbi_reader *reader)
{
    uint32_t i, count = reader->set_count * DYNBI_WAYS;
    for (i = 0; i < count; ++i) {
        dynbi_way *way = &reader->ways[i];
        if (way->pin_count)
            continue;
        dynbi_free(reader->allocator, way->bytes, reader->way_bytes);
        way->bytes = NULL;
        way->page = 0;
    }
}

/* Tells the reader how many pages the device has. Without memory for the bits
 * it goes on, verifying more often than it must. */
static void dynbi_reader_limit(dynbi_reader *reader, uint32_t page_count)
{
    reader->page_limit = page_count;
    if (reader->may_map && reader->disk->device.map_fn && page_count > reader->checked_limit) {
        uint64_t wanted = ((uint64_t)page_count + page_count / 4 + 511) / 512 * 512;
        uint32_t limit = wanted > 0xfffffe00u ? 0xfffffe00u : (uint32_t)wanted;
        void *bits = dynbi_resize(reader->allocator, reader->checked, reader->checked_limit / 8,
                                  limit / 8);
        if (!bits)
            return;
        reader->checked = (uint64_t *)bits;
        memset(reader->checked + reader->checked_limit / 64, 0,
               (limit - reader->checked_limit) / 8);
        reader->checked_limit = limit;
    }
}

/* cache_bytes may be 0: then every range is mapped or spilled. */
static dynb_rc dynbi_reader_init(dynbi_reader *reader, const dynbi_disk *disk,
                                 const dynb_allocator *allocator, uint64_t cache_bytes,
                                 uint32_t way_bytes, dynb_error *err)
{
    uint64_t sets = cache_bytes / ((uint64_t)way_bytes * DYNBI_WAYS);
    memset(reader, 0, sizeof *reader);
    reader->disk = disk;
    reader->allocator = allocator;
    reader->way_bytes = way_bytes;
    if (sets > 1u << 20)
        sets = 1u << 20;
    if (sets > 0) {
        size_t size = (size_t)sets * DYNBI_WAYS * sizeof(dynbi_way);
        reader->ways = (dynbi_way *)dynbi_allocate(allocator, size);
        if (!reader->ways)
            return dynbi_fail(err, DYNB_NO_MEMORY, "no memory for the node cache");
        memset(reader->ways, 0, size);
        reader->set_count = (uint32_t)sets;
    }
    return DYNB_OK;
}

static uint32_t dynbi_reader_set_of(const dynbi_reader *reader, uint32_t page)
{
    return (uint32_t)(((uint64_t)(page * 2654435761u) * reader->set_count) >> 32) * DYNBI_WAYS;
}

/* Nothing is known of the page any more: it was given out anew, or what was
 * read is not what should be there. */
static void dynbi_reader_forget(dynbi_reader *reader, uint32_t page)
{
    uint32_t i, first;
    if (page < reader->checked_limit)
        reader->checked[page / 64] &= ~((uint64_t)1 << (page % 64));
    if (!reader->set_count)
        return;
    first = dynbi_reader_set_of(reader, page);
    for (i = first; i < first + DYNBI_WAYS; ++i) {
        if (reader->ways[i].page == page && reader->ways[i].pin_count == 0)
            reader->ways[i].page = 0;
    }
}

/* The way to use for a node: its own, else the one unused longest, else
 * none. */
static dynbi_way *dynbi_reader_way(dynbi_reader *reader, uint32_t page, uint32_t sum)
{
    uint32_t i, first = dynbi_reader_set_of(reader, page);
    dynbi_way *oldest = NULL;
    for (i = first; i < first + DYNBI_WAYS; ++i) {
        dynbi_way *way = &reader->ways[i];
        if (way->page == page && way->sum == sum)
            return way;
        if (way->pin_count)
            continue;
        if (!oldest || !way->page ||
            (oldest->page && reader->clock - way->used_at > reader->clock - oldest->used_at))
            oldest = way;
    }
    return oldest;
}

/* The node on these pages was verified; it is immutable, so once is enough. */
static void dynbi_reader_trust(dynbi_reader *reader, uint32_t page)
{
    if (page < reader->checked_limit)
        reader->checked[page / 64] |= (uint64_t)1 << (page % 64);
}

static dynb_rc dynbi_reader_spill(dynbi_reader *reader, uint64_t pos, size_t size,
                                  dynbi_range *out, dynb_error *err)
{
    dynb_rc rc;
    out->spill = (uint8_t *)dynbi_allocate(reader->allocator, size);
    if (!out->spill)
        return dynbi_fail(err, DYNB_NO_MEMORY, "no memory to read a node of %u bytes",
                          (uint64_t)size);
    out->spill_bytes = size;
    out->bytes = out->spill;
    out->is_fresh = 1;
    rc = dynbi_disk_read(reader->disk, pos, out->spill, size, err);
    if (rc != DYNB_OK) {
        dynbi_free(reader->allocator, out->spill, size);
        memset(out, 0, sizeof *out);
    }
    return rc;
}

/* Lends pages [page, page + page_count), already known to lie on the device, of
 * the node that has this sum. */
static dynb_rc dynbi_reader_lend(dynbi_reader *reader, uint32_t page, uint32_t page_count,
                                 uint32_t sum, dynbi_range *out, dynb_error *err)
{
    uint64_t pos = (uint64_t)page * reader->disk->page_bytes;
    size_t size = (size_t)page_count * reader->disk->page_bytes;
    dynbi_way *way;
    dynb_rc rc;
    memset(out, 0, sizeof *out);
    if (reader->may_map && reader->disk->device.map_fn) {
        out->bytes = (const uint8_t *)reader->disk->device.map_fn(reader->disk->device.ctx, pos,
                                                                  size);
        if (out->bytes) {
            out->is_fresh = reader->trusts_nothing || page >= reader->checked_limit ||
                            !(reader->checked[page / 64] >> (page % 64) & 1);
            return DYNB_OK;
        }
    }
    way = reader->set_count && size <= reader->way_bytes ? dynbi_reader_way(reader, page, sum)
                                                           : NULL;
    if (way && !way->bytes) {
        way->bytes = (uint8_t *)dynbi_allocate(reader->allocator, reader->way_bytes);
        if (!way->bytes)
            way = NULL;
    }
    if (!way)
        return dynbi_reader_spill(reader, pos, size, out, err);
    out->is_fresh = way->page != page || way->sum != sum;
    if (out->is_fresh) {
        way->page = 0;
        rc = dynbi_disk_read(reader->disk, pos, way->bytes, size, err);
        if (rc != DYNB_OK)
            return rc;
        way->page = page;
        way->sum = sum;
    }
    out->is_fresh = out->is_fresh || reader->trusts_nothing;
    way->used_at = ++reader->clock;
    ++way->pin_count;
    out->way = way;
    out->bytes = way->bytes;
    return DYNB_OK;
}

static void dynbi_reader_return(dynbi_reader *reader, dynbi_range *range)
{
    if (range->way) {
        DYNBI_ASSERT(range->way->pin_count > 0);
        --range->way->pin_count;
    }
    if (range->spill)
        dynbi_free(reader->allocator, range->spill, range->spill_bytes);
    memset(range, 0, sizeof *range);
}

/* ===========================================================================
 * 17 PAGES
 *
 * Which pages of the device are in use: one bit a page, in memory only.
 *
 * Free space is what no root reaches. Nothing about it is stored, so nothing
 * stored can be wrong: a marking walks from the durable roots and sets a bit
 * for each page it meets, when the store opens and when space runs low.
 *
 *     used     given out, or in use when last marked: what allocation sees
 *     marked   given out since the marking began; becomes `used`
 *     met      met by the marking under way; only the marker touches it
 *     pending  given out to a fold not published yet, so that no root reaches
 *              them; one map for each of the two folds that can be open
 *
 * A fold's pending pages are added to a marking when the fold is published, or
 * when the marking ends. Invariant: a page that any root, the log or an
 * unpublished fold holds is in `used`.
 *
 * Extents are found next-fit, so that a fold's writes run on.
 *
 * Needs: UTIL   Used by: STORE
 * Exports: dynbi_pages_resize, _allocate, _mark_begin, _mark, _mark_end,
 *          _mark_abandon, _settle
 * On error: 0 for no extent; nonzero/zero as each says.
 * ======================================================================== */

#define DYNBI_FOLD_SLOTS 2
#define DYNBI_PAGE_NONE 0u      /* no such extent is left */
#define DYNBI_PAGE_NO_MEMORY 1u /* nor memory for a larger map; a superblock's page */
#define DYNBI_NO_SLOT DYNBI_FOLD_SLOTS /* given out for good: log, superblock */

typedef struct dynbi_pages {
    const dynb_allocator *allocator;
    uint64_t *used;
    uint64_t *marked;
    uint64_t *pending[DYNBI_FOLD_SLOTS];
    uint64_t *met;        /* NULL: no marking is under way */
    uint32_t met_count;   /* pages it has room for, a multiple of 64 */
    uint32_t page_count;
    uint32_t capacity; /* pages the bit maps have room for, a multiple of 64 */
    uint32_t next;     /* where the next search starts */
    uint32_t used_count;
    uint32_t given_since_mark; /* pages, a measure of the garbage to be found */
} dynbi_pages;

static int dynbi_bit_get(const uint64_t *bits, uint32_t index)
{
    return (int)(bits[index / 64] >> (index % 64) & 1);
}

static void dynbi_bit_set(uint64_t *bits, uint32_t index)
{
    bits[index / 64] |= (uint64_t)1 << (index % 64);
}

/* The bit maps, so that they can be handled alike. */
static uint64_t **dynbi_pages_map(dynbi_pages *pages, uint32_t index)
{
    return index == 0 ? &pages->used : index == 1 ? &pages->marked : &pages->pending[index - 2];
}

#define DYNBI_PAGES_MAPS (2 + DYNBI_FOLD_SLOTS)

static void dynbi_pages_free(dynbi_pages *pages)
{
    uint32_t i;
    for (i = 0; pages->capacity && i < DYNBI_PAGES_MAPS; ++i)
        dynbi_free(pages->allocator, *dynbi_pages_map(pages, i), pages->capacity / 8);
    if (pages->met)
        dynbi_free(pages->allocator, pages->met, pages->met_count / 8);
    memset(pages, 0, sizeof *pages);
}

/* Makes room for more pages in every map, or in none. */
static int dynbi_pages_widen(dynbi_pages *pages, uint32_t capacity)
{
    uint64_t *wider[DYNBI_PAGES_MAPS];
    uint32_t i, made;
    for (made = 0; made < DYNBI_PAGES_MAPS; ++made) {
        wider[made] = (uint64_t *)dynbi_allocate(pages->allocator, capacity / 8);
        if (!wider[made])
            break;
    }
    if (made < DYNBI_PAGES_MAPS) {
        for (i = 0; i < made; ++i)
            dynbi_free(pages->allocator, wider[i], capacity / 8);
        return 0;
    }
    for (i = 0; i < DYNBI_PAGES_MAPS; ++i) {
        uint64_t **map = dynbi_pages_map(pages, i);
        memset(wider[i], 0, capacity / 8);
        if (pages->capacity)
            memcpy(wider[i], *map, pages->capacity / 8);
        dynbi_free(pages->allocator, *map, pages->capacity / 8);
        *map = wider[i];
    }
    pages->capacity = capacity;
    return 1;
}

/* The device has page_count pages now (never fewer than before). Nonzero:
 * done. */
static int dynbi_pages_resize(dynbi_pages *pages, uint32_t page_count)
{
    DYNBI_ASSERT(page_count >= pages->page_count);
    if (page_count > pages->capacity) {
        uint64_t wanted = ((uint64_t)page_count + page_count / 4 + 511) / 512 * 512;
        if (wanted > 0xfffffe00u)
            wanted = 0xfffffe00u;
        if (page_count > wanted || !dynbi_pages_widen(pages, (uint32_t)wanted))
            return 0;
    }
    pages->page_count = page_count;
    return 1;
}

/* First page of a free extent in [from, limit), or 0. */
static uint32_t dynbi_pages_find(const dynbi_pages *pages, uint32_t count, uint32_t from,
                                 uint32_t limit)
{
    uint32_t page = from, length = 0;
    while (page < limit) {
        if (page % 64 == 0 && pages->used[page / 64] == ~(uint64_t)0) {
            length = 0;
            page += 64;
            continue;
        }
        length = dynbi_bit_get(pages->used, page) ? 0 : length + 1;
        ++page;
        if (length == count)
            return page - count;
    }
    return 0;
}

static uint32_t dynbi_pages_free_count(const dynbi_pages *pages)
{
    return pages->page_count - pages->used_count;
}

/* Gives out count contiguous pages to a fold (slot) or for good (NO_SLOT); 0:
 * there is no such extent. */
static uint32_t dynbi_pages_allocate(dynbi_pages *pages, uint32_t count, uint32_t slot)
{
    uint32_t page = 0, i;
    DYNBI_ASSERT(count > 0);
    if (count > dynbi_pages_free_count(pages))
        return 0;
    page = dynbi_pages_find(pages, count, pages->next, pages->page_count);
    if (!page)
        page = dynbi_pages_find(pages, count, 2, pages->page_count);
    if (!page)
        return 0;
    for (i = page; i < page + count; ++i) {
        dynbi_bit_set(pages->used, i);
        if (pages->met)
            dynbi_bit_set(pages->marked, i);
        if (slot < DYNBI_FOLD_SLOTS)
            dynbi_bit_set(pages->pending[slot], i);
    }
    pages->used_count += count;
    pages->given_since_mark += count;
    pages->next = page + count;
    return page;
}

/* Starts a marking; pages 0 and 1, the superblocks, are always in use. Zero: no
 * memory. */
static int dynbi_pages_mark_begin(dynbi_pages *pages)
{
    DYNBI_ASSERT(!pages->met);
    pages->met = (uint64_t *)dynbi_allocate(pages->allocator, pages->capacity / 8);
    if (!pages->met)
        return 0;
    pages->met_count = pages->capacity;
    memset(pages->met, 0, pages->met_count / 8);
    memset(pages->marked, 0, pages->capacity / 8);
    dynbi_bit_set(pages->met, 0);
    dynbi_bit_set(pages->met, 1);
    pages->given_since_mark = 0;
    return 1;
}

/* Marks an extent that lay on the device when the marking began. Nonzero: its
 * first page was not met before, so what it reaches has to be looked at. */
static int dynbi_pages_mark(dynbi_pages *pages, uint32_t page, uint32_t count)
{
    int is_new = !dynbi_bit_get(pages->met, page);
    uint32_t i;
    DYNBI_ASSERT(count <= pages->met_count && page <= pages->met_count - count);
    for (i = page; is_new && i < page + count; ++i)
        dynbi_bit_set(pages->met, i);
    return is_new;
}

/* Gives up a marking; everything stays in use. */
static void dynbi_pages_mark_abandon(dynbi_pages *pages)
{
    dynbi_free(pages->allocator, pages->met, pages->met_count / 8);
    pages->met = NULL;
}

/* What was not met is free. */
static void dynbi_pages_mark_end(dynbi_pages *pages)
{
    uint64_t *old = pages->used;
    uint32_t i, page;
    DYNBI_ASSERT(pages->met && pages->met_count <= pages->capacity);
    for (i = 0; i < pages->met_count / 64; ++i)
        pages->marked[i] |= pages->met[i];
    for (i = 0; i < pages->capacity / 64; ++i)
        pages->marked[i] |= pages->pending[0][i] | pages->pending[1][i];
    pages->used = pages->marked;
    pages->marked = old;
    pages->used_count = 0;
    for (page = 0; page < pages->page_count; ++page)
        pages->used_count += (uint32_t)dynbi_bit_get(pages->used, page);
    dynbi_pages_mark_abandon(pages);
}

/* The fold in that slot was published, or dropped. */
static void dynbi_pages_settle(dynbi_pages *pages, uint32_t slot)
{
    uint32_t i;
    for (i = 0; pages->met && i < pages->capacity / 64; ++i)
        pages->marked[i] |= pages->pending[slot][i];
    memset(pages->pending[slot], 0, pages->capacity / 8);
}

/* ===========================================================================
 * 18 TREE
 *
 * Immutable sorted trees: point reads, cursors, and the one way a tree comes
 * into being, fold(older tree or nothing, newer sorted changes) -> tree.
 *
 * A node is one extent. Keys of a node share a prefix that is stored once; the
 * first 8 bytes after it, the head, stand together so that a search meets few
 * cache lines:
 *
 *     0  entry_count u16 | level u8 | 0 u8 | used_bytes u32
 *     8  prefix_size u16 | 0 u16 | 0 u32
 *    16  prefix, zero-padded to a multiple of 8
 *        heads    u64 * entry_count   as numbers they order as the keys do
 *        offsets  u16 * entry_count   of the entries, from this array's end
 *        entries  varint suffix_size | suffix bytes past the head |
 *                 leaf: varint value_size * 2 + is_tombstone | value
 *                 interior: pointer to the child whose first key this is
 *
 *     pointer  page u32 | page_count u32 | sum u32 | level u32 |
 *              entry_count u64 | byte_count u64             (32 bytes)
 *
 * A value starts with its weight as a varint: what it counts for in byte_count.
 *
 * A node is valid if and only if (1) CRC-32C over used_bytes equals the
 * parent's sum, (2) its level is the one the parent says, (3) every array and
 * entry lies inside used_bytes, (4) there is an entry, and an interior entry's
 * pointer has a level one lower. What a parent says of a child is verified when
 * the child is read; a torn, lost or misdirected write is thus found, however
 * old.
 *
 * fold reuses every node of the older tree that no newer key touches, by
 * copying the pointer. It is resumable: explicit state, a step at a time; and
 * it may be ended early, which leaves the rest of the older tree as it is.
 *
 * Needs: UTIL, CODEC, DEVICE   Used by: SNAPSHOT, STORE
 * Exports: dynbi_node_*, dynbi_tree_get, dynbi_tree_seek, dynbi_fold_*
 * On error: CORRUPT with the byte position of the node; IO_FAILED, NO_MEMORY,
 *           NO_SPACE. A fold that failed is dropped, nothing refers to it.
 * ======================================================================== */

#define DYNBI_LEVELS 12       /* 4^11 nodes and more: any device */
#define DYNBI_FANOUT_MIN 4    /* of interior nodes, so that trees stay flat */
#define DYNBI_TREE_KEY_MAX 12287u
#define DYNBI_POINTER_BYTES 32u
#define DYNBI_NODE_HEAD_BYTES 16u
#define DYNBI_VALUE_MAX 0x0fffffffu

#if !defined(DYNBI_SUMS_DIFFER)
#if defined(FUZZING_BUILD_MODE_UNSAFE_FOR_PRODUCTION)
/* Lets a fuzzer's bytes past the checksums, to what lies behind them. */
#define DYNBI_SUMS_DIFFER(a, b) ((void)(a), (void)(b), 0)
#else
#define DYNBI_SUMS_DIFFER(a, b) ((a) != (b))
#endif
#endif

typedef struct dynbi_root {
    uint32_t page; /* 0: the empty tree */
    uint32_t page_count;
    uint32_t sum;
    uint32_t level;
    uint64_t entry_count;
    uint64_t byte_count;
} dynbi_root;

typedef struct dynbi_node {
    dynbi_range range;
    const uint8_t *prefix;
    const uint8_t *heads;
    const uint8_t *offsets;
    const uint8_t *entries;
    const uint8_t *end;
    uint32_t prefix_size;
    uint32_t entry_count;
    uint32_t level;
} dynbi_node;

/* One entry of a leaf, in place. */
typedef struct dynbi_leaf_entry {
    const uint8_t *rest; /* suffix bytes past the head */
    uint32_t suffix_size;
    uint32_t value_size;
    const uint8_t *value;
    int is_tombstone;
} dynbi_leaf_entry;

/* A key and what became of it: what folds take and cursors give. */
typedef struct dynbi_change {
    const uint8_t *key;
    uint32_t key_size;
    uint32_t value_size;
    const uint8_t *value;
    int is_tombstone;
} dynbi_change;

static void dynbi_root_store(uint8_t *to, const dynbi_root *root)
{
    dynbi_store32(to, root->page);
    dynbi_store32(to + 4, root->page_count);
    dynbi_store32(to + 8, root->sum);
    dynbi_store32(to + 12, root->level);
    dynbi_store64(to + 16, root->entry_count);
    dynbi_store64(to + 24, root->byte_count);
}

static void dynbi_root_load(dynbi_root *root, const uint8_t *from)
{
    root->page = dynbi_load32(from);
    root->page_count = dynbi_load32(from + 4);
    root->sum = dynbi_load32(from + 8);
    root->level = dynbi_load32(from + 12);
    root->entry_count = dynbi_load64(from + 16);
    root->byte_count = dynbi_load64(from + 24);
}

static int dynbi_key_compare(const uint8_t *a, size_t a_size, const uint8_t *b, size_t b_size)
{
    size_t shorter = a_size < b_size ? a_size : b_size;
    int order = shorter ? memcmp(a, b, shorter) : 0;
    if (order)
        return order;
    return a_size < b_size ? -1 : a_size > b_size;
}

/* The first 8 bytes of a key's suffix as a number, zero-padded. */
static uint64_t dynbi_head_of(const uint8_t *suffix, size_t size)
{
    uint8_t padded[8];
    if (size >= 8)
        return dynbi_load64_be(suffix);
    memset(padded, 0, sizeof padded);
    if (size)
        memcpy(padded, suffix, size);
    return dynbi_load64_be(padded);
}

static uint64_t dynbi_node_head(const dynbi_node *node, uint32_t index)
{
    return dynbi_load64(node->heads + 8 * (size_t)index);
}

static const uint8_t *dynbi_node_entry(const dynbi_node *node, uint32_t index)
{
    return node->entries + dynbi_load16(node->offsets + 2 * (size_t)index);
}

/* Of a verified node: the entry's parts need no more checks. */
static void dynbi_node_leaf_entry(const dynbi_node *node, uint32_t index, dynbi_leaf_entry *out)
{
    const uint8_t *at = dynbi_node_entry(node, index);
    uint64_t number = 0;
    DYNBI_ASSERT(node->level == 0 && index < node->entry_count);
    at = dynbi_varint_load(at, node->end, &number);
    out->suffix_size = (uint32_t)number;
    out->rest = at;
    at += out->suffix_size > 8 ? out->suffix_size - 8 : 0;
    at = dynbi_varint_load(at, node->end, &number);
    out->is_tombstone = (int)(number & 1);
    out->value_size = (uint32_t)(number >> 1);
    out->value = at;
}

static void dynbi_node_child(const dynbi_node *node, uint32_t index, dynbi_root *child)
{
    const uint8_t *at = dynbi_node_entry(node, index);
    uint64_t suffix_size = 0;
    DYNBI_ASSERT(node->level > 0 && index < node->entry_count);
    at = dynbi_varint_load(at, node->end, &suffix_size);
    at += suffix_size > 8 ? suffix_size - 8 : 0;
    dynbi_root_load(child, at);
}

/* Writes the whole key of an entry (at most DYNBI_TREE_KEY_MAX); its size. */
static uint32_t dynbi_node_key(const dynbi_node *node, uint32_t index, uint8_t *to)
{
    const uint8_t *at = dynbi_node_entry(node, index);
    uint64_t suffix_size = 0;
    uint8_t head[8];
    at = dynbi_varint_load(at, node->end, &suffix_size);
    memcpy(to, node->prefix, node->prefix_size);
    dynbi_store64_be(head, dynbi_node_head(node, index));
    memcpy(to + node->prefix_size, head, suffix_size < 8 ? (size_t)suffix_size : 8);
    if (suffix_size > 8)
        memcpy(to + node->prefix_size + 8, at, (size_t)suffix_size - 8);
    return node->prefix_size + (uint32_t)suffix_size;
}

static uint32_t dynbi_node_key_size(const dynbi_node *node, uint32_t index)
{
    uint64_t suffix_size = 0;
    (void)dynbi_varint_load(dynbi_node_entry(node, index), node->end, &suffix_size);
    return node->prefix_size + (uint32_t)suffix_size;
}

/* The same into a buffer, replacing what it held. */
static dynb_rc dynbi_node_key_copy(const dynbi_node *node, uint32_t index, dynbi_buffer *to,
                                   dynb_error *err)
{
    to->used_bytes = 0;
    if (!dynbi_buffer_reserve(to, dynbi_node_key_size(node, index) + 8u))
        return dynbi_fail(err, DYNB_NO_MEMORY, "no memory for a key");
    to->used_bytes = dynbi_node_key(node, index, to->bytes);
    return DYNB_OK;
}

static int dynbi_node_entry_check(const dynbi_node *node, uint32_t index, uint64_t *weights,
                                  uint64_t *counts)
{
    size_t offset = dynbi_load16(node->offsets + 2 * (size_t)index);
    const uint8_t *at;
    uint64_t suffix_size, value_word, weight = 0;
    if (offset >= (size_t)(node->end - node->entries))
        return 0;
    at = dynbi_varint_load(node->entries + offset, node->end, &suffix_size);
    if (!at || suffix_size > DYNBI_TREE_KEY_MAX - node->prefix_size)
        return 0;
    if (suffix_size > 8) {
        if ((size_t)(node->end - at) < suffix_size - 8)
            return 0;
        at += (size_t)suffix_size - 8;
    }
    if (node->level > 0) {
        dynbi_root child;
        if ((size_t)(node->end - at) < DYNBI_POINTER_BYTES)
            return 0;
        dynbi_root_load(&child, at);
        *weights += child.byte_count;
        *counts += child.entry_count;
        return child.level == node->level - 1;
    }
    at = dynbi_varint_load(at, node->end, &value_word);
    if (!at || (value_word >> 1) > (size_t)(node->end - at))
        return 0;
    if (!(value_word & 1) && !dynbi_varint_load(at, at + (size_t)(value_word >> 1), &weight))
        return 0;
    *weights += weight;
    *counts += 1;
    return 1;
}

/* Finds the arrays of a node; 0 when they do not fit. */
static int dynbi_node_layout(dynbi_node *node, const uint8_t *bytes, size_t size)
{
    uint32_t used = dynbi_load32(bytes + 4), prefix_room;
    node->entry_count = dynbi_load16(bytes);
    node->level = bytes[2];
    node->prefix_size = dynbi_load16(bytes + 8);
    prefix_room = (node->prefix_size + 7u) & ~7u;
    if (used > size || node->entry_count == 0 || node->prefix_size > DYNBI_TREE_KEY_MAX)
        return 0;
    if (used < DYNBI_NODE_HEAD_BYTES + prefix_room + 10u * node->entry_count)
        return 0;
    node->prefix = bytes + DYNBI_NODE_HEAD_BYTES;
    node->heads = node->prefix + prefix_room;
    node->offsets = node->heads + 8 * (size_t)node->entry_count;
    node->entries = node->offsets + 2 * (size_t)node->entry_count;
    node->end = bytes + used;
    return 1;
}

static int dynbi_node_is_valid(const dynbi_node *node, const uint8_t *bytes,
                               const dynbi_root *pointer)
{
    uint64_t weights = 0, counts = 0;
    uint32_t i;
    if (DYNBI_SUMS_DIFFER(dynbi_crc32c(0, bytes, (size_t)(node->end - bytes)), pointer->sum))
        return 0;
    for (i = 0; i < node->entry_count; ++i) {
        if (!dynbi_node_entry_check(node, i, &weights, &counts))
            return 0;
    }
    return weights == pointer->byte_count && counts == pointer->entry_count;
}

/* Nonzero: the extent can be a node's. */
static int dynbi_root_is_sane(const dynbi_root *root, uint32_t page_limit)
{
    return root->page >= 2 && root->page_count > 0 && root->page_count < page_limit &&
           root->page <= page_limit - root->page_count && root->level < DYNBI_LEVELS;
}

static dynb_rc dynbi_node_corrupt(const dynbi_reader *reader, const dynbi_root *pointer,
                                  dynb_error *err)
{
    uint64_t pos = (uint64_t)pointer->page * reader->disk->page_bytes;
    return dynbi_fail_at(err, DYNB_CORRUPT, pos, "the tree node at byte %u is damaged", pos);
}

/* Reads the node a pointer names. After DYNB_OK: give it back. */
static dynb_rc dynbi_node_open(dynbi_reader *reader, const dynbi_root *pointer, dynbi_node *node,
                               dynb_error *err)
{
    size_t size = (size_t)pointer->page_count * reader->disk->page_bytes;
    dynb_rc rc;
    memset(&node->range, 0, sizeof node->range);
    if (!dynbi_root_is_sane(pointer, reader->page_limit))
        return dynbi_node_corrupt(reader, pointer, err);
    rc = dynbi_reader_lend(reader, pointer->page, pointer->page_count, pointer->sum, &node->range,
                           err);
    if (rc != DYNB_OK)
        return rc;
    if (!dynbi_node_layout(node, node->range.bytes, size) || node->level != pointer->level ||
        (node->range.is_fresh && !dynbi_node_is_valid(node, node->range.bytes, pointer))) {
        dynbi_reader_return(reader, &node->range);
        dynbi_reader_forget(reader, pointer->page);
        return dynbi_node_corrupt(reader, pointer, err);
    }
    if (node->range.is_fresh)
        dynbi_reader_trust(reader, pointer->page);
    return DYNB_OK;
}

static void dynbi_node_close(dynbi_reader *reader, dynbi_node *node)
{
    dynbi_reader_return(reader, &node->range);
}

/* How an entry's key compares with one of this suffix and the same head. */
static int dynbi_node_compare(const dynbi_node *node, uint32_t index, const uint8_t *suffix,
                              uint32_t size)
{
    uint64_t own_size = 0;
    const uint8_t *rest;
    rest = dynbi_varint_load(dynbi_node_entry(node, index), node->end, &own_size);
    if (own_size <= 8 || size <= 8)
        return own_size < size ? -1 : own_size > size;
    return dynbi_key_compare(rest, (size_t)own_size - 8, suffix + 8, size - 8);
}

/* Index of the first entry >= key; *is_equal tells whether it is the key. */
static uint32_t dynbi_node_search(const dynbi_node *node, const uint8_t *key, uint32_t key_size,
                                  int *is_equal)
{
    uint32_t common = key_size < node->prefix_size ? key_size : node->prefix_size;
    uint32_t low = 0, count = node->entry_count, suffix_size;
    const uint8_t *suffix;
    uint64_t head;
    int order = common ? memcmp(key, node->prefix, common) : 0;
    *is_equal = 0;
    if (order < 0 || (order == 0 && key_size < node->prefix_size))
        return 0;
    if (order > 0)
        return count;
    suffix = key + common;
    suffix_size = key_size - common;
    head = dynbi_head_of(suffix, suffix_size);
    while (count > 1) { /* by heads alone, without branches on the outcome */
        uint32_t half = count / 2;
        low += dynbi_node_head(node, low + half - 1) < head ? half : 0;
        count -= half;
    }
    if (dynbi_node_head(node, low) < head)
        ++low;
    count = node->entry_count - low;
    if (count && dynbi_node_head(node, low) == head) {
        uint32_t high = low + 1;
        while (high < node->entry_count && dynbi_node_head(node, high) == head)
            ++high;
        while (low < high) {
            uint32_t middle = low + (high - low) / 2;
            order = dynbi_node_compare(node, middle, suffix, suffix_size);
            if (order == 0) {
                *is_equal = 1;
                return middle;
            }
            if (order < 0)
                low = middle + 1;
            else
                high = middle;
        }
    }
    return low;
}

/* The child in whose range the key lies (the first for keys below the tree). */
static uint32_t dynbi_node_child_for(const dynbi_node *node, const uint8_t *key,
                                     uint32_t key_size)
{
    int is_equal;
    uint32_t index = dynbi_node_search(node, key, key_size, &is_equal);
    return is_equal || index == 0 ? index : index - 1;
}

/* --- point read --- */

/* A value found in a tree; its bytes are valid until the node is closed. */
typedef struct dynbi_found {
    dynbi_node leaf;
    const uint8_t *value;
    uint32_t value_size;
    int is_tombstone;
    int is_there;
} dynbi_found;

/* Looks a key up. After DYNB_OK with is_there: close found->leaf. */
static dynb_rc dynbi_tree_get(dynbi_reader *reader, const dynbi_root *root, const uint8_t *key,
                              uint32_t key_size, dynbi_found *found, dynb_error *err)
{
    dynbi_root pointer = *root;
    dynbi_leaf_entry entry;
    uint32_t index;
    int is_equal;
    found->is_there = 0;
    if (!root->page)
        return DYNB_OK;
    for (;;) {
        dynb_rc rc = dynbi_node_open(reader, &pointer, &found->leaf, err);
        if (rc != DYNB_OK)
            return rc;
        if (found->leaf.level == 0)
            break;
        index = dynbi_node_child_for(&found->leaf, key, key_size);
        dynbi_node_child(&found->leaf, index, &pointer);
        dynbi_node_close(reader, &found->leaf);
    }
    index = dynbi_node_search(&found->leaf, key, key_size, &is_equal);
    if (!is_equal) {
        dynbi_node_close(reader, &found->leaf);
        return DYNB_OK;
    }
    dynbi_node_leaf_entry(&found->leaf, index, &entry);
    found->value = entry.value;
    found->value_size = entry.value_size;
    found->is_tombstone = entry.is_tombstone;
    found->is_there = 1;
    return DYNB_OK;
}

/* --- cursor --- */

/* At an entry (is_at), or past either end. Keeps the way down as pointers and
 * only its leaf pinned; moving on to another leaf reads parents again, which a
 * cache makes cheap. */
typedef struct dynbi_tree_cursor {
    dynbi_reader *reader;
    dynbi_root way[DYNBI_LEVELS]; /* way[level]: the node at that level */
    uint16_t index[DYNBI_LEVELS]; /* which child, or entry, of it */
    uint32_t root_level;
    dynbi_node leaf;      /* pinned while range.bytes is not NULL */
    dynbi_buffer key;     /* whole key of the current entry */
    dynbi_change current; /* valid while is_at, until the cursor moves */
    int is_at;
} dynbi_tree_cursor;

static void dynbi_tree_cursor_init(dynbi_tree_cursor *cursor, dynbi_reader *reader)
{
    memset(cursor, 0, sizeof *cursor);
    cursor->reader = reader;
    cursor->key.allocator = reader->allocator;
}

static void dynbi_tree_leave(dynbi_tree_cursor *cursor)
{
    cursor->is_at = 0;
    if (cursor->leaf.range.bytes)
        dynbi_node_close(cursor->reader, &cursor->leaf);
}

static void dynbi_tree_cursor_free(dynbi_tree_cursor *cursor)
{
    dynbi_tree_leave(cursor);
    dynbi_buffer_free(&cursor->key);
}

/* Takes in the entry the cursor was moved to, if any. */
static dynb_rc dynbi_tree_land(dynbi_tree_cursor *cursor, dynb_error *err)
{
    dynbi_leaf_entry entry;
    dynb_rc rc;
    cursor->is_at = 0;
    if (!cursor->leaf.range.bytes)
        return DYNB_OK;
    rc = dynbi_node_key_copy(&cursor->leaf, cursor->index[0], &cursor->key, err);
    if (rc != DYNB_OK)
        return rc;
    dynbi_node_leaf_entry(&cursor->leaf, cursor->index[0], &entry);
    cursor->current.key = cursor->key.bytes;
    cursor->current.key_size = (uint32_t)cursor->key.used_bytes;
    cursor->current.value = entry.value;
    cursor->current.value_size = entry.value_size;
    cursor->current.is_tombstone = entry.is_tombstone;
    cursor->is_at = 1;
    return DYNB_OK;
}

/* Descends from way[level] to the first or last leaf below, or, with a key, to
 * the leaf it belongs to. */
static dynb_rc dynbi_tree_descend(dynbi_tree_cursor *cursor, uint32_t level, int to_last,
                                  const dynbi_change *key, dynb_error *err)
{
    for (;;) {
        dynb_rc rc = dynbi_node_open(cursor->reader, &cursor->way[level], &cursor->leaf, err);
        uint32_t index;
        if (rc != DYNB_OK)
            return rc;
        index = to_last ? cursor->leaf.entry_count - 1 : 0;
        if (level == 0) {
            cursor->index[0] = (uint16_t)index;
            return DYNB_OK;
        }
        if (key)
            index = dynbi_node_child_for(&cursor->leaf, key->key, key->key_size);
        cursor->index[level] = (uint16_t)index;
        dynbi_node_child(&cursor->leaf, index, &cursor->way[level - 1]);
        dynbi_node_close(cursor->reader, &cursor->leaf);
        --level;
    }
}

/* Moves to the neighbour leaf; to neither end if there is none. */
static dynb_rc dynbi_tree_turn(dynbi_tree_cursor *cursor, int backwards, dynb_error *err)
{
    uint32_t level;
    dynbi_tree_leave(cursor);
    for (level = 1; level <= cursor->root_level; ++level) {
        dynbi_node node;
        int has_sibling;
        dynb_rc rc = dynbi_node_open(cursor->reader, &cursor->way[level], &node, err);
        if (rc != DYNB_OK)
            return rc;
        has_sibling = backwards ? cursor->index[level] > 0
                                : cursor->index[level] + 1u < node.entry_count;
        if (has_sibling) {
            cursor->index[level] =
                (uint16_t)(backwards ? cursor->index[level] - 1 : cursor->index[level] + 1);
            dynbi_node_child(&node, cursor->index[level], &cursor->way[level - 1]);
        }
        dynbi_node_close(cursor->reader, &node);
        if (has_sibling)
            return dynbi_tree_descend(cursor, level - 1, backwards, NULL, err);
    }
    return DYNB_OK;
}

/* Moves on to the entry after, or before, the current one. */
static dynb_rc dynbi_tree_move(dynbi_tree_cursor *cursor, int backwards, dynb_error *err)
{
    dynb_rc rc = DYNB_OK;
    DYNBI_ASSERT(cursor->is_at);
    if (backwards && cursor->index[0] > 0)
        --cursor->index[0];
    else if (!backwards && cursor->index[0] + 1u < cursor->leaf.entry_count)
        ++cursor->index[0];
    else
        rc = dynbi_tree_turn(cursor, backwards, err);
    return rc == DYNB_OK ? dynbi_tree_land(cursor, err) : rc;
}

/* Places a cursor at the first entry >= key, or with backwards at the last
 * entry < key; key NULL: at the first or last of all. */
static dynb_rc dynbi_tree_seek(dynbi_tree_cursor *cursor, const dynbi_root *root,
                               const uint8_t *key, uint32_t key_size, int backwards,
                               dynb_error *err)
{
    dynbi_change target;
    uint32_t index;
    int is_equal;
    dynb_rc rc;
    dynbi_tree_leave(cursor);
    if (!root->page)
        return DYNB_OK;
    if (root->level >= DYNBI_LEVELS)
        return dynbi_node_corrupt(cursor->reader, root, err);
    cursor->root_level = root->level;
    cursor->way[root->level] = *root;
    memset(&target, 0, sizeof target);
    target.key = key;
    target.key_size = key_size;
    rc = dynbi_tree_descend(cursor, root->level, backwards && !key, key ? &target : NULL, err);
    if (rc == DYNB_OK && key) {
        index = dynbi_node_search(&cursor->leaf, key, key_size, &is_equal);
        cursor->index[0] = (uint16_t)(backwards ? index - 1 : index);
        if (index == (backwards ? 0 : cursor->leaf.entry_count)) {
            cursor->index[0] = (uint16_t)index;
            rc = dynbi_tree_turn(cursor, backwards, err);
        }
    }
    return rc == DYNB_OK ? dynbi_tree_land(cursor, err) : rc;
}

/* --- fold --- */

/* The entries of a node to be, one after another, as
 * key_size u32 | word u32 | key | value (leaf) or pointer (interior). */
typedef struct dynbi_part {
    dynbi_buffer raw;
    uint32_t entry_count;
    uint32_t prefix_size; /* common to all keys so far */
    uint64_t body_bytes;  /* of heads, offsets and entries with that prefix */
    uint64_t total_entries;
    uint64_t total_bytes;
} dynbi_part;

/* One level under construction. A full part waits until the next is known to be
 * more than a crumb; else the two are evened out. */
typedef struct dynbi_level {
    dynbi_part waiting;
    dynbi_part open;
} dynbi_level;

/* Where a fold's nodes go. Pages come from allocate_fn (or DYNBI_PAGE_*). */
typedef struct dynbi_fold_output {
    dynbi_disk *disk;
    uint32_t node_bytes;
    uint32_t chunk_bytes; /* written at a time */
    int sync_chunks;      /* never leave more than a chunk unsynced */
    uint32_t (*allocate_fn)(void *ctx, uint32_t page_count);
    void *ctx;
} dynbi_fold_output;

typedef struct dynbi_fold {
    const dynb_allocator *allocator;
    dynbi_reader *reader;
    dynbi_fold_output output;
    int drop_tombstones; /* nothing older is left for them to hide */

    /* newer changes: has_change tells whether `change` is one */
    dynb_rc (*next_fn)(void *ctx, dynbi_change *change, int *has_change, dynb_error *err);
    void *next_ctx;
    dynbi_change change;
    int has_change;
    int has_ended_early; /* take no more changes; keep the rest of the older tree */

    /* older tree: interior nodes from the root down, then the subtree at
     * hand */
    dynbi_node open_node[DYNBI_LEVELS];
    uint16_t open_index[DYNBI_LEVELS];
    uint32_t open_count;
    dynbi_root subtree; /* page 0: the older tree is used up */
    dynbi_node leaf;    /* range.bytes not NULL: the subtree is this open leaf */
    uint32_t leaf_index;
    dynbi_buffer bound; /* first key after the subtree, if has_bound */
    int has_bound;
    dynbi_buffer old_key; /* of the older tree's entry at hand */

    dynbi_level level[DYNBI_LEVELS];
    dynbi_buffer chunk; /* encoded nodes not yet written */
    uint64_t chunk_pos;
    uint64_t written_bytes;
    int write_failed; /* the disk must be failed by whoever holds the lock */
} dynbi_fold;

static void dynbi_fold_free(dynbi_fold *fold)
{
    uint32_t i;
    while (fold->open_count > 0)
        dynbi_node_close(fold->reader, &fold->open_node[--fold->open_count]);
    if (fold->leaf.range.bytes)
        dynbi_node_close(fold->reader, &fold->leaf);
    for (i = 0; i < DYNBI_LEVELS; ++i) {
        dynbi_buffer_free(&fold->level[i].waiting.raw);
        dynbi_buffer_free(&fold->level[i].open.raw);
    }
    dynbi_buffer_free(&fold->chunk);
    dynbi_buffer_free(&fold->bound);
    dynbi_buffer_free(&fold->old_key);
    memset(fold, 0, sizeof *fold);
}

/* Bytes an entry takes beyond the node's head and prefix. */
static uint64_t dynbi_part_entry_bytes(uint32_t key_size, uint32_t prefix_size, uint32_t word,
                                       int is_leaf)
{
    uint32_t suffix = key_size - prefix_size;
    uint64_t bytes = 10u + dynbi_varint_size(suffix) + (suffix > 8 ? suffix - 8 : 0);
    return bytes + (is_leaf ? dynbi_varint_size(word) + (word >> 1) : DYNBI_POINTER_BYTES);
}

/* Takes the entry at `at` apart; returns where the next one is. */
static const uint8_t *dynbi_part_entry(const uint8_t *at, int is_leaf, dynbi_change *out,
                                       uint32_t *word)
{
    out->key_size = dynbi_load32(at);
    *word = dynbi_load32(at + 4);
    out->key = at + 8;
    out->value = out->key + out->key_size;
    out->value_size = is_leaf ? *word >> 1 : DYNBI_POINTER_BYTES;
    return out->value + out->value_size;
}

/* What body_bytes would be with a shorter prefix. */
static uint64_t dynbi_part_body(const dynbi_part *part, uint32_t prefix_size, int is_leaf)
{
    const uint8_t *at = part->raw.bytes;
    uint64_t bytes = 0;
    uint32_t i, word;
    dynbi_change entry;
    if (prefix_size == part->prefix_size)
        return part->body_bytes;
    for (i = 0; i < part->entry_count; ++i) {
        at = dynbi_part_entry(at, is_leaf, &entry, &word);
        bytes += dynbi_part_entry_bytes(entry.key_size, prefix_size, word, is_leaf);
    }
    return bytes;
}

static uint64_t dynbi_node_size(uint64_t body_bytes, uint32_t prefix_size)
{
    return DYNBI_NODE_HEAD_BYTES + ((prefix_size + 7u) & ~7u) + body_bytes;
}

static uint64_t dynbi_part_size(const dynbi_part *part)
{
    return part->entry_count ? dynbi_node_size(part->body_bytes, part->prefix_size) : 0;
}

static void dynbi_part_clear(dynbi_part *part)
{
    dynbi_buffer raw = part->raw;
    raw.used_bytes = 0;
    memset(part, 0, sizeof *part);
    part->raw = raw;
}

static uint32_t dynbi_common_prefix(const uint8_t *a, const uint8_t *b, uint32_t limit)
{
    uint32_t i = 0;
    while (i < limit && a[i] == b[i])
        ++i;
    return i;
}

/* Counts an entry that stands at the end of raw already. */
static void dynbi_part_count(dynbi_part *part, const dynbi_change *entry, uint32_t prefix_size,
                             uint64_t body_bytes, int is_leaf)
{
    uint64_t weight = 0;
    if (is_leaf) {
        if (!entry->is_tombstone)
            (void)dynbi_varint_load(entry->value, entry->value + entry->value_size, &weight);
        part->total_entries += 1;
        part->total_bytes += weight;
    } else {
        dynbi_root child;
        dynbi_root_load(&child, entry->value);
        part->total_entries += child.entry_count;
        part->total_bytes += child.byte_count;
    }
    ++part->entry_count;
    part->prefix_size = prefix_size;
    part->body_bytes = body_bytes;
}

/* The prefix and size a part would have with one more entry. */
static uint64_t dynbi_part_with(const dynbi_part *part, const dynbi_change *entry, uint32_t word,
                                int is_leaf, uint32_t *prefix_size)
{
    uint64_t body_bytes = 0;
    *prefix_size = entry->key_size;
    if (part->entry_count) {
        uint32_t limit = part->prefix_size < entry->key_size ? part->prefix_size
                                                             : entry->key_size;
        *prefix_size = dynbi_common_prefix(part->raw.bytes + 8, entry->key, limit);
        body_bytes = dynbi_part_body(part, *prefix_size, is_leaf);
    }
    return body_bytes + dynbi_part_entry_bytes(entry->key_size, *prefix_size, word, is_leaf);
}

/* Adds an entry. *is_full: it did not go in, the part is a node's worth. */
static dynb_rc dynbi_part_add(dynbi_part *part, const dynbi_change *entry, int is_leaf,
                              uint32_t node_bytes, int *is_full, dynb_error *err)
{
    size_t size = 8 + (size_t)entry->key_size + entry->value_size;
    uint32_t word = entry->value_size << 1 | (entry->is_tombstone ? 1u : 0u), prefix_size;
    uint64_t body_bytes = dynbi_part_with(part, entry, word, is_leaf, &prefix_size);
    uint8_t *to;
    *is_full = part->entry_count >= (is_leaf ? 1u : (uint32_t)DYNBI_FANOUT_MIN) &&
               dynbi_node_size(body_bytes, prefix_size) > node_bytes;
    if (*is_full)
        return DYNB_OK;
    if (!dynbi_buffer_reserve(&part->raw, size))
        return dynbi_fail(err, DYNB_NO_MEMORY, "no memory for a node under construction");
    to = part->raw.bytes + part->raw.used_bytes;
    dynbi_store32(to, entry->key_size);
    dynbi_store32(to + 4, word);
    if (entry->key_size)
        memcpy(to + 8, entry->key, entry->key_size);
    if (entry->value_size)
        memcpy(to + 8 + entry->key_size, entry->value, entry->value_size);
    part->raw.used_bytes += size;
    dynbi_part_count(part, entry, prefix_size, body_bytes, is_leaf);
    return DYNB_OK;
}

/* Counts everything anew from raw. */
static void dynbi_part_recount(dynbi_part *part, int is_leaf)
{
    const uint8_t *at = part->raw.bytes, *end = at + part->raw.used_bytes;
    dynbi_buffer raw = part->raw;
    memset(part, 0, sizeof *part);
    part->raw = raw;
    while (at < end) {
        dynbi_change entry;
        uint32_t word, prefix_size;
        uint64_t body_bytes;
        memset(&entry, 0, sizeof entry);
        at = dynbi_part_entry(at, is_leaf, &entry, &word);
        entry.is_tombstone = (int)(word & 1);
        body_bytes = dynbi_part_with(part, &entry, word, is_leaf, &prefix_size);
        dynbi_part_count(part, &entry, prefix_size, body_bytes, is_leaf);
    }
}

/* Moves entries from the end of the waiting part to the front of the open one,
 * until both hold about as much. Sizes are those of the nodes to be: with what
 * comes from the waiting part the open one may lose most of its prefix, and
 * must still be a node. */
static dynb_rc dynbi_level_even_out(dynbi_level *level, int is_leaf, uint32_t node_bytes,
                                    dynb_error *err)
{
    dynbi_part *waiting = &level->waiting, *open = &level->open;
    const uint8_t *at = waiting->raw.bytes, *end = at + waiting->raw.used_bytes;
    uint32_t prefix_size = dynbi_common_prefix(
        at + 8, open->raw.bytes + 8,
        waiting->prefix_size < open->prefix_size ? waiting->prefix_size : open->prefix_size);
    uint64_t half = (dynbi_part_size(waiting) + dynbi_part_size(open)) / 2, kept = 0;
    uint64_t open_body = dynbi_part_body(open, prefix_size, is_leaf) +
                         dynbi_part_body(waiting, prefix_size, is_leaf);
    uint32_t count = waiting->entry_count + open->entry_count, word;
    size_t moved;
    dynbi_change entry;
    do {
        at = dynbi_part_entry(at, is_leaf, &entry, &word);
        kept += dynbi_part_entry_bytes(entry.key_size, waiting->prefix_size, word, is_leaf);
        open_body -= dynbi_part_entry_bytes(entry.key_size, prefix_size, word, is_leaf);
        --count;
    } while (at < end &&
             (kept < half || (dynbi_node_size(open_body, prefix_size) > node_bytes &&
                              (is_leaf || count > DYNBI_FANOUT_MIN))));
    moved = (size_t)(end - at);
    if (moved == 0)
        return DYNB_OK;
    if (!dynbi_buffer_reserve(&open->raw, moved))
        return dynbi_fail(err, DYNB_NO_MEMORY, "no memory for a node under construction");
    memmove(open->raw.bytes + moved, open->raw.bytes, open->raw.used_bytes);
    memcpy(open->raw.bytes, at, moved);
    open->raw.used_bytes += moved;
    waiting->raw.used_bytes -= moved;
    dynbi_part_recount(waiting, is_leaf);
    dynbi_part_recount(open, is_leaf);
    return DYNB_OK;
}

/* Writes the chunk out. */
static dynb_rc dynbi_fold_flush(dynbi_fold *fold, dynb_error *err)
{
    dynb_rc rc = DYNB_OK;
    if (fold->chunk.used_bytes == 0)
        return DYNB_OK;
    rc = dynbi_disk_write(fold->output.disk, fold->chunk_pos, fold->chunk.bytes,
                          fold->chunk.used_bytes);
    if (rc == DYNB_OK && fold->output.sync_chunks)
        rc = dynbi_disk_sync(fold->output.disk);
    fold->written_bytes += fold->chunk.used_bytes;
    fold->chunk.used_bytes = 0;
    if (rc != DYNB_OK) {
        fold->write_failed = 1;
        return dynbi_fail_at(err, DYNB_IO_FAILED, fold->chunk_pos,
                             "the device failed to write tree nodes at %u", fold->chunk_pos);
    }
    return DYNB_OK;
}

/* Encodes a part as a node of `size` bytes in zeroed memory. */
static void dynbi_part_encode(const dynbi_part *part, uint32_t level, uint8_t *to, size_t size)
{
    int is_leaf = level == 0;
    uint32_t count = part->entry_count, prefix_size = part->prefix_size, i, word;
    uint8_t *heads = to + DYNBI_NODE_HEAD_BYTES + ((prefix_size + 7u) & ~7u);
    uint8_t *offsets = heads + 8 * (size_t)count;
    uint8_t *entries = offsets + 2 * (size_t)count;
    uint8_t *at = entries;
    const uint8_t *from = part->raw.bytes;
    dynbi_change entry;
    dynbi_store16(to, (uint16_t)count);
    to[2] = (uint8_t)level;
    dynbi_store32(to + 4, (uint32_t)size);
    dynbi_store16(to + 8, (uint16_t)prefix_size);
    memcpy(to + DYNBI_NODE_HEAD_BYTES, from + 8, prefix_size);
    for (i = 0; i < count; ++i) {
        uint32_t suffix_size;
        const uint8_t *suffix;
        from = dynbi_part_entry(from, is_leaf, &entry, &word);
        suffix = entry.key + prefix_size;
        suffix_size = entry.key_size - prefix_size;
        DYNBI_ASSERT(at - entries <= 0xffff);
        dynbi_store64(heads + 8 * (size_t)i, dynbi_head_of(suffix, suffix_size));
        dynbi_store16(offsets + 2 * (size_t)i, (uint16_t)(at - entries));
        at = dynbi_varint_store(at, suffix_size);
        if (suffix_size > 8) {
            memcpy(at, suffix + 8, suffix_size - 8);
            at += suffix_size - 8;
        }
        if (is_leaf)
            at = dynbi_varint_store(at, word);
        if (entry.value_size)
            memcpy(at, entry.value, entry.value_size);
        at += entry.value_size;
    }
    DYNBI_ASSERT((size_t)(at - to) == size);
    (void)size;
}

/* Turns a part into a node in the chunk; *out points at it. */
static dynb_rc dynbi_fold_emit(dynbi_fold *fold, uint32_t level, const dynbi_part *part,
                               dynbi_root *out, dynb_error *err)
{
    uint32_t page_bytes = fold->output.disk->page_bytes;
    size_t size = (size_t)dynbi_part_size(part);
    size_t room = (size + page_bytes - 1) / page_bytes * page_bytes;
    uint64_t pos;
    uint8_t *to;
    dynb_rc rc;
    DYNBI_ASSERT(part->entry_count > 0 && part->entry_count <= 0xffff);
    out->page_count = (uint32_t)(room / page_bytes);
    out->page = fold->output.allocate_fn(fold->output.ctx, out->page_count);
    if (out->page == DYNBI_PAGE_NO_MEMORY)
        return dynbi_fail(err, DYNB_NO_MEMORY, "no memory for the map of pages");
    if (out->page == DYNBI_PAGE_NONE)
        return dynbi_fail(err, DYNB_NO_SPACE, "the device has no %u free pages in a row",
                          (uint64_t)out->page_count);
    pos = (uint64_t)out->page * page_bytes;
    if (fold->chunk.used_bytes && (fold->chunk_pos + fold->chunk.used_bytes != pos ||
                                   fold->chunk.used_bytes + room > fold->output.chunk_bytes)) {
        rc = dynbi_fold_flush(fold, err);
        if (rc != DYNB_OK)
            return rc;
    }
    if (!dynbi_buffer_reserve(&fold->chunk, room))
        return dynbi_fail(err, DYNB_NO_MEMORY, "no memory to encode a node of %u bytes",
                          (uint64_t)room);
    if (fold->chunk.used_bytes == 0)
        fold->chunk_pos = pos;
    to = fold->chunk.bytes + fold->chunk.used_bytes;
    memset(to, 0, room);
    dynbi_part_encode(part, level, to, size);
    fold->chunk.used_bytes += room;
    out->sum = dynbi_crc32c(0, to, size);
    out->level = level;
    out->entry_count = part->total_entries;
    out->byte_count = part->total_bytes;
    return DYNB_OK;
}

/* The entry that stands for a node one level up; pointer holds its value. */
static dynbi_change dynbi_fold_pointer(const dynbi_part *part, const dynbi_root *root,
                                       uint8_t pointer[DYNBI_POINTER_BYTES])
{
    dynbi_change entry;
    memset(&entry, 0, sizeof entry);
    dynbi_root_store(pointer, root);
    entry.key_size = dynbi_load32(part->raw.bytes);
    entry.key = part->raw.bytes + 8;
    entry.value = pointer;
    entry.value_size = DYNBI_POINTER_BYTES;
    return entry;
}

/* Adds an entry to a level. When that fills a node, the one that waited is
 * emitted and its pointer inserted one level up: recursion up to
 * DYNBI_LEVELS. */
static dynb_rc dynbi_fold_insert(dynbi_fold *fold, uint32_t number, const dynbi_change *entry,
                                 dynb_error *err)
{
    dynbi_level *level = &fold->level[number];
    dynbi_part swap;
    int is_full;
    dynb_rc rc;
    if (number + 1 >= DYNBI_LEVELS)
        return dynbi_fail(err, DYNB_CORRUPT, "a tree grew to %u levels", (uint64_t)DYNBI_LEVELS);
    rc = dynbi_part_add(&level->open, entry, number == 0, fold->output.node_bytes, &is_full, err);
    if (rc != DYNB_OK || !is_full)
        return rc;
    if (level->waiting.entry_count) {
        uint8_t bytes[DYNBI_POINTER_BYTES];
        dynbi_change pointer;
        dynbi_root root;
        rc = dynbi_fold_emit(fold, number, &level->waiting, &root, err);
        if (rc != DYNB_OK)
            return rc;
        pointer = dynbi_fold_pointer(&level->waiting, &root, bytes);
        rc = dynbi_fold_insert(fold, number + 1, &pointer, err);
        if (rc != DYNB_OK)
            return rc;
        dynbi_part_clear(&level->waiting);
    }
    swap = level->waiting;
    level->waiting = level->open;
    level->open = swap;
    return dynbi_part_add(&level->open, entry, number == 0, fold->output.node_bytes, &is_full,
                          err);
}

/* Emits all that a level holds. */
static dynb_rc dynbi_fold_close_level(dynbi_fold *fold, uint32_t number, dynb_error *err)
{
    dynbi_level *level = &fold->level[number];
    uint32_t i;
    dynb_rc rc = DYNB_OK;
    DYNBI_ASSERT(level->open.entry_count || !level->waiting.entry_count);
    if (level->waiting.entry_count &&
        dynbi_part_size(&level->open) < fold->output.node_bytes / 2)
        rc = dynbi_level_even_out(level, number == 0, fold->output.node_bytes, err);
    for (i = 0; rc == DYNB_OK && i < 2; ++i) {
        dynbi_part *part = i == 0 ? &level->waiting : &level->open;
        uint8_t bytes[DYNBI_POINTER_BYTES];
        dynbi_change pointer;
        dynbi_root root;
        if (!part->entry_count)
            continue;
        rc = dynbi_fold_emit(fold, number, part, &root, err);
        if (rc == DYNB_OK) {
            pointer = dynbi_fold_pointer(part, &root, bytes);
            rc = dynbi_fold_insert(fold, number + 1, &pointer, err);
        }
        if (rc == DYNB_OK)
            dynbi_part_clear(part);
    }
    return rc;
}

/* Adds an entry to the leaf under construction. */
static dynb_rc dynbi_fold_add(dynbi_fold *fold, const dynbi_change *change, dynb_error *err)
{
    if (change->is_tombstone && fold->drop_tombstones)
        return DYNB_OK;
    DYNBI_ASSERT(change->value_size <= DYNBI_VALUE_MAX);
    return dynbi_fold_insert(fold, 0, change, err);
}

/* The subtree's right neighbour becomes the subtree; then what bounds it. */
static void dynbi_fold_advance(dynbi_fold *fold)
{
    memset(&fold->subtree, 0, sizeof fold->subtree);
    while (fold->open_count > 0) {
        uint32_t top = fold->open_count - 1;
        dynbi_node *node = &fold->open_node[top];
        if (fold->open_index[top] + 1u < node->entry_count) {
            ++fold->open_index[top];
            dynbi_node_child(node, fold->open_index[top], &fold->subtree);
            break;
        }
        dynbi_node_close(fold->reader, node);
        --fold->open_count;
    }
}

static dynb_rc dynbi_fold_find_bound(dynbi_fold *fold, dynb_error *err)
{
    uint32_t depth = fold->open_count;
    fold->has_bound = 0;
    while (depth > 0) {
        const dynbi_node *node = &fold->open_node[--depth];
        if (fold->open_index[depth] + 1u < node->entry_count) {
            fold->has_bound = 1;
            return dynbi_node_key_copy(node, fold->open_index[depth] + 1u, &fold->bound, err);
        }
    }
    return DYNB_OK;
}

/* Nonzero: the next newer change falls into the subtree. */
static int dynbi_fold_is_touched(const dynbi_fold *fold)
{
    if (!fold->has_change)
        return 0;
    return !fold->has_bound ||
           dynbi_key_compare(fold->change.key, fold->change.key_size, fold->bound.bytes,
                             fold->bound.used_bytes) < 0;
}

/* Reusing a subtree ends the nodes under construction below it; that must not
 * leave crumbs, else trees would decay. A crumb is filled from the subtree. */
static int dynbi_fold_can_reuse(const dynbi_fold *fold)
{
    uint32_t i;
    for (i = 0; i <= fold->subtree.level; ++i) {
        const dynbi_level *level = &fold->level[i];
        if (!level->waiting.entry_count && level->open.entry_count &&
            dynbi_part_size(&level->open) < fold->output.node_bytes / 4)
            return 0;
    }
    return fold->subtree.level + 2 < DYNBI_LEVELS;
}

/* Takes the subtree over as it is, keyed by its first key. */
static dynb_rc dynbi_fold_reuse(dynbi_fold *fold, dynb_error *err)
{
    uint32_t i, number = fold->subtree.level + 1;
    uint8_t pointer[DYNBI_POINTER_BYTES];
    dynbi_change entry;
    dynb_rc rc = DYNB_OK;
    for (i = 0; rc == DYNB_OK && i < number; ++i)
        rc = dynbi_fold_close_level(fold, i, err);
    if (rc != DYNB_OK)
        return rc;
    dynbi_root_store(pointer, &fold->subtree);
    memset(&entry, 0, sizeof entry);
    if (fold->open_count > 0) { /* else it is the whole tree, and stays so */
        uint32_t top = fold->open_count - 1;
        rc = dynbi_node_key_copy(&fold->open_node[top], fold->open_index[top], &fold->old_key,
                                 err);
        if (rc != DYNB_OK)
            return rc;
        entry.key_size = (uint32_t)fold->old_key.used_bytes;
    }
    entry.key = fold->old_key.bytes;
    entry.value = pointer;
    entry.value_size = DYNBI_POINTER_BYTES;
    rc = dynbi_fold_insert(fold, number, &entry, err);
    if (rc == DYNB_OK)
        dynbi_fold_advance(fold);
    return rc;
}

static dynb_rc dynbi_fold_take(dynbi_fold *fold, dynb_error *err)
{
    dynb_rc rc = dynbi_fold_add(fold, &fold->change, err);
    if (rc == DYNB_OK)
        rc = fold->next_fn(fold->next_ctx, &fold->change, &fold->has_change, err);
    return rc;
}

/* One entry of an open leaf against the next newer change. */
static dynb_rc dynbi_fold_merge(dynbi_fold *fold, dynb_error *err)
{
    dynbi_leaf_entry old_entry;
    dynbi_change old_change;
    int order = 1, is_touched = dynbi_fold_is_touched(fold);
    dynb_rc rc;
    if (fold->leaf_index == fold->leaf.entry_count) {
        if (is_touched)
            return dynbi_fold_take(fold, err);
        dynbi_node_close(fold->reader, &fold->leaf);
        dynbi_fold_advance(fold);
        return DYNB_OK;
    }
    rc = dynbi_node_key_copy(&fold->leaf, fold->leaf_index, &fold->old_key, err);
    if (rc != DYNB_OK)
        return rc;
    if (is_touched)
        order = dynbi_key_compare(fold->change.key, fold->change.key_size, fold->old_key.bytes,
                                  fold->old_key.used_bytes);
    if (order <= 0) { /* on to the next only after success: a fold may go on after
                       * NO_SPACE, by ending early */
        rc = dynbi_fold_take(fold, err);
        fold->leaf_index += rc == DYNB_OK && order == 0;
        return rc;
    }
    dynbi_node_leaf_entry(&fold->leaf, fold->leaf_index, &old_entry);
    old_change.key = fold->old_key.bytes;
    old_change.key_size = (uint32_t)fold->old_key.used_bytes;
    old_change.value = old_entry.value;
    old_change.value_size = old_entry.value_size;
    old_change.is_tombstone = old_entry.is_tombstone;
    rc = dynbi_fold_add(fold, &old_change, err);
    fold->leaf_index += rc == DYNB_OK;
    return rc;
}

/* Opens the subtree: its first child becomes the subtree, or it is a leaf. */
static dynb_rc dynbi_fold_open(dynbi_fold *fold, dynb_error *err)
{
    dynb_rc rc;
    if (fold->subtree.level == 0) {
        rc = dynbi_node_open(fold->reader, &fold->subtree, &fold->leaf, err);
        fold->leaf_index = 0;
        return rc;
    }
    DYNBI_ASSERT(fold->open_count < DYNBI_LEVELS);
    rc = dynbi_node_open(fold->reader, &fold->subtree, &fold->open_node[fold->open_count], err);
    if (rc != DYNB_OK)
        return rc;
    fold->open_index[fold->open_count] = 0;
    dynbi_node_child(&fold->open_node[fold->open_count], 0, &fold->subtree);
    ++fold->open_count;
    return DYNB_OK;
}

/* Starts a fold whose first members, to next_ctx, are set (the rest zero). */
static dynb_rc dynbi_fold_start(dynbi_fold *fold, const dynbi_root *older, dynb_error *err)
{
    uint32_t i;
    for (i = 0; i < DYNBI_LEVELS; ++i) {
        fold->level[i].waiting.raw.allocator = fold->allocator;
        fold->level[i].open.raw.allocator = fold->allocator;
    }
    fold->chunk.allocator = fold->allocator;
    fold->subtree = *older;
    fold->bound.allocator = fold->allocator;
    fold->old_key.allocator = fold->allocator;
    return fold->next_fn(fold->next_ctx, &fold->change, &fold->has_change, err);
}

/* Works until about budget_bytes were gone through. *is_done: call finish. */
static dynb_rc dynbi_fold_step(dynbi_fold *fold, uint64_t budget_bytes, int *is_done,
                               dynb_error *err)
{
    uint64_t spent = 0;
    dynb_rc rc = DYNB_OK;
    *is_done = 0;
    while (rc == DYNB_OK && spent < budget_bytes) {
        if (fold->leaf.range.bytes) {
            spent += 32 + (fold->has_change ? fold->change.value_size : 0u);
            rc = dynbi_fold_merge(fold, err);
        } else if (!fold->subtree.page) {
            if (!fold->has_change) {
                *is_done = 1;
                return DYNB_OK;
            }
            spent += 64u + fold->change.key_size + fold->change.value_size;
            rc = dynbi_fold_take(fold, err);
        } else {
            spent += 512;
            rc = dynbi_fold_find_bound(fold, err);
            if (rc != DYNB_OK)
                return rc;
            if (!dynbi_fold_is_touched(fold) && dynbi_fold_can_reuse(fold))
                rc = dynbi_fold_reuse(fold, err);
            else
                rc = dynbi_fold_open(fold, err);
        }
    }
    return rc;
}

/* Takes no further change: what comes of the fold so far is complete up to the
 * key of the change it stands at, and as before from there on. */
static void dynbi_fold_end_early(dynbi_fold *fold)
{
    fold->has_ended_early = 1;
    fold->has_change = 0;
}

static int dynbi_level_is_empty(const dynbi_level *level)
{
    return level->waiting.entry_count == 0 && level->open.entry_count == 0;
}

/* Closes the nodes under construction and writes what is left; *root is the new
 * tree (page 0: it is empty). The caller syncs before anyone refers to it. */
static dynb_rc dynbi_fold_finish(dynbi_fold *fold, dynbi_root *root, dynb_error *err)
{
    uint32_t number, above;
    memset(root, 0, sizeof *root);
    for (number = 0; number < DYNBI_LEVELS; ++number) {
        dynbi_level *level = &fold->level[number];
        int is_top = 1;
        dynb_rc rc;
        if (dynbi_level_is_empty(level))
            continue;
        for (above = number + 1; above < DYNBI_LEVELS; ++above)
            is_top = is_top && dynbi_level_is_empty(&fold->level[above]);
        if (is_top && number > 0 && !level->waiting.entry_count && level->open.entry_count == 1) {
            const uint8_t *only = level->open.raw.bytes;
            dynbi_root_load(root, only + 8 + dynbi_load32(only));
            break;
        }
        rc = dynbi_fold_close_level(fold, number, err);
        if (rc != DYNB_OK)
            return rc;
    }
    return dynbi_fold_flush(fold, err);
}
/* ===========================================================================
 * 19 GENERATION
 *
 * The ordered changes of one table between two marks: several sorted sets (set
 * 0 the base table, then one per index) in one arena that is dropped whole.
 *
 *   set -> fork [ heads | separators | children ]           level 2
 *            |
 *          fork [ heads | separators | children ] ...       level 1
 *            |
 *   first  leaf [ heads | entries ] <-> leaf <-> ... leaf   level 0, last
 *
 *   heads[i]: 8 bytes of key i after the node's prefix, as a big-endian number,
 *             zero-filled; equal heads are decided by the keys themselves
 *   entry:    the struct, key bytes, value bytes, room for a longer value
 *
 * A B+tree of which nothing is ever removed: a deletion is a tombstone, and an
 * entry that a longer value displaces stays in the arena, so that separators
 * may point at it for good.
 *
 * Prefix. A node between two separators holds only keys that share what the
 * two separators share, and a key looked for comes there only if it shares
 * that too. So the prefix of a node needs no check: only the prefix of the
 * whole set does, once per call. Nodes on the two outer edges lie between a
 * separator and nothing; they use the set's prefix, and when a new key shortens
 * it they (alone) get new heads.
 *
 * Valid if and only if, for each set,
 *   (1) the keys rise along the leaves, which are linked in both directions,
 *   (2) separator i of a fork is above every key of child i-1 and not above
 *       any of child i; separator 0 is the fork's own lower bound (NULL: none),
 *   (3) all keys of a node share its first prefix_size bytes, and each head is
 *       the one above,
 *   (4) each node but the last of its level is at least half full.
 * (4) bounds the nodes that n changes can make: see ..._nodes_needed.
 *
 * Memory. Two chunks are open, the smaller rest first. What is asked for comes
 * from the first that has room, so that reserving n bytes needs just one open
 * chunk with n bytes left, whatever the sizes of the pieces. Nodes are carved
 * beforehand.
 *
 * Threads: a generation changes only under the handle's lock, as does the pool.
 * A frozen one is read without.
 *
 * Needs: UTIL, CODEC   Used by: LOG, STORE, TABLE, BACKUP
 * Exports: dynbi_pool_init, _trim, _free, dynbi_entry_key, _value,
 *   dynbi_generation_new, _free, _reserve, _put, _get, _seek, _seek_before,
 *   _current, _next, _prev
 * On error: only _new and _reserve can fail (no memory: NULL, 0), and then no
 *   change is visible; after _reserve a put cannot fail
 * ======================================================================== */

#if !defined(DYNBI_PREFETCH)
#if defined(__GNUC__)
#define DYNBI_PREFETCH(address) __builtin_prefetch(address)
#else
#define DYNBI_PREFETCH(address) ((void)(address))
#endif
#endif

/* Both even. A leaf has 952 bytes, a fork 968: four nodes to a 4 KiB chunk. */
#define DYNBI_LEAF_FANOUT 58u
#define DYNBI_FORK_FANOUT 40u
#define DYNBI_GENERATION_LEVELS 14u /* by (4), 29 * 20^12 entries */

/* A new run of nodes is that part of the leaves there are. */
#define DYNBI_NODE_RUN_DIVISOR 16u

/* A longer prefix is worth new heads when it frees this many bytes of them. */
#define DYNBI_PREFIX_STEP 4u

/* A place in the log: the state before the frame that comes next. */
typedef struct dynbi_log_mark {
    uint64_t pos;
    uint64_t lsn;
    uint64_t time_ms;
    uint32_t sum;
    uint32_t epoch;
} dynbi_log_mark;

typedef struct dynbi_chunk {
    struct dynbi_chunk *next;
    size_t size_bytes; /* with this header */
    size_t used_bytes; /* with this header; a multiple of 8 */
} dynbi_chunk;

#define DYNBI_CHUNK_HEADER ((sizeof(dynbi_chunk) + 7u) & ~(size_t)7u)

/* Chunks of the ordinary size wait here for the next generation: fresh memory
 * is slow. */
typedef struct dynbi_pool {
    const dynb_allocator *allocator;
    uint32_t chunk_bytes; /* size of an ordinary chunk */
    dynbi_chunk *free_chunks;
    uint64_t free_bytes; /* of free_chunks, <= keep_bytes */
    uint64_t keep_bytes;
} dynbi_pool;

typedef struct dynbi_entry {
    uint32_t key_size;
    uint32_t value_size;
    uint32_t capacity_bytes; /* room for the value, >= value_size */
    uint8_t is_tombstone;
} dynbi_entry; /* key bytes and value bytes follow */

typedef struct dynbi_generation_node {
    uint32_t prefix_size; /* what all keys share (not always all they share) */
    uint16_t count;
    uint16_t level; /* 0: a leaf */
} dynbi_generation_node;

typedef struct dynbi_leaf {
    dynbi_generation_node node; /* first, so that a dynbi_generation_node * can be cast */
    struct dynbi_leaf *previous;
    struct dynbi_leaf *next;
    uint64_t heads[DYNBI_LEAF_FANOUT];
    dynbi_entry *entries[DYNBI_LEAF_FANOUT];
} dynbi_leaf;

typedef struct dynbi_fork {
    dynbi_generation_node node;
    uint64_t heads[DYNBI_FORK_FANOUT];          /* [0] is not used */
    dynbi_entry *separators[DYNBI_FORK_FANOUT]; /* [0]: NULL on the left edge */
    dynbi_generation_node *children[DYNBI_FORK_FANOUT];
} dynbi_fork;

#define DYNBI_NODE_BYTES                                                                 \
    (((sizeof(dynbi_leaf) > sizeof(dynbi_fork) ? sizeof(dynbi_leaf) : sizeof(dynbi_fork)) + 7u) & \
     ~(size_t)7u)

typedef struct dynbi_generation_set {
    dynbi_generation_node *root; /* NULL: empty */
    dynbi_leaf *first;
    dynbi_leaf *last;
    const uint8_t *prefix; /* the first key that came */
    uint32_t prefix_size;  /* what every key shares with it */
    uint32_t height;       /* levels; 0: empty */
} dynbi_generation_set;

typedef struct dynbi_generation {
    dynbi_pool *pool;
    dynbi_generation_set *sets;
    dynbi_chunk *chunks;         /* all it holds */
    dynbi_chunk *open_chunks[2]; /* [0] has no more room than [1]; may be NULL */
    dynbi_leaf *free_nodes;      /* joined by next */
    uint32_t free_node_count;
    uint32_t height; /* of the highest set */
    uint32_t level_nodes[DYNBI_GENERATION_LEVELS]; /* nodes per level, all sets */
    uint32_t set_count;
    uint64_t entry_count;   /* tombstones too */
    uint64_t used_bytes;    /* all memory it holds */
    uint64_t content_bytes; /* keys and values in the sets, tombstones too */
    /* The fields below belong to STORE and BACKUP. */
    uint64_t first_lsn;
    uint64_t last_lsn;
    uint64_t last_time_ms;     /* of the frame last_lsn */
    uint64_t last_pos;         /* where it ends */
    dynbi_log_mark first_mark; /* where the log stood before its first change */
    int frozen; /* nonzero: never changed again */
    struct dynbi_generation *next;
} dynbi_generation;

/* Valid while the generation does not change. Before the first entry: index is
 * UINT32_MAX; after the last: index is the count of the last leaf. */
typedef struct dynbi_generation_cursor {
    const dynbi_leaf *leaf;   /* NULL: the set is empty */
    const dynbi_entry *entry; /* NULL: at either end */
    uint32_t index;
} dynbi_generation_cursor;

/* A key on its way down. */
typedef struct dynbi_probe {
    const uint8_t *key;
    uint32_t key_size;
    int found; /* set by a find: an equal key is there */
} dynbi_probe;

/* The way to a leaf: [level] is the fork at that level and the child taken. */
typedef struct dynbi_generation_path {
    dynbi_fork *forks[DYNBI_GENERATION_LEVELS];
    uint32_t indexes[DYNBI_GENERATION_LEVELS];
} dynbi_generation_path;

/* ------------------------------------------------------------- the pool -- */

static void dynbi_pool_init(dynbi_pool *pool, const dynb_allocator *allocator,
                            uint32_t chunk_bytes, uint64_t keep_bytes)
{
    DYNBI_ASSERT(chunk_bytes > DYNBI_CHUNK_HEADER);
    pool->allocator = allocator;
    pool->chunk_bytes = chunk_bytes & ~(uint32_t)7u;
    pool->free_chunks = NULL;
    pool->free_bytes = 0;
    pool->keep_bytes = keep_bytes;
}

/* Gives all kept chunks back to the allocator. */
static void dynbi_pool_trim(dynbi_pool *pool)
{
    while (pool->free_chunks) {
        dynbi_chunk *chunk = pool->free_chunks;
        pool->free_chunks = chunk->next;
        pool->free_bytes -= chunk->size_bytes;
        dynbi_free(pool->allocator, chunk, chunk->size_bytes);
    }
    DYNBI_ASSERT(pool->free_bytes == 0);
}

static void dynbi_pool_free(dynbi_pool *pool)
{
    dynbi_pool_trim(pool);
}

/* A chunk with room for that many bytes, or NULL. When memory is short the
 * kept chunks are given up first. */
static dynbi_chunk *dynbi_pool_take(dynbi_pool *pool, size_t room_bytes)
{
    dynbi_chunk *chunk = pool->free_chunks;
    size_t size_bytes = pool->chunk_bytes;

    if (room_bytes > (size_t)-1 - DYNBI_CHUNK_HEADER - 8u) {
        return NULL;
    }
    if (room_bytes + DYNBI_CHUNK_HEADER > size_bytes) {
        size_bytes = (room_bytes + DYNBI_CHUNK_HEADER + 7u) & ~(size_t)7u;
        chunk = NULL;
    }
    if (chunk) {
        pool->free_chunks = chunk->next;
        pool->free_bytes -= chunk->size_bytes;
    } else {
        chunk = (dynbi_chunk *)dynbi_allocate(pool->allocator, size_bytes);
        if (!chunk && pool->free_chunks) {
            dynbi_pool_trim(pool);
            chunk = (dynbi_chunk *)dynbi_allocate(pool->allocator, size_bytes);
        }
        if (!chunk) {
            return NULL;
        }
        chunk->size_bytes = size_bytes;
    }
    chunk->next = NULL;
    chunk->used_bytes = DYNBI_CHUNK_HEADER;
    return chunk;
}

static void dynbi_pool_give(dynbi_pool *pool, dynbi_chunk *chunk)
{
    if (chunk->size_bytes == pool->chunk_bytes &&
        pool->free_bytes + chunk->size_bytes <= pool->keep_bytes) {
        chunk->next = pool->free_chunks;
        pool->free_chunks = chunk;
        pool->free_bytes += chunk->size_bytes;
    } else {
        dynbi_free(pool->allocator, chunk, chunk->size_bytes);
    }
}

/* ------------------------------------------------------------ the arena -- */

static size_t dynbi_chunk_room(const dynbi_chunk *chunk)
{
    return chunk ? chunk->size_bytes - chunk->used_bytes : 0;
}

/* Keeps the smaller rest in front. */
static void dynbi_generation_order_chunks(dynbi_generation *generation)
{
    dynbi_chunk **open_chunks = generation->open_chunks;

    if (dynbi_chunk_room(open_chunks[0]) > dynbi_chunk_room(open_chunks[1])) {
        dynbi_chunk *chunk = open_chunks[0];
        open_chunks[0] = open_chunks[1];
        open_chunks[1] = chunk;
    }
}

/* Nonzero: pieces of that many bytes in total can be taken. */
static int dynbi_generation_reserve_bytes(dynbi_generation *generation, uint64_t bytes)
{
    dynbi_chunk *chunk;

    if (dynbi_chunk_room(generation->open_chunks[1]) >= bytes) {
        return 1;
    }
    if ((size_t)bytes != bytes) {
        return 0;
    }
    chunk = dynbi_pool_take(generation->pool, (size_t)bytes);
    if (!chunk) {
        return 0;
    }
    chunk->next = generation->chunks;
    generation->chunks = chunk;
    generation->used_bytes += chunk->size_bytes;
    generation->open_chunks[0] = chunk; /* the smaller rest is given up */
    dynbi_generation_order_chunks(generation);
    return 1;
}

/* Reserved memory, aligned to 8. bytes: a multiple of 8. */
static void *dynbi_generation_take_bytes(dynbi_generation *generation, size_t bytes)
{
    dynbi_chunk **open_chunks = generation->open_chunks;
    dynbi_chunk *chunk =
        dynbi_chunk_room(open_chunks[0]) >= bytes ? open_chunks[0] : open_chunks[1];
    uint8_t *memory;

    DYNBI_ASSERT(bytes % 8u == 0);
    DYNBI_ASSERT(dynbi_chunk_room(chunk) >= bytes);
    memory = (uint8_t *)(void *)chunk + chunk->used_bytes;
    chunk->used_bytes += bytes;
    dynbi_generation_order_chunks(generation);
    return memory;
}

/* Carves nodes until that many are free; 0 when memory is short. In a large
 * generation more are carved at a time, so that nodes share pages: a leaf among
 * entries costs an address translation at each visit (twice the time). */
static int dynbi_generation_reserve_nodes(dynbi_generation *generation, uint64_t count)
{
    uint64_t wanted_count = count;

    if (generation->free_node_count >= count) {
        return 1;
    }
    wanted_count += generation->level_nodes[0] / DYNBI_NODE_RUN_DIVISOR;
    while (generation->free_node_count < wanted_count) {
        dynbi_leaf *leaf;
        if (generation->free_node_count >= count &&
            dynbi_chunk_room(generation->open_chunks[1]) < DYNBI_NODE_BYTES) {
            break;
        }
        if (!dynbi_generation_reserve_bytes(generation, DYNBI_NODE_BYTES)) {
            return 0;
        }
        leaf = (dynbi_leaf *)dynbi_generation_take_bytes(generation, DYNBI_NODE_BYTES);
        leaf->next = generation->free_nodes;
        generation->free_nodes = leaf;
        ++generation->free_node_count;
    }
    return 1;
}

/* A free node, empty, counted at its level. */
static void *dynbi_generation_take_node(dynbi_generation *generation, uint32_t level)
{
    dynbi_leaf *leaf = generation->free_nodes;

    DYNBI_ASSERT(leaf != NULL && level < DYNBI_GENERATION_LEVELS);
    generation->free_nodes = leaf->next;
    --generation->free_node_count;
    ++generation->level_nodes[level];
    leaf->node.prefix_size = 0;
    leaf->node.count = 0;
    leaf->node.level = (uint16_t)level;
    return leaf;
}

/* The most nodes that so many changes can make. A node is made by a change
 * (level 0) or by one made below it; with all but the last node of a level half
 * full, a level of a set has at most below / half + 1 nodes. Above the height
 * of now all is new: there a set has a node only over two or more, so at most
 * half as many. */
static uint64_t dynbi_generation_nodes_needed(const dynbi_generation *generation,
                                              uint32_t change_count)
{
    uint64_t made = change_count;
    uint64_t below = generation->entry_count + change_count;
    uint64_t half = DYNBI_LEAF_FANOUT / 2u;
    uint64_t needed = 0;
    uint32_t level;

    for (level = 0; made > 0 && level < DYNBI_GENERATION_LEVELS; ++level) {
        uint64_t present = generation->level_nodes[level];
        uint64_t most = below / half + generation->set_count;
        uint64_t limit = most > present ? most - present : 0;
        if (level > generation->height) {
            limit = made / 2u;
        }
        made = made < limit ? made : limit;
        needed += made;
        below = present + made;
        half = DYNBI_FORK_FANOUT / 2u;
    }
    return needed;
}

/* ------------------------------------------------------ keys and search -- */

static const uint8_t *dynbi_entry_key(const dynbi_entry *entry)
{
    return (const uint8_t *)(const void *)(entry + 1);
}

static const uint8_t *dynbi_entry_value(const dynbi_entry *entry)
{
    return (const uint8_t *)(const void *)(entry + 1) + entry->key_size;
}

/* The 8 bytes of a key after the prefix, zero-filled, first byte highest. */
static uint64_t dynbi_generation_head(const uint8_t *key, uint32_t key_size,
                                      uint32_t prefix_size)
{
    uint32_t size = key_size - prefix_size;
    uint64_t head = 0;
    uint32_t i;

    DYNBI_ASSERT(key_size >= prefix_size);
    if (size >= 8u) {
        return dynbi_load64_be(key + prefix_size);
    }
    for (i = 0; i < size; ++i) {
        head |= (uint64_t)key[prefix_size + i] << (56u - 8u * i);
    }
    return head;
}

static uint32_t dynbi_generation_shared(const uint8_t *a, uint32_t a_size, const uint8_t *b,
                                        uint32_t b_size)
{
    uint32_t size = a_size < b_size ? a_size : b_size;
    uint32_t i = 0;

    while (i < size && a[i] == b[i]) {
        ++i;
    }
    return i;
}

/* Compares a key with an entry's, both known to share the first skip bytes. */
static int dynbi_generation_compare(const dynbi_probe *probe, const dynbi_entry *entry,
                                    uint32_t skip)
{
    uint32_t size = probe->key_size < entry->key_size ? probe->key_size : entry->key_size;
    int order = memcmp(probe->key + skip, dynbi_entry_key(entry) + skip, size - skip);

    if (order == 0 && probe->key_size != entry->key_size) {
        order = probe->key_size < entry->key_size ? -1 : 1;
    }
    return order;
}

/* Among entries low..high-1, whose heads equal the key's: see find. */
static uint32_t dynbi_generation_find_tied(dynbi_entry *const *entries, uint32_t low,
                                           uint32_t high, uint32_t prefix_size,
                                           dynbi_probe *probe)
{
    if (high - low > 1u) { /* fetch them side by side, not one after the other */
        uint32_t step = (high - low + 15u) / 16u;
        uint32_t i;
        for (i = low; i < high; i += step) {
            DYNBI_PREFETCH(entries[i]);
        }
    }
    while (low < high) {
        uint32_t middle = low + (high - low) / 2u;
        int order = dynbi_generation_compare(probe, entries[middle], prefix_size);
        if (order == 0) {
            probe->found = 1;
            return middle;
        }
        if (order > 0) {
            low = middle + 1u;
        } else {
            high = middle;
        }
    }
    return low;
}

/* Index of the first entry not below the key; probe->found: it is equal. */
static uint32_t dynbi_generation_find(const uint64_t *heads, dynbi_entry *const *entries,
                                      uint32_t count, uint32_t prefix_size, dynbi_probe *probe)
{
    uint64_t head = dynbi_generation_head(probe->key, probe->key_size, prefix_size);
    uint32_t rest = count;
    uint32_t low = 0;
    uint32_t high;

    while (rest > 1u) { /* a mask, as a branch would be mispredicted */
        uint32_t half = rest / 2u;
        low += half & (0u - (uint32_t)(heads[low + half - 1u] < head));
        rest -= half;
    }
    low += rest == 1u && heads[low] < head ? 1u : 0u;
    high = low;
    while (high < count && heads[high] == head) {
        ++high;
    }
    probe->found = 0;
    return dynbi_generation_find_tied(entries, low, high, prefix_size, probe);
}

static dynbi_leaf *dynbi_generation_as_leaf(dynbi_generation_node *node)
{
    DYNBI_ASSERT(node->level == 0);
    return (dynbi_leaf *)(void *)node;
}

static dynbi_fork *dynbi_generation_as_fork(dynbi_generation_node *node)
{
    DYNBI_ASSERT(node->level > 0 && node->count > 0);
    return (dynbi_fork *)(void *)node;
}

static void dynbi_generation_prefetch_node(const dynbi_generation_node *node)
{
    const uint8_t *bytes = (const uint8_t *)(const void *)node;
    uint32_t pos;

    for (pos = 0; pos < DYNBI_NODE_BYTES; pos += 64u) {
        DYNBI_PREFETCH(bytes + pos);
    }
}

/* The leaf where the key is or would be; the way there when path is not NULL.
 * The set is not empty, the key has its prefix. */
static dynbi_leaf *dynbi_generation_descend(const dynbi_generation_set *set, dynbi_probe *probe,
                                            dynbi_generation_path *path)
{
    dynbi_generation_node *node = set->root;

    while (node->level > 0) {
        dynbi_fork *fork = dynbi_generation_as_fork(node);
        uint32_t index = dynbi_generation_find(fork->heads + 1, fork->separators + 1,
                                               fork->node.count - 1u, node->prefix_size, probe);
        index += probe->found ? 1u : 0u;
        dynbi_generation_prefetch_node(fork->children[index]);
        if (path) {
            path->forks[node->level] = fork;
            path->indexes[node->level] = index;
        }
        DYNBI_ASSERT(fork->children[index]->level + 1u == node->level);
        node = fork->children[index];
    }
    return dynbi_generation_as_leaf(node);
}

/* ------------------------------------------------------------- prefixes -- */

/* Gives the node another prefix, and so new heads. */
static void dynbi_generation_set_prefix(dynbi_generation_node *node, uint32_t prefix_size)
{
    uint64_t *heads;
    dynbi_entry *const *entries;
    uint32_t i;

    if (node->level == 0) {
        dynbi_leaf *leaf = dynbi_generation_as_leaf(node);
        heads = leaf->heads;
        entries = leaf->entries;
    } else {
        dynbi_fork *fork = dynbi_generation_as_fork(node);
        heads = fork->heads;
        entries = fork->separators;
    }
    for (i = node->level > 0 ? 1u : 0u; i < node->count; ++i) {
        heads[i] = dynbi_generation_head(dynbi_entry_key(entries[i]), entries[i]->key_size,
                                         prefix_size);
    }
    node->prefix_size = prefix_size;
}

/* The node now lies between these two separators (NULL: an edge). */
static void dynbi_generation_narrow(dynbi_generation_node *node, const dynbi_entry *low,
                                    const dynbi_entry *high)
{
    uint32_t shared;

    if (!low || !high) {
        return; /* an edge node has the set's prefix already */
    }
    shared = dynbi_generation_shared(dynbi_entry_key(low), low->key_size, dynbi_entry_key(high),
                                     high->key_size);
    DYNBI_ASSERT(shared >= node->prefix_size);
    if (shared - node->prefix_size >= DYNBI_PREFIX_STEP) {
        dynbi_generation_set_prefix(node, shared);
    }
}

/* Shortens the prefix of the set, and with it that of the nodes on both edges:
 * in any other node keys share what its separators share, whatever comes. */
static void dynbi_generation_shorten(dynbi_generation_set *set, uint32_t prefix_size)
{
    uint32_t side;

    set->prefix_size = prefix_size;
    for (side = 0; side < 2u; ++side) {
        dynbi_generation_node *node = set->root;
        for (;;) {
            dynbi_fork *fork;
            if (node->prefix_size > prefix_size) {
                dynbi_generation_set_prefix(node, prefix_size);
            }
            if (node->level == 0) {
                break;
            }
            fork = dynbi_generation_as_fork(node);
            node = fork->children[side ? node->count - 1u : 0u];
        }
    }
}

static int dynbi_generation_has_prefix(const dynbi_generation_set *set, const uint8_t *key,
                                       uint32_t key_size)
{
    return key_size >= set->prefix_size && memcmp(key, set->prefix, set->prefix_size) == 0;
}

/* ------------------------------------------------------------- inserting -- */

/* The separator below, at or above which no key of the node at that level of
 * the path lies; NULL: none. */
static dynbi_entry *dynbi_generation_low(const dynbi_generation_set *set,
                                         const dynbi_generation_path *path, uint32_t level)
{
    if (level + 1u >= set->height) {
        return NULL;
    }
    return path->forks[level + 1u]->separators[path->indexes[level + 1u]];
}

static dynbi_entry *dynbi_generation_high(const dynbi_generation_set *set,
                                          const dynbi_generation_path *path, uint32_t level)
{
    uint32_t above;

    for (above = level + 1u; above < set->height; ++above) {
        const dynbi_fork *fork = path->forks[above];
        uint32_t index = path->indexes[above] + 1u;
        if (index < fork->node.count) {
            return fork->separators[index];
        }
    }
    return NULL;
}

static void dynbi_leaf_insert(dynbi_leaf *leaf, uint32_t index, dynbi_entry *entry)
{
    uint32_t moved_count = leaf->node.count - index;

    DYNBI_ASSERT(index <= leaf->node.count && leaf->node.count < DYNBI_LEAF_FANOUT);
    memmove(leaf->heads + index + 1, leaf->heads + index, moved_count * sizeof leaf->heads[0]);
    memmove(leaf->entries + index + 1, leaf->entries + index,
            moved_count * sizeof leaf->entries[0]);
    leaf->heads[index] =
        dynbi_generation_head(dynbi_entry_key(entry), entry->key_size, leaf->node.prefix_size);
    leaf->entries[index] = entry;
    ++leaf->node.count;
}

static void dynbi_fork_insert(dynbi_fork *fork, uint32_t index, dynbi_entry *separator,
                              dynbi_generation_node *child)
{
    uint32_t moved_count = fork->node.count - index;

    DYNBI_ASSERT(index <= fork->node.count && fork->node.count < DYNBI_FORK_FANOUT);
    memmove(fork->heads + index + 1, fork->heads + index, moved_count * sizeof fork->heads[0]);
    memmove(fork->separators + index + 1, fork->separators + index,
            moved_count * sizeof fork->separators[0]);
    memmove(fork->children + index + 1, fork->children + index,
            moved_count * sizeof fork->children[0]);
    fork->heads[index] = 0;
    if (index > 0) { /* head 0 is not used */
        fork->heads[index] = dynbi_generation_head(
            dynbi_entry_key(separator), separator->key_size, fork->node.prefix_size);
    }
    fork->separators[index] = separator;
    fork->children[index] = child;
    ++fork->node.count;
}

/* Moves the upper half of a full leaf to a new one and inserts the entry. At
 * the right end of the set nothing moves, so that rising keys leave full
 * leaves. Returns the new leaf. */
static dynbi_leaf *dynbi_leaf_split(dynbi_generation *generation, dynbi_generation_set *set,
                                    dynbi_leaf *leaf, uint32_t index, dynbi_entry *entry)
{
    dynbi_leaf *right = (dynbi_leaf *)dynbi_generation_take_node(generation, 0);
    uint32_t kept_count = DYNBI_LEAF_FANOUT / 2u;
    uint32_t moved_count = DYNBI_LEAF_FANOUT - kept_count;

    right->node.prefix_size = leaf->node.prefix_size;
    right->previous = leaf;
    right->next = leaf->next;
    if (leaf->next) {
        leaf->next->previous = right;
    } else {
        set->last = right;
    }
    leaf->next = right;
    if (!right->next && index == DYNBI_LEAF_FANOUT) {
        dynbi_leaf_insert(right, 0, entry);
        return right;
    }
    memcpy(right->heads, leaf->heads + kept_count, moved_count * sizeof leaf->heads[0]);
    memcpy(right->entries, leaf->entries + kept_count, moved_count * sizeof leaf->entries[0]);
    right->node.count = (uint16_t)moved_count;
    leaf->node.count = (uint16_t)kept_count;
    if (index <= kept_count) {
        dynbi_leaf_insert(leaf, index, entry);
    } else {
        dynbi_leaf_insert(right, index - kept_count, entry);
    }
    return right;
}

/* The same for a fork. Separator 0 of the new fork is its lower bound. */
static dynbi_fork *dynbi_fork_split(dynbi_generation *generation, dynbi_fork *fork,
                                    uint32_t index, dynbi_entry *separator,
                                    dynbi_generation_node *child,
                                    int is_last)
{
    dynbi_fork *right =
        (dynbi_fork *)dynbi_generation_take_node(generation, fork->node.level);
    uint32_t kept_count = DYNBI_FORK_FANOUT / 2u;
    uint32_t moved_count = DYNBI_FORK_FANOUT - kept_count;

    right->node.prefix_size = fork->node.prefix_size;
    if (is_last && index == DYNBI_FORK_FANOUT) {
        dynbi_fork_insert(right, 0, separator, child);
        return right;
    }
    memcpy(right->heads, fork->heads + kept_count, moved_count * sizeof fork->heads[0]);
    memcpy(right->separators, fork->separators + kept_count,
           moved_count * sizeof fork->separators[0]);
    memcpy(right->children, fork->children + kept_count, moved_count * sizeof fork->children[0]);
    right->node.count = (uint16_t)moved_count;
    fork->node.count = (uint16_t)kept_count;
    if (index <= kept_count) {
        dynbi_fork_insert(fork, index, separator, child);
    } else {
        dynbi_fork_insert(right, index - kept_count, separator, child);
    }
    return right;
}

/* A new root over the old one and its new right neighbour. */
static void dynbi_generation_grow(dynbi_generation *generation, dynbi_generation_set *set,
                                  dynbi_entry *separator, dynbi_generation_node *child)
{
    dynbi_fork *root = (dynbi_fork *)dynbi_generation_take_node(generation, set->height);

    root->node.prefix_size = set->prefix_size;
    dynbi_fork_insert(root, 0, NULL, set->root);
    dynbi_fork_insert(root, 1, separator, child);
    set->root = &root->node;
    ++set->height;
    if (set->height > generation->height) {
        generation->height = set->height;
    }
}

/* A full leaf: splits it, and the full forks above it. */
static void dynbi_generation_split(dynbi_generation *generation, dynbi_generation_set *set,
                                   const dynbi_generation_path *path, dynbi_leaf *leaf,
                                   uint32_t index, dynbi_entry *entry)
{
    dynbi_leaf *right_leaf = dynbi_leaf_split(generation, set, leaf, index, entry);
    dynbi_generation_node *left = &leaf->node;
    dynbi_generation_node *right = &right_leaf->node;
    dynbi_entry *separator = right_leaf->entries[0];
    uint32_t level;

    for (level = 0;; ++level) {
        dynbi_entry *high = dynbi_generation_high(set, path, level);
        dynbi_fork *fork;
        uint32_t at;
        dynbi_generation_narrow(left, dynbi_generation_low(set, path, level), separator);
        dynbi_generation_narrow(right, separator, high);
        if (level + 1u == set->height) {
            dynbi_generation_grow(generation, set, separator, right);
            return;
        }
        fork = path->forks[level + 1u];
        at = path->indexes[level + 1u] + 1u;
        if (fork->node.count < DYNBI_FORK_FANOUT) {
            dynbi_fork_insert(fork, at, separator, right);
            return;
        }
        left = &fork->node;
        fork = dynbi_fork_split(generation, fork, at, separator, right, high == NULL);
        right = &fork->node;
        separator = fork->separators[0];
    }
}

/* Copies key and value into the arena. spare_bytes: room for longer values. */
static dynbi_entry *dynbi_generation_take_entry(dynbi_generation *generation,
                                                const dynbi_probe *probe, const uint8_t *value,
                                                uint32_t value_size, uint32_t spare_bytes)
{
    size_t size = sizeof(dynbi_entry) + probe->key_size + value_size + spare_bytes;
    dynbi_entry *entry;
    uint8_t *bytes;

    size = (size + 7u) & ~(size_t)7u;
    entry = (dynbi_entry *)dynbi_generation_take_bytes(generation, size);
    entry->key_size = probe->key_size;
    entry->value_size = value_size;
    entry->capacity_bytes = (uint32_t)(size - sizeof(dynbi_entry) - probe->key_size);
    bytes = (uint8_t *)(void *)(entry + 1);
    if (probe->key_size > 0) {
        memcpy(bytes, probe->key, probe->key_size);
    }
    if (value_size > 0) {
        memcpy(bytes + probe->key_size, value, value_size);
    }
    return entry;
}

/* Replaces the value of the entry in that slot. A value that outgrows its room
 * gets some more, so that an item that grows step by step is not copied, and
 * its old place lost, at each step. */
static void dynbi_generation_replace(dynbi_generation *generation, dynbi_entry **slot,
                                     const dynbi_probe *probe, const uint8_t *value,
                                     uint32_t value_size)
{
    dynbi_entry *entry = *slot;

    generation->content_bytes -= entry->value_size;
    generation->content_bytes += value_size;
    if (value_size > entry->capacity_bytes) {
        *slot = dynbi_generation_take_entry(generation, probe, value, value_size, value_size / 8u);
        return;
    }
    if (value_size > 0) {
        memmove((uint8_t *)(void *)(entry + 1) + entry->key_size, value, value_size);
    }
    entry->value_size = value_size;
}

/* The first entry of a set: one leaf, whose prefix is the whole key. */
static dynbi_leaf *dynbi_generation_plant(dynbi_generation *generation,
                                          dynbi_generation_set *set, dynbi_entry *entry)
{
    dynbi_leaf *leaf = (dynbi_leaf *)dynbi_generation_take_node(generation, 0);

    leaf->previous = NULL;
    leaf->next = NULL;
    leaf->node.prefix_size = entry->key_size;
    set->prefix = dynbi_entry_key(entry);
    set->prefix_size = entry->key_size;
    set->root = &leaf->node;
    set->first = leaf;
    set->last = leaf;
    set->height = 1;
    if (generation->height == 0) {
        generation->height = 1;
    }
    return leaf;
}

/* --------------------------------------------------------------- exports -- */

/* An empty generation, or NULL: no memory. */
static dynbi_generation *dynbi_generation_new(dynbi_pool *pool, uint32_t set_count)
{
    size_t size = sizeof(dynbi_generation) + set_count * sizeof(dynbi_generation_set);
    dynbi_generation *generation = (dynbi_generation *)dynbi_allocate(pool->allocator, size);

    DYNBI_ASSERT(set_count > 0 && set_count < 65536u);
    if (!generation) {
        return NULL;
    }
    memset(generation, 0, size);
    generation->pool = pool;
    generation->sets = (dynbi_generation_set *)(void *)(generation + 1);
    generation->set_count = set_count;
    generation->used_bytes = size;
    return generation;
}

static void dynbi_generation_free(dynbi_generation *generation)
{
    dynbi_pool *pool;

    if (!generation) {
        return;
    }
    pool = generation->pool;
    while (generation->chunks) {
        dynbi_chunk *chunk = generation->chunks;
        generation->chunks = chunk->next;
        dynbi_pool_give(pool, chunk);
    }
    dynbi_free(pool->allocator, generation,
               sizeof(dynbi_generation) + generation->set_count * sizeof(dynbi_generation_set));
}

/* Nonzero: the next change_count puts, with keys and values of that many bytes
 * in total, cannot fail. It counts from now: reservations do not add up. */
static int dynbi_generation_reserve(dynbi_generation *generation, uint32_t change_count,
                                    uint64_t bytes)
{
    uint64_t overhead = (uint64_t)change_count * (sizeof(dynbi_entry) + 7u);
    uint64_t needed;

    DYNBI_ASSERT(!generation->frozen);
    if (bytes > UINT64_MAX / 4u) {
        return 0;
    }
    needed = bytes + bytes / 8u + overhead; /* an eighth: see replace */
    if (change_count != 1u || generation->free_node_count <= generation->height) {
        if (!dynbi_generation_reserve_nodes(
                generation, dynbi_generation_nodes_needed(generation, change_count))) {
            return 0;
        }
    }
    return dynbi_generation_reserve_bytes(generation, needed);
}

/* Inserts or replaces; reserved before, so it cannot fail. value may be that of
 * the entry replaced. */
static void dynbi_generation_put(dynbi_generation *generation, uint32_t set_index,
                                 const dynbi_change *change)
{
    const uint8_t *key = change->key, *value = change->value;
    uint32_t key_size = change->key_size, value_size = change->value_size;
    int is_tombstone = change->is_tombstone;
    dynbi_generation_set *set = &generation->sets[set_index];
    dynbi_generation_path path;
    dynbi_probe probe;
    dynbi_entry *entry;
    dynbi_leaf *leaf = NULL;
    uint32_t index = 0;

    DYNBI_ASSERT(set_index < generation->set_count && !generation->frozen);
    probe.key = key;
    probe.key_size = key_size;
    probe.found = 0;
    if (set->root && !dynbi_generation_has_prefix(set, key, key_size)) {
        dynbi_generation_shorten(
            set, dynbi_generation_shared(key, key_size, set->prefix, set->prefix_size));
    }
    if (set->root) {
        leaf = dynbi_generation_descend(set, &probe, &path);
        index = dynbi_generation_find(leaf->heads, leaf->entries, leaf->node.count,
                                      leaf->node.prefix_size, &probe);
        if (probe.found) {
            dynbi_generation_replace(generation, &leaf->entries[index], &probe, value, value_size);
            leaf->entries[index]->is_tombstone = (uint8_t)(is_tombstone != 0);
            return;
        }
    }
    entry = dynbi_generation_take_entry(generation, &probe, value, value_size, 0);
    entry->is_tombstone = (uint8_t)(is_tombstone != 0);
    ++generation->entry_count;
    generation->content_bytes += (uint64_t)key_size + value_size;
    if (!set->root) {
        dynbi_leaf_insert(dynbi_generation_plant(generation, set, entry), 0, entry);
    } else if (leaf->node.count < DYNBI_LEAF_FANOUT) {
        dynbi_leaf_insert(leaf, index, entry);
    } else {
        dynbi_generation_split(generation, set, &path, leaf, index, entry);
    }
}

/* The entry of that key, tombstones too; NULL: none. */
static const dynbi_entry *dynbi_generation_get(const dynbi_generation *generation,
                                               uint32_t set_index, const uint8_t *key,
                                               uint32_t key_size)
{
    const dynbi_generation_set *set = &generation->sets[set_index];
    dynbi_probe probe;
    const dynbi_leaf *leaf;
    uint32_t index;

    DYNBI_ASSERT(set_index < generation->set_count);
    if (!set->root || !dynbi_generation_has_prefix(set, key, key_size)) {
        return NULL;
    }
    probe.key = key;
    probe.key_size = key_size;
    probe.found = 0;
    leaf = dynbi_generation_descend(set, &probe, NULL);
    index = dynbi_generation_find(leaf->heads, leaf->entries, leaf->node.count,
                                  leaf->node.prefix_size, &probe);
    return probe.found ? leaf->entries[index] : NULL;
}

/* Sets leaf and index to the first entry >= key; index may be the count. */
static void dynbi_generation_locate(dynbi_generation_cursor *cursor,
                                    const dynbi_generation_set *set, const uint8_t *key,
                                    uint32_t key_size)
{
    dynbi_probe probe;
    uint32_t size = key_size < set->prefix_size ? key_size : set->prefix_size;
    int order = memcmp(key, set->prefix, size);

    if (order < 0 || (order == 0 && key_size < set->prefix_size)) {
        cursor->leaf = set->first;
        cursor->index = 0;
        return;
    }
    if (order > 0) {
        cursor->leaf = set->last;
        cursor->index = set->last->node.count;
        return;
    }
    probe.key = key;
    probe.key_size = key_size;
    probe.found = 0;
    cursor->leaf = dynbi_generation_descend(set, &probe, NULL);
    cursor->index =
        dynbi_generation_find(cursor->leaf->heads, cursor->leaf->entries,
                              cursor->leaf->node.count, cursor->leaf->node.prefix_size, &probe);
}

/* At the first entry >= key; key NULL: the first. */
static void dynbi_generation_seek(dynbi_generation_cursor *cursor,
                                  const dynbi_generation *generation, uint32_t set_index,
                                  const uint8_t *key, uint32_t key_size)
{
    const dynbi_generation_set *set = &generation->sets[set_index];

    DYNBI_ASSERT(set_index < generation->set_count);
    cursor->leaf = set->first;
    cursor->entry = NULL;
    cursor->index = 0;
    if (!set->root) {
        return;
    }
    if (key) {
        dynbi_generation_locate(cursor, set, key, key_size);
    }
    if (cursor->index == cursor->leaf->node.count && cursor->leaf->next) {
        cursor->leaf = cursor->leaf->next;
        cursor->index = 0;
    }
    if (cursor->index < cursor->leaf->node.count) {
        cursor->entry = cursor->leaf->entries[cursor->index];
    }
}

static void dynbi_generation_prev(dynbi_generation_cursor *cursor)
{
    const dynbi_leaf *leaf = cursor->leaf;

    if (!leaf || cursor->index == UINT32_MAX) {
        return;
    }
    if (cursor->index == 0 && leaf->previous) {
        leaf = leaf->previous;
        cursor->leaf = leaf;
        cursor->index = leaf->node.count;
    }
    --cursor->index; /* 0 becomes UINT32_MAX: before the first */
    cursor->entry = cursor->index == UINT32_MAX ? NULL : leaf->entries[cursor->index];
    if (cursor->index != UINT32_MAX && cursor->index >= 8u) {
        DYNBI_PREFETCH(leaf->entries[cursor->index - 8u]);
    }
}

/* At the last entry < key; key NULL: the very last. */
static void dynbi_generation_seek_before(dynbi_generation_cursor *cursor,
                                         const dynbi_generation *generation, uint32_t set_index,
                                         const uint8_t *key, uint32_t key_size)
{
    const dynbi_generation_set *set = &generation->sets[set_index];

    DYNBI_ASSERT(set_index < generation->set_count);
    cursor->leaf = set->last;
    cursor->entry = NULL;
    cursor->index = 0;
    if (!set->root) {
        return;
    }
    cursor->index = set->last->node.count;
    if (key) {
        dynbi_generation_locate(cursor, set, key, key_size);
    }
    dynbi_generation_prev(cursor);
}

/* NULL at either end; from there the other direction leads back. */
static const dynbi_entry *dynbi_generation_current(const dynbi_generation_cursor *cursor)
{
    return cursor->entry;
}

static void dynbi_generation_next(dynbi_generation_cursor *cursor)
{
    const dynbi_leaf *leaf = cursor->leaf;
    uint32_t index = cursor->index + 1u; /* UINT32_MAX: before the first */

    if (!leaf || cursor->index == leaf->node.count) {
        return;
    }
    if (index == leaf->node.count && leaf->next) {
        leaf = leaf->next;
        cursor->leaf = leaf;
        index = 0;
    }
    cursor->index = index;
    cursor->entry = index < leaf->node.count ? leaf->entries[index] : NULL;
    if (index + 8u < leaf->node.count) {
        DYNBI_PREFETCH(leaf->entries[index + 8u]);
    }
}

/* ===========================================================================
 * 20 SNAPSHOT
 *
 * A snapshot is a list of runs, newest first; a run is one immutable tree that
 * holds the changes of a range of LSNs. What a reader sees is a view: the
 * generations, newest first, then the runs.
 *
 *     generations                    runs
 *     active -> frozen -> frozen     [70..90] [40..70] [0..40]
 *     newest ------------------------------------------> oldest
 *
 * A snapshot is valid if and only if (1) each run's from_lsn is the to_lsn of
 * the next older one, and the oldest starts at 0 or where the table did, (2)
 * from_lsn <= to_lsn, (3) the newest run ends at the snapshot's LSN, (4) only
 * the oldest run has no tombstones to keep.
 *
 * Needs: TREE, GENERATION   Used by: STORE, TABLE, BACKUP
 * Exports: dynbi_runs_*, dynbi_view_get, dynbi_merge_*, dynbi_compare_*
 * On error: what reading trees gives.
 * ======================================================================== */

typedef struct dynbi_run {
    uint64_t from_lsn; /* holds changes after this */
    uint64_t to_lsn;   /* and up to this */
    dynbi_root root;
    int is_counted;      /* the deltas below are exact */
    uint64_t item_delta; /* items added less items removed, modulo 2^64 */
    uint64_t byte_delta; /* likewise of their sizes */
} dynbi_run;

/* Immutable once made: a change makes a new list, so a builder may go on
 * reading the one it took. */
typedef struct dynbi_runs {
    uint32_t count;
    dynbi_run *run; /* newest first */
} dynbi_runs;

static void dynbi_runs_free(const dynb_allocator *allocator, dynbi_runs *runs)
{
    dynbi_free(allocator, runs->run, runs->count * sizeof(dynbi_run));
    runs->run = NULL;
    runs->count = 0;
}

static int dynbi_runs_make(const dynb_allocator *allocator, uint32_t count, dynbi_runs *out)
{
    out->count = 0;
    out->run = NULL;
    if (count == 0)
        return 1;
    out->run = (dynbi_run *)dynbi_allocate(allocator, count * sizeof(dynbi_run));
    if (!out->run)
        return 0;
    memset(out->run, 0, count * sizeof(dynbi_run));
    out->count = count;
    return 1;
}

static int dynbi_runs_copy(const dynb_allocator *allocator, const dynbi_runs *from,
                           dynbi_runs *out)
{
    if (!dynbi_runs_make(allocator, from->count, out))
        return 0;
    if (from->count)
        memcpy(out->run, from->run, from->count * sizeof(dynbi_run));
    return 1;
}

/* A copy in which [first, first + length) is replaced by one run; length 0 puts
 * it in front of `first`. A run without a tree is kept only where it must
 * tile. */
static int dynbi_runs_replace(const dynb_allocator *allocator, const dynbi_runs *from,
                              uint32_t first, uint32_t length, const dynbi_run *run,
                              dynbi_runs *out)
{
    uint32_t tail = from->count - first - length;
    DYNBI_ASSERT(first + length <= from->count);
    if (!dynbi_runs_make(allocator, from->count - length + 1, out))
        return 0;
    if (first)
        memcpy(out->run, from->run, first * sizeof(dynbi_run));
    out->run[first] = *run;
    if (tail)
        memcpy(out->run + first + 1, from->run + first + length, tail * sizeof(dynbi_run));
    return 1;
}

/* Exact totals; zero when a run is not counted yet. */
static int dynbi_runs_totals(const dynbi_runs *runs, uint64_t *items, uint64_t *bytes)
{
    uint32_t i;
    *items = *bytes = 0;
    for (i = 0; i < runs->count; ++i) {
        if (!runs->run[i].is_counted)
            return 0;
        *items += runs->run[i].item_delta;
        *bytes += runs->run[i].byte_delta;
    }
    return 1;
}

static int dynbi_runs_are_tiled(const dynbi_runs *runs, uint64_t lsn)
{
    uint32_t i;
    for (i = 0; i < runs->count; ++i) {
        if (runs->run[i].to_lsn != lsn || runs->run[i].from_lsn > lsn)
            return 0;
        lsn = runs->run[i].from_lsn;
    }
    return 1;
}

/* How much a run weighs when deciding what to fold; an entry without bytes (a
 * tombstone) is work as well. */
static uint64_t dynbi_run_weight(const dynbi_run *run)
{
    return run->root.byte_count + 64 * run->root.entry_count;
}

#define DYNBI_TIER_RUNS 4u  /* that many runs of like size become one; like: */
                            /* the largest is no more than the others
                             * together */
#define DYNBI_BASE_RATIO 8u /* the oldest takes the others in at 1/8 its size */
#define DYNBI_RUNS_MAX 24u  /* reads stay bounded, whatever the sizes */

/* Which runs to fold into one: [*first, *first + *length). Zero: none.
 * While changes keep coming, tiers of like runs; when idle, all but the oldest
 * into one, and that into the oldest once it is worth rewriting it. */
static int dynbi_runs_choose(const dynbi_runs *runs, int is_idle, uint32_t *first,
                             uint32_t *length)
{
    uint32_t i, j;
    uint64_t newer = 0, least = 0;
    *first = *length = 0;
    for (i = 0; i + DYNBI_TIER_RUNS <= runs->count; ++i) {
        uint64_t largest = 0, sum = 0;
        for (j = i; j < i + DYNBI_TIER_RUNS; ++j) {
            uint64_t weight = dynbi_run_weight(&runs->run[j]);
            largest = weight > largest ? weight : largest;
            sum += weight;
        }
        if (largest * 2 <= sum) {
            *first = i;
            *length = DYNBI_TIER_RUNS;
            return 1;
        }
        if (runs->count > DYNBI_RUNS_MAX && (*length == 0 || sum < least)) {
            *first = i; /* the cheapest, else the newest would be rewritten again and again */
            *length = DYNBI_TIER_RUNS;
            least = sum;
        }
    }
    if (*length)
        return 1;
    if (runs->count < 2)
        return 0;
    for (i = 0; i + 1 < runs->count; ++i)
        newer += dynbi_run_weight(&runs->run[i]);
    if (newer * DYNBI_BASE_RATIO >= dynbi_run_weight(&runs->run[runs->count - 1])) {
        *length = runs->count;
        return is_idle;
    }
    *length = runs->count - 1;
    return is_idle && runs->count > 2;
}

/* --- reading --- */

typedef struct dynbi_view {
    const dynbi_generation *newest; /* linked by next towards older ones */
    uint32_t set;                   /* in the generations; some may be without it */
    dynbi_runs runs;
} dynbi_view;

/* The first generation from this one on that has the view's set, or NULL. */
static const dynbi_generation *dynbi_view_generation(const dynbi_view *view,
                                                     const dynbi_generation *generation)
{
    while (generation && generation->set_count <= view->set)
        generation = generation->next;
    return generation;
}

/* What the view holds for a key. After DYNB_OK with is_there: close
 * found->leaf, which is nothing to do for a change in memory. */
static dynb_rc dynbi_view_get(dynbi_reader *reader, const dynbi_view *view, const uint8_t *key,
                              uint32_t key_size, dynbi_found *found, dynb_error *err)
{
    const dynbi_generation *generation;
    uint32_t i;
    memset(&found->leaf.range, 0, sizeof found->leaf.range);
    for (generation = dynbi_view_generation(view, view->newest); generation;
         generation = dynbi_view_generation(view, generation->next)) {
        const dynbi_entry *entry = dynbi_generation_get(generation, view->set, key, key_size);
        if (entry) {
            found->value = dynbi_entry_value(entry);
            found->value_size = entry->value_size;
            found->is_tombstone = entry->is_tombstone;
            found->is_there = 1;
            return DYNB_OK;
        }
    }
    found->is_there = 0;
    for (i = 0; i < view->runs.count && !found->is_there; ++i) {
        dynb_rc rc = dynbi_tree_get(reader, &view->runs.run[i].root, key, key_size, found, err);
        if (rc != DYNB_OK)
            return rc;
    }
    return DYNB_OK;
}

/* --- merge: several sorted sources as one, the newest winning --- */

typedef struct dynbi_source {
    int is_tree;
    int has_change;
    dynbi_generation_cursor generation;
    dynbi_tree_cursor tree;
    dynbi_change change;
} dynbi_source;

typedef struct dynbi_merge {
    const dynb_allocator *allocator;
    dynbi_reader *reader;
    dynbi_source *source; /* newest first */
    uint32_t source_count;
    uint32_t winner; /* index of the source at hand; source_count: none */
    int backwards;
    const dynbi_view *view; /* the caller's, unchanged while the merge lives */
} dynbi_merge;

static void dynbi_merge_free(dynbi_merge *merge)
{
    uint32_t i;
    for (i = 0; i < merge->source_count; ++i) {
        if (merge->source[i].is_tree)
            dynbi_tree_cursor_free(&merge->source[i].tree);
    }
    dynbi_free(merge->allocator, merge->source, merge->source_count * sizeof(dynbi_source));
    memset(merge, 0, sizeof *merge);
}

/* Prepares reading a view; then seek. After a failure: free it all the same. */
static dynb_rc dynbi_merge_init(dynbi_merge *merge, dynbi_reader *reader, const dynbi_view *view,
                                dynb_error *err)
{
    const dynbi_generation *generation;
    uint32_t i, count = view->runs.count;
    memset(merge, 0, sizeof *merge);
    merge->allocator = reader->allocator;
    merge->reader = reader;
    merge->view = view;
    for (generation = dynbi_view_generation(view, view->newest); generation;
         generation = dynbi_view_generation(view, generation->next))
        ++count;
    if (count == 0)
        return DYNB_OK;
    merge->source = (dynbi_source *)dynbi_allocate(merge->allocator, count * sizeof(dynbi_source));
    if (!merge->source)
        return dynbi_fail(err, DYNB_NO_MEMORY, "no memory to read %u sources", (uint64_t)count);
    memset(merge->source, 0, count * sizeof(dynbi_source));
    merge->source_count = count;
    for (i = count - view->runs.count; i < count; ++i) {
        merge->source[i].is_tree = 1;
        dynbi_tree_cursor_init(&merge->source[i].tree, reader);
    }
    return DYNB_OK;
}

/* Takes in where a source's cursor stands. */
static void dynbi_source_load(dynbi_source *source)
{
    if (source->is_tree) {
        source->has_change = source->tree.is_at;
        source->change = source->tree.current;
    } else {
        const dynbi_entry *entry = dynbi_generation_current(&source->generation);
        source->has_change = entry != NULL;
        if (entry) {
            source->change.key = dynbi_entry_key(entry);
            source->change.key_size = entry->key_size;
            source->change.value = dynbi_entry_value(entry);
            source->change.value_size = entry->value_size;
            source->change.is_tombstone = entry->is_tombstone;
        }
    }
}

static dynb_rc dynbi_source_move(dynbi_source *source, int backwards, dynb_error *err)
{
    dynb_rc rc = DYNB_OK;
    if (source->is_tree)
        rc = dynbi_tree_move(&source->tree, backwards, err);
    else if (backwards)
        dynbi_generation_prev(&source->generation);
    else
        dynbi_generation_next(&source->generation);
    dynbi_source_load(source);
    return rc;
}

/* Finds the source with the next key; the newest of those that have it. */
static void dynbi_merge_choose(dynbi_merge *merge)
{
    uint32_t i;
    merge->winner = merge->source_count;
    for (i = 0; i < merge->source_count; ++i) {
        const dynbi_change *best, *change = &merge->source[i].change;
        int order;
        if (!merge->source[i].has_change)
            continue;
        if (merge->winner == merge->source_count) {
            merge->winner = i;
            continue;
        }
        best = &merge->source[merge->winner].change;
        order = dynbi_key_compare(change->key, change->key_size, best->key, best->key_size);
        if (merge->backwards ? order > 0 : order < 0)
            merge->winner = i;
    }
}

/* The change at hand, tombstones included, or NULL at the end. */
static const dynbi_change *dynbi_merge_current(const dynbi_merge *merge)
{
    return merge->winner < merge->source_count ? &merge->source[merge->winner].change : NULL;
}

/* Places the merge at the first key >= key, or backwards at the last < key; key
 * NULL: at the first or last. */
static dynb_rc dynbi_merge_seek(dynbi_merge *merge, const uint8_t *key, uint32_t key_size,
                                int backwards, dynb_error *err)
{
    const dynbi_generation *generation = dynbi_view_generation(merge->view, merge->view->newest);
    uint32_t i, run = 0;
    merge->backwards = backwards;
    for (i = 0; i < merge->source_count; ++i) {
        dynbi_source *source = &merge->source[i];
        dynb_rc rc = DYNB_OK;
        if (source->is_tree) {
            rc = dynbi_tree_seek(&source->tree, &merge->view->runs.run[run].root, key, key_size,
                                 backwards, err);
            ++run;
        } else {
            if (backwards)
                dynbi_generation_seek_before(&source->generation, generation, merge->view->set,
                                             key, key_size);
            else
                dynbi_generation_seek(&source->generation, generation, merge->view->set, key,
                                      key_size);
            generation = dynbi_view_generation(merge->view, generation->next);
        }
        if (rc != DYNB_OK)
            return rc;
        dynbi_source_load(source);
    }
    dynbi_merge_choose(merge);
    return DYNB_OK;
}

/* On to the next key; every source that holds the current one moves. */
static dynb_rc dynbi_merge_next(dynbi_merge *merge, dynb_error *err)
{
    dynbi_source *winner = &merge->source[merge->winner];
    uint32_t i;
    dynb_rc rc;
    DYNBI_ASSERT(merge->winner < merge->source_count);
    for (i = merge->winner + 1; i < merge->source_count; ++i) {
        dynbi_source *source = &merge->source[i];
        if (source->has_change &&
            dynbi_key_compare(source->change.key, source->change.key_size, winner->change.key,
                              winner->change.key_size) == 0) {
            rc = dynbi_source_move(source, merge->backwards, err);
            if (rc != DYNB_OK)
                return rc;
        }
    }
    rc = dynbi_source_move(winner, merge->backwards, err);
    if (merge->source_count == 1)
        merge->winner = winner->has_change ? 0 : 1;
    else
        dynbi_merge_choose(merge);
    return rc;
}

/* The merge as a fold's newer side. */
static dynb_rc dynbi_merge_feed(void *ctx, dynbi_change *change, int *has_change, dynb_error *err)
{
    dynbi_merge *merge = (dynbi_merge *)ctx;
    const dynbi_change *current;
    dynb_rc rc = DYNB_OK;
    if (*has_change)
        rc = dynbi_merge_next(merge, err);
    current = dynbi_merge_current(merge);
    *has_change = rc == DYNB_OK && current;
    if (*has_change)
        *change = *current;
    return rc;
}

/* --- compare: the keys at which two views may differ ---
 *
 * Both views are lists of sources, newest first: generations, then runs. Pair
 * them off without crossings: what both lists have itself (the same generation,
 * a run with the same root) and runs that start at the same LSN, for a fold
 * keeps where its oldest run starts:
 *
 *     old   [90..95]   [40..90] ---- [0..40]
 *                          |            |         | same root: skipped
 *     new        [40..110] +            +         - only a start in common:
 *                  pair: walked        same       walked side by side
 *
 * A key that no unpaired source holds, and that the two of each pair hold alike
 * or not at all, is answered alike by both views: the first source of one list
 * that holds it is paired with the first of the other that does. So candidates
 * are only the keys of unpaired sources, and those at which a pair differs. A
 * pair is walked side by side; a subtree that both trees share is passed over
 * unread, which is what makes the cost that of the changes. What a source that
 * stands at a candidate says of it is at hand; the others are looked into.
 */

/* One tree of a pair. The element at hand is an entry of the open leaf, or a
 * subtree that is not opened yet. */
typedef struct dynbi_walk {
    dynbi_reader *reader;
    dynbi_root root;
    dynbi_root way[DYNBI_LEVELS]; /* way[level]: the node opened at that level */
    uint32_t index[DYNBI_LEVELS]; /* the element of it on the way */
    uint32_t level;     /* of the open node, which the element is of */
    dynbi_node node;    /* pinned while range.bytes is not NULL */
    dynbi_root subtree; /* the element, if it is one: page not 0 */
    dynbi_buffer key;   /* the element's first; empty for the root */
    dynbi_leaf_entry entry;
    int is_at; /* zero: at the end */
} dynbi_walk;

static void dynbi_walk_init(dynbi_walk *walk, dynbi_reader *reader, const dynbi_root *root)
{
    memset(walk, 0, sizeof *walk);
    walk->reader = reader;
    walk->root = *root;
    walk->key.allocator = reader->allocator;
}

static void dynbi_walk_leave(dynbi_walk *walk)
{
    if (walk->node.range.bytes)
        dynbi_node_close(walk->reader, &walk->node);
}

static void dynbi_walk_free(dynbi_walk *walk)
{
    dynbi_walk_leave(walk);
    dynbi_buffer_free(&walk->key);
}

/* Takes in the element that index[level] of the open node is. */
static dynb_rc dynbi_walk_land(dynbi_walk *walk, dynb_error *err)
{
    const uint32_t index = walk->index[walk->level];
    dynb_rc rc = dynbi_node_key_copy(&walk->node, index, &walk->key, err);
    memset(&walk->subtree, 0, sizeof walk->subtree);
    if (rc != DYNB_OK)
        return rc;
    if (walk->level > 0)
        dynbi_node_child(&walk->node, index, &walk->subtree);
    else
        dynbi_node_leaf_entry(&walk->node, index, &walk->entry);
    walk->is_at = 1;
    return DYNB_OK;
}

/* Opens the subtree at hand: its first element is the one at hand now. */
static dynb_rc dynbi_walk_open(dynbi_walk *walk, dynb_error *err)
{
    dynb_rc rc;
    DYNBI_ASSERT(walk->is_at && walk->subtree.page);
    if (walk->subtree.level >= DYNBI_LEVELS)
        return dynbi_node_corrupt(walk->reader, &walk->subtree, err);
    dynbi_walk_leave(walk);
    walk->level = walk->subtree.level;
    walk->way[walk->level] = walk->subtree;
    walk->index[walk->level] = 0;
    rc = dynbi_node_open(walk->reader, &walk->subtree, &walk->node, err);
    return rc == DYNB_OK ? dynbi_walk_land(walk, err) : rc;
}

/* On to the next element: of the open node, else of the nearest above that has
 * one. The root as a whole has none after it. */
static dynb_rc dynbi_walk_next(dynbi_walk *walk, dynb_error *err)
{
    DYNBI_ASSERT(walk->is_at);
    walk->is_at = 0;
    if (!walk->node.range.bytes)
        return DYNB_OK; /* the roots of a pair differ, but a damaged one may hold the other */
    while (++walk->index[walk->level] == walk->node.entry_count) {
        dynb_rc rc;
        dynbi_walk_leave(walk);
        if (walk->level == walk->root.level)
            return DYNB_OK;
        ++walk->level;
        rc = dynbi_node_open(walk->reader, &walk->way[walk->level], &walk->node, err);
        if (rc != DYNB_OK)
            return rc;
    }
    return dynbi_walk_land(walk, err);
}

/* Goes to the root as a whole, or to the first entry >= key. */
static dynb_rc dynbi_walk_seek(dynbi_walk *walk, const uint8_t *key, uint32_t key_size,
                               dynb_error *err)
{
    int is_equal;
    dynb_rc rc = DYNB_OK;
    dynbi_walk_leave(walk);
    walk->key.used_bytes = 0;
    walk->subtree = walk->root;
    walk->is_at = walk->root.page != 0;
    if (!key || !walk->is_at)
        return DYNB_OK;
    while (rc == DYNB_OK && walk->subtree.page) {
        rc = dynbi_walk_open(walk, err);
        if (rc == DYNB_OK && walk->level > 0) {
            walk->index[walk->level] = dynbi_node_child_for(&walk->node, key, key_size);
            rc = dynbi_walk_land(walk, err);
        }
    }
    if (rc != DYNB_OK)
        return rc;
    walk->index[0] = dynbi_node_search(&walk->node, key, key_size, &is_equal);
    if (walk->index[0] < walk->node.entry_count)
        return dynbi_walk_land(walk, err);
    --walk->index[0]; /* all of this leaf is before the key */
    return dynbi_walk_next(walk, err);
}

/* Two trees walked side by side. */
typedef struct dynbi_pair {
    dynbi_walk walk[2];
    const dynbi_buffer *key; /* where they differ; NULL: nowhere any more */
} dynbi_pair;

/* Who moves: negative the first, positive the second, zero both. */
static int dynbi_pair_order(const dynbi_walk *a, const dynbi_walk *b)
{
    if (!a->is_at || !b->is_at)
        return a->is_at ? -1 : 1;
    return dynbi_key_compare(a->key.bytes, a->key.used_bytes, b->key.bytes, b->key.used_bytes);
}

static int dynbi_walk_is_alike(const dynbi_walk *a, const dynbi_walk *b)
{
    return a->entry.is_tombstone == b->entry.is_tombstone &&
           dynbi_key_compare(a->entry.value, a->entry.value_size, b->entry.value,
                             b->entry.value_size) == 0;
}

static int dynbi_root_is_same(const dynbi_root *a, const dynbi_root *b)
{
    return a->page == b->page && a->sum == b->sum && a->level == b->level;
}

/* From where the pair stands, finds the first key at which it differs. */
static dynb_rc dynbi_pair_find(dynbi_pair *pair, dynb_error *err)
{
    dynbi_walk *a = &pair->walk[0], *b = &pair->walk[1];
    dynb_rc rc = DYNB_OK;
    pair->key = NULL;
    while (rc == DYNB_OK && (a->is_at || b->is_at)) {
        const int order = dynbi_pair_order(a, b);
        dynbi_walk *first = order <= 0 ? a : b;
        int is_same = order == 0;
        if (is_same && a->subtree.page && b->subtree.page &&
            !dynbi_root_is_same(&a->subtree, &b->subtree)) {
            first = a->subtree.level >= b->subtree.level ? a : b;
            is_same = 0;
        } else if (is_same && !a->subtree.page != !b->subtree.page) {
            first = a->subtree.page ? a : b;
            is_same = 0;
        } else if (is_same && !a->subtree.page) {
            is_same = dynbi_walk_is_alike(a, b);
        }
        if (is_same) {
            rc = dynbi_walk_next(a, err);
            if (rc == DYNB_OK)
                rc = dynbi_walk_next(b, err);
        } else if (first->subtree.page) {
            rc = dynbi_walk_open(first, err);
        } else {
            pair->key = &first->key;
            return DYNB_OK;
        }
    }
    return rc;
}

/* Moves on from `key`, which is where the pair differs. */
static dynb_rc dynbi_pair_next(dynbi_pair *pair, const dynbi_buffer *key, dynb_error *err)
{
    uint32_t i;
    dynb_rc rc = DYNB_OK;
    for (i = 0; rc == DYNB_OK && i < 2; ++i) {
        dynbi_walk *walk = &pair->walk[i];
        if (walk->is_at && !walk->subtree.page &&
            dynbi_key_compare(walk->key.bytes, walk->key.used_bytes, key->bytes,
                              key->used_bytes) == 0)
            rc = dynbi_walk_next(walk, err);
    }
    return rc == DYNB_OK ? dynbi_pair_find(pair, err) : rc;
}

/* A source that only one of the views has. */
typedef struct dynbi_alone {
    dynbi_source source;
    const dynbi_generation *generation; /* NULL: a run */
    const dynbi_root *root;
} dynbi_alone;

/* One source of one view: alone, or half of a pair, or else in both views. */
typedef struct dynbi_slot {
    const dynbi_generation *generation; /* NULL: a run */
    const dynbi_root *root;
    uint32_t alone; /* index + 1, or 0 */
    uint32_t pair;  /* likewise */
} dynbi_slot;

/* As many as there are of each kind. */
typedef struct dynbi_compare_counts {
    uint32_t alone;
    uint32_t pair;
    uint32_t slot[2];
} dynbi_compare_counts;

typedef struct dynbi_compare {
    const dynb_allocator *allocator;
    dynbi_reader *reader;
    const dynbi_view *view[2]; /* the caller's, unchanged meanwhile */
    dynbi_alone *alone;        /* NULL: matching only counts */
    dynbi_pair *pair;
    dynbi_slot *slot[2];       /* of each view, newest first; one piece of memory */
    dynbi_compare_counts used;
    dynbi_compare_counts capacity;
    dynbi_buffer key; /* the candidate at hand */
    int is_at;
} dynbi_compare;

/* All three lists in one piece. */
static size_t dynbi_compare_bytes(const dynbi_compare_counts *counts)
{
    return counts->pair * sizeof(dynbi_pair) + counts->alone * sizeof(dynbi_alone) +
           ((size_t)counts->slot[0] + counts->slot[1]) * sizeof(dynbi_slot);
}

static void dynbi_compare_free(dynbi_compare *compare)
{
    uint32_t i;
    for (i = 0; compare->pair && i < compare->used.alone; ++i) {
        if (compare->alone[i].source.is_tree)
            dynbi_tree_cursor_free(&compare->alone[i].source.tree);
    }
    for (i = 0; compare->pair && i < compare->used.pair; ++i) {
        dynbi_walk_free(&compare->pair[i].walk[0]);
        dynbi_walk_free(&compare->pair[i].walk[1]);
    }
    if (compare->pair)
        dynbi_free(compare->allocator, compare->pair, dynbi_compare_bytes(&compare->capacity));
    dynbi_buffer_free(&compare->key);
    memset(compare, 0, sizeof *compare);
}

/* The first generation that both views have, and with it all older ones; NULL:
 * none. */
static const dynbi_generation *dynbi_compare_common(const dynbi_view *a, const dynbi_view *b)
{
    const dynbi_generation *at, *other;
    for (at = a->newest; at; at = at->next) {
        for (other = b->newest; other; other = other->next) {
            if (at == other)
                return at;
        }
    }
    return NULL;
}

/* Adds a source to a view's list; NULL while only counting. */
static dynbi_slot *dynbi_compare_slot(dynbi_compare *compare, uint32_t side,
                                      const dynbi_generation *generation, const dynbi_run *run)
{
    dynbi_slot *slot = NULL;
    if (compare->pair) {
        slot = &compare->slot[side][compare->used.slot[side]];
        memset(slot, 0, sizeof *slot);
        slot->generation = generation;
        slot->root = run ? &run->root : NULL;
    }
    ++compare->used.slot[side];
    return slot;
}

static void dynbi_compare_add_alone(dynbi_compare *compare, uint32_t side,
                                    const dynbi_generation *generation, const dynbi_run *run)
{
    dynbi_slot *slot = dynbi_compare_slot(compare, side, generation, run);
    if (slot) {
        dynbi_alone *alone = &compare->alone[compare->used.alone];
        memset(alone, 0, sizeof *alone);
        alone->generation = generation;
        alone->root = slot->root;
        alone->source.is_tree = run != NULL;
        if (run)
            dynbi_tree_cursor_init(&alone->source.tree, compare->reader);
        slot->alone = compare->used.alone + 1;
    }
    ++compare->used.alone;
}

/* Two runs that start alike; one and the same needs no walk. */
static void dynbi_compare_add_both(dynbi_compare *compare, const dynbi_run *a, const dynbi_run *b)
{
    dynbi_slot *slot_a = dynbi_compare_slot(compare, 0, NULL, a);
    dynbi_slot *slot_b = dynbi_compare_slot(compare, 1, NULL, b);
    if (dynbi_root_is_same(&a->root, &b->root))
        return;
    if (slot_a && slot_b) {
        dynbi_pair *pair = &compare->pair[compare->used.pair];
        memset(pair, 0, sizeof *pair);
        dynbi_walk_init(&pair->walk[0], compare->reader, &a->root);
        dynbi_walk_init(&pair->walk[1], compare->reader, &b->root);
        slot_a->pair = slot_b->pair = compare->used.pair + 1;
    }
    ++compare->used.pair;
}

/* Pairs the sources off, or counts what that would give. */
static void dynbi_compare_match(dynbi_compare *compare)
{
    const dynbi_generation *common = dynbi_compare_common(compare->view[0], compare->view[1]);
    const dynbi_runs *a = &compare->view[0]->runs, *b = &compare->view[1]->runs;
    uint32_t side, i = 0, j = 0;
    memset(&compare->used, 0, sizeof compare->used);
    for (side = 0; side < 2; ++side) {
        const dynbi_generation *generation = compare->view[side]->newest;
        for (; generation != common; generation = generation->next)
            dynbi_compare_add_alone(compare, side, generation, NULL);
        for (; generation; generation = generation->next)
            (void)dynbi_compare_slot(compare, side, generation, NULL);
    }
    while (i < a->count || j < b->count) {
        if (j == b->count || (i < a->count && a->run[i].from_lsn > b->run[j].from_lsn))
            dynbi_compare_add_alone(compare, 0, NULL, &a->run[i++]);
        else if (i == a->count || a->run[i].from_lsn < b->run[j].from_lsn)
            dynbi_compare_add_alone(compare, 1, NULL, &b->run[j++]);
        else
            dynbi_compare_add_both(compare, &a->run[i++], &b->run[j++]);
    }
}

/* Prepares comparing two views; then seek. After a failure: free it all the
 * same. */
static dynb_rc dynbi_compare_init(dynbi_compare *compare, dynbi_reader *reader,
                                  const dynbi_view *from, const dynbi_view *to, dynb_error *err)
{
    memset(compare, 0, sizeof *compare);
    compare->allocator = reader->allocator;
    compare->reader = reader;
    compare->view[0] = from;
    compare->view[1] = to;
    compare->key.allocator = reader->allocator;
    dynbi_compare_match(compare);
    compare->capacity = compare->used;
    if (dynbi_compare_bytes(&compare->capacity) == 0)
        return DYNB_OK; /* nothing was ever written to either */
    compare->pair = (dynbi_pair *)dynbi_allocate(compare->allocator,
                                                 dynbi_compare_bytes(&compare->capacity));
    if (!compare->pair)
        return dynbi_fail(err, DYNB_NO_MEMORY, "no memory to compare %u sources",
                          (uint64_t)compare->used.slot[0] + compare->used.slot[1]);
    compare->alone = (dynbi_alone *)(void *)(compare->pair + compare->capacity.pair);
    compare->slot[0] = (dynbi_slot *)(void *)(compare->alone + compare->capacity.alone);
    compare->slot[1] = compare->slot[0] + compare->capacity.slot[0];
    dynbi_compare_match(compare);
    return DYNB_OK;
}

/* Takes the least key of all sources as the candidate. */
static dynb_rc dynbi_compare_choose(dynbi_compare *compare, int is_first, dynb_error *err)
{
    const uint8_t *best = NULL;
    size_t best_size = 0;
    uint32_t i;
    for (i = 0; i < compare->used.alone; ++i) {
        const dynbi_source *source = &compare->alone[i].source;
        if (source->has_change && (!best || dynbi_key_compare(source->change.key,
                                                              source->change.key_size, best,
                                                              best_size) < 0)) {
            best = source->change.key;
            best_size = source->change.key_size;
        }
    }
    for (i = 0; i < compare->used.pair; ++i) {
        const dynbi_buffer *key = compare->pair[i].key;
        if (key && (!best || dynbi_key_compare(key->bytes, key->used_bytes, best,
                                               best_size) < 0)) {
            best = key->bytes;
            best_size = key->used_bytes;
        }
    }
    compare->is_at = best != NULL;
    if (best && !is_first && dynbi_key_compare(best, best_size, compare->key.bytes,
                                                 compare->key.used_bytes) <= 0)
        return dynbi_fail(err, DYNB_CORRUPT, "the keys of a tree are out of order");
    compare->key.used_bytes = 0;
    if (best && !dynbi_buffer_append(&compare->key, best, best_size))
        return dynbi_fail(err, DYNB_NO_MEMORY, "no memory for a key");
    return DYNB_OK;
}

/* Places it at the first candidate >= key; key NULL: at the first. */
static dynb_rc dynbi_compare_seek(dynbi_compare *compare, const uint8_t *key, uint32_t key_size,
                                  dynb_error *err)
{
    const uint32_t set = compare->view[0]->set;
    uint32_t i, side;
    dynb_rc rc = DYNB_OK;
    for (i = 0; rc == DYNB_OK && i < compare->used.alone; ++i) {
        dynbi_alone *alone = &compare->alone[i];
        if (alone->root)
            rc = dynbi_tree_seek(&alone->source.tree, alone->root, key, key_size, 0, err);
        else
            dynbi_generation_seek(&alone->source.generation, alone->generation, set, key,
                                  key_size);
        dynbi_source_load(&alone->source);
    }
    for (i = 0; rc == DYNB_OK && i < compare->used.pair; ++i) {
        dynbi_pair *pair = &compare->pair[i];
        for (side = 0; rc == DYNB_OK && side < 2; ++side)
            rc = dynbi_walk_seek(&pair->walk[side], key, key_size, err);
        if (rc == DYNB_OK)
            rc = dynbi_pair_find(pair, err);
    }
    return rc == DYNB_OK ? dynbi_compare_choose(compare, 1, err) : rc;
}

/* On to the next candidate. */
static dynb_rc dynbi_compare_next(dynbi_compare *compare, dynb_error *err)
{
    const dynbi_buffer *key = &compare->key;
    uint32_t i;
    dynb_rc rc = DYNB_OK;
    for (i = 0; rc == DYNB_OK && i < compare->used.alone; ++i) {
        dynbi_source *source = &compare->alone[i].source;
        if (source->has_change &&
            dynbi_key_compare(source->change.key, source->change.key_size, key->bytes,
                              key->used_bytes) == 0)
            rc = dynbi_source_move(source, 0, err);
    }
    for (i = 0; rc == DYNB_OK && i < compare->used.pair; ++i) {
        const dynbi_buffer *at = compare->pair[i].key;
        if (at && dynbi_key_compare(at->bytes, at->used_bytes, key->bytes, key->used_bytes) == 0)
            rc = dynbi_pair_next(&compare->pair[i], key, err);
    }
    return rc == DYNB_OK ? dynbi_compare_choose(compare, 0, err) : rc;
}

/* What both views hold for a candidate; [0] the old. A tombstone counts as not
 * there. After DYNB_OK: close it. */
typedef struct dynbi_both {
    dynbi_found found[2];
} dynbi_both;

static void dynbi_both_close(dynbi_reader *reader, dynbi_both *both)
{
    uint32_t i;
    for (i = 0; i < 2; ++i) {
        if (both->found[i].leaf.range.bytes)
            dynbi_node_close(reader, &both->found[i].leaf);
    }
}

static int dynbi_compare_is_at(const dynbi_compare *compare, const uint8_t *key, size_t key_size)
{
    return dynbi_key_compare(key, key_size, compare->key.bytes, compare->key.used_bytes) == 0;
}

/* What a source says of the candidate without being looked into: *found. Zero:
 * it may hold it, but does not stand there. */
static int dynbi_slot_tell(const dynbi_compare *compare, const dynbi_slot *slot, uint32_t side,
                           dynbi_found *found)
{
    if (slot->alone) {
        const dynbi_source *source = &compare->alone[slot->alone - 1].source;
        const dynbi_change *change = &source->change;
        found->is_there = source->has_change &&
                          dynbi_compare_is_at(compare, change->key, change->key_size);
        found->value = change->value;
        found->value_size = change->value_size;
        found->is_tombstone = change->is_tombstone;
        return 1;
    }
    if (slot->pair) {
        const dynbi_pair *pair = &compare->pair[slot->pair - 1];
        const dynbi_walk *walk = &pair->walk[side];
        if (!pair->key || !dynbi_compare_is_at(compare, pair->key->bytes, pair->key->used_bytes))
            return 0; /* both hold it alike, or not at all */
        found->is_there = walk->is_at && !walk->subtree.page &&
                          dynbi_compare_is_at(compare, walk->key.bytes, walk->key.used_bytes);
        found->value = walk->entry.value;
        found->value_size = walk->entry.value_size;
        found->is_tombstone = walk->entry.is_tombstone;
        return 1;
    }
    return 0;
}

/* What one view holds for the candidate. */
static dynb_rc dynbi_compare_get(const dynbi_compare *compare, uint32_t side, dynbi_found *found,
                                 dynb_error *err)
{
    const dynbi_buffer *key = &compare->key;
    const uint32_t key_size = (uint32_t)key->used_bytes;
    uint32_t i;
    found->is_there = 0;
    for (i = 0; i < compare->used.slot[side] && !found->is_there; ++i) {
        const dynbi_slot *slot = &compare->slot[side][i];
        dynb_rc rc;
        if (dynbi_slot_tell(compare, slot, side, found))
            continue;
        if (slot->generation) {
            const dynbi_entry *entry = dynbi_generation_get(
                slot->generation, compare->view[side]->set, key->bytes, key_size);
            if (entry) {
                found->value = dynbi_entry_value(entry);
                found->value_size = entry->value_size;
                found->is_tombstone = entry->is_tombstone;
                found->is_there = 1;
            }
            continue;
        }
        rc = dynbi_tree_get(compare->reader, slot->root, key->bytes, key_size, found, err);
        if (rc != DYNB_OK) {
            memset(found, 0, sizeof *found);
            return rc;
        }
    }
    found->is_there = found->is_there && !found->is_tombstone;
    return DYNB_OK;
}

/* *differs: the views do, at the candidate. */
static dynb_rc dynbi_compare_look(const dynbi_compare *compare, dynbi_both *both, int *differs,
                                  dynb_error *err)
{
    const dynbi_found *was = &both->found[0], *is = &both->found[1];
    uint32_t i;
    dynb_rc rc = DYNB_OK;
    memset(both, 0, sizeof *both);
    for (i = 0; rc == DYNB_OK && i < 2; ++i)
        rc = dynbi_compare_get(compare, i, &both->found[i], err);
    *differs = was->is_there != is->is_there ||
               (was->is_there && dynbi_key_compare(was->value, was->value_size, is->value,
                                                   is->value_size) != 0);
    if (rc != DYNB_OK)
        dynbi_both_close(compare->reader, both);
    return rc;
}

/* ===========================================================================
 * 21 LOG
 *
 * Every change, in order, before it is anything else. The log is one stream of
 * bytes, its positions never wrap; it lies in segments, extents that each name
 * the next, which is reserved beforehand.
 *
 *     segment   magic u32 | sum u32 | store_id 16 | first_pos u64 |
 *               page_count u32 | next_page u32 | next_page_count u32 |
 *               epoch u32 | chain u32 | 0 u32 | 0 u64     (64 bytes of head)
 *               then the stream, until the segment ends
 *
 *     frame     sum u32 | size u32 | lsn u64 | time_ms u64 | durable_lsn u64 |
 *               previous_sum u32 | kind u8 | flags u8 | 0 u16
 *                                                         (40 bytes of head)
 *               then the payload, zero-padded to a multiple of 8
 *
 * A frame is the atomic unit and may cross segments. It is valid if and only if
 * (1) its sum is the CRC-32C of all after the sum, seeded by store id and
 * epoch, (2) its lsn follows the frame before, (3) its previous_sum is the sum
 * of the frame before, (4) its time is not before that frame's. The epoch
 * counts the opens that wrote; it is on the device before a frame of it is, and
 * its first frame (kind OPEN) tells it. So no frame of an older life is ever
 * believed.
 *
 * A segment head is believed if its sum is right, first_pos is where it stands,
 * and chain is the sum of the last frame that ended before it.
 *
 * Where reading meets an invalid frame the log ends, torn by a crash; unless
 * something says that the bad place had been synced: the superblock, or a later
 * frame, valid by itself, whose durable_lsn reaches it. That is damage, and is
 * reported, and nothing is cut off. So that the last synced frame has a later
 * one too, each sync is followed by one of kind MARK: a bare head behind the
 * log's end, not synced, no part of the log, overwritten by what comes next.
 *
 * Needs: UTIL, CODEC, DEVICE, GENERATION (marks)   Used by: STORE
 * Exports: dynbi_log_reserve, _append, _flush, _trim, dynbi_log_scan_*
 * On error: NO_SPACE and NO_MEMORY change nothing; IO_FAILED kills the disk.
 * ======================================================================== */

#define DYNBI_SEGMENT_MAGIC 0x474f4c44u /* "DLOG" */
#define DYNBI_SEGMENT_HEAD_BYTES 64u
#define DYNBI_FRAME_HEAD_BYTES 40u
#define DYNBI_FRAME_MAX_BYTES ((uint64_t)1 << 28)
#define DYNBI_FRAME_CHANGES 1u
#define DYNBI_FRAME_OPEN 2u
#define DYNBI_FRAME_MARK 3u
#define DYNBI_FRAME_HAS_CATALOG 1u /* flag: changes table 0 */
#define DYNBI_STORE_ID_BYTES 16u
#define DYNBI_LOG_RESERVED 4u

typedef struct dynbi_segment {
    uint32_t page;
    uint32_t page_count;
    uint64_t first_pos;
} dynbi_segment;

typedef struct dynbi_log {
    dynbi_disk *disk;
    const dynb_allocator *allocator;
    uint8_t store_id[DYNBI_STORE_ID_BYTES];
    uint32_t (*allocate_fn)(void *ctx, uint32_t page_count); /* a page or DYNBI_PAGE_* */
    void *ctx;
    uint32_t segment_bytes; /* of an ordinary segment */
    int zero_ahead;         /* write new segments with zeros, so that syncs are cheap */
    dynbi_segment *segments; /* oldest first; the last one is being written */
    uint32_t segment_count;
    uint32_t segment_capacity;
    dynbi_segment reserved[DYNBI_LOG_RESERVED]; /* to come; the first is named already */
    uint32_t reserved_count;
    dynbi_log_mark tail; /* after the last frame */
    uint32_t seed;       /* of tail.epoch */
    uint64_t durable_lsn;
    dynbi_buffer buffer; /* appended, not yet handed to the device */
    uint64_t buffer_pos; /* of its first byte */
    uint32_t buffer_bytes; /* its limit; also read at a time */
    uint8_t *lent; /* by the device, of the stream in the last segment; NULL: nothing */
    int has_asked; /* whether it lends something; begins anew with each segment */
} dynbi_log;

/* A frame as the scan shows it. */
typedef struct dynbi_frame {
    uint64_t lsn;
    uint64_t time_ms;
    uint64_t durable_lsn;
    uint64_t pos;
    uint32_t kind;
    uint32_t flags;
    uint32_t epoch;
    uint32_t size_bytes;
    uint32_t payload_size;
    const uint8_t *payload; /* valid until the next step of the scan */
} dynbi_frame;

static uint32_t dynbi_log_seed(const uint8_t *store_id, uint32_t epoch)
{
    uint8_t bytes[DYNBI_STORE_ID_BYTES + 4];
    memcpy(bytes, store_id, DYNBI_STORE_ID_BYTES);
    dynbi_store32(bytes + DYNBI_STORE_ID_BYTES, epoch);
    return dynbi_crc32c(0, bytes, sizeof bytes);
}

static void dynbi_log_free(dynbi_log *log)
{
    dynbi_free(log->allocator, log->segments, log->segment_capacity * sizeof(dynbi_segment));
    dynbi_buffer_free(&log->buffer);
    memset(log, 0, sizeof *log);
}

static uint64_t dynbi_segment_end(const dynbi_log *log, const dynbi_segment *segment)
{
    return segment->first_pos + (uint64_t)segment->page_count * log->disk->page_bytes -
           DYNBI_SEGMENT_HEAD_BYTES;
}

/* Room for as many more segments in the list as can be reserved. */
static int dynbi_log_list_reserve(dynbi_log *log)
{
    uint32_t capacity = log->segment_capacity ? log->segment_capacity * 2 : 16;
    void *list;
    if (log->segment_count + DYNBI_LOG_RESERVED <= log->segment_capacity)
        return 1;
    list = dynbi_resize(log->allocator, log->segments,
                        log->segment_capacity * sizeof(dynbi_segment),
                        capacity * sizeof(dynbi_segment));
    if (!list)
        return 0;
    log->segments = (dynbi_segment *)list;
    log->segment_capacity = capacity;
    return 1;
}

/* Fills an extent with zeros, so that the file system is done with it. */
static dynb_rc dynbi_log_zero(dynbi_log *log, const dynbi_segment *segment)
{
    uint8_t zeros[512];
    uint64_t pos = (uint64_t)segment->page * log->disk->page_bytes;
    uint64_t end = pos + (uint64_t)segment->page_count * log->disk->page_bytes;
    dynbi_buffer block;
    size_t size = sizeof zeros;
    const uint8_t *from = zeros;
    dynb_rc rc = DYNB_OK;
    memset(&block, 0, sizeof block);
    memset(zeros, 0, sizeof zeros);
    block.allocator = log->allocator;
    if (dynbi_buffer_reserve(&block, log->buffer_bytes)) { /* else in small pieces */
        memset(block.bytes, 0, log->buffer_bytes);
        from = block.bytes;
        size = log->buffer_bytes;
    }
    while (rc == DYNB_OK && pos < end) {
        size_t piece = end - pos < size ? (size_t)(end - pos) : size;
        rc = dynbi_disk_write(log->disk, pos, from, piece);
        pos += piece;
    }
    dynbi_buffer_free(&block);
    return rc;
}

static dynb_rc dynbi_log_reserve_segment(dynbi_log *log, uint64_t bytes, dynb_error *err)
{
    uint32_t page_bytes = log->disk->page_bytes;
    uint64_t size = bytes + DYNBI_SEGMENT_HEAD_BYTES;
    dynbi_segment *segment = &log->reserved[log->reserved_count];
    DYNBI_ASSERT(log->reserved_count < DYNBI_LOG_RESERVED);
    if (!dynbi_log_list_reserve(log)) /* here, where nothing is changed yet */
        return dynbi_fail(err, DYNB_NO_MEMORY, "no memory for the list of log segments");
    if (size < log->segment_bytes)
        size = log->segment_bytes;
    do { /* where no such extent is left a smaller one will do */
        segment->page_count = (uint32_t)((size + page_bytes - 1) / page_bytes);
        segment->page = log->allocate_fn(log->ctx, segment->page_count);
        size /= 2;
    } while (!segment->page && size >= bytes + DYNBI_SEGMENT_HEAD_BYTES && size >= page_bytes);
    if (segment->page == DYNBI_PAGE_NO_MEMORY)
        return dynbi_fail(err, DYNB_NO_MEMORY, "no memory for the map of pages");
    if (segment->page == DYNBI_PAGE_NONE)
        return dynbi_fail(err, DYNB_NO_SPACE,
                          "the device is full: the log needs %u bytes more; delete backups or "
                          "tables, or use a larger device",
                          bytes + DYNBI_SEGMENT_HEAD_BYTES);
    if (log->zero_ahead && dynbi_log_zero(log, segment) != DYNB_OK)
        return dynbi_disk_fail(log->disk, err);
    segment->first_pos = 0;
    ++log->reserved_count;
    return DYNB_OK;
}

/* Makes sure that a frame of `size` bytes can be appended without NO_SPACE: the
 * segments it fills, and one more for the last of them to name. */
static dynb_rc dynbi_log_reserve(dynbi_log *log, uint64_t size, dynb_error *err)
{
    uint64_t room = dynbi_segment_end(log, &log->segments[log->segment_count - 1]) -
                    log->tail.pos;
    uint32_t i, entered = 0;
    dynb_rc rc = DYNB_OK;
    DYNBI_ASSERT(log->segment_count > 0);
    if (size <= room && log->reserved_count > 0)
        return DYNB_OK;
    if (!dynbi_log_list_reserve(log)) /* adopted segments have no room in it yet */
        return dynbi_fail(err, DYNB_NO_MEMORY, "no memory for the list of log segments");
    if (log->reserved_count + 2 > DYNBI_LOG_RESERVED)
        log->reserved_count = 1; /* for frames that never came; a marking frees them */
    for (i = 0; i < log->reserved_count && room < size; ++i, ++entered)
        room += (uint64_t)log->reserved[i].page_count * log->disk->page_bytes -
                DYNBI_SEGMENT_HEAD_BYTES;
    if (room < size) {
        rc = dynbi_log_reserve_segment(log, size - room, err);
        ++entered;
    }
    if (rc == DYNB_OK && log->reserved_count <= entered)
        rc = dynbi_log_reserve_segment(log, 0, err);
    return rc;
}

static uint32_t dynbi_segment_sum(const uint8_t head[DYNBI_SEGMENT_HEAD_BYTES])
{
    return dynbi_crc32c(DYNBI_SEGMENT_MAGIC, head + 8, DYNBI_SEGMENT_HEAD_BYTES - 8);
}

/* The stream goes on in the next reserved segment: its head is written. */
static dynb_rc dynbi_log_enter(dynbi_log *log, dynb_error *err)
{
    uint8_t head[DYNBI_SEGMENT_HEAD_BYTES];
    dynbi_segment *segment;
    uint32_t i;
    DYNBI_ASSERT(log->reserved_count >= 2 && log->segment_count < log->segment_capacity);
    segment = &log->segments[log->segment_count];
    *segment = log->reserved[0];
    segment->first_pos = log->segment_count
                             ? dynbi_segment_end(log, &log->segments[log->segment_count - 1])
                             : log->tail.pos;
    memset(head, 0, sizeof head);
    dynbi_store32(head, DYNBI_SEGMENT_MAGIC);
    memcpy(head + 8, log->store_id, DYNBI_STORE_ID_BYTES);
    dynbi_store64(head + 24, segment->first_pos);
    dynbi_store32(head + 32, segment->page_count);
    dynbi_store32(head + 36, log->reserved[1].page);
    dynbi_store32(head + 40, log->reserved[1].page_count);
    dynbi_store32(head + 44, log->tail.epoch);
    dynbi_store32(head + 48, log->tail.sum);
    dynbi_store32(head + 4, dynbi_segment_sum(head));
    if (dynbi_disk_write(log->disk, (uint64_t)segment->page * log->disk->page_bytes, head,
                         sizeof head) != DYNB_OK)
        return dynbi_disk_fail(log->disk, err);
    ++log->segment_count;
    --log->reserved_count;
    log->has_asked = 0;
    for (i = 0; i < log->reserved_count; ++i)
        log->reserved[i] = log->reserved[i + 1];
    return DYNB_OK;
}

/* The segment that holds a position; positions are in the live part. */
static const dynbi_segment *dynbi_log_segment_at(const dynbi_log *log, uint64_t pos)
{
    uint32_t i = log->segment_count;
    while (i > 1 && log->segments[i - 1].first_pos > pos)
        --i;
    return &log->segments[i - 1];
}

/* Bytes of the stream that lie on the device in a row from pos; *disk_pos. */
static uint64_t dynbi_log_row(const dynbi_log *log, uint64_t pos, uint64_t *disk_pos)
{
    const dynbi_segment *segment = dynbi_log_segment_at(log, pos);
    *disk_pos = (uint64_t)segment->page * log->disk->page_bytes + DYNBI_SEGMENT_HEAD_BYTES +
                (pos - segment->first_pos);
    return dynbi_segment_end(log, segment) - pos;
}

static dynb_rc dynbi_log_write(dynbi_log *log, uint64_t pos, const uint8_t *from, uint64_t size,
                               dynb_error *err)
{
    while (size > 0) {
        uint64_t disk_pos, row = dynbi_log_row(log, pos, &disk_pos);
        size_t piece = (size_t)(row < size ? row : size);
        if (dynbi_disk_write(log->disk, disk_pos, from, piece) != DYNB_OK)
            return dynbi_disk_fail(log->disk, err);
        from += piece;
        pos += piece;
        size -= piece;
    }
    return DYNB_OK;
}

/* Stores a frame in memory that the device lends; zero: it lends none, or the
 * frame crosses segments. */
static int dynbi_log_store(dynbi_log *log, const uint8_t *from, size_t size)
{
    const dynb_device *device = &log->disk->device;
    const dynbi_segment *segment = dynbi_log_segment_at(log, log->tail.pos);
    const uint64_t segment_bytes = dynbi_segment_end(log, segment) - segment->first_pos;
    const uint64_t offset = log->tail.pos - segment->first_pos;
    if (!device->write_map_fn || size > segment_bytes - offset)
        return 0;
    if (!log->has_asked) {
        log->has_asked = 1;
        log->lent = (uint8_t *)device->write_map_fn(
            device->ctx, (uint64_t)segment->page * log->disk->page_bytes + DYNBI_SEGMENT_HEAD_BYTES,
            (size_t)segment_bytes);
    }
    if (!log->lent)
        return 0;
    memcpy(log->lent + (size_t)offset, from, size);
    return 1;
}

/* Hands what is buffered to the device. */
static dynb_rc dynbi_log_flush(dynbi_log *log, dynb_error *err)
{
    dynb_rc rc;
    if (log->buffer.used_bytes == 0)
        return DYNB_OK;
    rc = dynbi_log_write(log, log->buffer_pos, log->buffer.bytes, log->buffer.used_bytes, err);
    log->buffer.used_bytes = 0;
    return rc;
}

/* Fills the head of the next frame; its sum covers `size` bytes. */
static void dynbi_log_fill_head(const dynbi_log *log, uint8_t *head, size_t used_bytes,
                                size_t size, uint32_t kind_and_flags)
{
    dynbi_store32(head + 4, (uint32_t)used_bytes);
    dynbi_store64(head + 8, log->tail.lsn + 1);
    dynbi_store64(head + 16, log->tail.time_ms);
    dynbi_store64(head + 24, log->durable_lsn);
    dynbi_store32(head + 32, log->tail.sum);
    dynbi_store32(head + 36, kind_and_flags);
    dynbi_store32(head, dynbi_crc32c(log->seed, head + 4, size - 4));
}

/* Appends the frame that stands in `frame`: head room, then the payload; its
 * padding is added here. Space was reserved. Unless it may be buffered it is
 * handed to the device before this returns; for one that will be synced that is
 * a write, since a stored-to page costs a sync more. */
static dynb_rc dynbi_log_append(dynbi_log *log, dynbi_buffer *frame, uint32_t kind,
                                uint32_t flags, dynb_durability durability, dynb_error *err)
{
    size_t size = (frame->used_bytes + 7) & ~(size_t)7;
    uint8_t *head = frame->bytes;
    dynb_rc rc = DYNB_OK;
    DYNBI_ASSERT(frame->used_bytes >= DYNBI_FRAME_HEAD_BYTES && frame->capacity_bytes >= size);
    memset(frame->bytes + frame->used_bytes, 0, size - frame->used_bytes);
    while (rc == DYNB_OK && dynbi_segment_end(log, &log->segments[log->segment_count - 1]) <
                                log->tail.pos + size)
        rc = dynbi_log_enter(log, err);
    if (rc != DYNB_OK)
        return rc;
    dynbi_log_fill_head(log, head, frame->used_bytes, size, kind | flags << 8);
    if (log->buffer.used_bytes == 0)
        log->buffer_pos = log->tail.pos;
    if (durability == DYNB_BUFFERED || log->buffer.used_bytes) {
        if (log->buffer.used_bytes + size > log->buffer_bytes ||
            !dynbi_buffer_append(&log->buffer, head, size)) {
            rc = dynbi_log_flush(log, err);
            if (rc == DYNB_OK)
                rc = dynbi_log_write(log, log->tail.pos, head, size, err);
        } else if (durability != DYNB_BUFFERED) {
            rc = dynbi_log_flush(log, err);
        }
    } else if (durability == DYNB_SYNCED || !dynbi_log_store(log, head, size)) {
        rc = dynbi_log_write(log, log->tail.pos, head, size, err);
    }
    if (rc != DYNB_OK)
        return rc;
    log->tail.pos += size;
    log->tail.lsn += 1;
    log->tail.sum = dynbi_load32(head);
    return DYNB_OK;
}

/* Notes behind the end of the log that all of it is durable; where the segment
 * has no room for that, at the start of the one it names. */
static dynb_rc dynbi_log_mark_durable(dynbi_log *log, dynb_error *err)
{
    uint8_t head[DYNBI_FRAME_HEAD_BYTES];
    uint64_t disk_pos;
    if (dynbi_log_row(log, log->tail.pos, &disk_pos) < sizeof head) {
        DYNBI_ASSERT(log->reserved_count > 0);
        disk_pos = (uint64_t)log->reserved[0].page * log->disk->page_bytes +
                   DYNBI_SEGMENT_HEAD_BYTES;
    }
    dynbi_log_fill_head(log, head, sizeof head, sizeof head, DYNBI_FRAME_MARK);
    if (dynbi_disk_write(log->disk, disk_pos, head, sizeof head) != DYNB_OK)
        return dynbi_disk_fail(log->disk, err);
    return DYNB_OK;
}

/* Makes all that was appended durable. */
static dynb_rc dynbi_log_sync(dynbi_log *log, dynb_error *err)
{
    dynb_rc rc = dynbi_log_flush(log, err);
    if (rc != DYNB_OK)
        return rc;
    if (log->durable_lsn == log->tail.lsn)
        return DYNB_OK;
    if (dynbi_disk_sync(log->disk) != DYNB_OK)
        return dynbi_disk_fail(log->disk, err);
    log->durable_lsn = log->tail.lsn;
    return dynbi_log_mark_durable(log, err);
}

/* Forgets the segments before the one that starts at first_pos. */
static void dynbi_log_trim(dynbi_log *log, uint64_t first_pos)
{
    uint32_t gone = 0;
    while (gone + 1 < log->segment_count && log->segments[gone].first_pos < first_pos)
        ++gone;
    if (gone == 0)
        return;
    memmove(log->segments, log->segments + gone,
            (log->segment_count - gone) * sizeof(dynbi_segment));
    log->segment_count -= gone;
}

/* --- scan: reading the log from a mark --- */

typedef struct dynbi_log_scan {
    dynbi_log *log;
    dynbi_log_mark at;    /* before the frame to come */
    uint32_t seed;        /* of at.epoch */
    uint32_t epoch_limit; /* no later epoch was ever begun */
    uint64_t end_pos;     /* follow: 0; else stop here */
    uint64_t disk_bytes;  /* the device's size at the start: others may grow it */
    int verify;           /* zero: the frames were verified before */
    int follow;           /* find further segments by their heads */
    int any_chain;        /* the first head is read in mid-stream */
    int is_loose;         /* past the end, looking for proof: believe any head */
    dynbi_segment next;   /* named by the last segment's head */
    dynbi_buffer buffer;
    uint64_t buffer_pos;
} dynbi_log_scan;

static void dynbi_log_scan_free(dynbi_log_scan *scan)
{
    dynbi_buffer_free(&scan->buffer);
    memset(scan, 0, sizeof *scan);
}

/* Nonzero: the extent can be a segment's on a device of disk_bytes. */
static int dynbi_segment_is_sane(const dynbi_log *log, uint64_t disk_bytes, uint32_t page,
                                 uint32_t page_count)
{
    const uint64_t page_bytes = log->disk->page_bytes, page_limit = disk_bytes / page_bytes;
    return page >= 2 && page_count > 0 && page < page_limit && page_count <= page_limit - page &&
           page_count * page_bytes > DYNBI_SEGMENT_HEAD_BYTES;
}

/* Reads the head of the segment at `next`, which should go on at first_pos. A
 * head that is not to be believed is no failure: *is_good tells. */
static dynb_rc dynbi_log_read_head(dynbi_log_scan *scan, uint64_t first_pos, int *is_good,
                                   dynb_error *err)
{
    dynbi_log *log = scan->log;
    uint8_t head[DYNBI_SEGMENT_HEAD_BYTES];
    dynbi_segment segment = scan->next;
    dynb_rc rc;
    *is_good = 0;
    if (!dynbi_segment_is_sane(log, scan->disk_bytes, segment.page, segment.page_count) ||
        first_pos - log->segments[0].first_pos > scan->disk_bytes)
        return DYNB_OK;
    rc = dynbi_disk_read(log->disk, (uint64_t)segment.page * log->disk->page_bytes, head,
                         sizeof head, err);
    if (rc != DYNB_OK)
        return rc;
    if (!scan->is_loose &&
        (dynbi_load32(head) != DYNBI_SEGMENT_MAGIC ||
         DYNBI_SUMS_DIFFER(dynbi_load32(head + 4), dynbi_segment_sum(head)) ||
         memcmp(head + 8, log->store_id, DYNBI_STORE_ID_BYTES) != 0 ||
         dynbi_load64(head + 24) != first_pos || dynbi_load32(head + 32) != segment.page_count ||
         dynbi_load32(head + 44) > scan->epoch_limit ||
         (!scan->any_chain && DYNBI_SUMS_DIFFER(dynbi_load32(head + 48), scan->at.sum))))
        return DYNB_OK;
    if (!dynbi_log_list_reserve(log))
        return dynbi_fail(err, DYNB_NO_MEMORY, "no memory for the list of log segments");
    segment.first_pos = first_pos;
    log->segments[log->segment_count++] = segment;
    scan->next.page = dynbi_load32(head + 36);
    scan->next.page_count = dynbi_load32(head + 40);
    *is_good = 1;
    return DYNB_OK;
}

/* Makes `size` bytes at pos readable in a row, or fewer at the end of the log:
 * *available tells how many there are. */
static dynb_rc dynbi_log_scan_fill(dynbi_log_scan *scan, uint64_t pos, uint64_t size,
                                   uint64_t *available, dynb_error *err)
{
    dynbi_log *log = scan->log;
    uint64_t end = dynbi_segment_end(log, &log->segments[log->segment_count - 1]), wanted, got;
    *available = 0;
    if (pos >= scan->buffer_pos && pos - scan->buffer_pos <= scan->buffer.used_bytes) {
        *available = scan->buffer.used_bytes - (pos - scan->buffer_pos);
        if (*available >= size)
            return DYNB_OK;
    }
    while (scan->follow && end < pos + size) {
        int is_good;
        dynb_rc rc = dynbi_log_read_head(scan, end, &is_good, err);
        if (rc != DYNB_OK)
            return rc;
        if (!is_good)
            break;
        end = dynbi_segment_end(log, &log->segments[log->segment_count - 1]);
    }
    if (scan->end_pos && end > scan->end_pos)
        end = scan->end_pos;
    if (pos >= end) {
        *available = 0;
        return DYNB_OK;
    }
    wanted = size > log->buffer_bytes ? size : log->buffer_bytes;
    if (wanted > end - pos)
        wanted = end - pos;
    scan->buffer.used_bytes = 0;
    if (!dynbi_buffer_reserve(&scan->buffer, (size_t)wanted))
        return dynbi_fail(err, DYNB_NO_MEMORY,
                          "no memory to read %u bytes of log; raise memory_bytes", wanted);
    scan->buffer_pos = pos;
    for (got = 0; got < wanted;) {
        uint64_t disk_pos, row = dynbi_log_row(log, pos + got, &disk_pos);
        size_t piece = (size_t)(row < wanted - got ? row : wanted - got);
        dynb_rc rc = dynbi_disk_read(log->disk, disk_pos, scan->buffer.bytes + got, piece, err);
        if (rc != DYNB_OK)
            return rc;
        got += piece;
    }
    scan->buffer.used_bytes = (size_t)got;
    *available = got;
    return DYNB_OK;
}

static const uint8_t *dynbi_log_scan_bytes(const dynbi_log_scan *scan, uint64_t pos)
{
    return scan->buffer.bytes + (size_t)(pos - scan->buffer_pos);
}

/* Looks at the frame at pos by itself. *is_valid: sum and sizes are right. */
static dynb_rc dynbi_log_scan_frame(dynbi_log_scan *scan, uint64_t pos, dynbi_frame *frame,
                                    uint32_t *sum, int *is_valid, dynb_error *err)
{
    uint64_t available, size;
    uint32_t used, seed = scan->seed;
    const uint8_t *head;
    dynb_rc rc = dynbi_log_scan_fill(scan, pos, DYNBI_FRAME_HEAD_BYTES, &available, err);
    *is_valid = 0;
    if (rc != DYNB_OK || available < DYNBI_FRAME_HEAD_BYTES)
        return rc;
    head = dynbi_log_scan_bytes(scan, pos);
    used = dynbi_load32(head + 4);
    size = ((uint64_t)used + 7) & ~(uint64_t)7;
    frame->kind = head[36];
    frame->epoch = scan->at.epoch;
    if (used < DYNBI_FRAME_HEAD_BYTES || size > DYNBI_FRAME_MAX_BYTES ||
        (frame->kind != DYNBI_FRAME_CHANGES && frame->kind != DYNBI_FRAME_OPEN) ||
        dynbi_load64(head + 8) <= scan->at.lsn || dynbi_load64(head + 24) >= dynbi_load64(head + 8))
        return DYNB_OK;
    if (frame->kind == DYNBI_FRAME_OPEN && used != DYNBI_FRAME_HEAD_BYTES + 4)
        return DYNB_OK;
    rc = dynbi_log_scan_fill(scan, pos, size, &available, err);
    if (rc != DYNB_OK || available < size)
        return rc;
    head = dynbi_log_scan_bytes(scan, pos);
    if (frame->kind == DYNBI_FRAME_OPEN) {
        frame->epoch = dynbi_load32(head + DYNBI_FRAME_HEAD_BYTES);
        if (frame->epoch <= scan->at.epoch || frame->epoch > scan->epoch_limit)
            return DYNB_OK;
        seed = dynbi_log_seed(scan->log->store_id, frame->epoch);
    }
    *sum = dynbi_load32(head);
    if (scan->verify && DYNBI_SUMS_DIFFER(dynbi_crc32c(seed, head + 4, (size_t)size - 4), *sum))
        return DYNB_OK;
    frame->lsn = dynbi_load64(head + 8);
    frame->time_ms = dynbi_load64(head + 16);
    frame->durable_lsn = dynbi_load64(head + 24);
    frame->pos = pos;
    frame->flags = head[37];
    frame->size_bytes = (uint32_t)size;
    frame->payload_size = used - DYNBI_FRAME_HEAD_BYTES;
    frame->payload = head + DYNBI_FRAME_HEAD_BYTES;
    *is_valid = 1;
    return DYNB_OK;
}

/* The next frame; *is_end when there is none (then at is the log's end). */
static dynb_rc dynbi_log_scan_next(dynbi_log_scan *scan, dynbi_frame *frame, int *is_end,
                                   dynb_error *err)
{
    uint32_t sum = 0;
    int is_valid;
    dynb_rc rc = dynbi_log_scan_frame(scan, scan->at.pos, frame, &sum, &is_valid, err);
    *is_end = 1;
    if (rc != DYNB_OK || !is_valid)
        return rc;
    if (frame->lsn != scan->at.lsn + 1 || frame->time_ms < scan->at.time_ms ||
        DYNBI_SUMS_DIFFER(dynbi_load32(frame->payload - 8), scan->at.sum))
        return DYNB_OK;
    *is_end = 0;
    if (frame->epoch != scan->at.epoch)
        scan->seed = dynbi_log_seed(scan->log->store_id, frame->epoch);
    scan->at.pos += frame->size_bytes;
    scan->at.lsn = frame->lsn;
    scan->at.time_ms = frame->time_ms;
    scan->at.sum = sum;
    scan->at.epoch = frame->epoch;
    return DYNB_OK;
}

/* Sums a candidate frame piece by piece: it may be larger than memory, and is
 * most likely no frame at all. */
static dynb_rc dynbi_log_scan_sum(dynbi_log_scan *scan, uint64_t pos, uint64_t end, uint32_t *sum,
                                  dynb_error *err)
{
    while (pos < end) {
        uint64_t available, size = end - pos;
        dynb_rc rc;
        if (size > scan->log->buffer_bytes)
            size = scan->log->buffer_bytes;
        rc = dynbi_log_scan_fill(scan, pos, size, &available, err);
        if (rc != DYNB_OK)
            return rc;
        if (available < size) {
            *sum = ~*sum; /* not that frame */
            return DYNB_OK;
        }
        *sum = dynbi_crc32c(*sum, dynbi_log_scan_bytes(scan, pos), (size_t)size);
        pos += size;
    }
    return DYNB_OK;
}

/* Nonzero: what stands at pos could be a frame that knew change `missing` as
 * durable; then its *size. */
static int dynbi_log_scan_suspects(const dynbi_log_scan *scan, uint64_t pos, uint64_t missing,
                                   uint64_t *size)
{
    const uint8_t *head = dynbi_log_scan_bytes(scan, pos);
    const uint64_t lsn = dynbi_load64(head + 8), durable_lsn = dynbi_load64(head + 24);
    const uint32_t used = dynbi_load32(head + 4), kind = head[36];
    *size = ((uint64_t)used + 7) & ~(uint64_t)7;
    return durable_lsn >= missing && durable_lsn < lsn && used >= DYNBI_FRAME_HEAD_BYTES &&
           *size <= scan->disk_bytes &&
           (kind == DYNBI_FRAME_CHANGES || kind == DYNBI_FRAME_OPEN || kind == DYNBI_FRAME_MARK);
}

#define DYNBI_EPOCHS_TRIED 16u

/* Looks past the end for a frame, valid by itself, that knew change `missing`
 * as durable. Segments are followed whatever their heads say, and any later
 * epoch is thought possible: a head, or the frame that began an epoch, may be
 * what was damaged, and a frame proves itself. The effort is bounded, against
 * logs that are full of what looks like frames. */
static dynb_rc dynbi_log_scan_prove(dynbi_log_scan *scan, uint64_t missing, int *is_damage,
                                    dynb_error *err)
{
    uint64_t pos = scan->at.pos, available = DYNBI_FRAME_HEAD_BYTES, size;
    uint64_t effort = 16 * scan->disk_bytes;
    dynb_rc rc = DYNB_OK;
    while (rc == DYNB_OK && !*is_damage && available >= DYNBI_FRAME_HEAD_BYTES) {
        uint32_t stored, tried, epoch = scan->epoch_limit;
        pos += 8;
        rc = dynbi_log_scan_fill(scan, pos, DYNBI_FRAME_HEAD_BYTES, &available, err);
        if (rc != DYNB_OK || available < DYNBI_FRAME_HEAD_BYTES ||
            !dynbi_log_scan_suspects(scan, pos, missing, &size))
            continue;
        stored = dynbi_load32(dynbi_log_scan_bytes(scan, pos));
        for (tried = 0; rc == DYNB_OK && !*is_damage && tried < DYNBI_EPOCHS_TRIED &&
                        epoch >= scan->at.epoch && size <= effort; ++tried, --epoch) {
            uint32_t sum = dynbi_log_seed(scan->log->store_id, epoch);
            effort -= size;
            rc = dynbi_log_scan_sum(scan, pos + 4, pos + size, &sum, err);
            *is_damage = rc == DYNB_OK && sum == stored;
            if (epoch == 0)
                break;
        }
    }
    return rc;
}

/* The log seems to end at scan->at. Is that so, or is it damage? */
static dynb_rc dynbi_log_scan_judge(dynbi_log_scan *scan, uint64_t durable_lsn, dynb_error *err)
{
    uint64_t missing = scan->at.lsn + 1, disk_pos;
    uint32_t segment_count = scan->log->segment_count;
    dynbi_segment next = scan->next;
    int is_damage = durable_lsn >= missing;
    dynb_rc rc;
    scan->is_loose = 1;
    rc = dynbi_log_scan_prove(scan, missing, &is_damage, err);
    scan->is_loose = 0;
    scan->next = next;
    scan->log->segment_count = segment_count;
    if (rc != DYNB_OK || !is_damage)
        return rc;
    (void)dynbi_log_row(scan->log, scan->at.pos, &disk_pos);
    return dynbi_fail_at(err, DYNB_CORRUPT, disk_pos,
                         "the log is damaged at byte %u: change %u had been synced and is not "
                         "readable; open read-only to save what is left",
                         disk_pos, missing);
}

/* The log was scanned to its end: writing goes on there. */
static void dynbi_log_adopt(dynbi_log *log, const dynbi_log_scan *scan)
{
    dynbi_segment next = scan->next;
    while (log->segment_count > 1 &&
           log->segments[log->segment_count - 1].first_pos >= scan->at.pos)
        next = log->segments[--log->segment_count];
    log->tail = scan->at;
    log->seed = scan->seed;
    log->reserved_count = 0;
    if (dynbi_segment_is_sane(log, scan->disk_bytes, next.page, next.page_count)) {
        log->reserved[0] = next;
        log->reserved_count = 1;
    }
}

/* ===========================================================================
 * 22 STORE
 *
 * What holds a store together: superblock, catalog, tables in memory, the one
 * way to change anything (a transaction: one log frame, then memory), recovery.
 *
 *     page 0, page 1: superblock, both the same but while one is being written
 *       0  "dynbackup store\n" 16 | sum u32 | format u32 |
 *          page_bytes u32 | node_bytes u32
 *      32  store_id 16 | sequence u64 | epoch u32 | page_count u32
 *      64  durable_lsn u64
 *      72  log: segment page u32, page_count u32, first_pos u64,
 *               mark pos u64, lsn u64, time_ms u64, sum u32, epoch u32
 *     120  catalog: lsn u64, root 32 bytes
 *     160  end; the sum covers 20..160 and is seeded by the text
 *
 * Valid if and only if text and sum are right and the sizes are possible; the
 * one with the higher sequence counts. A checkpoint writes one, syncs, writes
 * the other, syncs, and only then frees anything, so the loss of either is
 * always made good by the other.
 *
 * The catalog is a table like any other, number 0. Its keys (numbers: 8 bytes,
 * big-endian):
 *     'B' table name 0 backup id   a backup
 *     'L' first_pos                a log segment behind the mark, kept
 *     'P' table number, recovery_lsn, folded_lsn   a base of its history
 *     'T' table name               a table
 *     'X' expiry time, 'B' key     a backup that expires; only a weight
 * and its values (a value starts with its weight, here 0):
 *     table   0 | varint size, settings | snapshot
 *     backup  0 | varint size, details | varint size, settings | snapshot
 *     segment 0 | varints page, page_count
 *     base    0 | varints of its segment and mark | snapshot
 *     snapshot   LSN, time, counts, runs | varint count of indexes |
 *                for each: varint size, definition | counts, runs
 * A table's number is the LSN of the frame that created it and, above bit 52,
 * its place among the tables created by that frame; never used again.
 *
 * Recovery: (1) the superblock; (2) the log, its end found, catalog changes
 * applied; (3) pages marked from all roots; (4) the other changes that no
 * snapshot holds applied to generations. Live changes go the same way: frame,
 * reserve, append, apply.
 *
 * Locks: every field of struct dynb is guarded by its lock but those that say
 * otherwise; the builder leaves the lock while it reads frozen generations and
 * immutable nodes and writes pages that only it knows.
 *
 * Needs: all above   Used by: TABLE, BACKUP, API
 * Exports: dynbi_store_*, dynbi_change_*, dynbi_table_*, dynbi_record_*,
 *          dynbi_catalog_*, dynbi_mark_*, dynbi_replay_frame
 * On error: nothing is changed; after IO_FAILED in a write the disk is dead.
 * ======================================================================== */

#if defined(DYNBACKUP_PTHREADS)
#include <pthread.h>
#endif

#define DYNBI_SUPERBLOCK_BYTES 160u
#define DYNBI_SUPERBLOCK_TEXT "dynbackup store\n"
#define DYNBI_UUID_SIZE 37u
#define DYNBI_NODE_BYTES_MAX 32768u
#define DYNBI_POS_UNKNOWN (~(uint64_t)0)

#define DYNBI_INDEXES_MAX (DYNB_GLOBAL_INDEXES_MAX + DYNB_LOCAL_INDEXES_MAX)

/* A secondary index: one more sorted set. Its definition names it and says what
 * is in it; all pointers are into that. */
typedef struct dynbi_index {
    uint64_t id;        /* the set's number in the log: never used again in its table */
    uint64_t since_lsn; /* of the frame that made it CREATING or DELETING, else 0 */
    uint8_t *definition;
    uint32_t definition_size;
    int is_global;
    dynb_index_status status;
    dynb_index about; /* but for non_key_attributes, which stand in `included` */
    const uint8_t *included;
    uint64_t included_size;
    const uint8_t *fill_key; /* CREATING: the last of the table's keys put in */
    uint64_t fill_key_size;
    dynbi_runs runs;
    uint64_t item_count; /* last exact values */
    uint64_t size_bytes;
    dynbi_schema schema; /* its keys, then those of the table that are not among them */
    uint32_t key_count;  /* of its own */
    uint32_t slot;       /* the set's number in generations, while this table is in
                          * memory */
} dynbi_index;

typedef struct dynbi_table {
    uint64_t id;
    char *name;
    uint32_t name_length;
    dynbi_schema schema; /* names point into settings */
    uint8_t *settings;   /* as in the record */
    uint32_t settings_size;
    dynbi_runs sets[1];  /* of the items; an index has its own */
    dynbi_index *indexes;
    uint32_t index_count;
    uint32_t slot_count; /* sets that a new generation has to have */
    uint64_t folded_lsn; /* the runs hold everything up to this */
    uint64_t folded_time_ms; /* the time of that change */
    uint32_t recovery_days;  /* point-in-time recovery; 0: off */
    uint64_t recovery_lsn;
    uint64_t history_end_pos; /* of its newest base; DYNBI_POS_UNKNOWN: to be looked up */
    int has_retention;       /* a rule for its backups */
    dynbi_generation *newest;
    uint64_t item_count; /* last exact values */
    uint64_t size_bytes;
    uint64_t created_at_ms;
    const char *restored_from; /* ARN of a backup or table, in settings; NULL: none */
    uint64_t changed_at_ms;    /* by UpdateTable, since open */
    uint64_t reserve_bytes; /* of the transaction being prepared */
    uint32_t reserve_count;
    uint32_t pending_count; /* backups to be built from its generations */
    uint32_t job_count;     /* builder jobs that refer to it */
    int is_dropped;         /* deleted; here only for backups and jobs */
    int is_damaged;         /* tidying met damage; left alone from then on */
    int has_uncounted;      /* a run's deltas are not known yet */
    dynbi_buffer fold_key;  /* a fold that ended early goes on here ... */
    uint64_t fold_lsn;      /* ... if this still is its newest run (or 0) ... */
    uint64_t fold_older_lsn; /* ... and this the one it is folded onto ... */
    uint64_t fold_set;       /* ... of this set */
} dynbi_table;

/* A backup whose generation is not folded yet. */
typedef struct dynbi_pending {
    uint64_t lsn;
    dynbi_table *table;
    uint8_t *key; /* in the catalog */
    uint32_t key_size;
} dynbi_pending;

/* A key of the catalog. */
typedef struct dynbi_catalog_key {
    uint8_t *key;
    uint32_t size;
} dynbi_catalog_key;

/* One change of a transaction; positions are into the frame's payload. */
typedef struct dynbi_op {
    dynbi_table *table;
    uint32_t set; /* the slot */
    uint32_t key_size;
    uint32_t value_size;
    int is_tombstone;
    uint64_t head;  /* of the key, to sort by */
    size_t key_pos; /* the value follows the key */
    void *staged;   /* what a catalog change will put in place, or NULL */
} dynbi_op;

typedef struct dynbi_superblock {
    uint64_t sequence;
    uint64_t durable_lsn;
    uint32_t epoch;
    uint32_t page_count; /* the device had no fewer pages */
    dynbi_segment log_segment;
    dynbi_log_mark log_mark;
    uint64_t catalog_lsn;
    dynbi_root catalog_root;
} dynbi_superblock;

/* A deleted table that is still shown as DELETING. */
typedef struct dynbi_deleting {
    uint8_t *settings;
    uint32_t settings_size;
    uint64_t item_count;
    uint64_t size_bytes;
    uint64_t deleted_at_ms;
} dynbi_deleting;

/* A token bucket of one second's worth. */
typedef struct dynbi_bucket {
    uint64_t filled_at_ms;
    uint64_t tokens; /* in thousandths of a request */
} dynbi_bucket;

#define DYNBI_OPENED 4u /* backups kept open for reading; two at least */

/* A backup being read, as a table of its own that nobody writes. */
typedef struct dynbi_opened {
    char *arn; /* NULL: the place is free */
    size_t arn_size;
    dynbi_table *table;
    uint64_t used_at;
} dynbi_opened;

struct dynbi_worker; /* section 24 */

struct dynb {
    dynbi_memory memory;     /* budget; its outer allocator is the user's */
    dynb_allocator allocator; /* the budget as an allocator */
    dynb_config config;
    char account[13];
    char region[64];
    dynbi_disk disk;
    dynbi_pages pages;
    dynbi_pool pool;
    dynbi_reader reader;
    dynbi_log log;
    dynbi_superblock super; /* as on the device */
    uint32_t super_slot;    /* the page it was read from */
    uint32_t node_bytes;
    uint32_t epoch;          /* 0: this open has not written yet */
    uint64_t generation_max; /* a generation is frozen at this size */
    uint64_t generations_limit;
    uint64_t generation_bytes; /* of all generations of all tables */
    uint64_t change_lsn;       /* of the last change that was not the builder's */
    uint32_t frozen_count;     /* generations waiting to be folded */
    int tidy_is_due;           /* some table has runs to fold together */
    int is_replaying;          /* changes from replay_mark on are not yet in memory */
    dynbi_log_mark replay_mark;
    uint64_t random_state;

    dynbi_table catalog;
    dynbi_table **tables; /* sorted by name among those not dropped, then dropped */
    uint32_t table_count;
    uint32_t live_count; /* the first so many are not dropped */
    uint32_t table_capacity;
    dynbi_pending *pending; /* in order of lsn */
    uint32_t pending_count;
    uint32_t pending_capacity;

    dynbi_catalog_key *uncounted; /* backups whose item count is not exact yet */
    uint32_t uncounted_count;
    uint32_t uncounted_capacity;

    dynbi_buffer frame; /* of the transaction: head room, then payload */
    dynbi_op *ops;
    uint32_t op_count;
    uint32_t op_capacity;
    dynbi_buffer key;   /* scratch of one call */
    dynbi_buffer value; /* likewise */
    dynbi_buffer record; /* likewise, for catalog records */
    dynbi_buffer image;  /* likewise, the item that a write replaces */
    dynbi_buffer entry_key[2];   /* likewise: its entry in an index, and the new one */
    dynbi_buffer entry_value[2];
    dynbi_buffer start;  /* likewise, for what a read starts after */

    dynbi_opened opened[DYNBI_OPENED]; /* good while catalog_changes is ... */
    uint64_t opened_at;                /* ... this; all are dropped else */
    uint64_t opened_clock;
    uint64_t catalog_changes; /* put in place since open */

    dynbi_bucket bucket[DYNB_OPERATION_COUNT];
    dynb_rc fail_code[DYNB_OPERATION_COUNT]; /* see dynb_fail_next_calls */
    uint32_t fail_count[DYNB_OPERATION_COUNT];
    dynbi_deleting *deleting; /* oldest first */
    uint32_t deleting_count;
    uint32_t deleting_capacity;

    uint64_t written_bytes; /* figures for dynb_stat */
    uint64_t folds_count;
    uint64_t checkpoints_count;
    uint64_t checkpoint_pos; /* end of the log at the last checkpoint */
    uint64_t checkpoint_lsn;
    int wants_space;         /* a checkpoint and a marking, soon */
    int sweep_is_due;        /* something in the catalog may have had its time ... */
    uint64_t sweep_due_ms;   /* ... or will have it then; 0: nothing will */
    uint64_t idle_lsn;       /* change_lsn at the last dynb_work */
    uint32_t tries_count;    /* times the call at hand was made again */
    uint64_t debt_bytes;     /* written since the writers were last slowed */
    struct dynbi_worker *worker;
#if defined(DYNBACKUP_PTHREADS)
    pthread_mutex_t lock;
    pthread_cond_t work_ready; /* for the builder thread */
    pthread_cond_t work_done;  /* for those who wait for it */
#endif
};

/* --- records --- */

/* Writes a record, or reads one: each field is named once, in one function for
 * both ways. Texts are kept with a NUL, so a reader's point into the record. */
typedef struct dynbi_coder {
    dynbi_buffer *out; /* NULL: reading */
    const uint8_t *at;
    const uint8_t *end;
    int is_broken;    /* the record is damaged, or memory ran out */
    int lacks_memory; /* it was memory */
} dynbi_coder;

static void dynbi_code_u64(dynbi_coder *coder, uint64_t *number)
{
    if (coder->out) {
        if (!dynbi_buffer_reserve(coder->out, 10))
            coder->is_broken = 1;
        else
            coder->out->used_bytes =
                (size_t)(dynbi_varint_store(coder->out->bytes + coder->out->used_bytes, *number) -
                         coder->out->bytes);
        return;
    }
    if (!coder->is_broken) {
        const uint8_t *after = dynbi_varint_load(coder->at, coder->end, number);
        if (after) {
            coder->at = after;
            return;
        }
        coder->is_broken = 1;
    }
    *number = 0;
}

/* A small number that must be below limit. */
static uint32_t dynbi_code_u32(dynbi_coder *coder, uint32_t number, uint32_t limit)
{
    uint64_t wide = number;
    dynbi_code_u64(coder, &wide);
    if (wide >= limit) {
        coder->is_broken = 1;
        return 0;
    }
    return (uint32_t)wide;
}

static void dynbi_code_text(dynbi_coder *coder, const char **text)
{
    uint64_t size = 0; /* with its NUL; 0: there is no text */
    if (coder->out) {
        while (*text && (*text)[size++])
            ;
        dynbi_code_u64(coder, &size);
        if (size && !dynbi_buffer_append(coder->out, *text, (size_t)size))
            coder->is_broken = 1;
        return;
    }
    *text = NULL;
    dynbi_code_u64(coder, &size);
    if (coder->is_broken || size == 0)
        return;
    if (size > (uint64_t)(coder->end - coder->at) || coder->at[size - 1] != 0) {
        coder->is_broken = 1;
        return;
    }
    *text = (const char *)(const void *)coder->at;
    coder->at += size;
}

/* A part of its own size, for skipping and splicing. Reading: *part and
 * *size. */
static void dynbi_code_part(dynbi_coder *coder, const uint8_t **part, uint64_t *size)
{
    dynbi_code_u64(coder, size);
    if (coder->out) {
        if (*size && !dynbi_buffer_append(coder->out, *part, (size_t)*size))
            coder->is_broken = 1;
        return;
    }
    if (*size > (uint64_t)(coder->end - coder->at))
        coder->is_broken = 1;
    if (coder->is_broken)
        *size = 0;
    *part = coder->at;
    coder->at += *size;
}

static void dynbi_code_key(dynbi_coder *coder, dynb_key_attribute *key)
{
    dynbi_code_text(coder, &key->name);
    key->type = (dynb_type)dynbi_code_u32(coder, (uint32_t)key->type, DYNB_M + 1);
}

static void dynbi_code_retention(dynbi_coder *coder, dynb_backup_retention *rule)
{
    rule->keep_last = dynbi_code_u32(coder, rule->keep_last, 0xffffffffu);
    rule->keep_hourly = dynbi_code_u32(coder, rule->keep_hourly, 0xffffffffu);
    rule->keep_daily = dynbi_code_u32(coder, rule->keep_daily, 0xffffffffu);
    dynbi_code_u64(coder, &rule->max_age_ms);
}

/* A table's settings. The tags follow, as their count and their texts. */
static void dynbi_code_settings(dynbi_coder *coder, uint64_t *id, dynb_table_description *table)
{
    dynb_table_settings *s = &table->settings;
    dynbi_code_u64(coder, id);
    dynbi_code_text(coder, &table->table_name);
    dynbi_code_text(coder, &table->table_id);
    dynbi_code_u64(coder, &table->created_at_ms);
    dynbi_code_key(coder, &table->partition_key);
    dynbi_code_key(coder, &table->sort_key);
    s->billing_mode = (dynb_billing_mode)dynbi_code_u32(coder, (uint32_t)s->billing_mode, 2);
    dynbi_code_u64(coder, &s->provisioned.read_units);
    dynbi_code_u64(coder, &s->provisioned.write_units);
    dynbi_code_u64(coder, &s->on_demand.read_units);
    dynbi_code_u64(coder, &s->on_demand.write_units);
    s->stream_view = (dynb_stream_view)dynbi_code_u32(coder, (uint32_t)s->stream_view, 5);
    dynbi_code_text(coder, &table->stream_label);
    s->encryption = (dynb_encryption)dynbi_code_u32(coder, (uint32_t)s->encryption, 2);
    dynbi_code_text(coder, &s->kms_key_arn);
    s->table_class = (dynb_table_class)dynbi_code_u32(coder, (uint32_t)s->table_class, 2);
    s->deletion_protection = (int)dynbi_code_u32(coder, s->deletion_protection ? 1 : 0, 2);
    dynbi_code_text(coder, &table->ttl_attribute);
    table->recovery_period_days = dynbi_code_u32(coder, table->recovery_period_days,
                                                 DYNB_RECOVERY_DAYS_MAX + 1);
    dynbi_code_u64(coder, &table->recovery_from_ms);
    dynbi_code_u64(coder, &table->recovery_lsn);
    dynbi_code_retention(coder, &table->retention);
    dynbi_code_text(coder, &table->restore_source_backup_arn);
}

/* A backup's own details; the table it is of is in its key and settings. */
static void dynbi_code_details(dynbi_coder *coder, dynb_backup_description *backup)
{
    dynbi_code_text(coder, &backup->backup_name);
    backup->status = (dynb_backup_status)dynbi_code_u32(coder, (uint32_t)backup->status, 2);
    backup->type = (dynb_backup_type)dynbi_code_u32(coder, (uint32_t)backup->type, 2);
    dynbi_code_u64(coder, &backup->created_at_ms);
    dynbi_code_u64(coder, &backup->expires_at_ms);
    dynbi_code_u64(coder, &backup->lsn);
}

/* The storage side of a table or backup. Sets are counted from the items, 0,
 * through the indexes, 1 and up. Lists are the snapshot's own where a bit says
 * so, else those of the table it was taken of. */
typedef struct dynbi_snapshot {
    uint64_t folded_lsn;
    uint64_t folded_time_ms;
    uint64_t item_count;
    uint64_t size_bytes;
    dynbi_runs sets[1];
    dynbi_index *indexes;
    uint32_t index_count;
    uint32_t index_room; /* of the array, if it is its own; else 0 */
    uint32_t owns_runs;        /* bit: set */
    uint32_t owns_definitions; /* bit: index + 1 */
} dynbi_snapshot;

static const dynbi_runs *dynbi_snapshot_runs(const dynbi_snapshot *snapshot, uint32_t set)
{
    return set ? &snapshot->indexes[set - 1].runs : &snapshot->sets[0];
}

static void dynbi_snapshot_free(const dynb_allocator *allocator, dynbi_snapshot *snapshot)
{
    uint32_t set;
    if (snapshot->owns_runs & 1u)
        dynbi_runs_free(allocator, &snapshot->sets[0]);
    for (set = 1; set <= snapshot->index_count; ++set) {
        dynbi_index *index = &snapshot->indexes[set - 1];
        if (snapshot->owns_runs >> set & 1u)
            dynbi_runs_free(allocator, &index->runs);
        if (snapshot->owns_definitions >> set & 1u)
            dynbi_free(allocator, index->definition, index->definition_size);
    }
    if (snapshot->index_room)
        dynbi_free(allocator, snapshot->indexes, snapshot->index_room * sizeof(dynbi_index));
    memset(snapshot, 0, sizeof *snapshot);
}

/* Makes the array of indexes the snapshot's own, with room for `more`. Zero: no
 * memory. */
static int dynbi_snapshot_open(const dynb_allocator *allocator, dynbi_snapshot *snapshot,
                               uint32_t more)
{
    uint32_t room = snapshot->index_count + more;
    dynbi_index *indexes;
    if (room <= snapshot->index_room || room == 0)
        return 1;
    indexes = (dynbi_index *)dynbi_allocate(allocator, room * sizeof *indexes);
    if (!indexes)
        return 0;
    memset(indexes, 0, room * sizeof *indexes);
    if (snapshot->index_count)
        memcpy(indexes, snapshot->indexes, snapshot->index_count * sizeof *indexes);
    if (snapshot->index_room)
        dynbi_free(allocator, snapshot->indexes, snapshot->index_room * sizeof *indexes);
    snapshot->indexes = indexes;
    snapshot->index_room = room;
    return 1;
}

/* Puts a list of runs in a set's place; the snapshot owns it from then on. The
 * array of indexes is its own. */
static void dynbi_snapshot_set_runs(const dynb_allocator *allocator, dynbi_snapshot *snapshot,
                                    uint32_t set, const dynbi_runs *runs)
{
    dynbi_runs *to = set ? &snapshot->indexes[set - 1].runs : &snapshot->sets[0];
    DYNBI_ASSERT(set == 0 || snapshot->index_room);
    if (snapshot->owns_runs >> set & 1u)
        dynbi_runs_free(allocator, to);
    *to = *runs;
    snapshot->owns_runs |= (uint32_t)1 << set;
}

/* Takes an index out; the array is the snapshot's own. */
static void dynbi_snapshot_remove(const dynb_allocator *allocator, dynbi_snapshot *snapshot,
                                  uint32_t set)
{
    const uint32_t low = ((uint32_t)1 << set) - 1u;
    dynbi_index *index = &snapshot->indexes[set - 1];
    DYNBI_ASSERT(snapshot->index_room && set >= 1 && set <= snapshot->index_count);
    if (snapshot->owns_runs >> set & 1u)
        dynbi_runs_free(allocator, &index->runs);
    if (snapshot->owns_definitions >> set & 1u)
        dynbi_free(allocator, index->definition, index->definition_size);
    --snapshot->index_count;
    memmove(index, index + 1, (snapshot->index_count + 1 - set) * sizeof *index);
    snapshot->owns_runs = (snapshot->owns_runs & low) | (snapshot->owns_runs >> 1 & ~low);
    snapshot->owns_definitions =
        (snapshot->owns_definitions & low) | (snapshot->owns_definitions >> 1 & ~low);
}

/* What an index is; the names it includes follow one another in a part. */
static void dynbi_code_index(dynbi_coder *coder, dynbi_index *index)
{
    dynb_index *about = &index->about;
    dynbi_code_u64(coder, &index->id);
    dynbi_code_u64(coder, &index->since_lsn);
    dynbi_code_text(coder, &about->index_name);
    index->is_global = (int)dynbi_code_u32(coder, index->is_global ? 1 : 0, 2);
    index->status = (dynb_index_status)dynbi_code_u32(coder, (uint32_t)index->status, 4);
    dynbi_code_key(coder, &about->partition_key);
    dynbi_code_key(coder, &about->sort_key);
    about->projection = (dynb_projection)dynbi_code_u32(coder, (uint32_t)about->projection, 3);
    about->non_key_attribute_count = dynbi_code_u32(coder, about->non_key_attribute_count,
                                                    DYNB_PROJECTED_ATTRIBUTES_MAX + 1);
    dynbi_code_part(coder, &index->included, &index->included_size);
    dynbi_code_u64(coder, &about->provisioned.read_units);
    dynbi_code_u64(coder, &about->provisioned.write_units);
    dynbi_code_u64(coder, &about->on_demand.read_units);
    dynbi_code_u64(coder, &about->on_demand.write_units);
    dynbi_code_part(coder, &index->fill_key, &index->fill_key_size);
}

static int dynbi_key_type_is_good(const dynb_key_attribute *key)
{
    return key->type == DYNB_S || key->type == DYNB_N || key->type == DYNB_B;
}

/* Reads index->definition: its fields point into it. Zero: it is damaged. */
static int dynbi_index_load(dynbi_index *index)
{
    dynbi_coder coder;
    const char *name;
    uint32_t i;
    memset(&coder, 0, sizeof coder);
    coder.at = index->definition;
    coder.end = index->definition + index->definition_size;
    dynbi_code_index(&coder, index);
    index->about.non_key_attributes = NULL;
    if (coder.is_broken || coder.at != coder.end || !index->about.index_name ||
        !index->about.partition_key.name || !dynbi_key_type_is_good(&index->about.partition_key) ||
        (index->about.sort_key.name && !dynbi_key_type_is_good(&index->about.sort_key)))
        return 0;
    coder.at = index->included;
    coder.end = index->included + index->included_size;
    for (i = 0; i < index->about.non_key_attribute_count; ++i) {
        dynbi_code_text(&coder, &name);
        if (coder.is_broken || !name)
            return 0;
    }
    return coder.at == coder.end;
}

/* Writes what an index's fields say as a new definition of set `set`, which the
 * snapshot owns from then on. Zero: no memory. The array is the snapshot's. */
static int dynbi_snapshot_define(const dynb_allocator *allocator, dynbi_snapshot *snapshot,
                                 uint32_t set)
{
    dynbi_index *index = &snapshot->indexes[set - 1];
    dynbi_coder coder;
    dynbi_buffer to;
    uint8_t *definition = NULL;
    memset(&to, 0, sizeof to);
    memset(&coder, 0, sizeof coder);
    to.allocator = allocator;
    coder.out = &to;
    DYNBI_ASSERT(snapshot->index_room);
    dynbi_code_index(&coder, index);
    if (!coder.is_broken)
        definition = (uint8_t *)dynbi_allocate(allocator, to.used_bytes);
    if (definition) {
        memcpy(definition, to.bytes, to.used_bytes);
        if (snapshot->owns_definitions >> set & 1u)
            dynbi_free(allocator, index->definition, index->definition_size);
        snapshot->owns_definitions |= (uint32_t)1 << set;
        index->definition = definition;
        index->definition_size = (uint32_t)to.used_bytes;
        (void)dynbi_index_load(index);
    }
    dynbi_buffer_free(&to);
    return definition != NULL;
}

static void dynbi_code_run(dynbi_coder *coder, dynbi_run *run)
{
    uint64_t page = run->root.page, page_count = run->root.page_count, sum = run->root.sum;
    dynbi_code_u64(coder, &run->from_lsn);
    dynbi_code_u64(coder, &run->to_lsn);
    run->is_counted = (int)dynbi_code_u32(coder, run->is_counted ? 1 : 0, 2);
    dynbi_code_u64(coder, &run->item_delta);
    dynbi_code_u64(coder, &run->byte_delta);
    dynbi_code_u64(coder, &page);
    if (!page)
        return;
    dynbi_code_u64(coder, &page_count);
    dynbi_code_u64(coder, &sum);
    run->root.level = dynbi_code_u32(coder, run->root.level, DYNBI_LEVELS);
    dynbi_code_u64(coder, &run->root.entry_count);
    dynbi_code_u64(coder, &run->root.byte_count);
    if (page > 0xffffffffu || page_count > 0xffffffffu || sum > 0xffffffffu)
        coder->is_broken = 1;
    run->root.page = (uint32_t)page;
    run->root.page_count = (uint32_t)page_count;
    run->root.sum = (uint32_t)sum;
}

/* What a snapshot starts with. */
static void dynbi_code_counts(dynbi_coder *coder, dynbi_snapshot *snapshot)
{
    dynbi_code_u64(coder, &snapshot->folded_lsn);
    dynbi_code_u64(coder, &snapshot->folded_time_ms);
    dynbi_code_u64(coder, &snapshot->item_count);
    dynbi_code_u64(coder, &snapshot->size_bytes);
}

/* Reading makes the list. */
static void dynbi_code_runs(dynbi_coder *coder, const dynb_allocator *allocator, dynbi_runs *runs)
{
    uint32_t i, count = dynbi_code_u32(coder, runs->count, 4096);
    if (!coder->out) {
        coder->is_broken = coder->is_broken || count > (size_t)(coder->end - coder->at);
        coder->lacks_memory = !coder->is_broken && !dynbi_runs_make(allocator, count, runs);
        if (coder->is_broken || coder->lacks_memory)
            return;
    }
    for (i = 0; i < count; ++i)
        dynbi_code_run(coder, &runs->run[i]);
}

/* An index of a snapshot, what reading makes being the snapshot's own. */
static void dynbi_code_snapshot_index(dynbi_coder *coder, const dynb_allocator *allocator,
                                      dynbi_snapshot *snapshot, uint32_t set)
{
    dynbi_index *index = &snapshot->indexes[set - 1];
    const uint8_t *definition = index->definition;
    uint64_t size = index->definition_size;
    dynbi_code_part(coder, &definition, &size);
    if (!coder->out) {
        if (coder->is_broken || size == 0 || size > 0xffffffu) {
            coder->is_broken = 1;
            return;
        }
        index->definition = (uint8_t *)dynbi_allocate(allocator, (size_t)size);
        coder->lacks_memory = !index->definition;
        if (coder->lacks_memory)
            return;
        memcpy(index->definition, definition, (size_t)size);
        index->definition_size = (uint32_t)size;
        snapshot->owns_definitions |= (uint32_t)1 << set;
        coder->is_broken = !dynbi_index_load(index);
    }
    dynbi_code_u64(coder, &index->item_count);
    dynbi_code_u64(coder, &index->size_bytes);
    dynbi_code_runs(coder, allocator, &index->runs);
    if (!coder->out)
        snapshot->owns_runs |= (uint32_t)1 << set;
}

/* Reading makes lists, freed by dynbi_snapshot_free. */
static void dynbi_code_snapshot(dynbi_coder *coder, const dynb_allocator *allocator,
                                dynbi_snapshot *snapshot)
{
    uint32_t set, count;
    dynbi_code_counts(coder, snapshot);
    dynbi_code_runs(coder, allocator, &snapshot->sets[0]);
    if (!coder->out)
        snapshot->owns_runs = 1;
    if (coder->lacks_memory || coder->is_broken)
        return;
    count = dynbi_code_u32(coder, snapshot->index_count, DYNBI_INDEXES_MAX + 1);
    if (!coder->out && count && !dynbi_snapshot_open(allocator, snapshot, count)) {
        coder->lacks_memory = 1;
        return;
    }
    snapshot->index_count = count;
    for (set = 1; set <= count && !coder->is_broken && !coder->lacks_memory; ++set)
        dynbi_code_snapshot_index(coder, allocator, snapshot, set);
    for (set = 0; !coder->out && !coder->is_broken && !coder->lacks_memory && set <= count; ++set)
        coder->is_broken = !dynbi_runs_are_tiled(dynbi_snapshot_runs(snapshot, set),
                                                 snapshot->folded_lsn);
}

/* A place to rebuild a table's past from: a snapshot, and where the log goes on
 * with the first change that it does not hold. */
typedef struct dynbi_base {
    dynbi_segment segment; /* holds the mark */
    dynbi_log_mark mark;
    uint64_t end_pos;      /* up to the next base there are no changes from here on */
    dynbi_snapshot snapshot;
} dynbi_base;

static void dynbi_code_wide32(dynbi_coder *coder, uint32_t *number)
{
    uint64_t wide = *number;
    dynbi_code_u64(coder, &wide);
    if (wide > 0xffffffffu)
        coder->is_broken = 1;
    *number = (uint32_t)wide;
}

static void dynbi_code_extent(dynbi_coder *coder, dynbi_segment *segment)
{
    dynbi_code_wide32(coder, &segment->page);
    dynbi_code_wide32(coder, &segment->page_count);
}

static void dynbi_code_place(dynbi_coder *coder, dynbi_base *base)
{
    dynbi_code_extent(coder, &base->segment);
    dynbi_code_u64(coder, &base->segment.first_pos);
    dynbi_code_u64(coder, &base->mark.pos);
    dynbi_code_u64(coder, &base->mark.lsn);
    dynbi_code_u64(coder, &base->mark.time_ms);
    dynbi_code_wide32(coder, &base->mark.sum);
    dynbi_code_wide32(coder, &base->mark.epoch);
    dynbi_code_u64(coder, &base->end_pos);
}

/* A record taken apart; everything points into the record. */
typedef struct dynbi_record {
    const uint8_t *details; /* backups only */
    uint64_t details_size;
    const uint8_t *settings;
    uint64_t settings_size;
    const uint8_t *snapshot;
    size_t snapshot_size;
} dynbi_record;

static dynb_rc dynbi_record_broken(dynb_error *err)
{
    return dynbi_fail(err, DYNB_CORRUPT, "a record of the catalog is damaged");
}

static dynb_rc dynbi_record_split(const uint8_t *value, size_t size, int is_backup,
                                  dynbi_record *out, dynb_error *err)
{
    dynbi_coder coder;
    uint64_t weight = 0;
    memset(out, 0, sizeof *out);
    memset(&coder, 0, sizeof coder);
    coder.at = value;
    coder.end = value + size;
    dynbi_code_u64(&coder, &weight);
    if (is_backup)
        dynbi_code_part(&coder, &out->details, &out->details_size);
    dynbi_code_part(&coder, &out->settings, &out->settings_size);
    if (coder.is_broken)
        return dynbi_record_broken(err);
    out->snapshot = coder.at;
    out->snapshot_size = (size_t)(coder.end - coder.at);
    return DYNB_OK;
}

/* A backup's own details; their texts stay in the record. */
static dynb_rc dynbi_details_read(const dynbi_record *record, dynb_backup_description *out,
                                  dynb_error *err)
{
    dynbi_coder coder;
    memset(out, 0, sizeof *out);
    memset(&coder, 0, sizeof coder);
    coder.at = record->details;
    coder.end = record->details + record->details_size;
    dynbi_code_details(&coder, out);
    return coder.is_broken ? dynbi_record_broken(err) : DYNB_OK;
}

/* The id of the table that a record is of: its settings start with it. */
static dynb_rc dynbi_record_table(const dynbi_record *record, uint64_t *id, dynb_error *err)
{
    dynbi_coder coder;
    memset(&coder, 0, sizeof coder);
    coder.at = record->settings;
    coder.end = record->settings + record->settings_size;
    dynbi_code_u64(&coder, id);
    return coder.is_broken ? dynbi_record_broken(err) : DYNB_OK;
}

static dynb_rc dynbi_snapshot_read(const dynb_allocator *allocator, const dynbi_record *record,
                                   dynbi_snapshot *out, dynb_error *err)
{
    dynbi_coder coder;
    memset(out, 0, sizeof *out);
    memset(&coder, 0, sizeof coder);
    coder.at = record->snapshot;
    coder.end = record->snapshot + record->snapshot_size;
    dynbi_code_snapshot(&coder, allocator, out);
    if (!coder.is_broken && !coder.lacks_memory && coder.at == coder.end)
        return DYNB_OK;
    dynbi_snapshot_free(allocator, out);
    if (coder.lacks_memory)
        return dynbi_fail(err, DYNB_NO_MEMORY, "no memory for a list of runs");
    return dynbi_record_broken(err);
}

/* Reads settings; *tags (may be NULL) is left at the tags behind them. */
static dynb_rc dynbi_settings_read(const uint8_t *settings, size_t size, uint64_t *id,
                                   dynb_table_description *out, dynbi_coder *tags,
                                   dynb_error *err)
{
    dynbi_coder coder;
    memset(out, 0, sizeof *out);
    memset(&coder, 0, sizeof coder);
    coder.at = settings;
    coder.end = settings + size;
    dynbi_code_settings(&coder, id, out);
    if (tags)
        *tags = coder;
    if (coder.is_broken || !out->table_name || !out->table_id || !out->partition_key.name)
        return dynbi_record_broken(err);
    return DYNB_OK;
}

/* Starts reading a record that has nothing in front but its weight. */
static void dynbi_coder_begin(dynbi_coder *coder, const dynbi_change *record)
{
    uint64_t weight = 0;
    memset(coder, 0, sizeof *coder);
    coder->at = record->value;
    coder->end = record->value + record->value_size;
    dynbi_code_u64(coder, &weight);
}

/* Reads the record of a base. allocator NULL: without its runs; else they are
 * freed by dynbi_snapshot_free. */
static dynb_rc dynbi_base_read(const dynb_allocator *allocator, const dynbi_change *record,
                               dynbi_base *out, dynb_error *err)
{
    dynbi_record parts;
    dynbi_coder coder;
    memset(out, 0, sizeof *out);
    memset(&parts, 0, sizeof parts);
    dynbi_coder_begin(&coder, record);
    dynbi_code_place(&coder, out);
    if (!coder.is_broken && allocator) {
        parts.snapshot = coder.at;
        parts.snapshot_size = (size_t)(coder.end - coder.at);
        return dynbi_snapshot_read(allocator, &parts, &out->snapshot, err);
    }
    dynbi_code_u64(&coder, &out->snapshot.folded_lsn);
    dynbi_code_u64(&coder, &out->snapshot.folded_time_ms);
    return coder.is_broken ? dynbi_record_broken(err) : DYNB_OK;
}

/* Reads the record of a kept log segment. */
static dynb_rc dynbi_segment_read(const dynbi_change *record, dynbi_segment *out, dynb_error *err)
{
    dynbi_coder coder;
    dynbi_coder_begin(&coder, record);
    dynbi_code_extent(&coder, out);
    if (coder.is_broken || coder.at != coder.end || record->key_size != 9)
        return dynbi_record_broken(err);
    out->first_pos = dynbi_load64_be(record->key + 1);
    return DYNB_OK;
}

/* Puts a record together in `to`, replacing what it held. details NULL: a
 * table's record. */
static dynb_rc dynbi_record_make(dynbi_buffer *to, const dynbi_record *parts,
                                 const dynbi_snapshot *snapshot, dynb_error *err)
{
    dynbi_coder coder;
    dynbi_record from = *parts;
    dynbi_snapshot copy = *snapshot; /* run lists are shared, and not changed */
    uint64_t weight = 0;
    memset(&coder, 0, sizeof coder);
    to->used_bytes = 0;
    coder.out = to;
    dynbi_code_u64(&coder, &weight);
    if (parts->details)
        dynbi_code_part(&coder, &from.details, &from.details_size);
    dynbi_code_part(&coder, &from.settings, &from.settings_size);
    dynbi_code_snapshot(&coder, NULL, &copy);
    if (coder.is_broken)
        return dynbi_fail(err, DYNB_NO_MEMORY, "no memory for a catalog record");
    return DYNB_OK;
}

/* --- tables in memory --- */

/* A table's snapshot as it is: nothing in it is its own. */
static void dynbi_table_snapshot(const dynbi_table *table, dynbi_snapshot *out)
{
    memset(out, 0, sizeof *out);
    out->folded_lsn = table->folded_lsn;
    out->folded_time_ms = table->folded_time_ms;
    out->item_count = table->item_count;
    out->size_bytes = table->size_bytes;
    out->sets[0] = table->sets[0];
    out->indexes = table->indexes;
    out->index_count = table->index_count;
}

/* The runs of the items (set 0) or of an index (1 and up). */
static const dynbi_runs *dynbi_table_runs(const dynbi_table *table, uint32_t set)
{
    return set ? &table->indexes[set - 1].runs : &table->sets[0];
}

#define DYNBI_TABLE_LSN_BITS 52u

/* The number of the index-th table that the next frame creates. */
static uint64_t dynbi_table_number(uint64_t last_lsn, uint32_t index)
{
    return (last_lsn + 1) | (uint64_t)index << DYNBI_TABLE_LSN_BITS;
}

/* The LSN of the frame that created a table. */
static uint64_t dynbi_table_lsn(const dynbi_table *table)
{
    return table->id & (((uint64_t)1 << DYNBI_TABLE_LSN_BITS) - 1);
}

static void dynbi_table_view(const dynbi_table *table, uint32_t set, dynbi_view *view)
{
    view->newest = table->newest;
    view->set = set ? table->indexes[set - 1].slot : 0;
    view->runs = *dynbi_table_runs(table, set);
}

/* The set with that number in the log; beyond index_count: there is none. */
static uint32_t dynbi_table_find_set(const dynbi_table *table, uint64_t id)
{
    uint32_t set;
    for (set = 0; id && set < table->index_count; ++set) {
        if (table->indexes[set].id == id)
            break;
    }
    return id ? set + 1 : 0;
}

/* The number in the log of the set in an index's slot. */
static uint64_t dynbi_table_set_id(const dynbi_table *table, uint32_t slot)
{
    uint32_t i = 0;
    while (i + 1 < table->index_count && table->indexes[i].slot != slot)
        ++i;
    DYNBI_ASSERT(i < table->index_count && table->indexes[i].slot == slot);
    return table->indexes[i].id;
}

static void dynbi_store_freeze(dynb *db, dynbi_generation *generation)
{
    if (!generation->frozen)
        ++db->frozen_count;
    generation->frozen = 1;
}

static void dynbi_store_drop_generation(dynb *db, dynbi_generation *generation)
{
    if (generation->frozen)
        --db->frozen_count;
    DYNBI_ASSERT(db->generation_bytes >= generation->used_bytes);
    db->generation_bytes -= generation->used_bytes;
    dynbi_generation_free(generation);
}

/* Drops the generations that the runs now hold. */
static void dynbi_table_drop_folded(dynb *db, dynbi_table *table)
{
    dynbi_generation **link = &table->newest;
    while (*link) {
        dynbi_generation *generation = *link;
        if (generation->entry_count == 0 || generation->last_lsn > table->folded_lsn) {
            link = &generation->next;
            continue;
        }
        *link = generation->next;
        dynbi_store_drop_generation(db, generation);
    }
}

static void dynbi_table_clear(dynb *db, dynbi_table *table)
{
    uint32_t set;
    while (table->newest) {
        dynbi_generation *next = table->newest->next;
        dynbi_store_drop_generation(db, table->newest);
        table->newest = next;
    }
    dynbi_runs_free(&db->allocator, &table->sets[0]);
    for (set = 0; set < table->index_count; ++set) {
        dynbi_runs_free(&db->allocator, &table->indexes[set].runs);
        dynbi_free(&db->allocator, table->indexes[set].definition,
                   table->indexes[set].definition_size);
    }
    dynbi_free(&db->allocator, table->indexes, table->index_count * sizeof(dynbi_index));
    dynbi_free(&db->allocator, table->settings, table->settings_size);
    dynbi_free(&db->allocator, table->name, table->name_length + 1u);
    dynbi_buffer_free(&table->fold_key);
    memset(table, 0, sizeof *table);
}

static void dynbi_table_free(dynb *db, dynbi_table *table)
{
    if (!table)
        return;
    dynbi_table_clear(db, table);
    dynbi_free(&db->allocator, table, sizeof *table);
}

static int dynbi_name_compare(const char *a, size_t a_length, const char *b, size_t b_length)
{
    return dynbi_key_compare((const uint8_t *)(const void *)a, a_length,
                             (const uint8_t *)(const void *)b, b_length);
}

/* Index of the first live table whose name is not below. */
static uint32_t dynbi_store_table_index(const dynb *db, const char *name, size_t length)
{
    uint32_t low = 0, high = db->live_count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        const dynbi_table *table = db->tables[middle];
        if (dynbi_name_compare(table->name, table->name_length, name, length) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static dynbi_table *dynbi_store_find_table(const dynb *db, const char *name, size_t length)
{
    uint32_t index = dynbi_store_table_index(db, name, length);
    if (index < db->live_count &&
        dynbi_name_compare(db->tables[index]->name, db->tables[index]->name_length, name,
                           length) == 0)
        return db->tables[index];
    return NULL;
}

static dynbi_table *dynbi_store_find_id(const dynb *db, uint64_t id)
{
    uint32_t i;
    for (i = 0; i < db->table_count; ++i) {
        if (db->tables[i]->id == id)
            return db->tables[i];
    }
    return NULL;
}

/* Frees a dropped table once nothing needs it. */
static void dynbi_store_release_table(dynb *db, dynbi_table *table)
{
    uint32_t i;
    if (!table->is_dropped || table->pending_count || table->job_count)
        return;
    for (i = db->live_count; i < db->table_count; ++i) {
        if (db->tables[i] == table) {
            db->tables[i] = db->tables[--db->table_count];
            dynbi_table_free(db, table);
            return;
        }
    }
    DYNBI_ASSERT(!"a dropped table is in the list");
}

static void dynbi_table_take_recovery(dynbi_table *table, const dynb_table_description *settings)
{
    const dynb_backup_retention *rule = &settings->retention;
    table->recovery_days = settings->recovery_period_days;
    table->recovery_lsn = settings->recovery_lsn;
    table->history_end_pos = DYNBI_POS_UNKNOWN;
    table->has_retention = rule->keep_last || rule->keep_hourly || rule->keep_daily ||
                           rule->max_age_ms;
}

/* Adds a part to a schema, unless it has it: key attributes of the table that
 * an index has, too, are there once. */
static void dynbi_schema_add(dynbi_schema *schema, const dynb_key_attribute *key, int is_partition)
{
    dynbi_key_part *part = &schema->part[schema->part_count];
    size_t length = 0;
    if (!key->name)
        return;
    while (key->name[length])
        ++length;
    if (dynbi_schema_find(schema, key->name, length) < schema->part_count)
        return;
    part->name = key->name;
    part->name_length = (uint32_t)length;
    part->type = (uint8_t)key->type;
    part->is_partition = (uint8_t)is_partition;
    ++schema->part_count;
}

/* Gives the indexes their schemas and slots, and takes note of what is not
 * counted. */
static void dynbi_table_bind(dynbi_table *table, const dynb_table_description *settings)
{
    uint32_t i, j;
    dynbi_schema_add(&table->schema, &settings->partition_key, 1);
    dynbi_schema_add(&table->schema, &settings->sort_key, 0);
    for (i = 0; i <= table->index_count; ++i) {
        const dynbi_runs *runs = dynbi_table_runs(table, i);
        const int counts = i == 0 || table->indexes[i - 1].status == DYNB_INDEX_ACTIVE;
        for (j = 0; counts && j < runs->count; ++j)
            table->has_uncounted |= !runs->run[j].is_counted;
    }
    for (i = 0; i < table->index_count; ++i) {
        dynbi_index *index = &table->indexes[i];
        dynbi_schema_add(&index->schema, &index->about.partition_key, 1);
        dynbi_schema_add(&index->schema, &index->about.sort_key, 0);
        index->key_count = index->schema.part_count;
        dynbi_schema_add(&index->schema, &settings->partition_key, 1);
        dynbi_schema_add(&index->schema, &settings->sort_key, 0);
        index->slot = i + 1;
    }
    table->slot_count = table->index_count + 1;
}

/* What a table keeps at hand of its settings; texts point into them. */
static dynb_rc dynbi_table_take_settings(dynbi_table *table, dynb_error *err)
{
    dynb_table_description settings;
    if (dynbi_settings_read(table->settings, table->settings_size, &table->id, &settings, NULL,
                            err) != DYNB_OK ||
        !dynbi_key_type_is_good(&settings.partition_key) ||
        (settings.sort_key.name && !dynbi_key_type_is_good(&settings.sort_key)))
        return dynbi_record_broken(err);
    table->created_at_ms = settings.created_at_ms;
    table->restored_from = settings.restore_source_backup_arn;
    dynbi_table_take_recovery(table, &settings);
    dynbi_table_bind(table, &settings);
    return DYNB_OK;
}

/* A table as its settings and snapshot describe it, not yet in the list. */
static dynb_rc dynbi_table_make(dynb *db, const dynbi_record *record, dynbi_table **out,
                                dynb_error *err)
{
    dynbi_table *table = (dynbi_table *)dynbi_allocate(&db->allocator, sizeof *table);
    dynb_table_description settings;
    dynbi_snapshot snapshot;
    size_t length = 0;
    dynb_rc rc;
    *out = NULL;
    if (!table)
        return dynbi_fail(err, DYNB_NO_MEMORY, "no memory for a table");
    memset(table, 0, sizeof *table);
    table->fold_key.allocator = &db->allocator;
    rc = dynbi_snapshot_read(&db->allocator, record, &snapshot, err);
    if (rc != DYNB_OK) {
        dynbi_free(&db->allocator, table, sizeof *table);
        return rc;
    }
    table->sets[0] = snapshot.sets[0];
    table->indexes = snapshot.indexes;
    table->index_count = snapshot.index_count;
    table->folded_lsn = snapshot.folded_lsn;
    table->folded_time_ms = snapshot.folded_time_ms;
    table->item_count = snapshot.item_count;
    table->size_bytes = snapshot.size_bytes;
    rc = dynbi_settings_read(record->settings, (size_t)record->settings_size, &table->id,
                             &settings, NULL, err);
    if (rc == DYNB_OK) {
        while (settings.table_name[length])
            ++length;
        table->settings = (uint8_t *)dynbi_allocate(&db->allocator,
                                                    (size_t)record->settings_size);
        table->name = (char *)dynbi_allocate(&db->allocator, length + 1);
        table->name_length = (uint32_t)length;
        table->settings_size = (uint32_t)record->settings_size;
        if (!table->settings || !table->name)
            rc = dynbi_fail(err, DYNB_NO_MEMORY, "no memory for a table");
    }
    if (rc != DYNB_OK) {
        dynbi_table_free(db, table);
        return rc;
    }
    memcpy(table->settings, record->settings, table->settings_size);
    memcpy(table->name, settings.table_name, length + 1);
    rc = dynbi_table_take_settings(table, err);
    if (rc != DYNB_OK) {
        dynbi_table_free(db, table);
        return dynbi_record_broken(err);
    }
    *out = table;
    return DYNB_OK;
}

static int dynbi_store_reserve_tables(dynb *db, uint32_t more)
{
    uint32_t capacity = db->table_capacity ? db->table_capacity : 8;
    void *list;
    if (db->table_count + more <= db->table_capacity)
        return 1;
    while (capacity < db->table_count + more)
        capacity *= 2;
    list = dynbi_resize(&db->allocator, db->tables, db->table_capacity * sizeof(dynbi_table *),
                        capacity * sizeof(dynbi_table *));
    if (!list)
        return 0;
    db->tables = (dynbi_table **)list;
    db->table_capacity = capacity;
    return 1;
}

static int dynbi_store_reserve_pending(dynb *db, uint32_t more)
{
    uint32_t capacity = db->pending_capacity ? db->pending_capacity : 8;
    void *list;
    if (db->pending_count + more <= db->pending_capacity)
        return 1;
    while (capacity < db->pending_count + more)
        capacity *= 2;
    list = dynbi_resize(&db->allocator, db->pending, db->pending_capacity * sizeof(dynbi_pending),
                        capacity * sizeof(dynbi_pending));
    if (!list)
        return 0;
    db->pending = (dynbi_pending *)list;
    db->pending_capacity = capacity;
    return 1;
}

/* Remembers to count a backup's items. Without memory it is not counted until
 * the store is opened again. */
static void dynbi_store_note_uncounted(dynb *db, const uint8_t *key, uint32_t size)
{
    dynbi_catalog_key entry;
    if (db->uncounted_count == db->uncounted_capacity) {
        uint32_t capacity = db->uncounted_capacity ? db->uncounted_capacity * 2 : 8;
        void *list = dynbi_resize(&db->allocator, db->uncounted,
                                  db->uncounted_capacity * sizeof entry,
                                  capacity * sizeof entry);
        if (!list)
            return;
        db->uncounted = (dynbi_catalog_key *)list;
        db->uncounted_capacity = capacity;
    }
    entry.size = size;
    entry.key = (uint8_t *)dynbi_allocate(&db->allocator, size);
    if (!entry.key)
        return;
    memcpy(entry.key, key, size);
    db->uncounted[db->uncounted_count++] = entry;
}

static void dynbi_store_forget_uncounted(dynb *db, uint32_t index)
{
    dynbi_free(&db->allocator, db->uncounted[index].key, db->uncounted[index].size);
    db->uncounted[index] = db->uncounted[--db->uncounted_count];
}

static void dynbi_opened_drop(dynb *db, dynbi_opened *opened)
{
    dynbi_table_free(db, opened->table);
    dynbi_free(&db->allocator, opened->arn, opened->arn_size);
    memset(opened, 0, sizeof *opened);
}

static void dynbi_store_drop_opened(dynb *db)
{
    uint32_t i;
    for (i = 0; i < DYNBI_OPENED; ++i)
        dynbi_opened_drop(db, &db->opened[i]);
}

/* The oldest one is gone by now. */
static void dynbi_store_end_deleting(dynb *db)
{
    dynbi_deleting *first = db->deleting;
    DYNBI_ASSERT(db->deleting_count > 0);
    dynbi_free(&db->allocator, first->settings, first->settings_size);
    --db->deleting_count;
    memmove(first, first + 1, db->deleting_count * sizeof *first);
}

/* --- pages and space --- */

#define DYNBI_POINTERS_ARE_SMALL (sizeof(void *) == 4)
#define DYNBI_MEMORY_MIN (DYNBI_POINTERS_ARE_SMALL ? 53248u : 65536u)

/* What a handle needs beside changes: nodes being read from many runs and being
 * built on some levels, what they are read with, scratch, and the map of
 * pages. */
static uint64_t dynbi_store_overhead(const dynb *db)
{
    uint64_t extent = db->node_bytes > db->disk.page_bytes ? db->node_bytes : db->disk.page_bytes;
    return (DYNBI_POINTERS_ARE_SMALL ? 8192 + 24 * extent : 12288 + 48 * extent) +
           6 * (uint64_t)db->pages.capacity / 8;
}

#define DYNBI_CHANGES_MIN 28672u /* memory for changes and their generations */
#define DYNBI_INDEX_MEMORY 16384u /* more for each index of a table but the first: nodes in
                                   * each generation, lists of runs */

/* Refuses more indexes than memory can hold the changes of. */
static dynb_rc dynbi_store_index_memory(const dynb *db, uint32_t index_count, dynb_error *err)
{
    const uint64_t more = index_count > 1 ? (uint64_t)(index_count - 1) * DYNBI_INDEX_MEMORY : 0;
    const uint64_t needed = dynbi_store_overhead(db) + DYNBI_CHANGES_MIN + more;
    if (!more || needed <= db->memory.budget_bytes)
        return DYNB_OK;
    return dynbi_fail(err, DYNB_INVALID_ARGUMENT,
                      "config.memory_bytes is %u; a table with %u indexes needs at least %u",
                      db->memory.budget_bytes, (uint64_t)index_count, needed);
}

/* Parts the budget: half of what is left is for changes waiting to be
 * folded. */
static void dynbi_store_share_memory(dynb *db)
{
    uint64_t overhead = dynbi_store_overhead(db), budget = db->memory.budget_bytes;
    uint64_t left = budget > overhead ? budget - overhead : 0;
    db->generations_limit = (left > DYNBI_CHANGES_MIN ? left : DYNBI_CHANGES_MIN) / 2;
}

/* Grows the device so that `page_count` contiguous pages are to be had; what
 * stood in the way else. */
static dynb_rc dynbi_store_grow(dynb *db, uint32_t page_count)
{
    uint64_t page_bytes = db->disk.page_bytes, pages = db->pages.page_count;
    uint64_t more = pages / 8, limit = 0xfffffe00u;
    if (!db->disk.device.resize_fn)
        return DYNB_NO_SPACE;
    if (more * page_bytes < 65536)
        more = 65536 / page_bytes;
    if (more * page_bytes > ((uint64_t)64 << 20))
        more = ((uint64_t)64 << 20) / page_bytes;
    if (more < page_count)
        more = page_count;
    if (pages + more > limit)
        return DYNB_NO_SPACE;
    if (!dynbi_pages_resize(&db->pages, (uint32_t)(pages + more)))
        return DYNB_NO_MEMORY;
    db->pages.page_count = (uint32_t)pages; /* until the device agrees */
    if (db->disk.device.resize_fn(db->disk.device.ctx, (pages + more) * page_bytes) != DYNB_OK) {
        more = page_count; /* perhaps that much is left */
        if (db->disk.device.resize_fn(db->disk.device.ctx, (pages + more) * page_bytes) != DYNB_OK)
            return DYNB_NO_SPACE;
    }
    db->pages.page_count = (uint32_t)(pages + more);
    db->disk.size_bytes = (pages + more) * page_bytes;
    dynbi_reader_limit(&db->reader, db->pages.page_count);
    dynbi_store_share_memory(db);
    return DYNB_OK;
}

/* Pages of a fixed-size device that only the builder and the catalog may use,
 * so that a full store can still be folded, and deleted from. */
static uint32_t dynbi_store_headroom(const dynb *db)
{
    uint64_t bytes = 12 * (uint64_t)db->node_bytes + 2 * (uint64_t)db->log.segment_bytes;
    if (db->disk.device.resize_fn)
        return 0;
    bytes += db->generation_bytes * 2;
    return (uint32_t)(bytes / db->disk.page_bytes) + 4;
}

static uint32_t dynbi_store_allocate(dynb *db, uint32_t page_count, uint32_t slot)
{
    uint32_t page = dynbi_pages_allocate(&db->pages, page_count, slot), i;
    dynb_rc rc = page ? DYNB_OK : dynbi_store_grow(db, page_count);
    if (rc != DYNB_OK)
        return rc == DYNB_NO_MEMORY ? DYNBI_PAGE_NO_MEMORY : DYNBI_PAGE_NONE;
    if (!page)
        page = dynbi_pages_allocate(&db->pages, page_count, slot);
    for (i = 0; page && i < page_count; ++i)
        dynbi_reader_forget(&db->reader, page + i);
    return page;
}

static uint32_t dynbi_store_allocate_log(void *ctx, uint32_t page_count)
{
    return dynbi_store_allocate((dynb *)ctx, page_count, DYNBI_NO_SLOT);
}

/* --- superblock --- */

static void dynbi_superblock_store(const dynb *db, const dynbi_superblock *super,
                                   uint8_t to[DYNBI_SUPERBLOCK_BYTES])
{
    memset(to, 0, DYNBI_SUPERBLOCK_BYTES);
    memcpy(to, DYNBI_SUPERBLOCK_TEXT, 16);
    dynbi_store32(to + 20, DYNB_FORMAT_VERSION);
    dynbi_store32(to + 24, db->disk.page_bytes);
    dynbi_store32(to + 28, db->node_bytes);
    memcpy(to + 32, db->log.store_id, DYNBI_STORE_ID_BYTES);
    dynbi_store64(to + 48, super->sequence);
    dynbi_store32(to + 56, super->epoch);
    dynbi_store32(to + 60, super->page_count);
    dynbi_store64(to + 64, super->durable_lsn);
    dynbi_store32(to + 72, super->log_segment.page);
    dynbi_store32(to + 76, super->log_segment.page_count);
    dynbi_store64(to + 80, super->log_segment.first_pos);
    dynbi_store64(to + 88, super->log_mark.pos);
    dynbi_store64(to + 96, super->log_mark.lsn);
    dynbi_store64(to + 104, super->log_mark.time_ms);
    dynbi_store32(to + 112, super->log_mark.sum);
    dynbi_store32(to + 116, super->log_mark.epoch);
    dynbi_store64(to + 120, super->catalog_lsn);
    dynbi_root_store(to + 128, &super->catalog_root);
    dynbi_store32(to + 16, dynbi_crc32c(dynbi_crc32c(0, to, 16), to + 20,
                                        DYNBI_SUPERBLOCK_BYTES - 20));
}

static void dynbi_superblock_load(dynbi_superblock *super, const uint8_t *from)
{
    memset(super, 0, sizeof *super);
    super->sequence = dynbi_load64(from + 48);
    super->epoch = dynbi_load32(from + 56);
    super->page_count = dynbi_load32(from + 60);
    super->durable_lsn = dynbi_load64(from + 64);
    super->log_segment.page = dynbi_load32(from + 72);
    super->log_segment.page_count = dynbi_load32(from + 76);
    super->log_segment.first_pos = dynbi_load64(from + 80);
    super->log_mark.pos = dynbi_load64(from + 88);
    super->log_mark.lsn = dynbi_load64(from + 96);
    super->log_mark.time_ms = dynbi_load64(from + 104);
    super->log_mark.sum = dynbi_load32(from + 112);
    super->log_mark.epoch = dynbi_load32(from + 116);
    super->catalog_lsn = dynbi_load64(from + 120);
    dynbi_root_load(&super->catalog_root, from + 128);
}

/* Writes both copies, each synced before the other is touched; last the one
 * that this open read, for a crash may have left it the only whole one. Called
 * without the lock by the builder: reads only what does not change
 * meanwhile. */
static dynb_rc dynbi_superblock_write(const dynb *db, const dynbi_superblock *super)
{
    uint8_t bytes[DYNBI_SUPERBLOCK_BYTES];
    uint32_t i;
    dynb_rc rc = DYNB_OK;
    dynbi_superblock_store(db, super, bytes);
    for (i = 0; rc == DYNB_OK && i < 2; ++i) {
        const uint64_t slot = i == 0 ? !db->super_slot : db->super_slot;
        rc = dynbi_disk_write(&db->disk, slot * db->disk.page_bytes, bytes, sizeof bytes);
        if (rc == DYNB_OK)
            rc = dynbi_disk_sync(&db->disk);
    }
    return rc;
}

/* --- one change --- */

/* Starts a transaction. */
static dynb_rc dynbi_change_begin(dynb *db, dynb_error *err)
{
    db->op_count = 0;
    db->frame.used_bytes = 0;
    if (!dynbi_buffer_reserve(&db->frame, 4096))
        return dynbi_fail(err, DYNB_NO_MEMORY, "no memory for a log record");
    memset(db->frame.bytes, 0, DYNBI_FRAME_HEAD_BYTES);
    db->frame.used_bytes = DYNBI_FRAME_HEAD_BYTES;
    return DYNB_OK;
}

static int dynbi_change_reserve_op(dynb *db)
{
    uint32_t capacity = db->op_capacity ? db->op_capacity * 2 : 16;
    void *ops;
    if (db->op_count < db->op_capacity)
        return 1;
    ops = dynbi_resize(&db->allocator, db->ops, db->op_capacity * sizeof(dynbi_op),
                       capacity * sizeof(dynbi_op));
    if (!ops)
        return 0;
    db->ops = (dynbi_op *)ops;
    db->op_capacity = capacity;
    return 1;
}

/* Adds a put or delete to the transaction:
 * varint table | varint set | varint value_size * 2 + is_tombstone |
 * varint key_size | key | value */
static dynb_rc dynbi_change_add(dynb *db, dynbi_table *table, uint32_t set,
                                const dynbi_change *change, dynb_error *err)
{
    uint64_t size = 40 + (uint64_t)change->key_size + change->value_size;
    uint8_t *at;
    dynbi_op *op;
    if (db->frame.used_bytes + size > DYNBI_FRAME_MAX_BYTES - 8)
        return dynbi_fail(err, DYNB_VALIDATION, "the batch is larger than %u bytes",
                          DYNBI_FRAME_MAX_BYTES);
    if (!dynbi_change_reserve_op(db) || !dynbi_buffer_reserve(&db->frame, (size_t)size))
        return dynbi_fail(err, DYNB_NO_MEMORY, "no memory for a log record of %u bytes",
                          db->frame.used_bytes + size);
    at = db->frame.bytes + db->frame.used_bytes;
    at = dynbi_varint_store(at, table->id);
    at = dynbi_varint_store(at, set ? dynbi_table_set_id(table, set) : 0);
    at = dynbi_varint_store(at, (uint64_t)change->value_size << 1 |
                                    (change->is_tombstone ? 1u : 0u));
    at = dynbi_varint_store(at, change->key_size);
    op = &db->ops[db->op_count++];
    memset(op, 0, sizeof *op);
    op->table = table;
    op->set = set;
    op->key_size = change->key_size;
    op->value_size = change->value_size;
    op->is_tombstone = change->is_tombstone;
    op->key_pos = (size_t)(at - db->frame.bytes);
    if (change->key_size)
        memcpy(at, change->key, change->key_size);
    if (change->value_size)
        memcpy(at + change->key_size, change->value, change->value_size);
    db->frame.used_bytes = op->key_pos + change->key_size + change->value_size;
    return DYNB_OK;
}

/* Reads the op of a frame's payload that starts at *from, but for its table,
 * whose number is *id, and its set, whose number is *set; *from moves on. Zero:
 * it is malformed. */
static int dynbi_op_read(const uint8_t *payload, const uint8_t **from, const uint8_t *end,
                         dynbi_op *op, uint64_t *id, uint64_t *set)
{
    uint64_t word = 0, key_size = 0;
    const uint8_t *at = dynbi_varint_load(*from, end, id);
    at = at ? dynbi_varint_load(at, end, set) : NULL;
    at = at ? dynbi_varint_load(at, end, &word) : NULL;
    at = at ? dynbi_varint_load(at, end, &key_size) : NULL;
    if (!at || (*id == 0 && *set) || key_size > DYNBI_TREE_KEY_MAX ||
        key_size > (uint64_t)(end - at) || (word >> 1) > (uint64_t)(end - at) - key_size ||
        (word >> 1) > DYNBI_VALUE_MAX || ((word & 1) && (word >> 1)))
        return 0;
    memset(op, 0, sizeof *op);
    op->key_size = (uint32_t)key_size;
    op->value_size = (uint32_t)(word >> 1);
    op->is_tombstone = (int)(word & 1);
    op->key_pos = (size_t)(at - payload);
    *from = at + key_size + (word >> 1);
    return 1;
}

/* Takes a frame's payload apart into ops: recovery's counterpart of _add. */
static dynb_rc dynbi_change_parse(dynb *db, const uint8_t *payload, size_t size, dynb_error *err)
{
    const uint8_t *at = payload, *end = payload + size;
    db->op_count = 0;
    while (at < end) {
        uint64_t id = 0, set = 0;
        uint32_t index;
        dynbi_op op;
        if (!dynbi_op_read(payload, &at, end, &op, &id, &set))
            return dynbi_fail(err, DYNB_CORRUPT, "a log record is malformed");
        if (!dynbi_change_reserve_op(db))
            return dynbi_fail(err, DYNB_NO_MEMORY, "no memory to replay a log record");
        op.table = id == 0 ? &db->catalog : dynbi_store_find_id(db, id);
        index = op.table ? dynbi_table_find_set(op.table, set) : 0;
        if (op.table && index > op.table->index_count)
            op.table = NULL; /* of an index that is gone */
        op.set = op.table && index ? op.table->indexes[index - 1].slot : 0;
        db->ops[db->op_count++] = op;
    }
    return DYNB_OK;
}

/* Nonzero: a backup's marker lies between a generation's last change and
 * lsn. */
static int dynbi_table_is_marked(const dynb *db, const dynbi_table *table, uint64_t last_lsn,
                                 uint64_t lsn)
{
    uint32_t i = table->pending_count ? db->pending_count : 0;
    while (i > 0) {
        const dynbi_pending *pending = &db->pending[--i];
        if (pending->table == table && pending->lsn >= last_lsn && pending->lsn < lsn)
            return 1;
    }
    return 0;
}

/* When a generation of the table is full. Its sets have nodes, however few
 * changes there are. */
static uint64_t dynbi_table_generation_max(const dynb *db, const dynbi_table *table)
{
    return db->generation_max + (uint64_t)(table->slot_count - 1) * 2 * DYNBI_NODE_BYTES;
}

/* Makes sure the changes of the next frame can go into the table's generation:
 * a new one where the newest is frozen, full, or behind a marker. */
static dynb_rc dynbi_table_reserve(dynb *db, dynbi_table *table, const dynbi_log_mark *before,
                                   dynb_error *err)
{
    dynbi_generation *newest = table->newest;
    uint64_t old_bytes;
    if (newest && newest->entry_count &&
        (newest->used_bytes >= dynbi_table_generation_max(db, table) ||
         newest->set_count < table->slot_count ||
         dynbi_table_is_marked(db, table, newest->last_lsn, before->lsn + 1)))
        dynbi_store_freeze(db, newest);
    if (newest && !newest->frozen && newest->set_count < table->slot_count) {
        table->newest = newest->next; /* it is empty */
        dynbi_store_drop_generation(db, newest);
        newest = table->newest;
    }
    if (!newest || newest->frozen) {
        dynbi_generation *generation = dynbi_generation_new(&db->pool, table->slot_count);
        if (!generation)
            return dynbi_fail(err, DYNB_NO_MEMORY, "no memory for changes");
        generation->next = newest;
        table->newest = newest = generation;
        db->generation_bytes += generation->used_bytes;
    }
    if (newest->entry_count == 0)
        newest->first_mark = *before;
    old_bytes = newest->used_bytes;
    if (!dynbi_generation_reserve(newest, table->reserve_count, table->reserve_bytes)) {
        db->generation_bytes += newest->used_bytes - old_bytes;
        return dynbi_fail(err, DYNB_NO_MEMORY,
                          "no memory to remember %u bytes of changes; raise memory_bytes",
                          table->reserve_bytes);
    }
    db->generation_bytes += newest->used_bytes - old_bytes;
    return DYNB_OK;
}

/* Reserves memory in every table the ops change. */
static dynb_rc dynbi_change_reserve(dynb *db, const dynbi_log_mark *before, dynb_error *err)
{
    uint32_t i;
    dynb_rc rc = DYNB_OK;
    for (i = 0; i < db->op_count; ++i) {
        dynbi_op *op = &db->ops[i];
        if (op->table) {
            op->table->reserve_count += 1;
            op->table->reserve_bytes += (uint64_t)op->key_size + op->value_size;
        }
    }
    for (i = 0; i < db->op_count; ++i) {
        dynbi_table *table = db->ops[i].table;
        if (!table || !table->reserve_count)
            continue;
        if (rc == DYNB_OK)
            rc = dynbi_table_reserve(db, table, before, err);
        table->reserve_count = 0;
        table->reserve_bytes = 0;
    }
    return rc;
}

/* --- catalog changes: staged before the log, put in place after --- */

typedef struct dynbi_staged {
    dynbi_table *table;    /* what the table becomes, or a deleted one's name */
    dynbi_pending pending; /* key not NULL: a backup to be built */
    int is_built;          /* a backup that was pending need not be any more */
    int is_drop;
} dynbi_staged;

static void dynbi_staged_free(dynb *db, dynbi_op *op)
{
    dynbi_staged *staged = (dynbi_staged *)op->staged;
    if (!staged)
        return;
    dynbi_table_free(db, staged->table);
    dynbi_free(&db->allocator, staged->pending.key, staged->pending.key_size);
    dynbi_free(&db->allocator, staged, sizeof *staged);
    op->staged = NULL;
}

/* Finds the pending backup with a catalog key; pending_count: none. */
static uint32_t dynbi_store_find_pending(const dynb *db, const uint8_t *key, size_t size)
{
    uint32_t i;
    for (i = 0; i < db->pending_count; ++i) {
        if (dynbi_key_compare(db->pending[i].key, db->pending[i].key_size, key, size) == 0)
            break;
    }
    return i;
}

/* A backup record: if it is still to be built, its table has to be there, as
 * itself or, deleted meanwhile, as the record has it. */
static dynb_rc dynbi_stage_backup(dynb *db, dynbi_staged *staged, const uint8_t *key,
                                  uint32_t key_size, const uint8_t *value, uint32_t value_size,
                                  dynb_error *err)
{
    dynb_backup_description details;
    dynbi_record record;
    uint64_t id;
    dynb_rc rc = dynbi_record_split(value, value_size, 1, &record, err);
    if (rc == DYNB_OK)
        rc = dynbi_details_read(&record, &details, err);
    if (rc != DYNB_OK)
        return rc;
    if (details.status != DYNB_BACKUP_CREATING) {
        staged->is_built = 1;
        return DYNB_OK;
    }
    rc = dynbi_record_table(&record, &id, err);
    if (rc != DYNB_OK)
        return rc;
    /* each change of this frame may add one */
    if (!dynbi_store_reserve_pending(db, db->op_count + 1) ||
        !dynbi_store_reserve_tables(db, db->op_count + 1))
        return dynbi_fail(err, DYNB_NO_MEMORY, "no memory for a backup to be built");
    staged->pending.lsn = details.lsn;
    staged->pending.table = dynbi_store_find_id(db, id);
    if (!staged->pending.table) {
        rc = dynbi_table_make(db, &record, &staged->table, err);
        if (rc != DYNB_OK)
            return rc;
    }
    staged->pending.key = (uint8_t *)dynbi_allocate(&db->allocator, key_size);
    if (!staged->pending.key)
        return dynbi_fail(err, DYNB_NO_MEMORY, "no memory for a backup to be built");
    memcpy(staged->pending.key, key, key_size);
    staged->pending.key_size = key_size;
    return DYNB_OK;
}

/* Prepares everything a catalog change needs, so that nothing fails later. */
static dynb_rc dynbi_stage(dynb *db, dynbi_op *op, const uint8_t *base, dynb_error *err)
{
    const uint8_t *key = base + op->key_pos, *value = key + op->key_size;
    dynbi_staged *staged;
    dynbi_record record;
    dynb_rc rc = DYNB_OK;
    if (op->key_size >= 2 && (key[0] == 'L' || key[0] == 'P' || key[0] == 'X'))
        return DYNB_OK; /* nothing in memory follows from it */
    if (op->key_size < 2 || (key[0] != 'T' && key[0] != 'B'))
        return dynbi_record_broken(err);
    staged = (dynbi_staged *)dynbi_allocate(&db->allocator, sizeof *staged);
    if (!staged)
        return dynbi_fail(err, DYNB_NO_MEMORY, "no memory for a catalog change");
    memset(staged, 0, sizeof *staged);
    op->staged = staged;
    if (op->is_tombstone) {
        staged->is_drop = key[0] == 'T';
        staged->is_built = key[0] == 'B';
        return DYNB_OK;
    }
    if (key[0] == 'B')
        return dynbi_stage_backup(db, staged, key, op->key_size, value, op->value_size, err);
    rc = dynbi_record_split(value, op->value_size, 0, &record, err);
    if (rc == DYNB_OK && !dynbi_store_reserve_tables(db, db->op_count + 1))
        rc = dynbi_fail(err, DYNB_NO_MEMORY, "no memory for a table");
    if (rc == DYNB_OK)
        rc = dynbi_table_make(db, &record, &staged->table, err);
    return rc;
}

/* Takes a table off the live ones. What its pending backups need stays. */
static void dynbi_store_drop_table(dynb *db, const uint8_t *key, uint32_t key_size)
{
    const char *name = (const char *)(const void *)(key + 1);
    uint32_t index = dynbi_store_table_index(db, name, key_size - 1u);
    dynbi_table *table = dynbi_store_find_table(db, name, key_size - 1u);
    if (!table)
        return; /* recovery has seen the end already */
    memmove(db->tables + index, db->tables + index + 1,
            (db->table_count - index - 1) * sizeof(dynbi_table *));
    db->tables[db->table_count - 1] = table;
    --db->live_count;
    table->is_dropped = 1;
    dynbi_store_release_table(db, table);
}

/* Nonzero: a slot is in use by one of the indexes or by changes in memory. */
static int dynbi_slot_is_taken(const dynbi_index *indexes, uint32_t count,
                               const dynbi_generation *generation, uint32_t slot)
{
    uint32_t i;
    for (i = 0; i < count; ++i) {
        if (indexes[i].slot == slot)
            return 1;
    }
    while (generation && (slot >= generation->set_count || !generation->sets[slot].root))
        generation = generation->next;
    return generation != NULL;
}

/* Indexes that stay keep their slots; new ones get some that nobody's changes
 * are in. */
static void dynbi_table_keep_slots(dynbi_table *table, const dynbi_table *old)
{
    uint32_t i;
    for (i = 0; i < table->index_count; ++i) {
        uint32_t set = dynbi_table_find_set(old, table->indexes[i].id);
        table->indexes[i].slot = set <= old->index_count ? old->indexes[set - 1].slot : 0;
    }
    table->slot_count = 1;
    for (i = 0; i < table->index_count; ++i) {
        uint32_t slot = table->indexes[i].slot;
        if (!slot) {
            for (slot = 1; dynbi_slot_is_taken(table->indexes, table->index_count, old->newest,
                                               slot);)
                ++slot;
            table->indexes[i].slot = slot;
        }
        if (slot >= table->slot_count)
            table->slot_count = slot + 1;
    }
}

/* The table becomes what was staged; a live one keeps its generations but those
 * that the new runs hold. */
static void dynbi_store_set_table(dynb *db, dynbi_staged *staged)
{
    dynbi_table *to = staged->table, *table = dynbi_store_find_id(db, to->id);
    uint32_t index;
    staged->table = NULL;
    for (index = 0; index < to->index_count; ++index) {
        if (to->indexes[index].status != DYNB_INDEX_ACTIVE)
            db->tidy_is_due = 1; /* to be filled, or removed */
    }
    if (table) {
        dynbi_table old = *table;
        dynbi_table_keep_slots(to, &old);
        *table = *to;
        table->newest = old.newest;
        table->pending_count = old.pending_count;
        table->job_count = old.job_count;
        table->is_dropped = old.is_dropped;
        table->is_damaged = old.is_damaged;
        table->changed_at_ms = old.changed_at_ms;
        table->fold_key = old.fold_key;
        table->fold_lsn = old.fold_lsn;
        table->fold_older_lsn = old.fold_older_lsn;
        table->fold_set = old.fold_set;
        if (table->recovery_lsn == old.recovery_lsn)
            table->history_end_pos = old.history_end_pos;
        old.newest = NULL;
        memset(&old.fold_key, 0, sizeof old.fold_key);
        dynbi_table_clear(db, &old);
        dynbi_free(&db->allocator, to, sizeof *to);
        dynbi_table_drop_folded(db, table);
        return;
    }
    index = dynbi_store_table_index(db, to->name, to->name_length);
    DYNBI_ASSERT(db->table_count < db->table_capacity);
    memmove(db->tables + index + 1, db->tables + index,
            (db->table_count - index) * sizeof(dynbi_table *));
    db->tables[index] = to;
    ++db->table_count;
    ++db->live_count;
}

static void dynbi_store_set_pending(dynb *db, dynbi_staged *staged)
{
    dynbi_pending pending = staged->pending;
    uint32_t known = dynbi_store_find_pending(db, pending.key, pending.key_size);
    uint32_t i = db->pending_count;
    if (known < db->pending_count)
        return; /* its base moved on; staged's key is freed */
    staged->pending.key = NULL;
    if (!pending.table) {
        pending.table = staged->table;
        staged->table = NULL;
        pending.table->is_dropped = 1;
        db->tables[db->table_count++] = pending.table;
    }
    ++pending.table->pending_count;
    while (i > 0 && db->pending[i - 1].lsn > pending.lsn) {
        db->pending[i] = db->pending[i - 1];
        --i;
    }
    db->pending[i] = pending;
    ++db->pending_count;
    if (pending.table->newest && pending.table->newest->entry_count &&
        pending.table->newest->last_lsn <= pending.lsn)
        dynbi_store_freeze(db, pending.table->newest);
}

static void dynbi_store_end_pending(dynb *db, const uint8_t *key, uint32_t key_size)
{
    uint32_t index = dynbi_store_find_pending(db, key, key_size);
    dynbi_table *table;
    if (index == db->pending_count)
        return;
    table = db->pending[index].table;
    db->sweep_is_due |= table->has_retention;
    dynbi_free(&db->allocator, db->pending[index].key, db->pending[index].key_size);
    memmove(db->pending + index, db->pending + index + 1,
            (db->pending_count - index - 1) * sizeof(dynbi_pending));
    --db->pending_count;
    --table->pending_count;
    dynbi_store_release_table(db, table);
}

/* Puts a staged catalog change in place; cannot fail. */
static void dynbi_apply_catalog(dynb *db, dynbi_op *op, const uint8_t *base)
{
    dynbi_staged *staged = (dynbi_staged *)op->staged;
    const uint8_t *key = base + op->key_pos;
    if (staged->is_drop)
        dynbi_store_drop_table(db, key, op->key_size);
    else if (staged->is_built)
        dynbi_store_end_pending(db, key, op->key_size);
    else if (staged->pending.key)
        dynbi_store_set_pending(db, staged);
    else
        dynbi_store_set_table(db, staged);
    ++db->catalog_changes;
    dynbi_staged_free(db, op);
}

/* Remembers one change of frame `lsn` in its table's generation. */
static void dynbi_apply(dynb *db, const dynbi_op *op, const uint8_t *base, uint64_t lsn)
{
    dynbi_generation *generation = op->table->newest;
    dynbi_change change;
    uint64_t old_bytes = generation->used_bytes;
    DYNBI_ASSERT(!generation->frozen && lsn > op->table->folded_lsn);
    DYNBI_ASSERT(generation->entry_count == 0 || generation->last_lsn <= lsn);
    if (generation->entry_count == 0)
        generation->first_lsn = lsn;
    change.key = base + op->key_pos;
    change.key_size = op->key_size;
    change.value = change.key + op->key_size;
    change.value_size = op->value_size;
    change.is_tombstone = op->is_tombstone;
    dynbi_generation_put(generation, op->set, &change);
    generation->last_lsn = lsn;
    db->generation_bytes += generation->used_bytes - old_bytes;
}

/* --- epoch: before the first frame of an open --- */

static uint64_t dynbi_store_now(const dynb *db)
{
    if (db->config.clock_fn)
        return db->config.clock_fn(db->config.clock_ctx);
#if defined(DYNBI_POSIX)
    {
        struct timespec now;
        if (clock_gettime(CLOCK_REALTIME, &now) == 0 && now.tv_sec > 0)
            return (uint64_t)now.tv_sec * 1000u + (uint64_t)now.tv_nsec / 1000000u;
    }
#elif defined(DYNBI_WINDOWS)
    {
        FILETIME now; /* 100 ns since 1601 */
        uint64_t ticks;
        GetSystemTimeAsFileTime(&now);
        ticks = (uint64_t)now.dwHighDateTime << 32 | now.dwLowDateTime;
        return ticks / 10000u - 11644473600000u;
    }
#endif
    return 0;
}

/* Time for the next frame: never before the last one's, whatever the clock
 * does. */
static uint64_t dynbi_store_time(const dynb *db)
{
    uint64_t now = dynbi_store_now(db);
    return now > db->log.tail.time_ms ? now : db->log.tail.time_ms;
}

static uint64_t dynbi_store_random(dynb *db)
{
    uint64_t z;
    if (db->config.random_fn)
        return db->config.random_fn(db->config.random_ctx);
    z = (db->random_state += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

/* The first write of this open: makes what recovery saw durable, and begins a
 * new epoch. Until then nothing on the device has been touched. */
static dynb_rc dynbi_store_begin_writing(dynb *db, dynb_error *err)
{
    dynbi_superblock super = db->super;
    dynbi_buffer frame;
    dynbi_log_mark before;
    uint32_t seed;
    dynb_rc rc;
    if (db->config.read_only || db->disk.has_failed)
        return dynbi_fail(err, DYNB_READ_ONLY,
                          db->config.read_only
                              ? "the store was opened read-only"
                              : "the device failed earlier; open the store again to write");
    if (db->epoch)
        return DYNB_OK;
    /* what recovery read may be in the system's memory only */
    if (dynbi_disk_sync(&db->disk) != DYNB_OK)
        return dynbi_disk_fail(&db->disk, err);
    super.epoch += 1;
    super.sequence += 1;
    super.durable_lsn = db->log.tail.lsn;
    super.page_count = db->pages.page_count;
    if (dynbi_superblock_write(db, &super) != DYNB_OK)
        return dynbi_disk_fail(&db->disk, err);
    db->super = super;
    db->log.durable_lsn = db->log.tail.lsn;
    rc = dynbi_log_reserve(&db->log, DYNBI_FRAME_HEAD_BYTES + 8, err);
    if (rc != DYNB_OK)
        return rc;
    memset(&frame, 0, sizeof frame);
    frame.allocator = &db->allocator;
    if (!dynbi_buffer_reserve(&frame, 64))
        return dynbi_fail(err, DYNB_NO_MEMORY, "no memory for a log record");
    memset(frame.bytes, 0, 64);
    dynbi_store32(frame.bytes + DYNBI_FRAME_HEAD_BYTES, super.epoch);
    frame.used_bytes = DYNBI_FRAME_HEAD_BYTES + 4;
    before = db->log.tail;
    seed = db->log.seed;
    db->log.tail.epoch = super.epoch;
    db->log.tail.time_ms = dynbi_store_time(db);
    db->log.seed = dynbi_log_seed(db->log.store_id, super.epoch);
    rc = dynbi_log_append(&db->log, &frame, DYNBI_FRAME_OPEN, 0, DYNB_SYNCED, err);
    dynbi_buffer_free(&frame);
    if (rc != DYNB_OK) {
        db->log.tail = before;
        db->log.seed = seed;
        return rc;
    }
    db->epoch = super.epoch;
    return DYNB_OK;
}

/* Nonzero: a fixed-size device has room for a user's change of that size. */
static int dynbi_store_has_room(const dynb *db, uint64_t bytes)
{
    uint64_t pages = bytes * 3 / db->disk.page_bytes + dynbi_store_headroom(db);
    return db->disk.device.resize_fn || pages <= dynbi_pages_free_count(&db->pages);
}

/* Ends a transaction: log, sync as asked for, memory. The first failure leaves
 * everything as it was (but a dead device). */
static dynb_rc dynbi_change_commit(dynb *db, dynb_durability durability, dynb_error *err)
{
    const uint64_t size = (db->frame.used_bytes + 7) & ~(uint64_t)7;
    dynbi_log_mark before;
    uint32_t i, flags = 0;
    dynb_rc rc;
    if (!dynbi_buffer_reserve(&db->frame, 8))
        return dynbi_fail(err, DYNB_NO_MEMORY, "no memory for a log record");
    rc = dynbi_store_begin_writing(db, err);
    if (rc == DYNB_OK)
        rc = dynbi_log_reserve(&db->log, size, err);
    before = db->log.tail;
    if (rc == DYNB_OK)
        rc = dynbi_change_reserve(db, &before, err);
    for (i = 0; rc == DYNB_OK && i < db->op_count; ++i) {
        if (db->ops[i].table == &db->catalog) {
            flags = DYNBI_FRAME_HAS_CATALOG;
            rc = dynbi_stage(db, &db->ops[i], db->frame.bytes, err);
        }
    }
    if (rc == DYNB_OK) {
        db->log.tail.time_ms = dynbi_store_time(db);
        rc = dynbi_log_append(&db->log, &db->frame, DYNBI_FRAME_CHANGES, flags, durability, err);
        if (rc != DYNB_OK)
            db->log.tail.time_ms = before.time_ms;
    }
    if (rc == DYNB_OK && durability == DYNB_SYNCED)
        rc = dynbi_log_sync(&db->log, err);
    for (i = 0; i < db->op_count; ++i) {
        dynbi_op *op = &db->ops[i];
        if (rc != DYNB_OK) {
            dynbi_staged_free(db, op);
            continue;
        }
        dynbi_apply(db, op, db->frame.bytes, db->log.tail.lsn);
        op->table->newest->last_time_ms = db->log.tail.time_ms;
        op->table->newest->last_pos = db->log.tail.pos;
        if (op->staged)
            dynbi_apply_catalog(db, op, db->frame.bytes);
    }
    return rc;
}

/* --- reading the catalog --- */

/* Looks a record up and copies it to `to`; *is_there. */
static dynb_rc dynbi_catalog_get(dynb *db, const uint8_t *key, uint32_t key_size,
                                 dynbi_buffer *to, int *is_there, dynb_error *err)
{
    dynbi_found found;
    dynbi_view view;
    dynb_rc rc;
    *is_there = 0;
    dynbi_table_view(&db->catalog, 0, &view);
    rc = dynbi_view_get(&db->reader, &view, key, key_size, &found, err);
    if (rc != DYNB_OK || !found.is_there)
        return rc;
    to->used_bytes = 0;
    if (found.is_tombstone)
        rc = DYNB_OK;
    else if (!dynbi_buffer_append(to, found.value, found.value_size))
        rc = dynbi_fail(err, DYNB_NO_MEMORY, "no memory for a catalog record");
    else
        *is_there = 1;
    dynbi_node_close(&db->reader, &found.leaf);
    return rc;
}

/* Calls visit_fn for each record whose key starts with first_byte (0: each). */
static dynb_rc dynbi_catalog_walk(dynb *db, uint8_t first_byte,
                                  dynb_rc (*visit_fn)(void *ctx, const dynbi_change *record,
                                                      dynb_error *err),
                                  void *ctx, dynb_error *err)
{
    dynbi_merge merge;
    dynbi_view view;
    const dynbi_change *record;
    dynb_rc rc;
    dynbi_table_view(&db->catalog, 0, &view);
    rc = dynbi_merge_init(&merge, &db->reader, &view, err);
    if (rc == DYNB_OK)
        rc = dynbi_merge_seek(&merge, &first_byte, first_byte ? 1 : 0, 0, err);
    while (rc == DYNB_OK && (record = dynbi_merge_current(&merge)) != NULL) {
        if (first_byte && record->key[0] != first_byte)
            break;
        if (!record->is_tombstone)
            rc = visit_fn(ctx, record, err);
        if (rc == DYNB_OK)
            rc = dynbi_merge_next(&merge, err);
    }
    dynbi_merge_free(&merge);
    return rc;
}

/* --- marking --- */

/* Marks a tree. Interior nodes are read; a leaf is marked by its parent. */
static dynb_rc dynbi_mark_tree(dynbi_pages *pages, dynbi_reader *reader, const dynbi_root *root,
                               dynb_error *err)
{
    dynbi_root way[DYNBI_LEVELS];
    uint32_t index[DYNBI_LEVELS], level = root->level;
    if (!root->page)
        return DYNB_OK;
    if (!dynbi_root_is_sane(root, reader->page_limit))
        return dynbi_node_corrupt(reader, root, err);
    if (!dynbi_pages_mark(pages, root->page, root->page_count) || level == 0)
        return DYNB_OK;
    way[level] = *root;
    index[level] = 0;
    for (;;) {
        dynbi_node node;
        dynbi_root child;
        dynb_rc rc = dynbi_node_open(reader, &way[level], &node, err);
        int goes_down = 0;
        memset(&child, 0, sizeof child);
        if (rc != DYNB_OK)
            return rc;
        while (!goes_down && index[level] < node.entry_count) {
            dynbi_node_child(&node, index[level]++, &child);
            if (!dynbi_root_is_sane(&child, reader->page_limit)) {
                dynbi_node_close(reader, &node);
                return dynbi_node_corrupt(reader, &way[level], err);
            }
            goes_down = dynbi_pages_mark(pages, child.page, child.page_count) && child.level > 0;
        }
        dynbi_node_close(reader, &node);
        if (goes_down) {
            way[--level] = child;
            index[level] = 0;
        } else if (level++ == root->level) {
            return DYNB_OK;
        }
    }
}

/* The snapshot that a record of kind B, P or T refers to. */
static dynb_rc dynbi_record_snapshot(const dynb_allocator *allocator, const dynbi_change *entry,
                                     dynbi_snapshot *out, dynb_error *err)
{
    dynbi_record record;
    dynbi_base base;
    dynb_rc rc;
    if (entry->key[0] == 'P') {
        rc = dynbi_base_read(allocator, entry, &base, err);
        *out = base.snapshot;
        return rc;
    }
    rc = dynbi_record_split(entry->value, entry->value_size, entry->key[0] == 'B', &record, err);
    return rc == DYNB_OK ? dynbi_snapshot_read(allocator, &record, out, err) : rc;
}

/* Marks a log segment that is kept behind the mark. */
static dynb_rc dynbi_mark_segment(dynbi_pages *pages, const dynbi_reader *reader,
                                  const dynbi_change *entry, dynb_error *err)
{
    dynbi_segment segment;
    dynb_rc rc = dynbi_segment_read(entry, &segment, err);
    if (rc != DYNB_OK)
        return rc;
    if (segment.page < 2 || segment.page_count == 0 || segment.page >= reader->page_limit ||
        segment.page_count > reader->page_limit - segment.page)
        return dynbi_record_broken(err);
    (void)dynbi_pages_mark(pages, segment.page, segment.page_count);
    return DYNB_OK;
}

/* Marks what a record of the catalog refers to. *is_counted: its totals are
 * exact. */
static dynb_rc dynbi_mark_record(dynbi_pages *pages, dynbi_reader *reader,
                                 const dynbi_change *entry, int *is_counted, dynb_error *err)
{
    uint64_t items, bytes;
    dynbi_snapshot snapshot;
    uint32_t set, i;
    dynb_rc rc;
    *is_counted = 1;
    if (entry->key[0] == 'X')
        return DYNB_OK;
    if (entry->key[0] == 'L')
        return dynbi_mark_segment(pages, reader, entry, err);
    rc = dynbi_record_snapshot(reader->allocator, entry, &snapshot, err);
    if (rc != DYNB_OK)
        return rc;
    *is_counted = 1;
    for (set = 0; set <= snapshot.index_count; ++set) {
        const dynbi_runs *runs = dynbi_snapshot_runs(&snapshot, set);
        for (i = 0; rc == DYNB_OK && i < runs->count; ++i)
            rc = dynbi_mark_tree(pages, reader, &runs->run[i].root, err);
        *is_counted = *is_counted && dynbi_runs_totals(runs, &items, &bytes);
    }
    dynbi_snapshot_free(reader->allocator, &snapshot);
    return rc;
}

static void dynbi_mark_log(dynb *db)
{
    uint32_t i;
    for (i = 0; i < db->log.segment_count; ++i)
        (void)dynbi_pages_mark(&db->pages, db->log.segments[i].page,
                               db->log.segments[i].page_count);
    for (i = 0; i < db->log.reserved_count; ++i)
        (void)dynbi_pages_mark(&db->pages, db->log.reserved[i].page,
                               db->log.reserved[i].page_count);
}

/* Ties a zeroed handle's parts together; its disk, memory and config are
 * set. */
static void dynbi_store_init(dynb *db)
{
    uint32_t i;
    db->pages.allocator = &db->allocator;
    db->log.disk = &db->disk;
    db->log.allocator = &db->allocator;
    db->log.buffer.allocator = &db->allocator;
    db->log.allocate_fn = dynbi_store_allocate_log;
    db->log.ctx = db;
    db->log.zero_ahead = db->config.durability == DYNB_SYNCED;
    db->frame.allocator = &db->allocator;
    db->key.allocator = &db->allocator;
    db->value.allocator = &db->allocator;
    db->record.allocator = &db->allocator;
    db->image.allocator = &db->allocator;
    for (i = 0; i < 2; ++i) {
        db->entry_key[i].allocator = &db->allocator;
        db->entry_value[i].allocator = &db->allocator;
    }
    db->start.allocator = &db->allocator;
    db->pool.allocator = &db->allocator;
    db->catalog.fold_key.allocator = &db->allocator;
    db->catalog.slot_count = 1;
}

/* --- creation --- */

/* Sizes that follow from the configuration and the device. */
static void dynbi_store_set_sizes(dynb *db)
{
    uint64_t budget = db->memory.budget_bytes;
    uint64_t segment = db->config.log_segment_bytes;
    uint64_t chunk;
    if (!segment) {
        segment = budget / 16;
        if (segment > (uint64_t)1 << 20)
            segment = (uint64_t)1 << 20;
    }
    if (!db->disk.device.resize_fn && segment > db->disk.size_bytes / 32)
        segment = db->disk.size_bytes / 32;
    if (segment < 2 * (uint64_t)db->disk.page_bytes)
        segment = 2 * (uint64_t)db->disk.page_bytes;
    db->log.segment_bytes = (uint32_t)segment;
    db->log.buffer_bytes = segment < 65536 ? (uint32_t)segment : 65536;
    dynbi_store_share_memory(db);
    db->generation_max = db->generations_limit / 3;
    if (db->generation_max > (uint64_t)64 << 20)
        db->generation_max = (uint64_t)64 << 20;
    chunk = db->generation_max / 8;
    chunk = chunk < 2048 ? 2048 : chunk > ((uint64_t)1 << 20) ? (uint64_t)1 << 20 : chunk;
    dynbi_pool_init(&db->pool, &db->allocator, (uint32_t)chunk, db->generation_max);
}

static dynb_rc dynbi_store_prepare(dynb *db, dynb_error *err)
{
    uint64_t cache = db->memory.budget_bytes / (db->disk.device.map_fn ? 16 : 8);
    uint64_t page_count = db->disk.size_bytes / db->disk.page_bytes;
    dynb_rc rc = dynbi_reader_init(&db->reader, &db->disk, &db->allocator, cache, db->node_bytes,
                                   err);
    if (rc != DYNB_OK)
        return rc;
    db->reader.may_map = 1;
    db->reader.trusts_nothing = db->config.verify_always;
    if (page_count > 0xfffffe00u)
        page_count = 0xfffffe00u;
    if (!dynbi_pages_resize(&db->pages, (uint32_t)page_count))
        return dynbi_fail(err, DYNB_NO_MEMORY, "no memory for the map of %u pages", page_count);
    if (dynbi_store_overhead(db) + DYNBI_CHANGES_MIN > db->memory.budget_bytes + 1024)
        return dynbi_fail(err, DYNB_INVALID_ARGUMENT,
                          "config.memory_bytes is %u; a store of %u pages with nodes of %u bytes "
                          "needs at least %u",
                          db->memory.budget_bytes, page_count, (uint64_t)db->node_bytes,
                          dynbi_store_overhead(db) + DYNBI_CHANGES_MIN);
    dynbi_store_set_sizes(db);
    dynbi_reader_limit(&db->reader, (uint32_t)page_count);
    return DYNB_OK;
}

/* Makes an empty store on an empty device. */
static dynb_rc dynbi_store_create(dynb *db, dynb_error *err)
{
    uint32_t page = db->config.page_size_bytes;
    uint32_t node = db->config.node_size_bytes, i;
    dynb_rc rc;
    if (!page) /* small memory wants small nodes */
        page = node || db->memory.budget_bytes >= (uint64_t)1 << 20 ? 4096 : 512;
    if (!node)
        node = page < 4096 || page > 8192 ? page : 8192;
    db->disk.page_bytes = page;
    db->node_bytes = node < DYNBI_NODE_BYTES_MAX ? node : DYNBI_NODE_BYTES_MAX;
    if (db->config.read_only || db->config.no_create)
        return dynbi_fail(err, DYNB_NOT_A_STORE, "the device is empty and may not be written: %s",
                          db->config.read_only ? "read_only is set" : "no_create is set");
    rc = dynbi_store_prepare(db, err);
    if (rc != DYNB_OK)
        return rc;
    if (db->pages.page_count < 16)
        rc = dynbi_store_grow(db, 16 - db->pages.page_count);
    if (rc == DYNB_NO_MEMORY)
        return dynbi_fail(err, rc, "no memory for the map of pages");
    if (rc != DYNB_OK)
        return dynbi_fail(err, rc, "a store needs at least 16 pages of %u bytes",
                          (uint64_t)page);
    dynbi_bit_set(db->pages.used, 0);
    dynbi_bit_set(db->pages.used, 1);
    db->pages.used_count = 2;
    for (i = 0; i < 2; ++i)
        dynbi_store64(db->log.store_id + 8 * i, dynbi_store_random(db));
    db->log.seed = dynbi_log_seed(db->log.store_id, 0);
    if (dynbi_disk_write(&db->disk, 0, DYNBI_SUPERBLOCK_TEXT, 16) != DYNB_OK ||
        dynbi_disk_sync(&db->disk) != DYNB_OK) /* see dynbi_store_is_blank */
        return dynbi_disk_fail(&db->disk, err);
    rc = dynbi_log_reserve_segment(&db->log, 0, err);
    if (rc == DYNB_OK)
        rc = dynbi_log_reserve_segment(&db->log, 0, err);
    if (rc == DYNB_OK)
        rc = dynbi_log_enter(&db->log, err);
    if (rc != DYNB_OK)
        return rc;
    db->super.sequence = 1;
    db->super.log_segment = db->log.segments[0];
    db->super.log_mark = db->log.tail;
    db->super.page_count = db->pages.page_count;
    if (dynbi_disk_sync(&db->disk) != DYNB_OK ||
        dynbi_superblock_write(db, &db->super) != DYNB_OK)
        return dynbi_disk_fail(&db->disk, err);
    return DYNB_OK;
}

/* --- recovery --- */

static int dynbi_superblock_sizes_are_possible(uint32_t page_bytes, uint32_t node_bytes)
{
    return page_bytes >= 512 && page_bytes <= 65536 && (page_bytes & (page_bytes - 1)) == 0 &&
           node_bytes >= 512 && node_bytes <= DYNBI_NODE_BYTES_MAX;
}

/* Looks for a superblock at pos. *is_valid; *is_newer: but of a newer
 * format. */
static dynb_rc dynbi_superblock_read(dynb *db, uint64_t pos, uint8_t *bytes, int *is_valid,
                                     int *is_newer, dynb_error *err)
{
    dynb_rc rc;
    *is_valid = 0;
    if (pos > db->disk.size_bytes || db->disk.size_bytes - pos < DYNBI_SUPERBLOCK_BYTES)
        return DYNB_OK;
    rc = dynbi_disk_read(&db->disk, pos, bytes, DYNBI_SUPERBLOCK_BYTES, err);
    if (rc != DYNB_OK || memcmp(bytes, DYNBI_SUPERBLOCK_TEXT, 16) != 0)
        return rc;
    if (DYNBI_SUMS_DIFFER(dynbi_load32(bytes + 16),
                          dynbi_crc32c(dynbi_crc32c(0, bytes, 16), bytes + 20,
                                       DYNBI_SUPERBLOCK_BYTES - 20)))
        return DYNB_OK;
    if (dynbi_load32(bytes + 20) != DYNB_FORMAT_VERSION) {
        *is_newer = 1;
        return DYNB_OK;
    }
    *is_valid = dynbi_superblock_sizes_are_possible(dynbi_load32(bytes + 24),
                                                    dynbi_load32(bytes + 28)) &&
                (pos == 0 || pos == dynbi_load32(bytes + 24));
    return DYNB_OK;
}

/* Is there nothing to lose? Either all is zero, but for a torn text; or the
 * text stands alone: a creation was cut off before its superblocks were
 * written. */
static dynb_rc dynbi_store_is_blank(dynb *db, int *is_blank, dynb_error *err)
{
    static const char text[] = DYNBI_SUPERBLOCK_TEXT;
    uint64_t pos, limit = db->disk.size_bytes < 131072 ? db->disk.size_bytes : 131072;
    uint8_t bytes[512];
    int is_text = 1, is_alone = 1;
    size_t i, size = 0;
    dynb_rc rc;
    *is_blank = 1;
    for (pos = 0; *is_blank && pos < limit; pos += size) {
        size = limit - pos < sizeof bytes ? (size_t)(limit - pos) : sizeof bytes;
        rc = dynbi_disk_read(&db->disk, pos, bytes, size, err);
        if (rc != DYNB_OK)
            return rc;
        for (i = 0; i < size; ++i) {
            int is_text_byte = pos + i < 16 && bytes[i] == (uint8_t)text[pos + i];
            is_text = is_text && (pos + i >= 16 || is_text_byte);
            is_alone = is_alone && (pos > 0 || i < 16 || i >= DYNBI_SUPERBLOCK_BYTES || !bytes[i]);
            if (bytes[i] && !is_text_byte)
                *is_blank = 0;
        }
        if (pos == 0 && size == sizeof bytes && is_text && is_alone) {
            *is_blank = 1;
            return DYNB_OK;
        }
    }
    return DYNB_OK;
}

/* Chooses the superblock. *is_blank: there is none and should be none. */
static dynb_rc dynbi_store_find_superblock(dynb *db, int *is_blank, dynb_error *err)
{
    uint8_t bytes[DYNBI_SUPERBLOCK_BYTES], best[DYNBI_SUPERBLOCK_BYTES];
    int is_valid, is_newer = 0, has_best = 0;
    uint64_t pos;
    dynb_rc rc;
    *is_blank = 0;
    for (pos = 0; pos <= 65536; pos = pos ? pos * 2 : 512) {
        rc = dynbi_superblock_read(db, pos, bytes, &is_valid, &is_newer, err);
        if (rc != DYNB_OK)
            return rc;
        if (is_valid && (!has_best || dynbi_load64(bytes + 48) > dynbi_load64(best + 48))) {
            memcpy(best, bytes, sizeof best);
            has_best = 1;
            db->super_slot = pos > 0;
        }
    }
    if (!has_best) {
        if (is_newer)
            return dynbi_fail(err, DYNB_NEWER_FORMAT,
                              "the store was written in a format this version (%u) cannot read; "
                              "use a newer dynbackup.h",
                              (uint64_t)DYNB_FORMAT_VERSION);
        rc = dynbi_store_is_blank(db, is_blank, err);
        if (rc != DYNB_OK || *is_blank)
            return rc;
        return dynbi_fail(err, DYNB_NOT_A_STORE,
                          "the device holds something else, or both superblocks are damaged; it "
                          "was left untouched");
    }
    db->disk.page_bytes = dynbi_load32(best + 24);
    db->node_bytes = dynbi_load32(best + 28);
    memcpy(db->log.store_id, best + 32, DYNBI_STORE_ID_BYTES);
    dynbi_superblock_load(&db->super, best);
    if (db->disk.size_bytes / db->disk.page_bytes < db->super.page_count &&
        !db->config.read_only)
        return dynbi_fail_at(err, DYNB_CORRUPT, db->disk.size_bytes,
                             "the store was cut off: it had %u bytes and has %u",
                             (uint64_t)db->super.page_count * db->disk.page_bytes,
                             db->disk.size_bytes);
    return DYNB_OK;
}

/* Stages and applies one catalog record, as if it had just been logged. */
static dynb_rc dynbi_recover_record(void *ctx, const dynbi_change *record, dynb_error *err)
{
    dynb *db = (dynb *)ctx;
    dynbi_op op;
    dynbi_buffer copy;
    dynb_rc rc = DYNB_OK;
    memset(&copy, 0, sizeof copy);
    copy.allocator = &db->allocator;
    memset(&op, 0, sizeof op);
    op.key_size = record->key_size;
    op.value_size = record->value_size;
    if (!dynbi_buffer_append(&copy, record->key, record->key_size) ||
        !dynbi_buffer_append(&copy, record->value, record->value_size))
        rc = dynbi_fail(err, DYNB_NO_MEMORY, "no memory for a catalog record");
    if (rc == DYNB_OK)
        rc = dynbi_stage(db, &op, copy.bytes, err);
    if (rc == DYNB_OK)
        dynbi_apply_catalog(db, &op, copy.bytes);
    dynbi_staged_free(db, &op);
    dynbi_buffer_free(&copy);
    return rc;
}

/* Applies the catalog changes of a frame, or (with_data) all others. Frames
 * that a snapshot holds already are passed over, change by change. */
static dynb_rc dynbi_replay_frame(dynb *db, const dynbi_frame *frame,
                                  const dynbi_log_mark *before, int with_data, dynb_error *err)
{
    uint32_t i, j;
    dynb_rc rc = dynbi_change_parse(db, frame->payload, frame->payload_size, err);
    for (i = 0; rc == DYNB_OK && i < db->op_count; ++i) {
        dynbi_op *op = &db->ops[i];
        int is_catalog = op->table == &db->catalog;
        uint64_t last = ~(uint64_t)0;
        if (op->table && op->table->is_dropped) {
            last = 0; /* only what its backups need */
            for (j = 0; j < db->pending_count; ++j) {
                if (db->pending[j].table == op->table)
                    last = db->pending[j].lsn;
            }
        }
        if (!op->table || is_catalog == with_data || frame->lsn <= op->table->folded_lsn ||
            frame->lsn > last)
            op->table = NULL;
    }
    if (rc == DYNB_OK)
        rc = dynbi_change_reserve(db, before, err);
    for (i = 0; rc == DYNB_OK && i < db->op_count; ++i) {
        dynbi_op *op = &db->ops[i];
        if (!op->table)
            continue;
        if (!with_data)
            rc = dynbi_stage(db, op, frame->payload, err);
        if (rc == DYNB_OK) {
            dynbi_apply(db, op, frame->payload, frame->lsn);
            op->table->newest->last_time_ms = frame->time_ms;
            op->table->newest->last_pos = frame->pos + frame->size_bytes;
            if (op->staged)
                dynbi_apply_catalog(db, op, frame->payload);
        }
        dynbi_staged_free(db, op);
    }
    return rc;
}

static void dynbi_scan_start(const dynb *db, dynbi_log_scan *scan, dynbi_log *log)
{
    memset(scan, 0, sizeof *scan);
    scan->log = log;
    scan->buffer.allocator = &db->allocator;
    scan->at = db->super.log_mark;
    scan->seed = dynbi_log_seed(log->store_id, scan->at.epoch);
    scan->epoch_limit = db->super.epoch;
    scan->disk_bytes = db->disk.size_bytes;
}

/* Reads the log to its end and applies the catalog changes in it. */
static dynb_rc dynbi_recover_catalog(dynb *db, dynb_error *err)
{
    dynbi_log_scan scan;
    dynbi_log_mark before;
    dynbi_frame frame;
    int is_good, is_end = 0;
    dynb_rc rc;
    dynbi_scan_start(db, &scan, &db->log);
    scan.verify = 1;
    scan.follow = 1;
    scan.next = db->super.log_segment;
    if (!dynbi_log_list_reserve(&db->log))
        return dynbi_fail(err, DYNB_NO_MEMORY, "no memory for the list of log segments");
    db->log.segments[0] = db->super.log_segment;
    scan.any_chain = 1;
    rc = dynbi_log_read_head(&scan, db->super.log_segment.first_pos, &is_good, err);
    scan.any_chain = 0;
    if (rc == DYNB_OK && (!is_good || db->super.log_mark.pos < db->log.segments[0].first_pos))
        rc = dynbi_fail_at(err, DYNB_CORRUPT,
                           (uint64_t)db->super.log_segment.page * db->disk.page_bytes,
                           "the first log segment, at page %u, is damaged",
                           (uint64_t)db->super.log_segment.page);
    while (rc == DYNB_OK && !is_end) {
        before = scan.at;
        rc = dynbi_log_scan_next(&scan, &frame, &is_end, err);
        if (rc == DYNB_OK && !is_end && (frame.flags & DYNBI_FRAME_HAS_CATALOG) &&
            frame.lsn > db->super.catalog_lsn)
            rc = dynbi_replay_frame(db, &frame, &before, 0, err);
    }
    if (rc == DYNB_OK) {
        rc = dynbi_log_scan_judge(&scan, db->super.durable_lsn, err);
        if (rc == DYNB_CORRUPT && db->config.read_only)
            rc = DYNB_OK; /* what came before is shown */
    }
    if (rc == DYNB_OK)
        dynbi_log_adopt(&db->log, &scan);
    dynbi_log_scan_free(&scan);
    db->log.durable_lsn = db->super.durable_lsn;
    return rc;
}

static dynb_rc dynbi_mark_visit(void *ctx, const dynbi_change *record, dynb_error *err)
{
    dynb *db = (dynb *)ctx;
    int is_counted = 1;
    dynb_rc rc = DYNB_OK;
    if (record->key[0] == 'L' || record->key[0] == 'P' || record->key[0] == 'X')
        db->sweep_is_due = 1;
    rc = dynbi_mark_record(&db->pages, &db->reader, record, &is_counted, err);
    if (rc == DYNB_OK && record->key[0] == 'B' && !is_counted &&
        dynbi_store_find_pending(db, record->key, record->key_size) == db->pending_count)
        dynbi_store_note_uncounted(db, record->key, record->key_size);
    return rc;
}

/* Finds out which pages are free. */
static dynb_rc dynbi_recover_pages(dynb *db, dynb_error *err)
{
    dynb_rc rc = DYNB_OK;
    uint32_t i;
    if (!dynbi_pages_mark_begin(&db->pages))
        return dynbi_fail(err, DYNB_NO_MEMORY, "no memory to find the free pages");
    for (i = 0; rc == DYNB_OK && i < db->catalog.sets[0].count; ++i)
        rc = dynbi_mark_tree(&db->pages, &db->reader, &db->catalog.sets[0].run[i].root, err);
    if (rc == DYNB_OK)
        rc = dynbi_catalog_walk(db, 0, dynbi_mark_visit, db, err);
    if (rc != DYNB_OK) {
        dynbi_pages_mark_abandon(&db->pages);
        return rc;
    }
    dynbi_mark_log(db);
    dynbi_pages_mark_end(&db->pages);
    return DYNB_OK;
}

/* Opens what the device holds, up to where changes have to be replayed. */
static dynb_rc dynbi_store_recover(dynb *db, dynb_error *err)
{
    dynbi_run run;
    uint8_t kind;
    uint32_t i;
    dynb_rc rc = dynbi_store_prepare(db, err);
    if (rc != DYNB_OK)
        return rc;
    db->catalog.folded_lsn = db->super.catalog_lsn;
    memset(&run, 0, sizeof run);
    run.to_lsn = db->super.catalog_lsn;
    run.root = db->super.catalog_root;
    if (!dynbi_runs_make(&db->allocator, 1, &db->catalog.sets[0]))
        return dynbi_fail(err, DYNB_NO_MEMORY, "no memory for the catalog");
    db->catalog.sets[0].run[0] = run;
    for (kind = 'T'; rc == DYNB_OK && kind; kind = kind == 'T' ? 'B' : 0)
        rc = dynbi_catalog_walk(db, kind, dynbi_recover_record, db, err);
    if (rc == DYNB_OK)
        rc = dynbi_recover_catalog(db, err);
    if (rc == DYNB_OK && !db->config.read_only)
        rc = dynbi_recover_pages(db, err);
    db->checkpoint_pos = db->super.log_mark.pos;
    db->change_lsn = db->log.tail.lsn;
    for (i = 0; i < db->live_count; ++i)
        db->sweep_is_due |= db->tables[i]->has_retention;
    return rc;
}

/* Makes the end of the log known as durable, so that damage behind it is told
 * from a torn end; nothing to do where nothing was written. */
static dynb_rc dynbi_store_seal(dynb *db, dynb_error *err)
{
    dynbi_superblock super = db->super;
    dynb_rc rc;
    if (!db->epoch)
        return DYNB_OK;
    if (db->disk.has_failed)
        return dynbi_fail(err, DYNB_READ_ONLY, "the device failed earlier");
    rc = dynbi_log_sync(&db->log, err);
    if (rc != DYNB_OK)
        return rc;
    super.sequence += 1;
    super.durable_lsn = db->log.durable_lsn;
    super.page_count = db->pages.page_count;
    if (dynbi_superblock_write(db, &super) != DYNB_OK)
        return dynbi_disk_fail(&db->disk, err);
    db->super = super;
    return DYNB_OK;
}

static void dynbi_store_free(dynb *db)
{
    uint32_t i;
    dynbi_store_drop_opened(db);
    while (db->deleting_count)
        dynbi_store_end_deleting(db);
    dynbi_free(&db->allocator, db->deleting, db->deleting_capacity * sizeof(dynbi_deleting));
    for (i = 0; i < db->op_count; ++i)
        dynbi_staged_free(db, &db->ops[i]);
    for (i = 0; i < db->table_count; ++i)
        dynbi_table_free(db, db->tables[i]);
    dynbi_table_clear(db, &db->catalog);
    for (i = 0; i < db->pending_count; ++i)
        dynbi_free(&db->allocator, db->pending[i].key, db->pending[i].key_size);
    while (db->uncounted_count)
        dynbi_store_forget_uncounted(db, db->uncounted_count - 1);
    dynbi_free(&db->allocator, db->uncounted, db->uncounted_capacity * sizeof(dynbi_catalog_key));
    dynbi_free(&db->allocator, db->pending, db->pending_capacity * sizeof(dynbi_pending));
    dynbi_free(&db->allocator, db->tables, db->table_capacity * sizeof(dynbi_table *));
    dynbi_free(&db->allocator, db->ops, db->op_capacity * sizeof(dynbi_op));
    dynbi_buffer_free(&db->frame);
    dynbi_buffer_free(&db->key);
    dynbi_buffer_free(&db->value);
    dynbi_buffer_free(&db->record);
    dynbi_buffer_free(&db->image);
    for (i = 0; i < 2; ++i) {
        dynbi_buffer_free(&db->entry_key[i]);
        dynbi_buffer_free(&db->entry_value[i]);
    }
    dynbi_buffer_free(&db->start);
    dynbi_log_free(&db->log);
    dynbi_reader_free(&db->reader);
    dynbi_pages_free(&db->pages);
    dynbi_pool_free(&db->pool);
}

/* ===========================================================================
 * 23 TABLE
 *
 * Tables and items, on the store's transactions and views: names and ARNs,
 * settings, put, get, delete, batch, query, scan. Everything here runs under
 * the handle's lock.
 *
 * An item is stored under its key bytes (section 14), without its key
 * attributes, which the key gives back.
 *
 * Indexes. An item that has all keys of an index, of the right types and sizes,
 * has an entry in it: its key is the index's keys, then those of the table's
 * keys that are not among them, so that it is unique; its value is what the
 * index projects of the item, stored as items are. A write to a table with
 * indexes reads the item it replaces and logs, in the frame of the item's own
 * change, what changes in each index: a tombstone for the entry that was, where
 * the entry moves or ends, and the entry that is, unless it is the same. So
 * recovery applies what was logged and computes nothing: it cannot differ from
 * the live path, needs no old items (which may be folded beyond the frame's LSN
 * already), and is as it is without indexes. The price is log: an index that
 * projects ALL logs the item once more. A table without indexes reads and logs
 * as before.
 *
 * A new index on a live table. The frame at `since_lsn` says CREATING; from
 * there on every write logs the index's changes, too. The worker then reads the
 * table's items as they are (whatever is being written) and adds their entries
 * below the index's own changes, as its oldest runs, piece by piece: where an
 * entry changed since, the change lies above and wins, and where it did not,
 * the item has not changed either, so that any moment after since_lsn gives the
 * same. How far it came is in the catalog with the piece, so a crash loses one
 * piece at most. Tombstones stay until all pieces are there.
 *
 * Needs: VALUE, KEY, SNAPSHOT, STORE   Used by: BACKUP, API
 * Exports: dynbi_table_*, dynbi_item_*, dynbi_settings_make, dynbi_describe
 * On error: AWS's message where the contract has one; nothing is changed.
 * ======================================================================== */

/* --- names --- */

#define DYNBI_ARN_PREFIX "arn:aws:dynamodb:"
#define DYNBI_ARN_ROOM 128u /* what an ARN has beside names */

static int dynbi_text_starts(const char *text, const char *with)
{
    while (*with && *text == *with) {
        ++text;
        ++with;
    }
    return *with == 0;
}

static int dynbi_text_equal(const char *a, const char *b)
{
    size_t length = dynbi_length(a);
    return length == dynbi_length(b) && memcmp(a, b, length) == 0;
}

static int dynbi_name_is_plain(const char *name, size_t length)
{
    size_t i;
    for (i = 0; i < length; ++i) {
        char c = name[i];
        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
              c == '_' || c == '-' || c == '.'))
            return 0;
    }
    return length > 0;
}

/* Checks a name of 3..255 characters [a-zA-Z0-9_.-]; path as AWS's validator
 * writes it, "tableName". */
static dynb_rc dynbi_name_check(const char *name, size_t length, const char *path, dynb_error *err)
{
    const char *bound = length < DYNB_NAME_MIN
                            ? "greater than or equal to 3"
                            : length > DYNB_NAME_MAX ? "less than or equal to 255" : NULL;
    int is_plain = dynbi_name_is_plain(name, length);
    if (is_plain && !bound)
        return DYNB_OK;
    if (!is_plain && bound)
        return dynbi_fail(err, DYNB_VALIDATION,
                          "2 validation errors detected: Value '%t' at '%s' failed to satisfy "
                          "constraint: Member must satisfy regular expression pattern: "
                          "[a-zA-Z0-9_.-]+; Value '%t' at '%s' failed to satisfy constraint: "
                          "Member must have length %s",
                          name, length, path, name, length, path, bound);
    if (bound)
        return dynbi_fail(err, DYNB_VALIDATION,
                          "1 validation error detected: Value '%t' at '%s' failed to satisfy "
                          "constraint: Member must have length %s",
                          name, length, path, bound);
    return dynbi_fail(err, DYNB_VALIDATION,
                      "1 validation error detected: Value '%t' at '%s' failed to satisfy "
                      "constraint: Member must satisfy regular expression pattern: "
                      "[a-zA-Z0-9_.-]+",
                      name, length, path);
}

/* The next part of an ARN, up to `end` or the text's end; text moves past
 * it. */
static size_t dynbi_arn_part(const char **text, char end, const char **part)
{
    size_t length = 0;
    *part = *text;
    while ((*text)[length] && (*text)[length] != end)
        ++length;
    *text += length;
    if (**text)
        ++*text;
    return length;
}

static int dynbi_part_is(const char *part, size_t length, const char *text)
{
    return length == dynbi_length(text) && memcmp(part, text, length) == 0;
}

/* A table's name out of a name or ARN. */
static dynb_rc dynbi_table_name(const dynb *db, const char *text, const char **name,
                                size_t *length, dynb_error *err)
{
    const char *at = text, *part;
    size_t size = dynbi_length(text);
    if (!dynbi_text_starts(text, "arn:")) {
        *name = text;
        *length = size;
        return dynbi_name_check(text, size, "tableName", err);
    }
    if (size > DYNB_ARN_MAX)
        return dynbi_fail(err, DYNB_VALIDATION,
                          "1 validation error detected: Value at 'tableName' failed to satisfy "
                          "constraint: Member must have length less than or equal to 1024");
    (void)dynbi_arn_part(&at, ':', &part);
    size = dynbi_arn_part(&at, ':', &part);
    if (!dynbi_part_is(part, size, "aws"))
        return dynbi_fail(err, DYNB_VALIDATION,
                          "1 validation error detected: Invalid AWS partition in '%s'", text);
    size = dynbi_arn_part(&at, ':', &part);
    if (!dynbi_part_is(part, size, "dynamodb"))
        return dynbi_fail(err, DYNB_VALIDATION,
                          "1 validation error detected: Invalid resource type in '%s'", text);
    size = dynbi_arn_part(&at, ':', &part);
    if (!dynbi_part_is(part, size, db->region))
        return dynbi_fail(err, DYNB_VALIDATION,
                          "1 validation error detected: Invalid AWS region in '%s'", text);
    size = dynbi_arn_part(&at, ':', &part);
    if (!dynbi_part_is(part, size, db->account))
        return dynbi_fail(err, DYNB_ACCESS_DENIED, "Access is denied");
    size = dynbi_arn_part(&at, '/', &part);
    *name = at;
    *length = dynbi_length(at);
    if (!dynbi_part_is(part, size, "table") || !dynbi_name_is_plain(*name, *length))
        return dynbi_fail(err, DYNB_VALIDATION,
                          "1 validation error detected: Invalid resource type in '%s'", text);
    return dynbi_name_check(*name, *length, "tableName", err);
}

/* --- states ---
 *
 * What is shown as CREATING, UPDATING or DELETING follows from recorded times
 * and the clock: nothing runs in the background, and without the delays in the
 * configuration the clock is not even looked at. */

#define DYNBI_TABLES_MAX 2500u
#define DYNBI_BUSY_MAX 500u
#define DYNBI_BUSY_INDEXED_MAX 250u /* of these, tables with indexes being created */
#define DYNBI_RESTORES_MAX 50u

static int dynbi_is_recent(const dynb *db, uint64_t since_ms, uint64_t delay_ms)
{
    return delay_ms && since_ms + delay_ms > dynbi_store_now(db);
}

static dynb_table_status dynbi_table_state(const dynb *db, const dynbi_table *table)
{
    const uint64_t delay_ms = db->config.control_plane_delay_ms;
    if (dynbi_is_recent(db, table->created_at_ms, delay_ms))
        return DYNB_TABLE_CREATING;
    return dynbi_is_recent(db, table->changed_at_ms, delay_ms) ? DYNB_TABLE_UPDATING
                                                               : DYNB_TABLE_ACTIVE;
}

static int dynbi_table_is_restoring(const dynb *db, const dynbi_table *table)
{
    return table->restored_from && dynbi_table_state(db, table) == DYNB_TABLE_CREATING;
}

/* Forgets what was deleted long enough ago; how many are left. */
static uint32_t dynbi_deleting_count(dynb *db)
{
    while (db->deleting_count && !dynbi_is_recent(db, db->deleting[0].deleted_at_ms,
                                                  db->config.control_plane_delay_ms))
        dynbi_store_end_deleting(db);
    return db->deleting_count;
}

/* The table of that name that is DELETING; NULL: none. */
static const dynbi_deleting *dynbi_deleting_find(dynb *db, const char *name, size_t length)
{
    uint32_t i, count = dynbi_deleting_count(db);
    for (i = 0; i < count; ++i) {
        const dynbi_deleting *deleting = &db->deleting[i];
        dynb_table_description table;
        uint64_t id;
        if (dynbi_settings_read(deleting->settings, deleting->settings_size, &id, &table, NULL,
                                NULL) == DYNB_OK &&
            dynbi_part_is(name, length, table.table_name))
            return deleting;
    }
    return NULL;
}

/* Prepares what a table to be deleted leaves behind, and room for it. */
static dynb_rc dynbi_deleting_prepare(dynb *db, const dynbi_table *table, dynbi_deleting *out,
                                      dynb_error *err)
{
    memset(out, 0, sizeof *out);
    if (!db->config.control_plane_delay_ms)
        return DYNB_OK;
    if (db->deleting_count == db->deleting_capacity) {
        uint32_t capacity = db->deleting_capacity ? db->deleting_capacity * 2 : 8;
        void *list = dynbi_resize(&db->allocator, db->deleting,
                                  db->deleting_capacity * sizeof *out, capacity * sizeof *out);
        if (!list)
            return dynbi_fail(err, DYNB_NO_MEMORY, "no memory for a table being deleted");
        db->deleting = (dynbi_deleting *)list;
        db->deleting_capacity = capacity;
    }
    out->settings = (uint8_t *)dynbi_allocate(&db->allocator, table->settings_size);
    if (!out->settings)
        return dynbi_fail(err, DYNB_NO_MEMORY, "no memory for a table being deleted");
    memcpy(out->settings, table->settings, table->settings_size);
    out->settings_size = table->settings_size;
    out->item_count = table->item_count;
    out->size_bytes = table->size_bytes;
    out->deleted_at_ms = dynbi_store_now(db);
    return DYNB_OK;
}

/* How many restores are under way; *busy_count: tables that are not ACTIVE. */
static uint32_t dynbi_count_restores(dynb *db, uint32_t *busy_count)
{
    uint32_t i, restores = 0;
    *busy_count = 0;
    if (!db->config.control_plane_delay_ms)
        return 0;
    for (i = 0; i < db->live_count; ++i) {
        *busy_count += dynbi_table_state(db, db->tables[i]) != DYNB_TABLE_ACTIVE;
        restores += dynbi_table_is_restoring(db, db->tables[i]) != 0;
    }
    *busy_count += dynbi_deleting_count(db);
    return restores;
}

/* So many more table operations, and restores, are allowed at this time. */
static dynb_rc dynbi_busy_check(dynb *db, uint32_t more, uint32_t more_restores, dynb_error *err)
{
    uint32_t busy_count;
    uint32_t restores = dynbi_count_restores(db, &busy_count);
    if (more_restores && (uint64_t)restores + more_restores > DYNBI_RESTORES_MAX)
        return dynbi_fail(err, DYNB_LIMIT_EXCEEDED,
                          "Subscriber limit exceeded: Only 50 restore operations can be done "
                          "simultaneously");
    if ((uint64_t)busy_count + more > DYNBI_BUSY_MAX)
        return dynbi_fail(err, DYNB_LIMIT_EXCEEDED,
                          "Too many operations for a given subscriber.");
    return DYNB_OK;
}

/* One more table with indexes may be created at this time. */
static dynb_rc dynbi_busy_check_indexed(const dynb *db, dynb_error *err)
{
    uint32_t i, count = 0;
    for (i = 0; db->config.control_plane_delay_ms && i < db->live_count; ++i) {
        const dynbi_table *table = db->tables[i];
        count += table->index_count && !table->restored_from &&
                 dynbi_table_state(db, table) == DYNB_TABLE_CREATING;
    }
    return count < DYNBI_BUSY_INDEXED_MAX
               ? DYNB_OK
               : dynbi_fail(err, DYNB_LIMIT_EXCEEDED,
                            "Too many operations for a given subscriber.");
}

/* So many more tables are allowed. */
static dynb_rc dynbi_tables_check(const dynb *db, uint32_t more, dynb_error *err)
{
    if ((uint64_t)db->live_count + more > DYNBI_TABLES_MAX)
        return dynbi_fail(err, DYNB_LIMIT_EXCEEDED,
                          "Subscriber limit exceeded: there are %u tables already",
                          (uint64_t)DYNBI_TABLES_MAX);
    return DYNB_OK;
}

/* A table that is not ACTIVE cannot be changed. A restored one is not even
 * there for most operations; is_delete: but for DeleteTable. */
static dynb_rc dynbi_table_check_idle(const dynb *db, const dynbi_table *table, int is_delete,
                                      dynb_error *err)
{
    const dynb_table_status state = dynbi_table_state(db, table);
    if (state == DYNB_TABLE_CREATING && table->restored_from && !is_delete)
        return dynbi_fail(err, DYNB_RESOURCE_NOT_FOUND,
                          "Requested resource not found: Table: %s not found", table->name);
    if (state == DYNB_TABLE_CREATING)
        return dynbi_fail(err, DYNB_RESOURCE_IN_USE,
                          "Attempt to change a resource which is still in use: Table is being "
                          "%s: %s",
                          table->restored_from ? "used" : "created", table->name);
    if (state == DYNB_TABLE_UPDATING)
        return dynbi_fail(err, DYNB_RESOURCE_IN_USE,
                          "Attempt to change a resource which is still in use: Table: %s is in "
                          "the process of being updated.",
                          table->name);
    return DYNB_OK;
}

/* Is the name free for a table to be created? */
static dynb_rc dynbi_table_check_name(dynb *db, const char *name, dynb_error *err)
{
    const size_t length = dynbi_length(name);
    const dynbi_table *table = dynbi_store_find_table(db, name, length);
    if (table && dynbi_table_state(db, table) == DYNB_TABLE_CREATING)
        return dynbi_table_check_idle(db, table, 1, err);
    if (table)
        return dynbi_fail(err, DYNB_RESOURCE_IN_USE, "Table already exists: %s", name);
    if (dynbi_deleting_find(db, name, length))
        return dynbi_fail(err, DYNB_RESOURCE_IN_USE,
                          "Attempt to change a resource which is still in use: Table is being "
                          "deleted: %s",
                          name);
    return DYNB_OK;
}

/* Can the table be backed up yet? For half of its being CREATED backups do not
 * know it, and as long again after it backups are being enabled. */
static dynb_rc dynbi_table_check_backups(const dynb *db, const dynbi_table *table,
                                         dynb_error *err)
{
    const uint64_t delay_ms = db->config.control_plane_delay_ms;
    if (dynbi_is_recent(db, table->created_at_ms, delay_ms / 2) ||
        dynbi_table_is_restoring(db, table))
        return dynbi_fail(err, DYNB_TABLE_NOT_FOUND, "Table not found: %s", table->name);
    if (dynbi_is_recent(db, table->created_at_ms, delay_ms + delay_ms / 2))
        return dynbi_fail(err, DYNB_CONTINUOUS_BACKUPS_UNAVAILABLE,
                          "Backups are being enabled for the table: %s. Please retry later",
                          table->name);
    return DYNB_OK;
}

/* Finds a live table by name or ARN; code chooses how AWS says that it is not
 * there: RESOURCE_NOT_FOUND, TABLE_NOT_FOUND, or DYNB_OK for the data plane,
 * for which a table that is CREATING is not there. */
static dynb_rc dynbi_table_find(const dynb *db, const char *text, dynb_rc code,
                                dynbi_table **out, dynb_error *err)
{
    const char *name = NULL;
    size_t length = 0;
    dynb_rc rc;
    *out = NULL;
    if (!text)
        return dynbi_fail(err, DYNB_INVALID_ARGUMENT, "table is NULL; give a name or an ARN");
    rc = dynbi_table_name(db, text, &name, &length, err);
    if (rc != DYNB_OK)
        return rc;
    *out = dynbi_store_find_table(db, name, length);
    if (*out && code == DYNB_OK && dynbi_table_state(db, *out) == DYNB_TABLE_CREATING)
        *out = NULL;
    if (*out)
        return DYNB_OK;
    if (code == DYNB_RESOURCE_NOT_FOUND)
        return dynbi_fail(err, code, "Requested resource not found: Table: %t not found", name,
                          length);
    if (code == DYNB_TABLE_NOT_FOUND)
        return dynbi_fail(err, code, "Table not found: %t", name, length);
    return dynbi_fail(err, DYNB_RESOURCE_NOT_FOUND, "Requested resource not found");
}

/* The catalog key of a table, in db->key. */
static dynb_rc dynbi_table_key(dynb *db, const char *name, size_t length, dynb_error *err)
{
    db->key.used_bytes = 0;
    if (!dynbi_buffer_append(&db->key, "T", 1) || !dynbi_buffer_append(&db->key, name, length))
        return dynbi_fail(err, DYNB_NO_MEMORY, "no memory for a table's name");
    return DYNB_OK;
}

static size_t dynbi_table_arn(const dynb *db, const char *name, char *to, size_t room)
{
    return dynbi_format(to, room, DYNBI_ARN_PREFIX "%s:%s:table/%s", db->region, db->account,
                        name);
}

/* --- time and ids as text --- */

/* 2015-05-11T21:21:33.291, by the civil calendar. */
static void dynbi_time_text(uint64_t time_ms, char text[32])
{
    uint64_t days = time_ms / 86400000u + 719468u, rest = time_ms % 86400000u;
    uint64_t era = days / 146097u, day = days % 146097u; /* of an era of 400 years */
    uint64_t year = (day - day / 1460u + day / 36524u - day / 146096u) / 365u;
    uint64_t month, month_day;
    day -= 365u * year + year / 4u - year / 100u;
    month = (5u * day + 2u) / 153u; /* from March */
    month_day = day - (153u * month + 2u) / 5u + 1u;
    year += era * 400u + (month >= 10u ? 1u : 0u);
    month = month < 10u ? month + 3u : month - 9u;
    (void)dynbi_format(text, 32, "%04u-%02u-%02uT%02u:%02u:%02u.%03u", year, month, month_day,
                       rest / 3600000u, rest / 60000u % 60u, rest / 1000u % 60u, rest % 1000u);
}

static void dynbi_uuid_text(dynb *db, char text[DYNBI_UUID_SIZE])
{
    uint64_t a = dynbi_store_random(db), b = dynbi_store_random(db);
    (void)dynbi_format(text, DYNBI_UUID_SIZE, "%08x-%04x-4%03x-%04x-%012x", a >> 32,
                       a >> 16 & 0xffffu, a & 0xfffu, (b >> 48 & 0x3fffu) | 0x8000u,
                       b & 0xffffffffffffu);
}

/* --- settings --- */

static dynb_rc dynbi_tags_code(dynbi_buffer *to, const dynb_tag *tags, uint32_t tag_count,
                               dynb_error *err)
{
    dynbi_coder coder;
    uint64_t count = tag_count;
    uint32_t i;
    memset(&coder, 0, sizeof coder);
    coder.out = to;
    dynbi_code_u64(&coder, &count);
    for (i = 0; i < tag_count; ++i) {
        const char *key = tags[i].key, *value = tags[i].value;
        dynbi_code_text(&coder, &key);
        dynbi_code_text(&coder, &value);
    }
    if (coder.is_broken)
        return dynbi_fail(err, DYNB_NO_MEMORY, "no memory for tags");
    return DYNB_OK;
}

/* Writes a table's settings to `to`, replacing what it held. */
static dynb_rc dynbi_settings_make(dynbi_buffer *to, uint64_t id,
                                   const dynb_table_description *table, const dynb_tag *tags,
                                   uint32_t tag_count, dynb_error *err)
{
    dynbi_coder coder;
    dynb_table_description copy = *table;
    memset(&coder, 0, sizeof coder);
    to->used_bytes = 0;
    coder.out = to;
    dynbi_code_settings(&coder, &id, &copy);
    if (coder.is_broken)
        return dynbi_fail(err, DYNB_NO_MEMORY, "no memory for a table's settings");
    return dynbi_tags_code(to, tags, tag_count, err);
}

/* The room a description takes in a result; twice the settings, which may hold
 * the ARN that another is made of. */
static size_t dynbi_describe_room(size_t settings_size, size_t name_length)
{
    return 2 * settings_size + 3 * (name_length + DYNBI_ARN_ROOM) + 64;
}

/* Fills a description; texts go to the result, where the room was reserved. */
static dynb_rc dynbi_describe(const dynb *db, const uint8_t *settings, size_t settings_size,
                              dynb_table_description *out, dynb_result *result, dynb_error *err)
{
    char arn[DYNB_NAME_MAX + 2 * DYNBI_ARN_ROOM];
    uint64_t id;
    size_t length;
    uint8_t *copy = (uint8_t *)dynbi_result_take(result, settings_size);
    dynb_rc rc;
    memcpy(copy, settings, settings_size);
    rc = dynbi_settings_read(copy, settings_size, &id, out, NULL, err);
    if (rc != DYNB_OK)
        return rc;
    length = dynbi_table_arn(db, out->table_name, arn, sizeof arn);
    out->table_arn = dynbi_result_text(result, arn, length);
    if (out->stream_label) {
        length += dynbi_format(arn + length, sizeof arn - length, "/stream/%s",
                               out->stream_label);
        out->stream_arn = dynbi_result_text(result, arn, length);
    }
    out->status = DYNB_TABLE_ACTIVE;
    out->restore_source_backup_arn = NULL; /* recorded, but shown only while restoring */
    return DYNB_OK;
}

/* The room an index takes in a result: its texts, where a name included has at
 * least 3 bytes for which a pointer is needed; its ARN and its description. */
static size_t dynbi_index_room(size_t definition_size)
{
    return 4 * definition_size + DYNBI_ARN_ROOM + 2 * DYNB_NAME_MAX +
           sizeof(dynb_index_description) + 64;
}

static size_t dynbi_indexes_room(const dynbi_index *indexes, uint32_t count)
{
    size_t room = 64;
    uint32_t i;
    for (i = 0; i < count; ++i)
        room += dynbi_index_room(indexes[i].definition_size);
    return room;
}

/* Fills an index's description; its texts are copied to the result. */
static void dynbi_describe_index(const dynb *db, const char *table_name, const dynbi_index *index,
                                 dynb_index_description *out, dynb_result *result)
{
    char arn[2 * DYNB_NAME_MAX + 2 * DYNBI_ARN_ROOM];
    const uint32_t count = index->about.non_key_attribute_count;
    dynbi_index copy = *index;
    dynbi_coder coder;
    size_t length;
    uint32_t i;
    copy.definition = (uint8_t *)dynbi_result_take(result, index->definition_size);
    memcpy(copy.definition, index->definition, index->definition_size);
    (void)dynbi_index_load(&copy);
    memset(out, 0, sizeof *out);
    out->index = copy.about;
    out->status = copy.status;
    out->backfilling = copy.status == DYNB_INDEX_CREATING;
    out->item_count = index->item_count;
    out->size_bytes = index->size_bytes;
    if (count) {
        const char **names = (const char **)dynbi_result_take(result, count * sizeof *names);
        memset(&coder, 0, sizeof coder);
        coder.at = copy.included;
        coder.end = copy.included + copy.included_size;
        for (i = 0; i < count; ++i)
            dynbi_code_text(&coder, &names[i]);
        out->index.non_key_attributes = names;
    }
    length = dynbi_table_arn(db, table_name, arn, sizeof arn);
    length += dynbi_format(arn + length, sizeof arn - length, "/index/%s",
                           copy.about.index_name);
    out->index_arn = dynbi_result_text(result, arn, length);
}

/* Fills in the lists of indexes; the room was reserved. */
static void dynbi_describe_indexes(const dynb *db, const dynbi_index *indexes, uint32_t count,
                                   dynb_table_description *out, dynb_result *result)
{
    dynb_index_description *to;
    uint32_t i, is_global, made = 0;
    if (!count)
        return;
    to = (dynb_index_description *)dynbi_result_take(result, count * sizeof *to);
    for (is_global = 2; is_global-- > 0;) {
        const uint32_t first = made;
        for (i = 0; i < count; ++i) {
            if ((uint32_t)indexes[i].is_global == is_global)
                dynbi_describe_index(db, out->table_name, &indexes[i], &to[made++], result);
        }
        if (is_global) {
            out->global_indexes = made > first ? to + first : NULL;
            out->global_index_count = made - first;
        } else {
            out->local_indexes = made > first ? to + first : NULL;
            out->local_index_count = made - first;
        }
    }
}

/* Adds what is shown of a restore; the room was reserved. source_arn: a
 * backup's, or a table's that was restored to a time. */
static void dynbi_describe_restore(const char *source_arn, uint64_t restored_at_ms,
                                   dynb_table_description *out, dynb_result *result)
{
    size_t table_arn_length = 0; /* what stands before the backup's own part */
    while (source_arn[table_arn_length] &&
           !dynbi_text_starts(source_arn + table_arn_length, "/backup/"))
        ++table_arn_length;
    out->restoring = 1;
    if (source_arn[table_arn_length])
        out->restore_source_backup_arn = dynbi_result_text(result, source_arn,
                                                           dynbi_length(source_arn));
    out->restore_source_table_arn = dynbi_result_text(result, source_arn, table_arn_length);
    out->restored_at_ms = restored_at_ms;
}

/* Describes a table as it is in memory. out NULL: nothing to do. */
static dynb_rc dynbi_table_describe(const dynb *db, const dynbi_table *table,
                                    dynb_table_description *out, dynb_result *result,
                                    dynb_error *err)
{
    size_t room = dynbi_describe_room(table->settings_size, table->name_length) +
                  dynbi_indexes_room(table->indexes, table->index_count);
    dynb_rc rc;
    if (!out)
        return DYNB_OK;
    rc = dynbi_result_reserve(result, &db->memory.outer, room, err);
    if (rc == DYNB_OK)
        rc = dynbi_describe(db, table->settings, table->settings_size, out, result, err);
    if (rc != DYNB_OK)
        return rc;
    dynbi_describe_indexes(db, table->indexes, table->index_count, out, result);
    out->item_count = table->item_count;
    out->size_bytes = table->size_bytes;
    out->status = dynbi_table_state(db, table);
    if (dynbi_table_is_restoring(db, table))
        dynbi_describe_restore(table->restored_from, table->created_at_ms, out, result);
    return DYNB_OK;
}

/* Describes a table that is being deleted. */
static dynb_rc dynbi_deleting_describe(const dynb *db, const dynbi_deleting *deleting,
                                       size_t name_length, dynb_table_description *out,
                                       dynb_result *result, dynb_error *err)
{
    dynb_rc rc;
    if (!out)
        return DYNB_OK;
    rc = dynbi_result_reserve(result, &db->memory.outer,
                              dynbi_describe_room(deleting->settings_size, name_length), err);
    if (rc == DYNB_OK)
        rc = dynbi_describe(db, deleting->settings, deleting->settings_size, out, result, err);
    if (rc != DYNB_OK)
        return rc;
    out->item_count = deleting->item_count;
    out->size_bytes = deleting->size_bytes;
    out->status = DYNB_TABLE_DELETING;
    return DYNB_OK;
}

/* Describes a table by name or ARN, one being deleted too; *is_deleting. */
static dynb_rc dynbi_table_show(dynb *db, const char *text, int *is_deleting,
                                dynb_table_description *out, dynb_result *result,
                                dynb_error *err)
{
    const dynbi_deleting *deleting = NULL;
    const char *name = NULL;
    size_t length = 0;
    dynbi_table *table;
    dynb_rc rc = DYNB_OK;
    *is_deleting = 0;
    if (text && db->deleting_count)
        rc = dynbi_table_name(db, text, &name, &length, err);
    if (rc != DYNB_OK)
        return rc;
    if (name && !dynbi_store_find_table(db, name, length))
        deleting = dynbi_deleting_find(db, name, length);
    if (deleting) {
        *is_deleting = 1;
        return dynbi_deleting_describe(db, deleting, length, out, result, err);
    }
    rc = dynbi_table_find(db, text, DYNB_RESOURCE_NOT_FOUND, &table, err);
    return rc == DYNB_OK ? dynbi_table_describe(db, table, out, result, err) : rc;
}

static dynb_rc dynbi_throughput_check(const dynb_table_settings *settings, dynb_error *err)
{
    const dynb_throughput *units = &settings->provisioned;
    const uint64_t limit = 1000000000000u;
    if (settings->billing_mode == DYNB_PROVISIONED) {
        if (!units->read_units || !units->write_units)
            return dynbi_fail(err, DYNB_VALIDATION,
                              "One or more parameter values were invalid: ReadCapacityUnits and "
                              "WriteCapacityUnits must both be specified when BillingMode is "
                              "PROVISIONED");
        if (units->read_units > limit || units->write_units > limit)
            return dynbi_fail(err, DYNB_VALIDATION, "Given value %u for %s is out of bounds",
                              units->read_units > limit ? units->read_units : units->write_units,
                              units->read_units > limit ? "ReadCapacityUnits"
                                                        : "WriteCapacityUnits");
        if (settings->on_demand.read_units || settings->on_demand.write_units)
            return dynbi_fail(err, DYNB_VALIDATION,
                              "One or more parameter values were invalid: OnDemandThroughput "
                              "cannot be specified when BillingMode is PROVISIONED");
        return DYNB_OK;
    }
    if (units->read_units || units->write_units)
        return dynbi_fail(err, DYNB_VALIDATION,
                          "One or more parameter values were invalid: Neither ReadCapacityUnits "
                          "nor WriteCapacityUnits can be specified when BillingMode is "
                          "PAY_PER_REQUEST");
    return DYNB_OK;
}

/* Enumerations that come from outside. */
static dynb_rc dynbi_settings_check(const dynb_table_settings *s, dynb_error *err)
{
    const char *member = (unsigned)s->billing_mode > DYNB_PROVISIONED ? "billing_mode"
                         : (unsigned)s->stream_view > DYNB_STREAM_NEW_AND_OLD_IMAGES
                             ? "stream_view"
                         : (unsigned)s->encryption > DYNB_ENCRYPTION_KMS ? "encryption"
                         : (unsigned)s->table_class > DYNB_STANDARD_INFREQUENT_ACCESS
                             ? "table_class"
                             : NULL;
    if (member)
        return dynbi_fail(err, DYNB_INVALID_ARGUMENT, "settings.%s is not one of its values",
                          member);
    if (s->kms_key_arn && (s->kms_key_arn[0] == 0 || dynbi_length(s->kms_key_arn) > 2048))
        return dynbi_fail(err, DYNB_VALIDATION,
                          "1 validation error detected: Value '%s' at "
                          "'sSESpecification.kMSMasterKeyId' failed to satisfy constraint: "
                          "Member must have length %s",
                          s->kms_key_arn[0] ? "..." : "",
                          s->kms_key_arn[0] ? "less than or equal to 2048"
                                            : "greater than or equal to 1");
    return dynbi_throughput_check(s, err);
}

static dynb_rc dynbi_key_attribute_check(const dynb_key_attribute *key, const char *member,
                                         dynb_error *err)
{
    size_t length = dynbi_length(key->name), bad_pos = 0;
    if (length < 1 || length > DYNB_KEY_NAME_MAX_BYTES)
        return dynbi_fail(err, DYNB_VALIDATION, "%s.name has %u bytes; allowed are 1 to 255",
                          member, (uint64_t)length);
    if (!dynbi_utf8_check((const uint8_t *)(const void *)key->name, length, &bad_pos))
        return dynbi_fail(err, DYNB_VALIDATION, "%s.name is not UTF-8 at byte %u", member,
                          (uint64_t)bad_pos);
    if (key->type != DYNB_S && key->type != DYNB_N && key->type != DYNB_B)
        return dynbi_fail(err, DYNB_INVALID_ARGUMENT,
                          "%s.type must be DYNB_S, DYNB_N or DYNB_B", member);
    return DYNB_OK;
}

/* Tags: lengths, and no key twice. */
static dynb_rc dynbi_tags_check(const dynb_tag *tags, uint32_t tag_count, dynb_error *err)
{
    uint32_t i, j;
    if (tag_count && !tags)
        return dynbi_fail(err, DYNB_INVALID_ARGUMENT, "tags is NULL");
    if (tag_count > DYNB_TAGS_MAX)
        return dynbi_fail(err, DYNB_VALIDATION,
                          "Number of Tags exceed the current limit for the provided ResourceArn");
    for (i = 0; i < tag_count; ++i) {
        size_t key_length, value_length;
        if (!tags[i].key || !tags[i].value)
            return dynbi_fail(err, DYNB_INVALID_ARGUMENT, "tags[%u] has a NULL", (uint64_t)i);
        key_length = dynbi_length(tags[i].key);
        value_length = dynbi_length(tags[i].value);
        if (key_length < 1 || key_length > 128)
            return dynbi_fail(err, DYNB_VALIDATION,
                              "1 validation error detected: Value '%s' at 'tags.%u.member.key' "
                              "failed to satisfy constraint: Member must have length %s",
                              tags[i].key, (uint64_t)i + 1,
                              key_length ? "less than or equal to 128"
                                         : "greater than or equal to 1");
        if (value_length > 256)
            return dynbi_fail(err, DYNB_VALIDATION,
                              "1 validation error detected: Value '%s' at 'tags.%u.member.value' "
                              "failed to satisfy constraint: Member must have length less than "
                              "or equal to 256",
                              tags[i].value, (uint64_t)i + 1);
        for (j = 0; j < i; ++j) {
            if (dynbi_text_equal(tags[i].key, tags[j].key))
                return dynbi_fail(err, DYNB_VALIDATION,
                                  "One or more parameter values were invalid: tag key %s is "
                                  "given twice",
                                  tags[i].key);
        }
    }
    return DYNB_OK;
}

/* Puts `tag` into a sorted list, replacing one of its key. */
static int dynbi_tags_insert(dynb_tag *tags, uint32_t *count, dynb_tag tag)
{
    size_t length = dynbi_length(tag.key);
    uint32_t i = 0, j;
    while (i < *count && dynbi_name_compare(tags[i].key, dynbi_length(tags[i].key), tag.key,
                                            length) < 0)
        ++i;
    if (i < *count && dynbi_text_equal(tags[i].key, tag.key)) {
        tags[i] = tag;
        return 1;
    }
    if (*count == DYNB_TAGS_MAX)
        return 0;
    for (j = *count; j > i; --j)
        tags[j] = tags[j - 1];
    tags[i] = tag;
    ++*count;
    return 1;
}

/* --- indexes: what is asked for --- */

/* The keys of a table and its indexes to be, and the attribute definitions that
 * came with them (NULL: none). */
typedef struct dynbi_key_uses {
    const dynb_key_attribute *definitions;
    uint32_t definition_count;
    dynb_key_attribute *key[2 * (DYNBI_INDEXES_MAX + 1)];
    uint32_t key_count;
    uint32_t table_key_count; /* the first so many are the table's */
} dynbi_key_uses;

static void dynbi_key_use(dynbi_key_uses *uses, dynb_key_attribute *key)
{
    if (key->name)
        uses->key[uses->key_count++] = key;
}

/* Appends "[a, b]", each name once, as far as there is room. */
static void dynbi_key_names(const dynbi_key_uses *uses, int of_keys, char *to, size_t room)
{
    const uint32_t count = of_keys ? uses->key_count : uses->definition_count;
    uint32_t i, j;
    size_t used = dynbi_format(to, room, "[");
    for (i = 0; i < count; ++i) {
        const char *name = of_keys ? uses->key[i]->name : uses->definitions[i].name;
        for (j = 0; of_keys && j < i && !dynbi_text_equal(uses->key[j]->name, name); ++j)
            ;
        if (of_keys && j < i)
            continue;
        if (used + dynbi_length(name) + 4 < room)
            used += dynbi_format(to + used, room - used, used > 1 ? ", %s" : "%s", name);
    }
    (void)dynbi_format(to + used, room - used, "]");
}

/* Contract 4.6: definitions are exactly those of the keys used. */
static dynb_rc dynbi_definitions_fail(const dynbi_key_uses *uses, int is_unused, dynb_error *err)
{
    char keys[400], definitions[400];
    dynbi_key_names(uses, 1, keys, sizeof keys);
    dynbi_key_names(uses, 0, definitions, sizeof definitions);
    if (!is_unused && uses->definition_count < uses->table_key_count)
        return dynbi_fail(err, DYNB_VALIDATION,
                          "Invalid KeySchema: Some index key attribute have no definition");
    if (!is_unused)
        return dynbi_fail(err, DYNB_VALIDATION,
                          "One or more parameter values were invalid: Some index key attributes "
                          "are not defined in AttributeDefinitions. Keys: %s, "
                          "AttributeDefinitions: %s",
                          keys, definitions);
    if (uses->key_count == uses->table_key_count)
        return dynbi_fail(err, DYNB_VALIDATION,
                          "One or more parameter values were invalid: Number of attributes in "
                          "KeySchema does not exactly match number of attributes defined in "
                          "AttributeDefinitions");
    return dynbi_fail(err, DYNB_VALIDATION,
                      "One or more parameter values were invalid: Some AttributeDefinitions are "
                      "not used. AttributeDefinitions: %s, keys used: %s",
                      definitions, keys);
}

/* Takes the keys' types from the definitions, if there are any; then each name
 * has one type. */
static dynb_rc dynbi_definitions_apply(dynbi_key_uses *uses, dynb_error *err)
{
    uint32_t i, j;
    for (i = 0; i < uses->definition_count; ++i) {
        dynb_rc rc = uses->definitions[i].name
                         ? dynbi_key_attribute_check(&uses->definitions[i],
                                                     "attribute_definitions", err)
                         : dynbi_fail(err, DYNB_INVALID_ARGUMENT,
                                      "attribute_definitions[%u].name is NULL", (uint64_t)i);
        if (rc != DYNB_OK)
            return rc;
    }
    for (i = 0; uses->definitions && i < uses->key_count; ++i) {
        dynb_key_attribute *key = uses->key[i];
        for (j = 0; j < uses->definition_count; ++j) {
            if (dynbi_text_equal(uses->definitions[j].name, key->name))
                break;
        }
        if (j == uses->definition_count)
            return dynbi_definitions_fail(uses, 0, err);
        key->type = key->type == DYNB_TYPE_NONE ? uses->definitions[j].type : key->type;
    }
    for (i = 0; i < uses->definition_count; ++i) {
        for (j = 0; j < uses->key_count; ++j) {
            if (dynbi_text_equal(uses->definitions[i].name, uses->key[j]->name))
                break;
        }
        if (j == uses->key_count)
            return dynbi_definitions_fail(uses, 1, err);
    }
    return DYNB_OK;
}

/* The names of one attribute have one type: of the keys and of definitions. */
static dynb_rc dynbi_key_types_check(const dynbi_key_uses *uses, dynb_error *err)
{
    uint32_t i, j;
    for (i = 0; i < uses->key_count; ++i) {
        const dynb_key_attribute *key = uses->key[i];
        for (j = 0; j < i + uses->definition_count; ++j) {
            const dynb_key_attribute *other = j < i ? uses->key[j] : &uses->definitions[j - i];
            if (other->type != key->type && dynbi_text_equal(other->name, key->name))
                return dynbi_fail(err, DYNB_VALIDATION,
                                  "One or more parameter values were invalid: key attribute %s is "
                                  "given with types %s and %s",
                                  key->name, dynbi_type_name((uint8_t)other->type),
                                  dynbi_type_name((uint8_t)key->type));
        }
    }
    return DYNB_OK;
}

/* Appends "[a, b]" of the names an index includes. */
static void dynbi_included_names(const dynb_index *index, char *to, size_t room)
{
    uint32_t i;
    size_t used = dynbi_format(to, room, "[");
    for (i = 0; i < index->non_key_attribute_count; ++i) {
        const char *name = index->non_key_attributes[i];
        if (used + dynbi_length(name) + 4 < room)
            used += dynbi_format(to + used, room - used, i ? ", %s" : "%s", name);
    }
    (void)dynbi_format(to + used, room - used, "]");
}

static dynb_rc dynbi_projection_check(const dynb_index *index, const char *path, dynb_error *err)
{
    static const char names[3][10] = {"ALL", "KEYS_ONLY", "INCLUDE"};
    const uint32_t count = index->non_key_attribute_count;
    char list[512];
    uint32_t i;
    if ((unsigned)index->projection > DYNB_PROJECT_INCLUDE)
        return dynbi_fail(err, DYNB_VALIDATION,
                          "One or more parameter values were invalid: Unknown ProjectionType: "
                          "null");
    if (count && !index->non_key_attributes)
        return dynbi_fail(err, DYNB_INVALID_ARGUMENT, "%s: non_key_attributes is NULL", path);
    for (i = 0; i < count; ++i) {
        const char *name = index->non_key_attributes[i];
        size_t bad_pos = 0, length = name ? dynbi_length(name) : 0;
        if (!name || !dynbi_utf8_check((const uint8_t *)(const void *)name, length, &bad_pos))
            return dynbi_fail(err, DYNB_INVALID_ARGUMENT,
                              "%s: non_key_attributes[%u] is NULL or not UTF-8", path,
                              (uint64_t)i);
        if (length < 1 || length > DYNB_KEY_NAME_MAX_BYTES)
            return dynbi_fail(err, DYNB_VALIDATION,
                              "1 validation error detected: Value '[%s]' at "
                              "'%s.projection.nonKeyAttributes' failed to satisfy constraint: "
                              "Member must satisfy constraint: [Member must have length less than "
                              "or equal to 255, Member must have length greater than or equal to "
                              "1]",
                              name, path);
    }
    if (count > DYNB_NON_KEY_ATTRIBUTES_MAX) {
        dynbi_included_names(index, list, sizeof list);
        return dynbi_fail(err, DYNB_VALIDATION,
                          "1 validation error detected: Value '%s' at "
                          "'%s.projection.nonKeyAttributes' failed to satisfy constraint: Member "
                          "must have length less than or equal to 20",
                          list, path);
    }
    if ((index->projection == DYNB_PROJECT_INCLUDE) == (count > 0))
        return DYNB_OK;
    return dynbi_fail(err, DYNB_VALIDATION,
                      "One or more parameter values were invalid: ProjectionType is %s, but "
                      "NonKeyAttributes is %sspecified",
                      names[index->projection], count ? "" : "not ");
}

/* The shape of an entry of a list of indexes; path as AWS's validator writes
 * it, "globalSecondaryIndexes.1.member". */
static dynb_rc dynbi_index_shape_check(const dynb_index *index, const char *path, dynb_error *err)
{
    char name_path[96];
    dynb_rc rc;
    if (!index->index_name && !index->partition_key.name)
        return dynbi_fail(err, DYNB_VALIDATION,
                          "2 validation errors detected: Value null at '%s.indexName' failed to "
                          "satisfy constraint: Member must not be null; Value null at "
                          "'%s.keySchema' failed to satisfy constraint: Member must not be null",
                          path, path);
    if (!index->index_name || !index->partition_key.name)
        return dynbi_fail(err, DYNB_VALIDATION,
                          "1 validation error detected: Value null at '%s.%s' failed to satisfy "
                          "constraint: Member must not be null",
                          path, index->index_name ? "keySchema" : "indexName");
    (void)dynbi_format(name_path, sizeof name_path, "%s.indexName", path);
    rc = dynbi_name_check(index->index_name, dynbi_length(index->index_name), name_path, err);
    if (rc == DYNB_OK && index->sort_key.name &&
        dynbi_text_equal(index->partition_key.name, index->sort_key.name))
        rc = dynbi_fail(err, DYNB_VALIDATION,
                        "Both the Hash Key and the Range Key element in the KeySchema have the "
                        "same name");
    return rc == DYNB_OK ? dynbi_projection_check(index, path, err) : rc;
}

/* Contract 4.6, GSI throughput. */
static dynb_rc dynbi_index_units_check(const dynb_index *index, dynb_billing_mode mode,
                                       dynb_error *err)
{
    const dynb_throughput *units = &index->provisioned;
    const uint64_t limit = 1000000000000u;
    if (mode == DYNB_PROVISIONED && (!units->read_units || !units->write_units))
        return dynbi_fail(err, DYNB_VALIDATION,
                          "One or more parameter values were invalid: ProvisionedThroughput is not "
                          "specified for index: %s",
                          index->index_name);
    if (mode != DYNB_PROVISIONED && (units->read_units || units->write_units))
        return dynbi_fail(err, DYNB_VALIDATION,
                          "One or more parameter values were invalid: ProvisionedThroughput should "
                          "not be specified for index: %s when BillingMode is PAY_PER_REQUEST",
                          index->index_name);
    if (units->read_units > limit || units->write_units > limit)
        return dynbi_fail(err, DYNB_VALIDATION,
                          "Given value %u for %s is out of bounds for index %s",
                          units->read_units > limit ? units->read_units : units->write_units,
                          units->read_units > limit ? "ReadCapacityUnits" : "WriteCapacityUnits",
                          index->index_name);
    if (mode == DYNB_PROVISIONED && (index->on_demand.read_units || index->on_demand.write_units))
        return dynbi_fail(err, DYNB_VALIDATION,
                          "One or more parameter values were invalid: OnDemandThroughput cannot be "
                          "specified for index: %s when BillingMode is PROVISIONED",
                          index->index_name);
    return DYNB_OK;
}

/* Contract 4.6, LSIs. */
static dynb_rc dynbi_local_index_check(const dynb_index *index, const dynb_key_attribute *table,
                                       dynb_error *err)
{
    if (!table[1].name)
        return dynbi_fail(err, DYNB_VALIDATION,
                          "One or more parameter values were invalid: Table KeySchema does not "
                          "have a range key, which is required when specifying a "
                          "LocalSecondaryIndex");
    if (!index->sort_key.name)
        return dynbi_fail(err, DYNB_VALIDATION,
                          "One or more parameter values were invalid: Index KeySchema does not "
                          "have a range key for index: %s",
                          index->index_name);
    if (!dynbi_text_equal(index->partition_key.name, table[0].name))
        return dynbi_fail(err, DYNB_VALIDATION,
                          "One or more parameter values were invalid: Index KeySchema does not "
                          "have the same leading hash key as table KeySchema for index: %s. index "
                          "hash key: %s, table hash key: %s",
                          index->index_name, index->partition_key.name, table[0].name);
    if (index->provisioned.read_units || index->provisioned.write_units ||
        index->on_demand.read_units || index->on_demand.write_units)
        return dynbi_fail(err, DYNB_VALIDATION,
                          "One or more parameter values were invalid: a LocalSecondaryIndex has no "
                          "throughput of its own: %s",
                          index->index_name);
    return DYNB_OK;
}

static dynb_rc dynbi_index_count_check(const void *list, uint32_t count, int is_global,
                                       dynb_error *err)
{
    if (count && !list)
        return dynbi_fail(err, DYNB_INVALID_ARGUMENT, "the list of %s indexes is NULL",
                          is_global ? "global" : "local");
    if (list && !count)
        return dynbi_fail(err, DYNB_VALIDATION,
                          "One or more parameter values were invalid: List of %s is empty",
                          is_global ? "GlobalSecondaryIndexes" : "LocalSecondaryIndexes");
    if (is_global && count > DYNB_GLOBAL_INDEXES_MAX)
        return dynbi_fail(err, DYNB_VALIDATION,
                          "One or more parameter values were invalid: GlobalSecondaryIndex count "
                          "exceeds the per-table limit of 20");
    if (!is_global && count > DYNB_LOCAL_INDEXES_MAX)
        return dynbi_fail(err, DYNB_VALIDATION,
                          "One or more parameter values were invalid: Number of "
                          "LocalSecondaryIndexes exceeds per-table limit of 5");
    return DYNB_OK;
}

/* Contract 3.3: what all indexes of a table have to share. */
static dynb_rc dynbi_indexes_total_check(const dynb_index *const *indexes, uint32_t count,
                                         dynb_error *err)
{
    uint32_t i, j, projected = 0;
    for (i = 0; i < count; ++i) {
        projected += indexes[i]->non_key_attribute_count;
        for (j = 0; j < i; ++j) {
            if (dynbi_text_equal(indexes[i]->index_name, indexes[j]->index_name))
                return dynbi_fail(err, DYNB_VALIDATION,
                                  "One or more parameter values were invalid: Duplicate index "
                                  "name: %s",
                                  indexes[i]->index_name);
        }
    }
    if (projected > DYNB_PROJECTED_ATTRIBUTES_MAX)
        return dynbi_fail(err, DYNB_VALIDATION,
                          "One or more parameter values were invalid: Number of projected "
                          "attributes of all indexes exceeds the per-table limit of 100");
    return DYNB_OK;
}

/* The indexes of a table to be: local ones first, as AWS checks them; copied,
 * so that types can be filled in. */
typedef struct dynbi_index_list {
    dynb_index index[DYNBI_INDEXES_MAX];
    uint32_t count;
    uint32_t local_count;
} dynbi_index_list;

static dynb_rc dynbi_index_list_shape(dynbi_index_list *list, const dynb_index *indexes,
                                      uint32_t count, int is_global, dynb_error *err)
{
    uint32_t i;
    dynb_rc rc = dynbi_index_count_check(indexes, count, is_global, err);
    for (i = 0; rc == DYNB_OK && i < count; ++i) {
        char path[64];
        (void)dynbi_format(path, sizeof path, "%s.%u.member",
                           is_global ? "globalSecondaryIndexes" : "localSecondaryIndexes",
                           (uint64_t)i + 1);
        rc = dynbi_index_shape_check(&indexes[i], path, err);
        list->index[list->count++] = indexes[i];
    }
    return rc;
}

/* Everything there is to say against a table's keys and indexes. keys: the two
 * of the table; types are filled in. */
static dynb_rc dynbi_index_list_check(const dynb_create_table_input *input,
                                      dynb_key_attribute keys[2], dynbi_index_list *list,
                                      dynb_error *err)
{
    const dynb_index *all[DYNBI_INDEXES_MAX];
    dynbi_key_uses uses;
    uint32_t i;
    dynb_rc rc;
    list->count = 0;
    rc = dynbi_index_list_shape(list, input->local_indexes, input->local_index_count, 0, err);
    list->local_count = list->count;
    if (rc == DYNB_OK)
        rc = dynbi_index_list_shape(list, input->global_indexes, input->global_index_count, 1,
                                    err);
    if (rc != DYNB_OK)
        return rc;
    memset(&uses, 0, sizeof uses);
    uses.definitions = input->attribute_definitions;
    uses.definition_count = input->attribute_definitions ? input->attribute_definition_count : 0;
    dynbi_key_use(&uses, &keys[0]);
    dynbi_key_use(&uses, &keys[1]);
    uses.table_key_count = uses.key_count;
    for (i = 0; i < list->count; ++i) {
        dynbi_key_use(&uses, &list->index[i].partition_key);
        dynbi_key_use(&uses, &list->index[i].sort_key);
        all[i] = &list->index[i];
    }
    rc = dynbi_definitions_apply(&uses, err);
    for (i = 0; rc == DYNB_OK && i < uses.key_count; ++i)
        rc = dynbi_key_attribute_check(uses.key[i],
                                       i == 0                        ? "input.partition_key"
                                       : i < uses.table_key_count ? "input.sort_key"
                                                                  : "an index's key",
                                       err);
    if (rc == DYNB_OK)
        rc = dynbi_key_types_check(&uses, err);
    for (i = 0; rc == DYNB_OK && i < list->count; ++i)
        rc = i < list->local_count
                 ? dynbi_local_index_check(&list->index[i], keys, err)
                 : dynbi_index_units_check(&list->index[i], input->settings.billing_mode, err);
    return rc == DYNB_OK ? dynbi_indexes_total_check(all, list->count, err) : rc;
}

/* Adds an index to a snapshot; its array is its own from then on. */
static dynb_rc dynbi_snapshot_add(dynb *db, dynbi_snapshot *snapshot, const dynb_index *about,
                                  int is_global, uint64_t id, dynb_error *err)
{
    dynbi_index *index;
    dynbi_buffer names;
    dynbi_coder coder;
    uint32_t i;
    int is_ok = dynbi_snapshot_open(&db->allocator, snapshot, 1);
    memset(&names, 0, sizeof names);
    memset(&coder, 0, sizeof coder);
    names.allocator = &db->allocator;
    coder.out = &names;
    for (i = 0; i < about->non_key_attribute_count; ++i) {
        const char *name = about->non_key_attributes[i];
        dynbi_code_text(&coder, &name);
    }
    if (is_ok && !coder.is_broken) {
        index = &snapshot->indexes[snapshot->index_count++];
        memset(index, 0, sizeof *index);
        index->id = id;
        index->is_global = is_global;
        index->status = DYNB_INDEX_ACTIVE;
        index->about = *about;
        index->included = names.bytes;
        index->included_size = names.used_bytes;
        is_ok = dynbi_snapshot_define(&db->allocator, snapshot, snapshot->index_count);
        if (!is_ok)
            --snapshot->index_count;
    }
    is_ok = is_ok && !coder.is_broken;
    dynbi_buffer_free(&names);
    return is_ok ? DYNB_OK : dynbi_fail(err, DYNB_NO_MEMORY, "no memory for an index");
}

/* --- control plane --- */

/* Adds a table's record, made of settings in db->value and a snapshot, to the
 * transaction. */
static dynb_rc dynbi_table_add(dynb *db, const char *name, size_t name_length,
                               const dynbi_snapshot *snapshot, dynb_error *err)
{
    dynbi_record record;
    dynbi_change change;
    dynb_rc rc;
    memset(&record, 0, sizeof record);
    memset(&change, 0, sizeof change);
    record.settings = db->value.bytes;
    record.settings_size = db->value.used_bytes;
    rc = dynbi_record_make(&db->record, &record, snapshot, err);
    if (rc == DYNB_OK)
        rc = dynbi_table_key(db, name, name_length, err);
    if (rc != DYNB_OK)
        return rc;
    change.key = db->key.bytes;
    change.key_size = (uint32_t)db->key.used_bytes;
    change.value = db->record.bytes;
    change.value_size = (uint32_t)db->record.used_bytes;
    return dynbi_change_add(db, &db->catalog, 0, &change, err);
}

/* Logs one table's record. */
static dynb_rc dynbi_table_log(dynb *db, const char *name, size_t name_length,
                               const dynbi_snapshot *snapshot, dynb_error *err)
{
    dynb_rc rc = dynbi_change_begin(db, err);
    return rc == DYNB_OK ? dynbi_table_add(db, name, name_length, snapshot, err) : rc;
}

/* Gives a new table its identity. */
static void dynbi_table_baptize(dynb *db, dynb_table_description *table,
                                char uuid[DYNBI_UUID_SIZE], char label[32])
{
    dynbi_uuid_text(db, uuid);
    table->table_id = uuid;
    table->created_at_ms = dynbi_store_time(db);
    if (table->settings.stream_view != DYNB_STREAM_OFF) {
        dynbi_time_text(table->created_at_ms, label);
        table->stream_label = label;
    }
}

static dynb_rc dynbi_table_create(dynb *db, const dynb_create_table_input *input,
                                  dynb_table_description *out, dynb_result *result,
                                  dynb_error *err)
{
    dynb_table_description table;
    dynbi_snapshot snapshot;
    dynb_key_attribute keys[2];
    dynbi_index_list list;
    char uuid[DYNBI_UUID_SIZE], label[32];
    dynb_tag tags[DYNB_TAGS_MAX];
    size_t length = dynbi_length(input->table_name);
    uint32_t i, tag_count = 0;
    dynb_rc rc;
    keys[0] = input->partition_key;
    keys[1] = input->sort_key;
    rc = dynbi_index_list_check(input, keys, &list, err);
    if (rc == DYNB_OK)
        rc = dynbi_store_index_memory(db, list.count, err);
    if (rc == DYNB_OK)
        rc = dynbi_store_begin_writing(db, err);
    if (rc != DYNB_OK)
        return rc;
    rc = dynbi_table_check_name(db, input->table_name, err);
    if (rc == DYNB_OK)
        rc = dynbi_tables_check(db, 1, err);
    if (rc == DYNB_OK)
        rc = dynbi_busy_check(db, 1, 0, err);
    if (rc == DYNB_OK && list.count)
        rc = dynbi_busy_check_indexed(db, err);
    if (rc != DYNB_OK)
        return rc;
    memset(&table, 0, sizeof table);
    memset(&snapshot, 0, sizeof snapshot);
    table.table_name = input->table_name;
    table.partition_key = keys[0];
    table.sort_key = keys[1];
    table.settings = input->settings;
    dynbi_table_baptize(db, &table, uuid, label);
    snapshot.folded_lsn = db->log.tail.lsn;
    for (i = 0; i < input->tag_count; ++i)
        (void)dynbi_tags_insert(tags, &tag_count, input->tags[i]);
    if (!dynbi_snapshot_open(&db->allocator, &snapshot, list.count))
        rc = dynbi_fail(err, DYNB_NO_MEMORY, "no memory for indexes");
    for (i = 0; rc == DYNB_OK && i < list.count; ++i)
        rc = dynbi_snapshot_add(db, &snapshot, &list.index[i], i >= list.local_count, i + 1u, err);
    if (rc == DYNB_OK)
        rc = dynbi_settings_make(&db->value, dynbi_table_number(db->log.tail.lsn, 0), &table, tags,
                                 tag_count, err);
    if (rc == DYNB_OK)
        rc = dynbi_table_log(db, input->table_name, length, &snapshot, err);
    if (rc == DYNB_OK && out)
        rc = dynbi_result_reserve(result, &db->memory.outer,
                                  dynbi_describe_room(db->value.used_bytes, length) +
                                      dynbi_indexes_room(snapshot.indexes, snapshot.index_count),
                                  err);
    dynbi_snapshot_free(&db->allocator, &snapshot);
    if (rc == DYNB_OK)
        rc = dynbi_change_commit(db, db->config.durability, err);
    if (rc != DYNB_OK || !out)
        return rc;
    rc = dynbi_table_describe(db, dynbi_store_find_table(db, input->table_name, length), out,
                              result, err);
    out->status = DYNB_TABLE_CREATING;
    return rc;
}

/* Logs new settings of a live table, and its indexes where a snapshot comes
 * with them. tags NULL: as they were. */
static dynb_rc dynbi_table_change_all(dynb *db, dynbi_table *table,
                                      const dynb_table_description *settings,
                                      const dynb_tag *tags, uint32_t tag_count,
                                      const dynbi_snapshot *snapshot, dynb_error *err)
{
    dynb_table_description old;
    dynbi_coder old_tags;
    uint64_t id;
    dynb_rc rc = dynbi_store_begin_writing(db, err);
    if (rc == DYNB_OK)
        rc = dynbi_settings_read(table->settings, table->settings_size, &id, &old, &old_tags, err);
    if (rc == DYNB_OK)
        rc = dynbi_settings_make(&db->value, table->id, settings, tags, tag_count, err);
    if (rc == DYNB_OK && !tags) {
        db->value.used_bytes -= 1; /* the count of no tags */
        if (!dynbi_buffer_append(&db->value, old_tags.at, (size_t)(old_tags.end - old_tags.at)))
            rc = dynbi_fail(err, DYNB_NO_MEMORY, "no memory for a table's settings");
    }
    if (rc == DYNB_OK)
        rc = dynbi_table_log(db, table->name, table->name_length, snapshot, err);
    if (rc == DYNB_OK)
        rc = dynbi_change_commit(db, db->config.durability, err);
    return rc;
}

static dynb_rc dynbi_table_change(dynb *db, dynbi_table *table,
                                  const dynb_table_description *settings, const dynb_tag *tags,
                                  uint32_t tag_count, dynb_error *err)
{
    dynbi_snapshot snapshot;
    dynbi_table_snapshot(table, &snapshot);
    return dynbi_table_change_all(db, table, settings, tags, tag_count, &snapshot, err);
}

/* --- indexes of a live table --- */

static dynb_rc dynbi_index_busy(dynb_error *err)
{
    return dynbi_fail(err, DYNB_LIMIT_EXCEEDED,
                      "Subscriber limit exceeded: Only 1 online index can be created or deleted "
                      "simultaneously per table");
}

/* The set of a global index that is not going away; 0: there is none. */
static uint32_t dynbi_snapshot_find_global(const dynbi_snapshot *snapshot, const char *name)
{
    uint32_t set;
    for (set = snapshot->index_count; set > 0; --set) {
        const dynbi_index *index = &snapshot->indexes[set - 1];
        if (index->is_global && index->status != DYNB_INDEX_DELETING &&
            dynbi_text_equal(index->about.index_name, name))
            break;
    }
    return set;
}

/* What can be said against a list of changes before looking at the table. */
static dynb_rc dynbi_index_updates_check(const dynb_update_table_input *input, dynb_error *err)
{
    static const char actions[3][7] = {"create", "update", "delete"};
    const dynb_index_update *updates = input->index_updates;
    uint32_t i, j, online = 0;
    dynb_rc rc = DYNB_OK;
    if (!updates || !input->index_update_count)
        return dynbi_fail(err, DYNB_INVALID_ARGUMENT,
                          "input.change has DYNB_CHANGE_INDEXES, but there are no index_updates");
    for (i = 0; rc == DYNB_OK && i < input->index_update_count; ++i) {
        const dynb_index *index = &updates[i].index;
        char path[96];
        if ((unsigned)updates[i].action > DYNB_DELETE_INDEX)
            return dynbi_fail(err, DYNB_INVALID_ARGUMENT,
                              "index_updates[%u].action is not one of its values", (uint64_t)i);
        (void)dynbi_format(path, sizeof path, "globalSecondaryIndexUpdates.%u.member.%s",
                           (uint64_t)i + 1, actions[updates[i].action]);
        if (updates[i].action == DYNB_CREATE_INDEX) {
            rc = dynbi_index_shape_check(index, path, err);
        } else if (!index->index_name) {
            rc = dynbi_fail(err, DYNB_VALIDATION,
                            "1 validation error detected: Value null at '%s.indexName' failed to "
                            "satisfy constraint: Member must not be null",
                            path);
        } else {
            char name_path[128];
            (void)dynbi_format(name_path, sizeof name_path, "%s.indexName", path);
            rc = dynbi_name_check(index->index_name, dynbi_length(index->index_name), name_path,
                                  err);
        }
        for (j = 0; rc == DYNB_OK && j < i; ++j) {
            if (dynbi_text_equal(updates[j].index.index_name, index->index_name))
                rc = dynbi_fail(err, DYNB_VALIDATION,
                                "One or more parameter values were invalid: Only one global "
                                "secondary index update per index is allowed simultaneously. "
                                "Index: %s",
                                index->index_name);
        }
        online += updates[i].action != DYNB_UPDATE_INDEX;
    }
    return rc == DYNB_OK && online > 1 ? dynbi_index_busy(err) : rc;
}

/* Everything there is to say against an index that is to be added; its keys'
 * types are filled in. */
static dynb_rc dynbi_index_create_check(const dynb_update_table_input *input,
                                        const dynb_table_description *table,
                                        const dynbi_snapshot *snapshot, dynb_index *index,
                                        dynb_error *err)
{
    const dynb_index *all[DYNBI_INDEXES_MAX + 1];
    dynb_key_attribute keys[2 * (DYNBI_INDEXES_MAX + 1)];
    dynbi_key_uses uses;
    uint32_t i, count = 0, global_count = 0;
    dynb_rc rc;
    memset(&uses, 0, sizeof uses);
    keys[0] = table->partition_key;
    keys[1] = table->sort_key;
    dynbi_key_use(&uses, &keys[0]);
    dynbi_key_use(&uses, &keys[1]);
    for (i = 0; i < snapshot->index_count; ++i) {
        const dynbi_index *old = &snapshot->indexes[i];
        if (dynbi_text_equal(old->about.index_name, index->index_name))
            return dynbi_fail(err, DYNB_VALIDATION,
                              "Attempting to create an index which already exists");
        global_count += (uint32_t)old->is_global;
        keys[2 * i + 2] = old->about.partition_key;
        keys[2 * i + 3] = old->about.sort_key;
        dynbi_key_use(&uses, &keys[2 * i + 2]);
        dynbi_key_use(&uses, &keys[2 * i + 3]);
        all[count++] = &old->about;
    }
    all[count++] = index;
    if (global_count >= DYNB_GLOBAL_INDEXES_MAX)
        return dynbi_fail(err, DYNB_LIMIT_EXCEEDED,
                          "Subscriber limit exceeded: Number of global secondary indexes exceeds "
                          "per-table limit of 20");
    dynbi_key_use(&uses, &index->partition_key);
    dynbi_key_use(&uses, &index->sort_key);
    for (i = 0; input->attribute_definitions && i < 2; ++i) {
        dynb_key_attribute *key = i ? &index->sort_key : &index->partition_key;
        uint32_t j;
        for (j = 0; key->name && j < input->attribute_definition_count; ++j) {
            const dynb_key_attribute *definition = &input->attribute_definitions[j];
            if (definition->name && dynbi_text_equal(definition->name, key->name) &&
                key->type == DYNB_TYPE_NONE)
                key->type = definition->type;
        }
    }
    uses.definitions = NULL; /* may be fewer: the others are known */
    rc = dynbi_key_attribute_check(&index->partition_key, "an index's key", err);
    if (rc == DYNB_OK && index->sort_key.name)
        rc = dynbi_key_attribute_check(&index->sort_key, "an index's key", err);
    if (rc == DYNB_OK)
        rc = dynbi_key_types_check(&uses, err);
    if (rc == DYNB_OK)
        rc = dynbi_index_units_check(index, table->settings.billing_mode, err);
    return rc == DYNB_OK ? dynbi_indexes_total_check(all, count, err) : rc;
}

/* Makes one change to the indexes of a snapshot, whose array is its own. The
 * frame that will say so is the log's next. */
static dynb_rc dynbi_index_update(dynb *db, const dynbi_table *table,
                                  const dynb_update_table_input *input,
                                  const dynb_index_update *update,
                                  const dynb_table_description *settings,
                                  dynbi_snapshot *snapshot, dynb_error *err)
{
    const uint64_t lsn = db->log.tail.lsn + 1;
    dynb_index about = update->index;
    uint32_t i, set = dynbi_snapshot_find_global(snapshot, about.index_name);
    dynbi_index *index = set ? &snapshot->indexes[set - 1] : NULL;
    dynb_rc rc = DYNB_OK;
    if (update->action != DYNB_CREATE_INDEX && !set)
        return dynbi_fail(err, DYNB_RESOURCE_NOT_FOUND, "Requested resource not found");
    for (i = 0; update->action != DYNB_UPDATE_INDEX && i < snapshot->index_count; ++i) {
        dynb_index_status status = snapshot->indexes[i].status;
        /* an index that is being filled may be given up */
        if (status == DYNB_INDEX_DELETING || (status == DYNB_INDEX_CREATING && i + 1 != set))
            return dynbi_index_busy(err);
    }
    if (update->action == DYNB_CREATE_INDEX) {
        rc = dynbi_index_create_check(input, settings, snapshot, &about, err);
        if (rc == DYNB_OK)
            rc = dynbi_store_index_memory(db, snapshot->index_count + 1, err);
        /* above all earlier ones, those of the table's creation, too */
        if (rc == DYNB_OK)
            rc = dynbi_snapshot_add(db, snapshot, &about, 1,
                                    (lsn - dynbi_table_lsn(table) + 1) * 32, err);
        if (rc != DYNB_OK)
            return rc;
        set = snapshot->index_count;
        index = &snapshot->indexes[set - 1];
        index->status = DYNB_INDEX_CREATING;
        index->since_lsn = lsn;
    } else if (update->action == DYNB_DELETE_INDEX) {
        index->status = DYNB_INDEX_DELETING;
        index->since_lsn = lsn;
        index->fill_key_size = 0;
    } else {
        if (index->status == DYNB_INDEX_CREATING)
            return dynbi_fail(err, DYNB_RESOURCE_IN_USE,
                              "Attempt to change a resource which is still in use: Index is being "
                              "created: %s",
                              about.index_name);
        index->about.provisioned = about.provisioned;
        index->about.on_demand = about.on_demand;
    }
    if (!dynbi_snapshot_define(&db->allocator, snapshot, set))
        return dynbi_fail(err, DYNB_NO_MEMORY, "no memory for an index");
    return DYNB_OK;
}

/* Takes away throughput of the other billing mode. */
static dynb_rc dynbi_indexes_rebill(dynb *db, dynb_billing_mode mode, dynbi_snapshot *snapshot,
                                    dynb_error *err)
{
    uint32_t set;
    for (set = 1; set <= snapshot->index_count; ++set) {
        dynbi_index *index = &snapshot->indexes[set - 1];
        dynb_throughput *units = mode == DYNB_PROVISIONED ? &index->about.on_demand
                                                          : &index->about.provisioned;
        if (!units->read_units && !units->write_units)
            continue;
        memset(units, 0, sizeof *units);
        if (!dynbi_snapshot_define(&db->allocator, snapshot, set))
            return dynbi_fail(err, DYNB_NO_MEMORY, "no memory for an index");
    }
    return DYNB_OK;
}

/* After an update all indexes must fit the table's billing mode. */
static dynb_rc dynbi_indexes_bill_check(dynb_billing_mode mode, const dynbi_snapshot *snapshot,
                                        dynb_error *err)
{
    uint32_t i;
    dynb_rc rc = DYNB_OK;
    for (i = 0; rc == DYNB_OK && i < snapshot->index_count; ++i) {
        const dynb_index *about = &snapshot->indexes[i].about;
        if (!snapshot->indexes[i].is_global ||
            snapshot->indexes[i].status == DYNB_INDEX_DELETING)
            continue;
        if (mode == DYNB_PROVISIONED &&
            (!about->provisioned.read_units || !about->provisioned.write_units))
            return dynbi_fail(err, DYNB_VALIDATION,
                              "One or more parameter values were invalid: ProvisionedThroughput "
                              "must be specified for index: %s",
                              about->index_name);
        rc = dynbi_index_units_check(about, mode, err);
    }
    return rc;
}

/* The indexes of a table after an update, in a snapshot to be freed. */
static dynb_rc dynbi_indexes_update(dynb *db, const dynbi_table *table,
                                    const dynb_update_table_input *input,
                                    const dynb_table_description *settings,
                                    dynbi_snapshot *snapshot, dynb_error *err)
{
    uint32_t i;
    dynb_rc rc = DYNB_OK;
    dynbi_table_snapshot(table, snapshot);
    if (!(input->change & (DYNB_CHANGE_INDEXES | DYNB_CHANGE_BILLING)))
        return DYNB_OK;
    if (input->change & DYNB_CHANGE_INDEXES)
        rc = dynbi_index_updates_check(input, err);
    if (rc == DYNB_OK)
        rc = dynbi_store_begin_writing(db, err);
    if (rc == DYNB_OK && !dynbi_snapshot_open(&db->allocator, snapshot, 0))
        rc = dynbi_fail(err, DYNB_NO_MEMORY, "no memory for indexes");
    if (rc == DYNB_OK && (input->change & DYNB_CHANGE_BILLING))
        rc = dynbi_indexes_rebill(db, settings->settings.billing_mode, snapshot, err);
    for (i = 0; rc == DYNB_OK && (input->change & DYNB_CHANGE_INDEXES) &&
                i < input->index_update_count;
         ++i)
        rc = dynbi_index_update(db, table, input, &input->index_updates[i], settings, snapshot,
                                err);
    return rc == DYNB_OK
               ? dynbi_indexes_bill_check(settings->settings.billing_mode, snapshot, err)
               : rc;
}

static dynb_rc dynbi_stream_check(const dynbi_table *table, const dynb_table_settings *now,
                                  const dynb_table_settings *next, dynb_error *err)
{
    if (next->stream_view != DYNB_STREAM_OFF && now->stream_view != DYNB_STREAM_OFF)
        return dynbi_fail(err, DYNB_VALIDATION,
                          "Table already has an enabled stream: TableName: %s", table->name);
    if (next->stream_view == DYNB_STREAM_OFF && now->stream_view == DYNB_STREAM_OFF)
        return dynbi_fail(err, DYNB_VALIDATION, "Table has no stream to disable: TableName: %s",
                          table->name);
    return DYNB_OK;
}

/* The table to be changed, and its settings, if it can be changed now. */
static dynb_rc dynbi_table_find_idle(dynb *db, const char *name, int is_delete,
                                     dynbi_table **found, dynb_table_description *settings,
                                     dynb_error *err)
{
    uint64_t id;
    dynb_rc rc = dynbi_table_find(db, name, DYNB_RESOURCE_NOT_FOUND, found, err);
    if (rc == DYNB_OK)
        rc = dynbi_table_check_idle(db, *found, is_delete, err);
    if (rc == DYNB_OK)
        rc = dynbi_busy_check(db, 1, 0, err);
    return rc == DYNB_OK ? dynbi_settings_read((*found)->settings, (*found)->settings_size, &id,
                                               settings, NULL, err)
                         : rc;
}

static dynb_rc dynbi_table_update(dynb *db, const dynb_update_table_input *input,
                                  dynb_table_description *out, dynb_result *result,
                                  dynb_error *err)
{
    const dynb_table_settings *from = &input->settings;
    dynb_table_description table;
    dynbi_snapshot snapshot;
    dynbi_table *found;
    char label[32];
    dynb_rc rc = dynbi_table_find_idle(db, input->table, 0, &found, &table, err);
    if (rc == DYNB_OK && (input->change & DYNB_CHANGE_STREAM))
        rc = dynbi_stream_check(found, &table.settings, from, err);
    if (rc != DYNB_OK)
        return rc;
    if (input->change & DYNB_CHANGE_BILLING) {
        table.settings.billing_mode = from->billing_mode;
        table.settings.provisioned = from->provisioned;
        if (from->billing_mode == DYNB_PROVISIONED)
            memset(&table.settings.on_demand, 0, sizeof table.settings.on_demand);
    }
    if (input->change & DYNB_CHANGE_ON_DEMAND)
        table.settings.on_demand = from->on_demand;
    if (input->change & DYNB_CHANGE_STREAM) {
        table.settings.stream_view = from->stream_view;
        if (from->stream_view != DYNB_STREAM_OFF) {
            dynbi_time_text(dynbi_store_time(db), label);
            table.stream_label = label;
        }
    }
    if (input->change & DYNB_CHANGE_ENCRYPTION) {
        table.settings.encryption = from->encryption;
        table.settings.kms_key_arn = from->kms_key_arn;
    }
    if (input->change & DYNB_CHANGE_TABLE_CLASS)
        table.settings.table_class = from->table_class;
    if (input->change & DYNB_CHANGE_DELETION_PROTECTION)
        table.settings.deletion_protection = from->deletion_protection;
    memset(&snapshot, 0, sizeof snapshot);
    rc = dynbi_settings_check(&table.settings, err);
    if (rc == DYNB_OK)
        rc = dynbi_indexes_update(db, found, input, &table, &snapshot, err);
    if (rc == DYNB_OK && out)
        rc = dynbi_result_reserve(result, &db->memory.outer,
                                  dynbi_describe_room(found->settings_size + 4096u,
                                                      found->name_length) +
                                      dynbi_indexes_room(snapshot.indexes, snapshot.index_count),
                                  err);
    if (rc == DYNB_OK)
        rc = dynbi_table_change_all(db, found, &table, NULL, 0, &snapshot, err);
    dynbi_snapshot_free(&db->allocator, &snapshot);
    if (rc == DYNB_OK && db->config.control_plane_delay_ms)
        found->changed_at_ms = dynbi_store_now(db);
    if (rc == DYNB_OK)
        rc = dynbi_table_describe(db, found, out, result, err);
    if (rc == DYNB_OK && out && (input->change & DYNB_CHANGE_INDEXES))
        out->status = DYNB_TABLE_UPDATING;
    return rc;
}

/* Begins the transaction that deletes a table, *out, if it may be deleted. */
static dynb_rc dynbi_table_delete_begin(dynb *db, const char *name, dynbi_table **out,
                                        dynb_error *err)
{
    dynb_table_description table;
    dynbi_table *found;
    dynb_rc rc = dynbi_table_find_idle(db, name, 1, &found, &table, err);
    *out = found;
    if (rc != DYNB_OK)
        return rc;
    if (table.settings.deletion_protection)
        return dynbi_fail(err, DYNB_VALIDATION,
                          "Resource cannot be deleted as it is currently protected against "
                          "deletion. Disable deletion protection first.");
    rc = dynbi_store_begin_writing(db, err);
    return rc == DYNB_OK ? dynbi_change_begin(db, err) : rc;
}

/* Adds the deletion to the transaction and ends it. */
static dynb_rc dynbi_table_delete_end(dynb *db, dynbi_table *table, dynb_table_description *out,
                                      dynb_result *result, dynb_error *err)
{
    dynbi_deleting deleting;
    dynbi_change change;
    dynb_rc rc = dynbi_table_describe(db, table, out, result, err);
    if (rc == DYNB_OK)
        rc = dynbi_table_key(db, table->name, table->name_length, err);
    if (rc != DYNB_OK)
        return rc;
    memset(&change, 0, sizeof change);
    change.key = db->key.bytes;
    change.key_size = (uint32_t)db->key.used_bytes;
    change.is_tombstone = 1;
    rc = dynbi_deleting_prepare(db, table, &deleting, err);
    if (rc == DYNB_OK)
        rc = dynbi_change_add(db, &db->catalog, 0, &change, err);
    if (rc == DYNB_OK)
        rc = dynbi_change_commit(db, db->config.durability, err);
    if (rc == DYNB_OK && deleting.settings)
        db->deleting[db->deleting_count++] = deleting;
    else
        dynbi_free(&db->allocator, deleting.settings, deleting.settings_size);
    if (out)
        out->status = DYNB_TABLE_DELETING;
    return rc;
}

static dynb_rc dynbi_table_set_ttl(dynb *db, const char *name, const char *attribute,
                                   dynb_error *err)
{
    dynb_table_description table;
    dynbi_table *found;
    dynb_rc rc = dynbi_table_find_idle(db, name, 0, &found, &table, err);
    if (rc != DYNB_OK)
        return rc;
    if (attribute && table.ttl_attribute)
        return dynbi_fail(err, DYNB_VALIDATION, "TimeToLive is already enabled");
    if (!attribute && !table.ttl_attribute)
        return dynbi_fail(err, DYNB_VALIDATION, "TimeToLive is already disabled");
    table.ttl_attribute = attribute;
    return dynbi_table_change(db, found, &table, NULL, 0, err);
}

/* --- tags --- */

/* A table's tags as an array in `to`, texts pointing into its settings. */
static dynb_rc dynbi_tags_read(const dynbi_table *table, dynb_tag *to, uint32_t *count,
                               dynb_error *err)
{
    dynb_table_description settings;
    dynbi_coder coder;
    uint64_t id, stored = 0;
    uint32_t i;
    dynb_rc rc = dynbi_settings_read(table->settings, table->settings_size, &id, &settings,
                                     &coder, err);
    *count = 0;
    if (rc != DYNB_OK)
        return rc;
    dynbi_code_u64(&coder, &stored);
    if (coder.is_broken || stored > DYNB_TAGS_MAX)
        return dynbi_record_broken(err);
    for (i = 0; i < stored; ++i) {
        dynbi_code_text(&coder, &to[i].key);
        dynbi_code_text(&coder, &to[i].value);
    }
    if (coder.is_broken)
        return dynbi_record_broken(err);
    *count = (uint32_t)stored;
    return DYNB_OK;
}

static dynb_rc dynbi_tags_find(dynb *db, const char *arn, dynbi_table **out, dynb_error *err)
{
    const char *at = arn;
    dynb_rc rc;
    *out = NULL;
    while (arn && *at && !dynbi_text_starts(at, "/backup/"))
        ++at;
    if (arn && *at)
        return dynbi_fail(err, DYNB_VALIDATION,
                          "One or more parameter values were invalid: Provided Arn is not a "
                          "DynamoDB resource arn: %s",
                          arn);
    rc = dynbi_table_find(db, arn, DYNB_RESOURCE_NOT_FOUND, out, err);
    if (rc == DYNB_OK && dynbi_table_is_restoring(db, *out))
        rc = dynbi_table_check_idle(db, *out, 0, err);
    return rc;
}

/* Adds tags, or takes the keys away. */
static dynb_rc dynbi_tags_change(dynb *db, const char *arn, const dynb_tag *tags,
                                 const char *const *keys, uint32_t count, dynb_error *err)
{
    dynb_tag list[DYNB_TAGS_MAX + 1];
    dynb_table_description settings;
    dynbi_table *table;
    uint64_t id;
    uint32_t i, j, kept, list_count = 0;
    dynb_rc rc = dynbi_tags_find(db, arn, &table, err);
    if (rc == DYNB_OK)
        rc = dynbi_tags_read(table, list, &list_count, err);
    if (rc == DYNB_OK)
        rc = dynbi_settings_read(table->settings, table->settings_size, &id, &settings, NULL, err);
    for (i = 0; rc == DYNB_OK && tags && i < count; ++i) {
        if (!dynbi_tags_insert(list, &list_count, tags[i]))
            rc = dynbi_fail(err, DYNB_VALIDATION,
                            "Number of Tags exceed the current limit for the provided "
                            "ResourceArn");
    }
    for (i = 0; rc == DYNB_OK && keys && i < count; ++i) {
        for (j = kept = 0; j < list_count; ++j) {
            if (!dynbi_text_equal(list[j].key, keys[i]))
                list[kept++] = list[j];
        }
        list_count = kept;
    }
    return rc == DYNB_OK ? dynbi_table_change(db, table, &settings, list, list_count, err) : rc;
}

static dynb_rc dynbi_tags_list(dynb *db, const char *arn, const dynb_tag **tags,
                               uint32_t *tag_count, dynb_result *result, dynb_error *err)
{
    dynb_tag list[DYNB_TAGS_MAX], *out;
    dynbi_table *table;
    uint32_t i, count = 0;
    dynb_rc rc = dynbi_tags_find(db, arn, &table, err);
    if (rc == DYNB_OK)
        rc = dynbi_tags_read(table, list, &count, err);
    if (rc == DYNB_OK)
        rc = dynbi_result_reserve(result, &db->memory.outer,
                                  table->settings_size + sizeof list + DYNB_TAGS_MAX * 32u, err);
    if (rc != DYNB_OK)
        return rc;
    out = (dynb_tag *)dynbi_result_take(result, count * sizeof *out);
    for (i = 0; i < count; ++i) {
        out[i].key = dynbi_result_text(result, list[i].key, dynbi_length(list[i].key));
        out[i].value = dynbi_result_text(result, list[i].value, dynbi_length(list[i].value));
    }
    *tags = out;
    *tag_count = count;
    return DYNB_OK;
}

/* --- items: writing --- */

/* What is read: a view, with the table it is of for its keys and its name. */
typedef struct dynbi_place {
    const dynbi_table *table;
    uint32_t set;   /* what the view is of: 0: the items, else an index */
    int is_pending; /* a backup that is still to be built */
    dynbi_view view;
} dynbi_place;

/* A live table as it is now. */
static dynbi_place dynbi_place_of(const dynbi_table *table)
{
    dynbi_place place;
    memset(&place, 0, sizeof place);
    place.table = table;
    dynbi_table_view(table, 0, &place.view);
    return place;
}

/* Copies what a place holds for db->key as an item into the result. */
static dynb_rc dynbi_item_read(dynb *db, const dynbi_place *place, dynb_item *out,
                               dynb_result *result, dynb_error *err)
{
    const uint32_t key_size = (uint32_t)db->key.used_bytes;
    const dynbi_table *table = place->table;
    dynbi_found found;
    size_t size;
    dynb_rc rc = dynbi_view_get(&db->reader, &place->view, db->key.bytes, key_size, &found, err);
    if (rc != DYNB_OK || !found.is_there)
        return rc;
    if (!found.is_tombstone) {
        size = dynbi_item_restored_bound(&table->schema, key_size, found.value_size);
        rc = dynbi_result_reserve(result, &db->memory.outer, size, err);
        if (rc == DYNB_OK) {
            uint8_t *to = (uint8_t *)dynbi_result_take(result, size);
            size = dynbi_item_restore(&table->schema, db->key.bytes, key_size, found.value,
                                      found.value_size, to);
            out->bytes = size ? to : NULL;
            out->size_bytes = (uint32_t)size;
            if (!size)
                rc = dynbi_fail(err, DYNB_CORRUPT, "an item of table %s is damaged", table->name);
        }
    }
    dynbi_node_close(&db->reader, &found.leaf);
    return rc;
}

/* Encodes an item or key into db->key and db->value. */
static dynb_rc dynbi_item_encode(dynb *db, const dynbi_table *table, dynb_item item,
                                 int is_delete, dynb_error *err)
{
    dynb_rc rc = dynb_item_check(item, err);
    db->key.used_bytes = 0;
    db->value.used_bytes = 0;
    if (rc == DYNB_OK)
        rc = dynbi_key_encode(&table->schema, item, is_delete, &db->key, err);
    if (rc != DYNB_OK || is_delete)
        return rc;
    DYNBI_ASSERT(dynb_item_size(item) <= DYNB_ITEM_MAX_BYTES); /* the check saw to it */
    if (dynbi_item_strip(&table->schema, item, &db->value) != DYNB_OK)
        return dynbi_fail(err, DYNB_NO_MEMORY, "no memory to encode an item");
    return DYNB_OK;
}

/* --- entries of indexes --- */

/* Nonzero: the attribute is one of those an index includes. */
static int dynbi_index_includes(const dynbi_index *index, const char *name, size_t length)
{
    dynbi_coder coder;
    const char *included;
    uint32_t i;
    memset(&coder, 0, sizeof coder);
    coder.at = index->included;
    coder.end = index->included + index->included_size;
    for (i = 0; i < index->about.non_key_attribute_count; ++i) {
        dynbi_code_text(&coder, &included);
        if (included && dynbi_length(included) == length && memcmp(included, name, length) == 0)
            return 1;
    }
    return 0;
}

/* Appends what an index projects of an item that is in it, in the form of a
 * stored item. */
static dynb_rc dynbi_index_project(const dynbi_index *index, dynb_item item, dynbi_buffer *to)
{
    const dynbi_schema *schema = &index->schema;
    uint8_t head[2 * DYNBI_VARINT_MAX], *head_end;
    uint64_t aws_size = 0, count = 0, size;
    const uint8_t *before;
    size_t start = to->used_bytes, length;
    const char *name;
    dynb_value value;
    dynb_iterator it;
    if (index->about.projection == DYNB_PROJECT_ALL)
        return dynbi_item_strip(schema, item, to);
    if (!dynbi_buffer_reserve(to, sizeof head))
        return DYNB_NO_MEMORY;
    to->used_bytes += sizeof head; /* written last */
    it = dynb_item_iterate(item);
    for (before = it.at; dynb_next(&it, &name, &length, &value); before = it.at) {
        int is_key = dynbi_schema_find(schema, name, length) < schema->part_count;
        if (!is_key && (index->about.projection != DYNB_PROJECT_INCLUDE ||
                        !dynbi_index_includes(index, name, length)))
            continue;
        if (dynbi_value_check(value, 1, &size, NULL) != DYNB_OK)
            return DYNB_CORRUPT; /* a stored item; one that is put was checked */
        aws_size += length + size;
        count += !is_key;
        if (!is_key && !dynbi_buffer_append(to, before, (size_t)(it.at - before)))
            return DYNB_NO_MEMORY;
    }
    head_end = dynbi_varint_store(dynbi_varint_store(head, aws_size), count);
    length = (size_t)(head_end - head);
    memmove(to->bytes + start + length, to->bytes + start + sizeof head,
            to->used_bytes - start - sizeof head);
    memcpy(to->bytes + start, head, length);
    to->used_bytes -= sizeof head - length;
    return DYNB_OK;
}

/* Why a value cannot be in an index's key; only asked when it is put. */
static dynb_rc dynbi_index_refuse(const dynbi_index *index, uint32_t part_index, dynb_value value,
                                  size_t length, dynb_error *err)
{
    const dynbi_key_part *part = &index->schema.part[part_index];
    if (value.type != (dynb_type)part->type)
        return dynbi_fail(err, DYNB_VALIDATION,
                          "One or more parameter values were invalid: Type mismatch for Index Key "
                          "%t Expected: %s Actual: %s IndexName: %s",
                          part->name, (size_t)part->name_length, dynbi_type_name(part->type),
                          dynbi_type_name((uint8_t)value.type), index->about.index_name);
    if (length == 0)
        return dynbi_fail(err, DYNB_VALIDATION,
                          "One or more parameter values are not valid. A value specified for a "
                          "secondary index key is not supported. The AttributeValue for a key "
                          "attribute cannot contain an empty %s value. IndexName: %s, IndexKey: "
                          "%t",
                          part->type == DYNB_B ? "binary" : "string", index->about.index_name,
                          part->name, (size_t)part->name_length);
    return dynbi_fail(err, DYNB_VALIDATION,
                      part_index ? "One or more parameter values were invalid: Aggregated size of "
                                   "all range keys has exceeded the size limit of 1024 bytes"
                                 : "One or more parameter values were invalid: Size of hashkey "
                                   "has exceeded the maximum size limit of2048 bytes");
}

/* Finds an item's entry in an index: *is_there, with its key and value in the
 * buffers. is_put: values that cannot be keys are refused, else left out. */
static dynb_rc dynbi_index_entry(const dynbi_index *index, dynb_item item, int is_put,
                                 dynbi_buffer *key, dynbi_buffer *value, int *is_there,
                                 dynb_error *err)
{
    const dynbi_schema *schema = &index->schema;
    dynb_value values[DYNBI_KEY_PARTS_MAX], found;
    uint32_t i, found_count = 0;
    size_t length = 0;
    const char *name;
    dynb_rc rc = DYNB_OK;
    dynb_iterator it = dynb_item_iterate(item);
    memset(values, 0, sizeof values);
    key->used_bytes = 0;
    value->used_bytes = 0;
    while (found_count < schema->part_count && dynb_next(&it, &name, &length, &found)) {
        i = dynbi_schema_find(schema, name, length);
        if (i < schema->part_count) {
            values[i] = found;
            ++found_count;
        }
    }
    *is_there = found_count == schema->part_count;
    for (i = 0; i < schema->part_count; ++i) {
        const uint8_t *bytes = NULL;
        if (values[i].type == (dynb_type)schema->part[i].type)
            bytes = dynbi_run_load(values[i].bytes, values[i].bytes + values[i].size_bytes,
                                   &length);
        if (values[i].type != DYNB_TYPE_NONE &&
            (!bytes || length == 0 || length > dynbi_key_part_max(schema, i))) {
            *is_there = 0;
            if (is_put)
                return dynbi_index_refuse(index, i, values[i], bytes ? length : 0, err);
        }
        if (*is_there && dynbi_key_append(schema, i, bytes, length, key) != DYNB_OK)
            return dynbi_fail(err, DYNB_NO_MEMORY, "no memory for a key");
    }
    if (*is_there)
        rc = dynbi_index_project(index, item, value);
    if (rc == DYNB_CORRUPT)
        return dynbi_fail(err, rc, "an item is damaged");
    if (rc != DYNB_OK)
        return dynbi_fail(err, rc, "no memory for an entry of index %s", index->about.index_name);
    return DYNB_OK;
}

/* Reads the item that a write replaces into db->image; without bytes: there is
 * none. */
static dynb_rc dynbi_index_image(dynb *db, const dynbi_table *table, dynb_item *out,
                                 dynb_error *err)
{
    const uint32_t key_size = (uint32_t)db->key.used_bytes;
    dynbi_found found;
    dynbi_view view;
    size_t size;
    dynb_rc rc;
    memset(out, 0, sizeof *out);
    db->image.used_bytes = 0;
    dynbi_table_view(table, 0, &view);
    rc = dynbi_view_get(&db->reader, &view, db->key.bytes, key_size, &found, err);
    if (rc != DYNB_OK || !found.is_there)
        return rc;
    if (!found.is_tombstone) {
        size = dynbi_item_restored_bound(&table->schema, key_size, found.value_size);
        if (!dynbi_buffer_reserve(&db->image, size)) {
            rc = dynbi_fail(err, DYNB_NO_MEMORY, "no memory to read an item");
        } else {
            size = dynbi_item_restore(&table->schema, db->key.bytes, key_size, found.value,
                                      found.value_size, db->image.bytes);
            out->bytes = db->image.bytes;
            out->size_bytes = (uint32_t)size;
            if (!size)
                rc = dynbi_fail(err, DYNB_CORRUPT, "an item of table %s is damaged", table->name);
        }
    }
    dynbi_node_close(&db->reader, &found.leaf);
    return rc;
}

/* Adds what a write changes in one index: [0] is the entry that was, [1] the
 * one that is. */
static dynb_rc dynbi_index_add_entries(dynb *db, dynbi_table *table, const dynbi_index *index,
                                       const int is_there[2], dynb_error *err)
{
    const dynbi_buffer *key = db->entry_key, *value = db->entry_value;
    const int stays = is_there[0] && is_there[1] &&
                      dynbi_key_compare(key[0].bytes, key[0].used_bytes, key[1].bytes,
                                        key[1].used_bytes) == 0;
    dynbi_change change;
    dynb_rc rc = DYNB_OK;
    memset(&change, 0, sizeof change);
    if (is_there[0] && !stays) {
        change.key = key[0].bytes;
        change.key_size = (uint32_t)key[0].used_bytes;
        change.is_tombstone = 1;
        rc = dynbi_change_add(db, table, index->slot, &change, err);
    }
    if (rc != DYNB_OK || !is_there[1] ||
        (stays && dynbi_key_compare(value[0].bytes, value[0].used_bytes, value[1].bytes,
                                    value[1].used_bytes) == 0))
        return rc;
    change.key = key[1].bytes;
    change.key_size = (uint32_t)key[1].used_bytes;
    change.value = value[1].bytes;
    change.value_size = (uint32_t)value[1].used_bytes;
    change.is_tombstone = 0;
    return dynbi_change_add(db, table, index->slot, &change, err);
}

/* Adds what the write at hand (its key is in db->key) changes in the table's
 * indexes. item without bytes: a deletion. */
static dynb_rc dynbi_index_add(dynb *db, dynbi_table *table, dynb_item item, dynb_error *err)
{
    dynb_item old;
    uint32_t i;
    dynb_rc rc = dynbi_index_image(db, table, &old, err);
    for (i = 0; rc == DYNB_OK && i < table->index_count; ++i) {
        const dynbi_index *index = &table->indexes[i];
        int is_there[2] = {0, 0};
        if (index->status == DYNB_INDEX_DELETING)
            continue;
        if (item.bytes)
            rc = dynbi_index_entry(index, item, 1, &db->entry_key[1], &db->entry_value[1],
                                   &is_there[1], err);
        if (rc == DYNB_OK && old.bytes)
            rc = dynbi_index_entry(index, old, 0, &db->entry_key[0], &db->entry_value[0],
                                   &is_there[0], err);
        if (rc == DYNB_OK)
            rc = dynbi_index_add_entries(db, table, index, is_there, err);
    }
    return rc;
}

/* Adds the write whose item was encoded, with all it brings about. */
static dynb_rc dynbi_item_add(dynb *db, dynbi_table *table, const dynb_write *write,
                              dynb_error *err)
{
    static const dynb_item none = {NULL, 0};
    dynbi_change change;
    dynb_rc rc;
    change.key = db->key.bytes;
    change.key_size = (uint32_t)db->key.used_bytes;
    change.value = db->value.bytes;
    change.value_size = (uint32_t)db->value.used_bytes;
    change.is_tombstone = write->is_delete;
    rc = dynbi_change_add(db, table, 0, &change, err);
    if (rc == DYNB_OK && table->index_count)
        rc = dynbi_index_add(db, table, write->is_delete ? none : write->item, err);
    return rc;
}

static dynb_rc dynbi_item_commit(dynb *db, const dynb_write_options *options, dynb_error *err)
{
    dynb_durability durability = options && options->choose_durability
                                     ? options->durability
                                     : db->config.durability;
    dynb_rc rc;
    if (!dynbi_store_has_room(db, db->frame.used_bytes))
        return dynbi_fail(err, DYNB_NO_SPACE,
                          "the device is full; delete backups or tables and let dynb_work free "
                          "their space");
    if (db->generation_bytes > db->generations_limit + db->generation_max / 2)
        return dynbi_fail(err, DYNB_NO_MEMORY,
                          "no memory for more changes until those there are folded");
    rc = dynbi_change_commit(db, durability, err);
    if (rc == DYNB_OK)
        db->change_lsn = db->log.tail.lsn;
    return rc;
}

/* PutItem and DeleteItem. */
static dynb_rc dynbi_item_write(dynb *db, const dynb_write *write,
                                const dynb_write_options *options, dynb_item *old,
                                dynb_result *result, dynb_error *err)
{
    dynbi_table *table;
    dynb_rc rc = dynbi_table_find(db, write->table, DYNB_OK, &table, err);
    if (rc == DYNB_OK)
        rc = dynbi_item_encode(db, table, write->item, write->is_delete, err);
    if (rc == DYNB_OK && options && options->return_old) {
        const dynbi_place place = dynbi_place_of(table);
        rc = dynbi_item_read(db, &place, old, result, err);
    }
    if (rc == DYNB_OK)
        rc = dynbi_change_begin(db, err);
    if (rc == DYNB_OK)
        rc = dynbi_item_add(db, table, write, err);
    if (rc == DYNB_OK)
        rc = dynbi_item_commit(db, options, err);
    if (rc != DYNB_OK && old)
        memset(old, 0, sizeof *old);
    return rc;
}

/* Order of ops by table, set and key. */
static int dynbi_op_compare(const dynb *db, const dynbi_op *a, const dynbi_op *b)
{
    if (a->table != b->table)
        return a->table->id < b->table->id ? -1 : 1;
    if (a->set != b->set)
        return a->set < b->set ? -1 : 1;
    if (a->head != b->head)
        return a->head < b->head ? -1 : 1;
    return dynbi_key_compare(db->frame.bytes + a->key_pos, a->key_size,
                             db->frame.bytes + b->key_pos, b->key_size);
}

static void dynbi_ops_sift(dynb *db, uint32_t root, uint32_t count)
{
    dynbi_op moving = db->ops[root];
    for (;;) {
        uint32_t child = 2 * root + 1;
        if (child >= count)
            break;
        if (child + 1 < count && dynbi_op_compare(db, &db->ops[child], &db->ops[child + 1]) < 0)
            ++child;
        if (dynbi_op_compare(db, &moving, &db->ops[child]) >= 0)
            break;
        db->ops[root] = db->ops[child];
        root = child;
    }
    db->ops[root] = moving;
}

/* Sorts the ops (heap sort: no memory, no bad case), so that equal keys meet
 * and the generation is filled in order. */
static void dynbi_ops_sort(dynb *db)
{
    uint32_t i, count = db->op_count;
    for (i = 0; i < count; ++i) {
        dynbi_op *op = &db->ops[i];
        op->head = dynbi_head_of(db->frame.bytes + op->key_pos, op->key_size);
    }
    for (i = 1; i < count && dynbi_op_compare(db, &db->ops[i - 1], &db->ops[i]) < 0; ++i)
        ;
    if (i >= count)
        return;
    for (i = count / 2; i-- > 0;)
        dynbi_ops_sift(db, i, count);
    for (i = count; i-- > 1;) {
        dynbi_op largest = db->ops[0];
        db->ops[0] = db->ops[i];
        db->ops[i] = largest;
        dynbi_ops_sift(db, 0, i);
    }
}

/* Says which write of a batch failed. */
static dynb_rc dynbi_batch_fail(dynb_error *err, uint32_t index)
{
    char copy[DYNB_MESSAGE_SIZE];
    dynb_rc rc = DYNB_OK;
    if (err) {
        rc = err->code;
        memcpy(copy, err->message, sizeof copy);
        (void)dynbi_format(err->message, sizeof err->message, "writes[%u]: %s", (uint64_t)index,
                           copy);
    }
    return rc;
}

static dynb_rc dynbi_item_batch(dynb *db, const dynb_write *writes, uint32_t write_count,
                                const dynb_write_options *options, dynb_error *err)
{
    uint32_t i;
    dynb_rc rc = dynbi_change_begin(db, err);
    for (i = 0; rc == DYNB_OK && i < write_count; ++i) {
        dynbi_table *table;
        rc = dynbi_table_find(db, writes[i].table, DYNB_OK, &table, err);
        if (rc == DYNB_OK)
            rc = dynbi_item_encode(db, table, writes[i].item, writes[i].is_delete, err);
        if (rc == DYNB_OK)
            rc = dynbi_item_add(db, table, &writes[i], err);
        if (rc != DYNB_OK)
            (void)dynbi_batch_fail(err, i);
    }
    if (rc != DYNB_OK)
        return rc;
    dynbi_ops_sort(db);
    for (i = 1; i < db->op_count; ++i) {
        if (dynbi_op_compare(db, &db->ops[i - 1], &db->ops[i]) == 0)
            return dynbi_fail(err, DYNB_VALIDATION,
                              "Provided list of item keys contains duplicates");
    }
    return dynbi_item_commit(db, options, err);
}

static dynb_rc dynbi_item_get(dynb *db, const dynbi_place *place, dynb_item key, dynb_item *out,
                              dynb_result *result, dynb_error *err)
{
    dynb_rc rc = dynbi_item_encode(db, place->table, key, 1, err);
    return rc == DYNB_OK ? dynbi_item_read(db, place, out, result, err) : rc;
}

/* --- items: query and scan --- */

/* A range of keys and what to take of it. */
typedef struct dynbi_range_read {
    const dynbi_table *table;
    const dynbi_schema *schema; /* the table's or an index's */
    uint32_t key_count;         /* of its parts, those one can ask for */
    const dynbi_view *view;
    dynbi_buffer from; /* first key, inclusive */
    dynbi_buffer to;   /* exclusive; has_to zero: to the end */
    int has_to;
    int descending;
    uint32_t limit; /* 0: none */
    uint32_t segment;
    uint32_t total_segments; /* 0: no segments */
} dynbi_range_read;

/* The shortest key above all that start with the buffer's; 0: there is none. */
static int dynbi_buffer_successor(dynbi_buffer *key)
{
    while (key->used_bytes > 0) {
        if (++key->bytes[key->used_bytes - 1])
            return 1;
        --key->used_bytes;
    }
    return 0;
}

/* Bytes of the partition key at the start of a key. */
static size_t dynbi_key_partition_size(const dynbi_schema *schema, const uint8_t *key, size_t size)
{
    size_t i;
    if (schema->part_count < 2)
        return size;
    if (schema->part[0].type == DYNB_N)
        return dynbi_number_check(key, key + size);
    for (i = 0; i + 1 < size; ++i) {
        if (key[i] == 0) {
            if (key[i + 1] == 0)
                return i + 2;
            ++i;
        }
    }
    return size;
}

static int dynbi_range_wants(const dynbi_range_read *read, const dynbi_change *entry)
{
    uint32_t hash;
    if (!read->total_segments)
        return 1;
    hash = dynbi_crc32c(0, entry->key,
                        dynbi_key_partition_size(read->schema, entry->key, entry->key_size));
    return (uint32_t)((uint64_t)hash * read->total_segments >> 32) == read->segment;
}

/* Adds an item to the page: its size, 4 bytes, then its own. */
static dynb_rc dynbi_page_add(const dynbi_range_read *read, const dynbi_change *entry,
                              dynb_result *result, dynb_error *err)
{
    size_t bound = dynbi_item_restored_bound(read->schema, entry->key_size, entry->value_size);
    size_t needed = result->used_bytes + 4 + bound, size;
    dynb_rc rc = DYNB_OK;
    if (needed > result->capacity_bytes)
        rc = dynbi_result_grow(result, needed + needed / 2 + 4096, err);
    if (rc != DYNB_OK)
        return rc;
    size = dynbi_item_restore(read->schema, entry->key, entry->key_size, entry->value,
                              entry->value_size, result->memory + result->used_bytes + 4);
    if (!size)
        return dynbi_fail(err, DYNB_CORRUPT, "an item of table %s is damaged", read->table->name);
    dynbi_store32(result->memory + result->used_bytes, (uint32_t)size);
    result->used_bytes += 4 + size;
    return DYNB_OK;
}

/* Puts the array of items behind the bytes gathered, then the last key. */
static dynb_rc dynbi_page_finish(dynb *db, const dynbi_range_read *read, uint32_t count,
                                 int has_more, dynb_page *out, dynb_result *result,
                                 dynb_error *err)
{
    size_t key_bound = dynbi_item_restored_bound(read->schema, db->key.used_bytes, 16);
    size_t used = (result->used_bytes + 7) & ~(size_t)7, pos = 0;
    size_t needed = used + count * sizeof(dynb_item) + key_bound + 16;
    dynb_item *items;
    uint32_t i;
    dynb_rc rc = DYNB_OK;
    if (needed > result->capacity_bytes)
        rc = dynbi_result_grow(result, needed, err);
    if (rc != DYNB_OK)
        return rc;
    result->used_bytes = used;
    items = (dynb_item *)dynbi_result_take(result, count * sizeof(dynb_item));
    for (i = 0; i < count; ++i) {
        items[i].bytes = result->memory + pos + 4;
        items[i].size_bytes = dynbi_load32(result->memory + pos);
        pos += 4 + (size_t)items[i].size_bytes;
    }
    out->items = items;
    out->count = count;
    if (has_more) {
        uint8_t *to = (uint8_t *)dynbi_result_take(result, key_bound);
        size_t size = dynbi_key_item(read->schema, db->key.bytes, db->key.used_bytes, to);
        DYNBI_ASSERT(size > 0); /* its item could be restored */
        out->last_key.bytes = to;
        out->last_key.size_bytes = (uint32_t)size;
    }
    return DYNB_OK;
}

/* Nonzero: the change at hand is in the range. */
static int dynbi_range_holds(const dynbi_range_read *read, const dynbi_change *entry)
{
    if (!entry)
        return 0;
    if (read->descending)
        return dynbi_key_compare(entry->key, entry->key_size, read->from.bytes,
                                 read->from.used_bytes) >= 0;
    return !read->has_to || dynbi_key_compare(entry->key, entry->key_size, read->to.bytes,
                                              read->to.used_bytes) < 0;
}

/* Gathers one page. */
static dynb_rc dynbi_range_run(dynb *db, const dynbi_range_read *read, dynb_page *out,
                               dynb_result *result, dynb_error *err)
{
    dynbi_merge merge;
    const dynbi_change *entry = NULL;
    uint64_t page_bytes = 0;
    uint32_t count = 0;
    int has_more = 0;
    dynb_rc rc = dynbi_merge_init(&merge, &db->reader, read->view, err);
    db->key.used_bytes = 0; /* the last key taken */
    if (rc == DYNB_OK)
        rc = dynbi_result_reserve(result, &db->memory.outer, 1024, err);
    if (rc == DYNB_OK && read->descending)
        rc = dynbi_merge_seek(&merge, read->has_to ? read->to.bytes : NULL,
                              (uint32_t)read->to.used_bytes, 1, err);
    else if (rc == DYNB_OK)
        rc = dynbi_merge_seek(&merge, read->from.used_bytes ? read->from.bytes : NULL,
                              (uint32_t)read->from.used_bytes, 0, err);
    while (rc == DYNB_OK) {
        entry = dynbi_merge_current(&merge);
        if (!dynbi_range_holds(read, entry))
            break;
        if (!entry->is_tombstone && dynbi_range_wants(read, entry)) {
            uint64_t weight = 0;
            (void)dynbi_varint_load(entry->value, entry->value + entry->value_size, &weight);
            has_more = count && page_bytes + weight > DYNB_PAGE_MAX_BYTES;
            if (has_more)
                break;
            rc = dynbi_page_add(read, entry, result, err);
            db->key.used_bytes = 0;
            if (rc == DYNB_OK && !dynbi_buffer_append(&db->key, entry->key, entry->key_size))
                rc = dynbi_fail(err, DYNB_NO_MEMORY, "no memory for a key");
            page_bytes += weight;
            has_more = ++count == read->limit;
            if (rc != DYNB_OK || has_more)
                break;
        }
        rc = dynbi_merge_next(&merge, err);
    }
    dynbi_merge_free(&merge);
    if (rc == DYNB_OK)
        rc = dynbi_page_finish(db, read, count, has_more, out, result, err);
    return rc;
}

/* An index that can be read, as its set; 0 without a name: the table. */
static dynb_rc dynbi_index_find(const dynbi_table *table, const char *name, int consistent_read,
                                uint32_t *set, dynb_error *err)
{
    const dynbi_index *index = NULL;
    uint32_t i;
    *set = 0;
    for (i = 0; name && i < table->index_count; ++i) {
        if (table->indexes[i].status != DYNB_INDEX_DELETING &&
            dynbi_text_equal(table->indexes[i].about.index_name, name)) {
            index = &table->indexes[i];
            *set = i + 1;
        }
    }
    if (name && !index)
        return dynbi_fail(err, DYNB_VALIDATION, "The table does not have the specified index: %s",
                          name);
    if (index && index->is_global && consistent_read)
        return dynbi_fail(err, DYNB_VALIDATION,
                          "Consistent reads are not supported on global secondary indexes");
    if (index && index->status == DYNB_INDEX_CREATING)
        return dynbi_fail(err, DYNB_VALIDATION,
                          "Cannot read from backfilling global secondary index: %s", name);
    return DYNB_OK;
}

/* Goes over to an index of the place. */
static dynb_rc dynbi_place_choose(dynbi_place *place, const char *index_name, int consistent_read,
                                  dynb_error *err)
{
    dynb_rc rc = dynbi_index_find(place->table, index_name, consistent_read, &place->set, err);
    if (rc != DYNB_OK || !place->set)
        return rc;
    if (place->is_pending) /* the table may have got or lost indexes since its marker */
        return dynbi_fail(err, DYNB_VALIDATION,
                          "the backup is being created: its indexes cannot be read yet, only its "
                          "table");
    place->view.set = place->table->indexes[place->set - 1].slot;
    place->view.runs = *dynbi_table_runs(place->table, place->set);
    return DYNB_OK;
}

static void dynbi_range_init(dynb *db, dynbi_range_read *read, const dynbi_place *place)
{
    memset(read, 0, sizeof *read);
    read->from.allocator = &db->allocator;
    read->to.allocator = &db->allocator;
    read->table = place->table;
    read->schema = place->set ? &place->table->indexes[place->set - 1].schema
                              : &place->table->schema;
    read->key_count = place->set ? place->table->indexes[place->set - 1].key_count
                                 : place->table->schema.part_count;
    read->view = &place->view;
}

static void dynbi_range_free(dynbi_range_read *read)
{
    dynbi_buffer_free(&read->from);
    dynbi_buffer_free(&read->to);
}

/* Goes on after a page's last key: a range end moves to it. */
static dynb_rc dynbi_range_resume(dynb *db, dynbi_range_read *read, dynb_item start_after,
                                  dynb_error *err)
{
    dynbi_buffer *edge = read->descending ? &read->to : &read->from;
    dynb_rc rc = dynb_item_check(start_after, err);
    db->key.used_bytes = 0;
    if (rc == DYNB_OK)
        rc = dynbi_key_encode(read->schema, start_after, 1, &db->key, err);
    if (rc != DYNB_OK)
        return rc;
    if (dynbi_key_compare(db->key.bytes, db->key.used_bytes, read->from.bytes,
                          read->from.used_bytes) < 0 ||
        (read->has_to && dynbi_key_compare(db->key.bytes, db->key.used_bytes, read->to.bytes,
                                           read->to.used_bytes) >= 0))
        return dynbi_fail(err, DYNB_VALIDATION,
                          "The provided starting key is outside query boundaries based on "
                          "provided conditions");
    edge->used_bytes = 0;
    if (!dynbi_buffer_append(edge, db->key.bytes, db->key.used_bytes) ||
        (!read->descending && !dynbi_buffer_append(edge, "", 1)))
        return dynbi_fail(err, DYNB_NO_MEMORY, "no memory for a key");
    read->has_to = read->has_to || read->descending;
    return DYNB_OK;
}

/* Makes a key of the schema's first parts the first one past all that have
 * them. Zero: no memory. */
static int dynbi_range_pass(dynbi_range_read *read, uint32_t part_count, dynbi_buffer *key,
                            int *is_bounded)
{
    *is_bounded = 1;
    if (part_count == read->schema->part_count)
        return dynbi_buffer_append(key, "", 1);
    *is_bounded = dynbi_buffer_successor(key);
    return 1;
}

/* The end of a query's range: `to` holds the partition, or with uses_to the
 * condition's operand as well. Zero: no memory. */
static int dynbi_query_end(dynb_sort_condition is, int uses_to, dynbi_range_read *read)
{
    const dynbi_key_part *last = &read->schema->part[1];
    read->has_to = 1;
    if (is == DYNB_SORT_LT)
        return 1;
    if (is != DYNB_SORT_BEGINS_WITH)
        return dynbi_range_pass(read, uses_to ? 2 : 1, &read->to, &read->has_to);
    if (read->schema->part_count > 2 && last->type != DYNB_N) {
        read->to.used_bytes -= 2; /* the end of a part that others follow */
        read->from.used_bytes -= 2;
    }
    read->has_to = dynbi_buffer_successor(&read->to);
    return 1;
}

/* The range of a query: from and to are the partition's bytes, then narrowed by
 * what the condition says of the sort key. */
static dynb_rc dynbi_query_range(const dynb_query_input *input, dynbi_range_read *read,
                                 dynb_error *err)
{
    const dynbi_schema *schema = read->schema;
    dynb_sort_condition is = input->condition;
    const int uses_from = is == DYNB_SORT_EQ || is == DYNB_SORT_GT || is == DYNB_SORT_GE ||
                          is == DYNB_SORT_BETWEEN || is == DYNB_SORT_BEGINS_WITH;
    const int uses_to = is == DYNB_SORT_EQ || is == DYNB_SORT_LT || is == DYNB_SORT_LE ||
                        is == DYNB_SORT_BETWEEN || is == DYNB_SORT_BEGINS_WITH;
    int is_ok = 1, has_from = 1;
    dynb_rc rc = dynbi_key_encode_part(schema, 0, input->partition_key, &read->from, err);
    if (rc != DYNB_OK)
        return rc;
    if (!dynbi_buffer_append(&read->to, read->from.bytes, read->from.used_bytes))
        return dynbi_fail(err, DYNB_NO_MEMORY, "no memory for a key");
    if (uses_from)
        rc = dynbi_key_encode_part(schema, 1, input->sort_from, &read->from, err);
    if (rc == DYNB_OK && uses_to)
        rc = dynbi_key_encode_part(schema, 1,
                                   is == DYNB_SORT_BETWEEN ? input->sort_to : input->sort_from,
                                   &read->to, err);
    if (rc != DYNB_OK)
        return rc;
    if (is == DYNB_SORT_GT)
        is_ok = dynbi_range_pass(read, 2, &read->from, &has_from);
    DYNBI_ASSERT(has_from); /* a part that others follow ends below FF */
    if (!is_ok || !dynbi_query_end(is, uses_to, read))
        return dynbi_fail(err, DYNB_NO_MEMORY, "no memory for a key");
    if (is == DYNB_SORT_BETWEEN && dynbi_key_compare(read->from.bytes, read->from.used_bytes,
                                                     read->to.bytes, read->to.used_bytes) >= 0)
        return dynbi_fail(err, DYNB_VALIDATION,
                          "Invalid KeyConditionExpression: The BETWEEN operator requires upper "
                          "bound to be greater than or equal to lower bound");
    return DYNB_OK;
}

static dynb_rc dynbi_table_query(dynb *db, const dynbi_place *place,
                                 const dynb_query_input *input, dynb_page *out,
                                 dynb_result *result, dynb_error *err)
{
    const dynbi_table *table = place->table;
    dynbi_range_read read;
    dynbi_place chosen = *place;
    dynb_rc rc = dynbi_place_choose(&chosen, input->index_name, input->consistent_read, err);
    if (rc != DYNB_OK)
        return rc;
    dynbi_range_init(db, &read, &chosen);
    if (input->condition != DYNB_SORT_ANY && read.key_count < 2)
        return dynbi_fail(err, DYNB_VALIDATION,
                          "Query condition missed key schema element: %s %s has no sort key",
                          chosen.set ? "index" : "table",
                          chosen.set ? input->index_name : table->name);
    if (input->condition == DYNB_SORT_BEGINS_WITH && read.schema->part[1].type == DYNB_N)
        return dynbi_fail(err, DYNB_VALIDATION,
                          "Invalid KeyConditionExpression: Incorrect operand type for operator "
                          "or function; operator or function: begins_with, operand type: N");
    read.descending = input->descending;
    read.limit = input->limit;
    rc = dynbi_query_range(input, &read, err);
    if (rc == DYNB_OK && input->start_after.bytes)
        rc = dynbi_range_resume(db, &read, input->start_after, err);
    if (rc == DYNB_OK)
        rc = dynbi_range_run(db, &read, out, result, err);
    dynbi_range_free(&read);
    return rc;
}

static dynb_rc dynbi_table_scan(dynb *db, const dynbi_place *place, const dynb_scan_input *input,
                                dynb_page *out, dynb_result *result, dynb_error *err)
{
    dynbi_range_read read;
    dynbi_place chosen = *place;
    dynb_rc rc = dynbi_place_choose(&chosen, input->index_name, input->consistent_read, err);
    if (rc != DYNB_OK)
        return rc;
    dynbi_range_init(db, &read, &chosen);
    read.limit = input->limit;
    read.segment = input->segment;
    read.total_segments = input->total_segments > 1 ? input->total_segments : 0;
    if (input->start_after.bytes)
        rc = dynbi_range_resume(db, &read, input->start_after, err);
    if (rc == DYNB_OK)
        rc = dynbi_range_run(db, &read, out, result, err);
    dynbi_range_free(&read);
    return rc;
}

/* --- items: comparing --- */

#define DYNBI_COMPARE_LOOKS 65536u /* candidates a page looks at: the lock is held meanwhile */

/* Adds one image to the page: its size, 4 bytes, then its own; size 0: none. */
static dynb_rc dynbi_difference_add(const dynbi_place *place, const dynbi_buffer *key,
                                    const dynbi_found *found, dynb_result *result,
                                    dynb_error *err)
{
    const dynbi_schema *schema = &place->table->schema;
    const uint32_t key_size = (uint32_t)key->used_bytes;
    size_t bound = found->is_there
                       ? dynbi_item_restored_bound(schema, key_size, found->value_size)
                       : 0;
    size_t needed = result->used_bytes + 4 + bound, size = 0;
    dynb_rc rc = DYNB_OK;
    if (needed > result->capacity_bytes)
        rc = dynbi_result_grow(result, needed + needed / 2 + 4096, err);
    if (rc != DYNB_OK)
        return rc;
    if (found->is_there) {
        size = dynbi_item_restore(schema, key->bytes, key_size, found->value, found->value_size,
                                  result->memory + result->used_bytes + 4);
        if (!size)
            return dynbi_fail(err, DYNB_CORRUPT, "an item of table %s is damaged",
                              place->table->name);
    }
    dynbi_store32(result->memory + result->used_bytes, (uint32_t)size);
    result->used_bytes += 4 + size;
    return DYNB_OK;
}

/* Puts the array of differences behind the images gathered, then the last key,
 * which is in db->key if there is one. */
static dynb_rc dynbi_difference_finish(dynb *db, const dynbi_place *place, uint32_t count,
                                       dynb_difference_page *out, dynb_result *result,
                                       dynb_error *err)
{
    const dynbi_schema *schema = &place->table->schema;
    size_t key_bound = dynbi_item_restored_bound(schema, db->key.used_bytes, 16);
    size_t used = (result->used_bytes + 7) & ~(size_t)7, pos = 0;
    size_t needed = used + count * sizeof(dynb_difference) + key_bound + 16;
    dynb_difference *differences;
    uint32_t i;
    dynb_rc rc = DYNB_OK;
    if (needed > result->capacity_bytes)
        rc = dynbi_result_grow(result, needed, err);
    if (rc != DYNB_OK)
        return rc;
    result->used_bytes = used;
    differences = (dynb_difference *)dynbi_result_take(result, count * sizeof *differences);
    for (i = 0; i < 2 * count; ++i) {
        dynb_item *item = i % 2 ? &differences[i / 2].new_item : &differences[i / 2].old_item;
        item->size_bytes = dynbi_load32(result->memory + pos);
        item->bytes = item->size_bytes ? result->memory + pos + 4 : NULL;
        pos += 4 + (size_t)item->size_bytes;
    }
    out->differences = differences;
    out->count = count;
    if (db->key.used_bytes) {
        uint8_t *to = (uint8_t *)dynbi_result_take(result, key_bound);
        size_t size = dynbi_key_item(schema, db->key.bytes, db->key.used_bytes, to);
        if (!size)
            return dynbi_fail(err, DYNB_CORRUPT, "a key of table %s is damaged",
                              place->table->name);
        out->last_key.bytes = to;
        out->last_key.size_bytes = (uint32_t)size;
    }
    return DYNB_OK;
}

/* Gathers differences from where `compare` stands. *count of them; db->key is
 * left empty at the end of all, else at the last key looked at. */
static dynb_rc dynbi_difference_gather(dynb *db, dynbi_compare *compare, const dynbi_place *place,
                                       const dynb_compare_input *input, uint32_t *count,
                                       dynb_result *result, dynb_error *err)
{
    const size_t limit = input->limit_bytes ? input->limit_bytes : DYNB_PAGE_MAX_BYTES;
    uint32_t looks;
    dynb_rc rc = DYNB_OK;
    db->key.used_bytes = 0;
    for (looks = 0; rc == DYNB_OK && compare->is_at; ++looks) {
        const size_t before = result->used_bytes;
        dynbi_both both;
        int differs = 0;
        if (looks == DYNBI_COMPARE_LOOKS || (*count && *count == input->limit))
            return DYNB_OK;
        rc = dynbi_compare_look(compare, &both, &differs, err);
        if (rc != DYNB_OK)
            return rc;
        if (differs) {
            rc = dynbi_difference_add(&place[0], &compare->key, &both.found[0], result, err);
            if (rc == DYNB_OK)
                rc = dynbi_difference_add(&place[1], &compare->key, &both.found[1], result, err);
            if (rc == DYNB_OK && *count && result->used_bytes - 8 * (*count + 1) > limit) {
                result->used_bytes = before; /* one too many: the next page's first */
                dynbi_both_close(&db->reader, &both);
                return DYNB_OK;
            }
            ++*count;
        }
        dynbi_both_close(&db->reader, &both);
        db->key.used_bytes = 0;
        if (rc == DYNB_OK &&
            !dynbi_buffer_append(&db->key, compare->key.bytes, compare->key.used_bytes))
            rc = dynbi_fail(err, DYNB_NO_MEMORY, "no memory for a key");
        if (rc == DYNB_OK)
            rc = dynbi_compare_next(compare, err);
    }
    if (rc == DYNB_OK)
        db->key.used_bytes = 0;
    return rc;
}

/* Puts the key to go on after in db->key, as the first that can come. */
static dynb_rc dynbi_difference_resume(dynb *db, const dynbi_place *place, dynb_item start_after,
                                       dynb_error *err)
{
    dynb_rc rc;
    db->key.used_bytes = 0;
    if (!start_after.bytes)
        return DYNB_OK;
    rc = dynb_item_check(start_after, err);
    if (rc == DYNB_OK)
        rc = dynbi_key_encode(&place->table->schema, start_after, 1, &db->key, err);
    if (rc == DYNB_OK) { /* encoding reserves more than a key takes */
        DYNBI_ASSERT(db->key.used_bytes < db->key.capacity_bytes);
        db->key.bytes[db->key.used_bytes++] = 0;
    }
    return rc;
}

static int dynbi_schema_is_same(const dynbi_schema *a, const dynbi_schema *b)
{
    uint32_t i;
    for (i = 0; i < a->part_count && i < b->part_count; ++i) {
        const dynbi_key_part *x = &a->part[i], *y = &b->part[i];
        if (x->type != y->type || x->name_length != y->name_length ||
            memcmp(x->name, y->name, x->name_length) != 0)
            return 0;
    }
    return a->part_count == b->part_count;
}

/* One page of what differs between place[0], the old one, and place[1]. */
static dynb_rc dynbi_places_compare(dynb *db, const dynbi_place place[2],
                                    const dynb_compare_input *input, dynb_difference_page *out,
                                    dynb_result *result, dynb_error *err)
{
    dynbi_compare compare;
    uint32_t count = 0;
    dynb_rc rc;
    if (!dynbi_schema_is_same(&place[0].table->schema, &place[1].table->schema))
        return dynbi_fail(err, DYNB_VALIDATION,
                          "tables %s and %s have different key schemas; what can be compared is "
                          "two backups of one table, the table, and tables restored from them",
                          place[0].table->name, place[1].table->name);
    rc = dynbi_difference_resume(db, place, input->start_after, err);
    if (rc != DYNB_OK)
        return rc;
    rc = dynbi_compare_init(&compare, &db->reader, &place[0].view, &place[1].view, err);
    if (rc == DYNB_OK)
        rc = dynbi_result_reserve(result, &db->memory.outer, 1024, err);
    if (rc == DYNB_OK)
        rc = dynbi_compare_seek(&compare, db->key.used_bytes ? db->key.bytes : NULL,
                                (uint32_t)db->key.used_bytes, err);
    if (rc == DYNB_OK)
        rc = dynbi_difference_gather(db, &compare, place, input, &count, result, err);
    dynbi_compare_free(&compare);
    return rc == DYNB_OK ? dynbi_difference_finish(db, place, count, out, result, err) : rc;
}

/* ===========================================================================
 * 24 BACKUP
 *
 * Backups as markers, and the worker (the manual's builder) that makes the rest
 * true: it folds generations to runs (then backups become AVAILABLE) and runs
 * to fewer runs, writes checkpoints and finds free space.
 *
 *     CreateBackup  one log record: the marker; the generation is frozen
 *     run           oldest frozen generation -> new newest run; published by
 *                   one log record with the table and the backups it completes
 *     tidy          neighbouring runs -> one run, published the same way
 *     fill          items -> entries of an index being created, sorted in
 *                   memory -> its new oldest run, as many as it takes
 *     count         how many items a run added, by looking into older runs
 *     sweep         what has had its time goes: see history, further down
 *     checkpoint    the catalog's own run; superblock; log trimmed; marking
 *
 * Two folds can be open at a time: an urgent one (run, checkpoint) and, set
 * aside while there is urgent work, one in the background (tidy). A worker
 * takes one step at a time, with the lock at its ends and without in between:
 * then it reads only frozen generations and immutable nodes, through a reader
 * of its own, and writes pages nobody else knows. One thread steps at a time.
 *
 * Publishing: nodes written, device synced, one frame logged, memory changed.
 * What a failed step made is forgotten; the next marking frees its pages.
 *
 * Needs: all above   Used by: API
 * Exports: dynbi_backup_*, dynbi_history_*, dynbi_retention_*, dynbi_sweep_*,
 *   dynbi_worker_*, dynbi_rebuild_*, dynbi_audit_*, dynbi_inspect_*
 * On error: a failed backup operation changes nothing; a failed step of the
 *   worker is reported by whoever made it step, and can be tried again.
 * ======================================================================== */

/* --- backup ARNs --- */

#define DYNBI_BACKUP_ID_SIZE 23u /* 14 digits, '-', 8 hex digits */

/* A backup's ARN taken apart: its key in the catalog is in db->key. */
typedef struct dynbi_backup_name {
    const char *table_name;
    size_t table_name_length;
    const char *id;
} dynbi_backup_name;

static int dynbi_region_is_known(const char *region, size_t length)
{
    static const char list[] =
        "us-east-1 us-east-2 us-west-1 us-west-2 af-south-1 ap-east-1 ap-east-2 ap-south-1 "
        "ap-south-2 ap-southeast-1 ap-southeast-2 ap-southeast-3 ap-southeast-4 ap-southeast-5 "
        "ap-southeast-7 ap-northeast-1 ap-northeast-2 ap-northeast-3 ca-central-1 ca-west-1 "
        "eu-central-1 eu-central-2 eu-west-1 eu-west-2 eu-west-3 eu-south-1 eu-south-2 "
        "eu-north-1 il-central-1 me-south-1 me-central-1 mx-central-1 sa-east-1 ";
    size_t at = 0, end;
    while (list[at]) {
        for (end = at; list[end] != ' '; ++end)
            ;
        if (length == end - at && memcmp(region, list + at, length) == 0)
            return 1;
        at = end + 1;
    }
    return 0;
}

static int dynbi_backup_id_is_good(const char *id)
{
    size_t i;
    for (i = 0; i < DYNBI_BACKUP_ID_SIZE; ++i) {
        int is_digit = id[i] >= '0' && id[i] <= '9';
        int is_hex = is_digit || (id[i] >= 'a' && id[i] <= 'f');
        if (i == 14 ? id[i] != '-' : i < 14 ? !is_digit : !is_hex)
            return 0;
    }
    return id[DYNBI_BACKUP_ID_SIZE] == 0;
}

static dynb_rc dynbi_backup_key(dynb *db, const dynbi_backup_name *name, dynb_error *err)
{
    db->key.used_bytes = 0;
    if (!dynbi_buffer_append(&db->key, "B", 1) ||
        !dynbi_buffer_append(&db->key, name->table_name, name->table_name_length) ||
        !dynbi_buffer_append(&db->key, "", 1) ||
        !dynbi_buffer_append(&db->key, name->id, DYNBI_BACKUP_ID_SIZE))
        return dynbi_fail(err, DYNB_NO_MEMORY, "no memory for a backup's name");
    return DYNB_OK;
}

/* Takes an ARN apart. A real region other than ours is let through, as AWS
 * does: the identity of a backup is account, table and id. */
static dynb_rc dynbi_backup_parse(dynb *db, const char *arn, dynbi_backup_name *out,
                                  int *is_our_region, dynb_error *err)
{
    const char *at = arn, *partition, *service, *region, *account, *part;
    size_t partition_length, service_length, region_length, account_length, length;
    *is_our_region = 1;
    if (!arn)
        return dynbi_fail(err, DYNB_INVALID_ARGUMENT, "backup_arn is NULL");
    length = dynbi_length(arn);
    if (length < DYNB_ARN_MIN || length > DYNB_ARN_MAX || !dynbi_text_starts(arn, "arn:"))
        return dynbi_fail(err, DYNB_VALIDATION, "Invalid Backup ARN");
    (void)dynbi_arn_part(&at, ':', &part);
    partition_length = dynbi_arn_part(&at, ':', &partition);
    service_length = dynbi_arn_part(&at, ':', &service);
    region_length = dynbi_arn_part(&at, ':', &region);
    account_length = dynbi_arn_part(&at, ':', &account);
    length = dynbi_arn_part(&at, '/', &part);
    out->table_name_length = dynbi_arn_part(&at, '/', &out->table_name);
    if (!dynbi_part_is(part, length, "table") || !dynbi_text_starts(at, "backup/"))
        return dynbi_fail(err, DYNB_VALIDATION, "Invalid Backup ARN");
    out->id = at + 7;
    if (!dynbi_backup_id_is_good(out->id) ||
        !dynbi_name_is_plain(out->table_name, out->table_name_length) ||
        out->table_name_length < DYNB_NAME_MIN || out->table_name_length > DYNB_NAME_MAX)
        return dynbi_fail(err, DYNB_VALIDATION, "Invalid Backup ARN");
    *is_our_region = dynbi_part_is(region, region_length, db->region);
    if (!dynbi_part_is(partition, partition_length, "aws") ||
        !dynbi_part_is(service, service_length, "dynamodb") ||
        (region_length && !*is_our_region && !dynbi_region_is_known(region, region_length)))
        return dynbi_fail(err, DYNB_VALIDATION, "Invalid Request: BackupArn is not valid");
    if (!region_length || !dynbi_part_is(account, account_length, db->account))
        return dynbi_fail(err, DYNB_ACCESS_DENIED, "Access is denied");
    return dynbi_backup_key(db, out, err);
}

/* --- describing backups --- */

/* What the indexes of a record take in a result; nothing for a damaged one. */
static size_t dynbi_record_indexes_room(const dynbi_record *record)
{
    size_t room = 64;
    uint64_t number, size;
    uint32_t count, set, i, index_count = 0;
    const uint8_t *definition;
    dynbi_coder coder;
    dynbi_run run;
    memset(&coder, 0, sizeof coder);
    coder.at = record->snapshot;
    coder.end = record->snapshot + record->snapshot_size;
    dynbi_code_u64(&coder, &number); /* LSN, counts */
    for (set = 0; !coder.is_broken && set <= index_count; ++set) {
        if (set) {
            dynbi_code_part(&coder, &definition, &size);
            room += coder.is_broken ? 0 : dynbi_index_room((size_t)size);
        }
        dynbi_code_u64(&coder, &number);
        dynbi_code_u64(&coder, &number);
        count = dynbi_code_u32(&coder, 0, 4096);
        for (i = 0; !coder.is_broken && i < count; ++i) {
            memset(&run, 0, sizeof run);
            dynbi_code_run(&coder, &run);
        }
        if (set == 0)
            index_count = dynbi_code_u32(&coder, 0, DYNBI_INDEXES_MAX + 1);
    }
    return room;
}

static size_t dynbi_backup_room(const dynbi_record *record)
{
    return (size_t)record->details_size + dynbi_describe_room((size_t)record->settings_size, 255) +
           DYNB_NAME_MAX + DYNBI_ARN_ROOM + 64 + dynbi_record_indexes_room(record);
}

/* What a backup does not tell of its table, nor bring back: contract 2.2. */
static void dynbi_forget_recovery(dynb_table_description *table)
{
    table->recovery_period_days = 0;
    table->recovery_from_ms = table->recovery_lsn = 0;
    memset(&table->retention, 0, sizeof table->retention);
}

/* Fills a description from a record and its key; the room was reserved. */
static dynb_rc dynbi_backup_fill(const dynb *db, const uint8_t *key, size_t key_size,
                                 const dynbi_record *record, dynb_backup_description *out,
                                 dynb_result *result, dynb_error *err)
{
    char arn[2 * DYNB_NAME_MAX + DYNBI_ARN_ROOM];
    const char *id = (const char *)(const void *)(key + key_size - DYNBI_BACKUP_ID_SIZE);
    dynbi_snapshot snapshot;
    dynbi_record copy = *record; /* whose details live as long as the result */
    uint8_t *details;
    size_t length;
    dynb_rc rc;
    copy.details = details = (uint8_t *)dynbi_result_take(result, (size_t)record->details_size);
    memcpy(details, record->details, (size_t)record->details_size);
    rc = dynbi_details_read(&copy, out, err);
    if (rc == DYNB_OK)
        rc = dynbi_describe(db, record->settings, (size_t)record->settings_size, &out->source,
                            result, err);
    if (rc != DYNB_OK)
        return rc;
    dynbi_forget_recovery(&out->source);
    length = dynbi_format(arn, sizeof arn, DYNBI_ARN_PREFIX "%s:%s:table/%s/backup/%t",
                          db->region, db->account, out->source.table_name, id,
                          (size_t)DYNBI_BACKUP_ID_SIZE);
    out->backup_arn = dynbi_result_text(result, arn, length);
    if (dynbi_is_recent(db, out->created_at_ms, db->config.backup_delay_ms))
        out->status = DYNB_BACKUP_CREATING;
    rc = dynbi_snapshot_read(&db->allocator, record, &snapshot, err);
    if (rc != DYNB_OK)
        return rc;
    out->source.item_count = snapshot.item_count;
    out->source.size_bytes = out->size_bytes = snapshot.size_bytes;
    dynbi_describe_indexes(db, snapshot.indexes, snapshot.index_count, &out->source, result);
    dynbi_snapshot_free(&db->allocator, &snapshot);
    return DYNB_OK;
}

/* Reads the backup whose key is in db->key: its record is in db->record. */
static dynb_rc dynbi_backup_read(dynb *db, const char *arn, dynbi_record *record, dynb_error *err)
{
    int is_there;
    dynb_rc rc = dynbi_catalog_get(db, db->key.bytes, (uint32_t)db->key.used_bytes, &db->record,
                                   &is_there, err);
    if (rc != DYNB_OK)
        return rc;
    if (!is_there)
        return dynbi_fail(err, DYNB_BACKUP_NOT_FOUND, "Backup not found: %s", arn);
    return dynbi_record_split(db->record.bytes, db->record.used_bytes, 1, record, err);
}

static dynb_rc dynbi_backup_describe(dynb *db, const char *arn, dynbi_record *record,
                                     dynb_backup_description *out, dynb_result *result,
                                     dynb_error *err)
{
    dynbi_backup_name name;
    int is_our_region;
    dynb_rc rc = dynbi_backup_parse(db, arn, &name, &is_our_region, err);
    if (rc == DYNB_OK)
        rc = dynbi_backup_read(db, arn, record, err);
    if (rc == DYNB_OK)
        rc = dynbi_result_reserve(result, &db->memory.outer,
                                  dynbi_backup_room(record) + dynbi_length(arn) + 8, err);
    if (rc == DYNB_OK)
        rc = dynbi_backup_fill(db, db->key.bytes, db->key.used_bytes, record, out, result, err);
    if (rc == DYNB_OK && !is_our_region) /* AWS echoes what it was asked for */
        out->backup_arn = dynbi_result_text(result, arn, dynbi_length(arn));
    return rc;
}

/* --- creating backups --- */

/* Takes `count` requests out of an operation's bucket, which holds one second's
 * worth. */
static dynb_rc dynbi_bucket_take(dynb *db, dynb_operation operation, uint64_t rate,
                                 uint32_t count, dynb_error *err)
{
    dynbi_bucket *bucket = &db->bucket[operation];
    const uint64_t now = dynbi_store_now(db);
    uint64_t earned = now > bucket->filled_at_ms ? now - bucket->filled_at_ms : 0, needed;
    if (bucket->filled_at_ms == 0 || earned > 1000)
        earned = 1000;
    bucket->tokens += earned * rate;
    if (bucket->tokens > rate * 1000)
        bucket->tokens = rate * 1000;
    bucket->filled_at_ms = now;
    needed = (count < rate ? count : rate) * 1000; /* a set may be larger than the rate */
    if (bucket->tokens < needed)
        return dynbi_fail(err, DYNB_THROTTLING, "Rate exceeded");
    bucket->tokens -= needed;
    return DYNB_OK;
}

static dynb_rc dynbi_backup_throttle(dynb *db, uint32_t count, dynb_error *err)
{
    const uint32_t rate = db->config.create_backup_per_second;
    if (rate == DYNB_UNLIMITED)
        return DYNB_OK;
    return dynbi_bucket_take(db, DYNB_OP_CREATE_BACKUP, rate ? rate : 50, count, err);
}

/* The oldest generation that holds changes, or NULL. */
static dynbi_generation *dynbi_table_oldest(const dynbi_table *table)
{
    dynbi_generation *generation = table->newest, *oldest = NULL;
    for (; generation; generation = generation->next) {
        if (generation->entry_count)
            oldest = generation;
    }
    return oldest;
}

/* Nonzero: every change is in the runs. */
static int dynbi_table_is_folded(const dynbi_table *table)
{
    return dynbi_table_oldest(table) == NULL;
}

/* Leaves only indexes that are complete: what is being built or removed is not
 * in a backup. */
static dynb_rc dynbi_snapshot_complete(dynb *db, dynbi_snapshot *snapshot, dynb_error *err)
{
    uint32_t set;
    if (!dynbi_snapshot_open(&db->allocator, snapshot, 0))
        return dynbi_fail(err, DYNB_NO_MEMORY, "no memory for a backup");
    for (set = snapshot->index_count; set > 0; --set) {
        if (snapshot->indexes[set - 1].status != DYNB_INDEX_ACTIVE)
            dynbi_snapshot_remove(&db->allocator, snapshot, set);
    }
    return DYNB_OK;
}

/* The time of a backup made now; an id has 14 digits. */
static uint64_t dynbi_backup_time(const dynb *db)
{
    uint64_t time_ms = dynbi_store_time(db);
    return time_ms < 99999999999999u ? time_ms : 99999999999999u;
}

/* Adds one table's backup record to the transaction. Of the details, name, type
 * and times are given; a SYSTEM backup's creation may have to move on a
 * millisecond. */
static dynb_rc dynbi_backup_add(dynb *db, const dynbi_table *table,
                                dynb_backup_description *details, dynb_error *err)
{
    const int is_system = details->type == DYNB_BACKUP_SYSTEM;
    dynbi_backup_name name;
    dynbi_snapshot snapshot;
    dynbi_record record;
    dynbi_coder coder;
    dynbi_change change;
    char id[DYNBI_BACKUP_ID_SIZE + 1];
    /* looks random, yet no two of 2^32 changes in a row share it */
    uint64_t suffix = (db->log.tail.lsn + 1) * 0x9e3779b1u ^ dynbi_load32(db->log.store_id);
    int is_taken = 1;
    dynb_rc rc = DYNB_OK;
    name.table_name = table->name;
    name.table_name_length = table->name_length;
    name.id = id;
    while (rc == DYNB_OK && is_taken) {
        (void)dynbi_format(id, sizeof id, "%014u-%08x", details->created_at_ms,
                           is_system ? (uint64_t)0 : suffix & 0xffffffffu);
        rc = dynbi_backup_key(db, &name, err);
        is_taken = 0;
        if (rc == DYNB_OK && is_system)
            rc = dynbi_catalog_get(db, db->key.bytes, (uint32_t)db->key.used_bytes, &db->record,
                                   &is_taken, err);
        if (is_taken) {
            details->created_at_ms += 1;
            details->expires_at_ms += 1;
        }
    }
    if (rc != DYNB_OK)
        return rc;
    memset(&record, 0, sizeof record);
    memset(&change, 0, sizeof change);
    memset(&coder, 0, sizeof coder);
    details->status = dynbi_table_is_folded(table) ? DYNB_BACKUP_AVAILABLE : DYNB_BACKUP_CREATING;
    details->lsn = db->log.tail.lsn + 1;
    db->value.used_bytes = 0;
    coder.out = &db->value;
    dynbi_code_details(&coder, details);
    if (coder.is_broken)
        return dynbi_fail(err, DYNB_NO_MEMORY, "no memory for a backup");
    record.details = db->value.bytes;
    record.details_size = db->value.used_bytes;
    record.settings = table->settings;
    record.settings_size = table->settings_size;
    dynbi_table_snapshot(table, &snapshot);
    rc = dynbi_snapshot_complete(db, &snapshot, err);
    if (rc == DYNB_OK)
        rc = dynbi_record_make(&db->record, &record, &snapshot, err);
    dynbi_snapshot_free(&db->allocator, &snapshot);
    if (rc != DYNB_OK)
        return rc;
    change.key = db->key.bytes;
    change.key_size = (uint32_t)db->key.used_bytes;
    change.value = db->record.bytes;
    change.value_size = (uint32_t)db->record.used_bytes;
    if (details->status == DYNB_BACKUP_AVAILABLE && table->has_uncounted)
        dynbi_store_note_uncounted(db, change.key, change.key_size);
    return dynbi_change_add(db, &db->catalog, 0, &change, err);
}

/* The tables of a request, each once. */
static dynb_rc dynbi_backup_tables(dynb *db, const char *const *names, uint32_t count,
                                   dynbi_table **tables, dynb_error *err)
{
    uint32_t i, j;
    for (i = 0; i < count; ++i) {
        dynb_rc rc = dynbi_table_find(db, names[i], DYNB_TABLE_NOT_FOUND, &tables[i], err);
        if (rc == DYNB_OK)
            rc = dynbi_table_check_backups(db, tables[i], err);
        if (rc != DYNB_OK)
            return rc;
        for (j = 0; j < i; ++j) {
            if (tables[j] == tables[i])
                return dynbi_fail(err, DYNB_VALIDATION, "table %s is named twice",
                                  tables[i]->name);
        }
    }
    return DYNB_OK;
}

/* Describes the backups just added to the transaction, from its frame. */
static dynb_rc dynbi_backup_describe_added(dynb *db, dynb_backup_description *out,
                                           dynb_result *result, dynb_error *err)
{
    size_t room = 0;
    dynbi_record record;
    uint32_t i, pass;
    dynb_rc rc = DYNB_OK;
    for (pass = 0; pass < 2; ++pass) {
        for (i = 0; rc == DYNB_OK && i < db->op_count; ++i) {
            const uint8_t *key = db->frame.bytes + db->ops[i].key_pos;
            const size_t key_size = db->ops[i].key_size;
            rc = dynbi_record_split(key + key_size, db->ops[i].value_size, 1, &record, err);
            if (rc == DYNB_OK && pass == 0)
                room += dynbi_backup_room(&record);
            else if (rc == DYNB_OK)
                rc = dynbi_backup_fill(db, key, key_size, &record, &out[i], result, err);
        }
        if (rc == DYNB_OK && pass == 0)
            rc = dynbi_result_reserve(result, &db->memory.outer, room, err);
    }
    return rc;
}

static dynb_rc dynbi_backup_create(dynb *db, const char *const *names, uint32_t count,
                                   const char *backup_name, dynb_backup_description *out,
                                   dynb_result *result, dynb_error *err)
{
    dynbi_table **tables = (dynbi_table **)dynbi_allocate(&db->allocator, count * sizeof *tables);
    dynb_backup_description details;
    uint32_t i;
    dynb_rc rc = DYNB_OK;
    if (!tables)
        return dynbi_fail(err, DYNB_NO_MEMORY, "no memory for %u tables", (uint64_t)count);
    rc = dynbi_backup_tables(db, names, count, tables, err);
    if (rc == DYNB_OK)
        rc = dynbi_store_begin_writing(db, err);
    if (rc == DYNB_OK)
        rc = dynbi_backup_throttle(db, count, err);
    if (rc == DYNB_OK)
        rc = dynbi_change_begin(db, err);
    memset(&details, 0, sizeof details);
    details.backup_name = backup_name;
    details.created_at_ms = dynbi_backup_time(db);
    for (i = 0; rc == DYNB_OK && i < count; ++i)
        rc = dynbi_backup_add(db, tables[i], &details, err);
    if (rc == DYNB_OK && out)
        rc = dynbi_backup_describe_added(db, out, result, err);
    if (rc == DYNB_OK)
        rc = dynbi_change_commit(db, db->config.durability, err);
    for (i = 0; rc == DYNB_OK && i < count; ++i)
        db->sweep_is_due |= tables[i]->has_retention;
    dynbi_free(&db->allocator, tables, count * sizeof *tables);
    return rc;
}

/* --- listing backups --- */

typedef struct dynbi_backup_list {
    dynbi_merge merge;
    dynbi_view view;
    const dynb_list_backups_input *input;
    const char *table; /* NULL: all */
    size_t table_length;
} dynbi_backup_list;

/* Where a list starts, in db->key: after a backup, or at a table, or
 * anywhere. */
static dynb_rc dynbi_backup_list_start(dynb *db, dynbi_backup_list *list, dynb_error *err)
{
    const dynb_list_backups_input *input = list->input;
    dynbi_buffer from;
    dynbi_backup_name name;
    char id[DYNBI_BACKUP_ID_SIZE + 1];
    int is_our_region;
    dynb_rc rc = DYNB_OK;
    memset(&from, 0, sizeof from);
    from.allocator = &db->allocator;
    if (list->table) { /* ids rise with time, so a bound in time is one in the keys */
        name.table_name = list->table;
        name.table_name_length = list->table_length;
        name.id = id;
        (void)dynbi_format(id, sizeof id, "%014u-%08x",
                           input->from_ms < 99999999999999u ? input->from_ms : 99999999999999u,
                           (uint64_t)0);
        rc = dynbi_backup_key(db, &name, err);
    } else {
        db->key.used_bytes = 0;
        if (!dynbi_buffer_append(&db->key, "B", 1))
            rc = dynbi_fail(err, DYNB_NO_MEMORY, "no memory for a key");
    }
    if (rc == DYNB_OK && !dynbi_buffer_append(&from, db->key.bytes, db->key.used_bytes))
        rc = dynbi_fail(err, DYNB_NO_MEMORY, "no memory for a key");
    if (rc == DYNB_OK && input->start_after_arn) {
        rc = dynbi_backup_parse(db, input->start_after_arn, &name, &is_our_region, err);
        if (rc == DYNB_OK && !is_our_region)
            rc = dynbi_fail(err, DYNB_VALIDATION,
                            "Invalid Request: The supplied ExclusiveStartBackupArn does not match "
                            "the region");
        if (rc == DYNB_OK && !dynbi_buffer_append(&db->key, "", 1))
            rc = dynbi_fail(err, DYNB_NO_MEMORY, "no memory for a key");
    }
    if (rc == DYNB_OK && dynbi_key_compare(from.bytes, from.used_bytes, db->key.bytes,
                                           db->key.used_bytes) > 0) {
        dynbi_buffer earlier = db->key;
        db->key = from;
        from = earlier;
    }
    dynbi_buffer_free(&from);
    if (rc == DYNB_OK)
        rc = dynbi_merge_seek(&list->merge, db->key.bytes, (uint32_t)db->key.used_bytes, 0, err);
    return rc;
}

/* Moves to the next record that is wanted; *entry NULL at the end. */
static dynb_rc dynbi_backup_list_next(dynbi_backup_list *list, const dynbi_change **entry,
                                      dynbi_record *record, dynb_error *err)
{
    const dynb_list_backups_input *input = list->input;
    for (;;) {
        dynb_backup_description details;
        dynb_rc rc;
        const dynbi_change *at = dynbi_merge_current(&list->merge);
        *entry = NULL;
        if (!at || at->key[0] != 'B')
            return DYNB_OK;
        if (list->table && (at->key_size != list->table_length + 2 + DYNBI_BACKUP_ID_SIZE ||
                            memcmp(at->key + 1, list->table, list->table_length) != 0 ||
                            at->key[1 + list->table_length] != 0))
            return DYNB_OK;
        if (!at->is_tombstone) {
            rc = dynbi_record_split(at->value, at->value_size, 1, record, err);
            if (rc == DYNB_OK)
                rc = dynbi_details_read(record, &details, err);
            if (rc != DYNB_OK)
                return rc;
            if (details.created_at_ms >= input->from_ms &&
                (!input->to_ms || details.created_at_ms < input->to_ms) &&
                (input->type == DYNB_LIST_ALL || (uint32_t)details.type == input->type)) {
                *entry = at;
                return DYNB_OK;
            }
        }
        rc = dynbi_merge_next(&list->merge, err);
        if (rc != DYNB_OK)
            return rc;
    }
}

/* Records wanted, up to the limit, copied one after another to db->value as
 * key_size u32 | value_size u32 | key | value. */
static dynb_rc dynbi_backup_list_gather(dynb *db, dynbi_backup_list *list, uint32_t *count,
                                        size_t *room, int *has_more, dynb_error *err)
{
    const uint32_t limit = list->input->limit ? list->input->limit : DYNB_BACKUPS_PAGE_MAX;
    dynb_rc rc = DYNB_OK;
    db->value.used_bytes = 0;
    *count = 0;
    *room = 0;
    *has_more = 0;
    while (rc == DYNB_OK) {
        const dynbi_change *entry;
        dynbi_record record;
        uint8_t sizes[8];
        rc = dynbi_backup_list_next(list, &entry, &record, err);
        if (rc != DYNB_OK || !entry)
            break;
        if (*count == limit) {
            *has_more = 1;
            break;
        }
        dynbi_store32(sizes, entry->key_size);
        dynbi_store32(sizes + 4, entry->value_size);
        if (!dynbi_buffer_append(&db->value, sizes, 8) ||
            !dynbi_buffer_append(&db->value, entry->key, entry->key_size) ||
            !dynbi_buffer_append(&db->value, entry->value, entry->value_size))
            return dynbi_fail(err, DYNB_NO_MEMORY, "no memory for a list of backups");
        *room += dynbi_backup_room(&record);
        ++*count;
        rc = dynbi_merge_next(&list->merge, err);
    }
    return rc;
}

static dynb_rc dynbi_backup_list_make(dynb *db, dynbi_backup_list *list, dynb_backup_list *out,
                                      dynb_result *result, dynb_error *err)
{
    dynb_backup_description *backups;
    const uint8_t *at;
    size_t room;
    uint32_t count, i;
    int has_more;
    dynb_rc rc = dynbi_backup_list_gather(db, list, &count, &room, &has_more, err);
    if (rc == DYNB_OK)
        rc = dynbi_result_reserve(result, &db->memory.outer, room + count * sizeof *backups + 64,
                                  err);
    if (rc != DYNB_OK)
        return rc;
    backups = (dynb_backup_description *)dynbi_result_take(result, count * sizeof *backups);
    for (i = 0, at = db->value.bytes; rc == DYNB_OK && i < count; ++i) {
        uint32_t key_size = dynbi_load32(at), value_size = dynbi_load32(at + 4);
        dynbi_record record;
        rc = dynbi_record_split(at + 8 + key_size, value_size, 1, &record, err);
        if (rc == DYNB_OK)
            rc = dynbi_backup_fill(db, at + 8, key_size, &record, &backups[i], result, err);
        at += 8 + (size_t)key_size + value_size;
    }
    if (rc != DYNB_OK)
        return rc;
    out->backups = backups;
    out->count = count;
    out->last_evaluated_arn = has_more ? backups[count - 1].backup_arn : NULL;
    return DYNB_OK;
}

static dynb_rc dynbi_backup_list_run(dynb *db, const dynb_list_backups_input *input,
                                     dynb_backup_list *out, dynb_result *result, dynb_error *err)
{
    dynbi_backup_list list;
    dynb_rc rc = DYNB_OK;
    memset(&list, 0, sizeof list);
    list.input = input;
    if (input->table)
        rc = dynbi_table_name(db, input->table, &list.table, &list.table_length, err);
    if (rc != DYNB_OK)
        return rc;
    dynbi_table_view(&db->catalog, 0, &list.view);
    rc = dynbi_merge_init(&list.merge, &db->reader, &list.view, err);
    if (rc == DYNB_OK)
        rc = dynbi_backup_list_start(db, &list, err);
    if (rc == DYNB_OK)
        rc = dynbi_backup_list_make(db, &list, out, result, err);
    dynbi_merge_free(&list.merge);
    return rc;
}

/* --- reading inside backups --- */

/* A backup that is still to be built: its table's runs, and of its changes in
 * memory those up to the marker, after which a new generation began. */
static void dynbi_pending_place(const dynbi_pending *pending, dynbi_place *out)
{
    const dynbi_generation *generation;
    *out = dynbi_place_of(pending->table);
    out->is_pending = 1;
    generation = out->view.newest;
    while (generation && (generation->entry_count == 0 || generation->first_lsn > pending->lsn))
        generation = generation->next;
    DYNBI_ASSERT(!generation || generation->last_lsn <= pending->lsn);
    out->view.newest = generation;
}

/* Makes a table of the backup's record. */
static dynb_rc dynbi_opened_fill(dynb *db, dynbi_opened *opened, const char *arn, size_t arn_size,
                                 const dynbi_record *record, dynb_error *err)
{
    dynb_rc rc = dynbi_table_make(db, record, &opened->table, err);
    if (rc != DYNB_OK)
        return rc;
    opened->arn = (char *)dynbi_allocate(&db->allocator, arn_size);
    if (!opened->arn) {
        dynbi_table_free(db, opened->table);
        memset(opened, 0, sizeof *opened);
        return dynbi_fail(err, DYNB_NO_MEMORY, "no memory for a backup's name");
    }
    opened->arn_size = arn_size;
    memcpy(opened->arn, arn, arn_size);
    return DYNB_OK;
}

/* The place of a backup among those open, or the one to use for it: free, or
 * unused longest. All are dropped when the catalog has changed: a deleted
 * backup's nodes may be gone. */
static dynbi_opened *dynbi_opened_find(dynb *db, const char *arn, size_t arn_size)
{
    dynbi_opened *oldest = &db->opened[0];
    uint32_t i;
    if (db->opened_at != db->catalog_changes) {
        dynbi_store_drop_opened(db);
        db->opened_at = db->catalog_changes;
    }
    for (i = 0; i < DYNBI_OPENED; ++i) {
        dynbi_opened *opened = &db->opened[i];
        if (opened->arn_size == arn_size && memcmp(opened->arn, arn, arn_size) == 0)
            return opened;
        if (opened->used_at < oldest->used_at)
            oldest = opened;
    }
    dynbi_opened_drop(db, oldest);
    return oldest;
}

static dynb_rc dynbi_backup_place(dynb *db, const char *arn, dynbi_place *out,
                                  dynb_error *err)
{
    const size_t arn_size = dynbi_length(arn) + 1;
    dynbi_opened *opened = dynbi_opened_find(db, arn, arn_size);
    dynbi_backup_name name;
    dynbi_record record;
    uint32_t pending;
    int is_our_region;
    dynb_rc rc;
    if (!opened->arn) {
        rc = dynbi_backup_parse(db, arn, &name, &is_our_region, err);
        if (rc != DYNB_OK)
            return rc;
        pending = dynbi_store_find_pending(db, db->key.bytes, db->key.used_bytes);
        if (pending < db->pending_count) {
            dynbi_pending_place(&db->pending[pending], out);
            return DYNB_OK;
        }
        rc = dynbi_backup_read(db, arn, &record, err);
        if (rc == DYNB_OK)
            rc = dynbi_opened_fill(db, opened, arn, arn_size, &record, err);
        if (rc != DYNB_OK)
            return rc;
    }
    opened->used_at = ++db->opened_clock;
    *out = dynbi_place_of(opened->table);
    return DYNB_OK;
}

/* Finds what a source names: the one way from a name to what is read. A place
 * is good until the lock is given up; set 0: the items; code as for
 * dynbi_table_find. */
static dynb_rc dynbi_source_place(dynb *db, const dynb_source *source,
                                  dynb_rc code, dynbi_place *out, dynb_error *err)
{
    dynbi_table *table;
    dynb_rc rc;
    if (!source->table == !source->backup_arn)
        return dynbi_fail(err, DYNB_INVALID_ARGUMENT,
                          source->table ? "table and backup_arn are both given; leave one NULL"
                                        : "table is NULL; give a name or an ARN, or backup_arn "
                                          "where there is one");
    if (source->backup_arn)
        return dynbi_backup_place(db, source->backup_arn, out, err);
    rc = dynbi_table_find(db, source->table, code, &table, err);
    if (rc == DYNB_OK)
        *out = dynbi_place_of(table);
    return rc;
}

static dynb_rc dynbi_source_get(dynb *db, const dynb_source *source, dynb_item key,
                                dynb_item *out, dynb_result *result, dynb_error *err)
{
    dynbi_place place;
    dynb_rc rc = dynbi_source_place(db, source, DYNB_OK, &place, err);
    return rc == DYNB_OK ? dynbi_item_get(db, &place, key, out, result, err) : rc;
}

static dynb_rc dynbi_source_query(dynb *db, const dynb_query_input *input, dynb_page *out,
                                  dynb_result *result, dynb_error *err)
{
    dynb_source source;
    dynbi_place place;
    dynb_rc rc;
    source.table = input->table;
    source.backup_arn = input->backup_arn;
    rc = dynbi_source_place(db, &source, DYNB_OK, &place, err);
    return rc == DYNB_OK ? dynbi_table_query(db, &place, input, out, result, err) : rc;
}

static dynb_rc dynbi_source_scan(dynb *db, const dynb_scan_input *input, dynb_page *out,
                                 dynb_result *result, dynb_error *err)
{
    dynb_source source;
    dynbi_place place;
    dynb_rc rc;
    source.table = input->table;
    source.backup_arn = input->backup_arn;
    rc = dynbi_source_place(db, &source, DYNB_OK, &place, err);
    return rc == DYNB_OK ? dynbi_table_scan(db, &place, input, out, result, err) : rc;
}

static dynb_rc dynbi_source_compare(dynb *db, const dynb_compare_input *input,
                                    dynb_difference_page *out, dynb_result *result,
                                    dynb_error *err)
{
    dynbi_place place[2];
    dynb_rc rc = dynbi_source_place(db, &input->from, DYNB_RESOURCE_NOT_FOUND, &place[0], err);
    if (rc == DYNB_OK)
        rc = dynbi_source_place(db, &input->to, DYNB_RESOURCE_NOT_FOUND, &place[1], err);
    return rc == DYNB_OK ? dynbi_places_compare(db, place, input, out, result, err) : rc;
}

/* --- deleting and restoring --- */

/* What a backup is known by, whatever the region: the ARN from its table on. */
static const char *dynbi_backup_tail(const char *arn)
{
    while (*arn && !dynbi_text_starts(arn, ":table/"))
        ++arn;
    return arn;
}

/* Nonzero: a table is being restored from the backup. */
static int dynbi_backup_is_restoring(const dynb *db, const char *arn)
{
    uint32_t i;
    for (i = 0; db->config.control_plane_delay_ms && i < db->live_count; ++i) {
        const dynbi_table *table = db->tables[i];
        if (dynbi_table_is_restoring(db, table) &&
            dynbi_text_equal(dynbi_backup_tail(table->restored_from), dynbi_backup_tail(arn)))
            return 1;
    }
    return 0;
}

static dynb_rc dynbi_backup_delete(dynb *db, const char *arn, dynb_backup_description *out,
                                   dynb_result *result, dynb_error *err)
{
    dynb_backup_description own;
    dynb_result own_result;
    dynbi_record record;
    dynbi_change change;
    char expiry[32];
    dynb_rc rc;
    memset(&own_result, 0, sizeof own_result);
    if (!out) {
        out = &own;
        result = &own_result;
    }
    rc = dynbi_backup_describe(db, arn, &record, out, result, err);
    if (rc == DYNB_OK && dynbi_backup_is_restoring(db, arn))
        rc = dynbi_fail(err, DYNB_BACKUP_IN_USE, "Backup is being used to restore table: %s",
                        arn);
    if (rc == DYNB_OK && out->type == DYNB_BACKUP_SYSTEM) {
        dynbi_time_text(out->expires_at_ms, expiry);
        rc = dynbi_fail(err, DYNB_VALIDATION,
                        "Invalid Request: User is not allowed to delete the system backup with "
                        "arn %s. It will automatically expire on %s",
                        arn, expiry);
    }
    if (rc == DYNB_OK && out->status == DYNB_BACKUP_CREATING)
        rc = dynbi_fail(err, DYNB_BACKUP_IN_USE,
                        "The backup is either being created, deleted or restored to a table: %s",
                        arn);
    if (rc == DYNB_OK)
        rc = dynbi_change_begin(db, err);
    memset(&change, 0, sizeof change);
    change.key = db->key.bytes;
    change.key_size = (uint32_t)db->key.used_bytes;
    change.is_tombstone = 1;
    if (rc == DYNB_OK)
        rc = dynbi_change_add(db, &db->catalog, 0, &change, err);
    if (rc == DYNB_OK)
        rc = dynbi_change_commit(db, db->config.durability, err);
    if (rc == DYNB_OK)
        out->status = DYNB_BACKUP_DELETED;
    dynb_result_free(&own_result);
    return rc;
}

/* --- overrides of a restore: contract 1.5 --- */

/* Their shape: what can be said without the backup. */
static dynb_rc dynbi_restore_shape_check(const dynb_restore_overrides *with, dynb_error *err)
{
    const dynb_throughput *units = &with->provisioned;
    const uint32_t all = DYNB_OVERRIDE_BILLING_MODE | DYNB_OVERRIDE_PROVISIONED |
                         DYNB_OVERRIDE_ON_DEMAND | DYNB_OVERRIDE_ENCRYPTION;
    uint32_t i, is_global;
    dynb_rc rc = DYNB_OK;
    if (with->override & ~all)
        return dynbi_fail(err, DYNB_INVALID_ARGUMENT,
                          "overrides.override must be made of DYNB_OVERRIDE_*");
    if ((with->override & DYNB_OVERRIDE_BILLING_MODE) &&
        (unsigned)with->billing_mode > DYNB_PROVISIONED)
        return dynbi_fail(err, DYNB_VALIDATION,
                          "1 validation error detected: Value '%u' at 'billingModeOverride' failed "
                          "to satisfy constraint: Member must satisfy enum value set: "
                          "[PROVISIONED, PAY_PER_REQUEST]",
                          (uint64_t)(unsigned)with->billing_mode);
    if ((with->override & DYNB_OVERRIDE_PROVISIONED) && !units->read_units && !units->write_units)
        return dynbi_fail(err, DYNB_VALIDATION,
                          "2 validation errors detected: Value null at "
                          "'provisionedThroughputOverride.writeCapacityUnits' failed to satisfy "
                          "constraint: Member must not be null; Value null at "
                          "'provisionedThroughputOverride.readCapacityUnits' failed to satisfy "
                          "constraint: Member must not be null");
    if ((with->override & DYNB_OVERRIDE_PROVISIONED) && (!units->read_units || !units->write_units))
        return dynbi_fail(err, DYNB_VALIDATION,
                          "1 validation error detected: Value null at "
                          "'provisionedThroughputOverride.%s' failed to satisfy constraint: Member "
                          "must not be null",
                          units->read_units ? "writeCapacityUnits" : "readCapacityUnits");
    if ((with->override & DYNB_OVERRIDE_ENCRYPTION) &&
        ((unsigned)with->encryption > DYNB_ENCRYPTION_KMS))
        return dynbi_fail(err, DYNB_INVALID_ARGUMENT,
                          "overrides.encryption is not one of its values");
    if ((with->override & DYNB_OVERRIDE_ENCRYPTION) && with->kms_key_arn &&
        (!with->kms_key_arn[0] || dynbi_length(with->kms_key_arn) > 2048))
        return dynbi_fail(err, DYNB_VALIDATION,
                          "1 validation error detected: Value '%s' at "
                          "'sSESpecificationOverride.kMSMasterKeyId' failed to satisfy constraint: "
                          "Member must have length %s",
                          with->kms_key_arn[0] ? "..." : "",
                          with->kms_key_arn[0] ? "less than or equal to 2048"
                                               : "greater than or equal to 1");
    for (is_global = 0; rc == DYNB_OK && is_global < 2; ++is_global) {
        const dynb_index *list = is_global ? with->global_indexes : with->local_indexes;
        const uint32_t count = is_global ? with->global_index_count : with->local_index_count;
        if (count)
            rc = dynbi_index_count_check(list, count, (int)is_global, err);
        for (i = 0; rc == DYNB_OK && i < count; ++i) {
            char path[80];
            (void)dynbi_format(path, sizeof path, "%sSecondaryIndexOverride.%u.member",
                               is_global ? "global" : "local", (uint64_t)i + 1);
            rc = dynbi_index_shape_check(&list[i], path, err);
        }
    }
    return rc;
}

/* Throughput of the table (name NULL) or an index against the billing mode. */
static dynb_rc dynbi_restore_units_check(const dynb_restore_overrides *with,
                                         dynb_billing_mode mode, const char *name,
                                         const dynb_throughput *provisioned,
                                         const dynb_throughput *on_demand, dynb_error *err)
{
    const int is_overridden = (with->override & DYNB_OVERRIDE_BILLING_MODE) != 0;
    const char *of = name ? " for index " : "";
    const char *member = on_demand && !on_demand->read_units && on_demand->write_units ? "Write"
                                                                                       : "Read";
    name = name ? name : "";
    if (provisioned && mode == DYNB_PAY_PER_REQUEST)
        return dynbi_fail(err, DYNB_VALIDATION,
                          is_overridden
                              ? "Invalid Request: Cannot override ProvisionedThroughput if "
                                "BillingMode is overridden to PAY_PER_REQUEST%s%s"
                              : "Invalid Request: Cannot override ProvisionedThroughput unless "
                                "BillingMode is PROVISIONED%s%s",
                          of, name);
    if (on_demand && mode == DYNB_PROVISIONED)
        return dynbi_fail(err, DYNB_VALIDATION,
                          "Invalid Request: Cannot override Max%sRequestUnits for "
                          "OnDemandThroughput unless BillingModeOverride is PAY_PER_REQUEST%s%s",
                          member, of, name);
    if (on_demand && !on_demand->read_units && !on_demand->write_units)
        return dynbi_fail(err, DYNB_VALIDATION,
                          "Invalid Request: Requested MaxReadRequestUnits for OnDemandThroughput "
                          "is outside of valid range%s%s",
                          of, name);
    return DYNB_OK;
}

/* The table's own settings: billing mode, throughput, encryption. */
static dynb_rc dynbi_restore_override(const dynb_restore_overrides *with,
                                      dynb_table_settings *settings, dynb_error *err)
{
    const int has_units = (with->override & DYNB_OVERRIDE_PROVISIONED) != 0;
    const int has_maxima = (with->override & DYNB_OVERRIDE_ON_DEMAND) != 0;
    const int has_mode = (with->override & DYNB_OVERRIDE_BILLING_MODE) != 0;
    dynb_billing_mode mode = has_mode ? with->billing_mode : settings->billing_mode;
    dynb_rc rc;
    if (has_mode && mode == DYNB_PROVISIONED && !has_units)
        return dynbi_fail(err, DYNB_VALIDATION,
                          "Invalid Request: Must override ProvisionedThroughput if BillingMode is "
                          "overridden to PROVISIONED");
    rc = dynbi_restore_units_check(with, mode, NULL, has_units ? &with->provisioned : NULL,
                                   has_maxima ? &with->on_demand : NULL, err);
    if (rc != DYNB_OK)
        return rc;
    settings->billing_mode = mode;
    if (has_units)
        settings->provisioned = with->provisioned;
    if (has_maxima)
        settings->on_demand = with->on_demand;
    if (mode == DYNB_PROVISIONED)
        memset(&settings->on_demand, 0, sizeof settings->on_demand);
    else
        memset(&settings->provisioned, 0, sizeof settings->provisioned);
    if (with->override & DYNB_OVERRIDE_ENCRYPTION) {
        settings->encryption = with->encryption;
        settings->kms_key_arn = with->kms_key_arn;
    }
    return dynbi_throughput_check(settings, err);
}

static int dynbi_key_is_same(const dynb_key_attribute *asked, const dynb_key_attribute *has)
{
    if (!asked->name || !has->name)
        return !asked->name && !has->name;
    return dynbi_text_equal(asked->name, has->name) &&
           (asked->type == DYNB_TYPE_NONE || asked->type == has->type);
}

/* Nonzero: an index has the keys and the projection asked for. */
static int dynbi_index_matches(const dynbi_index *index, const dynb_index *asked, int is_global)
{
    uint32_t i;
    if (index->is_global != is_global || index->about.projection != asked->projection ||
        index->about.non_key_attribute_count != asked->non_key_attribute_count ||
        !dynbi_key_is_same(&asked->partition_key, &index->about.partition_key) ||
        !dynbi_key_is_same(&asked->sort_key, &index->about.sort_key))
        return 0;
    for (i = 0; i < asked->non_key_attribute_count; ++i) {
        if (!dynbi_index_includes(index, asked->non_key_attributes[i],
                                  dynbi_length(asked->non_key_attributes[i])))
            return 0;
    }
    return 1;
}

/* Finds the index of the source that an entry asks for, which no other entry
 * has taken; one of the same name first. 0: there is none. */
static uint32_t dynbi_restore_match(const dynbi_snapshot *snapshot, const dynb_index *asked,
                                    int is_global, uint32_t taken)
{
    uint32_t set, found = 0;
    for (set = snapshot->index_count; set > 0; --set) {
        const dynbi_index *index = &snapshot->indexes[set - 1];
        if ((taken >> set & 1u) || !dynbi_index_matches(index, asked, is_global))
            continue;
        found = set;
        if (dynbi_text_equal(index->about.index_name, asked->index_name))
            break;
    }
    return found;
}

/* Renames an index and gives it its throughput. */
static dynb_rc dynbi_restore_index(const dynb_restore_overrides *with, dynb_billing_mode mode,
                                   dynbi_index *index, const dynb_index *asked, dynb_error *err)
{
    const dynb_throughput *units = &asked->provisioned, *maxima = &asked->on_demand;
    dynb_rc rc;
    if (!index->is_global) {
        index->about.index_name = asked->index_name;
        return DYNB_OK;
    }
    rc = dynbi_restore_units_check(
        with, mode, asked->index_name, units->read_units || units->write_units ? units : NULL,
        maxima->read_units || maxima->write_units ? maxima : NULL, err);
    index->about.index_name = asked->index_name;
    index->about.provisioned = *units;
    if (maxima->read_units || maxima->write_units)
        index->about.on_demand = *maxima;
    return rc;
}

/* Makes the list of indexes what is to be restored; the array and definitions
 * are the snapshot's own. */
static dynb_rc dynbi_restore_choose(const dynb_restore_overrides *with, dynb_billing_mode mode,
                                    dynbi_snapshot *snapshot, uint32_t *chosen, dynb_error *err)
{
    uint32_t i, set, is_global;
    dynb_rc rc = DYNB_OK;
    *chosen = 0;
    for (is_global = 0; is_global < 2; ++is_global) {
        const dynb_index *list = is_global ? with->global_indexes : with->local_indexes;
        const uint32_t count = is_global ? with->global_index_count : with->local_index_count;
        for (set = 1; !list && set <= snapshot->index_count; ++set) {
            if ((uint32_t)snapshot->indexes[set - 1].is_global == is_global)
                *chosen |= (uint32_t)1 << set;
        }
        for (i = 0; rc == DYNB_OK && list && i < count; ++i) {
            set = dynbi_restore_match(snapshot, &list[i], (int)is_global, *chosen);
            if (!set)
                return dynbi_fail(err, DYNB_VALIDATION,
                                  "Invalid Request: Index %s does not match a secondary index that "
                                  "existed in the source table and cannot be created during the "
                                  "restore operation",
                                  list[i].index_name);
            *chosen |= (uint32_t)1 << set;
            rc = dynbi_restore_index(with, mode, &snapshot->indexes[set - 1], &list[i], err);
        }
    }
    return rc;
}

/* The indexes of a restored table: those chosen, with numbers of their own. */
static dynb_rc dynbi_restore_indexes(dynb *db, const dynb_restore_overrides *with,
                                     dynb_billing_mode mode, dynbi_snapshot *snapshot,
                                     dynb_error *err)
{
    const dynb_index *all[DYNBI_INDEXES_MAX];
    uint32_t set, chosen;
    dynb_rc rc = dynbi_restore_choose(with, mode, snapshot, &chosen, err);
    for (set = snapshot->index_count; rc == DYNB_OK && set > 0; --set) {
        if (!(chosen >> set & 1u))
            dynbi_snapshot_remove(&db->allocator, snapshot, set);
    }
    for (set = 1; rc == DYNB_OK && set <= snapshot->index_count; ++set) {
        dynbi_index *index = &snapshot->indexes[set - 1];
        index->id = set;
        if (mode == DYNB_PROVISIONED)
            memset(&index->about.on_demand, 0, sizeof index->about.on_demand);
        else
            memset(&index->about.provisioned, 0, sizeof index->about.provisioned);
        if (index->is_global && mode == DYNB_PROVISIONED &&
            (!index->about.provisioned.read_units || !index->about.provisioned.write_units))
            return dynbi_fail(err, DYNB_VALIDATION,
                              "Invalid Request: Must specify provisioned throughput for index %s",
                              index->about.index_name);
        if (index->is_global)
            rc = dynbi_index_units_check(&index->about, mode, err);
        if (rc == DYNB_OK && !dynbi_snapshot_define(&db->allocator, snapshot, set))
            rc = dynbi_fail(err, DYNB_NO_MEMORY, "no memory for an index");
        all[set - 1] = &index->about;
    }
    if (rc == DYNB_OK)
        rc = dynbi_indexes_total_check(all, snapshot->index_count, err);
    return rc == DYNB_OK ? dynbi_store_index_memory(db, snapshot->index_count, err) : rc;
}

/* --- restoring --- */

/* What a restore takes over of the source's settings, and what not. */
static void dynbi_restore_settings(dynb_table_description *table, const char *name,
                                   const char *backup_arn)
{
    table->table_name = name;
    table->restore_source_backup_arn = backup_arn;
    table->settings.stream_view = DYNB_STREAM_OFF;
    table->stream_label = NULL;
    table->ttl_attribute = NULL;
    table->settings.table_class = DYNB_STANDARD;
    table->settings.deletion_protection = 0;
    dynbi_forget_recovery(table);
}

/* Adds the index-th table of a restore to the transaction, with the backup's
 * snapshot. */
static dynb_rc dynbi_restore_add_table(dynb *db, const char *name, uint32_t index,
                                       const dynb_backup_description *backup,
                                       const dynbi_snapshot *snapshot, dynb_error *err)
{
    dynb_table_description table = backup->source;
    char uuid[DYNBI_UUID_SIZE], label[32];
    dynb_rc rc;
    dynbi_restore_settings(&table, name, backup->backup_arn);
    dynbi_table_baptize(db, &table, uuid, label);
    rc = dynbi_settings_make(&db->value, dynbi_table_number(db->log.tail.lsn, index), &table,
                             NULL, 0, err);
    return rc == DYNB_OK ? dynbi_table_add(db, name, dynbi_length(name), snapshot, err) : rc;
}

/* The target must not be there, not even as one that is coming or going. */
static dynb_rc dynbi_restore_check_target(dynb *db, const char *name, dynb_error *err)
{
    const size_t length = dynbi_length(name);
    const dynbi_table *table = dynbi_store_find_table(db, name, length);
    if (table && dynbi_table_is_restoring(db, table))
        return dynbi_fail(err, DYNB_TABLE_IN_USE,
                          "Table: %s is already being restored from backup: %s", name,
                          table->restored_from);
    if (table || dynbi_deleting_find(db, name, length))
        return dynbi_fail(err, DYNB_TABLE_ALREADY_EXISTS, "Table already exists: %s", name);
    return DYNB_OK;
}

/* Checks one restore and adds it; *room grows by what its description takes. */
static dynb_rc dynbi_restore_add(dynb *db, const dynb_restore_input *input, uint32_t index,
                                 size_t *room, dynb_error *err)
{
    const char *name = input->target_table_name;
    dynb_backup_description backup;
    dynb_result source;
    dynbi_backup_name parsed;
    dynbi_snapshot snapshot;
    dynbi_record record;
    int is_our_region = 1;
    dynb_rc rc;
    memset(&source, 0, sizeof source);
    memset(&snapshot, 0, sizeof snapshot);
    rc = dynbi_backup_parse(db, input->backup_arn, &parsed, &is_our_region, err);
    if (rc == DYNB_OK)
        rc = dynbi_backup_describe(db, input->backup_arn, &record, &backup, &source, err);
    if (rc == DYNB_OK && backup.status == DYNB_BACKUP_CREATING)
        rc = dynbi_fail(err, DYNB_BACKUP_IN_USE, "Backup is being created: %s",
                        input->backup_arn);
    if (rc == DYNB_OK && !is_our_region && !(input->overrides.override & DYNB_OVERRIDE_ENCRYPTION))
        rc = dynbi_fail(err, DYNB_VALIDATION,
                        "Invalid Request: sseSpecificationOverride must be provided for "
                        "cross-region restores");
    if (rc == DYNB_OK)
        rc = dynbi_snapshot_read(&db->allocator, &record, &snapshot, err);
    if (rc == DYNB_OK)
        rc = dynbi_restore_override(&input->overrides, &backup.source.settings, err);
    if (rc == DYNB_OK)
        rc = dynbi_restore_indexes(db, &input->overrides, backup.source.settings.billing_mode,
                                   &snapshot, err);
    if (rc == DYNB_OK)
        rc = dynbi_restore_check_target(db, name, err);
    if (rc == DYNB_OK && dynbi_backup_is_restoring(db, input->backup_arn))
        rc = dynbi_fail(err, DYNB_BACKUP_IN_USE,
                        "Backup is being used to restore another table: %s", input->backup_arn);
    if (rc == DYNB_OK)
        *room += dynbi_describe_room((size_t)record.settings_size + 512 + 2048,
                                     dynbi_length(name)) +
                 dynbi_indexes_room(snapshot.indexes, snapshot.index_count) +
                 2 * dynbi_length(input->backup_arn) + 64;
    if (rc == DYNB_OK) /* from here on the next LSN is that of this frame */
        rc = dynbi_store_begin_writing(db, err);
    if (rc == DYNB_OK)
        rc = dynbi_restore_add_table(db, name, index, &backup, &snapshot, err);
    dynbi_snapshot_free(&db->allocator, &snapshot);
    dynb_result_free(&source);
    return rc;
}

/* Describes a table just restored; the room was reserved. */
static dynb_rc dynbi_restore_describe(const dynb *db, const dynb_restore_input *input,
                                      dynb_table_description *out, dynb_result *result,
                                      dynb_error *err)
{
    const char *name = input->target_table_name, *arn = input->backup_arn;
    const dynbi_table *table = dynbi_store_find_table(db, name, dynbi_length(name));
    dynb_rc rc = dynbi_describe(db, table->settings, table->settings_size, out, result, err);
    dynbi_describe_indexes(db, table->indexes, table->index_count, out, result);
    out->item_count = table->item_count;
    out->size_bytes = table->size_bytes;
    out->status = DYNB_TABLE_CREATING;
    dynbi_describe_restore(arn, db->log.tail.time_ms, out, result);
    return rc;
}

/* Targets are new, and each is named once. */
static dynb_rc dynbi_restore_check(dynb *db, const dynb_restore_input *inputs, uint32_t count,
                                   dynb_error *err)
{
    uint32_t i, j;
    dynb_rc rc = dynbi_tables_check(db, count, err);
    for (i = 1; i < count; ++i) {
        for (j = 0; j < i; ++j) {
            if (dynbi_text_equal(inputs[i].target_table_name, inputs[j].target_table_name))
                return dynbi_fail(err, DYNB_VALIDATION, "table %s is named twice",
                                  inputs[i].target_table_name);
        }
    }
    return rc == DYNB_OK ? dynbi_busy_check(db, count, count, err) : rc;
}

static dynb_rc dynbi_backup_restore(dynb *db, const dynb_restore_input *inputs, uint32_t count,
                                    dynb_table_description *out, dynb_result *result,
                                    dynb_error *err)
{
    size_t room = 0;
    uint32_t i;
    dynb_rc rc = dynbi_change_begin(db, err);
    for (i = 0; rc == DYNB_OK && i < count; ++i)
        rc = dynbi_restore_add(db, &inputs[i], i, &room, err);
    if (rc == DYNB_OK)
        rc = dynbi_restore_check(db, inputs, count, err);
    if (rc == DYNB_OK && out)
        rc = dynbi_result_reserve(result, &db->memory.outer, room, err);
    if (rc == DYNB_OK)
        rc = dynbi_change_commit(db, db->config.durability, err);
    for (i = 0; rc == DYNB_OK && out && i < count; ++i)
        rc = dynbi_restore_describe(db, &inputs[i], &out[i], result, err);
    return rc;
}

/* --- history: what point-in-time recovery needs ---
 *
 * The past of a table is a base plus the log from there. A base is what the
 * table's snapshot was before some generation was folded: it holds all changes
 * up to the generation's first one, so its place in the log is that
 * generation's first_mark. It is noted in the catalog by the frame that
 * publishes the fold, and costs its list of runs; its nodes are shared. The
 * live snapshot is the newest base, and the only one of a table that is not
 * written: such a table keeps no log.
 *
 *     base 1      base 2            live snapshot
 *     folded|mark folded     |mark  folded |mark       (LSNs, rising)
 *     ------|.....-----------|......-------|.......... log
 *           changes      none  changes      changes in memory
 *
 * State at time T: the newest base whose last change is not after T, then the
 * table's changes in the log from its mark on, while their time is not after T.
 * Times in the log never fall, whatever the clock does, so this is one state,
 * and it never changes once the clock has passed T. Where the clock stepped
 * back, frames keep the latest time seen: all of them belong to that
 * millisecond, until the clock has caught up; nothing is lost, but these states
 * cannot be told apart by time.
 *
 * Kept are, for a table with recovery on, the bases that the window needs, and
 * of the log what lies between each one's mark and its end, the last change of
 * the generations folded since. Where a table rests, the log of others is not
 * kept for it. A new base is noted only where more log than a gap lies between
 * it and the one before (else that one's end moves on), or where log in between
 * may not have been kept; after a day only where four gaps do. So rebuilding
 * reads at most about so much, and the nodes that bases alone hold are what
 * tidying rewrote: a constant times the changes. A checkpoint leaves segments
 * behind; those still needed it puts into the catalog, so that memory need not
 * know them and a marking finds them. The sweep takes bases and segments out of
 * the catalog again.
 *
 * A base's key names the LSN of the change that switched recovery on. Switching
 * it off and on again starts anew: bases of before are never looked at, and
 * swept away. */

#define DYNBI_BASE_KEY_BYTES 25u
#define DYNBI_DAY_MS ((uint64_t)86400000u)
#define DYNBI_OLD_BASE_MS DYNBI_DAY_MS
#define DYNBI_OLD_BASE_GAPS 4u

/* Log that may lie between two bases. */
static uint64_t dynbi_history_gap(const dynb *db)
{
    return 2 * db->generation_max;
}

static void dynbi_base_key(uint8_t key[DYNBI_BASE_KEY_BYTES], const dynbi_table *table,
                           uint64_t folded_lsn)
{
    key[0] = 'P';
    dynbi_store64_be(key + 1, table->id);
    dynbi_store64_be(key + 9, table->recovery_lsn);
    dynbi_store64_be(key + 17, folded_lsn);
}

/* Finds, among a table's bases in the catalog, the newest whose last change is
 * not after time_ms, or with is_oldest the oldest of all. */
static dynb_rc dynbi_base_find(dynb *db, const dynbi_table *table, uint64_t time_ms,
                               int is_oldest, dynbi_base *out, int *is_there, dynb_error *err)
{
    uint8_t key[DYNBI_BASE_KEY_BYTES];
    const dynbi_change *record;
    dynbi_merge merge;
    dynbi_view view;
    dynb_rc rc;
    *is_there = 0;
    dynbi_base_key(key, table, is_oldest ? 0 : ~(uint64_t)0);
    dynbi_table_view(&db->catalog, 0, &view);
    rc = dynbi_merge_init(&merge, &db->reader, &view, err);
    if (rc == DYNB_OK)
        rc = dynbi_merge_seek(&merge, key, sizeof key, !is_oldest, err);
    while (rc == DYNB_OK && !*is_there && (record = dynbi_merge_current(&merge)) != NULL) {
        if (record->key_size != sizeof key || memcmp(record->key, key, 17) != 0)
            break;
        if (!record->is_tombstone) {
            rc = dynbi_base_read(NULL, record, out, err);
            *is_there = rc == DYNB_OK && (is_oldest || out->snapshot.folded_time_ms <= time_ms);
            if (*is_there)
                rc = dynbi_base_read(&db->allocator, record, out, err);
        }
        if (rc == DYNB_OK && !*is_there)
            rc = dynbi_merge_next(&merge, err);
    }
    dynbi_merge_free(&merge);
    *is_there = *is_there && rc == DYNB_OK;
    return rc;
}

/* Adds a put (value not NULL) or a delete of a record to the transaction. */
static dynb_rc dynbi_history_change(dynb *db, const uint8_t *key, size_t key_size,
                                    const dynbi_buffer *value, dynb_error *err)
{
    dynbi_change change;
    memset(&change, 0, sizeof change);
    change.key = key;
    change.key_size = (uint32_t)key_size;
    change.is_tombstone = value == NULL;
    if (value) {
        change.value = value->bytes;
        change.value_size = (uint32_t)value->used_bytes;
    }
    return dynbi_change_add(db, &db->catalog, 0, &change, err);
}

/* Starts a record in db->value. */
static void dynbi_history_record(dynb *db, dynbi_coder *coder)
{
    uint64_t weight = 0;
    memset(coder, 0, sizeof *coder);
    db->value.used_bytes = 0;
    coder->out = &db->value;
    dynbi_code_u64(coder, &weight);
}

/* Adds a base's record to the transaction. */
static dynb_rc dynbi_base_log(dynb *db, const uint8_t key[DYNBI_BASE_KEY_BYTES],
                              const dynbi_base *from, dynb_error *err)
{
    dynbi_base base = *from; /* run lists are shared, and not changed */
    dynbi_coder coder;
    base.snapshot.index_count = 0; /* indexes are made anew of the items */
    dynbi_history_record(db, &coder);
    dynbi_code_place(&coder, &base);
    dynbi_code_snapshot(&coder, NULL, &base.snapshot);
    if (coder.is_broken)
        return dynbi_fail(err, DYNB_NO_MEMORY, "no memory for a catalog record");
    return dynbi_history_change(db, key, DYNBI_BASE_KEY_BYTES, &db->value, err);
}

/* *joins: no whole segment lies between two places in the log, so that none can
 * have been left out. The first place is behind a change that is kept. */
static dynb_rc dynbi_history_joins(dynb *db, uint64_t end_pos, uint64_t pos, int *joins,
                                   dynb_error *err)
{
    const dynbi_change *record;
    dynbi_segment segment;
    dynbi_merge merge;
    dynbi_view view;
    uint8_t key[9];
    dynb_rc rc;
    *joins = pos <= end_pos;
    if (*joins)
        return DYNB_OK;
    if (end_pos > db->log.segments[0].first_pos) {
        *joins = pos <= dynbi_segment_end(&db->log, dynbi_log_segment_at(&db->log, end_pos - 1));
        return DYNB_OK;
    }
    key[0] = 'L';
    dynbi_store64_be(key + 1, end_pos);
    dynbi_table_view(&db->catalog, 0, &view);
    rc = dynbi_merge_init(&merge, &db->reader, &view, err);
    if (rc == DYNB_OK)
        rc = dynbi_merge_seek(&merge, key, sizeof key, 1, err);
    while (rc == DYNB_OK && (record = dynbi_merge_current(&merge)) != NULL &&
           record->is_tombstone && record->key[0] == 'L')
        rc = dynbi_merge_next(&merge, err);
    record = rc == DYNB_OK ? dynbi_merge_current(&merge) : NULL;
    if (record && record->key[0] == 'L')
        rc = dynbi_segment_read(record, &segment, err);
    *joins = rc == DYNB_OK && record && record->key[0] == 'L' &&
             pos <= dynbi_segment_end(&db->log, &segment);
    dynbi_merge_free(&merge);
    return rc;
}

/* Notes a table's snapshot as a base, in the transaction that folds its oldest
 * generation onto it; or moves on the end of the base before. */
static dynb_rc dynbi_history_note(dynb *db, dynbi_table *table, dynb_error *err)
{
    const dynbi_generation *oldest = dynbi_table_oldest(table);
    uint8_t key[DYNBI_BASE_KEY_BYTES];
    dynbi_base base, last;
    int is_there, is_near = 0;
    dynb_rc rc;
    if (!table->recovery_days || !oldest)
        return DYNB_OK;
    rc = dynbi_base_find(db, table, ~(uint64_t)0, 0, &last, &is_there, err);
    if (rc == DYNB_OK && is_there)
        is_near = oldest->first_mark.pos - last.mark.pos <= dynbi_history_gap(db);
    if (rc == DYNB_OK && is_near)
        rc = dynbi_history_joins(db, last.end_pos, oldest->first_mark.pos, &is_near, err);
    if (rc == DYNB_OK && is_near) {
        dynbi_base_key(key, table, last.snapshot.folded_lsn);
        last.end_pos = oldest->last_pos;
        rc = dynbi_base_log(db, key, &last, err);
    } else if (rc == DYNB_OK) {
        base.mark = oldest->first_mark;
        base.end_pos = oldest->last_pos;
        base.segment = *dynbi_log_segment_at(&db->log, base.mark.pos);
        dynbi_table_snapshot(table, &base.snapshot);
        dynbi_base_key(key, table, table->folded_lsn);
        rc = dynbi_base_log(db, key, &base, err);
    }
    if (is_there)
        dynbi_snapshot_free(&db->allocator, &last.snapshot);
    table->history_end_pos = DYNBI_POS_UNKNOWN; /* until it is committed */
    return rc;
}

/* *is_needed: a base of the table needs log in [pos, end_pos). */
static dynb_rc dynbi_history_needs(dynb *db, dynbi_table *table, uint64_t pos, uint64_t end_pos,
                                   int *is_needed, dynb_error *err)
{
    uint8_t key[DYNBI_BASE_KEY_BYTES];
    const dynbi_change *record;
    dynbi_merge merge;
    dynbi_view view;
    int is_newest = 1;
    dynb_rc rc;
    if (table->history_end_pos != DYNBI_POS_UNKNOWN && table->history_end_pos <= pos)
        return DYNB_OK;
    dynbi_base_key(key, table, ~(uint64_t)0);
    dynbi_table_view(&db->catalog, 0, &view);
    rc = dynbi_merge_init(&merge, &db->reader, &view, err);
    if (rc == DYNB_OK)
        rc = dynbi_merge_seek(&merge, key, sizeof key, 1, err);
    while (rc == DYNB_OK && !*is_needed && (record = dynbi_merge_current(&merge)) != NULL) {
        dynbi_base base;
        if (record->key_size != sizeof key || memcmp(record->key, key, 17) != 0)
            break;
        if (!record->is_tombstone) {
            rc = dynbi_base_read(NULL, record, &base, err);
            if (rc != DYNB_OK)
                break;
            if (is_newest)
                table->history_end_pos = base.end_pos;
            is_newest = 0;
            if (base.end_pos <= pos)
                break;
            *is_needed = base.mark.pos < end_pos;
        }
        if (!*is_needed)
            rc = dynbi_merge_next(&merge, err);
    }
    dynbi_merge_free(&merge);
    if (rc == DYNB_OK && is_newest)
        table->history_end_pos = 0; /* it has no base */
    return rc;
}

/* The log behind the live one is needed from here on; ~0: it is not. */
static dynb_rc dynbi_history_keep_pos(dynb *db, uint64_t *pos, dynb_error *err)
{
    uint32_t i;
    *pos = ~(uint64_t)0;
    for (i = 0; i < db->live_count; ++i) {
        dynbi_base base;
        int is_there;
        dynb_rc rc;
        if (!db->tables[i]->recovery_days)
            continue;
        rc = dynbi_base_find(db, db->tables[i], 0, 1, &base, &is_there, err);
        if (rc != DYNB_OK)
            return rc;
        if (!is_there)
            continue;
        *pos = base.mark.pos < *pos ? base.mark.pos : *pos;
        dynbi_snapshot_free(&db->allocator, &base.snapshot);
    }
    return DYNB_OK;
}

/* Adds a segment's record to the transaction. */
static dynb_rc dynbi_history_keep_segment(dynb *db, const dynbi_segment *from, dynb_error *err)
{
    dynbi_segment segment = *from;
    dynbi_coder coder;
    uint8_t key[9];
    key[0] = 'L';
    dynbi_store64_be(key + 1, segment.first_pos);
    dynbi_history_record(db, &coder);
    dynbi_code_extent(&coder, &segment);
    return coder.is_broken ? dynbi_fail(err, DYNB_NO_MEMORY, "no memory for a catalog record")
                           : dynbi_history_change(db, key, sizeof key, &db->value, err);
}

/* Puts the segments that a checkpoint leaves behind, those before first_pos,
 * into the catalog, if they are needed. */
static dynb_rc dynbi_history_keep_log(dynb *db, uint64_t first_pos, dynb_error *err)
{
    uint32_t i, j = 0;
    dynb_rc rc;
    while (j < db->live_count && !db->tables[j]->recovery_days)
        ++j;
    if (j == db->live_count)
        return DYNB_OK;
    rc = dynbi_change_begin(db, err);
    for (i = 0; rc == DYNB_OK && db->log.segments[i].first_pos < first_pos; ++i) {
        const dynbi_segment *segment = &db->log.segments[i];
        int is_needed = 0;
        for (j = 0; rc == DYNB_OK && !is_needed && j < db->live_count; ++j) {
            if (db->tables[j]->recovery_days)
                rc = dynbi_history_needs(db, db->tables[j], segment->first_pos,
                                         dynbi_segment_end(&db->log, segment), &is_needed, err);
        }
        if (rc == DYNB_OK && is_needed)
            rc = dynbi_history_keep_segment(db, segment, err);
    }
    return rc == DYNB_OK && db->op_count ? dynbi_change_commit(db, DYNB_BUFFERED, err) : rc;
}

/* The window of a table with recovery on. */
static uint64_t dynbi_history_earliest(const dynb_table_description *table, uint64_t now_ms)
{
    const uint64_t period_ms = table->recovery_period_days * DYNBI_DAY_MS;
    uint64_t from = now_ms > period_ms ? now_ms - period_ms : 0;
    return from > table->recovery_from_ms ? from : table->recovery_from_ms;
}

static uint64_t dynbi_history_latest(const dynb *db, const dynb_table_description *table,
                                     uint64_t now_ms)
{
    const uint64_t lag_ms = db->config.recovery_lag_ms;
    uint64_t to = now_ms > lag_ms ? now_ms - lag_ms : 0;
    uint64_t from = dynbi_history_earliest(table, now_ms);
    return to > from ? to : from;
}

static dynb_rc dynbi_history_settings(const dynbi_table *table, dynb_table_description *out,
                                      dynb_error *err)
{
    uint64_t id;
    return dynbi_settings_read(table->settings, table->settings_size, &id, out, NULL, err);
}

static dynb_rc dynbi_history_describe(dynb *db, const char *name, dynb_continuous_backups *out,
                                      dynb_error *err)
{
    const uint64_t now_ms = dynbi_store_time(db);
    dynb_table_description table;
    dynbi_table *found;
    dynb_rc rc = dynbi_table_find(db, name, DYNB_TABLE_NOT_FOUND, &found, err);
    if (rc == DYNB_OK)
        rc = dynbi_table_check_backups(db, found, err);
    if (rc == DYNB_CONTINUOUS_BACKUPS_UNAVAILABLE) { /* not an error here */
        dynbi_error_clear(err);
        return DYNB_OK;
    }
    if (rc == DYNB_OK)
        rc = dynbi_history_settings(found, &table, err);
    if (rc != DYNB_OK)
        return rc;
    out->is_enabled = 1;
    out->recovery_is_enabled = table.recovery_period_days != 0;
    if (!out->recovery_is_enabled)
        return DYNB_OK;
    out->recovery_period_days = table.recovery_period_days;
    out->earliest_restorable_ms = dynbi_history_earliest(&table, now_ms);
    out->latest_restorable_ms = dynbi_history_latest(db, &table, now_ms);
    return DYNB_OK;
}

/* Switches recovery on or off, or changes its period. What has once fallen out
 * of the window, also by a shorter period, does not come back. */
static dynb_rc dynbi_history_update(dynb *db, const dynb_update_continuous_backups_input *input,
                                    dynb_error *err)
{
    const uint32_t days = input->choose_period ? (uint32_t)input->recovery_period_days
                                               : DYNB_RECOVERY_DAYS_MAX;
    dynb_table_description table;
    dynbi_table *found;
    uint64_t now_ms, from;
    dynb_rc rc = dynbi_table_find(db, input->table, DYNB_TABLE_NOT_FOUND, &found, err);
    if (rc == DYNB_OK)
        rc = dynbi_table_check_backups(db, found, err);
    if (rc == DYNB_OK)
        rc = dynbi_history_settings(found, &table, err);
    if (rc == DYNB_OK)
        rc = dynbi_store_begin_writing(db, err);
    if (rc != DYNB_OK)
        return rc;
    now_ms = dynbi_store_time(db);
    if (!input->point_in_time_recovery) {
        if (!table.recovery_period_days)
            return DYNB_OK;
        table.recovery_period_days = 0;
        table.recovery_from_ms = table.recovery_lsn = 0;
    } else if (!table.recovery_period_days) {
        table.recovery_period_days = days;
        table.recovery_from_ms = now_ms;
        table.recovery_lsn = db->log.tail.lsn + 1;
    } else {
        if (table.recovery_period_days == days)
            return DYNB_OK;
        from = dynbi_history_earliest(&table, now_ms);
        table.recovery_period_days = days;
        table.recovery_from_ms = from;
        table.recovery_from_ms = dynbi_history_earliest(&table, now_ms);
    }
    rc = dynbi_table_change(db, found, &table, NULL, 0, err);
    if (rc == DYNB_OK)
        db->sweep_is_due = 1;
    return rc;
}

/* --- deleting tables --- */

/* Adds the backup that stays of a deleted table to the transaction. */
static dynb_rc dynbi_history_last_backup(dynb *db, const dynbi_table *table, dynb_error *err)
{
    char name[DYNB_NAME_MAX + 32];
    dynb_backup_description details;
    dynbi_change change;
    const uint8_t weight = 0;
    uint8_t at[9 + 2 + DYNB_NAME_MAX + DYNBI_BACKUP_ID_SIZE];
    dynb_rc rc;
    memset(&details, 0, sizeof details);
    memset(&change, 0, sizeof change);
    (void)dynbi_format(name, sizeof name, "%s$DeletedTableBackup", table->name);
    details.backup_name = name;
    details.type = DYNB_BACKUP_SYSTEM;
    details.created_at_ms = dynbi_backup_time(db);
    details.expires_at_ms = details.created_at_ms + DYNB_SYSTEM_BACKUP_DAYS * DYNBI_DAY_MS;
    rc = dynbi_backup_add(db, table, &details, err); /* may move it on a little */
    if (rc != DYNB_OK)
        return rc;
    at[0] = 'X'; /* the backup's key stands in db->key */
    dynbi_store64_be(at + 1, details.expires_at_ms);
    DYNBI_ASSERT(db->key.used_bytes <= sizeof at - 9);
    memcpy(at + 9, db->key.bytes, db->key.used_bytes);
    change.key = at;
    change.key_size = 9 + (uint32_t)db->key.used_bytes;
    change.value = &weight;
    change.value_size = 1;
    rc = dynbi_change_add(db, &db->catalog, 0, &change, err);
    if (rc == DYNB_OK && (!db->sweep_due_ms || details.expires_at_ms < db->sweep_due_ms))
        db->sweep_due_ms = details.expires_at_ms;
    return rc;
}

static dynb_rc dynbi_history_delete_table(dynb *db, const char *name, dynb_table_description *out,
                                          dynb_result *result, dynb_error *err)
{
    dynbi_table *table;
    int has_history, is_deleting = 0;
    dynb_rc rc = DYNB_OK;
    if (db->deleting_count) /* deleting it again is no error */
        rc = dynbi_table_show(db, name, &is_deleting, out, result, err);
    if (rc != DYNB_OK || is_deleting)
        return rc;
    rc = dynbi_table_delete_begin(db, name, &table, err);
    if (rc != DYNB_OK)
        return rc;
    has_history = table->recovery_days != 0;
    if (has_history)
        rc = dynbi_history_last_backup(db, table, err);
    if (rc == DYNB_OK)
        rc = dynbi_table_delete_end(db, table, out, result, err);
    if (rc == DYNB_OK && has_history)
        db->sweep_is_due = 1;
    return rc;
}

/* --- retention --- */

static dynb_rc dynbi_retention_update(dynb *db, const char *name,
                                      const dynb_backup_retention *rule, dynb_error *err)
{
    dynb_table_description table;
    dynbi_table *found;
    dynb_rc rc = dynbi_table_find(db, name, DYNB_TABLE_NOT_FOUND, &found, err);
    if (rc == DYNB_OK)
        rc = dynbi_history_settings(found, &table, err);
    if (rc != DYNB_OK)
        return rc;
    memset(&table.retention, 0, sizeof table.retention);
    if (rule)
        table.retention = *rule;
    rc = dynbi_table_change(db, found, &table, NULL, 0, err);
    if (rc == DYNB_OK)
        db->sweep_is_due = 1;
    return rc;
}

/* --- sweep: taking what has had its time out of the catalog ---
 *
 * Walks parts of the catalog, a bounded number of records a step, and deletes
 * what is not wanted any more, a bounded number a frame: expired backups, bases
 * no window needs, log no base needs, backups no rule wants. It goes through
 * when something happened that may have made work for it, and when the time
 * has come that the walk before named. Nothing is noted about how far it got: a
 * crash makes it begin again. */

#define DYNBI_SWEEP_LOOKS 256u
#define DYNBI_SWEEP_DELETES 64u

typedef enum dynbi_sweep_phase {
    DYNBI_SWEEP_NONE = 0,
    DYNBI_SWEEP_EXPIRED,
    DYNBI_SWEEP_BASES,
    DYNBI_SWEEP_LOG,
    DYNBI_SWEEP_BACKUPS
} dynbi_sweep_phase;

typedef struct dynbi_sweep {
    dynbi_sweep_phase phase;
    int is_begun;    /* of this phase: `at` says where to go on ... */
    int is_ended;    /* ... or nothing is left of it */
    dynbi_buffer at; /* key to go on with, included */
    uint64_t now_ms;
    uint64_t due_ms; /* the earliest time to sweep again; 0: none */
    /* bases: the one before, of the same table, that stays */
    int has_older;
    uint8_t older_key[DYNBI_BASE_KEY_BYTES];
    uint64_t older_pos;
    uint64_t older_end_pos;
    uint64_t keep_pos; /* log */
    /* backups of one table, newest first */
    uint64_t table_id;
    dynb_backup_retention rule;
    uint32_t seen_count;
    uint32_t hour_count;
    uint32_t day_count;
    uint64_t hour;
    uint64_t day;
} dynbi_sweep;

static void dynbi_sweep_note_due(dynbi_sweep *sweep, uint64_t due_ms)
{
    if (!sweep->due_ms || due_ms < sweep->due_ms)
        sweep->due_ms = due_ms;
}

/* What a phase does with a record. *ends: nothing further is of interest. */
static dynb_rc dynbi_sweep_expired(dynb *db, dynbi_sweep *sweep, const dynbi_change *record,
                                   int *ends, dynb_error *err)
{
    uint64_t expires_at_ms;
    dynb_rc rc;
    if (record->key_size < 10)
        return dynbi_record_broken(err);
    expires_at_ms = dynbi_load64_be(record->key + 1);
    if (expires_at_ms > sweep->now_ms) {
        dynbi_sweep_note_due(sweep, expires_at_ms);
        *ends = 1;
        return DYNB_OK;
    }
    rc = dynbi_history_change(db, record->key, record->key_size, NULL, err);
    if (rc == DYNB_OK)
        rc = dynbi_history_change(db, record->key + 9, record->key_size - 9, NULL, err);
    return rc;
}

/* Does without a base, if the log is whole from the one before: that one's end
 * moves on. */
static dynb_rc dynbi_sweep_join(dynb *db, dynbi_sweep *sweep, const dynbi_base *base, int *goes,
                                dynb_error *err)
{
    dynbi_base older;
    dynb_rc rc = dynbi_history_joins(db, sweep->older_end_pos, base->mark.pos, goes, err);
    int is_there;
    if (rc != DYNB_OK || !*goes)
        return rc;
    rc = dynbi_catalog_get(db, sweep->older_key, sizeof sweep->older_key, &db->record, &is_there,
                           err);
    if (rc == DYNB_OK) {
        dynbi_change record;
        memset(&record, 0, sizeof record);
        record.value = db->record.bytes;
        record.value_size = is_there ? (uint32_t)db->record.used_bytes : 0;
        rc = dynbi_base_read(&db->allocator, &record, &older, err);
    }
    if (rc != DYNB_OK)
        return rc;
    older.end_pos = sweep->older_end_pos = base->end_pos;
    rc = dynbi_base_log(db, sweep->older_key, &older, err);
    dynbi_snapshot_free(&db->allocator, &older.snapshot);
    return rc;
}

static dynb_rc dynbi_sweep_base(dynb *db, dynbi_sweep *sweep, const dynbi_change *record,
                                int *ends, dynb_error *err)
{
    dynb_table_description settings;
    dynbi_table *table;
    dynbi_base base;
    uint64_t earliest, gap = dynbi_history_gap(db);
    int goes = 0;
    dynb_rc rc;
    (void)ends;
    if (record->key_size != DYNBI_BASE_KEY_BYTES)
        return dynbi_record_broken(err);
    table = dynbi_store_find_id(db, dynbi_load64_be(record->key + 1));
    if (!table || table->is_dropped || !table->recovery_days ||
        table->recovery_lsn != dynbi_load64_be(record->key + 9))
        return dynbi_history_change(db, record->key, record->key_size, NULL, err);
    rc = dynbi_base_read(NULL, record, &base, err);
    if (rc == DYNB_OK)
        rc = dynbi_history_settings(table, &settings, err);
    if (rc != DYNB_OK)
        return rc;
    earliest = dynbi_history_earliest(&settings, sweep->now_ms);
    if (sweep->has_older && memcmp(sweep->older_key, record->key, 17) != 0)
        sweep->has_older = 0;
    if (base.mark.time_ms + DYNBI_OLD_BASE_MS < sweep->now_ms)
        gap *= DYNBI_OLD_BASE_GAPS;
    if (sweep->has_older && base.snapshot.folded_time_ms <= earliest)
        rc = dynbi_history_change(db, sweep->older_key, sizeof sweep->older_key, NULL, err);
    else if (sweep->has_older && base.mark.pos - sweep->older_pos <= gap)
        rc = dynbi_sweep_join(db, sweep, &base, &goes, err);
    if (table->folded_time_ms <= earliest)
        goes = 1; /* the live snapshot will do */
    if (rc == DYNB_OK && goes)
        return dynbi_history_change(db, record->key, record->key_size, NULL, err);
    table->history_end_pos = DYNBI_POS_UNKNOWN;
    sweep->has_older = 1;
    memcpy(sweep->older_key, record->key, sizeof sweep->older_key);
    sweep->older_pos = base.mark.pos;
    sweep->older_end_pos = base.end_pos;
    return rc;
}

static dynb_rc dynbi_sweep_segment(dynb *db, dynbi_sweep *sweep, const dynbi_change *record,
                                   int *ends, dynb_error *err)
{
    dynbi_segment segment;
    dynb_rc rc = dynbi_segment_read(record, &segment, err);
    if (rc != DYNB_OK)
        return rc;
    *ends = dynbi_segment_end(&db->log, &segment) > sweep->keep_pos;
    return *ends ? DYNB_OK : dynbi_history_change(db, record->key, record->key_size, NULL, err);
}

/* Nonzero: a count of the rule wants the backup. */
static int dynbi_sweep_wants(dynbi_sweep *sweep, uint64_t created_at_ms)
{
    const dynb_backup_retention *rule = &sweep->rule;
    const uint64_t hour = created_at_ms / 3600000u, day = created_at_ms / DYNBI_DAY_MS;
    int is_wanted = !rule->keep_last && !rule->keep_hourly && !rule->keep_daily;
    is_wanted |= sweep->seen_count < rule->keep_last;
    if (sweep->hour_count < rule->keep_hourly && (!sweep->hour_count || hour != sweep->hour)) {
        sweep->hour = hour;
        ++sweep->hour_count;
        is_wanted = 1;
    }
    if (sweep->day_count < rule->keep_daily && (!sweep->day_count || day != sweep->day)) {
        sweep->day = day;
        ++sweep->day_count;
        is_wanted = 1;
    }
    return is_wanted;
}

static dynb_rc dynbi_sweep_backup(dynb *db, dynbi_sweep *sweep, const dynbi_change *change,
                                  int *ends, dynb_error *err)
{
    const dynbi_table *table = dynbi_store_find_id(db, sweep->table_id);
    const uint64_t max_age_ms = sweep->rule.max_age_ms;
    dynb_backup_description details;
    dynbi_record record;
    dynbi_coder coder;
    int is_wanted;
    dynb_rc rc;
    *ends = !table || table->is_dropped ||
            change->key_size != table->name_length + 2u + DYNBI_BACKUP_ID_SIZE ||
            memcmp(change->key + 1, table->name, table->name_length) != 0;
    if (*ends)
        return DYNB_OK;
    rc = dynbi_record_split(change->value, change->value_size, 1, &record, err);
    if (rc != DYNB_OK)
        return rc;
    memset(&coder, 0, sizeof coder);
    memset(&details, 0, sizeof details);
    coder.at = record.details;
    coder.end = record.details + record.details_size;
    dynbi_code_details(&coder, &details);
    if (coder.is_broken)
        return dynbi_record_broken(err);
    if (details.type == DYNB_BACKUP_SYSTEM || details.status != DYNB_BACKUP_AVAILABLE)
        return DYNB_OK;
    is_wanted = dynbi_sweep_wants(sweep, details.created_at_ms);
    if (max_age_ms && is_wanted && sweep->seen_count) {
        is_wanted = sweep->now_ms - details.created_at_ms <= max_age_ms;
        if (is_wanted)
            dynbi_sweep_note_due(sweep, details.created_at_ms + max_age_ms + 1);
    }
    return sweep->seen_count++ == 0 || is_wanted /* the newest stays, whatever the rule */
               ? DYNB_OK
               : dynbi_history_change(db, change->key, change->key_size, NULL, err);
}

/* The next live table with a rule, after the one at hand; NULL: no more. */
static const dynbi_table *dynbi_sweep_next_table(const dynb *db, const dynbi_sweep *sweep)
{
    const dynbi_table *best = NULL;
    uint32_t i;
    for (i = 0; i < db->live_count; ++i) {
        const dynbi_table *table = db->tables[i];
        if (table->has_retention && table->id > sweep->table_id && (!best || table->id < best->id))
            best = table;
    }
    return best;
}

/* Goes over to the next part of the catalog. */
static dynb_rc dynbi_sweep_advance(dynb *db, dynbi_sweep *sweep, dynb_error *err)
{
    const dynbi_table *table = NULL;
    dynb_table_description settings;
    dynb_rc rc = DYNB_OK;
    uint32_t i;
    sweep->is_begun = sweep->is_ended = 0;
    if (sweep->phase != DYNBI_SWEEP_BACKUPS)
        sweep->phase = (dynbi_sweep_phase)(sweep->phase + 1);
    if (sweep->phase == DYNBI_SWEEP_LOG) {
        for (i = 0; i < db->live_count; ++i) {
            if (db->tables[i]->recovery_days)
                dynbi_sweep_note_due(sweep, sweep->now_ms + db->tables[i]->recovery_days *
                                                                DYNBI_DAY_MS / 64);
        }
    }
    if (sweep->phase != DYNBI_SWEEP_BACKUPS)
        return DYNB_OK;
    table = dynbi_sweep_next_table(db, sweep);
    if (!table) {
        sweep->phase = DYNBI_SWEEP_NONE;
        db->sweep_due_ms = sweep->due_ms;
        return DYNB_OK;
    }
    rc = dynbi_history_settings(table, &settings, err);
    sweep->table_id = table->id;
    sweep->rule = settings.retention;
    sweep->seen_count = sweep->hour_count = sweep->day_count = 0;
    return rc;
}

/* Where a phase starts: db->key. Backups are walked from the newest. */
static dynb_rc dynbi_sweep_seek(dynb *db, dynbi_sweep *sweep, dynbi_merge *merge, dynb_error *err)
{
    static const char kinds[] = {0, 'X', 'P', 'L', 'B'};
    const int backwards = sweep->phase == DYNBI_SWEEP_BACKUPS;
    const dynbi_table *table = dynbi_store_find_id(db, sweep->table_id);
    int is_ok = 1;
    if (!sweep->is_begun) {
        sweep->at.used_bytes = 0;
        is_ok = dynbi_buffer_append(&sweep->at, &kinds[sweep->phase], 1);
        if (backwards && table)
            is_ok = is_ok && dynbi_buffer_append(&sweep->at, table->name, table->name_length) &&
                    dynbi_buffer_append(&sweep->at, "\1", 1);
    }
    if (!is_ok)
        return dynbi_fail(err, DYNB_NO_MEMORY, "no memory for a key");
    sweep->is_begun = 1;
    return dynbi_merge_seek(merge, sweep->at.bytes, (uint32_t)sweep->at.used_bytes, backwards,
                            err);
}

/* Looks at a record of the phase. */
static dynb_rc dynbi_sweep_look(dynb *db, dynbi_sweep *sweep, const dynbi_change *record,
                                int *ends, dynb_error *err)
{
    return sweep->phase == DYNBI_SWEEP_EXPIRED
               ? dynbi_sweep_expired(db, sweep, record, ends, err)
           : sweep->phase == DYNBI_SWEEP_BASES ? dynbi_sweep_base(db, sweep, record, ends, err)
           : sweep->phase == DYNBI_SWEEP_LOG   ? dynbi_sweep_segment(db, sweep, record, ends, err)
                                               : dynbi_sweep_backup(db, sweep, record, ends, err);
}

/* Looks at records of the phase; deletions go into the transaction. */
static dynb_rc dynbi_sweep_walk(dynb *db, dynbi_sweep *sweep, dynbi_merge *merge,
                                uint32_t *looks, int *ends, dynb_error *err)
{
    const uint8_t kind = sweep->at.bytes[0];
    const dynbi_change *record = NULL;
    dynb_rc rc = DYNB_OK;
    while (rc == DYNB_OK && !*ends) {
        record = dynbi_merge_current(merge);
        *ends = !record || record->key[0] != kind;
        if (*ends || *looks == 0 || db->op_count >= DYNBI_SWEEP_DELETES)
            break;
        if (!record->is_tombstone) {
            --*looks;
            rc = dynbi_sweep_look(db, sweep, record, ends, err);
        }
        if (rc == DYNB_OK && !*ends)
            rc = dynbi_merge_next(merge, err);
    }
    if (rc != DYNB_OK || *ends)
        return rc;
    sweep->at.used_bytes = 0; /* backwards: up to this key, which is to be included */
    if (!dynbi_buffer_append(&sweep->at, record->key, record->key_size) ||
        (sweep->phase == DYNBI_SWEEP_BACKUPS && !dynbi_buffer_append(&sweep->at, "", 1)))
        rc = dynbi_fail(err, DYNB_NO_MEMORY, "no memory for a key");
    return rc;
}

/* looks_up_time zero: what the log tells of it will do. */
static int dynbi_sweep_is_due(const dynb *db, int looks_up_time)
{
    return db->sweep_is_due ||
           (db->sweep_due_ms && db->sweep_due_ms <= (looks_up_time ? dynbi_store_time(db)
                                                                   : db->log.tail.time_ms));
}

/* Looks at some records, and deletes what is not wanted in one frame. After a
 * failure the sweep begins again. */
static dynb_rc dynbi_sweep_step(dynb *db, dynbi_sweep *sweep, dynb_error *err)
{
    uint32_t looks = DYNBI_SWEEP_LOOKS;
    dynb_rc rc = dynbi_change_begin(db, err);
    if (rc == DYNB_OK && sweep->phase == DYNBI_SWEEP_NONE) {
        dynbi_buffer at = sweep->at;
        memset(sweep, 0, sizeof *sweep);
        sweep->at = at;
        sweep->is_ended = 1;
        sweep->now_ms = dynbi_store_time(db);
        db->sweep_is_due = 0;
        db->sweep_due_ms = 0;
    }
    while (rc == DYNB_OK && looks > 0 && db->op_count < DYNBI_SWEEP_DELETES) {
        dynbi_merge merge;
        dynbi_view view;
        if (sweep->is_ended && db->op_count && sweep->phase == DYNBI_SWEEP_BASES)
            break; /* the next phase looks at what is left of them */
        if (sweep->is_ended)
            rc = dynbi_sweep_advance(db, sweep, err);
        if (rc == DYNB_OK && sweep->phase == DYNBI_SWEEP_LOG)
            rc = dynbi_history_keep_pos(db, &sweep->keep_pos, err);
        if (rc != DYNB_OK || sweep->phase == DYNBI_SWEEP_NONE)
            break;
        dynbi_table_view(&db->catalog, 0, &view);
        rc = dynbi_merge_init(&merge, &db->reader, &view, err);
        if (rc == DYNB_OK)
            rc = dynbi_sweep_seek(db, sweep, &merge, err);
        if (rc == DYNB_OK)
            rc = dynbi_sweep_walk(db, sweep, &merge, &looks, &sweep->is_ended, err);
        dynbi_merge_free(&merge);
        if (!sweep->is_ended)
            break;
    }
    if (rc == DYNB_OK && db->op_count)
        rc = dynbi_change_commit(db, DYNB_BUFFERED, err);
    if (rc != DYNB_OK) {
        sweep->phase = DYNBI_SWEEP_NONE;
        db->sweep_is_due = rc != DYNB_CORRUPT; /* which is told once, and does not go away */
    }
    return rc;
}

/* --- the lock --- */

static void dynbi_lock(dynb *db)
{
#if defined(DYNBACKUP_PTHREADS)
    pthread_mutex_lock(&db->lock);
#else
    (void)db;
#endif
}

/* The builder's way to take the lock: writers hold it for less than a
 * microsecond, and putting a thread to sleep and waking it costs both of them
 * more, so it tries for a while first. */
static void dynbi_lock_soon(dynb *db)
{
#if defined(DYNBACKUP_PTHREADS)
    uint32_t tries;
    for (tries = 0; tries < 200; ++tries) {
        volatile uint32_t pause = 0;
        if (pthread_mutex_trylock(&db->lock) == 0)
            return;
        while (pause < 50) {
            pause = pause + 1;
        }
    }
#endif
    dynbi_lock(db);
}

static void dynbi_unlock(dynb *db)
{
#if defined(DYNBACKUP_PTHREADS)
    pthread_mutex_unlock(&db->lock);
#else
    (void)db;
#endif
}

/* --- worker --- */

typedef enum dynbi_job_kind {
    DYNBI_JOB_NONE = 0,
    DYNBI_JOB_RUN,
    DYNBI_JOB_TIDY,
    DYNBI_JOB_FILL,
    DYNBI_JOB_CHECKPOINT
} dynbi_job_kind;

/* What folding a generation makes of an index's changes. */
typedef struct dynbi_index_fold {
    dynbi_root root;
    int drops_tombstones; /* nothing is older */
} dynbi_index_fold;

/* Entries of an index, gathered from the table's items until they are
 * folded. */
typedef struct dynbi_fill {
    dynbi_pool pool;
    dynbi_generation *entries;
    uint64_t entries_max; /* bytes of memory */
    dynbi_index index;    /* a copy, with a definition of its own */
    dynbi_schema schema;  /* the table's; its names are behind the definition */
    uint8_t *memory;      /* definition and names */
    size_t memory_size;
    dynbi_merge items;
    dynbi_view view;      /* the table's runs: a copy of the list */
    dynbi_buffer item;
    dynbi_buffer key;
    dynbi_buffer value;
    dynbi_buffer last_key; /* of the last item looked at */
    int has_gathered;
    int is_last; /* there are no more items */
} dynbi_fill;

/* A fold under way. */
typedef struct dynbi_job {
    dynb *db;
    dynbi_job_kind kind;
    uint32_t slot;
    dynbi_table *table;
    uint32_t set;    /* being folded */
    uint64_t set_id; /* TIDY, FILL: its number in the log, which stays */
    dynbi_index_fold *index_folds; /* RUN: by slot - 1, of a generation with indexes */
    uint32_t index_fold_count;
    dynbi_view view; /* what is folded: a generation, or runs (a copy of the list) */
    dynbi_merge merge;
    dynbi_fold fold;
    dynbi_run older;     /* what it is folded onto; root.page 0: nothing */
    uint64_t to_lsn;     /* of the run to be */
    dynbi_root first_root; /* RUN: the items' tree, while indexes are folded */
    dynbi_fill *fill;      /* FILL: where entries are gathered */
    int drops_tombstones;
    dynbi_superblock super; /* checkpoint: what will be written */
} dynbi_job;

/* Counting a run: each of its changes is looked for in the older runs. */
typedef struct dynbi_count {
    int is_active;
    dynbi_table *table; /* whose run it is; NULL: the first uncounted backup's */
    uint64_t set_id;
    dynbi_runs runs;    /* a copy: the run, then the older ones */
    dynbi_tree_cursor cursor;
    uint64_t item_delta;
    uint64_t byte_delta;
} dynbi_count;

#define DYNBI_COUNTED_RUNS 8u

typedef struct dynbi_worker {
    dynb *db;
    dynb_allocator allocator; /* takes the lock where it is not held */
    dynbi_reader reader;
    int is_outside;           /* the stepping thread has left the lock */
    int is_busy;              /* somebody is stepping; guarded by the lock */
    dynbi_job job[DYNBI_FOLD_SLOTS]; /* [0] urgent, [1] background */
    int is_marking;           /* `mark` walks the catalog's run */
    dynbi_view mark_view;
    dynbi_merge mark;
    dynbi_count count;
    dynbi_run counted[DYNBI_COUNTED_RUNS]; /* the last ones: other backups share them */
    uint32_t counted_next;
    dynbi_sweep sweep;
    int space_is_short; /* the last checkpoint for want of space gained nothing */
    uint32_t memory_tries; /* steps that lacked memory, since one succeeded */
    uint32_t tidy_lacked; /* free pages when tidying lacked space, + 1; or 0 */
    uint32_t most_runs; /* of any set, when last looked at */
    uint32_t most_sets; /* of the table that has them */
    uint32_t turn;      /* with many runs urgent and background steps take turns */
#if defined(DYNBACKUP_PTHREADS)
    pthread_t thread;
    int has_thread;
    int stops;
    int sleeps;    /* until work_ready is signalled, by the next change */
    int is_called; /* work_ready is to be signalled at the end of this call */
    dynb_error error; /* of the thread's last failed step */
#endif
} dynbi_worker;

static void dynbi_worker_leave(dynbi_worker *worker)
{
    DYNBI_ASSERT(!worker->is_outside);
    worker->is_outside = 1;
    dynbi_unlock(worker->db);
}

static void dynbi_worker_return(dynbi_worker *worker)
{
    dynbi_lock_soon(worker->db);
    worker->is_outside = 0;
}

/* The budget is shared, so taking from it needs the lock. */
static void *dynbi_worker_resize(void *ctx, void *ptr, size_t old_size, size_t new_size)
{
    dynbi_worker *worker = (dynbi_worker *)ctx;
    void *memory;
    if (worker->is_outside)
        dynbi_lock_soon(worker->db);
    memory = dynbi_resize(&worker->db->allocator, ptr, old_size, new_size);
    if (worker->is_outside)
        dynbi_unlock(worker->db);
    return memory;
}

/* Bytes that tidying may take; the rest is for what must go on. */
static uint64_t dynbi_tidy_room(const dynb *db)
{
    uint32_t kept = dynbi_store_headroom(db) / 2, free_pages = dynbi_pages_free_count(&db->pages);
    if (db->disk.device.resize_fn)
        return ~(uint64_t)0;
    return free_pages > kept ? (uint64_t)(free_pages - kept) * db->disk.page_bytes : 0;
}

static uint32_t dynbi_job_allocate(void *ctx, uint32_t page_count)
{
    dynbi_job *job = (dynbi_job *)ctx;
    dynbi_worker *worker = job->db->worker;
    uint32_t page = DYNBI_PAGE_NONE;
    if (worker->is_outside)
        dynbi_lock_soon(job->db);
    /* tidying and filling leave room for what must go on, tidying for ending
     * early */
    if ((job->kind != DYNBI_JOB_TIDY && job->kind != DYNBI_JOB_FILL) ||
        job->fold.has_ended_early ||
        dynbi_tidy_room(job->db) > 0)
        page = dynbi_store_allocate(job->db, page_count, job->slot);
    if (worker->is_outside)
        dynbi_unlock(job->db);
    return page;
}

/* Gives back what folding took: memory may be short when publishing. */
static void dynbi_job_release(dynbi_job *job)
{
    int has_ended_early = job->fold.has_ended_early;
    dynbi_fold_free(&job->fold);
    dynbi_merge_free(&job->merge);
    job->fold.has_ended_early = has_ended_early;
}

static void dynbi_fill_free(dynb *db, dynbi_fill *fill)
{
    if (!fill)
        return;
    dynbi_generation_free(fill->entries);
    dynbi_pool_free(&fill->pool);
    dynbi_merge_free(&fill->items);
    dynbi_runs_free(&db->allocator, &fill->view.runs);
    dynbi_buffer_free(&fill->item);
    dynbi_buffer_free(&fill->key);
    dynbi_buffer_free(&fill->value);
    dynbi_buffer_free(&fill->last_key);
    dynbi_free(&db->allocator, fill->memory, fill->memory_size);
    dynbi_free(&db->allocator, fill, sizeof *fill);
}

/* Ends a job, done or not. */
static void dynbi_job_end(dynbi_job *job)
{
    dynbi_table *table = job->table;
    dynb *db = job->db;
    uint32_t slot = job->slot;
    if (job->kind == DYNBI_JOB_NONE)
        return;
    dynbi_job_release(job);
    dynbi_runs_free(&db->allocator, &job->view.runs);
    dynbi_fill_free(db, job->fill);
    dynbi_free(&db->allocator, job->index_folds,
               job->index_fold_count * sizeof(dynbi_index_fold));
    dynbi_pages_settle(&db->pages, slot);
    memset(job, 0, sizeof *job);
    job->db = db;
    job->slot = slot;
    if (table) {
        --table->job_count;
        dynbi_store_release_table(db, table);
    }
}

/* Nonzero: this fold has ended early before, and goes on at fold_key. */
static int dynbi_tidy_goes_on(const dynbi_table *table, uint64_t set_id, uint64_t newest_lsn,
                              uint64_t older_lsn)
{
    return table->fold_lsn && table->fold_lsn == newest_lsn &&
           table->fold_older_lsn == older_lsn && table->fold_set == set_id;
}

/* Makes a fold ready to take what next_fn gives; needs no lock. */
static void dynbi_job_prepare(dynbi_job *job, int drop_tombstones)
{
    dynb *db = job->db;
    dynbi_worker *worker = db->worker;
    dynbi_fold *fold = &job->fold;
    uint64_t chunk = db->memory.budget_bytes / 64;
    job->drops_tombstones = drop_tombstones;
    if (chunk > (uint64_t)256 << 10)
        chunk = (uint64_t)256 << 10;
    memset(fold, 0, sizeof *fold);
    fold->allocator = &worker->allocator;
    fold->reader = &worker->reader;
    fold->drop_tombstones = drop_tombstones;
    fold->output.disk = &db->disk;
    fold->output.node_bytes = db->node_bytes;
    fold->output.chunk_bytes = chunk < db->node_bytes ? db->node_bytes : (uint32_t)chunk;
    fold->output.sync_chunks = db->config.durability == DYNB_SYNCED;
    fold->output.allocate_fn = dynbi_job_allocate;
    fold->output.ctx = job;
    fold->next_fn = dynbi_merge_feed;
    fold->next_ctx = &job->merge;
}

/* Starts folding job->view onto `older`. */
static dynb_rc dynbi_job_start(dynbi_job *job, dynbi_job_kind kind, dynbi_table *table,
                               const dynbi_root *older, int drop_tombstones, dynb_error *err)
{
    dynbi_worker *worker = job->db->worker;
    const uint8_t *from = NULL;
    size_t from_size = 0;
    dynb_rc rc;
    job->kind = kind;
    job->table = table;
    if (table)
        ++table->job_count;
    dynbi_reader_limit(&worker->reader, job->db->pages.page_count);
    dynbi_job_prepare(job, drop_tombstones);
    if (kind == DYNBI_JOB_TIDY &&
        dynbi_tidy_goes_on(table, job->set_id, job->to_lsn, job->older.to_lsn)) {
        from = table->fold_key.bytes;
        from_size = table->fold_key.used_bytes;
    }
    rc = dynbi_merge_init(&job->merge, &worker->reader, &job->view, err);
    if (rc == DYNB_OK)
        rc = dynbi_merge_seek(&job->merge, from, (uint32_t)from_size, 0, err);
    if (rc == DYNB_OK)
        rc = dynbi_fold_start(&job->fold, older, err);
    return rc;
}

/* --- run: the oldest generation becomes the newest run --- */

/* Nonzero: the set has nothing older than what comes next. */
static int dynbi_set_is_empty(const dynbi_table *table, uint32_t set)
{
    const dynbi_runs *runs = dynbi_table_runs(table, set);
    uint32_t i;
    if (set && table->indexes[set - 1].status == DYNB_INDEX_CREATING)
        return 0; /* what there was is still to come */
    for (i = 0; i < runs->count; ++i) {
        if (runs->run[i].root.page)
            return 0;
    }
    return 1;
}

/* One set of the generation after the other is folded, the items first; the
 * trees are published together. */
static dynb_rc dynbi_run_start(dynbi_job *job, dynbi_table *table,
                               const dynbi_generation *generation, dynb_error *err)
{
    dynbi_root nothing;
    uint32_t set, count = generation->set_count - 1;
    DYNBI_ASSERT(generation->frozen && !generation->next);
    memset(&nothing, 0, sizeof nothing);
    memset(&job->view, 0, sizeof job->view);
    job->view.newest = generation;
    job->to_lsn = generation->last_lsn;
    job->set = 0;
    if (count) {
        job->index_folds = (dynbi_index_fold *)dynbi_allocate(&job->db->allocator,
                                                              count * sizeof(dynbi_index_fold));
        if (!job->index_folds)
            return dynbi_fail(err, DYNB_NO_MEMORY, "no memory to fold %u indexes",
                              (uint64_t)count);
        memset(job->index_folds, 0, count * sizeof(dynbi_index_fold));
        job->index_fold_count = count;
    }
    for (set = 1; set <= table->index_count; ++set) {
        const uint32_t slot = table->indexes[set - 1].slot;
        if (slot <= count)
            job->index_folds[slot - 1].drops_tombstones = dynbi_set_is_empty(table, set);
    }
    return dynbi_job_start(job, DYNBI_JOB_RUN, table, &nothing, dynbi_set_is_empty(table, 0), err);
}

/* The items' tree is made: goes on with the next set that has changes; *is_done
 * if there is none. Without the lock. */
static dynb_rc dynbi_run_next_set(dynbi_job *job, const dynbi_root *root, dynbi_root *first,
                                  int *is_done, dynb_error *err)
{
    const dynbi_generation *generation = job->view.newest;
    const int drops_first = job->drops_tombstones; /* said of the items */
    const uint64_t written_bytes = job->fold.written_bytes;
    dynbi_root nothing;
    dynb_rc rc;
    memset(&nothing, 0, sizeof nothing);
    if (job->set)
        job->index_folds[job->set - 1].root = *root;
    else
        job->first_root = *root;
    do
        ++job->set;
    while (job->set < generation->set_count && !generation->sets[job->set].root);
    *is_done = job->set >= generation->set_count;
    *first = job->first_root;
    if (*is_done)
        return DYNB_OK;
    dynbi_fold_free(&job->fold);
    dynbi_merge_free(&job->merge);
    job->view.set = job->set;
    dynbi_job_prepare(job, job->index_folds[job->set - 1].drops_tombstones);
    job->drops_tombstones = drops_first;
    job->fold.written_bytes = written_bytes;
    rc = dynbi_merge_init(&job->merge, &job->db->worker->reader, &job->view, err);
    if (rc == DYNB_OK)
        rc = dynbi_merge_seek(&job->merge, NULL, 0, 0, err);
    if (rc == DYNB_OK)
        rc = dynbi_fold_start(&job->fold, &nothing, err);
    return rc;
}

/* What a backup's record comes to hold: the indexes it has always had, with the
 * runs that `from` has for them. */
static dynb_rc dynbi_backup_snapshot(dynb *db, const dynbi_record *record,
                                     const dynbi_snapshot *from, dynbi_snapshot *out,
                                     dynb_error *err)
{
    uint32_t i, j;
    dynb_rc rc;
    if (!from->index_count) {
        *out = *from;
        out->owns_runs = out->owns_definitions = out->index_room = 0;
        return DYNB_OK;
    }
    rc = dynbi_snapshot_read(&db->allocator, record, out, err);
    if (rc != DYNB_OK)
        return rc;
    dynbi_runs_free(&db->allocator, &out->sets[0]);
    out->owns_runs &= ~(uint32_t)1;
    out->sets[0] = from->sets[0];
    out->folded_lsn = from->folded_lsn;
    out->item_count = from->item_count;
    out->size_bytes = from->size_bytes;
    for (i = 0; i < out->index_count; ++i) {
        dynbi_index *index = &out->indexes[i];
        for (j = 0; j < from->index_count && from->indexes[j].id != index->id; ++j)
            ;
        if (j == from->index_count)
            continue;
        dynbi_runs_free(&db->allocator, &index->runs);
        out->owns_runs &= ~((uint32_t)1 << (i + 1));
        index->runs = from->indexes[j].runs;
        index->item_count = from->indexes[j].item_count;
        index->size_bytes = from->indexes[j].size_bytes;
    }
    return DYNB_OK;
}

/* Adds to the transaction what a backup's record becomes, now that its table's
 * runs are `snapshot`; complete: it is AVAILABLE. */
static dynb_rc dynbi_publish_backup(dynb *db, const dynbi_pending *pending,
                                    const dynbi_snapshot *snapshot, int is_complete,
                                    dynb_error *err)
{
    dynb_backup_description details;
    dynbi_snapshot own;
    dynbi_record record;
    dynbi_change change;
    dynbi_coder coder;
    int is_there;
    dynb_rc rc = dynbi_catalog_get(db, pending->key, pending->key_size, &db->record, &is_there,
                                   err);
    if (rc != DYNB_OK || !is_there)
        return rc;
    rc = dynbi_record_split(db->record.bytes, db->record.used_bytes, 1, &record, err);
    if (rc == DYNB_OK)
        rc = dynbi_details_read(&record, &details, err);
    if (rc != DYNB_OK)
        return rc;
    if (is_complete)
        details.status = DYNB_BACKUP_AVAILABLE;
    memset(&coder, 0, sizeof coder);
    db->value.used_bytes = 0;
    coder.out = &db->value;
    dynbi_code_details(&coder, &details);
    if (coder.is_broken)
        return dynbi_fail(err, DYNB_NO_MEMORY, "no memory for a catalog record");
    record.details = db->value.bytes;
    record.details_size = db->value.used_bytes;
    db->key.used_bytes = 0; /* the settings stand in db->record, which is rewritten */
    if (!dynbi_buffer_append(&db->key, record.settings, (size_t)record.settings_size))
        return dynbi_fail(err, DYNB_NO_MEMORY, "no memory for a catalog record");
    rc = dynbi_backup_snapshot(db, &record, snapshot, &own, err);
    if (rc != DYNB_OK)
        return rc;
    record.settings = db->key.bytes;
    rc = dynbi_record_make(&db->record, &record, &own, err);
    dynbi_snapshot_free(&db->allocator, &own);
    if (rc != DYNB_OK)
        return rc;
    memset(&change, 0, sizeof change);
    change.key = pending->key;
    change.key_size = pending->key_size;
    change.value = db->record.bytes;
    change.value_size = (uint32_t)db->record.used_bytes;
    return dynbi_change_add(db, &db->catalog, 0, &change, err);
}

/* Adds a table's record with new runs to the transaction. */
static dynb_rc dynbi_publish_table(dynb *db, dynbi_table *table, const dynbi_snapshot *snapshot,
                                   dynb_error *err)
{
    dynbi_record record;
    dynbi_change change;
    dynb_rc rc;
    memset(&record, 0, sizeof record);
    record.settings = table->settings;
    record.settings_size = table->settings_size;
    rc = dynbi_record_make(&db->record, &record, snapshot, err);
    if (rc == DYNB_OK)
        rc = dynbi_table_key(db, table->name, table->name_length, err);
    if (rc != DYNB_OK)
        return rc;
    memset(&change, 0, sizeof change);
    change.key = db->key.bytes;
    change.key_size = (uint32_t)db->key.used_bytes;
    change.value = db->record.bytes;
    change.value_size = (uint32_t)db->record.used_bytes;
    return dynbi_change_add(db, &db->catalog, 0, &change, err);
}

/* Nonzero: no change up to lsn is left in the generations, once those up to
 * folded_lsn are dropped. */
static int dynbi_publish_completes(const dynb *db, const dynbi_table *table, uint64_t folded_lsn,
                                   uint64_t lsn)
{
    const dynbi_generation *generation;
    if (db->is_replaying && db->replay_mark.lsn < lsn)
        return 0; /* more may come */
    for (generation = table->newest; generation; generation = generation->next) {
        if (generation->entry_count && generation->last_lsn > folded_lsn &&
            generation->first_lsn <= lsn)
            return 0;
    }
    return 1;
}

/* Nonzero: the counts of all sets are exact, and are filled in. An index that
 * is not complete is not counted. */
static int dynbi_snapshot_total(dynbi_snapshot *snapshot)
{
    uint64_t items, bytes;
    uint32_t set;
    int is_counted = dynbi_runs_totals(&snapshot->sets[0], &items, &bytes);
    if (is_counted) {
        snapshot->item_count = items;
        snapshot->size_bytes = bytes;
    }
    for (set = 1; set <= snapshot->index_count; ++set) {
        dynbi_index *index = &snapshot->indexes[set - 1];
        if (index->status != DYNB_INDEX_ACTIVE)
            continue;
        if (dynbi_runs_totals(&index->runs, &items, &bytes)) {
            index->item_count = items;
            index->size_bytes = bytes;
        } else {
            is_counted = 0;
        }
    }
    return is_counted;
}

/* Nonzero: no set has runs to fold at once. */
static int dynbi_snapshot_is_tidy(const dynbi_snapshot *snapshot)
{
    uint32_t set, first, length;
    for (set = 0; set <= snapshot->index_count; ++set) {
        if (dynbi_runs_choose(dynbi_snapshot_runs(snapshot, set), 0, &first, &length))
            return 0;
    }
    return 1;
}

/* A dropped table has no record of its own that would put its runs in place. */
static dynb_rc dynbi_publish_dropped(dynb *db, dynbi_table *table, const dynbi_snapshot *snapshot,
                                     dynb_durability durability, dynb_error *err)
{
    dynbi_runs runs[DYNBI_INDEXES_MAX + 1];
    uint32_t set, made = 0;
    int has_memory = 1;
    dynb_rc rc = DYNB_OK;
    for (set = 0; has_memory && set <= snapshot->index_count; ++set) {
        has_memory = dynbi_runs_copy(&db->allocator, dynbi_snapshot_runs(snapshot, set),
                                     &runs[set]);
        made += has_memory ? 1u : 0u;
    }
    rc = has_memory ? dynbi_change_commit(db, durability, err)
                    : dynbi_fail(err, DYNB_NO_MEMORY, "no memory for a list of runs");
    for (set = 0; set < made; ++set) {
        dynbi_runs *to = set ? &table->indexes[set - 1].runs : &table->sets[0];
        if (rc == DYNB_OK) {
            dynbi_runs old = *to;
            *to = runs[set];
            runs[set] = old;
        }
        dynbi_runs_free(&db->allocator, &runs[set]);
    }
    if (rc != DYNB_OK)
        return rc;
    table->folded_lsn = snapshot->folded_lsn;
    dynbi_table_drop_folded(db, table);
    return DYNB_OK;
}

/* Logs and puts in place new runs of a table, with all they bring about. The
 * array of indexes is the snapshot's own. */
static dynb_rc dynbi_publish(dynb *db, dynbi_table *table, dynbi_snapshot *snapshot,
                             dynb_error *err)
{
    const dynb_durability durability = db->config.durability == DYNB_BUFFERED ? DYNB_BUFFERED
                                                                              : DYNB_TO_OS;
    const uint64_t newest_lsn = snapshot->folded_lsn;
    const int is_counted = dynbi_snapshot_total(snapshot);
    const int is_tidy = dynbi_snapshot_is_tidy(snapshot); /* lists may be gone afterwards */
    uint32_t i;
    dynb_rc rc = dynbi_store_begin_writing(db, err);
    if (rc == DYNB_OK)
        rc = dynbi_change_begin(db, err);
    if (rc == DYNB_OK && !table->is_dropped)
        rc = dynbi_publish_table(db, table, snapshot, err);
    if (rc == DYNB_OK && !table->is_dropped && newest_lsn > table->folded_lsn)
        rc = dynbi_history_note(db, table, err);
    for (i = 0; rc == DYNB_OK && table->pending_count && i < db->pending_count; ++i) {
        const dynbi_pending *pending = &db->pending[i];
        int is_complete = dynbi_publish_completes(db, table, newest_lsn, pending->lsn);
        if (pending->table != table || newest_lsn > pending->lsn)
            continue;
        rc = dynbi_publish_backup(db, pending, snapshot, is_complete, err);
        if (rc == DYNB_OK && is_complete && !is_counted)
            dynbi_store_note_uncounted(db, pending->key, pending->key_size);
    }
    if (rc != DYNB_OK)
        return rc;
    if (table->is_dropped)
        rc = dynbi_publish_dropped(db, table, snapshot, durability, err);
    else
        rc = dynbi_change_commit(db, durability, err);
    if (rc == DYNB_OK)
        ++db->folds_count;
    if (rc == DYNB_OK && !is_tidy)
        db->tidy_is_due = 1;
    return rc;
}

/* A snapshot of the table in which lists of runs can be put in place. */
static dynb_rc dynbi_publish_open(dynb *db, const dynbi_table *table, dynbi_snapshot *snapshot,
                                  dynb_error *err)
{
    dynbi_table_snapshot(table, snapshot);
    if (!dynbi_snapshot_open(&db->allocator, snapshot, 0))
        return dynbi_fail(err, DYNB_NO_MEMORY, "no memory for a list of indexes");
    return DYNB_OK;
}

/* Puts a set's new run in front. A set without changes has none: its newest run
 * then reaches up to here, if nobody is folding or counting it. */
static dynb_rc dynbi_run_put(dynb *db, dynbi_snapshot *snapshot, const dynbi_table *table,
                             uint32_t set, const dynbi_run *run, dynb_error *err)
{
    const dynbi_runs *old = dynbi_table_runs(table, set);
    dynbi_runs runs;
    int is_made;
    if (set && !run->root.page && old->count == 0)
        return DYNB_OK;
    if (set && !run->root.page && table->job_count == 1) {
        is_made = dynbi_runs_copy(&db->allocator, old, &runs);
        if (is_made)
            runs.run[0].to_lsn = run->to_lsn;
    } else {
        is_made = dynbi_runs_replace(&db->allocator, old, 0, 0, run, &runs);
    }
    if (!is_made)
        return dynbi_fail(err, DYNB_NO_MEMORY, "no memory for a list of runs");
    dynbi_snapshot_set_runs(&db->allocator, snapshot, set, &runs);
    return DYNB_OK;
}

static dynb_rc dynbi_run_publish(dynbi_job *job, const dynbi_root *root, dynb_error *err)
{
    dynbi_table *table = job->table;
    dynb *db = job->db;
    dynbi_snapshot snapshot;
    dynbi_run run;
    uint32_t set;
    dynb_rc rc;
    if (table->is_dropped && !table->pending_count)
        return DYNB_OK; /* nobody wants it any more */
    rc = dynbi_publish_open(db, table, &snapshot, err);
    snapshot.folded_lsn = job->to_lsn;
    snapshot.folded_time_ms = job->view.newest->last_time_ms;
    for (set = 0; rc == DYNB_OK && set <= table->index_count; ++set) {
        const uint32_t slot = set ? table->indexes[set - 1].slot : 0;
        int is_exact = job->drops_tombstones && dynbi_set_is_empty(table, set);
        memset(&run, 0, sizeof run);
        run.from_lsn = table->folded_lsn;
        run.to_lsn = job->to_lsn;
        if (slot == 0)
            run.root = *root;
        else if (slot <= job->index_fold_count)
            run.root = job->index_folds[slot - 1].root;
        if (slot && slot <= job->index_fold_count)
            is_exact = job->index_folds[slot - 1].drops_tombstones &&
                       dynbi_set_is_empty(table, set);
        if (is_exact || (set && !run.root.page)) {
            run.is_counted = 1;
            run.item_delta = run.root.entry_count;
            run.byte_delta = run.root.byte_count;
        }
        rc = dynbi_run_put(db, &snapshot, table, set, &run, err);
    }
    if (rc == DYNB_OK)
        rc = dynbi_publish(db, table, &snapshot, err);
    dynbi_snapshot_free(&db->allocator, &snapshot);
    return rc;
}

/* --- tidy: neighbouring runs become one --- */

static dynb_rc dynbi_tidy_start(dynbi_job *job, dynbi_table *table, uint32_t set, uint32_t first,
                                uint32_t length, dynb_error *err)
{
    const dynbi_runs *runs = dynbi_table_runs(table, set);
    const int is_complete = !set || table->indexes[set - 1].status != DYNB_INDEX_CREATING;
    dynbi_runs newer;
    memset(&job->view, 0, sizeof job->view);
    newer.count = length - 1;
    newer.run = runs->run + first;
    if (!dynbi_runs_copy(&job->db->allocator, &newer, &job->view.runs))
        return dynbi_fail(err, DYNB_NO_MEMORY, "no memory for a list of runs");
    job->set_id = set ? table->indexes[set - 1].id : 0;
    job->older = runs->run[first + length - 1];
    job->to_lsn = runs->run[first].to_lsn;
    return dynbi_job_start(job, DYNBI_JOB_TIDY, table, &job->older.root,
                           first + length == runs->count && is_complete, err);
}

/* Nonzero: there is room for what the newer runs hold to be there twice, which
 * is how far a fold can get that has to end early, before it can go on. */
static int dynbi_tidy_fits(const dynb *db, const dynbi_table *table, uint32_t set, uint32_t first,
                           uint32_t length)
{
    const dynbi_runs *runs = dynbi_table_runs(table, set);
    const uint64_t set_id = set ? table->indexes[set - 1].id : 0;
    uint64_t room = dynbi_tidy_room(db), needed = 4 * (uint64_t)db->node_bytes;
    uint32_t i;
    if (dynbi_tidy_goes_on(table, set_id, runs->run[first].to_lsn,
                           runs->run[first + length - 1].to_lsn))
        return room > 0; /* it was let in before, and goes on */
    for (i = first; i + 1 < first + length; ++i)
        needed += runs->run[i].root.byte_count + 24 * runs->run[i].root.entry_count;
    return needed + needed / 2 <= room; /* small nodes waste up to that much */
}

static int dynbi_run_is(const dynbi_run *a, const dynbi_run *b)
{
    return a->root.page == b->root.page && a->to_lsn == b->to_lsn && a->from_lsn == b->from_lsn;
}

/* The fold took no more changes for want of space: the older run becomes what
 * came of it so far, the newer ones stay; some of their changes are now twice
 * there, which changes nothing but the counts. */
static dynb_rc dynbi_tidy_publish_early(dynbi_job *job, uint32_t set, uint32_t first,
                                        dynbi_run *run, dynb_error *err)
{
    dynbi_table *table = job->table;
    const dynbi_runs *old = dynbi_table_runs(table, set);
    const uint32_t last = first + job->view.runs.count;
    dynb *db = job->db;
    dynbi_snapshot snapshot;
    dynbi_runs runs;
    uint32_t i;
    dynb_rc rc;
    run->to_lsn = job->older.to_lsn;
    run->is_counted = last + 1 == old->count && job->drops_tombstones;
    rc = dynbi_publish_open(db, table, &snapshot, err);
    if (rc == DYNB_OK && !dynbi_runs_replace(&db->allocator, old, last, 1, run, &runs))
        rc = dynbi_fail(err, DYNB_NO_MEMORY, "no memory for a list of runs");
    if (rc == DYNB_OK) {
        for (i = 0; i < last; ++i)
            runs.run[i].is_counted = 0;
        dynbi_snapshot_set_runs(&db->allocator, &snapshot, set, &runs);
        rc = dynbi_publish(db, table, &snapshot, err);
    }
    dynbi_snapshot_free(&db->allocator, &snapshot);
    if (rc == DYNB_OK) {
        table->fold_lsn = job->to_lsn;
        table->fold_older_lsn = job->older.to_lsn;
        table->fold_set = job->set_id;
    }
    db->wants_space = 1; /* what was replaced is needed to go on */
    return rc;
}

static dynb_rc dynbi_tidy_publish(dynbi_job *job, const dynbi_root *root, dynb_error *err)
{
    dynbi_table *table = job->table;
    const uint32_t set = dynbi_table_find_set(table, job->set_id);
    const dynbi_runs *runs;
    dynb *db = job->db;
    dynbi_snapshot snapshot;
    dynbi_runs made;
    dynbi_run run;
    uint32_t first = 0, i, length = job->view.runs.count + 1;
    int is_counted = 1;
    dynb_rc rc;
    if (set > table->index_count)
        return DYNB_OK; /* the index is gone */
    runs = dynbi_table_runs(table, set);
    while (first < runs->count && !dynbi_run_is(&runs->run[first], &job->view.runs.run[0]))
        ++first;
    if (table->is_dropped || first + length > runs->count ||
        !dynbi_run_is(&runs->run[first + length - 1], &job->older))
        return DYNB_OK; /* the table went another way meanwhile */
    memset(&run, 0, sizeof run);
    run.from_lsn = job->older.from_lsn;
    run.to_lsn = job->to_lsn;
    run.root = *root;
    for (i = first; i < first + length; ++i) {
        is_counted = is_counted && runs->run[i].is_counted;
        run.item_delta += runs->run[i].item_delta;
        run.byte_delta += runs->run[i].byte_delta;
    }
    if (first + length == runs->count && job->drops_tombstones) {
        is_counted = 1; /* the oldest: without tombstones */
        run.item_delta = root->entry_count;
        run.byte_delta = root->byte_count;
    }
    run.is_counted = is_counted;
    if (job->fold.has_ended_early)
        return dynbi_tidy_publish_early(job, set, first, &run, err);
    table->fold_lsn = 0;
    rc = dynbi_publish_open(db, table, &snapshot, err);
    if (rc == DYNB_OK && !dynbi_runs_replace(&db->allocator, runs, first, length, &run, &made))
        rc = dynbi_fail(err, DYNB_NO_MEMORY, "no memory for a list of runs");
    if (rc == DYNB_OK) {
        dynbi_snapshot_set_runs(&db->allocator, &snapshot, set, &made);
        rc = dynbi_publish(db, table, &snapshot, err);
    }
    dynbi_snapshot_free(&db->allocator, &snapshot);
    return rc;
}

/* --- fill: the items there are get into an index being created --- */

/* Takes the schemas along: the table may change while the lock is not held. */
static int dynbi_fill_copy(dynb *db, dynbi_fill *fill, const dynbi_table *table,
                           const dynbi_index *index)
{
    size_t size = (size_t)index->definition_size + table->settings_size;
    const uint8_t *settings = table->settings;
    uint32_t i;
    fill->memory = (uint8_t *)dynbi_allocate(&db->allocator, size);
    if (!fill->memory)
        return 0;
    fill->memory_size = size;
    memcpy(fill->memory, index->definition, index->definition_size);
    memcpy(fill->memory + index->definition_size, settings, table->settings_size);
    fill->index = *index;
    fill->index.definition = fill->memory;
    (void)dynbi_index_load(&fill->index);
    fill->schema = table->schema;
    for (i = 0; i < fill->schema.part_count; ++i) /* names stand in the settings */
        fill->schema.part[i].name = (const char *)(const void *)(
            fill->memory + index->definition_size +
            ((const uint8_t *)(const void *)fill->schema.part[i].name - settings));
    for (i = 0; i < index->schema.part_count; ++i) {
        dynbi_key_part *part = &fill->index.schema.part[i];
        const uint8_t *name = (const uint8_t *)(const void *)part->name;
        const uint8_t *from = i < index->key_count ? index->definition : settings;
        part->name = (const char *)(const void *)(
            fill->memory + (i < index->key_count ? 0 : index->definition_size) + (name - from));
    }
    return 1;
}

/* Starts with the first item behind those that are in already. */
static dynb_rc dynbi_fill_start(dynbi_job *job, dynbi_table *table, uint32_t set, dynb_error *err)
{
    dynb *db = job->db;
    dynbi_worker *worker = db->worker;
    const dynbi_index *index = &table->indexes[set - 1];
    dynbi_fill *fill = (dynbi_fill *)dynbi_allocate(&db->allocator, sizeof *fill);
    dynb_rc rc;
    job->kind = DYNBI_JOB_FILL;
    job->table = table;
    ++table->job_count;
    job->fill = fill;
    job->set_id = index->id;
    if (!fill)
        return dynbi_fail(err, DYNB_NO_MEMORY, "no memory to fill an index");
    memset(fill, 0, sizeof *fill);
    fill->item.allocator = &worker->allocator;
    fill->key.allocator = &worker->allocator;
    fill->value.allocator = &worker->allocator;
    fill->last_key.allocator = &worker->allocator;
    fill->entries_max = db->generation_max / 2;
    dynbi_pool_init(&fill->pool, &worker->allocator, db->pool.chunk_bytes, 0);
    fill->entries = dynbi_generation_new(&fill->pool, 1);
    if (!fill->entries || !dynbi_fill_copy(db, fill, table, index) ||
        !dynbi_runs_copy(&db->allocator, &table->sets[0], &fill->view.runs) ||
        !dynbi_buffer_append(&fill->last_key, index->fill_key, (size_t)index->fill_key_size))
        return dynbi_fail(err, DYNB_NO_MEMORY, "no memory to fill an index");
    dynbi_reader_limit(&worker->reader, db->pages.page_count);
    rc = dynbi_merge_init(&fill->items, &worker->reader, &fill->view, err);
    if (rc == DYNB_OK)
        rc = dynbi_merge_seek(&fill->items, fill->last_key.used_bytes ? fill->last_key.bytes : NULL,
                              (uint32_t)fill->last_key.used_bytes, 0, err);
    return rc;
}

/* Puts one item's entry to the others. *is_full: there is no room; it is left
 * for the next piece. */
static dynb_rc dynbi_fill_item(dynbi_fill *fill, const dynbi_change *stored, int *is_full,
                               dynb_error *err)
{
    size_t size = dynbi_item_restored_bound(&fill->schema, stored->key_size, stored->value_size);
    dynbi_change entry;
    dynb_item item;
    int is_there;
    dynb_rc rc;
    fill->item.used_bytes = 0;
    if (!dynbi_buffer_reserve(&fill->item, size))
        return dynbi_fail(err, DYNB_NO_MEMORY, "no memory to read an item");
    size = dynbi_item_restore(&fill->schema, stored->key, stored->key_size, stored->value,
                              stored->value_size, fill->item.bytes);
    if (!size)
        return dynbi_fail(err, DYNB_CORRUPT, "an item is damaged");
    item.bytes = fill->item.bytes;
    item.size_bytes = (uint32_t)size;
    rc = dynbi_index_entry(&fill->index, item, 0, &fill->key, &fill->value, &is_there, err);
    if (rc != DYNB_OK || !is_there)
        return rc;
    memset(&entry, 0, sizeof entry);
    entry.key = fill->key.bytes;
    entry.key_size = (uint32_t)fill->key.used_bytes;
    entry.value = fill->value.bytes;
    entry.value_size = (uint32_t)fill->value.used_bytes;
    if (!dynbi_generation_reserve(fill->entries, 1, (uint64_t)entry.key_size + entry.value_size)) {
        if (!fill->entries->entry_count)
            return dynbi_fail(err, DYNB_NO_MEMORY, "no memory to fill an index");
        *is_full = 1;
        return DYNB_OK;
    }
    dynbi_generation_put(fill->entries, 0, &entry);
    return DYNB_OK;
}

/* Gathers entries, outside the lock; then the fold of them begins. */
static dynb_rc dynbi_fill_gather(dynbi_job *job, uint64_t budget_bytes, dynb_error *err)
{
    dynbi_fill *fill = job->fill;
    const dynbi_change *stored;
    dynbi_root nothing;
    uint64_t spent = 0;
    int is_full = 0;
    dynb_rc rc = DYNB_OK;
    while (rc == DYNB_OK && spent < budget_bytes && !is_full) {
        stored = dynbi_merge_current(&fill->items);
        is_full = !stored || fill->entries->used_bytes >= fill->entries_max;
        if (is_full) {
            fill->is_last = !stored;
            break;
        }
        spent += 128u + stored->key_size + stored->value_size;
        if (!stored->is_tombstone &&
            dynbi_key_compare(stored->key, stored->key_size, fill->last_key.bytes,
                              fill->last_key.used_bytes) != 0)
            rc = dynbi_fill_item(fill, stored, &is_full, err);
        if (rc != DYNB_OK || is_full)
            break;
        fill->last_key.used_bytes = 0;
        if (!dynbi_buffer_append(&fill->last_key, stored->key, stored->key_size))
            return dynbi_fail(err, DYNB_NO_MEMORY, "no memory for a key");
        rc = dynbi_merge_next(&fill->items, err);
    }
    if (rc != DYNB_OK || !is_full)
        return rc;
    fill->has_gathered = 1;
    dynbi_merge_free(&fill->items);
    fill->entries->frozen = 1;
    memset(&nothing, 0, sizeof nothing);
    job->view.newest = fill->entries;
    dynbi_job_prepare(job, 0);
    rc = dynbi_merge_init(&job->merge, &job->db->worker->reader, &job->view, err);
    if (rc == DYNB_OK)
        rc = dynbi_merge_seek(&job->merge, NULL, 0, 0, err);
    if (rc == DYNB_OK)
        rc = dynbi_fold_start(&job->fold, &nothing, err);
    return rc;
}

/* The piece becomes the index's oldest run; after the last the index is
 * ACTIVE. */
static dynb_rc dynbi_fill_publish(dynbi_job *job, const dynbi_root *root, dynb_error *err)
{
    dynbi_table *table = job->table;
    dynbi_fill *fill = job->fill;
    const uint32_t set = dynbi_table_find_set(table, job->set_id);
    dynb *db = job->db;
    dynbi_snapshot snapshot;
    dynbi_index *index;
    dynbi_runs runs;
    dynbi_run run;
    dynb_rc rc;
    if (table->is_dropped || set > table->index_count ||
        table->indexes[set - 1].status != DYNB_INDEX_CREATING)
        return DYNB_OK; /* nobody wants it any more */
    rc = dynbi_publish_open(db, table, &snapshot, err);
    if (rc != DYNB_OK)
        return rc;
    index = &snapshot.indexes[set - 1];
    memset(&run, 0, sizeof run);
    run.to_lsn = index->runs.count ? index->runs.run[index->runs.count - 1].from_lsn
                                   : table->folded_lsn;
    run.from_lsn = run.to_lsn; /* it tiles, and stands for no changes of its own */
    run.root = *root;
    run.is_counted = 1; /* no two pieces have an item in common */
    run.item_delta = root->entry_count;
    run.byte_delta = root->byte_count;
    index->fill_key = fill->last_key.bytes;
    index->fill_key_size = fill->last_key.used_bytes;
    if (fill->is_last) {
        index->status = DYNB_INDEX_ACTIVE;
        index->since_lsn = 0;
        index->fill_key_size = 0;
    }
    if (!dynbi_snapshot_define(&db->allocator, &snapshot, set) ||
        (root->page &&
         !dynbi_runs_replace(&db->allocator, &index->runs, index->runs.count, 0, &run, &runs)))
        rc = dynbi_fail(err, DYNB_NO_MEMORY, "no memory for a list of runs");
    else if (root->page)
        dynbi_snapshot_set_runs(&db->allocator, &snapshot, set, &runs);
    if (rc == DYNB_OK)
        rc = dynbi_publish(db, table, &snapshot, err);
    dynbi_snapshot_free(&db->allocator, &snapshot);
    return rc;
}

/* --- checkpoint --- */

/* Where recovery has to start reading: before the first change in memory. */
static dynbi_log_mark dynbi_checkpoint_mark(const dynb *db)
{
    dynbi_log_mark mark = db->log.tail;
    uint32_t i;
    for (i = 0; i < db->table_count; ++i) {
        const dynbi_generation *oldest = dynbi_table_oldest(db->tables[i]);
        if (oldest && oldest->first_mark.pos < mark.pos)
            mark = oldest->first_mark;
    }
    if (db->is_replaying && db->replay_mark.pos < mark.pos)
        mark = db->replay_mark;
    return mark;
}

static dynb_rc dynbi_checkpoint_start(dynbi_job *job, dynb_error *err)
{
    dynb *db = job->db;
    dynbi_table *catalog = &db->catalog;
    const dynbi_runs *runs = &catalog->sets[0];
    dynbi_root older;
    dynb_rc rc = dynbi_store_begin_writing(db, err);
    /* both as they are before a frame of keep_log enters the next segment */
    const dynbi_log_mark mark = dynbi_checkpoint_mark(db);
    const dynbi_segment segment = *dynbi_log_segment_at(&db->log, mark.pos);
    if (rc == DYNB_OK)
        rc = dynbi_history_keep_log(db, segment.first_pos, err);
    if (rc == DYNB_OK)
        rc = dynbi_log_flush(&db->log, err);
    if (rc != DYNB_OK)
        return rc;
    memset(&older, 0, sizeof older);
    if (runs->count)
        older = runs->run[0].root;
    if (catalog->newest && catalog->newest->entry_count)
        dynbi_store_freeze(db, catalog->newest);
    memset(&job->view, 0, sizeof job->view);
    job->view.newest = catalog->newest;
    job->super = db->super;
    job->super.sequence += 1;
    job->super.durable_lsn = db->log.tail.lsn;
    job->super.page_count = db->pages.page_count;
    job->super.log_mark = mark;
    job->super.log_segment = segment;
    job->super.catalog_lsn = db->log.tail.lsn;
    db->checkpoint_lsn = db->log.tail.lsn;
    return dynbi_job_start(job, DYNBI_JOB_CHECKPOINT, NULL, &older, 1, err);
}

/* Starts looking for free pages, from the checkpoint just made. */
static dynb_rc dynbi_mark_start(dynbi_worker *worker, dynb_error *err)
{
    dynb *db = worker->db;
    dynb_rc rc;
    if (worker->is_marking) {
        dynbi_merge_free(&worker->mark);
        dynbi_runs_free(&db->allocator, &worker->mark_view.runs);
        dynbi_pages_mark_abandon(&db->pages);
        worker->is_marking = 0;
    }
    memset(&worker->mark_view, 0, sizeof worker->mark_view);
    if (!dynbi_runs_copy(&db->allocator, &db->catalog.sets[0], &worker->mark_view.runs) ||
        !dynbi_pages_mark_begin(&db->pages)) {
        dynbi_runs_free(&db->allocator, &worker->mark_view.runs);
        return dynbi_fail(err, DYNB_NO_MEMORY, "no memory to find the free pages");
    }
    worker->is_marking = 1;
    dynbi_mark_log(db);
    dynbi_reader_limit(&worker->reader, db->pages.page_count);
    rc = dynbi_merge_init(&worker->mark, &worker->reader, &worker->mark_view, err);
    if (rc == DYNB_OK && worker->mark_view.runs.count)
        rc = dynbi_mark_tree(&db->pages, &worker->reader, &worker->mark_view.runs.run[0].root,
                             err);
    if (rc == DYNB_OK)
        rc = dynbi_merge_seek(&worker->mark, NULL, 0, 0, err);
    return rc;
}

static void dynbi_mark_stop(dynbi_worker *worker, int is_complete)
{
    dynb *db = worker->db;
    dynbi_merge_free(&worker->mark);
    dynbi_runs_free(&db->allocator, &worker->mark_view.runs);
    if (is_complete)
        dynbi_pages_mark_end(&db->pages);
    else
        dynbi_pages_mark_abandon(&db->pages);
    worker->is_marking = 0;
}

/* The checkpoint's nodes are durable; called outside the lock. */
static dynb_rc dynbi_checkpoint_write(dynbi_job *job, const dynbi_root *root)
{
    job->super.catalog_root = *root;
    return dynbi_superblock_write(job->db, &job->super);
}

static dynb_rc dynbi_checkpoint_publish(dynbi_job *job, dynb_error *err)
{
    dynb *db = job->db;
    dynbi_table *catalog = &db->catalog;
    dynbi_runs runs;
    dynbi_run run;
    memset(&run, 0, sizeof run);
    run.to_lsn = job->super.catalog_lsn;
    run.root = job->super.catalog_root;
    /* without memory the old run and generations just stay: they say the
     * same */
    if (!dynbi_runs_make(&db->allocator, 1, &runs))
        return dynbi_fail(err, DYNB_NO_MEMORY, "no memory for the catalog");
    runs.run[0] = run;
    dynbi_runs_free(&db->allocator, &catalog->sets[0]);
    catalog->sets[0] = runs;
    catalog->folded_lsn = job->super.catalog_lsn;
    dynbi_table_drop_folded(db, catalog);
    db->super = job->super;
    if (db->log.durable_lsn < job->super.durable_lsn)
        db->log.durable_lsn = job->super.durable_lsn;
    dynbi_log_trim(&db->log, job->super.log_segment.first_pos);
    db->checkpoint_pos = db->log.tail.pos;
    db->wants_space = 0;
    ++db->checkpoints_count;
    return DYNB_OK;
}

/* --- stepping --- */

/* Folds on, outside the lock; *is_done: *root is durable. */
static dynb_rc dynbi_job_fold(dynbi_job *job, uint64_t budget_bytes, dynbi_root *root,
                              int *is_done, dynb_error *err)
{
    dynb_rc rc;
    if (job->kind == DYNBI_JOB_FILL && !job->fill->has_gathered) {
        *is_done = 0;
        return dynbi_fill_gather(job, budget_bytes, err);
    }
    rc = dynbi_fold_step(&job->fold, budget_bytes, is_done, err);
    if (rc == DYNB_NO_SPACE && job->kind == DYNBI_JOB_TIDY && !job->fold.has_ended_early &&
        job->fold.has_change && job->fold.written_bytes) {
        job->table->fold_key.used_bytes = 0; /* only this job uses these now */
        job->table->fold_lsn = 0;
        if (dynbi_buffer_append(&job->table->fold_key, job->fold.change.key,
                                job->fold.change.key_size)) {
            dynbi_fold_end_early(&job->fold);
            rc = dynbi_fold_step(&job->fold, ~(uint64_t)0, is_done, err);
        }
    }
    if (rc != DYNB_OK || !*is_done)
        return rc;
    rc = dynbi_fold_finish(&job->fold, root, err);
    if (rc == DYNB_OK && job->kind == DYNBI_JOB_RUN && job->index_fold_count) {
        dynbi_root made = *root;
        rc = dynbi_run_next_set(job, &made, root, is_done, err);
        if (rc != DYNB_OK || !*is_done)
            return rc;
    }
    if (rc == DYNB_OK && dynbi_disk_sync(&job->db->disk) != DYNB_OK)
        job->fold.write_failed = 1;
    if (rc == DYNB_OK && job->kind == DYNBI_JOB_CHECKPOINT && !job->fold.write_failed &&
        dynbi_checkpoint_write(job, root) != DYNB_OK)
        job->fold.write_failed = 1;
    return rc;
}

static dynb_rc dynbi_job_step(dynbi_worker *worker, dynbi_job *job, uint64_t budget_bytes,
                              dynb_error *err)
{
    dynb *db = worker->db;
    dynbi_root root;
    int is_done = 0;
    uint64_t written = job->fold.written_bytes;
    dynbi_job_kind kind = job->kind;
    dynb_rc rc;
    memset(&root, 0, sizeof root);
    dynbi_worker_leave(worker);
    rc = dynbi_job_fold(job, budget_bytes, &root, &is_done, err);
    dynbi_worker_return(worker);
    db->written_bytes += job->fold.written_bytes - written;
    if (job->fold.write_failed)
        rc = dynbi_disk_fail(&db->disk, err);
    if (rc == DYNB_OK && !is_done)
        return DYNB_OK;
    dynbi_job_release(job);
    if (rc == DYNB_OK && kind == DYNBI_JOB_RUN)
        rc = dynbi_run_publish(job, &root, err);
    else if (rc == DYNB_OK && kind == DYNBI_JOB_TIDY)
        rc = dynbi_tidy_publish(job, &root, err);
    else if (rc == DYNB_OK && kind == DYNBI_JOB_FILL)
        rc = dynbi_fill_publish(job, &root, err);
    else if (rc == DYNB_OK)
        rc = dynbi_checkpoint_publish(job, err);
    if (rc == DYNB_CORRUPT && job->table)
        job->table->is_damaged = 1;
    if (rc == DYNB_NO_SPACE &&
        (kind == DYNBI_JOB_TIDY || kind == DYNBI_JOB_FILL)) { /* later, with more space */
        worker->tidy_lacked = dynbi_pages_free_count(&db->pages) + 1;
        rc = DYNB_OK;
    }
    dynbi_job_end(job);
    if (rc == DYNB_OK && kind == DYNBI_JOB_CHECKPOINT) {
        rc = dynbi_mark_start(worker, err);
        if (rc != DYNB_OK && worker->is_marking)
            dynbi_mark_stop(worker, 0);
    }
    return rc;
}

/* Marks what some records refer to, outside the lock. */
static dynb_rc dynbi_mark_step(dynbi_worker *worker, uint64_t budget_bytes, dynb_error *err)
{
    const dynbi_change *record = NULL;
    uint64_t spent = 0;
    int is_counted;
    dynb_rc rc = DYNB_OK;
    dynbi_worker_leave(worker);
    while (rc == DYNB_OK && spent < budget_bytes &&
           (record = dynbi_merge_current(&worker->mark)) != NULL) {
        spent += 4096;
        rc = dynbi_mark_record(&worker->db->pages, &worker->reader, record, &is_counted, err);
        if (rc == DYNB_OK)
            rc = dynbi_merge_next(&worker->mark, err);
    }
    record = dynbi_merge_current(&worker->mark);
    dynbi_worker_return(worker);
    if (rc != DYNB_OK || !record)
        dynbi_mark_stop(worker, rc == DYNB_OK);
    return rc;
}

/* --- counting --- */

static void dynbi_count_end(dynbi_worker *worker)
{
    dynbi_count *count = &worker->count;
    dynbi_table *table = count->table;
    if (!count->is_active)
        return;
    dynbi_tree_cursor_free(&count->cursor);
    dynbi_runs_free(&worker->db->allocator, &count->runs);
    memset(count, 0, sizeof *count);
    if (table) {
        --table->job_count;
        dynbi_store_release_table(worker->db, table);
    }
}

/* Starts counting the oldest run of a list that is not counted. */
static dynb_rc dynbi_count_start(dynbi_worker *worker, dynbi_table *table, uint64_t set_id,
                                 const dynbi_runs *runs, dynb_error *err)
{
    dynbi_count *count = &worker->count;
    uint32_t index = runs->count;
    dynbi_runs part;
    while (index > 0 && runs->run[index - 1].is_counted)
        --index;
    DYNBI_ASSERT(index > 0 && !count->is_active);
    part.count = runs->count - (index - 1);
    part.run = runs->run + (index - 1);
    memset(count, 0, sizeof *count);
    if (!dynbi_runs_copy(&worker->db->allocator, &part, &count->runs))
        return dynbi_fail(err, DYNB_NO_MEMORY, "no memory for a list of runs");
    count->is_active = 1;
    count->table = table;
    count->set_id = set_id;
    if (table)
        ++table->job_count;
    dynbi_reader_limit(&worker->reader, worker->db->pages.page_count);
    dynbi_tree_cursor_init(&count->cursor, &worker->reader);
    return dynbi_tree_seek(&count->cursor, &count->runs.run[0].root, NULL, 0, 0, err);
}

/* What one change of the run adds to the counts. */
static dynb_rc dynbi_count_change(dynbi_worker *worker, dynb_error *err)
{
    dynbi_count *count = &worker->count;
    const dynbi_change *change = &count->cursor.current;
    dynbi_found found;
    uint64_t weight = 0;
    uint32_t i;
    dynb_rc rc;
    found.is_there = 0;
    for (i = 1; i < count->runs.count && !found.is_there; ++i) {
        rc = dynbi_tree_get(&worker->reader, &count->runs.run[i].root, change->key,
                            change->key_size, &found, err);
        if (rc != DYNB_OK)
            return rc;
    }
    if (found.is_there) {
        if (!found.is_tombstone) {
            (void)dynbi_varint_load(found.value, found.value + found.value_size, &weight);
            count->item_delta -= 1;
            count->byte_delta -= weight;
        }
        dynbi_node_close(&worker->reader, &found.leaf);
    }
    if (!change->is_tombstone) {
        (void)dynbi_varint_load(change->value, change->value + change->value_size, &weight);
        count->item_delta += 1;
        count->byte_delta += weight;
    }
    return dynbi_tree_move(&count->cursor, 0, err);
}

/* Writes what was counted into a list of runs that has the run. */
static void dynbi_count_fill(const dynbi_count *count, dynbi_runs *runs)
{
    uint32_t i;
    for (i = 0; count->is_active && i < runs->count; ++i) {
        dynbi_run *run = &runs->run[i];
        if (dynbi_run_is(run, &count->runs.run[0])) {
            run->is_counted = 1;
            run->item_delta = count->item_delta;
            run->byte_delta = count->byte_delta;
        }
    }
}

/* Puts a run's count in place in its table, if that still has the run. */
static dynb_rc dynbi_count_publish(dynbi_worker *worker, dynb_error *err)
{
    dynbi_table *table = worker->count.table;
    dynb *db = worker->db;
    const uint32_t set = dynbi_table_find_set(table, worker->count.set_id);
    dynbi_snapshot snapshot;
    dynbi_runs runs;
    dynb_rc rc;
    if (set > table->index_count)
        return DYNB_OK; /* the index is gone */
    rc = dynbi_publish_open(db, table, &snapshot, err);
    if (rc == DYNB_OK && !dynbi_runs_copy(&db->allocator, dynbi_table_runs(table, set), &runs))
        rc = dynbi_fail(err, DYNB_NO_MEMORY, "no memory for a list of runs");
    if (rc == DYNB_OK) {
        dynbi_count_fill(&worker->count, &runs);
        dynbi_snapshot_set_runs(&db->allocator, &snapshot, set, &runs);
        rc = dynbi_publish(db, table, &snapshot, err);
    }
    dynbi_snapshot_free(&db->allocator, &snapshot);
    return rc;
}

/* Takes over what a table knows of a run. */
static void dynbi_count_take(const dynbi_table *table, dynbi_run *run)
{
    uint32_t set, i;
    for (set = 0; set <= table->index_count; ++set) {
        const dynbi_runs *runs = dynbi_table_runs(table, set);
        for (i = 0; i < runs->count; ++i) {
            if (runs->run[i].is_counted && dynbi_run_is(&runs->run[i], run)) {
                *run = runs->run[i];
                return;
            }
        }
    }
}

/* Takes over what is known of a backup's runs: from the count just made, and
 * from live tables that share them. */
static void dynbi_count_collect(dynbi_worker *worker, dynbi_runs *runs)
{
    const dynb *db = worker->db;
    uint32_t i, j;
    dynbi_count_fill(&worker->count, runs);
    if (worker->count.is_active) {
        dynbi_run *kept = &worker->counted[worker->counted_next++ % DYNBI_COUNTED_RUNS];
        *kept = worker->count.runs.run[0];
        kept->is_counted = 1;
        kept->item_delta = worker->count.item_delta;
        kept->byte_delta = worker->count.byte_delta;
    }
    for (i = 0; i < runs->count; ++i) {
        for (j = 0; !runs->run[i].is_counted && j < DYNBI_COUNTED_RUNS; ++j) {
            const dynbi_run *kept = &worker->counted[j];
            if (kept->is_counted && dynbi_run_is(kept, &runs->run[i]) &&
                kept->root.sum == runs->run[i].root.sum)
                runs->run[i] = *kept;
        }
        for (j = 0; !runs->run[i].is_counted && j < db->live_count; ++j)
            dynbi_count_take(db->tables[j], &runs->run[i]);
    }
}

/* Goes on with the first uncounted backup: writes its record when all its runs
 * are counted, else starts counting the next. */
static dynb_rc dynbi_count_backup(dynbi_worker *worker, dynb_error *err)
{
    dynb *db = worker->db;
    dynbi_pending as_pending;
    dynbi_snapshot snapshot;
    dynbi_record record;
    uint64_t items, bytes;
    uint32_t set;
    int is_there;
    dynb_rc rc;
    memset(&as_pending, 0, sizeof as_pending);
    as_pending.key = db->uncounted[0].key;
    as_pending.key_size = db->uncounted[0].size;
    rc = dynbi_catalog_get(db, as_pending.key, as_pending.key_size, &db->record, &is_there, err);
    if (rc != DYNB_OK)
        return rc;
    if (!is_there) {
        dynbi_store_forget_uncounted(db, 0);
        return DYNB_OK;
    }
    rc = dynbi_record_split(db->record.bytes, db->record.used_bytes, 1, &record, err);
    if (rc == DYNB_OK)
        rc = dynbi_snapshot_read(&db->allocator, &record, &snapshot, err);
    if (rc != DYNB_OK)
        return rc;
    for (set = 0; set <= snapshot.index_count; ++set)
        dynbi_count_collect(worker, set ? &snapshot.indexes[set - 1].runs : &snapshot.sets[0]);
    dynbi_count_end(worker);
    if (!dynbi_snapshot_total(&snapshot)) {
        for (set = 0; dynbi_runs_totals(dynbi_snapshot_runs(&snapshot, set), &items, &bytes);)
            ++set;
        rc = dynbi_count_start(worker, NULL, 0, dynbi_snapshot_runs(&snapshot, set), err);
        if (rc == DYNB_OK) /* what is known already need not be found out again */
            rc = dynbi_change_begin(db, err);
    } else {
        rc = dynbi_change_begin(db, err);
    }
    if (rc == DYNB_OK)
        rc = dynbi_publish_backup(db, &as_pending, &snapshot, 0, err);
    if (rc == DYNB_OK)
        rc = dynbi_change_commit(db, DYNB_BUFFERED, err);
    if (rc == DYNB_OK && !worker->count.is_active)
        dynbi_store_forget_uncounted(db, 0);
    dynbi_snapshot_free(&db->allocator, &snapshot);
    return rc;
}

static dynb_rc dynbi_count_step(dynbi_worker *worker, uint64_t budget_bytes, dynb_error *err)
{
    dynbi_count *count = &worker->count;
    uint64_t spent = 0;
    int is_done;
    dynb_rc rc = DYNB_OK;
    dynbi_worker_leave(worker);
    while (rc == DYNB_OK && spent < budget_bytes && count->cursor.is_at) {
        spent += 512;
        rc = dynbi_count_change(worker, err);
    }
    is_done = !count->cursor.is_at;
    dynbi_worker_return(worker);
    if (rc == DYNB_OK && !is_done)
        return DYNB_OK;
    if (rc == DYNB_OK && !count->table && worker->db->uncounted_count)
        return dynbi_count_backup(worker, err);
    if (rc == DYNB_OK && count->table && !count->table->is_dropped)
        rc = dynbi_count_publish(worker, err);
    if (rc == DYNB_CORRUPT && count->table)
        count->table->is_damaged = 1;
    else if (rc == DYNB_CORRUPT && worker->db->uncounted_count)
        dynbi_store_forget_uncounted(worker->db, 0); /* its counts stay what they were */
    dynbi_count_end(worker);
    return rc;
}

/* --- choosing what to do --- */

/* Nonzero: the log, the catalog's changes or the garbage have grown enough. */
static int dynbi_checkpoint_is_due(const dynb *db, int is_idle)
{
    const dynbi_generation *changes = db->catalog.newest;
    uint64_t log_limit = 4 * db->generation_max;
    if (db->log.tail.lsn == db->checkpoint_lsn)
        return 0;
    if (log_limit < 8 * (uint64_t)db->log.segment_bytes)
        log_limit = 8 * (uint64_t)db->log.segment_bytes;
    if (is_idle || db->wants_space || db->log.tail.pos - db->checkpoint_pos > log_limit)
        return 1;
    if (changes && changes->used_bytes > db->generation_max)
        return 1;
    return db->pages.given_since_mark > db->pages.page_count / 4;
}

/* The table whose oldest frozen generation is oldest, and that; or NULL. */
static dynbi_table *dynbi_worker_next_table(const dynb *db, const dynbi_generation **generation)
{
    dynbi_table *best = NULL;
    uint64_t best_pos = ~(uint64_t)0;
    uint32_t i;
    for (i = 0; i < db->table_count; ++i) {
        const dynbi_generation *oldest = dynbi_table_oldest(db->tables[i]);
        if (oldest && oldest->frozen && oldest->first_mark.pos < best_pos) {
            best = db->tables[i];
            best_pos = oldest->first_mark.pos;
            *generation = oldest;
        }
    }
    return best;
}

/* Nonzero: an index cannot be filled before a change of that time is folded. */
static int dynbi_table_waits(const dynbi_table *table, uint64_t first_lsn)
{
    uint32_t i;
    for (i = 0; i < table->index_count; ++i) {
        if (table->indexes[i].status == DYNB_INDEX_CREATING &&
            table->indexes[i].since_lsn >= first_lsn)
            return 1;
    }
    return 0;
}

/* Freezes what has to be folded: everything, or what would keep the log long;
 * everything, too, where memory is full and nothing waits to be folded. */
static void dynbi_worker_freeze(dynb *db, int freeze_all)
{
    const dynbi_generation *waiting = NULL;
    uint64_t limit = 3 * db->generation_max;
    uint32_t i;
    if (db->generation_bytes > db->generations_limit && !dynbi_worker_next_table(db, &waiting))
        freeze_all = 1;
    for (i = 0; i < db->table_count; ++i) {
        dynbi_generation *newest = db->tables[i]->newest;
        if (newest && newest->entry_count &&
            (freeze_all || db->log.tail.pos - newest->first_mark.pos > limit ||
             dynbi_table_waits(db->tables[i], newest->first_lsn)))
            dynbi_store_freeze(db, newest);
    }
}

/* A deleted table's changes behind its last marker are nobody's. */
static void dynbi_worker_prune(dynb *db, dynbi_table *table)
{
    uint64_t last = 0;
    uint32_t i;
    dynbi_generation **link = &table->newest;
    for (i = 0; i < db->pending_count; ++i) {
        if (db->pending[i].table == table)
            last = db->pending[i].lsn;
    }
    while (*link && ((*link)->entry_count == 0 || (*link)->first_lsn > last)) {
        dynbi_generation *generation = *link;
        *link = generation->next;
        dynbi_store_drop_generation(db, generation);
    }
}

/* Completes a backup whose changes are all folded already: replay may fold them
 * before it comes to the marker. */
static dynb_rc dynbi_worker_publish_pending(dynb *db, dynb_error *err)
{
    dynbi_snapshot snapshot;
    uint32_t i;
    dynb_rc rc;
    for (i = 0; i < db->pending_count; ++i) {
        dynbi_table *table = db->pending[i].table;
        if (db->is_replaying || table->folded_lsn > db->pending[i].lsn ||
            !dynbi_publish_completes(db, table, table->folded_lsn, db->pending[i].lsn))
            continue;
        rc = dynbi_publish_open(db, table, &snapshot, err);
        if (rc == DYNB_OK)
            rc = dynbi_publish(db, table, &snapshot, err);
        dynbi_snapshot_free(&db->allocator, &snapshot);
        return rc;
    }
    return DYNB_OK;
}

/* Takes an index that is DELETING away, unless a backup of the time before is
 * still being built. */
static dynb_rc dynbi_worker_remove_index(dynb *db, dynbi_table *table, uint32_t set,
                                         dynb_error *err)
{
    dynbi_snapshot snapshot;
    dynb_rc rc = dynbi_publish_open(db, table, &snapshot, err);
    if (rc == DYNB_OK) {
        dynbi_snapshot_remove(&db->allocator, &snapshot, set);
        rc = dynbi_publish(db, table, &snapshot, err);
    }
    dynbi_snapshot_free(&db->allocator, &snapshot);
    return rc;
}

static dynb_rc dynbi_worker_remove_indexes(dynb *db, dynb_error *err)
{
    uint32_t i, set;
    dynb_rc rc = DYNB_OK;
    for (i = 0; rc == DYNB_OK && !db->is_replaying && i < db->live_count; ++i) {
        dynbi_table *table = db->tables[i];
        for (set = 1; set <= table->index_count; ++set) {
            const dynbi_index *index = &table->indexes[set - 1];
            if (index->status == DYNB_INDEX_DELETING &&
                !dynbi_table_is_marked(db, table, 0, index->since_lsn)) {
                rc = dynbi_worker_remove_index(db, table, set, err);
                break;
            }
        }
    }
    return rc;
}

/* The index of a table that can be filled on: all that was written before it is
 * in the runs. 0: there is none. */
static uint32_t dynbi_table_to_fill(const dynb *db, const dynbi_table *table)
{
    uint32_t set;
    for (set = table->index_count; set > 0; --set) {
        const dynbi_index *index = &table->indexes[set - 1];
        if (index->status == DYNB_INDEX_CREATING &&
            dynbi_publish_completes(db, table, table->folded_lsn, index->since_lsn))
            break;
    }
    return set;
}

static dynb_rc dynbi_worker_start_urgent(dynbi_worker *worker, int is_idle, dynb_error *err)
{
    dynb *db = worker->db;
    dynbi_job *job = &worker->job[0];
    const dynbi_generation *generation = NULL;
    dynbi_table *table;
    uint32_t i;
    dynb_rc rc = DYNB_OK;
    for (i = db->live_count; i < db->table_count; ++i)
        dynbi_worker_prune(db, db->tables[i]);
    rc = dynbi_worker_publish_pending(db, err);
    if (rc == DYNB_OK)
        rc = dynbi_worker_remove_indexes(db, err);
    if (rc != DYNB_OK)
        return rc;
    worker->most_runs = 0;
    for (i = 0; i < db->live_count; ++i) {
        uint32_t set;
        for (set = 0; set <= db->tables[i]->index_count; ++set) {
            uint32_t count = dynbi_table_runs(db->tables[i], set)->count;
            if (count > worker->most_runs) {
                worker->most_runs = count;
                worker->most_sets = db->tables[i]->index_count + 1;
            }
        }
    }
    dynbi_worker_freeze(db, is_idle);
    if (dynbi_checkpoint_is_due(db, 0)) {
        rc = dynbi_checkpoint_start(job, err);
    } else {
        table = dynbi_worker_next_table(db, &generation);
        if (table && generation)
            rc = dynbi_run_start(job, table, generation, err);
    }
    if (rc != DYNB_OK)
        dynbi_job_end(job);
    return rc;
}

/* Starts counting what a table has not counted; or tidying where some set has
 * runs to fold. */
static dynb_rc dynbi_worker_start_table(dynbi_worker *worker, dynbi_table *table, int is_idle,
                                        int may_tidy, dynb_error *err)
{
    dynbi_job *job = &worker->job[1];
    uint32_t set, first, length;
    uint64_t items, bytes;
    dynb_rc rc;
    for (set = 0; is_idle && table->has_uncounted && set <= table->index_count; ++set) {
        const dynbi_index *index = set ? &table->indexes[set - 1] : NULL;
        if ((index && index->status != DYNB_INDEX_ACTIVE) ||
            dynbi_runs_totals(dynbi_table_runs(table, set), &items, &bytes))
            continue;
        rc = dynbi_count_start(worker, table, index ? index->id : 0, dynbi_table_runs(table, set),
                               err);
        if (rc != DYNB_OK)
            dynbi_count_end(worker);
        return rc;
    }
    for (set = 0; may_tidy && set <= table->index_count; ++set) {
        /* a restored table that was not written since shares all its runs, but
         * those of indexes added later: folding them would copy it */
        if (table->folded_lsn < dynbi_table_lsn(table) &&
            (!set || table->indexes[set - 1].id <= DYNBI_INDEXES_MAX))
            continue;
        if (!dynbi_runs_choose(dynbi_table_runs(table, set), is_idle, &first, &length) ||
            !dynbi_tidy_fits(worker->db, table, set, first, length))
            continue;
        rc = dynbi_tidy_start(job, table, set, first, length, err);
        if (rc != DYNB_OK)
            dynbi_job_end(job);
        return rc;
    }
    set = may_tidy && table->index_count ? dynbi_table_to_fill(worker->db, table) : 0;
    rc = set ? dynbi_fill_start(job, table, set, err) : DYNB_OK;
    if (rc != DYNB_OK)
        dynbi_job_end(job);
    return rc;
}

/* Starts what can wait, or (*has_worked) does it at once. */
static dynb_rc dynbi_worker_start_background(dynbi_worker *worker, int is_idle, int *has_worked,
                                             dynb_error *err)
{
    dynb *db = worker->db;
    uint32_t i;
    int may_tidy = dynbi_pages_free_count(&db->pages) >= worker->tidy_lacked;
    dynb_rc rc = DYNB_OK;
    if (may_tidy)
        worker->tidy_lacked = 0;
    if (worker->sweep.phase || dynbi_sweep_is_due(db, 1)) {
        *has_worked = 1;
        return dynbi_sweep_step(db, &worker->sweep, err);
    }
    for (i = 0; i < db->live_count; ++i) {
        if (db->tables[i]->is_damaged)
            continue;
        rc = dynbi_worker_start_table(worker, db->tables[i], is_idle, may_tidy, err);
        if (rc != DYNB_OK || worker->job[1].kind || worker->count.is_active)
            return rc;
    }
    db->tidy_is_due = 0;
    if (is_idle && db->uncounted_count) {
        rc = dynbi_count_backup(worker, err);
        if (rc != DYNB_OK)
            dynbi_count_end(worker);
        *has_worked = 1;
    }
    return rc;
}

/* Ends work in the background whose table or index is gone: the pages it reads
 * may soon be given out again. */
static void dynbi_worker_give_up(dynbi_worker *worker)
{
    dynbi_job *job = &worker->job[1];
    const dynbi_count *count = &worker->count;
    if (job->kind && (job->table->is_dropped ||
                      dynbi_table_find_set(job->table, job->set_id) > job->table->index_count))
        dynbi_job_end(job);
    if (count->is_active && count->table &&
        (count->table->is_dropped ||
         dynbi_table_find_set(count->table, count->set_id) > count->table->index_count))
        dynbi_count_end(worker);
}

#define DYNBI_RUNS_MANY 12u /* from here on tidying takes turns with urgent work */

/* One step, with the lock held at both ends. *has_worked zero: there was
 * nothing to do. is_idle: no changes are coming, so do what can wait, too. */
static dynb_rc dynbi_worker_one_step(dynbi_worker *worker, uint64_t budget_bytes, int is_idle,
                                      int *has_worked, dynb_error *err)
{
    dynb *db = worker->db;
    dynbi_job *urgent = &worker->job[0], *background = &worker->job[1];
    dynb_rc rc = DYNB_OK;
    *has_worked = 1;
    dynbi_worker_give_up(worker);
    if (!urgent->kind)
        rc = dynbi_worker_start_urgent(worker, is_idle, err);
    if (rc == DYNB_OK && worker->most_runs > DYNBI_RUNS_MANY) {
        if (!background->kind && !worker->count.is_active)
            rc = dynbi_worker_start_background(worker, 0, has_worked, err);
        worker->turn = (worker->turn + 1) % (worker->most_sets + 1);
        /* nothing may be published between a checkpoint's cut and its
         * marking */
        if (rc == DYNB_OK && background->kind && worker->turn &&
            urgent->kind != DYNBI_JOB_CHECKPOINT)
            return dynbi_job_step(worker, background, budget_bytes, err);
    }
    if (rc == DYNB_OK && urgent->kind)
        return dynbi_job_step(worker, urgent, budget_bytes, err);
    if (rc == DYNB_OK && worker->is_marking)
        return dynbi_mark_step(worker, budget_bytes, err);
    *has_worked = 0;
    if (rc == DYNB_OK && !background->kind && !worker->count.is_active)
        rc = dynbi_worker_start_background(worker, is_idle, has_worked, err);
    if (rc != DYNB_OK || *has_worked)
        return rc;
    *has_worked = 1;
    if (worker->count.is_active)
        return dynbi_count_step(worker, budget_bytes, err);
    if (rc == DYNB_OK && background->kind)
        return dynbi_job_step(worker, background, budget_bytes, err);
    if (rc == DYNB_OK && is_idle && dynbi_checkpoint_is_due(db, 1)) {
        rc = dynbi_checkpoint_start(urgent, err);
        if (rc != DYNB_OK)
            dynbi_job_end(urgent);
        return rc;
    }
    *has_worked = 0;
    return rc;
}

/* As above, but one thread at a time, and space is looked for where it
 * lacks. */
static dynb_rc dynbi_worker_step(dynb *db, uint64_t budget_bytes, int is_idle, int *has_worked,
                                  dynb_error *err)
{
    dynbi_worker *worker = db->worker;
    const uint64_t folds = db->folds_count;
    uint32_t free_before;
    dynb_rc rc;
    *has_worked = 0;
#if defined(DYNBACKUP_PTHREADS)
    while (worker->is_busy)
        pthread_cond_wait(&db->work_done, &db->lock);
#endif
    if (db->config.read_only || db->disk.has_failed)
        return dynbi_store_begin_writing(db, err);
    worker->is_busy = 1;
    free_before = dynbi_pages_free_count(&db->pages);
    rc = dynbi_worker_one_step(worker, budget_bytes, is_idle, has_worked, err);
    if (rc == DYNB_NO_SPACE && !worker->space_is_short &&
        db->log.tail.lsn != db->checkpoint_lsn) {
        db->wants_space = 1; /* a checkpoint may free some */
        worker->space_is_short = 1;
        *has_worked = 1;
        rc = DYNB_OK;
    } else if (rc == DYNB_OK && dynbi_pages_free_count(&db->pages) > free_before) {
        worker->space_is_short = 0;
    }
    if (rc == DYNB_NO_MEMORY && worker->memory_tries < 3) {
        dynbi_store_drop_opened(db); /* caches are worth less than going on */
        dynbi_pool_trim(&db->pool);
        dynbi_reader_trim(&db->reader);
        dynbi_reader_trim(&worker->reader);
        dynbi_job_end(&worker->job[1]); /* can be begun again */
        ++worker->memory_tries;
        *has_worked = 1;
        rc = DYNB_OK;
    } else if (rc != DYNB_OK || db->folds_count != folds) {
        worker->memory_tries = 0;
    }
    worker->is_busy = 0;
#if defined(DYNBACKUP_PTHREADS)
    pthread_cond_broadcast(&db->work_done);
#endif
    return rc;
}

/* Waits until nobody steps; the lock stays held from here on. */
static void dynbi_worker_still(dynb *db)
{
#if defined(DYNBACKUP_PTHREADS)
    while (db->worker->is_busy)
        pthread_cond_wait(&db->work_done, &db->lock);
#else
    (void)db;
#endif
}

/* A change met NO_MEMORY or NO_SPACE: makes room. Zero: there is none to
 * make. */
static int dynbi_worker_relieve(dynb *db, dynb_rc problem)
{
    const uint64_t held = db->generation_bytes;
    const uint32_t free_pages = dynbi_pages_free_count(&db->pages);
    int has_worked, attempt;
    if (db->config.read_only || db->disk.has_failed)
        return 0;
    dynbi_worker_still(db);
    dynbi_reader_trim(&db->worker->reader);
    if (problem == DYNB_NO_MEMORY)
        dynbi_job_end(&db->worker->job[1]); /* can be begun again */
    for (attempt = 0; attempt < 2; ++attempt) { /* what waits, then all there is */
        const uint64_t folds = db->folds_count;
        if (attempt)
            dynbi_worker_freeze(db, 1);
        db->wants_space = attempt || problem == DYNB_NO_SPACE; /* frees catalog changes, too */
        for (has_worked = 1; has_worked;) {
            if (dynbi_worker_step(db, (uint64_t)1 << 20, attempt || problem == DYNB_NO_SPACE,
                                  &has_worked, NULL) != DYNB_OK)
                return 0;
            if (problem == DYNB_NO_MEMORY && db->generation_bytes < held)
                return 1;
            if (problem == DYNB_NO_SPACE && !db->worker->is_marking &&
                dynbi_pages_free_count(&db->pages) > free_pages)
                return 1;
        }
        if (attempt && problem == DYNB_NO_MEMORY && db->folds_count != folds)
            return 1; /* fewer runs: a read needs less */
    }
    return 0;
}

static dynb_rc dynbi_worker_open(dynb *db, dynb_error *err)
{
    dynbi_worker *worker = (dynbi_worker *)dynbi_allocate(&db->allocator, sizeof *worker);
    uint32_t i;
    uint64_t cache = db->memory.budget_bytes / 16;
    if (!worker)
        return dynbi_fail(err, DYNB_NO_MEMORY, "no memory for the worker");
    memset(worker, 0, sizeof *worker);
    db->worker = worker;
    worker->db = db;
    worker->allocator.resize_fn = dynbi_worker_resize;
    worker->allocator.ctx = worker;
    worker->sweep.at.allocator = &db->allocator;
    for (i = 0; i < DYNBI_FOLD_SLOTS; ++i) {
        worker->job[i].db = db;
        worker->job[i].slot = i;
    }
    if (cache > (uint64_t)8 << 20)
        cache = (uint64_t)8 << 20;
    return dynbi_reader_init(&worker->reader, &db->disk, &worker->allocator, cache,
                             db->node_bytes, err);
}

static void dynbi_worker_close(dynb *db)
{
    dynbi_worker *worker = db->worker;
    uint32_t i;
    if (!worker)
        return;
    for (i = 0; i < DYNBI_FOLD_SLOTS; ++i)
        dynbi_job_end(&worker->job[i]);
    dynbi_count_end(worker);
    if (worker->is_marking)
        dynbi_mark_stop(worker, 0);
    dynbi_buffer_free(&worker->sweep.at);
    dynbi_reader_free(&worker->reader);
    dynbi_free(&db->allocator, worker, sizeof *worker);
    db->worker = NULL;
}

/* --- restoring to a point in time ---
 *
 * The newest base that is not after the time, then the table's changes in the
 * log from there, gathered in a generation of its own that becomes a run
 * whenever it is full, then one frame with the new table. Until that frame
 * nothing refers to what was written, so a crash or a failure leaves nothing
 * behind but pages that the next marking frees.
 *
 * It takes the worker's place: nobody else steps meanwhile, so no fold is
 * published, no log is left behind and no page is freed. The lock is left while
 * the log is read and folded; the worker's reader and allocator are used.
 *
 * The new table's indexes are those the source has now; they start empty, as a
 * new index on a live table does, and the worker fills them. */

typedef struct dynbi_rebuild {
    dynb *db;
    dynbi_worker *worker;
    dynbi_table *source;
    uint64_t source_id; /* for use outside the lock */
    uint64_t time_ms;
    dynbi_base base;         /* its snapshot's items become the new table's */
    dynbi_snapshot snapshot; /* what becomes the new table's */
    dynbi_pool pool;
    dynbi_generation *generation;
    dynbi_log log; /* the part being read */
    dynbi_log_scan scan;
    uint64_t written_bytes;
    int write_failed;
} dynbi_rebuild;

static void dynbi_rebuild_free(dynbi_rebuild *rebuild)
{
    const dynb_allocator *allocator = &rebuild->worker->allocator;
    dynbi_snapshot_free(allocator, &rebuild->base.snapshot);
    dynbi_snapshot_free(allocator, &rebuild->snapshot);
    dynbi_generation_free(rebuild->generation);
    dynbi_pool_free(&rebuild->pool);
    dynbi_log_scan_free(&rebuild->scan);
    dynbi_free(allocator, rebuild->log.segments,
               rebuild->log.segment_capacity * sizeof(dynbi_segment));
}

/* A fixed-size device keeps room for what must go on. Called outside the
 * lock. */
static uint32_t dynbi_rebuild_allocate(void *ctx, uint32_t page_count)
{
    dynb *db = (dynb *)ctx;
    uint32_t page = DYNBI_PAGE_NONE;
    dynbi_lock(db);
    if (db->disk.device.resize_fn ||
        dynbi_pages_free_count(&db->pages) >= page_count + dynbi_store_headroom(db))
        page = dynbi_store_allocate(db, page_count, DYNBI_NO_SLOT);
    dynbi_unlock(db);
    return page;
}

/* Takes over the live snapshot if it is not after the time; else finds a base
 * in the catalog. */
static dynb_rc dynbi_rebuild_start(dynbi_rebuild *rebuild, dynb_error *err)
{
    const dynbi_table *table = rebuild->source;
    const dynbi_generation *oldest = dynbi_table_oldest(table);
    dynb *db = rebuild->db;
    dynbi_base *base = &rebuild->base;
    dynbi_runs runs;
    int is_there;
    dynb_rc rc;
    if (table->folded_time_ms > rebuild->time_ms) {
        rc = dynbi_base_find(db, table, rebuild->time_ms, 0, base, &is_there, err);
        if (rc == DYNB_OK && (!is_there || base->end_pos <= base->mark.pos))
            rc = dynbi_fail(err, DYNB_CORRUPT, "the history of table %s is damaged", table->name);
        return rc;
    }
    if (!dynbi_runs_copy(&db->allocator, &table->sets[0], &runs))
        return dynbi_fail(err, DYNB_NO_MEMORY, "no memory for a list of runs");
    dynbi_table_snapshot(table, &base->snapshot);
    base->snapshot.index_count = 0;
    dynbi_snapshot_set_runs(&db->allocator, &base->snapshot, 0, &runs);
    base->mark = oldest ? oldest->first_mark : db->log.tail;
    base->end_pos = db->log.tail.pos;
    base->segment = *dynbi_log_segment_at(&db->log, base->mark.pos);
    return DYNB_OK;
}

/* Folds the generation to a tree. */
static dynb_rc dynbi_rebuild_fold_tree(dynbi_rebuild *rebuild, dynbi_root *root, dynb_error *err)
{
    const dynbi_runs *runs = &rebuild->base.snapshot.sets[0];
    dynbi_worker *worker = rebuild->worker;
    dynb *db = rebuild->db;
    uint64_t chunk = db->memory.budget_bytes / 64;
    dynbi_fold fold;
    dynbi_merge merge;
    dynbi_view view;
    dynbi_root nothing;
    uint32_t i;
    int is_done;
    dynb_rc rc;
    memset(&nothing, 0, sizeof nothing);
    memset(&fold, 0, sizeof fold);
    memset(&view, 0, sizeof view);
    view.newest = rebuild->generation;
    fold.allocator = &worker->allocator;
    fold.reader = &worker->reader;
    fold.drop_tombstones = 1;
    for (i = 0; i < runs->count; ++i)
        fold.drop_tombstones = fold.drop_tombstones && !runs->run[i].root.page;
    fold.output.disk = &db->disk;
    fold.output.node_bytes = db->node_bytes;
    chunk = chunk > (uint64_t)256 << 10 ? (uint64_t)256 << 10 : chunk;
    fold.output.chunk_bytes = chunk < db->node_bytes ? db->node_bytes : (uint32_t)chunk;
    fold.output.allocate_fn = dynbi_rebuild_allocate;
    fold.output.ctx = db;
    fold.next_fn = dynbi_merge_feed;
    fold.next_ctx = &merge;
    rc = dynbi_merge_init(&merge, &worker->reader, &view, err);
    if (rc == DYNB_OK)
        rc = dynbi_merge_seek(&merge, NULL, 0, 0, err);
    if (rc == DYNB_OK)
        rc = dynbi_fold_start(&fold, &nothing, err);
    if (rc == DYNB_OK)
        rc = dynbi_fold_step(&fold, ~(uint64_t)0, &is_done, err);
    if (rc == DYNB_OK)
        rc = dynbi_fold_finish(&fold, root, err);
    rebuild->write_failed |= fold.write_failed;
    rebuild->written_bytes += fold.written_bytes;
    dynbi_fold_free(&fold);
    dynbi_merge_free(&merge);
    return rc;
}

/* Makes what was gathered the newest run. */
static dynb_rc dynbi_rebuild_fold(dynbi_rebuild *rebuild, dynb_error *err)
{
    dynbi_snapshot *snapshot = &rebuild->base.snapshot;
    dynbi_generation *generation = rebuild->generation;
    const dynb_allocator *allocator = &rebuild->worker->allocator;
    dynbi_runs runs;
    dynbi_run run;
    dynb_rc rc;
    if (!generation || !generation->entry_count)
        return DYNB_OK;
    memset(&run, 0, sizeof run);
    run.from_lsn = snapshot->folded_lsn;
    run.to_lsn = generation->last_lsn;
    rc = dynbi_rebuild_fold_tree(rebuild, &run.root, err);
    if (rc == DYNB_OK &&
        !dynbi_runs_replace(allocator, &snapshot->sets[0], 0, 0, &run, &runs))
        rc = dynbi_fail(err, DYNB_NO_MEMORY, "no memory for a list of runs");
    if (rc != DYNB_OK)
        return rc;
    if (runs.count == 1) {
        runs.run[0].is_counted = 1;
        runs.run[0].item_delta = run.root.entry_count;
        runs.run[0].byte_delta = run.root.byte_count;
    }
    dynbi_snapshot_set_runs(allocator, snapshot, 0, &runs);
    snapshot->folded_lsn = generation->last_lsn;
    snapshot->folded_time_ms = generation->last_time_ms;
    dynbi_generation_free(generation);
    rebuild->generation = NULL;
    return DYNB_OK;
}

/* Room for a frame's changes of the table; what was gathered makes way. */
static dynb_rc dynbi_rebuild_reserve(dynbi_rebuild *rebuild, uint32_t count, uint64_t bytes,
                                     dynb_error *err)
{
    dynb_rc rc = DYNB_OK;
    uint32_t attempt;
    if (rebuild->generation && rebuild->generation->used_bytes >= rebuild->db->generation_max)
        rc = dynbi_rebuild_fold(rebuild, err);
    for (attempt = 0; rc == DYNB_OK && attempt < 2; ++attempt) {
        if (!rebuild->generation)
            rebuild->generation = dynbi_generation_new(&rebuild->pool, 1);
        if (rebuild->generation && dynbi_generation_reserve(rebuild->generation, count, bytes))
            return DYNB_OK;
        rc = dynbi_rebuild_fold(rebuild, err);
    }
    return rc == DYNB_OK ? dynbi_fail(err, DYNB_NO_MEMORY,
                                      "no memory to replay %u bytes of changes", bytes)
                         : rc;
}

/* Takes in a frame: once through it to count, once to apply. */
static dynb_rc dynbi_rebuild_frame(dynbi_rebuild *rebuild, const dynbi_frame *frame,
                                   dynb_error *err)
{
    const uint8_t *at, *end = frame->payload + frame->payload_size;
    uint64_t bytes = 0, id = 0, set = 0;
    uint32_t count = 0;
    dynbi_change change;
    dynbi_op op;
    dynb_rc rc;
    for (at = frame->payload; at < end;) {
        if (!dynbi_op_read(frame->payload, &at, end, &op, &id, &set))
            return dynbi_fail(err, DYNB_CORRUPT, "a log record is malformed");
        if (id == rebuild->source_id && !set) {
            bytes += (uint64_t)op.key_size + op.value_size;
            ++count;
        }
    }
    if (!count)
        return DYNB_OK;
    rc = dynbi_rebuild_reserve(rebuild, count, bytes, err);
    if (rc != DYNB_OK)
        return rc;
    for (at = frame->payload; at < end;) {
        (void)dynbi_op_read(frame->payload, &at, end, &op, &id, &set);
        if (id != rebuild->source_id || set)
            continue;
        change.key = frame->payload + op.key_pos;
        change.key_size = op.key_size;
        change.value = change.key + op.key_size;
        change.value_size = op.value_size;
        change.is_tombstone = op.is_tombstone;
        dynbi_generation_put(rebuild->generation, 0, &change);
    }
    rebuild->generation->last_lsn = frame->lsn;
    rebuild->generation->last_time_ms = frame->time_ms;
    return DYNB_OK;
}

/* Prepares reading the log from the base's mark on; with the lock. */
static dynb_rc dynbi_rebuild_open_log(dynbi_rebuild *rebuild, dynb_error *err)
{
    dynb *db = rebuild->db;
    dynbi_log *log = &rebuild->log;
    dynbi_log_scan *scan = &rebuild->scan;
    log->disk = &db->disk;
    log->allocator = &rebuild->worker->allocator;
    memcpy(log->store_id, db->log.store_id, sizeof log->store_id);
    log->buffer_bytes = db->log.buffer_bytes;
    dynbi_scan_start(db, scan, log);
    scan->buffer.allocator = log->allocator;
    scan->at = rebuild->base.mark;
    scan->seed = dynbi_log_seed(log->store_id, scan->at.epoch);
    scan->end_pos = rebuild->base.end_pos;
    scan->verify = scan->follow = 1;
    return db->epoch && !db->disk.has_failed ? dynbi_log_flush(&db->log, err) : DYNB_OK;
}

/* Reads the log and takes in what is not after the time. */
static dynb_rc dynbi_rebuild_replay(dynbi_rebuild *rebuild, dynb_error *err)
{
    dynbi_log *log = &rebuild->log;
    dynbi_log_scan *scan = &rebuild->scan;
    dynbi_frame frame;
    int is_good, is_end = 0;
    dynb_rc rc;
    if (scan->at.pos == scan->end_pos)
        return DYNB_OK;
    if (!dynbi_log_list_reserve(log))
        return dynbi_fail(err, DYNB_NO_MEMORY, "no memory for the list of log segments");
    scan->next = log->segments[0] = rebuild->base.segment;
    scan->any_chain = 1;
    rc = dynbi_log_read_head(scan, rebuild->base.segment.first_pos, &is_good, err);
    scan->any_chain = 0;
    is_end = !is_good || scan->at.pos < log->segments[0].first_pos ||
             scan->at.pos >= scan->end_pos; /* a base may say anything */
    while (rc == DYNB_OK && !is_end && scan->at.pos < scan->end_pos) {
        rc = dynbi_log_scan_next(scan, &frame, &is_end, err);
        if (rc != DYNB_OK || is_end || frame.time_ms > rebuild->time_ms)
            break;
        if (frame.kind == DYNBI_FRAME_CHANGES)
            rc = dynbi_rebuild_frame(rebuild, &frame, err);
        dynbi_log_trim(log, dynbi_log_segment_at(log, scan->at.pos)->first_pos);
    }
    if (rc == DYNB_OK && is_end)
        rc = dynbi_fail(err, DYNB_CORRUPT,
                        "the log kept for point-in-time recovery is damaged after change %u",
                        scan->at.lsn);
    return rc;
}

/* All that is done outside the lock. */
static dynb_rc dynbi_rebuild_work(dynbi_rebuild *rebuild, dynb_error *err)
{
    dynb *db = rebuild->db;
    dynb_rc rc;
    dynbi_worker_leave(rebuild->worker);
    rc = dynbi_rebuild_replay(rebuild, err);
    if (rc == DYNB_OK)
        rc = dynbi_rebuild_fold(rebuild, err);
    if (rc == DYNB_OK && dynbi_disk_sync(&db->disk) != DYNB_OK)
        rebuild->write_failed = 1;
    dynbi_worker_return(rebuild->worker);
    db->written_bytes += rebuild->written_bytes;
    return rebuild->write_failed ? dynbi_disk_fail(&db->disk, err) : rc;
}

/* Logs the new table: the source's settings as they are now, but those that no
 * restore brings back. */
static dynb_rc dynbi_rebuild_log(dynbi_rebuild *rebuild, const char *name,
                                 dynb_table_description *table, dynb_error *err)
{
    dynb *db = rebuild->db;
    dynbi_snapshot *snapshot = &rebuild->snapshot, *past = &rebuild->base.snapshot;
    char arn[DYNB_NAME_MAX + DYNBI_ARN_ROOM];
    char uuid[DYNBI_UUID_SIZE], label[32];
    uint32_t set;
    dynb_rc rc = DYNB_OK;
    snapshot->folded_lsn = past->folded_lsn;
    snapshot->folded_time_ms = past->folded_time_ms;
    if (!dynbi_runs_totals(&past->sets[0], &snapshot->item_count, &snapshot->size_bytes)) {
        snapshot->item_count = past->item_count;
        snapshot->size_bytes = past->size_bytes;
    }
    dynbi_snapshot_set_runs(&db->allocator, snapshot, 0, &past->sets[0]);
    past->owns_runs = 0;
    for (set = 1; set <= snapshot->index_count; ++set) {
        snapshot->indexes[set - 1].status = DYNB_INDEX_CREATING;
        snapshot->indexes[set - 1].since_lsn = db->log.tail.lsn + 1;
        if (!dynbi_snapshot_define(&db->allocator, snapshot, set))
            return dynbi_fail(err, DYNB_NO_MEMORY, "no memory for an index");
    }
    (void)dynbi_table_arn(db, rebuild->source->name, arn, sizeof arn);
    dynbi_restore_settings(table, name, arn);
    dynbi_table_baptize(db, table, uuid, label);
    rc = dynbi_settings_make(&db->value, dynbi_table_number(db->log.tail.lsn, 0), table, NULL, 0,
                             err);
    if (rc == DYNB_OK)
        rc = dynbi_table_log(db, name, dynbi_length(name), snapshot, err);
    return rc == DYNB_OK ? dynbi_change_commit(db, db->config.durability, err) : rc;
}

/* The source of a restore, by whichever of the two names it was given. */
static dynb_rc dynbi_rebuild_source(dynb *db, const dynb_restore_to_time_input *input,
                                    dynbi_table **source, dynb_error *err)
{
    const char *arn = input->source_table_arn, *at = arn, *part, *name;
    size_t length, i;
    if (!arn)
        return dynbi_table_find(db, input->source_table_name, DYNB_TABLE_NOT_FOUND, source, err);
    for (i = 0; i < 4; ++i)
        (void)dynbi_arn_part(&at, ':', &part);
    length = dynbi_arn_part(&at, ':', &part);
    if (dynbi_text_starts(arn, "arn:") && length == 12 &&
        !dynbi_part_is(part, length, db->account))
        return dynbi_fail(err, DYNB_VALIDATION,
                          "This action is only supported by accounts that match the resource "
                          "owner\342\200\231s account.");
    if (!dynbi_text_starts(arn, "arn:") ||
        dynbi_table_name(db, arn, &name, &length, NULL) != DYNB_OK)
        return dynbi_fail(err, DYNB_VALIDATION,
                          "One or more parameter values were invalid: sourceTableArn is not a "
                          "valid ARN");
    *source = dynbi_store_find_table(db, name, length);
    return *source ? DYNB_OK : dynbi_fail(err, DYNB_TABLE_NOT_FOUND, "Table not found");
}

/* The new table's settings and indexes: the source's, overridden. */
static dynb_rc dynbi_rebuild_override(dynbi_rebuild *rebuild,
                                      const dynb_restore_overrides *with,
                                      dynb_table_description *table, dynb_error *err)
{
    const dynbi_table *source = rebuild->source;
    dynbi_snapshot *snapshot = &rebuild->snapshot;
    dynb *db = rebuild->db;
    uint32_t i;
    dynb_rc rc = dynbi_restore_override(with, &table->settings, err);
    if (rc != DYNB_OK)
        return rc;
    if (!dynbi_snapshot_open(&db->allocator, snapshot, source->index_count))
        return dynbi_fail(err, DYNB_NO_MEMORY, "no memory for indexes");
    for (i = 0; i < source->index_count; ++i) {
        dynbi_index *index = &snapshot->indexes[snapshot->index_count];
        if (source->indexes[i].status == DYNB_INDEX_DELETING)
            continue;
        *index = source->indexes[i];
        memset(&index->runs, 0, sizeof index->runs);
        index->item_count = index->size_bytes = 0;
        index->fill_key = NULL;
        index->fill_key_size = 0;
        ++snapshot->index_count;
    }
    return dynbi_restore_indexes(db, with, table->settings.billing_mode, snapshot, err);
}

static dynb_rc dynbi_rebuild_check_target(dynb *db, const char *name, dynb_error *err)
{
    dynb_rc rc = dynbi_restore_check_target(db, name, err);
    if (rc == DYNB_OK)
        rc = dynbi_tables_check(db, 1, err);
    return rc == DYNB_OK ? dynbi_busy_check(db, 1, 1, err) : rc;
}

/* Contract 1.6: the source, recovery, the time, overrides, the target, in this
 * order. */
static dynb_rc dynbi_rebuild_check(dynbi_rebuild *rebuild,
                                   const dynb_restore_to_time_input *input,
                                   dynb_table_description *table, dynb_error *err)
{
    const uint64_t now_ms = dynbi_store_time(rebuild->db);
    uint64_t earliest, latest;
    dynb *db = rebuild->db;
    dynbi_table *source;
    char text[3][32];
    dynb_rc rc = dynbi_rebuild_source(db, input, &source, err);
    if (rc == DYNB_OK)
        rc = dynbi_history_settings(source, table, err);
    if (rc != DYNB_OK)
        return rc;
    if (!source->recovery_days)
        return dynbi_fail(err, DYNB_POINT_IN_TIME_RECOVERY_UNAVAILABLE,
                          "Point in time recovery is not enabled for table '%s'", source->name);
    earliest = dynbi_history_earliest(table, now_ms);
    latest = dynbi_history_latest(db, table, now_ms);
    rebuild->source = source;
    rebuild->source_id = source->id;
    rebuild->time_ms = input->use_latest_time ? latest : input->restore_time_ms;
    if (rebuild->time_ms < earliest || rebuild->time_ms > latest) {
        dynbi_time_text(rebuild->time_ms, text[0]);
        dynbi_time_text(earliest, text[1]);
        dynbi_time_text(latest, text[2]);
        return dynbi_fail(err, DYNB_INVALID_RESTORE_TIME,
                          "RestoreDateTime '%tZ' must be within EarliestRestorableDateTime '%tZ' "
                          "and LatestRestorableDateTime '%tZ'",
                          text[0], dynbi_length(text[0]) - 4, text[1], dynbi_length(text[1]) - 4,
                          text[2], dynbi_length(text[2]) - 4);
    }
    rc = dynbi_rebuild_override(rebuild, &input->overrides, table, err);
    dynbi_snapshot_free(&db->allocator, &rebuild->snapshot); /* made again at the end */
    if (rc != DYNB_OK)
        return rc;
    return dynbi_rebuild_check_target(db, input->target_table_name, err);
}

/* Makes the table of what was rebuilt, if all is still as it was: others may
 * have gone on meanwhile. */
static dynb_rc dynbi_rebuild_publish(dynbi_rebuild *rebuild,
                                     const dynb_restore_to_time_input *input,
                                     dynb_table_description *out, dynb_result *result,
                                     dynb_error *err)
{
    const char *name = input->target_table_name;
    dynb_table_description table;
    char arn[DYNB_NAME_MAX + DYNBI_ARN_ROOM];
    const dynbi_table *made, *source = rebuild->source;
    dynb *db = rebuild->db;
    dynb_rc rc = dynbi_rebuild_check_target(db, name, err);
    if (rc == DYNB_OK && source->is_dropped)
        rc = dynbi_fail(err, DYNB_TABLE_NOT_FOUND, "Table not found: %s", source->name);
    if (rc == DYNB_OK)
        rc = dynbi_history_settings(source, &table, err);
    if (rc == DYNB_OK)
        rc = dynbi_rebuild_override(rebuild, &input->overrides, &table, err);
    if (rc == DYNB_OK && out)
        rc = dynbi_result_reserve(result, &db->memory.outer,
                                  dynbi_describe_room(source->settings_size + 512u + 2048u,
                                                      dynbi_length(name)) +
                                      dynbi_indexes_room(rebuild->snapshot.indexes,
                                                         rebuild->snapshot.index_count) +
                                      2 * DYNB_NAME_MAX + DYNBI_ARN_ROOM,
                                  err);
    if (rc == DYNB_OK)
        rc = dynbi_rebuild_log(rebuild, name, &table, err);
    if (rc != DYNB_OK || !out)
        return rc;
    made = dynbi_store_find_table(db, name, dynbi_length(name));
    (void)dynbi_table_arn(db, source->name, arn, sizeof arn);
    rc = dynbi_describe(db, made->settings, made->settings_size, out, result, err);
    dynbi_describe_indexes(db, made->indexes, made->index_count, out, result);
    out->item_count = made->item_count;
    out->size_bytes = made->size_bytes;
    out->status = DYNB_TABLE_CREATING;
    dynbi_describe_restore(arn, rebuild->time_ms, out, result);
    return rc;
}

static dynb_rc dynbi_rebuild_run(dynb *db, const dynb_restore_to_time_input *input,
                                 dynb_table_description *out, dynb_result *result,
                                 dynb_error *err)
{
    dynb_table_description table;
    dynbi_rebuild rebuild;
    dynb_rc rc;
    memset(&rebuild, 0, sizeof rebuild);
    rebuild.db = db;
    rebuild.worker = db->worker;
    dynbi_pool_init(&rebuild.pool, &db->worker->allocator, db->pool.chunk_bytes, 0);
    rc = dynbi_rebuild_check(&rebuild, input, &table, err);
    if (rc == DYNB_OK)
        rc = dynbi_store_begin_writing(db, err);
    if (rc == DYNB_OK)
        rc = dynbi_rebuild_start(&rebuild, err);
    if (rc == DYNB_OK)
        rc = dynbi_rebuild_open_log(&rebuild, err);
    if (rc == DYNB_OK) {
        db->worker->is_busy = 1;
        ++rebuild.source->job_count;
        dynbi_reader_limit(&db->worker->reader, db->pages.page_count);
        rc = dynbi_rebuild_work(&rebuild, err);
        if (rc == DYNB_OK)
            rc = dynbi_rebuild_publish(&rebuild, input, out, result, err);
        --rebuild.source->job_count;
        dynbi_store_release_table(db, rebuild.source);
        db->worker->is_busy = 0;
#if defined(DYNBACKUP_PTHREADS)
        pthread_cond_broadcast(&db->work_done);
#endif
    }
    dynbi_rebuild_free(&rebuild);
    return rc;
}

/* A table restored while a checkpoint is being made would be behind its cut and
 * before its marking: the checkpoint comes first. */
static dynb_rc dynbi_rebuild_prepare(dynb *db, dynb_error *err)
{
    dynb_rc rc = DYNB_OK;
    int has_worked;
    dynbi_worker_still(db);
    while (rc == DYNB_OK && db->worker->job[0].kind == DYNBI_JOB_CHECKPOINT)
        rc = dynbi_worker_step(db, (uint64_t)1 << 20, 0, &has_worked, err);
    return rc;
}

/* --- starting a store --- */

/* Applies the logged changes that no snapshot holds. Where memory does not hold
 * them all, they are folded on the way. */
static dynb_rc dynbi_start_replay(dynb *db, dynb_error *err)
{
    dynbi_log_scan scan;
    dynbi_frame frame;
    int is_end = 0, has_worked = 1;
    dynb_rc rc = DYNB_OK;
    dynbi_scan_start(db, &scan, &db->log);
    scan.end_pos = db->log.tail.pos;
    db->is_replaying = 1;
    while (rc == DYNB_OK && !is_end && scan.at.pos < scan.end_pos) {
        db->replay_mark = scan.at;
        rc = dynbi_log_scan_next(&scan, &frame, &is_end, err);
        if (rc != DYNB_OK || is_end || frame.kind != DYNBI_FRAME_CHANGES)
            continue;
        do
            rc = dynbi_replay_frame(db, &frame, &db->replay_mark, 1, err);
        while (rc == DYNB_NO_MEMORY && dynbi_worker_relieve(db, rc));
        db->replay_mark = scan.at;
        while (rc == DYNB_OK && db->generation_bytes > db->generations_limit && has_worked &&
               !db->config.read_only) /* as live writers do */
            rc = dynbi_worker_step(db, (uint64_t)1 << 20, 0, &has_worked, err);
    }
    db->is_replaying = 0;
    dynbi_log_scan_free(&scan);
    return rc;
}

/* Creates or recovers what is on db->disk. */
static dynb_rc dynbi_start(dynb *db, dynb_error *err)
{
    int is_blank = db->disk.size_bytes == 0;
    dynb_rc rc = DYNB_OK;
    if (!is_blank)
        rc = dynbi_store_find_superblock(db, &is_blank, err);
    if (rc != DYNB_OK)
        return rc;
    rc = is_blank ? dynbi_store_create(db, err) : dynbi_store_recover(db, err);
    if (rc == DYNB_OK)
        rc = dynbi_worker_open(db, err);
    if (rc == DYNB_OK && !is_blank)
        rc = dynbi_start_replay(db, err);
    return rc;
}

/* --- check: everything a root reaches --- */

typedef struct dynbi_audit {
    dynb *db;
    dynbi_reader reader;  /* without a cache: the device's bytes */
    uint64_t *pages;      /* a bit a page: it is in some node */
    uint64_t *firsts;     /* and: it is the first of one */
    dynb_check_report report;
    dynb_problem_fn problem_fn;
    void *ctx;
    char where[DYNB_NAME_MAX + 128];
    const dynbi_schema *schema; /* NULL: the catalog's tree */
    int counts_items;           /* the tree is of a table, not of an index */
    dynbi_buffer last_key;
    dynbi_buffer key;
    int has_last_key;
} dynbi_audit;

static void dynbi_audit_problem(dynbi_audit *check, dynb_rc code, const char *message,
                                const dynbi_root *node)
{
    dynb_error problem;
    uint64_t pos = node ? (uint64_t)node->page * check->db->disk.page_bytes : 0;
    ++check->report.problems_count;
    if (!check->problem_fn)
        return;
    (void)dynbi_fail_at(&problem, code, pos, "%s (tree node at byte %u)", message, pos);
    check->problem_fn(check->ctx, check->where, &problem);
}

/* Takes a node's pages into account. Zero: seen already, with all below it. */
static int dynbi_audit_pages(dynbi_audit *check, const dynbi_root *node)
{
    uint32_t i, overlaps = 0, unaccounted = 0;
    if (dynbi_bit_get(check->firsts, node->page))
        return 0;
    for (i = node->page; i < node->page + node->page_count; ++i) {
        overlaps += (uint32_t)dynbi_bit_get(check->pages, i);
        unaccounted += !dynbi_bit_get(check->db->pages.used, i);
        dynbi_bit_set(check->pages, i);
    }
    dynbi_bit_set(check->firsts, node->page);
    if (overlaps)
        dynbi_audit_problem(check, DYNB_CORRUPT, "pages are in two nodes", node);
    if (unaccounted && !check->db->config.read_only)
        dynbi_audit_problem(check, DYNB_CORRUPT, "pages in use count as free", node);
    return 1;
}

static dynb_rc dynbi_audit_leaf(dynbi_audit *check, const dynbi_node *node,
                                const dynbi_root *root, dynb_error *err)
{
    uint32_t i;
    for (i = 0; i < node->entry_count; ++i) {
        dynbi_leaf_entry entry;
        dynbi_buffer swap;
        dynb_rc rc = dynbi_node_key_copy(node, i, &check->key, err);
        if (rc != DYNB_OK)
            return rc;
        dynbi_node_leaf_entry(node, i, &entry);
        if (check->has_last_key &&
            dynbi_key_compare(check->last_key.bytes, check->last_key.used_bytes, check->key.bytes,
                              check->key.used_bytes) >= 0)
            dynbi_audit_problem(check, DYNB_CORRUPT, "keys are out of order", root);
        if (check->schema && !entry.is_tombstone &&
            dynbi_stored_check(check->schema, check->key.bytes, check->key.used_bytes,
                               entry.value, entry.value_size) != DYNB_OK)
            dynbi_audit_problem(check, DYNB_CORRUPT, "an item is malformed", root);
        check->report.items_count += check->counts_items && check->schema && !entry.is_tombstone;
        swap = check->last_key;
        check->last_key = check->key;
        check->key = swap;
        check->has_last_key = 1;
    }
    return DYNB_OK;
}

/* Walks a tree, parents before children, left to right. What cannot be looked
 * at for want of memory or because the device fails is no damage: that ends
 * it. */
static dynb_rc dynbi_audit_tree(dynbi_audit *check, const dynbi_root *root, dynb_error *err)
{
    dynbi_root way[DYNBI_LEVELS];
    uint32_t index[DYNBI_LEVELS], level = root->level;
    check->has_last_key = 0;
    ++check->report.runs_count;
    if (!root->page)
        return DYNB_OK;
    if (level >= DYNBI_LEVELS) {
        dynbi_audit_problem(check, DYNB_CORRUPT, "a root is malformed", root);
        return DYNB_OK;
    }
    way[level] = *root;
    index[level] = 0;
    for (;;) {
        dynbi_node node;
        dynb_rc rc = DYNB_OK;
        int goes_down = 0, is_new = 1;
        if (!dynbi_root_is_sane(&way[level], check->reader.page_limit)) {
            dynbi_audit_problem(check, DYNB_CORRUPT, "a pointer is malformed", &way[level]);
            is_new = 0;
        } else if (index[level] == 0) {
            is_new = dynbi_audit_pages(check, &way[level]);
        }
        if (is_new) {
            rc = dynbi_node_open(&check->reader, &way[level], &node, err);
            if (rc == DYNB_CORRUPT)
                dynbi_audit_problem(check, rc, "a node is damaged", &way[level]);
            else if (rc != DYNB_OK)
                return rc;
        }
        if (is_new && rc == DYNB_OK) {
            check->report.nodes_count += index[level] == 0;
            if (level == 0)
                rc = dynbi_audit_leaf(check, &node, &way[level], err);
            goes_down = level > 0 && index[level] < node.entry_count;
            if (goes_down)
                dynbi_node_child(&node, index[level]++, &way[level - 1]);
            dynbi_node_close(&check->reader, &node);
            if (rc != DYNB_OK)
                return rc;
        }
        if (goes_down)
            index[--level] = 0;
        else if (level++ == root->level)
            return DYNB_OK;
    }
}

/* A base's trees, or a kept segment's pages. */
static dynb_rc dynbi_audit_history(dynbi_audit *check, const dynbi_change *entry, dynb_error *err)
{
    dynb *db = check->db;
    dynbi_segment segment;
    dynbi_snapshot snapshot;
    dynbi_root pages;
    uint32_t i;
    dynb_rc rc = DYNB_OK;
    memset(&snapshot, 0, sizeof snapshot);
    memset(&pages, 0, sizeof pages);
    (void)dynbi_format(check->where, sizeof check->where, "the history, key %s%016x",
                       entry->key[0] == 'P' ? "P" : "L",
                       entry->key_size < 9 ? (uint64_t)0 : dynbi_load64_be(entry->key + 1));
    if (entry->key[0] == 'L') {
        rc = dynbi_segment_read(entry, &segment, err);
        pages.page = segment.page;
        pages.page_count = segment.page_count;
        if (rc == DYNB_OK && dynbi_segment_is_sane(&db->log, db->disk.size_bytes, pages.page,
                                                   pages.page_count))
            (void)dynbi_audit_pages(check, &pages);
        else
            dynbi_audit_problem(check, DYNB_CORRUPT, "its record is damaged", NULL);
        return DYNB_OK;
    }
    rc = dynbi_record_snapshot(&db->allocator, entry, &snapshot, err);
    if (rc == DYNB_CORRUPT) {
        dynbi_audit_problem(check, rc, "its record is damaged", NULL);
        return DYNB_OK;
    }
    for (i = 0; rc == DYNB_OK && i < snapshot.sets[0].count; ++i)
        rc = dynbi_audit_tree(check, &snapshot.sets[0].run[i].root, err);
    dynbi_snapshot_free(&db->allocator, &snapshot);
    return rc;
}

static dynb_rc dynbi_audit_record(void *ctx, const dynbi_change *entry, dynb_error *err)
{
    dynbi_audit *check = (dynbi_audit *)ctx;
    dynb *db = check->db;
    const int is_backup = entry->key[0] == 'B';
    const char *name = (const char *)(const void *)(entry->key + 1);
    dynbi_table *table = NULL;
    dynb_backup_description details;
    dynbi_record record;
    uint32_t set, i;
    dynb_rc rc = DYNB_OK;
    if (entry->key[0] == 'X')
        return rc;
    if (entry->key[0] == 'L' || entry->key[0] == 'P')
        return dynbi_audit_history(check, entry, err);
    rc = dynbi_record_split(entry->value, entry->value_size, is_backup, &record, err);
    if (rc == DYNB_OK && is_backup)
        rc = dynbi_details_read(&record, &details, err);
    if (rc == DYNB_OK)
        rc = dynbi_table_make(db, &record, &table, err);
    if (rc == DYNB_NO_MEMORY)
        return rc;
    check->report.backups_count += (uint64_t)is_backup;
    check->report.tables_count += !is_backup;
    if (is_backup && entry->key_size > DYNBI_BACKUP_ID_SIZE + 2)
        (void)dynbi_format(check->where, sizeof check->where, "backup %t of table %s",
                           name + entry->key_size - 1 - DYNBI_BACKUP_ID_SIZE,
                           (size_t)DYNBI_BACKUP_ID_SIZE, name);
    else
        (void)dynbi_format(check->where, sizeof check->where, "table %t", name,
                           (size_t)entry->key_size - 1);
    if (rc != DYNB_OK) {
        dynbi_audit_problem(check, rc, "its record is damaged", NULL);
        return DYNB_OK;
    }
    for (set = 0; set <= table->index_count; ++set) {
        const dynbi_runs *runs = dynbi_table_runs(table, set);
        check->schema = set ? &table->indexes[set - 1].schema : &table->schema;
        check->counts_items = set == 0;
        for (i = 0; rc == DYNB_OK && i < runs->count; ++i)
            rc = dynbi_audit_tree(check, &runs->run[i].root, err);
    }
    check->schema = NULL;
    dynbi_table_free(db, table);
    return rc;
}

static dynb_rc dynbi_audit_run(dynb *db, dynb_check_report *report, dynb_problem_fn problem_fn,
                               void *ctx, dynb_error *err)
{
    const size_t size = ((size_t)db->pages.page_count + 63) / 64 * 8;
    dynbi_audit check;
    dynb_rc rc = DYNB_OK;
    memset(&check, 0, sizeof check);
    check.db = db;
    check.problem_fn = problem_fn;
    check.ctx = ctx;
    check.key.allocator = &db->allocator;
    check.last_key.allocator = &db->allocator;
    check.pages = (uint64_t *)dynbi_allocate(&db->allocator, size);
    check.firsts = (uint64_t *)dynbi_allocate(&db->allocator, size);
    if (!check.pages || !check.firsts)
        rc = dynbi_fail(err, DYNB_NO_MEMORY, "no memory to check the store");
    if (rc == DYNB_OK) {
        memset(check.pages, 0, size);
        memset(check.firsts, 0, size);
        rc = dynbi_reader_init(&check.reader, &db->disk, &db->allocator, 0, db->node_bytes, err);
    }
    if (rc == DYNB_OK) {
        dynbi_reader_limit(&check.reader, db->pages.page_count);
        (void)dynbi_format(check.where, sizeof check.where, "the catalog");
        if (db->catalog.sets[0].count)
            rc = dynbi_audit_tree(&check, &db->catalog.sets[0].run[0].root, err);
    }
    if (rc == DYNB_OK)
        rc = dynbi_catalog_walk(db, 0, dynbi_audit_record, &check, err);
    if (report)
        *report = check.report;
    dynbi_reader_free(&check.reader);
    dynbi_buffer_free(&check.key);
    dynbi_buffer_free(&check.last_key);
    dynbi_free(&db->allocator, check.pages, size);
    dynbi_free(&db->allocator, check.firsts, size);
    if ((rc == DYNB_OK || rc == DYNB_CORRUPT) && check.report.problems_count)
        rc = dynbi_fail(err, DYNB_CORRUPT, "%u problems were found",
                        check.report.problems_count);
    return rc;
}

/* --- scrub: what the device holds against what memory holds --- */

/* Skips deletions: what is left is the table's contents. */
static dynb_rc dynbi_scrub_settle(dynbi_merge *merge, dynb_error *err)
{
    const dynbi_change *change = dynbi_merge_current(merge);
    dynb_rc rc = DYNB_OK;
    while (rc == DYNB_OK && change && change->is_tombstone) {
        rc = dynbi_merge_next(merge, err);
        change = dynbi_merge_current(merge);
    }
    return rc;
}

static dynb_rc dynbi_scrub_set(dynb *a, const dynbi_table *table_a, dynb *b,
                               const dynbi_table *table_b, uint32_t set, dynb_error *err)
{
    dynbi_merge merge_a, merge_b;
    dynbi_view view_a, view_b;
    const dynbi_change *at, *bt;
    dynb_rc rc;
    dynbi_table_view(table_a, set, &view_a);
    dynbi_table_view(table_b, set, &view_b);
    memset(&merge_b, 0, sizeof merge_b);
    rc = dynbi_merge_init(&merge_a, &a->reader, &view_a, err);
    if (rc == DYNB_OK)
        rc = dynbi_merge_init(&merge_b, &b->reader, &view_b, err);
    if (rc == DYNB_OK)
        rc = dynbi_merge_seek(&merge_a, NULL, 0, 0, err);
    if (rc == DYNB_OK)
        rc = dynbi_merge_seek(&merge_b, NULL, 0, 0, err);
    while (rc == DYNB_OK) {
        rc = dynbi_scrub_settle(&merge_a, err);
        if (rc == DYNB_OK)
            rc = dynbi_scrub_settle(&merge_b, err);
        at = dynbi_merge_current(&merge_a);
        bt = dynbi_merge_current(&merge_b);
        if (rc != DYNB_OK || (!at && !bt))
            break;
        if (!at || !bt ||
            dynbi_key_compare(at->key, at->key_size, bt->key, bt->key_size) != 0 ||
            dynbi_key_compare(at->value, at->value_size, bt->value, bt->value_size) != 0) {
            rc = dynbi_fail(err, DYNB_CORRUPT,
                            "table %s: the live state differs from the one rebuilt from snapshot "
                            "and log",
                            table_a->name ? table_a->name : "of the catalog");
            break;
        }
        rc = dynbi_merge_next(&merge_a, err);
        if (rc == DYNB_OK)
            rc = dynbi_merge_next(&merge_b, err);
    }
    dynbi_merge_free(&merge_a);
    dynbi_merge_free(&merge_b);
    return rc;
}

static dynb_rc dynbi_scrub_table(dynb *a, const dynbi_table *table_a, dynb *b,
                                 const dynbi_table *table_b, dynb_error *err)
{
    uint32_t set;
    dynb_rc rc = DYNB_OK;
    if (table_a->index_count != table_b->index_count)
        return dynbi_fail(err, DYNB_CORRUPT, "table %s has %u indexes, but %u in the rebuilt state",
                          table_a->name, (uint64_t)table_a->index_count,
                          (uint64_t)table_b->index_count);
    for (set = 0; rc == DYNB_OK && set <= table_a->index_count; ++set)
        rc = dynbi_scrub_set(a, table_a, b, table_b, set, err);
    return rc;
}

static dynb_rc dynbi_scrub_run(dynb *db, dynb_error *err)
{
    dynb *shadow = (dynb *)dynbi_allocate(&db->memory.outer, sizeof *shadow);
    uint32_t i;
    dynb_rc rc;
    if (!shadow)
        return dynbi_fail(err, DYNB_NO_MEMORY, "no memory to scrub");
    memset(shadow, 0, sizeof *shadow);
    shadow->memory.outer = db->memory.outer;
    shadow->memory.budget_bytes = db->memory.budget_bytes + ((uint64_t)4 << 20);
    shadow->allocator.resize_fn = dynbi_memory_resize;
    shadow->allocator.ctx = &shadow->memory;
    shadow->config = db->config;
    shadow->config.read_only = 1;
    memcpy(shadow->account, db->account, sizeof db->account);
    memcpy(shadow->region, db->region, sizeof db->region);
    shadow->disk.device = db->disk.device;
    shadow->disk.size_bytes = db->disk.size_bytes;
    dynbi_store_init(shadow);
    rc = db->epoch && !db->disk.has_failed ? dynbi_log_flush(&db->log, err) : DYNB_OK;
    if (rc == DYNB_OK)
        rc = dynbi_start(shadow, err);
    if (rc == DYNB_OK && shadow->live_count != db->live_count)
        rc = dynbi_fail(err, DYNB_CORRUPT, "there are %u tables, but %u in the rebuilt state",
                        (uint64_t)db->live_count, (uint64_t)shadow->live_count);
    if (rc == DYNB_OK)
        rc = dynbi_scrub_table(db, &db->catalog, shadow, &shadow->catalog, err);
    for (i = 0; rc == DYNB_OK && i < db->live_count; ++i)
        rc = dynbi_scrub_table(db, db->tables[i], shadow, shadow->tables[i], err);
    dynbi_worker_close(shadow);
    dynbi_store_free(shadow);
    dynbi_free(&db->memory.outer, shadow, sizeof *shadow);
    return rc;
}

/* --- looking inside --- */

static dynb_rc dynbi_inspect_log_run(dynb *db,
                                     int (*visit_fn)(void *ctx, const dynb_log_record *record),
                                     void *ctx, dynb_error *err)
{
    dynbi_log_scan scan;
    dynbi_frame frame;
    int is_end = 0;
    dynb_rc rc = db->epoch && !db->disk.has_failed ? dynbi_log_flush(&db->log, err) : DYNB_OK;
    dynbi_scan_start(db, &scan, &db->log);
    scan.end_pos = db->log.tail.pos;
    while (rc == DYNB_OK && !is_end && scan.at.pos < scan.end_pos) {
        dynb_log_record record;
        rc = dynbi_log_scan_next(&scan, &frame, &is_end, err);
        if (rc != DYNB_OK || is_end)
            break;
        memset(&record, 0, sizeof record);
        record.lsn = frame.lsn;
        record.time_ms = frame.time_ms;
        record.durable_lsn = frame.durable_lsn;
        record.log_pos = frame.pos;
        record.size_bytes = frame.size_bytes;
        record.epoch = frame.epoch;
        if (frame.kind == DYNBI_FRAME_CHANGES) {
            rc = dynbi_change_parse(db, frame.payload, frame.payload_size, err);
            record.change_count = db->op_count;
            db->op_count = 0;
        }
        if (rc == DYNB_OK && visit_fn(ctx, &record))
            break;
    }
    dynbi_log_scan_free(&scan);
    return rc;
}

typedef struct dynbi_inspection {
    dynb *db;
    int (*visit_fn)(void *ctx, const dynb_node_info *node);
    void *ctx;
} dynbi_inspection;

/* Shows a tree's nodes. *stops: the visitor has had enough. */
static dynb_rc dynbi_inspect_tree(const dynbi_inspection *look, const dynbi_run *run, uint32_t set,
                                  uint32_t run_index, int *stops, dynb_error *err)
{
    dynb *db = look->db;
    dynbi_root way[DYNBI_LEVELS];
    uint32_t index[DYNBI_LEVELS], level = run->root.level;
    if (!run->root.page)
        return DYNB_OK;
    if (level >= DYNBI_LEVELS)
        return dynbi_node_corrupt(&db->reader, &run->root, err);
    way[level] = run->root;
    index[level] = 0;
    while (!*stops) {
        int goes_down = 0;
        if (index[level] == 0) {
            dynb_node_info info;
            memset(&info, 0, sizeof info);
            info.set_index = set;
            info.run_index = run_index;
            info.run_from_lsn = run->from_lsn;
            info.run_to_lsn = run->to_lsn;
            info.level = level;
            info.page = way[level].page;
            info.page_count = way[level].page_count;
            info.entry_count = way[level].entry_count;
            *stops = look->visit_fn(look->ctx, &info);
        }
        if (level > 0 && !*stops) {
            dynbi_node node;
            dynb_rc rc = dynbi_node_open(&db->reader, &way[level], &node, err);
            if (rc != DYNB_OK)
                return rc;
            goes_down = index[level] < node.entry_count;
            if (goes_down)
                dynbi_node_child(&node, index[level]++, &way[level - 1]);
            dynbi_node_close(&db->reader, &node);
        }
        if (goes_down)
            index[--level] = 0;
        else if (level++ == run->root.level)
            break;
    }
    return DYNB_OK;
}

static dynb_rc dynbi_inspect_nodes_run(dynb *db, const char *what,
                                       int (*visit_fn)(void *ctx, const dynb_node_info *node),
                                       void *ctx, dynb_error *err)
{
    dynbi_snapshot snapshot;
    dynbi_record record;
    dynbi_backup_name name;
    dynbi_table *table;
    const char *at = what;
    dynbi_inspection look;
    int is_our_region, stops = 0;
    uint32_t set, i;
    dynb_rc rc;
    look.db = db;
    look.visit_fn = visit_fn;
    look.ctx = ctx;
    memset(&snapshot, 0, sizeof snapshot);
    while (*at && !dynbi_text_starts(at, "/backup/"))
        ++at;
    if (*at) {
        rc = dynbi_backup_parse(db, what, &name, &is_our_region, err);
        if (rc == DYNB_OK)
            rc = dynbi_backup_read(db, what, &record, err);
        if (rc == DYNB_OK && dynbi_store_find_pending(db, db->key.bytes, db->key.used_bytes) <
                                 db->pending_count)
            rc = dynbi_fail(err, DYNB_BACKUP_IN_USE, "Backup is being created: %s", what);
        if (rc == DYNB_OK)
            rc = dynbi_snapshot_read(&db->allocator, &record, &snapshot, err);
    } else {
        rc = dynbi_table_find(db, what, DYNB_TABLE_NOT_FOUND, &table, err);
        if (rc == DYNB_OK)
            dynbi_table_snapshot(table, &snapshot);
    }
    for (set = 0; set <= snapshot.index_count; ++set) {
        const dynbi_runs *runs = dynbi_snapshot_runs(&snapshot, set);
        for (i = 0; rc == DYNB_OK && !stops && i < runs->count; ++i)
            rc = dynbi_inspect_tree(&look, &runs->run[i], set, i, &stops, err);
    }
    dynbi_snapshot_free(&db->allocator, &snapshot);
    return rc;
}

/* ===========================================================================
 * 26 API
 *
 * The public functions of a handle: arguments checked, the lock taken, one call
 * down; where memory or space ran out, room made and the call made again. The
 * builder thread lives here, too.
 *
 * Needs: all above   Used by: the user
 * Exports: what the public part declares
 * On error: as the public part says.
 * ======================================================================== */

/* --- builder thread, and writers that help it --- */

/* Nonzero: there is work that should not wait. */
static int dynbi_api_has_work(const dynb *db)
{
    return db->frozen_count > 0 || db->tidy_is_due || db->worker->job[1].kind ||
           db->worker->is_marking || db->worker->sweep.phase ||
           dynbi_sweep_is_due(db, 0) || dynbi_checkpoint_is_due(db, 0);
}

#if defined(DYNBACKUP_PTHREADS)

/* Without a clock the time to wait for is long ago: others get the lock all the
 * same. */
static void dynbi_api_wait(pthread_cond_t *condition, pthread_mutex_t *lock, uint32_t wait_us)
{
    struct timespec until;
    if (clock_gettime(CLOCK_REALTIME, &until) != 0)
        memset(&until, 0, sizeof until);
    until.tv_nsec += (long)wait_us * 1000;
    until.tv_sec += until.tv_nsec / 1000000000;
    until.tv_nsec %= 1000000000;
    (void)pthread_cond_timedwait(condition, lock, &until);
}

#define DYNBI_NAP_US 1000u
#define DYNBI_NAPS 20u

/* Steps while there is work. While changes come it naps and looks by itself,
 * since waking a thread costs the caller more than a marker does; once none has
 * come for some naps it does what could wait, and sleeps until one comes. */
static void *dynbi_api_thread(void *ctx)
{
    dynb *db = (dynb *)ctx;
    dynbi_worker *worker = db->worker;
    uint64_t seen_lsn = 0;
    uint32_t naps = 0;
    dynbi_lock(db);
    while (!worker->stops) {
        int has_worked = 0;
        dynb_rc rc = dynbi_worker_step(db, (uint64_t)1 << 20, naps >= DYNBI_NAPS, &has_worked,
                                       &worker->error);
        if (rc != DYNB_OK) { /* for whoever waits to hear; tried again later */
            dynbi_api_wait(&db->work_ready, &db->lock, 100000);
            continue;
        }
        if (db->change_lsn != seen_lsn)
            naps = 0;
        seen_lsn = db->change_lsn;
        if (has_worked || worker->stops) /* said while the step had given the lock away */
            continue;
        if (naps >= DYNBI_NAPS) {
            worker->sleeps = 1;
            pthread_cond_wait(&db->work_ready, &db->lock);
            worker->sleeps = 0;
            naps = 0;
        } else {
            dynbi_api_wait(&db->work_ready, &db->lock, DYNBI_NAP_US);
            ++naps;
        }
    }
    dynbi_unlock(db);
    return NULL;
}

static dynb_rc dynbi_api_thread_start(dynb *db, dynb_error *err)
{
    if (db->config.manual_work || db->config.read_only)
        return DYNB_OK;
    if (pthread_create(&db->worker->thread, NULL, dynbi_api_thread, db) != 0)
        return dynbi_fail(err, DYNB_NO_MEMORY, "the builder thread could not be started");
    db->worker->has_thread = 1;
    return DYNB_OK;
}

static void dynbi_api_thread_stop(dynb *db)
{
    if (!db->worker || !db->worker->has_thread)
        return;
    dynbi_lock(db);
    db->worker->stops = 1;
    pthread_cond_broadcast(&db->work_ready);
    dynbi_unlock(db);
    pthread_join(db->worker->thread, NULL);
    db->worker->has_thread = 0;
}

/* Slows a writer in proportion to the backlog, a little at a time. */
static void dynbi_api_slow(dynb *db, uint64_t written_bytes)
{
    const uint64_t limit = db->generations_limit;
    uint64_t per_ms = db->generation_bytes > limit - limit / 8
                          ? db->generation_max / 512
                          : db->generation_bytes > limit - limit / 4 ? db->generation_max / 128
                                                                     : db->generation_max / 32;
    if (db->worker->sleeps)
        db->worker->is_called = 1;
    if (db->generation_bytes <= limit / 2)
        return;
    db->debt_bytes += written_bytes;
    if (db->debt_bytes < per_ms)
        return;
    db->debt_bytes = 0;
    pthread_cond_signal(&db->work_ready);
    dynbi_api_wait(&db->work_done, &db->lock, 1000);
}

#endif

/* After a change: what the change owes to the background. */
static void dynbi_api_help(dynb *db, uint64_t written_bytes)
{
    int has_worked = 1;
#if defined(DYNBACKUP_PTHREADS)
    if (db->worker->has_thread) {
        dynbi_api_slow(db, written_bytes);
        return;
    }
#endif
    if (!db->config.manual_work && dynbi_api_has_work(db))
        (void)dynbi_worker_step(db, 4096 + 4 * written_bytes, 0, &has_worked, NULL);
    while (has_worked && db->generation_bytes > db->generations_limit) {
        if (dynbi_worker_step(db, (uint64_t)1 << 20, 0, &has_worked, NULL) != DYNB_OK)
            break;
    }
}

/* Nonzero: a call that failed for want of room should be made again. */
static int dynbi_api_again(dynb *db, dynb_rc rc, dynb_error *err)
{
    uint64_t used_bytes = db->memory.used_bytes;
    if ((rc != DYNB_NO_MEMORY && rc != DYNB_NO_SPACE) || ++db->tries_count > 64)
        return 0;
    if (rc == DYNB_NO_MEMORY) { /* caches go first */
        dynbi_store_drop_opened(db);
        dynbi_pool_trim(&db->pool);
        dynbi_reader_trim(&db->reader);
    }
    if ((db->tries_count > 1 || db->memory.used_bytes == used_bytes) &&
        !dynbi_worker_relieve(db, rc))
        return 0;
    dynbi_error_clear(err);
    return 1;
}

/* Every call starts here: the handle is looked at and the lock taken. */
static dynb_rc dynbi_api_enter(dynb *db, dynb_error *err)
{
    dynbi_error_clear(err);
    if (!db)
        return dynbi_fail(err, DYNB_INVALID_ARGUMENT, "db is NULL");
    dynbi_lock(db);
    db->tries_count = 0;
    return DYNB_OK;
}

/* Requests a second that an operation may have; DYNB_UNLIMITED: any. (That of
 * CreateBackup is looked at when its tables are known.) */
static uint32_t dynbi_api_rate(const dynb_config *config, dynb_operation operation)
{
    uint32_t rate = operation == DYNB_OP_DESCRIBE_BACKUP ? config->describe_backup_per_second
                    : operation == DYNB_OP_LIST_BACKUPS  ? config->list_backups_per_second
                    : operation == DYNB_OP_DELETE_BACKUP ? config->delete_backup_per_second
                    : operation == DYNB_OP_RESTORE_TABLE_FROM_BACKUP
                        ? config->restore_table_per_second
                    : operation == DYNB_OP_DESCRIBE_CONTINUOUS_BACKUPS
                        ? config->describe_continuous_backups_per_second
                        : 0;
    return rate ? rate : DYNB_UNLIMITED;
}

/* Starts a call that is an operation of the service: it may be throttled, or
 * told to fail. */
static dynb_rc dynbi_api_begin(dynb *db, dynb_operation operation, dynb_error *err)
{
    uint32_t rate;
    dynb_rc rc = dynbi_api_enter(db, err);
    if (rc != DYNB_OK)
        return rc;
    rate = dynbi_api_rate(&db->config, operation);
    if (db->fail_count[operation]) {
        --db->fail_count[operation];
        rc = dynbi_fail(err, db->fail_code[operation], "%s",
                        dynb_rc_text(db->fail_code[operation]));
    } else if (rate != DYNB_UNLIMITED) {
        rc = dynbi_bucket_take(db, operation, rate, 1, err);
    }
    if (rc != DYNB_OK)
        dynbi_unlock(db);
    return rc;
}

/* ... and ends here. The builder thread is woken without the lock, or it would
 * only wake to wait for it. */
static dynb_rc dynbi_api_leave(dynb *db, dynb_rc rc)
{
#if defined(DYNBACKUP_PTHREADS)
    const int wakes = db->worker && db->worker->is_called;
    if (wakes)
        db->worker->is_called = 0;
    dynbi_unlock(db);
    if (wakes)
        pthread_cond_signal(&db->work_ready);
#else
    dynbi_unlock(db);
#endif
    return rc;
}

/* Keeps what a page starts after: it may stand in the very result that the page
 * goes to, and the call may have to be made again. */
static dynb_rc dynbi_api_keep_start(dynb *db, dynb_item *start_after, dynb_error *err)
{
    const uint8_t *bytes = start_after->bytes;
    if (!bytes || bytes == db->start.bytes || start_after->size_bytes > 4096)
        return DYNB_OK; /* a last_key is not larger */
    db->start.used_bytes = 0;
    if (!dynbi_buffer_append(&db->start, bytes, start_after->size_bytes))
        return dynbi_fail(err, DYNB_NO_MEMORY, "no memory for a key");
    start_after->bytes = db->start.bytes;
    return DYNB_OK;
}

static dynb_rc dynbi_api_null(dynb_error *err, const char *argument)
{
    dynbi_error_clear(err);
    return dynbi_fail(err, DYNB_INVALID_ARGUMENT, "%s is NULL", argument);
}

/* --- open and close --- */

static dynb_rc dynbi_api_check_config(const dynb_config *config, dynb_error *err)
{
    const uint32_t page = config->page_size_bytes, node = config->node_size_bytes;
    uint32_t i;
    if (config->memory_bytes && config->memory_bytes < DYNBI_MEMORY_MIN)
        return dynbi_fail(err, DYNB_INVALID_ARGUMENT,
                          "config.memory_bytes is %u; it must be at least %u",
                          config->memory_bytes, (uint64_t)DYNBI_MEMORY_MIN);
    if (page && (page < 512 || page > 65536 || (page & (page - 1))))
        return dynbi_fail(err, DYNB_INVALID_ARGUMENT,
                          "config.page_size_bytes is %u; it must be a power of two from 512 to "
                          "65536",
                          (uint64_t)page);
    if (node && (node < 512 || node > DYNBI_NODE_BYTES_MAX || node % (page ? page : 4096)))
        return dynbi_fail(err, DYNB_INVALID_ARGUMENT,
                          "config.node_size_bytes is %u; it must be a multiple of the page size, "
                          "up to %u",
                          (uint64_t)node, (uint64_t)DYNBI_NODE_BYTES_MAX);
    if (config->log_segment_bytes > (uint32_t)1 << 28)
        return dynbi_fail(err, DYNB_INVALID_ARGUMENT,
                          "config.log_segment_bytes is %u; at most 268435456 are allowed",
                          (uint64_t)config->log_segment_bytes);
    if ((unsigned)config->durability > DYNB_BUFFERED)
        return dynbi_fail(err, DYNB_INVALID_ARGUMENT, "config.durability is not one of its values");
    for (i = 0; config->account_id && (i < 12 || config->account_id[i]); ++i) {
        if (i >= 12 || config->account_id[i] < '0' || config->account_id[i] > '9')
            return dynbi_fail(err, DYNB_INVALID_ARGUMENT, "config.account_id must be 12 digits");
    }
    if (config->region && (!dynbi_name_is_plain(config->region, dynbi_length(config->region)) ||
                           dynbi_length(config->region) > 63))
        return dynbi_fail(err, DYNB_INVALID_ARGUMENT,
                          "config.region must be 1 to 63 letters, digits and hyphens");
#if defined(DYNBACKUP_NO_MALLOC)
    if (!config->allocator.resize_fn)
        return dynbi_fail(err, DYNB_INVALID_ARGUMENT,
                          "config.allocator is not set, and DYNBACKUP_NO_MALLOC leaves no default");
#endif
    return DYNB_OK;
}

/* The device a handle is to use; on failure what was given is closed. */
static dynb_rc dynbi_api_device(const char *path, const dynb_config *config, dynb_device *device,
                                dynb_error *err)
{
    if (path) {
        dynb_rc rc = DYNB_OK;
        if (config->no_create && !config->read_only) { /* look before creating it */
            rc = dynb_file_device_open(device, path, 1, &config->allocator, err);
            if (rc == DYNB_OK)
                device->close_fn(device->ctx);
            memset(device, 0, sizeof *device);
        }
        if (rc == DYNB_OK)
            rc = dynb_file_device_open(device, path, config->read_only, &config->allocator, err);
        return rc;
    }
    if (!config->device)
        return dynb_ram_device_open(device, 0, 0, &config->allocator, err);
    *device = *config->device;
    if (!device->read_fn || !device->write_fn || !device->sync_fn || !device->size_fn)
        return dynbi_fail(err, DYNB_INVALID_ARGUMENT,
                          "config.device lacks read_fn, write_fn, sync_fn or size_fn");
    return DYNB_OK;
}

static void dynbi_api_free(dynb *db)
{
    dynb_allocator outer = db->memory.outer;
    dynb_device device = db->disk.device;
#if defined(DYNBACKUP_PTHREADS)
    dynbi_api_thread_stop(db);
#endif
    dynbi_worker_close(db);
    dynbi_store_free(db);
    DYNBI_ASSERT(db->memory.used_bytes == 0);
#if defined(DYNBACKUP_PTHREADS)
    pthread_cond_destroy(&db->work_done);
    pthread_cond_destroy(&db->work_ready);
    pthread_mutex_destroy(&db->lock);
#endif
    dynbi_free(&outer, db, sizeof *db);
    if (device.close_fn)
        device.close_fn(device.ctx);
}

static dynb *dynbi_api_handle(const dynb_config *config, const dynb_device *device)
{
    dynb *db = (dynb *)dynbi_allocate(&config->allocator, sizeof *db);
    uintptr_t address = (uintptr_t)db;
    if (!db)
        return NULL;
    memset(db, 0, sizeof *db);
    db->memory.outer = config->allocator;
    db->memory.budget_bytes = config->memory_bytes ? config->memory_bytes : (uint64_t)64 << 20;
    db->allocator.resize_fn = dynbi_memory_resize;
    db->allocator.ctx = &db->memory;
    db->config = *config;
    (void)dynbi_format(db->account, sizeof db->account, "%s",
                       config->account_id ? config->account_id : "123456789012");
    (void)dynbi_format(db->region, sizeof db->region, "%s",
                       config->region ? config->region : "us-east-1");
    db->config.account_id = db->account;
    db->config.region = db->region;
    db->config.device = NULL;
    db->disk.device = *device;
    db->random_state = dynbi_store_now(db) * 0x2545f4914f6cdd1du + (uint64_t)address;
#if defined(DYNBI_POSIX)
    {
        struct timespec now;
        if (clock_gettime(CLOCK_MONOTONIC, &now) == 0)
            db->random_state ^= (uint64_t)now.tv_nsec << 32;
        db->random_state += (uint64_t)getpid() << 40;
    }
#elif defined(DYNBI_WINDOWS)
    {
        LARGE_INTEGER ticks;
        if (QueryPerformanceCounter(&ticks))
            db->random_state ^= (uint64_t)ticks.QuadPart << 24;
        db->random_state += (uint64_t)GetCurrentProcessId() << 40;
    }
#endif
#if defined(DYNBACKUP_PTHREADS)
    pthread_mutex_init(&db->lock, NULL);
    pthread_cond_init(&db->work_ready, NULL);
    pthread_cond_init(&db->work_done, NULL);
#endif
    dynbi_store_init(db);
    return db;
}

DYNB_API dynb_rc dynb_open(dynb **out, const char *path, const dynb_config *config,
                           dynb_error *err)
{
    dynb_config none;
    dynb_device device;
    dynb *db;
    dynb_rc rc;
    dynbi_error_clear(err);
    if (!out)
        return dynbi_api_null(err, "out");
    *out = NULL;
    memset(&none, 0, sizeof none);
    memset(&device, 0, sizeof device);
    if (!config)
        config = &none;
    rc = dynbi_api_check_config(config, err);
    if (rc == DYNB_OK)
        rc = dynbi_api_device(path, config, &device, err);
    else if (!path && config->device)
        device = *config->device;
    if (rc != DYNB_OK) {
        if (device.close_fn)
            device.close_fn(device.ctx);
        return rc;
    }
    db = dynbi_api_handle(config, &device);
    if (!db) {
        if (device.close_fn)
            device.close_fn(device.ctx);
        return dynbi_fail(err, DYNB_NO_MEMORY, "no memory for a handle");
    }
    if (device.size_fn(device.ctx, &db->disk.size_bytes) != DYNB_OK)
        rc = dynbi_fail(err, DYNB_IO_FAILED, "the device does not tell its size");
    dynbi_lock(db);
    if (rc == DYNB_OK)
        rc = dynbi_start(db, err);
    dynbi_unlock(db);
#if defined(DYNBACKUP_PTHREADS)
    if (rc == DYNB_OK)
        rc = dynbi_api_thread_start(db, err);
#endif
    if (rc != DYNB_OK) {
        dynbi_api_free(db);
        return rc;
    }
    *out = db;
    return DYNB_OK;
}

DYNB_API dynb_rc dynb_close(dynb *db, dynb_error *err)
{
    dynb_rc rc;
    dynbi_error_clear(err);
    if (!db)
        return DYNB_OK;
#if defined(DYNBACKUP_PTHREADS)
    dynbi_api_thread_stop(db);
#endif
    dynbi_lock(db);
    rc = dynbi_store_seal(db, err);
    dynbi_unlock(db);
    dynbi_api_free(db);
    return rc;
}

DYNB_API dynb_rc dynb_sync(dynb *db, dynb_error *err)
{
    dynb_rc rc = dynbi_api_enter(db, err);
    if (rc != DYNB_OK)
        return rc;
    if (db->disk.has_failed)
        rc = dynbi_store_begin_writing(db, err);
    else if (db->epoch)
        rc = dynbi_log_sync(&db->log, err);
    return dynbi_api_leave(db, rc);
}

DYNB_API dynb_rc dynb_work(dynb *db, uint64_t budget_bytes, int *pending, dynb_error *err)
{
    uint64_t before;
    int has_worked = 1, is_idle;
    dynb_rc rc;
    if (pending)
        *pending = 0;
    rc = dynbi_api_enter(db, err);
    if (rc != DYNB_OK)
        return rc;
    before = db->written_bytes;
    is_idle = db->idle_lsn == db->change_lsn;
    do /* a step costs about what it is given, and at least one is made */
        rc = dynbi_worker_step(db, budget_bytes, is_idle, &has_worked, err);
    while (rc == DYNB_OK && has_worked && db->written_bytes - before < budget_bytes &&
           budget_bytes > 1);
    db->idle_lsn = db->change_lsn;
    if (pending)
        *pending = rc == DYNB_OK && (has_worked || !is_idle);
    return dynbi_api_leave(db, rc);
}

DYNB_API dynb_rc dynb_wait_idle(dynb *db, dynb_error *err)
{
    int has_worked = 1;
    dynb_rc rc = dynbi_api_enter(db, err);
    while (rc == DYNB_OK && has_worked)
        rc = dynbi_worker_step(db, (uint64_t)1 << 20, 1, &has_worked, err);
    return db ? dynbi_api_leave(db, rc) : rc;
}

DYNB_API dynb_rc dynb_get_stat(dynb *db, dynb_stat *out, dynb_error *err)
{
    dynb_rc rc;
    if (!out)
        return dynbi_api_null(err, "out");
    memset(out, 0, sizeof *out);
    rc = dynbi_api_enter(db, err);
    if (rc != DYNB_OK)
        return rc;
    out->device_bytes = db->disk.size_bytes;
    out->used_bytes = db->config.read_only ? db->disk.size_bytes /* it never marks */
                                           : (uint64_t)db->pages.used_count *
                                                 db->disk.page_bytes;
    out->log_bytes = db->log.tail.pos - db->log.segments[0].first_pos;
    out->memory_bytes = db->memory.used_bytes;
    out->memory_peak_bytes = db->memory.peak_bytes;
    out->generation_bytes = db->generation_bytes;
    out->lsn = db->log.tail.lsn;
    out->durable_lsn = db->log.durable_lsn;
    out->written_bytes = db->written_bytes;
    out->folds_count = db->folds_count;
    out->checkpoints_count = db->checkpoints_count;
    out->table_count = db->live_count;
    out->page_size_bytes = db->disk.page_bytes;
    out->node_size_bytes = db->node_bytes;
    return dynbi_api_leave(db, DYNB_OK);
}

DYNB_API dynb_rc dynb_check(dynb *db, dynb_check_report *report, dynb_problem_fn problem_fn,
                            void *ctx, dynb_error *err)
{
    dynb_rc rc;
    if (report)
        memset(report, 0, sizeof *report);
    rc = dynbi_api_enter(db, err);
    if (rc != DYNB_OK)
        return rc;
    dynbi_worker_still(db);
    return dynbi_api_leave(db, dynbi_audit_run(db, report, problem_fn, ctx, err));
}

DYNB_API dynb_rc dynb_scrub(dynb *db, dynb_error *err)
{
    dynb_rc rc = dynbi_api_enter(db, err);
    if (rc != DYNB_OK)
        return rc;
    dynbi_worker_still(db);
    return dynbi_api_leave(db, dynbi_scrub_run(db, err));
}

/* --- tables --- */

/* A description needs a result to point into. */
static dynb_rc dynbi_api_check_out(const void *out, const dynb_result *result, dynb_error *err)
{
    if (out && !result)
        return dynbi_fail(err, DYNB_INVALID_ARGUMENT, "out is given, but result is NULL");
    return DYNB_OK;
}

static dynb_rc dynbi_api_check_create(const dynb_create_table_input *input, dynb_error *err)
{
    dynb_rc rc;
    if (!input->table_name)
        return dynbi_fail(err, DYNB_VALIDATION,
                          "The parameter 'TableName' is required but was not present in the "
                          "request");
    rc = dynbi_name_check(input->table_name, dynbi_length(input->table_name), "tableName", err);
    if (rc == DYNB_OK && !input->partition_key.name)
        rc = dynbi_fail(err, DYNB_INVALID_ARGUMENT, "input.partition_key.name is NULL");
    if (rc == DYNB_OK && !input->attribute_definitions) /* else types may come from there */
        rc = dynbi_key_attribute_check(&input->partition_key, "input.partition_key", err);
    if (rc == DYNB_OK && !input->attribute_definitions && input->sort_key.name)
        rc = dynbi_key_attribute_check(&input->sort_key, "input.sort_key", err);
    if (rc == DYNB_OK && input->sort_key.name &&
        dynbi_text_equal(input->partition_key.name, input->sort_key.name))
        rc = dynbi_fail(err, DYNB_VALIDATION,
                        "Both the Hash Key and the Range Key element in the KeySchema have the "
                        "same name");
    if (rc == DYNB_OK)
        rc = dynbi_settings_check(&input->settings, err);
    if (rc == DYNB_OK)
        rc = dynbi_tags_check(input->tags, input->tag_count, err);
    return rc;
}

DYNB_API dynb_rc dynb_create_table(dynb *db, const dynb_create_table_input *input,
                                   dynb_table_description *out, dynb_result *result,
                                   dynb_error *err)
{
    dynb_rc rc;
    if (out)
        memset(out, 0, sizeof *out);
    if (!input)
        return dynbi_api_null(err, "input");
    rc = dynbi_api_begin(db, DYNB_OP_CREATE_TABLE, err);
    if (rc != DYNB_OK)
        return rc;
    rc = dynbi_api_check_out(out, result, err);
    if (rc == DYNB_OK)
        rc = dynbi_api_check_create(input, err);
    if (rc == DYNB_OK) {
        do
            rc = dynbi_table_create(db, input, out, result, err);
        while (dynbi_api_again(db, rc, err));
    }
    if (rc != DYNB_OK && out)
        memset(out, 0, sizeof *out);
    return dynbi_api_leave(db, rc);
}

DYNB_API dynb_rc dynb_describe_table(dynb *db, const char *table, dynb_table_description *out,
                                     dynb_result *result, dynb_error *err)
{
    int is_deleting;
    dynb_rc rc;
    if (!out)
        return dynbi_api_null(err, "out");
    memset(out, 0, sizeof *out);
    if (!result)
        return dynbi_api_null(err, "result");
    rc = dynbi_api_begin(db, DYNB_OP_DESCRIBE_TABLE, err);
    if (rc != DYNB_OK)
        return rc;
    rc = dynbi_table_show(db, table, &is_deleting, out, result, err);
    return dynbi_api_leave(db, rc);
}

DYNB_API dynb_rc dynb_list_tables(dynb *db, const char *start_after, uint32_t limit,
                                  dynb_table_list *out, dynb_result *result, dynb_error *err)
{
    const char **names;
    size_t room = 0;
    uint32_t i, first = 0, count;
    dynb_rc rc;
    if (!out)
        return dynbi_api_null(err, "out");
    memset(out, 0, sizeof *out);
    if (!result)
        return dynbi_api_null(err, "result");
    if (limit > 100)
        return dynbi_fail(err, DYNB_VALIDATION,
                          "1 validation error detected: Value '%u' at 'limit' failed to satisfy "
                          "constraint: Member must have value less than or equal to 100",
                          (uint64_t)limit);
    rc = dynbi_api_begin(db, DYNB_OP_LIST_TABLES, err);
    if (rc != DYNB_OK)
        return rc;
    if (start_after)
        rc = dynbi_name_check(start_after, dynbi_length(start_after), "exclusiveStartTableName",
                              err);
    if (rc == DYNB_OK && start_after) {
        first = dynbi_store_table_index(db, start_after, dynbi_length(start_after));
        if (first < db->live_count && dynbi_text_equal(db->tables[first]->name, start_after))
            ++first;
    }
    count = db->live_count - first;
    if (count > (limit ? limit : 100))
        count = limit ? limit : 100;
    for (i = 0; i < count; ++i)
        room += db->tables[first + i]->name_length + 16u;
    if (rc == DYNB_OK)
        rc = dynbi_result_reserve(result, &db->memory.outer, room + count * sizeof *names + 16,
                                  err);
    if (rc != DYNB_OK)
        return dynbi_api_leave(db, rc);
    names = (const char **)dynbi_result_take(result, count * sizeof *names);
    for (i = 0; i < count; ++i)
        names[i] = dynbi_result_text(result, db->tables[first + i]->name,
                                     db->tables[first + i]->name_length);
    out->table_names = names;
    out->count = count;
    out->last_evaluated = first + count < db->live_count ? names[count - 1] : NULL;
    return dynbi_api_leave(db, DYNB_OK);
}

DYNB_API dynb_rc dynb_update_table(dynb *db, const dynb_update_table_input *input,
                                   dynb_table_description *out, dynb_result *result,
                                   dynb_error *err)
{
    const uint32_t all = DYNB_CHANGE_BILLING | DYNB_CHANGE_ON_DEMAND | DYNB_CHANGE_STREAM |
                         DYNB_CHANGE_ENCRYPTION | DYNB_CHANGE_TABLE_CLASS |
                         DYNB_CHANGE_DELETION_PROTECTION | DYNB_CHANGE_INDEXES;
    dynb_rc rc;
    if (out)
        memset(out, 0, sizeof *out);
    if (!input)
        return dynbi_api_null(err, "input");
    rc = dynbi_api_begin(db, DYNB_OP_UPDATE_TABLE, err);
    if (rc != DYNB_OK)
        return rc;
    rc = dynbi_api_check_out(out, result, err);
    if (rc == DYNB_OK && (!input->change || (input->change & ~all)))
        rc = dynbi_fail(err, DYNB_INVALID_ARGUMENT,
                        "input.change must be one or more of DYNB_CHANGE_*");
    if (rc == DYNB_OK && (unsigned)input->settings.stream_view > DYNB_STREAM_NEW_AND_OLD_IMAGES)
        rc = dynbi_fail(err, DYNB_INVALID_ARGUMENT,
                        "settings.stream_view is not one of its values");
    if (rc == DYNB_OK) {
        do
            rc = dynbi_table_update(db, input, out, result, err);
        while (dynbi_api_again(db, rc, err));
    }
    return dynbi_api_leave(db, rc);
}

DYNB_API dynb_rc dynb_delete_table(dynb *db, const char *table, dynb_table_description *out,
                                   dynb_result *result, dynb_error *err)
{
    dynb_rc rc;
    if (out)
        memset(out, 0, sizeof *out);
    rc = dynbi_api_begin(db, DYNB_OP_DELETE_TABLE, err);
    if (rc != DYNB_OK)
        return rc;
    rc = dynbi_api_check_out(out, result, err);
    if (rc == DYNB_OK) {
        do
            rc = dynbi_history_delete_table(db, table, out, result, err);
        while (dynbi_api_again(db, rc, err));
    }
    if (rc != DYNB_OK && out)
        memset(out, 0, sizeof *out);
    return dynbi_api_leave(db, rc);
}

DYNB_API dynb_rc dynb_update_time_to_live(dynb *db, const char *table,
                                          const char *attribute_name, dynb_error *err)
{
    dynb_rc rc = dynbi_api_begin(db, DYNB_OP_UPDATE_TIME_TO_LIVE, err);
    if (rc != DYNB_OK)
        return rc;
    if (attribute_name &&
        (!attribute_name[0] || dynbi_length(attribute_name) > DYNB_KEY_NAME_MAX_BYTES))
        rc = dynbi_fail(err, DYNB_VALIDATION,
                        "1 validation error detected: Value '%s' at "
                        "'timeToLiveSpecification.attributeName' failed to satisfy constraint: "
                        "Member must have length %s",
                        attribute_name,
                        attribute_name[0] ? "less than or equal to 255"
                                          : "greater than or equal to 1");
    if (rc == DYNB_OK) {
        do
            rc = dynbi_table_set_ttl(db, table, attribute_name, err);
        while (dynbi_api_again(db, rc, err));
    }
    return dynbi_api_leave(db, rc);
}

DYNB_API dynb_rc dynb_tag_resource(dynb *db, const char *resource_arn, const dynb_tag *tags,
                                   uint32_t tag_count, dynb_error *err)
{
    dynb_rc rc;
    if (!tags)
        return dynbi_api_null(err, "tags");
    rc = dynbi_api_begin(db, DYNB_OP_TAG_RESOURCE, err);
    if (rc != DYNB_OK)
        return rc;
    rc = dynbi_tags_check(tags, tag_count, err);
    if (rc == DYNB_OK) {
        do
            rc = dynbi_tags_change(db, resource_arn, tags, NULL, tag_count, err);
        while (dynbi_api_again(db, rc, err));
    }
    return dynbi_api_leave(db, rc);
}

DYNB_API dynb_rc dynb_untag_resource(dynb *db, const char *resource_arn, const char *const *keys,
                                     uint32_t key_count, dynb_error *err)
{
    uint32_t i;
    dynb_rc rc;
    if (!keys)
        return dynbi_api_null(err, "keys");
    for (i = 0; i < key_count; ++i) {
        if (!keys[i])
            return dynbi_api_null(err, "a key");
    }
    rc = dynbi_api_begin(db, DYNB_OP_UNTAG_RESOURCE, err);
    if (rc != DYNB_OK)
        return rc;
    do
        rc = dynbi_tags_change(db, resource_arn, NULL, keys, key_count, err);
    while (dynbi_api_again(db, rc, err));
    return dynbi_api_leave(db, rc);
}

DYNB_API dynb_rc dynb_list_tags_of_resource(dynb *db, const char *resource_arn,
                                            const dynb_tag **tags, uint32_t *tag_count,
                                            dynb_result *result, dynb_error *err)
{
    dynb_rc rc;
    if (!tags || !tag_count || !result)
        return dynbi_api_null(err, !tags ? "tags" : !tag_count ? "tag_count" : "result");
    *tags = NULL;
    *tag_count = 0;
    rc = dynbi_api_begin(db, DYNB_OP_LIST_TAGS_OF_RESOURCE, err);
    if (rc != DYNB_OK)
        return rc;
    return dynbi_api_leave(db, dynbi_tags_list(db, resource_arn, tags, tag_count, result, err));
}

/* --- items --- */

static dynb_rc dynbi_api_check_options(const dynb_write_options *options, const void *old,
                                       const dynb_result *result, dynb_error *err)
{
    if (!options)
        return DYNB_OK;
    if (options->return_old && (!old || !result))
        return dynbi_fail(err, DYNB_INVALID_ARGUMENT,
                          "options.return_old is set, but old or result is NULL");
    if (options->choose_durability && (unsigned)options->durability > DYNB_BUFFERED)
        return dynbi_fail(err, DYNB_INVALID_ARGUMENT,
                          "options.durability is not one of its values");
    return DYNB_OK;
}

static dynb_rc dynbi_api_write(dynb *db, const dynb_write *write,
                               const dynb_write_options *options, dynb_item *old,
                               dynb_result *result, dynb_error *err)
{
    dynb_rc rc;
    if (old)
        memset(old, 0, sizeof *old);
    rc = dynbi_api_begin(db, write->is_delete ? DYNB_OP_DELETE_ITEM : DYNB_OP_PUT_ITEM, err);
    if (rc != DYNB_OK)
        return rc;
    rc = dynbi_api_check_options(options, old, result, err);
    if (rc == DYNB_OK && !write->item.bytes)
        rc = dynbi_fail(err, DYNB_INVALID_ARGUMENT, "the item's bytes are NULL");
    if (rc == DYNB_OK) {
        do
            rc = dynbi_item_write(db, write, options, old, result, err);
        while (dynbi_api_again(db, rc, err));
    }
    if (rc == DYNB_OK)
        dynbi_api_help(db, db->frame.used_bytes);
    return dynbi_api_leave(db, rc);
}

DYNB_API dynb_rc dynb_put_item(dynb *db, const char *table, dynb_item item,
                               const dynb_write_options *options, dynb_item *old,
                               dynb_result *result, dynb_error *err)
{
    dynb_write write;
    write.table = table;
    write.item = item;
    write.is_delete = 0;
    return dynbi_api_write(db, &write, options, old, result, err);
}

DYNB_API dynb_rc dynb_delete_item(dynb *db, const char *table, dynb_item key,
                                  const dynb_write_options *options, dynb_item *old,
                                  dynb_result *result, dynb_error *err)
{
    dynb_write write;
    write.table = table;
    write.item = key;
    write.is_delete = 1;
    return dynbi_api_write(db, &write, options, old, result, err);
}

DYNB_API dynb_rc dynb_get_item_at(dynb *db, const dynb_source *source, dynb_item key,
                                  dynb_item *out, dynb_result *result, dynb_error *err)
{
    dynb_rc rc;
    if (!out)
        return dynbi_api_null(err, "out");
    memset(out, 0, sizeof *out);
    if (!source || !result || !key.bytes)
        return dynbi_api_null(err, !source ? "source" : !result ? "result" : "key.bytes");
    rc = dynbi_api_begin(db, DYNB_OP_GET_ITEM, err);
    if (rc != DYNB_OK)
        return rc;
    do
        rc = dynbi_source_get(db, source, key, out, result, err);
    while (dynbi_api_again(db, rc, err));
    return dynbi_api_leave(db, rc);
}

DYNB_API dynb_rc dynb_get_item(dynb *db, const char *table, dynb_item key, dynb_item *out,
                               dynb_result *result, dynb_error *err)
{
    dynb_source source;
    memset(&source, 0, sizeof source);
    source.table = table;
    return dynb_get_item_at(db, &source, key, out, result, err);
}

DYNB_API dynb_rc dynb_batch_write(dynb *db, const dynb_write *writes, uint32_t write_count,
                                  const dynb_write_options *options, dynb_error *err)
{
    uint32_t i;
    dynb_rc rc;
    if (!writes)
        return dynbi_api_null(err, "writes");
    rc = dynbi_api_begin(db, DYNB_OP_BATCH_WRITE_ITEM, err);
    if (rc != DYNB_OK)
        return rc;
    rc = dynbi_api_check_options(options, db, NULL, err);
    if (rc == DYNB_OK && write_count == 0)
        rc = dynbi_fail(err, DYNB_INVALID_ARGUMENT, "write_count is 0");
    for (i = 0; rc == DYNB_OK && i < write_count; ++i) {
        if (!writes[i].item.bytes)
            rc = dynbi_fail(err, DYNB_INVALID_ARGUMENT, "writes[%u]: the item's bytes are NULL",
                            (uint64_t)i);
    }
    if (rc == DYNB_OK) {
        do
            rc = dynbi_item_batch(db, writes, write_count, options, err);
        while (dynbi_api_again(db, rc, err));
    }
    if (rc == DYNB_OK)
        dynbi_api_help(db, db->frame.used_bytes);
    return dynbi_api_leave(db, rc);
}

DYNB_API dynb_rc dynb_query(dynb *db, const dynb_query_input *input, dynb_page *out,
                            dynb_result *result, dynb_error *err)
{
    dynb_query_input own;
    dynb_rc rc;
    if (!out)
        return dynbi_api_null(err, "out");
    memset(out, 0, sizeof *out);
    if (!input || !result)
        return dynbi_api_null(err, !input ? "input" : "result");
    rc = dynbi_api_begin(db, DYNB_OP_QUERY, err);
    if (rc != DYNB_OK)
        return rc;
    own = *input;
    if ((unsigned)input->condition > DYNB_SORT_BEGINS_WITH)
        rc = dynbi_fail(err, DYNB_INVALID_ARGUMENT, "input.condition is not one of its values");
    else
        do {
            rc = dynbi_api_keep_start(db, &own.start_after, err);
            if (rc == DYNB_OK)
                rc = dynbi_source_query(db, &own, out, result, err);
        } while (dynbi_api_again(db, rc, err));
    if (rc != DYNB_OK)
        memset(out, 0, sizeof *out);
    return dynbi_api_leave(db, rc);
}

DYNB_API dynb_rc dynb_scan(dynb *db, const dynb_scan_input *input, dynb_page *out,
                           dynb_result *result, dynb_error *err)
{
    dynb_scan_input own;
    dynb_rc rc;
    if (!out)
        return dynbi_api_null(err, "out");
    memset(out, 0, sizeof *out);
    if (!input || !result)
        return dynbi_api_null(err, !input ? "input" : "result");
    rc = dynbi_api_begin(db, DYNB_OP_SCAN, err);
    if (rc != DYNB_OK)
        return rc;
    own = *input;
    if (input->total_segments > 1000000)
        rc = dynbi_fail(err, DYNB_VALIDATION,
                        "1 validation error detected: Value '%u' at 'totalSegments' failed to "
                        "satisfy constraint: Member must have value less than or equal to "
                        "1000000",
                        (uint64_t)input->total_segments);
    else if (input->segment && input->segment >= input->total_segments)
        rc = dynbi_fail(err, DYNB_VALIDATION,
                        "The Segment parameter is zero-based and must be less than parameter "
                        "TotalSegments: Segment: %u is not less than TotalSegments: %u",
                        (uint64_t)input->segment, (uint64_t)input->total_segments);
    else
        do {
            rc = dynbi_api_keep_start(db, &own.start_after, err);
            if (rc == DYNB_OK)
                rc = dynbi_source_scan(db, &own, out, result, err);
        } while (dynbi_api_again(db, rc, err));
    if (rc != DYNB_OK)
        memset(out, 0, sizeof *out);
    return dynbi_api_leave(db, rc);
}

DYNB_API dynb_rc dynb_compare(dynb *db, const dynb_compare_input *input,
                              dynb_difference_page *out, dynb_result *result, dynb_error *err)
{
    dynb_compare_input own;
    dynb_rc rc;
    if (!out)
        return dynbi_api_null(err, "out");
    memset(out, 0, sizeof *out);
    if (!input || !result)
        return dynbi_api_null(err, !input ? "input" : "result");
    rc = dynbi_api_enter(db, err);
    if (rc != DYNB_OK)
        return rc;
    own = *input;
    do {
        rc = dynbi_api_keep_start(db, &own.start_after, err);
        if (rc == DYNB_OK)
            rc = dynbi_source_compare(db, &own, out, result, err);
    } while (dynbi_api_again(db, rc, err));
    if (rc != DYNB_OK)
        memset(out, 0, sizeof *out);
    return dynbi_api_leave(db, rc);
}

/* --- backups --- */

DYNB_API dynb_rc dynb_create_backups(dynb *db, const char *const *tables, uint32_t table_count,
                                     const char *backup_name, dynb_backup_description *out,
                                     dynb_result *result, dynb_error *err)
{
    uint32_t i;
    dynb_rc rc;
    if (out)
        memset(out, 0, table_count * sizeof *out);
    if (!tables || !table_count)
        return dynbi_api_null(err, "tables");
    for (i = 0; i < table_count; ++i) {
        if (!tables[i])
            return dynbi_api_null(err, "table");
    }
    if (!backup_name)
        return dynbi_api_null(err, "backup_name");
    rc = dynbi_api_begin(db, DYNB_OP_CREATE_BACKUP, err);
    if (rc != DYNB_OK)
        return rc;
    rc = dynbi_api_check_out(out, result, err);
    if (rc == DYNB_OK)
        rc = dynbi_name_check(backup_name, dynbi_length(backup_name), "backupName", err);
    if (rc == DYNB_OK) {
        do
            rc = dynbi_backup_create(db, tables, table_count, backup_name, out, result, err);
        while (dynbi_api_again(db, rc, err));
    }
    if (rc == DYNB_OK && dynbi_api_has_work(db))
        dynbi_api_help(db, db->frame.used_bytes);
    else if (rc != DYNB_OK && out)
        memset(out, 0, table_count * sizeof *out);
    return dynbi_api_leave(db, rc);
}

DYNB_API dynb_rc dynb_create_backup(dynb *db, const char *table, const char *backup_name,
                                    dynb_backup_description *out, dynb_result *result,
                                    dynb_error *err)
{
    return dynb_create_backups(db, &table, 1, backup_name, out, result, err);
}

DYNB_API dynb_rc dynb_describe_backup(dynb *db, const char *backup_arn,
                                      dynb_backup_description *out, dynb_result *result,
                                      dynb_error *err)
{
    dynbi_record record;
    dynb_rc rc;
    if (!out)
        return dynbi_api_null(err, "out");
    memset(out, 0, sizeof *out);
    if (!result)
        return dynbi_api_null(err, "result");
    rc = dynbi_api_begin(db, DYNB_OP_DESCRIBE_BACKUP, err);
    if (rc != DYNB_OK)
        return rc;
    do
        rc = dynbi_backup_describe(db, backup_arn, &record, out, result, err);
    while (dynbi_api_again(db, rc, err));
    if (rc != DYNB_OK)
        memset(out, 0, sizeof *out);
    return dynbi_api_leave(db, rc);
}

DYNB_API dynb_rc dynb_list_backups(dynb *db, const dynb_list_backups_input *input,
                                   dynb_backup_list *out, dynb_result *result, dynb_error *err)
{
    dynb_list_backups_input none;
    dynb_rc rc;
    if (!out)
        return dynbi_api_null(err, "out");
    memset(out, 0, sizeof *out);
    if (!result)
        return dynbi_api_null(err, "result");
    memset(&none, 0, sizeof none);
    if (!input)
        input = &none;
    rc = dynbi_api_begin(db, DYNB_OP_LIST_BACKUPS, err);
    if (rc != DYNB_OK)
        return rc;
    if (input->limit > DYNB_BACKUPS_PAGE_MAX)
        rc = dynbi_fail(err, DYNB_VALIDATION,
                        "1 validation error detected: Value '%u' at 'limit' failed to satisfy "
                        "constraint: Member must have value less than or equal to 100",
                        (uint64_t)input->limit);
    else if (input->type > DYNB_LIST_ALL)
        rc = dynbi_fail(err, DYNB_INVALID_ARGUMENT, "input.type is not one of DYNB_LIST_*");
    else if (input->to_ms && input->from_ms > input->to_ms)
        rc = dynbi_fail(err, DYNB_VALIDATION,
                        "One or more parameter values were invalid: Time range lower bound must "
                        "be less than or equal to upper bound");
    else
        do
            rc = dynbi_backup_list_run(db, input, out, result, err);
        while (dynbi_api_again(db, rc, err));
    return dynbi_api_leave(db, rc);
}

DYNB_API dynb_rc dynb_delete_backup(dynb *db, const char *backup_arn,
                                    dynb_backup_description *out, dynb_result *result,
                                    dynb_error *err)
{
    dynb_rc rc;
    if (out)
        memset(out, 0, sizeof *out);
    rc = dynbi_api_begin(db, DYNB_OP_DELETE_BACKUP, err);
    if (rc != DYNB_OK)
        return rc;
    rc = dynbi_api_check_out(out, result, err);
    if (rc == DYNB_OK) {
        do
            rc = dynbi_backup_delete(db, backup_arn, out, result, err);
        while (dynbi_api_again(db, rc, err));
    }
    if (rc != DYNB_OK && out)
        memset(out, 0, sizeof *out);
    return dynbi_api_leave(db, rc);
}

static dynb_rc dynbi_api_check_restore(const dynb_restore_input *input, dynb_error *err)
{
    const size_t length = dynbi_length(input->target_table_name);
    dynb_rc rc;
    if (length == 0)
        return dynbi_fail(err, DYNB_VALIDATION,
                          "TableName must be at least 3 characters long and at most 255 "
                          "characters long");
    rc = dynbi_name_check(input->target_table_name, length, "targetTableName", err);
    return rc == DYNB_OK ? dynbi_restore_shape_check(&input->overrides, err) : rc;
}

DYNB_API dynb_rc dynb_restore_tables_from_backups(dynb *db, const dynb_restore_input *inputs,
                                                  uint32_t input_count,
                                                  dynb_table_description *out,
                                                  dynb_result *result, dynb_error *err)
{
    uint32_t i;
    dynb_rc rc;
    if (out)
        memset(out, 0, input_count * sizeof *out);
    if (!inputs || !input_count)
        return dynbi_api_null(err, "input");
    for (i = 0; i < input_count; ++i) {
        if (!inputs[i].target_table_name)
            return dynbi_api_null(err, "input.target_table_name");
    }
    rc = dynbi_api_begin(db, DYNB_OP_RESTORE_TABLE_FROM_BACKUP, err);
    if (rc != DYNB_OK)
        return rc;
    rc = dynbi_api_check_out(out, result, err);
    for (i = 0; rc == DYNB_OK && i < input_count; ++i)
        rc = dynbi_api_check_restore(&inputs[i], err);
    if (rc == DYNB_OK) {
        do
            rc = dynbi_backup_restore(db, inputs, input_count, out, result, err);
        while (dynbi_api_again(db, rc, err));
    }
    if (rc != DYNB_OK && out)
        memset(out, 0, input_count * sizeof *out);
    return dynbi_api_leave(db, rc);
}

DYNB_API dynb_rc dynb_restore_table_from_backup(dynb *db, const dynb_restore_input *input,
                                                dynb_table_description *out, dynb_result *result,
                                                dynb_error *err)
{
    return dynb_restore_tables_from_backups(db, input, 1, out, result, err);
}

/* --- continuous backups --- */

DYNB_API dynb_rc dynb_describe_continuous_backups(dynb *db, const char *table,
                                                  dynb_continuous_backups *out, dynb_error *err)
{
    dynb_rc rc;
    if (!out)
        return dynbi_api_null(err, "out");
    memset(out, 0, sizeof *out);
    rc = dynbi_api_begin(db, DYNB_OP_DESCRIBE_CONTINUOUS_BACKUPS, err);
    if (rc != DYNB_OK)
        return rc;
    return dynbi_api_leave(db, dynbi_history_describe(db, table, out, err));
}

static dynb_rc dynbi_api_check_period(const dynb_update_continuous_backups_input *input,
                                      dynb_error *err)
{
    const int32_t days = input->recovery_period_days;
    const uint64_t size = days < 0 ? (uint64_t)0 - (uint64_t)(int64_t)days : (uint64_t)days;
    if (!input->choose_period)
        return DYNB_OK;
    if (days < 1 || days > DYNB_RECOVERY_DAYS_MAX)
        return dynbi_fail(err, DYNB_VALIDATION,
                          "1 validation error detected: Value '%s%u' at "
                          "'pointInTimeRecoverySpecification.recoveryPeriodInDays' failed to "
                          "satisfy constraint: Member must have value %s",
                          days < 0 ? "-" : "", size,
                          days < 1 ? "greater than or equal to 1" : "less than or equal to 35");
    if (!input->point_in_time_recovery)
        return dynbi_fail(err, DYNB_VALIDATION,
                          "Invalid Request: Cannot specify RecoveryPeriodInDays when disabling "
                          "point-in-time recovery.");
    return DYNB_OK;
}

DYNB_API dynb_rc dynb_update_continuous_backups(dynb *db,
                                                const dynb_update_continuous_backups_input *input,
                                                dynb_continuous_backups *out, dynb_error *err)
{
    dynb_rc rc;
    if (out)
        memset(out, 0, sizeof *out);
    if (!input)
        return dynbi_api_null(err, "input");
    rc = dynbi_api_begin(db, DYNB_OP_UPDATE_CONTINUOUS_BACKUPS, err);
    if (rc != DYNB_OK)
        return rc;
    rc = dynbi_api_check_period(input, err);
    if (rc == DYNB_OK) {
        do
            rc = dynbi_history_update(db, input, err);
        while (dynbi_api_again(db, rc, err));
    }
    if (rc == DYNB_OK && out)
        rc = dynbi_history_describe(db, input->table, out, err);
    return dynbi_api_leave(db, rc);
}

/* What can be said without a look at the tables. */
static dynb_rc dynbi_api_check_rebuild(const dynb_restore_to_time_input *input, dynb_error *err)
{
    dynb_rc rc = dynbi_name_check(input->target_table_name,
                                  dynbi_length(input->target_table_name), "targetTableName", err);
    if (rc == DYNB_OK && input->source_table_name && !input->source_table_arn)
        rc = dynbi_name_check(input->source_table_name, dynbi_length(input->source_table_name),
                              "sourceTableName", err);
    if (rc == DYNB_OK)
        rc = dynbi_restore_shape_check(&input->overrides, err);
    if (rc != DYNB_OK)
        return rc;
    if (!input->source_table_name && !input->source_table_arn)
        return dynbi_fail(err, DYNB_VALIDATION,
                          "The parameter 'TableName' is required but was not present in the "
                          "request");
    if (input->source_table_name && input->source_table_arn)
        return dynbi_fail(err, DYNB_VALIDATION,
                          "Invalid Request: Must provide exactly one of: sourceTableArn, "
                          "sourceTableName");
    if (input->use_latest_time && input->use_restore_time)
        return dynbi_fail(err, DYNB_VALIDATION,
                          "Invalid Request: Both RestoreDateTime and UseLatestRestorableTime "
                          "cannot be set for point-in-time restore request. Please specify only "
                          "one of them");
    if (!input->use_latest_time && !input->use_restore_time)
        return dynbi_fail(err, DYNB_VALIDATION,
                          "Invalid Request: Either one of RestoreDateTime or "
                          "UseLatestRestorableTime must be specified, but not both");
    return DYNB_OK;
}

DYNB_API dynb_rc dynb_restore_table_to_point_in_time(dynb *db,
                                                     const dynb_restore_to_time_input *input,
                                                     dynb_table_description *out,
                                                     dynb_result *result, dynb_error *err)
{
    dynb_rc rc;
    if (out)
        memset(out, 0, sizeof *out);
    if (!input || !input->target_table_name)
        return dynbi_api_null(err, !input ? "input" : "input.target_table_name");
    rc = dynbi_api_begin(db, DYNB_OP_RESTORE_TABLE_TO_POINT_IN_TIME, err);
    if (rc != DYNB_OK)
        return rc;
    rc = dynbi_api_check_out(out, result, err);
    if (rc == DYNB_OK)
        rc = dynbi_api_check_rebuild(input, err);
    if (rc == DYNB_OK) {
        do {
            rc = dynbi_rebuild_prepare(db, err);
            if (rc == DYNB_OK)
                rc = dynbi_rebuild_run(db, input, out, result, err);
        } while (dynbi_api_again(db, rc, err));
    }
    if (rc != DYNB_OK && out)
        memset(out, 0, sizeof *out);
    return dynbi_api_leave(db, rc);
}

DYNB_API dynb_rc dynb_update_backup_retention(dynb *db, const char *table,
                                              const dynb_backup_retention *rule, dynb_error *err)
{
    dynb_rc rc = dynbi_api_enter(db, err);
    if (rc != DYNB_OK)
        return rc;
    if (rule && (rule->keep_last == DYNB_UNLIMITED || rule->keep_hourly == DYNB_UNLIMITED ||
                 rule->keep_daily == DYNB_UNLIMITED))
        rc = dynbi_fail(err, DYNB_INVALID_ARGUMENT, "a count of the rule is too large");
    if (rc == DYNB_OK) {
        do
            rc = dynbi_retention_update(db, table, rule, err);
        while (dynbi_api_again(db, rc, err));
    }
    return dynbi_api_leave(db, rc);
}

DYNB_API dynb_rc dynb_describe_backup_retention(dynb *db, const char *table,
                                                dynb_backup_retention *out, dynb_error *err)
{
    dynb_table_description settings;
    dynbi_table *found;
    dynb_rc rc;
    if (!out)
        return dynbi_api_null(err, "out");
    memset(out, 0, sizeof *out);
    rc = dynbi_api_enter(db, err);
    if (rc != DYNB_OK)
        return rc;
    rc = dynbi_table_find(db, table, DYNB_TABLE_NOT_FOUND, &found, err);
    if (rc == DYNB_OK)
        rc = dynbi_history_settings(found, &settings, err);
    if (rc == DYNB_OK)
        *out = settings.retention;
    return dynbi_api_leave(db, rc);
}

/* --- failures on demand --- */

DYNB_API dynb_rc dynb_fail_next_calls(dynb *db, dynb_operation operation, dynb_rc code,
                                      uint32_t call_count, dynb_error *err)
{
    dynb_rc rc = dynbi_api_enter(db, err);
    if (rc != DYNB_OK)
        return rc;
    if ((unsigned)operation >= DYNB_OPERATION_COUNT)
        rc = dynbi_fail(err, DYNB_INVALID_ARGUMENT, "operation is not one of DYNB_OP_*");
    else if ((unsigned)code >= DYNB_ERROR_COUNT || (code == DYNB_OK && call_count))
        rc = dynbi_fail(err, DYNB_INVALID_ARGUMENT, "code is not an error");
    if (rc == DYNB_OK) {
        db->fail_code[operation] = code;
        db->fail_count[operation] = call_count;
    }
    return dynbi_api_leave(db, rc);
}

/* --- looking inside --- */

DYNB_API dynb_rc dynb_inspect_log(dynb *db,
                                  int (*visit_fn)(void *ctx, const dynb_log_record *record),
                                  void *ctx, dynb_error *err)
{
    dynb_rc rc;
    if (!visit_fn)
        return dynbi_api_null(err, "visit_fn");
    rc = dynbi_api_enter(db, err);
    if (rc != DYNB_OK)
        return rc;
    dynbi_worker_still(db);
    return dynbi_api_leave(db, dynbi_inspect_log_run(db, visit_fn, ctx, err));
}

DYNB_API dynb_rc dynb_inspect_nodes(dynb *db, const char *table_or_backup_arn,
                                    int (*visit_fn)(void *ctx, const dynb_node_info *node),
                                    void *ctx, dynb_error *err)
{
    dynb_rc rc;
    if (!visit_fn || !table_or_backup_arn)
        return dynbi_api_null(err, !visit_fn ? "visit_fn" : "table_or_backup_arn");
    rc = dynbi_api_enter(db, err);
    if (rc != DYNB_OK)
        return rc;
    return dynbi_api_leave(db, dynbi_inspect_nodes_run(db, table_or_backup_arn, visit_fn, ctx,
                                                       err));
}

/* Private macros end here; our own unit tests look at them. */
#if !defined(DYNBACKUP_KEEP_MACROS)
#undef DYNBI_ARN_PREFIX
#undef DYNBI_ARN_ROOM
#undef DYNBI_ASSERT
#undef DYNBI_BACKUP_ID_SIZE
#undef DYNBI_BASE_KEY_BYTES
#undef DYNBI_BASE_RATIO
#undef DYNBI_BUILD_ORDINAL
#undef DYNBI_BUILD_ROOM
#undef DYNBI_BUILD_START
#undef DYNBI_BUSY_INDEXED_MAX
#undef DYNBI_BUSY_MAX
#undef DYNBI_CASE
#undef DYNBI_CHANGES_MIN
#undef DYNBI_CHUNK_HEADER
#undef DYNBI_COMPARE_LOOKS
#undef DYNBI_COUNTED_RUNS
#undef DYNBI_CRC_ARM
#undef DYNBI_CRC_X86
#undef DYNBI_DAY_MS
#undef DYNBI_ENCODING_MAX_BYTES
#undef DYNBI_EPOCHS_TRIED
#undef DYNBI_FANOUT_MIN
#undef DYNBI_FOLD_SLOTS
#undef DYNBI_FORK_FANOUT
#undef DYNBI_FRAME_CHANGES
#undef DYNBI_FRAME_HAS_CATALOG
#undef DYNBI_FRAME_HEAD_BYTES
#undef DYNBI_FRAME_MARK
#undef DYNBI_FRAME_MAX_BYTES
#undef DYNBI_FRAME_OPEN
#undef DYNBI_GENERATION_LEVELS
#undef DYNBI_JSON_DEPTH_MAX
#undef DYNBI_INDEXES_MAX
#undef DYNBI_INDEX_MEMORY
#undef DYNBI_KEY_MAX_BYTES
#undef DYNBI_KEY_PARTS_MAX
#undef DYNBI_LEAF_FANOUT
#undef DYNBI_LEVELS
#undef DYNBI_LOG_RESERVED
#undef DYNBI_MEMORY_MIN
#undef DYNBI_NAPS
#undef DYNBI_NAP_US
#undef DYNBI_NODE_BYTES
#undef DYNBI_NODE_BYTES_MAX
#undef DYNBI_NODE_HEAD_BYTES
#undef DYNBI_NODE_RUN_DIVISOR
#undef DYNBI_NO_SLOT
#undef DYNBI_NUMBER_MAX
#undef DYNBI_NUMBER_PAIRS_MAX
#undef DYNBI_OFF_MAX
#undef DYNBI_OLD_BASE_GAPS
#undef DYNBI_OLD_BASE_MS
#undef DYNBI_OPENED
#undef DYNBI_PAGES_MAPS
#undef DYNBI_PAGE_NONE
#undef DYNBI_PAGE_NO_MEMORY
#undef DYNBI_POINTERS_ARE_SMALL
#undef DYNBI_POINTER_BYTES
#undef DYNBI_POSIX
#undef DYNBI_POS_UNKNOWN
#undef DYNBI_PREFETCH
#undef DYNBI_PREFIX_STEP
#undef DYNBI_RAM_BLOCKS
#undef DYNBI_RAM_BLOCK_BYTES
#undef DYNBI_RESTORES_MAX
#undef DYNBI_RUNS_MANY
#undef DYNBI_RUNS_MAX
#undef DYNBI_SEGMENT_HEAD_BYTES
#undef DYNBI_SEGMENT_MAGIC
#undef DYNBI_SORT_SMALL
#undef DYNBI_STORE_ID_BYTES
#undef DYNBI_SUMS_DIFFER
#undef DYNBI_SUPERBLOCK_BYTES
#undef DYNBI_SUPERBLOCK_TEXT
#undef DYNBI_SWEEP_DELETES
#undef DYNBI_SWEEP_LOOKS
#undef DYNBI_TABLES_MAX
#undef DYNBI_TABLE_LSN_BITS
#undef DYNBI_TIER_RUNS
#undef DYNBI_TREE_KEY_MAX
#undef DYNBI_UUID_SIZE
#undef DYNBI_VALUE_MAX
#undef DYNBI_VARINT_MAX
#undef DYNBI_WAYS
#undef DYNBI_WINDOWS
#undef DYNBI_WINDOW_BITS
#undef DYNBI_WINDOW_COUNT
#endif

#endif /* DYNBACKUP_IMPLEMENTATION */
