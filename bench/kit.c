/* kit.c - see kit.h. */
#include "kit.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdarg.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

struct kit kit = {"-", "start", 0, 0, 200, 0, NULL};

/* ------------------------------------------------------------- tools -- */

void die(const char *format, ...)
{
    va_list list;
    fflush(stdout);
    fprintf(stderr, "\nbench: WRONG: %s, case \"%s\" at %" PRIu64 " items of %u bytes: ",
            kit.engine, kit.case_name, kit.items, kit.value_bytes);
    va_start(list, format);
    vfprintf(stderr, format, list);
    va_end(list);
    fputc('\n', stderr);
    _exit(1); /* other threads may be inside an engine */
}

void *get_memory(size_t size)
{
    void *memory = calloc(1, size ? size : 1);
    if (!memory)
        die("no memory for the bench itself (%zu bytes)", size);
    return memory;
}

uint64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

double seconds_since(uint64_t start_ns)
{
    return (double)(now_ns() - start_ns) / 1e9;
}

void sleep_us(long us)
{
    struct timespec t = {0, us * 1000};
    nanosleep(&t, NULL);
}

/* The finaliser of splitmix64. */
uint64_t mix(uint64_t z)
{
    z += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

uint64_t next_random(uint64_t *state)
{
    return mix(*state += 0x9e3779b97f4a7c15u);
}

uint64_t random_below(uint64_t *state, uint64_t bound)
{
    return ((next_random(state) >> 32) * bound) >> 32;
}

uint64_t process_status_bytes(const char *label)
{
    char line[256];
    uint64_t kib = 0;
    FILE *file = fopen("/proc/self/status", "r");
    if (!file)
        return 0;
    while (fgets(line, sizeof line, file))
        if (strncmp(line, label, strlen(label)) == 0)
            kib = strtoull(line + strlen(label), NULL, 10);
    fclose(file);
    return kib * 1024;
}

void latency_add(struct latencies *l, uint64_t ns)
{
    if (l->count == l->capacity) {
        l->capacity = l->capacity ? l->capacity * 2 : 1u << 16;
        l->ns = realloc(l->ns, l->capacity * sizeof *l->ns);
        if (!l->ns)
            die("no memory for latencies");
    }
    l->ns[l->count++] = ns > UINT32_MAX ? UINT32_MAX : (uint32_t)ns;
    l->sum_ns += ns;
    l->sorted = 0;
}

static int compare_u32(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return x < y ? -1 : x > y;
}

double latency_us(struct latencies *l, double part)
{
    if (l->count == 0)
        return 0;
    if (!l->sorted)
        qsort(l->ns, l->count, sizeof *l->ns, compare_u32);
    l->sorted = 1;
    size_t at = (size_t)(part * (double)l->count);
    return l->ns[at < l->count ? at : l->count - 1] / 1e3;
}

double latency_seconds(const struct latencies *l)
{
    return (double)l->sum_ns / 1e9;
}

double latency_rate(const struct latencies *l)
{
    return l->sum_ns ? (double)l->count / latency_seconds(l) : 0;
}

void latency_free(struct latencies *l)
{
    free(l->ns);
    memset(l, 0, sizeof *l);
}

static int compare_double(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

double median_of(double *values, int count)
{
    qsort(values, (size_t)count, sizeof *values, compare_double);
    return count % 2 ? values[count / 2] : (values[count / 2 - 1] + values[count / 2]) / 2;
}

/* ------------------------------------------------------------- model -- */

static uint8_t noise[NOISE_BYTES]; /* values are cut from it */
static char hex_of_byte[256][2];

void model_init(uint32_t value_bytes)
{
    static const char digits[] = "0123456789abcdef";
    uint64_t state = 42;
    if (value_bytes < VALUE_BYTES_MIN || value_bytes > VALUE_BYTES_MAX || value_bytes % 8 != 0)
        die("values may have %u to %u bytes, a multiple of 8", VALUE_BYTES_MIN, VALUE_BYTES_MAX);
    kit.value_bytes = value_bytes;
    for (unsigned i = 0; i < 256; ++i) {
        hex_of_byte[i][0] = digits[i >> 4];
        hex_of_byte[i][1] = digits[i & 15];
    }
    for (size_t i = 0; i < NOISE_BYTES; i += 8) {
        uint64_t word = next_random(&state);
        memcpy(noise + i, &word, 8);
    }
}

const uint8_t *floor_noise(void)
{
    return noise;
}

size_t pair_bytes(void)
{
    return KEY_BYTES + (size_t)kit.value_bytes;
}

uint32_t raw_item_bytes(void)
{
    return 2 + KEY_BYTES + 3 + kit.value_bytes;
}

/* 24 hex digits, unique, in random order as i rises. */
void make_key(uint64_t index, uint8_t *key)
{
    uint64_t a = mix(index);
    uint64_t b = mix(a);
    for (unsigned i = 0; i < 8; ++i)
        memcpy(key + 2 * i, hex_of_byte[(a >> (56 - 8 * i)) & 255], 2);
    for (unsigned i = 0; i < 4; ++i)
        memcpy(key + 16 + 2 * i, hex_of_byte[(b >> (56 - 8 * i)) & 255], 2);
}

/* The index, the version, and noise picked by both. */
static void make_value(uint64_t index, uint64_t version, uint8_t *value)
{
    uint64_t at = mix(index ^ (version << 40)) % (NOISE_BYTES - VALUE_BYTES_MAX);
    memcpy(value, &index, 8);
    memcpy(value + 8, &version, 8);
    memcpy(value + 16, noise + at, kit.value_bytes - 16);
}

void make_pair(uint64_t index, uint64_t version, uint8_t *pair)
{
    make_key(index, pair);
    make_value(index, version, pair + KEY_BYTES);
}

uint64_t check_any_value(uint64_t index, const uint8_t *value)
{
    uint8_t expected[VALUE_BYTES_MAX];
    uint64_t head[2];
    if (!value)
        die("item %" PRIu64 " is missing", index);
    memcpy(head, value, sizeof head);
    make_value(index, head[1], expected);
    if (memcmp(value, expected, kit.value_bytes) != 0)
        die("item %" PRIu64 " has bytes of item %" PRIu64 " version %" PRIu64
            ", or damaged ones",
            index, head[0], head[1]);
    return head[1];
}

void check_value(uint64_t index, uint32_t version, const uint8_t *value)
{
    if (version == GONE) {
        if (value)
            die("item %" PRIu64 " was deleted and is there", index);
        return;
    }
    uint64_t found = check_any_value(index, value);
    if (found != version)
        die("item %" PRIu64 " has version %" PRIu64 " instead of %u", index, found, version);
}

static uint64_t load_word(const uint8_t *at)
{
    uint64_t word;
    memcpy(&word, at, sizeof word);
    return word;
}

/* Four lanes in plain variables: the multiplications overlap. */
uint64_t hash_item(const uint8_t *key, const uint8_t *value)
{
    const uint64_t prime = 0x9fb21c651e98df25u;
    const uint32_t size = kit.value_bytes;
    uint64_t a = (load_word(key) ^ 1) * prime, b = (load_word(key + 8) ^ 2) * prime;
    uint64_t c = (load_word(key + 16) ^ 3) * prime;
    uint64_t d = (load_word(value + size - 8) ^ 4) * prime;
    for (uint32_t i = 0; i + 32 <= size; i += 32) {
        a = ((a ^ (a >> 29)) + load_word(value + i)) * prime;
        b = ((b ^ (b >> 29)) + load_word(value + i + 8)) * prime;
        c = ((c ^ (c >> 29)) + load_word(value + i + 16)) * prime;
        d = ((d ^ (d >> 29)) + load_word(value + i + 24)) * prime;
    }
    return mix((a ^ (b >> 31)) * prime + (c ^ (d >> 31)) + (b << 7) + (d << 13));
}

uint64_t hash_version(uint64_t index, uint32_t version)
{
    uint8_t pair[KEY_BYTES + VALUE_BYTES_MAX];
    if (version == GONE)
        return 0;
    make_pair(index, version, pair);
    return hash_item(pair, pair + KEY_BYTES);
}

uint64_t expected_sum(const uint32_t *versions, uint64_t items)
{
    uint64_t sum = 0;
    for (uint64_t i = 0; i < items; ++i)
        sum += hash_version(i, versions ? versions[i] : 0);
    return sum;
}

static uint64_t common_factor(uint64_t a, uint64_t b)
{
    while (b) {
        uint64_t rest = a % b;
        a = b;
        b = rest;
    }
    return a;
}

struct walk walk_start(uint64_t *random, uint64_t items)
{
    struct walk w = {random_below(random, items), 0, items};
    do
        w.step = random_below(random, items);
    while (common_factor(w.step, items) != 1);
    return w;
}

uint64_t walk_next(struct walk *w)
{
    uint64_t at = w->at;
    w->at = (w->at + w->step) % w->items;
    return at;
}

void make_pairs(struct walk *w, uint32_t *versions, uint32_t count, uint8_t *pairs)
{
    for (uint32_t i = 0; i < count; ++i) {
        uint64_t index = walk_next(w);
        make_pair(index, ++versions[index], pairs + i * pair_bytes());
    }
}

void scan_visit(void *scan_sum, const uint8_t *key, const uint8_t *value)
{
    struct scan_sum *s = scan_sum;
    if (!key || !value)
        die("scan: attribute missing after %" PRIu64 " items", s->count);
    if (s->count && memcmp(s->last, key, KEY_BYTES) >= 0)
        die("scan: keys out of order at item %" PRIu64, s->count);
    memcpy(s->last, key, KEY_BYTES);
    s->sum += hash_item(key, value);
    ++s->count;
}

void scan_check(const struct scan_sum *s, const uint32_t *versions, uint64_t items)
{
    uint64_t count = 0;
    for (uint64_t i = 0; i < items; ++i)
        count += !versions || versions[i] != GONE;
    if (s->count != count)
        die("scan: %" PRIu64 " items instead of %" PRIu64, s->count, count);
    if (s->sum != expected_sum(versions, items))
        die("scan: the content sum differs");
}

/* After Gray et al., "Quickly generating billion-record synthetic databases". */
struct zipf zipf_start(uint64_t items)
{
    const double theta = 0.99;
    struct zipf z = {items, 1 / (1 - theta), 0, 0};
    for (uint64_t i = 1; i <= items; ++i)
        z.zeta_n += pow((double)i, -theta);
    z.eta = (1 - pow(2.0 / (double)items, 1 - theta)) / (1 - (1 + pow(2, -theta)) / z.zeta_n);
    return z;
}

uint64_t zipf_next(const struct zipf *z, uint64_t *random)
{
    double u = (double)(next_random(random) >> 11) / 9007199254740992.0;
    double uz = u * z->zeta_n;
    if (uz < 1)
        return 0;
    if (uz < 1 + pow(0.5, 0.99))
        return 1;
    uint64_t at = (uint64_t)((double)z->items * pow(z->eta * u - z->eta + 1, z->alpha));
    return at < z->items ? at : z->items - 1;
}

/* ------------------------------------------------------------- files -- */

static void join(char to[PATH_SIZE], const char *directory, const char *name)
{
    if (snprintf(to, PATH_SIZE, "%s/%s", directory, name) >= (int)PATH_SIZE)
        die("a path is too long");
}

static int ends_in(const char *text, const char *end)
{
    size_t length = strlen(text), want = end ? strlen(end) : 0;
    return end && length >= want && strcmp(text + length - want, end) == 0;
}

/* The next entry but . and .. */
static const char *next_name(DIR *directory)
{
    struct dirent *entry;
    do
        entry = readdir(directory);
    while (entry && (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0));
    return entry ? entry->d_name : NULL;
}

void make_directory(const char *path)
{
    if (mkdir(path, 0700) != 0 && errno != EEXIST)
        die("cannot create %s: %s", path, strerror(errno));
}

/* Its depth is that of what engines create: three. */
void remove_tree(const char *path)
{
    char inner[PATH_SIZE];
    const char *name;
    DIR *directory = opendir(path);
    while (directory && (name = next_name(directory)) != NULL) {
        join(inner, path, name);
        if (unlink(inner) != 0)
            remove_tree(inner);
    }
    if (directory)
        closedir(directory);
    rmdir(path);
    unlink(path);
}

void copy_file(const char *from, const char *to)
{
    int in = open(from, O_RDONLY), out = open(to, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    ssize_t copied;
    if (in < 0 || out < 0)
        die("cannot copy %s to %s: %s", from, to, strerror(errno));
    do
        copied = copy_file_range(in, NULL, out, NULL, (size_t)1 << 30, 0);
    while (copied > 0);
    if (copied < 0 || close(out) != 0)
        die("cannot copy %s to %s: %s", from, to, strerror(errno));
    close(in);
}

void sync_file(const char *path)
{
    int fd = open(path, O_RDONLY);
    if (fd < 0 || fsync(fd) != 0)
        die("cannot sync %s: %s", path, strerror(errno));
    close(fd);
}

void sync_directory(const char *path)
{
    char inner[PATH_SIZE];
    const char *name;
    DIR *directory = opendir(path);
    while (directory && (name = next_name(directory)) != NULL) {
        join(inner, path, name);
        sync_file(inner);
    }
    if (directory)
        closedir(directory);
    sync_file(path);
}

void sync_file_system(const char *path)
{
    int fd = open(path, O_RDONLY);
    if (fd < 0 || syncfs(fd) != 0)
        die("cannot sync the file system of %s: %s", path, strerror(errno));
    close(fd);
}

void copy_directory(const char *from, const char *to, const char *linked)
{
    char source[PATH_SIZE], target[PATH_SIZE];
    const char *name;
    DIR *directory = opendir(from);
    if (!directory)
        die("cannot read %s: %s", from, strerror(errno));
    make_directory(to);
    while ((name = next_name(directory)) != NULL) {
        join(source, from, name);
        join(target, to, name);
        if (!ends_in(name, linked))
            copy_file(source, target);
        else if (link(source, target) != 0)
            die("cannot link %s: %s", target, strerror(errno));
    }
    closedir(directory);
}

struct file_list {
    struct file_seen {
        uint64_t inode, bytes;
    } *files;
    size_t count, capacity;
};

static void list_tree(struct file_list *list, const char *path, const char *skipped)
{
    char inner[PATH_SIZE];
    const char *name;
    struct stat about;
    DIR *directory = opendir(path);
    while (directory && (name = next_name(directory)) != NULL) {
        join(inner, path, name);
        if (ends_in(name, skipped) || lstat(inner, &about) != 0)
            continue; /* engines remove files while we look */
        if (S_ISDIR(about.st_mode)) {
            list_tree(list, inner, skipped);
            continue;
        }
        if (list->count == list->capacity) {
            list->capacity = list->capacity ? 2 * list->capacity : 256;
            list->files = realloc(list->files, list->capacity * sizeof *list->files);
            if (!list->files)
                die("no memory to list files");
        }
        list->files[list->count].inode = about.st_ino;
        list->files[list->count++].bytes = (uint64_t)about.st_blocks * 512;
    }
    if (directory)
        closedir(directory);
}

static int compare_inode(const void *a, const void *b)
{
    uint64_t x = ((const struct file_seen *)a)->inode, y = ((const struct file_seen *)b)->inode;
    return x < y ? -1 : x > y;
}

uint64_t tree_bytes(const char *path, const char *skipped)
{
    struct file_list list = {NULL, 0, 0};
    uint64_t sum = 0;
    list_tree(&list, path, skipped);
    if (list.count)
        qsort(list.files, list.count, sizeof *list.files, compare_inode);
    for (size_t i = 0; i < list.count; ++i)
        if (i == 0 || list.files[i].inode != list.files[i - 1].inode)
            sum += list.files[i].bytes;
    free(list.files);
    return sum;
}

uint64_t tree_bytes_but_log(const char *root, const char *store, const char *log)
{
    return tree_bytes(root, NULL) + tree_bytes(store, log) - tree_bytes(store, NULL);
}

/* ------------------------------------------------------------ floors -- */

#define FLOOR_FILE_BYTES (8u << 20)

void floor_open(struct floor_file *f, const char *path, int preallocated)
{
    f->pos = 0;
    f->fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);
    if (f->fd < 0)
        die("cannot create %s: %s", path, strerror(errno));
    for (uint32_t i = 0; preallocated && i < FLOOR_FILE_BYTES / NOISE_BYTES; ++i)
        if (write(f->fd, noise, NOISE_BYTES) != (ssize_t)NOISE_BYTES)
            die("cannot fill %s: %s", path, strerror(errno));
    if (fsync(f->fd) != 0)
        die("cannot sync %s: %s", path, strerror(errno));
}

void floor_write(struct floor_file *f)
{
    if (write(f->fd, noise + f->pos % 4096, FRAME_BYTES) != (ssize_t)FRAME_BYTES)
        die("floor file: %s", strerror(errno));
    f->pos += FRAME_BYTES;
}

void floor_write_synced(struct floor_file *f)
{
    if (f->pos + FRAME_BYTES > FLOOR_FILE_BYTES)
        f->pos = 0;
    if (pwrite(f->fd, noise + f->pos % 4096, FRAME_BYTES, (off_t)f->pos) != (ssize_t)FRAME_BYTES ||
        fdatasync(f->fd) != 0)
        die("floor file: %s", strerror(errno));
    f->pos += FRAME_BYTES;
}

void floor_close(struct floor_file *f, const char *path)
{
    close(f->fd);
    unlink(path);
}

/* ----------------------------------------------------------- figures -- */

void record(const char *name, const char *unit, double figure)
{
    fprintf(kit.csv, "%u,%s,%" PRIu64 ",%u,%" PRIu64 ",\"%s\",%s,%.6g\n", kit.round, kit.engine,
            kit.items, kit.value_bytes, kit.budget_mib, name, unit, figure);
}

/* ----------------------------------------------------------- options -- */

static int options_take(struct options *o, const char *name, const char *value)
{
    static const struct {
        const char *name;
        size_t at; /* of the text, or of the flag */
        int is_flag;
    } fields[] = {
        {"--engine", offsetof(struct options, engine), 0},
        {"--dir", offsetof(struct options, directory), 0},
        {"--csv", offsetof(struct options, csv), 0},
        {"--timeline", offsetof(struct options, timeline), 0},
        {"--quick", offsetof(struct options, is_quick), 1},
        {"--floors", offsetof(struct options, is_floors), 1},
        {"--child", offsetof(struct options, is_child), 1},
    };
    uint64_t number = strtoull(value, NULL, 10);
    for (unsigned i = 0; i < sizeof fields / sizeof fields[0]; ++i) {
        void *field = (char *)o + fields[i].at;
        if (strcmp(name, fields[i].name) != 0)
            continue;
        if (fields[i].is_flag)
            *(int *)field = number != 0;
        else
            *(const char **)field = value;
        return 1;
    }
    if (strcmp(name, "--items") == 0)
        kit.items = number;
    else if (strcmp(name, "--value") == 0)
        kit.value_bytes = (uint32_t)number;
    else if (strcmp(name, "--budget") == 0)
        kit.budget_mib = number;
    else if (strcmp(name, "--round") == 0)
        kit.round = (unsigned)number;
    else
        return 0;
    return 1;
}

int options_start(int argc, char **argv, struct options *o)
{
    memset(o, 0, sizeof *o);
    for (int i = 1; i < argc; i += 2)
        if (i + 1 == argc || !options_take(o, argv[i], argv[i + 1]))
            return 0;
    if (!o->directory || kit.items % 10000 != 0 || (kit.items == 0 && !o->is_floors))
        return 0;
    o->items = kit.items;
    model_init(kit.value_bytes);
    kit.csv = o->csv ? fopen(o->csv, "a") : stdout;
    if (!kit.csv)
        die("cannot write %s", o->csv);
    setvbuf(kit.csv, NULL, _IOLBF, 1024);
    return 1;
}
